//! Who may use a route, and who is asking.

use std::net::IpAddr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use contract::Role;
use http::HeaderMap;
use http::header::{self, HeaderValue};
use subtle::ConstantTimeEq as _;

use super::Caller;
use crate::accounts::{self, Accounts, VerifyError};
use crate::audit::Audit;
use crate::config::Secret;
use crate::problem::Problem;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; credentials are not looked at.
    Anyone,
    /// Anybody, but credentials that are there must be right.
    Optional,
    /// An account with one of these roles.
    Roles(&'static [Role]),
    /// Another service.
    Bearer,
    /// Another service, or an account with one of these roles.
    BearerOr(&'static [Role]),
}

impl Access {
    /// The schemes it listens to: Basic, Bearer. Credentials of another scheme are none.
    fn schemes(self) -> (bool, bool) {
        match self {
            Self::Anyone => (false, false),
            Self::Optional | Self::BearerOr(_) => (true, true),
            Self::Roles(_) => (true, false),
            Self::Bearer => (false, true),
        }
    }

    fn admits(self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Anyone | Self::Optional, _) | (Self::Bearer | Self::BearerOr(_), Caller::Service) => true,
            (Self::Roles(roles) | Self::BearerOr(roles), Caller::Account(account)) => roles.contains(&account.role),
            _ => false,
        }
    }
}

/// What authentication needs of a service.
pub trait HasAuth: Send + Sync + 'static {
    /// Who checks passwords.
    fn accounts(&self) -> &Accounts;
    /// The secret that services share.
    fn service_secret(&self) -> &Secret;
    /// Where changes by admins and staff are noted; a service without it has none to note.
    fn audit(&self) -> Option<&Audit> {
        None
    }
    /// The secret before it, accepted as well while services are being moved to the new one.
    fn previous_service_secret(&self) -> Option<&Secret> {
        None
    }
}

/// Finds out who is asking and whether the route is for them.
///
/// # Errors
/// 401 for no or wrong credentials, 403 for the wrong ones, 429 after too many wrong ones, 503 when they cannot be checked
/// now.
pub(super) async fn authorize(
    app: &impl HasAuth,
    access: Access,
    client: IpAddr,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let caller = match credentials(headers) {
        Some(Credentials::Basic(encoded)) if access.schemes().0 => {
            let (email, password) =
                decode(encoded).ok_or_else(|| challenge(access, "These credentials are malformed."))?;
            match app.accounts().verify(client, &email, &password).await {
                Ok(account) => Caller::Account(account),
                Err(VerifyError::Wrong) => return Err(challenge(access, "Wrong e-mail or password.")),
                Err(error) => return Err(error.into()),
            }
        }
        Some(Credentials::Bearer(token)) if access.schemes().1 => {
            if !is_service(app, token) {
                return Err(match app.accounts().wrong_token(client).await {
                    Some(wait) => accounts::throttled(wait),
                    None => challenge(access, "Wrong bearer token."),
                });
            }
            Caller::Service
        }
        _ => Caller::Anonymous,
    };
    if access.admits(&caller) {
        Ok(caller)
    } else if caller == Caller::Anonymous {
        Err(challenge(access, "This needs credentials."))
    } else {
        Err(Problem::forbidden("This account may not do that."))
    }
}

enum Credentials<'a> {
    Basic(&'a str),
    Bearer(&'a str),
}

fn credentials(headers: &HeaderMap) -> Option<Credentials<'_>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.trim().split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => Some(Credentials::Basic(rest.trim())),
        "bearer" => Some(Credentials::Bearer(rest.trim())),
        _ => None,
    }
}

/// E-mail and password: everything before the first colon, and everything after it, colons included.
fn decode(encoded: &str) -> Option<(String, String)> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let text = String::from_utf8(ENGINE.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(email, password)| (email.to_owned(), password.to_owned()))
}

/// Whether the token is one of the secrets. Both are compared, so that the time does not tell which.
fn is_service(app: &impl HasAuth, token: &str) -> bool {
    let current = is_secret(token, app.service_secret());
    let previous = is_secret(token, app.previous_service_secret().unwrap_or(&Secret::default()));
    current | previous
}

/// Compares digests, so that the time tells neither how much of the token is right nor how long the secret is.
fn is_secret(token: &str, secret: &Secret) -> bool {
    let (token, expected) = (blake3::hash(token.as_bytes()), blake3::hash(secret.expose().as_bytes()));
    !secret.is_empty() && bool::from(token.as_bytes().ct_eq(expected.as_bytes()))
}

fn challenge(access: Access, detail: &str) -> Problem {
    let (basic, bearer) = access.schemes();
    let mut problem = Problem::unauthorized(detail);
    if basic {
        let value = HeaderValue::from_static("Basic realm=\"bookstore\", charset=\"UTF-8\"");
        problem = problem.header(header::WWW_AUTHENTICATE, value);
    }
    if bearer {
        problem = problem.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bookstore\""));
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_colons() {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        assert_eq!(decode(&encode("a@b:c:d:")), Some(("a@b".to_owned(), "c:d:".to_owned())));
        assert_eq!(decode(encode("a@b:cd").trim_end_matches('=')), Some(("a@b".to_owned(), "cd".to_owned())));
        assert_eq!(decode(&encode("nobody")), None);
        assert_eq!(decode("%%%"), None);
    }

    #[test]
    fn only_the_whole_secret_is_the_secret() {
        let secret = Secret::new("s3cret");
        assert!(is_secret("s3cret", &secret));
        assert!(!is_secret("s3cre", &secret) && !is_secret("s3cret ", &secret) && !is_secret("", &secret));
        assert!(!is_secret("", &Secret::default()));
    }
}
