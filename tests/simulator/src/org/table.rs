//! The rows of one object, with an index for each field that a query has compared by equality.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::org::ids;
use crate::schema::{FieldIx, Value, fold};

/// Positions of the audit fields, which every stored object begins with.
pub(crate) mod system {
    use crate::schema::FieldIx;

    pub(crate) const ID: FieldIx = 0;
    pub(crate) const IS_DELETED: FieldIx = 1;
    pub(crate) const CREATED_DATE: FieldIx = 2;
    pub(crate) const CREATED_BY: FieldIx = 3;
    pub(crate) const LAST_MODIFIED_DATE: FieldIx = 4;
    pub(crate) const LAST_MODIFIED_BY: FieldIx = 5;
    pub(crate) const SYSTEM_MODSTAMP: FieldIx = 6;
    pub(crate) const OWNER: FieldIx = 7;
}

/// One record. It holds only the fields that have a value, ordered by position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    values: Vec<(FieldIx, Value)>,
    pub(crate) deleted: bool,
    /// Whether the row has left the recycle bin, so that no query shows it.
    pub(crate) purged: bool,
}

impl Row {
    /// The value of a field; null when it has none.
    pub(crate) fn get(&self, field: FieldIx) -> &Value {
        match self.values.binary_search_by_key(&field, |(ix, _)| *ix) {
            Ok(at) => &self.values[at].1,
            Err(_) => &Value::Null,
        }
    }

    /// Sets a field.
    pub(crate) fn set(&mut self, field: FieldIx, value: Value) {
        match (
            self.values.binary_search_by_key(&field, |(ix, _)| *ix),
            value,
        ) {
            (Ok(at), Value::Null) => {
                self.values.remove(at);
            }
            (Ok(at), value) => self.values[at].1 = value,
            (Err(_), Value::Null) => {}
            (Err(at), value) => self.values.insert(at, (field, value)),
        }
    }

    /// The record's id.
    pub(crate) fn id(&self) -> &str {
        self.get(system::ID).as_text().unwrap_or_default()
    }
}

/// Row numbers by folded text.
type Index = HashMap<String, Vec<u32>>;

/// The rows of an object.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    by_id: HashMap<String, u32>,
    indexes: RwLock<HashMap<FieldIx, Arc<Index>>>,
}

impl Clone for Table {
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone(),
            by_id: self.by_id.clone(),
            indexes: RwLock::default(),
        }
    }
}

impl Table {
    /// All rows, including deleted ones.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row with this number.
    pub(crate) fn row(&self, number: u32) -> Option<&Row> {
        self.rows.get(number as usize)
    }

    /// The number of the row with this id, of 15 or 18 characters.
    pub(crate) fn number_of(&self, id: &str) -> Option<u32> {
        self.by_id.get(ids::shorten(id)).copied()
    }

    /// The row with this id.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Row> {
        self.row(self.number_of(id)?)
    }

    /// Appends a row, which must have an id.
    pub(crate) fn insert(&mut self, row: Row) {
        let number = self.rows.len() as u32;
        self.by_id.insert(ids::shorten(row.id()).to_owned(), number);
        let indexes = self
            .indexes
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for (field, index) in indexes.iter_mut() {
            if let Some(text) = row.get(*field).as_text() {
                Arc::make_mut(index)
                    .entry(fold(text))
                    .or_default()
                    .push(number);
            }
        }
        self.rows.push(row);
    }

    /// Puts a row in the place of the one with its id, or appends it.
    pub(crate) fn put(&mut self, row: Row) {
        let id = row.id().to_owned();
        match self.number_of(&id) {
            Some(_) => drop(self.change(&id, |old| *old = row)),
            None => self.insert(row),
        }
    }

    /// Changes the row with this id. Indexes are rebuilt at the next use.
    pub(crate) fn change<R>(&mut self, id: &str, change: impl FnOnce(&mut Row) -> R) -> Option<R> {
        let number = self.number_of(id)?;
        self.indexes
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.rows.get_mut(number as usize).map(change)
    }

    /// Number of rows that are not deleted.
    pub(crate) fn live(&self) -> usize {
        self.rows.iter().filter(|row| !row.deleted).count()
    }

    /// Row numbers by the folded text of a field.
    pub(crate) fn index(&self, field: FieldIx) -> Arc<Index> {
        if let Some(index) = self
            .indexes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&field)
        {
            return Arc::clone(index);
        }
        let mut index = Index::new();
        for (number, row) in self.rows.iter().enumerate() {
            if let Some(text) = row.get(field).as_text() {
                index.entry(fold(text)).or_default().push(number as u32);
            }
        }
        let index = Arc::new(index);
        self.indexes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(field, Arc::clone(&index));
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, phone: &str) -> Row {
        let mut row = Row::default();
        row.set(9, Value::text(phone));
        row.set(system::ID, Value::text(id));
        row
    }

    #[test]
    fn an_index_follows_what_is_inserted_and_changed() {
        let mut table = Table::default();
        table.insert(row("003000000000001AAA", "ab"));
        assert_eq!(table.index(9).get("ab"), Some(&vec![0]));
        table.insert(row("003000000000002AAA", "AB"));
        assert_eq!(table.index(9).get("ab"), Some(&vec![0, 1]));
        table
            .change("003000000000001", |row| row.set(9, Value::Null))
            .unwrap();
        assert_eq!(table.index(9).get("ab"), Some(&vec![1]));
        assert!(table.change("003000000000009", |_| ()).is_none());
    }

    #[test]
    fn setting_null_empties() {
        let mut row = row("003000000000001AAA", "x");
        row.set(9, Value::Null);
        assert!(row.get(9).is_null());
        assert_eq!(row.id(), "003000000000001AAA");
    }
}
