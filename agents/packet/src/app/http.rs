//! HTTP/1: requests and answers. Bodies are stepped over, unless somebody wants them as files. Source: RFC 9112.

use std::collections::VecDeque;

use httparse::{EMPTY_HEADER, Header, Request, Response, Status};

use super::Context;
use super::stream::{Bytes, Progress};
use crate::carve::{FileAbout, FileDirection, FileId, declared_name, name_of_target, name_of_type};
use crate::record::{AppProtocol, HttpRecord, Record};
use crate::time::Timestamp;

/// Requests of one connection that wait for their answers; the oldest is written without one when there are more.
const PENDING_MAX: usize = 64;
/// Header fields read of one message.
const HEADERS_MAX: usize = 128;
/// Bytes kept of one value.
const VALUE_MAX: usize = 8_192;
/// Longest head; of a longer one only the first line is used.
const HEAD_MAX: usize = 12 << 10;
/// Longest line that gives the length of a chunk, with its extensions.
const CHUNK_LINE_MAX: usize = 1_024;

const METHODS: &[&str] = &[
    "GET ",
    "POST ",
    "HEAD ",
    "PUT ",
    "DELETE ",
    "OPTIONS ",
    "CONNECT ",
    "PATCH ",
    "TRACE ",
    "PROPFIND ",
    "PROPPATCH ",
    "MKCOL ",
    "COPY ",
    "MOVE ",
    "LOCK ",
    "UNLOCK ",
    "REPORT ",
    "SEARCH ",
    "NOTIFY ",
    "M-SEARCH ",
    "SUBSCRIBE ",
    "UNSUBSCRIBE ",
    "RPC_IN_DATA ",
    "RPC_OUT_DATA ",
    "BITS_POST ",
    "CCM_POST ",
];

/// Whether a stream begins with a request or an answer.
pub(crate) fn is_head(data: &[u8]) -> bool {
    if data.starts_with(b"HTTP/1.") {
        return true;
    }
    let Some(method) = METHODS.iter().find(|method| data.starts_with(method.as_bytes())) else {
        return has_method(data);
    };
    // FTP, SIP and others have words like these too; only HTTP says so at the end of the line.
    match line_end(data) {
        Some(end) => data[..end].windows(7).any(|part| part == b"HTTP/1."),
        None => matches!(data.get(method.len()), Some(b'/' | b'h' | b'*') | None) || *method == "CONNECT ",
    }
}

/// Whether so few bytes may become a request or an answer.
pub(crate) fn may_be_head(data: &[u8]) -> bool {
    !data.is_empty()
        && (b"HTTP/1.".starts_with(data) || METHODS.iter().any(|method| method.as_bytes().starts_with(data)))
}

/// Where one direction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    ChunkSize,
    /// So many bytes of a chunk, with the line end after it.
    Chunk(u64),
    /// Fields after the last chunk, up to an empty line.
    Trailer,
    UntilClose,
    /// Something is missing: wait for a segment that begins with a head.
    Lost,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct HttpStream {
    phases: [Phase; 2],
    pending: VecDeque<HttpRecord>,
    /// Answers may be missing, so that the next one need not belong to the oldest request.
    lost_answers: bool,
    /// The bodies under way, if they are wanted.
    files: [Option<FileId>; 2],
}

impl Default for HttpStream {
    fn default() -> Self {
        Self { phases: [Phase::Head; 2], pending: VecDeque::new(), lost_answers: false, files: [None; 2] }
    }
}

enum Step {
    Go(usize),
    /// More bytes are needed.
    Wait,
    End(Progress),
}

impl HttpStream {
    pub(crate) fn data(&mut self, bytes: Bytes<'_>, context: &mut Context<'_>) -> Progress {
        let mut at = 0;
        while let Some(rest) = bytes.data.get(at..).filter(|rest| !rest.is_empty()) {
            let step = match self.phases[bytes.end] {
                Phase::Head => self.head(Bytes { data: rest, ..bytes }, context),
                Phase::Lost if is_head(rest) => {
                    self.phases[bytes.end] = Phase::Head;
                    Step::Go(0)
                }
                Phase::UntilClose => {
                    context.append(&mut self.files[bytes.end], rest);
                    Step::Go(rest.len())
                }
                Phase::Lost => Step::Go(rest.len()),
                phase => self.body(phase, Bytes { data: rest, ..bytes }, context),
            };
            match step {
                Step::Go(len) => at += len,
                Step::Wait => break,
                Step::End(progress) => return progress,
            }
        }
        Progress::Consumed(at)
    }

    /// Steps over bytes of a body.
    fn body(&mut self, phase: Phase, bytes: Bytes<'_>, context: &mut Context<'_>) -> Step {
        let (data, phase_now, file) = (bytes.data, &mut self.phases[bytes.end], &mut self.files[bytes.end]);
        let take = |left: u64| usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        match phase {
            Phase::Body(left) => {
                let len = take(left);
                let left = left - len as u64;
                context.append(file, data.get(..len).unwrap_or_default());
                if left == 0 {
                    context.finish_file(file);
                }
                *phase_now = if left == 0 { Phase::Head } else { Phase::Body(left) };
                Step::Go(len)
            }
            Phase::Chunk(left) => {
                let len = take(left);
                // The line end is not part of the body.
                context.append(file, data.get(..take(left.saturating_sub(2))).unwrap_or_default());
                let left = left - len as u64;
                *phase_now = if left == 0 { Phase::ChunkSize } else { Phase::Chunk(left) };
                Step::Go(len)
            }
            Phase::ChunkSize => {
                let Some(end) = line_end(data) else {
                    return if data.len() > CHUNK_LINE_MAX { self.lose(bytes.end, context) } else { Step::Wait };
                };
                match chunk_size(&data[..end]) {
                    Some(0) => *phase_now = Phase::Trailer,
                    Some(size) => *phase_now = Phase::Chunk(size.saturating_add(2)),
                    None => return self.lose(bytes.end, context),
                }
                Step::Go(end)
            }
            _ => {
                let Some(end) = line_end(data) else {
                    return if data.len() > HEAD_MAX { self.lose(bytes.end, context) } else { Step::Wait };
                };
                if matches!(&data[..end], b"\r\n" | b"\n") {
                    context.finish_file(file);
                    *phase_now = Phase::Head;
                }
                Step::Go(end)
            }
        }
    }

    fn lose(&mut self, end: usize, context: &mut Context<'_>) -> Step {
        context.abandon_file(&mut self.files[end]);
        self.phases[end] = Phase::Lost;
        Step::Go(1)
    }

    /// A piece of the stream is missing.
    pub(crate) fn gap(&mut self, end: usize, len: u32, context: &mut Context<'_>) {
        context.abandon_file(&mut self.files[end]);
        let phase = &mut self.phases[end];
        *phase = match *phase {
            Phase::Body(left) if u64::from(len) < left => Phase::Body(left - u64::from(len)),
            Phase::Body(left) if u64::from(len) == left => Phase::Head,
            Phase::Chunk(left) if u64::from(len) < left => Phase::Chunk(left - u64::from(len)),
            Phase::UntilClose => Phase::UntilClose,
            _ => Phase::Lost,
        };
        self.lost_answers |= end == 1 && *phase == Phase::Lost;
    }

    fn head(&mut self, bytes: Bytes<'_>, context: &mut Context<'_>) -> Step {
        let blank = bytes.data.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if blank > 0 {
            return Step::Go(blank);
        }
        if !is_head(bytes.data) && !may_be_head(bytes.data) {
            return self.lose(bytes.end, context);
        }
        let head_len = match head_end(bytes.data) {
            Some(end) => end,
            None if bytes.data.len() < HEAD_MAX => return Step::Wait,
            None => bytes.data.len(),
        };
        let head = &bytes.data[..head_len];
        let step = if head.starts_with(b"HTTP/1.") {
            self.answer(bytes.end, head, context)
        } else {
            self.request(bytes.end, head, context)
        };
        match step {
            Some(Progress::Consumed(_)) => Step::Go(head_len),
            Some(end) => Step::End(end),
            None => self.lose(bytes.end, context),
        }
    }

    fn request(&mut self, end: usize, head: &[u8], context: &mut Context<'_>) -> Option<Progress> {
        let mut fields = [EMPTY_HEADER; HEADERS_MAX];
        let mut request = Request::new(&mut fields);
        let is_whole = matches!(request.parse(head), Ok(Status::Complete(_)));
        let mut record = empty_record(context.at);
        match (request.method, request.path) {
            (Some(method), Some(path)) => {
                record.method = Some(method.to_owned());
                record.uri = Some(shortened(path.as_bytes()));
                record.version = request.version.map(|minor| format!("1.{minor}"));
            }
            _ => first_line(head, &mut record)?,
        }
        let headers: &[Header<'_>] = request.headers;
        record.host = value(headers, "host").map(shortened);
        record.user_agent = value(headers, "user-agent").map(shortened);
        record.referrer = value(headers, "referer").map(shortened);
        self.phases[end] = match (is_whole, body_length(headers)) {
            (false, _) => Phase::Lost,
            (_, Length::Chunked) => Phase::ChunkSize,
            (_, Length::Bytes(len)) if len > 0 => Phase::Body(len),
            _ => Phase::Head,
        };
        if context.carver.is_some() {
            self.begin_file(end, &record, headers, context);
        }
        if self.pending.len() >= PENDING_MAX
            && let Some(oldest) = self.pending.pop_front()
        {
            write_record(oldest, context);
        }
        self.pending.push_back(record);
        Some(Progress::Consumed(head.len()))
    }

    fn answer(&mut self, end: usize, head: &[u8], context: &mut Context<'_>) -> Option<Progress> {
        let mut fields = [EMPTY_HEADER; HEADERS_MAX];
        let mut response = Response::new(&mut fields);
        let is_whole = matches!(response.parse(head), Ok(Status::Complete(_)));
        let status = response.code.or_else(|| status_of(head))?;
        if (100..200).contains(&status) && status != 101 {
            return Some(Progress::Consumed(head.len())); // the answer proper follows
        }
        if std::mem::take(&mut self.lost_answers) {
            // Most clients wait for each answer, so this one is for the newest request.
            let unanswered = self.pending.len().saturating_sub(1);
            self.pending.drain(..unanswered).for_each(|record| write_record(record, context));
        }
        let mut record = self.pending.pop_front().unwrap_or_else(|| empty_record(context.at));
        let headers: &[Header<'_>] = response.headers;
        let length = body_length(headers);
        record.status = Some(status);
        record.version = record.version.or(response.version.map(|minor| format!("1.{minor}")));
        record.response_mime_type = value(headers, "content-type").map(mime_type);
        if let Length::Bytes(len) = length {
            record.response_body_bytes = Some(len);
        }
        let method = record.method.clone().unwrap_or_default();
        let wanted = context.carver.is_some().then(|| record.clone());
        write_record(record, context);
        let is_bodiless = method == "HEAD" || matches!(status, 204 | 304);
        if status == 101 || (method == "CONNECT" && (200..300).contains(&status)) {
            self.finish(context);
            return Some(Progress::BeginAgain);
        }
        self.phases[end] = match length {
            _ if !is_whole => Phase::Lost,
            _ if is_bodiless => Phase::Head,
            Length::Chunked => Phase::ChunkSize,
            Length::Bytes(0) => Phase::Head,
            Length::Bytes(len) => Phase::Body(len),
            Length::Unknown => Phase::UntilClose,
        };
        if let Some(record) = wanted {
            self.begin_file(end, &record, headers, context);
        }
        Some(Progress::Consumed(head.len()))
    }

    /// A body follows, and becomes a file.
    fn begin_file(&mut self, end: usize, record: &HttpRecord, headers: &[Header<'_>], context: &mut Context<'_>) {
        let declared = match self.phases[end] {
            Phase::Body(len) => Some(len),
            Phase::ChunkSize | Phase::UntilClose => None,
            _ => return,
        };
        let host = record.host.clone().unwrap_or_else(|| {
            let (address, port) = context.responder;
            std::net::SocketAddr::from((address, port)).to_string()
        });
        let url = record.uri.as_ref().map(|target| match target.as_str() {
            whole if whole.contains("://") => whole.to_owned(),
            path if path.starts_with('/') => format!("http://{host}{path}"),
            other => format!("http://{host}/{other}"),
        });
        let content_type = value(headers, "content-type").map(mime_type).filter(|text| !text.is_empty());
        let name = value(headers, "content-disposition")
            .and_then(declared_name)
            .or_else(|| record.uri.as_deref().and_then(name_of_target))
            .or_else(|| content_type.as_deref().and_then(name_of_type));
        let range = || value(headers, "content-range").map_or_else(|| "unknown range".to_owned(), shortened);
        let about = FileAbout {
            protocol: AppProtocol::Http,
            direction: FileDirection::from_end(end),
            method: record.method.clone(),
            url,
            host: record.host.clone(),
            status: record.status,
            name,
            content_type,
            encoding: value(headers, "content-encoding").map(shortened).filter(|text| !text.trim().is_empty()),
            // An upload in parts says the range as well.
            part: (record.status == Some(206)
                || (record.status.is_none() && value(headers, "content-range").is_some()))
            .then(range),
        };
        if let Some(carver) = &mut context.carver {
            self.files[end] = carver.begin(about, declared);
        }
    }

    /// One end will send no more. A body without a length ends here.
    pub(crate) fn closed(&mut self, end: usize, context: &mut Context<'_>) {
        if self.phases[end] == Phase::UntilClose {
            context.finish_file(&mut self.files[end]);
        }
    }

    pub(crate) fn has_file(&self, end: usize) -> bool {
        self.files[end].is_some()
    }

    pub(crate) fn abandon(&mut self, context: &mut Context<'_>) {
        self.files.iter_mut().for_each(|file| context.abandon_file(file));
    }

    /// Writes requests that got no answer.
    pub(crate) fn finish(&mut self, context: &mut Context<'_>) {
        for record in std::mem::take(&mut self.pending) {
            write_record(record, context);
        }
    }
}

fn write_record(record: HttpRecord, context: &mut Context<'_>) {
    context.out.push(Record::Http(HttpRecord { conversation: (context.conversation)(), ..record }));
}

fn empty_record(at: Timestamp) -> HttpRecord {
    HttpRecord {
        conversation: crate::record::Conversation::unknown(),
        at,
        method: None,
        uri: None,
        host: None,
        version: None,
        user_agent: None,
        referrer: None,
        status: None,
        response_body_bytes: None,
        response_mime_type: None,
    }
}

/// Where the first line ends, its line feed included.
fn line_end(data: &[u8]) -> Option<usize> {
    data.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
}

/// Where the empty line after the header fields ends.
fn head_end(data: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(end) = data.get(from..).and_then(line_end).map(|end| from + end) {
        match data.get(end..) {
            Some([b'\n', ..]) => return Some(end + 1),
            Some([b'\r', b'\n', ..]) => return Some(end + 2),
            _ => from = end,
        }
    }
    None
}

/// A request whose method is none of the known ones: a word in capitals, and HTTP at the end of the line.
fn has_method(data: &[u8]) -> bool {
    let Some(line) = line_end(data).map(|end| &data[..end]) else { return false };
    let word = line.iter().take_while(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')).count();
    (1..=24).contains(&word) && line.get(word) == Some(&b' ') && line.windows(7).any(|part| part == b"HTTP/1.")
}

/// Method, target and version by spaces alone, for heads that are broken further on.
fn first_line(head: &[u8], record: &mut HttpRecord) -> Option<()> {
    let line = head.get(..line_end(head)?)?.trim_ascii_end();
    let text = String::from_utf8_lossy(line);
    let (method, rest) = text.split_once(' ')?;
    let (uri, version) = rest.rsplit_once(" HTTP/").unwrap_or((rest, ""));
    record.method = Some(method.to_owned());
    record.uri = Some(shortened(uri.as_bytes()));
    record.version = Some(version.to_owned()).filter(|version| !version.is_empty());
    Some(())
}

fn status_of(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

fn value<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// How the end of a body is found.
enum Length {
    Bytes(u64),
    Chunked,
    Unknown,
}

fn body_length(headers: &[Header<'_>]) -> Length {
    let coding = value(headers, "transfer-encoding").unwrap_or_default();
    if coding.to_ascii_lowercase().windows(7).any(|part| part == b"chunked") {
        return Length::Chunked;
    }
    value(headers, "content-length")
        .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok())
        .map_or(Length::Unknown, Length::Bytes)
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| matches!(byte, b';' | b'\r' | b'\n' | b' ' | b'\t')).next()?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn mime_type(value: &[u8]) -> String {
    shortened(value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii())
}

fn shortened(value: &[u8]) -> String {
    String::from_utf8_lossy(value.get(..VALUE_MAX).unwrap_or(value)).into_owned()
}
