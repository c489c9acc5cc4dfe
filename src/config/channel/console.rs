//! `[[channel.console]]`: the agent's own log.

use super::{Section, common, section};
use crate::base::secret::Secret;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 1] = ["name"];
/// See [`super::is_secret`].
pub const SECRETS: &[&str] = &[];

section! {
    "console" Console {}
}

impl Section for Console {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    fn check(&self, _key: &str, _checker: &mut Checker<'_>) {}
}
