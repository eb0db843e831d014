//! One JSON object a line, each a [`NewBook`]. The row numbers are those of the lines; empty lines are passed over.

use contract::NewBook;
use serde::Deserialize;

use super::{Fatal, MAX_ROW_BYTES, Row, too_long, without_mark};

#[derive(Default)]
pub(super) struct Ndjson {
    line: Vec<u8>,
    overflowed: bool,
    number: u64,
}

impl Ndjson {
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        mut take: impl FnMut(u64, Row) -> Result<(), Fatal>,
    ) -> Result<(), Fatal> {
        let mut pieces = input.split(|&byte| byte == b'\n');
        let Some(mut piece) = pieces.next() else { return Ok(()) };
        for next in pieces {
            self.append(piece);
            self.end_line(&mut take)?;
            piece = next;
        }
        self.append(piece);
        Ok(())
    }

    pub(super) fn finish(&mut self, mut take: impl FnMut(u64, Row) -> Result<(), Fatal>) -> Result<(), Fatal> {
        self.end_line(&mut take)
    }

    fn append(&mut self, piece: &[u8]) {
        if self.overflowed || self.line.len() + piece.len() > MAX_ROW_BYTES {
            self.overflowed = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(piece);
        }
    }

    fn end_line(&mut self, take: &mut impl FnMut(u64, Row) -> Result<(), Fatal>) -> Result<(), Fatal> {
        self.number += 1;
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.overflowed) {
            return take(self.number, Err((None, too_long())));
        }
        let line = if self.number == 1 { without_mark(&line) } else { &line };
        if line.iter().all(u8::is_ascii_whitespace) { Ok(()) } else { take(self.number, book(line)) }
    }
}

#[derive(Deserialize)]
struct OnlyIsbn {
    isbn: String,
}

fn book(line: &[u8]) -> Row {
    let Ok(text) = std::str::from_utf8(line) else { return Err((None, "is not UTF-8".to_owned())) };
    // serde would take an array for the members in their order.
    if !text.trim_ascii_start().starts_with('{') {
        return Err((None, "is not a JSON object".to_owned()));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let book: Result<NewBook, _> = serde_path_to_error::deserialize(&mut deserializer);
    let message = match book {
        Ok(book) => match deserializer.end() {
            Ok(()) => return Ok(book),
            Err(error) => error.to_string(),
        },
        Err(error) if error.path().iter().next().is_none() => error.inner().to_string(),
        Err(error) => format!("{}: {}", error.path(), error.inner()),
    };
    // A line of its own, so that which line it is says nothing.
    let message = message.find(" at line ").map_or(message.as_str(), |end| &message[..end]).to_owned();
    Err((serde_json::from_str::<OnlyIsbn>(text).ok().map(|only| only.isbn), message))
}
