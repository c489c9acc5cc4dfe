//! The write canary: an empty message in the log, committed.
//!
//! It needs no table and no right, and its commit waits for the disk and for synchronous
//! standbys as a client's does. A commit that hangs cannot be taken back, and its backend
//! stays until the server goes on, so it is kept and waited for again by the next look.
//! Wrong would be a new one per look: a server whose synchronous standby is gone would run
//! out of connections by our doing.

use std::future::Future;
use std::pin::Pin;

use tokio::time::{Instant, timeout_at};

use crate::targets::postgres::access::Access;
use crate::targets::postgres::session::Session;

pub const COMMIT: &str = "select pg_logical_emit_message(true, 'holdfast', '')";

/// A commit on its way; the session, and whether it came about.
type Commit = Pin<Box<dyn Future<Output = (Session, bool)> + Send>>;

/// See the module.
#[derive(Default)]
pub struct Canary {
    pending: Option<Commit>,
}

impl Canary {
    /// Whether a commit comes about by `deadline`; `None` where none was sent, because there is no
    /// session for it. `fresh` is a session to use, if there is one.
    pub async fn commits(
        &mut self,
        access: &mut Access,
        fresh: Option<Session>,
        deadline: Instant,
    ) -> Option<bool> {
        let mut commit = match self.pending.take() {
            Some(pending) => pending,
            None => {
                let session = match fresh {
                    Some(session) => Ok(session),
                    None => access.open(deadline).await.map(|opened| opened.session),
                };
                // A server without a free connection, or an agent without a free descriptor, has
                // shown nothing of commits.
                let mut session = session.ok()?;
                Box::pin(async move {
                    let done = session.rows(COMMIT).await.is_ok();
                    (session, done)
                })
            }
        };
        match timeout_at(deadline, &mut commit).await {
            Ok((session, done)) => {
                session.close(deadline).await;
                Some(done)
            }
            Err(_) => {
                self.pending = Some(commit);
                Some(false)
            }
        }
    }

    /// The server may be another now: nobody waits any more.
    pub fn forget(&mut self) {
        self.pending = None;
    }
}
