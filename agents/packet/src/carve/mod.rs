//! Files taken out of TCP streams: bodies of HTTP, messages of SMTP, and what FTP transfers.
//!
//! All files under way are held here, under one budget, so that one that stalls can make room for another. A file that
//! has a hole, or whose end was not seen, is given up and counted: it is never handed out as if it were whole.

mod decode;
mod name;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::record::{AppProtocol, Conversation};
use crate::time::Timestamp;
pub(crate) use name::{declared_name, name_of_target, name_of_type};

/// FTP transfers that were announced and whose connection did not come yet. The oldest go first.
const ANNOUNCED_MAX: usize = 1_024;

/// Caps of files that are taken out of streams.
#[derive(Clone, Debug)]
pub struct CarveConfig {
    /// Longest file, as it is transferred. A longer one is given up, and counted.
    pub file_bytes_max: usize,
    /// Files under way at the same time. When one more begins, the one that stalled longest is given up, and counted.
    pub files_max: usize,
    /// Bytes of all files under way, and of those that were not taken yet. When more come, the file that stalled longest
    /// is given up, and counted.
    pub bytes_max: usize,
    /// Bytes of one direction that wait for an earlier segment while a file is under way. They are part of the flow
    /// table's `reassembly_bytes_max`.
    pub held_back_bytes_max: usize,
}

impl Default for CarveConfig {
    fn default() -> Self {
        Self { file_bytes_max: 8 << 20, files_max: 256, bytes_max: 64 << 20, held_back_bytes_max: 1 << 20 }
    }
}

/// What became of files, since the table was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CarveStats {
    /// Files handed out, and their bytes.
    pub files: u64,
    pub bytes: u64,
    /// Files with a hole, or whose end was not seen.
    pub incomplete: u64,
    /// Files longer than [`CarveConfig::file_bytes_max`].
    pub too_large: u64,
    /// Files given up to make room for others.
    pub no_room: u64,
}

/// Which way a file went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileDirection {
    /// From the originator to the responder: an upload, the body of a request.
    ToResponder,
    /// From the responder to the originator: a download, the body of an answer.
    ToOriginator,
}

impl FileDirection {
    pub(crate) const fn from_end(end: usize) -> Self {
        if end == 0 { Self::ToResponder } else { Self::ToOriginator }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::ToResponder => "to_responder",
            Self::ToOriginator => "to_originator",
        }
    }
}

/// What is known of a file beside its bytes. All of it is a claim of those who transfer it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileAbout {
    pub protocol: AppProtocol,
    pub direction: FileDirection,
    /// Of the request, or of FTP's command.
    pub method: Option<String>,
    /// Where to and what for, for example `http://host/path`.
    pub url: Option<String>,
    pub host: Option<String>,
    /// Of the answer; `None` for the body of a request, whose answer comes later.
    pub status: Option<u16>,
    /// Without directories: from `Content-Disposition`, else from the address, else made of the content type.
    pub name: Option<String>,
    pub content_type: Option<String>,
    /// What the bytes are still encoded with, as in `Content-Encoding`.
    pub encoding: Option<String>,
    /// Set if it is known to be a part of a file: the range, or where FTP began again.
    pub part: Option<String>,
}

/// A file that was transferred whole.
#[derive(Clone, PartialEq, Debug)]
pub struct CarvedFile {
    pub conversation: Conversation,
    /// When its end was seen.
    pub at: Timestamp,
    pub about: FileAbout,
    pub bytes: Vec<u8>,
}

/// A file under way. Stays a number when the file is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct FileId(u64);

#[derive(Debug)]
struct Open {
    about: FileAbout,
    bytes: Vec<u8>,
    declared: usize,
    /// When the last bytes came, in appended pieces.
    touched: u64,
}

/// A transfer that a control connection of FTP announced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transfer {
    pub command: Option<&'static str>,
    pub name: Option<String>,
    pub part: Option<String>,
    pub server: Option<IpAddr>,
}

/// Names an announced transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TransferId(u64);

#[derive(Debug)]
struct Announced {
    id: TransferId,
    /// Where the connection will go to; `None` once it came.
    at: Option<(IpAddr, u16)>,
    transfer: Transfer,
}

/// All files under way.
#[derive(Debug)]
pub(crate) struct Carver {
    config: CarveConfig,
    open: BTreeMap<FileId, Open>,
    numbers: u64,
    /// Pieces appended so far: the clock of [`Open::touched`].
    pieces: u64,
    /// Capacity of all buffers.
    used: usize,
    done: Vec<CarvedFile>,
    announced: VecDeque<Announced>,
    stats: CarveStats,
}

impl Carver {
    pub(crate) fn new(config: CarveConfig) -> Self {
        Self {
            config: CarveConfig { files_max: config.files_max.max(1), ..config },
            open: BTreeMap::new(),
            numbers: 0,
            pieces: 0,
            used: 0,
            done: Vec::new(),
            announced: VecDeque::new(),
            stats: CarveStats::default(),
        }
    }

    pub(crate) const fn stats(&self) -> CarveStats {
        self.stats
    }

    pub(crate) const fn held_back_bytes_max(&self) -> usize {
        self.config.held_back_bytes_max
    }

    /// Hands out what is whole.
    pub(crate) fn take(&mut self) -> Vec<CarvedFile> {
        for file in &self.done {
            self.used -= file.bytes.capacity().min(self.used);
        }
        std::mem::take(&mut self.done)
    }

    /// A file begins. `declared` is the length that it is said to have; memory is only given for bytes that come.
    pub(crate) fn begin(&mut self, about: FileAbout, declared: Option<u64>) -> Option<FileId> {
        if declared.is_some_and(|len| len > self.config.file_bytes_max as u64) {
            self.stats.too_large += 1;
            return None;
        }
        if self.open.len() >= self.config.files_max {
            self.give_up_stalled(None);
        }
        self.numbers += 1;
        let id = FileId(self.numbers);
        let declared = declared.and_then(|len| usize::try_from(len).ok()).unwrap_or(usize::MAX);
        self.open.insert(id, Open { about, bytes: Vec::new(), declared, touched: self.pieces });
        Some(id)
    }

    /// More of a file. If it is gone, or is given up now, the handle is cleared.
    pub(crate) fn append(&mut self, file: &mut Option<FileId>, data: &[u8]) {
        let Some(id) = *file else { return };
        if self.try_append(id, data).is_none() {
            *file = None;
        }
    }

    fn try_append(&mut self, id: FileId, data: &[u8]) -> Option<()> {
        self.pieces += 1;
        let open = self.open.get_mut(&id)?;
        open.touched = self.pieces;
        let len = open.bytes.len() + data.len();
        if len > self.config.file_bytes_max {
            self.stats.too_large += 1;
            self.remove(id);
            return None;
        }
        if len > open.bytes.capacity() {
            let doubled = open.bytes.capacity().saturating_mul(2);
            let capacity = doubled.min(self.config.file_bytes_max).min(open.declared).max(len);
            let more = capacity - open.bytes.capacity();
            while self.used + more > self.config.bytes_max {
                if !self.give_up_stalled(Some(id)) {
                    self.stats.no_room += 1;
                    self.remove(id);
                    return None;
                }
            }
            let open = self.open.get_mut(&id)?;
            let before = open.bytes.capacity();
            open.bytes.reserve_exact(capacity - open.bytes.len());
            self.used += open.bytes.capacity() - before;
        }
        self.open.get_mut(&id)?.bytes.extend_from_slice(data);
        Some(())
    }

    /// The end of a file came. One without any bytes is none.
    pub(crate) fn finish(&mut self, file: &mut Option<FileId>, at: Timestamp, conversation: &dyn Fn() -> Conversation) {
        let Some(open) = file.take().and_then(|id| self.open.remove(&id)) else { return };
        if open.bytes.is_empty() {
            return;
        }
        self.stats.files += 1;
        self.stats.bytes += open.bytes.len() as u64;
        self.done.push(CarvedFile { conversation: conversation(), at, about: open.about, bytes: open.bytes });
    }

    /// The rest of a file will not come, or a part of it is missing.
    pub(crate) fn abandon(&mut self, file: &mut Option<FileId>) {
        if let Some(id) = file.take()
            && self.remove(id)
        {
            self.stats.incomplete += 1;
        }
    }

    fn remove(&mut self, id: FileId) -> bool {
        let removed = self.open.remove(&id);
        if let Some(open) = &removed {
            self.used -= open.bytes.capacity().min(self.used);
        }
        removed.is_some()
    }

    /// Makes room. The file whose last bytes came longest ago is the least likely to become whole.
    fn give_up_stalled(&mut self, except: Option<FileId>) -> bool {
        let others = self.open.iter().filter(|(id, _)| Some(**id) != except);
        let Some(victim) = others.min_by_key(|(_, open)| open.touched).map(|(id, _)| *id) else { return false };
        self.stats.no_room += 1;
        self.remove(victim)
    }

    /// A connection to this place will carry a file.
    pub(crate) fn announce(&mut self, at: (IpAddr, u16), transfer: Transfer) -> TransferId {
        if self.announced.len() >= ANNOUNCED_MAX {
            self.announced.pop_front();
        }
        self.numbers += 1;
        let id = TransferId(self.numbers);
        // The newest word about a place holds.
        self.announced.retain(|other| other.at != Some(at));
        self.announced.push_back(Announced { id, at: Some(at), transfer });
        id
    }

    /// What is transferred became known.
    pub(crate) fn describe(&mut self, id: TransferId, transfer: Transfer) {
        if let Some(announced) = self.announced.iter_mut().find(|announced| announced.id == id) {
            announced.transfer = transfer;
        }
    }

    pub(crate) fn is_announced(&self) -> bool {
        !self.announced.is_empty()
    }

    /// A connection to `at` begins: whether it was announced.
    pub(crate) fn claim(&mut self, at: (IpAddr, u16)) -> Option<TransferId> {
        let announced = self.announced.iter_mut().find(|announced| announced.at == Some(at))?;
        announced.at = None;
        Some(announced.id)
    }

    /// What the connection carries; it is forgotten here.
    pub(crate) fn transfer(&mut self, id: TransferId) -> Option<Transfer> {
        let place = self.announced.iter().position(|announced| announced.id == id)?;
        self.announced.remove(place).map(|announced| announced.transfer)
    }
}

#[cfg(test)]
mod tests;
