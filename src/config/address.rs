//! Where a target is: `host:port`, or a URL of the schemes its kind speaks.
//!
//! The pattern: a text is taken apart once, and what is shown later is put together
//! from the parts. Wrong would be to show a text that was not understood: what stands
//! before an `@` may be a password, so such a text is refused without being repeated.

/// Why a text with an `@` is refused.
const CREDENTIALS: &str = "has credentials in it, expected them in keys of their own";

/// See the module. The default names no host, which no name server knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Empty for `host:port`.
    pub scheme: String,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    /// Path and query as written, from the `/` on; may be empty.
    pub path: String,
}

impl Address {
    /// `host:port`.
    ///
    /// # Errors
    /// What was expected.
    pub fn of_pair(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            return Err(String::from(CREDENTIALS));
        }
        let wrong = || format!("`{text}` is not an address, expected for example \"127.0.0.1:5000\"");
        let (host, port) = split(text).ok_or_else(wrong)?;
        let port = port.ok_or_else(wrong)?;
        Ok(Self { scheme: String::new(), host: host.to_owned(), port, path: String::new() })
    }

    /// `scheme://host[:port][/path]` with one of `schemes`, each with its usual port.
    ///
    /// # Errors
    /// What was expected; never what stands before an `@`.
    pub fn of_url(text: &str, schemes: &[(&str, u16)]) -> Result<Self, String> {
        let wrong = || {
            if text.contains('@') {
                return String::from(CREDENTIALS);
            }
            let known: Vec<_> = schemes.iter().map(|(scheme, _)| format!("{scheme}://HOST:PORT")).collect();
            format!("`{text}` is not an address, expected {}", known.join(" or "))
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (_, usual) = schemes.iter().find(|(known, _)| *known == scheme).ok_or_else(wrong)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !path.bytes().all(plain) {
            return Err(wrong());
        }
        let (host, port) = split(authority).ok_or_else(wrong)?;
        Ok(Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port: port.unwrap_or(*usual),
            path: if path.starts_with('?') { format!("/{path}") } else { path.to_owned() },
        })
    }

    /// Host and port as they stand in a URL.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The address for people: without the query, in which some servers want a key.
    pub fn shown(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        if self.scheme.is_empty() {
            self.authority()
        } else {
            format!("{}://{}{path}", self.scheme, self.authority())
        }
    }
}

/// Host and port of an authority; `None` when it is none.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    let port = match port {
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port != 0)?),
        None => None,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: [(&str, u16); 2] = [("http", 80), ("https", 443)];

    #[test]
    fn an_address_is_taken_apart_and_put_together() {
        for (written, shown) in [
            ("http://127.0.0.1", "http://127.0.0.1:80"),
            ("https://nas.example:8443/a?key=geheim", "https://nas.example:8443/a"),
            ("https://[::1]/", "https://[::1]:443/"),
            ("http://h?x", "http://h:80/"),
            ("http://h/@me", "http://h:80/@me"),
        ] {
            assert_eq!(Address::of_url(written, &SCHEMES).unwrap().shown(), shown);
        }
        for (written, shown) in [("h:1", "h:1"), ("[::1]:65535", "[::1]:65535")] {
            assert_eq!(Address::of_pair(written).unwrap().shown(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_a_password_is_not_repeated() {
        for bad in ["", "h", "http://", "ftp://h", "http://h:0", "http://h:a", "http://[x]:1", "http://h/ "] {
            assert!(Address::of_url(bad, &SCHEMES).is_err(), "{bad}");
        }
        for bad in ["", "h", "h:", ":1", "h:0", "h:65536", "h:1/", "::1:5", "http://h:1", "[::1]"] {
            assert!(Address::of_pair(bad).is_err(), "{bad}");
        }
        for secret in ["http://u:geheim@h", "http://u:ge/heim@h", "redis://:geheim@h", "u:geheim@h:1"] {
            let url = Address::of_url(secret, &SCHEMES).unwrap_err();
            let pair = Address::of_pair(secret).unwrap_err();
            assert!(!url.contains("heim") && !pair.contains("heim"), "{secret}: {url} {pair}");
        }
    }
}
