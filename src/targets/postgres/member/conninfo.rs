//! Connection strings of libpq, as `primary_conninfo` holds them.
//!
//! Two forms (PostgreSQL documentation, "Connection Strings"): `key=value` pairs with
//! quotes and backslashes, and URIs. Only the parts that decide where a standby streams
//! from are ever changed; whatever else is in it (user, password, TLS, names) is carried
//! over as it was.

use crate::base::secret::Secret;
use crate::model::failover::sighting::Upstream;

/// Keys that say where to connect.
const PLACE: [&str; 3] = ["host", "hostaddr", "port"];

/// Keys and values in their order.
pub struct Conninfo(Vec<(String, String)>);

impl Conninfo {
    /// `None` for an empty text and for what libpq would refuse.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let pairs = match text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
            Some(rest) => uri(rest)?,
            None => pairs(text)?,
        };
        (!pairs.is_empty()).then_some(Self(pairs))
    }

    fn get(&self, key: &str) -> Option<&str> {
        // The last one counts.
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The parts without secrets; `fallback` is the name the server gives itself.
    pub fn upstream(&self, slot: Option<String>, fallback: &str) -> Upstream {
        let name = self.get("application_name").filter(|name| !name.is_empty());
        let fallback = if fallback.is_empty() { "walreceiver" } else { fallback };
        Upstream {
            host: self.get("hostaddr").or_else(|| self.get("host")).unwrap_or_default().to_owned(),
            port: self.get("port").and_then(|port| port.parse().ok()).unwrap_or(5432),
            application_name: name.unwrap_or(fallback).to_owned(),
            slot,
        }
    }

    /// The same to another place, as `key=value` pairs.
    pub fn toward(&self, host: &str, port: u16) -> Secret {
        let port = port.to_string();
        let place = [("host", host), ("port", port.as_str())];
        let kept = self.0.iter().filter(|(key, _)| !PLACE.contains(&key.as_str()));
        let all = place.into_iter().chain(kept.map(|(key, value)| (key.as_str(), value.as_str())));
        let words: Vec<_> = all.map(|(key, value)| format!("{key}={}", quoted(value))).collect();
        Secret::new(words.join(" "))
    }
}

/// A value in quotes where it needs them.
fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '\\');
    if plain {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Some(pairs);
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if key.is_empty() || chars.next() != Some('=') {
            return None;
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match chars.next() {
                Some('\\') => value.push(chars.next()?),
                Some('\'') if quoted => break,
                Some(c) if c.is_whitespace() && !quoted => break,
                Some(c) => value.push(c),
                None if quoted => return None,
                None => break,
            }
        }
        pairs.push((key, value));
    }
}

fn uri(rest: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (account, places) = match authority.rsplit_once('@') {
        Some((account, places)) => (Some(account), places),
        None => (None, authority),
    };
    let mut push = |key: &str, value: &str| {
        if !value.is_empty() {
            pairs.push((key.to_owned(), decoded(value)?));
        }
        Some(())
    };
    if let Some(account) = account {
        let (user, password) = account.split_once(':').unwrap_or((account, ""));
        push("user", user)?;
        push("password", password)?;
    }
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for place in places.split(',') {
        let bracket = place.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match place[bracket..].rfind(':') {
            Some(colon) => (&place[..bracket + colon], &place[bracket + colon + 1..]),
            None => (place, ""),
        };
        hosts.push(host.trim_start_matches('[').trim_end_matches(']'));
        ports.push(port);
    }
    push("host", &hosts.join(","))?;
    if ports.iter().any(|port| !port.is_empty()) {
        push("port", &ports.join(","))?;
    }
    push("dbname", database)?;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (key, value) = parameter.split_once('=')?;
        push(&decoded(key)?, value)?;
    }
    Some(pairs)
}

/// Percent-decoded; `None` for what is not UTF-8 or holds a NUL.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// The literal of a text in SQL, whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        Conninfo::parse(text).map(|read| read.0)
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(
            read("host=10.0.0.1 port = 5433 password='it''s' "),
            None,
            "a doubled quote is no quote in libpq"
        );
        assert_eq!(
            read(r"host=10.0.0.1 port = 5433 password='it\'s a \\ secret' application_name=pg2"),
            Some(owned(&[
                ("host", "10.0.0.1"),
                ("port", "5433"),
                ("password", r"it's a \ secret"),
                ("application_name", "pg2"),
            ]))
        );
        assert_eq!(
            read("postgresql://rep:p%40ss@[::1]:5433/postgres?application_name=pg2&sslmode=require"),
            Some(owned(&[
                ("user", "rep"),
                ("password", "p@ss"),
                ("host", "::1"),
                ("port", "5433"),
                ("dbname", "postgres"),
                ("application_name", "pg2"),
                ("sslmode", "require"),
            ]))
        );
        for text in ["", "  ", "host", "=x", "host='x", "postgresql://%zz@h/"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_place_is_changed() {
        let before = Conninfo::parse(r"host=a,b hostaddr=10.0.0.9 port=1 user=rep password='a b\'c'")
            .expect("conninfo");
        let after = before.toward("10.0.0.2", 5434);
        assert_eq!(after.expose(), r"host=10.0.0.2 port=5434 user=rep password='a b\'c'");
        assert!(!format!("{after:?}").contains("a b"));
    }

    #[test]
    fn a_standby_without_a_name_is_called_as_postgres_does() {
        let name = |text: &str, cluster: &str| {
            Conninfo::parse(text).map(|read| read.upstream(None, cluster).application_name)
        };
        assert_eq!(name("host=a application_name=x", "c").as_deref(), Some("x"));
        assert_eq!(name("host=a", "c").as_deref(), Some("c"));
        assert_eq!(name("host=a", "").as_deref(), Some("walreceiver"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(values in prop::collection::vec(".{0,12}", 1..4)) {
            let given: Vec<_> = values.iter().enumerate().map(|(at, value)| (format!("key{at}"), value.clone())).collect();
            prop_assume!(given.iter().all(|(_, value)| !value.contains('\0')));
            let text = Conninfo(given.clone()).toward("h", 1);
            let read = read(text.expose()).expect("what was written");
            prop_assert_eq!(&read[2..], &given[..]);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            let _ = Conninfo::parse(&text);
            let _ = Conninfo::parse(&format!("postgresql://{text}"));
        }
    }
}
