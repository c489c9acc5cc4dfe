//! `silences` and `silence/{id}`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::alerts::not_stored;
use super::shapes::{MatcherItem, PostableSilence, SilenceItem};
use super::{bad_request, filters};
use crate::http::auth::{Access, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath};
use crate::http::prometheus::Given;
use crate::http::registry::{Registry, routes};
use crate::http::routes::silences::stored as stored_silences;
use crate::http::state::{App, AppState};
use crate::logic::silence::{self, Draft, Phase, phase};
use crate::model::access::AuditEntry;
use crate::model::silence::Silence;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(silences, post)).routes(routes!(one, expire))
}

/// Every silence, those included that ended within a week.
#[utoipa::path(
    get, path = "/alertmanager/api/v2/silences", tag = "alertmanager",
    params(("filter" = Option<Vec<String>>, Query, description = "Matchers over the values that a silence asks for.")),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Vec<SilenceItem>))
)]
async fn silences(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    given: Given,
) -> Result<Json<Vec<SilenceItem>>, Problem> {
    let filter = filters(given.all("filter"))?;
    let now = app.now();
    let asked = |silence: &Silence| -> BTreeMap<String, String> {
        silence.matchers.iter().map(|one| (one.label.clone(), one.value.clone())).collect()
    };
    let mut found = stored_silences(&app).await?;
    found.retain(|silence| filter.accepts(&asked(silence)));
    // What ends next, then what begins next, then what ended last.
    found.sort_by_key(|silence| match phase(silence, now) {
        Phase::Active => (Phase::Active, silence.ends_at, Reverse(silence.starts_at)),
        Phase::Pending => (Phase::Pending, silence.starts_at, Reverse(silence.ends_at)),
        Phase::Expired => (Phase::Expired, silence.starts_at.min(now), Reverse(silence.ends_at)),
    });
    let ended = found.iter().position(|silence| phase(silence, now) == Phase::Expired);
    if let Some(ended) = ended.and_then(|at| found.get_mut(at..)) {
        ended.sort_by_key(|silence| Reverse(silence.ends_at));
    }
    Ok(Json(found.iter().map(|silence| SilenceItem::of(silence, now)).collect()))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AlertmanagerSilenceId)]
struct SilenceId {
    #[serde(rename = "silenceID")]
    id: String,
}

/// Makes a silence, or changes the one whose id is given. Where that would rewrite what
/// was, the known one ends and the answer names another.
#[utoipa::path(
    post, path = "/alertmanager/api/v2/silences", tag = "alertmanager",
    request_body = PostableSilence,
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = SilenceId), (status = 404))
)]
async fn post(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiJson(posted): ApiJson<PostableSilence>,
) -> Result<Json<SilenceId>, Problem> {
    let now = app.now();
    let stored = stored_silences(&app).await?;
    let id = posted.id.filter(|id| !id.is_empty());
    let previous = match &id {
        Some(id) => Some(known(&stored, id)?),
        None => None,
    };
    let draft = Draft {
        matchers: posted.matchers.into_iter().map(MatcherItem::matcher).collect(),
        starts_at: posted.starts_at.0.unwrap_or(now),
        ends_at: posted.ends_at.0.unwrap_or(now),
        created_by: posted.created_by,
        comment: posted.comment,
        maintenance: previous.is_some_and(|known| known.maintenance),
    };
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Problem::internal())?;
    let rows = silence::put(draft, previous, &stored, now, silence::id(random));
    let rows = rows.map_err(|error| bad_request(format!("silence invalid: {error}")))?;
    let id = rows.last().map(|row| row.id.clone()).unwrap_or_default();
    let audit = audit(&app, access.principal.who, "silence.put", rows.last());
    app.alerting()?.change_silences(rows, None, audit).await.map_err(not_stored)?;
    Ok(Json(SilenceId { id }))
}

/// One silence.
#[utoipa::path(
    get, path = "/alertmanager/api/v2/silence/{id}", tag = "alertmanager",
    params(("id" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = SilenceItem))
)]
async fn one(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<SilenceItem>, Problem> {
    let stored = stored_silences(&app).await?;
    Ok(Json(SilenceItem::of(known(&stored, &id)?, app.now())))
}

/// Ends a silence now. It is kept for a week.
#[utoipa::path(
    delete, path = "/alertmanager/api/v2/silence/{id}", tag = "alertmanager",
    params(("id" = String, Path)),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, description = "It is over."))
)]
async fn expire(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    let stored = stored_silences(&app).await?;
    // Over already is what was asked for.
    if let Some(ended) = silence::expire(known(&stored, &id)?, app.now()) {
        let audit = audit(&app, access.principal.who, "silence.expire", Some(&ended));
        app.alerting()?.change_silences([ended], None, audit).await.map_err(not_stored)?;
    }
    Ok(StatusCode::OK)
}

fn known<'a>(stored: &'a [Silence], id: &str) -> Result<&'a Silence, Problem> {
    stored.iter().find(|silence| silence.id == id).ok_or_else(|| Problem::not_found("silence not found"))
}

fn audit(app: &App, who: String, action: &str, row: Option<&Silence>) -> AuditEntry {
    let detail = row.map(|row| {
        let matchers: Vec<String> =
            row.matchers.iter().map(|one| format!("{}{}{:?}", one.label, one.op.sign(), one.value)).collect();
        format!("{} until {}", matchers.join(","), row.ends_at.rfc3339())
    });
    AuditEntry {
        at: app.now(),
        who,
        action: action.to_owned(),
        object: row.map(|row| row.id.clone()).unwrap_or_default(),
        detail: detail.unwrap_or_default(),
    }
}
