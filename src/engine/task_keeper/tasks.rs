//! What is done with tasks that report through the API.

use super::board::{Plan, task_id};
use super::{KeepError, TaskKeeper, first_line};
use crate::logic::tasks::{Filter, advance};
use crate::model::task::{Task, TaskFigures, TaskState};

const LONGEST_NAME: usize = 128;
const LONGEST_ID: usize = 64;

/// A task to be created.
#[derive(Clone, Debug)]
pub struct NewTask {
    pub name: String,
    pub kind: Option<String>,
    /// Drawn unless given.
    pub id: Option<String>,
}

impl NewTask {
    fn check(&self) -> Result<(), KeepError> {
        let word = |member: &'static str, text: &str| {
            if (1..=LONGEST_NAME).contains(&text.len()) && !text.chars().any(char::is_control) {
                return Ok(());
            }
            let detail = format!("expected 1 to {LONGEST_NAME} bytes without control characters");
            Err(KeepError::Invalid { member, detail })
        };
        word("name", &self.name)?;
        self.kind.as_deref().map_or(Ok(()), |kind| word("kind", kind))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        match &self.id {
            Some(id) if !(1..=LONGEST_ID).contains(&id.len()) || !id.bytes().all(plain) => {
                let detail = format!("expected 1 to {LONGEST_ID} letters, digits, `.`, `_` or `-`");
                Err(KeepError::Invalid { member: "id", detail })
            }
            _ => Ok(()),
        }
    }
}

impl TaskKeeper {
    /// Creates a pending task; durable when it returns.
    ///
    /// # Errors
    /// [`KeepError::Invalid`], [`KeepError::Exists`], or the store's.
    pub async fn create(&self, new: NewTask) -> Result<Task, KeepError> {
        new.check()?;
        let id = match new.id {
            Some(id) => id,
            None => task_id()?,
        };
        let this = self.clone();
        self.in_turn(&id.clone(), async move {
            let now = this.moment();
            let (plan, task) = {
                let mut board = this.board();
                if board.tasks.get(&id).is_some() {
                    return Err(KeepError::Exists(id));
                }
                let task = Task {
                    number: board.number(),
                    id,
                    name: new.name,
                    kind: new.kind,
                    check: None,
                    state: TaskState::Pending,
                    created_at: now.wall,
                    started_at: None,
                    finished_at: None,
                    duration_seconds: None,
                    message: None,
                };
                (board.plan_task(Plan::new(now.mono), task.clone(), true, now), task)
            };
            this.carry_out(plan, None, false).await?;
            Ok(task)
        })
        .await
    }

    /// Takes a task to `state`; the same again is the same answer. Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`KeepError::UnknownTask`], [`KeepError::OfCheck`], [`KeepError::State`], or the
    /// store's.
    pub async fn advance(
        &self,
        id: &str,
        state: TaskState,
        message: Option<String>,
    ) -> Result<Task, KeepError> {
        let (this, id) = (self.clone(), id.to_owned());
        self.in_turn(&id.clone(), async move {
            let now = this.moment();
            let (plan, task) = {
                let board = this.board();
                let task = board.tasks.get(&id).ok_or(KeepError::UnknownTask(id.clone()))?;
                if let Some(check) = task.check.clone() {
                    return Err(KeepError::OfCheck { id, check });
                }
                let took = board.running_for(&id, now.mono);
                let message = message.as_deref().and_then(first_line);
                match advance(task, state, message, took, now.wall)? {
                    Some(next) => (board.plan_task(Plan::new(now.mono), next.clone(), false, now), next),
                    None => return Ok(task.clone()),
                }
            };
            this.carry_out(plan, None, false).await?;
            Ok(task)
        })
        .await
    }

    /// A page of the tasks, newest first, and how many match.
    pub fn tasks(&self, filter: &Filter, limit: usize, offset: usize) -> (Vec<Task>, u64) {
        self.board().tasks.page(filter, limit, offset)
    }

    pub fn task(&self, id: &str) -> Option<Task> {
        self.board().tasks.get(id).cloned()
    }

    /// `None` while nothing was reported.
    pub fn figures(&self) -> Option<TaskFigures> {
        self.board().tasks.figures()
    }
}
