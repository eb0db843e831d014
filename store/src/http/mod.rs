//! The store's whole URL table.

mod accounts;
mod books;
mod health;
mod inventory;
mod orders;
mod sagas;
mod warehouses;

use std::time::Duration;

use contract::{
    Book, BookAvailability, BookPatch, Confirmation, Confirmed, Health, ImportReport, LoggedIn, Login, NewBook, Order,
    PatchWarehouse, PlaceOrder, ReconcileReport, RegisterUser, Registered, Registration, ReturnOrder, Role, Saga, User,
    WarehouseView,
};
use service::accounts::password_route;
use service::audit::audit_route;
use service::openapi;
use service::routes::{Access, Route};
use service::status;

use crate::app::App;

/// How long a question to an actor that answers from memory may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// The largest file of books.
const IMPORT_LIMIT: usize = 64 * 1024 * 1024;

const CUSTOMER: Access = Access::Roles(&[Role::Customer, Role::StoreAdmin]);
const ADMIN: Access = Access::Roles(&[Role::StoreAdmin]);

/// Every address of the store.
pub fn table() -> Vec<Route<App>> {
    let mut table = catalogue();
    table.extend([
        Route::get("/health", Access::Anyone, health::health)
            .summary("Whether the process lives")
            .answers::<Health>(200, "It does"),
        status::ready_route(),
        status::actors_route(ADMIN),
        status::restart_route(ADMIN),
        status::events_route(ADMIN),
        Route::post("/auth/register", Access::Optional, accounts::register)
            .summary("Open an account")
            .details("A role other than CUSTOMER is for an admin to give.")
            .accepts::<RegisterUser>()
            .answers::<User>(201, "The account")
            .refuses(403, "Only an admin may give this role")
            .refuses(409, "The address has an account"),
        Route::post("/auth/login", Access::Anyone, accounts::login)
            .summary("Check an account's password")
            .accepts::<Login>()
            .answers::<LoggedIn>(200, "It is right")
            .refuses(401, "Wrong address or password")
            .refuses(429, "Too many wrong passwords: come back after `Retry-After`"),
        password_route(CUSTOMER),
        audit_route(ADMIN),
        Route::get("/inventory/books/:id", Access::Anyone, inventory::of_book)
            .summary("Where a book is in stock")
            .answers_list::<BookAvailability>(200, "By warehouse"),
        Route::post("/inventory/reconcile", ADMIN, inventory::reconcile)
            .summary("Pull every warehouse's inventory now")
            .answers::<ReconcileReport>(200, "What came of it, by warehouse"),
    ]);
    table.extend(of_orders());
    table.extend(of_warehouses());
    table.extend(of_sagas());
    openapi::documented("Bookstore: store", "Catalogue, orders, and the warehouses behind them.", table)
}

fn of_orders() -> Vec<Route<App>> {
    vec![
        Route::post("/orders", CUSTOMER, orders::place)
            .summary("Place an order")
            .details("Waits a little for the order's end. Whatever is accepted ends: shipped once, or with nothing shipped and nothing charged.")
            .header_param("Idempotency-Key", "Sent again with the same body, it gives the answer of the order that it placed; 1 to 255 visible ASCII characters, kept for 24 hours")
            .header_param("Prefer", "`respond-async` for an answer as soon as the order is durable")
            .accepts::<PlaceOrder>()
            .answers::<Order>(201, "Shipped")
            .answers::<Order>(202, "Accepted, and still open: look at `Location`")
            .refuses(402, "The payment is declined; `orderId` is the order that ended so")
            .refuses(409, "The warehouses do not have everything"),
        Route::get("/orders", CUSTOMER, orders::list)
            .summary("Orders, newest first: a customer's own, an admin's all")
            .query::<orders::ListQuery>()
            .paged()
            .answers_list::<Order>(200, "A page of them"),
        Route::get("/orders/:id", CUSTOMER, orders::get).summary("An order").answers::<Order>(200, "The order"),
        Route::post("/orders/:id/cancel", CUSTOMER, orders::cancel)
            .summary("Cancel an order that has not left")
            .answers::<Order>(200, "It is cancelled: nothing leaves, nothing is charged")
            .answers::<Order>(202, "It will be, unless it turns out to have left: a warehouse or the payment gateway cannot be reached")
            .refuses(409, "It has left, is leaving, or has ended in another way"),
        Route::post("/orders/:id/return", CUSTOMER, orders::take_back)
            .summary("Send copies back, in part or all")
            .header_param("Idempotency-Key", "Sent again, it is the same return; 1 to 255 visible ASCII characters")
            .accepts::<ReturnOrder>()
            .answers::<Order>(200, "They are back on the shelf, and refunded")
            .answers::<Order>(202, "They will be: a warehouse or the payment gateway cannot be reached")
            .refuses(409, "They have not left, or are back; or another return is under way"),
        Route::get("/orders/:id/events", CUSTOMER, orders::events)
            .summary("An order's steps, until it ends")
            .details("Each event's id is the number of the step, its name what happened, its data an `OrderEvent`.")
            .header_param("Last-Event-ID", "The step to go on after")
            .answers_events("The steps there are, then each as it becomes durable")
            .answers_empty(204, "There is none after `Last-Event-ID`, and there will be none")
            .refuses(422, "`Last-Event-ID` is not one that we gave"),
        confirmation(Route::post("/orders/:id/status", Access::Bearer, orders::confirm)),
        confirmation(Route::patch("/orders/:id/status", Access::Bearer, orders::confirm)),
    ]
}

fn of_warehouses() -> Vec<Route<App>> {
    vec![
        Route::get("/warehouses", ADMIN, warehouses::list)
            .summary("The registered warehouses")
            .answers_list::<WarehouseView>(200, "All of them"),
        Route::patch("/warehouses/:name", ADMIN, warehouses::amend)
            .summary("Enable, disable or rank a warehouse, or accept another database")
            .accepts::<PatchWarehouse>()
            .answers::<WarehouseView>(200, "The warehouse"),
        Route::delete("/warehouses/:name", ADMIN, warehouses::delete)
            .summary("Delete a warehouse")
            .details("One that runs registers again, and is back.")
            .answers_empty(204, "It is gone")
            .refuses(409, "It has open shipments"),
        Route::post("/warehouses/register", Access::Bearer, warehouses::register)
            .summary("Register a warehouse, or say that it is still there")
            .accepts::<Registration>()
            .answers::<Registered>(201, "Registered")
            .refuses(409, "The name belongs to another database"),
    ]
}

fn of_sagas() -> Vec<Route<App>> {
    let change = |route: Route<App>| {
        route
            .answers::<Saga>(200, "The saga after it")
            .answers::<Saga>(202, "It is under way")
            .refuses(409, "There is nothing that this could do to the order")
    };
    vec![
        Route::get("/sagas", ADMIN, sagas::list)
            .summary("Where the fulfillment of orders stands, oldest first")
            .query::<sagas::ListQuery>()
            .paged()
            .answers_list::<Saga>(200, "A page of sagas, without their journals"),
        Route::get("/sagas/:id", ADMIN, sagas::get)
            .summary("The fulfillment of an order, with its journal")
            .answers::<Saga>(200, "The saga"),
        change(Route::post("/sagas/:id/retry", ADMIN, sagas::retry))
            .summary("Have it try again now")
            .details("A payment that was refused is tried under another key; what is unknown never is."),
        change(Route::post("/sagas/:id/resume", ADMIN, sagas::resume))
            .summary("Have it go on, as if it had just begun to try")
            .details("Also one that has panicked too often."),
        change(Route::post("/sagas/:id/cancel", ADMIN, sagas::cancel)).summary("Give up what has not left").details(
            "As the customer may cancel, and beyond: of an order that has left in part the rest is given up and not \
                 charged; what has left and cannot be charged is written off.",
        ),
    ]
}

fn catalogue() -> Vec<Route<App>> {
    const TAKEN: &str = "Another book has the ISBN";
    let change = |route: Route<App>| {
        route
            .header_param("If-Match", "Tags of `GET`: only upon one of their versions, whatever is in stock since")
            .refuses(412, "Somebody has changed the book meanwhile")
    };
    vec![
        Route::get("/books", Access::Optional, books::list)
            .summary("Search the books on sale")
            .details(
                "A walk by `Link` has each book that stays as it is once, whatever comes, changes and goes meanwhile. One \
                 whose place in the order is changed during the walk may be there twice or not at all.",
            )
            .query::<books::ListQuery>()
            .paged()
            .answers_list::<Book>(200, "A page of them")
            .refuses(403, "Only admins see books that are not on sale"),
        Route::get("/books/:id", Access::Optional, books::get)
            .summary("A book, with where it is in stock")
            .query::<books::GetQuery>()
            .answers::<Book>(200, "The book")
            .refuses(403, "Only admins see books that are not on sale"),
        Route::post("/books", ADMIN, books::create)
            .summary("Enter a book")
            .accepts::<NewBook>()
            .answers::<Book>(201, "The book")
            .refuses(409, "There is a book with the ISBN, on sale or not: `bookId` says which"),
        change(Route::put("/books/:id", ADMIN, books::replace))
            .summary("Replace a book")
            .accepts::<NewBook>()
            .answers::<Book>(200, "The book")
            .refuses(409, TAKEN),
        change(Route::patch("/books/:id", ADMIN, books::patch))
            .summary("Change parts of a book, or bring it back on sale")
            .accepts::<BookPatch>()
            .answers::<Book>(200, "The book")
            .refuses(409, TAKEN),
        change(Route::delete("/books/:id", ADMIN, books::withdraw))
            .summary("Take a book off sale; orders keep it")
            .answers_empty(204, "It is not on sale"),
        Route::post("/books/import", ADMIN, books::import)
            .summary("Enter and replace books from a file")
            .details(
                "CSV with a header (isbn, title, author, publisher, price, description, genre, publishedYear, in any order; \
                 other columns are passed over) or one JSON book a line. Books are told apart by ISBN, and a row is the \
                 whole book: what it leaves out is cleared, but a book that is not on sale stays so. Good rows are kept \
                 and bad ones told, an ISBN that was in an earlier row among them. At most 100,000 rows of 64 KiB. Where \
                 the file breaks off, what was written stays and `imported` in the problem counts it; the same file again \
                 goes on from there.",
            )
            .body_limit(IMPORT_LIMIT)
            .streaming(books::MEDIA_TYPES)
            .answers::<ImportReport>(200, "What came of the rows"),
    ]
}

/// Under two methods, since the older API had both.
fn confirmation(route: Route<App>) -> Route<App> {
    route
        .summary("Confirm that a shipment has left")
        .accepts::<Confirmation>()
        .answers::<Confirmed>(200, "Taken, now or before")
        .refuses(409, "The order is not known, or never was given to this warehouse so")
}

#[cfg(test)]
mod tests;
