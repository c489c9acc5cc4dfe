//! The facility family's figures: a real agent over a real PostgreSQL server.

use serde_json::Value;

use super::support::agent::Agent;
use super::support::postgres::Postgres;

/// A database with two schemas of known sizes, and the section of its target.
pub fn database() -> (Postgres, String) {
    let server = Postgres::primary("");
    server.psql(
        "grant pg_monitor to holdfast; create schema shop; create schema archive; \
         create table shop.item as select n from generate_series(1, 1200) n; \
         create table archive.old as select n from generate_series(1, 300) n; analyze",
    );
    let section = format!(
        "[[target.postgres]]\nname = \"pg1\"\nhost = \"127.0.0.1\"\nport = {}\npassword = \"right-password\"\n\
         interval = \"1s\"\ntimeout = \"1s\"\n",
        server.port
    );
    (server, section)
}

#[test]
fn metrics_health_and_status_have_the_figures_of_the_database_and_the_host() {
    let (server, section) = database();
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&folder.path().join("data"), &section);
    let metrics = agent.wait("/api/monitoring/metrics", |metrics| {
        metrics["total_entries"].is_object()
            && metrics["connection_response_time"]["count"].as_u64() >= Some(2)
            && metrics["cpu_percent"]["count"].as_u64() >= Some(2)
    });
    assert_eq!(metrics["total_entries"]["current"], 1500, "{metrics}");
    let size = |schema: &str| {
        let asked = server.psql(&format!(
            "select sum(pg_total_relation_size(oid)) from pg_class \
             where relnamespace = '{schema}'::regnamespace and relkind = 'r'"
        ));
        asked.parse::<f64>().unwrap()
    };
    let number = |name: &str| metrics[name]["current"].as_f64().unwrap();
    assert_eq!(number("storage_unit_shop_bytes"), size("shop"), "{metrics}");
    assert_eq!(number("storage_unit_archive_bytes"), size("archive"));
    assert_eq!(metrics["storage_unit_public_bytes"]["current"], 0);
    assert!(number("storage_utilization_bytes") > 1e6, "{metrics}");
    for name in ["cpu_percent", "memory_percent", "disk_percent"] {
        let figures = &metrics[name];
        let value = |key: &str| figures[key].as_f64().unwrap_or(-1.0);
        assert!((0.0..=100.0).contains(&value("current")), "{name}: {figures}");
        assert!(value("min") <= value("average") && value("average") <= value("max"), "{name}: {figures}");
    }
    assert!(metrics["connection_response_time"]["max"].as_f64().unwrap() < 1.0, "{metrics}");
    assert_eq!(metrics["error_rate"]["current"], 0);
    assert_eq!(agent.get("/api/monitoring/metrics?target=pg9").status, 404);
    assert_eq!(agent.get("/api/monitoring/metrics?tarmac=pg1").status, 400);

    let health = agent.get("/api/monitoring/health");
    let body = health.json();
    assert_eq!((health.status, &body["checks"]["pg1"]["status"]), (200, &Value::from("healthy")), "{body}");
    let alerts = agent.get("/api/monitoring/alerts").json()["count"].clone();
    assert_eq!((&body["monitoring"]["running"], &body["active_alerts"]), (&true.into(), &alerts), "{body}");
    assert!(body["monitoring"]["samples_stored"].as_u64().unwrap() > 100, "{body}");
    assert!(body["monitoring"]["last_collection"].is_string(), "{body}");
    assert!(body["metrics"]["cpu_percent"]["current"].is_number(), "{body}");

    let status = agent.get("/api/facility/status/enhanced").json();
    assert_eq!(status["facility"]["active"], "pg1", "{status}");
    let target = &status["facility"]["targets"][0];
    assert_eq!((&target["rows"], &target["active"]), (&1500.into(), &true.into()), "{status}");
    let names: Vec<&str> =
        target["schemas"].as_array().unwrap().iter().filter_map(|schema| schema["name"].as_str()).collect();
    assert_eq!(names, ["archive", "public", "shop"]);
    assert_eq!(status["failover"]["enabled"], false);
    assert_eq!(status["monitoring"]["status"], "healthy", "{status}");
    assert!(status.get("predictive").is_none());
}

#[test]
fn without_a_database_its_figures_are_missing_and_the_others_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&folder.path().join("data"), "");
    let metrics = agent.wait("/api/monitoring/metrics", |metrics| metrics["cpu_percent"].is_object());
    let names: Vec<&String> = metrics.as_object().unwrap().keys().collect();
    assert_eq!(names, ["cpu_percent", "disk_percent", "error_rate", "memory_percent"]);
    let status = agent.get("/api/facility/status/enhanced").json();
    assert_eq!(
        (&status["facility"]["active"], &status["facility"]["targets"]),
        (&Value::Null, &Value::Array(Vec::new()))
    );
}
