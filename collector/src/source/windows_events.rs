//! Windows events by service and number: their Sigma categories and what they mean.

use super::template::Outcome::{self, Failure, Success, Unsaid};

/// One kind of event.
pub(super) struct Kind {
    pub(super) service: &'static str,
    pub(super) id: i64,
    /// Sigma categories. Source: the taxonomy appendix of the Sigma specification.
    pub(super) categories: &'static [&'static str],
    pub(super) action: &'static str,
    pub(super) outcome: Outcome,
    /// ECS category.
    pub(super) category: &'static str,
}

const fn sysmon(id: i64, categories: &'static [&'static str], action: &'static str, category: &'static str) -> Kind {
    Kind { service: "sysmon", id, categories, action, outcome: Unsaid, category }
}

const fn security(id: i64, action: &'static str, outcome: Outcome, category: &'static str) -> Kind {
    Kind { service: "security", id, categories: &[], action, outcome, category }
}

const fn other(
    service: &'static str,
    id: i64,
    categories: &'static [&'static str],
    action: &'static str,
    category: &'static str,
) -> Kind {
    Kind { service, id, categories, action, outcome: Unsaid, category }
}

const ANTIVIRUS: &[&str] = &["antivirus"];

pub(super) static KINDS: &[Kind] = &[
    sysmon(1, &["process_creation"], "process_start", "process"),
    sysmon(2, &["file_change"], "file_time_change", "file"),
    sysmon(3, &["network_connection"], "network_connection", "network"),
    sysmon(4, &["sysmon_status"], "sysmon_status", "configuration"),
    sysmon(5, &["process_termination"], "process_end", "process"),
    sysmon(6, &["driver_load"], "driver_load", "driver"),
    sysmon(7, &["image_load"], "image_load", "library"),
    sysmon(8, &["create_remote_thread"], "remote_thread", "process"),
    sysmon(9, &["raw_access_thread"], "raw_disk_read", "file"),
    sysmon(10, &["process_access"], "process_access", "process"),
    sysmon(11, &["file_event"], "file_create", "file"),
    sysmon(12, &["registry_add", "registry_delete", "registry_event"], "registry_key_change", "registry"),
    sysmon(13, &["registry_event", "registry_set"], "registry_value_set", "registry"),
    sysmon(14, &["registry_event", "registry_rename"], "registry_rename", "registry"),
    sysmon(15, &["create_stream_hash"], "file_stream_create", "file"),
    sysmon(16, &["sysmon_status"], "sysmon_config_change", "configuration"),
    sysmon(17, &["pipe_created"], "pipe_create", "file"),
    sysmon(18, &["pipe_created"], "pipe_connect", "file"),
    sysmon(19, &["wmi_event"], "wmi_filter", "configuration"),
    sysmon(20, &["wmi_event"], "wmi_consumer", "configuration"),
    sysmon(21, &["wmi_event"], "wmi_binding", "configuration"),
    sysmon(22, &["dns_query"], "dns_query", "network"),
    sysmon(23, &["file_delete"], "file_delete", "file"),
    sysmon(24, &["clipboard_change"], "clipboard_change", "host"),
    sysmon(25, &["process_tampering"], "process_tampering", "process"),
    sysmon(26, &["file_delete_detected"], "file_delete", "file"),
    sysmon(27, &["file_block_executable"], "file_blocked", "file"),
    sysmon(28, &["file_block_shredding"], "file_shredding_blocked", "file"),
    sysmon(29, &["file_executable_detected"], "file_executable_create", "file"),
    sysmon(255, &["sysmon_error"], "sysmon_error", "host"),
    Kind {
        service: "security",
        id: 4688,
        categories: &["process_creation"],
        action: "process_start",
        outcome: Success,
        category: "process",
    },
    security(1102, "audit_log_cleared", Success, "configuration"),
    security(4624, "login", Success, "authentication"),
    security(4625, "login", Failure, "authentication"),
    security(4634, "logout", Success, "authentication"),
    security(4647, "logout", Success, "authentication"),
    security(4648, "login_explicit_credentials", Unsaid, "authentication"),
    security(4656, "object_handle_request", Unsaid, "file"),
    security(4657, "registry_value_set", Success, "registry"),
    security(4663, "object_access", Success, "file"),
    security(4672, "login_special_privileges", Success, "iam"),
    security(4689, "process_end", Success, "process"),
    security(4697, "service_install", Success, "configuration"),
    security(4698, "scheduled_task_create", Success, "configuration"),
    security(4699, "scheduled_task_delete", Success, "configuration"),
    security(4702, "scheduled_task_update", Success, "configuration"),
    security(4719, "audit_policy_change", Success, "configuration"),
    security(4720, "user_add", Success, "iam"),
    security(4722, "user_enable", Success, "iam"),
    security(4723, "password_change", Unsaid, "iam"),
    security(4724, "password_reset", Unsaid, "iam"),
    security(4725, "user_disable", Success, "iam"),
    security(4726, "user_remove", Success, "iam"),
    security(4728, "group_member_add", Success, "iam"),
    security(4732, "group_member_add", Success, "iam"),
    security(4738, "user_change", Success, "iam"),
    security(4740, "user_lock", Success, "iam"),
    security(4756, "group_member_add", Success, "iam"),
    security(4768, "kerberos_ticket_request", Unsaid, "authentication"),
    security(4769, "kerberos_service_ticket_request", Unsaid, "authentication"),
    security(4771, "kerberos_preauthentication", Failure, "authentication"),
    security(4776, "credential_validation", Unsaid, "authentication"),
    security(5140, "share_access", Success, "file"),
    security(5145, "share_access_check", Unsaid, "file"),
    security(5156, "network_connection", Success, "network"),
    security(5157, "network_connection", Failure, "network"),
    other("powershell", 4103, &["ps_module"], "powershell_command", "process"),
    other("powershell", 4104, &["ps_script"], "powershell_script", "process"),
    other("powershell-classic", 400, &["ps_classic_start"], "powershell_start", "process"),
    other("powershell-classic", 600, &["ps_classic_provider_start"], "powershell_provider_start", "process"),
    other("powershell-classic", 800, &["ps_classic_script"], "powershell_command", "process"),
    other("system", 104, &[], "log_cleared", "configuration"),
    other("system", 7045, &[], "service_install", "configuration"),
    other("windefend", 1006, ANTIVIRUS, "malware_found", "malware"),
    other("windefend", 1007, ANTIVIRUS, "malware_action", "malware"),
    other("windefend", 1008, ANTIVIRUS, "malware_action", "malware"),
    other("windefend", 1009, ANTIVIRUS, "malware_restored", "malware"),
    other("windefend", 1010, ANTIVIRUS, "malware_restored", "malware"),
    other("windefend", 1011, ANTIVIRUS, "malware_removed", "malware"),
    other("windefend", 1012, ANTIVIRUS, "malware_removed", "malware"),
    other("windefend", 1017, ANTIVIRUS, "malware_action", "malware"),
    other("windefend", 1018, ANTIVIRUS, "malware_action", "malware"),
    other("windefend", 1019, ANTIVIRUS, "malware_action", "malware"),
    other("windefend", 1115, ANTIVIRUS, "malware_found", "malware"),
    other("windefend", 1116, ANTIVIRUS, "malware_found", "malware"),
    other("windefend", 5001, &[], "antivirus_off", "configuration"),
];

/// The row of an event.
pub(super) fn find(service: &str, id: i64) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.id == id && kind.service == service)
}
