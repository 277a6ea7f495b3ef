//! The command line's way to a running server: its HTTP API, with the token that the server leaves in its data
//! directory.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use canh_wire::BatchNumber;
use serde_json::Value;
use ureq::http::HeaderMap;

use crate::terminal::language;

/// File in the data directory with the token for the command line.
pub(crate) const TOKEN_FILE: &str = "cli.token";
/// File in the data directory with the address that the console listens on.
pub(crate) const ADDRESS_FILE: &str = "console.address";

/// Longest answer that is read.
const ANSWER_MAX: u64 = 256 << 20;

#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    /// `None` asks as somebody who is not signed in.
    token: Option<String>,
}

impl Client {
    /// A client of the server that uses this data directory.
    pub(crate) fn of(data: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = data.join(name);
            std::fs::read_to_string(&path).map(|text| text.trim().to_owned()).with_context(|| {
                format!(
                    "cannot read `{}`; is the server running, and is `--data` the directory that it was started with?",
                    path.display()
                )
            })
        };
        let base = format!("http://{}", read(ADDRESS_FILE)?);
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .build()
            .new_agent();
        Ok(Self { agent, base, token: Some(read(TOKEN_FILE)?) })
    }

    /// The same server, asked without a token.
    pub(crate) fn anonymous(self) -> Self {
        Self { token: None, ..self }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    fn open(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
        let mut request = self.agent.get(format!("{}{path}", self.base)).query_pairs(query.iter().copied());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request
            .header("accept-language", language().tag())
            .call()
            .with_context(|| format!("cannot reach the server at {}; start it with `canh serve`", self.base))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = read(response)?;
        Err(refusal(status.as_u16(), &body))
    }

    /// GET, the answer as JSON.
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let body = read(self.open(path, query)?)?;
        serde_json::from_str(&body).context("the server answered something that is not JSON")
    }

    /// GET, the answer as text.
    pub(crate) fn text(&self, path: &str) -> anyhow::Result<String> {
        read(self.open(path, &[])?)
    }

    /// POST of JSON, the answer as JSON.
    pub(crate) fn send(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = read(self.open_post(path, body)?)?;
        serde_json::from_str(&body).context("the server answered something that is not JSON")
    }

    /// POST of JSON; the server-sent events of the answer until the server or `take` ends it.
    pub(crate) fn follow_post(
        &self,
        path: &str,
        body: &Value,
        take: impl FnMut(&str, &str) -> anyhow::Result<Follow>,
    ) -> anyhow::Result<()> {
        events(self.open_post(path, body)?, take)
    }

    fn open_post(&self, path: &str, body: &Value) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
        let mut request = self.agent.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request
            .header("accept-language", language().tag())
            .send(body.to_string())
            .with_context(|| format!("cannot reach the server at {}; start it with `canh serve`", self.base))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        Err(refusal(status.as_u16(), &read(response)?))
    }

    /// Follows server-sent events until the server or `take` ends it.
    pub(crate) fn follow(
        &self,
        path: &str,
        query: &[(&str, &str)],
        take: impl FnMut(&str, &str) -> anyhow::Result<Follow>,
    ) -> anyhow::Result<()> {
        events(self.open(path, query)?, take)
    }

    /// POST of newline-delimited JSON or other bytes to a collector address.
    pub(crate) fn post(&self, url: &str, token: &str, content_type: &str, body: &[u8]) -> anyhow::Result<()> {
        self.post_with(HeaderMap::new(), url, token, content_type, body)
    }

    /// The same for a batch that is kept once, however often it is sent.
    pub(crate) fn post_numbered(
        &self,
        url: &str,
        token: &str,
        content_type: &str,
        number: BatchNumber,
        body: &[u8],
    ) -> anyhow::Result<()> {
        let mut headers = HeaderMap::new();
        canh_wire::put_number(&number, &mut headers);
        self.post_with(headers, url, token, content_type, body)
    }

    fn post_with(
        &self,
        headers: HeaderMap,
        url: &str,
        token: &str,
        content_type: &str,
        body: &[u8],
    ) -> anyhow::Result<()> {
        let mut request = self
            .agent
            .post(url)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", content_type);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let response = request.send(body).with_context(|| format!("cannot reach the collector at {url}"))?;
        let status = response.status();
        if !status.is_success() {
            bail!("the collector answered {status}: {}", read(response)?);
        }
        Ok(())
    }
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Follow {
    On,
    Stop,
}

/// Server-sent events of an answer, one by one.
fn events(
    response: ureq::http::Response<ureq::Body>,
    mut take: impl FnMut(&str, &str) -> anyhow::Result<Follow>,
) -> anyhow::Result<()> {
    let mut name = String::new();
    let mut data = String::new();
    for line in BufReader::new(response.into_body().into_reader()).lines() {
        let line = line.context("the connection to the server broke")?;
        if let Some(rest) = line.strip_prefix("event:") {
            name = rest.trim().to_owned();
        } else if let Some(rest) = line.strip_prefix("data:") {
            data.push_str(rest.strip_prefix(' ').unwrap_or(rest));
        } else if line.is_empty() && !data.is_empty() {
            if take(&name, &data)? == Follow::Stop {
                return Ok(());
            }
            name.clear();
            data.clear();
        }
    }
    Ok(())
}

fn read(response: ureq::http::Response<ureq::Body>) -> anyhow::Result<String> {
    let mut body = String::new();
    let mut reader = response.into_body().into_reader().take(ANSWER_MAX);
    reader.read_to_string(&mut body).context("the answer of the server broke off or is not UTF-8")?;
    Ok(body)
}

/// What the server does not do, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    status: u16,
    message: String,
}

impl Refused {
    /// A query or a parameter that it cannot read, which comes from the command line.
    pub(crate) fn is_wrong_use(&self) -> bool {
        self.status == 400
    }
}

/// The server's own message.
fn refusal(status: u16, body: &str) -> anyhow::Error {
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    let Some(message) = parsed["message"].as_str() else {
        return anyhow!("the server answered {status}: {}", body.chars().take(200).collect::<String>());
    };
    Refused { status, message: message.to_owned() }.into()
}
