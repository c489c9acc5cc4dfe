//! Rules, alerts and who is told, over the real store and the real life cycle.

use std::time::Duration;

use axum::http::Method;
use holdfast::base::time::Clock as _;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Ask;

const RULE: &str = "[[rule]]\nname = 'hot'\nexpr = 'temperature'\nop = '>'\nlevels = { medium = 50, critical = 80 }\n\
                    clear_margin = 5\ntitle = '{{ $labels.room }} is at {{ $value }}'\n";

impl TestApp {
    /// One second later with this temperature, evaluated.
    async fn at(&self, value: f64) {
        self.clock.advance(Duration::from_secs(1));
        self.sample(self.clock.now(), &[("temperature", &[("room", "attic")], value)]);
        self.round().await;
    }
}

#[tokio::test]
async fn an_alert_rises_falls_and_ends_as_one() {
    let app = TestApp::with(RULE).await;
    app.at(20.0).await;
    assert!(app.alerting().alerts().is_empty());
    app.at(60.0).await;
    let alerts = app.alerting().alerts();
    let first = &alerts[0].alert;
    assert_eq!((first.title.as_str(), first.severity.word()), ("attic is at 60", "medium"));
    assert_eq!((first.value, first.threshold), (Some(60.0), Some(50.0)));
    app.at(90.0).await;
    let alerts = app.alerting().alerts();
    assert_eq!((alerts.len(), alerts[0].alert.severity.word()), (1, "critical"));
    assert_eq!(alerts[0].alert.id, first.id);
    app.at(47.0).await;
    assert_eq!(app.alerting().alerts().len(), 1, "not clear by the margin yet");
    app.at(44.0).await;
    assert!(app.alerting().alerts().is_empty());
    let stored = app.store().alerts().unwrap();
    let steps: Vec<_> = stored[0].steps.iter().map(|step| json!(step.what)).collect();
    assert_eq!(steps, [json!("fired"), json!("worsened"), json!("eased"), json!("resolved")]);
}

#[tokio::test]
async fn channels_that_are_told_at_once_do_not_wait_for_each_other() {
    // What became of a message is stored while the alerts are locked: whoever looks for the
    // next one meanwhile must let that go on.
    let channels: String =
        ["a", "b", "c"].map(|name| format!("[[channel.console]]\nname = '{name}'\n")).concat();
    let app = TestApp::with(&format!("{channels}{RULE}")).await;
    app.at(60.0).await;
    app.clock.advance(Duration::from_secs(60));
    app.deliver().await;
    let sent = app.get("/api/v1/monitoring/deliveries?state=delivered").await.json();
    assert_eq!(sent["total"], 3, "{sent}");
}

#[tokio::test]
async fn a_text_may_ask_for_other_series() {
    let rules = "[[rule]]\nname = 'hot'\nexpr = 'temperature > 50'\n\
                 title = '{{ with printf \"fan{room=%q}\" $labels.room | query }}{{ . | first | value }} rpm{{ end }}'\n\
                 message = '{{ query \"fan +\" }}'\n\
                 [rule.annotations]\nrooms = '{{ query \"count(temperature)\" | first | value }}'\n\
                 number = '{{ query \"1 + 1\" | first | value }}'\n\
                 many = '{{ range query \"sort(fan)\" }}{{ .Labels.room }} {{ .Value }}, {{ end }}'\n\
                 range = '{{ query \"fan[1m]\" }}'\n";
    let app = TestApp::with(rules).await;
    app.clock.advance(Duration::from_secs(1));
    let at = app.clock.now();
    let attic: &[(&str, &str)] = &[("room", "attic")];
    app.sample(
        at,
        &[("temperature", attic, 60.0), ("fan", attic, 900.0), ("fan", &[("room", "hall")], 300.0)],
    );
    app.round().await;
    let alerts = app.alerting().alerts();
    let alert = &alerts[0].alert;
    assert_eq!(alert.title, "900 rpm");
    assert!(
        alert.message.starts_with("<error expanding template: 1:4: `query` failed: 1:6"),
        "{}",
        alert.message
    );
    let annotation = |name: &str| alert.annotations[name].as_str();
    assert_eq!((annotation("rooms"), annotation("number")), ("1", "2"));
    assert_eq!(annotation("many"), "hall 300, attic 900, ");
    assert!(annotation("range").contains("expected an instant vector"), "{}", annotation("range"));
}

#[tokio::test]
async fn texts_ask_within_bounds() {
    let rules = "[[rule]]\nname = 'hot'\nexpr = 'temperature > 50'\n\
                 title = '{{ printf \"temperature{room=%q}\" $labels.room | query | first | value }}'\n";
    let app = TestApp::with(rules).await;
    app.clock.advance(Duration::from_secs(1));
    let rooms: Vec<String> = (0..300).map(|room| room.to_string()).collect();
    let labels: Vec<[(&str, &str); 1]> = rooms.iter().map(|room| [("room", room.as_str())]).collect();
    let samples: Vec<_> = labels.iter().map(|labels| ("temperature", labels.as_slice(), 60.0)).collect();
    app.sample(app.clock.now(), &samples);
    app.round().await;
    let alerts = app.alerting().alerts();
    let told = alerts.iter().filter(|shown| shown.alert.title == "60").count();
    let refused =
        alerts.iter().filter(|shown| shown.alert.title.contains("more than 200 expressions")).count();
    assert_eq!((alerts.len(), told, refused), (300, 200, 100));
}

/// An hour by minutes: calm, then ten minutes at 60, five at 90, calm again, and 60 at the end.
fn an_hour(app: &TestApp) {
    for minute in 0..60 {
        let value = match minute {
            10..20 => 60.0,
            20..25 => 90.0,
            55.. => 60.0,
            _ => 20.0,
        };
        let at = app.clock.now().minus(Duration::from_secs(60 * (59 - minute)));
        app.sample(at, &[("temperature", &[("room", "attic")], value)]);
    }
}

#[tokio::test]
async fn a_replay_says_what_a_rule_would_have_done() {
    let app = TestApp::with(RULE).await;
    an_hour(&app);
    let path = "/api/v1/monitoring/rules/hot/replay?last=1h";
    let answer = app.ask(Ask::post(path, "application/json", "")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!((&body["step"], &body["widened"]), (&json!("1s"), &json!(false)), "{body}");
    let totals = &body["totals"];
    assert_eq!(
        (&totals["firings"], &totals["worsened"], &totals["resolves"], &totals["flaps"]),
        (&json!(2), &json!(1), &json!(1), &json!(0)),
        "{body}"
    );
    // Fifteen minutes, and the last four.
    let firing = totals["firing_seconds"].as_f64().unwrap();
    assert!((firing - 19.0 * 60.0).abs() < 5.0, "{body}");
    assert_eq!(body["notifications"], json!({"firing": 2, "worsened": 1, "resolved": 1}), "{body}");
    assert_eq!(body["instances"][0]["labels"]["room"], "attic");
    assert_eq!(body["instances"][0]["peak"], "critical");
    let episodes = body["episodes"].as_array().unwrap();
    assert_eq!((episodes.len(), &episodes[1]["ended_at"]), (2, &json!(null)), "{body}");
    assert!(app.alerting().alerts().is_empty(), "a replay raises nothing");

    // With a limit that is not stored, and further back than the step of the rule allows.
    let tried = json!({"name": "tried", "expr": "temperature", "levels": {"high": 80}, "for": "10m"});
    let ask = |query: &str, body: &Value| {
        Ask::post(&format!("/api/v1/monitoring/rules/replay{query}"), "application/json", body.to_string())
    };
    let body = app.ask(ask("", &tried)).await.json();
    assert_eq!((&body["totals"]["firings"], &body["widened"]), (&json!(0), &json!(true)), "{body}");
    assert_eq!(body["step"], "1m1s");
    let steps = body["steps"].as_u64().unwrap();
    assert!(steps <= 10_000 && body["samples"].as_u64().unwrap() > 50, "{body}");

    let wrong = json!({"name": "tried", "expr": "temperature >", "levels": {"high": 80}});
    let refused = app.ask(ask("", &wrong)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "bad_rule"));
    assert_eq!(refused.json()["errors"][0]["pointer"], "/expr");
    let refused = app.ask(ask("?last=9999d", &tried)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (400, "bad_parameter"));
    let missing = app.ask(Ask::post("/api/v1/monitoring/rules/none/replay", "application/json", "")).await;
    assert_eq!(missing.problem(), "not_found");
}

#[tokio::test]
async fn a_rule_cannot_name_a_channel_that_does_not_exist() {
    let app = TestApp::start().await;
    let channel = json!({ "kind": "webhook", "name": "ops", "url": "http://127.0.0.1:9/" }).to_string();
    let made = app.ask_as_admin(Ask::post("/api/v1/monitoring/channels", "application/json", channel)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let rule = |notify: &str| {
        json!({ "name": "hot", "expr": "temperature > 1", "notify": [notify], "escalate": ["5m: ops"] })
            .to_string()
    };
    let refused =
        app.ask_as_admin(Ask::post("/api/v1/monitoring/rules", "application/json", rule("pager"))).await;
    let body = refused.json();
    assert_eq!((refused.status, &body["errors"][0]["pointer"]), (422, &json!("/notify")), "{body}");
    let detail = body["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.ends_with("names the channel `pager`, which does not exist; there are: ops"), "{body}");

    let lint =
        app.ask_as_admin(Ask::post("/api/v1/monitoring/rules/lint", "application/json", rule("pager"))).await;
    let body = lint.json();
    assert_eq!((&body["valid"], &body["errors"][0]["pointer"]), (&json!(false), &json!("/notify")), "{body}");

    let made = app.ask_as_admin(Ask::post("/api/v1/monitoring/rules", "application/json", rule("ops"))).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let removed = app.ask_as_admin(Ask::new(Method::DELETE, "/api/v1/monitoring/channels/ops")).await;
    assert_eq!(removed.status, 422, "a rule names it: {}", removed.text());
}

#[tokio::test]
async fn what_a_rule_says_of_tokens_and_passwords_is_no_secret() {
    let app = TestApp::start().await;
    let rule = json!({
        "name": "secret_token_age", "expr": "token_age > 1",
        "labels": { "token": "blue", "password_kind": "{{ $labels.secret }}" },
        "annotations": { "secret_hint": "the token {{ $labels.secret }} is old", "summary": "old" },
        "override": { "token": { "match": { "secret": "spare" }, "enabled": false } },
    });
    let made =
        app.ask_as_admin(Ask::post("/api/v1/monitoring/rules", "application/json", rule.to_string())).await;
    let shown = made.json();
    assert_eq!(made.status, 201, "{shown}");
    for key in ["labels", "annotations"] {
        assert_eq!(shown["config"][key], rule[key], "{shown}");
    }
    let change = Ask::patch(
        "/api/v1/monitoring/rules/secret_token_age",
        &json!({
            "labels": { "token": "green", "password_kind": "{{ $labels.secret }}" },
            "annotations": { "password": "none", "secret_hint": "the token {{ $labels.secret }} is old" },
        }),
    );
    let changed = app.ask_as_admin(change).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let config = app.ask_as_admin(Ask::get("/api/v1/config")).await;
    let drift = app.ask_as_admin(Ask::get("/api/v1/config/diff")).await;
    for text in [config.text(), drift.text(), changed.text()] {
        assert!(text.contains("green") && text.contains("spare") && !text.contains("***"), "{text}");
    }

    app.clock.advance(Duration::from_secs(1));
    let series = |secret| ("token_age", [("secret", secret)], 9.0);
    let series = ["session", "spare"].map(series);
    let series = series.each_ref().map(|(name, labels, value)| (*name, labels.as_slice(), *value));
    app.sample(app.clock.now(), &series);
    app.round().await;
    let alerts = app.get("/api/v1/monitoring/alerts").await.json();
    let alert = &alerts["alerts"][0];
    assert_eq!(alerts["total"], 1, "{alerts}");
    assert_eq!((&alert["labels"]["token"], &alert["labels"]["secret"]), (&json!("green"), &json!("session")));
    assert_eq!(alert["labels"]["password_kind"], "session", "{alert}");
    assert_eq!(alert["annotations"]["password"], "none", "{alert}");
    assert_eq!(alert["annotations"]["secret_hint"], "the token session is old", "{alert}");
}
