//! Alerting: rules are evaluated on the ticks of the sampler, and whatever changes is
//! committed before anybody is told.
//!
//! ```text
//! head --> rounds (evaluate, no lock) --> core: life cycle, who is told what
//!                                            |
//! commands, events, silences --------------->|--> one commit (alerts, outbox) --> bus, lists
//! deliveries ------------------------------->|
//! ```
//! The pattern: [`Alerting`] is the handle that everybody has; the task of
//! [`Alerting::run`] owns the rounds. Lists read what was last committed and wait for
//! nothing. One would get it wrong by committing from two places: rows would be stored in
//! another order than they were made in.

mod compiled;
mod core;
pub mod dispatch;
mod figures;
mod lookup;
mod recovery;
pub mod replay;
mod source;
mod text;
mod wanted;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;

use self::compiled::Evaluated;
pub use self::compiled::Rounds;
pub use self::core::RuleHealth;
use self::core::{Core, NewsItem, Rows, event_key};
pub use self::figures::RoundFigures;
use self::lookup::Lookup;
pub use self::recovery::RECOVERED;
use self::source::HeadSource;
use self::wanted::{Rules, rules_of};
use crate::base::time::{Clock, Timestamp};
use crate::config::Config;
use crate::config::rule::Recording;
use crate::logic::alert::{Command, Now, Raise, Refused, Texts};
use crate::logic::notify::{self, Muted, NoticeWrite, Notifier, Restored, Undeliverable};
use crate::model::access::AuditEntry;
use crate::model::alert::{Alert, Happening};
use crate::model::alert_view::{AlertView, MutedBy};
use crate::model::event::EventType;
use crate::model::host::HostView;
use crate::model::notice::Notice;
use crate::model::rule::RuleOf;
use crate::model::severity::Severity;
use crate::model::silence::Silence;
use crate::runtime::bus::Bus;
use crate::runtime::supervisor::{Supervisor, TaskResult};
use crate::store::{Change, Store, StoreError, Write};

/// Rules are evaluated this often where no sampler ticks.
const ROUND: Duration = Duration::from_secs(1);
/// A commit may bring about another one so often: what cannot be delivered is an alert.
const MOST_COMMITS: usize = 4;
/// How long an alert that says that somebody could not be told stays.
const UNDELIVERABLE_FOR: Duration = Duration::from_secs(86_400);

/// Why an operation on alerts did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AlertError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{0}")]
    Full(String),
    #[error("alerts cannot be stored now: {0}")]
    Store(String),
}

impl From<StoreError> for AlertError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// One alert as lists show it, with what mutes it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub alert: Arc<Alert>,
    pub muted: Muted,
    /// Channels that are told of it.
    pub channels: Vec<String>,
}

/// A rule with how its evaluation goes.
#[derive(Clone, Debug)]
pub struct RuleView {
    pub of: Arc<RuleOf>,
    /// Between two evaluations.
    pub every: Duration,
    pub health: RuleHealth,
}

/// A rule and the time between two of its evaluations.
type Timetable = (Arc<RuleOf>, Duration);

struct Inner {
    clock: Arc<dyn Clock>,
    store: Store,
    bus: Bus,
    core: Arc<Mutex<Core>>,
    shown: RwLock<Arc<Vec<Shown>>>,
    rules: RwLock<Arc<Vec<Timetable>>>,
    recordings: RwLock<Arc<Vec<Recording>>>,
    /// Of the recording rules, by name.
    recorders: RwLock<Arc<BTreeMap<String, RuleHealth>>>,
    /// Names of the enabled channels.
    channels: RwLock<Arc<Vec<String>>>,
    /// Rows may be due: dispatchers look.
    outbox: watch::Sender<u64>,
    /// Figures of the rounds.
    rounds: std::sync::Mutex<RoundFigures>,
    /// Whether the configuration that was last loaded is in force.
    config_valid: ConfigValid,
}

/// Says whether the configuration that was last loaded is in force.
pub type ConfigValid = Arc<dyn Fn() -> bool + Send + Sync>;

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Alerting {
    inner: Arc<Inner>,
}

/// What the task follows.
#[derive(Clone)]
pub struct Inputs {
    pub config: watch::Receiver<Arc<Config>>,
    /// Changes with every tick of the sampler.
    pub host: watch::Receiver<Arc<HostView>>,
    /// Called just before a round: whoever holds samples back hands them in, so that what
    /// was pushed is judged within one interval.
    pub before: Arc<dyn Fn() + Send + Sync>,
}

impl Alerting {
    /// Takes up what was stored. Blocking: reads the file.
    ///
    /// # Errors
    /// [`StoreError`] when the stored alerts cannot be read.
    pub fn open(
        clock: Arc<dyn Clock>,
        store: Store,
        bus: Bus,
        config: &Config,
        config_valid: ConfigValid,
    ) -> Result<Self, StoreError> {
        let now = Now { wall: clock.now(), mono: clock.monotonic() };
        let rules = rules_of(config);
        let alerts = store.alerts()?;
        let restored =
            Restored { rows: store.outbox()?, tellings: store.tellings()?, silences: store.silences()? };
        // The newest sample says when the former process was alive.
        let mut last = None;
        store.visit_latest(Duration::from_secs(86_400), &mut |sample| last = last.max(Some(sample.at)));
        let mut rounds = Rounds::new(HeadSource::new(store.clone()));
        rounds.take(rules.rules.clone(), rules.recordings.clone());
        let empty = Notifier::restore(rules.notify.clone(), Restored::default(), [], now);
        let mut core = Core::new(empty);
        core.take_rules(&rounds.rules, now, rules.start_grace);
        let policies: Vec<_> = alerts.iter().map(|alert| core.policy(alert)).collect();
        core.notifier = Notifier::restore(rules.notify.clone(), restored, alerts.iter().zip(&policies), now);
        core.restore(alerts, now, last);
        let inner = Inner {
            clock,
            store,
            bus,
            core: Arc::new(Mutex::new(core)),
            shown: RwLock::default(),
            rules: RwLock::default(),
            recordings: RwLock::default(),
            outbox: watch::Sender::new(0),
            recorders: RwLock::default(),
            channels: RwLock::default(),
            rounds: std::sync::Mutex::default(),
            config_valid,
        };
        let alerting = Self { inner: Arc::new(inner) };
        alerting.show_rules(&rounds, &rules);
        Ok(alerting)
    }

    fn now(&self) -> Now {
        Now { wall: self.inner.clock.now(), mono: self.inner.clock.monotonic() }
    }

    /// Evaluates until `stop`.
    ///
    /// # Errors
    /// None: a rule that fails says so, and what cannot be stored is kept.
    pub async fn run(self, mut inputs: Inputs, stop: CancellationToken) -> TaskResult {
        let config = inputs.config.borrow_and_update().clone();
        let mut rules = rules_of(&config);
        let mut rounds = self.rounds(&config).await;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = inputs.host.changed() => if changed.is_err() { return Ok(()) },
                changed = inputs.config.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let next = rules_of(&inputs.config.borrow_and_update());
                    if next != rules {
                        rules = next;
                        self.take(&mut rounds, &rules).await;
                    }
                }
                () = tokio::time::sleep(ROUND) => {}
            }
            if rules.enabled {
                (inputs.before)();
                let Some(after) = self.round(rounds).await else {
                    return Err("a round of rules panicked".into());
                };
                rounds = after;
            } else {
                self.settle(&mut *self.inner.core.lock().await).await.ok();
            }
        }
    }

    /// Knows of `config` before the rules are evaluated next, so that whoever changed it
    /// sees what is in force.
    pub async fn follow(&self, config: &Config) {
        self.rounds(config).await;
    }

    /// Puts the rules of `config` in force, ready to be evaluated.
    pub async fn rounds(&self, config: &Config) -> Rounds {
        let mut rounds = Rounds::new(HeadSource::new(self.inner.store.clone()));
        self.take(&mut rounds, &rules_of(config)).await;
        rounds
    }

    /// Puts other rules in force.
    async fn take(&self, rounds: &mut Rounds, rules: &Rules) {
        rounds.take(rules.rules.clone(), rules.recordings.clone());
        let mut core = self.inner.core.lock().await;
        let now = self.now();
        core.take_rules(&rounds.rules, now, rules.start_grace);
        core.silent.clone_from(&rules.silent);
        core.notifier.configure(rules.notify.clone(), now);
        self.show_rules(rounds, rules);
        if let Err(error) = self.settle(&mut core).await {
            tracing::warn!(%error, "alerts wait to be stored");
        }
    }

    fn show_rules(&self, rounds: &Rounds, rules: &Rules) {
        let shown = rounds.rules.iter().map(|one| (one.of.clone(), one.timed.every())).collect();
        *self.inner.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
        *self.inner.recordings.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(rules.recordings.clone());
        let enabled = rules.notify.channels.iter().filter(|(_, channel)| channel.enabled);
        *self.inner.channels.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(enabled.map(|(name, _)| name.clone()).collect());
    }

    /// One round over the rules that are due. `None` when it panicked.
    pub async fn round(&self, mut rounds: Rounds) -> Option<Rounds> {
        let now = self.now();
        let (clock, store) = (self.inner.clock.clone(), self.inner.store.clone());
        let work = move || {
            let elapsed = || clock.monotonic().0;
            if let Some(frame) = rounds.record(now, &elapsed) {
                store.append("rules", now.wall, &frame);
            }
            let evaluated = rounds.evaluate(now, &elapsed);
            (rounds, evaluated)
        };
        let (rounds, evaluated) = Supervisor::blocking(work).await?;
        *self.inner.recorders.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(rounds.recorders_health());
        let (rounds, mut core) = self.judge(rounds, evaluated, now).await?;
        if let Err(error) = self.settle(&mut core).await {
            tracing::warn!(%error, "alerts wait to be stored");
        }
        let took = self.inner.clock.monotonic().since(now.mono);
        let mut figures = self.inner.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        figures.round(now, took, ROUND);
        if figures.is_due(now) {
            // What mutes an alert also changes with the time alone.
            core.changed = true;
            let valid = (self.inner.config_valid)();
            let (shown, store) = (self.alerts(), &self.inner.store);
            let frame = figures::frame(&figures, &shown, core.notifier.rows(), store, valid, now.wall);
            store.append("alerting", now.wall, &frame);
        }
        drop(core);
        drop(figures);
        Some(rounds)
    }

    /// Judges what rules answered. `None` when it panicked.
    async fn judge(
        &self,
        rounds: Rounds,
        evaluated: Vec<Evaluated>,
        now: Now,
    ) -> Option<(Rounds, OwnedMutexGuard<Core>)> {
        let mut core = self.inner.core.clone().lock_owned().await;
        let lookup = Lookup::new(self.inner.store.clone(), self.inner.clock.clone(), now.wall);
        let asks = rounds.ask(&evaluated);
        let work = move || {
            core.judge(&rounds.rules, evaluated, now, &|expr| lookup.answer(expr));
            (rounds, core)
        };
        // Only texts that ask the store for more wait for it, on a thread that may.
        if asks { Supervisor::blocking(work).await } else { Some(work()) }
    }

    /// Commits what is owed, tells of it, and brings the lists up to date.
    async fn settle(&self, core: &mut Core) -> Result<(), StoreError> {
        for _ in 0..MOST_COMMITS {
            let now = self.now();
            let rows = core.take_rows(now);
            if rows.is_empty() {
                break;
            }
            let change = Change { writes: writes_of(&rows), audit: None };
            if let Err(error) = self.inner.store.commit(change).await {
                core.not_committed(rows);
                self.show(core);
                return Err(error);
            }
            self.inner.outbox.send_modify(|version| *version += 1);
            for undeliverable in rows.plan.undeliverable {
                let raise = told_nobody(&undeliverable, now);
                if let Err(error) = core.raise(raise, now) {
                    tracing::error!(%error, channel = undeliverable.channel, "a notification was given up");
                }
            }
        }
        let news = core.take_news();
        self.publish(core, news);
        self.show(core);
        Ok(())
    }

    fn publish(&self, core: &Core, news: Vec<NewsItem>) {
        for NewsItem { what, alert } in news {
            if what != Happening::Pending {
                tracing::info!(alert = alert.rule, id = alert.id, what = ?what, severity = %alert.severity, "{}", alert.title);
            }
            let muted = core.notifier.muted(&alert.id).unwrap_or_default();
            let view = AlertView::of(&alert, muted_by(&muted));
            let data = json!({ "action": what, "alert": view });
            self.inner.bus.publish(EventType::Alert, data);
        }
    }

    fn show(&self, core: &mut Core) {
        if !std::mem::take(&mut core.changed) {
            return;
        }
        let shown = |alert: &Alert| Shown {
            alert: Arc::new(alert.clone()),
            muted: core.notifier.muted(&alert.id).unwrap_or_default(),
            channels: core.notifier.channels(&alert.id),
        };
        let mut list: Vec<Shown> = core.alerts().map(shown).collect();
        list.sort_by(|a, b| a.alert.id.cmp(&b.alert.id));
        *self.inner.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
    }

    /// Everything that is pending or more, oldest first, as last committed.
    pub fn alerts(&self) -> Arc<Vec<Shown>> {
        self.inner.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every alerting rule, in the order of their configuration.
    pub async fn rules(&self) -> Vec<RuleView> {
        let rules = self.inner.rules.read().unwrap_or_else(PoisonError::into_inner).clone();
        let core = self.inner.core.lock().await;
        let view = |(of, every): &Timetable| RuleView {
            of: of.clone(),
            every: *every,
            health: core.health(&of.rule.name).cloned().unwrap_or_default(),
        };
        rules.iter().map(view).collect()
    }

    pub fn recordings(&self) -> Arc<Vec<Recording>> {
        self.inner.recordings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the evaluation of the recording rules goes, by their names.
    pub fn recorders(&self) -> Arc<BTreeMap<String, RuleHealth>> {
        self.inner.recorders.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Names of the enabled channels.
    pub fn channels(&self) -> Arc<Vec<String>> {
        self.inner.channels.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn figures(&self) -> RoundFigures {
        *self.inner.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what an operator wants with an alert; durable when it answers.
    ///
    /// # Errors
    /// [`AlertError`].
    pub async fn command(&self, id: &str, command: Command) -> Result<Alert, AlertError> {
        let mut core = self.inner.core.lock().await;
        let alert = core.command(id, command, self.now())?;
        self.settle(&mut core).await?;
        Ok(alert)
    }

    /// Begins an event or brings it up to date; durable when it answers. `None`: it was
    /// over already and not known.
    ///
    /// # Errors
    /// [`AlertError`].
    pub async fn raise(&self, raise: Raise) -> Result<Option<Alert>, AlertError> {
        let mut core = self.inner.core.lock().await;
        let alert = core.raise(raise, self.now()).map_err(|full| AlertError::Full(full.to_string()))?;
        self.settle(&mut core).await?;
        Ok(alert)
    }

    /// The same for many, in one transaction; how many found no room.
    ///
    /// # Errors
    /// [`AlertError::Store`].
    pub async fn raise_all(&self, raises: Vec<Raise>) -> Result<usize, AlertError> {
        let mut core = self.inner.core.lock().await;
        let now = self.now();
        let refused = core.raise_all(raises, now);
        self.settle(&mut core).await?;
        Ok(refused)
    }

    /// Stores silences and takes others away; durable when it answers.
    ///
    /// # Errors
    /// [`AlertError::Store`]; then nothing changed.
    pub async fn change_silences(
        &self,
        put: impl IntoIterator<Item = Silence>,
        delete: Option<String>,
        audit: AuditEntry,
    ) -> Result<(), AlertError> {
        let mut core = self.inner.core.lock().await;
        let mut writes: Vec<Write> = put.into_iter().map(Write::PutSilence).collect();
        writes.extend(delete.map(|id| Write::DeleteSilence { id }));
        self.inner.store.commit(Change { writes, audit: Some(audit) }).await?;
        let store = self.inner.store.clone();
        let silences = Supervisor::blocking(move || store.silences()).await;
        if let Some(Ok(silences)) = silences {
            core.notifier.set_silences(silences, self.now());
        }
        core.changed = true;
        self.settle(&mut core).await?;
        Ok(())
    }

    async fn lock(&self) -> MutexGuard<'_, Core> {
        self.inner.core.lock().await
    }

    /// What `channel` is to be sent now, oldest first; each is under way until it is
    /// reported.
    pub async fn due(&self, channel: &str, most: usize) -> Vec<Notice> {
        let now = self.now();
        self.lock().await.notifier.due(channel, now, most)
    }

    /// When `channel` has something to be sent.
    pub async fn next_due(&self, channel: &str) -> Option<Timestamp> {
        self.lock().await.notifier.next_due(channel)
    }

    /// How sending a row ended; durable when it answers.
    ///
    /// # Errors
    /// [`AlertError::Store`]: the row is tried again after the next commit.
    pub async fn report(&self, id: &str, outcome: notify::Outcome, jitter: f64) -> Result<(), AlertError> {
        let mut core = self.lock().await;
        core.notifier.report(id, outcome, self.now(), jitter);
        self.settle(&mut core).await?;
        Ok(())
    }

    /// Rows of a dispatcher that is gone are due again.
    pub async fn release(&self, channel: &str) {
        self.lock().await.notifier.release(channel);
    }

    /// Tries a row now; whether there is such a row.
    ///
    /// # Errors
    /// [`AlertError::Store`].
    pub async fn retry_now(&self, id: &str) -> Result<bool, AlertError> {
        let mut core = self.lock().await;
        let known = core.notifier.retry_now(id, self.now());
        self.settle(&mut core).await?;
        Ok(known)
    }

    /// The open rows of the outbox.
    pub async fn outbox(&self) -> Vec<Notice> {
        self.lock().await.notifier.rows().cloned().collect()
    }

    /// Changes whenever rows may be due.
    pub fn subscribe_outbox(&self) -> watch::Receiver<u64> {
        self.inner.outbox.subscribe()
    }
}

/// What mutes an alert, in the words of the lists.
pub fn muted_by(muted: &Muted) -> MutedBy {
    MutedBy {
        silences: muted.silences.clone(),
        alerts: muted.inhibited_by.clone(),
        maintenance: muted.maintenance,
        waits_until: muted.waits_until.max(muted.sees_until),
    }
}

fn writes_of(rows: &Rows) -> Vec<Write> {
    let put = rows.put.iter().map(|alert| Write::PutAlert(Box::new(alert.clone())));
    let delete = rows.delete.iter().map(|id| Write::DeleteAlert { id: id.clone() });
    let notices = rows.plan.writes.iter().map(|write| match write {
        NoticeWrite::Put(notice) => Write::PutNotice(Box::new(notice.clone())),
        NoticeWrite::Delete { id } => Write::DeleteNotice { id: id.clone() },
        NoticeWrite::Log(notice) => Write::LogNotice(Box::new(notice.clone())),
        NoticeWrite::PutTelling(telling) => Write::PutTelling(telling.clone()),
        NoticeWrite::DeleteTelling { alert } => Write::DeleteTelling { alert: alert.clone() },
    });
    put.chain(delete).chain(notices).collect()
}

/// The alert that says that somebody could not be told.
fn told_nobody(undeliverable: &Undeliverable, now: Now) -> Raise {
    let Undeliverable { channel, titles, reason, .. } = undeliverable;
    let labels = BTreeMap::from([
        (String::from("alertname"), notify::UNDELIVERABLE.to_owned()),
        (String::from("channel"), channel.clone()),
        (String::from("severity"), Severity::High.word().to_owned()),
    ]);
    Raise {
        key: event_key(&labels),
        kind: notify::UNDELIVERABLE.to_owned(),
        texts: Texts {
            labels,
            annotations: BTreeMap::new(),
            source: String::from("holdfast"),
            resource_type: Some(String::from("channel")),
            resource_id: Some(channel.clone()),
            title: format!("The channel {channel} could not be told"),
            message: format!("Given up: {}. {reason}", titles.join("; ")),
        },
        severity: Severity::High,
        value: None,
        started_at: None,
        expires_at: now.wall.plus(UNDELIVERABLE_FOR),
    }
}
