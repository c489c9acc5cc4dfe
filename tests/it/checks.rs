//! Checks and their pings over the API, with the real store below.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use holdfast::model::access::Scope;

use super::support::agent::{Agent, escape};
use super::support::app::TestApp;
use super::support::client::{Answer, Ask};

const FILE: &str = "[[check]]\nname = \"nightly\"\nperiod = \"1d\"\ngrace = \"2h\"\n";
const CHECK: &str = "/api/v1/checks/nightly";

async fn send(app: &TestApp, method: Method, path: &str, body: &Value) -> Answer {
    let mut ask = Ask::new(method, path).header("content-type", "application/json");
    ask.body = body.to_string().into();
    app.ask_as_admin(ask).await
}

/// The check as an administrator sees it.
async fn look(app: &TestApp) -> Value {
    app.ask_as_admin(Ask::get(CHECK)).await.json()
}

async fn ping_url(app: &TestApp) -> String {
    look(app).await["ping_url"].as_str().unwrap().to_owned()
}

/// The status after so many seconds.
async fn after(app: &TestApp, seconds: u64) -> String {
    app.clock.advance(Duration::from_secs(seconds));
    app.tasks.get().unwrap().tick().await;
    look(app).await["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_check_reports_is_late_and_down_and_up_again() {
    let app = TestApp::with(FILE).await;
    let new = look(&app).await;
    assert_eq!(
        (&new["status"], &new["last_ping"], &new["slug"]),
        (&json!("new"), &json!(null), &json!("nightly"))
    );
    let url = ping_url(&app).await;
    let answer = app.get(&url).await;
    assert_eq!((answer.status, answer.text()), (200, "OK"));
    assert!(answer.header("content-type").starts_with("text/plain"));
    let up = look(&app).await;
    assert_eq!((&up["status"], &up["pings"]), (&json!("up"), &json!(1)));
    assert_eq!(up["last_ping"], "2026-11-20T09:22:45.000Z");
    assert_eq!(up["next_due"], "2026-11-21T09:22:45.000Z");
    assert_eq!(up["down_at"], "2026-11-21T11:22:45.000Z");

    assert_eq!(after(&app, 86_399).await, "up");
    assert_eq!(after(&app, 1).await, "late");
    assert_eq!(after(&app, 7200).await, "down");
    assert_eq!(look(&app).await["reason"], "missed");
    assert_eq!(app.ask(Ask::new(Method::HEAD, &url)).await.status, 200);
    assert_eq!(after(&app, 0).await, "up");
    assert_eq!(app.get(&format!("{url}/fail")).await.status, 200);
    assert_eq!((after(&app, 0).await.as_str(), &look(&app).await["reason"]), ("down", &json!("failed")));

    // A clock that is set forward takes nothing down.
    app.get(&url).await;
    app.clock.jump_to(holdfast::base::time::Timestamp(i64::MAX / 2));
    assert_eq!(after(&app, 1).await, "up");
}

#[tokio::test]
async fn the_ways_to_report_and_what_is_kept_of_them() {
    let app = TestApp::with(FILE).await;
    let url = ping_url(&app).await;
    let slug = look(&app).await["slug_url"].as_str().unwrap().to_owned();
    let key = app.ask_as_admin(Ask::get("/api/v1/ping-key")).await.json()["key"].as_str().unwrap().to_owned();
    assert_eq!((slug.as_str(), key.len()), (format!("/ping/{key}/nightly").as_str(), 32));
    app.get(&format!("{url}/start?rid=a")).await;
    app.clock.advance(Duration::from_secs(5));
    let log = "x".repeat(20_000);
    for (path, body, status) in [
        (format!("{slug}/start"), "", 200),
        (format!("{url}/log"), "a note", 200),
        (format!("{url}/3?rid=a"), &*log, 200),
        (format!("{slug}/0"), "", 200),
        (format!("{url}?unknown=1"), "", 200),
        (format!("{url}/256"), "", 400),
        (format!("{url}?rid=a%20b"), "", 400),
        (format!("{url}/finish"), "", 404),
        (format!("/ping/{key}/other"), "", 404),
        (format!("/ping/{}/nightly", "0".repeat(32)), "", 404),
        (String::from("/ping/00000000-0000-4000-8000-000000000000"), "", 404),
        (String::from("/ping/nightly"), "", 404),
    ] {
        let answer = app.ask(Ask::post(&path, "text/plain", body.to_owned())).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if status >= 400 {
            answer.problem();
            assert!(
                answer.json()["instance"].as_str().unwrap().starts_with("/ping/***"),
                "{}",
                answer.text()
            );
        }
    }
    let pings = app.get(&format!("{CHECK}/pings")).await.json();
    let kinds: Vec<&str> =
        pings["items"].as_array().unwrap().iter().map(|ping| ping["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["success", "success", "fail", "log", "start", "start"]);
    let failed = &pings["items"][2];
    assert_eq!(
        (&failed["exit"], &failed["rid"], &failed["duration_seconds"]),
        (&json!(3), &json!("a"), &json!(5.0))
    );
    assert_eq!(failed["body"].as_str().unwrap().len(), 10_000);
    assert_eq!(pings["items"][3]["body"], "a note");
    let page = app.get(&format!("{CHECK}/pings?limit=1&offset=5")).await.json();
    assert_eq!((&page["total"], &page["items"][0]["number"]), (&json!(6), &json!(1)));
}

#[tokio::test]
async fn a_run_of_a_check_is_a_task() {
    let app = TestApp::with(FILE).await;
    let url = ping_url(&app).await;
    app.get(&format!("{url}/start")).await;
    let running = app.get("/api/v1/tasks?state=running&check=nightly").await.json();
    assert_eq!((&running["total"], &running["items"][0]["name"]), (&json!(1), &json!("nightly")));
    let id = running["items"][0]["id"].as_str().unwrap().to_owned();
    let ended = send(&app, Method::POST, &format!("/api/v1/tasks/{id}/fail"), &json!({})).await;
    assert_eq!((ended.status, ended.problem().as_str()), (409, "of_check"));
    app.clock.advance(Duration::from_secs(60));
    app.ask(Ask::post(&format!("{url}/fail"), "text/plain", "\n disk full\nmore")).await;
    let task = app.get(&format!("/api/v1/tasks/{id}")).await.json();
    assert_eq!((&task["state"], &task["duration_seconds"]), (&json!("failed"), &json!(60.0)));
    assert_eq!(task["message"], "disk full");

    app.get(&url).await;
    app.get(&format!("{url}/start")).await;
    assert_eq!(after(&app, 7200).await, "down", "no end within the grace");
    assert_eq!(look(&app).await["reason"], "overran");
    let failed = app.get("/api/v1/tasks?state=failed").await.json();
    assert_eq!(
        (&failed["total"], &failed["items"][0]["message"]),
        (&json!(2), &json!("no end was reported in time"))
    );
    let figures = app.get("/api/v1/monitoring/metrics").await.json();
    assert_eq!((&figures["tasks"]["failed"], &figures["tasks"]["pending"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn a_check_is_created_changed_paused_and_removed() {
    let app = TestApp::with(FILE).await;
    let created = send(&app, Method::POST, "/api/v1/checks", &json!({ "name": "hourly" })).await;
    assert_eq!((created.status, created.header("location")), (201, "/api/v1/checks/hourly"), "{created:?}");
    let made = created.json();
    assert_eq!(
        (&made["period"], &made["grace"], &made["status"]),
        (&json!("1d"), &json!("1h"), &json!("new"))
    );
    let url = made["ping_url"].as_str().unwrap().to_owned();
    let path = "/api/v1/checks/hourly";

    let patched =
        send(&app, Method::PATCH, path, &json!({ "period": "1h", "description": "of the shop" })).await;
    assert_eq!((patched.status, &patched.json()["period"]), (200, &json!("1h")));
    let replaced =
        send(&app, Method::PUT, path, &json!({ "name": "hourly", "slug": "each-hour" })).await.json();
    assert_eq!((&replaced["period"], &replaced["description"]), (&json!("1d"), &json!("")));
    assert_eq!(replaced["ping_url"], json!(url), "its id stays");
    let slug = replaced["slug_url"].as_str().unwrap().to_owned();
    assert!(slug.ends_with("/each-hour"));
    assert_eq!(app.get(&slug).await.status, 200);
    assert_eq!(app.get(&slug.replace("each-hour", "hourly")).await.status, 404);
    let config = app.get(&format!("{path}/config")).await.json();
    assert_eq!((&config["slug"], &config["enabled"]), (&json!("each-hour"), &json!(true)));

    let paused = send(&app, Method::POST, &format!("{path}/pause"), &json!(null)).await;
    assert_eq!((paused.status, &paused.json()["status"]), (200, &json!("paused")));
    let resumed = send(&app, Method::POST, &format!("{path}/resume"), &json!(null)).await.json();
    assert_eq!((&resumed["status"], &resumed["reason"]), (&json!("new"), &json!("resumed")));
    send(&app, Method::POST, &format!("{path}/pause"), &json!(null)).await;
    app.get(&url).await;
    assert_eq!(app.get(path).await.json()["status"], "up", "a ping resumes it");

    let off = send(&app, Method::PATCH, path, &json!({ "enabled": false })).await.json();
    assert_eq!(off["status"], "paused");
    assert_eq!(app.get(&url).await.status, 200);
    assert_eq!(app.get(path).await.json()["status"], "paused", "it is switched off");
    let refused = send(&app, Method::POST, &format!("{path}/resume"), &json!(null)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "switched_off"));
    assert_eq!(send(&app, Method::PATCH, path, &json!({ "enabled": true })).await.json()["status"], "new");

    assert_eq!(send(&app, Method::DELETE, path, &json!(null)).await.status, 204);
    assert_eq!((app.get(path).await.status, app.get(&url).await.status), (404, 404));
    let again = send(&app, Method::POST, "/api/v1/checks", &json!({ "name": "hourly" })).await.json();
    assert_ne!(again["ping_url"], json!(url), "a new check has a new id");
    assert_eq!(app.get(&format!("{path}/pings")).await.json()["total"], 0);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_what_the_file_defines_stays() {
    let app = TestApp::with(FILE).await;
    for (body, status, pointer) in [
        (json!({ "name": "Not A Name" }), 422, "/name"),
        (json!({}), 422, "/name"),
        (json!({ "name": "x", "period": 30 }), 422, "/period"),
        (json!({ "name": "x", "period": "1ms" }), 422, "/period"),
        (json!({ "name": "x", "grase": "1h" }), 422, "/grase"),
        (json!({ "name": "x", "slug": "nightly" }), 422, "/slug"),
        (json!({ "name": "nightly" }), 409, "/name"),
    ] {
        let answer = send(&app, Method::POST, "/api/v1/checks", &body).await;
        answer.problem();
        let problem = answer.json();
        assert_eq!((answer.status, &problem["errors"][0]["pointer"]), (status, &json!(pointer)), "{problem}");
    }
    let taken = send(&app, Method::POST, "/api/v1/checks", &json!({ "name": "nightly" })).await;
    assert!(taken.text().contains("test.toml:1:"), "{}", taken.text());
    for (method, body) in [(Method::DELETE, json!(null)), (Method::PATCH, json!({ "slug": "other" }))] {
        let answer = send(&app, method.clone(), CHECK, &body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (409, "pinned"), "{method}");
        assert!(answer.text().contains("test.toml:"), "{}", answer.text());
    }
    assert_eq!(send(&app, Method::PATCH, CHECK, &json!({ "grace": "3h" })).await.json()["grace"], "3h");
    let missing = app.get("/api/v1/checks/none").await;
    assert!(missing.status == 404 && missing.text().contains("checks are nightly"), "{}", missing.text());
}

#[tokio::test]
async fn what_a_check_is_pinged_by_is_for_who_may_make_checks() {
    let app = TestApp::with(FILE).await;
    let secrets = ["uuid", "ping_url", "slug_url"];
    let shown = app.get("/api/v1/checks").await.json()["items"][0].clone();
    assert!(secrets.iter().all(|key| shown[key].is_null()), "{shown}");
    let writer = app.token(Scope::ConfigWrite).await;
    let shown = app.ask(Ask::get(CHECK).bearer(writer.expose())).await.json();
    assert!(secrets.iter().all(|key| shown[key].is_string()), "{shown}");

    let former = look(&app).await["slug_url"].as_str().unwrap().to_owned();
    assert_eq!(app.get(&former).await.status, 200);
    send(&app, Method::POST, "/api/v1/ping-key", &json!(null)).await;
    assert_eq!(app.get(&former).await.status, 404);
    let url = look(&app).await["slug_url"].as_str().unwrap().to_owned();
    assert_eq!(app.get(&url).await.status, 200);

    let fresh = url.replace("nightly", "by-ping");
    assert_eq!(app.get(&fresh).await.status, 404);
    let made = app.get(&format!("{fresh}?create=1")).await;
    assert_eq!((made.status, made.text()), (201, "Created"));
    assert_eq!(app.get("/api/v1/checks/by-ping").await.json()["status"], "up");
    let forged = format!("/ping/{}/more?create=1", "0".repeat(32));
    assert_eq!(app.get(&forged).await.status, 404);
}

#[tokio::test]
async fn a_job_that_pings_in_a_loop_is_told_to_wait() {
    let app = TestApp::with(FILE).await;
    let url = ping_url(&app).await;
    for _ in 0..60 {
        assert_eq!(app.get(&url).await.status, 200);
    }
    let refused = app.get(&url).await;
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too_many_pings"));
    assert_eq!(refused.header("retry-after"), "61");
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(app.get(&url).await.status, 200);
    assert_eq!(app.get(&format!("{CHECK}/pings?limit=1")).await.json()["total"], 61);
}

#[test]
fn an_answered_ping_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut agent = Agent::start(&data_dir, FILE);
    let authorization = |agent: &Agent| format!("Authorization: Bearer {}", agent.token());
    let look = |agent: &Agent| agent.call("GET", CHECK, &[&authorization(agent)], "").unwrap().json();
    let before = look(&agent);
    let url = before["ping_url"].as_str().unwrap().to_owned();
    assert_eq!(agent.call("POST", &format!("{url}/start"), &[], "").unwrap().body, "OK");
    assert_eq!(agent.call("POST", &format!("{url}/fail"), &[], "disk full").unwrap().body, "OK");
    agent.kill();
    let agent = Agent::start(&data_dir, FILE);
    let after = look(&agent);
    assert_eq!((&after["uuid"], &after["slug_url"]), (&before["uuid"], &before["slug_url"]));
    assert_eq!((&after["status"], &after["pings"]), (&json!("down"), &json!(2)));
    assert_eq!(agent.get(&format!("{CHECK}/pings")).json()["items"][0]["body"], "disk full");
    let task = agent.get("/api/v1/tasks").json()["items"][0].clone();
    assert_eq!((&task["state"], &task["message"]), (&json!("failed"), &json!("disk full")));
    assert!(task["duration_seconds"].is_f64());

    let up = "holdfast_check_up{check=\"nightly\"}";
    let seen = (0..100_000).find_map(|_| agent.latest(up));
    assert_eq!(seen.map(|(_, value)| value), Some(0.0));
    let failed = "holdfast_check_status{check=\"nightly\"}";
    assert_eq!(
        agent.get(&format!("/api/v1/query?query={}", escape(failed))).json()["series"][0]["value"],
        3.0
    );
}
