//! The state of one group and its one step.
//!
//! The pattern: [`Core::step`] takes an event and the time, and gives back effects.
//! What allows an outside effect is staged, committed by the engine, and only then
//! taken over and acted upon; while a commit is on its way nothing else is decided.
//! So the memory of this value and what is on the disk never disagree about what may
//! have been done to a server. Wrong would be to decide in two places: every change of
//! `durable` goes through [`Core::stage`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{Action, CallId, Effect, Event, Happening, Settings};
use super::watch::Watch;
use super::work::{After, Purpose, Work};
use crate::base::id::Name;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::failover::durable::{Durable, JournalEntry, Step};
use crate::model::failover::group::{Mode, Refusal, RefusalCode, State};
use crate::model::failover::route::Route;

use super::evidence::Verdict;

/// After a failed commit, and between two tries of what did not work.
pub const AGAIN: Duration = Duration::from_millis(500);
/// Shortest and longest wait before something refused is judged again.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// Our own tick ran late by so many periods: what was measured meanwhile says nothing.
const LATE: u32 = 2;

/// See the module.
#[derive(Clone, Debug)]
pub struct Core {
    pub(super) settings: Settings,
    /// As committed.
    pub(super) durable: Durable,
    pub(super) watches: BTreeMap<Name, Watch>,
    pub(super) work: Work,
    /// On its way to the disk, and what follows it.
    pub(super) staged: Option<(Durable, After)>,
    pub(super) calls: BTreeMap<CallId, (Name, Purpose)>,
    next_call: u64,
    /// Looks that were asked before this say nothing.
    pub(super) void: Monotonic,
    /// Every member was out of reach: what failed by then says nothing.
    isolated: bool,
    /// The head was seen to be what it should be, in this run.
    pub(super) verified: bool,
    /// An operator said that the members seen are enough.
    pub(super) accepted: bool,
    pub(super) started: Monotonic,
    /// When the last operation ended: looks that were asked before show servers in the
    /// middle of it.
    pub(super) changed: Monotonic,
    /// When the head became one, in this run, or when the run began.
    pub(super) settled: Monotonic,
    /// First sign of the trouble that goes on.
    pub(super) suspect: Option<Monotonic>,
    /// Since when the head has not served, whatever was begun and given up meanwhile.
    pub(super) down: Option<Timestamp>,
    /// The epoch whose cut was in vain, and how often.
    pub(super) tries: Option<(u64, u32)>,
    /// The epoch whose candidate was chosen in this run.
    pub(super) chosen: Option<u64>,
    pub(super) refusal: Option<Refusal>,
    pub(super) refused: u32,
    /// Nothing is begun by evidence before.
    pub(super) wait_until: Monotonic,
    /// The store failed: nothing is staged before.
    commit_again: Monotonic,
    /// The operation whose old primary the fence hook was sent to, by its epoch.
    pub(super) shot: Option<u64>,
    /// The command that the commit on its way answers.
    pub(super) replying: Option<u64>,
    /// The first looks were asked for.
    begun: bool,
    told: State,
    last: (Monotonic, Timestamp),
    wake: Monotonic,
}

impl Core {
    /// Takes a group up as it was left; nothing is routed before its head was seen.
    pub fn new(settings: Settings, durable: Durable, now: Monotonic, wall: Timestamp) -> Self {
        let watches = settings.members.iter().map(|member| (member.clone(), Watch::default())).collect();
        let down = durable.down;
        Self {
            settings,
            durable,
            watches,
            work: Work::Idle,
            staged: None,
            calls: BTreeMap::new(),
            next_call: 0,
            void: now,
            isolated: false,
            verified: false,
            accepted: false,
            started: now,
            changed: now,
            settled: now,
            suspect: None,
            down,
            tries: None,
            chosen: None,
            refusal: None,
            refused: 0,
            wait_until: now,
            commit_again: now,
            shot: None,
            replying: None,
            begun: false,
            told: State::Observing,
            last: (now, wall),
            wake: now,
        }
    }

    /// One event. Effects are to be done in their order.
    pub fn step(&mut self, event: Event, now: Monotonic, wall: Timestamp) -> Vec<Effect> {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            self.look_at_all(&mut out);
        }
        self.guard(now, wall, &mut out);
        match event {
            Event::Tick => {}
            Event::Seen { member, asked, sighting, conninfo } => {
                self.seen(&member, asked, now, sighting, conninfo, &mut out);
            }
            Event::Lost { member, why } => {
                if let Some(watch) = self.watches.get_mut(&member) {
                    watch.lose(now, why);
                    self.look_at_all(&mut out);
                }
            }
            Event::Committed { ok } => self.committed(ok, now, wall, &mut out),
            Event::Done { call, result } => {
                if let Some((member, purpose)) = self.calls.remove(&call) {
                    self.done(&member, purpose, result, now, wall, &mut out);
                }
            }
            Event::Command { id, command } => self.command(id, command, now, wall, &mut out),
            Event::Settings(settings) => self.reconfigure(settings, &mut out),
        }
        self.note_isolation(now, &mut out);
        self.note_outage(now, wall);
        if self.staged.is_none() {
            self.advance(now, wall, &mut out);
        }
        self.tell(now, wall, &mut out);
        self.last = (now, wall);
        self.wake = now.max(self.next_wake(now));
        out
    }

    /// When the next [`Event::Tick`] is due at the latest.
    pub const fn wake_at(&self) -> Monotonic {
        self.wake
    }

    pub const fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Whether the head was seen to be what it should be, in this run.
    pub const fn is_verified(&self) -> bool {
        self.verified
    }

    pub fn watch(&self, member: &Name) -> Option<&Watch> {
        self.watches.get(member)
    }

    pub fn refusal_now(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn head_watch(&self) -> Option<&Watch> {
        self.watches.get(&self.durable.head.as_ref()?.member)
    }

    /// Our own clock stood still (a suspended host, a stopped process): the looks of
    /// that time failed because of us.
    fn guard(&mut self, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        let slept = wall.since(self.last.1).saturating_sub(now.since(self.last.0));
        let late = now.since(self.wake).max(if slept > self.settings.interval * LATE {
            slept
        } else {
            Duration::ZERO
        });
        if late < self.settings.interval * LATE {
            return;
        }
        self.void = now;
        self.suspect = None;
        self.watches.values_mut().for_each(|watch| watch.void(now));
        self.look_at_all(out);
    }

    /// The members come back one after the other when we do: the head's failures from before
    /// were ours, and the first standby to answer must not make them count.
    fn note_isolation(&mut self, now: Monotonic, out: &mut Vec<Effect>) {
        let isolated = self.verdict(now) == Verdict::Isolated;
        let before = std::mem::replace(&mut self.isolated, isolated);
        if !before || self.isolated {
            return;
        }
        self.suspect = None;
        if let Some(head) = self.durable.head.as_ref().map(|head| head.member.clone())
            && let Some(watch) = self.watches.get_mut(&head)
            && !watch.failures.is_empty()
        {
            watch.begin_again(now);
            self.look_at_all(out);
        }
    }

    /// Clients count from the first moment without their primary: neither a late tick of ours nor a
    /// failover that was given up begins that anew.
    fn note_outage(&mut self, now: Monotonic, wall: Timestamp) {
        match self.verdict(now) {
            Verdict::Healthy | Verdict::Alive(_) | Verdict::NotWritable(_) => self.down = None,
            Verdict::Unknown => {}
            _ if self.down.is_none() => {
                let first = self.head_watch().and_then(Watch::first_failure);
                self.down = Some(first.map_or(wall, |first| wall.minus(now.since(first.asked))));
            }
            _ => {}
        }
    }

    pub(super) fn look_at_all(&self, out: &mut Vec<Effect>) {
        out.extend(self.settings.members.iter().map(|member| Effect::Look {
            member: member.clone(),
            after: Duration::ZERO,
            fresh: true,
            canary: false,
        }));
    }

    fn reconfigure(&mut self, settings: Settings, out: &mut Vec<Effect>) {
        self.watches.retain(|member, _| settings.members.contains(member));
        for member in &settings.members {
            self.watches.entry(member.clone()).or_default();
        }
        if self.durable.head.as_ref().is_some_and(|head| !settings.members.contains(&head.member)) {
            self.verified = false;
        }
        self.settings = settings;
        self.look_at_all(out);
    }

    /// Hands `durable` to the disk; `after` happens once it is there.
    pub(super) fn stage(
        &mut self,
        durable: Durable,
        entries: Vec<JournalEntry>,
        after: After,
        out: &mut Vec<Effect>,
    ) {
        out.push(Effect::Commit { durable: Box::new(durable.clone()), entries });
        self.staged = Some((durable, after));
    }

    fn committed(&mut self, ok: bool, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        let Some((durable, after)) = self.staged.take() else { return };
        let reply = self.replying.take();
        if !ok {
            self.commit_again = Monotonic(now.0 + AGAIN);
            if !matches!(self.work, Work::Idle | Work::Cutting { .. } | Work::Proving { .. }) {
                // What the answer to a call led to was not written: find out again.
                self.work = Work::Waiting { until: self.commit_again };
            }
            if let Some(id) = reply {
                let text = String::from("the store could not be written");
                let refusal = Refusal { code: RefusalCode::Failed, detail: text, at: wall };
                out.push(Effect::Reply { id, result: Err(refusal) });
            }
            return;
        }
        self.durable = durable;
        if let Some(id) = reply {
            out.push(Effect::Reply { id, result: Ok(()) });
        }
        self.after_commit(after, now, wall, out);
    }

    /// Asks for `action` on a member, with the deadline `within`.
    pub(super) fn call(
        &mut self,
        member: &Name,
        purpose: Purpose,
        action: Action,
        within: Duration,
        out: &mut Vec<Effect>,
    ) {
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.calls.insert(call, (member.clone(), purpose));
        out.push(Effect::Call { call, member: member.clone(), action, within });
    }

    /// What is asked for already, and not answered.
    pub(super) fn is_calling(&self, member: &Name, wanted: Purpose) -> bool {
        self.calls.values().any(|(of, purpose)| of == member && *purpose == wanted)
    }

    /// Decides what is next. Nothing is on its way to the disk.
    fn advance(&mut self, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        if now < self.commit_again {
            return;
        }
        if self.expire_pause(wall, out) {
            return;
        }
        if self.durable.operation.is_some() {
            self.operate(now, wall, out);
            return;
        }
        // Also where supervision is off: the route stays, and it must be known where.
        if (!self.verified && self.observe(now, wall, out)) || self.is_disabled() {
            return;
        }
        let verdict = self.verdict(now);
        match &verdict {
            Verdict::Healthy | Verdict::Alive(_) | Verdict::NotWritable(_) => self.suspect = None,
            Verdict::Unknown => {}
            _ => {
                let first = self.head_watch().and_then(Watch::first_failure).map(|failed| failed.asked);
                self.suspect = self.suspect.or(first);
            }
        }
        if !self.adopt(&verdict, wall, out) && !self.fail_over(&verdict, now, wall, out) {
            self.reconcile(now, wall, out);
        }
    }

    /// A pause that is over is taken away. `true` when something was staged.
    fn expire_pause(&mut self, wall: Timestamp, out: &mut Vec<Effect>) -> bool {
        let over = self.durable.paused.is_some_and(|pause| pause.until.is_some_and(|until| until <= wall));
        if !over || self.durable.operation.is_some() {
            return false;
        }
        let mut durable = self.durable.clone();
        durable.paused = None;
        let entry = Self::entry(durable.epoch, "resumed", String::from("the pause is over"), wall);
        self.stage(durable, vec![entry], After::Nothing, out);
        true
    }

    /// Begins when the evidence says so and nothing forbids it. `true` when something was staged.
    fn fail_over(
        &mut self,
        verdict: &Verdict,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) -> bool {
        let cause = match verdict {
            Verdict::Dead(why) => why.clone(),
            Verdict::Path(since) if now.since(*since) >= self.settings.path_hold => {
                String::from("only its standbys reach it")
            }
            Verdict::NotWritable(since)
                if self.settings.failover_on_read_only && now.since(*since) >= Duration::from_secs(30) =>
            {
                String::from(super::work::CANNOT_COMMIT)
            }
            Verdict::Isolated => {
                self.refuse((RefusalCode::AgentIsolated, String::from("no member answers")), wall, out);
                return false;
            }
            Verdict::AllDown => {
                let text = String::from("every member refuses connections");
                self.refuse((RefusalCode::NoCandidate, text), wall, out);
                return false;
            }
            Verdict::Path(_) => {
                if let Err(no) = self.judge_before(false, now, wall) {
                    self.refuse(no, wall, out);
                }
                return false;
            }
            Verdict::Healthy => {
                self.refusal = None;
                self.refused = 0;
                return false;
            }
            _ => return false,
        };
        if now < self.wait_until {
            return false;
        }
        match self.judge_before(false, now, wall) {
            Ok(()) => {
                self.begin(super::work::Begin::by_evidence(cause), now, wall, out);
                true
            }
            Err(no) => {
                self.refuse(no, wall, out);
                false
            }
        }
    }

    /// Shows why not, and waits longer each time before anything is begun again.
    pub(super) fn refuse(&mut self, no: super::judge::No, wall: Timestamp, out: &mut Vec<Effect>) {
        let known = self.refusal.as_ref().is_some_and(|refusal| refusal.code == no.0);
        let at = self.refusal.as_ref().filter(|_| known).map_or(wall, |refusal| refusal.at);
        let refusal = Self::refusal(no, at);
        if !known {
            out.push(Effect::Tell(Happening::Refused(refusal.clone())));
        }
        self.refusal = Some(refusal);
    }

    /// As [`Core::refuse`], of an operation that was begun: the next one waits.
    pub(super) fn back_off(&mut self, now: Monotonic) {
        self.refused = self.refused.saturating_add(1);
        let wait = RETRY.0.saturating_mul(1 << (self.refused - 1).min(5)).min(RETRY.1);
        self.wait_until = Monotonic(now.0 + wait);
    }

    /// What people see.
    pub fn state(&self, now: Monotonic, wall: Timestamp) -> State {
        if self.is_disabled() {
            return State::Disabled;
        }
        if let Some(operation) = &self.durable.operation {
            return match (operation.step, &self.work) {
                (Step::Holding, _) => State::Switching,
                (Step::Begun, Work::Idle) => State::Unrouted,
                (Step::Begun | Step::Cut, _) => State::Cut,
                (Step::Intent, Work::Verifying) => State::Verifying,
                (Step::Intent, _) => State::Promoting,
            };
        }
        if self.is_paused(wall) {
            return State::Paused;
        }
        if !self.verified {
            return if self.refusal.is_some() { State::Refused } else { State::Observing };
        }
        if self.split(now, wall).is_some() {
            return State::SplitBrain;
        }
        match self.verdict(now) {
            Verdict::Healthy | Verdict::Alive(_) => State::Steady,
            Verdict::Unknown | Verdict::Suspect | Verdict::Restarting | Verdict::NotWritable(_) => {
                State::Suspect
            }
            _ if self.settings.mode == Mode::Manual => State::Manual,
            _ if self.refusal.is_some() => State::Refused,
            Verdict::Dead(_) => State::Confirmed,
            _ => State::Suspect,
        }
    }

    fn tell(&mut self, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        let state = self.state(now, wall);
        if state != self.told {
            let detail = self.explain(now);
            let (from, to) = (self.told.word(), state.word());
            out.push(Effect::Tell(Happening::State { from, to, detail }));
            self.told = state;
        }
    }

    /// The state in words, without the names of states.
    pub fn explain(&self, now: Monotonic) -> String {
        if let Some(operation) = &self.durable.operation {
            return match (&operation.candidate, operation.step) {
                (Some(candidate), Step::Intent) => format!("promoting {candidate}"),
                (_, Step::Holding) => String::from("switching over"),
                (_, Step::Cut) => String::from("waiting for the proof that the old primary is off"),
                _ => String::from("stopping the standbys to compare them"),
            };
        }
        if let Some(refusal) = &self.refusal {
            return format!("{}: {}", refusal.code.word(), refusal.detail);
        }
        let Some(head) = &self.durable.head else {
            return String::from("looking which member is the primary");
        };
        let member = &head.member;
        match self.verdict(now) {
            Verdict::Healthy if self.verified => match self.other_hand() {
                Some(other) => format!("{member} is the primary; {other}, so no server is changed"),
                None => format!("{member} is the primary"),
            },
            Verdict::Healthy | Verdict::Unknown => format!("checking that {member} is still the primary"),
            Verdict::Suspect => format!("{member} does not answer"),
            Verdict::Dead(why) => format!("{member} is gone: {why}"),
            Verdict::Restarting => format!("{member} is restarting"),
            Verdict::Path(_) => format!("we do not reach {member}, its standbys do"),
            Verdict::Alive(why) => format!("{member} answers and refuses us: {why}"),
            Verdict::NotWritable(_) => format!("{member} answers and cannot commit"),
            Verdict::NotHead(why) => why,
            Verdict::Isolated => String::from("no member can be reached"),
            Verdict::AllDown => String::from("every member refuses connections"),
        }
    }

    /// Where the writing endpoint goes, as members: to, keep, epoch, reason.
    pub fn route(&self, now: Monotonic) -> Decision {
        let epoch = self.durable.epoch;
        let none = |keep: Vec<Name>| Decision { epoch, to: None, keep, reason: self.explain(now) };
        let Some(head) = &self.durable.head else { return none(Vec::new()) };
        if let Some(operation) = &self.durable.operation {
            let keep = if operation.step == Step::Holding { vec![head.member.clone()] } else { Vec::new() };
            return none(keep);
        }
        if !self.verified {
            // The task may have been started again within a process whose proxy runs on.
            return none(vec![head.member.clone()]);
        }
        let to = Decision {
            epoch,
            to: Some(head.member.clone()),
            keep: vec![head.member.clone()],
            reason: String::new(),
        };
        if self.is_disabled() {
            return to;
        }
        match self.verdict(now) {
            Verdict::Healthy | Verdict::Alive(_) | Verdict::NotWritable(_) | Verdict::Unknown => to,
            Verdict::NotHead(_) => none(Vec::new()),
            _ => none(vec![head.member.clone()]),
        }
    }

    /// Standbys that readers may be sent to: those that stream from the head and are at
    /// most `max_lag` behind, and those that readers may stay on.
    pub fn readers(&self) -> (Vec<Name>, Vec<Name>) {
        let head = self.head_watch().and_then(Watch::last_facts).map(|facts| facts.lsn());
        let fit = |member: &Name, watch: &Watch| {
            let lag =
                head.map_or(0, |head| watch.last_facts().map_or(u64::MAX, |facts| head.since(facts.lsn())));
            watch.streams() && lag <= self.settings.max_lag && self.is_attached(member)
        };
        let to: Vec<_> =
            self.standbys().filter(|(m, w)| fit(m, w)).map(|(member, _)| member.clone()).collect();
        let keep = self.standbys().filter(|(member, watch)| {
            let standby = watch.last_facts().is_some_and(|facts| !facts.is_primary());
            standby && self.is_attached(member)
        });
        (to, keep.map(|(member, _)| member.clone()).collect())
    }

    pub(super) fn is_attached(&self, member: &Name) -> bool {
        self.durable.members.get(member).is_some_and(|memory| memory.attached)
    }

    /// By an operator, or by the configuration.
    pub const fn is_disabled(&self) -> bool {
        self.durable.disabled || !self.settings.enabled
    }

    pub fn is_paused(&self, wall: Timestamp) -> bool {
        self.durable.paused.is_some_and(|pause| pause.until.is_none_or(|until| wall < until))
    }
}

/// A route in terms of members; the engine knows their addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    pub epoch: u64,
    pub to: Option<Name>,
    pub keep: Vec<Name>,
    pub reason: String,
}

impl Decision {
    /// With the address of the member it names.
    pub fn resolve(self, address: impl Fn(&Name) -> Option<crate::model::failover::route::Address>) -> Route {
        let to = self.to.as_ref().and_then(address).into_iter().collect();
        Route { epoch: self.epoch, to, keep: self.keep, reason: self.reason }
    }
}
