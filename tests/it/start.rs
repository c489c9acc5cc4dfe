//! Starting, being refused, reloading and stopping, as a user meets them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::agent::Agent;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_holdfast")).arg("run").args(arguments).env_clear().output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_first_start_makes_what_it_needs_and_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let agent = Agent::start(&data_dir, "");
    let mode = |name: &str| std::fs::metadata(data_dir.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for file in ["holdfast.redb", "admin.token", "holdfast.sock", "holdfast.lock"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    let token = agent.token();
    let command_line = std::fs::read(format!("/proc/{}/cmdline", agent.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&command_line).contains(&token));
    let (_, secret) = token.rsplit_once('_').unwrap();
    let store = std::fs::read(data_dir.join("holdfast.redb")).unwrap();
    assert!(!store.windows(secret.len()).any(|window| window == secret.as_bytes()));
    let answer = agent.post("/api/v1/config/validate", "application/toml", "[storage]\ncap = 5\n");
    assert!(answer.status == 422 && answer.head.contains("application/problem+json"), "{answer:?}");
}

#[test]
fn a_second_agent_on_the_same_store_is_refused_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let agent = Agent::start(&data_dir, "");
    let second = run(&["--data-dir", data_dir.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second);
    assert!(said.contains("in use") && said.contains(&agent.pid().to_string()), "{said}");
    assert_eq!(agent.get("/livez").status, 200);
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data_dir = folder.path().join("data");
    let output = run(&["--data-dir", data_dir.to_str().unwrap(), "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(&address), "{}", text(&output));
    assert!(!data_dir.exists(), "nothing was begun");
}

#[test]
fn a_data_directory_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let data_dir = file.join("data");
    let output = run(&["--data-dir", data_dir.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(data_dir.to_str().unwrap()), "{}", text(&output));
}

#[test]
fn an_address_that_others_could_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let output = run(&["--data-dir", data_dir.to_str().unwrap(), "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output).contains("listen") && !data_dir.exists(), "{}", text(&output));
}

#[test]
fn a_clean_stop_ends_with_zero_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut agent = Agent::start(&data_dir, "");
    let (at, _) = agent.latest("node_load1").unwrap();
    assert_eq!(agent.stop(), Some(0));
    let agent = Agent::start(&data_dir, "");
    let query = format!("/api/v1/query_range?query=node_load1&start={at}&end={at}&step=1s&lookback=1s");
    let answer = agent.get(&query).json();
    assert!(answer["series"][0]["values"][0].is_number(), "the last sample before the stop: {answer}");
}

#[test]
fn a_reload_takes_all_of_a_file_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let agent = Agent::start(&data_dir, "[log]\nlevel = \"info\"\n");
    let level = |agent: &Agent| {
        let config = agent.get("/api/v1/config").json();
        let values = config["values"].as_array().unwrap().clone();
        values.into_iter().find(|value| value["key"] == "log.level").unwrap()["value"].clone()
    };
    let file = data_dir.with_extension("toml");
    std::fs::write(&file, "[log]\nlevel = \"warn\"\n[collect]\ninterval = 5\n").unwrap();
    let answer = agent.post("/api/v1/config/reload", "application/json", "");
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("collect.interval") && answer.body.contains(":4:"), "{}", answer.body);
    assert_eq!(level(&agent), "info");
    std::fs::write(&file, "[log]\nlevel = \"warn\"\n").unwrap();
    assert_eq!(agent.post("/api/v1/config/reload", "application/json", "").status, 200);
    assert_eq!(level(&agent), "warn");
}

/// The next event of the stream from `since` on whose action is `action`.
fn event(agent: &Agent, since: u64, action: &str) -> Value {
    let mut stream = TcpStream::connect(agent.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let path = format!("/api/v1/events?types=system&since={since}");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", agent.address).unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut events = lines.filter_map(|line| {
        let text = line.strip_prefix("data:")?;
        serde_json::from_str::<Value>(text).ok()
    });
    events.find(|event| event["data"]["action"] == action).unwrap()
}

#[test]
fn a_hangup_reads_the_file_again_and_a_broken_one_is_told_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let head = "[log]\nfile = \"all.log\"\n";
    let mut agent = Agent::start(&data_dir, head);
    let file = data_dir.with_extension("toml");
    let value = |agent: &Agent, key: &str| {
        let config = agent.get("/api/v1/config").json();
        let values = config["values"].as_array().unwrap().clone();
        values.into_iter().find(|value| value["key"] == key).unwrap()["value"].clone()
    };

    // What can be is applied, what waits for a start is named.
    std::fs::write(&file, format!("{head}[cache]\nttl = \"7s\"\n[storage]\ncap = \"65MiB\"\n")).unwrap();
    agent.hang_up();
    let told = event(&agent, 1, "config_changed");
    assert_eq!(told["data"]["changed"], json!(["storage.cap", "cache.ttl"]), "{told}");
    assert_eq!((&told["data"]["restart"], &told["data"]["by"]), (&json!(["storage.cap"]), &json!("signal")));
    assert_eq!(value(&agent, "cache.ttl"), "7s");
    assert_eq!(agent.get("/monitoring/cache/stats").json()["ttl_seconds"], 7.0, "it is in force");
    let healthy = agent.get("/api/v1/health").json();
    assert!(!healthy["components"].to_string().contains("configuration"), "{healthy}");

    // Of a broken file nothing is taken, not even what is right in it.
    std::fs::write(&file, format!("{head}[cache]\nttl = \"9s\"\n[collect]\ninterval = 5\n")).unwrap();
    agent.hang_up();
    let refused = event(&agent, told["seq"].as_u64().unwrap(), "config_invalid");
    let place = refused["data"]["problems"][0].as_str().unwrap();
    assert!(place.contains("collect.interval") && place.contains(":6:"), "{refused}");
    assert_eq!(value(&agent, "cache.ttl"), "7s");
    let health = agent.get("/api/v1/health").json();
    let part = health["components"].as_array().unwrap().iter().find(|part| part["name"] == "configuration");
    let part = part.unwrap_or_else(|| panic!("{health}"));
    assert_eq!(part["status"], "degraded");
    assert!(part["message"].as_str().unwrap().contains("collect.interval"), "{part}");
    agent.wait("/api/v1/monitoring/alerts?limit=100", |body| body.to_string().contains("config_invalid"));

    // A good file ends it, and what was in force before is compared with.
    std::fs::write(&file, format!("{head}[cache]\nttl = \"9s\"\n[storage]\ncap = \"65MiB\"\n")).unwrap();
    agent.hang_up();
    let again = event(&agent, refused["seq"].as_u64().unwrap(), "config_changed");
    assert_eq!(again["data"]["changed"], json!(["cache.ttl"]));
    let healthy = agent.get("/api/v1/health").json();
    assert!(!healthy["components"].to_string().contains("configuration"), "{healthy}");
    let audit = agent.get_as_admin("/api/v1/audit?limit=50").body;
    assert!(
        audit.contains("config.reload") && audit.contains("cache.ttl: \\\"7s\\\" -> \\\"9s\\\""),
        "{audit}"
    );
    assert_eq!(agent.stop(), Some(0));
    let log = std::fs::read_to_string(data_dir.join("logs/all.log")).unwrap();
    assert!(log.contains("the configuration stays as it was") && log.contains("collect.interval"), "{log}");
    assert!(log.contains("these take effect at the next start") && log.contains("storage.cap"), "{log}");
}
