//! The OpenAPI document: checked in, and true about who may do what.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, Ask};
use holdfast::model::access::Scope;

/// Operations that need no scope, each for a reason.
const OPEN: [&str; 10] = [
    // Whoever logs in has nothing yet; who asks is told who that is, and nobody ends another's login.
    "delete /api/v1/session",
    "get /api/v1/session",
    "post /api/v1/session",
    "get /livez", // A liveness probe has no token, and learns only that the process answers.
    // What stands in the path of a ping proves who reports.
    "get /ping/{key}/{slug}/{action}",
    "post /ping/{key}/{slug}/{action}",
    "get /ping/{uuid}",
    "post /ping/{uuid}",
    "get /ping/{uuid}/{action}",
    "post /ping/{uuid}/{action}",
];

/// Operations where it depends on more than the scope.
const NEED_MORE: [&str; 2] = [
    "post /admin/services/{unit}/restart", // Only units on a list, and it is empty here.
    "put /api/v1/users/{name}/password",   // One's own, or as an administrator.
];

/// Operations that nobody is let in to here.
const NOT_TRIED: [&str; 3] = [
    // They would not end.
    "get /api/v1/events",
    "get /api/v1/monitoring/events",
    // There is no file, so the settings of this test would be gone.
    "post /api/v1/config/reload",
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

/// The scope that an operation declares, the same for every way to prove it.
fn declared(operation: &Value) -> Option<Scope> {
    let security = operation["security"].as_array()?;
    let of = |kind: &str| security.iter().find_map(|one| one[kind][0].as_str());
    let scopes = ["token", "key", "session"].map(of);
    assert!(scopes.iter().all(|scope| *scope == scopes[0]), "{operation}");
    Scope::ALL.into_iter().find(|one| Some(one.word()) == scopes[0])
}

#[tokio::test]
async fn the_agent_hands_out_the_document_checked_in() {
    let app = TestApp::start().await;
    let answer = app.get("/api/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document == serde_json::from_str::<Value>(&checked_in()).unwrap());
    assert_eq!(answer.header("content-encoding"), "");
    let packed = app.ask(Ask::get("/api/openapi.json").header("accept-encoding", "gzip")).await;
    assert_eq!((packed.header("content-encoding"), packed.header("vary")), ("gzip", "Accept-Encoding"));
    assert!(packed.body.len() * 8 < answer.body.len(), "{} bytes", packed.body.len());
    // Length and sum of the text are the last of gzip.
    let foot = &packed.body[packed.body.len() - 8..];
    assert_eq!(foot[4..], (answer.body.len() as u32).to_le_bytes());
    assert_eq!(foot[..4], crc32fast::hash(&answer.body).to_le_bytes());
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
        let kind = refused.json()["errorType"].as_str().unwrap().to_owned();
        // One word for all of 401 there.
        let bad = refused.text().contains("the token is unknown");
        let origin = refused.text().contains("a session changes something");
        return if bad {
            "bad_token".into()
        } else if origin {
            "foreign_origin".into()
        } else {
            kind
        };
    }
    if path.starts_with("/alertmanager/") {
        let text = refused.json().as_str().unwrap().to_owned();
        let codes = [
            ("this needs a token", "unauthorized"),
            ("the token is unknown", "bad_token"),
            ("a session changes something", "foreign_origin"),
        ];
        let code = codes.iter().find(|(start, _)| text.starts_with(start));
        return code.map_or("forbidden", |(_, code)| code).to_owned();
    }
    refused.problem()
}

/// What a caller comes with.
enum With {
    Nothing,
    /// A token of this scope.
    Scope(Scope, String),
    /// A token that proves nothing (any more).
    Dead(&'static str, String),
    /// The cookie of an administrator's login, without an `Origin`.
    Cookie(String),
}

impl With {
    fn add(&self, ask: Ask) -> Ask {
        match self {
            Self::Nothing => ask,
            Self::Scope(_, token) | Self::Dead(_, token) => ask.bearer(token),
            Self::Cookie(cookie) => ask.header("cookie", cookie),
        }
    }

    /// How the caller must be refused where `wanted` is asked for; `None`: let through.
    fn refused(&self, wanted: Scope, method: &str) -> Option<(u16, &'static str)> {
        match self {
            Self::Nothing => Some((401, "unauthorized")),
            Self::Scope(held, _) => (!held.covers(wanted)).then_some((403, "forbidden")),
            Self::Dead(..) => Some((401, "bad_token")),
            Self::Cookie(_) => (method != "get").then_some((403, "foreign_origin")),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Nothing => "nothing",
            Self::Scope(scope, _) => scope.word(),
            Self::Dead(why, _) => why,
            Self::Cookie(_) => "a cookie",
        }
    }
}

/// One caller of each kind.
async fn callers(app: &TestApp) -> Vec<With> {
    let make = |body: Value| async move {
        let made = app.ask_as_admin(Ask::post("/api/v1/tokens", "application/json", body.to_string())).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    };
    let mut callers = vec![With::Nothing];
    for scope in Scope::ALL {
        callers.push(With::Scope(scope, app.token(scope).await.expose().to_owned()));
    }
    let text = |token: &Value| token["token"].as_str().unwrap().to_owned();
    let expired = make(json!({"name": "expired", "role": "admin", "expires_in": "1s"})).await;
    app.clock.advance(Duration::from_secs(2));
    callers.push(With::Dead("expired", text(&expired)));
    let revoked = make(json!({"name": "revoked", "role": "admin"})).await;
    let place = format!("/api/v1/tokens/{}", revoked["id"].as_str().unwrap());
    assert_eq!(app.ask_as_admin(Ask::new(Method::DELETE, &place)).await.status, 204);
    callers.push(With::Dead("revoked", text(&revoked)));
    let mut wrong = app.admin.expose().to_owned();
    let last = if wrong.pop() == Some('0') { '1' } else { '0' };
    wrong.push(last);
    callers.push(With::Dead("wrong", wrong));
    let login = json!({"token": app.admin.expose()}).to_string();
    let login = app.ask(Ask::post("/api/v1/session", "application/json", login)).await;
    callers.push(With::Cookie(login.header("set-cookie").split(';').next().unwrap().to_owned()));
    callers
}

/// The access matrix: every operation of the document by every kind of caller.
#[tokio::test]
async fn every_operation_lets_in_whom_it_says_and_nobody_else() {
    let app = TestApp::with("[auth]\nanonymous = \"none\"\n").await;
    let document = app.ask_as_admin(Ask::get("/api/openapi.json")).await.json();
    let operations = operations(&document);
    assert!(operations.len() > 170, "{}", operations.len());
    let callers = callers(&app).await;
    let mut open = Vec::new();
    let mut tried = 0;
    for (method, path, operation) in operations {
        let name = format!("{method} {path}");
        let filled: Vec<_> =
            path.split('/').map(|part| if part.starts_with('{') { "none" } else { part }).collect();
        let ask = || {
            let ask = Ask::new(method.to_uppercase().parse().unwrap(), &filled.join("/"));
            // No body that anything takes: whoever is let in changes nothing.
            if method == "get" {
                ask
            } else {
                Ask { body: "[".into(), ..ask.header("content-type", "application/json") }
            }
        };
        let Some(scope) = declared(&operation) else {
            open.push(name);
            continue;
        };
        // Three of these callers count as wrong tokens.
        app.clock.advance(Duration::from_secs(30));
        for caller in &callers {
            let refused = caller.refused(scope, &method);
            if refused.is_none() && NOT_TRIED.contains(&name.as_str()) {
                continue;
            }
            let answer = app.ask(caller.add(ask()));
            let answer = tokio::time::timeout(Duration::from_secs(20), answer).await;
            let answer = answer.unwrap_or_else(|_| panic!("{name} with {}: no answer", caller.name()));
            tried += 1;
            match refused {
                Some(refused) => {
                    let got = (answer.status, code(&path, &answer));
                    assert_eq!((got.0, got.1.as_str()), refused, "{name} with {}", caller.name());
                    let challenge = answer.header("www-authenticate").starts_with("Bearer");
                    assert_eq!(challenge, refused.0 == 401, "{name} with {}", caller.name());
                }
                None => {
                    let let_in = ![401, 403].contains(&answer.status) || NEED_MORE.contains(&name.as_str());
                    assert!(let_in, "{name} with {}: {}", caller.name(), answer.text());
                }
            }
        }
    }
    assert_eq!(open, OPEN);
    assert!(tried > 1500, "{tried}");
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
        assert!(operation["responses"]["400"].is_object(), "{name} has no error answer");
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        assert!(ids.insert(id.clone()), "operation id {id} is used twice");
    }
}
