//! Frames of RELP: `TXNR SP COMMAND SP LENGTH [SP DATA] LF`, in pieces as they come, and the answers to them.

/// Longest head: nine digits, a command of 32 letters, nine digits, and spaces.
const HEAD_MAX: usize = 64;
const DIGITS_MAX: usize = 9;
const COMMAND_MAX: usize = 32;
/// After this number comes 1.
const NUMBER_MAX: u32 = 999_999_999;
/// What follows `open` and other commands that are no messages is kept up to this length.
const OFFERS_MAX: usize = 8 * 1024;

/// What the client asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command {
    Open,
    Syslog,
    Close,
    Unknown,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) number: u32,
    pub(super) command: Command,
    pub(super) data: Vec<u8>,
    /// The data was longer than the limit; the start of it is kept.
    pub(super) cut: bool,
}

/// The stream is not RELP; where the next frame starts is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a frame is not `NUMBER COMMAND LENGTH DATA`")]
pub(super) struct BadFrame;

/// The number after this one.
pub(super) const fn next_number(number: u32) -> u32 {
    if number >= NUMBER_MAX { 1 } else { number + 1 }
}

/// `NUMBER rsp LENGTH DATA`.
pub(super) fn answer(out: &mut Vec<u8>, number: u32, data: &str) {
    let space = if data.is_empty() { "" } else { " " };
    out.extend_from_slice(format!("{number} rsp {}{space}{data}\n", data.len()).as_bytes());
}

/// Tells the client that the server ends the session.
pub(super) const SERVER_CLOSE: &[u8] = b"0 serverclose 0\n";

#[derive(Debug)]
pub(super) struct FrameReader {
    message_max: usize,
    head: Vec<u8>,
    /// The frame whose data is being read, and how much of it is to come.
    frame: Option<(Frame, usize)>,
}

impl FrameReader {
    pub(super) fn new(message_max: usize) -> Self {
        Self { message_max: message_max.max(1), head: Vec::new(), frame: None }
    }

    /// Whether a frame has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.frame.is_some() || !self.head.is_empty()
    }

    /// The next whole frame; what it consumed is taken off `data`. `None` when more bytes are needed.
    pub(super) fn next(&mut self, data: &mut &[u8]) -> Result<Option<Frame>, BadFrame> {
        while self.frame.is_none() {
            let Some((&byte, rest)) = data.split_first() else { return Ok(None) };
            // A head ends with the third space, or with the line if there is no data.
            if self.head.is_empty() && matches!(byte, b'\n' | b'\r') {
                return Err(BadFrame);
            }
            let ends = byte == b'\n' || (byte == b' ' && self.head.iter().filter(|byte| **byte == b' ').count() == 2);
            if !ends {
                *data = rest;
                self.head.push(byte);
                if self.head.len() > HEAD_MAX {
                    return Err(BadFrame);
                }
                continue;
            }
            let (frame, len) = head(&self.head)?;
            self.head.clear();
            if byte == b' ' {
                *data = rest;
            } else if len > 0 {
                return Err(BadFrame);
            }
            self.frame = Some((frame, len));
        }
        let Some((frame, left)) = &mut self.frame else { return Ok(None) };
        let (now, rest) = data.split_at((*left).min(data.len()));
        let data_max = if frame.command == Command::Syslog { self.message_max } else { OFFERS_MAX };
        let room = data_max - frame.data.len().min(data_max);
        frame.data.extend_from_slice(&now[..now.len().min(room)]);
        frame.cut |= now.len() > room;
        *left -= now.len();
        *data = rest;
        if *left > 0 {
            return Ok(None);
        }
        let Some((&end, rest)) = data.split_first() else { return Ok(None) };
        if end != b'\n' {
            return Err(BadFrame);
        }
        *data = rest;
        Ok(self.frame.take().map(|(frame, _)| frame))
    }
}

fn head(head: &[u8]) -> Result<(Frame, usize), BadFrame> {
    let mut parts = head.split(|byte| *byte == b' ');
    let (Some(number), Some(command), Some(len), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(BadFrame);
    };
    let number = digits(number).filter(|number| *number > 0).ok_or(BadFrame)?;
    let len = digits(len).ok_or(BadFrame)? as usize;
    let command = match command {
        b"open" => Command::Open,
        b"syslog" => Command::Syslog,
        b"close" => Command::Close,
        other if (1..=COMMAND_MAX).contains(&other.len()) && other.iter().all(u8::is_ascii_alphanumeric) => {
            Command::Unknown
        }
        _ => return Err(BadFrame),
    };
    Ok((Frame { number, command, data: Vec::new(), cut: false }, len))
}

fn digits(text: &[u8]) -> Option<u32> {
    let is_number = (1..=DIGITS_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    text.parse().ok()
}

/// What a client offers in `open`: whether this server can talk with it, or why not.
pub(super) fn judge_offers(data: &[u8]) -> Result<(), &'static str> {
    let text = String::from_utf8_lossy(data);
    let offer = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    match offer("relp_version").map(str::trim) {
        Some("0" | "1") => (),
        _ => return Err("500 this server speaks relp_version=0"),
    }
    let commands = offer("commands").unwrap_or_default();
    if commands.split(',').any(|command| command.trim() == "syslog") {
        return Ok(());
    }
    Err("500 the command syslog is needed and was not offered")
}

/// For the fuzzer.
pub(crate) fn fuzz(bytes: &[u8]) {
    let (step, stream) = bytes.split_first().map_or((1, bytes), |(step, rest)| (usize::from(*step).max(1), rest));
    let mut reader = FrameReader::new(64);
    for piece in stream.chunks(step) {
        let mut rest = piece;
        loop {
            match reader.next(&mut rest) {
                Ok(Some(frame)) => drop(judge_offers(&frame.data)),
                Ok(None) => break,
                Err(BadFrame) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames as `number command data`, with `…` behind data that was cut, and `bad` at the end of a stream that is not
    /// RELP; in pieces of every length.
    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        for piece_len in [1, 2, 3, 7, 1_000] {
            let mut reader = FrameReader::new(5);
            let mut found = Vec::new();
            'stream: for piece in stream.as_bytes().chunks(piece_len) {
                let mut rest = piece;
                loop {
                    match reader.next(&mut rest) {
                        Ok(Some(frame)) => {
                            let mark = if frame.cut { "…" } else { "" };
                            let data = String::from_utf8_lossy(&frame.data);
                            found.push(format!("{} {:?} {data}{mark}", frame.number, frame.command));
                        }
                        Ok(None) => break,
                        Err(BadFrame) => {
                            found.push("bad".to_owned());
                            break 'stream;
                        }
                    }
                }
            }
            assert_eq!(found, expected, "stream: {stream:?} in pieces of {piece_len}");
        }
    }

    #[test]
    fn frames() {
        check("", &[]);
        check("1 open 5 a=b\nc\n", &["1 Open a=b\nc"]);
        check("1 syslog 3 abc\n2 syslog 2 de\n", &["1 Syslog abc", "2 Syslog de"]);
        check("1 syslog 3 a\nc\n2 close 0\n", &["1 Syslog a\nc", "2 Close "]);
        check("3 close 0 \n", &["3 Close "]);
        check("4 starttls 0\n", &["4 Unknown "]);
        check("1 syslog 8 abcdefgh\n2 syslog 1 x\n", &["1 Syslog abcde…", "2 Syslog x"]);
        check("999999999 syslog 1 x\n", &["999999999 Syslog x"]);
        check("1 syslog 9 abc", &[]);
    }

    #[test]
    fn what_is_not_relp() {
        check("\n", &["bad"]);
        check("GET / HTTP/1.1\r\n\r\n", &["bad"]);
        check("<13>plain syslog\n", &["bad"]);
        check("0 syslog 1 x\n", &["bad"]);
        check("1234567890 syslog 1 x\n", &["bad"]);
        check("1 syslog 1234567890 x\n", &["bad"]);
        check("1 syslog -1 x\n", &["bad"]);
        check("1  1 x\n", &["bad"]);
        check("1 syslog 3\n", &["bad"]);
        check("1 syslog 3 abcd\n", &["bad"]);
        check("1 syslog 1 x\n2 syslog 2 lie\n", &["1 Syslog x", "bad"]);
        check(&"1".repeat(100), &["bad"]);
        check("1 sys!og 1 x\n", &["bad"]);
    }

    #[test]
    fn offers() {
        let check = |data: &str, good: bool| assert_eq!(judge_offers(data.as_bytes()).is_ok(), good, "{data:?}");
        check("\nrelp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog", true);
        check("relp_version=1\ncommands=eventlog,syslog", true);
        check("relp_version=0\ncommands=eventlog", false);
        check("relp_version=2\ncommands=syslog", false);
        check("commands=syslog", false);
        check("", false);
    }

    #[test]
    fn numbers_and_answers() {
        assert_eq!([next_number(1), next_number(999_999_998), next_number(999_999_999)], [2, 999_999_999, 1]);
        let mut out = Vec::new();
        answer(&mut out, 7, "200 OK");
        answer(&mut out, 8, "");
        assert_eq!(out, b"7 rsp 6 200 OK\n8 rsp 0\n");
    }
}
