//! The operator's own networks: a file that says which addresses belong to which place. The narrowest network wins.

use std::net::IpAddr;
use std::path::Path;

use compact_str::CompactString;
use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::{GeoError, Place, location};

/// Networks of all files together.
const NETWORKS_MAX: usize = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    network: Vec<Written>,
}

/// `[[network]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Networks or single addresses.
    cidr: Ranges,
    name: Option<CompactString>,
    /// Two letters, ISO 3166-1.
    country: Option<CompactString>,
    city: Option<CompactString>,
    /// Degrees north and east.
    location: Option<[f64; 2]>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ranges {
    One(String),
    Many(Vec<String>),
}

/// Networks by their length and fixed bits.
#[derive(Default)]
pub(super) struct Networks {
    places: Vec<Place>,
    v4: Family,
    v6: Family,
}

#[derive(Default)]
struct Family {
    by_prefix: FxHashMap<(u8, u128), usize>,
    /// Lengths that there are, longest first.
    lengths: Vec<u8>,
}

impl Networks {
    pub(super) fn len(&self) -> usize {
        self.v4.by_prefix.len() + self.v6.by_prefix.len()
    }

    pub(super) fn read(&mut self, path: &Path) -> Result<(), GeoError> {
        let file: File = canh_config::load(path)?;
        for (number, written) in (1..).zip(file.network) {
            let error = |problem| GeoError::Network { path: path.display().to_string(), number, problem };
            self.add(written).map_err(error)?;
        }
        Ok(())
    }

    fn add(&mut self, written: Written) -> Result<(), String> {
        let at = match written.location {
            None => None,
            Some([latitude, longitude]) => Some(location(latitude, longitude).ok_or_else(|| {
                format!("`location` is degrees north and east such as [21.03, 105.85], not [{latitude}, {longitude}]")
            })?),
        };
        let country = match written.country {
            Some(code) if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                Some(code.to_ascii_uppercase())
            }
            Some(code) => return Err(format!("`country` is two letters such as VN, not `{code}`")),
            None => None,
        };
        let place = Place { location: at, country, city: written.city, name: written.name, ..Place::default() };
        if place.is_empty() {
            return Err("it says nothing; give it a name, country, city or location".to_owned());
        }
        let index = self.places.len();
        self.places.push(place);
        let ranges = match written.cidr {
            Ranges::One(one) => vec![one],
            Ranges::Many(many) => many,
        };
        for range in ranges {
            let (address, length) =
                network(&range).ok_or_else(|| format!("`{range}` is not a network such as 203.0.113.0/24"))?;
            if self.len() >= NETWORKS_MAX {
                return Err(format!("there are more than {NETWORKS_MAX} networks"));
            }
            let (family, bits) = self.family(address);
            family.by_prefix.insert((length, fixed(bits, length)), index);
            if !family.lengths.contains(&length) {
                family.lengths.push(length);
                family.lengths.sort_unstable_by(|a, b| b.cmp(a));
            }
        }
        Ok(())
    }

    pub(super) fn find(&self, address: IpAddr) -> Option<&Place> {
        let (family, bits) = match address {
            IpAddr::V4(_) => (&self.v4, left(address)),
            IpAddr::V6(_) => (&self.v6, left(address)),
        };
        let index = family.lengths.iter().find_map(|length| family.by_prefix.get(&(*length, fixed(bits, *length))))?;
        self.places.get(*index)
    }

    fn family(&mut self, address: IpAddr) -> (&mut Family, u128) {
        let bits = left(address);
        match address {
            IpAddr::V4(_) => (&mut self.v4, bits),
            IpAddr::V6(_) => (&mut self.v6, bits),
        }
    }
}

/// The address with its first bit as the first of 128.
fn left(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The fixed bits alone, moved to the low end: keys that differ only in their high bits make a hash table slow.
fn fixed(bits: u128, length: u8) -> u128 {
    bits.checked_shr(128 - u32::from(length.min(128))).unwrap_or(0)
}

/// A network, or an address alone, with the length of what is fixed.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = match text.trim().split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
        None => (text.trim(), None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = length.unwrap_or(most);
    (length <= most).then_some((address, length))
}
