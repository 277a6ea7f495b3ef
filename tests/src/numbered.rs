//! A load whose every record can be recognised, so that what was acknowledged can be compared with what is stored.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;

use crate::{Api, Server};

/// Records of one request.
const PER_REQUEST: u64 = 5;

/// Numbered lines over HTTP, and which of them were acknowledged. A batch that was not is not sent again: the sender cannot
/// know whether it arrived.
#[derive(Debug)]
pub struct Numbered {
    word: &'static str,
    api: Api,
    url: String,
    token: String,
    next: AtomicU64,
    acknowledged: Mutex<Vec<u64>>,
}

impl Numbered {
    /// `word` is in every line, and in nothing else.
    pub fn new(server: &Server, word: &'static str) -> anyhow::Result<Self> {
        Ok(Self {
            word,
            api: server.api()?,
            url: server.ndjson_url(),
            token: server.ingest_token()?,
            next: AtomicU64::new(0),
            acknowledged: Mutex::default(),
        })
    }

    /// Sends a batch; answers whether it was acknowledged.
    pub fn post(&self) -> bool {
        let first = self.next.fetch_add(PER_REQUEST, Ordering::Relaxed);
        let numbers = first..first + PER_REQUEST;
        let word = self.word;
        let body: String =
            numbers.clone().map(|number| format!("{{\"message\":\"{word} n{number:08} end\"}}\n")).collect();
        let answer = self.api.post(&self.url, &self.token, "application/x-ndjson", body.as_bytes());
        let done = matches!(answer, Ok((200..300, _)));
        if done {
            self.acknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(numbers);
        }
        done
    }

    /// Sends one batch after the other.
    pub fn post_until(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            if !self.post() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Lines that were acknowledged, and all that were sent.
    pub fn counts(&self) -> (u64, u64) {
        let acknowledged = self.acknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len();
        (acknowledged as u64, self.next.load(Ordering::Relaxed))
    }

    /// # Errors
    ///
    /// If something that was acknowledged is not stored exactly once, or anything is stored twice or was never sent.
    pub fn check(&self) -> anyhow::Result<()> {
        let found = stored(&self.api, self.word)?;
        let (_, sent) = self.counts();
        for number in self.acknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            ensure!(
                found.get(number) == Some(&1),
                "acknowledged number {number} of {sent} is stored {:?} times",
                found.get(number)
            );
        }
        for (number, count) in &found {
            ensure!(*number < sent && *count == 1, "number {number} of {sent} is stored {count} times");
        }
        Ok(())
    }
}

/// How often each number of one kind of line is stored.
pub fn stored(api: &Api, query: &str) -> anyhow::Result<HashMap<u64, u32>> {
    let mut found = HashMap::new();
    for event in api.events(query)? {
        let text = event["raw"].as_str().unwrap_or_default();
        let number = text.split(" n").nth(1).and_then(|rest| rest.get(..8)).and_then(|digits| digits.parse().ok());
        *found.entry(number.unwrap_or(u64::MAX)).or_default() += 1;
    }
    Ok(found)
}
