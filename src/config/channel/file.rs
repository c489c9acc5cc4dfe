//! `[[channel.file]]`: a file that grows by one line of JSON per notice.

use super::{Section, common, section};
use crate::base::secret::Secret;
use crate::base::units::ByteSize;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 2] = ["name", "path"];
/// See [`super::is_secret`].
pub const SECRETS: &[&str] = &[];

section! {
    "file" File {
        /// A name below `<data_dir>/notices`, or an absolute path.
        path: String,
        /// It is moved aside when it would grow beyond this.
        #[serde(default = "default_max_size")]
        max_size: ByteSize,
        /// Files that were moved aside and are kept.
        #[serde(default = "default_keep")]
        keep: u8,
    }
}

fn default_max_size() -> ByteSize {
    ByteSize::mebibytes(10)
}

fn default_keep() -> u8 {
    3
}

/// Smaller than this, one message might be larger than the file.
const SMALLEST: ByteSize = ByteSize::mebibytes(1);

impl Section for File {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        if !is_plain(&self.path) && !self.path.starts_with('/') {
            let message = format!(
                "`{}` is neither a plain name nor an absolute path, expected for example \"notices.jsonl\"",
                self.path
            );
            checker.say(format!("{key}.path"), message);
        }
        if self.max_size < SMALLEST {
            let message = format!("{} is too small, expected at least {SMALLEST}", self.max_size);
            checker.say(format!("{key}.max_size"), message);
        }
    }
}

/// Whether it names a file in the agent's own folder for such files and none elsewhere.
pub fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !path.is_empty() && path.bytes().all(plain) && !path.starts_with('.')
}
