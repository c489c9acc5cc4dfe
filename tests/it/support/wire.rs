//! A wire between two programs: a TCP relay that delays what passes, holds one direction
//! or both, and breaks in the middle of a message.
//!
//! A held direction keeps what is sent into it, as a network that loses packets and
//! sends them again: after [`Wire::heal`] it arrives. Connections that come meanwhile
//! come about, as to a host that hangs.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Pieces on their way in one direction.
const PIECES: usize = 1024;

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Mood {
    /// After which an answer arrives.
    delay: Duration,
    /// Nothing arrives at the server, nothing at the client.
    held: [bool; 2],
    /// Every connection is reset, new ones too; so many bytes of an answer pass before.
    broken: Option<usize>,
}

/// See the module. Gone when dropped, and its connections with it.
pub struct Wire {
    pub port: u16,
    mood: watch::Sender<Mood>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Wire {
    /// One that leads to `host` and `port`.
    pub fn to(host: &str, port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let own = listener.local_addr().expect("its address").port();
        listener.set_nonblocking(true).expect("a listener that does not block");
        let (mood, follow) = watch::channel(Mood::default());
        let target = (host.to_owned(), port);
        runtime.spawn(accept(listener, target, follow));
        Self { port: own, mood, runtime: Some(runtime) }
    }

    /// Every round trip takes so much longer.
    pub fn delay(&self, delay: Duration) {
        self.mood.send_modify(|mood| mood.delay = delay);
    }

    /// Nothing arrives any more, on either side.
    pub fn hold(&self) {
        self.mood.send_modify(|mood| mood.held = [true, true]);
    }

    /// What is asked arrives, what is answered does not.
    pub fn hold_answers(&self) {
        self.mood.send_modify(|mood| mood.held = [false, true]);
    }

    /// Each connection is reset after `bytes` more of its answers, and so is every new one.
    /// With 0, at its next answer.
    pub fn break_after(&self, bytes: usize) {
        self.mood.send_modify(|mood| mood.broken = Some(bytes));
    }

    /// As at first, but for the delay.
    pub fn heal(&self) {
        self.mood.send_modify(|mood| (mood.held, mood.broken) = ([false, false], None));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Waiting for its thread is not allowed in a test that is asynchronous itself.
        let _ = self.runtime.take().map(tokio::runtime::Runtime::shutdown_background);
    }
}

async fn accept(listener: std::net::TcpListener, target: (String, u16), mood: watch::Receiver<Mood>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connect(client, target.clone(), mood.clone()));
    }
}

async fn connect(client: TcpStream, target: (String, u16), mut mood: watch::Receiver<Mood>) {
    let _ = client.set_nodelay(true);
    // A connection that comes about while nothing arrives reaches the server later.
    if mood.wait_for(|mood| !mood.held[0]).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return reset(client) };
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (there, back) = (mood.clone(), mood);
    // The end of one direction is the end of the connection.
    tokio::select! {
        () = flow(from_client, to_server, 0, there) => {}
        () = flow(from_server, to_client, 1, back) => {}
    }
}

fn reset(stream: TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
    drop(stream);
}

/// One direction until its end.
async fn flow(from: OwnedReadHalf, to: OwnedWriteHalf, way: usize, mood: watch::Receiver<Mood>) {
    let (send, pieces) = mpsc::channel(PIECES);
    let reading = async {
        read(from, send, way, mood.clone()).await;
        // What was read is still to arrive.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = reading => {}
        () = write(pieces, to, way, mood.clone()) => {}
    }
}

async fn write(
    mut pieces: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: OwnedWriteHalf,
    way: usize,
    mut mood: watch::Receiver<Mood>,
) {
    let mut left = None;
    while let Some((at, mut piece)) = pieces.recv().await {
        tokio::time::sleep_until(at).await;
        let Ok(now) = mood.wait_for(|mood| !mood.held[way]).await.map(|mood| *mood) else { return };
        if let (Some(bytes), 1) = (now.broken, way) {
            let rest = left.get_or_insert(bytes);
            piece.truncate(*rest);
            *rest -= piece.len();
        }
        if to.write_all(&piece).await.is_err() || left == Some(0) {
            let _ = rustix::net::sockopt::set_socket_linger(to.as_ref(), Some(Duration::ZERO));
            return;
        }
    }
}

async fn read(
    mut from: OwnedReadHalf,
    to: mpsc::Sender<(Instant, Vec<u8>)>,
    way: usize,
    mood: watch::Receiver<Mood>,
) {
    loop {
        let mut piece = vec![0; 16 << 10];
        let count = from.read(&mut piece).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        piece.truncate(count);
        let delay = if way == 1 { mood.borrow().delay } else { Duration::ZERO };
        let at = Instant::now() + delay;
        if to.send((at, piece)).await.is_err() {
            return;
        }
    }
}
