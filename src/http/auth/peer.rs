//! Where a request really came from.
//!
//! Loopback is trusted to read, and a reverse proxy on the same host would lend
//! that trust to everyone. So a request that was passed on is never local, whatever
//! its headers say. Which client it is from is told by a proxy that is named in
//! `http.trusted_proxies`: the last address that is not a trusted proxy counts.
//! Earlier ones are whatever the client wrote, and so is one whole header when
//! there are both `Forwarded` and `X-Forwarded-For`: a proxy writes one of them
//! and lets the other pass, and nothing tells which.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// `tls`: whether the connection is encrypted.
    Tcp {
        remote: SocketAddr,
        local: SocketAddr,
        tls: bool,
    },
    Unix {
        uid: u32,
    },
}

/// Who the request is from, as far as addresses tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `local`: on this host and not passed on by anyone.
    Network {
        address: IpAddr,
        local: bool,
    },
    Socket {
        uid: u32,
    },
}

/// Decides by the peer and the forwarding headers.
pub fn client_of(peer: Peer, headers: &HeaderMap, trusted: &[String]) -> Client {
    let remote = match peer {
        Peer::Unix { uid } => return Client::Socket { uid },
        Peer::Tcp { remote, .. } => remote.ip().to_canonical(),
    };
    let passed_on = headers.keys().any(|name| {
        let name = name.as_str();
        name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
    });
    if !passed_on {
        return Client::Network { address: remote, local: remote.is_loopback() };
    }
    let is_trusted =
        |address: IpAddr| trusted.iter().any(|text| text.parse::<IpAddr>().is_ok_and(|one| one == address));
    if !is_trusted(remote) {
        return Client::Network { address: remote, local: false };
    }
    for hop in hops(headers).into_iter().rev() {
        match hop {
            Some(address) if is_trusted(address) => {}
            Some(address) => return Client::Network { address, local: false },
            None => break,
        }
    }
    Client::Network { address: remote, local: false }
}

/// Whether the request came encrypted: to us, or to a proxy that is trusted and says so.
pub fn is_secure(peer: Peer, headers: &HeaderMap, trusted: &[String]) -> bool {
    let Peer::Tcp { remote, tls, .. } = peer else { return false };
    let remote = remote.ip().to_canonical();
    let is_trusted = || trusted.iter().any(|text| text.parse::<IpAddr>().is_ok_and(|one| one == remote));
    let says = || headers.get("x-forwarded-proto").is_some_and(|value| value.as_bytes() == b"https");
    tls || is_trusted() && says()
}

/// The addresses of `Forwarded: for=` or of `X-Forwarded-For`, in order; `None` for
/// one that is not an address. None at all when both headers are there.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let listed = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|part| part.trim().to_owned()).collect()
    };
    let forwarded = listed("forwarded");
    if !headers.contains_key("forwarded") {
        return listed("x-forwarded-for").iter().map(|text| address_of(text)).collect();
    }
    if headers.contains_key("x-forwarded-for") {
        return Vec::new();
    }
    let of_element = |element: &String| {
        let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let mut hops = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        hops.next().and_then(|(_, value)| address_of(value.trim().trim_matches('"')))
    };
    forwarded.iter().map(of_element).collect()
}

/// An address with or without its port: `1.2.3.4:5`, `[::1]:5`, `::1`.
fn address_of(text: &str) -> Option<IpAddr> {
    let whole = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    whole.or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(remote: &str, headers: &[(&'static str, &'static str)], trusted: &[&str]) -> (String, bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let remote = SocketAddr::new(remote.parse().unwrap(), 1);
        let trusted: Vec<String> = trusted.iter().map(|text| (*text).to_owned()).collect();
        match client_of(Peer::Tcp { remote, local: remote, tls: false }, &map, &trusted) {
            Client::Network { address, local } => (address.to_string(), local),
            Client::Socket { .. } => unreachable!(),
        }
    }

    #[test]
    fn loopback_is_local_unless_passed_on() {
        assert_eq!(client("127.0.0.1", &[], &[]), ("127.0.0.1".into(), true));
        assert_eq!(client("::ffff:127.0.0.1", &[], &[]), ("127.0.0.1".into(), true));
        assert_eq!(client("192.0.2.1", &[], &[]), ("192.0.2.1".into(), false));
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-whatever"] {
            assert!(!client("127.0.0.1", &[(name, "for=127.0.0.1")], &[]).1, "{name}");
        }
    }

    #[test]
    fn a_trusted_proxy_names_the_client_and_cannot_be_talked_into_another() {
        let spoofed = [("x-forwarded-for", "127.0.0.1, 203.0.113.9")];
        assert_eq!(client("10.0.0.1", &spoofed, &["10.0.0.1"]), ("203.0.113.9".into(), false));
        let local = [("forwarded", "for=203.0.113.9, for=\"[::1]:99\";proto=https")];
        assert_eq!(client("10.0.0.1", &local, &["10.0.0.1"]), ("::1".into(), false));
        let chained = [("x-forwarded-for", "203.0.113.9, 10.0.0.2")];
        assert_eq!(client("10.0.0.1", &chained, &["10.0.0.1", "10.0.0.2"]), ("203.0.113.9".into(), false));
        let garbage = [("x-forwarded-for", "127.0.0.1, unknown")];
        assert_eq!(client("10.0.0.1", &garbage, &["10.0.0.1"]), ("10.0.0.1".into(), false));
        let both = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=127.0.0.2")];
        assert_eq!(client("127.0.0.1", &both, &["127.0.0.1"]), ("127.0.0.1".into(), false));
    }
}
