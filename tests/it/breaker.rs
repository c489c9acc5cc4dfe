//! Breakers around real servers: one that works, one that fails as it is told, none.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use holdfast::base::time::{Clock, ManualClock, SystemClock, Timestamp};
use holdfast::config::Config;
use holdfast::engine::prober::{Keeper, Prober};
use holdfast::logic::breaker::Settings;
use holdfast::model::access::Scope;
use holdfast::model::breaker::{BreakerReason, BreakerState, BreakerView};
use holdfast::model::frame::Frame;
use holdfast::model::probe::OutcomeClass::{Alive, Hard, Ok as Fine, Soft};
use holdfast::model::target::TargetStatus;
use holdfast::runtime::breaker::Breaker;
use holdfast::runtime::breakers::Breakers;
use holdfast::runtime::bus::Bus;
use holdfast::targets::Probed;
use http::Method;
use serde_json::json;
use tokio::sync::watch;

use super::support::agent::Agent;
use super::support::app::TestApp;
use super::support::client::Ask;
use super::support::free_port;
use super::support::garage::{BUCKET, Garage, KEY, SECRET};
use super::support::probing::{operation, probe, surroundings, target};
use super::support::s3_door::{Fault, S3Door};

/// The defaults of a target.
pub const SETTINGS: Settings = Settings {
    failure_threshold: 3,
    window: Duration::from_secs(300),
    minimum_calls: 10,
    failure_share: 0.5,
    slow_call: Duration::from_secs(2),
    slow_share: 0.8,
    open_for: Duration::from_secs(60),
    max_open_for: Duration::from_secs(600),
    half_open_calls: 2,
    close_after: 2,
    call_timeout: Duration::from_secs(5),
};
const PATIENCE: Duration = Duration::from_secs(30);

/// The bucket behind a door.
fn section(port: u16, more: &str) -> String {
    format!(
        "[[target.object_store]]\nname = \"s3\"\nendpoint = \"http://127.0.0.1:{port}\"\nregion = \"garage\"\n\
         access_key_id = \"{KEY}\"\nbucket = \"{BUCKET}\"\nsecret_access_key = \"{SECRET}\"\n{more}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_store_has_its_class() {
    let garage = Garage::start();
    let door = S3Door::open(garage.port).await;
    let mut s3 = target(&section(door.port, "timeout = \"1s\""));
    for (fault, class, code) in [
        (Fault::None, Fine, ""),
        (Fault::Answer(503, "SlowDown"), Soft, "SlowDown"),
        (Fault::Answer(500, "InternalError"), Hard, "InternalError"),
        (Fault::Answer(403, "AccessDenied"), Alive, "AccessDenied"),
        (Fault::Answer(404, "NoSuchBucket"), Alive, "NoSuchBucket"),
        (Fault::Hang, Hard, "timeout"),
        (Fault::Slow(Duration::from_millis(50)), Fine, ""),
        (Fault::None, Fine, ""),
    ] {
        door.set(fault);
        let record = probe(&mut *s3).await.record;
        let put = operation(&record, "put");
        assert_eq!((record.class, put.code.as_str()), (class, code), "{fault:?}: {record:?}");
    }
    door.set(Fault::WrongBytes);
    let record = probe(&mut *s3).await.record;
    assert_eq!((record.class, operation(&record, "get").code.as_str()), (Hard, "corrupt"), "{record:?}");
    let refused = probe(&mut *target(&section(free_port(), "timeout = \"1s\""))).await.record;
    assert_eq!(operation(&refused, "put").code, "refused");
}

struct Nowhere;

impl Keeper for Nowhere {
    fn keep(&self, _stream: &str, _at: Timestamp, _probed: &Probed) {}

    fn state(&self, _stream: &str, _at: Timestamp, _frame: &Frame) {}
}

/// A prober of one target, as in the agent.
struct Rig {
    prober: Prober,
    breakers: Breakers,
    statuses: watch::Receiver<Arc<Vec<TargetStatus>>>,
    _config: watch::Sender<Arc<Config>>,
}

fn watching(section: &str) -> Rig {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let breakers = Breakers::new(clock.clone(), BTreeMap::new());
    let config = watch::Sender::new(Arc::new(toml::from_str::<Config>(section).expect("a configuration")));
    let shown = watch::Sender::default();
    let statuses = shown.subscribe();
    let bus = Bus::new(clock, 64);
    let prober =
        Prober::start(config.subscribe(), surroundings(), Arc::new(Nowhere), bus, breakers.clone(), shown);
    Rig { prober, breakers, statuses, _config: config }
}

impl Rig {
    fn view(&self) -> BreakerView {
        self.breakers.get("s3").expect("a breaker").view()
    }

    async fn wait(&mut self, what: impl Fn(&TargetStatus, &BreakerView) -> bool) -> TargetStatus {
        let breakers = self.breakers.clone();
        let seen = |statuses: &Arc<Vec<TargetStatus>>| {
            let breaker = breakers.get("s3").map(|breaker| breaker.view());
            statuses.first().is_some_and(|status| breaker.is_some_and(|breaker| what(status, &breaker)))
        };
        let found = tokio::time::timeout(PATIENCE, self.statuses.wait_for(seen)).await;
        let found = found.map(|found| found.expect("the prober runs")[0].clone());
        found.unwrap_or_else(|_| panic!("never: {:?}", self.view()))
    }
}

/// Newest first.
fn reasons(view: &BreakerView) -> Vec<BreakerReason> {
    view.transitions.iter().map(|done| done.reason).collect()
}

const FAST: &str =
    "interval = \"200ms\"\ntimeout = \"200ms\"\n[target.object_store.breaker]\nopen_for = \"1m\"";

#[tokio::test(flavor = "multi_thread")]
async fn three_hard_failures_open_it_one_light_probe_goes_out_and_two_successes_close_it() {
    let garage = Garage::start();
    let door = S3Door::open(garage.port).await;
    let mut rig = watching(&section(door.port, FAST));
    rig.wait(|status, _| status.class == Some(Fine)).await;

    // One bad cycle does not trip.
    door.set(Fault::Answer(500, "InternalError"));
    rig.prober.probe_now("s3").await.expect("probed");
    door.set(Fault::None);
    rig.wait(|status, breaker| status.class == Some(Fine) && breaker.failure_count == 0).await;
    assert_eq!(rig.view().transitions, []);

    door.set(Fault::Answer(500, "InternalError"));
    rig.wait(|_, breaker| breaker.state == BreakerState::Open).await;
    let view = rig.view();
    assert_eq!((reasons(&view), view.failure_count), (vec![BreakerReason::FailuresInRow], 3));
    let wait = view.next_attempt.expect("a time").since(view.since);
    assert!(wait >= Duration::from_secs(47) && wait <= Duration::from_secs(60), "{wait:?}");

    // Behind it, the bucket is asked and nothing is written.
    let before = rig.prober.probe_now("s3").await.expect("probed").at;
    door.requests();
    rig.wait(|status, _| status.last.as_ref().is_some_and(|last| last.at > before)).await;
    assert!(door.requests().iter().all(|method| method == Method::HEAD));
    assert_eq!(rig.view().state, BreakerState::Open);

    door.set(Fault::None);
    rig.wait(|_, breaker| breaker.state == BreakerState::Closed).await;
    let told = reasons(&rig.view());
    assert_eq!(told[..2], [BreakerReason::Recovered, BreakerReason::ProbeAnswered], "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_wait_a_whole_cycle_is_tried() {
    let door = S3Door::open(free_port()).await;
    door.set(Fault::Answer(500, "InternalError"));
    let fast = FAST.replace("1m", "300ms");
    let mut rig = watching(&section(door.port, &fast));
    rig.wait(|_, breaker| breaker.attempt >= 3).await;
    let told = reasons(&rig.view());
    let expected = [BreakerReason::FailedAgain, BreakerReason::Waited];
    assert_eq!(told[told.len() - 5..told.len() - 1], [expected, expected].concat(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_only_writes_trips_and_does_not_flap() {
    let garage = Garage::start();
    let door = S3Door::open(garage.port).await;
    door.set(Fault::Put(500, "InternalError"));
    let mut rig = watching(&section(door.port, FAST));
    // The third cycle trips it, HEAD answers, the cycle after that fails again.
    let status = rig.wait(|_, breaker| breaker.attempt == 2).await;
    assert!(status.probes >= 4, "{status:?}");
    let after = rig.prober.probe_now("s3").await.expect("probed");
    assert_eq!(after.operations.len(), 1, "{after:?}");
    let view = rig.view();
    assert_eq!(view.state, BreakerState::Open);
    assert_eq!(
        reasons(&view),
        [BreakerReason::FailedAgain, BreakerReason::ProbeAnswered, BreakerReason::FailuresInRow]
    );
    let record = probe(&mut *target(&section(door.port, "timeout = \"1s\""))).await.record;
    assert_eq!(operation(&record, "put").class, Hard);
    assert_eq!(operation(&record, "list").class, Fine);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_a_failed_probe_and_never_trips() {
    let garage = Garage::start();
    let door = S3Door::open(garage.port).await;
    door.set(Fault::Answer(403, "AccessDenied"));
    let mut rig = watching(&section(door.port, FAST));
    let status = rig.wait(|status, _| status.probes >= 5).await;
    assert_eq!((status.class, status.failed, status.error_share), (Some(Alive), status.probes, 1.0));
    let problem = status.last.as_ref().and_then(|last| last.problem()).expect("a problem");
    assert_eq!(problem.code, "AccessDenied");
    let view = rig.view();
    assert_eq!((view.state, view.calls.hard, view.window_calls), (BreakerState::Closed, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a stampede needs many tasks")]
async fn of_a_stampede_two_reach_a_dead_target() {
    const TASKS: usize = 64;
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let shared: Arc<dyn Clock> = clock.clone();
    let breaker = Arc::new(Breaker::new(SETTINGS, None, shared, 7, || {}));
    for _ in 0..3 {
        breaker.acquire().expect("closed").report(Hard);
    }
    clock.advance(Duration::from_secs(61));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let reached = Arc::new(AtomicUsize::new(0));
    let counted = reached.clone();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            open.push(stream);
        }
    });
    let start = Arc::new(tokio::sync::Barrier::new(TASKS));
    let tasks = (0..TASKS).map(|_| {
        let (breaker, start) = (breaker.clone(), start.clone());
        tokio::spawn(async move {
            start.wait().await;
            let Ok(permit) = breaker.acquire() else { return false };
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("it accepts");
            // It never answers.
            let answer = tokio::io::AsyncReadExt::read_u8(&mut stream);
            let ended = tokio::time::timeout(Duration::from_millis(300), answer).await;
            permit.report(if ended.is_ok() { Fine } else { Hard });
            true
        })
    });
    let mut passed = 0;
    for task in tasks.collect::<Vec<_>>() {
        passed += usize::from(task.await.expect("no panic"));
    }
    assert!(passed <= 2 && reached.load(Ordering::SeqCst) <= 2, "{passed} passed");
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(breaker.view().calls.rejected, (TASKS - passed) as u64);
}

#[tokio::test]
async fn an_operator_steers_a_breaker_with_an_audit_row_and_it_survives() {
    let app = TestApp::start().await;
    app.registry.of("pg1", "postgres/h", SETTINGS);
    let post =
        |action: &str| Ask::post(&format!("/api/v1/targets/pg1/breaker/{action}"), "application/json", "");
    assert_eq!(app.ask(post("force-open")).await.status, 401);
    let reader = app.token(Scope::MonitoringWrite).await;
    assert_eq!(app.ask(post("force-open").bearer(reader.expose())).await.status, 403);

    let writer = app.token(Scope::TargetsWrite).await;
    let mut events = app.bus.subscribe(None);
    for (action, state) in [
        ("force-open", "forced_open"),
        ("force-open", "forced_open"),
        ("disable", "disabled"),
        ("metrics-only", "metrics_only"),
        ("release", "closed"),
        ("force-open", "forced_open"),
    ] {
        let answer = app.ask(post(action).bearer(writer.expose())).await;
        assert_eq!((answer.status, answer.json()["state"].clone()), (200, json!(state)), "{action}");
    }
    let (identity, saved) = app.store().breakers().expect("readable").remove("pg1").expect("saved");
    assert_eq!(identity, "postgres/h");
    assert_eq!((saved.state, saved.generation), (BreakerState::ForcedOpen, 5));
    let audit = app.ask_as_admin(Ask::get("/api/v1/audit")).await.json();
    let rows: Vec<_> =
        audit["items"].as_array().expect("rows").iter().map(|row| row["action"].clone()).collect();
    assert_eq!(
        rows[..5],
        [
            "breaker.force_open",
            "breaker.release",
            "breaker.metrics_only",
            "breaker.disable",
            "breaker.force_open"
        ]
    );
    let mut told = 0;
    while let Some(holdfast::runtime::bus::Message::Event(event)) = events.try_next() {
        assert_eq!((event.kind.word(), &event.data["name"]), ("breaker", &json!("pg1")));
        told += 1;
    }
    assert_eq!(told, 5);

    let shown = app.get("/api/v1/targets/pg1/breaker").await.json();
    assert_eq!(
        (&shown["state"], &shown["transitions"][0]["reason"]),
        (&json!("forced_open"), &json!("operator"))
    );
    assert!(shown["transitions"][0]["by"].as_str().expect("who").starts_with("token:"));
    let reset = app.ask(post("reset").bearer(writer.expose())).await.json();
    assert_eq!((&reset["state"], &reset["failure_count"]), (&json!("closed"), &json!(0)));
    assert_eq!(app.get("/api/v1/targets/none/breaker").await.problem(), "not_found");
}

#[tokio::test]
async fn a_command_that_cannot_be_saved_is_never_answered_as_done() {
    let app = TestApp::start().await;
    app.registry.of("pg1", "postgres/h", SETTINGS);
    let post = || Ask::post("/api/v1/targets/pg1/breaker/force-open", "application/json", "");
    let writer = app.token(Scope::TargetsWrite).await;
    app.store().close(0).await.expect("closed");
    // The second changes nothing in memory, and still is not on the disk.
    for _ in 0..2 {
        let answer = app.ask(post().bearer(writer.expose())).await;
        assert_eq!((answer.status, answer.problem().as_str()), (503, "store_unavailable"));
    }
    assert_eq!(app.registry.get("pg1").expect("a breaker").state(), BreakerState::ForcedOpen);
}

/// Waits until an event of a breaker with `text` in it comes.
fn hear(agent: &Agent, text: &str) {
    let mut stream = std::net::TcpStream::connect(agent.address).expect("it listens");
    let path = "/api/v1/monitoring/events?types=breaker&since=1";
    let ask = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n", agent.address);
    stream.write_all(ask.as_bytes()).expect("sent");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let mut lines = BufReader::new(stream).lines();
    let found = lines.find(|line| line.as_ref().map_or(true, |line| line.contains(text)));
    assert!(matches!(found, Some(Ok(_))), "no event {text}: {found:?}");
}

/// Asks until `path` answers what `seen` wants.
fn wait_until(agent: &Agent, path: &str, seen: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let answers = (0..200_000).map(|_| agent.get(path)).filter(|answer| answer.status == 200);
    let mut answers = answers.map(|answer| answer.json());
    answers.find(|answer| seen(answer)).unwrap_or_else(|| panic!("{path} never answered so"))
}

#[test]
fn a_breaker_that_was_open_at_kill_9_is_open_after_the_restart() {
    let directory = tempfile::tempdir().expect("a folder");
    let data = directory.path().join("data");
    let config = section(free_port(), "interval = \"200ms\"\ntimeout = \"200ms\"");
    let path = "/api/v1/targets/s3/breaker";
    let mut agent = Agent::start(&data, &config);
    // Told after the commit that holds it.
    hear(&agent, "\"to\":\"open\"");
    let before = agent.get(path).json();
    agent.kill();
    let agent = Agent::start(&data, &config);
    let after = agent.get(path).json();
    assert_eq!((&after["state"], &after["attempt"]), (&json!("open"), &json!(1)), "{after}");
    assert_eq!(after["transitions"], before["transitions"]);
    let class = wait_until(&agent, "/api/v1/targets/s3", |status| status["class"] == "hard");
    assert_eq!(class["breaker"], "open");
}
