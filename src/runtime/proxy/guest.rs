//! A connection from its first byte until its bytes flow.
//!
//! ```text
//!  hear the opening --> find a server --> ask it --> first answer --> pump
//!        ^                  ^   |           |             |
//!        |                  |   | no route, | refused,    | 57P03, closed,
//!        |                  |   v           v             v route changed
//!        |                 parked (nothing is answered) <-'
//!        |                      | hold_max since it first had to wait
//!        '--- `N`               v
//!      (encryption declined)   57P03
//! ```
//! The pattern: the opening is kept until a server has answered it, and until then
//! the connection is nobody's and may be taken to another server, or to the same
//! after its restart. The answer `S` ends that: what follows is encrypted, belongs
//! to this server, and passes unread.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::counters::{Cause, Place};
use super::farewell::{OPENINGS, Refusal, Silence, farewell, hear};
use super::listen::House;
use super::packet::{self, Answer, LONGEST_ERROR, LONGEST_OPENING, Opening};
use super::pump::Passage;
use super::{Begun, Endpoint, keeps, sockets};
use crate::model::failover::route::{Address, Route};

/// One attempt to connect to a server.
pub const DIAL: Duration = Duration::from_secs(2);
/// A client says what it wants within this time, and a server answers it.
const OPENING: Duration = Duration::from_secs(10);
/// Between attempts while the servers do not accept.
const AGAIN: Duration = Duration::from_millis(50);

/// Why a connection does not come to flow.
#[derive(Debug)]
enum End {
    /// The client left, or needs no answer.
    Gone,
    /// Closed without a word.
    Dropped(Cause),
    Refused(Cause, Refusal),
}

impl From<Silence> for End {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Gone => Self::Gone,
            Silence::NotPostgres => Self::Dropped(Cause::Protocol),
        }
    }
}

/// A server that a connection may flow to.
struct Server {
    stream: TcpStream,
    begun: Begun,
}

impl Server {
    fn reset(self) {
        sockets::reset(self.stream);
    }
}

/// What came of asking a server.
enum Asked {
    Answered(Vec<u8>),
    /// It cannot now; why, in its words or ours.
    NotNow(String),
    /// The route has changed and does not keep it.
    Moved,
}

/// See the module.
pub struct Guest {
    client: TcpStream,
    /// Read from the client and not yet taken.
    heard: Vec<u8>,
    /// The opening that waits for an answer.
    unanswered: Option<Opening>,
    place: Place,
    house: Arc<House>,
    route: watch::Receiver<Route>,
    /// Until when it waits, from the moment it first had to.
    patience: Option<Instant>,
    parked: Option<Place>,
    /// The member that failed last, and why.
    failed: Option<(String, String)>,
}

impl Guest {
    pub fn new(client: TcpStream, place: Place, house: Arc<House>, route: watch::Receiver<Route>) -> Self {
        Self {
            client,
            heard: Vec::new(),
            unanswered: None,
            place,
            house,
            route,
            patience: None,
            parked: None,
            failed: None,
        }
    }

    /// All of it: until the pump has the connection or it is closed.
    pub async fn receive(mut self) {
        let stop = self.house.stop.clone();
        let outcome = tokio::select! {
            biased;
            outcome = self.introduce() => outcome,
            () = stop.cancelled() => Err(End::Refused(Cause::Stopping, self.nothing("the proxy stops"))),
        };
        match outcome {
            Ok((server, answer)) => self.hand_over(server, answer),
            Err(End::Gone) => {}
            Err(End::Dropped(cause)) => self.house.counters.refused(cause),
            Err(End::Refused(cause, refusal)) => {
                self.house.counters.refused(cause);
                self.parked = None;
                farewell(self.client, self.heard, self.unanswered, &refusal).await;
            }
        }
    }

    fn hand_over(self, server: Server, to_client: Vec<u8>) {
        let streams = self.client.into_std().and_then(|client| Ok((client, server.stream.into_std()?)));
        match streams {
            Ok((client, stream)) => self.house.pump.add(Passage {
                client,
                server: stream,
                to_server: self.heard,
                to_client,
                begun: server.begun,
                place: self.place,
            }),
            Err(error) => tracing::warn!(%error, "cannot hand a connection over"),
        }
    }

    /// The server and what it has said so far.
    async fn introduce(&mut self) -> Result<(Server, Vec<u8>), End> {
        let mut server = None;
        for _ in 0..OPENINGS {
            let hearing = timeout(OPENING, hear(&mut self.client, &mut self.heard)).await;
            let (opening, length) = hearing.map_err(|_| End::Dropped(Cause::HalfOpen))??;
            if opening == Opening::Encrypted {
                // Not taken out: it flows with all that follows.
                self.unanswered = Some(opening);
                return Ok((self.find(opening).await?.0, Vec::new()));
            }
            let asked: Vec<u8> = self.heard.drain(..length).collect();
            self.unanswered = Some(opening);
            if opening == Opening::Cancel {
                self.cancel(&asked).await;
                return Err(End::Gone);
            }
            let (found, answer) = self.approach(opening, &asked, server.take()).await?;
            self.unanswered = None;
            if opening == Opening::Startup || answer != b"N" {
                return Ok((found, answer));
            }
            self.client.write_all(&answer).await.map_err(|_| End::Gone)?;
            server = Some(found);
        }
        Err(End::Dropped(Cause::Protocol))
    }

    /// Asks servers until one answers.
    async fn approach(
        &mut self,
        opening: Opening,
        asked: &[u8],
        known: Option<Server>,
    ) -> Result<(Server, Vec<u8>), End> {
        let mut next = known.map(|server| (server, None));
        loop {
            let (mut server, permit) = match next.take() {
                Some(known) => known,
                None => self.find(opening).await.map(|(server, permit)| (server, Some(permit)))?,
            };
            match self.ask(&mut server, opening, asked).await? {
                Asked::Answered(answer) => {
                    self.parked = None;
                    return Ok((server, answer));
                }
                Asked::Moved => server.reset(),
                Asked::NotNow(why) => {
                    self.failing(server.begun.member.as_str(), why);
                    server.reset();
                    // The turn is kept meanwhile: others would only hear the same.
                    self.pause().await?;
                }
            }
            drop(permit);
        }
    }

    /// A connection to a server of the route, which may take a while, and the turn
    /// among those that dial; it is held until the first answer.
    async fn find(&mut self, opening: Opening) -> Result<(Server, OwnedSemaphorePermit), End> {
        loop {
            let permit = self.take_turn().await?;
            let route = self.route.borrow_and_update().clone();
            if route.to.is_empty() {
                drop(permit);
                self.park(None).await?;
                continue;
            }
            let start =
                if self.house.options.endpoint == Endpoint::Read { self.house.reach.turn() } else { 0 };
            let most = if self.house.options.endpoint == Endpoint::Read { route.to.len() } else { 1 };
            for step in 0..most {
                let address = &route.to[(start + step) % route.to.len()];
                if let Some(server) = self.reach(address, route.epoch, opening).await? {
                    return Ok((server, permit));
                }
            }
            self.pause().await?;
        }
    }

    /// A connection to `address`. Once a client was granted TLS, an error cannot be
    /// read here any more; so while there is doubt the first connection only asks in
    /// the clear whether the server is ready, and the second is the client's. The
    /// order matters: a server judges a connection by its state when it came in.
    async fn reach(
        &mut self,
        address: &Address,
        epoch: u64,
        opening: Opening,
    ) -> Result<Option<Server>, End> {
        let begun = Begun { epoch, member: address.member.clone() };
        let Some(stream) = self.dial(address).await? else { return Ok(None) };
        let mut server = Server { stream, begun };
        if opening == Opening::Startup || !self.house.doubt.exists() {
            return Ok(Some(server));
        }
        match self.ask(&mut server, Opening::Startup, &packet::startup()).await? {
            Asked::Answered(_) => {}
            Asked::Moved => return Ok(None),
            Asked::NotNow(why) => {
                self.failing(address.member.as_str(), why);
                return Ok(None);
            }
        }
        let begun = server.begun;
        Ok(self.dial(address).await?.map(|stream| Server { stream, begun }))
    }

    fn failing(&mut self, member: &str, why: String) {
        self.house.doubt.raise();
        self.failed = Some((member.to_owned(), why));
    }

    async fn take_turn(&mut self) -> Result<OwnedSemaphorePermit, End> {
        let dialling = self.house.dialling.clone();
        if let Ok(permit) = dialling.clone().try_acquire_owned() {
            return Ok(permit);
        }
        self.wait_here()?;
        let deadline = self.deadline();
        let turn = timeout_at(deadline, dialling.acquire_owned());
        match unless_gone(&self.client, &mut self.heard, turn).await? {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.out_of_patience()),
        }
    }

    async fn dial(&mut self, address: &Address) -> Result<Option<TcpStream>, End> {
        let now = Instant::now();
        let deadline = (now + DIAL).min(self.patience.unwrap_or(now + DIAL).max(now + AGAIN));
        let dialling = self.house.reach.dial(address, deadline);
        match unless_gone(&self.client, &mut self.heard, dialling).await? {
            Ok(stream) => Ok(Some(stream)),
            Err(why) => {
                self.house.counters.dial_failed();
                self.failing(address.member.as_str(), why);
                Ok(None)
            }
        }
    }

    /// Waits a moment, or until the route changes.
    async fn pause(&mut self) -> Result<(), End> {
        self.park(Some(Instant::now() + AGAIN)).await
    }

    /// Waits until the route changes or until `until`, as long as patience lasts.
    async fn park(&mut self, until: Option<Instant>) -> Result<(), End> {
        self.wait_here()?;
        let deadline = self.deadline();
        let until = until.unwrap_or(deadline).min(deadline);
        let route = &mut self.route;
        let waited = async {
            tokio::select! {
                () = changed(route) => true,
                () = sleep_until(until) => false,
            }
        };
        let changed = unless_gone(&self.client, &mut self.heard, waited).await?;
        if !changed && Instant::now() >= deadline { Err(self.out_of_patience()) } else { Ok(()) }
    }

    fn deadline(&mut self) -> Instant {
        let hold = self.house.limits.hold_max();
        *self.patience.get_or_insert_with(|| Instant::now() + hold)
    }

    /// Takes a place among those that wait.
    fn wait_here(&mut self) -> Result<(), End> {
        if self.parked.is_some() {
            return Ok(());
        }
        match self.house.parking.clone().try_acquire_owned() {
            Ok(permit) => {
                self.parked = Some(Place::parked(permit, &self.house.counters));
                Ok(())
            }
            Err(_) => {
                let most = super::MOST_PARKED;
                let refusal = self.nothing(&format!("{most} connections wait already"));
                Err(End::Refused(Cause::TooManyParked, refusal))
            }
        }
    }

    /// Sends the opening and waits for the first answer.
    async fn ask(&mut self, server: &mut Server, opening: Opening, asked: &[u8]) -> Result<Asked, End> {
        let Self { client, heard, route, .. } = self;
        let begun = server.begun.clone();
        let exchange = async {
            tokio::select! {
                biased;
                () = left_behind(route, &begun) => Ok(Asked::Moved),
                answer = timeout(OPENING, exchange(&mut server.stream, opening, asked)) => answer.unwrap_or_else(|_| {
                    Ok(Asked::NotNow(format!("no answer within {}s", OPENING.as_secs())))
                }),
            }
        };
        let asked = unless_gone(client, heard, exchange).await?;
        Ok(asked.unwrap_or_else(|error| Asked::NotNow(format!("the connection broke off: {error}"))))
    }

    /// Passes a cancellation to every server that may know the statement, and waits
    /// until they have taken it, as the client does.
    async fn cancel(&mut self, asked: &[u8]) {
        let route = self.route.borrow_and_update().clone();
        for address in self.house.reach.running(&route) {
            let deadline = Instant::now() + DIAL;
            let Ok(mut stream) = self.house.reach.dial(&address, deadline).await else { continue };
            let told = async {
                stream.write_all(asked).await?;
                // The server says nothing and closes.
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
            };
            let _ = timeout_at(deadline, told).await;
        }
    }

    fn out_of_patience(&self) -> End {
        let route = self.route.borrow();
        let (epoch, reading) = (route.epoch, self.house.options.endpoint == Endpoint::Read);
        if route.to.is_empty() {
            let why = route.reason.clone();
            drop(route);
            return End::Refused(Cause::NoRoute, self.nothing(&why));
        }
        let (member, why) = self.failed.clone().unwrap_or_else(|| {
            (route.to[0].member.to_string(), String::from("too many wait for their turn"))
        });
        let message = if reading {
            format!("no standby accepts connections (epoch {epoch}: {member}: {why})")
        } else {
            format!("the primary {member} does not accept connections (epoch {epoch}: {why})")
        };
        End::Refused(Cause::Unavailable, Refusal::not_now(message))
    }

    fn nothing(&self, why: &str) -> Refusal {
        let epoch = self.route.borrow().epoch;
        let what = match self.house.options.endpoint {
            Endpoint::Write => "no primary",
            Endpoint::Read => "no standby within the lag limit",
        };
        Refusal::not_now(format!("{what} (epoch {epoch}: {why})"))
    }
}

/// Sends `asked` and reads the first answer: one byte to a negotiation, and of a
/// startup as much as it takes to know whether it is meant for the client.
async fn exchange(server: &mut TcpStream, opening: Opening, asked: &[u8]) -> io::Result<Asked> {
    use tokio::io::AsyncReadExt as _;
    server.write_all(asked).await?;
    if opening == Opening::Negotiation {
        return Ok(Asked::Answered(vec![server.read_u8().await?]));
    }
    let mut answer = Vec::with_capacity(512);
    loop {
        if server.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match packet::answer(&answer) {
            Answer::NotNow(why) => return Ok(Asked::NotNow(why)),
            Answer::Incomplete if answer.len() < LONGEST_ERROR => {}
            _ => return Ok(Asked::Answered(answer)),
        }
    }
}

/// Waits for a change of the route; for ever when nobody can change it any more.
async fn changed(route: &mut watch::Receiver<Route>) {
    if route.changed().await.is_err() {
        std::future::pending().await
    }
}

/// Waits until the route does not keep `begun`.
async fn left_behind(route: &mut watch::Receiver<Route>, begun: &Begun) {
    while keeps(&route.borrow_and_update(), begun) {
        changed(route).await;
    }
}

/// Waits for `what` as long as the client stays. What it says meanwhile is kept, up
/// to a bound; then it is not listened to.
async fn unless_gone<T>(
    client: &TcpStream,
    heard: &mut Vec<u8>,
    what: impl Future<Output = T>,
) -> Result<T, End> {
    let gone = async {
        while heard.len() < LONGEST_OPENING {
            let mut bytes = [0; 512];
            if client.readable().await.is_err() {
                return;
            }
            match client.try_read(&mut bytes) {
                Ok(0) => return,
                Ok(count) => heard.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        result = what => Ok(result),
        () = gone => Err(End::Gone),
    }
}
