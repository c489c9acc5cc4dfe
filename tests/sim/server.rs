//! What the simulated servers do: start and end, stream, promote, obey calls.

use holdfast::logic::failover::{Action, Answer, CallError};
use holdfast::model::failover::lsn::{Fork, Lsn};
use holdfast::model::failover::sighting::{Facts, FailureClass, Follower, Standing, Upstream, fence_name};

use crate::node::{Host, MS, Process, Receiver, Sender, Time, Waiter};
use crate::world::{Ev, World};

pub fn facts(world: &World, host: Host, history: bool) -> Facts {
    let node = &world.nodes[host];
    let standing = if node.standby {
        Standing::Standby {
            received: node.received(),
            replayed: Lsn(node.end_of(node.replayed)),
            streaming: node.receiver.is_some_and(|receiver| receiver.streaming),
            receiver: node.receiver.is_some(),
            upstream: node.follows.map(|upstream| Upstream {
                host: world.names[upstream].clone(),
                port: 5432,
                application_name: node.name.clone(),
                slot: None,
            }),
            delayed: node.replay_paused,
        }
    } else {
        let rule = node.sync_rule();
        let followers = node.senders.iter().map(|sender| Follower {
            application_name: world.names[sender.to].clone(),
            slot: None,
            streaming: true,
            sync: rule.is_some_and(|rule| rule.names.contains(&world.names[sender.to])),
            flushed: Lsn(node.end_of(sender.flushed)),
            replayed: Lsn(node.end_of(sender.replayed)),
        });
        Standing::Primary { lsn: node.lsn(), followers: followers.collect() }
    };
    Facts {
        system_id: node.system_id,
        version: 150_000,
        timeline: node.timeline,
        ancestry: history.then(|| node.history.clone()),
        standing,
        read_only: node.read_only,
        sync_names: node.sync_names.clone(),
        other_agent: node.other_agent,
        manager: None,
        canary: None,
        bypass: 0,
    }
}

pub fn no<T>(detail: &str, unknown: bool) -> Result<T, CallError> {
    Err(CallError { detail: detail.to_owned(), unknown })
}

impl World {
    /// The process ends at once; `class` is what its connections saw before their end.
    pub fn kill(&mut self, host: Host, class: FailureClass, to: Process) {
        let node = &mut self.nodes[host];
        if matches!(node.process, Process::Down | Process::Off) {
            node.process = to;
            return;
        }
        let talks = to != Process::Off;
        node.process = to;
        let incarnation = node.incarnation;
        node.incarnation += 1;
        node.end_sessions();
        node.waiters.clear();
        node.torn = 0;
        node.promoting = false;
        node.replay_waits.clear();
        self.note(|w| format!("{} ended ({class:?}, {to:?})", w.names[host]));
        if talks && let Some(way) = self.way(host, self.here()) {
            let life = self.agent.life;
            self.after(way, Ev::Lost { life, host, incarnation, class });
        }
        self.drop_parked(host, talks);
        let timeout = self.setup.receiver_timeout;
        for sender in std::mem::take(&mut self.nodes[host].senders) {
            let way = if talks { self.way(host, sender.to) } else { None };
            let busy = self.nodes[sender.to].receiver.map_or(0, |receiver| receiver.busy_until);
            let at = way.map_or(self.now + timeout, |way| (self.now + way).max(busy));
            self.at(at, Ev::ReceiverEnd { host: sender.to, connection: sender.connection });
        }
        self.leave_upstream(host, talks);
    }

    /// The standby's end of its replication connection is closed.
    pub fn leave_upstream(&mut self, host: Host, talks: bool) {
        let Some(receiver) = self.nodes[host].receiver.take() else { return };
        let way = if talks { self.way(host, receiver.from) } else { None };
        let wait = way.unwrap_or(self.setup.receiver_timeout);
        self.after(wait, Ev::SenderEnd { host: receiver.from, connection: receiver.connection });
    }

    /// Starts a process that is not there: recovery for a while, then up.
    pub fn start(&mut self, host: Host, after: Time, recovery: Time) {
        let node = &mut self.nodes[host];
        if !matches!(node.process, Process::Down | Process::Off) {
            return;
        }
        node.process = Process::Down;
        node.incarnation += 1;
        let incarnation = node.incarnation;
        self.after(after, Ev::Phase { host, incarnation, to: Process::Starting });
        self.after(after + recovery, Ev::Phase { host, incarnation, to: Process::Up });
    }

    pub fn phase(&mut self, host: Host, incarnation: u64, to: Process) {
        let node = &mut self.nodes[host];
        if node.incarnation != incarnation {
            return;
        }
        let before = std::mem::replace(&mut node.process, to);
        self.note(|w| format!("{} is {to:?}", w.names[host]));
        if to == Process::Up {
            if before == Process::Starting && !self.nodes[host].standby {
                self.own_record(host);
            }
            self.at(self.now, Ev::Connect { host, incarnation });
            self.unpark(host);
            self.ship(host);
        }
    }

    /// A standby looks for its primary.
    pub fn connect(&mut self, host: Host, incarnation: u64) {
        let node = &self.nodes[host];
        let alive = matches!(node.process, Process::Up | Process::Hung);
        if node.incarnation != incarnation || !alive || !node.standby {
            return;
        }
        if node.receiver.is_none() && node.is_up() && !node.promoting {
            self.try_stream(host);
        }
        let retry = self.setup.retry;
        self.after(retry, Ev::Connect { host, incarnation });
    }

    fn try_stream(&mut self, host: Host) {
        let Some(from) = self.nodes[host].follows else { return };
        let both = self.is_open(host, from) && self.is_open(from, host);
        let there = &self.nodes[from];
        let fits = there.is_up() && !there.standby && from != host && self.nodes[host].is_prefix_of(there);
        if !both || !fits {
            return;
        }
        let (timeline, history) = (there.timeline, there.history.clone());
        self.unique += 1;
        let connection = self.unique;
        let node = &mut self.nodes[host];
        // The stream begins with the whole record.
        node.torn = 0;
        node.timeline = timeline;
        node.history = history;
        let sent = node.log.len();
        let replayed = node.replayed;
        node.receiver = Some(Receiver { from, connection, streaming: false, busy_until: self.now, sent });
        self.nodes[from].senders.push(Sender { to: host, connection, flushed: sent, replayed });
        self.note(|w| format!("{} connects to {}", w.names[host], w.names[from]));
        self.ship(from);
        self.followed(host, from);
        let catch = self.random.between(1, 20) * MS;
        self.after(catch, Ev::Deliver { host, connection, upto: sent });
        self.release(from);
    }

    /// Sends what is new to those who follow.
    pub fn ship(&mut self, host: Host) {
        if !self.nodes[host].is_up() {
            return;
        }
        let len = self.nodes[host].log.len();
        let senders: Vec<_> = self.nodes[host].senders.iter().map(|s| (s.to, s.connection)).collect();
        for (to, connection) in senders {
            let Some(receiver) = self.nodes[to].receiver.filter(|there| there.connection == connection)
            else {
                continue;
            };
            if receiver.sent >= len {
                continue;
            }
            let Some(way) = self.way(host, to) else { continue };
            let at = (self.now + way).max(receiver.busy_until);
            if let Some(receiver) = &mut self.nodes[to].receiver {
                receiver.sent = len;
                receiver.busy_until = at;
            }
            self.at(at, Ev::Deliver { host: to, connection, upto: len });
        }
    }

    pub fn deliver(&mut self, host: Host, connection: u64, upto: usize) {
        let Some(receiver) = self.nodes[host].receiver.filter(|there| there.connection == connection) else {
            return;
        };
        if !self.nodes[host].is_up() {
            // In its socket until it goes on.
            let node = &mut self.nodes[host];
            if let Some(receiver) = &mut node.receiver {
                receiver.sent = node.log.len();
            }
            return;
        }
        let have = self.nodes[host].log.len();
        let from = receiver.from;
        if upto > have {
            let news: Vec<_> = self.nodes[from].log.get(have..upto).unwrap_or_default().to_vec();
            self.nodes[host].log.extend(news);
        }
        if upto >= self.nodes[from].log.len()
            && let Some(receiver) = &mut self.nodes[host].receiver
        {
            receiver.streaming = true;
        }
        let upto = self.nodes[host].log.len();
        let lag = self.random.between(0, 3_000);
        self.after(lag, Ev::Replay { host, connection, upto });
        self.acknowledge(host);
    }

    pub fn replay(&mut self, host: Host, connection: u64, upto: usize) {
        let node = &mut self.nodes[host];
        let same = node.receiver.is_some_and(|there| there.connection == connection);
        if !node.is_up() || node.replay_paused || upto > node.log.len() {
            return;
        }
        node.replayed = node.replayed.max(upto);
        self.replay_reached(host);
        if same {
            self.acknowledge(host);
        }
    }

    /// What was received and not replayed is, once nothing holds it up.
    pub fn replay_all(&mut self, host: Host) {
        self.nodes[host].replayed = self.nodes[host].log.len();
        self.replay_reached(host);
        self.acknowledge(host);
    }

    fn replay_reached(&mut self, host: Host) {
        let node = &mut self.nodes[host];
        let reached = node.end_of(node.replayed);
        let (done, wait): (Vec<_>, Vec<_>) =
            std::mem::take(&mut node.replay_waits).into_iter().partition(|(lsn, _)| *lsn <= reached);
        node.replay_waits = wait;
        for (_, call) in done {
            self.answer(host, call, Ok(Answer::Done));
        }
    }

    /// Tells the primary how far this standby is.
    pub fn acknowledge(&mut self, host: Host) {
        let Some(receiver) = self.nodes[host].receiver else { return };
        let (flushed, replayed) = (self.nodes[host].log.len(), self.nodes[host].replayed);
        let Some(way) = self.way(host, receiver.from) else { return };
        let connection = receiver.connection;
        self.after(way, Ev::Ack { host: receiver.from, connection, flushed, replayed });
    }

    pub fn ack(&mut self, host: Host, connection: u64, flushed: usize, replayed: usize) {
        if !self.nodes[host].is_up() {
            return;
        }
        let Some(sender) = self.nodes[host].senders.iter_mut().find(|s| s.connection == connection) else {
            return;
        };
        sender.flushed = sender.flushed.max(flushed);
        sender.replayed = sender.replayed.max(replayed);
        self.release(host);
    }

    pub fn receiver_end(&mut self, host: Host, connection: u64) {
        let node = &mut self.nodes[host];
        if let Some(receiver) = node.receiver.filter(|there| there.connection == connection) {
            node.receiver = None;
            self.tear(host, receiver.from);
            self.note(|w| format!("{} lost its primary", w.names[host]));
        }
    }

    /// A primary that dies while it writes a great record has sent the beginning of it.
    fn tear(&mut self, host: Host, from: Host) {
        if !self.setup.torn || self.nodes[from].is_up() {
            return;
        }
        let have = self.nodes[host].log.len();
        let next = self.nodes[from].log.get(have).map_or(1 << 20, |next| next.end - self.nodes[host].end());
        self.nodes[host].torn = self.random.below(next);
        self.note(|w| format!("{} has {} bytes of a torn record", w.names[host], w.nodes[host].torn));
    }

    pub fn sender_end(&mut self, host: Host, connection: u64) {
        self.nodes[host].senders.retain(|sender| sender.connection != connection);
    }

    /// Commits that wait for nothing more are acknowledged.
    pub fn release(&mut self, host: Host) {
        if !self.nodes[host].is_up() {
            return;
        }
        let synced = self.nodes[host].synced(&self.names);
        let node = &mut self.nodes[host];
        let (done, wait): (Vec<_>, Vec<_>) =
            std::mem::take(&mut node.waiters).into_iter().partition(|(len, _)| *len <= synced);
        node.waiters = wait;
        for (_, waiter) in done {
            match waiter {
                Waiter::Client { writer, id, connection } => self.acked(host, writer, id, connection),
                Waiter::Canary { look } => self.canary_done(host, look, true),
                Waiter::Verify { call } => self.verified(host, call),
            }
        }
    }

    fn verified(&mut self, host: Host, call: u64) {
        let node = &self.nodes[host];
        let answer = Answer::Verified {
            system_id: node.system_id,
            timeline: node.timeline,
            ancestry: node.history.clone(),
            lsn: node.lsn(),
        };
        self.answer(host, call, Ok(answer));
    }

    /// `pg_promote` ends.
    pub fn promoted(&mut self, host: Host, incarnation: u64, call: u64) {
        let node = &mut self.nodes[host];
        if node.incarnation != incarnation || !node.standby {
            return;
        }
        if node.process == Process::Hung {
            self.after(200 * MS, Ev::Promoted { host, incarnation, call });
            return;
        }
        node.promoting = false;
        node.standby = false;
        node.torn = 0;
        if let Some(from) = node.restores.take() {
            let archived = self.nodes[from].log.clone();
            self.nodes[host].log = archived;
        }
        let node = &mut self.nodes[host];
        let fork = Fork { timeline: node.timeline, at: node.lsn() };
        node.history.push(fork);
        node.timeline += 1;
        node.replayed = node.log.len();
        self.note(|w| format!("{} is promoted at {}", w.names[host], w.nodes[host].lsn()));
        self.own_record(host);
        self.ledger.promotions += 1;
        if call > 0 {
            self.answer(host, call, Ok(Answer::Done));
        }
    }

    pub fn promote(&mut self, host: Host, call: u64) {
        let node = &mut self.nodes[host];
        node.promoting = true;
        let incarnation = node.incarnation;
        self.leave_upstream(host, true);
        let takes = self.random.between(40, 210) * MS;
        self.after(takes, Ev::Promoted { host, incarnation, call });
    }

    /// A server that is up does what the agent asked for.
    pub fn obey(&mut self, host: Host, call: u64, action: &Action) {
        self.note(|w| format!("{} obeys {action:?}", w.names[host]));
        let done = match action {
            Action::Cut => self.obey_cut(host),
            Action::Restore { conninfo } => {
                self.follow(host, read_conninfo(&conninfo.0));
                Ok(Answer::Done)
            }
            Action::Repoint { to, .. } => {
                let to = self.members.iter().position(|member| member == to);
                self.follow(host, to);
                Ok(Answer::Done)
            }
            Action::Fence { epoch } => {
                self.nodes[host].read_only = true;
                self.nodes[host].set_sync(&fence_name(*epoch));
                self.nodes[host].end_sessions();
                Ok(Answer::Fenced { left: 0 })
            }
            Action::Unfence { sync_names } => {
                self.nodes[host].read_only = false;
                self.nodes[host].set_sync(sync_names);
                self.release(host);
                Ok(Answer::Done)
            }
            Action::SyncNames { names } => {
                self.nodes[host].set_sync(names);
                self.release(host);
                Ok(Answer::Done)
            }
            Action::Drain { .. } if self.nodes[host].standby => no("it is a standby", false),
            Action::Drain { .. } => {
                self.nodes[host].read_only = true;
                self.nodes[host].end_sessions();
                Ok(Answer::Drained { left: 0, lsn: self.nodes[host].lsn() })
            }
            Action::Promote => return self.obey_promote(host, call),
            Action::Verify => return self.obey_verify(host, call),
            Action::Replay { lsn } => {
                self.nodes[host].replay_waits.push((lsn.0, call));
                return self.replay_reached(host);
            }
            Action::FenceHook | Action::RejoinHook { .. } => return,
        };
        self.answer(host, call, done);
    }

    fn obey_cut(&mut self, host: Host) -> Result<Answer, CallError> {
        if !self.nodes[host].standby || self.nodes[host].promoting {
            return no("it is no standby", false);
        }
        self.follow(host, None);
        let node = &self.nodes[host];
        let replayed = Lsn(node.end_of(node.replayed));
        Ok(Answer::Cut { timeline: node.timeline, received: node.received(), replayed })
    }

    fn obey_promote(&mut self, host: Host, call: u64) {
        self.nodes[host].set_sync("");
        self.nodes[host].read_only = false;
        if !self.nodes[host].standby {
            return self.answer(host, call, Ok(Answer::Done));
        }
        if self.nodes[host].promoting {
            return self.answer(host, call, no("it is being promoted", true));
        }
        self.promote(host, call);
    }

    fn obey_verify(&mut self, host: Host, call: u64) {
        if self.nodes[host].standby {
            return self.answer(host, call, no("it is a standby", false));
        }
        if self.nodes[host].disk_full {
            return self.answer(host, call, no("disk full", false));
        }
        let len = self.own_record(host);
        self.nodes[host].waiters.push((len, Waiter::Verify { call }));
        self.release(host);
    }

    /// `primary_conninfo` is set.
    pub fn follow(&mut self, host: Host, to: Option<Host>) {
        let node = &mut self.nodes[host];
        if node.follows == to {
            return;
        }
        node.follows = to;
        self.leave_upstream(host, true);
    }

    /// A way is open again: what was held up goes on.
    pub fn reopened(&mut self, from: Host, to: Host) {
        if from < self.nodes.len() && to < self.nodes.len() {
            let node = &mut self.nodes[to];
            if let Some(receiver) = &mut node.receiver
                && receiver.from == from
            {
                receiver.sent = node.log.len();
            }
            self.ship(from);
            self.acknowledge(from);
        } else if from == self.here() {
            self.late_calls(to);
        }
    }

    /// The rest of a rewind: a standby of `from` with its log, which starts again.
    pub fn rewound(&mut self, host: Host, incarnation: u64, from: Host, keep: bool, call: u64) {
        let there = &self.nodes[from];
        let possible = there.is_up() && !there.standby && self.nodes[host].incarnation == incarnation;
        if possible {
            let (log, timeline, history) = (there.log.clone(), there.timeline, there.history.clone());
            let (read_only, sync_names) = (there.read_only, there.sync_names.clone());
            let system_id = there.system_id;
            let node = &mut self.nodes[host];
            (node.log, node.timeline, node.history) = (log, timeline, history);
            node.system_id = system_id;
            node.replayed = node.log.len();
            node.standby = true;
            node.follows = Some(from);
            if !keep {
                // pg_rewind also copies postgresql.auto.conf.
                node.read_only = read_only;
                node.set_sync(&sync_names);
            }
            self.note(|w| format!("{} was rewound to {}", w.names[host], w.names[from]));
        }
        if self.nodes[host].incarnation == incarnation {
            self.start(host, 10 * MS, 50 * MS);
        }
        if call > 0 {
            let result = if possible { Ok(Answer::Done) } else { no("pg_rewind failed", false) };
            let life = self.agent.life;
            self.after(MS, Ev::CallReply { life, call, result: Box::new(result) });
        }
    }

    /// An operator, or the hook, makes it a standby of the other.
    pub fn rewind(&mut self, host: Host, from: Host, call: u64) {
        self.kill(host, FailureClass::Stopping, Process::Down);
        self.nodes[host].incarnation += 1;
        let incarnation = self.nodes[host].incarnation;
        let keep = self.random.chance(50);
        self.after(500 * MS, Ev::Rewound { host, incarnation, from, keep, call });
    }
}

/// The simulated secret: the number of the server that is followed.
pub fn conninfo(to: Host) -> String {
    format!("to={to}")
}

fn read_conninfo(text: &str) -> Option<Host> {
    text.strip_prefix("to=")?.parse().ok()
}
