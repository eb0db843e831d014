use ::actors::{Address, ChildSpec, System};
use contract::{BookPatch, Money, NewBook, isbn};
use service::database::transaction;
use tempfile::TempDir;

use super::*;
use crate::actors::testing::system;
use crate::db::testing::{self as shop, book, book_id};
use crate::domain::book::Patch;

const SECOND: Duration = Duration::from_secs(1);

/// Books 1 to 5 are on sale, 6 is not.
async fn catalog() -> (Address<Msg>, System, Database, TempDir) {
    let (database, folder) = shop::sqlite().await;
    shop::enter_books(&database, 5).await;
    let gone = Book { is_active: false, ..book(6) };
    db::books::enter_missing(database.ready().unwrap(), &[gone]).await.unwrap();
    let address = Address::new(100);
    let spec = ChildSpec::actor("catalog", &address, Catalog, Args { database: database.clone() });
    (address, system(vec![spec]).await, database, folder)
}

async fn page(catalog: &Address<Msg>, query: Query) -> (Vec<u128>, Option<Box<Query>>) {
    let asked = Box::new(query.clone());
    let page = catalog.ask(SECOND, |reply| Msg::List { query: asked, reply }).await.unwrap();
    let ids = page.books.iter().map(|book| book.id.uuid().as_u128()).collect();
    (ids, page.next.map(|next| Box::new(Query { after: Some(next), ..query })))
}

fn draft(serial: u64, title: &str) -> Draft {
    let wanted = NewBook {
        isbn: isbn::synthetic(serial),
        title: title.to_owned(),
        author: "Somebody".to_owned(),
        publisher: None,
        price: Money(100),
        description: None,
        genre: None,
        published_year: None,
        is_active: None,
    };
    Draft::new(wanted).unwrap()
}

async fn create(catalog: &Address<Msg>, n: u128, draft: Draft) -> Result<Arc<Book>, WriteError> {
    let draft = Box::new(draft);
    catalog.ask(SECOND * 20, |reply| Msg::Create { id: book_id(n), draft, reply }).await.unwrap()
}

async fn change(catalog: &Address<Msg>, n: u128, change: Change, expected: Expected) -> Result<Arc<Book>, WriteError> {
    let change = Box::new(change);
    catalog.ask(SECOND * 20, |reply| Msg::Change { id: book_id(n), change, expected, reply }).await.unwrap()
}

fn price(cents: i64) -> Change {
    Change::Patch(Box::new(Patch::new(BookPatch { price: Some(Money(cents)), ..BookPatch::default() }).unwrap()))
}

async fn stored(database: &Database, n: u128) -> Option<Book> {
    let keys = [(book_id(n), String::new())];
    db::books::find(database.ready().unwrap(), &keys).await.unwrap().pop()
}

#[tokio::test]
async fn pages_have_every_book_on_sale_once() {
    let (catalog, _system, _database, _folder) = catalog().await;
    let (first, next) = page(&catalog, Query { limit: 2, ..Query::default() }).await;
    let (second, next) = page(&catalog, *next.unwrap()).await;
    let (third, next) = page(&catalog, *next.unwrap()).await;
    assert_eq!((first, second, third, next), (vec![1, 2], vec![3, 4], vec![5], None));
}

#[tokio::test]
async fn a_book_that_is_not_on_sale_is_not_there() {
    let (catalog, _system, _database, _folder) = catalog().await;
    let books = vec![book_id(6), book_id(3), book_id(99), book_id(3)];
    let prices = catalog.ask(SECOND, |reply| Msg::Prices { books, reply }).await.unwrap();
    let prices: Vec<_> = prices.iter().map(|book| book.as_ref().map(|book| book.price.cents())).collect();
    assert_eq!(prices, [None, Some(1_003), None, Some(1_003)]);
    for (n, on_sale, there) in [(3, true, true), (6, false, true), (99, false, false)] {
        let found = catalog.ask(SECOND, |reply| Msg::Get { book: book_id(n), reply }).await.unwrap();
        assert_eq!(found.is_some(), on_sale, "{n}");
        let found = catalog.ask(SECOND, |reply| Msg::Find { book: book_id(n), reply }).await.unwrap();
        assert_eq!(found.is_some(), there, "{n}");
    }
}

#[tokio::test]
async fn what_is_written_is_durable_and_found() {
    let (catalog, _system, database, _folder) = catalog().await;
    let new = create(&catalog, 7, draft(7, "A new one")).await.unwrap();
    let looked_for = Query { limit: 9, ..Query::default() }.containing("new");
    assert_eq!(page(&catalog, looked_for.clone()).await.0, [7]);
    assert_eq!(stored(&database, 7).await.as_ref(), Some(&*new));
    let changed = change(&catalog, 7, price(5), Expected::Versions(vec![1])).await.unwrap();
    assert_eq!((changed.version, changed.price), (2, Money(5)));
    assert_eq!(stored(&database, 7).await.as_ref(), Some(&*changed));
    assert_eq!(change(&catalog, 7, price(5), Expected::Any).await.unwrap(), changed, "nothing to change");
    change(&catalog, 7, Change::Withdraw, Expected::Any).await.unwrap();
    assert_eq!(page(&catalog, looked_for).await.0, [] as [u128; 0]);
    assert!(!stored(&database, 7).await.unwrap().is_active);
    catalog.kill();
    kit::until("it is back", SECOND * 10, async || {
        let ask = catalog.ask(SECOND, |reply| Msg::Find { book: book_id(7), reply }).await;
        ask.ok().flatten().filter(|book| book.version == 3).map(|_| ()).ok_or_else(|| "not yet".to_owned())
    })
    .await;
}

#[tokio::test]
async fn of_writers_that_saw_the_same_version_one_gets_through() {
    let (catalog, _system, database, _folder) = catalog().await;
    let writers = (0..20).map(|n| change(&catalog, 1, price(n), Expected::Versions(vec![1])));
    let results = futures_util::future::join_all(writers).await;
    let written: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(written.len(), 1);
    let refused = WriteError::Refused(Refusal::OtherVersion { current: 2 });
    assert_eq!(results.iter().filter(|result| result.as_ref() == Err(&refused)).count(), 19);
    assert_eq!(stored(&database, 1).await.as_ref(), Some(&**written[0]));
    let creators = (10..20).map(|n| create(&catalog, n, draft(77, "One of ten")));
    let results = futures_util::future::join_all(creators).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

#[tokio::test]
async fn an_import_is_idempotent() {
    let (catalog, _system, database, _folder) = catalog().await;
    let import = async |title: &str| {
        let drafts = vec![draft(100, title), draft(101, "Other"), draft(102, "Third")];
        catalog.ask(SECOND * 20, |reply| Msg::Import { drafts, reply }).await.unwrap().unwrap()
    };
    assert_eq!(import("One").await, Imported { created: 3, ..Imported::default() });
    assert_eq!(import("One").await, Imported { unchanged: 3, ..Imported::default() });
    assert_eq!(import("Two").await, Imported { updated: 1, unchanged: 2, ..Imported::default() });
    assert_eq!(db::books::all(database.ready().unwrap()).await.unwrap().len(), 9);
}

/// Somebody else's commit, as that of an incarnation that was killed.
async fn commit_behind_its_back(database: &Database, book: &Book) {
    let saved = transaction(database.ready().unwrap(), "test", async |txn| {
        db::books::save(txn, std::slice::from_ref(book)).await
    });
    assert_eq!(saved.await.unwrap(), 1);
}

#[tokio::test]
async fn a_late_commit_of_a_predecessor_is_seen_before_anything_is_overwritten() {
    let (catalog, _system, database, _folder) = catalog().await;
    let late = Book { version: 2, title: "Late".to_owned(), ..book(2) };
    commit_behind_its_back(&database, &late).await;
    assert_eq!(change(&catalog, 2, price(1), Expected::Versions(vec![1])).await, Err(WriteError::Busy));
    let refused = change(&catalog, 2, price(1), Expected::Versions(vec![1])).await;
    assert_eq!(refused, Err(WriteError::Refused(Refusal::OtherVersion { current: 2 })));
    let changed = change(&catalog, 2, price(1), Expected::Versions(vec![2])).await.unwrap();
    assert_eq!(*changed, Book { version: 3, price: Money(1), updated_at: changed.updated_at, ..late });

    let isbn = isbn::synthetic(55);
    commit_behind_its_back(&database, &Book { isbn, ..book(8) }).await;
    assert_eq!(create(&catalog, 9, draft(55, "Mine")).await, Err(WriteError::Busy));
    let taken = Refusal::IsbnTaken { by: book_id(8), on_sale: true };
    assert_eq!(create(&catalog, 9, draft(55, "Mine")).await, Err(WriteError::Refused(taken)));
}

#[tokio::test]
async fn a_late_commit_of_a_predecessor_is_seen_in_time_without_a_write() {
    let (catalog, _system, database, _folder) = catalog().await;
    let late = Book { version: 2, title: "Late".to_owned(), updated_at: clock::now(), ..book(2) };
    commit_behind_its_back(&database, &late).await;
    kit::until("it is seen", SECOND * 20, async || {
        let found = page(&catalog, Query { limit: 9, ..Query::default() }.containing("late")).await.0;
        if found == [2] { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}
