//! How the sockets of the proxy are set.
//!
//! Toward servers an idle connection to a host that vanished ends within seconds
//! (keepalive), and one with bytes under way when the route leaves the member. Wrong
//! would be a `TCP_USER_TIMEOUT`: Linux counts a closed window against it even when the
//! peer answers every probe, so a server that does not read while it waits for a lock or
//! the disk would lose its clients, and so would a client that thinks over a great result.
//! One that vanished with bytes under way is given up by the system, after a quarter of an
//! hour. Options that the system refuses are left out; the connection works without them.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of the process besides those of connections.
const OTHERS: u64 = 512;

/// Idle time before the first probe, time between probes, probes.
struct Keepalive(Duration, Duration, u32);

const SERVERS: Keepalive = Keepalive(Duration::from_secs(5), Duration::from_secs(2), 3);
/// A client that is gone holds a place and a session, but nothing waits for it.
const CLIENTS: Keepalive = Keepalive(Duration::from_secs(30), Duration::from_secs(10), 3);

/// Settings of a connection to a server.
pub fn toward_server(socket: &impl AsFd) {
    common(socket, &SERVERS);
}

/// Settings of a connection from a client.
pub fn toward_client(socket: &impl AsFd) {
    common(socket, &CLIENTS);
}

fn common(socket: &impl AsFd, keepalive: &Keepalive) {
    let Keepalive(idle, interval, count) = keepalive;
    // What is sent is whole messages; waiting to fill a packet only delays them.
    let _ = sockopt::set_tcp_nodelay(socket, true);
    let _ = sockopt::set_socket_keepalive(socket, true);
    let _ = sockopt::set_tcp_keepidle(socket, *idle);
    let _ = sockopt::set_tcp_keepintvl(socket, *interval);
    let _ = sockopt::set_tcp_keepcnt(socket, *count);
}

/// Closes it so that the peer sees a reset, whatever is still on its way.
pub fn reset(socket: impl AsFd) {
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
    drop(socket);
}

/// Raises the soft limit of descriptors, as far as the hard one lets, to what
/// `connections` need. Service managers start processes with 1,024.
pub fn make_room_for(connections: usize) {
    let needed = connections as u64 * 2 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let (Some(soft), hard) = (limit.current, limit.maximum) else { return };
    let wanted = hard.map_or(needed, |hard| needed.min(hard));
    if soft >= wanted {
        return;
    }
    if setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: hard }).is_err()
        || wanted < needed
    {
        tracing::warn!(wanted, needed, "the limit of open files is lower than the connections may need");
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_peer_may_leave_bytes_unread_and_one_that_is_gone_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let toward = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (from, _) = listener.accept().unwrap();
        toward_server(&toward);
        toward_client(&from);
        for socket in [&toward, &from] {
            assert_eq!(sockopt::tcp_user_timeout(socket).unwrap(), 0, "the system's own patience");
            assert!(sockopt::socket_keepalive(socket).unwrap(), "a host that is gone is noticed");
        }
    }
}
