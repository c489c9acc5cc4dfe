//! Groups that are configured no longer.
//!
//! What such a group remembered stays: a group of the same name over the same servers must
//! not count its epochs from the beginning, nor lead to a member that was superseded before.
//! Names are made up over the API, so the memory has a bound: of more than [`MOST`] removed
//! groups, those whose head is the oldest are forgotten, in the store and beside it.

use std::collections::BTreeMap;

use crate::base::id::Name;
use crate::base::time::Timestamp;
use crate::model::failover::durable::Durable;
use crate::runtime::supervisor::Supervisor;
use crate::store::beside::Beside;
use crate::store::{Change, Store, Write};

/// Removed groups that are remembered; three times as many as can be configured.
const MOST: usize = 96;

/// Forgets what is beyond the bound. To be called before a group of `configured` starts.
///
/// # Errors
/// In words; what was not forgotten is tried again when the configuration changes.
pub async fn forget(store: &Store, beside: &Beside, configured: &[Name]) -> Result<(), String> {
    let (read, configured) = (store.clone(), configured.to_vec());
    let excess = Supervisor::blocking(move || {
        let stored = read.failover().map_err(|error| error.to_string())?;
        Ok::<_, String>(excess(&stored, &configured))
    });
    let excess = excess.await.unwrap_or_else(|| Err(String::from("reading them failed")))?;
    if excess.is_empty() {
        return Ok(());
    }
    tracing::info!(groups = ?excess, "failover groups that were removed long ago are forgotten");
    let writes = excess.iter().map(|group| Write::DeleteFailover { group: group.clone() }).collect();
    store.commit(Change { writes, audit: None }).await.map_err(|error| error.to_string())?;
    let beside = beside.clone();
    let removed = Supervisor::blocking(move || excess.iter().try_for_each(|group| beside.forget(group)));
    match removed.await {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err(String::from("removing their files failed")),
    }
}

/// The removed groups beyond the bound. One that cannot be read is left alone.
fn excess(stored: &BTreeMap<Name, Result<Durable, String>>, configured: &[Name]) -> Vec<Name> {
    let mut removed: Vec<(Option<Timestamp>, &Name)> = stored
        .iter()
        .filter(|(group, _)| !configured.contains(group))
        .filter_map(|(group, durable)| {
            let durable = durable.as_ref().ok()?;
            Some((durable.lineage.last().map(|entry| entry.at), group))
        })
        .collect();
    removed.sort();
    let many = removed.len().saturating_sub(MOST);
    removed.into_iter().take(many).map(|(_, group)| group.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::failover::durable::{Head, LineageEntry};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn since(at: i64) -> Result<Durable, String> {
        let head = Head { member: name("pg1"), system_id: 1, timeline: 1, forked: None };
        let lineage = vec![LineageEntry { epoch: 1, head, at: Timestamp(at) }];
        Ok(Durable { epoch: 7, lineage, ..Durable::default() })
    }

    #[test]
    fn only_the_oldest_of_many_removed_groups_are_forgotten() {
        let mut stored: BTreeMap<_, _> =
            (0..MOST as i64).map(|at| (name(&format!("g{at}")), since(1000 - at))).collect();
        assert_eq!(excess(&stored, &[]), Vec::<Name>::new());
        stored.insert(name("in-force"), since(0));
        stored.insert(name("torn"), Err(String::from("it is not understood")));
        stored.insert(name("empty"), Ok(Durable::default()));
        assert_eq!(excess(&stored, &[name("in-force")]), [name("empty")]);
        stored.insert(name("new"), since(2000));
        assert_eq!(excess(&stored, &[name("in-force")]), [name("empty"), name("g95")]);
    }
}
