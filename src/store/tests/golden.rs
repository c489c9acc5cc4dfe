//! The bytes of every record version, pinned. A failure here means that files in
//! the field would not read: raise the version and keep the old struct instead.

use super::*;
use crate::store::record::{Raw, decode};

/// Encodes to exactly these bytes, and they read back as the same.
fn pinned<T: Record + PartialEq + std::fmt::Debug>(record: &T, hex: &str) {
    let bytes: String = Raw::encode(record).bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, hex, "{}", T::NAME);
    let stored: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    assert_eq!(decode::<T>(&stored).as_ref(), Ok(record));
    for cut in 0..stored.len() {
        assert!(decode::<T>(&stored[..cut]).is_err(), "{} cut at {cut}", T::NAME);
    }
}

#[test]
fn holding_v1() {
    pinned(&Holding { start: 498_657, end: 498_658, len: 900_000 }, "01e1b71ee2b71ea0f736");
}

#[test]
fn token_v1() {
    let token = TokenRecord {
        name: String::from("ci"),
        digest: [0xab; 32],
        scopes: vec![String::from("admin")],
        created_at: 1000,
        expires_at: Some(2000),
    };
    let digest = "ab".repeat(32);
    pinned(&token, &format!("01026369{digest}010561646d696ed00f01a01f"));
    assert_eq!(token.token("x").scopes, [Scope::Admin]);
}

#[test]
fn overlay_v1() {
    pinned(&OverlayRecord { json: String::from("{}") }, "01027b7d");
}

#[test]
fn audit_v1() {
    let [who, action, object, detail] = ["a", "b", "c", "d"].map(String::from);
    pinned(&AuditRecord { at: -1, who, action, object, detail }, "01010161016201630164");
}

fn probe() -> StoredProbe {
    let operation = StoredOperation {
        operation: String::from("get"),
        class: 3,
        code: String::from("503"),
        detail: String::new(),
        latency_ms: 0.5,
    };
    let [target, kind] = ["s3", "object_store"].map(String::from);
    StoredProbe { target, kind, at: 64, class: 3, latency_ms: 1.0, operations: vec![operation] }
}

const PROBE: &str =
    "0273330c6f626a6563745f73746f7265800103000000000000f03f0103676574030335303300000000000000e03f";

#[test]
fn probe_v1() {
    pinned(&probe(), &format!("01{PROBE}"));
}

#[test]
fn flush_v1() {
    let record = FlushRecord { last: 64, samples: vec![1, 0xff], probes: vec![probe()] };
    pinned(&record, &format!("0180010201ff01{PROBE}"));
}

#[test]
fn a_class_of_a_newer_version_is_the_worst() {
    let probe = StoredProbe { class: 77, ..probe() };
    assert_eq!(probe.probe().map(|probe| probe.class), Some(OutcomeClass::Hard));
}
