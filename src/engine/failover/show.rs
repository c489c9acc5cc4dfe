//! A group as people, rules and programs see it.
//!
//! Everything here is read off the protocol's state; nothing is decided.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{Plan, news};
use crate::base::id::Name;
use crate::base::time::{Monotonic, Timestamp};
use crate::logic::failover::{Core, Happening, Watch};
use crate::model::breaker::BreakerState;
use crate::model::event::EventType;
use crate::model::failover::group::{RefusalCode, Tier};
use crate::model::failover::lsn::Lsn;
use crate::model::failover::sighting::{Facts, FailureClass, Sighting, Standing};
use crate::model::failover::view::{
    CheckReport, Finding, GroupView, MemberCheck, MemberState, MemberView, Role,
};
use crate::model::frame::Frame;
use crate::targets::postgres::member;

/// Looks that must fail before a hung server counts as dead, and what follows, ms.
const HUNG_LOOKS: u64 = 3;
const AFTERWARDS_MS: u64 = 500;

/// Findings of the check by which a server's role may not do what a promotion takes.
const BARS: [&str; 5] = ["version", "superuser", "promote", "reload", "parameters"];
/// The others that are rights of the role, or of the address it comes from.
const RIGHTS: [&str; 4] = ["monitor", "signal", "replication", "history"];
/// The member could not be asked.
const UNREADABLE: &str = "unreadable";

/// What is known of the members beside what the protocol decides on.
#[derive(Debug, Default)]
pub struct Noted {
    /// Of the check of grants and settings, once there was one.
    findings: Option<Vec<Finding>>,
    /// What is wrong with the way to a member that can be asked all the same.
    problems: BTreeMap<Name, String>,
    /// Members whose server, or whose files here, refuse us.
    refusing: BTreeSet<Name>,
    /// Members whose last look failed.
    away: BTreeSet<Name>,
    /// Members whose server had a `restore_command` when it was last asked.
    restoring: BTreeSet<Name>,
}

impl Noted {
    /// A look at `member` ended. `true` when it answers again: what was found of it is old.
    pub fn look(&mut self, member: &Name, sighting: &Sighting, problem: Option<String>) -> bool {
        match problem {
            Some(problem) => drop(self.problems.insert(member.clone(), problem)),
            None => drop(self.problems.remove(member)),
        }
        match sighting {
            Sighting::Failed(failure) if failure.class == FailureClass::Configuration => {
                self.refusing.insert(member.clone());
            }
            _ => drop(self.refusing.remove(member)),
        }
        match sighting {
            Sighting::Failed(_) => {
                self.away.insert(member.clone());
                false
            }
            Sighting::Answered(_) => self.away.remove(member),
        }
    }

    /// The check of grants and settings ended.
    pub fn checked(&mut self, findings: Vec<Finding>, restores: Vec<(Name, bool)>) {
        for (member, restores) in restores {
            if restores {
                self.restoring.insert(member);
            } else {
                self.restoring.remove(&member);
            }
        }
        self.findings = Some(findings);
    }

    fn of<'a>(&'a self, member: &'a Name) -> impl Iterator<Item = &'a Finding> {
        let all = self.findings.iter().flatten();
        all.filter(|found| found.member.as_deref() == Some(member.as_str()))
    }

    /// What the role lacks there to promote it.
    fn bar<'a>(&'a self, member: &'a Name) -> Option<&'a str> {
        let bar = self.of(member).find(|found| BARS.contains(&found.code.as_str()));
        bar.map(|found| found.problem.as_str())
    }

    /// Whether the role has all that a failover takes; `None` where it was not asked.
    fn grants(&self, member: &Name) -> Option<bool> {
        let is = |list: &[&str]| self.of(member).any(|found| list.contains(&found.code.as_str()));
        (self.findings.is_some() && !is(&[UNREADABLE])).then(|| !is(&BARS) && !is(&RIGHTS))
    }

    /// `problem` with what is wrong besides.
    fn beside(&self, member: &Name, problem: Option<String>) -> Option<String> {
        match (problem, self.problems.get(member)) {
            (Some(problem), Some(besides)) => Some(format!("{problem}; {besides}")),
            (problem, besides) => problem.or_else(|| besides.cloned()),
        }
    }

    fn is_misconfigured(&self, member: &Name) -> bool {
        self.problems.contains_key(member) || self.refusing.contains(member)
    }
}

/// Who would be promoted now: what the protocol would choose, unless the role lacks there
/// what that takes. It tries all the same; in a group that is only switched nobody is promoted.
fn candidate(core: &Core, noted: &Noted) -> Result<(Name, Lsn), (RefusalCode, String)> {
    let best = core.would_promote()?;
    if core.is_switch() {
        return Ok(best);
    }
    let Some(bar) = noted.bar(&best.0) else { return Ok(best) };
    let fit = core.candidates().into_iter().filter_map(|(member, lsn)| Some((member, lsn.ok()?)));
    let others = fit.filter(|(member, _)| noted.bar(member).is_none());
    others.max_by_key(|(_, lsn)| *lsn).ok_or_else(|| (RefusalCode::NoCandidate, bar.to_owned()))
}

/// The group as it is now.
pub fn view(plan: &Plan, core: &Core, noted: &Noted, now: Monotonic, wall: Timestamp) -> GroupView {
    let durable = core.durable();
    let candidate = candidate(core, noted).ok();
    let tier = if candidate.is_none() && !core.is_switch() { Tier::None } else { core.tier() };
    let route = core.route(now);
    GroupView {
        name: plan.name().to_string(),
        kind: String::from("postgres"),
        tier,
        guarantee: tier.guarantee().to_owned(),
        mode: core.settings().mode,
        state: core.state(now, wall),
        active: route.to.map(|member| member.to_string()),
        epoch: durable.epoch,
        endpoint: plan.section.listen.clone(),
        endpoint_read: plan.section.listen_read.clone(),
        members: core
            .settings()
            .members
            .iter()
            .map(|name| member_view(plan, core, noted, name, now, wall))
            .collect(),
        refusal: core.refusal_now().cloned(),
        paused_until: durable.paused.and_then(|pause| pause.until),
        last_failover: durable.last.clone(),
        would_promote: candidate.as_ref().map(|(name, _)| name.to_string()),
        expected_rpo_bytes: candidate.as_ref().and_then(|(_, at)| rpo(core, tier, *at)),
        expected_rto_ms: candidate.is_some().then(|| rto(core)),
        findings: noted.findings.clone().unwrap_or_default(),
        diverged: durable.last.as_ref().is_some_and(|last| last.diverged),
    }
}

/// What would be lost now, bytes; `None` where nothing can be said.
fn rpo(core: &Core, tier: Tier, at: Lsn) -> Option<u64> {
    match tier {
        Tier::Sync => Some(0),
        _ if core.is_sync() => Some(0),
        Tier::Switch | Tier::None => None,
        _ => Some(head_lsn(core)?.since(at)),
    }
}

/// Of a server that hangs, the slowest of what is noticed by itself.
fn rto(core: &Core) -> u64 {
    core.settings().timeout.as_millis() as u64 * HUNG_LOOKS + AFTERWARDS_MS
}

fn head_lsn(core: &Core) -> Option<Lsn> {
    let head = core.durable().head.as_ref()?;
    core.watch(&head.member)?.last_facts().map(Facts::lsn)
}

fn role(watch: Option<&Watch>) -> Role {
    match watch.and_then(Watch::last_facts).map(|facts| &facts.standing) {
        Some(Standing::Primary { .. }) => Role::Primary,
        Some(Standing::Standby { .. }) => Role::Standby,
        None => Role::Unknown,
    }
}

fn lag(core: &Core, name: &Name) -> Option<u64> {
    if core.is_switch() {
        return None;
    }
    let own = core.watch(name)?.last_facts()?;
    let same = core.durable().head.as_ref().is_some_and(|head| head.system_id == own.system_id);
    same.then(|| head_lsn(core).map(|head| head.since(own.lsn()))).flatten()
}

fn member_view(
    plan: &Plan,
    core: &Core,
    noted: &Noted,
    name: &Name,
    now: Monotonic,
    wall: Timestamp,
) -> MemberView {
    let watch = core.watch(name);
    let facts = watch.and_then(Watch::last_facts);
    let current = watch.and_then(Watch::current);
    let head = core.durable().head.as_ref().is_some_and(|head| head.member == *name);
    let fenced = facts.is_some_and(|facts| facts.fence().is_some());
    let needs_rejoin = core.needs_rejoin(name);
    let no = core.candidates().into_iter().find(|(candidate, _)| candidate == name);
    let (state, problem) = match (watch, current) {
        (None, _) => (MemberState::Unknown, None),
        (Some(watch), None) if watch.failures.is_empty() => (MemberState::Unknown, None),
        (Some(watch), None) => {
            (MemberState::Down, watch.failures.last().map(|failed| failed.failure.detail.clone()))
        }
        (Some(_), Some(_)) if head && core.is_verified() => (MemberState::Active, None),
        (Some(_), Some(_)) if fenced => (MemberState::Fenced, no.and_then(|(_, fit)| Some(fit.err()?.1))),
        (Some(_), Some(_)) => match no {
            Some((_, Ok(_))) => (MemberState::Standby, None),
            Some((_, Err((_, why)))) => (MemberState::Ineligible, Some(why)),
            None => (MemberState::Ineligible, Some(core.explain(now))),
        },
    };
    let checked = watch.and_then(|watch| watch.asked).map(|asked| wall.minus(now.since(asked)));
    MemberView {
        name: name.to_string(),
        role: role(watch),
        state,
        breaker: plan.breaker(name).unwrap_or(BreakerState::Closed),
        writable: current
            .filter(|facts| facts.is_primary())
            .map(|facts| !facts.read_only && watch.is_none_or(|watch| watch.canary_failed.is_none())),
        lsn: facts.map(|facts| facts.lsn().to_string()),
        timeline: facts.map(|facts| facts.timeline),
        lag_bytes: lag(core, name),
        attached: core.durable().members.get(name).is_some_and(|memory| memory.attached),
        fenced,
        needs_rejoin,
        pg_rewind: needs_rejoin.then(|| rewind(plan, core, noted.restoring.contains(name))).flatten(),
        last_check: checked,
        problem: noted.beside(name, problem),
    }
}

/// What brings a superseded member back, to be run on its host by the server's user.
fn rewind(plan: &Plan, core: &Core, restores: bool) -> Option<String> {
    let head = core.durable().head.as_ref()?;
    let section = plan.members.iter().find(|section| section.name == head.member)?;
    let source = member::source(&section.host, section.port, &section.user);
    Some(rewind_from(&source, restores))
}

/// pg_rewind refuses to restore where the server has no `restore_command`.
fn rewind_from(source: &str, restores: bool) -> String {
    let source = source.replace('\'', "'\\''");
    let restore = if restores { " --restore-target-wal" } else { "" };
    format!("pg_rewind --target-pgdata=\"$PGDATA\" --source-server='{source}' --write-recovery-conf{restore}")
}

/// A finding of the check of `member`, for people.
pub fn finding(member: &Name, found: member::Finding) -> Finding {
    let on = match found.place {
        member::Place::Primary => "-- on the primary",
        member::Place::Member => "-- on the member",
    };
    let sql =
        found.sql.map(|sql| std::iter::once(on.to_owned()).chain(sql.lines().map(str::to_owned)).collect());
    Finding {
        member: Some(member.to_string()),
        code: found.code.to_owned(),
        blocks: found.blocking,
        problem: found.what,
        sql: sql.unwrap_or_default(),
    }
}

/// The dry run: what was last seen, and what would come of it.
pub fn report(plan: &Plan, core: &Core, noted: &Noted, now: Monotonic, wall: Timestamp) -> CheckReport {
    let shown = view(plan, core, noted, now, wall);
    let checks = core.settings().members.iter().map(|name| {
        let watch = core.watch(name);
        let fit = core.candidates().into_iter().find(|(candidate, _)| candidate == name);
        let reason = match fit {
            Some((_, Ok(_))) if core.is_switch() => None,
            Some((_, Ok(_))) => noted.bar(name).map(str::to_owned),
            Some((_, Err((_, why)))) => Some(why),
            None => Some(String::from("it is the active member")),
        };
        MemberCheck {
            name: name.to_string(),
            reachable: watch.is_some_and(|watch| watch.current().is_some()),
            role: role(watch),
            lag_bytes: lag(core, name),
            grants: noted.grants(name),
            eligible: reason.is_none(),
            reason,
        }
    });
    let refusal = candidate(core, noted).err().map(|no| Core::refusal(no, wall));
    CheckReport {
        group: shown.name,
        tier: shown.tier,
        guarantee: shown.guarantee,
        active: shown.active,
        members: checks.collect(),
        would_promote: shown.would_promote,
        refusal,
        expected_rpo_bytes: shown.expected_rpo_bytes,
        expected_rto_ms: shown.expected_rto_ms,
        findings: shown.findings,
    }
}

/// The series of a group, for rules and charts.
pub fn figures(plan: &Plan, core: &Core, noted: &Noted, view: &GroupView) -> Frame {
    let group = plan.name().as_str();
    let mut frame = Frame::new();
    let flag = |on: bool| f64::from(u8::from(on));
    frame
        .gauge("holdfast_failover_state", "1 for the state the group is in.")
        .push(&[("group", group), ("state", view.state.word())], 1.0);
    frame
        .gauge("holdfast_failover_epoch", "Grows with every change of the active member.")
        .push(&[("group", group)], view.epoch as f64);
    frame
        .gauge("holdfast_failover_routed", "Whether the endpoint leads somewhere.")
        .push(&[("group", group)], flag(view.active.is_some()));
    let refused = core.refusal_now().map(|refusal| refusal.code);
    if let Some(code) = refused {
        frame
            .gauge("holdfast_failover_refused", "1 while a failover is refused for this reason.")
            .push(&[("group", group), ("code", code.word())], 1.0);
    }
    frame
        .gauge(
            "holdfast_failover_agent_isolated",
            "Whether no member can be reached, which speaks against us.",
        )
        .push(&[("group", group)], flag(refused == Some(RefusalCode::AgentIsolated)));
    frame
        .gauge(
            "holdfast_failover_sync_blocked",
            "Whether commits wait for synchronous standbys that are not there.",
        )
        .push(&[("group", group)], flag(core.is_sync_blocked()));
    for name in &core.settings().members {
        // Labels of the target, so that its rule of what is down carries it.
        let labels = [("group", group), ("kind", "postgres"), ("target", name.as_str())];
        frame
            .gauge(
                "holdfast_failover_member_misconfigured",
                "Whether supervision is refused by the member or by our own files, or its name resolves no more.",
            )
            .push(&labels, flag(noted.is_misconfigured(name)));
    }
    for member in &view.members {
        let labels = [("group", group), ("member", member.name.as_str())];
        if let Some(lag) = member.lag_bytes {
            frame
                .gauge("holdfast_failover_member_lag_bytes", "Behind the active member, bytes of the log.")
                .push(&labels, lag as f64);
        }
        frame
            .gauge(
                "holdfast_failover_needs_rejoin",
                "Whether the member was replaced and must be brought back by hand.",
            )
            .push(&labels, flag(member.needs_rejoin));
        let bypass = Name::new(member.name.clone())
            .ok()
            .and_then(|name| core.watch(&name)?.current().map(|facts| facts.bypass));
        if let Some(bypass) = bypass {
            frame
                .gauge("holdfast_failover_bypass_clients", "Sessions that did not come through the endpoint.")
                .push(&labels, f64::from(bypass));
        }
    }
    frame
}

/// Says what happened in the log and on the event stream.
pub fn tell(plan: &Plan, happening: &Happening) {
    let group = plan.name();
    let data = match happening {
        Happening::State { from, to, detail } => {
            tracing::info!(%group, from, to, detail, "failover");
            json!({ "group": group, "action": "state", "from": from, "to": to, "detail": detail })
        }
        Happening::Switched(last) => {
            tracing::warn!(%group, from = last.from, to = last.to, epoch = last.epoch, cause = last.cause, outage_ms = last.outage_ms, "failover: another member is active");
            (plan.raise)(news::switched(group.as_str(), last, plan.surroundings.clock.now()));
            json!({ "group": group, "action": "switched", "failover": last })
        }
        Happening::Refused(refusal) => {
            tracing::warn!(%group, code = refusal.code.word(), detail = refusal.detail, "failover refused");
            json!({ "group": group, "action": "refused", "refusal": refusal })
        }
        Happening::Superseded { member, detail } => {
            tracing::warn!(%group, %member, detail, "failover: a superseded member is writable");
            json!({ "group": group, "action": "superseded", "member": member, "detail": detail })
        }
        Happening::Rejoined { member } => {
            tracing::info!(%group, %member, "failover: the member follows again");
            json!({ "group": group, "action": "rejoined", "member": member })
        }
        Happening::Trouble { detail } => {
            tracing::warn!(%group, detail, "failover");
            json!({ "group": group, "action": "trouble", "detail": detail })
        }
    };
    plan.bus.publish(EventType::Failover, data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::failover::sighting::Failure;

    fn found(member: &Name, code: &str) -> Finding {
        let problem = format!("{code} is lacking");
        Finding {
            member: Some(member.to_string()),
            code: code.to_owned(),
            blocks: true,
            problem,
            sql: Vec::new(),
        }
    }

    #[test]
    fn grants_are_unknown_until_they_were_asked_for() {
        let (member, other) = (Name::new("pg1").unwrap(), Name::new("pg2").unwrap());
        let mut noted = Noted::default();
        assert_eq!((noted.grants(&member), noted.bar(&member)), (None, None));
        noted.checked(vec![found(&member, "wal_level"), found(&other, "history")], Vec::new());
        assert_eq!((noted.grants(&member), noted.grants(&other)), (Some(true), Some(false)));
        assert_eq!(noted.bar(&other), None);
        noted.checked(vec![found(&member, "promote"), found(&other, "unreadable")], Vec::new());
        assert_eq!((noted.grants(&member), noted.grants(&other)), (Some(false), None));
        assert_eq!(noted.bar(&member), Some("promote is lacking"));
    }

    #[test]
    fn the_command_that_rewinds_restores_only_where_that_is_set_up_and_is_quoted() {
        let member = Name::new("pg1").unwrap();
        let mut noted = Noted::default();
        noted.checked(Vec::new(), vec![(member.clone(), true)]);
        noted.checked(Vec::new(), Vec::new());
        assert!(noted.restoring.contains(&member), "kept while it cannot be asked");
        noted.checked(Vec::new(), vec![(member.clone(), false)]);
        assert!(!noted.restoring.contains(&member));
        let start = "pg_rewind --target-pgdata=\"$PGDATA\" --source-server=";
        let plain = format!("{start}'host=db port=5432 user=holdfast dbname=postgres' --write-recovery-conf");
        let source = member::source("db", 5432, "holdfast");
        assert_eq!(rewind_from(&source, false), plain);
        assert_eq!(rewind_from(&source, true), format!("{plain} --restore-target-wal"));
        // For libpq, and then for the shell.
        let odd = rewind_from(&member::source("db", 5432, "o'b c"), false);
        let wanted = format!(
            "{start}'host=db port=5432 user='\\''o\\'\\''b c'\\'' dbname=postgres' --write-recovery-conf"
        );
        assert_eq!(odd, wanted);
    }

    #[test]
    fn a_member_returns_once() {
        let member = Name::new("pg1").unwrap();
        let failed =
            || Sighting::Failed(Failure { class: FailureClass::Refused, detail: String::from("no") });
        let answered = || Sighting::Answered(facts());
        let mut noted = Noted::default();
        assert!(!noted.look(&member, &answered(), None), "it was not away");
        assert!(!noted.look(&member, &failed(), None) && !noted.look(&member, &failed(), None));
        assert!(noted.look(&member, &answered(), None));
        assert!(!noted.look(&member, &answered(), None));
    }

    fn facts() -> Facts {
        Facts {
            system_id: 7,
            version: 150_000,
            timeline: 1,
            ancestry: None,
            standing: Standing::Primary { lsn: Lsn(1), followers: Vec::new() },
            read_only: false,
            sync_names: String::new(),
            other_agent: false,
            manager: None,
            canary: None,
            bypass: 0,
        }
    }

    #[test]
    fn what_is_wrong_with_the_way_to_a_member_is_noted_until_it_is_gone() {
        let (member, other) = (Name::new("pg1").unwrap(), Name::new("pg2").unwrap());
        let failed = |class| Sighting::Failed(Failure { class, detail: String::from("no") });
        let mut noted = Noted::default();
        let dns = || Some(String::from("the last known address was used: no such name"));
        noted.look(&member, &failed(FailureClass::Silent), dns());
        assert!(noted.is_misconfigured(&member) && !noted.is_misconfigured(&other));
        assert_eq!(noted.beside(&member, None), dns());
        let both = noted.beside(&member, Some(String::from("it is silent")));
        assert_eq!(both.as_deref(), Some("it is silent; the last known address was used: no such name"));
        noted.look(&member, &failed(FailureClass::Configuration), None);
        assert!(noted.is_misconfigured(&member) && noted.beside(&member, None).is_none());
        noted.look(&member, &failed(FailureClass::Refused), None);
        assert!(!noted.is_misconfigured(&member));
    }
}
