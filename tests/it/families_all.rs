//! Every operation of the five families, as their users call it: a real agent with two real
//! PostgreSQL servers, a real S3 server and this host.
//!
//! One table says what is sent and what must come: status, fields and their kinds. Beside
//! it stand values that the host, the servers and the bucket are asked for themselves. An
//! operation of these families that the table lacks fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast::base::time::{Clock as _, SystemClock, Timestamp};
use serde_json::Value;

use super::support::agent::{Agent, Answer};
use super::support::garage::{BUCKET, Garage, SECRET};
use super::support::postgres::Postgres;

/// Method, path, body, status, and fields: `path:kind`, see [`is`]. `<name>` is filled in,
/// `{name}` as well and is a parameter of the path.
type Row = (&'static str, &'static str, &'static str, u16, &'static str);

const ALERT: &str = "id:s rule:s severity:s severity_level:s source:s type:s title:s message:s resource_type:s? \
    resource_id:s? labels:o value:n? threshold:n? state:s acknowledged:b acknowledged_by:s? acknowledged_at:t? \
    resolved_at:t? created_at:t updated_at:t";
const FACILITY_ALERTS: &str = "count:+ alerts:a+ alerts.*.id:s alerts.*.type:s alerts.*.severity:s alerts.*.message:s \
    alerts.*.metric:s? alerts.*.value:n? alerts.*.threshold:n? alerts.*.timestamp:t alerts.*.acknowledged:b";
const FAILOVER: &str = "enabled:true state:=steady active:=primary primary:=primary epoch:+ members:2 members.*.name:s \
    members.*.role:s members.*.state:s members.*.breaker:=closed members.*.lag_bytes:n members.*.last_check:t \
    last_failover:null history:a+ endpoint.postgres:s";
const COMPREHENSIVE: &str = "status:s timestamp:t version:s uptime_seconds:+ database.status:=healthy database.operations.query:+ \
    redis:null grpc:null nostr:null store.status:=healthy store.stats.file_bytes:+ host.resources.memory_total_bytes:+ \
    targets:3 targets.*.latency_ms:+ targets.*.checked_at:t targets.*.breaker.state:=closed breakers.closed:3 \
    failover.0.group.name:=default failover.0.latency_ms:null";
const METRICS: &str = "system.cpu_usage_percent:n system.memory_used_bytes:+ system.memory_total_bytes:+ \
    system.memory_usage_percent:+ system.disk_used_bytes:+ system.disk_total_bytes:+ system.disk_usage_percent:+ \
    system.uptime_seconds:+ storage.total_disks:n storage.total_repositories:1 storage.total_capacity_bytes:+ \
    storage.used_capacity_bytes:+ storage.available_bytes:+ storage.usage_percent:+ scst:null tape:null vtl:null \
    tasks.total:1 tasks.pending:0 tasks.running:0 tasks.completed:1 tasks.failed:0 tasks.avg_duration_seconds:n \
    api.total_requests:+ api.requests_per_second:+ api.error_rate:n api.average_latency_ms:+ api.p50:+ api.p95:+ api.p99:+ \
    collected_at:t";
const BREAKER: &str = "target:=s3 state:=CLOSED failure_count:0 success_count:n last_failure:null next_attempt:null \
    failure_rate:0 average_response_ms:+ transitions:a";
const CONFIG: &str = "serviceName:=s3 timeout:2000 recoveryTimeout:60000 monitoringWindow:300000 slowCallThreshold:2000 \
    slowResponseThreshold:2000 enabled:true testOperations:5 alertOnFailure:true alertOnRecovery:true";
const RULE: &str =
    "name:=load metric:=node_load1 operator:s threshold:+ duration_seconds:n message_template:s enabled:b";
const BACKUP: &str = r#"{"configs":[{"name":"backup1","db_config":{"host":"127.0.0.1","port":<standby>,"database":"postgres","user":"holdfast","password":"right-password"}}]}"#;

#[rustfmt::skip]
const TABLE: &[Row] = &[
    // 1: facility
    ("POST", "/api/failover/enable", BACKUP, 200, FAILOVER),
    ("GET", "/api/failover/status", "", 200, FAILOVER),
    ("POST", "/api/failover/test", "", 200, "would_promote:=backup1 refusal:null expected_rpo_bytes:n expected_rto_ms:+ members:2 \
        members.*.name:s members.*.reachable:true members.*.role:s members.*.lag_bytes:n members.*.grants:true \
        members.0.eligible:false members.1.eligible:true members.1.reason:null"),
    ("POST", "/test-alert", r#"{"severity":"critical","title":"Only a test"}"#, 201, "id:s severity:=CRITICAL title:s state:=firing timestamp:t"),
    ("GET", "/api/monitoring/alerts", "", 200, FACILITY_ALERTS),
    ("POST", "/api/monitoring/alerts/{id}/acknowledge", "", 200, "success:true alert_id:s acknowledged_at:t"),
    ("POST", "/api/monitoring/alerts/none/acknowledge", "", 404, "code:=not_found"),
    ("GET", "/api/monitoring/metrics", "", 200, "connection_response_time.current:+ total_entries.current:1207 \
        storage_utilization_bytes.current:+ storage_unit_sales_bytes.current:+ storage_unit_stock_bytes.current:+ \
        cpu_percent.average:n memory_percent.min:+ disk_percent.max:+ error_rate.current:0 error_rate.count:+"),
    ("GET", "/api/monitoring/health", "", 200, "status:s checks.database.status:=healthy checks.primary.latency_ms:+ \
        monitoring.running:true monitoring.uptime_seconds:+ monitoring.last_collection:t monitoring.samples_stored:+ \
        metrics.total_entries.current:1207 active_alerts:+"),
    ("GET", "/api/facility/status/enhanced", "", 200, "status:s facility.active:=primary facility.targets:2 \
        facility.targets.0.size_bytes:+ facility.targets.0.rows:1207 facility.targets.0.schemas:3 \
        monitoring.metrics.cpu_percent.count:+ failover.enabled:true failover.members:2"),
    // 2: appliance
    ("GET", "/api/v1/health", "", 200, "status:=healthy timestamp:t components:7 components.*.name:s components.*.status:=healthy \
        components.*.message:s components.*.latency_ms:n? components.*.checked_at:t"),
    ("POST", "/api/v1/monitoring/alerts", r#"{"severity":"warning","source":"shop","title":"Slow","message":"It is slow","resource_type":"queue","resource_id":"q1","labels":{"a":"b"},"expires_in":"1h"}"#, 201, ALERT),
    ("GET", "/api/v1/monitoring/alerts?severity=critical&source=test&limit=10", "", 200, "total:1 alerts:1 alerts.0.title:s"),
    ("GET", "/api/v1/monitoring/alerts?source=shop&acknowledged=false&resource_type=queue&resource_id=q1&q=slow&state=active", "", 200, "total:1 alerts:1"),
    ("GET", "/api/v1/monitoring/alerts?severity=grave", "", 400, "errors.0.pointer:=severity"),
    ("GET", "/api/v1/monitoring/alerts/{id}", "", 200, ALERT),
    ("POST", "/api/v1/monitoring/alerts/{id}/acknowledge", r#"{"comment":"seen"}"#, 200, "acknowledged:true acknowledged_by:s acknowledged_comment:=seen"),
    ("GET", "/api/v1/monitoring/alerts/<id>", "", 200, "acknowledged:true timeline:a+ timeline.*.what:s timeline.*.at:t deliveries:a"),
    ("DELETE", "/api/v1/monitoring/alerts/{id}/acknowledge", "", 200, "acknowledged:false acknowledged_by:null"),
    ("POST", "/api/v1/monitoring/alerts/{id}/resolve", "", 200, "state:=resolved resolved_at:t"),
    ("GET", "/api/v1/monitoring/metrics", "", 200, METRICS),
    // 3: gateway
    ("GET", "/health", "", 200, "status:=healthy timestamp:t version:s uptime_seconds:+"),
    ("GET", "/health/comprehensive", "", 200, COMPREHENSIVE),
    ("GET", "/metrics?format=json", "", 200, METRICS),
    ("GET", "/monitoring/stats", "", 200, "timestamp:t collection.ticks:+ collection.last_collection:t probes.targets:3 probes.probes:+ \
        probes.failed:0 alerting.rules:+ alerting.rounds:+ store.series:+ events:+ workers.running:+ workers.failing:0 api.total_requests:+"),
    ("GET", "/monitoring/alerts", "", 200, FACILITY_ALERTS),
    ("GET", "/monitoring/cache/stats", "", 200, "hits:n misses:n entries:n bytes:n evictions:n max_bytes:+"),
    ("GET", "/admin/health/comprehensive", "", 200, COMPREHENSIVE),
    ("GET", "/admin/metrics/system", "", 200, "timestamp:t system.memory_total_bytes:+ filesystems.*.size_bytes:+ disks:a \
        collectors:a+ self.rss_bytes:+ self.cpu_seconds_total:+ api.total_requests:+"),
    ("GET", "/admin/alerts", "", 200, "count:+ total:+ alerts.*.id:s alerts.*.severity:s by_severity.CRITICAL:n"),
    ("GET", "/admin/services/status", "", 200, "status:=healthy services:a+ services.*.status:=healthy workers:a+ restartable:0"),
    ("GET", "/admin/database/stats", "", 200, "store.file_bytes:+ store.fragmentation:+ store.cache.limit_bytes:+ store.cache.used_bytes:+ \
        store.cache.hits:+ store.cache.misses:n store.tables:a+ postgres:2 postgres.0.connections.total:+ postgres.0.connections.max:+ \
        postgres.0.total_bytes:+"),
    ("GET", "/admin/system/info", "", 200, "version:s pid:+ threads:+ host.hostname:s host.cpus:+ self.rss_bytes:+ data_dir:s"),
    ("GET", "/admin/dashboard/summary", "", 200, "status:=healthy realtime.memory_total_bytes:+ trends.cpu_percent:a jobs.completed:1 \
        jobs.success_rate:1 sessions.primary.total:+ cache.own.max_bytes:+ alerts.active:+ services.healthy:3"),
    ("POST", "/admin/maintenance/cleanup", r#"{"dry_run":true}"#, 200, "dry_run:true raw:0 alerts:0 bytes:n"),
    ("POST", "/admin/backup/create", "", 201, "id:s file:s bytes:+ sha256:s created_at:t"),
    ("GET", "/admin/backup", "", 200, "total:1 items:1 items.0.id:s"),
    ("POST", "/admin/backup/{id}/verify", "", 200, "valid:true problems:0 bytes:+"),
    ("POST", "/admin/backup/{id}/restore", r#"{"dry_run":true}"#, 200, "dry_run:true restarting:false plan.tables:a+"),
    ("GET", "/admin/performance/profile", "", 200, "seconds:null tasks:a+ tasks.*.polls.count:+ collectors:a+ runtime.workers:+"),
    ("POST", "/admin/performance/profile", r#"{"seconds":1}"#, 200, "seconds:1 tasks:a+ runtime.workers:+"),
    ("POST", "/admin/alerts/rules", r#"{"name":"load","metric":"node_load1","operator":">","threshold":5000,"duration":"1m","severity":"WARNING","message_template":"{{ $value }}","enabled":true}"#, 201, RULE),
    ("GET", "/admin/alerts/rules", "", 200, "rules:a+ rules.*.name:s rules.*.enabled:b"),
    ("PATCH", "/admin/alerts/rules/{load}", r#"{"threshold":6000}"#, 200, RULE),
    ("PUT", "/admin/alerts/rules/{load}", r#"{"metric":"node_load1","operator":">","threshold":7000,"severity":"HIGH","message_template":"x","enabled":false}"#, 200, RULE),
    ("DELETE", "/admin/alerts/rules/{load}", "", 204, ""),
    ("POST", "/admin/services/{cron.service}/restart", "", 403, "code:=not_allowed hint:s"),
    ("POST", "/admin/cache/clear", r#"{"pattern":"*"}"#, 200, "pattern:=* cleared:n cache.entries:0"),
    // 4: orchestrator
    ("GET", "/status", "", 200, "status:=running monitoring_active:true uptime_seconds:+ last_collection:t counts.series:+ counts.targets:3 \
        counts.targets_failing:0 counts.failover_groups:1 active_alerts.total:+ active_alerts.CRITICAL:+ active_alerts.EMERGENCY:0"),
    ("GET", "/detailed-metrics?limit=5", "", 200, "total:+ metrics:5 metrics.*.name:s metrics.*.latest:n metrics.*.count:+ metrics.*.p50:n \
        metrics.*.p95:n metrics.*.p99:n metrics.*.min:n metrics.*.max:n metrics.*.mean:n"),
    ("POST", "/test-alert", r#"{"severity":"WARNING","title":"Another test"}"#, 201, "id:s severity:=WARNING"),
    ("GET", "/alerts?severity=WARNING&source=test&state=active&limit=1", "", 200, "total:1 alerts:1 alerts.0.severity:=WARNING"),
    ("POST", "/alerts/{id}/resolve", "", 200, "id:s state:=resolved resolved_at:t"),
    ("POST", "/events/failure", r#"{"source":"shop","kind":"timeout","message":"no answer"}"#, 200, "accepted:1 rejected:0"),
    ("GET", "/events/failure", "", 200, "total:1 items.0.source:=shop items.0.at:t"),
    ("POST", "/events/operation", r#"[{"source":"shop","operation":"pay","duration_ms":120,"success":true},{"source":"","operation":"pay","duration_ms":1,"success":true}]"#, 200, "accepted:1 rejected.0.index:1 rejected.0.detail:s"),
    ("POST", "/ingest/metrics", r#"{"metrics":[{"name":"depth","type":"gauge","value":42},{"name":"wait","type":"timer","value":250,"unit":"ms","labels":{"source":"shop"}}]}"#, 200, "accepted:2 rejected:0"),
    ("GET", "/metrics?name=depth&source=custom&limit=3", "", 200, "count:1 metrics.0.value:42 metrics.0.source:=custom metrics.0.timestamp:t since:t"),
    ("GET", "/metrics?name=wait_sum&source=shop", "", 200, "metrics.0.value:0.25 metrics.0.source:=shop"),
    ("GET", "/performance", "", 200, "response_times.count:+ response_times.p50_ms:+ response_times.p95_ms:+ response_times.p99_ms:+ error_rate:0 \
        throughput.operations_per_second:+ throughput.requests_per_second:+ resource_usage.memory_percent:+ operations:a+"),
    ("GET", "/dashboard.html", "", 303, ""),
    // 5: object store
    ("POST", "/api/health/check", "", 200, "status:=healthy target:=s3 results:5 results.*.response_time_ms:+ results.*.error:null"),
    ("GET", "/api/health", "", 200, "status:=healthy target:=s3 operations.get.status:=healthy operations.put.last_latency_ms:+ \
        operations.delete.error_rate:0 operations.list.checked_at:t operations.head.error:null circuit_breaker.state:=CLOSED"),
    ("GET", "/api/health/history?limit=50&offset=0", "", 200, "total:+ limit:50 offset:0 history.*.operation:s history.*.status:=healthy \
        history.*.response_time_ms:+ history.*.error:null history.*.checked_at:t history.0.operation:=delete"),
    ("GET", "/api/health/metrics?hours=24", "", 200, "metrics.get.total:+ metrics.put.success:+ metrics.delete.failed:0 metrics.list.error_rate:0 \
        metrics.head.avg:+ metrics.get.p50:+ metrics.get.p95:+ metrics.get.p99:+ metrics.get.slow:0"),
    ("GET", "/api/health/circuit-breaker", "", 200, BREAKER),
    ("POST", "/api/health/circuit-breaker/reset", "", 200, BREAKER),
    ("GET", "/api/health/alerts", "", 200, "count:0 alerts:0"),
    ("POST", "/api/health/alerts/{none}/resolve", r#"{"notes":"done"}"#, 404, "code:=not_found"),
    ("GET", "/api/health/config", "", 200, CONFIG),
    ("PUT", "/api/health/config", r#"{"checkInterval": 15000, "failureThreshold": 5}"#, 200, CONFIG),
    ("GET", "/api/health/config", "", 200, "checkInterval:15000 failureThreshold:5"),
    ("POST", "/api/health/monitoring/stop", "", 200, "target:=s3 running:false"),
    ("POST", "/api/health/monitoring/start", "", 200, "target:=s3 running:true"),
    ("POST", "/api/failover/disable", "", 200, "enabled:false state:=disabled active:=primary members:2"),
];

/// Operations of these families that are tried elsewhere.
const ELSEWHERE: [&str; 1] = ["GET /api/v1/monitoring/events"]; // It does not end: see `live`.

/// Where the families are in the document.
const FAMILIES: [&str; 24] = [
    "/admin/",
    "/alerts",
    "/api/facility/",
    "/api/failover/",
    "/api/health",
    "/api/monitoring/",
    "/api/v1/health",
    "/api/v1/monitoring/alerts",
    "/api/v1/monitoring/events",
    "/api/v1/monitoring/metrics",
    "/dashboard.html",
    "/detailed-metrics",
    "/events/",
    "/health",
    "/ingest/",
    "/metrics",
    "/monitoring/",
    "/patterns",
    "/performance",
    "/predictive",
    "/api/predictive",
    "/status",
    "/test-alert",
    "/api/v1/predictive",
];

/// What stands at `path`: several with `*`.
fn at<'a>(body: &'a Value, path: &str) -> Vec<Option<&'a Value>> {
    path.split('.').fold(vec![Some(body)], |found, part| {
        let step = |value: &'a Value| match (value, part) {
            (Value::Array(all), "*") => all.iter().map(Some).collect(),
            (Value::Array(all), part) => vec![part.parse().ok().and_then(|index: usize| all.get(index))],
            (value, part) => vec![value.get(part)],
        };
        found.into_iter().flat_map(|value| value.map_or_else(|| vec![None], step)).collect()
    })
}

fn is_recent(text: &str) -> bool {
    let now = SystemClock::new().now();
    let near = Duration::from_secs(600);
    Timestamp::parse(text).is_some_and(|at| now.since(at) < near && at.since(now) < near)
}

/// `s` text, `t` a time of the last minutes, `n` a number, `+` one above zero, `b` a truth
/// value, `o` an object, `a` a list, `a+` one with something in it; with `?` null as well.
/// `=x` is that text; a number is that number, or a list of so many.
fn is(value: &Value, kind: &str) -> bool {
    if let Some(kind) = kind.strip_suffix('?') {
        return value.is_null() || is(value, kind);
    }
    if let Some(text) = kind.strip_prefix('=') {
        return value == text;
    }
    let list = value.as_array().map(Vec::len);
    match kind {
        "s" => value.as_str().is_some_and(|text| !text.is_empty()),
        "t" => value.as_str().is_some_and(is_recent),
        "n" => value.is_number(),
        "+" => value.as_f64().is_some_and(|number| number > 0.0),
        "b" => value.is_boolean(),
        "o" => value.is_object(),
        "a" => value.is_array(),
        "a+" => list > Some(0),
        exact => match (serde_json::from_str::<Value>(exact).unwrap(), list) {
            (Value::Number(wanted), Some(items)) => wanted.as_u64() == Some(items as u64),
            (Value::Number(wanted), None) => value.as_f64() == wanted.as_f64(),
            (wanted, _) => *value == wanted,
        },
    }
}

fn send(agent: &Agent, method: &str, path: &str, body: &str, token: bool) -> Answer {
    let authorization = format!("Authorization: Bearer {}", agent.token());
    let mut headers = if token { vec![authorization.as_str()] } else { Vec::new() };
    if !body.is_empty() {
        headers.push("Content-Type: application/json");
    }
    agent.call(method, path, &headers, body).unwrap()
}

/// The path as it is sent: `{id}` and `<id>` are the last id that was answered.
fn filled(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in known {
        text = text.replace(&format!("{{{name}}}"), value).replace(&format!("<{name}>"), value);
    }
    text.replace(['{', '}'], "")
}

/// Waits until the standby was seen to stream.
fn follows(agent: &Agent) {
    agent.wait("/api/v1/failover/groups", |found| found["items"][0]["would_promote"] == "backup1");
    agent.wait("/api/v1/health", |found| found["status"] == "healthy");
}

/// Walks the table and returns what was not as it says.
fn walk(agent: &Agent, standby: u16) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut known = BTreeMap::from([(String::from("standby"), standby.to_string())]);
    for (method, path, body, status, fields) in TABLE {
        let body = body.replace("<standby>", &known["standby"]);
        let path = filled(path, &known);
        // Only the first word that a user may meet: without a token nothing changes.
        if *method != "GET" || path.starts_with("/admin/") {
            let open = send(agent, method, &path, &body, false).status;
            if open != 401 {
                wrong.push(format!("{method} {path}: {open} without a token"));
            }
        }
        if path.contains("metrics?name=") {
            agent.wait(&path, |found| found["count"].as_u64() >= Some(1));
        }
        let answer = send(agent, method, &path, &body, true);
        if answer.status != *status {
            wrong.push(format!("{method} {path}: {}, expected {status}: {}", answer.status, answer.body));
            continue;
        }
        if path == "/api/failover/enable" {
            follows(agent);
        }
        if fields.is_empty() {
            continue;
        }
        let json = answer.json();
        for field in fields.split_whitespace() {
            let (place, kind) = field.split_once(':').unwrap();
            let found = at(&json, place);
            let bad = found.into_iter().find(|value| value.is_none_or(|value| !is(value, kind)));
            if let Some(bad) = bad {
                let bad = bad.map_or_else(|| String::from("missing"), Value::to_string);
                wrong.push(format!("{method} {path}: {place} is {bad}, expected {kind}"));
            }
        }
        if let (201, Some(id)) = (status, json["id"].as_str()) {
            known.insert(String::from("id"), id.to_owned());
        }
    }
    wrong
}

fn all_are_walked() {
    let document: Value =
        serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"))).unwrap();
    let shape = |path: &str| {
        let path = path.split('?').next().unwrap_or_default();
        let parts = path.split('/').map(|part| if part.starts_with(['{', '<']) { "{}" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    let walked: BTreeSet<String> =
        TABLE.iter().map(|(method, path, ..)| format!("{method} {}", shape(path))).collect();
    for (path, item) in document["paths"].as_object().unwrap() {
        let one = FAMILIES.iter().any(|family| {
            let rest = path.strip_prefix(family);
            rest.is_some_and(|rest| family.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
        });
        let methods = item.as_object().unwrap().keys().filter(|_| one);
        for method in methods.map(|method| method.to_uppercase()) {
            let operation = format!("{method} {}", shape(path));
            let known = walked.contains(&operation) || ELSEWHERE.contains(&operation.as_str());
            assert!(known, "{operation} is not tried");
        }
    }
}

fn proc_kib(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What the host and the servers say themselves.
fn values_are_those_of_host_and_servers(agent: &Agent, primary: &Postgres) {
    let metrics = agent.get("/api/v1/monitoring/metrics").json();
    let number = |place: &str| at(&metrics, place)[0].and_then(Value::as_f64).unwrap();
    assert_eq!(metrics["system"]["memory_total_bytes"], proc_kib("MemTotal:") * 1024);
    let uptime: f64 =
        std::fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((number("system.uptime_seconds") - uptime).abs() < 10.0, "{metrics}");
    let (used, available) = (number("storage.used_capacity_bytes"), number("storage.available_bytes"));
    let share = 100.0 * used / (used + available);
    assert!((number("storage.usage_percent") - share).abs() < 0.01, "{metrics}");

    let sizes = agent.get_as_admin("/admin/database/stats").json();
    let size: u64 = primary.psql("select pg_database_size('postgres')").parse().unwrap();
    let shown = sizes["postgres"][0]["sizes"]["postgres"].as_u64().unwrap();
    assert!(shown.abs_diff(size) < 1 << 20, "{shown} and {size}");
    let metrics = agent.get("/api/monitoring/metrics").json();
    let asked = primary.psql("select pg_total_relation_size('sales.orders')").parse::<f64>().unwrap();
    assert_eq!(metrics["storage_unit_sales_bytes"]["current"], asked, "{metrics}");

    let targets = agent.get("/health/comprehensive").json();
    let bucket = at(&targets, "targets.*.address").into_iter().flatten();
    assert!(bucket.into_iter().any(|address| address.as_str().unwrap().ends_with(BUCKET)), "{targets}");
    let text = agent.get("/metrics");
    assert!(text.head.to_lowercase().contains("content-type: text/plain"), "{}", text.head);
    assert!(text.body.contains("node_memory_MemTotal_bytes "), "no series of the host");
}

/// A dry run says what is so now, not what was so when somebody looked last.
fn a_dry_run_asks_the_servers(agent: &Agent, primary: &Postgres, standby: &Postgres) {
    const CALL: &str = "execute on function pg_promote(boolean, integer)";
    let enable = BACKUP.replace("<standby>", &standby.port.to_string());
    assert_eq!(agent.post("/api/failover/enable", "application/json", &enable).status, 200);
    follows(agent);
    for may in [false, true] {
        let word =
            if may { format!("grant {CALL} to holdfast") } else { format!("revoke {CALL} from holdfast") };
        primary.psql(&word);
        let seen = "has_function_privilege('holdfast', 'pg_promote(boolean, integer)', 'execute')";
        standby.wait_until(&format!("{seen} = {may}"));
        let report = agent.post("/api/failover/test", "", "").json();
        let members = report["members"].as_array().unwrap();
        assert!(members.iter().all(|member| member["grants"] == may), "{report}");
        let chosen = if may { Value::from("backup1") } else { Value::Null };
        assert_eq!((&report["would_promote"], report["refusal"].is_null()), (&chosen, may), "{report}");
        assert_eq!(members[1]["eligible"], may, "{report}");
        let lacks = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|found| found["code"] == "promote" && found["sql"][1] == "-- in the database postgres");
        assert_eq!(lacks, !may, "{report}");
    }
}

#[test]
fn every_operation_answers_in_its_shape_and_with_values_of_its_own() {
    all_are_walked();
    let garage = Garage::start();
    let primary = Postgres::member("");
    primary.psql(
        "create schema sales; create schema stock; create table sales.orders as select n from generate_series(1, 1200) n; \
         create table stock.items as select n from generate_series(1, 7) n; analyze",
    );
    let standby = Postgres::follower(&primary, "backup1", "");
    let config = format!(
        "{}[[target.postgres]]\nname = \"primary\"\nhost = \"127.0.0.1\"\nport = {}\npassword = \"right-password\"\n\
         interval = \"1s\"\n",
        garage
            .section(&format!("bucket = \"{BUCKET}\"\nsecret_access_key = \"{SECRET}\"\ninterval = \"2s\"")),
        primary.port
    );
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&folder.path().join("data"), &config);
    agent.wait("/api/monitoring/metrics", |found| found["total_entries"].is_object());
    agent.wait("/api/health", |found| found["operations"]["delete"]["status"] == "healthy");
    agent.wait("/api/v1/monitoring/metrics", |found| found["system"]["cpu_usage_percent"].is_number());
    let task = agent.post("/api/v1/tasks", "application/json", r#"{"name":"nightly"}"#).json();
    for step in ["start", "complete"] {
        let path = format!("/api/v1/tasks/{}/{step}", task["id"].as_str().unwrap());
        assert_eq!(agent.post(&path, "application/json", "").status, 200);
    }
    let wrong = walk(&agent, standby.port);
    assert!(wrong.is_empty(), "{wrong:#?}");
    values_are_those_of_host_and_servers(&agent, &primary);
    a_dry_run_asks_the_servers(&agent, &primary, &standby);
}
