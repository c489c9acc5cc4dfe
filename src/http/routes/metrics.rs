//! `/metrics`: the latest value of every series as text, or the host in JSON; with a
//! filter of the orchestrator family, samples.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, VARY};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::monitoring;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::families::orchestrator_metrics::{MetricSamples, SampleFilter};
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::logic::openmetrics::write::{Format, Writer};
use crate::model::query::LOOKBACK;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(metrics))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Goes before `Accept`.
    #[param(inline)]
    format: Option<Named>,
    /// Samples of this metric, in JSON; so with each of these filters.
    #[param(min_length = 1)]
    name: Option<String>,
    /// Samples from there: an application, a target, a job, `host` or `agent`.
    #[param(min_length = 1)]
    source: Option<String>,
    /// Samples after this time, five minutes ago by default: RFC 3339, epoch seconds or
    /// milliseconds.
    #[param(min_length = 1)]
    since: Option<String>,
    /// Samples to answer, newest first; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// A form by its name.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Named {
    Prometheus,
    OpenMetrics,
    Json,
}

/// What `/metrics` can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Text(Format),
    Json,
}

/// The latest value of every series: Prometheus text, OpenMetrics by `Accept`, or
/// system metrics in JSON; with a filter the newest samples that it means, in JSON.
#[utoipa::path(
    get, path = "/metrics", tag = "monitoring", params(Wanted),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, content(
        (String = "text/plain"),
        (String = "application/openmetrics-text"),
        (MetricsJson = "application/json")
    )), (status = 404))
)]
async fn metrics(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !app.config.borrow().metrics.enabled {
        return Err(Problem::not_found("metrics are switched off").hint("set `metrics.enabled` to true"));
    }
    let Wanted { format, name, source, since, limit } = wanted;
    let filter = SampleFilter { name, source, since, limit };
    if filter.is_given() {
        if matches!(format, Some(Named::Prometheus | Named::OpenMetrics)) {
            return Err(Problem::bad_parameter("format", "filters are answered in JSON only"));
        }
        return Ok(Json(filter.find(&app).await?).into_response());
    }
    let answer = match format {
        Some(Named::Prometheus) => Answer::Text(Format::Prometheus),
        Some(Named::OpenMetrics) => Answer::Text(Format::OpenMetrics),
        Some(Named::Json) => Answer::Json,
        None => negotiate(headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default()),
    };
    let mut response = match answer {
        Answer::Json => Json(monitoring::collect(&app)?).into_response(),
        Answer::Text(format) => {
            let mut response = exposition(&app, format)?.into_response();
            let kind = HeaderValue::from_static(format.content_type());
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// For the document: what may be answered in JSON.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum MetricsJson {
    System(Box<monitoring::Metrics>),
    Samples(MetricSamples),
}

fn exposition(app: &AppState, format: Format) -> Result<String, Problem> {
    let mut writer = Writer::new(format);
    app.store()?.visit_latest(LOOKBACK, &mut |sample| {
        writer.sample(sample.family, sample.kind, sample.help, sample.key, sample.value);
    });
    Ok(writer.finish())
}

/// The form with the highest quality; plain text where the client does not care.
fn negotiate(accept: &str) -> Answer {
    let mut best = (Answer::Text(Format::Prometheus), 0.0);
    for part in accept.split(',') {
        let mut words = part.split(';').map(str::trim);
        let answer = match words.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => Answer::Text(Format::OpenMetrics),
            "application/json" => Answer::Json,
            "text/plain" | "text/*" | "*/*" => Answer::Text(Format::Prometheus),
            _ => continue,
        };
        let quality = words.find_map(|word| word.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f64>);
        let quality = quality.unwrap_or(0.0);
        if quality > best.1 {
            best = (answer, quality);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_accept() {
        let text = Answer::Text(Format::Prometheus);
        for (accept, wanted) in [
            ("", text),
            ("*/*", text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", text),
            ("application/json", Answer::Json),
            ("application/json;q=0.1, text/plain;q=0.2", text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;\
                 q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Answer::Text(Format::OpenMetrics),
            ),
        ] {
            assert_eq!(negotiate(accept), wanted, "{accept}");
        }
    }
}
