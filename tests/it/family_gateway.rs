//! The gateway family and administration: a real agent over a real PostgreSQL server.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use super::family_facility::database;
use super::support::agent::{Agent, Answer};
use super::support::free_port;

fn agent(folder: &tempfile::TempDir, section: &str) -> Agent {
    let agent = Agent::start(&folder.path().join("data"), section);
    agent.wait("/api/v1/targets", |targets| {
        targets["items"].as_array().unwrap().iter().all(|one| one["class"] == "ok")
    });
    agent
}

fn send(agent: &Agent, method: &str, path: &str, body: &Value) -> Answer {
    let authorization = format!("Authorization: Bearer {}", agent.token());
    agent.call(method, path, &[&authorization, "Content-Type: application/json"], &body.to_string()).unwrap()
}

#[test]
fn an_administrator_sees_everything_and_nobody_else_does() {
    let (_server, section) = database();
    let folder = tempfile::tempdir().unwrap();
    let agent = agent(&folder, &section);
    let task = agent.post("/api/v1/tasks", "application/json", r#"{"name":"nightly"}"#).json();
    for step in ["start", "complete"] {
        let path = format!("/api/v1/tasks/{}/{step}", task["id"].as_str().unwrap());
        assert_eq!(agent.post(&path, "application/json", "").status, 200);
    }

    let stats = agent.wait("/monitoring/stats", |stats| stats["probes"]["probes"].as_u64() >= Some(2));
    // A probe may miss its second on a machine that stalls: the share says so, and of how many.
    let (probes, failed) = (stats["probes"]["probes"].as_f64().unwrap(), &stats["probes"]["failed"]);
    let share = failed.as_f64().unwrap() / probes;
    assert_eq!(
        (&stats["probes"]["targets"], &stats["probes"]["error_rate"]),
        (&json!(1), &json!(share)),
        "{stats}"
    );
    assert!(share < 1.0, "{stats} {}", agent.get("/api/v1/targets/pg1/history").body);
    assert!(stats["collection"]["ticks"].as_u64() > Some(0), "{stats}");
    assert!(stats["workers"]["running"].as_u64() > Some(5) && stats["workers"]["failing"] == 0, "{stats}");
    assert!(
        stats["alerting"]["rules"].as_u64() > Some(30) && stats["store"]["file_bytes"].as_u64() > Some(0)
    );

    for path in [
        "/admin/health/comprehensive",
        "/admin/metrics/system",
        "/admin/alerts",
        "/admin/services/status",
        "/admin/system/info",
        "/admin/dashboard/summary",
        "/admin/alerts/rules",
        "/admin/performance/profile",
    ] {
        assert_eq!(agent.get(path).status, 401, "{path}");
        let answer = agent.get_as_admin(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    let key = format!("X-Admin-Key: {}", agent.token());
    assert_eq!(agent.call("GET", "/admin/system/info", &[&key], "").unwrap().status, 200);

    let health = agent.get_as_admin("/admin/health/comprehensive").json();
    assert_eq!(health["database"]["status"], "healthy", "{health}");
    let metrics = agent.get_as_admin("/admin/metrics/system").json();
    assert!(metrics["system"]["memory_total_bytes"].as_u64() > Some(1 << 20), "{metrics}");
    assert!(!metrics["filesystems"].as_array().unwrap().is_empty(), "{metrics}");
    let info = agent.get_as_admin("/admin/system/info").json();
    assert_eq!(
        (&info["pid"], &info["version"]),
        (&json!(agent.pid()), &json!(env!("CARGO_PKG_VERSION"))),
        "{info}"
    );
    let services = agent.get_as_admin("/admin/services/status").json();
    let named = |name: &str| {
        let all = services["services"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name} in {services}")).clone()
    };
    assert_eq!((&named("pg1")["kind"], &named("pg1")["status"]), (&json!("postgres"), &json!("healthy")));
    assert_eq!(named("sampler")["status"], "healthy");
    dashboard(&agent);
    profile(&agent);
    pool(&agent);
}

fn pool(agent: &Agent) {
    let stats = agent.get_as_admin("/admin/database/stats").json();
    let pool = &stats["postgres"][0]["pool"];
    assert_eq!((&pool["kept"], &pool["failed"], &pool["last_error"]), (&json!(1), &json!(0), &json!(null)));
    assert!(pool["opened"].as_u64() > Some(0) && pool["kept_since"].is_string(), "{pool}");
    assert!(pool["opening_last_ms"].as_f64() <= pool["opening_longest_ms"].as_f64(), "{pool}");
    for (name, least) in [
        ("holdfast_postgres_connections_kept", 1.0),
        ("holdfast_postgres_connections_opened_total", 1.0),
        ("holdfast_postgres_connections_failed_total", 0.0),
        ("holdfast_postgres_connection_age_seconds", 0.0),
    ] {
        let (_, value) = agent.latest(name).unwrap_or_else(|| panic!("no {name}"));
        assert!(value >= least, "{name} {value}");
    }
}

#[test]
fn connections_that_do_not_open_are_counted_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let section = format!(
        "[[target.postgres]]\nname = \"gone\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"nobody\"\ninterval = \"1s\"\n",
        free_port()
    );
    let agent = Agent::start(&folder.path().join("data"), &section);
    agent.wait("/api/v1/targets/gone", |target| target["connections"]["failed"].as_u64() > Some(1));
    let stats = agent.get_as_admin("/admin/database/stats").json();
    let pool = &stats["postgres"][0]["pool"];
    assert_eq!((&pool["kept"], &pool["opened"], &pool["kept_since"]), (&json!(0), &json!(0), &json!(null)));
    assert_eq!(pool["last_error"]["code"], "refused", "{pool}");
    assert!(pool["last_error"]["detail"].as_str().unwrap().contains("127.0.0.1"), "{pool}");
}

fn dashboard(agent: &Agent) {
    let summary = agent.get_as_admin("/admin/dashboard/summary").json();
    assert_eq!(
        (&summary["jobs"]["completed"], &summary["jobs"]["success_rate"]),
        (&json!(1), &json!(1.0)),
        "{summary}"
    );
    assert!(summary["sessions"]["pg1"]["total"].as_u64() > Some(0), "{summary}");
    assert!(summary["sessions"]["pg1"]["max_connections"].as_u64() > Some(10), "{summary}");
    assert_eq!(summary["services"]["healthy"], 1, "{summary}");
    assert!(summary["realtime"]["memory_usage_percent"].is_number(), "{summary}");
    assert!(summary["trends"]["cpu_percent"].is_array() && summary["cache"]["own"]["max_bytes"].is_u64());
    assert_eq!(summary["alerts"]["active"], agent.get_as_admin("/admin/alerts").json()["total"]);
}

fn profile(agent: &Agent) {
    let all = agent.get_as_admin("/admin/performance/profile").json();
    let polls = |name: &str| {
        let tasks = all["tasks"].as_array().unwrap();
        tasks.iter().find(|task| task["name"] == name).unwrap_or_else(|| panic!("{name}"))["polls"]["count"]
            .clone()
    };
    assert!(polls("sampler").as_u64() > Some(1) && polls("alerting").as_u64() > Some(1), "{all}");
    let meminfo = all["collectors"].as_array().unwrap().iter().find(|one| one["name"] == "meminfo").unwrap();
    let counted: u64 =
        meminfo["runs"]["buckets"].as_array().unwrap().iter().filter_map(|one| one["count"].as_u64()).sum();
    assert!(counted > 0 && meminfo["runs"]["count"] == counted, "{meminfo}");
    assert!(all["runtime"]["workers"].as_u64() > Some(0) && !all["threads"].as_array().unwrap().is_empty());
    let timed = agent.get_as_admin("/admin/performance/profile?seconds=1").json();
    assert_eq!(timed["seconds"], 1);
    assert!(timed["collectors"][0]["runs"]["count"].as_u64() < Some(5), "{timed}");
    assert_eq!(agent.get_as_admin("/admin/performance/profile?seconds=61").status, 400);
    let stacks = timed["cpu"].as_array().unwrap();
    assert!(stacks.iter().any(|one| one["stack"].as_str().unwrap().contains(";sampler")), "{timed}");
    assert!(stacks.iter().any(|one| one["stack"].as_str().unwrap().contains("collectors;")), "{timed}");
    let sum: f64 = stacks.iter().map(|one| one["cpu_seconds"].as_f64().unwrap()).sum();
    let threads = timed["threads"].as_array().unwrap();
    let spent: f64 = threads.iter().map(|one| one["cpu_seconds"].as_f64().unwrap()).sum();
    assert!(sum > 0.0 && (sum - spent).abs() < 0.05 + spent / 2.0, "{sum} of {spent}");
    assert!(timed["runtime"]["threads"][0]["parks"].as_u64() > Some(0), "{timed}");
}

#[test]
fn a_flame_graph_shows_who_asked_and_a_client_that_goes_ends_its_profile() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&folder.path().join("data"), "");
    let path = "/admin/performance/profile?format=svg&seconds=";
    let ask = |seconds: u32| {
        let mut stream = std::net::TcpStream::connect(agent.address).unwrap();
        let head = format!("GET {path}{seconds} HTTP/1.1\r\nHost: {}\r\n", agent.address);
        write!(stream, "{head}Authorization: Bearer {}\r\nConnection: close\r\n\r\n", agent.token()).unwrap();
        stream
    };
    let is_busy = || agent.post("/admin/performance/profile?seconds=1", "application/json", "").status == 503;
    // The first would take a minute; its client does not wait.
    let mut first = ask(60);
    while !is_busy() {
        first = ask(60);
    }
    drop(first);
    assert!((0..100_000).any(|_| !is_busy()), "the profile goes on for nobody");

    let mut second = ask(2);
    for _ in 0..300 {
        assert_eq!(agent.get("/api/v1/system").status, 200);
    }
    let mut answer = String::new();
    second.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: image/svg+xml"), "{head}");
    assert!(body.contains("<title>connections: ") && body.contains("<title>GET /api/v1/system: "), "{body}");
    assert!(body.contains("not sampled") && body.trim_end().ends_with("</svg>"), "{body}");
    assert_eq!(agent.call("GET", &format!("{path}1"), &[], "").unwrap().status, 401);
}

#[test]
fn an_agent_over_its_memory_gives_back_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&folder.path().join("data"), "[memory]\nlimit = \"8MiB\"\n");
    let health = agent.wait("/api/v1/health", |health| health.to_string().contains("nothing is cached"));
    let part = health["components"].as_array().unwrap().iter().find(|part| part["name"] == "memory").unwrap();
    assert!(
        part["status"] == "degraded" && part["message"].as_str().unwrap().contains("of 8.0 MiB"),
        "{part}"
    );
    let stats = agent.get("/monitoring/stats").json();
    let memory = &stats["memory"];
    assert_eq!((&memory["pressure"], &memory["limits"][0]["scope"]), (&json!("critical"), &json!("process")));
    assert!(memory["resident_bytes"].as_u64() > Some(8 << 20), "{memory}");
    assert_eq!((&stats["cache"]["max_bytes"], &stats["cache"]["entries"]), (&json!(0), &json!(0)));
    assert_eq!(agent.latest("holdfast_memory_pressure").unwrap().1, 3.0);
    // Queries are still answered, one after the other.
    assert!(agent.latest("node_load1").is_some());
    let summary = agent.get_as_admin("/admin/dashboard/summary").json();
    assert_eq!(summary["memory"]["pressure"], "critical", "{summary}");

    // Switched off while it runs, everything is as it was.
    let headers = [
        &*format!("Authorization: Bearer {}", agent.token()),
        "If-Match: *",
        "Content-Type: application/json",
    ];
    let patch = agent.call("PATCH", "/api/v1/config", &headers, "{\"memory\": {\"budget\": false}}").unwrap();
    assert_eq!(patch.status, 200, "{patch:?}");
    let stats = agent.wait("/monitoring/stats", |stats| stats["memory"]["pressure"] == "none");
    assert_eq!((&stats["memory"]["enabled"], &stats["cache"]["max_bytes"]), (&json!(false), &json!(4 << 20)));
}

#[test]
fn rules_are_made_changed_and_removed_by_threshold_and_duration() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&folder.path().join("data"), "");
    let body = json!({
        "name": "queue_long", "metric": "queue_length", "threshold": 100, "severity": "HIGH", "duration": 300,
        "message_template": "{{ $value }} jobs wait",
    });
    let made = send(&agent, "POST", "/admin/alerts/rules", &body);
    let rule = made.json();
    assert_eq!(made.status, 201, "{rule}");
    assert_eq!(
        (&rule["threshold"], &rule["severity"], &rule["operator"]),
        (&json!(100.0), &json!("HIGH"), &json!(">=")),
        "{rule}"
    );
    assert_eq!((&rule["duration"], &rule["duration_seconds"]), (&json!("5m"), &json!(300.0)), "{rule}");
    assert_eq!((&rule["metric"], &rule["enabled"]), (&json!("queue_length"), &json!(true)), "{rule}");
    assert_eq!(send(&agent, "POST", "/admin/alerts/rules", &body).status, 409);

    let path = "/admin/alerts/rules/queue_long";
    let changed = send(&agent, "PATCH", path, &json!({"threshold": 150, "duration": "1m"})).json();
    assert_eq!((&changed["threshold"], &changed["duration"]), (&json!(150.0), &json!("1m")), "{changed}");
    assert_eq!(changed["message_template"], "{{ $value }} jobs wait");
    let moved = send(&agent, "PATCH", path, &json!({"severity": "CRITICAL", "enabled": false})).json();
    assert_eq!(
        (&moved["severity"], &moved["threshold"], &moved["enabled"]),
        (&json!("CRITICAL"), &json!(150.0), &json!(false)),
        "{moved}"
    );
    let put =
        json!({"expression": "queue_length", "threshold": 7, "severity": "LOW", "message_template": "x"});
    let replaced = send(&agent, "PUT", path, &put).json();
    assert_eq!(
        (&replaced["threshold"], &replaced["duration"], &replaced["enabled"]),
        (&json!(7.0), &json!("0s"), &json!(true)),
        "{replaced}"
    );

    let capacity = "/admin/alerts/rules/storage_capacity";
    let several = send(&agent, "PATCH", capacity, &json!({"threshold": 90}));
    assert_eq!((several.status, &several.json()["errors"][0]["pointer"]), (422, &json!("/severity")));
    let shipped = send(&agent, "PATCH", capacity, &json!({"threshold": 97, "severity": "CRITICAL"})).json();
    assert_eq!(shipped["levels"][1]["threshold"], 97.0, "{shipped}");
    let wrong = send(&agent, "PATCH", capacity, &json!({"operator": "~"}));
    assert_eq!(
        (wrong.status, &wrong.json()["errors"][0]["pointer"]),
        (422, &json!("/operator")),
        "{}",
        wrong.body
    );
    assert_eq!(send(&agent, "PATCH", path, &json!({"treshold": 1})).status, 400);

    assert_eq!(send(&agent, "DELETE", path, &json!({})).status, 204);
    assert_eq!(send(&agent, "DELETE", path, &json!({})).status, 404);
    assert_eq!(send(&agent, "DELETE", capacity, &json!({})).status, 204);
    assert_eq!(send(&agent, "DELETE", capacity, &json!({})).status, 409);
    let list = agent.get_as_admin("/admin/alerts/rules").json();
    let all = list["rules"].as_array().unwrap();
    assert!(all.len() > 30 && !all.iter().any(|rule| rule["name"] == "queue_long"), "{list}");
}

#[test]
fn a_unit_is_restarted_only_where_it_is_listed_and_both_are_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[services]\nallow_restart = [\"holdfast-no-such.service\"]\n";
    let agent = Agent::start(&folder.path().join("data"), config);
    let refused = send(&agent, "POST", "/admin/services/ssh.service/restart", &json!({}));
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("not_allowed")), "{}", refused.body);
    assert!(refused.json()["hint"].as_str().unwrap().contains("services.allow_restart"));
    let option = send(&agent, "POST", "/admin/services/--now/restart", &json!({}));
    assert_eq!(option.status, 403);
    // No machine has it, with systemd or without.
    let failed = send(&agent, "POST", "/admin/services/holdfast-no-such.service/restart", &json!({}));
    assert_eq!((failed.status, &failed.json()["code"]), (503, &json!("restart_failed")), "{}", failed.body);
    let rows = agent.get_as_admin("/api/v1/audit").json();
    let details: Vec<&str> = rows["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["action"] == "service.restart")
        .map(|row| row["detail"].as_str().unwrap())
        .collect();
    assert_eq!(details.len(), 4, "{rows}");
    assert!(details[0].starts_with("failed: ") && details[1] == "asked for", "{details:?}");
    assert!(details[2].starts_with("refused") && details[3].starts_with("refused"), "{details:?}");
    assert_eq!(agent.call("POST", "/admin/services/ssh.service/restart", &[], "").unwrap().status, 401);
}

#[test]
fn answers_to_ranges_are_kept_counted_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&folder.path().join("data"), "");
    let range = |query: &str| {
        let path =
            format!("/prometheus/api/v1/query_range?query={query}&start=1700000040&end=1700003640&step=60");
        agent.get(&path)
    };
    let first = range("node_load1");
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(range("node_load1").body, first.body);
    range("node_load5");
    agent.get("/api/v1/query_range?query=node_load1&start=1700000040&end=1700003640&step=60");
    // Its ends lie beside its step.
    agent.get("/prometheus/api/v1/query_range?query=node_load1&start=1700000041&end=1700003641&step=60");
    let stats = agent.get("/monitoring/cache/stats").json();
    assert_eq!(
        (&stats["enabled"], &stats["hits"], &stats["misses"]),
        (&json!(true), &json!(1), &json!(3)),
        "{stats}"
    );
    assert_eq!((&stats["entries"], &stats["evictions"]), (&json!(3), &json!(0)), "{stats}");
    assert!(stats["bytes"].as_u64() > Some(0), "{stats}");
    let cleared = send(&agent, "POST", "/admin/cache/clear", &json!({"pattern": "node_load1"})).json();
    assert_eq!((&cleared["cleared"], &cleared["cache"]["entries"]), (&json!(2), &json!(1)), "{cleared}");
    let all = agent.post("/admin/cache/clear", "application/json", "").json();
    assert_eq!((&all["cleared"], &all["pattern"]), (&json!(1), &json!("*")), "{all}");
    assert_eq!(agent.call("POST", "/admin/cache/clear", &[], "").unwrap().status, 401);
}

#[test]
fn administration_can_be_switched_off_and_the_cache_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Agent::launch_with(&folder.path().join("data"), "", |command| {
        command.env("ADMIN_ENABLED", "false").env("CACHE_ENABLED", "false").env("CACHE_DEFAULT_TTL", "60");
    });
    agent.wait_ready();
    let off = agent.get_as_admin("/admin/system/info");
    assert!(off.status == 404 && off.json()["hint"].as_str().unwrap().contains("admin.enabled"), "{off:?}");
    let stats = agent.get("/monitoring/cache/stats").json();
    assert_eq!((&stats["enabled"], &stats["ttl_seconds"]), (&json!(false), &json!(60.0)), "{stats}");
}

#[test]
fn storage_is_listed_and_what_the_host_lacks_is_absent() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&folder.path().join("data"), "");
    let mounted = agent.wait("/api/v1/storage/filesystems", |list| list["total"].as_u64() > Some(0));
    let one = &mounted["items"][0];
    assert_eq!(mounted["present"], true);
    assert!(one["mountpoint"].is_string() && one["size_bytes"].as_u64() > Some(0), "{mounted}");
    assert!((0.0..=100.0).contains(&one["usage_percent"].as_f64().unwrap()), "{mounted}");
    let disks = agent.get("/api/v1/storage/disks").json();
    assert_eq!(disks["present"], disks["total"].as_u64() > Some(0), "{disks}");
    for kind in ["scst", "tape", "vtl", "ups"] {
        let list = agent.get(&format!("/api/v1/storage/{kind}")).json();
        assert_eq!(list, json!({"present": false, "items": [], "total": 0, "next": null}), "{kind}");
    }
    assert!(agent.get("/api/v1/storage/arrays").json()["items"].is_array());
    assert_eq!(agent.get("/api/v1/storage/filesystems?limit=0").status, 400);
}
