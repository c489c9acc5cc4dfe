//! The series of checks and tasks.
//!
//! They change seldom, so all of them are written every fifteen seconds, and at once
//! when one changed: rules see a check that is down within a second. A counter is
//! written as zero just before it first has a value, because an increase cannot be seen
//! from nothing.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use super::TaskKeeper;
use super::board::Board;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::check::CheckStatus;
use crate::model::frame::Frame;
use crate::model::task::{Task, TaskState};

const STREAM: &str = "tasks";
const EVERY: Duration = Duration::from_secs(15);
/// Names of tasks that have series of their own.
const MOST_NAMES: usize = 200;
/// Stands for the others.
const OTHER: &str = "other";

/// How tasks of one name ended since the agent started.
#[derive(Debug, Default)]
struct Count {
    success: u64,
    failure: u64,
    last_duration: Option<f64>,
    written: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Counts {
    names: BTreeMap<String, Count>,
    /// Steps of checks and tasks so far: says whether something changed.
    steps: u64,
}

impl Counts {
    /// A task took a step.
    pub fn count(&mut self, task: &Task) {
        let known = self.names.contains_key(&task.name) || self.names.len() < MOST_NAMES;
        let count = self.names.entry(if known { task.name.clone() } else { OTHER.to_owned() }).or_default();
        match task.state {
            TaskState::Completed => count.success += 1,
            TaskState::Failed => count.failure += 1,
            TaskState::Pending | TaskState::Running => {}
        }
        count.last_duration = task.duration_seconds.or(count.last_duration);
    }

    pub fn stepped(&mut self) {
        self.steps += 1;
    }
}

/// When the series were last written.
#[derive(Debug, Default)]
pub struct Series {
    last: Option<(Monotonic, u64)>,
}

impl TaskKeeper {
    pub(super) fn write_series(&self) {
        let now = self.moment();
        let mut series = self.inner.series.lock().unwrap_or_else(PoisonError::into_inner);
        let (zeros, frame) = {
            let mut board = self.board();
            let steps = board.counts.steps;
            let due = series.last.is_none_or(|(at, seen)| seen != steps || now.mono.since(at) >= EVERY);
            if !due {
                return;
            }
            series.last = Some((now.mono, steps));
            let zeros = zeros(&mut board.counts);
            (zeros, frame(&board))
        };
        let store = &self.inner.parts.store;
        for (at, frame) in [(Timestamp(now.wall.millis() - 1), zeros), (now.wall, frame)] {
            if !frame.is_empty() {
                store.append(STREAM, at, &frame);
            }
        }
    }
}

/// The zeros of counters that begin.
fn zeros(counts: &mut Counts) -> Frame {
    let mut frame = Frame::new();
    totals(&mut frame);
    for (name, count) in counts.names.iter_mut().filter(|(_, count)| !count.written) {
        count.written = true;
        for result in ["failure", "success"] {
            frame.push(&[("name", name), ("result", result)], 0.0);
        }
    }
    frame
}

fn totals(frame: &mut Frame) -> &mut Frame {
    frame.counter("holdfast_tasks_finished_total", "Tasks that ended since the agent started, by how.")
}

fn frame(board: &Board) -> Frame {
    let mut frame = Frame::new();
    checks(board, &mut frame);
    totals(&mut frame);
    for (name, count) in &board.counts.names {
        frame.push(&[("name", name), ("result", "failure")], count.failure as f64);
        frame.push(&[("name", name), ("result", "success")], count.success as f64);
    }
    frame.gauge("holdfast_task_last_duration_seconds", "How long the last task of that name took.");
    for (name, seconds) in
        board.counts.names.iter().filter_map(|(name, count)| Some((name, count.last_duration?)))
    {
        frame.push(&[("name", name)], seconds);
    }
    if let Some(figures) = board.tasks.figures() {
        frame.gauge("holdfast_tasks", "Tasks that are remembered, by their state.");
        let states = [
            ("completed", figures.completed),
            ("failed", figures.failed),
            ("pending", figures.pending),
            ("running", figures.running),
        ];
        for (state, count) in states {
            frame.push(&[("state", state)], count as f64);
        }
    }
    frame
}

fn checks(board: &Board, frame: &mut Frame) {
    let all = || board.checks.iter().map(|(name, watched)| (name.as_str(), watched.check.saved()));
    frame.gauge("holdfast_check_up", "Whether the check is not down.");
    for (name, saved) in all() {
        frame.push(&[("check", name)], f64::from(u8::from(saved.status != CheckStatus::Down)));
    }
    frame.gauge("holdfast_check_status", "0 new, 1 up, 2 late, 3 down, 4 paused.");
    for (name, saved) in all() {
        let place = CheckStatus::ALL.iter().position(|status| *status == saved.status).unwrap_or(0);
        frame.push(&[("check", name)], place as f64);
    }
    frame.gauge(
        "holdfast_check_last_ping_timestamp_seconds",
        "When the check last reported success or failure, seconds since the epoch.",
    );
    for (name, at) in all().filter_map(|(name, saved)| Some((name, saved.last_ping?))) {
        frame.push(&[("check", name)], at.seconds());
    }
    frame.counter("holdfast_check_pings_total", "Pings of the check.");
    for (name, saved) in all() {
        frame.push(&[("check", name)], saved.pings as f64);
    }
}
