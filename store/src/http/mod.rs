//! The store's whole URL table.

mod accounts;
mod books;
mod health;
mod inventory;
mod orders;
mod warehouses;

use std::time::Duration;

use contract::{
    Book, BookAvailability, Confirmation, Confirmed, Health, LoggedIn, Login, Order, PlaceOrder, ReconcileReport,
    RegisterUser, Registered, Registration, Role, User, WarehouseView,
};
use service::accounts::password_route;
use service::openapi;
use service::routes::{Access, Route};
use service::status;

use crate::app::App;

/// How long a question to an actor that answers from memory may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);

const CUSTOMER: Access = Access::Roles(&[Role::Customer, Role::StoreAdmin]);
const ADMIN: Access = Access::Roles(&[Role::StoreAdmin]);

/// Every address of the store.
pub fn table() -> Vec<Route<App>> {
    let table = vec![
        Route::get("/health", Access::Anyone, health::health)
            .summary("Whether the process lives")
            .answers::<Health>(200, "It does"),
        status::ready_route(),
        status::actors_route(ADMIN),
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
        Route::get("/books", Access::Anyone, books::list)
            .summary("The books on sale")
            .paged()
            .answers_list::<Book>(200, "A page of them"),
        Route::get("/books/:id", Access::Anyone, books::get)
            .summary("A book, with where it is in stock")
            .answers::<Book>(200, "The book"),
        Route::post("/orders", CUSTOMER, orders::place)
            .summary("Place an order")
            .details("Waits a little for the order's end. Whatever is accepted ends: shipped once, or with nothing shipped and nothing charged.")
            .accepts::<PlaceOrder>()
            .answers::<Order>(201, "Shipped")
            .answers::<Order>(202, "Accepted, and still open: look at `Location`")
            .refuses(409, "No warehouse has everything"),
        Route::get("/orders", CUSTOMER, orders::list)
            .summary("Orders, newest first: a customer's own, an admin's all")
            .query::<orders::ListQuery>()
            .paged()
            .answers_list::<Order>(200, "A page of them"),
        Route::get("/orders/:id", CUSTOMER, orders::get).summary("An order").answers::<Order>(200, "The order"),
        confirmation(Route::post("/orders/:id/status", Access::Bearer, orders::confirm)),
        confirmation(Route::patch("/orders/:id/status", Access::Bearer, orders::confirm)),
        Route::get("/inventory/books/:id", Access::Anyone, inventory::of_book)
            .summary("Where a book is in stock")
            .answers_list::<BookAvailability>(200, "By warehouse"),
        Route::post("/inventory/reconcile", ADMIN, inventory::reconcile)
            .summary("Pull every warehouse's inventory now")
            .answers::<ReconcileReport>(200, "What came of it, by warehouse"),
        Route::get("/warehouses", ADMIN, warehouses::list)
            .summary("The registered warehouses")
            .answers_list::<WarehouseView>(200, "All of them"),
        Route::post("/warehouses/register", Access::Bearer, warehouses::register)
            .summary("Register a warehouse, or say that it is still there")
            .accepts::<Registration>()
            .answers::<Registered>(201, "Registered")
            .refuses(409, "The name belongs to another database"),
    ];
    openapi::documented("Bookstore: store", "Catalogue, orders, and the warehouses behind them.", table)
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
