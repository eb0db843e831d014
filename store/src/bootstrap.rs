//! What a store has from the beginning: the admin that is configured, and the demo's books and accounts.

use contract::{Money, Role, demo};
use sea_orm::{ConnectionTrait, DbErr};
use service::accounts::{self, Hasher, Seed};
use service::clock;

use crate::config::Store;
use crate::db;
use crate::domain::book::Book;

/// Enters what is missing. The same when done again.
///
/// # Errors
/// Those of the database.
pub async fn ensure(db: &impl ConnectionTrait, hasher: &Hasher, config: &Store) -> Result<(), DbErr> {
    if let Some(email) = &config.admin_email {
        let password = config.admin_password.expose();
        accounts::ensure(db, hasher, &[Seed { email, password, role: Role::StoreAdmin, names: None }]).await?;
    }
    if config.seed_demo {
        db::books::enter_missing(db, &demo::BOOKS.iter().map(demo_book).collect::<Vec<_>>()).await?;
        let demo = demo::store_accounts();
        let seeds: Vec<_> = demo.iter().map(seed).collect();
        accounts::ensure(db, hasher, &seeds).await?;
    }
    Ok(())
}

fn seed(account: &demo::DemoAccount) -> Seed<'_> {
    let names = Some((account.first_name, "Demo"));
    Seed { email: &account.email, password: account.password, role: account.role, names }
}

fn demo_book(book: &demo::DemoBook) -> Book {
    let now = clock::now();
    Book {
        id: book.id(),
        isbn: book.isbn.to_owned(),
        title: book.title.to_owned(),
        author: book.author.to_owned(),
        publisher: Some(book.publisher.to_owned()),
        price: Money(book.price_cents),
        description: None,
        genre: Some(book.genre.to_owned()),
        published_year: Some(book.year),
        is_active: true,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}
