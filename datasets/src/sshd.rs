//! Log-ins: sshd, PAM, sudo and cron lines as rsyslog writes them to `auth.log` (RFC 3164 form, local time).

use std::net::Ipv4Addr;
use std::time::Duration;

use canh_schema::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::output::{Output, Stream};
use crate::world::{self, AGENT_HOSTS, BACKUP_ACCOUNT, Clock, OPERATORS, client_port, pick, pid};

/// How the client proved who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Password,
    PublicKey,
}

/// One client talking to sshd of one host.
pub(crate) struct Client<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) host: &'static str,
    pub(crate) address: Ipv4Addr,
    pub(crate) user: &'a str,
}

fn line(clock: &Clock, output: &mut Output, host: &'static str, at: Timestamp, program: &str, text: &str) {
    let stamp = clock.local(at).strftime("%b %e %H:%M:%S").to_string();
    output.line(Stream::file(host, "auth.log"), at, format!("{stamp} {host} {program}: {text}"));
}

impl Client<'_> {
    fn say(&self, output: &mut Output, at: Timestamp, pid: u32, text: &str) {
        line(self.clock, output, self.host, at, &format!("sshd[{pid}]"), text);
    }

    /// A refused password. An account that does not exist says so first.
    pub(crate) fn fail(&self, random: &mut StdRng, output: &mut Output, at: Timestamp, exists: bool) {
        let (pid, port) = (pid(random), client_port(random));
        let (address, user) = (self.address, self.user);
        let invalid = if exists { "" } else { "invalid user " };
        if !exists {
            self.say(output, at, pid, &format!("Invalid user {user} from {address} port {port}"));
        }
        let rhost = format!("authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={address}");
        let account = if exists { format!("  user={user}") } else { String::new() };
        self.say(output, at, pid, &format!("pam_unix(sshd:auth): {rhost}{account}"));
        let later = at + Duration::from_millis(random.random_range(1_500..2_500));
        self.say(output, later, pid, &format!("Failed password for {invalid}{user} from {address} port {port} ssh2"));
        let end = later + Duration::from_millis(200);
        self.say(
            output,
            end,
            pid,
            &format!("Connection closed by {invalid}authenticating user {user} {address} port {port} [preauth]"),
        );
    }

    /// A log-in that works, and its end.
    pub(crate) fn login(
        &self,
        random: &mut StdRng,
        output: &mut Output,
        at: Timestamp,
        proof: Proof,
        length: Duration,
    ) {
        let (pid, port) = (pid(random), client_port(random));
        let (address, user) = (self.address, self.user);
        let how = match proof {
            Proof::Password => format!("Accepted password for {user} from {address} port {port} ssh2"),
            Proof::PublicKey => format!(
                "Accepted publickey for {user} from {address} port {port} ssh2: ED25519 SHA256:{}",
                world::hex(random, 43)
            ),
        };
        self.say(output, at, pid, &how);
        self.say(
            output,
            at,
            pid,
            &format!("pam_unix(sshd:session): session opened for user {user}(uid=1001) by (uid=0)"),
        );
        let end = at + length;
        if end < self.clock.end {
            self.say(
                output,
                end,
                pid,
                &format!("Received disconnect from {address} port {port}:11: disconnected by user"),
            );
            self.say(output, end, pid, &format!("pam_unix(sshd:session): session closed for user {user}"));
        }
    }
}

pub(crate) fn sudo(clock: &Clock, output: &mut Output, host: &'static str, at: Timestamp, user: &str, command: &str) {
    line(
        clock,
        output,
        host,
        at,
        "sudo",
        &format!("{user:>9} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND={command}"),
    );
    line(
        clock,
        output,
        host,
        at,
        "sudo",
        &format!("pam_unix(sudo:session): session opened for user root(uid=0) by {user}(uid=1001)"),
    );
    let end = at + Duration::from_millis(900);
    line(clock, output, host, end, "sudo", "pam_unix(sudo:session): session closed for user root");
}

const ROUTINE: [&str; 7] = [
    "/usr/bin/systemctl status wso2",
    "/usr/bin/systemctl reload nginx",
    "/usr/bin/journalctl -u wso2 --since today",
    "/usr/bin/tail -n 200 /var/log/nginx/error.log",
    "/usr/bin/du -sh /opt/wso2/repository/logs",
    "/usr/bin/dnf check-update",
    "/usr/bin/ss -tlnp",
];

pub(crate) fn ordinary(clock: &Clock, random: &mut StdRng, output: &mut Output) {
    for host in AGENT_HOSTS {
        for at in clock.times(random, 0.12) {
            operator_at_work(clock, random, output, host, at);
        }
        for at in clock.hourly(17) {
            cron(clock, random, output, host, at, "cd / && run-parts --report /etc/cron.hourly");
        }
        for at in clock.times_evenly(random, 0.1) {
            cron(clock, random, output, host, at, "/usr/local/bin/kiemtra-dichvu.sh");
        }
        // The backup server fetches at night, by key.
        for at in clock.hourly(5).into_iter().filter(|at| clock.local(*at).hour() == 1) {
            let client = Client { clock, host, address: Ipv4Addr::new(10, 10, 2, 40), user: BACKUP_ACCOUNT };
            client.login(random, output, at, Proof::PublicKey, Duration::from_secs(1_200));
        }
    }
    internet_noise(clock, random, output);
}

fn operator_at_work(clock: &Clock, random: &mut StdRng, output: &mut Output, host: &'static str, at: Timestamp) {
    let user = pick(random, &OPERATORS);
    let client = Client { clock, host, address: world::workstation(random), user };
    let mut at = at;
    // People mistype: up to four times, which is fewer than a guessing machine.
    if random.random_bool(0.15) {
        for _ in 0..random.random_range(1..=4) {
            client.fail(random, output, at, true);
            at = at + Duration::from_secs(random.random_range(4..15));
        }
    }
    let proof = if random.random_bool(0.6) { Proof::PublicKey } else { Proof::Password };
    let length = Duration::from_secs(random.random_range(60..2_400));
    client.login(random, output, at, proof, length);
    for n in 0..random.random_range(0..4_u64) {
        let when = at + Duration::from_secs(10 + n * 17);
        if when < clock.end {
            sudo(clock, output, host, when, user, pick(random, &ROUTINE));
        }
    }
}

fn cron(clock: &Clock, random: &mut StdRng, output: &mut Output, host: &'static str, at: Timestamp, command: &str) {
    let program = format!("CRON[{}]", pid(random));
    line(clock, output, host, at, &program, "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)");
    line(clock, output, host, at, &program, &format!("(root) CMD ({command})"));
    line(
        clock,
        output,
        host,
        at + Duration::from_secs(1),
        &program,
        "pam_unix(cron:session): session closed for user root",
    );
}

/// What every address on the Internet sees: single guesses from many places.
fn internet_noise(clock: &Clock, random: &mut StdRng, output: &mut Output) {
    const GUESSED: [&str; 8] = ["admin", "test", "ubuntu", "oracle", "git", "ftpuser", "pi", "postgres"];
    for at in clock.times_evenly(random, 0.05) {
        let address = Ipv4Addr::new(192, 0, 2, random.random_range(200..255));
        let user = pick(random, &GUESSED);
        let client = Client { clock, host: "API-Svr", address, user };
        for n in 0..random.random_range(1..3_u64) {
            client.fail(random, output, at + Duration::from_secs(n * 6), false);
        }
    }
}
