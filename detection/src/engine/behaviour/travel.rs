//! Two places that nobody can have been at in the time between.

use canh_schema::Value;
use serde::{Deserialize, Serialize};

use super::super::crossing::{EventRef, measured};
use super::{Noticed, Seen, State, Wanted};
use crate::rule::BehaviourKind;

const EARTH_RADIUS_KM: f64 = 6_371.0;
const HOUR: f64 = 3_600.0 * 1e9;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Travel {
    last: Option<Stay>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Stay {
    time: i64,
    place: Place,
    event: EventRef,
}

/// Degrees north and east.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Place {
    lat: f64,
    lon: f64,
}

impl Travel {
    pub(super) fn take(&mut self, seen: &Seen<'_>, wanted: &Wanted<'_>) -> Option<Noticed> {
        let BehaviourKind::ImpossibleTravel { speed, distance } = wanted.behaviour.kind else { return None };
        let place = Place::of(seen)?;
        let here = Stay { time: seen.time, place, event: EventRef::of(seen.event) };
        let before = self.last.filter(|before| seen.time.saturating_sub(before.time) <= wanted.span);
        if self.last.is_none_or(|last| last.time <= seen.time) {
            self.last = Some(here);
        }
        let before = before?;
        let km = before.place.distance_km(place);
        // Late events come in any order; the time between is the same.
        let hours = (seen.time.abs_diff(before.time)) as f64 / HOUR;
        if km < distance || km <= speed * hours {
            return None;
        }
        let needed = if hours > 0.0 { km / hours } else { f64::INFINITY };
        let field = wanted.behaviour.fields.first().cloned().unwrap_or_default();
        let pattern = compact_str::format_compact!("{km:.0} km in {:.1} h", hours);
        let value = if needed.is_finite() { Value::Float(needed.round()) } else { Value::Null };
        Some(Noticed {
            time: seen.time.max(before.time),
            events: vec![before.event, here.event],
            subject: None,
            before: Some(State::Travel(Self { last: Some(before) })),
            matches: vec![measured(field, "impossible_travel", pattern, value)],
        })
    }
}

impl Place {
    /// `21.03,105.85` in one field, a list of longitude and latitude (as GeoJSON orders them), or two fields of their own.
    fn of(seen: &Seen<'_>) -> Option<Self> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let pair = |text: &str| text.split_once(',').and_then(|(a, b)| Some((number(a)?, number(b)?)));
        let (lat, lon) = match seen.values.as_slice() {
            [one, ..] if !one.is_empty() => {
                let (first, second) = pair(one)?;
                if matches!(seen.first, Some(Value::List(_))) { (second, first) } else { (first, second) }
            }
            [_, lat, lon] => (number(lat)?, number(lon)?),
            _ => return None,
        };
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon)).then_some(Self { lat, lon })
    }

    /// Along the surface (haversine formula).
    fn distance_km(self, other: Self) -> f64 {
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let cosines = self.lat.to_radians().cos() * other.lat.to_radians().cos();
        let a = half(other.lat - self.lat) + cosines * half(other.lon - self.lon);
        2.0 * EARTH_RADIUS_KM * a.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let (hanoi, saigon) = (Place { lat: 21.028, lon: 105.854 }, Place { lat: 10.776, lon: 106.701 });
        let km = hanoi.distance_km(saigon);
        assert!((1_130.0..1_160.0).contains(&km), "{km}");
        assert!(hanoi.distance_km(hanoi) < 0.001);
    }
}
