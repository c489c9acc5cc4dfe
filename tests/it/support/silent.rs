//! Ports that are no server: one refuses, one never answers, one talks nonsense, one greets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Accepts connections until it is dropped.
pub struct Silent {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A port that does not even let a connection come about, as a host that is gone: the
/// queue of its listener is full.
pub struct Full {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Full {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let patience = std::time::Duration::from_millis(100);
        let connect = || TcpStream::connect_timeout(&address, patience).ok();
        Self { listener, _waiting: std::iter::from_fn(connect).take(1 << 14).collect() }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("address").port()
    }
}

impl Silent {
    /// Accepts and never answers.
    pub fn mute() -> Self {
        Self::start(None, false)
    }

    /// Answers whatever is said with `text`.
    pub fn babbling(text: &'static [u8]) -> Self {
        Self::start(Some(text), true)
    }

    /// Says `text` to whoever connects.
    pub fn greeting(text: &'static [u8]) -> Self {
        Self::start(Some(text), false)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    fn start(text: Option<&'static [u8]>, listens: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Some(text) = text {
                    if listens {
                        let mut heard = [0; 1024];
                        let _ = stream.read(&mut heard);
                    }
                    let _ = stream.write_all(text);
                }
                open.push(stream);
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
