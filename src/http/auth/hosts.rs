//! Which names this agent answers to, and which pages may call it.
//!
//! A web page can point its own name at 127.0.0.1 and read what loopback may
//! read (DNS rebinding); its requests still carry the foreign name in `Host`. An
//! address instead of a name cannot be rebound, so the address that the
//! connection really reached is always right.

use std::net::{IpAddr, SocketAddr};

use super::peer::Peer;
use crate::config::Config;

/// Whether a `Host` (with or without a port) means this agent.
pub fn is_ours(host: &str, peer: Peer, hostname: &str, config: &Config) -> bool {
    let Peer::Tcp { local, .. } = peer else { return true };
    let name = without_port(host).trim_end_matches('.');
    if let Ok(address) = name.parse::<IpAddr>() {
        let address = address.to_canonical();
        if address.is_loopback() || address == local.ip().to_canonical() {
            return true;
        }
    }
    let same = |other: &str| !other.is_empty() && name.eq_ignore_ascii_case(other);
    let local_name = || name.len() > 6 && name.is_char_boundary(name.len() - 6);
    same("localhost")
        || same(hostname)
        || (local_name()
            && name[name.len() - 6..].eq_ignore_ascii_case(".local")
            && name[..name.len() - 6].eq_ignore_ascii_case(hostname))
        || config.listen.iter().any(|listen| same(without_port(listen)))
        || config.auth.allowed_hosts.iter().any(|allowed| same(allowed))
}

/// Whether a page of `origin` may call: one of this agent's own, or one that
/// `http.cors` names.
pub fn may_call(origin: &str, host: &str, config: &Config) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) || is_listed(origin, config)
}

/// Whether `http.cors` names the origin.
pub fn is_listed(origin: &str, config: &Config) -> bool {
    config.http.cors.iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

/// `host:port`, `[v6]:port`, `host`, `v6` without port and brackets.
fn without_port(host: &str) -> &str {
    if let Some(inside) = host.strip_prefix('[') {
        return inside.split_once(']').map_or(inside, |(address, _)| address);
    }
    if host.parse::<SocketAddr>().is_err() && host.matches(':').count() > 1 {
        return host; // An IPv6 address without brackets.
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_and_the_reached_address_pass_and_others_do_not() {
        let local: SocketAddr = "192.0.2.7:3003".parse().unwrap();
        let peer = Peer::Tcp { remote: local, local, tls: false };
        let mut config = Config { listen: vec![String::from("nas.lan:3003")], ..Config::default() };
        config.auth.allowed_hosts = vec![String::from("status.example.org")];
        for host in [
            "localhost:3003",
            "LOCALHOST",
            "127.0.0.1:3003",
            "[::1]:3003",
            "::1",
            "192.0.2.7",
            "box",
            "Box.local:3003",
            "nas.lan",
            "status.example.org.",
        ] {
            assert!(is_ours(host, peer, "box", &config), "{host}");
        }
        for host in ["evil.example", "192.0.2.8", "", "box.local.evil.example", ".local", "xbox.local"] {
            assert!(!is_ours(host, peer, "box", &config), "{host}");
        }
        assert!(!is_ours("", peer, "", &config) && !is_ours(".local", peer, "", &config));
    }

    #[test]
    fn only_the_own_origin_and_listed_ones_may_call() {
        let mut config = Config::default();
        config.http.cors = vec![String::from("https://grafana.lan/")];
        assert!(may_call("http://127.0.0.1:3003", "127.0.0.1:3003", &config));
        assert!(may_call("https://grafana.lan", "127.0.0.1:3003", &config));
        for origin in ["null", "http://127.0.0.1:9999", "https://evil.example", ""] {
            assert!(!may_call(origin, "127.0.0.1:3003", &config), "{origin}");
        }
    }
}
