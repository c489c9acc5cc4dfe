//! `/alertmanager/api/v2`: the shapes of Alertmanager, amtool against the agent, and a real
//! Prometheus that sends its alerts here.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use holdfast::base::time::Timestamp;
use holdfast::model::access::Scope;
use hyper::Method;
use serde_json::{Value, json};

use crate::support::agent::{Agent, escape};
use crate::support::app::{NOW, TestApp};
use crate::support::client::{Answer, Ask};
use crate::support::free_port;

const JSON: &str = "application/json";
const RULE: &str =
    "[[rule]]\nname = 'hot'\nexpr = 'temperature > 50'\nseverity = 'critical'\ntitle = 'too hot'\n";

impl TestApp {
    async fn am_get(&self, path: &str) -> Value {
        let answer = self.get(&format!("/alertmanager/api/v2/{path}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, JSON), "{path}: {answer:?}");
        answer.json()
    }

    async fn am_post(&self, path: &str, body: &Value) -> Answer {
        let ask = Ask::post(&format!("/alertmanager/api/v2/{path}"), JSON, body.to_string());
        self.ask_as_admin(ask).await
    }

    /// Posts an alert of this name that ends so many seconds from now.
    async fn post_alert(&self, name: &str, ends_in: i64) {
        let ends = Timestamp(NOW.millis() + 1000 * ends_in).rfc3339();
        let alert = json!([{"labels": {"alertname": name, "severity": "high"}, "endsAt": ends,
                            "annotations": {"summary": "s"}, "generatorURL": "http://p/graph"}]);
        let answer = self.am_post("alerts", &alert).await;
        assert_eq!((answer.status, answer.text()), (200, ""));
    }

    /// Makes a silence, and answers its id.
    async fn silence(&self, body: &Value) -> String {
        let answer = self.am_post("silences", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["silenceID"].as_str().unwrap().to_owned()
    }

    async fn expire(&self, id: &str) -> Answer {
        self.ask_as_admin(Ask::new(Method::DELETE, &format!("/alertmanager/api/v2/silence/{id}"))).await
    }
}

fn names(alerts: &Value) -> Vec<&str> {
    alerts.as_array().unwrap().iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap()).collect()
}

/// Status and text of a refusal.
fn refusal(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), JSON, "{answer:?}");
    (answer.status, answer.json().as_str().unwrap().to_owned())
}

fn silence_of(matchers: Value, from: &str, to: &str) -> Value {
    json!({"matchers": matchers, "startsAt": from, "endsAt": to, "createdBy": "me", "comment": "c"})
}

const YEAR_2030: &str = "2030-01-01T00:00:00.000Z";
const YEAR_2031: &str = "2031-01-01T00:00:00.000Z";

#[tokio::test]
async fn a_posted_alert_fires_is_repeated_and_ends() {
    let app = TestApp::start().await;
    app.post_alert("X", 240).await;
    let alerts = app.am_get("alerts").await;
    let expected = json!([{
        "annotations": {"summary": "s"},
        "endsAt": NOW.plus(Duration::from_secs(240)).rfc3339(),
        "fingerprint": "9dfa19d680061097",
        "receivers": [{"name": "nobody"}],
        "startsAt": NOW.rfc3339(),
        "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"},
        "updatedAt": NOW.rfc3339(),
        "generatorURL": "http://p/graph",
        "labels": {"alertname": "X", "severity": "high"},
    }]);
    assert_eq!(alerts, expected);
    let id = app.alerting().alerts()[0].alert.id.clone();
    // Said again a minute later: the same alert with a later end, and told of once.
    app.clock.advance(Duration::from_secs(60));
    app.post_alert("X", 300).await;
    let alerts = app.alerting().alerts();
    assert_eq!((alerts.len(), alerts[0].alert.id.as_str(), alerts[0].alert.last_step), (1, id.as_str(), 1));
    let ends = app.am_get("alerts").await[0]["endsAt"].clone();
    assert_eq!(ends, NOW.plus(Duration::from_secs(300)).rfc3339());
    // Over: an end in the past. One that was never known is nothing new.
    app.post_alert("X", 30).await;
    app.post_alert("Y", 30).await;
    assert_eq!(app.am_get("alerts").await, json!([]));
    // Its sender went away.
    app.post_alert("Z", 120).await;
    app.clock.advance(Duration::from_secs(61));
    app.round().await;
    assert_eq!(names(&app.am_get("alerts?filter=alertname%3DZ").await), [""; 0]);
}

#[tokio::test]
async fn what_is_sound_of_a_request_is_taken() {
    let app = TestApp::start().await;
    let alerts = json!([{"labels": {"alertname": "A"}, "startsAt": "0002-01-01T00:00:00Z", "endsAt": "9999-12-30T00:00:00Z"}, {"labels": {}}, {"labels": {"a-b": "c"}},
                        {"labels": {"alertname": "B"}, "startsAt": "0001-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}]);
    let (status, text) = refusal(&app.am_post("alerts", &alerts).await);
    let expected =
        "alert 1: at least one label pair required; alert 2: invalid label set: invalid name \"a-b\"";
    assert_eq!((status, text.as_str()), (400, expected));
    let alerts = app.am_get("alerts").await;
    assert_eq!(names(&alerts).len(), 2, "{alerts}");
    let ends: Vec<_> = alerts.as_array().unwrap().iter().map(|one| one["endsAt"].as_str().unwrap()).collect();
    assert!(ends.contains(&NOW.plus(Duration::from_secs(300)).rfc3339().as_str()), "{ends:?}");
    for (body, words) in [
        (json!({}), "the body is not as expected"),
        (json!([{"annotations": {}}]), "missing field `labels`"),
        (json!([{"labels": {"a": "b"}, "endsAt": "soon"}]), "`soon` is not a time"),
    ] {
        let (status, text) = refusal(&app.am_post("alerts", &body).await);
        assert!(status == 400 && text.contains(words), "{text}");
    }
    let many: Vec<Value> = (0..2001).map(|at| json!({"labels": {"alertname": format!("M{at}")}})).collect();
    assert_eq!(refusal(&app.am_post("alerts", &Value::from(many.clone())).await).0, 400);
    let (status, text) = refusal(&app.am_post("alerts", &Value::from(many[..2000].to_vec())).await);
    assert_eq!((status, text.as_str()), (500, "2 alerts found no room: too many are active"));
}

#[tokio::test]
async fn alerts_are_found_by_matchers_state_and_receiver() {
    let app = TestApp::with(RULE).await;
    app.sample(NOW, &[("temperature", &[("room", "attic")], 60.0)]);
    app.round().await;
    app.post_alert("X", 240).await;
    let mine = "alerts?filter=alertname%3D~%22hot%7CX%22";
    let both = app.am_get(mine).await;
    let hot = both.as_array().unwrap().iter().find(|one| one["labels"]["alertname"] == "hot").unwrap();
    assert_eq!(hot["labels"], json!({"alertname": "hot", "room": "attic", "severity": "critical"}));
    assert_eq!(hot["annotations"]["summary"], "too hot");
    assert_eq!(
        (names(&both).len(), names(&app.am_get("alerts?filter=room%3Dattic").await)),
        (2, vec!["hot"])
    );
    assert_eq!(names(&app.am_get("alerts?filter=severity!%3Dcritical&filter=alertname%3DX").await), ["X"]);
    let silence =
        silence_of(json!([{"name": "alertname", "value": "X", "isRegex": false}]), YEAR_2030, YEAR_2031);
    let pending = app.silence(&silence).await;
    assert_eq!(names(&app.am_get(&format!("{mine}&active=false")).await), [""; 0], "it has not begun");
    let now = json!([{"name": "alertname", "value": "X|Z", "isRegex": true, "isEqual": true}]);
    let active = app.silence(&silence_of(now, "2020-01-01T00:00:00Z", YEAR_2031)).await;
    let muted = app.am_get(&format!("{mine}&active=false")).await;
    assert_eq!(names(&muted), ["X"]);
    assert_eq!(muted[0]["status"]["silencedBy"], json!([active]));
    assert_eq!(muted[0]["status"]["state"], "suppressed");
    assert_eq!(names(&app.am_get(&format!("{mine}&silenced=false")).await), ["hot"]);
    assert_eq!(app.expire(&active).await.status, 200);
    assert_eq!(names(&app.am_get(&format!("{mine}&silenced=false")).await).len(), 2);
    assert_eq!(names(&app.am_get(&format!("{mine}&receiver=no.*")).await).len(), 2);
    assert_eq!(names(&app.am_get(&format!("{mine}&receiver=mail")).await), [""; 0]);
    let groups = app.am_get("alerts/groups?filter=alertname%3DX").await;
    assert_eq!(groups[0]["labels"], json!({"alertname": "X"}));
    assert_eq!((&groups[0]["receiver"]["name"], names(&groups[0]["alerts"])), (&json!("nobody"), vec!["X"]));
    assert_eq!(app.expire(&pending).await.status, 200);
    for bad in ["alerts?filter=a~", "alerts?filter=a%3D~(", "alerts?receiver=(", "silences?filter=a"] {
        assert_eq!(refusal(&app.get(&format!("/alertmanager/api/v2/{bad}")).await).0, 400, "{bad}");
    }
}

#[tokio::test]
async fn silences_are_made_changed_and_ended() {
    let app = TestApp::start().await;
    let matchers = json!([{"name": "a", "value": "b", "isRegex": false}, {"name": "c", "value": "d|e", "isRegex": true, "isEqual": false}]);
    let mut body = silence_of(matchers, "2020-01-01T00:00:00Z", YEAR_2030);
    let first = app.silence(&body).await;
    let shown = app.am_get(&format!("silence/{first}")).await;
    let expected = json!({
        "id": first,
        "status": {"state": "active"},
        "updatedAt": NOW.rfc3339(),
        "comment": "c",
        "createdBy": "me",
        "endsAt": YEAR_2030,
        "matchers": [{"name": "a", "value": "b", "isRegex": false, "isEqual": true},
                     {"name": "c", "value": "d|e", "isRegex": true, "isEqual": false}],
        "startsAt": NOW.rfc3339(),
    });
    assert_eq!(shown, expected);
    assert!(first.len() == 36 && first.as_bytes()[14] == b'4', "{first}");
    // A longer end is the same silence, other matchers are another.
    body["id"] = json!(first);
    body["startsAt"] = shown["startsAt"].clone();
    body["endsAt"] = json!(YEAR_2031);
    assert_eq!(app.silence(&body).await, first);
    assert_eq!(app.am_get(&format!("silence/{first}")).await["endsAt"], YEAR_2031);
    body["matchers"][0]["value"] = json!("z");
    let second = app.silence(&body).await;
    assert_ne!(second, first);
    let all = app.am_get("silences").await;
    let states: Vec<_> =
        all.as_array().unwrap().iter().map(|one| (&one["id"], &one["status"]["state"])).collect();
    assert_eq!(states, [(&json!(second), &json!("active")), (&json!(first), &json!("expired"))]);
    assert_eq!(app.am_get("silences?filter=a%3Dz").await.as_array().unwrap().len(), 1);
    // Ending twice is ending.
    for _ in 0..2 {
        assert_eq!(app.expire(&second).await.status, 200);
    }
    assert_eq!(app.am_get(&format!("silence/{second}")).await["status"]["state"], "expired");
    let (audit, _) = app.store().audit(10, 0).unwrap();
    let rows: Vec<_> = audit.iter().map(|row| (row.action.as_str(), row.object.as_str())).collect();
    let (first, second) = (first.as_str(), second.as_str());
    let expected =
        [("silence.expire", second), ("silence.put", second), ("silence.put", first), ("silence.put", first)];
    assert_eq!(rows[..4], expected);
    assert_eq!(audit[0].detail, format!("a=\"z\",c!~\"d|e\" until {}", NOW.rfc3339()));
}

#[tokio::test]
async fn refusals_are_texts() {
    let app = TestApp::start().await;
    let good = json!([{"name": "a", "value": "b", "isRegex": false}]);
    let any = json!([{"name": "a", "value": ".*", "isRegex": true}]);
    let broken = json!([{"name": "a", "value": "(", "isRegex": true}]);
    for (body, words) in [
        (silence_of(json!([]), YEAR_2030, YEAR_2031), "silence invalid: a silence needs 1 to"),
        (
            silence_of(any, YEAR_2030, YEAR_2031),
            "silence invalid: at least one matcher must not match the empty text",
        ),
        (silence_of(broken, YEAR_2030, YEAR_2031), "silence invalid: `(` for `a` is no regular expression"),
        (
            silence_of(good.clone(), "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"),
            "silence invalid: the end is in the past",
        ),
        (silence_of(good.clone(), YEAR_2031, YEAR_2030), "silence invalid: the start must be before the end"),
        (json!({"comment": "x"}), "the body is not as expected: missing field"),
    ] {
        let (status, text) = refusal(&app.am_post("silences", &body).await);
        assert!(status == 400 && text.starts_with(words), "{text}");
    }
    let unknown = "11111111-2222-4333-8444-555555555555";
    let mut body = silence_of(good, YEAR_2030, YEAR_2031);
    body["id"] = json!(unknown);
    let path = format!("/alertmanager/api/v2/silence/{unknown}");
    let not_found = (404, String::from("silence not found"));
    assert_eq!(refusal(&app.am_post("silences", &body).await), not_found);
    assert_eq!(refusal(&app.get(&path).await), not_found);
    assert_eq!(refusal(&app.expire(unknown).await), not_found);
    let reader = app.token(Scope::MonitoringRead).await;
    let ask = || Ask::post("/alertmanager/api/v2/alerts", JSON, "[]");
    let (status, text) = refusal(&app.ask(ask()).await);
    assert!(status == 401 && text.contains("token"), "{text}");
    let (status, text) = refusal(&app.ask(ask().bearer(reader.expose())).await);
    assert!(status == 403 && text.contains("monitoring:write"), "{text}");
    assert_eq!(refusal(&app.get("/alertmanager/api/v1/alerts").await).0, 404);
}

#[tokio::test]
async fn status_and_receivers() {
    let app = TestApp::start().await;
    let status = app.am_get("status").await;
    assert_eq!(status["cluster"], json!({"status": "disabled", "peers": []}));
    assert_eq!(status["config"]["original"], "route:\n  receiver: nobody\nreceivers:\n- name: nobody\n");
    assert_eq!(status["uptime"], NOW.rfc3339());
    assert!(status["versionInfo"]["version"].as_str().unwrap().contains("holdfast"), "{status}");
    assert_eq!(app.am_get("receivers").await, json!([{"name": "nobody"}]));
}

/// amtool with a token; what it printed, and whether it was content.
struct Amtool<'a> {
    agent: &'a Agent,
    config: &'a Path,
}

impl Amtool<'_> {
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new("amtool");
        command
            .arg(format!("--alertmanager.url=http://{}/alertmanager", self.agent.address))
            .arg(format!("--http.config.file={}", self.config.display()));
        let output = command.args(arguments).output().expect("amtool is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    fn good(&self, arguments: &[&str]) -> String {
        let (ok, text) = self.run(arguments);
        assert!(ok, "{arguments:?}: {text}");
        text
    }
}

#[test]
fn amtool_takes_the_agent_for_alertmanager() {
    let home = tempfile::tempdir().unwrap();
    let agent = Agent::start(&home.path().join("data"), "");
    let config = home.path().join("http.yml");
    let token = agent.data_dir.join("admin.token");
    std::fs::write(&config, format!("authorization:\n  credentials_file: {}\n", token.display())).unwrap();
    let amtool = Amtool { agent: &agent, config: &config };
    amtool.good(&["alert", "add", "Disk", "severity=high", "--annotation=summary=full"]);
    let shown = amtool.good(&["alert", "query", "severity=~\"high|critical\""]);
    assert!(shown.contains("Disk") && shown.contains("full") && shown.contains("active"), "{shown}");
    let id = amtool.good(&["silence", "add", "alertname=Disk", "--comment=known", "--duration=2h"]);
    // Behind it comes a warning that the versions differ.
    let id = id.lines().next().unwrap();
    let shown = amtool.good(&["silence", "query"]);
    assert!(shown.contains(id) && shown.contains("alertname=\"Disk\"") && shown.contains("known"), "{shown}");
    assert!(!amtool.good(&["alert", "query", "Disk"]).contains("Disk"), "it is silenced");
    assert!(amtool.good(&["alert", "query", "--silenced", "Disk"]).contains("suppressed"));
    amtool.good(&["silence", "update", "--duration=3h", id]);
    amtool.good(&["silence", "expire", id]);
    assert!(!amtool.good(&["silence", "query"]).contains(id));
    assert!(amtool.good(&["silence", "query", "--expired"]).contains(id));
    assert!(amtool.good(&["alert"]).contains("Disk"));
    assert!(amtool.good(&["config", "show"]).contains("nobody"));
    assert!(amtool.good(&["config", "routes", "show"]).contains("nobody"));
    assert!(amtool.good(&["cluster", "show"]).contains("disabled"));
    let (ok, text) = amtool.run(&["silence", "add", "a=~.*", "--comment=x"]);
    assert!(!ok && text.contains("must not match the empty text"), "{text}");
}

/// A Prometheus of its own; killed when dropped.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_prometheus_server_sends_its_alerts_here() {
    let home = tempfile::tempdir().unwrap();
    let agent = Agent::start(&home.path().join("data"), "");
    let path = |name: &str| home.path().join(name).display().to_string();
    let (token, address) = (agent.data_dir.join("admin.token"), agent.address);
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{site: lab}}}}\n\
         rule_files: [rules.yml]\n\
         scrape_configs:\n- job_name: holdfast\n  static_configs: [{{targets: ['{address}']}}]\n\
         alerting:\n  alertmanagers:\n  - path_prefix: /alertmanager\n    authorization: {{credentials_file: {}}}\n    \
         static_configs: [{{targets: ['{address}']}}]\n",
        token.display()
    );
    let rules = "groups:\n- name: g\n  rules:\n  - alert: ScrapeWorks\n    expr: up == 1\n    labels: {severity: critical}\n    \
                 annotations: {summary: 'it is {{ $value }}'}\n";
    std::fs::write(path("prometheus.yml"), config).unwrap();
    std::fs::write(path("rules.yml"), rules).unwrap();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", path("prometheus.yml")))
        .arg(format!("--storage.tsdb.path={}", path("tsdb")))
        .arg(format!("--web.listen-address=127.0.0.1:{}", free_port()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus is installed");
    let _server = Prometheus(child);
    let filter = escape("alertname=\"ScrapeWorks\"");
    let found = (0..1_000_000).find_map(|_| {
        let alerts = agent.get(&format!("/alertmanager/api/v2/alerts?filter={filter}")).json();
        alerts.as_array().and_then(|alerts| alerts.first().cloned())
    });
    let alert = found.expect("an alert came");
    assert_eq!(alert["labels"]["site"], "lab");
    assert_eq!(alert["annotations"]["summary"], "it is 1");
    assert!(alert["generatorURL"].as_str().unwrap().contains("/graph?g0.expr=up"), "{alert}");
    let shown = agent.get("/prometheus/api/v1/alerts").json();
    assert!(shown.to_string().contains("ScrapeWorks"), "{shown}");
}
