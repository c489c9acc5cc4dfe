//! A real Redis server: its own directory and port.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{free_port, wait_for_listener};

pub struct Redis {
    directory: TempDir,
    pub port: u16,
    options: Vec<String>,
    server: Option<Child>,
}

impl Redis {
    /// A running server with these options, e.g. `["--requirepass", "x"]`.
    pub fn start(options: &[&str]) -> Self {
        let directory =
            tempfile::Builder::new().prefix("holdfast-redis-").tempdir().expect("a temporary folder");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut redis = Self { directory, port: free_port(), options, server: None };
        redis.launch();
        redis
    }

    /// Starts the server and waits until it listens.
    pub fn launch(&mut self) {
        let mut server = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.options)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("no redis-server: install it with `apt-get install redis-server`");
        let mut lines = BufReader::new(server.stdout.take().expect("stdout")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        while said.last().is_none_or(|line: &String| !line.contains("eady to accept connections")) {
            let Some(line) = lines.next() else { panic!("redis did not start: {said:#?}") };
            said.push(line);
        }
        // What it says from now on must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self.server = Some(server);
        wait_for_listener(self.port);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.server.as_ref().expect("running")), signal).expect("signal");
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// What a client says, and what it is answered.
    pub fn cli(&self, words: &[&str]) -> String {
        let output = self.client().args(words).output().expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A client that waits for the end of what it asked.
    pub fn cli_in_background(&self, words: &[&str]) -> Child {
        self.client().args(words).stdout(Stdio::null()).spawn().expect("redis-cli")
    }

    fn client(&self) -> Command {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &self.port.to_string()]);
        client
    }

    /// A target section for this server.
    pub fn section(&self, more: &str) -> String {
        let port = self.port;
        format!(
            "[[target.redis]]\nname = \"cache\"\nurl = \"redis://127.0.0.1:{port}\"\ntimeout = \"1s\"\n{more}\n"
        )
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
