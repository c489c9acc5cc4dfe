//! The gateway family: `/admin/alerts/rules`, the rules in the words of these clients: a
//! metric, a threshold, how long it must be passed, and a template of the message.
//!
//! A rule here is the canonical one with other names, so what it cannot say stays as it
//! was: a change of the threshold leaves the other levels alone. One would get it wrong by
//! writing whole rules: dependencies and texts of a shipped one would be lost.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::base::units::Span;
use crate::http::auth::{Access, Admin};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath};
use crate::http::registry::{Registry, routes};
use crate::http::routes::rules::{RuleBody, add, bodies, change, take_away};
use crate::http::section::{Body, wrong};
use crate::http::state::{App, AppState};
use crate::model::rule::Origin;
use crate::model::severity::Severity;
use crate::promql::inspect::metric_names;
use crate::promql::parse;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(list, create)).routes(routes!(replace, patch, remove))
}

/// One limit of a rule.
#[derive(Serialize, utoipa::ToSchema)]
struct AdminLevel {
    /// `LOW`, `MEDIUM`, `HIGH` or `CRITICAL`.
    severity: &'static str,
    #[schema(value_type = Severity)]
    severity_level: Severity,
    threshold: f64,
}

/// One rule in the words of this family.
#[derive(Serialize, utoipa::ToSchema)]
struct AdminRule {
    name: String,
    /// The first series that the expression looks at.
    metric: Option<String>,
    expression: String,
    /// How the value is compared; null where every sample of the answer is an alert.
    operator: Option<&'static str>,
    /// Of the mildest level; null where there is none.
    threshold: Option<f64>,
    /// Of the mildest level.
    severity: Option<&'static str>,
    /// Mildest first.
    levels: Vec<AdminLevel>,
    /// How long the condition must hold: a text with a unit.
    duration: String,
    duration_seconds: f64,
    title: String,
    message_template: String,
    enabled: bool,
    origin: Origin,
    /// `ok`, `error`, or `unknown` before the first evaluation.
    health: &'static str,
    error: Option<String>,
    active_alerts: usize,
}

impl From<RuleBody> for AdminRule {
    fn from(rule: RuleBody) -> Self {
        let metric = parse(&rule.expr).ok();
        let metric = metric.as_ref().and_then(|expr| metric_names(expr).first().map(ToString::to_string));
        let levels: Vec<AdminLevel> = rule
            .levels
            .iter()
            .map(|level| AdminLevel {
                severity: level.severity.facility_word(),
                severity_level: level.severity,
                threshold: level.value,
            })
            .collect();
        Self {
            name: rule.name,
            metric,
            expression: rule.expr,
            operator: rule.op,
            threshold: levels.first().map(|level| level.threshold),
            severity: rule.severity.map(Severity::facility_word),
            levels,
            duration_seconds: Span::parse(&rule.hold).map_or(0.0, |span| span.0.as_secs_f64()),
            duration: rule.hold,
            title: rule.title,
            message_template: rule.message,
            enabled: rule.enabled,
            origin: rule.origin,
            health: rule.health,
            error: rule.error,
            active_alerts: rule.active,
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
struct AdminRules {
    rules: Vec<AdminRule>,
    count: usize,
}

/// A length of time: a text with a unit, or seconds.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
enum RuleTime {
    Seconds(f64),
    Text(String),
}

/// A rule to be made, or what is to be different.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AdminRuleBody {
    #[schema(min_length = 1)]
    name: Option<String>,
    /// The series whose value is compared; in place of `expression`.
    #[serde(alias = "metric_name")]
    metric: Option<String>,
    /// PromQL.
    #[serde(alias = "expr")]
    expression: Option<String>,
    /// `>=` (the default), `>`, `<`, `<=`, `==` or `!=`.
    #[serde(alias = "op")]
    operator: Option<String>,
    threshold: Option<f64>,
    severity: Option<Severity>,
    #[serde(alias = "for")]
    duration: Option<RuleTime>,
    title: Option<String>,
    #[serde(alias = "message", alias = "description")]
    message_template: Option<String>,
    enabled: Option<bool>,
}

impl AdminRuleBody {
    /// The keys of `[[rule]]`; `known` is the rule as it is.
    fn section(self, known: Option<&RuleBody>) -> Result<Body, Problem> {
        let mut section = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                section.insert(key.to_owned(), value);
            }
        };
        if self.metric.is_some() && self.expression.is_some() {
            return Err(wrong("/metric", String::from("given beside `expression`, expected one of them")));
        }
        put("name", self.name.map(Value::from));
        put("expr", self.metric.or(self.expression).map(Value::from));
        put("op", self.operator.map(Value::from));
        put("for", self.duration.map(duration).transpose()?);
        put("title", self.title.map(Value::from));
        put("message", self.message_template.map(Value::from));
        put("enabled", self.enabled.map(Value::from));
        let levels = known.map(|known| known.levels.as_slice()).unwrap_or_default();
        match (self.threshold, self.severity, levels) {
            (None, None, _) => {}
            (Some(limit), Some(severity), _) => put("levels", Some(json!({ severity.word(): limit }))),
            (Some(limit), None, []) => put("levels", Some(json!({ Severity::default().word(): limit }))),
            (Some(limit), None, [only]) => put("levels", Some(json!({ only.severity.word(): limit }))),
            (Some(_), None, several) => {
                let words: Vec<&str> = several.iter().map(|level| level.severity.word()).collect();
                let detail = format!("the rule has several levels, expected one of {}", words.join(", "));
                return Err(wrong("/severity", detail));
            }
            // Every sample is an alert: how bad it is, is a key of its own.
            (None, Some(severity), []) => put("severity", Some(json!(severity.word()))),
            (None, Some(severity), [only])
                if known.is_some_and(|known| known.origin == Origin::Configured) =>
            {
                let (from, to) = (only.severity.word(), severity.word());
                let moved = if from == to {
                    json!({ to: only.value })
                } else {
                    json!({ from: null, to: only.value })
                };
                put("levels", Some(moved));
            }
            (None, Some(_), _) => {
                let detail =
                    "the levels of this rule can be changed and not moved, expected a `threshold`, too";
                return Err(wrong("/severity", detail.to_owned()));
            }
        }
        Ok(section)
    }
}

fn duration(time: RuleTime) -> Result<Value, Problem> {
    match time {
        RuleTime::Text(text) => Ok(Value::from(text)),
        RuleTime::Seconds(seconds) if (0.0..=1e8).contains(&seconds) => {
            Ok(Value::from(format!("{}ms", (seconds * 1000.0).round() as u64)))
        }
        RuleTime::Seconds(seconds) => {
            Err(wrong("/duration", format!("{seconds} seconds, expected 0 to 100000000")))
        }
    }
}

async fn find(app: &App, name: &str) -> Result<RuleBody, Problem> {
    let found = bodies(app).await?.into_iter().find(|rule| rule.name == name);
    found.ok_or_else(|| Problem::not_found(format!("there is no rule `{}`", name.escape_default())))
}

/// The rules in force: threshold, duration, message template, whether each is enabled.
#[utoipa::path(
    get, path = "/admin/alerts/rules", tag = "admin",
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = AdminRules))
)]
async fn list(_: Access<Admin>, State(app): State<AppState>) -> Result<Json<AdminRules>, Problem> {
    let all = bodies(&app).await?.into_iter().filter(|rule| rule.kind == "alert");
    let rules: Vec<AdminRule> = all.map(AdminRule::from).collect();
    Ok(Json(AdminRules { count: rules.len(), rules }))
}

/// Adds a rule: a metric or an expression, a threshold, a severity, a duration. 409 where
/// the name is taken.
#[utoipa::path(
    post, path = "/admin/alerts/rules", tag = "admin", request_body = AdminRuleBody,
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 201, body = AdminRule))
)]
async fn create(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiJson(body): ApiJson<AdminRuleBody>,
) -> Result<(StatusCode, Json<AdminRule>), Problem> {
    let section = body.section(None)?;
    let name = add(&app, &access.principal, &section).await.map_err(own_words)?;
    Ok((StatusCode::CREATED, Json(find(&app, &name).await?.into())))
}

async fn changed(
    app: &App,
    access: &Access<Admin>,
    name: &str,
    body: AdminRuleBody,
    whole: bool,
) -> Result<Json<AdminRule>, Problem> {
    let known = find(app, name).await?;
    let section = body.section(Some(&known))?;
    change(app, &access.principal, name, section, whole).await.map_err(own_words)?;
    Ok(Json(find(app, name).await?.into()))
}

/// Replaces what was set at run time; what the body leaves out has its default again.
#[utoipa::path(
    put, path = "/admin/alerts/rules/{name}", tag = "admin", params(("name" = String, Path)),
    request_body = AdminRuleBody,
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = AdminRule))
)]
async fn replace(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(body): ApiJson<AdminRuleBody>,
) -> Result<Json<AdminRule>, Problem> {
    changed(&app, &access, &name, body, true).await
}

/// Changes what the body names, and nothing else.
#[utoipa::path(
    patch, path = "/admin/alerts/rules/{name}", tag = "admin", params(("name" = String, Path)),
    request_body = AdminRuleBody,
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = AdminRule))
)]
async fn patch(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(body): ApiJson<AdminRuleBody>,
) -> Result<Json<AdminRule>, Problem> {
    changed(&app, &access, &name, body, false).await
}

/// Removes a rule that was made at run time; a shipped one is as it came again.
#[utoipa::path(
    delete, path = "/admin/alerts/rules/{name}", tag = "admin", params(("name" = String, Path)),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 204))
)]
async fn remove(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    take_away(&app, &access.principal, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `/levels/medium` is `/threshold` in the body that was sent.
fn own_words(mut problem: Problem) -> Problem {
    for error in &mut problem.errors {
        let own = match error.pointer.split('/').nth(1) {
            Some("levels") => "/threshold",
            Some("expr") => "/expression",
            Some("op") => "/operator",
            Some("for") => "/duration",
            Some("message") => "/message_template",
            _ => continue,
        };
        error.pointer = own.to_owned();
    }
    problem
}
