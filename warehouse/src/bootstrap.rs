//! What a warehouse starts with: its first staff, and in the demo some books. Done at every start; what is there stays.

use contract::{BookId, Role, demo};
use sea_orm::{DatabaseConnection, DbErr};
use service::accounts::{self, Hasher, Seed};
use service::{clock, database};

use crate::config::Warehouse;
use crate::db;
use crate::domain::adjustment::{Adjustment, Change};
use crate::domain::batch::{self, Member};

/// Who entered the demo's books, in the ledger.
const DEMO: &str = "demo";

/// Makes the accounts and books that are configured and not there yet.
///
/// # Errors
/// Those of the database.
pub(crate) async fn bootstrap(connection: DatabaseConnection, hasher: Hasher, config: Warehouse) -> Result<(), DbErr> {
    let demo_staff = demo::warehouse_staff(&config.warehouse_name);
    let configured = config.staff().map(|(email, password)| (email, password, None));
    let demo =
        config.seed_demo.then_some((demo_staff.email.as_str(), demo_staff.password, Some(demo_staff.first_name)));
    for (email, password, first_name) in configured.into_iter().chain(demo) {
        let names = first_name.map(|first_name| (first_name, config.warehouse_name.as_str()));
        let seed = Seed { email, password, role: Role::WarehouseStaff, names };
        accounts::ensure(&connection, &hasher, &[seed]).await?;
    }
    if config.seed_demo { stock_books(&connection, &config.warehouse_name).await } else { Ok(()) }
}

async fn stock_books(connection: &DatabaseConnection, warehouse_name: &str) -> Result<(), DbErr> {
    let books: Vec<BookId> = demo::BOOKS.iter().map(demo::DemoBook::id).collect();
    let present = db::inventory::present(connection, &books).await?;
    let missing: Vec<Member> = demo::BOOKS
        .iter()
        .filter(|book| !present.contains(&book.id()))
        .map(|book| {
            let change = Change::Enter {
                isbn: book.isbn.to_owned(),
                title: Some(book.title.to_owned()),
                author: Some(book.author.to_owned()),
                quantity: i64::from(demo::stock(warehouse_name, book.isbn)),
            };
            Member::Adjust(Adjustment { book_id: book.id(), change, made_by: DEMO.to_owned(), reason: None })
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let entered = database::transaction(connection, "bootstrap", async |txn| {
        let now = clock::now();
        let ground = db::ground(txn, warehouse_name, &missing, now).await?;
        let version = ground.version;
        db::write(txn, &batch::decide(ground, &missing), version, now).await
    });
    entered.await?;
    tracing::info!(books = missing.len(), "entered the demo's books");
    Ok(())
}
