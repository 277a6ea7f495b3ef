//! Packets in, records out: flows as Zeek sees them, and what DNS, TLS and HTTP say inside of them. On request also the
//! files that HTTP, SMTP and FTP transfer ([`CarveConfig`]).
//!
//! Pure: no I/O, no clock, no threads. The caller brings packets with their time and takes [`Record`]s; the same
//! packets always give the same records. Everything that grows with traffic has a cap in [`FlowConfig`], and whatever
//! is left out is counted in [`Stats`] with a reason.
//!
//! Where a choice had to be made (who is the originator, when a flow ends, which letters its history has), the answer
//! is Zeek's, so that its `conn.log` can be compared line by line.

mod app;
mod carve;
mod community;
mod config;
mod dissect;
mod flow;
mod fragment;
mod fuzz;
mod hash;
mod key;
mod record;
mod stats;
mod table;
mod tcp;
mod time;

pub use carve::{CarveConfig, CarveStats, CarvedFile, FileAbout, FileDirection};
pub use config::{Checksums, FlowConfig, VlanKeys};
pub use dissect::{LinkType, Tunnel, TunnelKind, Undecodable, Vlans};
pub use fuzz::{FuzzTarget, fuzz_targets};
pub use record::{
    AppProtocol, Conversation, DnsAnswer, DnsRecord, FlowEnd, FlowRecord, HttpRecord, Record, Side, TlsRecord,
    Transport,
};
pub use stats::Stats;
pub use table::FlowTable;
pub use time::Timestamp;
