//! Clients that write rows, through the proxy or around it, and remember what was acknowledged.

use crate::node::{Host, MS, Waiter};
use crate::world::{Ev, World};

pub struct Writer {
    /// Around the proxy.
    direct: bool,
    /// Number of the connection and where it goes; the epoch it was begun in.
    connection: u64,
    to: Option<Host>,
    epoch: u64,
    sessions: u64,
    waiting: bool,
    /// Where a direct client tries next.
    next: Host,
    pub bytes: u64,
}

/// A row whose commit a client was told of.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub id: u32,
    pub direct: bool,
    /// Synchronous standbys that the agent counts on held it then.
    pub synced: bool,
    pub host: Host,
}

impl World {
    pub fn make_writers(&mut self) {
        for number in 0..self.setup.writers + self.setup.direct {
            self.writers.push(Writer {
                direct: number >= self.setup.writers,
                connection: 0,
                to: None,
                epoch: 0,
                sessions: 0,
                waiting: false,
                next: 0,
                bytes: 200,
            });
            let first = self.random.between(50, 200) * MS;
            self.after(first, Ev::Write { writer: number });
        }
    }

    /// The proxy ends connections of older epochs, and those to members that are not kept.
    pub fn reset_proxied(&mut self, epoch: Option<u64>, keep: &[Host]) {
        for writer in self.writers.iter_mut().filter(|writer| !writer.direct) {
            let kept = epoch.is_some_and(|epoch| writer.epoch >= epoch)
                && writer.to.is_some_and(|to| keep.contains(&to));
            if !kept {
                writer.to = None;
                writer.connection += 1;
                writer.waiting = false;
            }
        }
    }

    pub fn write(&mut self, writer: usize) {
        let pause = self.setup.pause;
        let pause = if self.setup.steady_writes { pause } else { self.random.between(pause / 2, pause * 2) };
        self.after(pause, Ev::Write { writer });
        if self.writers[writer].waiting {
            return;
        }
        if self.writers[writer].to.is_none() {
            self.open(writer);
        }
        let Some(host) = self.writers[writer].to else { return };
        let from = if self.writers[writer].direct { self.elsewhere() } else { self.here() };
        let (sessions, connection) = (self.writers[writer].sessions, self.writers[writer].connection);
        self.writers[writer].waiting = true;
        if let Some(way) = self.way(from, host) {
            self.after(way, Ev::WriteArrive { writer, host, sessions, connection });
        }
        // Nobody waits for ever.
        self.after(3_000 * MS, Ev::WriteFailed { writer, connection });
    }

    fn open(&mut self, number: usize) {
        let routed = self.routed_to().zip(self.agent.route.as_ref().map(|route| route.epoch));
        let servers = self.nodes.len();
        let writer = &mut self.writers[number];
        let to = if writer.direct {
            let to = writer.next;
            writer.next = (to + 1) % servers;
            to
        } else {
            let Some((to, epoch)) = routed else { return };
            writer.epoch = epoch;
            to
        };
        writer.connection += 1;
        writer.to = Some(to);
        writer.sessions = self.nodes[to].sessions;
    }

    pub fn write_arrive(&mut self, writer: usize, host: Host, sessions: u64, connection: u64) {
        let node = &self.nodes[host];
        if node.process == crate::node::Process::Hung {
            // Whether it is done later does not matter: the client will not hear of it.
            return;
        }
        let fit =
            node.is_up() && node.sessions == sessions && !node.standby && !node.read_only && !node.disk_full;
        let back = if self.writers[writer].direct { self.elsewhere() } else { self.here() };
        if !fit {
            if let Some(way) = self.way(host, back) {
                self.after(way, Ev::WriteFailed { writer, connection });
            }
            return;
        }
        self.ledger.rows_written += 1;
        let id = self.ledger.rows_written;
        let len = self.append(host, id, self.writers[writer].bytes);
        self.nodes[host].waiters.push((len, Waiter::Client { writer, id, connection }));
        self.release(host);
    }

    /// The server acknowledges.
    pub fn acked(&mut self, host: Host, writer: usize, id: u32, connection: u64) {
        let node = &self.nodes[host];
        let counted = self.agent.disk.quorum.as_ref().is_some_and(|quorum| quorum.text == node.sync_names);
        let synced = node.sync_rule().is_some() && counted;
        let back = if self.writers[writer].direct { self.elsewhere() } else { self.here() };
        if let Some(way) = self.way(host, back) {
            self.after(way, Ev::WriteAck { writer, id, connection, synced });
        }
    }

    pub fn write_ack(&mut self, number: usize, id: u32, connection: u64, synced: bool) {
        let writer = &mut self.writers[number];
        if writer.connection != connection {
            return;
        }
        writer.waiting = false;
        let Some(host) = writer.to else { return };
        let row = Row { id, direct: writer.direct, synced, host };
        let epoch = writer.epoch;
        self.check_row(row, epoch);
        self.ledger.rows.push(row);
    }

    pub fn write_failed(&mut self, number: usize, connection: u64) {
        let writer = &mut self.writers[number];
        if writer.connection == connection && writer.waiting {
            writer.waiting = false;
            writer.to = None;
        }
    }
}
