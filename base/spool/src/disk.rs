//! The file calls of the writer, in one place so that tests can make them fail.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    /// Length beyond which the test disk is full. Part of a write that crosses it lands, as on a real disk.
    #[cfg(test)]
    limit: Option<u64>,
}

impl Disk {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            #[cfg(test)]
            limit: None,
        }
    }

    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(limit) = self.limit
            && offset + bytes.len() as u64 > limit
        {
            let fits = limit.saturating_sub(offset).min(bytes.len() as u64) as usize;
            self.file.write_all_at(&bytes[..fits], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all_at(bytes, offset)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(crate) fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    #[cfg(test)]
    pub(crate) fn set_limit(&mut self, limit: Option<u64>) {
        self.limit = limit;
    }
}
