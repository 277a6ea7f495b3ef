//! What places of addresses cost: `cargo run --release -p canh-collector --example geo_bench [DATABASE.mmdb …]`.
//!
//! Events have a public source and a public destination, drawn from few addresses or from many; the table has a thousand
//! networks.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use canh_collector::{Geo, GeoConfig};
use canh_schema::{Event, EventId, Timestamp, Value, field};

const EVENTS: u32 = 10_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let databases: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let mut text = String::new();
    for number in 0..1_000_u32 {
        let (a, b) = (number / 250, number % 250);
        text.push_str(&format!(
            "[[network]]\ncidr = \"{}.{b}.0.0/16\"\nname = \"n{number}\"\ncountry = \"VN\"\nlocation = [21.0, 105.8]\n",
            60 + a
        ));
    }
    let table = std::env::temp_dir().join("canh-geo-bench.toml");
    std::fs::write(&table, text)?;
    let geo = Geo::load(&GeoConfig { networks: vec![table.clone()], databases })?;
    std::fs::remove_file(table)?;
    for (name, first, addresses) in [
        ("1,000 addresses, in the table", 60, 1_000),
        ("500,000 addresses, in the table", 60, 500_000),
        ("1,000 addresses, in no table", 90, 1_000),
        ("500,000 addresses, in no table", 90, 500_000),
    ] {
        let off = measure(&Geo::default(), first, addresses);
        let on = measure(&geo, first, addresses);
        println!("{name:<36} {off:>6.0} ns/event off, {on:>6.0} ns/event on");
    }
    Ok(())
}

/// Nanoseconds for an event with two addresses.
fn measure(geo: &Geo, first: u8, addresses: u32) -> f64 {
    let (mut state, mut spent, mut count) = (1_u32, Duration::ZERO, 0_u32);
    while spent < Duration::from_millis(500) {
        let mut events: Vec<Event> = (0..EVENTS).map(|_| event(&mut state, first, addresses)).collect();
        let begin = Instant::now();
        geo.enrich(black_box(&mut events));
        spent += begin.elapsed();
        count += EVENTS;
        if count > 400 * EVENTS {
            break;
        }
    }
    spent.as_secs_f64() * 1e9 / f64::from(count)
}

fn event(state: &mut u32, first: u8, addresses: u32) -> Event {
    let mut event = Event::new(EventId::from_bytes([0; 16]), Timestamp::from_secs(0), Default::default());
    for id in [field::SOURCE_IP, field::DESTINATION_IP] {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let address = Ipv4Addr::from((u32::from(first) << 24) + ((*state >> 8) % addresses) * 67);
        event.set(id, Value::Ip(IpAddr::V4(address)));
    }
    event
}
