//! Plans a statement: resolves every name and checks every right.

use super::ast::{Item, Name, Query};
use super::filter::{Compiler, Filter};
use super::path::{self, Found, Path};
use super::{QueryError, Scope};
use crate::schema::{FieldIx, Kind, ObjectType};

/// Maximum number of sub-queries of a query (facts: Salesforce 2.5).
const MAX_SUB_QUERIES: usize = 20;

/// A resolved query, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) object: String,
    pub(crate) shape: Shape,
    pub(crate) filter: Option<Filter>,
    pub(crate) order: Vec<Key>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
}

/// The form of the result.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// Records with these columns.
    Records(Vec<Column>),
    /// `COUNT()`: a number only.
    Count,
    /// `COUNT(field)` columns with their names: one aggregate row.
    Aggregate(Vec<(String, Path)>),
}

/// One column, or a related record with its own columns.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    Field(FieldIx, String),
    /// A parent record with its relationship's name. The columns depend on the object of the
    /// record.
    Parent(FieldIx, String, Vec<(String, Vec<Self>)>),
    /// Child records: the name, the field that refers to this record, and the plan to read them.
    Children(String, FieldIx, Box<Plan>),
}

/// One sort key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) path: Path,
    pub(crate) kind: Kind,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

/// Resolves names and checks rights.
pub(super) fn plan(query: &Query, scope: &Scope<'_>) -> Result<Plan, QueryError> {
    let object = scope
        .org
        .schema
        .object(&query.from)
        .filter(|object| scope.access.sees_object(scope.org, object))
        .ok_or_else(|| no_such_object(&query.from, query.from_at, scope))?;
    plan_for(query, object, scope)
}

fn plan_for(query: &Query, object: &ObjectType, scope: &Scope<'_>) -> Result<Plan, QueryError> {
    let offset = query.offset.unwrap_or(0);
    if offset > scope.switches.offset_limit {
        let message = format!(
            "Maximum SOQL offset allowed is {}",
            scope.switches.offset_limit
        );
        return Err(QueryError::new("NUMBER_OUTSIDE_VALID_RANGE", message));
    }
    let alias = query.alias.as_deref();
    let shape = shape(query, object, scope)?;
    let filter = match &query.filter {
        Some(expr) => Some(
            Compiler {
                scope,
                object,
                alias,
                semi_joins: 0,
            }
            .compile(expr)?,
        ),
        None => None,
    };
    let mut order = Vec::new();
    for key in &query.order {
        let found = path::resolve(&key.name, alias, object, scope)?;
        if found.kind == Kind::TextArea {
            let message = format!("field '{}' can not be sorted in a query call", found.name);
            return Err(QueryError::malformed(message, key.name.at));
        }
        if matches!(shape, Shape::Count) {
            let message = "COUNT() cannot be ordered";
            return Err(QueryError::malformed(message, key.name.at));
        }
        order.push(Key {
            path: found.path,
            kind: found.kind,
            descending: key.descending,
            nulls_last: key.nulls_last,
        });
    }
    Ok(Plan {
        object: object.name.to_owned(),
        shape,
        filter,
        order,
        limit: query.limit,
        offset,
    })
}

fn shape(query: &Query, object: &ObjectType, scope: &Scope<'_>) -> Result<Shape, QueryError> {
    if query.select == [Item::Count] {
        return Ok(Shape::Count);
    }
    let sub_queries = query
        .select
        .iter()
        .filter(|item| matches!(item, Item::Children(_)));
    if sub_queries.count() > MAX_SUB_QUERIES {
        let message = format!("a query has at most {MAX_SUB_QUERIES} sub-queries");
        return Err(QueryError::malformed(message, query.from_at));
    }
    let mut columns = Vec::new();
    let mut counts = Vec::new();
    for item in &query.select {
        match item {
            Item::Field(name) => {
                let parts = path::strip(&name.parts, query.alias.as_deref(), object);
                if parts.len() > 6 {
                    return Err(QueryError::malformed(
                        "relationship path is too long",
                        name.at,
                    ));
                }
                add(&mut columns, parts, object, scope, name.at)?;
            }
            Item::Count => return Err(QueryError::unexpected("COUNT", 0)),
            Item::CountOf(name, alias) => {
                let found: Found = path::resolve(name, query.alias.as_deref(), object, scope)?;
                let label = alias
                    .clone()
                    .unwrap_or_else(|| format!("expr{}", counts.len()));
                counts.push((label, found.path));
            }
            Item::Fields(which) => all_fields(&mut columns, which, query, object, scope)?,
            Item::Children(inner) => columns.push(children(inner, object, scope)?),
        }
    }
    match (columns.is_empty(), counts.is_empty()) {
        (_, true) => Ok(Shape::Records(columns)),
        (true, false) => Ok(Shape::Aggregate(counts)),
        (false, false) => Err(QueryError::malformed(
            "Field must be grouped or aggregated",
            query.from_at,
        )),
    }
}

/// Adds a path to the tree of columns.
fn add(
    columns: &mut Vec<Column>,
    parts: &[String],
    object: &ObjectType,
    scope: &Scope<'_>,
    at: usize,
) -> Result<(), QueryError> {
    match parts {
        [] => Ok(()),
        [name] => {
            let (ix, field) = path::visible_field(object, name, scope)
                .ok_or_else(|| path::no_such_column(name, object, at))?;
            if columns
                .iter()
                .any(|column| matches!(column, Column::Field(other, _) if *other == ix))
            {
                return Err(QueryError::malformed(
                    format!("duplicate field selected: {}", field.name),
                    at,
                ));
            }
            columns.push(Column::Field(ix, field.name.clone()));
            Ok(())
        }
        [relationship, rest @ ..] => {
            let (ix, field) = path::visible_relationship(object, relationship, scope)
                .ok_or_else(|| path::no_such_relationship(relationship, at))?;
            let same =
                |column: &Column| matches!(column, Column::Parent(other, ..) if *other == ix);
            let position = columns.iter().position(same).unwrap_or_else(|| {
                let name = field.relationship.clone().unwrap_or_default();
                let targets = path::targets_of(field, scope)
                    .map(|target| (target.name.to_owned(), Vec::new()));
                columns.push(Column::Parent(ix, name, targets.collect()));
                columns.len() - 1
            });
            let Some(Column::Parent(_, _, targets)) = columns.get_mut(position) else {
                return Ok(());
            };
            let mut outcome = Err(path::no_such_relationship(relationship, at));
            for (name, columns) in targets {
                let Some(target) = scope.org.schema.object(name) else {
                    continue;
                };
                let added = add(columns, rest, target, scope, at);
                if outcome.is_err() {
                    outcome = added;
                }
            }
            outcome
        }
    }
}

fn all_fields(
    columns: &mut Vec<Column>,
    which: &str,
    query: &Query,
    object: &ObjectType,
    scope: &Scope<'_>,
) -> Result<(), QueryError> {
    let custom = |name: &str| name.ends_with("__c");
    let wanted: fn(bool) -> bool = match which.to_ascii_uppercase().as_str() {
        "ALL" => |_| true,
        "STANDARD" => |custom| !custom,
        "CUSTOM" => |custom| custom,
        _ => return Err(QueryError::unexpected(which, query.from_at)),
    };
    if !which.eq_ignore_ascii_case("STANDARD") && query.limit.is_none_or(|limit| limit > 200) {
        return Err(QueryError::malformed(
            "The SOQL FIELDS function must have a LIMIT of at most 200",
            query.from_at,
        ));
    }
    for (ix, field) in object.fields.iter().enumerate() {
        if wanted(custom(&field.name)) && scope.access.sees_field(scope.org, object, field) {
            columns.push(Column::Field(ix as FieldIx, field.name.clone()));
        }
    }
    Ok(())
}

fn children(query: &Query, parent: &ObjectType, scope: &Scope<'_>) -> Result<Column, QueryError> {
    let child = scope
        .org
        .schema
        .objects()
        .filter(|child| child.stored)
        .find_map(|child| {
            if !child.plural.eq_ignore_ascii_case(&query.from)
                || !scope.access.sees_object(scope.org, child)
            {
                return None;
            }
            let points_here = |relationship: &str| {
                let ix = child.relationship(relationship)?;
                child.at(ix)?.targets.contains(&parent.name).then_some(ix)
            };
            let through = points_here(parent.name)
                .or_else(|| points_here("Who"))
                .or_else(|| points_here("What"))?;
            Some((child, through))
        });
    let (child, through) =
        child.ok_or_else(|| path::no_such_relationship(&query.from, query.from_at))?;
    Ok(Column::Children(
        child.plural.to_owned(),
        through,
        Box::new(plan_for(query, child, scope)?),
    ))
}

/// The only field that the sub-query of a semi-join selects.
pub(super) fn single_field(
    query: &Query,
    plan: &Plan,
    scope: &Scope<'_>,
    at: usize,
) -> Result<Path, QueryError> {
    let wrong = || {
        QueryError::malformed(
            "semi join sub-select must select exactly one id or reference field",
            at,
        )
    };
    let [Item::Field(name)] = query.select.as_slice() else {
        return Err(wrong());
    };
    let object = scope.org.schema.object(&plan.object).ok_or_else(wrong)?;
    let name = Name {
        parts: name.parts.clone(),
        at: name.at,
    };
    let found = path::resolve(&name, query.alias.as_deref(), object, scope)?;
    if matches!(found.kind, Kind::Id | Kind::Reference) {
        Ok(found.path)
    } else {
        Err(wrong())
    }
}

fn no_such_object(name: &str, at: usize, scope: &Scope<'_>) -> QueryError {
    let message = format!(
        "sObject type '{name}' is not supported. {}",
        scope.switches.invalid_type_tail
    );
    QueryError {
        code: "INVALID_TYPE",
        message,
        at: Some(at),
    }
}
