//! Which phone texts of an org nobody can dial, and which numbers stand on several records, as CSV.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use url::Url;

use super::org::{Failed, Org};
use crate::cli::BadInput;
use crate::phone::{E164, NotLookedUp, Region, numbers_in, parse};
use crate::plain_text::csv;
use crate::resolve::{Object, Record};

const HEADING: &str = "problem,number,text,spelling,reason,records,object,id,company,person,link";
/// Spellings of which the summary tells.
const SPELLINGS: usize = 10;
/// The longest spelling that is told, in characters.
const MAX_SPELLING: usize = 40;

/// Where a report goes. A file appears under its name when it is whole.
pub(super) enum Sink {
    StandardOutput,
    File { path: PathBuf, part: Part },
}

/// A file under a name of its own that goes if it is not finished.
pub(super) struct Part {
    path: PathBuf,
    file: File,
}

/// What was read, as far as it is needed at the end.
#[derive(Default)]
struct Findings {
    rows: String,
    records: Vec<Seen>,
    /// The places of the records that hold a number.
    holders: HashMap<E164, Vec<u32>>,
    texts: u64,
    undialled: u64,
    by_reason: BTreeMap<&'static str, u64>,
    by_spelling: HashMap<String, u64>,
}

/// A record that may hold a number of another one.
struct Seen {
    object: Object,
    id: String,
    company: Option<String>,
    person: Option<String>,
}

/// One line of the report.
#[derive(Default)]
struct Line<'a> {
    problem: &'static str,
    number: &'a str,
    text: &'a str,
    spelling: &'a str,
    reason: &'a str,
    records: Option<usize>,
}

pub(super) async fn report(org: &mut Org, sink: Sink) -> Result<(String, String), Failed> {
    let region = org.settings.region;
    let instance = org.resolver.instance_url().cloned();
    let mut found = Findings::default();
    found.rows.push_str(HEADING);
    found.rows.push_str("\r\n");
    org.read(None, |record| {
        found.add(record, &region, instance.as_ref());
        Ok(())
    })
    .await?;
    let duplicates = found.duplicates(instance.as_ref());
    let note = found.summary(duplicates, &org.cost());
    match sink {
        Sink::StandardOutput => Ok((found.rows, note)),
        Sink::File { path, part } => {
            part.finish(&found.rows, &path).map_err(Failed::Input)?;
            Ok((
                String::new(),
                format!("{note}\nThe report is in {}", path.display()),
            ))
        }
    }
}

// === impl Sink ===

impl Sink {
    /// Opens it. A file that cannot be written is known before anything is read.
    pub(super) fn open(path: &Path) -> Result<Self, BadInput> {
        if path == Path::new("-") {
            return Ok(Self::StandardOutput);
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        match File::create(&part) {
            Ok(file) => Ok(Self::File {
                path: path.to_owned(),
                part: Part { path: part, file },
            }),
            Err(source) => Err(unwritable(path, source)),
        }
    }
}

// === impl Part ===

impl Part {
    fn finish(mut self, text: &str, path: &Path) -> Result<(), BadInput> {
        let written = self.file.write_all(text.as_bytes());
        let written = written.and_then(|()| self.file.sync_all());
        let written = written.and_then(|()| std::fs::rename(&self.path, path));
        written.map_err(|source| unwritable(path, source))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After a rename there is nothing under this name.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn unwritable(path: &Path, source: std::io::Error) -> BadInput {
    BadInput::Unwritable {
        path: path.to_owned(),
        source,
    }
}

// === impl Findings ===

impl Findings {
    fn add(&mut self, record: Record, home: &Region, instance: Option<&Url>) {
        let seen = Seen {
            object: record.object,
            id: record.id,
            company: record.company,
            person: record.person,
        };
        let mut numbers: Vec<E164> = vec![];
        for text in &record.phones {
            self.texts += 1;
            let held = numbers_in(text, home);
            if held.is_empty() {
                self.undialled(text, &seen, home, instance);
            }
            numbers.extend(held);
        }
        numbers.sort_unstable();
        numbers.dedup();
        let Ok(place) = u32::try_from(self.records.len()) else {
            return;
        };
        self.records.push(seen);
        for number in numbers {
            self.holders.entry(number).or_default().push(place);
        }
    }

    fn undialled(&mut self, text: &str, seen: &Seen, home: &Region, instance: Option<&Url>) {
        let reason = parse(text, home).err().unwrap_or(NotLookedUp::Invalid);
        let spelling = spelling(text);
        let line = Line {
            problem: "Undialable",
            text,
            spelling: &spelling,
            reason: reason.code(),
            ..Line::default()
        };
        line.push(&mut self.rows, seen, instance);
        self.undialled += 1;
        *self.by_reason.entry(reason.code()).or_default() += 1;
        *self.by_spelling.entry(spelling).or_default() += 1;
    }

    /// Adds a line for each record that holds a number of another one. Returns how many numbers
    /// stand on several records.
    fn duplicates(&mut self, instance: Option<&Url>) -> usize {
        let holders = self.holders.iter().filter(|(_, places)| places.len() > 1);
        let mut several: Vec<(&E164, &Vec<u32>)> = holders.collect();
        several.sort_unstable_by(|a, b| (b.1.len(), a.0).cmp(&(a.1.len(), b.0)));
        for (number, places) in &several {
            let line = Line {
                problem: "Duplicate",
                number: number.as_str(),
                records: Some(places.len()),
                ..Line::default()
            };
            for seen in places
                .iter()
                .filter_map(|place| self.records.get(*place as usize))
            {
                line.push(&mut self.rows, seen, instance);
            }
        }
        several.len()
    }

    fn summary(&self, duplicates: usize, cost: &str) -> String {
        let mut lines = vec![format!(
            "{} records with {} phone texts; {} texts nobody can dial, {} numbers, {duplicates} of them on several records; {cost}",
            self.records.len(),
            self.texts,
            self.undialled,
            self.holders.len(),
        )];
        lines.extend(
            self.by_reason
                .iter()
                .map(|(reason, count)| format!("{count:>10}  {reason}")),
        );
        let mut spellings: Vec<(&String, &u64)> = self.by_spelling.iter().collect();
        spellings.sort_unstable_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
        if !spellings.is_empty() {
            lines.push("The spellings of most of them, 9 for each digit:".to_owned());
        }
        lines.extend(
            spellings
                .into_iter()
                .take(SPELLINGS)
                .map(|(spelling, count)| format!("{count:>10}  {spelling}")),
        );
        lines.join("\n")
    }
}

// === impl Line ===

impl Line<'_> {
    fn push(&self, rows: &mut String, seen: &Seen, instance: Option<&Url>) {
        let link = instance.and_then(|url| url.join(&format!("/{}", seen.id)).ok());
        let fields = [
            csv::field(self.problem),
            csv::number(self.number),
            csv::number(self.text),
            csv::field(self.spelling),
            csv::field(self.reason),
            self.records
                .map_or_else(String::new, |count| count.to_string()),
            csv::field(seen.object.as_str()),
            csv::field(&seen.id),
            csv::field(seen.company.as_deref().unwrap_or_default()),
            csv::field(seen.person.as_deref().unwrap_or_default()),
            csv::field(link.as_ref().map_or("", Url::as_str)),
        ];
        rows.push_str(&fields.join(","));
        rows.push_str("\r\n");
    }
}

/// A text with 9 for each digit, so that texts of one habit are alike.
fn spelling(text: &str) -> String {
    let shape = text.trim().chars().map(|c| match c {
        '0'..='9' => '9',
        '０'..='９' => '９',
        c if c.is_control() => ' ',
        c => c,
    });
    shape.take(MAX_SPELLING).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, phones: &[&str]) -> Record {
        Record {
            object: Object::Contact,
            id: id.to_owned(),
            company: Some("=cmd|' /C calc'!A0".to_owned()),
            person: Some("Sato".to_owned()),
            title: None,
            owner: None,
            account: None,
            modified: None,
            phones: phones.iter().map(|text| (*text).to_owned()).collect(),
            numbers: vec![],
        }
    }

    #[test]
    fn what_nobody_can_dial_and_what_stands_twice_has_a_line_each() {
        let instance: Url = "https://acme.my.salesforce.com".parse().unwrap();
        let mut found = Findings::default();
        for record in [
            record("003A", &["03-1234-5678", "0312345678"]),
            record("003B", &["03-1234-5678 内線12 / 090-1234-5678"]),
            record("003C", &["5678-901"]),
            record("003D", &["4321-012", "=1+1"]),
        ] {
            found.add(record, &Region::JAPAN, Some(&instance));
        }
        assert_eq!(found.duplicates(Some(&instance)), 1);
        let lines: Vec<&str> = found.rows.lines().collect();
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert!(lines[0].starts_with("Undialable,,5678-901,9999-999,"));
        let formula = lines.iter().find(|line| line.contains("1+1")).unwrap();
        assert!(formula.contains(",'=1+1,'=9+9,"), "{formula}");
        assert!(lines.iter().all(|line| line.contains("'=cmd|")));
        assert_eq!(
            lines[3],
            "Duplicate,+81312345678,,,,2,Contact,003A,'=cmd|' /C calc'!A0,Sato,https://acme.my.salesforce.com/003A"
        );
        assert!(lines[4].contains(",003B,"));
        let summary = found.summary(1, "4 API calls");
        assert!(summary.contains(
            "4 records with 6 phone texts; 3 texts nobody can dial, 2 numbers, 1 of them"
        ));
        assert!(summary.contains("         2  9999-999"), "{summary}");
    }
}
