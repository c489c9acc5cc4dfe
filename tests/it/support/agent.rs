//! The real binary, started as a user starts it, on a port of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::free_port;

/// A running agent; killed when dropped.
pub struct Agent {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    pub address: SocketAddr,
    pub data_dir: PathBuf,
    /// When the process was started.
    pub started: Instant,
}

/// One HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

impl Agent {
    /// Starts the agent on `data_dir` with the configuration text `config` (which
    /// needs neither `listen` nor `data_dir`), without waiting for anything.
    pub fn launch(data_dir: &Path, config: &str) -> Self {
        Self::launch_with(data_dir, config, |_| {})
    }

    /// The same with a command that `adjust` has changed: its environment, where its log goes.
    #[expect(clippy::disallowed_methods, reason = "the time of the real process is what is looked at")]
    pub fn launch_with(data_dir: &Path, config: &str, adjust: impl FnOnce(&mut Command)) -> Self {
        let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
        let file = data_dir.with_extension("toml");
        std::fs::write(&file, config).unwrap();
        let started = Instant::now();
        // The campaign runs the optimised static file instead of the test build.
        let built = std::env::var_os("HOLDFAST_BINARY").unwrap_or(env!("CARGO_BIN_EXE_holdfast").into());
        let mut command = Command::new(built);
        command
            .args(["run", "--listen", &address.to_string()])
            .arg("--config")
            .arg(&file)
            .arg("--data-dir")
            .arg(data_dir)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        adjust(&mut command);
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        Self { child, stdout, address, data_dir: data_dir.to_owned(), started }
    }

    /// Starts the agent and waits until it says that it is ready.
    pub fn start(data_dir: &Path, config: &str) -> Self {
        let mut agent = Self::launch(data_dir, config);
        agent.wait_ready();
        agent
    }

    /// Reads the agent's own lines until `ready`.
    pub fn wait_ready(&mut self) {
        let stdout = self.stdout.as_mut().unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            let read = stdout.read_line(&mut line).unwrap();
            assert!(read > 0, "the agent ended before it was ready: {:?}", self.child.try_wait());
            if line.starts_with("ready") {
                return;
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// SIGHUP: reads the configuration again.
    pub fn hang_up(&self) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.data_dir.join("admin.token")).unwrap().trim().to_owned()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "").unwrap()
    }

    /// Asks for `path` until `seen`; at most for 90 s.
    #[expect(clippy::disallowed_methods, reason = "the time of the real process is what is looked at")]
    pub fn wait(&self, path: &str, seen: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let body = self.get(path).json();
            if seen(&body) {
                return body;
            }
            assert!(Instant::now() < deadline, "{path} still answers {body}");
        }
    }

    /// The same with the token of the first start.
    pub fn get_as_admin(&self, path: &str) -> Answer {
        self.call("GET", path, &[&format!("Authorization: Bearer {}", self.token())], "").unwrap()
    }

    pub fn post(&self, path: &str, content_type: &str, body: &str) -> Answer {
        let authorization = format!("Authorization: Bearer {}", self.token());
        let content_type = format!("Content-Type: {content_type}");
        self.call("POST", path, &[&authorization, &content_type], body).unwrap()
    }

    /// One request on a connection of its own.
    pub fn call(&self, method: &str, path: &str, headers: &[&str], body: &str) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(request.as_bytes())?;
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw)?;
        Answer::parse(&raw).ok_or_else(|| std::io::Error::other("not an HTTP answer"))
    }

    /// The value of one series at its last sample, with the time in ms.
    pub fn latest(&self, selector: &str) -> Option<(i64, f64)> {
        let answer = self.get(&format!("/api/v1/query?query={}", escape(selector)));
        let json = answer.json();
        let series = json["series"].as_array()?.first()?;
        let at: String = series["at"].as_str()?.to_owned();
        Some((holdfast::base::time::Timestamp::parse(&at)?.millis(), series["value"].as_f64()?))
    }
}

impl Answer {
    fn parse(raw: &[u8]) -> Option<Self> {
        let split = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&raw[..split]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { unchunk(&raw[split + 4..]) } else { raw[split + 4..].to_vec() };
        Some(Self { status, head, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

fn unchunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|window| window == b"\r\n") {
        let size =
            std::str::from_utf8(&raw[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(size) = size.filter(|size| *size > 0 && raw.len() >= end + 2 + size) else { break };
        body.extend_from_slice(&raw[end + 2..end + 2 + size]);
        raw = raw.get(end + 4 + size..).unwrap_or_default();
    }
    body
}

/// Percent-encodes what may not stand in a query.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}
