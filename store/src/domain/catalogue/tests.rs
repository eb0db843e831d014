use std::collections::BTreeMap;

use contract::{Money, NewBook};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)
}

fn id(n: u128) -> BookId {
    BookId(Uuid::from_u128(n))
}

fn draft(serial: u64, title: &str) -> Draft {
    let wanted = NewBook {
        isbn: contract::isbn::synthetic(serial),
        title: title.to_owned(),
        author: "Ursula K. Le Guin".to_owned(),
        publisher: None,
        price: Money(100),
        description: None,
        genre: Some("Fiction".to_owned()),
        published_year: None,
        is_active: None,
    };
    Draft::new(wanted).unwrap()
}

fn book(n: u128, title: &str) -> Book {
    draft(u64::try_from(n).unwrap(), title).into_book(id(n), at(0))
}

fn catalogue(books: impl IntoIterator<Item = Book>) -> Catalogue {
    let mut catalogue = Catalogue::default();
    books.into_iter().for_each(|book| catalogue.put(book));
    catalogue
}

fn query() -> Query {
    Query { limit: 100, ..Query::default() }
}

fn found(catalogue: &Catalogue, query: &Query) -> Vec<u128> {
    catalogue.search(query).books.iter().map(|book| book.id.uuid().as_u128()).collect()
}

#[test]
fn every_word_must_match_somewhere_whatever_its_case() {
    let real = Book { isbn: "9780132350884".to_owned(), author: "Robert Martin".to_owned(), ..book(3, "Clean Code") };
    let ten = Book { isbn: "9780804429573".to_owned(), ..book(4, "Ÿ Σοφός") };
    let catalogue = catalogue([book(1, "The Dispossessed"), book(2, "The Lathe of Heaven"), real, ten]);
    for (text, expected) in [
        ("", vec![1, 2, 3, 4]),
        ("the", vec![1, 2]),
        ("THE disposs", vec![1]),
        ("guin lathe", vec![2]),
        ("of", vec![2]),
        ("e", vec![1, 2, 3, 4]),
        ("978-0-13-235088-4", vec![3]),
        ("978 0132350884", vec![3]),
        ("9780132350884 clean", vec![3]),
        ("9780132350884 heaven", vec![]),
        ("0-8044-2957-x", vec![4]),
        ("ÿ", vec![4]),
        ("ΣΟΦΌΣ", vec![4]),
        ("σοφόσ", vec![4]),
        ("-", vec![]),
        ("clean\u{3000}code", vec![3]),
    ] {
        assert_eq!(found(&catalogue, &query().containing(text)), expected, "{text:?}");
    }
    assert_eq!(found(&catalogue, &query().by_author("guin URSULA").containing("the")), [1, 2]);
    assert_eq!(found(&catalogue, &query().by_author("clean")), [] as [u128; 0]);
    assert_eq!(found(&catalogue, &query().of_genre(" fiCTion ").by_author("martin")), [3]);
    assert_eq!(found(&catalogue, &query().of_genre("Fict")), [] as [u128; 0]);
    let only = Query { ids: Some(vec![id(9), id(2), id(1), id(2)]), ..query() };
    assert_eq!(found(&catalogue, &only), [1, 2]);
}

#[test]
fn an_older_version_changes_nothing_and_a_newer_one_moves_the_book() {
    let mut catalogue = catalogue([book(1, "Old")]);
    catalogue.put(Book { version: 2, is_active: false, isbn: "0132350882".to_owned(), ..book(1, "New") });
    catalogue.put(Book { version: 1, ..book(1, "Late") });
    assert_eq!(found(&catalogue, &query()), [] as [u128; 0]);
    let withdrawn = Query { withdrawn: true, ..query() };
    assert_eq!(found(&catalogue, &withdrawn.clone().containing("new")), [1]);
    assert_eq!(found(&catalogue, &withdrawn.containing("late")), [] as [u128; 0]);
    assert!(catalogue.on_sale(id(1)).is_none() && catalogue.get(id(1)).unwrap().title == "New");
    assert_eq!(catalogue.create(id(2), draft(1, "Again"), at(0)).unwrap().isbn, contract::isbn::synthetic(1));
}

#[test]
fn writes_are_refused_for_what_they_would_break() {
    let gone = Book { is_active: false, ..book(2, "Gone") };
    let catalogue = catalogue([book(1, "Here"), gone]);
    let taken = |by, on_sale| Err(Refusal::IsbnTaken { by: id(by), on_sale });
    assert_eq!(catalogue.create(id(9), draft(1, "X"), at(1)), taken(1, true));
    assert_eq!(catalogue.create(id(9), draft(2, "X"), at(1)), taken(2, false));
    let change = |n, draft, expected| catalogue.change(id(n), &Change::Replace(draft), &expected, at(1));
    assert_eq!(change(9, draft(1, "X"), Expected::Any), Err(Refusal::Unknown));
    assert_eq!(change(1, draft(2, "X"), Expected::Any).map(|_| book(9, "")), taken(2, false));
    let other = Refusal::OtherVersion { current: 1 };
    assert_eq!(change(1, draft(1, "X"), Expected::Versions(vec![])), Err(other));
    assert_eq!(change(1, draft(1, "X"), Expected::Versions(vec![0, 2])), Err(other));
    let changed = change(1, draft(1, "X"), Expected::Versions(vec![0, 1])).unwrap().unwrap();
    assert_eq!(changed, Book { version: 2, updated_at: at(1), ..book(1, "X") });
    assert_eq!(change(1, draft(1, "Here"), Expected::Any), Ok(None));
}

#[test]
fn an_import_counts_what_is_new_different_and_the_same() {
    let gone = Book { is_active: false, ..book(2, "Gone") };
    let catalogue = catalogue([book(1, "Here"), gone]);
    let drafts = vec![draft(1, "Here"), draft(2, "Back?"), draft(3, "New"), draft(3, "Twice")];
    let (mut books, imported) = catalogue.import(drafts, || id(3), at(1));
    books.sort_by_key(|book| book.id);
    assert_eq!(imported, Imported { created: 1, updated: 1, unchanged: 1 });
    let updated = Book { is_active: false, version: 2, updated_at: at(1), ..book(2, "Back?") };
    assert_eq!(books, [updated, Book { created_at: at(1), updated_at: at(1), ..book(3, "New") }]);
}

#[test]
fn cursors_survive_the_wire_and_nothing_else_is_one() {
    let catalogue = catalogue([book(1, "a/b"), book(2, "c")]);
    for sort in ["id", "-id", "title", "-author", "price", "-publishedYear", "createdAt"] {
        let sort: Sort = sort.parse().unwrap();
        let next = catalogue.search(&Query { limit: 1, sort, ..Query::default() }).next.unwrap();
        assert_eq!(next.to_string().parse::<Cursor>(), Ok(next), "{sort}");
    }
    for text in ["", "x", "id", "id/x/0", "price/00000000-0000-0000-0000-000000000001/x", "--id/y/0", "isbn/y/0"] {
        assert_eq!(text.parse::<Cursor>(), Err(Malformed), "{text}");
    }
    for text in ["", "-", "isbn", "--id", "Title", "+id"] {
        assert_eq!(text.parse::<Sort>(), Err(Malformed), "{text}");
    }
}

/// The plain way: every book looked at, one after the other.
fn scan(books: &BTreeMap<u128, Book>, text: &str, author: &str, genre: Option<&str>, sort: Sort) -> Vec<u128> {
    let low = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    let mut found: Vec<&Book> = books.values().filter(|book| book.is_active).collect();
    found.retain(|book| {
        let all = low(&format!("{}\n{}\n{}", book.title, book.author, book.isbn));
        low(text).split_whitespace().all(|word| all.contains(word))
            && low(author).split_whitespace().all(|word| low(&book.author).contains(word))
            && genre.is_none_or(|genre| book.genre.as_deref().map(low) == Some(low(genre)))
    });
    found.sort_by(|a, b| {
        let by = match sort.by {
            By::Id => a.id.cmp(&b.id),
            By::Title => low(&a.title).cmp(&low(&b.title)),
            By::Author => low(&a.author).cmp(&low(&b.author)),
            By::Price => a.price.cmp(&b.price),
            By::PublishedYear => a.published_year.cmp(&b.published_year),
            By::CreatedAt => a.created_at.cmp(&b.created_at),
        };
        let by = by.then(a.id.cmp(&b.id));
        if sort.descending { by.reverse() } else { by }
    });
    found.iter().map(|book| book.id.uuid().as_u128()).collect()
}

fn any_sort() -> impl Strategy<Value = Sort> {
    (0..query::ALL.len(), any::<bool>()).prop_map(|(by, descending)| Sort { by: query::ALL[by], descending })
}

fn any_book() -> impl Strategy<Value = Book> {
    let year = proptest::option::of(2_000..2_003);
    let genre = proptest::option::of("[xX]");
    (1..40_u128, "[abAB É]{1,6}", "[abB ]{1,4}", 0..3_i64, year, genre, 0..4_i64, any::<bool>()).prop_map(
        |(n, title, author, price, published_year, genre, created, is_active)| Book {
            title,
            author,
            price: Money(price),
            published_year,
            genre,
            is_active,
            created_at: at(created),
            ..book(n, "x")
        },
    )
}

/// Every page of a walk.
fn walk(catalogue: &Catalogue, mut query: Query) -> Vec<u128> {
    let mut all = Vec::new();
    loop {
        let page = catalogue.search(&query);
        assert!(page.books.len() <= query.limit);
        all.extend(page.books.iter().map(|book| book.id.uuid().as_u128()));
        query.after = page.next;
        if query.after.is_none() {
            return all;
        }
    }
}

proptest! {
    #[test]
    fn a_search_finds_what_a_scan_finds(
        books in proptest::collection::vec(any_book(), 0..60),
        text in "[abé97 ]{0,5}",
        author in "[aB]{0,2}",
        genre in proptest::option::of("[x]"),
        sort in any_sort(),
        limit in 1..8_usize,
    ) {
        let (mut catalogue, mut plain) = (Catalogue::default(), BTreeMap::<u128, Book>::new());
        for mut book in books {
            let n = book.id.uuid().as_u128();
            book.version = plain.get(&n).map_or(1, |old| old.version + 1);
            plain.insert(n, book.clone());
            catalogue.put(book);
        }
        let mut query = Query { sort, limit, ..Query::default() }.containing(&text).by_author(&author);
        if let Some(genre) = &genre {
            query = query.of_genre(genre);
        }
        prop_assert_eq!(walk(&catalogue, query), scan(&plain, &text, &author, genre.as_deref(), sort));
    }

    #[test]
    fn a_walk_has_every_book_that_stays_once_while_others_come_and_go(
        books in proptest::collection::vec(any_book(), 1..60),
        others in proptest::collection::vec(any_book(), 1..60),
        sort in any_sort(),
        limit in 1..5_usize,
    ) {
        let stays = |n: u128| n % 2 == 1;
        let mut catalogue = Catalogue::default();
        for book in books {
            let (n, title) = (book.id.uuid().as_u128(), "never found".to_owned());
            catalogue.put(if stays(n) { Book { is_active: true, ..book } } else { Book { title, ..book } });
        }
        let mut before = walk(&catalogue, Query { sort, limit: 100, ..Query::default() });
        before.retain(|n| stays(*n));
        let (mut version, mut others) = (1, others.into_iter().filter(|book| !stays(book.id.uuid().as_u128())));
        let mut all = Vec::new();
        let mut query = Query { sort, limit, ..Query::default() };
        loop {
            let page = catalogue.search(&query);
            all.extend(page.books.iter().map(|book| book.id.uuid().as_u128()).filter(|n| stays(*n)));
            let Some(next) = page.next else { break };
            query.after = Some(next);
            version += 1;
            if let Some(other) = others.next() {
                catalogue.put(Book { version, ..other });
            }
        }
        prop_assert_eq!(all, before);
    }
}
