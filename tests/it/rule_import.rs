//! Rule files as published collections write them, imported and evaluated.

use std::time::Duration;

use holdfast::base::time::Clock as _;
use serde_json::{Value, json};

use crate::support::app::{One, TestApp};
use crate::support::client::{Answer, Ask};

/// In the style of the collections for node_exporter: what they use of PromQL and of
/// templates is in it.
const NODE: &str = include_str!("support/node_rules.yml");
const PATH: &str = "/api/v1/monitoring/rules/import";

impl TestApp {
    async fn import(&self, query: &str, text: &str) -> Answer {
        let ask = Ask::post(&format!("{PATH}{query}"), "application/yaml", text.to_owned());
        self.ask_as_admin(ask).await
    }

    async fn rule(&self, name: &str) -> Value {
        self.get(&format!("/api/v1/monitoring/rules/{name}")).await.json()
    }
}

fn names(answer: &Value) -> Vec<&str> {
    answer["rules"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_collection_is_imported_and_evaluated() {
    let app = TestApp::start().await;
    let answer = app.import("?dry_run=true", NODE).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let made = answer.json();
    assert_eq!((made["dry_run"].as_bool(), made["created"].as_u64()), (Some(true), Some(13)), "{made}");
    assert_eq!(app.rule("HostFilling-warning").await["status"], 404, "a dry run makes nothing");

    let answer = app.import("", NODE).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let made = answer.json();
    assert_eq!(made["created"], 13);
    for name in ["HostFilling-warning", "HostFilling-critical", "instance:host_cpu_busy:rate5m"] {
        assert!(names(&made).contains(&name), "{name}: {made}");
    }
    let filling = app.rule("HostFilling-critical").await;
    assert_eq!(
        (&filling["alert"], &filling["severity"], &filling["every"], &filling["config"]["for"]),
        (&json!("HostFilling"), &json!("critical"), &json!("15s"), &json!("5m")),
        "{filling}"
    );

    // Twelve minutes in which a disk fills and one processor is busy.
    for minute in 0..=12 {
        let gone = f64::from(minute) * 60.0;
        let size = ("node_filesystem_size_bytes", FS, 1e9);
        let free = ("node_filesystem_avail_bytes", FS, 1.3e8 - gone * 1e5);
        let idle: One<'_> = ("node_cpu_seconds_total", &[("cpu", "0"), IN, ("mode", "idle")], gone * 0.02);
        let user: One<'_> = ("node_cpu_seconds_total", &[("cpu", "0"), IN, ("mode", "user")], gone * 0.98);
        let name: One<'_> = ("node_uname_info", &[IN, ("nodename", "attic")], 1.0);
        let load: One<'_> = ("node_load15", &[IN], 9.0);
        app.sample(app.clock.now(), &[size, free, idle, user, name, load]);
        app.round().await;
        app.clock.advance(Duration::from_secs(60));
    }
    for shown in app.get("/api/v1/monitoring/rules?limit=1000").await.json()["items"].as_array().unwrap() {
        assert!(shown["health"] == "ok" || shown["enabled"] == false, "{shown}");
    }
    let alerts = app.get("/api/v1/monitoring/alerts").await.json();
    let title = |rule: &str| {
        let all = alerts["alerts"].as_array().unwrap();
        all.iter().find(|alert| alert["rule"] == rule).unwrap_or_else(|| panic!("no {rule}: {alerts}"))
            ["title"]
            .clone()
    };
    assert_eq!(title("HostFilling-critical"), "/dev/sda1 on 10.0.0.1:9100 has 64M left.");
    assert_eq!(title("HostBusy"), "attic is 98.80 % busy");
    assert_eq!(title("HostOverloaded"), "9 processes wait on attic");
    assert_eq!(title("HostExporterGone"), "No exporter of the job backup");
}

const IN: (&str, &str) = ("instance", "10.0.0.1:9100");
const FS: &[(&str, &str)] =
    &[("device", "/dev/sda1"), ("fstype", "ext4"), IN, ("job", "node"), ("mountpoint", "/")];

#[tokio::test]
async fn an_import_is_one_change_and_may_be_repeated() {
    let app = TestApp::start().await;
    assert_eq!(app.import("", NODE).await.json()["created"], 13);
    let again = app.import("", NODE).await.json();
    assert_eq!((&again["created"], &again["unchanged"]), (&json!(0), &json!(13)), "{again}");
    // Another time, and one label less: the others stay, and what is gone is gone.
    let other = NODE.replace("for: 15m", "for: 20m").replace("          team: storage\n", "");
    assert_ne!(other, NODE);
    let changed = app.import("", &other).await.json();
    assert_eq!((&changed["created"], &changed["changed"]), (&json!(0), &json!(2)), "{changed}");
    let rule = app.rule("HostFilling-warning").await;
    assert_eq!(
        (&rule["for"], &rule["config"]["labels"]),
        (&json!("20m"), &json!({"severity": "warning"})),
        "{rule}"
    );
    let audit = app.ask_as_admin(Ask::get("/api/v1/audit?limit=10")).await.json();
    let changes = audit["items"].as_array().unwrap().iter().filter(|row| row["action"] == "config.apply");
    assert_eq!(changes.count(), 2, "one row an import: {audit}");
}

#[tokio::test]
async fn a_bad_rule_is_shown_at_its_place_and_nothing_is_taken() {
    let app = TestApp::start().await;
    let bad = NODE.replacen("predict_linear(", "predict_linar(", 1).replacen("for: 15m", "for: 15", 1);
    let refused = app.import("", &bad).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "bad_rule_file"), "{}", refused.text());
    let body = refused.json();
    let errors = body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{body}");
    let line = bad.lines().position(|line| line.contains("predict_linar(")).unwrap() + 1;
    assert!(errors[0]["pointer"].as_str().unwrap().starts_with(&format!("{line}:")), "{body}");
    assert!(errors[1]["detail"].as_str().unwrap().contains("expected for example `30s`"), "{body}");
    assert_eq!(app.rule("HostBusy").await["status"], 404);

    let pinned = TestApp::with("[[rule]]\nname = 'HostBusy'\nexpr = 'up == 0'\n").await;
    let refused = pinned.import("", NODE).await;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "exists"), "{}", refused.text());
    assert_eq!(pinned.rule("HostFilling-warning").await["status"], 404);

    let image = Ask::post(PATH, "image/png", "x");
    assert_eq!(app.ask_as_admin(image).await.problem(), "unsupported_media_type");
}
