//! Ethernet frames by hand, with right checksums: just enough of IPv4, TCP and UDP for conversations that a capture
//! tool takes for real.

use std::net::Ipv4Addr;
use std::time::Duration;

use canh_schema::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::output::Output;

const TCP: u8 = 6;
const UDP: u8 = 17;

pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const PUSH: u8 = 0x08;
pub(crate) const FIN: u8 = 0x01;
pub(crate) const RST: u8 = 0x04;

/// An address and a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End(pub(crate) Ipv4Addr, pub(crate) u16);

fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// Locally administered hardware address made of the IP address.
fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x00, a, b, c, d]
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, segment: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + segment.len()).unwrap_or(u16::MAX);
    let mut header = [0_u8; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    header[6] = 0x40; // do not fragment
    header[8] = 64;
    header[9] = protocol;
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = Vec::with_capacity(34 + segment.len());
    frame.extend_from_slice(&mac(to));
    frame.extend_from_slice(&mac(from));
    frame.extend_from_slice(&[0x08, 0x00]);
    frame.extend_from_slice(&header);
    frame.extend_from_slice(segment);
    frame
}

/// Puts the checksum over pseudo header and segment into the segment. Source: RFC 9293, section 3.1; RFC 768.
fn seal(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, segment: &mut [u8], at: usize) {
    let length = u16::try_from(segment.len()).unwrap_or(u16::MAX).to_be_bytes();
    let sum = checksum(&[&from.octets(), &to.octets(), &[0, protocol], &length, segment]);
    segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

pub(crate) fn udp(from: End, to: End, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let mut segment = Vec::with_capacity(8 + payload.len());
    segment.extend_from_slice(&from.1.to_be_bytes());
    segment.extend_from_slice(&to.1.to_be_bytes());
    segment.extend_from_slice(&length.to_be_bytes());
    segment.extend_from_slice(&[0, 0]);
    segment.extend_from_slice(payload);
    seal(from.0, to.0, UDP, &mut segment, 6);
    ipv4(from.0, to.0, UDP, &segment)
}

fn tcp(from: End, to: End, sequence: u32, acknowledged: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20 + payload.len());
    segment.extend_from_slice(&from.1.to_be_bytes());
    segment.extend_from_slice(&to.1.to_be_bytes());
    segment.extend_from_slice(&sequence.to_be_bytes());
    segment.extend_from_slice(&acknowledged.to_be_bytes());
    segment.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend_from_slice(payload);
    seal(from.0, to.0, TCP, &mut segment, 16);
    ipv4(from.0, to.0, TCP, &segment)
}

/// A TCP conversation being written.
pub(crate) struct Conversation {
    client: End,
    server: End,
    at: Timestamp,
    sent: u32,
    answered: u32,
}

const STEP: Duration = Duration::from_micros(350);
const SEGMENT_MAX: usize = 1_400;

impl Conversation {
    /// The three-way handshake.
    pub(crate) fn open(random: &mut StdRng, output: &mut Output, at: Timestamp, client: End, server: End) -> Self {
        let mut this = Self { client, server, at, sent: random.random(), answered: random.random() };
        output.frame(this.at, tcp(client, server, this.sent, 0, SYN, &[]));
        this.sent = this.sent.wrapping_add(1);
        this.tick();
        output.frame(this.at, tcp(server, client, this.answered, this.sent, SYN | ACK, &[]));
        this.answered = this.answered.wrapping_add(1);
        this.tick();
        output.frame(this.at, tcp(client, server, this.sent, this.answered, ACK, &[]));
        this
    }

    fn tick(&mut self) {
        self.at = self.at + STEP;
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.at = self.at + time;
    }

    pub(crate) fn send(&mut self, output: &mut Output, payload: &[u8]) {
        for part in payload.chunks(SEGMENT_MAX) {
            self.tick();
            output.frame(self.at, tcp(self.client, self.server, self.sent, self.answered, PUSH | ACK, part));
            self.sent = self.sent.wrapping_add(part.len() as u32);
        }
        self.tick();
        output.frame(self.at, tcp(self.server, self.client, self.answered, self.sent, ACK, &[]));
    }

    pub(crate) fn answer(&mut self, output: &mut Output, payload: &[u8]) {
        for part in payload.chunks(SEGMENT_MAX) {
            self.tick();
            output.frame(self.at, tcp(self.server, self.client, self.answered, self.sent, PUSH | ACK, part));
            self.answered = self.answered.wrapping_add(part.len() as u32);
        }
        self.tick();
        output.frame(self.at, tcp(self.client, self.server, self.sent, self.answered, ACK, &[]));
    }

    /// Both sides close.
    pub(crate) fn close(mut self, output: &mut Output) {
        self.tick();
        output.frame(self.at, tcp(self.client, self.server, self.sent, self.answered, FIN | ACK, &[]));
        self.sent = self.sent.wrapping_add(1);
        self.tick();
        output.frame(self.at, tcp(self.server, self.client, self.answered, self.sent, FIN | ACK, &[]));
        self.answered = self.answered.wrapping_add(1);
        self.tick();
        output.frame(self.at, tcp(self.client, self.server, self.sent, self.answered, ACK, &[]));
    }
}

/// A connection that nobody wants: SYN, then RST.
pub(crate) fn refused(random: &mut StdRng, output: &mut Output, at: Timestamp, client: End, server: End) {
    let sequence: u32 = random.random();
    output.frame(at, tcp(client, server, sequence, 0, SYN, &[]));
    output.frame(at + STEP, tcp(server, client, 0, sequence.wrapping_add(1), RST | ACK, &[]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_cancel_out() {
        let (from, to) = (End(Ipv4Addr::new(10, 0, 0, 1), 1_000), End(Ipv4Addr::new(10, 0, 0, 2), 53));
        let frame = udp(from, to, b"odd");
        assert_eq!(checksum(&[&frame[14..34]]), 0, "IPv4 header");
        let segment = &frame[34..];
        let length = u16::try_from(segment.len()).expect("short").to_be_bytes();
        assert_eq!(checksum(&[&frame[26..34], &[0, UDP], &length, segment]), 0, "UDP with pseudo header");
    }
}
