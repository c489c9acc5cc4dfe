//! A map with known keys, read field by field; every error is kept.
//!
//! One wrong field must not hide the next: a reader takes the default in its place and
//! goes on, and at the end there is a list of all faults.

use std::time::Duration;

use super::{Entry, Fault, Node, Place};

/// Faults that are kept; a file of garbage would have thousands.
const MOST: usize = 100;

/// See the module.
#[derive(Debug)]
pub struct Fields<'a> {
    entries: &'a [Entry],
    place: Place,
}

impl<'a> Fields<'a> {
    /// The map `node`, of which only the keys `known` may be there.
    pub fn of(node: &'a Node, what: &str, known: &[&str], faults: &mut Vec<Fault>) -> Self {
        let entries = keep(node.map(what), faults).unwrap_or_default();
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let mut message = format!("unknown field `{}`", entry.key);
            match nearest(&entry.key, known) {
                Some(meant) => message.push_str(&format!(", did you mean `{meant}`?")),
                None => message.push_str(&format!(", expected one of {}", known.join(", "))),
            }
            add(faults, Fault::new(entry.place, message));
        }
        Self { entries, place: node.place }
    }

    /// Where the map begins.
    pub fn place(&self) -> Place {
        self.place
    }

    pub fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub fn node(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Where to point at for `key`: its value, or the map without it.
    pub fn place_of(&self, key: &str) -> Place {
        self.node(key).map_or(self.place, |node| node.place)
    }

    pub fn text(&self, key: &str, faults: &mut Vec<Fault>) -> &'a str {
        self.node(key).and_then(|node| keep(node.text(), faults)).unwrap_or_default()
    }

    pub fn duration(&self, key: &str, faults: &mut Vec<Fault>) -> Option<Duration> {
        self.node(key).and_then(|node| keep(node.duration(), faults))
    }

    pub fn truth(&self, key: &str, faults: &mut Vec<Fault>) -> bool {
        self.node(key).and_then(|node| keep(node.truth(), faults)).unwrap_or_default()
    }

    pub fn count(&self, key: &str, faults: &mut Vec<Fault>) -> u64 {
        self.node(key).and_then(|node| keep(node.count(), faults)).unwrap_or_default()
    }

    pub fn list(&self, key: &str, what: &str, faults: &mut Vec<Fault>) -> &'a [Node] {
        self.node(key).and_then(|node| keep(node.list(what), faults)).unwrap_or_default()
    }

    /// Texts by name, in the order of the file.
    pub fn texts(&self, key: &str, faults: &mut Vec<Fault>) -> Vec<(&'a Entry, &'a str)> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let entries = keep(node.map("a map of names and texts"), faults).unwrap_or_default();
        let pairs = entries.iter().filter_map(|entry| Some((entry, keep(entry.value.text(), faults)?)));
        pairs.collect()
    }
}

fn keep<T>(found: Result<T, Fault>, faults: &mut Vec<Fault>) -> Option<T> {
    match found {
        Ok(value) => Some(value),
        Err(fault) => {
            add(faults, fault);
            None
        }
    }
}

fn add(faults: &mut Vec<Fault>, fault: Fault) {
    if faults.len() < MOST {
        faults.push(fault);
    }
}

/// The one of `known` that was probably meant.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = known.iter().map(|word| (strsim::damerau_levenshtein(key, word), *word));
    let close = near.filter(|(distance, word)| *distance <= (word.len() / 3).max(1));
    close.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}
