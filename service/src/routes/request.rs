//! What a handler gets.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::Role;
use http::Method;
use http::header::{self, HeaderMap};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::body::{BodyStream, Whole};
use super::conditional;
use super::trace::Trace;
use crate::accounts::Account;
use crate::problem::Problem;

/// The page size where none is asked for, and the most that can be.
const PAGE: (u64, u64) = (100, 1_000);

/// Who is asking, as the route's access let them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody that we know.
    Anonymous,
    /// Somebody with an account.
    Account(Account),
    /// Another service, by the shared secret.
    Service,
}

/// A request whose route and caller are known and whose body has been read.
pub struct Request<A> {
    /// The service's addresses.
    pub app: Arc<A>,
    /// Who is asking.
    pub caller: Caller,
    /// The method; GET for a HEAD.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// Its id and its place in a trace.
    pub trace: Trace,
    /// Where it comes from.
    pub client: IpAddr,
    pub(super) params: Vec<(String, String)>,
    pub(super) query: String,
    pub(super) body: Whole,
    pub(super) stream: Mutex<Option<BodyStream>>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<C> {
    /// How many to give, 1 to 1,000.
    pub limit: u64,
    /// Where the page before ended.
    pub after: Option<C>,
}

#[derive(Deserialize)]
struct PageQuery {
    limit: Option<u64>,
    cursor: Option<String>,
}

impl<A> Request<A> {
    /// A parameter of the path.
    ///
    /// # Errors
    /// 404 when it is malformed: there can be nothing of that name.
    pub fn param<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        let text = self.params.iter().find(|(param, _)| param == name).map(|(_, value)| value.as_str());
        text.and_then(|text| text.parse().ok()).ok_or_else(|| Problem::not_found("There is nothing here."))
    }

    /// The query.
    ///
    /// # Errors
    /// 422 naming the parameter that is wrong.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        if let Some((name, _)) = pairs.clone().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(Problem::invalid_field(name, "must not contain the character NUL"));
        }
        serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs))
            .map_err(|error| wrong_member(&error.path().to_string(), &error.inner().to_string()))
    }

    /// `?limit=` and `?cursor=`.
    ///
    /// # Errors
    /// 422 naming the parameter that is wrong.
    pub fn page<C: FromStr>(&self) -> Result<Page<C>, Problem> {
        let query: PageQuery = self.query()?;
        let limit = query.limit.unwrap_or(PAGE.0);
        if !(1..=PAGE.1).contains(&limit) {
            return Err(Problem::invalid_field("limit", format!("must be 1 to {}", PAGE.1)));
        }
        let after = match query.cursor {
            None => None,
            Some(cursor) => {
                let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let after = text.filter(|text| !text.contains('\0')).and_then(|text| text.parse().ok());
                Some(after.ok_or_else(|| Problem::invalid_field("cursor", "is not one that we gave"))?)
            }
        };
        Ok(Page { limit, after })
    }

    /// The value of `Link` that leads to the page after `last`, with every other parameter kept.
    pub fn next_page(&self, last: impl ToString) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(self.query.as_bytes()).filter(|(name, _)| name != "cursor") {
            query.append_pair(&name, &value);
        }
        query.append_pair("cursor", &URL_SAFE_NO_PAD.encode(last.to_string()));
        format!("<?{}>; rel=\"next\"", query.finish())
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// 415 when it is not said to be JSON, 400 when it is none, 422 naming the first member of a wrong type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.expect_json_type()?;
        // serde would take an array for the members in their order.
        if self.body.bytes.trim_ascii_start().first() != Some(&b'{') && self.is_json() {
            return Err(Problem::invalid_field(".", "must be an object"));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body.bytes);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| self.explain(&error))?;
        deserializer.end().map_err(Problem::malformed)?;
        match nul_in(&self.body.bytes) {
            None => Ok(value),
            // PostgreSQL keeps every text but one with this character.
            Some(field) => Err(Problem::invalid_field(field, "must not contain the character NUL")),
        }
    }

    /// The body as a JSON object, where there is one.
    ///
    /// # Errors
    /// Those of [`Request::json`].
    pub fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.body.bytes.is_empty() { Ok(T::default()) } else { self.json() }
    }

    /// The body as it came, unless it is streamed.
    pub(crate) fn whole_body(&self) -> &[u8] {
        &self.body.bytes
    }

    /// The body as it arrives, on routes that stream it; none once it has been taken.
    pub fn take_body(&self) -> Option<BodyStream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The media type of the body, in lower case and without parameters.
    pub fn media_type(&self) -> String {
        let said = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The opaque parts of the tags in `If-Match`: the write is to be made only upon one of them. None where the client
    /// does not care, which `*` says too.
    pub fn if_match(&self) -> Option<Vec<String>> {
        conditional::tags(&self.headers, header::IF_MATCH).filter(|tags| tags.iter().all(|tag| tag != "*"))
    }

    /// A header, where it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The account that is asking, on routes that let accounts in.
    ///
    /// # Errors
    /// 401 for anybody else.
    pub fn account(&self) -> Result<&Account, Problem> {
        match &self.caller {
            Caller::Account(account) => Ok(account),
            Caller::Anonymous | Caller::Service => Err(Problem::unauthorized("This needs an account.")),
        }
    }

    /// Whether an account with this role is asking.
    pub fn is(&self, role: Role) -> bool {
        matches!(&self.caller, Caller::Account(account) if account.role == role)
    }

    fn expect_json_type(&self) -> Result<(), Problem> {
        let essence = self.media_type();
        if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
            return Ok(());
        }
        Err(Problem::unsupported_media_type("application/json"))
    }

    fn is_json(&self) -> bool {
        std::str::from_utf8(&self.body.bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(&self.body.bytes).is_ok()
    }

    /// JSON that does not fit names where; a body that is not JSON at all says only that, wherever the reader stopped.
    fn explain(&self, error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
        if !self.is_json() {
            let detail =
                if self.body.bytes.is_empty() { "The body is empty.".to_owned() } else { error.inner().to_string() };
            return Problem::malformed(detail);
        }
        let message = error.inner().to_string();
        let message = message.find(" at line ").map_or(message.as_str(), |end| &message[..end]);
        wrong_member(&error.path().to_string(), message)
    }
}

/// A member that is missing or there twice is reported at its parent; the member is what the client must look at.
fn wrong_member(path: &str, message: &str) -> Problem {
    let named = |prefix: &str| message.strip_prefix(prefix)?.strip_suffix('`');
    let (member, message) = match (named("missing field `"), named("duplicate field `")) {
        (Some(member), _) => (member, "is required"),
        (_, Some(member)) => (member, "is there twice"),
        _ => return Problem::invalid_field(path, message),
    };
    Problem::invalid_field(if path == "." { member.to_owned() } else { format!("{path}.{member}") }, message)
}

/// The path of the first text with a NUL. Looked for only where the body may have one, since that reads it again.
fn nul_in(body: &[u8]) -> Option<String> {
    fn search(value: &serde_json::Value, path: &str) -> Option<String> {
        use serde_json::Value;
        match value {
            Value::String(text) => text.contains('\0').then(|| path.to_owned()),
            Value::Array(items) => {
                items.iter().enumerate().find_map(|(index, item)| search(item, &format!("{path}[{index}]")))
            }
            Value::Object(members) => members.iter().find_map(|(name, member)| {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                search(member, &path)
            }),
            _ => None,
        }
    }
    const NUL: &[u8] = b"\\u0000";
    if !body.windows(NUL.len()).any(|window| window == NUL) {
        return None;
    }
    search(&serde_json::from_slice(body).ok()?, "")
}
