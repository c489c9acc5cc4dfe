//! The labels of one series or one result, `__name__` among them.
//!
//! A value that is cloned for every sample of every step, so a clone is one counter,
//! and dropping the name (which every function does) is a flag beside the shared part.
//! The hash is the sum of a hash for each label: the hash of any subset, which is what
//! `by`, `on` and `ignoring` ask for, is then a matter of additions. Wrong would be to
//! compare hashes alone: see [`Subset`](super::subset::Subset), which compares the labels
//! too.

use std::cmp::Ordering;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use crate::model::series;

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";
/// What says something of the metric rather than of the series: functions drop it.
const ABOUT_THE_METRIC: [&str; 3] = [NAME, "__type__", "__unit__"];

static EMPTY: LazyLock<Labels> = LazyLock::new(|| Labels::build(&[]));

/// Labels sorted by name, none of them with an empty value.
#[derive(Clone)]
pub struct Labels {
    shared: Arc<Shared>,
    /// Whether the label `__name__`, where there is one, counts.
    named: bool,
}

struct Shared {
    /// Names and values behind each other.
    text: Box<str>,
    pairs: Box<[Pair]>,
    name_at: Option<usize>,
    /// There is a `__type__` or `__unit__`.
    typed: bool,
    hash: u64,
}

/// One label: `text[start..middle]` is its name, `text[middle..end]` its value.
#[derive(Clone, Copy)]
struct Pair {
    start: usize,
    middle: usize,
    end: usize,
    hash: u64,
}

impl Shared {
    fn pair(&self, pair: &Pair) -> (&str, &str) {
        // The fallback is never taken: `build` made the places.
        let part = |from, to| self.text.get(from..to).unwrap_or_default();
        (part(pair.start, pair.middle), part(pair.middle, pair.end))
    }
}

impl Labels {
    /// No label at all.
    pub fn empty() -> Self {
        EMPTY.clone()
    }

    /// In any order. Labels with an empty value are left out; of two with one name the
    /// later counts.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(labels: impl IntoIterator<Item = (N, V)>) -> Self {
        let held: Vec<(N, V)> = labels.into_iter().collect();
        let mut pairs: Vec<(&str, &str)> = held.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        pairs.sort_by_key(|(name, _)| *name);
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                *kept = *later;
            }
            same
        });
        pairs.retain(|(_, value)| !value.is_empty());
        Self::build(&pairs)
    }

    /// The labels of a canonical series key.
    pub fn from_key(key: &str) -> Self {
        let labels = series::labels_of(key);
        let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Self::new(labels.chain([(NAME, series::name_of(key))]))
    }

    /// The canonical series key; without a name it begins with `{`.
    pub fn to_key(&self) -> String {
        let labels: Vec<_> = self.iter().filter(|(name, _)| *name != NAME).collect();
        let mut key = String::new();
        series::write_key(&mut key, self.name(), &labels);
        key
    }

    /// `pairs` are sorted, distinct and not empty.
    fn build(pairs: &[(&str, &str)]) -> Self {
        let mut text = String::with_capacity(pairs.iter().map(|(n, v)| n.len() + v.len()).sum());
        let mut hash = 0u64;
        let placed = pairs.iter().map(|(name, value)| {
            let start = text.len();
            text.push_str(name);
            let middle = text.len();
            text.push_str(value);
            let own = hash_of(name, value);
            hash = hash.wrapping_add(own);
            Pair { start, middle, end: text.len(), hash: own }
        });
        let placed: Box<[Pair]> = placed.collect();
        let name_at = pairs.iter().position(|(name, _)| *name == NAME);
        let typed = pairs.iter().any(|(name, _)| ABOUT_THE_METRIC[1..].contains(name));
        let shared = Shared { text: text.into_boxed_str(), pairs: placed, name_at, typed, hash };
        Self { shared: Arc::new(shared), named: true }
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, &Pair)> + '_ {
        let hidden = if self.named { None } else { self.shared.name_at };
        self.shared.pairs.iter().enumerate().filter(move |(at, _)| Some(*at) != hidden)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.pairs().map(|(_, pair)| self.shared.pair(pair))
    }

    /// By name, each with its part of the hash.
    pub(super) fn hashed(&self) -> impl Iterator<Item = (&str, &str, u64)> + '_ {
        self.pairs().map(|(_, pair)| {
            let (name, value) = self.shared.pair(pair);
            (name, value, pair.hash)
        })
    }

    pub fn len(&self) -> usize {
        self.pairs().count()
    }

    pub fn is_empty(&self) -> bool {
        self.pairs().next().is_none()
    }

    /// The value of `name`; empty where there is none, as PromQL sees it.
    pub fn value(&self, name: &str) -> &str {
        self.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value)
    }

    /// The metric's name; empty where there is none.
    pub fn name(&self) -> &str {
        let at = self.shared.name_at.filter(|_| self.named);
        let pair = at.and_then(|at| self.shared.pairs.get(at));
        pair.map_or("", |pair| self.shared.pair(pair).1)
    }

    /// Without `__name__` alone.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), named: false }
    }

    /// What functions and arithmetic leave: no name, type and unit of the metric.
    #[must_use]
    pub fn derived(&self) -> Self {
        if self.shared.typed {
            return self.filtered(|name| !ABOUT_THE_METRIC.contains(&name));
        }
        self.unnamed()
    }

    /// With `name` set to `value`; an empty value removes it.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::new(self.iter().chain([(name, value)]))
    }

    /// Those for which `keep` says so.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self::build(&self.iter().filter(|(name, _)| keep(name)).collect::<Vec<_>>())
    }

    /// Equal labels have equal hashes, however they came about; the same in every run.
    pub fn hash_value(&self) -> u64 {
        let hidden = self.shared.name_at.filter(|_| !self.named);
        let hidden = hidden.and_then(|at| self.shared.pairs.get(at)).map_or(0, |pair| pair.hash);
        self.shared.hash.wrapping_sub(hidden)
    }
}

fn hash_of(name: &str, value: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    value.hash(&mut hasher);
    hasher.finish()
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.shared, &other.shared) && self.named == other.named {
            return true;
        }
        self.hash_value() == other.hash_value() && self.iter().eq(other.iter())
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash_value());
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

/// As PromQL writes them: `up{job="a"}`, `{}`, `{"a.b",x="y"}`.
impl fmt::Display for Labels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        let plain = series::is_metric_name(name);
        let mut open = if plain { format!("{name}{{") } else { String::from("{") };
        if !plain && !name.is_empty() {
            write!(out, "{open}{name:?}")?;
            open = String::from(",");
        }
        for (label, value) in self.iter().filter(|(label, _)| *label != NAME) {
            if series::is_label_name(label) {
                write!(out, "{open}{label}={value:?}")?;
            } else {
                write!(out, "{open}{label:?}={value:?}")?;
            }
            open = String::from(",");
        }
        match open.as_str() {
            "," => out.write_str("}"),
            "{" => out.write_str("{}"),
            _ => out.write_str(name),
        }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_duplicates_and_empty_values_do_not_matter() {
        let one = Labels::new([("b", "2"), (NAME, "up"), ("a", "1"), ("c", "")]);
        let other = Labels::from_key("up{a=\"1\",b=\"2\"}");
        assert_eq!(one, other);
        assert_eq!(one.hash_value(), other.hash_value());
        assert_eq!(Labels::new([("a", "1"), ("a", "2")]).value("a"), "2");
        assert_eq!(Labels::new([("a", "1"), ("a", "")]), Labels::empty());
    }

    #[test]
    fn dropping_the_name_is_as_if_there_never_was_one() {
        let full = Labels::from_key("up{Zone=\"1\",b=\"2\"}");
        let bare = full.derived();
        assert_eq!(bare, Labels::new([("Zone", "1"), ("b", "2")]));
        assert_eq!(bare.hash_value(), Labels::new([("Zone", "1"), ("b", "2")]).hash_value());
        assert_eq!((bare.name(), bare.value(NAME), bare.len()), ("", "", 2));
        assert_eq!(bare.with("c", "3").to_key(), "{Zone=\"1\",b=\"2\",c=\"3\"}");
        let typed = Labels::new([(NAME, "up"), ("__type__", "gauge"), ("a", "1")]);
        assert_eq!(typed.derived(), Labels::new([("a", "1")]));
    }

    #[test]
    fn shows_as_promql_writes_it() {
        for text in ["up", "{}", "up{a=\"b\"}", "{a=\"b\",c=\"d\\\"\"}"] {
            assert_eq!(Labels::from_key(if text == "{}" { "" } else { text }).to_string(), text);
        }
        let quoted = Labels::new([(NAME, "a.b"), ("x y", "1"), ("z", "2")]);
        assert_eq!(quoted.to_string(), "{\"a.b\",\"x y\"=\"1\",z=\"2\"}");
    }

    proptest! {
        #[test]
        fn keys_come_back(pairs in proptest::collection::btree_map("[a-zA-Z_]{1,4}", "\\PC{1,6}", 0..6)) {
            let labels = Labels::new(&pairs);
            prop_assert_eq!(labels.iter().collect::<Vec<_>>(),
                pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>());
            prop_assert_eq!(Labels::from_key(&labels.to_key()), labels);
        }
    }
}
