//! The table of values in the chart's README, generated from the comments in `values.yaml`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{chart, same_as_file};

const BEGIN: &str = "<!-- values -->\n";
const END: &str = "<!-- end of values -->";

/// One value: path, default as JSON, and the comment above it.
struct Row {
    path: String,
    default: String,
    says: String,
}

fn values() -> (String, Value) {
    let text = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let values = serde_yaml::from_str(&text).unwrap();
    (text, values)
}

/// Rows in file order: each `# --` comment belongs to the key below it.
fn rows() -> Vec<Row> {
    let (text, values) = values();
    let mut rows = vec![];
    let mut path: Vec<&str> = vec![];
    let mut says: Option<String> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        if let Some(comment) = bare.strip_prefix("# -- ") {
            says = Some(comment.to_owned());
        } else if let Some(more) = bare.strip_prefix("# ") {
            if let Some(says) = &mut says {
                says.push(' ');
                says.push_str(more);
            }
        } else if let Some((key, _)) = bare.split_once(':').filter(|_| !bare.starts_with('-')) {
            let depth = (line.len() - bare.len()) / 2;
            if let Some(says) = says.take() {
                path.truncate(depth);
                path.push(key);
                let default = &values.pointer(&format!("/{}", path.join("/"))).unwrap();
                rows.push(Row {
                    path: path.join("."),
                    default: default.to_string(),
                    says,
                });
            } else if depth <= path.len() {
                path.truncate(depth);
                path.push(key);
            }
        }
    }
    rows
}

#[test]
fn the_table_in_the_readme_is_what_values_yaml_says() {
    let file = chart().join("README.md");
    let readme = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let mut table = String::from("| value | default | meaning |\n|---|---|---|\n");
    for row in rows() {
        let says = row.says.replace('|', "\\|");
        table += &format!("| `{}` | `{}` | {says} |\n", row.path, row.default);
    }
    same_as_file(&file, &format!("{before}{BEGIN}{table}{END}{after}"));
}

/// Collects the paths in the schema, down to objects that accept anything or have no further
/// description.
fn known(schema: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        if schema.get("properties").is_some() && !["resources", "issuerRef"].contains(&key.as_str())
        {
            known(schema, &path, found);
        } else {
            found.insert(path);
        }
    }
}

#[test]
fn every_value_is_described_and_known_to_the_schema_and_nothing_else_is() {
    let schema = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut known_paths = BTreeSet::new();
    known(&schema, "", &mut known_paths);
    // Helm passes this value to every subchart.
    assert!(known_paths.remove("global"));
    let described: BTreeSet<String> = rows().into_iter().map(|row| row.path).collect();
    assert_eq!(described, known_paths);
}

#[test]
fn the_schema_is_closed_wherever_it_lists_keys() {
    fn open(schema: &Value, path: &str, found: &mut Vec<String>) {
        if schema.get("properties").is_some()
            && schema["additionalProperties"] != Value::Bool(false)
        {
            found.push(path.to_owned());
        }
        for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
            open(schema, &format!("{path}/{key}"), found);
        }
    }
    let schema = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let mut found = vec![];
    open(&serde_json::from_str(&schema).unwrap(), "", &mut found);
    assert!(found.is_empty(), "{found:?}");
}
