//! The object store probe against a real S3 server.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::sync_channel;

use holdfast::model::probe::OutcomeClass::{Alive, Hard, Ok as Fine};
use rustix::process::Signal;

use super::support::garage::{BUCKET, Garage, SECRET};
use super::support::probing::{assert_fine, assert_outcome, operation, probe, target, value};
use super::support::tls_door::TlsDoor;

fn right(garage: &Garage, more: &str) -> String {
    garage.section(&format!("bucket = \"{BUCKET}\"\nsecret_access_key = \"{SECRET}\"\n{more}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_a_store_has_its_class_within_the_deadline() {
    let mut garage = Garage::start();
    let mut s3 = target(&right(&garage, ""));
    for _ in 0..2 {
        let probed = probe(&mut *s3).await;
        for operation in ["put", "head", "get", "list", "delete"] {
            assert_outcome(&probed.record, operation, Fine, "");
        }
        assert_eq!(
            value(&probed.frame, "probe_success", &[("target", "s3"), ("kind", "object_store")]),
            Some(1.0)
        );
        assert!(
            value(&probed.frame, "holdfast_probe_operation_duration_seconds", &[("operation", "get")])
                .unwrap()
                > 0.0
        );
    }

    let wrong = garage.section(&format!("bucket = \"{BUCKET}\"\nsecret_access_key = \"wrong-secret\""));
    let probed = probe(&mut *target(&wrong)).await;
    assert_eq!(probed.record.class, Alive, "{:?}", probed.record);
    assert_outcome(&probed.record, "list", Alive, "AccessDenied");
    assert!(!format!("{probed:?}").contains("wrong-secret"));
    let missing = garage.section(&format!("bucket = \"nowhere\"\nsecret_access_key = \"{SECRET}\""));
    assert_outcome(&probe(&mut *target(&missing)).await.record, "get", Alive, "NoSuchBucket");

    // Hung: no answer, on no operation, and all of them in one deadline.
    garage.signal(Signal::STOP);
    let probed = probe(&mut *s3).await;
    assert_outcome(&probed.record, "put", Hard, "timeout");
    assert_outcome(&probed.record, "get", Hard, "not_tried");
    assert_outcome(&probed.record, "delete", Hard, "timeout");
    garage.signal(Signal::CONT);
    assert_fine(&probe(&mut *s3).await.record);

    // Killed: the first operation may still find the connection that was kept.
    garage.kill();
    let record = probe(&mut *s3).await.record;
    assert_eq!(operation(&record, "put").class, Hard);
    assert_outcome(&record, "delete", Hard, "refused");
    garage.launch();
    assert_fine(&probe(&mut *s3).await.record);
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_are_swept_and_nothing_else_is_touched() {
    let garage = Garage::start();
    let bucket = garage.client();
    // Of a cycle that crashed long ago; of another agent; of somebody else.
    let leftover = ".holdfast/canary/test-agent/0000000000000001-0123456789abcdef";
    let others = [
        ".holdfast/canary/other-agent/0000000000000001-0123456789abcdef",
        ".holdfast/canary/test-agent/notes.txt",
        ".holdfast/other",
        "backup.tar",
    ];
    for key in others.iter().chain([&leftover]) {
        assert_eq!(bucket.put(key, b"x").await, 200);
    }
    let mut expected = others.map(String::from);
    expected.sort();
    // Where listing is no operation, it is done for the sweep, and not told.
    for operations in ["", "operations = [\"put\", \"delete\"]"] {
        assert_eq!(bucket.put(leftover, b"x").await, 200);
        let probed = probe(&mut *target(&right(&garage, operations))).await;
        assert_eq!(probed.record.class, Fine, "{:?}", probed.record);
        assert_eq!(bucket.keys().await, expected);
        let listed = probed.record.operations.iter().any(|done| done.operation == "list");
        assert_eq!(listed, operations.is_empty());
    }
}

/// A store that takes and deletes objects, and never answers anything else. Tells
/// of every request by its first line.
fn forgetful() -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, heard) = sync_channel(64);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let told = told.clone();
            std::thread::spawn(move || {
                let mut text = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut text) {
                    let text = String::from_utf8_lossy(&text[..length]).into_owned();
                    let (Some(line), Some(method)) = (text.lines().next(), text.split(' ').next()) else {
                        return;
                    };
                    let _ = match method {
                        "PUT" | "DELETE" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
                        _ => Ok(()),
                    };
                    let _ = told.try_send(line.to_owned());
                }
            });
        }
    });
    (port, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_is_deleted_though_the_store_is_too_slow_for_the_rest() {
    let (port, heard) = forgetful();
    let mut slow = target(&format!(
        "[[target.object_store]]\nname = \"s3\"\nendpoint = \"http://127.0.0.1:{port}\"\nbucket = \"b\"\n\
         access_key_id = \"k\"\nsecret_access_key = \"s\"\ntimeout = \"2s\"\n"
    ));
    let record = probe(&mut *slow).await.record;
    assert_outcome(&record, "put", Fine, "");
    assert_outcome(&record, "head", Hard, "timeout");
    assert_outcome(&record, "get", Hard, "not_tried");
    assert_outcome(&record, "list", Hard, "not_tried");
    let lines: Vec<_> = heard.try_iter().collect();
    let put = lines.iter().find(|line| line.starts_with("PUT ")).unwrap();
    let deleted = put.replacen("PUT", "DELETE", 1);
    assert!(lines.contains(&deleted), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_configured_operations_are_done() {
    let garage = Garage::start();
    let bucket = garage.client();
    let words = |record: &holdfast::model::probe::ProbeRecord| -> Vec<String> {
        record.operations.iter().map(|done| done.operation.clone()).collect()
    };
    // Reading alone: the absence of an object is the healthy answer.
    let probed = probe(&mut *target(&right(&garage, "operations = [\"get\", \"head\", \"list\"]"))).await;
    assert_eq!(
        (words(&probed.record), probed.record.class),
        (vec!["head".into(), "get".into(), "list".into()], Fine),
        "{:?}",
        probed.record
    );
    assert_eq!(bucket.keys().await, Vec::<String>::new());
    // Without DELETE there is one object, however often it is written.
    let mut writing = target(&right(&garage, "operations = [\"put\", \"get\"]"));
    for _ in 0..3 {
        let probed = probe(&mut *writing).await;
        assert_eq!(
            (words(&probed.record), probed.record.class),
            (vec!["put".into(), "get".into()], Fine),
            "{:?}",
            probed.record
        );
    }
    assert_eq!(bucket.keys().await, [".holdfast/canary/test-agent/standing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn https_needs_an_authority_that_is_trusted() {
    let garage = Garage::start();
    let door = TlsDoor::to(garage.port).await;
    let section = |more: &str| {
        right(&garage, more).replace(
            &format!("http://127.0.0.1:{}", garage.port),
            &format!("https://localhost:{}", door.port),
        )
    };
    let trusting = section(&format!("tls_ca_file = \"{}\"", door.certificate.display()));
    let probed = probe(&mut *target(&trusting)).await;
    assert_eq!(probed.record.class, Fine, "{:?}", probed.record);
    assert_outcome(&probe(&mut *target(&section(""))).await.record, "put", Hard, "tls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_is_read_again_and_a_missing_one_is_named() {
    let garage = Garage::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "not-the-key").unwrap();
    let path = file.path().display().to_string();
    let section = garage.section(&format!("bucket = \"{BUCKET}\"\nsecret_access_key_file = \"{path}\""));
    let mut s3 = target(&section);
    assert_eq!(probe(&mut *s3).await.record.class, Alive);
    std::fs::write(file.path(), format!("{SECRET}\n")).unwrap();
    assert_fine(&probe(&mut *s3).await.record);
    drop(file);
    let record = probe(&mut *s3).await.record;
    assert_outcome(&record, "put", Alive, "secret_access_key");
    assert!(record.operations[0].detail.contains(&path));
}
