//! A disk that is really full: a small file system of its own.
//!
//! Mounting needs root. Without it the test says so and checks nothing; the
//! continuous integration runs as root.

use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::model::access::AuditEntry;
use crate::store::file::Disk;
use crate::store::{Change, StoreCondition, Write};

/// A mounted file system, unmounted at the end.
pub struct Mounted {
    pub dir: PathBuf,
    // Holds the image; removed after the unmount.
    _temporary: tempfile::TempDir,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.dir).status();
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

pub fn mount(kind: &str, mebibytes: u64) -> Option<Mounted> {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("mount");
    std::fs::create_dir(&dir).unwrap();
    let target = dir.to_str().unwrap().to_owned();
    let mounted = if kind == "tmpfs" {
        run("mount", &["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "none", &target])
    } else {
        let image = temporary.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        let image = image.to_str().unwrap().to_owned();
        run("mkfs.ext4", &["-q", "-m0", "-O", "^has_journal", &image])
            && run("mount", &["-o", "loop", &image, &target])
    };
    if !mounted {
        eprintln!("NOT CHECKED: a full {kind} cannot be tried, because mounting one is not allowed here");
        return None;
    }
    Some(Mounted { dir, _temporary: temporary })
}

fn change(number: i64) -> Change {
    let audit = AuditEntry {
        at: Timestamp(number),
        who: String::from("test"),
        action: String::from("config.apply"),
        object: String::new(),
        detail: "x".repeat(200),
    };
    Change { writes: vec![Write::PutOverlay(serde_json::json!({ "number": number }))], audit: Some(audit) }
}

fn full_disk(kind: &str) {
    let Some(mounted) = mount(kind, 24) else { return };
    let (options, clock) = (options(&mounted.dir.join("holdfast.redb")), clock());
    let (store, _) = open_on(&options, &clock, Arc::new(Disk)).unwrap();
    // Another program takes most of the space.
    let hog = mounted.dir.join("hog");
    std::fs::write(&hog, vec![1; 17 << 20]).unwrap();
    let mut tick = 0i64;
    let mut run = |ticks: i64| {
        for _ in 0..ticks {
            tick += 1;
            clock.advance(Duration::from_secs(1));
            store.append("host", Timestamp(START + tick * SECOND), &noisy_frame(tick, 50));
        }
        tick
    };
    let mut rounds = 0;
    while store.condition() == StoreCondition::Ok {
        run(120);
        let _ = block(store.flush(0));
        rounds += 1;
        assert!(rounds < 200, "the disk never fills");
    }
    assert_eq!(store.condition(), StoreCondition::DiskFull);
    // Others may take the rest: changes live off the reserve inside the file.
    let rest = std::fs::File::create(mounted.dir.join("rest")).unwrap();
    for chunk in (12..=20).rev() {
        while std::io::Write::write_all(&mut &rest, &vec![2; 1 << chunk]).is_ok() {}
    }
    drop(rest);
    for number in 1..=100 {
        block(store.commit(change(number))).unwrap();
    }
    assert!(matches!(block(store.flush(0)), Err(StoreError::DiskFull)));
    // Hours without space: the oldest samples are shed, memory stays bounded.
    for _ in 0..60 {
        run(300);
        let _ = block(store.flush(0));
    }
    let stats = store.stats();
    let head = crate::store::shared::lock(&store.inner.shared.front).head.stats();
    assert!(stats.samples_shed_total > 0, "{stats:?} {head:?}");
    assert!(head.bytes < 5 << 20, "{head:?}");
    let last = run(0);
    assert_eq!(store.latest("test_value{n=\"0\"}").unwrap().0, Timestamp(START + last * SECOND));
    // Space returns.
    std::fs::remove_file(mounted.dir.join("rest")).unwrap();
    std::fs::remove_file(&hog).unwrap();
    run(30);
    block(store.flush(0)).unwrap();
    assert_eq!(store.condition(), StoreCondition::Ok);
    assert_eq!(store.stats().samples_pending, 0);
    block(store.commit(change(101))).unwrap();
    block(store.close(0)).unwrap();
    drop(store);
    let (store, report) = open(&options, &clock);
    assert!(report.clean && report.moved_aside.is_none());
    assert_eq!(store.overlay()["number"], 101);
    assert_eq!(store.audit(1, 0).unwrap().1, 101);
}

#[test]
fn a_full_tmpfs() {
    full_disk("tmpfs");
}

#[test]
fn a_full_ext4() {
    full_disk("ext4");
}
