//! The commands as a user runs them. What talks to the agent talks here to a
//! server that gives the documented answers.

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::support::command::{Home, Ran};

/// Requests as `METHOD path`, with the authorization header and the body.
type Seen = Arc<Mutex<Vec<(String, String, String)>>>;
type Answer = fn(&str) -> (u16, Value);

struct Agent {
    seen: Seen,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

enum Listener {
    Socket(tokio::net::UnixListener),
    Port(tokio::net::TcpListener),
}

impl Agent {
    fn on_socket(home: &Home, answer: Answer) -> Self {
        std::fs::create_dir_all(home.join("data")).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(home.join("data/holdfast.sock")).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self::start(answer, move || Listener::Socket(tokio::net::UnixListener::from_std(listener).unwrap()))
    }

    fn on_port(answer: Answer) -> (Self, u16) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        (
            Self::start(answer, move || Listener::Port(tokio::net::TcpListener::from_std(listener).unwrap())),
            port,
        )
    }

    fn start(answer: Answer, listener: impl FnOnce() -> Listener + Send + 'static) -> Self {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let seen = Seen::default();
        let requests = seen.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = listener();
                loop {
                    tokio::select! {
                        _ = &mut stopped => return,
                        () = serve_one(&listener, answer, &requests) => {}
                    }
                }
            });
        });
        Self { seen, stop: Some(stop), thread: Some(thread) }
    }

    fn seen(&self) -> Vec<(String, String, String)> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve_one(listener: &Listener, answer: Answer, seen: &Seen) {
    let service = service_fn(|request: Request<Incoming>| async move {
        let path = request.uri().path_and_query().unwrap().to_string();
        let line = format!("{} {path}", request.method());
        let token = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        seen.lock().unwrap().push((line.clone(), token.unwrap_or_default(), body));
        let (status, body) = answer(&line);
        let body = match body {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Response::builder().status(status).body(Full::new(Bytes::from(body)))
    });
    let http = hyper::server::conn::http1::Builder::new();
    let _ = match listener {
        Listener::Socket(socket) => {
            http.serve_connection(TokioIo::new(socket.accept().await.unwrap().0), service).await
        }
        Listener::Port(port) => {
            http.serve_connection(TokioIo::new(port.accept().await.unwrap().0), service).await
        }
    };
}

fn target() -> Value {
    json!({"name": "pg1", "kind": "postgres", "address": "127.0.0.1:5432", "interval_ms": 1000, "enabled": true, "breaker": "open",
        "class": "hard",
        "since": "2026-01-31T08:00:00.000Z", "probes": 10, "failed": 4, "error_share": 0.4, "p50_ms": 1.5, "p95_ms": 2.25,
        "last": probe()})
}

fn probe() -> Value {
    json!({"target": "pg1", "kind": "postgres", "at": "2026-01-31T08:00:00.000Z", "class": "hard", "latency_ms": 3.5,
        "operations": [{"operation": "connect", "class": "hard", "code": "refused", "detail": "connection refused", "latency_ms": 3.5}]})
}

/// An agent that is degraded, in the shapes of the API.
fn agent(line: &str) -> (u16, Value) {
    match line {
        "GET /api/v1/health" => (
            200,
            json!({"status": "degraded", "timestamp": "2026-01-31T08:00:00.000Z",
            "components": [{"name": "store", "status": "healthy", "message": ""},
                {"name": "pg1", "status": "unhealthy", "message": "connect: connection refused"}]}),
        ),
        "GET /api/v1/system" => (
            200,
            json!({"version": "0.1.0", "uptime_seconds": 7500.0,
            "host": {"hostname": "nas1", "os": "Debian 12", "cpus": 4},
            "self": {"cpu_percent": 0.4, "rss_bytes": 18_000_000},
            "store": {"used_bytes": 19_293_798, "cap_bytes": 536_870_912, "series": 812, "samples_pending": 5}}),
        ),
        "GET /api/v1/monitoring/metrics" => (
            200,
            json!({"system": {"cpu_usage_percent": 12.3, "memory_usage_percent": 40.0,
            "memory_total_bytes": 8_589_934_592u64, "disk_usage_percent": 70.0, "disk_total_bytes": null, "uptime_seconds": 90_000.0}}),
        ),
        "GET /api/v1/targets?limit=1000" => (200, json!({"items": [target()], "total": 1, "next": null})),
        "POST /api/v1/targets/pg1/probe" => (200, probe()),
        "GET /api/v1/query?query=node_load1" => (
            200,
            json!({"time": "2026-01-31T08:00:00.000Z",
            "series": [{"query": 0, "name": "node_load1", "labels": {}, "at": "2026-01-31T07:59:59.000Z", "value": 0.5}]}),
        ),
        "GET /api/v1/query_range?query=node_load1&start=3600000&end=7200000&step=1m" => (
            200,
            json!({"start_ms": 3_600_000, "step_ms": 60_000,
            "series": [{"query": 0, "name": "node_load1", "labels": {}, "values": [0.5, null, 0.75]}]}),
        ),
        "POST /api/v1/ingest/openmetrics" => {
            (200, json!({"accepted": 2, "out_of_range": 1, "duplicate": 0, "refused": 0}))
        }
        "GET /api/v1/config/diff" => (
            200,
            json!({"items": [{"key": "storage.cap", "file": "64MiB", "runtime": "128MiB", "effective": "128MiB",
            "origin": {"source": "runtime", "by": "token:admin", "at": "2026-01-31T08:00:00.000Z"}}]}),
        ),
        "GET /api/v1/config/export" => (200, Value::from("listen = [\"127.0.0.1:1\"]\n")),
        line if line.ends_with("/missing/probe") => (
            404,
            json!({"title": "Not found", "detail": "no target `missing`",
            "code": "not_found", "hint": "`holdfast targets ls` lists them"}),
        ),
        _ => (403, json!({"title": "Forbidden", "detail": "needs monitoring:read"})),
    }
}

#[test]
fn status_fits_a_screen_and_its_exit_code_is_the_verdict() {
    let home = Home::new();
    let _agent = Agent::on_socket(&home, agent);
    let ran = home.run(&["status"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(
        ran.output,
        "degraded  holdfast 0.1.0 on nas1, running for 2h5m\n\
         \x20 unhealthy  pg1: connect: connection refused\n\
         host    Debian 12, 4 cpus: cpu 12.3 %, memory 40.0 % of 8.0GiB, disk 70.0 % of -, up for 1d1h\n\
         store   18.4MiB of 512MiB, 812 series, 5 samples waiting to be written\n\
         agent   cpu 0.4 %, memory 17.2MiB\n\
         \n\
         TARGET  KIND      ADDRESS         LATENCY  P95    FAILED  CLASS  BREAKER  DETAIL\n\
         pg1     postgres  127.0.0.1:5432  3.5ms    2.2ms  40.0 %  hard   open     connect: connection refused\n"
    );
    assert_eq!(home.run(&["status", "--json"]).json()["health"]["status"], "degraded");
}

#[test]
fn an_unhealthy_agent_answers_503_and_exits_4() {
    let home = Home::new();
    let _agent = Agent::on_socket(&home, |line| match line {
        "GET /api/v1/health" => (503, json!({"status": "unhealthy", "components": []})),
        other => agent(other),
    });
    let ran = home.run(&["status"]);
    assert_eq!(ran.code, 4);
    assert!(ran.output.starts_with("unhealthy  "), "{ran:?}");
}

#[test]
fn targets_and_probes() {
    let home = Home::new();
    let _agent = Agent::on_socket(&home, agent);
    let ran = home.run(&["targets", "ls"]);
    assert!(ran.code == 0 && ran.output.lines().count() == 2, "{ran:?}");
    let ran = home.run(&["targets", "probe", "pg1"]);
    assert_eq!(ran.code, 4);
    assert!(ran.output.starts_with("pg1 (postgres): hard in 3.5ms\nOPERATION"), "{ran:?}");
    let ran = home.run(&["targets", "probe", "missing"]);
    assert_eq!((ran.code, ran.output.as_str()), (1, ""));
    assert_eq!(
        ran.error,
        "holdfast: Not found: no target `missing`\nhint: `holdfast targets ls` lists them\n"
    );
}

#[test]
fn queries_for_a_moment_and_over_a_range() {
    let home = Home::new();
    let _agent = Agent::on_socket(&home, agent);
    let ran = home.run(&["query", "node_load1"]);
    assert_eq!(ran.output, "SERIES      VALUE  AT\nnode_load1  0.5    2026-01-31T07:59:59.000Z\n");
    let ran = home.run(&["query", "node_load1", "--range", "1h", "--step", "1m", "--time", "7200"]);
    assert_eq!(
        ran.output, "node_load1\n  1970-01-01T01:00:00.000Z  0.5\n  1970-01-01T01:02:00.000Z  0.75\n",
        "{ran:?}"
    );
    for bad in [["query", "up", "--range", "30"], ["query", "up", "--step", "1m"]] {
        assert_eq!(home.run(&bad).code, 2, "{bad:?}");
    }
}

#[test]
fn an_import_sends_the_file_and_reports_what_became_of_it() {
    let home = Home::new();
    let agent = Agent::on_socket(&home, agent);
    home.write("a.om", "# TYPE a gauge\na 1 1\na 2 2\n# EOF\n");
    let ran = home.run(&["import", "a.om"]);
    assert_eq!(
        ran.output,
        "SAMPLES       COUNT\naccepted      2\nout of range  1\nduplicate     0\nrefused       0\n",
        "{ran:?}"
    );
    assert_eq!(agent.seen()[0].2, "# TYPE a gauge\na 1 1\na 2 2\n# EOF\n");
    assert_eq!(home.run(&["import", "none.om"]).code, 1);
}

#[test]
fn a_url_takes_its_token_from_the_environment() {
    let home = Home::new();
    let (agent, port) = Agent::on_port(agent);
    let url = format!("http://127.0.0.1:{port}/");
    let ran =
        home.command(&["targets", "ls", "--url", &url]).env("HOLDFAST_TOKEN", "s3cret").output().unwrap();
    let ran = Ran::of(ran);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(agent.seen()[0].1, "Bearer s3cret");
    let ran = home.run(&["config", "show", "--url", &url]);
    assert_eq!((ran.code, ran.error.as_str()), (77, "holdfast: Forbidden: needs monitoring:read\n"));
    assert_eq!(home.run(&["status", "--url", "127.0.0.1:1"]).code, 2);
}

#[test]
fn without_an_agent_the_exit_code_is_69_and_says_what_to_do() {
    let home = Home::new();
    for arguments in [
        ["targets", "ls"].as_slice(),
        &["status"],
        &["config", "diff"],
        &["status", "--url", "http://127.0.0.1:1"],
    ] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, 69, "{arguments:?} {ran:?}");
        assert!(ran.error.contains("not reachable"), "{ran:?}");
    }
}

#[test]
fn the_configuration_is_shown_with_its_origins_without_an_agent_too() {
    let home = Home::new();
    home.write("h.toml", "[storage]\ncap = \"64MiB\"\n");
    let show = ["config", "show", "--origin", "--config", "h.toml"];
    let ran = Ran::of(home.command(&show).env("HOLDFAST_LOG_LEVEL", "debug").output().unwrap());
    let line = |key: &str| {
        ran.output
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("storage.cap"), "storage.cap \"64MiB\" h.toml:2:1");
    assert_eq!(line("log.level"), "log.level \"debug\" environment HOLDFAST_LOG_LEVEL (pinned)");
    assert_eq!(line("collect.interval"), "collect.interval \"1s\" default");
    assert!(ran.error.contains("no agent is running here"), "{ran:?}");
    let ran = home.run(&["config", "export", "--config", "h.toml"]);
    assert!(ran.output.contains("[storage]\ncap = \"64MiB\"\n"), "{ran:?}");
    // Whoever asks for another agent is not told of this host.
    for command in ["show", "export"] {
        let ran = home.run(&["config", command, "--config", "h.toml", "--url", "http://127.0.0.1:1"]);
        assert!(ran.code == 69 && ran.output.is_empty(), "{ran:?}");
        let asked = home.command(&["config", command]).env("HOLDFAST_URL", "http://127.0.0.1:1").output();
        let ran = Ran::of(asked.unwrap());
        assert!(ran.code == 69 && ran.output.is_empty(), "{ran:?}");
    }
}

#[test]
fn with_an_agent_its_answer_is_shown() {
    let home = Home::new();
    let _agent = Agent::on_socket(&home, agent);
    let ran = home.run(&["config", "diff"]);
    assert!(ran.output.contains("storage.cap  \"64MiB\"  \"128MiB\""), "{ran:?}");
    assert_eq!(home.run(&["config", "export"]).output, "listen = [\"127.0.0.1:1\"]\n");
}

#[test]
fn setup_writes_a_first_configuration_once() {
    let home = Home::new();
    let config = home.join("etc/holdfast.toml");
    let setup = ["setup", "--yes", "--config", config.to_str().unwrap()];
    let ran = home.run(&setup);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.output.contains("http://127.0.0.1:3003/ui/") && ran.output.contains("data/admin.token"),
        "{ran:?}"
    );
    let mode = std::fs::metadata(home.join("data")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let written = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{written}# mine\n")).unwrap();
    let ran = home.run(&setup);
    assert!(ran.code == 0 && ran.error.contains("stays as it is"), "{ran:?}");
    assert!(std::fs::read_to_string(&config).unwrap().ends_with("# mine\n"));
    assert_eq!(home.run(&["validate", "--config", config.to_str().unwrap()]).code, 0);
}

#[test]
fn setup_that_is_refused_leaves_nothing_behind() {
    let home = Home::new();
    let ran = home.run(&["setup", "--yes", "--config", "h.toml", "--data-dir", "relative"]);
    assert!(ran.code == 78 && ran.error.contains("`relative` is not absolute"), "{ran:?}");
    assert!(!home.join("h.toml").exists() && !home.join("relative").exists());
}

#[test]
fn the_example_is_printed_and_valid() {
    let home = Home::new();
    let ran = home.run(&["config", "example"]);
    home.write("example.toml", &ran.output);
    assert_eq!(home.run(&["validate", "--config", "example.toml"]).code, 0);
}

#[test]
fn version_completions_and_usage() {
    let home = Home::new();
    assert!(home.run(&["version"]).output.starts_with(concat!("holdfast ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(home.run(&["version", "--json"]).json()["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.run(&["completions", shell]).output.contains("holdfast"), "{shell}");
    }
    for bad in [[].as_slice(), &["frobnicate"], &["query"], &["run", "--log", "xml"]] {
        let ran = home.run(bad);
        assert!(ran.code == 2 && ran.output.is_empty(), "{bad:?} {ran:?}");
    }
    assert_eq!(home.run(&["--help"]).code, 0);
}

#[test]
fn an_import_that_is_refused_says_where() {
    let home = Home::new();
    let _agent = Agent::on_socket(&home, |_| {
        let errors = json!([{"pointer": "", "detail": "line 2: expected a value"}]);
        (422, json!({"title": "Unprocessable", "detail": "not OpenMetrics", "errors": errors}))
    });
    home.write("a.om", "# TYPE a gauge\na x 1\n");
    let ran = home.run(&["import", "a.om"]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.error,
        "holdfast: Unprocessable: not OpenMetrics\n  line 2: expected a value\n\
         in the part that begins at line 1 of a.om; 0 samples before it were accepted and stay\n"
    );
}
