//! `/api/v1/monitoring/silences`: whom nobody is told about, and until when.
//!
//! Matchers are written as in Alertmanager: `severity=~"high|critical"`. A silence is never
//! deleted: it ends, and is kept for a week, so that who asks why nobody was told finds it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::base::units::Span;
use crate::http::auth::{Access, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::logic::silence::{self, Draft, Phase, matcher, phase};
use crate::model::access::AuditEntry;
use crate::model::event::rfc3339;
use crate::model::selector::Matcher;
use crate::model::silence::Silence;
use crate::runtime::supervisor::Supervisor;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(list, create)).routes(routes!(show, expire))
}

/// A silence in this family's words.
#[derive(Serialize, utoipa::ToSchema)]
struct SilenceView {
    id: String,
    /// `active`, `pending` or `expired`.
    state: &'static str,
    /// `label="value"`, `!=`, `=~`, `!~`; all of them must match.
    matchers: Vec<String>,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    created_by: String,
    comment: String,
    /// Planned work rather than noise.
    maintenance: bool,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

fn text(matcher: &Matcher) -> String {
    format!("{}{}{}", matcher.label, matcher.op.sign(), serde_json::Value::from(matcher.value.as_str()))
}

impl SilenceView {
    fn of(silence: &Silence, now: Timestamp) -> Self {
        Self {
            id: silence.id.clone(),
            state: match phase(silence, now) {
                Phase::Active => "active",
                Phase::Pending => "pending",
                Phase::Expired => "expired",
            },
            matchers: silence.matchers.iter().map(text).collect(),
            starts_at: silence.starts_at,
            ends_at: silence.ends_at,
            created_by: silence.created_by.clone(),
            comment: silence.comment.clone(),
            maintenance: silence.maintenance,
            updated_at: silence.updated_at,
        }
    }
}

/// Every silence that is stored, also those that ended within a week.
///
/// # Errors
/// 503 while the store opens or cannot be read.
pub async fn stored(app: &App) -> Result<Vec<Silence>, Problem> {
    let store = app.store()?.clone();
    Ok(Supervisor::blocking(move || store.silences()).await.ok_or_else(Problem::internal)??)
}

/// What ends next first; those that are over last.
#[utoipa::path(
    get, path = "/api/v1/monitoring/silences", tag = "alerts", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<SilenceView>))
)]
async fn list(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<SilenceView>>, Problem> {
    let window = paging.window()?;
    let now = app.now();
    let mut all = stored(&app).await?;
    all.sort_by_key(|silence| (phase(silence, now), silence.ends_at));
    let views = all.iter().map(|silence| SilenceView::of(silence, now)).collect();
    Ok(Json(List::of(views, window)))
}

/// A silence to make, or to change.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PostedSilence)]
struct Posted {
    /// Of a silence that is to be changed; where that would rewrite what was, it ends and
    /// a new one begins.
    id: Option<String>,
    /// `label="value"`, `!=`, `=~`, `!~`; at least one.
    #[schema(min_items = 1)]
    matchers: Vec<String>,
    /// RFC 3339, epoch seconds or milliseconds; now by default.
    starts_at: Option<String>,
    /// The same; or `duration`.
    ends_at: Option<String>,
    /// A text with a unit, `"2h"`, from the start.
    #[schema(value_type = Option<String>)]
    duration: Option<Span>,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    maintenance: bool,
}

fn invalid(pointer: &str, detail: impl Into<String>) -> Problem {
    let detail = detail.into();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_silence", detail.clone()).field(pointer, detail)
}

impl Posted {
    fn draft(&self, by: &str, now: Timestamp) -> Result<Draft, Problem> {
        let mut matchers = Vec::new();
        for (place, text) in self.matchers.iter().enumerate() {
            let read =
                matcher(text).map_err(|error| invalid(&format!("/matchers/{place}"), error.to_string()));
            matchers.push(read?);
        }
        let time = |key: &str, text: &Option<String>| -> Result<Option<Timestamp>, Problem> {
            let Some(text) = text else { return Ok(None) };
            let expected = "expected RFC 3339, epoch seconds or milliseconds";
            let read = Timestamp::parse(text);
            read.map(Some).ok_or_else(|| invalid(key, format!("`{text}` is not a time, {expected}")))
        };
        let starts_at = time("/starts_at", &self.starts_at)?.unwrap_or(now);
        let ends_at = match (time("/ends_at", &self.ends_at)?, self.duration) {
            (Some(at), None) => at,
            (None, Some(Span(duration))) if duration > Duration::ZERO => starts_at.max(now).plus(duration),
            (None, Some(_)) => return Err(invalid("/duration", "expected more than nothing")),
            (Some(_), Some(_)) => {
                return Err(invalid("/duration", "given beside `ends_at`, expected one of them"));
            }
            (None, None) => return Err(invalid("/duration", "is missing, expected `duration` or `ends_at`")),
        };
        Ok(Draft {
            matchers,
            starts_at,
            ends_at,
            created_by: by.to_owned(),
            comment: self.comment.clone(),
            maintenance: self.maintenance,
        })
    }
}

/// Makes a silence, or changes the one whose id is given.
#[utoipa::path(
    post, path = "/api/v1/monitoring/silences", tag = "alerts", request_body = Posted,
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 201, body = SilenceView, headers(("Location" = String))), (status = 404))
)]
async fn create(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiJson(posted): ApiJson<Posted>,
) -> Result<Response, Problem> {
    let now = app.now();
    let known = stored(&app).await?;
    let previous = match &posted.id {
        None => None,
        Some(id) => Some(known.iter().find(|silence| silence.id == *id).ok_or_else(|| unknown(id))?),
    };
    let by = access.principal.who.clone();
    let draft = posted.draft(&by, now)?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Problem::internal())?;
    let rows = silence::put(draft, previous, &known, now, silence::id(random));
    let rows = rows.map_err(|error| invalid("", error.to_string()))?;
    let made = rows.last().cloned().ok_or_else(Problem::internal)?;
    app.alerting()?.change_silences(rows, None, audit(&app, by, "silence.put", &made)).await?;
    let mut response = (StatusCode::CREATED, Json(SilenceView::of(&made, now))).into_response();
    if let Ok(address) = HeaderValue::from_str(&format!("/api/v1/monitoring/silences/{}", made.id)) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

fn unknown(id: &str) -> Problem {
    Problem::not_found(format!("there is no silence `{}`", id.escape_default()))
}

fn audit(app: &App, who: String, action: &str, silence: &Silence) -> AuditEntry {
    let matchers: Vec<String> = silence.matchers.iter().map(text).collect();
    let detail = format!("{{{}}} until {}", matchers.join(", "), silence.ends_at.rfc3339());
    AuditEntry { at: app.now(), who, action: action.to_owned(), object: silence.id.clone(), detail }
}

/// One silence.
#[utoipa::path(
    get, path = "/api/v1/monitoring/silences/{id}", tag = "alerts", params(("id" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = SilenceView))
)]
async fn show(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<SilenceView>, Problem> {
    let all = stored(&app).await?;
    let found = all.iter().find(|silence| silence.id == id).ok_or_else(|| unknown(&id))?;
    Ok(Json(SilenceView::of(found, app.now())))
}

/// Ends a silence now; it is kept for a week.
#[utoipa::path(
    delete, path = "/api/v1/monitoring/silences/{id}", tag = "alerts", params(("id" = String, Path)),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 204))
)]
async fn expire(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    let all = stored(&app).await?;
    let found = all.iter().find(|silence| silence.id == id).ok_or_else(|| unknown(&id))?;
    // Over already is what was asked for.
    if let Some(ended) = silence::expire(found, app.now()) {
        let audit = audit(&app, access.principal.who, "silence.expire", &ended);
        app.alerting()?.change_silences([ended], None, audit).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
