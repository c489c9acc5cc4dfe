//! Tasks and failures as they are stored: two logs, numbered upwards.
//!
//! What is to be dropped is decided where the logs are held in memory; here a row is
//! put or removed. One would get it wrong by trimming here as well: the two would not
//! agree after a failed commit.

use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::record::Record;
use super::tables::{FAILURES, TASKS};
use crate::base::time::Timestamp;
use crate::model::report::FailureEvent;
use crate::model::task::{Task, TaskState};

/// The state as its place in `TaskState::ALL`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TaskRecord {
    id: String,
    name: String,
    kind: Option<String>,
    check: Option<String>,
    state: u8,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    duration_seconds: Option<f64>,
    message: Option<String>,
}

impl Record for TaskRecord {
    const NAME: &'static str = "holdfast::Task";
    const VERSION: u8 = 1;
}

impl TaskRecord {
    pub fn of(task: &Task) -> Self {
        Self {
            id: task.id.clone(),
            name: task.name.clone(),
            kind: task.kind.clone(),
            check: task.check.clone(),
            state: TaskState::ALL.iter().position(|state| *state == task.state).unwrap_or(0) as u8,
            created_at: task.created_at.millis(),
            started_at: task.started_at.map(Timestamp::millis),
            finished_at: task.finished_at.map(Timestamp::millis),
            duration_seconds: task.duration_seconds,
            message: task.message.clone(),
        }
    }

    /// `None` when the state is one of a newer version.
    fn task(self, number: u64) -> Option<Task> {
        Some(Task {
            number,
            id: self.id,
            name: self.name,
            kind: self.kind,
            check: self.check,
            state: TaskState::ALL.get(usize::from(self.state)).copied()?,
            created_at: Timestamp(self.created_at),
            started_at: self.started_at.map(Timestamp),
            finished_at: self.finished_at.map(Timestamp),
            duration_seconds: self.duration_seconds,
            message: self.message,
        })
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FailureRecord {
    at: i64,
    source: String,
    kind: String,
    message: String,
}

impl Record for FailureRecord {
    const NAME: &'static str = "holdfast::Failure";
    const VERSION: u8 = 1;
}

impl FailureRecord {
    pub fn of(event: &FailureEvent) -> Self {
        Self {
            at: event.at.millis(),
            source: event.source.clone(),
            kind: event.kind.clone(),
            message: event.message.clone(),
        }
    }

    fn event(self, number: u64) -> FailureEvent {
        let Self { at, source, kind, message } = self;
        FailureEvent { number, at: Timestamp(at), source, kind, message }
    }
}

/// Removes the failures with a lower number.
pub fn delete_failures_below(tx: &WriteTransaction, below: u64) -> Result<(), Fault> {
    let mut table = tx.open_table(FAILURES)?;
    while table.first()?.is_some_and(|(number, _)| number.value() < below) {
        table.pop_first()?;
    }
    Ok(())
}

/// Every task that can be read, by number.
pub fn read_tasks(tx: &ReadTransaction) -> Result<Vec<Task>, Fault> {
    let mut all = Vec::new();
    for row in tx.open_table(TASKS)?.iter()? {
        let (number, value) = row?;
        let number = number.value();
        match value.value().decode().map(|record| record.task(number)) {
            Ok(task) => all.extend(task),
            Err(error) => tracing::warn!(number, %error, "a stored task is skipped"),
        }
    }
    Ok(all)
}

/// Every failure that can be read, by number.
pub fn read_failures(tx: &ReadTransaction) -> Result<Vec<FailureEvent>, Fault> {
    let mut all = Vec::new();
    for row in tx.open_table(FAILURES)?.iter()? {
        let (number, value) = row?;
        match value.value().decode() {
            Ok(record) => all.push(record.event(number.value())),
            Err(error) => tracing::warn!(number = number.value(), %error, "a stored failure is skipped"),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{Raw, decode};

    #[test]
    fn task_v1() {
        let task = Task {
            number: 4,
            id: String::from("i"),
            name: String::from("n"),
            kind: None,
            check: Some(String::from("c")),
            state: TaskState::Failed,
            created_at: Timestamp(64),
            started_at: Some(Timestamp(64)),
            finished_at: None,
            duration_seconds: Some(1.0),
            message: Some(String::from("m")),
        };
        let bytes = [
            1, 1, b'i', 1, b'n', 0, 1, 1, b'c', 3, 128, 1, 1, 128, 1, 0, 1, 0, 0, 0, 0, 0, 0, 240, 63, 1, 1,
            b'm',
        ];
        assert_eq!(Raw::encode(&TaskRecord::of(&task)).bytes(), bytes);
        assert_eq!(decode::<TaskRecord>(&bytes).map(|record| record.task(4)), Ok(Some(task)));
    }

    #[test]
    fn failure_v1() {
        let [source, kind, message] = ["s", "k", "m"].map(String::from);
        let event = FailureEvent { number: 2, at: Timestamp(64), source, kind, message };
        let bytes = [1, 128, 1, 1, b's', 1, b'k', 1, b'm'];
        assert_eq!(Raw::encode(&FailureRecord::of(&event)).bytes(), bytes);
        assert_eq!(decode::<FailureRecord>(&bytes).map(|record| record.event(2)), Ok(event));
    }
}
