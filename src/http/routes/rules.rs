//! `/api/v1/monitoring/rules`: the rules in force, how their evaluation goes, and their
//! creation, change and removal. A body has the keys of `[[rule]]`.
//!
//! A shipped rule is changed by a section of its name that holds only what is different,
//! so it is patched like any other, and removing that section restores it. One would get
//! it wrong by letting a shipped rule be deleted: it would be back after the next start.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::Value;

use crate::base::id::RuleName;
use crate::base::time::Timestamp;
use crate::base::units::Span;
use crate::config::route::Takers;
use crate::config::rule::{self, Recording, RuleSection};
use crate::engine::alerting::{RuleHealth, RuleView};
use crate::engine::settings::Author;
use crate::http::auth::{Access, ConfigWrite, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::section::{Body, Section, same, wrong};
use crate::http::state::{App, AppState};
use crate::model::access::Principal;
use crate::model::event::rfc3339;
use crate::model::rule::{Clear, Judgement, Origin, Rule};
use crate::model::severity::Severity;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(list, create)).routes(routes!(show, replace, patch, remove)).routes(routes!(lint))
}

/// A limit for a severity.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Limit {
    pub severity: Severity,
    pub value: f64,
}

/// One rule as it is in force. Durations are texts with a unit.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RuleBody {
    pub name: String,
    /// `alert`, or `record` for a rule whose answer is stored as a series.
    pub kind: &'static str,
    /// The label `alertname`, or the name of the series.
    pub alert: String,
    pub origin: Origin,
    pub expr: String,
    /// The lowest severity it can have; null for a recording rule.
    pub severity: Option<Severity>,
    /// Level form: how the value is compared.
    pub op: Option<&'static str>,
    /// Level form: mildest first; empty in the Prometheus form.
    pub levels: Vec<Limit>,
    pub clear_margin: Option<f64>,
    #[serde(rename = "for")]
    pub hold: String,
    /// Between two evaluations.
    pub every: String,
    pub depends_on: Vec<String>,
    pub notify: Vec<String>,
    pub title: String,
    pub message: String,
    pub runbook: Option<String>,
    pub enabled: bool,
    /// Names of the overrides for some of its instances.
    pub overrides: usize,
    /// `ok`, `error`, or `unknown` before the first evaluation.
    pub health: &'static str,
    pub error: Option<String>,
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_evaluation: Option<Timestamp>,
    /// Label sets of the last answer.
    pub instances: usize,
    /// Alerts of it that are active now.
    pub active: usize,
}

fn word(health: &RuleHealth) -> &'static str {
    match (&health.error, health.last_at) {
        (Some(_), _) => "error",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    }
}

fn text(rule: &Rule, view: &RuleView, active: usize) -> RuleBody {
    let (op, levels, clear_margin) = match &rule.judgement {
        Judgement::Prometheus { .. } => (None, Vec::new(), None),
        Judgement::Levels(levels) => {
            let limits =
                levels.limits.iter().map(|(severity, value)| Limit { severity: *severity, value: *value });
            let margin = if let Clear::Margin(margin) = levels.clear { Some(margin) } else { None };
            (Some(levels.op.sign()), limits.collect(), margin)
        }
    };
    let parents = rule.depends_on.iter().map(|parent| match parent.on.as_slice() {
        [] => parent.rule.clone(),
        on => format!("{} on {}", parent.rule, on.join(", ")),
    });
    RuleBody {
        name: rule.name.clone(),
        kind: "alert",
        alert: rule.alert.clone(),
        origin: rule.origin,
        expr: rule.expr.clone(),
        severity: Some(rule.severity()),
        op,
        levels,
        clear_margin,
        hold: Span(rule.hold).to_string(),
        every: Span(view.every).to_string(),
        depends_on: parents.collect(),
        notify: rule.notify.clone(),
        title: rule.title.clone(),
        message: rule.message.clone(),
        runbook: rule.runbook.clone(),
        enabled: rule.enabled,
        overrides: view.of.variants.len(),
        health: word(&view.health),
        error: view.health.error.clone(),
        last_evaluation: view.health.last_at,
        instances: view.health.instances,
        active,
    }
}

fn recording(one: &Recording, health: &RuleHealth) -> RuleBody {
    RuleBody {
        name: one.name.clone(),
        kind: "record",
        alert: one.record.clone(),
        origin: Origin::Configured,
        expr: one.expr.clone(),
        severity: None,
        op: None,
        levels: Vec::new(),
        clear_margin: None,
        hold: Span::default().to_string(),
        every: one.every.map_or_else(String::new, |every| Span(every).to_string()),
        depends_on: Vec::new(),
        notify: Vec::new(),
        title: String::new(),
        message: String::new(),
        runbook: None,
        enabled: true,
        overrides: 0,
        health: word(health),
        error: health.error.clone(),
        last_evaluation: health.last_at,
        instances: health.instances,
        active: 0,
    }
}

/// Every rule in force, shipped ones first.
///
/// # Errors
/// 503 while the store opens.
pub async fn bodies(app: &App) -> Result<Vec<RuleBody>, Problem> {
    let alerting = app.alerting()?;
    let alerts = alerting.alerts();
    let count = |name: &str| {
        alerts.iter().filter(|shown| shown.alert.rule == name && shown.alert.state.is_active()).count()
    };
    let views = alerting.rules().await;
    let mut all: Vec<RuleBody> =
        views.iter().map(|view| text(&view.of.rule, view, count(&view.of.rule.name))).collect();
    let (health, unknown) = (alerting.recorders(), RuleHealth::default());
    let recordings = alerting.recordings();
    all.extend(recordings.iter().map(|one| recording(one, health.get(&one.name).unwrap_or(&unknown))));
    Ok(all)
}

/// Every rule in force, shipped ones first.
#[utoipa::path(
    get, path = "/api/v1/monitoring/rules", tag = "rules", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<RuleBody>))
)]
async fn list(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<RuleBody>>, Problem> {
    let window = paging.window()?;
    Ok(Json(List::of(bodies(&app).await?, window)))
}

/// One rule: as it is in force, and its section of the configuration.
#[derive(Serialize, utoipa::ToSchema)]
struct RuleDetail {
    #[serde(flatten)]
    rule: RuleBody,
    /// What the configuration says of it; null for a shipped rule that nobody changed.
    #[schema(value_type = Option<Object>, required = true)]
    config: Value,
}

const fn section(name: &str) -> Section<'_> {
    Section { list: &["rule"], name }
}

fn is_shipped(name: &str) -> bool {
    rule::shipped().iter().any(|shipped| shipped.name.as_str() == name)
}

fn is_configured(app: &App, name: &str) -> bool {
    app.services.settings.config().rule.iter().any(|section| section.name.as_str() == name)
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no rule `{}`", name.escape_default()))
}

/// What is in force after a change, which the task of the rules takes up at once.
async fn detail(app: &App, name: &str) -> Result<RuleDetail, Problem> {
    let config = section(name).shown(app);
    let found = bodies(app).await?.into_iter().find(|body| body.name == name);
    Ok(RuleDetail { rule: found.ok_or_else(|| unknown(name))?, config })
}

async fn apply(
    app: &App,
    by: &Principal,
    name: &str,
    patch: impl Fn() -> Result<Value, Problem>,
) -> Result<(), Problem> {
    section(name).apply(app, &Author::from(by), patch).await?;
    let config = app.services.settings.config();
    app.alerting()?.follow(&config).await;
    Ok(())
}

/// Adds the rule that `body` describes, by the keys of `[[rule]]`; its name.
///
/// # Errors
/// 409 where the name is taken, also by a shipped rule; 422 for what is wrong with it.
pub async fn add(app: &App, by: &Principal, body: &Body) -> Result<String, Problem> {
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = RuleName::new(name).map_err(|error| wrong("/name", error.to_string()))?;
    let name = name.as_str();
    apply(app, by, name, || {
        if is_shipped(name) {
            let detail =
                format!("`{name}` comes with the program, expected PATCH /api/v1/monitoring/rules/{name}");
            return Err(Problem::new(StatusCode::CONFLICT, "exists", detail.clone()).field("/name", detail));
        }
        if is_configured(app, name) { Err(section(name).taken(app)) } else { Ok(Value::Object(body.clone())) }
    })
    .await?;
    Ok(name.to_owned())
}

/// Changes a rule by a merge patch, or with `whole` by all that was set at run time.
///
/// # Errors
/// 404 where there is none, 422 for what is wrong with the change.
pub async fn change(
    app: &App,
    by: &Principal,
    name: &str,
    mut body: Body,
    whole: bool,
) -> Result<(), Problem> {
    known(app, name)?;
    same(&mut body, "name", name)?;
    let patch = || {
        let body = &body;
        Ok(if whole { section(name).whole(app, body) } else { Value::Object(body.clone()) })
    };
    apply(app, by, name, patch).await
}

/// Takes away what was set at run time; a shipped rule is as it came again.
///
/// # Errors
/// 404 where there is none, 409 for a shipped one that nobody changed and for what the file
/// defines.
pub async fn take_away(app: &App, by: &Principal, name: &str) -> Result<(), Problem> {
    known(app, name)?;
    if is_shipped(name) && !is_configured(app, name) {
        let detail = format!("`{name}` comes with the program: switch it off with `enabled` = false");
        return Err(Problem::new(StatusCode::CONFLICT, "shipped", detail));
    }
    apply(app, by, name, || Ok(Value::Null)).await
}

/// Adds a rule: the keys of `[[rule]]`. 409 where the name is taken, also by a shipped
/// rule: that one is changed with PATCH.
#[utoipa::path(
    post, path = "/api/v1/monitoring/rules", tag = "rules",
    request_body(content = Object, example = json!({
        "name": "pool_full", "expr": "100 * (1 - node_filesystem_avail_bytes / node_filesystem_size_bytes)",
        "levels": { "medium": 80, "critical": 95 }, "for": "5m"
    })),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 201, body = RuleDetail, headers(("Location" = String))))
)]
async fn create(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Response, Problem> {
    let name = add(&app, &access.principal, &body).await?;
    let mut response = (StatusCode::CREATED, Json(detail(&app, &name).await?)).into_response();
    if let Ok(address) = HeaderValue::from_str(&format!("/api/v1/monitoring/rules/{name}")) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

/// One rule, with its section of the configuration.
#[utoipa::path(
    get, path = "/api/v1/monitoring/rules/{name}", tag = "rules", params(("name" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = RuleDetail))
)]
async fn show(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<RuleDetail>, Problem> {
    detail(&app, &name).await.map(Json)
}

/// Replaces what was set at run time; what the body leaves out has its default again.
#[utoipa::path(
    put, path = "/api/v1/monitoring/rules/{name}", tag = "rules", params(("name" = String, Path)),
    request_body(content = Object),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = RuleDetail))
)]
async fn replace(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Json<RuleDetail>, Problem> {
    change(&app, &access.principal, &name, body, true).await?;
    detail(&app, &name).await.map(Json)
}

/// Changes keys at run time: a JSON merge patch, `null` takes a run-time value away.
#[utoipa::path(
    patch, path = "/api/v1/monitoring/rules/{name}", tag = "rules", params(("name" = String, Path)),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = RuleDetail))
)]
async fn patch(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Json<RuleDetail>, Problem> {
    change(&app, &access.principal, &name, body, false).await?;
    detail(&app, &name).await.map(Json)
}

/// Removes a rule that was created at run time; a shipped one is as it came again. 409
/// names the file and line of one that the file defines.
#[utoipa::path(
    delete, path = "/api/v1/monitoring/rules/{name}", tag = "rules", params(("name" = String, Path)),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 204))
)]
async fn remove(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    take_away(&app, &access.principal, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn known(app: &App, name: &str) -> Result<(), Problem> {
    if is_shipped(name) || is_configured(app, name) { Ok(()) } else { Err(unknown(name)) }
}

/// What is wrong with a rule.
#[derive(Serialize, utoipa::ToSchema)]
struct Fault {
    /// JSON pointer into the body.
    pointer: String,
    detail: String,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Linted {
    valid: bool,
    errors: Vec<Fault>,
}

/// Says what is wrong with a rule, the position inside its expression included; changes
/// nothing.
#[utoipa::path(
    post, path = "/api/v1/monitoring/rules/lint", tag = "rules", request_body(content = Object),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Linted))
)]
async fn lint(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Json<Linted>, Problem> {
    let section: RuleSection =
        crate::http::extract::from_json(&serde_json::to_vec(&body).unwrap_or_default())?;
    let mut errors = Vec::new();
    let mut wrong = |_: &RuleName, key: &str, detail: String| {
        errors.push(Fault { pointer: format!("/{}", key.replace('.', "/")), detail });
    };
    let (rules, _) = rule::rules(std::slice::from_ref(&section), &mut wrong);
    let config = app.services.settings.config();
    let takers = Takers::of(&config.channel);
    for of in rules.iter().filter(|of| of.rule.name == section.name.as_str()) {
        let faults = takers.of_rule(&of.rule).into_iter();
        errors.extend(faults.map(|(key, _, detail)| Fault { pointer: format!("/{key}"), detail }));
    }
    Ok(Json(Linted { valid: errors.is_empty(), errors }))
}
