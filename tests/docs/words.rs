//! Words in backquotes exist: a reader takes them for flags, values, metrics, annotations, routes,
//! fields, reasons or files, and copies them.

use std::collections::BTreeSet;
use std::process::Command;

use kube::CustomResourceExt as _;
use serde_json::Value;
use switchboard::api::{SalesforceIntegration, conditions};
use switchboard::reason::Reason;
use switchboard_testbed::pages::pages;

use crate::links::{is_file, looks_like_a_file};
use crate::{files, root};

/// Flags of other programs that pages name by themselves.
const FLAGS: [&str; 13] = [
    "--atomic",
    "--create-namespace",
    "--dry-run",
    "--field-selector",
    "--is-upgrade",
    "--previous",
    "--recursive",
    "--reset-then-reuse-values",
    "--server-side",
    "--storage.local.path",
    "--take-ownership",
    "--test",
    "--wait",
];

/// Names of Kubernetes, Salesforce, the phone platform and other programs, which look like reasons.
const NAMES: &str = include_str!("names.txt");

/// What is there to be named.
struct House {
    flags: BTreeSet<String>,
    values: Value,
    resource: Value,
    routes: Vec<String>,
    /// All sources, in which keys and annotations stand as text.
    code: String,
    /// The sources that count.
    metrics: String,
    names: BTreeSet<String>,
}

fn program(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The flags of every subcommand, as its help names them.
fn flags() -> BTreeSet<String> {
    let roles = [
        &["controller"][..],
        &["directory"],
        &["directory", "purge"],
        &["worker", "sync"],
        &["worker", "lookup"],
        &["check"],
        &["lookup"],
        &["status"],
        &["explain"],
        &["selftest"],
        &["crds"],
        &["permission-set"],
    ];
    let mut found: BTreeSet<String> = FLAGS.map(str::to_owned).into();
    for role in roles {
        let help = program(&[role, &["--help"]].concat());
        assert!(help.contains("--help"), "{role:?}");
        found.extend(words_with(&help, "--"));
    }
    found
}

/// The words of a text that begin so, up to what cannot be part of a flag.
fn words_with(text: &str, start: &str) -> Vec<String> {
    let mut found = vec![];
    for piece in text.split(|c: char| c.is_whitespace() || "[]()<>,;'\"".contains(c)) {
        if piece.starts_with(start) && piece.len() > start.len() {
            let end = piece[start.len()..]
                .find(|c: char| !(c.is_ascii_lowercase() || "-.".contains(c)))
                .map_or(piece.len(), |at| at + start.len());
            let word = piece[..end].trim_end_matches('.');
            if word.len() > start.len() {
                found.push(word.to_owned());
            }
        }
    }
    found
}

impl House {
    fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
        let values = serde_yaml::from_str(&read("charts/switchboard/values.yaml")).unwrap();
        let crd = serde_json::to_value(SalesforceIntegration::crd()).unwrap();
        let openapi: Value = serde_json::from_str(&read("docs/directory-openapi.json")).unwrap();
        let mut code = String::new();
        for (folder, endings) in [
            ("src", &[".rs"][..]),
            ("charts", &[".yaml", ".tpl", ".json", ".lua"]),
            ("examples", &[".yaml", ".rs", ".sh"]),
            ("tests", &[".rs", ".sh"]),
            ("image", &[".sh"]),
        ] {
            for ending in endings {
                for file in files(folder, ending) {
                    if !file.ends_with("words.rs") {
                        code += &std::fs::read_to_string(file).unwrap();
                    }
                }
            }
        }
        code += &read("Makefile");
        let metrics = [
            "src/controller/context/metrics.rs",
            "src/controller/context/books.rs",
            "src/controller/context/fleet.rs",
            "src/controller/context/series.rs",
            "src/directory/http/middleware/metrics.rs",
        ];
        let metrics = metrics.map(read).concat();
        let mut names: BTreeSet<String> = NAMES.split_whitespace().map(str::to_owned).collect();
        names.extend(Reason::all().map(|reason| reason.code().to_owned()));
        names.extend(conditions::ORDER.map(str::to_owned));
        let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        enumerated(&schema, &mut names);
        let of_values = read("charts/switchboard/values.schema.json");
        enumerated(&serde_json::from_str(&of_values).unwrap(), &mut names);
        Self {
            flags: flags(),
            values,
            resource: schema,
            routes: openapi["paths"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect(),
            code,
            metrics,
            names,
        }
    }

    /// Why the word leads nowhere; `None` when it exists or is nothing that is looked for.
    fn missing(&self, word: &str, page: &str) -> Option<&'static str> {
        let first = word.split_whitespace().next().unwrap_or_default();
        let alone = first == word;
        if word.starts_with("--") && !word.starts_with("---") {
            let all = words_with(word, "--");
            let known = all.iter().all(|flag| self.flags.contains(flag));
            return (!known).then_some("no subcommand has this flag");
        }
        if first == "switchboard" || word.starts_with("kubectl switchboard") {
            let known = words_with(word, "--")
                .iter()
                .all(|flag| self.flags.contains(flag));
            return (!known).then_some("no subcommand has this flag");
        }
        if first.starts_with("switchboard.dev/") {
            let key = first.split(['=', '"', ':']).next().unwrap_or_default();
            return (!self.code.contains(key)).then_some("no code knows it");
        }
        if first.starts_with("switchboard_") {
            return (!self.counts(first)).then_some("no code counts it");
        }
        let variable = first.split('=').next().unwrap_or_default();
        if looks_like_a_variable(variable) {
            return (!self.code.contains(variable)).then_some("no code has this word");
        }
        let route = word
            .strip_prefix("GET ")
            .or_else(|| word.strip_prefix("POST "));
        if let Some(route) = route
            .or(alone.then_some(word))
            .filter(|word| word.starts_with("/v1/"))
        {
            return (!self.serves(route)).then_some("the directory has no such route");
        }
        let path = first
            .trim_end_matches([':', ','])
            .split(['=', '{'])
            .next()
            .unwrap_or_default();
        if path.starts_with("spec.") || path.starts_with("status.") {
            let known = field(
                &self.resource,
                path.split('.').collect::<Vec<_>>().as_slice(),
            );
            // The pod of a CronJob has a spec, too; it is named with another word beside it.
            return (!known).then_some("the resource has no such field");
        }
        if self.is_value(path) == Some(false) {
            return Some("the chart has no such value");
        }
        if alone && looks_like_a_file(word) && !is_file(word, page) {
            return Some("there is no such file");
        }
        if alone && looks_like_a_reason(word) && !self.names.contains(word) {
            return Some(
                "it is no reason, condition, kind or value; or add it to tests/docs/names.txt",
            );
        }
        None
    }

    fn serves(&self, route: &str) -> bool {
        let wanted: Vec<&str> = route
            .split(['?', ' ', '…'])
            .next()
            .unwrap_or_default()
            .trim_matches('/')
            .split('/')
            .collect();
        self.routes.iter().any(|known| {
            let known: Vec<&str> = known.trim_matches('/').split('/').collect();
            wanted.len() <= known.len()
                && wanted
                    .iter()
                    .zip(&known)
                    .all(|(wanted, known)| known.starts_with('{') || wanted == known)
        })
    }

    /// A metric's name is put together from a prefix, a name and a unit.
    fn counts(&self, metric: &str) -> bool {
        let name = metric
            .split(['{', '[', ' ', '('])
            .next()
            .unwrap_or_default();
        let mut stem = name.trim_start_matches("switchboard_");
        stem = stem.strip_prefix("directory_").unwrap_or(stem);
        let registered = |stem: &str| self.metrics.contains(&format!("\"{stem}\""));
        loop {
            if registered(stem) {
                return true;
            }
            let ends = [
                "_total", "_bucket", "_count", "_sum", "_seconds", "_bytes", "_info", "_ratio",
            ];
            match ends.iter().find_map(|end| stem.strip_suffix(end)) {
                Some(shorter) => stem = shorter,
                None => return name.ends_with('_') && self.code.contains(name),
            }
        }
    }

    /// Whether this is a value of the chart; `None` when it does not look like one.
    fn is_value(&self, path: &str) -> Option<bool> {
        let mut segments = path.split('.');
        let first = segments.next()?;
        let mut value = self.values.get(first)?;
        let mut deeper = segments.peekable();
        deeper.peek()?;
        if looks_like_a_file(path) {
            return None;
        }
        for segment in deeper {
            if !segment.chars().all(|c| c.is_ascii_alphanumeric()) || segment.is_empty() {
                return None;
            }
            match value.as_object() {
                // What a user fills in has any keys.
                Some(object) if object.is_empty() => return Some(true),
                Some(object) => match object.get(segment) {
                    Some(inner) => value = inner,
                    None => return Some(false),
                },
                None => return Some(false),
            }
        }
        Some(true)
    }
}

/// Words that a field may have, and names of fields.
fn enumerated(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for (key, inner) in object {
                if key == "enum" {
                    let words = inner.as_array().into_iter().flatten();
                    found.extend(words.filter_map(Value::as_str).map(str::to_owned));
                }
                enumerated(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| enumerated(item, found)),
        _ => {}
    }
}

fn field(schema: &Value, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    let name = first.split('[').next().unwrap_or_default();
    let schema = schema.get("items").unwrap_or(schema);
    if name == "*" {
        let inner = schema["properties"].as_object();
        return inner.is_some_and(|inner| inner.values().any(|schema| field(schema, rest)));
    }
    match schema["properties"].get(name) {
        Some(inner) => field(inner, rest),
        // Conditions, and what keeps keys of its own.
        None => schema["x-kubernetes-preserve-unknown-fields"] == true,
    }
}

/// A variable of the environment, or a code of Salesforce: INVALID_LOGIN.
fn looks_like_a_variable(word: &str) -> bool {
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    word.contains('_') && word.len() > 3 && word.chars().all(upper)
}

/// Two humps or more, and letters only: InvalidLogin.
fn looks_like_a_reason(word: &str) -> bool {
    let letters = word.chars().all(|c| c.is_ascii_alphabetic());
    let humps = word.chars().filter(char::is_ascii_uppercase).count();
    let lower = word.chars().any(|c| c.is_ascii_lowercase());
    letters && lower && humps > 1 && word.starts_with(|first: char| first.is_ascii_uppercase())
}

/// The words in backquotes, outside of fenced blocks.
fn quoted(page: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    let mut fenced = false;
    for (number, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let words = line.split('`').skip(1).step_by(2);
            found.extend(words.map(|word| (number + 1, word.trim().to_owned())));
        }
    }
    found
}

#[test]
fn every_word_in_backquotes_exists() {
    let house = House::read();
    let mut missing = vec![];
    let mut looked = 0;
    for (page, text) in pages(root()).unwrap() {
        // The facts are about others, and decisions tell how it was.
        if page.starts_with("docs/facts/") || page.starts_with("docs/adr/") {
            continue;
        }
        for (line, word) in quoted(&text) {
            looked += 1;
            if let Some(why) = house.missing(&word, &page) {
                missing.push(format!("{page}:{line}: `{word}`: {why}"));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
    assert!(looked > 1000, "only {looked} words were found");
}

#[test]
fn a_word_that_is_not_there_is_noticed() {
    let house = House::read();
    for (word, is_there) in [
        ("--salesforce-hosts", true),
        ("--salesforce-host", false),
        ("switchboard check --secret-files x", false),
        ("directory.ingress.paths", true),
        ("directory.ingress.path", false),
        ("controller.nodeSelector.disk", true),
        ("spec.contacts.dailyAt", true),
        ("spec.contacts.daily", false),
        ("status.errors[*].code", true),
        ("switchboard_integrations", true),
        ("switchboard_tenants", false),
        ("switchboard_directory_refused_legs_total", true),
        ("switchboard.dev/run-requested-at", true),
        ("switchboard.dev/run-asked-at", false),
        ("/v1/webhooks/calls", true),
        ("GET /v1/contacts/03-1234-5678", true),
        ("/v1/webhook", false),
        ("SWITCHBOARD_WORKER_SETTINGS", true),
        ("SWITCHBOARD_SETTINGS_OF_WORKER", false),
        ("IMAGE_NAME=a:b", true),
        ("NAME_OF_IMAGE", false),
        ("InvalidLogin", true),
        ("LoginInvalid", false),
        ("src/exit.rs", true),
        ("src/exits.rs", false),
    ] {
        let found = house.missing(word, "docs/operations.md");
        assert_eq!(found.is_none(), is_there, "{word}: {found:?}");
    }
}

/// A tenant passes the remedy on to the platform team, who sets values and no flags.
#[test]
fn a_remedy_with_a_flag_names_the_chart_s_value_too() {
    let house = House::read();
    let mut told = 0;
    for reason in Reason::all() {
        let switchboard::reason::Remedy::Act(remedy) = reason.remedy() else {
            continue;
        };
        let flags = words_with(remedy, "--");
        if flags.is_empty() {
            continue;
        }
        told += 1;
        let values = remedy
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
            .filter(|word| house.is_value(word.trim_matches('.')) == Some(true));
        assert_eq!(values.count(), flags.len(), "{reason}: {remedy}");
    }
    assert!(told > 2, "{told}");
}
