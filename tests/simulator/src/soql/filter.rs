//! Conditions: they are checked against field types and compiled for a test row by row.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::ast::{Expr, Literal, Name, Op, Query};
use super::like::Pattern;
use super::path::{Found, Path, resolve};
use super::{QueryError, Scope, dates, eval, lexer, plan};
use crate::org::{Row, Table, ids};
use crate::schema::{Kind, ObjectType, Value, fold};

/// A compiled condition.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// The value is equal to this one, which is not text.
    Equals(Path, Value),
    /// The value is greater, less, ... than this one.
    Compare(Path, Op, Value),
    /// The text is one of these, in folded form. The flag is true when null also matches.
    OneOf(Path, HashSet<String>, bool),
    Like(Path, Pattern),
    /// The value is in the range from the first value (included) to the second (excluded).
    Between(Path, Value, Value),
}

impl Filter {
    /// Whether the row matches.
    pub(crate) fn fits(&self, scope: &Scope<'_>, row: &Row) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.fits(scope, row)),
            Self::Or(parts) => parts.iter().any(|part| part.fits(scope, row)),
            Self::Not(inner) => !inner.fits(scope, row),
            Self::Equals(path, value) => {
                let found = path.value(scope, row);
                match (found, value) {
                    (Value::Null, Value::Null) => true,
                    _ => found.compare(value) == Some(Ordering::Equal),
                }
            }
            Self::Compare(path, op, value) => {
                path.value(scope, row)
                    .compare(value)
                    .is_some_and(|order| match op {
                        Op::Lt => order.is_lt(),
                        Op::Le => order.is_le(),
                        Op::Gt => order.is_gt(),
                        Op::Ge => order.is_ge(),
                        _ => false,
                    })
            }
            Self::OneOf(path, texts, null) => match path.value(scope, row) {
                Value::Null => *null,
                Value::Text(text) => texts.contains(&fold(text)),
                _ => false,
            },
            Self::Like(path, pattern) => path
                .value(scope, row)
                .as_text()
                .is_some_and(|text| pattern.matches(text)),
            Self::Between(path, from, to) => {
                let value = path.value(scope, row);
                value.compare(from).is_some_and(Ordering::is_ge)
                    && value.compare(to).is_some_and(Ordering::is_lt)
            }
        }
    }

    /// Numbers of the rows that may match, from indexes, in order. `None` means that every row must
    /// be tested.
    pub(crate) fn candidates(&self, table: &Table) -> Option<Vec<u32>> {
        let mut rows = self.indexed(table)?;
        rows.sort_unstable();
        rows.dedup();
        Some(rows)
    }

    fn indexed(&self, table: &Table) -> Option<Vec<u32>> {
        match self {
            Self::OneOf(Path::Own(field), texts, false) => {
                let index = table.index(*field);
                Some(
                    texts
                        .iter()
                        .filter_map(|text| index.get(text))
                        .flatten()
                        .copied()
                        .collect(),
                )
            }
            Self::And(parts) => parts
                .iter()
                .filter_map(|part| part.indexed(table))
                .min_by_key(Vec::len),
            Self::Or(parts) => {
                let all: Option<Vec<Vec<u32>>> =
                    parts.iter().map(|part| part.indexed(table)).collect();
                all.map(|all| all.concat())
            }
            _ => None,
        }
    }
}

/// The context in which names are resolved.
pub(super) struct Compiler<'a, 'q> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) object: &'a ObjectType,
    pub(super) alias: Option<&'q str>,
    /// Number of sub-queries so far; two are allowed.
    pub(super) semi_joins: usize,
    /// Why no sub-query may stand here.
    pub(super) no_semi_join: Option<&'static str>,
    /// Whether it is a part of a condition that is compiled.
    pub(super) is_within: bool,
}

const IN_AN_OR: &str = "Semi join sub-selects are not allowed with the 'OR' operator";
const IN_PARENTHESES: &str = "Semi join sub-selects are only allowed at the top level WHERE \
     expressions and not in nested WHERE expressions.";
pub(super) const IN_A_SEMI_JOIN: &str = "Nesting of semi join sub-selects is not supported";

impl Compiler<'_, '_> {
    /// Checks and compiles a condition.
    pub(super) fn compile(&mut self, expr: &Expr) -> Result<Filter, QueryError> {
        let is_outermost = !std::mem::replace(&mut self.is_within, true);
        match expr {
            Expr::And(parts) => Ok(Filter::And(self.all(parts)?)),
            Expr::Or(parts) => {
                let why = if is_outermost {
                    IN_AN_OR
                } else {
                    IN_PARENTHESES
                };
                Ok(Filter::Or(self.without_semi_joins(why, parts)?))
            }
            Expr::Not(inner) => {
                let inner = self.without_semi_joins(IN_PARENTHESES, std::slice::from_ref(inner))?;
                Ok(Filter::Not(Box::new(Filter::And(inner))))
            }
            Expr::Compare { name, op, literal } => self.compare(name, *op, literal),
            Expr::CompareAggregate { aggregate, .. } => {
                Err(QueryError::unexpected("(", aggregate.of.at))
            }
            Expr::In {
                name,
                negated,
                list,
            } => {
                let filter = self.one_of(name, list)?;
                Ok(if *negated {
                    Filter::Not(Box::new(filter))
                } else {
                    filter
                })
            }
            Expr::SemiJoin {
                name,
                negated,
                query,
            } => {
                let filter = self.semi_join(name, query)?;
                Ok(if *negated {
                    Filter::Not(Box::new(filter))
                } else {
                    filter
                })
            }
        }
    }

    fn all(&mut self, parts: &[Expr]) -> Result<Vec<Filter>, QueryError> {
        parts.iter().map(|part| self.compile(part)).collect()
    }

    /// The parts of a condition in which no sub-query may stand.
    fn without_semi_joins(
        &mut self,
        why: &'static str,
        parts: &[Expr],
    ) -> Result<Vec<Filter>, QueryError> {
        let outside = self.no_semi_join;
        self.no_semi_join = outside.or(Some(why));
        let parts = self.all(parts);
        self.no_semi_join = outside;
        parts
    }

    fn field(&self, name: &Name) -> Result<Found, QueryError> {
        let found = resolve(name, self.alias, self.object, self.scope)?;
        if found.kind == Kind::TextArea {
            let message = format!("field '{}' can not be filtered in a query call", found.name);
            return Err(QueryError {
                at: Some(name.at),
                ..QueryError::new("INVALID_FIELD", message)
            });
        }
        Ok(found)
    }

    fn compare(&self, name: &Name, op: Op, literal: &Literal) -> Result<Filter, QueryError> {
        let found = self.field(name)?;
        if op == Op::Like {
            return like(&found, literal, name.at);
        }
        let ordered = !matches!(op, Op::Eq | Op::Ne);
        // Ids have an order, by which results are read on (facts: Salesforce changes A3).
        if ordered && matches!(found.kind, Kind::Boolean | Kind::Reference) {
            return Err(invalid_operator(name.at));
        }
        if let Literal::Span(span, n) = literal {
            return self.within(&found, op, span, *n, name.at);
        }
        let value = fitting(&found, literal, name.at)?;
        let equal = |found: Found, value: Value| match value {
            Value::Text(text) => Filter::OneOf(found.path, HashSet::from([fold(&text)]), false),
            Value::Null => Filter::Equals(found.path, Value::Null),
            other => Filter::Equals(found.path, other),
        };
        Ok(match op {
            Op::Eq => equal(found, value),
            Op::Ne => Filter::Not(Box::new(equal(found, value))),
            _ => Filter::Compare(found.path, op, value),
        })
    }

    /// Compiles a comparison with a range of days.
    fn within(
        &self,
        found: &Found,
        op: Op,
        name: &str,
        n: Option<i64>,
        at: usize,
    ) -> Result<Filter, QueryError> {
        let Some((from, to)) = dates::span(name, n, self.scope.now) else {
            return Err(QueryError::unexpected(name, at));
        };
        let value = |date| match found.kind {
            Kind::Date => Ok(Value::Date(date)),
            Kind::DateTime => Ok(Value::DateTime(dates::midnight(date))),
            _ => Err(misfit(found, at)),
        };
        let (from, to, path) = (value(from)?, value(to)?, found.path.clone());
        Ok(match op {
            Op::Eq => Filter::Between(path, from, to),
            Op::Ne => Filter::Not(Box::new(Filter::Between(path, from, to))),
            Op::Lt => Filter::Compare(path, Op::Lt, from),
            Op::Ge => Filter::Compare(path, Op::Ge, from),
            Op::Gt => Filter::Compare(path, Op::Ge, to),
            _ => Filter::Compare(path, Op::Lt, to),
        })
    }

    fn one_of(&self, name: &Name, list: &[Literal]) -> Result<Filter, QueryError> {
        let found = self.field(name)?;
        let mut texts = HashSet::with_capacity(list.len());
        let mut others = Vec::new();
        let mut null = false;
        for literal in list {
            match fitting(&found, literal, name.at)? {
                Value::Text(text) => {
                    texts.insert(fold(&text));
                }
                Value::Null => null = true,
                other => others.push(Filter::Equals(found.path.clone(), other)),
            }
        }
        if others.is_empty() {
            return Ok(Filter::OneOf(found.path, texts, null));
        }
        if null {
            others.push(Filter::Equals(found.path, Value::Null));
        }
        Ok(Filter::Or(others))
    }

    fn semi_join(&mut self, name: &Name, query: &Query) -> Result<Filter, QueryError> {
        if let Some(why) = self.no_semi_join {
            return Err(QueryError::malformed(why, name.at));
        }
        self.semi_joins += 1;
        if self.semi_joins > 2 {
            return Err(QueryError::malformed(
                "maximum 2 semi join sub-selects are allowed",
                name.at,
            ));
        }
        let found = self.field(name)?;
        if !matches!(found.kind, Kind::Id | Kind::Reference) {
            let message = format!(
                "semi join field '{}' must be an id or reference field",
                found.name
            );
            return Err(QueryError::malformed(message, name.at));
        }
        let inner = plan::semi_join(query, self.scope)?;
        if inner.object == self.object.name {
            let message = "The inner and outer selects should not be on the same object type";
            return Err(QueryError::malformed(message, name.at));
        }
        let column = plan::single_field(query, &inner, self.scope, name.at)?;
        if !column
            .targets
            .iter()
            .any(|target| found.targets.contains(target))
        {
            let message = format!(
                "The selected field '{}' in the subquery and the left operand field in the where \
                 expression in the outer query '{}' should point to the same object type",
                column.name, found.name
            );
            return Err(QueryError::malformed(message, name.at));
        }
        let column = column.path;
        let rows = eval::rows(&inner, self.scope);
        let table = self.scope.org.table(&inner.object);
        let ids = rows
            .into_iter()
            .filter_map(|number| table.and_then(|table| table.row(number)));
        let texts = ids
            .filter_map(|row| column.value(self.scope, row).as_text().map(fold))
            .collect();
        Ok(Filter::OneOf(found.path, texts, false))
    }
}

fn like(found: &Found, literal: &Literal, at: usize) -> Result<Filter, QueryError> {
    if !found.kind.is_text() || matches!(found.kind, Kind::Id | Kind::Reference) {
        return Err(invalid_operator(at));
    }
    match literal {
        Literal::Text(raw) => Ok(Filter::Like(found.path.clone(), Pattern::new(raw))),
        _ => Err(misfit(found, at)),
    }
}

/// Converts the literal to a value of the field's type.
pub(super) fn fitting(found: &Found, literal: &Literal, at: usize) -> Result<Value, QueryError> {
    let value = match (found.kind, literal) {
        (_, Literal::Null) => Value::Null,
        (Kind::Id | Kind::Reference, Literal::Text(raw)) => {
            let id = lexer::unescape(raw);
            if !ids::is_id(&id) {
                let message = format!("invalid ID field: {id}");
                return Err(QueryError {
                    at: Some(at),
                    ..QueryError::new("INVALID_QUERY_FILTER_OPERATOR", message)
                });
            }
            Value::text(ids::lengthen(&id))
        }
        // Salesforce stores no empty text: '' means null.
        (kind, Literal::Text(raw)) if kind.is_text() => Value::text_or_null(lexer::unescape(raw)),
        (Kind::Boolean, Literal::Bool(b)) => Value::Bool(*b),
        (Kind::Int | Kind::Double, Literal::Int(number)) => Value::Int(*number),
        (Kind::Int | Kind::Double, Literal::Double(number)) => Value::Double(*number),
        (Kind::Date, Literal::Date(date)) => Value::Date(*date),
        // Milliseconds do not count (facts: Salesforce changes A2).
        (Kind::DateTime, Literal::DateTime(moment)) => {
            Value::DateTime(jiff::Timestamp::from_second(moment.as_second()).unwrap_or(*moment))
        }
        _ => return Err(misfit(found, at)),
    };
    Ok(value)
}

fn misfit(found: &Found, at: usize) -> QueryError {
    let quotes = if found.kind.is_text() {
        "should be enclosed in quotes"
    } else {
        "should not be enclosed in quotes"
    };
    let kind = match found.kind {
        Kind::DateTime => "dateTime",
        kind if kind.is_text() => "string",
        kind => kind.describe_name(),
    };
    let message = format!(
        "value of filter criterion for field '{}' must be of type {kind} and {quotes}",
        found.name
    );
    QueryError {
        at: Some(at),
        ..QueryError::new("INVALID_FIELD", message)
    }
}

/// The comparison of a condition about groups, which has no LIKE.
pub(super) fn operator(op: Op, at: usize) -> Result<Op, QueryError> {
    match op {
        Op::Like => Err(invalid_operator(at)),
        op => Ok(op),
    }
}

fn invalid_operator(at: usize) -> QueryError {
    QueryError {
        at: Some(at),
        ..QueryError::new("INVALID_QUERY_FILTER_OPERATOR", "invalid operator")
    }
}
