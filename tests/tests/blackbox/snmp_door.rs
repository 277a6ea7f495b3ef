//! net-snmp's own clients at the door for SNMP: traps and informs of every version.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use canh_tests::{Server, ServerOptions, free_port, wait_until};

use super::doors::{count_reaches, tool};

/// Hash and cipher of each user, as the door and as net-snmp name them.
const USERS: &[(&str, &str, &str, &str)] = &[
    ("md5", "MD5", "des", "DES"),
    ("sha1", "SHA", "aes128", "AES"),
    ("sha256", "SHA-256", "aes256", "AES-256"),
    ("sha512", "SHA-512", "aes192", "AES-192"),
];
const AUTH: &str = "mat-khau-xac-thuc";
const PRIVACY: &str = "mat-khau-ma-hoa";
/// A name of an engine, as a device has one.
const ENGINE: &str = "0x8000000001020304";

fn config(dir: &Path, port: u16, more: &str) -> anyhow::Result<String> {
    let file = |name: &str, text: &str| -> anyhow::Result<String> {
        fs::create_dir_all(dir)?;
        let path = dir.join(name);
        fs::write(&path, format!("{text}\n"))?;
        Ok(format!("{:?}", path.display().to_string()))
    };
    let (community, auth, privacy) = (file("community", "bi-mat")?, file("auth", AUTH)?, file("privacy", PRIVACY)?);
    let mut config = format!(
        "[collector.snmp]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n{more}\n\
         [[collector.snmp.community]]\nname = \"core\"\ncommunity_file = {community}\n"
    );
    for (hash, _, cipher, _) in USERS {
        config += &format!(
            "[[collector.snmp.user]]\nname = \"{hash}\"\nauth = \"{hash}\"\nauth_password_file = {auth}\n\
             privacy = \"{cipher}\"\nprivacy_password_file = {privacy}\n"
        );
    }
    config += &format!(
        "[[collector.snmp.user]]\nname = \"signed\"\nauth = \"sha256\"\nauth_password_file = {auth}\n\
         [[collector.snmp.user]]\nname = \"open\"\n"
    );
    Ok(config)
}

/// Runs one of net-snmp's programs. It keeps its own memory in the directory.
fn run(dir: &Path, program: &str, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let Some(path) = tool(program) else { anyhow::bail!("`{program}` went away") };
    let output = Command::new(path)
        .args(["-M", "", "-m", ""])
        .args(arguments)
        .env("SNMP_PERSISTENT_DIR", dir)
        .env("SNMPCONFPATH", dir)
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// The numbers of `linkDown` and of what it carries.
const LINK_DOWN: &[&str] = &[
    "",
    "1.3.6.1.6.3.1.1.5.3",
    "1.3.6.1.2.1.2.2.1.1.7",
    "i",
    "7",
    "1.3.6.1.2.1.2.2.1.2.7",
    "s",
    "GigabitEthernet0/7",
    "1.3.6.1.2.1.2.2.1.8.7",
    "i",
    "2",
];

#[test]
fn traps_and_informs_of_every_version() -> anyhow::Result<()> {
    if tool("snmptrap").is_none() || tool("snmpinform").is_none() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (own, port) = (dir.path().join("client"), free_port()?);
    fs::create_dir_all(&own)?;
    let config = config(&dir.path().join("secrets"), port, "")?;
    let mut server = Server::start(&dir.path().join("server"), &ServerOptions { config, ..ServerOptions::default() })?;
    let to = format!("127.0.0.1:{port}");
    let send = |program: &str, how: &[&str]| run(&own, program, &[how, &[&to], LINK_DOWN].concat());

    // Version 1: enterprise, agent, generic number 2 for linkDown, specific number, uptime.
    let v1 = ["-v", "1", "-c", "bi-mat", &to, "1.3.6.1.4.1.9.1.1", "192.0.2.7", "2", "0", "99"];
    let (done, text) = run(&own, "snmptrap", &v1)?;
    assert!(done, "{text}");
    count_reaches(&server, "snmp.version:1 event.action:link_change host.ip:192.0.2.7 snmp.security.name:core", 1)?;

    let (done, text) = send("snmptrap", &["-v", "2c", "-c", "bi-mat"])?;
    assert!(done, "{text}");
    count_reaches(&server, "snmp.version:2c snmp.pdu:trap snmp.trap.name:linkDown event.outcome:failure", 1)?;
    let found = "observer.ingress.interface.name:\"GigabitEthernet0/7\" ifOperStatus:down ifIndex:7";
    count_reaches(&server, &format!("snmp.pdu:trap {found}"), 1)?;

    let (done, text) = send("snmpinform", &["-v", "2c", "-c", "bi-mat", "-t", "5"])?;
    assert!(done, "the inform was not answered: {text}");
    assert_eq!(server.api()?.count("snmp.version:2c snmp.pdu:inform")?.max(1), 1);
    count_reaches(&server, "snmp.version:2c snmp.pdu:inform", 1)?;

    for (hash, hash_name, _, cipher_name) in USERS {
        let user =
            ["-v", "3", "-u", hash, "-l", "authPriv", "-a", hash_name, "-A", AUTH, "-x", cipher_name, "-X", PRIVACY];
        let (done, text) = send("snmptrap", &[&user, &["-e", ENGINE, "-E", ENGINE][..]].concat())?;
        assert!(done, "{hash}: {text}");
        let (done, text) = send("snmpinform", &[&user, &["-t", "5"][..]].concat())?;
        assert!(done, "{hash}: the inform was not answered: {text}");
        let of = format!("snmp.security.name:{hash} snmp.security.level:authPriv event.action:link_change");
        count_reaches(&server, &format!("{of} snmp.pdu:inform"), 1)?;
        count_reaches(&server, &format!("{of} snmp.pdu:trap snmp.engine.id:8000000001020304"), 1)?;
    }
    let signed = ["-v", "3", "-u", "signed", "-l", "authNoPriv", "-a", "SHA-256", "-A", AUTH];
    let (done, text) = send("snmpinform", &[&signed, &["-t", "5"][..]].concat())?;
    assert!(done, "{text}");
    count_reaches(&server, "snmp.security.level:authNoPriv", 1)?;
    let (done, text) = send("snmpinform", &["-v", "3", "-u", "open", "-l", "noAuthNoPriv", "-t", "5"])?;
    assert!(done, "{text}");
    count_reaches(&server, "snmp.security.level:noAuthNoPriv snmp.security.name:open", 1)?;

    // Wrong ones are counted, and told if they ask.
    let dropped =
        |reason: &str| server.api()?.metric(&format!("canh_dropped_total{{reason=\"{reason}\",stage=\"snmp\"}}"));
    send("snmptrap", &["-v", "2c", "-c", "public"])?;
    wait_until(
        "the wrong community to be counted",
        Duration::from_secs(10),
        || Ok(dropped("unauthenticated")? >= 1.0),
    )?;
    let wrong = [
        "-v",
        "3",
        "-u",
        "signed",
        "-l",
        "authNoPriv",
        "-a",
        "SHA-256",
        "-A",
        "another password",
        "-t",
        "1",
        "-r",
        "0",
    ];
    let (done, text) = send("snmpinform", &wrong)?;
    assert!(!done && text.contains("Authentication failure"), "{text}");
    let (done, text) = send("snmpinform", &["-v", "3", "-u", "nobody", "-l", "noAuthNoPriv", "-t", "1", "-r", "0"])?;
    assert!(!done && text.contains("Unknown user name"), "{text}");
    // Less protection than the user has to have.
    let (done, _) = send("snmpinform", &["-v", "3", "-u", "signed", "-l", "noAuthNoPriv", "-t", "1", "-r", "0"])?;
    assert!(!done);
    assert!(dropped("unauthenticated")? >= 4.0);
    UdpSocket::bind("127.0.0.1:0")?.send_to(b"nonsense", &to)?;
    wait_until("nonsense to be counted", Duration::from_secs(10), || Ok(dropped("bad_frame")? >= 1.0))?;

    // No secret is in anything that is written.
    let all = server.api()?.events("event.dataset:snmp.trap")?;
    assert!(all.len() >= 12, "{} events", all.len());
    for entry in walk(&server.data())? {
        let bytes = fs::read(&entry)?;
        for secret in ["bi-mat", AUTH, PRIVACY] {
            let there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!there, "`{secret}` is in `{}`", entry.display());
        }
    }

    // After a restart the engine has its name still, and its clock goes on.
    server.process.kill()?;
    server.restart()?;
    let (done, text) = send("snmpinform", &[&signed, &["-t", "5"][..]].concat())?;
    assert!(done, "{text}");
    count_reaches(&server, "snmp.security.level:authNoPriv", 2)
}

fn walk(dir: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(walk(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[test]
fn names_come_from_the_folder_of_modules() -> anyhow::Result<()> {
    let modules = Path::new("/usr/share/snmp/mibs");
    if tool("snmptrap").is_none() || !modules.join("UCD-SNMP-MIB.txt").is_file() {
        eprintln!("SKIPPED: `{}` has no UCD-SNMP-MIB.txt", modules.display());
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (own, port) = (dir.path().join("client"), free_port()?);
    fs::create_dir_all(&own)?;
    let config = config(&dir.path().join("secrets"), port, &format!("mibs = {:?}", modules.display().to_string()))?;
    let server = Server::start(&dir.path().join("server"), &ServerOptions { config, ..ServerOptions::default() })?;
    let to = format!("127.0.0.1:{port}");
    // ucdShutdown, with dskPath.1 and laErrorFlag.1.
    let trap = ["-v", "2c", "-c", "bi-mat", &to, "", "1.3.6.1.4.1.2021.251.2"];
    let variables = [
        "1.3.6.1.4.1.2021.9.1.2.1",
        "s",
        "/var",
        "1.3.6.1.4.1.2021.10.1.100.1",
        "i",
        "1",
        "1.3.6.1.4.1.55555.1",
        "i",
        "5",
    ];
    let (done, text) = run(&own, "snmptrap", &[&trap[..], &variables].concat())?;
    assert!(done, "{text}");
    count_reaches(&server, "snmp.trap.name:ucdShutdown dskPath:\"/var\" laErrorFlag:error", 1)?;
    count_reaches(&server, "1.3.6.1.4.1.55555.1:5", 1)
}
