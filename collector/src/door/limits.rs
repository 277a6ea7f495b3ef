//! Limits that all doors over TCP have, as tables of their own below the door's: of its connections, and of the handshakes of
//! TLS.

use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Deserialize;

use super::connection::Limits;
use super::syslog_stream::Patience;

/// What a door has where nothing is written.
pub trait Usual: Clone + std::fmt::Debug {
    const MAX: usize;
    const IDLE_SECS: u64;
}

/// Doors whose senders stay connected, whether they have something to say or not.
#[derive(Clone, Debug)]
pub struct OfStreams;

impl Usual for OfStreams {
    const MAX: usize = 512;
    const IDLE_SECS: u64 = 3_600;
}

/// Senders over HTTP connect anew.
#[derive(Clone, Debug)]
pub struct OfHttp;

impl Usual for OfHttp {
    const MAX: usize = 512;
    const IDLE_SECS: u64 = 60;
}

/// Each of our agents has a connection, and keeps it alive.
#[derive(Clone, Debug)]
pub struct OfGrpc;

impl Usual for OfGrpc {
    const MAX: usize = 1_024;
    const IDLE_SECS: u64 = 120;
}

/// `[collector.DOOR.connections]`, for each door over TCP
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "U: Usual")]
pub struct ConnectionsConfig<U: Usual> {
    /// Connections at the same time. More are closed at once and counted. 512 by default, 1024 of `otlp_grpc`.
    pub max: NonZeroUsize,
    /// Connections of one address at the same time; an IPv6 network of /64 counts as one address. More are closed at
    /// once and counted. Raise it if senders come through a proxy.
    pub per_address_max: NonZeroUsize,
    /// A connection that has sent nothing at all is closed after so long. When the door is full, the oldest of these
    /// makes room for a new connection.
    #[serde(with = "canh_config::duration")]
    pub first_byte_timeout: Duration,
    /// A connection on which nothing arrives for so long is closed. `1h` by default, `60s` of `http`, `120s` of
    /// `otlp_grpc`.
    #[serde(with = "canh_config::duration")]
    pub idle_timeout: Duration,
    #[serde(skip)]
    usual: PhantomData<U>,
}

impl<U: Usual> Default for ConnectionsConfig<U> {
    fn default() -> Self {
        Self {
            max: const { NonZeroUsize::new(U::MAX).unwrap() },
            per_address_max: const { NonZeroUsize::new(64).unwrap() },
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(U::IDLE_SECS),
            usual: PhantomData,
        }
    }
}

impl<U: Usual> ConnectionsConfig<U> {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            connections_max: self.max,
            connections_per_address_max: self.per_address_max,
            first_byte_timeout: self.first_byte_timeout,
            idle_timeout: self.idle_timeout,
        }
    }

    /// The same for a door that reads messages itself; one that has begun must go on within `message`.
    pub(super) fn patience(&self, message: Duration) -> Patience {
        Patience { first_byte: self.first_byte_timeout, idle: self.idle_timeout, message }
    }
}

/// `[collector.DOOR.handshakes]`, for each door that can speak TLS
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandshakesConfig {
    /// Handshakes under way at the same time. Beyond it the oldest is given up for a new one, and counted.
    pub max: NonZeroUsize,
    /// A handshake may take so long.
    #[serde(with = "canh_config::duration")]
    pub timeout: Duration,
}

impl Default for HandshakesConfig {
    fn default() -> Self {
        Self { max: const { NonZeroUsize::new(128).unwrap() }, timeout: Duration::from_secs(10) }
    }
}
