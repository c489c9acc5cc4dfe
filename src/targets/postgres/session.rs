//! One connection to a Postgres server, without a task of its own.
//!
//! tokio-postgres splits a connection into a client and a future that does the
//! reading and writing. Here that future is polled only while a question is
//! asked, so a connection is a plain value: dropping it closes it, and nothing
//! runs between two probes. Questions go by the simple protocol: one round trip,
//! no prepared statement, so a pooler in between does not mind.
//!
//! Between two questions [`Session::ended`] may be awaited: it takes in what the server
//! says on its own, which is how one learns at once that it stops.

use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Fuse;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::DbError;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
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

/// Round trips of a login on a connection: the question for encryption, two of TLS, the startup,
/// two of SCRAM, and one to spare.
const LOGIN_TRIPS: u32 = 7;

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

/// A notice by which the server announces that it ends the connection (class 57P).
type Farewell = Arc<OnceLock<DbError>>;

/// See the module.
pub struct Session {
    client: Client,
    conversation: Fuse<Conversation>,
    /// The conversation ended while a question was answered.
    over: Option<Result<(), Error>>,
    farewell: Farewell,
    allowance: Allowance,
    /// Major version times 10,000, e.g. 150000; 0 when the server did not say.
    version: u32,
}

/// A new session, and why the name was not resolved if the last address served.
pub struct Opened {
    pub session: Session,
    pub dns_problem: Option<String>,
    /// The time of one question and its answer on this way, as its first one showed.
    pub trip: Duration,
}

/// Why there is no new session.
#[derive(Debug)]
pub struct Unopened {
    /// Whether there was a connection to the server's port.
    pub reached: bool,
    pub outcome: Outcome,
}

impl Unopened {
    pub fn before(outcome: Outcome) -> Self {
        Self { reached: false, outcome }
    }

    fn after(outcome: Outcome) -> Self {
        Self { reached: true, outcome }
    }
}

/// Connects and logs in by `deadline`; a server that answered until then, and is as far away as its
/// first answer says, has until `latest`.
///
/// # Errors
/// The outcome of the operation `connect`.
pub async fn open(
    place: Arc<Place>,
    tls: Option<MakeRustlsConnect>,
    password: Option<Secret>,
    deadline: Instant,
    latest: Instant,
) -> Result<Opened, Unopened> {
    let allowance = Allowance::new();
    let (wire, dns_problem) = reach(&place, &allowance, deadline).await.map_err(Unopened::before)?;
    let began = Instant::now();
    let trip = |allowance: &Allowance| allowance.heard().map(|heard| heard.saturating_duration_since(began));
    let mut login = pin!(log_in(&place, tls, password, wire, allowance.clone()));
    let mut answered = timeout_at(deadline, &mut login).await.ok();
    if answered.is_none()
        && let Some(trip) = trip(&allowance)
    {
        let until = (began + trip * LOGIN_TRIPS).min(latest);
        answered = timeout_at(until, &mut login).await.ok();
    }
    let session = answered
        .unwrap_or_else(|| Err(Outcome::timeout("no login within the deadline")))
        .map_err(Unopened::after)?;
    Ok(Opened { session, dns_problem, trip: trip(&allowance).unwrap_or_default() })
}

async fn log_in(
    place: &Place,
    tls: Option<MakeRustlsConnect>,
    password: Option<Secret>,
    wire: Wire,
    allowance: Allowance,
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
    match tls {
        Some(mut tls) => {
            let connector = MakeTlsConnect::<Wire>::make_tls_connect(&mut tls, &place.host)
                .map_err(|error| Outcome::configuration("host", error.to_string()))?;
            greet(&config, wire, connector, allowance).await
        }
        None => greet(&config, wire, NoTls, allowance).await,
    }
}

async fn greet<T>(config: &Config, wire: Wire, tls: T, allowance: Allowance) -> Result<Session, Outcome>
where
    T: TlsConnect<Wire>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect_raw(wire, tls).await.map_err(|error| outcome::of(&error))?;
    let version = major(connection.parameter("server_version"));
    let farewell = Farewell::default();
    let conversation = (Box::pin(converse(connection, farewell.clone())) as Conversation).fuse();
    Ok(Session { client, conversation, over: None, farewell, allowance, version })
}

/// Reads and writes until the connection ends, and remembers the farewell.
async fn converse<S, T>(mut connection: Connection<S, T>, farewell: Farewell) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|context| {
        loop {
            match ready!(connection.poll_message(context)) {
                Some(Ok(AsyncMessage::Notice(notice))) if notice.code().code().starts_with("57P") => {
                    // The first one says why; the rest follow from it.
                    let _ = farewell.set(notice);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
    })
    .await
}

/// A host that starts with `/` is the directory of a Unix socket, as in libpq.
///
/// # Errors
/// The outcome of the operation `connect`.
pub async fn reach(
    place: &Place,
    allowance: &Allowance,
    deadline: Instant,
) -> Result<(Wire, Option<String>), Outcome> {
    if place.host.starts_with('/') {
        let path = Path::new(&place.host).join(format!(".s.PGSQL.{}", place.port));
        let connecting = timeout_at(deadline, UnixStream::connect(&path)).await;
        let connected = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = connected.map_err(|error| {
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

impl Session {
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
        let messages = tokio::select! {
            biased;
            ended = &mut self.conversation => {
                // What was answered before the end says more than the end.
                let answer = query.await;
                let told = answer.as_ref().err().is_none_or(|error| error.as_db_error().is_some());
                match ended {
                    Err(error) if !told => return Err(error),
                    ended => self.over = Some(ended),
                }
                answer
            }
            answer = &mut query => answer,
        }?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// Waits until the connection ends, and returns why. Nothing is lost when it is
    /// given up and awaited again.
    pub async fn ended(&mut self) -> Result<(), Error> {
        match self.over.take() {
            Some(over) => over,
            None => (&mut self.conversation).await,
        }
    }

    /// By what notice the server announced the end of the connection, if it did.
    pub fn farewell(&self) -> Option<&DbError> {
        self.farewell.get()
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
