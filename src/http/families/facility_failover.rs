//! The facility family: `/api/failover/...`, one failover group in the words of these
//! clients.
//!
//! They know one group, without saying which: the one named `default`, or the only one.
//! Enabling is a patch of the configuration like any other, so what the file defines is
//! the file's here too. One would get it wrong by keeping their list of servers anywhere
//! else: it would be gone after the next start, or be supervised twice.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::facility_enable::{enable_group, opened};
use crate::base::time::Timestamp;
use crate::config::failover::Group;
use crate::http::auth::{Access, MonitoringRead, TargetsWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiQuery};
use crate::http::registry::{Registry, routes};
use crate::http::routes::failover::{JournalRow, find, rows, view};
use crate::http::routes::failover_commands::tell;
use crate::http::state::{App, AppState};
use crate::logic::failover::Command;
use crate::model::breaker::BreakerState;
use crate::model::failover::group::{LastFailover, State as GroupState};
use crate::model::failover::view::{CheckReport, GroupView, MemberState, Role};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(status)).routes(routes!(enable)).routes(routes!(disable)).routes(routes!(test))
}

/// The group that these clients mean when they say none.
pub const DEFAULT: &str = "default";
/// Rows of the journal that a status has.
const HISTORY: usize = 50;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Left out: the group `default`, or the only one.
    group: Option<String>,
}

impl Which {
    /// `None` where none is configured and none was named.
    pub fn group(&self, app: &App) -> Result<Option<Group>, Problem> {
        if let Some(name) = &self.group {
            return find(app, name).map(Some);
        }
        let config = app.config.borrow().clone();
        match config.failover.group.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            several => match several.iter().find(|group| group.name.as_str() == DEFAULT) {
                Some(group) => Ok(Some(group.clone())),
                None => {
                    Err(Problem::bad_parameter("group", "there are several groups, expected the name of one"))
                }
            },
        }
    }

    fn known(&self, app: &App) -> Result<Group, Problem> {
        self.group(app)?.ok_or_else(|| {
            Problem::not_found("no failover group is configured").hint("`/api/failover/enable` makes one")
        })
    }
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct FacilityMember {
    name: String,
    role: Role,
    state: MemberState,
    breaker: BreakerState,
    lag_bytes: Option<u64>,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_check: Option<Timestamp>,
}

/// A group in the words of this family.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FailoverStatus {
    /// Whether a group is there and supervised.
    enabled: bool,
    state: GroupState,
    /// Where the endpoint leads; null without a route.
    active: Option<String>,
    /// The member that is preferred; null without a group.
    primary: Option<String>,
    epoch: u64,
    members: Vec<FacilityMember>,
    last_failover: Option<LastFailover>,
    /// The newest rows of the journal.
    history: Vec<JournalRow>,
    /// Where to connect, by kind: `{"postgres": "127.0.0.1:6432"}`.
    #[schema(value_type = Option<Object>, required = true)]
    endpoint: Value,
}

impl FailoverStatus {
    const fn none() -> Self {
        Self {
            enabled: false,
            state: GroupState::Disabled,
            active: None,
            primary: None,
            epoch: 0,
            members: Vec::new(),
            last_failover: None,
            history: Vec::new(),
            endpoint: Value::Null,
        }
    }

    async fn of(app: &App, group: &Group, view: GroupView) -> Result<Self, Problem> {
        let (history, _) = rows(app, group.name.clone(), HISTORY, 0).await?;
        let members = view.members.into_iter().map(|member| FacilityMember {
            name: member.name,
            role: member.role,
            state: member.state,
            breaker: member.breaker,
            lag_bytes: member.lag_bytes,
            last_check: member.last_check,
        });
        Ok(Self {
            enabled: view.state != GroupState::Disabled,
            state: view.state,
            active: view.active,
            primary: group.members.first().map(ToString::to_string),
            epoch: view.epoch,
            members: members.collect(),
            last_failover: view.last_failover,
            history,
            endpoint: json!({ group.kind.word(): view.endpoint }),
        })
    }
}

/// How the group is; without any, `enabled` is false.
#[utoipa::path(
    get, path = "/api/failover/status", tag = "failover", params(Which),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = FailoverStatus))
)]
async fn status(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(which): ApiQuery<Which>,
) -> Result<Json<FailoverStatus>, Problem> {
    status_of(&app, &which).await.map(Json)
}

/// How the group is that is meant; without any, `enabled` is false.
///
/// # Errors
/// 404 for a group that is not there, 400 where none was named and there are several.
pub async fn status_of(app: &App, which: &Which) -> Result<FailoverStatus, Problem> {
    match which.group(app)? {
        None => Ok(FailoverStatus::none()),
        Some(group) => FailoverStatus::of(app, &group, view(app, &group)).await,
    }
}

/// Servers that may take the place of the primary.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableBody {
    /// Backups in the order in which they are preferred; one named `primary` comes first.
    pub configs: Vec<EnableConfig>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableConfig {
    pub name: String,
    pub db_config: DbConfig,
}

/// Where a server is and who logs in there. A password that is left out stays as it is.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DbConfig {
    pub host: String,
    pub port: Option<u16>,
    pub database: Option<String>,
    pub user: Option<String>,
    #[schema(value_type = Option<String>)]
    pub password: Option<crate::base::secret::Secret>,
}

/// Shows no user and no password.
impl std::fmt::Debug for DbConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DbConfig").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Makes these servers members of the group `default`, or replaces its members, and
/// starts supervision. The one named `primary`, or else the only Postgres target there
/// is, is the primary; 422 with neither. The same again changes nothing.
#[utoipa::path(
    post, path = "/api/failover/enable", tag = "failover", request_body(content = EnableBody),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = FailoverStatus))
)]
async fn enable(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiJson(body): ApiJson<EnableBody>,
) -> Result<Json<FailoverStatus>, Problem> {
    enable_group(&app, &access, &body).await?;
    let group = find(&app, DEFAULT)?;
    if view(&app, &group).state == GroupState::Disabled {
        tell(&app, &access, &group, Command::Enable).await?;
    }
    let view = opened(&app, &group).await;
    FailoverStatus::of(&app, &group, view).await.map(Json)
}

/// Ends supervision; the route stays on the active member.
#[utoipa::path(
    post, path = "/api/failover/disable", tag = "failover", params(Which),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = FailoverStatus))
)]
async fn disable(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiQuery(which): ApiQuery<Which>,
) -> Result<Json<FailoverStatus>, Problem> {
    let Some(group) = which.group(&app)? else { return Ok(Json(FailoverStatus::none())) };
    if view(&app, &group).state != GroupState::Disabled {
        tell(&app, &access, &group, Command::Disable).await?;
    }
    FailoverStatus::of(&app, &group, view(&app, &group)).await.map(Json)
}

/// What a failover would do now. Asks every member and changes nothing.
#[utoipa::path(
    post, path = "/api/failover/test", tag = "failover", params(Which),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = CheckReport))
)]
async fn test(
    _: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiQuery(which): ApiQuery<Which>,
) -> Result<Json<CheckReport>, Problem> {
    let group = which.known(&app)?;
    Ok(Json(app.services.failovers.check(&group.name).await?))
}
