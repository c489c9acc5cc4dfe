//! The configuration for people: every value with its origin, what differs from
//! the file, and a file that would say the same. Secrets are masked in all of it.

use std::fmt::Write as _;
use std::sync::OnceLock;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Config;
use super::load::{Loaded, item_defaults};
use super::origin::Origin;
use super::overlay::pin;
use super::schema::{Shape, shape};
use super::tree::{Key, Step};
use crate::base::secret::MASK;

/// One value.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct ValueView {
    /// `storage.cap`, `target.postgres[pg1].timeout`
    pub key: String,
    pub value: Value,
    pub default: Value,
    pub origin: Origin,
    /// Whether a change at run time is refused.
    pub pinned: bool,
}

/// One difference between the file and what is in force.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct Drift {
    pub key: String,
    /// What the file, or the default, says; null when it says nothing.
    pub file: Value,
    /// What was set at run time.
    pub runtime: Value,
    /// What is in force; the environment and flags stand above both.
    pub effective: Value,
    pub origin: Origin,
}

/// Every value, in the order of the sections.
pub fn values(loaded: &Loaded) -> Vec<ValueView> {
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut views = Vec::new();
    collect(loaded, shape(), &Key::default(), &loaded.effective, &defaults, &mut views);
    views
}

fn collect(
    loaded: &Loaded,
    shape: &Shape,
    at: &Key,
    value: &Value,
    default: &Value,
    views: &mut Vec<ValueView>,
) {
    match shape {
        Shape::Value => views.push(one(loaded, at, value, default)),
        Shape::Table(fields) => {
            for (name, shape) in fields {
                let (value, default) = (&value[*name], &default[*name]);
                collect(loaded, shape, &at.key(name), value, default, views);
            }
        }
        Shape::List(fields) => {
            for item in value.as_array().into_iter().flatten() {
                let Some(name) = item.get("name").and_then(Value::as_str) else { continue };
                let default = item_defaults(&loaded.tree, at, name);
                for (field, shape) in fields {
                    let key = at.item(name).key(field);
                    collect(loaded, shape, &key, &item[*field], &default[*field], views);
                }
            }
        }
    }
}

fn one(loaded: &Loaded, key: &Key, value: &Value, default: &Value) -> ValueView {
    let origin = loaded.tree.leaf(key).map_or(Origin::Default, |leaf| leaf.origin.clone());
    // A default may depend on the surroundings or on another key: what came of it counts.
    let default = if origin == Origin::Default { value } else { default };
    ValueView {
        key: key.to_string(),
        value: value.clone(),
        default: default.clone(),
        pinned: pin(loaded, key).is_some(),
        origin,
    }
}

/// Of this process. An ETag is shown: without a salt it would tell whether a guess
/// at a secret is right. `None` where the system gives no random numbers; then
/// secrets are left out.
fn salt() -> Option<&'static [u8; 32]> {
    static SALT: OnceLock<Option<[u8; 32]>> = OnceLock::new();
    let made = || {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).is_ok().then_some(salt)
    };
    SALT.get_or_init(made).as_ref()
}

/// What identifies the effective configuration, quoted as in an HTTP header. With a
/// secret in it, another one after every start.
pub fn etag(loaded: &Loaded) -> String {
    let mut hasher = Sha256::new();
    for view in values(loaded) {
        hasher.update(serde_json::to_vec(&view).unwrap_or_default());
    }
    if let Some(salt) = salt() {
        loaded.tree.leaves(&mut |key, leaf| {
            if let (true, Some(secret)) = (key.is_secret(), leaf.value.as_str()) {
                let name = key.to_string();
                for part in [salt.as_slice(), name.as_bytes(), secret.as_bytes()] {
                    hasher.update((part.len() as u64).to_be_bytes());
                    hasher.update(part);
                }
            }
        });
    }
    let digest = hasher.finalize();
    let mut text = String::from("\"");
    for byte in &digest[..12] {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('"');
    text
}

/// Keys whose value differs between two configurations. A secret that was replaced
/// is one of them, though both are shown masked.
pub fn changed(before: &Loaded, after: &Loaded) -> Vec<String> {
    let secret = |loaded: &Loaded, key: &Key| loaded.tree.leaf(key).map(|leaf| leaf.value.clone());
    let same_secret = |key: &str| {
        let key = Key::parse(key);
        !key.is_secret() || secret(before, &key) == secret(after, &key)
    };
    let (before, after) = (values(before), values(after));
    let mut keys: Vec<String> = after
        .iter()
        .filter(|view| {
            let kept = before.iter().any(|old| old.key == view.key && old.value == view.value);
            !kept || !same_secret(&view.key)
        })
        .map(|view| view.key.clone())
        .collect();
    let gone = before.iter().filter(|old| !after.iter().any(|view| view.key == old.key));
    keys.extend(gone.map(|old| old.key.clone()));
    keys
}

/// What the overlay changes against the file.
pub fn drift(loaded: &Loaded) -> Vec<Drift> {
    let all = values(loaded);
    let (layer, _) = loaded.overlay.layer(&loaded.file);
    let mut drifts = Vec::new();
    layer.leaves(&mut |key, leaf| {
        let Some(view) = all.iter().find(|view| view.key == key.to_string()) else { return };
        let file = match loaded.file.leaf(key) {
            Some(_) if key.is_secret() => Value::from(MASK),
            Some(leaf) => leaf.value.clone(),
            None if item_defined(loaded, key) => view.default.clone(),
            None => Value::Null,
        };
        if key.is_secret() || file != leaf.value {
            let runtime = if key.is_secret() { Value::from(MASK) } else { leaf.value.clone() };
            drifts.push(Drift {
                key: view.key.clone(),
                file,
                runtime,
                effective: view.value.clone(),
                origin: leaf.origin.clone(),
            });
        }
    });
    drifts
}

/// Whether the table of a list that `key` lies in, if it does, is in the file.
fn item_defined(loaded: &Loaded, key: &Key) -> bool {
    let at = key.0.iter().rposition(|step| matches!(step, Step::Item(_)));
    at.is_none_or(|at| loaded.file.find(&Key(key.0[..=at].to_vec())).is_some())
}

/// A file that says what is in force, without what is default anyway. A secret
/// becomes a comment that says where to put it.
pub fn export(loaded: &Loaded) -> String {
    let mut out = String::from(
        "# Written by `holdfast config export`: what is in force and differs from the defaults.\n",
    );
    let mut section: Vec<Step> = Vec::new();
    for view in values(loaded) {
        if view.origin == Origin::Default || view.value.is_null() {
            continue;
        }
        let key = Key::parse(&view.key);
        let Some((last, above)) = key.0.split_last() else { continue };
        if section != above {
            let _ = write!(out, "\n{}\n", heading(above));
            section = above.to_vec();
        }
        let name = last.text();
        if view.value == MASK {
            let _ = writeln!(out, "# {name} is a secret and is not exported; use {name}_file = \"/path\"");
        } else if let Some(value) = toml_of(&view.value) {
            let _ = writeln!(out, "{name} = {value}");
        }
    }
    out
}

fn heading(above: &[Step]) -> String {
    let keys = above.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Item(_) => None,
    });
    let path = keys.collect::<Vec<_>>().join(".");
    match above.last() {
        None => String::new(),
        Some(Step::Item(_)) => format!("[[{path}]]"),
        Some(Step::Key(_)) => format!("[{path}]"),
    }
}

fn toml_of(value: &Value) -> Option<String> {
    toml::Value::try_from(value).ok().map(|value| value.to_string())
}
