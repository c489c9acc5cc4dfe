//! One member of a failover group: looking at it, and doing things to it.
//!
//! A look asks one question on a connection that is kept, and now and then opens
//! another one beside it: a hung postmaster still serves old connections. Between two
//! looks the kept connection is listened on, because its end is the first sign of a
//! server that dies. Wrong would be to use it for what may hang: the next look would
//! take the answer for its own.

mod act;
mod check;
mod conninfo;
mod failure;
mod history;
mod look;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub use self::act::MemberAction;
pub use self::check::Peer;
use self::conninfo::literal;
use self::look::Known;
use super::access::Access;
use super::session::{self, Session};
use super::wire::Allowance;
use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::time::{Clock, Monotonic};
use crate::config::target::postgres::Postgres;
use crate::logic::failover::{Answer, CallError};
use crate::model::failover::lsn::Fork;
use crate::model::failover::sighting::{Facts, Failure, FailureClass, Sighting};
use crate::model::failover::view::Finding;
use crate::targets::Surroundings;

/// Of a deadline, what is left for TCP, so that a login that hangs is not taken for a
/// host that is gone.
const FOR_TCP: f64 = 0.8;
/// Between two askings of what is asked now and then.
const SLOW_EVERY: Duration = Duration::from_secs(30);
/// After the history could not be read.
const HISTORY_AGAIN: Duration = Duration::from_secs(10);

/// How to look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Also open a connection.
    pub fresh: bool,
    /// Also try a write, on a primary.
    pub canary: bool,
}

/// What a look showed.
pub struct Seen {
    pub sighting: Sighting,
    /// What it follows, when that changed.
    pub conninfo: Option<Secret>,
}

struct Kept {
    session: Session,
    /// It holds the agents' lock.
    locked: bool,
}

/// See the module.
pub struct MemberLink {
    name: Name,
    access: Access,
    clock: Arc<dyn Clock>,
    kept: Option<Kept>,
    known: Known,
    slow_at: Option<Monotonic>,
    /// The history of a timeline of a cluster, once read.
    ancestry: Option<((u64, u32), Vec<Fork>)>,
    history_failed: Option<Monotonic>,
    /// As it was last handed on.
    conninfo: Option<Secret>,
}

impl MemberLink {
    pub fn new(section: &Postgres, surroundings: &Surroundings) -> Self {
        Self {
            name: section.name.clone(),
            access: Access::new(section, surroundings),
            clock: surroundings.clock.clone(),
            kept: None,
            known: Known::default(),
            slow_at: None,
            ancestry: None,
            history_failed: None,
            conninfo: None,
        }
    }

    /// Looks once, by `deadline`.
    pub async fn look(&mut self, want: Look, deadline: Instant) -> Seen {
        match self.look_once(want, deadline).await {
            Ok((facts, conninfo)) => Seen { sighting: Sighting::Answered(facts), conninfo },
            Err(failure) => Seen { sighting: Sighting::Failed(failure), conninfo: None },
        }
    }

    async fn look_once(&mut self, want: Look, deadline: Instant) -> Result<(Facts, Option<Secret>), Failure> {
        let mut kept = self.kept.take();
        let had = kept.is_some();
        let fresh = want.fresh || want.canary || !had;
        let (opened, asked) = tokio::join!(
            async { if fresh { Some(connect(&mut self.access, deadline).await) } else { None } },
            async {
                match &mut kept {
                    Some(kept) => Some(ask(kept, &self.known, deadline).await),
                    None => None,
                }
            }
        );
        let mut second = match opened {
            Some(Ok(session)) => Some(session),
            // A server that takes no new connection does not serve, whatever the old one says.
            Some(Err(failure)) => return Err(failure),
            None => None,
        };
        let (read, mut kept) = match (asked, kept) {
            (Some(Ok(read)), Some(kept)) => (read, kept),
            (asked, _) => {
                let failed = asked.and_then(Result::err);
                let session = match second.take() {
                    Some(session) => session,
                    // The kept connection is gone for reasons of its own, or the server is.
                    None => match failed {
                        Some(failure) if failure.class == FailureClass::Silent => {
                            return Err(self.silent(failure, deadline).await);
                        }
                        _ => connect(&mut self.access, deadline).await?,
                    },
                };
                let mut kept = Kept { session, locked: false };
                (ask(&mut kept, &self.known, deadline).await?, kept)
            }
        };
        kept.locked = read.locked;
        let mut facts = read.facts;
        self.known.version = kept.session.version();
        facts.version = self.known.version;
        self.known.timeline = facts.timeline;
        if want.canary && facts.is_primary() {
            facts.canary = Some(try_write(second.take(), &mut self.access, deadline).await);
        }
        if let Some(session) = second {
            session.close(deadline).await;
        }
        if fresh {
            self.look_around(&mut kept, &mut facts, deadline).await;
        }
        facts.ancestry = self.ancestry_of(&facts, deadline).await;
        self.kept = Some(kept);
        Ok((facts, self.changed(read.conninfo)))
    }

    /// No answer on the kept connection: is it the server, or the way to it?
    async fn silent(&mut self, failure: Failure, deadline: Instant) -> Failure {
        let place = self.access.place().clone();
        // The deadline is over; the answer of TCP comes at once or not at all.
        let soon = deadline.max(Instant::now() + Duration::from_millis(100));
        match timeout_at(soon, place.dialer.dial(soon)).await {
            Ok(Ok(_)) => failure,
            Ok(Err(error)) => {
                let outcome = crate::targets::outcome::Outcome::network(error.failure(), error.to_string());
                failure::of_outcome(&outcome, false)
            }
            Err(_) => {
                Failure { class: FailureClass::Unreachable, detail: String::from("TCP gets no answer") }
            }
        }
    }

    /// Now and then: sessions that go around the endpoint, and who else decides.
    async fn look_around(&mut self, kept: &mut Kept, facts: &mut Facts, deadline: Instant) {
        let now = self.clock.monotonic();
        if self.slow_at.is_none_or(|at| now.since(at) >= SLOW_EVERY) {
            self.slow_at = Some(now);
            if let Ok(Ok(rows)) = timeout_at(deadline, kept.session.rows(look::SLOW)).await
                && let Some(row) = rows.first()
            {
                let text = |column: usize| row.try_get(column).ok().flatten();
                self.known.bypass = text(0).and_then(|count| count.parse().ok()).unwrap_or(0);
                self.known.manager = text(1).map(str::to_owned);
            }
        }
        facts.bypass = self.known.bypass;
        facts.manager.clone_from(&self.known.manager);
    }

    /// The history of its timeline, read once for each.
    async fn ancestry_of(&mut self, facts: &Facts, deadline: Instant) -> Option<Vec<Fork>> {
        let key = (facts.system_id, facts.timeline);
        if let Some((known, forks)) = &self.ancestry
            && *known == key
        {
            return Some(forks.clone());
        }
        let now = self.clock.monotonic();
        if self.history_failed.is_some_and(|at| now.since(at) < HISTORY_AGAIN) {
            return None;
        }
        match history::read(&mut self.access, facts.timeline, deadline).await {
            Ok(forks) => {
                self.history_failed = None;
                self.ancestry = Some((key, forks.clone()));
                Some(forks)
            }
            Err(reason) => {
                tracing::debug!(member = %self.name, reason, "the history of its timeline is not read");
                self.history_failed = Some(now);
                None
            }
        }
    }

    fn changed(&mut self, conninfo: Option<Secret>) -> Option<Secret> {
        let conninfo = conninfo?;
        if self.conninfo.as_ref().is_some_and(|last| last.matches(conninfo.expose())) {
            return None;
        }
        self.conninfo = Some(conninfo.clone());
        Some(conninfo)
    }

    /// Waits for the end of the kept connection, for ever where there is none. Safe to cancel.
    pub async fn lost(&mut self) -> Failure {
        let Some(kept) = &mut self.kept else { return std::future::pending().await };
        let ended = kept.session.ended().await;
        self.kept = None;
        failure::of_end(ended)
    }

    /// Does `action` by `deadline`, on a session of its own.
    ///
    /// # Errors
    /// What the server said, or that it did not answer.
    pub async fn act(&mut self, action: MemberAction, deadline: Instant) -> Result<Answer, CallError> {
        act::act(&mut self.access, action, deadline).await
    }

    /// What stands in the way of a failover to or from this member, with the SQL that
    /// helps. Changes nothing.
    pub async fn check(&mut self, others: &[Peer], deadline: Instant) -> Vec<Finding> {
        check::check(&self.name, &mut self.access, others, deadline).await
    }
}

/// The SQL that puts back what a standby followed.
pub fn undo_sql(conninfo: &Secret) -> String {
    format!("ALTER SYSTEM SET primary_conninfo = {};\nSELECT pg_reload_conf();", literal(conninfo.expose()))
}

/// A new session. TCP has most of the time, and what fails then is told from what fails
/// later.
async fn connect(access: &mut Access, deadline: Instant) -> Result<Session, Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    let for_tcp = Instant::now() + left.mul_f64(FOR_TCP);
    let place = access.place().clone();
    let login = access.login(deadline).await.map_err(|outcome| failure::of_outcome(&outcome, true))?;
    let allowance = Allowance::new();
    let reached = session::reach(&place, &allowance, for_tcp).await;
    let (wire, dns_problem) = reached.map_err(|outcome| failure::of_outcome(&outcome, false))?;
    if let Some(problem) = dns_problem {
        tracing::debug!(host = place.host, problem, "the last known address of a member is used");
    }
    let logging_in = session::log_in(&place, wire, allowance, login.tls, login.password);
    match timeout_at(deadline, logging_in).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(outcome)) => {
            access.learn(Some(&outcome));
            Err(failure::of_outcome(&outcome, true))
        }
        Err(_) => Err(silent("no login in time")),
    }
}

fn silent(detail: &str) -> Failure {
    Failure { class: FailureClass::Silent, detail: detail.to_owned() }
}

async fn ask(kept: &mut Kept, known: &Known, deadline: Instant) -> Result<look::Read, Failure> {
    // A little is left for asking TCP whether it is the server or the way.
    let until = deadline - Duration::from_millis(20);
    match timeout_at(until, kept.session.rows(&look::sql(kept.locked))).await {
        Ok(Ok(rows)) => {
            let row = rows.first().ok_or_else(|| silent("an answer without a row"))?;
            look::read(row, known).map_err(|detail| Failure { class: FailureClass::Configuration, detail })
        }
        Ok(Err(error)) => match kept.session.last_word() {
            Some((_, text)) if error.as_db_error().is_none() => {
                Err(Failure { class: FailureClass::Stopping, detail: text })
            }
            _ => Err(failure::of_error(&error)),
        },
        Err(_) => Err(silent("no answer to a question in time")),
    }
}

/// Whether a write commits, on a session that is thrown away.
async fn try_write(session: Option<Session>, access: &mut Access, deadline: Instant) -> bool {
    let session = match session {
        Some(session) => Some(session),
        None => connect(access, deadline).await.ok(),
    };
    let Some(mut session) = session else { return false };
    matches!(timeout_at(deadline, session.rows(look::CANARY)).await, Ok(Ok(_)))
}
