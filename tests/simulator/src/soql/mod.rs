//! SOQL in steps: text to tokens ([`lexer`]), tokens to a tree ([`parser`], [`ast`]), the tree to a
//! plan that is checked against schema and rights ([`plan`], [`filter`], [`aggregate`]), the plan
//! to rows ([`eval`]) and JSON ([`project`], [`shown`]).

mod aggregate;
pub(crate) mod ast;
mod dates;
pub(crate) mod eval;
mod filter;
mod lexer;
mod like;
mod parser;
pub(crate) mod path;
pub(crate) mod plan;
pub(crate) mod project;
mod shown;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
pub(crate) use parser::parse;
pub(crate) use plan::Plan;

use crate::org::Org;
use crate::org::access::Access;
use crate::switches::Switches;

/// The reason why a query was refused, in Salesforce's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Byte offset in the statement.
    pub(crate) at: Option<usize>,
}

impl QueryError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            at: None,
        }
    }

    pub(crate) fn malformed(message: impl Into<String>, at: usize) -> Self {
        Self {
            code: "MALFORMED_QUERY",
            message: message.into(),
            at: Some(at),
        }
    }

    pub(crate) fn unexpected(token: &str, at: usize) -> Self {
        let shown = if token.is_empty() { "<EOF>" } else { token };
        Self::malformed(format!("unexpected token: '{shown}'"), at)
    }
}

/// The context of a query: the org, the user's rights and options.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) org: &'a Org,
    pub(crate) access: &'a Access,
    pub(crate) switches: &'a Switches,
    pub(crate) now: Timestamp,
    /// Whether deleted rows are included (`queryAll`).
    pub(crate) all: bool,
}

/// Parses and plans a statement.
pub(crate) fn prepare(text: &str, scope: &Scope<'_>) -> Result<Plan, QueryError> {
    let query = parse(text, scope.switches)?;
    plan::plan(&query, scope)
}
