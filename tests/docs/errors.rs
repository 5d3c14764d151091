//! One convention for errors, checked in the source: a sentence never contains the text of its
//! cause, and no log line drops a cause.

use crate::{files, root};

/// Every error attribute: its text, and the declaration up to the next attribute.
fn sentences(text: &str) -> Vec<(&str, &str)> {
    text.split("#[error(")
        .skip(1)
        .filter_map(|rest| {
            let (sentence, declaration) = rest.split_once(")]\n")?;
            Some((sentence, declaration.split("#[error(").next()?))
        })
        .collect()
}

/// The position of the cause in a declaration: its number in a tuple, `source` in a struct. `None`
/// when there is no cause.
fn cause(declaration: &str) -> Option<String> {
    let code: String = declaration
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    // Text after the end of the declaration does not belong to it.
    let own = code.split("\n}").next()?;
    let at = own.find("#[source]").or_else(|| own.find("#[from]"))?;
    let before = &own[..at];
    if before.contains('{') {
        let field = own[at..].split_once(']')?.1.trim();
        let field = field.trim_start_matches("pub ").split(':').next()?;
        return Some(field.to_owned());
    }
    Some(before.matches(',').count().to_string())
}

fn holds(sentence: &str, cause: &str) -> bool {
    ["}", ":", "."]
        .iter()
        .any(|end| sentence.contains(&format!("{{{cause}{end}")))
        || sentence.contains(&format!(" .{cause})"))
        || sentence.contains(&format!(", .{cause},"))
}

#[test]
fn no_sentence_holds_the_words_of_its_cause() {
    let mut found = 0;
    for path in files("src", ".rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        for (sentence, declaration) in sentences(&text) {
            let Some(cause) = cause(declaration) else {
                continue;
            };
            found += 1;
            assert!(
                !holds(sentence, &cause),
                "{}: take {{{cause}}} out of {sentence}: it is the cause, and error::Chain prints it",
                path.strip_prefix(root()).unwrap().display()
            );
        }
    }
    assert!(found > 30, "only {found} causes were seen");
}

#[test]
fn no_log_line_drops_a_cause() {
    for path in files("src", ".rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let bare = ["%error", "%failure", "?error", "%source"]
                .into_iter()
                .find(|bare| line.contains(bare));
            assert!(
                bare.is_none(),
                "{}:{}: write error = %Chain(&error): {line}",
                path.strip_prefix(root()).unwrap().display(),
                number + 1
            );
        }
    }
}

#[test]
fn a_cause_is_found_where_it_stands() {
    let text = "#[error(\"a {1}\")]\n/// x\nA(PathBuf, #[source] io::Error),\n#[error(\"b {source}\")]\nB {\n    \
                /// y\n    #[source]\n    source: io::Error,\n},\n#[error(\"c {0}\")]\nC(String),\n}\n";
    let found: Vec<Option<bool>> = sentences(text)
        .into_iter()
        .map(|(sentence, declaration)| cause(declaration).map(|cause| holds(sentence, &cause)))
        .collect();
    assert_eq!(found, [Some(true), Some(true), None]);
}
