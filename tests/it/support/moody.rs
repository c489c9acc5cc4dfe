//! A web server in a bad mood: it takes a message, fails, asks for patience, hangs or hangs
//! up, by chance, and keeps what it answered to what.
//!
//! What it took is noted before the answer goes out: a sender that dies in between has
//! delivered all the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::random::Random;

/// One message that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The header `webhook-id`.
    pub id: String,
    pub body: Value,
}

struct Shared {
    taken: Mutex<Vec<Taken>>,
    random: Mutex<Random>,
    /// Takes everything from now on.
    calm: AtomicBool,
    /// Requests that were not taken.
    refused: Mutex<u64>,
}

/// See the module. Its threads end with the process.
pub struct Moody {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Moody {
    pub fn start(port: u16, seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("bind");
        let port = listener.local_addr().expect("address").port();
        let shared = Arc::new(Shared {
            taken: Mutex::default(),
            random: Mutex::new(Random(seed)),
            calm: AtomicBool::new(false),
            refused: Mutex::default(),
        });
        let own = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = own.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared }
    }

    pub fn calm(&self) {
        self.shared.calm.store(true, Ordering::Relaxed);
    }

    /// Everything that was taken, and how many requests were not.
    pub fn taken(&self) -> (Vec<Taken>, u64) {
        let taken = self.shared.taken.lock().expect("not poisoned").clone();
        (taken, *self.shared.refused.lock().expect("not poisoned"))
    }
}

/// One request; `None` when it broke off, as it does when the sender is killed.
fn serve(mut stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut id, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        match reader.read_line(&mut line).ok()? {
            0 => return None,
            1 | 2 => break,
            _ => {}
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => id = value.trim().to_owned(),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mood = if shared.calm.load(Ordering::Relaxed) { 0 } else { shared.random.lock().ok()?.below(100) };
    if mood < 60 {
        let body = serde_json::from_slice(&body).expect("JSON");
        shared.taken.lock().ok()?.push(Taken { id, body });
    } else {
        *shared.refused.lock().ok()? += 1;
    }
    let answer = match mood {
        // Taken, and the sender never hears of it.
        50..60 => "",
        0..50 => "HTTP/1.1 200 OK\r\n",
        60..70 => "HTTP/1.1 500 Internal Server Error\r\n",
        70..80 => "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n",
        // Hangs until the sender gives up.
        80..90 => return stream.read(&mut [0]).ok().map(drop),
        _ => "",
    };
    if answer.is_empty() {
        return None;
    }
    stream.write_all(answer.as_bytes()).ok()?;
    stream.write_all(b"Content-Length: 0\r\nConnection: close\r\n\r\n").ok()
}
