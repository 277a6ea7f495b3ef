//! DNS over UDP and TCP, with multicast DNS, LLMNR and NetBIOS names, which share its format.
//!
//! Own code rather than a parser crate, because a sensor needs the question also of a message whose answers are cut
//! off or broken; parsers made for resolvers refuse such a message as a whole. Source: RFC 1035, sections 3 and 4.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::Context;
use super::stream::{Bytes, Progress};
use crate::dissect::bytes::{array_at, u8_at, u16_at, u32_at};
use crate::record::{DnsAnswer, DnsRecord, Record};
use crate::time::Timestamp;

/// Questions of one flow that wait for their answers; the oldest is written without one when there are more.
const PENDING_MAX: usize = 64;
/// Answers kept of one message.
const ANSWERS_MAX: usize = 64;
/// Pointers followed in one name.
const JUMPS_MAX: usize = 32;
/// Bytes of a name (RFC 1035, section 2.3.4).
const NAME_MAX: usize = 255;
/// Bytes of record data written as hexadecimal digits.
const HEX_MAX: usize = 64;

/// How names are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Names {
    Plain,
    /// Each half byte is a letter. Source: RFC 1001, section 14.1.
    NetBios,
}

pub(crate) fn names_of(ports: (u16, u16)) -> Names {
    if ports.0 == 137 || ports.1 == 137 { Names::NetBios } else { Names::Plain }
}

/// What is used of a message.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Message {
    id: u16,
    flags: u16,
    question: Option<Question>,
    answers: Vec<DnsAnswer>,
    /// Nothing was broken, missing, or left over.
    is_whole: bool,
}

#[derive(Clone, PartialEq, Debug)]
struct Question {
    name: String,
    record_type: u16,
}

impl Message {
    const fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }
}

/// Reads a message if the datagram is one. On DNS ports the question is enough; elsewhere everything has to be right.
pub(crate) fn recognise(data: &[u8], ports: (u16, u16)) -> Option<Message> {
    let message = parse(data, names_of(ports))?;
    let known = |port| matches!(port, 53 | 137 | 5353 | 5355);
    let counts = (u16_at(data, 4)?, u16_at(data, 6)?);
    let expected = if known(ports.0) || known(ports.1) {
        message.question.is_some() || message.is_response()
    } else {
        message.is_whole && counts.0 == 1 && (message.is_response() || counts.1 == 0)
    };
    expected.then_some(message)
}

/// Whether a TCP stream begins with a message, which two bytes of length precede (RFC 1035, section 4.2.2).
pub(crate) fn is_stream(data: &[u8]) -> bool {
    let Some(len) = u16_at(data, 0).map(usize::from) else { return false };
    let message = data.get(2..).unwrap_or_default();
    if !(17..=message.len()).contains(&len) {
        return false;
    }
    message
        .get(..len)
        .and_then(|message| parse(message, Names::Plain))
        .is_some_and(|message| message.is_whole && message.question.is_some())
}

/// Reads as much of a message as can be read; `None` when not even header and question hold.
pub(crate) fn parse(data: &[u8], names: Names) -> Option<Message> {
    let header: [u8; 12] = array_at(data, 0)?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (flags, questions, answers) = (word(2), word(4), word(6));
    let rest = u32::from(word(8)) + u32::from(word(10));
    // Operation codes above 6 are not assigned; counts no message can hold mean that it is none.
    if (flags >> 11) & 0x0f > 6 || questions > 32 {
        return None;
    }
    let mut at = 12;
    let mut question = None;
    for _ in 0..questions {
        let (name, after) = read_name(data, at, names)?;
        let record_type = u16_at(data, after)?;
        u16_at(data, after + 2)?;
        at = after + 4;
        question.get_or_insert(Question { name, record_type });
    }
    let mut message = Message { id: word(0), flags, question, answers: Vec::new(), is_whole: true };
    for index in 0..u32::from(answers) + rest {
        let Some((answer, after)) = read_record(data, at, names) else {
            message.is_whole = false;
            break;
        };
        at = after;
        if index < u32::from(answers) && message.answers.len() < ANSWERS_MAX {
            message.answers.push(answer);
        }
    }
    message.is_whole &= at == data.len();
    Some(message)
}

fn read_record(data: &[u8], at: usize, names: Names) -> Option<(DnsAnswer, usize)> {
    let (name, at) = read_name(data, at, names)?;
    let record_type = u16_at(data, at)?;
    let ttl = u32_at(data, at + 4)?;
    let len = usize::from(u16_at(data, at + 8)?);
    let (start, end) = (at + 10, at + 10 + len);
    let bytes = data.get(start..end)?;
    let text = record_data(data, bytes, start, record_type, names).unwrap_or_else(|| generic(bytes));
    Some((DnsAnswer { name, record_type: type_name(record_type), ttl, data: text }, end))
}

/// Data in presentation format; `None` for types without one and for data that does not fit its type.
fn record_data(data: &[u8], bytes: &[u8], start: usize, record_type: u16, names: Names) -> Option<String> {
    let name = |at: usize| read_name(data, start + at, names).map(|(name, _)| name);
    Some(match record_type {
        1 => Ipv4Addr::from(array_at::<4>(bytes, 0)?).to_string(),
        28 => Ipv6Addr::from(array_at::<16>(bytes, 0)?).to_string(),
        2 | 5 | 12 | 39 => name(0)?,
        15 => format!("{} {}", u16_at(bytes, 0)?, name(2)?),
        6 => {
            let (primary, after) = read_name(data, start, names)?;
            let (mailbox, after) = read_name(data, after, names)?;
            format!("{primary} {mailbox} {}", u32_at(data, after)?)
        }
        33 if names == Names::Plain => {
            format!("{} {} {} {}", u16_at(bytes, 0)?, u16_at(bytes, 2)?, u16_at(bytes, 4)?, name(6)?)
        }
        32 if names == Names::NetBios => Ipv4Addr::from(array_at::<4>(bytes, 2)?).to_string(),
        16 | 99 => {
            let (mut text, mut at) = (String::new(), 0);
            while let Some(len) = u8_at(bytes, at).map(usize::from) {
                let part = bytes.get(at + 1..at + 1 + len)?;
                part.iter().for_each(|byte| push_escaped(&mut text, *byte, false));
                at += 1 + len;
            }
            text
        }
        _ => return None,
    })
}

/// Source: RFC 3597, section 5.
fn generic(bytes: &[u8]) -> String {
    let mut text = format!("\\# {}", bytes.len());
    for (index, byte) in bytes.iter().take(HEX_MAX).enumerate() {
        let space = if index == 0 { " " } else { "" };
        let _ = write!(text, "{space}{byte:02x}"); // writing to a string cannot fail
    }
    text
}

/// A name in presentation format without the final dot, and where it ends. Pointers have to lead backwards, so that
/// every name ends.
fn read_name(data: &[u8], at: usize, names: Names) -> Option<(String, usize)> {
    let mut text = String::new();
    let (mut at, mut after, mut bound, mut total, mut jumps) = (at, None, at, 0, 0);
    loop {
        let len = usize::from(u8_at(data, at)?);
        match len >> 6 {
            0 if len == 0 => return Some((text, after.unwrap_or(at + 1))),
            0 => {
                let label = data.get(at + 1..at + 1 + len)?;
                total += len + 1;
                if total > NAME_MAX {
                    return None;
                }
                push_label(&mut text, label, names);
                at += 1 + len;
            }
            3 => {
                let target = usize::from(u16_at(data, at)? & 0x3fff);
                jumps += 1;
                if target >= bound || jumps > JUMPS_MAX {
                    return None;
                }
                after.get_or_insert(at + 2);
                (at, bound) = (target, target);
            }
            _ => return None,
        }
    }
}

fn push_label(text: &mut String, label: &[u8], names: Names) {
    if names == Names::NetBios && text.is_empty() && label.len() == 32 {
        let half = |byte: u8| byte.wrapping_sub(b'A') & 0x0f;
        let name: Vec<u8> = label.chunks_exact(2).map(|pair| half(pair[0]) << 4 | half(pair[1])).collect();
        // The sixteenth byte is the kind of service, and names are padded with spaces.
        let name = name.get(..15).unwrap_or_default();
        let end = name.iter().rposition(|byte| *byte != b' ' && *byte != 0).map_or(0, |last| last + 1);
        name[..end].iter().for_each(|byte| push_escaped(text, *byte, true));
        return;
    }
    if !text.is_empty() {
        text.push('.');
    }
    label.iter().for_each(|byte| push_escaped(text, *byte, true));
}

/// Source: RFC 4343, section 2.1.
fn push_escaped(text: &mut String, byte: u8, in_name: bool) {
    match byte {
        b'.' | b'\\' if in_name => {
            text.push('\\');
            text.push(char::from(byte));
        }
        0x20..=0x7e if byte != b'\\' => text.push(char::from(byte)),
        _ => {
            let _ = write!(text, "\\{byte:03}"); // writing to a string cannot fail
        }
    }
}

/// Name of a record type. Source: IANA, Domain Name System Parameters.
fn type_name(number: u16) -> String {
    let name = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        24 => "SIG",
        25 => "KEY",
        28 => "AAAA",
        29 => "LOC",
        32 => "NB",
        33 => "SRV",
        35 => "NAPTR",
        36 => "KX",
        37 => "CERT",
        39 => "DNAME",
        41 => "OPT",
        43 => "DS",
        44 => "SSHFP",
        45 => "IPSECKEY",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        49 => "DHCID",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        53 => "SMIMEA",
        59 => "CDS",
        60 => "CDNSKEY",
        61 => "OPENPGPKEY",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        other => return format!("TYPE{other}"),
    };
    name.to_owned()
}

/// Source: IANA, DNS RCODEs.
fn code_name(flags: u16) -> String {
    let name = match flags & 0x0f {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        11 => "DSOTYPENI",
        other => return format!("RCODE{other}"),
    };
    name.to_owned()
}

/// Questions that wait for their answers.
#[derive(Debug, Default)]
pub(crate) struct DnsFlow {
    pending: VecDeque<(Message, Timestamp)>,
}

impl DnsFlow {
    pub(crate) fn message(&mut self, message: Message, context: &mut Context<'_>) {
        if !message.is_response() {
            if self.pending.len() >= PENDING_MAX
                && let Some((oldest, asked)) = self.pending.pop_front()
            {
                write_record(Some((oldest, asked)), None, context);
            }
            self.pending.push_back((message, context.at));
            return;
        }
        let matches = |question: &Message| {
            question.id == message.id
                && (message.question.is_none()
                    || question.question.is_none()
                    || question.question.as_ref().map(|it| it.name.to_ascii_lowercase())
                        == message.question.as_ref().map(|it| it.name.to_ascii_lowercase()))
        };
        let asked = self.pending.iter().position(|(question, _)| matches(question));
        let asked = asked.and_then(|index| self.pending.remove(index));
        write_record(asked, Some(message), context);
    }

    pub(crate) fn finish(&mut self, context: &mut Context<'_>) {
        for (question, asked) in std::mem::take(&mut self.pending) {
            write_record(Some((question, asked)), None, context);
        }
    }
}

fn write_record(asked: Option<(Message, Timestamp)>, answer: Option<Message>, context: &mut Context<'_>) {
    let at = asked.as_ref().map_or(context.at, |(_, at)| *at);
    let round_trip = answer.as_ref().filter(|_| asked.is_some()).map(|_| context.at.since(at));
    let response_code = answer.as_ref().map(|answer| code_name(answer.flags));
    let flags = answer.as_ref().or(asked.as_ref().map(|(question, _)| question)).map_or(0, |message| message.flags);
    let id = answer.as_ref().or(asked.as_ref().map(|(question, _)| question)).map_or(0, |message| message.id);
    let (answers, answered) = answer.map(|answer| (answer.answers, answer.question)).unwrap_or_default();
    let question = asked.and_then(|(question, _)| question.question).or(answered);
    let record = DnsRecord {
        conversation: (context.conversation)(),
        at,
        id,
        question_name: question.as_ref().map(|question| question.name.clone()).unwrap_or_default(),
        question_type: question.map(|question| type_name(question.record_type)).unwrap_or_default(),
        response_code,
        answers,
        round_trip,
        flags,
    };
    context.out.push(Record::Dns(record));
}

/// DNS over TCP: messages with their length before them.
#[derive(Debug, Default)]
pub(crate) struct DnsStream {
    flow: DnsFlow,
}

impl DnsStream {
    pub(crate) fn data(&mut self, bytes: Bytes<'_>, context: &mut Context<'_>) -> Progress {
        let mut at = 0;
        while let Some(len) = u16_at(bytes.data, at).map(usize::from) {
            let Some(message) = bytes.data.get(at + 2..at + 2 + len) else { break };
            if let Some(message) = parse(message, Names::Plain) {
                self.flow.message(message, context);
            }
            at += 2 + len;
        }
        Progress::Consumed(at)
    }

    pub(crate) fn finish(&mut self, context: &mut Context<'_>) {
        self.flow.finish(context);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question for `name` and, if `answer` is given, one record with that type and data.
    fn message(flags: u16, name: &[u8], answer: Option<(u16, &[u8])>) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34];
        bytes.extend(flags.to_be_bytes());
        bytes.extend([0, 1, 0, u8::from(answer.is_some()), 0, 0, 0, 0]);
        bytes.extend(name);
        bytes.extend([0, 1, 0, 1]);
        if let Some((record_type, data)) = answer {
            bytes.extend([0xc0, 12]);
            bytes.extend(record_type.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 0, 60]);
            bytes.extend((data.len() as u16).to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<(&str, &[&str], bool)>) {
        let message = parse(bytes, Names::Plain);
        let seen = message.as_ref().map(|message| {
            let name = message.question.as_ref().map_or("", |question| question.name.as_str());
            let answers: Vec<&str> = message.answers.iter().map(|answer| answer.data.as_str()).collect();
            (name.to_owned(), answers, message.is_whole)
        });
        let expected = expected.map(|(name, answers, whole)| (name.to_owned(), answers.to_vec(), whole));
        assert_eq!(seen, expected, "input: {bytes:02x?}");
    }

    #[test]
    fn messages() {
        let name = b"\x03www\x02vn\0";
        check(&message(0x0100, name, None), Some(("www.vn", &[], true)));
        check(&message(0x8180, name, Some((1, &[10, 0, 0, 1]))), Some(("www.vn", &["10.0.0.1"], true)));
        check(&message(0x8180, name, Some((5, &[0xc0, 16]))), Some(("www.vn", &["vn"], true)));
        check(&message(0x8180, name, Some((15, &[0, 10, 0xc0, 12]))), Some(("www.vn", &["10 www.vn"], true)));
        check(&message(0x8180, name, Some((16, b"\x02a\\\x01\n"))), Some(("www.vn", &["a\\092\\010"], true)));
        check(&message(0x8180, name, Some((65, &[1, 2]))), Some(("www.vn", &["\\# 2 0102"], true)));
        // Data that does not fit its type is shown as it is.
        check(&message(0x8180, name, Some((1, &[10, 0]))), Some(("www.vn", &["\\# 2 0a00"], true)));
        // A name that points to itself, and one that points forwards.
        check(&message(0x8180, name, Some((5, &[0xc0, 38]))), Some(("www.vn", &["\\# 2 c026"], true)));
        check(&message(0x0100, &[0xc0, 12], None), None);
        check(&message(0x0100, b"\x01.\0", None), Some(("\\.", &[], true)));
        // The answer is cut off: the question still counts.
        let cut = message(0x8180, name, Some((1, &[10, 0, 0, 1])));
        check(&cut[..cut.len() - 1], Some(("www.vn", &[], false)));
        check(&cut[..20], None);
        check(b"", None);
    }

    #[test]
    fn netbios_names_are_decoded() {
        let mut name = vec![32];
        name.extend(b"EGFCEFEECACACACACACACACACACACAAA");
        name.push(0);
        let bytes = message(0x0110, &name, None);
        let parsed = parse(&bytes, Names::NetBios).unwrap();
        assert_eq!(parsed.question.unwrap().name, "FRED");
    }
}
