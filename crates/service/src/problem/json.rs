//! The JSON of a problem, and its schema in the API's description.

use serde::{Serialize, Serializer};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{FieldError, Problem};

#[derive(Serialize, ToSchema)]
struct ProblemJson<'a> {
    /// The stable name of the kind, a relative reference to its explanation.
    #[schema(example = "/problems/invalid-fields")]
    r#type: &'a str,
    /// The title of the kind.
    title: &'a str,
    /// The status of the response.
    #[schema(example = 422)]
    status: u16,
    /// The description of this occurrence.
    detail: &'a str,
    /// The fields that cannot be used.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ProblemJson {
            r#type: &self.kind.uri(),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        }
        .serialize(serializer)
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        ProblemJson::schema()
    }
}

impl ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ProblemJson::schemas(schemas);
    }
}
