//! Takes a file apart into records, through whatever it is packed in. Files come from machines that somebody has broken
//! into: nothing is held in memory but one record, and what cannot be read is told with its place and passed over.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read, Seek, Write};
use std::ops::ControlFlow;

use anyhow::Context;
use canh_collector::{EvtxFile, Header};
use serde_json::value::RawValue;

use super::kind::{HEAD_LEN, Kind};
use crate::long_lines::{LineRead, read_line};

/// Packings inside one another that are opened: `logs.tar.gz` has two.
const DEPTH_MAX: usize = 6;
/// Longest record. What follows in a longer line is left out and told.
const RECORD_MAX: usize = 1 << 20;
/// Longest JSON text that is no array, in bytes.
const JSON_MAX: u64 = 256 << 20;
/// An event log that is packed is unpacked into a temporary file of at most so many bytes.
const UNPACKED_EVTX_MAX: u64 = 8 << 30;
/// Names under which exports of cloud services keep their records.
pub(super) const WRAPPERS: &[&str] = &["Records", "records", "value", "events", "logs"];

/// Who takes the records of a file.
pub(super) trait Sink {
    /// One record without the end of its line, and the format if the kind of file says it.
    ///
    /// # Errors
    ///
    /// What ends the whole import: nobody takes the records any more.
    fn record(&mut self, record: &[u8], format: Option<&'static str>) -> anyhow::Result<()>;

    /// Something that could not be read, and where.
    fn problem(&mut self, name: &str, problem: &dyn Display);

    /// Packets, which are not taken apart here.
    ///
    /// # Errors
    ///
    /// As for [`Sink::record`].
    fn packets(&mut self, name: &str, packets: &mut dyn Read) -> anyhow::Result<()>;
}

/// Hands every record of what is in `reader` to the sink.
///
/// # Errors
///
/// Those of the sink. What cannot be read is a problem, not an error.
pub(super) fn read(name: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> anyhow::Result<()> {
    layer(name, reader, 0, sink)
}

/// The bytes that were looked at, and the others.
type Whole<'a> = Chain<Cursor<Vec<u8>>, &'a mut dyn Read>;

fn layer(name: &str, reader: &mut dyn Read, depth: usize, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut head = Vec::with_capacity(HEAD_LEN);
    if let Err(error) = reader.take(HEAD_LEN as u64).read_to_end(&mut head) {
        sink.problem(name, &error);
        return Ok(());
    }
    let kind = Kind::of(&head, inner_name(name));
    let mut whole: Whole<'_> = Cursor::new(head).chain(reader);
    if depth >= DEPTH_MAX && matches!(kind, Kind::Gzip | Kind::Zstd | Kind::Xz | Kind::Tar) {
        sink.problem(name, &format_args!("packed more than {DEPTH_MAX} times; unpack it first"));
        return Ok(());
    }
    match kind {
        Kind::Empty => Ok(()),
        Kind::Gzip => layer(name, &mut flate2::read::MultiGzDecoder::new(whole), depth + 1, sink),
        Kind::Zstd => match zstd::Decoder::new(whole) {
            Ok(mut unpacked) => layer(name, &mut unpacked, depth + 1, sink),
            Err(error) => {
                sink.problem(name, &error);
                Ok(())
            }
        },
        Kind::Xz => layer(name, &mut lzma_rust2::XzReader::new(whole, true), depth + 1, sink),
        Kind::Tar => archive(name, &mut whole, depth, sink),
        Kind::Evtx => match spooled(&mut whole) {
            Ok(file) => event_log(name, file, sink),
            Err(error) => {
                sink.problem(name, &error);
                Ok(())
            }
        },
        Kind::Packets => sink.packets(name, &mut whole),
        Kind::Table(separator) => table(name, &mut whole, separator, sink),
        Kind::Headed => headed(name, &mut whole, sink),
        Kind::Json => json(name, &mut whole, sink),
        Kind::Lines => lines(name, &mut whole, sink),
        Kind::Unknown(what) => {
            sink.problem(name, &what);
            Ok(())
        }
    }
}

/// Without the endings of what it is packed in, so that `export.csv.gz` is a table.
fn inner_name(name: &str) -> &str {
    [".gz", ".zst", ".xz"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

fn archive(name: &str, reader: &mut dyn Read, depth: usize, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut archive = tar::Archive::new(reader);
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => {
            sink.problem(name, &error);
            return Ok(());
        }
    };
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                // Where the next entry begins is not known any more.
                sink.problem(name, &error);
                return Ok(());
            }
        };
        if entry.header().entry_type().is_file() {
            let inner = format!("{name}/{}", String::from_utf8_lossy(&entry.path_bytes()));
            layer(&inner, &mut entry, depth + 1, sink)?;
        }
    }
    Ok(())
}

/// An event log is read in places, not from the beginning to the end.
fn spooled(reader: &mut dyn Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let copied = io::copy(&mut reader.take(UNPACKED_EVTX_MAX), &mut file)?;
    if copied == UNPACKED_EVTX_MAX {
        return Err(io::Error::other(format!("longer than {UNPACKED_EVTX_MAX} bytes; unpack it first")));
    }
    file.flush()?;
    file.rewind()?;
    Ok(file)
}

fn event_log(name: &str, file: File, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let file = match EvtxFile::open(BufReader::new(file)) {
        Ok(file) => file,
        Err(problem) => {
            sink.problem(name, &problem);
            return Ok(());
        }
    };
    let mut outcome = Ok(());
    file.read(|part| match part {
        Err(problem) => {
            sink.problem(name, &problem);
            ControlFlow::Continue(())
        }
        Ok(record) => match sink.record(&record, Some("evtx")) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        },
    });
    outcome
}

fn lines(name: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> anyhow::Result<()> {
    each_line(name, reader, sink, &mut |line, sink| sink.record(line, None))
}

/// Takes one line.
type Take<'t> = dyn FnMut(&[u8], &mut dyn Sink) -> anyhow::Result<()> + 't;

fn each_line(name: &str, reader: &mut dyn Read, sink: &mut dyn Sink, take: &mut Take<'_>) -> anyhow::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        match read_line(&mut reader, RECORD_MAX, &mut line) {
            Ok(LineRead::Whole) => (),
            Ok(LineRead::End) => break,
            Ok(LineRead::Cut) => {
                let problem = format_args!("line {number} is longer than {RECORD_MAX} bytes; the rest is left out");
                sink.problem(name, &problem);
            }
            Err(error) => {
                sink.problem(name, &format_args!("line {number}: {error}"));
                break;
            }
        }
        let text = if number == 1 { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line) } else { &line };
        let text = text.trim_ascii_end();
        if !text.is_empty() {
            take(text, sink)?;
        }
    }
    Ok(())
}

/// Hands out each line as an object with the names that the last header has given. Lines before any header stay lines.
fn headed(name: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut header: Option<Header> = None;
    let mut gathered = String::new();
    let mut in_header = false;
    let mut take = |line: &[u8], sink: &mut dyn Sink| -> anyhow::Result<()> {
        let text = String::from_utf8_lossy(line);
        if text.starts_with('#') {
            if !std::mem::replace(&mut in_header, true) {
                gathered.clear();
            }
            if gathered.len() < HEAD_LEN {
                gathered.push_str(&text);
                gathered.push('\n');
                // What closes a log names nothing, and nothing follows it.
                header = Header::read(&gathered).or(header.take());
            }
            return Ok(());
        }
        in_header = false;
        match header.as_ref().and_then(|header| header.object(&text)) {
            Some(object) => sink.record(object.as_bytes(), None),
            None => sink.record(line, None),
        }
    };
    each_line(name, reader, sink, &mut take)
}

/// Each row becomes an object; cells without text are left out.
fn table(name: &str, reader: &mut dyn Read, separator: u8, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut rows = csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(reader);
    let names: Vec<String> = match rows.byte_headers() {
        Ok(header) => header
            .iter()
            .map(|name| String::from_utf8_lossy(name.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(name)).trim().to_owned())
            .collect(),
        Err(error) => {
            sink.problem(name, &error);
            return Ok(());
        }
    };
    let mut row = csv::ByteRecord::new();
    loop {
        match rows.read_byte_record(&mut row) {
            Ok(false) => return Ok(()),
            Ok(true) => (),
            Err(error) => {
                let ends = error.is_io_error();
                sink.problem(name, &error);
                if ends {
                    return Ok(());
                }
                continue;
            }
        }
        let mut object = serde_json::Map::new();
        for (number, cell) in (1..).zip(row.iter()) {
            let cell = String::from_utf8_lossy(cell);
            if cell.is_empty() {
                continue;
            }
            let name = names.get(number - 1).filter(|name| !name.is_empty());
            object.insert(name.cloned().unwrap_or_else(|| format!("column_{number}")), cell.into());
        }
        if !object.is_empty() {
            let record = serde_json::to_vec(&object).context("a row becomes JSON")?;
            sink.record(&record, None)?;
        }
    }
}

/// Texts one after the other; the elements of an array, and those of the array that an export keeps its records in, are
/// records.
fn json(name: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut text = Vec::new();
    match reader.take(JSON_MAX + 1).read_to_end(&mut text) {
        Ok(len) if len as u64 > JSON_MAX => {
            sink.problem(name, &format_args!("a JSON text of more than {JSON_MAX} bytes; write one record per line"));
            return Ok(());
        }
        Ok(_) => (),
        Err(error) => sink.problem(name, &error),
    }
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    for value in serde_json::Deserializer::from_slice(text).into_iter::<Box<RawValue>>() {
        match value {
            Ok(value) => json_records(&value, sink)?,
            Err(error) => {
                sink.problem(name, &error);
                break;
            }
        }
    }
    Ok(())
}

fn json_records(value: &RawValue, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let elements: Option<Vec<Box<RawValue>>> = match value.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(value.get()).ok(),
        Some(b'{') => wrapped(value),
        _ => None,
    };
    match elements {
        Some(elements) => elements.iter().try_for_each(|element| sink.record(&one_line(element), None)),
        None => sink.record(&one_line(value), None),
    }
}

/// The records of an export, if the object is one: it has one of the names, and under it an array of objects.
fn wrapped(value: &RawValue) -> Option<Vec<Box<RawValue>>> {
    let object: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(value.get()).ok()?;
    let elements = WRAPPERS.iter().find_map(|name| object.get(*name))?;
    let elements: Vec<Box<RawValue>> = serde_json::from_str(elements.get()).ok()?;
    elements.iter().all(|element| element.get().starts_with('{')).then_some(elements)
}

/// Line ends inside the texts of JSON are written out, so all that are there are between its parts.
fn one_line(value: &RawValue) -> Vec<u8> {
    value.get().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Vec<String>);

    impl Sink for Kept {
        fn record(&mut self, record: &[u8], _: Option<&'static str>) -> anyhow::Result<()> {
            self.0.push(String::from_utf8_lossy(record).into_owned());
            Ok(())
        }

        fn problem(&mut self, name: &str, problem: &dyn Display) {
            self.0.push(format!("! {name}: {problem}"));
        }

        fn packets(&mut self, name: &str, packets: &mut dyn Read) -> anyhow::Result<()> {
            let len = io::copy(packets, &mut io::sink())?;
            self.0.push(format!("{len} bytes of packets in {name}"));
            Ok(())
        }
    }

    #[track_caller]
    fn check(name: &str, bytes: &[u8], expected: &[&str]) {
        let mut kept = Kept::default();
        read(name, &mut &*bytes, &mut kept).expect("the sink takes everything");
        assert_eq!(kept.0, expected, "{name}");
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).expect("memory");
        packer.finish().expect("memory")
    }

    fn archive_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            archive.append_data(&mut header, name, *bytes).expect("memory");
        }
        archive.into_inner().expect("memory")
    }

    #[test]
    fn records_of_each_kind() {
        check("a.log", b"\xEF\xBB\xBFone\r\n\n two\nthree", &["one", " two", "three"]);
        check("a.json", b"[{\"a\":1},\n {\"b\":\n 2}]", &[r#"{"a":1}"#, "{\"b\":  2}"]);
        check("a.json", b"{\n\"a\": 1\n}\n{\n\"a\": 2\n}", &[r#"{ "a": 1 }"#, r#"{ "a": 2 }"#]);
        check(
            "a.json",
            br#"{"Records":[{"eventName":"x"},{"eventName":"y"}]}"#,
            &[r#"{"eventName":"x"}"#, r#"{"eventName":"y"}"#],
        );
        check("a.json", b"{\n\"logs\": 3\n}", &[r#"{ "logs": 3 }"#]);
        check(
            "a.csv",
            "giờ;người\n1;\"a;b\"\n;\n2;x;y\n".as_bytes(),
            &[r#"{"giờ":"1","người":"a;b"}"#, r#"{"giờ":"2","người":"x","column_3":"y"}"#],
        );
        check("a.pcap", &[0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0], &["8 bytes of packets in a.pcap"]);
    }

    #[test]
    fn packed_files_are_opened() {
        check("a.csv.gz", &gzip(b"a,b\n1,2\n"), &[r#"{"a":"1","b":"2"}"#]);
        check("a.zst", &zstd::encode_all(&b"one\ntwo\n"[..], 1).expect("memory"), &["one", "two"]);
        let archive = archive_of(&[("x/a.log", b"one\n"), ("b.csv", b"a\n1\n"), ("c.gz", &gzip(b"three\n"))]);
        check("all.tar", &archive, &["one", r#"{"a":"1"}"#, "three"]);
        check("all.tar.gz", &gzip(&archive), &["one", r#"{"a":"1"}"#, "three"]);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_is_read() {
        let whole = gzip(b"one\ntwo\n");
        let mut kept = Kept::default();
        read("cut.gz", &mut &whole[..whole.len() - 10], &mut kept).expect("the sink takes everything");
        assert!(kept.0.last().is_some_and(|last| last.starts_with("! cut.gz: ")), "{:?}", kept.0);
        let archive = archive_of(&[("bad.bin", &[1, 0, 2]), ("good.log", b"one\n")]);
        check("a.tar", &archive, &["! a.tar/bad.bin: not text, and no kind of file that can be read", "one"]);
        check("a.json", b"[{\"a\":1}", &["! a.json: EOF while parsing a list at line 1 column 8"]);
        let mut nested = b"one\n".to_vec();
        for _ in 0..DEPTH_MAX + 1 {
            nested = gzip(&nested);
        }
        check("deep.gz", &nested, &["! deep.gz: packed more than 6 times; unpack it first"]);
        let long = [vec![b'x'; RECORD_MAX + 9], b"\nnext\n".to_vec()].concat();
        let mut kept = Kept::default();
        read("long.log", &mut &*long, &mut kept).expect("the sink takes everything");
        assert_eq!(kept.0.len(), 3);
        assert_eq!((kept.0[1].len(), kept.0[2].as_str()), (RECORD_MAX, "next"));
    }
}
