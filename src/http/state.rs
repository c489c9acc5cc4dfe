//! What the handlers reach: the parts of the agent, and what HTTP itself keeps.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{Semaphore, watch};

use super::auth::lockout::Lockout;
use super::cache::AnswerCache;
use super::counters::Counters;
use super::error::Problem;
use super::rate::Rates;
use crate::base::id::Name;
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::config::Config;
use crate::engine::alerting::Alerting;
use crate::engine::alerting::dispatch::Dispatcher;
use crate::engine::backups::Backups;
use crate::engine::breaker_keeper::BreakerKeeper;
use crate::engine::failover::handle::Failovers;
use crate::engine::prober::ProbeNowError;
use crate::engine::reports::ReportKeeper;
use crate::engine::settings::Settings;
use crate::engine::task_keeper::TaskKeeper;
use crate::model::host::HostView;
use crate::model::memory::MemoryView;
use crate::model::probe::ProbeRecord;
use crate::model::target::TargetStatus;
use crate::runtime::bus::Bus;
use crate::runtime::supervisor::Supervisor;
use crate::store::Store;

/// Probes a target now, out of turn; an error says why that was not possible.
pub type ProbeNow = Arc<
    dyn Fn(Name) -> Pin<Box<dyn Future<Output = Result<ProbeRecord, ProbeNowError>> + Send>> + Send + Sync,
>;

/// Open event streams, WebSocket and SSE together.
const LIVE_STREAMS: usize = 64;
/// Ranges that are read and written at the same time: each may take some megabytes.
const RANGE_ANSWERS: usize = 2;
/// Passwords that are hashed at the same time: each takes 19 MiB and some tens of milliseconds.
const LOGINS: usize = 2;
/// Expressions that are evaluated at the same time: each may take some hundred megabytes.
const EVALUATIONS: usize = 2;

/// What was built, for people and bug reports.
#[derive(Clone, Copy, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct BuildInfo {
    /// Abbreviated commit, or `unknown`.
    pub commit: &'static str,
    /// Target triple.
    pub target: &'static str,
    /// `release` or `debug`.
    pub profile: &'static str,
}

/// The parts of the agent that handlers use.
#[derive(Clone)]
pub struct Services {
    pub clock: Arc<dyn Clock>,
    /// Empty while the store opens.
    pub store: Arc<OnceLock<Store>>,
    /// Share of the store's repair that is done, 0..=1.
    pub opening: watch::Receiver<f64>,
    pub bus: Bus,
    pub supervisor: Supervisor,
    pub host: watch::Receiver<Arc<HostView>>,
    pub targets: watch::Receiver<Arc<Vec<TargetStatus>>>,
    pub memory: watch::Receiver<Arc<MemoryView>>,
    pub probe: ProbeNow,
    pub failovers: Failovers,
    /// Empty while the store opens.
    pub breakers: Arc<OnceLock<BreakerKeeper>>,
    /// Empty while the store opens.
    pub alerting: Arc<OnceLock<Alerting>>,
    /// Empty while the store opens.
    pub dispatcher: Arc<OnceLock<Dispatcher>>,
    /// Empty while the store opens.
    pub tasks: Arc<OnceLock<TaskKeeper>>,
    /// Empty while the store opens.
    pub reports: Arc<OnceLock<ReportKeeper>>,
    /// Empty while the store opens.
    pub backups: Arc<OnceLock<Backups>>,
    pub settings: Settings,
    pub build: BuildInfo,
    pub started_at: Timestamp,
}

/// Services, and what HTTP itself keeps.
pub struct App {
    pub services: Services,
    /// The configuration in force, for a look that must not wait or copy.
    pub config: watch::Receiver<Arc<Config>>,
    pub counters: Counters,
    pub lockout: Lockout,
    pub rates: Rates,
    pub logins: Arc<Semaphore>,
    /// One change of a user at a time, from what it is made of to its being durable.
    pub users: tokio::sync::Mutex<()>,
    pub live: Arc<Semaphore>,
    pub ranges: Arc<Semaphore>,
    pub evaluations: Arc<Semaphore>,
    /// Answers to ranges.
    pub answers: AnswerCache,
    /// One profile at a time: two would count each other.
    pub profiles: Semaphore,
    pub listeners: Listeners,
    /// The verdict of this second, see `/health`.
    pub health: AtomicU64,
    pub started: Monotonic,
    /// Our own user id: who may do everything through the socket.
    pub uid: u32,
    trace_seed: u64,
    traced: AtomicU64,
}

/// The state type of every handler.
pub type AppState = Arc<App>;

/// How many listeners were started and how many still accept.
#[derive(Debug, Default)]
pub struct Listeners {
    pub started: AtomicUsize,
    pub alive: AtomicUsize,
}

impl App {
    pub fn new(services: Services) -> AppState {
        let mut seed = [0; 8];
        // Trace ids need to differ, not to be secret: without randomness they count.
        let _ = getrandom::fill(&mut seed);
        Arc::new(Self {
            config: services.settings.subscribe(),
            counters: Counters::default(),
            lockout: Lockout::default(),
            rates: Rates::default(),
            users: tokio::sync::Mutex::new(()),
            logins: Arc::new(Semaphore::new(LOGINS)),
            live: Arc::new(Semaphore::new(LIVE_STREAMS)),
            ranges: Arc::new(Semaphore::new(RANGE_ANSWERS)),
            evaluations: Arc::new(Semaphore::new(EVALUATIONS)),
            answers: AnswerCache::default(),
            profiles: Semaphore::new(1),
            listeners: Listeners::default(),
            health: AtomicU64::new(0),
            started: services.clock.monotonic(),
            uid: rustix::process::getuid().as_raw(),
            trace_seed: u64::from_le_bytes(seed),
            traced: AtomicU64::new(0),
            services,
        })
    }

    /// The store.
    ///
    /// # Errors
    /// 503 `starting` while it opens.
    pub fn store(&self) -> Result<&Store, Problem> {
        self.services.store.get().ok_or_else(|| self.starting())
    }

    /// The breakers of all targets.
    ///
    /// # Errors
    /// 503 `starting` while the store opens.
    pub fn breakers(&self) -> Result<&BreakerKeeper, Problem> {
        self.services.breakers.get().ok_or_else(|| self.starting())
    }

    /// Rules and alerts.
    ///
    /// # Errors
    /// 503 `starting` while the store opens.
    pub fn alerting(&self) -> Result<&Alerting, Problem> {
        self.services.alerting.get().ok_or_else(|| self.starting())
    }

    /// Channels.
    ///
    /// # Errors
    /// 503 `starting` while the store opens.
    pub fn dispatcher(&self) -> Result<&Dispatcher, Problem> {
        self.services.dispatcher.get().ok_or_else(|| self.starting())
    }

    /// Checks and tasks.
    ///
    /// # Errors
    /// 503 `starting` while the store opens.
    pub fn tasks(&self) -> Result<&TaskKeeper, Problem> {
        self.services.tasks.get().ok_or_else(|| self.starting())
    }

    /// What applications report.
    ///
    /// # Errors
    /// 503 `starting` while the store opens.
    pub fn reports(&self) -> Result<&ReportKeeper, Problem> {
        self.services.reports.get().ok_or_else(|| self.starting())
    }

    /// Backups of the store.
    ///
    /// # Errors
    /// 503 `starting` while the store opens.
    pub fn backups(&self) -> Result<&Backups, Problem> {
        self.services.backups.get().ok_or_else(|| self.starting())
    }

    fn starting(&self) -> Problem {
        let done = *self.services.opening.borrow();
        let detail = format!("the store is being opened, {:.0} % done", done * 100.0);
        Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "starting", detail).retry_after(1)
    }

    pub fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    /// Both clocks.
    pub fn times(&self) -> (Monotonic, Timestamp) {
        (self.services.clock.monotonic(), self.services.clock.now())
    }

    pub fn host(&self) -> Arc<HostView> {
        self.services.host.borrow().clone()
    }

    pub fn targets(&self) -> Arc<Vec<TargetStatus>> {
        self.services.targets.borrow().clone()
    }

    /// The memory budget as of the last look.
    pub fn memory(&self) -> Arc<MemoryView> {
        self.services.memory.borrow().clone()
    }

    /// Time since the agent started, as its counters count it.
    pub fn running(&self) -> Monotonic {
        Monotonic(self.services.clock.monotonic().since(self.started))
    }

    /// Seconds since the agent started.
    pub fn uptime_seconds(&self) -> f64 {
        self.services.clock.monotonic().since(self.started).as_secs_f64()
    }

    /// 32 hexadecimal digits that no other answer of this run has.
    pub fn new_trace_id(&self) -> String {
        let count = self.traced.fetch_add(1, Ordering::Relaxed);
        let high = mix(self.trace_seed ^ count);
        format!("{high:016x}{:016x}", mix(high.wrapping_add(count)))
    }
}

/// The finalizer of splitmix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
