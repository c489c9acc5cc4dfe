//! Lays the layers over each other, reads them into types and checks the whole.
//!
//! ```text
//! defaults < file < run-time overlay < environment < flags
//! ```
//! All problems are found in one run: serde stops at the first, so the offending
//! key is noted, taken out, and the tree is read again. A configuration is taken
//! whole or not at all; nothing here changes anything outside.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::Config;
use super::check::check;
use super::environment::{self, Environment};
use super::failover;
use super::failover::{SWITCH_RESTART_GRACE, TierChoice};
use super::file;
use super::origin::Origin;
use super::overlay::Overlay;
use super::problem::{Problem, Problems, nearest};
use super::read::{Fault, FaultKind, read};
use super::schema::shape;
use super::tree::{Branch, Key, Leaf, Node};
use crate::base::units::Span;

/// More than anybody reads at once.
const MOST_PROBLEMS: usize = 100;
/// How long the breaker of a member of a failover group stays open at first.
const MEMBER_OPEN_FOR: Span = Span::from_secs(1);

/// What the configuration is made from, besides the overlay. Kept for reloading.
/// `Debug` leaves out the environment, where anything may stand.
#[derive(Clone, Default)]
pub struct Sources {
    /// `None`: run on defaults.
    pub file: Option<PathBuf>,
    /// The `data_dir` when nobody says another.
    pub data_dir: Option<PathBuf>,
    pub environment: Environment,
    pub flags: Vec<Flag>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("data_dir", &self.data_dir)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

/// A flag of the command line that sets a key; never a secret, which every user
/// of the host could read there.
#[derive(Clone, Debug)]
pub struct Flag {
    /// `--listen`
    pub name: String,
    pub key: String,
    pub value: Value,
}

/// A configuration that is valid as a whole.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub sources: Arc<Sources>,
    /// The file alone.
    pub file: Branch,
    pub overlay: Overlay,
    /// All layers.
    pub tree: Branch,
    pub config: Arc<Config>,
    /// What the configuration says, secrets masked; see [`super::view`].
    pub effective: Value,
    /// Not wrong, but probably not meant.
    pub warnings: Vec<String>,
}

/// Reads the file and everything else that is known at the start.
///
/// # Errors
/// All [`Problems`] that were found.
pub fn load(sources: Sources, overlay: Overlay) -> Result<Loaded, Problems> {
    let (name, text) = match &sources.file {
        Some(path) => (path.display().to_string(), file::text_of(path)?),
        None => (String::from("(no file)"), String::new()),
    };
    load_text(sources, &name, &text, overlay)
}

/// The same with the text of the file at hand.
///
/// # Errors
/// All [`Problems`] that were found.
pub fn load_text(sources: Sources, name: &str, text: &str, overlay: Overlay) -> Result<Loaded, Problems> {
    let (file, problems) = file::parse(name, text, shape());
    assemble(Arc::new(sources), file, problems, overlay)
}

/// Lays `overlay` over an already parsed file.
///
/// # Errors
/// All [`Problems`] that were found.
pub fn assemble(
    sources: Arc<Sources>,
    file: Branch,
    mut problems: Vec<Problem>,
    overlay: Overlay,
) -> Result<Loaded, Problems> {
    let mut tree = Branch::new(false, Origin::Default);
    if let Some(directory) = &sources.data_dir {
        let value = Value::from(directory.display().to_string());
        tree.put(&Key::parse("data_dir"), Leaf::new(value, Origin::Default));
    }
    tree.merge(&file);
    tree.origin = file.origin.clone();
    let (above, mut warnings) = overlay.layer(&file);
    tree.merge(&above);

    let mut keys = shape().values(&|list| names(&tree, list));
    // A table of a list is found by its name, so nothing above the file renames it.
    keys.retain(|key| key.last() != "name");
    let said = environment::read(&sources.environment, &keys);
    problems.extend(said.problems);
    warnings.extend(said.warnings);
    for (key, leaf) in said.values {
        tree.put(&key, leaf);
    }
    for flag in &sources.flags {
        let origin = Origin::Flag { name: flag.name.clone() };
        tree.put(&Key::parse(&flag.key), Leaf::new(flag.value.clone(), origin));
    }

    let config = read_all(&tree, &mut problems);
    if let Some(mut config) = config {
        settle(&mut config, &tree);
        let known: Vec<Key> = problems.iter().map(|problem| Key::parse(&problem.key)).collect();
        for finding in check(&config, &sources.environment) {
            let key = Key::parse(&finding.key);
            // A broken value was taken out: what follows from that is no news.
            if !known.iter().any(|known| known.is_within(&key) || key.is_within(known)) {
                problems.push(Problem::new(locate(&tree, &key, finding.element), &key, finding.message));
            }
        }
        let (exposed, told) = exposed(&config, &tree);
        problems.extend(exposed);
        warnings.extend(told);
        warnings.extend(config.auth.warning());
        if problems.is_empty() {
            let effective = serde_json::to_value(&config).unwrap_or_default();
            let config = Arc::new(config);
            return Ok(Loaded { sources, file, overlay, tree, config, effective, warnings });
        }
    }
    problems.sort_by_key(|problem| match &problem.origin {
        Origin::File { line, column, .. } => (*line, *column),
        _ => (u32::MAX, 0),
    });
    problems.truncate(MOST_PROBLEMS);
    Err(Problems(problems))
}

/// The names of the tables of the list at `key`.
pub fn names(tree: &Branch, key: &Key) -> Vec<String> {
    match tree.find(key) {
        Some(Node::Branch(branch)) if branch.list => {
            branch.children.iter().map(|(name, _)| name.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// Reads until nothing is wrong any more. `None` when even that did not help.
fn read_all(tree: &Branch, problems: &mut Vec<Problem>) -> Option<Config> {
    let mut rest = tree.clone();
    for _ in 0..MOST_PROBLEMS {
        let fault = match read::<Config>(&rest) {
            Ok(config) => return Some(config),
            Err(fault) => fault,
        };
        let key = fault.key();
        let told = match &fault.kind {
            // The key is there, but was taken out because its value is wrong.
            FaultKind::Missing(name) => tree.find(&key.key(name)).is_some(),
            _ => false,
        };
        if !told {
            problems.push(explain(&fault, &key));
        }
        if !rest.remove(&key) {
            return None;
        }
    }
    None
}

/// A fault in words, with what was probably meant.
fn explain(fault: &Fault, key: &Key) -> Problem {
    let origin = fault.origin.clone().unwrap_or(Origin::Default);
    let hidden = key.is_secret();
    let message = if hidden { String::from("expected a text in quotes") } else { fault.to_string() };
    let mut problem = Problem::new(origin, key, message);
    problem.suggestion = match &fault.kind {
        FaultKind::UnknownKey(expected) => {
            nearest(key.last(), expected.iter().copied()).map(str::to_owned).or_else(|| elsewhere(key.last()))
        }
        FaultKind::UnknownWord(word, expected) => nearest(word, expected.iter().copied()).map(str::to_owned),
        _ => None,
    };
    problem
}

/// The key of another section that ends in `name`, if there is exactly one.
pub fn elsewhere(name: &str) -> Option<String> {
    let keys = shape().values(&|_| Vec::new());
    let mut found = keys.iter().filter(|key| key.last() == name);
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only.to_string()),
        _ => None,
    }
}

/// Where to point for a finding: the value, or the nearest thing that exists.
fn locate(tree: &Branch, key: &Key, element: Option<usize>) -> Origin {
    let mut at = key.clone();
    loop {
        match tree.find(&at) {
            Some(Node::Leaf(leaf)) => return leaf.value_origin(element),
            Some(Node::Branch(branch)) => return branch.origin.clone(),
            None => {}
        }
        if at.0.pop().is_none() {
            return Origin::Default;
        }
    }
}

/// Endpoints that others on the network reach: the server behind them asks who they are,
/// as it would without the agent, so whoever writes the file may want that, and says so. What was set
/// at run time is a problem, because a token for targets is no leave to open the host.
fn exposed(config: &Config, tree: &Branch) -> (Vec<Problem>, Vec<String>) {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for group in &config.failover.group {
        let item = Key::parse("failover.group").item(group.name.as_str());
        for (name, listen) in failover::listens(group).filter(|(_, listen)| !failover::is_loopback(listen)) {
            let key = item.key(name);
            match locate(tree, &key, None) {
                origin @ Origin::Runtime { .. } => {
                    let message = format!(
                        "`{listen}` can be reached from the network, which only the configuration file can say, \
                         expected a loopback address such as \"127.0.0.1:6432\""
                    );
                    problems.push(Problem::new(origin, &key, message));
                }
                origin if !group.open_to_network => {
                    let message = format!(
                        "`{listen}` can be reached from the network, and the agent asks nobody there who they are, \
                         expected a loopback address such as \"127.0.0.1:6432\", or `open_to_network = true` beside it"
                    );
                    problems.push(Problem::new(origin, &key, message));
                }
                _ => warnings.push(format!(
                    "{key}: `{listen}` can be reached from the network; see that pg_hba.conf of the members does \
                     not trust this host's address"
                )),
            }
        }
    }
    (problems, warnings)
}

/// What nobody gave follows from what was given: a timeout from an interval that is
/// shorter, the patience with a member of a group from what the group is.
fn settle(config: &mut Config, tree: &Branch) {
    let given = |list: &str, name: &str, key: &str| {
        let item = Key::parse(list).item(name);
        tree.find(&Key(item.0.into_iter().chain(Key::parse(key).0).collect())).is_some()
    };
    let free = |list: &str, name: &str| !given(list, name, "timeout");
    for group in &mut config.failover.group {
        let name = group.name.as_str();
        if group.tier == TierChoice::Switch && !given("failover.group", name, "restart_grace") {
            group.restart_grace = SWITCH_RESTART_GRACE;
        }
        for target in &mut config.target.postgres {
            // A member that is back must be seen to be back at once.
            if group.members.contains(&target.name)
                && !given("target.postgres", target.name.as_str(), "breaker.open_for")
            {
                target.breaker.open_for = MEMBER_OPEN_FOR.min(target.breaker.max_open_for);
            }
        }
    }
    for target in &mut config.target.postgres {
        if free("target.postgres", target.name.as_str()) {
            target.timeout = target.timeout.min(target.interval);
        }
    }
    for target in &mut config.target.object_store {
        if free("target.object_store", target.name.as_str()) {
            target.timeout = target.timeout.min(target.interval);
        }
    }
    for heartbeat in &mut config.channel.heartbeat {
        if free("channel.heartbeat", heartbeat.name.as_str()) {
            heartbeat.timeout = heartbeat.timeout.min(heartbeat.interval);
        }
    }
}

/// What the keys of the tables of a list are when they are not given: the JSON of
/// `item` read with nothing but its required keys.
pub fn item_defaults(tree: &Branch, list: &Key, name: &str) -> Value {
    let item = list.item(name);
    let mut bare = Branch::new(false, Origin::Default);
    let Some(shape) = shape().at(list) else { return Value::Null };
    // Every round adds the one required key that was missed.
    for _ in 0..=shape.fields().len() {
        let placeholder = Leaf::new(Value::from(name), Origin::Default);
        if bare.find(&item).is_none() {
            bare.put(&item.key("name"), placeholder);
        }
        match read::<Config>(&bare) {
            Ok(config) => {
                let json = serde_json::to_value(&config).unwrap_or_default();
                return item_of(&json, list, name).cloned().unwrap_or_default();
            }
            Err(fault) => {
                let FaultKind::Missing(missing) = fault.kind else { return Value::Null };
                let key = item.key(&missing);
                let Some(leaf) = tree.leaf(&key) else { return Value::Null };
                bare.put(&key, leaf.clone());
            }
        }
    }
    Value::Null
}

/// The object of that name in the JSON list at `list`.
pub fn item_of<'a>(json: &'a Value, list: &Key, name: &str) -> Option<&'a Value> {
    let items = list.0.iter().try_fold(json, |value, step| value.get(step.text()))?;
    items.as_array()?.iter().find(|item| item.get("name").and_then(Value::as_str) == Some(name))
}
