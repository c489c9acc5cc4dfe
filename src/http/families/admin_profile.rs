//! The gateway family: `/admin/performance/profile`, where the agent's time goes.
//!
//! Two looks at counters that run anyway, and their difference: how long each task kept its
//! thread, how long each collector took, what each thread cost. It costs nothing while
//! nobody looks. One would get it wrong by two profiles at once reading each other's work:
//! there is one at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::base::time::{Monotonic, Timestamp};
use crate::http::auth::{Access, Admin};
use crate::http::counters::ApiFigures;
use crate::http::error::Problem;
use crate::http::extract::{ApiOptional, ApiQuery};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::durations::{Durations, DurationsView};
use crate::runtime::supervisor::Supervisor;
use crate::runtime::threads::{self, Thread};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(profile, profile_now))
}

const LONGEST: u64 = 60;
/// What a POST takes that does not say.
const SECONDS: u64 = 5;

/// How long one task's polls took: the time in which no other task of its thread could run.
#[derive(Serialize, utoipa::ToSchema)]
struct TaskProfile {
    name: String,
    polls: DurationsView,
}

/// How long one collector's runs took.
#[derive(Serialize, utoipa::ToSchema)]
struct CollectorProfile {
    name: &'static str,
    state: &'static str,
    runs: DurationsView,
}

/// Processor time of the threads of one name.
#[derive(Serialize, utoipa::ToSchema)]
struct ThreadProfile {
    name: String,
    threads: usize,
    cpu_seconds: f64,
    /// Of one core.
    cpu_percent: f64,
}

/// The runtime that all tasks share, as it is now.
#[derive(Serialize, utoipa::ToSchema)]
struct RuntimeProfile {
    workers: usize,
    alive_tasks: usize,
    /// Tasks that wait for a thread.
    queued_tasks: usize,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Profile {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// What was looked at; null: everything since the agent started.
    seconds: Option<u64>,
    /// Those that took most first.
    tasks: Vec<TaskProfile>,
    collectors: Vec<CollectorProfile>,
    threads: Vec<ThreadProfile>,
    runtime: RuntimeProfile,
    /// Since the agent started.
    api: ApiFigures,
}

/// Counters at one time.
struct Look {
    at: Monotonic,
    polls: BTreeMap<u64, (String, Durations)>,
    runs: BTreeMap<&'static str, (&'static str, Durations)>,
    threads: BTreeMap<u32, Thread>,
}

impl Look {
    async fn now(app: &App) -> Self {
        let polls = app.services.supervisor.polls().into_iter();
        let host = app.host();
        let runs = host.collectors.iter().map(|one| (one.name, (one.state, one.durations)));
        let threads = Supervisor::blocking(threads::all).await.unwrap_or_default();
        Self {
            at: app.services.clock.monotonic(),
            polls: polls.map(|one| (one.id, (one.name, one.polls))).collect(),
            runs: runs.collect(),
            threads: threads.into_iter().map(|thread| (thread.id, thread)).collect(),
        }
    }

    /// Before anything was counted.
    fn start(app: &App) -> Self {
        Self { at: app.started, polls: BTreeMap::new(), runs: BTreeMap::new(), threads: BTreeMap::new() }
    }
}

async fn look(app: &App, seconds: Option<u64>) -> Result<Profile, Problem> {
    let before = match seconds {
        None => Look::start(app),
        Some(seconds) if (1..=LONGEST).contains(&seconds) => {
            let turn = app.profiles.try_acquire().map_err(|_| {
                let detail = "another profile is being taken";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(LONGEST)
            })?;
            let before = Look::now(app).await;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            drop(turn);
            before
        }
        Some(_) => return Err(Problem::bad_parameter("seconds", format!("expected 1 to {LONGEST}"))),
    };
    let after = Look::now(app).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    Ok(Profile {
        timestamp: app.now(),
        seconds,
        tasks: tasks(&before, &after),
        collectors: collectors(&before, &after),
        threads: of_threads(&before, &after),
        runtime: RuntimeProfile {
            workers: metrics.num_workers(),
            alive_tasks: metrics.num_alive_tasks(),
            queued_tasks: metrics.global_queue_depth(),
        },
        api: app.counters.figures(app.running()),
    })
}

fn tasks(before: &Look, after: &Look) -> Vec<TaskProfile> {
    let each = after.polls.iter().map(|(id, (name, polls))| {
        let earlier = before.polls.get(id).map(|(_, polls)| *polls).unwrap_or_default();
        TaskProfile { name: name.clone(), polls: polls.since(&earlier).view() }
    });
    let mut all: Vec<TaskProfile> = each.collect();
    all.sort_by(|a, b| b.polls.total_ms.total_cmp(&a.polls.total_ms));
    all
}

fn collectors(before: &Look, after: &Look) -> Vec<CollectorProfile> {
    let each = after.runs.iter().map(|(name, (state, runs))| {
        let earlier = before.runs.get(name).map(|(_, runs)| *runs).unwrap_or_default();
        CollectorProfile { name, state, runs: runs.since(&earlier).view() }
    });
    each.collect()
}

fn of_threads(before: &Look, after: &Look) -> Vec<ThreadProfile> {
    let seconds = after.at.since(before.at).as_secs_f64().max(1e-3);
    let mut by_name: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    for (id, thread) in &after.threads {
        let earlier = before.threads.get(id).map_or(0.0, |thread| thread.cpu_seconds);
        let entry = by_name.entry(&thread.name).or_default();
        *entry = (entry.0 + 1, entry.1 + (thread.cpu_seconds - earlier).max(0.0));
    }
    let each = by_name.into_iter().map(|(name, (threads, cpu_seconds))| ThreadProfile {
        name: name.to_owned(),
        threads,
        cpu_seconds,
        cpu_percent: cpu_seconds / seconds * 100.0,
    });
    let mut all: Vec<ThreadProfile> = each.collect();
    all.sort_by(|a, b| b.cpu_seconds.total_cmp(&a.cpu_seconds));
    all
}

/// How long to look.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ProfileTime {
    /// 1 to 60. Left out of a GET: everything since the agent started; of a POST: 5.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 60)]
    #[param(minimum = 1, maximum = 60)]
    seconds: Option<u64>,
}

/// Where the agent's time went since it started, or with `seconds` in the time from now:
/// polls of each task, runs of each collector, threads, the runtime.
#[utoipa::path(
    get, path = "/admin/performance/profile", tag = "admin", params(ProfileTime),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = Profile))
)]
async fn profile(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiQuery(time): ApiQuery<ProfileTime>,
) -> Result<Json<Profile>, Problem> {
    look(&app, time.seconds).await.map(Json)
}

/// Looks for some seconds where the agent's time goes, 5 unless `seconds` says.
#[utoipa::path(
    post, path = "/admin/performance/profile", tag = "admin",
    request_body(content = ProfileTime, description = "May be left out."),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = Profile))
)]
async fn profile_now(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiOptional(time): ApiOptional<ProfileTime>,
) -> Result<Json<Profile>, Problem> {
    look(&app, Some(time.seconds.unwrap_or(SECONDS))).await.map(Json)
}
