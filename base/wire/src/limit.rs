//! Sizes that both sides hold to.

use canh_schema::ByteSize;

/// Longest OTLP message after decompression. The collector refuses longer ones; the agent never makes them.
pub const MESSAGE_MAX: ByteSize = ByteSize::mib(16);

/// A batch is closed when its message reaches this size.
pub const BATCH_SIZE: ByteSize = ByteSize::kib(512);

/// A batch is closed when it holds this many records.
pub const BATCH_RECORDS: usize = 1_000;

/// Longest line that is kept; the rest of a longer one is cut off and counted.
pub const LINE_MAX: ByteSize = ByteSize::mib(1);
