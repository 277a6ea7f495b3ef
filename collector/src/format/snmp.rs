//! Batches of SNMP notifications as the door `snmp` writes them. What the values mean is in `source::snmp`.

use canh_schema::{IssueKind, field};
use canh_snmp::{Notification, Record};

use crate::decode::Decoder;
use crate::source;

pub(crate) fn decode(decoder: &mut Decoder<'_>) {
    let settings = decoder.settings();
    for record in decoder.envelope().records() {
        if decoder.is_full() {
            return decoder.rest(&record.bytes);
        }
        let known = Record::read(&record.bytes);
        let pdu = known.map_or_else(|| record.bytes.clone(), |known| record.bytes.slice_ref(known.pdu));
        let mut event = decoder.event(pdu);
        let notification = known.map(|known| (known, Notification::read(known.pdu, settings.fields_max)));
        match notification {
            Some((known, Ok(notification))) => {
                source::snmp::apply(&mut event, &known, &notification, record.peer, &settings.mibs);
                if notification.is_cut {
                    event.push_issue(IssueKind::TooManyFields, "variables were left out");
                }
            }
            // The door lets none in.
            _ => {
                event.push_issue(IssueKind::Malformed, "not an SNMP notification");
                event.set(field::MESSAGE, "SNMP notification that cannot be read");
            }
        }
        decoder.finish(event, record.peer);
    }
}
