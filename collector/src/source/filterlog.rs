//! Packets that the filter of pfSense or OPNsense logs: values with commas between them, by place.
//!
//! Source: pfSense documentation, "Raw Filter Log Format".

use canh_schema::{Event, FieldId, Value, field};
use compact_str::CompactString;

use super::project;
use super::template::{Outcome, describe};

/// Places that every packet has.
const HEAD: &[(usize, &str)] = &[(3, "pf.tracker"), (5, "pf.reason"), (6, "action"), (7, "pf.direction")];

/// Places of addresses and what follows them, counted from the address of the sender.
const ENDS: &[(usize, FieldId)] = &[(0, field::SOURCE_IP), (1, field::DESTINATION_IP)];
const PORTS: &[(usize, FieldId)] = &[(2, field::SOURCE_PORT), (3, field::DESTINATION_PORT)];

pub(super) fn apply(event: &mut Event, message: &str) {
    let places: Vec<&str> = message.split(',').take(32).collect();
    // Where the protocol, the length and the sender stand. Version 4 and version 6 differ in what comes before.
    let (protocol, length, sender) = match places.get(8) {
        Some(&"4") => (16, 17, 18),
        Some(&"6") => (12, 14, 15),
        _ => return,
    };
    for (place, name) in HEAD {
        if let Some(value) = places.get(*place).filter(|value| !value.is_empty()) {
            event.attrs.push((CompactString::const_new(name), Value::from(*value)));
        }
    }
    let mut set =
        |place: usize, id: FieldId| places.get(place).is_some_and(|value| project::set_text(event, id, value));
    set(4, field::OBSERVER_INTERFACE);
    set(length, field::NETWORK_BYTES);
    for (place, id) in ENDS {
        set(sender + place, *id);
    }
    let transport = places.get(protocol).map(|name| name.to_ascii_lowercase()).unwrap_or_default();
    if matches!(transport.as_str(), "tcp" | "udp") {
        for (place, id) in PORTS {
            set(sender + place, *id);
        }
        if transport == "tcp"
            && let Some(flags) = places.get(sender + 5)
        {
            event.attrs.push((CompactString::const_new("pf.tcp_flags"), Value::from(*flags)));
        }
    }
    event.set(field::NETWORK_TRANSPORT, transport);
    match places.get(6) {
        Some(&("block" | "reject")) => describe(event, "packet_denied", Outcome::Failure, "network"),
        Some(&"pass") => describe(event, "packet_permitted", Outcome::Success, "network"),
        _ => describe(event, "packet_logged", Outcome::Unsaid, "network"),
    }
    event.logsource.product = Some(CompactString::const_new("pfsense"));
    event.logsource.categories.push(CompactString::const_new("firewall"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tested;

    #[track_caller]
    fn check(body: &str, expected: Option<&str>) {
        let event = tested::decode(&format!("<134>Nov 22 09:00:00 fw-01 filterlog[812]: {body}"));
        let text = |id| event.get(id).and_then(Value::as_text).map(|text| text.into_owned()).unwrap_or("-".to_owned());
        let shown = event.get(field::SOURCE_IP).map(|_| {
            format!(
                "{} {} {}:{} {}:{}",
                text(field::EVENT_ACTION),
                text(field::NETWORK_TRANSPORT),
                text(field::SOURCE_IP),
                text(field::SOURCE_PORT),
                text(field::DESTINATION_IP),
                text(field::DESTINATION_PORT)
            )
        });
        assert_eq!(shown.as_deref(), expected, "input: {body:?}");
    }

    #[test]
    fn packets() {
        check(
            "5,,,1000000103,igb0,match,block,in,4,0x0,,64,12345,0,DF,6,tcp,60,203.0.113.9,10.10.1.11,40022,22,0,S,1234567,,64240,,mss;nop",
            Some("packet_denied tcp 203.0.113.9:40022 10.10.1.11:22"),
        );
        check(
            "5,,,1000000103,igb0,match,pass,out,6,0x00,0x00000,64,UDP,17,80,2001:db8::9,2001:db8::11,40022,53,40",
            Some("packet_permitted udp 2001:db8::9:40022 2001:db8::11:53"),
        );
        check(
            "5,,,1000000103,igb0,match,block,in,4,0x0,,64,0,0,DF,1,icmp,84,203.0.113.9,10.10.1.11,request,7,1",
            Some("packet_denied icmp 203.0.113.9:- 10.10.1.11:-"),
        );
        check("5,,,1000000103,igb0,match,block,in,9", None);
        check("", None);
    }
}
