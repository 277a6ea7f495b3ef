//! Lines of the kernel. Packets that a rule of iptables or nftables logs become network events; the rest is looked up in
//! the table of troubles.

use canh_schema::{Event, FieldId, Value, field};
use compact_str::{CompactString, format_compact};

use super::template::{Outcome, describe};
use super::{kernel_troubles, project};

/// What the kernel calls the values of a packet, and their field.
const FIELDS: &[(&str, FieldId)] = &[
    ("SRC", field::SOURCE_IP),
    ("DST", field::DESTINATION_IP),
    ("SPT", field::SOURCE_PORT),
    ("DPT", field::DESTINATION_PORT),
    ("LEN", field::NETWORK_BYTES),
    ("IN", field::OBSERVER_INTERFACE),
];

/// What Sigma's `firewall` rules call them.
const SIGMA: &[(&str, &str)] = &[("SRC", "src_ip"), ("DST", "dst_ip"), ("SPT", "src_port"), ("DPT", "dst_port")];

/// Most values of one packet that are kept; a rule logs about twenty.
const VALUES_MAX: usize = 64;

pub(crate) fn apply(event: &mut Event, message: &str) {
    let is_packet = message.contains("SRC=") && message.contains("DST=") && message.contains("PROTO=");
    if !is_packet {
        kernel_troubles::TABLE.apply(event, kernel_troubles::unstamped(message));
        return;
    }
    let start = message.find("IN=").unwrap_or(0);
    let prefix = message[..start].trim();
    let prefix = prefix.rsplit_once("] [").map_or(prefix, |(_, label)| label).trim_matches(['[', ']', ' ']);
    for (key, value) in
        message[start..].split_ascii_whitespace().filter_map(|word| word.split_once('=')).take(VALUES_MAX)
    {
        if value.is_empty() || event.attr(key).is_some() {
            continue; // an ICMP error quotes the packet that caused it; the outer one counts
        }
        event.attrs.push((CompactString::from(key), Value::from(value)));
        if let Some((_, id)) = FIELDS.iter().find(|(name, _)| *name == key) {
            project::set_text(event, *id, value);
        }
        if let Some((_, name)) = SIGMA.iter().find(|(name, _)| *name == key) {
            event.attrs.push((CompactString::const_new(name), Value::from(value)));
        }
        if key == "PROTO" {
            event.set(field::NETWORK_TRANSPORT, CompactString::from(value.to_ascii_lowercase()));
        }
    }
    let upper = prefix.to_ascii_uppercase();
    let denied = ["BLOCK", "DROP", "DENY", "REJECT"].iter().any(|word| upper.contains(word));
    let outcome = if denied { Outcome::Failure } else { Outcome::Unsaid };
    describe(event, if denied { "packet_denied" } else { "packet_logged" }, outcome, "network");
    let action = if denied { "deny" } else { "accept" };
    if denied || upper.contains("ALLOW") || upper.contains("ACCEPT") {
        event.attrs.push((CompactString::const_new("action"), Value::from(action)));
    }
    event.set(field::EVENT_PROVIDER, format_compact!("netfilter"));
    if !prefix.is_empty() {
        event.attrs.push((CompactString::const_new("netfilter.prefix"), Value::from(prefix)));
    }
    event.logsource.categories.push(CompactString::const_new("firewall"));
}
