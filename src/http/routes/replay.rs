//! `/api/v1/monitoring/rules/{name}/replay`: what a rule would have done on the stored
//! history, before it is allowed to wake anybody.
//!
//! A rule in the body is replayed without being stored, so limits can be tried. Nothing
//! is changed by it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::time::Timestamp;
use crate::base::units::Span;
use crate::config::rule::{self, Built, RuleSection};
use crate::engine::alerting::replay::{ReplayError, Report, Wanted, replay};
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath, ApiQuery, from_json};
use crate::http::registry::{Registry, routes};
use crate::http::section::Body;
use crate::http::state::{App, AppState};
use crate::logic::alert::WHOLE_RULE;
use crate::logic::replay::{Episode, Tally};
use crate::model::query::Resolution;
use crate::model::rule::RuleOf;
use crate::model::severity::Severity;
use crate::runtime::supervisor::Supervisor;

const LAST: Span = Span::from_secs(7 * 86_400);
/// The rows of hours are kept so long by default.
const LONGEST: Span = Span::from_secs(730 * 86_400);
/// For the evaluation; a client that waits longer has given up.
const DEADLINE: Duration = Duration::from_secs(45);
/// How long a replay waits for other evaluations.
const QUEUE_DEADLINE: Duration = Duration::from_secs(10);
/// Label sets that are listed, those that fired longest first.
const MOST_LISTED: usize = 200;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(replay_stored)).routes(routes!(replay_given))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Over {
    /// How far back: `"7d"` by default, at most `"730d"`.
    #[param(min_length = 1)]
    last: Option<String>,
}

/// Counts over a whole replay or for one label set.
#[derive(Default, Serialize, utoipa::ToSchema)]
struct Counts {
    firings: u64,
    /// It fired again before it was resolved.
    relapses: u64,
    worsened: u64,
    resolves: u64,
    flaps: u64,
    /// How often data went missing.
    nodata: u64,
    /// Over all label sets, each for itself.
    firing_seconds: f64,
}

impl Counts {
    fn add(&mut self, tally: &Tally) {
        self.firings += tally.firings;
        self.relapses += tally.relapses;
        self.worsened += tally.worsened;
        self.resolves += tally.resolves;
        self.flaps += tally.flaps;
        self.nodata += tally.nodata;
        self.firing_seconds += tally.firing.as_secs_f64();
    }
}

/// What happened to one label set.
#[derive(Serialize, utoipa::ToSchema)]
struct ReplayedInstance {
    labels: BTreeMap<String, String>,
    #[serde(flatten)]
    counts: Counts,
    peak: Option<Severity>,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_fired: Option<Timestamp>,
}

/// One time that a label set fired.
#[derive(Serialize, utoipa::ToSchema)]
struct ReplayedEpisode {
    labels: BTreeMap<String, String>,
    peak: Severity,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    fired_at: Timestamp,
    /// Null where it still fires at the end.
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
}

/// What a rule would have done.
#[derive(Serialize, utoipa::ToSchema)]
struct ReplayAnswer {
    rule: String,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
    /// Between two evaluations of the replay, a text with a unit.
    step: String,
    /// The rule itself is evaluated more often: what was shorter than a step may be missed.
    widened: bool,
    steps: u64,
    /// Values that were judged; 0: there is no history of what the rule asks for.
    samples: u64,
    /// What the answers were made from, finest first.
    resolutions: Vec<Resolution>,
    totals: Counts,
    /// Messages to one channel by the default route, by kind: firing, worsened, repeat, ...
    notifications: BTreeMap<&'static str, u64>,
    notifications_total: u64,
    /// Label sets that were ever more than pending.
    instances_total: usize,
    /// Those that fired longest first, at most 200.
    instances: Vec<ReplayedInstance>,
    /// Oldest first, at most 500.
    episodes: Vec<ReplayedEpisode>,
    episodes_left_out: usize,
    warnings: Vec<String>,
}

/// Says what a rule would have done on the stored history. Silences, other rules and
/// acknowledgements have no say in it.
#[utoipa::path(
    post, path = "/api/v1/monitoring/rules/{name}/replay", tag = "rules",
    params(("name" = String, Path), Over),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = ReplayAnswer))
)]
async fn replay_stored(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiQuery(over): ApiQuery<Over>,
) -> Result<Json<ReplayAnswer>, Problem> {
    let alerting = app.alerting()?;
    let found = alerting.rules().await.into_iter().find(|view| view.of.rule.name == name);
    let Some(view) = found else {
        if alerting.recordings().iter().any(|one| one.name == name) {
            return Err(recording());
        }
        return Err(Problem::not_found(format!("there is no rule `{}`", name.escape_default())));
    };
    run(&app, RuleOf::clone(&view.of), &over).await.map(Json)
}

/// The same for a rule in the body, with the keys of `[[rule]]`, which is not stored. One
/// with the name of a shipped rule holds what is to be different.
#[utoipa::path(
    post, path = "/api/v1/monitoring/rules/replay", tag = "rules", params(Over),
    request_body(content = Object),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = ReplayAnswer))
)]
async fn replay_given(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(over): ApiQuery<Over>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Json<ReplayAnswer>, Problem> {
    let section: RuleSection = from_json(&serde_json::to_vec(&Value::Object(body)).unwrap_or_default())?;
    if section.record.is_some() {
        return Err(recording());
    }
    let mut wrong: Vec<(String, String)> = Vec::new();
    let name = section.name.clone();
    let mut say = |key: &str, detail: String| wrong.push((format!("/{}", key.replace('.', "/")), detail));
    let built = rule::one(&section, &mut say);
    if let Some((_, first)) = wrong.first() {
        let detail = format!("the rule `{name}`: {first}");
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_rule", detail);
        return Err(wrong.into_iter().fold(problem, |problem, (at, detail)| problem.field(at, detail)));
    }
    match built {
        Some(Built::Alerts(of)) => run(&app, *of, &over).await.map(Json),
        _ => Err(recording()),
    }
}

fn recording() -> Problem {
    let detail = "a rule that records a series has nothing to replay, expected one that raises alerts";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not_an_alert", detail)
}

async fn run(app: &App, of: RuleOf, over: &Over) -> Result<ReplayAnswer, Problem> {
    let last = match &over.last {
        None => LAST,
        Some(text) => Span::parse(text).map_err(|error| Problem::bad_parameter("last", error.to_string()))?,
    };
    if last > LONGEST || last.0 < Duration::from_secs(1) {
        return Err(Problem::bad_parameter("last", format!("expected 1s to {LONGEST}, found {last}")));
    }
    let end = app.now();
    let start_grace = app.services.settings.config().alerting.start_grace.0;
    let wanted = Wanted { of, start: end.minus(last.0), end, start_grace };
    let store = app.store()?.clone();
    let turn = tokio::time::timeout(QUEUE_DEADLINE, app.evaluations.clone().acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        let detail = "other expressions are being evaluated";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(5));
    };
    let clock = app.services.clock.clone();
    let started = clock.monotonic();
    // The turn goes along: the thread does not end when the client goes.
    let work = move || {
        let _turn = turn;
        let stop = || clock.monotonic().since(started) > DEADLINE;
        let report = replay(&wanted, store, &stop);
        (wanted, report)
    };
    let (wanted, report) = Supervisor::blocking(work).await.ok_or_else(Problem::internal)?;
    let report = report.map_err(|error| {
        let code = if error == ReplayError::Stopped { "timeout" } else { "execution" };
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    })?;
    Ok(answer(wanted, report))
}

fn answer(wanted: Wanted, report: Report) -> ReplayAnswer {
    let Report { replayed, step, widened, steps, samples, resolutions, mut warnings } = report;
    let mut totals = Counts::default();
    replayed.instances.values().for_each(|tally| totals.add(tally));
    if replayed.refused > 0 {
        warnings.push(format!("{} label sets are more than a rule may have", replayed.refused));
    }
    let labels = |key: &str| match replayed.instances.get(key).filter(|_| key != WHOLE_RULE) {
        Some(tally) => tally.labels.clone(),
        None => BTreeMap::new(),
    };
    let episode = |one: &Episode| ReplayedEpisode {
        labels: labels(&one.key),
        peak: one.peak,
        fired_at: one.fired_at,
        ended_at: one.ended_at,
    };
    let episodes = replayed.episodes.iter().map(episode).collect();
    let fired = |tally: &&Tally| tally.firings + tally.relapses + tally.nodata > 0;
    let mut tallies: Vec<&Tally> = replayed.instances.values().filter(fired).collect();
    tallies.sort_by(|a, b| b.firing.cmp(&a.firing).then_with(|| b.firings.cmp(&a.firings)));
    let instances_total = tallies.len();
    let instances = tallies.into_iter().take(MOST_LISTED).map(|tally| {
        let mut counts = Counts::default();
        counts.add(tally);
        let (labels, peak, last_fired) = (tally.labels.clone(), tally.peak, tally.last_fired);
        ReplayedInstance { labels, counts, peak, last_fired }
    });
    ReplayAnswer {
        rule: wanted.of.rule.name,
        start: wanted.start,
        end: wanted.end,
        step: Span(step).to_string(),
        widened,
        steps,
        samples,
        resolutions,
        totals,
        notifications_total: replayed.notices.values().sum(),
        notifications: replayed.notices.iter().map(|(kind, count)| (kind.word(), *count)).collect(),
        instances_total,
        instances: instances.collect(),
        episodes,
        episodes_left_out: replayed.left_out,
        warnings,
    }
}
