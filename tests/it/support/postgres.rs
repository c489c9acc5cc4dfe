//! A real PostgreSQL server: its own directory, a free port, gone when dropped.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::free_port;
use super::small_disk::SmallDisk;

/// The account the server runs as when the tests run as root, which it refuses to be.
const NOBODY: u32 = 65534;

/// A password nobody asks for, `it's a ge heim`, as a file of settings holds it.
const HIDDEN_SETTING: &str = r"password=''it\\''s a ge heim''";

/// Who must know the password.
const PASSWORD_RULES: &str = "host all holdfast 127.0.0.1/32 scram-sha-256\n\
    host replication holdfast 127.0.0.1/32 scram-sha-256\n";

/// Servers on hosts of their own, see `support::lan`.
const LAN_RULES: &str = "host all holdfast 10.213.0.0/16 scram-sha-256\n\
    host all all 10.213.0.0/16 trust\nhost replication all 10.213.0.0/16 trust\n";

/// What a role needs to supervise a member of a failover group.
const GRANTS: &str = "grant pg_monitor, pg_signal_backend to holdfast; \
    grant execute on function pg_promote(boolean, integer), pg_reload_conf() to holdfast; \
    grant alter system on parameter primary_conninfo, synchronous_standby_names, \
    default_transaction_read_only to holdfast; \
    alter role holdfast replication";

pub struct Postgres {
    /// Let go before the folder it lies in.
    pub disk: Option<SmallDisk>,
    directory: TempDir,
    place: Place,
    pub port: u16,
}

/// Where a server runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its address.
    pub host: String,
    /// The network namespace that has the address, when it is another than ours.
    pub space: Option<String>,
    /// Its data lies on a disk of so many MiB.
    pub disk: Option<u32>,
}

impl Default for Place {
    fn default() -> Self {
        Self { host: String::from("127.0.0.1"), space: None, disk: None }
    }
}

/// The folder with the newest installed server.
pub fn programs() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest =
        found.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("postgres").exists()).max();
    newest.expect("no PostgreSQL in /usr/lib/postgresql: install it with `apt-get install postgresql`")
}

/// Runs a program of PostgreSQL, as nobody where that is needed, and returns its output.
fn run(program: &str, directory: &Path, arguments: &[&str]) -> String {
    run_in(None, program, directory, arguments)
}

/// The same in a network namespace, which only root may enter.
fn run_in(space: Option<&str>, program: &str, directory: &Path, arguments: &[&str]) -> String {
    let path = programs().join(program);
    let mut command = match space {
        None => Command::new(path),
        Some(space) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", space, "setpriv", "--clear-groups"]);
            command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]).arg(path);
            command
        }
    };
    command.args(arguments).current_dir(directory).env("PGCONNECT_TIMEOUT", "20");
    if rustix::process::getuid().is_root() && space.is_none() {
        command.uid(NOBODY).gid(NOBODY);
    }
    // The server inherits what it prints to: a pipe would never end.
    let log = directory.join(format!("{program}.{}.out", std::process::id()));
    if program == "pg_ctl" {
        let file = std::fs::File::create(&log).expect("output file");
        let status = command.stdout(file.try_clone().expect("clone")).stderr(file).status().expect("run");
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let server = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
        assert!(status.success(), "{program} {arguments:?}: {said}\n{server}");
        return said;
    }
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Postgres {
    /// A running primary. Everybody is trusted but the role `holdfast`, whose
    /// password is `right-password`. `settings` are lines of postgresql.conf.
    pub fn primary(settings: &str) -> Self {
        let server = Self::prepared(settings);
        server.start();
        server.psql("create role holdfast login password 'right-password'");
        server
    }

    /// The same, not started.
    pub fn prepared(settings: &str) -> Self {
        Self::prepared_at(Place::default(), settings)
    }

    /// The same at another place.
    pub fn prepared_at(place: Place, settings: &str) -> Self {
        let server = Self::at(place);
        let data = server.data();
        let data = data.to_str().expect("path");
        run(
            "initdb",
            server.directory.path(),
            &[
                "-D",
                data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-N",
                "--no-instructions",
                "--wal-segsize",
                server.segment(),
            ],
        );
        server.append("postgresql.conf", &server.settings());
        server.append("postgresql.conf", settings);
        let hba = server.data().join("pg_hba.conf");
        let rules = std::fs::read_to_string(&hba).expect("pg_hba.conf");
        std::fs::write(&hba, format!("{PASSWORD_RULES}{rules}{LAN_RULES}")).expect("pg_hba.conf");
        server
    }

    fn at(place: Place) -> Self {
        let directory = folder();
        let data = directory.path().join("data");
        let disk = place.disk.map(|size| SmallDisk::new(&data, size, NOBODY));
        Self { disk, directory, place, port: free_port() }
    }

    /// Size of a segment of the log, MiB: a small disk is soon full of great ones.
    fn segment(&self) -> &'static str {
        if self.place.disk.is_some() { "1" } else { "16" }
    }

    /// The address it listens on.
    pub fn host(&self) -> &str {
        &self.place.host
    }

    /// A running standby that streams from `primary`.
    pub fn standby_of(primary: &Self) -> Self {
        let server = Self::at(Place::default());
        let (data, from) = (server.data(), primary.port.to_string());
        let data = data.to_str().expect("path");
        let arguments = ["-h", "127.0.0.1", "-p", &from, "-U", "postgres", "-D", data, "-R", "-X", "stream"];
        let arguments = [&arguments[..], &["-c", "fast", "-C", "-S", "standby_one", "-N"]].concat();
        run("pg_basebackup", server.directory.path(), &arguments);
        server.append("postgresql.auto.conf", &server.settings());
        server.start();
        server
    }

    /// A running standby of `primary` that names itself and holds a slot there.
    pub fn follower_of(primary: &Self, name: &str, slot: &str) -> Self {
        Self::follower_at(Place::default(), primary, name, slot)
    }

    /// The same at another place.
    pub fn follower_at(place: Place, primary: &Self, name: &str, slot: &str) -> Self {
        let server = Self::at(place);
        let data = server.data();
        let data = data.to_str().expect("path");
        let from = primary.conninfo(name);
        let arguments = ["-d", &from, "-D", data, "-R", "-X", "stream", "-c", "fast", "-C", "-S", slot, "-N"];
        run("pg_basebackup", server.directory.path(), &arguments);
        server.append("postgresql.auto.conf", &server.settings());
        server.append("postgresql.auto.conf", &format!("cluster_name = '{name}'\n"));
        server.start();
        server
    }

    /// Makes a former primary a standby of `head`, with pg_rewind.
    pub fn rejoin(&self, head: &Self, name: &str, slot: &str) {
        self.signal_all(Signal::KILL);
        self.forget_pid();
        head.psql("checkpoint");
        let source = format!("{} dbname=postgres", head.conninfo(name));
        let data = self.data();
        run(
            "pg_rewind",
            self.directory.path(),
            &["-D", data.to_str().expect("path"), "--source-server", &source, "-R"],
        );
        let conninfo = head.conninfo(name);
        self.append("postgresql.auto.conf", &self.settings());
        self.append(
            "postgresql.auto.conf",
            &format!(
                "primary_conninfo = '{conninfo}'\nprimary_slot_name = '{slot}'\ncluster_name = '{name}'\n"
            ),
        );
        self.start();
    }

    /// How a member of that name reaches it.
    fn conninfo(&self, name: &str) -> String {
        format!("host={} port={} user=postgres application_name={name}", self.host(), self.port)
    }

    /// A running primary whose role `holdfast` may supervise it, and nothing more.
    pub fn member(settings: &str) -> Self {
        let server = Self::primary(&format!("wal_log_hints = on\n{settings}"));
        server.psql(GRANTS);
        server
    }

    /// A running standby that streams from `primary` by the name and slot `name`.
    pub fn follower(primary: &Self, name: &str, settings: &str) -> Self {
        let server = Self::at(Place::default());
        let (data, from) = (server.data(), primary.port.to_string());
        let data = data.to_str().expect("path");
        let arguments = ["-h", "127.0.0.1", "-p", &from, "-U", "postgres", "-D", data, "-R", "-X", "stream"];
        let arguments = [&arguments[..], &["-c", "fast", "-C", "-S", name, "-N"]].concat();
        run("pg_basebackup", server.directory.path(), &arguments);
        let conninfo =
            format!("host=127.0.0.1 port={from} user=postgres application_name={name} {HIDDEN_SETTING}");
        let settings = format!("{}primary_conninfo = '{conninfo}'\n{settings}", server.settings());
        server.append("postgresql.auto.conf", &settings);
        server.start();
        primary.wait_until(&format!(
            "select count(*) = 1 from pg_stat_replication where application_name = '{name}' \
             and state = 'streaming' and replay_lsn is not null"
        ));
        server
    }

    /// Makes it the primary of a new timeline.
    pub fn promote(&self) {
        assert_eq!(self.psql("select pg_promote(true, 20)"), "t");
    }

    /// Runs a script as psql reads it from a file, as the superuser.
    pub fn script(&self, text: &str) -> String {
        let path = self.directory.path().join("script.sql");
        std::fs::write(&path, text).expect("the script");
        let (port, path) = (self.port.to_string(), path.to_str().expect("path").to_owned());
        let server = ["-h", self.host(), "-p", &port, "-U", "postgres"];
        let arguments = [&["-XAtq", "-v", "ON_ERROR_STOP=1", "-f", &path], &server[..]].concat();
        run("psql", self.directory.path(), &arguments)
    }

    fn settings(&self) -> String {
        format!(
            "listen_addresses = '{}'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\n\
             wal_level = replica\nshared_buffers = 16MB\nwal_retrieve_retry_interval = 100ms\n",
            self.host(),
            self.port,
            self.directory.path().display()
        )
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Adds `text` to a file of the data directory.
    pub fn append(&self, file: &str, text: &str) {
        let path = self.data().join(file);
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(path, format!("{before}{text}\n")).expect("configuration of the server");
    }

    /// Starts it and waits until it serves.
    pub fn start(&self) {
        let (data, log) = (self.data(), self.directory.path().join("log"));
        let (data, log) = (data.to_str().expect("path"), log.to_str().expect("path"));
        let arguments = ["-D", data, "-l", log, "-w", "start"];
        run_in(self.place.space.as_deref(), "pg_ctl", self.directory.path(), &arguments);
    }

    /// Stops it in the mode `fast` or `immediate` and waits until it is gone.
    pub fn stop(&self, mode: &str) {
        let data = self.data();
        run("pg_ctl", self.directory.path(), &["-D", data.to_str().expect("path"), "-w", "-m", mode, "stop"]);
    }

    pub fn psql(&self, sql: &str) -> String {
        self.psql_as("postgres", sql)
    }

    pub fn psql_as(&self, user: &str, sql: &str) -> String {
        let port = self.port.to_string();
        let arguments = ["-XAtq", "-h", self.host(), "-p", &port, "-U", user, "-d", "postgres", "-c", sql];
        run("psql", self.directory.path(), &arguments)
    }

    /// A statement that runs until the returned process is killed.
    pub fn psql_in_background(&self, sql: &str) -> Child {
        self.background(self.host(), "postgres", sql)
    }

    /// The same as another role.
    pub fn background_as(&self, user: &str, sql: &str) -> Child {
        self.background(self.host(), user, sql)
    }

    /// The same by the server's socket.
    pub fn background_at_socket(&self, sql: &str) -> Child {
        self.background(&self.folder().display().to_string(), "postgres", sql)
    }

    fn background(&self, host: &str, user: &str, sql: &str) -> Child {
        let port = self.port.to_string();
        let mut command = Command::new(programs().join("psql"));
        command.args([
            "-XAtq",
            "-h",
            host,
            "-p",
            &port,
            "-U",
            user,
            "-d",
            "postgres",
            "-v",
            "ON_ERROR_STOP=1",
        ]);
        // Each statement for itself: several in one message are one transaction.
        for statement in sql.split("; ") {
            command.args(["-c", statement]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql")
    }

    /// Asks `question` until the answer is true, at most 20 s.
    pub fn wait_until(&self, question: &str) {
        let asked = format!(
            "do $$ begin for i in 1..2000 loop perform pg_stat_clear_snapshot(); \
             if ({question}) then return; end if; perform pg_sleep(0.01); end loop; \
             raise 'waited in vain'; end $$"
        );
        self.psql(&asked);
    }

    /// Makes a self-signed certificate for `name` and its key where the settings
    /// `ssl_cert_file` and `ssl_key_file` look for them; returns the certificate's path.
    pub fn certificate(&self, name: &str) -> String {
        let (key, certificate) = (self.data().join("server.key"), self.data().join("server.crt"));
        super::certificate::self_signed(name, &key, &certificate);
        if rustix::process::getuid().is_root() {
            std::os::unix::fs::chown(&key, Some(NOBODY), Some(NOBODY)).expect("owner of the key");
        }
        certificate.display().to_string()
    }

    /// Sends `signal` to the server and every process of it.
    pub fn signal_all(&self, signal: Signal) {
        let Some(server) = self.pid() else { return };
        let children = children_of(server);
        // The first process first: one that sees its children die would say so to the others.
        for pid in [server].into_iter().chain(children) {
            let _ = kill_process(pid, signal);
        }
    }

    /// SIGKILL for the server and every process of it, none of which can say a word.
    pub fn kill_all(&self) {
        self.signal_all(Signal::STOP);
        self.signal_all(Signal::KILL);
    }

    /// Whether its process is there.
    pub fn is_running(&self) -> bool {
        let stat =
            self.pid().map(|pid| std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())));
        // Killed and not yet waited for by whoever should is gone too.
        stat.is_some_and(|stat| stat.is_ok_and(|stat| !stat.contains(") Z ")))
    }

    /// Removes what a killed server left to say that it runs.
    pub fn forget_pid(&self) {
        super::wait_for_refusal_at(self.host(), self.port);
        let _ = std::fs::remove_file(self.data().join("postmaster.pid"));
        // A killed process that nobody has waited for yet counts as one that runs.
        let _ = std::fs::remove_file(self.folder().join(format!(".s.PGSQL.{}.lock", self.port)));
    }

    /// Whether a plain client can write.
    pub fn takes_writes(&self) -> bool {
        self.psql(
            "select not pg_is_in_recovery() and current_setting('default_transaction_read_only') = 'off'",
        ) == "t"
    }

    /// As [`Self::psql`]; what the server said is an error.
    ///
    /// # Errors
    /// The text of the server.
    pub fn try_psql(&self, sql: &str) -> Result<String, String> {
        let port = self.port.to_string();
        let output = Command::new(programs().join("psql"))
            .args(["-XAtq", "-h", self.host(), "-p", &port, "-U", "postgres", "-c", sql])
            .output()
            .map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(said)
        }
    }

    /// Sends `signal` to the server's first process alone.
    pub fn signal_postmaster(&self, signal: Signal) {
        let _ = kill_process(self.pid().expect("a running server"), signal);
    }

    /// Processor time of all processes there are, in ticks of 10 ms.
    pub fn processor_ticks(&self) -> u64 {
        let Some(server) = self.pid() else { return 0 };
        let all = children_of(server).into_iter().chain([server]);
        all.map(|pid| ticks(pid.as_raw_nonzero().get().unsigned_abs())).sum()
    }

    fn pid(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.signal_all(Signal::CONT);
        // Nobody will read these files again. A server that was killed has left its
        // pid file and nothing to stop; nothing here may panic.
        let mut stop = Command::new(programs().join("pg_ctl"));
        stop.arg("-D").arg(self.data()).args(["-s", "-w", "-m", "immediate", "stop"]);
        if rustix::process::getuid().is_root() {
            stop.uid(NOBODY).gid(NOBODY);
        }
        let _ = stop.current_dir(self.directory.path()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("holdfast-pg-").tempdir().expect("a temporary folder");
    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("give the folder away");
    }
    folder
}

/// Processor time of a process, in ticks of 10 ms.
pub fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn children_of(parent: Pid) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |id: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
        after_name.split(' ').nth(1) == Some(parent.as_raw_nonzero().to_string().as_str())
    };
    ids.filter(is_child).filter_map(Pid::from_raw).collect()
}
