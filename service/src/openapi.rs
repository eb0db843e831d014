//! OpenAPI 3.1 of a service, made from its URL table and the types that its routes read and write, and a page to try it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use serde_json::Value;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Info, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr, Required, Schema, Server,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::problem::Problem;
use crate::routes::describe::{Answer, Content};
use crate::routes::{Access, HasAuth, Request, Response, Route};

const PROBLEM_JSON: &str = "application/problem+json";
/// What the page may load: only what comes from here. Swagger UI sets styles from its scripts and draws with data: images.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           connect-src 'self'; frame-ancestors 'none'";
const PAGE: &str = include_str!("openapi.html");
/// What starts the page. The document's address is relative, since a proxy may strip a prefix.
const START: &str = "window.ui = SwaggerUIBundle({ url: 'openapi.json', dom_id: '#page', deepLinking: true });\n";

/// The table with `GET /openapi.json` of all of it, and `GET /docs`.
pub fn documented<A: HasAuth>(title: &'static str, details: &'static str, mut table: Vec<Route<A>>) -> Vec<Route<A>> {
    // The document has its own routes in it, so these come first, and get their answer when it is made.
    let document = std::sync::Arc::new(std::sync::OnceLock::new());
    let answer = std::sync::Arc::clone(&document);
    table.extend([
        Route::get("/openapi.json", Access::Anyone, move |_: Request<A>| {
            let document: Bytes = answer.get().cloned().unwrap_or_default();
            async move { Ok(Response::bytes(StatusCode::OK, HeaderValue::from_static("application/json"), document)) }
        })
        .summary("This interface as OpenAPI 3.1")
        .answers::<Value>(200, "The document"),
        Route::get("/docs", Access::Anyone, page)
            .summary("A page to read about this interface and try it")
            .answers_media("text/html", "The page"),
        Route::get("/docs/:file", Access::Anyone, page_file)
            .summary("A file of that page")
            .answers_media("*/*", "The file"),
    ]);
    let text = serde_json::to_vec(&document_of(title, details, &table)).unwrap_or_default();
    let _ = document.set(text.into());
    table
}

async fn page<A>(_: Request<A>) -> Result<Response, Problem> {
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    Ok(Response::bytes(StatusCode::OK, html, PAGE).header(header::CONTENT_SECURITY_POLICY, PAGE_POLICY))
}

async fn page_file<A>(request: Request<A>) -> Result<Response, Problem> {
    let name: String = request.param("file")?;
    let nothing = || Problem::not_found("There is nothing here.");
    if name == "start.js" {
        return Ok(Response::bytes(StatusCode::OK, HeaderValue::from_static("text/javascript"), START));
    }
    let file = utoipa_swagger_ui::serve(&name, std::sync::Arc::default()).map_err(Problem::internal)?;
    let file = file.ok_or_else(nothing)?;
    let media_type = HeaderValue::from_str(&file.content_type).map_err(Problem::internal)?;
    Ok(Response::bytes(StatusCode::OK, media_type, file.bytes.into_owned()))
}

/// The document of a table.
fn document_of<A>(title: &str, details: &str, table: &[Route<A>]) -> OpenApi {
    let mut paths = PathsBuilder::new();
    for route in table {
        paths = paths.path(pattern(route.path), PathItem::new(method(route), operation(route)));
    }
    let mut info = Info::new(title, env!("CARGO_PKG_VERSION"));
    info.description = Some(details.to_owned());
    // Relative to the document, for the same reason.
    let server = Server::new(".");
    let builder = OpenApiBuilder::new().info(info).servers(Some([server])).paths(paths.build());
    builder.components(Some(components(table))).build()
}

/// What a table lacks to be documented: for tests. Routes that are not in the document, or say neither what they do nor
/// what they answer, and references to nothing.
pub fn gaps<A>(table: &[Route<A>]) -> Vec<String> {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, member)| match (name.as_str(), member) {
                ("$ref", Value::String(reference)) => found.push(reference.clone()),
                _ => references(member, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = serde_json::to_value(document_of("", "", table)).unwrap_or_default();
    let mut gaps = Vec::new();
    for route in table {
        let operation = &document["paths"][pattern(route.path)][route.method.as_str().to_ascii_lowercase()];
        let answers = operation["responses"].as_object();
        let succeeds = answers.is_some_and(|answers| answers.keys().any(|status| status.starts_with('2')));
        if operation["summary"].as_str().is_none_or(str::is_empty) || !succeeds {
            gaps.push(format!("{} {}", route.method, route.path));
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    gaps.extend(found.into_iter().filter(|to| document.pointer(to.trim_start_matches('#')).is_none()));
    gaps
}

fn components<A>(table: &[Route<A>]) -> Components {
    let mut schemas = Vec::new();
    contract::Problem::schemas(&mut schemas);
    schemas.push((contract::Problem::name().into_owned(), contract::Problem::schema()));
    schemas.extend(table.iter().flat_map(|route| route.description.schemas.clone()));
    let scheme =
        |kind, words: &str| SecurityScheme::Http(HttpBuilder::new().scheme(kind).description(Some(words)).build());
    ComponentsBuilder::new()
        .schemas_from_iter(schemas.into_iter().collect::<BTreeMap<_, _>>())
        .security_scheme("account", scheme(HttpAuthScheme::Basic, "E-mail address and password"))
        .security_scheme("service", scheme(HttpAuthScheme::Bearer, "The secret that services share"))
        .build()
}

fn operation<A>(route: &Route<A>) -> Operation {
    let description = &route.description;
    let tag = route.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let mut operation = OperationBuilder::new()
        .tag(tag)
        .operation_id(Some(operation_id(route)))
        .summary(Some(description.summary))
        .description(Some(words(route)));
    for name in route.path.split('/').filter_map(|segment| segment.strip_prefix(':')) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        operation = operation.parameter(parameter.schema(Some(path_schema(name))));
    }
    for parameter in &description.parameters {
        operation = operation.parameter(parameter.clone());
    }
    if route.has_body() {
        let required = if description.may_lack_body { Required::False } else { Required::True };
        let body = RequestBodyBuilder::new().required(Some(required));
        let body = description.body.iter().fold(body, |body, (media_type, schema)| {
            body.content(*media_type, ContentBuilder::new().schema(Some(schema.clone())).build())
        });
        operation = operation.request_body(Some(body.build()));
    }
    for requirement in securities(route.access) {
        operation = operation.security(requirement);
    }
    for (status, answers) in answers(route) {
        operation = operation.response(status.to_string(), response(route, &answers));
    }
    operation.build()
}

fn words<A>(route: &Route<A>) -> String {
    let who = match route.access {
        Access::Anyone => "For anybody.".to_owned(),
        Access::Optional => "For anybody; credentials that are there must be right.".to_owned(),
        Access::Bearer => "For services.".to_owned(),
        Access::Roles(roles) => format!("For {}.", join(roles)),
        Access::BearerOr(roles) => format!("For services and {}.", join(roles)),
    };
    match route.description.details {
        Some(details) => format!("{details}\n\n{who}"),
        None => who,
    }
}

fn join(roles: &[contract::Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}

/// `post_orders_id_cancel`.
fn operation_id<A>(route: &Route<A>) -> String {
    let path = route.path.replace([':', '.'], "").replace(['/', '-'], "_");
    format!("{}{path}", route.method.as_str().to_ascii_lowercase())
}

fn pattern(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Whatever ends in `id` is a UUID; the rest are names.
fn path_schema(name: &str) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    let is_id = name.to_ascii_lowercase().ends_with("id");
    if is_id { schema.format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))) } else { schema }.into()
}

fn securities(access: Access) -> Vec<SecurityRequirement> {
    let needs = |scheme: &str| SecurityRequirement::new::<_, [&str; 0], &str>(scheme, []);
    match access {
        Access::Anyone => Vec::new(),
        Access::Optional => vec![SecurityRequirement::default(), needs("account")],
        Access::Roles(_) => vec![needs("account")],
        Access::Bearer => vec![needs("service")],
        Access::BearerOr(_) => vec![needs("service"), needs("account")],
    }
}

/// By status: those that the route tells of, and those that follow from what it is.
fn answers<A>(route: &Route<A>) -> BTreeMap<u16, Vec<Answer>> {
    let mut answers: BTreeMap<u16, Vec<Answer>> = BTreeMap::new();
    for answer in &route.description.answers {
        answers.entry(answer.status).or_default().push(answer.clone());
    }
    let mut standard = |status, description| {
        answers.entry(status).or_insert_with(|| vec![Answer { status, description, content: Content::Problem }]);
    };
    if route.access != Access::Anyone {
        standard(401, "No credentials, or wrong ones");
        standard(429, "Too many wrong credentials, or too many requests");
    }
    if !matches!(route.access, Access::Anyone | Access::Optional | Access::Bearer) {
        standard(403, "Not for this account");
    }
    if route.path.contains(':') {
        standard(404, "There is no such thing");
    }
    if route.has_body() {
        standard(400, "The body is not what it says it is");
        standard(408, "The body did not arrive in time");
        standard(413, "The body is too large");
        standard(415, "The body is of another media type");
    }
    if route.has_body() || route.description.reads_query || route.description.is_paged {
        standard(422, "Well-formed, but invalid; `errors` says where");
    }
    standard(500, "A fault of ours");
    standard(503, "Starting, stopping or too busy; nothing was done");
    standard(504, "It is not known whether it was done");
    let has_whole = route
        .description
        .answers
        .iter()
        .any(|answer| answer.status == 200 && !matches!(answer.content, Content::Media("text/event-stream")));
    if route.is_safe() && has_whole {
        answers.entry(304).or_insert_with(|| {
            vec![Answer { status: 304, description: "Still what `If-None-Match` names", content: Content::Nothing }]
        });
    }
    answers
}

fn response<A>(route: &Route<A>, answers: &[Answer]) -> utoipa::openapi::Response {
    let text = || Header::new(ObjectBuilder::new().schema_type(Type::String));
    let words: Vec<_> = answers.iter().map(|answer| answer.description).collect();
    let mut response = ResponseBuilder::new().description(words.join("; or: ")).header("x-request-id", text());
    for answer in answers {
        let of = |schema: RefOr<Schema>| ContentBuilder::new().schema(Some(schema)).build();
        response = match &answer.content {
            Content::Nothing => response,
            Content::Problem => response.content(PROBLEM_JSON, of(Ref::from_schema_name("Problem").into())),
            Content::Json(schema) => response.content("application/json", of((**schema).clone())),
            // A schema here would be taken for that of each event.
            Content::Media(media_type @ "text/event-stream") => {
                response.content(*media_type, ContentBuilder::new().build())
            }
            Content::Media(media_type) => {
                response.content(*media_type, of(ObjectBuilder::new().schema_type(Type::String).into()))
            }
        };
        response = match answer.status {
            200 if route.description.is_paged => response.header("Link", text()).header("ETag", text()),
            200 if route.is_safe() => response.header("ETag", text()),
            201 | 202 => response.header("Location", text()),
            401 => response.header("WWW-Authenticate", text()),
            429 | 503 => response.header("Retry-After", text()),
            _ => response,
        };
    }
    response.build()
}

fn method<A>(route: &Route<A>) -> HttpMethod {
    match route.method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}
