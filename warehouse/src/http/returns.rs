//! Copies that come back.

use contract::ReturnRequest;
use service::problem::{Problem, Validation};
use service::routes::{Request, Response};

use super::asking::{TEXT, ask_stock, check_items, is_text, refusal};
use crate::actors::stock;
use crate::app::App;
use crate::domain::batch::Answer;
use crate::domain::returned::Return;

/// `POST /returns`.
pub(super) async fn take_back(request: Request<App>) -> Result<Response, Problem> {
    let body: ReturnRequest = request.json()?;
    let mut validation = Validation::new();
    check_items(&body.items, &mut validation);
    let reason_fits = body.reason.as_ref().is_none_or(|reason| is_text(reason));
    validation.check(reason_fits, "reason", format!("must have 1 to {TEXT} characters")).finish()?;
    let returned = Return::from(&body);
    let answered = ask_stock(&request.app, |reply| stock::Msg::Return { returned, reply }).await?;
    match answered.answer {
        Answer::Returned(receipt) => Ok(Response::ok(&receipt)),
        _ => Err(refusal(answered)),
    }
}
