//! The simulated world: a queue of events over servers, links, one agent, clients.
//!
//! The pattern: everything that happens is an [`Ev`] at a time; who handles it lives
//! in the file of its owner (`server`, `agent`, `clients`, `faults`), and after every
//! event of the agent `check` looks for a broken promise. Nothing reads a clock or a
//! global, so a seed is a run.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use holdfast::base::id::Name;
use holdfast::base::time::Timestamp;
use holdfast::logic::failover::{Answer, CallError, Settings};
use holdfast::model::failover::sighting::{Facts, FailureClass, Sighting};

use crate::agent::Agent;
use crate::check::Ledger;
use crate::clients::Writer;
use crate::faults::Fault;
use crate::node::{Host, MS, Node, Process, SECOND, Time};
use crate::random::Random;
use crate::sessions::Parked;

/// 2026-01-01, so that cool-downs of a day fit before it.
const WALL: i64 = 1_767_225_600_000;

pub enum Ev {
    // Of the agent's process; they wait while it stands still.
    Tick { life: u64, number: u64 },
    LookStart { life: u64, host: Host, number: u64 },
    LookReply { life: u64, look: u64, sighting: Box<Sighting> },
    LookDeadline { life: u64, look: u64 },
    Lost { life: u64, host: Host, incarnation: u64, class: FailureClass },
    CallReply { life: u64, call: u64, result: Box<Result<Answer, CallError>> },
    CallDeadline { life: u64, call: u64 },
    Committed { life: u64, ok: bool },
    AgentStart,
    // Of servers.
    LookArrive { host: Host, look: u64 },
    CanaryDeadline { host: Host, look: u64 },
    CallArrive { host: Host, call: u64 },
    Promoted { host: Host, incarnation: u64, call: u64 },
    Connect { host: Host, incarnation: u64 },
    Deliver { host: Host, connection: u64, upto: usize },
    Replay { host: Host, connection: u64, upto: usize },
    Ack { host: Host, connection: u64, flushed: usize, replayed: usize },
    ReceiverEnd { host: Host, connection: u64 },
    SenderEnd { host: Host, connection: u64 },
    Phase { host: Host, incarnation: u64, to: Process },
    Rewound { host: Host, incarnation: u64, from: Host, keep: bool, call: u64 },
    Hook { call: u64 },
    // Of clients.
    Write { writer: usize },
    WriteArrive { writer: usize, host: Host, sessions: u64, connection: u64 },
    WriteAck { writer: usize, id: u32, connection: u64, synced: bool },
    WriteFailed { writer: usize, connection: u64 },
    Fault(Fault),
}

struct Item {
    at: Time,
    order: u64,
    ev: Ev,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Item {}
impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Item {
    // The heap gives the greatest first: the earliest is to be it.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// What a run is like besides its faults.
#[derive(Clone, Debug)]
pub struct Setup {
    pub servers: usize,
    pub settings: Settings,
    /// As set on the primary; on every server of a T0 group it is empty.
    pub sync_names: String,
    /// Events wait while a commit is on its way to the disk.
    pub serial: bool,
    /// A promise about loss can be kept only by the pace that was seen.
    pub steady_writes: bool,
    pub writers: usize,
    pub direct: usize,
    /// Between two writes of a client.
    pub pause: Time,
    /// `wal_retrieve_retry_interval`.
    pub retry: Time,
    /// `wal_receiver_timeout`.
    pub receiver_timeout: Time,
    /// The history of a server is in its first look.
    pub eager_history: bool,
    /// The log of a standby ends within a record when its primary died.
    pub torn: bool,
}

pub struct World {
    pub now: Time,
    order: u64,
    queue: BinaryHeap<Item>,
    pub random: Random,
    pub setup: Setup,
    pub members: Vec<Name>,
    pub names: Vec<String>,
    pub nodes: Vec<Node>,
    /// Directed: how many faults block this way.
    blocked: Vec<Vec<u32>>,
    slow: Vec<Vec<Time>>,
    pub agent: Agent,
    pub writers: Vec<Writer>,
    pub ledger: Ledger,
    pub unique: u64,
    pub parked: Parked,
    pub wall_jump: i64,
    trace: Option<Vec<String>>,
}

impl World {
    pub fn new(seed: u64, setup: Setup, traced: bool) -> Self {
        let members = setup.settings.members.clone();
        let names: Vec<_> = members.iter().map(ToString::to_string).collect();
        let mut nodes: Vec<_> = names.iter().map(|name| Node::new(name.clone(), 77)).collect();
        for (at, node) in nodes.iter_mut().enumerate() {
            if setup.settings.switch {
                node.system_id = 100 + at as u64;
            } else if at > 0 {
                node.standby = true;
                node.follows = Some(0);
            }
        }
        nodes[0].set_sync(&setup.sync_names);
        let hosts = names.len() + 2;
        let agent = Agent::new(names.len());
        let mut world = Self {
            now: 0,
            order: 0,
            queue: BinaryHeap::new(),
            random: Random::new(seed),
            members,
            names,
            nodes,
            blocked: vec![vec![0; hosts]; hosts],
            slow: vec![vec![0; hosts]; hosts],
            agent,
            writers: Vec::new(),
            ledger: Ledger::default(),
            unique: 0,
            parked: Parked::default(),
            wall_jump: 0,
            trace: traced.then(Vec::new),
            setup,
        };
        for host in 0..world.nodes.len() {
            if world.nodes[host].standby {
                world.nodes[host].log = world.nodes[0].log.clone();
                world.nodes[host].replayed = 1;
            } else {
                world.own_record(host);
            }
            world.at(world.now, Ev::Connect { host, incarnation: 1 });
        }
        world.make_writers();
        world.at(MS, Ev::AgentStart);
        world
    }

    /// The agent's host.
    pub fn here(&self) -> Host {
        self.nodes.len()
    }

    /// The host of the clients that go around the proxy.
    pub fn elsewhere(&self) -> Host {
        self.nodes.len() + 1
    }

    pub fn at(&mut self, at: Time, ev: Ev) {
        self.order += 1;
        self.queue.push(Item { at: at.max(self.now), order: self.order, ev });
    }

    pub fn after(&mut self, wait: Time, ev: Ev) {
        self.at(self.now + wait, ev);
    }

    pub fn wall(&self) -> Timestamp {
        Timestamp(WALL + self.wall_jump + (self.now / MS) as i64)
    }

    pub fn note(&mut self, text: impl FnOnce(&Self) -> String) {
        let Some(mut lines) = self.trace.take() else { return };
        lines.push(format!("{:>10.3} {}", self.now as f64 / MS as f64, text(self)));
        self.trace = Some(lines);
    }

    pub fn trace(&self) -> String {
        self.trace.as_ref().map(|lines| lines.join("\n")).unwrap_or_default()
    }

    /// Time a packet takes, or `None` when none gets through.
    pub fn way(&mut self, from: Host, to: Host) -> Option<Time> {
        if self.blocked[from][to] > 0 {
            return None;
        }
        let mut time = self.random.between(100, 600) + self.slow[from][to];
        if self.random.below(400) == 0 {
            // Lost and sent again.
            time += 200 * MS;
        }
        Some(time)
    }

    pub fn is_open(&self, from: Host, to: Host) -> bool {
        self.blocked[from][to] == 0
    }

    pub fn block(&mut self, from: Host, to: Host) {
        self.blocked[from][to] += 1;
    }

    pub fn unblock(&mut self, from: Host, to: Host) {
        self.blocked[from][to] = self.blocked[from][to].saturating_sub(1);
        if self.blocked[from][to] == 0 {
            self.reopened(from, to);
        }
    }

    pub fn heal_links(&mut self) {
        let hosts = self.blocked.len();
        for from in 0..hosts {
            for to in 0..hosts {
                self.slow[from][to] = 0;
                if self.blocked[from][to] > 0 {
                    self.blocked[from][to] = 1;
                    self.unblock(from, to);
                }
            }
        }
    }

    pub fn slow_down(&mut self, from: Host, to: Host, by: Time) {
        self.slow[from][to] = by;
    }

    /// A record that a server writes by itself.
    pub fn own_record(&mut self, host: Host) -> usize {
        self.append(host, 0, 100)
    }

    pub fn append(&mut self, host: Host, id: u32, bytes: u64) -> usize {
        self.unique += 1;
        self.nodes[host].append(self.unique, id, bytes);
        self.ship(host);
        self.nodes[host].log.len()
    }

    /// Runs until `until`, or until a promise was broken.
    pub fn run_until(&mut self, until: Time) {
        while self.ledger.broken.is_none() {
            match self.queue.peek() {
                Some(item) if item.at <= until => {}
                _ => break,
            }
            let Some(item) = self.queue.pop() else { break };
            self.now = item.at;
            self.dispatch(item.ev);
        }
        self.now = self.now.max(until);
    }

    pub fn run_for(&mut self, time: Time) {
        self.run_until(self.now + time);
    }

    /// Runs until it holds, looking every 10 ms; `false` when it did not in time.
    pub fn run_while(&mut self, limit: Time, mut more: impl FnMut(&Self) -> bool) -> bool {
        let until = self.now + limit;
        while more(self) {
            if self.now >= until || self.ledger.broken.is_some() {
                return false;
            }
            self.run_for(10 * MS);
        }
        true
    }

    fn dispatch(&mut self, ev: Ev) {
        if self.agent.stalled_until > self.now && is_of_agent(&ev) {
            self.at(self.agent.stalled_until, ev);
            return;
        }
        match ev {
            Ev::Tick { life, number } => self.tick(life, number),
            Ev::LookStart { life, host, number } => self.look_start(life, host, number),
            Ev::LookReply { life, look, sighting } => self.look_reply(life, look, *sighting),
            Ev::LookDeadline { life, look } => self.look_deadline(life, look),
            Ev::Lost { life, host, incarnation, class } => self.lost(life, host, incarnation, class),
            Ev::CallReply { life, call, result } => self.call_reply(life, call, *result),
            Ev::CallDeadline { life, call } => self.call_deadline(life, call),
            Ev::Committed { life, ok } => self.committed(life, ok),
            Ev::AgentStart => self.agent_start(),
            Ev::LookArrive { host, look } => self.look_arrive(host, look),
            Ev::CanaryDeadline { host, look } => self.canary_deadline(host, look),
            Ev::CallArrive { host, call } => self.call_arrive(host, call),
            Ev::Promoted { host, incarnation, call } => self.promoted(host, incarnation, call),
            Ev::Connect { host, incarnation } => self.connect(host, incarnation),
            Ev::Deliver { host, connection, upto } => self.deliver(host, connection, upto),
            Ev::Replay { host, connection, upto } => self.replay(host, connection, upto),
            Ev::Ack { host, connection, flushed, replayed } => self.ack(host, connection, flushed, replayed),
            Ev::ReceiverEnd { host, connection } => self.receiver_end(host, connection),
            Ev::SenderEnd { host, connection } => self.sender_end(host, connection),
            Ev::Phase { host, incarnation, to } => self.phase(host, incarnation, to),
            Ev::Rewound { host, incarnation, from, keep, call } => {
                self.rewound(host, incarnation, from, keep, call);
            }
            Ev::Hook { call } => self.hook(call),
            Ev::Write { writer } => self.write(writer),
            Ev::WriteArrive { writer, host, sessions, connection } => {
                self.write_arrive(writer, host, sessions, connection);
            }
            Ev::WriteAck { writer, id, connection, synced } => self.write_ack(writer, id, connection, synced),
            Ev::WriteFailed { writer, connection } => self.write_failed(writer, connection),
            Ev::Fault(fault) => self.fault(fault),
        }
    }

    /// What a look would show now.
    pub fn facts(&mut self, host: Host, history: bool) -> Facts {
        crate::server::facts(self, host, history)
    }

    pub fn seconds(&self) -> f64 {
        self.now as f64 / SECOND as f64
    }
}

const fn is_of_agent(ev: &Ev) -> bool {
    matches!(
        ev,
        Ev::Tick { .. }
            | Ev::LookStart { .. }
            | Ev::LookReply { .. }
            | Ev::LookDeadline { .. }
            | Ev::Lost { .. }
            | Ev::CallReply { .. }
            | Ev::CallDeadline { .. }
            | Ev::Committed { .. }
            | Ev::Hook { .. }
    )
}
