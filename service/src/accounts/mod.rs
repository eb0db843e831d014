//! Accounts: registering, logging in, and checking the password of every request that carries one.

mod actor;
mod passwords;
mod rules;
mod users;

use std::time::Duration;

use actors::{Address, AskError, ChildSpec};
use contract::{FieldError, RegisterUser, Role, UserId};

use crate::config::Secret;
use crate::database::Database;
use crate::problem::Problem;

pub use passwords::Hasher;
pub use users::{Seed, ensure};

/// How long a caller waits for a check, its place in the line included.
const VERIFY_WITHIN: Duration = Duration::from_secs(15);
/// The same for a registration.
const REGISTER_WITHIN: Duration = Duration::from_secs(15);

/// Somebody whose password has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account.
    pub id: UserId,
    /// Its address, lower case.
    pub email: String,
    /// What it may do.
    pub role: Role,
}

/// Why nobody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// There is no such account, or the password is another.
    #[error("wrong e-mail or password")]
    Wrong,
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
}

impl Accounts {
    /// Accounts whose actor is yet to be started, see [`Accounts::child`]. `bcrypt_cost` is that of new passwords.
    pub fn new(mailbox_bound: usize, bcrypt_cost: u32) -> Self {
        Self { address: Address::new(mailbox_bound), hasher: Hasher::new(bcrypt_cost) }
    }

    /// The actor behind it, as the child `accounts`.
    pub fn child(&self, database: &Database) -> ChildSpec {
        let args = actor::Args { database: database.clone(), hasher: self.hasher.clone() };
        ChildSpec::actor("accounts", &self.address, actor::Keeper, args)
    }

    /// Checks a password. Right ones are remembered for five minutes.
    ///
    /// # Errors
    /// [`VerifyError`]; unknown addresses take as long to refuse as wrong passwords.
    pub async fn verify(&self, email: &str, password: &str) -> Result<Account, VerifyError> {
        let (email, password) = (email.to_owned(), Secret::new(password));
        match self.address.ask(VERIFY_WITHIN, |reply| actor::Msg::Verify { email, password, reply }).await {
            Ok(outcome) => outcome,
            Err(AskError::Refused | AskError::Lost | AskError::Timeout) => Err(VerifyError::Busy),
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
