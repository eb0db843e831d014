//! What may keep a door shut outside the demo. Pure.

use contract::demo;

use super::{ConfigError, Secret};

const MIN_SECRET_BYTES: usize = 16;
const MIN_PASSWORD_BYTES: usize = 8;
/// Fewer different characters than this are no secret, however many there are.
const MIN_DIFFERENT: usize = 6;
/// What examples are made of. Longer ones first, so that nothing is left of `changeme`.
const WORDS: [&str; 33] = [
    "bookstore",
    "warehouse",
    "changethis",
    "changeme",
    "replaceme",
    "password",
    "passwort",
    "service",
    "example",
    "default",
    "letmein",
    "welcome",
    "qwerty",
    "shared",
    "secret",
    "secure",
    "change",
    "please",
    "bearer",
    "admin",
    "staff",
    "super",
    "local",
    "store",
    "token",
    "your",
    "test",
    "demo",
    "dev",
    "key",
    "foo",
    "bar",
    "my",
];
/// As many characters beside well-known words make something else of them.
const MIN_BESIDE_WORDS: usize = 6;

/// Whether a secret between services may be used.
///
/// # Errors
/// When it is missing; outside the demo also when it is short or well-known.
pub(super) fn check_secret(key: &str, secret: &Secret, demo: bool) -> Result<(), ConfigError> {
    const ADVICE: &str = "`openssl rand -hex 32` makes a good one";
    if secret.is_empty() {
        return Err(ConfigError::invalid(key, format!("must be set: {ADVICE}")));
    }
    if demo {
        return Ok(());
    }
    if secret.expose().len() < MIN_SECRET_BYTES {
        let message = format!("must have at least {MIN_SECRET_BYTES} bytes outside the demo: {ADVICE}");
        return Err(ConfigError::invalid(key, message));
    }
    if is_well_known(secret.expose()) {
        return Err(ConfigError::invalid(key, format!("is one that anybody would try: {ADVICE}")));
    }
    Ok(())
}

/// Whether the password of a first account may be used. One that is not there is none to check.
///
/// # Errors
/// Outside the demo when it is short, well-known or the demo's; anywhere when bcrypt cannot take it.
pub fn check_password(key: &str, password: &Secret, demo: bool) -> Result<(), ConfigError> {
    let text = password.expose();
    if text.is_empty() {
        return Ok(());
    }
    if text.len() > crate::accounts::MAX_PASSWORD_BYTES {
        let message = format!("must have at most {} bytes", crate::accounts::MAX_PASSWORD_BYTES);
        return Err(ConfigError::invalid(key, message));
    }
    if demo {
        return Ok(());
    }
    if text.len() < MIN_PASSWORD_BYTES {
        return Err(ConfigError::invalid(
            key,
            format!("must have at least {MIN_PASSWORD_BYTES} bytes outside the demo"),
        ));
    }
    if is_well_known(text) || is_of_the_demo(text) {
        return Err(ConfigError::invalid(key, "is one that anybody would try"));
    }
    Ok(())
}

fn is_of_the_demo(password: &str) -> bool {
    let staff = demo::WAREHOUSES.iter().map(|name| demo::warehouse_staff(name));
    demo::store_accounts().into_iter().chain(staff).any(|account| account.password == password)
}

/// Few characters over and over, or nothing but words that examples are made of.
fn is_well_known(secret: &str) -> bool {
    let mut different: Vec<char> = secret.chars().collect();
    different.sort_unstable();
    different.dedup();
    let plain = secret.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
    let beside = WORDS.iter().fold(plain, |rest, word| rest.replace(word, ""));
    // 123 and the like after a word are part of it.
    let beside = beside.trim_matches(|c: char| c.is_ascii_digit() && secret.len() < 2 * MIN_SECRET_BYTES);
    different.len() < MIN_DIFFERENT || beside.chars().count() < MIN_BESIDE_WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str, demo: bool) -> Option<String> {
        check_secret("service_secret", &Secret::new(text), demo).err().map(|error| error.to_string())
    }

    fn password(text: &str, demo: bool) -> Option<String> {
        check_password("admin_password", &Secret::new(text), demo).err().map(|error| error.to_string())
    }

    #[test]
    fn a_missing_short_or_well_known_secret_is_named_and_not_repeated() {
        for wrong in [
            "",
            "s3cretly-short",
            "secret",
            "changeme",
            "dev-secret",
            "changeme-changeme-changeme",
            "your-service-secret",
            "bookstore-service-secret",
            "my_super_secret_token_123",
            "CHANGE-ME-please-please",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123401234012340123401234",
        ] {
            let error = secret(wrong, false).unwrap_or_else(|| panic!("{wrong} was taken"));
            assert!(error.starts_with("SERVICE_SECRET (") && (wrong.is_empty() || !error.contains(wrong)), "{error}");
        }
        for good in [
            "6f1c0a9de7b24458",
            "8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918",
            "correct horse battery staple",
            "69184027365019283746501928374650",
        ] {
            assert_eq!(secret(good, false), None);
        }
    }

    #[test]
    fn in_the_demo_a_secret_need_only_be_there() {
        assert_eq!(secret("s", true), None);
        assert!(secret("", true).is_some());
    }

    #[test]
    fn first_accounts_have_no_well_known_password_outside_the_demo() {
        for wrong in ["short", "admin123", "alice123", "staff123", "password", "Password1", "changeme", "aaaaaaaa"] {
            assert!(password(wrong, false).is_some_and(|error| error.starts_with("ADMIN_PASSWORD (")), "{wrong}");
            assert_eq!(password(wrong, true), None);
        }
        assert_eq!((password("tr0ub4dor&3", false), password("", false)), (None, None));
        assert!(password(&"xyzabcdefg".repeat(8), true).is_some(), "80 bytes");
    }
}
