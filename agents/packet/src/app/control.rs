//! Commands and answers in lines: SMTP, and the control connection of FTP. Both begin with the same greeting, so the
//! first command that only one of them has decides. Only looked at while somebody wants files.

use super::Context;
use super::ftp::FtpControl;
use super::mail::{Mail, Taken};
use super::stream::{Bytes, Progress};
use crate::record::AppProtocol;

/// Longest line that is read; of a longer one the rest is stepped over.
const LINE_MAX: usize = 4_096;
/// Commands that neither protocol has alone, before the connection is left alone.
const UNKNOWN_MAX: u8 = 8;

/// Whether a stream begins with the greeting of a server, or with the first command of a client that sends mail.
pub(super) fn is_greeting(data: &[u8]) -> bool {
    data.starts_with(b"220 ") || data.starts_with(b"220-") || super::mail::is_hello(data)
}

/// Whether so few bytes may become that.
pub(super) fn may_be_greeting(data: &[u8]) -> bool {
    !data.is_empty()
        && [&b"220 "[..], b"220-", b"EHLO ", b"HELO ", b"LHLO "]
            .iter()
            .any(|word| word.get(..data.len()).is_some_and(|start| start.eq_ignore_ascii_case(data)))
}

/// What is spoken.
#[derive(Debug, Default)]
enum Role {
    #[default]
    Unknown,
    Mail(Box<Mail>),
    Ftp(Box<FtpControl>),
}

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct ControlStream {
    role: Role,
    /// The client is the responder: the greeting came from the originator, whose beginning was not seen.
    client: usize,
    unknown: u8,
    begun: bool,
    /// The line is too long, or its beginning is missing: it is stepped over.
    skipping: [bool; 2],
}

impl ControlStream {
    pub(crate) fn protocol(&self) -> Option<AppProtocol> {
        match self.role {
            Role::Unknown => None,
            Role::Mail(_) => Some(AppProtocol::Smtp),
            Role::Ftp(_) => Some(AppProtocol::Ftp),
        }
    }

    pub(crate) fn data(&mut self, bytes: Bytes<'_>, context: &mut Context<'_>) -> Progress {
        if !std::mem::replace(&mut self.begun, true) {
            let from_server = bytes.data.starts_with(b"220");
            self.client = if from_server { 1 - bytes.end } else { bytes.end };
        }
        let mut at = 0;
        while let Some(rest) = bytes.data.get(at..).filter(|rest| !rest.is_empty()) {
            if bytes.end == self.client
                && let Role::Mail(mail) = &mut self.role
            {
                match mail.content(rest, context) {
                    Taken::Bytes(len) => {
                        at += len;
                        continue;
                    }
                    Taken::NotContent => {}
                }
            }
            let Some(end) = rest.iter().position(|byte| *byte == b'\n').map(|at| at + 1) else {
                if rest.len() <= LINE_MAX && !self.skipping[bytes.end] {
                    break;
                }
                self.skipping[bytes.end] = true;
                at += rest.len();
                continue;
            };
            at += end;
            if std::mem::take(&mut self.skipping[bytes.end]) || end > LINE_MAX {
                continue;
            }
            let line = rest[..end].trim_ascii_end();
            if let Some(progress) = self.line(bytes.end, line, context) {
                return progress;
            }
        }
        Progress::Consumed(at)
    }

    fn line(&mut self, end: usize, line: &[u8], context: &mut Context<'_>) -> Option<Progress> {
        if end != self.client {
            return match &mut self.role {
                Role::Mail(mail) => mail.answer(line),
                Role::Ftp(control) => {
                    control.answer(line, context);
                    None
                }
                Role::Unknown => None,
            };
        }
        if let Role::Unknown = self.role {
            if super::mail::is_hello(line) {
                self.role = Role::Mail(Box::default());
            } else if super::ftp::is_login(line) {
                self.role = Role::Ftp(Box::new(FtpControl::new(self.client)));
            } else {
                self.unknown += 1;
                return (self.unknown >= UNKNOWN_MAX).then_some(Progress::Done);
            }
        }
        match &mut self.role {
            Role::Mail(mail) => mail.command(end, line, context),
            Role::Ftp(control) => control.command(line, context),
            Role::Unknown => {}
        }
        None
    }

    /// A piece is missing, and with it perhaps the end of what is under way.
    pub(crate) fn gap(&mut self, end: usize, context: &mut Context<'_>) {
        self.skipping[end] = true;
        if end == self.client
            && let Role::Mail(mail) = &mut self.role
        {
            mail.gap(context);
        }
    }

    pub(crate) fn has_file(&self, end: usize) -> bool {
        matches!(&self.role, Role::Mail(mail) if end == self.client && mail.has_file())
    }

    pub(crate) fn abandon(&mut self, context: &mut Context<'_>) {
        if let Role::Mail(mail) = &mut self.role {
            mail.abandon(context);
        }
    }
}
