//! SMTP: each message becomes a file. Source: RFC 5321, and RFC 3030 for `BDAT`.

use super::Context;
use super::stream::Progress;
use crate::carve::{FileAbout, FileDirection, FileId};
use crate::record::AppProtocol;

/// Whether a line begins with the first command of a client.
pub(super) fn is_hello(line: &[u8]) -> bool {
    [b"EHLO ", b"HELO ", b"LHLO "].iter().any(|word| begins(line, *word))
}

fn begins(line: &[u8], word: &[u8]) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// What the client sends now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    #[default]
    Commands,
    /// `DATA` was sent; the server may refuse it.
    Asked,
    /// A message, up to a line with a single dot.
    Message(Line),
    /// So many bytes of a message; whether they are the last.
    Chunk(u64, bool),
}

/// Where a message is in a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    Start,
    Within,
    /// A dot at the start.
    Dot,
    /// A dot at the start, and a carriage return.
    DotReturn,
}

/// What became of bytes of the client.
pub(super) enum Taken {
    Bytes(usize),
    /// It is a command.
    NotContent,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Mail {
    phase: Phase,
    /// The server's last answer since `DATA`.
    answered: Option<u8>,
    /// `STARTTLS` was sent, and not answered yet.
    starting_tls: bool,
    /// Which end the client is.
    client: usize,
    file: Option<FileId>,
}

impl Mail {
    /// Takes what belongs to a message.
    pub(super) fn content(&mut self, data: &[u8], context: &mut Context<'_>) -> Taken {
        match self.phase {
            Phase::Commands => Taken::NotContent,
            Phase::Asked if matches!(self.answered, Some(b'4' | b'5')) => {
                self.phase = Phase::Commands;
                Taken::NotContent
            }
            Phase::Asked => {
                self.begin(context);
                Taken::Bytes(self.message(Line::Start, data, context))
            }
            Phase::Message(line) => Taken::Bytes(self.message(line, data, context)),
            Phase::Chunk(left, is_last) => {
                let len = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                context.append(&mut self.file, data.get(..len).unwrap_or_default());
                let left = left - len as u64;
                self.phase = Phase::Chunk(left, is_last);
                if left == 0 {
                    self.end_chunk(is_last, context);
                }
                Taken::Bytes(len)
            }
        }
    }

    fn end_chunk(&mut self, is_last: bool, context: &mut Context<'_>) {
        self.phase = Phase::Commands;
        if is_last {
            context.finish_file(&mut self.file);
        }
    }

    fn begin(&mut self, context: &mut Context<'_>) {
        context.abandon_file(&mut self.file);
        let about = FileAbout {
            protocol: AppProtocol::Smtp,
            direction: FileDirection::from_end(self.client),
            method: None,
            url: None,
            host: None,
            status: None,
            name: Some("message.eml".to_owned()),
            content_type: Some("message/rfc822".to_owned()),
            encoding: None,
            part: None,
        };
        if let Some(carver) = &mut context.carver {
            self.file = carver.begin(about, None);
        }
    }

    /// Takes bytes of a message up to its end, without the dots that were put before dots.
    fn message(&mut self, mut line: Line, data: &[u8], context: &mut Context<'_>) -> usize {
        let mut at = 0;
        while let Some(&byte) = data.get(at) {
            match (line, byte) {
                (Line::Start, b'.') => {
                    line = Line::Dot;
                    at += 1;
                }
                (Line::Dot, b'\r') => {
                    line = Line::DotReturn;
                    at += 1;
                }
                (Line::Dot | Line::DotReturn, b'\n') => {
                    context.finish_file(&mut self.file);
                    self.phase = Phase::Commands;
                    return at + 1;
                }
                (Line::DotReturn, _) => {
                    context.append(&mut self.file, b"\r");
                    line = Line::Within;
                }
                (Line::Start | Line::Within | Line::Dot, _) => {
                    let rest = data.get(at..).unwrap_or_default();
                    let (len, next) = up_to_dot(rest);
                    context.append(&mut self.file, rest.get(..len).unwrap_or_default());
                    line = next;
                    at += len;
                }
            }
        }
        self.phase = Phase::Message(line);
        at
    }

    pub(super) fn command(&mut self, end: usize, line: &[u8], context: &mut Context<'_>) {
        self.client = end;
        if begins(line, b"DATA") && line.len() == 4 {
            self.phase = Phase::Asked;
            self.answered = None;
        } else if begins(line, b"BDAT ") {
            let mut words = line[5..].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let len = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse::<u64>().ok());
            let is_last = words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"LAST"));
            let Some(len) = len else { return };
            if self.file.is_none() {
                self.begin(context);
            }
            self.phase = Phase::Chunk(len, is_last);
            if len == 0 {
                self.end_chunk(is_last, context);
            }
        } else if begins(line, b"STARTTLS") {
            self.starting_tls = true;
        } else if begins(line, b"RSET") {
            context.abandon_file(&mut self.file);
        }
    }

    /// After a good answer to `STARTTLS` another protocol follows.
    pub(super) fn answer(&mut self, line: &[u8]) -> Option<Progress> {
        let first = line.first().filter(|byte| byte.is_ascii_digit())?;
        self.answered = Some(*first);
        let is_final = !matches!(line.get(3), Some(b'-'));
        (is_final && std::mem::take(&mut self.starting_tls) && *first == b'2').then_some(Progress::BeginAgain)
    }

    /// A part of what the client sent is missing.
    pub(super) fn gap(&mut self, context: &mut Context<'_>) {
        context.abandon_file(&mut self.file);
        // The end of the message may come yet.
        self.phase = match self.phase {
            Phase::Asked | Phase::Message(_) => Phase::Message(Line::Within),
            Phase::Commands | Phase::Chunk(..) => Phase::Commands,
        };
    }

    pub(super) const fn has_file(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn abandon(&mut self, context: &mut Context<'_>) {
        context.abandon_file(&mut self.file);
    }
}

/// Length up to the next dot at the start of a line, and where in a line that is. At least the first byte.
fn up_to_dot(data: &[u8]) -> (usize, Line) {
    let mut at = 0;
    loop {
        let Some(end) = data.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) else {
            return (data.len(), if at == data.len() { Line::Start } else { Line::Within });
        };
        at += end + 1;
        match data.get(at) {
            Some(b'.') | None => return (at, Line::Start),
            Some(_) => {}
        }
    }
}
