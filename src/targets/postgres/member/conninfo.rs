//! `primary_conninfo`: whom a standby follows and with which secrets.
//!
//! libpq reads two forms, `key=value` pairs with quotes and a URI; both become a list of
//! pairs here, in which of two values for one key the later counts. What is written
//! is always the first form, because every release reads it. Wrong would be to replace
//! the host in the text: a password may look like one. Nothing here can be printed but
//! what [`Conninfo::upstream`] picks out.

use std::fmt;

use crate::base::secret::Secret;
use crate::model::failover::sighting::Upstream;

/// Pairs in one text; libpq knows about 50 keys.
const MAX_PAIRS: usize = 128;

const DEFAULT_PORT: u16 = 5432;

/// See the module.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Conninfo {
    pairs: Vec<(String, String)>,
}

impl fmt::Debug for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(key, _)| key)).finish()
    }
}

/// Why a text is no conninfo; without any of its values.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConninfo {
    #[error("primary_conninfo has a key without `=`, expected key='value' pairs")]
    NoValue,
    #[error("primary_conninfo has a quote that is not closed")]
    Unclosed,
    #[error("primary_conninfo is no URI that can be read, expected postgresql://user@host:port/?key=value")]
    Uri,
    #[error("primary_conninfo has more than {MAX_PAIRS} keys")]
    TooMany,
}

impl Conninfo {
    /// # Errors
    /// [`BadConninfo`]
    pub fn parse(text: &str) -> Result<Self, BadConninfo> {
        let uri = ["postgresql://", "postgres://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let pairs = match uri {
            Some(rest) => parse_uri(rest)?,
            None => parse_pairs(text)?,
        };
        if pairs.len() > MAX_PAIRS { Err(BadConninfo::TooMany) } else { Ok(Self { pairs }) }
    }

    /// The value that counts for `key`; an empty one is none.
    pub fn get(&self, key: &str) -> Option<&str> {
        let last = self.pairs.iter().rev().find(|(known, _)| known == key);
        last.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whom it names. `cluster_name` is the setting of the standby, `slot` its
    /// `primary_slot_name`. Of several hosts the first is told.
    pub fn upstream(&self, cluster_name: &str, slot: &str) -> Upstream {
        let first = |list: &str| list.split(',').next().unwrap_or_default().to_owned();
        let port = self.get("port").map(first).and_then(|port| port.trim().parse().ok());
        let named = self.get("application_name").or(Some(cluster_name).filter(|name| !name.is_empty()));
        let fallback = || self.get("fallback_application_name").unwrap_or("walreceiver");
        Upstream {
            host: self.get("host").or_else(|| self.get("hostaddr")).map(first).unwrap_or_default(),
            port: port.unwrap_or(DEFAULT_PORT),
            application_name: named.unwrap_or_else(fallback).to_owned(),
            slot: Some(slot).filter(|slot| !slot.is_empty()).map(str::to_owned),
        }
    }

    /// The same for another server: everything but the address stays.
    pub fn toward(mut self, host: &str, port: u16) -> Self {
        self.pairs.retain(|(key, _)| !["host", "hostaddr", "port"].contains(&key.as_str()));
        self.pairs.push((String::from("host"), host.to_owned()));
        self.pairs.push((String::from("port"), port.to_string()));
        self
    }

    /// As `key=value` pairs.
    pub fn text(&self) -> Secret {
        let pairs: Vec<_> =
            self.pairs.iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
        Secret::new(pairs.join(" "))
    }
}

/// The `key=value` pairs by which a program reaches a server as `user`, without a password.
pub fn source(host: &str, port: u16, user: &str) -> String {
    format!("host={} port={port} user={} dbname=postgres", quoted(host), quoted(user))
}

fn quoted(value: &str) -> String {
    let plain = |c: char| !is_space(c) && c != '\'' && c != '\\';
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// What C calls a space.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn parse_pairs(text: &str) -> Result<Vec<(String, String)>, BadConninfo> {
    let (mut pairs, mut rest) = (Vec::new(), text.trim_start_matches(is_space));
    while !rest.is_empty() && pairs.len() <= MAX_PAIRS {
        let end = rest.find(|c| c == '=' || is_space(c)).ok_or(BadConninfo::NoValue)?;
        let (key, after) = rest.split_at(end);
        let after = after.trim_start_matches(is_space).strip_prefix('=').ok_or(BadConninfo::NoValue)?;
        let (value, after) = parse_value(after.trim_start_matches(is_space))?;
        pairs.push((key.to_owned(), value));
        rest = after.trim_start_matches(is_space);
    }
    Ok(pairs)
}

/// A value and what follows it. A backslash takes the next character as it is, with
/// and without quotes.
fn parse_value(text: &str) -> Result<(String, &str), BadConninfo> {
    let (inside, is_quoted) = text.strip_prefix('\'').map_or((text, false), |inside| (inside, true));
    let (mut value, mut characters) = (String::new(), inside.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, taken)| taken)),
            '\'' if is_quoted => return Ok((value, &inside[at + 1..])),
            space if !is_quoted && is_space(space) => return Ok((value, &inside[at..])),
            other => value.push(other),
        }
    }
    if is_quoted { Err(BadConninfo::Unclosed) } else { Ok((value, "")) }
}

/// `[user[:password]@][host[:port]][,host[:port]...][/database][?key=value&...]`
fn parse_uri(rest: &str) -> Result<Vec<(String, String)>, BadConninfo> {
    let mut pairs = Vec::new();
    let mut put = |key: &str, value: &str| -> Result<(), BadConninfo> {
        if !value.is_empty() {
            pairs.push((decoded(key)?, decoded(value)?));
        }
        Ok(())
    };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, query)| (rest, query));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, addresses) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    put("user", user)?;
    put("password", password)?;
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for address in addresses.split(',').take(MAX_PAIRS) {
        let (host, port) = match address.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']').ok_or(BadConninfo::Uri)?;
                (host, after.strip_prefix(':').unwrap_or(after))
            }
            None => address.split_once(':').unwrap_or((address, "")),
        };
        hosts.push(host);
        ports.push(port);
    }
    put("host", &hosts.join(","))?;
    if ports.iter().any(|port| !port.is_empty()) {
        put("port", &ports.join(","))?;
    }
    put("dbname", database)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()).take(MAX_PAIRS) {
        match pair.split_once('=').ok_or(BadConninfo::Uri)? {
            ("ssl", "true") => put("sslmode", "require")?,
            (key, value) => put(key, value)?,
        }
    }
    Ok(pairs)
}

/// Undoes `%41`.
fn decoded(text: &str) -> Result<String, BadConninfo> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok()).ok_or(BadConninfo::Uri)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|byte| is_hex && *byte != 0);
        bytes.push(byte.ok_or(BadConninfo::Uri)?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| BadConninfo::Uri)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Conninfo {
        Conninfo::parse(text).unwrap()
    }

    #[test]
    fn pairs_are_read_as_libpq_reads_them() {
        let text = r"host = 10.0.0.1 port=5433 password='it\'s a \\ secret' user=rep\ l  user=repl application_name=''";
        let conninfo = read(text);
        assert_eq!(conninfo.get("password"), Some(r"it's a \ secret"));
        assert_eq!(conninfo.get("user"), Some("repl"));
        assert_eq!(conninfo.get("application_name"), None);
        let upstream = conninfo.upstream("", "s1");
        assert_eq!((upstream.host.as_str(), upstream.port), ("10.0.0.1", 5433));
        assert_eq!(
            (upstream.application_name.as_str(), upstream.slot.as_deref()),
            ("walreceiver", Some("s1"))
        );
        assert_eq!(conninfo.upstream("pg2", "").application_name, "pg2");
        for (bad, why) in
            [("host", BadConninfo::NoValue), ("a b=c", BadConninfo::NoValue), ("a='b", BadConninfo::Unclosed)]
        {
            assert_eq!(Conninfo::parse(bad), Err(why), "{bad}");
        }
        assert_eq!(read("").text().expose(), "");
    }

    #[test]
    fn a_uri_says_the_same() {
        let uri = read(
            "postgresql://re%20pl:p%40ss%3A'x@[fd00::1]:5433/db?application_name=pg2&sslmode=require&ssl=true",
        );
        for (key, value) in [
            ("user", "re pl"),
            ("password", "p@ss:'x"),
            ("host", "fd00::1"),
            ("port", "5433"),
            ("dbname", "db"),
            ("application_name", "pg2"),
            ("sslmode", "require"),
        ] {
            assert_eq!(uri.get(key), Some(value), "{key}");
        }
        let bare = read("postgres://").upstream("", "");
        assert_eq!((bare.host.as_str(), bare.port), ("", 5432));
        let several = read("postgres://a,b:5433/").upstream("", "");
        assert_eq!((several.host.as_str(), several.port), ("a", 5432));
        for bad in ["postgres://%4", "postgres://%00", "postgres://[::1", "postgres://h/?x", "postgres://%+1"]
        {
            assert_eq!(Conninfo::parse(bad), Err(BadConninfo::Uri), "{bad}");
        }
    }

    #[test]
    fn only_the_address_changes() {
        let old = read(
            "hostaddr=10.0.0.1 user=repl password='a b' host=pg1,pg3 port=1,2 application_name=pg2 sslmode=verify-full",
        );
        let new = old.toward("pg2.lan", 5434);
        assert_eq!(
            new.text().expose(),
            "user=repl password='a b' application_name=pg2 sslmode=verify-full host=pg2.lan port=5434"
        );
        assert!(!format!("{new:?}").contains("a b"));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(values in prop::collection::vec("[ -~\\t\u{e4}'\\\\]{0,12}", 0..6)) {
            let pairs = values.into_iter().enumerate().map(|(at, value)| (format!("key{at}"), value)).collect();
            let conninfo = Conninfo { pairs };
            prop_assert_eq!(read(conninfo.text().expose()), conninfo);
        }

        #[test]
        fn no_text_panics_and_none_is_repeated(text in "(postgres://)?[ -~%'\\\\\u{20ac}]{0,60}") {
            if let Ok(conninfo) = Conninfo::parse(&text) {
                let _ = (conninfo.upstream("", ""), conninfo.toward("h", 1).text());
            }
        }
    }
}
