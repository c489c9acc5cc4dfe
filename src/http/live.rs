//! One event sequence as WebSocket and as server-sent events.
//!
//! A stream is a cursor into the bus: it reads the next event when the client has
//! taken the one before, so a slow client costs nothing but its own gap. Both
//! forms send the same message `{type, data, timestamp, seq}`. Wrong would be to
//! read ahead into a queue of the connection. What let the client in is looked at again
//! before each message and every few seconds: a token that is revoked ends its streams.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, close_code};
use futures_util::Stream;
use serde::Serialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::auth::Pass;
use super::error::Problem;
use super::state::{App, AppState};
use crate::base::time::Clock;
use crate::model::event::EventType;
use crate::runtime::bus::{Message, Subscription};

/// Time between two pings.
const PING: Duration = Duration::from_secs(30);
/// A WebSocket client that is not heard of for this long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two looks at what let the client in.
const LOOK: Duration = Duration::from_secs(5);
/// A message that the client does not take within this time ends the stream.
const SEND_DEADLINE: Duration = Duration::from_secs(60);

/// What a stream was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// No types: all of them.
    types: Vec<EventType>,
    since: Option<u64>,
}

impl Filter {
    /// Reads `types=a,b` and `since=7`.
    ///
    /// # Errors
    /// 400 naming the word that is no type, or the number that is none.
    pub fn read(types: Option<&str>, since: Option<&str>) -> Result<Self, Problem> {
        let words = types.into_iter().flat_map(|types| types.split(','));
        let known = |word: &str| {
            EventType::from_word(word.trim()).ok_or_else(|| {
                let words: Vec<&str> = EventType::ALL.into_iter().map(EventType::word).collect();
                let detail = format!("`{}` is not an event type; they are {}", word.trim(), words.join(", "));
                Problem::bad_parameter("types", detail)
            })
        };
        let types = words.map(known).collect::<Result<Vec<_>, _>>()?;
        let number = |text: &str| {
            text.trim().parse::<u64>().map_err(|_| {
                Problem::bad_parameter("since", format!("`{}` is not a sequence number", text.trim()))
            })
        };
        Ok(Self { types, since: since.map(number).transpose()? })
    }

    fn wants(&self, kind: EventType) -> bool {
        self.types.is_empty() || self.types.contains(&kind)
    }
}

/// One place among the open streams.
///
/// # Errors
/// 503 when all are taken.
pub fn place(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    app.live.clone().try_acquire_owned().map_err(|_| {
        let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "too_many_streams", "all event streams are in use").retry_after(30)
    })
}

/// A stream that may begin.
pub struct Opened {
    pub filter: Filter,
    pub pass: Pass,
    pub stop: CancellationToken,
    pub place: OwnedSemaphorePermit,
}

/// A message ready to be sent.
struct Ready {
    seq: u64,
    kind: &'static str,
    text: String,
}

struct Feed {
    subscription: Subscription,
    filter: Filter,
    clock: Arc<dyn Clock>,
}

impl Feed {
    fn new(app: &App, filter: Filter) -> Self {
        let subscription = app.services.bus.subscribe(filter.since);
        Self { subscription, filter, clock: app.services.clock.clone() }
    }

    /// The next message that the filter lets through. Safe to cancel.
    async fn next(&mut self) -> Ready {
        #[derive(Serialize)]
        struct Out<'a> {
            #[serde(rename = "type")]
            kind: &'a str,
            data: &'a serde_json::Value,
            timestamp: String,
            seq: u64,
        }
        loop {
            let (kind, data, timestamp, seq) = match self.subscription.next().await {
                Message::Event(event) if !self.filter.wants(event.kind) => continue,
                Message::Event(event) => {
                    let text = serde_json::to_string(&Out {
                        kind: event.kind.word(),
                        data: &event.data,
                        timestamp: event.timestamp.rfc3339(),
                        seq: event.seq,
                    });
                    return Ready { seq: event.seq, kind: event.kind.word(), text: text.unwrap_or_default() };
                }
                Message::Gap { from, to } => ("gap", json!({"from": from, "to": to}), self.clock.now(), to),
            };
            let out = Out { kind, data: &data, timestamp: timestamp.rfc3339(), seq };
            return Ready { seq, kind, text: serde_json::to_string(&out).unwrap_or_default() };
        }
    }
}

/// Server-sent events until the client goes or the agent stops. The event's `id`
/// is its sequence number, so a browser resumes by itself.
pub fn sse(app: &AppState, opened: Opened) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + use<> {
    struct State {
        app: AppState,
        feed: Feed,
        pass: Pass,
        stop: CancellationToken,
        ping: Interval,
        look: Interval,
        greeted: bool,
        _place: OwnedSemaphorePermit,
    }
    let Opened { filter, pass, stop, place: _place } = opened;
    let (feed, app) = (Feed::new(app, filter), app.clone());
    let mut state =
        State { app, feed, pass, stop, ping: every(PING), look: every(LOOK), greeted: false, _place };
    // A client that is behind is not owed the pings it did not wait for.
    state.ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    futures_util::stream::unfold(state, |mut state| async move {
        if !state.greeted {
            state.greeted = true;
            // Sends the head at once, and sets the browser's wait before it tries again.
            return Some((Ok(Bytes::from_static(b"retry: 2000\n\n")), state));
        }
        loop {
            let text = tokio::select! {
                () = state.stop.cancelled() => return None,
                _ = state.look.tick() => None,
                ready = state.feed.next() => {
                    Some(format!("id: {}\nevent: {}\ndata: {}\n\n", ready.seq, ready.kind, ready.text))
                }
                _ = state.ping.tick() => Some(String::from(": ping\n\n")),
            };
            if !state.pass.holds(&state.app) {
                return None;
            }
            if let Some(text) = text {
                return Some((Ok(Bytes::from(text)), state));
            }
        }
    })
}

/// Talks to one WebSocket client until it goes, falls silent, or the agent stops.
pub async fn websocket(app: AppState, mut socket: WebSocket, opened: Opened) {
    let Opened { filter, pass, stop, place: _place } = opened;
    let mut feed = Feed::new(&app, filter);
    let (mut ping, mut look) = (every(PING), every(LOOK));
    let mut heard = Instant::now();
    loop {
        let frame = tokio::select! {
            () = stop.cancelled() => {
                return close(&mut socket, close_code::AWAY, "the agent stops").await;
            }
            received = socket.recv() => match received {
                // Whatever the client says shows that it is there; pongs are enough.
                Some(Ok(_)) => { heard = Instant::now(); continue }
                Some(Err(_)) | None => return,
            },
            ready = feed.next() => Frame::Text(ready.text.into()),
            _ = ping.tick() => {
                if heard.elapsed() >= SILENCE {
                    return close(&mut socket, close_code::POLICY, "silent for 60 s").await;
                }
                Frame::Ping(Bytes::new())
            }
            _ = look.tick() => {
                if pass.holds(&app) {
                    continue;
                }
                return close(&mut socket, close_code::POLICY, OVER).await;
            }
        };
        if !pass.holds(&app) {
            return close(&mut socket, close_code::POLICY, OVER).await;
        }
        let sent = tokio::select! {
            sent = tokio::time::timeout(SEND_DEADLINE, socket.send(frame)) => sent,
            // A client that does not read cannot be told; it must not hold up the stop.
            () = stop.cancelled() => return,
        };
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

const OVER: &str = "the token or session is over";

fn every(time: Duration) -> Interval {
    tokio::time::interval_at(Instant::now() + time, time)
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = Frame::Close(Some(CloseFrame { code, reason: reason.into() }));
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(frame)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_refused_by_name() {
        let filter = Filter::read(Some("metrics, target"), Some("7")).unwrap();
        assert!(filter.wants(EventType::Metrics) && !filter.wants(EventType::Alert));
        assert_eq!(filter.since, Some(7));
        assert!(Filter::read(None, None).unwrap().wants(EventType::Alert));
        for (types, since, name) in [
            (Some("metrics,nonsense"), None, "types"),
            (Some(""), None, "types"),
            (None, Some("-1"), "since"),
            (None, Some("abc"), "since"),
        ] {
            let problem = Filter::read(types, since).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.errors[0].pointer.as_str()), (400, name));
        }
    }
}
