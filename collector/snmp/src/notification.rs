//! The PDU of a trap or an inform (RFC 1157, RFC 3416), and an answer to it. A trap of version 1 gets the name that it has
//! in version 2 (RFC 3584, section 3).

use std::net::{IpAddr, Ipv4Addr};

use crate::ber::{self, BadBer, Oid, Reader};

pub(crate) const RESPONSE: u8 = 0xa2;
const TRAP_V1: u8 = 0xa4;
pub(crate) const INFORM: u8 = 0xa6;
const TRAP_V2: u8 = 0xa7;
pub(crate) const REPORT: u8 = 0xa8;

const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
const TRAP_OID: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];
const TRAP_ENTERPRISE: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 3, 0];
/// The agent that a proxy speaks for (RFC 3584, section 3.1).
const TRAP_ADDRESS: &[u32] = &[1, 3, 6, 1, 6, 3, 18, 1, 3, 0];
/// `coldStart` is 1 below it, and so on.
const GENERIC_TRAPS: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 5];

/// A PDU that cannot be read, or that is no notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl From<BadBer> for Malformed {
    fn from(_: BadBer) -> Self {
        Self
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PduKind {
    Trap,
    Inform,
}

/// What a device tells.
#[derive(Clone, PartialEq, Debug)]
pub struct Notification {
    pub kind: PduKind,
    /// Which notification it is.
    pub trap: Oid,
    /// Hundredths of a second since the device, or its part that speaks SNMP, started.
    pub uptime: Option<u32>,
    /// Whose notification it is, as version 1 says it.
    pub enterprise: Option<Oid>,
    /// The device, where the PDU names it.
    pub agent: Option<IpAddr>,
    pub variables: Vec<VarBind>,
    /// Variables beyond the limit were left out.
    pub is_cut: bool,
}

/// A value with its name.
#[derive(Clone, PartialEq, Debug)]
pub struct VarBind {
    pub name: Oid,
    pub value: Value,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Null,
    Integer(i64),
    /// Counters, gauges, hundredths of seconds.
    Unsigned(u64),
    Float(f64),
    Octets(Vec<u8>),
    Oid(Oid),
    Address(Ipv4Addr),
}

/// The kind of PDU that these bytes are, and the number of the request; `None` for the number of a trap of version 1.
pub(crate) fn glance(pdu: &[u8]) -> Result<(u8, Option<i64>), BadBer> {
    let (tag, content) = Reader::new(pdu).any()?;
    Ok((tag, if tag == TRAP_V1 { None } else { Some(Reader::new(content).integer()?) }))
}

/// Whether a PDU is a notification, and which kind of one.
pub(crate) const fn kind(tag: u8) -> Option<PduKind> {
    match tag {
        TRAP_V1 | TRAP_V2 => Some(PduKind::Trap),
        INFORM => Some(PduKind::Inform),
        _ => None,
    }
}

impl Notification {
    /// Reads a PDU; variables beyond `variables_max` are left out.
    pub fn read(pdu: &[u8], variables_max: usize) -> Result<Self, Malformed> {
        let (tag, content) = Reader::new(pdu).any()?;
        let kind = kind(tag).ok_or(Malformed)?;
        let mut reader = Reader::new(content);
        if tag == TRAP_V1 {
            return Self::read_v1(reader, variables_max);
        }
        let (_request, _status, _index) = (reader.integer()?, reader.integer()?, reader.integer()?);
        let (variables, is_cut) = variables(reader.sequence()?, variables_max)?;
        let mut notification =
            Self { kind, trap: Oid::new(), uptime: None, enterprise: None, agent: None, variables: Vec::new(), is_cut };
        for variable in variables {
            match (variable.name.as_slice(), &variable.value) {
                (SYS_UP_TIME, Value::Unsigned(ticks)) => notification.uptime = u32::try_from(*ticks).ok(),
                (TRAP_OID, Value::Oid(oid)) if notification.trap.is_empty() => notification.trap.clone_from(oid),
                (TRAP_ENTERPRISE, Value::Oid(oid)) => notification.enterprise = Some(oid.clone()),
                (TRAP_ADDRESS, Value::Address(address)) => notification.agent = Some(IpAddr::V4(*address)),
                _ => notification.variables.push(variable),
            }
        }
        if notification.trap.is_empty() { Err(Malformed) } else { Ok(notification) }
    }

    fn read_v1(mut reader: Reader<'_>, variables_max: usize) -> Result<Self, Malformed> {
        let enterprise = reader.object_id()?;
        let agent = match value(reader.any()?)? {
            Value::Address(address) if !address.is_unspecified() => Some(IpAddr::V4(address)),
            _ => None,
        };
        let (generic, specific) = (reader.integer()?, reader.integer()?);
        let uptime = match value(reader.any()?)? {
            Value::Unsigned(ticks) => u32::try_from(ticks).ok(),
            _ => return Err(Malformed),
        };
        let (variables, is_cut) = variables(reader.sequence()?, variables_max)?;
        let number = |number: i64| u32::try_from(number).map_err(|_| Malformed);
        let trap = match number(generic)? {
            generic @ 0..=5 => [GENERIC_TRAPS, &[generic + 1]].concat(),
            _ => [enterprise.as_slice(), &[0, number(specific)?]].concat(),
        };
        Ok(Self { kind: PduKind::Trap, trap, uptime, enterprise: Some(enterprise), agent, variables, is_cut })
    }
}

fn variables(mut list: Reader<'_>, max: usize) -> Result<(Vec<VarBind>, bool), BadBer> {
    let mut variables = Vec::new();
    while !list.is_empty() {
        let mut pair = list.sequence()?;
        if variables.len() >= max {
            return Ok((variables, true));
        }
        let name = pair.object_id()?;
        variables.push(VarBind { name, value: value(pair.any()?)? });
    }
    Ok((variables, false))
}

fn value((tag, content): (u8, &[u8])) -> Result<Value, BadBer> {
    Ok(match tag {
        ber::INTEGER => Value::Integer(ber::signed(content)?),
        ber::OCTETS => Value::Octets(content.to_vec()),
        ber::OBJECT_ID => Value::Oid(ber::object_id(content)?),
        0x40 => {
            let address: [u8; 4] = content.try_into().map_err(|_| BadBer)?;
            Value::Address(address.into())
        }
        // Counter32, Gauge32, TimeTicks, Counter64, and UInteger32 of an earlier draft.
        0x41 | 0x42 | 0x43 | 0x46 | 0x47 => Value::Unsigned(ber::unsigned(content)?),
        0x44 => opaque(content),
        // Null, and the three reasons why there is no value.
        ber::NULL | 0x80..=0x82 => Value::Null,
        _ => Value::Octets(content.to_vec()),
    })
}

/// Many agents put a number with a fraction into an opaque value: tags 0x9f78 for four bytes and 0x9f79 for eight.
fn opaque(content: &[u8]) -> Value {
    match content {
        [0x9f, 0x78, 4, number @ ..] => number.try_into().map(|bytes| f64::from(f32::from_be_bytes(bytes))).ok(),
        [0x9f, 0x79, 8, number @ ..] => number.try_into().map(f64::from_be_bytes).ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
    .map_or_else(|| Value::Octets(content.to_vec()), Value::Float)
}

/// The answer to an inform: the same PDU as a response without an error.
pub(crate) fn answer(pdu: &[u8]) -> Result<Vec<u8>, BadBer> {
    let mut reader = Reader::new(Reader::new(pdu).expect(INFORM)?);
    let (request, _status, _index) = (reader.integer()?, reader.integer()?, reader.integer()?);
    let (_, _, variables) = reader.whole()?;
    let mut inner = Vec::with_capacity(pdu.len());
    ber::put_integer(&mut inner, ber::INTEGER, request);
    ber::put_integer(&mut inner, ber::INTEGER, 0);
    ber::put_integer(&mut inner, ber::INTEGER, 0);
    inner.extend_from_slice(variables);
    let mut out = Vec::with_capacity(pdu.len());
    ber::put(&mut out, RESPONSE, &inner);
    Ok(out)
}

/// A report that a counter of RFC 3414 has this value.
pub(crate) fn report(request: i64, counter: u32, count: u32) -> Vec<u8> {
    let mut pair = Vec::new();
    ber::put_object_id(&mut pair, &[1, 3, 6, 1, 6, 3, 15, 1, 1, counter, 0]);
    ber::put_integer(&mut pair, 0x41, i64::from(count));
    let mut inner = Vec::new();
    ber::put_integer(&mut inner, ber::INTEGER, request);
    ber::put_integer(&mut inner, ber::INTEGER, 0);
    ber::put_integer(&mut inner, ber::INTEGER, 0);
    inner.extend_from_slice(&crate::message::sequence(&crate::message::sequence(&pair)));
    let mut out = Vec::new();
    ber::put(&mut out, REPORT, &inner);
    out
}
