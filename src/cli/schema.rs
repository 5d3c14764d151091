//! What the API server would refuse of an integration: unknown fields, types, patterns, CEL.

use std::collections::HashSet;
use std::sync::LazyLock;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use kube::Resource;
use kube::core::cel::{CompiledSchema, compile_schema, validate_compiled};
use serde_json::Value;

use super::yaml;
use crate::api::{SalesforceIntegration, crd};

/// Validates a document against the schema, then reads it with the schema's defaults. `text` is the
/// file that the document is from.
///
/// # Errors
/// One sentence for each thing that would be refused.
pub(crate) fn accept(document: &Value, text: &str) -> Result<SalesforceIntegration, Vec<String>> {
    let wanted = SalesforceIntegration::api_version(&());
    let version = document
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if version != wanted {
        return Err(vec![format!(
            "apiVersion: must be {wanted:?}, not {version:?}"
        )]);
    }
    if document
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        return Err(vec!["metadata.name: must be set".into()]);
    }
    let schema = &SCHEMA.value;
    let mut problems = vec![];
    if let (Some(spec), Some(spec_schema)) =
        (document.get("spec"), schema.pointer("/properties/spec"))
    {
        unknown_fields(spec, spec_schema, "spec", &mut problems);
        not_text(spec, spec_schema, "spec", text, &mut problems);
    }
    problems.extend(SCHEMA.shape(document));
    duplicates(document, schema, "", &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut resource: SalesforceIntegration =
        serde_json::from_value(without_nulls(document.clone()))
            .map_err(|error| vec![error.to_string()])?;
    resource.status = None;
    let object = serde_json::to_value(&resource).map_err(|error| vec![error.to_string()])?;
    match validate_compiled(&SCHEMA.rules, &object, None) {
        Ok(()) => Ok(resource),
        Err(errors) => Err(errors.into_iter().map(|error| error.to_string()).collect()),
    }
}

/// The schema of the resource. To compile it takes a tenth of a second, which a file of many
/// manifests pays once.
static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::compile);

struct Schema {
    value: Value,
    /// Types, required fields, lengths and enumerations; or why there are none.
    shape: Result<jsonschema::Validator, String>,
    /// `x-kubernetes-validations`.
    rules: CompiledSchema,
}

// === impl Schema ===

impl Schema {
    fn compile() -> Self {
        // The text that `crds/` holds, which a test compares with the code: to make it anew would
        // bring the schemas of all types into the program.
        let definition: Value = serde_yaml::from_str(crd::TEXT).unwrap_or_default();
        let value = definition
            .pointer("/spec/versions/0/schema/openAPIV3Schema")
            .cloned()
            .unwrap_or_default();
        Self {
            shape: jsonschema::draft4::new(&value).map_err(|error| error.to_string()),
            rules: compile_schema(&value),
            value,
        }
    }

    /// Checks types, required fields, lengths and enumerations. Returns the problems.
    fn shape(&self, document: &Value) -> Vec<String> {
        // `nullable` belongs to OpenAPI. For JSON Schema a null field is one that is not set.
        let document = without_nulls(document.clone());
        match &self.shape {
            Ok(validator) => validator
                .iter_errors(&document)
                .map(|error| sentence(&error))
                .collect(),
            Err(error) => vec![format!("the schema cannot be used: {error}")],
        }
    }
}

/// What is wrong with a field, for somebody who writes YAML.
fn sentence(error: &ValidationError<'_>) -> String {
    let mut field = error
        .instance_path()
        .to_string()
        .trim_start_matches('/')
        .replace('/', ".");
    let instance: &Value = error.instance();
    let problem = match error.kind() {
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            let dot = if field.is_empty() { "" } else { "." };
            field = format!("{field}{dot}{property}");
            "must be set".to_owned()
        }
        ValidationErrorKind::Type {
            kind: TypeKind::Single(wanted),
        } => {
            let found = match instance {
                Value::Null => "null",
                Value::Bool(_) => "a boolean",
                Value::Number(_) => "a number",
                Value::String(_) => "text",
                Value::Array(_) => "a list",
                Value::Object(_) => "an object",
            };
            match (wanted.to_string().as_str(), instance) {
                ("string", Value::Bool(_) | Value::Number(_)) => {
                    format!("must be text, and {instance} is {found}; put it in quotes")
                }
                ("string", _) => format!("must be text, and is {found}"),
                ("integer" | "number", Value::String(text)) if text.parse::<f64>().is_ok() => {
                    format!("must be a number, and {instance} is text; take the quotes off")
                }
                ("boolean", Value::String(text)) if matches!(text.as_str(), "true" | "false") => {
                    format!("must be true or false, and {instance} is text; take the quotes off")
                }
                ("integer", _) => format!("must be a whole number, and is {found}"),
                ("boolean", _) => format!("must be true or false, and is {found}"),
                ("array", _) => format!("must be a list, and is {found}"),
                ("object", _) => format!("must be an object with fields, and is {found}"),
                (wanted, _) => format!("must be of the type {wanted}, and is {found}"),
            }
        }
        ValidationErrorKind::MaxLength { limit } => {
            let length = instance.as_str().map_or(0, |text| text.chars().count());
            format!("must have at most {limit} characters, and has {length}")
        }
        ValidationErrorKind::MinLength { limit: 1 }
        | ValidationErrorKind::MinItems { limit: 1 } => "must not be empty".to_owned(),
        ValidationErrorKind::MinLength { limit } => {
            format!("must have at least {limit} characters")
        }
        ValidationErrorKind::MaxItems { limit } => {
            let length = instance.as_array().map_or(0, Vec::len);
            format!("must have at most {limit} entries, and has {length}")
        }
        ValidationErrorKind::Minimum { limit } => {
            format!("must be at least {limit}, and is {instance}")
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("must be at most {limit}, and is {instance}")
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map_or(&[][..], Vec::as_slice);
            let options: Vec<_> = options.iter().filter_map(Value::as_str).collect();
            format!("must be one of {}, not {instance}", options.join(", "))
        }
        _ => error.to_string(),
    };
    if field.is_empty() {
        problem
    } else {
        format!("{field}: {problem}")
    }
}

/// Finds text that kubectl does not take for text, since it reads YAML as of version 1.1.
fn not_text(value: &Value, schema: &Value, path: &str, file: &str, problems: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let known = schema.get("properties");
            let others = schema.get("additionalProperties");
            for (key, value) in fields {
                let schema = known.and_then(|known| known.get(key)).or(others);
                if let Some(schema) = schema {
                    not_text(value, schema, &format!("{path}.{key}"), file, problems);
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if let Some(schema) = schema.get("items") {
                    not_text(item, schema, &format!("{path}[{at}]"), file, problems);
                }
            }
        }
        Value::String(text) if schema.get("type").and_then(Value::as_str) == Some("string") => {
            let key = path.rsplit('.').next().unwrap_or_default();
            if let Some(read) = yaml::no_text_for_kubectl(key, text, file) {
                problems.push(format!(
                    "{path}: kubectl reads {text} as {read}; put it in quotes"
                ));
            }
        }
        _ => {}
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        value => value,
    }
}

fn unknown_fields(value: &Value, schema: &Value, path: &str, problems: &mut Vec<String>) {
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        for (at, item) in items.iter().enumerate() {
            unknown_fields(item, schema, &format!("{path}[{at}]"), problems);
        }
    }
    let (Some(fields), Some(known)) = (
        value.as_object(),
        schema.get("properties").and_then(Value::as_object),
    ) else {
        return;
    };
    for (key, value) in fields {
        let path = format!("{path}.{key}");
        match known.get(key) {
            Some(schema) => unknown_fields(value, schema, &path, problems),
            None => problems.push(format!(
                "{path}: unknown field; known here are {}",
                known
                    .keys()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
    }
}

/// Finds equal items of lists that the API server keeps as sets or as maps.
fn duplicates(value: &Value, schema: &Value, path: &str, problems: &mut Vec<String>) {
    if let (Some(fields), Some(known)) = (
        value.as_object(),
        schema.get("properties").and_then(Value::as_object),
    ) {
        for (key, value) in fields {
            let Some(schema) = known.get(key) else {
                continue;
            };
            let dot = if path.is_empty() { "" } else { "." };
            duplicates(value, schema, &format!("{path}{dot}{key}"), problems);
        }
    }
    let (Some(items), Some(item_schema)) = (value.as_array(), schema.get("items")) else {
        return;
    };
    let keys = schema.get("x-kubernetes-list-map-keys");
    let keys = keys.and_then(Value::as_array);
    let is_set = schema.get("x-kubernetes-list-type").and_then(Value::as_str) == Some("set");
    let mut seen = HashSet::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let identity = match keys {
            Some(keys) => keys
                .iter()
                .filter_map(Value::as_str)
                .map(|key| format!("{key}: {}", item.get(key).unwrap_or(&Value::Null)))
                .collect::<Vec<_>>()
                .join(", "),
            None => item.to_string(),
        };
        if (is_set || keys.is_some()) && !seen.insert(identity.clone()) {
            problems.push(format!("{path}: stands there twice: {identity}"));
        }
        duplicates(item, item_schema, &path, problems);
    }
}
