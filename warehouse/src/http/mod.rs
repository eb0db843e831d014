//! The URL table of a warehouse.

mod accounts;
mod actors;
mod asking;
mod health;
mod inventory;
mod reservations;
mod returns;
mod shipments;

use contract::{
    AdjustStock, InventoryItem, LoggedIn, Login, Movement, RegisterUser, Reservation, ReservationEntry,
    ReservationRequest, ReturnReceipt, ReturnRequest, Role, SetStock, ShipmentCall, ShipmentLogEntry, ShipmentReceipt,
    ShipmentRequest, User, VoidReceipt, WarehouseHealthReport, WarehouseInfo,
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
    let mut table = vec![
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
        status::takes_path(Route::get("/actors", Access::Roles(STAFF), actors::tree))
            .summary("The tree of actors, live, and the outbox")
            .answers::<actors::View>(200, "The tree"),
        status::restart_route(Access::Roles(STAFF)),
        status::events_route(Access::Roles(STAFF)),
    ];
    table.extend(shipping());
    openapi::documented("Bookstore: warehouse", "Stock, and shipping it.", table)
}

/// What the store has done with the stock, and the lists of it for staff.
fn shipping() -> Vec<Route<App>> {
    vec![
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
            .details("What is set aside for it is free again.")
            .may_accept::<ShipmentCall>()
            .answers::<VoidReceipt>(200, "It never will")
            .refuses(409, "It has left"),
        Route::get("/reservations", Access::Roles(STAFF), reservations::list)
            .summary("What was set aside, newest first")
            .query::<reservations::ListQuery>()
            .paged()
            .answers_list::<ReservationEntry>(200, "A page of it"),
        Route::post("/reservations", Access::Bearer, reservations::reserve)
            .summary("Set everything aside, or nothing")
            .details(
                "Idempotent by `shipmentId`, under which it is shipped later. It is released when it expires, and can then \
                 never be shipped; one that is confirmed does not expire.",
            )
            .accepts::<ReservationRequest>()
            .answers::<Reservation>(201, "Set aside now")
            .answers::<Reservation>(200, "Set aside before")
            .refuses(409, "Too few copies, voided or expired, shipped, or known with other items"),
        Route::post("/reservations/:id/confirm", Access::Bearer, reservations::confirm)
            .summary("Keep what is set aside: it does not expire any more")
            .may_accept::<ShipmentCall>()
            .answers::<Reservation>(200, "Kept, now or before")
            .refuses(409, "Voided or expired, or shipped"),
        Route::post("/reservations/:id/ship", Access::Bearer, reservations::ship)
            .summary("Ship what is set aside")
            .may_accept::<ShipmentCall>()
            .answers::<ShipmentReceipt>(200, "Shipped, now or before")
            .refuses(409, "Voided or expired"),
        Route::delete("/reservations/:id", Access::Bearer, reservations::release)
            .summary("Release what is set aside, and make sure that it never leaves")
            .query::<reservations::ReleaseQuery>()
            .answers::<VoidReceipt>(200, "It is free, and never will")
            .refuses(409, "It has left"),
        Route::post("/returns", Access::Bearer, returns::take_back)
            .summary("Take back copies that were shipped")
            .details("Idempotent by `returnId`. At most what the shipment took, less what came back of it before.")
            .accepts::<ReturnRequest>()
            .answers::<ReturnReceipt>(200, "They are on the shelf, now or before")
            .refuses(409, "They were not shipped or are back already, or the id is known with others"),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_route_is_documented() {
        assert_eq!(service::openapi::gaps(&super::table()), Vec::<String>::new());
    }
}
