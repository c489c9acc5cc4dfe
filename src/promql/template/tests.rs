//! Templates against what Prometheus renders.

use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied())
}

/// Three series of `up`, one of `one`, none of `none`; anything else is no expression.
fn answer(expr: &str) -> Result<Vec<Element>, String> {
    match expr {
        "up" => Ok([("b", 1.0), ("a", 0.0), ("c", 1.0)]
            .map(|(instance, value)| (labels(&[("__name__", "up"), ("instance", instance)]), value))
            .to_vec()),
        "one" => Ok(vec![(labels(&[("job", "x")]), 1.5)]),
        "none" => Ok(Vec::new()),
        other => Err(format!("`{other}` is no expression")),
    }
}

fn render_value(text: &str, value: f64) -> Result<String, TemplateError> {
    let own = labels(&[("__name__", "node_load1"), ("instance", "db1.example.com:9100"), ("job", "node")]);
    render_labels(text, value, &own, "http://prom:9090/p", &answer)
}

fn render_labels(
    text: &str,
    value: f64,
    own: &Labels,
    external_url: &str,
    query: Query<'_>,
) -> Result<String, TemplateError> {
    let external = labels(&[("site", "north")]);
    let data = Data { labels: own, value, external_labels: &external, external_url, at: Timestamp(1_000) };
    Template::parse(text)?.render(&data, query)
}

/// Each line of `known.jsonl` is a value, a template, and what promtool 2.42 rendered it
/// to (`null` where it failed).
#[test]
fn renders_what_promtool_renders() {
    let up = |expr: &str| match expr {
        "up" => Ok([("a", 0.0), ("b", 1.0), ("c", 2.0)]
            .map(|(instance, value)| (labels(&[("__name__", "up"), ("instance", instance)]), value))
            .to_vec()),
        "one" => Ok(vec![(labels(&[("__name__", "one"), ("job", "x")]), 1.5)]),
        "none" => Ok(Vec::new()),
        other => Err(format!("`{other}` is no expression")),
    };
    let mut cases = 0;
    for line in include_str!("known.jsonl").lines() {
        let (value, text, known): (String, String, Option<String>) = serde_json::from_str(line).unwrap();
        let own = [
            ("__name__", "m"),
            ("instance", "db1.example.com:9100"),
            ("job", "node"),
            ("k", "<a&b>"),
            ("num", "42.5"),
            ("v", value.as_str()),
        ];
        let shown = render_labels(&text, value.parse().unwrap(), &labels(&own), "", &up);
        assert_eq!(shown.as_ref().ok(), known.as_ref(), "{text}: {shown:?}");
        cases += 1;
    }
    assert!(cases > 700, "{cases}");
}

fn render(text: &str) -> String {
    render_value(text, 1_234_567.0).unwrap_or_else(|error| format!("error {error}"))
}

#[test]
fn values_labels_and_pipelines() {
    for (text, shown) in [
        ("plain } text {", "plain } text {"),
        ("{{ $labels.instance }} is {{ $value }}", "db1.example.com:9100 is 1.234567e+06"),
        ("{{ .Labels.job }}/{{ .Value | humanize }}", "node/1.235M"),
        ("[{{ $labels.missing }}]", "[]"),
        (
            "{{ $externalLabels.site }} {{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
            "north http://prom:9090/p http://prom:9090/p /p",
        ),
        ("{{ index $labels \"job\" }}{{ len $labels }}", "node3"),
        ("{{ $value | printf \"%.1f\" }}", "1234567.0"),
        ("{{ printf \"%s has %d\" $labels.job 3 | toUpper }}", "NODE HAS 3"),
        ("{{ (printf \"%d\" 5) | len }}", "1"),
        ("{{ $x := 1 }}{{ $x = 2 }}{{ $x }}{{ $y := $x }}{{ $y }}", "22"),
        ("a {{- \" b \" -}} c", "a b c"),
        ("{{ stripPort $labels.instance }} {{ $labels.instance | stripDomain }}", "db1.example.com db1:9100"),
        (
            "{{ print nil }}{{ $labels }}",
            "<nil>map[__name__:node_load1 instance:db1.example.com:9100 job:node]",
        ),
        (
            "{{ (toTime 1435065584.128).Format \"2006\" }} {{ toTime 0 }}",
            "2015 1970-01-01 00:00:00 +0000 UTC",
        ),
        ("{{ parseDuration \"1h30m\" }} {{ now }}", "5400 1"),
    ] {
        assert_eq!(render(text), shown, "{text}");
    }
}

#[test]
fn conditions_and_comparisons() {
    for (text, shown) in [
        ("{{ if gt $value 5.0 }}high{{ else }}low{{ end }}", "high"),
        ("{{ if eq $labels.job \"a\" \"node\" }}yes{{ end }}", "yes"),
        ("{{ if $labels.missing }}a{{ else if eq 1 1 }}b{{ else }}c{{ end }}", "b"),
        ("{{ with $labels.job }}{{ . }}{{ end }}{{ with $labels.missing }}x{{ else }}y{{ end }}", "nodey"),
        ("{{ and 1 0 2 }}{{ or 0 \"\" \"z\" }}{{ not 1 }}", "0zfalse"),
        ("{{ and false (first (query \"none\")) }}", "false"),
        ("{{ lt \"a\" \"b\" }}{{ ge 2 2 }}{{ ne 1 2 }}{{ le 3.5 3.0 }}", "truetruetruefalse"),
    ] {
        assert_eq!(render(text), shown, "{text}");
    }
    assert_eq!(
        render_value("{{ gt $value 5.0 }}{{ ge $value 5.0 }}{{ lt $value 5.0 }}", f64::NAN).unwrap(),
        "truetruefalse"
    );
    assert!(render("{{ gt $value 5 }}").contains("write the number with a point"));
}

#[test]
fn queries_and_loops() {
    for (text, shown) in [
        ("{{ query \"one\" | first | value }} {{ query \"one\" | first | label \"job\" }}", "1.5 x"),
        (
            "{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }};{{ end }}",
            "a=0;b=1;c=1;",
        ),
        ("{{ range $i, $e := query \"up\" }}{{ $i }}{{ $e.Labels.instance }}{{ end }}", "0b1a2c"),
        ("{{ range $e := query \"none\" }}x{{ else }}nothing{{ end }}", "nothing"),
        (
            "{{ range query \"up\" }}{{ if eq .Value 0.0 }}{{ continue }}{{ end }}{{ .Labels.instance }}{{ end }}",
            "bc",
        ),
        ("{{ range query \"up\" }}{{ .Labels.instance }}{{ break }}{{ end }}", "b"),
        ("{{ range $k, $v := $labels }}{{ $k }},{{ end }}", "__name__,instance,job,"),
        ("{{ with query \"one\" }}{{ . | first | value | humanize }}{{ end }}", "1.5"),
        ("{{ (index (query \"up\") 1).Labels.instance }}", "a"),
        ("{{ define \"x\" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template \"x\" (args 1 \"2\") }}", "1-2"),
        ("{{ graphLink \"up > 0\" }}", "/graph?g0.expr=up+%3E+0&g0.tab=0"),
    ] {
        assert_eq!(render(text), shown, "{text}");
    }
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    for (text, error) in [
        ("{{ $labels.a }}\n  {{ nope 1 }}", "2:6: unknown function `nope`"),
        ("{{ $nope }}", "1:4: unknown variable `$nope`"),
        ("{{ if 1 }}", "1:1: `if` does not end, expected `{{ end }}`"),
        ("{{ end }}", "1:1: `end` without"),
        ("{{ }}", "expected a value or a function"),
        ("{{ 1 | 2 }}", "expected a function after `|`"),
        ("{{ 1 2 }}", "only a function takes arguments"),
        ("{{ humanize }}", "`humanize` takes 1 arguments, 0 given"),
        ("{{ humanize \"one\" }}", "`humanize` takes a number, found \"one\""),
        ("{{ $value | toUpper }}", "1:13: `toUpper` takes a text, found float64"),
        ("{{ query \"none\" | first }}", "`first` of a result without elements"),
        ("{{ query \"bad(\" }}", "`query` failed: `bad(` is no expression"),
        ("{{ .Nope }}", "has no field `Nope`"),
        ("{{ template \"x\" }}", "template `x` is not defined"),
        ("{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}", "more than 50 templates"),
        ("{{ range 100000000 }}{{ end }}", "`range` over more than 10000"),
        ("{{ range 9999 }}{{ range 9999 }}{{ end }}{{ end }}", "does too much"),
        ("{{ printf \"%65000d\" 1 }}{{ printf \"%65000d\" 1 }}", "the output is longer"),
        ("{{ tmpl \"x\" . }}", "unknown function `tmpl`"),
    ] {
        let shown = render(text);
        assert!(shown.contains(error), "{text}: {shown}");
    }
    let none = Labels::empty();
    let data = Data { labels: &none, value: 0.0, external_labels: &none, external_url: "", at: Timestamp(0) };
    assert_eq!(
        expand("a {{ $nope }}", &data, &answer),
        "<error expanding template: 1:6: unknown variable `$nope`>"
    );
}

#[test]
fn doubling_and_nesting_end() {
    let double = format!("{{{{ $x := \"aaaaaaaa\" }}}}{}", "{{ $x = print $x $x }}".repeat(30));
    assert!(render(&double).contains("a text is longer"));
    let nest = format!("{{{{ $x := args 1 }}}}{}{{{{ $x }}}}", "{{ $x = args $x $x }}".repeat(19));
    assert!(render(&nest).contains("the output is longer"));
    assert!(
        render(&format!("{{{{ $x := 1 }}}}{}", "{{ $x = args $x }}".repeat(40))).contains("nested deeper")
    );
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(30_000), ")".repeat(30_000));
    assert!(render(&deep).contains("in each other"));
    assert!(Template::parse(&"x".repeat(LONGEST + 1)).is_err());
}

proptest! {
    #[test]
    fn never_panics(text in "(\\{\\{|\\}\\}|\\PC|\\n){0,60}") {
        let _ = render(&text);
    }

    #[test]
    fn never_panics_near_the_grammar(
        words in proptest::collection::vec(prop_oneof![
            "\\{\\{-? ?", " ?-?\\}\\}", " ", "\\$(x|value|labels)", "\\.[A-Za-z]{0,6}", ":=", "=", "\\|", ",", "\\(", "\\)",
            "(if|else|end|range|with|define|template|break|continue|nil|true)",
            "(eq|gt|len|index|slice|printf|print|args|humanize|humanizeDuration|toTime|title|first|query|html|match)",
            "\"(%d|%s|up|one|x)?\"", "-?[0-9]{1,20}(\\.[0-9])?", "é",
        ], 0..40)
    ) {
        let _ = render(&words.concat());
    }
}
