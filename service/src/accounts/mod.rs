//! Accounts: registering, logging in, and checking the password of every request that carries one.

mod actor;
mod checks;
mod memory;
mod passwords;
mod route;
mod rules;
mod throttle;
mod users;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actors::{Address, AskError, ChildSpec};
use contract::demo::DemoAccount;
use contract::{FieldError, RegisterUser, Role, UserId};

use crate::config::Secret;
use crate::database::Database;
use crate::problem::Problem;

pub use passwords::{Hasher, MAX_BYTES as MAX_PASSWORD_BYTES};
pub use route::password_route;
pub use throttle::Limits;
pub use users::{Seed, ensure};

/// How long a caller waits for a check, its place in the line included.
const VERIFY_WITHIN: Duration = Duration::from_secs(15);
/// The same for a registration.
const REGISTER_WITHIN: Duration = Duration::from_secs(15);
/// The same for a change of password.
const CHANGE_WITHIN: Duration = Duration::from_secs(15);
/// Whether to wait is known at once.
const THROTTLE_WITHIN: Duration = Duration::from_secs(1);

/// Somebody whose password has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account.
    pub id: UserId,
    /// Its address, lower case.
    pub email: String,
    /// What it may do.
    pub role: Role,
    /// Which of its passwords that was: raised by each change.
    pub password_version: i32,
}

/// Why nobody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// There is no such account, or the password is another.
    #[error("wrong e-mail or password")]
    Wrong,
    /// Too many wrong ones came from there: not even looked at, for this long.
    #[error("too many wrong credentials")]
    Throttled(Duration),
    /// Too many checks wait already.
    #[error("too many log in just now")]
    Busy,
    /// The database is away.
    #[error("accounts cannot be read just now")]
    Unavailable,
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Wrong => Self::unauthorized("Wrong e-mail or password."),
            VerifyError::Throttled(wait) => throttled(wait),
            VerifyError::Busy => Self::unavailable("Too many log in just now."),
            VerifyError::Unavailable => Self::unavailable("Accounts cannot be read just now."),
        }
    }
}

/// Why there is no new account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// What was given is no good.
    #[error("invalid")]
    Invalid(Vec<FieldError>),
    /// The address has an account.
    #[error("the address has an account already")]
    Taken,
    /// Too many wait already.
    #[error("too many register just now")]
    Busy,
    /// The database is away; nothing was done.
    #[error("accounts cannot be written just now")]
    Unavailable,
    /// No answer in time: there may be an account now.
    #[error("the outcome is unknown")]
    Unknown,
    /// The database refused.
    #[error("the account could not be written: {0}")]
    Failed(String),
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Invalid(errors) => Self::invalid(errors),
            RegisterError::Taken => {
                Self::conflict(contract::problem::EMAIL_TAKEN, "E-mail taken", "This address has an account already.")
            }
            RegisterError::Busy => Self::unavailable("Too many register just now."),
            RegisterError::Unavailable => Self::unavailable("Accounts cannot be written just now."),
            RegisterError::Unknown => AskError::Timeout.into(),
            RegisterError::Failed(cause) => Self::internal(cause),
        }
    }
}

/// Why a password is still the old one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The new one is no good.
    #[error("invalid")]
    Invalid(Vec<FieldError>),
    /// It was changed since the old one was checked.
    #[error("the password was changed meanwhile")]
    Outdated,
    /// Too many wait already.
    #[error("too many change their passwords just now")]
    Busy,
    /// The database is away; nothing was done.
    #[error("accounts cannot be written just now")]
    Unavailable,
    /// No answer in time: it may have been changed.
    #[error("the outcome is unknown")]
    Unknown,
    /// The database refused.
    #[error("the password could not be written: {0}")]
    Failed(String),
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Invalid(errors) => Self::invalid(errors),
            PasswordError::Outdated => VerifyError::Wrong.into(),
            PasswordError::Busy => Self::unavailable("Too many change their passwords just now."),
            PasswordError::Unavailable => Self::unavailable("Accounts cannot be written just now."),
            PasswordError::Unknown => AskError::Timeout.into(),
            PasswordError::Failed(cause) => Self::internal(cause),
        }
    }
}

/// 429 for whoever gave too many wrong credentials.
pub(crate) fn throttled(wait: Duration) -> Problem {
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
    Problem::too_many_requests("Too many wrong credentials came from here.", seconds)
}

/// An account to be.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its address, of any case.
    pub email: String,
    /// 8 to 71 bytes.
    pub password: Secret,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// What it may do. Whoever asks must be allowed to give it: that is for the route to see to.
    pub role: Role,
}

impl NewAccount {
    /// What a client asked for, with the role that it was allowed.
    pub fn from_request(request: RegisterUser, role: Role) -> Self {
        Self {
            email: request.email,
            password: Secret::new(request.password),
            first_name: request.first_name,
            last_name: request.last_name,
            role,
        }
    }
}

/// How the rest of a service reaches the accounts.
#[derive(Clone)]
pub struct Accounts {
    address: Address<actor::Msg>,
    hasher: Hasher,
    limits: Limits,
    refused: Arc<[DemoAccount]>,
}

impl Accounts {
    /// Accounts whose actor is yet to be started, see [`Accounts::child`]. `bcrypt_cost` is that of new passwords.
    pub fn new(mailbox_bound: usize, bcrypt_cost: u32, limits: Limits) -> Self {
        Self { address: Address::new(mailbox_bound), hasher: Hasher::new(bcrypt_cost), limits, refused: Arc::default() }
    }

    /// The same, but these accounts are let in only by another password than the demo's: outside the demo, where an earlier
    /// start within it may have left them.
    #[must_use]
    pub fn refusing(self, known: impl IntoIterator<Item = DemoAccount>) -> Self {
        Self { refused: known.into_iter().collect(), ..self }
    }

    /// The actor behind it, as the child `accounts`.
    pub fn child(&self, database: &Database) -> ChildSpec {
        let means = checks::Means {
            database: database.clone(),
            hasher: self.hasher.clone(),
            refused: Arc::clone(&self.refused),
        };
        ChildSpec::actor("accounts", &self.address, actor::Keeper, actor::Args { means, limits: self.limits })
    }

    /// Checks a password that came from `client`. Right ones are remembered for five minutes; who gives wrong ones has to
    /// wait, ever longer. A credential that was right once is always checked.
    ///
    /// # Errors
    /// [`VerifyError`]; unknown addresses take as long to refuse as wrong passwords.
    pub async fn verify(&self, client: IpAddr, email: &str, password: &str) -> Result<Account, VerifyError> {
        let (email, password) = (email.to_owned(), Secret::new(password));
        match self.address.ask(VERIFY_WITHIN, |reply| actor::Msg::Verify { client, email, password, reply }).await {
            Ok(outcome) => outcome,
            Err(AskError::Refused | AskError::Lost | AskError::Timeout) => Err(VerifyError::Busy),
        }
    }

    /// Counts a wrong bearer token from `client`; how long it has to wait, if at all.
    pub async fn wrong_token(&self, client: IpAddr) -> Option<Duration> {
        let question = |reply| actor::Msg::WrongToken { client, reply };
        self.address.ask(THROTTLE_WITHIN, question).await.ok().flatten()
    }

    /// Changes the password of an account whose old one has just been checked. The new one is durable, and nothing of the
    /// old one remembered, when this returns.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn change_password(&self, account: &Account, password: &str) -> Result<(), PasswordError> {
        let (account, password) = (account.clone(), Secret::new(password));
        if let Some(message) = rules::wrong_password(&password) {
            return Err(PasswordError::Invalid(vec![FieldError { field: "password".to_owned(), message }]));
        }
        let question = |reply| actor::Msg::ChangePassword { account, password, reply };
        match self.address.ask(CHANGE_WITHIN, question).await {
            Ok(outcome) => outcome,
            Err(AskError::Refused) => Err(PasswordError::Busy),
            Err(AskError::Lost | AskError::Timeout) => Err(PasswordError::Unknown),
        }
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(&self, new: NewAccount) -> Result<Account, RegisterError> {
        let new = rules::check(new).map_err(RegisterError::Invalid)?;
        match self.address.ask(REGISTER_WITHIN, |reply| actor::Msg::Register { new, reply }).await {
            Ok(outcome) => outcome,
            Err(AskError::Refused) => Err(RegisterError::Busy),
            Err(AskError::Lost | AskError::Timeout) => Err(RegisterError::Unknown),
        }
    }

    /// Who hashes, and how often that was.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }
}
