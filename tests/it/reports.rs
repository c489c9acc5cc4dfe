//! What applications report, up to the series that rules read.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::agent::{Agent, escape};
use super::support::app::TestApp;
use super::support::client::{Answer, Ask};

async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    app.ask_as_admin(Ask::post(path, "application/json", body.to_string())).await
}

fn operation(name: &str, duration_ms: f64, success: bool) -> Value {
    json!({ "source": "shop", "operation": name, "duration_ms": duration_ms, "success": success })
}

async fn value(app: &TestApp, series: &str) -> Value {
    let answer = app.get(&format!("/api/v1/query?query={}", escape(series))).await.json();
    answer["series"][0]["value"].clone()
}

#[tokio::test]
async fn operations_and_failures_become_series() {
    let app = TestApp::start().await;
    let one = post(&app, "/events/operation", &operation("checkout", 120.0, true)).await;
    assert_eq!((one.status, one.json()), (200, json!({ "accepted": 1, "rejected": [] })));
    let list =
        json!([operation("checkout", 6000.0, false), operation("", 1.0, true), operation("cart", 5.0, true)]);
    let many = post(&app, "/events/operation", &list).await.json();
    assert_eq!((&many["accepted"], &many["rejected"][0]["index"]), (&json!(2), &json!(1)));
    assert!(many["rejected"][0]["detail"].as_str().unwrap().contains("`operation` has 0 bytes"), "{many}");
    let failure =
        json!({ "source": "shop", "kind": "timeout", "message": "no answer", "at": 1_795_166_564_000_i64 });
    assert_eq!(post(&app, "/events/failure", &failure).await.json()["accepted"], 1);

    app.reports.get().unwrap().tick().await;
    let labels = "operation=\"checkout\",source=\"shop\"";
    for (series, expected) in [
        (format!("holdfast_operations_total{{{labels},result=\"success\"}}"), 1.0),
        (format!("holdfast_operations_total{{{labels},result=\"failure\"}}"), 1.0),
        (format!("holdfast_operation_duration_seconds_bucket{{{labels},le=\"5.0\"}}"), 1.0),
        (format!("holdfast_operation_duration_seconds_sum{{{labels}}}"), 6.12),
        (String::from("holdfast_failure_events_total{source=\"shop\",kind=\"timeout\"}"), 1.0),
        (String::from("holdfast_source_heartbeat_timestamp_seconds{source=\"shop\"}"), 1_795_166_565.0),
    ] {
        assert_eq!(value(&app, &series).await.as_f64(), Some(expected), "{series}");
    }
    let kept = app.get("/events/failure?source=shop").await.json();
    assert_eq!((&kept["total"], &kept["items"][0]["message"]), (&json!(1), &json!("no answer")));
    assert_eq!(kept["items"][0]["at"], "2026-11-20T09:22:44.000Z");
    assert_eq!(app.store().failures().unwrap().len(), 1, "it is in the store after a tick");

    // Silent, and still told when it was heard.
    app.clock.advance(Duration::from_secs(600));
    app.reports.get().unwrap().tick().await;
    let heartbeat = "holdfast_source_heartbeat_timestamp_seconds{source=\"shop\"}";
    assert_eq!(value(&app, heartbeat).await.as_f64(), Some(1_795_166_565.0));
}

#[tokio::test]
async fn figures_become_series_of_their_own_name() {
    let app = TestApp::start().await;
    let body = json!({ "metrics": [
        { "name": "orders", "type": "counter", "value": 3, "labels": { "shop": "a" } },
        { "name": "queue_depth", "type": "gauge", "value": 17.5, "timestamp": "2026-11-20T09:22:44Z" },
        { "name": "basket_size", "type": "histogram", "value": 4 },
        { "name": "render", "type": "timer", "value": 250, "unit": "ms" },
        { "name": "node_load1", "type": "gauge", "value": 1 },
        { "name": "orders", "type": "gauge", "value": 1 },
    ] });
    let taken = post(&app, "/ingest/metrics", &body).await;
    assert_eq!((taken.status, &taken.json()["accepted"]), (200, &json!(4)));
    let rejected = taken.json()["rejected"].clone();
    assert_eq!((&rejected[0]["index"], &rejected[1]["index"]), (&json!(4), &json!(5)));
    app.reports.get().unwrap().tick().await;
    for (series, expected) in [
        ("orders{shop=\"a\"}", 3.0),
        ("queue_depth", 17.5),
        ("basket_size_count", 1.0),
        ("basket_size_bucket{le=\"5.0\"}", 1.0),
        ("render_sum", 0.25),
        ("render_bucket{le=\"0.25\"}", 1.0),
    ] {
        assert_eq!(value(&app, series).await.as_f64(), Some(expected), "{series}");
    }
    let exposed = app.get("/metrics").await;
    assert!(exposed.text().contains("# TYPE basket_size histogram"), "{}", exposed.text());
}

#[tokio::test]
async fn what_is_wrong_is_named_and_takes_the_right_token() {
    let app = TestApp::start().await;
    for (path, body, status, pointer) in [
        ("/events/operation", json!({ "source": "s" }), 400, ""),
        ("/events/operation", json!([operation("x", 1.0, true), { "source": 5 }]), 400, "/1/source"),
        ("/events/failure", json!({ "source": "s", "kind": "k", "when": 1 }), 400, "/when"),
        ("/events/failure", json!({ "source": "s", "kind": "k", "at": "soon" }), 400, "/at"),
        (
            "/ingest/metrics",
            json!({ "metrics": [{ "name": "x", "type": "summary", "value": 1 }] }),
            400,
            "/metrics/0/type",
        ),
        ("/ingest/metrics", json!({ "metric": [] }), 400, "/metric"),
    ] {
        let answer = post(&app, path, &body).await;
        answer.problem();
        let problem = answer.json();
        assert_eq!((answer.status, &problem["errors"][0]["pointer"]), (status, &json!(pointer)), "{problem}");
    }
    let wrong = post(&app, "/events/operation", &operation("x", -1.0, true)).await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (422, "invalid"));
    assert!(wrong.text().contains("`duration_ms` is -1"), "{}", wrong.text());
    let anybody = Ask::post("/ingest/metrics", "application/json", "{\"metrics\":[]}");
    assert_eq!(app.ask(anybody).await.status, 401);
    let untyped = app.ask_as_admin(Ask::post("/events/operation", "text/plain", "x")).await;
    assert_eq!(untyped.status, 415);
}

#[test]
fn a_silent_application_and_its_failures_are_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut agent = Agent::start(&data_dir, "");
    let failure = r#"[{"source":"shop","kind":"timeout"},{"source":"shop","kind":"refused"}]"#;
    let answer = agent.post("/events/failure", "application/json", failure);
    assert_eq!(answer.json()["accepted"], 2);
    let heartbeat = "holdfast_source_heartbeat_timestamp_seconds{source=\"shop\"}";
    let heard = (0..100_000).find_map(|_| agent.latest(heartbeat)).unwrap().1;
    assert_eq!(agent.stop(), Some(0));
    let agent = Agent::start(&data_dir, "");
    let kinds = agent.get("/events/failure").json();
    assert_eq!((&kinds["items"][0]["kind"], &kinds["total"]), (&json!("refused"), &json!(2)));
    let (at, again) = (0..100_000).find_map(|_| agent.latest(heartbeat)).unwrap();
    assert!(again == heard && at > 0);
}
