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
    pub(crate) group: Vec<Name>,
    pub(crate) having: Option<Expr>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: Option<u64>,
}

/// An item of the SELECT list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// A field, by path, with an alias in a grouped query.
    Field(Name, Option<String>),
    /// `toLabel(field) alias`, `FORMAT(field) alias`.
    Shown(Shown, Name, Option<String>),
    /// `COUNT()`.
    Count,
    /// `MAX(field) alias`.
    Aggregate(Aggregate, Option<String>),
    /// `TYPEOF What WHEN Account THEN Phone ELSE Name END`.
    TypeOf(TypeOf),
    /// `FIELDS(ALL)`, `FIELDS(STANDARD)`, `FIELDS(CUSTOM)`.
    Fields(String),
    /// `(SELECT ... FROM Contacts)`.
    Children(Box<Query>),
}

/// How a field is shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The label of a value.
    Label,
    /// As the user's locale writes it.
    Format,
}

/// A value of a group of rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) function: Function,
    pub(crate) of: Name,
}

/// How the value of a group is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Count,
    CountDistinct,
    Min,
    Max,
    Sum,
    Avg,
}

impl Function {
    pub(crate) fn named(word: &str) -> Option<Self> {
        Some(match word.to_ascii_uppercase().as_str() {
            "COUNT" => Self::Count,
            "COUNT_DISTINCT" => Self::CountDistinct,
            "MIN" => Self::Min,
            "MAX" => Self::Max,
            "SUM" => Self::Sum,
            "AVG" => Self::Avg,
            _ => return None,
        })
    }
}

/// The fields of a related record, by its object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TypeOf {
    pub(crate) relationship: Name,
    pub(crate) whens: Vec<(String, Vec<Name>)>,
    pub(crate) otherwise: Vec<Name>,
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
    /// A condition of HAVING.
    CompareAggregate {
        aggregate: Aggregate,
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
    /// The key is this value of the field in a group.
    pub(crate) function: Option<Function>,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}
