//! What goes wrong in a run, and what operators do meanwhile.

use std::time::Duration;

use holdfast::logic::failover::{Command, Event, Settings};
use holdfast::model::failover::durable::Durable;
use holdfast::model::failover::sighting::FailureClass;

use crate::node::{Host, MS, Process, SECOND, Time};
use crate::world::{Ev, World};

/// Whoever is the head when the fault comes.
pub const HEAD: Host = Host::MAX;

#[derive(Clone, PartialEq, Debug)]
pub enum Fault {
    /// `kill -9` of the server's processes.
    Kill(Host),
    /// Started again.
    Start(Host),
    /// `pg_ctl restart`: said, gone for a while, recovering for a while.
    Restart {
        host: Host,
        down: Time,
        recovery: Time,
    },
    Hang(Host, Time),
    Continue(Host),
    /// The whole host.
    PowerOff(Host),
    /// Nothing gets from one to the other.
    Block(Host, Host, Time),
    Unblock(Host, Host),
    /// The agent's own network.
    Isolate(Time),
    Rejoin,
    DiskFull(Host, Time),
    DiskFree(Host),
    TooManyClients(Host, Time),
    FewClients(Host),
    ReplayPause(Host, Time),
    ReplayResume(Host),
    Slow(Host, Host, Time),
    /// Whatever the server answers is so late, for a while.
    Laden(Host, Time, Time),
    Relieved(Host),
    Burst(u64),
    AgentCrash(Time),
    AgentStall(Time),
    /// The next commit takes so long, and nothing else stands still.
    CommitStalls(Time),
    CommitsFail(u32),
    /// The store is that of so many commits ago; `true`: the file beside it is there.
    StoreOlder(usize, bool),
    StoreEmpty(bool),
    Command(Command),
    PromoteByHand(Host),
    RewindByHand(Host),
    SyncEdit(String),
    Settings(Box<Settings>),
    WallJump(i64),
}

impl World {
    pub fn fault(&mut self, fault: Fault) {
        self.note(|_| format!("# {fault:?}"));
        match self.resolved(fault) {
            Fault::Kill(host) => self.kill(host, FailureClass::Reset, Process::Down),
            Fault::PowerOff(host) => self.kill(host, FailureClass::Reset, Process::Off),
            Fault::Start(host) => {
                let recovery = self.random.between(50, 1500) * MS;
                self.start(host, MS, recovery);
            }
            Fault::Restart { host, down, recovery } => {
                if self.nodes[host].is_up() {
                    self.kill(host, FailureClass::Stopping, Process::Down);
                    self.start(host, down, recovery);
                }
            }
            Fault::Hang(host, time) => {
                if self.nodes[host].is_up() {
                    self.nodes[host].process = Process::Hung;
                    self.after(time, Ev::Fault(Fault::Continue(host)));
                }
            }
            Fault::Continue(host) => self.go_on(host),
            Fault::Block(from, to, time) => {
                self.block(from, to);
                self.after(time, Ev::Fault(Fault::Unblock(from, to)));
                self.note_reach();
            }
            Fault::Unblock(from, to) => {
                self.unblock(from, to);
                self.note_reach();
            }
            Fault::Isolate(time) => {
                self.isolate(true);
                self.after(time, Ev::Fault(Fault::Rejoin));
            }
            Fault::Rejoin => self.isolate(false),
            Fault::Slow(from, to, by) => self.slow_down(from, to, by),
            Fault::Burst(bytes) => {
                self.ledger.burst = true;
                if let Some(head) = self.head().filter(|head| self.nodes[*head].is_up()) {
                    self.append(head, 0, bytes);
                }
            }
            Fault::PromoteByHand(host) => {
                if self.nodes[host].is_up() && self.nodes[host].standby && !self.nodes[host].promoting {
                    self.ledger.by_hand = true;
                    self.ledger.excused = true;
                    self.promote(host, 0);
                }
            }
            Fault::RewindByHand(host) => self.rewind_by_hand(host),
            Fault::Settings(settings) => {
                self.setup.settings = (*settings).clone();
                self.ledger.set_at = Some(self.now);
                self.feed(Event::Settings(*settings));
            }
            Fault::Command(command) => self.command(command),
            Fault::WallJump(by) => self.wall_jump += by,
            other => self.small_fault(other),
        }
    }

    /// The head of this moment in place of [`HEAD`].
    fn resolved(&self, mut fault: Fault) -> Fault {
        let head = self.head().unwrap_or(0);
        let hosts = match &mut fault {
            Fault::Kill(host)
            | Fault::Start(host)
            | Fault::Restart { host, .. }
            | Fault::Hang(host, _)
            | Fault::PowerOff(host)
            | Fault::DiskFull(host, _)
            | Fault::TooManyClients(host, _)
            | Fault::ReplayPause(host, _)
            | Fault::Laden(host, ..)
            | Fault::PromoteByHand(host)
            | Fault::RewindByHand(host) => vec![host],
            Fault::Block(from, to, _) | Fault::Slow(from, to, _) => vec![from, to],
            _ => Vec::new(),
        };
        hosts.into_iter().filter(|host| **host == HEAD).for_each(|host| *host = head);
        fault
    }

    fn small_fault(&mut self, fault: Fault) {
        match fault {
            Fault::DiskFull(host, time) => {
                self.nodes[host].disk_full = true;
                self.after(time, Ev::Fault(Fault::DiskFree(host)));
            }
            Fault::DiskFree(host) => self.nodes[host].disk_full = false,
            Fault::TooManyClients(host, time) => {
                self.nodes[host].full = true;
                self.after(time, Ev::Fault(Fault::FewClients(host)));
            }
            Fault::FewClients(host) => self.nodes[host].full = false,
            Fault::Laden(host, by, time) => {
                self.nodes[host].late = by;
                self.after(time, Ev::Fault(Fault::Relieved(host)));
            }
            Fault::Relieved(host) => self.nodes[host].late = 0,
            Fault::ReplayPause(host, time) => {
                self.nodes[host].replay_paused = self.nodes[host].standby;
                self.after(time, Ev::Fault(Fault::ReplayResume(host)));
            }
            Fault::ReplayResume(host) => {
                self.nodes[host].replay_paused = false;
                if self.nodes[host].is_up() {
                    self.replay_all(host);
                }
            }
            Fault::SyncEdit(names) => {
                // What was acknowledged before it is not covered by the new setting.
                self.ledger.burst = true;
                if let Some(head) = self.head().filter(|head| self.nodes[*head].is_up())
                    && !self.nodes[head].sync_names.contains("holdfast")
                {
                    self.nodes[head].set_sync(&names);
                    self.release(head);
                }
            }
            Fault::AgentCrash(down) => {
                self.agent_crash();
                self.after(down, Ev::AgentStart);
            }
            Fault::AgentStall(time) => {
                self.agent.stalled_until = self.now + time;
            }
            Fault::CommitStalls(time) => self.agent.commit_stalls = time,
            Fault::CommitsFail(many) => self.agent.failing_commits = many,
            Fault::StoreOlder(back, beside) => {
                let at = self.agent.past.len().saturating_sub(back.max(1));
                let older = self.agent.past.get(at).cloned().unwrap_or_default();
                self.replace_store(older, beside);
            }
            Fault::StoreEmpty(beside) => self.replace_store(Durable::default(), beside),
            _ => {}
        }
    }

    fn go_on(&mut self, host: Host) {
        if self.nodes[host].process == Process::Hung {
            self.nodes[host].process = Process::Up;
            self.unpark(host);
            self.ship(host);
            self.acknowledge(host);
            self.release(host);
        }
    }

    fn isolate(&mut self, on: bool) {
        let here = self.here();
        for host in 0..self.nodes.len() {
            for (from, to) in [(here, host), (host, here)] {
                if on {
                    self.block(from, to);
                } else {
                    self.unblock(from, to);
                }
            }
        }
        self.note_reach();
    }

    /// Since when nothing gets from the agent to anybody.
    fn note_reach(&mut self) {
        let here = self.here();
        let any = (0..self.nodes.len()).any(|host| self.is_open(here, host) && self.is_open(host, here));
        let since = self.ledger.alone.unwrap_or(self.now);
        self.ledger.alone = (!any).then_some(since);
    }

    /// The agent is stopped, its store replaced, and it starts. The file beside the store
    /// holds what must not go back.
    fn replace_store(&mut self, store: Durable, beside: bool) {
        self.agent_crash();
        if !beside {
            self.agent.disk = store;
            self.ledger.forgot = true;
        }
        self.after(200 * MS, Ev::AgentStart);
    }

    fn rewind_by_hand(&mut self, host: Host) {
        let Some(head) = self.head() else { return };
        let there = self.nodes[head].is_up() && !self.nodes[head].standby && head != host;
        if there && self.agent.disk.operation.is_none() {
            self.rewind(host, head, 0);
        }
    }

    pub fn command(&mut self, command: Command) {
        match &command {
            Command::Failover { .. } | Command::Switchover { .. } => self.ledger.asked = true,
            Command::Unfence { member } => {
                self.ledger.asked = true;
                if let Some(host) = self.host_of(member) {
                    self.ledger.pardoned.insert(host);
                }
            }
            _ => {}
        }
        self.agent.commands += 1;
        let id = self.agent.commands;
        self.feed(Event::Command { id, command });
    }

    /// Every fault ends.
    pub fn heal(&mut self) {
        self.note(|_| String::from("# every fault ends"));
        self.heal_links();
        self.note_reach();
        self.agent.failing_commits = 0;
        self.agent.commit_stalls = 0;
        self.agent.crash_at.clear();
        for host in 0..self.nodes.len() {
            self.nodes[host].disk_full = false;
            self.nodes[host].full = false;
            self.nodes[host].late = 0;
            self.nodes[host].replay_paused = false;
            self.nodes[host].other_agent = false;
            self.go_on(host);
            if self.nodes[host].is_up() {
                self.replay_all(host);
            }
            self.start(host, MS, 100 * MS);
        }
        self.at(self.now, Ev::AgentStart);
    }

    /// Runs until all is as it should be; otherwise a promise about the end is broken.
    pub fn settle(&mut self, limit: Time) {
        self.heal();
        self.run_for(SECOND);
        self.command(Command::Resume);
        self.run_for(SECOND);
        self.command(Command::Enable);
        let until = self.now + limit;
        let mut round = 0;
        while self.ledger.broken.is_none() {
            let missing = self.unsettled();
            let Some(missing) = missing else { break };
            if self.now >= until {
                self.broken(&missing);
                return;
            }
            self.run_for(250 * MS);
            round += 1;
            if round % 24 == 0 {
                self.operator(round > 72);
            }
        }
        if let Some(head) = self.head()
            && self.ledger.broken.is_none()
        {
            self.check_rows(head);
        }
    }

    /// What an operator does with what the agent shows: members that need it are rewound.
    fn operator(&mut self, patience_over: bool) {
        for host in 0..self.nodes.len() {
            // The fence hook came late.
            self.start(host, MS, 100 * MS);
        }
        if self.agent.disk.disabled {
            self.command(Command::Enable);
        } else if self.agent.disk.paused.is_some() {
            self.command(Command::Resume);
        }
        if let Some(head) = self.routed_to() {
            for host in 0..self.nodes.len() {
                let rival = !self.nodes[host].standby;
                let apart = rival || !self.nodes[host].is_prefix_of(&self.nodes[head]);
                if host != head && apart && self.nodes[host].is_up() && !self.setup.settings.switch {
                    self.rewind(host, head, 0);
                }
            }
            return;
        }
        if !patience_over || !(self.ledger.by_hand || self.ledger.forgot) {
            return;
        }
        // Nobody but a person can say which one counts.
        let primaries = (0..self.nodes.len()).filter(|host| !self.nodes[*host].standby);
        let best = primaries.max_by_key(|host| (self.nodes[*host].timeline, self.nodes[*host].end()));
        let Some(best) = best else { return };
        for host in (0..self.nodes.len()).filter(|host| *host != best) {
            self.rewind(host, best, 0);
        }
        // By hand, since the agent takes it for a rival.
        self.nodes[best].read_only = false;
        self.nodes[best].set_sync("");
        self.run_for(SECOND);
        self.command(Command::Resume);
    }

    /// What is not as it should be yet (F12, F14, F15).
    pub fn unsettled(&self) -> Option<String> {
        let Some(head) = self.routed_to() else { return Some(String::from("F12: nothing is routed")) };
        let node = &self.nodes[head];
        let router = self.setup.settings.mode != holdfast::model::failover::group::Mode::Auto;
        let left_alone = self.ledger.forgot || (router && self.ledger.set_at.is_some());
        if !left_alone && (node.read_only || node.sync_names.contains("holdfast")) {
            return Some(format!("F15: {} is routed and fenced", node.name));
        }
        if !node.is_up() || node.standby {
            return Some(format!("F12: {} is routed and cannot be written", node.name));
        }
        if self.setup.settings.switch {
            return None;
        }
        for (host, other) in self.nodes.iter().enumerate().filter(|(host, _)| *host != head) {
            if self.ledger.forgot && other.standby {
                // Nobody knows any more that it is to follow somebody else.
                continue;
            }
            if other.standby && !router && other.follows != Some(head) {
                return Some(format!("F14: {} follows {:?}", other.name, other.follows));
            }
            if !other.standby && !router {
                return Some(format!("{} is a primary beside the head", other.name));
            }
            if !router && other.receiver.is_none_or(|receiver| receiver.from != head) {
                return Some(format!("F14: {} does not stream from {}", self.names[host], node.name));
            }
            if !router && other.sync_names.contains("holdfast") {
                return Some(format!("F15: {} follows the head and is fenced", other.name));
            }
        }
        let wish = self.agent.disk.sync_wish.is_some() && !router && !self.ledger.forgot;
        wish.then(|| String::from("synchronous replication is not built up again"))
    }
}

pub fn defaults(servers: usize) -> Settings {
    let member = |at: usize| holdfast::base::id::Name::new(format!("n{}", at + 1)).expect("a name");
    Settings {
        enabled: true,
        members: (0..servers).map(member).collect(),
        mode: holdfast::model::failover::group::Mode::Auto,
        switch: false,
        fenced: false,
        sync: false,
        fence_hook: false,
        rejoin_hook: false,
        max_lag: 1 << 20,
        cooldown: Duration::from_secs(600),
        max_per_day: 2,
        restart_grace: Duration::from_secs(10),
        path_hold: Duration::from_secs(15),
        allow_path_failover: false,
        fence_on_return: false,
        failover_on_read_only: false,
        interval: Duration::from_millis(500),
        timeout: Duration::from_secs(1),
        hold_max: Duration::from_secs(5),
    }
}
