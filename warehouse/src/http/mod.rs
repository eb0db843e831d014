//! The URL table of a warehouse.

mod accounts;
mod actors;
mod health;
mod inventory;
mod shipments;

use contract::{
    AdjustStock, InventoryItem, LoggedIn, Login, Movement, RegisterUser, Role, SetStock, ShipmentLogEntry,
    ShipmentReceipt, ShipmentRequest, User, VoidReceipt, WarehouseHealthReport, WarehouseInfo,
};
use service::accounts::password_route;
use service::audit::audit_route;
use service::openapi;
use service::routes::{Access, Route};
use service::status::{self, ready_route};

use crate::app::App;

const STAFF: &[Role] = &[Role::WarehouseStaff];

/// Every URL, who may use it, and who answers.
pub fn table() -> Vec<Route<App>> {
    let table = vec![
        Route::get("/health", Access::Bearer, health::health)
            .summary("Whether this warehouse is well, and which database it has")
            .answers::<WarehouseHealthReport>(200, "It is well"),
        ready_route(),
        Route::get("/info", Access::Anyone, health::info)
            .summary("This warehouse in figures")
            .answers::<WarehouseInfo>(200, "The figures"),
        Route::post("/auth/register", Access::Roles(STAFF), accounts::register)
            .summary("Make a staff account")
            .accepts::<RegisterUser>()
            .answers::<User>(201, "The account")
            .refuses(409, "The address has an account"),
        Route::post("/auth/login", Access::Anyone, accounts::login)
            .summary("Check an account's password")
            .accepts::<Login>()
            .answers::<LoggedIn>(200, "It is right")
            .refuses(401, "Wrong address or password")
            .refuses(429, "Too many wrong passwords: come back after `Retry-After`"),
        password_route(Access::Roles(STAFF)),
        audit_route(Access::Roles(STAFF)),
        Route::get("/inventory", Access::BearerOr(STAFF), inventory::list)
            .summary("What there is: a page for staff, the whole for the store")
            .query::<inventory::ListQuery>()
            .paged()
            .answers_list::<InventoryItem>(200, "Books with their stock"),
        Route::post("/inventory", Access::Roles(STAFF), inventory::enter)
            .summary("Set a book's stock, entering the book where it is new")
            .accepts::<SetStock>()
            .answers::<InventoryItem>(201, "The book's stock")
            .refuses(409, "The stock would be out of bounds"),
        Route::get("/inventory/:bookId", Access::BearerOr(STAFF), inventory::one)
            .summary("A book's stock")
            .answers::<InventoryItem>(200, "The book's stock"),
        Route::patch("/inventory/:bookId", Access::Roles(STAFF), inventory::adjust)
            .summary("Change a book's stock: to a total, or by a difference")
            .accepts::<AdjustStock>()
            .answers::<InventoryItem>(200, "The book's stock")
            .refuses(409, "The stock would be out of bounds"),
        Route::get("/inventory/:bookId/movements", Access::Roles(STAFF), inventory::movements)
            .summary("A book's ledger, newest first")
            .query::<inventory::LedgerQuery>()
            .paged()
            .answers_list::<Movement>(200, "A page of it"),
        Route::get("/shipments", Access::Roles(STAFF), shipments::list)
            .summary("What has left, newest first")
            .query::<shipments::LogQuery>()
            .paged()
            .answers_list::<ShipmentLogEntry>(200, "A page of it"),
        Route::post("/shipments", Access::Bearer, shipments::ship)
            .summary("Ship everything, or nothing")
            .details("Idempotent by `shipmentId`: the first outcome is final, and is answered again.")
            .accepts::<ShipmentRequest>()
            .answers::<ShipmentReceipt>(200, "Shipped, now or before")
            .refuses(409, "Too few copies, voided, or known with other items"),
        Route::post("/shipments/:id/void", Access::Bearer, shipments::void)
            .summary("Make sure that a shipment never leaves")
            .answers::<VoidReceipt>(200, "It never will")
            .refuses(409, "It has left"),
        status::takes_path(Route::get("/actors", Access::Roles(STAFF), actors::tree))
            .summary("The tree of actors, live, and the outbox")
            .answers::<actors::View>(200, "The tree"),
        status::restart_route(Access::Roles(STAFF)),
        status::events_route(Access::Roles(STAFF)),
    ];
    openapi::documented("Bookstore: warehouse", "Stock, and shipping it.", table)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_route_is_documented() {
        assert_eq!(service::openapi::gaps(&super::table()), Vec::<String>::new());
    }
}
