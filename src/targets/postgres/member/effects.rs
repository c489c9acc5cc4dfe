//! A session for one action, and what is known of the action when it ends.
//!
//! Every statement goes alone: ALTER SYSTEM refuses to run in a transaction, which two
//! statements in one string are. An error says whether the server may have done something
//! all the same: it may, once a change was sent and not refused. Wrong would be the kept session:
//! an action that hangs would blind the look that should see it.

use tokio::time::{Duration, Instant, sleep_until, timeout_at};
use tokio_postgres::SimpleQueryRow;

use super::{MemberLink, failure};
use crate::logic::failover::CallError;
use crate::targets::postgres::session::Session;

/// Between two looks at whether a change took effect. A server asked so often for the
/// length of an action does not notice.
pub const BEAT: Duration = Duration::from_millis(5);

/// What a server full of connections says.
const FULL: &str = "53300";

/// See the module.
pub struct Effects {
    session: Session,
    pub deadline: Instant,
    /// A change was sent and not refused.
    changed: bool,
    /// What is waited for, when it is asked for again and again.
    waiting: Option<String>,
}

impl Effects {
    /// On a new session. A server that has no room for one is commanded on the kept one,
    /// which is then used up.
    ///
    /// # Errors
    /// Nothing was done.
    pub async fn begin(link: &mut MemberLink, deadline: Instant) -> Result<Self, CallError> {
        let session = match link.access.open(deadline).await {
            Ok(opened) => opened.session,
            Err(unopened) => {
                let is_full = unopened.outcome.code == FULL;
                match link.kept.take().filter(|_| is_full) {
                    Some(kept) => {
                        link.retire();
                        kept.session
                    }
                    None => {
                        let failure = failure::of_unopened(unopened);
                        return Err(CallError { detail: failure.detail, unknown: false });
                    }
                }
            }
        };
        Ok(Self { session, deadline, changed: false, waiting: None })
    }

    pub fn version(&self) -> u32 {
        self.session.version()
    }

    /// Runs one statement that changes nothing.
    pub async fn ask(&mut self, sql: &str) -> Result<Vec<SimpleQueryRow>, CallError> {
        match timeout_at(self.deadline, self.session.rows(sql)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(self.failed(failure::of_error(&error).detail)),
            Err(_) => Err(self.late()),
        }
    }

    /// The only row of a statement that changes nothing.
    pub async fn ask_one(&mut self, sql: &str) -> Result<SimpleQueryRow, CallError> {
        let row = self.ask(sql).await?.into_iter().next();
        row.ok_or_else(|| self.failed(String::from("the server answered without a row")))
    }

    /// Runs one statement that changes something.
    pub async fn change(&mut self, sql: &str) -> Result<Vec<SimpleQueryRow>, CallError> {
        let before = std::mem::replace(&mut self.changed, true);
        match timeout_at(self.deadline, self.session.rows(sql)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => {
                // A word of the server's own about the statement: it was refused.
                let refused = error.as_db_error().is_some()
                    && !crate::targets::postgres::outcome::ends_connection(&error);
                self.changed = before || !refused;
                Err(self.failed(failure::of_error(&error).detail))
            }
            Err(_) => Err(self.late()),
        }
    }

    /// Sets a parameter for good; it counts after the next [`Self::reload`].
    pub async fn set(&mut self, parameter: &str, value: &str) -> Result<(), CallError> {
        let statement = set_statement(parameter, value);
        let done = self.change(&statement).await;
        done.map(drop)
            .map_err(|error| CallError { detail: format!("{parameter}: {}", error.detail), ..error })
    }

    /// Takes back what [`Self::set`] did.
    pub async fn reset(&mut self, parameter: &str) -> Result<(), CallError> {
        let done = self.change(&format!("alter system reset {parameter}")).await;
        done.map(drop)
            .map_err(|error| CallError { detail: format!("{parameter}: {}", error.detail), ..error })
    }

    /// Has the server read its settings and waits until it did: then the postmaster has
    /// told all of its processes, and new sessions begin with them.
    pub async fn reload(&mut self) -> Result<(), CallError> {
        let row = self.change("select pg_conf_load_time(), pg_reload_conf()").await?;
        let before = row.first().and_then(|row| row.get(0)).map(str::to_owned);
        loop {
            let row = self.ask_one("select pg_conf_load_time()").await?;
            if row.get(0).map(str::to_owned) != before {
                return Ok(());
            }
            self.beat("the server did not load its settings").await?;
        }
    }

    /// Waits a moment.
    ///
    /// # Errors
    /// `why`, when no time is left.
    pub async fn beat(&mut self, why: &str) -> Result<(), CallError> {
        self.waiting = Some(why.to_owned());
        let next = Instant::now() + BEAT;
        if next >= self.deadline {
            return Err(self.failed(format!("{why} in time")));
        }
        sleep_until(next).await;
        Ok(())
    }

    pub fn failed(&self, detail: String) -> CallError {
        CallError { detail, unknown: self.changed }
    }

    fn late(&self) -> CallError {
        self.failed(format!("{} in time", self.waiting.as_deref().unwrap_or("no answer")))
    }

    pub async fn end(self) {
        self.session.close(self.deadline).await;
    }
}

/// `alter system set`, with the value as a literal.
pub fn set_statement(parameter: &str, value: &str) -> String {
    format!(
        "alter system set {parameter} = {}",
        postgres_protocol::escape::escape_literal(value).trim_start()
    )
}
