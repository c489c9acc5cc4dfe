//! What is put right while no operation runs.
//!
//! Each pass stages at most one commit; calls follow the commit that allows them and
//! are repeated until the looks show that they worked, so a crash between the two costs
//! one more call and nothing else.
//!
//! | seen | done |
//! |---|---|
//! | the synchronous setting of the head changed | remembered, for the quorum |
//! | a standby streams from the head and has replayed what the head had | attached; its fence is taken off |
//! | another member of the cluster is writable | superseded: fenced; what was lost is measured |
//! | the head carries a fence of ours | taken off |
//! | a standby follows nobody because we cut it | follows the head, or whom it followed before |
//! | after a change of head a standby follows somebody else | follows the head |
//! | synchronous replication is weaker than before the failover | built up again |
//! | a superseded member and a rejoin hook | the hook |

use std::time::Duration;

use super::core::Core;
use super::event::{Action, Effect, Happening, Sealed};
use super::evidence::Verdict;
use super::quorum::SyncNames;
use super::watch::Watch;
use super::work::{After, Purpose};
use crate::base::id::Name;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::failover::durable::{CutMemory, FenceMemory, Head};
use crate::model::failover::group::Mode;
use crate::model::failover::sighting::{Facts, Standing};

/// Between two equal calls to a member.
const BACK_OFF: Duration = Duration::from_secs(1);
const HOOK_BACK_OFF: Duration = Duration::from_secs(60);
/// A standby that should stream has so long before it is told.
const IDLE: Duration = Duration::from_secs(5);
/// A call that was given up is carried out within so long after the server answers again.
const LATE: Duration = Duration::from_secs(2);
const WITHIN: Duration = Duration::from_secs(3);
/// From the first look that shows a rival to its fence, as promised.
const FENCED_WITHIN: Duration = Duration::from_secs(2);
const HOOK_WITHIN: Duration = Duration::from_secs(600);

impl Core {
    /// Whether servers may be changed on the agent's own account.
    fn may_change(&self, wall: Timestamp) -> bool {
        !self.only_follows() && !self.is_disabled() && !self.is_paused(wall)
    }

    /// Whether what nobody asked for may be begun: in manual mode only what an operator's
    /// change of the head left to do.
    fn may_begin(&self) -> bool {
        let asked_for = self.durable.last.as_ref().is_some_and(|last| last.epoch == self.head_since());
        self.settings.mode != Mode::Manual || asked_for
    }

    /// One pass. See the module.
    pub(super) fn reconcile(&mut self, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        if !self.verified {
            return;
        }
        if self.remember_quorum(out) || self.attach(now, wall, out) {
            return;
        }
        if !self.may_change(wall) {
            return;
        }
        let others: Vec<_> = self.standbys().map(|(member, _)| member.clone()).collect();
        for member in &others {
            if self.supersede(member, now, wall, out) {
                return;
            }
        }
        if self.unfence_head(now, wall, out) {
            return;
        }
        for member in &others {
            if self.put_back(member, now, wall, out) {
                return;
            }
            self.call_hook(member, now, out);
        }
        if self.is_quiet(now) && self.may_begin() {
            self.build_up_sync(now, out);
        }
    }

    fn remember_quorum(&mut self, out: &mut Vec<Effect>) -> bool {
        if self.is_switch() {
            return false;
        }
        let Some(seen) = self.seen_quorum() else { return false };
        if seen == self.durable.quorum {
            return false;
        }
        let mut durable = self.durable.clone();
        durable.quorum = seen;
        self.stage(durable, Vec::new(), After::Nothing, out);
        true
    }

    /// Who follows the head and has caught up with where it was when that began.
    fn attach(&mut self, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) -> bool {
        let Some(head) = self.head_watch().and_then(Watch::current).cloned() else { return false };
        let Standing::Primary { lsn, followers } = &head.standing else { return false };
        let members: Vec<_> = self.standbys().map(|(member, _)| member.clone()).collect();
        let changed = self.changed;
        for member in members {
            let busy = self.is_calling(&member, Purpose::Fence) || self.is_calling(&member, Purpose::Cut);
            let Some(watch) = self.watches.get_mut(&member) else { continue };
            let own = |name: &str, slot: Option<&str>| {
                watch.application_name.as_deref().is_some_and(|own| own == name)
                    || (slot.is_some() && watch.slot.as_deref() == slot)
            };
            let follower = followers.iter().find(|follower| {
                follower.streaming && own(&follower.application_name, follower.slot.as_deref())
            });
            let standby = watch.streams()
                && watch.facts_since(changed).is_some_and(|facts| facts.timeline == head.timeline);
            let Some(follower) = follower.filter(|_| standby) else {
                watch.mark = None;
                continue;
            };
            let mark = *watch.mark.get_or_insert(*lsn);
            let caught_up = follower.replayed >= mark;
            let memory = self.durable.members.get(&member).cloned().unwrap_or_default();
            let settled = memory.attached && memory.superseded.is_none() && memory.cut.is_none();
            let facts = watch.last_facts();
            // Of a call whose answer was lost, of a memory that was, or copied by pg_rewind.
            let stray = facts.is_some_and(|facts| {
                facts.fence().is_some() || (memory.superseded.is_some() && facts.read_only)
            });
            if !caught_up || busy || (settled && memory.fence.is_none() && !stray) {
                continue;
            }
            let fenced = stray || facts.is_some_and(|facts| facts.read_only);
            if (stray || memory.fence.is_some()) && fenced && self.may_change(wall) {
                let sync_names = memory.fence.as_ref().map(|fence| fence.sync_names.clone());
                let sync_names = sync_names.unwrap_or_default();
                self.unfence(&member, sync_names, now, out);
                if settled {
                    continue;
                }
            }
            let mut durable = self.durable.clone();
            let epoch = durable.epoch;
            let memory = durable.members.entry(member.clone()).or_default();
            let rejoined = memory.superseded.take().is_some();
            memory.attached = true;
            memory.cut = None;
            if !fenced {
                memory.fence = None;
            } else if memory.fence.is_none() {
                memory.fence = Some(FenceMemory { epoch, sync_names: String::new() });
            }
            if durable == self.durable {
                // The rest waits until servers may be changed.
                continue;
            }
            let entries = if rejoined {
                out.push(Effect::Tell(Happening::Rejoined { member: member.clone() }));
                let text = format!("{member} follows the head again");
                vec![Self::entry(durable.epoch, "rejoined", text, wall)]
            } else {
                Vec::new()
            };
            self.stage(durable, entries, After::Nothing, out);
            return true;
        }
        false
    }

    /// A writable member of the head's cluster that is not the head.
    fn is_rival(&self, facts: &Facts) -> bool {
        let same = self.durable.head.as_ref().is_some_and(|head| head.system_id == facts.system_id);
        facts.is_primary() && same && !self.is_switch()
    }

    /// A rival that is not fenced: two members take writes. One that is being fenced is given the
    /// time that this may take; one that nobody will fence is told at once.
    pub fn split(&self, now: Monotonic, wall: Timestamp) -> Option<&Name> {
        let split = |(member, watch): &(&Name, &Watch)| {
            let unfenced = watch.current().is_some_and(|facts| self.is_rival(facts) && !facts.is_fenced());
            let since = watch.writable_since.filter(|_| self.fences(member, wall));
            unfenced && since.is_none_or(|since| now.since(since) >= FENCED_WITHIN)
        };
        self.standbys().find(split).map(|(member, _)| member)
    }

    /// Whether a rival is fenced without being asked for; else it is shown, and an operator decides.
    fn fences(&self, member: &Name, wall: Timestamp) -> bool {
        let superseded = self.durable.members.get(member).is_some_and(|memory| memory.superseded.is_some());
        let manual = self.settings.mode == Mode::Manual && !superseded;
        self.may_change(wall) && self.may_begin() && !manual
    }

    fn supersede(&mut self, member: &Name, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) -> bool {
        let Some(watch) = self.watches.get(member) else { return false };
        let Some(facts) = watch.current() else { return false };
        let memory = self.durable.members.get(member).cloned().unwrap_or_default();
        let returned = self.is_switch()
            && self.settings.fence_on_return
            && memory.superseded.is_some()
            && facts.is_primary();
        if !(self.is_rival(facts) || returned) {
            return false;
        }
        let epoch = self.durable.epoch;
        if !self.fences(member, wall) {
            return false;
        }
        if memory.superseded.is_none() || memory.fence.is_none() {
            let sync_names = if facts.fence().is_some() { String::new() } else { facts.sync_names.clone() };
            let detail = format!("{member} is writable on timeline {} and is not the head", facts.timeline);
            let mut durable = self.durable.clone();
            let memory = durable.members.entry(member.clone()).or_default();
            memory.superseded.get_or_insert(epoch);
            // Whatever it followed before: it must be seen to follow the head again.
            memory.attached = false;
            memory.fence.get_or_insert(FenceMemory { epoch, sync_names });
            let entry = Self::entry(epoch, "fence", detail.clone(), wall);
            out.push(Effect::Tell(Happening::Superseded { member: member.clone(), detail }));
            self.stage(durable, vec![entry], After::Nothing, out);
            return true;
        }
        if facts.is_fenced() {
            let Some((durable, entry)) = self.measure(member, facts, wall) else { return false };
            self.stage(durable, vec![entry], After::Nothing, out);
            return true;
        }
        if self.may_tell(member, Purpose::Fence, BACK_OFF, now) {
            self.call(member, Purpose::Fence, Action::Fence { epoch }, WITHIN, out);
        }
        false
    }

    /// Whether to call now; notes that it is done.
    fn may_tell(&mut self, member: &Name, purpose: Purpose, wait: Duration, now: Monotonic) -> bool {
        if self.is_calling(member, purpose) {
            return false;
        }
        let Some(watch) = self.watches.get_mut(member) else { return false };
        if watch.told.is_some_and(|(last, at)| last == purpose && now.since(at) < wait) {
            return false;
        }
        watch.told = Some((purpose, now));
        true
    }

    fn unfence(&mut self, member: &Name, sync_names: String, now: Monotonic, out: &mut Vec<Effect>) {
        if self.may_tell(member, Purpose::Unfence, BACK_OFF, now) {
            self.call(member, Purpose::Unfence, Action::Unfence { sync_names }, WITHIN, out);
        }
    }

    /// A fence on the head is one of an operation that was given up.
    /// It is forgotten once a look shows it gone that was asked well after the call which took
    /// it off: the call that put it on may have been given up and still be carried out.
    fn unfence_head(&mut self, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) -> bool {
        let Some(head) = self.durable.head.as_ref().map(|head| head.member.clone()) else { return false };
        let known = self.durable.members.get(&head).and_then(|memory| memory.fence.clone());
        let Some(watch) = self.watches.get(&head) else { return false };
        let Some(facts) = watch.current() else { return false };
        let off = watch.unfenced.filter(|_| !facts.read_only && facts.fence().is_none());
        if known.is_some() && off.is_some_and(|off| watch.facts_since(Monotonic(off.0 + LATE)).is_some()) {
            let mut durable = self.durable.clone();
            if let Some(memory) = durable.members.get_mut(&head) {
                memory.fence = None;
            }
            let entry = Self::entry(durable.epoch, "unfenced", format!("{head} is writable again"), wall);
            self.stage(durable, vec![entry], After::Nothing, out);
            return true;
        }
        // One that came late: a call whose answer was lost. A later epoch's is not ours to take.
        let stray = facts.fence().is_some_and(|epoch| epoch <= self.durable.epoch);
        if facts.is_primary() && off.is_none() && (known.is_some() || stray) {
            let sync_names = known.map(|fence| fence.sync_names).unwrap_or_default();
            self.unfence(&head, sync_names, now, out);
        }
        false
    }

    /// The fence is off: forget it.
    pub(super) fn unfenced(&mut self, member: &Name, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        // Looks from before still show it.
        self.changed = now;
        if let Some(watch) = self.watches.get_mut(member) {
            watch.unfenced = Some(now);
        }
        let fenced = self.durable.members.get(member).is_some_and(|memory| memory.fence.is_some());
        let head = self.durable.head.as_ref().is_some_and(|head| head.member == *member);
        if self.staged.is_some() || !fenced || head {
            return;
        }
        let mut durable = self.durable.clone();
        if let Some(memory) = durable.members.get_mut(member) {
            memory.fence = None;
        }
        let entry = Self::entry(durable.epoch, "unfenced", format!("{member} is writable again"), wall);
        self.stage(durable, vec![entry], After::Nothing, out);
    }

    pub(super) fn restored(&mut self, member: &Name, out: &mut Vec<Effect>) {
        if self.staged.is_some() {
            return;
        }
        let mut durable = self.durable.clone();
        if let Some(memory) = durable.members.get_mut(member) {
            memory.cut = None;
        }
        self.stage(durable, Vec::new(), After::Nothing, out);
    }

    /// Since which epoch the head is one.
    pub(super) fn head_since(&self) -> u64 {
        self.durable.lineage.last().map_or(0, |entry| entry.epoch)
    }

    /// A standby that follows nobody, or not the head.
    fn put_back(&mut self, member: &Name, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) -> bool {
        let Some(watch) = self.watches.get(member) else { return false };
        let Some(facts) = watch.current() else { return false };
        let Standing::Standby { streaming, ref upstream, .. } = facts.standing else { return false };
        let idle = watch.idle_since.is_some_and(|since| now.since(since) >= IDLE);
        let memory = self.durable.members.get(member).cloned().unwrap_or_default();
        let Some(head) = self.durable.head.as_ref() else { return false };
        if streaming || self.needs_rejoin(member) {
            return false;
        }
        let to = head.member.clone();
        let Some(cut) = memory.cut else {
            // Left behind by a change of head, out of reach while it happened.
            let left = !memory.attached && self.durable.lineage.len() > 1 && upstream.is_some();
            // Cut by a call that was given up and carried out late.
            let late = memory.attached && upstream.is_none();
            let wanted = (left || late) && idle && self.may_begin();
            let Some(Sealed(conninfo)) = watch.conninfo.clone().filter(|_| wanted) else { return false };
            let mut durable = self.durable.clone();
            // Of the head, not of an operation that was given up since.
            let epoch = self.head_since();
            durable.members.entry(member.clone()).or_default().cut = Some(CutMemory { epoch, conninfo });
            let entry = Self::entry(epoch, "repoint", format!("{member} is to follow {to}"), wall);
            self.stage(durable, vec![entry], After::Nothing, out);
            return true;
        };
        if upstream.is_some() && !idle && watch.told.is_some_and(|(last, _)| last == Purpose::Repoint) {
            // It was told and has yet to connect.
            return false;
        }
        let conninfo = Sealed(cut.conninfo);
        if self.head_since() >= cut.epoch {
            if self.may_tell(member, Purpose::Repoint, BACK_OFF * 2, now) {
                self.call(member, Purpose::Repoint, Action::Repoint { to, conninfo }, WITHIN, out);
            }
        } else if self.may_tell(member, Purpose::Restore, BACK_OFF * 2, now) {
            self.call(member, Purpose::Restore, Action::Restore { conninfo }, WITHIN, out);
        }
        false
    }

    /// It carried out what the head has not: only pg_rewind or a new copy brings it back.
    ///
    /// What a standby received and did not replay is no such thing. It ends within a record
    /// when the primary died while writing one, and a promotion drops that piece: the
    /// timeline forks before it. Told to follow, the standby drops its piece, too. Whole
    /// records beyond the fork are replayed first, and then this says so.
    pub fn needs_rejoin(&self, member: &Name) -> bool {
        let Some(head) = &self.durable.head else { return false };
        if head.member == *member || self.is_switch() {
            return false;
        }
        let superseded = self.durable.members.get(member).is_some_and(|memory| memory.superseded.is_some());
        let Some(facts) = self.watches.get(member).and_then(Watch::last_facts) else { return superseded };
        let Standing::Standby { replayed, .. } = facts.standing else { return superseded };
        if facts.system_id != head.system_id {
            return false;
        }
        head.forked.is_some_and(|fork| fork.timeline == facts.timeline && replayed > fork.at)
    }

    fn call_hook(&mut self, member: &Name, now: Monotonic, out: &mut Vec<Effect>) {
        let wanted = self.settings.rejoin_hook && self.may_begin() && self.needs_rejoin(member);
        if !wanted || !self.is_quiet(now) {
            return;
        }
        let Some(primary) = self.durable.head.as_ref().map(|head| head.member.clone()) else { return };
        let fenced = self
            .watches
            .get(member)
            .and_then(Watch::current)
            .is_none_or(|facts| !facts.is_primary() || facts.is_fenced());
        // A fence hook that still runs would turn it off in the middle of it.
        let shot_at = self.is_calling(member, Purpose::Hook);
        let again = self.is_calling(member, Purpose::Rejoin);
        let Some(watch) = self.watches.get_mut(member) else { return };
        let waits = watch.hooked.is_some_and(|at| now.since(at) < HOOK_BACK_OFF);
        if fenced && !shot_at && !again && !waits {
            watch.hooked = Some(now);
            self.call(member, Purpose::Rejoin, Action::RejoinHook { primary }, HOOK_WITHIN, out);
        }
    }

    /// Adds the standbys that stream to `synchronous_standby_names` until all are in it.
    fn build_up_sync(&mut self, now: Monotonic, out: &mut Vec<Effect>) {
        let Some(wish) = self.durable.sync_wish.clone() else { return };
        let Some((head, facts)) =
            self.durable.head.as_ref().and_then(|head| {
                Some((head.member.clone(), self.watches.get(&head.member)?.current()?.clone()))
            })
        else {
            return;
        };
        // A setting that is about to be replaced must not be built upon.
        let fenced = self.durable.members.get(&head).is_some_and(|memory| memory.fence.is_some());
        let old = self.head_watch().is_none_or(|watch| watch.facts_since(self.changed).is_none());
        if fenced || old || facts.fence().is_some() {
            return;
        }
        let mut names = SyncNames::parse(&facts.sync_names).map(|set| set.names).unwrap_or_default();
        let there: Vec<_> = self
            .standbys()
            .filter(|(member, watch)| watch.streams() && self.is_attached(member))
            .filter_map(|(_, watch)| watch.application_name.clone())
            .collect();
        let all = self.standbys().count();
        let known = names.len();
        for name in there {
            if !names.iter().any(|listed| listed.eq_ignore_ascii_case(&name)) {
                names.push(name);
            }
        }
        if names.len() == known {
            if known >= all {
                let mut durable = self.durable.clone();
                durable.sync_wish = None;
                self.stage(durable, Vec::new(), After::Nothing, out);
            }
            return;
        }
        names.sort();
        let quorum = wish.quorum.min(u32::try_from(names.len()).unwrap_or(u32::MAX));
        let wanted = SyncNames { any: wish.any, quorum, names }.text();
        if self.may_tell(&head, Purpose::SyncNames, BACK_OFF, now) {
            self.call(&head, Purpose::SyncNames, Action::SyncNames { names: wanted }, WITHIN, out);
        }
    }

    /// Somebody else promoted a member: follow, when the head we know is none any more.
    /// `true` when something was staged.
    pub(super) fn adopt(&mut self, verdict: &Verdict, wall: Timestamp, out: &mut Vec<Effect>) -> bool {
        let gone = matches!(verdict, Verdict::NotHead(_) | Verdict::Dead(_)) || !self.verified;
        let Some(head) = self.durable.head.clone().filter(|_| gone && !self.is_switch()) else {
            return false;
        };
        // The head's own member too: it may have come back as the head in a time that was forgotten.
        let mut newer: Vec<Head> = self
            .watches
            .iter()
            .filter_map(|(member, watch)| {
                let facts = watch.current()?;
                let known = facts.ancestry.as_ref();
                let descends = known.map_or(self.only_follows(), |ancestry| {
                    ancestry.iter().any(|fork| fork.timeline == head.timeline)
                });
                let later = facts.system_id == head.system_id && facts.timeline > head.timeline;
                (facts.is_primary() && facts.fence().is_none() && later && descends).then(|| Head {
                    member: member.clone(),
                    system_id: facts.system_id,
                    timeline: facts.timeline,
                    forked: known.and_then(|ancestry| ancestry.last().copied()),
                })
            })
            .collect();
        newer.sort_by_key(|head| head.timeline);
        let Some(best) = newer.pop() else { return false };
        if newer.last().is_some_and(|other| other.timeline == best.timeline) {
            // Two promotions apart from each other: nobody can say which one counts.
            return false;
        }
        self.stage_head(best, None, "adopted", wall, out);
        true
    }
}
