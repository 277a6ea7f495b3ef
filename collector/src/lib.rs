//! Receives what devices and agents send, keeps it in the journal, acknowledges it, and hands decoded events to
//! whoever asks. Detection and storage are not its business; it does not know them.

mod collector;
mod config;
mod decode;
pub mod door;
mod drops;
pub mod envelope;
mod evtx_file;
mod feed;
pub mod format;
mod geo;
mod journal;
mod mibs;
mod secrets;
mod source;
mod sources;
mod token;
mod vendor;

pub use canh_snmp::Mibs;
pub use collector::{Collector, CollectorError, CollectorParts, run};
pub use config::{CollectorConfig, FeedConfig, SettingError, SourcesConfig};
pub use decode::{DecodeSettings, decode};
pub use door::samples::{Sample, SampleOrigin, SampleRefused, SampleSink, Scanned};
pub use door::tls::{Tls, TlsError, WARN_DAYS};
pub use drops::{DropReason, Dropped, Drops};
pub use envelope::{AgentBatch, Cut, Door, Envelope, EnvelopeError, Framing, Record, RecordList, Records};
pub use evtx_file::{EvtxFile, EvtxProblem};
pub use feed::{Decoder, Feed, Pull};
pub use format::Header;
pub use geo::{Geo, GeoConfig, GeoError};
pub use journal::{Appended, Journal, JournalConfig, JournalError, JournalReader};
pub use mibs::{MibError, load as load_mibs};
pub use secrets::Secrets;
pub use sources::{CLOCK_OFF_MS, Note, Noted, SourceAbout, SourceKey, SourceStatus, Sources};
pub use token::{AuthError, TokenCheck, TokenHash, TokenSet};
pub use vendor::{Problem as SourceProblem, Proof, Saved, Vendors, prove};
