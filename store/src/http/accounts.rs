//! Registering and logging in.

use contract::{LoggedIn, Login, RegisterUser, Role, User};
use service::accounts::NewAccount;
use service::problem::Problem;
use service::routes::{Request, Response};

use crate::app::App;

/// Anybody may become a customer; any other role is for an admin to give.
pub(super) async fn register(request: Request<App>) -> Result<Response, Problem> {
    let body: RegisterUser = request.json()?;
    let role = body.role.unwrap_or(Role::Customer);
    if role != Role::Customer && !request.is(Role::StoreAdmin) {
        return Err(Problem::forbidden("Only an admin may give this role."));
    }
    if role == Role::WarehouseStaff {
        return Err(Problem::invalid_field("role", "staff have their accounts in their warehouse"));
    }
    let account = request.app.accounts.register(NewAccount::from_request(body, role)).await?;
    let user = User { id: account.id, email: account.email, role: account.role };
    Ok(Response::created(&user, None))
}

pub(super) async fn login(request: Request<App>) -> Result<Response, Problem> {
    let Login { email, password } = request.json()?;
    let account = request.app.accounts.verify(request.client, &email, &password).await?;
    let message = "Login successful".to_owned();
    Ok(Response::ok(&LoggedIn { id: account.id, email: account.email, role: account.role, message }))
}
