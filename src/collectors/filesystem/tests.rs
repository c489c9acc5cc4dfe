//! A mount that really hangs: its statvfs blocks until the test lets it go.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use super::*;
use crate::collectors::testing::{self, Tree};

const MOUNTS: &str = "\
1 0 8:1 / / rw - ext4 /dev/a rw
2 1 0:9 / /dead rw - nfs4 nas:/x rw
3 1 8:2 / /data ro - xfs /dev/b rw
";

fn usage(path: &Path) -> Option<Usage> {
    let size = if path.ends_with("data") { 100.0 } else { 10.0 };
    Some(Usage { size, free: 5.0, available: 4.0, files: 3.0, files_free: 2.0 })
}

fn key(name: &str, device: &str, fstype: &str, mountpoint: &str) -> String {
    format!("node_filesystem_{name}{{device=\"{device}\",fstype=\"{fstype}\",mountpoint=\"{mountpoint}\"}}")
}

#[test]
fn a_hung_mount_holds_nothing_up_and_is_asked_once() {
    let tree = Tree::new();
    tree.write("proc/1/mountinfo", MOUNTS);
    let (release, gate) = sync_channel::<()>(0);
    let (gate, calls) = (Mutex::new(gate), Arc::new(Mutex::new(0)));
    let counted = calls.clone();
    let mut collector = FilesystemCollector::with_statvfs(&tree.roots(), move |path| {
        if path.ends_with("dead") {
            *counted.lock().unwrap() += 1;
            gate.lock().unwrap().recv().unwrap();
        }
        usage(path)
    });
    let dead = |name: &str| key(name, "nas:/x", "nfs4", "/dead");
    for _ in 0..3 {
        let frame = testing::collect(&mut collector).unwrap();
        assert_eq!(testing::value(&frame, &dead("device_error")), Some(1.0));
        assert_eq!(testing::value(&frame, &dead("size_bytes")), None);
        let data = |name: &str| testing::value(&frame, &key(name, "/dev/b", "xfs", "/data"));
        assert_eq!((data("size_bytes"), data("readonly")), (Some(100.0), Some(1.0)));
        assert_eq!(frame.len(), 7 + 7 + 1);
    }
    assert_eq!(*calls.lock().unwrap(), 1, "one outstanding call per mount");

    release.send(()).unwrap();
    while collector.outstanding.contains(&tree.path("root/dead")) {
        for late in collector.crew.take_returned() {
            collector.outstanding.remove(&late.job);
        }
        std::thread::yield_now();
    }
    // The mount is asked again; it hangs again, so let it go at once.
    let releaser = std::thread::spawn(move || release.send(()).unwrap());
    let frame = testing::collect(&mut collector).unwrap();
    releaser.join().unwrap();
    assert_eq!(testing::value(&frame, &dead("device_error")), Some(0.0));
    assert_eq!(testing::value(&frame, &dead("size_bytes")), Some(10.0));
}

#[test]
fn a_call_that_fails_or_panics_is_an_error_of_its_mount() {
    let tree = Tree::new();
    tree.write("proc/self/mountinfo", MOUNTS);
    let mut collector = FilesystemCollector::with_statvfs(&tree.roots(), |path| {
        assert!(!path.ends_with("data"), "on purpose");
        if path.ends_with("dead") { None } else { usage(path) }
    });
    let frame = testing::collect(&mut collector).unwrap();
    let error = |device, fstype, mount| testing::value(&frame, &key("device_error", device, fstype, mount));
    assert_eq!(error("/dev/a", "ext4", "/"), Some(0.0));
    assert_eq!(error("nas:/x", "nfs4", "/dead"), Some(1.0));
    assert_eq!(error("/dev/b", "xfs", "/data"), Some(1.0));
}

#[test]
fn a_call_that_outlasts_its_tick_is_not_taken_for_another_mount() {
    let tree = Tree::new();
    let slow: String = (0..8).map(|n| format!("{n} 1 0:{n} / /slow{n} rw - nfs4 nas:/{n} rw\n")).collect();
    tree.write("proc/1/mountinfo", &slow);
    let gate = Arc::new((Mutex::new(false), std::sync::Condvar::new()));
    let (held, calls) = (gate.clone(), Arc::new(Mutex::new(Vec::new())));
    let noted = calls.clone();
    let mut collector = FilesystemCollector::with_statvfs(&tree.roots(), move |path| {
        noted.lock().unwrap().push(path.to_owned());
        drop(held.1.wait_while(held.0.lock().unwrap(), |open| !*open).unwrap());
        usage(path)
    });
    testing::collect(&mut collector).unwrap();
    let begun = calls.lock().unwrap().clone();
    testing::collect(&mut collector).unwrap();
    let again = calls.lock().unwrap()[begun.len()..].iter().filter(|path| begun.contains(path)).count();
    assert_eq!(again, 0, "a path is not asked while its call is out");

    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    tree.write("proc/1/mountinfo", "3 1 8:2 / /data ro - xfs /dev/b rw\n");
    let frame = testing::collect(&mut collector).unwrap();
    assert_eq!(testing::value(&frame, &key("size_bytes", "/dev/b", "xfs", "/data")), Some(100.0));
    assert_eq!(frame.len(), 7);
}
