//! Health roll-up: what each part is, and what the whole is because of it.
//!
//! A part is unhealthy when it does not do its job; the whole is unhealthy only
//! when nothing can hold its place: the store, every Postgres target, or a failover
//! group without a route. Wrong would be to take the worst of all parts: one dead
//! bucket of three would make a load balancer drop the agent.

mod group;

use std::time::Duration;

pub use self::group::{component_name, of_group};
use self::group::{holds, is_down};
use crate::base::time::Timestamp;
use crate::model::failover::group::State;
use crate::model::failover::view::GroupView;
use crate::model::health::{Component, Health};
use crate::model::memory::{MemoryView, Pressure};
use crate::model::probe::OutcomeClass;
use crate::model::target::TargetStatus;

/// A filesystem fuller than this, in percent, is degraded storage.
const STORAGE_FULL: f64 = 95.0;
/// A probe is too old after this many of its intervals, and this much besides.
const STALE_INTERVALS: u32 = 3;
const STALE_GRACE: Duration = Duration::from_secs(10);

/// How the store is, in the words of whoever knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFact<'a> {
    Ok,
    /// Serving from memory; why.
    Reopening(&'a str),
    DiskFull,
}

/// What the roll-up looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub now: Timestamp,
    pub store: StoreFact<'a>,
    /// Use of all real filesystems together, percent; `None` before the first look.
    pub disk_usage_percent: Option<f64>,
    pub disk_seen_at: Option<Timestamp>,
    /// What was wrong at the last reload of the configuration; `None`: it is in force.
    pub refused: Option<&'a str>,
    pub memory: &'a MemoryView,
    pub targets: &'a [TargetStatus],
    pub groups: &'a [GroupView],
}

/// The whole and its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct RollUp {
    pub status: Health,
    pub components: Vec<Component>,
}

/// Looks at every part. Component names are those of the API: `store`, `storage`,
/// `configuration` where it was refused, `memory` while it is short, `database`, then each
/// target by its name and each group as `failover:<name>`.
pub fn roll_up(facts: &Facts<'_>) -> RollUp {
    let mut targets: Vec<Component> =
        facts.targets.iter().map(|target| of_target(target, facts.now)).collect();
    let store = of_store(facts);
    let databases: Vec<&Component> =
        probed(facts.targets, &targets, "postgres").map(|(_, part)| part).collect();
    let all_databases_down =
        !databases.is_empty() && databases.iter().all(|part| part.status == Health::Unhealthy);
    let fatal = store.status == Health::Unhealthy || all_databases_down || facts.groups.iter().any(is_down);
    for part in &mut targets {
        if facts.groups.iter().any(|group| holds(group, &part.name)) {
            part.status = part.status.min(Health::Degraded);
        }
    }

    let mut components = vec![store, of_storage(facts)];
    components.extend(facts.refused.map(|why| of_refused(why, facts.now)));
    components.extend(of_memory(facts.memory, facts.now));
    components.extend(of_kind(facts.targets, &targets, "postgres", "database"));
    // What is switched off says nothing about the whole.
    let off = |name: &str| facts.targets.iter().any(|target| target.name == name && !target.enabled);
    let groups: Vec<Component> = facts.groups.iter().map(of_group).collect();
    let on = facts.groups.iter().zip(&groups).filter(|(group, _)| group.state != State::Disabled);
    let counted = components.iter().chain(targets.iter().filter(|part| !off(&part.name)));
    let counted = counted.chain(on.map(|(_, part)| part));
    let worst = counted.map(|part| part.status).max().unwrap_or(Health::Unknown);
    components.extend(targets);
    components.extend(groups);
    let status = if fatal { Health::Unhealthy } else { worst.min(Health::Degraded) };
    RollUp { status, components }
}

/// The targets of one kind that are probed, and what each is.
fn probed<'a>(
    targets: &'a [TargetStatus],
    parts: &'a [Component],
    kind: &'a str,
) -> impl Iterator<Item = (&'a TargetStatus, &'a Component)> {
    targets.iter().zip(parts).filter(move |(target, _)| target.kind == kind && target.enabled)
}

fn of_store(facts: &Facts<'_>) -> Component {
    let (status, message) = match facts.store {
        StoreFact::Ok => (Health::Healthy, String::from("writable")),
        StoreFact::Reopening(why) => (Health::Unhealthy, format!("serving from memory: {why}")),
        StoreFact::DiskFull => (Health::Degraded, String::from("disk full: samples are not kept")),
    };
    Component { name: String::from("store"), status, message, latency_ms: None, checked_at: Some(facts.now) }
}

fn of_storage(facts: &Facts<'_>) -> Component {
    let (status, message) = match facts.disk_usage_percent {
        None => (Health::Unknown, String::from("no filesystem was looked at yet")),
        Some(used) if used > STORAGE_FULL => (Health::Degraded, format!("{used:.1} % used")),
        Some(used) => (Health::Healthy, format!("{used:.1} % used")),
    };
    let checked_at = facts.disk_seen_at;
    Component { name: String::from("storage"), status, message, latency_ms: None, checked_at }
}

/// The agent works on, but not as its file says: whoever changed it must hear of it.
fn of_refused(why: &str, now: Timestamp) -> Component {
    let message = format!("the last reload was refused, what was in force before it still is: {why}");
    let (status, checked_at) = (Health::Degraded, Some(now));
    Component { name: String::from("configuration"), status, message, latency_ms: None, checked_at }
}

/// Absent while there is enough. A little short is how a small limit is meant to be used.
fn of_memory(memory: &MemoryView, now: Timestamp) -> Option<Component> {
    let (status, kept) = match memory.pressure {
        Pressure::None => return None,
        Pressure::Low => (Health::Healthy, "caches are smaller"),
        Pressure::High => (Health::Degraded, "caches are small, queries are answered one at a time"),
        Pressure::Critical => (Health::Degraded, "nothing is cached, queries are answered one at a time"),
    };
    let why = match (memory.limits.first(), memory.waited_percent) {
        (Some(used), _) if used.share() >= 0.5 => {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            format!("{:.1} of {:.1} MiB are used", mib(used.used_bytes), mib(used.limit_bytes))
        }
        (_, Some(waited)) => format!("memory was waited for {waited:.0} % of the time"),
        _ => String::from("memory was short"),
    };
    let (message, checked_at) = (format!("{why}; {kept}"), Some(now));
    Some(Component { name: String::from("memory"), status, message, latency_ms: None, checked_at })
}

/// The worst of the targets of one kind, under `name`; absent when none is probed.
/// `parts` are what the targets are, in the same order.
pub fn of_kind(targets: &[TargetStatus], parts: &[Component], kind: &str, name: &str) -> Option<Component> {
    let all = || probed(targets, parts, kind);
    let (_, worst) = all().max_by_key(|(_, part)| part.status)?;
    let (count, well) = (all().count(), all().filter(|(_, part)| part.status == Health::Healthy).count());
    let message = match worst.status {
        Health::Healthy => format!("{well} of {count} healthy"),
        _ => format!("{well} of {count} healthy; {}: {}", worst.name, worst.message),
    };
    Some(Component { name: name.to_owned(), message, ..worst.clone() })
}

/// What one target is, by its last probe.
pub fn of_target(target: &TargetStatus, now: Timestamp) -> Component {
    let name = target.name.clone();
    if !target.enabled {
        let message = String::from("switched off");
        return Component { name, status: Health::Unknown, message, latency_ms: None, checked_at: None };
    }
    let Some(last) = &target.last else {
        let message = String::from("not probed yet");
        return Component { name, status: Health::Unknown, message, latency_ms: None, checked_at: None };
    };
    let age = now.since(last.at);
    let limit = Duration::from_millis(target.interval_ms).saturating_mul(STALE_INTERVALS) + STALE_GRACE;
    let (status, message) = if age > limit {
        (Health::Unknown, format!("the last probe is {} s old", age.as_secs()))
    } else {
        (of_class(last.class), last.problem().map_or_else(|| String::from("answers"), describe))
    };
    Component { name, status, message, latency_ms: Some(last.latency_ms), checked_at: Some(last.at) }
}

/// A target that answers, though not as it should, is degraded; one that does
/// not is down.
pub const fn of_class(class: OutcomeClass) -> Health {
    match class {
        OutcomeClass::Ok => Health::Healthy,
        OutcomeClass::Alive | OutcomeClass::Recovering | OutcomeClass::Soft => Health::Degraded,
        OutcomeClass::Hard => Health::Unhealthy,
    }
}

fn describe(problem: &crate::model::probe::OperationOutcome) -> String {
    let reason = if problem.detail.is_empty() { &problem.code } else { &problem.detail };
    format!("{}: {reason}", problem.operation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Name;
    use crate::model::breaker::BreakerState;
    use crate::model::failover::group::Mode;
    use crate::model::failover::view::Unseen;
    use crate::model::memory::{Scope, Use};
    use crate::model::probe::{OperationOutcome, ProbeRecord};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn target(name: &str, kind: &str, class: OutcomeClass, at: Timestamp) -> TargetStatus {
        let operation = OperationOutcome {
            operation: String::from("connect"),
            class,
            code: String::from("refused"),
            detail: String::new(),
            latency_ms: 1.0,
        };
        let last = ProbeRecord {
            target: Name::new(name).unwrap(),
            kind: kind.to_owned(),
            at,
            class,
            latency_ms: 1.0,
            operations: vec![operation],
        };
        TargetStatus {
            name: name.to_owned(),
            kind: kind.to_owned(),
            address: String::new(),
            interval_ms: 1000,
            enabled: true,
            breaker: BreakerState::Closed,
            class: Some(class),
            since: None,
            probes: 1,
            failed: 0,
            error_share: 0.0,
            p50_ms: None,
            p95_ms: None,
            connections: None,
            last: Some(last),
        }
    }

    fn rolled(store: StoreFact<'_>, disk: f64, targets: &[TargetStatus]) -> RollUp {
        let disk_usage_percent = Some(disk);
        let disk_seen_at = Some(NOW);
        let (refused, memory) = (None, &MemoryView::default());
        let groups = &[];
        roll_up(&Facts {
            now: NOW,
            store,
            disk_usage_percent,
            disk_seen_at,
            refused,
            memory,
            targets,
            groups,
        })
    }

    fn status_of(roll_up: &RollUp, name: &str) -> Health {
        roll_up.components.iter().find(|part| part.name == name).unwrap().status
    }

    #[test]
    fn a_dead_bucket_degrades_and_the_last_dead_database_fails() {
        let bucket = target("b", "object_store", OutcomeClass::Hard, NOW);
        let good = target("pg1", "postgres", OutcomeClass::Ok, NOW);
        let dead = target("pg2", "postgres", OutcomeClass::Hard, NOW);

        let all = rolled(StoreFact::Ok, 10.0, &[bucket, good, dead.clone()]);
        assert_eq!(all.status, Health::Degraded);
        assert_eq!(status_of(&all, "b"), Health::Unhealthy);
        assert_eq!(status_of(&all, "database"), Health::Unhealthy);
        let names: Vec<_> = all.components.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["store", "storage", "database", "b", "pg1", "pg2"]);

        assert_eq!(rolled(StoreFact::Ok, 10.0, &[dead]).status, Health::Unhealthy);
    }

    #[test]
    fn the_store_decides_and_a_full_disk_degrades() {
        assert_eq!(rolled(StoreFact::Ok, 95.0, &[]).status, Health::Healthy);
        assert_eq!(rolled(StoreFact::Ok, 95.1, &[]).status, Health::Degraded);
        assert_eq!(rolled(StoreFact::DiskFull, 10.0, &[]).status, Health::Degraded);
        let reopening = rolled(StoreFact::Reopening("no space"), 10.0, &[]);
        assert_eq!(reopening.status, Health::Unhealthy);
    }

    #[test]
    fn a_refused_configuration_degrades_and_is_named() {
        let memory = MemoryView::default();
        let facts = Facts {
            now: NOW,
            store: StoreFact::Ok,
            disk_usage_percent: Some(10.0),
            disk_seen_at: Some(NOW),
            refused: Some("holdfast.toml:4: `collect.interval`"),
            memory: &memory,
            targets: &[],
            groups: &[],
        };
        let all = roll_up(&facts);
        assert_eq!((all.status, status_of(&all, "configuration")), (Health::Degraded, Health::Degraded));
        let part = all.components.iter().find(|part| part.name == "configuration").unwrap();
        assert!(part.message.contains("holdfast.toml:4"), "{}", part.message);
    }

    #[test]
    fn short_memory_degrades_once_it_costs_something() {
        let used = Use { scope: Scope::Process, used_bytes: 31 << 19, limit_bytes: 16 << 20 };
        for (pressure, expected) in [
            (Pressure::None, None),
            (Pressure::Low, Some(Health::Healthy)),
            (Pressure::High, Some(Health::Degraded)),
            (Pressure::Critical, Some(Health::Degraded)),
        ] {
            let view = MemoryView { pressure, limits: vec![used], ..MemoryView::default() };
            let part = of_memory(&view, NOW);
            assert_eq!(part.as_ref().map(|part| part.status), expected, "{pressure:?}");
            assert!(part.is_none_or(|part| part.message.starts_with("15.5 of 16.0 MiB are used; ")));
        }
        let waited =
            MemoryView { pressure: Pressure::Low, waited_percent: Some(30.0), ..MemoryView::default() };
        assert!(of_memory(&waited, NOW).unwrap().message.contains("waited for 30 % of the time"));
    }

    #[test]
    fn what_is_switched_off_says_nothing_about_the_whole() {
        let mut off = target("pg1", "postgres", OutcomeClass::Hard, NOW);
        off.enabled = false;
        let all = rolled(StoreFact::Ok, 10.0, std::slice::from_ref(&off));
        assert_eq!((all.status, status_of(&all, "pg1")), (Health::Healthy, Health::Unknown));
        let good = target("pg2", "postgres", OutcomeClass::Ok, NOW);
        let all = rolled(StoreFact::Ok, 10.0, &[off, good]);
        assert_eq!((all.status, status_of(&all, "database")), (Health::Healthy, Health::Healthy));
    }

    #[test]
    fn an_old_probe_says_nothing() {
        let old = target("pg1", "postgres", OutcomeClass::Hard, Timestamp(NOW.0 - 13_001));
        let all = rolled(StoreFact::Ok, 10.0, &[old]);
        assert_eq!((status_of(&all, "pg1"), all.status), (Health::Unknown, Health::Unknown));
    }

    #[test]
    fn a_group_holds_the_place_of_a_dead_member_as_long_as_it_has_a_route() {
        let targets = [
            target("pg1", "postgres", OutcomeClass::Hard, NOW),
            target("pg2", "postgres", OutcomeClass::Ok, NOW),
        ];
        let unseen = Unseen {
            name: "main",
            kind: "postgres",
            mode: Mode::Auto,
            enabled: true,
            endpoint: "127.0.0.1:6432",
            endpoint_read: None,
        };
        let mut group = unseen.view(["pg1", "pg2"].into_iter());
        group.state = State::Unrouted;
        let all = |group: &GroupView| {
            roll_up(&Facts {
                now: NOW,
                store: StoreFact::Ok,
                disk_usage_percent: Some(10.0),
                disk_seen_at: Some(NOW),
                refused: None,
                memory: &MemoryView::default(),
                targets: &targets,
                groups: std::slice::from_ref(group),
            })
        };
        let down = all(&group);
        assert_eq!((down.status, status_of(&down, "failover:main")), (Health::Unhealthy, Health::Unhealthy));
        assert_eq!(status_of(&down, "pg1"), Health::Unhealthy);
        group.active = Some(String::from("pg2"));
        let held = all(&group);
        assert_eq!((held.status, status_of(&held, "pg1")), (Health::Degraded, Health::Degraded));
        assert_eq!(status_of(&held, "database"), Health::Degraded);
    }

    #[test]
    fn wrong_credentials_are_not_death() {
        let alive = target("pg1", "postgres", OutcomeClass::Alive, NOW);
        assert_eq!(rolled(StoreFact::Ok, 10.0, &[alive]).status, Health::Degraded);
    }
}
