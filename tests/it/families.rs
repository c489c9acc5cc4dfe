//! The surfaces of the earlier systems, through the router with a real store.

use std::sync::Arc;

use holdfast::model::probe::OutcomeClass;
use serde_json::{Value, json};

use super::support::app::{TestApp, target};

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
