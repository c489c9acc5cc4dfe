//! A template as a tree. Every node that can fail at rendering knows its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::function::Function;

/// One piece of a template.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node {
    Plain(String),
    /// `{{ pipeline }}`; prints unless it declares or assigns.
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    /// `{{ template "name" pipeline }}`
    Template {
        name: String,
        pipe: Option<Pipe>,
        at: usize,
    },
    Break,
    Continue,
}

/// A condition, or what is ranged over, and the two lists below it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Branch {
    pub pipe: Pipe,
    pub then: Vec<Node>,
    pub other: Vec<Node>,
}

/// Commands of which each takes the result of the one before as its last argument.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Pipe {
    /// Variables that get the result: one, or two of a `range`.
    pub variables: Vec<String>,
    /// `=` instead of `:=`.
    pub assigns: bool,
    pub commands: Vec<Command>,
    pub at: usize,
}

/// An operand, and the arguments when it is a function.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Command {
    pub operands: Vec<Operand>,
    pub at: usize,
}

/// Something with a value, and the fields taken of it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Operand {
    pub term: Term,
    pub fields: Vec<String>,
    pub at: usize,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Quoted(Arc<str>),
    Variable(String),
    Function(Function),
    Pipe(Pipe),
}

/// What was read: the template itself and those that it defines.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Tree {
    pub main: Vec<Node>,
    pub defined: BTreeMap<String, Vec<Node>>,
}
