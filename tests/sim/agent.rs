//! The simulated engine: obeys the protocol's effects as the real one does.
//!
//! Effects happen in order; those behind a commit wait for it. One look per member at a
//! time; calls to one member go one after the other. Every place where the process
//! could die between two of these is a numbered boundary, so that a run can be
//! repeated with a crash at each of them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use holdfast::base::time::Monotonic;
use holdfast::logic::failover::{
    Action, Answer, CallError, CallId, Core, Decision, Effect, Event, Happening, Sealed,
};
use holdfast::model::failover::durable::Durable;
use holdfast::model::failover::sighting::{Failure, FailureClass, Sighting};

use crate::faults::Fault;
use crate::node::{Host, MS, Time};
use crate::server::no;
use crate::world::{Ev, World};

#[derive(Clone, Default)]
pub struct Slot {
    pub running: Option<u64>,
    /// When, its number, fresh, canary.
    pub scheduled: Option<(Time, u64, bool, bool)>,
    /// The incarnation of the server that the kept connection goes to.
    pub kept: Option<u64>,
    told: Option<String>,
    /// Of which incarnation and timeline the history was read.
    cached: Option<(u64, u32)>,
}

#[derive(Clone)]
pub struct Look {
    pub host: Host,
    pub asked: Time,
    pub fresh: bool,
    pub canary: bool,
    /// Over the kept connection: to this incarnation.
    pub kept: Option<u64>,
    /// The kernel over there has answered.
    pub tcp: bool,
    pub facts: Option<holdfast::model::failover::sighting::Facts>,
    /// `primary_conninfo` as the server read it out.
    pub conninfo: Option<String>,
}

pub struct Calling {
    pub id: CallId,
    pub host: Host,
    pub life: u64,
    pub action: Action,
    pub within: Duration,
    pub sent: bool,
}

pub struct Agent {
    pub core: Option<Core>,
    /// Grows with every start; what was meant for an earlier one is void.
    pub life: u64,
    pub origin: Time,
    pub stalled_until: Time,
    pub slots: Vec<Slot>,
    pub looks: BTreeMap<u64, Look>,
    pub calls: BTreeMap<u64, Calling>,
    queues: Vec<VecDeque<u64>>,
    pub busy: Vec<Option<u64>>,
    pending: Option<(Durable, VecDeque<Effect>)>,
    backlog: VecDeque<Event>,
    pub disk: Durable,
    /// Older states of the store, for backups.
    pub past: Vec<Durable>,
    pub route: Option<Decision>,
    tick: u64,
    pub boundary: u64,
    pub crash_at: Vec<u64>,
    /// What goes wrong at a boundary.
    pub fault_at: Vec<(u64, Fault)>,
    /// So many of the next commits fail.
    pub failing_commits: u32,
    pub slow_commits: bool,
    /// When the newest one set out.
    pub commit_began: Time,
    /// So long takes the next one; 0: as usual.
    pub commit_stalls: Time,
    /// What the fence hook says: proved.
    pub hook_proves: bool,
    pub replies: Vec<(u64, Result<(), holdfast::model::failover::group::Refusal>)>,
    pub tells: Vec<(Time, Happening)>,
    pub commands: u64,
}

impl Agent {
    pub fn new(servers: usize) -> Self {
        Self {
            core: None,
            life: 0,
            origin: 0,
            stalled_until: 0,
            slots: vec![Slot::default(); servers],
            looks: BTreeMap::new(),
            calls: BTreeMap::new(),
            queues: vec![VecDeque::new(); servers],
            busy: vec![None; servers],
            pending: None,
            backlog: VecDeque::new(),
            disk: Durable::default(),
            past: Vec::new(),
            route: None,
            tick: 0,
            boundary: 0,
            crash_at: Vec::new(),
            fault_at: Vec::new(),
            failing_commits: 0,
            slow_commits: false,
            commit_began: 0,
            commit_stalls: 0,
            hook_proves: true,
            replies: Vec::new(),
            tells: Vec::new(),
            commands: 0,
        }
    }
}

impl World {
    pub fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::from_micros(self.now - self.agent.origin))
    }

    pub fn agent_start(&mut self) {
        if self.agent.core.is_some() {
            return;
        }
        self.agent.origin = self.now.saturating_sub(1);
        self.note(|w| format!("agent starts: {:?}", w.agent.disk));
        let (now, wall) = (self.monotonic(), self.wall());
        let core = Core::new(self.setup.settings.clone(), self.agent.disk.clone(), now, wall);
        self.agent.core = Some(core);
        for host in 0..self.nodes.len() {
            self.schedule_look(host, Duration::ZERO, true, false);
        }
        self.feed(Event::Tick);
    }

    /// The process dies. A commit on its way is on the disk or is not.
    pub fn agent_crash(&mut self) {
        if self.agent.core.is_none() {
            return;
        }
        let torn = self.random.chance(50);
        if let Some((durable, _)) = self.agent.pending.take().filter(|_| torn) {
            self.write_disk(durable);
        }
        self.note(|_| String::from("agent dies"));
        self.agent.core = None;
        self.agent.life += 1;
        self.agent.backlog.clear();
        self.agent.stalled_until = 0;
        for slot in &mut self.agent.slots {
            *slot = Slot::default();
        }
        self.agent.looks.clear();
        self.agent.queues.iter_mut().for_each(VecDeque::clear);
        self.agent.busy.fill(None);
        // What was sent may still be done; nobody hears of it.
        self.agent.calls.retain(|_, call| call.sent);
        self.agent.route = None;
        self.ledger.route_since = None;
        self.reset_proxied(None, &[]);
    }

    /// The process could have died here.
    fn boundary(&mut self) -> bool {
        let here = self.agent.boundary;
        self.agent.boundary += 1;
        let due: Vec<_> = self
            .agent
            .fault_at
            .iter()
            .filter(|(at, _)| *at == here)
            .map(|(_, fault)| fault.clone())
            .collect();
        for fault in due {
            if matches!(fault, Fault::CommitStalls(_)) {
                // Of the commit that this is the boundary of.
                self.fault(fault);
            } else {
                self.at(self.now, Ev::Fault(fault));
            }
        }
        if !self.agent.crash_at.contains(&here) {
            return false;
        }
        self.note(|_| format!("crash at boundary {here}"));
        self.agent_crash();
        let down = self.random.between(50, 1500) * MS;
        self.after(down, Ev::AgentStart);
        true
    }

    pub fn write_disk(&mut self, durable: Durable) {
        self.agent.past.push(std::mem::replace(&mut self.agent.disk, durable));
        self.check_disk();
    }

    /// One event for the protocol, and everything that follows from it.
    pub fn feed(&mut self, event: Event) {
        if self.agent.core.is_none() {
            return;
        }
        let waits = self.setup.serial && self.agent.pending.is_some();
        if waits && !matches!(event, Event::Committed { .. }) {
            self.agent.backlog.push_back(event);
            return;
        }
        self.step(event);
        while self.agent.pending.is_none()
            && let Some(next) = self.agent.backlog.pop_front()
        {
            self.step(next);
        }
    }

    fn step(&mut self, event: Event) {
        let (now, wall) = (self.monotonic(), self.wall());
        let Some(core) = self.agent.core.as_mut() else { return };
        if !matches!(event, Event::Tick) && !matches!(&event, Event::Seen { .. }) {
            let text = format!("> {event:?}");
            self.note(|_| text);
            self.step_inner(event, now, wall);
            return;
        }
        if let Event::Seen { member, sighting: Sighting::Failed(failure), asked, .. } = &event {
            let text = format!("> {member} asked {:?}: {:?}", asked.0, failure.class);
            let effects = core.step(event, now, wall);
            self.note(|_| text);
            self.after_step(effects);
            return;
        }
        self.step_inner(event, now, wall);
    }

    fn step_inner(&mut self, event: Event, now: Monotonic, wall: holdfast::base::time::Timestamp) {
        let Some(core) = self.agent.core.as_mut() else { return };
        let effects = core.step(event, now, wall);
        self.after_step(effects);
    }

    fn after_step(&mut self, effects: Vec<Effect>) {
        self.update_route();
        self.carry_out(effects.into());
        self.update_route();
        self.check_step();
        let Some(core) = &self.agent.core else { return };
        let wake = core.wake_at();
        self.agent.tick += 1;
        let (life, number) = (self.agent.life, self.agent.tick);
        let at = self.agent.origin + wake.0.as_micros() as Time;
        self.at(at.max(self.now + 1), Ev::Tick { life, number });
    }

    pub fn tick(&mut self, life: u64, number: u64) {
        if life == self.agent.life && number == self.agent.tick {
            self.feed(Event::Tick);
        }
    }

    fn carry_out(&mut self, mut effects: VecDeque<Effect>) {
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Commit { durable, entries } => {
                    if self.agent.pending.is_some() {
                        self.broken("a commit while one is on its way");
                        return;
                    }
                    self.note(|_| format!("commit {entries:?}"));
                    if self.boundary() {
                        return;
                    }
                    self.agent.commit_began = self.now;
                    self.agent.pending = Some((*durable, effects));
                    let ok = self.agent.failing_commits == 0;
                    self.agent.failing_commits = self.agent.failing_commits.saturating_sub(1);
                    let most = if self.agent.slow_commits { 600 } else { 12 };
                    let takes = self.random.between(1, most) * MS;
                    let takes = takes.max(std::mem::take(&mut self.agent.commit_stalls));
                    let life = self.agent.life;
                    self.after(takes, Ev::Committed { life, ok });
                    return;
                }
                Effect::Call { call, member, action, within } => {
                    if self.boundary() {
                        return;
                    }
                    self.note(|_| format!("call {member} {action:?}"));
                    let Some(host) = self.members.iter().position(|own| *own == member) else { continue };
                    self.check_call(host, &action);
                    self.enqueue(call, host, action, within);
                    if self.boundary() {
                        return;
                    }
                }
                Effect::Look { member, after, fresh, canary } => {
                    if let Some(host) = self.members.iter().position(|own| *own == member) {
                        self.schedule_look(host, after, fresh, canary);
                    }
                }
                Effect::Reply { id, result } => {
                    self.note(|_| format!("reply {result:?}"));
                    self.agent.replies.push((id, result));
                }
                Effect::Tell(happening) => {
                    self.note(|_| format!("tell {happening:?}"));
                    self.agent.tells.push((self.now, happening));
                }
            }
        }
    }

    pub fn committed(&mut self, life: u64, ok: bool) {
        if life != self.agent.life {
            return;
        }
        let Some((durable, rest)) = self.agent.pending.take() else { return };
        if ok {
            self.write_disk(durable);
            if self.boundary() {
                return;
            }
            self.carry_out(rest);
        } else {
            self.note(|_| String::from("commit failed"));
        }
        if life == self.agent.life {
            self.feed(Event::Committed { ok });
        }
    }

    // Looks.

    fn schedule_look(&mut self, host: Host, after: Duration, fresh: bool, canary: bool) {
        let at = self.now + after.as_micros() as Time;
        let slot = &self.agent.slots[host];
        if slot.running.is_some() || slot.scheduled.is_some_and(|(when, ..)| when <= at) {
            return;
        }
        self.unique += 1;
        let number = self.unique;
        self.agent.slots[host].scheduled = Some((at, number, fresh, canary));
        let life = self.agent.life;
        self.at(at, Ev::LookStart { life, host, number });
    }

    pub fn look_start(&mut self, life: u64, host: Host, number: u64) {
        let slot = &mut self.agent.slots[host];
        let Some((_, wanted, fresh, canary)) = slot.scheduled else { return };
        if life != self.agent.life || wanted != number {
            return;
        }
        slot.scheduled = None;
        slot.running = Some(number);
        let kept = slot.kept.filter(|_| !fresh);
        let fresh = kept.is_none();
        let look = Look {
            host,
            asked: self.now,
            fresh,
            canary,
            kept,
            tcp: kept.is_some(),
            facts: None,
            conninfo: None,
        };
        self.agent.looks.insert(number, look);
        if let Some(way) = self.way(self.here(), host) {
            let trips = if fresh { 3 } else { 1 };
            self.after(way * trips, Ev::LookArrive { host, look: number });
        }
        let timeout = self.setup.settings.timeout.as_micros() as Time;
        self.after(timeout, Ev::LookDeadline { life, look: number });
    }

    pub fn look_reply(&mut self, life: u64, look: u64, sighting: Sighting) {
        if life == self.agent.life {
            self.look_end(look, sighting);
        }
    }

    pub fn look_deadline(&mut self, life: u64, look: u64) {
        if life != self.agent.life {
            return;
        }
        let Some(known) = self.agent.looks.get(&look) else { return };
        let class = if known.tcp { FailureClass::Silent } else { FailureClass::Unreachable };
        let failure = Failure { class, detail: String::from("timed out") };
        self.look_end(look, Sighting::Failed(failure));
    }

    fn look_end(&mut self, number: u64, sighting: Sighting) {
        let Some(look) = self.agent.looks.remove(&number) else { return };
        let host = look.host;
        let incarnation = self.nodes[host].incarnation;
        let slot = &mut self.agent.slots[host];
        slot.running = None;
        let mut told = None;
        match &sighting {
            Sighting::Answered(facts) => {
                slot.kept = Some(look.kept.unwrap_or(incarnation));
                slot.cached = Some((incarnation, facts.timeline));
                let now = look.conninfo.clone();
                if now.is_some() && now != slot.told {
                    slot.told.clone_from(&now);
                    told = now.map(Sealed);
                }
            }
            Sighting::Failed(_) => slot.kept = None,
        }
        let asked = Monotonic(Duration::from_micros(look.asked - self.agent.origin));
        let member = self.members[host].clone();
        self.feed(Event::Seen { member, asked, sighting, conninfo: told });
    }

    /// Whether the history of this server is known to the agent's end already.
    pub fn history_known(&self, host: Host) -> bool {
        let key = (self.nodes[host].incarnation, self.nodes[host].timeline);
        self.setup.eager_history || self.agent.slots[host].cached == Some(key)
    }

    pub fn lost(&mut self, life: u64, host: Host, incarnation: u64, class: FailureClass) {
        if life != self.agent.life || self.agent.slots[host].kept != Some(incarnation) {
            return;
        }
        self.agent.slots[host].kept = None;
        let why = Failure { class, detail: format!("{class:?}") };
        let member = self.members[host].clone();
        self.feed(Event::Lost { member, why });
    }

    // Calls.

    fn enqueue(&mut self, id: CallId, host: Host, action: Action, within: Duration) {
        self.unique += 1;
        let call = self.unique;
        let hook = matches!(action, Action::FenceHook | Action::RejoinHook { .. });
        let life = self.agent.life;
        self.agent.calls.insert(call, Calling { id, host, life, action, within, sent: hook });
        if hook {
            let takes = self.random.between(20, 900) * MS;
            self.after(takes, Ev::Hook { call });
            return;
        }
        self.agent.queues[host].push_back(call);
        self.next_call(host);
    }

    fn next_call(&mut self, host: Host) {
        if self.agent.busy[host].is_some() {
            return;
        }
        let Some(call) = self.agent.queues[host].pop_front() else { return };
        self.agent.busy[host] = Some(call);
        let Some(known) = self.agent.calls.get_mut(&call) else { return };
        known.sent = true;
        let within = known.within.as_micros() as Time;
        let life = self.agent.life;
        self.after(within, Ev::CallDeadline { life, call });
        match self.way(self.here(), host) {
            Some(way) => self.after(way * 3, Ev::CallArrive { host, call }),
            None => self.limbo(host, call),
        }
    }

    pub fn call_deadline(&mut self, life: u64, call: u64) {
        let open = self.agent.busy.contains(&Some(call));
        if life == self.agent.life && open {
            self.call_reply(life, call, no("timed out", true));
        }
    }

    pub fn call_reply(&mut self, life: u64, call: u64, result: Result<Answer, CallError>) {
        let Some(known) = self.agent.calls.get(&call) else { return };
        if life != self.agent.life || known.life != life {
            return;
        }
        let (id, host) = (known.id, known.host);
        let hook = matches!(known.action, Action::FenceHook | Action::RejoinHook { .. });
        if hook {
            self.agent.calls.remove(&call);
        } else {
            // It stays known: the server may still come to it.
            if self.agent.busy[host] != Some(call) {
                return;
            }
            self.agent.busy[host] = None;
        }
        let twice = self.random.below(50) == 0;
        if twice {
            self.feed(Event::Done { call: id, result: result.clone() });
        }
        self.feed(Event::Done { call: id, result });
        if self.agent.life == life {
            self.next_call(host);
        }
    }

    pub fn hook(&mut self, call: u64) {
        let Some(known) = self.agent.calls.get(&call) else { return };
        let (host, life) = (known.host, known.life);
        match known.action.clone() {
            Action::FenceHook => {
                let proves = self.agent.hook_proves;
                if proves {
                    self.kill(host, FailureClass::Reset, crate::node::Process::Off);
                    self.ledger.fenced_off.insert(host);
                    let epoch = self.agent.disk.operation.as_ref().map_or(0, |operation| operation.epoch);
                    self.ledger.shot = Some((epoch, life));
                }
                let result = if proves { Ok(Answer::Done) } else { no("exit 1", false) };
                self.call_reply(life, call, result);
            }
            Action::RejoinHook { primary } => {
                let from = self.members.iter().position(|member| *member == primary);
                if let Some(from) = from {
                    self.rewind(host, from, call);
                }
            }
            _ => {}
        }
    }

    fn update_route(&mut self) {
        let now = self.monotonic();
        let Some(core) = &self.agent.core else { return };
        let route = core.route(now);
        let same = self
            .agent
            .route
            .as_ref()
            .is_some_and(|old| (old.epoch, &old.to, &old.keep) == (route.epoch, &route.to, &route.keep));
        if same {
            return;
        }
        self.note(|_| format!("route {route:?}"));
        let keep: Vec<_> =
            route.keep.iter().filter_map(|m| self.members.iter().position(|own| own == m)).collect();
        let epoch = route.epoch;
        let there = route.to.is_some();
        self.agent.route = Some(route);
        let since = self.ledger.route_since.unwrap_or(self.now);
        if !there && self.ledger.route_since.is_some() {
            self.ledger.routed_for = self.now - since;
        }
        self.ledger.route_since = there.then_some(since);
        self.reset_proxied(Some(epoch), &keep);
    }

    pub fn routed_to(&self) -> Option<Host> {
        let to = self.agent.route.as_ref()?.to.as_ref()?;
        self.members.iter().position(|own| own == to)
    }
}
