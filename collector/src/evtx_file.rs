//! Reads event log files of Windows (`.evtx`) record by record: each becomes one line of JSON in the shape that the format
//! `evtx` decodes. What the values mean is not its business.
//!
//! Files come from machines that somebody has broken into, so every byte is hostile. A file is read chunk by chunk
//! (64 KiB each, rendered within a budget), a damaged chunk or record is a problem with its place, and reading goes on
//! behind it.

use std::io::{Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use evtx::{EvtxChunkData, EvtxParser, ParserSettings};

/// Length of a chunk, and of the head before the first one, in bytes. Source: [MS-EVEN6] and the files themselves.
const CHUNK_LEN: u64 = 64 * 1024;
const HEAD_LEN: u64 = 4_096;

/// An open event log file.
pub struct EvtxFile<R: Read + Seek> {
    parser: EvtxParser<R>,
    settings: Arc<ParserSettings>,
    /// Number of whole chunks, and bytes behind the last one.
    chunks: u64,
    tail_len: u64,
}

/// What a file, or a part of it, cannot be read for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvtxProblem {
    #[error("not an event log of Windows, or its head is damaged: {0}")]
    Head(String),
    #[error("chunk {chunk}: {reason}")]
    Chunk { chunk: u64, reason: String },
    #[error("chunk {chunk}, record {record}: {reason}")]
    Record { chunk: u64, record: String, reason: String },
    #[error("the file ends inside chunk {chunk}: {len} bytes are not read; was it copied whole?")]
    Tail { chunk: u64, len: u64 },
}

impl<R: Read + Seek> EvtxFile<R> {
    /// Reads the head of a file.
    ///
    /// # Errors
    ///
    /// [`EvtxProblem::Head`] for everything that is not an event log.
    pub fn open(mut reader: R) -> Result<Self, EvtxProblem> {
        let head = |error: &(dyn std::error::Error + 'static)| EvtxProblem::Head(chain(error));
        let len = reader.seek(SeekFrom::End(0)).map_err(|error| head(&error))?;
        reader.rewind().map_err(|error| head(&error))?;
        let parser = EvtxParser::from_read_seek(reader).map_err(|error| head(&error))?;
        Ok(Self {
            parser,
            settings: Arc::new(ParserSettings::default().num_threads(1)),
            chunks: len.saturating_sub(HEAD_LEN) / CHUNK_LEN,
            tail_len: len.saturating_sub(HEAD_LEN) % CHUNK_LEN,
        })
    }

    /// Hands every record over as one line of JSON without the line's end, the oldest first, and every problem where it
    /// is met. `Break` ends it.
    pub fn read(self, mut each: impl FnMut(Result<Vec<u8>, EvtxProblem>) -> ControlFlow<()>) {
        let mut number = 0;
        for chunk in self.parser.into_chunks() {
            let records = match chunk {
                Ok(mut chunk) => {
                    number = chunk.number.unwrap_or(number);
                    // The budget of the reader bounds what one chunk may become. Should it meet a chunk that it was not
                    // written for, that chunk is lost and nothing else.
                    catch_unwind(AssertUnwindSafe(|| render(&mut chunk, number, &self.settings))).unwrap_or_else(|_| {
                        vec![Err(EvtxProblem::Chunk { chunk: number, reason: "the reader gave up on it".to_owned() })]
                    })
                }
                Err(error) => {
                    if let evtx::err::EvtxError::FailedToParseChunk { chunk_id, .. } = &error {
                        number = *chunk_id;
                    }
                    vec![Err(EvtxProblem::Chunk { chunk: number, reason: chain(&error) })]
                }
            };
            number = number.saturating_add(1);
            for record in records {
                if each(record).is_break() {
                    return;
                }
            }
        }
        if self.tail_len > 0 {
            let _ = each(Err(EvtxProblem::Tail { chunk: self.chunks, len: self.tail_len }));
        }
    }
}

fn render(data: &mut EvtxChunkData, chunk: u64, settings: &Arc<ParserSettings>) -> Vec<Result<Vec<u8>, EvtxProblem>> {
    let mut parsed = match data.parse(Arc::clone(settings)) {
        Ok(parsed) => parsed,
        Err(error) => return vec![Err(EvtxProblem::Chunk { chunk, reason: chain(&error) })],
    };
    let records = parsed.iter().map(|record| {
        let lines = record.and_then(|record| record.into_json_bytes());
        lines.map(|record| one_line(record.data)).map_err(|error| match &error {
            evtx::err::EvtxError::FailedToParseRecord { record_id, source } => {
                EvtxProblem::Record { chunk, record: record_id.to_string(), reason: chain(source.as_ref()) }
            }
            evtx::err::EvtxError::FailedToReadRecordAt { offset, source, .. } => {
                EvtxProblem::Record { chunk, record: format!("at byte {offset}"), reason: chain(source.as_ref()) }
            }
            other => EvtxProblem::Chunk { chunk, reason: chain(other) },
        })
    });
    records.collect()
}

/// JSON may have line ends between its parts; inside its texts they are written out.
fn one_line(mut json: Vec<u8>) -> Vec<u8> {
    for byte in &mut json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    json
}

/// An error with everything that it was caused by.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Bytes of a file, and the same bytes as the inside of its only chunk, for the fuzzer.
pub(crate) fn fuzz(bytes: &[u8]) {
    let read = |file: &[u8]| {
        if let Ok(file) = EvtxFile::open(std::io::Cursor::new(file)) {
            file.read(|_| ControlFlow::Continue(()));
        }
    };
    read(bytes);
    let mut whole = head();
    whole.extend_from_slice(b"ElfChnk\0");
    whole.extend(bytes.iter().copied().chain(std::iter::repeat(0)).take(CHUNK_LEN as usize - 8));
    read(&whole);
}

/// A head with the right magic and version. Its checksum is not asked for.
fn head() -> Vec<u8> {
    let mut head = vec![0; HEAD_LEN as usize];
    head[..8].copy_from_slice(b"ElfFile\0");
    head[32..36].copy_from_slice(&128_u32.to_le_bytes());
    head[36..38].copy_from_slice(&1_u16.to_le_bytes());
    head[38..40].copy_from_slice(&3_u16.to_le_bytes());
    head[40..42].copy_from_slice(&4_096_u16.to_le_bytes());
    head
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn file(rest: &[u8]) -> Vec<u8> {
        let mut file = head();
        file.extend_from_slice(rest);
        file
    }

    #[track_caller]
    fn check(bytes: Vec<u8>, expected: &[&str]) {
        let mut found = Vec::new();
        match EvtxFile::open(Cursor::new(bytes)) {
            Err(problem) => found.push(problem.to_string()),
            Ok(file) => file.read(|part| {
                found.push(part.map_or_else(|problem| problem.to_string(), |_| "record".to_owned()));
                ControlFlow::Continue(())
            }),
        }
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn what_is_no_event_log_is_said_with_its_place() {
        check(Vec::new(), &["not an event log"]);
        check(b"hello".to_vec(), &["not an event log"]);
        check(vec![0; 8_192], &["not an event log"]);
        check(file(&[]), &[]);
        check(file(&[0; 65_536]), &[]);
        check(file(b"ElfChnk\0"), &["the file ends inside chunk 0: 8 bytes"]);
        let garbage = [0xA5; 65_536].repeat(2);
        check(file(&garbage), &["chunk 0: ", "chunk 1: "]);
        check(file(&garbage[..70_000]), &["chunk 0: ", "the file ends inside chunk 1: 4464 bytes"]);
    }
}
