//! Sealed backups: nothing of them is readable without the passphrase, and with nothing but it
//! a new host is what the old one was.

#![expect(clippy::disallowed_methods, reason = "the real process is what is looked at")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::app::TestApp;
use crate::support::client::{Answer, Ask};
use crate::support::garage::{BUCKET, Garage, SECRET};

const PASSPHRASE: &str = "correct horse battery";

async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    app.ask_as_admin(Ask::post(path, "application/json", body.to_string())).await
}

fn command(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.args(arguments).arg("--data-dir").arg(data_dir).arg("--json").env_clear();
    command.output().unwrap()
}

fn ran(data_dir: &Path, arguments: &[&str]) -> Value {
    let output = command(data_dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_backup_is_read_with_the_passphrase_only() {
    let secrets = tempfile::tempdir().unwrap();
    let passphrase = secrets.path().join("passphrase");
    std::fs::write(&passphrase, "too short").unwrap();
    let config = format!("[backup]\npassphrase_file = {passphrase:?}\n");
    let app = TestApp::with(&config).await;
    let refused = post(&app, "/api/v1/backups", &json!({})).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("fewer than 12"), "{refused:?}");
    let folder = app.socket.parent().unwrap().join("backups");
    let left = || std::fs::read_dir(&folder).map_or(0, |entries| entries.count());
    assert_eq!(left(), 0, "nothing unsealed is left of it");

    std::fs::write(&passphrase, format!("{PASSPHRASE}\n")).unwrap();
    let made = post(&app, "/api/v1/backups", &json!({})).await.json();
    assert_eq!((&made["sealed"], &made["seal"]["kdf"]), (&json!(true), &json!("argon2id")), "{made}");
    assert_eq!(left(), 2);
    let file = folder.join(made["file"].as_str().unwrap());
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(json!(bytes.len()), made["bytes"]);
    assert!(bytes.starts_with(b"holdfast") && !bytes.windows(6).any(|window| window == b"tokens"));

    let path = |what: &str| format!("/api/v1/backups/{}/{what}", made["id"].as_str().unwrap());
    let verdict = post(&app, &path("verify"), &json!({})).await.json();
    assert_eq!(
        (&verdict["valid"], &verdict["sealed"], &verdict["opened"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert_eq!(verdict["rows"], made["rows"]);
    assert_eq!(left(), 2, "what was opened is gone");

    std::fs::write(&passphrase, "another passphrase").unwrap();
    let verdict = post(&app, &path("verify"), &json!({})).await.json();
    assert_eq!(
        verdict["problems"],
        json!(["it does not open: the passphrase is not the one that it was sealed with"])
    );
    assert_eq!(post(&app, &path("restore"), &json!({})).await.status, 422);

    // By path, and without the passphrase.
    let elsewhere = tempfile::tempdir().unwrap();
    let name = file.to_str().unwrap();
    let verdict = ran(elsewhere.path(), &["backup", "verify", name]);
    assert_eq!((&verdict["valid"], &verdict["opened"]), (&json!(true), &json!(false)), "{verdict}");
    let refused = command(elsewhere.path(), &["backup", "restore", name]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("expected --passphrase-file"), "{refused:?}");
    std::fs::write(&passphrase, PASSPHRASE).unwrap();
    let with = ["--passphrase-file", passphrase.to_str().unwrap()];
    assert_eq!(ran(elsewhere.path(), &[&["backup", "verify", name], &with[..]].concat())["opened"], true);
    ran(elsewhere.path(), &[&["backup", "restore", name], &with[..]].concat());
    let entries = std::fs::read_dir(elsewhere.path()).unwrap().flatten().map(|entry| entry.file_name());
    let mut entries: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    entries.sort();
    assert_eq!(entries, ["holdfast.lock", "holdfast.redb"]);
}

fn wait(what: &str, seen: impl Fn() -> bool) {
    let began = Instant::now();
    while !seen() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_new_host_needs_the_configuration_and_the_passphrase() {
    let garage = Garage::start();
    let folder = tempfile::tempdir().unwrap();
    let passphrase = folder.path().join("passphrase");
    std::fs::write(&passphrase, PASSPHRASE).unwrap();
    let config = format!(
        "{}\n[backup]\ntarget = \"s3\"\nprefix = \"holdfast/old/\"\npassphrase_file = {passphrase:?}\n",
        garage.section(&format!("bucket = \"{BUCKET}\"\nsecret_access_key = \"{SECRET}\"\nenabled = false"))
    );
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let mut agent = Agent::start(&old, &config);
    let target = json!({"kind": "postgres", "name": "pg9", "host": "127.0.0.1", "port": 1, "user": "u", "password": "geheim-1"});
    assert_eq!(agent.post("/api/v1/targets", "application/json", &target.to_string()).status, 201);
    let rule = json!({"name": "made_by_hand", "expr": "vector(1) > 2", "severity": "low"});
    assert_eq!(agent.post("/api/v1/monitoring/rules", "application/json", &rule.to_string()).status, 201);
    let key = std::fs::read_to_string(old.join("secret.key")).unwrap();
    let made = ran(&old, &["backup", "create"]);
    assert_eq!(made["keys"], json!([key.split(' ').next().unwrap()]));
    let id = made["id"].as_str().unwrap();
    // Uploaded by itself.
    let both = json!(["directory", "object_store"]);
    wait("it is not uploaded", || ran(&old, &["backup", "ls"])["items"][0]["places"] == both);
    assert_eq!(agent.stop(), Some(0));
    std::fs::remove_dir_all(&old).unwrap();

    let agent = Agent::start(&new, &config);
    let listed = ran(&new, &["backup", "ls"]);
    assert_eq!(
        (&listed["items"][0]["id"], &listed["items"][0]["places"]),
        (&made["id"], &json!(["object_store"]))
    );
    let answer = ran(&new, &["backup", "restore", id]);
    assert_eq!(
        (&answer["restarting"], &answer["plan"]["keys_missing"]),
        (&json!(true), &json!([])),
        "{answer}"
    );
    let restored = || {
        let targets = agent.call("GET", "/api/v1/targets/pg9", &[], "");
        targets.is_ok_and(|answer| answer.status == 200)
    };
    wait("it does not come back", restored);
    assert_eq!(agent.get("/api/v1/monitoring/rules/made_by_hand").json()["expr"], "vector(1) > 2");
    // The secret opens: its key came along, for nobody else to read.
    let file = new.join("secret.key");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
