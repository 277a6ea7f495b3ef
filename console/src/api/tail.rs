//! Events as they arrive, over server-sent events.
//!
//! Each client has a queue of its own. A client that is too slow loses events, never slows anybody down, and is told
//! how many it lost.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use canh_messages::Key;
use canh_schema::EventBatch;
use canh_store::hunt::Hunt;
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Viewer;
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::Query;
use crate::query;
use crate::view::event::{EventTailQuery, EventView, TailDropped};

/// Events that wait for one client. When it is full, the client loses events and is told.
const QUEUE_LEN: usize = 512;
/// Free places before a client that lost events gets any again. With fewer, the next one would be lost at once and one
/// count would follow another.
const ROOM_TO_GO_ON: usize = QUEUE_LEN / 4;
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Sends events that match as they arrive.
///
/// `event` messages carry an `EventView`; `dropped` messages carry a `TailDropped` when this client was too slow.
/// Comments keep the connection alive. The stream has no end of its own and no memory: reconnecting begins at now.
#[utoipa::path(
    get,
    path = "/api/v1/events/tail",
    operation_id = "eventTail",
    tag = "events",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(EventTailQuery),
    responses(
        (status = 200, content_type = "text/event-stream", body = String,
            description = "messages `event` with an EventView and `dropped` with a TailDropped"),
        (status = "4XX", body = ApiErrorBody),
        (status = 503, body = ApiErrorBody),
    ),
)]
async fn event_tail(
    State(app): State<App>,
    _viewer: Viewer,
    Query(query): Query<EventTailQuery>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, ApiError> {
    let hunt = query::hunt(query.q.as_deref().unwrap_or_default())?;
    let permit = app.tail_permit().ok_or_else(|| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, Key::TooBusy))?;
    let (out, messages) = mpsc::channel(QUEUE_LEN);
    tokio::spawn(
        Tail { app: app.clone(), hunt, out, dropped: 0, dropped_total: 0, _permit: permit }.run(app.live().subscribe()),
    );
    let keep_alive = KeepAlive::new().interval(HEARTBEAT);
    Ok(Sse::new(ReceiverStream::new(messages).map(Ok)).keep_alive(keep_alive))
}

struct Tail {
    app: App,
    hunt: Hunt,
    out: mpsc::Sender<Message>,
    /// Not told to the client yet.
    dropped: u64,
    dropped_total: u64,
    _permit: OwnedSemaphorePermit,
}

/// The client went away.
struct Gone;

impl Tail {
    /// Ends when the client goes away or the server stops sending.
    async fn run(mut self, mut live: broadcast::Receiver<Arc<EventBatch>>) {
        let out = self.out.clone();
        loop {
            let received = tokio::select! {
                received = live.recv() => received,
                // Something was lost and the client has caught up: it is told at once, not with the next event.
                room = out.reserve_many(ROOM_TO_GO_ON), if self.dropped > 0 => {
                    let is_open = room.is_ok();
                    drop(room);
                    if !is_open || self.tell_dropped().is_err() {
                        return;
                    }
                    continue;
                }
                () = out.closed() => return,
            };
            let sent = match received {
                Ok(batch) => self.offer(&batch),
                // This task fell behind the whole server. How many events matched is not known; each of the batches
                // counts as one, which is too few but never hidden.
                Err(RecvError::Lagged(batches)) => {
                    self.drop_events(batches);
                    Ok(())
                }
                Err(RecvError::Closed) => return,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    fn offer(&mut self, batch: &EventBatch) -> Result<(), Gone> {
        for event in &batch.events {
            if !self.hunt.matches(event) {
                continue;
            }
            self.tell_dropped()?;
            if self.dropped > 0 {
                self.drop_events(1);
                continue;
            }
            self.send(message("event", &EventView::row(event)))?;
        }
        self.tell_dropped()
    }

    fn drop_events(&mut self, count: u64) {
        self.dropped += count;
        self.dropped_total += count;
        self.app.metrics().tail_dropped.inc_by(count);
    }

    /// Tells the client what it lost as soon as there is room, before anything newer.
    fn tell_dropped(&mut self) -> Result<(), Gone> {
        if self.dropped == 0 || self.out.capacity() < ROOM_TO_GO_ON {
            return Ok(());
        }
        let told = TailDropped { count: self.dropped, total: self.dropped_total };
        self.dropped = 0;
        // There is room for it, as only this task fills the queue.
        self.send(message("dropped", &told))
    }

    fn send(&mut self, message: Message) -> Result<(), Gone> {
        match self.out.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.drop_events(1);
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(Gone),
        }
    }
}

fn message(name: &'static str, data: &impl serde::Serialize) -> Message {
    // Our own types always are JSON, and JSON text has no line break outside of strings, where it is escaped.
    Message::default().event(name).json_data(data).unwrap_or_else(|_| Message::default().comment("unreadable"))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(event_tail))
}
