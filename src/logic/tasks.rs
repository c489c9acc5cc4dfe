//! The tasks that are remembered, and how one goes from state to state.
//!
//! ```text
//! pending --start--> running --complete--> completed
//!    |                   '-------fail----> failed
//!    '------ complete, fail: a start was never reported ------'
//! ```
//! A step that was taken already is taken again without a change, because who reports
//! repeats what got no answer. The log is bounded in number and age; what is over goes
//! first. One would get it wrong by dropping the oldest whatever it is: a long job
//! would end as one that nobody knows.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::base::time::Timestamp;
use crate::model::task::{Task, TaskFigures, TaskState};

/// Tasks that are remembered, and how long.
pub const MOST: usize = 1000;
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// Why a task does not take a step.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the task `{id}` is {}, and cannot become {}", state.word(), wanted.word())]
pub struct WrongState {
    pub id: String,
    pub state: TaskState,
    pub wanted: TaskState,
}

/// What is asked of the log; `None` is any.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    pub state: Option<TaskState>,
    pub name: Option<String>,
    pub check: Option<String>,
}

/// The step of `task` to `state` at `now`; `None` when it was taken before. `took` is
/// the time since its start by a clock that does not jump, where one ran.
///
/// # Errors
/// [`WrongState`]: it is over, or was never to come back.
pub fn advance(
    task: &Task,
    state: TaskState,
    message: Option<String>,
    took: Option<Duration>,
    now: Timestamp,
) -> Result<Option<Task>, WrongState> {
    if task.state == state {
        return Ok(None);
    }
    if task.state.is_over() || state == TaskState::Pending {
        return Err(WrongState { id: task.id.clone(), state: task.state, wanted: state });
    }
    let mut next = task.clone();
    next.state = state;
    if state.is_over() {
        let by_wall = || task.started_at.map(|started| now.since(started));
        next.finished_at = Some(now);
        next.duration_seconds = took.or_else(by_wall).map(|took| took.as_secs_f64());
        next.message = message;
    } else {
        next.started_at = Some(now);
    }
    Ok(Some(next))
}

/// See the module.
#[derive(Debug, Default)]
pub struct TaskLog {
    tasks: BTreeMap<u64, Task>,
    ids: HashMap<String, u64>,
}

impl TaskLog {
    pub fn get(&self, id: &str) -> Option<&Task> {
        self.tasks.get(self.ids.get(id)?)
    }

    /// Number that no remembered task has.
    pub fn next_number(&self) -> u64 {
        self.tasks.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// Puts a task, new or changed.
    pub fn put(&mut self, task: Task) {
        self.ids.insert(task.id.clone(), task.number);
        self.tasks.insert(task.number, task);
    }

    pub fn remove(&mut self, number: u64) {
        if let Some(task) = self.tasks.remove(&number) {
            self.ids.remove(&task.id);
        }
    }

    /// Numbers of those to forget so that `room` more are inside the bounds: what is
    /// too old, then the oldest that are over, then the oldest.
    pub fn excess(&self, room: usize, now: Timestamp) -> Vec<u64> {
        let (old, mut kept): (Vec<&Task>, Vec<&Task>) =
            self.tasks.values().partition(|task| now.since(task.created_at) > KEPT_FOR);
        let surplus = (kept.len() + room).saturating_sub(MOST).min(kept.len());
        kept.sort_by_key(|task| (!task.state.is_over(), task.number));
        old.into_iter().chain(kept.into_iter().take(surplus)).map(|task| task.number).collect()
    }

    /// A page of those that match, newest first, and how many match.
    pub fn page(&self, filter: &Filter, limit: usize, offset: usize) -> (Vec<Task>, u64) {
        let matches = |task: &&Task| {
            filter.state.is_none_or(|state| task.state == state)
                && filter.name.as_ref().is_none_or(|name| task.name == *name)
                && filter.check.as_ref().is_none_or(|check| task.check.as_ref() == Some(check))
        };
        let total = self.tasks.values().filter(matches).count() as u64;
        let page = self.tasks.values().rev().filter(matches).skip(offset).take(limit);
        (page.cloned().collect(), total)
    }

    /// `None` while nothing was reported.
    pub fn figures(&self) -> Option<TaskFigures> {
        if self.tasks.is_empty() {
            return None;
        }
        let count = |state| self.tasks.values().filter(|task| task.state == state).count() as u64;
        let took: Vec<f64> = self.tasks.values().filter_map(|task| task.duration_seconds).collect();
        Some(TaskFigures {
            total: self.tasks.len() as u64,
            pending: count(TaskState::Pending),
            running: count(TaskState::Running),
            completed: count(TaskState::Completed),
            failed: count(TaskState::Failed),
            avg_duration_seconds: (!took.is_empty()).then(|| took.iter().sum::<f64>() / took.len() as f64),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn task(number: u64, state: TaskState) -> Task {
        Task {
            number,
            id: format!("t{number}"),
            name: String::from("backup"),
            kind: None,
            check: None,
            state,
            created_at: Timestamp(0),
            started_at: (state != TaskState::Pending).then_some(Timestamp(1000)),
            finished_at: None,
            duration_seconds: None,
            message: None,
        }
    }

    #[test]
    fn steps_lead_to_an_end_and_can_be_repeated() {
        let pending = task(1, TaskState::Pending);
        let running = advance(&pending, TaskState::Running, None, None, Timestamp(1000)).unwrap().unwrap();
        assert_eq!(advance(&running, TaskState::Running, None, None, Timestamp(2000)), Ok(None));
        let failed = advance(&running, TaskState::Failed, Some("disk".into()), None, Timestamp(4500));
        let failed = failed.unwrap().unwrap();
        assert_eq!((failed.duration_seconds, failed.message.as_deref()), (Some(3.5), Some("disk")));
        assert_eq!(advance(&failed, TaskState::Failed, None, None, Timestamp(9000)), Ok(None));
        let refused = advance(&failed, TaskState::Completed, None, None, Timestamp(9000)).unwrap_err();
        assert_eq!(refused.to_string(), "the task `t1` is failed, and cannot become completed");

        let ended = advance(&pending, TaskState::Completed, None, None, Timestamp(9)).unwrap().unwrap();
        assert_eq!((ended.started_at, ended.duration_seconds), (None, None));
        let took = Some(Duration::from_secs(7));
        let set_back = advance(&running, TaskState::Completed, None, took, Timestamp(0)).unwrap().unwrap();
        assert_eq!(set_back.duration_seconds, Some(7.0));
    }

    #[test]
    fn what_is_over_is_forgotten_first() {
        let mut log = TaskLog::default();
        for number in 1..=MOST as u64 {
            let state = if number <= 2 { TaskState::Running } else { TaskState::Completed };
            log.put(task(number, state));
        }
        assert_eq!(log.excess(0, Timestamp(0)), [0; 0]);
        assert_eq!(log.excess(2, Timestamp(0)), [3, 4]);
        log.excess(2, Timestamp(0)).into_iter().for_each(|number| log.remove(number));
        assert!(log.get("t3").is_none() && log.get("t1").is_some());
        let later = Timestamp(KEPT_FOR.as_millis() as i64 + 1);
        assert_eq!(log.excess(1, later).len(), MOST - 2);
    }

    #[test]
    fn pages_and_figures_count_what_is_there() {
        let mut log = TaskLog::default();
        assert_eq!(log.figures(), None);
        for (number, state) in (1..).zip(TaskState::ALL) {
            let took = state.is_over().then_some(number as f64);
            let check = (number == 4).then(|| String::from("nightly"));
            log.put(Task { duration_seconds: took, check, ..task(number, state) });
        }
        let figures = log.figures().unwrap();
        assert_eq!((figures.total, figures.pending, figures.running), (4, 1, 1));
        assert_eq!((figures.completed, figures.failed, figures.avg_duration_seconds), (1, 1, Some(3.5)));
        let all = log.page(&Filter::default(), 2, 1);
        assert_eq!((all.0.iter().map(|task| task.number).collect::<Vec<_>>(), all.1), (vec![3, 2], 4));
        let failed = Filter { state: Some(TaskState::Failed), ..Filter::default() };
        assert_eq!(log.page(&failed, 9, 0).1, 1);
        let of_check = Filter { check: Some(String::from("nightly")), ..Filter::default() };
        assert_eq!(log.page(&of_check, 9, 0).0[0].number, 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn it_never_outgrows_its_bound(steps in prop::collection::vec((0..4_usize, 0..300_000_000_i64), 10..20)) {
            let mut log = TaskLog::default();
            let mut now = 0;
            for (state, wait) in steps {
                now += wait;
                for _ in 0..100 {
                    log.excess(1, Timestamp(now)).into_iter().for_each(|number| log.remove(number));
                    let number = log.next_number();
                    log.put(Task { created_at: Timestamp(now), ..task(number, TaskState::ALL[state]) });
                }
                prop_assert!(log.page(&Filter::default(), 1, 0).1 <= MOST as u64);
            }
        }
    }
}
