//! `/api/v1/session`: the login of the page.
//!
//! Whoever proves a token or a password gets a cookie that stands for it; a script of the
//! page never sees it. The row is durable before the answer, so a restart keeps the login,
//! and what it allows is looked up with every request, so it ends with the token or the
//! user that it was begun with.

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::http::auth::{Caller, Pass, Visitor, cookie, ends, login};
use crate::http::error::Problem;
use crate::http::extract::ApiJson;
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::logic::token::{ENTROPY, draw, parse_session};
use crate::model::access::{AuditEntry, Holder, Principal, Scope, Session};
use crate::model::event::rfc3339;
use crate::store::{Accounts, Change, Write};

/// Sessions at the same time; beyond, the one that was unused longest ends.
const MOST: usize = 256;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(show, begin, end))
}

/// Who asks.
#[derive(Serialize, utoipa::ToSchema)]
struct SessionView {
    /// `user:eva`, `token:ci`, `admin_key`, `socket:root`, `anonymous`.
    who: String,
    /// How: `session`, `token`, `key`, `socket` or `anonymous`.
    by: &'static str,
    scopes: Vec<Scope>,
    /// When it ends if it is not used again; null: it does not.
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl SessionView {
    fn of(principal: Principal, pass: &Pass, expires_at: Option<Timestamp>) -> Self {
        let by = match pass {
            Pass::Anonymous => "anonymous",
            Pass::Socket => "socket",
            Pass::Key => "key",
            Pass::Token(_) => "token",
            Pass::Session(_) => "session",
        };
        Self { who: principal.who, by, scopes: principal.scopes, expires_at }
    }
}

/// What to log in with: `token`, or `user` and `password`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    #[schema(value_type = Option<String>)]
    token: Option<Secret>,
    user: Option<String>,
    #[schema(value_type = Option<String>)]
    password: Option<Secret>,
}

/// Who asks, and what they may. 401 for nobody in particular, where `auth.anonymous` is `none`.
#[utoipa::path(
    get, path = "/api/v1/session", tag = "access", security(()),
    responses((status = 200, body = SessionView))
)]
async fn show(caller: Caller) -> Json<SessionView> {
    Json(SessionView::of(caller.principal, &caller.pass, caller.expires_at))
}

/// Logs in: answers who that is, and sets the cookie.
#[utoipa::path(
    post, path = "/api/v1/session", tag = "access", request_body = Login, security(()),
    responses((status = 201, body = SessionView, headers(("Set-Cookie" = String))), (status = 401))
)]
async fn begin(
    visitor: Visitor,
    State(app): State<AppState>,
    headers: HeaderMap,
    ApiJson(login): ApiJson<Login>,
) -> Result<Response, Problem> {
    let (holder, principal, until) = proved(&app, &visitor, login).await?;
    let mut entropy = [0; ENTROPY];
    getrandom::fill(&mut entropy).map_err(|_| Problem::internal())?;
    let (id, digest, secret) = draw(&entropy);
    let now = app.now();
    let most = app.config.borrow().auth.session_max.0;
    let end = now.plus(most);
    let expires_at = until.map_or(end, |until| until.min(end));
    let store = app.store()?;
    let mut writes = over(&app, &store.accounts(), now);
    // The browser forgets the one it had.
    let before = cookie::presented(&headers, visitor.secure).and_then(parse_session);
    if let Some(before) = before
        && store.accounts().sessions.get(before.id).is_some_and(|held| before.proves(&held.digest))
    {
        writes.push(Write::DeleteSession { id: before.id.to_owned() });
    }
    writes.push(Write::PutSession(Session { id: id.clone(), digest, holder, created_at: now, expires_at }));
    let audit = AuditEntry {
        at: now,
        who: principal.who.clone(),
        action: String::from("session.begin"),
        object: id.clone(),
        detail: format!("from {}", visitor.shown()),
    };
    store.commit(Change { writes, audit: Some(audit) }).await?;
    let held = store.accounts().sessions.get(&id).cloned();
    let shown = held.map_or(expires_at, |held| ends(&app, &held));
    let seconds = expires_at.since(now).as_secs();
    let set = cookie::set(&secret, seconds, visitor.secure).ok_or_else(Problem::internal)?;
    let view = SessionView::of(principal, &Pass::Session(id), Some(shown));
    Ok(with_cookie((StatusCode::CREATED, Json(view)).into_response(), set))
}

/// What the login proves, and when that ends.
async fn proved(
    app: &App,
    visitor: &Visitor,
    given: Login,
) -> Result<(Holder, Principal, Option<Timestamp>), Problem> {
    match given {
        Login { token: Some(token), user: None, password: None } => {
            let caller = visitor.by_token(app, token.expose())?;
            let Pass::Token(id) = caller.pass else {
                let detail = "the admin key has no session, expected a token or a user with a password";
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_session", detail));
            };
            Ok((Holder::Token(id), caller.principal, caller.expires_at))
        }
        Login { token: None, user: Some(name), password: Some(password) } => {
            let user = login::by_password(app, &visitor.client, &name, password).await?;
            let principal = Principal { who: format!("user:{}", user.name), scopes: user.role.scopes() };
            Ok((Holder::User(user.name.clone()), principal, None))
        }
        _ => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_login",
            "expected either `token`, or `user` and `password`",
        )),
    }
}

/// Sessions to end so that one more has room: those that are over, and beyond the bound
/// those that were unused longest.
fn over(app: &App, accounts: &Accounts, now: Timestamp) -> Vec<Write> {
    let (mut live, over): (Vec<_>, Vec<_>) =
        accounts.sessions.values().partition(|held| ends(app, held) > now);
    live.sort_by_key(|held| held.used().unwrap_or(held.created_at));
    let excess = (live.len() + 1).saturating_sub(MOST);
    let gone = over.into_iter().chain(live.into_iter().take(excess));
    gone.map(|held| Write::DeleteSession { id: held.id.clone() }).collect()
}

fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

/// Logs out: the session ends and the cookie goes. Nothing to end is no error.
#[utoipa::path(
    delete, path = "/api/v1/session", tag = "access", security(()),
    responses((status = 204, headers(("Set-Cookie" = String))))
)]
async fn end(
    visitor: Visitor,
    caller: Result<Caller, Problem>,
    State(app): State<AppState>,
) -> Result<Response, Problem> {
    // A page of another origin must not log anybody out.
    if let Err(problem) = &caller
        && problem.status == StatusCode::FORBIDDEN
    {
        return Err(problem.clone());
    }
    if let Ok(Caller { principal, pass: Pass::Session(id), .. }) = caller {
        let audit = AuditEntry {
            at: app.now(),
            who: principal.who,
            action: String::from("session.end"),
            object: id.clone(),
            detail: format!("from {}", visitor.shown()),
        };
        let writes = vec![Write::DeleteSession { id }];
        app.store()?.commit(Change { writes, audit: Some(audit) }).await?;
    }
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), cookie::clear(visitor.secure)))
}
