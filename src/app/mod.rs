//! The composition root: builds every part, hands each what it needs, starts and
//! stops it.
//!
//! ```text
//! lock directory (a new one once the ports are ours) -> bind listeners -> /livez answers
//!                -> open store (blocking thread) -> overlay -> token -> flusher, prober, sampler
//!                -> first tick -> ready
//! signal -> listeners, collectors, engine (each in its phase) -> store's last flush -> end
//! ```
//! Nothing else sees all parts. Wrong would be to let parts find each other: what
//! depends on what would then be everywhere instead of here.

mod bind;
mod budget;
mod directory;
mod log_file;
mod logging;
mod opening;
mod prepare;
mod signals;

pub use prepare::{FirstUser, Prepared, prepare};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use self::bind::{Bound, bind, open_tls};
pub use self::directory::Directory;
use self::opening::report_opening;
use self::signals::Signals;
use crate::base::secret::Secret;
use crate::base::time::{Clock, SystemClock};
use crate::channels;
use crate::collectors;
use crate::config::Config;
use crate::config::load::Loaded;
use crate::config::storage::Storage;
use crate::engine::alerting::dispatch::Dispatcher;
use crate::engine::alerting::{Alerting, ConfigValid, Inputs};
use crate::engine::backups::{self, Backups};
use crate::engine::breaker_keeper::BreakerKeeper;
use crate::engine::failover::handle::{Failovers, Wiring};
use crate::engine::failover::keeper::{self, Keeper};
use crate::engine::flusher::Flusher;
use crate::engine::prober::{ProbeNowError, Prober};
use crate::engine::reports::ReportKeeper;
use crate::engine::sampler::{self, Sampler};
use crate::engine::settings::Settings;
use crate::engine::task_keeper::{self, TaskKeeper};
use crate::http::{BuildInfo, Front, Listener, Services, serve};
use crate::model::event::EventType;
use crate::model::host::HostView;
use crate::model::memory::MemoryView;
use crate::model::target::TargetStatus;
use crate::runtime::breakers::Breakers;
use crate::runtime::bus::Bus;
use crate::runtime::server_tls::{ServerTls, ServerTlsError};
use crate::runtime::supervisor::{Phase, Policy, Supervisor};
use crate::store::backup::{BackupError, restore};
use crate::store::{Store, StoreError, StoreOptions};
use crate::targets;

/// Events that a listener may resume from.
const EVENTS: usize = 1024;
/// Commands to failover groups that wait.
const ASKS: usize = 32;
/// redb's page cache, bytes; the operating system caches the file besides.
const STORE_CACHE: usize = 2 << 20;
/// All phases of stopping together, and what of it the store's last flush has.
const GRACE: Duration = Duration::from_secs(8);
const STORE_GRACE: Duration = Duration::from_secs(2);

/// Why the agent did not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("cannot use the data directory {path}: {reason}")]
    Directory { path: PathBuf, reason: String },
    #[error("the data directory {path} is in use by another holdfast (process {pid})")]
    InUse { path: PathBuf, pid: String },
    #[error("cannot listen on {address} (`listen`): {reason}")]
    Listen { address: String, reason: std::io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tls(#[from] ServerTlsError),
    #[error("the backup that waits beside the store cannot be put in its place: {0}")]
    Restore(#[from] BackupError),
    #[error("{0}")]
    Failed(String),
}

/// The parts that exist before the store is open.
struct Agent {
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
    bus: Bus,
    settings: Settings,
    store: Arc<OnceLock<Store>>,
    prober: Arc<OnceLock<Prober>>,
    breakers: Arc<OnceLock<BreakerKeeper>>,
    failovers: Failovers,
    wiring: Wiring,
    alerting: Arc<OnceLock<Alerting>>,
    dispatcher: Arc<OnceLock<Dispatcher>>,
    tasks: Arc<OnceLock<TaskKeeper>>,
    reports: Arc<OnceLock<ReportKeeper>>,
    backups: Arc<OnceLock<Backups>>,
    /// Told when a backup waits to be put in the place of the store.
    restart: watch::Sender<bool>,
    host: watch::Sender<Arc<HostView>>,
    targets: watch::Sender<Arc<Vec<TargetStatus>>>,
    memory: watch::Sender<Arc<MemoryView>>,
    opening: watch::Sender<f64>,
    directory: Directory,
    environment: Arc<BTreeMap<String, Secret>>,
}

/// How a run ended that went well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// As it was told to.
    Stopped,
    /// The process is to start again: a backup waits to be put in the place of the store.
    Restart,
}

/// Runs the agent until a signal; its own threads, its own end.
///
/// # Errors
/// [`AppError`]: nothing was started, or an essential part failed.
pub fn run(loaded: Loaded) -> Result<Ended, AppError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .thread_keep_alive(Duration::from_secs(5))
        .enable_all()
        .build()
        .map_err(|error| AppError::Failed(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(Agent::start(loaded));
    // A thread in a hung mount must not hold up the end.
    runtime.shutdown_background();
    ended
}

impl Agent {
    async fn start(loaded: Loaded) -> Result<Ended, AppError> {
        let mut signals = Signals::listen()?;
        let config = loaded.config.clone();
        let level = logging::start(&config.log, &config.data_dir);
        // Who started twice on one store is told so, and not that the port is taken. A
        // directory that is not there is nobody's: a taken port must not make it.
        let early = if config.data_dir.exists() { None } else { Some(bind(&config).await?) };
        let directory = Directory::claim(&config.data_dir)?;
        let bound = match early {
            Some(bound) => bound,
            None => bind(&config).await?,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let tls = open_tls(&config, clock.now())?;
        let bus = Bus::new(clock.clone(), EVENTS);
        let environment = loaded.sources.environment.iter();
        let environment =
            environment.map(|(name, value)| (name.clone(), Secret::new(value.clone()))).collect();
        let supervisor = Supervisor::new(clock.clone());
        let (failovers, wiring) = Failovers::new(ASKS);
        let agent = Self {
            settings: Settings::new(loaded, clock.clone(), bus.clone(), supervisor.clone()),
            supervisor,
            store: Arc::default(),
            prober: Arc::default(),
            breakers: Arc::default(),
            failovers,
            wiring,
            alerting: Arc::default(),
            dispatcher: Arc::default(),
            tasks: Arc::default(),
            reports: Arc::default(),
            backups: Arc::default(),
            restart: watch::Sender::new(false),
            host: watch::Sender::new(Arc::default()),
            targets: watch::Sender::new(Arc::default()),
            memory: watch::Sender::new(Arc::default()),
            opening: watch::Sender::new(0.0),
            environment: Arc::new(environment),
            clock,
            bus,
            directory,
        };
        logging::follow(&agent.supervisor, agent.settings.subscribe(), level);
        let front = Front::new(agent.services());
        agent.listen(&config, bound, tls, front.clone()).await?;
        let running = async {
            agent.open_store(&config).await?;
            agent.watch();
            agent.spare_memory(&front);
            agent.announce_ready().await;
            Err(AppError::Failed(agent.supervisor.fatal().await))
        };
        let ended = tokio::select! {
            ended = running => ended,
            () = agent.signals(&mut signals) => Ok(Ended::Stopped),
            () = agent.told_to_restart() => Ok(Ended::Restart),
        };
        tokio::select! {
            () = agent.stop() => ended,
            () = signals.stop() => Err(AppError::Failed(String::from("told twice to stop"))),
        }
    }

    /// Serves every listener; from here on `/livez` answers.
    async fn listen(
        &self,
        config: &Config,
        bound: Bound,
        tls: Option<ServerTls>,
        front: Front,
    ) -> Result<(), AppError> {
        let mut addresses = Vec::new();
        let scheme = if tls.is_some() { "https" } else { "http" };
        for (address, listener) in bound.listen {
            addresses.extend(listener.address().map(|bound| format!("{scheme}://{bound}/ui/")));
            self.serve(format!("listen {address}"), listener.with_tls(tls.as_ref()), front.clone());
        }
        for address in &config.listen {
            let Some(path) = address.strip_prefix("unix:") else { continue };
            let listener = Listener::unix(Path::new(path)).await;
            let listener =
                listener.map_err(|reason| AppError::Listen { address: address.clone(), reason })?;
            self.serve(format!("listen {address}"), listener, front.clone());
        }
        if let Some((address, listener)) = bound.metrics {
            let listener = listener.with_tls(tls.as_ref());
            self.serve(format!("listen metrics {address}"), listener, front.only_metrics());
        }
        let socket = self.directory.socket();
        let listener = Listener::unix(&socket).await;
        let listener = listener
            .map_err(|reason| AppError::Listen { address: format!("unix:{}", socket.display()), reason })?;
        self.serve(String::from("listen socket"), listener, front);
        say(&format!("holdfast {}", env!("CARGO_PKG_VERSION")));
        for address in addresses {
            say(&format!("page    {address}"));
        }
        if let Some(tls) = tls {
            say(&format!("sha256  {} (the certificate)", tls.fingerprint()));
            let config = self.settings.subscribe();
            self.supervisor.spawn("certificate", Policy::Restart, Phase::Serve, move |stop| {
                tls.clone().follow(config.clone(), stop)
            });
        }
        say(&format!("token   {}", self.directory.token().display()));
        Ok(())
    }

    fn serve(&self, name: String, listener: Listener, front: Front) {
        let listener = Arc::new(listener);
        let supervisor = self.supervisor.clone();
        self.supervisor.spawn(name, Policy::Essential, Phase::Serve, move |stop| {
            let (listener, front, supervisor) = (listener.clone(), front.clone(), supervisor.clone());
            async move {
                serve(&listener, &front, &supervisor, &stop).await;
                Ok(())
            }
        });
    }

    fn services(&self) -> Services {
        let (prober, settings) = (self.prober.clone(), self.settings.clone());
        Services {
            clock: self.clock.clone(),
            store: self.store.clone(),
            opening: self.opening.subscribe(),
            bus: self.bus.clone(),
            supervisor: self.supervisor.clone(),
            host: self.host.subscribe(),
            targets: self.targets.subscribe(),
            memory: self.memory.subscribe(),
            probe: Arc::new(move |name| {
                let on = settings.config().collect.enabled;
                let prober = prober.get().cloned();
                Box::pin(async move {
                    if !on {
                        return Err(ProbeNowError::AllOff);
                    }
                    let prober = prober.ok_or(ProbeNowError::Starting)?;
                    prober.probe_now(name.as_str()).await
                })
            }),
            breakers: self.breakers.clone(),
            failovers: self.failovers.clone(),
            alerting: self.alerting.clone(),
            dispatcher: self.dispatcher.clone(),
            tasks: self.tasks.clone(),
            reports: self.reports.clone(),
            backups: self.backups.clone(),
            settings: self.settings.clone(),
            build: BUILD,
            started_at: self.clock.now(),
        }
    }

    async fn open_store(&self, config: &Config) -> Result<(), AppError> {
        let options = store_options(&self.directory, &config.storage);
        let (clock, opening) = (self.clock.clone(), self.opening.clone());
        let opened = Supervisor::blocking(move || {
            let restored = restore::finish(&options.path, clock.now())?;
            let opened = Store::open(options, clock, &mut |done| {
                opening.send_replace(done);
            })?;
            Ok::<_, AppError>((opened, restored))
        });
        let opened =
            opened.await.ok_or_else(|| AppError::Failed(String::from("opening the store failed")))?;
        let ((store, report), restored) = opened?;
        if let Some(finished) = &restored {
            backups::report(finished);
        }
        report_opening(&report);
        self.bus.resume_at(report.first_event);
        match self.settings.attach(&store) {
            Ok(left_out) => {
                left_out.iter().for_each(|value| tracing::warn!(value, "run-time value left out"))
            }
            // The file and the flags still hold; losing the agent over it would be worse.
            Err(problems) => tracing::error!(%problems, "run-time values were left aside"),
        }
        self.directory.ensure_token(&store, self.clock.now()).await?;
        let agent = format!("{:016x}", report.store_id);
        self.alert(&store).await?;
        // Set last: whoever sees the store sees it complete.
        let _ = self.store.set(store);
        let surroundings = targets::Surroundings {
            agent,
            clock: self.clock.clone(),
            supervisor: self.supervisor.clone(),
            environment: self.environment.clone(),
        };
        let breakers = self.probe(surroundings.clone()).await;
        self.supervise(surroundings, breakers);
        self.keep_tasks().await?;
        self.back_up();
        self.bus
            .publish(EventType::System, json!({ "action": "started", "version": env!("CARGO_PKG_VERSION") }));
        Ok(())
    }

    /// Takes up the alerts of the last run and starts evaluating rules.
    async fn alert(&self, store: &Store) -> Result<(), AppError> {
        let (clock, store, bus) = (self.clock.clone(), store.clone(), self.bus.clone());
        let config = self.settings.config();
        let settings = self.settings.clone();
        let valid: ConfigValid = Arc::new(move || settings.is_valid());
        let opened = Supervisor::blocking(move || Alerting::open(clock, store, bus, &config, valid)).await;
        let alerting =
            opened.ok_or_else(|| AppError::Failed(String::from("reading the alerts failed")))??;
        let _ = self.alerting.set(alerting.clone());
        let reports = self.reports.clone();
        let before = move || {
            if let Some(reports) = reports.get() {
                reports.write_series();
            }
        };
        let inputs = Inputs {
            config: self.settings.subscribe(),
            host: self.host.subscribe(),
            before: Arc::new(before),
        };
        self.supervisor.spawn("alerting", Policy::Restart, Phase::Engine, move |stop| {
            alerting.clone().run(inputs.clone(), stop)
        });
        self.dispatch();
        Ok(())
    }

    /// Starts sending what is owed.
    fn dispatch(&self) {
        let Some(alerting) = self.alerting.get().cloned() else { return };
        let config = self.settings.config();
        let surroundings = channels::Surroundings {
            clock: self.clock.clone(),
            supervisor: self.supervisor.clone(),
            environment: self.environment.clone(),
            data_dir: config.data_dir.clone(),
        };
        let host = hostname();
        let url = config.alerting.external_url.clone();
        let context = channels::Context { host, url: url.map(|url| url.trim_end_matches('/').to_owned()) };
        let dispatcher = Dispatcher::new(alerting, surroundings, context, &config);
        let _ = self.dispatcher.set(dispatcher.clone());
        let config = self.settings.subscribe();
        self.supervisor.spawn("dispatcher", Policy::Restart, Phase::Engine, move |stop| {
            dispatcher.clone().run(config.clone(), stop)
        });
    }

    /// Starts probing, each target behind the breaker it had in the last run.
    async fn probe(&self, surroundings: targets::Surroundings) -> Option<Breakers> {
        let store = self.store.get()?;
        let reader = store.clone();
        let saved = Supervisor::blocking(move || reader.breakers()).await;
        // Breakers that are closed are better than an agent that does not start.
        let saved = match saved {
            Some(Ok(saved)) => saved,
            Some(Err(error)) => {
                tracing::error!(%error, "the breakers begin closed");
                BTreeMap::new()
            }
            None => BTreeMap::new(),
        };
        let breakers = Breakers::new(self.clock.clone(), saved);
        let keeper =
            BreakerKeeper::new(self.clock.clone(), breakers.clone(), store.clone(), self.bus.clone());
        let _ = self.breakers.set(keeper.clone());
        self.supervisor
            .spawn("breakers", Policy::Restart, Phase::Engine, move |stop| keeper.clone().run(stop));
        let config = self.settings.subscribe();
        let kept = Arc::new(store.clone());
        let (bus, shown) = (self.bus.clone(), self.targets.clone());
        let _ = self.prober.set(Prober::start(config, surroundings, kept, bus, breakers.clone(), shown));
        Some(breakers)
    }

    /// Starts the supervision of failover groups and opens their endpoints.
    fn supervise(&self, surroundings: targets::Surroundings, breakers: Option<Breakers>) {
        let (Some(store), Some(breakers)) = (self.store.get().cloned(), breakers) else { return };
        let (alerting, spawner) = (self.alerting.clone(), self.supervisor.clone());
        let parts = keeper::Parts {
            config: self.settings.subscribe(),
            surroundings,
            store,
            bus: self.bus.clone(),
            breakers,
            sealer: self.settings.sealer(),
            raise: Arc::new(move |raise| {
                let Some(alerting) = alerting.get().cloned() else { return };
                spawner.spawn_once(Phase::Engine, async move {
                    if let Err(error) = alerting.raise(raise).await {
                        tracing::error!(%error, "the news of a failover is no alert");
                    }
                });
            }),
            wiring: self.wiring.clone(),
        };
        self.supervisor.spawn("failover", Policy::Restart, Phase::Engine, move |stop| {
            Keeper::new(parts.clone()).run(stop)
        });
    }

    /// Starts what waits for reports: checks, tasks, applications.
    async fn keep_tasks(&self) -> Result<(), AppError> {
        let Some(store) = self.store.get().cloned() else { return Ok(()) };
        let reader = store.clone();
        let read = move || Ok::<_, StoreError>((task_keeper::Saved::read(&reader)?, reader.failures()?));
        let read = Supervisor::blocking(read).await;
        // Without them every check would get a new id, and its job would report to none.
        let (saved, failures) =
            read.ok_or_else(|| AppError::Failed(String::from("reading the checks failed")))??;
        let parts = task_keeper::Parts {
            clock: self.clock.clone(),
            store: store.clone(),
            bus: self.bus.clone(),
            supervisor: self.supervisor.clone(),
            config: self.settings.subscribe(),
        };
        let tasks = TaskKeeper::new(parts, saved);
        // Its task tries again; an agent that cannot write must start all the same.
        if let Err(error) = tasks.follow().await {
            tracing::error!(%error, "new checks cannot be saved yet");
        }
        let _ = self.tasks.set(tasks.clone());
        self.supervisor.spawn("tasks", Policy::Restart, Phase::Engine, move |stop| tasks.clone().run(stop));
        let reports = ReportKeeper::new(self.clock.clone(), store, failures);
        let _ = self.reports.set(reports.clone());
        self.supervisor
            .spawn("reports", Policy::Restart, Phase::Engine, move |stop| reports.clone().run(stop));
        Ok(())
    }

    /// Starts what makes backups.
    fn back_up(&self) {
        let Some(store) = self.store.get().cloned() else { return };
        let backups = Backups::new(backups::Parts {
            clock: self.clock.clone(),
            store,
            bus: self.bus.clone(),
            config: self.settings.subscribe(),
            sealer: self.settings.sealer(),
            supervisor: self.supervisor.clone(),
            path: self.directory.store(),
            host: hostname(),
            environment: self.environment.clone(),
            restart: self.restart.clone(),
        });
        let _ = self.backups.set(backups.clone());
        let uploads = backups.clone();
        self.supervisor
            .spawn("backups", Policy::Restart, Phase::Engine, move |stop| backups.clone().run(stop));
        self.supervisor.spawn("backup uploads", Policy::Restart, Phase::Engine, move |stop| {
            uploads.clone().run_uploads(stop)
        });
    }

    async fn told_to_restart(&self) {
        let mut restart = self.restart.subscribe();
        // The sender is ours: it cannot be gone.
        let _ = restart.wait_for(|told| *told).await;
    }

    /// Starts what runs on ticks.
    fn watch(&self) {
        let Some(store) = self.store.get().cloned() else { return };
        let flusher =
            Flusher { store: store.clone(), bus: self.bus.clone(), config: self.settings.subscribe() };
        self.supervisor
            .spawn("flusher", Policy::Restart, Phase::Engine, move |stop| flusher.clone().run(stop));
        let sampler = Arc::new(Sampler::new(sampler::Parts {
            clock: self.clock.clone(),
            config: self.settings.subscribe(),
            sink: Arc::new(store),
            bus: self.bus.clone(),
            collectors: collectors::all,
            view: self.host.clone(),
        }));
        self.supervisor.spawn("sampler", Policy::Restart, Phase::Collect, move |stop| {
            let sampler = sampler.clone();
            async move { sampler.run(stop).await }
        });
    }

    /// Says `ready` once the first tick is in.
    async fn announce_ready(&self) {
        let mut host = self.host.subscribe();
        if self.settings.config().collect.enabled {
            let _ = host.wait_for(|view| view.ticks > 0).await;
        }
        say(&format!("ready   after {} ms", self.clock.monotonic().0.as_millis()));
    }

    async fn stop(&self) {
        self.bus.publish(EventType::System, json!({ "action": "stopping" }));
        let deadline = tokio::time::Instant::now() + GRACE;
        let stuck = self.supervisor.shutdown(GRACE - STORE_GRACE).await;
        if !stuck.is_empty() {
            tracing::warn!(workers = stuck.join(", "), "did not stop in time");
        }
        let Some(store) = self.store.get() else { return };
        match tokio::time::timeout_at(deadline, store.close(self.bus.last())).await {
            Ok(Ok(())) => tracing::info!("stopped"),
            Ok(Err(error)) => tracing::error!(%error, "the store did not close cleanly"),
            Err(_) => tracing::error!("the store did not close in time"),
        }
    }
}

const BUILD: BuildInfo = BuildInfo {
    commit: env!("HOLDFAST_COMMIT"),
    target: env!("HOLDFAST_TARGET"),
    profile: if cfg!(debug_assertions) { "debug" } else { "release" },
};

fn store_options(directory: &Directory, storage: &Storage) -> StoreOptions {
    StoreOptions {
        path: directory.store(),
        cap: storage.cap.0,
        raw_retention: storage.raw_retention.0,
        minute_retention: storage.minute_retention.0,
        hour_retention: storage.hour_retention.0,
        max_series: usize::try_from(storage.max_series).unwrap_or(usize::MAX),
        cache: STORE_CACHE,
        tail: match storage.tail.as_str() {
            "auto" => None,
            "off" => Some(None),
            directory => Some(Some(PathBuf::from(directory))),
        },
    }
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A line for whoever started the agent; standard output carries nothing else.
fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    // Nobody may be listening any more.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
