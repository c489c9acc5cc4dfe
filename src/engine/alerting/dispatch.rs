//! Sends what the outbox owes, each channel one message at a time.
//!
//! ```text
//! outbox changed, a time is due --> channel idle? --> breaker --> due row --> deliver --> report (commit)
//! ```
//! The pattern: all deliveries run in one task and none waits for another; a channel that
//! hangs holds up its own messages only. Nothing is kept here: which rows wait, and how
//! each ended, is the notifier's, so the task may be started again at any time. Behind each
//! channel stands a breaker, because an outbox full of rows must not hammer a server that
//! is down. One would get it wrong by taking a row out before its delivery is stored:
//! after a crash nobody would know of it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Alerting;
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::channels::{self, Channel, Context, Exchange, Plan, Surroundings, Verdict, heartbeat};
use crate::config::Config;
use crate::logic::breaker::Settings as BreakerSettings;
use crate::logic::notify::Outcome;
use crate::model::message::sample_notice;
use crate::model::notice::NoticeKind;
use crate::model::probe::OutcomeClass;
use crate::runtime::breaker::Breaker;
use crate::runtime::supervisor::TaskResult;

/// Nothing is slept through for longer: the clock may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Nor is anything looked at more often.
const SHORTEST_SLEEP: Duration = Duration::from_millis(10);
/// The answer of a channel that gave none.
const LATE: &str = "no answer in time";
/// A channel whose breaker does not say when is asked again after this.
const UNTOLD: Duration = Duration::from_secs(30);
/// Three failures in a row open a channel's breaker, for half a minute at first.
const BREAKER: BreakerSettings = BreakerSettings {
    failure_threshold: 3,
    window: Duration::from_secs(300),
    minimum_calls: 1000,
    failure_share: 1.0,
    slow_call: Duration::from_secs(60),
    slow_share: 1.0,
    open_for: Duration::from_secs(30),
    max_open_for: Duration::from_secs(900),
    half_open_calls: 1,
    close_after: 1,
    call_timeout: Duration::from_secs(60),
};

/// What a test of a channel came to.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Tested {
    pub delivered: bool,
    /// One line: what was answered, or why there was no answer.
    pub answer: String,
    /// What was really sent; secrets masked.
    pub request: String,
    /// What really came back; secrets masked.
    pub response: String,
    pub latency_ms: u64,
}

/// A channel as lists show it.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct ChannelView {
    pub name: String,
    pub kind: &'static str,
    /// Where it leads; without secrets.
    pub address: String,
    pub enabled: bool,
    /// State of its breaker: open while deliveries fail.
    pub breaker: &'static str,
    /// Messages that wait for it.
    pub queued: usize,
    /// Answer to the last attempt of this run; null before the first.
    pub last_answer: Option<String>,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<Timestamp>,
}

/// The last attempt of a channel.
#[derive(Clone)]
struct Last {
    answer: String,
    at: Timestamp,
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    inner: Arc<Inner>,
}

struct Inner {
    alerting: Alerting,
    surroundings: Surroundings,
    context: Context,
    plans: RwLock<Arc<Vec<Plan>>>,
    breakers: RwLock<BTreeMap<String, Arc<Breaker>>>,
    last: RwLock<BTreeMap<String, Last>>,
}

/// What came of one look at a channel.
struct Finished {
    name: String,
    channel: Box<dyn Channel>,
    fingerprint: [u8; 32],
    /// Not before.
    again: Option<Duration>,
}

type Running = Pin<Box<dyn Future<Output = Finished> + Send>>;

/// A channel that nothing is sent to at the moment.
struct Idle {
    channel: Box<dyn Channel>,
    fingerprint: [u8; 32],
    not_before: Monotonic,
}

impl Dispatcher {
    pub fn new(alerting: Alerting, surroundings: Surroundings, context: Context, config: &Config) -> Self {
        let plans = channels::configured(config, &surroundings);
        let inner = Inner {
            alerting,
            surroundings,
            context,
            plans: RwLock::new(Arc::new(plans)),
            breakers: RwLock::default(),
            last: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    fn plans(&self) -> Arc<Vec<Plan>> {
        self.inner.plans.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.surroundings.clock
    }

    fn breaker(&self, name: &str) -> Arc<Breaker> {
        let mut breakers = self.inner.breakers.write().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let mut seed = [0; 8];
            // Without randomness all channels wait alike, which is no harm.
            let _ = getrandom::fill(&mut seed);
            Arc::new(Breaker::new(BREAKER, None, self.clock().clone(), u64::from_ne_bytes(seed), || {}))
        };
        breakers.entry(name.to_owned()).or_insert_with(make).clone()
    }

    /// Delivers until `stop`.
    ///
    /// # Errors
    /// None: what cannot be delivered waits in the outbox.
    pub async fn run(self, mut config: watch::Receiver<Arc<Config>>, stop: CancellationToken) -> TaskResult {
        let mut outbox = self.inner.alerting.subscribe_outbox();
        let mut idle: BTreeMap<String, Idle> = BTreeMap::new();
        let mut running: FuturesUnordered<Running> = FuturesUnordered::new();
        let mut busy: Vec<String> = Vec::new();
        for plan in self.plans().iter() {
            self.inner.alerting.release(plan.name.as_str()).await;
        }
        self.reconcile(&config.borrow_and_update().clone(), &mut idle, &busy);
        loop {
            outbox.borrow_and_update();
            let (owed, wait, ended) = self.look(pauses(&idle), &mut running).await;
            let wait = if ended.is_empty() { wait } else { SHORTEST_SLEEP };
            for name in owed {
                self.start(&name, &mut idle, &mut running, &mut busy);
            }
            ended.into_iter().for_each(|finished| self.finish(finished, &mut idle, &mut busy));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = config.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.reconcile(&config.borrow_and_update().clone(), &mut idle, &busy);
                }
                changed = outbox.changed() => if changed.is_err() { return Ok(()) },
                Some(finished) = running.next() => self.finish(finished, &mut idle, &mut busy),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Knows of the channels of `config` before the next delivery.
    pub fn follow(&self, config: &Config) {
        let plans = channels::configured(config, &self.inner.surroundings);
        *self.inner.plans.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plans);
    }

    /// Takes the channels of `config`; those that did not change stay as they are.
    fn reconcile(&self, config: &Config, idle: &mut BTreeMap<String, Idle>, busy: &[String]) {
        let plans = channels::configured(config, &self.inner.surroundings);
        let wanted = |name: &str| plans.iter().find(|plan| plan.name.as_str() == name && plan.enabled);
        idle.retain(|name, held| wanted(name).is_some_and(|plan| plan.fingerprint == held.fingerprint));
        for plan in plans.iter().filter(|plan| plan.enabled) {
            let name = plan.name.to_string();
            if !busy.contains(&name) && !idle.contains_key(&name) {
                idle.insert(name, idle_of(plan));
            }
        }
        let known: Vec<String> = plans.iter().map(|plan| plan.name.to_string()).collect();
        let mut breakers = self.inner.breakers.write().unwrap_or_else(PoisonError::into_inner);
        breakers.retain(|name, _| known.contains(name));
        *self.inner.plans.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plans);
    }

    /// Channels that are owed a message, how long no other is, and what ended meanwhile.
    /// Deliveries go on while this waits for the alerts: one of them may be the one that has
    /// them locked, and would keep them so for ever.
    async fn look(
        &self,
        pauses: BTreeMap<String, Monotonic>,
        running: &mut FuturesUnordered<Running>,
    ) -> (Vec<String>, Duration, Vec<Finished>) {
        let mut ended = Vec::new();
        let mut owed = std::pin::pin!(self.owed(&pauses));
        loop {
            tokio::select! {
                (names, wait) = &mut owed => return (names, wait, ended),
                Some(finished) = running.next() => ended.push(finished),
            }
        }
    }

    /// Of idle channels, with the time before which each is left alone: those that are owed
    /// a message, and how long no other is.
    async fn owed(&self, idle: &BTreeMap<String, Monotonic>) -> (Vec<String>, Duration) {
        let (mut names, mut wait) = (Vec::new(), LONGEST_SLEEP);
        for plan in self.plans().iter().filter(|plan| plan.enabled) {
            let name = plan.name.as_str();
            let Some(not_before) = idle.get(name) else { continue };
            let (now, wall) = (self.clock().monotonic(), self.clock().now());
            let pause = not_before.0.saturating_sub(now.0);
            let due = match plan.heartbeat {
                Some(_) => Some(Duration::ZERO),
                None => self.inner.alerting.next_due(name).await.map(|at| at.since(wall)),
            };
            match due.map(|due| due.max(pause)) {
                Some(Duration::ZERO) => names.push(name.to_owned()),
                Some(due) => wait = wait.min(due),
                None => {}
            }
        }
        (names, wait.max(SHORTEST_SLEEP))
    }

    /// Starts a delivery on an idle channel.
    fn start(
        &self,
        name: &str,
        idle: &mut BTreeMap<String, Idle>,
        running: &mut FuturesUnordered<Running>,
        busy: &mut Vec<String>,
    ) {
        let plans = self.plans();
        let Some(plan) = plans.iter().find(|plan| plan.name.as_str() == name) else { return };
        let Some(Idle { channel, fingerprint, .. }) = idle.remove(name) else { return };
        busy.push(name.to_owned());
        let one = One {
            dispatcher: self.clone(),
            name: name.to_owned(),
            heartbeat: plan.heartbeat,
            timeout: plan.timeout,
            fingerprint,
        };
        running.push(Box::pin(one.deliver(channel)));
    }

    fn finish(&self, finished: Finished, idle: &mut BTreeMap<String, Idle>, busy: &mut Vec<String>) {
        let Finished { name, channel, fingerprint, again } = finished;
        busy.retain(|other| *other != name);
        let plans = self.plans();
        let Some(plan) = plans.iter().find(|plan| plan.name.as_str() == name && plan.enabled) else { return };
        let not_before = Monotonic(self.clock().monotonic().0 + again.unwrap_or_default());
        let held = if plan.fingerprint == fingerprint {
            Idle { channel, fingerprint, not_before }
        } else {
            idle_of(plan)
        };
        idle.insert(name, held);
    }

    /// Sends a test through `name` and answers what was really sent and answered. `None`
    /// when there is no such channel.
    pub async fn test(&self, name: &str) -> Option<Tested> {
        let plans = self.plans();
        let plan = plans.iter().find(|plan| plan.name.as_str() == name)?;
        let now = self.clock().now();
        let notice = match plan.heartbeat {
            Some(_) => heartbeat::ping(name, now),
            None => sample_notice(name, NoticeKind::Test, now),
        };
        let began = self.clock().monotonic();
        let mut channel = plan.make();
        let sent =
            tokio::time::timeout(limit(plan.timeout), channel.deliver(&notice, &self.inner.context)).await;
        let took = self.clock().monotonic().since(began);
        let (delivered, answer, exchange) = match sent {
            Ok(outcome) => (outcome.is_delivered(), outcome.answer, outcome.exchange),
            Err(_) => (false, LATE.to_owned(), Exchange::default()),
        };
        Some(Tested {
            delivered,
            answer,
            request: exchange.request,
            response: exchange.response,
            latency_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Every channel, in the order of the configuration.
    pub async fn channels(&self) -> Vec<ChannelView> {
        let outbox = self.inner.alerting.outbox().await;
        let last = self.inner.last.read().unwrap_or_else(PoisonError::into_inner).clone();
        let view = |plan: &Plan| {
            let name = plan.name.to_string();
            let last = last.get(&name);
            ChannelView {
                kind: plan.kind,
                address: plan.address.clone(),
                enabled: plan.enabled,
                breaker: self.breaker(&name).state().word(),
                queued: outbox.iter().filter(|notice| notice.channel == name).count(),
                last_answer: last.map(|last| last.answer.clone()),
                last_at: last.map(|last| last.at),
                name,
            }
        };
        self.plans().iter().map(view).collect()
    }

    fn note(&self, name: &str, answer: &str) {
        let last = Last { answer: answer.to_owned(), at: self.clock().now() };
        self.inner.last.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), last);
    }
}

/// Before when each idle channel is left alone.
fn pauses(idle: &BTreeMap<String, Idle>) -> BTreeMap<String, Monotonic> {
    idle.iter().map(|(name, held)| (name.clone(), held.not_before)).collect()
}

fn idle_of(plan: &Plan) -> Idle {
    Idle { channel: plan.make(), fingerprint: plan.fingerprint, not_before: Monotonic::default() }
}

/// One look at a channel: at most one message.
struct One {
    dispatcher: Dispatcher,
    name: String,
    heartbeat: Option<Duration>,
    timeout: Duration,
    fingerprint: [u8; 32],
}

impl One {
    async fn deliver(self, mut channel: Box<dyn Channel>) -> Finished {
        let again = match self.heartbeat {
            Some(interval) => {
                self.ping(channel.as_mut()).await;
                Some(interval)
            }
            None => self.message(channel.as_mut()).await,
        };
        Finished { name: self.name, channel, fingerprint: self.fingerprint, again }
    }

    async fn ping(&self, channel: &mut dyn Channel) {
        let notice = heartbeat::ping(&self.name, self.dispatcher.clock().now());
        let sent = channel.deliver(&notice, &self.dispatcher.inner.context);
        let (heard, answer) = match tokio::time::timeout(limit(self.timeout), sent).await {
            Ok(outcome) => (outcome.is_delivered(), outcome.answer),
            Err(_) => (false, LATE.to_owned()),
        };
        if !heard {
            tracing::warn!(channel = self.name, answer, "the heartbeat was not heard");
        }
        self.dispatcher.note(&self.name, &answer);
    }

    async fn message(&self, channel: &mut dyn Channel) -> Option<Duration> {
        let inner = &self.dispatcher.inner;
        let breaker = self.dispatcher.breaker(&self.name);
        let permit = match breaker.acquire() {
            Ok(permit) => permit,
            Err(rejected) => return Some(rejected.retry_in.unwrap_or(UNTOLD)),
        };
        let notice = inner.alerting.due(&self.name, 1).await.pop()?;
        let began = self.dispatcher.clock().monotonic();
        let sent = tokio::time::timeout(limit(self.timeout), channel.deliver(&notice, &inner.context)).await;
        let took = self.dispatcher.clock().monotonic().since(began);
        let (verdict, answer) = match sent {
            Ok(outcome) => (outcome.verdict, outcome.answer),
            Err(_) => (Verdict::Retry { after: None }, LATE.to_owned()),
        };
        self.dispatcher.note(&self.name, &answer);
        // A server that refuses a message is there.
        let failed = matches!(verdict, Verdict::Retry { .. });
        permit.report(if failed { OutcomeClass::Hard } else { OutcomeClass::Ok });
        let outcome = match verdict {
            Verdict::Delivered => Outcome::Delivered { answer, took },
            Verdict::Refused => Outcome::Refused { answer, took },
            Verdict::Retry { after } => Outcome::Failed { answer, took, retry_after: after },
        };
        if let Err(error) = inner.alerting.report(&notice.id, outcome, jitter()).await {
            tracing::warn!(channel = self.name, %error, "what became of a message waits to be stored");
        }
        None
    }
}

/// A channel has its own deadline; this is for one that forgets it.
fn limit(timeout: Duration) -> Duration {
    timeout + Duration::from_secs(5)
}

/// A random number in 0..=1.
fn jitter() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness waits are as long as they can be.
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}
