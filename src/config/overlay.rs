//! What was changed at run time: the layer between the file and the environment.
//!
//! It is kept in the store as one JSON object: the values as a tree (targets by
//! name), and for each key who changed it and when. A change is a JSON merge patch
//! (RFC 7386): `null` takes the run-time value away again. A patch may not touch
//! what the environment, a flag or the file pins.
//!
//! Secrets are in clear in memory only. Their stored form is a sealed text, kept
//! beside the value and taken over unchanged until the value changes, so that a
//! change of another key needs no key file. A sealed text that does not open stays,
//! and so does what is not valid without it. Wrong would be to write `values` as they
//! are: only [`Overlay::to_stored`] knows which of them are secrets.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::listed::{from_file_only, pinned_by_file};
use super::load::{Loaded, assemble, elsewhere};
use super::origin::Origin;
use super::problem::{Problem, Problems, nearest};
use super::schema::{Shape, shape};
use super::tree::{Branch, Key, Leaf, Node, Step};
use crate::base::secret::MASK;
use crate::base::time::Timestamp;

/// Version of the stored form. Since 2 it may hold sealed secrets, which a reader of
/// version 1 would take for the secrets themselves.
const VERSION: u32 = 2;

/// Who changed a key, and when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Change {
    pub by: String,
    pub at: Timestamp,
}

/// See the module.
#[derive(Clone, PartialEq, Default)]
pub struct Overlay {
    values: Map<String, Value>,
    changes: BTreeMap<String, Change>,
    /// Sealed secrets by key.
    sealed: BTreeMap<String, String>,
    /// Why those of them that are not in `values` do not open.
    locked: BTreeMap<String, String>,
    /// Values that are stored and not in force: not valid without a locked one.
    aside: BTreeMap<String, Value>,
}

/// Shows what was changed, not to what: it may be a secret.
impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("changes", &self.changes)
            .field("locked", &self.locked)
            .finish_non_exhaustive()
    }
}

/// The stored form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    values: Map<String, Value>,
    changes: BTreeMap<String, Change>,
}

/// A key that may not be changed at run time, and who holds it.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct Pin {
    pub key: String,
    pub origin: Origin,
    pub reason: String,
}

/// Why a patch was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PatchError {
    #[error("{}", pins_text(.0))]
    Pinned(Vec<Pin>),
    #[error(transparent)]
    Invalid(#[from] Problems),
}

fn pins_text(pins: &[Pin]) -> String {
    let texts: Vec<_> = pins.iter().map(|pin| format!("key {}: {}", pin.key, pin.reason)).collect();
    texts.join("\n")
}

impl Overlay {
    /// Reads the stored form; `null` and `{}` are the empty overlay. `open` gives the
    /// text that was sealed for a key, or says why it does not open.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn from_stored(
        stored: &Value,
        open: impl Fn(&Key, &str) -> Result<String, String>,
    ) -> Result<Self, String> {
        if stored.is_null() || stored.as_object().is_some_and(Map::is_empty) {
            return Ok(Self::default());
        }
        let stored = Stored::deserialize(stored).map_err(|error| error.to_string())?;
        if stored.version > VERSION {
            return Err(format!("version {}, this holdfast knows {VERSION}", stored.version));
        }
        let mut overlay = Self { values: stored.values, changes: stored.changes, ..Self::default() };
        for text in overlay.changes.keys().cloned().collect::<Vec<_>>() {
            let key = Key::parse(&text);
            let sealed = overlay.value(&key).and_then(Value::as_str).filter(|_| key.is_secret());
            let Some(sealed) = sealed.map(str::to_owned) else { continue };
            match open(&key, &sealed) {
                Ok(clear) => put(&mut overlay.values, &key, Value::from(clear)),
                Err(reason) => {
                    prune(&mut overlay.values, &key);
                    overlay.locked.insert(text.clone(), reason);
                }
            }
            overlay.sealed.insert(text, sealed);
        }
        Ok(overlay)
    }

    /// Seals the secrets that were set since they were last stored.
    ///
    /// # Errors
    /// What `seal` says; those before it are sealed.
    pub fn seal<E>(&mut self, seal: impl Fn(&Key, &str) -> Result<String, E>) -> Result<(), E> {
        for (key, clear) in self.secrets() {
            if let Entry::Vacant(place) = self.sealed.entry(key.to_string()) {
                place.insert(seal(&key, &clear)?);
            }
        }
        Ok(())
    }

    /// Seals every secret anew. One that is locked is taken over if `open` opens it now.
    /// Returns how many were sealed.
    ///
    /// # Errors
    /// What `seal` says; then some are sealed anew and others are not.
    pub fn reseal<E>(
        &mut self,
        open: impl Fn(&Key, &str) -> Option<String>,
        seal: impl Fn(&Key, &str) -> Result<String, E>,
    ) -> Result<usize, E> {
        let mut secrets = self.secrets();
        let locked = self.locked.keys().filter_map(|text| {
            let key = Key::parse(text);
            let clear = open(&key, self.sealed.get(text)?)?;
            Some((key, clear))
        });
        secrets.extend(locked);
        for (key, clear) in &secrets {
            self.sealed.insert(key.to_string(), seal(key, clear)?);
        }
        Ok(secrets.len())
    }

    /// Every secret that is known in clear.
    fn secrets(&self) -> Vec<(Key, String)> {
        let keys = self.changes.keys().map(|text| (text, Key::parse(text)));
        let secrets = keys.filter(|(_, key)| key.is_secret());
        let known = secrets.filter_map(|(text, key)| {
            let value = self.value(&key).or_else(|| self.aside.get(text))?;
            let clear = value.as_str()?.to_owned();
            Some((key, clear))
        });
        known.collect()
    }

    /// The sealed texts that are stored.
    pub fn sealed(&self) -> impl Iterator<Item = &str> {
        self.sealed.values().map(String::as_str)
    }

    /// Keys within `above` whose sealed value does not open, each with the reason.
    pub fn locked(&self, above: &Key) -> impl Iterator<Item = (Key, &str)> {
        let all = self.locked.iter().map(|(text, reason)| (Key::parse(text), reason.as_str()));
        all.filter(|(key, _)| key.is_within(above))
    }

    /// The form that is stored, after [`Overlay::seal`]. A secret without its sealed
    /// text is not in it.
    pub fn to_stored(&self) -> Value {
        let mut values = self.values.clone();
        for (text, value) in &self.aside {
            put(&mut values, &Key::parse(text), value.clone());
        }
        for (text, key) in self.changes.keys().map(|text| (text, Key::parse(text))) {
            match self.sealed.get(text).filter(|_| key.is_secret()) {
                Some(sealed) => put(&mut values, &key, Value::from(sealed.as_str())),
                None if key.is_secret() => prune(&mut values, &key),
                None => {}
            }
        }
        let stored = Stored { version: VERSION, values, changes: self.changes.clone() };
        serde_json::to_value(stored).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Without the values that `problems` are about; `None` when none of them is
    /// about a run-time value. A table that lacks a locked secret is set aside whole:
    /// it stays in the store.
    pub fn without(&self, problems: &Problems) -> Option<Self> {
        let mut rest = self.clone();
        for problem in &problems.0 {
            if problem.key.is_empty() {
                continue;
            }
            let key = Key::parse(&problem.key);
            match item_above(&key).filter(|item| self.locked(item).next().is_some()) {
                Some(item) => rest.set_aside(&item),
                // A key that is missing in a table is a problem of the whole table.
                None => rest.unset(&key),
            }
        }
        (rest != *self).then_some(rest)
    }

    /// As a tree, and warnings about what no longer fits the file.
    pub fn layer(&self, file: &Branch) -> (Branch, Vec<String>) {
        let mut tree = Branch::new(false, Origin::Default);
        let mut warnings = Vec::new();
        for (text, change) in &self.changes {
            let key = Key::parse(text);
            let Some(value) = self.value(&key) else { continue };
            if let Some(item) = self.orphan(&key, file) {
                warnings.push(format!(
                    "the run-time value of {text} is not used: the file no longer defines {item}"
                ));
            } else if pinned_by_file(&key) && item_above(&key).is_some_and(|item| file.find(&item).is_some())
            {
                // Created at run time, written into the file since.
                if key.last() != "name" {
                    warnings.push(format!("the run-time value of {text} is not used: the file defines it"));
                }
            } else {
                let origin = Origin::Runtime { by: change.by.clone(), at: change.at };
                tree.put(&key, Leaf::new(value.clone(), origin));
            }
        }
        for (text, reason) in &self.locked {
            warnings.push(format!("the run-time value of {text} is not used: {reason}"));
        }
        (tree, warnings)
    }

    /// The item `key` lies in, when neither the file nor the overlay defines it.
    fn orphan(&self, key: &Key, file: &Branch) -> Option<Key> {
        let item = item_above(key)?;
        let own = !from_file_only(key) && self.changes.contains_key(&item.key("name").to_string());
        let defined = file.find(&item).is_some() || own;
        (!defined).then_some(item)
    }

    fn value(&self, key: &Key) -> Option<&Value> {
        let (first, rest) = key.0.split_first()?;
        rest.iter().try_fold(self.values.get(first.text())?, |value, step| value.get(step.text()))
    }

    fn set(&mut self, key: &Key, value: Value, change: &Change) {
        if let Some(item) = item_above(key) {
            self.restore(&item);
        }
        let text = key.to_string();
        self.sealed.remove(&text);
        self.locked.remove(&text);
        self.changes.insert(text, change.clone());
        put(&mut self.values, key, value);
    }

    /// Takes away `key` and everything below it.
    fn unset(&mut self, key: &Key) {
        let stays = |text: &String| !Key::parse(text).is_within(key);
        self.changes.retain(|text, _| stays(text));
        self.sealed.retain(|text, _| stays(text));
        self.locked.retain(|text, _| stays(text));
        self.aside.retain(|text, _| stays(text));
        prune(&mut self.values, key);
    }

    /// Takes `item` out of force and keeps it for the store.
    fn set_aside(&mut self, item: &Key) {
        for text in self.changes.keys() {
            let key = Key::parse(text);
            if let Some(value) = self.value(&key).filter(|_| key.is_within(item)) {
                self.aside.insert(text.clone(), value.clone());
            }
        }
        prune(&mut self.values, item);
    }

    /// Takes back what was set aside of `item`: somebody sets what it lacked.
    fn restore(&mut self, item: &Key) {
        let (back, aside) = std::mem::take(&mut self.aside)
            .into_iter()
            .partition(|(text, _)| Key::parse(text).is_within(item));
        self.aside = aside;
        let back: BTreeMap<String, Value> = back;
        for (text, value) in back {
            put(&mut self.values, &Key::parse(&text), value);
        }
    }
}

/// Puts `value` at `key` and makes the objects on the way.
fn put(map: &mut Map<String, Value>, key: &Key, value: Value) {
    let Some((last, above)) = key.0.split_last() else { return };
    let mut map = map;
    for step in above {
        let below = map.entry(step.text()).or_insert_with(|| Value::Object(Map::new()));
        if !below.is_object() {
            *below = Value::Object(Map::new());
        }
        match below {
            Value::Object(next) => map = next,
            _ => return,
        }
    }
    map.insert(last.text().to_owned(), value);
}

fn prune(map: &mut Map<String, Value>, key: &Key) {
    let Some((first, rest)) = key.0.split_first() else { return };
    if rest.is_empty() {
        map.remove(first.text());
        return;
    }
    if let Some(Value::Object(below)) = map.get_mut(first.text()) {
        prune(below, &Key(rest.to_vec()));
        if below.is_empty() {
            map.remove(first.text());
        }
    }
}

/// The table of a list that `key` lies in.
pub(super) fn item_above(key: &Key) -> Option<Key> {
    let at = key.0.iter().rposition(|step| matches!(step, Step::Item(_)))?;
    Some(Key(key.0[..=at].to_vec()))
}

/// One thing a patch asks for. Has no `Debug`: it may hold a secret.
enum Wish {
    Set(Key, Value),
    Unset(Key),
}

impl Wish {
    fn key(&self) -> &Key {
        match self {
            Self::Set(key, _) | Self::Unset(key) => key,
        }
    }
}

/// The configuration with `patch` applied; nothing is stored.
///
/// # Errors
/// [`PatchError::Pinned`] when someone else holds a key, [`PatchError::Invalid`]
/// when the patch or the configuration that would result is wrong.
pub fn patched(loaded: &Loaded, patch: &Value, change: &Change) -> Result<Loaded, PatchError> {
    let by = Origin::Runtime { by: change.by.clone(), at: change.at };
    let mut wishes = Vec::new();
    let mut problems = Vec::new();
    flatten(shape(), &Key::default(), patch, &by, &mut wishes, &mut problems);
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    let pins: Vec<Pin> = wishes.iter().filter_map(|wish| pin(loaded, wish.key())).collect();
    if !pins.is_empty() {
        return Err(PatchError::Pinned(pins));
    }
    let mut overlay = loaded.overlay.clone();
    for wish in wishes {
        match wish {
            Wish::Unset(key) => overlay.unset(&key),
            Wish::Set(key, value) => {
                if let Some(item) = item_above(&key).filter(|item| loaded.file.find(item).is_none()) {
                    // The name is what says that the overlay defines it.
                    overlay.set(&item.key("name"), Value::from(item.last()), change);
                }
                overlay.set(&key, value, change);
            }
        }
    }
    Ok(assemble(loaded.sources.clone(), loaded.file.clone(), Vec::new(), overlay)?)
}

/// What is wrong with a secret. Whoever sends back what was shown would replace it by
/// its mask, and only a text can be sealed.
fn unfit(key: &Key, value: &Value, by: &Origin) -> Option<Problem> {
    let message = if value == MASK {
        "is what stands for the secret where it is shown, expected the secret itself; leave the key out to \
         keep the one that is set"
    } else if value.is_string() {
        return None;
    } else {
        "expected a text in quotes"
    };
    key.is_secret().then(|| Problem::new(by.clone(), key, message))
}

fn flatten(
    shape: &Shape,
    at: &Key,
    patch: &Value,
    by: &Origin,
    wishes: &mut Vec<Wish>,
    problems: &mut Vec<Problem>,
) {
    let mut bad = |message: String| problems.push(Problem::new(by.clone(), at, message));
    match (shape, patch) {
        (Shape::Value, Value::Null) => wishes.push(Wish::Unset(at.clone())),
        (Shape::Value, value) => match unfit(at, value, by) {
            Some(problem) => problems.push(problem),
            None => wishes.push(Wish::Set(at.clone(), value.clone())),
        },
        (Shape::Table(_), Value::Object(map)) => {
            for (name, below) in map {
                field(shape, at, name, below, by, wishes, problems);
            }
        }
        (Shape::List(_), Value::Object(items)) => {
            for (item, below) in items {
                let at = at.item(item);
                match below {
                    Value::Null => wishes.push(Wish::Unset(at)),
                    Value::Object(map) => map.iter().for_each(|(name, below)| {
                        field(shape, &at, name, below, by, wishes, problems);
                    }),
                    _ => problems.push(Problem::new(
                        by.clone(),
                        &at,
                        "expected an object, or null to remove it",
                    )),
                }
            }
        }
        (Shape::List(_), _) => bad(String::from("expected an object that holds each table by its name")),
        (Shape::Table(_), _) => bad(String::from("expected an object")),
    }
}

fn field(
    shape: &Shape,
    at: &Key,
    name: &str,
    patch: &Value,
    by: &Origin,
    wishes: &mut Vec<Wish>,
    problems: &mut Vec<Problem>,
) {
    if let Some(below) = shape.field(name) {
        let item = at.0.last().filter(|step| matches!(step, Step::Item(_)));
        if name == "name" && item.is_some_and(|item| patch.as_str() != Some(item.text())) {
            let message = format!("expected \"{}\", the name it is addressed by", at.last());
            return problems.push(Problem::new(by.clone(), at.key(name), message));
        }
        return flatten(below, &at.key(name), patch, by, wishes, problems);
    }
    let known: Vec<_> = shape.fields().iter().map(|(name, _)| *name).collect();
    let message = format!("unknown key, expected one of {}", known.join(", "));
    let mut problem = Problem::new(by.clone(), at.key(name), message);
    problem.suggestion = nearest(name, known).map(str::to_owned).or_else(|| elsewhere(name));
    problems.push(problem);
}

/// Who holds `key`, if it may not be changed at run time.
pub fn pin(loaded: &Loaded, key: &Key) -> Option<Pin> {
    let held =
        |origin: &Origin, reason: String| Some(Pin { key: key.to_string(), origin: origin.clone(), reason });
    if key.last() == "data_dir" && key.0.len() == 1 {
        let origin = loaded.tree.leaf(key).map_or(Origin::Default, |leaf| leaf.origin.clone());
        return held(
            &origin,
            String::from(
                "the run-time values live in it, so only the file, the environment or a flag can name it",
            ),
        );
    }
    if let Some(leaf) = loaded.tree.leaf(key).filter(|leaf| leaf.origin.pins()) {
        return held(&leaf.origin, format!("set by the {}, change it there", leaf.origin));
    }
    let item = item_above(key)?;
    let Some(Node::Branch(table)) = loaded.file.find(&item) else {
        let reason = "runs a program, so only the configuration file can define it";
        return if from_file_only(key) { held(&Origin::Default, String::from(reason)) } else { None };
    };
    if &item == key {
        return held(&table.origin, format!("defined in {}, remove it there", table.origin));
    }
    if !pinned_by_file(key) {
        return None;
    }
    let origin = loaded.file.leaf(key).map_or(&table.origin, |leaf| &leaf.origin);
    held(origin, format!("defined in {origin}, change it there"))
}
