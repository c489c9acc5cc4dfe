//! What the parser checks when it puts a tree together: types, counts, height.

use super::super::ast::{Binary, DEEPEST, Expr, Kind, Matching, Span, Type};
use super::super::function::Signature;
use super::{Built, Parsed, Parser};

impl Parser<'_> {
    /// `height` is that of the highest below.
    pub(super) fn built(&self, kind: Kind, span: Span, height: usize) -> Parsed<Built> {
        let height = height + 1;
        if height > DEEPEST {
            return Err(self.error(span, format!("the expression is more than {DEEPEST} levels deep")));
        }
        Ok(Built { expr: Expr { kind, span }, height })
    }

    pub(super) fn expect_type(&self, expr: &Expr, wanted: Type, by: &str) -> Parsed<()> {
        let found = expr.value_type();
        if found == wanted {
            return Ok(());
        }
        let message = format!("`{by}` takes {} here, found {}", with_article(wanted), with_article(found));
        Err(self.error(expr.span, message))
    }

    /// A sign in front. That of a number becomes part of it.
    pub(super) fn signed(&self, sign: Span, negative: bool, inner: Built) -> Parsed<Built> {
        let span = sign.to(inner.expr.span);
        let found = inner.expr.value_type();
        if !matches!(found, Type::Scalar | Type::Vector) {
            let message = format!(
                "a sign goes in front of a scalar or an instant vector, found {}",
                with_article(found)
            );
            return Err(self.error(span, message));
        }
        match inner.expr.kind {
            Kind::Number(value) => self.built(Kind::Number(if negative { -value } else { value }), span, 0),
            _ if negative => self.built(Kind::Negative(Box::new(inner.expr)), span, inner.height),
            _ => self.built(Kind::Positive(Box::new(inner.expr)), span, inner.height),
        }
    }

    pub(super) fn call(&self, name: Span, signature: &Signature, arguments: Vec<Built>) -> Parsed<Built> {
        let span = name.to(Span::new(0, self.end));
        let (count, most) = (arguments.len(), signature.arguments.len());
        if count < signature.least || (count > most && !signature.repeated) {
            let wanted = match (signature.least, most) {
                (least, most) if least == most => format!("{most}"),
                (least, _) if signature.repeated => format!("at least {least}"),
                (least, most) => format!("{least} or {most}"),
            };
            let message = format!("`{}` takes {wanted} argument(s), found {count}", signature.name);
            return Err(self.error(span, message));
        }
        let types = signature.arguments.iter().chain(signature.arguments.last().into_iter().cycle());
        for (argument, wanted) in arguments.iter().zip(types) {
            self.expect_type(&argument.expr, *wanted, signature.name)?;
        }
        let height = arguments.iter().map(|argument| argument.height).max().unwrap_or(0);
        let arguments = arguments.into_iter().map(|argument| argument.expr).collect();
        self.built(Kind::Call(signature.function, arguments), span, height)
    }

    pub(super) fn binary(&self, sign: Span, mut binary: Binary, height: usize) -> Parsed<Built> {
        let (op, types) = (binary.op, [&binary.left, &binary.right].map(Expr::value_type));
        for (side, found) in [&binary.left, &binary.right].into_iter().zip(types) {
            if !matches!(found, Type::Scalar | Type::Vector) {
                let found = with_article(found);
                let message = format!("`{}` takes scalars and instant vectors, found {found}", op.words());
                return Err(self.error(side.span, message));
            }
        }
        if types != [Type::Vector, Type::Vector] {
            if op.is_set() {
                let message = format!("`{}` goes between two instant vectors, found a scalar", op.words());
                return Err(self.error(sign, message));
            }
            if !binary.matching.labels.is_empty() {
                let message = "`on` and `ignoring` go between two instant vectors, found a scalar";
                return Err(self.error(sign, message));
            }
            // `on ()` says nothing, and Prometheus lets it pass.
            binary.matching = Matching::default();
        }
        if types == [Type::Scalar, Type::Scalar] && op.is_comparison() && !binary.bool {
            let message = format!("a comparison of scalars needs `bool`: `{} bool`", op.words());
            return Err(self.error(sign, message));
        }
        let span = binary.left.span.to(binary.right.span);
        self.built(Kind::Binary(Box::new(binary)), span, height)
    }
}

fn with_article(value: Type) -> String {
    let article = if value == Type::Vector { "an" } else { "a" };
    format!("{article} {}", value.words())
}
