//! `/api/v1/monitoring/alerts`: what is wrong, and what people say about it.
//!
//! Active alerts come from memory as they were last committed; what is over is read from
//! the store. A word of severity means everything that this family shows as that word,
//! so that `warning` finds what it shows as a warning.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::base::units::Span;
use crate::engine::alerting::{AlertError, muted_by};
use crate::http::auth::{Access, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath, ApiQuery};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::logic::alert::{Raise, Refused, Texts};
use crate::model::alert::{Alert, AlertState};
use crate::model::alert_view::{AlertDetail, AlertView, MutedBy};
use crate::model::notice::Notice;
use crate::model::severity::Severity;
use crate::runtime::supervisor::Supervisor;
use crate::store::DeliveryFilter;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(list, create)).routes(routes!(show))
}

/// Longest texts of an alert that is posted, bytes.
const LONGEST_TITLE: usize = 512;
const LONGEST_MESSAGE: usize = 16 * 1024;
const MOST_LABELS: usize = 64;
/// An alert that is posted stays so long unless it says otherwise, and at most that.
const EXPIRES_IN: Span = Span::from_secs(86_400);
const LONGEST_EXPIRY: Span = Span::from_secs(30 * 86_400);
const MOST_DELIVERIES: usize = 200;

impl From<AlertError> for Problem {
    fn from(error: AlertError) -> Self {
        let detail = error.to_string();
        match error {
            AlertError::Refused(Refused::Unknown) => Self::not_found(detail),
            AlertError::Refused(Refused::NotActive(_)) => {
                Self::new(StatusCode::CONFLICT, "not_active", detail)
            }
            AlertError::Refused(Refused::UntilOver) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_until", detail.clone())
                    .field("/until", detail)
            }
            AlertError::Full(_) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_alerts", detail).retry_after(60)
            }
            AlertError::Store(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after(5)
            }
        }
    }
}

/// Which alerts are meant; what is left out is any.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// `info`, `warning`, `critical`, or a level: `low`, `medium`, `high`, `emergency`.
    #[param(min_length = 1)]
    pub severity: Option<String>,
    #[param(min_length = 1)]
    pub source: Option<String>,
    pub acknowledged: Option<bool>,
    #[param(min_length = 1)]
    pub resource_type: Option<String>,
    #[param(min_length = 1)]
    pub resource_id: Option<String>,
    /// `active` (the default), `all`, or a state: `pending`, `firing`, `recovering`, `resolved`, `nodata`, `error`.
    #[param(min_length = 1)]
    pub state: Option<String>,
    /// Begun at this time or later: RFC 3339, epoch seconds or milliseconds.
    #[param(min_length = 1)]
    pub since: Option<String>,
    /// Begun at this time or earlier.
    #[param(min_length = 1)]
    pub until: Option<String>,
    /// A part of title, message, rule or source, in any case.
    #[param(min_length = 1)]
    pub q: Option<String>,
    /// 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    pub offset: Option<usize>,
}

/// Which states a filter means.
enum States {
    Active,
    All,
    Only(AlertState),
}

impl Filter {
    fn states(&self) -> Result<States, Problem> {
        match self.state.as_deref() {
            None | Some("active") => Ok(States::Active),
            Some("all") => Ok(States::All),
            Some(word) => AlertState::from_word(word).map(States::Only).ok_or_else(|| {
                let words = AlertState::ALL.map(AlertState::word).join(", ");
                Problem::bad_parameter(
                    "state",
                    format!("`{word}` is not a state, expected active, all, {words}"),
                )
            }),
        }
    }

    fn time(name: &str, text: Option<&String>) -> Result<Option<Timestamp>, Problem> {
        let read = |text: &String| {
            Timestamp::parse(text).ok_or_else(|| {
                let detail =
                    format!("`{text}` is not a time, expected RFC 3339, epoch seconds or milliseconds");
                Problem::bad_parameter(name, detail)
            })
        };
        text.map(read).transpose()
    }
}

/// The words that a family has for severities.
pub type Words = fn(Severity) -> &'static str;

/// The severities that a word means in a family.
fn severities(word: &str, words: Words) -> Result<Vec<Severity>, Problem> {
    let shown = Severity::ALL.into_iter().filter(|severity| words(*severity).eq_ignore_ascii_case(word));
    let shown: Vec<Severity> = shown.collect();
    if !shown.is_empty() {
        return Ok(shown);
    }
    let one = Severity::parse(word).map(|severity| vec![severity]);
    one.ok_or_else(|| {
        let detail = format!(
            "`{word}` is not a severity, expected info, warning, critical, low, medium, high or emergency"
        );
        Problem::bad_parameter("severity", detail)
    })
}

/// Alerts, newest first.
#[derive(Serialize, utoipa::ToSchema)]
struct Alerts {
    alerts: Vec<AlertView>,
    /// How many match, whatever the limit.
    total: usize,
}

/// Everything that was asked for, newest first. A word of severity is one of `words`: it
/// means all that the family shows as that word.
///
/// # Errors
/// 400 for a filter that is not understood, 503 while the store opens.
pub async fn find(app: &App, filter: &Filter, words: Words) -> Result<Vec<AlertView>, Problem> {
    let states = filter.states()?;
    let severities = filter.severity.as_deref().map(|word| severities(word, words)).transpose()?;
    let since = Filter::time("since", filter.since.as_ref())?;
    let until = Filter::time("until", filter.until.as_ref())?;
    let text = filter.q.as_ref().map(|text| text.to_lowercase());
    let live = app.alerting()?.alerts();
    let mut found: Vec<AlertView> =
        live.iter().map(|shown| AlertView::of(&shown.alert, muted_by(&shown.muted))).collect();
    if !matches!(states, States::Active) {
        let store = app.store()?.clone();
        let stored = Supervisor::blocking(move || store.alerts()).await.ok_or_else(Problem::internal)??;
        let known: std::collections::HashSet<String> = found.iter().map(|view| view.id.clone()).collect();
        let over = stored.iter().filter(|alert| !known.contains(&alert.id));
        found.extend(over.map(|alert| AlertView::of(alert, MutedBy::default())));
    }
    let wanted =
        |given: &Option<String>, has: Option<&String>| given.as_ref().is_none_or(|given| Some(given) == has);
    found.retain(|view| {
        let state = match states {
            States::Active => view.state.is_active(),
            States::All => true,
            States::Only(state) => view.state == state,
        };
        let holds = |text: &String| {
            [&view.title, &view.message, &view.rule, &view.source]
                .iter()
                .any(|field| field.to_lowercase().contains(text.as_str()))
        };
        state
            && severities.as_ref().is_none_or(|all| all.contains(&view.severity_level))
            && wanted(&filter.source, Some(&view.source))
            && wanted(&filter.resource_type, view.resource_type.as_ref())
            && wanted(&filter.resource_id, view.resource_id.as_ref())
            && filter.acknowledged.is_none_or(|wanted| wanted == view.acknowledged)
            && since.is_none_or(|since| view.created_at >= since)
            && until.is_none_or(|until| view.created_at <= until)
            && text.as_ref().is_none_or(holds)
    });
    found.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
    Ok(found)
}

/// How many alerts are listed: 100 unless it is said.
///
/// # Errors
/// 400 where it is not 1 to 1000.
pub fn limit_of(given: Option<usize>) -> Result<usize, Problem> {
    let limit = given.unwrap_or(100);
    if (1..=1000).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::bad_parameter("limit", format!("{limit} is out of range, expected 1 to 1000")))
}

/// Active alerts, or those in another state; newest first.
#[utoipa::path(
    get, path = "/api/v1/monitoring/alerts", tag = "alerts", params(Filter),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Alerts))
)]
async fn list(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(filter): ApiQuery<Filter>,
) -> Result<Json<Alerts>, Problem> {
    let limit = limit_of(filter.limit)?;
    let found = find(&app, &filter, Severity::appliance_word).await?;
    let total = found.len();
    let alerts = found.into_iter().skip(filter.offset.unwrap_or(0)).take(limit).collect();
    Ok(Json(Alerts { alerts, total }))
}

/// Something that happened, told by another system.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PostedAlert)]
struct Posted {
    severity: Severity,
    #[schema(min_length = 1)]
    source: String,
    #[schema(min_length = 1)]
    title: String,
    #[serde(default)]
    message: String,
    resource_type: Option<String>,
    resource_id: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// A text with a unit, `"1h"`; a day by default.
    #[schema(value_type = Option<String>)]
    expires_in: Option<Span>,
}

impl Posted {
    fn check(&self) -> Result<(), Problem> {
        let mut wrong: Vec<(String, String)> = Vec::new();
        let mut text = |key: &str, text: &str, longest: usize| {
            if text.trim().is_empty() {
                wrong.push((format!("/{key}"), String::from("is empty")));
            } else if text.len() > longest {
                wrong.push((format!("/{key}"), format!("is longer than {longest} bytes")));
            }
        };
        text("source", &self.source, LONGEST_TITLE);
        text("title", &self.title, LONGEST_TITLE);
        if self.message.len() > LONGEST_MESSAGE {
            wrong.push((String::from("/message"), format!("is longer than {LONGEST_MESSAGE} bytes")));
        }
        if self.labels.len() > MOST_LABELS {
            wrong.push((String::from("/labels"), format!("holds more than {MOST_LABELS} labels")));
        }
        for (name, value) in &self.labels {
            if !crate::model::series::is_label_name(name) || value.len() > LONGEST_TITLE {
                wrong.push((format!("/labels/{name}"), String::from("is not a label")));
            }
        }
        if self.expires_in.is_some_and(|span| span > LONGEST_EXPIRY || span.0.is_zero()) {
            wrong.push((
                String::from("/expires_in"),
                format!("expected more than 0 and at most {LONGEST_EXPIRY}"),
            ));
        }
        let Some((_, first)) = wrong.first() else { return Ok(()) };
        let problem =
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_alert", format!("the alert {first}"));
        Err(wrong.into_iter().fold(problem, |problem, (pointer, detail)| problem.field(pointer, detail)))
    }
}

/// An alert that no rule raised.
pub struct OneShot {
    pub kind: &'static str,
    pub severity: Severity,
    pub source: String,
    pub title: String,
    pub message: String,
    pub resource_type: Option<String>,
    pub resource_id: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub expires_in: Duration,
}

/// Raises an alert that is like no other: stored, told and delivered as any.
///
/// # Errors
/// 429 where too many are active, 503 where it cannot be stored.
pub async fn raise(app: &App, one: OneShot) -> Result<AlertView, Problem> {
    let mut labels = one.labels;
    labels.insert(String::from("alertname"), one.kind.to_owned());
    labels.insert(String::from("severity"), one.severity.word().to_owned());
    labels.entry(String::from("source")).or_insert_with(|| one.source.clone());
    let raise = Raise {
        key: app.new_trace_id(),
        kind: one.kind.to_owned(),
        texts: Texts {
            labels,
            annotations: BTreeMap::new(),
            source: one.source,
            resource_type: one.resource_type,
            resource_id: one.resource_id,
            title: one.title,
            message: one.message,
        },
        severity: one.severity,
        value: None,
        started_at: None,
        expires_at: app.now().plus(one.expires_in),
    };
    let alert = app.alerting()?.raise(raise).await?.ok_or_else(Problem::internal)?;
    Ok(view(app, &alert))
}

/// An alert as lists show it now.
pub fn view(app: &App, alert: &Alert) -> AlertView {
    let live = app.alerting().map(|alerting| alerting.alerts()).unwrap_or_default();
    let muted = live.iter().find(|shown| shown.alert.id == alert.id).map(|shown| muted_by(&shown.muted));
    AlertView::of(alert, muted.unwrap_or_default())
}

/// Posts an alert of another system: it is stored, delivered and shown, and ends after
/// `expires_in` or when it is resolved.
#[utoipa::path(
    post, path = "/api/v1/monitoring/alerts", tag = "alerts", request_body = Posted,
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 201, body = AlertView, headers(("Location" = String))))
)]
async fn create(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiJson(posted): ApiJson<Posted>,
) -> Result<Response, Problem> {
    posted.check()?;
    let one = OneShot {
        kind: "posted",
        severity: posted.severity,
        source: posted.source,
        title: posted.title,
        message: posted.message,
        resource_type: posted.resource_type,
        resource_id: posted.resource_id,
        labels: posted.labels,
        expires_in: posted.expires_in.unwrap_or(EXPIRES_IN).0,
    };
    let alert = raise(&app, one).await?;
    let location = HeaderValue::from_str(&format!("/api/v1/monitoring/alerts/{}", alert.id));
    let mut response = (StatusCode::CREATED, Json(alert)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// One alert with its history and what was sent about it.
#[derive(Serialize, utoipa::ToSchema)]
struct Detail {
    #[serde(flatten)]
    detail: AlertDetail,
    /// Messages that wait, then those that were sent or given up, newest first.
    deliveries: Vec<super::deliveries::DeliveryView>,
}

/// One alert with its timeline and deliveries.
#[utoipa::path(
    get, path = "/api/v1/monitoring/alerts/{id}", tag = "alerts", params(("id" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Detail))
)]
async fn show(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<Detail>, Problem> {
    let alerting = app.alerting()?;
    let live = alerting.alerts();
    let live = live.iter().find(|shown| shown.alert.id == id);
    let store = app.store()?.clone();
    let filter = DeliveryFilter { alert: Some(id.clone()), ..DeliveryFilter::default() };
    let wanted = live.is_none().then(|| id.clone());
    let read = move || {
        let stored = match wanted {
            Some(id) => store.alerts()?.into_iter().find(|alert| alert.id == id),
            None => None,
        };
        let (finished, _) = store.deliveries(&filter, MOST_DELIVERIES, 0)?;
        Ok::<_, crate::store::StoreError>((stored, finished))
    };
    let (stored, finished) = Supervisor::blocking(read).await.ok_or_else(Problem::internal)??;
    let open = alerting.outbox().await;
    let is_about = |notice: &Notice| notice.alerts.iter().any(|alert| alert.id == id);
    let deliveries = open.into_iter().filter(is_about).chain(finished).map(Into::into).collect();
    let of = |alert: &Alert, muted: MutedBy| AlertDetail {
        alert: AlertView::of(alert, muted),
        timeline: alert.steps.clone(),
    };
    let detail = match (live, stored) {
        (Some(shown), _) => of(&shown.alert, muted_by(&shown.muted)),
        (None, Some(alert)) => of(&alert, MutedBy::default()),
        (None, None) => {
            return Err(Problem::not_found(format!("there is no alert `{}`", id.escape_default())));
        }
    };
    Ok(Json(Detail { detail, deliveries }))
}
