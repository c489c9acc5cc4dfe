//! `[[target.postgres]]`: one server, by two connections.
//!
//! A probe opens a fresh connection (`connect`) and at the same time asks
//! `select 1` on the one it kept (`query`): a hung postmaster still answers old
//! connections, and a server out of connection slots answers only those. Now and
//! then it reads the statistics views (`statistics`) on the kept one. One deadline
//! spans all of it; a connection on which the deadline passed is dropped, because
//! its answer would be taken for the answer to the next question. Where probes come
//! fast, `connect` is tried every [`FRESH_EVERY`], and at once when the kept
//! connection does not serve or the last `connect` did not end well.
//!
//! A kept connection may be gone for harmless reasons (an idle limit, a pooler, a
//! firewall that forgot it, a restart between two probes). Then the fresh one takes its place and the query
//! is asked again: only a server that does not serve now is a failure.

mod access;
pub mod member;
mod outcome;
mod queries;
mod session;
mod statistics;
mod wire;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use self::access::Access;
use self::session::{Place, Session};
use self::statistics::Schedule;
use super::course::Stopwatch;
use super::outcome::Outcome;
use super::record::Recorder;
use super::{Depth, Probed, Surroundings, Target};
use crate::base::id::Name;
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::config::target::postgres::Postgres;
use crate::model::connections::Connections;
use crate::model::frame::Frame;
use crate::model::probe::{OperationOutcome, OutcomeClass};

const KIND: &str = "postgres";
/// While fresh connections succeed, one in this time is enough: a login by password
/// costs both sides milliseconds of processor time (SCRAM's 4,096 rounds), which a
/// probe every second would make the largest cost of the agent.
const FRESH_EVERY: Duration = Duration::from_secs(10);

/// See the module.
pub struct PostgresTarget {
    name: Name,
    access: Access,
    interval: Duration,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    recorder: Recorder,
    schedule: Schedule,
    kept: Option<Session>,
    connections: Connections,
    /// The kept one was opened by the probe that runs.
    kept_is_new: bool,
    /// Until when a fresh connection need not be tried; `None` after one that failed.
    fresh_until: Option<Monotonic>,
}

impl PostgresTarget {
    pub fn new(section: Postgres, surroundings: &Surroundings) -> Self {
        Self {
            recorder: Recorder::new(section.name.clone(), KIND),
            access: Access::new(&section, &surroundings.environment),
            name: section.name,
            interval: section.interval.0,
            timeout: section.timeout.0,
            clock: surroundings.clock.clone(),
            schedule: Schedule::new(section.interval.0),
            kept: None,
            connections: Connections::default(),
            kept_is_new: false,
            fresh_until: None,
        }
    }

    async fn probe_once(&mut self, depth: Depth) -> Probed {
        let at = self.clock.now();
        let watch = Stopwatch::start(&self.clock);
        let deadline = Instant::now() + self.timeout;
        let mut frame = Frame::new();
        let mut operations = self.connect_and_query(deadline).await;
        let latency_ms = watch.read();
        let up = operations.iter().any(|done| done.operation == "query" && is_ok(done));
        frame
            .gauge("pg_up", "Whether the last scrape of metrics from PostgreSQL was able to connect to the server (1 for yes, 0 for no).")
            .push(&[("target", self.name.as_str())], f64::from(u8::from(up)));
        if up && depth == Depth::Full {
            operations.extend(self.read_statistics(deadline, &mut frame).await);
        }
        self.count_connections(at, &operations, &mut frame);
        let record = self.recorder.finish(at, latency_ms, operations, &mut frame);
        Probed { record, frame }
    }

    /// The operations `connect` and `query`, at the same time.
    async fn connect_and_query(&mut self, deadline: Instant) -> Vec<OperationOutcome> {
        let mut kept = self.kept.take();
        let now = self.clock.monotonic();
        if kept.is_some() && self.fresh_until.is_some_and(|until| now < until) {
            let watch = Stopwatch::start(&self.clock);
            let midway = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
            if let (Answer::Served, query_ms) = ask(kept.as_mut(), midway, watch).await {
                self.kept = kept;
                return vec![Outcome::ok().named("query", query_ms)];
            }
            // Whatever is wrong, the full look tells.
            self.lost();
            kept = None;
        }
        let watch = Stopwatch::start(&self.clock);
        // The kept connection has half of the time: when it does not answer, the
        // other half is for asking on the fresh one.
        let midway = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        let ((opened, connect_ms), (asked, query_ms)) =
            tokio::join!(self.open(deadline), ask(kept.as_mut(), midway, watch));
        let (fresh, connect) = match opened {
            Ok(session::Opened { session, dns_problem: None, .. }) => (Some(session), Outcome::ok()),
            Ok(session::Opened { session, dns_problem: Some(problem), .. }) => {
                let detail = format!("the last known address was used: {problem}");
                (Some(session), Outcome::configuration("dns", detail))
            }
            Err(outcome) => (None, outcome),
        };
        let trusted = connect.class == OutcomeClass::Ok && self.interval < FRESH_EVERY;
        self.fresh_until = trusted.then(|| Monotonic(self.clock.monotonic().0 + FRESH_EVERY));
        let (query, query_ms) = match (asked, fresh) {
            (Answer::Served, fresh) => {
                self.kept = kept;
                if let Some(fresh) = fresh {
                    fresh.close(deadline).await;
                }
                (Outcome::ok(), query_ms)
            }
            (Answer::Lost(_) | Answer::NoConnection, Some(mut fresh)) => {
                if kept.is_some() {
                    self.lost();
                }
                let watch = Stopwatch::start(&self.clock);
                let (again, again_ms) = ask(Some(&mut fresh), deadline, watch).await;
                if matches!(again, Answer::Served) {
                    self.kept = Some(fresh);
                    self.kept_is_new = true;
                }
                (again.outcome(&connect), again_ms)
            }
            (asked, _) => (asked.outcome(&connect), query_ms),
        };
        vec![connect.named("connect", connect_ms), query.named("query", query_ms)]
    }

    /// A fresh connection, and how long it took in milliseconds.
    async fn open(&mut self, deadline: Instant) -> (Result<session::Opened, Outcome>, f64) {
        let watch = Stopwatch::start(&self.clock);
        let opened = self.access.open(deadline).await.map_err(|unopened| unopened.outcome);
        (opened, watch.read())
    }

    /// The kept connection was of no more use.
    fn lost(&mut self) {
        self.connections.lost += 1;
        self.recorder.reconnected();
    }

    /// Counts what the probe at `at` made of connections, and appends their series.
    fn count_connections(&mut self, at: Timestamp, operations: &[OperationOutcome], frame: &mut Frame) {
        let all = &mut self.connections;
        if let Some(connect) = operations.iter().find(|done| done.operation == "connect") {
            // One of which the name was not resolved, but the last address served, is open.
            if connect.class == OutcomeClass::Hard || !matches!(connect.code.as_str(), "" | "dns") {
                all.failed(at, connect);
            } else {
                all.opened(connect.latency_ms);
            }
        }
        all.keep(self.kept.is_some(), std::mem::take(&mut self.kept_is_new), at);
        write_connections(all, at, self.name.as_str(), frame);
    }

    /// The operation `statistics`, when it is due.
    async fn read_statistics(&mut self, deadline: Instant, frame: &mut Frame) -> Option<OperationOutcome> {
        let due = self.schedule.due(self.clock.monotonic())?;
        let mut kept = self.kept.take()?;
        let watch = Stopwatch::start(&self.clock);
        let read = statistics::read(&mut kept, due, deadline, self.name.as_str(), frame).await;
        if read.usable {
            self.kept = Some(kept);
        }
        Some(read.outcome.named("statistics", watch.read()))
    }
}

impl Target for PostgresTarget {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn address(&self) -> String {
        let Place { host, port, database, .. } = &*self.access.place;
        if host.contains(':') {
            format!("[{host}]:{port}/{database}")
        } else {
            format!("{host}:{port}/{database}")
        }
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn connections(&self) -> Option<Connections> {
        Some(self.connections.clone())
    }

    fn probe(&mut self, depth: Depth) -> Pin<Box<dyn Future<Output = Probed> + Send + '_>> {
        Box::pin(self.probe_once(depth))
    }
}

fn write_connections(all: &Connections, at: Timestamp, target: &str, frame: &mut Frame) {
    let labels = [("target", target)];
    frame
        .gauge("holdfast_postgres_connections_kept", "Connections that are open between two probes.")
        .push(&labels, all.kept as f64);
    if let Some(since) = all.kept_since {
        frame
            .gauge("holdfast_postgres_connection_age_seconds", "For how long the kept connection is open.")
            .push(&labels, at.since(since).as_secs_f64());
    }
    let counters = [
        ("opened", all.opened as f64, "Connections that probes opened."),
        ("failed", all.failed as f64, "Connections that probes could not open."),
        ("lost", all.lost as f64, "Kept connections that were gone when they were used next."),
        (
            "opening_seconds",
            all.opening_total_ms / 1000.0,
            "Time for which probes waited that a connection opens.",
        ),
    ];
    for (what, value, help) in counters {
        frame.counter(&format!("holdfast_postgres_connections_{what}_total"), help).push(&labels, value);
    }
}

/// What came of `select 1`.
enum Answer {
    Served,
    NoConnection,
    /// The connection is of no more use; nothing is known about the server.
    Lost(Outcome),
    Failed(Outcome),
}

impl Answer {
    /// Without a connection to ask on, the query fails as connecting did.
    fn outcome(self, connect: &Outcome) -> Outcome {
        match self {
            Self::Served => Outcome::ok(),
            Self::NoConnection => connect.clone(),
            Self::Lost(outcome) | Self::Failed(outcome) => outcome,
        }
    }
}

async fn ask(session: Option<&mut Session>, deadline: Instant, watch: Stopwatch) -> (Answer, f64) {
    let Some(session) = session else { return (Answer::NoConnection, 0.0) };
    let answer = match timeout_at(deadline, session.rows("select 1")).await {
        Ok(Ok(_)) => Answer::Served,
        Ok(Err(error)) if outcome::ends_connection(&error) => Answer::Lost(outcome::of(&error)),
        Ok(Err(error)) => Answer::Failed(outcome::of(&error)),
        Err(_) => Answer::Lost(Outcome::timeout("no answer to `select 1` in time")),
    };
    (answer, watch.read())
}

fn is_ok(done: &OperationOutcome) -> bool {
    done.class == OutcomeClass::Ok
}
