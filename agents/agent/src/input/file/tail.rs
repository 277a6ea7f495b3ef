//! One file that is followed: its place, its first bytes, and the line that is not finished yet.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use canh_wire::limit;
use nix::fcntl::OFlag;
use tracing::info;

use super::header::{Current, Header};
use super::{FileId, LineAt};
use crate::checkpoint::Place;
use crate::input::{InputError, Line, Multiline, RecordSplitter};

/// Bytes read from one file before the next has its turn.
pub(super) const READ_LEN: usize = 256 * 1024;
/// Bytes at the start of a file that tell it from another one.
const PRINT_LEN: u64 = 1024;
/// How long a record that may go on waits for its next line.
const RECORD_PATIENCE: Duration = Duration::from_secs(2);

/// Whether reading on at once makes sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    More,
    Nothing,
}

/// How a file is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) format: Option<String>,
    pub(super) multiline: Multiline,
    pub(super) header: Header,
}

#[derive(Debug)]
pub(super) struct Tail {
    file: File,
    key: Arc<str>,
    path: PathBuf,
    path_text: String,
    format: Option<String>,
    header: Current,
    /// End of the last line handed out. What is read already is `offset + splitter.pending_len()`.
    offset: u64,
    splitter: RecordSplitter,
    /// When bytes came last: a record that may go on does not wait for ever.
    grew_at: Instant,
    print_len: u64,
    print: u64,
    /// The file still has a name that is looked for.
    pub(super) named: bool,
    /// Since when it has none.
    gone_since: Option<Instant>,
    /// Size and time of change at the last read: a file that has not changed is not read.
    seen: (u64, i64, i64),
}

impl Tail {
    /// Opens a file at its place, or at its beginning if `place` belongs to another file. An error if the path leads to
    /// another file than `id` by now.
    pub(super) fn open(
        path: &Path,
        id: FileId,
        key: Arc<str>,
        place: Option<&Place>,
        from_end: bool,
        reading: Reading,
    ) -> io::Result<Self> {
        let Reading { format, multiline, header } = reading;
        let file = open_regular(path)?;
        let meta = file.metadata()?;
        if (meta.dev(), meta.ino()) != id {
            return Err(io::Error::other("another file has taken its name"));
        }
        let size = meta.len();
        let mut tail = Self {
            file,
            key,
            path: path.to_owned(),
            path_text: path.to_string_lossy().into_owned(),
            format,
            header: Current::new(header),
            offset: 0,
            splitter: RecordSplitter::new(limit::LINE_MAX.as_len(), multiline),
            grew_at: Instant::now(),
            print_len: 0,
            print: 0,
            named: true,
            gone_since: None,
            seen: (u64::MAX, 0, 0),
        };
        match place {
            Some(&Place::File { offset, print_len, print, .. }) if offset <= size => {
                (tail.print_len, tail.print) = (print_len, print);
                if tail.is_whole()? {
                    tail.offset = offset;
                }
            }
            None if from_end => tail.offset = size,
            _ => (),
        }
        tail.take_print(tail.offset)?;
        tail.header = Current::at(header, &tail.file, tail.offset)?;
        Ok(tail)
    }

    /// Whether the file at `path` is the one that `place` was taken in.
    pub(super) fn is_same(path: &Path, place: &Place) -> bool {
        let Place::File { offset, print_len, print: expected, .. } = *place else { return false };
        let Ok(file) = open_regular(path) else { return false };
        file.metadata().is_ok_and(|meta| meta.len() >= offset)
            && print(&file, print_len).is_ok_and(|print| print == expected)
    }

    pub(super) fn key(&self) -> Arc<str> {
        self.key.clone()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn rename(&mut self, path: &Path) {
        self.path = path.to_owned();
        self.path_text = path.to_string_lossy().into_owned();
    }

    pub(super) fn place(&self) -> Place {
        place(&self.path_text, self.offset, self.print_len, self.print)
    }

    pub(super) fn note_named(&mut self, now: Instant) {
        if self.named {
            self.gone_since = None;
        } else {
            self.gone_since.get_or_insert(now);
        }
    }

    /// How long the file has had no name that is looked for and no new line.
    pub(super) fn gone_for(&self, now: Instant) -> Option<Duration> {
        self.gone_since.map(|since| now.saturating_duration_since(since))
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
    }

    /// Reads the next bytes and hands out the lines that they complete.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        now: Instant,
        mut line: impl FnMut(LineAt<'_>, Line) -> Result<(), InputError>,
    ) -> Result<Found, InputError> {
        let Ok(meta) = self.file.metadata() else { return Ok(Found::Nothing) };
        let position = self.offset + self.splitter.pending_len();
        let seen = (meta.len(), meta.mtime(), meta.mtime_nsec());
        if seen == self.seen && meta.len() <= position {
            self.release_old(now, line)?;
            return Ok(Found::Nothing);
        }
        self.seen = seen;
        if meta.len() < position || !self.is_whole().unwrap_or(true) {
            info!("file was truncated; it is read from its beginning");
            // The end of a half-read line is gone; its beginning is still worth keeping.
            self.offset = 0;
            (self.print_len, self.print) = (0, 0);
            let position = 0;
            while let Some(rest) = self.splitter.finish() {
                let header = self.header.text.clone();
                line(
                    line_at(&self.key, &self.path_text, self.format.as_deref(), header, position, self.place()),
                    rest,
                )?;
            }
            self.header.reset();
        }
        let position = self.offset + self.splitter.pending_len();
        let len = match self.file.read_at(buffer, position) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Found::More),
            Err(error) => return Err(InputError::failed("cannot read a log file", error)),
        };
        if len == 0 {
            self.release_old(now, line)?;
            return Ok(Found::Nothing);
        }
        self.grew_at = now;
        if self.gone_since.is_some() {
            self.gone_since = Some(now);
        }
        if self.print_len < PRINT_LEN {
            // If this fails, the old print still holds.
            let _ = self.take_print(position + len as u64);
        }
        let (key, path, format) = (&self.key, self.path_text.as_str(), self.format.as_deref());
        let (offset, print_len, print) = (&mut self.offset, self.print_len, self.print);
        let header = &mut self.header;
        self.splitter.feed(&buffer[..len], |mut whole| {
            let start = *offset;
            *offset += whole.stream_len;
            if header.take(&whole.bytes, start) {
                // It goes with the lines that follow; only the place moves on.
                whole.bytes.clear();
            }
            let header = header.text.clone();
            line(line_at(key, path, format, header, start, place(path, *offset, print_len, print)), whole)
        })?;
        Ok(if len == buffer.len() { Found::More } else { Found::Nothing })
    }

    /// Hands out a record that has waited long enough for more lines.
    fn release_old(
        &mut self,
        now: Instant,
        mut line: impl FnMut(LineAt<'_>, Line) -> Result<(), InputError>,
    ) -> Result<(), InputError> {
        if now.saturating_duration_since(self.grew_at) < RECORD_PATIENCE {
            return Ok(());
        }
        if let Some(record) = self.splitter.release() {
            let start = self.offset;
            self.offset += record.stream_len;
            let header = self.header.text.clone();
            line(line_at(&self.key, &self.path_text, self.format.as_deref(), header, start, self.place()), record)?;
        }
        Ok(())
    }

    /// Hands out the last line although it has no end.
    pub(super) fn finish(
        &mut self,
        mut line: impl FnMut(LineAt<'_>, Line) -> Result<(), InputError>,
    ) -> Result<(), InputError> {
        while let Some(mut rest) = self.splitter.finish() {
            let start = self.offset;
            self.offset += rest.stream_len;
            if self.header.take(&rest.bytes, start) {
                rest.bytes.clear();
            }
            let header = self.header.text.clone();
            line(line_at(&self.key, &self.path_text, self.format.as_deref(), header, start, self.place()), rest)?;
        }
        Ok(())
    }

    /// Whether the first bytes are still those that were read.
    fn is_whole(&self) -> io::Result<bool> {
        Ok(print(&self.file, self.print_len)? == self.print)
    }

    /// Remembers the first bytes, as many as there are up to `end`.
    fn take_print(&mut self, end: u64) -> io::Result<()> {
        let len = end.min(PRINT_LEN);
        let hash = print(&self.file, len)?;
        (self.print_len, self.print) = (len, hash);
        Ok(())
    }
}

/// Opens a file for reading and refuses anything that is not a regular one. Never waits, as opening a named pipe would,
/// and looks at what was opened: the path may lead elsewhere a moment later.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

fn line_at<'a>(
    key: &'a Arc<str>,
    path: &'a str,
    format: Option<&'a str>,
    header: Option<Arc<str>>,
    position: u64,
    place: Place,
) -> LineAt<'a> {
    LineAt { key, path, format, header, position, place }
}

fn place(path: &str, offset: u64, print_len: u64, print: u64) -> Place {
    Place::File { path: path.to_owned(), offset, print_len, print }
}

/// Hash of the first `len` bytes. 0 for none. Fewer bytes give another hash.
fn print(file: &File, len: u64) -> io::Result<u64> {
    if len == 0 {
        return Ok(0);
    }
    let mut bytes = vec![0; len.min(PRINT_LEN) as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    let hash = blake3::hash(&bytes[..filled]);
    Ok(hash.as_bytes().iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte)))
}
