//! The audit log of a Kubernetes API server: one event of `audit.k8s.io` as a JSON object per line.

use canh_schema::{Event, Value};

use super::json::mark;
use super::{Context, Fit, Format, Text};
use crate::source::kubernetes;

/// Kubernetes' audit log.
pub(super) struct KubernetesAudit;

impl Format for KubernetesAudit {
    fn name(&self) -> &'static str {
        "kubernetes_audit"
    }

    fn about(&self) -> &'static str {
        "audit log of a Kubernetes API server, one JSON object with `apiVersion` `audit.k8s.io/…` per line"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"6c1f0f6e-57a0-4e43-9d5e-2f1a3b1c8d01","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/motcua/pods?fieldManager=kubectl-create","verb":"create","user":{"username":"quantri","groups":["tinh:ops","system:authenticated"]},"sourceIPs":["203.0.113.9","10.20.1.4"],"userAgent":"kubectl/v1.31.2 (linux/amd64)","objectRef":{"resource":"pods","namespace":"motcua","name":"hop-thu","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":201},"requestObject":{"kind":"Pod","spec":{"containers":[{"name":"a","image":"registry.example/a:1","securityContext":{"capabilities":{"add":["SYS_ADMIN"]}}}],"volumes":[{"name":"root","hostPath":{"path":"/"}}]}},"requestReceivedTimestamp":"2026-11-22T08:31:48.165324Z","stageTimestamp":"2026-11-22T08:31:48.201000Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"ops\""}}"#,
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"6c1f0f6e-57a0-4e43-9d5e-2f1a3b1c8d02","stage":"ResponseComplete","requestURI":"/api/v1/secrets","verb":"list","user":{"username":"system:anonymous","groups":["system:unauthenticated"]},"sourceIPs":["198.51.100.7"],"userAgent":"curl/8.9","objectRef":{"resource":"secrets","apiVersion":"v1"},"responseStatus":{"status":"Failure","reason":"Forbidden","code":403},"requestReceivedTimestamp":"2026-11-22T08:31:49.000000Z","stageTimestamp":"2026-11-22T08:31:49.001000Z","annotations":{"authorization.k8s.io/decision":"forbid","authorization.k8s.io/reason":""}}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let audited = text.json(context).is_some_and(|json| {
            json.has(mark::API_VERSION)
                && json.get("apiVersion").and_then(Value::as_str).is_some_and(|text| text.starts_with("audit.k8s.io/"))
        });
        if !audited {
            return Fit::No;
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        json.into_event(event);
        kubernetes::apply(event, context);
        Fit::Yes
    }
}
