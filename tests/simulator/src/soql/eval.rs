//! Runs a plan: selects and orders rows.

use std::cmp::Ordering;

use super::Scope;
use super::plan::{Key, Plan};
use crate::org::{Row, Table, system};
use crate::schema::{Kind, Value};

/// The numbers of the selected rows, ordered, after OFFSET and LIMIT.
pub(crate) fn rows(plan: &Plan, scope: &Scope<'_>) -> Vec<u32> {
    let Some(table) = scope.org.table(&plan.object) else {
        return Vec::new();
    };
    let mut rows = matching(plan, scope, table);
    if plan.order.is_empty() {
        if scope.switches.shuffle_unordered {
            rows.sort_by_key(|number| number.wrapping_mul(0x9E37_79B1).rotate_left(13));
        }
    } else {
        sort(&mut rows, &plan.order, scope, table);
    }
    let skip = usize::try_from(plan.offset)
        .unwrap_or(usize::MAX)
        .min(rows.len());
    rows.drain(..skip);
    if let Some(limit) = plan.limit {
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    rows
}

fn matching(plan: &Plan, scope: &Scope<'_>, table: &Table) -> Vec<u32> {
    let Some(object) = scope.org.schema.object(&plan.object) else {
        return Vec::new();
    };
    let everything = scope.access.sees_all_rows(scope.org, object);
    let keep = |row: &Row| {
        (!row.deleted || (scope.all && in_bin(row, scope)))
            && (everything || scope.access.sees_row(scope.org, object, row))
            && plan
                .filter
                .as_ref()
                .is_none_or(|filter| filter.fits(scope, row))
    };
    match plan
        .filter
        .as_ref()
        .and_then(|filter| filter.candidates(table))
    {
        Some(candidates) => candidates
            .into_iter()
            .filter(|number| table.row(*number).is_some_and(keep))
            .collect(),
        None => {
            let numbered = table.rows().iter().enumerate();
            numbered
                .filter(|(_, row)| keep(row))
                .map(|(number, _)| number as u32)
                .collect()
        }
    }
}

/// Whether a deleted row is still in the recycle bin (facts: Salesforce changes B1).
fn in_bin(row: &Row, scope: &Scope<'_>) -> bool {
    let since = match row.get(system::SYSTEM_MODSTAMP) {
        Value::DateTime(deleted) => scope.now.duration_since(*deleted),
        _ => return false,
    };
    !row.purged && since < scope.switches.recycle_bin
}

fn sort(rows: &mut Vec<u32>, order: &[Key], scope: &Scope<'_>, table: &Table) {
    let keyed = rows.drain(..).filter_map(|number| {
        let row = table.row(number)?;
        let values: Vec<Value> = order
            .iter()
            .map(|key| sort_value(key, key.path.value(scope, row)))
            .collect();
        Some((values, number))
    });
    let mut keyed: Vec<(Vec<Value>, u32)> = keyed.collect();
    keyed.sort_by(|(a, _), (b, _)| {
        let pairs = order.iter().zip(a.iter().zip(b));
        pairs
            .map(|(key, (a, b))| by_key(key, a, b))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    rows.extend(keyed.into_iter().map(|(_, number)| number));
}

/// Phone numbers sort without their punctuation.
fn sort_value(key: &Key, value: &Value) -> Value {
    match (key.kind, value) {
        (Kind::Phone, Value::Text(text)) => Value::text(
            text.chars()
                .filter(|c| c.is_alphanumeric())
                .collect::<String>(),
        ),
        (_, value) => value.clone(),
    }
}

fn by_key(key: &Key, a: &Value, b: &Value) -> Ordering {
    ordered(a, b, key.descending, key.nulls_last)
}

/// The order of two values of a sort key. Nulls come first, where they are not to come last.
pub(super) fn ordered(a: &Value, b: &Value, descending: bool, nulls_last: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if nulls_last => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, true) if nulls_last => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => {
            let order = a.compare(b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
    }
}
