//! Silences: reading their matchers, and what may become of one.
//!
//! A silence that began is history: changing what it matches ends it and makes another, so
//! that what was muted when stays true. Only its end moves, and the start of one that has
//! not begun. One would get it wrong by taking a silence whose matchers all match an empty
//! label: it would mute every alert that does not have the label.

use std::collections::BTreeMap;

use super::notify::Matching;
use crate::base::time::Timestamp;
use crate::model::selector::{MatchOp, Matcher};
use crate::model::series::is_label_name;
use crate::model::silence::Silence;

/// Silences that are not over. Every alert is tried on each.
pub const MOST: usize = 1000;
/// With those that are over and still stored.
pub const MOST_STORED: usize = 10_000;
const MOST_MATCHERS: usize = 32;
/// Of a matcher's value and of the comment, bytes.
const LONGEST: usize = 4096;

/// Whether a silence mutes at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SilencePhase)]
pub enum Phase {
    Active,
    Pending,
    Expired,
}

/// What somebody asks for.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    pub matchers: Vec<Matcher>,
    /// One in the past means now.
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub created_by: String,
    pub comment: String,
    pub maintenance: bool,
}

/// Why a silence is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Invalid {
    #[error("a silence needs 1 to {MOST_MATCHERS} matchers, found {0}")]
    Matchers(usize),
    #[error("`{0}` is not a label name")]
    Label(String),
    #[error("{0}")]
    Expression(String),
    #[error(
        "at least one matcher must not match the empty text: this one would mute every alert without such a label"
    )]
    MatchesAll,
    #[error("{0} is longer than {LONGEST} bytes")]
    TooLong(&'static str),
    #[error("the start must be before the end")]
    Order,
    #[error("the end is in the past")]
    Ended,
    #[error("there are {0} silences already, and no more are taken")]
    TooMany(usize),
}

/// Why a text is not a matcher.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("bad matcher `{text}`: {reason}")]
pub struct BadMatcher {
    text: String,
    reason: &'static str,
}

/// Reads one matcher: `severity=~"high|critical"`, `target!=pg1`. Without quotes the value is all
/// that follows. Spaces around its parts do not count.
///
/// # Errors
/// [`BadMatcher`] with what was expected.
pub fn matcher(text: &str) -> Result<Matcher, BadMatcher> {
    let bad = |reason| BadMatcher { text: text.chars().take(80).collect(), reason };
    let expected = "expected a label, one of `=`, `!=`, `=~`, `!~`, and a value";
    let at = text.find(['=', '!']).ok_or_else(|| bad(expected))?;
    let (label, rest) = text.split_at(at);
    let label = label.trim();
    if !is_label_name(label) {
        return Err(bad(expected));
    }
    const OPS: [(&str, MatchOp); 4] =
        [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let found = OPS.iter().find_map(|(sign, op)| Some((*op, rest.strip_prefix(sign)?)));
    let (op, value) = found.ok_or_else(|| bad(expected))?;
    let value = value.trim();
    let quoted = value.strip_prefix('"');
    let inner = match quoted {
        Some(rest) => {
            rest.strip_suffix('"').ok_or_else(|| bad("the quotation mark of the value is not closed"))?
        }
        None => value,
    };
    let value =
        unescaped(inner).ok_or_else(|| bad("a quotation mark inside the value needs a `\\` in front"))?;
    if value.len() > LONGEST {
        return Err(bad("the value is too long"));
    }
    Ok(Matcher { label: label.to_owned(), op, value })
}

/// Only `\"`, `\\` and `\n` mean something else: expressions have backslashes of their own.
/// `None` where a quotation mark has none in front, or the last backslash nothing behind it.
fn unescaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return None,
            '\\' => match letters.next()? {
                'n' => out.push('\n'),
                plain @ ('"' | '\\') => out.push(plain),
                other => out.extend(['\\', other]),
            },
            letter => out.push(letter),
        }
    }
    Some(out)
}

/// Reads `severity=~"high|critical", target="pg1"`, with or without braces around it.
///
/// # Errors
/// [`BadMatcher`] of the first that is wrong.
pub fn matchers(text: &str) -> Result<Vec<Matcher>, BadMatcher> {
    let text = text.trim();
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let (mut quoted, mut escaped) = (false, false);
    let parts = inner.split(|letter| {
        let plain = !escaped;
        escaped = plain && letter == '\\';
        quoted ^= plain && letter == '"';
        letter == ',' && !quoted
    });
    let parts: Vec<&str> = parts.map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > MOST_MATCHERS {
        let text = parts[MOST_MATCHERS].chars().take(80).collect();
        return Err(BadMatcher { text, reason: "more than 32 matchers" });
    }
    parts.into_iter().map(matcher).collect()
}

/// A random UUID (version 4).
pub fn id(random: [u8; 16]) -> String {
    let mut bits = u128::from_be_bytes(random);
    bits = bits & !(0xf << 76) | (4 << 76);
    bits = bits & !(0b11 << 62) | (0b10 << 62);
    let text = format!("{bits:032x}");
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

pub fn phase(silence: &Silence, now: Timestamp) -> Phase {
    if silence.ends_at <= now {
        Phase::Expired
    } else if silence.starts_at > now {
        Phase::Pending
    } else {
        Phase::Active
    }
}

/// Whether it mutes an alert with these labels now.
pub fn mutes(silence: &Silence, labels: &BTreeMap<String, String>, now: Timestamp) -> bool {
    phase(silence, now) == Phase::Active
        && !silence.matchers.is_empty()
        && Matching::new(&silence.matchers).is_ok_and(|matching| matching.accepts(labels))
}

fn check(draft: &Draft, now: Timestamp) -> Result<(), Invalid> {
    if draft.matchers.is_empty() || draft.matchers.len() > MOST_MATCHERS {
        return Err(Invalid::Matchers(draft.matchers.len()));
    }
    for Matcher { label, value, .. } in &draft.matchers {
        if !is_label_name(label) {
            return Err(Invalid::Label(label.chars().take(80).collect()));
        }
        if value.len() > LONGEST {
            return Err(Invalid::TooLong("the value of a matcher"));
        }
    }
    let matching = Matching::new(&draft.matchers).map_err(Invalid::Expression)?;
    if matching.accepts(&BTreeMap::new()) {
        return Err(Invalid::MatchesAll);
    }
    for (name, text) in [("the comment", &draft.comment), ("the author", &draft.created_by)] {
        if text.len() > LONGEST {
            return Err(Invalid::TooLong(name));
        }
    }
    if draft.starts_at >= draft.ends_at {
        return Err(Invalid::Order);
    }
    if draft.ends_at <= now { Err(Invalid::Ended) } else { Ok(()) }
}

/// The rows that `draft` comes to: a new silence under `id`, or `previous` changed in place
/// where that does not rewrite what happened; else the end of `previous` comes first. The
/// last row is the silence that was asked for. `stored` are all that there are.
///
/// # Errors
/// [`Invalid`].
pub fn put(
    draft: Draft,
    previous: Option<&Silence>,
    stored: &[Silence],
    now: Timestamp,
    id: String,
) -> Result<Vec<Silence>, Invalid> {
    check(&draft, now)?;
    let starts_at = draft.starts_at.max(now);
    let of = |id: String, starts_at: Timestamp| Silence {
        id,
        matchers: draft.matchers.clone(),
        starts_at,
        ends_at: draft.ends_at,
        created_by: draft.created_by.clone(),
        comment: draft.comment.clone(),
        maintenance: draft.maintenance,
        updated_at: now,
    };
    let previous = previous.map(|known| (known, phase(known, now)));
    if let Some((known, phase)) = previous {
        let same = known.matchers == draft.matchers;
        match phase {
            Phase::Active if same && known.starts_at == draft.starts_at => {
                return Ok(vec![of(known.id.clone(), known.starts_at)]);
            }
            Phase::Pending if same => return Ok(vec![of(known.id.clone(), starts_at)]),
            _ => {}
        }
    }
    let open = stored.iter().filter(|one| phase(one, now) != Phase::Expired).count();
    if open >= MOST || stored.len() >= MOST_STORED {
        return Err(Invalid::TooMany(open));
    }
    let ended = previous.and_then(|(known, _)| expire(known, now));
    Ok(ended.into_iter().chain([of(id, starts_at)]).collect())
}

/// The row that ends a silence now; `None` when it is over.
pub fn expire(silence: &Silence, now: Timestamp) -> Option<Silence> {
    (phase(silence, now) != Phase::Expired).then(|| Silence {
        starts_at: silence.starts_at.min(now),
        ends_at: now,
        updated_at: now,
        ..silence.clone()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn draft(from: i64, to: i64, matchers: &str) -> Draft {
        Draft {
            matchers: super::matchers(matchers).unwrap(),
            starts_at: Timestamp(from),
            ends_at: Timestamp(to),
            created_by: String::from("me"),
            comment: String::new(),
            maintenance: false,
        }
    }

    fn one(from: i64, to: i64) -> Silence {
        let early = Timestamp(0);
        put(draft(from, to, "a=b"), None, &[], early, String::from("old")).unwrap().remove(0)
    }

    #[test]
    fn matchers_are_read() {
        let read = |text: &str| matcher(text).map(|one| (one.label, one.op, one.value));
        for (text, label, op, value) in [
            ("severity=~\"high|critical\"", "severity", MatchOp::Regex, "high|critical"),
            (" a != b c ", "a", MatchOp::NotEqual, "b c"),
            ("a!~x\\.y", "a", MatchOp::NotRegex, "x\\.y"),
            ("a=\"x\\\"\\\\\\n\"", "a", MatchOp::Equal, "x\"\\\n"),
            ("a=", "a", MatchOp::Equal, ""),
            ("a==b", "a", MatchOp::Equal, "=b"),
        ] {
            assert_eq!(read(text), Ok((label.to_owned(), op, value.to_owned())), "{text}");
        }
        for text in ["", "a", "a~", "a!b", "=b", "a b=c", "a=\"b", "a=b\"c", "a=\"b\"c\"", "a=\\"] {
            assert!(matcher(text).unwrap_err().to_string().starts_with("bad matcher `"), "{text}");
        }
        let all = matchers("{ a=~\"b,c\\\",d\", e=f,}").unwrap();
        assert_eq!(all.iter().map(|one| one.value.as_str()).collect::<Vec<_>>(), ["b,c\",d", "f"]);
        assert!(matchers(&"a=b,".repeat(33)).is_err());
        assert_eq!(matchers("").unwrap(), []);
    }

    #[test]
    fn ids_are_uuids() {
        assert_eq!(id([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id([0; 16]), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |draft: Draft| put(draft, None, &[], NOW, String::new()).unwrap_err();
        assert_eq!(refused(draft(0, 2_000_000, "")), Invalid::Matchers(0));
        assert_eq!(refused(draft(0, 2_000_000, "a=~\".*\",b!=c")), Invalid::MatchesAll);
        assert!(matches!(refused(draft(0, 2_000_000, "a=~\"(\"")), Invalid::Expression(_)));
        assert_eq!(refused(draft(5, 5, "a=b")), Invalid::Order);
        assert_eq!(refused(draft(5, 1_000_000, "a=b")), Invalid::Ended);
        let long = Draft { comment: "x".repeat(LONGEST + 1), ..draft(0, 2_000_000, "a=b") };
        assert_eq!(refused(long), Invalid::TooLong("the comment"));
        let all = vec![one(0, 2_000_000); MOST];
        let more = put(draft(0, 2_000_000, "a=b"), None, &all, NOW, String::new());
        assert_eq!(more, Err(Invalid::TooMany(MOST)));
    }

    #[test]
    fn history_is_not_rewritten() {
        let change = |known: &Silence, draft: Draft| {
            let rows = put(draft, Some(known), &[], NOW, String::from("new")).unwrap();
            rows.iter().map(|row| (row.id.clone(), row.starts_at.0, row.ends_at.0)).collect::<Vec<_>>()
        };
        let (old, new) = (String::from("old"), String::from("new"));
        let active = one(500, 2_000_000);
        assert_eq!(phase(&active, NOW), Phase::Active);
        // A longer end of the same is the same silence.
        assert_eq!(change(&active, draft(500, 3_000_000, "a=b")), [(old.clone(), 500, 3_000_000)]);
        // Other matchers, or another start, are another.
        let both = [(old.clone(), 500, 1_000_000), (new.clone(), 1_000_000, 3_000_000)];
        assert_eq!(change(&active, draft(500, 3_000_000, "a=c")), both);
        assert_eq!(change(&active, draft(600, 3_000_000, "a=b")), both);
        // One that has not begun may be moved; one that is over is not revived.
        let pending = one(1_500_000, 2_000_000);
        assert_eq!(change(&pending, draft(1_200_000, 3_000_000, "a=b")), [(old, 1_200_000, 3_000_000)]);
        let over = one(500, 900_000);
        assert_eq!(change(&over, draft(500, 3_000_000, "a=b")), [(new, 1_000_000, 3_000_000)]);
        assert_eq!(expire(&over, NOW), None);
        let ended = expire(&pending, NOW).unwrap();
        assert_eq!((ended.starts_at, phase(&ended, NOW)), (NOW, Phase::Expired));
    }

    #[test]
    fn only_an_active_silence_mutes() {
        let labels = BTreeMap::from([(String::from("a"), String::from("b"))]);
        assert!(mutes(&one(500, 2_000_000), &labels, NOW));
        assert!(!mutes(&one(500, 2_000_000), &BTreeMap::new(), NOW));
        assert!(!mutes(&one(1_500_000, 2_000_000), &labels, NOW));
        assert!(!mutes(&one(500, 900_000), &labels, NOW));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-c=~!\"\\\\,{} n]{0,30}") {
            let _ = (matcher(&text), matchers(&text));
        }

        #[test]
        fn what_is_quoted_comes_back(value in "\\PC{0,20}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("a=\"{quoted}\",b=c");
            let read = matchers(&text).unwrap();
            prop_assert_eq!((read.len(), &read[0].value), (2, &value));
        }
    }
}
