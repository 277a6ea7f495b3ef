//! How a payload comes apart into records, and how one is made of records.

use std::net::IpAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Framing;
use super::head::{flag, get_peer, peer_flag, put_peer};

/// One record of a payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Shares the payload's memory.
    pub bytes: Bytes,
    /// Sender of this record: its own, or else that of the envelope.
    pub peer: Option<IpAddr>,
    pub cut: Cut,
}

/// Whether a record is all that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    Whole,
    /// Longer than the limit of the door; the rest was dropped and counted.
    Truncated,
}

/// Iterates over the records of one payload. See [`Envelope::records`].
#[derive(Debug)]
pub struct Records {
    pub(super) framing: Framing,
    pub(super) peer: Option<IpAddr>,
    pub(super) rest: Bytes,
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        match self.framing {
            Framing::OtlpLogs
            | Framing::OtlpMetrics
            | Framing::OtlpTraces
            | Framing::HecEvents
            | Framing::PrometheusWrite => self.whole(Cut::Whole),
            Framing::Lines | Framing::NdJson | Framing::ElasticBulk => self.line(),
            Framing::Records | Framing::Flows | Framing::Snmp | Framing::JournalExport | Framing::Fluent => {
                self.listed()
            }
        }
    }
}

impl Records {
    fn whole(&mut self, cut: Cut) -> Option<Record> {
        (!self.rest.is_empty()).then(|| Record { bytes: std::mem::take(&mut self.rest), peer: self.peer, cut })
    }

    fn line(&mut self) -> Option<Record> {
        while !self.rest.is_empty() {
            let mut line = match memchr::memchr(b'\n', &self.rest) {
                Some(end) => {
                    let line = self.rest.split_to(end);
                    self.rest.advance(1);
                    line
                }
                None => std::mem::take(&mut self.rest),
            };
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if !line.is_empty() {
                return Some(Record { bytes: line, peer: self.peer, cut: Cut::Whole });
            }
        }
        None
    }

    fn listed(&mut self) -> Option<Record> {
        let mut rest = self.rest.clone();
        let mut read = || {
            let flags = rest.try_get_u8().ok()?;
            let len = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
            let peer = get_peer(&mut rest, flags)?;
            let bytes = (len <= rest.len()).then(|| rest.split_to(len))?;
            let cut = if flags & flag::TRUNCATED == 0 { Cut::Whole } else { Cut::Truncated };
            Some(Record { bytes, peer: peer.or(self.peer), cut })
        };
        match read() {
            Some(record) => {
                self.rest = rest;
                Some(record)
            }
            None => self.whole(Cut::Truncated),
        }
    }
}

/// Makes the payload of [`Framing::Records`].
#[derive(Debug, Default)]
pub struct RecordList {
    bytes: BytesMut,
    count: usize,
}

impl RecordList {
    /// Adds one record. `peer` is its sender when that is not the envelope's.
    pub fn push(&mut self, bytes: &[u8], peer: Option<IpAddr>, cut: Cut) {
        // A record longer than 4 GiB cannot pass any door; were there one, its end would be cut off and marked.
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let kept = &bytes[..usize::try_from(len).map_or(bytes.len(), |len| len.min(bytes.len()))];
        let truncated = cut == Cut::Truncated || kept.len() < bytes.len();
        self.bytes.put_u8(peer_flag(peer) | if truncated { flag::TRUNCATED } else { 0 });
        self.bytes.put_u32_le(len);
        put_peer(&mut self.bytes, peer);
        self.bytes.put_slice(kept);
        self.count += 1;
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Size of the payload so far.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The payload; the list is empty afterwards.
    pub fn take(&mut self) -> Bytes {
        self.count = 0;
        self.bytes.split().freeze()
    }
}
