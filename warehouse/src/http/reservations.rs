//! Copies set aside: making, keeping, shipping and releasing them, and a list of them for people.

use std::time::Duration;

use contract::{DatabaseId, MAX_HOLD_SECONDS, OrderId, ReservationRequest, ReservationStatus, ShipmentId};
use http::header::LINK;
use serde::Deserialize;
use service::problem::{Problem, Validation};
use service::routes::{Request, Response};
use utoipa::IntoParams;

use super::asking::{ask_stock, check_items, named, refusal};
use super::shipments::{shipped, voided};
use crate::actors::queries::{ReservationFilter, ReservationPlace};
use crate::actors::stock::{self, Answered};
use crate::app::App;
use crate::domain::batch::{Answer, Named};
use crate::domain::shipment::Shipment;

/// `POST /reservations`.
pub(super) async fn reserve(request: Request<App>) -> Result<Response, Problem> {
    let body: ReservationRequest = request.json()?;
    let mut validation = Validation::new();
    check_items(&body.items, &mut validation);
    let fits = (1..=MAX_HOLD_SECONDS).contains(&body.expires_in_seconds);
    validation.check(fits, "expiresInSeconds", format!("must be 1 to {MAX_HOLD_SECONDS}")).finish()?;
    let (shipment, hold) = (Shipment::from(&body), Duration::from_secs(body.expires_in_seconds.into()));
    held(ask_stock(&request.app, |reply| stock::Msg::Reserve { shipment, hold, reply }).await?)
}

/// `POST /reservations/:id/confirm`.
pub(super) async fn confirm(request: Request<App>) -> Result<Response, Problem> {
    let shipment = named(&request)?;
    held(ask_stock(&request.app, |reply| stock::Msg::Confirm { shipment, reply }).await?)
}

fn held(answered: Answered) -> Result<Response, Problem> {
    match answered.answer {
        Answer::Held { reservation, is_new: true } => Ok(Response::created(&reservation, None)),
        Answer::Held { reservation, is_new: false } => Ok(Response::ok(&reservation)),
        _ => Err(refusal(answered)),
    }
}

/// `POST /reservations/:id/ship`.
pub(super) async fn ship(request: Request<App>) -> Result<Response, Problem> {
    let shipment = named(&request)?;
    shipped(ask_stock(&request.app, |reply| stock::Msg::ShipHeld { shipment, reply }).await?)
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReleaseQuery {
    /// The database that the caller believes it talks to; another one refuses without effect.
    #[param(value_type = Option<Uuid>)]
    database_id: Option<DatabaseId>,
}

/// `DELETE /reservations/:id`.
pub(super) async fn release(request: Request<App>) -> Result<Response, Problem> {
    let id: ShipmentId = request.param("id")?;
    let ReleaseQuery { database_id } = request.query()?;
    let shipment = Named { id, expected_database: database_id };
    voided(id, ask_stock(&request.app, |reply| stock::Msg::Void { shipment, reply }).await?)
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListQuery {
    /// Only those that stand there.
    status: Option<ReservationStatus>,
    /// Only for this order.
    #[param(value_type = Option<Uuid>)]
    order_id: Option<OrderId>,
}

/// `GET /reservations`: newest first.
pub(super) async fn list(request: Request<App>) -> Result<Response, Problem> {
    let ListQuery { status, order_id } = request.query()?;
    let page = request.page::<ReservationPlace>()?;
    let filter = ReservationFilter { status, order_id };
    // One more than asked for tells whether there is a next page.
    let mut entries = request.app.queries.reservations(filter, page.after, page.limit + 1).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let response = Response::ok(&entries);
    Ok(match entries.last() {
        Some(last) if has_more => {
            let place = ReservationPlace { created_at: last.created_at, shipment_id: last.shipment_id };
            response.header(LINK, &request.next_page(place))
        }
        _ => response,
    })
}
