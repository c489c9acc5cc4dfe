//! What the API and the command line hold of the failover groups.
//!
//! ```text
//! handler --Ask--> bounded queue --> supervision     (Wiring::next_ask)
//! handler <--Arc<Vec<GroupView>>-- watch <-- supervision     (Wiring::show)
//! ```
//! The pattern: looking costs nothing and never waits for a group; telling goes through
//! one bounded queue and has a deadline. An answer to a command says that it was begun
//! and is durable, or why not, never how it ended: a switchover takes as long as its
//! servers do, which [`Failovers::settled`] waits for. Wrong would be to give handlers the
//! groups themselves: a request that hangs would then hold up a failover.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::base::id::Name;
use crate::base::time::Timestamp;
use crate::logic::failover::Command;
use crate::model::failover::group::{LastFailover, Refusal, RefusalCode, State};
use crate::model::failover::view::{CheckReport, GroupView};

/// For a command to be begun and made durable.
const COMMAND_DEADLINE: Duration = Duration::from_secs(10);
/// For every member to be asked everything.
const CHECK_DEADLINE: Duration = Duration::from_secs(20);
/// Of a drill: for a switchover to end, and for the former active member to follow again.
const SWITCH_DEADLINE: Duration = Duration::from_secs(60);
const REJOIN_DEADLINE: Duration = Duration::from_secs(30 * 60);

/// Why a group did not do as it was told.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CommandError {
    #[error("there is no failover group of that name under supervision")]
    NoGroup,
    #[error("{}", .0.detail)]
    Refused(Refusal),
    /// Nobody supervises now, or no answer came in time: then it may be begun all the same.
    #[error("the supervision of failover groups does not answer: {0}")]
    Unavailable(&'static str),
}

/// Something asked of the supervision; whoever takes it must answer `reply`.
#[derive(Debug)]
pub enum Ask {
    Command {
        group: Name,
        command: Command,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// A dry run.
    Check {
        group: Name,
        reply: oneshot::Sender<Result<CheckReport, CommandError>>,
    },
}

/// See the module; cheap to clone.
#[derive(Clone, Debug)]
pub struct Failovers {
    asks: mpsc::Sender<Ask>,
    views: watch::Receiver<Arc<Vec<GroupView>>>,
}

/// The other end, for the task that supervises. A task that is started again takes it up
/// where the last one left it.
#[derive(Clone, Debug)]
pub struct Wiring {
    asks: Arc<Mutex<mpsc::Receiver<Ask>>>,
    views: watch::Sender<Arc<Vec<GroupView>>>,
}

impl Wiring {
    /// The next thing that is asked; `None` when nobody can ask any more.
    pub async fn next_ask(&self) -> Option<Ask> {
        self.asks.lock().await.recv().await
    }

    /// Shows the groups as they are now, in the order of the configuration.
    pub fn show(&self, groups: Vec<GroupView>) {
        self.views.send_if_modified(|shown| {
            let changed = **shown != groups;
            if changed {
                *shown = Arc::new(groups);
            }
            changed
        });
    }
}

/// How a drill went: there and back.
#[derive(Clone, PartialEq, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct DrillReport {
    pub there: LastFailover,
    pub back: LastFailover,
}

impl Failovers {
    /// At most `capacity` asks wait.
    pub fn new(capacity: usize) -> (Self, Wiring) {
        let (asks, taken) = mpsc::channel(capacity);
        let (shown, views) = watch::channel(Arc::default());
        (Self { asks, views }, Wiring { asks: Arc::new(Mutex::new(taken)), views: shown })
    }

    /// Every group under supervision.
    pub fn groups(&self) -> Arc<Vec<GroupView>> {
        self.views.borrow().clone()
    }

    pub fn group(&self, name: &str) -> Option<GroupView> {
        self.views.borrow().iter().find(|group| group.name == name).cloned()
    }

    /// Told about every change of any group.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Vec<GroupView>>> {
        self.views.clone()
    }

    /// Tells a group; begun and durable when it returns.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn command(&self, group: &Name, command: Command) -> Result<(), CommandError> {
        let ask = |reply| Ask::Command { group: group.clone(), command, reply };
        self.ask(COMMAND_DEADLINE, ask).await
    }

    /// Asks every member and says what a failover would do. Changes nothing.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn check(&self, group: &Name) -> Result<CheckReport, CommandError> {
        self.ask(CHECK_DEADLINE, |reply| Ask::Check { group: group.clone(), reply }).await
    }

    async fn ask<T>(
        &self,
        deadline: Duration,
        ask: impl FnOnce(oneshot::Sender<Result<T, CommandError>>) -> Ask,
    ) -> Result<T, CommandError> {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            let gone = |_| CommandError::Unavailable("nobody supervises them now");
            self.asks.send(ask(reply)).await.map_err(|_| CommandError::Unavailable("it is not running"))?;
            answer.await.map_err(gone)?
        };
        let late = CommandError::Unavailable("no answer within its deadline");
        tokio::time::timeout(deadline, exchange).await.unwrap_or(Err(late))
    }

    /// Waits until what was begun at `since`, when the group was as `before`, has ended;
    /// `None` when it has not within `within`, or when nobody supervises any more.
    pub async fn settled(&self, before: &GroupView, since: Timestamp, within: Duration) -> Option<GroupView> {
        let ended = |group: &GroupView| {
            let refused = group.refusal.as_ref().is_some_and(|refusal| refusal.at >= since);
            is_at_rest(group.state) && (group.epoch > before.epoch || refused)
        };
        self.until(&before.name, within, ended).await
    }

    /// Waits until the group is as `wanted`.
    pub async fn until(
        &self,
        group: &str,
        within: Duration,
        wanted: impl Fn(&GroupView) -> bool,
    ) -> Option<GroupView> {
        let mut views = self.views.clone();
        let found = |views: &Arc<Vec<GroupView>>| {
            views.iter().find(|view| view.name == group).filter(|view| wanted(view)).cloned()
        };
        let seen = tokio::time::timeout(within, views.wait_for(|views| found(views).is_some())).await;
        seen.ok()?.ok().and_then(|views| found(&views))
    }

    /// A real switchover to whoever would be promoted, and back once the former active
    /// member follows again, which takes a rejoin hook. `now` tells the time.
    ///
    /// # Errors
    /// [`CommandError`]; the group stays where it was then.
    pub async fn drill(
        &self,
        group: &Name,
        now: impl Fn() -> Timestamp,
    ) -> Result<DrillReport, CommandError> {
        let refused = |code, detail: String| CommandError::Refused(Refusal { code, detail, at: now() });
        let before = self.group(group.as_str()).ok_or(CommandError::NoGroup)?;
        let (Some(home), Some(away)) = (before.active.clone(), before.would_promote.clone()) else {
            let detail = String::from("no other member could take over, expected a standby that may");
            return Err(refused(RefusalCode::NoCandidate, detail));
        };
        let there = self.switch(group, &away, &now).await?;
        let follows = |view: &GroupView| view.member(&home).is_some_and(|member| member.attached);
        if self.until(group.as_str(), REJOIN_DEADLINE, follows).await.is_none() {
            let detail = format!(
                "{away} is active, and {home} did not follow it within {} min: switch over by hand once it does",
                REJOIN_DEADLINE.as_secs() / 60
            );
            return Err(refused(RefusalCode::NotAttached, detail));
        }
        let back = self.switch(group, &home, &now).await?;
        Ok(DrillReport { there, back })
    }

    async fn switch(
        &self,
        group: &Name,
        to: &str,
        now: &impl Fn() -> Timestamp,
    ) -> Result<LastFailover, CommandError> {
        let before = self.group(group.as_str()).ok_or(CommandError::NoGroup)?;
        let (since, to) = (now(), Name::new(to).map_err(|_| CommandError::NoGroup)?);
        self.command(group, Command::Switchover { to: Some(to.clone()) }).await?;
        let after = self.settled(&before, since, SWITCH_DEADLINE).await;
        let after = after.ok_or(CommandError::Unavailable("a switchover did not end within its deadline"))?;
        match (after.last_failover, after.refusal) {
            (Some(last), _) if last.epoch > before.epoch && last.to == to.as_str() => Ok(last),
            (_, Some(refusal)) => Err(CommandError::Refused(refusal)),
            _ => {
                let detail = format!("the switchover to {to} did not lead there");
                Err(CommandError::Refused(Refusal { code: RefusalCode::Failed, detail, at: now() }))
            }
        }
    }
}

/// Whether nothing is under way in that state.
pub const fn is_at_rest(state: State) -> bool {
    match state {
        State::Steady
        | State::Refused
        | State::Paused
        | State::Manual
        | State::SplitBrain
        | State::Observing
        | State::Disabled => true,
        State::Suspect
        | State::Confirmed
        | State::Unrouted
        | State::Cut
        | State::Promoting
        | State::Verifying
        | State::Switching => false,
    }
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
