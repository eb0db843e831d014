//! The slow work of the accounts' actor: hashing, and the database. Run as effects.

use std::sync::Arc;

use contract::UserId;
use contract::demo::DemoAccount;
use sea_orm::DbErr;

use super::users::{self, FIRST_VERSION, Names};
use super::{Account, Hasher, NewAccount, PasswordError, RegisterError, VerifyError};
use crate::config::Secret;
use crate::database::{self, Database};

/// What that works on.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) database: Database,
    pub(super) hasher: Hasher,
    /// Whose passwords everybody knows, which therefore let nobody in.
    pub(super) refused: Arc<[DemoAccount]>,
}

pub(super) type Verdict = Result<Account, VerifyError>;

/// Checks a password. An address that is none costs as much as one without an account.
pub(super) async fn verify(means: Means, email: Option<String>, password: Secret) -> Verdict {
    let Means { database, hasher, refused } = means;
    let permit = hasher.permit().await;
    let is_known = |known: &DemoAccount| email.as_ref() == Some(&known.email) && password.expose() == known.password;
    let user = match &email {
        Some(email) if refused.iter().any(is_known) => {
            tracing::warn!(email, "an account of the demo is refused: everybody knows its password");
            None
        }
        Some(email) => find(&database, &hasher, email).await?,
        None => None,
    };
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = hasher.verify(permit, password.expose().to_owned(), hash).await;
    let user = user.filter(|_| right).ok_or(VerifyError::Wrong)?;
    if !hasher.is_current(&user.password_hash) {
        rehash(&database, &hasher, &user.account, password).await;
    }
    Ok(user.account)
}

async fn find(database: &Database, hasher: &Hasher, email: &str) -> Result<Option<users::User>, VerifyError> {
    let unread = |error: DbErr| {
        tracing::warn!(%error, "an account could not be read");
        VerifyError::Unavailable
    };
    let connection = database.ready().map_err(|_| VerifyError::Unavailable)?;
    if hasher.stored_cost().is_none() {
        hasher.set_stored_cost(users::highest_cost(connection).await.map_err(unread)?.unwrap_or_default());
    }
    users::find(connection, email).await.map_err(unread)
}

/// Brings a hash to the cost that is configured now. Where that fails, the next check tries again.
async fn rehash(database: &Database, hasher: &Hasher, account: &Account, password: Secret) {
    let Ok(connection) = database.ready() else { return };
    let Ok(hash) = hasher.hash(hasher.permit().await, password.expose().to_owned()).await else { return };
    if let Err(error) = users::rehash(connection, account, hash).await {
        tracing::warn!(%error, "a password keeps a hash of another cost");
    }
}

pub(super) async fn register(means: Means, new: NewAccount) -> Result<Account, RegisterError> {
    let Means { database, hasher, .. } = means;
    let permit = hasher.permit().await;
    let connection = database.ready().map_err(|_| RegisterError::Unavailable)?;
    if users::find(connection, &new.email).await.map_err(unwritten)?.is_some() {
        return Err(RegisterError::Taken);
    }
    let hash = hasher.hash(permit, new.password.expose().to_owned()).await.map_err(RegisterError::Failed)?;
    let account = Account { id: UserId::new(), email: new.email, role: new.role, password_version: FIRST_VERSION };
    let names = Names { first: new.first_name.as_deref(), last: new.last_name.as_deref() };
    match users::insert(connection, &account, hash, names).await {
        Ok(true) => Ok(account),
        Ok(false) => Err(RegisterError::Taken),
        // A write whose answer was lost may have happened.
        Err(error) if database::is_unavailable(&error) => Err(RegisterError::Unknown),
        Err(error) => Err(RegisterError::Failed(error.to_string())),
    }
}

fn unwritten(error: DbErr) -> RegisterError {
    if database::is_unavailable(&error) { RegisterError::Unavailable } else { RegisterError::Failed(error.to_string()) }
}

/// Writes a new password and answers its version.
pub(super) async fn change_password(means: Means, account: Account, password: Secret) -> Result<i32, PasswordError> {
    let Means { database, hasher, .. } = means;
    let permit = hasher.permit().await;
    let connection = database.ready().map_err(|_| PasswordError::Unavailable)?;
    let hash = hasher.hash(permit, password.expose().to_owned()).await.map_err(PasswordError::Failed)?;
    match users::set_password(connection, &account, hash).await {
        Ok(true) => Ok(account.password_version + 1),
        Ok(false) => Err(PasswordError::Outdated),
        Err(error) if database::is_unavailable(&error) => Err(PasswordError::Unknown),
        Err(error) => Err(PasswordError::Failed(error.to_string())),
    }
}
