//! What SNMP notifications tell. Variables stay under the names of their MIB, or under their numbers where no module
//! names them; the ones that everybody knows get the words that syslog lines about the same things have.

use std::fmt::Write;
use std::net::IpAddr;

use canh_schema::{Event, LogSource, Value, field};
use canh_snmp::{Kind, Mibs, Notification, OidText, PduKind, Record, Value as Sent, VarBind};
use compact_str::{CompactString, ToCompactString, format_compact};

/// What well-known notifications are: action, outcome, category.
const KNOWN: &[(&str, &str, &str, &str)] = &[
    ("coldStart", "restart", "", "host"),
    ("warmStart", "restart", "", "host"),
    ("nsNotifyStart", "agent_start", "", "host"),
    ("nsNotifyShutdown", "agent_stop", "", "host"),
    ("nsNotifyRestart", "agent_start", "", "host"),
    ("linkDown", "link_change", "failure", "network"),
    ("linkUp", "link_change", "success", "network"),
    ("authenticationFailure", "snmp_request", "failure", "authentication"),
    ("egpNeighborLoss", "neighbour_change", "failure", "network"),
    ("entConfigChange", "config_change", "success", "configuration"),
    ("upsTrapOnBattery", "power_failed", "failure", "host"),
];

/// Alarms of power supplies: action when one is added, and when it is removed.
const UPS_ALARMS: &[(&str, &str, &str)] = &[
    ("upsAlarmOnBattery", "power_failed", "power_back"),
    ("upsAlarmInputBad", "power_failed", "power_back"),
    ("upsAlarmLowBattery", "power_low", "power_back"),
    ("upsAlarmDepletedBattery", "power_low", "power_back"),
    ("upsAlarmBatteryBad", "power_battery_worn", "power_battery_replaced"),
    ("upsAlarmCommunicationsLost", "power_link_lost", "power_link_back"),
    ("upsAlarmShutdownImminent", "power_shutdown", "power_back"),
];

pub(crate) fn apply(event: &mut Event, record: &Record<'_>, said: &Notification, peer: Option<IpAddr>, mibs: &Mibs) {
    let trap = OidText(&said.trap).to_compact_string();
    let name = mibs.get(&said.trap).map(|known| CompactString::from(&*known.name));
    event.logsource = LogSource::product("snmp").with_service("trap");
    event.set(field::EVENT_DATASET, "snmp.trap");
    event.set(field::EVENT_CODE, trap.clone());
    event.set(field::EVENT_ACTION, name.clone().unwrap_or_else(|| trap.clone()));
    if let Some(agent) = said.agent.or(peer) {
        event.set(field::HOST_IP, agent);
        event.set(field::OBSERVER_IP, agent);
        event.set(field::HOST_NAME, agent.to_compact_string());
    }
    about(event, record, said);
    event.attrs.push(("snmp.trap.oid".into(), Value::Text(trap.clone())));
    if let Some(name) = &name {
        event.attrs.push(("snmp.trap.name".into(), Value::Text(name.clone())));
    }
    let mut text = name.clone().unwrap_or_else(|| trap.clone());
    for variable in &said.variables {
        let (key, value) = read(variable, mibs);
        if let Some(shown) = value.as_text() {
            let _ = write!(text, " {key}={shown}"); // a text takes everything
        }
        project(event, &key, variable, &value);
        put(event, key, value);
    }
    meaning(event, name.as_deref().unwrap_or_default(), &said.variables, mibs);
    event.set(field::MESSAGE, text);
}

/// How it came.
fn about(event: &mut Event, record: &Record<'_>, said: &Notification) {
    let mut put = |name: &'static str, value: Value| event.attrs.push((CompactString::const_new(name), value));
    put("snmp.version", record.version.name().into());
    put(
        "snmp.pdu",
        match said.kind {
            PduKind::Trap => "trap",
            PduKind::Inform => "inform",
        }
        .into(),
    );
    put("snmp.security.name", String::from_utf8_lossy(record.name).into_owned().into());
    put("snmp.security.level", record.level.name().into());
    if !record.engine.is_empty() {
        put("snmp.engine.id", Value::Text(hex(record.engine, "")));
    }
    if !record.context_engine.is_empty() {
        put("snmp.context.engine.id", Value::Text(hex(record.context_engine, "")));
    }
    if !record.context.is_empty() {
        put("snmp.context", String::from_utf8_lossy(record.context).into_owned().into());
    }
    if let Some(enterprise) = &said.enterprise {
        put("snmp.enterprise", Value::Text(OidText(enterprise).to_compact_string()));
    }
    if let Some(ticks) = said.uptime {
        put("sysUpTime", i64::from(ticks).into());
    }
}

/// A variable under its name, with its value as text or number.
fn read(variable: &VarBind, mibs: &Mibs) -> (CompactString, Value) {
    let known = mibs.nearest(&variable.name).map(|(known, _)| known).filter(|known| known.kind == Kind::Object);
    let key =
        known.map_or_else(|| OidText(&variable.name).to_compact_string(), |known| CompactString::from(&*known.name));
    let value = match &variable.value {
        Sent::Null => Value::Null,
        Sent::Integer(number) => match known.and_then(|known| known.label(*number)) {
            Some(label) => Value::Text(label.into()),
            None => Value::Integer(*number),
        },
        // Beyond the range of a signed number the digits are kept as text, exactly.
        Sent::Unsigned(number) => {
            i64::try_from(*number).map_or_else(|_| Value::Text(number.to_compact_string()), Value::Integer)
        }
        Sent::Float(number) => Value::Float(*number),
        Sent::Address(address) => Value::Ip((*address).into()),
        Sent::Oid(oid) => Value::Text(match mibs.get(oid) {
            Some(known) => CompactString::from(&*known.name),
            None => OidText(oid).to_compact_string(),
        }),
        Sent::Octets(octets) => Value::Text(octets_text(octets)),
    };
    (key, value)
}

/// The same name twice makes a list: several interfaces in one notification, for example.
fn put(event: &mut Event, key: CompactString, value: Value) {
    match event.attrs.iter_mut().find(|(name, _)| *name == key) {
        Some((_, Value::List(members))) => members.push(value),
        Some((_, held)) => {
            let first = std::mem::replace(held, Value::Null);
            *held = Value::List(vec![first, value]);
        }
        None => event.attrs.push((key, value)),
    }
}

/// What has a field of its own.
fn project(event: &mut Event, key: &str, variable: &VarBind, value: &Value) {
    let Some(text) = value.as_text().filter(|text| !text.is_empty()) else { return };
    let id = match key {
        "ifIndex" => field::OBSERVER_INTERFACE_ID,
        "ifName" => field::OBSERVER_INTERFACE,
        "ifDescr" if event.get(field::OBSERVER_INTERFACE).is_none() => field::OBSERVER_INTERFACE,
        // Only the object of the device itself, which has the instance 0.
        "sysName" if variable.name.last() == Some(&0) => field::HOST_NAME,
        _ => return,
    };
    let text = CompactString::from(text);
    event.set(id, text);
}

fn meaning(event: &mut Event, name: &str, variables: &[VarBind], mibs: &Mibs) {
    if let Some((_, action, outcome, category)) = KNOWN.iter().find(|(known, ..)| *known == name) {
        set(event, action, outcome, category);
        return;
    }
    let is_added = match name {
        "upsTrapAlarmEntryAdded" => true,
        "upsTrapAlarmEntryRemoved" => false,
        _ => return,
    };
    let alarm = variables.iter().find_map(|variable| match &variable.value {
        Sent::Oid(oid) => mibs.get(oid).map(|known| &*known.name),
        _ => None,
    });
    let known = UPS_ALARMS.iter().find(|(known, ..)| Some(*known) == alarm);
    match (known, is_added) {
        (Some((_, added, _)), true) => set(event, added, "failure", "host"),
        (Some((_, _, removed)), false) => set(event, removed, "success", "host"),
        (None, true) => set(event, "power_alarm", "failure", "host"),
        (None, false) => set(event, "power_alarm", "success", "host"),
    }
    if let Some(alarm) = alarm {
        event.set(field::EVENT_REASON, alarm);
    }
}

fn set(event: &mut Event, action: &str, outcome: &str, category: &str) {
    event.set(field::EVENT_ACTION, action);
    event.set(field::EVENT_CATEGORY, category);
    if !outcome.is_empty() {
        event.set(field::EVENT_OUTCOME, outcome);
    }
}

/// Text if it can be read, else hexadecimal: six octets are mostly a hardware address.
fn octets_text(octets: &[u8]) -> CompactString {
    // Many agents end a text as C does.
    let trimmed = octets.strip_suffix(b"\0").unwrap_or(octets);
    match std::str::from_utf8(trimmed) {
        Ok(text) if text.chars().all(|char| !char.is_control() || matches!(char, '\n' | '\r' | '\t')) => text.into(),
        _ => hex(octets, ":"),
    }
}

fn hex(bytes: &[u8], between: &str) -> CompactString {
    let mut text = CompactString::default();
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            text.push_str(between);
        }
        text.push_str(&format_compact!("{byte:02x}"));
    }
    text
}
