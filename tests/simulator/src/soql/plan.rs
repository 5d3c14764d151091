//! Plans a statement: resolves every name and checks every right.

use super::aggregate::{self, Groups};
use super::ast::{Item, Name, Query, Shown, TypeOf};
use super::filter::{self, Compiler, Filter};
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
    /// Groups of rows.
    Aggregate(Box<Groups>),
}

/// One column, or a related record with its own columns.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    Field(FieldIx, String),
    /// A field as people read it, with its label.
    Shown(Shown, FieldIx, String),
    /// The name of the record's object.
    Type,
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
    plan_for(query, object(query, scope)?, None, scope)
}

/// The same of the sub-query of a semi-join, which may have no order, no limit and no semi-join.
pub(super) fn semi_join(query: &Query, scope: &Scope<'_>) -> Result<Plan, QueryError> {
    let clauses = [
        ("ORDER", !query.order.is_empty()),
        ("LIMIT", query.limit.is_some()),
        ("OFFSET", query.offset.is_some()),
    ];
    if let Some((clause, _)) = clauses.into_iter().find(|(_, is_there)| *is_there) {
        return Err(QueryError::unexpected(clause, query.from_at));
    }
    let within = Some(filter::IN_A_SEMI_JOIN);
    plan_for(query, object(query, scope)?, within, scope)
}

fn object<'a>(query: &Query, scope: &Scope<'a>) -> Result<&'a ObjectType, QueryError> {
    let object = scope.org.schema.object(&query.from);
    object
        .filter(|object| scope.access.sees_object(scope.org, object))
        .ok_or_else(|| no_such_object(&query.from, query.from_at, scope))
}

fn plan_for(
    query: &Query,
    object: &ObjectType,
    no_semi_join: Option<&'static str>,
    scope: &Scope<'_>,
) -> Result<Plan, QueryError> {
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
                no_semi_join,
                is_within: false,
            }
            .compile(expr)?,
        ),
        None => None,
    };
    if let Shape::Aggregate(_) = shape {
        return Ok(Plan {
            object: object.name.to_owned(),
            shape,
            filter,
            order: Vec::new(),
            limit: None,
            offset: 0,
        });
    }
    let mut order = Vec::new();
    for key in &query.order {
        if key.function.is_some() {
            return Err(QueryError::unexpected("(", key.name.at));
        }
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
    if aggregate::is_grouped(query) {
        return aggregate::plan(query, object, scope)
            .map(|groups| Shape::Aggregate(Box::new(groups)));
    }
    let mut columns = Vec::new();
    for item in &query.select {
        match item {
            Item::Field(name, None) => select(&mut columns, name, None, query, object, scope)?,
            Item::Field(name, Some(_)) => {
                let message = "only aggregate expressions use field aliasing";
                return Err(QueryError::malformed(message, name.at));
            }
            Item::Shown(how, name, label) => {
                let how = Some((*how, label.as_deref()));
                select(&mut columns, name, how, query, object, scope)?;
            }
            Item::Count | Item::Aggregate(..) => return Err(QueryError::unexpected("COUNT", 0)),
            Item::TypeOf(of) => columns.push(type_of(of, query, object, scope)?),
            Item::Fields(which) => all_fields(&mut columns, which, query, object, scope)?,
            Item::Children(inner) => columns.push(children(inner, object, scope)?),
        }
    }
    Ok(Shape::Records(columns))
}

/// How a field is shown, and its label.
type How<'a> = Option<(Shown, Option<&'a str>)>;

fn select(
    columns: &mut Vec<Column>,
    name: &Name,
    how: How<'_>,
    query: &Query,
    object: &ObjectType,
    scope: &Scope<'_>,
) -> Result<(), QueryError> {
    let parts = path::strip(&name.parts, query.alias.as_deref(), object);
    if parts.len() > 6 {
        return Err(QueryError::malformed(
            "relationship path is too long",
            name.at,
        ));
    }
    add(columns, parts, how, object, scope, name.at)
}

/// The related record, with the fields of its object.
fn type_of(
    of: &TypeOf,
    query: &Query,
    object: &ObjectType,
    scope: &Scope<'_>,
) -> Result<Column, QueryError> {
    let at = of.relationship.at;
    let parts = path::strip(&of.relationship.parts, query.alias.as_deref(), object);
    let shown = parts.join(".");
    let (ix, field) = match parts {
        [relationship] => path::visible_relationship(object, relationship, scope),
        _ => None,
    }
    .ok_or_else(|| path::no_such_relationship(&shown, at))?;
    let is_target = |name: &String| {
        let mut targets = field.targets.iter();
        targets.any(|target| target.eq_ignore_ascii_case(name))
    };
    if field.targets.len() < 2 {
        let message =
            format!("TYPEOF needs a relationship to several objects, and {shown} has one");
        return Err(QueryError::malformed(message, at));
    }
    if let Some((other, _)) = of.whens.iter().find(|(name, _)| !is_target(name)) {
        return Err(no_such_object(other, at, scope));
    }
    let mut targets = Vec::new();
    for target in path::targets_of(field, scope) {
        let mut whens = of.whens.iter();
        let when = whens.find(|(name, _)| name.eq_ignore_ascii_case(target.name));
        let names = when.map_or(&of.otherwise, |(_, names)| names);
        let mut columns = Vec::new();
        for name in names {
            add(&mut columns, &name.parts, None, target, scope, name.at)?;
        }
        if !names.is_empty() {
            targets.push((target.name.to_owned(), columns));
        }
    }
    let name = field.relationship.clone().unwrap_or_default();
    Ok(Column::Parent(ix, name, targets))
}

/// Adds a path to the tree of columns.
fn add(
    columns: &mut Vec<Column>,
    parts: &[String],
    how: How<'_>,
    object: &ObjectType,
    scope: &Scope<'_>,
    at: usize,
) -> Result<(), QueryError> {
    match parts {
        [] => Ok(()),
        [name] => {
            let (ix, field) = path::visible_field(object, name, scope)
                .ok_or_else(|| path::no_such_column(name, object, at))?;
            let label = how.and_then(|(_, label)| label);
            let label = label.unwrap_or(&field.name);
            let is_same = |column: &Column| match column {
                Column::Field(_, other) | Column::Shown(_, _, other) => other == label,
                _ => false,
            };
            if columns.iter().any(is_same) {
                return Err(QueryError::malformed(
                    format!("duplicate field selected: {}", field.name),
                    at,
                ));
            }
            columns.push(match how {
                Some((how, _)) => Column::Shown(how, ix, label.to_owned()),
                None => Column::Field(ix, field.name.clone()),
            });
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
                let added = match rest {
                    [name] if path::is_type(name, field) => {
                        columns.push(Column::Type);
                        Ok(())
                    }
                    rest => add(columns, rest, how, target, scope, at),
                };
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
    let child = scope.org.schema.children(parent.name, &query.from);
    let child = child.filter(|(child, _)| scope.access.sees_object(scope.org, child));
    let (child, through) =
        child.ok_or_else(|| path::no_such_relationship(&query.from, query.from_at))?;
    Ok(Column::Children(
        child.plural.to_owned(),
        through,
        Box::new(plan_for(query, child, None, scope)?),
    ))
}

/// The only field that the sub-query of a semi-join selects.
pub(super) fn single_field(
    query: &Query,
    plan: &Plan,
    scope: &Scope<'_>,
    at: usize,
) -> Result<Found, QueryError> {
    let wrong = || {
        QueryError::malformed(
            "semi join sub-select must select exactly one id or reference field",
            at,
        )
    };
    let [Item::Field(name, None)] = query.select.as_slice() else {
        return Err(wrong());
    };
    let object = scope.org.schema.object(&plan.object).ok_or_else(wrong)?;
    let name = Name {
        parts: name.parts.clone(),
        at: name.at,
    };
    let found = path::resolve(&name, query.alias.as_deref(), object, scope)?;
    if matches!(found.kind, Kind::Id | Kind::Reference) {
        Ok(found)
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
