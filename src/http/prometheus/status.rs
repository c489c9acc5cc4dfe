//! `status/buildinfo`, from which clients conclude what a server can, and `format_query`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Success;
use super::form::{Given, bad_parameter};
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::promql::parse;

/// The server whose API and PromQL this is, and who answers in its place.
const VERSION: &str = concat!("3.0.0+holdfast.", env!("CARGO_PKG_VERSION"));

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(build_info)).routes(routes!(format_query, format_query_form))
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PrometheusBuildInfo)]
struct BuildInfo {
    /// The version of Prometheus whose API this is; the agent's own behind `+`.
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    /// Empty: there is no Go.
    go_version: &'static str,
    application: &'static str,
}

/// Which version of the API this is.
#[utoipa::path(
    get, path = "/prometheus/api/v1/status/buildinfo", tag = "prometheus",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<BuildInfo>))
)]
async fn build_info(_: Access<MonitoringRead>, State(app): State<AppState>) -> Json<Success<BuildInfo>> {
    Json(Success::of(BuildInfo {
        version: VERSION,
        revision: app.services.build.commit,
        branch: "",
        build_user: "",
        build_date: "",
        go_version: "",
        application: "holdfast",
    }))
}

/// An expression as it is written by convention.
#[utoipa::path(
    get, path = "/prometheus/api/v1/format_query", tag = "prometheus",
    params(("query" = String, Query, description = "PromQL.")),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<String>))
)]
async fn format_query(_: Access<MonitoringRead>, form: Given) -> Result<Json<Success<String>>, Problem> {
    formatted(&form)
}

/// The same with the parameter in a form.
#[utoipa::path(
    post, path = "/prometheus/api/v1/format_query", tag = "prometheus",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<String>))
)]
async fn format_query_form(_: Access<MonitoringRead>, form: Given) -> Result<Json<Success<String>>, Problem> {
    formatted(&form)
}

fn formatted(form: &Given) -> Result<Json<Success<String>>, Problem> {
    let expr = parse(form.text("query")).map_err(|error| bad_parameter("query", error))?;
    Ok(Json(Success::of(expr.to_string())))
}
