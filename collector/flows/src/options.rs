//! What exporters say about themselves in options data (RFC 3954, section 6; RFC 7011, section 3.4.2.2): rates of samplers,
//! names of interfaces, applications and VRFs, and when they came up. Other options are read and forgotten.

use crate::element;
use crate::flow::{Sampling, one_in, probability};
use crate::template::Record;
use crate::wire::unsigned;

/// Longest name kept, in bytes.
const NAME_MAX: usize = 128;

/// What something is said about. The numbers are stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub(crate) enum Topic {
    /// One sampler's rate; the key is its id.
    Sampler = 1,
    /// The rate of everything that the exporter sends; the key is 0.
    Everything = 2,
    /// The rate at one interface.
    InterfaceRate = 3,
    Interface = 4,
    Application = 5,
    Vrf = 6,
    /// Milliseconds since 1970 when the exporter came up; the key is 0.
    UpSince = 7,
}

impl Topic {
    const ALL: [Self; 7] = [
        Self::Sampler,
        Self::Everything,
        Self::InterfaceRate,
        Self::Interface,
        Self::Application,
        Self::Vrf,
        Self::UpSince,
    ];

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| *topic as u8 == number)
    }
}

/// What is known about one thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fact {
    pub(crate) number: u64,
    pub(crate) text: Box<str>,
}

impl Fact {
    pub(crate) fn sampling(&self) -> Sampling {
        Sampling::one_in(self.number)
    }
}

/// Calls `each` with everything that a record of options says.
pub(crate) fn read(record: &Record<'_, '_>, mut each: impl FnMut(Topic, u64, Fact)) {
    let bytes = |number: u16| {
        let place = record.template().place(number)?;
        Some(record.field(place)).filter(|bytes| !bytes.is_empty())
    };
    let number = |element: u16| bytes(element).map(unsigned);
    let text = |element: u16| {
        let text = element::text(bytes(element)?)?.trim();
        let end = text.floor_char_boundary(NAME_MAX);
        text.get(..end).filter(|text| !text.is_empty()).map(Box::<str>::from)
    };
    let mut numbered = |topic, key, number| each(topic, key, Fact { number, text: "".into() });
    let interface = number(10).or_else(|| number(14)).or_else(|| number(252)).or_else(|| number(253));
    // Exporters fill what they do not use with 1 or 0, so pairs of numbers go before single ones.
    let spaced = || Some(one_in(number(305)?, Some(number(306).filter(|space| *space > 0)?)));
    let of_many = || number(310)?.checked_div(number(309)?).filter(|rate| *rate > 1);
    let rate = spaced()
        .or_else(of_many)
        .or_else(|| number(50).filter(|rate| *rate > 0))
        .or_else(|| number(34).filter(|rate| *rate > 0))
        .or_else(|| bytes(311).and_then(probability))
        .or_else(|| number(305));
    if let Some(rate) = rate.filter(|rate| *rate > 0) {
        match (number(302).or_else(|| number(48)), interface) {
            (Some(sampler), _) => numbered(Topic::Sampler, sampler, rate),
            (None, Some(interface)) => numbered(Topic::InterfaceRate, interface, rate),
            (None, None) => numbered(Topic::Everything, 0, rate),
        }
    }
    if let Some(millis) = number(160) {
        numbered(Topic::UpSince, 0, millis);
    }
    for (topic, key, name) in [
        (Topic::Interface, interface, text(82).or_else(|| text(83))),
        (Topic::Application, number(95), text(96)),
        (Topic::Vrf, number(234).or_else(|| number(235)), text(236)),
    ] {
        if let (Some(key), Some(text)) = (key, name) {
            each(topic, key, Fact { number: 0, text });
        }
    }
}
