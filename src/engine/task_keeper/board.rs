//! What the keeper holds in memory, and the plan of one change of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};

use super::series::Counts;
use super::{KeepError, Saved, first_line, random};
use crate::base::secret::Secret;
use crate::base::time::Monotonic;
use crate::config::heartbeat;
use crate::logic::check::{Check, Effects, Event, Moment, Move, Pace, RunChange};
use crate::logic::tasks::{TaskLog, advance};
use crate::model::check::{CheckStatus, Ping, PingId, SavedCheck};
use crate::model::task::{Task, TaskState};
use crate::store::Write;

/// What is said of a task whose end was never reported.
const LOST: &str = "no end was reported in time";

/// A check that is configured.
#[derive(Debug)]
pub struct Watched {
    pub check: Check,
    pub section: heartbeat::Check,
    /// Pings of this minute, and when it began.
    pub minute: (Monotonic, u32),
}

impl Watched {
    pub fn new(check: Check, section: heartbeat::Check) -> Self {
        Self { check, section, minute: (Monotonic::default(), 0) }
    }

    pub fn pace(&self) -> Pace {
        pace_of(&self.section)
    }
}

pub fn pace_of(section: &heartbeat::Check) -> Pace {
    Pace { period: section.period.0, grace: section.grace.0, run: section.run().0 }
}

/// A random id of a task.
pub fn task_id() -> Result<String, KeepError> {
    Ok(PingId(random()?).text().replace('-', "")[..16].to_owned())
}

/// What one change does, decided and not done.
#[derive(Debug)]
pub struct Plan {
    now: Monotonic,
    check: Option<(String, Check)>,
    moved: Option<Move>,
    at: crate::base::time::Timestamp,
    ping: Option<Ping>,
    /// As they will be, each with what happened to it.
    tasks: Vec<(Task, &'static str)>,
    /// Numbers of tasks that are forgotten for them.
    forgotten: Vec<u64>,
}

impl Plan {
    pub fn new(now: Monotonic) -> Self {
        let at = crate::base::time::Timestamp::default();
        Self { now, check: None, moved: None, at, ping: None, tasks: Vec::new(), forgotten: Vec::new() }
    }

    pub fn with_ping(self, ping: Ping) -> Self {
        Self { ping: Some(ping), ..self }
    }

    pub fn writes(&self) -> Vec<Write> {
        let mut writes = Vec::new();
        if let Some((name, check)) = &self.check {
            writes.push(Write::PutCheck { name: name.clone(), saved: check.saved() });
            let ping = |ping: &Ping| Write::PutPing { check: name.clone(), ping: ping.clone() };
            writes.extend(self.ping.as_ref().map(ping));
        }
        writes.extend(self.tasks.iter().map(|(task, _)| Write::PutTask(task.clone())));
        writes.extend(self.forgotten.iter().map(|number| Write::DeleteTask { number: *number }));
        writes
    }

    /// What listeners hear of it.
    pub fn told(&self) -> Vec<Value> {
        let moved = self.check.as_ref().zip(self.moved).map(|((name, _), moved)| {
            let Move { from, to, reason } = moved;
            let (from, to, reason) = (from.word(), to.word(), reason.word());
            if moved.to == CheckStatus::Down {
                tracing::warn!(check = name, from, to, reason, "check");
            } else {
                tracing::info!(check = name, from, to, reason, "check");
            }
            json!({"action": "check", "check": name, "from": from, "to": to, "reason": reason, "at": self.at.rfc3339()})
        });
        let tasks = self.tasks.iter().map(|(task, action)| json!({"action": action, "task": task}));
        tasks.chain(moved).collect()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Board {
    /// By name.
    pub checks: BTreeMap<String, Watched>,
    ids: HashMap<PingId, String>,
    slugs: HashMap<String, String>,
    /// Saved and not configured.
    pub absent: BTreeMap<String, SavedCheck>,
    pub key: Option<Secret>,
    pub tasks: TaskLog,
    /// Numbers are given out before the commit, so the log does not know the last.
    next_number: u64,
    /// When running tasks started, of those that did in this run of the agent.
    begun: HashMap<String, Monotonic>,
    pub counts: Counts,
}

impl Board {
    pub fn new(saved: Saved) -> Self {
        let mut tasks = TaskLog::default();
        saved.tasks.into_iter().for_each(|task| tasks.put(task));
        Self {
            checks: BTreeMap::new(),
            ids: HashMap::new(),
            slugs: HashMap::new(),
            absent: saved.checks,
            key: saved.ping_key,
            next_number: tasks.next_number(),
            tasks,
            begun: HashMap::new(),
            counts: Counts::default(),
        }
    }

    pub fn watch(&mut self, watched: Watched) {
        self.counts.stepped();
        let name = watched.section.name.to_string();
        self.ids.insert(watched.check.id(), name.clone());
        self.slugs.insert(watched.section.slug().to_owned(), name.clone());
        self.checks.insert(name, watched);
    }

    pub fn set_section(&mut self, section: heartbeat::Check) {
        let Some(watched) = self.checks.get_mut(section.name.as_str()) else { return };
        let before = std::mem::replace(&mut watched.section, section);
        let (slug, name) = (watched.section.slug().to_owned(), watched.section.name.to_string());
        if before.slug() != slug && self.slugs.get(before.slug()) == Some(&name) {
            self.slugs.remove(before.slug());
        }
        self.slugs.insert(slug, name);
    }

    /// Stops watching the checks that are not `listed`.
    pub fn leave(&mut self, listed: impl Fn(&str) -> bool) {
        let gone: Vec<String> = self.checks.keys().filter(|name| !listed(name)).cloned().collect();
        for name in gone {
            let Some(watched) = self.checks.remove(&name) else { continue };
            self.ids.remove(&watched.check.id());
            self.slugs.retain(|_, other| *other != name);
            self.absent.insert(name, watched.check.saved());
        }
    }

    /// Takes out the absent checks beyond `most`, the longest unchanged first.
    pub fn surplus(&mut self, most: usize) -> Vec<String> {
        let excess = self.absent.len().saturating_sub(most);
        let mut by_age: Vec<(i64, String)> =
            self.absent.iter().map(|(name, saved)| (saved.since.millis(), name.clone())).collect();
        by_age.sort_unstable();
        let surplus: Vec<String> = by_age.into_iter().take(excess).map(|(_, name)| name).collect();
        surplus.iter().for_each(|name| drop(self.absent.remove(name)));
        surplus
    }

    pub fn by_id(&self, id: PingId) -> Option<String> {
        self.ids.get(&id).cloned()
    }

    pub fn by_slug(&self, slug: &str) -> Option<String> {
        self.slugs.get(slug).cloned()
    }

    /// Names of the checks that time changes.
    pub fn due(&self, now: Moment) -> Vec<String> {
        let due = self.checks.iter().filter(|(_, watched)| watched.check.is_due(watched.pace(), now));
        due.map(|(name, _)| name.clone()).collect()
    }

    /// Completes `plan` by what `effects` do to `check` and its tasks. `said` came with
    /// the report of an end.
    pub fn plan(
        &mut self,
        plan: Plan,
        name: &str,
        check: Check,
        effects: &Effects,
        now: Moment,
        said: Option<&str>,
    ) -> Plan {
        let mut plan =
            Plan { moved: effects.moved, at: now.wall, check: Some((name.to_owned(), check)), ..plan };
        for run in &effects.runs {
            let (id, state, took, message) = match run {
                RunChange::Started { task } => (task, TaskState::Running, None, None),
                RunChange::Lost { task } => (task, TaskState::Failed, None, Some(LOST)),
                RunChange::Ended { task, success: true, took } => (task, TaskState::Completed, *took, None),
                RunChange::Ended { task, success: false, took } => (task, TaskState::Failed, *took, said),
            };
            let message = message.and_then(first_line);
            let known = self.tasks.get(id).cloned();
            let task = match known {
                Some(task) => match advance(&task, state, message, took, now.wall) {
                    Ok(Some(next)) => next,
                    // It is over already.
                    Ok(None) | Err(_) => continue,
                },
                None => self.of_run(id, name, state, took, message, now),
            };
            plan.tasks.push((task, action(state)));
        }
        plan.forgotten = self.tasks.excess(plan.tasks.len(), now.wall);
        plan
    }

    /// The task of a run that no task is known of.
    fn of_run(
        &mut self,
        id: &str,
        check: &str,
        state: TaskState,
        took: Option<Duration>,
        message: Option<String>,
        now: Moment,
    ) -> Task {
        let running = state == TaskState::Running;
        let started_at = if running { Some(now.wall) } else { took.map(|took| now.wall.minus(took)) };
        Task {
            number: self.number(),
            id: id.to_owned(),
            name: check.to_owned(),
            kind: None,
            check: Some(check.to_owned()),
            state,
            created_at: started_at.unwrap_or(now.wall),
            started_at,
            finished_at: (!running).then_some(now.wall),
            duration_seconds: took.map(|took| took.as_secs_f64()),
            message,
        }
    }

    /// The plan of a task that pings do not report.
    pub fn plan_task(&self, plan: Plan, task: Task, new: bool, now: Moment) -> Plan {
        let forgotten = self.tasks.excess(usize::from(new), now.wall);
        let action = action(task.state);
        Plan { tasks: vec![(task, action)], forgotten, at: now.wall, ..plan }
    }

    pub fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// How long a running task has been, by the clock that does not jump.
    pub fn running_for(&self, id: &str, now: Monotonic) -> Option<Duration> {
        self.begun.get(id).map(|begun| now.since(*begun))
    }

    /// What was planned is durable.
    pub fn put(&mut self, plan: Plan) {
        self.counts.stepped();
        if let Some((name, check)) = plan.check
            && let Some(watched) = self.checks.get_mut(&name)
            && watched.check.id() == check.id()
        {
            watched.check = check;
        }
        for number in plan.forgotten {
            self.tasks.remove(number);
        }
        for (task, _) in plan.tasks {
            if task.state == TaskState::Running {
                self.begun.insert(task.id.clone(), plan.now);
            } else {
                self.begun.remove(&task.id);
            }
            self.counts.count(&task);
            self.tasks.put(task);
        }
        if self.begun.len() > 2 * crate::logic::tasks::MOST {
            let tasks = &self.tasks;
            self.begun.retain(|id, _| tasks.get(id).is_some());
        }
    }
}

const fn action(state: TaskState) -> &'static str {
    match state {
        TaskState::Pending => "created",
        TaskState::Running => "started",
        TaskState::Completed => "completed",
        TaskState::Failed => "failed",
    }
}

/// Whether a ping is let through, and how long to wait if not.
pub fn admit(watched: &mut Watched, most: u32, now: Monotonic) -> Result<(), Duration> {
    const MINUTE: Duration = Duration::from_secs(60);
    let (began, count) = watched.minute;
    let passed = now.since(began);
    if count == 0 || passed >= MINUTE {
        watched.minute = (now, 1);
        return Ok(());
    }
    if count >= most {
        return Err(MINUTE - passed);
    }
    watched.minute.1 += 1;
    Ok(())
}

/// What a ping does to a check that is switched off: it is kept.
pub fn event<'a>(section: &heartbeat::Check, event: Event<'a>) -> Event<'a> {
    match event {
        Event::Ping { rid, task, .. } if !section.enabled => {
            Event::Ping { kind: crate::model::check::PingKind::Log, rid, task }
        }
        event => event,
    }
}
