//! Checks, their pings, and the tasks of the user: durable first, then told.
//!
//! ```text
//! ping, command --> turn of its check --> step on a copy --> one commit --> memory, bus --> answer
//! tick ----------> what time alone changes, the same way
//! configuration -> checks appear, leave, change their pace
//! ```
//! The pattern: whoever changes a check or a task waits for its turn, works on a copy,
//! and puts the copy in place when the commit that holds it is done. So an answered ping
//! is on the disk, and pings of different checks share a commit. A change runs to its
//! end when whoever asked goes away. Wrong would be to change memory first: after a
//! failed commit the job would try again, and its run would have ended twice.

mod board;
mod checks;
mod series;
mod tasks;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use self::checks::{Address, PingRequest};
pub use self::tasks::NewTask;

use self::board::{Board, Plan, Watched, pace_of};
use self::series::Series;
use crate::base::secret::Secret;
use crate::base::time::Clock;
use crate::config::Config;
use crate::logic::check::{Check, Event, Moment};
use crate::logic::tasks::WrongState;
use crate::model::check::{CheckStatus, PingId, SavedCheck};
use crate::model::task::Task;
use crate::runtime::bus::Bus;
use crate::runtime::supervisor::{Phase, Supervisor, TaskResult};
use crate::store::{Change, Store, StoreError, Write};

const TICK: Duration = Duration::from_secs(1);
/// Changes of different checks and tasks that may be under way at once.
const TURNS: usize = 16;
/// Checks that are configured no more and keep their id, should they come back.
const MOST_ABSENT: usize = 256;

/// Why something was not done. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("not found")]
    UnknownAddress,
    #[error("there is no check `{0}`")]
    UnknownCheck(String),
    #[error("there is no task `{0}`")]
    UnknownTask(String),
    #[error("the task `{0}` exists already")]
    Exists(String),
    #[error("the task `{id}` is reported by the pings of the check `{check}`")]
    OfCheck { id: String, check: String },
    #[error("the check `{0}` is switched off: set `enabled` to true")]
    Off(String),
    #[error(transparent)]
    State(#[from] WrongState),
    #[error("`{member}`: {detail}")]
    Invalid { member: &'static str, detail: String },
    #[error("this check reports more than {} times a minute", checks::PINGS_PER_MINUTE)]
    TooMany {
        /// Until it may report again.
        wait: Duration,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the change could not be made")]
    Failed,
}

/// What a keeper is given; all of it is shared with others.
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub store: Store,
    pub bus: Bus,
    pub supervisor: Supervisor,
    pub config: watch::Receiver<Arc<Config>>,
}

/// What the store held at the start.
#[derive(Debug, Default)]
pub struct Saved {
    pub checks: BTreeMap<String, SavedCheck>,
    pub tasks: Vec<Task>,
    pub ping_key: Option<Secret>,
}

impl Saved {
    /// Blocking: reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be read.
    pub fn read(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { checks: store.checks()?, tasks: store.tasks()?, ping_key: store.ping_key()? })
    }
}

struct Inner {
    parts: Parts,
    board: Mutex<Board>,
    series: Mutex<Series>,
    turns: [Arc<tokio::sync::Mutex<()>>; TURNS],
    /// One look at the configuration at a time.
    following: tokio::sync::Mutex<()>,
}

/// See the module; cheap to clone.
#[derive(Clone)]
pub struct TaskKeeper {
    inner: Arc<Inner>,
}

impl TaskKeeper {
    pub fn new(parts: Parts, saved: Saved) -> Self {
        let inner = Inner {
            board: Mutex::new(Board::new(saved)),
            series: Mutex::default(),
            parts,
            turns: Default::default(),
            following: tokio::sync::Mutex::default(),
        };
        let keeper = Self { inner: Arc::new(inner) };
        keeper.adopt();
        keeper
    }

    /// Watches what is configured and was saved: goes on where it was.
    fn adopt(&self) {
        let (config, now) = (self.config(), self.moment());
        let mut board = self.board();
        for section in &config.check {
            if let Some(saved) = board.absent.remove(section.name.as_str()) {
                board.watch(Watched::new(Check::restored(saved, now), section.clone()));
            }
        }
    }

    /// Keeps time until `stop`.
    ///
    /// # Errors
    /// None; the type is that of every task.
    pub async fn run(self, stop: CancellationToken) -> TaskResult {
        let mut config = self.inner.parts.config.clone();
        let mut beat = tokio::time::interval(TICK);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = beat.tick() => {}
                changed = config.changed() => if changed.is_err() { return Ok(()) },
            }
            config.borrow_and_update();
            if let Err(error) = self.follow().await {
                tracing::warn!(%error, "the checks do not follow the configuration yet");
            }
            self.tick().await;
        }
    }

    /// Changes what time alone changes, and writes the series that are due.
    pub async fn tick(&self) {
        let now = self.moment();
        let due = self.board().due(now);
        let steps = due.into_iter().map(|name| self.step(name, |_| Event::Tick, true));
        for done in futures_util::future::join_all(steps).await {
            if let Err(error) = done {
                tracing::warn!(%error, "a check could not be saved");
            }
        }
        self.write_series();
    }

    /// Brings the checks in line with the configuration; those that are new have their
    /// id, and it is durable, when this returns.
    ///
    /// # Errors
    /// The store's; what was done before is done.
    pub async fn follow(&self) -> Result<(), KeepError> {
        let _one_at_a_time = self.inner.following.lock().await;
        self.ensure_key().await?;
        let config = self.config();
        let listed = |name: &str| config.check.iter().any(|section| section.name.as_str() == name);
        let surplus = {
            let mut board = self.board();
            board.leave(|name| listed(name));
            board.surplus(MOST_ABSENT)
        };
        if !surplus.is_empty() {
            let writes = surplus.iter().map(|name| Write::DeleteCheck { name: name.clone() }).collect();
            self.inner.parts.store.commit(Change { writes, audit: None }).await?;
        }
        for section in &config.check {
            let name = section.name.as_str();
            if self.board().checks.contains_key(name) {
                self.repace(section).await?;
                continue;
            }
            let kept = self.board().absent.get(name).map(|saved| saved.id);
            let id = match kept {
                Some(id) => id,
                None => PingId::random(random()?),
            };
            let mut check = Check::new(id, self.moment());
            if !section.enabled {
                check.step(Event::Pause, pace_of(section), self.moment());
            }
            let writes = vec![Write::PutCheck { name: name.to_owned(), saved: check.saved() }];
            self.inner.parts.store.commit(Change { writes, audit: None }).await?;
            let mut board = self.board();
            board.absent.remove(name);
            board.watch(Watched::new(check, section.clone()));
        }
        Ok(())
    }

    /// A check that is watched has another section now.
    async fn repace(&self, section: &crate::config::heartbeat::Check) -> Result<(), KeepError> {
        let name = section.name.to_string();
        let (event, before) = {
            let mut board = self.board();
            let Some(watched) = board.checks.get(&name) else { return Ok(()) };
            let before = watched.section.clone();
            let paused = watched.check.status() == CheckStatus::Paused;
            let event = match (before.enabled, section.enabled) {
                (_, false) if !paused => Some(Event::Pause),
                (false, true) => Some(Event::Resume),
                _ => (pace_of(&before) != pace_of(section)).then_some(Event::Paced),
            };
            board.set_section(section.clone());
            (event, before)
        };
        let Some(event) = event else { return Ok(()) };
        let done = self.step(name, move |_| event, false).await;
        if done.is_err() {
            // Seen again as a change at the next look.
            self.board().set_section(before);
        }
        done
    }

    /// Takes a step of a check in its turn. With `anyway` also when it cannot be saved:
    /// what time alone does is done again after a restart.
    async fn step(
        &self,
        name: String,
        event: impl FnOnce(&Watched) -> Event<'static> + Send + 'static,
        anyway: bool,
    ) -> Result<(), KeepError> {
        let this = self.clone();
        self.in_turn(&name.clone(), async move {
            let (now, plan) = (this.moment(), Plan::new(this.inner.parts.clock.monotonic()));
            let plan = {
                let mut board = this.board();
                let watched = board.checks.get(&name).ok_or(KeepError::UnknownCheck(name.clone()))?;
                let (event, mut check) = (event(watched), watched.check.clone());
                let effects = check.step(event, watched.pace(), now);
                if effects.is_empty() {
                    return Ok(());
                }
                board.plan(plan, &name, check, &effects, now, None)
            };
            this.carry_out(plan, None, anyway).await
        })
        .await
    }

    /// Commits a plan, puts it in place and tells of it.
    async fn carry_out(
        &self,
        plan: Plan,
        audit: Option<crate::model::access::AuditEntry>,
        anyway: bool,
    ) -> Result<(), KeepError> {
        let committed = self.inner.parts.store.commit(Change { writes: plan.writes(), audit }).await;
        if committed.is_err() && !anyway {
            return Ok(committed?);
        }
        let told = plan.told();
        self.board().put(plan);
        for data in told {
            self.inner.parts.bus.publish(crate::model::event::EventType::Task, data);
        }
        Ok(committed?)
    }

    /// Runs `work` when it is the turn of `key`, and to its end even when the caller
    /// goes away: the store would hold what memory does not know.
    async fn in_turn<T: Send + 'static>(
        &self,
        key: &str,
        work: impl Future<Output = Result<T, KeepError>> + Send + 'static,
    ) -> Result<T, KeepError> {
        let sum = key.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let turn = self.inner.turns[sum % TURNS].clone().lock_owned().await;
        let (answer, answered) = oneshot::channel();
        self.inner.parts.supervisor.spawn_once(Phase::Engine, async move {
            let done = work.await;
            drop(turn);
            let _ = answer.send(done);
        });
        answered.await.unwrap_or(Err(KeepError::Failed))
    }

    async fn ensure_key(&self) -> Result<(), KeepError> {
        if self.board().key.is_some() { Ok(()) } else { self.draw_key(None).await }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.inner.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> Arc<Config> {
        self.inner.parts.config.borrow().clone()
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.inner.parts.clock.now(), mono: self.inner.parts.clock.monotonic() }
    }
}

/// Random bytes from the system.
fn random() -> Result<[u8; 16], KeepError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Unavailable {
        reason: format!("the system gives no random numbers: {error}"),
    })?;
    Ok(bytes)
}

/// The first line that says something, for a message.
fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(200).collect())
}
