//! One connection to a broker: a question, its answer, and what either may take.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use canh_kafka::{Api, Code, Malformed, Metadata, NotSpoken, OffsetOf, Scram, ScramError, Versions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::ClusterConfig;
use super::secure::{Access, Mechanism, User};

/// What we call ourselves.
const CLIENT: &str = "canh";
/// A broker must be reached, and TLS spoken, within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that has no records.
const ANSWER_MAX: usize = 16 << 20;
/// An answer with records may be so much longer than what was asked for: the last batch is not cut if it is the first too.
pub(super) const FETCH_SPARE: usize = 1 << 20;

/// Why a broker cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error(
        "cannot reach it ({0}); does the broker run, and can this machine resolve and reach the name that it tells?"
    )]
    Reach(io::Error),
    #[error("cannot speak TLS with it ({0}); see `tls` and `authorities`")]
    Tls(io::Error),
    #[error("{0}")]
    Setting(String),
    #[error("the connection broke ({0}); if it is at once, see whether the listener wants `tls` or `sasl`")]
    Broken(io::Error),
    #[error("no answer to `{}` in time", .0.name())]
    Timeout(Api),
    #[error(
        "an answer of {0} bytes is too long; raise `fetch_max` under `[collector.kafka]`, or let producers send smaller batches"
    )]
    TooLong(usize),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    NotSpoken(#[from] NotSpoken),
    #[error(transparent)]
    Scram(#[from] ScramError),
    #[error("it knows the mechanisms `{known}`, and `sasl` is `{wanted}`")]
    Mechanism { wanted: &'static str, known: String },
    #[error("it answers `{}`: {}{}", .0.name(), .0.advice(), .1.as_ref().map(|text| format!(" (its words: {text})")).unwrap_or_default())]
    Code(Code, Option<String>),
}

impl Problem {
    /// The name of the counter.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Reach(_) => "unreachable",
            Self::Tls(_) => "tls",
            Self::Setting(_) => "setting",
            Self::Broken(_) => "broken",
            Self::Timeout(_) => "timeout",
            Self::TooLong(_) => "too_long",
            Self::Malformed(_) => "malformed",
            Self::NotSpoken(_) => "not_spoken",
            Self::Scram(_) | Self::Mechanism { .. } => "sasl",
            Self::Code(code, _) => code.name(),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    versions: Versions,
    number: i32,
    timeout: Duration,
    answer_max: usize,
}

/// `host:port`, also with an IPv6 address in brackets.
pub(super) fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!host.is_empty() && !host.contains(char::is_whitespace)).then_some((host, port))
}

impl Connection {
    /// Connects, and shows the user if there is one. Fetches may bring `fetch_max` bytes.
    pub(super) async fn open(
        config: &ClusterConfig,
        (host, port): (&str, u16),
        timeout: Duration,
        fetch_max: usize,
    ) -> Result<Self, Problem> {
        let access = Access::read(config).map_err(Problem::Setting)?;
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port)));
        let stream = stream.await.unwrap_or_else(|_| Err(late())).map_err(Problem::Reach)?;
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Stream> = match &access.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned());
                let name = name.map_err(|error| Problem::Tls(io::Error::other(error)))?;
                let secured = tokio::time::timeout(CONNECT_TIMEOUT, tls.connect(name, stream));
                Box::new(secured.await.unwrap_or_else(|_| Err(late())).map_err(Problem::Tls)?)
            }
        };
        let answer_max = ANSWER_MAX.max(fetch_max.saturating_add(FETCH_SPARE));
        let mut connection = Self { stream, versions: Versions::default(), number: 0, timeout, answer_max };
        let body = connection.ask_as(Api::ApiVersions, 0, canh_kafka::api_versions(), Duration::ZERO).await?;
        let (code, versions) = Versions::read(&body)?;
        fail_on(code, None)?;
        connection.versions = versions;
        if let Some(user) = access.user {
            connection.show(&user).await?;
        }
        Ok(connection)
    }

    async fn show(&mut self, user: &User) -> Result<(), Problem> {
        let body = self.ask(Api::SaslHandshake, |_| canh_kafka::handshake(user.mechanism.name())).await?.0;
        let (code, known) = canh_kafka::handshaken(&body)?;
        if code.name() == "unsupported_sasl_mechanism" {
            return Err(Problem::Mechanism { wanted: user.mechanism.name(), known: known.join("`, `") });
        }
        fail_on(code, None)?;
        match user.mechanism {
            Mechanism::Plain => {
                let said = format!("\0{}\0{}", user.name, user.password);
                self.say(said.as_bytes()).await?;
            }
            Mechanism::Scram(hash) => {
                let nonce: [u8; 18] = super::super::random().map_err(Problem::Broken)?;
                let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
                let mut scram = Scram::new(hash, &user.name, &user.password, &nonce);
                let answer = self.say(scram.first().as_bytes()).await?;
                // Thousands of rounds of hashing take milliseconds; a broker that asks for more may not hold up the others.
                let (scram, last) = tokio::task::spawn_blocking(move || {
                    let last = scram.last(&answer);
                    (scram, last)
                })
                .await
                .map_err(|error| Problem::Broken(io::Error::other(error)))?;
                let answer = self.say(last?.as_bytes()).await?;
                scram.check(&answer)?;
            }
        }
        Ok(())
    }

    async fn say(&mut self, said: &[u8]) -> Result<Vec<u8>, Problem> {
        let body = self.ask(Api::SaslAuthenticate, |_| canh_kafka::authenticate(said)).await?.0;
        let (code, words, answer) = canh_kafka::authenticated(&body)?;
        fail_on(code, words.map(|words| words.chars().take(200).filter(|one| !one.is_control()).collect()))?;
        Ok(answer)
    }

    pub(super) async fn metadata(&mut self, topics: &[String]) -> Result<Metadata, Problem> {
        let (body, version) = self.ask(Api::Metadata, |version| canh_kafka::metadata(version, topics)).await?;
        Ok(canh_kafka::metadata_answer(&body, version)?)
    }

    pub(super) async fn offset(&mut self, topic: &str, partition: i32, of: OffsetOf) -> Result<i64, Problem> {
        let body = self.ask(Api::ListOffsets, |_| canh_kafka::list_offsets(topic, partition, of)).await?.0;
        let (code, offset) = canh_kafka::listed_offsets(&body)?;
        fail_on(code, None)?;
        if offset < 0 { Err(Malformed.into()) } else { Ok(offset) }
    }

    pub(super) async fn fetch(
        &mut self,
        places: &[canh_kafka::Place<'_>],
        wait: Duration,
        len_max: usize,
    ) -> Result<canh_kafka::Fetched, Problem> {
        let number = |value: u128| i32::try_from(value).unwrap_or(i32::MAX);
        let version = self.versions.best(Api::Fetch)?;
        let body = canh_kafka::fetch(version, places, number(wait.as_millis()), number(len_max as u128));
        let body = self.ask_as(Api::Fetch, version, body, wait).await?;
        let fetched = canh_kafka::fetched(body, version)?;
        fail_on(fetched.code, None)?;
        Ok(fetched)
    }

    async fn ask(&mut self, api: Api, body: impl FnOnce(i16) -> Vec<u8>) -> Result<(Bytes, i16), Problem> {
        let version = self.versions.best(api)?;
        Ok((self.ask_as(api, version, body(version), Duration::ZERO).await?, version))
    }

    /// Sends a request and answers the body of its answer. The broker may take `wait` longer than usual.
    async fn ask_as(&mut self, api: Api, version: i16, body: Vec<u8>, wait: Duration) -> Result<Bytes, Problem> {
        self.number = self.number.wrapping_add(1);
        let request = canh_kafka::request(api, version, self.number, CLIENT, &body);
        let answer = async {
            self.stream.write_all(&request).await.map_err(Problem::Broken)?;
            self.stream.flush().await.map_err(Problem::Broken)?;
            let len = self.stream.read_i32().await.map_err(Problem::Broken)?;
            let len = usize::try_from(len).map_err(|_| Malformed)?;
            if len > self.answer_max {
                return Err(Problem::TooLong(len));
            }
            // Memory is taken as bytes come, not as they are announced.
            let mut answer = BytesMut::with_capacity(len.min(64 * 1024));
            let mut rest = (&mut self.stream).take(len as u64);
            while answer.len() < len {
                if rest.read_buf(&mut answer).await.map_err(Problem::Broken)? == 0 {
                    return Err(Problem::Broken(io::ErrorKind::UnexpectedEof.into()));
                }
            }
            Ok(answer.freeze())
        };
        let answer = tokio::time::timeout(self.timeout + wait, answer).await.map_err(|_| Problem::Timeout(api))??;
        let is_compact = api == Api::Metadata && version >= 9;
        let (number, body) = canh_kafka::answer_body(&answer, is_compact)?;
        // One question at a time, so another number is no answer to it.
        if number == self.number { Ok(answer.slice_ref(body)) } else { Err(Malformed.into()) }
    }
}

fn fail_on(code: Code, words: Option<String>) -> Result<(), Problem> {
    if code == Code::NONE { Ok(()) } else { Err(Problem::Code(code, words)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_hosts_with_ports() {
        assert_eq!(host_and_port("kafka1:9092"), Some(("kafka1", 9_092)));
        assert_eq!(host_and_port("[2001:db8::1]:9092"), Some(("2001:db8::1", 9_092)));
        for wrong in ["kafka1", "kafka1:", "kafka1:0", ":9092", "kafka1:99999", "a b:9092", ""] {
            assert_eq!(host_and_port(wrong), None, "{wrong}");
        }
    }
}
