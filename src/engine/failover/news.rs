//! The event that a group has another active member, as an alert.
//!
//! It is raised once per epoch, after the new route is durable; the epoch is part of its
//! key, so that one raised again after a crash is the same one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::time::Timestamp;
use crate::logic::alert::{Raise, Texts};
use crate::model::failover::group::{LastFailover, LossBasis};
use crate::model::severity::Severity;

/// Name of the kind of event.
pub const SWITCHED: &str = "failover_switched";
/// How long the news is shown.
const SHOWN_FOR: Duration = Duration::from_secs(3600);

/// The event; one that an operator asked for is for information only.
pub fn switched(group: &str, last: &LastFailover, now: Timestamp) -> Raise {
    let severity = if last.by_operator { Severity::Info } else { Severity::High };
    let labels = BTreeMap::from(
        [
            ("alertname", SWITCHED),
            ("group", group),
            ("member", last.to.as_str()),
            ("severity", severity.word()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let from = last.from.as_ref().map_or_else(String::new, |from| format!(" in place of {from}"));
    let lost = match last.lost_bytes_bound {
        _ if last.diverged => String::from("What only the former one has is not in this one."),
        Some(_) if last.lost_bytes_basis == LossBasis::Excluded => {
            String::from("Nothing that was acknowledged is lost.")
        }
        Some(bytes) if last.lost_bytes_basis == LossBasis::Measured => {
            format!("{bytes} bytes of the log are lost.")
        }
        Some(bytes) => format!("By the pace of the log, at most about {bytes} bytes of it are lost."),
        None => String::from("How much is lost is not known."),
    };
    Raise {
        key: format!("{SWITCHED}/{group}/{}", last.epoch),
        kind: SWITCHED.to_owned(),
        texts: Texts {
            labels,
            annotations: BTreeMap::new(),
            source: group.to_owned(),
            resource_type: Some(String::from("failover_group")),
            resource_id: Some(group.to_owned()),
            title: format!("{group}: {} is active now", last.to),
            message: format!(
                "The group {group} leads to {}{from} since epoch {}: {}. It had no route for {} ms. {lost}",
                last.to, last.epoch, last.cause, last.outage_ms
            ),
        },
        severity,
        value: None,
        started_at: Some(last.started_at),
        expires_at: now.plus(SHOWN_FOR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_why_how_long_and_what_is_lost() {
        let last = LastFailover {
            from: Some(String::from("pg1")),
            to: String::from("pg2"),
            cause: String::from("pg1 refuses connections"),
            epoch: 7,
            started_at: Timestamp(1000),
            outage_ms: 412,
            by_operator: false,
            lost_bytes_bound: Some(0),
            lost_bytes_basis: LossBasis::Excluded,
            diverged: false,
        };
        let raise = switched("main", &last, Timestamp(2000));
        assert_eq!((raise.key.as_str(), raise.severity), ("failover_switched/main/7", Severity::High));
        assert_eq!(
            raise.texts.message,
            "The group main leads to pg2 in place of pg1 since epoch 7: pg1 refuses connections. It had no route \
             for 412 ms. Nothing that was acknowledged is lost."
        );
        assert_eq!(raise.texts.labels["member"], "pg2");
        let guessed = LastFailover {
            lost_bytes_bound: Some(900),
            lost_bytes_basis: LossBasis::Estimated,
            ..last.clone()
        };
        let text = switched("main", &guessed, Timestamp(2000)).texts.message;
        assert!(text.ends_with("By the pace of the log, at most about 900 bytes of it are lost."), "{text}");
        let asked = switched(
            "main",
            &LastFailover { from: None, diverged: true, by_operator: true, ..last },
            Timestamp(2000),
        );
        assert_eq!(asked.severity, Severity::Info);
        assert!(asked.texts.message.ends_with("What only the former one has is not in this one."));
    }
}
