//! Entering, changing and withdrawing books. Written by the catalog actor alone.

use std::sync::Arc;
use std::time::Duration;

use ::actors::Reply;
use ::http::{StatusCode, header};
use contract::problem as kind;
use contract::{BookId, BookPatch, NewBook};
use service::problem::Problem;
use service::routes::{Request, Response};

use super::{show, shown};
use crate::actors::catalog::{Msg, WriteError};
use crate::app::App;
use crate::domain::book::{Book, Change, Draft, Patch};
use crate::domain::catalogue::{Expected, Refusal};

/// Longer than one write takes and the one before it, and the looking up of what became of it.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(20);

/// `POST /books`.
pub(in crate::http) async fn create(request: Request<App>) -> Result<Response, Problem> {
    let draft = Box::new(Draft::new(request.json::<NewBook>()?).map_err(Problem::invalid)?);
    let id = BookId::new();
    let book = write(&request.app, |reply| Msg::Create { id, draft, reply }).await?;
    let response = show(&request.app, &book, StatusCode::CREATED).await?;
    Ok(response.header(header::LOCATION, &format!("books/{id}")))
}

/// `PUT /books/:id`.
pub(in crate::http) async fn replace(request: Request<App>) -> Result<Response, Problem> {
    let id = request.param("id")?;
    let draft = Draft::new(request.json::<NewBook>()?).map_err(Problem::invalid)?;
    let book = change(&request, id, Change::Replace(draft)).await?;
    show(&request.app, &book, StatusCode::OK).await
}

/// `PATCH /books/:id`.
pub(in crate::http) async fn patch(request: Request<App>) -> Result<Response, Problem> {
    let id = request.param("id")?;
    let patch = Patch::new(request.json::<BookPatch>()?).map_err(Problem::invalid)?;
    let book = change(&request, id, Change::Patch(Box::new(patch))).await?;
    show(&request.app, &book, StatusCode::OK).await
}

/// `DELETE /books/:id`: it is no more on sale, and orders keep it.
pub(in crate::http) async fn withdraw(request: Request<App>) -> Result<Response, Problem> {
    let id = request.param("id")?;
    let book = change(&request, id, Change::Withdraw).await?;
    let (_, tag) = shown(&request.app, &book).await?;
    Ok(Response::no_content().header(header::ETAG, &tag))
}

async fn change(request: &Request<App>, id: BookId, change: Change) -> Result<Arc<Book>, Problem> {
    let expected = match request.if_match() {
        None => Expected::Any,
        // Of the tag only the version counts: the rest is what was in stock. A tag that is none of ours fits no version.
        Some(tags) => Expected::Versions(tags.iter().filter_map(|tag| tag.split('-').next()?.parse().ok()).collect()),
    };
    let change = Box::new(change);
    write(&request.app, |reply| Msg::Change { id, change, expected, reply }).await
}

async fn write(
    app: &App,
    question: impl FnOnce(Reply<Result<Arc<Book>, WriteError>>) -> Msg,
) -> Result<Arc<Book>, Problem> {
    app.addresses.catalog.ask(WRITE_LIMIT, question).await?.map_err(explain)
}

pub(super) fn explain(error: WriteError) -> Problem {
    match error {
        WriteError::Refused(Refusal::Unknown) => Problem::not_found("There is no such book."),
        WriteError::Refused(Refusal::IsbnTaken { by, on_sale }) => {
            let detail = if on_sale {
                "There is a book with this ISBN."
            } else {
                "There is a book with this ISBN, which is not on sale: change that one."
            };
            Problem::conflict(kind::ISBN_TAKEN, "ISBN taken", detail).with("bookId", by)
        }
        WriteError::Refused(Refusal::OtherVersion { current }) => {
            let detail = format!("The book has been changed meanwhile: it is at version {current}.");
            Problem::precondition_failed(detail)
        }
        WriteError::Busy => Problem::unavailable("Books cannot be written just now; nothing was."),
        WriteError::Failed(reason) => Problem::internal(reason),
    }
}
