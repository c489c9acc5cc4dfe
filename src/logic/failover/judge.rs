//! Who may take over, and what forbids it.
//!
//! The checks before J1 leave everything as it is. Only the quorum and the lag can be
//! judged after the cut alone, because only then nothing moves any more; what they
//! refuse is undone.

use std::time::Duration;

use super::Core;
use super::quorum::SyncNames;
use super::watch::Watch;
use super::work::Purpose;
use crate::base::id::Name;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::failover::durable::{CutStandby, Operation, Quorum};
use crate::model::failover::group::{Mode, Refusal, RefusalCode, Tier};
use crate::model::failover::lsn::Lsn;
use crate::model::failover::sighting::{Facts, Standing};

/// The day of `max_per_day`.
const DAY: Duration = Duration::from_secs(86_400);
/// A switchover waits for the candidate; this is how far it may be behind to begin, bytes.
pub const SWITCHOVER_LAG: u64 = 16 << 20;

/// A reason without its time.
pub type No = (RefusalCode, String);

impl Core {
    /// Independent databases: said so, or every member is of another cluster and always was.
    pub fn is_switch(&self) -> bool {
        if self.settings.switch {
            return true;
        }
        if self.settings.sync || self.settings.fenced || self.watches.len() < 2 || self.was_one_cluster() {
            return false;
        }
        let mut ids: Vec<_> =
            self.watches.values().filter_map(|watch| Some(watch.last_facts()?.system_id)).collect();
        let known = ids.len();
        ids.sort_unstable();
        ids.dedup();
        known == self.watches.len() && ids.len() == known
    }

    /// One member has followed another. Whoever is of another cluster since then was set up
    /// anew, and an empty database must not take over from one that had standbys.
    fn was_one_cluster(&self) -> bool {
        let inherited = self.durable.lineage.windows(2).any(|pair| {
            pair[0].head.system_id == pair[1].head.system_id && pair[0].head.member != pair[1].head.member
        });
        inherited || self.durable.members.values().any(|memory| memory.attached)
    }

    /// Members that are not the head, in the order of their priority.
    pub fn standbys(&self) -> impl Iterator<Item = (&Name, &Watch)> {
        let head = self.durable.head.as_ref().map(|head| &head.member);
        self.settings
            .members
            .iter()
            .filter(move |member| Some(*member) != head)
            .filter_map(|member| Some((member, self.watches.get(member)?)))
    }

    /// The synchronous setting of the head with the members it names. The outer `None`:
    /// cannot be told now; the inner: commits wait for nobody we could count on.
    pub fn seen_quorum(&self) -> Option<Option<Quorum>> {
        let head = self.head_watch()?.current()?;
        if head.fence().is_some() {
            return None;
        }
        let Some(names) = SyncNames::parse(&head.sync_names) else { return Some(None) };
        if names.is_everybody() || names.names.len() < names.quorum as usize {
            return Some(None);
        }
        let mut members = Vec::new();
        for listed in &names.names {
            let called = |watch: &Watch| {
                watch.application_name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(listed))
            };
            let mut named = self.standbys().filter(|(_, watch)| called(watch));
            match (named.next(), named.next()) {
                (Some((member, _)), None) => members.push(member.clone()),
                // It may be the name of a member that was not seen yet.
                (None, _) if self.standbys().any(|(_, watch)| watch.application_name.is_none()) => {
                    return None;
                }
                _ => return Some(None),
            }
        }
        members.sort();
        members.dedup();
        if members.len() < names.names.len() {
            return Some(None);
        }
        let must_cut = u32::try_from(names.must_cut()).unwrap_or(u32::MAX);
        Some(Some(Quorum { text: head.sync_names.clone(), members, must_cut }))
    }

    /// Commits wait for synchronous standbys of which too few are there.
    pub fn is_sync_blocked(&self) -> bool {
        let Some(head) = self.head_watch().and_then(Watch::current) else { return false };
        let Standing::Primary { followers, .. } = &head.standing else { return false };
        let Some(names) = SyncNames::parse(&head.sync_names) else { return false };
        let there = followers.iter().filter(|follower| follower.streaming && follower.sync).count();
        head.fence().is_none() && there < names.quorum as usize
    }

    /// What a failover would guarantee now.
    pub fn tier(&self) -> Tier {
        if self.is_switch() {
            return if self.standbys().any(|(_, watch)| watch.current().is_some()) {
                Tier::Switch
            } else {
                Tier::None
            };
        }
        if self.only_follows() || self.would_promote().is_err() {
            return Tier::None;
        }
        let cut_off = self.settings.fenced && self.settings.fence_hook;
        match self.durable.quorum {
            _ if cut_off => Tier::Fenced,
            Some(_) => Tier::Sync,
            None => Tier::Async,
        }
    }

    /// Whether losing commits is excluded without looking at the lag.
    pub fn is_sync(&self) -> bool {
        self.durable.quorum.is_some()
    }

    /// The member that a failover would promote now, before any cut.
    ///
    /// # Errors
    /// Why nobody would be.
    pub fn would_promote(&self) -> Result<(Name, Lsn), No> {
        let mut best: Option<(Name, Lsn)> = None;
        let mut worst: Option<No> = None;
        for (member, watch) in self.standbys() {
            match self.eligible(member, watch) {
                Ok(lsn) => {
                    if best.as_ref().is_none_or(|(_, most)| lsn > *most) {
                        best = Some((member.clone(), lsn));
                    }
                }
                Err(no) => {
                    if worst.as_ref().is_none_or(|(code, _)| no.0 < *code) {
                        worst = Some(no);
                    }
                }
            }
        }
        best.ok_or_else(|| {
            worst.unwrap_or((RefusalCode::NoCandidate, String::from("the group has no other member")))
        })
    }

    /// Every other member, with its position or why it may not take over.
    pub fn candidates(&self) -> Vec<(Name, Result<Lsn, No>)> {
        self.standbys().map(|(member, watch)| (member.clone(), self.eligible(member, watch))).collect()
    }

    /// Its position, when it may take over.
    fn eligible(&self, member: &Name, watch: &Watch) -> Result<Lsn, No> {
        let Some(facts) = watch.current() else {
            let why = watch.failures.last().map_or("not seen yet", |failed| failed.failure.detail.as_str());
            return Err((RefusalCode::NoCandidate, format!("{member} does not answer: {why}")));
        };
        if self.is_switch() {
            return self.eligible_to_switch(member, facts);
        }
        self.of_the_lineage(member, facts)?;
        let Standing::Standby { delayed, .. } = facts.standing else {
            return Err((RefusalCode::Lineage, format!("{member} is writable, and not the head")));
        };
        // The hook may stop and rewind it at any moment.
        if self.is_calling(member, Purpose::Rejoin) {
            return Err((RefusalCode::NoCandidate, format!("the rejoin hook still works on {member}")));
        }
        if delayed {
            let text = format!("{member} delays or pauses its replay");
            return Err((RefusalCode::NoCandidate, text));
        }
        if !self.durable.members.get(member).is_some_and(|memory| memory.attached) {
            let text = format!("{member} was never seen to stream from the head and to catch up");
            return Err((RefusalCode::NotAttached, text));
        }
        Ok(facts.lsn())
    }

    fn eligible_to_switch(&self, member: &Name, facts: &Facts) -> Result<Lsn, No> {
        let superseded = self.durable.members.get(member).and_then(|memory| memory.superseded);
        if let Some(epoch) = superseded {
            let text = format!("{member} was left in epoch {epoch} and has not been taken back");
            return Err((RefusalCode::NoCandidate, text));
        }
        if !facts.is_primary() || facts.read_only || facts.canary == Some(false) {
            return Err((RefusalCode::NoCandidate, format!("{member} is not writable")));
        }
        Ok(Lsn(0))
    }

    /// Of the head's cluster and on its timeline.
    fn of_the_lineage(&self, member: &Name, facts: &Facts) -> Result<(), No> {
        let Some(head) = &self.durable.head else {
            return Err((RefusalCode::Lineage, String::from("no primary is known yet")));
        };
        if facts.system_id != head.system_id {
            let text = format!(
                "{member} is of another cluster (system identifier {}, the head has {})",
                facts.system_id, head.system_id
            );
            return Err((RefusalCode::SystemId, text));
        }
        if facts.timeline != head.timeline {
            let text =
                format!("{member} is on timeline {}, the head is on {}", facts.timeline, head.timeline);
            return Err((RefusalCode::Lineage, text));
        }
        if let (Some(fork), Some(ancestry)) = (head.forked, &facts.ancestry)
            && ancestry.last().is_some_and(|last| *last != fork)
        {
            let text = format!("{member} came to timeline {} by another promotion", facts.timeline);
            return Err((RefusalCode::Lineage, text));
        }
        Ok(())
    }

    /// Who else changes the members, in words. Two that do undo each other's work, so while
    /// there is one the group only follows the primary.
    pub fn other_hand(&self) -> Option<String> {
        self.watches.iter().find_map(|(member, watch)| {
            let facts = watch.last_facts()?;
            if facts.other_agent {
                return Some(format!("another agent supervises {member}"));
            }
            facts.manager.as_ref().map(|manager| format!("{manager} manages {member}"))
        })
    }

    /// Whether the group follows whoever is the primary and changes no server.
    pub(super) fn only_follows(&self) -> bool {
        self.settings.mode == Mode::Router || self.other_hand().is_some()
    }

    /// What forbids to begin. The order is that of the codes.
    pub fn judge_before(&self, asked_for: bool, now: Monotonic, wall: Timestamp) -> Result<(), No> {
        if self.is_disabled() {
            return Err((RefusalCode::Paused, String::from("supervision is off")));
        }
        if self.is_paused(wall) {
            return Err((RefusalCode::Paused, String::from("the group is paused")));
        }
        match self.settings.mode {
            Mode::Router => {
                let text = String::from("the group only follows the primary and changes no server");
                return Err((RefusalCode::Manual, text));
            }
            Mode::Manual if !asked_for => {
                return Err((RefusalCode::Manual, String::from("the group waits for an operator")));
            }
            _ => {}
        }
        if let Some(text) = self.other_hand() {
            return Err((RefusalCode::AnotherAgent, text));
        }
        if !asked_for {
            self.judge_cooldown(now, wall)?;
        }
        self.judge_path(now)?;
        self.would_promote().map(drop)
    }

    fn judge_cooldown(&self, now: Monotonic, wall: Timestamp) -> Result<(), No> {
        // A clock that was set back must not make the wait longer than it is: no failover is
        // younger than the newest head, or than this run.
        let ago = |at: &Timestamp| wall.since(*at).max(now.since(self.settled));
        let done = &self.durable.failovers;
        if let Some(last) = done.last().map(ago)
            && last < self.settings.cooldown
        {
            let left = (self.settings.cooldown - last).as_secs();
            return Err((
                RefusalCode::Cooldown,
                format!("the last failover was {} s ago, {left} s to wait", last.as_secs()),
            ));
        }
        let today = done.iter().filter(|at| ago(at) < DAY).count();
        if today >= self.settings.max_per_day as usize {
            let text = format!("{today} failovers within a day (`max_per_day`), an operator must decide");
            return Err((RefusalCode::Cooldown, text));
        }
        Ok(())
    }

    fn judge_path(&self, now: Monotonic) -> Result<(), No> {
        let super::Verdict::Path(since) = self.verdict(now) else { return Ok(()) };
        let held = now.since(since);
        if held < self.settings.path_hold {
            let text = format!("a standby still receives from it, held for {} s", held.as_secs());
            return Err((RefusalCode::PathHold, text));
        }
        if self.is_sync() || self.settings.fenced || self.settings.allow_path_failover {
            return Ok(());
        }
        let text = String::from("a standby still receives from it: only we cannot reach it");
        Err((RefusalCode::PathHold, text))
    }

    /// After the cut: the candidate.
    ///
    /// # Errors
    /// Why nobody may be promoted; nothing was, so the cut can be undone.
    pub fn choose(&self, operation: &Operation) -> Result<CutStandby, No> {
        if operation.cut.is_empty() {
            let text = String::from("no standby could be stopped from following the old primary");
            return Err((RefusalCode::NoCandidate, text));
        }
        if let Some(quorum) = &self.durable.quorum
            && !operation.forced
        {
            let cut = operation.cut.iter().filter(|cut| quorum.members.contains(&cut.member)).count();
            if cut < quorum.must_cut as usize {
                let text = format!(
                    "{cut} of the {} synchronous standbys are cut off, {} must be",
                    quorum.members.len(),
                    quorum.must_cut
                );
                return Err((RefusalCode::Quorum, text));
            }
        }
        self.best_of(operation)
    }

    fn best_of(&self, operation: &Operation) -> Result<CutStandby, No> {
        let mut why = None;
        let mut best: Option<&CutStandby> = None;
        for member in &self.settings.members {
            let Some(cut) = operation.cut.iter().find(|cut| cut.member == *member) else { continue };
            if operation.to.as_ref().is_some_and(|to| to != member) {
                continue;
            }
            let fit =
                self.watches.get(member).ok_or((RefusalCode::NoCandidate, String::from("not a member")));
            let fit = fit.and_then(|watch| self.eligible_cut(member, watch, cut));
            match fit {
                Ok(()) if best.is_none_or(|best| at(cut) > at(best)) => best = Some(cut),
                Ok(()) => {}
                Err(no) => why = Some(no),
            }
        }
        let Some(best) = best else {
            let nobody = || {
                (RefusalCode::NoCandidate, String::from("none of the standbys that were cut may take over"))
            };
            return Err(why.unwrap_or_else(nobody));
        };
        if operation.forced {
            return Ok(best.clone());
        }
        if self.is_sync() {
            // Only the one that holds the most holds every acknowledged commit for certain.
            let most = self.most_acknowledged(operation);
            if at(best) < most {
                let text = format!("{} lacks {} bytes of the log", best.member, most.since(at(best)));
                return Err((RefusalCode::LagExceeded, text));
            }
            return Ok(best.clone());
        }
        if self.settings.sync {
            let text =
                String::from("`tier` is sync, and the head's synchronous standbys are not all members");
            return Err((RefusalCode::Quorum, text));
        }
        // Of the primary, as far as it was seen, or of a standby that an operator did not name.
        let most = self.furthest_cut(operation).max(operation.last_lsn.unwrap_or_default());
        let lag = most.since(at(best));
        if lag > self.settings.max_lag {
            let text = format!(
                "{} lacks {lag} bytes of the log, more than `max_lag` ({} bytes)",
                best.member, self.settings.max_lag
            );
            return Err((RefusalCode::LagExceeded, text));
        }
        Ok(best.clone())
    }

    /// How much of the head's log those hold that a commit waited for. What others hold beyond
    /// was never acknowledged, and a position of another history or cluster compares with nothing.
    fn most_acknowledged(&self, operation: &Operation) -> Lsn {
        let Some(from) = &operation.from else { return Lsn::default() };
        let waited_for = |cut: &&CutStandby| {
            let facts = self.watches.get(&cut.member).and_then(Watch::last_facts);
            let listed =
                self.durable.quorum.as_ref().is_some_and(|quorum| quorum.members.contains(&cut.member));
            let same = facts.is_none_or(|facts| facts.system_id == from.system_id);
            listed && same && cut.timeline == from.timeline
        };
        operation.cut.iter().filter(waited_for).map(at).max().unwrap_or_default()
    }

    /// How much of the head's log the standbys hold that were cut.
    pub(super) fn furthest_cut(&self, operation: &Operation) -> Lsn {
        let timeline = operation.from.as_ref().map(|from| from.timeline);
        let own = |cut: &&CutStandby| Some(cut.timeline) == timeline && self.is_attached(&cut.member);
        operation.cut.iter().filter(own).map(at).max().unwrap_or_default()
    }

    /// As [`Core::would_promote`] judges, of what the cut showed.
    fn eligible_cut(&self, member: &Name, watch: &Watch, cut: &CutStandby) -> Result<(), No> {
        let Some(facts) = watch.last_facts() else {
            return Err((RefusalCode::NoCandidate, format!("{member} was never seen")));
        };
        let mut facts = facts.clone();
        facts.timeline = cut.timeline;
        self.of_the_lineage(member, &facts)?;
        if matches!(facts.standing, Standing::Standby { delayed: true, .. }) {
            return Err((RefusalCode::NoCandidate, format!("{member} delays or pauses its replay")));
        }
        if !self.durable.members.get(member).is_some_and(|memory| memory.attached) {
            let text = format!("{member} was never seen to stream from the head and to catch up");
            return Err((RefusalCode::NotAttached, text));
        }
        Ok(())
    }

    pub fn refusal(no: No, at: Timestamp) -> Refusal {
        Refusal { code: no.0, detail: no.1, at }
    }
}

/// How much of the log a standby holds.
pub fn at(cut: &CutStandby) -> Lsn {
    cut.received.max(cut.replayed)
}
