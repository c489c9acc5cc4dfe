//! Renders a tree.
//!
//! One budget bounds it all: every step, every byte a function makes and every query
//! takes from it, so that no template, however it loops or doubles its texts, holds the
//! caller up. Wrong would be to bound the output alone: a loop that prints nothing
//! would run for ever.

use std::sync::Arc;

use super::function::{self, Context, Function};
use super::node::{Branch, Command, Node, Operand, Pipe, Term, Tree};
use super::value::{Root, Sample, Value};
use super::{Data, Element, LONGEST_OUTPUT, Problem, Query, fault};

/// Steps; the prices below are in steps.
const WORK: usize = 1_000_000;
/// Bytes of text that cost as much as one step.
const BYTES_PER_STEP: usize = 4;
/// So a template asks at most a hundred times.
const QUERY: usize = 10_000;
/// Templates that call each other.
const DEPTH: usize = 50;

/// Rounds of a `range` over a number.
const LONGEST_RANGE: i64 = 10_000;

/// What a list of nodes did to the loop around it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// Renders `tree`.
pub(super) fn render(tree: &Tree, data: &Data<'_>, query: Query<'_>) -> Result<String, Problem> {
    let root = Arc::new(Root {
        labels: data.labels.clone(),
        external_labels: data.external_labels.clone(),
        external_url: data.external_url.into(),
        value: data.value,
    });
    let variables = vec![
        ("$", Value::Root(root.clone())),
        ("$labels", Value::Labels(root.labels.clone())),
        ("$externalLabels", Value::Labels(root.external_labels.clone())),
        ("$externalURL", Value::Text(root.external_url.clone())),
        ("$value", Value::Float(root.value)),
    ];
    let context = Context { external_url: data.external_url, now: data.at.seconds(), most: LONGEST_OUTPUT };
    let mut run = Run { tree, query, context, variables, out: String::new(), left: WORK, depth: 0 };
    run.list(&tree.main, &Value::Root(root))?;
    Ok(run.out)
}

struct Run<'a> {
    tree: &'a Tree,
    query: Query<'a>,
    context: Context<'a>,
    /// In scope, innermost last.
    variables: Vec<(&'a str, Value)>,
    out: String,
    left: usize,
    depth: usize,
}

impl<'a> Run<'a> {
    fn spend(&mut self, steps: usize, at: usize) -> Result<(), Problem> {
        self.left = self.left.checked_sub(steps).ok_or_else(|| {
            fault(at, "the template does too much, expected fewer loops, queries or shorter texts")
        })?;
        Ok(())
    }

    fn write(&mut self, text: &str, at: usize) -> Result<(), Problem> {
        if self.out.len() + text.len() > LONGEST_OUTPUT {
            return Err(fault(at, format!("the output is longer than {LONGEST_OUTPUT} bytes")));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn list(&mut self, nodes: &'a [Node], dot: &Value) -> Result<Flow, Problem> {
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &'a Node, dot: &Value) -> Result<Flow, Problem> {
        self.spend(1, 0)?;
        match node {
            Node::Plain(text) => self.write(text, 0)?,
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.write(&value.printed(LONGEST_OUTPUT), pipe.at)?;
                }
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Template { name, pipe, at } => self.template(name, pipe.as_ref(), dot, *at)?,
            Node::If(branch) | Node::With(branch) => return self.condition(node, branch, dot),
            Node::Range(branch) => return self.range(branch, dot),
        }
        Ok(Flow::Next)
    }

    fn condition(&mut self, node: &Node, branch: &'a Branch, dot: &Value) -> Result<Flow, Problem> {
        let scope = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let list = if value.is_true() { &branch.then } else { &branch.other };
        let moves_dot = matches!(node, Node::With(_)) && value.is_true();
        let flow = self.list(list, if moves_dot { &value } else { dot });
        self.variables.truncate(scope);
        flow
    }

    fn range(&mut self, branch: &'a Branch, dot: &Value) -> Result<Flow, Problem> {
        let scope = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let at = branch.pipe.at;
        let pairs: Vec<(Value, Value)> = match &value {
            Value::Nil => Vec::new(),
            Value::Vector(samples) => {
                (0..).map(Value::Integer).zip(samples.iter().cloned().map(Value::Sample)).collect()
            }
            Value::Labels(map) => map.iter().map(|(k, v)| (Value::text(k), Value::text(v))).collect(),
            Value::Arguments(map, _) => {
                map.iter().map(|(k, v)| (Value::text(k.as_str()), v.clone())).collect()
            }
            Value::Integer(count) if *count > LONGEST_RANGE => {
                return Err(fault(at, format!("`range` over more than {LONGEST_RANGE}")));
            }
            Value::Integer(count) => (0..*count).map(|at| (Value::Integer(at), Value::Integer(at))).collect(),
            other => {
                return Err(fault(
                    at,
                    format!("`range` needs the result of a query or labels, found {}", other.type_name()),
                ));
            }
        };
        if pairs.is_empty() {
            let flow = self.list(&branch.other, dot);
            self.variables.truncate(scope);
            return flow;
        }
        let inner = self.variables.len();
        for (key, element) in pairs {
            self.spend(1, at)?;
            match branch.pipe.variables.as_slice() {
                [one] => self.assign(one, element.clone(), at)?,
                [first, second] => {
                    self.assign(first, key, at)?;
                    self.assign(second, element.clone(), at)?;
                }
                _ => {}
            }
            let flow = self.list(&branch.then, &element)?;
            self.variables.truncate(inner);
            if flow == Flow::Break {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(Flow::Next)
    }

    fn template(
        &mut self,
        name: &str,
        pipe: Option<&'a Pipe>,
        dot: &Value,
        at: usize,
    ) -> Result<(), Problem> {
        let dot = match pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        let Some(nodes) = self.tree.defined.get(name) else {
            return Err(fault(at, format!("template `{name}` is not defined")));
        };
        if self.depth >= DEPTH {
            return Err(fault(at, format!("more than {DEPTH} templates in each other")));
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let done = self.list(nodes, &dot);
        self.variables = outer;
        self.depth -= 1;
        done.map(|_| ())
    }

    fn assign(&mut self, name: &str, value: Value, at: usize) -> Result<(), Problem> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, place)) => {
                *place = value;
                Ok(())
            }
            None => Err(fault(at, format!("unknown variable `{name}`"))),
        }
    }

    fn pipe(&mut self, pipe: &'a Pipe, dot: &Value) -> Result<Value, Problem> {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, dot, last)?);
        }
        let value = last.unwrap_or(Value::Nil);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone(), pipe.at)?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, command: &'a Command, dot: &Value, last: Option<Value>) -> Result<Value, Problem> {
        self.spend(1, command.at)?;
        let Some((first, rest)) = command.operands.split_first() else { return Ok(Value::Nil) };
        if let (Term::Function(function), true) = (&first.term, first.fields.is_empty()) {
            return self.call(*function, rest, dot, last, first.at);
        }
        let Some((field, above)) = first.fields.split_last() else { return self.operand(first, dot) };
        let value = self.term(first, dot)?;
        let value = fields(value, above, first.at)?;
        let mut arguments = Vec::new();
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(last);
        let got = match &value {
            Value::Time(millis) => super::time::method(*millis, field, &arguments),
            _ if arguments.is_empty() => value.field(field),
            _ => Err(format!("`.{field}` is no function and takes no arguments")),
        };
        got.map_err(|message| fault(first.at, message))
    }

    fn operand(&mut self, operand: &'a Operand, dot: &Value) -> Result<Value, Problem> {
        self.spend(1, operand.at)?;
        let value = self.term(operand, dot)?;
        fields(value, &operand.fields, operand.at)
    }

    /// The value without its fields.
    fn term(&mut self, operand: &'a Operand, dot: &Value) -> Result<Value, Problem> {
        Ok(match &operand.term {
            Term::Dot => dot.clone(),
            Term::Nil => Value::Nil,
            Term::Bool(value) => Value::Bool(*value),
            Term::Integer(number) => Value::Integer(*number),
            Term::Float(number) => Value::Float(*number),
            Term::Quoted(text) => Value::Text(text.clone()),
            Term::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let unknown = || fault(operand.at, format!("unknown variable `{name}`"));
                found.ok_or_else(unknown)?.1.clone()
            }
            Term::Function(function) => self.call(*function, &[], dot, None, operand.at)?,
            Term::Pipe(pipe) => self.pipe(pipe, dot)?,
        })
    }

    fn call(
        &mut self,
        function: Function,
        operands: &'a [Operand],
        dot: &Value,
        last: Option<Value>,
        at: usize,
    ) -> Result<Value, Problem> {
        let failed = |message: String| fault(at, message);
        function::check_count(function, operands.len() + usize::from(last.is_some())).map_err(failed)?;
        let mut arguments = Vec::new();
        for operand in operands {
            let value = self.operand(operand, dot)?;
            // `and` and `or` do not look at what comes after the answer.
            let decided = match function {
                Function::And => !value.is_true(),
                Function::Or => value.is_true(),
                _ => false,
            };
            if decided {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(last);
        self.spend(price(function, &arguments), at)?;
        let value = match function {
            Function::And | Function::Or => arguments.pop().unwrap_or(Value::Nil),
            Function::Query => self.ask(&arguments, at)?,
            _ => function::call(function, &arguments, &self.context).map_err(failed)?,
        };
        if let Value::Text(text) = &value {
            if text.len() > LONGEST_OUTPUT {
                return Err(fault(at, format!("a text is longer than {LONGEST_OUTPUT} bytes")));
            }
            self.spend(text.len() / BYTES_PER_STEP, at)?;
        }
        Ok(value)
    }

    fn ask(&mut self, arguments: &[Value], at: usize) -> Result<Value, Problem> {
        let [Value::Text(expr)] = arguments else {
            return Err(fault(at, "`query` takes one expression as text"));
        };
        self.spend(QUERY, at)?;
        let found = (self.query)(expr).map_err(|message| fault(at, format!("`query` failed: {message}")))?;
        self.spend(found.len(), at)?;
        let sample = |(labels, value): Element| Arc::new(Sample { labels, value });
        Ok(Value::Vector(Arc::new(found.into_iter().map(sample).collect())))
    }
}

fn fields(value: Value, names: &[String], at: usize) -> Result<Value, Problem> {
    let mut value = value;
    for name in names {
        value = match &value {
            Value::Time(millis) => super::time::method(*millis, name, &[]),
            other => other.field(name),
        }
        .map_err(|message| fault(at, message))?;
    }
    Ok(value)
}

/// What a call costs beside the step it is.
fn price(function: Function, arguments: &[Value]) -> usize {
    let length = |at: usize| arguments.get(at).and_then(Value::length).unwrap_or(0);
    match function {
        Function::Match => (length(0) + 16) * (length(1) + 16) / 64,
        Function::ReplaceAll => (length(0) + 16) * (length(2) + 16) / 64 + length(1),
        Function::SortByLabel => length(1),
        _ => arguments.len(),
    }
}
