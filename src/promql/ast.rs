//! The tree of a PromQL expression.
//!
//! Only the parser makes one, so whoever holds an [`Expr`] knows that its types fit and
//! that it is at most [`DEEPEST`] high: walking it by recursion is safe.

use super::function::Function;
use crate::model::selector::{MatchOp, Matcher};

/// Levels of a tree; each costs the evaluator some stack.
pub const DEEPEST: usize = 128;

/// Where in the text something stands, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    pub start: usize,
    /// Excluded.
    pub end: usize,
}

impl Span {
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    #[must_use]
    pub const fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

/// What an expression yields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    Scalar,
    String,
    /// Instant vector: one sample for each series.
    Vector,
    /// Range vector: a window of samples for each series.
    Matrix,
}

impl Type {
    /// As Prometheus calls it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    pub kind: Kind,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    Number(f64),
    Text(String),
    Selector(Selector),
    /// `selector[range]`; the range in milliseconds, at least 1.
    Range(Selector, i64),
    Subquery(Box<Subquery>),
    Negative(Box<Expr>),
    /// A plus sign in front, which does nothing.
    Positive(Box<Expr>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Function, Vec<Expr>),
    Paren(Box<Expr>),
}

/// `name{matchers} offset x @ y`.
#[derive(Clone, PartialEq, Debug)]
pub struct Selector {
    /// A name in front of the braces is the first, a matcher of `__name__`.
    pub matchers: Vec<Matcher>,
    pub shift: Shift,
}

/// To which time a selector or a subquery looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shift {
    /// Milliseconds back, or ahead where negative.
    pub offset: i64,
    pub at: Option<At>,
}

/// What stands behind `@`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// Milliseconds since 1970.
    Time(i64),
    /// First time of the query.
    Start,
    End,
}

/// `expr[range:step]`, in milliseconds.
#[derive(Clone, PartialEq, Debug)]
pub struct Subquery {
    pub expr: Expr,
    pub range: i64,
    /// `None` is the default of whoever evaluates.
    pub step: Option<i64>,
    pub shift: Shift,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterOrEqual => ">=",
            Self::LessOrEqual => "<=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    pub const fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::Less
                | Self::GreaterOrEqual
                | Self::LessOrEqual
        )
    }

    pub const fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Binary {
    pub op: BinaryOp,
    /// 0 or 1 instead of dropping what does not compare.
    pub bool: bool,
    pub left: Expr,
    pub right: Expr,
    /// Of two vectors; else as by default.
    pub matching: Matching,
}

/// Which samples of two vectors belong together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Matching {
    /// `on` instead of `ignoring`.
    pub on: bool,
    pub labels: Vec<String>,
    pub group: Group,
}

/// On which side several samples may belong to one of the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Group {
    /// On neither.
    #[default]
    One,
    /// `group_left`: several on the left; the labels are taken from the right.
    Left(Vec<String>),
    Right(Vec<String>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
}

impl AggregateOp {
    pub const ALL: [(&'static str, Self); 12] = [
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("count", Self::Count),
        ("min", Self::Min),
        ("max", Self::Max),
        ("group", Self::Group),
        ("stddev", Self::Stddev),
        ("stdvar", Self::Stdvar),
        ("topk", Self::Topk),
        ("bottomk", Self::Bottomk),
        ("count_values", Self::CountValues),
        ("quantile", Self::Quantile),
    ];

    pub fn words(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    /// What stands before the vector in the brackets.
    pub const fn parameter(self) -> Option<Type> {
        match self {
            Self::Topk | Self::Bottomk | Self::Quantile => Some(Type::Scalar),
            Self::CountValues => Some(Type::String),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Aggregate {
    pub op: AggregateOp,
    pub parameter: Option<Expr>,
    pub expr: Expr,
    /// `without` instead of `by`.
    pub without: bool,
    pub labels: Vec<String>,
}

impl Expr {
    /// What the expression yields.
    pub fn value_type(&self) -> Type {
        match &self.kind {
            Kind::Number(_) => Type::Scalar,
            Kind::Text(_) => Type::String,
            Kind::Selector(_) | Kind::Aggregate(_) => Type::Vector,
            Kind::Range(..) | Kind::Subquery(_) => Type::Matrix,
            Kind::Negative(inner) | Kind::Positive(inner) | Kind::Paren(inner) => inner.value_type(),
            Kind::Call(function, _) => function.returns(),
            Kind::Binary(binary) => {
                let scalars = [&binary.left, &binary.right].map(|side| side.value_type() == Type::Scalar);
                if scalars == [true, true] { Type::Scalar } else { Type::Vector }
            }
        }
    }

    /// The expression inside any brackets around it.
    pub fn bare(&self) -> &Self {
        let mut expr = self;
        while let Kind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// The expressions right below this one.
    pub fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Selector(_) | Kind::Range(..) => Vec::new(),
            Kind::Subquery(subquery) => vec![&subquery.expr],
            Kind::Negative(inner) | Kind::Positive(inner) | Kind::Paren(inner) => vec![inner],
            Kind::Binary(binary) => vec![&binary.left, &binary.right],
            Kind::Aggregate(aggregate) => aggregate.parameter.iter().chain([&aggregate.expr]).collect(),
            Kind::Call(_, arguments) => arguments.iter().collect(),
        }
    }
}

impl Selector {
    /// The metric's name where the selector fixes it.
    pub fn name(&self) -> Option<&str> {
        let fixed = |m: &&Matcher| m.label == super::labels::NAME && m.op == MatchOp::Equal;
        self.matchers.iter().find(fixed).map(|matcher| matcher.value.as_str())
    }
}
