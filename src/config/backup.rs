//! `[backup]`: copies of the agent's own store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use super::check::Checker;
use super::target::object_store::ObjectStore;
use crate::base::id::Name;
use crate::base::units::Span;

const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const MOST_KEPT: u64 = 1000;
const LONGEST_PREFIX: usize = 200;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Where they lie: below the data directory unless it is absolute.
    pub directory: PathBuf,
    /// Between two of them; without it none is made by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Span>,
    /// The newest so many stay, whoever made them; in the bucket, too.
    pub keep: u64,
    /// Name of a `[[target.object_store]]` whose bucket gets a copy of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Name>,
    /// In front of their names in the bucket, with a slash at the end; `holdfast/<host name>/`
    /// where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// With one of the two, new backups are sealed to the passphrase in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_env: Option<String>,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("backups"),
            schedule: None,
            keep: 7,
            target: None,
            prefix: None,
            passphrase_file: None,
            passphrase_env: None,
        }
    }
}

impl Backup {
    /// The folder of backups of an agent whose data is in `data_dir`.
    pub fn folder(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(&self.directory)
    }

    /// Whether new backups are sealed.
    pub const fn is_sealed(&self) -> bool {
        self.passphrase_file.is_some() || self.passphrase_env.is_some()
    }

    /// The section of the bucket that gets a copy of each.
    pub fn bucket<'a>(&self, config: &'a Config) -> Option<&'a ObjectStore> {
        let name = self.target.as_ref()?;
        config.target.object_store.iter().find(|section| section.name == *name)
    }

    /// In front of the names in the bucket, for an agent on `host`.
    pub fn prefix_on(&self, host: &str) -> String {
        let plain = |letter: char| if is_plain(letter) { letter } else { '-' };
        let host = || host.chars().take(64).map(plain).collect::<String>();
        self.prefix.clone().unwrap_or_else(|| format!("holdfast/{}/", host()))
    }

    pub(super) fn check(&self, config: &Config, checker: &mut Checker<'_>) {
        self.check_bucket(config, checker);
        let sources = [
            ("passphrase_file", self.passphrase_file.is_some()),
            ("passphrase_env", self.passphrase_env.is_some()),
        ];
        checker.at_most_one("backup", &sources);
        checker.file("backup.passphrase_file", self.passphrase_file.as_deref());
        checker.variable("backup.passphrase_env", self.passphrase_env.as_deref());
        let shown = self.directory.display();
        let outside = self.directory.components().any(|part| part == std::path::Component::ParentDir);
        if self.directory.as_os_str().is_empty() || outside {
            checker.say(
                "backup.directory",
                format!(
                    "`{shown}` is not valid, expected a directory such as \"backups\" or \"/mnt/backups\""
                ),
            );
        }
        if let Some(schedule) = self.schedule.filter(|span| span.0 < SHORTEST || span.0 > LONGEST) {
            checker.say("backup.schedule", format!("{schedule} is out of range, expected 1m to 366d"));
        }
        if self.keep == 0 || self.keep > MOST_KEPT {
            checker.say("backup.keep", format!("{} is out of range, expected 1 to {MOST_KEPT}", self.keep));
        }
    }

    fn check_bucket(&self, config: &Config, checker: &mut Checker<'_>) {
        if let Some(name) = self.target.as_ref().filter(|_| self.bucket(config).is_none()) {
            let known: Vec<&str> =
                config.target.object_store.iter().map(|section| section.name.as_str()).collect();
            let expected = if known.is_empty() {
                String::from("the name of a [[target.object_store]], of which there is none")
            } else {
                format!("the name of a [[target.object_store]]: {}", known.join(", "))
            };
            checker.say("backup.target", format!("`{name}` is unknown, expected {expected}"));
        }
        let Some(prefix) = &self.prefix else { return };
        let steps = prefix.strip_suffix('/').is_some_and(|steps| {
            steps.split('/').all(|step| step.chars().all(is_plain) && !step.trim_matches('.').is_empty())
        });
        if !steps || prefix.len() > LONGEST_PREFIX {
            checker.say(
                "backup.prefix",
                format!(
                    "`{}` is not valid, expected at most {LONGEST_PREFIX} letters, digits, `-`, `_`, `.` and single \
                     slashes with one at the end, such as \"holdfast/nas/\"",
                    prefix.escape_default()
                ),
            );
        }
    }
}

/// What needs no escape in an address.
const fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;

    const BUCKET: &str = "[[target.object_store]]\nname = \"s3\"\nendpoint = \"http://127.0.0.1:3900\"\n\
        bucket = \"b\"\naccess_key_id = \"k\"\nsecret_access_key = \"s\"\n";

    fn said(section: &str, bucket: &str) -> Vec<String> {
        let config: Config = toml::from_str(&format!("[backup]\n{section}\n{bucket}")).unwrap();
        let environment = Environment::from([(String::from("PASS"), String::from("correct horse"))]);
        let found = crate::config::check::check(&config, &environment);
        found.into_iter().map(|finding| format!("{}: {}", finding.key, finding.message)).collect()
    }

    #[test]
    fn a_bucket_is_one_that_is_configured() {
        assert_eq!(said("target = \"s3\"\npassphrase_env = \"PASS\"", BUCKET), [] as [String; 0]);
        assert_eq!(
            said("target = \"s4\"", BUCKET),
            ["backup.target: `s4` is unknown, expected the name of a [[target.object_store]]: s3"]
        );
        assert!(said("target = \"s3\"", "")[0].ends_with("of which there is none"));
        for prefix in ["", "/", "a", "a//b/", "../x/", "a/./b/", "a b/", "a?x/", "/a/"] {
            let refused = said(&format!("prefix = \"{prefix}\""), "");
            assert!(refused.len() == 1 && refused[0].starts_with("backup.prefix: "), "{prefix}: {refused:?}");
        }
        assert!(said("prefix = \"a/b-c_D.e/\"", "").is_empty());
    }

    #[test]
    fn a_passphrase_has_one_place_that_is_there() {
        let refused = said("passphrase_env = \"NOT_THERE\"", "");
        assert_eq!(refused, ["backup.passphrase_env: the environment variable NOT_THERE is not set"]);
        assert!(said("passphrase_file = \"/nonexistent\"", "")[0].contains("/nonexistent"));
        let both = said("passphrase_file = \"/etc/hostname\"\npassphrase_env = \"PASS\"", "");
        assert!(both[0].contains("only one of them"), "{both:?}");
    }

    #[test]
    fn the_prefix_of_a_host_needs_no_escapes() {
        assert_eq!(Backup::default().prefix_on("nas.lan"), "holdfast/nas.lan/");
        assert_eq!(Backup::default().prefix_on("../a b"), "holdfast/..-a-b/");
    }
}
