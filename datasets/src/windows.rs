//! Events of the Windows administration server in the shape that Winlogbeat sends: Security, System and Sysmon.

use canh_schema::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

use crate::output::{Door, Output, Stream};
use crate::world::{self, Clock, OPERATORS, pick, pid};

pub(crate) const HOST: &str = "QuanTri-Svr";
const STREAM: Stream = Stream { host: HOST, name: "windows.ndjson", door: Door::HttpNdjson };
pub(crate) const SYSMON: (&str, &str) = ("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon");
pub(crate) const SECURITY: (&str, &str) = ("Security", "Microsoft-Windows-Security-Auditing");
pub(crate) const SYSTEM: (&str, &str) = ("System", "Service Control Manager");

/// One event. `data` is an object of text values, as `winlog.event_data` is.
pub(crate) fn event(
    random: &mut StdRng,
    output: &mut Output,
    at: Timestamp,
    source: (&str, &str),
    id: u32,
    data: Value,
) {
    let (channel, provider) = source;
    let data: Map<String, Value> = match data {
        Value::Object(data) => data,
        _ => Map::new(),
    };
    let event = json!({
        "@timestamp": at.to_string(),
        "event": {"code": id.to_string(), "provider": provider, "kind": "event"},
        "host": {"name": HOST},
        "log": {"level": "information"},
        "winlog": {
            "channel": channel,
            "provider_name": provider,
            "event_id": id,
            "record_id": random.random_range(1_000_u32..9_000_000),
            "computer_name": HOST,
            "process": {"pid": pid(random), "thread": {"id": pid(random)}},
            "event_data": data,
        },
    });
    output.line(STREAM, at, event.to_string());
}

/// Sysmon event 1.
pub(crate) fn process(
    random: &mut StdRng,
    output: &mut Output,
    at: Timestamp,
    user: &str,
    image: &str,
    command: &str,
    parent: &str,
) {
    let data = json!({
        "RuleName": "-", "UtcTime": at.to_string(), "ProcessGuid": format!("{{{}}}", world::hex(random, 32)),
        "ProcessId": pid(random).to_string(), "Image": image, "CommandLine": command, "CurrentDirectory": "C:\\Windows\\system32\\",
        "User": format!("QUANTRI\\{user}"), "IntegrityLevel": "High", "ParentProcessId": pid(random).to_string(),
        "ParentImage": parent, "ParentCommandLine": parent, "OriginalFileName": image.rsplit('\\').next().unwrap_or(image),
    });
    event(random, output, at, SYSMON, 1, data);
}

/// Security event 4624: somebody logged on. Type 3 is over the network, 10 is a remote desktop.
pub(crate) fn logon(random: &mut StdRng, output: &mut Output, at: Timestamp, user: &str, kind: u8, from: &str) {
    let data = json!({
        "TargetUserName": user, "TargetDomainName": "QUANTRI", "LogonType": kind.to_string(), "IpAddress": from,
        "IpPort": world::client_port(random).to_string(), "LogonProcessName": "NtLmSsp", "AuthenticationPackageName": "NTLM",
        "WorkstationName": "-", "SubjectUserName": "-",
    });
    event(random, output, at, SECURITY, 4_624, data);
}

/// System event 7045: a service was installed.
pub(crate) fn service(random: &mut StdRng, output: &mut Output, at: Timestamp, name: &str, path: &str) {
    let data = json!({"ServiceName": name, "ImagePath": path, "ServiceType": "user mode service", "StartType": "auto start", "AccountName": "LocalSystem"});
    event(random, output, at, SYSTEM, 7_045, data);
}

pub(crate) fn access(
    random: &mut StdRng,
    output: &mut Output,
    at: Timestamp,
    source: &str,
    target: &str,
    granted: &str,
) {
    let data = json!({
        "SourceImage": source, "TargetImage": target, "GrantedAccess": granted, "SourceProcessId": pid(random).to_string(),
        "TargetProcessId": "712", "CallTrace": "C:\\Windows\\SYSTEM32\\ntdll.dll+9d4c4|C:\\Windows\\System32\\KERNELBASE.dll+2c13e",
    });
    event(random, output, at, SYSMON, 10, data);
}

pub(crate) fn ordinary(clock: &Clock, random: &mut StdRng, output: &mut Output) {
    const PROGRAMS: [(&str, &str); 6] = [
        (
            "C:\\Windows\\System32\\mmc.exe",
            "\"C:\\Windows\\System32\\mmc.exe\" \"C:\\Windows\\System32\\services.msc\"",
        ),
        ("C:\\Windows\\System32\\cmd.exe", "cmd.exe /c echo kiem tra"),
        ("C:\\Program Files\\PuTTY\\putty.exe", "\"C:\\Program Files\\PuTTY\\putty.exe\" -ssh 10.10.2.23"),
        ("C:\\Windows\\System32\\taskhostw.exe", "taskhostw.exe SYSTEM"),
        ("C:\\Windows\\System32\\svchost.exe", "C:\\Windows\\System32\\svchost.exe -k netsvcs -p -s Schedule"),
        ("C:\\Windows\\System32\\rundll32.exe", "rundll32.exe shell32.dll,Control_RunDLL timedate.cpl"),
    ];
    for at in clock.times(random, 1.2) {
        let (image, command) = PROGRAMS[random.random_range(0..PROGRAMS.len())];
        let user = pick(random, &OPERATORS);
        process(random, output, at, user, image, command, "C:\\Windows\\explorer.exe");
    }
    for at in clock.times(random, 0.15) {
        let from = world::workstation(random).to_string();
        let user = pick(random, &OPERATORS);
        logon(random, output, at, user, 10, &from);
    }
    for at in clock.times_evenly(random, 0.3) {
        access(
            random,
            output,
            at,
            "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\4.18.25\\MsMpEng.exe",
            "C:\\Windows\\System32\\lsass.exe",
            "0x1000",
        );
    }
    for at in clock.times_evenly(random, 0.4) {
        let data = json!({"param1": "Windows Update", "param2": "running"});
        event(random, output, at, SYSTEM, 7_036, data);
    }
    // An operator installs a service now and then.
    for at in clock.hourly(23).into_iter().filter(|at| clock.local(*at).hour() == 15) {
        service(random, output, at, "SaoLuuCSDL", "\"C:\\Program Files\\SaoLuu\\saoluu-svc.exe\"");
    }
}
