//! `[[target.systemd]]`

use serde::{Deserialize, Serialize};

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::units::Span;
use crate::config::check::Checker;

use super::breaker::Breaker;
use super::{Section, common, default_interval, default_timeout, yes};

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 2] = ["name", "unit"];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Systemd {
    pub name: Name,
    /// The whole name of a unit, e.g. `nginx.service`.
    pub unit: String,
    /// Between two probes.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// One deadline over all operations of a probe.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Whether it is probed.
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub breaker: Breaker,
}

/// What systemd takes as a unit (`man systemd.unit`): its own characters, at most
/// 255, and one of its types at the end.
pub fn is_unit(name: &str) -> bool {
    const TYPES: [&str; 11] = [
        "service",
        "socket",
        "device",
        "mount",
        "automount",
        "swap",
        "target",
        "path",
        "timer",
        "slice",
        "scope",
    ];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    let known = |(prefix, kind): (&str, &str)| !prefix.is_empty() && TYPES.contains(&kind);
    let option = name.starts_with('-') && !name.starts_with("-.");
    name.len() <= 255 && name.bytes().all(plain) && !option && name.rsplit_once('.').is_some_and(known)
}

impl Section for Systemd {
    common!("systemd");

    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        if !is_unit(&self.unit) {
            let message =
                format!("`{}` is not the name of a unit, expected for example \"nginx.service\"", self.unit);
            checker.say(format!("{key}.unit"), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_unit;

    #[test]
    fn names_of_units() {
        for good in
            ["nginx.service", "getty@tty1.service", "dev-disk-by\\x2dlabel.swap", "-.mount", "a:b.timer"]
        {
            assert!(is_unit(good), "{good}");
        }
        let long = format!("{}.service", "x".repeat(250));
        for bad in ["", "nginx", ".service", "--all.service", "a b.service", "a/b.mount", "*.service", &long]
        {
            assert!(!is_unit(bad), "{bad}");
        }
    }
}
