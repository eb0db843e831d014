use std::time::Duration;

use ::actors::{Address, ChildSpec, System};
use tempfile::TempDir;

use super::*;
use crate::actors::testing::system;
use crate::db::testing::{self as shop, book, book_id};

const SECOND: Duration = Duration::from_secs(1);

/// Books 1 to 5 are on sale, 6 is not.
async fn catalog() -> (Address<Msg>, System, TempDir) {
    let (database, folder) = shop::sqlite().await;
    shop::enter_books(&database, 5).await;
    let gone = Book { is_active: false, ..book(6) };
    db::books::enter_missing(database.ready().unwrap(), &[gone]).await.unwrap();
    let address = Address::new(100);
    let spec = ChildSpec::actor("catalog", &address, Catalog, Args { database });
    (address, system(vec![spec]).await, folder)
}

async fn page(catalog: &Address<Msg>, after: Option<u128>, limit: usize) -> (Vec<u128>, Option<u128>) {
    let after = after.map(book_id);
    let page = catalog.ask(SECOND, |reply| Msg::List { after, limit, reply }).await.unwrap();
    let number = |book: BookId| book.uuid().as_u128();
    (page.books.iter().map(|book| number(book.id)).collect(), page.next.map(number))
}

#[tokio::test]
async fn pages_have_every_book_on_sale_once() {
    let (catalog, _system, _folder) = catalog().await;
    assert_eq!(page(&catalog, None, 2).await, (vec![1, 2], Some(2)));
    assert_eq!(page(&catalog, Some(2), 2).await, (vec![3, 4], Some(4)));
    assert_eq!(page(&catalog, Some(4), 2).await, (vec![5], None));
    assert_eq!(page(&catalog, None, 5).await, (vec![1, 2, 3, 4, 5], None));
    assert_eq!(page(&catalog, Some(99), 5).await, (vec![], None));
}

#[tokio::test]
async fn a_book_that_is_not_on_sale_is_not_there() {
    let (catalog, _system, _folder) = catalog().await;
    let books = vec![book_id(6), book_id(3), book_id(99), book_id(3)];
    let prices = catalog.ask(SECOND, |reply| Msg::Prices { books, reply }).await.unwrap();
    let prices: Vec<_> = prices.iter().map(|book| book.as_ref().map(|book| book.price.cents())).collect();
    assert_eq!(prices, [None, Some(1_003), None, Some(1_003)]);
    for (n, there) in [(3, true), (6, false), (99, false)] {
        let found = catalog.ask(SECOND, |reply| Msg::Get { book: book_id(n), reply }).await.unwrap();
        assert_eq!(found.is_some(), there, "{n}");
    }
}

#[tokio::test]
async fn a_restart_reads_them_again() {
    let (catalog, _system, _folder) = catalog().await;
    catalog.kill();
    kit::until("it is back", SECOND * 10, async || {
        let ask = catalog.ask(SECOND, |reply| Msg::Get { book: book_id(1), reply }).await;
        if ask.is_ok_and(|book| book.is_some()) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
}
