//! Values for the fields of a definition, out of its schema: valid ones, those at a boundary, and
//! those that are to be refused. Tests make sequences of changes of them, in played worlds and on
//! the real API server.

use serde_json::{Map, Value, json};

/// A field of the spec, and values for it.
#[derive(Clone, Debug)]
pub struct Field {
    /// Where it is in the spec, such as `/contacts/dailyAt`.
    pub path: String,
    /// Values, valid or not.
    pub values: Vec<Value>,
}

/// A new value of a field of the spec.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where it is in the spec, such as `/contacts/dailyAt`.
    pub path: String,
    /// What it becomes.
    pub value: Value,
}

// === impl Change ===

impl Change {
    /// Makes the change in this spec. What is on the way to the field and is no object becomes one.
    pub fn make(&self, spec: &mut Value) {
        let mut at = spec;
        for part in self.path.trim_start_matches('/').split('/') {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[part];
        }
        *at = self.value.clone();
    }

    /// Whether one of the two is about a part of what the other one is about, so that they cannot
    /// both be made.
    pub fn overlaps(&self, other: &Self) -> bool {
        let within = |inner: &str, outer: &str| {
            let rest = inner.strip_prefix(outer);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        within(&self.path, &other.path) || within(&other.path, &self.path)
    }
}

/// The fields below `spec` of a CustomResourceDefinition with one version, but for those whose
/// paths are `fixed`.
pub fn fields(definition: &Value, fixed: &[&str]) -> Vec<Field> {
    fn walk(path: &str, schema: &Value, fixed: &[&str], found: &mut Vec<Field>) {
        let values = values(path, schema);
        if !values.is_empty() && !fixed.contains(&path) {
            found.push(Field {
                path: path.to_owned(),
                values,
            });
        }
        let parts = schema.get("properties").and_then(Value::as_object);
        for (name, part) in parts.into_iter().flatten() {
            walk(&format!("{path}/{name}"), part, fixed, found);
        }
    }
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let mut found = vec![];
    if let Some(schema) = definition.pointer(spec) {
        walk("", schema, fixed, &mut found);
    }
    found
}

/// The values of a field, by its name and its part of the schema.
fn values(path: &str, schema: &Value) -> Vec<Value> {
    let texts = |all: &[&str]| all.iter().copied().map(Value::from).collect();
    let mut values: Vec<Value> = match path.rsplit('/').next().unwrap_or_default() {
        "interval" => texts(&["1m", "59s", "24h", "25h", "1h30m", "0m", "m", "90m", "１h"]),
        "dailyAt" => texts(&["00:00", "23:59", "24:00", "2:00", "02:30", "12:60"]),
        "timeZone" => texts(&[
            "UTC",
            "America/New_York",
            "Asia/Tokio",
            "Europe/Dublin",
            "Asia/Kathmandu",
            "",
            "Local",
        ]),
        "lookupEvery" | "followEvery" => texts(&["1m", "1h", "60m", "7m", "0m", "30m", "61m"]),
        "history" => texts(&["1d", "30d", "0d", "365d", "9999d", "d"]),
        "region" => texts(&["JP", "US", "XX", "jp", "GB", "001"]),
        "apiVersion" => texts(&["50.0", "65.0", "20.0", "7.0", "999.0", "50"]),
        "loginUrl" => texts(&[
            "https://acme.my.salesforce.com",
            "http://acme.my.salesforce.com",
            "https://evil.example",
            "https://test.salesforce.com",
            "https://login.salesforce.com/x",
            "https://10.0.0.1",
        ]),
        "auth" => {
            let secret = json!({"name": "of-another-method"});
            let user = json!({"username": "other@acme.example", "secretRef": secret});
            vec![
                json!({}),
                json!({"oauthPassword": user}),
                json!({"jwtBearer": user}),
                json!({"clientCredentials": {"secretRef": secret}}),
                json!({"password": user, "jwtBearer": user}),
            ]
        }
        "username" => texts(&[
            "other@acme.example",
            "nobody",
            "a@b\u{200b}",
            "INTEGRATION@tenant.example",
        ]),
        "cpu" => texts(&["100m", "2", "0", "-1", "1e3", "x"]),
        "memory" => texts(&["64Mi", "1Gi", "1", "0", "100Ti", "64M i"]),
        "maxRecords" => vec![json!(1), json!(1_000), json!(100_000_000), json!(0)],
        "retainDays" => vec![json!(1), json!(9999), json!(10_000), json!(0)],
        "dailyPercent" => vec![json!(0), json!(1), json!(100), json!(101)],
        "callCenters" => vec![
            json!([]),
            json!([{"name": "support", "users": ["sato@acme.example"]}]),
            json!([{"name": "support", "users": []}, {"name": "support", "users": []}]),
            json!([{"name": " ", "users": ["a"]}]),
        ],
        "labels" | "annotations" | "nodeSelector" => vec![
            json!({}),
            json!({"team": "x"}),
            json!({"app.kubernetes.io/managed-by": "me"}),
            json!({"switchboard.dev/run": "lookup"}),
            json!({"not a key": "x"}),
        ],
        "tolerations" => vec![
            json!([{"key": "a", "operator": "Exists"}]),
            json!([{"key": "a", "operator": "Exists", "value": "x"}]),
            json!([{"key": ""}]),
        ],
        "email" => vec![
            json!(["it@acme.example"]),
            json!([]),
            json!(["a"]),
            json!(["it@acme.example", "it@acme.example"]),
        ],
        "name" => texts(&["other", "Other", "", "gone-directory"]),
        _ => vec![],
    };
    let listed = schema.get("enum").and_then(Value::as_array);
    values.extend(listed.into_iter().flatten().cloned());
    let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
    match schema.get("type").and_then(Value::as_str) {
        Some("boolean") => values.extend([json!(true), json!(false), json!("true")]),
        Some("string") => {
            let longest = limit("maxLength").unwrap_or(299) as usize;
            values.extend([json!("x".repeat(longest + 1)), json!(7)]);
        }
        Some("integer") => values.extend([json!(-1), json!(u32::MAX), json!("7")]),
        Some("object") => {
            let many = |count: u64| {
                let entries = (0..count).map(|at| (format!("key-{at}"), json!("x")));
                Value::Object(entries.collect::<Map<_, _>>())
            };
            let most = limit("maxProperties");
            values.extend(
                most.into_iter()
                    .flat_map(|most| [many(most), many(most + 1)]),
            );
        }
        _ => {}
    }
    if schema.get("nullable") == Some(&json!(true)) {
        values.push(Value::Null);
    }
    values
}
