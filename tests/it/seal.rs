//! Secrets that are set at run time: sealed in the store, shown nowhere, there after a
//! restart, and readable whatever a rotation of the key is interrupted by.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use holdfast::base::id::Name;
use holdfast::engine::settings::{ApplyError, Author, Settings};
use holdfast::model::failover::durable::{CutMemory, Durable, MemberMemory};
use holdfast::runtime::seal::Sealer;
use holdfast::store::{Change, Store, Write};

use super::settings::{open, settings};
use super::support::agent::{Agent, Answer};
use super::support::free_port;
use super::support::postgres::Postgres;

const PASSWORD: &str = "target.postgres[pg9].password";

fn admin() -> Author {
    Author { who: String::from("token:admin"), admin: true }
}

fn pg9(values: Value) -> Value {
    json!({"target": {"postgres": {"pg9": values}}})
}

/// A data directory with its file, a store, and settings on both.
struct Home {
    directory: TempDir,
    store: Option<Store>,
    settings: Settings,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("h.toml"), format!("data_dir = {:?}\n", directory.path()))
            .unwrap();
        let store = open(directory.path());
        let (settings, _) = settings(directory.path());
        assert_eq!(settings.attach(&store).unwrap(), Vec::<String>::new());
        Self { directory, store: Some(store), settings }
    }

    /// With the password `geheim-1` of the target `pg9`.
    async fn with_secret() -> Self {
        let home = Self::new();
        assert!(!home.key_file().exists());
        home.apply(pg9(json!({"host": "127.0.0.1", "password": "geheim-1"}))).await.unwrap();
        home
    }

    fn key_file(&self) -> std::path::PathBuf {
        self.directory.path().join("secret.key")
    }

    fn keys(&self) -> Vec<String> {
        std::fs::read_to_string(self.key_file()).unwrap().lines().map(str::to_owned).collect()
    }

    fn put_keys(&self, keys: &[String]) {
        std::fs::write(self.key_file(), keys.join("\n")).unwrap();
    }

    fn sealer(&self) -> Sealer {
        Sealer::new(self.directory.path(), None)
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    async fn apply(&self, patch: Value) -> Result<Vec<String>, ApplyError> {
        self.settings.apply(patch, "*", admin()).await.map(|applied| applied.changed)
    }

    /// Stops, starts again, and says what was left out.
    async fn restart(&mut self) -> Vec<String> {
        self.store().close(0).await.unwrap();
        self.store = None;
        let (settings, _) = settings(self.directory.path());
        self.settings = settings;
        let store = open(self.directory.path());
        let left_out = self.settings.attach(&store).unwrap();
        self.store = Some(store);
        left_out
    }

    fn password_is(&self, expected: &str) -> bool {
        let config = self.settings.config();
        let pg9 = config.target.postgres.iter().find(|one| one.name.as_str() == "pg9");
        pg9.and_then(|one| one.password.clone()).is_some_and(|password| password.matches(expected))
    }

    fn stored(&self, key: &str) -> Value {
        self.store().overlay()["values"]["target"]["postgres"]["pg9"][key].clone()
    }
}

#[tokio::test]
async fn a_secret_is_sealed_shown_nowhere_and_there_after_a_restart() {
    let mut home = Home::with_secret().await;
    assert_eq!(std::fs::metadata(home.key_file()).unwrap().permissions().mode() & 0o7777, 0o600);
    let sealed = home.stored("password");
    assert!(sealed.as_str().unwrap().starts_with("sealed:1:"), "{sealed}");
    // Another key changes nothing about it, and neither does the same patch without it.
    home.apply(json!({"collect": {"interval": "2s"}})).await.unwrap();
    assert_eq!(home.stored("password"), sealed);

    assert_eq!(home.restart().await, Vec::<String>::new());
    assert!(home.password_is("geheim-1"));
    let changed = home.apply(pg9(json!({"password": "geheim-2"}))).await.unwrap();
    assert_eq!(changed, [PASSWORD]);
    assert!(home.password_is("geheim-2"));
    assert_ne!(home.stored("password"), sealed);

    let masked = home.apply(pg9(json!({"password": "***"}))).await.unwrap_err();
    assert!(matches!(&masked, ApplyError::Invalid(_)), "{masked}");
    assert!(masked.to_string().contains("expected the secret itself"), "{masked}");
    assert!(home.password_is("geheim-2"));

    let settings = &home.settings;
    let drift = settings.drift().into_iter().find(|drift| drift.key == PASSWORD).unwrap();
    assert_eq!((&drift.runtime, &drift.effective), (&json!("***"), &json!("***")));
    assert!(settings.export().contains("# password is a secret and is not exported"));
    let loaded = settings.loaded();
    let (audit, _) = home.store().audit(10, 0).unwrap();
    let shown = [
        serde_json::to_string(&settings.show()).unwrap(),
        serde_json::to_string(&settings.drift()).unwrap(),
        settings.export(),
        format!("{loaded:?} {loaded:#?} {:?} {audit:?}", loaded.overlay),
        home.store().overlay().to_string(),
        format!("{:?}", Write::PutOverlay(loaded.overlay.to_stored())),
    ];
    for shown in shown {
        assert!(!shown.contains("geheim"), "{shown}");
    }

    home.apply(pg9(json!({"password": null}))).await.unwrap();
    assert_eq!(home.stored("password"), Value::Null);
    assert!(home.restart().await.is_empty() && !home.password_is("geheim-2"));
}

#[tokio::test]
async fn what_does_not_open_is_left_out_named_and_kept() {
    let mut home = Home::with_secret().await;
    let (sealed, keys) = (home.stored("password"), home.keys());
    std::fs::remove_file(home.key_file()).unwrap();
    let left_out = home.restart().await;
    assert!(left_out.len() == 1 && left_out[0].contains(PASSWORD), "{left_out:?}");
    assert!(left_out[0].contains(&format!("{} is missing", home.key_file().display())), "{left_out:?}");
    let config = home.settings.config();
    assert!(config.target.postgres[0].password.is_none() && !home.key_file().exists());
    assert!(home.settings.show().warnings.iter().any(|warning| warning.contains(PASSWORD)));
    home.apply(json!({"collect": {"interval": "2s"}})).await.unwrap();
    home.apply(pg9(json!({"interval": "10s"}))).await.unwrap();
    assert_eq!(home.stored("password"), sealed);

    // A key that others could have read.
    home.put_keys(&keys);
    std::fs::set_permissions(home.key_file(), Permissions::from_mode(0o644)).unwrap();
    let left_out = home.restart().await;
    assert!(left_out[0].contains("its mode is 0644, expected 0600"), "{left_out:?}");
    let refused = home.apply(pg9(json!({"password": "geheim-2"}))).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Unavailable { .. }), "{refused}");
    assert!(refused.to_string().contains("secret.key is not used: its mode is 0644"), "{refused}");
    home.apply(json!({"collect": {"interval": "3s"}})).await.unwrap();

    std::fs::set_permissions(home.key_file(), Permissions::from_mode(0o600)).unwrap();
    assert!(home.restart().await.is_empty() && home.password_is("geheim-1"));
    assert_eq!(home.settings.config().collect.interval.to_string(), "3s");

    // Somebody puts it where another secret belongs, or breaks it.
    let mut overlay = home.store().overlay();
    overlay["values"]["target"]["postgres"]["pg9"]["password"] = json!("geheim");
    let writes = vec![Write::PutOverlay(overlay)];
    home.store().commit(Change { writes, audit: None }).await.unwrap();
    let left_out = home.restart().await;
    assert!(left_out[0].contains("it is not sealed"), "{left_out:?}");
    home.apply(pg9(json!({"password": "geheim-3"}))).await.unwrap();
    assert!(home.restart().await.is_empty() && home.password_is("geheim-3"));
}

#[tokio::test]
async fn a_target_that_cannot_be_without_its_secret_is_set_aside_whole() {
    let mut home = Home::new();
    let bucket = json!({"endpoint": "http://127.0.0.1:3900", "bucket": "b", "access_key_id": "k",
        "secret_access_key": "geheim-1"});
    let patch = |values: Value| json!({"target": {"object_store": {"s3": values}}});
    home.apply(patch(bucket)).await.unwrap();
    let stored = home.store().overlay();
    std::fs::rename(home.key_file(), home.key_file().with_extension("away")).unwrap();
    let left_out = home.restart().await;
    assert!(left_out[0].contains("target.object_store[s3].secret_access_key"), "{left_out:?}");
    assert!(home.settings.config().target.object_store.is_empty());
    home.apply(json!({"collect": {"interval": "2s"}})).await.unwrap();
    assert_eq!(home.store().overlay()["values"]["target"], stored["values"]["target"]);

    std::fs::rename(home.key_file().with_extension("away"), home.key_file()).unwrap();
    assert!(home.restart().await.is_empty());
    let secret =
        |home: &Home| home.settings.config().target.object_store[0].secret_access_key.clone().unwrap();
    assert!(secret(&home).matches("geheim-1"));

    // Setting the secret again is all it takes; so is taking the target away.
    std::fs::remove_file(home.key_file()).unwrap();
    home.restart().await;
    home.apply(patch(json!({"secret_access_key": "geheim-2"}))).await.unwrap();
    assert!(home.restart().await.is_empty() && secret(&home).matches("geheim-2"));
    std::fs::remove_file(home.key_file()).unwrap();
    home.restart().await;
    home.apply(patch(Value::Null)).await.unwrap();
    assert!(home.restart().await.is_empty());
}

#[tokio::test]
async fn whoever_is_no_admin_may_set_a_secret_and_not_have_one_sent_elsewhere() {
    let mut home = Home::with_secret().await;
    let writer = |patch: Value| home.settings.apply(patch, "*", Author::from("token:writer"));
    for moved in [
        json!({"host": "127.0.0.2"}),
        json!({"port": 5433}),
        json!({"tls": "disable"}),
        json!({"host": null, "port": 1}),
    ] {
        let refused = writer(pg9(moved)).await.unwrap_err().to_string();
        assert!(refused.contains("only the scope `admin`") || refused.contains("missing"), "{refused}");
    }
    // With a secret of its own, whether it is the same or not.
    let own = json!({"host": "127.0.0.2", "password": "geheim-1"});
    writer(pg9(own)).await.unwrap();
    writer(json!({"target": {"postgres": {"own": {"host": "h", "password": "geheim"}}}})).await.unwrap();
    writer(pg9(json!({"interval": "10s"}))).await.unwrap();

    // One that does not open now goes there once it does.
    std::fs::remove_file(home.key_file()).unwrap();
    assert_eq!(home.restart().await.len(), 2);
    let writer = |patch: Value| home.settings.apply(patch, "*", Author::from("token:writer"));
    let refused = writer(pg9(json!({"host": "127.0.0.3"}))).await.unwrap_err().to_string();
    assert!(refused.contains("only the scope `admin`"), "{refused}");
    writer(pg9(Value::Null)).await.unwrap();
}

#[tokio::test]
async fn every_boundary_of_a_rotation_can_be_crashed_at() {
    let mut home = Home::with_secret().await;
    let first = home.keys();

    // While the new file is written: it lies beside and is not looked at.
    std::fs::write(home.key_file().with_extension("key.new"), "half").unwrap();
    assert!(home.restart().await.is_empty() && home.password_is("geheim-1"));

    // After the key was added, before the commit.
    home.sealer().begin_rotation().unwrap();
    let both = home.keys();
    assert!(both.len() == 2 && both[1] == first[0], "the former key comes second");
    assert!(home.restart().await.is_empty() && home.password_is("geheim-1"));
    assert_eq!(home.keys(), both, "the former key is still needed");

    // After the commit, before the former keys are dropped.
    let rotated = home.settings.rotate_key("token:admin").await.unwrap();
    assert_eq!((rotated.sealed, rotated.former_keys), (1, 0));
    let last = home.keys();
    assert!(last.len() == 1 && last[0].starts_with(&rotated.key) && !both.contains(&last[0]));
    assert!(home.stored("password").as_str().unwrap().contains(&rotated.key));
    home.put_keys(&[last.clone(), both.clone()].concat());
    assert!(home.restart().await.is_empty() && home.password_is("geheim-1"));
    assert_eq!(home.keys(), last, "the start finishes the rotation");

    // After all of it, and with what was sealed before.
    assert!(home.restart().await.is_empty() && home.password_is("geheim-1"));
    let (audit, _) = home.store().audit(1, 0).unwrap();
    assert_eq!((audit[0].action.as_str(), &audit[0].object), ("config.rotate_key", &rotated.key));
    home.put_keys(&first);
    assert!(home.restart().await[0].contains("which is not in"));

    // What does not open keeps its key, and is sealed anew once it does.
    home.put_keys(&[first, last.clone()].concat());
    let rotated = home.settings.rotate_key("token:admin").await.unwrap();
    assert_eq!((rotated.sealed, rotated.former_keys), (1, 0));
    assert!(home.restart().await.is_empty() && home.password_is("geheim-1"));
    home.put_keys(&last);
    home.restart().await;
    let rotated = home.settings.rotate_key("token:admin").await.unwrap();
    assert_eq!((rotated.sealed, rotated.former_keys), (0, 0));
}

#[tokio::test]
async fn whom_a_cut_standby_followed_opens_after_a_rotation() {
    let mut home = Home::with_secret().await;
    let place = "failover.main.pg2.primary_conninfo";
    let opens = |home: &Home| {
        let row = home.store().failover().unwrap().remove("main").unwrap().unwrap();
        row.sealed().map(|text| home.sealer().open(place, text).unwrap()).collect::<Vec<_>>()
    };
    let put = async |home: &Home, cut: Option<CutMemory>| {
        let group = Name::new("main").unwrap();
        let memory = MemberMemory { cut, ..MemberMemory::default() };
        let durable =
            Durable { epoch: 7, members: [(Name::new("pg2").unwrap(), memory)].into(), ..Durable::default() };
        let write = Write::PutFailover { group, durable: Box::new(durable), entries: Vec::new() };
        home.store().commit(Change { writes: vec![write], audit: None }).await.unwrap();
    };
    let conninfo = home.sealer().seal(place, "host=pg1 password=geheim-2").unwrap();
    put(&home, Some(CutMemory { epoch: 7, conninfo })).await;
    let rotated = home.settings.rotate_key("token:admin").await.unwrap();
    assert_eq!((rotated.sealed, rotated.former_keys), (1, 1), "the key of the standby stays");
    assert_eq!(opens(&home), ["host=pg1 password=geheim-2"]);
    home.restart().await;
    assert_eq!(opens(&home), ["host=pg1 password=geheim-2"], "after a start too");

    // It follows again: the key is not needed any more.
    put(&home, None).await;
    home.restart().await;
    assert!(home.keys().len() == 1 && home.password_is("geheim-1"));
}

/// The agent on `home/data`, its log in `home/log`; every start adds to it.
fn start(home: &Path, credentials: Option<&Path>) -> Agent {
    let log = File::options().create(true).append(true).open(home.join("log")).unwrap();
    let mut agent = Agent::launch_with(&home.join("data"), "[log]\nlevel = \"trace\"\n", |command| {
        command.stderr(log);
        command.envs(credentials.map(|path| ("CREDENTIALS_DIRECTORY", path)));
    });
    agent.wait_ready();
    agent
}

fn send(agent: &Agent, method: &str, path: &str, body: &Value) -> Answer {
    let authorization = format!("Authorization: Bearer {}", agent.token());
    let headers = [&authorization, "Content-Type: application/json", "If-Match: *"];
    agent.call(method, path, &headers, &body.to_string()).unwrap()
}

/// Every file below `folder` but the key holds none of the words.
fn assert_nowhere(folder: &Path, words: &[&str]) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            assert_nowhere(&path, words);
        } else if path.is_file() && path.file_name().unwrap() != "secret.key" {
            let bytes = std::fs::read(&path).unwrap();
            for word in words {
                let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
                assert!(!found, "{} holds {word}", path.display());
            }
        }
    }
}

#[test]
fn a_running_agent_keeps_a_password_over_restarts_and_rotations() {
    let server = Postgres::primary("");
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let words = ["right-password", "wrong-password"];
    let mut agent = start(home.path(), None);
    let target = json!({"kind": "postgres", "name": "pg9", "host": "127.0.0.1", "port": server.port,
        "user": "holdfast", "password": "wrong-password", "interval": "1h"});
    let created = send(&agent, "POST", "/api/v1/targets", &target);
    assert_eq!((created.status, &created.json()["password"]), (201, &json!("***")), "{}", created.body);
    let silent = json!({"kind": "postgres", "name": "silent", "host": "127.0.0.1", "port": free_port(),
        "password": "wrong-password", "interval": "1h"});
    assert_eq!(send(&agent, "POST", "/api/v1/targets", &silent).status, 201);
    let probe = |agent: &Agent| send(agent, "POST", "/api/v1/targets/pg9/probe", &json!({}));
    assert_eq!(probe(&agent).json()["class"], "alive");
    let patch = pg9(json!({"password": "right-password"}));
    assert_eq!(send(&agent, "PATCH", "/api/v1/config", &patch).status, 200);
    let masked = send(&agent, "PATCH", "/api/v1/targets/pg9", &json!({"password": "***"}));
    assert_eq!((masked.status, masked.json()["errors"][0]["pointer"].as_str()), (422, Some("/password")));

    let shown = |agent: &Agent| {
        for path in [
            "/api/v1/config",
            "/api/v1/config/export",
            "/api/v1/config/diff",
            "/api/v1/audit",
            "/api/v1/targets/pg9/config",
            "/api/v1/targets/silent/config",
            "/api/v1/targets/pg9/history",
        ] {
            let answer = send(agent, "GET", path, &json!(null));
            assert_eq!(answer.status, 200, "{path}");
            assert!(words.iter().all(|word| !answer.body.contains(word)), "{path}: {}", answer.body);
        }
    };
    shown(&agent);
    assert_eq!(agent.stop(), Some(0));
    assert_nowhere(home.path(), &words);

    let mut agent = start(home.path(), None);
    assert_eq!(probe(&agent).json()["class"], "ok");
    let silent = agent.get("/api/v1/targets/silent/config").json();
    assert_eq!(silent["password"], "***");
    let former = std::fs::read_to_string(data.join("secret.key")).unwrap();
    let rotated = send(&agent, "POST", "/api/v1/config/rotate-key", &json!(null));
    assert_eq!((rotated.status, &rotated.json()["sealed"]), (200, &json!(2)), "{}", rotated.body);
    assert_ne!(std::fs::read_to_string(data.join("secret.key")).unwrap(), former);
    agent.kill();

    let mut agent = start(home.path(), None);
    assert_eq!(probe(&agent).json()["class"], "ok");
    shown(&agent);
    agent.stop();

    // The same key handed out by the service manager; then others may read the file.
    let handed = tempfile::tempdir().unwrap();
    std::fs::copy(data.join("secret.key"), handed.path().join("holdfast.key")).unwrap();
    std::fs::set_permissions(data.join("secret.key"), Permissions::from_mode(0o644)).unwrap();
    let mut agent = start(home.path(), Some(handed.path()));
    assert_eq!(probe(&agent).json()["class"], "ok");
    let refused = send(&agent, "POST", "/api/v1/config/rotate-key", &json!(null));
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (409, &json!("key_handed_out")),
        "{}",
        refused.body
    );
    agent.stop();

    let mut agent = start(home.path(), None);
    assert_eq!(probe(&agent).json()["class"], "alive");
    let log = std::fs::read_to_string(home.path().join("log")).unwrap();
    let expected = format!(
        "the key file {} is not used: its mode is 0644, expected 0600",
        data.join("secret.key").display()
    );
    assert!(log.contains(PASSWORD) && log.contains(&expected), "{log}");
    let refused = send(&agent, "PATCH", "/api/v1/config", &patch);
    assert!(refused.status == 503 && refused.body.contains("0644"), "{}", refused.body);
    shown(&agent);
    agent.stop();
    std::fs::set_permissions(data.join("secret.key"), Permissions::from_mode(0o600)).unwrap();
    let mut agent = start(home.path(), None);
    assert_eq!(probe(&agent).json()["class"], "ok");
    agent.stop();

    // Another key of the service manager, the former one beside it until all is sealed anew.
    let (key, old) = (handed.path().join("holdfast.key"), handed.path().join("holdfast.key.old"));
    std::fs::rename(&key, &old).unwrap();
    std::fs::write(&key, [7; 32]).unwrap();
    std::fs::remove_file(data.join("secret.key")).unwrap();
    let mut agent = start(home.path(), Some(handed.path()));
    assert_eq!(probe(&agent).json()["class"], "ok");
    let rotated = send(&agent, "POST", "/api/v1/config/rotate-key", &json!(null));
    assert_eq!((rotated.status, &rotated.json()["sealed"]), (200, &json!(2)), "{}", rotated.body);
    agent.kill();
    std::fs::remove_file(&old).unwrap();
    let mut agent = start(home.path(), Some(handed.path()));
    assert_eq!(probe(&agent).json()["class"], "ok");
    shown(&agent);
    agent.stop();
    assert!(!data.join("secret.key").exists(), "a credential needs no file");
    assert_nowhere(home.path(), &words);
}
