//! The catalogue with what is in stock. Answered from memory: a page costs two messages and no SQL.

use ::http::header;
use contract::{BookAvailability, BookId};
use service::problem::Problem;
use service::routes::{Request, Response};

use super::{ASK_LIMIT, inventory};
use crate::actors::{availability, catalog};
use crate::app::App;
use crate::domain::book::Book;

pub(super) async fn list(request: Request<App>) -> Result<Response, Problem> {
    let page = request.page::<BookId>()?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let addresses = &request.app.addresses;
    let ask = addresses.catalog.ask(ASK_LIMIT, |reply| catalog::Msg::List { after: page.after, limit, reply });
    let catalog::Page { books, next } = ask.await?;
    let ids = books.iter().map(|book| book.id).collect();
    let ask = addresses.availability.ask(ASK_LIMIT, |reply| availability::Msg::Available { books: ids, reply });
    let available = ask.await?;
    let books: Vec<_> = books.iter().zip(available).map(|(book, stock)| on_the_wire(book, stock, None)).collect();
    let response = Response::ok(&books);
    Ok(match next {
        Some(last) => response.header(header::LINK, &request.next_page(last)),
        None => response,
    })
}

pub(super) async fn get(request: Request<App>) -> Result<Response, Problem> {
    let book: BookId = request.param("id")?;
    let ask = request.app.addresses.catalog.ask(ASK_LIMIT, |reply| catalog::Msg::Get { book, reply });
    let found = ask.await?.ok_or_else(|| Problem::not_found("There is no such book on sale."))?;
    let stock = inventory::stock(&request.app, book).await?;
    let available = stock.available;
    Ok(Response::ok(&on_the_wire(&found, available, Some(inventory::shelves(stock)))))
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
