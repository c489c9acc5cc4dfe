//! Listeners and their connections.
//!
//! Connections have a bounded number of places ([`Places`]); a flood takes those of idle
//! ones. Where TLS is on, the first byte tells who speaks it: this host may speak in the
//! clear too, everybody else is told to use TLS. Stopping lets every connection finish
//! the answer it is giving; event streams hear of the stop themselves.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Body as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::auth::peer::Peer;
use super::front::{Front, SharedFront};
use super::head_guard::{HeadGuard, LONGEST_HEAD};
use super::places::{Place, Places};
use super::write_deadline::WriteDeadline;
use crate::runtime::server_tls::ServerTls;
use crate::runtime::supervisor::{Phase, Supervisor};

/// Connections per listener.
const CONNECTIONS: usize = 512;
/// A head must be there within this time; also how long a connection may idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// How long a connection may take to end once the agent stops.
const GOODBYE: Duration = Duration::from_secs(3);
/// From the first byte to encryption.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What a TLS connection begins with.
const TLS_HANDSHAKE: u8 = 0x16;
/// Wait after the system refused a connection, e.g. for want of descriptors.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Where requests come in.
pub enum Listener {
    /// With TLS, where that is on.
    Tcp(TcpListener, Option<TlsAcceptor>),
    Unix(UnixListener),
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(listener, tls) => write!(f, "Tcp({listener:?}, tls: {})", tls.is_some()),
            Self::Unix(listener) => write!(f, "Unix({listener:?})"),
        }
    }
}

impl Listener {
    /// Binds a TCP address such as `127.0.0.1:3003`.
    ///
    /// # Errors
    /// What the system said.
    pub async fn tcp(address: &str) -> io::Result<Self> {
        TcpListener::bind(address).await.map(|listener| Self::Tcp(listener, None))
    }

    /// The same with TLS, if there is any; a unix socket stays as it is.
    #[must_use]
    pub fn with_tls(self, tls: Option<&ServerTls>) -> Self {
        match self {
            Self::Tcp(listener, _) => Self::Tcp(listener, tls.map(|tls| tls.acceptor().clone())),
            Self::Unix(_) => self,
        }
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
            Self::Tcp(listener, _) => listener.local_addr().ok(),
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
    let places = Places::new(CONNECTIONS);
    let _alive = Alive::new(front.clone());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accept(listener) => accepted,
        };
        let (accepted, place) = match accepted {
            Ok(accepted) => tokio::select! {
                () = stop.cancelled() => return,
                place = places.take() => (accepted, place),
            },
            Err(error) => {
                if !is_about_one_connection(&error) {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
                continue;
            }
        };
        let Some(place) = place else { return };
        let seat = Seat { front: front.clone(), stop: stop.clone(), place: Arc::new(place) };
        match accepted {
            Accepted::Tcp(stream, peer, None) => {
                supervisor.spawn_once(Phase::Serve, connection(stream, peer, seat));
            }
            Accepted::Tcp(stream, peer, Some(tls)) => {
                supervisor.spawn_once(Phase::Serve, greeted(stream, peer, tls, seat));
            }
            Accepted::Unix(stream, peer) => {
                supervisor.spawn_once(Phase::Serve, connection(stream, peer, seat));
            }
        }
    }
}

enum Accepted {
    Tcp(TcpStream, Peer, Option<TlsAcceptor>),
    Unix(UnixStream, Peer),
}

async fn accept(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Tcp(listener, tls) => {
            let (stream, remote) = listener.accept().await?;
            let peer = Peer::Tcp { remote, local: stream.local_addr()?, tls: false };
            // Answers are written whole; waiting to fill a packet only delays them.
            stream.set_nodelay(true)?;
            Ok(Accepted::Tcp(stream, peer, tls.clone()))
        }
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let peer = Peer::Unix { uid: stream.peer_cred()?.uid() };
            Ok(Accepted::Unix(stream, peer))
        }
    }
}

/// What a connection needs beside its stream.
struct Seat {
    front: SharedFront,
    stop: CancellationToken,
    place: Arc<Place>,
}

/// A connection where TLS is on: encrypted, if it begins like that.
async fn greeted(stream: TcpStream, peer: Peer, tls: TlsAcceptor, seat: Seat) {
    let encrypt = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 || first[0] != TLS_HANDSHAKE {
            return Ok::<_, io::Error>(Err(stream));
        }
        tls.accept(stream).await.map(Ok)
    };
    let greeted = tokio::select! {
        () = seat.stop.cancelled() => return,
        () = seat.place.closed() => return,
        greeted = tokio::time::timeout(HANDSHAKE, encrypt) => greeted,
    };
    match greeted {
        Ok(Ok(Ok(encrypted))) => {
            let Peer::Tcp { remote, local, .. } = peer else { return };
            connection(encrypted, Peer::Tcp { remote, local, tls: true }, seat).await;
        }
        Ok(Ok(Err(clear))) => connection(clear, peer, seat).await,
        // A handshake that fails is the client's business.
        Ok(Err(_)) | Err(_) => {}
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | NotConnected)
}

async fn connection<S>(stream: S, peer: Peer, seat: Seat)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Seat { front, stop, place } = seat;
    let (stream, ambiguous) = HeadGuard::new(WriteDeadline::new(stream));
    let own = place.clone();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (front, place) = (front.clone(), own.clone());
        place.busy();
        let mut request = request.map(Body::new);
        if ambiguous.is() {
            request.extensions_mut().insert(ambiguous.clone());
        }
        async move {
            let response = front.answer(peer, request).await;
            // An event stream or another protocol is never idle again.
            if response.body().size_hint().exact().is_some() && response.status().as_u16() != 101 {
                place.idle();
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // A connection that breaks off is the client's business, not an error of ours.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = place.closed() => return,
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
