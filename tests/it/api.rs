//! What the endpoints answer, and what they say when they do not.

use hyper::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::app::{NOW, One, TestApp, labels, start, target};
use crate::support::client::Ask;
use holdfast::base::time::Timestamp;
use holdfast::http::Listener;
use holdfast::model::access::Scope;
use holdfast::model::probe::OutcomeClass;

#[tokio::test]
async fn health_is_brief_and_full_and_follows_the_targets() {
    let app = TestApp::start().await;
    let brief = app.get("/health").await;
    assert_eq!(brief.status, 200, "{}", brief.text());
    assert_eq!(brief.json()["status"], "healthy");
    assert_eq!(brief.json()["timestamp"], NOW.rfc3339());
    assert_eq!(app.get("/livez").await.json(), json!({"status": "alive"}));
    assert_eq!(app.get("/readyz").await.json(), json!({"status": "ready", "reasons": []}));

    app.targets.send_replace(vec![target("pg1", OutcomeClass::Hard)].into());
    let full = app.get("/api/v1/health").await;
    assert_eq!((full.status, full.json()["status"].as_str()), (503, Some("unhealthy")));
    let parts = full.json();
    let names: Vec<&str> =
        parts["components"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["store", "storage", "database", "pg1"]);
    // A dead target is no reason to restart the agent.
    assert_eq!(app.get("/readyz").await.status, 200);
    app.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(app.get("/health").await.status, 503);
}

#[tokio::test]
async fn not_ready_without_ticks_and_while_the_store_opens() {
    let (app, _settings) = TestApp::without_store("").await;
    assert_eq!(app.get("/livez").await.status, 200);
    assert_eq!(app.get("/ui/").await.status, 200);
    let health = app.get("/health").await;
    assert_eq!((health.status, health.problem().as_str()), (503, "starting"));
    assert!(health.json()["detail"].as_str().unwrap().contains("50 % done"));
    assert!(!health.header("retry-after").is_empty());
    app.host.send_modify(|view| std::sync::Arc::make_mut(view).ticks = 0);
    let ready = app.get("/readyz").await;
    let reasons = ready.json()["reasons"].to_string();
    assert_eq!(ready.status, 503);
    assert!(reasons.contains("store: ") && reasons.contains("collectors: no tick yet"), "{reasons}");
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let app = TestApp::start().await;
    let missing = app.get("/api/v1/nothing").await;
    assert_eq!((missing.status, missing.problem().as_str()), (404, "not_found"));
    assert_eq!(missing.json()["instance"], "/api/v1/nothing");

    let method = app.ask(Ask::new(Method::DELETE, "/api/v1/targets")).await;
    assert_eq!((method.status, method.problem().as_str()), (405, "method_not_allowed"));
    assert!(method.header("allow").contains("GET"));

    let unknown = app.get("/api/v1/targets?limt=5").await;
    assert_eq!((unknown.status, unknown.problem().as_str()), (400, "bad_parameter"));
    assert_eq!(unknown.json()["errors"][0]["pointer"], "limt");
    for path in ["/api/v1/targets?limit=x", "/api/v1/targets?limit=0", "/api/v1/targets?cursor=?"] {
        assert_eq!(app.get(path).await.problem(), "bad_parameter", "{path}");
    }

    let json = "application/json";
    let broken = app.ask_as_admin(Ask::post("/api/v1/config/validate", json, "{\"listen\": [")).await;
    assert_eq!((broken.status, broken.problem().as_str()), (400, "bad_json"));
    let large = vec![b' '; 1024 * 1024 + 1];
    let large = app.ask_as_admin(Ask::post("/api/v1/config/validate", json, large)).await;
    assert_eq!((large.status, large.problem().as_str()), (413, "too_large"));
    let kind = app.ask_as_admin(Ask::post("/api/v1/config/validate", "image/png", "x")).await;
    assert_eq!((kind.status, kind.problem().as_str()), (415, "unsupported_media_type"));
    let plain = app.get("/api/v1/monitoring/events").await;
    assert_eq!((plain.status, plain.problem().as_str()), (426, "upgrade_required"));
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing_and_the_next_request_is_served() {
    let app = TestApp::start().await;
    app.targets.send_replace(vec![target("panics", OutcomeClass::Ok)].into());
    let ask = Ask::new(Method::POST, "/api/v1/targets/panics/probe");
    let traced = ask.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let answer = app.ask_as_admin(traced).await;
    assert_eq!((answer.status, answer.problem().as_str()), (500, "internal"));
    assert_eq!(answer.json()["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert!(!answer.text().contains("secret-of-the-handler"));
    assert_eq!(app.get("/livez").await.status, 200);
    let figures = app.get("/api/v1/monitoring/metrics").await.json();
    assert_eq!(figures["api"]["total_requests"], 2);
    assert_eq!(figures["api"]["error_rate"], 0.5);
}

#[tokio::test]
async fn metrics_in_three_forms() {
    let app = TestApp::start().await;
    app.sample(NOW, &[("node_forks_total", &[], 7.0), ("node_load1", &[("a", "x\"y")], 0.5)]);
    let text = app.get("/metrics").await;
    assert_eq!(text.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(
        text.text(),
        "# HELP node_forks_total A counter.\n# TYPE node_forks_total counter\nnode_forks_total 7\n\
         # HELP node_load1 A \"gauge\".\n# TYPE node_load1 gauge\nnode_load1{a=\"x\\\"y\"} 0.5\n"
    );
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
    let open = app.ask(Ask::get("/metrics").header("accept", accept)).await;
    assert!(open.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.text().contains("# TYPE node_forks counter\nnode_forks_total 7\n"), "{}", open.text());
    assert!(open.text().ends_with("# EOF\n"));
    for ask in [Ask::get("/metrics?format=json"), Ask::get("/metrics").header("accept", "application/json")] {
        assert_eq!(app.ask(ask).await.json()["system"]["cpu_usage_percent"], 12.5);
    }
    assert_eq!(app.get("/metrics?format=xml").await.problem(), "bad_parameter");
    let off = TestApp::with("[metrics]\nenabled = false\n").await;
    assert_eq!(off.get("/metrics").await.status, 404);
}

#[tokio::test]
async fn a_listener_for_metrics_alone_serves_nothing_else() {
    let app = TestApp::start().await;
    let listener = Listener::tcp("127.0.0.1:0").await.unwrap();
    let address = listener.address().unwrap();
    start(&app.supervisor, "metrics", listener, &app.front.only_metrics());
    assert_eq!(Ask::get("/metrics").over_tcp(address).await.status, 200);
    for path in ["/health", "/ui/", "/api/v1/config"] {
        assert_eq!(Ask::get(path).over_tcp(address).await.problem(), "not_found", "{path}");
    }
}

#[tokio::test]
async fn what_does_not_exist_here_is_null() {
    let app = TestApp::start().await;
    let disk = |at: Timestamp, device: &str| {
        app.sample(at, &[("node_disk_read_bytes_total", &[("device", device)], 1.0)]);
    };
    disk(Timestamp(NOW.millis() - 3_600_000), "removed");
    disk(NOW, "sda");
    let body = app.get("/api/v1/monitoring/metrics").await.json();
    assert_eq!(body["storage"]["total_disks"], 1);
    assert_eq!(body["system"]["disk_usage_percent"], 40.0);
    assert_eq!(body["storage"]["available_bytes"], 550);
    for member in ["scst", "tape", "vtl"] {
        assert!(body[member].is_null() && body.as_object().unwrap().contains_key(member), "{member}");
    }
    assert_eq!(body["collected_at"], NOW.rfc3339());
}

#[tokio::test]
async fn series_and_queries_by_selector() {
    let app = TestApp::start().await;
    let start = Timestamp(NOW.millis() - 10_000);
    for second in 0..=10 {
        let at = Timestamp(start.millis() + second * 1000);
        // Nothing was sampled in the fifth second.
        if second != 5 {
            let cpu = second as f64;
            app.sample(at, &[("cpu", &[("mode", "idle")], cpu), ("cpu", &[("mode", "user")], -cpu)]);
        }
    }
    let list = app.get("/api/v1/series?match=cpu&limit=1").await.json();
    assert_eq!((list["total"].as_u64(), list["items"].as_array().unwrap().len()), (Some(2), 1));
    assert_eq!(list["items"][0]["labels"], json!({"mode": "idle"}));
    assert_eq!(list["items"][0]["last_value"], 10);
    let next = list["next"].as_str().unwrap();
    let second = app.get(&format!("/api/v1/series?match=cpu&limit=1&cursor={next}")).await.json();
    assert_eq!(second["items"][0]["labels"], json!(labels(&[("mode", "user")])));
    assert!(second["next"].is_null());

    let path = format!(
        "/api/v1/query_range?query=cpu%7Bmode%3D%22idle%22%7D&query=nothing&query=cpu&start={}&end={}&step=5",
        start.millis(),
        NOW.millis()
    );
    let range = app.get(&path).await;
    assert_eq!(range.status, 200, "{}", range.text());
    let range = range.json();
    assert_eq!((range["start_ms"].as_i64(), range["step_ms"].as_u64()), (Some(start.millis()), Some(5000)));
    assert_eq!(range["resolutions"], json!(["raw"]));
    let queries: Vec<u64> =
        range["series"].as_array().unwrap().iter().map(|one| one["query"].as_u64().unwrap()).collect();
    assert_eq!(queries, [0, 2, 2]);
    assert_eq!(range["series"][0]["values"].as_array().unwrap().len(), 3);
    assert_eq!(range["series"][0]["values"][2], 10);

    let instant = app.get("/api/v1/query?query=cpu").await.json();
    assert_eq!(instant["series"].as_array().unwrap().len(), 2);
    assert_eq!(instant["series"][1]["value"], -10);
    assert_eq!(instant["series"][1]["at"], NOW.rfc3339());

    let expression = app.get("/api/v1/query?query=rate(cpu%5B5m%5D)").await;
    assert_eq!((expression.status, expression.problem().as_str()), (422, "unsupported_expression"));
    let wrong = app.get("/api/v1/query?query=cpu%7Ba%7D").await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (400, "bad_selector"));
    let regex = app.get("/api/v1/query?query=cpu%7Ba%3D~%22(%22%7D").await;
    assert_eq!(regex.status, 400, "{}", regex.text());
    assert_eq!(app.get("/api/v1/query").await.problem(), "bad_parameter");
    let huge = "/api/v1/query_range?query=cpu&start=0&end=1800000000&step=0.001";
    assert_eq!(app.get(huge).await.problem(), "query_too_large");
    assert_eq!(app.get("/api/v1/query_range?query=cpu&start=2&end=1").await.status, 400);
}

#[tokio::test]
async fn a_range_is_bounded_with_its_bands_and_a_few_are_answered_at_a_time() {
    let app = TestApp::start().await;
    let numbers: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let labels: Vec<[(&str, &str); 1]> = numbers.iter().map(|number| [("n", number.as_str())]).collect();
    let series: Vec<_> = labels.iter().map(|labels| ("many", labels.as_slice(), 0.25)).collect();
    for second in [-2, -1, 0] {
        app.sample(Timestamp(NOW.millis() + second * 1000), &series);
    }
    let ask = |minutes: i64, step: u64| {
        let start = NOW.millis() - minutes * 60_000;
        format!("/api/v1/query_range?query=many&start={start}&end={}&step={step}", NOW.millis())
    };
    let path = ask(30, 10);
    let answers = tokio::join!(app.get(&path), app.get(&path), app.get(&path), app.get(&path));
    for answer in <[_; 4]>::from(answers) {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        assert_eq!(body["series"].as_array().unwrap().len(), 300);
        assert_eq!(body["series"][299]["max"].as_array().unwrap().len(), 181);
        assert_eq!(body["resolutions"], json!(["raw"]));
    }
    // 300 series of 601 points are well below the limit; thrice that, with bands, is not.
    let without = app.get(&ask(100, 10)).await.json();
    assert_eq!(without["series"][299]["values"].as_array().unwrap().len(), 601);
    assert!(without["series"][299]["max"].is_null());
    let large = app.get(&ask(300, 10)).await;
    assert_eq!((large.status, large.problem().as_str()), (422, "query_too_large"));
}

#[tokio::test]
async fn targets_their_history_and_a_probe_out_of_turn() {
    let app = TestApp::start().await;
    app.targets
        .send_replace(vec![target("pg1", OutcomeClass::Ok), target("gone", OutcomeClass::Hard)].into());
    let list = app.get("/api/v1/targets").await.json();
    assert_eq!((list["total"].as_u64(), list["items"][0]["name"].as_str()), (Some(2), Some("pg1")));
    assert_eq!(app.get("/api/v1/targets/pg1").await.json()["class"], "ok");
    let missing = app.get("/api/v1/targets/nothing").await;
    assert_eq!(missing.status, 404);
    assert!(missing.json()["hint"].as_str().unwrap().contains("pg1, gone"));

    let mut record = crate::support::app::record("pg1", OutcomeClass::Soft);
    app.store().record_probe(&record);
    record.at = Timestamp(NOW.millis() + 1000);
    app.store().record_probe(&record);
    let history = app.get("/api/v1/targets/pg1/history?limit=1").await.json();
    assert_eq!(history["total"], 2);
    assert_eq!(history["items"][0]["at"], record.at.rfc3339());

    let probe = |name: &str| Ask::new(Method::POST, &format!("/api/v1/targets/{name}/probe"));
    assert_eq!(app.ask(probe("pg1")).await.status, 401);
    let probed = app.ask_as_admin(probe("pg1")).await;
    assert_eq!((probed.status, probed.json()["class"].as_str()), (200, Some("ok")));
    assert_eq!(app.ask_as_admin(probe("gone")).await.problem(), "prober_unavailable");
    app.targets.send_replace(vec![target("off", OutcomeClass::Hard)].into());
    let off = app.ask_as_admin(probe("off")).await;
    assert_eq!((off.status, off.problem().as_str()), (409, "switched_off"));
}

#[tokio::test]
async fn the_agent_tells_about_itself() {
    let app = TestApp::start().await;
    let system = app.get("/api/v1/system").await.json();
    assert_eq!(system["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(system["host"]["hostname"], "box");
    assert!(system["store"]["cap_bytes"].is_u64() && system["self"].is_object());
    // What an earlier run left behind is not what this one costs.
    let cost = |seconds: i64, cpu: f64, rss: f64| {
        let series: [One<'_>; 2] =
            [("process_cpu_seconds_total", &[], cpu), ("process_resident_memory_bytes", &[], rss)];
        app.sample(Timestamp(NOW.millis() + seconds * 1000), &series);
    };
    cost(-10, 500.0, 99.0);
    let system = app.get("/api/v1/system").await.json();
    assert!(system["self"]["rss_bytes"].is_null() && system["self"]["cpu_percent"].is_null(), "{system}");
    for second in (0..=120).step_by(15) {
        // A busy start, then a tenth of a core.
        cost(second, 30.0 + second as f64 * 0.1, 7.0);
    }
    app.clock.advance(std::time::Duration::from_secs(120));
    let system = app.get("/api/v1/system").await.json();
    assert_eq!(
        (&system["self"]["rss_bytes"], &system["self"]["cpu_seconds_total"]),
        (&json!(7.0), &json!(42.0))
    );
    let percent = system["self"]["cpu_percent"].as_f64().unwrap();
    assert!((percent - 10.0).abs() < 0.01, "{percent}");
    let workers = app.get("/api/v1/system/workers").await.json();
    assert_eq!(workers["items"][0]["name"], "tcp");
    assert_eq!(app.get("/api/v1/system/processes").await.json()["by_cpu"], json!([]));
}

#[tokio::test]
async fn ingestion_takes_text_with_times_and_names_the_line_that_is_wrong() {
    let app = TestApp::start().await;
    let token = app.token(Scope::MonitoringWrite).await;
    let post = |body: String| {
        let kind = "application/openmetrics-text";
        Ask::post("/api/v1/ingest/openmetrics", kind, body).bearer(token.expose())
    };
    let mut text = String::from("# TYPE job counter\n# HELP job Jobs.\n");
    for second in 0..600 {
        let at = NOW.millis() / 1000 - 600 + second;
        text.push_str(&format!("job_total{{kind=\"backup\"}} {second} {at}\n"));
    }
    text.push_str("# EOF\n");
    let taken = app.ask(post(text)).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert_eq!(taken.json()["accepted"], 600);
    let series = app.get("/api/v1/series?match=job_total").await.json();
    assert_eq!(
        (&series["items"][0]["kind"], &series["items"][0]["help"]),
        (&json!("counter"), &json!("Jobs."))
    );

    let audit = app.ask_as_admin(Ask::get("/api/v1/audit")).await.json();
    assert_eq!(audit["items"][0]["action"], "import");
    assert!(audit["items"][0]["who"].as_str().unwrap().starts_with("token:monitoring:write"));

    // Long help and long labels make many parts: still one row, and the help is cut.
    let mut text = format!("# HELP long {}\n", "h".repeat(60_000));
    let label = "l".repeat(3000);
    for second in 0..3000 {
        text.push_str(&format!("long{{l=\"{label}\"}} 1 {}\n", NOW.millis() / 1000 - 3000 + second));
    }
    let taken = app.ask(post(text)).await;
    assert_eq!((taken.status, &taken.json()["accepted"]), (200, &json!(3000)), "{}", taken.text());
    let again = app.ask_as_admin(Ask::get("/api/v1/audit")).await.json();
    assert_eq!(again["total"].as_u64(), audit["total"].as_u64().map(|total| total + 1));
    let series = app.get("/api/v1/series?match=long").await.json();
    assert_eq!(series["items"][0]["help"].as_str().map(str::len), Some(1024));

    for (body, line) in [("a 1 1795166000\nb 1\n", "line 2"), ("a{ 1 1\n", "line 1"), ("a 1 x", "line 1")] {
        let refused = app.ask(post(body.to_owned())).await;
        assert_eq!((refused.status, refused.problem().as_str()), (400, "bad_exposition"), "{body}");
        assert_eq!(refused.json()["errors"][0]["pointer"], line);
    }
    let mut stream = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "POST /api/v1/ingest/openmetrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 68000000\r\n\r\n",
        token.expose()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    let long = "a".repeat(70_000);
    assert_eq!(app.ask(post(long)).await.problem(), "bad_exposition");
}

#[tokio::test]
async fn the_configuration_is_shown_changed_and_guarded() {
    let app = TestApp::with("[storage]\nprofile = \"flash\"\n").await;
    let shown = app.get("/api/v1/config").await;
    let etag = shown.header("etag").to_owned();
    assert!(!etag.is_empty());
    let body = shown.json();
    let value = |key: &str| body["values"].as_array().unwrap().iter().find(|one| one["key"] == key).cloned();
    assert_eq!(value("storage.profile").unwrap()["origin"]["source"], "file");

    let change = json!({"storage": {"profile": "default"}});
    let patch = || Ask::patch("/api/v1/config", &change);
    let without = app.ask_as_admin(patch()).await;
    assert_eq!((without.status, without.problem().as_str()), (428, "if_match_missing"));
    let stale = app.ask_as_admin(patch().header("if-match", "\"old\"")).await;
    assert_eq!((stale.status, stale.problem().as_str()), (412, "stale"));
    let applied = app.ask_as_admin(patch().header("if-match", &etag)).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    assert_eq!(applied.json()["changed"], json!(["storage.profile"]));
    assert_ne!(applied.header("etag"), etag);
    // PUT is the same, for who expects that of an ETag.
    let put = |change| Ask { method: Method::PUT, ..Ask::patch("/api/v1/config", &change) };
    let change = json!({"storage": {"profile": "flash"}});
    assert_eq!(app.ask_as_admin(put(change.clone())).await.problem(), "if_match_missing");
    assert_eq!(app.ask_as_admin(put(change.clone()).header("if-match", &etag)).await.problem(), "stale");
    let replaced = app.ask_as_admin(put(change).header("if-match", applied.header("etag"))).await;
    assert_eq!(replaced.json()["changed"], json!(["storage.profile"]), "{}", replaced.text());
    let back = json!({"storage": {"profile": "default"}});
    assert_eq!(app.ask_as_admin(put(back).header("if-match", "*")).await.status, 200);

    let bad = Ask::patch("/api/v1/config", &json!({"storage": {"cap": 5}})).header("if-match", "*");
    let bad = app.ask_as_admin(bad).await;
    assert_eq!((bad.status, bad.problem().as_str()), (422, "config_invalid"));
    assert_eq!(bad.json()["errors"][0]["pointer"], "/storage/cap");

    let diff = app.get("/api/v1/config/diff").await.json();
    assert_eq!(diff["items"][0]["key"], "storage.profile");
    let export = app.get("/api/v1/config/export").await;
    assert_eq!(export.header("content-type"), "application/toml");
    let audit = app.ask_as_admin(Ask::get("/api/v1/audit")).await.json();
    assert_eq!(audit["items"][0]["action"], "config.apply");

    let validate = |kind: &str, body: &str| {
        app.ask_as_admin(Ask::post("/api/v1/config/validate", kind, body.to_owned()))
    };
    assert_eq!(validate("application/toml", "[storage]\ncap = \"64MiB\"\n").await.status, 200);
    assert_eq!(validate("application/json", "{\"storage\": {\"cap\": \"64MiB\"}}").await.status, 200);
    let wrong = validate("application/toml", "[storage]\ncapp = \"64MiB\"\n").await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (422, "config_invalid"));
}

#[tokio::test]
async fn a_pinned_value_names_file_and_line() {
    let file = "[[target.postgres]]\nname = \"pg1\"\nhost = \"127.0.0.1\"\nuser = \"u\"\ndatabase = \"d\"\n";
    let app = TestApp::with(file).await;
    let change = json!({"target": {"postgres": {"pg1": {"host": "10.0.0.1"}}}});
    let answer = app.ask_as_admin(Ask::patch("/api/v1/config", &change).header("if-match", "*")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (409, "pinned"), "{}", answer.text());
    assert!(answer.json()["detail"].as_str().unwrap().contains("test.toml:3"), "{}", answer.text());
}

#[tokio::test]
async fn the_page_is_served_with_its_headers() {
    let app = TestApp::start().await;
    for path in ["/", "/dashboard.html", "/ui"] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/ui/"), "{path}");
    }
    let page = app.get("/ui/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").starts_with("default-src 'self'"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("cache-control"), "no-cache");
    let again = app.ask(Ask::get("/ui/").header("if-none-match", page.header("etag"))).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    // A place inside the page is the page; a file that is missing is missing.
    assert_eq!(app.get("/ui/targets/pg1").await.body, page.body);
    assert_eq!(app.get("/ui/assets/app-0.js").await.problem(), "not_found");
    assert_eq!(app.get("/ui/../Cargo.toml").await.status, 404);
}
