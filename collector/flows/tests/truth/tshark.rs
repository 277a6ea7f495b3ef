//! tshark's decode as JSON: one object per message, in it sets, in them `Flow 1`, `Flow 2`, … or `pdu 1/29`, ….

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::capture::{Seen, Seen1};

type Object = Map<String, Value>;

/// What a field is called there, and how we have it.
const FIELDS: &[(&str, fn(&Seen1) -> Option<String>)] = &[
    ("cflow.srcaddr", |seen| seen.native("sourceIPv4Address").map(str::to_owned)),
    ("cflow.dstaddr", |seen| seen.native("destinationIPv4Address").map(str::to_owned)),
    ("cflow.srcaddrv6", |seen| seen.native("sourceIPv6Address").map(str::to_owned)),
    ("cflow.dstaddrv6", |seen| seen.native("destinationIPv6Address").map(str::to_owned)),
    ("cflow.srcport", |seen| seen.native("sourceTransportPort").map(str::to_owned)),
    ("cflow.dstport", |seen| seen.native("destinationTransportPort").map(str::to_owned)),
    ("cflow.protocol", |seen| seen.native("protocolIdentifier").map(str::to_owned)),
    ("cflow.octets", |seen| seen.native("octetDeltaCount").map(str::to_owned)),
    ("cflow.packets", |seen| seen.native("packetDeltaCount").map(str::to_owned)),
    ("cflow.permanent_octets", |seen| seen.native("octetTotalCount").map(str::to_owned)),
    ("cflow.permanent_packets", |seen| seen.native("packetTotalCount").map(str::to_owned)),
    ("cflow.inputint", |seen| seen.native("ingressInterface").map(str::to_owned)),
    ("cflow.outputint", |seen| seen.native("egressInterface").map(str::to_owned)),
    ("cflow.nexthop", |seen| seen.native("ipNextHopIPv4Address").map(str::to_owned)),
    ("cflow.nexthopv6", |seen| seen.native("ipNextHopIPv6Address").map(str::to_owned)),
    ("cflow.srcas", |seen| seen.native("bgpSourceAsNumber").map(str::to_owned)),
    ("cflow.dstas", |seen| seen.native("bgpDestinationAsNumber").map(str::to_owned)),
    ("cflow.srcmask", |seen| seen.native("sourceIPv4PrefixLength").map(str::to_owned)),
    ("cflow.dstmask", |seen| seen.native("destinationIPv4PrefixLength").map(str::to_owned)),
    ("cflow.srcmaskv6", |seen| seen.native("sourceIPv6PrefixLength").map(str::to_owned)),
    ("cflow.dstmaskv6", |seen| seen.native("destinationIPv6PrefixLength").map(str::to_owned)),
    ("cflow.tcpflags", |seen| seen.native("tcpControlBits").map(str::to_owned)),
    ("cflow.tos", |seen| seen.native("ipClassOfService").map(str::to_owned)),
    ("cflow.direction", |seen| seen.native("flowDirection").map(str::to_owned)),
    ("cflow.vlanid", |seen| seen.native("vlanId").map(str::to_owned)),
    ("cflow.dot1q_vlan_id", |seen| seen.native("dot1qVlanId").map(str::to_owned)),
    ("cflow.ingress_vrfid", |seen| seen.native("ingressVRFID").map(str::to_owned)),
    ("cflow.egress_vrfid", |seen| seen.native("egressVRFID").map(str::to_owned)),
    ("cflow.sampler_id", |seen| seen.native("samplerId").map(str::to_owned)),
    ("cflow.selector_id", |seen| seen.native("selectorId").map(str::to_owned)),
    ("cflow.flow_end_reason", |seen| seen.native("flowEndReason").map(str::to_owned)),
    ("cflow.ip_version", |seen| seen.native("ipVersion").map(str::to_owned)),
    ("cflow.ttl_min", |seen| seen.native("minimumTTL").map(str::to_owned)),
    ("cflow.ttl_max", |seen| seen.native("maximumTTL").map(str::to_owned)),
    ("cflow.post_natsource_ipv4_address", |seen| seen.native("postNATSourceIPv4Address").map(str::to_owned)),
    ("cflow.post_natdestination_ipv4_address", |seen| seen.native("postNATDestinationIPv4Address").map(str::to_owned)),
    ("cflow.post_octets", |seen| seen.native("postOctetDeltaCount").map(str::to_owned)),
    ("cflow.srcmac", |seen| seen.native("sourceMacAddress").map(str::to_owned)),
    ("cflow.dstmac", |seen| seen.native("destinationMacAddress").map(str::to_owned)),
    ("cflow.flow_id", |seen| seen.native("flowId").map(str::to_owned)),
    ("cflow.firewall_event", |seen| seen.native("firewallEvent").map(str::to_owned)),
    ("cflow.aaa_username", |seen| seen.native("userName").map(str::to_owned)),
    ("cflow.wlan_ssid", |seen| seen.native("wlanSSID").map(str::to_owned)),
    ("cflow.sta_mac_address", |seen| seen.native("staMacAddress").map(str::to_owned)),
    ("cflow.abstimestart", |seen| seen.flow.start.map(shown_time)),
    ("cflow.abstimeend", |seen| seen.flow.end.map(shown_time)),
    ("length", |seen| {
        let between = || Some(seen.flow.end? - seen.flow.start?);
        seen.flow.duration.or_else(between).map(millis)
    }),
];

/// Milliseconds are enough: what is finer is not in all the forms of times.
fn millis(nanos: i64) -> String {
    (nanos / 1_000_000).to_string()
}

fn shown_time(nanos: i64) -> String {
    // Only the time of day is compared; tshark writes the month by name.
    let millis = nanos.div_euclid(1_000_000).rem_euclid(86_400_000);
    let (second, rest) = (millis / 1_000, millis % 1_000);
    format!("{:02}:{:02}:{:02}.{rest:03}", second / 3_600, second / 60 % 60, second % 60)
}

/// The number behind a word: 12 of `Flow 12` and `pdu 12/29`.
fn number(key: &str, word: &str) -> Option<u32> {
    let digits: String = key.strip_prefix(word)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn ordered<'a>(object: &'a Object, words: &[&str]) -> Vec<(&'a str, &'a Object)> {
    let mut found: Vec<_> = object
        .iter()
        .filter_map(|(key, value)| {
            let number = words.iter().find_map(|word| number(key, word))?;
            Some((number, key.as_str(), value.as_object()?))
        })
        .collect();
    found.sort_by_key(|(number, ..)| *number);
    found.into_iter().map(|(_, key, value)| (key, value)).collect()
}

/// A value anywhere in a record; a tree beside a value has more of it.
fn find<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    let own = object.get(key).and_then(Value::as_str);
    own.or_else(|| object.values().filter_map(Value::as_object).find_map(|inner| find(inner, key)))
}

/// Numbers are written in two ways, times with a date before them.
fn normal(key: &str, value: &str) -> String {
    if let Some(hex) = value.strip_prefix("0x").filter(|_| key.starts_with("cflow.t")) {
        return u64::from_str_radix(hex, 16).unwrap().to_string();
    }
    if key.starts_with("cflow.abstime") {
        let time = value.split_whitespace().find(|word| word.contains(':')).unwrap_or(value);
        return time.chars().take(12).collect();
    }
    value.to_owned()
}

fn expected(object: &Object, key: &str) -> Option<String> {
    if key == "length" {
        let seconds: f64 = find(object, "cflow.timedelta")?.parse().ok()?;
        return Some(format!("{}", (seconds * 1_000.0).round()));
    }
    find(object, key).map(|value| normal(key, value))
}

/// Fractions of seconds are rounded in two ways.
fn is_rounding(key: &str, ours: Option<&str>, theirs: &str) -> bool {
    let number = |text: &str| text.parse::<i64>().ok();
    let both = || Some((number(ours?)?, number(theirs)?));
    key == "length" && both().is_some_and(|(ours, theirs)| (ours - theirs).abs() <= 1)
}

/// How many values were compared.
pub(crate) fn compare_flows(truth: &Value, seen: &Seen, add: &mut impl FnMut(String)) -> usize {
    let mut options = BTreeSet::new();
    let mut flows: Vec<&Object> = Vec::new();
    let mut others = 0;
    for message in truth.as_array().unwrap() {
        let Some(message) = message.as_object() else { continue };
        flows.extend(ordered(message, &["pdu "]).into_iter().map(|(_, flow)| flow));
        for (key, set) in ordered(message, &["FlowSet ", "Set "]) {
            for inner in set.keys().filter(|inner| inner.starts_with("Options Template")) {
                let id: String =
                    inner.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
                options.insert(id);
            }
            let id = key.split("id=").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
            let records = ordered(set, &["Flow "]);
            if options.contains(id) {
                others += records.len() as u64;
            } else {
                flows.extend(records.into_iter().map(|(_, flow)| flow));
            }
        }
    }
    let own_options: u64 = seen.outcomes.iter().map(|outcome| outcome.options).sum();
    if own_options != others {
        add(format!("options: {own_options}, tshark {others}"));
    }
    if flows.len() != seen.records.len() {
        add(format!("flows: {}, tshark {}", seen.records.len(), flows.len()));
        return 0;
    }
    let mut compared = 0;
    let mut differ: std::collections::BTreeMap<&str, (usize, String)> = std::collections::BTreeMap::new();
    for (flow, own) in flows.iter().zip(&seen.records) {
        for (key, ours) in FIELDS {
            let Some(theirs) = expected(flow, key) else { continue };
            compared += 1;
            let ours = ours(own);
            if ours.as_deref() != Some(theirs.as_str()) && !is_rounding(key, ours.as_deref(), &theirs) {
                let first = format!("{} / {theirs}", ours.unwrap_or_default());
                differ.entry(key).or_insert((0, first)).0 += 1;
            }
        }
    }
    for (key, (count, first)) in differ {
        add(format!("{key} of {count}: {first}"));
    }
    compared
}

/// Samples of sFlow.
pub(crate) fn compare_samples(truth: &Value, seen: &Seen, add: &mut impl FnMut(String)) -> usize {
    let mut samples: Vec<&Object> = Vec::new();
    let mut counters = 0;
    for message in truth.as_array().unwrap() {
        let Some(message) = message.as_object() else { continue };
        let mut found: Vec<(u64, &Object)> = Vec::new();
        for (key, sample) in message.iter().filter_map(|(key, value)| Some((key, value.as_object()?))) {
            let sequence = key.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
            match key.to_ascii_lowercase() {
                key if key.contains("flow sample") => found.push((sequence, sample)),
                key if key.contains("counters sample") => counters += 1,
                _ => (),
            }
        }
        found.sort_by_key(|(sequence, _)| *sequence);
        samples.extend(found.into_iter().map(|(_, sample)| sample));
    }
    if counters != seen.counters.len() {
        add(format!("counters: {}, tshark {counters}", seen.counters.len()));
    }
    let records: Vec<_> = seen.records.iter().filter(|record| record.is_sample).collect();
    if samples.len() != records.len() {
        add(format!("samples: {}, tshark {}", records.len(), samples.len()));
        return counters;
    }
    let mut compared = counters;
    for (theirs, own) in samples.iter().zip(records) {
        let flow = &own.flow;
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let rows = [
            ("sflow.flow_sample.sampling_rate", Some(flow.sampling.factor().to_string())),
            ("sflow_245.header.frame_length", own.native("sflow.frame_length").map(str::to_owned)),
            ("ip.src", flow.source.filter(|ip| ip.is_ipv4()).map(|ip| ip.to_string())),
            ("ip.dst", flow.destination.filter(|ip| ip.is_ipv4()).map(|ip| ip.to_string())),
            ("ipv6.src", flow.source.filter(|ip| ip.is_ipv6()).map(|ip| ip.to_string())),
            ("ipv6.dst", flow.destination.filter(|ip| ip.is_ipv6()).map(|ip| ip.to_string())),
            ("ip.len", flow.bytes.map(|bytes| bytes.to_string())),
            ("tcp.srcport", number(flow.source_port.map(u64::from))),
            ("tcp.dstport", number(flow.destination_port.map(u64::from))),
            ("udp.srcport", number(flow.source_port.map(u64::from))),
            ("udp.dstport", number(flow.destination_port.map(u64::from))),
            ("icmpv6.type", number(flow.icmp.map(|(kind, _)| u64::from(kind)))),
            ("sflow_245.dstAS", number(flow.destination_as.map(u64::from))),
            ("sflow_245.vlan.in", number(flow.vlan.map(u64::from).or(Some(0)))),
        ];
        for (key, ours) in rows {
            let Some(theirs) = find(theirs, key) else { continue };
            compared += 1;
            if ours.as_deref() != Some(theirs) {
                add(format!("{key}: {} / {theirs}", ours.unwrap_or_default()));
            }
        }
    }
    compared
}
