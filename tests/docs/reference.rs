//! docs/reference.md: every field of the resource, generated from the CRD that the API server gets.

use std::fmt::Write as _;

use kube::CustomResourceExt as _;
use serde_json::{Map, Value};
use switchboard::api::SalesforceIntegration;

use crate::assert_generated;

const HEAD: &str = "\
# SalesforceIntegration, field by field

<!-- Generated from the CustomResourceDefinition by `make docs`; edit the doc comments in src/api/ instead. -->

`kubectl explain sfi.spec.contacts` prints the meaning of the same fields from a cluster, `--recursive` their names and types. Group `switchboard.dev`, version `v1alpha1`, short name `sfi`.
What a rule refuses is refused by `kubectl apply`, with the sentence that stands here.
";

#[test]
fn the_reference_is_the_one_of_the_code() {
    let crd = serde_json::to_value(SalesforceIntegration::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut page = HEAD.to_owned();
    rules(&mut page, schema);
    for part in ["spec", "status"] {
        object(&mut page, part, &schema["properties"][part]);
    }
    assert_generated("docs/reference.md", &page);
}

/// Writes a section for an object, then one for each object in it.
fn object(page: &mut String, path: &str, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let _ = write!(page, "\n## {path}\n\n{}\n\n", text(schema));
    page.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
    for (name, field) in properties {
        let _ = writeln!(
            page,
            "| `{name}` | {} | {} | {}{} |",
            type_of(path, name, field),
            default_of(schema, name, field),
            cell(&text(field)),
            constraints(field),
        );
    }
    rules(page, schema);
    for (name, field) in properties {
        let (suffix, inner) = match field.get("items") {
            Some(items) => ("[]", items),
            None => ("", field),
        };
        if !kubernetes_own(name) {
            object(page, &format!("{path}.{name}{suffix}"), inner);
        }
    }
}

/// Whether the field has a type of Kubernetes itself, which is documented there.
fn kubernetes_own(name: &str) -> bool {
    name == "conditions"
}

fn rules(page: &mut String, schema: &Value) {
    let messages = messages(schema);
    if !messages.is_empty() {
        page.push_str("\nRefused unless:\n\n");
        for message in messages {
            let _ = writeln!(page, "- {message}");
        }
    }
}

fn messages(schema: &Value) -> Vec<&str> {
    schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|rule| rule["message"].as_str())
        .collect()
}

fn text(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn type_of(path: &str, name: &str, field: &Value) -> String {
    let plain = |schema: &Value| match (schema["format"].as_str(), schema["type"].as_str()) {
        (Some("date-time"), _) => "time".to_owned(),
        (_, Some(type_)) => type_.to_owned(),
        _ => "any".to_owned(),
    };
    let link = |suffix: &str, label: &str| {
        let anchor = format!("{path}.{name}{suffix}").to_lowercase();
        let anchor: String = anchor
            .chars()
            .filter(|c| c.is_ascii_alphanumeric())
            .collect();
        format!("[{label}](#{anchor})")
    };
    match field.get("items") {
        Some(_) if kubernetes_own(name) => "list of conditions".into(),
        Some(items) if items.get("properties").is_some() => link("", "list of objects"),
        Some(items) => format!("list of {}", plain(items)),
        None if field.get("properties").is_some() => link("", "object"),
        None => plain(field),
    }
}

fn default_of(parent: &Value, name: &str, field: &Value) -> String {
    let required = parent["required"]
        .as_array()
        .is_some_and(|required| required.iter().any(|field| field == name));
    match field.get("default") {
        Some(Value::Object(_)) => "as below".into(),
        Some(Value::Array(items)) if items.is_empty() => String::new(),
        Some(value) => format!("`{value}`"),
        None if required => "required".into(),
        None => String::new(),
    }
}

/// The limits of the schema for one field, in a few words.
fn constraints(field: &Value) -> String {
    let mut words: Vec<String> = vec![];
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> = values
            .iter()
            .filter_map(Value::as_str)
            .map(|value| format!("`{value}`"))
            .collect();
        words.push(format!("One of {}.", values.join(", ")));
    }
    words.extend(bounds(field.as_object()));
    // The rules of an object are in its own section.
    let own = if field.get("properties").is_some() {
        vec![]
    } else {
        messages(field)
    };
    words.extend(
        own.into_iter()
            .map(|message| format!("It {}.", cell(message))),
    );
    words.iter().map(|word| format!(" {word}")).collect()
}

fn bounds(field: Option<&Map<String, Value>>) -> Vec<String> {
    let number = |key: &str| {
        field
            .and_then(|field| field.get(key))
            .and_then(Value::as_f64)
    };
    [("minimum", "At least"), ("maximum", "At most")]
        .into_iter()
        .filter_map(|(key, word)| number(key).map(|bound| format!("{word} {bound}.")))
        .chain(number("maxLength").map(|most| format!("At most {most} characters.")))
        .chain(number("maxItems").map(|most| format!("At most {most} entries.")))
        .collect()
}

/// Text in a form that stays in its cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

/// What `switchboard crds` prints is what `kubectl apply -f crds/` and the chart install.
#[test]
fn both_files_of_the_definition_are_what_the_program_prints() {
    let definition = switchboard::api::crd::yaml().unwrap();
    assert_generated("crds/salesforceintegrations.yaml", &definition);
    assert_generated(
        "charts/switchboard/files/salesforceintegrations.yaml",
        &definition,
    );
}
