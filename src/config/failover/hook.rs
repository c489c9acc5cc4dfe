//! The programs of a group: words with places for the names of members.
//!
//! The words go to the program as they are, through no shell, so a name needs no
//! quoting; and a name is letters, digits, `-` and `_` only. Wrong would be to accept a
//! place that nobody fills: the program would get the braces.

use crate::base::id::Name;
use crate::config::check::Checker;

const MEMBER: &str = "{member}";
const PRIMARY: &str = "{primary}";
const MOST_WORDS: usize = 64;

/// The words of `hook` with the names in their places.
pub fn expand(hook: &[String], member: &Name, primary: &Name) -> Vec<String> {
    let filled = |word: &String| word.replace(MEMBER, member.as_str()).replace(PRIMARY, primary.as_str());
    hook.iter().map(filled).collect()
}

/// Says what is wrong with a hook; `places` are those that are filled in it.
pub fn check(key: &str, words: Option<&Vec<String>>, places: &[&str], checker: &mut Checker<'_>) {
    let Some(words) = words else { return };
    match words.first() {
        None => checker.say(key, "empty, expected a program and its arguments"),
        Some(program) if !program.starts_with('/') => {
            let message = format!("`{program}` is no program, expected an absolute path");
            checker.say_of(key, 0, message);
        }
        Some(_) => {}
    }
    if words.len() > MOST_WORDS {
        checker.say(key, format!("{} words, expected at most {MOST_WORDS}", words.len()));
    }
    for (index, word) in words.iter().enumerate() {
        if word.contains('\0') {
            checker.say_of(key, index, "contains a zero byte");
        } else if let Some(unknown) = unknown_place(word, places) {
            let message = format!("`{unknown}` stands for nothing, expected {}", places.join(" or "));
            checker.say_of(key, index, message);
        }
    }
}

/// The first `{word}` that is none of `places`.
fn unknown_place<'a>(word: &'a str, places: &[&str]) -> Option<&'a str> {
    let mut rest = word;
    while let Some(start) = rest.find('{') {
        let from = &rest[start..];
        let place = &from[..=from.find('}')?];
        let inner = &place[1..place.len() - 1];
        let named = !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if named && !places.contains(&place) {
            return Some(place);
        }
        rest = &from[1..];
    }
    None
}

/// Places of the hook that fences.
pub const OF_FENCE: [&str; 1] = [MEMBER];
/// Places of the hook that rejoins.
pub const OF_REJOIN: [&str; 2] = [MEMBER, PRIMARY];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_their_places() {
        let [a, b] = ["pg1", "pg2"].map(|name| Name::new(name).unwrap());
        let hook = ["/x", "--from={primary}:{member}", "{member}", "{}"].map(String::from);
        assert_eq!(expand(&hook, &a, &b), ["/x", "--from=pg2:pg1", "pg1", "{}"]);
        assert_eq!(unknown_place("a {member} {primary} {", &OF_REJOIN), None);
        assert_eq!(unknown_place("{member}{primary}", &OF_FENCE), Some("{primary}"));
        assert_eq!(unknown_place("{{membre}", &OF_REJOIN), Some("{membre}"));
        assert_eq!(unknown_place("{} {A} {1}", &OF_REJOIN), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_first_unknown_place_or_none(text in "[{}a-z_\u{e9} ]{0,40}") {
            let place = unknown_place(&text, &OF_REJOIN);
            proptest::prop_assert!(place.is_none_or(|place| text.contains(place) && !OF_REJOIN.contains(&place)));
        }
    }
}
