//! `/prometheus/api/v1`: the shapes of Prometheus, and its own clients against the agent.

use std::process::Command;
use std::time::Duration;

use holdfast::base::time::{Clock as _, Timestamp};
use serde_json::{Value, json};

use crate::support::agent::{Agent, escape};
use crate::support::app::{NOW, TestApp};
use crate::support::client::{Answer, Ask};

const FORM: &str = "application/x-www-form-urlencoded";
const RULES: &str = "[[rule]]\nname = 'hot'\nexpr = 'temperature'\nop = '>'\nlevels = { medium = 50, critical = 80 }\n\
                     for = '10s'\ntitle = 'hot'\n\
                     [[rule]]\nname = 'Cold'\nexpr = 'temperature < 0'\nseverity = 'high'\nkeep_firing_for = '1m'\n\
                     [[rule]]\nname = 'mean'\nrecord = 'room:temperature:mean'\nexpr = 'avg(temperature)'\nlabels = { by = 'me' }\n\
                     [[rule]]\nname = 'off'\nexpr = 'temperature'\nenabled = false\n";

async fn app() -> TestApp {
    let app = TestApp::start().await;
    for (before, value) in [(30, 1.0), (15, 2.0), (0, 4.0)] {
        let at = NOW.minus(Duration::from_secs(before));
        app.sample(at, &[("x_total", &[("job", "a"), ("zone", "1")], value), ("up", &[("job", "b")], 1.0)]);
    }
    app
}

/// The data of a good answer.
fn data(answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{answer:?}");
    let body = answer.json();
    assert_eq!(body["status"], "success", "{body}");
    body["data"].clone()
}

/// Status, `errorType` and `error` of a refusal.
fn refusal(answer: &Answer) -> (u16, String, String) {
    assert_eq!(answer.header("content-type"), "application/json", "{answer:?}");
    let body = answer.json();
    assert_eq!(body["status"], "error", "{body}");
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (answer.status, text("errorType"), text("error"))
}

async fn query(app: &TestApp, text: &str) -> Answer {
    app.get(&format!("/prometheus/api/v1/query?query={}", escape(text))).await
}

#[tokio::test]
async fn every_kind_of_value_has_the_shape_of_prometheus() {
    let app = app().await;
    let now = json!(1_795_166_565);
    for (text, expected) in [
        (
            "up",
            json!({"resultType": "vector", "result": [{"metric": {"__name__": "up", "job": "b"}, "value": [now, "1"]}]}),
        ),
        (
            "up / 0",
            json!({"resultType": "vector", "result": [{"metric": {"job": "b"}, "value": [now, "+Inf"]}]}),
        ),
        ("nothing", json!({"resultType": "vector", "result": []})),
        ("1 / 4", json!({"resultType": "scalar", "result": [now, "0.25"]})),
        ("\"a\"", json!({"resultType": "string", "result": [now, "a"]})),
        (
            "x_total[20s]",
            json!({"resultType": "matrix", "result": [{"metric": {"__name__": "x_total", "job": "a", "zone": "1"},
                   "values": [[1_795_166_550, "2"], [1_795_166_565, "4"]]}]}),
        ),
    ] {
        assert_eq!(data(&query(&app, text).await), expected, "{text}");
    }
    let range = "query=x_total&start=1795166549.5&end=1795166565&step=15";
    let expected = json!({"resultType": "matrix", "result": [{"metric": {"__name__": "x_total", "job": "a", "zone": "1"},
                          "values": [[1_795_166_549.5, "1"], [1_795_166_564.5, "2"]]}]});
    let by_get = app.get(&format!("/prometheus/api/v1/query_range?{range}")).await;
    assert_eq!(data(&by_get), expected);
    // As Grafana asks: a form, and parameters that are not known here.
    let body = format!("{range}&stats=all&_=1");
    assert_eq!(data(&app.ask(Ask::post("/prometheus/api/v1/query_range", FORM, body)).await), expected);
    let body = "query=1%2B1&time=1795166565&timeout=10s";
    let answer = app.ask(Ask::post("/prometheus/api/v1/query?query=7", FORM, body)).await;
    assert_eq!(data(&answer), json!({"resultType": "scalar", "result": [now, "2"]}));
}

#[tokio::test]
async fn remarks_and_limits_stand_beside_the_data() {
    let app = app().await;
    let body = query(&app, "quantile(2, up)").await.json();
    assert!(body["warnings"][0].as_str().unwrap().contains("between 0 and 1"), "{body}");
    assert!(body["infos"].is_null(), "{body}");
    let body = app.get("/prometheus/api/v1/query?query=%7Bjob%3D~%22.%2B%22%7D&limit=1").await.json();
    assert_eq!(body["data"]["result"].as_array().unwrap().len(), 1);
    assert_eq!(body["warnings"], json!(["results truncated due to limit"]));

    // A day that is stored in rows of a minute says so.
    app.store().flush(1).await.unwrap();
    for event in [2, 3] {
        app.clock.advance(Duration::from_secs(3600));
        app.sample(app.clock.now(), &[("up", &[("job", "b")], 1.0)]);
        app.store().flush(event).await.unwrap();
    }
    let body = query(&app, "count_over_time(x_total[1d])").await.json();
    assert_eq!(body["infos"], json!(["resolution: made from 1m rows"]), "{body}");
}

#[tokio::test]
async fn refusals_have_the_words_types_and_codes_of_prometheus() {
    let app = app().await;
    let long = "(".repeat(70_000);
    for (path, status, kind, words) in [
        ("query?query=", 400, "bad_data", "invalid parameter \"query\": 1:1: parse error: "),
        ("query?query=up%2B", 400, "bad_data", "invalid parameter \"query\": 1:4: parse error: "),
        ("query?query=a%0A%2B", 400, "bad_data", "invalid parameter \"query\": 2:2: parse error: "),
        (
            "query?query=up&time=x",
            400,
            "bad_data",
            "invalid parameter \"time\": cannot parse \"x\" to a valid timestamp",
        ),
        (
            "query?query=up&timeout=x",
            400,
            "bad_data",
            "invalid parameter \"timeout\": cannot parse \"x\" to a valid duration",
        ),
        ("query?query=up&limit=x", 400, "bad_data", "limit must be a number"),
        ("query?query=%7Ba%3D~%22(%22%7D", 400, "bad_data", "invalid parameter \"query\": 1:"),
        (
            "query_range?query=up",
            400,
            "bad_data",
            "invalid parameter \"start\": cannot parse \"\" to a valid timestamp",
        ),
        (
            "query_range?query=up&start=1&end=2",
            400,
            "bad_data",
            "invalid parameter \"step\": cannot parse \"\" to a valid duration",
        ),
        (
            "query_range?query=up&start=1&end=2&step=0",
            400,
            "bad_data",
            "invalid parameter \"step\": zero or negative",
        ),
        (
            "query_range?query=up&start=3&end=2&step=1",
            400,
            "bad_data",
            "invalid parameter \"end\": end timestamp must not be before",
        ),
        (
            "query_range?query=up&start=1&end=11002&step=1",
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points",
        ),
        ("query_range?query=up%5B5m%5D&start=1&end=2&step=1", 400, "bad_data", "a range of times takes"),
        ("query?query=1%2Bon(job)group_left()up", 400, "bad_data", "invalid parameter \"query\": 1:"),
        ("query?query=up%20*%20on()%20%7Bjob%3D~%22.%2B%22%7D", 422, "execution", ""),
        ("series", 400, "bad_data", "no match[] parameter provided"),
        ("series?match[]=up%7B", 400, "bad_data", "invalid parameter \"match[]\": 1:"),
        ("label/a-b/values", 400, "bad_data", "invalid label name: \"a-b\""),
        ("metadata?limit=x", 400, "bad_data", "limit must be a number"),
        ("rules?type=both", 400, "bad_data", "invalid parameter \"type\": not supported value \"both\""),
        ("nothing", 404, "not_found", "there is nothing at this path"),
    ] {
        let (found, found_kind, error) = refusal(&app.get(&format!("/prometheus/api/v1/{path}")).await);
        assert_eq!((found, found_kind.as_str()), (status, kind), "{path}: {error}");
        assert!(error.starts_with(words), "{path}: {error}");
    }
    let post = |body: &str| app.ask(Ask::post("/prometheus/api/v1/query", FORM, body.to_owned()));
    assert_eq!(refusal(&post(&format!("query={long}")).await).0, 400);
    let answer = app.ask(Ask::post("/prometheus/api/v1/query", "application/json", "{}")).await;
    assert_eq!(refusal(&answer).0, 415);
    let answer = app.ask(Ask::new(hyper::Method::DELETE, "/prometheus/api/v1/series")).await;
    assert_eq!((refusal(&answer).0, answer.header("allow")), (405, "GET,HEAD,POST"));
    let answer = app.ask(Ask::get("/prometheus/api/v1/query?query=1").bearer("wrong")).await;
    let (status, kind, error) = refusal(&answer);
    assert_eq!((status, kind.as_str()), (401, "unauthorized"));
    assert!(error.contains("unknown or expired"), "{error}");
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
}

#[tokio::test]
async fn what_takes_too_much_is_refused_and_what_nobody_waits_for_ends() {
    let app = TestApp::start().await;
    for second in 0..3000 {
        app.sample(NOW.minus(Duration::from_secs(second)), &[("x", &[], second as f64)]);
    }
    // Would take minutes.
    let heavy = vec!["quantile_over_time(0.5%2Cx%5B50m%3A1s%5D)"; 100].join("%2B");
    let heavy = format!("query={heavy}&start=1795156565&end=1795167565&step=1");
    let wide = "query=sum_over_time(vector(1)%5B100d%3A1s%5D)";
    let (status, kind, error) = refusal(&app.get(&format!("/prometheus/api/v1/query?{wide}")).await);
    assert_eq!((status, kind.as_str()), (422, "execution"), "{error}");
    assert!(error.contains("more than 5000000 samples"), "{error}");
    // All turns are taken by clients that go away; then others have theirs.
    let turns = &app.front.app().evaluations;
    let mut clients = Vec::new();
    for left in [1, 0] {
        let mut client = tokio::net::TcpStream::connect(app.address).await.unwrap();
        let head =
            format!("GET /prometheus/api/v1/query_range?{heavy} HTTP/1.1\r\nHost: {}\r\n\r\n", app.address);
        tokio::io::AsyncWriteExt::write_all(&mut client, head.as_bytes()).await.unwrap();
        while turns.available_permits() > left {
            tokio::task::yield_now().await;
        }
        clients.push(client);
    }
    drop(clients);
    assert_eq!(data(&query(&app, "1").await)["result"][1], "1");
    while turns.available_permits() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn series_labels_and_metadata() {
    let app = app().await;
    let get = async |path: &str| app.get(&format!("/prometheus/api/v1/{path}")).await;
    let series = json!([{"__name__": "x_total", "job": "a", "zone": "1"}]);
    assert_eq!(data(&get("series?match[]=x_total&match[]=none").await), series);
    let form =
        Ask::post("/prometheus/api/v1/series", FORM, "match%5B%5D=%7Bzone%3D%221%22%7D&end=1795166565");
    assert_eq!(data(&app.ask(form).await), series);
    assert_eq!(data(&get("series?match[]=up&end=1795166000").await), json!([]), "before its first sample");
    assert_eq!(data(&get("series?match[]=up&start=1795167000").await), json!([]), "after its last");
    assert_eq!(data(&get("labels").await), json!(["__name__", "job", "zone"]));
    assert_eq!(data(&get("labels?match[]=up").await), json!(["__name__", "job"]));
    assert_eq!(data(&get("label/job/values").await), json!(["a", "b"]));
    assert_eq!(data(&get("label/__name__/values?match[]=%7Bjob%3D%22a%22%7D").await), json!(["x_total"]));
    assert_eq!(data(&get("label/absent/values").await), json!([]));
    let cut = get("label/job/values?limit=1").await.json();
    assert_eq!(
        (&cut["data"], &cut["warnings"][0]),
        (&json!(["a"]), &json!("results truncated due to limit"))
    );
    let metadata = json!({"up": [{"type": "gauge", "help": "A \"gauge\".", "unit": ""}]});
    assert_eq!(data(&get("metadata?metric=up").await), metadata);
    assert_eq!(data(&get("metadata").await)["x_total"][0]["type"], "counter");
    assert_eq!(data(&get("metadata?limit=1").await).as_object().unwrap().len(), 1);
    let build = data(&get("status/buildinfo").await);
    assert!(build["version"].as_str().unwrap().starts_with("3."), "{build}");
    assert_eq!(build["application"], "holdfast");
    assert_eq!(data(&get("format_query?query=sum(up)by(x)").await), "sum by (x) (up)");
}

#[tokio::test]
async fn rules_and_alerts() {
    let app = TestApp::with(RULES).await;
    app.sample(
        NOW,
        &[("temperature", &[("room", "attic")], -5.0), ("temperature", &[("room", "oven")], 90.0)],
    );
    let get = async |path: &str| data(&app.get(&format!("/prometheus/api/v1/{path}")).await);
    let before = get("rules?rule_name[]=hot").await;
    assert_eq!(before["groups"][0]["rules"][0]["health"], "unknown");
    assert_eq!(before["groups"][0]["rules"][0]["lastEvaluation"], "0001-01-01T00:00:00Z");
    app.round().await;
    let rules = get("rules?rule_group[]=configured&rule_group[]=recording").await;
    let (hot, cold) = (&rules["groups"][0]["rules"][0], &rules["groups"][0]["rules"][1]);
    assert_eq!(rules["groups"][0]["rules"].as_array().unwrap().len(), 2, "what is off is no rule");
    for (name, value) in [
        ("name", json!("hot")),
        ("type", json!("alerting")),
        ("state", json!("pending")),
        ("query", json!("(temperature) > 50")),
        ("duration", json!(10.0)),
        ("health", json!("ok")),
        ("labels", json!({"severity": "medium"})),
        ("annotations", json!({"summary": "hot"})),
        ("lastEvaluation", json!(NOW.rfc3339())),
    ] {
        assert_eq!(hot[name], value, "{name}");
    }
    assert_eq!((&cold["state"], &cold["keepFiringFor"]), (&json!("firing"), &json!(60.0)));
    let alert = &cold["alerts"][0];
    assert_eq!(alert["labels"], json!({"alertname": "Cold", "room": "attic", "severity": "high"}));
    assert_eq!((&alert["state"], &alert["value"]), (&json!("firing"), &json!("-5e+00")));
    assert_eq!(Timestamp::parse(alert["activeAt"].as_str().unwrap()), Some(NOW));
    let mean = &rules["groups"][1]["rules"][0];
    assert_eq!((&mean["name"], &mean["type"]), (&json!("room:temperature:mean"), &json!("recording")));
    assert_eq!(
        (&mean["health"], &mean["labels"], &mean["state"]),
        (&json!("ok"), &json!({"by": "me"}), &Value::Null)
    );
    let names = |rules: &Value| {
        let groups = rules["groups"].as_array().unwrap().clone();
        groups.iter().map(|group| group["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&get("rules").await), ["configured", "recording", "shipped"]);
    assert_eq!(names(&get("rules?type=record").await), ["recording"]);
    assert_eq!(names(&get("rules?file[]=other.yml").await), [""; 0]);
    let without = get("rules?rule_name[]=Cold&exclude_alerts=true").await;
    assert_eq!(without["groups"][0]["rules"][0]["alerts"], json!([]));
    assert_eq!(without["groups"][0]["rules"][0]["state"], "firing");
    let alerts = get("alerts").await;
    let states: Vec<&str> =
        alerts["alerts"].as_array().unwrap().iter().map(|alert| alert["state"].as_str().unwrap()).collect();
    assert!(states.contains(&"firing") && states.contains(&"pending"), "{alerts}");
}

/// Runs promtool against the agent; its output, and whether it was content.
fn promtool(agent: &Agent, arguments: &[&str]) -> (bool, String) {
    let server = format!("http://{}/prometheus", agent.address);
    let arguments = arguments.iter().map(|one| if *one == "SERVER" { server.as_str() } else { one });
    let output = Command::new("promtool").args(arguments).output().expect("promtool is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn promtool_takes_the_agent_for_prometheus() {
    let home = tempfile::tempdir().unwrap();
    let agent = Agent::start(&home.path().join("data"), "");
    let good = |arguments: &[&str], expected: &str| {
        let (ok, text) = promtool(&agent, arguments);
        assert!(ok && text.contains(expected), "{arguments:?}: {text}");
    };
    good(&["query", "instant", "SERVER", "node_load1"], "node_load1");
    good(&["query", "instant", "SERVER", "count(node_cpu_seconds_total{mode=\"idle\"}) > 0"], "{} => ");
    good(&["query", "range", "--step=1s", "SERVER", "sum(node_load1)"], "{} =>\n");
    good(&["query", "series", "--match=node_load1", "SERVER"], "node_load1");
    good(&["query", "labels", "SERVER", "mode"], "idle");
    let (ok, text) = promtool(&agent, &["query", "instant", "SERVER", "sum("]);
    assert!(!ok && text.contains("bad_data: invalid parameter \"query\": 1:5: parse error:"), "{text}");
}
