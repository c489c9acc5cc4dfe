//! Failover groups: there after a reopen, with a journal of their own that is bounded.

use super::*;
use crate::base::id::Name;
use crate::model::failover::durable::{Durable, JournalEntry};
use crate::store::{Change, Write};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn entry(epoch: u64, step: &str) -> JournalEntry {
    JournalEntry { epoch, step: step.to_owned(), detail: String::from("why"), at: Timestamp(START) }
}

fn put(store: &Store, group: &str, epoch: u64, entries: Vec<JournalEntry>) {
    let durable = Box::new(Durable { epoch, ..Durable::default() });
    let put = Write::PutFailover { group: name(group), durable, entries };
    block(store.commit(Change { writes: vec![put], audit: None })).unwrap();
}

fn epochs(store: &Store) -> Vec<(String, u64)> {
    let all = store.failover().unwrap();
    all.into_iter().map(|(name, durable)| (name.to_string(), durable.unwrap().epoch)).collect()
}

fn numbers(store: &Store, group: &str, limit: usize, before: Option<u64>) -> (Vec<u64>, u64) {
    let (rows, total) = store.journal(&name(group), limit, before).unwrap();
    (rows.into_iter().map(|(number, _)| number).collect(), total)
}

#[test]
fn groups_and_their_journals_are_there_after_a_reopen_and_gone_when_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    put(&store, "main", 1, vec![entry(1, "route")]);
    put(&store, "main", 2, vec![entry(2, "begin"), entry(2, "cut")]);
    put(&store, "other", 7, vec![entry(7, "route")]);
    put(&store, "main", 2, Vec::new());
    block(store.close(0)).unwrap();

    let (store, _) = open(&options, &clock);
    assert_eq!(epochs(&store), [(String::from("main"), 2), (String::from("other"), 7)]);
    let (rows, total) = store.journal(&name("main"), 2, None).unwrap();
    let steps: Vec<&str> = rows.iter().map(|(_, entry)| entry.step.as_str()).collect();
    assert_eq!((steps, total), (vec!["cut", "begin"], 3));
    assert_eq!(numbers(&store, "main", 10, Some(rows[1].0)), (vec![1], 3));
    assert_eq!(numbers(&store, "none", 10, None), (vec![], 0));

    let delete = Write::DeleteFailover { group: name("main") };
    block(store.commit(Change { writes: vec![delete], audit: None })).unwrap();
    assert_eq!(epochs(&store), [(String::from("other"), 7)]);
    assert_eq!((numbers(&store, "main", 10, None).1, numbers(&store, "other", 10, None).1), (0, 1));
}

#[test]
fn the_oldest_rows_of_a_journal_go_and_those_of_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(&options(&dir.path().join("holdfast.redb")), &clock());
    put(&store, "quiet", 1, vec![entry(1, "route")]);
    for round in 0..11 {
        put(&store, "main", round, (0..100).map(|_| entry(round, "paused")).collect());
    }
    let (newest, total) = numbers(&store, "main", 5, None);
    assert_eq!((newest, total), (vec![1100, 1099, 1098, 1097, 1096], 1000));
    assert_eq!(numbers(&store, "main", 5, Some(102)), (vec![101], 1000));
    assert_eq!(numbers(&store, "quiet", 5, None), (vec![1], 1));
}
