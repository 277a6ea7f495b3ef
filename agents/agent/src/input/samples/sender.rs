//! Talks to the server's door for files over HTTP, on a thread of its own, one request at a time: what is done about the
//! answers is decided elsewhere.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use canh_schema::AgentId;
use canh_wire::bearer;
use canh_wire::header::AGENT_ID;
use serde::Deserialize;
use serde_json::{Value, json};

use super::item::{FileState, Item, Sha256Bytes, forget_pages, hex};
use super::walk;
use crate::tls::{TlsConfig, TlsError};

const OFFERS: &str = "/v1/samples/offers";
const SAMPLES: &str = "/v1/samples";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The server may take as long for a file: it waits for a scanner, scans and journals.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(330);
const OFFER_TIMEOUT: Duration = Duration::from_secs(60);
const ANSWER_MAX: u64 = 1 << 20;
const WORDS_MAX: usize = 300;
/// Longest pause that a server may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What is to be asked.
#[derive(Debug)]
pub(super) enum Job {
    /// May be empty, to learn whether the rules have changed.
    Offer(Vec<Arc<Item>>),
    Upload(Arc<Item>),
}

/// The job, and what came of it.
#[derive(Debug)]
pub(super) enum Reply {
    Offered(Vec<Arc<Item>>, Result<Offered, Failure>),
    Uploaded(Arc<Item>, Result<(), Failure>),
}

/// Places in the offer.
#[derive(Debug, Deserialize)]
pub(super) struct Offered {
    pub(super) rules: String,
    pub(super) known: Vec<usize>,
    pub(super) wanted: Vec<usize>,
}

/// Why the server does not have it now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// Trying again may help: soon, or after a time that the server named, or only when somebody has changed something.
    Later {
        words: String,
        pause: Pause,
    },
    /// The server will never take this.
    Refused {
        words: String,
    },
    /// It is not the file that was offered any more.
    Changed,
    Vanished,
    Unreadable {
        words: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pause {
    Growing,
    Longest,
    AtLeast(Duration),
}

/// How to reach the server.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) url: String,
    /// For `https://`.
    pub(super) tls: TlsConfig,
    pub(super) token_file: Option<PathBuf>,
    pub(super) host_name: String,
    /// Under which the server notes who sent it.
    pub(super) agent: Option<AgentId>,
}

/// The thread's two ends. It ends when they are dropped, once the present request is over.
#[derive(Debug)]
pub(super) struct Courier {
    jobs: SyncSender<Job>,
    replies: Receiver<Reply>,
}

impl Courier {
    pub(super) fn start(endpoint: Endpoint) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(1);
        let (answers, replies): (Sender<Reply>, _) = channel();
        let client = Client::new(endpoint);
        thread::Builder::new().name("samples-send".to_owned()).spawn(move || {
            for job in waiting {
                let reply = match job {
                    Job::Offer(items) => {
                        let outcome = client.offer(&items);
                        Reply::Offered(items, outcome)
                    }
                    Job::Upload(item) => {
                        let outcome = client.upload(&item);
                        Reply::Uploaded(item, outcome)
                    }
                };
                if answers.send(reply).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { jobs, replies })
    }

    /// Only while nothing is under way.
    pub(super) fn begin(&self, job: Job) {
        // The thread lives as long as this end; if it does not, nothing will ever be answered, as if the server were away.
        let _ = self.jobs.send(job);
    }

    pub(super) fn reply(&self) -> Option<Reply> {
        self.replies.try_recv().ok()
    }
}

/// One HTTP client.
#[derive(Debug)]
pub(crate) struct Client {
    /// None before the first request, and after a failure: then the files of TLS are read again.
    agent: RefCell<Option<ureq::Agent>>,
    endpoint: Endpoint,
}

impl Client {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { agent: RefCell::default(), endpoint }
    }

    fn agent(&self) -> Result<ureq::Agent, Failure> {
        if let Some(agent) = &*self.agent.borrow() {
            return Ok(agent.clone());
        }
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("canh-agent/", env!("CARGO_PKG_VERSION")));
        if self.endpoint.url.starts_with("https://") {
            let wrong = |error: TlsError| Failure::Later { words: error.to_string(), pause: Pause::Longest };
            config = config.tls_config(self.endpoint.tls.load().map_err(wrong)?.http());
        }
        let agent = config.build().new_agent();
        *self.agent.borrow_mut() = Some(agent.clone());
        Ok(agent)
    }

    pub(super) fn offer(&self, items: &[Arc<Item>]) -> Result<Offered, Failure> {
        self.offer_files(items.iter().map(|item| item.offer()).collect())
    }

    /// The same for files of any origin.
    pub(super) fn offer_files(&self, files: Vec<Value>) -> Result<Offered, Failure> {
        let body = json!({ "host": self.endpoint.host_name, "files": files }).to_string();
        let request = self.post(OFFERS, OFFER_TIMEOUT)?.header("content-type", "application/json");
        let response = request.send(body.as_bytes()).map_err(|error| self.not_reached(&error))?;
        let text = self.read(response)?;
        serde_json::from_str(&text).map_err(|error| Failure::Later {
            words: format!("{}{OFFERS} answers something else than expected: {error}", self.endpoint.url),
            pause: Pause::Longest,
        })
    }

    fn upload(&self, item: &Item) -> Result<(), Failure> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Failure::Vanished,
            _ => Failure::Unreadable { words: error.to_string() },
        };
        let mut file = walk::open_again(&item.root, &item.path).map_err(unreadable)?;
        if FileState::of_open(&file).map_err(unreadable)? != item.state {
            return Err(Failure::Changed);
        }
        let state = &item.state;
        let about = [
            ("path", item.path_text()),
            ("owner", item.owner.clone()),
            ("uid", state.uid.to_string()),
            ("gid", state.gid.to_string()),
            ("mode", item.mode_text()),
            ("modified", item.modified_text()),
        ];
        let request = self.upload_request(&about, state.size)?;
        let mut body = Exactly { file: &mut file, left: state.size, short: false };
        let sent = request.send(ureq::SendBody::from_reader(&mut body));
        let short = body.short;
        forget_pages(&file);
        if short {
            return Err(Failure::Changed);
        }
        self.received(sent, &item.sha256)
    }

    /// Sends what is in memory.
    pub(super) fn send_bytes(
        &self,
        about: &[(&str, String)],
        sha256: &Sha256Bytes,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let request = self.upload_request(about, bytes.len() as u64)?;
        self.received(request.send(bytes), sha256)
    }

    fn upload_request(
        &self,
        about: &[(&str, String)],
        size: u64,
    ) -> Result<ureq::RequestBuilder<ureq::typestate::WithBody>, Failure> {
        let mut request = self.post(SAMPLES, UPLOAD_TIMEOUT)?.query("host", &self.endpoint.host_name);
        for (name, text) in about {
            request = request.query(*name, text);
        }
        let request = request.header("content-type", "application/octet-stream");
        Ok(request.header("content-length", size.to_string()))
    }

    fn received(
        &self,
        sent: Result<http::Response<ureq::Body>, ureq::Error>,
        sha256: &Sha256Bytes,
    ) -> Result<(), Failure> {
        let text = self.read(sent.map_err(|error| self.not_reached(&error))?)?;
        let receipt: Receipt = serde_json::from_str(&text).map_err(|error| Failure::Later {
            words: format!("{}{SAMPLES} answers something else than expected: {error}", self.endpoint.url),
            pause: Pause::Longest,
        })?;
        if receipt.sha256 == hex(sha256) { Ok(()) } else { Err(Failure::Changed) }
    }

    fn post(&self, path: &str, timeout: Duration) -> Result<ureq::RequestBuilder<ureq::typestate::WithBody>, Failure> {
        let mut request = self.agent()?.post(format!("{}{path}", self.endpoint.url));
        request = request.config().timeout_global(Some(timeout)).build();
        if let Some(agent) = self.endpoint.agent {
            request = request.header(AGENT_ID, agent.to_string());
        }
        if let Some(file) = &self.endpoint.token_file {
            let wrong = |words: String| Failure::Later { words, pause: Pause::Longest };
            let text = std::fs::read_to_string(file)
                .map_err(|error| wrong(format!("cannot read the token file `{}`: {error}", file.display())))?;
            let token = bearer(text.trim()).ok_or_else(|| {
                wrong(format!("token file `{}` is empty or holds blanks or control characters", file.display()))
            })?;
            request = request.header(http::header::AUTHORIZATION, token);
        }
        Ok(request)
    }

    fn not_reached(&self, error: &ureq::Error) -> Failure {
        *self.agent.borrow_mut() = None;
        Failure::Later { words: format!("{}: {error}", self.endpoint.url), pause: Pause::Growing }
    }

    fn read(&self, response: http::Response<ureq::Body>) -> Result<String, Failure> {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let mut text = String::new();
        let body = response.into_body().into_reader().take(ANSWER_MAX).read_to_string(&mut text);
        if status == 200 {
            return body.map(|_| text).map_err(|error| self.not_reached(&ureq::Error::Io(error)));
        }
        Err(verdict(status, asked, &format!("{} answers {status}: {}", self.endpoint.url, words_of(&text))))
    }
}

/// What a refusal means.
fn verdict(status: u16, asked: Option<Duration>, words: &str) -> Failure {
    let words = words.to_owned();
    match status {
        400 | 413 | 414 | 415 | 431 => Failure::Refused { words },
        // Whoever runs the server has to do something first: give out another token, or load rules.
        401 | 403 | 404 | 405 => Failure::Later { words, pause: Pause::Longest },
        _ => {
            let pause = asked.map_or(Pause::Growing, |pause| Pause::AtLeast(pause.min(RETRY_AFTER_MAX)));
            Failure::Later { words, pause }
        }
    }
}

/// What the server says is wrong, on one line.
fn words_of(body: &str) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let words = serde_json::from_str::<Refusal>(body).map_or_else(|_| body.to_owned(), |refusal| refusal.error);
    words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS_MAX).collect()
}

#[derive(Debug, Deserialize)]
struct Receipt {
    sha256: String,
}

/// As many bytes of a file as were promised. If it has fewer by now the request is given up.
struct Exactly<'a> {
    file: &'a mut File,
    left: u64,
    short: bool,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if len == 0 {
            return Ok(0);
        }
        let read = self.file.read(&mut buffer[..len])?;
        if read == 0 {
            self.short = true;
            return Err(io::Error::other("the file became shorter"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let seconds = Duration::from_secs;
        let later = |pause| Failure::Later { words: "w".to_owned(), pause };
        for (status, asked, expected) in [
            (400, None, Failure::Refused { words: "w".to_owned() }),
            (413, None, Failure::Refused { words: "w".to_owned() }),
            (401, None, later(Pause::Longest)),
            (404, Some(seconds(1)), later(Pause::Longest)),
            (408, None, later(Pause::Growing)),
            (429, Some(seconds(2)), later(Pause::AtLeast(seconds(2)))),
            (503, Some(seconds(99_999)), later(Pause::AtLeast(RETRY_AFTER_MAX))),
            (503, None, later(Pause::Growing)),
            (302, None, later(Pause::Growing)),
        ] {
            assert_eq!(verdict(status, asked, "w"), expected, "{status} {asked:?}");
        }
        assert_eq!(words_of("{\"error\":\"no\\nrules\"}"), "no rules");
        assert_eq!(words_of("<html>\n x"), "<html> x");
    }
}
