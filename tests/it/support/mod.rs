//! What the tests start and speak with: real servers on free ports, stopped by pid.

pub mod agent;
pub mod alertmanager;
pub mod app;
pub mod certificate;
pub mod client;
pub mod cluster;
pub mod command;
pub mod delivering;
pub mod documented;
pub mod garage;
pub mod grpc;
pub mod lan;
pub mod mail;
pub mod member;
pub mod moody;
pub mod outage;
pub mod postgres;
pub mod probing;
pub mod random;
pub mod receiver;
pub mod redis;
pub mod relay;
pub mod s3_door;
pub mod silent;
pub mod small_disk;
pub mod story;
pub mod tls_door;
pub mod web;
pub mod wire;

/// The folder with the servers that are installed once: `HOLDFAST_TEST_TOOLS`, or
/// `~/.cache/holdfast-tests`.
pub fn tools() -> std::path::PathBuf {
    let folder = std::env::var_os("HOLDFAST_TEST_TOOLS").map(std::path::PathBuf::from);
    let home = || std::env::var_os("HOME").map(std::path::PathBuf::from).unwrap_or_default();
    folder.unwrap_or_else(|| home().join(".cache/holdfast-tests"))
}

/// A port nobody listens on at this moment, and that was not given to anybody else here.
pub fn free_port() -> u16 {
    static GIVEN: std::sync::Mutex<std::collections::BTreeSet<u16>> =
        std::sync::Mutex::new(std::collections::BTreeSet::new());
    loop {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind a free port");
        let port = listener.local_addr().expect("its address").port();
        if GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}

/// Waits until somebody listens on `port`: a server says that it does just before
/// it does.
pub fn wait_for_listener(port: u16) {
    wait_for_listener_at("127.0.0.1", port);
}

/// The same of another host.
pub fn wait_for_listener_at(host: &str, port: u16) {
    let listens = |_: &u32| std::net::TcpStream::connect((host, port)).is_ok();
    let tries = (0..1_000_000).inspect(|_| std::thread::yield_now()).find(listens);
    assert!(tries.is_some(), "nobody listens on {host}:{port}");
}

/// Waits until nobody listens on `port` any more: a killed process takes a moment.
pub fn wait_for_refusal(port: u16) {
    wait_for_refusal_at("127.0.0.1", port);
}

/// The same of another host.
pub fn wait_for_refusal_at(host: &str, port: u16) {
    let refuses = |_: &u32| std::net::TcpStream::connect((host, port)).is_err();
    let tries = (0..1_000_000).inspect(|_| std::thread::yield_now()).find(refuses);
    assert!(tries.is_some(), "somebody still listens on {host}:{port}");
}
