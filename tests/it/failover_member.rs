//! What asks and commands one member of a failover group, against real servers.

use std::time::Duration;

use holdfast::logic::failover::Answer;
use holdfast::model::failover::lsn::Lsn;
use holdfast::model::failover::sighting::{FailureClass, Standing};
use holdfast::targets::postgres::member::{Look, MemberAction, MemberLink, Peer, undo_cut};
use rustix::process::Signal;
use tokio::time::Instant;

use super::support::member::*;
use super::support::postgres::Postgres;
use super::support::wait_for_refusal;

#[tokio::test(flavor = "multi_thread")]
async fn a_look_shows_who_leads_and_who_follows_whom() {
    let primary = Postgres::member("");
    let standby = Postgres::follower(&primary, "pg2", "");
    let (mut one, mut two) = (link(&primary), link(&standby));
    let seen = look(&mut one, Look { fresh: true, canary: true }).await;
    assert!(seen.conninfo.is_none() && seen.problem.is_none());
    let first = answered(seen);
    assert_eq!((first.timeline, first.ancestry.as_deref(), first.version), (1, Some(&[][..]), 150_000));
    assert_eq!(
        (first.canary, first.read_only, first.other_agent, first.manager.as_deref()),
        (Some(true), false, false, None)
    );
    let Standing::Primary { lsn, followers } = &first.standing else { panic!("{first:?}") };
    assert!(*lsn > Lsn(0));
    assert_eq!(followers.len(), 1, "{followers:?}");
    let follower = &followers[0];
    assert_eq!((follower.application_name.as_str(), follower.slot.as_deref()), ("pg2", Some("pg2")));
    assert!(follower.streaming && !follower.sync && follower.flushed > Lsn(0));

    let seen = look(&mut two, FRESH).await;
    assert!(!format!("{seen:?} {two:?}").contains("heim"), "{seen:?}");
    let conninfo = seen.conninfo.clone().expect("the first look tells it");
    assert!(conninfo.expose().contains("ge heim"));
    let second = answered(seen);
    assert_eq!((second.system_id, second.timeline), (first.system_id, 1));
    let Standing::Standby { streaming, receiver, upstream, delayed, .. } = &second.standing else {
        panic!("{second:?}")
    };
    assert!(*streaming && *receiver && !*delayed);
    let upstream = upstream.as_ref().expect("it follows");
    assert_eq!((upstream.host.as_str(), upstream.port), ("127.0.0.1", primary.port));
    assert_eq!((upstream.application_name.as_str(), upstream.slot.as_deref()), ("pg2", Some("pg2")));
    // Told once; a canary is for primaries.
    let seen = look(&mut two, CANARY).await;
    assert!(seen.conninfo.is_none());
    assert_eq!(answered(seen).canary, None);

    primary.psql("alter system set synchronous_standby_names = 'ANY 1 (pg2)'");
    primary.psql("select pg_reload_conf()");
    let sync = |facts: &holdfast::model::failover::sighting::Facts| match &facts.standing {
        Standing::Primary { followers, .. } => followers.iter().any(|follower| follower.sync),
        Standing::Standby { .. } => false,
    };
    assert_eq!(see_until(&mut one, sync).await.sync_names, "ANY 1 (pg2)");
    standby.psql("select pg_wal_replay_pause()");
    let facts = see(&mut two).await;
    assert!(matches!(facts.standing, Standing::Standby { delayed: true, .. }), "{facts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_cut_restored_repointed_and_promoted() {
    let primary = Postgres::member("");
    let (second, third) = (Postgres::follower(&primary, "pg2", ""), Postgres::follower(&primary, "pg3", ""));
    let (mut one, mut two, mut three) = (link(&primary), link(&second), link(&third));
    let (mut conninfos, mut ids) = (Vec::new(), Vec::new());
    for link in [&mut two, &mut three] {
        let seen = look(link, PLAIN).await;
        conninfos.push(seen.conninfo.clone().expect("told"));
        ids.push(answered(seen).system_id);
    }
    primary.psql("create table t as select generate_series(1, 1000) as id");

    // Cut twice: the second finds it done.
    for _ in 0..2 {
        let Answer::Cut { timeline, received, replayed } = act(&mut two, MemberAction::Cut).await.unwrap()
        else {
            panic!("another answer")
        };
        assert!(timeline == 1 && received >= replayed && replayed > Lsn(0));
    }
    assert_eq!(second.psql("select count(*) from pg_stat_wal_receiver"), "0");
    let seen = see(&mut two).await;
    let Standing::Standby { receiver: false, streaming: false, upstream: None, received, .. } = seen.standing
    else {
        panic!("{seen:?}")
    };
    primary.psql("create table u as select 1 as id");
    let Standing::Primary { lsn, .. } = see(&mut one).await.standing else { panic!("no primary") };
    assert!(lsn > received, "what came after the cut did not arrive");

    // By hand, and by the agent.
    second.script(undo_cut(&conninfos[0]).expose());
    see_until(&mut two, |facts| has_replayed(facts, lsn)).await;
    act(&mut two, MemberAction::Cut).await.unwrap();
    done(&mut two, MemberAction::Restore { conninfo: conninfos[0].clone() }).await;
    assert_eq!(second.psql("show primary_conninfo"), conninfos[0].expose());
    primary.psql("create table v as select 1 as id");
    let Standing::Primary { lsn, .. } = see(&mut one).await.standing else { panic!("no primary") };
    done(&mut two, MemberAction::Replay { lsn }).await;
    let beyond = MemberAction::Replay { lsn: Lsn(u64::MAX) };
    let late = two.act(beyond, within(3_000)).await.unwrap_err();
    assert!(!late.unknown && late.detail.contains("FFFFFFFF"), "{late:?}");

    // A failover: both cut, one promoted although it waits for a standby nobody is.
    second.psql("alter system set synchronous_standby_names = 'ANY 1 (nobody)'");
    second.psql("alter system set default_transaction_read_only = on");
    second.psql("select pg_reload_conf()");
    for link in [&mut two, &mut three] {
        act(link, MemberAction::Cut).await.unwrap();
    }
    done(&mut two, MemberAction::Promote).await;
    done(&mut two, MemberAction::Promote).await;
    let verified = act(&mut two, MemberAction::Verify).await.unwrap();
    let Answer::Verified { system_id, timeline, ancestry, lsn } = verified else { panic!("{verified:?}") };
    assert_eq!((system_id, timeline, ancestry.len(), ancestry[0].timeline), (ids[0], 2, 1, 1));
    let seen = see(&mut two).await;
    assert_eq!((seen.timeline, seen.ancestry.as_ref(), seen.read_only), (2, Some(&ancestry), false));
    assert!(seen.is_primary() && seen.sync_names.is_empty() && lsn >= ancestry[0].at);

    second.psql("select pg_create_physical_replication_slot('pg3', true)");
    let (host, conninfo) = (String::from("127.0.0.1"), conninfos[1].clone());
    done(&mut three, MemberAction::Repoint { host, port: second.port, conninfo }).await;
    let seen = see_until(&mut three, |facts| has_replayed(facts, lsn)).await;
    assert_eq!((seen.timeline, seen.ancestry), (2, Some(ancestry)));
    let told = third.psql("show primary_conninfo");
    assert!(told.contains(r"password='it\'s a ge heim'") && told.contains("application_name=pg3"), "{told}");
    assert_eq!(second.psql("select application_name, state from pg_stat_replication"), "pg3|streaming");
    done(&mut two, MemberAction::SyncNames { names: String::from("ANY 1 (pg3)") }).await;
    assert_eq!(second.psql("show synchronous_standby_names"), "ANY 1 (pg3)");
    second.psql("create table w as select 1 as id");

    // What only a standby can do.
    for action in [MemberAction::Cut, MemberAction::Restore { conninfo: conninfos[0].clone() }] {
        let refused = act(&mut two, action).await.unwrap_err();
        assert!(!refused.unknown && refused.detail.contains("no standby"), "{refused:?}");
    }
    let still = act(&mut three, MemberAction::Verify).await.unwrap_err();
    assert!(still.detail.contains("still a standby"), "{still:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_holds_while_the_primary_is_dead_and_after_it_is_back() {
    let primary = Postgres::member("");
    let standby = Postgres::follower(&primary, "pg2", "");
    let mut two = link(&standby);
    see(&mut two).await;
    primary.signal_all(Signal::STOP);
    // The receiver is connected to a server that hangs.
    let cut = act(&mut two, MemberAction::Cut).await.unwrap();
    assert!(matches!(cut, Answer::Cut { timeline: 1, .. }), "{cut:?}");
    primary.signal_all(Signal::CONT);
    primary.psql("create table after_the_cut as select 1 as id");
    primary.wait_until("select count(*) = 0 from pg_stat_replication");
    assert!(!standby.psql("select to_regclass('after_the_cut') is not null").contains('t'));
    // After a restart nothing tells the timeline but the log itself.
    standby.stop("fast");
    standby.start();
    let facts = see(&mut two).await;
    assert_eq!((facts.timeline, facts.ancestry.as_deref()), (1, Some(&[][..])));
    let cut = act(&mut link(&standby), MemberAction::Cut).await.unwrap();
    assert!(matches!(cut, Answer::Cut { timeline: 1, .. }), "{cut:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_ends_sessions_and_survives_a_restart() {
    let server = Postgres::member("");
    let mut one = link(&server);
    see(&mut one).await;
    server.psql("create table t (id int); grant all on t to public; create role app login");
    let mut stranger = server.psql_in_background("set role app; select pg_sleep(3600)");
    let mut app = server.background_as("app", "begin; insert into t values (1); select pg_sleep(3600)");
    server.wait_until(
        "select count(*) = 2 from pg_stat_activity where query like '%pg_sleep(3600)' and state = 'active'",
    );
    // The superuser's session is beyond the role.
    let fenced = act(&mut one, MemberAction::Fence { epoch: 7 }).await;
    assert_eq!(fenced, Ok(Answer::Fenced { left: 1 }));
    assert!(!app.wait().expect("psql").success(), "the client was ended");
    assert_eq!(server.psql("select count(*) from t"), "0");
    let facts = see(&mut one).await;
    assert_eq!((facts.read_only, facts.fence()), (true, Some(7)));

    let _ = stranger.kill();
    let _ = stranger.wait();
    server.stop("immediate");
    server.start();
    let facts = see(&mut one).await;
    assert_eq!((facts.read_only, facts.fence()), (true, Some(7)));
    let mut writer = server.background_as("app", "insert into t values (2)");
    assert!(!writer.wait().expect("psql").success(), "read-only");
    // Who insists waits at the commit.
    let mut writer = server.background_as("app", "begin read write; insert into t values (3); commit");
    server.wait_until("select count(*) = 1 from pg_stat_activity where wait_event = 'SyncRep'");
    let seen = one.look(CANARY, within(300)).await;
    assert_eq!(answered(seen).canary, Some(false));
    assert_eq!(act(&mut one, MemberAction::Fence { epoch: 8 }).await, Ok(Answer::Fenced { left: 0 }));
    let _ = writer.wait();

    done(&mut one, MemberAction::Unfence { sync_names: String::new() }).await;
    let facts = see(&mut one).await;
    assert_eq!((facts.read_only, facts.fence(), facts.sync_names.as_str()), (false, None, ""));
    server.psql_as("app", "insert into t values (4)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_hangs_is_waited_for_and_not_repeated() {
    let server = Postgres::member("max_connections = 10\n");
    let mut one = link(&server);
    done(&mut one, MemberAction::SyncNames { names: String::from("nobody") }).await;
    // More often than there are connections.
    for _ in 0..9 {
        let seen = one.look(Look { fresh: true, canary: true }, within(700)).await;
        assert_eq!(answered(seen).canary, Some(false));
    }
    let waiting =
        "select count(*) from pg_stat_activity where usename = 'holdfast' and wait_event = 'SyncRep'";
    assert_eq!(server.psql(waiting), "1");
    done(&mut one, MemberAction::SyncNames { names: String::new() }).await;
    assert_eq!(answered(look(&mut one, CANARY).await).canary, Some(true));
    server.wait_until(&format!("({waiting}) = 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_fenced_and_the_look_at_it_goes_on() {
    let server = Postgres::member("");
    let (mut looker, mut actor) = (link(&server), link(&server));
    see(&mut looker).await;
    let pids = "select string_agg(pid::text, ',') from pg_stat_activity where usename = 'holdfast'";
    let looking = server.psql(pids);
    actor.stand_by(within(2000)).await;
    server.psql("alter role holdfast connection limit 2");
    fails(&mut link(&server), PLAIN, FailureClass::Configuration).await;
    assert_eq!(act(&mut actor, MemberAction::Fence { epoch: 3 }).await, Ok(Answer::Fenced { left: 0 }));
    server.wait_until(&format!("({pids}) = '{looking}'"));
    assert_eq!(see(&mut looker).await.fence(), Some(3));
    assert_eq!(server.psql(pids), looking, "on the session of before");
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_waits_for_transactions_and_ends_the_rest_at_once() {
    let primary = Postgres::member("");
    let standby = Postgres::follower(&primary, "pg2", "");
    primary.psql("create table t (id int); grant all on t to public; create role app login");
    let (mut one, mut two) = (link(&primary), link(&standby));
    see(&mut one).await;
    // A transaction that ends within the patience, and one that does not.
    let finishing = "begin; insert into t values (1); select pg_sleep(0.3); commit";
    let mut short = primary.background_as("app", finishing);
    let mut long = primary.background_as("app", "begin; insert into t values (2); select pg_sleep(3600)");
    primary
        .wait_until("select count(*) = 2 from pg_stat_activity where usename = 'app' and state = 'active'");
    let drain = MemberAction::Drain { epoch: 3, drain: Duration::from_secs(2) };
    let drained = act(&mut one, drain).await.unwrap();
    let Answer::Drained { left: 0, lsn } = drained else { panic!("{drained:?}") };
    assert!(short.wait().expect("psql").success(), "it had the time");
    assert!(!long.wait().expect("psql").success());
    let facts = see(&mut one).await;
    assert_eq!((facts.read_only, facts.fence()), (true, Some(3)));
    done(&mut two, MemberAction::Replay { lsn }).await;
    assert_eq!(standby.psql("select string_agg(id::text, ',') from t"), "1");
    assert_eq!(primary.psql("select count(*) from pg_stat_replication"), "1", "the standby streams on");
    done(&mut one, MemberAction::Unfence { sync_names: String::new() }).await;
    primary.psql_as("app", "insert into t values (4)");
}

async fn lost(link: &mut MemberLink) -> FailureClass {
    let lost = tokio::time::timeout(Duration::from_secs(20), link.lost()).await;
    lost.expect("the end of the connection is noticed").class
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_server_has_its_class() {
    let server = Postgres::member("");
    let mut one = link(&server);
    // Without a connection there is nothing to lose, and giving up costs nothing.
    assert!(tokio::time::timeout(Duration::from_millis(20), one.lost()).await.is_err());
    see(&mut one).await;
    assert!(tokio::time::timeout(Duration::from_millis(20), one.lost()).await.is_err());

    server.signal_all(Signal::STOP);
    fails(&mut one, PLAIN, FailureClass::Silent).await;
    fails(&mut one, FRESH, FailureClass::Silent).await;
    server.signal_all(Signal::CONT);
    see(&mut one).await;
    // The first process alone: old connections answer and new ones do not.
    server.signal_postmaster(Signal::STOP);
    answered(one.look(PLAIN, within(1000)).await);
    fails(&mut one, FRESH, FailureClass::Silent).await;
    answered(one.look(PLAIN, within(1000)).await);
    server.signal_postmaster(Signal::CONT);

    for mode in ["fast", "immediate"] {
        see(&mut one).await;
        server.stop(mode);
        assert_eq!(lost(&mut one).await, FailureClass::Stopping, "{mode}");
        fails(&mut one, PLAIN, FailureClass::Refused).await;
        server.start();
        // Nobody waited for the end: the look meets it, and what was said may be lost with
        // the reset that its question earns.
        see(&mut one).await;
        server.stop(mode);
        let met = failure(one.look(PLAIN, within(1000)).await);
        assert!(matches!(met.class, FailureClass::Stopping | FailureClass::Refused), "{met:?}");
        fails(&mut one, PLAIN, FailureClass::Refused).await;
        server.start();
        see(&mut one).await;
        server.stop(mode);
        server.start();
        see(&mut one).await;
    }

    server.signal_all(Signal::KILL);
    assert_eq!(lost(&mut one).await, FailureClass::Reset);
    server.forget_pid();
    fails(&mut one, FRESH, FailureClass::Refused).await;
    server.start();
    see(&mut one).await;
    // The kernel may have taken only the first process; its children say that they go.
    server.signal_postmaster(Signal::KILL);
    assert_eq!(lost(&mut one).await, FailureClass::Reset);
    server.forget_pid();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_ready_or_does_not_want_us_says_so() {
    let server = Postgres::member("hot_standby = off\n");
    for wrong in [
        "password = \"wrong-password\"",
        "password = \"right-password\"\ndatabase = \"nowhere\"",
        "user = \"nobody\"",
        "password = \"right-password\"\ntls = \"require\"",
        "password_env = \"NOT_SET\"",
    ] {
        let mut link = link_of(&section(&server, wrong));
        let failure = failure(link.look(PLAIN, within(1000)).await);
        assert_eq!(failure.class, FailureClass::Configuration, "{wrong}: {failure:?}");
        assert!(!failure.detail.contains("wrong-password"), "{failure:?}");
    }
    let unknown = section_at("nobody.invalid", server.port, "");
    fails(&mut link_of(&unknown), PLAIN, FailureClass::Configuration).await;
    let full = super::support::silent::Full::new();
    let nowhere = section_at("127.0.0.1", full.port(), "");
    fails(&mut link_of(&nowhere), PLAIN, FailureClass::Unreachable).await;
    let silent = super::support::silent::Silent::mute();
    let mute = section_at("127.0.0.1", silent.port(), "");
    fails(&mut link_of(&mute), PLAIN, FailureClass::Silent).await;

    let mut one = link(&server);
    see(&mut one).await;
    server.psql("alter role holdfast connection limit 1");
    see(&mut one).await;
    fails(&mut one, FRESH, FailureClass::Configuration).await;
    // The kept session is still there, and does what no other could.
    done(&mut one, MemberAction::SyncNames { names: String::new() }).await;
    server.psql("alter role holdfast connection limit -1");
    server.stop("fast");
    server.append("standby.signal", "");
    server.start();
    fails(&mut one, PLAIN, FailureClass::Recovering).await;
    wait_for_end(server);
}

fn wait_for_end(server: Postgres) {
    let port = server.port;
    drop(server);
    wait_for_refusal(port);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_standbys_promoted_apart_differ_by_their_forks() {
    let primary = Postgres::member("");
    let (second, third) = (Postgres::follower(&primary, "pg2", ""), Postgres::follower(&primary, "pg3", ""));
    let (mut two, mut three) = (link(&second), link(&third));
    see(&mut two).await;
    act(&mut two, MemberAction::Cut).await.unwrap();
    primary.psql("create table t as select 1 as id");
    let lsn = primary.psql("select pg_current_wal_flush_lsn()").parse().unwrap();
    done(&mut three, MemberAction::Replay { lsn }).await;
    act(&mut three, MemberAction::Cut).await.unwrap();
    // Promoted before the eyes of a kept session, and before nobody's.
    second.promote();
    third.promote();
    let (two, three) = (see(&mut two).await, see(&mut three).await);
    assert_eq!((two.timeline, three.timeline), (2, 2));
    let (two, three) = (two.ancestry.expect("read"), three.ancestry.expect("read"));
    assert_eq!((two.len(), three.len(), two[0].timeline, three[0].timeline), (1, 1, 1, 1));
    assert!(two[0].at < three[0].at, "{two:?} {three:?}");
    let file = second.psql("select pg_read_file('pg_wal/00000002.history')");
    assert!(file.contains(&two[0].at.to_string()), "{file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_read_by_every_way_of_logging_in() {
    let server = Postgres::prepared("ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n");
    let authority = server.certificate("localhost");
    server.start();
    server.psql(
        "create role holdfast login replication password 'right-password'; grant pg_monitor to holdfast",
    );
    server.stop("fast");
    server.append("standby.signal", "");
    server.start();
    server.promote();
    let trusting = format!("tls = \"verify-full\"\ntls_ca_file = \"{authority}\"");
    let read = async |tls: &str, password: &str| {
        let section = section_at("localhost", server.port, &format!("password = \"{password}\"\n{tls}"));
        see(&mut link_of(&section)).await.ancestry
    };
    for tls in ["tls = \"disable\"", "tls = \"prefer\"", "tls = \"require\"", trusting.as_str()] {
        assert_eq!(read(tls, "right-password").await.map(|forks| forks.len()), Some(1), "{tls}");
    }
    for (method, storage) in [("md5", "md5"), ("password", "scram-sha-256")] {
        let rules = std::fs::read_to_string(server.data().join("pg_hba.conf")).unwrap();
        std::fs::write(
            server.data().join("pg_hba.conf"),
            rules.replace("scram-sha-256", method).replace(" md5", &format!(" {method}")),
        )
        .unwrap();
        server.psql(&format!(
            "set password_encryption = '{storage}'; alter role holdfast password 'right-password'"
        ));
        server.psql("select pg_reload_conf()");
        assert_eq!(read("", "right-password").await.map(|forks| forks.len()), Some(1), "{method}");
    }
    // Without the right the facts are there and the history is not.
    server.psql("alter role holdfast noreplication");
    assert_eq!(read("", "right-password").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_could_not_be_sent_says_nothing_of_commits() {
    let server = Postgres::member("");
    let mut one = link(&server);
    see(&mut one).await;
    // The kept session is the only one that there is room for.
    server.psql("alter role holdfast connection limit 1");
    assert_eq!(answered(look(&mut one, CANARY).await).canary, None);
    server.psql("alter role holdfast connection limit -1");
    assert_eq!(answered(look(&mut one, CANARY).await).canary, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_agents_managers_and_clients_that_go_around_are_noticed() {
    let server = Postgres::member("");
    let (mut one, mut other) = (link(&server), link(&server));
    assert!(!see(&mut one).await.other_agent);
    let facts = see(&mut other).await;
    assert!(facts.other_agent);
    assert_eq!((facts.manager, facts.bypass), (None, 0));
    drop(one);
    see_until(&mut other, |facts| !facts.other_agent).await;
    // Its own session, ended by somebody: the lock is not taken for another's.
    server.psql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'holdfast'");
    assert!(!see(&mut other).await.other_agent);

    // The server keeps the lock for each database by itself; the other is noticed all the same.
    let mut elsewhere = link_of(&section(&server, "password = \"right-password\"\ndatabase = \"template1\""));
    assert!(see(&mut elsewhere).await.other_agent);
    assert!(!see(&mut other).await.other_agent);
    drop(elsewhere);

    let mut patroni = server.psql_in_background("set application_name = 'Patroni'; select pg_sleep(3600)");
    let mut local = server.background_at_socket("select pg_sleep(3600)");
    server.wait_until("select count(*) = 2 from pg_stat_activity where query like '%pg_sleep(3600)' and state = 'active' and pid <> pg_backend_pid()");
    let seen = answered(look(&mut other, FRESH).await);
    assert_eq!((seen.manager.as_deref(), seen.bypass), (Some("patroni"), 1));
    for child in [&mut patroni, &mut local] {
        let _ = child.kill();
        let _ = child.wait();
    }
    server.psql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(3600)'");
    server.psql("create schema repmgr");
    assert_eq!(answered(look(&mut other, FRESH).await).manager.as_deref(), Some("repmgr"));
}

fn peer(name: &str) -> Peer {
    Peer { name: self::name(name), application_name: None, slot: None }
}

async fn codes(server: &Postgres, own: &str, peers: &[Peer]) -> Vec<&'static str> {
    let findings = link(server).check(&name(own), peers, within(10_000)).await;
    findings.iter().map(|finding| finding.code).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_check_prints_makes_its_findings_vanish() {
    let primary = Postgres::primary("max_wal_senders = 2\nwal_retrieve_retry_interval = 5s\n");
    // A statement of the check that wrote something would fail.
    primary.psql("alter role holdfast set default_transaction_read_only = on");
    primary.psql("alter system set synchronous_standby_names = 'ANY 1 (pg2, gone)'");
    primary.psql("select pg_reload_conf()");
    let pg2 =
        Peer { application_name: Some(String::from("pg2")), slot: Some(String::from("pg2")), ..peer("pg2") };
    let peers = [pg2, peer("pg-3")];
    let findings = link(&primary).check(&name("pg1"), &peers, within(10_000)).await;
    let codes_found: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    let rights = ["monitor", "signal", "promote", "reload", "parameters", "replication"];
    let settings = ["retry_interval", "rewind", "senders", "slot", "slot", "own_slot", "sync_names"];
    assert_eq!(codes_found, [&rights[..], &settings].concat());
    assert!(findings.iter().filter(|finding| rights.contains(&finding.code)).all(|finding| finding.blocking));
    for finding in &findings {
        // Nobody is there for whom a commit could wait.
        let sql = finding.sql.as_ref().expect("every one has its statement");
        primary.script(&format!("set synchronous_commit = local;\n{sql}"));
    }
    primary.stop("fast");
    primary.start();
    assert_eq!(codes(&primary, "pg1", &peers).await, [] as [&str; 0]);
    // A fence is the agent's own: nobody is told to lift it.
    primary.psql("alter system set synchronous_standby_names = 'holdfast_fence_e2'");
    primary.psql("select pg_reload_conf()");
    primary.wait_until("select current_setting('synchronous_standby_names') = 'holdfast_fence_e2'");
    assert_eq!(codes(&primary, "pg1", &peers).await, [] as [&str; 0]);
    primary.psql("alter system set synchronous_standby_names = ''");
    primary.psql("select pg_reload_conf()");

    let standby = Postgres::follower(
        &primary,
        "pg4",
        "recovery_min_apply_delay = 1s\nwal_retrieve_retry_interval = 5s\n",
    );
    let twin = Peer { application_name: Some(String::from("pg4")), ..peer("pg5") };
    standby.psql("select pg_create_physical_replication_slot('pg5', true)");
    let found = link(&standby).check(&name("pg6"), std::slice::from_ref(&twin), within(10_000)).await;
    assert!(!format!("{found:?}").contains("heim"));
    let codes_found: Vec<_> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes_found, ["retry_interval", "delay", "application_name"]);
    for finding in &found {
        standby.script(finding.sql.as_ref().expect("every one has its statement"));
    }
    assert_eq!(codes(&standby, "pg6", &[twin]).await, [] as [&str; 0]);
    primary.wait_until("select count(*) = 1 from pg_stat_replication where application_name = 'pg6'");
    // Nobody may replicate from here: the history could not be read.
    let hba = primary.data().join("pg_hba.conf");
    let rules = std::fs::read_to_string(&hba).unwrap();
    std::fs::write(&hba, format!("host replication holdfast all reject\n{rules}")).unwrap();
    primary.psql("select pg_reload_conf()");
    assert_eq!(codes(&primary, "pg1", &peers).await, ["history"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_does_not_sleep_through_its_signal_and_a_drain_is_quick() {
    let primary = Postgres::member("");
    let standby = Postgres::follower(&primary, "pg2", "wal_retrieve_retry_interval = 30s\n");
    let (mut one, mut two) = (link(&primary), link(&standby));
    see(&mut one).await;
    let (mut idle, mut count) = (Vec::new(), 0);
    for _ in 0..20 {
        let mut client = link(&primary);
        count += u32::from(see(&mut client).await.other_agent);
        idle.push(client);
    }
    assert_eq!(count, 20);
    let asked = Instant::now();
    let drain = MemberAction::Drain { epoch: 1, drain: Duration::from_secs(5) };
    let Ok(Answer::Drained { left: 0, lsn }) = act(&mut one, drain).await else { panic!("not drained") };
    assert!(asked.elapsed() < Duration::from_secs(4), "the idle do not wait: {:?}", asked.elapsed());
    done(&mut two, MemberAction::Replay { lsn }).await;
    eprintln!("drain and replay: {:?}", asked.elapsed());
    // The receiver dies, and the startup process goes to sleep for 30 s.
    primary.signal_all(Signal::KILL);
    primary.forget_pid();
    see_until(&mut two, |facts| matches!(facts.standing, Standing::Standby { receiver: false, .. })).await;
    let asked = Instant::now();
    act(&mut two, MemberAction::Cut).await.unwrap();
    eprintln!("cut: {:?}", asked.elapsed());
    done(&mut two, MemberAction::Promote).await;
    assert!(asked.elapsed() < Duration::from_secs(9), "{:?}", asked.elapsed());
    act(&mut two, MemberAction::Verify).await.unwrap();
    eprintln!("cut, promote and verify: {:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_costs_little() {
    let primary = Postgres::member("");
    let standby = Postgres::follower(&primary, "pg2", "");
    for server in [&primary, &standby] {
        let mut link = link(server);
        see(&mut link).await;
        let (before, theirs) = (own_ticks(), server.processor_ticks());
        let asked = Instant::now();
        for _ in 0..1000 {
            see(&mut link).await;
        }
        let (ours, theirs) = (own_ticks() - before, server.processor_ticks() - theirs);
        // Ticks of 10 ms; the tests beside this one count as well, so it is not asserted.
        eprintln!("1000 looks: {:?}, agent {} ms, server {} ms", asked.elapsed(), ours * 10, theirs * 10);
    }
}

fn own_ticks() -> u64 {
    super::support::postgres::ticks(std::process::id())
}
