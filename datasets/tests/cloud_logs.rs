//! Public rules for Kubernetes and Azure hold for records as these products write them, decoded like any other.

#[allow(dead_code, reason = "each test uses a part")]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use canh_detection::{Engine, EngineConfig, load_paths};
use canh_schema::Timestamp;
use serde_json::{Value, json};
use support::{events, findings, shared};

/// Rules of a folder that no record can reach, and why.
type Unreachable = &'static [(&'static str, &'static str)];

/// Every rule of the folder holds for one of the records, or is listed.
#[track_caller]
fn check(folders: &[&str], format: &str, records: &[(&str, Value)], unreachable: Unreachable) {
    let Some(data) = shared::data() else { return };
    let (dir, _) = shared::public_rules(&data);
    let paths: Vec<_> = folders.iter().map(|folder| dir.path().join(folder)).collect();
    let mut engine = Engine::new(load_paths(&paths), EngineConfig::default());
    let titles: BTreeMap<String, String> =
        engine.rules().map(|(info, _)| (info.id.as_str().to_owned(), info.title.to_string())).collect();
    let received = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").expect("a time");
    let mut fired = BTreeSet::new();
    for (position, (about, record)) in (1..).zip(records) {
        // Without a hint, as a file or a device would bring it.
        let batch = events(record.to_string().as_bytes(), None, "cloud", position, received);
        let [event] = batch.events.as_slice() else { panic!("{about}: one event") };
        assert_eq!(event.issues, [], "{about}");
        assert_eq!(event.logsource.product.as_deref(), Some(format), "{about}");
        assert!(event.time < received, "{about}: {}", event.time);
        let found = findings(&mut engine, &batch);
        assert!(!found.is_empty() || about.starts_with("ordinary"), "{about}: no rule holds");
        for finding in found {
            assert!(!about.starts_with("ordinary"), "{about}: {}", finding.rule.title);
            fired.insert(finding.rule.id.as_str().to_owned());
        }
    }
    let silent: BTreeMap<&str, &str> =
        titles.iter().filter(|(id, _)| !fired.contains(*id)).map(|(id, title)| (id.as_str(), title.as_str())).collect();
    eprintln!("{folders:?}: {} of {} rules hold", fired.len(), titles.len());
    let known: BTreeSet<&str> = unreachable.iter().map(|(id, _)| *id).collect();
    assert_eq!(silent.keys().copied().collect::<BTreeSet<_>>(), known, "rules that no record reaches: {silent:#?}");
}

/// An event of Kubernetes' audit log.
fn audit(verb: &str, object: Value, status: u16) -> Value {
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "stage": "ResponseComplete",
        "auditID": "6c1f0f6e-57a0-4e43-9d5e-2f1a3b1c8d01", "verb": verb, "requestURI": "/apis",
        "user": { "username": "quantri", "groups": ["system:authenticated"] }, "sourceIPs": ["203.0.113.9"],
        "userAgent": "kubectl/v1.31.2", "objectRef": object, "responseStatus": { "metadata": {}, "code": status },
        "requestReceivedTimestamp": "2026-11-22T08:31:48.165324Z", "stageTimestamp": "2026-11-22T08:31:48.201000Z",
        "annotations": { "authorization.k8s.io/decision": if status == 403 { "forbid" } else { "allow" } },
    })
}

fn with(mut record: Value, name: &str, value: Value) -> Value {
    record[name] = value;
    record
}

#[test]
fn kubernetes() {
    let object =
        |resource: &str| json!({ "resource": resource, "namespace": "motcua", "name": "x", "apiVersion": "v1" });
    let grouped = |resource: &str, group: &str| with(object(resource), "apiGroup", json!(group));
    let volumes = json!({ "kind": "Pod", "spec": { "volumes": [{ "name": "tmp", "emptyDir": {} }, { "name": "root", "hostPath": { "path": "/" } }] } });
    let added = json!({ "kind": "Pod", "spec": { "containers": [{ "name": "a" }, { "name": "b", "securityContext": { "capabilities": { "add": ["SYS_ADMIN"] } } }] } });
    let records = [
        ("ordinary: a pod is read", audit("get", object("pods"), 200)),
        (
            "ordinary: a pod without privileges",
            with(
                audit("create", object("pods"), 201),
                "requestObject",
                json!({ "kind": "Pod", "spec": { "containers": [{ "name": "a" }] } }),
            ),
        ),
        ("admission", audit("patch", grouped("mutatingwebhookconfigurations", "admissionregistration.k8s.io"), 200)),
        ("a job", audit("create", grouped("cronjobs", "batch"), 201)),
        ("a deployment goes", audit("delete", grouped("deployments", "apps"), 200)),
        ("events go", audit("delete", object("events"), 200)),
        ("a shell in a pod", audit("create", with(object("pods"), "subresource", json!("exec")), 101)),
        ("the disk of the host", with(audit("create", object("pods"), 201), "requestObject", volumes)),
        ("capabilities", with(audit("create", object("pods"), 201), "requestObject", added)),
        ("a pod of the system", audit("create", with(object("pods"), "namespace", json!("kube-system")), 201)),
        ("what may I do", audit("create", grouped("selfsubjectrulesreviews", "authorization.k8s.io"), 201)),
        ("a role is bound", audit("create", grouped("clusterrolebindings", "rbac.authorization.k8s.io"), 201)),
        ("secrets are listed", audit("list", object("secrets"), 200)),
        ("a secret goes", audit("delete", object("secrets"), 200)),
        ("an account", audit("create", object("serviceaccounts"), 201)),
        ("a side car", audit("patch", grouped("deployments", "apps"), 200)),
        ("refused", audit("get", object("pods"), 403)),
    ];
    const UNREACHABLE: Unreachable = &[(
        "597a7e84-187d-458b-9e4f-2f5a0e676711",
        "wants `ALLOW` where the API server writes the number of the answer; some providers write words there",
    )];
    check(&["rules/application/kubernetes"], "kubernetes", &records, UNREACHABLE);
}

/// A record of a diagnostic setting.
fn azure(category: &str, operation: &str, rest: Value) -> Value {
    let mut record = json!({
        "time": "2026-11-22T08:31:48.1653240Z", "category": category, "operationName": operation,
        "resourceId": "/tenants/8f1e1f3c-0000-4000-8000-000000000001/providers/Microsoft.aadiam",
        "resultSignature": "None", "durationMs": 0, "callerIpAddress": "203.0.113.9",
    });
    for (name, value) in rest.as_object().into_iter().flatten() {
        record[name] = value.clone();
    }
    record
}

fn activity(operation: &str) -> (&'static str, Value) {
    let rest = json!({
        "resourceId": "/SUBSCRIPTIONS/0A1B/RESOURCEGROUPS/LGSP/PROVIDERS/X/Y", "resultType": "Success", "level": "Information",
        "identity": { "authorization": { "action": operation }, "claims": { "name": "Quan Tri" } },
        "properties": { "statusCode": "OK", "message": operation, "eventCategory": "Administrative" },
    });
    ("an activity", azure("Administrative", operation, rest))
}

fn sign_in(code: u32, reason: &str, properties: Value) -> Value {
    let mut all = json!({
        "userPrincipalName": "minh@tinh.example", "appDisplayName": "Portal", "clientAppUsed": "Browser", "userAgent": "Mozilla/5.0",
        "conditionalAccessStatus": "notApplied", "authenticationRequirement": "multiFactorAuthentication", "riskState": "none",
        "deviceDetail": { "deviceId": "0a1b", "isCompliant": true, "trustType": "Hybrid Azure AD joined" },
        "status": { "errorCode": code, "failureReason": reason },
    });
    for (name, value) in properties.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    let rest = json!({ "resultType": code.to_string(), "resultDescription": reason, "identity": "Minh", "location": "VN", "properties": all });
    azure("SignInLogs", "Sign-in activity", rest)
}

fn change(operation: &str, category: &str, service: &str, targets: Value) -> Value {
    let properties = json!({
        "category": category, "result": "success", "activityDisplayName": operation, "loggedByService": service,
        "initiatedBy": { "user": { "id": "1", "userPrincipalName": "quantri@tinh.example", "ipAddress": "203.0.113.9" } },
        "targetResources": targets,
    });
    azure("AuditLogs", operation, json!({ "properties": properties }))
}

#[test]
fn azure_activity() {
    let operations = [
        "MICROSOFT.NETWORK/FIREWALLPOLICIES/RULECOLLECTIONGROUPS/WRITE",
        "MICROSOFT.PORTAL/CONSOLES/WRITE",
        "MICROSOFT.KEYVAULT/VAULTS/SECRETS/DELETE",
        "MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/SECURITYRULES/WRITE",
        "MICROSOFT.AUTHORIZATION/ELEVATEACCESS/ACTION",
        "MICROSOFT.KUBERNETES/CONNECTEDCLUSTERS/PODS/DELETE",
        "Microsoft.Authorization/roleAssignments/write",
        "Microsoft.Compute/virtualMachines/write",
    ];
    let records: Vec<_> = operations.into_iter().map(activity).collect();
    reached(&records, operations.len());
}

#[test]
fn azure_sign_ins_audit_and_risk() {
    let none = json!([]);
    let property = |name: &str, value: &str| json!([{ "id": "2", "type": "User", "modifiedProperties": [{ "displayName": name, "oldValue": null, "newValue": value }] }]);
    let records = [
        ("ordinary: somebody signs in", sign_in(0, "", json!({}))),
        ("a locked account", sign_in(50053, "The account is locked", json!({}))),
        (
            "a disabled account",
            sign_in(50057, "User account is disabled. The account has been disabled by an administrator.", json!({})),
        ),
        ("blocked by a policy", sign_in(53003, "Blocked by Conditional Access", json!({}))),
        ("one factor", sign_in(0, "", json!({ "authenticationRequirement": "singleFactorAuthentication" }))),
        (
            "a device that does not comply",
            sign_in(0, "", json!({ "deviceDetail": { "deviceId": "1", "isCompliant": false, "trustType": "x" } })),
        ),
        ("AzureHound", sign_in(0, "", json!({ "userAgent": "azurehound/2" }))),
        (
            "a device joins",
            sign_in(
                0,
                "",
                json!({ "resourceDisplayName": "Device Registration Service", "conditionalAccessStatus": "success", "authenticationRequirement": "singleFactorAuthentication" }),
            ),
        ),
        ("a password alone", sign_in(0, "", json!({ "authenticationProtocol": "ropc" }))),
        (
            "at risk",
            sign_in(
                0,
                "",
                json!({ "authenticationRequirement": "singleFactorAuthentication", "riskState": "atRisk", "deviceDetail": { "deviceId": "", "trustType": "" } }),
            ),
        ),
        ("a key is read", change("Read BitLocker key", "KeyManagement", "Core Directory", none.clone())),
        (
            "a role",
            change(
                "Add member to role",
                "RoleManagement",
                "Core Directory",
                property("Role.DisplayName", "\"Global Administrator\""),
            ),
        ),
        (
            "a role by its number",
            change(
                "Add member to role",
                "RoleManagement",
                "Core Directory",
                property("Role.TemplateId", "\"62e90394-69f5-4237-9190-012177145e10\""),
            ),
        ),
        (
            "a second factor off",
            change(
                "Update user",
                "UserManagement",
                "Core Directory",
                property("StrongAuthenticationRequirement", "[{\"State\":0}]"),
            ),
        ),
        (
            "federation",
            change("Set federation settings on domain", "DirectoryManagement", "Core Directory", none.clone()),
        ),
        ("a policy", change("Add conditional access policy", "Policy", "Conditional Access", none.clone())),
        ("an owner", change("Add owner to application", "ApplicationManagement", "Core Directory", none.clone())),
        (
            "a root",
            change(
                "Set Company Information",
                "DirectoryManagement",
                "Core Directory",
                property("x", "TrustedCAsForPasswordlessAuth"),
            ),
        ),
        ("registration", change("User registered security info", "UserManagement", "Authentication Methods", none)),
        (
            "a risk",
            azure(
                "UserRiskEvents",
                "User Risk Detection",
                json!({ "properties": { "riskEventType": "anonymizedIPAddress", "userPrincipalName": "minh@tinh.example", "ipAddress": "203.0.113.9" } }),
            ),
        ),
    ];
    reached(&records, records.len() - 1);
}

/// Every record that is not ordinary is found by some public rule, and as many rules hold at least.
#[track_caller]
fn reached(records: &[(&str, Value)], rules_min: usize) {
    let Some(data) = shared::data() else { return };
    let (dir, _) = shared::public_rules(&data);
    let mut engine = Engine::new(load_paths(&[dir.path().join("rules/cloud/azure")]), EngineConfig::default());
    let received = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").expect("a time");
    let mut fired = BTreeSet::new();
    let mut wrong = Vec::new();
    for (position, (about, record)) in (1..).zip(records) {
        let batch = events(record.to_string().as_bytes(), None, "cloud", position, received);
        let [event] = batch.events.as_slice() else { panic!("{about}: one event") };
        assert_eq!(event.issues, [], "{about}");
        assert_eq!(event.logsource.product.as_deref(), Some("azure"), "{about}");
        let found = findings(&mut engine, &batch);
        if found.is_empty() != about.starts_with("ordinary") {
            wrong.push((*about, found.iter().map(|finding| finding.rule.title.to_string()).collect::<Vec<_>>()));
        }
        fired.extend(found.into_iter().map(|finding| finding.rule.title.to_string()));
    }
    eprintln!("{} rules hold: {fired:#?}", fired.len());
    assert!(wrong.is_empty() && fired.len() >= rules_min, "{wrong:#?}, {} rules", fired.len());
}
