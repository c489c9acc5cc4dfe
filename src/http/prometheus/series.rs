//! `series`, `labels`, the values of a label, and `metadata`: what there is to ask for.
//!
//! All from the index in memory. A time range leaves out what has no sample inside it, as
//! far as the first and the last sample of a series tell.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Success;
use super::form::{Given, bad_data};
use crate::base::time::Timestamp;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::ApiPath;
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::series::{Kind, is_label_name};
use crate::promql::Labels;
use crate::runtime::supervisor::Supervisor;

/// Series looked at for one answer; the store's own cap is lower by default.
const MOST: usize = 100_000;
/// What had no sample for so long has no metadata.
const METADATA_OF: std::time::Duration = std::time::Duration::from_secs(86_400);

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(routes!(series, series_form))
        .routes(routes!(labels, labels_form))
        .routes(routes!(values))
        .routes(routes!(metadata))
}

/// The series that match any of the selectors.
#[utoipa::path(
    get, path = "/prometheus/api/v1/series", tag = "prometheus",
    params(
        ("match[]" = Vec<String>, Query, description = "Selectors, at most 64; at least one."),
        ("start" = Option<String>, Query, description = "Seconds since 1970 or RFC 3339."),
        ("end" = Option<String>, Query, description = "Included."),
        ("limit" = Option<usize>, Query, description = "Series to answer; 0 or nothing is all.")
    ),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<Vec<BTreeMap<String, String>>>))
)]
async fn series(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    form: Given,
) -> Result<Json<Success<Vec<BTreeMap<String, String>>>>, Problem> {
    series_of(&app, &form).await
}

/// The same with the parameters in a form.
#[utoipa::path(
    post, path = "/prometheus/api/v1/series", tag = "prometheus",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<Vec<BTreeMap<String, String>>>))
)]
async fn series_form(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    form: Given,
) -> Result<Json<Success<Vec<BTreeMap<String, String>>>>, Problem> {
    series_of(&app, &form).await
}

/// The names of all labels, of the series that match where there are selectors.
#[utoipa::path(
    get, path = "/prometheus/api/v1/labels", tag = "prometheus",
    params(
        ("match[]" = Option<Vec<String>>, Query, description = "Selectors, at most 64."),
        ("start" = Option<String>, Query, description = "Seconds since 1970 or RFC 3339."),
        ("end" = Option<String>, Query, description = "Included."),
        ("limit" = Option<usize>, Query, description = "Names to answer; 0 or nothing is all.")
    ),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<Vec<String>>))
)]
async fn labels(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    form: Given,
) -> Result<Json<Success<Vec<String>>>, Problem> {
    labels_of(&app, &form).await
}

/// The same with the parameters in a form.
#[utoipa::path(
    post, path = "/prometheus/api/v1/labels", tag = "prometheus",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<Vec<String>>))
)]
async fn labels_form(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    form: Given,
) -> Result<Json<Success<Vec<String>>>, Problem> {
    labels_of(&app, &form).await
}

/// The values of one label; `__name__` for the names of metrics.
#[utoipa::path(
    get, path = "/prometheus/api/v1/label/{name}/values", tag = "prometheus",
    params(
        ("name" = String, Path, description = "Name of the label."),
        ("match[]" = Option<Vec<String>>, Query, description = "Selectors, at most 64."),
        ("start" = Option<String>, Query, description = "Seconds since 1970 or RFC 3339."),
        ("end" = Option<String>, Query, description = "Included."),
        ("limit" = Option<usize>, Query, description = "Values to answer; 0 or nothing is all.")
    ),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<Vec<String>>))
)]
async fn values(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    form: Given,
) -> Result<Json<Success<Vec<String>>>, Problem> {
    if !is_label_name(&name) {
        return Err(bad_data(format!("invalid label name: {name:?}")));
    }
    let found = find(&app, &form).await?;
    let values: BTreeSet<String> = found.iter().map(|labels| labels.value(&name).to_owned()).collect();
    some(values.into_iter().filter(|value| !value.is_empty()), form.limit("limit")?)
}

/// What is known of a metric.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PrometheusMetadata)]
struct Metadata {
    #[serde(rename = "type")]
    kind: Kind,
    help: String,
    /// Not known: empty.
    unit: &'static str,
}

/// Type and help of every metric that had a sample within a day.
#[utoipa::path(
    get, path = "/prometheus/api/v1/metadata", tag = "prometheus",
    params(
        ("metric" = Option<String>, Query, description = "Name of one metric."),
        ("limit" = Option<usize>, Query, description = "Metrics to answer; 0 or nothing is all.")
    ),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<BTreeMap<String, Vec<Metadata>>>))
)]
async fn metadata(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    form: Given,
) -> Result<Json<Success<BTreeMap<String, Vec<Metadata>>>>, Problem> {
    let limit = form.limit("limit")?;
    let metric = form.given("metric");
    let mut known: BTreeMap<String, Vec<Metadata>> = BTreeMap::new();
    app.store()?.visit_latest(METADATA_OF, &mut |sample| {
        let wanted = metric.is_none_or(|metric| metric == sample.family);
        if wanted && known.len() < limit && !known.contains_key(sample.family) {
            let metadata = Metadata { kind: sample.kind, help: sample.help.to_owned(), unit: "" };
            known.insert(sample.family.to_owned(), vec![metadata]);
        }
    });
    Ok(Json(Success::of(known)))
}

async fn series_of(app: &App, form: &Given) -> Result<Json<Success<Vec<BTreeMap<String, String>>>>, Problem> {
    if form.given("match[]").is_none() {
        return Err(bad_data("no match[] parameter provided"));
    }
    let limit = form.limit("limit")?;
    let found = find(app, form).await?;
    let owned = |labels: &Labels| {
        labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
    };
    let answer = found.iter().take(limit).map(owned).collect();
    Ok(Json(Success::of(answer).truncated(found.len() > limit)))
}

async fn labels_of(app: &App, form: &Given) -> Result<Json<Success<Vec<String>>>, Problem> {
    let found = find(app, form).await?;
    let names = found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name));
    let names: BTreeSet<&str> = names.collect();
    some(names.into_iter().map(str::to_owned), form.limit("limit")?)
}

/// The first so many.
fn some(mut all: impl Iterator<Item = String>, limit: usize) -> Result<Json<Success<Vec<String>>>, Problem> {
    let answer: Vec<String> = all.by_ref().take(limit).collect();
    Ok(Json(Success::of(answer).truncated(all.next().is_some())))
}

/// The labels of the series that match any selector of the form, all where there is none,
/// and have samples in its range.
async fn find(app: &App, form: &Given) -> Result<Vec<Labels>, Problem> {
    let selectors = form.selectors()?;
    let start = form.time("start")?.unwrap_or(Timestamp(i64::MIN));
    let end = form.time("end")?.unwrap_or(Timestamp(i64::MAX));
    let store = app.store()?.clone();
    // Matching looks at every series: on a thread that may take its time.
    let work = move || {
        let found = store.series(&selectors, MOST)?;
        let inside = found.iter().filter(|info| info.first <= end && info.last >= start);
        Ok::<_, Problem>(inside.map(|info| Labels::from_key(&info.key)).collect())
    };
    Supervisor::blocking(work).await.ok_or_else(Problem::internal)?
}
