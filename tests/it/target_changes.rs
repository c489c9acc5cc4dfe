//! Targets created, changed and removed over the API, with the real store below.

use http::Method;
use serde_json::{Value, json};

use holdfast::model::access::Scope;

use super::support::app::TestApp;
use super::support::client::{Answer, Ask};

const FILE: &str = "[[target.postgres]]\nname = \"pg1\"\nhost = \"127.0.0.1\"\n";

async fn send(app: &TestApp, method: Method, path: &str, body: &Value) -> Answer {
    let mut ask = Ask::new(method, path).header("content-type", "application/json");
    ask.body = body.to_string().into();
    app.ask_as_admin(ask).await
}

fn pg2() -> Value {
    json!({ "kind": "postgres", "name": "pg2", "host": "db.example", "interval": "1s", "timeout": "1s" })
}

#[tokio::test]
async fn a_target_is_created_changed_replaced_and_removed() {
    let app = TestApp::with(FILE).await;
    let created = send(&app, Method::POST, "/api/v1/targets", &pg2()).await;
    assert_eq!((created.status, created.header("location")), (201, "/api/v1/targets/pg2"), "{created:?}");
    let shown = created.json();
    assert_eq!(
        (&shown["kind"], &shown["host"], &shown["port"]),
        (&json!("postgres"), &json!("db.example"), &json!(5432))
    );

    let path = "/api/v1/targets/pg2";
    let patch = json!({ "port": 5433, "breaker": { "open_for": "5s" } });
    let patched = send(&app, Method::PATCH, path, &patch).await.json();
    assert_eq!((&patched["port"], &patched["breaker"]["open_for"]), (&json!(5433), &json!("5s")));
    assert_eq!(patched["interval"], "1s");

    let replaced = send(&app, Method::PUT, path, &json!({ "name": "pg2", "host": "other.example" })).await;
    let replaced = (replaced.status, replaced.json());
    assert_eq!((replaced.0, &replaced.1["host"]), (200, &json!("other.example")));
    assert_eq!((&replaced.1["port"], &replaced.1["interval"]), (&json!(5432), &json!("30s")));
    assert_eq!(replaced.1["breaker"]["open_for"], "1m");
    assert_eq!(app.get("/api/v1/targets/pg2/config").await.json(), replaced.1);

    assert_eq!(send(&app, Method::DELETE, path, &json!(null)).await.status, 204);
    assert_eq!(app.get("/api/v1/targets/pg2/config").await.problem(), "not_found");
    let audit = app.ask_as_admin(Ask::get("/api/v1/audit")).await.json();
    assert_eq!(audit["total"], 4);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let app = TestApp::with(FILE).await;
    assert_eq!(send(&app, Method::POST, "/api/v1/targets", &pg2()).await.status, 201);
    let with = |key: &str, value: Value| {
        let mut body = json!({ "kind": "postgres", "name": "pg3", "host": "h" });
        body[key] = value;
        body
    };
    for (body, status, pointer) in [
        (with("kind", json!("mysql")), 422, "/kind"),
        (with("kind", json!(null)), 422, "/kind"),
        (with("name", json!("Not A Name")), 422, "/name"),
        (with("host", json!("")), 422, "/host"),
        (with("port", json!("x")), 422, "/port"),
        (with("interval", json!(30)), 422, "/interval"),
        (with("breaker", json!({ "open_for": "1h" })), 422, "/breaker/open_for"),
        (with("hots", json!("h")), 422, "/hots"),
        (with("name", json!("pg1")), 409, "/name"),
        (with("name", json!("pg2")), 409, "/name"),
    ] {
        let answer = send(&app, Method::POST, "/api/v1/targets", &body).await;
        answer.problem();
        let problem = answer.json();
        assert_eq!((answer.status, &problem["errors"][0]["pointer"]), (status, &json!(pointer)), "{problem}");
    }
    let taken = send(&app, Method::POST, "/api/v1/targets", &with("name", json!("pg1"))).await.json();
    assert!(taken["detail"].as_str().unwrap().contains("test.toml:1:"), "{taken}");
    for (path, body, status) in [
        ("/api/v1/targets/pg2", json!({ "name": "other" }), 422),
        ("/api/v1/targets/pg2", json!({ "kind": "object_store" }), 422),
        ("/api/v1/targets/none", json!({}), 404),
    ] {
        assert_eq!(send(&app, Method::PATCH, path, &body).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn what_the_file_defines_stays_where_it_is_and_the_rest_may_change() {
    let app = TestApp::with(FILE).await;
    for (method, body) in [
        (Method::PATCH, json!({ "host": "elsewhere" })),
        (Method::PUT, json!({ "host": "elsewhere" })),
        (Method::DELETE, json!(null)),
    ] {
        let answer = send(&app, method.clone(), "/api/v1/targets/pg1", &body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (409, "pinned"), "{method}");
        assert!(answer.text().contains("test.toml:"), "{}", answer.text());
    }
    let patched = send(&app, Method::PATCH, "/api/v1/targets/pg1", &json!({ "enabled": false })).await;
    assert_eq!((patched.status, &patched.json()["enabled"]), (200, &json!(false)));

    let reader = app.token(Scope::MonitoringWrite).await;
    let ask = Ask::new(Method::DELETE, "/api/v1/targets/pg1").bearer(reader.expose());
    assert_eq!(app.ask(ask).await.status, 403);
}
