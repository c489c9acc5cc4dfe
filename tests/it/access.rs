//! Tokens, users and the logins of the page, as those who use them meet them.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, Ask};

const TOKENS: &str = "/api/v1/tokens";
const USERS: &str = "/api/v1/users";
const SESSION: &str = "/api/v1/session";
const READ: &str = "/api/v1/targets";
const NO_GUESTS: &str = "[auth]\nanonymous = \"none\"\n";
const PASSWORD: &str = "correct horse";

fn post(path: &str, body: &Value) -> Ask {
    Ask::post(path, "application/json", body.to_string())
}

fn with(method: Method, path: &str, body: &Value) -> Ask {
    Ask { method, ..post(path, body) }
}

async fn made(app: &TestApp, body: Value) -> Value {
    let answer = app.ask_as_admin(post(TOKENS, &body)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

async fn actions(app: &TestApp) -> Vec<(String, String, String)> {
    let rows = app.ask_as_admin(Ask::get("/api/v1/audit")).await.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let row = |row: &Value| (text(&row["action"]), text(&row["who"]), text(&row["object"]));
    rows["items"].as_array().unwrap().iter().map(row).collect()
}

#[tokio::test]
async fn a_token_is_shown_once_used_listed_and_revoked_at_once() {
    let app = TestApp::with(NO_GUESTS).await;
    let token = made(&app, json!({"name": "ci", "scopes": ["monitoring:read"], "expires_in": "30d"})).await;
    let (id, text) = (token["id"].as_str().unwrap(), token["token"].as_str().unwrap());
    assert_eq!((&token["name"], &token["scopes"]), (&json!("ci"), &json!(["monitoring:read"])));
    let place = format!("{TOKENS}/{id}");
    let shown = app.ask_as_admin(Ask::get(&place)).await;
    assert!(!shown.text().contains(text) && shown.json()["last_used_at"].is_null(), "{}", shown.text());

    assert_eq!(app.ask(Ask::get(READ).bearer(text)).await.status, 200);
    let shown = app.ask_as_admin(Ask::get(&place)).await.json();
    assert_eq!(shown["last_used_at"], shown["created_at"]);
    let list = app.ask_as_admin(Ask::get(TOKENS)).await;
    assert_eq!(list.json()["total"], 2);
    assert!(!list.text().contains(text));
    for (path, status) in [(TOKENS, 403), (place.as_str(), 403)] {
        assert_eq!(app.ask(Ask::get(path).bearer(text)).await.status, status, "{path}");
    }

    app.clock.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(app.ask(Ask::get(READ).bearer(text)).await.problem(), "bad_token");
    let second = made(&app, json!({"name": "ci", "role": "operator"})).await;
    assert_eq!(second["scopes"], json!(["monitoring:read", "monitoring:write", "targets:write"]));
    let second_text = second["token"].as_str().unwrap();
    assert_eq!(app.ask(Ask::get(READ).bearer(second_text)).await.status, 200);
    let place = format!("{TOKENS}/{}", second["id"].as_str().unwrap());
    assert_eq!(app.ask_as_admin(Ask::new(Method::DELETE, &place)).await.status, 204);
    assert_eq!(app.ask(Ask::get(READ).bearer(second_text)).await.problem(), "bad_token");
    assert_eq!(app.ask_as_admin(Ask::new(Method::DELETE, &place)).await.status, 404);
    let rows = actions(&app).await;
    let own = |action: &str| rows.iter().filter(|row| row.0 == action && row.2 == "ci").count();
    assert_eq!((own("token.create"), own("token.revoke")), (2, 1), "{rows:?}");
    assert!(!format!("{rows:?}").contains(text.rsplit('_').next().unwrap()));
}

#[tokio::test]
async fn what_a_token_is_made_of_is_checked() {
    let app = TestApp::start().await;
    for (body, pointer) in [
        (json!({"name": "x", "scopes": []}), "/scopes"),
        (json!({"name": "x"}), "/scopes"),
        (json!({"name": "x", "scopes": ["admin"], "role": "admin"}), "/role"),
        (json!({"name": "", "role": "admin"}), "/name"),
        (json!({"name": "a\nb", "role": "admin"}), "/name"),
        (json!({"name": "x", "role": "admin", "expires_in": "0s"}), "/expires_in"),
        (json!({"name": "x", "role": "admin", "expires_at": "2001-01-01T00:00:00Z"}), "/expires_at"),
        (json!({"name": "x", "role": "admin", "expires_at": "1", "expires_in": "1d"}), "/expires_in"),
    ] {
        let answer = app.ask_as_admin(post(TOKENS, &body)).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    for body in
        [json!({"name": "x", "scopes": ["root"]}), json!({"name": "x", "role": "root"}), json!({"nam": 1})]
    {
        assert_eq!(app.ask_as_admin(post(TOKENS, &body)).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn the_admin_key_is_an_administrators_token_in_every_header() {
    let key = "a key of many bytes";
    let app = TestApp::with(&format!("[auth]\nanonymous = \"none\"\nadmin_key = \"{key}\"\n")).await;
    for (name, value) in [("x-admin-key", key), ("x-api-key", key)] {
        assert_eq!(app.ask(Ask::get(TOKENS).header(name, value)).await.status, 200, "{name}");
    }
    assert_eq!(app.ask(Ask::get(TOKENS).bearer(key)).await.status, 200);
    assert_eq!(app.ask(Ask::get(TOKENS).bearer("a key of many bytez")).await.status, 401);
    let shown = app.ask(Ask::get("/api/v1/config").bearer(key)).await;
    assert!(shown.status == 200 && !shown.text().contains(key));
    // Who may change the configuration must not become an administrator by it.
    let writer = app.token(holdfast::model::access::Scope::ConfigWrite).await;
    let patch = with(Method::PUT, "/api/v1/config", &json!({"auth": {"admin_key": "another key of many"}}));
    let patch = patch.header("if-match", "*");
    assert_eq!(app.ask(patch.clone().bearer(writer.expose())).await.status, 422);
    assert_eq!(app.ask(patch.bearer(key)).await.status, 200);
    assert_eq!(app.ask(Ask::get(TOKENS).bearer(key)).await.status, 401);
}

/// `name=value` of the cookie that the answer sets, after checking how.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie");
    let rules: Vec<&str> = set.split("; ").skip(1).collect();
    for rule in ["Path=/", "HttpOnly", "SameSite=Strict"] {
        assert!(rules.contains(&rule), "{set}");
    }
    set.split(';').next().unwrap().to_owned()
}

async fn add_user(app: &TestApp, name: &str, role: &str) {
    let body = json!({"name": name, "role": role, "password": PASSWORD});
    assert_eq!(app.ask_as_admin(post(USERS, &body)).await.status, 201);
}

async fn log_in(app: &TestApp, body: Value) -> String {
    let answer = app.ask(post(SESSION, &body)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    cookie(&answer)
}

async fn who(app: &TestApp, cookie: &str) -> Value {
    let answer = app.ask(Ask::get(SESSION).header("cookie", cookie)).await;
    if answer.status == 200 { answer.json() } else { Value::from(answer.status) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_by_password_lasts_while_it_is_used_and_ends_where_its_user_does() {
    let app = TestApp::with(NO_GUESTS).await;
    add_user(&app, "eva", "operator").await;
    let login = json!({"user": "eva", "password": PASSWORD});
    let cookie = log_in(&app, login.clone()).await;
    let seen = who(&app, &cookie).await;
    assert_eq!((&seen["who"], &seen["by"]), (&json!("user:eva"), &json!("session")));
    assert_eq!(seen["scopes"], json!(["monitoring:read", "monitoring:write", "targets:write"]));
    let own = format!("http://{}", app.address);
    let probe = || Ask::post("/api/v1/targets/none/probe", "application/json", "").header("cookie", &cookie);
    assert_eq!(app.ask(probe().header("origin", &own)).await.status, 404);
    // A page elsewhere, and a program that sends no origin, have no part in it.
    for origin in ["http://127.0.0.1:1", "https://evil.example", "null"] {
        assert_eq!(app.ask(probe().header("origin", origin)).await.status, 403, "{origin}");
    }
    assert_eq!(app.ask(probe()).await.problem(), "foreign_origin");
    assert_eq!(app.ask(Ask::get(TOKENS).header("cookie", &cookie)).await.status, 403);

    // Another role counts at once.
    let admin = with(Method::PATCH, &format!("{USERS}/eva"), &json!({"role": "viewer"}));
    assert_eq!(app.ask_as_admin(admin).await.status, 200);
    assert_eq!(who(&app, &cookie).await["scopes"], json!(["monitoring:read"]));

    // Used every eleven hours it lasts, but not for more than a week; unused it does not.
    let unused = log_in(&app, login.clone()).await;
    for _ in 0..15 {
        app.clock.advance(Duration::from_secs(11 * 3600));
        assert_eq!(who(&app, &cookie).await["who"], "user:eva");
    }
    assert_eq!(who(&app, &unused).await, 401);
    app.clock.advance(Duration::from_secs(4 * 3600));
    assert_eq!(who(&app, &cookie).await, 401);

    let cookie = log_in(&app, login).await;
    let gone = Ask::new(Method::DELETE, &format!("{USERS}/eva"));
    assert_eq!(app.ask_as_admin(gone).await.status, 204);
    assert_eq!(who(&app, &cookie).await, 401);
    let rows: Vec<_> = actions(&app).await.into_iter().map(|row| row.0).collect();
    for action in ["user.create", "session.begin", "user.change", "user.delete"] {
        assert!(rows.iter().any(|row| row == action), "{action} in {rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_by_token_ends_with_it_and_with_the_logout() {
    let app = TestApp::with(NO_GUESTS).await;
    let token = made(&app, json!({"name": "page", "role": "viewer", "expires_in": "1h"})).await;
    let login = json!({"token": token["token"]});
    let (first, second) = (log_in(&app, login.clone()).await, log_in(&app, login.clone()).await);
    assert_ne!(first, second);
    let own = format!("http://{}", app.address);
    let out = |cookie: &str| Ask::new(Method::DELETE, SESSION).header("cookie", cookie);
    assert_eq!(app.ask(out(&first)).await.status, 403);
    let answer = app.ask(out(&first).header("origin", &own)).await;
    assert_eq!((answer.status, cookie(&answer).as_str()), (204, "holdfast_session="));
    assert_eq!(who(&app, &first).await, 401);
    assert_eq!(who(&app, &second).await["who"], "token:page");
    app.clock.advance(Duration::from_secs(3600));
    assert_eq!(who(&app, &second).await, 401);

    let token = made(&app, json!({"name": "page", "role": "viewer"})).await;
    let cookie = log_in(&app, json!({"token": token["token"]})).await;
    let place = format!("{TOKENS}/{}", token["id"].as_str().unwrap());
    assert_eq!(app.ask_as_admin(Ask::new(Method::DELETE, &place)).await.status, 204);
    assert_eq!(who(&app, &cookie).await, 401);
    assert_eq!(app.store().accounts().sessions.len(), 0);
    for body in [json!({}), json!({"user": "eva"}), json!({"token": "a", "user": "b", "password": "c"})] {
        assert_eq!(app.ask(post(SESSION, &body)).await.status, 422, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_share_the_lock_out_and_the_right_token_still_opens_from_loopback() {
    let app = TestApp::with(NO_GUESTS).await;
    add_user(&app, "eva", "admin").await;
    let login = |user: &str, password: &str| post(SESSION, &json!({"user": user, "password": password}));
    for (user, password) in [("eva", "wrong password"), ("nobody", PASSWORD)] {
        let answer = app.ask(login(user, password)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "bad_password"), "{user}");
        assert!(!answer.text().contains(password));
    }
    for _ in 0..7 {
        app.ask(Ask::get(READ).bearer("hf_nonsense")).await;
    }
    assert_eq!(app.ask(login("eva", "wrong password")).await.problem(), "locked_out");
    assert_eq!(app.ask(login("eva", PASSWORD)).await.status, 429);
    assert_eq!(app.ask_as_admin(Ask::get(READ)).await.status, 200);
    app.clock.advance(Duration::from_secs(61));
    assert_eq!(app.ask(login("eva", PASSWORD)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_set_their_own_password_and_only_with_the_one_until_now() {
    let app = TestApp::with(NO_GUESTS).await;
    for (body, status) in [
        (json!({"name": "Eva", "role": "admin", "password": PASSWORD}), 400),
        (json!({"name": "eva", "role": "admin", "password": "short"}), 422),
        (json!({"name": "eva", "role": "chief", "password": PASSWORD}), 400),
    ] {
        assert_eq!(app.ask_as_admin(post(USERS, &body)).await.status, status, "{body}");
    }
    add_user(&app, "eva", "viewer").await;
    add_user(&app, "max", "viewer").await;
    let twice = json!({"name": "eva", "role": "admin", "password": PASSWORD});
    assert_eq!(app.ask_as_admin(post(USERS, &twice)).await.status, 409);
    let login = json!({"user": "eva", "password": PASSWORD});
    let (own, other) = (log_in(&app, login.clone()).await, log_in(&app, login.clone()).await);
    let origin = format!("http://{}", app.address);
    let set = |name: &str, body: Value| {
        with(Method::PUT, &format!("{USERS}/{name}/password"), &body).header("origin", &origin)
    };
    let fresh = "another horse";
    for (name, body, status) in [
        ("max", json!({"password": fresh}), 403),
        ("eva", json!({"password": fresh}), 422),
        ("eva", json!({"password": fresh, "current": "wrong password"}), 401),
        ("eva", json!({"password": fresh, "current": PASSWORD}), 204),
    ] {
        assert_eq!(app.ask(set(name, body).header("cookie", &own)).await.status, status, "{name}");
    }
    assert_eq!(who(&app, &own).await["who"], "user:eva");
    assert_eq!(who(&app, &other).await, 401);
    assert_eq!(app.ask(post(SESSION, &login)).await.status, 401);
    log_in(&app, json!({"user": "eva", "password": fresh})).await;
    assert_eq!(app.ask_as_admin(set("eva", json!({"password": PASSWORD}))).await.status, 204);
    assert_eq!(who(&app, &own).await, 401);
    let listed = app.ask_as_admin(Ask::get(USERS)).await;
    assert_eq!(listed.json()["total"], 2);
    assert!(!listed.text().contains("digest") && !listed.text().contains("salt"), "{}", listed.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_told_whatever_they_came_with() {
    let app = TestApp::start().await;
    let ask = |ask: Ask| async { app.ask(ask).await.json() };
    assert_eq!(ask(Ask::get(SESSION)).await["who"], "anonymous");
    assert_eq!(ask(Ask::get(SESSION).bearer(app.admin.expose())).await["by"], "token");
    let socket = Ask::get(SESSION).over_unix(&app.socket).await.json();
    assert_eq!((&socket["by"], &socket["scopes"]), (&json!("socket"), &json!(["admin"])));
    // A cookie that is over is no reason to turn away who may read without one.
    assert_eq!(who(&app, "holdfast_session=nonsense").await["who"], "anonymous");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_with_tls_the_cookie_keeps_to_tls() {
    let app = TestApp::with("[http]\ntrusted_proxies = [\"127.0.0.1\"]\n").await;
    let through =
        |ask: Ask| ask.header("x-forwarded-for", "203.0.113.9").header("x-forwarded-proto", "https");
    let login = json!({"token": app.admin.expose()});
    let answer = app.ask(through(post(SESSION, &login))).await;
    let set = answer.header("set-cookie").to_owned();
    assert!(set.starts_with("__Host-holdfast_session=hfs_") && set.ends_with("; Secure"), "{set}");
    let cookie = cookie(&answer);
    assert_eq!(app.ask(through(Ask::get(READ)).header("cookie", &cookie)).await.status, 200);
    // The same cookie in the clear is none.
    let clear = Ask::get(READ).header("x-forwarded-for", "203.0.113.9").header("cookie", &cookie);
    assert_eq!(app.ask(clear).await.status, 401);
}
