//! `[[channel.exec]]`: a program of one's own.
//!
//! It stands in the configuration file or nowhere: whoever could set it over the API
//! could run anything as the agent's user, see [`super::from_file_only`].

use super::{Section, common, section};
use crate::base::secret::Secret;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 2] = ["name", "command"];
/// See [`super::is_secret`].
pub const SECRETS: &[&str] = &[];

section! {
    "exec" Exec {
        /// The program, by an absolute path or by its name in the system's folders, and
        /// its arguments.
        command: Vec<String>,
    }
}

const MOST_ARGUMENTS: usize = 64;

impl Section for Exec {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        let key = format!("{key}.command");
        match self.command.first() {
            None => checker.say(key.as_str(), "empty, expected a program and its arguments"),
            Some(program) if program.is_empty() || program.contains('/') && !program.starts_with('/') => {
                let message = format!("`{program}` is no program, expected an absolute path or a plain name");
                checker.say(key.as_str(), message);
            }
            Some(_) => {}
        }
        if self.command.len() > MOST_ARGUMENTS {
            let message = format!("{} words, expected at most {MOST_ARGUMENTS}", self.command.len());
            checker.say(key.as_str(), message);
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            checker.say(key.as_str(), "a word of it contains a zero byte");
        }
    }
}
