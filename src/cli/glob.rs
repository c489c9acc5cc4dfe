//! Patterns in paths: `rules/*.yml`, `node-?.yml`, `[a-m]*.yml`.
//!
//! As Go's `filepath.Glob`, which promtool uses: each part of the path is matched by
//! itself, so `*` never crosses a slash, and what cannot be read matches nothing.

use std::path::{Path, PathBuf};

/// Files that one pattern may match.
const MOST: usize = 10_000;

/// The paths that `pattern` matches, sorted. A path without any of `*?[` is itself if
/// it is there.
pub fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str();
        let text = part.to_string_lossy();
        if text.contains(['*', '?', '[']) {
            found = found.iter().flat_map(|folder| matching(folder, &text)).take(MOST).collect();
        } else {
            found = found.into_iter().map(|folder| folder.join(part)).filter(|path| path.exists()).collect();
        }
    }
    found.sort();
    found
}

fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(here).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name()).filter(|name| {
        let name: Vec<char> = name.to_string_lossy().chars().collect();
        matches(&pattern.chars().collect::<Vec<_>>(), &name)
    });
    names.map(|name| folder.join(name)).collect()
}

/// Whether the whole of `name` matches. A star is tried again one further where what
/// follows it failed, so the time is at most the product of the lengths.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match one(&pattern[at..], name[from]) {
            Step::Star => {
                at += 1;
                star = Some((at, from));
            }
            Step::Matched(length) => {
                at += length;
                from += 1;
            }
            Step::No => match star {
                Some((after, started)) => {
                    (at, from) = (after, started + 1);
                    star = Some((after, started + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

enum Step {
    Star,
    /// One character, by so many of the pattern.
    Matched(usize),
    No,
}

fn one(pattern: &[char], c: char) -> Step {
    match pattern {
        ['*', ..] => Step::Star,
        ['?', ..] => Step::Matched(1),
        ['\\', quoted, ..] if *quoted == c => Step::Matched(2),
        ['[', rest @ ..] => set(rest, c).map_or(Step::No, |length| Step::Matched(length + 1)),
        [same, ..] if *same == c && c != '\\' => Step::Matched(1),
        _ => Step::No,
    }
}

/// The length of the set up to its `]` if `c` is in it.
fn set(pattern: &[char], c: char) -> Option<usize> {
    let negated = pattern.first().is_some_and(|first| matches!(first, '^' | '!'));
    let start = usize::from(negated);
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let mut members = &pattern[start..end];
    let mut inside = false;
    while let Some((first, rest)) = members.split_first() {
        match rest {
            ['-', last, further @ ..] => {
                inside |= (*first..=*last).contains(&c);
                members = further;
            }
            _ => {
                inside |= *first == c;
                members = rest;
            }
        }
    }
    (inside != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_match(pattern: &str, name: &str) -> bool {
        matches(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name) in [
            ("*.yml", "a.yml"),
            ("a*b*c", "axxbyyc"),
            ("n?de.yml", "node.yml"),
            ("[a-c]x[!0-9]", "bxy"),
            ("\\*", "*"),
            ("**", ""),
        ] {
            assert!(is_match(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.yml", "a.yaml"), ("?", ""), ("[a-c]", "d"), ("[^a]", "a"), ("a", "ab"), ("[a", "a")]
        {
            assert!(!is_match(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn folders_are_walked_part_by_part() {
        let home = tempfile::tempdir().unwrap();
        for path in ["one/a.yml", "one/b.yml", "two/c.yml", "two/d.txt"] {
            let path = home.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names = |pattern: &str| {
            let found = expand(&home.path().join(pattern));
            found
                .iter()
                .map(|path| path.strip_prefix(home.path()).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("*/[a-c].yml"), ["one/a.yml", "one/b.yml", "two/c.yml"]);
        assert_eq!(names("one/a.yml"), ["one/a.yml"]);
        assert!(names("one/z.yml").is_empty() && names("*/none*").is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(pattern in "[a*?\\[\\]!^\\\\é-]{0,12}", name in "[aé*]{0,8}") {
            let _ = is_match(&pattern, &name);
        }
    }
}
