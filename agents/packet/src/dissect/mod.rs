//! Headers of packets, read in place: nothing is copied and nothing is allocated.
//!
//! A packet is cut in steps, each a plain function: [`link::strip`] goes from the capture's link layer to IP,
//! [`ip::dissect`] from IP to what it carries, [`transport`] reads TCP, UDP, ICMP and SCTP, and [`tunnel`] goes from a
//! carrier to the packet inside. Every length comes from the packet and is checked against the bytes that are there.

pub(crate) mod bytes;
pub(crate) mod ip;
pub(crate) mod link;
pub(crate) mod transport;
pub(crate) mod tunnel;

/// Link layer of a capture, by libpcap's `DLT_` number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkType(pub i32);

impl LinkType {
    pub const NULL: Self = Self(0);
    pub const ETHERNET: Self = Self(1);
    pub const PPP: Self = Self(9);
    pub const RAW: Self = Self(12);
    pub const PPP_SERIAL: Self = Self(50);
    pub const PPP_ETHER: Self = Self(51);
    pub const IEEE_802_11: Self = Self(105);
    pub const RADIOTAP: Self = Self(127);
    pub const CISCO_HDLC: Self = Self(104);
    pub const LOOP: Self = Self(108);
    pub const LINUX_SLL: Self = Self(113);
    pub const IPV4: Self = Self(228);
    pub const IPV6: Self = Self(229);
    pub const LINUX_SLL2: Self = Self(276);
}

/// VLAN tags of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Vlans {
    /// The outermost.
    pub outer: Option<u16>,
    /// The next one inside (QinQ).
    pub inner: Option<u16>,
}

impl Vlans {
    fn push(&mut self, tag: u16) {
        let id = tag & 0x0fff;
        if self.outer.is_none() {
            self.outer = Some(id);
        } else {
            self.inner = Some(id);
        }
    }
}

/// The innermost tunnel that a packet came out of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tunnel {
    pub kind: TunnelKind,
    /// Network or session number within the carrier (VNI, GRE key, TEID); 0 where it has none.
    pub id: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TunnelKind {
    IpInIp,
    Gre,
    /// GRE as PPTP uses it.
    Pptp,
    Erspan,
    Vxlan,
    Geneve,
    GtpU,
    Teredo,
}

impl TunnelKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::IpInIp => "ip-in-ip",
            Self::Gre => "gre",
            Self::Pptp => "pptp",
            Self::Erspan => "erspan",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::GtpU => "gtp-u",
            Self::Teredo => "teredo",
        }
    }
}

macro_rules! undecodable {
    ($($variant:ident = $name:literal, $about:literal;)*) => {
        /// Why no flow was found for a packet.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Undecodable { $(#[doc = $about] $variant,)* }

        impl Undecodable {
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// Name for counters.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

undecodable! {
    LinkUnknown = "link_unknown", "The capture's link layer is not known.";
    NotIp = "not_ip", "Carries something else than IP: ARP, spanning tree, discovery protocols.";
    TruncatedLink = "truncated_link", "Ends inside of the link layer's headers.";
    TruncatedIp = "truncated_ip", "Ends inside of the IP header or its extensions.";
    BadIp = "bad_ip", "The IP header contradicts itself.";
    TruncatedTransport = "truncated_transport", "Ends inside of the TCP, UDP, ICMP or SCTP header.";
    BadTransport = "bad_transport", "The TCP, UDP, ICMP or SCTP header contradicts itself.";
    FragmentAlone = "fragment_alone", "A later fragment whose first one was not seen.";
    BadTunnel = "bad_tunnel", "A tunnel's header is cut off, contradicts itself, or is of a kind that is not known.";
    TooDeep = "too_deep", "More headers or tunnels inside of each other than are looked into.";
    BadChecksum = "bad_checksum", "The IPv4 header's checksum is wrong. Only when checksums are verified.";
}
