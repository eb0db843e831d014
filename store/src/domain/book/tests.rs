use super::*;

fn wanted() -> NewBook {
    NewBook {
        isbn: "978-0-13-235088-4".to_owned(),
        title: " Clean Code ".to_owned(),
        author: "Robert C. Martin".to_owned(),
        publisher: Some("Prentice Hall".to_owned()),
        price: Money(4_399),
        description: Some("Two\nlines".to_owned()),
        genre: Some(" ".to_owned()),
        published_year: Some(2_008),
        is_active: None,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)
}

fn book() -> Book {
    Draft::new(wanted()).unwrap().into_book(BookId(uuid::Uuid::from_u128(1)), at(1))
}

#[test]
fn a_draft_is_trimmed_and_its_isbn_normalized() {
    let book = book();
    assert_eq!((book.isbn.as_str(), book.title.as_str(), &book.genre), ("9780132350884", "Clean Code", &None));
    assert!(book.is_active && book.version == 1 && book.created_at == at(1) && book.updated_at == at(1));
    let hidden = NewBook { is_active: Some(false), ..wanted() };
    assert!(!Draft::new(hidden).unwrap().into_book(book.id, at(1)).is_active);
}

#[test]
fn every_member_has_its_bounds_and_all_faults_are_told() {
    let long = |count: usize| "é".repeat(count);
    let table = [
        ("isbn", NewBook { isbn: "9780132350885".to_owned(), ..wanted() }),
        ("title", NewBook { title: " \t ".to_owned(), ..wanted() }),
        ("title", NewBook { title: long(301), ..wanted() }),
        ("title", NewBook { title: "a\nb".to_owned(), ..wanted() }),
        ("author", NewBook { author: String::new(), ..wanted() }),
        ("author", NewBook { author: long(301), ..wanted() }),
        ("publisher", NewBook { publisher: Some(long(201)), ..wanted() }),
        ("price", NewBook { price: Money(-1), ..wanted() }),
        ("price", NewBook { price: Money(100_000_001), ..wanted() }),
        ("description", NewBook { description: Some(long(5_001)), ..wanted() }),
        ("description", NewBook { description: Some("a\0b".to_owned()), ..wanted() }),
        ("genre", NewBook { genre: Some(long(101)), ..wanted() }),
        ("publishedYear", NewBook { published_year: Some(0), ..wanted() }),
        ("publishedYear", NewBook { published_year: Some(2_101), ..wanted() }),
    ];
    for (field, wanted) in table {
        let errors = Draft::new(wanted.clone()).unwrap_err();
        assert_eq!(errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), [field], "{wanted:?}");
    }
    let edge = NewBook {
        title: long(300),
        description: Some(long(5_000)),
        price: Money(100_000_000),
        published_year: Some(1),
        ..wanted()
    };
    assert!(Draft::new(NewBook { price: Money(0), ..edge.clone() }).is_ok() && Draft::new(edge).is_ok());
    let bad = NewBook { isbn: String::new(), title: String::new(), price: Money(-1), ..wanted() };
    assert_eq!(Draft::new(bad).unwrap_err().len(), 3);
    let bad = BookPatch { isbn: Some(String::new()), title: Some(String::new()), ..BookPatch::default() };
    assert_eq!(Patch::new(bad).unwrap_err().len(), 2);
}

#[test]
fn a_patch_changes_what_it_has_and_clears_what_it_has_as_null() {
    let patch = BookPatch { price: Some(Money(1)), publisher: Some(None), ..BookPatch::default() };
    let change = Change::Patch(Box::new(Patch::new(patch).unwrap()));
    let changed = book().changed(&change, at(9)).unwrap();
    let expected = Book { price: Money(1), publisher: None, version: 2, updated_at: at(9), ..book() };
    assert_eq!(changed, expected);
    assert_eq!(changed.changed(&change, at(10)), None, "a change that changes nothing is none");
}

#[test]
fn a_replacement_keeps_who_it_is_and_whether_it_is_on_sale() {
    let withdrawn = book().changed(&Change::Withdraw, at(2)).unwrap();
    assert_eq!(withdrawn, Book { is_active: false, version: 2, updated_at: at(2), ..book() });
    assert_eq!(withdrawn.changed(&Change::Withdraw, at(3)), None);
    let draft = Draft::new(NewBook { publisher: None, ..wanted() }).unwrap();
    let replaced = withdrawn.changed(&Change::Replace(draft), at(3)).unwrap();
    let expected = Book { publisher: None, is_active: false, version: 3, updated_at: at(3), ..book() };
    assert_eq!(replaced, expected);
    let back = Draft::new(NewBook { is_active: Some(true), ..wanted() }).unwrap();
    let back = replaced.changed(&Change::Replace(back), at(1)).unwrap();
    assert_eq!(back, Book { version: 4, updated_at: at(3), ..book() }, "time does not run backwards");
}
