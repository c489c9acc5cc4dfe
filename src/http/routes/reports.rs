//! `/events/operation`, `/events/failure`, `/ingest/metrics`: what applications report.
//!
//! Of a list each entry is taken or rejected by itself, and the answer says which and
//! why. What is not even the JSON of a report refuses the whole: then the client is
//! broken, and half of its reports would hide that.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::auth::{Access, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiList, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::model::report::{FailureEvent, FailureReport, FigureReport, OperationReport};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(operation)).routes(routes!(failures, failure)).routes(routes!(metrics))
}

/// What became of the reports.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
struct Taken {
    accepted: usize,
    rejected: Vec<RejectedReport>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RejectedReport {
    /// Its place in the list, from 0.
    index: usize,
    detail: String,
}

/// For the document: one report or a list of them.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

fn take<T>(items: &[T], report: impl Fn(&T) -> Result<(), String>) -> Taken {
    let mut taken = Taken::default();
    for (index, item) in items.iter().enumerate() {
        match report(item) {
            Ok(()) => taken.accepted += 1,
            Err(detail) => taken.rejected.push(RejectedReport { index, detail }),
        }
    }
    taken
}

/// A single report that is rejected is an error of the request.
fn answer<T>(list: &ApiList<T>, report: impl Fn(&T) -> Result<(), String>) -> Result<Json<Taken>, Problem> {
    let taken = take(&list.items, report);
    match taken.rejected.first() {
        Some(only) if !list.many => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", only.detail.clone()))
        }
        _ => Ok(Json(taken)),
    }
}

/// Takes one finished operation, or a list. They become `holdfast_operation_total` and
/// `holdfast_operation_duration_seconds`; the source counts as heard.
#[utoipa::path(
    post, path = "/events/operation", tag = "reports", request_body = OneOrMany<OperationReport>,
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = Taken))
)]
async fn operation(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    list: ApiList<OperationReport>,
) -> Result<Json<Taken>, Problem> {
    let reports = app.reports()?;
    answer(&list, |report| reports.operation(report))
}

/// Takes one failure, or a list. They become `holdfast_failure_events_total`, and each is
/// kept among the last 10,000; the source counts as heard.
#[utoipa::path(
    post, path = "/events/failure", tag = "reports", request_body = OneOrMany<FailureReport>,
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = Taken))
)]
async fn failure(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    list: ApiList<FailureReport>,
) -> Result<Json<Taken>, Problem> {
    let reports = app.reports()?;
    answer(&list, |report| reports.failure(report))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    source: Option<String>,
    kind: Option<String>,
    /// Items to answer, 100 by default, 1000 at most.
    limit: Option<usize>,
    /// Items to leave out at the start.
    offset: Option<usize>,
    /// `next` of an earlier answer; in place of `offset`.
    cursor: Option<String>,
}

/// The failures that are remembered, newest first.
#[utoipa::path(
    get, path = "/events/failure", tag = "reports", params(Wanted),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<FailureEvent>))
)]
async fn failures(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> Result<Json<List<FailureEvent>>, Problem> {
    let Wanted { source, kind, limit, offset, cursor } = wanted;
    let window = Paging { limit, offset, cursor }.window()?;
    let is_wanted = |event: &FailureEvent| {
        source.as_ref().is_none_or(|source| event.source == *source)
            && kind.as_ref().is_none_or(|kind| event.kind == *kind)
    };
    let (items, total) = app.reports()?.failures(is_wanted, window.limit, window.offset);
    Ok(Json(List::cut(items, total, window)))
}

/// Figures of an application.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Figures {
    metrics: Vec<FigureReport>,
}

/// Takes figures: a counter adds `value`, a gauge is it, histograms and timers observe it.
#[utoipa::path(
    post, path = "/ingest/metrics", tag = "reports", request_body = Figures,
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = Taken))
)]
async fn metrics(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiJson(Figures { metrics }): ApiJson<Figures>,
) -> Result<Json<Taken>, Problem> {
    let reports = app.reports()?;
    Ok(Json(take(&metrics, |figure| reports.figure(figure))))
}
