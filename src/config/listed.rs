//! What holds for every list of named tables, whether of targets or of channels.
//!
//! A list is a *family* and a *kind* below it: `target.postgres`, `channel.webhook`. The
//! families say which keys of an item the file holds that defines it; whoever asks does
//! so here, so that a rule about run-time values holds for all of them. Wrong would be to
//! ask one family only: what may be pinned, sent or overwritten would differ by accident.

use sha2::{Digest, Sha256};

use super::tree::{Key, Step};
use super::{channel, failover, heartbeat, target};
use crate::base::secret::Secret;

/// Whether `key` of an item belongs to the file that defines the item: its name, address,
/// credentials and trust. Changing them at run time would make the file say something
/// that is not so.
pub fn pinned_by_file(key: &Key) -> bool {
    if let [Step::Key(list), Step::Item(_), Step::Key(name)] = key.0.as_slice() {
        return list == "check" && heartbeat::PINNED.contains(&name.as_str());
    }
    let [Step::Key(family), Step::Key(kind), Step::Item(_), Step::Key(name)] = key.0.as_slice() else {
        return false;
    };
    if family == "failover" {
        return kind == "group" && failover::PINNED.contains(&name.as_str());
    }
    let pinned = match family.as_str() {
        "target" => target::PINNED,
        "channel" => channel::PINNED,
        _ => return false,
    };
    pinned.iter().any(|(known, keys)| known == kind && keys.contains(&name.as_str()))
}

/// Whether only the file may define `key`, or the item that it belongs to.
pub fn from_file_only(key: &Key) -> bool {
    channel::from_file_only(key) || failover::from_file_only(key)
}

/// Differs when anything of a section differs, `secrets` included: a serialised section
/// shows a mask in their place, so they are added apart.
pub fn fingerprint(section: &impl serde::Serialize, secrets: &[&Secret]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(serde_json::to_vec(section).unwrap_or_default());
    for secret in secrets {
        digest.update([0]);
        digest.update(secret.expose().as_bytes());
    }
    digest.finalize().into()
}
