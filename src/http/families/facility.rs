//! The facility family: `/api/monitoring/alerts`, and the same list for the gateway family.
//!
//! An alert there is about a metric. One would get it wrong by naming the rule instead:
//! what these clients look up by that name is a series.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::base::time::Timestamp;
use crate::http::auth::{Access, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiOptional, ApiPath};
use crate::http::registry::{Registry, routes};
use crate::http::routes::alert_actions::{Remark, acknowledgement, tell};
use crate::http::state::{App, AppState};
use crate::model::alert::Alert;
use crate::promql::inspect::metric_names;
use crate::promql::parse;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(alerts)).routes(routes!(acknowledge))
}

/// One alert in the words of this family.
#[derive(Serialize, utoipa::ToSchema)]
struct FacilityAlert {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    /// `LOW`, `MEDIUM`, `HIGH` or `CRITICAL`.
    severity: &'static str,
    message: String,
    /// The first series that the rule looks at; null for an event.
    metric: Option<String>,
    value: Option<f64>,
    threshold: Option<f64>,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    acknowledged: bool,
}

impl From<&Alert> for FacilityAlert {
    fn from(alert: &Alert) -> Self {
        let expr = parse(&alert.expr).ok();
        let metric = expr.as_ref().and_then(|expr| metric_names(expr).first().map(ToString::to_string));
        let text = if alert.message.is_empty() { &alert.title } else { &alert.message };
        // JSON has no infinities.
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        Self {
            id: alert.id.clone(),
            kind: alert.labels.get("alertname").unwrap_or(&alert.rule).clone(),
            severity: alert.severity.facility_word(),
            message: text.clone(),
            metric,
            value: finite(alert.value),
            threshold: finite(alert.threshold),
            timestamp: alert.started_at,
            acknowledged: alert.acknowledged.is_some(),
        }
    }
}

/// The active alerts, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FacilityAlerts {
    alerts: Vec<FacilityAlert>,
    count: usize,
}

/// The active alerts, newest first.
///
/// # Errors
/// 503 while the store opens.
pub fn active(app: &App) -> Result<FacilityAlerts, Problem> {
    let all = app.alerting()?.alerts();
    let mut active: Vec<&Alert> =
        all.iter().map(|shown| &*shown.alert).filter(|alert| alert.state.is_active()).collect();
    active.sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| b.id.cmp(&a.id)));
    Ok(FacilityAlerts { count: active.len(), alerts: active.into_iter().map(Into::into).collect() })
}

/// The active alerts, newest first.
#[utoipa::path(
    get, path = "/api/monitoring/alerts", tag = "alerts",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = FacilityAlerts))
)]
async fn alerts(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
) -> Result<Json<FacilityAlerts>, Problem> {
    active(&app).map(Json)
}

#[derive(Serialize, utoipa::ToSchema)]
struct FacilityAcknowledged {
    success: bool,
    alert_id: String,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    acknowledged_at: Option<Timestamp>,
}

/// Says that somebody has seen it; who says so twice gets the same answer.
#[utoipa::path(
    post, path = "/api/monitoring/alerts/{id}/acknowledge", tag = "alerts", params(("id" = String, Path)),
    request_body(content = Remark, description = "May be left out."),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = FacilityAcknowledged))
)]
async fn acknowledge(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
    ApiOptional(remark): ApiOptional<Remark>,
) -> Result<Json<FacilityAcknowledged>, Problem> {
    let command = acknowledgement(&access.principal.who, remark)?;
    let view = tell(&app, &id, command).await?;
    Ok(Json(FacilityAcknowledged { success: true, alert_id: view.id, acknowledged_at: view.acknowledged_at }))
}
