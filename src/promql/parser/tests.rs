//! Expressions that are read, and what is said of those that are not.

use super::*;

#[test]
fn reads_and_shows() {
    assert_eq!(parse("up").unwrap().to_string(), "up");
}
