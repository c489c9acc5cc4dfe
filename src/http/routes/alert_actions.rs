//! Acknowledging and resolving an alert.
//!
//! Both may be repeated: who asks twice gets the same answer. An acknowledgement says
//! that somebody has seen it and mutes reminders; a resolve ends the alert, and while its
//! condition stays true it does not come back before it was false once.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::alerts::view;
use crate::base::time::Timestamp;
use crate::engine::alerting::AlertError;
use crate::http::auth::{Access, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiOptional, ApiPath};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::logic::alert::{Command, Refused};
use crate::model::alert_view::{AlertView, MutedBy};
use crate::runtime::supervisor::Supervisor;

const LONGEST_COMMENT: usize = 4096;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(acknowledge, unacknowledge)).routes(routes!(resolve))
}

/// What is said with it.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Remark {
    #[serde(default)]
    comment: String,
    /// When an acknowledgement ends by itself: RFC 3339, epoch seconds or milliseconds.
    #[serde(default)]
    until: Option<String>,
}

impl Remark {
    fn until(&self) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = &self.until else { return Ok(None) };
        let time = Timestamp::parse(text).ok_or_else(|| {
            let detail = format!("`{text}` is not a time, expected RFC 3339, epoch seconds or milliseconds");
            Problem::bad_parameter("/until", detail)
        });
        time.map(Some)
    }
}

/// Longer texts are refused.
fn fitting(comment: String) -> Result<String, Problem> {
    if comment.len() <= LONGEST_COMMENT {
        return Ok(comment);
    }
    Err(Problem::bad_parameter("/comment", format!("is longer than {LONGEST_COMMENT} bytes")))
}

/// What `by` says with an acknowledgement.
///
/// # Errors
/// 400 for a time that is none and for a comment that is too long.
pub fn acknowledgement(by: &str, remark: Remark) -> Result<Command, Problem> {
    let until = remark.until()?;
    Ok(Command::Acknowledge { by: by.to_owned(), comment: fitting(remark.comment)?, until })
}

/// What `by` says with a resolve.
///
/// # Errors
/// 400 where it says when it ends, and for a comment that is too long.
pub fn resolution(by: &str, remark: Remark) -> Result<Command, Problem> {
    if remark.until.is_some() {
        return Err(Problem::bad_parameter("/until", "has no meaning here"));
    }
    Ok(Command::Resolve { by: by.to_owned(), notes: fitting(remark.comment)? })
}

/// Does what `command` says and answers the alert.
///
/// # Errors
/// 404 for an unknown alert, 409 for one that is not active, 503 where it cannot be stored.
pub async fn tell(app: &App, id: &str, command: Command) -> Result<AlertView, Problem> {
    match app.alerting()?.command(id, command.clone()).await {
        Ok(alert) => Ok(view(app, &alert)),
        // What is over already was resolved: who says so again is right.
        Err(AlertError::Refused(Refused::Unknown)) if matches!(command, Command::Resolve { .. }) => {
            let (store, wanted) = (app.store()?.clone(), id.to_owned());
            let read = move || {
                Ok::<_, crate::store::StoreError>(
                    store.alerts()?.into_iter().find(|alert| alert.id == wanted),
                )
            };
            let stored = Supervisor::blocking(read).await.ok_or_else(Problem::internal)??;
            let alert = stored.ok_or_else(|| Problem::from(AlertError::Refused(Refused::Unknown)))?;
            Ok(AlertView::of(&alert, MutedBy::default()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Says that somebody has seen it: reminders stop until it worsens, or until `until`.
#[utoipa::path(
    post, path = "/api/v1/monitoring/alerts/{id}/acknowledge", tag = "alerts", params(("id" = String, Path)),
    request_body(content = Remark, description = "May be left out."),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = AlertView))
)]
async fn acknowledge(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
    ApiOptional(remark): ApiOptional<Remark>,
) -> Result<Json<AlertView>, Problem> {
    let command = acknowledgement(&access.principal.who, remark)?;
    tell(&app, &id, command).await.map(Json)
}

/// Takes an acknowledgement back.
#[utoipa::path(
    delete, path = "/api/v1/monitoring/alerts/{id}/acknowledge", tag = "alerts", params(("id" = String, Path)),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = AlertView))
)]
async fn unacknowledge(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<AlertView>, Problem> {
    let by = access.principal.who.clone();
    tell(&app, &id, Command::Unacknowledge { by }).await.map(Json)
}

/// Ends it. Where the condition is still true it comes back only after it was false once,
/// or after the rule's `re_raise_after`.
#[utoipa::path(
    post, path = "/api/v1/monitoring/alerts/{id}/resolve", tag = "alerts", params(("id" = String, Path)),
    request_body(content = Remark, description = "May be left out."),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = AlertView))
)]
async fn resolve(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
    ApiOptional(remark): ApiOptional<Remark>,
) -> Result<Json<AlertView>, Problem> {
    let command = resolution(&access.principal.who, remark)?;
    tell(&app, &id, command).await.map(Json)
}
