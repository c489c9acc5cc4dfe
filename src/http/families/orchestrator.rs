//! The orchestrator family: alerts at the root, in its words of severity.
//!
//! A word means everything that this family shows as it. One would get it wrong by
//! comparing severities themselves: `WARNING` would miss what is high.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::http::auth::{Access, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiOptional, ApiPath, ApiQuery};
use crate::http::registry::{Registry, routes};
use crate::http::routes::alert_actions::{Remark, resolution, tell};
use crate::http::routes::alerts::{Filter, OneShot, find, limit_of, raise};
use crate::http::state::AppState;
use crate::model::alert::AlertState;
use crate::model::alert_view::AlertView;
use crate::model::severity::Severity;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(alerts)).routes(routes!(resolve)).routes(routes!(test_alert))
}

/// A test alert that nobody resolves ends by itself.
const TEST_LASTS: Duration = Duration::from_secs(3600);
const LONGEST_TITLE: usize = 512;

/// One alert in the words of this family.
#[derive(Serialize, utoipa::ToSchema)]
struct OrchestratorAlert {
    id: String,
    /// `INFO`, `WARNING`, `CRITICAL` or `EMERGENCY`.
    severity: &'static str,
    #[schema(value_type = Severity)]
    severity_level: Severity,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    title: String,
    message: String,
    state: AlertState,
    acknowledged: bool,
    value: Option<f64>,
    threshold: Option<f64>,
    labels: BTreeMap<String, String>,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
}

impl From<AlertView> for OrchestratorAlert {
    fn from(view: AlertView) -> Self {
        Self {
            id: view.id,
            severity: view.severity_level.orchestrator_word(),
            severity_level: view.severity_level,
            source: view.source,
            kind: view.kind,
            title: view.title,
            message: view.message,
            state: view.state,
            acknowledged: view.acknowledged,
            value: view.value,
            threshold: view.threshold,
            labels: view.labels,
            timestamp: view.created_at,
            resolved_at: view.resolved_at,
        }
    }
}

/// Which alerts are meant; what is left out is any.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `INFO`, `WARNING`, `CRITICAL`, `EMERGENCY`, or a level: `low`, `medium`, `high`.
    #[param(min_length = 1)]
    severity: Option<String>,
    #[param(min_length = 1)]
    source: Option<String>,
    /// `active` (the default), `all`, or a state.
    #[param(min_length = 1)]
    state: Option<String>,
    /// Begun at this time or later: RFC 3339, epoch seconds or milliseconds.
    #[param(min_length = 1)]
    since: Option<String>,
    /// 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Alerts, newest first.
#[derive(Serialize, utoipa::ToSchema)]
struct OrchestratorAlerts {
    alerts: Vec<OrchestratorAlert>,
    /// How many match, whatever the limit.
    total: usize,
}

/// Active alerts, or those in another state; newest first.
#[utoipa::path(
    get, path = "/alerts", tag = "alerts", params(Wanted),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = OrchestratorAlerts))
)]
async fn alerts(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> Result<Json<OrchestratorAlerts>, Problem> {
    let limit = limit_of(wanted.limit)?;
    let Wanted { severity, source, state, since, .. } = wanted;
    let filter = Filter { severity, source, state, since, ..Filter::default() };
    let found = find(&app, &filter, Severity::orchestrator_word).await?;
    let total = found.len();
    Ok(Json(OrchestratorAlerts { alerts: found.into_iter().take(limit).map(Into::into).collect(), total }))
}

/// Ends an alert; who asks twice gets the same answer.
#[utoipa::path(
    post, path = "/alerts/{id}/resolve", tag = "alerts", params(("id" = String, Path)),
    request_body(content = Remark, description = "May be left out."),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = OrchestratorAlert))
)]
async fn resolve(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
    ApiOptional(remark): ApiOptional<Remark>,
) -> Result<Json<OrchestratorAlert>, Problem> {
    let command = resolution(&access.principal.who, remark)?;
    Ok(Json(tell(&app, &id, command).await?.into()))
}

/// What a test alert says.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Test {
    severity: Severity,
    #[schema(min_length = 1)]
    title: String,
}

/// Raises a synthetic alert that goes the whole way: stored, shown, delivered. It ends when
/// it is resolved, or after an hour.
#[utoipa::path(
    post, path = "/test-alert", tag = "alerts", request_body = Test,
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 201, body = OrchestratorAlert))
)]
async fn test_alert(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiJson(test): ApiJson<Test>,
) -> Result<(StatusCode, Json<OrchestratorAlert>), Problem> {
    if test.title.trim().is_empty() || test.title.len() > LONGEST_TITLE {
        let detail = format!("expected 1 to {LONGEST_TITLE} bytes");
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_alert",
            format!("the title: {detail}"),
        )
        .field("/title", detail));
    }
    let one = OneShot {
        kind: "test_alert",
        severity: test.severity,
        source: String::from("test"),
        title: test.title,
        message: format!("A test by {}: nothing is wrong.", access.principal.who),
        resource_type: None,
        resource_id: None,
        labels: BTreeMap::new(),
        expires_in: TEST_LASTS,
    };
    Ok((StatusCode::CREATED, Json(raise(&app, one).await?.into())))
}
