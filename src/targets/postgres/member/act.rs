//! What can be done to a member, and the way from the wish to its answer.
//!
//! Every action may be done twice: after a crash of the agent it is. None is done on the
//! kept session, and each ends by its deadline.

use tokio::time::{Duration, Instant};

use super::effects::Effects;
use super::{MemberLink, fence, standby};
use crate::base::secret::Secret;
use crate::logic::failover::{Answer, CallError};
use crate::model::failover::lsn::Lsn;

/// [`crate::logic::failover::Action`] without hooks, with addresses in place of names and
/// with secrets unsealed.
#[derive(Clone, Debug)]
pub enum MemberAction {
    /// Empties `primary_conninfo` and waits until the receiver is gone.
    Cut,
    /// Puts back `primary_conninfo`.
    Restore {
        conninfo: Secret,
    },
    /// Read-only by default, waits for a synchronous standby nobody is, sessions ended.
    Fence {
        epoch: u64,
    },
    /// Takes the fence off.
    Unfence {
        sync_names: String,
    },
    Promote,
    Verify,
    /// Follows another server, with what `conninfo` says of all but the address.
    Repoint {
        host: String,
        port: u16,
        conninfo: Secret,
    },
    SyncNames {
        names: String,
    },
    /// Ends idle sessions at once and the others after `drain`, then fences.
    Drain {
        epoch: u64,
        drain: Duration,
    },
    /// Waits until `lsn` is replayed.
    Replay {
        lsn: Lsn,
    },
}

impl MemberLink {
    /// Does `action` by `deadline`.
    ///
    /// # Errors
    /// Why it was not done, and whether it may have been all the same.
    pub async fn act(&mut self, action: MemberAction, deadline: Instant) -> Result<Answer, CallError> {
        let remembered = self.kept.as_ref().and_then(|kept| kept.memory.timeline);
        let mut effects = Effects::begin(self, deadline).await?;
        let to = &mut effects;
        let done = match action {
            MemberAction::Cut => standby::cut(to, remembered).await,
            MemberAction::Restore { conninfo } => standby::follow(to, &conninfo).await,
            MemberAction::Repoint { host, port, conninfo } => {
                standby::repoint(to, &host, port, &conninfo).await
            }
            MemberAction::Replay { lsn } => standby::replay(to, lsn).await,
            MemberAction::Promote => standby::promote(to).await,
            MemberAction::Verify => standby::verify(to, &mut self.access).await,
            MemberAction::Fence { epoch } => fence::fence(to, epoch).await,
            MemberAction::Unfence { sync_names } => fence::unfence(to, &sync_names).await,
            MemberAction::SyncNames { names } => fence::sync_names(to, &names).await,
            MemberAction::Drain { epoch, drain } => fence::drain(to, epoch, drain).await,
        };
        if done.is_ok() {
            effects.end().await;
        }
        done
    }
}
