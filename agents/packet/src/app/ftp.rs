//! FTP: the control connection says where a data connection goes to and what it carries, and what it carries is a file.
//! Source: RFC 959, and RFC 2428 for `EPRT` and `EPSV`.
//!
//! Of the address that is announced only the port is believed: a connection has to go to the host that the control
//! connection goes to or comes from. So nobody can have another connection taken for a transfer.

use std::net::IpAddr;

use super::Context;
use super::stream::{Bytes, Progress};
use crate::carve::{FileAbout, FileDirection, FileId, Transfer, TransferId};
use crate::record::AppProtocol;

/// Longest name that is kept, in bytes.
const NAME_MAX: usize = 1_024;

/// Whether a line is the first command of a client.
pub(super) fn is_login(line: &[u8]) -> bool {
    let begins = |word: &[u8]| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    begins(b"USER ") || begins(b"AUTH TLS") || begins(b"AUTH SSL")
}

/// A control connection.
#[derive(Debug)]
pub(super) struct FtpControl {
    /// Which end the client is.
    client: usize,
    /// The transfer that was announced last.
    announced: Option<TransferId>,
    /// Where the next transfer begins; empty at the start of the file.
    restart: String,
}

impl FtpControl {
    pub(super) fn new(client: usize) -> Self {
        Self { client, announced: None, restart: String::new() }
    }

    /// The addresses of client and server.
    fn hosts(&self, context: &Context<'_>) -> (IpAddr, IpAddr) {
        let conversation = (context.conversation)();
        let ends = [conversation.originator, conversation.responder];
        if self.client == 0 { (ends[0], ends[1]) } else { (ends[1], ends[0]) }
    }

    fn announce(&mut self, by_server: bool, port: Option<u16>, context: &mut Context<'_>) {
        let Some(port) = port.filter(|port| *port > 0) else { return };
        let (client, server) = self.hosts(context);
        let host = if by_server { server } else { client };
        if let Some(carver) = &mut context.carver {
            self.announced = Some(carver.announce((host, port), Transfer::default()));
        }
    }

    pub(super) fn answer(&mut self, line: &[u8], context: &mut Context<'_>) {
        if line.starts_with(b"227 ") {
            // Six numbers somewhere in the text.
            let digits = |byte: &u8| byte.is_ascii_digit();
            let text = &line[4..];
            let start = text.iter().position(digits).unwrap_or(text.len());
            self.announce(true, port_of_six(&text[start..]), context);
        } else if line.starts_with(b"229 ") {
            let start = line.iter().position(|byte| *byte == b'(').map_or(line.len(), |at| at + 1);
            self.announce(true, port_of_extended(&line[start..]), context);
        }
    }

    pub(super) fn command(&mut self, line: &[u8], context: &mut Context<'_>) {
        let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (word, argument) = (&line[..at], line.get(at + 1..).unwrap_or_default().trim_ascii());
        let argument = argument.get(..NAME_MAX).unwrap_or(argument);
        match word.to_ascii_uppercase().as_slice() {
            b"PORT" => self.announce(false, port_of_six(argument), context),
            b"EPRT" => self.announce(false, port_of_extended(argument), context),
            b"REST" => self.restart = String::from_utf8_lossy(argument).into_owned(),
            b"RETR" => self.transfer("RETR", argument, context),
            b"STOR" => self.transfer("STOR", argument, context),
            b"STOU" => self.transfer("STOU", argument, context),
            b"APPE" => self.transfer("APPE", argument, context),
            // What such a connection carries is no file.
            b"LIST" | b"NLST" | b"MLSD" => self.transfer("LIST", argument, context),
            _ => {}
        }
    }

    fn transfer(&mut self, command: &'static str, argument: &[u8], context: &mut Context<'_>) {
        let restart = std::mem::take(&mut self.restart);
        let part = match (command, restart.as_str()) {
            ("APPE", _) => Some("appended".to_owned()),
            (_, "" | "0") => None,
            (_, from) => Some(format!("from byte {from}")),
        };
        let name = Some(String::from_utf8_lossy(argument).into_owned()).filter(|name| !name.is_empty());
        let (_, server) = self.hosts(context);
        let transfer = Transfer { command: Some(command), name, part, server: Some(server) };
        if let (Some(carver), Some(id)) = (&mut context.carver, self.announced.take()) {
            carver.describe(id, transfer);
        }
    }
}

/// `h1,h2,h3,h4,p1,p2`
fn port_of_six(text: &[u8]) -> Option<u16> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b',').unwrap_or(text.len());
    let numbers = std::str::from_utf8(&text[..end]).ok()?;
    let mut numbers = numbers.split(',').map(|number| number.parse::<u8>().ok());
    let (high, low) = (numbers.nth(4)??, numbers.next()??);
    numbers.next().is_none().then_some(u16::from_be_bytes([high, low]))
}

/// `|1|132.235.1.2|6275|`, with any sign between.
fn port_of_extended(text: &[u8]) -> Option<u16> {
    let sign = text.first()?;
    let port = text.split(|byte| byte == sign).nth(3)?;
    std::str::from_utf8(port).ok()?.parse().ok()
}

/// A data connection that was announced.
#[derive(Debug)]
pub(crate) struct TransferStream {
    id: TransferId,
    /// Which end sends; `None` until it does.
    sender: Option<usize>,
    file: Option<FileId>,
}

impl TransferStream {
    pub(crate) const fn new(id: TransferId) -> Self {
        Self { id, sender: None, file: None }
    }

    /// Whether it begins as TLS does.
    pub(crate) fn is_encrypted(&self, bytes: Bytes<'_>) -> bool {
        self.sender.is_none() && super::tls::is_hello(bytes.data)
    }

    pub(crate) fn data(&mut self, bytes: Bytes<'_>, context: &mut Context<'_>) -> Progress {
        let Some(sender) = self.sender else {
            // Too short to tell.
            if bytes.data.len() < 6 && super::tls::may_be_hello(bytes.data) {
                return Progress::Consumed(0);
            }
            return self.begin(bytes, context);
        };
        if sender == bytes.end {
            context.append(&mut self.file, bytes.data);
        }
        Progress::Consumed(bytes.data.len())
    }

    fn begin(&mut self, bytes: Bytes<'_>, context: &mut Context<'_>) -> Progress {
        let Some(carver) = &mut context.carver else { return Progress::Done };
        let transfer = carver.transfer(self.id).unwrap_or_default();
        if transfer.command == Some("LIST") {
            return Progress::Done;
        }
        self.sender = Some(bytes.end);
        let name = transfer.name.as_deref().and_then(|path| path.rsplit(['/', '\\']).next());
        let name = name.map(|name| name.chars().filter(|letter| !letter.is_control()).collect::<String>());
        let host = transfer.server.map(|server| match server {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        });
        let url = host.as_ref().zip(transfer.name.as_deref());
        let url = url.map(|(host, path)| format!("ftp://{host}/{}", path.trim_start_matches('/')));
        let about = FileAbout {
            protocol: AppProtocol::Ftp,
            direction: FileDirection::from_end(bytes.end),
            method: transfer.command.map(str::to_owned),
            url,
            host,
            status: None,
            name: name.filter(|name| !name.is_empty()),
            content_type: None,
            encoding: None,
            part: transfer.part,
        };
        self.file = carver.begin(about, None);
        context.append(&mut self.file, bytes.data);
        Progress::Consumed(bytes.data.len())
    }

    pub(crate) fn closed(&mut self, end: usize, context: &mut Context<'_>) {
        if self.sender == Some(end) {
            context.finish_file(&mut self.file);
        }
    }

    pub(crate) fn abandon(&mut self, context: &mut Context<'_>) {
        context.abandon_file(&mut self.file);
    }
}
