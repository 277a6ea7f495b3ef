//! Templates of NetFlow v9 (RFC 3954) and IPFIX (RFC 7011), compiled: where each field of a record lies, and which fields
//! make the flow that every protocol has.

use std::borrow::Cow;

use crate::element::{ElementId, Kind};
use crate::flow::Slot;
use crate::wire::Reader;

/// A length that says: each record tells (RFC 7011, section 7).
const VARIABLE: u16 = u16::MAX;
/// Most fields of one template.
pub(crate) const FIELDS_MAX: usize = 1_024;

/// Which protocol a message is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    NetflowV1,
    NetflowV5,
    NetflowV7,
    NetflowV9,
    Ipfix,
    Sflow,
}

impl Protocol {
    pub const ALL: [Self; 6] =
        [Self::NetflowV1, Self::NetflowV5, Self::NetflowV7, Self::NetflowV9, Self::Ipfix, Self::Sflow];

    pub const fn name(self) -> &'static str {
        match self {
            Self::NetflowV1 => "netflow_v1",
            Self::NetflowV5 => "netflow_v5",
            Self::NetflowV7 => "netflow_v7",
            Self::NetflowV9 => "netflow_v9",
            Self::Ipfix => "ipfix",
            Self::Sflow => "sflow",
        }
    }
}

/// One field of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    pub element: ElementId,
    pub kind: Kind,
    /// As a native name: IANA's, where it has one.
    pub name: Cow<'static, str>,
    /// Whether the flow has its value already.
    pub covered: bool,
    len: u16,
}

impl Field {
    /// Whether it only fills a gap.
    pub fn is_padding(&self) -> bool {
        self.element == ElementId::iana(210)
    }
}

/// Where a field lies in its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Span {
    start: u16,
    end: u16,
}

/// How the records of a set are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    id: u16,
    fields: Box<[Field]>,
    /// The first fields of an options template say what the others are about; 0 in templates of flows.
    scope_count: usize,
    is_options: bool,
    /// Where the fields lie, unless records tell.
    spans: Option<Box<[Span]>>,
    /// Shortest record.
    len_min: usize,
    pub(crate) slots: Box<[(Slot, u16)]>,
    /// As it was sent, from its id on.
    definition: Box<[u8]>,
}

/// What one template record is.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Definition {
    Template(Template),
    /// The exporter takes a template back (RFC 7011, section 8.1). `None` is all of this kind.
    Withdrawn(Option<u16>),
}

/// The kinds of sets that define templates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TemplateSet {
    V9Data,
    V9Options,
    IpfixData,
    IpfixOptions,
}

impl TemplateSet {
    /// Number of the set in a message.
    pub(crate) const fn id(self) -> u16 {
        match self {
            Self::V9Data => 0,
            Self::V9Options => 1,
            Self::IpfixData => 2,
            Self::IpfixOptions => 3,
        }
    }

    pub(crate) const fn of(protocol: Protocol, id: u16) -> Option<Self> {
        match (protocol, id) {
            (Protocol::NetflowV9, 0) => Some(Self::V9Data),
            (Protocol::NetflowV9, 1) => Some(Self::V9Options),
            (Protocol::Ipfix, 2) => Some(Self::IpfixData),
            (Protocol::Ipfix, 3) => Some(Self::IpfixOptions),
            _ => None,
        }
    }

    pub(crate) const fn is_options(self) -> bool {
        matches!(self, Self::V9Options | Self::IpfixOptions)
    }

    /// The set in which a template of this protocol comes.
    pub(crate) const fn for_template(protocol: Protocol, is_options: bool) -> Self {
        match (protocol, is_options) {
            (Protocol::Ipfix, false) => Self::IpfixData,
            (Protocol::Ipfix, true) => Self::IpfixOptions,
            (_, false) => Self::V9Data,
            (_, true) => Self::V9Options,
        }
    }
}

/// Reads the next template of a set. `None` when the rest is padding or cannot be one.
pub(crate) fn read(set: TemplateSet, reader: &mut Reader<'_>) -> Option<Definition> {
    let begin = reader.rest();
    let id = reader.u16()?;
    let (scope_count, count) = match set {
        TemplateSet::V9Data | TemplateSet::IpfixData => (0, usize::from(reader.u16()?)),
        TemplateSet::V9Options => {
            // Lengths in bytes, of four bytes each field.
            let (scopes, options) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
            if scopes % 4 != 0 || options % 4 != 0 {
                return None;
            }
            (scopes / 4, (scopes + options) / 4)
        }
        TemplateSet::IpfixOptions => {
            let count = usize::from(reader.u16()?);
            (if count == 0 { 0 } else { usize::from(reader.u16()?) }, count)
        }
    };
    let is_ipfix = matches!(set, TemplateSet::IpfixData | TemplateSet::IpfixOptions);
    if is_ipfix && count == 0 {
        return match id {
            2 | 3 if id == set.id() => Some(Definition::Withdrawn(None)),
            256.. => Some(Definition::Withdrawn(Some(id))),
            _ => None,
        };
    }
    // RFC 7011, section 3.4.2.2: an options template has at least one scope.
    let has_scopes = scope_count <= count && (set != TemplateSet::IpfixOptions || scope_count > 0);
    if id < 256 || count == 0 || count > FIELDS_MAX || !has_scopes {
        return None;
    }
    let mut fields = Vec::with_capacity(count.min(reader.rest().len() / 4));
    for place in 0..count {
        let (number, len) = (reader.u16()?, reader.u16()?);
        let element = match set {
            TemplateSet::V9Options if place < scope_count => v9_scope(number),
            _ if is_ipfix && number & 0x8000 != 0 => ElementId { enterprise: reader.u32()?, number: number & 0x7fff },
            _ => ElementId::iana(number),
        };
        fields.push((element, len));
    }
    let definition = begin.get(..begin.len() - reader.rest().len())?;
    let template = Template::new(id, &fields, definition)?;
    Some(Definition::Template(Template { scope_count, is_options: set.is_options(), ..template }))
}

/// Scopes of NetFlow v9 have numbers of their own (RFC 3954, section 6.1).
fn v9_scope(number: u16) -> ElementId {
    ElementId::iana(match number {
        2 => 10,  // interface
        3 => 141, // line card
        4 => 143, // cache
        5 => 145, // template
        _ => 144, // system, and whatever else
    })
}

impl Template {
    /// `None` if no record can be of this template.
    pub(crate) fn new(id: u16, fields: &[(ElementId, u16)], definition: &[u8]) -> Option<Self> {
        // Some exporters of NetFlow v9 (H3C) use it as IPFIX does; no record could be so long otherwise.
        let varies = |len: u16| len == VARIABLE;
        let mut at = 0usize;
        let mut spans = Some(Vec::with_capacity(fields.len()));
        for (_, len) in fields {
            let start = at;
            at += if varies(*len) { 1 } else { usize::from(*len) };
            if varies(*len) {
                spans = None;
            }
            if let Some(spans) = &mut spans {
                spans.push(Span { start: u16::try_from(start).ok()?, end: u16::try_from(at).ok()? });
            }
        }
        if at == 0 || at > usize::from(u16::MAX) {
            return None; // a record of no bytes would come for ever
        }
        let slots = Slot::choose(fields.iter().map(|(element, _)| *element));
        let make = |place: usize, element: ElementId, len: u16| Field {
            element,
            kind: element.kind(),
            name: element.name(),
            covered: is_covered(&slots, place),
            len,
        };
        Some(Self {
            id,
            fields: fields.iter().enumerate().map(|(place, (element, len))| make(place, *element, *len)).collect(),
            scope_count: 0,
            is_options: false,
            spans: spans.map(Vec::into_boxed_slice),
            len_min: at,
            slots: slots.into_boxed_slice(),
            definition: definition.into(),
        })
    }

    pub fn id(&self) -> u16 {
        self.id
    }

    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub fn is_options(&self) -> bool {
        self.is_options
    }

    pub fn scope_count(&self) -> usize {
        self.scope_count
    }

    /// How much room it takes, in fields.
    pub(crate) fn weight(&self) -> usize {
        self.fields.len() + 8
    }

    /// Length of the shortest record.
    pub(crate) fn len_min(&self) -> usize {
        self.len_min
    }

    /// Place of the field that fills a slot.
    pub(crate) fn slot(&self, slot: Slot) -> Option<usize> {
        self.slots.iter().rfind(|(known, _)| *known == slot).map(|(_, place)| usize::from(*place))
    }

    pub(crate) fn definition(&self) -> &[u8] {
        &self.definition
    }

    /// Place of a field of IANA's.
    pub(crate) fn place(&self, number: u16) -> Option<usize> {
        self.fields.iter().position(|field| field.element == ElementId::iana(number))
    }

    /// Calls `each` with the records of a set, as far as they are whole. What is left over is padding unless it is longer
    /// than padding may be; then the set lied, and the answer says so.
    #[inline]
    pub(crate) fn records<'a>(&self, mut bytes: &'a [u8], mut each: impl FnMut(Record<'_, 'a>)) -> SetEnd {
        let mut scratch = Vec::new();
        while bytes.len() >= self.len_min {
            let (spans, len) = match &self.spans {
                Some(spans) => (&**spans, self.len_min),
                None => match self.measure(bytes, &mut scratch) {
                    Some(len) => (&*scratch, len),
                    None if bytes.iter().all(|byte| *byte == 0) => return SetEnd::Clean,
                    None => return SetEnd::Damaged,
                },
            };
            let (record, rest) = bytes.split_at(len);
            each(Record { template: self, spans, bytes: record });
            bytes = rest;
        }
        SetEnd::Clean
    }

    /// Adds the number of records of a set.
    pub(crate) fn count(&self, bytes: &[u8], count: &mut u64) -> SetEnd {
        if self.spans.is_some() {
            *count += (bytes.len() / self.len_min) as u64;
            return SetEnd::Clean;
        }
        self.records(bytes, |_| *count += 1)
    }

    /// Finds the fields of a record whose lengths are in it (RFC 7011, section 7).
    fn measure(&self, bytes: &[u8], spans: &mut Vec<Span>) -> Option<usize> {
        spans.clear();
        let mut at = 0usize;
        for field in &self.fields {
            let len = if field.len == VARIABLE {
                let short = *bytes.get(at)?;
                at += 1;
                if short < u8::MAX {
                    usize::from(short)
                } else {
                    let long = bytes.get(at..at + 2)?;
                    at += 2;
                    usize::from(u16::from_be_bytes([*long.first()?, *long.get(1)?]))
                }
            } else {
                usize::from(field.len)
            };
            let end = at + len;
            if end > bytes.len() {
                return None;
            }
            spans.push(Span { start: u16::try_from(at).ok()?, end: u16::try_from(end).ok()? });
            at = end;
        }
        Some(at)
    }
}

/// Whether the flow has all of this field. Of several fields for one slot only the record tells which one is taken.
fn is_covered(slots: &[(Slot, u16)], place: usize) -> bool {
    let Some((slot, _)) = slots.iter().find(|(_, at)| usize::from(*at) == place) else { return false };
    !slot.is_native_too() && slots.iter().filter(|(other, _)| other == slot).count() == 1
}

/// How the records of a set ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SetEnd {
    Clean,
    Damaged,
}

/// One record: bytes, and what they mean.
#[derive(Clone, Copy, Debug)]
pub struct Record<'t, 'a> {
    template: &'t Template,
    spans: &'t [Span],
    bytes: &'a [u8],
}

impl<'t, 'a> Record<'t, 'a> {
    pub fn template(&self) -> &'t Template {
        self.template
    }

    /// The record as sent.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes of a field.
    #[inline]
    pub fn field(&self, place: usize) -> &'a [u8] {
        let span = self.spans.get(place).copied().unwrap_or_default();
        self.bytes.get(usize::from(span.start)..usize::from(span.end)).unwrap_or_default()
    }

    /// All fields with their bytes, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'t Field, &'a [u8])> + use<'t, 'a> {
        let record = *self;
        self.template.fields.iter().enumerate().map(move |(place, field)| (field, record.field(place)))
    }
}
