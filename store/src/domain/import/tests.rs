use contract::isbn::synthetic;
use proptest::prelude::*;

use super::*;

const HEADER: &str = "isbn,title,author,publisher,price,description,genre,publishedYear\n";

/// The titles, the rows with their faults, and how it ended.
type Came = (Vec<String>, Vec<(u64, String)>, Result<(), Fatal>);

/// What comes of a file that arrives in pieces of this size.
fn read(mut reader: Reader, file: &[u8], piece: usize) -> Came {
    let mut ended = Ok(());
    for bytes in file.chunks(piece.max(1)) {
        ended = reader.feed(bytes);
        if ended.is_err() {
            break;
        }
    }
    let ended = ended.and_then(|()| reader.finish());
    let mut titles = Vec::new();
    while reader.ready() > 0 {
        let drafts = reader.take(3);
        titles.extend(
            drafts
                .into_iter()
                .map(|draft| draft.into_book(contract::BookId::new(), chrono::DateTime::UNIX_EPOCH).title),
        );
    }
    assert_eq!(reader.failed(), reader.rows.faults.len() as u64);
    let faults = reader.into_faults().into_iter().map(|fault| (fault.row, fault.message)).collect();
    (titles, faults, ended)
}

/// The same for pieces of any size.
#[track_caller]
fn csv(file: impl AsRef<[u8]>) -> Came {
    same(Reader::csv, file.as_ref())
}

#[track_caller]
fn ndjson(file: impl AsRef<[u8]>) -> Came {
    same(Reader::ndjson, file.as_ref())
}

#[track_caller]
fn same(reader: fn() -> Reader, file: &[u8]) -> Came {
    let whole = read(reader(), file, file.len());
    for piece in [1, 2, 7, 1_000] {
        if file.len() < 10_000 || piece > 100 {
            assert_eq!(read(reader(), file, piece), whole, "in pieces of {piece}");
        }
    }
    whole
}

fn line(serial: u64, rest: &str) -> String {
    format!("{},{rest}\n", synthetic(serial))
}

#[test]
fn csv_has_quotes_marks_and_columns_in_any_order() {
    let file = format!(
        "\u{feff}Title, PRICE ,shelf,author,ISBN\r\n\"A \"\"b\"\",\nc\",5,,X,{}\r\n\r\nD,6.5,,Y,{}",
        synthetic(1),
        synthetic(2)
    );
    let (titles, faults, ended) = csv(file.replace(",\nc", ", c"));
    assert_eq!((titles, faults, ended), (vec!["A \"b\", c".to_owned(), "D".to_owned()], vec![], Ok(())));
    let (titles, faults, _) = csv(file);
    assert_eq!(titles, ["D"]);
    assert_eq!(faults, [(1, "title: must not contain control characters".to_owned())]);
}

#[test]
fn a_bad_row_is_told_by_its_number_and_the_others_are_kept() {
    let mut file = HEADER.as_bytes().to_vec();
    for row in [
        line(1, "One,A,P,1.00,D,G,2000"),
        "123,Two,A,P,1.00,D,G,2000\n".to_owned(),
        line(3, "Three,A,P,cheap,D,G,soon"),
        line(4, ",A,P,-1.00,D,G,2000"),
        line(5, "Five,A"),
        line(1, "One again,A,P,1.00,D,G,2000"),
        line(7, "Seven,A,,7,,,"),
    ] {
        file.extend_from_slice(row.as_bytes());
    }
    file.extend_from_slice(b"9780132350884,Caf\xe9,A,,7,,,\n0132350882,Last,A,,7,,,");
    let (titles, faults, ended) = csv(file);
    assert_eq!((titles, ended), (vec!["One".to_owned(), "Seven".to_owned(), "Last".to_owned()], Ok(())));
    let faults: Vec<_> = faults.iter().map(|(row, message)| (*row, message.as_str())).collect();
    let expected = [
        (2, "isbn: must be an ISBN-10 or ISBN-13 with a right check digit"),
        (3, "price: expected an amount with at most two decimals, like 14.99; publishedYear: expected a year"),
        (4, "title: must not be empty; price: must be 0.00 to 1000000.00"),
        (5, "has 3 columns, the header 8"),
        (6, "isbn: is in row 1 already"),
        (8, "is not UTF-8"),
    ];
    assert_eq!(faults, expected);
}

#[test]
fn a_quote_left_open_and_a_row_without_end_are_faults() {
    let (titles, faults, _) = csv(format!("{HEADER}{}{}", line(1, "One,A,,1,,,"), line(2, "\"Two,A,,1,,,")));
    assert_eq!((titles.len(), &faults[..]), (1, &[(2, "a quote is left open at the end of the file".to_owned())][..]));
    let long = "x".repeat(MAX_ROW_BYTES);
    let rows =
        format!("{}{}{}", line(1, "One,A,,1,,,"), line(2, &format!("\"{long}\",A,,1,,,")), line(3, "Three,A,,1,,,"));
    let (titles, faults, _) = csv(format!("{HEADER}{rows}"));
    assert_eq!(titles, ["One", "Three"]);
    assert!(faults.len() == 1 && faults[0].0 == 2 && faults[0].1.contains("64 KiB"), "{faults:?}");
    let (titles, faults, _) = csv(format!("{HEADER}{},{}", line(1, "One,A,,1,,,"), ",".repeat(100)));
    assert_eq!((titles.len(), faults.len()), (1, 1));
}

#[test]
fn a_header_must_name_what_every_book_has() {
    for (file, said) in [
        ("", "no header"),
        ("\n\n", "no header"),
        ("\"isbn", "quote left open"),
        ("isbn,title,author\n", "lacks price"),
        ("x\n", "lacks isbn, title, author, price"),
        ("isbn,title,author,price,Title\n", "title twice"),
        ("{\"isbn\": 1}\n", "lacks"),
    ] {
        let Err(Fatal::Header(message)) = csv(file).2 else { panic!("{file}") };
        assert!(message.contains(said), "{message}");
    }
    let broken = csv(b"isbn,t\xe9tle\n").2;
    assert_eq!(broken, Err(Fatal::Header("is not UTF-8".to_owned())));
    assert!(matches!(csv("y".repeat(MAX_ROW_BYTES + 10)).2, Err(Fatal::Header(_))));
}

#[test]
fn ndjson_is_one_book_a_line() {
    let book = |serial: u64, title: &str| {
        format!("{{\"isbn\": \"{}\", \"title\": \"{title}\", \"author\": \"A\", \"price\": 5.50}}", synthetic(serial))
    };
    let file = [
        format!("\u{feff}{}\r", book(1, "One")),
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        format!("{} x", book(5, "Five")),
        book(6, "Six").replace("5.50", "5.505"),
        book(7, "Seven").replace("\"A\"", "null"),
        book(8, "a\\u0000b"),
        book(9, &"x".repeat(MAX_ROW_BYTES)),
        book(1, "One again"),
        book(11, "Last"),
        format!("[\"{}\", \"Nameless\", \"A\", null, 5.50, null, null, null, null]", synthetic(12)),
    ];
    let (titles, faults, ended) = ndjson(file.join("\n"));
    assert_eq!((titles, ended), (vec!["One".to_owned(), "Last".to_owned()], Ok(())));
    let rows: Vec<_> = faults.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, [3, 4, 5, 6, 7, 8, 9, 10, 12]);
    assert!(
        faults[3].1.starts_with("price: expected an amount") && faults[4].1.starts_with("author: invalid type"),
        "{faults:?}"
    );
    assert_eq!(faults[5].1, "title: must not contain control characters");
}

#[test]
fn rows_and_told_faults_are_bounded() {
    let mut reader = Reader::ndjson();
    for _ in 0..MAX_ROWS {
        reader.feed(b"x\n").unwrap();
    }
    assert_eq!(reader.feed(b"x\n"), Err(Fatal::TooManyRows));
    assert_eq!(reader.failed(), MAX_ROWS);
    assert_eq!(reader.into_faults().len(), MAX_FAULTS);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1..20_usize) {
        for file in [bytes.clone(), [HEADER.as_bytes(), &bytes].concat()] {
            prop_assert_eq!(read(Reader::csv(), &file, piece), read(Reader::csv(), &file, file.len()));
            prop_assert_eq!(read(Reader::ndjson(), &file, piece), read(Reader::ndjson(), &file, file.len()));
        }
    }
}
