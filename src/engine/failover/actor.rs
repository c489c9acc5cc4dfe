//! Does to one member what the protocol decided, one thing after the other.
//!
//! The order matters: a cut that hangs must not be carried out after the restore that
//! undoes it. It has a link of its own, so that a look that waits for its deadline
//! never delays a promotion.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Input;
use crate::logic::failover::{CallError, CallId};
use crate::targets::postgres::member::{MemberAction, MemberLink};

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
        while let Some(Task { call, action, deadline }) = self.tasks.recv().await {
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
}
