//! A real S3 server (Garage): its own directory and ports, one key, one bucket.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use holdfast::runtime::http_client::{Answer, HttpClient};
use holdfast::runtime::supervisor::Phase;
use holdfast::runtime::tls;
use http_body_util::Full;
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::{Context, SignRequest};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::probing::surroundings;
use super::{free_port, tools, wait_for_listener};

pub const BUCKET: &str = "backup";
pub const KEY: &str = "GK000000000000000000000001";
pub const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

pub struct Garage {
    directory: TempDir,
    pub port: u16,
    server: Option<Child>,
}

fn program() -> PathBuf {
    let folder = tools();
    let program = folder.join("bin/garage");
    assert!(
        program.exists(),
        "no {}: build it once with `cargo install garage --locked --root {}`",
        program.display(),
        folder.display()
    );
    program
}

impl Garage {
    /// A running server with the bucket [`BUCKET`], which [`KEY`] may read and write.
    pub fn start() -> Self {
        let directory =
            tempfile::Builder::new().prefix("holdfast-s3-").tempdir().expect("a temporary folder");
        let mut garage = Self { directory, port: free_port(), server: None };
        let folder = garage.directory.path().display();
        let text = format!(
            "metadata_dir = \"{folder}/meta\"\ndata_dir = \"{folder}/data\"\ndb_engine = \"sqlite\"\n\
             replication_factor = 1\nrpc_bind_addr = \"127.0.0.1:{rpc}\"\nrpc_public_addr = \"127.0.0.1:{rpc}\"\n\
             rpc_secret = \"{SECRET}\"\n[s3_api]\ns3_region = \"garage\"\napi_bind_addr = \"127.0.0.1:{port}\"\n",
            rpc = free_port(),
            port = garage.port
        );
        let mut file = std::fs::OpenOptions::new();
        let mut file =
            file.create_new(true).write(true).mode(0o600).open(garage.settings()).expect("settings");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("settings");
        garage.launch();
        garage
    }

    fn settings(&self) -> PathBuf {
        self.directory.path().join("garage.toml")
    }

    /// Starts the server and waits until it says that it listens.
    pub fn launch(&mut self) {
        let mut server = Command::new(program())
            .arg("-c")
            .arg(self.settings())
            .args(["server", "--single-node", "--default-bucket"])
            .env("GARAGE_DEFAULT_ACCESS_KEY", KEY)
            .env("GARAGE_DEFAULT_SECRET_KEY", SECRET)
            .env("GARAGE_DEFAULT_BUCKET", BUCKET)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start garage");
        let mut lines = BufReader::new(server.stderr.take().expect("stderr")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        while said.last().is_none_or(|line: &String| !line.contains("S3 API server listening")) {
            let Some(line) = lines.next() else { panic!("garage did not start: {said:#?}") };
            said.push(line);
        }
        // What it says from now on must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self.server = Some(server);
        wait_for_listener(self.port);
    }

    pub fn signal(&self, signal: Signal) {
        let server = self.server.as_ref().expect("running");
        let pid = Pid::from_child(server);
        kill_process(pid, signal).expect("signal");
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Somebody else who uses the bucket.
    pub fn client(&self) -> Client {
        let supervisor = surroundings().supervisor;
        let tls = tls::trusting_nobody().expect("TLS");
        let http = HttpClient::new(&supervisor, Phase::Collect, tls);
        Client { http, address: format!("http://127.0.0.1:{}/{BUCKET}", self.port) }
    }

    /// A target section for this server.
    pub fn section(&self, more: &str) -> String {
        let port = self.port;
        format!(
            "[[target.object_store]]\nname = \"s3\"\nendpoint = \"http://127.0.0.1:{port}\"\nregion = \"garage\"\n\
             access_key_id = \"{KEY}\"\ntimeout = \"2s\"\n{more}\n"
        )
    }
}

impl Drop for Garage {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client of the bucket that is not the agent.
pub struct Client {
    http: HttpClient,
    address: String,
}

impl Client {
    /// Stores an object and returns the status.
    pub async fn put(&self, key: &str, body: &'static [u8]) -> u16 {
        self.send("PUT", &format!("/{key}"), Bytes::from_static(body)).await.status.as_u16()
    }

    /// Every key in the bucket, sorted.
    pub async fn keys(&self) -> Vec<String> {
        let answer = self.send("GET", "?list-type=2", Bytes::new()).await;
        let document = String::from_utf8(answer.body.to_vec()).expect("text");
        let keys = document.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        keys.map(|(key, _)| key.to_owned()).collect()
    }

    /// The bytes of an object.
    pub async fn get(&self, key: &str) -> Bytes {
        self.send("GET", &format!("/{key}"), Bytes::new()).await.body
    }

    /// Stores an object of any bytes.
    pub async fn put_bytes(&self, key: &str, body: Bytes) {
        assert_eq!(self.send("PUT", &format!("/{key}"), body).await.status, 200);
    }

    /// Begins an upload in parts that nobody ends.
    pub async fn begin_upload(&self, key: &str) {
        assert_eq!(self.send("POST", &format!("/{key}?uploads="), Bytes::new()).await.status, 200);
    }

    /// Keys of uploads in parts that did not end.
    pub async fn uploads(&self) -> Vec<String> {
        let answer = self.send("GET", "?uploads=", Bytes::new()).await;
        let document = String::from_utf8(answer.body.to_vec()).expect("text");
        let keys = document.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        keys.map(|(key, _)| key.to_owned()).collect()
    }

    async fn send(&self, method: &str, path: &str, body: Bytes) -> Answer {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.address));
        let (mut parts, body) = request.body(Full::new(body)).expect("a request").into_parts();
        let credential = Credential {
            access_key_id: KEY.to_owned(),
            secret_access_key: SECRET.to_owned(),
            session_token: None,
            expires_in: None,
        };
        let signer = RequestSigner::new("s3", "garage");
        signer.sign_request(&Context::new(), &mut parts, Some(&credential), None).await.expect("signed");
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        let request = http::Request::from_parts(parts, body);
        self.http.send(request, 16 << 20, deadline).await.expect("an answer")
    }
}
