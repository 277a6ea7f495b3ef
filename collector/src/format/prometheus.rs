//! Prometheus remote write 1.0: a protobuf message of series, each with labels, samples and histograms. The door counts and
//! checks them with this; decoding reads them again. It is read by hand, because a message may hold many more things than
//! bytes would suggest, and nothing is kept of those that are not wanted.

use bytes::Bytes;
use canh_schema::{IssueKind, Timestamp, field};
use compact_str::{CompactString, ToCompactString, format_compact};

use crate::decode::Decoder;
use crate::source;

/// The most labels of one series, and their lengths in bytes.
const LABELS_MAX: usize = 256;
const NAME_LEN_MAX: usize = 1_024;
const VALUE_LEN_MAX: usize = 8 * 1_024;

/// Why a message is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("the body is no protobuf message of type `prometheus.WriteRequest`")]
    Malformed,
    #[error(
        "a series has more than {LABELS_MAX} labels, or one that is longer than {NAME_LEN_MAX} bytes (name) or {VALUE_LEN_MAX} (value)"
    )]
    Labels,
    #[error("a series has no label `__name__`")]
    Nameless,
    #[error("there are more than {0} samples; lower `max_samples_per_send`")]
    TooMany(u64),
    #[error("the labels of all samples together are longer than {WIDE_MAX} bytes; lower `max_samples_per_send`")]
    TooWide,
}

/// Longest labels of all samples of a message together, in bytes. The labels of a series stand once in the message and are
/// in every event that comes of it.
const WIDE_MAX: u64 = 64 << 20;

/// A value of protobuf's wire format.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of a message, in their order.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), WriteError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read().ok_or(WriteError::Malformed);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<(u64, Wire<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?)),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.bytes(len)?)
            }
            5 => {
                self.bytes(4)?;
                Wire::Fixed32
            }
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// One value of a series at one time.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Point {
    /// Behind the name of the series.
    suffix: &'static str,
    value: f64,
    /// Milliseconds since 1970.
    time: i64,
}

/// The series of a message, each with the bytes that it has there.
fn series(message: &[u8]) -> impl Iterator<Item = Result<&[u8], WriteError>> {
    Fields(message).filter_map(|field| match field {
        Ok((1, Wire::Bytes(series))) => Some(Ok(series)),
        Ok((1, _)) => Some(Err(WriteError::Malformed)),
        Ok(_) => None, // what metrics are about
        Err(error) => Some(Err(error)),
    })
}

type Label<'a> = (&'a str, &'a str);

fn labels(series: &[u8]) -> Result<Vec<Label<'_>>, WriteError> {
    let mut labels = Vec::new();
    for field in Fields(series) {
        let (1, Wire::Bytes(label)) = field? else { continue };
        let mut pair = ("", "");
        for field in Fields(label) {
            let text = |bytes| std::str::from_utf8(bytes).map_err(|_| WriteError::Malformed);
            match field? {
                (1, Wire::Bytes(bytes)) => pair.0 = text(bytes)?,
                (2, Wire::Bytes(bytes)) => pair.1 = text(bytes)?,
                _ => (),
            }
        }
        if labels.len() >= LABELS_MAX || pair.0.len() > NAME_LEN_MAX || pair.1.len() > VALUE_LEN_MAX {
            return Err(WriteError::Labels);
        }
        labels.push(pair);
    }
    Ok(labels)
}

/// Hands on every value: one of a sample, the count and the sum of a native histogram.
fn points(series: &[u8], mut each: impl FnMut(Point)) -> Result<(), WriteError> {
    for field in Fields(series) {
        match field? {
            (2, Wire::Bytes(sample)) => {
                let mut point = Point { suffix: "", value: 0.0, time: 0 };
                for field in Fields(sample) {
                    match field? {
                        (1, Wire::Fixed64(bits)) => point.value = f64::from_bits(bits),
                        (2, Wire::Varint(time)) => point.time = time.cast_signed(),
                        _ => (),
                    }
                }
                each(point);
            }
            (4, Wire::Bytes(histogram)) => {
                let (mut count, mut sum, mut time) = (0.0, 0.0, 0);
                for field in Fields(histogram) {
                    match field? {
                        (1, Wire::Varint(number)) => count = number as f64,
                        (2, Wire::Fixed64(bits)) => count = f64::from_bits(bits),
                        (3, Wire::Fixed64(bits)) => sum = f64::from_bits(bits),
                        (15, Wire::Varint(number)) => time = number.cast_signed(),
                        _ => (),
                    }
                }
                each(Point { suffix: "_sum", value: sum, time });
                each(Point { suffix: "_count", value: count, time });
            }
            _ => (),
        }
    }
    Ok(())
}

/// Whether Prometheus says with this value that a series has ended. There is nothing to keep then.
fn is_stale(value: f64) -> bool {
    const STALE: u64 = 0x7ff0_0000_0000_0002;
    value.to_bits() == STALE
}

/// Number of the samples of a message.
pub(crate) fn count(message: &[u8], samples_max: u64) -> Result<u64, WriteError> {
    let (mut samples, mut wide) = (0, 0_u64);
    for series in series(message) {
        let series = series?;
        let labels = labels(series)?;
        if !labels.iter().any(|(name, value)| *name == NAME && !value.is_empty()) {
            return Err(WriteError::Nameless);
        }
        let before = samples;
        points(series, |point| samples += u64::from(!is_stale(point.value)))?;
        wide = wide.saturating_add(width(&labels).saturating_mul(samples - before));
        if wide > WIDE_MAX {
            return Err(WriteError::TooWide);
        }
        if samples > samples_max {
            return Err(WriteError::TooMany(samples_max));
        }
    }
    Ok(samples)
}

const NAME: &str = "__name__";

/// Length of the labels of one series.
fn width(labels: &[Label<'_>]) -> u64 {
    labels.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum()
}

/// Makes an event of each sample.
pub(crate) fn decode(decoder: &mut Decoder<'_>, payload: &Bytes) {
    let mut wide = 0_u64;
    for series in series(payload) {
        // The door lets in only what can be read.
        let Ok(labels) = series.and_then(labels) else { return malformed(decoder, payload) };
        let Ok(series) = series else { return };
        let mut all = Vec::new();
        let mut left_out = 0;
        let room = decoder.settings().events_max.saturating_sub(decoder.events.len());
        let read = points(series, |point| match all.len() < room {
            _ if is_stale(point.value) => (),
            true => all.push(point),
            false => left_out += 1,
        });
        wide = wide.saturating_add(width(&labels).saturating_mul(all.len() as u64));
        if wide > WIDE_MAX {
            return malformed(decoder, payload);
        }
        for point in all {
            sample(decoder, &labels, point);
        }
        if read.is_err() || left_out > 0 {
            return malformed(decoder, payload);
        }
    }
}

/// Keeps what cannot be read, or is more than a batch may have, as one event.
fn malformed(decoder: &mut Decoder<'_>, payload: &Bytes) {
    let mut event = decoder.event(payload.clone());
    event.push_issue(IssueKind::Malformed, "not all samples of a remote write could be read");
    event.set(field::MESSAGE, "remote write: not all samples could be read");
    decoder.finish(event, decoder.envelope().peer);
}

fn sample(decoder: &mut Decoder<'_>, labels: &[Label<'_>], point: Point) {
    let name = labels.iter().find(|(name, _)| *name == NAME).map(|(_, value)| *value).unwrap_or_default();
    let name = format_compact!("{name}{}", point.suffix);
    let mut text = format_compact!("{name} {}", point.value);
    for (label, value) in labels.iter().filter(|(label, _)| *label != NAME) {
        text.push_str(&format_compact!(" {label}={value}"));
    }
    let mut event = decoder.event(Bytes::copy_from_slice(text.as_bytes()));
    source::metric::apply(&mut event);
    event.time = Timestamp::from_millis(point.time);
    event.set(field::METRIC_NAME, name);
    if point.value.is_finite() {
        event.set(field::METRIC_VALUE, point.value);
    } else {
        event.push_issue(IssueKind::TypeConflict, point.value.to_compact_string());
    }
    event.set(field::MESSAGE, text);
    for (label, value) in labels.iter().filter(|(label, value)| *label != NAME && !value.is_empty()) {
        source::metric::label(&mut event, label, CompactString::from(*value));
    }
    decoder.finish(event, decoder.envelope().peer);
}

pub(super) fn fuzz(bytes: &[u8]) {
    let counted = count(bytes, 1_000);
    let received = Timestamp::from_secs(1_793_000_000);
    let payload = Bytes::copy_from_slice(bytes);
    let envelope =
        crate::Envelope::new(crate::Door::PrometheusWrite, received, crate::Framing::PrometheusWrite, payload);
    let settings = crate::DecodeSettings::default();
    let batch = crate::decode(&envelope, canh_schema::Position::new(1), 1, &settings);
    if let Ok(samples) = counted {
        assert_eq!(batch.events.len() as u64, samples, "every sample that was counted is an event");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn label(name: &str, value: &str) -> Vec<u8> {
        bytes_field(1, &[bytes_field(1, name.as_bytes()), bytes_field(2, value.as_bytes())].concat())
    }

    fn value(value: f64) -> Vec<u8> {
        // 1,793,000,000,250 milliseconds
        let time = [0x10, 0xfa, 0x9d, 0xb4, 0x95, 0x97, 0x34];
        bytes_field(2, &[&[0x09], &value.to_le_bytes()[..], &time].concat())
    }

    #[test]
    fn samples_are_counted_and_become_events() {
        let stale = value(f64::from_bits(0x7ff0_0000_0000_0002));
        let one = [label(NAME, "up"), label("instance", "10.0.0.9:9100"), label("job", "node"), value(1.0), stale];
        let histogram = bytes_field(4, &[&[0x08, 7, 0x19], &2.5_f64.to_le_bytes()[..]].concat());
        let two = [label(NAME, "wait"), label("instance", "db1:9100"), value(f64::INFINITY), histogram];
        let message = [bytes_field(1, &one.concat()), bytes_field(3, b"x"), bytes_field(1, &two.concat())].concat();
        assert_eq!(count(&message, 10), Ok(4));
        assert_eq!(count(&message, 3), Err(WriteError::TooMany(3)));
        fuzz(&message);
        let received = Timestamp::from_secs(1_793_000_001);
        let framing = crate::Framing::PrometheusWrite;
        let envelope = crate::Envelope::new(crate::Door::PrometheusWrite, received, framing, message.into());
        let settings = crate::DecodeSettings::default();
        let events = crate::decode(&envelope, canh_schema::Position::new(1), 1, &settings).events;
        let text = |at: usize, name: &str| events[at].lookup(name).and_then(|value| value.as_text()).map(String::from);
        assert_eq!(text(0, "canh.metric.name").as_deref(), Some("up"));
        assert_eq!(text(0, "host.name").as_deref(), Some("10.0.0.9"));
        assert_eq!(text(0, "job").as_deref(), Some("node"));
        assert_eq!(text(0, "canh.metric.value").as_deref(), Some("1"));
        assert_eq!(events[1].get(field::METRIC_VALUE), None);
        assert_eq!(
            (text(2, "canh.metric.name").as_deref(), text(3, "canh.metric.name").as_deref()),
            (Some("wait_sum"), Some("wait_count"))
        );
        assert_eq!(text(3, "host.name").as_deref(), Some("db1"));
        assert_eq!(events.len(), 4);
    }

    #[test]
    fn messages_that_are_not_taken() {
        assert_eq!(count(b"", 1), Ok(0));
        assert_eq!(count(b"nonsense", 1), Err(WriteError::Malformed));
        assert_eq!(count(&bytes_field(1, &value(1.0)), 1), Err(WriteError::Nameless));
        assert_eq!(count(&bytes_field(1, &bytes_field(1, &[0xff])), 1), Err(WriteError::Malformed));
        let many: Vec<u8> = [0x0a, 0].repeat(300);
        let mut series = vec![0x0a];
        series.extend_from_slice(&[0xd8, 4]);
        series.extend_from_slice(&many);
        assert_eq!(count(&series, 1), Err(WriteError::Labels));
        for message in [&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f][..], &[0x0b], &[0x0a, 5, 1], &[0x80; 12]] {
            assert!(count(message, 1).is_err(), "{message:?}");
            fuzz(message);
        }
    }
}
