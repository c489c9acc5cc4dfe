//! Accepting, and following the route.
//!
//! A client that finds no place is told so (53300) by a task of its own, and there
//! are few of those: beyond them it is only closed, because an answer to each of a
//! flood is what the flood is after.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::counters::{Cause, Counters, Place};
use super::doubt::Doubt;
use super::farewell::{Refusal, farewell};
use super::guest::Guest;
use super::pump::Pump;
use super::reach::Reach;
use super::{Limits, Options, sockets};
use crate::model::failover::route::Route;
use crate::runtime::supervisor::{Phase, Supervisor};

/// Clients that are told at once that there is no place.
pub const MOST_REFUSING: usize = 128;
/// Wait after the system refused a connection, e.g. for want of descriptors.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// What the connections of one endpoint share.
pub struct House {
    pub options: Options,
    pub counters: Arc<Counters>,
    pub pump: Pump,
    pub doubt: Arc<Doubt>,
    pub reach: Reach,
    pub(super) limits: Arc<Limits>,
    pub parking: Arc<Semaphore>,
    pub dialling: Arc<Semaphore>,
    pub refusing: Arc<Semaphore>,
    pub stop: CancellationToken,
    pub supervisor: Supervisor,
}

/// Accepts connections until the end, each as a task of the supervisor.
pub async fn accept(listener: &TcpListener, house: &Arc<House>, route: &watch::Receiver<Route>) {
    loop {
        let accepted = tokio::select! {
            () = house.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((client, _)) => welcome(client, house, route),
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, group = %house.options.group, "the proxy cannot accept a connection");
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

fn welcome(client: TcpStream, house: &Arc<House>, route: &watch::Receiver<Route>) {
    sockets::toward_client(&client);
    // Nobody else takes places.
    if house.counters.open() >= house.limits.max_connections() as u64 {
        return turn_away(client, house);
    }
    house.counters.accepted();
    let place = Place::open(&house.counters);
    let guest = Guest::new(client, place, house.clone(), route.clone());
    house.supervisor.spawn_once(Phase::Serve, guest.receive());
}

fn turn_away(client: TcpStream, house: &Arc<House>) {
    house.counters.refused(Cause::TooMany);
    let Ok(permit) = house.refusing.clone().try_acquire_owned() else { return };
    let most = house.limits.max_connections();
    let refusal = Refusal::too_many(&format!("{most} connections are open (max_connections)"));
    let stop = house.stop.clone();
    house.supervisor.spawn_once(Phase::Serve, async move {
        let _permit = permit;
        tokio::select! {
            () = stop.cancelled() => {}
            () = farewell(client, Vec::new(), None, &refusal) => {}
        }
    });
}

/// Tells the pump of every route; for good, so that one whose sender is gone stays.
pub async fn follow(house: &House, mut route: watch::Receiver<Route>) {
    loop {
        house.reach.remember(&route.borrow_and_update());
        house.pump.follow();
        if route.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | NotConnected)
}
