//! Which keywords do schemas have, and to values of which types does each apply?

/// To which values a keyword says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// To none: it is for readers, or for references.
    Never,
    /// To values of this type.
    To(&'static str),
    /// To all values.
    Always,
}

/// The keywords of JSON Schema's drafts and of OpenAPI's schemas.
pub const KEYWORDS: &[(&str, Applies)] = &[
    ("$anchor", Applies::Never),
    ("$comment", Applies::Never),
    ("$defs", Applies::Never),
    ("$dynamicAnchor", Applies::Never),
    ("$dynamicRef", Applies::Always),
    ("$id", Applies::Never),
    ("$recursiveAnchor", Applies::Never),
    ("$recursiveRef", Applies::Always),
    ("$ref", Applies::Always),
    ("$schema", Applies::Never),
    ("$vocabulary", Applies::Never),
    ("additionalItems", Applies::To("array")),
    ("additionalProperties", Applies::To("object")),
    ("allOf", Applies::Always),
    ("anyOf", Applies::Always),
    ("const", Applies::Always),
    ("contains", Applies::To("array")),
    ("contentEncoding", Applies::To("string")),
    ("contentMediaType", Applies::To("string")),
    ("contentSchema", Applies::To("string")),
    ("default", Applies::Never),
    ("definitions", Applies::Never),
    ("dependencies", Applies::To("object")),
    ("dependentRequired", Applies::To("object")),
    ("dependentSchemas", Applies::To("object")),
    ("deprecated", Applies::Never),
    ("description", Applies::Never),
    ("discriminator", Applies::Always),
    ("disallow", Applies::Always),
    ("divisibleBy", Applies::To("number")),
    ("else", Applies::Always),
    ("enum", Applies::Always),
    ("example", Applies::Never),
    ("examples", Applies::Never),
    ("exclusiveMaximum", Applies::To("number")),
    ("exclusiveMinimum", Applies::To("number")),
    ("extends", Applies::Always),
    ("externalDocs", Applies::Never),
    ("format", Applies::To("string")),
    ("if", Applies::Always),
    ("items", Applies::To("array")),
    ("maxContains", Applies::To("array")),
    ("maxItems", Applies::To("array")),
    ("maxLength", Applies::To("string")),
    ("maxProperties", Applies::To("object")),
    ("maximum", Applies::To("number")),
    ("minContains", Applies::To("array")),
    ("minItems", Applies::To("array")),
    ("minLength", Applies::To("string")),
    ("minProperties", Applies::To("object")),
    ("minimum", Applies::To("number")),
    ("multipleOf", Applies::To("number")),
    ("not", Applies::Always),
    ("nullable", Applies::Always),
    ("oneOf", Applies::Always),
    ("pattern", Applies::To("string")),
    ("patternProperties", Applies::To("object")),
    ("prefixItems", Applies::To("array")),
    ("properties", Applies::To("object")),
    ("propertyNames", Applies::To("object")),
    ("readOnly", Applies::Never),
    ("required", Applies::To("object")),
    ("then", Applies::Always),
    ("title", Applies::Never),
    ("type", Applies::Always),
    ("unevaluatedItems", Applies::To("array")),
    ("unevaluatedProperties", Applies::To("object")),
    ("uniqueItems", Applies::To("array")),
    ("writeOnly", Applies::Never),
    ("xml", Applies::Never),
];

/// What a keyword says something about; `None` for one that no draft has.
pub fn applies(key: &str) -> Option<Applies> {
    KEYWORDS.iter().find(|(name, _)| *name == key).map(|(_, applies)| *applies)
}

/// Whether a key says nothing about values, as those that no draft has.
pub fn is_annotation(key: &str) -> bool {
    !matches!(applies(key), Some(Applies::To(_) | Applies::Always))
}
