//! Titles and authors of what is in stock, as the store has them. They are no stock: no version, no time and no movement goes with them.

use contract::BookId;
use sea_orm::{
    Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Set, Statement,
};
use uuid::Uuid;

use super::entities::inventory::{ActiveModel, COLUMN, Column, Entity};
use super::inventory;

/// A book's title and author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Titled {
    /// The book.
    pub book_id: BookId,
    /// Its title.
    pub title: String,
    /// Its author.
    pub author: String,
}

/// The next books by id, all or only those that lack a title or an author.
///
/// # Errors
/// Those of the database.
pub async fn next(
    db: &impl ConnectionTrait,
    after: Option<BookId>,
    only_lacking: bool,
    limit: u64,
) -> Result<Vec<BookId>, DbErr> {
    let lacking = Condition::any().add(COLUMN.title.is_null()).add(COLUMN.author.is_null());
    let wanted = Condition::all()
        .add_option(after.map(|after| COLUMN.book_id.gt(after.uuid())))
        .add_option(only_lacking.then_some(lacking));
    let ids = Entity::find().select_only().column(Column::BookId).filter(wanted).order_by_asc(Column::BookId);
    let ids: Vec<Uuid> = ids.limit(limit).into_tuple().all(db).await?;
    Ok(ids.into_iter().map(BookId).collect())
}

/// Writes those that are different from what is there. How many were.
///
/// # Errors
/// Those of the database.
pub async fn write(txn: &DatabaseTransaction, titles: &[Titled]) -> Result<usize, DbErr> {
    // Locked in the order that batches of stock lock in, so that neither waits for the other for ever.
    let rows = inventory::lock(txn, titles.iter().map(|titled| titled.book_id)).await?;
    let differs = |titled: &&Titled| {
        rows.get(&titled.book_id)
            .is_some_and(|row| row.title.as_ref() != Some(&titled.title) || row.author.as_ref() != Some(&titled.author))
    };
    let different: Vec<&Titled> = titles.iter().filter(differs).collect();
    if different.is_empty() {
        return Ok(0);
    }
    match txn.get_database_backend() {
        DbBackend::Postgres => write_at_once(txn, &different).await?,
        _ => write_in_turn(txn, &different).await?,
    }
    Ok(different.len())
}

async fn write_at_once(txn: &DatabaseTransaction, titles: &[&Titled]) -> Result<(), DbErr> {
    const SQL: &str = "UPDATE inventory SET title = t.title, author = t.author
        FROM UNNEST($1::uuid[], $2::text[], $3::text[]) AS t(book_id, title, author)
        WHERE inventory.book_id = t.book_id";
    let ids: Vec<Uuid> = titles.iter().map(|titled| titled.book_id.uuid()).collect();
    let of = |part: fn(&Titled) -> &String| titles.iter().map(|titled| part(titled).clone()).collect::<Vec<String>>();
    let values = [ids.into(), of(|titled| &titled.title).into(), of(|titled| &titled.author).into()];
    txn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, SQL, values)).await?;
    Ok(())
}

async fn write_in_turn(txn: &DatabaseTransaction, titles: &[&Titled]) -> Result<(), DbErr> {
    for titled in titles {
        let row = ActiveModel {
            book_id: Set(titled.book_id.uuid()),
            title: Set(Some(titled.title.clone())),
            author: Set(Some(titled.author.clone())),
            ..Default::default()
        };
        Entity::update(row).exec(txn).await?;
    }
    Ok(())
}
