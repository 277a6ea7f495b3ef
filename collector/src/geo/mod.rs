//! Where addresses are: the operator's own networks first, then databases in the MaxMind format. Sets `source.geo.*`,
//! `source.as.*` and the same of `destination`. Off when neither is configured.
//!
//! It comes after decoding and reads no file itself while events pass: tables and databases are in memory. What a source
//! says of a place itself stays.

mod cache;
mod networks;
#[cfg(test)]
mod tests;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use canh_config::ConfigError;
use canh_schema::{Event, FieldId, Value, field};
use compact_str::{CompactString, format_compact};
use maxminddb::Reader;
use parking_lot::RwLock;
use serde::Deserialize;

use self::cache::Cache;
use self::networks::Networks;

/// Longest name of a place that is taken from a database, in bytes.
const NAME_LEN_MAX: usize = 128;
/// Databases are kept in memory; a larger file is surely something else.
const DATABASE_LEN_MAX: u64 = 1 << 30;

/// `[collector.geo]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeoConfig {
    /// Files with the operator's own networks: names, places and countries of address ranges. They start at the working
    /// directory if they are relative, and are read again on SIGHUP.
    pub networks: Vec<PathBuf>,
    /// Databases in the MaxMind format (`.mmdb`) of cities, countries or networks, which are asked about public addresses. They
    /// start at the working directory if they are relative, and are read again on SIGHUP. None is part of Canh.
    pub databases: Vec<PathBuf>,
}

/// Why places cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    #[error(transparent)]
    Networks(#[from] ConfigError),
    #[error("`{path}`: network {number}: {problem}")]
    Network { path: String, number: usize, problem: String },
    #[error("cannot read the database `{path}`")]
    Read { path: String, source: std::io::Error },
    #[error("`{path}` is no database of places in the MaxMind format: {problem}")]
    Database { path: String, problem: String },
}

/// What is known of an address. Missing parts are not known.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Degrees north and east: `21.03,105.85`.
    location: Option<CompactString>,
    country: Option<CompactString>,
    city: Option<CompactString>,
    name: Option<CompactString>,
    as_number: Option<u32>,
    as_organization: Option<CompactString>,
}

impl Place {
    /// Fills what is missing.
    fn or(&mut self, other: &Self) {
        let fill = |mine: &mut Option<CompactString>, theirs: &Option<CompactString>| {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        };
        fill(&mut self.location, &other.location);
        fill(&mut self.country, &other.country);
        fill(&mut self.city, &other.city);
        fill(&mut self.name, &other.name);
        fill(&mut self.as_organization, &other.as_organization);
        self.as_number = self.as_number.or(other.as_number);
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The parts of a record that are used. Databases of cities, countries and networks have different ones.
#[derive(Deserialize)]
struct Record<'d> {
    #[serde(borrow)]
    country: Option<Country<'d>>,
    #[serde(borrow)]
    registered_country: Option<Country<'d>>,
    #[serde(borrow)]
    city: Option<City<'d>>,
    location: Option<Location>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'d str>,
}

#[derive(Deserialize)]
struct Country<'d> {
    iso_code: Option<&'d str>,
}

#[derive(Deserialize)]
struct City<'d> {
    #[serde(borrow)]
    names: Option<Names<'d>>,
}

#[derive(Deserialize)]
struct Names<'d> {
    en: Option<&'d str>,
}

#[derive(Deserialize)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl From<Record<'_>> for Place {
    fn from(record: Record<'_>) -> Self {
        let text = |text: &str| CompactString::from(&text[..text.floor_char_boundary(NAME_LEN_MAX)]);
        let location = record.location.and_then(|at| location(at.latitude?, at.longitude?));
        let country = record.country.and_then(|country| country.iso_code);
        let country = country.or(record.registered_country.and_then(|country| country.iso_code));
        Self {
            location,
            country: country.map(text),
            city: record.city.and_then(|city| city.names?.en).map(text),
            name: None,
            as_number: record.autonomous_system_number,
            as_organization: record.autonomous_system_organization.map(text),
        }
    }
}

/// Two decimals are about a kilometre, which is more than databases know.
fn location(latitude: f64, longitude: f64) -> Option<CompactString> {
    let known = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
    known.then(|| format_compact!("{latitude:.2},{longitude:.2}"))
}

/// Tables and databases in force. Cheap to clone; clones share the cache and see a reload.
#[derive(Clone, Debug, Default)]
pub struct Geo(Arc<RwLock<Option<Arc<Known>>>>);

struct Known {
    networks: Networks,
    databases: Vec<Reader<Vec<u8>>>,
    cache: Cache,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("databases", &self.databases.len()).finish_non_exhaustive()
    }
}

impl Geo {
    /// # Errors
    ///
    /// [`GeoError`] for the first file that cannot be used.
    pub fn load(config: &GeoConfig) -> Result<Self, GeoError> {
        let this = Self::default();
        this.reload(config)?;
        Ok(this)
    }

    /// Reads the files again. What is in force stays if one of them cannot be used. Says how many networks and databases there
    /// are.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub fn reload(&self, config: &GeoConfig) -> Result<(usize, usize), GeoError> {
        let mut networks = Networks::default();
        config.networks.iter().try_for_each(|path| networks.read(path))?;
        let databases = config.databases.iter().map(|path| database(path)).collect::<Result<Vec<_>, _>>()?;
        let counts = (networks.len(), databases.len());
        let known = Known { networks, databases, cache: Cache::new() };
        *self.0.write() = (counts != (0, 0)).then(|| Arc::new(known));
        Ok(counts)
    }

    /// Sets the fields of places of these events.
    pub fn enrich(&self, events: &mut [Event]) {
        let Some(known) = self.0.read().clone() else { return };
        for event in events {
            for side in &SIDES {
                known.enrich(side, event);
            }
        }
    }
}

fn database(path: &Path) -> Result<Reader<Vec<u8>>, GeoError> {
    let shown = path.display().to_string();
    let error = |source| GeoError::Read { path: shown.clone(), source };
    if fs::metadata(path).map_err(error)?.len() > DATABASE_LEN_MAX {
        let problem = format!("it has more than {DATABASE_LEN_MAX} bytes");
        return Err(GeoError::Database { path: shown, problem });
    }
    let bytes = fs::read(path).map_err(error)?;
    Reader::from_source(bytes).map_err(|error| GeoError::Database { path: shown, problem: error.to_string() })
}

/// The fields of one end of a connection.
struct Side {
    address: FieldId,
    location: FieldId,
    country: FieldId,
    city: FieldId,
    name: FieldId,
    as_number: FieldId,
    as_organization: FieldId,
}

static SIDES: [Side; 2] = [
    Side {
        address: field::SOURCE_IP,
        location: field::SOURCE_GEO_LOCATION,
        country: field::SOURCE_GEO_COUNTRY,
        city: field::SOURCE_GEO_CITY,
        name: field::SOURCE_GEO_NAME,
        as_number: field::SOURCE_AS_NUMBER,
        as_organization: field::SOURCE_AS_ORGANIZATION,
    },
    Side {
        address: field::DESTINATION_IP,
        location: field::DESTINATION_GEO_LOCATION,
        country: field::DESTINATION_GEO_COUNTRY,
        city: field::DESTINATION_GEO_CITY,
        name: field::DESTINATION_GEO_NAME,
        as_number: field::DESTINATION_AS_NUMBER,
        as_organization: field::DESTINATION_AS_ORGANIZATION,
    },
];

impl Known {
    fn enrich(&self, side: &Side, event: &mut Event) {
        let Some(address) = event.get(side.address).and_then(address) else { return };
        let Some(place) = self.cache.get(address, || self.find(address)) else { return };
        let mut set = |id: FieldId, value: Option<Value>| {
            if let Some(value) = value
                && event.get(id).is_none()
            {
                event.set(id, value);
            }
        };
        let text = |text: &Option<CompactString>| text.clone().map(Value::Text);
        set(side.location, text(&place.location));
        set(side.country, text(&place.country));
        set(side.city, text(&place.city));
        set(side.name, text(&place.name));
        set(side.as_number, place.as_number.map(|number| Value::Integer(i64::from(number))));
        set(side.as_organization, text(&place.as_organization));
    }

    fn find(&self, address: IpAddr) -> Option<Place> {
        let mut place = self.networks.find(address).cloned().unwrap_or_default();
        if is_public(address) {
            for database in &self.databases {
                // A damaged record is as good as none.
                let record =
                    database.lookup(address).ok().and_then(|found| found.decode::<Record<'_>>().ok().flatten());
                if let Some(record) = record {
                    place.or(&record.into());
                }
            }
        }
        (!place.is_empty()).then_some(place)
    }
}

/// The address, or the first of a list.
fn address(value: &Value) -> Option<IpAddr> {
    value.members().iter().find_map(|member| match member {
        Value::Ip(address) => Some(address.to_canonical()),
        _ => None,
    })
}

/// Whether a database can know it: IANA's registries of special-purpose addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || shared
        || a == 0
        || a >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only 2000::/3 has been given out.
    address.segments()[0] & 0xe000 == 0x2000
}
