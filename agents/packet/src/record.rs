//! What comes out: plain records, ready for anybody to write down.

use std::net::IpAddr;
use std::time::Duration;

use crate::dissect::{Tunnel, Vlans};
use crate::time::Timestamp;

/// One thing that was seen.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    Flow(FlowRecord),
    Dns(DnsRecord),
    Tls(TlsRecord),
    Http(HttpRecord),
}

/// The two ends of a conversation. The originator is who began it.
#[derive(Clone, PartialEq, Debug)]
pub struct Conversation {
    pub originator: IpAddr,
    /// Type of the first message for ICMP, 0 for protocols without ports.
    pub originator_port: u16,
    pub responder: IpAddr,
    /// For ICMP the type of the answer, or the code where there is no answer.
    pub responder_port: u16,
    pub transport: Transport,
    pub vlans: Vlans,
    pub tunnel: Option<Tunnel>,
    /// Community ID v1, seed 0.
    pub community_id: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    Tcp,
    Udp,
    Icmp,
    Icmp6,
    Sctp,
    /// Another protocol over IP, by IANA's number.
    Other(u8),
}

impl Transport {
    pub(crate) const fn from_protocol(protocol: u8) -> Self {
        match protocol {
            1 => Self::Icmp,
            6 => Self::Tcp,
            17 => Self::Udp,
            58 => Self::Icmp6,
            132 => Self::Sctp,
            other => Self::Other(other),
        }
    }

    /// IANA's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Icmp => 1,
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Icmp6 => 58,
            Self::Sctp => 132,
            Self::Other(number) => number,
        }
    }

    /// IANA's keyword in small letters; `None` for protocols that are not in this list.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.number() {
            0 => "hopopt",
            1 => "icmp",
            2 => "igmp",
            4 => "ipv4",
            6 => "tcp",
            17 => "udp",
            41 => "ipv6",
            46 => "rsvp",
            47 => "gre",
            50 => "esp",
            51 => "ah",
            58 => "ipv6-icmp",
            88 => "eigrp",
            89 => "ospf",
            103 => "pim",
            112 => "vrrp",
            115 => "l2tp",
            132 => "sctp",
            136 => "udplite",
            _ => return None,
        })
    }
}

/// What one end sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Side {
    pub packets: u64,
    /// Bytes of IP packets, headers included (`orig_ip_bytes` of Zeek).
    pub ip_bytes: u64,
    /// Bytes of the transport's payload; for TCP by sequence numbers, so repeated bytes count once (`orig_bytes`).
    pub payload_bytes: u64,
    /// All TCP flags that were ever set, or-ed.
    pub tcp_flags: u8,
}

/// A flow: all packets between two ends, in both directions.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowRecord {
    pub conversation: Conversation,
    pub start: Timestamp,
    /// The last packet, not counting those after both sides of a TCP connection have closed.
    pub end: Timestamp,
    /// Counters from the start of the flow, also in an interim record.
    pub originator: Side,
    pub responder: Side,
    /// In Zeek's words: `S0`, `S1`, `SF`, `REJ`, `RSTO`, …
    pub connection_state: &'static str,
    /// In Zeek's letters: `ShADadFf`. Capital letters are the originator's.
    pub history: String,
    pub app: Option<AppProtocol>,
    /// Why the flow is reported now.
    pub reason: FlowEnd,
}

impl FlowRecord {
    pub fn duration(&self) -> Duration {
        self.end.since(self.start)
    }

    /// Whether no other record of this flow will come.
    pub const fn is_final(&self) -> bool {
        !matches!(self.reason, FlowEnd::StillActive)
    }
}

/// Why a flow is reported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FlowEnd {
    /// Both sides closed, one broke the connection, or another one with the same ports began.
    Closed,
    /// Nothing came for long enough.
    Idle,
    /// It goes on; this is an interim record.
    StillActive,
    /// Given up to make room.
    Evicted,
    /// The capture ended.
    Finished,
}

impl FlowEnd {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::StillActive => "active",
            Self::Evicted => "evicted",
            Self::Finished => "finished",
        }
    }
}

/// What a flow carries, recognised by its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AppProtocol {
    Dns,
    Tls,
    Http,
    Ssh,
    /// Only recognised while files are taken out of streams.
    Smtp,
    /// The control connection, or one that carries a file. Only recognised while files are taken out of streams.
    Ftp,
}

impl AppProtocol {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::Smtp => "smtp",
            Self::Ftp => "ftp",
        }
    }
}

/// A question and its answer, or one of them when the other was not seen.
#[derive(Clone, PartialEq, Debug)]
pub struct DnsRecord {
    pub conversation: Conversation,
    /// When the question was asked; when the answer came, if the question was not seen.
    pub at: Timestamp,
    pub id: u16,
    /// The name asked for, in presentation format without the final dot. Empty for the root or without a question.
    pub question_name: String,
    /// For example `TXT`, or `TYPE65500` for types without a name. Empty without a question.
    pub question_type: String,
    /// For example `NXDOMAIN`; `None` without an answer.
    pub response_code: Option<String>,
    /// The answer section, at most 64 of its records.
    pub answers: Vec<DnsAnswer>,
    /// From question to answer.
    pub round_trip: Option<Duration>,
    pub flags: u16,
}

#[derive(Clone, PartialEq, Debug)]
pub struct DnsAnswer {
    pub name: String,
    pub record_type: String,
    pub ttl: u32,
    /// In presentation format, or as in RFC 3597 for types without one.
    pub data: String,
}

/// The hellos of a TLS connection.
#[derive(Clone, PartialEq, Debug)]
pub struct TlsRecord {
    pub conversation: Conversation,
    pub at: Timestamp,
    /// Name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// Protocols that the client offered (ALPN).
    pub client_protocols: Vec<String>,
    /// Protocol that the server chose, if it says so in the clear.
    pub next_protocol: Option<String>,
    /// Version agreed on, for example `1.3`; `None` when no server hello was seen.
    pub version: Option<String>,
    /// Number of the cipher suite that the server chose.
    pub cipher: Option<u16>,
    /// MD5 in hex. `None` when the client's hello was not seen.
    pub ja3: Option<String>,
    /// What `ja3` is the MD5 of.
    pub ja3_text: Option<String>,
    /// MD5 in hex of the server's hello.
    pub ja3s: Option<String>,
}

/// A request and its answer, or one of them when the other was not seen.
#[derive(Clone, PartialEq, Debug)]
pub struct HttpRecord {
    pub conversation: Conversation,
    /// When the request's head was complete; that of the answer, if the request was not seen.
    pub at: Timestamp,
    pub method: Option<String>,
    /// The target as asked for.
    pub uri: Option<String>,
    pub host: Option<String>,
    /// `1.0` or `1.1`.
    pub version: Option<String>,
    pub user_agent: Option<String>,
    pub referrer: Option<String>,
    pub status: Option<u16>,
    /// Declared length of the answer's body.
    pub response_body_bytes: Option<u64>,
    pub response_mime_type: Option<String>,
}

impl Conversation {
    /// For records that are still being put together.
    pub(crate) const fn unknown() -> Self {
        let nowhere = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        Self {
            originator: nowhere,
            originator_port: 0,
            responder: nowhere,
            responder_port: 0,
            transport: Transport::Other(255),
            vlans: Vlans { outer: None, inner: None },
            tunnel: None,
            community_id: String::new(),
        }
    }
}
