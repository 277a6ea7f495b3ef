//! Batches that the server refuses for good, kept so that somebody can look at them.

use std::fs;
use std::io;
use std::path::PathBuf;

use canh_wire::BatchKind;

/// Size of the folder. Beyond it the oldest batches are removed.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug)]
pub struct Rejected {
    dir: PathBuf,
    bytes_max: u64,
}

impl Rejected {
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, bytes_max: BYTES_MAX }
    }

    /// Writes the OTLP message to a file of its own.
    pub fn keep(&self, kind: BatchKind, sequence: u64, message: &[u8]) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(format!("{sequence:020}.{}.otlp", kind.name()));
        fs::write(&path, message)?;
        self.shrink()?;
        Ok(path)
    }

    fn shrink(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            files.push((entry.path(), entry.metadata()?.len()));
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, len)| len).sum();
        for (path, len) in files {
            if bytes <= self.bytes_max {
                break;
            }
            fs::remove_file(path)?;
            bytes -= len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let rejected = Rejected { dir: dir.path().join("rejected"), bytes_max: 25 };
        for sequence in [9, 10, 11] {
            rejected.keep(BatchKind::Logs, sequence, &[0; 10]).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(dir.path().join("rejected"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["00000000000000000010.logs.otlp", "00000000000000000011.logs.otlp"]);
    }
}
