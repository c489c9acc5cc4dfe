//! `/api/v1/monitoring/deliveries`: every message that was owed, and what became of it.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::http::auth::{Access, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::model::event::rfc3339;
use crate::model::notice::{Attempt, Notice, NoticeKind, NoticeState};
use crate::model::severity::Severity;
use crate::runtime::supervisor::Supervisor;
use crate::store::DeliveryFilter;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(list)).routes(routes!(retry))
}

/// An alert that a message is about.
#[derive(Serialize, utoipa::ToSchema)]
pub struct About {
    id: String,
    rule: String,
    title: String,
    severity: Severity,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    fired_at: Timestamp,
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
}

/// One message to one channel.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DeliveryView {
    /// Receivers recognise a repeated attempt by it.
    id: String,
    channel: String,
    kind: NoticeKind,
    state: NoticeState,
    alerts: Vec<About>,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it is tried next, while it waits.
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    tries: u32,
    /// The newest ones.
    attempts: Vec<Attempt>,
}

impl From<Notice> for DeliveryView {
    fn from(notice: Notice) -> Self {
        let waits = notice.state == NoticeState::Queued;
        let about = notice.alerts.into_iter().map(|alert| About {
            id: alert.id,
            rule: alert.rule,
            title: alert.title,
            severity: alert.severity,
            fired_at: alert.fired_at,
            resolved_at: alert.resolved_at,
        });
        Self {
            id: notice.id,
            channel: notice.channel,
            kind: notice.kind,
            state: notice.state,
            alerts: about.collect(),
            created_at: notice.created_at,
            due_at: waits.then_some(notice.due_at),
            expires_at: notice.expires_at,
            finished_at: notice.finished_at,
            tries: notice.tries,
            attempts: notice.attempts,
        }
    }
}

/// Which deliveries are meant; what is left out is any.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    #[param(min_length = 1)]
    channel: Option<String>,
    /// Id of an alert.
    #[param(min_length = 1)]
    alert: Option<String>,
    /// `queued`, `delivered`, `refused`, `expired` or `collapsed`.
    #[param(min_length = 1)]
    state: Option<String>,
    /// 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    offset: Option<usize>,
    /// `next` of an earlier answer; in place of `offset`.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Messages that wait, soonest first, then finished ones, newest first.
#[utoipa::path(
    get, path = "/api/v1/monitoring/deliveries", tag = "alerts", params(Wanted),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<DeliveryView>))
)]
async fn list(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> Result<Json<List<DeliveryView>>, Problem> {
    let paging = Paging { limit: wanted.limit, offset: wanted.offset, cursor: wanted.cursor };
    let window = paging.window()?;
    let state = match wanted.state.as_deref() {
        None => None,
        Some(word) => Some(NoticeState::from_word(word).ok_or_else(|| {
            let words = NoticeState::ALL.map(NoticeState::word).join(", ");
            Problem::bad_parameter("state", format!("`{word}` is not a state, expected one of {words}"))
        })?),
    };
    let filter = DeliveryFilter { channel: wanted.channel, alert: wanted.alert, state };
    let mut open = app.alerting()?.outbox().await;
    open.retain(|notice| filter.wants(notice));
    open.sort_by_key(|notice| notice.due_at);
    let waiting = open.len();
    let mut items: Vec<Notice> = open.into_iter().skip(window.offset).take(window.limit).collect();
    let (room, skip) = (window.limit - items.len(), window.offset.saturating_sub(waiting));
    let store = app.store()?.clone();
    let read = move || store.deliveries(&filter, room, skip);
    let (finished, count) = Supervisor::blocking(read).await.ok_or_else(Problem::internal)??;
    items.extend(finished);
    let items = items.into_iter().map(DeliveryView::from).collect();
    Ok(Json(List::cut(items, waiting as u64 + count, window)))
}

/// Tries a message that waits now.
#[utoipa::path(
    post, path = "/api/v1/monitoring/deliveries/{id}/retry", tag = "alerts", params(("id" = String, Path)),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 202, body = DeliveryView))
)]
async fn retry(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<(axum::http::StatusCode, Json<DeliveryView>), Problem> {
    let alerting = app.alerting()?;
    let missing = || Problem::not_found(format!("no message `{}` waits to be sent", id.escape_default()));
    if !alerting.retry_now(&id).await? {
        return Err(missing());
    }
    let row = alerting.outbox().await.into_iter().find(|notice| notice.id == id).ok_or_else(missing)?;
    Ok((axum::http::StatusCode::ACCEPTED, Json(row.into())))
}
