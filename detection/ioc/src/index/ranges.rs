//! Networks, sorted. Two networks are either apart or one is inside the other, so the ones that hold an address are
//! the last one that begins at or before it and those around that one: a binary search, then a walk outwards.

use std::net::IpAddr;

use ipnet::IpNet;

const NONE: u32 = u32::MAX;

/// Networks of both families, each with a number.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    v4: Nested<u32>,
    v6: Nested<u128>,
}

#[derive(Debug)]
struct Nested<A> {
    starts: Vec<A>,
    rows: Vec<Row<A>>,
}

#[derive(Debug)]
struct Row<A> {
    end: A,
    /// The network around this one.
    parent: u32,
    payload: u32,
}

impl<A> Default for Nested<A> {
    fn default() -> Self {
        Self { starts: Vec::new(), rows: Vec::new() }
    }
}

impl Ranges {
    /// The same network must not come twice.
    pub(crate) fn new(networks: impl IntoIterator<Item = (IpNet, u32)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (network, payload) in networks {
            match network {
                IpNet::V4(network) => v4.push((network.network().to_bits(), network.broadcast().to_bits(), payload)),
                IpNet::V6(network) => v6.push((network.network().to_bits(), network.broadcast().to_bits(), payload)),
            }
        }
        Self { v4: Nested::new(v4), v6: Nested::new(v6) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.v4.starts.is_empty() && self.v6.starts.is_empty()
    }

    /// Numbers of the networks that hold the address, the smallest network first.
    pub(crate) fn holding(&self, address: IpAddr, each: impl FnMut(u32)) {
        match address {
            IpAddr::V4(address) => self.v4.holding(address.to_bits(), each),
            IpAddr::V6(address) => self.v6.holding(address.to_bits(), each),
        }
    }

    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        let mut found = false;
        self.holding(address, |_| found = true);
        found
    }

    pub(crate) fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes()
    }
}

impl<A: Copy + Ord> Nested<A> {
    fn new(mut networks: Vec<(A, A, u32)>) -> Self {
        // The outer one first where two begin together.
        networks.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut this = Self { starts: Vec::with_capacity(networks.len()), rows: Vec::with_capacity(networks.len()) };
        let mut parent = NONE;
        for (number, (start, end, payload)) in (0_u32..).zip(networks) {
            while let Some(row) = this.row(parent).filter(|row| row.end < start) {
                parent = row.parent;
            }
            this.starts.push(start);
            this.rows.push(Row { end, parent, payload });
            parent = number;
        }
        this
    }

    fn row(&self, number: u32) -> Option<&Row<A>> {
        self.rows.get(usize::try_from(number).ok()?)
    }

    fn holding(&self, address: A, mut each: impl FnMut(u32)) {
        let before = self.starts.partition_point(|start| *start <= address);
        let mut row = before.checked_sub(1).and_then(|last| self.rows.get(last));
        while let Some(one) = row {
            if address <= one.end {
                each(one.payload);
            }
            row = self.row(one.parent);
        }
    }

    fn bytes(&self) -> usize {
        self.starts.capacity() * size_of::<A>() + self.rows.capacity() * size_of::<Row<A>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_and_apart() {
        let texts = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.3.0/24", "192.0.2.0/24", "2001:db8::/32"];
        let networks: Vec<IpNet> = texts.iter().map(|text| text.parse().expect("a network")).collect();
        let ranges = Ranges::new(networks.iter().copied().zip(0..));
        let check = |address: &str, expected: &[u32]| {
            let mut found = Vec::new();
            ranges.holding(address.parse().expect("an address"), |number| found.push(number));
            assert_eq!(found, expected, "address: {address}");
        };
        check("10.1.2.3", &[2, 1, 0]);
        check("10.1.4.3", &[1, 0]);
        check("10.255.255.255", &[0]);
        check("11.0.0.0", &[]);
        check("192.0.2.255", &[4]);
        check("0.0.0.0", &[]);
        check("255.255.255.255", &[]);
        check("2001:db8::1", &[5]);
        check("2001:db9::1", &[]);
    }
}
