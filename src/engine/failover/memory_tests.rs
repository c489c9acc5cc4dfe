//! What is remembered opens after the key was replaced, whenever that was.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::time::{ManualClock, Timestamp};
use crate::model::failover::durable::CutMemory;
use crate::store::StoreOptions;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn store(folder: &Path) -> Store {
    let day = Duration::from_secs(86_400);
    let options = StoreOptions {
        path: folder.join("holdfast.redb"),
        cap: 64 << 20,
        raw_retention: day,
        minute_retention: day * 30,
        hour_retention: day * 730,
        max_series: 10,
        cache: 1 << 20,
        tail: Some(None),
    };
    Store::open(options, Arc::new(ManualClock::at(Timestamp(0))), &mut |_| {}).unwrap().0
}

fn cut(epoch: u64, conninfo: &str) -> Durable {
    let cut = Some(CutMemory { epoch, conninfo: conninfo.to_owned() });
    let members = [(name("pg2"), MemberMemory { cut, ..MemberMemory::default() })].into();
    Durable { epoch, members, ..Durable::default() }
}

/// As `Settings` does it when nothing of the configuration is sealed.
fn rotate(sealer: &Sealer, store: &Store, folder: &Path) -> usize {
    sealer.begin_rotation().unwrap();
    let mut stored = Beside::new(folder).sealed().unwrap();
    let rows = store.failover().unwrap();
    stored.extend(rows.values().flatten().flat_map(Durable::sealed).map(str::to_owned));
    sealer.finish_rotation(stored.iter().map(String::as_str)).unwrap()
}

#[tokio::test]
async fn whom_a_standby_followed_opens_after_the_key_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (store, sealer) = (store(folder.path()), Sealer::new(folder.path(), None));
    let (group, member) = (name("main"), name("pg2"));
    let start = || Memory::new(&group, &store, &sealer, folder.path());
    let opened = async |memory: &Memory, durable: &Durable| {
        let sealed = Sealed(durable.sealed().next().unwrap().to_owned());
        memory.open(&member, &sealed).await.unwrap().expose().to_owned()
    };

    // Replaced after it was told and before it is cut: nothing stored names the former key.
    let memory = start();
    memory.load().await.unwrap();
    let told = memory.seal(&member, Secret::new("host=pg1")).await.unwrap();
    assert_eq!(rotate(&sealer, &store, folder.path()), 0);
    let durable = cut(2, &told);
    assert!(memory.commit(&durable, &[]).await);
    assert_eq!(opened(&memory, &durable).await, "host=pg1");
    let undo = std::fs::read_to_string(folder.path().join("failover/main.undo.sql")).unwrap();
    assert!(undo.contains("host=pg1"), "{undo}");

    // Replaced while it is cut: the key that is named stays, until it is written again.
    assert_eq!(rotate(&sealer, &store, folder.path()), 1);
    let memory = start();
    let durable = memory.load().await.unwrap();
    assert_eq!(opened(&memory, &durable).await, "host=pg1");
    assert!(memory.commit(&Durable { epoch: 3, ..durable }, &[]).await);
    assert_eq!(rotate(&sealer, &store, folder.path()), 1, "the former one is not needed any more");
    let memory = start();
    let durable = memory.load().await.unwrap();
    assert_eq!((durable.epoch, opened(&memory, &durable).await.as_str()), (3, "host=pg1"));
}
