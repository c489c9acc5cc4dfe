//! Tasks that report through the API.

use std::time::Duration;

use serde_json::{Value, json};

use holdfast::model::access::Scope;

use super::support::app::TestApp;
use super::support::client::{Answer, Ask};

async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    app.ask_as_admin(Ask::post(path, "application/json", body.to_string())).await
}

#[tokio::test]
async fn a_task_is_created_started_and_ended() {
    let app = TestApp::start().await;
    let none = app.get("/api/v1/monitoring/metrics").await.json()["tasks"].clone();
    assert_eq!((&none["total"], &none["avg_duration_seconds"]), (&json!(0), &json!(null)));
    assert_eq!(app.get("/api/v1/tasks").await.json()["total"], 0, "workers are no tasks");
    let mut events = app.bus.subscribe(None);

    let new = json!({ "name": "restore", "kind": "backup", "id": "restore-1" });
    let created = post(&app, "/api/v1/tasks", &new).await;
    assert_eq!((created.status, created.header("location")), (201, "/api/v1/tasks/restore-1"));
    assert_eq!(created.json()["state"], "pending");
    let figures = app.get("/api/v1/monitoring/metrics").await.json()["tasks"].clone();
    assert_eq!((&figures["pending"], &figures["total"]), (&json!(1), &json!(1)));

    let path = "/api/v1/tasks/restore-1";
    for _ in 0..2 {
        let started = app.ask_as_admin(Ask::post(&format!("{path}/start"), "", "")).await;
        assert_eq!((started.status, &started.json()["state"]), (200, &json!("running")));
    }
    app.clock.advance(Duration::from_secs(90));
    app.clock.jump_to(holdfast::base::time::Timestamp(0));
    for _ in 0..2 {
        let ended =
            post(&app, &format!("{path}/complete"), &json!({ "message": "1,024 files" })).await.json();
        assert_eq!((&ended["state"], &ended["message"]), (&json!("completed"), &json!("1,024 files")));
        assert_eq!(ended["duration_seconds"], 90.0, "a clock that was set back changes nothing");
    }
    let failed = post(&app, &format!("{path}/fail"), &json!({})).await;
    assert_eq!((failed.status, failed.problem().as_str()), (409, "wrong_state"));
    let figures = app.get("/api/v1/monitoring/metrics").await.json()["tasks"].clone();
    assert_eq!((&figures["completed"], &figures["avg_duration_seconds"]), (&json!(1), &json!(90.0)));

    let mut told = Vec::new();
    while let Some(holdfast::runtime::bus::Message::Event(event)) = events.try_next() {
        assert_eq!(event.kind.word(), "task");
        told.push(event.data["action"].as_str().unwrap().to_owned());
    }
    assert_eq!(told, ["created", "started", "completed"]);
}

#[tokio::test]
async fn the_list_is_newest_first_and_filtered() {
    let app = TestApp::start().await;
    for number in 0..5 {
        let name = if number % 2 == 0 { "even" } else { "odd" };
        let new = json!({ "name": name, "id": format!("t{number}") });
        assert_eq!(post(&app, "/api/v1/tasks", &new).await.status, 201);
    }
    post(&app, "/api/v1/tasks/t4/fail", &json!({ "error": "no space" })).await;
    let ids = async |query: &str| {
        let list = app.get(&format!("/api/v1/tasks{query}")).await.json();
        let ids =
            list["items"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>().join(" "), list["total"].as_u64().unwrap())
    };
    assert_eq!(ids("").await, (String::from("t4 t3 t2 t1 t0"), 5));
    assert_eq!(ids("?state=pending&name=even").await, (String::from("t2 t0"), 2));
    assert_eq!(ids("?limit=2&offset=1").await, (String::from("t3 t2"), 5));
    for bad in ["?state=done", "?limit=0", "?stat=failed"] {
        let answer = app.get(&format!("/api/v1/tasks{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}");
        answer.problem();
    }
    assert_eq!(app.get("/api/v1/tasks/t4").await.json()["message"], "no space");
    assert_eq!(app.get("/api/v1/tasks/t9").await.problem(), "not_found");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let app = TestApp::start().await;
    post(&app, "/api/v1/tasks", &json!({ "name": "a", "id": "taken" })).await;
    for (body, status, pointer) in [
        (json!({}), 400, ""),
        (json!({ "name": 5 }), 400, "/name"),
        (json!({ "name": "a", "state": "running" }), 400, "/state"),
        (json!({ "name": "" }), 422, "/name"),
        (json!({ "name": "a\nb" }), 422, "/name"),
        (json!({ "name": "a", "id": "a/b" }), 422, "/id"),
        (json!({ "name": "a", "kind": "x".repeat(200) }), 422, "/kind"),
        (json!({ "name": "a", "id": "taken" }), 409, "/id"),
    ] {
        let answer = post(&app, "/api/v1/tasks", &body).await;
        answer.problem();
        let problem = answer.json();
        assert_eq!((answer.status, &problem["errors"][0]["pointer"]), (status, &json!(pointer)), "{problem}");
    }
    let unknown = post(&app, "/api/v1/tasks/taken/fail", &json!({ "reason": "x" })).await;
    assert_eq!((unknown.status, &unknown.json()["errors"][0]["pointer"]), (400, &json!("/reason")));
    let reader = app.token(Scope::MonitoringRead).await;
    let ask = Ask::post("/api/v1/tasks", "application/json", "{\"name\":\"a\"}").bearer(reader.expose());
    assert_eq!(app.ask(ask).await.status, 403);
}
