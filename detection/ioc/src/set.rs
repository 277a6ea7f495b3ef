//! All indicators, ready to be asked: which of them does this event hold?

use std::borrow::Cow;
use std::net::IpAddr;

use canh_schema::{Event, Timestamp, Value, field};
use compact_str::{CompactString, ToCompactString, format_compact};
use smallvec::SmallVec;

use crate::about::Indicator;
use crate::allow::AllowList;
use crate::fields::{self, Holds};
use crate::index::{Ranges, Record, Table, Texts};
use crate::kind::{IndicatorKind, Kinds};
use crate::problem::{KindCount, unpack_time};
use crate::{name, value, web};

/// Matches of one event that are given; an event may hold thousands of values.
const MATCHES_MAX: usize = 64;
/// Members of one list of values that are looked at.
const MEMBERS_MAX: usize = 1_000;
/// Longest value of an event that is shown in a match, in bytes.
const SHOWN_LEN_MAX: usize = 1_024;

/// Whether indicators that have expired match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expired {
    /// As in the stream.
    Skip,
    /// For looking back: what was known then, or is no longer in use.
    Match,
}

/// An indicator that an event holds.
#[derive(Clone, PartialEq, Debug)]
pub struct Match {
    /// Catalogue field, or native name.
    pub field: CompactString,
    /// The value of the event.
    pub value: CompactString,
    pub indicator: Indicator,
    /// Whether the indicator had expired. Only with [`Expired::Match`].
    pub expired: bool,
}

/// Indicators of all lists. Made by [`crate::Builder::finish`]; never changes.
#[derive(Debug)]
pub struct IndicatorSet {
    table: Table,
    texts: Texts,
    lists: Vec<CompactString>,
    ranges: Ranges,
    allow: AllowList,
}

impl IndicatorSet {
    pub(crate) fn new(table: Table, texts: Texts, lists: Vec<CompactString>, ranges: Ranges, allow: AllowList) -> Self {
        Self { table, texts, lists, ranges, allow }
    }

    /// Indicators; a value that is in two lists counts twice.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the lists.
    pub fn lists(&self) -> &[CompactString] {
        &self.lists
    }

    /// Indicators of each kind that there is.
    pub fn counts(&self, now: Timestamp) -> Vec<KindCount> {
        let mut counts = IndicatorKind::ALL.map(|kind| KindCount { kind, count: 0, expired: 0 });
        for record in self.table.records() {
            if let Some(count) = counts.get_mut(record.kind() as usize) {
                count.count += 1;
                count.expired += u64::from(record.has_expired(now));
            }
        }
        counts.into_iter().filter(|count| count.count > 0).collect()
    }

    /// Memory of the index, values, texts and networks included, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.table.bytes() + self.texts.bytes() + self.ranges.bytes()
    }

    /// Every indicator, in the order in which they were read.
    pub fn iter(&self) -> impl Iterator<Item = Indicator> {
        self.table.records().iter().map(|record| self.indicator(record))
    }

    /// The indicators that the event holds and that have not expired at `now`. In the stream `now` is the event's time.
    pub fn evaluate(&self, event: &Event, now: Timestamp) -> SmallVec<[Match; 1]> {
        self.evaluate_with(event, now, Expired::Skip)
    }

    pub fn evaluate_with(&self, event: &Event, now: Timestamp, expired: Expired) -> SmallVec<[Match; 1]> {
        self.evaluate_where(event, now, expired, &|_| true)
    }

    /// Only in the fields that are wanted, by their names in the catalogue or the source's own.
    pub fn evaluate_where(
        &self,
        event: &Event,
        now: Timestamp,
        expired: Expired,
        wanted: &dyn Fn(&str) -> bool,
    ) -> SmallVec<[Match; 1]> {
        let mut search = Search {
            set: self,
            kinds: self.table.kinds(),
            now,
            expired,
            found: SmallVec::new(),
            seen: SmallVec::new(),
        };
        if self.is_empty() {
            return search.found;
        }
        for (id, value) in &event.fields {
            if let Some(holds) = fields::of_catalogue(*id)
                && wanted(id.name())
            {
                search.members(holds, id.name(), value);
            }
        }
        for (name, value) in &event.attrs {
            let Some(native) = fields::of_native(name) else { continue };
            if native.field.is_none_or(|field| event.get(field).is_none()) && wanted(name) {
                search.members(native.holds, name, value);
            }
        }
        if search.kinds.has(IndicatorKind::Url) && wanted(field::URL_ORIGINAL.name()) {
            search.parts_of_url(event);
        }
        search.found
    }

    fn indicator(&self, record: &Record) -> Indicator {
        Indicator {
            kind: record.kind(),
            value: value::shown(record.kind(), self.table.value(record)),
            list: self.lists.get(usize::from(record.list)).cloned().unwrap_or_default(),
            confidence: record.confidence,
            severity: record.severity(),
            expiry: unpack_time(record.expiry),
            first_seen: unpack_time(record.first_seen),
            last_seen: unpack_time(record.last_seen),
            description: self.texts.get(record.description).into(),
            tags: self.texts.get(record.tags).lines().map(CompactString::from).collect(),
        }
    }
}

/// One event being looked at.
struct Search<'s> {
    set: &'s IndicatorSet,
    kinds: Kinds,
    now: Timestamp,
    expired: Expired,
    found: SmallVec<[Match; 1]>,
    /// Numbers of what is in `found`: an event often holds a value under several names.
    seen: SmallVec<[u32; 4]>,
}

impl Search<'_> {
    fn members(&mut self, holds: Holds, field: &str, value: &Value) {
        for member in value.members().iter().take(MEMBERS_MAX) {
            match member {
                Value::Ip(address) if matches!(holds, Holds::Ip | Holds::Host) => {
                    self.address(field, None, address.to_canonical());
                }
                Value::Text(text) => self.text(holds, field, text),
                Value::List(inner) => {
                    for text in inner.iter().take(MEMBERS_MAX).filter_map(Value::as_str) {
                        self.text(holds, field, text);
                    }
                }
                _ => (),
            }
        }
    }

    fn text(&mut self, holds: Holds, field: &str, text: &str) {
        match holds {
            Holds::Ip => {
                if let Some(address) = value::ip(text) {
                    self.address(field, Some(text), address);
                }
            }
            Holds::Host => self.host(field, text),
            Holds::Url => {
                if text.contains("://") {
                    self.url(field, text);
                }
            }
            Holds::Digest(kind) => self.digest(kind, field, text),
            Holds::Digests => self.digests(field, text),
            Holds::Answers => {
                for answer in text.split(';').take(MEMBERS_MAX) {
                    let answer = answer.trim();
                    // `type:  5 name` stands for an alias.
                    let answer = match answer.strip_prefix("type:") {
                        Some(rest) => rest.trim_start().split_once(' ').map_or("", |(_, name)| name.trim()),
                        None => answer,
                    };
                    self.host(field, answer);
                }
            }
            Holds::Email => self.emails(field, text),
            Holds::Ja4 => {
                if self.kinds.has(IndicatorKind::Ja4)
                    && let Some(print) = value::ja4(text)
                {
                    self.exact(IndicatorKind::Ja4, print.as_bytes(), field, text);
                }
            }
            Holds::UserAgent => self.exact(IndicatorKind::UserAgent, text.trim().as_bytes(), field, text),
        }
    }

    /// `shown` is how the event writes it, if not as an address.
    fn address(&mut self, field: &str, shown: Option<&str>, address: IpAddr) {
        let mut heads: SmallVec<[u32; 4]> = SmallVec::new();
        if self.kinds.has(IndicatorKind::Ip) {
            let mut buffer = [0; 16];
            heads.extend(self.set.table.find(IndicatorKind::Ip, value::address_bytes(address, &mut buffer)));
        }
        if !self.set.ranges.is_empty() {
            let alone = heads.len();
            self.set.ranges.holding(address, |head| heads.push(head));
            // A network may be around an address that is allowed.
            if heads.len() > alone && self.set.allow.has_address(address) {
                heads.truncate(alone);
            }
        }
        if heads.is_empty() {
            return;
        }
        let text = address.to_string();
        for head in heads {
            self.take(head, field, shown.unwrap_or(&text));
        }
    }

    /// A name of a machine, or its address, perhaps with a port.
    fn host(&mut self, field: &str, text: &str) {
        if let Some(address) = value::ip(text) {
            return self.address(field, Some(text), address);
        }
        if !self.kinds.has(IndicatorKind::Domain) {
            return;
        }
        let host = match text.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => text,
        };
        if host.len() != text.len()
            && let Some(address) = value::ip(host.trim_matches(['[', ']']))
        {
            return self.address(field, Some(text), address);
        }
        let Some(whole) = name::normal(host) else { return };
        for name in name::with_parents(&whole) {
            if let Some(head) = self.set.table.find(IndicatorKind::Domain, name.as_bytes())
                && !self.set.allow.has_domain(&whole)
            {
                self.take(head, field, text);
            }
        }
    }

    /// A whole URL: itself, and without what follows the question mark.
    fn url(&mut self, field: &str, text: &str) {
        let known = self.kinds.has(IndicatorKind::Url);
        if !known
            && !self.kinds.has(IndicatorKind::Domain)
            && !self.kinds.has(IndicatorKind::Ip)
            && self.set.ranges.is_empty()
        {
            return;
        }
        let Some(url) = web::normal(text) else { return };
        if known {
            self.exact(IndicatorKind::Url, url.as_bytes(), field, text);
            if let Some(address) = web::without_query(&url) {
                self.exact(IndicatorKind::Url, address.as_bytes(), field, text);
            }
        }
        if let Some((host, _)) = web::host(&url) {
            self.host(field, host.trim_matches(['[', ']']));
        }
    }

    /// Sources that give host and path apart. Where the scheme is not said both are tried, and where the name has no
    /// port the one of the connection is.
    fn parts_of_url(&mut self, event: &Event) {
        let text = |id| event.get(id).and_then(Value::as_str);
        let Some(host) = text(field::URL_DOMAIN).or_else(|| event.attr("host").and_then(Value::as_str)) else { return };
        let whole: Cow<'_, str> = match (text(field::URL_ORIGINAL), text(field::URL_PATH)) {
            (Some(original), _) if original.contains("://") => return,
            (Some(original), _) => Cow::Borrowed(original),
            (None, Some(path)) => match text(field::URL_QUERY) {
                Some(query) => Cow::Owned(format!("{path}?{query}")),
                None => Cow::Borrowed(path),
            },
            (None, None) => match event.attr("uri").and_then(Value::as_str) {
                Some(uri) if !uri.contains("://") => Cow::Borrowed(uri),
                _ => return,
            },
        };
        let slash = if whole.starts_with('/') { "" } else { "/" };
        let port = event.get(field::DESTINATION_PORT).and_then(Value::as_i64).filter(|port| !matches!(port, 80 | 443));
        let host = if host.contains(':') && !host.starts_with('[') && value::ip(host).is_some() {
            format_compact!("[{host}]")
        } else {
            host.to_compact_string()
        };
        for scheme in ["http", "https"] {
            let bare = web::normal(&format!("{scheme}://{host}{slash}{whole}"));
            let with_port = port.and_then(|port| web::normal(&format!("{scheme}://{host}:{port}{slash}{whole}")));
            for url in bare.iter().chain(&with_port) {
                self.exact(IndicatorKind::Url, url.as_bytes(), field::URL_ORIGINAL.name(), url);
                if let Some(address) = web::without_query(url) {
                    self.exact(IndicatorKind::Url, address.as_bytes(), field::URL_ORIGINAL.name(), url);
                }
            }
        }
    }

    fn digest(&mut self, kind: IndicatorKind, field: &str, text: &str) {
        let mut buffer = [0; 64];
        if self.kinds.has(kind)
            && let Some(digest) = value::digest(kind, text.trim(), &mut buffer)
        {
            self.exact(kind, digest, field, text);
        }
    }

    fn digests(&mut self, field: &str, text: &str) {
        for part in text.split([',', ';']).take(16) {
            let digits = part.rsplit(['=', ':']).next().unwrap_or(part).trim();
            let kind = match digits.len() {
                32 if !part.trim_start().starts_with("IMPHASH") => IndicatorKind::Md5,
                40 => IndicatorKind::Sha1,
                64 => IndicatorKind::Sha256,
                128 => IndicatorKind::Sha512,
                _ => continue,
            };
            self.digest(kind, field, digits);
        }
    }

    fn emails(&mut self, field: &str, text: &str) {
        if !self.kinds.has(IndicatorKind::Email) && !self.kinds.has(IndicatorKind::Domain) {
            return;
        }
        for one in text.split([',', ';']).take(MEMBERS_MAX) {
            if let Some(address) = value::email(one) {
                self.exact(IndicatorKind::Email, address.as_bytes(), field, one.trim());
                if let Some((_, domain)) = address.rsplit_once('@') {
                    self.host(field, domain);
                }
            }
        }
    }

    fn exact(&mut self, kind: IndicatorKind, bytes: &[u8], field: &str, shown: &str) {
        if self.kinds.has(kind)
            && let Some(head) = self.set.table.find(kind, bytes)
        {
            self.take(head, field, shown);
        }
    }

    /// The value whose first record this is has been found: one match for each list that has it.
    fn take(&mut self, head: u32, field: &str, shown: &str) {
        for (number, record) in self.set.table.chain(head) {
            let has_expired = record.has_expired(self.now);
            let skip = has_expired && self.expired == Expired::Skip;
            if skip || self.found.len() >= MATCHES_MAX || self.seen.contains(&number) {
                continue;
            }
            self.seen.push(number);
            self.found.push(Match {
                field: field.into(),
                value: shown[..shown.floor_char_boundary(SHOWN_LEN_MAX)].into(),
                indicator: self.set.indicator(record),
                expired: has_expired,
            });
        }
    }
}
