//! The audit log: every change that an admin or staff account asked for, in a table that only grows.
//!
//! A change is noted twice. `requested` is durable before the handler runs, so that no change is without a trace, whatever
//! crashes; where it cannot be written, the change is refused. `answered` has the status, and follows.

mod actor;
mod body;
mod entries;
mod route;

use std::time::Duration;

use actors::{Address, ChildSpec};
use contract::{AuditEntry, AuditPhase, Role};
use http::{Method, StatusCode};
use uuid::Uuid;

use crate::clock;
use crate::database::Database;
use crate::problem::Problem;
use crate::routes::{Caller, Request};

pub use entries::Entry;
pub use route::{HasAudit, audit_route};

/// How long a change waits for its entry.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// Longer paths are cut.
const MAX_PATH_BYTES: usize = 2_048;

/// Where changes are noted.
#[derive(Clone)]
pub struct Audit(Address<actor::Msg>);

impl Audit {
    /// A log whose actor is yet to be started, see [`Audit::child`].
    pub fn new(mailbox_bound: usize) -> Self {
        Self(Address::new(mailbox_bound))
    }

    /// The actor behind it, as the child `audit`.
    pub fn child(&self, database: &Database) -> ChildSpec {
        ChildSpec::actor("audit", &self.0, actor::Recorder, actor::Args { database: database.clone() })
    }

    /// Writes an entry; it is durable when this returns.
    ///
    /// # Errors
    /// 503: it may not be.
    pub async fn write(&self, entry: Entry) -> Result<(), Problem> {
        let entry = Box::new(entry);
        match self.0.ask(WRITE_WITHIN, |reply| actor::Msg::Write { entry, reply }).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(refused(&error)),
            Err(error) => Err(refused(&error)),
        }
    }
}

fn refused(error: &dyn std::error::Error) -> Problem {
    tracing::warn!(%error, "the audit log cannot be written");
    Problem::unavailable("Changes cannot be noted in the audit log just now; nothing was done.")
}

/// Whether what this caller asks for with this method is noted.
fn is_noted(caller: &Caller, method: &Method) -> bool {
    let is_change = !method.is_safe();
    matches!(caller, Caller::Account(account) if is_change && account.role != Role::Customer)
}

/// A change being made.
pub(crate) struct Noted {
    audit: Audit,
    requested: Entry,
}

/// Notes that a change was asked for; nothing where it is none, or nobody's who is watched.
///
/// # Errors
/// 503 when it cannot be noted: it must not be made.
pub(crate) async fn requested<A>(
    audit: Option<&Audit>,
    route: &str,
    path: &str,
    request: &Request<A>,
) -> Result<Option<Noted>, Problem> {
    let (Some(audit), Caller::Account(account)) = (audit, &request.caller) else { return Ok(None) };
    if !is_noted(&request.caller, &request.method) {
        return Ok(None);
    }
    let whole = request.whole_body();
    let requested = Entry(AuditEntry {
        id: Uuid::now_v7(),
        request_id: request.trace.request_id().to_owned(),
        at: clock::now(),
        phase: AuditPhase::Requested,
        account_id: account.id,
        email: account.email.clone(),
        role: account.role,
        client: request.client.to_string(),
        method: request.method.to_string(),
        route: route.to_owned(),
        path: body::cut(path, MAX_PATH_BYTES),
        body: if route.starts_with("/auth/") { body::of_account(whole) } else { body::redacted(whole) },
        status: None,
    });
    audit.write(requested.clone()).await?;
    Ok(Some(Noted { audit: audit.clone(), requested }))
}

impl Noted {
    /// Notes how it was answered. Where that fails, the change has happened all the same, and its request is noted.
    pub(crate) async fn answered(self, status: StatusCode) {
        let requested = self.requested.0;
        let entry = Entry(AuditEntry {
            id: Uuid::now_v7(),
            at: clock::now(),
            phase: AuditPhase::Answered,
            body: None,
            status: Some(status.as_u16()),
            ..requested
        });
        // A warning has been logged where it could not be written.
        let _ = self.audit.write(entry).await;
    }
}

#[cfg(test)]
mod tests {
    use contract::UserId;

    use super::*;
    use crate::accounts::Account;

    #[test]
    fn changes_of_admins_and_staff_are_noted_and_nothing_else() {
        let account =
            |role| Caller::Account(Account { id: UserId::new(), email: "a@b.c".to_owned(), role, password_version: 1 });
        for (caller, noted) in [
            (Caller::Anonymous, false),
            (Caller::Service, false),
            (account(Role::Customer), false),
            (account(Role::StoreAdmin), true),
            (account(Role::WarehouseStaff), true),
        ] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                assert_eq!(is_noted(&caller, &method), noted, "{method} {caller:?}");
            }
            assert!(!is_noted(&caller, &Method::GET) && !is_noted(&caller, &Method::HEAD));
        }
    }
}
