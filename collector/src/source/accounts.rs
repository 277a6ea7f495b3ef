//! Programs that manage accounts and jobs: su, useradd and its relatives, passwd, cron, login, logind, systemd.

use std::sync::LazyLock;

use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

macro_rules! table {
    ($name:ident, [$($line:expr),* $(,)?]) => {
        pub(super) static $name: LazyLock<Table> = LazyLock::new(|| {
            static LINES: &[Line] = &[$($line),*];
            Table::new(LINES)
        });
    };
}

const IAM: &str = "iam";
const AUTH: &str = "authentication";

table!(
    SU,
    [
        line("su", Failure, AUTH, "FAILED SU (to {user.target.name}) {user.name} on {su.tty}"),
        line("su", Success, AUTH, "(to {user.target.name}) {user.name} on {su.tty}"),
        line("su", Failure, AUTH, "FAILED su for {user.target.name} by {user.name}"),
        line("su", Success, AUTH, "Successful su for {user.target.name} by {user.name}"),
    ]
);

table!(
    ACCOUNTS,
    [
        line(
            "user_add",
            Success,
            IAM,
            "new user: name={user.target.name}, UID={account.uid}, GID={account.gid}, home={account.home}, shell={account.shell}, from={account.tty}"
        ),
        line(
            "user_add",
            Success,
            IAM,
            "new user: name={user.target.name}, UID={account.uid}, GID={account.gid}, home={account.home}, shell={account.shell}"
        ),
        line("user_add", Success, IAM, "new account added - account={user.target.name}, uid={account.uid}"),
        line("user_add", Failure, IAM, "failed adding user '{user.target.name}', {event.reason}"),
        line("group_add", Success, IAM, "new group: name={group.name}, GID={account.gid}"),
        line("group_add", Success, IAM, "group added to /etc/group: name={group.name}, GID={account.gid}"),
        line("group_member_add", Success, IAM, "add '{user.target.name}' to group '{group.name}'"),
        line("group_member_add", Success, IAM, "add '{user.target.name}' to shadow group '{group.name}'"),
        line("group_member_add", Success, IAM, "user {user.target.name} added by {user.name} to group {group.name}"),
        line("group_member_remove", Success, IAM, "delete '{user.target.name}' from group '{group.name}'"),
        line(
            "group_member_remove",
            Success,
            IAM,
            "user {user.target.name} removed by {user.name} from group {group.name}"
        ),
        line("user_remove", Success, IAM, "delete user '{user.target.name}'"),
        line("group_remove", Success, IAM, "removed group '{group.name}'"),
        line("group_remove", Success, IAM, "group '{group.name}' removed"),
        line("password_change", Success, IAM, "change user '{user.target.name}' password"),
        line("password_change", Success, IAM, "password for '{user.target.name}' changed by '{user.name}'"),
        line(
            "user_change",
            Success,
            IAM,
            "change user '{user.target.name}' {account.what} from '{account.from}' to '{account.to}'"
        ),
        line("user_lock", Success, IAM, "lock user '{user.target.name}' password"),
        line("user_unlock", Success, IAM, "unlock user '{user.target.name}' password"),
    ]
);

table!(
    CRON,
    [
        line("cron_run", Success, "process", "({user.name}) CMD ({process.command_line})"),
        line("cron_run", Success, "process", "({user.name}) CMDEND ({process.command_line})"),
        line("cron_edit", Unsaid, "configuration", "({user.name}) BEGIN EDIT ({user.target.name})"),
        line("cron_edit", Unsaid, "configuration", "({user.name}) END EDIT ({user.target.name})"),
        line("cron_replace", Success, "configuration", "({user.name}) REPLACE ({user.target.name})"),
        line("cron_delete", Success, "configuration", "({user.name}) DELETE ({user.target.name})"),
        line("cron_list", Unsaid, "configuration", "({user.name}) LIST ({user.target.name})"),
        line("cron_reload", Unsaid, "configuration", "({user.name}) RELOAD ({file.path})"),
        line("cron_error", Failure, "process", "({user.name}) ERROR ({event.reason})"),
    ]
);

table!(
    LOGIN,
    [
        line("login", Failure, AUTH, "FAILED LOGIN ({login.count}) on '{login.tty}' FOR '{user.name}', {event.reason}"),
        line("login", Failure, AUTH, "FAILED LOGIN {login.count} FROM {source.ip} FOR {user.name}, {event.reason}"),
        line("login", Success, AUTH, "ROOT LOGIN  on '{login.tty}'"),
        line("login", Success, AUTH, "LOGIN ON {login.tty} BY {user.name}"),
    ]
);

table!(
    SYSTEMD,
    [
        line("session_start", Success, "session", "New session {session.id} of user {user.name}."),
        line("session_start", Success, "session", "New session '{session.id}' of user '{user.name}'"),
        line("session_end", Unsaid, "session", "Removed session {session.id}."),
        line("session_end", Unsaid, "session", "Session {session.id} logged out."),
        line("service_failed", Failure, "process", "Failed to start {service.name}."),
        line("service_failed", Failure, "process", "{service.name}: Failed with result '{event.reason}'"),
        line("service_failed", Failure, "process", "Unit {service.name} entered failed state."),
        line("service_failed", Failure, "process", "{service.name}: Main process exited, code={event.reason}"),
        line("service_start", Success, "process", "Started {service.name}."),
        line("service_stop", Success, "process", "Stopped {service.name}."),
        line("service_stop", Success, "process", "{service.name}: Deactivated successfully."),
        line("time_change", Success, "configuration", "Time has been changed"),
        line("shutdown", Success, "host", "System is powering down"),
        line("shutdown", Success, "host", "System is rebooting"),
    ]
);

table!(
    VSFTPD,
    [
        line("ftp_login", Failure, AUTH, "[{user.name}] FAIL LOGIN: Client \"{source.ip}\""),
        line("ftp_login", Success, AUTH, "[{user.name}] OK LOGIN: Client \"{source.ip}\""),
        line("ftp_connect", Unsaid, "network", "CONNECT: Client \"{source.ip}\""),
    ]
);
