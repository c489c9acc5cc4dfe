//! What an operator may tell a failover group, and the dry run.
//!
//! Whoever tells stands in the audit log before the group hears of it, because a request
//! may be gone before its answer. A change of the active member is answered with 202 and
//! where to follow it; with `?wait=true` once it has ended, within half a minute.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::failover::{find, view};
use crate::base::id::Name;
use crate::base::time::Timestamp;
use crate::base::units::Span;
use crate::config::failover::Group;
use crate::engine::failover::handle::{CommandError, DrillReport};
use crate::http::auth::{Access, TargetsWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiOptional, ApiPath, ApiQuery};
use crate::http::registry::{Registry, routes};
use crate::http::section::wrong;
use crate::http::state::{App, AppState};
use crate::logic::failover::Command;
use crate::model::access::AuditEntry;
use crate::model::failover::group::RefusalCode;
use crate::model::failover::view::{CheckReport, GroupView};
use crate::runtime::supervisor::Phase;
use crate::store::Change;

/// How long a request waits at most for what it began.
const WAIT: Duration = Duration::from_secs(30);
const SHORTEST_PAUSE: Span = Span::from_secs(1);
const LONGEST_PAUSE: Span = Span::from_secs(30 * 86_400);

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(unfence))
        .routes(routes!(switchover))
        .routes(routes!(failover))
        .routes(routes!(test))
}

/// Writes down who tells the group, then tells it.
///
/// # Errors
/// 409 with the code of the refusal, 503 where the store or the supervision does not answer.
pub async fn tell(
    app: &App,
    access: &Access<TargetsWrite>,
    group: &Group,
    command: Command,
) -> Result<(), Problem> {
    let (action, detail) = words(&command);
    audit(app, access, group, action, detail).await?;
    Ok(app.services.failovers.command(&group.name, command).await?)
}

async fn audit(
    app: &App,
    access: &Access<TargetsWrite>,
    group: &Group,
    action: &str,
    detail: String,
) -> Result<(), Problem> {
    let entry = AuditEntry {
        at: app.now(),
        who: access.principal.who.clone(),
        action: format!("failover.{action}"),
        object: group.name.to_string(),
        detail,
    };
    Ok(app.store()?.commit(Change { writes: Vec::new(), audit: Some(entry) }).await?)
}

/// The word of a command in the audit log, and with what.
fn words(command: &Command) -> (&'static str, String) {
    let to = |to: &Option<Name>| to.as_ref().map_or_else(String::new, |to| format!("to {to}"));
    match command {
        Command::Pause { until } => {
            ("pause", until.map_or_else(String::new, |until| format!("until {}", until.rfc3339())))
        }
        Command::Resume => ("resume", String::new()),
        Command::Enable => ("enable", String::new()),
        Command::Disable => ("disable", String::new()),
        Command::Switchover { to: wanted } => ("switchover", to(wanted)),
        Command::Failover { to: wanted, force, accept_data_loss } => {
            let said = [(*force, "force"), (*accept_data_loss, "accept_data_loss")];
            let said = said.into_iter().filter(|(given, _)| *given).map(|(_, word)| word.to_owned());
            let parts = std::iter::once(to(wanted)).filter(|to| !to.is_empty()).chain(said);
            ("failover", parts.collect::<Vec<_>>().join(", "))
        }
        Command::Unfence { member } => ("unfence", member.to_string()),
    }
}

/// Tells the group and shows it as it is then.
async fn told(
    app: &App,
    access: &Access<TargetsWrite>,
    name: &str,
    command: Command,
) -> Result<Json<GroupView>, Problem> {
    let group = find(app, name)?;
    tell(app, access, &group, command).await?;
    Ok(Json(view(app, &group)))
}

/// Takes supervision up again after `disable`.
#[utoipa::path(
    post, path = "/api/v1/failover/groups/{name}/enable", tag = "failover", params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = GroupView))
)]
async fn enable(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<GroupView>, Problem> {
    if !find(&app, &name)?.enabled {
        let detail = format!("the group `{name}` is switched off by its configuration");
        let hint = "set its key `enabled` to true";
        return Err(Problem::new(StatusCode::CONFLICT, "switched_off", detail).hint(hint));
    }
    told(&app, &access, &name, Command::Enable).await
}

/// Ends supervision; the route stays on the active member.
#[utoipa::path(
    post, path = "/api/v1/failover/groups/{name}/disable", tag = "failover", params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = GroupView))
)]
async fn disable(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<GroupView>, Problem> {
    told(&app, &access, &name, Command::Disable).await
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    /// How long, such as `30m`; left out, until somebody resumes.
    #[serde(rename = "for")]
    #[schema(value_type = Option<String>)]
    span: Option<Span>,
}

/// No failover by itself until then, for planned work on the servers.
#[utoipa::path(
    post, path = "/api/v1/failover/groups/{name}/pause", tag = "failover", params(("name" = String, Path)),
    request_body(content = PauseBody, description = "May be left out."),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = GroupView))
)]
async fn pause(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiOptional(body): ApiOptional<PauseBody>,
) -> Result<Json<GroupView>, Problem> {
    if let Some(span) = body.span.filter(|span| !(SHORTEST_PAUSE..=LONGEST_PAUSE).contains(span)) {
        return Err(wrong("/for", format!("{span}, expected {SHORTEST_PAUSE} to {LONGEST_PAUSE}")));
    }
    let until = body.span.map(|span| app.now().plus(span.0));
    told(&app, &access, &name, Command::Pause { until }).await
}

/// Ends a pause. A primary that is dead by now is judged at once.
#[utoipa::path(
    post, path = "/api/v1/failover/groups/{name}/resume", tag = "failover", params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = GroupView))
)]
async fn resume(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<GroupView>, Problem> {
    told(&app, &access, &name, Command::Resume).await
}

/// Takes the agent's fence off a member, which may then be written to.
#[utoipa::path(
    post, path = "/api/v1/failover/groups/{name}/members/{member}/unfence", tag = "failover",
    params(("name" = String, Path), ("member" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = GroupView))
)]
async fn unfence(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath((name, member)): ApiPath<(String, String)>,
) -> Result<Json<GroupView>, Problem> {
    let group = find(&app, &name)?;
    let known = group.members.iter().find(|known| known.as_str() == member);
    let member = known.cloned().ok_or_else(|| {
        Problem::not_found(format!("`{}` is no member of `{name}`", member.escape_default()))
            .hint(format!("members are {}", members(&group)))
    })?;
    told(&app, &access, &name, Command::Unfence { member }).await
}

fn members(group: &Group) -> String {
    group.members.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

/// The member that a body names.
fn wanted(group: &Group, to: Option<String>) -> Result<Option<Name>, Problem> {
    let Some(to) = to else { return Ok(None) };
    let found = group.members.iter().find(|member| member.as_str() == to);
    let unknown = || {
        wrong("/to", format!("`{}` is no member, expected one of {}", to.escape_default(), members(group)))
    };
    found.cloned().map(Some).ok_or_else(unknown)
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Waiting {
    /// Answer once it has ended, with the group as it is then; within 30 s, else 202.
    wait: Option<bool>,
}

/// Something that was begun and goes on.
#[derive(Serialize, utoipa::ToSchema)]
struct Begun {
    /// `switchover`, `failover` or `drill`.
    operation: &'static str,
    group: String,
    /// Of the group before.
    epoch: u64,
    /// Where its steps are written.
    journal: String,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    begun_at: Timestamp,
}

impl Begun {
    fn respond(self) -> Response {
        let address = self.journal.parse();
        let mut response = (StatusCode::ACCEPTED, Json(self)).into_response();
        if let Ok(address) = address {
            response.headers_mut().insert(LOCATION, address);
        }
        response
    }
}

fn begun(operation: &'static str, before: &GroupView, begun_at: Timestamp) -> Begun {
    let journal = format!("/api/v1/failover/groups/{}/journal", before.name);
    Begun { operation, group: before.name.clone(), epoch: before.epoch, journal, begun_at }
}

/// Begins a change of the active member, and waits for its end if that is wanted.
async fn change(
    app: &App,
    access: &Access<TargetsWrite>,
    group: &Group,
    command: Command,
    wait: bool,
) -> Result<Response, Problem> {
    let operation = words(&command).0;
    let (before, since) = (view(app, group), app.now());
    tell(app, access, group, command).await?;
    if !wait {
        return Ok(begun(operation, &before, since).respond());
    }
    let Some(after) = app.services.failovers.settled(&before, since, WAIT).await else {
        return Ok(begun(operation, &before, since).respond());
    };
    match &after.refusal {
        Some(refusal) if refusal.at >= since => Err(CommandError::Refused(refusal.clone()).into()),
        _ => Ok(Json(after).into_response()),
    }
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchoverBody {
    /// The member that becomes active; left out, the one that would be promoted.
    to: Option<String>,
}

/// Makes another member active with the present one's help: nothing is lost, and if it
/// cannot be done in time all is as it was.
#[utoipa::path(
    post, path = "/api/v1/failover/groups/{name}/switchover", tag = "failover",
    params(("name" = String, Path), Waiting),
    request_body(content = SwitchoverBody, description = "May be left out."),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = GroupView), (status = 202, body = Begun))
)]
async fn switchover(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiQuery(waiting): ApiQuery<Waiting>,
    ApiOptional(body): ApiOptional<SwitchoverBody>,
) -> Result<Response, Problem> {
    let group = find(&app, &name)?;
    let to = wanted(&group, body.to)?;
    change(&app, &access, &group, Command::Switchover { to }, waiting.wait.unwrap_or(false)).await
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct FailoverBody {
    /// The member that becomes active; left out, the one that has the most of the log.
    to: Option<String>,
    /// Whether lag and a missing quorum are overridden.
    #[serde(default)]
    force: bool,
    /// Must be said with `force`: what the member does not have is lost.
    #[serde(default)]
    accept_data_loss: bool,
}

/// Makes another member active without waiting for the present one.
#[utoipa::path(
    post, path = "/api/v1/failover/groups/{name}/failover", tag = "failover",
    params(("name" = String, Path), Waiting),
    request_body(content = FailoverBody, description = "May be left out."),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = GroupView), (status = 202, body = Begun))
)]
async fn failover(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiQuery(waiting): ApiQuery<Waiting>,
    ApiOptional(body): ApiOptional<FailoverBody>,
) -> Result<Response, Problem> {
    let FailoverBody { to, force, accept_data_loss } = body;
    let group = find(&app, &name)?;
    let to = wanted(&group, to)?;
    if force != accept_data_loss {
        let (given, missing) =
            if force { ("force", "accept_data_loss") } else { ("accept_data_loss", "force") };
        let detail = format!("not given beside `{given}`, expected both or none of them");
        return Err(wrong(&format!("/{missing}"), detail));
    }
    let command = Command::Failover { to, force, accept_data_loss };
    change(&app, &access, &group, command, waiting.wait.unwrap_or(false)).await
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum TestMode {
    /// Asks every member and changes nothing.
    #[default]
    DryRun,
    /// A real switchover and back.
    Drill,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TestBody {
    #[serde(default)]
    mode: TestMode,
}

/// What a failover would do now. `drill` really switches over and back, for which the
/// group needs a rejoin hook: it is answered with 202, or with its report when waited for.
#[utoipa::path(
    post, path = "/api/v1/failover/groups/{name}/test", tag = "failover",
    params(("name" = String, Path), Waiting),
    request_body(content = TestBody, description = "May be left out."),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = CheckReport), (status = 202, body = Begun))
)]
async fn test(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiQuery(waiting): ApiQuery<Waiting>,
    ApiOptional(body): ApiOptional<TestBody>,
) -> Result<Response, Problem> {
    let group = find(&app, &name)?;
    if body.mode == TestMode::DryRun {
        return Ok(Json(app.services.failovers.check(&group.name).await?).into_response());
    }
    if group.rejoin_hook.is_none() {
        let detail = format!(
            "a drill would leave the member that is active now behind: the group `{name}` has no `rejoin_hook`"
        );
        let hint = "name one in the configuration file, or switch over by hand";
        return Err(Problem::new(StatusCode::CONFLICT, RefusalCode::NoRejoinHook.word(), detail).hint(hint));
    }
    audit(&app, &access, &group, "drill", String::new()).await?;
    drill(app, group, waiting.wait.unwrap_or(false)).await
}

/// Runs a drill to its end whether or not anybody waits for it.
async fn drill(app: AppState, group: Group, wait: bool) -> Result<Response, Problem> {
    let (before, since) = (view(&app, &group), app.now());
    let (answer, answered) = tokio::sync::oneshot::channel::<Result<DrillReport, CommandError>>();
    let (failovers, clock) = (app.services.failovers.clone(), app.services.clock.clone());
    app.services.supervisor.spawn_once(Phase::Engine, async move {
        let ended = failovers.drill(&group.name, || clock.now()).await;
        match &ended {
            Ok(report) => {
                let (there, back) = (report.there.outage_ms, report.back.outage_ms);
                tracing::info!(group = group.name.as_str(), there, back, "a drill went there and back, ms");
            }
            Err(error) => tracing::warn!(group = group.name.as_str(), %error, "a drill failed"),
        }
        // Nobody may be waiting.
        let _ = answer.send(ended);
    });
    if wait && let Ok(Ok(ended)) = tokio::time::timeout(WAIT, answered).await {
        return Ok(Json(ended?).into_response());
    }
    Ok(begun("drill", &before, since).respond())
}
