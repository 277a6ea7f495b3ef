//! Records of one template, and what is known of the exporter that sent them.

use std::net::IpAddr;

use crate::flow::{Clock, Flow, Sampling};
use crate::options::{self, Topic};
use crate::store::Stream;
use crate::template::{Protocol, Record, Template};

/// Records of one template in one message, with what is known of their exporter.
#[derive(Debug)]
pub struct FlowSet<'a> {
    pub exporter: IpAddr,
    pub protocol: Protocol,
    /// Observation domain, source id or engine.
    pub domain: u32,
    /// Number of the message.
    pub sequence: Option<u32>,
    pub(crate) clock: Clock,
    pub(crate) template: &'a Template,
    pub(crate) bytes: &'a [u8],
    pub(crate) sampling: Sampling,
    pub(crate) own: Option<&'a Stream>,
    /// Some exporters say in domain 0 what holds for all.
    pub(crate) zero: Option<&'a Stream>,
}

impl<'a> FlowSet<'a> {
    /// Calls `each` with every record.
    #[inline]
    pub fn for_each(&self, each: impl FnMut(Record<'_, 'a>)) {
        self.template.records(self.bytes, each);
    }

    pub fn template(&self) -> &'a Template {
        self.template
    }

    /// The flow of a record, with its sampling looked up.
    #[inline]
    pub fn flow(&self, record: &Record<'_, '_>) -> Flow {
        let (mut flow, sampler) = record.flow(&self.clock);
        if flow.sampling == Sampling::Unsaid {
            flow.sampling = match self.sampling {
                Sampling::Unsaid if self.own.is_some() => self.look_up_sampling(&flow, sampler),
                said => said,
            };
        }
        flow
    }

    fn look_up_sampling(&self, flow: &Flow, sampler: Option<u64>) -> Sampling {
        let rate = |topic, about| self.fact(topic, about).map(options::Fact::sampling);
        let named = sampler.and_then(|id| rate(Topic::Sampler, id));
        let found = named
            .or_else(|| flow.ingress.and_then(|index| rate(Topic::InterfaceRate, u64::from(index))))
            .or_else(|| rate(Topic::Everything, 0));
        match (found, sampler) {
            (Some(found), _) => found,
            // 0 is how exporters without a sampler fill the field.
            (None, Some(1..)) => Sampling::Unknown,
            (None, _) => Sampling::Unsaid,
        }
    }

    fn fact(&self, topic: Topic, about: u64) -> Option<&'a options::Fact> {
        let of = |stream: &'a Stream| if stream.options.is_empty() { None } else { stream.fact(topic, about) };
        self.own.and_then(of).or_else(|| self.zero.and_then(of))
    }

    fn name(&self, topic: Topic, about: u64) -> Option<&'a str> {
        self.fact(topic, about).map(|fact| &*fact.text)
    }

    /// What the exporter calls this interface.
    pub fn interface(&self, index: u32) -> Option<&'a str> {
        self.name(Topic::Interface, u64::from(index))
    }

    pub fn application(&self, id: u64) -> Option<&'a str> {
        self.name(Topic::Application, id)
    }

    pub fn vrf(&self, id: u32) -> Option<&'a str> {
        self.name(Topic::Vrf, u64::from(id))
    }
}
