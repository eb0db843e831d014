//! What a route says of itself for OpenAPI: its bodies, parameters and answers, by the types that the code reads and writes.

use http::Method;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Required, Schema};
use utoipa::{IntoParams, ToSchema};

use super::Route;

type Schemas = Vec<(String, RefOr<Schema>)>;

/// A route's description, filled by the builder methods of [`Route`].
#[derive(Clone, Default)]
pub(crate) struct Description {
    pub(crate) summary: &'static str,
    pub(crate) details: Option<&'static str>,
    /// Media types of the body, each with its schema.
    pub(crate) body: Vec<(&'static str, RefOr<Schema>)>,
    pub(crate) may_lack_body: bool,
    pub(crate) reads_query: bool,
    pub(crate) is_paged: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) answers: Vec<Answer>,
    /// What the references above refer to.
    pub(crate) schemas: Schemas,
}

/// One answer of a route.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) description: &'static str,
    pub(crate) content: Content,
}

/// What is in the body of an answer.
#[derive(Clone)]
pub(crate) enum Content {
    Nothing,
    Problem,
    Json(Box<RefOr<Schema>>),
    Media(&'static str),
}

/// Documentation. Standard answers (401, 403, 404, 413, 415, 422, 429, 503 …) follow from the route itself and are not said here.
impl<A> Route<A> {
    /// What it does, in a few words. Every route has one.
    #[must_use]
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.description.summary = summary;
        self
    }

    /// What a caller must know beyond that.
    #[must_use]
    pub fn details(mut self, details: &'static str) -> Self {
        self.description.details = Some(details);
        self
    }

    /// It reads a JSON body of this type.
    #[must_use]
    pub fn accepts<T: ToSchema>(mut self) -> Self {
        let schema = self.refer::<T>();
        self.description.body.push(("application/json", schema));
        self
    }

    /// It reads a JSON body of this type, where there is one.
    #[must_use]
    pub fn may_accept<T: ToSchema>(self) -> Self {
        let mut route = self.accepts::<T>();
        route.description.may_lack_body = true;
        route
    }

    /// It reads a query of this type.
    #[must_use]
    pub fn query<T: IntoParams>(mut self) -> Self {
        self.description.reads_query = true;
        self.description.parameters.extend(T::into_params(|| Some(ParameterIn::Query)));
        self
    }

    /// It answers a list in pages: `?limit=`, `?cursor=` and `Link`.
    #[must_use]
    pub fn paged(mut self) -> Self {
        let limit = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(1_000));
        let query = |name: &str, schema: ObjectBuilder, description: &str| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            parameter.required(Required::False).schema(Some(schema)).description(Some(description)).build()
        };
        let cursor = ObjectBuilder::new().schema_type(Type::String);
        self.description.parameters.push(query("limit", limit.default(Some(100.into())), "The most to answer"));
        self.description.parameters.push(query("cursor", cursor, "Where the page before ended: from its `Link`"));
        self.description.is_paged = true;
        self
    }

    /// It heeds a request header, where it is there.
    #[must_use]
    pub fn header_param(mut self, name: &'static str, description: &'static str) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
        self.description.parameters.push(parameter.schema(Some(text)).description(Some(description)).build());
        self
    }

    /// It answers JSON of this type.
    #[must_use]
    pub fn answers<T: ToSchema>(mut self, status: u16, description: &'static str) -> Self {
        let schema = self.refer::<T>();
        self.push(status, description, Content::Json(Box::new(schema)))
    }

    /// It answers a JSON array of this type.
    #[must_use]
    pub fn answers_list<T: ToSchema>(mut self, status: u16, description: &'static str) -> Self {
        let items = self.refer::<T>();
        self.push(status, description, Content::Json(Box::new(ArrayBuilder::new().items(items).into())))
    }

    /// It answers without a body.
    #[must_use]
    pub fn answers_empty(self, status: u16, description: &'static str) -> Self {
        self.push(status, description, Content::Nothing)
    }

    /// It answers server-sent events.
    #[must_use]
    pub fn answers_events(self, description: &'static str) -> Self {
        self.push(200, description, Content::Media("text/event-stream"))
    }

    /// It answers 200 with a body of another media type.
    #[must_use]
    pub fn answers_media(self, media_type: &'static str, description: &'static str) -> Self {
        self.push(200, description, Content::Media(media_type))
    }

    /// It refuses with a problem, beyond the standard ones.
    #[must_use]
    pub fn refuses(self, status: u16, description: &'static str) -> Self {
        self.push(status, description, Content::Problem)
    }

    pub(super) fn media_body(&mut self, media_types: &'static [&'static str]) {
        let text: RefOr<Schema> = ObjectBuilder::new().schema_type(Type::String).into();
        self.description.body.extend(media_types.iter().map(|media_type| (*media_type, text.clone())));
    }

    fn push(mut self, status: u16, description: &'static str, content: Content) -> Self {
        self.description.answers.push(Answer { status, description, content });
        self
    }

    fn refer<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let name = T::name().into_owned();
        T::schemas(&mut self.description.schemas);
        self.description.schemas.push((name.clone(), T::schema()));
        RefOr::Ref(Ref::from_schema_name(name))
    }

    /// Whether it reads a body.
    pub(crate) fn has_body(&self) -> bool {
        !self.description.body.is_empty()
    }

    /// Whether it only reads.
    pub(crate) fn is_safe(&self) -> bool {
        self.method == Method::GET
    }
}
