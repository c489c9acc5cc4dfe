//! A TCP connection to a host by name, within a deadline.
//!
//! The pattern: a [`Dialer`] belongs to one host and port and remembers the
//! addresses that were last resolved. A name server that fails does not make the
//! host fail: the remembered addresses are tried, and the caller is told. Wrong
//! would be to give each address the whole deadline: the first black hole among
//! the addresses would use it up. A resolver that hangs holds one thread per
//! dialer, see [`super::solitary`].

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::network_failure::{NetworkFailure, of_kind};
use super::solitary::{Solitary, SolitaryError};

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("cannot resolve {host}: {reason}")]
    Dns { host: String, reason: String },
    #[error("cannot connect to {address}: {source}")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("no connection to {address} within {}ms", waited.as_millis())]
    Timeout { address: SocketAddr, waited: Duration },
}

impl DialError {
    pub fn failure(&self) -> NetworkFailure {
        match self {
            Self::Dns { .. } => NetworkFailure::Dns,
            Self::Connect { source, .. } => of_kind(source.kind()),
            Self::Timeout { .. } => NetworkFailure::Timeout,
        }
    }
}

/// A connection, and whether the name could be resolved for it.
#[derive(Debug)]
pub struct Dialled {
    pub stream: TcpStream,
    /// Why the name was not resolved, when the last known address served.
    pub dns_problem: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Dialer {
    host: String,
    port: u16,
    last: Mutex<Vec<SocketAddr>>,
    lookup: Solitary,
}

impl Dialer {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, last: Mutex::default(), lookup: Solitary::default() }
    }

    /// Connects by `deadline`, trying the addresses of the name one after the
    /// other; each gets its share of the time that is left.
    ///
    /// # Errors
    /// [`DialError`] of the last address tried, or of the name.
    pub async fn dial(&self, deadline: Instant) -> Result<Dialled, DialError> {
        let (addresses, dns_problem) = self.resolve(deadline).await?;
        let mut failure = None;
        for (index, address) in addresses.iter().copied().enumerate() {
            let started = Instant::now();
            let share = deadline.saturating_duration_since(started) / (addresses.len() - index).max(1) as u32;
            match timeout_at(started + share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Without it a small request waits for the peer's delayed acknowledgement.
                    let _ = stream.set_nodelay(true);
                    return Ok(Dialled { stream, dns_problem });
                }
                Ok(Err(source)) => failure = Some(DialError::Connect { address, source }),
                Err(_) => failure = Some(DialError::Timeout { address, waited: started.elapsed() }),
            }
        }
        Err(failure.unwrap_or_else(|| self.dns("the name has no address")))
    }

    /// The addresses, and why they are remembered ones if they are.
    async fn resolve(&self, deadline: Instant) -> Result<(Vec<SocketAddr>, Option<String>), DialError> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok((vec![SocketAddr::new(ip, self.port)], None));
        }
        let known = self.lock().clone();
        let left = deadline.saturating_duration_since(Instant::now());
        // With an address to fall back on, half of the time is kept for it.
        let patience = if known.is_empty() { left } else { left / 2 };
        let until = Instant::now() + patience;
        let (host, port) = (self.host.clone(), self.port);
        let lookup = move || {
            let found = (host.as_str(), port).to_socket_addrs()?;
            Ok::<Vec<_>, io::Error>(found.take(MAX_ADDRESSES).collect())
        };
        let problem = match self.lookup.run("resolve", until, until, lookup).await {
            Ok(Ok(found)) => {
                if !found.is_empty() {
                    self.lock().clone_from(&found);
                    return Ok((found, None));
                }
                String::from("the name has no address")
            }
            Ok(Err(error)) => error.to_string(),
            Err(SolitaryError::Late { .. }) => format!("no answer within {}ms", patience.as_millis()),
            Err(SolitaryError::Busy) => String::from("an earlier lookup has not ended"),
            Err(error) => error.to_string(),
        };
        if known.is_empty() { Err(self.dns(&problem)) } else { Ok((known, Some(problem))) }
    }

    fn dns(&self, reason: &str) -> DialError {
        DialError::Dns { host: self.host.clone(), reason: reason.to_owned() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SocketAddr>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn a_refusal_and_a_name_that_does_not_exist_have_their_words() {
        // Bound and closed at once: nobody listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let refused = Dialer::new("127.0.0.1", port).dial(soon()).await.unwrap_err();
        assert_eq!(refused.failure(), NetworkFailure::Refused);
        // RFC 6761: `.invalid` never resolves.
        let unknown = Dialer::new("nobody.invalid", 1).dial(soon()).await.unwrap_err();
        assert_eq!(unknown.failure(), NetworkFailure::Dns);
    }

    #[tokio::test]
    async fn a_name_server_that_fails_does_not_make_the_host_fail() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let dialer = Dialer::new("nobody.invalid", 1);
        *dialer.lock() = vec![listener.local_addr().unwrap()];
        let dialled = dialer.dial(soon()).await.unwrap();
        assert!(dialled.dns_problem.is_some());
    }
}
