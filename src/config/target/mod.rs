//! `[[target.<kind>]]`: one list per kind, the kind's own keys in its own file.

pub mod object_store;
pub mod postgres;

use serde::{Deserialize, Serialize};

use super::tree::{Key, Step};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    pub postgres: Vec<postgres::Postgres>,
    pub object_store: Vec<object_store::ObjectStore>,
}

/// What the file holds of the targets it defines: name, address, credentials and trust.
/// Changing them at run time would make the file say something that is not so.
const PINNED: [(&str, &[&str]); 2] =
    [("postgres", &postgres::PINNED), ("object_store", &object_store::PINNED)];

/// Whether `key` of a target belongs to the file that defines the target.
pub fn pinned_by_file(key: &Key) -> bool {
    let [Step::Key(target), Step::Key(kind), Step::Item(_), Step::Key(name)] = key.0.as_slice() else {
        return false;
    };
    let keys = PINNED.iter().find(|(known, _)| known == kind);
    target == "target" && keys.is_some_and(|(_, keys)| keys.contains(&name.as_str()))
}
