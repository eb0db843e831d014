//! What of a request's body is kept. Pure.

use serde_json::Value;

/// The most that is kept of a body.
const MAX_BODY_BYTES: usize = 4_096;
/// Members with these in their names are not kept, whatever they hold.
const HIDDEN: [&str; 5] = ["password", "passwd", "secret", "token", "authorization"];
const REDACTED: &str = "[redacted]";

/// What is kept of a body about an account: of these the rest is mostly passwords, under whatever name.
pub(super) fn of_account(body: &[u8]) -> Option<String> {
    let Value::Object(mut members) = serde_json::from_slice(body).ok()? else { return None };
    members.retain(|name, value| matches!(name.as_str(), "email" | "role") && value.is_string());
    Some(cut(&Value::Object(members).to_string(), MAX_BODY_BYTES))
}

/// The body as JSON text without what nobody may read there, cut to 4 KiB. None for one that is no JSON object: without
/// names, nobody knows what it holds.
pub(super) fn redacted(body: &[u8]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    value.as_object()?;
    redact(&mut value);
    Some(cut(&value.to_string(), MAX_BODY_BYTES))
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                let name = name.to_lowercase();
                if HIDDEN.iter().any(|hidden| name.contains(hidden)) {
                    *value = Value::from(REDACTED);
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

/// At most so many bytes, cut between characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most - ELLIPSIS.len());
    format!("{}{ELLIPSIS}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_secrets_and_tokens_are_hidden_at_any_depth() {
        let body = r#"{"email": "a@b.c", "Password": "p4ss", "newPasswords": ["p4ss"], "list": [{"accessToken": {"x": "p4ss"}}],
            "client_secret": 4711, "quantity": 3}"#;
        let kept = redacted(body.as_bytes()).unwrap();
        assert!(!kept.contains("p4ss") && !kept.contains("4711"), "{kept}");
        assert!(kept.contains("a@b.c") && kept.contains("\"quantity\":3"), "{kept}");
        assert_eq!(kept.matches(REDACTED).count(), 4);
    }

    #[test]
    fn of_accounts_only_address_and_role_are_kept() {
        let body = br#"{"email": "a@b.c", "role": {"x": "p4ss"}, "pass": "p4ss", "password": "p4ss"}"#;
        assert_eq!(of_account(body).as_deref(), Some(r#"{"email":"a@b.c"}"#));
        assert_eq!(of_account(b"[\"p4ss\"]"), None);
    }

    #[test]
    fn what_has_no_names_is_not_kept_and_what_is_long_is_cut() {
        for body in ["", "isbn,title\n1,x", "{\"password\": \"p4ss\"", "password=p4ss", "[\"p4ss\"]", "\"p4ss\""] {
            assert_eq!(redacted(body.as_bytes()), None);
        }
        let long = format!("{{\"reason\": \"{}\"}}", "é".repeat(10_000));
        let kept = redacted(long.as_bytes()).unwrap();
        assert!((MAX_BODY_BYTES - 3..=MAX_BODY_BYTES).contains(&kept.len()), "{}", kept.len());
        assert!(kept.ends_with("é…"));
    }

    #[test]
    fn no_text_holds_what_postgresql_cannot_keep() {
        let kept = redacted(br#"{"reason": "a\u0000b"}"#).unwrap();
        assert!(!kept.contains('\0'), "{kept:?}");
    }
}
