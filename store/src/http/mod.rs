//! The store's whole URL table.

mod accounts;
mod books;
mod health;
mod inventory;
mod orders;
mod warehouses;

use std::time::Duration;

use contract::Role;
use service::routes::{Access, Route};
use service::status;

use crate::app::App;

/// How long a question to an actor that answers from memory may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);

const CUSTOMER: Access = Access::Roles(&[Role::Customer, Role::StoreAdmin]);
const ADMIN: Access = Access::Roles(&[Role::StoreAdmin]);

/// Every address of the store.
pub fn table() -> Vec<Route<App>> {
    vec![
        Route::get("/health", Access::Anyone, health::health),
        status::ready_route(),
        status::actors_route(ADMIN),
        Route::post("/auth/register", Access::Optional, accounts::register),
        Route::post("/auth/login", Access::Anyone, accounts::login),
        Route::get("/books", Access::Anyone, books::list),
        Route::get("/books/:id", Access::Anyone, books::get),
        Route::post("/orders", CUSTOMER, orders::place),
        Route::get("/orders", CUSTOMER, orders::list),
        Route::get("/orders/:id", CUSTOMER, orders::get),
        Route::post("/orders/:id/status", Access::Bearer, orders::confirm),
        Route::patch("/orders/:id/status", Access::Bearer, orders::confirm),
        Route::get("/inventory/books/:id", Access::Anyone, inventory::of_book),
        Route::post("/inventory/reconcile", ADMIN, inventory::reconcile),
        Route::get("/warehouses", ADMIN, warehouses::list),
        Route::post("/warehouses/register", Access::Bearer, warehouses::register),
    ]
}

#[cfg(test)]
mod tests;
