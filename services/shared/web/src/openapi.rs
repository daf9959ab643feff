//! What every OpenAPI document here has in common.

use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::{OpenApi, RefOr};

/// The document with every object closed: what it does not list, no answer has and no request may. A derived schema is only closed where
/// serde refuses unknown fields, which says nothing of answers.
#[must_use]
pub fn closed(mut document: OpenApi) -> OpenApi {
    let components = document.components.iter_mut();
    for schema in components.flat_map(|components| components.schemas.values_mut()) {
        if let RefOr::T(Schema::Object(object)) = schema
            && !object.properties.is_empty()
        {
            let closed = AdditionalProperties::FreeForm(false);
            object.additional_properties.get_or_insert(Box::new(closed));
        }
    }
    document
}
