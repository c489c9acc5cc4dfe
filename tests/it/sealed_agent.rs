//! A password set at run time, with the real binary and a real server: the target is
//! probed with it after every kind of end, and it is readable nowhere.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::command::{Home, Ran};
use crate::support::postgres::Postgres;

const SECRET: &str = "right-password";

struct Place {
    home: Home,
    log: PathBuf,
}

impl Place {
    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn start(&self) -> Agent {
        let config = format!("[log]\nlevel = \"trace\"\n[storage]\ntail = {:?}\n", self.home.join("tail"));
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut agent = Agent::launch_with(&self.data(), &config, |command| {
            command.stderr(log);
        });
        agent.wait_ready();
        agent
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Every file of the agent but the key, and the log.
    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(self.home.path(), &mut found);
        found.retain(|path| !path.ends_with("secret.key"));
        found
    }

    fn assert_hidden(&self, agent: Option<&Agent>) {
        for path in self.files() {
            let bytes = std::fs::read(&path).unwrap();
            let shown = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert!(!shown, "{} shows the secret", path.display());
        }
        for path in ["/api/v1/config", "/api/v1/config/diff", "/api/v1/config/export", "/api/v1/audit", "/api/v1/targets"] {
            let Some(agent) = agent else { break };
            let answer = agent.call("GET", path, &[&bearer(agent)], "").unwrap();
            assert!(answer.status == 200 && !answer.body.contains(SECRET), "{path}: {}", answer.body);
        }
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            walk(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

fn bearer(agent: &Agent) -> String {
    format!("Authorization: Bearer {}", agent.token())
}

fn patch(agent: &Agent, values: &Value) -> crate::support::agent::Answer {
    let headers = [&bearer(agent), "If-Match: *", "Content-Type: application/merge-patch+json"];
    let body = json!({"target": {"postgres": {"pg9": values}}}).to_string();
    agent.call("PATCH", "/api/v1/config", &headers, &body).unwrap()
}

/// Probes until the prober has the target, and says what came of connecting.
fn connected(agent: &Agent) -> (String, String) {
    loop {
        let answer = agent.post("/api/v1/targets/pg9/probe", "application/json", "");
        if answer.status == 200 {
            let record = answer.json();
            let operations = record["operations"].as_array().unwrap();
            let connect = operations.iter().find(|one| one["operation"] == "connect").unwrap();
            let text = |name: &str| connect[name].as_str().unwrap_or_default().to_owned();
            return (text("class"), text("code"));
        }
        assert!(matches!(answer.status, 404 | 409 | 503), "{}", answer.body);
        std::thread::yield_now();
    }
}

fn fine() -> (String, String) {
    (String::from("ok"), String::new())
}

#[test]
fn a_password_set_at_run_time_outlives_the_agent_and_is_readable_nowhere() {
    let server = Postgres::primary("");
    let home = Home::new();
    let place = Place { log: home.join("log"), home };
    let mut agent = place.start();
    let key = place.data().join("secret.key");
    let set = patch(&agent, &json!({"host": "127.0.0.1", "port": server.port, "password": SECRET, "interval": "1h"}));
    assert_eq!(set.status, 200, "{}", set.body);
    assert!(key.exists());
    assert_eq!(connected(&agent), fine());
    place.assert_hidden(Some(&agent));
    assert_eq!(patch(&agent, &json!({"password": "***"})).status, 422);

    agent.kill();
    let mut agent = place.start();
    assert_eq!(connected(&agent), fine());
    assert_eq!(agent.stop(), Some(0));
    place.assert_hidden(None);
    let before = std::fs::read(&key).unwrap();

    let mut agent = place.start();
    let ran = Ran::of(place.home.command(&["config", "rotate-key"]).output().unwrap());
    assert!(ran.code == 0 && ran.output.ends_with("secrets sealed with it: 1\n"), "{ran:?}");
    assert_ne!(std::fs::read(&key).unwrap(), before);
    let rotated = agent.post("/api/v1/config/rotate-key", "application/json", "");
    assert_eq!((rotated.status, rotated.json()["resealed"].as_u64()), (200, Some(1)), "{}", rotated.body);
    place.assert_hidden(Some(&agent));
    agent.kill();
    let mut agent = place.start();
    assert_eq!(connected(&agent), fine());
    place.assert_hidden(Some(&agent));
    agent.stop();

    // Others may read the key: the agent runs, without the password, and says why.
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let mut agent = place.start();
    let reason = format!("the key file {} is not used: its mode is 0644, expected 0600", key.display());
    let warning = format!("the run-time value of target.postgres[pg9].password is not used: {reason}");
    assert!(place.logged().contains(&warning), "{}", place.logged());
    assert!(agent.get("/api/v1/config").json()["warnings"].as_array().unwrap().contains(&json!(warning)));
    assert_eq!(connected(&agent), (String::from("alive"), String::from("authentication")));
    let refused = patch(&agent, &json!({"password": "another"}));
    assert!(refused.status == 503 && refused.body.contains("expected 0600"), "{}", refused.body);
    agent.stop();
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let agent = place.start();
    assert_eq!(connected(&agent), fine());
    place.assert_hidden(Some(&agent));
}
