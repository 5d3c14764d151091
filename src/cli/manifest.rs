//! Manifests from files, validated as the API server does it: unknown fields, types, patterns, CEL.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::Secret;
use kube::core::cel::{CompiledSchema, compile_schema, validate_compiled};
use kube::{CustomResourceExt, Resource, ResourceExt};
use serde::Deserialize;
use serde_json::Value;

use super::FlagError;
use crate::api::{InvalidField, SalesforceIntegration};
use crate::error::CauseText;

/// The reason why the files cannot be used, as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum BadInput {
    /// A file cannot be read.
    #[error(
        "{}: the file cannot be read; check that it is there and that you may read it",
        path.display()
    )]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// A file is not YAML.
    #[error("{}: not YAML; write the manifests as kubectl takes them", path.display())]
    Yaml {
        /// Path of the file.
        path: PathBuf,
        /// Line and column of the error.
        #[source]
        place: CauseText,
    },
    /// The file holds no integration, none with the requested name, or several to choose from.
    #[error("{0}")]
    Missing(String),
    /// A Secret is malformed. The message never shows a value.
    #[error("Secret {name:?}: {problem}")]
    Secret {
        /// Name of the Secret.
        name: String,
        /// Description of the problem.
        problem: String,
    },
    /// The API server would refuse the integration.
    #[error("{}", list(.0))]
    Refused(Vec<String>),
    /// A flag is unusable.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// A field of the integration is unusable.
    #[error(transparent)]
    Field(#[from] InvalidField),
    /// Two flags read standard input.
    #[error("--numbers - and -f - cannot both read standard input")]
    StandardInput,
}

fn list(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        many => format!("the resource would be refused:\n  {}", many.join("\n  ")),
    }
}

/// The manifests in the files.
pub struct Manifests {
    file: PathBuf,
    integrations: Vec<Value>,
    secrets: Vec<Secret>,
}

// === impl Manifests ===

impl Manifests {
    /// Reads the files.
    ///
    /// # Errors
    /// When a file does not exist, is not YAML, or holds a malformed Secret.
    pub fn read(file: &Path, secret_file: Option<&Path>) -> Result<Self, BadInput> {
        let mut manifests = Self {
            file: file.to_owned(),
            integrations: vec![],
            secrets: vec![],
        };
        for path in [Some(file), secret_file].into_iter().flatten() {
            for document in documents(path)? {
                manifests.sort_in(document)?;
            }
        }
        Ok(manifests)
    }

    /// Reads the documents of a text: the entrance for the fuzzer.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of_text(text: &str) -> Result<Self, BadInput> {
        let mut manifests = Self {
            file: PathBuf::from("-"),
            integrations: vec![],
            secrets: vec![],
        };
        for document in documents_in(text, &manifests.file)? {
            manifests.sort_in(document)?;
        }
        Ok(manifests)
    }

    fn sort_in(&mut self, document: Value) -> Result<(), BadInput> {
        let text = |key: &str| {
            document
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        match (text("apiVersion"), text("kind")) {
            ("v1", "List") => {
                for item in document
                    .get("items")
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default()
                {
                    self.sort_in(item)?;
                }
            }
            ("v1", "Secret") => self.secrets.push(secret(document)?),
            (_, kind) if kind == SalesforceIntegration::kind(&()) => {
                self.integrations.push(document)
            }
            _ => {}
        }
        Ok(())
    }

    /// The integration with this name, or the only one, as the API server would accept it.
    ///
    /// # Errors
    /// When there is none, there are several to choose from, or the schema refuses it.
    pub fn integration(&self, name: Option<&str>) -> Result<SalesforceIntegration, BadInput> {
        let named = |document: &&Value| {
            name.is_none() || document.pointer("/metadata/name").and_then(Value::as_str) == name
        };
        let found: Vec<&Value> = self.integrations.iter().filter(named).collect();
        match found.as_slice() {
            [one] => accept(one),
            [] => Err(BadInput::Missing(match name {
                Some(name) => format!(
                    "{}: holds no SalesforceIntegration {name:?}",
                    self.file.display()
                ),
                None => format!(
                    "{}: holds no SalesforceIntegration; name the file that you would apply",
                    self.file.display()
                ),
            })),
            many => Err(BadInput::Missing(format!(
                "{}: holds {} SalesforceIntegrations; choose one with --name",
                self.file.display(),
                many.len()
            ))),
        }
    }

    /// The Secret with this name. The namespaces must be equal where both are given.
    pub fn secret(&self, name: &str, namespace: Option<&str>) -> Option<Secret> {
        self.secrets
            .iter()
            .find(|secret| {
                let same_place = match (secret.namespace(), namespace) {
                    (Some(its), Some(wanted)) => its == wanted,
                    _ => true,
                };
                secret.name_any() == name && same_place
            })
            .cloned()
    }
}

fn documents(path: &Path) -> Result<Vec<Value>, BadInput> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::File::open(path)
            .and_then(|mut file| file.read_to_string(&mut text))
            .map(drop)
    }
    .map_err(|source| BadInput::File {
        path: path.to_owned(),
        source,
    })?;
    documents_in(&text, path)
}

fn documents_in(text: &str, path: &Path) -> Result<Vec<Value>, BadInput> {
    let parsed: Result<Vec<Value>, _> = serde_yaml::Deserializer::from_str(text)
        .map(Value::deserialize)
        .collect();
    let documents = parsed.map_err(|error| BadInput::Yaml {
        path: path.to_owned(),
        place: place(&error),
    })?;
    Ok(documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect())
}

/// The position of the error, without a quote of the YAML: it may hold a password.
fn place(error: &serde_yaml::Error) -> CauseText {
    match error.location() {
        Some(at) => format!("line {}, column {}", at.line(), at.column()).into(),
        None => "it cannot be parsed".into(),
    }
}

/// Reads a Secret as the API server would store it: `stringData` overrides `data`.
fn secret(document: Value) -> Result<Secret, BadInput> {
    let name = document
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mut secret: Secret = serde_json::from_value(document).map_err(|_| BadInput::Secret {
        name: name.clone(),
        problem: "data must be base64 text and stringData text, by key".into(),
    })?;
    for (key, text) in secret.string_data.take().unwrap_or_default() {
        secret
            .data
            .get_or_insert_default()
            .insert(key, k8s_openapi::ByteString(text.into_bytes()));
    }
    Ok(secret)
}

/// Validates a document against the schema, then reads it with the schema's defaults.
fn accept(document: &Value) -> Result<SalesforceIntegration, BadInput> {
    let wanted = SalesforceIntegration::api_version(&());
    let version = document
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if version != wanted {
        return Err(BadInput::Refused(vec![format!(
            "apiVersion: must be {wanted:?}, not {version:?}"
        )]));
    }
    if document
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        return Err(BadInput::Refused(vec!["metadata.name: must be set".into()]));
    }
    let schema = &SCHEMA.value;
    let mut problems = vec![];
    if let (Some(spec), Some(spec_schema)) =
        (document.get("spec"), schema.pointer("/properties/spec"))
    {
        unknown_fields(spec, spec_schema, "spec", &mut problems);
    }
    problems.extend(SCHEMA.shape(document));
    duplicates(document, schema, "", &mut problems);
    if !problems.is_empty() {
        return Err(BadInput::Refused(problems));
    }
    let mut resource: SalesforceIntegration =
        serde_json::from_value(without_nulls(document.clone()))
            .map_err(|error| BadInput::Refused(vec![error.to_string()]))?;
    resource.status = None;
    let object = serde_json::to_value(&resource)
        .map_err(|error| BadInput::Refused(vec![error.to_string()]))?;
    if let Err(errors) = validate_compiled(&SCHEMA.rules, &object, None) {
        return Err(BadInput::Refused(
            errors.into_iter().map(|error| error.to_string()).collect(),
        ));
    }
    Ok(resource)
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
        let value = schema();
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
                .map(|error| {
                    let field = error
                        .instance_path()
                        .to_string()
                        .trim_start_matches('/')
                        .replace('/', ".");
                    if field.is_empty() {
                        error.to_string()
                    } else {
                        format!("{field}: {error}")
                    }
                })
                .collect(),
            Err(error) => vec![format!("the schema cannot be used: {error}")],
        }
    }
}

fn schema() -> Value {
    let definition = serde_json::to_value(SalesforceIntegration::crd()).unwrap_or_default();
    definition
        .pointer("/spec/versions/0/schema/openAPIV3Schema")
        .cloned()
        .unwrap_or_default()
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
