//! Runs a rule over the past and tells how far it is.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use canh_messages::Key;
use canh_schema::{Event, Finding, RuleHash, TimeRange, Timestamp};
use canh_store::hunt::Hunt;
use canh_store::state::{AlertEntity, ReviewedBacktest};
use canh_store::{Filter, Limit, Outcome, PageKey, SearchRequest};
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Analyst;
use crate::desk::BacktestRun;
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::Json;
use crate::query;
use crate::review;
use crate::view::rule::{BacktestDay, BacktestFinding, BacktestProgress, BacktestRequest, BacktestResult};

const PAGE: u32 = 5_000;
const EXAMPLES_MAX: usize = 20;
const DEFAULT_SPAN: Duration = Duration::from_secs(30 * 86_400);
const TEXT_LEN_MAX: usize = 200_000;
const DAY: Duration = Duration::from_secs(86_400);
/// More than a year in days.
const BARS_MAX: u128 = 400;

/// Runs a rule over the events of the past, without raising anything.
///
/// `progress` messages carry a `BacktestProgress`, the last message is a `result` with a `BacktestResult` or an `error`
/// with a text. Closing the connection ends the run.
#[utoipa::path(
    post,
    path = "/api/v1/rules/backtest",
    operation_id = "ruleBacktest",
    tag = "rules",
    security(("session" = ["analyst"]), ("token" = ["analyst"])),
    request_body = BacktestRequest,
    responses(
        (status = 200, content_type = "text/event-stream", body = String,
            description = "messages `progress` with a BacktestProgress, then `result` with a BacktestResult"),
        (status = "4XX", body = ApiErrorBody),
        (status = 503, body = ApiErrorBody),
    ),
)]
async fn rule_backtest(
    State(app): State<App>,
    _analyst: Analyst,
    Json(request): Json<BacktestRequest>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, ApiError> {
    if request.text.len() > TEXT_LEN_MAX {
        return Err(query::parameter("text"));
    }
    let range = query::range(request.from, request.to, DEFAULT_SPAN, Timestamp::now())?;
    let run = app.desk().backtest(&request.text).map_err(|problems| {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, Key::RuleTextInvalid).with("problems", problems.join("; "))
    })?;
    let hunt = query::hunt(&run.hunt())?;
    let permit = app.backtest_permit().ok_or_else(|| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, Key::TooBusy))?;
    let (out, messages) = mpsc::channel(16);
    tokio::spawn(async move {
        let _permit = permit;
        let rule = review::hash_of(&request.text);
        let job = Job { app, rule, hunt, range, out, events: 0, oldest: None, cut: 0 };
        job.run(run).await;
    });
    Ok(Sse::new(ReceiverStream::new(messages).map(Ok)).keep_alive(KeepAlive::default()))
}

struct Job {
    app: App,
    rule: RuleHash,
    hunt: Hunt,
    range: TimeRange,
    out: mpsc::Sender<Message>,
    events: u64,
    oldest: Option<Timestamp>,
    /// Pages that were cut off by a deadline.
    cut: u64,
}

impl Job {
    async fn run(mut self, run: Box<dyn BacktestRun>) {
        let told = match self.read(run).await {
            Ok(Some(run)) => {
                let kept = run.kept();
                let done = tokio::task::spawn_blocking(move || run.finish()).await;
                match done {
                    Ok(outcome) => {
                        let result = self.result(kept, outcome.left_out, &outcome.findings);
                        let shown = ReviewedBacktest {
                            from: self.range.start,
                            to: self.range.end,
                            alerts: result.alerts,
                            alerts_per_day: result.alerts_per_day,
                        };
                        self.app.shown().add(self.rule, shown);
                        message("result", &result)
                    }
                    Err(_) => Some(Message::default().event("error").data("the run ended unexpectedly")),
                }
            }
            // Whoever asked went away.
            Ok(None) => None,
            Err(error) => Some(Message::default().event("error").data(error)),
        };
        if let Some(message) = told {
            let _ = self.out.send(message).await;
        }
    }

    /// Newest first, as the store gives them.
    async fn read(&mut self, mut run: Box<dyn BacktestRun>) -> Result<Option<Box<dyn BacktestRun>>, String> {
        let mut before: Option<PageKey> = None;
        let store = self.app.events_shared();
        loop {
            let filter = Filter::new(self.hunt.clone(), self.range).within(self.app.query_deadline());
            let limit = Limit::new(PAGE).map_err(|error| error.to_string())?;
            let page =
                store.search(SearchRequest { filter, before, limit }).await.map_err(|error| error.to_string())?;
            self.events += page.events.len() as u64;
            self.cut += u64::from(page.outcome == Outcome::Deadline);
            self.oldest = page.events.last().map(|event| event.time).or(self.oldest);
            let events = page.events;
            run = tokio::task::spawn_blocking(move || offer(run, &events)).await.map_err(|error| error.to_string())?;
            let progress = BacktestProgress { done: self.done(), events: self.events, kept: run.kept() };
            if let Some(message) = message("progress", &progress)
                && self.out.send(message).await.is_err()
            {
                return Ok(None);
            }
            match page.next {
                Some(next) => before = Some(next),
                None => return Ok(Some(run)),
            }
        }
    }

    fn done(&self) -> f64 {
        let (start, end) = (self.range.start.nanos() as f64, self.range.end.nanos() as f64);
        let at = self.oldest.map_or(end, |oldest| oldest.nanos() as f64);
        ((end - at) / (end - start).max(1.0)).clamp(0.0, 1.0)
    }

    fn result(&self, kept: u64, left_out: u64, findings: &[Finding]) -> BacktestResult {
        let days = Bars::new(self.range, DAY, findings);
        let alerts = days.0.iter().map(|day| day.alerts).sum();
        let hour = 3_600 * 1_000_000_000;
        let mut by_hour: BTreeMap<i64, u64> = BTreeMap::new();
        // As the budget is kept in operation: by the hours of the clock.
        findings.iter().for_each(|finding| *by_hour.entry(finding.time.nanos().div_euclid(hour)).or_default() += 1);
        let short = self.range.end - self.range.start <= 2 * DAY;
        let begin = self.oldest.unwrap_or(self.range.start);
        let covered = (self.range.end - begin).as_secs_f64() / 86_400.0;
        BacktestResult {
            from: self.range.start.into(),
            to: self.range.end.into(),
            oldest: self.oldest.map(Into::into),
            events: self.events,
            kept,
            left_out: left_out + self.cut,
            findings: findings.len() as u64,
            alerts,
            // Less than a day says nothing about a day.
            alerts_per_day: alerts as f64 / covered.max(1.0),
            hour_findings_max: by_hour.into_values().max().unwrap_or(0),
            findings_per_hour: self.app.settings().findings_per_hour,
            days: days.0,
            hours: if short { Bars::new(self.range, DAY / 24, findings).0 } else { Vec::new() },
            examples: findings.iter().rev().take(EXAMPLES_MAX).map(example).collect(),
        }
    }
}

/// Findings and alerts by periods that end with the range, oldest first.
struct Bars(Vec<BacktestDay>);

impl Bars {
    /// Findings of one rule and entity within 24 hours are one alert, which counts where the first of them is.
    fn new(range: TimeRange, width: Duration, findings: &[Finding]) -> Self {
        let span = range.end - range.start;
        let count = span.as_nanos().div_ceil(width.as_nanos().max(1)).min(BARS_MAX);
        let count = u32::try_from(count).unwrap_or(1).max(1);
        let bar =
            |n: u32| BacktestDay { from: range.end.saturating_sub(width * (count - n)).into(), findings: 0, alerts: 0 };
        let mut bars: Vec<BacktestDay> = (0..count).map(bar).collect();
        let back = |time: Timestamp, width: Duration| {
            let age = (range.end - time.min(range.end)).as_nanos().saturating_sub(1);
            usize::try_from(age / width.as_nanos().max(1)).unwrap_or(usize::MAX)
        };
        let mut in_order: Vec<&Finding> = findings.iter().collect();
        in_order.sort_by_key(|finding| finding.time);
        let mut opened = BTreeSet::new();
        for finding in in_order {
            let entity = AlertEntity::of(finding);
            let alert = (back(finding.time, DAY), finding.rule.id.clone(), entity.kind.name(), entity.value);
            let place = bars.len().saturating_sub(1).saturating_sub(back(finding.time, width));
            if let Some(bar) = bars.get_mut(place) {
                bar.findings += 1;
                bar.alerts += u64::from(opened.insert(alert));
            }
        }
        Self(bars)
    }
}

fn offer(mut run: Box<dyn BacktestRun>, events: &[Event]) -> Box<dyn BacktestRun> {
    events.iter().for_each(|event| run.offer(event));
    run
}

fn example(finding: &Finding) -> BacktestFinding {
    let text = |text: &Option<compact_str::CompactString>| text.as_ref().map(ToString::to_string);
    BacktestFinding {
        rule_id: finding.rule.id.to_string(),
        title: finding.rule.title.to_string(),
        level: finding.rule.level.into(),
        time: finding.time.into(),
        host: text(&finding.host),
        user: text(&finding.user),
        source_ip: text(&finding.source_ip),
        event_ids: finding.events.iter().take(EXAMPLES_MAX).map(ToString::to_string).collect(),
    }
}

fn message(name: &str, body: &impl Serialize) -> Option<Message> {
    Message::default().event(name).json_data(body).ok()
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(rule_backtest))
}
