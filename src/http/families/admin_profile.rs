//! The gateway family: `/admin/performance/profile`, where the agent's time goes.
//!
//! Two looks at counters that run anyway, and their difference: how long each task kept its
//! thread, how long each collector took, what each thread cost. Between the two, processor
//! time is measured by task, collector and request, which a flame graph shows. It costs
//! nothing while nobody looks. These are measured parts and no stacks of functions: those
//! need symbols and an unwinder, which the static file has no room for. One would get it
//! wrong by two profiles at once reading each other's work: there is one at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use crate::base::time::{Monotonic, Timestamp};
use crate::http::auth::{Access, Admin};
use crate::http::counters::ApiFigures;
use crate::http::error::Problem;
use crate::http::extract::{ApiOptional, ApiQuery};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::logic::flame::{Part, svg};
use crate::model::durations::{Durations, DurationsView};
use crate::runtime::cpu::{Look as CpuLook, Spent};
use crate::runtime::supervisor::{Phase, Supervisor};
use crate::runtime::threads::{self, Thread};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(profile, profile_now))
}

const LONGEST: u64 = 60;
/// What a POST takes that does not say.
const SECONDS: u64 = 5;
/// What the runtime calls its threads, those for blocking work included.
const RUNTIME_THREADS: &str = "tokio-rt-worker";
/// What the sampler calls the thread on which collectors run.
const COLLECTOR_THREAD: &str = "collectors";
const NOTE: &str = "measured by thread, task, collector and request, not sampled: there are no functions in \
                    it. What nothing stands on is the runtime, blocking work and the kernel.";

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

/// A thread of the runtime.
#[derive(Serialize, utoipa::ToSchema)]
struct RuntimeWorker {
    /// Time in which it polled tasks.
    busy_seconds: f64,
    busy_percent: f64,
    /// How often it had nothing to do.
    parks: u64,
}

/// The runtime that all tasks share.
#[derive(Serialize, utoipa::ToSchema)]
struct RuntimeProfile {
    workers: usize,
    /// Now, as the next.
    alive_tasks: usize,
    /// Tasks that wait for a thread.
    queued_tasks: usize,
    threads: Vec<RuntimeWorker>,
}

/// Processor time of one part by itself, without the parts of it.
#[derive(Serialize, utoipa::ToSchema)]
struct CpuStack {
    /// Thread, task and part, with `;` between them: lines of a flame graph.
    stack: String,
    cpu_seconds: f64,
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
    /// Processor time by thread, task and part; empty without `seconds`: it is measured
    /// while somebody looks.
    cpu: Vec<CpuStack>,
    runtime: RuntimeProfile,
    /// Since the agent started.
    api: ApiFigures,
}

/// Counters at one time.
struct Look {
    at: Monotonic,
    polls: BTreeMap<u64, (String, Durations)>,
    runs: BTreeMap<&'static str, (&'static str, Durations)>,
    collectors_cpu: BTreeMap<&'static str, Duration>,
    threads: BTreeMap<u32, Thread>,
    /// Busy time and parks of each thread of the runtime.
    workers: Vec<(Duration, u64)>,
}

impl Look {
    async fn now(app: &App) -> Self {
        let polls = app.services.supervisor.polls().into_iter();
        let host = app.host();
        let runs = host.collectors.iter().map(|one| (one.name, (one.state, one.durations)));
        let cpu = host.collectors.iter().map(|one| (one.name, one.cpu));
        let threads = Supervisor::blocking(threads::all).await.unwrap_or_default();
        let metrics = tokio::runtime::Handle::current().metrics();
        let workers = (0..metrics.num_workers())
            .map(|at| (metrics.worker_total_busy_duration(at), metrics.worker_park_count(at)));
        Self {
            at: app.services.clock.monotonic(),
            polls: polls.map(|one| (one.id, (one.name, one.polls))).collect(),
            runs: runs.collect(),
            collectors_cpu: cpu.collect(),
            threads: threads.into_iter().map(|thread| (thread.id, thread)).collect(),
            workers: workers.collect(),
        }
    }

    /// Before anything was counted.
    fn start(app: &App) -> Self {
        Self {
            at: app.started,
            polls: BTreeMap::new(),
            runs: BTreeMap::new(),
            collectors_cpu: BTreeMap::new(),
            threads: BTreeMap::new(),
            workers: Vec::new(),
        }
    }
}

/// What was seen before and after, and what was measured in between.
struct Seen {
    before: Look,
    after: Look,
    spent: Spent,
    seconds: Option<u64>,
}

async fn look(app: &App, seconds: Option<u64>) -> Result<Seen, Problem> {
    let Some(seconds) = seconds else {
        let (before, after) = (Look::start(app), Look::now(app).await);
        return Ok(Seen { before, after, spent: Spent::new(), seconds: None });
    };
    if !(1..=LONGEST).contains(&seconds) {
        return Err(Problem::bad_parameter("seconds", format!("expected 1 to {LONGEST}")));
    }
    // Both end with this future, which the client ends by going away.
    let _turn = app.profiles.try_acquire().map_err(|_| {
        let detail = "another profile is being taken";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(LONGEST)
    })?;
    let measured: CpuLook = app.services.supervisor.meter().look();
    let before = Look::now(app).await;
    let stopping = app.services.supervisor.stop_of(Phase::Serve);
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        () = stopping.cancelled() => {
            let detail = "the agent stops";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", detail).retry_after(1));
        }
    }
    let after = Look::now(app).await;
    Ok(Seen { before, after, spent: measured.spent(), seconds: Some(seconds) })
}

impl Seen {
    fn profile(&self, app: &App) -> Profile {
        let (before, after) = (&self.before, &self.after);
        let metrics = tokio::runtime::Handle::current().metrics();
        let cpu = if self.seconds.is_some() { self.tree().stacks() } else { Vec::new() };
        Profile {
            timestamp: app.now(),
            seconds: self.seconds,
            tasks: tasks(before, after),
            collectors: collectors(before, after),
            threads: of_threads(before, after),
            cpu: cpu.into_iter().map(|(stack, cpu_seconds)| CpuStack { stack, cpu_seconds }).collect(),
            runtime: RuntimeProfile {
                workers: metrics.num_workers(),
                alive_tasks: metrics.num_alive_tasks(),
                queued_tasks: metrics.global_queue_depth(),
                threads: workers(before, after),
            },
            api: app.counters.figures(app.running()),
        }
    }

    /// Processor time of the process, by thread, task and part.
    fn tree(&self) -> Part {
        let threads = of_threads(&self.before, &self.after);
        let mut whole = Part::new("holdfast", threads.iter().map(|thread| thread.cpu_seconds).sum());
        for thread in threads {
            let mut part = Part::new(thread.name, thread.cpu_seconds);
            match part.name.as_str() {
                RUNTIME_THREADS => part.parts = self.of_tasks(),
                COLLECTOR_THREAD => part.parts = self.of_collectors(),
                _ => {}
            }
            whole.parts.push(part);
        }
        whole
    }

    fn of_tasks(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        // The task as a whole comes before the parts of it.
        for ((task, part), spent) in &self.spent {
            let seconds = spent.as_secs_f64();
            match (part, parts.last_mut().filter(|last| last.name == *task)) {
                (None, _) => parts.push(Part::new(task, seconds)),
                (Some(part), Some(last)) => last.parts.push(Part::new(part, seconds)),
                // Nothing of the task was measured as a whole yet: it is being polled.
                (Some(part), None) => {
                    parts.push(Part { parts: vec![Part::new(part, seconds)], ..Part::new(task, seconds) });
                }
            }
        }
        parts.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        parts
    }

    fn of_collectors(&self) -> Vec<Part> {
        let each = self.after.collectors_cpu.iter().map(|(name, cpu)| {
            let earlier = self.before.collectors_cpu.get(name).copied().unwrap_or_default();
            Part::new(*name, cpu.saturating_sub(earlier).as_secs_f64())
        });
        let mut parts: Vec<Part> = each.filter(|part| part.seconds > 0.0).collect();
        parts.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        parts
    }

    fn graph(&self) -> Response {
        let took = self.after.at.since(self.before.at).as_secs_f64();
        let whole = self.tree();
        let title = format!(
            "holdfast {}: {:.1} ms of processor time in {took:.1} s",
            env!("CARGO_PKG_VERSION"),
            whole.seconds * 1000.0
        );
        ([(CONTENT_TYPE, "image/svg+xml")], svg(&whole, &title, NOTE)).into_response()
    }
}

fn workers(before: &Look, after: &Look) -> Vec<RuntimeWorker> {
    let took = after.at.since(before.at).as_secs_f64().max(1e-3);
    let each = after.workers.iter().enumerate().map(|(at, (busy, parks))| {
        let (busy_before, parks_before) = before.workers.get(at).copied().unwrap_or_default();
        let busy_seconds = busy.saturating_sub(busy_before).as_secs_f64();
        let parks = parks.saturating_sub(parks_before);
        RuntimeWorker { busy_seconds, busy_percent: busy_seconds / took * 100.0, parks }
    });
    each.collect()
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

/// How a profile is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum ProfileFormat {
    #[default]
    Json,
    /// A flame graph of processor time.
    Svg,
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
    /// `svg` is a flame graph of the processor time of threads, tasks, collectors and requests
    /// in that time, 5 seconds unless `seconds` says.
    #[serde(default)]
    #[param(inline)]
    format: ProfileFormat,
}

async fn answer(app: &App, time: &ProfileTime) -> Result<Response, Problem> {
    let seen = look(app, time.seconds).await?;
    Ok(if time.format == ProfileFormat::Svg { seen.graph() } else { Json(seen.profile(app)).into_response() })
}

/// Where the agent's time went since it started, or with `seconds` in the time from now:
/// polls of each task, runs of each collector, threads, processor time by part, the runtime.
#[utoipa::path(
    get, path = "/admin/performance/profile", tag = "admin", params(ProfileTime),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, content((Profile = "application/json"), (String = "image/svg+xml"))))
)]
async fn profile(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiQuery(mut time): ApiQuery<ProfileTime>,
) -> Result<Response, Problem> {
    if time.format == ProfileFormat::Svg {
        time.seconds.get_or_insert(SECONDS);
    }
    answer(&app, &time).await
}

/// Looks for some seconds where the agent's time goes, 5 unless `seconds` says.
#[utoipa::path(
    post, path = "/admin/performance/profile", tag = "admin", params(ProfileTime),
    request_body(content = ProfileTime, description = "May be left out."),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, content((Profile = "application/json"), (String = "image/svg+xml"))))
)]
async fn profile_now(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiQuery(asked): ApiQuery<ProfileTime>,
    ApiOptional(mut time): ApiOptional<ProfileTime>,
) -> Result<Response, Problem> {
    // Both places are usual: what the address says counts.
    time.seconds = Some(asked.seconds.or(time.seconds).unwrap_or(SECONDS));
    if asked.format == ProfileFormat::Svg {
        time.format = ProfileFormat::Svg;
    }
    answer(&app, &time).await
}
