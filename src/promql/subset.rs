//! The labels by which samples are brought together: `by (a)`, `without (a)`, `on (a)`,
//! `ignoring (a)`.
//!
//! A [`Signed`] is the key of a map of such groups. Its hash is a sum of hashes that
//! the labels hold already; equality compares the labels themselves, so that two
//! groups with one hash stay two.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::labels::{Labels, NAME};

/// Some of the labels of a series.
#[derive(Clone, Copy, Debug)]
pub struct Subset<'a> {
    names: &'a [String],
    /// Only `names`; otherwise all but `names` and the metric's name.
    only: bool,
}

impl<'a> Subset<'a> {
    /// `by` and `on`.
    pub fn only(names: &'a [String]) -> Self {
        Self { names, only: true }
    }

    /// `without` and `ignoring`.
    pub fn without(names: &'a [String]) -> Self {
        Self { names, only: false }
    }

    fn holds(self, name: &str) -> bool {
        let named = self.names.iter().any(|own| own == name);
        if self.only { named } else { !named && name != NAME }
    }

    fn hash(self, labels: &Labels) -> u64 {
        if self.only && self.names.is_empty() {
            return 0;
        }
        if !self.only && self.names.is_empty() {
            return labels.unnamed().hash_value();
        }
        let held = labels.hashed().filter(|(name, _, _)| self.holds(name));
        held.fold(0, |sum, (_, _, hash)| sum.wrapping_add(hash))
    }

    /// The labels of the group: what is not in the subset is gone.
    pub fn of(self, labels: &Labels) -> Labels {
        match (self.only, self.names) {
            (true, []) => Labels::empty(),
            (false, []) => labels.unnamed(),
            _ => labels.filtered(|name| self.holds(name)),
        }
    }

    pub fn sign(self, labels: &'a Labels) -> Signed<'a> {
        Signed { hash: self.hash(labels), labels, subset: self }
    }
}

/// Labels of which only a subset counts.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    hash: u64,
    labels: &'a Labels,
    subset: Subset<'a>,
}

impl PartialEq for Signed<'_> {
    fn eq(&self, other: &Self) -> bool {
        let own = |signed: &Self| {
            let subset = signed.subset;
            signed.labels.iter().filter(move |(name, _)| subset.holds(name))
        };
        self.hash == other.hash
            && (self.subset.only && self.subset.names.is_empty() || own(self).eq(own(other)))
    }
}

impl Eq for Signed<'_> {}

impl Hash for Signed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Passes on what is a hash already.
#[derive(Default, Debug)]
pub struct Given(u64);

impl Hasher for Given {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A map over [`Signed`] or [`Labels`], which bring their hash.
pub type ByHash<K, V> = HashMap<K, V, BuildHasherDefault<Given>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn group<'a>(subset: Subset<'a>, labels: &'a [Labels]) -> ByHash<Signed<'a>, usize> {
        let mut groups = ByHash::default();
        for one in labels {
            *groups.entry(subset.sign(one)).or_default() += 1;
        }
        groups
    }

    #[test]
    fn groups_are_those_of_the_labels_that_count() {
        let keys = ["a{x=\"1\",y=\"1\"}", "b{x=\"1\",y=\"2\"}", "a{x=\"2\"}", "a"];
        let labels = keys.map(Labels::from_key);
        let (x, none) = ([String::from("x")], []);
        for (subset, count, first) in [
            (Subset::only(&x), 3, "{x=\"1\"}"),
            (Subset::without(&x), 3, "{y=\"1\"}"),
            (Subset::only(&none), 1, ""),
            (Subset::without(&none), 4, "{x=\"1\",y=\"1\"}"),
        ] {
            assert_eq!(group(subset, &labels).len(), count, "{subset:?}");
            assert_eq!(subset.of(&labels[0]).to_key(), first, "{subset:?}");
        }
        let name = [String::from(NAME)];
        assert_eq!(group(Subset::only(&name), &labels).len(), 2);
    }

    #[test]
    fn equal_hashes_do_not_make_equal_groups() {
        let (one, other) = (Labels::new([("x", "1")]), Labels::new([("x", "2")]));
        let names = [String::from("x")];
        let one = Subset::only(&names).sign(&one);
        let forged = Signed { hash: one.hash, ..Subset::only(&names).sign(&other) };
        assert_ne!(one, forged);
    }
}
