//! From nothing, or from what was remembered, to a head that was seen; and when to look.
//!
//! Nothing is routed before. A remembered head must be writable, of the same history,
//! and nobody may be further: a store that was restored from a backup remembers an old
//! head. Without memory the head is the one writable member, once every member has
//! answered (a superseded primary looks like a primary when it is all one sees), or the
//! one that standbys follow.

use std::time::Duration;

use super::core::Core;
use super::event::{Effect, Sealed};
use super::evidence::Verdict;
use super::watch::Watch;
use super::work::After;
use crate::base::id::Name;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::failover::durable::{Head, LineageEntry};
use crate::model::failover::group::RefusalCode;
use crate::model::failover::sighting::{FailureClass, Sighting, Standing};

/// Between two looks while something is not as it should be.
const CLOSE: Duration = Duration::from_millis(250);
/// Between two looks at a member whose port answers that nobody is there.
const QUICK: Duration = Duration::from_millis(100);
/// After so long without an answer, quick looks are no longer worth it.
const QUICK_FOR: Duration = Duration::from_secs(15);
/// A fresh connection is tried so often; a hung postmaster still serves old ones.
const FRESH: Duration = Duration::from_secs(10);
/// A canary on a primary whose log does not move by itself: at rest, and in doubt.
const CANARY: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(5));
/// Supervision is off: looks are for show.
const SLOW: u32 = 10;

impl Core {
    pub(super) fn seen(
        &mut self,
        member: &Name,
        asked: Monotonic,
        now: Monotonic,
        sighting: Sighting,
        conninfo: Option<Sealed>,
        out: &mut Vec<Effect>,
    ) {
        let void = self.void;
        let Some(watch) = self.watches.get_mut(member) else { return };
        if conninfo.is_some() {
            // Told once, when it changed: not even a look that is void may lose it.
            watch.conninfo = conninfo;
        }
        // The look that was to carry a canary was replaced by another, or failed: ask again.
        let carried = matches!(&sighting, Sighting::Answered(facts) if facts.canary.is_some());
        if !carried && watch.canary_asked.is_some_and(|wanted| asked >= wanted) {
            watch.canary_asked = None;
        }
        watch.take(asked, now, void, sighting);
        let look = self.next_look(member, asked, now);
        out.push(look);
        let first = self.watches.get(member).is_some_and(|watch| watch.failed == 1);
        if first && self.is_head(member) {
            // What the standbys see decides.
            self.look_at_all(out);
        }
    }

    fn is_head(&self, member: &Name) -> bool {
        self.durable.head.as_ref().is_some_and(|head| head.member == *member)
    }

    fn next_look(&mut self, member: &Name, asked: Monotonic, now: Monotonic) -> Effect {
        let mut interval = self.settings.interval;
        if self.is_disabled() {
            interval *= SLOW;
        }
        let busy = self.durable.operation.is_some() || !self.verified || self.is_unsettled();
        let doubt = busy || !matches!(self.verdict(now), Verdict::Healthy);
        let is_head = self.is_head(member);
        let Some(watch) = self.watches.get_mut(member) else {
            return Effect::Look { member: member.clone(), after: interval, fresh: true, canary: false };
        };
        let took = now.since(asked);
        let fails = !watch.failures.is_empty();
        let young = watch.first_failure().is_some_and(|first| now.since(first.asked) < QUICK_FOR);
        let timed_out = took >= self.settings.timeout.mul_f64(0.9);
        let after = match watch.last_class() {
            Some(FailureClass::Silent | FailureClass::Unreachable) if timed_out && is_head => Duration::ZERO,
            Some(_) if is_head && young => QUICK,
            Some(_) if is_head => CLOSE,
            _ if doubt => CLOSE,
            _ => interval.saturating_sub(took),
        };
        let fresh = fails || watch.fresh.is_none_or(|at| now.since(at) >= FRESH);
        if fresh {
            watch.fresh = Some(now);
        }
        let every = if watch.canary_failed.is_some() { CANARY.1 } else { CANARY.0 };
        let moved = watch.moved.max(watch.canary_ok).max(watch.canary_failed).unwrap_or(self.started);
        let canary = is_head && !fails && now.since(moved.max(watch.canary_asked.unwrap_or(moved))) >= every;
        if canary {
            watch.canary_asked = Some(now);
        }
        Effect::Look { member: member.clone(), after, fresh, canary }
    }

    /// Something is being put right.
    fn is_unsettled(&self) -> bool {
        self.durable.members.iter().any(|(member, memory)| {
            let answers = self.watches.get(member).is_some_and(|watch| watch.failures.is_empty());
            answers && (memory.cut.is_some() || (memory.fence.is_some() && memory.superseded.is_none()))
        })
    }

    /// The end of the time for which nothing happens by itself.
    pub(super) fn next_wake(&self, now: Monotonic) -> Monotonic {
        // Looks come at every interval; this is for when they do not, and it says how
        // late is late.
        let regular = Monotonic(now.0 + self.settings.interval);
        match self.work {
            super::work::Work::Waiting { until } => until.min(regular),
            _ => regular,
        }
    }

    /// `true` while nothing may be decided on what is known of the head.
    pub(super) fn observe(&mut self, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) -> bool {
        if !self.watches.values().all(|watch| watch.looked_since(self.started)) {
            return true;
        }
        let head = self.durable.head.clone().filter(|head| self.settings.members.contains(&head.member));
        let Some(head) = head else {
            self.enrol(now, wall, out);
            return true;
        };
        let Some(watch) = self.watches.get(&head.member) else { return true };
        let Some(facts) = watch.current() else { return false };
        if facts.system_id != head.system_id && self.is_another_cluster(&head) {
            if self.accepted {
                self.enrol(now, wall, out);
                return true;
            }
            let text = format!(
                "no member is of the cluster that the group remembers (system identifier {}); `resume` takes them as they are",
                head.system_id
            );
            self.refuse((RefusalCode::SystemId, text), wall, out);
            return false;
        }
        if !facts.is_primary() || self.not_head(watch).is_some() {
            return false;
        }
        let own = self.durable.members.get(&head.member).and_then(|memory| memory.fence.as_ref());
        // One of ours may be of any epoch up to now: operations that were given up repeat it.
        let foreign = facts.fence().is_some_and(|epoch| own.is_none() || epoch > self.durable.epoch);
        if foreign || self.anyone_further(&head) {
            // Superseded in a time that was forgotten; whoever is further is adopted.
            return false;
        }
        self.verified = true;
        self.suspect = None;
        false
    }

    /// Every member answers, and none is what the group was made of: its servers were made
    /// anew, or a group of its name was removed before. Nobody but an operator can tell that
    /// from an address that leads astray.
    fn is_another_cluster(&self, head: &Head) -> bool {
        self.watches
            .values()
            .all(|watch| watch.current().is_some_and(|facts| facts.system_id != head.system_id))
    }

    /// A member on a timeline that came after the head's, and was not found to be a rival
    /// of the head already.
    fn anyone_further(&self, head: &Head) -> bool {
        let superseded = |member: &Name| {
            self.durable.members.get(member).is_some_and(|memory| memory.superseded.is_some())
        };
        let of = |watch: &Watch| {
            watch.last_facts().filter(|facts| facts.system_id == head.system_id).map(|facts| facts.timeline)
        };
        // Standbys may follow such a rival.
        let rivals = self.standbys().filter(|(member, _)| superseded(member));
        let known = rivals.filter_map(|(_, watch)| of(watch)).max().unwrap_or(0).max(head.timeline);
        !self.is_switch()
            && self.standbys().any(|(_, watch)| of(watch).is_some_and(|timeline| timeline > known))
    }

    /// The first head of a group, or of a group whose memory is gone.
    fn enrol(&mut self, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        if !self.watches.values().all(|watch| watch.current().is_some()) && !self.enough(now) {
            return;
        }
        let switch = self.is_switch();
        let mut writable: Vec<_> = self
            .settings
            .members
            .iter()
            .filter_map(|member| Some((member, self.watches.get(member)?.current()?)))
            .filter(|(_, facts)| {
                facts.is_primary() && facts.fence().is_none() && !(switch && facts.read_only)
            })
            .collect();
        if !switch {
            let furthest = self.watches.values().filter_map(|watch| Some(watch.last_facts()?.timeline)).max();
            writable.retain(|(_, facts)| Some(facts.timeline) == furthest);
            if writable.len() > 1 {
                return;
            }
        }
        let Some((member, facts)) = writable.first() else { return };
        let head = Head {
            member: (*member).clone(),
            system_id: facts.system_id,
            timeline: facts.timeline,
            forked: facts.ancestry.as_ref().and_then(|ancestry| ancestry.last().copied()),
        };
        // Fences on the servers tell of epochs that were forgotten here.
        let fences = self.watches.values().filter_map(|watch| watch.last_facts()?.fence()).max();
        let mut durable = self.durable.clone();
        if durable.head.take().is_some_and(|before| before.system_id != head.system_id) {
            // Of other servers, under the same names.
            durable.members.clear();
            (durable.quorum, durable.sync_wish) = (None, None);
        }
        durable.epoch = durable.epoch.max(fences.unwrap_or(0)) + 1;
        durable.lineage.push(LineageEntry { epoch: durable.epoch, head: head.clone(), at: wall });
        let text = format!("{} is the head, on timeline {}", head.member, head.timeline);
        let entry = Self::entry(durable.epoch, "enrolled", text, wall);
        durable.head = Some(head);
        self.stage(durable, vec![entry], After::Nothing, out);
    }

    /// Not everybody answers, and still it is clear: a standby streams from a primary, or
    /// an operator said so, or the members have nothing to do with each other.
    fn enough(&self, now: Monotonic) -> bool {
        let followed = self.watches.values().any(|watch| {
            let followers = watch.current().map(|facts| &facts.standing);
            matches!(followers, Some(Standing::Primary { followers, .. })
                if followers.iter().any(|follower| follower.streaming))
        });
        let patient = self.settings.switch && now.since(self.started) >= Duration::from_secs(5);
        followed || self.accepted || patient
    }
}
