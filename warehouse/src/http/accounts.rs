//! Staff: registering and logging in.

use contract::{LoggedIn, Login, RegisterUser, Role, User};
use http::header::WWW_AUTHENTICATE;
use service::accounts::{NewAccount, VerifyError};
use service::problem::Problem;
use service::routes::{HasAuth as _, Request, Response};

use crate::app::App;

/// `POST /auth/register`: staff makes staff.
pub(super) async fn register(request: Request<App>) -> Result<Response, Problem> {
    let body: RegisterUser = request.json()?;
    if body.role.is_some_and(|role| role != Role::WarehouseStaff) {
        return Err(Problem::invalid_field("role", "must be WAREHOUSE_STAFF: a warehouse has no other"));
    }
    let account = request.app.accounts().register(NewAccount::from_request(body, Role::WarehouseStaff)).await?;
    Ok(Response::created(&User { id: account.id, email: account.email, role: account.role }, None))
}

/// `POST /auth/login`.
pub(super) async fn login(request: Request<App>) -> Result<Response, Problem> {
    let body: Login = request.json()?;
    let account = request.app.accounts().verify(request.client, &body.email, &body.password).await.map_err(refuse)?;
    let message = format!("Welcome to {}.", request.app.name);
    Ok(Response::ok(&LoggedIn { id: account.id, email: account.email, role: account.role, message }))
}

fn refuse(error: VerifyError) -> Problem {
    let problem = Problem::from(error);
    match error {
        VerifyError::Wrong => problem.header_text(WWW_AUTHENTICATE, "Basic realm=\"bookstore\", charset=\"UTF-8\""),
        VerifyError::Throttled(_) | VerifyError::Busy | VerifyError::Unavailable => problem,
    }
}
