//! What `cargo mutants --list --json` says.

use serde::Deserialize;

/// One change of one place in the source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Mutant {
    /// The file, from the root of the repository.
    pub file: String,
    pub genre: Genre,
    /// Place and change in words.
    pub name: String,
    /// What stands in the place of what `span` covers; nothing where that is deleted.
    pub replacement: String,
    pub span: Span,
}

/// The kinds of changes of cargo-mutants 27.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Genre {
    /// All statements of a function become one value.
    FnValue,
    BinaryOperator,
    /// The operator is left out.
    UnaryOperator,
    /// The arm is left out.
    MatchArm,
    /// The condition of an arm becomes `true` or `false`.
    MatchArmGuard,
    /// A field is left out of an expression that takes the others from a base.
    StructField,
}

/// From `start` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Span {
    pub start: Position,
    pub end: Position,
}

/// Lines and characters of a line, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Position {
    pub line: usize,
    pub column: usize,
}
