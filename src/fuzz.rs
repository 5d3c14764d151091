//! What reads text from outside, as functions of bytes: for the fuzzer (tests/fuzz), and for the
//! plain tests that run the fuzzer's corpora. Not part of the program.
//!
//! A function panics where a promise is broken. What it reads wrongly is refused with an error,
//! which is no failure.

use std::path::Path;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use crate::api::Settings;
use crate::cli::Manifests;
use crate::directory::model::webhook;
use crate::directory::{TokenKeys, client, fuzz as directory};
use crate::phone::{E164, MAX_SPELLING_CHARS, Region, numbers_in, parse, spellings};
use crate::plain_text::acts;
use crate::plain_text::csv::{FORMULA_SIGNS, field};
use crate::run::{RunReport, WorkerSettings};
use crate::salesforce::fuzz as salesforce;

/// One thing that reads text from outside.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name of its corpus below tests/fuzz/corpus.
    pub name: &'static str,
    /// Reads one input.
    pub run: fn(&[u8]),
}

/// Everything that reads text from outside.
pub const TARGETS: &[Target] = &[
    target("body", directory::body),
    target("bulk", salesforce::bulk),
    target("certificate", salesforce::certificate),
    target("composite", salesforce::composite),
    target("csv", csv),
    target("cursor", directory::cursor),
    target("keys", keys),
    target("oauth", salesforce::oauth),
    target("phone", phone),
    target("quote", salesforce::quote),
    target("report", report),
    target("rest", salesforce::rest),
    target("retry-after", retry_after),
    target("secret", salesforce::secret),
    target("settings", settings),
    target("soap", salesforce::soap),
    target("spec", spec),
    target("token", token),
    target("url", salesforce::url),
    target("usage", salesforce::usage),
    target("webhook", webhook),
];

/// The key of the tokens in the corpus. It guards nothing.
const KEY: &str = "c3dpdGNoYm9hcmQgZnV6emluZyBrZXksIG5vdCBzZWNyZXQ=";

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

fn webhook(data: &[u8]) {
    if let Err(malformed) = webhook::read(data) {
        assert!(malformed.to_string().len() < 1_024, "a sentence is short");
    }
}

/// `Retry-After`, as a worker reads it.
fn retry_after(data: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(data) {
        let headers: HeaderMap = [(RETRY_AFTER, value)].into_iter().collect();
        client::retry_after(&headers);
    }
}

fn text(data: &[u8]) -> &str {
    std::str::from_utf8(data).unwrap_or_default()
}

fn token(data: &[u8]) {
    let Ok(keys) = TokenKeys::parse(KEY) else {
        unreachable!("the key above is one")
    };
    if let Ok(claims) = keys.verify(text(data), Timestamp::UNIX_EPOCH) {
        let minted = keys.mint(&claims);
        let again = minted.map(|token| keys.verify(token.expose_secret(), Timestamp::UNIX_EPOCH));
        assert_eq!(again, Ok(Ok(claims)), "a token keeps what it says");
    }
}

fn keys(data: &[u8]) {
    if let Err(error) = TokenKeys::parse(text(data)) {
        assert!(error.to_string().len() < 200, "a key is not quoted");
    }
}

fn report(data: &[u8]) {
    if let Ok(report) = RunReport::parse(text(data)) {
        let written = RunReport::parse(&report.to_json());
        assert!(written.is_ok(), "a report that was read can be read again");
    }
}

fn settings(data: &[u8]) {
    let _ = WorkerSettings::parse(text(data));
}

/// A manifest, as `switchboard check -f` and the API server read it.
fn spec(data: &[u8]) {
    let Ok(manifests) = Manifests::of_text(text(data)) else {
        return;
    };
    if let Ok(resource) = manifests.integration(None) {
        let _ = Settings::of(&resource);
    }
}

/// Two letters of a region, then the text.
fn phone(data: &[u8]) {
    let Some((code, number)) = data.split_at_checked(2) else {
        return;
    };
    let Ok(region) = text(code).parse::<Region>() else {
        return;
    };
    let number = text(number);
    numbers_in(number, &region);
    let Ok(number) = parse(number, &region) else {
        return;
    };
    assert_eq!(number.as_str().parse::<E164>().as_ref(), Ok(&number));
    for spelling in spellings(&number, &region) {
        assert!(spelling.chars().count() <= MAX_SPELLING_CHARS);
        assert_eq!(
            parse(&spelling, &region).as_ref(),
            Ok(&number),
            "{spelling:?} in {region}"
        );
    }
}

/// A name becomes one cell that no spreadsheet runs.
fn csv(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let written = field(&text);
    let quoted = written.len() > 1 && written.starts_with('"') && written.ends_with('"');
    assert!(quoted || !written.contains([',', ';', '\t', '"', '\r', '\n']));
    let cell = match quoted {
        true => written[1..written.len() - 1].replace("\"\"", "\""),
        false => written,
    };
    assert!(cell == text || cell.strip_prefix('\'') == Some(&text));
    let seen = cell.trim_start_matches(|c: char| c.is_whitespace() || acts(c));
    assert!(!seen.starts_with(FORMULA_SIGNS), "{cell:?} is a formula");
}

/// The inputs that the fuzzer found worth keeping.
pub fn corpus(folder: &Path, target: &str) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(folder.join(target))? {
        let path = entry?.path();
        let name = path.display().to_string();
        inputs.push((name, std::fs::read(path)?));
    }
    inputs.sort();
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// What one input may take.
    const MAX_KIB: u64 = 64 * 1_024;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
    }

    /// Whatever the fuzzer once found keeps being read. A panic names the input.
    #[test]
    fn every_input_of_the_corpora_is_read_without_a_panic() {
        let mut of_code = BTreeSet::from(["soql".to_owned(), "sosl".to_owned()]);
        for target in TARGETS {
            let inputs = corpus(&folder(), target.name).unwrap();
            assert!(!inputs.is_empty(), "{} has no corpus", target.name);
            for (name, input) in inputs {
                let read = std::panic::catch_unwind(|| (target.run)(&input));
                assert!(read.is_ok(), "{name} panics: see above");
            }
            of_code.insert(target.name.to_owned());
        }
        let folders = std::fs::read_dir(folder()).unwrap();
        let names = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.collect::<BTreeSet<_>>(), of_code);
    }

    /// In a process of its own, one target after the other, since the memory of a process is
    /// counted as a whole.
    #[test]
    #[cfg(target_os = "linux")]
    fn no_input_of_the_corpora_takes_more_than_64_mib() {
        let own = std::env::current_exe().unwrap();
        let child = ["--exact", "fuzz::tests::the_memory_of_each", "--ignored"];
        let run = Command::new(own).args(child).arg("--nocapture").output();
        let run = run.unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{said}");
        let measured = said.lines().filter(|line| line.ends_with(" KiB more"));
        assert_eq!(measured.count(), TARGETS.len(), "{said}");
    }

    #[test]
    #[ignore = "run by the test above, in a process of its own"]
    fn the_memory_of_each() {
        // What is made once and kept is no input's.
        for target in TARGETS {
            let inputs = corpus(&folder(), target.name).unwrap();
            (target.run)(&inputs[0].1);
        }
        for target in TARGETS {
            let mut most = 0;
            for (name, input) in corpus(&folder(), target.name).unwrap() {
                // Sets the peak back to what is held now (proc(5)).
                std::fs::write("/proc/self/clear_refs", "5").unwrap();
                let before = peak_kib();
                (target.run)(&input);
                let more = peak_kib().saturating_sub(before);
                assert!(more <= MAX_KIB, "{name} takes {more} KiB");
                most = most.max(more);
            }
            println!("{}: {most} KiB more", target.name);
        }
    }

    fn peak_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse().unwrap()
    }
}
