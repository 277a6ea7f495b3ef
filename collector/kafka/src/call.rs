//! Requests and their answers.

use bytes::Bytes;

use crate::batch::Aborted;
use crate::code::Code;
use crate::wire::{Malformed, Reader, Writer};

/// What can be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i16)]
pub enum Api {
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    SaslHandshake = 17,
    ApiVersions = 18,
    SaslAuthenticate = 36,
}

impl Api {
    /// The versions that are spoken here, the best first.
    const fn spoken(self) -> &'static [i16] {
        match self {
            // 10 is the first with zstd, 4 the first with the present form of records.
            Self::Fetch => &[11, 10, 9, 8, 7, 6, 5, 4],
            Self::ListOffsets => &[2],
            // 12 tells the topics' ids; 4 is the first that does not make topics by asking.
            Self::Metadata => &[12, 4],
            Self::SaslHandshake => &[1],
            Self::ApiVersions | Self::SaslAuthenticate => &[0],
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Fetch => "Fetch",
            Self::ListOffsets => "ListOffsets",
            Self::Metadata => "Metadata",
            Self::SaslHandshake => "SaslHandshake",
            Self::ApiVersions => "ApiVersions",
            Self::SaslAuthenticate => "SaslAuthenticate",
        }
    }
}

/// Requests whose lengths are written in the newer way.
const fn is_compact(api: Api, version: i16) -> bool {
    matches!(api, Api::Metadata) && version >= 9
}

/// The broker speaks no version of a request that is spoken here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the broker does not know `{}` as it is asked here; Kafka 1.0 and later do", .0.name())]
pub struct NotSpoken(pub Api);

/// Which versions of requests a broker knows.
#[derive(Clone, Debug, Default)]
pub struct Versions(Vec<(i16, i16, i16)>);

impl Versions {
    pub fn read(body: &[u8]) -> Result<(Code, Self), Malformed> {
        let mut reader = Reader::new(body);
        let code = Code(reader.i16()?);
        let versions = reader.list(|reader| Ok((reader.i16()?, reader.i16()?, reader.i16()?)))?;
        Ok((code, Self(versions)))
    }

    /// The best version that both know.
    pub fn best(&self, api: Api) -> Result<i16, NotSpoken> {
        let known = self.0.iter().find(|(key, ..)| *key == api as i16).ok_or(NotSpoken(api))?;
        let both = |version: &&i16| (known.1..=known.2).contains(*version);
        api.spoken().iter().find(both).copied().ok_or(NotSpoken(api))
    }
}

/// A whole request with its length before it.
pub fn request(api: Api, version: i16, number: i32, client: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.i32(0).i16(api as i16).i16(version).i32(number).text(client);
    if is_compact(api, version) {
        out.put(&[0]);
    }
    out.put(body);
    let len = i32::try_from(out.out.len() - 4).unwrap_or(i32::MAX);
    out.out[..4].copy_from_slice(&len.to_be_bytes());
    out.out
}

/// The number of the request that an answer is for, and its body.
pub fn answer_body(answer: &[u8], compact: bool) -> Result<(i32, &[u8]), Malformed> {
    let mut reader = Reader { rest: answer, compact };
    let number = reader.i32()?;
    reader.tags()?;
    Ok((number, reader.rest))
}

pub fn api_versions() -> Vec<u8> {
    Vec::new()
}

pub fn handshake(mechanism: &str) -> Vec<u8> {
    let mut out = Writer::default();
    out.text(mechanism);
    out.out
}

/// What became of it, and the mechanisms that the broker knows.
pub fn handshaken(body: &[u8]) -> Result<(Code, Vec<String>), Malformed> {
    let mut reader = Reader::new(body);
    let code = Code(reader.i16()?);
    Ok((code, reader.list(|reader| Ok(reader.text()?.unwrap_or_default()))?))
}

pub fn authenticate(said: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes(said);
    out.out
}

/// What became of it, the broker's words if it has some, and what it answers.
pub fn authenticated(body: &[u8]) -> Result<(Code, Option<String>, Vec<u8>), Malformed> {
    let mut reader = Reader::new(body);
    Ok((Code(reader.i16()?), reader.text()?, reader.bytes()?.unwrap_or_default().to_vec()))
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    pub id: i32,
    pub host: String,
    pub port: u16,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topic {
    pub code: Code,
    pub name: String,
    /// Different for a topic that was deleted and made again. Zero where brokers do not tell.
    pub id: [u8; 16],
    pub partitions: Vec<Partition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    pub code: Code,
    pub index: i32,
    /// The broker to ask; -1 if there is none.
    pub leader: i32,
}

/// What a cluster says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    pub cluster: Option<String>,
    pub brokers: Vec<Broker>,
    pub topics: Vec<Topic>,
}

/// Asks for these topics, and makes none by that.
pub fn metadata(version: i16, topics: &[String]) -> Vec<u8> {
    let compact = is_compact(Api::Metadata, version);
    let mut out = Writer { compact, ..Writer::default() };
    out.count(topics.len());
    for topic in topics {
        if compact {
            out.put(&[0; 16]);
        }
        out.text(topic).tags();
    }
    out.i8(0);
    if compact {
        out.i8(0);
    }
    out.tags();
    out.out
}

pub fn metadata_answer(body: &[u8], version: i16) -> Result<Metadata, Malformed> {
    let compact = is_compact(Api::Metadata, version);
    let mut reader = Reader { rest: body, compact };
    reader.i32()?; // throttled
    let brokers = reader.list(|reader| {
        let (id, host, port) = (reader.i32()?, reader.text()?.unwrap_or_default(), reader.i32()?);
        reader.text()?; // rack
        reader.tags()?;
        Ok(Broker { id, host, port: u16::try_from(port).map_err(|_| Malformed)? })
    })?;
    let cluster = reader.text()?;
    reader.i32()?; // controller
    let topics = reader.list(|reader| {
        let (code, name) = (Code(reader.i16()?), reader.text()?.unwrap_or_default());
        let id = if compact { reader.uuid()? } else { [0; 16] };
        reader.bool()?; // internal
        let partitions = reader.list(|reader| {
            let (code, index, leader) = (Code(reader.i16()?), reader.i32()?, reader.i32()?);
            if compact {
                reader.i32()?; // epoch of the leader
            }
            for _ in 0..if compact { 3 } else { 2 } {
                reader.list(Reader::i32)?; // replicas
            }
            reader.tags()?;
            Ok(Partition { code, index, leader })
        })?;
        if compact {
            reader.i32()?; // operations
        }
        reader.tags()?;
        Ok(Topic { code, name, id, partitions })
    })?;
    Ok(Metadata { cluster, brokers, topics })
}

/// Where in a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetOf {
    /// The oldest record that is there.
    Earliest,
    /// The next record that will be readable.
    Latest,
}

/// A partition of a topic, and a place in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
}

/// Records that are not committed are not asked for.
const COMMITTED: i8 = 1;
/// A reader, and no replica.
const READER: i32 = -1;

pub fn list_offsets(topic: &str, partition: i32, of: OffsetOf) -> Vec<u8> {
    let mut out = Writer::default();
    let time = match of {
        OffsetOf::Earliest => -2,
        OffsetOf::Latest => -1,
    };
    out.i32(READER).i8(COMMITTED).count(1).text(topic).count(1).i32(partition).i64(time);
    out.out
}

/// The answer for the one partition that was asked for.
pub fn listed_offsets(body: &[u8]) -> Result<(Code, i64), Malformed> {
    let mut reader = Reader::new(body);
    reader.i32()?; // throttled
    let mut topics = reader.list(|reader| {
        reader.text()?;
        reader.list(|reader| {
            reader.i32()?; // partition
            let code = Code(reader.i16()?);
            reader.i64()?; // time
            Ok((code, reader.i64()?))
        })
    })?;
    topics.pop().and_then(|mut partitions| partitions.pop()).ok_or(Malformed)
}

/// Asks for records from these places on, of one topic after the other. `bytes` is the most of all together; of the first
/// partition that has records a whole batch comes, however long it is.
pub fn fetch(version: i16, places: &[Place<'_>], wait_ms: i32, bytes: i32) -> Vec<u8> {
    let mut out = Writer::default();
    out.i32(READER).i32(wait_ms).i32(1).i32(bytes).i8(COMMITTED);
    if version >= 7 {
        out.i32(0).i32(-1); // without a session
    }
    let topics: Vec<&[Place<'_>]> = places.chunk_by(|one, other| one.topic == other.topic).collect();
    out.count(topics.len());
    for topic in topics {
        out.text(topic.first().map_or("", |place| place.topic)).count(topic.len());
        for place in topic {
            out.i32(place.partition);
            if version >= 9 {
                out.i32(-1); // any epoch
            }
            out.i64(place.offset);
            if version >= 5 {
                out.i64(-1);
            }
            out.i32(bytes);
        }
    }
    if version >= 7 {
        out.count(0); // of a session nothing is forgotten
    }
    if version >= 11 {
        out.text("");
    }
    out.out
}

/// What came of a fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    pub code: Code,
    pub partitions: Vec<FetchedPartition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedPartition {
    pub topic: String,
    pub partition: i32,
    pub code: Code,
    /// Up to here records may be read.
    pub end: i64,
    pub aborted: Vec<Aborted>,
    /// For [`crate::Batches`].
    pub records: Bytes,
}

pub fn fetched(body: Bytes, version: i16) -> Result<Fetched, Malformed> {
    let mut reader = Reader::new(&body);
    reader.i32()?; // throttled
    let mut code = Code::NONE;
    if version >= 7 {
        code = Code(reader.i16()?);
        reader.i32()?; // session
    }
    let topics = reader.list(|reader| {
        let topic = reader.text()?.unwrap_or_default();
        reader.list(|reader| {
            let (partition, code, high) = (reader.i32()?, Code(reader.i16()?), reader.i64()?);
            let stable = reader.i64()?;
            if version >= 5 {
                reader.i64()?; // where the log starts
            }
            let aborted = reader.list(|reader| Ok(Aborted { producer: reader.i64()?, first: reader.i64()? }))?;
            if version >= 11 {
                reader.i32()?; // a replica that is nearer
            }
            let records = reader.bytes()?.map_or_else(Bytes::new, |records| body.slice_ref(records));
            let end = if stable >= 0 { stable } else { high };
            Ok(FetchedPartition { topic: topic.clone(), partition, code, end, aborted, records })
        })
    })?;
    Ok(Fetched { code, partitions: topics.into_iter().flatten().collect() })
}
