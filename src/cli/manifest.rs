//! Manifests from files, read as kubectl reads them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD as STANDARD, Engine};
use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt};
use serde::Deserialize;
use serde_json::Value;

use super::schema::accept;
use super::{FlagError, yaml};
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
    /// A file cannot be written.
    #[error(
        "{}: the file cannot be written; check that its folder is there, that you may write there, and that the disk is not full",
        path.display()
    )]
    Unwritable {
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
    /// Each with the text of its file.
    integrations: Vec<(Value, Arc<str>)>,
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
            manifests.sort_all_in(&text_of(path)?, path)?;
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
        manifests.sort_all_in(text, Path::new("-"))?;
        Ok(manifests)
    }

    fn sort_all_in(&mut self, text: &str, path: &Path) -> Result<(), BadInput> {
        let file: Arc<str> = text.into();
        for document in documents_in(text, path)? {
            self.sort_in(document, &file)?;
        }
        Ok(())
    }

    fn sort_in(&mut self, document: Value, file: &Arc<str>) -> Result<(), BadInput> {
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
                    self.sort_in(item, file)?;
                }
            }
            ("v1", "Secret") => self.secrets.push(secret(document, file)?),
            (_, kind) if kind == SalesforceIntegration::kind(&()) => {
                self.integrations.push((document, Arc::clone(file)));
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
        let named = |(document, _): &&(Value, Arc<str>)| {
            name.is_none() || document.pointer("/metadata/name").and_then(Value::as_str) == name
        };
        let found: Vec<_> = self.integrations.iter().filter(named).collect();
        match found.as_slice() {
            [(document, file)] => accept(document, file).map_err(BadInput::Refused),
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
    ///
    /// # Errors
    /// Why there is none, and what to do, as the end of a sentence about the Secret.
    pub fn secret(&self, name: &str, namespace: Option<&str>) -> Result<Secret, String> {
        let mut elsewhere = None;
        for secret in self.secrets.iter().filter(|its| its.name_any() == name) {
            match (secret.namespace(), namespace) {
                (Some(its), Some(wanted)) if its != wanted => elsewhere = Some((its, wanted)),
                _ => return Ok(secret.clone()),
            }
        }
        Err(match elsewhere {
            Some((its, wanted)) => format!(
                "is of the namespace {its:?} in the files, and the integration of {wanted:?}; it is read in the namespace of the integration, put it there"
            ),
            None => "is in none of the files; add it to the file or name it with --secret-file"
                .to_owned(),
        })
    }
}

fn text_of(path: &Path) -> Result<String, BadInput> {
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
    Ok(text)
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
fn secret(mut document: Value, file: &str) -> Result<Secret, BadInput> {
    let name = document
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let bad = |problem: String| BadInput::Secret {
        name: name.clone(),
        problem,
    };
    for field in ["data", "stringData"] {
        let Some(values) = document.get_mut(field) else {
            continue;
        };
        if values.is_null() {
            continue;
        }
        let values = values.as_object_mut().ok_or_else(|| {
            bad(format!(
                "{field} must hold keys, each with its value as text"
            ))
        })?;
        for (key, value) in values {
            match value {
                Value::String(text) => {
                    if yaml::no_text_for_kubectl(key, text, file).is_some() {
                        return Err(bad(format!(
                            "{field}.{key} is no text for kubectl, as it has no quotes; put it in quotes"
                        )));
                    }
                    if field == "data" {
                        // The API server reads base64 over several lines, as base64(1) writes it.
                        text.retain(|c| !matches!(c, '\r' | '\n'));
                        if STANDARD.decode(text.as_bytes()).is_err() {
                            return Err(bad(format!(
                                "data.{key} is not base64; encode it, or write the plain value under stringData"
                            )));
                        }
                    }
                }
                // A null is an empty value.
                Value::Null => *value = Value::String(String::new()),
                Value::Bool(_) | Value::Number(_) => {
                    return Err(bad(format!(
                        "{field}.{key} is a number or a boolean and must be text; put it in quotes"
                    )));
                }
                Value::Array(_) | Value::Object(_) => {
                    return Err(bad(format!("{field}.{key} must be text")));
                }
            }
        }
    }
    let mut secret: Secret = serde_json::from_value(document)
        .map_err(|_| bad("it is no Secret as kubectl takes it".to_owned()))?;
    for (key, text) in secret.string_data.take().unwrap_or_default() {
        secret
            .data
            .get_or_insert_default()
            .insert(key, k8s_openapi::ByteString(text.into_bytes()));
    }
    Ok(secret)
}
