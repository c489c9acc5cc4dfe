//! `/api/v1/tokens`: what programs prove themselves with.
//!
//! A token is shown once, in the answer that makes it; what is stored proves it and cannot
//! be turned back. Deleting one ends it at once, and the sessions that were begun with it.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::base::units::Span;
use crate::http::auth::{Access, Admin};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::logic::token::{ENTROPY, mint};
use crate::model::access::{AuditEntry, Holder, Role, Scope, Token};
use crate::model::event::rfc3339;
use crate::store::{Accounts, Change, Held, Write};

/// Tokens at the same time; each is looked at with every request that has one.
const MOST: usize = 1000;
const LONGEST_NAME: usize = 64;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(list, create)).routes(routes!(show, revoke))
}

/// A token, without what proves it.
#[derive(Serialize, utoipa::ToSchema)]
struct TokenView {
    id: String,
    name: String,
    scopes: Vec<Scope>,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// To within an hour after a crash.
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// Null: it does not expire.
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl TokenView {
    fn of(held: &Held<Token>) -> Self {
        Self {
            id: held.id.clone(),
            name: held.name.clone(),
            scopes: held.scopes.clone(),
            created_at: held.created_at,
            last_used_at: held.used(),
            expires_at: held.expires_at,
        }
    }
}

/// A token to make. `scopes` or `role`, and at most one of `expires_in` and `expires_at`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// For people, and for the audit log.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    #[serde(default)]
    scopes: Vec<Scope>,
    /// The same as the scopes it stands for.
    role: Option<Role>,
    /// A text with a unit, `"30d"`.
    #[schema(value_type = Option<String>)]
    expires_in: Option<Span>,
    /// RFC 3339, epoch seconds or milliseconds.
    expires_at: Option<String>,
}

/// The only answer that has the token.
#[derive(Serialize, utoipa::ToSchema)]
struct MadeToken {
    #[serde(flatten)]
    view: TokenView,
    token: String,
}

fn invalid(pointer: &str, detail: impl Into<String>) -> Problem {
    let detail = detail.into();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_token_request", format!("{pointer}: {detail}"))
        .field(pointer, detail)
}

impl NewToken {
    fn scopes(&self) -> Result<Vec<Scope>, Problem> {
        let mut scopes = match (self.role, self.scopes.as_slice()) {
            (Some(role), []) => role.scopes(),
            (None, [_, ..]) => self.scopes.clone(),
            (Some(_), _) => return Err(invalid("/role", "given beside `scopes`, expected one of them")),
            (None, []) => {
                let words: Vec<&str> = Scope::ALL.into_iter().map(Scope::word).collect();
                let detail = format!("none, expected one or more of {}, or a `role`", words.join(", "));
                return Err(invalid("/scopes", detail));
            }
        };
        scopes.sort_unstable();
        scopes.dedup();
        Ok(scopes)
    }

    fn expires_at(&self, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        let end = match (self.expires_in, &self.expires_at) {
            (None, None) => return Ok(None),
            (Some(span), None) => now.plus(span.0),
            (None, Some(text)) => Timestamp::parse(text)
                .ok_or_else(|| invalid("/expires_at", "expected RFC 3339, epoch seconds or milliseconds"))?,
            (Some(_), Some(_)) => {
                return Err(invalid("/expires_in", "given beside `expires_at`, expected one of them"));
            }
        };
        let pointer = if self.expires_in.is_some() { "/expires_in" } else { "/expires_at" };
        if end > now { Ok(Some(end)) } else { Err(invalid(pointer, "is over already")) }
    }
}

/// Whether `name` is one for people: no more than a line, and no control character.
fn is_name(name: &str) -> bool {
    let shown = name.trim() == name && !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    shown && !name.chars().any(char::is_control)
}

/// Every token that was not revoked, oldest first; never what proves it.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "access", params(Paging),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = List<TokenView>))
)]
async fn list(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<TokenView>>, Problem> {
    let window = paging.window()?;
    let accounts = app.store()?.accounts();
    let mut all: Vec<_> = accounts.tokens.values().collect();
    all.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
    let views = all.into_iter().map(|held| TokenView::of(held)).collect();
    Ok(Json(List::of(views, window)))
}

/// Makes a token. The answer is the only place where it is shown.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "access", request_body = NewToken,
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 201, body = MadeToken, headers(("Location" = String))))
)]
async fn create(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiJson(wanted): ApiJson<NewToken>,
) -> Result<Response, Problem> {
    let now = app.now();
    if !is_name(&wanted.name) {
        return Err(invalid("/name", format!("expected 1 to {LONGEST_NAME} characters that can be shown")));
    }
    let (scopes, expires_at) = (wanted.scopes()?, wanted.expires_at(now)?);
    let store = app.store()?;
    let accounts = store.accounts();
    let lasts = |token: &Token| token.expires_at.is_none_or(|end| now < end);
    let mut writes: Vec<Write> = Vec::new();
    if accounts.tokens.len() >= MOST {
        // Those that are over make room; until then they tell when they were used last.
        let over = accounts.tokens.values().filter(|held| !lasts(held));
        writes.extend(over.map(|held| Write::DeleteToken { id: held.id.clone() }));
    }
    if accounts.tokens.len() - writes.len() >= MOST {
        let detail = format!("there are {MOST} tokens, which is the limit: revoke some first");
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_tokens", detail));
    }
    let mut entropy = [0; ENTROPY];
    getrandom::fill(&mut entropy).map_err(|_| Problem::internal())?;
    let (token, secret) = mint(&entropy, &wanted.name, scopes, now, expires_at);
    let id = token.id.clone();
    let until =
        expires_at.map_or_else(|| String::from("without end"), |end| format!("until {}", end.rfc3339()));
    let words: Vec<&str> = token.scopes.iter().map(|scope| scope.word()).collect();
    let detail = format!("id {id}, {}, {until}", words.join(" "));
    let audit = audit(&app, access.principal.who, "token.create", &token, detail);
    writes.push(Write::PutToken(token));
    store.commit(Change { writes, audit: Some(audit) }).await?;
    made(&store.accounts(), &id, &secret)
}

fn made(accounts: &Accounts, id: &str, secret: &Secret) -> Result<Response, Problem> {
    // Somebody may have revoked it in between.
    let held = accounts.tokens.get(id).ok_or_else(|| unknown(id))?;
    let body = MadeToken { view: TokenView::of(held), token: secret.expose().to_owned() };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    if let Ok(address) = HeaderValue::from_str(&format!("/api/v1/tokens/{id}")) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

fn unknown(id: &str) -> Problem {
    Problem::not_found(format!("there is no token `{}`", id.escape_default()))
}

fn audit(app: &App, who: String, action: &str, token: &Token, detail: String) -> AuditEntry {
    AuditEntry { at: app.now(), who, action: action.to_owned(), object: token.name.clone(), detail }
}

/// One token.
#[utoipa::path(
    get, path = "/api/v1/tokens/{id}", tag = "access", params(("id" = String, Path)),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = TokenView))
)]
async fn show(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<TokenView>, Problem> {
    let accounts = app.store()?.accounts();
    let held = accounts.tokens.get(&id).ok_or_else(|| unknown(&id))?;
    Ok(Json(TokenView::of(held)))
}

/// Revokes a token at once, with the sessions that were begun with it.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "access", params(("id" = String, Path)),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 204))
)]
async fn revoke(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    let store = app.store()?;
    let accounts = store.accounts();
    let held = accounts.tokens.get(&id).ok_or_else(|| unknown(&id))?;
    let audit = audit(&app, access.principal.who, "token.revoke", held, format!("id {id}"));
    let of = Holder::Token(id.clone());
    let sessions = accounts.sessions.values().filter(|session| session.holder == of);
    let mut writes: Vec<_> =
        sessions.map(|session| Write::DeleteSession { id: session.id.clone() }).collect();
    writes.push(Write::DeleteToken { id });
    store.commit(Change { writes, audit: Some(audit) }).await?;
    Ok(StatusCode::NO_CONTENT)
}
