//! CSV with a header, by RFC 4180 as csv-core reads it. The row numbers count records after the header.

use contract::{FieldError, Money, NewBook};
use csv_core::ReadRecordResult as Read;

use super::{Draft, Fatal, MAX_ROW_BYTES, Row, told, too_long, without_mark};

/// The most columns of a file.
const MAX_COLUMNS: usize = 64;
const NAMES: [&str; 8] = ["isbn", "title", "author", "publisher", "price", "description", "genre", "publishedYear"];
const REQUIRED: [&str; 4] = ["isbn", "title", "author", "price"];

/// Where each of [`NAMES`] is in a record.
type Header = [Option<usize>; NAMES.len()];

pub(super) struct Csv {
    reader: csv_core::Reader,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// How much of both the record under way has filled.
    filled: (usize, usize),
    overflowed: bool,
    header: Option<(Header, usize)>,
    number: u64,
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            reader: csv_core::Reader::new(),
            bytes: vec![0; MAX_ROW_BYTES],
            ends: vec![0; MAX_COLUMNS],
            filled: (0, 0),
            overflowed: false,
            header: None,
            number: 0,
        }
    }
}

impl Csv {
    pub(super) fn feed(
        &mut self,
        mut input: &[u8],
        mut take: impl FnMut(u64, Row) -> Result<(), Fatal>,
    ) -> Result<(), Fatal> {
        // Without input csv-core takes it that the file has ended.
        while !input.is_empty() {
            let (bytes, ends) = (&mut self.bytes[self.filled.0..], &mut self.ends[self.filled.1..]);
            let (read, taken, bytes, ends) = self.reader.read_record(input, bytes, ends);
            input = &input[taken..];
            self.filled = (self.filled.0 + bytes, self.filled.1 + ends);
            match read {
                Read::InputEmpty | Read::End => {}
                Read::OutputFull | Read::OutputEndsFull => {
                    self.overflowed = true;
                    self.filled = (0, 0);
                }
                Read::Record => self.record(&mut take)?,
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, mut take: impl FnMut(u64, Row) -> Result<(), Fatal>) -> Result<(), Fatal> {
        // It ends any record but one with a quote left open, of which it becomes a part.
        self.feed(b"\n", &mut take)?;
        let open = self.overflowed || self.filled != (0, 0);
        if self.header.is_none() {
            let why = if open { "the header has a quote left open" } else { "the file has no header" };
            return Err(Fatal::Header(why.to_owned()));
        }
        if open {
            self.number += 1;
            take(self.number, Err((None, "a quote is left open at the end of the file".to_owned())))?;
        }
        Ok(())
    }

    fn record(&mut self, take: &mut impl FnMut(u64, Row) -> Result<(), Fatal>) -> Result<(), Fatal> {
        let overflowed = std::mem::take(&mut self.overflowed);
        let (_, count) = std::mem::take(&mut self.filled);
        let Some((header, columns)) = &self.header else {
            let fields = if overflowed { Err(too_long()) } else { fields(&self.bytes, &self.ends[..count]) };
            self.header = Some((read_header(&fields.map_err(Fatal::Header)?)?, count));
            return Ok(());
        };
        self.number += 1;
        let row = if overflowed {
            Err((None, format!("{}, or too many columns; is a quote left open?", too_long())))
        } else {
            match fields(&self.bytes, &self.ends[..count]) {
                Ok(fields) if fields.len() == *columns => book(header, &fields),
                Ok(fields) => {
                    let isbn = header[0].and_then(|index| fields.get(index)).map(|isbn| (*isbn).to_owned());
                    Err((isbn, format!("has {} columns, the header {columns}", fields.len())))
                }
                Err(message) => Err((None, message)),
            }
        };
        take(self.number, row)
    }
}

fn fields<'a>(bytes: &'a [u8], ends: &[usize]) -> Result<Vec<&'a str>, String> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let texts = starts.zip(ends).map(|(start, &end)| bytes.get(start..end).map(std::str::from_utf8));
    texts.map(|text| text.and_then(Result::ok).ok_or_else(|| "is not UTF-8".to_owned())).collect()
}

fn read_header(fields: &[&str]) -> Result<Header, Fatal> {
    let mut header = Header::default();
    for (index, field) in fields.iter().enumerate() {
        let field =
            if index == 0 { std::str::from_utf8(without_mark(field.as_bytes())).unwrap_or(field) } else { field };
        let Some(place) = NAMES.iter().position(|name| name.eq_ignore_ascii_case(field.trim())) else { continue };
        if header[place].replace(index).is_some() {
            return Err(Fatal::Header(format!("the header has {} twice", NAMES[place])));
        }
    }
    let missing = NAMES.iter().zip(header).filter(|(name, index)| index.is_none() && REQUIRED.contains(name));
    let missing: Vec<_> = missing.map(|(name, _)| *name).collect();
    if missing.is_empty() { Ok(header) } else { Err(Fatal::Header(format!("the header lacks {}", missing.join(", ")))) }
}

fn book(header: &Header, fields: &[&str]) -> Row {
    let column = |index: Option<usize>| index.and_then(|index| fields.get(index)).map(|field| field.trim());
    let [isbn, title, author, publisher, price, description, genre, year] = header.map(column);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let optional = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let mut errors = Vec::new();
    let mut wrong = |field: &str, message: String| errors.push(FieldError { field: field.to_owned(), message });
    let price = price.unwrap_or_default().parse::<Money>().map_err(|error| wrong("price", error.to_string()));
    let year = optional(year)
        .map(|year| year.parse::<i32>().map_err(|_| wrong("publishedYear", "expected a year".to_owned())));
    let book = NewBook {
        isbn: text(isbn),
        title: text(title),
        author: text(author),
        publisher: optional(publisher),
        price: price.unwrap_or_default(),
        description: optional(description),
        genre: optional(genre),
        published_year: year.transpose().unwrap_or_default(),
        is_active: None,
    };
    if errors.is_empty() {
        return Ok(book);
    }
    // Whatever else is wrong is told with it.
    let isbn = book.isbn.clone();
    errors.extend(Draft::new(book).err().unwrap_or_default());
    Err((Some(isbn), told(&errors)))
}
