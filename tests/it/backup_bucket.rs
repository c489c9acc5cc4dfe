//! Backups in a real bucket: uploaded, listed, fetched, kept to the newest, and not lost when
//! the bucket is away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use holdfast::base::time::Timestamp;
use holdfast::config::Config;
use holdfast::config::load::{Sources, load_text};
use holdfast::config::origin::Origin;
use holdfast::config::overlay::{Change, Overlay, patched};
use holdfast::config::reserved::permitted;
use holdfast::runtime::supervisor::Supervisor;
use holdfast::targets::object_store::shelf::{BucketShelf, PART};
use hyper::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::app::TestApp;
use crate::support::client::{Answer, Ask};
use crate::support::garage::{BUCKET, Garage, SECRET};
use crate::support::probing::surroundings;
use crate::support::s3_door::{Fault, S3Door};

const PREFIX: &str = "holdfast/test/";

fn config(garage: &Garage, more: &str) -> String {
    let target = garage.section(&format!("bucket = \"{BUCKET}\"\nsecret_access_key = \"{SECRET}\""));
    format!("{target}\n[backup]\ntarget = \"s3\"\nprefix = \"{PREFIX}\"\n{more}\n")
}

async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    app.ask_as_admin(Ask::post(path, "application/json", body.to_string())).await
}

/// Makes a backup a minute later than the one before; its id.
async fn create(app: &TestApp) -> String {
    app.clock.advance(Duration::from_secs(60));
    let made = post(app, "/api/v1/backups", &json!({})).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["places"], json!(["directory"]), "no server is waited for");
    made.json()["id"].as_str().unwrap().to_owned()
}

async fn upload(app: &TestApp) -> bool {
    app.backups.get().unwrap().upload_due().await
}

async fn places(app: &TestApp, id: &str) -> Value {
    let list = app.get("/api/v1/backups").await.json();
    assert_eq!(list["problem"], Value::Null, "{list}");
    let item = list["items"].as_array().unwrap().iter().find(|item| item["id"] == id).cloned();
    let alone = app.get(&format!("/api/v1/backups/{id}")).await;
    assert_eq!(item.is_some(), alone.status == 200, "{alone:?}");
    item.map_or(Value::Null, |item| {
        assert_eq!(item, alone.json());
        item["places"].clone()
    })
}

fn folder(app: &TestApp) -> PathBuf {
    app.socket.parent().unwrap().join("backups")
}

fn forget(app: &TestApp, id: &str) {
    std::fs::remove_file(folder(app).join(format!("holdfast-{id}.redb"))).unwrap();
    std::fs::remove_file(folder(app).join(format!("holdfast-{id}.json"))).unwrap();
}

fn keys_of(ids: &[&str]) -> Vec<String> {
    let names =
        ids.iter().flat_map(|id| ["json", "redb"].map(|ending| format!("{PREFIX}holdfast-{id}.{ending}")));
    names.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_are_in_the_bucket_and_come_back() {
    let garage = Garage::start();
    let app = TestApp::with(&config(&garage, "keep = 2")).await;
    let client = garage.client();
    let first = create(&app).await;
    assert!(upload(&app).await);
    assert_eq!(client.keys().await, keys_of(&[&first]));
    assert_eq!(places(&app, &first).await, json!(["directory", "object_store"]));

    // What is not ours stays, and what was begun and never ended goes.
    let foreign = [
        format!("{PREFIX}holdfast-notes.redb"),
        format!("{PREFIX}notes.txt"),
        String::from("z/holdfast-1.redb"),
    ];
    for key in &foreign {
        client.put_bytes(key, Bytes::from_static(b"mine")).await;
    }
    client.begin_upload(&format!("{PREFIX}holdfast-{first}.redb")).await;
    client.begin_upload(&foreign[1]).await;
    let (second, third) = (create(&app).await, create(&app).await);
    assert!(upload(&app).await);
    let mut expected = [keys_of(&[&second, &third]), foreign.to_vec()].concat();
    expected.sort();
    assert_eq!(client.keys().await, expected);
    assert_eq!(client.uploads().await, [foreign[1].clone()]);
    assert_eq!(places(&app, &first).await, Value::Null);

    // One that only the bucket has is fetched before anything is done with it.
    forget(&app, &second);
    assert_eq!(places(&app, &second).await, json!(["object_store"]));
    let dry = post(&app, &format!("/api/v1/backups/{second}/restore"), &json!({"dry_run": true})).await;
    assert_eq!(dry.status, 200, "{dry:?}");
    assert_eq!(places(&app, &second).await, json!(["directory", "object_store"]));
    assert_eq!(
        post(&app, &format!("/api/v1/backups/{second}/verify"), &json!({})).await.json()["valid"],
        true
    );
    forget(&app, &second);
    let file = app.ask_as_admin(Ask::get(&format!("/api/v1/backups/{second}/file"))).await;
    assert_eq!((file.status, file.body), (200, client.get(&keys_of(&[&second])[1]).await));

    // One byte of it was flipped there.
    forget(&app, &second);
    let key = &keys_of(&[&second])[1];
    let mut bytes = client.get(key).await.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    client.put_bytes(key, Bytes::from(bytes)).await;
    for what in ["verify", "restore"] {
        let refused = post(&app, &format!("/api/v1/backups/{second}/{what}"), &json!({})).await;
        assert_eq!((refused.status, refused.problem().as_str()), (422, "backup_invalid"), "{refused:?}");
        assert!(refused.json()["detail"].as_str().unwrap().contains("sha256"), "{refused:?}");
    }
    let left = std::fs::read_dir(folder(&app)).unwrap().count();
    assert_eq!(
        (left, places(&app, &second).await),
        (2, json!(["object_store"])),
        "the third and its manifest"
    );

    let removed = app.ask_as_admin(Ask::new(Method::DELETE, &format!("/api/v1/backups/{third}"))).await;
    assert_eq!((removed.status, places(&app, &third).await), (204, Value::Null));
    assert!(!client.keys().await.iter().any(|key| key.contains(&third)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_is_told_and_what_it_lacks_follows() {
    let mut garage = Garage::start();
    let app = TestApp::with(&config(&garage, "")).await;
    garage.kill();
    let (first, second) = (create(&app).await, create(&app).await);
    assert!(!upload(&app).await && !upload(&app).await);
    app.backups.get().unwrap().tick().await;
    let value = |key: &str| app.store().latest(key).map(|(_, value)| value);
    assert_eq!(value("holdfast_backup_upload_failures_total"), Some(2.0));
    assert_eq!(value("holdfast_backup_upload_failed"), Some(1.0));
    assert_eq!(value("holdfast_backup_upload_last_success_timestamp_seconds"), None);
    app.round().await;
    let alerts = app.get("/api/v1/monitoring/alerts").await.json().to_string();
    assert!(alerts.contains("backup_upload_failed"), "{alerts}");

    let list = app.get("/api/v1/backups").await.json();
    assert_eq!(list["total"], 2);
    assert!(list["problem"].as_str().unwrap().contains("127.0.0.1"), "{list}");
    assert_eq!(
        post(&app, &format!("/api/v1/backups/{first}/verify"), &json!({})).await.json()["valid"],
        true
    );
    let removed = app.ask_as_admin(Ask::new(Method::DELETE, &format!("/api/v1/backups/{first}"))).await;
    assert_eq!((removed.status, removed.problem().as_str()), (503, "object_store_unavailable"));
    let unknown = app.get("/api/v1/backups/20200101T000000Z").await;
    assert_eq!(unknown.status, 503, "it may be there: {unknown:?}");

    garage.launch();
    assert!(upload(&app).await);
    app.backups.get().unwrap().tick().await;
    assert_eq!(garage.client().keys().await, keys_of(&[&first, &second]));
    assert_eq!(value("holdfast_backup_upload_failed"), Some(0.0));
    assert!(value("holdfast_backup_upload_last_success_timestamp_seconds").is_some());
    let audit = app.ask_as_admin(Ask::get("/api/v1/audit?limit=1000")).await.json();
    let count = |action: &str| {
        audit["items"].as_array().unwrap().iter().filter(|row| row["action"] == action).count()
    };
    assert_eq!((count("backup.upload"), count("backup.upload_failed")), (2, 1), "{audit}");
}

async fn shelf(document: &str) -> BucketShelf {
    let config: Config = toml::from_str(document).unwrap();
    let around = surroundings();
    let supervisor: &Supervisor = &around.supervisor;
    let deadline = Instant::now() + Duration::from_secs(10);
    let section = &config.target.object_store[0];
    BucketShelf::open(section, String::from(PREFIX), &BTreeMap::new(), supervisor, deadline).await.unwrap()
}

fn write(path: &Path, length: usize) -> Vec<u8> {
    let bytes: Vec<u8> = (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(path, &bytes).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_many_parts_is_whole_or_not_there() {
    let garage = Garage::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let shelf = shelf(&config(&garage, "")).await;
    let deadline = || Instant::now() + Duration::from_secs(10);
    for length in [0, PART - 1, PART, 2 * PART + 5] {
        let bytes = write(&path, length);
        shelf.put_file("file", &path).await.unwrap();
        let listed = shelf.list(deadline()).await.unwrap();
        assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].bytes), (1, "file", length as u64));
        let mut fetched = Vec::new();
        while fetched.len() < length {
            let wanted = PART.min(length - fetched.len());
            fetched.extend(shelf.get_part("file", fetched.len() as u64, wanted).await.unwrap());
        }
        assert!(fetched == bytes, "{length}");
    }
    let beyond = shelf.get_part("file", 2 * PART as u64, 6).await.unwrap_err();
    assert!(beyond.to_string().contains("5 bytes came, 6 were asked for"), "{beyond}");
    assert!(shelf.get("nothing", 10_000, deadline()).await.unwrap().is_none());
    assert!(
        shelf.get("file", 10, deadline()).await.unwrap_err().to_string().contains("larger than 10 bytes")
    );
    shelf.delete("file").await.unwrap();
    shelf.delete("file").await.unwrap();

    let door = S3Door::open(garage.port).await;
    let through = config(&garage, "").replace(&garage.port.to_string(), &door.port.to_string());
    let through = self::shelf(&through).await;
    door.set(Fault::Put(500, "InternalError"));
    let refused = through.put_file("file", &path).await.unwrap_err().to_string();
    assert!(refused.starts_with("upload of part 1 of holdfast/test/file in the object store"), "{refused}");
    assert_eq!(door.requests(), [Method::POST, Method::PUT, Method::PUT, Method::DELETE]);
    let client = garage.client();
    assert!(client.keys().await.is_empty() && client.uploads().await.is_empty());
}

/// Whoever may write targets must not have the whole store sent to one.
#[test]
fn only_an_administrator_says_where_backups_go() {
    let change = Change { by: String::from("token:x"), at: Timestamp(1_795_166_565_250) };
    let by = Origin::Runtime { by: change.by.clone(), at: change.at };
    let store = json!({"target": {"object_store": {"mine": {
        "endpoint": "http://127.0.0.1:1", "bucket": "b", "access_key_id": "k", "secret_access_key": "s"
    }}}});
    let before = load_text(Sources::default(), "h.toml", "", Overlay::default()).unwrap();
    let with = patched(&before, &store, &change).unwrap();
    assert!(permitted(&before, &with, &by, false).is_ok());
    let led = patched(&with, &json!({"backup": {"target": "mine"}}), &change).unwrap();
    let refused = permitted(&with, &led, &by, false).unwrap_err().to_string();
    assert!(refused.contains("key backup.target: decides where backups go"), "{refused}");
    assert!(permitted(&with, &led, &by, true).is_ok());
    // Nor may that target be moved, though its secret is set anew with it.
    let moved = json!({"target": {"object_store": {"mine": {"endpoint": "http://127.0.0.1:2", "secret_access_key": "t"}}}});
    let moved = patched(&led, &moved, &change).unwrap();
    assert!(permitted(&led, &moved, &by, false).is_err() && permitted(&led, &moved, &by, true).is_ok());
    for section in [json!({"prefix": "x/"}), json!({"passphrase_file": "/etc/hostname"})] {
        let next = patched(&before, &json!({"backup": section}), &change).unwrap();
        assert!(permitted(&before, &next, &by, false).is_err(), "{section}");
    }
    let unknown = load_text(Sources::default(), "h.toml", "[backup]\ntarget = \"s3\"\n", Overlay::default());
    assert_eq!(
        unknown.unwrap_err().to_string(),
        "h.toml:2:10: key backup.target: `s3` is unknown, expected the name of a [[target.object_store]], of which there is none"
    );
}
