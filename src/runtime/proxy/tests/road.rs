//! A running proxy, clients, and servers that do what a test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::{Endpoint, Options, Proxy};
use crate::base::id::Name;
use crate::base::time::SystemClock;
use crate::model::failover::route::{Address, Route};
use crate::runtime::proxy::counters::Snapshot;
use crate::runtime::supervisor::Supervisor;

pub const LONG: Duration = Duration::from_secs(30);

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A startup packet of protocol 3.0.
pub fn startup() -> Vec<u8> {
    packet(196_608, b"user\0postgres\0\0")
}

pub fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
    [&(8 + rest.len() as u32).to_be_bytes()[..], &code.to_be_bytes(), rest].concat()
}

pub fn ssl_request() -> Vec<u8> {
    packet(80_877_103, b"")
}

/// A server that a test plays itself.
pub struct Server {
    pub listener: TcpListener,
    pub address: Address,
}

impl Server {
    pub async fn start(member: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, address: Address { member: name(member), host: String::from("127.0.0.1"), port } }
    }

    pub async fn accept(&self) -> TcpStream {
        let accepted = tokio::time::timeout(LONG, self.listener.accept()).await;
        accepted.expect("nobody came").unwrap().0
    }

    /// Accepts, reads the startup and answers `R`.
    pub async fn admit(&self) -> TcpStream {
        let mut stream = self.accept().await;
        assert_eq!(read(&mut stream, startup().len()).await, startup());
        stream.write_all(b"R").await.unwrap();
        stream
    }
}

/// Reads exactly `count` bytes.
pub async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    tokio::time::timeout(LONG, stream.read_exact(&mut bytes)).await.expect("no bytes").unwrap();
    bytes
}

/// Reads to the end.
pub async fn rest(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::time::timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("no end").map(|_| bytes)
}

/// Whether what comes next is a reset.
pub async fn is_reset(stream: &mut TcpStream) -> bool {
    let ended = rest(stream).await;
    matches!(ended, Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset)
}

pub struct Road {
    pub proxy: Proxy,
    pub route: watch::Sender<Route>,
    pub stop: CancellationToken,
    pub address: SocketAddr,
    _run: JoinSet<()>,
}

pub fn options() -> Options {
    Options {
        group: name("main"),
        endpoint: Endpoint::Write,
        listen: String::from("127.0.0.1:0"),
        hold_max: LONG,
        max_connections: 100,
    }
}

/// A route that keeps whom it leads to.
pub fn route(epoch: u64, to: &[&Server]) -> Route {
    let to: Vec<Address> = to.iter().map(|server| server.address.clone()).collect();
    let keep = to.iter().map(|address| address.member.clone()).collect();
    Route { epoch, to, keep, reason: String::from("promoting pg2") }
}

impl Road {
    pub fn open(options: Options, first: Route) -> Self {
        let proxy = Proxy::bind(options).unwrap();
        let (route, follow) = watch::channel(first);
        let stop = CancellationToken::new();
        let supervisor = Supervisor::new(Arc::new(SystemClock::new()));
        let mut run = JoinSet::new();
        let (running, until) = (proxy.clone(), stop.clone());
        run.spawn(async move { running.run(follow, &supervisor, &until).await.unwrap() });
        let address = proxy.local_addr().unwrap();
        Self { proxy, route, stop, address, _run: run }
    }

    pub async fn client(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A client that has sent its startup.
    pub async fn starting(&self) -> TcpStream {
        let mut client = self.client().await;
        client.write_all(&startup()).await.unwrap();
        client
    }

    /// A client and its side of the server, with bytes flowing.
    pub async fn pair(&self, server: &Server) -> (TcpStream, TcpStream) {
        let mut client = self.starting().await;
        let theirs = server.admit().await;
        assert_eq!(read(&mut client, 1).await, b"R");
        (client, theirs)
    }

    /// Waits until the counters say so.
    pub async fn until(&self, what: impl Fn(&Snapshot) -> bool) {
        let waiting = async {
            while !what(&self.proxy.counters()) {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(LONG, waiting).await;
        assert!(waited.is_ok(), "in vain: {:?}", self.proxy.counters());
    }

    pub fn refused(&self, reason: &str) -> u64 {
        let counters = self.proxy.counters();
        counters.refused.iter().find(|(word, _)| *word == reason).map_or(0, |(_, count)| *count)
    }
}
