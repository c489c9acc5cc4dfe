//! Does to one member what the protocol decided, one thing after the other.
//!
//! The order matters: a cut that hangs must not be carried out after the restore that
//! undoes it. It has a link of its own, so that a look that waits for its deadline
//! never delays a promotion. On it a session stands by: a server whose connections are all
//! taken can be fenced all the same.

use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

use super::Input;
use crate::logic::failover::{CallError, CallId};
use crate::targets::postgres::member::{MemberAction, MemberLink};

/// Between two tries to have a session stand by, and the deadline of one.
const STAND_BY_EVERY: Duration = Duration::from_secs(10);
const STAND_BY_WITHIN: Duration = Duration::from_secs(2);

/// One thing to do.
pub struct Task {
    pub call: CallId,
    pub action: MemberAction,
    pub deadline: Instant,
}

/// See the module.
pub struct Actor {
    pub link: MemberLink,
    pub tasks: mpsc::Receiver<Task>,
    pub events: mpsc::Sender<Input>,
}

impl Actor {
    /// Runs until nobody gives tasks any more.
    pub async fn run(mut self) {
        let mut due = Instant::now();
        while let Some(Task { call, action, deadline }) = self.next(&mut due).await {
            let result = if deadline <= Instant::now() {
                // Whoever asked has given it up.
                let detail = String::from("its turn came too late");
                Err(CallError { detail, unknown: false })
            } else {
                self.link.act(action, deadline).await
            };
            if self.events.send(Input::Done { call, result }).await.is_err() {
                return;
            }
        }
    }

    /// The next task; meanwhile a session is made to stand by, from `due` on.
    async fn next(&mut self, due: &mut Instant) -> Option<Task> {
        loop {
            let wanted = !self.link.is_ready();
            tokio::select! {
                biased;
                task = self.tasks.recv() => return task,
                // Its end needs no word: the look tells.
                _ = self.link.lost() => {}
                () = tokio::time::sleep_until(*due), if wanted => {
                    *due = Instant::now() + STAND_BY_EVERY;
                    let deadline = Instant::now() + STAND_BY_WITHIN;
                    tokio::select! {
                        biased;
                        task = self.tasks.recv() => return task,
                        () = self.link.stand_by(deadline) => {}
                    }
                }
            }
        }
    }
}
