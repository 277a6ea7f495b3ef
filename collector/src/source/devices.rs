//! Devices whose syslog lines are told by what they say, not by the name of a program: Cisco, FortiGate, MikroTik.

use canh_schema::Event;

use super::{cisco, fortigate, mikrotik};
use crate::format::Context;

/// Reads the line if it is of such a device. `program` is what stood in the place of the tag.
pub(super) fn apply(event: &mut Event, context: &Context<'_>, program: Option<&str>, message: &str) -> bool {
    cisco::apply(event, context, program, message)
        || program.is_none() && (fortigate::apply(event, context, message) || mikrotik::apply(event, message))
}
