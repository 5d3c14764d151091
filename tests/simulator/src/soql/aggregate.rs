//! Grouped rows: GROUP BY, HAVING, and functions over groups. Without GROUP BY all rows are one.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};

use super::ast::{Aggregate, Expr, Function, Item, Name, Op, Query};
use super::eval::ordered;
use super::filter::{fitting, operator};
use super::path::{self, Found, Path};
use super::{QueryError, Scope};
use crate::org::Row;
use crate::schema::{Kind, ObjectType, Value, fold};

/// A grouped query, ready to run over the rows of its plan.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    keys: Vec<Path>,
    columns: Vec<(String, Cell)>,
    having: Option<Having>,
    order: Vec<(Cell, bool, bool)>,
    limit: Option<u64>,
    offset: u64,
    /// Whether there is a GROUP BY: without, no rows are a group, too.
    grouped: bool,
}

/// One value of a group.
#[derive(Clone, Debug)]
enum Cell {
    /// The value that its rows have in common.
    Key(usize),
    Of(Function, Path),
}

#[derive(Clone, Debug)]
enum Having {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Compare(Cell, Op, Value),
}

/// Whether the query is about groups of rows.
pub(super) fn is_grouped(query: &Query) -> bool {
    let has_function = |item: &Item| matches!(item, Item::Aggregate(..));
    !query.group.is_empty() || query.having.is_some() || query.select.iter().any(has_function)
}

/// Resolves the names of a grouped query.
pub(super) fn plan(
    query: &Query,
    object: &ObjectType,
    scope: &Scope<'_>,
) -> Result<Groups, QueryError> {
    let alias = query.alias.as_deref();
    let mut planner = Planner {
        alias,
        object,
        scope,
        keys: Vec::new(),
    };
    for name in &query.group {
        let found = path::resolve(name, alias, object, scope)?;
        if matches!(found.kind, Kind::TextArea | Kind::DateTime | Kind::Double) {
            let message = format!("field '{}' can not be grouped in a query call", found.name);
            return Err(QueryError::malformed(message, name.at));
        }
        planner.keys.push(found.path);
    }
    let grouped = !query.group.is_empty();
    let limited = query.limit.is_some() || query.offset.is_some();
    if !grouped && limited {
        let message =
            "Non-grouped query that uses overall aggregate functions cannot also use LIMIT";
        return Err(QueryError::malformed(message, query.from_at));
    }
    let columns = planner.columns(query)?;
    let having = match &query.having {
        Some(expr) => Some(planner.having(expr)?),
        None => None,
    };
    let mut order = Vec::new();
    for key in &query.order {
        let cell = match key.function {
            Some(function) => planner.function(function, &key.name)?,
            None => planner.key(&key.name, "Ordered field")?.1,
        };
        order.push((cell, key.descending, key.nulls_last));
    }
    Ok(Groups {
        keys: planner.keys,
        columns,
        having,
        order,
        limit: query.limit,
        offset: query.offset.unwrap_or(0),
        grouped,
    })
}

struct Planner<'a> {
    alias: Option<&'a str>,
    object: &'a ObjectType,
    scope: &'a Scope<'a>,
    keys: Vec<Path>,
}

impl Planner<'_> {
    fn columns(&self, query: &Query) -> Result<Vec<(String, Cell)>, QueryError> {
        let mut columns: Vec<(String, Cell)> = Vec::new();
        let mut unnamed = 0;
        for item in &query.select {
            let (label, cell, at) = match item {
                Item::Field(name, label) | Item::Shown(_, name, label) => {
                    let (found, cell) = self.key(name, "Field")?;
                    (label.clone().unwrap_or(found.name), cell, name.at)
                }
                Item::Aggregate(Aggregate { function, of }, label) => {
                    let cell = self.function(*function, of)?;
                    let label = label.clone().unwrap_or_else(|| {
                        unnamed += 1;
                        format!("expr{}", unnamed - 1)
                    });
                    (label, cell, of.at)
                }
                Item::Count | Item::TypeOf(_) | Item::Fields(_) | Item::Children(_) => {
                    let message = "Grouped queries select grouped fields and aggregates";
                    return Err(QueryError::malformed(message, query.from_at));
                }
            };
            if columns.iter().any(|(other, _)| *other == label) {
                return Err(QueryError::malformed(
                    format!("duplicate alias: {label}"),
                    at,
                ));
            }
            columns.push((label, cell));
        }
        Ok(columns)
    }

    fn resolve(&self, name: &Name) -> Result<Found, QueryError> {
        path::resolve(name, self.alias, self.object, self.scope)
    }

    /// A field by which rows are grouped.
    fn key(&self, name: &Name, what: &str) -> Result<(Found, Cell), QueryError> {
        let found = self.resolve(name)?;
        let position = self.keys.iter().position(|key| *key == found.path);
        let position = position.ok_or_else(|| {
            let message = format!(
                "{what} must be grouped or aggregated: {}",
                name.parts.join(".")
            );
            QueryError::malformed(message, name.at)
        })?;
        Ok((found, Cell::Key(position)))
    }

    fn function(&self, function: Function, of: &Name) -> Result<Cell, QueryError> {
        let found = self.resolve(of)?;
        let fits = match function {
            Function::Count | Function::CountDistinct => {
                !matches!(found.kind, Kind::Boolean | Kind::TextArea)
            }
            Function::Min | Function::Max => {
                !matches!(found.kind, Kind::Boolean | Kind::TextArea | Kind::Id)
            }
            Function::Sum | Function::Avg => matches!(found.kind, Kind::Int | Kind::Double),
        };
        if fits {
            return Ok(Cell::Of(function, found.path));
        }
        let operator = match function {
            Function::Count => "COUNT",
            Function::CountDistinct => "COUNT_DISTINCT",
            Function::Min => "MIN",
            Function::Max => "MAX",
            Function::Sum => "SUM",
            Function::Avg => "AVG",
        };
        let message = format!(
            "field {} does not support aggregate operator {operator}",
            found.name
        );
        Err(QueryError::malformed(message, of.at))
    }

    fn having(&self, expr: &Expr) -> Result<Having, QueryError> {
        let all = |parts: &[Expr]| -> Result<Vec<Having>, QueryError> {
            parts.iter().map(|part| self.having(part)).collect()
        };
        match expr {
            Expr::And(parts) => Ok(Having::And(all(parts)?)),
            Expr::Or(parts) => Ok(Having::Or(all(parts)?)),
            Expr::Not(inner) => Ok(Having::Not(Box::new(self.having(inner)?))),
            Expr::CompareAggregate {
                aggregate,
                op,
                literal,
            } => {
                let name = &aggregate.of;
                let cell = self.function(aggregate.function, name)?;
                let found = self.resolve(name)?;
                let kind = match aggregate.function {
                    Function::Count | Function::CountDistinct => Kind::Int,
                    Function::Sum | Function::Avg => Kind::Double,
                    Function::Min | Function::Max => found.kind,
                };
                let value = fitting(&Found { kind, ..found }, literal, name.at)?;
                Ok(Having::Compare(cell, operator(*op, name.at)?, value))
            }
            Expr::Compare { name, op, literal } => {
                let (found, cell) = self.key(name, "Field")?;
                let value = fitting(&found, literal, name.at)?;
                Ok(Having::Compare(cell, operator(*op, name.at)?, value))
            }
            Expr::In { name, .. } | Expr::SemiJoin { name, .. } => {
                let message = "HAVING compares grouped fields and aggregates";
                Err(QueryError::malformed(message, name.at))
            }
        }
    }
}

impl Groups {
    /// The groups of these rows, as the REST API shows them.
    pub(super) fn run(&self, rows: &[&Row], scope: &Scope<'_>) -> Vec<Json> {
        let mut groups: Vec<(Vec<&Value>, Vec<&Row>)> = Vec::new();
        let mut known: HashMap<Vec<String>, usize> = HashMap::new();
        if !self.grouped {
            groups.push((Vec::new(), Vec::new()));
            known.insert(Vec::new(), 0);
        }
        for row in rows {
            let values: Vec<&Value> = self.keys.iter().map(|key| key.value(scope, row)).collect();
            let folded = values.iter().map(|value| comparable(value)).collect();
            let at = *known.entry(folded).or_insert_with(|| {
                groups.push((values, Vec::new()));
                groups.len() - 1
            });
            if let Some((_, members)) = groups.get_mut(at) {
                members.push(row);
            }
        }
        let value = |cell: &Cell, group: &(Vec<&Value>, Vec<&Row>)| match cell {
            Cell::Key(at) => group
                .0
                .get(*at)
                .map_or(Value::Null, |value| (*value).clone()),
            Cell::Of(function, path) => {
                let values = group.1.iter().map(|row| path.value(scope, row));
                of(*function, values.filter(|value| !value.is_null()))
            }
        };
        groups.retain(|group| {
            let value = |cell: &Cell| value(cell, group);
            self.having
                .as_ref()
                .is_none_or(|having| having.fits(&value))
        });
        let mut sorted: Vec<_> = groups
            .iter()
            .map(|group| {
                let keys: Vec<Value> = self.order.iter().map(|key| value(&key.0, group)).collect();
                (keys, group)
            })
            .collect();
        sorted.sort_by(|(a, _), (b, _)| {
            let pairs = self.order.iter().zip(a.iter().zip(b));
            pairs
                .map(|((_, descending, nulls_last), (a, b))| {
                    ordered(a, b, *descending, *nulls_last)
                })
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        let most = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let shown = sorted.into_iter().skip(most(self.offset));
        let shown = shown.take(self.limit.map_or(usize::MAX, most));
        let shown = shown.map(|(_, group)| {
            let mut out = Map::new();
            out.insert("attributes".into(), json!({"type": "AggregateResult"}));
            let cells = self.columns.iter();
            out.extend(cells.map(|(label, cell)| (label.clone(), value(cell, group).to_json())));
            Json::Object(out)
        });
        shown.collect()
    }
}

impl Having {
    fn fits(&self, value: &impl Fn(&Cell) -> Value) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.fits(value)),
            Self::Or(parts) => parts.iter().any(|part| part.fits(value)),
            Self::Not(inner) => !inner.fits(value),
            Self::Compare(cell, op, wanted) => {
                let found = value(cell);
                let order = match (&found, wanted) {
                    (Value::Null, Value::Null) => Some(Ordering::Equal),
                    _ => found.compare(wanted),
                };
                match op {
                    Op::Ne => order != Some(Ordering::Equal),
                    Op::Eq => order == Some(Ordering::Equal),
                    Op::Lt => order.is_some_and(Ordering::is_lt),
                    Op::Le => order.is_some_and(Ordering::is_le),
                    Op::Gt => order.is_some_and(Ordering::is_gt),
                    Op::Ge => order.is_some_and(Ordering::is_ge),
                    Op::Like => false,
                }
            }
        }
    }
}

/// The value of a function over values that are not null.
fn of<'v>(function: Function, values: impl Iterator<Item = &'v Value>) -> Value {
    let by = |a: &&Value, b: &&Value| a.compare(b).unwrap_or(Ordering::Equal);
    match function {
        Function::Count => whole(values.count()),
        Function::CountDistinct => {
            let distinct: std::collections::HashSet<String> = values.map(comparable).collect();
            whole(distinct.len())
        }
        Function::Min => values.min_by(by).cloned().unwrap_or_default(),
        Function::Max => values.max_by(by).cloned().unwrap_or_default(),
        Function::Sum | Function::Avg => {
            let numbers: Vec<f64> = values.filter_map(number).collect();
            let sum: f64 = numbers.iter().sum();
            match (numbers.is_empty(), function) {
                (true, _) => Value::Null,
                (false, Function::Sum) => Value::Double(sum),
                (false, _) => Value::Double(sum / numbers.len() as f64),
            }
        }
    }
}

fn whole(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    }
}

/// A text that is the same for equal values.
fn comparable(value: &Value) -> String {
    match value {
        Value::Text(text) => fold(text),
        other => other.to_json().to_string(),
    }
}
