//! `/api/v1/tasks`: jobs of the user that report their start and their end.
//!
//! A step is a POST of its own, which may be repeated: who got no answer asks again and
//! gets the same. The pings of a check report tasks, too; those are ended by pings only.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::engine::task_keeper::{KeepError, NewTask};
use crate::http::auth::{Access, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiOptional, ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::logic::tasks::Filter;
use crate::model::task::{Task, TaskState};

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(routes!(list, create))
        .routes(routes!(one))
        .routes(routes!(start))
        .routes(routes!(complete))
        .routes(routes!(fail))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    state: Option<TaskState>,
    name: Option<String>,
    /// The check whose pings reported them.
    check: Option<String>,
    /// Items to answer, 100 by default, 1000 at most.
    limit: Option<usize>,
    /// Items to leave out at the start.
    offset: Option<usize>,
    /// `next` of an earlier answer; in place of `offset`.
    cursor: Option<String>,
}

/// Tasks that reported, newest first: the last thousand of 30 days. The agent's own
/// workers are at `/api/v1/system/workers`.
#[utoipa::path(
    get, path = "/api/v1/tasks", tag = "tasks", params(Wanted),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<Task>))
)]
async fn list(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> Result<Json<List<Task>>, Problem> {
    let Wanted { state, name, check, limit, offset, cursor } = wanted;
    let window = Paging { limit, offset, cursor }.window()?;
    let filter = Filter { state, name, check };
    let (items, total) = app.tasks()?.tasks(&filter, window.limit, window.offset);
    Ok(Json(List::cut(items, total, window)))
}

/// A task that will start.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTask)]
struct Created {
    name: String,
    #[serde(default)]
    kind: Option<String>,
    /// Drawn unless given.
    #[serde(default)]
    id: Option<String>,
}

/// Creates a pending task. 409 where the id is taken.
#[utoipa::path(
    post, path = "/api/v1/tasks", tag = "tasks", request_body = Created,
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 201, body = Task, headers(("Location" = String))))
)]
async fn create(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiJson(Created { name, kind, id }): ApiJson<Created>,
) -> Result<Response, Problem> {
    let task = app.tasks()?.create(NewTask { name, kind, id }).await?;
    let address = HeaderValue::from_str(&format!("/api/v1/tasks/{}", task.id));
    let mut response = (StatusCode::CREATED, Json(task)).into_response();
    if let Ok(address) = address {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

/// One task.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}", tag = "tasks", params(("id" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Task))
)]
async fn one(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<Task>, Problem> {
    let found = app.tasks()?.task(&id);
    Ok(Json(found.ok_or_else(|| KeepError::UnknownTask(id.escape_default().to_string()))?))
}

/// It begins. The same again is the same answer.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/start", tag = "tasks", params(("id" = String, Path)),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = Task))
)]
async fn start(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<Task>, Problem> {
    Ok(Json(app.tasks()?.advance(&id, TaskState::Running, None).await?))
}

/// What is said of a success.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TaskCompleted {
    #[serde(default)]
    message: Option<String>,
}

/// It ended well. The same again is the same answer; 409 where it failed.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/complete", tag = "tasks", params(("id" = String, Path)),
    request_body(content = Option<TaskCompleted>),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = Task))
)]
async fn complete(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
    ApiOptional(said): ApiOptional<TaskCompleted>,
) -> Result<Json<Task>, Problem> {
    Ok(Json(app.tasks()?.advance(&id, TaskState::Completed, said.message).await?))
}

/// What is said of a failure.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TaskFailed {
    #[serde(default)]
    error: Option<String>,
}

/// It failed. The same again is the same answer; 409 where it ended well.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/fail", tag = "tasks", params(("id" = String, Path)),
    request_body(content = Option<TaskFailed>),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = Task))
)]
async fn fail(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
    ApiOptional(said): ApiOptional<TaskFailed>,
) -> Result<Json<Task>, Problem> {
    Ok(Json(app.tasks()?.advance(&id, TaskState::Failed, said.error).await?))
}
