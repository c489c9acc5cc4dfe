//! From the text of the file to a tree whose every key knows line and column.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::origin::{Lines, Origin, Position};
use super::problem::Problem;
use super::schema::Shape;
use super::tree::{Branch, Key, Leaf, Node};

/// A configuration file is a page of text; more is a mistake.
pub const MAX_BYTES: u64 = 1 << 20;

/// Reads the file `name`.
///
/// # Errors
/// One [`Problem`] about the file as a whole.
pub fn text_of(path: &std::path::Path) -> Result<String, Problem> {
    let name = path.display().to_string();
    let whole =
        |reason: String| Problem::new(Origin::File { file: name.clone(), line: 0, column: 0 }, "", reason);
    let found =
        std::fs::metadata(path).map_err(|error| whole(format!("cannot read the configuration: {error}")))?;
    if !found.is_file() {
        return Err(whole(String::from("cannot read the configuration: not a file")));
    }
    if found.len() > MAX_BYTES {
        return Err(whole(format!("{} bytes, expected a configuration of at most 1 MiB", found.len())));
    }
    std::fs::read_to_string(path).map_err(|error| whole(format!("cannot read the configuration: {error}")))
}

/// Parses TOML. What can be read is in the tree, even when there are problems.
pub fn parse(name: &str, text: &str, shape: &Shape) -> (Branch, Vec<Problem>) {
    let mut reader = Reader { name, lines: Lines::new(text), problems: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        let problem = Problem::new(reader.origin(at), "", error.message().trim().replace('\n', ", "));
        reader.problems.push(problem);
    }
    let mut tree = Branch::new(false, reader.origin(0));
    // After a syntax error the rest of the tree is guesswork.
    if reader.problems.is_empty() {
        reader.table(table.get_ref(), shape, &Key::default(), &mut tree);
    }
    (tree, reader.problems)
}

struct Reader<'a> {
    name: &'a str,
    lines: Lines<'a>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let Position { line, column } = self.lines.position(offset);
        Origin::File { file: self.name.to_owned(), line, column }
    }

    fn table(&mut self, table: &DeTable<'_>, shape: &Shape, at: &Key, into: &mut Branch) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (name, value) in entries {
            let key = at.key(name.get_ref());
            let origin = self.origin(name.span().start);
            let node = match (shape.field(name.get_ref()), value.get_ref()) {
                (Some(shape @ Shape::Table(_)), DeValue::Table(inner)) => {
                    let mut branch = Branch::new(false, origin);
                    self.table(inner, shape, &key, &mut branch);
                    Node::Branch(branch)
                }
                (Some(shape @ Shape::List(_)), DeValue::Array(items)) => {
                    let mut branch = Branch::new(true, origin);
                    self.list(items, shape, &key, &mut branch);
                    Node::Branch(branch)
                }
                (Some(Shape::List(_)), DeValue::Table(_)) => {
                    let hint = format!("expected a list of tables: write [[{key}]] with a `name` in each");
                    self.problems.push(Problem::new(origin, &key, hint));
                    continue;
                }
                _ => Node::Leaf(self.leaf(origin, value)),
            };
            into.children.push((name.get_ref().to_string(), node));
        }
    }

    fn list(&mut self, items: &DeArray<'_>, shape: &Shape, at: &Key, into: &mut Branch) {
        for item in items {
            let origin = self.origin(item.span().start);
            let DeValue::Table(table) = item.get_ref() else {
                let message = format!("expected a table: write [[{at}]] with a `name` in each");
                self.problems.push(Problem::new(origin, at, message));
                continue;
            };
            let Some((key, value)) = table.get_key_value("name") else {
                let message = "`name` is missing: every table of this list has its own";
                self.problems.push(Problem::new(origin, at, message));
                continue;
            };
            let DeValue::String(name) = value.get_ref() else {
                let origin = self.origin(value.span().start);
                self.problems.push(Problem::new(origin, at.key("name"), "expected a text in quotes"));
                continue;
            };
            if let Some(Node::Branch(first)) = into.get(name) {
                let first = match first.get("name") {
                    Some(Node::Leaf(leaf)) => leaf.origin.to_string(),
                    _ => first.origin.to_string(),
                };
                let message = format!(
                    "the name `{name}` is already taken by the one at {first}, expected another name"
                );
                let origin = self.origin(key.span().start);
                self.problems.push(Problem::new(origin, at.item(name).key("name"), message));
                continue;
            }
            let mut branch = Branch::new(false, origin);
            self.table(table, shape, &at.item(name), &mut branch);
            into.children.push((name.to_string(), Node::Branch(branch)));
        }
    }

    fn leaf(&self, origin: Origin, value: &Spanned<DeValue<'_>>) -> Leaf {
        let elements = match value.get_ref() {
            DeValue::Array(items) => {
                items.iter().map(|item| self.lines.position(item.span().start)).collect()
            }
            _ => Vec::new(),
        };
        let value_at = Some(self.lines.position(value.span().start));
        Leaf { value: plain(value.get_ref()), origin, value_at, elements }
    }
}

fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            let digits = number.as_str();
            let small = i64::from_str_radix(digits, number.radix());
            // Too large for any key: keep it as text for the message.
            small.map_or_else(|_| Value::from(digits), Value::from)
        }
        DeValue::Float(number) => {
            number.as_str().parse::<f64>().map_or_else(|_| Value::from(number.as_str()), Value::from)
        }
        DeValue::Boolean(value) => Value::from(*value),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| plain(item.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref()))).collect()
        }
    }
}

/// The same from JSON, which has no positions; lists of tables are arrays, as in
/// the file.
pub fn from_json(name: &str, document: &Value, shape: &Shape) -> (Branch, Vec<Problem>) {
    let origin = Origin::File { file: name.to_owned(), line: 0, column: 0 };
    let mut tree = Branch::new(false, origin.clone());
    let mut problems = Vec::new();
    match document {
        Value::Object(map) => json_table(map, shape, &Key::default(), &mut tree, &mut problems),
        _ => problems.push(Problem::new(origin, "", "expected an object")),
    }
    (tree, problems)
}

fn json_table(
    map: &Map<String, Value>,
    shape: &Shape,
    at: &Key,
    into: &mut Branch,
    problems: &mut Vec<Problem>,
) {
    for (name, value) in map {
        let key = at.key(name);
        let node = match (shape.field(name), value) {
            (Some(shape @ Shape::Table(_)), Value::Object(inner)) => {
                let mut branch = Branch::new(false, into.origin.clone());
                json_table(inner, shape, &key, &mut branch, problems);
                Node::Branch(branch)
            }
            (Some(shape @ Shape::List(_)), Value::Array(items)) => {
                let mut branch = Branch::new(true, into.origin.clone());
                for item in items {
                    json_item(item, shape, &key, &mut branch, problems);
                }
                Node::Branch(branch)
            }
            _ => Node::Leaf(Leaf::new(value.clone(), into.origin.clone())),
        };
        into.children.push((name.clone(), node));
    }
}

fn json_item(item: &Value, shape: &Shape, at: &Key, into: &mut Branch, problems: &mut Vec<Problem>) {
    let origin = into.origin.clone();
    let Value::Object(map) = item else {
        return problems.push(Problem::new(origin, at, "expected an object with a `name`"));
    };
    let Some(name) = map.get("name").and_then(Value::as_str) else {
        return problems.push(Problem::new(
            origin,
            at,
            "`name` is missing: every table of this list has its own",
        ));
    };
    if into.get(name).is_some() {
        let message = format!("the name `{name}` is already taken, expected another name");
        return problems.push(Problem::new(origin, at.item(name).key("name"), message));
    }
    let mut branch = Branch::new(false, origin);
    json_table(map, shape, &at.item(name), &mut branch, problems);
    into.children.push((name.to_owned(), Node::Branch(branch)));
}
