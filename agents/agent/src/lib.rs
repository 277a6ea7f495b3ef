//! The Canh agent: reads what a host has to say, keeps it on disk, and sends it until the server has acknowledged it.
//!
//! ```text
//! inputs (a thread each) -> queue -> spooler (a thread) -> spool on disk -> shipper -> OTLP/gRPC
//! ```
//!
//! The queue is bounded. The spooler makes a batch durable together with the places its records were read from, so
//! `kill -9` at any moment neither loses nor doubles a record (see [`checkpoint`]). The shipper takes a batch out of
//! the spool only when the server has acknowledged it.

pub mod agent;
pub mod checkpoint;
pub mod config;
pub mod counters;
pub mod doctor;
pub mod health;
pub mod identity;
pub mod input;
pub mod queue;
pub mod ship;
pub mod spooler;
pub mod tls;
