//! `/api/v1/users`: who logs in to the page with a password.
//!
//! A password goes in and never comes out. Setting one anew ends the user's sessions, all
//! but the one that did it; deleting a user ends them all.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::http::auth::{Access, Admin, MonitoringRead, Pass, Visitor, login};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::access::{AuditEntry, Holder, Role, Scope, User};
use crate::model::event::rfc3339;
use crate::store::{Accounts, Change, Write};

const MOST: usize = 100;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(list, create)).routes(routes!(show, change, delete)).routes(routes!(set_password))
}

#[derive(Serialize, utoipa::ToSchema)]
struct UserView {
    name: String,
    role: Role,
    /// What the role stands for.
    scopes: Vec<Scope>,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the password was set.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    password_at: Timestamp,
}

impl UserView {
    fn of(user: &User) -> Self {
        Self {
            name: user.name.clone(),
            role: user.role,
            scopes: user.role.scopes(),
            created_at: user.created_at,
            password_at: user.password_at,
        }
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// A lower-case letter, then lower-case letters, digits, `_` or `-`.
    #[schema(value_type = String, pattern = "^[a-z][a-z0-9_-]{0,62}$")]
    name: Name,
    role: Role,
    /// 10 characters or more.
    #[schema(value_type = String, min_length = 10, max_length = 1024)]
    password: Secret,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct UserChange {
    role: Role,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// 10 characters or more.
    #[schema(value_type = String, min_length = 10, max_length = 1024)]
    password: Secret,
    /// The one until now; wanted of whoever changes their own.
    #[schema(value_type = Option<String>)]
    current: Option<Secret>,
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no user `{}`", name.escape_default()))
}

fn audit(app: &App, who: String, action: &str, name: &str, detail: String) -> AuditEntry {
    AuditEntry { at: app.now(), who, action: action.to_owned(), object: name.to_owned(), detail }
}

/// What ends every session of the user but the one that is kept.
fn end_sessions(accounts: &Accounts, name: &str, kept: Option<&Pass>) -> Vec<Write> {
    let of = Holder::User(name.to_owned());
    let gone = accounts.sessions.values().filter(|session| {
        session.holder == of && kept.is_none_or(|kept| *kept != Pass::Session(session.id.clone()))
    });
    gone.map(|session| Write::DeleteSession { id: session.id.clone() }).collect()
}

/// Every user, by name.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "access", params(Paging),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = List<UserView>))
)]
async fn list(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<UserView>>, Problem> {
    let window = paging.window()?;
    let views = app.store()?.accounts().users.values().map(|user| UserView::of(user)).collect();
    Ok(Json(List::of(views, window)))
}

/// Adds a user.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "access", request_body = NewUser,
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 201, body = UserView, headers(("Location" = String))))
)]
async fn create(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiJson(wanted): ApiJson<NewUser>,
) -> Result<Response, Problem> {
    let name = wanted.name.as_str();
    let store = app.store()?;
    let free = |accounts: &Accounts| {
        if accounts.users.contains_key(name) {
            let detail = format!("there is a user `{name}` already");
            return Err(Problem::new(StatusCode::CONFLICT, "exists", detail));
        }
        if accounts.users.len() >= MOST {
            let detail = format!("there are {MOST} users, which is the limit: delete some first");
            return Err(Problem::new(StatusCode::CONFLICT, "too_many_users", detail));
        }
        Ok(())
    };
    free(&store.accounts())?;
    let password = login::hash(&app, name, wanted.password.clone()).await?;
    let _turn = app.users.lock().await;
    free(&store.accounts())?;
    let now = app.now();
    let user = User { name: name.to_owned(), role: wanted.role, password, created_at: now, password_at: now };
    let view = UserView::of(&user);
    let detail = format!("role {}", user.role.word());
    let audit = audit(&app, access.principal.who, "user.create", name, detail);
    store.commit(Change { writes: vec![Write::PutUser(user)], audit: Some(audit) }).await?;
    let mut response = (StatusCode::CREATED, Json(view)).into_response();
    if let Ok(address) = HeaderValue::from_str(&format!("/api/v1/users/{name}")) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

/// One user.
#[utoipa::path(
    get, path = "/api/v1/users/{name}", tag = "access", params(("name" = String, Path)),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = UserView))
)]
async fn show(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<UserView>, Problem> {
    let accounts = app.store()?.accounts();
    let user = accounts.users.get(&name).ok_or_else(|| unknown(&name))?;
    Ok(Json(UserView::of(user)))
}

/// Gives a user another role, at once.
#[utoipa::path(
    patch, path = "/api/v1/users/{name}", tag = "access", params(("name" = String, Path)),
    request_body = UserChange,
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = UserView))
)]
async fn change(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(wanted): ApiJson<UserChange>,
) -> Result<Json<UserView>, Problem> {
    let store = app.store()?;
    let _turn = app.users.lock().await;
    let before = store.accounts().users.get(&name).cloned().ok_or_else(|| unknown(&name))?;
    let user = User { role: wanted.role, ..User::clone(&before) };
    let view = UserView::of(&user);
    let detail = format!("role {} -> {}", before.role.word(), user.role.word());
    let audit = audit(&app, access.principal.who, "user.change", &name, detail);
    store.commit(Change { writes: vec![Write::PutUser(user)], audit: Some(audit) }).await?;
    Ok(Json(view))
}

/// Deletes a user and ends their sessions, at once.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}", tag = "access", params(("name" = String, Path)),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 204))
)]
async fn delete(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    let store = app.store()?;
    let _turn = app.users.lock().await;
    let accounts = store.accounts();
    let user = accounts.users.get(&name).ok_or_else(|| unknown(&name))?;
    let detail = format!("role {}", user.role.word());
    let audit = audit(&app, access.principal.who, "user.delete", &name, detail);
    let mut writes = end_sessions(&accounts, &name, None);
    writes.push(Write::DeleteUser { name });
    store.commit(Change { writes, audit: Some(audit) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets a password. Users may set their own by giving the one until now; for another's
/// this needs `admin`. The other sessions of the user end.
#[utoipa::path(
    put, path = "/api/v1/users/{name}/password", tag = "access", params(("name" = String, Path)),
    request_body = PasswordChange,
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 204))
)]
async fn set_password(
    access: Access<MonitoringRead>,
    visitor: Visitor,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(wanted): ApiJson<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let who = access.principal.who.clone();
    let own = who == format!("user:{name}");
    if !own && !access.principal.may(Scope::Admin) {
        let detail = format!("{who} may not set the password of another user");
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    let store = app.store()?;
    if !store.accounts().users.contains_key(&name) {
        return Err(unknown(&name));
    }
    if own {
        // A browser that was left open must not be enough to lock its user out.
        let current = wanted.current.ok_or_else(|| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_password", "`current` is missing")
                .field("/current", "expected the password until now")
        })?;
        login::by_password(&app, &visitor.client, &name, current).await?;
    }
    let password = login::hash(&app, &name, wanted.password).await?;
    let _turn = app.users.lock().await;
    let accounts = store.accounts();
    let before = accounts.users.get(&name).ok_or_else(|| unknown(&name))?;
    let user = User { password, password_at: app.now(), ..User::clone(before) };
    let mut writes = end_sessions(&accounts, &name, Some(&access.pass));
    let detail = format!("{} sessions ended", writes.len());
    let audit = audit(&app, who, "user.password", &name, detail);
    writes.push(Write::PutUser(user));
    store.commit(Change { writes, audit: Some(audit) }).await?;
    Ok(StatusCode::NO_CONTENT)
}
