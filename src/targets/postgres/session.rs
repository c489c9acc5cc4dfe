//! One connection to a Postgres server, without a task of its own.
//!
//! tokio-postgres splits a connection into a client and a future that does the
//! reading and writing. Here that future is polled only while a question is
//! asked, so a connection is a plain value: dropping it closes it, and nothing
//! runs between two probes. Questions go by the simple protocol: one round trip,
//! no prepared statement, so a pooler in between does not mind.

use std::future::Future;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Fuse;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Error, NoTls, SimpleQueryMessage, SimpleQueryRow,
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::either::Either;

use super::outcome;
use super::wire::{Allowance, Wire};
use crate::base::secret::Secret;
use crate::runtime::dial::Dialer;
use crate::runtime::network_failure::{self, of_kind};
use crate::targets::outcome::Outcome;

/// How long a farewell may take; the server notices the end either way.
const FAREWELL: Duration = Duration::from_millis(250);

/// Where and as whom to connect.
#[derive(Debug)]
pub struct Place {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub ssl_mode: SslMode,
    pub dialer: Dialer,
}

type Conversation = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// The last word of a server that ends the connection, from notices in between: its
/// SQLSTATE and text.
type LastWord = Arc<Mutex<Option<(String, String)>>>;

/// Reads and writes, and keeps what the server says without being asked.
struct Conversing<S, T> {
    connection: Connection<S, T>,
    last_word: LastWord,
}

impl<S, T> Future for Conversing<S, T>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match ready!(self.connection.poll_message(context)) {
                Some(Ok(AsyncMessage::Notice(notice))) => {
                    if notice.code().code().starts_with("57P") {
                        let said = (notice.code().code().to_owned(), notice.message().to_owned());
                        *self.last_word.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// See the module.
pub struct Session {
    client: Client,
    conversation: Fuse<Conversation>,
    allowance: Allowance,
    last_word: LastWord,
    /// Major version times 10,000, e.g. 150000; 0 when the server did not say.
    version: u32,
}

/// A new session, and why the name was not resolved if the last address served.
pub struct Opened {
    pub session: Session,
    pub dns_problem: Option<String>,
}

/// Connects and logs in by `deadline`.
///
/// # Errors
/// The outcome of the operation `connect`.
pub async fn open(
    place: Arc<Place>,
    tls: Option<MakeRustlsConnect>,
    password: Option<Secret>,
    deadline: Instant,
) -> Result<Opened, Outcome> {
    let opening = open_unbounded(place, tls, password, deadline);
    timeout_at(deadline, opening)
        .await
        .unwrap_or_else(|_| Err(Outcome::timeout("no login within the deadline")))
}

async fn open_unbounded(
    place: Arc<Place>,
    tls: Option<MakeRustlsConnect>,
    password: Option<Secret>,
    deadline: Instant,
) -> Result<Opened, Outcome> {
    let allowance = Allowance::new();
    let (wire, dns_problem) = reach(&place, &allowance, deadline).await?;
    let session = log_in(&place, wire, allowance, tls, password).await?;
    Ok(Opened { session, dns_problem })
}

/// Logs in on a connection that was made. Not bounded in time.
///
/// # Errors
/// The outcome of the operation `connect`.
pub async fn log_in(
    place: &Place,
    wire: Wire,
    allowance: Allowance,
    tls: Option<MakeRustlsConnect>,
    password: Option<Secret>,
) -> Result<Session, Outcome> {
    let mut config = Config::new();
    config
        .user(&place.user)
        .dbname(&place.database)
        .application_name("holdfast")
        .ssl_mode(if tls.is_some() { place.ssl_mode } else { SslMode::Disable });
    if let Some(password) = &password {
        config.password(password.expose());
    }
    let session = match tls {
        Some(mut tls) => {
            let connector = MakeTlsConnect::<Wire>::make_tls_connect(&mut tls, &place.host)
                .map_err(|error| Outcome::configuration("host", error.to_string()))?;
            let (client, connection) =
                config.connect_raw(wire, connector).await.map_err(|error| outcome::of(&error))?;
            let version = major(connection.parameter("server_version"));
            Session::new(client, connection, allowance, version)
        }
        None => {
            let (client, connection) =
                config.connect_raw(wire, NoTls).await.map_err(|error| outcome::of(&error))?;
            let version = major(connection.parameter("server_version"));
            Session::new(client, connection, allowance, version)
        }
    };
    Ok(session)
}

/// A host that starts with `/` is the directory of a Unix socket, as in libpq.
pub async fn reach(
    place: &Place,
    allowance: &Allowance,
    deadline: Instant,
) -> Result<(Wire, Option<String>), Outcome> {
    if place.host.starts_with('/') {
        let path = Path::new(&place.host).join(format!(".s.PGSQL.{}", place.port));
        let stream = UnixStream::connect(&path).await.map_err(|error| {
            let detail = format!("cannot connect to {}: {error}", path.display());
            Outcome::network(of_kind(error.kind()), detail)
        })?;
        return Ok((Wire::new(Either::Right(stream), allowance.clone()), None));
    }
    let dialled = place.dialer.dial(deadline).await;
    let dialled =
        dialled.map_err(|error| Outcome::network(error.failure(), network_failure::describe(&error)))?;
    Ok((Wire::new(Either::Left(dialled.stream), allowance.clone()), dialled.dns_problem))
}

/// `15.18 (Debian 15.18-0)` and `18beta1` are 150000 and 180000.
fn major(version: Option<&str>) -> u32 {
    let text = version.unwrap_or_default();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse::<u32>().map_or(0, |major| major.saturating_mul(10_000))
}

/// How a connection ended on which nothing was asked.
pub struct Ended {
    pub error: Option<Error>,
    /// What the server said before, when that was about stopping.
    pub last_word: Option<(String, String)>,
}

impl Session {
    fn new<S, T>(client: Client, connection: Connection<S, T>, allowance: Allowance, version: u32) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let last_word = LastWord::default();
        let conversing = Conversing { connection, last_word: last_word.clone() };
        let conversation = (Box::pin(conversing) as Conversation).fuse();
        Self { client, conversation, allowance, last_word, version }
    }

    /// Waits for the end of the connection while nothing is asked on it. Safe to cancel.
    pub async fn ended(&mut self) -> Ended {
        self.allowance.renew();
        let error = (&mut self.conversation).await.err();
        Ended { error, last_word: self.last_word() }
    }

    /// What the server said without being asked, when that was about stopping.
    pub fn last_word(&self) -> Option<(String, String)> {
        self.last_word.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn version(&self) -> u32 {
        self.version
    }

    /// Runs `sql` and returns the rows of all its statements. Not bounded in time:
    /// after a caller gave up waiting, the session must be dropped, because an
    /// answer is still on its way.
    ///
    /// # Errors
    /// What the server or the connection said.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<SimpleQueryRow>, Error> {
        self.allowance.renew();
        let mut query = pin!(self.client.simple_query(sql));
        // The conversation first: when it ends it knows why, the query does not.
        let messages = tokio::select! {
            biased;
            ended = &mut self.conversation => match ended {
                Err(error) => return Err(error),
                Ok(()) => query.await,
            },
            answer = &mut query => answer,
        }?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// Says goodbye, so that the server does not log a lost connection. Ends by
    /// `deadline`.
    pub async fn close(self, deadline: Instant) {
        let Self { client, conversation, .. } = self;
        drop(client);
        let _ = timeout_at(deadline.min(Instant::now() + FAREWELL), conversation).await;
    }
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions() {
        for (text, number) in
            [("15.18 (Debian 15.18-0)", 150_000), ("18beta1", 180_000), ("9.6.24", 90_000), ("", 0), ("x", 0)]
        {
            assert_eq!(major(Some(text)), number, "{text}");
        }
        assert_eq!(major(None), 0);
    }
}
