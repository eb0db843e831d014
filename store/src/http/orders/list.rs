//! Lists of orders.

use chrono::Utc;
use contract::{Order, OrderId, OrderStatus, Role, Timestamp, UserId};
use serde::Deserialize;
use service::problem::{Problem, Validation};
use service::routes::{Request, Response};
use utoipa::IntoParams;

use crate::actors::queries::{Cursor, Customer, OrderFilter};
use crate::app::App;

/// The longest address that can have an account.
const EMAIL_LIMIT: usize = 254;

/// The query of `GET /orders`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListQuery {
    /// Only orders in one of these statuses, separated by commas.
    status: Option<String>,
    /// Only orders accepted at this time or later, RFC 3339.
    from: Option<String>,
    /// Only orders accepted before this time, RFC 3339.
    to: Option<String>,
    /// Only this customer's, by id or e-mail address; for admins.
    customer: Option<String>,
}

/// `GET /orders`: a customer's own, an admin's all; newest first.
pub(in crate::http) async fn list(request: Request<App>) -> Result<Response, Problem> {
    let account = request.account()?;
    let (query, page) = (request.query::<ListQuery>()?, request.page::<Cursor>()?);
    let is_admin = account.role == Role::StoreAdmin;
    if query.customer.is_some() && !is_admin {
        return Err(Problem::forbidden("Only an admin may ask for the orders of a customer."));
    }
    let mut filter = query.filter()?;
    filter.before = page.after;
    if !is_admin {
        filter.customer = Some(Customer::Id(account.id));
    }
    let limit = page.limit;
    // One more than asked for tells whether there is a next page.
    let mut orders = request.app.queries.orders(filter, limit + 1).await?;
    let more = orders.len() as u64 > limit;
    orders.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let response = Response::ok(&orders);
    Ok(match orders.last().filter(|_| more) {
        Some(last) => response.header(::http::header::LINK, &request.next_page(Cursor::of(last))),
        None => response,
    })
}

impl ListQuery {
    fn filter(&self) -> Result<OrderFilter, Problem> {
        let mut wrong = Validation::new();
        let statuses: Vec<Option<OrderStatus>> =
            self.status.iter().flat_map(|list| list.split(',')).map(|name| name.trim().parse().ok()).collect();
        let names = OrderStatus::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ");
        wrong.check(statuses.iter().all(Option::is_some), "status", format!("must be some of {names}"));
        wrong.check(statuses.len() <= OrderStatus::ALL.len(), "status", "names one twice");
        let (from, to) = (time(self.from.as_deref()), time(self.to.as_deref()));
        for (field, time) in [("from", &from), ("to", &to)] {
            wrong.check(time.is_ok(), field, "must be a time like 2026-11-22T10:00:00Z");
        }
        let customer = self.customer.as_deref().map(customer);
        wrong.check(customer != Some(None), "customer", "must be the id or the e-mail address of an account");
        wrong.finish()?;
        Ok(OrderFilter {
            customer: customer.flatten(),
            statuses: statuses.into_iter().flatten().collect(),
            from: from.unwrap_or_default(),
            to: to.unwrap_or_default(),
            before: None,
        })
    }
}

fn time(text: Option<&str>) -> Result<Option<Timestamp>, chrono::ParseError> {
    // A plus sign that was not escaped arrives as a space.
    let parse = |text: &str| chrono::DateTime::parse_from_rfc3339(&text.replace(' ', "+"));
    Ok(text.map(parse).transpose()?.map(|time| time.with_timezone(&Utc)))
}

fn customer(text: &str) -> Option<Customer> {
    let email = || text.contains('@') && text.len() <= EMAIL_LIMIT;
    match text.parse::<UserId>() {
        Ok(id) => Some(Customer::Id(id)),
        Err(_) => email().then(|| Customer::Email(text.to_lowercase())),
    }
}

impl Cursor {
    fn of(order: &Order) -> Self {
        Self { created_at: order.created_at, id: order.id }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.created_at.timestamp_micros(), self.id)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (micros, id) = text.split_once('/').ok_or(())?;
        let created_at = micros.parse().ok().and_then(Timestamp::from_timestamp_micros).ok_or(())?;
        // PostgreSQL and RFC 3339 know no further.
        let known = (0..=9_999).contains(&chrono::Datelike::year(&created_at));
        let id: OrderId = id.parse().map_err(|_| ())?;
        if known { Ok(Self { created_at, id }) } else { Err(()) }
    }
}
