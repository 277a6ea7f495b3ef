//! Names that are known without any file: the roots of the tree, what the generic notifications carry, and uninterruptible
//! power supplies. (Facts of RFC 2578, RFC 2863, RFC 3418, RFC 1628, RFC 4133, and of the registries of agents' makers.)

use rustc_hash::FxHashMap;

use super::Kind::{self, Node, Notification, Object};
use crate::ber::Oid;

const MIB_2: &[u32] = &[1, 3, 6, 1, 2, 1];
const TRAPS: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 5];
const SYSTEM: &[u32] = &[1, 3, 6, 1, 2, 1, 1];
const INTERFACE: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1];
const INTERFACE_MORE: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1];
const UPS: &[u32] = &[1, 3, 6, 1, 2, 1, 33];
const ENTITY: &[u32] = &[1, 3, 6, 1, 2, 1, 47];
const NET_SNMP: &[u32] = &[1, 3, 6, 1, 4, 1, 8072];

/// A name, what it is, where it is, and what its numbers are called, from 1.
type Row = (&'static str, Kind, &'static [u32], &'static [u32], &'static str);

const UP_DOWN: &str = "up down testing unknown dormant notPresent lowerLayerDown";

static ROWS: &[Row] = &[
    ("coldStart", Notification, TRAPS, &[1], ""),
    ("warmStart", Notification, TRAPS, &[2], ""),
    ("linkDown", Notification, TRAPS, &[3], ""),
    ("linkUp", Notification, TRAPS, &[4], ""),
    ("authenticationFailure", Notification, TRAPS, &[5], ""),
    ("egpNeighborLoss", Notification, TRAPS, &[6], ""),
    ("snmpTrapAddress", Object, &[1, 3, 6, 1, 6, 3, 18, 1], &[3], ""),
    ("snmpTrapCommunity", Object, &[1, 3, 6, 1, 6, 3, 18, 1], &[4], ""),
    ("sysDescr", Object, SYSTEM, &[1], ""),
    ("sysObjectID", Object, SYSTEM, &[2], ""),
    ("sysUpTime", Object, SYSTEM, &[3], ""),
    ("sysContact", Object, SYSTEM, &[4], ""),
    ("sysName", Object, SYSTEM, &[5], ""),
    ("sysLocation", Object, SYSTEM, &[6], ""),
    ("ifIndex", Object, INTERFACE, &[1], ""),
    ("ifDescr", Object, INTERFACE, &[2], ""),
    ("ifType", Object, INTERFACE, &[3], ""),
    ("ifMtu", Object, INTERFACE, &[4], ""),
    ("ifSpeed", Object, INTERFACE, &[5], ""),
    ("ifPhysAddress", Object, INTERFACE, &[6], ""),
    ("ifAdminStatus", Object, INTERFACE, &[7], UP_DOWN),
    ("ifOperStatus", Object, INTERFACE, &[8], UP_DOWN),
    ("ifLastChange", Object, INTERFACE, &[9], ""),
    ("ifName", Object, INTERFACE_MORE, &[1], ""),
    ("ifHighSpeed", Object, INTERFACE_MORE, &[15], ""),
    ("ifAlias", Object, INTERFACE_MORE, &[18], ""),
    ("entPhysicalDescr", Object, ENTITY, &[1, 1, 1, 1, 2], ""),
    ("entPhysicalName", Object, ENTITY, &[1, 1, 1, 1, 7], ""),
    ("entConfigChange", Notification, ENTITY, &[2, 0, 1], ""),
    ("upsTrapOnBattery", Notification, UPS, &[2, 1], ""),
    ("upsTrapTestCompleted", Notification, UPS, &[2, 2], ""),
    ("upsTrapAlarmEntryAdded", Notification, UPS, &[2, 3], ""),
    ("upsTrapAlarmEntryRemoved", Notification, UPS, &[2, 4], ""),
    ("upsIdentManufacturer", Object, UPS, &[1, 1, 1], ""),
    ("upsIdentModel", Object, UPS, &[1, 1, 2], ""),
    ("upsIdentName", Object, UPS, &[1, 1, 5], ""),
    ("upsIdentAttachedDevices", Object, UPS, &[1, 1, 6], ""),
    ("upsBatteryStatus", Object, UPS, &[1, 2, 1], "unknown batteryNormal batteryLow batteryDepleted"),
    ("upsSecondsOnBattery", Object, UPS, &[1, 2, 2], ""),
    ("upsEstimatedMinutesRemaining", Object, UPS, &[1, 2, 3], ""),
    ("upsEstimatedChargeRemaining", Object, UPS, &[1, 2, 4], ""),
    ("upsBatteryVoltage", Object, UPS, &[1, 2, 5], ""),
    ("upsBatteryTemperature", Object, UPS, &[1, 2, 7], ""),
    ("upsOutputSource", Object, UPS, &[1, 4, 1], "other none normal bypass battery booster reducer"),
    ("upsAlarmId", Object, UPS, &[1, 6, 2, 1, 1], ""),
    ("upsAlarmDescr", Object, UPS, &[1, 6, 2, 1, 2], ""),
    ("upsAlarmTime", Object, UPS, &[1, 6, 2, 1, 3], ""),
    ("upsAlarmBatteryBad", Node, UPS, &[1, 6, 3, 1], ""),
    ("upsAlarmOnBattery", Node, UPS, &[1, 6, 3, 2], ""),
    ("upsAlarmLowBattery", Node, UPS, &[1, 6, 3, 3], ""),
    ("upsAlarmDepletedBattery", Node, UPS, &[1, 6, 3, 4], ""),
    ("upsAlarmTempBad", Node, UPS, &[1, 6, 3, 5], ""),
    ("upsAlarmInputBad", Node, UPS, &[1, 6, 3, 6], ""),
    ("upsAlarmOutputBad", Node, UPS, &[1, 6, 3, 7], ""),
    ("upsAlarmOutputOverload", Node, UPS, &[1, 6, 3, 8], ""),
    ("upsAlarmOnBypass", Node, UPS, &[1, 6, 3, 9], ""),
    ("upsAlarmChargerFailed", Node, UPS, &[1, 6, 3, 13], ""),
    ("upsAlarmFanFailure", Node, UPS, &[1, 6, 3, 16], ""),
    ("upsAlarmFuseFailure", Node, UPS, &[1, 6, 3, 17], ""),
    ("upsAlarmGeneralFault", Node, UPS, &[1, 6, 3, 18], ""),
    ("upsAlarmCommunicationsLost", Node, UPS, &[1, 6, 3, 20], ""),
    ("upsAlarmShutdownImminent", Node, UPS, &[1, 6, 3, 23], ""),
    ("nsNotifyStart", Notification, NET_SNMP, &[4, 0, 1], ""),
    ("nsNotifyShutdown", Notification, NET_SNMP, &[4, 0, 2], ""),
    ("nsNotifyRestart", Notification, NET_SNMP, &[4, 0, 3], ""),
];

pub(super) fn entries() -> impl Iterator<Item = (&'static str, Kind, Oid, Box<[(i64, Box<str>)]>)> {
    ROWS.iter().map(|(name, kind, above, below, labels)| {
        let labels = labels.split_ascii_whitespace().zip(1..).map(|(label, number)| (number, Box::from(label)));
        (*name, *kind, [*above, *below].concat(), labels.collect())
    })
}

/// Names that modules hang on without saying where they are.
pub(super) fn roots() -> FxHashMap<&'static str, Oid> {
    let internet = [1, 3, 6, 1];
    let below = |arcs: &[u32]| [&internet[..], arcs].concat();
    let mut roots: FxHashMap<&str, Oid> = [
        ("ccitt", vec![0]),
        ("iso", vec![1]),
        ("org", vec![1, 3]),
        ("dod", vec![1, 3, 6]),
        ("internet", internet.to_vec()),
        ("directory", below(&[1])),
        ("mgmt", below(&[2])),
        ("mib-2", MIB_2.to_vec()),
        ("transmission", below(&[2, 1, 10])),
        ("experimental", below(&[3])),
        ("private", below(&[4])),
        ("enterprises", below(&[4, 1])),
        ("security", below(&[5])),
        ("snmpV2", below(&[6])),
        ("snmpDomains", below(&[6, 1])),
        ("snmpProxys", below(&[6, 2])),
        ("snmpModules", below(&[6, 3])),
        ("zeroDotZero", vec![0, 0]),
        ("system", SYSTEM.to_vec()),
        ("interfaces", below(&[2, 1, 2])),
        ("snmp", below(&[2, 1, 11])),
    ]
    .into_iter()
    .collect();
    roots.extend(entries().map(|(name, _, oid, _)| (name, oid)));
    roots
}
