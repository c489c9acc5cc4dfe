//! `alerts` and `alerts/groups`.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::post::{GENERATOR, RESOLVE_TIMEOUT, raise_of};
use super::shapes::{Alert, AlertStatus, Group, PostableAlert, Receiver, fingerprint};
use super::{NOBODY, bad_request, filters};
use crate::base::time::Timestamp;
use crate::engine::alerting::{AlertError, Shown};
use crate::http::auth::{Access, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::ApiJson;
use crate::http::prometheus::Given;
use crate::http::registry::{Registry, routes};
use crate::http::routes::silences::stored as stored_silences;
use crate::http::state::{App, AppState};
use crate::logic::notify::Matching;
use crate::logic::silence::mutes;
use crate::model::selector::{MatchOp, Matcher};
use crate::model::silence::Silence;

/// Of one request; Prometheus sends 64.
const MOST_POSTED: usize = 2000;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(alerts, post)).routes(routes!(groups))
}

/// Every active alert, whoever found it.
#[utoipa::path(
    get, path = "/alertmanager/api/v2/alerts", tag = "alertmanager",
    params(
        ("filter" = Option<Vec<String>>, Query, description = "Matchers such as `severity=~\"high|critical\"`; all of them."),
        ("active" = Option<bool>, Query, description = "`false` leaves out what nothing mutes."),
        ("silenced" = Option<bool>, Query, description = "`false` leaves out what is silenced."),
        ("inhibited" = Option<bool>, Query, description = "`false` leaves out what another alert explains."),
        ("unprocessed" = Option<bool>, Query, description = "Without effect: there are none."),
        ("receiver" = Option<String>, Query, description = "A regular expression that a channel's name matches.")
    ),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Vec<Alert>))
)]
async fn alerts(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    given: Given,
) -> Result<Json<Vec<Alert>>, Problem> {
    listed(&app, &given).await.map(Json)
}

/// The same by receiver and name.
#[utoipa::path(
    get, path = "/alertmanager/api/v2/alerts/groups", tag = "alertmanager",
    params(
        ("filter" = Option<Vec<String>>, Query, description = "Matchers; all of them."),
        ("active" = Option<bool>, Query, description = "`false` leaves out what nothing mutes."),
        ("silenced" = Option<bool>, Query, description = "`false` leaves out what is silenced."),
        ("inhibited" = Option<bool>, Query, description = "`false` leaves out what another alert explains."),
        ("receiver" = Option<String>, Query, description = "A regular expression that a channel's name matches.")
    ),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Vec<Group>))
)]
async fn groups(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    given: Given,
) -> Result<Json<Vec<Group>>, Problem> {
    let mut groups: BTreeMap<(String, Receiver), Vec<Alert>> = BTreeMap::new();
    let wanted = receiver_of(&given)?;
    for alert in listed(&app, &given).await? {
        let name = alert.labels.get("alertname").cloned().unwrap_or_default();
        for receiver in alert.receivers.iter().filter(|receiver| takes(wanted.as_ref(), &receiver.name)) {
            groups.entry((name.clone(), receiver.clone())).or_default().push(alert.clone());
        }
    }
    let group = |((name, receiver), alerts): ((String, Receiver), Vec<Alert>)| {
        let labels = BTreeMap::from([(String::from("alertname"), name)]);
        Group { alerts, labels, receiver }
    };
    Ok(Json(groups.into_iter().map(group).collect()))
}

/// Takes alerts as Prometheus sends them: new ones fire, known ones are brought up to date,
/// and those that have ended are resolved. Answers when they are stored.
#[utoipa::path(
    post, path = "/alertmanager/api/v2/alerts", tag = "alertmanager",
    request_body = Vec<PostableAlert>,
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, description = "Stored."))
)]
async fn post(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiJson(posted): ApiJson<Vec<PostableAlert>>,
) -> Result<StatusCode, Problem> {
    if posted.len() > MOST_POSTED {
        return Err(bad_request(format!("{} alerts, more than the limit of {MOST_POSTED}", posted.len())));
    }
    let now = app.now();
    // As there: what is sound is taken, and what is not is told.
    let (mut raises, mut wrong) = (Vec::new(), Vec::new());
    for (at, alert) in posted.into_iter().enumerate() {
        match raise_of(alert, now) {
            Ok(raise) => raises.push(raise),
            Err(message) => wrong.push(format!("alert {at}: {message}")),
        }
    }
    let refused = app.alerting()?.raise_all(raises).await.map_err(not_stored)?;
    if refused > 0 {
        let words = format!("{refused} alerts found no room: too many are active");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "full", words).retry_after(60));
    }
    if !wrong.is_empty() {
        wrong.truncate(10);
        return Err(bad_request(wrong.join("; ")));
    }
    Ok(StatusCode::OK)
}

/// Answers what an operation on alerts did not do.
pub fn not_stored(error: AlertError) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", error.to_string()).retry_after(5)
}

/// The expression of `receiver`.
fn receiver_of(given: &Given) -> Result<Option<Matching>, Problem> {
    let Some(value) = given.given("receiver") else { return Ok(None) };
    let matcher = Matcher { label: String::from("receiver"), op: MatchOp::Regex, value: value.to_owned() };
    Matching::new(&[matcher]).map(Some).map_err(bad_request)
}

fn takes(wanted: Option<&Matching>, receiver: &str) -> bool {
    let labels = || BTreeMap::from([(String::from("receiver"), receiver.to_owned())]);
    wanted.is_none_or(|wanted| wanted.accepts(&labels()))
}

/// True unless it says otherwise.
fn wants(given: &Given, name: &str) -> bool {
    given
        .given(name)
        .is_none_or(|text| ["true", "1", "yes", "on", "t", "y"].contains(&text.to_ascii_lowercase().as_str()))
}

/// The active alerts that the parameters ask for, by fingerprint.
async fn listed(app: &App, given: &Given) -> Result<Vec<Alert>, Problem> {
    let filter = filters(given.all("filter"))?;
    let receiver = receiver_of(given)?;
    let (active, silenced) = (wants(given, "active"), wants(given, "silenced"));
    let inhibited = wants(given, "inhibited");
    let shown = app.alerting()?.alerts();
    let silences = stored_silences(app).await?;
    let now = app.now();
    let prints: HashMap<&str, String> =
        shown.iter().map(|one| (one.alert.id.as_str(), fingerprint(&one.alert.labels))).collect();
    let mut found: Vec<Alert> = shown
        .iter()
        .filter(|one| one.alert.state.is_active() && filter.accepts(&one.alert.labels))
        .map(|one| alert_of(one, &prints, &silences, now))
        .filter(|alert| {
            let AlertStatus { state, silenced_by, inhibited_by, .. } = &alert.status;
            (active || *state != "active")
                && (silenced || silenced_by.is_empty())
                && (inhibited || inhibited_by.is_empty())
                && alert.receivers.iter().any(|one| takes(receiver.as_ref(), &one.name))
        })
        .collect();
    found.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    Ok(found)
}

fn alert_of(shown: &Shown, prints: &HashMap<&str, String>, silences: &[Silence], now: Timestamp) -> Alert {
    let alert = &shown.alert;
    let silenced_by: Vec<String> =
        silences.iter().filter(|one| mutes(one, &alert.labels, now)).map(|one| one.id.clone()).collect();
    let print = |id: &String| prints.get(id.as_str()).unwrap_or(id).clone();
    let inhibited_by: Vec<String> = shown.muted.inhibited_by.iter().map(print).collect();
    let muted = !silenced_by.is_empty() || !inhibited_by.is_empty();
    let state = if muted { "suppressed" } else { "active" };
    let mut receivers: Vec<Receiver> =
        shown.channels.iter().map(|name| Receiver { name: name.clone() }).collect();
    if receivers.is_empty() {
        receivers.push(Receiver { name: NOBODY.to_owned() });
    }
    let mut annotations = alert.annotations.clone();
    let generator_url = annotations.remove(GENERATOR).unwrap_or_default();
    if !alert.is_event() {
        for (name, text) in [("summary", &alert.title), ("description", &alert.message)] {
            if !text.is_empty() {
                annotations.entry(name.to_owned()).or_insert_with(|| text.clone());
            }
        }
    }
    let began = if alert.is_event() { None } else { alert.fired_at };
    Alert {
        annotations,
        ends_at: alert.expires_at.unwrap_or_else(|| now.plus(RESOLVE_TIMEOUT)).rfc3339(),
        fingerprint: fingerprint(&alert.labels),
        receivers,
        starts_at: began.unwrap_or(alert.started_at).rfc3339(),
        status: AlertStatus { state, silenced_by, inhibited_by, muted_by: Vec::new() },
        updated_at: alert.updated_at.rfc3339(),
        generator_url,
        labels: alert.labels.clone(),
    }
}
