//! Changing the configuration of a running agent, with the real store below it.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use holdfast::base::time::{ManualClock, Timestamp};
use holdfast::config::load::{Sources, load};
use holdfast::config::overlay::Overlay;
use holdfast::engine::settings::{ApplyError, Author, Settings};
use holdfast::runtime::bus::{Bus, Message, Subscription};
use holdfast::runtime::supervisor::Supervisor;
use holdfast::store::{Store, StoreOptions};
use serde_json::{Value, json};
use tokio::sync::Notify;

const PG1: &str = "[[target.postgres]]\nname = \"pg1\"\nhost = \"127.0.0.1\"\n";

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp(1_795_166_565_250)))
}

pub fn open(directory: &Path) -> Store {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let options = StoreOptions {
        path: directory.join("holdfast.redb"),
        cap: 64 << 20,
        raw_retention: hours(24),
        minute_retention: hours(24 * 30),
        hour_retention: hours(24 * 730),
        max_series: 100,
        cache: 1 << 20,
        tail: Some(None),
    };
    Store::open(options, clock(), &mut |_| {}).unwrap().0
}

/// Settings on the file `h.toml` of the directory.
pub fn settings(directory: &Path) -> (Settings, Subscription) {
    let sources = Sources { file: Some(directory.join("h.toml")), ..Sources::default() };
    let loaded = load(sources, Overlay::default()).unwrap();
    let bus = Bus::new(clock(), 16);
    let events = bus.subscribe(None);
    (Settings::new(loaded, clock(), bus, Supervisor::new(clock())), events)
}

fn data(events: &mut Subscription) -> Value {
    match events.try_next() {
        Some(Message::Event(event)) => event.data.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_change_is_in_force_in_the_audit_log_and_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("h.toml"), PG1).unwrap();
    let store = open(directory.path());
    let (settings, mut events) = settings(directory.path());
    assert_eq!(settings.attach(&store).unwrap(), Vec::<String>::new());
    let mut watching = settings.subscribe();
    let etag = settings.etag();
    let patch = json!({"collect": {"interval": "2s"}, "target": {"postgres": {"pg1": {"timeout": "1s"}}}});
    let applied = settings.apply(patch.clone(), &etag, "token:admin").await.unwrap();
    assert_eq!(applied.changed, ["collect.interval", "target.postgres[pg1].timeout"]);
    assert_eq!(applied.restart, Vec::<String>::new());
    assert_eq!(watching.borrow_and_update().collect.interval.to_string(), "2s");
    assert_eq!(data(&mut events)["action"], "config_changed");
    let (audit, total) = store.audit(10, 0).unwrap();
    assert_eq!((total, audit[0].who.as_str(), audit[0].action.as_str()), (1, "token:admin", "config.apply"));
    assert_eq!(
        audit[0].detail,
        "collect.interval: \"1s\" -> \"2s\"; target.postgres[pg1].timeout: \"5s\" -> \"1s\""
    );

    // The same ETag a second time is what somebody else has overtaken.
    let error = settings.apply(patch, &etag, "token:admin").await.unwrap_err();
    assert!(matches!(error, ApplyError::Stale { current } if current == applied.etag));

    store.close(0).await.unwrap();
    drop((store, settings));
    let store = open(directory.path());
    let (again, _) = self::settings(directory.path());
    again.attach(&store).unwrap();
    assert_eq!(again.etag(), applied.etag);
    assert_eq!(again.drift().len(), 2);
}

struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_change_whose_client_goes_away_while_it_is_stored_is_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    std::fs::write(directory.path().join("h.toml"), PG1).unwrap();
    let (settings, _) = settings(directory.path());
    settings.attach(&store).unwrap();
    let mut watching = settings.subscribe();

    // Polled only when woken, and not any more once the commit is through: that is
    // where a connection that breaks off leaves a handler.
    let woken = Arc::new(Woken(Notify::new()));
    let waker = Waker::from(woken.clone());
    let patch = json!({"collect": {"interval": "2s"}});
    let mut change = Box::pin(settings.apply(patch, "*", "token:admin"));
    while store.audit(1, 0).unwrap().1 == 0 {
        assert!(change.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        woken.0.notified().await;
    }
    drop(change);
    let in_force = watching.wait_for(|config| config.collect.interval.to_string() == "2s");
    tokio::time::timeout(Duration::from_secs(20), in_force).await.expect("in force").unwrap();

    // What the next change is made from has it too.
    settings.apply(json!({"log": {"level": "debug"}}), "*", "token:admin").await.unwrap();
    assert_eq!(settings.drift().len(), 2);
}

#[tokio::test]
async fn what_is_pinned_or_wrong_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("h.toml"), PG1).unwrap();
    let (settings, mut events) = settings(directory.path());
    let early = settings.apply(json!({}), "*", "x").await.unwrap_err();
    assert!(matches!(early, ApplyError::Unavailable { .. }), "{early}");
    let store = open(directory.path());
    settings.attach(&store).unwrap();
    let etag = settings.etag();
    let pinned =
        settings.apply(json!({"target": {"postgres": {"pg1": {"host": "h"}}}}), "*", "x").await.unwrap_err();
    let place = directory.path().join("h.toml:3:1");
    assert_eq!(
        pinned.to_string(),
        format!("key target.postgres[pg1].host: defined in {}, change it there", place.display())
    );
    let wrong = settings.apply(json!({"storage": {"cap": 5}}), "*", "x").await.unwrap_err();
    assert!(matches!(wrong, ApplyError::Invalid(_)), "{wrong}");
    assert_eq!((settings.etag(), store.audit(10, 0).unwrap().1), (etag, 0));
    assert!(events.try_next().is_none());
}

#[tokio::test]
async fn whoever_may_write_targets_may_not_read_secrets_through_them() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    let (token, link, password) =
        (folder.join("admin.token"), directory.path().join("link"), directory.path().join("password"));
    std::fs::write(&token, "hf_admin").unwrap();
    std::fs::write(&password, "geheim").unwrap();
    std::os::unix::fs::symlink(&token, &link).unwrap();
    std::fs::write(directory.path().join("h.toml"), format!("data_dir = {folder:?}\n{PG1}")).unwrap();
    let (settings, _) = settings(directory.path());
    settings.attach(&open(&folder)).unwrap();
    let writer = || Author::from("token:writer");
    let admin = || Author { who: String::from("token:admin"), admin: true };
    let pg2 = |values: Value| json!({"target": {"postgres": {"pg2": values}}});

    for path in [&token, &link] {
        let patch = pg2(json!({"host": "127.0.0.1", "password_file": path}));
        let refused = settings.apply(patch, "*", admin()).await.unwrap_err().to_string();
        assert!(refused.contains("is the agent's own"), "{refused}");
    }
    let patch = pg2(json!({"host": "127.0.0.1", "password_file": password}));
    let refused = settings.apply(patch.clone(), "*", writer()).await.unwrap_err().to_string();
    assert!(refused.contains("target.postgres[pg2].password_file"), "{refused}");
    settings.apply(patch, "*", admin()).await.unwrap();

    // The address is where the secret goes; the interval is not.
    for moved in [json!({"host": "127.0.0.2"}), json!({"tls": "disable"})] {
        let refused = settings.apply(pg2(moved), "*", writer()).await.unwrap_err().to_string();
        assert!(refused.contains("only the scope `admin`"), "{refused}");
    }
    settings.apply(pg2(json!({"interval": "10s"})), "*", writer()).await.unwrap();
    let pinned = json!({"target": {"postgres": {"pg1": {"tls": "disable"}}}});
    let refused = settings.apply(pinned, "*", admin()).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Pinned(_)), "{refused}");
    settings.apply(pg2(Value::Null), "*", writer()).await.unwrap();
}

#[tokio::test]
async fn another_secret_in_the_file_is_a_change_that_is_told_without_the_secret() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("h.toml");
    std::fs::write(&file, format!("{PG1}password = \"first-one\"\n")).unwrap();
    let (settings, mut events) = settings(directory.path());
    let store = open(directory.path());
    settings.attach(&store).unwrap();
    let before = settings.etag();
    assert_eq!(settings.reload("signal").await.unwrap().changed, Vec::<String>::new());
    assert_eq!(settings.etag(), before);

    std::fs::write(&file, format!("{PG1}password = \"second-one\"\n")).unwrap();
    let applied = settings.reload("signal").await.unwrap();
    assert_eq!(applied.changed, ["target.postgres[pg1].password"]);
    assert_ne!(applied.etag, before);
    assert_eq!(data(&mut events)["changed"][0], "target.postgres[pg1].password");
    let (audit, total) = store.audit(10, 0).unwrap();
    assert_eq!((total, audit[0].detail.as_str()), (1, "target.postgres[pg1].password: \"***\" -> \"***\""));
    // A change made from the state before the rotation is one from an old state.
    let stale = settings.apply(json!({"log": {"level": "debug"}}), &before, "token:admin").await.unwrap_err();
    assert!(matches!(stale, ApplyError::Stale { .. }), "{stale}");
}

#[tokio::test]
async fn a_reload_takes_the_whole_file_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("h.toml");
    std::fs::write(&file, PG1).unwrap();
    let (settings, mut events) = settings(directory.path());
    settings.attach(&open(directory.path())).unwrap();
    let before = settings.etag();

    std::fs::write(&file, "[log]\nlevel = \"debug\"\n[storage]\ncap = 5\n").unwrap();
    settings.reload("signal").await.unwrap_err();
    assert_eq!((settings.etag(), settings.config().target.postgres.len()), (before, 1));
    let event = data(&mut events);
    assert_eq!(event["action"], "config_invalid");
    assert!(event["problems"][0].as_str().unwrap().contains("h.toml:4:7: key storage.cap"), "{event}");
    assert_eq!(settings.show().problems.len(), 1);

    std::fs::write(&file, "[log]\nlevel = \"debug\"\n[storage]\ncap = \"64MiB\"\n").unwrap();
    let applied = settings.reload("signal").await.unwrap();
    assert!(applied.changed.contains(&"target.postgres[pg1].host".into()), "{applied:?}");
    assert_eq!(applied.restart, ["storage.cap"]);
    assert!(settings.config().target.postgres.is_empty() && settings.show().problems.is_empty());

    // What acts at once is not said to wait.
    let file_text = "[log]\nformat = \"json\"\n[storage]\nprofile = \"flash\"\n[metrics]\nenabled = false\nlisten = \"127.0.0.1:1\"\n";
    std::fs::write(&file, file_text).unwrap();
    let mut restart = settings.reload("signal").await.unwrap().restart;
    restart.sort();
    assert_eq!(restart, ["log.format", "metrics.listen", "storage.cap"]);
    assert_eq!(data(&mut events)["action"], "config_changed");
}
