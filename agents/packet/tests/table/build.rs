//! Packets by hand.

pub(crate) const CLIENT: [u8; 4] = [10, 0, 0, 1];
pub(crate) const SERVER: [u8; 4] = [10, 0, 0, 2];

pub(crate) fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    bytes.extend(ether_type.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    fragment(protocol, source, destination, 0, payload)
}

/// `flags` are the 16 bits of flags and offset.
pub(crate) fn fragment(protocol: u8, source: [u8; 4], destination: [u8; 4], flags: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 7]);
    bytes.extend(flags.to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    bytes.extend(source);
    bytes.extend(destination);
    bytes.extend(payload);
    bytes
}

/// IPv6 between two fixed hosts; `next` describes the first byte of the payload.
pub(crate) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next, 64]);
    for last in [1, 2] {
        bytes.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    bytes.extend(payload);
    bytes
}

pub(crate) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = source.to_be_bytes().to_vec();
    bytes.extend(destination.to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

pub(crate) fn tcp(ports: (u16, u16), sequence: u32, acknowledged: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ports.0.to_be_bytes().to_vec();
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(acknowledged.to_be_bytes());
    bytes.extend([0x50, flags, 4, 0, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

/// A UDP datagram from client to server as a frame.
pub(crate) fn datagram(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(17, CLIENT, SERVER, &udp(source, destination, payload)))
}

/// One end of a TCP connection on port 40,000 of the client.
pub(crate) struct Talk {
    port: u16,
    next: [u32; 2],
}

impl Talk {
    pub(crate) fn new(port: u16) -> Self {
        Self { port, next: [1_000, 70_000] }
    }

    /// Flags as letters; the end's sequence number moves on.
    pub(crate) fn send(&mut self, end: usize, letters: &str, payload: &[u8]) -> Vec<u8> {
        let bit = |letter: char| match letter {
            'F' => 0x01,
            'S' => 0x02,
            'R' => 0x04,
            'P' => 0x08,
            'A' => 0x10,
            other => panic!("no flag `{other}`"),
        };
        let flags: u8 = letters.chars().map(bit).sum();
        let acknowledged = if flags & 0x10 == 0 { 0 } else { self.next[1 - end] };
        let packet = self.frame(end, self.next[end], acknowledged, flags, payload);
        let len = payload.len() as u32 + u32::from(flags & 0x02 != 0) + u32::from(flags & 0x01 != 0);
        self.next[end] += len;
        packet
    }

    fn frame(&self, end: usize, sequence: u32, acknowledged: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let (source, destination, ports) =
            if end == 0 { (CLIENT, SERVER, (40_000, self.port)) } else { (SERVER, CLIENT, (self.port, 40_000)) };
        ethernet(0x0800, &ipv4(6, source, destination, &tcp(ports, sequence, acknowledged, flags, payload)))
    }

    pub(crate) fn handshake(&mut self) -> Vec<Vec<u8>> {
        vec![self.send(0, "S", b""), self.send(1, "SA", b""), self.send(0, "A", b"")]
    }
}

/// Packets a tenth of a second apart.
pub(crate) fn timed(packets: Vec<Vec<u8>>) -> Vec<(f64, Vec<u8>)> {
    packets.into_iter().enumerate().map(|(index, packet)| (1_000.0 + index as f64 * 0.1, packet)).collect()
}
