//! `GET /audit`, the same in every service.

use contract::AuditEntry;
use contract::time::{self, Timestamp};
use http::header;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::entries::{self, Filter};
use crate::problem::Problem;
use crate::queries::Reader;
use crate::routes::{Access, HasAuth, Request, Response, Route};

/// What this needs of a service.
pub trait HasAudit: HasAuth {
    /// Who reads the database.
    fn reader(&self) -> &Reader;
}

/// Which entries to list.
#[derive(Deserialize, IntoParams)]
struct Query {
    /// Not before this time.
    #[serde(with = "time::option", default)]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before this time.
    #[serde(with = "time::option", default)]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Only what this account asked for.
    email: Option<String>,
}

/// `GET /audit`: newest first, in pages.
pub fn audit_route<A: HasAudit>(access: Access) -> Route<A> {
    Route::get("/audit", access, list)
        .summary("List what admins and staff changed, newest first")
        .query::<Query>()
        .paged()
        .answers_list::<AuditEntry>(200, "Entries, two a change: when it was requested and when it was answered")
}

async fn list<A: HasAudit>(request: Request<A>) -> Result<Response, Problem> {
    let (query, page) = (request.query::<Query>()?, request.page::<Uuid>()?);
    let email = query.email.map(|email| email.trim().to_lowercase());
    let filter = Filter { from: query.from, to: query.to, email, before: page.after, limit: page.limit };
    let read = move |db: sea_orm::DatabaseConnection| async move { entries::list(&db, filter).await };
    let entries = request.app.reader().read("audit", read).await?;
    let response = Response::ok(&entries);
    let is_full = u64::try_from(entries.len()).is_ok_and(|count| count == page.limit);
    Ok(match entries.last().filter(|_| is_full) {
        Some(last) => response.header(header::LINK, &request.next_page(last.id)),
        None => response,
    })
}
