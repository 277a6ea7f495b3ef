//! Sources: what the values of a record mean. Tables that give native names their catalogue field and each record its
//! Sigma log source. Reading bytes is the business of `format`.

mod accounts;
mod cisco;
mod cisco_asa;
mod cisco_ios;
mod devices;
mod filterlog;
mod fortigate;
mod kerberos;
mod kernel;
mod kernel_troubles;
mod mail;
mod mikrotik;
mod name_servers;
mod pam;
mod power;
mod programs;
mod roster;
mod sshd;
mod sudo;
mod template;
#[cfg(test)]
mod tested;
mod vpn;
mod windows_channels;
mod windows_events;

pub(crate) mod auditd;
pub(crate) mod azure;
pub(crate) mod cloudtrail;
pub(crate) mod exported_flow;
pub(crate) mod flow;
pub(crate) mod generic;
pub(crate) mod journald;
pub(crate) mod key_value;
pub(crate) mod kubernetes;
pub(crate) mod metric;
pub(crate) mod mysql;
pub(crate) mod oracle;
pub(crate) mod postgresql;
pub(crate) mod project;
pub(crate) mod slapd;
pub(crate) mod snmp;
pub(crate) mod suricata;
pub(crate) mod syslog;
pub(crate) mod vendor_event;
pub(crate) mod web;
pub(crate) mod web_error;
pub(crate) mod windows;
pub(crate) mod wso2;
pub(crate) mod zeek;
