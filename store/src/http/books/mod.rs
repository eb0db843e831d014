//! The catalogue with what is in stock. Answered from memory: a page costs two messages and no SQL.

mod import;
mod write;

use std::sync::Arc;

use ::http::{StatusCode, header};
use contract::{BookAvailability, BookId, Role, book};
use serde::Deserialize;
use service::problem::{Problem, Validation};
use service::routes::{Request, Response};
use utoipa::IntoParams;

use super::{ASK_LIMIT, inventory};
use crate::actors::{availability, catalog};
use crate::app::App;
use crate::domain::book::Book;
use crate::domain::catalogue::{Cursor, Query, Sort};

pub(super) use import::{MEDIA_TYPES, import};
pub(super) use write::{create, patch, replace, withdraw};

/// The longest text to look for.
const QUERY_LIMIT: usize = 200;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Every word must be in title, author or ISBN, whatever its case; an ISBN with or without hyphens.
    query: Option<String>,
    /// The genre, whatever its case.
    genre: Option<String>,
    /// Every word must be in the author's name, whatever its case.
    author: Option<String>,
    /// `id` (the default), `title`, `author`, `price`, `publishedYear` or `createdAt`, with `-` before it for the greatest first.
    sort: Option<String>,
    /// Only these books: 1 to 100 ids with commas between them.
    ids: Option<String>,
    /// For admins: the books that are not on sale, instead of those that are.
    inactive: Option<bool>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct GetQuery {
    /// For admins: also when it is not on sale.
    inactive: Option<bool>,
}

pub(super) async fn list(request: Request<App>) -> Result<Response, Problem> {
    let query = read_query(&request)?;
    let addresses = &request.app.addresses;
    let ask = addresses.catalog.ask(ASK_LIMIT, |reply| catalog::Msg::List { query: Box::new(query), reply });
    let catalog::Page { books, next } = ask.await?;
    let ids = books.iter().map(|book| book.id).collect();
    let ask = addresses.availability.ask(ASK_LIMIT, |reply| availability::Msg::Available { books: ids, reply });
    let available = ask.await?;
    let books: Vec<_> = books.iter().zip(available).map(|(book, stock)| on_the_wire(book, stock, None)).collect();
    let response = Response::ok(&books);
    Ok(match next {
        Some(place) => response.header(header::LINK, &request.next_page(place)),
        None => response,
    })
}

fn read_query(request: &Request<App>) -> Result<Query, Problem> {
    let (wanted, page) = (request.query::<ListQuery>()?, request.page::<Cursor>()?);
    let withdrawn = may_see_inactive(request, wanted.inactive)?;
    let mut wrong = Validation::new();
    for (field, text) in [("query", &wanted.query), ("genre", &wanted.genre), ("author", &wanted.author)] {
        let short = text.as_ref().is_none_or(|text| text.chars().count() <= QUERY_LIMIT);
        wrong.check(short, field, format!("must have at most {QUERY_LIMIT} characters"));
    }
    let sort = wanted.sort.map_or(Ok(Sort::default()), |sort| sort.parse());
    wrong.check(
        sort.is_ok(),
        "sort",
        "must be id, title, author, price, publishedYear or createdAt, or one with - before",
    );
    let ids = wanted.ids.map(|ids| ids.split(',').map(|id| id.trim().parse()).collect::<Result<Vec<BookId>, _>>());
    let few = ids.as_ref().is_none_or(|ids| ids.as_ref().is_ok_and(|ids| ids.len() <= book::MAX_IDS));
    wrong.check(few, "ids", format!("must be 1 to {} ids of books with commas between them", book::MAX_IDS));
    let sort = sort.unwrap_or_default();
    let same = page.after.as_ref().is_none_or(|after| after.sort == sort);
    wrong.check(same, "cursor", "is one of another order").finish()?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let ids = ids.and_then(Result::ok);
    let mut query = Query { ids, withdrawn, sort, after: page.after, limit, ..Query::default() };
    query = query.containing(wanted.query.as_deref().unwrap_or_default());
    query = query.by_author(wanted.author.as_deref().unwrap_or_default());
    Ok(match wanted.genre.filter(|genre| !genre.trim().is_empty()) {
        Some(genre) => query.of_genre(&genre),
        None => query,
    })
}

/// Whether books that are not on sale are asked for, which only admins may.
fn may_see_inactive(request: &Request<App>, asked: Option<bool>) -> Result<bool, Problem> {
    match asked {
        Some(true) if request.is(Role::StoreAdmin) => Ok(true),
        Some(true) => Err(Problem::forbidden("Only admins see books that are not on sale.")),
        _ => Ok(false),
    }
}

pub(super) async fn get(request: Request<App>) -> Result<Response, Problem> {
    let book: BookId = request.param("id")?;
    let inactive = may_see_inactive(&request, request.query::<GetQuery>()?.inactive)?;
    let question = |reply| {
        if inactive { catalog::Msg::Find { book, reply } } else { catalog::Msg::Get { book, reply } }
    };
    let found = request.app.addresses.catalog.ask(ASK_LIMIT, question).await?;
    let found = found.ok_or_else(|| Problem::not_found("There is no such book on sale."))?;
    show(&request.app, &found, StatusCode::OK).await
}

/// The book with its stock, and its tag.
async fn show(app: &App, book: &Arc<Book>, status: StatusCode) -> Result<Response, Problem> {
    let (json, tag) = shown(app, book).await?;
    let response = Response::bytes(status, header::HeaderValue::from_static("application/json"), json);
    Ok(response.header(header::ETAG, &tag))
}

/// The tag changes with the book and with its stock, and begins with the book's version: that alone is what `If-Match` is about.
async fn shown(app: &App, book: &Arc<Book>) -> Result<(Vec<u8>, String), Problem> {
    let stock = inventory::stock(app, book.id).await?;
    let available = stock.available;
    let shown = on_the_wire(book, available, Some(inventory::shelves(stock)));
    let json = serde_json::to_vec(&shown).map_err(Problem::internal)?;
    let tag = format!("\"{}-{}\"", book.version, &blake3::hash(&json).to_hex()[..16]);
    Ok((json, tag))
}

fn on_the_wire(book: &Book, available_stock: i64, availability: Option<Vec<BookAvailability>>) -> contract::Book {
    let Book { id, isbn, title, author, publisher, price, description, genre, .. } = book.clone();
    contract::Book {
        id,
        isbn,
        title,
        author,
        publisher,
        price,
        description,
        genre,
        published_year: book.published_year,
        is_active: book.is_active,
        available_stock,
        created_at: book.created_at,
        updated_at: book.updated_at,
        availability,
    }
}
