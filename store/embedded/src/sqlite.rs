//! State in one SQLite file, in WAL mode.
//!
//! One thread writes and one reads; callers wait in bounded queues. A change is on disk when its call returns
//! (`synchronous=FULL`): what an analyst decided or detection found survives a power cut. The one exception is a cursor
//! without findings: if it is lost, the same part of the journal is read again and nothing new comes of it.

mod account;
mod alert;
mod json;
mod ledger;
mod proof;
mod row;
mod rule;
mod schema;
mod source;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use canh_schema::{Finding, Position, RuleHash, RuleId, Timestamp};
use canh_store::state::{
    Alert, AlertChange, AlertCounts, AlertCursor, AlertFilter, AlertId, AlertList, AlertRecord, ApiToken, ApiTokenId,
    AuditEntry, DemoRun, FindingsPut, LedgerPage, LedgerQuery, LedgerStart, LedgerUpdate, NewUser, Preferences,
    RuleHealth, RuleReview, RuleText, RulesOverview, RulesStatus, SecretHash, Session, SourceRecord, SourceReport,
    StateError, StateStore, User, UserId, UserState,
};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

/// Calls that wait for a thread. When it is full, callers wait outside; nothing is dropped.
const QUEUE_LEN: usize = 256;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// [`StateStore`] in a file.
pub struct SqliteState {
    path: String,
    writer: mpsc::Sender<Job>,
    reader: mpsc::Sender<Job>,
}

/// What stops a piece of work.
enum Stop {
    Sql(rusqlite::Error),
    State(StateError),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

type Done<T> = Result<T, Stop>;

impl SqliteState {
    /// Opens the file, makes it if it is not there (readable by its owner only), and brings an older one up to date.
    ///
    /// # Errors
    ///
    /// [`StateError::Corrupt`] if it is damaged or something else, [`StateError::TooNew`] if a later version wrote it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let name = path.display().to_string();
        // SQLite gives its side files the mode of this one.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map_err(|source| StateError::Backend { doing: "open", source: Box::new(source) })?;

        let mut writer = connect(path).map_err(|stop| explain(stop, &name, "open"))?;
        schema::check_and_migrate(&mut writer, &name).map_err(|stop| explain(stop, &name, "open"))?;
        let reader = connect(path).map_err(|stop| explain(stop, &name, "open"))?;
        reader.pragma_update(None, "query_only", true).map_err(|error| explain(error.into(), &name, "open"))?;
        Ok(Self { path: name, writer: serve("state-writer", writer)?, reader: serve("state-reader", reader)? })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Done<T> + Send + 'static,
    ) -> Result<T, StateError> {
        self.run(&self.reader, "read", work).await
    }

    /// All or nothing.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Done<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let whole = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        self.run(&self.writer, "write", whole).await
    }

    /// Once queued, the work is done even if the caller does not wait for it.
    async fn run<T: Send + 'static>(
        &self,
        queue: &mpsc::Sender<Job>,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> Done<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let (answer, done) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Whoever asked may have gone.
            let _ = answer.send(work(connection));
        });
        queue.send(job).await.map_err(|_| StateError::Closed)?;
        done.await.map_err(|_| StateError::Closed)?.map_err(|stop| explain(stop, &self.path, doing))
    }
}

fn connect(path: &Path) -> Done<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Hostile content must not reach what SQLite can do beyond storing.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn serve(name: &str, mut connection: Connection) -> Result<mpsc::Sender<Job>, StateError> {
    let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE_LEN);
    let work = move || {
        while let Some(job) = queue.blocking_recv() {
            job(&mut connection);
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|source| StateError::Backend { doing: "start a thread for", source: Box::new(source) })?;
    Ok(jobs)
}

fn explain(stop: Stop, path: &str, doing: &'static str) -> StateError {
    let error = match stop {
        Stop::State(error) => return error,
        Stop::Sql(error) => error,
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StateError::Corrupt { path: path.to_owned(), source: Box::new(error) }
        }
        _ => StateError::Backend { doing, source: Box::new(error) },
    }
}

#[async_trait]
impl StateStore for SqliteState {
    async fn offer_setup_token(&self, token: SecretHash) -> Result<UserState, StateError> {
        self.write(move |db| account::offer_setup_token(db, token)).await
    }

    async fn user_state(&self) -> Result<UserState, StateError> {
        self.read(|db| account::user_state(db)).await
    }

    async fn create_first_user(&self, token: SecretHash, user: NewUser) -> Result<UserId, StateError> {
        self.write(move |db| account::create_first_user(db, token, &user)).await
    }

    async fn create_user(&self, user: NewUser) -> Result<UserId, StateError> {
        self.write(move |db| account::create_user(db, &user)).await
    }

    async fn user_by_name(&self, name: &str) -> Result<Option<User>, StateError> {
        let name = name.to_owned();
        self.read(move |db| account::user_by_name(db, &name)).await
    }

    async fn users(&self) -> Result<Vec<User>, StateError> {
        self.read(|db| account::users(db)).await
    }

    async fn set_user_disabled(&self, id: UserId, disabled: bool) -> Result<bool, StateError> {
        self.write(move |db| account::set_user_disabled(db, id, disabled)).await
    }

    async fn preferences(&self, user: UserId) -> Result<Option<Preferences>, StateError> {
        self.read(move |db| account::preferences(db, user)).await
    }

    async fn put_preferences(&self, user: UserId, preferences: Preferences) -> Result<(), StateError> {
        self.write(move |db| account::put_preferences(db, user, &preferences)).await
    }

    async fn put_session(&self, session: Session) -> Result<(), StateError> {
        self.write(move |db| account::put_session(db, &session)).await
    }

    async fn session(&self, token: SecretHash) -> Result<Option<(Session, User)>, StateError> {
        self.read(move |db| account::session(db, token)).await
    }

    async fn touch_session(&self, token: SecretHash, seen: Timestamp) -> Result<(), StateError> {
        self.write(move |db| account::touch_session(db, token, seen)).await
    }

    async fn delete_session(&self, token: SecretHash) -> Result<(), StateError> {
        self.write(move |db| account::delete_session(db, token)).await
    }

    async fn expire_sessions(&self, idle: Timestamp, made: Timestamp) -> Result<u64, StateError> {
        self.write(move |db| account::expire_sessions(db, idle, made)).await
    }

    async fn put_api_token(&self, token: ApiToken) -> Result<ApiTokenId, StateError> {
        self.write(move |db| account::put_api_token(db, &token)).await
    }

    async fn api_token(&self, token: SecretHash) -> Result<Option<ApiToken>, StateError> {
        self.read(move |db| account::api_token(db, token)).await
    }

    async fn delete_api_token(&self, id: ApiTokenId) -> Result<bool, StateError> {
        self.write(move |db| account::delete_api_token(db, id)).await
    }

    async fn put_findings(
        &self,
        findings: &[Finding],
        cursor: Position,
        now: Timestamp,
    ) -> Result<FindingsPut, StateError> {
        if findings.is_empty() {
            let quick = move |connection: &mut Connection| {
                connection.pragma_update(None, "synchronous", "normal")?;
                let done = alert::put_cursor(connection, cursor);
                connection.pragma_update(None, "synchronous", "full")?;
                done
            };
            return self.run(&self.writer, "write", quick).await.map(|()| FindingsPut::default());
        }
        let findings = findings.to_vec();
        self.write(move |db| alert::put_findings(db, &findings, cursor, now)).await
    }

    async fn detection_cursor(&self) -> Result<Position, StateError> {
        self.read(|db| alert::cursor(db)).await
    }

    async fn alerts(
        &self,
        filter: &AlertFilter,
        limit: usize,
        before: Option<AlertCursor>,
    ) -> Result<AlertList, StateError> {
        let filter = filter.clone();
        self.read(move |db| alert::list(db, &filter, limit, before)).await
    }

    async fn alert(&self, id: AlertId) -> Result<Option<AlertRecord>, StateError> {
        self.read(move |db| alert::record(db, id)).await
    }

    async fn alert_counts(&self) -> Result<AlertCounts, StateError> {
        self.read(|db| alert::counts(db)).await
    }

    async fn change_alert(
        &self,
        id: AlertId,
        change: AlertChange,
        who: &str,
        at: Timestamp,
    ) -> Result<Option<Alert>, StateError> {
        let who = who.to_owned();
        self.write(move |db| alert::change(db, id, &change, &who, at)).await
    }

    async fn put_sources(&self, reports: &[SourceReport]) -> Result<(), StateError> {
        let reports = reports.to_vec();
        self.write(move |db| source::put_sources(db, &reports)).await
    }

    async fn sources(&self) -> Result<Vec<SourceRecord>, StateError> {
        self.read(|db| source::sources(db)).await
    }

    async fn put_demo_run(&self, run: DemoRun) -> Result<(), StateError> {
        self.write(move |db| source::put_demo_run(db, run)).await
    }

    async fn demo_run(&self) -> Result<Option<DemoRun>, StateError> {
        self.read(|db| source::demo_run(db)).await
    }

    async fn put_ledger(&self, update: LedgerUpdate) -> Result<(), StateError> {
        self.write(move |db| ledger::put(db, &update)).await
    }

    async fn ledger_start(&self) -> Result<LedgerStart, StateError> {
        self.read(|db| ledger::start(db)).await
    }

    async fn ledger(&self, query: &LedgerQuery) -> Result<LedgerPage, StateError> {
        let query = query.clone();
        self.read(move |db| ledger::page(db, &query)).await
    }

    async fn put_rules_status(&self, status: RulesStatus) -> Result<(), StateError> {
        self.write(move |db| rule::put_rules_status(db, &status)).await
    }

    async fn put_rule_texts(&self, texts: &[RuleText]) -> Result<(), StateError> {
        let texts = texts.to_vec();
        self.write(move |db| rule::put_texts(db, &texts)).await
    }

    async fn rule_text(&self, hash: RuleHash) -> Result<Option<RuleText>, StateError> {
        self.read(move |db| rule::rule_text(db, hash)).await
    }

    async fn put_rule_health(&self, health: &[(RuleId, RuleHealth)]) -> Result<(), StateError> {
        let health = health.to_vec();
        self.write(move |db| rule::put_health(db, &health)).await
    }

    async fn put_rule_review(&self, rule: &RuleId, review: RuleReview) -> Result<(), StateError> {
        let rule = rule.clone();
        self.write(move |db| rule::put_review(db, &rule, &review)).await
    }

    async fn rule_reviews(&self) -> Result<Vec<(RuleId, RuleReview)>, StateError> {
        self.read(|db| rule::reviews(db)).await
    }

    async fn rules_status(&self) -> Result<Option<RulesOverview>, StateError> {
        self.read(|db| rule::rules_status(db)).await
    }

    async fn record(&self, entry: AuditEntry) -> Result<(), StateError> {
        self.write(move |db| account::record(db, &entry)).await
    }

    async fn audit_log(&self, limit: usize) -> Result<Vec<AuditEntry>, StateError> {
        self.read(move |db| account::audit_log(db, limit)).await
    }
}
