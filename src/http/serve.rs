//! Listeners and their connections.
//!
//! A connection is given a place before it is accepted, so a flood waits in the
//! kernel's queue instead of in our memory. Stopping lets every connection finish
//! the answer it is giving; event streams hear of the stop themselves.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::auth::peer::Peer;
use super::front::{Front, SharedFront};
use super::write_deadline::WriteDeadline;
use crate::runtime::supervisor::{Phase, Supervisor};

/// Connections per listener.
const CONNECTIONS: usize = 512;
/// A head must be there within this time; also how long a connection may idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// How long a connection may take to end once the agent stops.
const GOODBYE: Duration = Duration::from_secs(3);
/// Read buffer, and thereby the largest head.
const BUFFER: usize = 64 * 1024;
/// Wait after the system refused a connection, e.g. for want of descriptors.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Where requests come in.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Binds a TCP address such as `127.0.0.1:3003`.
    ///
    /// # Errors
    /// What the system said.
    pub async fn tcp(address: &str) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self::Tcp)
    }

    /// Binds a unix socket that only its owner may use. A socket that nobody
    /// listens on any more is replaced; anything else at the path is left alone.
    ///
    /// The socket is made below a directory that only we may enter and moved to its
    /// place once its mode is set: bound there, it would stand open to whoever the
    /// umask lets in until then.
    ///
    /// # Errors
    /// `AddrInUse` while someone listens on it, or something that is no socket is
    /// there; what the system said.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                let text = format!("{} exists and is not a socket; it is left alone", path.display());
                return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
            }
            Ok(_) if tokio::net::UnixStream::connect(path).await.is_ok() => {
                return Err(io::Error::from(io::ErrorKind::AddrInUse));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let room = Room::beside(path)?;
        let made = room.0.join("s");
        let listener = UnixListener::bind(&made)?;
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
        // Takes the place of a socket that was left behind.
        std::fs::rename(&made, path)?;
        Ok(Self::Unix(listener))
    }

    /// The TCP address that was bound, with the port the system chose.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// A directory of our own, empty and gone again once it is dropped.
struct Room(PathBuf);

impl Room {
    /// Beside `path`, because a rename does not cross filesystems. The name is short:
    /// the address of a socket has room for about a hundred bytes.
    fn beside(path: &Path) -> io::Result<Self> {
        let room = path.with_file_name(format!(".{}", std::process::id()));
        let mut maker = std::fs::DirBuilder::new();
        maker.mode(0o700);
        match maker.create(&room) {
            // Left behind by a process that had our number and was killed right here.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let _ = std::fs::remove_file(room.join("s"));
                std::fs::remove_dir(&room)?;
                maker.create(&room)?;
            }
            made => made?,
        }
        Ok(Self(room))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0.join("s"));
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Accepts connections until `stop`, each as a task of the supervisor.
pub async fn serve(listener: &Listener, front: &Front, supervisor: &Supervisor, stop: &CancellationToken) {
    let front: SharedFront = Arc::new(front.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let _alive = Alive::new(front.clone());
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = places.clone().acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accept(listener, &front, supervisor, stop, place) => accepted,
        };
        if let Err(error) = accepted
            && !is_about_one_connection(&error)
        {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(REFUSED_PAUSE).await;
        }
    }
}

async fn accept(
    listener: &Listener,
    front: &SharedFront,
    supervisor: &Supervisor,
    stop: &CancellationToken,
    place: OwnedSemaphorePermit,
) -> io::Result<()> {
    let (front, stop) = (front.clone(), stop.clone());
    match listener {
        Listener::Tcp(listener) => {
            let (stream, remote) = listener.accept().await?;
            let peer = Peer::Tcp { remote, local: stream.local_addr()?, tls: false };
            // Answers are written whole; waiting to fill a packet only delays them.
            stream.set_nodelay(true)?;
            supervisor.spawn_once(Phase::Serve, connection(stream, peer, front, stop, place));
        }
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let peer = Peer::Unix { uid: stream.peer_cred()?.uid() };
            supervisor.spawn_once(Phase::Serve, connection(stream, peer, front, stop, place));
        }
    }
    Ok(())
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | NotConnected)
}

async fn connection<S>(
    stream: S,
    peer: Peer,
    front: SharedFront,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let front = front.clone();
        async move { Ok::<_, std::convert::Infallible>(front.answer(peer, request.map(Body::new)).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(WriteDeadline::new(stream)), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // A connection that breaks off is the client's business, not an error of ours.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GOODBYE, connection).await;
}

/// Counts a listener as alive while it accepts.
struct Alive(SharedFront);

impl Alive {
    fn new(front: SharedFront) -> Self {
        let listeners = &front.app().listeners;
        listeners.started.fetch_add(1, Ordering::Relaxed);
        listeners.alive.fetch_add(1, Ordering::Relaxed);
        Self(front)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.app().listeners.alive.fetch_sub(1, Ordering::Relaxed);
    }
}
