//! A primary, its standbys and an agent that keeps one address for them, as users set
//! it up: a role that is no superuser, slots, names.

#![expect(clippy::disallowed_methods, reason = "outages of real servers are real times")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::agent::{Agent, Answer};
use super::free_port;
use super::lan::Lan;
use super::postgres::{Place, Postgres};
use super::wire::Wire;

/// What the role needs on every member, as the README says it.
const GRANTS: &str = "\
    create role holdfast login replication password 'right-password';\
    grant pg_monitor, pg_signal_backend to holdfast;\
    grant execute on function pg_promote(boolean, integer) to holdfast;\
    grant execute on function pg_reload_conf() to holdfast;\
    grant alter system on parameter primary_conninfo, synchronous_standby_names, default_transaction_read_only to holdfast;";

pub struct Cluster {
    pub nodes: Vec<Node>,
    /// Between the agent and each node, where that was wanted.
    pub wires: Vec<Wire>,
    /// Where the nodes have hosts of their own; let go after them.
    pub lan: Option<Lan>,
    pub agent: Agent,
    pub listen: u16,
    pub folder: TempDir,
    pub config: String,
}

pub struct Node {
    pub name: String,
    pub server: Postgres,
}

/// What a test wants of its cluster.
pub struct Wanted<'a> {
    pub standbys: usize,
    pub sync: bool,
    /// Further keys of the group.
    pub group: &'a str,
}

/// Where its servers are; by default all are on this host.
#[derive(Default)]
pub struct Site {
    /// Of the first, the second and so on.
    pub places: Vec<Place>,
    /// The agent reaches each through a wire of its own.
    pub wires: bool,
    pub lan: Option<Lan>,
}

impl Site {
    /// Each server on a host of its own.
    ///
    /// # Errors
    /// Why that cannot be had.
    pub fn hosts(count: u32) -> Result<Self, String> {
        let lan = Lan::new(count)?;
        let place =
            |host| Place { host: lan.address(host), space: Some(lan.space(host)), ..Place::default() };
        Ok(Self { places: (1..=count).map(place).collect(), wires: false, lan: Some(lan) })
    }

    fn place(&self, number: usize) -> Place {
        self.places.get(number - 1).cloned().unwrap_or_default()
    }
}

impl Cluster {
    /// Starts everything and waits until every standby is attached.
    pub fn start(wanted: &Wanted<'_>) -> Self {
        Self::start_at(wanted, Site::default())
    }

    /// The same with servers at other places.
    pub fn start_at(wanted: &Wanted<'_>, site: Site) -> Self {
        let nodes = servers(wanted, &site);
        let mut cluster = Self::launch(nodes, wanted, site);
        cluster.wait_attached(wanted.standbys);
        cluster
    }

    /// An agent for these servers, which is ready and may have seen nothing yet.
    pub fn launch(nodes: Vec<Node>, wanted: &Wanted<'_>, site: Site) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listen = free_port();
        let wired = nodes.iter().filter(|_| site.wires);
        let wires: Vec<_> = wired.map(|node| Wire::to(node.server.host(), node.server.port)).collect();
        let config = config(&nodes, &wires, listen, wanted, &folder);
        let agent = Agent::launch(&folder.path().join("data"), &config);
        let mut cluster = Self { nodes, wires, lan: site.lan, agent, listen, folder, config };
        cluster.agent.wait_ready();
        cluster
    }

    /// Servers that have nothing to do with each other.
    pub fn independent(count: usize, group: &str) -> Self {
        let nodes: Vec<_> = (1..=count)
            .map(|number| {
                let server = Postgres::prepared("");
                server.start();
                server.psql(GRANTS);
                Node { name: format!("pg{number}"), server }
            })
            .collect();
        let cluster = Self::launch(nodes, &Wanted { standbys: 0, sync: false, group }, Site::default());
        cluster.wait("a member is active", Duration::from_secs(20), |group| group["state"] == "steady");
        cluster
    }

    /// Makes the script that `holdfast failover rejoin-script` prints the rejoin hook, as a
    /// user would: prints, fills in, names it.
    pub fn use_rejoin_script(&mut self) {
        use std::os::unix::fs::PermissionsExt as _;
        let printed = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(["failover", "rejoin-script"])
            .output()
            .expect("the script");
        let script = String::from_utf8(printed.stdout).expect("text");
        let mut text = String::new();
        for line in script.lines() {
            if line.starts_with("pg1 ") {
                for node in &self.nodes {
                    let (data, programs) = (node.server.data(), super::postgres::programs());
                    let _ = writeln!(
                        text,
                        "{} 127.0.0.1 {} local {} {} nobody",
                        node.name,
                        node.server.port,
                        data.display(),
                        programs.display()
                    );
                }
            } else if !line.starts_with("pg2 ") {
                let _ = writeln!(text, "{}", line.replace("account=replicator", "account=postgres"));
            }
        }
        let path = self.folder.path().join("rejoin");
        std::fs::write(&path, text).expect("the script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        let _ =
            writeln!(self.config, "rejoin_hook = [\"{}\", \"{{member}}\", \"{{primary}}\"]", path.display());
        self.restart_agent();
        self.agent.wait_ready();
        let standbys = self.nodes.len() - 1;
        self.wait_attached(standbys);
    }

    pub fn group(&self) -> Value {
        self.agent.get("/api/v1/failover/groups/main").json()
    }

    pub fn command(&self, what: &str, body: &Value) -> Answer {
        self.agent.post(
            &format!("/api/v1/failover/groups/main/{what}"),
            "application/json",
            &body.to_string(),
        )
    }

    /// Waits until `ready` holds of the group, at most `within`.
    pub fn wait(&self, what: &str, within: Duration, ready: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            let group = self.group();
            if ready(&group) {
                return group;
            }
            assert!(since.elapsed() < within, "{what}: {group:#}");
            pause(Duration::from_millis(20));
        }
    }

    /// Waits until the group is steady and `standbys` of its members are attached.
    pub fn wait_attached(&mut self, standbys: usize) -> Value {
        self.wait("the standbys attach", Duration::from_secs(40), |group| {
            let attached = group["members"].as_array().map_or(0, |members| {
                members.iter().filter(|member| member["attached"] == json!(true)).count()
            });
            group["state"] == "steady" && attached == standbys
        })
    }

    pub fn active(&self) -> String {
        self.group()["active"].as_str().unwrap_or_default().to_owned()
    }

    pub fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    /// Brings a superseded member back as a standby of `primary`, as an operator would.
    pub fn rejoin(&self, name: &str, primary: &str) {
        let (node, head) = (self.node(name), self.node(primary));
        node.server.signal_all(Signal::CONT);
        node.server.rejoin(&head.server, name, &format!("slot_{name}"));
        // pg_rewind drops the slots.
        slots_on(node, &self.nodes);
    }

    /// Starts the agent again on what it left.
    pub fn restart_agent(&mut self) {
        self.agent.kill();
        self.agent = Agent::launch(&self.folder.path().join("data"), &self.config);
    }
}

/// A primary and its standbys, as [`Cluster::start`] starts them.
pub fn servers(wanted: &Wanted<'_>, site: &Site) -> Vec<Node> {
    let count = wanted.standbys + 1;
    // Logs are kept for standbys that are away, as far as the disk of a test has room.
    let (keep, most) =
        if site.places.iter().any(|place| place.disk.is_some()) { (16, 32) } else { (256, 1024) };
    let primary = Postgres::prepared_at(
        site.place(1),
        &format!(
            "wal_log_hints = on\nwal_keep_size = {keep}MB\nmax_wal_size = {most}MB\nmax_wal_senders = 20\n\
             max_replication_slots = 20\nlog_statement = all\n"
        ),
    );
    primary.start();
    primary.psql(GRANTS);
    primary.psql("create role app login");
    primary.psql("create table t (id bigint primary key)");
    primary.psql("grant select, insert on t to app");
    let follower = |number: usize| {
        let name = format!("pg{number}");
        let server = Postgres::follower_at(site.place(number), &primary, &name, &format!("slot_{name}"));
        Node { name, server }
    };
    let standbys: Vec<_> = (2..=count).map(follower).collect();
    primary.append("postgresql.auto.conf", "cluster_name = 'pg1'\n");
    if wanted.sync {
        let names: Vec<_> = standbys.iter().map(|node| node.name.clone()).collect();
        primary.append(
            "postgresql.auto.conf",
            &format!("synchronous_standby_names = 'ANY 1 ({})'\n", names.join(", ")),
        );
    }
    primary.stop("fast");
    primary.start();
    let mut nodes = vec![Node { name: String::from("pg1"), server: primary }];
    nodes.extend(standbys);
    nodes.iter().for_each(|node| slots_on(node, &nodes));
    nodes
}

/// Every member holds a slot for every other.
fn slots_on(node: &Node, nodes: &[Node]) {
    for other in nodes.iter().filter(|other| other.name != node.name) {
        let slot = format!("slot_{}", other.name);
        node.server.psql(&format!(
            "select pg_create_physical_replication_slot('{slot}') where not exists \
             (select from pg_replication_slots where slot_name = '{slot}')"
        ));
    }
}

fn config(nodes: &[Node], wires: &[Wire], listen: u16, wanted: &Wanted<'_>, folder: &TempDir) -> String {
    let password: PathBuf = folder.path().join("password");
    std::fs::write(&password, "right-password").expect("password file");
    let mut text = String::from("[collect]\ninterval = \"1s\"\n");
    for (number, node) in nodes.iter().enumerate() {
        let direct = (node.server.host(), node.server.port);
        let (host, port) = wires.get(number).map_or(direct, |wire| ("127.0.0.1", wire.port));
        let _ = write!(
            text,
            "[[target.postgres]]\nname = \"{}\"\nhost = \"{host}\"\nport = {port}\nuser = \"holdfast\"\npassword_file = \"{}\"\n",
            node.name,
            password.display()
        );
    }
    let names: Vec<_> = nodes.iter().map(|node| format!("\"{}\"", node.name)).collect();
    let _ = write!(
        text,
        "[[failover.group]]\nname = \"main\"\nmembers = [{}]\nlisten = \"127.0.0.1:{listen}\"\n{}\n",
        names.join(", "),
        wanted.group
    );
    text
}

/// Waits; what is waited for is a process that gives no sign.
pub fn pause(time: Duration) {
    let (_keep, nothing) = std::sync::mpsc::sync_channel::<()>(1);
    let _ = nothing.recv_timeout(time);
}

/// One INSERT every 20 ms through one address, by a client that connects again.
pub struct Writer {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
pub struct Seen {
    pub acked: Vec<(u64, Instant)>,
    pub failed_connects: Vec<(Instant, String)>,
    pub failed_statements: Vec<(Instant, String)>,
}

impl Writer {
    pub fn start(port: u16, next: &Arc<AtomicU64>) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (ended, kept, next) = (stop.clone(), seen.clone(), next.clone());
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            runtime.block_on(write(port, &ended, &kept, &next));
        });
        Self { stop, seen, thread: Some(thread) }
    }

    pub fn acked(&self) -> usize {
        self.seen.lock().expect("seen").acked.len()
    }

    /// Waits for `more` further rows, at most `within`.
    pub fn wait_for(&self, more: usize, within: Duration) {
        let (since, before) = (Instant::now(), self.acked());
        while self.acked() < before + more {
            assert!(since.elapsed() < within, "no rows for {within:?}: {:?}", self.last_errors());
            pause(Duration::from_millis(5));
        }
    }

    fn last_errors(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("seen");
        let all = seen.failed_connects.iter().chain(&seen.failed_statements);
        all.map(|(_, text)| text.clone()).rev().take(5).collect()
    }

    /// Ends it and gives what it saw.
    pub fn end(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the writer");
        }
        std::mem::take(&mut *self.seen.lock().expect("seen"))
    }
}

impl Seen {
    /// The longest time between two acknowledged rows.
    pub fn longest_gap(&self) -> Duration {
        self.acked.windows(2).map(|pair| pair[1].1 - pair[0].1).max().unwrap_or_default()
    }
}

async fn write(port: u16, stop: &AtomicBool, seen: &Mutex<Seen>, next: &AtomicU64) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(port).user("app").dbname("postgres");
        config.application_name("writer");
        let connecting = config.connect(tokio_postgres::NoTls);
        let connected = tokio::time::timeout(Duration::from_secs(10), connecting).await;
        let (client, connection) = match connected {
            Ok(Ok(both)) => both,
            Ok(Err(error)) => {
                seen.lock().expect("seen").failed_connects.push((Instant::now(), said(&error)));
                pace.tick().await;
                continue;
            }
            Err(_) => {
                seen.lock().expect("seen").failed_connects.push((Instant::now(), String::from("timeout")));
                continue;
            }
        };
        let work = async {
            while !stop.load(Ordering::Relaxed) {
                let id = next.fetch_add(1, Ordering::Relaxed);
                match client.simple_query(&format!("insert into t values ({id})")).await {
                    Ok(_) => seen.lock().expect("seen").acked.push((id, Instant::now())),
                    Err(error) => {
                        seen.lock().expect("seen").failed_statements.push((Instant::now(), said(&error)));
                        return;
                    }
                }
                pace.tick().await;
            }
        };
        tokio::select! {
            _ = connection => {
                seen.lock().expect("seen").failed_statements.push((Instant::now(), String::from("closed")));
            }
            () = work => {}
        }
        pace.tick().await;
    }
}

fn said(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |db| format!("{}: {}", db.code().code(), db.message()))
}
