//! J6: from a promoted candidate to the group's head, and what makes a head.

use super::core::{AGAIN, Core};
use super::event::{Effect, Happening};
use super::evidence::Verdict;
use super::quorum::SyncNames;
use super::watch::Watch;
use super::work::{After, Work};
use crate::base::id::Name;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::failover::durable::{
    Durable, FenceMemory, Head, JournalEntry, LineageEntry, MemberMemory, Operation, OperationKind, SyncWish,
};
use crate::model::failover::group::{LastFailover, LossBasis, RefusalCode};
use crate::model::failover::lsn::{Fork, Lsn};
use crate::model::failover::sighting::Facts;

/// Heads and failovers remembered.
const LINEAGE: usize = 64;
const FAILOVERS: usize = 8;

impl Core {
    #[expect(clippy::too_many_arguments, reason = "the parts of one answer")]
    pub(super) fn verify(
        &mut self,
        member: &Name,
        system_id: u64,
        timeline: u32,
        ancestry: &[Fork],
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(operation) = self.durable.operation.clone() else { return };
        let forked = ancestry.last().copied();
        if !self.is_switch()
            && let Some(from) = &operation.from
        {
            let wrong = if system_id != from.system_id {
                Some(format!("it is of another cluster ({system_id})"))
            } else if timeline <= from.timeline {
                Some(format!("it is on timeline {timeline}, expected one after {}", from.timeline))
            } else {
                forked.and_then(|fork| wrong_fork(fork, from.timeline, &operation, member))
            };
            if let Some(wrong) = wrong {
                self.refuse((RefusalCode::Lineage, format!("{member}: {wrong}")), wall, out);
                self.work = Work::Waiting { until: Monotonic(now.0 + AGAIN * 4) };
                return;
            }
        }
        let head = Head { member: member.clone(), system_id, timeline, forked };
        self.stage_head(head, Some(operation), "route", wall, out);
    }

    /// J6: `head` is the group's head from now on.
    pub(super) fn stage_head(
        &mut self,
        head: Head,
        operation: Option<Operation>,
        step: &str,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let mut durable = self.durable.clone();
        if operation.is_none() {
            durable.epoch += 1;
        }
        let epoch = durable.epoch;
        let from = durable.head.take().filter(|old| old.member != head.member);
        for memory in durable.members.values_mut() {
            memory.attached = false;
        }
        if let Some(from) = &from {
            durable.members.entry(from.member.clone()).or_default().superseded = Some(epoch);
        }
        let former =
            from.as_ref().filter(|_| operation.is_some()).map(|from| self.former_names(&from.member));
        let fenced = durable.members.remove(&head.member).is_some_and(|memory| memory.fence.is_some());
        if fenced {
            // It took over with a fence on; the names it waited for were those of another role.
            let fence = Some(FenceMemory { epoch, sync_names: String::new() });
            durable.members.insert(head.member.clone(), MemberMemory { fence, ..MemberMemory::default() });
        }
        remember_sync(&mut durable, former, &head.member, out);
        if let Some(operation) = &operation {
            if operation.kind == OperationKind::Failover {
                durable.failovers.push(wall);
                let excess = durable.failovers.len().saturating_sub(FAILOVERS);
                durable.failovers.drain(..excess);
            }
            durable.last = Some(self.last_failover(&head, operation, wall));
        }
        durable.operation = None;
        durable.down = None;
        let text = match head.forked {
            Some(fork) => format!(
                "{} on timeline {}, which left {} at {}",
                head.member, head.timeline, fork.timeline, fork.at
            ),
            None => format!("{} on timeline {}", head.member, head.timeline),
        };
        durable.lineage.push(LineageEntry { epoch, head: head.clone(), at: wall });
        let excess = durable.lineage.len().saturating_sub(LINEAGE);
        durable.lineage.drain(..excess);
        durable.head = Some(head);
        self.stage(durable, vec![Self::entry(epoch, step, text, wall)], After::Routed, out);
    }

    /// What its commits waited for, before any fence.
    fn former_names(&self, member: &Name) -> String {
        let fence = self.durable.members.get(member).and_then(|memory| memory.fence.as_ref());
        let seen = self.watches.get(member).and_then(Watch::last_facts);
        let seen = seen.filter(|facts| facts.fence().is_none()).map(|facts| facts.sync_names.clone());
        fence.map(|fence| fence.sync_names.clone()).or(seen).unwrap_or_default()
    }

    fn last_failover(&self, head: &Head, operation: &Operation, wall: Timestamp) -> LastFailover {
        let diverged = self.is_switch();
        let nothing = operation.kind == OperationKind::Switchover || (self.is_sync() && !operation.forced);
        // A standby that was cut and not chosen may hold more than the old primary was seen to have.
        let seen = self.furthest_cut(operation);
        let held = head.forked.map_or(operation.intent, |fork| fork.at.max(operation.intent));
        let (lost, basis) = match operation.reach {
            _ if diverged => (None, LossBasis::Estimated),
            _ if nothing => (Some(0), LossBasis::Excluded),
            reach => (reach.map(|reach| reach.max(seen).since(held)), LossBasis::Estimated),
        };
        LastFailover {
            from: operation.from.as_ref().map(|from| from.member.to_string()),
            to: head.member.to_string(),
            cause: operation.cause.clone(),
            by_operator: operation.kind != OperationKind::Failover,
            epoch: self.durable.epoch,
            started_at: operation.started,
            outage_ms: operation.noticed_ms + wall.since(operation.started).as_millis() as u64,
            lost_bytes_bound: lost,
            lost_bytes_basis: basis,
            diverged,
        }
    }

    /// The last position that the head was seen to have, and how far it may have come until now,
    /// when the route goes, and while that is written.
    pub(super) fn reach(&self, now: Monotonic) -> (Option<Lsn>, Option<Lsn>) {
        let facts = self.head_watch().and_then(|watch| watch.facts.as_ref());
        // What a standby was seen to have, the primary had.
        let timeline = self.durable.head.as_ref().map(|head| head.timeline);
        let received = self
            .standbys()
            .filter(|(member, _)| self.is_attached(member))
            .filter_map(|(_, watch)| watch.last_facts())
            .filter(|facts| !facts.is_primary() && Some(facts.timeline) == timeline)
            .map(Facts::lsn)
            .max();
        let last_lsn = facts.map(|(_, facts)| facts.lsn().max(received.unwrap_or_default()));
        let reach = facts.zip(last_lsn).zip(self.head_watch()).filter(|(_, watch)| watch.paced).map(
            |(((asked, _), last), watch)| {
                let unseen = now.since(*asked) + self.settings.timeout;
                Lsn(last.0.saturating_add((watch.pace * unseen.as_secs_f64()) as u64))
            },
        );
        (last_lsn, reach)
    }

    /// The beginning is written, and the route goes: later than it was meant to, if the disk was slow.
    pub(super) fn reach_further(&mut self, now: Monotonic) {
        let (last, reach) = self.reach(now);
        let Some(operation) = &mut self.durable.operation else { return };
        if operation.kind != OperationKind::Switchover {
            // Written with the next commit.
            operation.last_lsn = operation.last_lsn.max(last);
            operation.reach = operation.reach.max(reach);
        }
    }

    /// What was lost, in place of the estimate: the old primary is back and fenced, so its log
    /// ends where it ends. `None` where there is nothing to measure, or it is known already.
    pub(super) fn measure(
        &self,
        member: &Name,
        facts: &Facts,
        wall: Timestamp,
    ) -> Option<(Durable, JournalEntry)> {
        let last = self.durable.last.as_ref()?;
        let of_this = last.from.as_deref() == Some(member.as_str()) && last.epoch == self.head_since();
        if !of_this || last.diverged || last.lost_bytes_basis != LossBasis::Estimated {
            return None;
        }
        let fork = self.durable.head.as_ref()?.forked.filter(|fork| fork.timeline == facts.timeline)?;
        let lost = facts.lsn().since(fork.at);
        let mut durable = self.durable.clone();
        let last = durable.last.as_mut()?;
        (last.lost_bytes_bound, last.lost_bytes_basis) = (Some(lost), LossBasis::Measured);
        let text = format!("{member} came back with {lost} bytes of the log that no other member has");
        Some((durable, Self::entry(self.durable.epoch, "measured", text, wall)))
    }

    /// Of the facts of the head's member: why it is not the head any more.
    pub(super) fn not_head(&self, watch: &Watch) -> Option<String> {
        let head = self.durable.head.as_ref()?;
        let facts = watch.last_facts()?;
        let member = &head.member;
        if facts.system_id != head.system_id {
            return Some(format!(
                "{member} is of another cluster now: system identifier {}, expected {}",
                facts.system_id, head.system_id
            ));
        }
        if self.is_switch() {
            return None;
        }
        if facts.timeline != head.timeline {
            return Some(format!("{member} is on timeline {}, expected {}", facts.timeline, head.timeline));
        }
        let fork = facts.ancestry.as_ref().and_then(|ancestry| ancestry.last());
        if let (Some(expected), Some(fork)) = (head.forked, fork)
            && *fork != expected
        {
            return Some(format!(
                "{member} came to timeline {} by another promotion (at {}, expected {})",
                facts.timeline, fork.at, expected.at
            ));
        }
        None
    }

    /// Whether the verdict lets the members be changed on the agent's own account.
    pub(super) fn is_quiet(&self, now: Monotonic) -> bool {
        matches!(self.verdict(now), Verdict::Healthy | Verdict::NotWritable(_))
    }
}

/// What synchronous replication is to be built up to again; `former` is the setting of the old head.
fn remember_sync(durable: &mut Durable, former: Option<String>, head: &Name, out: &mut Vec<Effect>) {
    let wish =
        |text: &str| SyncNames::parse(text).map(|names| SyncWish { any: names.any, quorum: names.quorum });
    if let Some(quorum) = durable.quorum.take() {
        durable.sync_wish = wish(&quorum.text).or(durable.sync_wish.take());
        return;
    }
    let Some(former) = former.filter(|text| !text.trim().is_empty()) else { return };
    // Everybody, or somebody who is no member: the candidate waits for nobody at first.
    durable.sync_wish = wish(&former).or(durable.sync_wish.take());
    let detail = format!(
        "synchronous_standby_names was `{former}`, which does not list members alone: it is empty on \
         {head} and then lists the members that stream from it"
    );
    out.push(Effect::Tell(Happening::Trouble { detail }));
}

/// The new timeline must leave the old one where the candidate was, and not before what it had
/// replayed. It may be after what it had received: it may have restored the last archived
/// segment since, which is the old primary's log as well.
fn wrong_fork(fork: Fork, timeline: u32, operation: &Operation, member: &Name) -> Option<String> {
    if fork.timeline != timeline {
        return Some(format!("its timeline left {}, expected {timeline}", fork.timeline));
    }
    let replayed = operation.cut.iter().find(|cut| cut.member == *member).map_or(Lsn(0), |cut| cut.replayed);
    (fork.at < replayed)
        .then(|| format!("its timeline left {timeline} at {}, expected {replayed} or later", fork.at))
}
