//! The HTTP side of the agent on real sockets, over a real store, with a clock that
//! stands still; what the sampler and the prober would say is said by the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use holdfast::base::id::Name;
use holdfast::base::secret::Secret;
use holdfast::base::time::{Clock, ManualClock, Timestamp};
use holdfast::channels;
use holdfast::config::load::{Sources, load_text};
use holdfast::config::overlay::Overlay;
use holdfast::engine::alerting::dispatch::Dispatcher;
use holdfast::engine::alerting::{Alerting, Rounds};
use holdfast::engine::backups::{self, Backups};
use holdfast::engine::breaker_keeper::BreakerKeeper;
use holdfast::engine::failover::handle::{Failovers, Wiring};
use holdfast::engine::prober::ProbeNowError;
use holdfast::engine::reports::ReportKeeper;
use holdfast::engine::settings::Settings;
use holdfast::engine::task_keeper::{Parts, Saved, TaskKeeper};
use holdfast::http::{BuildInfo, Front, Listener, Services, serve};
use holdfast::logic::token::{ENTROPY, mint};
use holdfast::model::access::Scope;
use holdfast::model::breaker::BreakerState;
use holdfast::model::frame::Frame;
use holdfast::model::host::{HostIdentity, HostSummary, HostView};
use holdfast::model::probe::{OutcomeClass, ProbeRecord};
use holdfast::model::target::TargetStatus;
use holdfast::runtime::breakers::Breakers;
use holdfast::runtime::bus::Bus;
use holdfast::runtime::supervisor::{Phase, Policy, Supervisor};
use holdfast::store::{Change, Store, StoreOptions, Write};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::client::{Answer, Ask};

/// When the tests take place.
pub const NOW: Timestamp = Timestamp(1_795_166_565_000);
/// Events the bus keeps.
pub const RING: usize = 16;

/// Name, labels and value of a sample.
pub type One<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// See the module. Ends with its runtime.
pub struct TestApp {
    pub address: SocketAddr,
    pub socket: PathBuf,
    pub clock: Arc<ManualClock>,
    pub bus: Bus,
    pub store: Arc<OnceLock<Store>>,
    pub breakers: Arc<OnceLock<BreakerKeeper>>,
    /// Where the test plays the supervision of failover groups.
    pub failover: Wiring,
    pub alerting: Arc<OnceLock<Alerting>>,
    pub dispatcher: Arc<OnceLock<Dispatcher>>,
    settings: Settings,
    pub tasks: Arc<OnceLock<TaskKeeper>>,
    pub reports: Arc<OnceLock<ReportKeeper>>,
    pub backups: Arc<OnceLock<Backups>>,
    /// Told when a backup waits to be put in the place of the store.
    pub restart: watch::Sender<bool>,
    /// What the handlers' breakers are made in.
    pub registry: Breakers,
    pub host: watch::Sender<Arc<HostView>>,
    pub targets: watch::Sender<Arc<Vec<TargetStatus>>>,
    pub supervisor: Supervisor,
    pub front: Front,
    pub admin: Secret,
    minted: std::sync::atomic::AtomicU8,
    directory: tempfile::TempDir,
}

impl TestApp {
    /// With the default configuration and an open store.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// With a configuration file of this text and an open store.
    pub async fn with(file: &str) -> Self {
        let (mut app, settings) = Self::without_store(file).await;
        let store = open(app.directory.path(), app.clock.clone()).await;
        settings.attach(&store).unwrap();
        let keeper =
            BreakerKeeper::new(app.clock.clone(), app.registry.clone(), store.clone(), app.bus.clone());
        app.breakers.set(keeper).ok().unwrap();
        let (clock, bus, config) = (app.clock.clone(), app.bus.clone(), settings.config());
        let reader = store.clone();
        let opened =
            Supervisor::blocking(move || Alerting::open(clock, reader, bus, &config, Arc::new(|| true)))
                .await;
        app.alerting.set(opened.unwrap().unwrap()).ok().unwrap();
        let surroundings = channels::Surroundings {
            clock: app.clock.clone(),
            supervisor: app.supervisor.clone(),
            environment: Arc::default(),
            data_dir: app.directory.path().to_owned(),
        };
        let context = channels::Context { host: String::from("box"), url: None };
        let dispatcher = Dispatcher::new(app.alerting().clone(), surroundings, context, &settings.config());
        app.dispatcher.set(dispatcher).ok().unwrap();
        app.keep_tasks(&store, &settings).await;
        app.store.set(store).ok().unwrap();
        app.admin = app.token(Scope::Admin).await;
        app
    }

    /// Checks, tasks and reports as they are in the store; nothing ticks.
    async fn keep_tasks(&self, store: &Store, settings: &Settings) {
        let parts = Parts {
            clock: self.clock.clone(),
            store: store.clone(),
            bus: self.bus.clone(),
            supervisor: self.supervisor.clone(),
            config: settings.subscribe(),
        };
        let tasks = TaskKeeper::new(parts, Saved::read(store).unwrap());
        tasks.follow().await.unwrap();
        self.tasks.set(tasks).ok().unwrap();
        let reports = ReportKeeper::new(self.clock.clone(), store.clone(), store.failures().unwrap());
        self.reports.set(reports).ok().unwrap();
        let parts = backups::Parts {
            clock: self.clock.clone(),
            store: store.clone(),
            bus: self.bus.clone(),
            config: settings.subscribe(),
            sealer: settings.sealer(),
            supervisor: self.supervisor.clone(),
            path: self.directory.path().join("holdfast.redb"),
            host: String::from("box"),
            environment: Arc::default(),
            restart: self.restart.clone(),
        };
        self.backups.set(Backups::new(parts)).ok().unwrap();
    }

    /// With the store still opening.
    pub async fn without_store(file: &str) -> (Self, Settings) {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let shared: Arc<dyn Clock> = clock.clone();
        let bus = Bus::new(shared.clone(), RING);
        let sources = Sources { data_dir: Some(directory.path().to_owned()), ..Sources::default() };
        let loaded = load_text(sources, "test.toml", file, Overlay::default()).unwrap();
        let supervisor = Supervisor::new(shared.clone());
        let settings = Settings::new(loaded, shared.clone(), bus.clone(), supervisor.clone());
        let (host, host_seen) = watch::channel(Arc::new(host_view()));
        let (targets, targets_seen) = watch::channel(Arc::default());
        let store = Arc::new(OnceLock::new());
        let breakers = Arc::new(OnceLock::new());
        let alerting = Arc::new(OnceLock::new());
        let dispatcher = Arc::new(OnceLock::new());
        let (tasks, reports) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
        let backups = Arc::new(OnceLock::new());
        let registry = Breakers::new(shared.clone(), BTreeMap::new());
        let (failovers, failover) = Failovers::new(4);
        let front = Front::new(Services {
            clock: shared,
            store: store.clone(),
            opening: watch::channel(0.5).1,
            bus: bus.clone(),
            supervisor: supervisor.clone(),
            host: host_seen,
            targets: targets_seen,
            memory: watch::channel(Arc::default()).1,
            probe: Arc::new(|name| Box::pin(async move { probed(&name) })),
            breakers: breakers.clone(),
            failovers,
            alerting: alerting.clone(),
            dispatcher: dispatcher.clone(),
            tasks: tasks.clone(),
            reports: reports.clone(),
            backups: backups.clone(),
            settings: settings.clone(),
            build: BuildInfo { commit: "test", target: "test", profile: "debug" },
            started_at: NOW,
        });
        let socket = directory.path().join("holdfast.sock");
        let tcp = Listener::tcp("127.0.0.1:0").await.unwrap();
        let address = tcp.address().unwrap();
        start(&supervisor, "tcp", tcp, &front);
        start(&supervisor, "unix", Listener::unix(&socket).await.unwrap(), &front);
        let app = Self {
            address,
            socket,
            clock,
            bus,
            store,
            breakers,
            failover,
            alerting,
            dispatcher,
            settings: settings.clone(),
            tasks,
            reports,
            backups,
            restart: watch::Sender::new(false),
            registry,
            host,
            targets,
            supervisor,
            front,
            admin: Secret::default(),
            minted: std::sync::atomic::AtomicU8::new(1),
            directory,
        };
        (app, settings)
    }

    pub fn store(&self) -> &Store {
        self.store.get().unwrap()
    }

    pub fn alerting(&self) -> &Alerting {
        self.alerting.get().unwrap()
    }

    /// Evaluates every rule, as a tick of the sampler does those that are due, by the
    /// configuration that is in force.
    pub async fn round(&self) {
        let rounds = self.rounds().await;
        assert!(self.alerting().round(rounds).await.is_some());
    }

    /// Sends what is due until nothing waits; at most for 20 s.
    pub async fn deliver(&self) {
        let dispatcher = self.dispatcher.get().unwrap().clone();
        let mut outbox = self.alerting().subscribe_outbox();
        let done = async {
            while !self.alerting().outbox().await.is_empty() {
                outbox.changed().await.unwrap();
            }
        };
        let sending = dispatcher.run(self.settings.subscribe(), CancellationToken::new());
        let both = async {
            tokio::select! {
                biased;
                ended = sending => panic!("the dispatcher ended: {ended:?}"),
                () = done => {}
            }
        };
        tokio::time::timeout(Duration::from_secs(20), both).await.expect("everything is sent");
    }

    /// The rules of the configuration that is in force, ready to be evaluated.
    pub async fn rounds(&self) -> Rounds {
        self.alerting().rounds(&self.settings.config()).await
    }

    /// The same of another configuration file, which is in force from now on.
    pub async fn rounds_of(&self, file: &str) -> Rounds {
        let sources = Sources { data_dir: Some(self.directory.path().to_owned()), ..Sources::default() };
        let loaded = load_text(sources, "test.toml", file, Overlay::default()).unwrap();
        self.alerting().rounds(&loaded.config).await
    }

    /// A new token of one scope.
    pub async fn token(&self, scope: Scope) -> Secret {
        let seed = self.minted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("{}-{seed}", scope.word());
        let (token, text) = mint(&[seed; ENTROPY], &name, vec![scope], NOW, None);
        let change = Change { writes: vec![Write::PutToken(token)], audit: None };
        self.store().commit(change).await.unwrap();
        text
    }

    pub async fn ask(&self, ask: Ask) -> Answer {
        ask.over_tcp(self.address).await
    }

    /// GET as anybody on loopback.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Ask::get(path)).await
    }

    /// As an administrator.
    pub async fn ask_as_admin(&self, ask: Ask) -> Answer {
        let token = self.admin.expose().to_owned();
        self.ask(ask.bearer(&token)).await
    }

    /// Puts one value of each series into the store.
    pub fn sample(&self, at: Timestamp, series: &[One<'_>]) {
        self.sample_of("host", at, series);
    }

    /// The same from a source of its own.
    pub fn sample_of(&self, stream: &str, at: Timestamp, series: &[One<'_>]) {
        let mut frame = Frame::new();
        for (name, labels, value) in series {
            let family = if name.ends_with("_total") {
                frame.counter(name, "A counter.")
            } else {
                frame.gauge(name, "A \"gauge\".")
            };
            family.push(labels, *value);
        }
        self.store().append(stream, at, &frame);
    }
}

/// Serves `front` on a listener until the supervisor stops.
pub fn start(supervisor: &Supervisor, name: &str, listener: Listener, front: &Front) {
    let (listener, front, own) = (Arc::new(listener), front.clone(), supervisor.clone());
    supervisor.spawn(name, Policy::Essential, Phase::Serve, move |stop| {
        let (listener, front, supervisor) = (listener.clone(), front.clone(), own.clone());
        async move {
            serve(&listener, &front, &supervisor, &stop).await;
            Ok(())
        }
    });
}

async fn open(directory: &Path, clock: Arc<dyn Clock>) -> Store {
    let options = StoreOptions {
        path: directory.join("holdfast.redb"),
        cap: 64 << 20,
        raw_retention: Duration::from_secs(86_400),
        minute_retention: Duration::from_secs(30 * 86_400),
        hour_retention: Duration::from_secs(730 * 86_400),
        max_series: 1000,
        cache: 4 << 20,
        tail: Some(None),
    };
    let opened = Supervisor::blocking(move || Store::open(options, clock, &mut |_| {})).await.unwrap();
    opened.unwrap().0
}

fn host_view() -> HostView {
    HostView {
        identity: HostIdentity { hostname: String::from("box"), ..HostIdentity::default() },
        summary: HostSummary {
            collected_at_ms: NOW.millis(),
            cpu_usage_percent: Some(12.5),
            disk_total_bytes: Some(1000),
            disk_used_bytes: Some(400),
            disk_available_bytes: Some(550),
            disk_usage_percent: Some(40.0),
            uptime_seconds: Some(99.0),
            ..HostSummary::default()
        },
        ticks: 1,
        ..HostView::default()
    }
}

/// `panics` panics, `gone` has no worker, every other target answers.
fn probed(name: &Name) -> Result<ProbeRecord, ProbeNowError> {
    let name_of = || name.to_string();
    match name.as_str() {
        "panics" => panic!("secret-of-the-handler"),
        "gone" => Err(ProbeNowError::Busy { name: name_of() }),
        "off" => Err(ProbeNowError::Off { name: name_of() }),
        _ => Ok(record(name.as_str(), OutcomeClass::Ok)),
    }
}

pub fn record(name: &str, class: OutcomeClass) -> ProbeRecord {
    ProbeRecord {
        target: Name::new(name).unwrap(),
        kind: String::from("postgres"),
        at: NOW,
        class,
        latency_ms: 1.5,
        operations: Vec::new(),
    }
}

/// The state of a Postgres target that was just probed.
pub fn target(name: &str, class: OutcomeClass) -> TargetStatus {
    TargetStatus {
        name: name.to_owned(),
        kind: String::from("postgres"),
        address: String::from("127.0.0.1:5432"),
        interval_ms: 1000,
        enabled: true,
        breaker: BreakerState::Closed,
        class: Some(class),
        since: Some(NOW),
        probes: 1,
        failed: 0,
        error_share: 0.0,
        p50_ms: Some(1.5),
        p95_ms: Some(1.5),
        connections: None,
        last: Some(record(name, class)),
    }
}

/// Names and values of labels, in order.
pub fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
