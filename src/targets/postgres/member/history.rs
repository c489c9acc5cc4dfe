//! A timeline's history file: the forks by which it came about.
//!
//! Each line is `parent<TAB>position<TAB>reason`, oldest first. What does not begin with a
//! number is no fork: the server lets people write comments into these files. Wrong
//! would be to believe a file whose timelines do not rise: it would put a server into a
//! lineage to which it does not belong.

use crate::model::failover::lsn::{Fork, Lsn};

/// Forks in one file: a group that fails over once a day makes this many in three years.
const MAX_FORKS: usize = 1024;

/// Why a file cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHistory {
    #[error(
        "line {0} of the timeline's history is not understood, expected `timeline<TAB>position<TAB>reason`"
    )]
    Line(usize),
    #[error("line {0} of the timeline's history does not come after the line before")]
    Order(usize),
    #[error("the timeline's history has more than {MAX_FORKS} forks")]
    TooLong,
}

/// The forks in the history of timeline `own`, oldest first.
///
/// # Errors
/// [`BadHistory`] naming the line.
pub fn forks(text: &str, own: u32) -> Result<Vec<Fork>, BadHistory> {
    let mut forks: Vec<Fork> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        let parsed = words.next().and_then(|word| word.parse().ok()).zip(words.next());
        let (timeline, position) = parsed.ok_or(BadHistory::Line(at + 1))?;
        let position: Lsn = position.parse().map_err(|_| BadHistory::Line(at + 1))?;
        if timeline >= own || forks.last().is_some_and(|last| last.timeline >= timeline || last.at > position)
        {
            return Err(BadHistory::Order(at + 1));
        }
        if forks.len() == MAX_FORKS {
            return Err(BadHistory::TooLong);
        }
        forks.push(Fork { timeline, at: position });
    }
    Ok(forks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forks_are_read_and_comments_are_not() {
        let text = "# by hand\n\n1\t0/40276B0\tno recovery target specified\n2\t0/5000000\tat a \t tab\n";
        let read = forks(text, 3).unwrap();
        assert_eq!(
            read,
            [Fork { timeline: 1, at: Lsn(0x0402_76B0) }, Fork { timeline: 2, at: Lsn(0x0500_0000) }]
        );
        assert_eq!(forks("", 2), Ok(Vec::new()));
        assert_eq!(forks("1\t0/1\n", 1), Err(BadHistory::Order(1)));
        assert_eq!(forks("2\t0/1\n1\t0/2\n", 3), Err(BadHistory::Order(2)));
        assert_eq!(forks("1\t0/2\n2\t0/1\n", 3), Err(BadHistory::Order(2)));
        for bad in ["1", "x\t0/1", "1\t0", "-1\t0/1", "1\t0/G"] {
            assert_eq!(forks(bad, 9), Err(BadHistory::Line(1)), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_rises(text in "([0-9]{1,2}[\\t ][0-9A-F]/[0-9A-F]{1,4}[\\t ]?[a-z#]{0,3}\n|.{0,9}\n){0,9}") {
            if let Ok(read) = forks(&text, 50) {
                prop_assert!(read.windows(2).all(|two| two[0].timeline < two[1].timeline && two[0].at <= two[1].at));
            }
        }
    }
}
