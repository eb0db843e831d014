//! The table `users`, the same in every service.

use contract::{Role, UserId};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{ActiveValue::Set, QuerySelect as _, TryInsertResult};

use super::Account;
use super::passwords::Hasher;
use crate::clock;

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub email: String,
        pub password_hash: String,
        pub password_version: i32,
        pub role: String,
        pub first_name: Option<String>,
        pub last_name: Option<String>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The version of an account's first password.
pub(super) const FIRST_VERSION: i32 = 1;

/// An account with the hash of its password.
pub(super) struct User {
    pub(super) account: Account,
    pub(super) password_hash: String,
}

/// The account of an address in lower case.
pub(super) async fn find(db: &impl ConnectionTrait, email: &str) -> Result<Option<User>, DbErr> {
    let Some(row) = entity::Entity::find().filter(entity::Column::Email.eq(email)).one(db).await? else {
        return Ok(None);
    };
    let role = row.role.parse::<Role>().map_err(|error| DbErr::Type(format!("users.role: {error}")))?;
    let account = Account { id: UserId(row.id), email: row.email, role, password_version: row.password_version };
    Ok(Some(User { account, password_hash: row.password_hash }))
}

/// The highest bcrypt cost among all hashes; none where there are no accounts. `$2b$12$…`: the cost has a place of its own.
pub(super) async fn highest_cost(db: &impl ConnectionTrait) -> Result<Option<u32>, DbErr> {
    let cost = Func::cust("substr").arg(entity::Column::PasswordHash.into_expr()).arg(5).arg(2);
    let highest = entity::Entity::find().select_only().expr(Func::max(Expr::expr(cost)));
    let text: Option<Option<String>> = highest.into_tuple().one(db).await?;
    Ok(text.flatten().and_then(|text| text.parse().ok()))
}

/// Sets a new password and raises its version. False, and nothing written, when it was changed meanwhile.
pub(super) async fn set_password(db: &impl ConnectionTrait, account: &Account, hash: String) -> Result<bool, DbErr> {
    write_hash(db, account, hash, account.password_version + 1).await
}

/// Puts another hash of the same password in its place, unless it was changed meanwhile.
pub(super) async fn rehash(db: &impl ConnectionTrait, account: &Account, hash: String) -> Result<bool, DbErr> {
    write_hash(db, account, hash, account.password_version).await
}

async fn write_hash(db: &impl ConnectionTrait, account: &Account, hash: String, version: i32) -> Result<bool, DbErr> {
    let update = entity::Entity::update_many()
        .col_expr(entity::Column::PasswordHash, Expr::value(hash))
        .col_expr(entity::Column::PasswordVersion, Expr::value(version))
        .col_expr(entity::Column::UpdatedAt, Expr::value(clock::now()))
        .filter(entity::Column::Id.eq(account.id.uuid()))
        .filter(entity::Column::PasswordVersion.eq(account.password_version));
    Ok(update.exec(db).await?.rows_affected == 1)
}

/// Names are kept with it.
pub(super) struct Names<'a> {
    pub(super) first: Option<&'a str>,
    pub(super) last: Option<&'a str>,
}

/// Writes an account. `false`, and nothing written, when its address has one.
pub(super) async fn insert(
    db: &impl ConnectionTrait,
    account: &Account,
    password_hash: String,
    names: Names<'_>,
) -> Result<bool, DbErr> {
    let now = clock::now();
    let row = entity::ActiveModel {
        id: Set(account.id.uuid()),
        email: Set(account.email.clone()),
        password_hash: Set(password_hash),
        password_version: Set(account.password_version),
        role: Set(account.role.as_str().to_owned()),
        first_name: Set(names.first.map(str::to_owned)),
        last_name: Set(names.last.map(str::to_owned)),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let insert = entity::Entity::insert_many([row]).on_conflict_do_nothing_on([entity::Column::Email]);
    match insert.exec_without_returning(db).await? {
        TryInsertResult::Inserted(rows) => Ok(rows > 0),
        TryInsertResult::Conflicted | TryInsertResult::Empty => Ok(false),
    }
}

/// An account that a service starts with.
#[derive(Clone, Copy, Debug)]
pub struct Seed<'a> {
    /// Its address.
    pub email: &'a str,
    /// Its password, of any length up to 71 bytes.
    pub password: &'a str,
    /// What it may do.
    pub role: Role,
    /// Given and family name.
    pub names: Option<(&'a str, &'a str)>,
}

/// Makes the accounts that are not there yet; those that are keep their passwords.
///
/// # Errors
/// When the database fails, or a password is too long for bcrypt.
pub async fn ensure(db: &impl ConnectionTrait, hasher: &Hasher, seeds: &[Seed<'_>]) -> Result<(), DbErr> {
    for seed in seeds {
        let email = seed.email.to_lowercase();
        if find(db, &email).await?.is_some() {
            continue;
        }
        let hash = hasher.hash(hasher.permit().await, seed.password.to_owned()).await.map_err(DbErr::Custom)?;
        let account = Account { id: UserId::new(), email, role: seed.role, password_version: FIRST_VERSION };
        let names = Names { first: seed.names.map(|names| names.0), last: seed.names.map(|names| names.1) };
        insert(db, &account, hash, names).await?;
    }
    Ok(())
}
