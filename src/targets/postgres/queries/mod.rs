//! What is read from the statistics views, as a table.
//!
//! Names, labels and types are postgres_exporter's (its collectors and its built-in
//! queries) with the label `target` in the place of `server`; what it has no name
//! for starts with `holdfast_`. **Invariant:** every query has a limit on its rows,
//! reads only catalogues, and gives every label value a row each time, with zeros,
//! where a missing row would leave the last value standing.

mod activity;
mod databases;
mod replication;
mod server;

use crate::model::series::Kind;

/// How often a query runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    Quick,
    /// It makes the server walk files or catalogues.
    Slow,
}

/// One column that becomes a metric.
#[derive(Debug)]
pub struct Family {
    pub column: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

/// One query and what its columns mean.
#[derive(Debug)]
pub struct Query {
    pub pace: Pace,
    /// Server versions that have the columns, as `server_version_num`: from, below.
    versions: (u32, u32),
    pub sql: &'static str,
    /// Columns that become labels of the same name.
    pub labels: &'static [&'static str],
    pub families: &'static [Family],
}

impl Query {
    /// Whether to run it on a server of `version` when `due` is.
    fn applies(&self, version: u32, due: Pace) -> bool {
        (self.pace == Pace::Quick || due == Pace::Slow)
            && (self.versions.0..self.versions.1).contains(&version)
    }
}

const ALL: (u32, u32) = (0, u32::MAX);

const fn family(column: &'static str, name: &'static str, kind: Kind, help: &'static str) -> Family {
    Family { column, name, kind, help }
}

/// What to ask a server of `version` when `due` is, in order.
pub fn applicable(version: u32, due: Pace) -> Vec<&'static Query> {
    all().filter(|query| query.applies(version, due)).collect()
}

/// Every query, in the order they are asked.
pub fn all() -> impl Iterator<Item = &'static Query> {
    [server::QUERIES, activity::QUERIES, databases::QUERIES, replication::QUERIES].into_iter().flatten()
}
