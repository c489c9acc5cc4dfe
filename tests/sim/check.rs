//! What must hold at every moment, whatever happened. The names are those of the
//! invariants of the protocol.
//!
//! | name | promise |
//! |---|---|
//! | F1 | at most one member is routed, that of the durable head and epoch |
//! | F2 | epochs never go back; one candidate per epoch |
//! | F3, F4 | promoted only after a durable intent, routed only as the durable head |
//! | F5 | connections of an older epoch are ended before servers are changed |
//! | F6 | what synchronous standbys acknowledged is on every later head |
//! | F7 | an asynchronous failover loses at most what it says |
//! | F8 | another cluster, another history, too far behind: never promoted |
//! | F9 | a superseded member is routed only after it followed the head |
//! | F10 | whoever sees nobody promotes nobody |
//! | F11 | cool-down and failovers per day |
//! | F17 | paused, manual, router: no outside change |
//! | J3 | the fence hook turns off only a primary that is replaced |

use std::collections::{BTreeMap, BTreeSet};

use holdfast::base::id::Name;
use holdfast::logic::failover::Action;
use holdfast::model::failover::durable::{Durable, Operation, OperationKind, Step};
use holdfast::model::failover::group::{LossBasis, Mode};

use crate::clients::Row;
use crate::node::{Host, SECOND, Time};
use crate::world::World;

/// What really happened, for the judge.
#[derive(Default)]
pub struct Ledger {
    /// The first broken promise.
    pub broken: Option<String>,
    pub rows_written: u32,
    pub rows: Vec<Row>,
    pub promotions: u32,
    pub fenced_off: BTreeSet<Host>,
    /// So often a loss was measured.
    pub measured: u32,
    /// The operation whose fence hook turned a member off, by its epoch, in which life of the agent.
    pub shot: Option<(u64, u64)>,
    pub route_since: Option<Time>,
    /// How long the last route was there.
    pub routed_for: Time,
    candidates: BTreeMap<u64, Name>,
    /// Heads that were left, and whether they have followed a head since.
    left: BTreeMap<Host, bool>,
    pub pardoned: BTreeSet<Host>,
    /// When failovers by evidence ended.
    pub failovers: Vec<Time>,
    pub begun: u32,
    /// An operator did what may lose rows, or what nobody can put right alone.
    pub excused: bool,
    /// An operator asked for a change of head.
    pub asked: bool,
    /// The store went back in time.
    pub forgot: bool,
    /// Somebody promoted by hand.
    pub by_hand: bool,
    /// Since when no member can be reached.
    pub alone: Option<Time>,
    pub burst: bool,
    /// When the settings were changed.
    pub set_at: Option<Time>,
}

impl World {
    pub fn broken(&mut self, what: &str) {
        if self.ledger.broken.is_none() {
            self.ledger.broken = Some(format!("{what} (at {:.3} s)", self.seconds()));
            let text = what.to_owned();
            self.note(|_| format!("BROKEN {text}"));
        }
    }

    fn require(&mut self, holds: bool, what: &str) {
        if !holds {
            self.broken(what);
        }
    }

    pub fn host_of(&self, member: &Name) -> Option<Host> {
        self.members.iter().position(|own| own == member)
    }

    pub fn head(&self) -> Option<Host> {
        self.host_of(&self.agent.disk.head.as_ref()?.member)
    }

    /// Something was written to the disk.
    pub fn check_disk(&mut self) {
        let new = self.agent.disk.clone();
        let Some(old) = self.agent.past.last().cloned() else { return };
        self.require(new.epoch >= old.epoch, "F2: the epoch went back");
        if let Some(operation) = &new.operation
            && let Some(candidate) = &operation.candidate
        {
            let known = self.ledger.candidates.entry(operation.epoch).or_insert_with(|| candidate.clone());
            let same = known == candidate;
            self.require(same || self.ledger.forgot, "F2: two candidates in one epoch");
        }
        if let Some(operation) = new.operation.as_ref().filter(|_| old.operation.is_none()) {
            self.check_begin(operation, &old);
        }
        if let Some(operation) = old.operation.as_ref().filter(|_| new.operation.is_none()) {
            let kept = new.head == operation.from;
            // A switchover that is rolled back has the epoch of the failover before it.
            let shot = self.ledger.shot == Some((operation.epoch, self.agent.life))
                && operation.kind != OperationKind::Switchover;
            self.require(!kept || !shot, "J3: the fence hook shot a primary that was kept");
        }
        let basis = |durable: &Durable| durable.last.as_ref().map(|last| (last.epoch, last.lost_bytes_basis));
        if basis(&new) != basis(&old) && basis(&new).is_some_and(|(_, basis)| basis == LossBasis::Measured) {
            self.check_measured(&new);
        }
        let member = |durable: &Durable| durable.head.as_ref().map(|head| head.member.clone());
        if member(&new) != member(&old) {
            self.check_head(&new, &old);
        }
        for (host, name) in self.members.clone().iter().enumerate() {
            let superseded = new.members.get(name).is_some_and(|memory| memory.superseded.is_some());
            if superseded || member(&new).as_ref() == Some(name) {
                continue;
            }
            match self.ledger.left.get(&host) {
                Some(true) => drop(self.ledger.left.remove(&host)),
                Some(false) if self.ledger.pardoned.contains(&host) || self.ledger.forgot => {
                    self.ledger.left.remove(&host);
                }
                Some(false) => self.broken("F9: trusted again without having followed the head"),
                None => {}
            }
        }
    }

    fn check_begin(&mut self, operation: &Operation, old: &Durable) {
        self.ledger.begun += 1;
        let wall = self.wall();
        let paused = old.paused.is_some_and(|pause| pause.until.is_none_or(|until| wall < until));
        self.require(!paused && !old.disabled, "F17: an operation began while paused");
        if operation.kind != OperationKind::Failover {
            return;
        }
        // A commit that is on its way when the settings change was allowed by those before.
        let just_set = self.ledger.set_at.is_some();
        self.require(just_set || self.setup.settings.mode == Mode::Auto, "F17: a failover began by itself");
        let long = self.setup.settings.timeout.as_micros() as Time * 2 + SECOND;
        // It was decided when its commit set out.
        let decided = self.agent.commit_began;
        let alone = self.ledger.alone.is_some_and(|since| decided > since + long);
        self.require(!alone, "F10: isolated and began a failover");
        if self.ledger.forgot || self.wall_jump != 0 {
            return;
        }
        let settings = &self.setup.settings;
        let cooldown = settings.cooldown.as_micros() as Time;
        let early =
            !just_set && self.ledger.failovers.last().is_some_and(|last| self.now + SECOND < last + cooldown);
        let many = !just_set && self.ledger.failovers.len() >= settings.max_per_day as usize;
        self.require(!early, "F11: within the cool-down");
        self.require(!many, "F11: more than `max_per_day`");
    }

    /// The durable head is another one.
    fn check_head(&mut self, new: &Durable, old: &Durable) {
        let Some(host) = self.head() else { return };
        let by_intent = old.operation.as_ref().filter(|operation| {
            operation.step == Step::Intent && operation.candidate.as_ref() == Some(&self.members[host])
        });
        if let Some(operation) = by_intent {
            if operation.kind == OperationKind::Failover {
                // It says when it was done, however long that took to write.
                self.ledger.failovers.push(self.agent.commit_began);
            }
            if operation.forced {
                self.forgive(host);
            }
        } else {
            let first = old.head.is_none();
            let allowed = first || self.ledger.by_hand || self.ledger.forgot || self.ledger.promotions > 0;
            self.require(allowed, "F4: another head without an intent");
        }
        if !self.nodes[host].is_up() {
            // It was when it said so.
        } else {
            let writable = !self.nodes[host].standby;
            self.require(writable, "F4: the new head is a standby");
        }
        let before = old.head.as_ref().and_then(|head| self.host_of(&head.member));
        if let Some(before) = before {
            self.ledger.left.insert(before, false);
            if !self.setup.settings.switch {
                self.ledger.pardoned.remove(&before);
            }
            self.check_loss(new, before, host);
        }
        let back = self.ledger.left.get(&host).copied();
        let back = back == Some(false) && !self.ledger.pardoned.contains(&host) && !self.ledger.forgot;
        self.require(!back || self.ledger.by_hand, "F9: a superseded member became the head");
        self.ledger.left.remove(&host);
        self.check_rows(host);
    }

    /// F7 of the change from one head to the next.
    fn check_loss(&mut self, new: &Durable, before: Host, host: Host) {
        let estimated = new.last.as_ref().is_some_and(|last| last.lost_bytes_basis == LossBasis::Estimated);
        if !estimated {
            // What is excluded is F6, and what is measured is measured later.
            return;
        }
        if self.setup.settings.switch || self.ledger.burst || !self.setup.steady_writes {
            return;
        }
        if self.ledger.routed_for < 3 * SECOND {
            // Clients that only just began again have no pace yet: the bound is an estimate.
            return;
        }
        let Some(bound) = new.last.as_ref().and_then(|last| last.lost_bytes_bound) else { return };
        if new.last.as_ref().is_none_or(|last| last.epoch != new.epoch) {
            return;
        }
        let bytes = self.bytes_lost(before, host);
        self.require(bytes <= bound, &format!("F7: {bytes} bytes were lost, the bound says {bound}"));
    }

    /// The old primary came back, and what was lost was measured: whatever the clients did.
    fn check_measured(&mut self, new: &Durable) {
        let Some(last) = &new.last else { return };
        let from = last.from.as_ref().and_then(|from| Name::new(from.as_str()).ok());
        let hosts = from.and_then(|from| self.host_of(&from)).zip(self.head());
        let (Some((before, host)), Some(bound)) = (hosts, last.lost_bytes_bound) else { return };
        self.ledger.measured += 1;
        let bytes = self.bytes_lost(before, host);
        self.require(bytes <= bound, &format!("F7: {bytes} bytes were lost, {bound} were measured"));
    }

    /// How far beyond the fork the last row is that clients of the proxy were told of and that is
    /// not on the new head.
    fn bytes_lost(&self, before: Host, host: Host) -> u64 {
        let held: BTreeSet<_> = self.nodes[host].log.iter().map(|record| record.id).collect();
        let lost = |row: &&Row| !row.direct && row.host == before && !held.contains(&row.id);
        let ids: BTreeSet<_> = self.ledger.rows.iter().filter(lost).map(|row| row.id).collect();
        let there = &self.nodes[before].log;
        let last = there.iter().rev().find(|record| ids.contains(&record.id)).map(|record| record.end);
        let fork = self.nodes[host].history.last().map_or(0, |fork| fork.at.0);
        last.map_or(0, |last| last.saturating_sub(fork))
    }

    /// F6: every row that synchronous standbys acknowledged is there.
    pub fn check_rows(&mut self, host: Host) {
        if self.ledger.excused {
            return;
        }
        let held: BTreeSet<_> = self.nodes[host].log.iter().map(|record| record.id).collect();
        let lost: Vec<_> =
            self.ledger.rows.iter().filter(|row| row.synced && !held.contains(&row.id)).collect();
        if let Some(row) = lost.first() {
            let text = format!("F6: {} rows are not on {}, first {row:?}", lost.len(), self.names[host]);
            self.broken(&text);
        }
    }

    /// An operator accepted the loss.
    fn forgive(&mut self, host: Host) {
        let held: BTreeSet<_> = self.nodes[host].log.iter().map(|record| record.id).collect();
        self.ledger.rows.retain(|row| held.contains(&row.id));
    }

    /// Before a call sets out.
    pub fn check_call(&mut self, host: Host, action: &Action) {
        let disk = self.agent.disk.clone();
        if matches!(action, Action::Replay { .. }) {
            return;
        }
        let wall = self.wall();
        let paused = disk.paused.is_some_and(|pause| pause.until.is_none_or(|until| wall < until));
        self.require(!paused && !disk.disabled, &format!("F17: {action:?} while paused"));
        let mode = if self.ledger.set_at.is_some() { Mode::Auto } else { self.setup.settings.mode };
        self.require(mode != Mode::Router, &format!("F17: {action:?} of a router"));
        let manual = mode == Mode::Manual && !self.ledger.asked;
        self.require(!manual, &format!("F17: {action:?} before an operator said anything"));
        if let Some(operation) = disk.operation.as_ref().filter(|operation| operation.step >= Step::Begun) {
            let open =
                self.agent.route.as_ref().is_some_and(|route| route.to.is_some() || !route.keep.is_empty());
            self.require(!open, &format!("F5: {action:?} while there is a route, {operation:?}"));
        }
        if *action == Action::Promote {
            self.check_promote(host, &disk);
        }
        if *action == Action::FenceHook {
            let least = if self.setup.settings.fenced { Step::Cut } else { Step::Intent };
            let decided = disk
                .operation
                .as_ref()
                .is_some_and(|operation| operation.step >= least && !operation.cut.is_empty());
            self.require(decided, "J3: the fence hook ran before it was decided who takes over");
        }
        if matches!(action, Action::Fence { .. } | Action::Drain { .. }) {
            let noted = disk.members.get(&self.members[host]).is_some_and(|memory| memory.fence.is_some());
            self.require(noted, "a fence that nobody would take off after a crash");
        }
    }

    fn check_promote(&mut self, host: Host, disk: &Durable) {
        let member = self.members[host].clone();
        let intent = disk.operation.as_ref().filter(|operation| {
            operation.step == Step::Intent && operation.candidate.as_ref() == Some(&member)
        });
        let Some(operation) = intent else {
            self.broken("F3: promoted without a durable intent");
            return;
        };
        let node = &self.nodes[host];
        if let Some(from) = &operation.from {
            let same = node.system_id == from.system_id;
            let on = node.timeline == from.timeline || !node.standby;
            let lag = operation.last_lsn.map_or(0, |last| last.since(operation.intent));
            let near = operation.forced || disk.quorum.is_some() || lag <= self.setup.settings.max_lag;
            self.require(same && (on || self.ledger.by_hand), "F8: another history is promoted");
            self.require(near, "F8: too far behind and promoted");
        }
        let fenced = self.setup.settings.fenced && operation.kind != OperationKind::Switchover;
        let from = operation.from.as_ref().and_then(|from| self.host_of(&from.member));
        let off = from.is_none_or(|from| self.ledger.fenced_off.contains(&from));
        self.require(!fenced || off, "T3: promoted before the old primary was proved off");
    }

    /// After a step of the protocol.
    pub fn check_step(&mut self) {
        let Some(core) = &self.agent.core else { return };
        if self.random.below(64) == 0 {
            // F19: what a dry run asks is answered by reading.
            let _ = (core.candidates(), core.would_promote().is_ok());
        }
        let Some(to) = self.routed_to() else { return };
        let epoch = self.agent.route.as_ref().map(|route| route.epoch);
        let head = self.head();
        let idle = self.agent.disk.operation.is_none();
        let same = epoch == Some(self.agent.disk.epoch);
        self.require(head == Some(to) && idle && same, "F1: a route that is not the durable head's");
        let left = self.ledger.left.get(&to) == Some(&false);
        self.require(!left || self.ledger.forgot, "F9: a superseded member is routed");
    }

    /// A standby connected to a primary.
    pub fn followed(&mut self, host: Host, from: Host) {
        if self.head() == Some(from)
            && let Some(followed) = self.ledger.left.get_mut(&host)
        {
            *followed = true;
        }
    }

    /// A client was told of a commit.
    pub fn check_row(&mut self, row: Row, epoch: u64) {
        if !row.direct {
            let open =
                self.agent.route.as_ref().is_some_and(|route| {
                    route.epoch == epoch && route.keep.contains(&self.members[row.host])
                });
            self.require(open, "F5: bytes on a connection of an older epoch");
        }
        let rival = row.synced && self.agent.disk.operation.is_none() && self.head() != Some(row.host);
        let excused = self.ledger.excused || self.agent.core.is_none();
        if rival && !excused && !self.nodes[self.head().unwrap_or(row.host)].holds(row.id) {
            self.broken("F6: acknowledged by a server that is not the head");
        }
    }
}
