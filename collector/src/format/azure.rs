//! Records of Azure's diagnostic settings as Event Hubs and storage accounts deliver them: one JSON object per line with
//! `category`, `operationName` and `resourceId` above, and the service's own values below `properties`.

use canh_schema::Event;

use super::json::mark;
use super::{Context, Fit, Format, Text};
use crate::source::azure;

/// Azure's resource log schema.
pub(super) struct Azure;

impl Format for Azure {
    fn name(&self) -> &'static str {
        "azure"
    }

    fn about(&self) -> &'static str {
        "record of Azure's diagnostic settings (activity, sign-in, audit and risk logs), one JSON object per line"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"time":"2026-11-22T08:31:48.1653240Z","resourceId":"/tenants/8f1e1f3c-0000-4000-8000-000000000001/providers/Microsoft.aadiam","operationName":"Sign-in activity","operationVersion":"1.0","category":"SignInLogs","tenantId":"8f1e1f3c-0000-4000-8000-000000000001","resultType":"50053","resultSignature":"None","resultDescription":"The account is locked","durationMs":0,"callerIpAddress":"203.0.113.9","correlationId":"5b1c0c2e-0000-4000-8000-000000000002","identity":"Minh","Level":4,"location":"VN","properties":{"id":"5b1c0c2e-0000-4000-8000-000000000003","createdDateTime":"2026-11-22T08:31:40Z","userDisplayName":"Minh","userPrincipalName":"minh@tinh.example","appDisplayName":"Azure Portal","clientAppUsed":"Browser","userAgent":"Mozilla/5.0","conditionalAccessStatus":"notApplied","authenticationRequirement":"singleFactorAuthentication","riskState":"none","deviceDetail":{"deviceId":"","operatingSystem":"Linux","trustType":""},"status":{"errorCode":50053,"failureReason":"The account is locked"}}}"#,
            r#"{"time":"2026-11-22T08:31:48.1653240Z","resourceId":"/tenants/8f1e1f3c-0000-4000-8000-000000000001/providers/Microsoft.aadiam","operationName":"Add member to role","category":"AuditLogs","tenantId":"8f1e1f3c-0000-4000-8000-000000000001","resultSignature":"None","durationMs":0,"callerIpAddress":"203.0.113.9","Level":4,"properties":{"id":"Directory_1","category":"RoleManagement","result":"success","activityDisplayName":"Add member to role","loggedByService":"Core Directory","operationType":"Assign","initiatedBy":{"user":{"id":"1","userPrincipalName":"quantri@tinh.example","ipAddress":"203.0.113.9"}},"targetResources":[{"id":"2","type":"User","userPrincipalName":"minh@tinh.example","modifiedProperties":[{"displayName":"Role.DisplayName","oldValue":null,"newValue":"\"Global Administrator\""}]}]}}"#,
            r#"{"time":"2026-11-22T08:31:48.1653240Z","resourceId":"/SUBSCRIPTIONS/0A1B/RESOURCEGROUPS/LGSP/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/BIEN","operationName":"MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/SECURITYRULES/WRITE","category":"Administrative","resultType":"Success","resultSignature":"Succeeded.OK","durationMs":120,"callerIpAddress":"203.0.113.9","correlationId":"5b1c","identity":{"authorization":{"scope":"/subscriptions/0a1b","action":"Microsoft.Network/networkSecurityGroups/securityRules/write"},"claims":{"name":"Quan Tri"}},"level":"Information","properties":{"statusCode":"OK","message":"Microsoft.Network/networkSecurityGroups/securityRules/write","eventCategory":"Administrative"}}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match text.json(context) {
            Some(json) if json.has(mark::AZURE_RESOURCE | mark::AZURE_OPERATION) => (),
            _ => return Fit::No,
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        json.into_event(event);
        azure::apply(event, context);
        Fit::Yes
    }
}
