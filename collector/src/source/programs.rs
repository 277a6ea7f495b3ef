//! Which program of syslog is which source: its Sigma services and who reads its lines.

use canh_schema::Event;

use crate::format::Context;

use super::template::Table;
use super::{
    accounts, filterlog, kerberos, kernel, mail, mysql, name_servers, oracle, pam, postgresql, power, slapd, sshd,
    sudo, vpn,
};
use std::sync::LazyLock;

/// A row of the table of programs.
pub(super) struct Program {
    /// Names as they stand in the tag, in lower case.
    pub(super) names: &'static [&'static str],
    /// Sigma services, the most particular one first.
    pub(super) services: &'static [&'static str],
    pub(super) dataset: &'static str,
    pub(super) reader: Reader,
}

/// Who reads the lines of a program.
#[derive(Clone, Copy)]
pub(super) enum Reader {
    Table(&'static LazyLock<Table>),
    Function(fn(&mut Event, &str)),
    /// An access log sent through syslog.
    WebAccess,
    /// The audit log sent through syslog.
    Auditd,
    /// Reads the whole line and says which log source it is; the line is ordinary syslog if the answer is no.
    Line(fn(&mut Event, &Context<'_>, &str) -> bool),
    Nobody,
}

const fn program(
    names: &'static [&'static str],
    services: &'static [&'static str],
    dataset: &'static str,
    reader: Reader,
) -> Program {
    Program { names, services, dataset, reader }
}

pub(super) static PROGRAMS: &[Program] = &[
    program(
        &["sshd", "sshd-session", "sshd-auth", "dropbear"],
        &["sshd", "auth"],
        "sshd",
        Reader::Function(sshd::apply),
    ),
    program(&["sudo"], &["sudo", "auth"], "sudo", Reader::Function(sudo_line)),
    program(&["su"], &["auth"], "su", Reader::Table(&accounts::SU)),
    program(
        &["cron", "crond", "crontab", "anacron", "atd"],
        &["cron", "syslog"],
        "cron",
        Reader::Table(&accounts::CRON),
    ),
    program(
        &[
            "useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "gpasswd", "passwd", "chpasswd",
            "chage", "chsh", "chfn", "adduser", "newusers",
        ],
        &["auth"],
        "accounts",
        Reader::Table(&accounts::ACCOUNTS),
    ),
    program(
        &["login", "polkitd", "pkexec", "gdm-password]", "sssd", "runuser"],
        &["auth"],
        "login",
        Reader::Table(&accounts::LOGIN),
    ),
    program(&["systemd-logind"], &["auth", "syslog"], "systemd", Reader::Table(&accounts::SYSTEMD)),
    program(&["systemd"], &["syslog"], "systemd", Reader::Table(&accounts::SYSTEMD)),
    program(&["kernel"], &["syslog"], "kernel", Reader::Function(kernel::apply)),
    program(&["vsftpd"], &["vsftpd", "syslog"], "vsftpd", Reader::Table(&accounts::VSFTPD)),
    program(
        &["clamd", "clamav", "clamscan", "clamdscan", "freshclam"],
        &["clamav", "syslog"],
        "clamav",
        Reader::Nobody,
    ),
    program(&["guacd", "guacamole"], &["guacamole", "syslog"], "guacamole", Reader::Nobody),
    program(&["audispd", "audisp-syslog", "auditd", "audit"], &["auditd"], "auditd", Reader::Auditd),
    program(&["slapd"], &["slapd", "syslog"], "slapd", Reader::Function(slapd::apply)),
    program(&["krb5kdc", "kadmind"], &["krb5kdc", "auth"], "kerberos", Reader::Function(kerberos::apply)),
    program(
        &["smtpd", "smtp", "qmgr", "lmtp", "cleanup", "bounce", "error", "pickup", "postscreen", "local", "virtual"],
        &["postfix", "syslog"],
        "postfix",
        Reader::Function(mail::postfix),
    ),
    program(&["dovecot"], &["dovecot", "syslog"], "dovecot", Reader::Function(mail::dovecot)),
    program(&["postgres", "postgresql"], &["postgresql", "syslog"], "postgresql", Reader::Line(postgresql::syslog)),
    program(
        &["mysqld", "mariadbd", "mysql", "mariadb"],
        &["mysql", "syslog"],
        "mysql",
        Reader::Line(crate::format::mysql_line),
    ),
    program(&["mysql-server_auditing"], &["mysql", "syslog"], "mysql", Reader::Line(mysql_audit)),
    // Oracle's own tag has a blank, so it is found behind that of the journal, if there is one.
    program(&["journal"], &["syslog"], "syslog", Reader::Line(oracle_audit)),
    program(&["nginx"], &["nginx"], "nginx.access", Reader::WebAccess),
    program(&["apache", "apache2", "httpd"], &["apache"], "apache.access", Reader::WebAccess),
    // Networks: firewalls, name servers, tunnels, power.
    program(&["filterlog"], &["filterlog"], "pfsense.filterlog", Reader::Function(filterlog::apply)),
    program(&["named"], &["named", "syslog"], "named", Reader::Function(name_servers::named)),
    program(&["unbound"], &["unbound", "syslog"], "unbound", Reader::Function(name_servers::unbound)),
    program(&["dnsmasq"], &["dnsmasq", "syslog"], "dnsmasq", Reader::Function(name_servers::dnsmasq)),
    program(&["dhcpd", "dnsmasq-dhcp"], &["dhcpd", "syslog"], "dhcpd", Reader::Table(&name_servers::DHCP_TABLE)),
    program(&["openvpn", "ovpn-server"], &["openvpn", "auth"], "openvpn", Reader::Function(vpn::openvpn)),
    program(&["charon", "charon-systemd"], &["charon", "auth"], "strongswan", Reader::Function(vpn::charon)),
    program(&["pptpd", "xl2tpd", "pppd"], &["pppd", "auth"], "pppd", Reader::Function(vpn::ppp)),
    program(&["apcupsd", "upsmon"], &["ups", "syslog"], "ups", Reader::Table(&power::POWER)),
];

fn sudo_line(event: &mut Event, message: &str) {
    sudo::apply(event, message);
}

fn mysql_audit(event: &mut Event, _: &Context<'_>, message: &str) -> bool {
    mysql::audit(event, message)
}

fn oracle_audit(event: &mut Event, _: &Context<'_>, message: &str) -> bool {
    oracle::audit(event, message)
}

/// The row of a program. Names with a path or a version (`postfix/smtpd`, `CRON`) are looked up by their plain name.
pub(super) fn find(name: &str) -> Option<&'static Program> {
    let plain = name.rsplit('/').next().unwrap_or(name).trim_matches(['(', ')']);
    PROGRAMS.iter().find(|program| program.names.iter().any(|known| known.eq_ignore_ascii_case(plain)))
}

/// Lets the program's reader read, PAM's first, because its modules write in the name of any program.
pub(super) fn read(program: &Program, event: &mut Event, message: &str) {
    if pam::apply(event, message) {
        return;
    }
    match program.reader {
        Reader::Table(table) => drop(table.apply(event, message)),
        Reader::Function(function) => function(event, message),
        Reader::WebAccess | Reader::Auditd | Reader::Line(_) | Reader::Nobody => (),
    }
}
