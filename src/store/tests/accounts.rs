//! Rows of tokens, users and sessions: their bytes, their uses, their return.

use std::time::Duration;

use super::*;
use crate::base::time::Clock as _;
use crate::model::access::Scope;
use crate::store::record::decode;
use crate::store::tests::{block, clock, open, options};
use crate::store::{Change, Store};

fn pinned<T: Record + PartialEq + std::fmt::Debug>(record: &T, hex: &str) {
    let bytes: String = Raw::encode(record).bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, hex, "{}", T::NAME);
    assert_eq!(decode::<T>(Raw::encode(record).bytes()).as_ref(), Ok(record));
}

fn user() -> User {
    User {
        name: String::from("eva"),
        role: Role::Operator,
        password: PasswordHash { salt: [1; 16], digest: [2; 32], memory: 64, passes: 2, lanes: 1 },
        created_at: Timestamp(1),
        password_at: Timestamp(2),
    }
}

fn session(id: &str) -> Session {
    Session {
        id: id.to_owned(),
        digest: [3; 32],
        holder: Holder::User(String::from("eva")),
        created_at: Timestamp(1),
        expires_at: Timestamp(2),
    }
}

fn token(id: &str) -> Token {
    Token {
        id: id.to_owned(),
        name: String::from("ci"),
        digest: [4; 32],
        scopes: vec![Scope::Admin],
        created_at: Timestamp(1),
        expires_at: None,
    }
}

#[test]
fn the_bytes_of_each_record_are_pinned() {
    let (salt, digest) = ("01".repeat(16), "02".repeat(32));
    pinned(&UserRecord::of(&user()), &format!("01086f70657261746f72{salt}{digest}4002010204"));
    pinned(&SessionRecord::of(&session("a")), &format!("01{}0003657661{}", "03".repeat(32), "0204"));
    pinned(&UseRecord { at: -1 }, "0101");
    assert_eq!(UserRecord::of(&user()).user("eva"), user());
    assert_eq!(SessionRecord::of(&session("a")).session("a"), session("a"));
}

fn write(store: &Store, writes: Vec<Write>) {
    block(store.commit(Change { writes, audit: None })).unwrap();
}

#[test]
fn rows_come_back_and_uses_ride_along_with_the_next_change_and_the_close() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    write(&store, vec![Write::PutToken(token("t")), Write::PutUser(user()), Write::PutSession(session("s"))]);
    let now = clock.now();
    let commits = store.stats().commits_total;
    store.accounts().tokens["t"].touch(now);
    store.accounts().tokens["t"].touch(now.plus(Duration::from_millis(999)));
    assert_eq!(store.accounts().tokens["t"].used(), Some(now));
    assert_eq!(store.stats().commits_total, commits, "a use is no commit");
    // A crash from here on forgets the use; with a change it is kept.
    write(&store, vec![Write::PutSession(session("u"))]);
    drop(store);
    let (store, _) = open(&options, &clock);
    let accounts = store.accounts();
    assert_eq!(accounts.tokens["t"].used(), Some(now));
    assert_eq!(*accounts.users["eva"], user());
    assert_eq!(accounts.sessions.keys().collect::<Vec<_>>(), ["s", "u"]);
    assert_eq!(accounts.sessions["s"].used(), None);
    accounts.sessions["s"].touch(now);
    block(store.close(1)).unwrap();
    drop((store, accounts));
    let (store, _) = open(&options, &clock);
    assert_eq!(store.accounts().sessions["s"].used(), Some(now));
    write(
        &store,
        vec![
            Write::DeleteSession { id: String::from("s") },
            Write::DeleteToken { id: String::from("t") },
            Write::DeleteUser { name: String::from("eva") },
        ],
    );
    drop(store);
    let (store, _) = open(&options, &clock);
    let accounts = store.accounts();
    assert!(accounts.tokens.is_empty() && accounts.users.is_empty() && accounts.sessions.len() == 1);
    // The id of a row that is gone has no past.
    write(&store, vec![Write::PutSession(session("s"))]);
    assert_eq!(store.accounts().sessions["s"].used(), None);
}
