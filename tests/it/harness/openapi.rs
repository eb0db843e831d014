//! Holds every answer that a test gets against the OpenAPI document of the service that gave it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

use super::Answer;

/// A service's document, as the service answers it.
pub struct Document {
    whole: Value,
    /// By media type's place in the document: compiling one takes longer than using it.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The document of the service at a base URL, read once. None where it cannot be had just now: it may be about to be killed.
pub async fn document(http: &reqwest::Client, base: &str) -> Option<Arc<Document>> {
    static KNOWN: OnceLock<Mutex<HashMap<String, Arc<Document>>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    if let Some(document) = known.lock().unwrap().get(base) {
        return Some(Arc::clone(document));
    }
    let answer = http.get(format!("{base}/openapi.json")).send().await.ok()?.error_for_status().ok()?;
    let whole = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
    let document = Arc::new(Document { whole, validators: Mutex::default() });
    known.lock().unwrap().insert(base.to_owned(), Arc::clone(&document));
    Some(document)
}

impl Document {
    /// # Panics
    /// When the answer is to an operation of the document, and not as the document says.
    pub fn hold(&self, method: &Method, path: &str, answer: &Answer) {
        let path = path.split('?').next().unwrap_or_default();
        let Some((pattern, item)) = self.find(path) else { return };
        let operation = &item[method.as_str().to_ascii_lowercase()];
        if operation.is_null() {
            return;
        }
        let (status, what) = (answer.code().to_string(), format!("{method} {pattern} answered {}", answer.code()));
        let response = &operation["responses"][&status];
        assert!(response.is_object(), "{what}, which its OpenAPI does not know: {}", answer.text);
        let said = answer.header("content-type").split(';').next().unwrap_or_default();
        if answer.text.is_empty() {
            return;
        }
        let content = response["content"].as_object();
        let wildcard = content.is_some_and(|content| content.contains_key("*/*"));
        let schema = content.and_then(|content| content.get(said));
        assert!(schema.is_some() || wildcard, "{what} with {said}, which its OpenAPI does not know: {}", answer.text);
        if let Some(schema) = schema.filter(|_| said.ends_with("json")) {
            let key = format!("{method} {pattern} {status} {said}");
            let body = answer.json();
            let validator = self.validator(key, &schema["schema"]);
            let faults: Vec<String> =
                validator.iter_errors(&body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
            assert!(faults.is_empty(), "{what}, unlike its OpenAPI: {faults:?} in {}", answer.text);
        }
    }

    fn find(&self, path: &str) -> Option<(&String, &Value)> {
        let fits = |pattern: &str| {
            let (mut theirs, mut ours) = (pattern.split('/'), path.split('/'));
            let same =
                theirs.by_ref().zip(ours.by_ref()).all(|(theirs, ours)| theirs.starts_with('{') || theirs == ours);
            same && pattern.split('/').count() == path.split('/').count()
        };
        let mut fitting: Vec<_> =
            self.whole["paths"].as_object()?.iter().filter(|(pattern, _)| fits(pattern)).collect();
        // A path that is spelled out comes before one with a parameter.
        fitting.sort_by_key(|(pattern, _)| pattern.matches('{').count());
        fitting.first().copied()
    }

    fn validator(&self, key: String, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let made = || {
            let rooted = json!({ "allOf": [schema], "components": self.whole["components"] });
            Arc::new(jsonschema::options().should_validate_formats(true).build(&rooted).unwrap())
        };
        Arc::clone(validators.entry(key).or_insert_with(made))
    }
}
