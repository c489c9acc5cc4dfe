//! The tree, its places and its bounds.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn root(text: &str) -> Node {
    read(text).unwrap()
}

fn at<'a>(node: &'a Node, key: &str) -> &'a Node {
    &node.map("a map").unwrap().iter().find(|entry| entry.key == key).unwrap().value
}

#[test]
fn scalars_mean_what_is_asked_of_them() {
    let node = root("a: 1h\nb: 5\nc: \"5\"\nd:\ne: 1_000\nf: -.inf\ng: [x, ~]\nh: yes\ni: !!str 7\n");
    assert_eq!(at(&node, "a").duration().unwrap(), Duration::from_secs(3600));
    assert_eq!((at(&node, "b").text().unwrap(), at(&node, "b").number().unwrap()), ("5", 5.0));
    assert_eq!(at(&node, "c").text().unwrap(), "5");
    assert!(at(&node, "c").number().unwrap_err().message.contains("without quotes"));
    assert_eq!((at(&node, "d").text().unwrap(), at(&node, "d").duration().unwrap()), ("", Duration::ZERO));
    assert_eq!((at(&node, "e").number().unwrap(), at(&node, "e").count().unwrap()), (1000.0, 1000));
    assert_eq!(at(&node, "f").number().unwrap(), f64::NEG_INFINITY);
    assert_eq!(at(&node, "g").list("words").unwrap().len(), 2);
    assert!(at(&node, "h").truth().unwrap());
    assert!(at(&node, "i").number().is_err());
    for (key, error) in
        [("a", "1:4: expected a number such as `1.5`"), ("g", "expected a number, found a list")]
    {
        let shown = at(&node, key).number().unwrap_err().to_string();
        assert!(shown.contains(error), "{shown}");
    }
    assert!(root("").is_null() && root("# only a comment\n").is_null());
}

#[test]
fn anchors_and_merges() {
    let text = "base: &b\n  x: 1\n  y: 2\nown:\n  <<: *b\n  y: 3\ntwo:\n  <<: [{x: 7}, *b]\nlist: [*b]\n";
    let node = root(text);
    let shown = |node: &Node| {
        let entries = node.map("a map").unwrap().iter();
        entries.map(|entry| format!("{}={} ", entry.key, entry.value.text().unwrap())).collect::<String>()
    };
    assert_eq!(shown(at(&node, "own")), "y=3 x=1 ");
    assert_eq!(shown(at(&node, "two")), "x=7 y=2 ");
    assert_eq!(shown(&at(&node, "list").list("maps").unwrap()[0]), "x=1 y=2 ");
}

#[test]
fn what_is_not_read_is_refused_with_its_place() {
    for (text, error) in [
        ("a: 1\na: 2\n", "2:1: `a` is given twice"),
        ("a: [1\n", "not YAML"),
        ("a: *x\n", "not YAML"),
        ("a: &a [*a]\n", "1:"),
        ("--- \na: 1\n---\nb: 1\n", "4:1: a second document"),
        ("a: !custom 1\n", "1:4: the tag `!custom` is not supported"),
        ("? [a]\n: 1\n", "1:3: a key is a list or a map"),
        ("a:\n  <<: 5\n", "2:7: expected a map to merge"),
    ] {
        let shown = read(text).unwrap_err().to_string();
        assert!(shown.contains(error), "{text}: {shown}");
    }
    assert!(read(&"[".repeat(100)).unwrap_err().message.contains("in each other"));
    let mut laughs = String::from("a: &a [1,1,1,1,1,1,1,1,1,1]\n");
    for (next, before) in "bcdefgh".chars().zip("abcdefg".chars()) {
        laughs.push_str(&format!("{next}: &{next} [{}*{before}]\n", format!("*{before},").repeat(9)));
    }
    assert!(read(&laughs).unwrap_err().message.contains("more than 500000 values"));
}

#[test]
fn unknown_fields_are_named_with_what_was_meant() {
    let node = root("exprr: 1\nfoo: 2\nexpr: 3\n");
    let mut faults = Vec::new();
    let fields = Fields::of(&node, "a rule", &["expr", "for"], &mut faults);
    assert_eq!(fields.text("expr", &mut faults), "3");
    assert_eq!(faults[0].to_string(), "1:1: unknown field `exprr`, did you mean `expr`?");
    assert_eq!(faults[1].to_string(), "2:1: unknown field `foo`, did you mean `for`?");
}

/// Every `#` of the text must be found where it stands in the file.
#[test]
fn a_character_is_found_in_every_style() {
    for file in [
        "k: ab #\n",
        "k: \"a\\n\\\"b #\"\n",
        "k: 'it''s #'\n",
        "k: |\n    a\n      b\n\n    c #\n",
        "k: >-  # note\n  a\n  b #\n",
        "k: a\n  b\n  c (#\n",
        "k: !!str \"\u{e9} #\"\n",
        "k: &x 'a #'\n",
    ] {
        let (file, mark) = (file.replace('#', "@").replace("@ note", "# note"), '@');
        let node = root(&file);
        let value = at(&node, "k");
        let offset = value.text().unwrap().find(mark).unwrap();
        let place = locate(&file, value, offset);
        let line = file.lines().nth(place.line - 1).unwrap();
        assert_eq!(line.chars().nth(place.column - 1), Some(mark), "{file}: {place}");
    }
    let file = "k: |\n  a\n  up +\nl: 1\n";
    assert_eq!(locate(file, at(&root(file), "k"), 6), Place { line: 3, column: 7 });
    assert_eq!(offset_of("ab\n\u{e9}c", 2, 2), 5);
}

proptest! {
    #[test]
    fn never_panics(text in "(\\PC|\\n|\\t){0,80}") {
        let _ = read(&text);
    }

    #[test]
    fn never_panics_near_the_grammar(
        words in proptest::collection::vec(prop_oneof![
            "[a-c]{1,2}", ": ", "- ", "\n {0,4}", "[\\[\\]{},]", "[|>][-+0-9]?", "&a ", "\\*a", "<<: ", "\"", "'", "#", "\\? ", "---\n", "!!?(str|int)? ", "\t", "\\\\", "%", "é",
        ], 0..30)
    ) {
        if let Ok(node) = read(&words.concat()) {
            let _ = (node.text(), node.number(), node.duration(), locate(&words.concat(), &node, 3));
        }
    }
}
