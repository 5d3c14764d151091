//! Resolves dotted names: `Account.Owner.Name` becomes fields and the tables between them.

use super::ast::Name;
use super::{QueryError, Scope};
use crate::org::Row;
use crate::schema::{Field, FieldIx, Kind, ObjectType, Value};
use crate::switches::REFERENCE_TAIL;

/// Maximum number of relationships in a path.
const MAX_HOPS: usize = 5;

/// The path from a row to a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Path {
    /// A field of the row itself.
    Own(FieldIx),
    /// A field of the record that a reference refers to. The id determines the object of that
    /// record.
    Via(FieldIx, Vec<(String, Self)>),
    /// The same for every record: the object of one that a reference may refer to.
    Same(Value),
}

impl Path {
    /// The value at the end of the path; null when a reference in between is missing.
    pub(crate) fn value<'a>(&'a self, scope: &Scope<'a>, row: &'a Row) -> &'a Value {
        match self {
            Self::Same(value) => value,
            Self::Own(field) => row.get(*field),
            Self::Via(reference, targets) => {
                let Some(id) = row.get(*reference).as_text() else {
                    return &Value::Null;
                };
                for (object, rest) in targets {
                    if let Some(parent) = scope.org.table(object).and_then(|table| table.by_id(id))
                    {
                        return rest.value(scope, parent);
                    }
                }
                &Value::Null
            }
        }
    }
}

/// The field at the end of a path.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: Path,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// The objects whose records an Id or a reference names.
    pub(crate) targets: Vec<&'static str>,
}

/// Resolves a name, relative to an object.
pub(crate) fn resolve(
    name: &Name,
    alias: Option<&str>,
    object: &ObjectType,
    scope: &Scope<'_>,
) -> Result<Found, QueryError> {
    let parts = strip(&name.parts, alias, object);
    if parts.len() > MAX_HOPS + 1 {
        return Err(QueryError::malformed(
            "relationship path is too long",
            name.at,
        ));
    }
    walk(parts, object, scope, name.at)
}

/// Removes the alias or the object's own name from the start of a name.
pub(crate) fn strip<'n>(
    parts: &'n [String],
    alias: Option<&str>,
    object: &ObjectType,
) -> &'n [String] {
    match parts {
        [first, rest @ ..]
            if !rest.is_empty()
                && object.relationship(first).is_none()
                && (alias.is_some_and(|a| first.eq_ignore_ascii_case(a))
                    || first.eq_ignore_ascii_case(object.name)) =>
        {
            rest
        }
        all => all,
    }
}

fn walk(
    parts: &[String],
    object: &ObjectType,
    scope: &Scope<'_>,
    at: usize,
) -> Result<Found, QueryError> {
    match parts {
        [] => Err(QueryError::malformed("empty name", at)),
        [field] => {
            let (ix, field) = visible_field(object, field, scope)
                .ok_or_else(|| no_such_column(field, object, at))?;
            Ok(Found {
                path: Path::Own(ix),
                kind: field.kind,
                name: field.name.clone(),
                targets: match field.kind {
                    Kind::Id => vec![object.name],
                    _ => field.targets.clone(),
                },
            })
        }
        [relationship, rest @ ..] => {
            let (ix, field) = visible_relationship(object, relationship, scope)
                .ok_or_else(|| no_such_relationship(relationship, at))?;
            let mut targets = Vec::new();
            let mut first: Option<Found> = None;
            let mut error = None;
            for target in targets_of(field, scope) {
                let end = match rest {
                    [name] if is_type(name, field) => Ok(Found {
                        path: Path::Same(Value::text(target.name)),
                        kind: Kind::String,
                        name: "Type".to_owned(),
                        targets: Vec::new(),
                    }),
                    rest => walk(rest, target, scope, at),
                };
                match end {
                    Ok(found) => {
                        targets.push((target.name.to_owned(), found.path.clone()));
                        first.get_or_insert(found);
                    }
                    Err(e) => error = Some(e),
                }
            }
            let last = first
                .ok_or_else(|| error.unwrap_or_else(|| no_such_relationship(relationship, at)))?;
            Ok(Found {
                path: Path::Via(ix, targets),
                ..last
            })
        }
    }
}

/// Whether the field of a related record says of which object it is: where a reference refers to
/// several, fields are those that all have, and `Type` is of no record's own.
pub(crate) fn is_type(name: &str, reference: &Field) -> bool {
    reference.targets.len() > 1 && name.eq_ignore_ascii_case("Type")
}

/// Finds a field by name, if the user can see it.
pub(crate) fn visible_field<'o>(
    object: &'o ObjectType,
    name: &str,
    scope: &Scope<'_>,
) -> Option<(FieldIx, &'o Field)> {
    let ix = object.field(name)?;
    let field = object.at(ix)?;
    scope
        .access
        .sees_field(scope.org, object, field)
        .then_some((ix, field))
}

/// Finds the reference field of a relationship name, if the user can see it.
pub(crate) fn visible_relationship<'o>(
    object: &'o ObjectType,
    name: &str,
    scope: &Scope<'_>,
) -> Option<(FieldIx, &'o Field)> {
    let ix = object.relationship(name)?;
    let field = object.at(ix)?;
    scope
        .access
        .sees_field(scope.org, object, field)
        .then_some((ix, field))
}

/// The objects that a reference may refer to and that the user can see.
pub(crate) fn targets_of<'a>(
    field: &'a Field,
    scope: &Scope<'a>,
) -> impl Iterator<Item = &'a ObjectType> {
    let (org, access) = (scope.org, scope.access);
    field
        .targets
        .iter()
        .filter_map(|name| org.schema.object(name))
        .filter(move |object| access.sees_object(org, object))
}

pub(crate) fn no_such_column(name: &str, object: &ObjectType, at: usize) -> QueryError {
    let message = format!(
        "No such column '{name}' on entity '{}'. If you are attempting to use a custom field, be sure to append the \
         '__c' after the custom field name. {REFERENCE_TAIL}",
        object.name
    );
    QueryError {
        code: "INVALID_FIELD",
        message,
        at: Some(at),
    }
}

pub(crate) fn no_such_relationship(name: &str, at: usize) -> QueryError {
    let message = format!(
        "Didn't understand relationship '{name}' in field path. If you are attempting to use a custom relationship, be \
         sure to append the '__r' after the custom relationship name. {REFERENCE_TAIL}"
    );
    QueryError {
        code: "INVALID_FIELD",
        message,
        at: Some(at),
    }
}
