//! A real gRPC server (grpcio) with the official health service.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{free_port, tools, wait_for_listener};

pub struct Grpc {
    pub port: u16,
    arguments: Vec<PathBuf>,
    server: Option<(Child, BufReader<ChildStdout>)>,
}

impl Grpc {
    /// `mode` is `health`, or `bare` for a server without a health service.
    pub fn start(mode: &str) -> Self {
        Self::with(vec![mode.into()])
    }

    /// With TLS by a key and a certificate, PEM.
    pub fn encrypted(key: &Path, certificate: &Path) -> Self {
        Self::with(vec!["health".into(), key.to_owned(), certificate.to_owned()])
    }

    fn with(arguments: Vec<PathBuf>) -> Self {
        let mut grpc = Self { port: free_port(), arguments, server: None };
        grpc.launch();
        grpc
    }

    /// Starts the server and waits until it listens.
    pub fn launch(&mut self) {
        let python = tools().join("grpc/bin/python");
        assert!(
            python.exists(),
            "no {}: `tests/run.sh` installs grpcio and grpcio-health-checking there",
            python.display()
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/health_server.py");
        let mut server = Command::new(python)
            .arg(script)
            .arg(self.port.to_string())
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start grpcio");
        let output = BufReader::new(server.stdout.take().expect("stdout"));
        self.server = Some((server, output));
        self.wait_done();
        wait_for_listener(self.port);
    }

    fn wait_done(&mut self) {
        let (_, output) = self.server.as_mut().expect("running");
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        assert_eq!(line, "done\n");
    }

    /// Sets the health of a service, e.g. `NOT_SERVING`.
    pub fn set(&mut self, service: &str, status: &str) {
        let (server, _) = self.server.as_mut().expect("running");
        writeln!(server.stdin.as_mut().expect("stdin"), "{service} {status}").expect("told");
        self.wait_done();
    }

    pub fn signal(&self, signal: Signal) {
        let (server, _) = self.server.as_ref().expect("running");
        kill_process(Pid::from_child(server), signal).expect("signal");
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some((mut server, _)) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// A target section for this server.
    pub fn section(&self, more: &str) -> String {
        let port = self.port;
        format!("[[target.grpc]]\nname = \"rpc\"\naddress = \"127.0.0.1:{port}\"\ntimeout = \"1s\"\n{more}\n")
    }
}

impl Drop for Grpc {
    fn drop(&mut self) {
        self.kill();
    }
}
