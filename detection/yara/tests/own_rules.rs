//! The rules in `rules/yara`: each finds what it is for and not its near misses. Samples are put together here from
//! parts, so that no file of this repository is taken for one of them.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use canh_yara::{RuleFiles, SampleInfo, ScanLimits, Scanner};

fn rules() -> Scanner {
    let compiled = RuleFiles::load([Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules/yara")]).compile();
    assert_eq!(compiled.problems, []);
    compiled.scanner
}

fn matching(scanner: &Scanner, path: &str, bytes: &[u8]) -> BTreeSet<String> {
    let report = scanner.scan(bytes, &SampleInfo::of_path(path), &ScanLimits::default());
    report.matches.into_iter().map(|found| found.rule).collect()
}

/// The rule, the path of the sample, and its parts.
type Row = (&'static str, &'static str, &'static [&'static str]);

const BASE64: &str = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU2Nzg5QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVow\
    MTIzNDU2Nzg5QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU2Nzg5QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU2Nzg5QUJDREVG\
    R0hJSktMTU5PUFFSU1RVVldYWVow";

const FOUND: &[Row] = &[
    (
        "eicar_test_file",
        "eicar.com",
        &["X5O!P%@AP[4\\PZX54(P^)7CC)7}", "$EICAR-STANDARD-ANTIVIRUS", "-TEST-FILE!$H+H*"],
    ),
    ("web_shell_php_request_runs", "a.php", &["<?php @ev", "al($_POST['x']); ?>"]),
    ("web_shell_php_request_runs", "a.php", &["<?= sys", "tem(base64_decode($_REQUEST[\"c\"]));"]),
    ("web_shell_php_request_runs", "a.jpg", &["\u{fffd}JFIF <?php $_GET['f']", "($_POST['a']); ?>"]),
    ("web_shell_php_request_runs", "a.php", &["<?php echo `ls ", "$_GET[d]`;"]),
    ("web_shell_php_packed_code", "b.php", &["<?php ev", "al(gzinflate(base64_decode('", BASE64, "')));"]),
    (
        "web_shell_jsp_command",
        "/opt/tomcat/webapps/ROOT/x.jsp",
        &[
            "<%@ page import=\"java.io.*\" %><% Process p = Runtime.get",
            "Runtime().exec(request.getParameter(\"c\")); %>",
        ],
    ),
    (
        "web_shell_jsp_command",
        "y.jsp",
        &["<% byte[] b = decode(request.getReader().readLine()); new U(this).define", "Class(b, 0, b.length); %>"],
    ),
    (
        "web_shell_aspx_command",
        "z.aspx",
        &["<%@ Page Language=\"Jscript\"%><%ev", "al(Request.Item[\"p\"],\"unsafe\");%>"],
    ),
    (
        "web_shell_aspx_command",
        "z.aspx",
        &["<%@ Page Language=\"C#\"%><% var i = new Process", "StartInfo(\"cmd.exe\", \"/c \" + Request[\"c\"]); %>"],
    ),
    ("elf_as_web_script", "/var/www/html/anh.php", &["\u{7f}ELF\u{2}\u{1}\u{1}"]),
    ("elf_as_web_script", "/opt/tomcat/webapps/ROOT/upload/x", &["\u{7f}ELF\u{2}\u{1}\u{1}"]),
    (
        "script_carries_elf",
        "run.sh",
        &[
            "#!/bin/sh\necho f0VM",
            "RgIBAQAAAAAAAAAAAAIAPgABAAAAgAhAAAAAAABAAAAAAAAAAAA | base64 -d > /tmp/x; chmod +x /tmp/x",
        ],
    ),
    (
        "script_carries_elf",
        "a.php",
        &["<?php file_put_contents('/tmp/a', \"\\x7f", "\\x45\\x4c\\x46\\x02\\x01\\x01\"); ?>"],
    ),
    (
        "powershell_encoded_dropper",
        "a.bat",
        &[
            "powershell.exe -nop -w hidden -en",
            "c SQBFAFgAKABOAGUAdwAtAE8AYgBqAGUAYwB0ACAATgBlAHQALgBXAGUAYgBDAGwAaQBlAG4AdAApAA==",
        ],
    ),
    (
        "powershell_encoded_dropper",
        "a.ps1",
        &["$d=[Convert]::FromBase64", "String($x); I", "EX (New-Object IO.Compression.Gzip", "Stream($d))"],
    ),
    ("program_named_like_a_document", "Bao cao.pdf   .exe", &["MZ\u{90}"]),
    (
        "ransom_note",
        "READ_ME.txt",
        &["All your files have been encrypted.\nTo get the decryption key pay 2 BTC.\nDo not rename them."],
    ),
    (
        "ransom_note",
        "HUONG_DAN.txt",
        &[
            "Toàn bộ dữ liệu trên máy chủ này đã bị mã hóa. Muốn có khóa giải mã hãy trả tiền chuộc. Đừng tự giải mã; dùng Tor Browser.",
        ],
    ),
    (
        "ransom_note",
        "doc.txt",
        &["May chu va du lieu cua ban da bi ma hoa. Tien chuoc: 1 bitcoin. Lien he abc@onionmail.org"],
    ),
];

const NOT_FOUND: &[Row] = &[
    ("", "eicar.md", &["The file says $EICAR-STANDARD-ANTIVIRUS-TEST-FILE! somewhere in the middle of a text."]),
    ("", "safe.php", &["<?php $id = intval($_GET['id']); echo htmlspecialchars(system_name($id)); ?>"]),
    ("", "manual.md", &["Never write eval($_POST['x']) in a page."]),
    ("", "thumb.php", &["<?php $data = base64_decode('", BASE64, "'); imagecreatefromstring($data);"]),
    (
        "",
        "list.jsp",
        &["<%@ page import=\"java.util.*\" %><% String q = request.getParameter(\"q\"); out.print(escape(q)); %>"],
    ),
    ("", "Job.java", &["class Job { void run() { Runtime.getRuntime().exec(\"ls\"); request.getParameter(\"a\"); } }"]),
    ("", "ok.aspx", &["<%@ Page Language=\"C#\"%><% Response.Write(Server.HtmlEncode(Request[\"c\"])); %>"]),
    ("", "/usr/bin/ls", &["\u{7f}ELF\u{2}\u{1}\u{1}"]),
    ("", "install.sh", &["#!/bin/sh\necho SGVsbG8= | base64 -d\n"]),
    ("", "setup.ps1", &["Invoke-WebRequest https://example.org/a.msi -OutFile a.msi; Start-Process a.msi"]),
    ("", "report.pdf.txt", &["MZ is how programs begin"]),
    ("", "setup.exe", &["MZ\u{90}"]),
    ("", "policy.txt", &["Backups are encrypted. Do not rename them. Keys are with the administrator."]),
    ("", "tin.txt", &["Dữ liệu được mã hóa khi truyền. Thanh toán trực tuyến qua cổng dịch vụ công."]),
];

#[track_caller]
fn check(scanner: &Scanner, row: &Row) {
    let (rule, path, parts) = row;
    let found = matching(scanner, path, parts.concat().as_bytes());
    let expected: BTreeSet<String> = [*rule].iter().filter(|rule| !rule.is_empty()).map(ToString::to_string).collect();
    assert_eq!(found, expected, "sample `{path}`: {parts:?}");
}

#[test]
fn every_rule_finds_what_it_is_for_and_nothing_else() {
    let scanner = rules();
    FOUND.iter().for_each(|row| check(&scanner, row));
    let tested: BTreeSet<&str> = FOUND.iter().map(|(rule, ..)| *rule).collect();
    assert_eq!(tested.len(), scanner.rule_count(), "a rule has no sample");
}

#[test]
fn no_rule_finds_its_near_misses() {
    let scanner = rules();
    NOT_FOUND.iter().for_each(|row| check(&scanner, row));
}

/// Text of Windows is often UTF-16.
#[test]
fn texts_in_utf16_are_found_too() {
    let scanner = rules();
    let text = "All your files have been encrypted. Send 2 BTC. Do not modify anything.";
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(matching(&scanner, "a.txt", &wide), BTreeSet::from(["ransom_note".to_owned()]));
}
