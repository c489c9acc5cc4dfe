//! What a change at run time may not do, though its values are valid.
//!
//! A target or a channel sends what it reads from a file or a variable to the address it has, so
//! whoever may write both could read any secret the agent can read: its own admin
//! token, or the password of another target. Hence the file or variable of a secret
//! is named by an administrator only, and so is the address of a run-time target or channel
//! that has one. A secret that was set at run time is treated alike: whoever may write
//! targets may replace it, but not have it sent elsewhere, even if it does not open now.
//! What lies in the data directory, and the key that the service manager hands over, is
//! the agent's own and named by nobody at run time. The key that is an admin's, and the
//! agent's certificate, are changed by an administrator only. A channel that writes to a file does so
//! in the agent's own folder, unless the configuration file says otherwise.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::channel::file::is_plain;
use super::listed::pinned_by_file;
use super::load::Loaded;
use super::origin::Origin;
use super::overlay::item_above;
use super::problem::{Problem, Problems};
use super::tree::{Branch, Key, Node, Step};

/// Whether the step from `before` to `next` may be made by `by`. Blocking: asks
/// where files really are.
///
/// # Errors
/// Every key that may not be changed so.
pub fn permitted(before: &Loaded, next: &Loaded, by: &Origin, admin: bool) -> Result<(), Problems> {
    let (old, new) = (before.overlay.layer(&before.file).0, next.overlay.layer(&next.file).0);
    let mut problems = Vec::new();
    let credentials = next.sources.environment.get("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let keys = credentials.map(|folder| ["holdfast.key", "holdfast.key.old"].map(|name| folder.join(name)));
    let own: Vec<&Path> =
        keys.iter().flatten().map(PathBuf::as_path).chain([&*next.config.data_dir]).collect();
    for key in changed(&old, &new) {
        let value = new.leaf(&key).map(|leaf| &leaf.value);
        let mut refuse = |message: &str| problems.push(Problem::new(by.clone(), &key, message));
        if key.last().ends_with("_file") && value.is_some_and(|path| own.iter().any(|own| is_own(path, own)))
        {
            refuse("is the agent's own, expected a file of somebody else");
        } else if writes_to(&key) && value.and_then(Value::as_str).is_some_and(|path| !is_plain(path)) {
            refuse("only the configuration file can name a file outside the agent's own folder");
        } else if !admin && gives_access(&key) {
            refuse("decides who may do what: only the scope `admin` may change it");
        } else if !admin && restarts(&key) {
            refuse("decides what may be restarted: only the scope `admin` may change it");
        } else if !admin && leads_backups(&key, before, next) {
            refuse("decides where backups go and who can open them: only the scope `admin` may change it");
        } else if !admin && names_source(&key) && value.is_some() {
            refuse("what is read from there is sent out: only the scope `admin` may name it");
        } else if !admin && pinned_by_file(&key) && !key.is_secret() && sends_secret(before, next, &key) {
            refuse("a secret that is not yours goes there: only the scope `admin` may change it");
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

/// Keys that are set, set otherwise, or no longer set.
fn changed(old: &Branch, new: &Branch) -> Vec<Key> {
    let mut keys = Vec::new();
    new.leaves(&mut |key, leaf| {
        if old.leaf(key).is_none_or(|old| old.value != leaf.value) {
            keys.push(key.clone());
        }
    });
    old.leaves(&mut |key, _| {
        if new.leaf(key).is_none() {
            keys.push(key.clone());
        }
    });
    keys
}

/// Whether the value names a file that is written to.
fn writes_to(key: &Key) -> bool {
    match key.0.as_slice() {
        [Step::Key(family), Step::Key(kind), Step::Item(_), Step::Key(name)] => {
            family == "channel" && kind == "file" && name == "path"
        }
        [Step::Key(section), Step::Key(name)] => {
            section == "log" && name.ends_with("file") || section == "backup" && name == "directory"
        }
        _ => false,
    }
}

/// Whether whoever sets the value could give themselves what they lack.
fn gives_access(key: &Key) -> bool {
    matches!(key.0.as_slice(), [Step::Key(section), Step::Key(name)]
        if section == "auth" && name == "admin_key" || section == "tls")
}

/// Whether the value says which units may be restarted.
fn restarts(key: &Key) -> bool {
    matches!(key.0.as_slice(), [Step::Key(section), ..] if section == "services")
}

/// Whether the value says where copies of the whole store go, or to whom they are sealed.
fn leads_backups(key: &Key, before: &Loaded, next: &Loaded) -> bool {
    match key.0.as_slice() {
        [Step::Key(section), Step::Key(name)] => {
            section == "backup"
                && ["target", "prefix", "passphrase_file", "passphrase_env"].contains(&name.as_str())
        }
        [Step::Key(family), Step::Key(kind), Step::Item(item), Step::Key(_)] => {
            let is_theirs = |loaded: &Loaded| {
                loaded.config.backup.target.as_ref().is_some_and(|name| name.as_str() == item)
            };
            family == "target"
                && kind == "object_store"
                && pinned_by_file(key)
                && (is_theirs(before) || is_theirs(next))
        }
        _ => false,
    }
}

/// Whether the value names where something is read from.
fn names_source(key: &Key) -> bool {
    key.last().ends_with("_file") || key.last().ends_with("_env")
}

/// Whether the item that `key` belongs to has a secret that was there before: from a
/// file or a variable, or set at run time and not set anew now. Who set it and when is
/// compared, not the secret: the answer would tell whether a guess is right.
fn sends_secret(before: &Loaded, next: &Loaded, key: &Key) -> bool {
    let Some(item) = item_above(key) else { return false };
    if next.overlay.locked(&item).next().is_some() {
        return true;
    }
    let Some(Node::Branch(table)) = next.tree.find(&item) else { return false };
    table.children.iter().any(|(name, node)| {
        let key = item.key(name);
        let set_anew = || {
            let old = before.tree.find(&key).map(Node::origin);
            matches!(node.origin(), Origin::Runtime { .. }) && old != Some(node.origin())
        };
        names_source(&key) || key.is_secret() && !set_anew()
    })
}

/// Whether `path` is `own` or below it, by its name or by where links lead.
fn is_own(path: &Value, own: &Path) -> bool {
    let Some(path) = path.as_str().map(Path::new) else { return false };
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.starts_with(own) || real(path).starts_with(real(own))
}
