//! From the parser's events to the tree.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{Content, Entry, Fault, Node, Place, Style};

/// Bytes of a file.
const LONGEST: usize = 8 << 20;
/// Lists and maps in each other.
const DEEPEST: usize = 50;
/// Nodes, those repeated by aliases included.
const MOST: usize = 500_000;

/// Reads the one document of `text`. An empty file is an empty scalar.
///
/// # Errors
/// [`Fault`] at the first place that is not YAML, or not of the part that is read.
pub fn read(text: &str) -> Result<Node, Fault> {
    let start = Place { line: 1, column: 1 };
    if text.len() > LONGEST {
        return Err(Fault::new(start, format!("the file is longer than {LONGEST} bytes")));
    }
    let mut builder = Builder { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0 };
    let mut root = None;
    while let Some((event, span)) = builder.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            _ if root.is_some() => {
                return Err(Fault::new(place(span.start), "a second document, expected one in a file"));
            }
            event => root = Some(builder.node(event, span, 0)?),
        }
    }
    let empty = Content::Scalar(String::new(), Style::Plain);
    Ok(root.unwrap_or(Node { place: start, start: 0, size: 1, content: empty }))
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// By the parser's number; only nodes that have ended.
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Fault> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(found)) => Ok(Some(found)),
            Some(Err(error)) => {
                Err(Fault::new(place(*error.marker()), format!("not YAML: {}", error.info())))
            }
        }
    }

    fn count(&mut self, nodes: usize, at: Place) -> Result<(), Fault> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MOST {
            return Err(Fault::new(at, format!("more than {MOST} values, those of aliases counted")));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fault> {
        let at = place(span.start);
        if depth > DEEPEST {
            return Err(Fault::new(at, format!("more than {DEEPEST} lists and maps in each other")));
        }
        self.count(1, at)?;
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::DoubleQuoted => Style::Escaped,
                    _ => Style::Text,
                };
                let style = tagged(style, tag.as_deref(), at)?;
                (Content::Scalar(text.into_owned(), style), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                tagged(Style::Plain, tag.as_deref(), at)?;
                (self.list(at, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                tagged(Style::Plain, tag.as_deref(), at)?;
                (self.map(at, depth)?, anchor)
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let known = known.ok_or_else(|| Fault::new(at, "an alias inside of what it repeats"))?;
                self.count(known.size, at)?;
                return Ok(known);
            }
            _ => return Err(Fault::new(at, "expected a value")),
        };
        let size = match &content {
            Content::Scalar(..) => 1,
            Content::List(items) => items.iter().fold(1, |sum, item| sum + item.size),
            Content::Map(entries) => entries.iter().fold(1, |sum, entry| sum + entry.value.size),
        };
        let node = Node { place: at, start: span.start.index(), size, content };
        if anchor > 0 {
            self.count(size, at)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, at: Place, depth: usize) -> Result<Content, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                None => return Err(Fault::new(at, "the list does not end")),
                Some((Event::SequenceEnd, _)) => return Ok(Content::List(items)),
                Some((event, span)) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, at: Place, depth: usize) -> Result<Content, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut keys = BTreeSet::new();
        loop {
            let (event, span) = match self.next()? {
                None => return Err(Fault::new(at, "the map does not end")),
                Some((Event::MappingEnd, _)) => break,
                Some(found) => found,
            };
            let key = self.node(event, span, depth + 1)?;
            let Some((event, span)) = self.next()? else {
                return Err(Fault::new(at, "the map does not end"));
            };
            let value = self.node(event, span, depth + 1)?;
            match key.content {
                Content::Scalar(text, Style::Plain) if text == "<<" => merge(&mut merged, value)?,
                Content::Scalar(text, _) => {
                    if !keys.insert(text.clone()) {
                        return Err(Fault::new(key.place, format!("`{text}` is given twice")));
                    }
                    entries.push(Entry { key: text, place: key.place, value });
                }
                _ => return Err(Fault::new(key.place, "a key is a list or a map, expected a word")),
            }
        }
        // What stands in the map itself wins over what is merged into it, and of what is
        // merged the first.
        entries.extend(merged.into_iter().filter(|entry| keys.insert(entry.key.clone())));
        Ok(Content::Map(entries))
    }
}

/// Adds the entries of `value`, a map or a list of maps.
fn merge(into: &mut Vec<Entry>, value: Node) -> Result<(), Fault> {
    let maps = match value.content {
        Content::List(items) => items,
        _ => vec![value],
    };
    for map in maps {
        let Content::Map(entries) = map.content else {
            return Err(Fault::new(map.place, "expected a map to merge, such as `<<: *name`"));
        };
        into.extend(entries);
    }
    Ok(())
}

/// The style of a scalar whose tag may say that it is a text.
fn tagged(style: Style, tag: Option<&Tag>, at: Place) -> Result<Style, Fault> {
    let Some(tag) = tag else { return Ok(style) };
    match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
        (true, "str") if style == Style::Plain => Ok(Style::Text),
        (true, "str" | "int" | "float" | "bool" | "null" | "seq" | "map") => Ok(style),
        _ => Err(Fault::new(at, format!("the tag `{tag}` is not supported"))),
    }
}
