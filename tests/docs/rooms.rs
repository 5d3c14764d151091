//! The rooms of the house, which are the folders of the source: which folder may import which. The
//! list below is the whole rule; CONTRIBUTING draws it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::root;

/// Every room, from the ground up. A room imports only from itself and from those before it in this
/// list, so that imports have one direction and no two rooms import each other. A folder follows
/// its own sub-folders, because its files combine them.
const ROOMS: &[&str] = &[
    "plain_text",
    "json",
    "error",
    "exit",
    "shutdown",
    "telemetry",
    "http_server",
    "company_id",
    "shard",
    "url_text",
    "phone",
    "salesforce/text",
    "salesforce/credentials",
    "salesforce/answers",
    "salesforce/rest",
    "salesforce/transport",
    "salesforce/login",
    "salesforce/connection",
    "salesforce/probe",
    "salesforce",
    "resolve",
    "follow",
    "book",
    "reason",
    "api",
    "mail",
    "run",
    "decide/rules/pods",
    "decide/rules",
    "decide/data",
    "decide/login",
    "decide/runs",
    "decide/book",
    "decide/children",
    "decide/notify",
    "decide",
    "prove",
    "cli",
    "directory/model",
    "directory/why",
    "directory/store/database",
    "directory/store/rules",
    "directory/store/changes",
    "directory/store",
    "directory/http/middleware",
    "directory/http/worker",
    "directory/pages/live",
    "directory/pages/words",
    "directory/pages",
    "directory/http",
    "directory/client",
    "directory",
    "worker",
    "controller/cluster",
    "controller/memory",
    "controller/context",
    "controller/watch",
    "controller/reconcile",
    "controller/resident",
    "controller",
    "check",
    "lookup",
    "explain",
    "status",
    "why",
    "selftest",
    "fuzz",
    "main",
];

/// The maximum number of files in a room. A room with more files is several rooms.
const MAX_FILES: usize = 12;

/// Crates, or paths in them, that a room and its sub-rooms must not use.
const STRANGERS: &[(&str, &[&str])] = &[
    (
        "phone",
        &["tokio::", "reqwest::", "std::fs", "kube::", "std::net"],
    ),
    ("salesforce", &["kube::", "k8s_openapi::"]),
    ("resolve", &["kube::", "k8s_openapi::"]),
    ("reason", &["kube::", "k8s_openapi::"]),
    (
        "decide",
        &[
            "tokio::",
            "reqwest::",
            "std::fs",
            "std::net",
            "kube::Client",
            "kube::Api",
            "kube::runtime",
            "Timestamp::now",
            "Instant::now",
            "SystemTime::now",
        ],
    ),
    ("directory", &["kube::", "k8s_openapi::"]),
    ("worker", &["kube::", "k8s_openapi::"]),
];

/// One source file.
struct Source {
    /// The path below `src/`, without the extension.
    module: Vec<String>,
    room: String,
    is_test: bool,
    text: String,
}

#[test]
fn no_import_runs_upwards_and_no_two_rooms_import_each_other() {
    let sources = sources();
    let modules: BTreeSet<&[String]> = sources
        .iter()
        .map(|source| source.module.as_slice())
        .collect();
    let height: BTreeMap<&str, usize> = ROOMS
        .iter()
        .enumerate()
        .map(|(height, room)| (*room, height))
        .collect();
    let mut wrong = vec![];
    for source in sources.iter().filter(|source| !source.is_test) {
        let own = height[source.room.as_str()];
        for (line, path) in imports(&source.text, &source.module) {
            let Some(target) = room_of(&path, &modules, &sources) else {
                continue;
            };
            if height[target.as_str()] > own {
                wrong.push(format!(
                    "src/{}.rs:{line}: {} imports from {target}, which stands above it ({})",
                    source.module.join("/"),
                    source.room,
                    path.join("::")
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports run from a lower room to a higher one; move what is shared down, or hand it in:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_folder_is_a_known_room_of_a_dozen_files_at_most() {
    let mut files: BTreeMap<String, usize> = BTreeMap::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        *files.entry(source.room.clone()).or_default() += 1;
    }
    for (room, files) in &files {
        assert!(
            ROOMS.contains(&room.as_str()),
            "src/{room} is in no list: give it its place in ROOMS, from the ground up"
        );
        assert!(
            *files <= MAX_FILES,
            "src/{room} has {files} files: more than {MAX_FILES} are several rooms"
        );
    }
    for room in ROOMS {
        assert!(
            files.contains_key(*room),
            "{room} stands in ROOMS and not in src/"
        );
    }
}

#[test]
fn rooms_do_not_know_what_they_are_kept_from() {
    for (room, strangers) in STRANGERS {
        for source in sources().iter().filter(|source| !source.is_test) {
            if source.room != *room && !source.room.starts_with(&format!("{room}/")) {
                continue;
            }
            let code = without_comments(&source.text);
            for (number, line) in code.lines().enumerate() {
                for stranger in *strangers {
                    assert!(
                        !names(line, stranger),
                        "src/{}.rs:{}: {room} must not know {stranger}: {line}",
                        source.module.join("/"),
                        number + 1
                    );
                }
            }
        }
    }
}

/// Whether a line names this path, and not only a longer name with the same end.
fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    })
}

/// All sources, each without its inline tests.
fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut sources = vec![];
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(source(&src, &path));
            }
        }
    }
    sources.sort_by(|a, b| a.module.cmp(&b.module));
    sources.retain(|source| source.module != ["lib"]);
    sources
}

fn source(src: &Path, path: &Path) -> Source {
    let relative: PathBuf = path.strip_prefix(src).unwrap().with_extension("");
    let mut module: Vec<String> = relative
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    let is_door = module.last().is_some_and(|last| last == "mod");
    if is_door {
        module.pop();
    }
    let folder = match module.as_slice() {
        whole if is_door || whole.len() == 1 => whole,
        [folder @ .., _] => folder,
        [] => &[],
    };
    let text = std::fs::read_to_string(path).unwrap();
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap()
        .to_owned();
    // Modules that only tests use may import everything.
    let is_test = module.iter().any(|part| {
        [
            "tests",
            "testing",
            "fixtures",
            "fake_salesforce",
            "calls_test",
        ]
        .contains(&part.as_str())
    });
    Source {
        room: folder.join("/"),
        module,
        is_test,
        text,
    }
}

/// The room of a path: that of the longest module with which the path begins. `None` for a path of
/// another crate.
fn room_of(path: &[String], modules: &BTreeSet<&[String]>, sources: &[Source]) -> Option<String> {
    (1..=path.len()).rev().find_map(|length| {
        let module = modules.get(&path[..length])?;
        let source = sources.iter().find(|source| source.module == **module)?;
        Some(source.room.clone())
    })
}

/// Every path of this crate that a text names, from the crate's root, with its line. The trees of
/// `use` are split into single paths, and paths within code are included.
fn imports(text: &str, module: &[String]) -> Vec<(usize, Vec<String>)> {
    let code = without_comments(text);
    let mut found = vec![];
    let mut rest = code.as_str();
    let mut line = 1;
    while let Some(at) = next_path(rest) {
        line += rest[..at].matches('\n').count();
        let end = end_of_path(&rest[at..]) + at;
        for path in leaves(&rest[at..end]) {
            found.extend(from_root(&path, module).map(|path| (line, path)));
        }
        line += rest[at..end].matches('\n').count();
        rest = &rest[end..];
    }
    found
}

/// The position of the next path that starts at the crate, the room or the module.
fn next_path(text: &str) -> Option<usize> {
    ["crate::", "super::", "self::", "switchboard::"]
        .iter()
        .flat_map(|start| text.match_indices(start))
        .map(|(at, _)| at)
        .filter(|at| {
            !text[..*at].ends_with(|before: char| {
                before.is_alphanumeric() || before == '_' || before == ':'
            })
        })
        .min()
}

/// The end of a path with its braces.
fn end_of_path(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '{' if depth > 0 || text[..at].ends_with("::") => depth += 1,
            '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ if depth > 0 => {}
            ':' | '_' => {}
            letter if letter.is_alphanumeric() => {}
            _ => return at,
        }
    }
    text.len()
}

/// The single paths of a tree such as `a::{b, c::{d, e as f}}`.
fn leaves(tree: &str) -> Vec<Vec<String>> {
    let Some((stem, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        return vec![parts(path)];
    };
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let mut depth = 0_usize;
    let branches = inner.split(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    });
    let stem = parts(stem);
    branches
        .filter(|branch| !branch.trim().is_empty())
        .flat_map(|branch| leaves(branch.trim()))
        .map(|leaf| [stem.clone(), leaf].concat())
        .collect()
}

fn parts(path: &str) -> Vec<String> {
    path.split("::")
        .map(str::trim)
        .filter(|part| !part.is_empty() && *part != "*")
        .map(str::to_owned)
        .collect()
}

/// Resolves a path from the crate's root. `module` is the module that contains it.
fn from_root(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" | "switchboard" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let base = module.get(..module.len().checked_sub(ups)?)?;
            Some([base, &path[ups..]].concat())
        }
        _ => None,
    }
}

fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| {
            if line.trim_start().starts_with("//") {
                ""
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_tree_of_imports_is_taken_apart_where_it_stands() {
    let text =
        "use super::a::{b, c::{d, e as f}};\n// crate::no\nfn g() { crate::h::i(self::j::k) }\n";
    let module = ["x".to_owned(), "y".to_owned()];
    let found: Vec<(usize, String)> = imports(text, &module)
        .into_iter()
        .map(|(line, path)| (line, path.join("::")))
        .collect();
    let wanted = [
        (1, "x::a::b"),
        (1, "x::a::c::d"),
        (1, "x::a::c::e"),
        (3, "h::i"),
        (3, "x::y::j::k"),
    ]
    .map(|(line, path)| (line, path.to_owned()));
    assert_eq!(found, wanted);
}

#[test]
fn every_file_that_contributing_names_exists() {
    let page = std::fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let named: Vec<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| {
            ["src/", "tests/", "docs/"]
                .iter()
                .any(|start| name.starts_with(start))
        })
        .collect();
    assert!(
        named.len() > 10,
        "CONTRIBUTING answers where things are: {named:?}"
    );
    for name in named {
        assert!(
            root().join(name).exists(),
            "CONTRIBUTING.md names {name}, which is not there"
        );
    }
}

/// What shows that a file escapes text by itself, and the one file that may (docs/security.md).
const ESCAPES: &[(&str, &str)] = &[
    (r#"replace('"', "\"\"")"#, "src/plain_text/csv.rs"),
    (r#""&lt;""#, "src/salesforce/text/xml.rs"),
    (r#"push_str("\\'")"#, "src/salesforce/rest/soql.rs"),
    ("?&|!{}[]()^~*:", "src/salesforce/rest/sosl.rs"),
    ("EnvVar {", "src/decide/children/run.rs"),
    (r"..='\u{202e}'", "src/plain_text.rs"),
];

#[test]
fn each_kind_of_text_is_escaped_in_one_place() {
    for (sign, home) in ESCAPES {
        let mut found = vec![];
        for path in crate::files("src", ".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // Tests say what must come of it.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            if code.contains(sign) && !name.contains("/tests") {
                found.push(name);
            }
        }
        assert_eq!(found, [*home], "{sign}");
    }
}
