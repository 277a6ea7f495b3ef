//! What is packed is scanned, and no archive costs more than the limits.

mod support;

use std::time::{Duration, Instant};

use canh_yara::{SampleInfo, ScanLimits};
use support::{CANARY, gaps, gzip, places, scan, scanner, tarball, zip, zstd};

/// A line with the word in it, packed with `xz -9`.
const XZ: &[u8] = include_bytes!("data/canary.txt.xz");

#[track_caller]
fn check(name: &str, bytes: &[u8], places_expected: &[&str], gaps_expected: &[&str]) {
    let report = scan(&scanner(CANARY), name, bytes);
    assert_eq!((places(&report), gaps(&report)), (places_expected.to_vec(), gaps_expected.to_vec()), "sample: {name}");
}

/// Text in which the word is not readable once it is packed.
fn text() -> Vec<u8> {
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx a canary xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx canary".to_vec()
}

#[test]
fn each_packing_is_opened() {
    let text = text();
    check("a.txt", &text, &[""], &[]);
    check("a.zip", &zip(&[("no.txt", b"nothing"), ("dir/b.txt", &text)]), &["a.zip!/dir/b.txt"], &[]);
    check("a.txt.gz", &gzip(&text), &["a.txt.gz!/gzip"], &[]);
    check("a.txt.zst", &zstd(&text), &["", "a.txt.zst!/zstd"], &[]); // so short that it is hardly packed
    check("a.txt.xz", XZ, &["a.txt.xz!/xz"], &[]);
    let tar = tarball(&[("x/y.txt", &text)]);
    check("a.tar", &tar, &["", "a.tar!/x/y.txt"], &[]); // nothing is packed in a tar, so it matches itself too
    check("a.tgz", &gzip(&tar), &["a.tgz!/gzip", "a.tgz!/gzip!/x/y.txt"], &[]);
    check("a.zip", &zip(&[("", &text)]), &["a.zip!/unnamed"], &[]);
    let inner = zip(&[("c.txt", &text)]);
    check("a.docx", &zip(&[("word/b.jar", &inner)]), &["a.docx!/word/b.jar!/c.txt"], &[]);
}

/// Base64 in lines of 76, as mail has it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (at, group) in bytes.chunks(3).enumerate() {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place > group.len() { '=' } else { char::from(digit) });
        }
        if at % 19 == 18 {
            text.push_str("\r\n");
        }
    }
    text
}

#[test]
fn parts_of_mail_are_members() {
    let zipped = base64(&zip(&[("b.txt", &text())]));
    let attachment = format!(
        "Content-Type: application/zip; name=\"old.zip\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment;\r\n filename=\"=?UTF-8?B?{}?=\"\r\n\r\n{zipped}\r\n",
        base64("hóa đơn.zip".as_bytes())
    );
    let mail = format!(
        "Received: from a\r\n by b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_x y\"\r\n\r\n\
         preamble\r\n--=_x y\r\nContent-Type: multipart/alternative; boundary=zz\r\n\r\n--zz\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nca=\r\nna=72y\r\n--zz--\r\n\
         --=_x y\r\n{attachment}--=_x y--\r\nepilogue"
    );
    let expected = ["m.eml!/multipart!/part", "m.eml!/hóa đơn.zip!/b.txt"];
    check("m.eml", mail.as_bytes(), &expected, &[]);
    let in_mailbox = ["m.mbox!/multipart!/part", "m.mbox!/hóa đơn.zip!/b.txt"];
    check("m.mbox", format!("From a@b Mon\n{mail}").as_bytes(), &in_mailbox, &[]);
    // One message that is nothing but a file, and one in another.
    let single = format!("Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n{}", base64(b"a canary"));
    check("s.eml", single.as_bytes(), &["s.eml!/part"], &[]);
    let outer =
        format!("Content-Type: multipart/digest; boundary=q\n\n--q\nContent-Type: message/rfc822\n\n{single}\n--q--\n");
    check("o.eml", outer.as_bytes(), &["o.eml!/message.eml!/part"], &[]);
}

#[test]
fn parts_of_forms_and_soap_are_members() {
    let form = "--b1\r\nContent-Disposition: form-data; name=\"f\"; filename=\"c.php\"\r\n\r\nca nary\r\n--b1\r\n\
                Content-Disposition: form-data; name=\"g\"; filename*=UTF-8''d%20e.jsp\r\n\r\n\r\ncanary\r\n\r\n--b1--\r\n";
    check("up", form.as_bytes(), &["", "up!/d e.jsp"], &[]);
    // The part has exactly the bytes between the line ends that belong to the boundaries.
    let rule = "rule r { condition: filesize == 10 and filename == \"d e.jsp\" and extension == \".jsp\" }";
    assert_eq!(places(&scan(&scanner(rule), "up", form.as_bytes())), ["up!/d e.jsp"]);
    // MTOM: the document refers to parts that are as they are.
    let mut mtom = b"--uuid:1\r\nContent-Type: application/xop+xml; type=\"text/xml\"\r\n\r\n<s:Envelope><xop:Include \
                     href=\"cid:2\"/></s:Envelope>\r\n--uuid:1\r\nContent-ID: <2>\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        .to_vec();
    mtom.extend(zip(&[("b.txt", &text())]));
    mtom.extend(b"\r\n--uuid:1--");
    // Such a body ends like a zip too, and both readings are looked at.
    check("m", &mtom, &["m!/part!/b.txt", "m!/b.txt"], &[]);
    check("cut", b"--b1\r\nContent-Type: a/b\r\n\r\nxx canary", &["", "cut!/part"], &["damaged"]);
    check("other", b"--b1\r\nContent-Type: a/b\r\n\r\nx\r\n--b12\r\ncanary\r\n--b1--", &["", "other!/part"], &[]);
}

#[test]
fn files_in_documents_are_members() {
    let zipped = base64(&zip(&[("b.txt", &text())]));
    let soap = format!(
        "<?xml version=\"1.0\"?>\n<s:Envelope><s:Body><file name=\"x\">\n{zipped}\n</file></s:Body></s:Envelope>"
    );
    check("soap.xml", soap.as_bytes(), &["soap.xml!/base64-1!/b.txt"], &[]);
    let one_line = zipped.replace("\r\n", "");
    check("a.json", format!("{{\"a\":[{{\"b\":\"{one_line}\"}}]}}").as_bytes(), &["a.json!/base64-1!/b.txt"], &[]);
    // A document in a document, and both in a form.
    let inner = base64(format!("{{\"b\":\"{one_line}\"}}").as_bytes());
    let form = format!("--q\r\nContent-Type: text/xml\r\n\r\n<a>{inner}</a>\r\n--q--\r\n");
    check("f", form.as_bytes(), &["f!/part!/base64-1!/base64-1!/b.txt"], &[]);
    check("plain.json", b"{\"a\":\"canary\"}", &[""], &[]);
    check("hash.json", format!("{{\"a\":\"{}\"}}", "ab12".repeat(32)).as_bytes(), &[], &[]);
}

#[test]
fn carriers_are_bounded() {
    let part = "--x\r\nContent-Type: a/b\r\n\r\ny\r\n".repeat(300);
    check_bounded("many.form", part.as_bytes(), &ScanLimits { members_max: 200, ..limits() }, "members");
    let texts = format!("[{}1]", format!("\"{}\",", "Zm9v".repeat(25)).repeat(300));
    check_bounded("many.json", texts.as_bytes(), &ScanLimits { members_max: 200, ..limits() }, "members");
    let mut nested = "x".repeat(90);
    for _ in 0..20 {
        nested = format!("{{\"a\":\"{}\"}}", base64(nested.as_bytes()).replace("\r\n", ""));
    }
    check_bounded("deep.json", nested.as_bytes(), &limits(), "depth");
    // Header fields and boundaries that lead nowhere.
    let begun = Instant::now();
    for bytes in [
        format!("Content-Type: multipart/mixed; boundary=x\n{}", "a: b\n".repeat(1 << 20)),
        format!("a: {}", "b".repeat(32 << 20)),
        format!("Content-Type: multipart/mixed; {}\n\n", "a;".repeat(1 << 14)),
        format!("--x\nContent-Type: a/b\n\n{}", "--".repeat(8 << 20)),
        format!("<{}", "A<".repeat(8 << 20)),
        format!("<{}", "&#".repeat(8 << 20)),
    ] {
        scan(&scanner(CANARY), "a", bytes.as_bytes());
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
}

#[test]
fn a_zip_behind_a_program_is_found() {
    let mut bytes = b"MZ this program unpacks itself".to_vec();
    bytes.extend(zip(&[("b.txt", &text())]));
    check("setup.exe", &bytes, &["setup.exe!/b.txt"], &[]);
    check("bell.exe", b"MZ PK\x05\x06 and no zip at all", &[], &[]);
    // A program that works with zips has the marks among its constants.
    check("zip.exe", b"MZ PK\x03\x04 PK\x01\x02 PK\x05\x06 and thirty more bytes that say nothing at all", &[], &[]);
}

#[test]
fn a_member_has_its_own_name_size_and_hash() {
    let bytes = zip(&[("dir/b.PHP", b"canary")]);
    let rule = "rule r { strings: $a = \"canary\" condition: $a and filename == \"b.PHP\" and extension == \".php\" \
                and filepath == \"a.zip!/dir/b.PHP\" and filesize == 6 }";
    let report = scan(&scanner(rule), "a.zip", &bytes);
    let member = report.matches.first().and_then(|found| found.member.clone()).expect("a member");
    assert_eq!((member.size, member.sha256.len()), (6, 64));
    assert_eq!(report.members, 1);
}

#[test]
fn what_is_not_opened_is_named() {
    check("a.rar", b"Rar!\x1a\x07\x01\x00 something", &[], &["not_opened"]);
    check("a.bz2", b"BZh91AY&SY something", &[], &["not_opened"]);
    let mut locked = zip(&[("b.txt", &text())]);
    locked[6] |= 1; // the local header says that a password is needed
    check("a.zip", &locked, &["a.zip!/b.txt"], &["encrypted", "damaged"]); // and the directory says it is not
    let mut strange = zip(&[("b.txt", &text())]);
    strange[8] = 12;
    check("a.zip", &strange, &["a.zip!/b.txt"], &["damaged", "not_opened"]);
    let whole = gzip(&text().repeat(9));
    check("a.gz", &whole[..whole.len() - 4], &["a.gz!/gzip"], &["damaged"]); // what is there is scanned
    check("b.gz", b"\x1f\x8b\x08nonsense", &[], &["damaged"]);
    check("b.zst", b"\x28\xb5\x2f\xfdnonsense", &[], &["damaged"]);
    check("b.xz", b"\xfd7zXZ\x00nonsense", &[], &["damaged"]);
}

#[test]
fn a_member_that_the_directory_does_not_list_is_scanned() {
    let hidden = zip(&[("hidden.txt", &text())]);
    let end = hidden.windows(4).position(|mark| mark == b"PK\x01\x02").expect("a directory");
    let mut bytes = hidden[..end].to_vec();
    bytes.extend(zip(&[("shown.txt", b"nothing")]));
    check("a.zip", &bytes, &["a.zip!/hidden.txt"], &[]);
    check("cut.zip", &hidden[..end], &["cut.zip!/hidden.txt"], &["damaged"]);
}

fn limits() -> ScanLimits {
    ScanLimits { time_max: Duration::from_secs(20), ..ScanLimits::default() }
}

#[track_caller]
fn check_bounded(name: &str, bytes: &[u8], limits: &ScanLimits, gap: &str) {
    let begun = Instant::now();
    let report = scanner(CANARY).scan(bytes, &SampleInfo::of_path(name), limits);
    assert!(gaps(&report).contains(&gap), "{name}: {:?} after {:?}", report.gaps, begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(30), "{name} took {:?}", begun.elapsed());
}

#[test]
fn bombs_are_bounded_and_named() {
    let zeros = vec![0_u8; 64 << 20];
    let bomb = gzip(&zeros);
    check_bounded("bomb.gz", &bomb, &limits(), "ratio");
    check_bounded("bomb.zip", &zip(&[("a", &zeros)]), &limits(), "ratio");
    let roomy = ScanLimits { ratio_max: 10_000, unpacked_max: 8 << 20, ..limits() };
    check_bounded("bomb.gz", &bomb, &roomy, "unpacked_bytes");
    let short = ScanLimits { ratio_max: 10_000, bytes_max: 1 << 20, ..limits() };
    check_bounded("bomb.gz", &bomb, &short, "file_bytes");
    let many: Vec<(String, Vec<u8>)> = (0..300).map(|number| (format!("m{number}"), Vec::new())).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    check_bounded("many.zip", &zip(&many), &ScanLimits { members_max: 200, ..limits() }, "members");
    check_bounded("many.tar", &tarball(&many), &ScanLimits { members_max: 200, ..limits() }, "members");
    // Overlapping members share their bytes: every one of them inflates to the same zeros.
    let one = zip(&[("a", &zeros[..1 << 20])]);
    check_bounded(
        "overlap.zip",
        &one.repeat(400),
        &ScanLimits { unpacked_max: 32 << 20, ..limits() },
        "unpacked_bytes",
    );
}

/// Headers that leave the length open make a reader search for the end; it must not search all of the rest each time.
#[test]
fn many_headers_of_open_length_take_no_longer_than_few() {
    let mut header = b"PK\x03\x04\x14\x00\x08\x00\x00\x00".to_vec();
    header.resize(30, 0);
    let mut bytes = header.repeat(8_000);
    bytes.resize(48 << 20, b'x');
    let begun = Instant::now();
    scan(&scanner(CANARY), "open.zip", &bytes);
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
}

#[test]
fn nesting_ends() {
    let mut nested = text();
    for _ in 0..20 {
        nested = gzip(&nested);
    }
    check_bounded("deep.gz", &nested, &limits(), "depth");
    let mut nested = text();
    for _ in 0..20 {
        nested = zip(&[("next.zip", &nested)]);
    }
    check_bounded("deep.zip", &nested, &limits(), "depth");
}

#[test]
fn lies_about_sizes_are_not_believed() {
    let honest = zip(&[("b.txt", &text())]);
    for (at, byte) in [(18, 0xff), (21, 0x7f), (22, 0xff), (26, 0xff), (28, 0xff)] {
        let mut bytes = honest.clone();
        bytes[at] = byte;
        let report = scan(&scanner(CANARY), "a.zip", &bytes);
        assert!(!report.matches.is_empty() || !report.gaps.is_empty(), "byte {at}: {report:?}");
    }
}
