//! Books out of a file that arrives piece by piece, CSV or NDJSON. Of the file only the record under way is held, and of its rows what was
//! found wrong and which ISBNs there were.

mod csv;
mod ndjson;

use std::collections::HashMap;

use contract::{FieldError, ImportFault, NewBook};

use super::book::Draft;

/// The most rows of one import.
pub const MAX_ROWS: u64 = 100_000;
/// The most faults that are told one by one.
pub const MAX_FAULTS: usize = 1_000;
/// The most bytes of one row.
pub const MAX_ROW_BYTES: usize = 64 * 1024;
/// The longest ISBN that a fault repeats.
const SHOWN_ISBN: usize = 32;

/// Why nothing more of the file can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The CSV has no header, or one that cannot be used.
    #[error("{0}")]
    Header(String),
    /// There are more than [`MAX_ROWS`].
    #[error("the file has more than {MAX_ROWS} rows")]
    TooManyRows,
}

/// Reads a file.
pub struct Reader {
    format: Format,
    rows: Rows,
}

enum Format {
    Csv(Box<csv::Csv>),
    Ndjson(ndjson::Ndjson),
}

/// A row as its format had it: a book, or its ISBN where it could be read and what is wrong.
type Row = Result<NewBook, (Option<String>, String)>;

/// What has come of the rows so far.
#[derive(Default)]
struct Rows {
    drafts: Vec<Draft>,
    /// In which row each ISBN was.
    seen: HashMap<String, u64>,
    failed: u64,
    faults: Vec<ImportFault>,
}

impl Reader {
    /// Of a CSV with a header.
    pub fn csv() -> Self {
        Self { format: Format::Csv(Box::default()), rows: Rows::default() }
    }

    /// Of one JSON object a line.
    pub fn ndjson() -> Self {
        Self { format: Format::Ndjson(ndjson::Ndjson::default()), rows: Rows::default() }
    }

    /// Takes the next piece of the file.
    ///
    /// # Errors
    /// [`Fatal`]; the rows before can still be taken.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Fatal> {
        let rows = &mut self.rows;
        match &mut self.format {
            Format::Csv(csv) => csv.feed(bytes, |number, row| rows.take(number, row)),
            Format::Ndjson(ndjson) => ndjson.feed(bytes, |number, row| rows.take(number, row)),
        }
    }

    /// The file has ended.
    ///
    /// # Errors
    /// [`Fatal`]; the rows before can still be taken.
    pub fn finish(&mut self) -> Result<(), Fatal> {
        let rows = &mut self.rows;
        match &mut self.format {
            Format::Csv(csv) => csv.finish(|number, row| rows.take(number, row)),
            Format::Ndjson(ndjson) => ndjson.finish(|number, row| rows.take(number, row)),
        }
    }

    /// How many books have been read and not been taken.
    pub fn ready(&self) -> usize {
        self.rows.drafts.len()
    }

    /// Takes up to so many of the books that have been read, each ISBN once in the whole file.
    pub fn take(&mut self, most: usize) -> Vec<Draft> {
        let count = self.rows.drafts.len().min(most);
        self.rows.drafts.drain(..count).collect()
    }

    /// How many rows were left out.
    pub fn failed(&self) -> u64 {
        self.rows.failed
    }

    /// What was wrong with the first of them.
    pub fn into_faults(self) -> Vec<ImportFault> {
        self.rows.faults
    }
}

impl Rows {
    fn take(&mut self, number: u64, row: Row) -> Result<(), Fatal> {
        if number > MAX_ROWS {
            return Err(Fatal::TooManyRows);
        }
        match row {
            Ok(book) => {
                let isbn = book.isbn.clone();
                match Draft::new(book) {
                    Ok(draft) => match self.seen.get(&draft.isbn) {
                        Some(first) => self.fault(number, Some(isbn), format!("isbn: is in row {first} already")),
                        None => {
                            self.seen.insert(draft.isbn.clone(), number);
                            self.drafts.push(draft);
                        }
                    },
                    Err(errors) => self.fault(number, Some(isbn), told(&errors)),
                }
            }
            Err((isbn, message)) => self.fault(number, isbn, message),
        }
        Ok(())
    }

    fn fault(&mut self, row: u64, isbn: Option<String>, message: String) {
        self.failed += 1;
        if self.faults.len() < MAX_FAULTS {
            let isbn = isbn.filter(|isbn| !isbn.is_empty() && isbn.len() <= SHOWN_ISBN);
            self.faults.push(ImportFault { row, isbn, message });
        }
    }
}

fn told(errors: &[FieldError]) -> String {
    errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join("; ")
}

fn too_long() -> String {
    format!("the row has more than {} KiB", MAX_ROW_BYTES / 1024)
}

/// Cuts the mark that some programs put before UTF-8.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

#[cfg(test)]
mod tests;
