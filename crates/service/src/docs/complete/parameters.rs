//! The precondition headers of reads and writes ([`crate::conditions`]).

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Required};

/// A list of entity tags (RFC 9110, 8.8.3 and 5.6.1). A comma separates tags, so no tag contains one.
const ENTITY_TAGS: &str = r#"[ ,]*(W/)?"[!#-+\x2d-~]*"( *,[ ,]*(W/)?"[!#-+\x2d-~]*")*[ ,]*"#;

/// Adds `If-None-Match` to operations with 304, and both preconditions to operations with 412.
pub(super) fn add_preconditions(operation: &mut Operation) {
    let responses = &operation.responses.responses;
    let (is_validated, is_guarded) = (responses.contains_key("304"), responses.contains_key("412"));
    if is_validated {
        // A read ignores a header that it cannot parse.
        add(operation, header("If-None-Match", None, "Answers 304 where the present ETag is among these, or `*`"));
    }
    if is_guarded {
        let (if_match, if_none_match) = (
            "Writes only where the present ETag is among these, or `*` where there is any; otherwise 412",
            "Writes only where the present ETag is not among these, or `*` where there is none; otherwise 412",
        );
        // Tools that generate values prefer the first alternative, and with these two the condition holds.
        add(operation, header("If-Match", Some(format!(r"^(\*|{ENTITY_TAGS})$")), if_match));
        add(operation, header("If-None-Match", Some(format!(r"^({ENTITY_TAGS}|\*)$")), if_none_match));
    }
}

fn header(name: &str, pattern: Option<String>, description: &str) -> Parameter {
    let format = pattern.is_some().then(|| SchemaFormat::Custom("entity-tags".to_owned()));
    let tags = ObjectBuilder::new().schema_type(Type::String).format(format).pattern(pattern);
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(tags))
        .build()
}

/// Adds a parameter. A parameter that is already described keeps its description.
fn add(operation: &mut Operation, mut parameter: Parameter) {
    let parameters = operation.parameters.get_or_insert_default();
    parameters.retain(|known| {
        let RefOr::T(known) = known else { return true };
        if known.name != parameter.name {
            return true;
        }
        if known.description.is_some() {
            parameter.description.clone_from(&known.description);
        }
        false
    });
    parameters.push(RefOr::T(parameter));
}
