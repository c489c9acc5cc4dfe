//! A named table of the configuration as a resource: created, changed, removed at run
//! time.
//!
//! A change is a patch of the configuration like any other, so validation, pins, audit
//! and storage are those of `/api/v1/config`; here only the shape differs. One would get
//! it wrong by keeping such tables elsewhere: they would have no origin, and no place in
//! what is exported.

use std::collections::HashMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::error::Problem;
use super::state::App;
use crate::config::origin::Origin;
use crate::config::tree::{Key, Node, Step};
use crate::engine::settings::{ApplyError, Author};

/// Tries when others change the configuration meanwhile.
const TRIES: usize = 4;

pub type Body = Map<String, Value>;

/// Where the table stands, e.g. `target.postgres[pg1]`.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    /// The keys of the list.
    pub list: &'a [&'a str],
    pub name: &'a str,
}

impl Section<'_> {
    pub fn key(&self) -> Key {
        self.list.iter().fold(Key::default(), |key, step| key.key(step)).item(self.name)
    }

    /// As it is in force, secrets masked; null when there is none.
    pub fn shown(&self, app: &App) -> Value {
        let loaded = app.services.settings.loaded();
        let list = self.list.iter().fold(&loaded.effective, |value, step| &value[*step]);
        let section = list.as_array().into_iter().flatten().find(|item| item["name"] == self.name);
        section.cloned().unwrap_or_default()
    }

    /// 409 that says who defined it.
    pub fn taken(&self, app: &App) -> Problem {
        let loaded = app.services.settings.loaded();
        let origin = loaded.tree.find(&self.key()).map(Node::origin);
        let origin = origin.map_or_else(String::new, |origin| format!(" by {origin}"));
        let detail = format!("the name `{}` is already taken{origin}", self.name);
        Problem::new(StatusCode::CONFLICT, "exists", detail.clone()).field("/name", detail)
    }

    /// `body` laid over a patch that takes away all that was set at run time: what it
    /// leaves out has its default again, or the file's value.
    pub fn whole(&self, app: &App, body: &Body) -> Value {
        let mut patch = Value::Object(self.unset(app));
        lay_over(&mut patch, &Value::Object(body.clone()));
        patch
    }

    /// What was set at run time, as a patch that takes all of it away.
    fn unset(&self, app: &App) -> Body {
        let own = self.key();
        let keys = runtime_keys(app, &own);
        unset(&own, &keys)
    }

    /// Applies a patch of the section, which `make` builds from what is in force.
    ///
    /// # Errors
    /// What `make` or the configuration says; nothing was changed.
    pub async fn apply(
        &self,
        app: &App,
        author: &Author,
        make: impl Fn() -> Result<Value, Problem>,
    ) -> Result<(), Problem> {
        let patch = || {
            let patch = json!({ self.name: make()? });
            Ok(self.list.iter().rev().fold(patch, |below, step| json!({ *step: below })))
        };
        apply(app, author, patch).await.map_err(|problem| self.own_pointers(problem))
    }

    /// `/target/postgres[pg1]/host` is `/host` in the body that was sent.
    fn own_pointers(&self, mut problem: Problem) -> Problem {
        let prefix = format!("/{}[{}]", self.list.join("/"), self.name);
        for error in &mut problem.errors {
            if let Some(rest) = error.pointer.strip_prefix(&prefix) {
                error.pointer = rest.to_owned();
            }
        }
        problem
    }
}

/// Keys within `above` that were set at run time.
fn runtime_keys(app: &App, above: &Key) -> Vec<Key> {
    let set = app.services.settings.show().values;
    let set = set.iter().filter(|view| matches!(view.origin, Origin::Runtime { .. }));
    let set = set.map(|view| Key::parse(&view.key)).filter(|key| key.is_within(above));
    let loaded = app.services.settings.loaded();
    // What does not open is shown nowhere, and was set all the same.
    let locked = loaded.overlay.locked(above).map(|(key, _)| key);
    set.chain(locked).collect()
}

/// A patch of the section `own` that takes `keys` away.
fn unset(own: &Key, keys: &[Key]) -> Body {
    let mut patch = Value::Object(Map::new());
    for key in keys.iter().filter(|key| key.0.len() > own.0.len() && key.last() != "name") {
        let below = key.0[own.0.len()..].iter().map(Step::text);
        *below.fold(&mut patch, |patch, step| &mut patch[step]) = Value::Null;
    }
    match patch {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// [`Section::whole`] for many sections of a list of tables, by name: one patch.
pub fn whole_of_all<'a>(app: &App, list: &str, bodies: impl Iterator<Item = (&'a str, &'a Body)>) -> Value {
    let list = Key::default().key(list);
    let mut set: HashMap<String, Vec<Key>> = HashMap::new();
    for key in runtime_keys(app, &list) {
        if let Some(name) = key.0.get(list.0.len()).map(|step| step.text().to_owned()) {
            set.entry(name).or_default().push(key);
        }
    }
    let patch = bodies.map(|(name, body)| {
        let keys = set.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut patch = Value::Object(unset(&list.item(name), keys));
        lay_over(&mut patch, &Value::Object(body.clone()));
        (name.to_owned(), patch)
    });
    Value::Object(patch.collect())
}

/// Puts a patch in force that `make` builds from what is in force.
///
/// # Errors
/// What `make` or the configuration says; nothing was changed.
pub async fn apply(
    app: &App,
    author: &Author,
    make: impl Fn() -> Result<Value, Problem>,
) -> Result<(), Problem> {
    let settings = &app.services.settings;
    for _ in 0..TRIES {
        let etag = settings.etag();
        match settings.apply(make()?, &etag, author.clone()).await {
            Err(ApplyError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
    let detail = "the configuration is being changed by others: try again";
    Err(Problem::new(StatusCode::CONFLICT, "busy", detail).retry_after(1))
}

/// 422 for one member of the body.
pub fn wrong(pointer: &str, detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "config_invalid", detail.clone()).field(pointer, detail)
}

/// A changed body may repeat what it is addressed by, not alter it.
///
/// # Errors
/// 422 when it does.
pub fn same(body: &mut Body, key: &str, expected: &str) -> Result<(), Problem> {
    match body.remove(key) {
        Some(said) if said != expected => {
            Err(wrong(&format!("/{key}"), format!("`{key}` is {said}, expected \"{expected}\"")))
        }
        _ => Ok(()),
    }
}

/// Sets `upper` into `patch`, table by table.
fn lay_over(patch: &mut Value, upper: &Value) {
    match (patch, upper) {
        (Value::Object(patch), Value::Object(upper)) => {
            for (key, value) in upper {
                lay_over(patch.entry(key).or_insert(Value::Null), value);
            }
        }
        (patch, upper) => *patch = upper.clone(),
    }
}
