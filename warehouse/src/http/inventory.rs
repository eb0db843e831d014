//! What there is, and changing it by hand.

use ::actors::Reply;
use bytes::Bytes;
use contract::time::{self, Timestamp};
use contract::{AdjustStock, BookId, INVENTORY_VERSION_HEADER, InventoryItem, MAX_STOCK, MovementKind, SetStock, isbn};
use futures_util::stream;
use http::header::{ETAG, HeaderName, LINK};
use serde::Deserialize;
use service::problem::{Problem, Validation};
use service::routes::{Caller, Request, Response};
use utoipa::IntoParams;

use super::asking::{TEXT, ask_stock, is_text, out_of_bounds};
use crate::actors::queries::{Head, MovementFilter, MovementPlace, Range};
use crate::actors::stock;
use crate::app::App;
use crate::domain::adjustment::{Adjustment, Change, Refusal};
use crate::domain::batch::Answer;

const INVENTORY_VERSION: HeaderName = HeaderName::from_static(INVENTORY_VERSION_HEADER);
/// The size at which a piece of a long answer is sent.
const PIECE: usize = 64 * 1024;

#[derive(Deserialize, IntoParams)]
pub(super) struct ListQuery {
    /// Only what changed after this version of the inventory.
    #[param(minimum = 0)]
    since: Option<i64>,
    /// Only books with fewer copies free than this.
    #[param(minimum = 0)]
    below: Option<i64>,
}

/// `GET /inventory`: a page for people, the whole for the store.
pub(super) async fn list(request: Request<App>) -> Result<Response, Problem> {
    let ListQuery { since, below } = request.query()?;
    let mut wrong = Validation::new();
    for (field, value) in [("since", since), ("below", below)] {
        wrong.check(value.is_none_or(|value| value >= 0), field, "must not be negative");
    }
    wrong.finish()?;
    let range = Range { since, below, ..Range::default() };
    match request.caller {
        Caller::Service => whole(&request, range).await,
        Caller::Account(_) | Caller::Anonymous => page(&request, range).await,
    }
}

async fn page(request: &Request<App>, range: Range) -> Result<Response, Problem> {
    let page = request.page::<BookId>()?;
    // One more than asked for tells whether there is a next page.
    let range = Range { after: page.after, limit: Some(page.limit + 1), ..range };
    let (head, mut items) = request.app.queries.inventory(range, Vec::new(), Vec::push).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = items.len() > limit;
    items.truncate(limit);
    // Without a tag of our own: titles change without the version, and the hash of the page sees that.
    let response = Response::ok(&items).header(INVENTORY_VERSION, &head.version.to_string());
    Ok(match items.last() {
        Some(last) if has_more => response.header(LINK, &request.next_page(last.book_id)),
        _ => response,
    })
}

/// Read to the end before the first piece is sent: a slow reader then holds memory of ours, but no connection of the
/// database, and a read that fails can still be told.
async fn whole(request: &Request<App>, range: Range) -> Result<Response, Problem> {
    let (head, pieces) = request.app.queries.inventory(range, Pieces::new(), Pieces::push).await?;
    let pieces = pieces.finish().map_err(Problem::internal)?;
    let tag = tag(head, &pieces);
    let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
    let response = Response::stream(stream::iter(pieces));
    Ok(response.header(INVENTORY_VERSION, &head.version.to_string()).header(ETAG, &tag))
}

/// A JSON array in pieces.
struct Pieces {
    done: Vec<Bytes>,
    open: Vec<u8>,
    failed: Option<serde_json::Error>,
}

impl Pieces {
    fn new() -> Self {
        Self { done: Vec::new(), open: vec![b'['], failed: None }
    }

    fn push(&mut self, item: InventoryItem) {
        if self.open != b"[" {
            self.open.push(b',');
        }
        if let Err(error) = serde_json::to_writer(&mut self.open, &item) {
            self.failed = Some(error);
        }
        if self.open.len() >= PIECE {
            self.done.push(std::mem::take(&mut self.open).into());
        }
    }

    fn finish(mut self) -> serde_json::Result<Vec<Bytes>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.open.push(b']');
        self.done.push(self.open.into());
        Ok(self.done)
    }
}

/// What the rows are, titles too, which change without the version.
fn tag(head: Head, pieces: &[Bytes]) -> String {
    let mut hasher = blake3::Hasher::new();
    for piece in pieces {
        hasher.update(piece);
    }
    format!("\"{}-{}-{}\"", head.database_id.simple(), head.version, &hasher.finalize().to_hex()[..16])
}

/// `GET /inventory/:bookId`.
pub(super) async fn one(request: Request<App>) -> Result<Response, Problem> {
    let book: BookId = request.param("bookId")?;
    match request.app.queries.book(book).await? {
        Some(item) => Ok(Response::ok(&item)),
        None => Err(unknown_book()),
    }
}

#[derive(Deserialize, IntoParams)]
pub(super) struct LedgerQuery {
    /// Made at or after this time.
    #[serde(with = "time::option", default)]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Made before this time.
    #[serde(with = "time::option", default)]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Only movements of this kind.
    kind: Option<MovementKind>,
}

/// `GET /inventory/:bookId/movements`: the book's ledger, newest first.
pub(super) async fn movements(request: Request<App>) -> Result<Response, Problem> {
    let book: BookId = request.param("bookId")?;
    let LedgerQuery { from, to, kind } = request.query()?;
    let page = request.page::<MovementPlace>()?;
    let filter = MovementFilter { from, to, kind };
    // One more than asked for tells whether there is a next page.
    let found = request.app.queries.movements(book, filter, page.after, page.limit + 1).await?;
    let mut entries = found.ok_or_else(unknown_book)?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let response = Response::ok(&entries);
    Ok(match entries.last() {
        Some(last) if has_more => {
            response.header(LINK, &request.next_page(MovementPlace { version: last.version, id: last.id }))
        }
        _ => response,
    })
}

/// `POST /inventory`: sets the stock of a book, and enters it where it is new.
pub(super) async fn enter(request: Request<App>) -> Result<Response, Problem> {
    let made_by = request.account()?.email.clone();
    let body: SetStock = request.json()?;
    let isbn = isbn::normalize(&body.isbn);
    let mut validation = Validation::new();
    validation.check(isbn.is_some(), "isbn", "is no ISBN-10 or ISBN-13").check(
        i64::from(body.quantity) <= MAX_STOCK,
        "quantity",
        format!("must be at most {MAX_STOCK}"),
    );
    for (field, text) in [("title", &body.title), ("author", &body.author)] {
        let fits = text.as_ref().is_none_or(|text| is_text(text));
        validation.check(fits, field, format!("must have 1 to {TEXT} characters"));
    }
    validation.finish()?;
    let change = Change::Enter {
        isbn: isbn.unwrap_or_default(),
        title: body.title,
        author: body.author,
        quantity: i64::from(body.quantity),
    };
    let adjustment = Adjustment { book_id: body.book_id, change, made_by, reason: None };
    let item = make(&request.app, adjustment).await?;
    Ok(Response::created(&item, Some(&format!("inventory/{}", body.book_id))))
}

/// `PATCH /inventory/:bookId`: a new total, or a difference.
pub(super) async fn adjust(request: Request<App>) -> Result<Response, Problem> {
    let book_id: BookId = request.param("bookId")?;
    let made_by = request.account()?.email.clone();
    let body: AdjustStock = request.json()?;
    let change = change(&body)?;
    let item = make(&request.app, Adjustment { book_id, change, made_by, reason: body.reason }).await?;
    Ok(Response::ok(&item))
}

fn change(body: &AdjustStock) -> Result<Change, Problem> {
    let mut validation = Validation::new();
    let reason_fits = body.reason.as_ref().is_none_or(|reason| is_text(reason));
    validation.check(reason_fits, "reason", format!("must have 1 to {TEXT} characters"));
    let quantity = body.quantity.map(i64::from);
    let fits = quantity.is_none_or(|quantity| quantity <= MAX_STOCK);
    validation.check(fits, "quantity", format!("must be at most {MAX_STOCK}")).finish()?;
    match (quantity, body.delta) {
        (Some(quantity), None) => Ok(Change::Total(quantity)),
        (None, Some(0)) => Err(Problem::invalid_field("delta", "must not be 0")),
        (None, Some(delta)) => Ok(Change::Delta(i64::from(delta))),
        (None, None) => Err(Problem::invalid_field("quantity", "is required, or delta")),
        (Some(_), Some(_)) => Err(Problem::invalid_field("delta", "must not stand beside quantity")),
    }
}

async fn make(app: &App, adjustment: Adjustment) -> Result<InventoryItem, Problem> {
    let book_id = adjustment.book_id;
    let message = |reply: Reply<stock::Told>| stock::Msg::Adjust { adjustment, reply };
    match ask_stock(app, message).await?.answer {
        Answer::Adjusted(row) => Ok(row.into()),
        Answer::Refused(Refusal::UnknownBook) => Err(unknown_book()),
        Answer::Refused(Refusal::OutOfBounds { would_be, reserved }) => {
            Err(out_of_bounds(would_be, reserved).with("bookId", book_id))
        }
        other => Err(Problem::internal(format!("an adjustment was answered with {other:?}"))),
    }
}

fn unknown_book() -> Problem {
    Problem::not_found("This warehouse has no such book.")
}
