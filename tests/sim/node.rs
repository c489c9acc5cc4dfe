//! One simulated Postgres server: its log, its settings, who waits for a commit.
//!
//! The log is a list of records, each made once by one server. Two logs are the same
//! up to a point when they hold the same record there; positions in bytes are only
//! what the protocol sees. Wrong would be to compare positions here too: after two
//! promotions apart from each other they lie.

use holdfast::model::failover::lsn::{Fork, Lsn};

/// Microseconds of simulated time.
pub type Time = u64;
/// Number of a server; the agent and the host of the direct clients follow them.
pub type Host = usize;

pub const MS: Time = 1_000;
pub const SECOND: Time = 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Of this record alone, in the whole run.
    pub unique: u64,
    /// The client's write; 0 for what servers write by themselves.
    pub id: u32,
    pub end: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Process {
    Up,
    /// Stopped by a signal: the kernel still accepts connections.
    Hung,
    /// The host answers that nobody listens.
    Down,
    /// 57P03.
    Starting,
    /// The host is gone as well.
    Off,
}

/// Who waits until a commit is held by the synchronous standbys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiter {
    Client { writer: usize, id: u32, connection: u64 },
    Canary { look: u64 },
    Verify { call: u64 },
}

/// The standby's end of a replication connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receiver {
    pub from: Host,
    pub connection: u64,
    /// It has caught up once.
    pub streaming: bool,
    /// When the newest delivery on its way arrives; deliveries keep their order.
    pub busy_until: Time,
    pub sent: usize,
}

/// The primary's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sender {
    pub to: Host,
    pub connection: u64,
    pub flushed: usize,
    pub replayed: usize,
}

/// `synchronous_standby_names`, read without the help of the code under test.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SyncRule {
    pub any: bool,
    pub quorum: usize,
    pub names: Vec<String>,
}

impl SyncRule {
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let list =
            |text: &str| text.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect();
        let Some((head, rest)) = text.split_once('(') else {
            return Some(Self { any: false, quorum: 1, names: list(text) });
        };
        let mut words = head.split_whitespace();
        let any = words.next() == Some("ANY");
        let quorum = words.next().and_then(|number| number.parse().ok()).unwrap_or(1);
        Some(Self { any, quorum, names: list(rest.trim_end_matches(')')) })
    }
}

pub struct Node {
    pub name: String,
    pub process: Process,
    /// Grows with every start and every kill: what belonged to the process before is void.
    pub incarnation: u64,
    pub system_id: u64,
    pub log: Vec<Record>,
    pub timeline: u32,
    pub history: Vec<Fork>,
    pub standby: bool,
    pub replayed: usize,
    /// Bytes received of a record whose end never came.
    pub torn: u64,
    /// `primary_conninfo`: whom it follows.
    pub follows: Option<Host>,
    pub sync_names: String,
    sync: Option<SyncRule>,
    pub read_only: bool,
    pub disk_full: bool,
    /// Logins are refused for want of connections.
    pub full: bool,
    /// What it answers sets out so much later than it did what was asked.
    pub late: Time,
    /// Calls get no answer and are not obeyed.
    pub deaf: bool,
    pub replay_paused: bool,
    pub receiver: Option<Receiver>,
    pub senders: Vec<Sender>,
    /// Grows whenever sessions of clients are ended.
    pub sessions: u64,
    pub waiters: Vec<(usize, Waiter)>,
    /// `pg_promote` was asked for.
    pub promoting: bool,
    /// Waits of `Replay`: length of the log, call.
    pub replay_waits: Vec<(u64, u64)>,
    pub other_agent: bool,
    /// Whose archived log it restores before it is promoted.
    pub restores: Option<Host>,
}

pub const FIRST_BYTE: u64 = 0x0100_0000;

impl Node {
    pub fn new(name: String, system_id: u64) -> Self {
        Self {
            name,
            process: Process::Up,
            incarnation: 1,
            system_id,
            log: Vec::new(),
            timeline: 1,
            history: Vec::new(),
            standby: false,
            replayed: 0,
            torn: 0,
            follows: None,
            sync_names: String::new(),
            sync: None,
            read_only: false,
            disk_full: false,
            full: false,
            late: 0,
            deaf: false,
            replay_paused: false,
            receiver: None,
            senders: Vec::new(),
            sessions: 1,
            waiters: Vec::new(),
            promoting: false,
            replay_waits: Vec::new(),
            other_agent: false,
            restores: None,
        }
    }

    pub fn is_up(&self) -> bool {
        self.process == Process::Up
    }

    pub fn end(&self) -> u64 {
        self.log.last().map_or(FIRST_BYTE, |record| record.end)
    }

    pub fn end_of(&self, len: usize) -> u64 {
        len.checked_sub(1).and_then(|at| self.log.get(at)).map_or(FIRST_BYTE, |record| record.end)
    }

    pub fn lsn(&self) -> Lsn {
        Lsn(self.end())
    }

    /// How far the log goes that it has, with the beginning of a record.
    pub fn received(&self) -> Lsn {
        Lsn(self.end() + self.torn)
    }

    pub fn append(&mut self, unique: u64, id: u32, bytes: u64) {
        let end = self.end() + bytes;
        self.log.push(Record { unique, id, end });
        if !self.standby {
            self.replayed = self.log.len();
        }
    }

    /// Whether this log is how `other`'s begins.
    pub fn is_prefix_of(&self, other: &Self) -> bool {
        let Some(last) = self.log.last() else { return true };
        self.system_id == other.system_id
            && other.log.get(self.log.len() - 1).is_some_and(|there| there.unique == last.unique)
    }

    pub fn set_sync(&mut self, names: &str) {
        self.sync_names = names.to_owned();
        self.sync = SyncRule::read(names);
    }

    pub fn sync_rule(&self) -> Option<&SyncRule> {
        self.sync.as_ref()
    }

    /// So much of the log is held by whom commits wait for.
    pub fn synced(&self, names: &[String]) -> usize {
        let Some(rule) = &self.sync else { return self.log.len() };
        let flushed = |listed: &String| {
            self.senders
                .iter()
                .filter(|sender| names[sender.to] == *listed)
                .map(|sender| sender.flushed)
                .max()
        };
        let mut held: Vec<_> = rule.names.iter().filter_map(flushed).collect();
        if held.len() < rule.quorum {
            return 0;
        }
        if rule.any {
            held.sort_unstable_by(|a, b| b.cmp(a));
            held[rule.quorum - 1]
        } else {
            held[..rule.quorum].iter().copied().min().unwrap_or(0)
        }
    }

    /// What ended when the process did, or when it was told to end its sessions.
    pub fn end_sessions(&mut self) {
        self.sessions += 1;
        self.waiters.retain(|(_, waiter)| !matches!(waiter, Waiter::Client { .. }));
    }

    pub fn holds(&self, id: u32) -> bool {
        self.log.iter().any(|record| record.id == id)
    }
}
