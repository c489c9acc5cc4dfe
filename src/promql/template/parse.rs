//! Reads the tokens of a template into a tree.
//!
//! By descent: a list of nodes ends at `end`, `else` or the end of the text, and whoever
//! opened it decides which of those may stand there. Variables are followed while
//! reading, so that one that was never declared is an error of the rule file and not of
//! the first alert. Wrong would be to read without counting the depth: parentheses nest.

use super::function::Function;
use super::node::{Branch, Command, Node, Operand, Pipe, Term, Tree};
use super::token::{Kind, Token, tokens};
use super::{Problem, fault};

/// Blocks and parentheses in each other.
const DEPTH: usize = 100;

/// What a list of nodes ended with. The words are read, their closing braces are not.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Ending {
    Text,
    End(usize),
    Else(usize),
}

/// What a pipeline belongs to; its end and its variables differ.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Place {
    Action,
    Range,
    Parentheses,
}

/// Reads `text`; `known` are the variables that exist before it.
pub(super) fn parse(text: &str, known: &[&str]) -> Result<Tree, Problem> {
    let tokens = tokens(text)?;
    let variables = known.iter().map(|name| (*name).to_owned()).collect();
    let mut parser =
        Parser { tokens, next: 0, end: text.len(), variables, depth: 0, ranges: 0, tree: Tree::default() };
    let (main, ending) = parser.list(true)?;
    match ending {
        Ending::Text => {}
        Ending::End(at) => return Err(fault(at, "`end` without `if`, `with`, `range` or `define`")),
        Ending::Else(at) => return Err(fault(at, "`else` without `if`, `with` or `range`")),
    }
    parser.tree.main = main;
    Ok(parser.tree)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    /// Bytes of the text.
    end: usize,
    /// In scope, innermost last.
    variables: Vec<String>,
    depth: usize,
    /// `range`s around the place.
    ranges: usize,
    tree: Tree,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn here(&self) -> usize {
        self.peek().map_or(self.end, |token| token.at)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn is(&self, kind: &Kind) -> bool {
        self.peek().is_some_and(|token| token.kind == *kind)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token { kind: Kind::Word(found), .. }) if found == word)
    }

    fn close(&mut self, after: &str) -> Result<(), Problem> {
        if self.is(&Kind::Close) {
            self.next += 1;
            return Ok(());
        }
        Err(fault(self.here(), format!("expected `}}}}` after `{after}`")))
    }

    fn deeper(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(fault(
                self.here(),
                format!("more than {DEPTH} blocks and parentheses in each other"),
            ));
        }
        Ok(())
    }

    /// Nodes up to an `end` or `else`. Variables declared in them end with them.
    fn list(&mut self, outermost: bool) -> Result<(Vec<Node>, Ending), Problem> {
        self.deeper()?;
        let scope = self.variables.len();
        let mut nodes = Vec::new();
        let ending = loop {
            let Some(token) = self.take() else { break Ending::Text };
            let at = token.at;
            match token.kind {
                Kind::Plain(text) => nodes.push(Node::Plain(text)),
                _ if self.is_word("end") => {
                    self.next += 1;
                    self.close("end")?;
                    break Ending::End(at);
                }
                _ if self.is_word("else") => {
                    self.next += 1;
                    break Ending::Else(at);
                }
                _ if self.is_word("define") => {
                    if !outermost {
                        return Err(fault(at, "`define` may not stand inside of another block"));
                    }
                    self.define(at)?;
                }
                _ => nodes.push(self.action(at)?),
            }
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok((nodes, ending))
    }

    /// What follows `{{`.
    fn action(&mut self, at: usize) -> Result<Node, Problem> {
        let word = match self.peek() {
            Some(Token { kind: Kind::Word(word), .. }) => word.clone(),
            _ => String::new(),
        };
        match word.as_str() {
            "if" | "with" | "range" => {
                self.next += 1;
                self.branch(&word, at)
            }
            "template" => {
                self.next += 1;
                self.template(at)
            }
            "block" => {
                self.next += 1;
                let name = self.name_of_template()?;
                let pipe = self.pipe(Place::Action)?;
                self.body(name.clone(), at)?;
                Ok(Node::Template { name, pipe: Some(pipe), at })
            }
            "break" | "continue" => {
                self.next += 1;
                if self.ranges == 0 {
                    return Err(fault(at, format!("`{word}` outside of `range`")));
                }
                self.close(&word)?;
                Ok(if word == "break" { Node::Break } else { Node::Continue })
            }
            _ => self.pipe(Place::Action).map(Node::Action),
        }
    }

    fn branch(&mut self, word: &str, at: usize) -> Result<Node, Problem> {
        self.deeper()?;
        let scope = self.variables.len();
        let ranges = word == "range";
        let pipe = self.pipe(if ranges { Place::Range } else { Place::Action })?;
        self.ranges += usize::from(ranges);
        let (then, ending) = self.list(false)?;
        self.ranges -= usize::from(ranges);
        let unended = || fault(at, format!("`{word}` does not end, expected `{{{{ end }}}}`"));
        let other = match ending {
            Ending::Text => return Err(unended()),
            Ending::End(_) => Vec::new(),
            // `else if` opens a second `if` that shares the `end`.
            Ending::Else(at) if !ranges && self.is_word(word) => {
                self.next += 1;
                vec![self.branch(word, at)?]
            }
            Ending::Else(_) => {
                self.close("else")?;
                match self.list(false)? {
                    (nodes, Ending::End(_)) => nodes,
                    (_, Ending::Else(at)) => return Err(fault(at, "a second `else`, expected `end`")),
                    (_, Ending::Text) => return Err(unended()),
                }
            }
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        let branch = Branch { pipe, then, other };
        Ok(match word {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    fn name_of_template(&mut self) -> Result<String, Problem> {
        let at = self.here();
        match self.take() {
            Some(Token { kind: Kind::Quoted(name), .. }) => Ok(name),
            _ => Err(fault(at, "expected the name of a template in quotes")),
        }
    }

    fn define(&mut self, at: usize) -> Result<(), Problem> {
        self.next += 1;
        let name = self.name_of_template()?;
        self.close("define")?;
        self.body(name, at)
    }

    /// The nodes of a defined template, up to its `end`.
    fn body(&mut self, name: String, at: usize) -> Result<(), Problem> {
        // A defined template sees its own dot only.
        let outer = std::mem::replace(&mut self.variables, vec![String::from("$")]);
        let ranges = std::mem::take(&mut self.ranges);
        let (nodes, ending) = self.list(false)?;
        self.variables = outer;
        self.ranges = ranges;
        match ending {
            Ending::End(_) => {}
            Ending::Else(at) => return Err(fault(at, "`else` without `if`, `with` or `range`")),
            Ending::Text => {
                return Err(fault(at, format!("`{name}` does not end, expected `{{{{ end }}}}`")));
            }
        }
        let empty =
            |nodes: &[Node]| nodes.iter().all(|n| matches!(n, Node::Plain(text) if text.trim().is_empty()));
        match self.tree.defined.get(&name) {
            Some(known) if !empty(known) && !empty(&nodes) => {
                Err(fault(at, format!("template `{name}` is defined twice")))
            }
            Some(_) if empty(&nodes) => Ok(()),
            _ => {
                self.tree.defined.insert(name, nodes);
                Ok(())
            }
        }
    }

    fn template(&mut self, at: usize) -> Result<Node, Problem> {
        let name = self.name_of_template()?;
        let pipe = if self.is(&Kind::Close) {
            self.next += 1;
            None
        } else {
            Some(self.pipe(Place::Action)?)
        };
        Ok(Node::Template { name, pipe, at })
    }

    /// A pipeline and what ends it.
    fn pipe(&mut self, place: Place) -> Result<Pipe, Problem> {
        let at = self.here();
        let (variables, assigns) = self.declaration(place)?;
        let mut commands = Vec::new();
        loop {
            // Go lets a pipeline end in its bar.
            let end = if place == Place::Parentheses { Kind::RightParen } else { Kind::Close };
            if !commands.is_empty() && self.is(&end) {
                self.next += 1;
                break;
            }
            let command = self.command()?;
            let callable = command.operands.first().is_some_and(can_take_arguments);
            if !commands.is_empty() && !callable {
                return Err(fault(command.at, "expected a function after `|`"));
            }
            commands.push(command);
            let at = self.here();
            match self.take().map(|token| token.kind) {
                Some(Kind::Bar) => {}
                Some(Kind::Close) if place != Place::Parentheses => break,
                Some(Kind::RightParen) if place == Place::Parentheses => break,
                _ if place == Place::Parentheses => return Err(fault(at, "expected `|` or `)`")),
                _ => return Err(fault(at, "expected a blank and an operand, `|` or `}}`")),
            }
        }
        if !assigns {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipe { variables, assigns, commands, at })
    }

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`.
    fn declaration(&mut self, place: Place) -> Result<(Vec<String>, bool), Problem> {
        let start = self.next;
        let mut names = Vec::new();
        while let Some(Token { kind: Kind::Variable(name), at, .. }) = self.peek() {
            let (name, at) = (name.clone(), *at);
            let assigns = match self.tokens.get(self.next + 1).map(|token| &token.kind) {
                Some(Kind::Declare) => false,
                Some(Kind::Assign) => true,
                Some(Kind::Comma) if place == Place::Range && names.is_empty() => {
                    names.push(name);
                    self.next += 2;
                    continue;
                }
                Some(Kind::Comma) => return Err(fault(at, "only `range` takes two variables")),
                _ => break,
            };
            names.push(name);
            self.next += 2;
            let unknown = names.iter().find(|name| assigns && !self.variables.contains(name));
            if let Some(name) = unknown {
                return Err(fault(at, format!("unknown variable `{name}`")));
            }
            return Ok((names, assigns));
        }
        if !names.is_empty() {
            return Err(fault(self.here(), "expected a second variable and `:=`"));
        }
        self.next = start;
        Ok((names, false))
    }

    fn command(&mut self) -> Result<Command, Problem> {
        let at = self.here();
        let mut operands = Vec::new();
        while let Some(operand) = self.operand()? {
            operands.push(operand);
            let adjacent = self.peek().filter(|token| !token.spaced && begins_operand(&token.kind));
            if let Some(token) = adjacent {
                return Err(fault(token.at, "expected a blank between two operands"));
            }
        }
        match operands.first() {
            None => Err(fault(at, "expected a value or a function")),
            Some(Operand { term: Term::Nil, .. }) => Err(fault(at, "`nil` alone is no command")),
            Some(first) if operands.len() > 1 && !can_take_arguments(first) => {
                Err(fault(operands[1].at, "only a function takes arguments"))
            }
            Some(_) => Ok(Command { operands, at }),
        }
    }

    fn operand(&mut self) -> Result<Option<Operand>, Problem> {
        let Some(token) = self.peek().filter(|token| begins_operand(&token.kind)).cloned() else {
            return Ok(None);
        };
        self.next += 1;
        let at = token.at;
        let bare_dot = token.kind == Kind::Dot;
        let mut fields = Vec::new();
        let term = match token.kind {
            Kind::Field(name) => {
                fields.push(name);
                Term::Dot
            }
            Kind::Dot => Term::Dot,
            Kind::Integer(number) => Term::Integer(number),
            Kind::Float(number) => Term::Float(number),
            Kind::Quoted(text) => Term::Quoted(text.into()),
            Kind::Variable(name) => {
                if !self.variables.contains(&name) {
                    return Err(fault(at, format!("unknown variable `{name}`")));
                }
                Term::Variable(name)
            }
            Kind::LeftParen => {
                self.deeper()?;
                let pipe = self.pipe(Place::Parentheses)?;
                self.depth -= 1;
                Term::Pipe(pipe)
            }
            Kind::Word(word) => word_term(&word, at)?,
            _ => return Ok(None),
        };
        while let Some(Token { kind: Kind::Field(name), spaced: false, at }) = self.peek() {
            let literal = matches!(
                term,
                Term::Nil | Term::Bool(_) | Term::Integer(_) | Term::Float(_) | Term::Quoted(_)
            );
            if literal || bare_dot {
                return Err(fault(*at, "a field may not follow here"));
            }
            fields.push(name.clone());
            self.next += 1;
        }
        Ok(Some(Operand { term, fields, at }))
    }
}

fn word_term(word: &str, at: usize) -> Result<Term, Problem> {
    match word {
        "true" => return Ok(Term::Bool(true)),
        "false" => return Ok(Term::Bool(false)),
        "nil" => return Ok(Term::Nil),
        "if" | "else" | "end" | "range" | "with" | "template" | "define" | "block" | "break" | "continue" => {
            return Err(fault(at, format!("`{word}` must stand at the beginning of an action")));
        }
        _ => {}
    }
    Function::of(word).map(Term::Function).ok_or_else(|| fault(at, format!("unknown function `{word}`")))
}

fn begins_operand(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Dot
            | Kind::Field(_)
            | Kind::Variable(_)
            | Kind::Word(_)
            | Kind::Integer(_)
            | Kind::Float(_)
            | Kind::Quoted(_)
            | Kind::LeftParen
    )
}

/// Functions, and fields, which may be methods of a time.
fn can_take_arguments(operand: &Operand) -> bool {
    matches!(operand.term, Term::Function(_)) || !operand.fields.is_empty()
}
