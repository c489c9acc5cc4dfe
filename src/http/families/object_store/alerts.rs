//! The family's alerts: five types, in its own words.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::pick;
use super::shapes::Pick;
use crate::base::time::Timestamp;
use crate::engine::alerting::RECOVERED;
use crate::http::auth::{Access, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiOptional, ApiPath, ApiQuery};
use crate::http::registry::{Registry, routes};
use crate::http::routes::alert_actions::tell;
use crate::http::state::AppState;
use crate::logic::alert::Command;
use crate::model::alert::AlertState;
use crate::model::alert_view::{AlertView, MutedBy};
use crate::model::event::rfc3339;

/// The types that this family knows.
const TYPES: [&str; 5] =
    ["circuit_breaker_open", "high_error_rate", "slow_response", "service_degraded", RECOVERED];

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(list)).routes(routes!(resolve))
}

/// One alert in the family's words.
#[derive(Serialize, utoipa::ToSchema)]
struct StoreAlert {
    id: String,
    /// `circuit_breaker_open`, `high_error_rate`, `slow_response`, `service_degraded` or `service_recovered`.
    #[serde(rename = "type")]
    kind: String,
    /// `LOW`, `MEDIUM`, `HIGH` or `CRITICAL`.
    severity: &'static str,
    target: String,
    title: String,
    message: String,
    value: Option<f64>,
    threshold: Option<f64>,
    state: AlertState,
    acknowledged: bool,
    resolved: bool,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
}

impl From<AlertView> for StoreAlert {
    fn from(view: AlertView) -> Self {
        Self {
            severity: view.severity_level.facility_word(),
            target: view.labels.get("target").cloned().unwrap_or_default(),
            id: view.id,
            kind: view.rule,
            title: view.title,
            message: view.message,
            value: view.value,
            threshold: view.threshold,
            acknowledged: view.acknowledged,
            resolved: view.state == AlertState::Resolved,
            state: view.state,
            created_at: view.created_at,
            resolved_at: view.resolved_at,
        }
    }
}

/// The active alerts of an object store, newest first.
#[derive(Serialize, utoipa::ToSchema)]
struct StoreAlerts {
    alerts: Vec<StoreAlert>,
    count: usize,
}

/// Active alerts about the store, of this family's five types.
#[utoipa::path(
    get, path = "/api/health/alerts", tag = "object-store", params(Pick),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = StoreAlerts))
)]
async fn list(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Pick>,
) -> Result<Json<StoreAlerts>, Problem> {
    let name = pick(&app, &wanted)?.name;
    let live = app.alerting()?.alerts();
    let own = live.iter().rev().map(|shown| &shown.alert).filter(|alert| {
        let is_about = alert.labels.get("target").is_some_and(|target| target == name.as_str());
        alert.state.is_active() && TYPES.contains(&alert.rule.as_str()) && is_about
    });
    let alerts: Vec<StoreAlert> = own.map(|alert| AlertView::of(alert, MutedBy::default()).into()).collect();
    Ok(Json(StoreAlerts { count: alerts.len(), alerts }))
}

/// What is said with it.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Notes {
    #[serde(default)]
    notes: String,
}

/// Ends an alert; it comes back only after its condition was false once.
#[utoipa::path(
    post, path = "/api/health/alerts/{id}/resolve", tag = "object-store", params(("id" = String, Path)),
    request_body(content = Notes, description = "May be left out."),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = StoreAlert))
)]
async fn resolve(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
    ApiOptional(Notes { notes }): ApiOptional<Notes>,
) -> Result<Json<StoreAlert>, Problem> {
    let by = access.principal.who.clone();
    let view = tell(&app, &id, Command::Resolve { by, notes }).await?;
    Ok(Json(view.into()))
}
