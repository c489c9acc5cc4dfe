//! `[[channel.<kind>]]`: where notifications go; one list per kind, the kind's own keys
//! in its own file.
//!
//! The kinds stand in one list at [`kinds!`], as those of targets do; the keys that all
//! kinds share stand in [`section!`], because flattening a struct of them would hide
//! unknown keys from serde. Wrong would be a second list: a kind that is in one of them
//! only would be delivered to and never checked, or the other way round.

pub mod alertmanager;
pub mod console;
pub mod discord;
pub mod email;
pub mod exec;
pub mod file;
pub mod gotify;
pub mod heartbeat;
pub mod ntfy;
pub mod pagerduty;
pub mod slack;
pub mod telegram;
pub mod webhook;

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::check::Checker;
use super::tree::{Key, Step};
use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::template;
use crate::base::units::Span;
use crate::model::message::Message;

/// What the section of every kind has.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    pub name: &'a Name,
    /// Whether anything goes there.
    pub enabled: bool,
    /// One deadline over everything a delivery does.
    pub timeout: Span,
    /// Whether it is told that an alert is over.
    pub send_resolved: bool,
    /// Templates in place of the texts that a message has by itself.
    pub title: Option<&'a str>,
    pub body: Option<&'a str>,
    /// Of a heartbeat: between two pings.
    pub heartbeat: Option<Span>,
}

/// One channel as configured, whatever its kind.
pub trait Section {
    /// The word of the kind: section, file and label.
    fn kind(&self) -> &'static str;
    fn common(&self) -> Common<'_>;
    /// Secrets that are written into the section itself.
    fn secrets(&self) -> Vec<&Secret>;
    /// Says what is wrong with the kind's own keys; `key` is `channel.<kind>[<name>]`.
    fn check(&self, key: &str, checker: &mut Checker<'_>);
}

/// The struct of a kind that receives notices: its own keys and those of all kinds.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $kind:literal $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            pub name: $crate::base::id::Name,
            $($(#[$field_meta])* pub $field: $type,)*
            /// Whether anything goes there.
            #[serde(default = "super::yes")]
            pub enabled: bool,
            /// One deadline over everything a delivery does.
            #[serde(default = "super::default_timeout")]
            pub timeout: $crate::base::units::Span,
            /// Whether it is told that an alert is over.
            #[serde(default = "super::yes")]
            pub send_resolved: bool,
            /// Templates in place of the texts that a message has by itself.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub title: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub body: Option<String>,
        }

        impl $name {
            fn shared(&self) -> $crate::config::channel::Common<'_> {
                $crate::config::channel::Common {
                    name: &self.name,
                    enabled: self.enabled,
                    timeout: self.timeout,
                    send_resolved: self.send_resolved,
                    title: self.title.as_deref(),
                    body: self.body.as_deref(),
                    heartbeat: None,
                }
            }
        }

        impl $name {
            pub const KIND: &'static str = $kind;
        }
    };
}
use section;

/// The part of [`Section`] that [`section!`] makes the same for every kind.
macro_rules! common {
    () => {
        fn kind(&self) -> &'static str {
            Self::KIND
        }

        fn common(&self) -> $crate::config::channel::Common<'_> {
            self.shared()
        }
    };
}
use common;

macro_rules! kinds {
    ($($kind:ident: $section:ty),+ $(,)?) => {
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Channels {
            $(pub $kind: Vec<$section>,)+
        }

        impl Channels {
            /// Every channel, kind by kind, in the order of the configuration.
            pub fn sections(&self) -> Vec<&dyn Section> {
                let mut all: Vec<&dyn Section> = Vec::new();
                $(all.extend(self.$kind.iter().map(|section| section as &dyn Section));)+
                all
            }
        }

        /// The words of the kinds.
        pub const KINDS: &[&str] = &[$(stringify!($kind)),+];

        /// What the file holds of the channels it defines: name, address and credentials.
        pub(super) const PINNED: &[(&str, &[&str])] = &[$((stringify!($kind), &$kind::PINNED)),+];

        /// Keys that are secret although their names do not say so.
        const SECRETS: &[(&str, &[&str])] = &[$((stringify!($kind), $kind::SECRETS)),+];
    };
}

kinds! {
    console: console::Console,
    file: file::File,
    email: email::Email,
    webhook: webhook::Webhook,
    slack: slack::Slack,
    ntfy: ntfy::Ntfy,
    gotify: gotify::Gotify,
    telegram: telegram::Telegram,
    discord: discord::Discord,
    pagerduty: pagerduty::Pagerduty,
    alertmanager: alertmanager::Alertmanager,
    exec: exec::Exec,
    heartbeat: heartbeat::Heartbeat,
}

/// Whether `key` is the secret of a channel although its name does not say so: the
/// address of a chat's hook is all that its sender needs.
pub fn is_secret(key: &Key) -> bool {
    let [Step::Key(family), Step::Key(kind), Step::Item(_), Step::Key(name)] = key.0.as_slice() else {
        return false;
    };
    let keys = SECRETS.iter().find(|(known, _)| known == kind);
    family == "channel" && keys.is_some_and(|(_, keys)| keys.contains(&name.as_str()))
}

/// Whether `key` belongs to a channel that only the configuration file may define: one
/// that runs a program.
pub fn from_file_only(key: &Key) -> bool {
    matches!(key.0.as_slice(), [Step::Key(family), Step::Key(kind), ..] if family == "channel" && kind == "exec")
}

/// Channels of one kind; each has a queue of its own.
const MOST_CHANNELS: usize = 64;
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(300);

/// What is wrong with `channels`.
pub fn check(channels: &Channels, checker: &mut Checker<'_>) {
    let sections = channels.sections();
    for kind in KINDS {
        let count = sections.iter().filter(|section| section.kind() == *kind).count();
        if count > MOST_CHANNELS {
            let message = format!("{count} channels, expected at most {MOST_CHANNELS}");
            checker.say(format!("channel.{kind}"), message);
        }
    }
    for section in sections {
        let Common { name, timeout, title, body, .. } = section.common();
        let key = format!("channel.{}[{name}]", section.kind());
        if !(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&timeout.0) {
            checker.say(format!("{key}.timeout"), format!("{timeout}, expected 100ms to 5m"));
        }
        checker.template(&format!("{key}.title"), title);
        checker.template(&format!("{key}.body"), body);
        checker.unique("channel", name, &key);
        section.check(&key, checker);
    }
}

/// The ways to give one secret: in the section, in a file, in the environment.
#[derive(Clone, Copy)]
struct Given<'a> {
    /// `token`; the others are `token_file` and `token_env`.
    key: &'a str,
    value: bool,
    file: Option<&'a Path>,
    variable: Option<&'a str>,
}

/// [`Given`] of the fields of that name, whose other names follow from it.
macro_rules! given {
    ($section:expr, $key:ident, $file:ident, $variable:ident) => {
        $crate::config::channel::Given {
            key: stringify!($key),
            value: $section.$key.is_some(),
            file: $section.$file.as_deref(),
            variable: $section.$variable.as_deref(),
        }
    };
}
use given;

impl Given<'_> {
    fn check(&self, at: &str, required: bool, checker: &mut Checker<'_>) {
        let (file, variable) = (format!("{}_file", self.key), format!("{}_env", self.key));
        let sources = [
            (self.key, self.value),
            (file.as_str(), self.file.is_some()),
            (variable.as_str(), self.variable.is_some()),
        ];
        if required && sources.iter().all(|(_, given)| !given) {
            checker.say(at, format!("no {0}, expected one of {0}_file, {0}_env, {0}", self.key));
        }
        checker.at_most_one(at, &sources);
        checker.variable(&format!("{at}.{variable}"), self.variable);
        checker.file(&format!("{at}.{file}"), self.file);
    }
}

/// Schemes of the channels that speak HTTP, with their usual ports.
pub const WEB: [(&str, u16); 2] = [("http", 80), ("https", 443)];

/// An address that is itself a secret: what is wrong with it is said without it.
fn check_secret_url(url: Option<&Secret>, key: &str, checker: &mut Checker<'_>) {
    if url.is_some_and(|url| Address::of_url(url.expose(), &WEB).is_err()) {
        let message = "it is not an address, expected http://HOST:PORT/... or https://HOST:PORT/... without user or password";
        checker.say(format!("{key}.url"), message);
    }
}

/// The address of a server, and the authorities that are only asked with TLS.
fn check_url(url: &str, ca_file: Option<&Path>, key: &str, checker: &mut Checker<'_>) {
    match Address::of_url(url, &WEB) {
        Err(message) => checker.say(format!("{key}.url"), message),
        Ok(address) => {
            checker.file(&format!("{key}.tls_ca_file"), ca_file);
            if ca_file.is_some() && address.scheme != "https" {
                checker.say(
                    format!("{key}.tls_ca_file"),
                    "has no effect: nobody is verified, expected a `url` with https:// beside it",
                );
            }
        }
    }
}

impl Checker<'_> {
    /// A template must be one, and use nothing that a message does not have.
    fn template(&mut self, key: &str, text: Option<&str>) {
        let wrong = text.and_then(|text| template::check(text, &Message::sample()).err());
        if let Some(error) = wrong {
            self.say(key, format!("in the template, {error}"));
        }
    }
}

/// The default of `enabled` and of `send_resolved`.
fn yes() -> bool {
    true
}

/// The default of `timeout`.
fn default_timeout() -> Span {
    Span::from_secs(10)
}
