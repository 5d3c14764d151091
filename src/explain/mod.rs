//! `switchboard explain`: cause, remedy and runbook of a reason, from the table that writes
//! docs/reasons.md. It needs neither a cluster nor Salesforce.

use serde_json::{Value, json};

use crate::cli::print;
use crate::error::print_error;
use crate::exit::Exit;
use crate::reason::{Chapter, Reason, Remedy};

/// Version of the JSON. It changes when a key is renamed or taken away, not when one is added.
const VERSION: u32 = 1;
/// The most codes that are suggested for an unknown one.
const MAX_SUGGESTIONS: usize = 5;
/// How much alike a typo and its code are at least, from 0 to 1.
const LIKENESS: f64 = 0.7;

/// Flags of `switchboard explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A reason, error or warning as a status shows it, in any case; all of them when not given.
    #[arg(value_name = "REASON")]
    pub reason: Option<String>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How to print the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// No reason has this code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no reason is called {code:?}; {}", instead(suggestions))]
struct UnknownReason {
    code: String,
    suggestions: Vec<&'static str>,
}

/// Prints one reason, or all.
pub fn run(args: &Args) -> Exit {
    let text = match args.reason.as_deref().map(find) {
        Some(Err(unknown)) => {
            print_error("explain", &unknown);
            return Exit::Usage;
        }
        Some(Ok(reason)) => match args.output {
            Output::Text => text(reason),
            Output::Json => json_text([reason]),
        },
        None => match args.output {
            Output::Text => list(),
            Output::Json => json_text(Reason::all()),
        },
    };
    match print(&text) {
        Ok(()) => Exit::Done,
        Err(error) => {
            print_error("explain", &error);
            Exit::Failed
        }
    }
}

/// What to try instead of an unknown code.
fn instead(suggestions: &[&str]) -> String {
    match suggestions {
        [] => "without an argument all are listed".to_owned(),
        [one] => format!("is it {one}?"),
        many => format!("is it one of {}?", many.join(", ")),
    }
}

/// The reason with this code, in any case.
fn find(code: &str) -> Result<Reason, UnknownReason> {
    let code = code.trim();
    Reason::all()
        .find(|reason| reason.code().eq_ignore_ascii_case(code))
        .ok_or_else(|| UnknownReason {
            code: code.to_owned(),
            suggestions: suggestions(code),
        })
}

/// The codes that are most like this text: those with a typo first, then those that contain it.
fn suggestions(code: &str) -> Vec<&'static str> {
    let code = code.to_lowercase();
    if code.is_empty() {
        return vec![];
    }
    let mut alike: Vec<(f64, &'static str)> = Reason::all()
        .map(|reason| {
            let known = reason.code().to_lowercase();
            let typo = strsim::normalized_damerau_levenshtein(&code, &known);
            let part = if known.contains(&code) { LIKENESS } else { 0.0 };
            (typo.max(part), reason.code())
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    alike.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    alike
        .into_iter()
        .take(MAX_SUGGESTIONS)
        .map(|(_, code)| code)
        .collect()
}

fn text(reason: Reason) -> String {
    let mut text = format!(
        "{reason} ({})\n\n  {}\n  What to do: {}\n",
        reason.chapter().heading(),
        reason.in_words(),
        reason.remedy()
    );
    if let Some(when) = reason.tried_again() {
        text.push_str(&format!("  Tried again: {when}.\n"));
    }
    text.push_str(&format!("  Runbook: {}\n", reason.runbook_url()));
    text
}

fn list() -> String {
    let widest = Reason::all()
        .map(|reason| reason.code().len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for chapter in Chapter::ALL {
        text.push_str(&format!("{}\n", chapter.heading()));
        for reason in Reason::all().filter(|reason| reason.chapter() == chapter) {
            text.push_str(&format!(
                "  {:widest$}  {}\n",
                reason.code(),
                reason.in_words()
            ));
        }
        text.push('\n');
    }
    text.push_str("What to do about one: give its name.\n");
    text
}

fn json_text(reasons: impl IntoIterator<Item = Reason>) -> String {
    let reasons: Vec<Value> = reasons.into_iter().map(entry).collect();
    format!("{:#}\n", json!({"version": VERSION, "reasons": reasons}))
}

fn entry(reason: Reason) -> Value {
    json!({
        "code": reason.code(),
        "chapter": reason.chapter().heading(),
        "cause": reason.in_words(),
        "remedy": match reason.remedy() {
            Remedy::Act(text) => Some(text),
            Remedy::Nothing => None,
        },
        "triedAgain": reason.tried_again(),
        "runbook": reason.runbook_url(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_in_any_case_and_told_with_cause_remedy_and_runbook() {
        for reason in Reason::all() {
            for code in [
                reason.code().to_owned(),
                reason.code().to_lowercase(),
                format!(" {} ", reason.code().to_uppercase()),
            ] {
                assert_eq!(find(&code), Ok(reason), "{code:?}");
            }
            let text = text(reason);
            for part in [
                reason.code(),
                reason.cause(),
                reason.remedy().text(),
                &reason.runbook_url(),
            ] {
                assert!(text.contains(part), "{part:?} is not in\n{text}");
            }
            let line = format!("  {} ", reason.code());
            assert!(list().contains(&line), "{reason} is not in the list");
        }
    }

    #[test]
    fn the_page_shows_what_is_printed_and_names_the_keys_of_the_json() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kubectl.md");
        let page = std::fs::read_to_string(page).unwrap();
        let shown = format!(
            "$ kubectl switchboard explain invalidlogin\n{}```\n",
            text(find("invalidlogin").unwrap())
        );
        assert!(page.contains(&shown), "docs/kubectl.md lacks\n{shown}");
        for key in entry(Reason::Ready).as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{key}`")), "{key}");
        }
    }

    #[test]
    fn a_typo_leads_to_the_code_that_was_meant() {
        for (typo, meant) in [
            ("InvalidLogn", "InvalidLogin"),
            ("SecretNotFuond", "SecretNotFound"),
            ("runfaild", "RunFailed"),
            ("Compnay IdTaken", "CompanyIdTaken"),
            ("KeyMissing", "SecretKeyMissing"),
        ] {
            let unknown = find(typo).unwrap_err();
            assert_eq!(unknown.suggestions.first(), Some(&meant), "{unknown}");
            assert!(unknown.to_string().contains(meant), "{unknown}");
        }
        let unknown = find("QuantumLinkLost").unwrap_err();
        assert_eq!(unknown.suggestions, [""; 0], "{unknown}");
        assert!(unknown.to_string().contains("all are listed"), "{unknown}");
        assert_eq!(find("").unwrap_err().suggestions, [""; 0]);
        let many = find("secret").unwrap_err();
        assert!(many.suggestions.len() > 2, "{many}");
        assert!(many.suggestions.len() <= MAX_SUGGESTIONS, "{many}");
    }

    #[test]
    fn the_json_has_every_reason_with_the_same_keys() {
        let all: Value = serde_json::from_str(&json_text(Reason::all())).unwrap();
        assert_eq!(all["version"], VERSION);
        let reasons = all["reasons"].as_array().unwrap();
        assert_eq!(reasons.len(), Reason::all().count());
        for reason in reasons {
            let keys: Vec<&String> = reason.as_object().unwrap().keys().collect();
            assert_eq!(
                keys,
                [
                    "code",
                    "chapter",
                    "cause",
                    "remedy",
                    "triedAgain",
                    "runbook"
                ]
            );
        }
        let ready: Value = serde_json::from_str(&json_text([Reason::Ready])).unwrap();
        assert_eq!(ready["reasons"][0]["remedy"], Value::Null);
    }
}
