//! The OpenAPI document: checked in, and true about who may do what.

use hyper::Method;
use serde_json::Value;

use crate::support::app::TestApp;
use crate::support::client::{Answer, Ask};
use holdfast::model::access::Scope;

/// Operations that need no scope, each for a reason.
const OPEN: [&str; 7] = [
    "get /livez", // A liveness probe has no token, and learns only that the process answers.
    // What stands in the path of a ping proves who reports.
    "get /ping/{key}/{slug}/{action}",
    "post /ping/{key}/{slug}/{action}",
    "get /ping/{uuid}",
    "post /ping/{uuid}",
    "get /ping/{uuid}/{action}",
    "post /ping/{uuid}/{action}",
];

const REWRITE: &str = "HOLDFAST_REWRITE_OPENAPI";
const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

fn checked_in() -> String {
    std::fs::read_to_string(CHECKED_IN).unwrap_or_default()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter().map(move |(method, operation)| (method.clone(), path.clone(), operation.clone()))
    });
    each.collect()
}

/// The scope that an operation declares, the same for both kinds of header.
fn declared(operation: &Value) -> Option<String> {
    let security = operation["security"].as_array()?;
    let scopes: Vec<&str> = ["token", "key"]
        .iter()
        .filter_map(|kind| security.iter().find_map(|one| one[kind][0].as_str()))
        .collect();
    assert!(scopes.len() == 2 && scopes[0] == scopes[1], "{operation}");
    Some(scopes[0].to_owned())
}

#[tokio::test]
async fn the_agent_hands_out_the_document_checked_in() {
    let app = TestApp::start().await;
    let answer = app.get("/api/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document == serde_json::from_str::<Value>(&checked_in()).unwrap());
}

#[test]
fn the_checked_in_document_is_what_the_handlers_say() {
    let made = format!("{}\n", holdfast::http::openapi::made().trim_end());
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(CHECKED_IN, &made).unwrap();
    }
    assert!(checked_in() == made, "openapi.json differs from the handlers: run this test with {REWRITE}=1");
}

/// The word for what is wrong, in the shape of the protocol that the path speaks.
fn code(path: &str, refused: &Answer) -> String {
    if path.starts_with("/prometheus/") {
        return refused.json()["errorType"].as_str().unwrap().to_owned();
    }
    if path.starts_with("/alertmanager/") {
        let text = refused.json().as_str().unwrap().to_owned();
        let code = if text.starts_with("this needs a token: ") { "unauthorized" } else { "forbidden" };
        assert!(text.contains("token"), "{text}");
        return code.to_owned();
    }
    refused.problem()
}

#[tokio::test]
async fn every_operation_has_a_scope_and_keeps_to_it() {
    let app = TestApp::with("[auth]\nanonymous = \"none\"\n").await;
    let document = app.ask_as_admin(Ask::get("/api/openapi.json")).await.json();
    let operations = operations(&document);
    assert!(operations.len() > 20, "{}", operations.len());
    let mut open = Vec::new();
    for (method, path, operation) in operations {
        let name = format!("{method} {path}");
        let ask = || {
            let method: Method = method.to_uppercase().parse().unwrap();
            Ask::new(method, &path.replace("{name}", "pg1"))
        };
        let Some(scope) = declared(&operation) else {
            let status = app.ask(ask()).await.status;
            assert!(status < 300 || (path.starts_with("/ping/") && status == 404), "{name}: {status}");
            open.push(name);
            continue;
        };
        let without = app.ask(ask()).await;
        assert_eq!((without.status, code(&path, &without).as_str()), (401, "unauthorized"), "{name}");
        assert!(without.header("www-authenticate").starts_with("Bearer"), "{name}");

        let wanted = Scope::ALL.into_iter().find(|one| one.word() == scope).unwrap();
        let other = Scope::ALL.into_iter().find(|held| !held.covers(wanted));
        if let Some(other) = other {
            let token = app.token(other).await;
            let refused = app.ask(ask().bearer(token.expose())).await;
            assert_eq!((refused.status, code(&path, &refused).as_str()), (403, "forbidden"), "{name}");
        }
        let token = app.token(wanted).await;
        if method == "get" && !path.ends_with("events") {
            let allowed = app.ask(ask().bearer(token.expose())).await.status;
            assert!(![401, 403].contains(&allowed), "{name}: {allowed}");
        }
    }
    assert_eq!(open, OPEN);
}

#[tokio::test]
async fn the_document_is_complete_and_has_no_tuples() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json").await.json();
    let text = document.to_string();
    assert!(!text.contains("prefixItems"), "a tuple is in the API");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is named and not there");
    }
    let mut ids = std::collections::BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
        assert!(operation["responses"]["default"].is_object(), "{name} has no error answer");
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        assert!(ids.insert(id.clone()), "operation id {id} is used twice");
    }
}
