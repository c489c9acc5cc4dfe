//! Regular expressions of matchers and of `label_replace`.
//!
//! As in Prometheus they mean the whole value, and a dot matches a line break too. The
//! small `regex-lite` suffices: values are short, and it too is linear in their length.

use regex_lite::{Regex, RegexBuilder};

/// Bytes one compiled expression may take: some hundred states, and the time of a match
/// grows with them.
const SIZE_LIMIT: usize = 16 * 1024;

/// Reads an expression.
///
/// # Errors
/// What is wrong with it, in the words of the library.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build();
    // Alone first: `a)(b` would be valid inside the brackets.
    let regex = build(pattern).and_then(|_| build(&format!("^(?s:{pattern})$")));
    regex.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_means_the_whole_value() {
        assert!(compile("a|b").unwrap().is_match("b"));
        assert!(!compile("a|b").unwrap().is_match("ab"));
        assert!(compile("a.b").unwrap().is_match("a\nb"));
        for bad in ["a)(b", "(", "[", "x{99999}"] {
            assert!(compile(bad).is_err(), "{bad}");
        }
    }
}
