//! The keeper over a real store: what is answered is on the disk, and what the store
//! cannot take changes nothing.

use futures_util::FutureExt as _;

use super::*;
use crate::base::id::Name;
use crate::base::time::{ManualClock, Timestamp};
use crate::base::units::Span;
use crate::config::heartbeat;
use crate::model::check::PingKind;
use crate::model::task::TaskState;
use crate::store::StoreOptions;

struct Rig {
    keeper: TaskKeeper,
    store: Store,
    clock: Arc<ManualClock>,
    config: watch::Sender<Arc<Config>>,
    _directory: tempfile::TempDir,
}

fn section(name: &str) -> heartbeat::Check {
    heartbeat::Check {
        name: Name::new(name).unwrap(),
        slug: None,
        period: Span::from_secs(60),
        grace: Span::from_secs(30),
        start_timeout: None,
        enabled: true,
        description: String::new(),
    }
}

fn config(names: &[&str]) -> Arc<Config> {
    Arc::new(Config { check: names.iter().map(|name| section(name)).collect(), ..Config::default() })
}

async fn rig(names: &[&str]) -> Rig {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp(1_795_166_565_000)));
    let options = StoreOptions {
        path: directory.path().join("holdfast.redb"),
        cap: 32 << 20,
        raw_retention: Duration::from_secs(86_400),
        minute_retention: Duration::from_secs(86_400),
        hour_retention: Duration::from_secs(86_400),
        max_series: 1000,
        cache: 2 << 20,
        tail: Some(None),
    };
    let shared: Arc<dyn Clock> = clock.clone();
    let store = Store::open(options, shared.clone(), &mut |_| {}).unwrap().0;
    let sender = watch::Sender::new(config(names));
    let parts = Parts {
        clock: shared.clone(),
        store: store.clone(),
        bus: Bus::new(shared.clone(), 64),
        supervisor: Supervisor::new(shared),
        config: sender.subscribe(),
    };
    let keeper = TaskKeeper::new(parts, Saved::read(&store).unwrap());
    keeper.follow().await.unwrap();
    Rig { keeper, store, clock, config: sender, _directory: directory }
}

impl Rig {
    fn id(&self, name: &str) -> PingId {
        PingId::parse(&self.keeper.check(name, true).unwrap().uuid.unwrap()).unwrap()
    }

    fn status(&self, name: &str) -> CheckStatus {
        self.keeper.check(name, false).unwrap().status
    }

    async fn ping(&self, name: &str, kind: PingKind) -> Result<(), KeepError> {
        self.keeper.ping(Address::Id(self.id(name)), request(kind)).await
    }

    fn latest(&self, key: &str) -> Option<f64> {
        self.store.latest(key).map(|(_, value)| value)
    }
}

fn request(kind: PingKind) -> PingRequest {
    PingRequest { kind, exit: None, rid: None, body: String::new() }
}

#[tokio::test]
async fn a_ping_that_cannot_be_saved_is_refused_and_changes_nothing() {
    let rig = rig(&["nightly"]).await;
    rig.store.close(0).await.unwrap();
    assert!(matches!(rig.ping("nightly", PingKind::Success).await, Err(KeepError::Store(_))));
    assert_eq!(rig.status("nightly"), CheckStatus::New);
    assert_eq!(rig.keeper.figures(), None);
    let new = NewTask { name: String::from("x"), kind: None, id: None };
    assert!(matches!(rig.keeper.create(new).await, Err(KeepError::Store(_))));
}

#[tokio::test]
async fn time_goes_on_when_nothing_can_be_saved() {
    let rig = rig(&["nightly"]).await;
    rig.ping("nightly", PingKind::Success).await.unwrap();
    rig.store.close(0).await.unwrap();
    rig.clock.advance(Duration::from_secs(60));
    rig.keeper.tick().await;
    assert_eq!(rig.status("nightly"), CheckStatus::Late);
    rig.clock.advance(Duration::from_secs(30));
    rig.keeper.tick().await;
    assert_eq!(rig.status("nightly"), CheckStatus::Down);
}

#[tokio::test]
async fn a_ping_is_taken_to_its_end_when_the_caller_goes_away() {
    let rig = rig(&["nightly"]).await;
    assert!(rig.ping("nightly", PingKind::Start).now_or_never().is_none(), "it waits for the disk");
    rig.ping("nightly", PingKind::Success).await.unwrap();
    let stored = rig.store.pings("nightly", 9, 0).unwrap().0;
    assert_eq!(stored.iter().map(|ping| ping.kind).collect::<Vec<_>>(), [PingKind::Success, PingKind::Start]);
    let (tasks, _) = rig.keeper.tasks(&Default::default(), 9, 0);
    assert_eq!(tasks.iter().map(|task| task.state).collect::<Vec<_>>(), [TaskState::Completed]);
    assert_eq!(rig.store.tasks().unwrap(), tasks);
    assert_eq!(rig.store.checks().unwrap()["nightly"].pings, 2);
}

#[tokio::test]
async fn pings_of_different_checks_share_commits() {
    let names: Vec<String> = (0..16).map(|number| format!("check{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rig = rig(&names).await;
    let before = rig.store.stats().commits_total;
    let pings = names.iter().map(|name| rig.ping(name, PingKind::Success));
    futures_util::future::join_all(pings).await.into_iter().for_each(|done| done.unwrap());
    let commits = rig.store.stats().commits_total - before;
    assert!(commits < 16, "{commits} commits");
    assert!(names.iter().all(|name| rig.status(name) == CheckStatus::Up));
}

#[tokio::test]
async fn a_check_that_leaves_the_file_and_comes_back_keeps_its_id_and_is_new() {
    let rig = rig(&["nightly", "hourly"]).await;
    let id = rig.id("nightly");
    rig.ping("nightly", PingKind::Fail).await.unwrap();
    rig.config.send_replace(config(&["hourly"]));
    rig.keeper.follow().await.unwrap();
    let gone = rig.keeper.ping(Address::Id(id), request(PingKind::Success)).await;
    assert!(matches!(gone, Err(KeepError::UnknownAddress)));
    rig.config.send_replace(config(&["hourly", "nightly"]));
    rig.keeper.follow().await.unwrap();
    assert_eq!((rig.id("nightly"), rig.status("nightly")), (id, CheckStatus::New));
}

#[tokio::test]
async fn a_shorter_period_counts_from_the_last_ping() {
    let rig = rig(&["nightly"]).await;
    rig.ping("nightly", PingKind::Success).await.unwrap();
    rig.clock.advance(Duration::from_secs(50));
    let shorter = heartbeat::Check { period: Span::from_secs(30), ..section("nightly") };
    rig.config.send_replace(Arc::new(Config { check: vec![shorter], ..Config::default() }));
    rig.keeper.follow().await.unwrap();
    assert_eq!(rig.status("nightly"), CheckStatus::Late);
}

#[tokio::test]
async fn series_say_how_checks_and_tasks_are() {
    let rig = rig(&["nightly"]).await;
    rig.ping("nightly", PingKind::Start).await.unwrap();
    rig.clock.advance(Duration::from_secs(5));
    rig.ping("nightly", PingKind::Fail).await.unwrap();
    rig.keeper.write_series();
    for (key, value) in [
        ("holdfast_check_up{check=\"nightly\"}", 0.0),
        ("holdfast_check_status{check=\"nightly\"}", 3.0),
        ("holdfast_check_last_ping_timestamp_seconds{check=\"nightly\"}", 1_795_166_570.0),
        ("holdfast_check_pings_total{check=\"nightly\"}", 2.0),
        ("holdfast_tasks_finished_total{name=\"nightly\",result=\"failure\"}", 1.0),
        ("holdfast_tasks_finished_total{name=\"nightly\",result=\"success\"}", 0.0),
        ("holdfast_task_last_duration_seconds{name=\"nightly\"}", 5.0),
        ("holdfast_tasks{state=\"failed\"}", 1.0),
    ] {
        assert_eq!(rig.latest(key), Some(value), "{key}");
    }
    let appended = || rig.store.stats().samples_appended_total;
    let before = appended();
    rig.keeper.write_series();
    assert_eq!(appended(), before, "nothing changed");
    rig.ping("nightly", PingKind::Success).await.unwrap();
    rig.keeper.write_series();
    assert_eq!(rig.latest("holdfast_check_up{check=\"nightly\"}"), Some(1.0));
    rig.clock.advance(Duration::from_secs(15));
    let before = appended();
    rig.keeper.write_series();
    assert!(appended() > before, "all of it again after a while");
}
