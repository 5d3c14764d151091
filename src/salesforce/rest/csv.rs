//! Rows of a bulk query, read from CSV while it arrives (facts: Salesforce changes E5). A value may
//! have line breaks and doubled quotes; what is kept is one row.

use std::borrow::Cow;
use std::collections::VecDeque;

use csv::StringRecord;
use csv_core::{ReadRecordResult, Reader};
use serde::de::DeserializeOwned;

/// The most bytes of a row. One of a look-up has some hundred, and at most 50,000 if each of its
/// fields is as long as a field can be.
pub(crate) const MOST_OF_A_ROW: usize = 256 << 10;
/// The most columns of a row.
const MAX_COLUMNS: usize = 256;
/// The bytes of a byte order mark, which the reader of CSV skips if it sees all of it.
const BYTE_ORDER_MARK: usize = 3;

/// Why rows cannot be read. No text quotes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CsvError {
    /// A row is longer than any can be: a quote that does not end, perhaps.
    #[error("a row has more than {MOST_OF_A_ROW} bytes")]
    RowTooLong,
    /// A row has more columns than any query.
    #[error("a row has more than {MAX_COLUMNS} columns")]
    TooManyColumns,
    /// A row does not have the columns of the header.
    #[error("a row has {found} columns, and the header {expected}")]
    OtherColumns {
        /// Those of the row.
        found: usize,
        /// Those of the header.
        expected: usize,
    },
    /// The rows have not the columns, or not the types, that were asked for.
    #[error("row {0} of the page is not of the shape that was asked for")]
    OtherShape(u64),
    /// The last row has no end.
    #[error("the last row breaks off")]
    BrokenOff,
}

/// Reads rows from pieces of CSV. The first row names the columns, whose order does not matter
/// (facts: Salesforce changes E2).
pub(crate) struct CsvRows {
    reader: Reader,
    /// The first bytes, until there are enough to tell a byte order mark; then `None`.
    start: Option<Vec<u8>>,
    header: Option<StringRecord>,
    record: StringRecord,
    /// The values of the row that is being read, one after the other.
    values: Vec<u8>,
    filled: usize,
    /// Where each value ends.
    ends: Vec<usize>,
    ended: usize,
    /// Whether a row has begun that has not ended.
    is_within: bool,
    rows: u64,
}

impl Default for CsvRows {
    fn default() -> Self {
        Self {
            reader: Reader::new(),
            start: Some(Vec::new()),
            header: None,
            record: StringRecord::new(),
            values: vec![0; 4 << 10],
            filled: 0,
            ends: vec![0; 32],
            ended: 0,
            is_within: false,
            rows: 0,
        }
    }
}

impl CsvRows {
    /// Reads the next piece, and appends the rows that end in it.
    pub(crate) fn read<T: DeserializeOwned>(
        &mut self,
        piece: &[u8],
        rows: &mut VecDeque<T>,
    ) -> Result<(), CsvError> {
        // Zeros come in results, and mean nothing (facts: Salesforce changes E5).
        let piece = match piece.contains(&0) {
            true => Cow::Owned(piece.iter().copied().filter(|byte| *byte != 0).collect()),
            false => Cow::Borrowed(piece),
        };
        let piece = match self.start.take() {
            None => piece,
            Some(mut start) => {
                start.extend_from_slice(&piece);
                if start.len() < BYTE_ORDER_MARK {
                    self.start = Some(start);
                    return Ok(());
                }
                Cow::Owned(start)
            }
        };
        let mut left: &[u8] = &piece;
        // An empty piece would end the reader.
        while !left.is_empty() {
            let (result, read, written, ended) = self.reader.read_record(
                left,
                &mut self.values[self.filled..],
                &mut self.ends[self.ended..],
            );
            let (taken, rest) = left.split_at(read);
            left = rest;
            self.filled += written;
            self.ended += ended;
            self.is_within = self.is_within || !taken.iter().all(is_break);
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
                ReadRecordResult::OutputFull if self.values.len() >= MOST_OF_A_ROW => {
                    return Err(CsvError::RowTooLong);
                }
                ReadRecordResult::OutputFull => self.values.resize(2 * self.values.len(), 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() >= MAX_COLUMNS => {
                    return Err(CsvError::TooManyColumns);
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => self.end_row(rows)?,
            }
        }
        Ok(())
    }

    /// Ends the rows. Returns how many there were, without the header.
    pub(crate) fn finish(&self) -> Result<u64, CsvError> {
        let start = self.start.as_deref().unwrap_or_default();
        match self.is_within || !start.iter().all(is_break) {
            true => Err(CsvError::BrokenOff),
            false => Ok(self.rows),
        }
    }

    fn end_row<T: DeserializeOwned>(&mut self, rows: &mut VecDeque<T>) -> Result<(), CsvError> {
        self.record.clear();
        let mut begin = 0;
        for end in &self.ends[..self.ended] {
            // The ends ascend and lie within what is filled.
            let value = self.values.get(begin..*end).unwrap_or_default();
            self.record.push_field(&String::from_utf8_lossy(value));
            begin = *end;
        }
        (self.filled, self.ended, self.is_within) = (0, 0, false);
        let Some(header) = &self.header else {
            self.header = Some(std::mem::take(&mut self.record));
            return Ok(());
        };
        self.rows += 1;
        if self.record.len() != header.len() {
            return Err(CsvError::OtherColumns {
                found: self.record.len(),
                expected: header.len(),
            });
        }
        let row = self.record.deserialize(Some(header));
        rows.push_back(row.map_err(|_| CsvError::OtherShape(self.rows))?);
        Ok(())
    }
}

fn is_break(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Deserialize)]
    struct Row {
        #[serde(rename = "Id")]
        id: String,
        #[serde(rename = "Account.Name")]
        account: Option<String>,
        #[serde(rename = "IsDeleted")]
        is_deleted: bool,
    }

    fn row(id: &str, account: Option<&str>, is_deleted: bool) -> Row {
        Row {
            id: id.to_owned(),
            account: account.map(str::to_owned),
            is_deleted,
        }
    }

    fn read(text: &[u8], piece: usize) -> Result<Vec<Row>, CsvError> {
        let (mut csv, mut rows) = (CsvRows::default(), VecDeque::new());
        for piece in text.chunks(piece) {
            csv.read(piece, &mut rows)?;
        }
        assert_eq!(csv.finish()?, rows.len() as u64);
        Ok(rows.into())
    }

    const HEAD: &str = "\"Account.Name\",\"IsDeleted\",\"Id\"\n";

    #[test]
    fn rows_are_read_by_name_whatever_is_in_them_and_wherever_they_are_cut() {
        let text = format!(
            "{HEAD}\"Kato \"\"K\"\"\nof Osaka, Ltd.\",\"false\",\"1\"\n\"\",\"true\",\"2\"\r\n\"a\0b\",\"false\",\"\u{4f50}\"\n"
        );
        for piece in [1, 2, 3, 7, 1_000] {
            let rows = read(text.as_bytes(), piece).unwrap();
            let expected = [
                row("1", Some("Kato \"K\"\nof Osaka, Ltd."), false),
                row("2", None, true),
                row("\u{4f50}", Some("ab"), false),
            ];
            assert_eq!(rows, expected, "{piece}");
        }
        for nothing in ["", HEAD, "\u{feff}"] {
            assert_eq!(
                read(nothing.as_bytes(), 5).unwrap_or_default(),
                [],
                "{nothing:?}"
            );
        }
        // A byte order mark, and bytes that are no UTF-8.
        let odd = [
            b"\xef\xbb\xbf".as_slice(),
            HEAD.as_bytes(),
            b"\"\xff\",\"true\",\"1\"\n",
        ]
        .concat();
        for piece in [1, 2, 4, 1_000] {
            let rows = read(&odd, piece).unwrap();
            assert_eq!(rows, [row("1", Some("\u{fffd}"), true)], "{piece}");
        }
    }

    #[test]
    fn a_row_that_breaks_off_is_no_row() {
        let whole = format!("{HEAD}\"A\nB\",\"false\",\"12\"\n");
        assert_eq!(read(whole.as_bytes(), 9).unwrap().len(), 1);
        let body = whole.len();
        for end in HEAD.len() + 1..body {
            let cut = read(&whole.as_bytes()[..end], 9);
            assert_eq!(cut, Err(CsvError::BrokenOff), "{end}");
        }
    }

    #[test]
    fn rows_of_another_shape_are_refused() {
        let refused = |rows: &str| read(format!("{HEAD}{rows}").as_bytes(), 11).unwrap_err();
        let other = CsvError::OtherColumns {
            found: 2,
            expected: 3,
        };
        assert_eq!(refused("\"a\",\"true\"\n"), other);
        assert_eq!(
            refused("\"\",\"true\",\"1\"\n\"\",\"maybe\",\"2\"\n"),
            CsvError::OtherShape(2)
        );
        assert_eq!(
            refused(&format!("\"{}\"", "x".repeat(300_000))),
            CsvError::RowTooLong
        );
        assert_eq!(
            refused(&format!("{}\n", ",".repeat(300))),
            CsvError::TooManyColumns
        );
        let html = b"<html>\n<body>\n";
        assert_eq!(read(html, 100), Err(CsvError::OtherShape(1)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            values in proptest::collection::vec(("[^\0]{0,8}", "[\"\\n\\r,x]{0,6}"), 0..6),
            piece in 1_usize..40,
        ) {
            let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let mut text = HEAD.to_owned();
            for (id, account) in &values {
                text.push_str(&format!("{},\"true\",{}\n", quote(account), quote(id)));
            }
            let expected: Vec<Row> = values
                .iter()
                .map(|(id, account)| {
                    let account = Some(account.as_str()).filter(|account| !account.is_empty());
                    row(id, account, true)
                })
                .collect();
            prop_assert_eq!(read(text.as_bytes(), piece).unwrap(), expected);
        }
    }
}
