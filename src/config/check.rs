//! What types cannot say: ranges, values that must fit each other, addresses that
//! would open the agent to a network.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::environment::Environment;
use super::failover;
use super::heartbeat;
use super::route::{self, Takers};
use super::rule;
use super::target::{Common, KINDS, Section};
use super::{Config, channel};
use crate::base::id::{Name, RuleName};
use crate::base::units::{ByteSize, Span};

/// Something wrong at a key; `element` is the index in a list.
#[derive(Debug, PartialEq)]
pub struct Finding {
    pub key: String,
    pub element: Option<usize>,
    pub message: String,
}

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// Targets of one kind; each has a worker and connections of its own.
const MOST_TARGETS: usize = 256;
/// Parts of the agent that health tells of beside the targets.
const PARTS: [&str; 4] = ["store", "storage", "database", "scst"];
const SMALLEST_CAP: ByteSize = ByteSize::mebibytes(16);

/// Everything that is wrong with `config`. Files it names must be readable.
pub fn check(config: &Config, environment: &Environment) -> Vec<Finding> {
    let mut checker = Checker { environment, findings: Vec::new(), names: BTreeMap::new() };
    checker.addresses(config);
    config.auth.check(&mut checker);
    config.tls.check(&mut checker);
    checker.storage(config);
    checker.interval("collect.interval", config.collect.interval);
    checker.origins(config);
    checker.targets(config);
    failover::check(config, &mut checker);
    checker.rules(config);
    heartbeat::check(&config.check, &mut checker);
    channel::check(&config.channel, &mut checker);
    route::check(&config.route, &config.channel, &mut checker);
    config.quiet_hours.check(&config.collect.rootfs, &mut checker);
    config.backup.check(config, &mut checker);
    config.cache.check(&mut checker);
    config.memory.check(&mut checker);
    config.log.check(&mut checker);
    config.services.check(&mut checker);
    checker.findings
}

/// Collects what is wrong; sections say it through here.
pub struct Checker<'a> {
    environment: &'a Environment,
    findings: Vec<Finding>,
    /// Names that are taken of each family (`target`, `channel`), and the key that took each.
    names: BTreeMap<(&'static str, String), String>,
}

impl Checker<'_> {
    /// Something is wrong at `key`.
    pub fn say(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding { key: key.into(), element: None, message: message.into() });
    }

    /// Something is wrong at an element of the list at `key`.
    pub fn say_of(&mut self, key: impl Into<String>, element: usize, message: impl Into<String>) {
        self.findings.push(Finding { key: key.into(), element: Some(element), message: message.into() });
    }

    /// The name of the item at `key` must be its alone within its family.
    pub fn unique(&mut self, family: &'static str, name: &Name, key: &str) {
        let taken = (family, name.as_str().to_owned());
        match self.names.get(&taken) {
            Some(other) => {
                let message = format!("the name `{name}` is already taken by {other}, expected another name");
                self.say(format!("{key}.name"), message);
            }
            None => {
                self.names.insert(taken, key.to_owned());
            }
        }
    }

    fn addresses(&mut self, config: &Config) {
        if config.listen.is_empty() {
            self.say("listen", "no address, expected at least one, such as \"127.0.0.1:3003\"");
        }
        for (index, address) in config.listen.iter().enumerate() {
            if let Err(message) = listen_address(address, config.tls.is_on()) {
                self.say_of("listen", index, message);
            }
        }
        if let Some(Err(message)) =
            config.metrics.listen.as_deref().map(|listen| listen_address(listen, config.tls.is_on()))
        {
            self.say("metrics.listen", message);
        }
        if !config.data_dir.is_absolute() {
            let shown = config.data_dir.display().to_string();
            self.say(
                "data_dir",
                format!("`{shown}` is not absolute, expected a directory such as \"/var/lib/holdfast\""),
            );
        }
    }

    fn storage(&mut self, config: &Config) {
        let storage = &config.storage;
        if storage.cap < SMALLEST_CAP {
            self.say(
                "storage.cap",
                format!("{} is too small, expected at least {SMALLEST_CAP}", storage.cap),
            );
        }
        if storage.max_series == 0 {
            self.say("storage.max_series", "0 would refuse every series, expected at least 1");
        }
        for (key, span, least) in [
            ("storage.raw_retention", storage.raw_retention, Span::from_secs(3600)),
            ("storage.minute_retention", storage.minute_retention, Span::from_secs(86_400)),
            ("storage.hour_retention", storage.hour_retention, Span::from_secs(86_400)),
        ] {
            if span < least {
                self.say(key, format!("{span} is too short, expected at least {least}"));
            }
        }
        let tail = storage.tail.as_str();
        if tail != "auto" && tail != "off" && !Path::new(tail).is_absolute() {
            self.say(
                "storage.tail",
                format!("`{tail}` is unknown, expected \"auto\", \"off\" or an absolute directory"),
            );
        }
    }

    fn interval(&mut self, key: &str, interval: Span) {
        if interval.0 < SHORTEST_INTERVAL {
            self.say(key, format!("{interval} is too short, expected at least 100ms"));
        }
    }

    fn origins(&mut self, config: &Config) {
        for (index, origin) in config.http.cors.iter().enumerate() {
            if !is_origin(origin) {
                let message =
                    format!("`{origin}` is not an origin, expected for example \"https://nas.example\"");
                self.say_of("http.cors", index, message);
            }
        }
        for (index, proxy) in config.http.trusted_proxies.iter().enumerate() {
            if proxy.parse::<IpAddr>().is_err() {
                let message = format!("`{proxy}` is not an IP address, expected for example \"192.0.2.7\"");
                self.say_of("http.trusted_proxies", index, message);
            }
        }
    }

    fn targets(&mut self, config: &Config) {
        let sections = config.target.sections();
        for kind in KINDS {
            let count = sections.iter().filter(|section| section.kind() == *kind).count();
            if count > MOST_TARGETS {
                let message = format!("{count} targets, expected at most {MOST_TARGETS}");
                self.say(format!("target.{kind}"), message);
            }
        }
        for section in sections {
            let key = format!("target.{}[{}]", section.kind(), section.common().name);
            self.target(&key, section);
            section.check(&key, self);
        }
    }

    fn rules(&mut self, config: &Config) {
        if config.rule.len() > rule::MOST {
            self.say("rule", format!("{} rules, expected at most {}", config.rule.len(), rule::MOST));
        }
        let mut say = |name: &RuleName, key: &str, message| self.say(format!("rule[{name}].{key}"), message);
        let (rules, _) = rule::rules(&config.rule, &mut say);
        let takers = Takers::of(&config.channel);
        for of in &rules {
            for (key, element, message) in takers.of_rule(&of.rule) {
                self.say_of(format!("rule[{}].{key}", of.rule.name), element, message);
            }
        }
    }

    /// What all kinds have.
    fn target(&mut self, key: &str, section: &dyn Section) {
        let Common { name, interval, timeout, breaker, .. } = section.common();
        self.interval(&format!("{key}.interval"), interval);
        if timeout.0 < Duration::from_millis(10) {
            self.say(format!("{key}.timeout"), format!("{timeout} is too short, expected at least 10ms"));
        }
        if timeout > interval {
            let message =
                format!("{timeout} is longer than the interval of {interval}, expected at most that");
            self.say(format!("{key}.timeout"), message);
        }
        breaker.check(&format!("{key}.breaker"), self);
        if PARTS.contains(&name.as_str()) {
            let message = format!("`{name}` is what health calls a part of the agent, expected another name");
            self.say(format!("{key}.name"), message);
        }
        self.unique("target", name, key);
    }

    /// Of several ways to give one thing, more than one.
    pub fn at_most_one(&mut self, key: &str, sources: &[(&str, bool)]) {
        let mut given = sources.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            self.say(format!("{key}.{second}"), format!("given beside `{first}`, expected only one of them"));
        }
    }

    /// An environment variable that is named must be set.
    pub fn variable(&mut self, key: &str, name: Option<&str>) {
        if let Some(name) = name.filter(|name| !self.environment.contains_key(*name)) {
            self.say(key, format!("the environment variable {name} is not set"));
        }
    }

    /// A file that is named must be there and readable.
    pub fn file(&mut self, key: &str, path: Option<&Path>) {
        let Some(path) = path else { return };
        // Asked before opening: opening a pipe waits for whoever writes it.
        let found = std::fs::metadata(path).and_then(|found| {
            if found.is_file() { std::fs::File::open(path).map(|_| true) } else { Ok(false) }
        });
        match found {
            Ok(true) => {}
            Ok(false) => self.say(key, format!("{} is not a file", path.display())),
            Err(error) => self.say(key, format!("cannot read the file {}: {error}", path.display())),
        }
    }
}

/// Whether the agent may listen there: loopback, a unix socket by its absolute path, and
/// with TLS anywhere. What comes from elsewhere always needs a token.
fn listen_address(address: &str, tls: bool) -> Result<(), String> {
    if let Some(path) = address.strip_prefix("unix:") {
        let absolute = Path::new(path).is_absolute();
        return absolute.then_some(()).ok_or_else(|| {
            format!("`{address}` has no absolute path, expected for example \"unix:/run/holdfast.sock\"")
        });
    }
    let ip = match address.strip_prefix("localhost:") {
        Some(port) if port.parse::<u16>().is_ok() => return Ok(()),
        _ => address.parse::<SocketAddr>().map(|parsed| parsed.ip()).map_err(|_| {
            format!("`{address}` is not an address, expected for example \"127.0.0.1:3003\" or \"unix:/run/holdfast.sock\"")
        })?,
    };
    let loopback = match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    };
    if loopback || tls {
        return Ok(());
    }
    Err(format!(
        "`{address}` can be reached from the network without TLS, expected `cert_file` and `key_file` or \
         `self_signed = true` in section [tls], or a loopback address such as \"127.0.0.1:3003\" with a reverse \
         proxy or an SSH tunnel in front of it"
    ))
}

fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '@', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_on_the_host_may_be_listened_on() {
        for good in ["127.0.0.1:3003", "[::1]:3003", "127.8.0.1:1", "localhost:3003", "unix:/run/h.sock"] {
            assert_eq!(listen_address(good, false), Ok(()), "{good}");
        }
        for (bad, part) in [
            ("0.0.0.0:3003", "without TLS"),
            ("[::]:3003", "without TLS"),
            ("192.0.2.1:3003", "without TLS"),
            ("127.0.0.1", "is not an address"),
            ("nas:3003", "is not an address"),
            ("unix:h.sock", "absolute"),
        ] {
            let error = listen_address(bad, false).unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
            let with_tls = listen_address(bad, true).is_ok();
            assert_eq!(with_tls, part == "without TLS", "{bad}");
        }
    }
}
