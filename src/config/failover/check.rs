//! What a group may not say, and what it may not say beside others.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::hook::{self, OF_FENCE, OF_REJOIN};
use super::{Group, Kind, TierChoice};
use crate::base::id::Name;
use crate::base::units::{ByteSize, Span};
use crate::config::Config;
use crate::config::check::Checker;

/// Each has a supervisor and one or two listeners of its own.
const MOST_GROUPS: usize = 32;
/// Each has connections of its own, and each holds a slot for every other.
const MOST_MEMBERS: usize = 16;
const MOST_CONNECTIONS: u32 = 100_000;
const MOST_PER_DAY: u32 = 1000;
const LARGEST_LAG: ByteSize = ByteSize::mebibytes(1 << 20);
const DAY: Span = Span::from_secs(86_400);
const HOUR: Span = Span::from_secs(3600);
/// Names that are shown of those that could have been meant.
const MOST_SHOWN: usize = 20;

/// Says what is wrong with the groups of `config`.
pub fn check(config: &Config, checker: &mut Checker<'_>) {
    let groups = &config.failover.group;
    if groups.len() > MOST_GROUPS {
        checker.say("failover.group", format!("{} groups, expected at most {MOST_GROUPS}", groups.len()));
    }
    let mut taken = Taken::of(config);
    for group in groups {
        let key = format!("failover.group[{}]", group.name);
        if group.kind == Kind::ObjectStore {
            let message = "`object_store` groups are not in this version yet, expected \"postgres\"";
            checker.say(format!("{key}.kind"), message);
        }
        members(group, config, &key, &mut taken, checker);
        taken.address(&format!("{key}.listen"), &group.listen, checker);
        if let Some(listen) = &group.listen_read {
            taken.address(&format!("{key}.listen_read"), listen, checker);
        }
        limits(group, &key, checker);
        together(group, &key, checker);
    }
}

/// What only one may have: members and addresses, with the key that has each.
struct Taken {
    members: BTreeMap<Name, String>,
    addresses: BTreeMap<SocketAddr, String>,
}

impl Taken {
    fn of(config: &Config) -> Self {
        let mut addresses = BTreeMap::new();
        for address in config.listen.iter().filter_map(|address| socket_address(address)) {
            addresses.insert(address, String::from("listen"));
        }
        if let Some(address) = config.metrics.listen.as_deref().and_then(socket_address) {
            addresses.insert(address, String::from("metrics.listen"));
        }
        Self { members: BTreeMap::new(), addresses }
    }

    fn address(&mut self, key: &str, text: &str, checker: &mut Checker<'_>) {
        let Some(address) = socket_address(text) else {
            let message = format!("`{text}` is not an address, expected for example \"127.0.0.1:6432\"");
            return checker.say(key, message);
        };
        if address.port() == 0 {
            return checker.say(key, "port 0 is another one after each start, expected 1 to 65535");
        }
        match self.addresses.get(&address) {
            Some(other) => {
                checker.say(key, format!("`{text}` is already taken by {other}, expected another port"));
            }
            None => drop(self.addresses.insert(address, key.to_owned())),
        }
    }
}

/// `localhost:6432` or an address in figures.
fn socket_address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

/// Whether only this host reaches what listens there.
pub fn is_loopback(listen: &str) -> bool {
    socket_address(listen).is_some_and(|address| match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    })
}

/// Each address of a group with the name of its key.
pub fn listens(group: &Group) -> impl Iterator<Item = (&'static str, &str)> {
    let read = group.listen_read.as_deref().map(|listen| ("listen_read", listen));
    std::iter::once(("listen", group.listen.as_str())).chain(read)
}

fn members(group: &Group, config: &Config, key: &str, taken: &mut Taken, checker: &mut Checker<'_>) {
    let key = format!("{key}.members");
    if group.members.is_empty() {
        checker.say(key.as_str(), "nobody, expected the names of one or more targets, such as [\"pg1\"]");
    }
    if group.members.len() > MOST_MEMBERS {
        checker
            .say(key.as_str(), format!("{} members, expected at most {MOST_MEMBERS}", group.members.len()));
    }
    for (index, member) in group.members.iter().enumerate() {
        if group.members[..index].contains(member) {
            checker.say_of(key.as_str(), index, format!("`{member}` is a member twice"));
            continue;
        }
        match config.target.postgres.iter().find(|target| target.name == *member) {
            None => checker.say_of(key.as_str(), index, unknown(member, config)),
            Some(target) if target.host.starts_with('/') => {
                let message = format!(
                    "`{member}` is reached through the directory {}, expected a host that others reach too",
                    target.host
                );
                checker.say_of(key.as_str(), index, message);
            }
            Some(_) => {}
        }
        match taken.members.get(member) {
            Some(other) => {
                let message =
                    format!("`{member}` is already a member of `{other}`, expected it in one group");
                checker.say_of(key.as_str(), index, message);
            }
            None => drop(taken.members.insert(member.clone(), group.name.to_string())),
        }
    }
}

fn unknown(member: &Name, config: &Config) -> String {
    let known: Vec<&str> = config.target.postgres.iter().map(|target| target.name.as_str()).collect();
    let shown = known.iter().take(MOST_SHOWN).copied().collect::<Vec<_>>().join(", ");
    match known.len() {
        0 => format!("there is no Postgres target `{member}`: none is configured"),
        count if count > MOST_SHOWN => {
            format!("there is no Postgres target `{member}`; some of the {count} are {shown}")
        }
        _ => format!("there is no Postgres target `{member}`; there are: {shown}"),
    }
}

fn limits(group: &Group, key: &str, checker: &mut Checker<'_>) {
    for (name, span, most) in [
        ("cooldown", group.cooldown, Span::from_secs(7 * 86_400)),
        ("restart_grace", group.restart_grace, HOUR),
        ("hold_max", group.hold_max, Span::from_secs(300)),
        ("path_hold", group.path_hold, DAY),
    ] {
        if span > most {
            checker.say(format!("{key}.{name}"), format!("{span}, expected at most {most}"));
        }
    }
    if group.restart_grace.0 < Duration::from_millis(100) {
        let message =
            format!("{} would promote at a planned restart, expected 100ms to 1h", group.restart_grace);
        checker.say(format!("{key}.restart_grace"), message);
    }
    if group.max_lag > LARGEST_LAG {
        checker.say(format!("{key}.max_lag"), format!("{}, expected at most {LARGEST_LAG}", group.max_lag));
    }
    for (name, count, most) in [
        ("max_per_day", group.max_per_day, MOST_PER_DAY),
        ("max_connections", group.max_connections, MOST_CONNECTIONS),
    ] {
        if !(1..=most).contains(&count) {
            checker.say(format!("{key}.{name}"), format!("{count}, expected 1 to {most}"));
        }
    }
}

fn together(group: &Group, key: &str, checker: &mut Checker<'_>) {
    hook::check(&format!("{key}.fence_hook"), group.fence_hook.as_ref(), &OF_FENCE, checker);
    hook::check(&format!("{key}.rejoin_hook"), group.rejoin_hook.as_ref(), &OF_REJOIN, checker);
    if group.tier == TierChoice::Fenced && group.fence_hook.is_none() {
        let message = "nothing proves the old primary off, expected a `fence_hook` beside it";
        checker.say(format!("{key}.tier"), message);
    }
    if group.fence_on_return && !matches!(group.tier, TierChoice::Switch | TierChoice::Auto) {
        let message = "has no effect: a superseded primary is always fenced there, expected it with `tier` = \"switch\" only";
        checker.say(format!("{key}.fence_on_return"), message);
    }
}
