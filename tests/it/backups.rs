//! Backups of the agent's own store: over the API, on the command line, through kills.

#![expect(clippy::disallowed_methods, reason = "the real process is what is looked at")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use holdfast::base::time::Clock as _;
use holdfast::model::access::Scope;
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::agent::{Agent, escape};
use crate::support::app::TestApp;
use crate::support::client::{Answer, Ask};

const JSON: &str = "application/json";

async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    app.ask_as_admin(Ask::post(path, JSON, body.to_string())).await
}

/// The data directory.
fn folder_of(app: &TestApp) -> &Path {
    app.socket.parent().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_shown_verified_and_removed() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/api/v1/backups").await.json()["total"], 0);
    let made = post(&app, "/api/v1/backups", &json!({})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let manifest = made.json();
    let id = manifest["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/api/v1/backups/{id}"));
    assert_eq!(
        (&manifest["format"], &manifest["sealed"], &manifest["keys"]),
        (&json!(1), &json!(false), &json!([]))
    );
    assert!(
        manifest["rows"]["tokens-1"].as_u64() >= Some(1)
            && manifest["by"].as_str().unwrap().starts_with("token:")
    );
    assert_eq!(app.get("/api/v1/backups").await.json()["items"], json!([manifest]));
    assert_eq!(app.get(&format!("/api/v1/backups/{id}")).await.json(), manifest);

    // The file is what the manifest says, and a store of its own.
    let file = app.ask_as_admin(Ask::get(&format!("/api/v1/backups/{id}/file"))).await;
    assert_eq!((file.status, file.header("content-type")), (200, "application/octet-stream"));
    assert_eq!(json!(file.body.len()), manifest["bytes"]);
    assert_eq!(json!(hex(&Sha256::digest(&file.body))), manifest["sha256"]);
    assert!(file.header("content-disposition").contains(manifest["file"].as_str().unwrap()));

    let verdict = post(&app, &format!("/api/v1/backups/{id}/verify"), &json!({})).await.json();
    assert_eq!((&verdict["valid"], &verdict["problems"]), (&json!(true), &json!([])));
    assert_eq!(verdict["rows"], manifest["rows"]);

    // One flipped byte.
    let path = folder_of(&app).join("backups").join(manifest["file"].as_str().unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();
    let verdict = post(&app, &format!("/api/v1/backups/{id}/verify"), &json!({})).await.json();
    assert_eq!(verdict["valid"], false);
    assert!(verdict["problems"][0].as_str().unwrap().contains("sha256"), "{verdict}");
    let refused = post(&app, &format!("/api/v1/backups/{id}/restore"), &json!({})).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "backup_invalid"));
    assert!(!*app.restart.borrow());

    let remove = || app.ask_as_admin(Ask::new(Method::DELETE, &format!("/api/v1/backups/{id}")));
    assert_eq!(remove().await.status, 204);
    assert_eq!(remove().await.problem(), "not_found");
    assert!(!path.exists());
    let audit = app.ask_as_admin(Ask::get("/api/v1/audit")).await.json();
    let actions: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|row| row["action"].clone()).collect();
    assert!(
        actions.contains(&json!("backup.create")) && actions.contains(&json!("backup.delete")),
        "{actions:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_leads_nowhere_else() {
    let app = TestApp::start().await;
    std::fs::create_dir_all(folder_of(&app).join("backups")).unwrap();
    for id in [
        "..%2Fholdfast",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "20261128T093543Z%2F..%2F..%2Fx",
        "20261128T093543Z%00",
        "20261128T093543Z-1%2F",
        "%E2%80%A6",
        "holdfast",
    ] {
        for (method, ending) in [
            (Method::GET, ""),
            (Method::DELETE, ""),
            (Method::GET, "/file"),
            (Method::POST, "/verify"),
            (Method::POST, "/restore"),
        ] {
            let ask = Ask::new(method.clone(), &format!("/api/v1/backups/{id}{ending}"));
            let answer = app.ask_as_admin(ask).await;
            assert!([400, 404].contains(&answer.status), "{method} {id}{ending}: {answer:?}");
            answer.problem();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing_and_a_restore_is_staged() {
    let app = TestApp::start().await;
    let made = post(&app, "/admin/backup/create", &json!({})).await.json();
    let id = made["id"].as_str().unwrap().to_owned();
    app.token(Scope::MonitoringRead).await;
    let list = app.ask_as_admin(Ask::get("/admin/backup")).await.json();
    assert_eq!(list["items"][0]["id"], made["id"]);
    assert_eq!(post(&app, &format!("/admin/backup/{id}/verify"), &json!({})).await.json()["valid"], true);

    let path = format!("/admin/backup/{id}/restore");
    let dry = post(&app, &path, &json!({"dry_run": true})).await;
    assert_eq!(dry.status, 200, "{dry:?}");
    let dry = dry.json();
    assert_eq!((&dry["dry_run"], &dry["restarting"]), (&json!(true), &json!(false)));
    let tokens =
        dry["plan"]["tables"].as_array().unwrap().iter().find(|one| one["table"] == "tokens-1").unwrap();
    assert_eq!(tokens["now"].as_u64(), tokens["backup"].as_u64().map(|rows| rows + 1));
    let staged = folder_of(&app).join("holdfast.redb.restore");
    assert!(!staged.exists() && !*app.restart.borrow());
    assert_eq!(post(&app, &path, &json!({"dry": true})).await.status, 400);

    let answer = post(&app, &path, &json!({})).await;
    assert_eq!((answer.status, answer.json()["restarting"].clone()), (202, json!(true)));
    assert!(staged.exists() && *app.restart.borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_kept_and_told() {
    let app = TestApp::with("[backup]\nschedule = \"1h\"\nkeep = 2\n").await;
    let backups = app.backups.get().unwrap().clone();
    let count = async || app.get("/api/v1/backups").await.json()["total"].as_u64().unwrap();
    backups.tick().await;
    assert_eq!(count().await, 0, "not while the agent starts");
    for round in 1..=4u64 {
        app.clock.advance(Duration::from_secs(3600));
        backups.tick().await;
        backups.tick().await;
        assert_eq!(count().await, round.min(2), "the newest two stay");
    }
    let value = |key: &str| app.store().latest(key).map(|(_, value)| value);
    let newest = app.get("/api/v1/backups").await.json()["items"][0].clone();
    assert_eq!(newest["by"], "schedule");
    assert_eq!(value("holdfast_backup_last_success_timestamp_seconds"), Some(app.clock.now().seconds()));
    assert_eq!(value("holdfast_backup_size_bytes"), newest["bytes"].as_f64());
    assert_eq!(
        (value("holdfast_backup_age_seconds"), value("holdfast_backup_failed")),
        (Some(0.0), Some(0.0))
    );

    // The folder is gone, a file is in its place: it fails, is told, and tried again later.
    let folder = folder_of(&app).join("backups");
    std::fs::rename(&folder, folder_of(&app).join("aside")).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    app.clock.advance(Duration::from_secs(3 * 3600));
    backups.tick().await;
    assert_eq!(
        (value("holdfast_backup_failed"), value("holdfast_backup_failures_total")),
        (Some(1.0), Some(1.0))
    );
    app.round().await;
    let alerts = app.get("/api/v1/monitoring/alerts").await.json();
    let mut rules: Vec<_> =
        alerts["alerts"].as_array().unwrap().iter().map(|alert| alert["rule"].as_str().unwrap()).collect();
    rules.retain(|rule| rule.starts_with("backup_"));
    rules.sort_unstable();
    assert_eq!(rules, ["backup_failed", "backup_overdue"], "{alerts}");
    app.clock.advance(Duration::from_secs(60));
    backups.tick().await;
    assert_eq!(value("holdfast_backup_failures_total"), Some(1.0), "not at once again");
    std::fs::remove_file(&folder).unwrap();
    app.clock.advance(Duration::from_secs(900));
    backups.tick().await;
    assert_eq!(
        (value("holdfast_backup_failed"), value("holdfast_backup_failures_total")),
        (Some(0.0), Some(1.0))
    );
    app.round().await;
    let alerts = app.get("/api/v1/monitoring/alerts").await.json();
    assert!(
        !alerts["alerts"].as_array().unwrap().iter().any(|alert| alert["rule"] == "backup_failed"),
        "{alerts}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_looked_after() {
    let app = TestApp::start().await;
    let file = app.get("/api/v1/system/store").await.json();
    let tables = file["tables"].as_array().unwrap();
    let tokens = tables.iter().find(|table| table["table"] == "tokens-1").unwrap();
    assert!(tokens["rows"].as_u64() >= Some(1) && tokens["stored_bytes"].as_u64() > Some(0), "{tokens}");
    assert!(file["file_bytes"].as_u64() > file["free_bytes"].as_u64(), "{file}");
    let waste = file["fragmentation"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&waste), "{file}");

    for path in ["/api/v1/system/cleanup", "/admin/maintenance/cleanup"] {
        let dry = post(&app, path, &json!({"dry_run": true})).await;
        assert_eq!((dry.status, dry.json()["dry_run"].clone()), (200, json!(true)), "{path}");
        assert_eq!(post(&app, path, &json!({})).await.json()["dry_run"], false);
        assert_eq!(app.ask(Ask::post(path, JSON, "{}")).await.status, 401);
    }
    let cut = post(&app, "/api/v1/system/compact", &json!({})).await.json();
    let bytes = |key: &str| cut[key].as_u64().unwrap();
    assert_eq!(bytes("before_bytes") - bytes("gained_bytes"), bytes("after_bytes"));
    assert!(bytes("gained_bytes") > 0, "{cut}");

    let stats = app.ask_as_admin(Ask::get("/admin/database/stats")).await.json();
    // Rows were written since.
    assert!(stats["store"]["file_bytes"].as_u64() >= Some(bytes("after_bytes")), "{stats}");
    assert_eq!(stats["postgres"], json!([]));
}

/// Runs the program on a data directory.
fn command(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.args(arguments).arg("--data-dir").arg(data_dir).env_clear();
    command.output().unwrap()
}

fn ran(data_dir: &Path, arguments: &[&str]) -> Value {
    let output = command(data_dir, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What an operator would compare, as the API shows it.
fn contents(agent: &Agent) -> Value {
    let authorization = format!("Authorization: Bearer {}", agent.token());
    let get = |path: &str| agent.call("GET", path, &[&authorization], "").unwrap().json();
    let rules = get("/api/v1/monitoring/rules?limit=1000");
    let rules: Vec<_> = rules["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["name"] == "made_by_hand")
        .map(|rule| rule["expr"].clone())
        .collect();
    let alerts = get("/api/v1/monitoring/alerts?state=firing&limit=1000");
    let alerts: Vec<_> = alerts["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|alert| alert["source"] == "backup-test")
        .map(|alert| json!([alert["id"], alert["title"], alert["created_at"], alert["acknowledged"]]))
        .collect();
    json!({ "rules": rules, "alerts": alerts })
}

fn raise(agent: &Agent, title: &str) -> String {
    let body = json!({"severity": "high", "source": "backup-test", "title": title, "message": "m", "expires_in": "1d"});
    let answer = agent.post("/api/v1/monitoring/alerts", JSON, &body.to_string());
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn samples(agent: &Agent, at: i64, count: usize) -> Value {
    let end = at + (count as i64 - 1) * 1000;
    let query =
        format!("/api/v1/query_range?query={}&start={at}&end={end}&step=1s&lookback=1s", escape("carried"));
    agent.get(&query).json()["series"][0]["values"].clone()
}

fn import(agent: &Agent, at: i64, count: usize) {
    let mut text = String::from("# TYPE carried gauge\n");
    for index in 0..count {
        text.push_str(&format!("carried {index} {}\n", (at + index as i64 * 1000) / 1000));
    }
    text.push_str("# EOF\n");
    let answer = agent.post("/api/v1/ingest/openmetrics", "application/openmetrics-text", &text);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_backup_made_under_load_opens_in_a_second_directory() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("one"), folder.path().join("two"));
    let agent = Agent::start(&first, "");
    let (now, _) = agent.latest("node_load1").unwrap();
    let at = (now - 600_000) / 1000 * 1000;
    import(&agent, at, 300);
    let rule = json!({"name": "made_by_hand", "expr": "vector(1) > 2", "severity": "low"});
    assert_eq!(agent.post("/api/v1/monitoring/rules", JSON, &rule.to_string()).status, 201);
    let acknowledged = raise(&agent, "seen");
    raise(&agent, "not seen");
    assert_eq!(
        agent.post(&format!("/api/v1/monitoring/alerts/{acknowledged}/acknowledge"), JSON, "{}").status,
        200
    );
    let (before, seen) = (contents(&agent), samples(&agent, at, 300));
    assert!(
        before["rules"].as_array().unwrap().len() == 1 && before["alerts"].as_array().unwrap().len() == 2
    );

    // Alerts, rules and samples are written all the time while it is made.
    let stop = std::sync::atomic::AtomicBool::new(false);
    let manifest = std::thread::scope(|scope| {
        let (stop, agent) = (&stop, &agent);
        scope.spawn(move || {
            for number in 0.. {
                let body = json!({"severity": "low", "source": "load", "title": format!("t{number}"), "message": "m", "expires_in": "1m"});
                agent.post("/api/v1/monitoring/alerts", JSON, &body.to_string());
                let rule = json!({"name": format!("load_{}", number % 5), "expr": format!("vector({number}) < 0"), "severity": "low"});
                agent.post("/api/v1/monitoring/rules", JSON, &rule.to_string());
                import(agent, at - 700_000 - number * 1000, 1);
                if stop.load(std::sync::atomic::Ordering::SeqCst) {
                    return;
                }
            }
        });
        let made = ran(&first, &["backup", "create"]);
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        made
    });
    let file = first.join("backups").join(manifest["file"].as_str().unwrap());
    let id = manifest["id"].as_str().unwrap();
    assert_eq!(ran(&first, &["backup", "verify", id])["valid"], true);
    assert_eq!(ran(&first, &["backup", "ls"])["items"][0]["id"], manifest["id"]);
    // A path is read without the agent; restoring over a running one is refused.
    let path = file.to_str().unwrap();
    assert_eq!(ran(&first, &["backup", "verify", path])["valid"], true);
    let refused = command(&first, &["backup", "restore", path]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("in use"));

    let plan = ran(&second, &["backup", "restore", path, "--dry-run"]);
    assert!(plan["dry_run"] == true && !second.exists(), "{plan}");
    ran(&second, &["backup", "restore", path]);
    std::fs::copy(first.join("admin.token"), second.join("admin.token")).unwrap();
    let restored = Agent::start(&second, "");
    assert_eq!(contents(&restored), before);
    assert_eq!(samples(&restored, at, 300), seen);
    assert_eq!(samples(&restored, at, 300).as_array().unwrap().len(), 300);
}

fn until_restarted(agent: &Agent, what: impl Fn() -> bool) {
    let began = Instant::now();
    while !(agent.call("GET", "/readyz", &[], "").is_ok_and(|answer| answer.status == 200) && what()) {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not come back");
        std::thread::yield_now();
    }
}

#[test]
fn a_running_agent_starts_again_on_what_was_restored() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let agent = Agent::start(&data_dir, "");
    raise(&agent, "in the backup");
    let made = ran(&data_dir, &["backup", "create"]);
    let rule = json!({"name": "made_by_hand", "expr": "vector(1) > 2", "severity": "low"});
    assert_eq!(agent.post("/api/v1/monitoring/rules", JSON, &rule.to_string()).status, 201);
    raise(&agent, "since the backup");
    let pid = agent.pid();
    let answer = ran(&data_dir, &["backup", "restore", made["id"].as_str().unwrap()]);
    assert_eq!(answer["restarting"], true);
    let kept = || {
        let entries = std::fs::read_dir(&data_dir).unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().contains(".replaced-")).count()
    };
    until_restarted(&agent, || kept() == 1);
    assert_eq!(agent.pid(), pid, "who watches the process sees no end");
    let after = contents(&agent);
    assert_eq!(after["rules"], json!([]), "as in the backup");
    let titles: Vec<_> = after["alerts"].as_array().unwrap().iter().map(|alert| alert[1].clone()).collect();
    assert!(titles.contains(&json!("in the backup")), "{after}");
    assert!(titles.contains(&json!("since the backup")), "an alert in flight is not lost: {after}");
    let authorization = format!("Authorization: Bearer {}", agent.token());
    let audit = agent.call("GET", "/api/v1/audit", &[&authorization], "").unwrap().json();
    assert!(
        audit["items"].as_array().unwrap().iter().any(|row| row["action"] == "backup.restore"),
        "{audit}"
    );
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// `kill -9` at moments all over a backup and a restore: the store opens every time, with
/// the old contents or the new ones, and no half-made backup is listed.
#[test]
fn a_kill_leaves_a_store_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut agent = Agent::start(&data_dir, "");
    raise(&agent, "first");
    let (now, _) = agent.latest("node_load1").unwrap();
    import(&agent, (now - 3_600_000) / 1000 * 1000, 3000);
    let made = ran(&data_dir, &["backup", "create"]);
    let id = made["id"].as_str().unwrap().to_owned();
    raise(&agent, "second");
    for (path, step) in [("/api/v1/backups".to_owned(), 4), (format!("/api/v1/backups/{id}/restore"), 12)] {
        for round in 0..5 {
            let token = format!("Authorization: Bearer {}", agent.token());
            std::thread::scope(|scope| {
                let agent = &agent;
                let (path, token) = (path.clone(), token.clone());
                scope.spawn(move || {
                    let _ = agent.call("POST", &path, &[&token, "Content-Type: application/json"], "{}");
                });
                let began = Instant::now();
                while began.elapsed() < Duration::from_millis(1 + round * step) {
                    std::thread::yield_now();
                }
                let pid = rustix::process::Pid::from_raw(agent.pid() as i32).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            });
            agent.kill();
            agent = Agent::start(&data_dir, "");
            let titles: Vec<_> =
                contents(&agent)["alerts"].as_array().unwrap().iter().map(|alert| alert[1].clone()).collect();
            assert!(
                titles.contains(&json!("first")) && titles.contains(&json!("second")),
                "{path} {round}: {titles:?}"
            );
            let listed = ran(&data_dir, &["backup", "ls"]);
            for item in listed["items"].as_array().unwrap() {
                let verdict = ran(&data_dir, &["backup", "verify", item["id"].as_str().unwrap()]);
                assert_eq!(verdict["valid"], true, "{path} {round}: {verdict}");
            }
            assert!(!files(&data_dir).iter().any(|path| path.to_string_lossy().contains("damaged")));
            let partial = |path: &PathBuf| path.to_string_lossy().ends_with(".redb.partial");
            assert!(!files(&data_dir.join("backups")).iter().any(partial), "{path} {round}");
        }
    }
}
