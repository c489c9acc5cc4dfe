//! The life of a check, by the rules of healthchecks.io.
//!
//! ```text
//!        success            period over        grace over, or a run too long
//! new ------------> up -------------------> late ---------------> down
//!  ^                ^                        |  success            |
//!  |                '------------------------'---------------------'
//!  |  resume               fail: down, whatever it was
//!  '--------- paused <------ pause: from anywhere; start, success, fail resume it
//! ```
//! `log` only counts. A start is owed its end: the check is down when the newest
//! start has none within the limit of a run. Runs of the same check are told apart by
//! their `rid`, and each is one task.
//!
//! Waiting is measured by the monotonic clock; the wall clock only says how long ago
//! something was when the agent starts, and is shown. One would get it wrong by
//! comparing wall times while the agent runs: a clock set forward by NTP would take
//! every check down at once, and one set back would hide a missing report.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::base::time::{Monotonic, Timestamp};
use crate::model::check::{CheckReason, CheckStatus, PingId, PingKind, SavedCheck, SavedRun};

/// Runs of one check that are under way at most; a further start gives up the oldest.
pub const MOST_RUNS: usize = 16;

/// Both clocks at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    pub wall: Timestamp,
    pub mono: Monotonic,
}

/// How often it must report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Between two reports.
    pub period: Duration,
    /// Then it is late this long before it is down.
    pub grace: Duration,
    /// From a start to its end.
    pub run: Duration,
}

/// When something was, by both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    at: Timestamp,
    anchor: Monotonic,
    /// How long it was ago at `anchor`.
    before: Duration,
}

impl Mark {
    fn now(now: Moment) -> Self {
        Self { at: now.wall, anchor: now.mono, before: Duration::ZERO }
    }

    /// Of an earlier run of the agent: only the wall clock can tell how long ago, and
    /// a time in the future was just now.
    fn restored(at: Timestamp, now: Moment) -> Self {
        Self { at, anchor: now.mono, before: now.wall.since(at) }
    }

    fn passed(&self, now: Moment) -> Duration {
        self.before.saturating_add(now.mono.since(self.anchor))
    }

    /// The wall time at which `after` will have passed since, or has.
    fn due(&self, after: Duration, now: Moment) -> Timestamp {
        let passed = self.passed(now);
        let planned = self.at.plus(after);
        let measured = if after >= passed {
            now.wall.plus(after - passed)
        } else {
            now.wall.minus(passed.saturating_sub(after))
        };
        // The same time at every look, unless the wall clock was set meanwhile.
        let apart = planned.since(measured).max(measured.since(planned));
        if apart <= Duration::from_secs(1) { planned } else { measured }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Run {
    /// Empty for pings without one.
    rid: String,
    task: String,
    began: Mark,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    id: PingId,
    status: CheckStatus,
    reason: CheckReason,
    since: Timestamp,
    last_ping: Option<Mark>,
    last_duration: Option<Duration>,
    pings: u64,
    /// By their start; the newest is the last.
    runs: Vec<Run>,
}

/// What happens to a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// `task` is the id of a task to begin, should this begin one.
    Ping {
        kind: PingKind,
        rid: Option<&'a str>,
        task: &'a str,
    },
    /// Time passed.
    Tick,
    Pause,
    Resume,
    /// Its pace is another one now.
    Paced,
}

/// The status became another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    pub from: CheckStatus,
    pub to: CheckStatus,
    pub reason: CheckReason,
}

/// What became of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RunChange {
    Started {
        task: String,
    },
    /// Its end was reported; one without a start is a task of its own.
    Ended {
        task: String,
        success: bool,
        took: Option<Duration>,
    },
    /// No end was reported in time.
    Lost {
        task: String,
    },
}

/// What an event came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Effects {
    pub moved: Option<Move>,
    pub runs: Vec<RunChange>,
}

impl Effects {
    pub fn is_empty(&self) -> bool {
        self.moved.is_none() && self.runs.is_empty()
    }
}

impl Check {
    pub fn new(id: PingId, now: Moment) -> Self {
        Self {
            id,
            status: CheckStatus::New,
            reason: CheckReason::Created,
            since: now.wall,
            last_ping: None,
            last_duration: None,
            pings: 0,
            runs: Vec::new(),
        }
    }

    /// As it was stored.
    pub fn restored(saved: SavedCheck, now: Moment) -> Self {
        let run = |run: SavedRun| Run { rid: run.rid, task: run.task, began: Mark::restored(run.began, now) };
        Self {
            id: saved.id,
            status: saved.status,
            reason: saved.reason,
            since: saved.since,
            last_ping: saved.last_ping.map(|at| Mark::restored(at, now)),
            last_duration: saved.last_duration_ms.map(Duration::from_millis),
            pings: saved.pings,
            runs: saved.runs.into_iter().take(MOST_RUNS).map(run).collect(),
        }
    }

    pub fn saved(&self) -> SavedCheck {
        let run = |run: &Run| SavedRun { rid: run.rid.clone(), task: run.task.clone(), began: run.began.at };
        SavedCheck {
            id: self.id,
            status: self.status,
            reason: self.reason,
            since: self.since,
            last_ping: self.last_ping.map(|mark| mark.at),
            last_duration_ms: self.last_duration.map(|took| took.as_millis() as u64),
            pings: self.pings,
            runs: self.runs.iter().map(run).collect(),
        }
    }

    pub fn id(&self) -> PingId {
        self.id
    }

    pub fn status(&self) -> CheckStatus {
        self.status
    }

    /// Pings so far, of every kind.
    pub fn pings(&self) -> u64 {
        self.pings
    }

    /// When it becomes late and when down, by the wall clock as it is now. `None` where
    /// it waits for nothing.
    pub fn due(&self, pace: Pace, now: Moment) -> Option<(Timestamp, Timestamp)> {
        if !matches!(self.status, CheckStatus::Up | CheckStatus::Late) {
            return None;
        }
        let mark = self.last_ping?;
        let whole = pace.period.saturating_add(pace.grace);
        Some((mark.due(pace.period, now), mark.due(whole, now)))
    }

    /// What an event comes to.
    pub fn step(&mut self, event: Event<'_>, pace: Pace, now: Moment) -> Effects {
        let mut effects = Effects::default();
        match event {
            Event::Ping { kind, rid, task } => self.ping(kind, rid.unwrap_or(""), task, now, &mut effects),
            Event::Tick => self.tick(pace, now, &mut effects),
            Event::Pause => self.go(CheckStatus::Paused, CheckReason::Paused, now, &mut effects),
            Event::Resume => {
                if self.status == CheckStatus::Paused {
                    // It is not blamed for what it did not report meanwhile.
                    self.last_ping = None;
                    self.give_up_runs(pace, now, &mut effects);
                    self.go(CheckStatus::New, CheckReason::Resumed, now, &mut effects);
                }
            }
            Event::Paced => {
                let missed = self.status == CheckStatus::Down && self.reason == CheckReason::Missed;
                if missed && self.by_time(pace, now) != Some(CheckStatus::Down) {
                    self.go(CheckStatus::Up, CheckReason::Rescheduled, now, &mut effects);
                }
                self.tick(pace, now, &mut effects);
            }
        }
        effects
    }

    fn ping(&mut self, kind: PingKind, rid: &str, task: &str, now: Moment, effects: &mut Effects) {
        self.pings += 1;
        match kind {
            PingKind::Log => {}
            PingKind::Start => {
                self.start(rid, task, now, effects);
                if self.status == CheckStatus::Paused {
                    self.last_ping = None;
                    self.go(CheckStatus::New, CheckReason::Started, now, effects);
                }
            }
            PingKind::Success | PingKind::Fail => {
                let success = kind == PingKind::Success;
                let run = self.runs.iter().position(|run| run.rid == rid).map(|at| self.runs.remove(at));
                let took = run.as_ref().map(|run| run.began.passed(now));
                let task = run.map_or_else(|| task.to_owned(), |run| run.task);
                effects.runs.push(RunChange::Ended { task, success, took });
                self.last_ping = Some(Mark::now(now));
                self.last_duration = took;
                let (to, reason) = if success {
                    (CheckStatus::Up, CheckReason::Succeeded)
                } else {
                    (CheckStatus::Down, CheckReason::Failed)
                };
                self.go(to, reason, now, effects);
            }
        }
    }

    fn start(&mut self, rid: &str, task: &str, now: Moment, effects: &mut Effects) {
        let again = self.runs.iter().position(|run| run.rid == rid);
        let task = match again {
            // Its clock starts anew; it is the same task.
            Some(at) => self.runs.remove(at).task,
            None => {
                if self.runs.len() >= MOST_RUNS {
                    effects.runs.push(RunChange::Lost { task: self.runs.remove(0).task });
                }
                effects.runs.push(RunChange::Started { task: task.to_owned() });
                task.to_owned()
            }
        };
        self.runs.push(Run { rid: rid.to_owned(), task, began: Mark::now(now) });
    }

    fn tick(&mut self, pace: Pace, now: Moment, effects: &mut Effects) {
        if self.status == CheckStatus::Paused {
            return;
        }
        let newest_lost = self.give_up_runs(pace, now, effects);
        if newest_lost && self.status != CheckStatus::Down {
            self.go(CheckStatus::Down, CheckReason::Overran, now, effects);
        }
        if !matches!(self.status, CheckStatus::Up | CheckStatus::Late) {
            return;
        }
        match self.by_time(pace, now) {
            Some(CheckStatus::Down) => self.go(CheckStatus::Down, CheckReason::Missed, now, effects),
            Some(CheckStatus::Late) => self.go(CheckStatus::Late, CheckReason::Overdue, now, effects),
            // It was late by a longer time than it is now: the pace changed.
            Some(_) if self.status == CheckStatus::Late => {
                self.go(CheckStatus::Up, CheckReason::Rescheduled, now, effects);
            }
            _ => {}
        }
    }

    /// What the time since the last ping makes of it.
    fn by_time(&self, pace: Pace, now: Moment) -> Option<CheckStatus> {
        let passed = self.last_ping?.passed(now);
        Some(if passed < pace.period {
            CheckStatus::Up
        } else if passed < pace.period.saturating_add(pace.grace) {
            CheckStatus::Late
        } else {
            CheckStatus::Down
        })
    }

    /// Drops the runs that are longer than they may be; whether the newest start was
    /// among them.
    fn give_up_runs(&mut self, pace: Pace, now: Moment, effects: &mut Effects) -> bool {
        let over = |run: &Run| run.began.passed(now) >= pace.run;
        let newest = self.runs.last().is_some_and(over);
        let lost = self.runs.iter().filter(|run| over(run));
        effects.runs.extend(lost.map(|run| RunChange::Lost { task: run.task.clone() }));
        self.runs.retain(|run| !over(run));
        newest
    }

    fn go(&mut self, to: CheckStatus, reason: CheckReason, now: Moment, effects: &mut Effects) {
        if self.status == to {
            // Down for another reason is still down since then.
            if to == CheckStatus::Down || to == CheckStatus::Up {
                self.reason = reason;
            }
            return;
        }
        let from = std::mem::replace(&mut self.status, to);
        self.reason = reason;
        self.since = now.wall;
        effects.moved = Some(Move { from: effects.moved.map_or(from, |moved| moved.from), to, reason });
    }

    /// Whether the next tick would change it; cheap.
    pub fn is_due(&self, pace: Pace, now: Moment) -> bool {
        self.clone().step(Event::Tick, pace, now) != Effects::default()
    }

    /// Start of the newest run, and how many there are.
    pub fn runs(&self) -> (Option<Timestamp>, usize) {
        (self.runs.last().map(|run| run.began.at), self.runs.len())
    }
}
