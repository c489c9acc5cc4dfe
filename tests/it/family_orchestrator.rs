//! The orchestrator family's figures: a real agent over a real PostgreSQL server, with
//! operations that an application reports.

use serde_json::{Value, json};

use super::family_facility::database;
use super::support::agent::Agent;

/// An agent to which `shop` reported 20 operations, of which 5 failed.
fn agent(folder: &tempfile::TempDir, section: &str) -> Agent {
    let agent = Agent::start(&folder.path().join("data"), section);
    let report = |success: bool, duration_ms: f64| json!({"source": "shop", "operation": "pay", "duration_ms": duration_ms, "success": success});
    let all: Vec<Value> = (0..20).map(|number| report(number % 4 != 0, 40.0)).collect();
    let taken = agent.post("/events/operation", "application/json", &Value::from(all).to_string()).json();
    assert_eq!(taken["accepted"], 20, "{taken}");
    let failure = json!({"source": "shop", "kind": "timeout", "message": "the bank did not answer"});
    assert_eq!(agent.post("/events/failure", "application/json", &failure.to_string()).json()["accepted"], 1);
    agent
}

#[test]
fn status_performance_and_series_have_the_figures_of_now() {
    let (_server, section) = database();
    let folder = tempfile::tempdir().unwrap();
    let agent = agent(&folder, &section);
    let test = r#"{"severity":"EMERGENCY","title":"Only a test"}"#;
    assert_eq!(agent.post("/test-alert", "application/json", test).status, 201);

    let status = agent.wait("/status", |status| status["counts"]["targets_failing"] == 0);
    assert_eq!(
        (&status["status"], &status["monitoring_active"]),
        (&json!("running"), &json!(true)),
        "{status}"
    );
    assert_eq!(status["active_alerts"]["EMERGENCY"], 1, "{status}");
    for word in ["INFO", "WARNING", "CRITICAL"] {
        assert!(status["active_alerts"][word].is_u64(), "{word}: {status}");
    }
    let counts = &status["counts"];
    assert_eq!((&counts["targets"], &counts["failure_events"]), (&json!(1), &json!(1)), "{status}");
    assert!(counts["series"].as_u64() > Some(100) && counts["rules"].as_u64() > Some(30), "{status}");
    assert!(status["last_collection"].is_string() && status["uptime_seconds"].is_f64(), "{status}");

    let performance = agent.wait("/performance", |found| {
        let all = || found["operations"].as_array().into_iter().flatten();
        let seen = |source| all().any(|one| one["source"] == source);
        seen("shop") && seen("pg1") && found["resource_usage"]["cpu_percent"].is_number()
    });
    let of = |source: &str, operation: &str| {
        let all = performance["operations"].as_array().unwrap();
        let found = all.iter().find(|one| one["source"] == source && one["operation"] == operation);
        found.unwrap_or_else(|| panic!("{source} {operation} in {performance}")).clone()
    };
    let pay = of("shop", "pay");
    assert_eq!(
        (&pay["count"], &pay["failed"], &pay["error_rate"]),
        (&json!(20), &json!(5), &json!(0.25)),
        "{pay}"
    );
    let average = pay["average_ms"].as_f64().unwrap();
    assert!((average - 40.0).abs() < 0.1, "{pay}");
    let p95 = pay["p95_ms"].as_f64().unwrap();
    assert!((25.0..=100.0).contains(&p95), "{pay}");
    let query = of("pg1", "query");
    assert_eq!((&query["origin"], &query["failed"]), (&json!("probe"), &json!(0)), "{query}");
    let whole = &performance["response_times"];
    assert!(whole["count"].as_u64() >= Some(22) && whole["p99_ms"].is_number(), "{performance}");
    assert!(performance["error_rate"].as_f64().unwrap() > 0.0, "{performance}");
    assert!(performance["throughput"]["operations_per_second"].as_f64().unwrap() > 0.0, "{performance}");

    every_series_has_figures(&agent);
    samples_are_filtered(&agent);
    let moved = agent.get("/dashboard.html");
    assert!(moved.status == 303 && moved.head.to_lowercase().contains("location: /ui/"), "{moved:?}");
}

fn every_series_has_figures(agent: &Agent) {
    let memory = agent.wait("/detailed-metrics?name=node_memory_MemAvailable_bytes", |found| {
        found["metrics"][0]["count"].as_u64() >= Some(3)
    });
    let one = &memory["metrics"][0];
    assert_eq!(
        (&memory["total"], &one["source"], &one["kind"]),
        (&json!(1), &json!("host"), &json!("gauge"))
    );
    let value = |key: &str| one[key].as_f64().unwrap_or_else(|| panic!("{key} in {one}"));
    assert!(value("min") <= value("p50") && value("p50") <= value("p95"), "{one}");
    assert!(value("p95") <= value("p99") && value("p99") <= value("max"), "{one}");
    assert!(value("mean") >= value("min") && value("latest") > 0.0, "{one}");

    let page = agent.get("/detailed-metrics?limit=7").json();
    assert_eq!(page["metrics"].as_array().unwrap().len(), 7);
    let next = page["next"].as_str().unwrap();
    let further = agent.get(&format!("/detailed-metrics?limit=7&cursor={next}")).json();
    assert_ne!(further["metrics"][0]["name"], page["metrics"][0]["name"]);
    let of_target = agent.get("/detailed-metrics?source=pg1&limit=1000").json();
    let all = of_target["metrics"].as_array().unwrap();
    assert!(all.len() > 20 && all.iter().all(|one| one["labels"]["target"] == "pg1"), "{of_target}");
    for wrong in ["limit=0", "limit=1001", "cursor=x", "nmae=x"] {
        assert_eq!(agent.get(&format!("/detailed-metrics?{wrong}")).status, 400, "{wrong}");
    }
}

fn samples_are_filtered(agent: &Agent) {
    let newest = agent.wait("/metrics?name=probe_success&source=pg1&limit=2", |found| found["count"] == 2);
    let samples = newest["metrics"].as_array().unwrap();
    let time = |sample: &Value| sample["timestamp"].as_str().unwrap().to_owned();
    assert!(time(&samples[0]) > time(&samples[1]), "newest first: {newest}");
    assert_eq!((&samples[0]["source"], &samples[0]["value"]), (&json!("pg1"), &json!(1)));
    let after = agent.get(&format!("/metrics?name=probe_success&since={}", time(&samples[0]))).json();
    let later = after["metrics"].as_array().unwrap();
    assert!(later.iter().all(|sample| time(sample) > time(&samples[0])), "{after}");
    let shop = agent.get("/metrics?source=shop").json();
    assert!(shop["count"].as_u64() > Some(5), "{shop}");
    assert!(
        shop["metrics"].as_array().unwrap().iter().all(|one| one["labels"]["source"] == "shop"),
        "{shop}"
    );
    for (wrong, status) in [("limit=0", 400), ("since=soon", 400), ("name=up&format=prometheus", 400)] {
        assert_eq!(agent.get(&format!("/metrics?{wrong}")).status, status, "{wrong}");
    }
    let system = agent.call("GET", "/metrics", &["Accept: application/json"], "").unwrap().json();
    assert!(system["system"]["cpu_usage_percent"].is_number(), "{system}");
    assert!(agent.get("/metrics").body.contains("# TYPE node_load1 gauge"));
}
