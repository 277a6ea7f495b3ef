//! What a reader of Kafka says and hears: requests out, answers in, and the records in what was fetched.
//!
//! Pure: no socket, no clock. The versions are the oldest that today's brokers speak and the newest that a reader without
//! groups needs: Kafka 1.0 and later. Facts: Kafka's protocol guide and its message definitions.

mod batch;
mod call;
mod code;
mod crc;
mod scram;
mod unpack;
mod wire;

#[cfg(test)]
mod tests;

pub use batch::{Aborted, BadBatch, Batch, Batches, Limits, Record, Records};
pub use call::{
    Api, Broker, Fetched, FetchedPartition, Metadata, NotSpoken, OffsetOf, Partition, Place, Topic, Versions,
    answer_body, api_versions, authenticate, authenticated, fetch, fetched, handshake, handshaken, list_offsets,
    listed_offsets, metadata, metadata_answer, request,
};
pub use code::Code;
pub use crc::crc32c;
pub use scram::{Scram, ScramError, ScramHash};
pub use wire::Malformed;

/// Bytes as every answer and as what was fetched, for the fuzzer.
pub fn fuzz(bytes: &[u8]) {
    let _ = answer_body(bytes, true);
    let _ = Versions::read(bytes);
    for version in [4, 12] {
        let _ = metadata_answer(bytes, version);
    }
    for version in 4..=11 {
        let _ = fetched(bytes::Bytes::copy_from_slice(bytes), version);
    }
    let _ = listed_offsets(bytes);
    let _ = handshaken(bytes);
    let _ = authenticated(bytes);
    let aborted = vec![Aborted { producer: 1, first: 0 }];
    let limits = Limits { key: 8, value: 64, headers: 2, header: 8 };
    let mut left = 1_000;
    for batch in Batches::new(bytes::Bytes::copy_from_slice(bytes), aborted).without_checksums() {
        let Ok(Batch { records: Some(mut records), .. }) = batch else { continue };
        while left > 0
            && let Ok(Some(record)) = records.next(&limits)
        {
            assert!(record.value.is_none_or(|value| value.len() <= 64), "a value is longer than it may be");
            left -= 1;
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let mut scram = Scram::new(ScramHash::Sha256, "u", "p", "nonce");
        let _ = scram.first();
        let _ = scram.last(text.as_bytes());
    }
}
