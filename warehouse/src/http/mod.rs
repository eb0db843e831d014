//! The URL table of a warehouse.

mod accounts;
mod actors;
mod health;
mod inventory;
mod shipments;

use contract::Role;
use service::routes::{Access, Route};
use service::status::ready_route;

use crate::app::App;

const STAFF: &[Role] = &[Role::WarehouseStaff];

/// Every URL, who may use it, and who answers.
pub fn table() -> Vec<Route<App>> {
    vec![
        Route::get("/health", Access::Bearer, health::health),
        ready_route(),
        Route::get("/info", Access::Anyone, health::info),
        Route::post("/auth/register", Access::Roles(STAFF), accounts::register),
        Route::post("/auth/login", Access::Anyone, accounts::login),
        Route::get("/inventory", Access::BearerOr(STAFF), inventory::list),
        Route::post("/inventory", Access::Roles(STAFF), inventory::enter),
        Route::get("/inventory/:bookId", Access::BearerOr(STAFF), inventory::one),
        Route::patch("/inventory/:bookId", Access::Roles(STAFF), inventory::adjust),
        Route::get("/shipments", Access::Roles(STAFF), shipments::list),
        Route::post("/shipments", Access::Bearer, shipments::ship),
        Route::post("/shipments/:id/void", Access::Bearer, shipments::void),
        Route::get("/actors", Access::Roles(STAFF), actors::tree),
    ]
}
