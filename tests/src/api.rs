//! The HTTP API as a program sees it.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

#[derive(Clone, Debug)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Api {
    pub fn new(base: String, token: String) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        Self { agent, base, token }
    }

    /// GET with status and body.
    pub fn request(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<(u16, String)> {
        let response = self
            .agent
            .get(format!("{}{path}", self.base))
            .query_pairs(query.iter().copied())
            .header("authorization", format!("Bearer {}", self.token))
            .call()?;
        let status = response.status().as_u16();
        let mut body = String::new();
        response.into_body().into_reader().read_to_string(&mut body)?;
        Ok((status, body))
    }

    /// GET of JSON that must succeed.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let (status, body) = self.request(path, query)?;
        ensure!(status == 200, "GET {path} answered {status}: {body}");
        serde_json::from_str(&body).with_context(|| format!("GET {path} answered something that is not JSON"))
    }

    /// Events that match, all pages.
    pub fn events(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let mut events = Vec::new();
        let mut before: Option<String> = None;
        loop {
            let mut parameters =
                vec![("q", query), ("from", "1900-01-01T00:00:00Z"), ("to", "2100-01-01T00:00:00Z"), ("limit", "1000")];
            if let Some(before) = &before {
                parameters.push(("before", before));
            }
            let page = self.get("/api/v1/events", &parameters)?;
            events.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => before = Some(next.to_owned()),
                None => return Ok(events),
            }
        }
    }

    /// How many events match.
    pub fn count(&self, query: &str) -> anyhow::Result<u64> {
        let parameters =
            [("q", query), ("from", "1900-01-01T00:00:00Z"), ("to", "2100-01-01T00:00:00Z"), ("buckets", "1")];
        let answer = self.get("/api/v1/events/histogram", &parameters)?;
        answer["total"].as_u64().context("the histogram has a total")
    }

    /// Every alert.
    pub fn alerts(&self) -> anyhow::Result<Vec<Value>> {
        let page = self.get("/api/v1/alerts", &[("limit", "500")])?;
        Ok(page["items"].as_array().cloned().unwrap_or_default())
    }

    /// POST to any address with the token given.
    pub fn post(&self, url: &str, token: &str, content_type: &str, body: &[u8]) -> anyhow::Result<(u16, String)> {
        self.post_with(&[], url, token, content_type, body)
    }

    /// The same with more headers.
    pub fn post_with(
        &self,
        headers: &[(&str, &str)],
        url: &str,
        token: &str,
        content_type: &str,
        body: &[u8],
    ) -> anyhow::Result<(u16, String)> {
        let mut request = self
            .agent
            .post(url)
            .header("content-type", content_type)
            .header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send(body)?;
        let status = response.status().as_u16();
        let mut text = String::new();
        response.into_body().into_reader().read_to_string(&mut text)?;
        Ok((status, text))
    }

    /// One sample of `/metrics`; labels as they are written there. Zero if there is none yet.
    pub fn metric(&self, name_and_labels: &str) -> anyhow::Result<f64> {
        let (status, body) = self.request("/metrics", &[])?;
        ensure!(status == 200, "/metrics answered {status}");
        let line = body.lines().find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' '));
        Ok(line.map_or(Ok(0.0), str::parse)?)
    }
}
