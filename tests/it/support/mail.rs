//! A real mail server (aiosmtpd) on a free port.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{free_port, tools};

/// Runs until it is dropped.
pub struct MailServer {
    pub port: u16,
    server: Child,
    output: Option<BufReader<ChildStdout>>,
}

impl MailServer {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Wants STARTTLS and a login; by a key and a certificate, PEM.
    pub fn encrypted(key: &Path, certificate: &Path) -> Self {
        Self::with(&[key, certificate])
    }

    fn with(arguments: &[&Path]) -> Self {
        let (port, python) = (free_port(), tools().join("smtp/bin/python"));
        assert!(python.exists(), "no {}: `tests/run.sh` installs aiosmtpd there", python.display());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/mail_server.py");
        let mut server = Command::new(python)
            .arg(script)
            .arg(port.to_string())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start aiosmtpd");
        let output = server.stdout.take().map(BufReader::new);
        let mut mail = Self { port, server, output };
        assert_eq!(mail.line(), "ready");
        mail
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.as_mut().expect("not collected").read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// Every message from here on, in a list that fills by itself; for whoever looks later.
    pub fn collected(&mut self) -> Arc<Mutex<Vec<Value>>> {
        let kept = Arc::<Mutex<Vec<Value>>>::default();
        let (list, lines) = (kept.clone(), self.output.take());
        std::thread::spawn(move || {
            for line in lines.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
                list.lock().expect("not poisoned").push(serde_json::from_str(&line).expect("a message"));
            }
        });
        kept
    }

    /// The next message that was taken; its `text` is as it came.
    pub fn taken(&mut self) -> Value {
        serde_json::from_str(&self.line()).expect("a message")
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
