//! `POST /auth/password`, the same in every service.

use contract::ChangePassword;

use crate::problem::Problem;
use crate::routes::{Access, HasAuth, Request, Response, Route};

/// Changes the password of whoever asks.
pub fn password_route<A: HasAuth>(access: Access) -> Route<A> {
    Route::post("/auth/password", access, change)
        .summary("Change the password of whoever asks")
        .details("From then on the old one is good for nothing, in no place.")
        .accepts::<ChangePassword>()
        .answers_empty(204, "Changed")
}

async fn change<A: HasAuth>(request: Request<A>) -> Result<Response, Problem> {
    let body: ChangePassword = request.json()?;
    request.app.accounts().change_password(request.account()?, &body.password).await?;
    Ok(Response::no_content())
}
