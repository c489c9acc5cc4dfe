//! `synchronous_standby_names`, and what it guarantees.
//!
//! Grammar (PostgreSQL documentation, "synchronous_standby_names"):
//! `[FIRST] n (a, b, ...)`, `ANY n (a, b, ...)`, or `a, b, ...`, which is `FIRST 1`.
//! Names are case-insensitive unless quoted; `*` is everybody.
//!
//! A commit is acknowledged once `n` of the listed ones hold it, whichever they are.
//! So among any `listed - n + 1` of them at least one holds every acknowledged
//! commit, and once so many no longer follow, no further one is acknowledged. That
//! holds for `FIRST` too: its `n` are the first of those connected.

/// A parsed setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncNames {
    /// `ANY`, else `FIRST`.
    pub any: bool,
    pub quorum: u32,
    /// Lower case unless they were quoted.
    pub names: Vec<String>,
}

impl SyncNames {
    /// `None` for an empty setting and for what is no such setting.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let Some(open) = outside_quotes(text, '(') else {
            return Some(Self { any: false, quorum: 1, names: names(text)? });
        };
        let head = text[..open].trim();
        let inner = text[open + 1..].trim_end().strip_suffix(')')?;
        let (any, number) = match head.split_once(char::is_whitespace) {
            Some((word, number)) if word.eq_ignore_ascii_case("any") => (true, number),
            Some((word, number)) if word.eq_ignore_ascii_case("first") => (false, number),
            Some(_) => return None,
            None => (false, head),
        };
        Some(Self { any, quorum: number.trim().parse().ok().filter(|n| *n > 0)?, names: names(inner)? })
    }

    /// As it is written to the server, every name quoted.
    pub fn text(&self) -> String {
        let quoted: Vec<_> =
            self.names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
        let word = if self.any { "ANY" } else { "FIRST" };
        format!("{word} {} ({})", self.quorum, quoted.join(", "))
    }

    pub fn is_everybody(&self) -> bool {
        self.names.iter().any(|name| name == "*")
    }

    /// How many of the listed ones must be cut off for the guarantee.
    pub fn must_cut(&self) -> usize {
        (self.names.len() + 1).saturating_sub(self.quorum as usize)
    }
}

fn outside_quotes(text: &str, wanted: char) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (!quoted && c == wanted).then_some(at)
    })
}

fn names(mut list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    loop {
        let end = outside_quotes(list, ',').unwrap_or(list.len());
        let one = list[..end].trim();
        let name = match one.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => one.to_ascii_lowercase(),
        };
        if name.is_empty() || one == "\"" {
            return None;
        }
        names.push(name);
        match list.get(end + 1..) {
            Some(rest) => list = rest,
            None => return Some(names),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<(bool, u32, Vec<String>)> {
        SyncNames::parse(text).map(|read| (read.any, read.quorum, read.names))
    }

    #[test]
    fn forms_of_the_setting() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(parsed("ANY 1 (n2, n3)"), Some((true, 1, names(&["n2", "n3"]))));
        assert_eq!(parsed("first 2 (A,b , c)"), Some((false, 2, names(&["a", "b", "c"]))));
        assert_eq!(parsed("2 (a, b)"), Some((false, 2, names(&["a", "b"]))));
        assert_eq!(parsed("s1, \"S,2\""), Some((false, 1, names(&["s1", "S,2"]))));
        assert_eq!(parsed("*"), Some((false, 1, names(&["*"]))));
        assert_eq!(parsed("ANY(a)"), None);
        for text in ["", " ", "ANY 0 (a)", "ANY x (a)", "ANY 1 (a", "ANY 1 ()", "a,,b", "MANY 1 (a)", "\""] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn what_must_be_cut() {
        let cut = |text: &str| SyncNames::parse(text).map(|read| read.must_cut());
        assert_eq!(cut("ANY 1 (a, b)"), Some(2));
        assert_eq!(cut("ANY 2 (a, b, c)"), Some(2));
        assert_eq!(cut("a"), Some(1));
    }

    proptest! {
        #[test]
        fn written_and_read_again(any: bool, quorum in 1u32..9, names in prop::collection::vec("[a-z\", ]{1,9}", 1..5)) {
            prop_assume!(names.iter().all(|name| !name.is_empty()));
            let one = SyncNames { any, quorum, names };
            prop_assert_eq!(SyncNames::parse(&one.text()), Some(one));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = SyncNames::parse(&text);
        }
    }
}
