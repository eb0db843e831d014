//! What an account's address, password and names must look like. Pure.

use contract::FieldError;

use super::NewAccount;
use super::passwords::MAX_BYTES;
use crate::config::Secret;

const MIN_PASSWORD_BYTES: usize = 8;
const MAX_EMAIL_BYTES: usize = 254;
const MAX_NAME_CHARS: usize = 100;

/// The account with its address in lower case, or everything that is wrong with it.
pub(super) fn check(new: NewAccount) -> Result<NewAccount, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, message: String| errors.push(FieldError { field: field.to_owned(), message });
    let email = normalize(&new.email);
    if email.is_none() {
        wrong("email", format!("must be an e-mail address of at most {MAX_EMAIL_BYTES} bytes"));
    }
    if let Some(message) = wrong_password(&new.password) {
        wrong("password", message);
    }
    for (field, name) in [("firstName", &new.first_name), ("lastName", &new.last_name)] {
        let fits =
            name.as_ref().is_none_or(|name| name.chars().count() <= MAX_NAME_CHARS && !name.contains(char::is_control));
        if !fits {
            wrong(field, format!("must have at most {MAX_NAME_CHARS} characters, none of them control characters"));
        }
    }
    match email {
        Some(email) if errors.is_empty() => Ok(NewAccount { email, ..new }),
        _ => Err(errors),
    }
}

/// What is wrong with a new password, if anything.
pub(super) fn wrong_password(password: &Secret) -> Option<String> {
    let fits = (MIN_PASSWORD_BYTES..=MAX_BYTES).contains(&password.expose().len());
    (!fits).then(|| format!("must have {MIN_PASSWORD_BYTES} to {MAX_BYTES} bytes"))
}

/// The address as accounts are known by, in lower case. A colon would end it in Basic credentials, so none may have one.
pub(super) fn normalize(email: &str) -> Option<String> {
    let email = email.trim().to_lowercase();
    let (local, domain) = email.rsplit_once('@')?;
    let plain = |text: &str| {
        !text.is_empty()
            && !text.contains(|c: char| {
                c.is_whitespace() || c.is_control() || matches!(c, ':' | '@' | '<' | '>' | ',' | '"')
            })
    };
    let labels = domain.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    (email.len() <= MAX_EMAIL_BYTES && plain(local) && plain(domain) && labels).then_some(email)
}

#[cfg(test)]
mod tests {
    use contract::Role;

    use super::*;

    fn new(email: &str, password: &str) -> NewAccount {
        let (email, password) = (email.to_owned(), Secret::new(password));
        NewAccount { email, password, first_name: None, last_name: None, role: Role::Customer }
    }

    #[test]
    fn addresses() {
        assert_eq!(normalize(" Alice@Customer.COM ").as_deref(), Some("alice@customer.com"));
        let long = format!("{}@example.com", "a".repeat(243));
        for email in
            ["", "alice", "@b.c", "a@", "a@b@c", "a:b@c.d", "a b@c.d", "a\0@c.d", "a@.c", "a@c.", "a@-c.d", &long]
        {
            assert_eq!(normalize(email), None, "{email:?}");
        }
        assert!(normalize(&long[1..]).is_some(), "254 bytes");
    }

    #[test]
    fn passwords_have_8_to_71_bytes() {
        let fields =
            |password: &str| check(new("a@b.c", password)).map(|_| ()).map_err(|errors| errors[0].field.clone());
        assert_eq!(fields(&"x".repeat(7)), Err("password".to_owned()));
        assert_eq!(fields(&"x".repeat(8)), Ok(()));
        assert_eq!(fields(&"x".repeat(71)), Ok(()));
        assert_eq!(fields(&"x".repeat(72)), Err("password".to_owned()));
        assert_eq!(fields(&"é".repeat(36)), Err("password".to_owned()), "72 bytes in 36 characters");
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let mut account = new("nobody", "short");
        account.first_name = Some("x".repeat(101));
        account.last_name = Some("a\nb".to_owned());
        let errors = check(account).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["email", "password", "firstName", "lastName"]);
    }
}
