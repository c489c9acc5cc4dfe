//! Links to members of a failover group, and the waiting for what they show.

use std::time::Duration;

use holdfast::base::id::Name;
use holdfast::config::Config;
use holdfast::config::target::postgres::Postgres as Section;
use holdfast::logic::failover::{Answer, CallError};
use holdfast::model::failover::lsn::Lsn;
use holdfast::model::failover::sighting::{Facts, Failure, FailureClass, Sighting, Standing};
use holdfast::targets::postgres::member::{Look, MemberAction, MemberLink, Seen};
use tokio::time::Instant;

use super::postgres::Postgres;
use super::probing::surroundings;

pub const PLAIN: Look = Look { fresh: false, canary: false };
pub const FRESH: Look = Look { fresh: true, canary: false };
pub const CANARY: Look = Look { fresh: false, canary: true };

/// How often is looked before a test gives up.
const TRIES: u32 = 20_000;

/// The section of `server`, with these lines instead of the right password.
pub fn section(server: &Postgres, more: &str) -> Section {
    section_at("127.0.0.1", server.port, more)
}

pub fn section_at(host: &str, port: u16, more: &str) -> Section {
    let text = format!("[[target.postgres]]\nname = \"pg1\"\nhost = \"{host}\"\nport = {port}\n{more}\n");
    let config: Config = toml::from_str(&text).expect("the configuration of the test");
    config.target.postgres.into_iter().next().expect("a section")
}

pub fn link(server: &Postgres) -> MemberLink {
    link_of(&section(server, "password = \"right-password\""))
}

pub fn link_of(section: &Section) -> MemberLink {
    MemberLink::new(section, &surroundings())
}

pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub fn within(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

/// Looks once, with time enough.
pub async fn look(link: &mut MemberLink, want: Look) -> Seen {
    link.look(want, within(10_000)).await
}

#[track_caller]
pub fn answered(seen: Seen) -> Facts {
    match seen.sighting {
        Sighting::Answered(facts) => facts,
        Sighting::Failed(failure) => panic!("{failure:?}"),
    }
}

pub async fn see(link: &mut MemberLink) -> Facts {
    answered(look(link, PLAIN).await)
}

#[track_caller]
pub fn failure(seen: Seen) -> Failure {
    match seen.sighting {
        Sighting::Failed(failure) => failure,
        Sighting::Answered(facts) => panic!("{facts:?}"),
    }
}

/// Looks for a second at most; it is to fail in this class.
pub async fn fails(link: &mut MemberLink, want: Look, class: FailureClass) {
    let failure = failure(link.look(want, within(1000)).await);
    assert_eq!(failure.class, class, "{failure:?}");
}

/// Looks until `wanted` holds.
pub async fn see_until(link: &mut MemberLink, wanted: impl Fn(&Facts) -> bool) -> Facts {
    for _ in 0..TRIES {
        if let Sighting::Answered(facts) = look(link, PLAIN).await.sighting
            && wanted(&facts)
        {
            return facts;
        }
    }
    panic!("waited in vain, last: {:?}", look(link, PLAIN).await);
}

/// Does `action`, with time enough.
pub async fn act(link: &mut MemberLink, action: MemberAction) -> Result<Answer, CallError> {
    link.act(action, within(10_000)).await
}

pub async fn done(link: &mut MemberLink, action: MemberAction) {
    assert_eq!(act(link, action).await, Ok(Answer::Done));
}

/// Streaming and caught up to `lsn`.
pub fn has_replayed(facts: &Facts, lsn: Lsn) -> bool {
    matches!(facts.standing, Standing::Standby { streaming: true, replayed, .. } if replayed >= lsn)
}
