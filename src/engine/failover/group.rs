//! The task of one group: feeds the protocol and does what it says.
//!
//! ```text
//! lookers, actors, hooks --inputs--> step --> commit --> route, calls, looks
//! ```
//! Everything of a group is polled in this one task, so its events have one order. A
//! commit is waited for where it stands in the list of effects: nothing after it is
//! done before it is on the disk. The route is published after every step, from what
//! the protocol holds then, and never by anybody else.
//!
//! Wrong would be to answer for the protocol, e.g. to promote again because a call
//! failed: after a crash nobody would know.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::actor::{Actor, Task};
use super::hook::Hooks;
use super::looker::{Looker, Order};
use super::memory::Memory;
use super::show::{self, Noted};
use super::{Ask, Input, Plan};
use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::time::{Monotonic, Timestamp};
use crate::logic::failover::{Action, CallError, CallId, Core, Effect, Event, Happening, Sealed};
use crate::model::failover::durable::Durable;
use crate::model::failover::group::Refusal;
use crate::model::failover::route::{Address, Route};
use crate::model::failover::view::{CheckReport, Finding};
use crate::runtime::supervisor::TaskResult;
use crate::targets::postgres::member::{MemberAction, MemberLink, Peer};

/// Events that wait for the task; lookers and actors wait when it is full.
const WAITING: usize = 64;
/// Orders and calls that wait for one member.
const ORDERS: usize = 16;
/// The check of grants and settings: soon after the start, the return of a member and a change of
/// head, which may have mended something; then now and then, sooner while something is found.
const CHECK_AFTER: Duration = Duration::from_secs(3);
const CHECK_EVERY: Duration = Duration::from_secs(900);
const CHECK_FOUND: Duration = Duration::from_secs(60);
const CHECK_WITHIN: Duration = Duration::from_secs(10);
/// Dry runs that wait at once.
const DRY_RUNS: usize = 16;
/// Series at rest are pushed so often, and at every change of state.
const FIGURES_EVERY: Duration = Duration::from_secs(5);

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the routes go.
#[derive(Clone)]
pub struct Routes {
    pub write: Arc<watch::Sender<Route>>,
    pub read: Arc<watch::Sender<Route>>,
}

/// See the module.
pub struct Group {
    plan: Plan,
    core: Core,
    memory: Memory,
    hooks: Hooks,
    orders: BTreeMap<Name, mpsc::Sender<Order>>,
    tasks: BTreeMap<Name, mpsc::Sender<Task>>,
    inputs: mpsc::Sender<Input>,
    work: FuturesUnordered<Work>,
    replies: BTreeMap<u64, oneshot::Sender<Result<(), Refusal>>>,
    next_reply: u64,
    noted: Noted,
    figures_due: Instant,
    check_due: Instant,
    /// A check runs, and these wait for what it finds.
    checking: bool,
    dry_runs: Vec<oneshot::Sender<CheckReport>>,
}

/// Runs a group until it is told to stop.
///
/// # Errors
/// What it remembers cannot be read.
pub async fn run(plan: Plan, asks: &mut mpsc::Receiver<Ask>, stop: &CancellationToken) -> TaskResult {
    let memory = Memory::new(plan.name(), &plan.store, &plan.sealer, &plan.data_dir);
    let durable =
        memory.load().await.map_err(|error| format!("what the group remembers is not read: {error}"))?;
    let (inputs, mut received) = mpsc::channel(WAITING);
    let mut group = Group::new(plan, memory, durable, inputs);
    group.step(Event::Tick).await;
    loop {
        let wake = group.instant(group.core.wake_at());
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(input) = received.recv() => group.take(input).await,
            Some(()) = group.work.next() => {}
            Some(ask) = asks.recv() => group.answer(ask).await,
            () = tokio::time::sleep_until(wake) => group.step(Event::Tick).await,
        }
        group.rest();
    }
}

impl Group {
    fn new(plan: Plan, memory: Memory, durable: Durable, inputs: mpsc::Sender<Input>) -> Self {
        let clock = plan.surroundings.clock.clone();
        let settings = plan.settings();
        let timeout = settings.timeout;
        let core = Core::new(settings, durable, clock.monotonic(), clock.now());
        let work: FuturesUnordered<Work> = FuturesUnordered::new();
        let (mut orders, mut tasks) = (BTreeMap::new(), BTreeMap::new());
        for section in &plan.members {
            let member = section.name.clone();
            let (order, ordered) = mpsc::channel(ORDERS);
            let (task, tasked) = mpsc::channel(ORDERS);
            let link = || MemberLink::new(section, &plan.surroundings);
            let looker = Looker {
                member: member.clone(),
                link: link(),
                clock: clock.clone(),
                timeout,
                orders: ordered,
                events: inputs.clone(),
            };
            let actor = Actor { link: link(), tasks: tasked, events: inputs.clone() };
            work.push(Box::pin(looker.run()));
            work.push(Box::pin(actor.run()));
            orders.insert(member.clone(), order);
            tasks.insert(member, task);
        }
        let now = Instant::now();
        Self {
            hooks: Hooks::of(&plan),
            plan,
            core,
            memory,
            orders,
            tasks,
            inputs,
            work,
            replies: BTreeMap::new(),
            next_reply: 0,
            noted: Noted::default(),
            figures_due: now,
            check_due: now + CHECK_AFTER,
            checking: false,
            dry_runs: Vec::new(),
        }
    }

    fn now(&self) -> (Monotonic, Timestamp) {
        let clock = &self.plan.surroundings.clock;
        (clock.monotonic(), clock.now())
    }

    fn instant(&self, at: Monotonic) -> Instant {
        Instant::now() + at.since(self.plan.surroundings.clock.monotonic())
    }

    async fn take(&mut self, input: Input) {
        let event = match input {
            Input::Looked { member, asked, sighting, conninfo, problem } => {
                if self.noted.look(&member, &sighting, problem) {
                    self.check_soon();
                }
                let conninfo = self.seal(&member, conninfo).await;
                Event::Seen { member, asked, sighting: *sighting, conninfo }
            }
            Input::Lost { member, why } => Event::Lost { member, why },
            Input::Done { call, result } => Event::Done { call, result },
            Input::Checked { findings, restores } => {
                self.checked(findings, restores);
                return;
            }
        };
        self.step(event).await;
    }

    async fn seal(&mut self, member: &Name, conninfo: Option<Secret>) -> Option<Sealed> {
        let memory = self.memory.clone();
        match memory.seal(member, conninfo?).await {
            Ok(sealed) => Some(Sealed(sealed)),
            Err(error) => {
                tracing::error!(group = %self.plan.name(), %member, %error, "what it follows cannot be sealed: it will not be cut");
                None
            }
        }
    }

    /// One event, and all that follows from it.
    async fn step(&mut self, event: Event) {
        let (now, wall) = self.now();
        let effects = self.core.step(event, now, wall);
        self.obey(effects).await;
    }

    /// Effects in their order, and those of what comes of the commits among them.
    async fn obey(&mut self, effects: Vec<Effect>) {
        let mut queue: VecDeque<Effect> = effects.into();
        let mut durable = true;
        while let Some(effect) = queue.pop_front() {
            match effect {
                Effect::Commit { durable: value, entries } => {
                    durable = self.memory.commit(&value, &entries).await;
                    let (now, wall) = self.now();
                    let more = self.core.step(Event::Committed { ok: durable }, now, wall);
                    // At once: the route of a failover is not to wait for anything else.
                    self.publish_routes();
                    queue.extend(more);
                }
                Effect::Call { call, .. } if !durable => {
                    let detail = String::from("what allows it could not be written");
                    self.fail(call, detail);
                }
                Effect::Call { call, member, action, within } => {
                    self.call(call, member, action, within).await;
                }
                Effect::Look { member, after, fresh, canary } => {
                    let order = Order { at: Instant::now() + after, fresh, canary };
                    // A full queue holds earlier orders for the same member.
                    let _ = self.orders.get(&member).map(|orders| orders.try_send(order));
                }
                Effect::Reply { id, result } => {
                    if let Some(reply) = self.replies.remove(&id) {
                        // Whoever asked may have gone.
                        let _ = reply.send(result);
                    }
                }
                Effect::Tell(happening) => {
                    self.figures_due = Instant::now();
                    if matches!(happening, Happening::Switched(_) | Happening::Rejoined { .. }) {
                        self.check_soon();
                    }
                    show::tell(&self.plan, &happening);
                }
            }
        }
        self.publish_routes();
    }

    fn fail(&self, call: CallId, detail: String) {
        let result = Err(CallError { detail, unknown: false });
        let inputs = self.inputs.clone();
        self.work.push(Box::pin(async move {
            let _ = inputs.send(Input::Done { call, result }).await;
        }));
    }

    async fn call(&mut self, call: CallId, member: Name, action: Action, within: Duration) {
        let deadline = Instant::now() + within;
        let memory = self.memory.clone();
        let unsealed = async |sealed: &Sealed| memory.open(&member, sealed).await;
        let action = match &action {
            Action::Cut => MemberAction::Cut,
            Action::Fence { epoch } => MemberAction::Fence { epoch: *epoch },
            Action::Unfence { sync_names } => MemberAction::Unfence { sync_names: sync_names.clone() },
            Action::Promote => MemberAction::Promote,
            Action::Verify => MemberAction::Verify,
            Action::SyncNames { names } => MemberAction::SyncNames { names: names.clone() },
            Action::Drain { epoch, drain } => MemberAction::Drain { epoch: *epoch, drain: *drain },
            Action::Replay { lsn } => MemberAction::Replay { lsn: *lsn },
            Action::Restore { conninfo } => match unsealed(conninfo).await {
                Ok(conninfo) => MemberAction::Restore { conninfo },
                Err(error) => return self.fail(call, error),
            },
            Action::Repoint { to, conninfo } => {
                let Some(Address { host, port, .. }) = self.plan.address(to) else {
                    return self.fail(call, format!("{to} is no member any more"));
                };
                match unsealed(conninfo).await {
                    Ok(conninfo) => MemberAction::Repoint { host, port, conninfo },
                    Err(error) => return self.fail(call, error),
                }
            }
            Action::FenceHook | Action::RejoinHook { .. } => {
                let run = self.hooks.run(&member, &action, deadline);
                let inputs = self.inputs.clone();
                self.work.push(Box::pin(async move {
                    let result = run.await;
                    let _ = inputs.send(Input::Done { call, result }).await;
                }));
                return;
            }
        };
        let sent = self.tasks.get(&member).map(|tasks| tasks.try_send(Task { call, action, deadline }));
        if !matches!(sent, Some(Ok(()))) {
            self.fail(call, format!("{member} has too much to do"));
        }
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Command { command, reply } => {
                self.next_reply += 1;
                let id = self.next_reply;
                self.replies.insert(id, reply);
                self.step(Event::Command { id, command }).await;
            }
            // Whoever has just run what the last check printed asks whether that was all.
            Ask::Check { reply } if self.dry_runs.len() < DRY_RUNS => {
                self.dry_runs.push(reply);
                self.check();
            }
            Ask::Check { reply } => drop(reply),
        }
    }

    fn publish_routes(&self) {
        let (now, _) = self.now();
        let route = self.core.route(now).resolve(|member| self.plan.address(member));
        self.plan.routes.write.send_if_modified(|shown| {
            let changed = *shown != route;
            if changed {
                shown.clone_from(&route);
            }
            changed
        });
        let (to, keep) = self.core.readers();
        let to: Vec<_> = to.iter().filter_map(|member| self.plan.address(member)).collect();
        let reason = String::from("no standby within the lag limit");
        // Readers stay where they are over a change of head.
        let read = Route { epoch: 0, to, keep, reason };
        self.plan.routes.read.send_if_modified(|shown| {
            let changed = *shown != read;
            if changed {
                shown.clone_from(&read);
            }
            changed
        });
    }

    /// What is not urgent: what people see, series, the check of grants.
    fn rest(&mut self) {
        let now = Instant::now();
        let (at, wall) = self.now();
        let view = show::view(&self.plan, &self.core, &self.noted, at, wall);
        if now >= self.figures_due {
            self.figures_due = now + FIGURES_EVERY;
            let stream = format!("failover/{}", self.plan.name());
            self.plan.store.append(&stream, wall, &show::figures(&self.plan, &self.core, &self.noted, &view));
        }
        self.plan.show(Arc::new(view));
        if now >= self.check_due && !self.checking {
            self.check_due = now + CHECK_EVERY;
            self.check();
        }
    }

    fn check_soon(&mut self) {
        self.check_due = self.check_due.min(Instant::now() + CHECK_AFTER);
    }

    /// Asks every member for grants and settings, on connections of its own.
    fn check(&mut self) {
        if std::mem::replace(&mut self.checking, true) {
            return;
        }
        let (plan, inputs) = (self.plan.clone(), self.inputs.clone());
        let peers: Vec<Peer> = plan.peers(&self.core);
        self.work.push(Box::pin(async move {
            let each = plan.members.iter().map(|section| async {
                let mut link = MemberLink::new(section, &plan.surroundings);
                let others: Vec<_> = peers.iter().filter(|peer| peer.name != section.name).cloned().collect();
                let found = link.check(&section.name, &others, Instant::now() + CHECK_WITHIN).await;
                let found = found.into_iter().map(|found| show::finding(&section.name, found));
                (found.collect::<Vec<_>>(), link.restores().map(|restores| (section.name.clone(), restores)))
            });
            let (findings, restores): (Vec<_>, Vec<_>) = join_all(each).await.into_iter().unzip();
            let findings = findings.into_iter().flatten().collect();
            let restores = restores.into_iter().flatten().collect();
            let _ = inputs.send(Input::Checked { findings, restores }).await;
        }));
    }

    /// A check ended: who waits for it is answered.
    fn checked(&mut self, findings: Vec<Finding>, restores: Vec<(Name, bool)>) {
        self.checking = false;
        if !findings.is_empty() {
            self.check_due = self.check_due.min(Instant::now() + CHECK_FOUND);
        }
        self.noted.checked(findings, restores);
        let (now, wall) = self.now();
        for reply in std::mem::take(&mut self.dry_runs) {
            let _ = reply.send(show::report(&self.plan, &self.core, &self.noted, now, wall));
        }
    }
}
