//! The log in files, request ids, and the import of the orchestrator family's flat JSON:
//! the real binary.

use std::process::Command;

use serde_json::{Value, json};

use super::support::agent::Agent;

#[test]
fn the_log_is_written_to_files_as_json_with_the_ids_of_requests() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config =
        "[log]\nlevel = \"debug\"\nformat = \"json\"\nfile = \"all.log\"\nerror_file = \"errors.log\"\n";
    let mut agent = Agent::start(&data, config);
    let mine = agent.call("GET", "/health", &["X-Request-Id: abc.1-2_3"], "").unwrap();
    assert!(mine.head.contains("x-request-id: abc.1-2_3"), "{}", mine.head);
    let drawn = agent.call("GET", "/nowhere", &["X-Request-Id: not a plain one"], "").unwrap();
    let id = drawn.json()["trace_id"].as_str().unwrap().to_owned();
    assert!(id.len() == 32 && drawn.head.contains(&format!("x-request-id: {id}")), "{}", drawn.head);
    agent.get("/ping/1b671a64-40d5-491e-99b0-da01ff1f3341");
    assert_eq!(agent.stop(), Some(0));
    let text = std::fs::read_to_string(data.join("logs/all.log")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |id: &str| {
        let found = lines.iter().find(|line| line["span"]["request_id"] == id);
        found.unwrap_or_else(|| panic!("no line of {id} in {text}"))
    };
    assert_eq!((&of("abc.1-2_3")["path"], &of("abc.1-2_3")["status"]), (&json!("/health"), &json!(200)));
    assert_eq!((&of(&id)["status"], &of(&id)["level"]), (&json!(404), &json!("DEBUG")));
    assert!(!text.contains("1b671a64"), "the path of a ping is a secret");
    let errors = std::fs::read_to_string(data.join("logs/errors.log")).unwrap_or_default();
    assert!(!errors.contains("DEBUG") && !errors.contains("INFO"), "{errors}");
}

#[test]
fn a_flat_file_is_shown_as_ours_and_put_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let agent = Agent::start(&data, "");
    let flat = folder.path().join("monitoring.json");
    let theirs = json!({
        "monitoring_interval": 5, "resource_usage_critical": 99.0, "enable_console_notifications": true,
        "api_host": "0.0.0.0", "api_port": 8080,
        "alert_rules": { "queue": { "metric_name": "queue_length", "threshold": 7, "severity": "critical", "duration": 60 } }
    });
    std::fs::write(&flat, theirs.to_string()).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.env_clear().args(["--data-dir", data.to_str().unwrap(), "config", "import"]).args(arguments);
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let path = flat.to_str().unwrap();
    let (code, shown, said) = run(&[path]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        shown.contains("[collect]\ninterval = \"5s\"") && shown.contains("# listen = [\"0.0.0.0:8080\"]"),
        "{shown}"
    );
    assert!(said.contains("left out: listen"), "{said}");
    assert_eq!(agent.get("/api/v1/monitoring/rules/queue").status, 404, "nothing was changed");

    let (code, _, said) = run(&[path, "--apply"]);
    assert_eq!(code, Some(0), "{said}");
    let rule = agent.wait("/api/v1/monitoring/rules/queue", |rule| rule["expr"].is_string());
    assert_eq!(
        (&rule["expr"], &rule["for"], &rule["levels"][0]["value"]),
        (&json!("queue_length"), &json!("1m"), &json!(7.0)),
        "{rule}"
    );
    agent.wait("/api/v1/monitoring/rules/resource_usage", |rule| rule["levels"][1]["value"] == 99.0);
    agent.wait("/api/v1/monitoring/channels/console", |channel| channel["name"] == "console");
    let values = agent.get("/api/v1/config").json()["values"].clone();
    let interval =
        values.as_array().unwrap().iter().find(|value| value["key"] == "collect.interval").unwrap();
    assert_eq!(interval["value"], "5s");

    // A file of ours goes the same way.
    let own = folder.path().join("own.toml");
    std::fs::write(
        &own,
        "[log]\nlevel = \"warn\"\n[[rule]]\nname = \"queue\"\nexpr = \"queue_length > 9\"\n",
    )
    .unwrap();
    let (code, _, said) = run(&[own.to_str().unwrap(), "--apply"]);
    assert_eq!(code, Some(0), "{said}");
    agent.wait("/api/v1/monitoring/rules/queue", |rule| rule["expr"] == "queue_length > 9");
    std::fs::write(&flat, "{\"other\": 1}").unwrap();
    let (code, _, said) = run(&[path]);
    assert!(code == Some(78) && said.contains("none of the keys"), "{said}");
}
