//! A flame graph as SVG: what time was spent on, as boxes that stand on each other.
//!
//! Each box is as wide as its time, and what stands on it is a part of it. There is no
//! script and no style in it, so it shows wherever images do. One would get it wrong by
//! writing names as they are: some of them clients make up.

use std::fmt::Write as _;

/// Pixels.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 18.0;
const HEAD: f64 = 44.0;
/// A letter of the text, about.
const LETTER: f64 = 6.6;
/// Narrower boxes are not drawn.
const NARROWEST: f64 = 0.2;
/// Boxes on each other, and all of them.
const MOST_ROWS: usize = 16;
const MOST_BOXES: usize = 4000;

/// A part with its parts; they may be more than it by what measuring errs, and are cut then.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub name: String,
    pub seconds: f64,
    pub parts: Vec<Part>,
}

impl Part {
    pub fn new(name: impl Into<String>, seconds: f64) -> Self {
        Self { name: name.into(), seconds, parts: Vec::new() }
    }

    /// Lines `all;thread;task seconds` of what each part took by itself, largest first.
    pub fn stacks(&self) -> Vec<(String, f64)> {
        let mut found = Vec::new();
        self.collect("", 0, &mut found);
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }

    fn collect(&self, above: &str, depth: usize, found: &mut Vec<(String, f64)>) {
        // What parts other parts would be read as more of them.
        let name = self.name.replace(';', ",");
        let stack = if above.is_empty() { name } else { format!("{above};{name}") };
        let parts: f64 = self.parts.iter().map(|part| part.seconds).sum();
        let own = self.seconds - parts;
        if depth < MOST_ROWS && found.len() < MOST_BOXES {
            self.parts.iter().for_each(|part| part.collect(&stack, depth + 1, found));
            if own > 0.0 {
                found.push((stack, own));
            }
        }
    }

    fn depth(&self, most: usize) -> usize {
        let above =
            if most == 0 { 0 } else { self.parts.iter().map(|part| part.depth(most - 1)).max().unwrap_or(0) };
        1 + above
    }
}

/// The graph of `whole`. `title` and `note` stand above it.
pub fn svg(whole: &Part, title: &str, note: &str) -> String {
    let rows = whole.depth(MOST_ROWS - 1);
    let height = HEAD + ROW * rows as f64 + 8.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"monospace\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"16\" font-size=\"13\">{}</text>\n<text x=\"8\" y=\"33\" fill=\"#555\">{}</text>\n",
        escaped(title),
        escaped(note)
    );
    let mut drawing = Drawing { out: &mut out, bottom: height - 4.0 - ROW, all: whole.seconds, boxes: 0 };
    if whole.seconds > 0.0 {
        drawing.draw(whole, 0.0, WIDTH, 0);
    }
    out.push_str("</svg>\n");
    out
}

struct Drawing<'a> {
    out: &'a mut String,
    bottom: f64,
    all: f64,
    boxes: usize,
}

impl Drawing<'_> {
    fn draw(&mut self, part: &Part, left: f64, width: f64, row: usize) {
        // Also what is no number.
        let drawn = width >= NARROWEST && row < MOST_ROWS && self.boxes < MOST_BOXES;
        if !drawn {
            return;
        }
        self.boxes += 1;
        let top = self.bottom - ROW * row as f64;
        let share = part.seconds / self.all * 100.0;
        let name = escaped(&part.name);
        let _ = write!(
            self.out,
            "<g><title>{name}: {:.1} ms, {share:.1} %</title><rect x=\"{left:.1}\" y=\"{top:.1}\" \
             width=\"{:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"{}\"/>",
            part.seconds * 1000.0,
            (width - 0.5).max(0.1),
            ROW - 1.0,
            colour(&part.name)
        );
        let fits = (width / LETTER) as usize;
        if fits > 3 {
            let shown: String = part.name.chars().take(fits.saturating_sub(1)).collect();
            let _ = write!(
                self.out,
                "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                left + 3.0,
                top + 12.5,
                escaped(&shown)
            );
        }
        self.out.push_str("</g>\n");
        let parts: f64 = part.parts.iter().map(|part| part.seconds).sum();
        let scale = width / part.seconds.max(parts);
        let mut at = left;
        for one in &part.parts {
            let wide = one.seconds * scale;
            if wide > 0.0 {
                self.draw(one, at, wide, row + 1);
                at += wide;
            }
        }
    }
}

/// A warm colour that is the same for the same name.
fn colour(name: &str) -> String {
    let sum = name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("hsl({},{}%,{}%)", 8 + sum % 42, 70 + (sum >> 8) % 20, 62 + (sum >> 16) % 12)
}

/// Also what no XML may hold.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(name: &str, seconds: f64, parts: Vec<Part>) -> Part {
        Part { parts, ..Part::new(name, seconds) }
    }

    #[test]
    fn boxes_are_as_wide_as_their_time_and_stand_on_each_other() {
        let whole = part(
            "all",
            2.0,
            vec![part("workers", 1.0, vec![part("sampler", 0.5, vec![])]), part("collectors", 0.5, vec![])],
        );
        let drawn = svg(&whole, "2 s", "measured");
        assert!(drawn.contains("<title>all: 2000.0 ms, 100.0 %</title><rect x=\"0.0\""), "{drawn}");
        assert!(drawn.contains("<title>sampler: 500.0 ms, 25.0 %</title>"));
        let place = |name: &str| {
            let (_, rest) = drawn.split_once(&format!("<title>{name}: ")).unwrap();
            let number = |key: &str| -> f64 {
                let (_, rest) = rest.split_once(&format!("{key}=\"")).unwrap();
                rest.split('"').next().unwrap().parse().unwrap()
            };
            (number(" x"), number(" y"), number("width"))
        };
        assert_eq!((place("workers").0, place("workers").2), (0.0, 599.5));
        assert_eq!((place("collectors").0, place("collectors").2), (600.0, 299.5));
        assert_eq!(place("all").1 - place("sampler").1, 2.0 * ROW);
        let stacks = whole.stacks();
        let expected =
            [("all;workers;sampler", 0.5), ("all;workers", 0.5), ("all;collectors", 0.5), ("all", 0.5)];
        assert_eq!(stacks, expected.map(|(stack, seconds)| (stack.to_owned(), seconds)));
    }

    #[test]
    fn nothing_at_all_is_a_picture_too() {
        assert!(svg(&Part::new("all", 0.0), "", "").ends_with("</svg>\n"));
        assert_eq!(Part::new("all", 0.0).stacks(), []);
    }

    fn any_part() -> impl Strategy<Value = Part> {
        let leaf = (".{0,12}", -1.0..10.0_f64).prop_map(|(name, seconds)| Part::new(name, seconds));
        leaf.prop_recursive(24, 200, 4, |inner| {
            (".{0,12}", prop_oneof![Just(f64::NAN), -1.0..10.0_f64], prop::collection::vec(inner, 0..4))
                .prop_map(|(name, seconds, parts)| Part { name, seconds, parts })
        })
    }

    proptest! {
        #[test]
        fn every_tree_is_drawn_within_bounds(whole in any_part()) {
            let drawn = svg(&whole, &whole.name, "<note>");
            prop_assert!(drawn.matches("<g>").count() <= MOST_BOXES);
            prop_assert_eq!(drawn.matches("<g>").count(), drawn.matches("</g>").count());
            let bare = drawn.replace("&lt;", "").replace("&gt;", "").replace("&amp;", "").replace("&quot;", "");
            prop_assert!(!bare.contains('&') && !bare.contains("<note>"));
            let _ = whole.stacks();
        }
    }
}
