//! `/api/v1/failover/groups`: which groups there are, how each is, and its journal.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::base::id::Name;
use crate::config::failover::Group;
use crate::engine::failover::handle::CommandError;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::{ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::failover::durable::JournalEntry;
use crate::model::failover::group::Refusal;
use crate::model::failover::view::{GroupView, Unseen};
use crate::runtime::supervisor::Supervisor;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(one)).routes(routes!(journal))
}

/// The configured group of that name.
pub fn configured(app: &App, name: &str) -> Option<Group> {
    app.config.borrow().failover.group.iter().find(|group| group.name.as_str() == name).cloned()
}

/// The configured group of that name.
///
/// # Errors
/// 404 with the names there are.
pub fn find(app: &App, name: &str) -> Result<Group, Problem> {
    configured(app, name).ok_or_else(|| {
        let problem = Problem::not_found(format!("there is no failover group `{}`", name.escape_default()));
        let config = app.config.borrow();
        let known: Vec<&str> = config.failover.group.iter().map(|group| group.name.as_str()).collect();
        match known.as_slice() {
            [] => problem.hint("no failover group is configured"),
            known => problem.hint(format!("groups are {}", known.join(", "))),
        }
    })
}

/// Every configured group as it is; one that was not looked at yet is `observing`.
pub fn groups(app: &App) -> Vec<GroupView> {
    let shown = app.services.failovers.groups();
    let config = Arc::clone(&app.config.borrow());
    config.failover.group.iter().map(|group| of(&shown, group)).collect()
}

/// One group as it is.
pub fn view(app: &App, group: &Group) -> GroupView {
    of(&app.services.failovers.groups(), group)
}

fn of(shown: &[GroupView], group: &Group) -> GroupView {
    let known = shown.iter().find(|view| view.name == group.name.as_str());
    known.cloned().unwrap_or_else(|| {
        let unseen = Unseen {
            name: group.name.as_str(),
            kind: group.kind.word(),
            mode: group.mode,
            enabled: group.enabled,
            endpoint: &group.listen,
            endpoint_read: group.listen_read.as_deref(),
        };
        unseen.view(group.members.iter().map(Name::as_str))
    })
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let unavailable = |detail: String| {
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "failover_unavailable", detail).retry_after(5)
        };
        match error {
            CommandError::Refused(Refusal { code, detail, .. }) => {
                Self::new(StatusCode::CONFLICT, code.word(), detail)
            }
            // It is configured, so it will be.
            error @ (CommandError::NoGroup | CommandError::Unavailable(_)) => unavailable(error.to_string()),
        }
    }
}

/// One group: its tier and state, who is active, its members, what stands in the way of a
/// failover and what one would cost.
#[utoipa::path(
    get, path = "/api/v1/failover/groups/{name}", tag = "failover", params(("name" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = GroupView))
)]
async fn one(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<GroupView>, Problem> {
    let group = find(&app, &name)?;
    Ok(Json(view(&app, &group)))
}

/// A row of the journal with its number.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct JournalRow {
    pub number: u64,
    #[serde(flatten)]
    pub entry: JournalEntry,
}

/// Rows of a group's journal, newest first, and how many there are.
///
/// # Errors
/// 503 where the store cannot be read.
pub async fn rows(
    app: &App,
    name: Name,
    limit: usize,
    offset: usize,
) -> Result<(Vec<JournalRow>, u64), Problem> {
    let store = app.store()?.clone();
    let read = move || store.journal(&name, limit.saturating_add(offset), None);
    let (rows, total) = Supervisor::blocking(read).await.ok_or_else(Problem::internal)??;
    let rows = rows.into_iter().skip(offset).take(limit);
    Ok((rows.map(|(number, entry)| JournalRow { number, entry }).collect(), total))
}

/// What the group made durable, newest first: one row before each outside effect of a
/// failover, the last thousand.
#[utoipa::path(
    get, path = "/api/v1/failover/groups/{name}/journal", tag = "failover",
    params(("name" = String, Path), Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<JournalRow>))
)]
async fn journal(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<JournalRow>>, Problem> {
    let window = paging.window()?;
    let group = find(&app, &name)?;
    let (items, total) = rows(&app, group.name, window.limit, window.offset).await?;
    Ok(Json(List::cut(items, total, window)))
}
