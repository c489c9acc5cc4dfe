//! The commands against the real API over a real socket.

use holdfast::model::access::Scope;

use crate::support::app::TestApp;
use crate::support::client::Ask;
use crate::support::command::{Home, Ran};

const FILE: &str = "[[target.postgres]]\nname = \"pg1\"\nhost = \"127.0.0.1\"\n";

/// Runs the program beside the agent, through its socket unless told otherwise.
async fn run(app: &TestApp, home: &Home, arguments: &[&str], token: Option<&str>) -> Ran {
    let mut command = home.command(arguments);
    command.env("HOLDFAST_DATA_DIR", app.socket.parent().unwrap());
    if let Some(token) = token {
        command.env("HOLDFAST_TOKEN", token);
    }
    let ran = holdfast::runtime::supervisor::Supervisor::blocking(move || command.output().unwrap()).await;
    Ran::of(ran.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_understands_the_agent() {
    let app = TestApp::with(FILE).await;
    let home = Home::new();
    let status = run(&app, &home, &["status"], None).await;
    assert!([0, 3, 4].contains(&status.code) && status.output.contains("holdfast 0.1.0 on "), "{status:?}");
    assert!(status.output.lines().any(|line| line.starts_with("store   ")), "{status:?}");

    let show = run(&app, &home, &["config", "show", "--origin"], None).await;
    let host = show.output.lines().find(|line| line.starts_with("target.postgres[pg1].host")).unwrap();
    assert!(host.ends_with("test.toml:3:1 (pinned)"), "{host}");
    let diff = run(&app, &home, &["config", "diff"], None).await;
    assert_eq!((diff.code, diff.error.as_str()), (0, "nothing was changed at run time\n"));
    let export = run(&app, &home, &["config", "export"], None).await;
    assert!(export.output.contains("[[target.postgres]]\nname = \"pg1\""), "{export:?}");

    let rotated = run(&app, &home, &["config", "rotate-key"], None).await;
    assert!(rotated.output.starts_with("secrets sealed with key ") && rotated.output.ends_with(": 0\n"));
    let rotated = run(&app, &home, &["config", "rotate-key", "--json"], None).await;
    assert!(rotated.json()["former_keys"] == 0, "{rotated:?}");

    let missing = run(&app, &home, &["targets", "probe", "none"], None).await;
    assert!(missing.code == 1 && missing.error.contains("none"), "{missing:?}");
    assert_eq!(run(&app, &home, &["targets", "ls"], None).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_is_found() {
    let app = TestApp::with(FILE).await;
    let home = Home::new();
    let at = crate::support::app::NOW.millis() / 1000 - 600;
    home.write("a.om", &format!("# TYPE backfill gauge\nbackfill{{x=\"1\"}} 7 {at}\n# EOF\n"));
    let ran = run(&app, &home, &["import", "a.om", "--json"], None).await;
    assert!(ran.code == 0 && ran.json()["accepted"] == 1, "{ran:?}");
    let until = (at + 60).to_string();
    let asked = ["query", "backfill{x=\"1\"}", "--range", "2m", "--step", "1m", "--time", &until];
    let ran = run(&app, &home, &asked, None).await;
    assert!(ran.output.starts_with("backfill{x=\"1\"}\n") && ran.output.ends_with("  7\n"), "{ran:?}");
    let ran = run(&app, &home, &["query", "sum(backfill)"], None).await;
    assert!(ran.code == 1 && !ran.error.is_empty(), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_needs_a_token_that_may() {
    let app = TestApp::with(FILE).await;
    let home = Home::new();
    home.write("a.om", "# TYPE a gauge\n# EOF\n");
    let url = format!("http://{}", app.address);
    let import = ["import", "a.om", "--url", &url];
    assert_eq!(run(&app, &home, &import, None).await.code, 77);
    let reader = app.token(Scope::MonitoringRead).await;
    assert_eq!(run(&app, &home, &import, Some(reader.expose())).await.code, 77);
    assert_eq!(run(&app, &home, &import, Some(app.admin.expose())).await.code, 0);
    assert_eq!(run(&app, &home, &["targets", "ls", "--url", &url], None).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_follows_an_alert() {
    let app = TestApp::with(FILE).await;
    let home = Home::new();
    let ls = run(&app, &home, &["alerts", "ls"], None).await;
    assert_eq!((ls.code, ls.output.as_str(), ls.error.as_str()), (0, "", "no such alert\n"));
    let test = run(&app, &home, &["alerts", "test", "--severity", "high", "--title", "Drill"], None).await;
    assert_eq!(test.code, 0, "{test:?}");
    let id = test.output.lines().next().unwrap().to_owned();
    let ls = run(&app, &home, &["alerts", "ls", "--severity", "high"], None).await;
    let line = ls.output.lines().nth(1).unwrap();
    assert!(line.starts_with(&id) && line.contains("firing") && line.ends_with("Drill"), "{ls:?}");
    let ack = run(&app, &home, &["alerts", "ack", &id, "--comment", "on it"], None).await;
    assert!(ack.code == 0 && ack.output.contains("high: Drill acknowledged by"), "{ack:?}");
    let show = run(&app, &home, &["alerts", "show", &id], None).await;
    assert!(show.output.contains("on it") && show.output.contains("acknowledged"), "{show:?}");
    let bad = run(&app, &home, &["alerts", "ack", &id, "--until", "soon"], None).await;
    assert!(bad.code == 1 && bad.error.contains("`soon` is not a time"), "{bad:?}");
    let over = run(&app, &home, &["alerts", "resolve", &id, "--notes", "done", "--json"], None).await;
    assert_eq!(over.json()["state"], "resolved", "{over:?}");
    assert_eq!(run(&app, &home, &["alerts", "ls"], None).await.output, "");
    let all = run(&app, &home, &["alerts", "ls", "--state", "all"], None).await;
    assert!(all.output.contains(&id), "{all:?}");
    assert_eq!(run(&app, &home, &["alerts", "show", "none"], None).await.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_imported_listed_and_replayed() {
    let app = TestApp::with(FILE).await;
    let home = Home::new();
    let text = "groups:\n- name: g\n  rules:\n  - {alert: Hot, expr: temperature > 50, for: 2m}\n";
    home.write("hot.yml", text);
    home.write("bad.yml", &text.replace("temperature >", "temperature >>"));
    let both = run(&app, &home, &["rules", "import", "hot.yml", "bad.yml"], None).await;
    assert!(both.code == 1 && both.error.contains("bad.yml: ") && both.error.contains("4:"), "{both:?}");
    let ls = run(&app, &home, &["rules", "ls"], None).await;
    assert!(ls.output.contains("storage_capacity") && !ls.output.contains("Hot"), "{ls:?}");
    let dry = run(&app, &home, &["rules", "import", "--dry-run", "hot.yml"], None).await;
    assert_eq!(dry.output, "hot.yml: would be 1 created, 0 changed, 0 unchanged\n  created Hot\n", "{dry:?}");
    let import = run(&app, &home, &["rules", "import", "hot.yml"], None).await;
    assert_eq!(import.output, "hot.yml: 1 created, 0 changed, 0 unchanged\n  created Hot\n");
    let again = run(&app, &home, &["rules", "import", "hot.yml", "--json"], None).await;
    assert_eq!(again.json()["files"][0]["import"]["unchanged"], 1, "{again:?}");
    assert!(run(&app, &home, &["rules", "ls"], None).await.output.contains("Hot"));

    for minute in 0..10 {
        let at = holdfast::base::time::Timestamp(crate::support::app::NOW.millis() - (9 - minute) * 60_000);
        app.sample(at, &[("temperature", &[("room", "attic")], 60.0)]);
    }
    let replay = run(&app, &home, &["rules", "replay", "Hot", "--last", "10m"], None).await;
    assert!(replay.code == 0 && replay.output.contains("fired 1 times"), "{replay:?}");
    assert!(replay.output.contains("messages to one channel: 1 (1 firing)"), "{replay:?}");
    assert!(replay.output.lines().last().unwrap().starts_with("room=attic"), "{replay:?}");
    assert_eq!(run(&app, &home, &["rules", "replay", "none"], None).await.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_shown_whole() {
    use std::fmt::Write as _;
    let mut file = String::new();
    for number in 0..1100 {
        let _ = write!(file, "[[rule]]\nname = 'own{number}'\nexpr = 'temperature{{n=\"{number}\"}} > 1'\n");
    }
    let app = TestApp::with(&file).await;
    let home = Home::new();
    let shown = run(&app, &home, &["rules", "ls"], None).await;
    let own = shown.output.lines().filter(|line| line.starts_with("own")).count();
    assert_eq!((shown.code, own), (0, 1100), "{}", shown.error);
    let whole = run(&app, &home, &["rules", "ls", "--json"], None).await.json();
    let items = whole["items"].as_array().unwrap();
    assert_eq!(Some(items.len() as u64), whole["total"].as_u64());
    assert!(whole["next"].is_null() && items.iter().any(|rule| rule["name"] == "own1099"), "{whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_users_come_and_go_and_a_password_is_no_argument() {
    let app = TestApp::start().await;
    let home = Home::new();
    let made = run(&app, &home, &["token", "new", "--name", "ci", "--role", "viewer"], None).await;
    let token = made.output.trim().to_owned();
    assert!(made.code == 0 && token.starts_with("hf_"), "{made:?}");
    assert_eq!(app.ask(Ask::get("/api/v1/targets").bearer(&token)).await.status, 200);
    let listed = run(&app, &home, &["token", "ls"], None).await;
    let line = listed.output.lines().find(|line| line.contains("  ci  ")).unwrap().to_owned();
    assert!(line.contains("monitoring:read") && !listed.output.contains(&token), "{listed:?}");
    let id = line.split_whitespace().next().unwrap();
    assert_eq!(run(&app, &home, &["token", "revoke", id], None).await.code, 0);
    assert_eq!(run(&app, &home, &["token", "revoke", id], None).await.code, 1);
    for wrong in [&["token", "new"][..], &["token", "new", "--scope", "admin", "--role", "admin"]] {
        assert_eq!(run(&app, &home, wrong, None).await.code, 2, "{wrong:?}");
    }
    let refused = run(&app, &home, &["token", "new", "--scope", "root"], None).await;
    assert!(refused.code == 1 && refused.error.contains("root"), "{refused:?}");

    let typed = |password: &'static str| {
        let mut command = home.command(&["user", "set-password", "eva"]);
        command.env("HOLDFAST_DATA_DIR", app.socket.parent().unwrap());
        let file = home.write("password", password);
        command.stdin(std::fs::File::open(file).unwrap());
        holdfast::runtime::supervisor::Supervisor::blocking(move || Ran::of(command.output().unwrap()))
    };
    let added = typed("correct horse\n").await.unwrap();
    assert!(added.code == 0 && added.error.contains("with the role admin"), "{added:?}");
    assert!(typed("another horse\n").await.unwrap().error.contains("is set"));
    assert_eq!(typed("short\n").await.unwrap().code, 1);
    assert_eq!(typed("").await.unwrap().code, 2);
    assert_eq!(run(&app, &home, &["user", "set-role", "eva", "viewer"], None).await.code, 0);
    assert!(run(&app, &home, &["user", "ls"], None).await.output.contains("eva   viewer"));
    assert_eq!(run(&app, &home, &["user", "rm", "eva"], None).await.code, 0);
    assert_eq!(run(&app, &home, &["user", "rm", "eva"], None).await.code, 1);
}
