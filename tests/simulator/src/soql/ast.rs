//! The syntax tree of a SOQL statement. Names are not resolved yet.

use jiff::Timestamp;
use jiff::civil::Date;

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) select: Vec<Item>,
    pub(crate) from: String,
    pub(crate) from_at: usize,
    pub(crate) alias: Option<String>,
    pub(crate) filter: Option<Expr>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: Option<u64>,
}

/// An item of the SELECT list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// A field, by path.
    Field(Name),
    /// `COUNT()`.
    Count,
    /// `COUNT(field) alias`.
    CountOf(Name, Option<String>),
    /// `FIELDS(ALL)`, `FIELDS(STANDARD)`, `FIELDS(CUSTOM)`.
    Fields(String),
    /// `(SELECT ... FROM Contacts)`.
    Children(Box<Query>),
}

/// A dotted name and its position in the statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name {
    pub(crate) parts: Vec<String>,
    pub(crate) at: usize,
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Compare {
        name: Name,
        op: Op,
        literal: Literal,
    },
    In {
        name: Name,
        negated: bool,
        list: Vec<Literal>,
    },
    SemiJoin {
        name: Name,
        negated: bool,
        query: Box<Query>,
    },
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
}

/// A value in a condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    /// The text between the quotes, with its escapes.
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Null,
    Date(Date),
    DateTime(Timestamp),
    /// A date literal: `TODAY`, `LAST_N_DAYS:3`.
    Span(String, Option<i64>),
}

/// One key of ORDER BY.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) name: Name,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}
