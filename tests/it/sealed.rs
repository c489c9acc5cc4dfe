//! Secrets set at run time, with the real store and key file below the settings.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdfast::base::time::{ManualClock, Timestamp};
use holdfast::config::load::{Sources, load_text};
use holdfast::config::overlay::Overlay;
use holdfast::engine::settings::{ApplyError, Author, Rotated, Settings};
use holdfast::runtime::bus::{Bus, Message};
use holdfast::runtime::supervisor::Supervisor;
use holdfast::store::seal::Sealer;
use holdfast::store::{Store, StoreOptions};
use serde_json::{Value, json};

const PLACE: &str = "target.postgres[pg9].password";
const SECRET: &str = "geheim-pg9";

/// A data directory, and the agent's settings on it from start to start.
struct Place {
    directory: tempfile::TempDir,
    credentials: Option<PathBuf>,
}

struct Started {
    settings: Settings,
    store: Store,
    left_out: Vec<String>,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), credentials: None }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn key(&self) -> PathBuf {
        self.path().join("secret.key")
    }

    fn start(&self) -> Started {
        let clock = Arc::new(ManualClock::at(Timestamp(1_795_166_565_250)));
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let options = StoreOptions {
            path: self.path().join("holdfast.redb"),
            cap: 64 << 20,
            raw_retention: hours(24),
            minute_retention: hours(24 * 30),
            hour_retention: hours(24 * 730),
            max_series: 100,
            cache: 1 << 20,
            tail: Some(None),
        };
        let store = Store::open(options, clock.clone(), &mut |_| {}).unwrap().0;
        let mut sources = Sources { data_dir: Some(self.path().to_owned()), ..Sources::default() };
        if let Some(path) = &self.credentials {
            sources.environment.insert("CREDENTIALS_DIRECTORY".into(), path.display().to_string());
        }
        let loaded = load_text(sources, "h.toml", "", Overlay::default()).unwrap();
        let bus = Bus::new(clock.clone(), 16);
        let settings = Settings::new(loaded, clock.clone(), bus, Supervisor::new(clock));
        let left_out = settings.attach(&store).unwrap();
        Started { settings, store, left_out }
    }

    /// What a start finds, and whether it finds the password.
    async fn restarted(&self) -> (Vec<String>, Option<String>) {
        let started = self.start();
        let found = (started.left_out.clone(), started.password());
        started.stop().await;
        found
    }

    fn with_pg9(&self) -> Started {
        let started = self.start();
        assert_eq!(started.left_out, Vec::<String>::new());
        started
    }
}

impl Started {
    async fn apply(&self, patch: Value, author: Author) -> Result<Vec<String>, ApplyError> {
        self.settings.apply(patch, "*", author).await.map(|applied| applied.changed)
    }

    fn password(&self) -> Option<String> {
        let config = self.settings.config();
        let pg9 = config.target.postgres.iter().find(|target| target.name.as_str() == "pg9")?;
        pg9.password.as_ref().map(|secret| secret.expose().to_owned())
    }

    async fn rotate(&self) -> Rotated {
        self.settings.rotate_key(admin()).await.unwrap()
    }

    async fn stop(self) {
        self.store.close(0).await.unwrap();
    }
}

fn admin() -> Author {
    Author { who: String::from("token:admin"), admin: true }
}

fn writer() -> Author {
    Author::from("token:writer")
}

fn pg9(values: Value) -> Value {
    json!({"target": {"postgres": {"pg9": values}}})
}

fn with_password() -> Value {
    pg9(json!({"host": "127.0.0.1", "password": SECRET}))
}

#[tokio::test]
async fn a_secret_set_at_run_time_is_sealed_masked_and_there_after_a_restart() {
    let place = Place::new();
    let started = place.start();
    let etag = started.settings.etag();
    started.apply(json!({"log": {"level": "warn"}}), writer()).await.unwrap();
    assert!(!place.key().exists(), "made before it is needed");
    let changed = started.apply(with_password(), writer()).await.unwrap();
    assert!(changed.contains(&PLACE.into()), "{changed:?}");
    assert_ne!(started.settings.etag(), etag);
    assert_eq!(std::fs::metadata(place.key()).unwrap().permissions().mode() & 0o7777, 0o600);
    let stored = started.store.overlay();
    let sealed = stored["values"]["target"]["postgres"]["pg9"]["password"].as_str().unwrap();
    assert!(sealed.starts_with("sealed:1:"), "{stored}");

    // Another one is a change, and is told without either of them.
    let etag = started.settings.etag();
    let again = pg9(json!({"password": "geheim-2"}));
    assert_eq!(started.apply(again, writer()).await.unwrap(), [PLACE]);
    assert_ne!(started.settings.etag(), etag);
    let shown = json!({
        "show": started.settings.show(), "drift": started.settings.drift(), "export": started.settings.export(),
        "audit": started.store.audit(10, 0).unwrap().0, "stored": started.store.overlay(),
        "debug": format!("{:?}", started.settings.loaded()), "etag": started.settings.etag(),
    });
    assert!(!shown.to_string().contains("geheim"), "{shown}");
    let export = started.settings.export();
    assert!(export.contains("# password is a secret and is not exported; use password_file"), "{export}");
    let drift = started.settings.drift();
    let drift = drift.iter().find(|drift| drift.key == PLACE).unwrap();
    assert_eq!((&drift.file, &drift.runtime, &drift.effective), (&Value::Null, &json!("***"), &json!("***")));

    let masked = started.apply(pg9(json!({"password": "***"})), admin()).await.unwrap_err().to_string();
    assert!(masked.contains(PLACE) && masked.contains("what is shown in place of a secret"), "{masked}");
    started.stop().await;
    assert_eq!(place.restarted().await, (vec![], Some("geheim-2".into())));
}

#[tokio::test]
async fn what_looks_sealed_is_a_secret_like_any_other() {
    let place = Place::new();
    let started = place.start();
    let odd = "sealed:1:0123456789abcdef:AAAA";
    started.apply(pg9(json!({"host": "h", "password": odd})), writer()).await.unwrap();
    started.stop().await;
    assert_eq!(place.restarted().await, (vec![], Some(odd.into())));
}

#[tokio::test]
async fn a_secret_that_cannot_be_opened_is_left_out_named_and_kept() {
    let place = Place::new();
    let started = place.start();
    started.apply(with_password(), writer()).await.unwrap();
    let bucket = json!({"endpoint": "http://h:1", "bucket": "b", "access_key_id": "k", "secret_access_key": "s3"});
    started.apply(json!({"target": {"object_store": {"b": bucket}}}), writer()).await.unwrap();
    started.stop().await;
    let kept = place.path().join("kept");
    std::fs::rename(place.key(), &kept).unwrap();

    let started = place.start();
    let said = started.left_out.join("\n");
    let missing = format!("the run-time value of {PLACE} is not used: the key file {} is missing", place.key().display());
    assert!(said.contains(&missing) && said.contains("target.object_store[b].secret_access_key"), "{said}");
    assert!(started.settings.show().warnings.contains(&missing), "{:?}", started.settings.show().warnings);
    let config = started.settings.config();
    assert_eq!((config.target.postgres.len(), config.target.object_store.len()), (1, 0));
    assert_eq!(started.password(), None);
    // A change of something else, and one that brings a secret and so another key.
    started.apply(json!({"log": {"level": "warn"}}), writer()).await.unwrap();
    started.apply(json!({"target": {"postgres": {"pg8": {"host": "h", "password": "p8"}}}}), writer()).await.unwrap();
    // Whoever finds the key again must not find it sending the secret elsewhere.
    let refused = started.apply(pg9(json!({"host": "evil"})), writer()).await.unwrap_err().to_string();
    assert!(refused.contains("only the scope `admin`"), "{refused}");
    started.stop().await;
    assert!(place.restarted().await.0.join("\n").contains("which is not in"));

    // The key that is back, as a former one beside the new one.
    let line = |path: &Path| std::fs::read_to_string(path).unwrap().lines().last().unwrap().to_owned();
    let both = format!("holdfast-keys 1\n{}\n{}\n", line(&place.key()), line(&kept).replace("current", "former"));
    std::fs::write(place.key(), both).unwrap();
    let started = place.start();
    assert_eq!(started.left_out, Vec::<String>::new());
    assert_eq!((started.password().as_deref(), started.settings.config().target.object_store.len()), (Some(SECRET), 1));

    // Others may read it: not used, and no secret can be set.
    std::fs::set_permissions(place.key(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = started.apply(pg9(json!({"password": "new"})), writer()).await;
    // The value before it stays, so this one must not be taken for stored.
    let refused = refused.unwrap_err();
    assert!(matches!(refused, ApplyError::Unavailable { .. }), "{refused}");
    assert!(refused.to_string().contains("secret.key is not used: its mode is 0644, expected 0600"), "{refused}");
    started.apply(json!({"log": {"level": "error"}}), writer()).await.unwrap();
    started.settings.rotate_key(admin()).await.unwrap_err();
    started.stop().await;
    let (said, password) = place.restarted().await;
    assert!(said.join("\n").contains("its mode is 0644, expected 0600") && password.is_none(), "{said:?}");
    std::fs::set_permissions(place.key(), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(place.restarted().await, (vec![], Some(SECRET.into())));
}

#[tokio::test]
async fn a_rotation_that_ends_at_any_step_leaves_everything_readable() {
    let place = Place::new();
    let started = place.start();
    started.apply(with_password(), writer()).await.unwrap();
    let readable = || async { assert_eq!(place.restarted().await, (vec![], Some(SECRET.into()))) };
    let ids = |started: &Started| {
        let stored = started.store.overlay();
        let sealed = stored["values"]["target"]["postgres"]["pg9"]["password"].as_str().unwrap().to_owned();
        sealed.split(':').nth(2).unwrap().to_owned()
    };
    let first = ids(&started);
    started.stop().await;

    // While the new key file is being written.
    std::fs::write(place.path().join("secret.key.new"), "holdfast-keys 1\ncurr").unwrap();
    readable().await;
    // The new key is there, everything is still sealed with the one before it.
    let sealer = Sealer::new(place.path(), None);
    let begun = sealer.begin_rotation().unwrap().to_string();
    let with_both = std::fs::read(place.key()).unwrap();
    readable().await;
    // Another change in between is sealed with the new key, and the rest with it.
    let started = place.with_pg9();
    started.apply(json!({"log": {"level": "warn"}}), writer()).await.unwrap();
    assert_eq!(ids(&started), begun);
    started.stop().await;
    readable().await;

    // Everything is sealed anew, the former keys are still there.
    let started = place.with_pg9();
    let mut events = Vec::new();
    let rotated = started.rotate().await;
    assert_eq!((rotated.resealed, rotated.former, rotated.made), (1, 0, true));
    assert_eq!(ids(&started), rotated.key);
    assert!(rotated.key != first && rotated.key != begun);
    let (audit, _) = started.store.audit(1, 0).unwrap();
    assert_eq!((audit[0].action.as_str(), audit[0].who.as_str()), ("config.rotate_key", "token:admin"));
    events.push(audit[0].object.clone());
    assert_eq!(events, [format!("key {}", rotated.key)]);
    started.stop().await;
    let alone = std::fs::read_to_string(place.key()).unwrap();
    assert_eq!(alone.lines().count(), 2, "the former keys are dropped");
    let former: String = String::from_utf8(with_both).unwrap().lines().skip(1).map(|line| {
        format!("former {}\n", line.split_once(' ').unwrap().1)
    }).collect();
    std::fs::write(place.key(), format!("{alone}{former}")).unwrap();
    readable().await;
    // Done; and once more, with what the step before left.
    let started = place.with_pg9();
    assert_eq!(started.rotate().await.former, 0);
    started.stop().await;
    assert_eq!(std::fs::read_to_string(place.key()).unwrap().lines().count(), 2);
    readable().await;
}

#[tokio::test]
async fn a_rotation_keeps_the_key_of_what_it_could_not_open() {
    let place = Place::new();
    let started = place.start();
    started.apply(with_password(), writer()).await.unwrap();
    started.stop().await;
    std::fs::set_permissions(place.key(), std::fs::Permissions::from_mode(0o640)).unwrap();
    let started = place.start();
    assert_eq!(started.password(), None);
    std::fs::set_permissions(place.key(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let rotated = started.rotate().await;
    assert_eq!((rotated.resealed, rotated.former), (0, 1));
    started.stop().await;
    assert_eq!(place.restarted().await, (vec![], Some(SECRET.into())));
}

#[tokio::test]
async fn a_credential_seals_and_a_new_one_beside_the_old_rotates() {
    let handed = tempfile::tempdir().unwrap();
    let mut place = Place::new();
    place.credentials = Some(handed.path().to_owned());
    std::fs::write(handed.path().join("holdfast.key"), [1; 32]).unwrap();
    let started = place.start();
    started.apply(with_password(), writer()).await.unwrap();
    for name in ["holdfast.key", "holdfast.key.old"] {
        let patch = pg9(json!({"password": null, "password_file": handed.path().join(name)}));
        let refused = started.apply(patch, admin()).await.unwrap_err().to_string();
        assert!(refused.contains("a key of the agent"), "{refused}");
        std::fs::write(handed.path().join("holdfast.key.old"), [1; 32]).unwrap();
    }
    started.stop().await;
    std::fs::write(handed.path().join("holdfast.key"), [2; 32]).unwrap();
    let started = place.with_pg9();
    let rotated = started.rotate().await;
    assert_eq!((rotated.made, rotated.resealed, rotated.place.ends_with("holdfast.key")), (false, 1, true));
    started.stop().await;
    std::fs::remove_file(handed.path().join("holdfast.key.old")).unwrap();
    assert_eq!(place.restarted().await, (vec![], Some(SECRET.into())));
    assert!(!place.key().exists());
}

#[tokio::test]
async fn a_sealed_secret_goes_where_an_administrator_says() {
    let place = Place::new();
    let started = place.start();
    // Whoever brings the secret says where it goes.
    started.apply(with_password(), admin()).await.unwrap();
    started.stop().await;
    let started = place.with_pg9();
    for moved in [json!({"host": "127.0.0.2"}), json!({"port": 1}), json!({"tls": "disable"}), json!({"user": "u"})] {
        let refused = started.apply(pg9(moved), writer()).await.unwrap_err().to_string();
        assert!(refused.contains("a secret goes there: only the scope `admin` may change it"), "{refused}");
    }
    started.apply(pg9(json!({"interval": "10s"})), writer()).await.unwrap();
    // To somewhere else with a secret of one's own is no leak.
    started.apply(pg9(json!({"host": "127.0.0.2", "password": "own"})), writer()).await.unwrap();
    started.apply(pg9(json!({"host": "127.0.0.3"})), admin()).await.unwrap();
    assert_eq!(started.password().as_deref(), Some("own"));
}

#[tokio::test]
async fn a_rotation_is_told_and_is_no_change_of_the_configuration() {
    let place = Place::new();
    let started = place.start();
    started.apply(with_password(), admin()).await.unwrap();
    let etag = started.settings.etag();
    let mut watching = started.settings.subscribe();
    watching.mark_unchanged();
    let mut events = started.settings.events();
    started.rotate().await;
    assert!(!watching.has_changed().unwrap());
    assert_eq!(started.settings.etag(), etag);
    match events.try_next() {
        Some(Message::Event(event)) => assert_eq!(event.data["action"], "key_rotated"),
        other => panic!("{other:?}"),
    }
}
