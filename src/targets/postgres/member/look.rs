//! A look: the facts in one round trip, or why there are none.
//!
//! The kept connection may be gone for harmless reasons, so a new one takes its place
//! within the same look and the question is asked again; only a member that does not
//! serve now has failed. When nothing comes back on the kept one, a bare TCP connection tells a
//! server that hangs from a host that is gone. Wrong would be to try that only after
//! the deadline: the two are told apart in one look. Without a kept one a look over a long way, on
//! which a login takes longer than a look, goes on for as long as the first answer says.

use std::pin::pin;

use tokio::time::{Duration, Instant, timeout_at};
use tokio_postgres::SimpleQueryRow;

use super::conninfo::Conninfo;
use super::question::{self, Ask, Lock, Main, NEWEST_SEGMENT, Reading};
use super::{Kept, Look, MemberLink, Memory, Seen, failure, replication};
use crate::base::secret::Secret;
use crate::model::failover::lsn::Fork;
use crate::model::failover::sighting::{Facts, Failure, FailureClass, Sighting, Standing};
use crate::targets::outcome::Outcome;
use crate::targets::postgres::outcome::ends_connection;
use crate::targets::postgres::session::{Opened, Place, Session, Unopened, reach};
use crate::targets::postgres::wire::Allowance;

/// How often is asked what costs more.
const ASIDE_EVERY: Duration = Duration::from_secs(30);

/// Round trips of a connection with its login: TCP, the question for encryption, the
/// startup, two of SCRAM, and one to spare.
const LOGIN_TRIPS: u32 = 6;

/// A look without a kept session takes at most so many times as long as others.
const FAR: u32 = 3;
/// Round trips of the questions after a login, and one to spare.
const LOOK_TRIPS: u32 = 3;

/// What a member says when it was promoted between two functions of one statement.
const NOT_IN_STATE: &str = "55000";

/// Why a question was not answered.
struct Unanswered {
    failure: Failure,
    /// Whether the session can be asked again.
    usable: bool,
    /// The SQLSTATE, where the server refused.
    state: String,
}

impl MemberLink {
    /// Looks once, by `deadline`.
    pub async fn look(&mut self, want: Look, deadline: Instant) -> Seen {
        let (sighting, conninfo) = match self.see(want, deadline).await {
            Ok((facts, conninfo)) => (Sighting::Answered(facts), conninfo),
            Err(failure) => (Sighting::Failed(failure), None),
        };
        Seen { sighting, conninfo, problem: self.problem.clone() }
    }

    async fn see(&mut self, want: Look, deadline: Instant) -> Result<(Facts, Option<Secret>), Failure> {
        let (mut reading, fresh, deadline) = self.ask(want, deadline).await?;
        let Some(main) = reading.main.take() else {
            return Err(failure::new(
                FailureClass::Configuration,
                String::from("the server did not answer what was asked"),
            ));
        };
        self.remember(main.pid);
        let canary = if want.canary && !main.in_recovery {
            self.canary.commits(&mut self.access, fresh, deadline).await
        } else {
            if let Some(fresh) = fresh {
                fresh.close(deadline).await;
            }
            None
        };
        let conninfo = self.tell(&main);
        let timeline = self.timeline(&reading, &main, deadline).await;
        let ancestry = self.ancestry(timeline, deadline).await;
        let Some(Kept { memory, session }) = &self.kept else {
            return Err(failure::new(
                FailureClass::Reset,
                String::from("the connection ended during the look"),
            ));
        };
        let other_agent = match reading.lock {
            None | Some(Lock::Ours) => false,
            Some(Lock::Held(pid)) => pid.is_some_and(|pid| !self.earlier.contains(&pid)),
        };
        let facts = Facts {
            system_id: memory.system_id,
            version: session.version(),
            timeline,
            ancestry,
            standing: standing(&main, reading),
            read_only: main.read_only,
            sync_names: main.sync_names,
            other_agent,
            manager: memory.manager.clone(),
            canary,
            bypass: memory.bypass,
        };
        Ok((facts, conninfo))
    }

    /// The rows of a look, the fresh session if one was wanted and is left over, and the deadline
    /// of what is asked besides.
    async fn ask(
        &mut self,
        want: Look,
        deadline: Instant,
    ) -> Result<(Reading, Option<Session>, Instant), Failure> {
        let mut before = None;
        if let Some(mut kept) = self.kept.take() {
            let place = self.access.place.clone();
            let open = async { if want.fresh { Some(self.access.open(deadline).await) } else { None } };
            let began = Instant::now();
            let look = async {
                let asked = kept.look(want.fresh, &place, deadline).await;
                (asked, began.elapsed())
            };
            let ((asked, took), opened) = tokio::join!(look, open);
            // A way so slow that no login can be in time is no server that hangs.
            let slow = asked.is_ok() && took * LOGIN_TRIPS >= deadline.saturating_duration_since(began);
            let opened = opened.filter(|opened| !(slow && opened.as_ref().is_err_and(failure::is_late)));
            let usable = asked.as_ref().map_or_else(|unanswered| unanswered.usable, |_| true);
            let spare = opened.map(|opened| self.welcome(opened)).transpose();
            if usable {
                self.kept = Some(kept);
                return match (asked, spare) {
                    (_, Err(failure)) => Err(failure),
                    (asked, Ok(spare)) => asked
                        .map(|reading| (reading, spare, deadline))
                        .map_err(|unanswered| unanswered.failure),
                };
            }
            self.retire();
            let failure = asked.err().map(|unanswered| unanswered.failure);
            match spare {
                Ok(Some(session)) => return Ok((self.begin(session, deadline).await?, None, deadline)),
                Ok(None) => before = failure,
                Err(now) => return Err(failure::of_both(failure, now)),
            }
        }
        if let Some(failure) = &before
            && matches!(failure.class, FailureClass::Silent | FailureClass::Unreachable)
        {
            return Err(failure.clone());
        }
        let now = Instant::now();
        let latest = now + deadline.saturating_duration_since(now) * FAR;
        let opened = self.access.open_far(deadline, latest).await;
        let trip = opened.as_ref().map_or(Duration::ZERO, |opened| opened.trip);
        let session = self.welcome(opened).map_err(|now| failure::of_both(before, now))?;
        let deadline = deadline.max((Instant::now() + trip * LOOK_TRIPS).min(latest));
        Ok((self.begin(session, deadline).await?, None, deadline))
    }

    fn welcome(&mut self, opened: Result<Opened, Unopened>) -> Result<Session, Failure> {
        let Opened { session, dns_problem, .. } = opened.map_err(failure::of_unopened)?;
        self.problem = dns_problem.map(|why| format!("the last known address was used: {why}"));
        Ok(session)
    }

    /// Asks on a new session and keeps it.
    async fn begin(&mut self, session: Session, deadline: Instant) -> Result<Reading, Failure> {
        let mut kept = Kept { session, memory: Memory::default() };
        let asked = kept.look(true, &self.access.place.clone(), deadline).await;
        match asked {
            Ok(reading) => {
                self.kept = Some(kept);
                Ok(reading)
            }
            Err(unanswered) => {
                if unanswered.usable {
                    self.kept = Some(kept);
                } else {
                    self.retire();
                }
                Err(unanswered.failure)
            }
        }
    }

    /// `primary_conninfo`, when it is to be told.
    fn tell(&mut self, main: &Main) -> Option<Secret> {
        let now = main.conninfo.as_ref().filter(|now| !now.is_empty())?;
        if self.told.as_ref().is_some_and(|told| told.matches(now.expose())) {
            return None;
        }
        self.told = Some(now.clone());
        Some(now.clone())
    }

    /// The timeline a member's log is on. A standby's is that of its receiver, and after
    /// the receiver's end the one that was last received.
    async fn timeline(&mut self, reading: &Reading, main: &Main, deadline: Instant) -> u32 {
        if let Some(timeline) = main.timeline {
            return timeline;
        }
        let place = self.access.place.clone();
        let Some(kept) = &mut self.kept else { return 0 };
        if let Some(timeline) = reading.receiver.as_ref().and_then(|receiver| receiver.timeline) {
            kept.memory.timeline = Some(timeline);
        } else if kept.memory.timeline.is_none() || reading.aside.is_some() {
            let known = reading.aside.as_ref().map(|aside| aside.timeline).max(kept.memory.timeline);
            let asked = hear(&mut kept.session, NEWEST_SEGMENT, &place, deadline).await;
            match asked {
                Ok(rows) => {
                    let newest = question::read(&rows).ok().and_then(|reading| reading.newest_segment);
                    kept.memory.timeline = known.max(newest);
                }
                Err(unanswered) => {
                    kept.memory.timeline = known;
                    if !unanswered.usable {
                        self.kept = None;
                        self.retire();
                        return known.unwrap_or(0);
                    }
                }
            }
        }
        self.kept.as_ref().and_then(|kept| kept.memory.timeline).unwrap_or(0)
    }

    /// The forks of `timeline`; read once per session and timeline, within half of the
    /// time that is left.
    async fn ancestry(&mut self, timeline: u32, deadline: Instant) -> Option<Vec<Fork>> {
        let Some(Kept { memory, .. }) = &mut self.kept else { return None };
        if timeline == 1 {
            return Some(Vec::new());
        }
        if let Some((known, forks)) = &memory.ancestry
            && *known == timeline
        {
            return Some(forks.clone());
        }
        let now = Instant::now();
        if timeline == 0 || memory.ancestry_due.is_some_and(|due| now < due) {
            return None;
        }
        let halfway = now + deadline.saturating_duration_since(now) / 2;
        match replication::ancestry(&mut self.access, timeline, halfway).await {
            Ok(forks) => {
                memory.ancestry = Some((timeline, forks.clone()));
                Some(forks)
            }
            Err(Outcome { code, detail, .. }) => {
                tracing::debug!(timeline, code, detail, "the history of the timeline was not read");
                memory.ancestry_due = Some(now + ASIDE_EVERY);
                None
            }
        }
    }
}

impl Kept {
    async fn look(&mut self, fresh: bool, place: &Place, deadline: Instant) -> Result<Reading, Unanswered> {
        let now = Instant::now();
        let aside = fresh || self.memory.aside.is_none_or(|due| due <= now);
        // Twice at most: the member changed sides since the last look, or in the middle of this one.
        let mut again = true;
        loop {
            let ask = Ask {
                followers: self.memory.in_recovery != Some(true),
                receiver: self.memory.in_recovery != Some(false),
                lock: !self.memory.locked,
                aside,
            };
            let reading = match hear(&mut self.session, &ask.sql(), place, deadline).await {
                Ok(rows) => question::read(&rows).map_err(Unanswered::nonsense)?,
                Err(unanswered) if again && unanswered.state == NOT_IN_STATE => {
                    again = false;
                    continue;
                }
                Err(unanswered) => return Err(unanswered),
            };
            let before = self.memory.in_recovery;
            self.learn(&reading, now);
            let changed = before.is_some() && before != self.memory.in_recovery;
            if changed && again {
                again = false;
                self.memory.timeline = None;
                continue;
            }
            return Ok(reading);
        }
    }

    fn learn(&mut self, reading: &Reading, now: Instant) {
        if let Some(main) = &reading.main {
            self.memory.pid = main.pid;
            self.memory.in_recovery = Some(main.in_recovery);
        }
        if reading.lock == Some(Lock::Ours) {
            self.memory.locked = true;
        }
        if let Some(aside) = &reading.aside {
            self.memory.system_id = aside.system_id;
            self.memory.bypass = aside.bypass;
            self.memory.manager.clone_from(&aside.manager);
            self.memory.aside = Some(now + ASIDE_EVERY);
        }
    }
}

impl Unanswered {
    fn nonsense(what: String) -> Self {
        let failure = failure::new(FailureClass::Configuration, what);
        Self { failure, usable: false, state: String::new() }
    }
}

/// Asks and waits until `deadline`; from half of the time on it also knocks at the port.
async fn hear(
    session: &mut Session,
    sql: &str,
    place: &Place,
    deadline: Instant,
) -> Result<Vec<SimpleQueryRow>, Unanswered> {
    let mut knocked = None;
    let answered = {
        let mut asking = pin!(session.rows(sql));
        let now = Instant::now();
        let halfway = now + deadline.saturating_duration_since(now) / 2;
        match timeout_at(halfway, &mut asking).await {
            Ok(answer) => Some(answer),
            Err(_) => {
                let allowance = Allowance::new();
                let mut knocking = pin!(reach(place, &allowance, deadline));
                loop {
                    tokio::select! {
                        biased;
                        answer = &mut asking => break Some(answer),
                        knock = &mut knocking, if knocked.is_none() => knocked = Some(knock.map(drop)),
                        () = tokio::time::sleep_until(deadline) => break None,
                    }
                }
            }
        }
    };
    let error = match answered {
        Some(Ok(rows)) => return Ok(rows),
        Some(Err(error)) => error,
        None => return Err(mute(knocked)),
    };
    let usable = !ends_connection(&error);
    let state = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
    // A notice on the way says more than the end that followed it.
    let failure = if usable || error.as_db_error().is_some() {
        failure::of_error(&error)
    } else {
        failure::of_end(&Err(error), session.farewell())
    };
    Err(Unanswered { failure, usable, state })
}

/// No answer came: the port tells why.
fn mute(knocked: Option<Result<(), Outcome>>) -> Unanswered {
    let failure = match knocked {
        Some(Ok(())) => {
            failure::new(FailureClass::Silent, String::from("no answer in time on an open connection"))
        }
        Some(Err(outcome)) => failure::of_unopened(Unopened::before(outcome)),
        None => {
            failure::new(FailureClass::Unreachable, String::from("no answer in time, and no new connection"))
        }
    };
    Unanswered { failure, usable: false, state: String::new() }
}

fn standing(main: &Main, reading: Reading) -> Standing {
    if !main.in_recovery {
        return Standing::Primary { lsn: main.lsn, followers: reading.followers };
    }
    let conninfo = main.conninfo.as_ref().filter(|text| !text.is_empty());
    // One that libpq does not understand either leads nowhere, which is not the same as empty.
    let parsed = conninfo.map(|text| Conninfo::parse(text.expose()).unwrap_or_default());
    Standing::Standby {
        received: main.lsn,
        replayed: main.replayed,
        streaming: reading.receiver.as_ref().is_some_and(|receiver| receiver.streaming),
        receiver: reading.receiver.is_some(),
        upstream: parsed.map(|conninfo| conninfo.upstream(&main.cluster_name, &main.slot)),
        delayed: main.delayed,
    }
}
