//! The surfaces of the earlier systems, through the router with a real store.

use std::sync::Arc;
use std::time::Duration;

use holdfast::base::id::Name;
use holdfast::model::frame::Frame;
use holdfast::model::probe::{OperationOutcome, OutcomeClass};
use holdfast::targets::record::Recorder;
use serde_json::{Value, json};

use super::breaker::SETTINGS;
use super::support::app::{NOW, TestApp, target};
use super::support::client::Ask;

#[tokio::test]
async fn comprehensive_health_has_every_part_and_null_for_what_is_not_there() {
    let app = TestApp::start().await;
    let mut off = target("pg9", OutcomeClass::Hard);
    off.enabled = false;
    let all = vec![target("pg1", OutcomeClass::Ok), target("pg2", OutcomeClass::Hard), off];
    app.targets.send_replace(Arc::new(all));
    let answer = app.get("/health/comprehensive").await;
    let body = answer.json();
    assert_eq!((answer.status, &body["status"]), (200, &json!("degraded")), "{body}");
    assert_eq!((&body["database"]["status"], &body["redis"]), (&json!("unhealthy"), &Value::Null));
    assert!(body["database"]["message"].as_str().unwrap().starts_with("1 of 2 healthy; pg2"), "{body}");
    assert!(body["store"]["stats"]["file_bytes"].as_u64().unwrap() > 0);
    assert!(body["host"]["resources"]["disk_usage_percent"].is_f64(), "{body}");
    let targets: Vec<_> = body["targets"].as_array().unwrap().iter().map(|part| &part["status"]).collect();
    assert_eq!(targets, ["healthy", "unhealthy", "unknown"]);
    assert_eq!(body["breakers"]["closed"], 3);

    app.targets.send_replace(Arc::new(vec![target("pg2", OutcomeClass::Hard)]));
    assert_eq!(app.get("/health/comprehensive").await.status, 503);
}

const BUCKET: &str = "[[target.object_store]]\nname = \"s3\"\nendpoint = \"http://127.0.0.1:1\"\nbucket = \"b\"\n\
                      access_key_id = \"k\"\nsecret_access_key = \"never-shown\"\n";

/// An agent that probed its bucket twice: all went well, then PUT failed.
async fn with_bucket() -> TestApp {
    let app = TestApp::with(BUCKET).await;
    app.registry.of("s3", "object_store/b", SETTINGS);
    let name = Name::new("s3").unwrap();
    let mut recorder = Recorder::new(name, "object_store");
    let mut status = target("s3", OutcomeClass::Hard);
    for (age, class) in [(60, OutcomeClass::Ok), (30, OutcomeClass::Hard)] {
        let at = NOW.minus(Duration::from_secs(age));
        let operation = |name: &str, class, latency_ms| OperationOutcome {
            operation: name.to_owned(),
            class,
            code: if class == OutcomeClass::Ok { String::new() } else { String::from("InternalError") },
            detail: String::new(),
            latency_ms,
        };
        let operations = vec![operation("put", class, 9.0), operation("get", OutcomeClass::Ok, 4.0)];
        let mut frame = Frame::new();
        let record = recorder.finish(at, 13.0, operations, &mut frame);
        app.store().append("object_store/s3", at, &frame);
        app.store().record_probe(&record);
        status.last = Some(record);
    }
    (status.kind, status.interval_ms) = (String::from("object_store"), 30_000);
    app.targets.send_replace(Arc::new(vec![status]));
    app
}

#[tokio::test]
async fn the_object_store_is_shown_by_operation() {
    let app = with_bucket().await;
    let answer = app.get("/api/health").await;
    let body = answer.json();
    assert_eq!((answer.status, &body["status"], &body["service"]), (503, &json!("unhealthy"), &json!("s3")));
    let put = &body["operations"]["put"];
    assert_eq!(
        (&put["status"], &put["error_rate"], &put["error"]),
        (&json!("unhealthy"), &json!(0.5), &json!("InternalError"))
    );
    let get = &body["operations"]["get"];
    assert_eq!(
        (&get["status"], &get["last_latency_ms"], &get["error"]),
        (&json!("healthy"), &json!(4.0), &Value::Null)
    );
    assert_eq!(body["operations"]["list"]["status"], "unknown");
    assert_eq!(body["circuit_breaker"]["state"], "CLOSED");

    let history = app.get("/api/health/history?limit=3&offset=1").await.json();
    assert_eq!((&history["total"], history["history"].as_array().unwrap().len()), (&json!(4), 3));
    assert_eq!(history["history"][0]["operation"], "put");
    assert_eq!(history["history"][1]["checked_at"], "2026-11-20T09:21:45.000Z");
    assert_eq!(app.get("/api/health/history?limit=0").await.problem(), "bad_parameter");

    let metrics = app.get("/api/health/metrics?hours=1").await.json();
    let put = &metrics["metrics"]["put"];
    assert_eq!((&put["total"], &put["failed"], &put["error_rate"]), (&json!(2), &json!(1), &json!(0.5)));
    let nine = |value: &Value| (value.as_f64().unwrap() - 9.0).abs() < 1e-9;
    assert!(nine(&put["avg"]) && nine(&put["p99"]), "{metrics}");
    assert_eq!(metrics["resolutions"], json!(["raw"]));
    for hours in ["0", "17521", "x"] {
        assert_eq!(app.get(&format!("/api/health/metrics?hours={hours}")).await.status, 400, "{hours}");
    }
    let canonical = app.get("/api/v1/targets/s3/operations?hours=1").await.json();
    assert_eq!(canonical["operations"][1], *put);
}

#[tokio::test]
async fn figures_of_fast_probes_are_read_in_pieces() {
    const PROBES: u64 = 110_000;
    let app = TestApp::with(BUCKET).await;
    for number in 0..PROBES {
        let at = NOW.minus(Duration::from_millis((PROBES - number) * 100));
        let good = number % 10 != 0;
        let labels = [("kind", "object_store"), ("operation", "get"), ("target", "s3")];
        let mut frame = Frame::new();
        frame
            .gauge("holdfast_probe_operation_success", "x")
            .push(&labels, f64::from(u8::from(good)))
            .gauge("holdfast_probe_operation_duration_seconds", "x")
            .push(&labels, 0.001 * (number % 100) as f64)
            .gauge("holdfast_probe_operation_slow", "x")
            .push(&labels, f64::from(u8::from(number % 100 == 99)));
        app.store().append("object_store/s3", at, &frame);
    }
    let metrics = app.get("/api/health/metrics?hours=24").await.json();
    let get = &metrics["metrics"]["get"];
    assert_eq!((&get["total"], &get["failed"]), (&json!(PROBES), &json!(PROBES / 10)), "{metrics}");
    assert_eq!(get["slow"], PROBES / 100);
    let p99 = get["p99"].as_f64().unwrap();
    assert!((p99 - 99.0).abs() < 1e-3, "{metrics}");
}

#[tokio::test]
async fn its_breaker_is_shown_and_reset() {
    let app = with_bucket().await;
    let breaker = app.registry.get("s3").unwrap();
    for _ in 0..3 {
        breaker.acquire().unwrap().report(OutcomeClass::Hard);
    }
    let shown = app.get("/api/health/circuit-breaker").await.json();
    assert_eq!(
        (&shown["state"], &shown["failure_count"], &shown["failure_rate"]),
        (&json!("OPEN"), &json!(3), &json!(1.0))
    );
    assert!(shown["next_attempt"].is_string() && shown["last_failure"].is_string(), "{shown}");
    assert_eq!(
        (&shown["transitions"][0]["from"], &shown["transitions"][0]["to"]),
        (&json!("CLOSED"), &json!("OPEN"))
    );
    let reset = Ask::post("/api/health/circuit-breaker/reset", "application/json", "");
    assert_eq!(app.ask(reset.clone()).await.status, 401);
    let shown = app.ask_as_admin(reset).await.json();
    assert_eq!((&shown["state"], &shown["failure_count"]), (&json!("CLOSED"), &json!(0)));
}

async fn put(app: &TestApp, body: &Value) -> super::support::client::Answer {
    let mut ask =
        Ask::new(http::Method::PUT, "/api/health/config").header("content-type", "application/json");
    ask.body = body.to_string().into();
    app.ask_as_admin(ask).await
}

#[tokio::test]
async fn its_configuration_is_merged_validated_and_kept() {
    let app = with_bucket().await;
    let shown = app.get("/api/health/config").await.json();
    assert_eq!(
        (&shown["serviceName"], &shown["checkInterval"], &shown["recoveryTimeout"]),
        (&json!("s3"), &json!(30000), &json!(60000))
    );

    let patch = json!({
        "serviceName": "Backups", "checkInterval": 10000, "timeout": 4000, "failureThreshold": 5,
        "recoveryTimeout": 900_000, "testOperations": ["get", "head"], "alertOnRecovery": false,
    });
    let changed = put(&app, &patch).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    for (key, value) in patch.as_object().unwrap() {
        assert_eq!(&changed.json()[key], value, "{key}");
    }
    assert_eq!(changed.json()["monitoringWindow"], 300_000);
    assert_eq!(app.get("/api/health/config").await.json(), changed.json());
    // Stored: what a restart reads.
    let stored = app.store().overlay().to_string();
    assert!(
        stored.contains("\"open_for\":\"15m\"") && stored.contains("\"max_open_for\":\"15m\""),
        "{stored}"
    );

    for (body, status, pointer) in [
        (json!({ "failureThreshold": 0 }), 422, "/failureThreshold"),
        (json!({ "timeout": 60_000 }), 422, "/timeout"),
        (json!({ "testOperations": [] }), 422, "/testOperations"),
        (json!({ "testOperations": ["copy"] }), 400, "/testOperations/0"),
        (json!({ "checkInterval": "10s" }), 400, "/checkInterval"),
        (json!({ "interval": 1 }), 400, "/interval"),
    ] {
        let answer = put(&app, &body).await;
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["pointer"]),
            (status, &json!(pointer)),
            "{body}"
        );
    }
    assert_eq!(app.get("/api/health/config").await.json(), changed.json());

    for (action, running) in [("stop", false), ("start", true)] {
        let ask = Ask::post(&format!("/api/health/monitoring/{action}"), "application/json", "");
        assert_eq!(app.ask_as_admin(ask).await.json(), json!({ "target": "s3", "running": running }));
        assert_eq!(app.get("/api/health/config").await.json()["enabled"], running);
    }
}

#[tokio::test]
async fn which_bucket_is_meant_is_said_or_asked() {
    let none = TestApp::start().await;
    assert_eq!(none.get("/api/health").await.problem(), "not_found");
    let two = TestApp::with(&format!("{BUCKET}{}", BUCKET.replace("s3", "other"))).await;
    let asked = two.get("/api/health/config").await;
    assert_eq!((asked.status, asked.problem().as_str()), (422, "target_missing"));
    assert!(asked.text().contains("s3, other"), "{}", asked.text());
    assert_eq!(two.get("/api/health/config?target=other").await.json()["serviceName"], "other");
    assert_eq!(two.get("/api/health/config?target=none").await.problem(), "not_found");
}

#[tokio::test]
async fn each_family_lists_alerts_in_its_own_words() {
    let app = TestApp::with("[[rule]]\nname = 'hot'\nexpr = 'temperature'\nlevels = { high = 80 }\n").await;
    app.sample(NOW, &[("temperature", &[("room", "attic")], 90.0)]);
    app.round().await;
    let test =
        Ask::post("/test-alert", "application/json", r#"{"severity":"EMERGENCY","title":"Only a test"}"#);
    assert_eq!(app.ask(test.clone()).await.status, 401);
    let raised = app.ask_as_admin(test).await;
    let alert = raised.json();
    assert_eq!((raised.status, &alert["severity"]), (201, &json!("EMERGENCY")), "{alert}");
    let id = alert["id"].as_str().unwrap().to_owned();

    let list = app.get("/alerts").await.json();
    assert_eq!((&list["total"], list["alerts"].as_array().unwrap().len()), (&json!(2), 2), "{list}");
    for (query, expected) in [
        ("severity=WARNING", Some("HIGH")),
        ("severity=EMERGENCY", Some("CRITICAL")),
        ("severity=CRITICAL", None),
        ("source=test", Some("CRITICAL")),
        ("state=resolved", None),
        ("since=2100-01-01T00:00:00Z", None),
    ] {
        let found = app.get(&format!("/alerts?{query}")).await.json();
        let level = found["alerts"][0]["severity_level"].as_str().map(str::to_owned);
        let level = level.and_then(|word| holdfast::model::severity::Severity::parse(&word));
        assert_eq!(level.map(|level| level.facility_word()), expected, "{query}: {found}");
    }
    assert_eq!(app.get("/alerts?limit=1").await.json()["alerts"].as_array().unwrap().len(), 1);
    assert_eq!(app.get("/alerts?severity=loud").await.problem(), "bad_parameter");

    let facility = app.get("/api/monitoring/alerts").await.json();
    assert_eq!(facility, app.get("/monitoring/alerts").await.json());
    let all = facility["alerts"].as_array().unwrap();
    let hot = all.iter().find(|alert| alert["type"] == "hot").unwrap();
    assert_eq!(
        (&facility["count"], &hot["severity"], &hot["metric"], &hot["value"], &hot["threshold"]),
        (&json!(2), &json!("HIGH"), &json!("temperature"), &json!(90.0), &json!(80.0)),
        "{facility}"
    );

    let acknowledge =
        |id: &str| Ask::post(&format!("/api/monitoring/alerts/{id}/acknowledge"), "application/json", "");
    let first = app.ask_as_admin(acknowledge(&id)).await.json();
    assert_eq!((&first["success"], &first["alert_id"]), (&json!(true), &json!(id)), "{first}");
    assert!(first["acknowledged_at"].is_string(), "{first}");
    app.clock.advance(Duration::from_secs(5));
    assert_eq!(app.ask_as_admin(acknowledge(&id)).await.json(), first, "twice is the same answer");
    assert_eq!(app.ask_as_admin(acknowledge("none")).await.problem(), "not_found");

    let resolve = Ask::post(&format!("/alerts/{id}/resolve"), "application/json", r#"{"comment":"seen"}"#);
    let resolved = app.ask_as_admin(resolve.clone()).await.json();
    assert_eq!(resolved["state"], "resolved", "{resolved}");
    assert_eq!(app.ask_as_admin(resolve).await.status, 200);
    assert_eq!(app.get("/api/monitoring/alerts").await.json()["count"], 1);
}
