//! Results of a job, in a file without a name. A client reads them page by page; a page is sent
//! while it is read, so that a million records cost the simulator a number for each.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::csv::Form;
use crate::schema::Value;

/// The bytes of a chunk.
const CHUNK: usize = 64 << 10;

/// The rows of a job as they were when it ran.
#[derive(Debug)]
pub(crate) struct Results {
    header: Bytes,
    file: File,
    /// Where each row begins, and where the last one ends.
    offsets: Vec<u64>,
}

/// Writes results.
pub(crate) struct Writer {
    form: Form,
    header: Bytes,
    out: BufWriter<File>,
    offsets: Vec<u64>,
    line: String,
}

/// A page of results that is sent as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    results: Arc<Results>,
    with_header: bool,
    from: u64,
    to: u64,
}

impl Writer {
    pub(crate) fn new(form: Form, columns: &[String]) -> io::Result<Self> {
        let mut header = String::new();
        form.names(&mut header, columns.iter().map(String::as_str));
        Ok(Self {
            form,
            header: Bytes::from(header),
            out: BufWriter::new(tempfile::tempfile()?),
            offsets: vec![0],
            line: String::new(),
        })
    }

    pub(crate) fn row<'v>(&mut self, values: impl Iterator<Item = &'v Value>) -> io::Result<()> {
        self.line.clear();
        self.form.values(&mut self.line, values);
        self.out.write_all(self.line.as_bytes())?;
        let end = self.offsets.last().copied().unwrap_or_default() + self.line.len() as u64;
        self.offsets.push(end);
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<Results> {
        let file = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        Ok(Results {
            header: self.header,
            file,
            offsets: self.offsets,
        })
    }
}

impl Results {
    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Bytes of all rows.
    pub(crate) fn bytes(&self) -> u64 {
        self.offsets.last().copied().unwrap_or_default()
    }
}

impl Body {
    /// The rows from one position up to another.
    pub(crate) fn new(results: Arc<Results>, from: usize, to: usize, with_header: bool) -> Self {
        let offset = |row: usize| results.offsets.get(row).copied().unwrap_or_default();
        Self {
            with_header,
            from: offset(from),
            to: offset(to),
            results: Arc::clone(&results),
        }
    }

    /// The body without its last rows, as far as it has such.
    pub(crate) fn without_last(mut self, rows: usize) -> Self {
        let offsets = &self.results.offsets;
        let end = offsets.partition_point(|offset| *offset < self.to);
        let end = offsets.get(end.saturating_sub(rows)).copied();
        self.to = end.unwrap_or_default().max(self.from);
        self
    }

    /// The body in chunks, each read when it is sent.
    pub(crate) fn chunks(&self) -> Box<dyn Iterator<Item = io::Result<Bytes>> + Send> {
        let Self {
            results,
            with_header,
            from,
            to,
        } = self.clone();
        let header = with_header.then(|| Ok(results.header.clone()));
        let mut at = from;
        let rows = std::iter::from_fn(move || {
            let size = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
            if size == 0 {
                return None;
            }
            let mut chunk = vec![0; size];
            let read = results.file.read_exact_at(&mut chunk, at);
            at += size as u64;
            Some(read.map(|()| Bytes::from(chunk)))
        });
        Box::new(header.into_iter().chain(rows))
    }

    /// The whole body at once, for faults that cut it.
    pub(crate) fn collect(&self) -> Bytes {
        let chunks = self.chunks().filter_map(Result::ok);
        Bytes::from(chunks.flatten().collect::<Vec<u8>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_rows_and_can_be_cut() {
        let form = Form::named("PIPE", "CRLF", true).unwrap();
        let mut writer = Writer::new(form, &["Id".to_owned()]).unwrap();
        for number in 0..5 {
            writer.row([&Value::Int(number)].into_iter()).unwrap();
        }
        let results = Arc::new(writer.finish().unwrap());
        assert_eq!((results.rows(), results.bytes()), (5, 25));
        let page = |from, to, head| Body::new(Arc::clone(&results), from, to, head);
        assert_eq!(page(1, 3, true).collect(), "\"Id\"\r\n\"1\"\r\n\"2\"\r\n");
        assert_eq!(page(4, 5, false).collect(), "\"4\"\r\n");
        assert_eq!(page(1, 4, false).without_last(2).collect(), "\"1\"\r\n");
        assert!(page(1, 2, false).without_last(3).collect().is_empty());
    }
}
