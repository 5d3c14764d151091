//! Every fact that a comment or a page cites is in docs/facts, with its sources and a mark of
//! certainty.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::{files, root};

/// The instruction for a citation that cannot be followed.
const FORM: &str = "cite page and section, as in (facts: Salesforce 2.9), or put no number behind the word; see docs/facts/README.md";

#[test]
fn every_cited_fact_stands_there() {
    let pages = pages();
    let mut broken = vec![];
    let mut cited = 0;
    for ending in [".rs", ".md"] {
        for file in files("", ending) {
            let text = fs::read_to_string(&file).unwrap();
            let name = file.strip_prefix(root()).unwrap().display().to_string();
            let prose = if ending == ".rs" {
                Prose::of_code(&text)
            } else {
                Prose::of_page(&text)
            };
            for (line, cite) in prose.citations(&pages) {
                cited += 1;
                if let Err(why) = follow(&pages, &cite) {
                    broken.push(format!("{name}:{line}: {why}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
    assert!(cited > 40, "only {cited} citations were found");
}

#[test]
fn every_fact_has_a_source_and_a_mark() {
    let marks = explained_marks();
    let mut bare = vec![];
    for (page, sections) in pages() {
        for (number, section) in sections {
            let place = format!("{}:{}: {number}", file_of(&page), section.line);
            for mark in used_marks(&section.text).difference(&marks) {
                bare.push(format!("{place}: explain [{mark}] in docs/facts/README.md"));
            }
            if !section.is_fact {
                continue;
            }
            if used_marks(&section.text).is_empty() {
                bare.push(format!("{place}: say how certain it is, as in [D]"));
            }
            if !section.text.contains("](http") && !section.text.contains("\nSource") {
                bare.push(format!("{place}: say where it comes from"));
            }
        }
    }
    assert!(bare.is_empty(), "\n{}\n", bare.join("\n"));
}

#[test]
fn a_citation_is_told_from_a_word() {
    let pages = pages();
    let read = |text: &str| {
        let found = Prose::of_page(text).citations(&pages);
        let mut told = found.into_iter().map(|(_, cite)| follow(&pages, &cite));
        (told.len() > 0).then(|| told.all(|outcome| outcome.is_ok()))
    };
    for good in [
        "(facts: Salesforce 2.9)",
        "(facts: Salesforce 2.4, 5.2) and more",
        "Facts: Salesforce 1.1 and 1.2.",
        "(facts: Salesforce\n5.2a)",
        "(facts: phone platform 1.6)",
        "(facts: Salesforce changes A4)",
        "(facts: Salesforce changes E)",
        "(facts: Salesforce 1.3, `maxLoginAttempts`)",
        "(facts: Salesforce 2.2: 14,500 and 499)",
    ] {
        assert_eq!(read(good), Some(true), "{good}");
    }
    for bad in [
        "(facts 2.9)",
        "(facts\n2.9)",
        "a fact 2.9",
        "(facts Salesforce 2.9)",
        "(facts/salesforce.md 2.9)",
        "(docs/facts/salesforce.md 2.9)",
        "(facts A4)",
        "(facts: 2.9)",
        "(facts: Salesforce)",
        "(facts: `maxLoginAttempts`)",
        "the facts: 14,500 at 05:00",
        "(facts: Salesforce 2.99)",
        "(facts: Salesforce 2.4, 5.99)",
        "(facts: telephone 1.1)",
    ] {
        assert_eq!(read(bad), Some(false), "{bad}");
    }
    for word in [
        "the facts are these",
        "two facts: the first and the second",
        "facts::print(bed)",
        "artefacts: 3",
        "[docs/facts](facts/README.md) 2.9",
    ] {
        assert_eq!(read(word), None, "{word}");
    }
    let code =
        Prose::of_code("let facts = 2;\n/// A limit (facts\n/// 2.5).\nlet url = \"x//facts 9\";");
    let found = code.citations(&pages);
    assert_eq!(found.len(), 1, "only comments are read");
    assert_eq!(found[0].0, 2, "the line where it begins");
}

/// The name of the cited page and the numbers of its sections, or what is wrong with the citation.
type Cite = Result<(String, Vec<String>), String>;

struct Section {
    /// The line of its heading.
    line: usize,
    /// Whether it is a `###` section: those hold facts.
    is_fact: bool,
    text: String,
}

/// The pages by the name under which they are cited, with their sections by number.
fn pages() -> BTreeMap<String, BTreeMap<String, Section>> {
    files("docs/facts", ".md")
        .iter()
        .filter_map(|file| Some((file, file.file_stem()?.to_str()?)))
        .filter(|(_, stem)| *stem != "README")
        .map(|(file, stem)| {
            let text = fs::read_to_string(file).unwrap();
            (stem.replace('-', " "), sections(stem, &text))
        })
        .collect()
}

fn file_of(page: &str) -> String {
    format!("docs/facts/{}.md", page.replace(' ', "-"))
}

fn sections(page: &str, text: &str) -> BTreeMap<String, Section> {
    let mut found: BTreeMap<String, Section> = BTreeMap::new();
    let mut open = None;
    for (at, line) in text.lines().enumerate() {
        let level = line.chars().take_while(|c| *c == '#').count();
        if level == 2 || level == 3 {
            let heading = line.trim_start_matches('#').trim();
            let number = heading.split(' ').next().unwrap_or_default();
            let number = number.trim_end_matches('.').to_owned();
            let place = format!("{}:{}", file_of(page), at + 1);
            assert!(
                section_number(&number) == Some(number.len()),
                "{place}: a heading begins with the section's number"
            );
            let section = Section {
                line: at + 1,
                is_fact: level == 3,
                text: String::new(),
            };
            let twice = found.insert(number.clone(), section).is_some();
            assert!(!twice, "{place}: there are two sections {number}");
            open = Some(number);
        } else if let Some(section) = open.as_ref().and_then(|number| found.get_mut(number)) {
            section.text.push_str(line);
            section.text.push('\n');
        }
    }
    found
}

/// The letters of marks such as `[D]`.
fn used_marks(text: &str) -> BTreeSet<char> {
    text.split('[')
        .skip(1)
        .filter_map(|rest| {
            let mut chars = rest.chars();
            let mark = chars.next().filter(char::is_ascii_uppercase)?;
            let closed = chars.next() == Some(']') && chars.next() != Some('(');
            closed.then_some(mark)
        })
        .collect()
}

/// The marks in the first column of the table of docs/facts/README.md.
fn explained_marks() -> BTreeSet<char> {
    let text = fs::read_to_string(root().join("docs/facts/README.md")).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("| `[")?.chars().next())
        .collect()
}

fn follow(pages: &BTreeMap<String, BTreeMap<String, Section>>, cite: &Cite) -> Result<(), String> {
    let (page, numbers) = cite.as_ref().map_err(String::clone)?;
    for number in numbers {
        if !pages[page].contains_key(number) {
            let file = file_of(page);
            return Err(format!(
                "there is no section {number} in {file}: correct the number, or write the section"
            ));
        }
    }
    Ok(())
}

/// Text without its line breaks, because a citation may span two lines.
struct Prose {
    text: String,
    /// The position of each line in the text, and its number.
    lines: Vec<(usize, usize)>,
}

impl Prose {
    /// The comments of a source file. Code separates one comment from the next.
    fn of_code(text: &str) -> Self {
        Self::of(text.lines().map(|line| {
            let at = line.match_indices("//").map(|(at, _)| at).find(|at| {
                line[..*at]
                    .chars()
                    .next_back()
                    .is_none_or(char::is_whitespace)
            });
            match at {
                Some(at) => line[at..].trim_start_matches(['/', '!']).trim(),
                None => "\n",
            }
        }))
    }

    fn of_page(text: &str) -> Self {
        Self::of(text.lines().map(str::trim))
    }

    fn of<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        let mut prose = Self {
            text: String::new(),
            lines: vec![],
        };
        for (at, part) in parts.enumerate() {
            prose.lines.push((prose.text.len(), at + 1));
            prose.text.push_str(part);
            prose.text.push(' ');
        }
        prose
    }

    /// All citations, well formed or not, with their lines.
    fn citations(&self, pages: &BTreeMap<String, BTreeMap<String, Section>>) -> Vec<(usize, Cite)> {
        let names: Vec<&str> = pages.keys().map(String::as_str).collect();
        // It has the length of the text, since only ASCII letters change.
        let lower = self.text.to_ascii_lowercase();
        lower
            .match_indices("fact")
            .filter(|(at, _)| {
                let before = self.text[..*at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            })
            .filter_map(|(at, word)| {
                let rest = &self.text[at + word.len()..];
                let rest = rest.strip_prefix(['s', 'S']).unwrap_or(rest);
                let opened = self.text[..at].ends_with('(');
                let cite = citation(rest, opened, &names)?;
                let line = self.lines.partition_point(|(start, _)| *start <= at);
                Some((self.lines[line - 1].1, cite))
            })
            .collect()
    }
}

/// Reads the citation after the word. `None` when the word is only a word. `opened` is whether a
/// parenthesis precedes it.
fn citation(rest: &str, opened: bool, pages: &[&str]) -> Option<Cite> {
    let ill_formed = |what: &str| Err(format!("\"facts{what}\" names no fact: {FORM}"));
    let Some(after) = rest.strip_prefix(':') else {
        // A number without a colon names no page, and may be no citation.
        let path = rest.strip_prefix('/').map_or(rest, |path| {
            path.trim_start_matches(|c: char| c.is_alphanumeric() || "-_.".contains(c))
        });
        let number = path.strip_prefix(' ')?.trim_start();
        let number = named(number, pages).map_or(number, |(_, number)| number);
        let len = section_number(number).filter(|len| *len > 1 || is_digit(number))?;
        let end = rest.len() - number.len() + len;
        return Some(ill_formed(&rest[..end]));
    };
    if after.starts_with(':') {
        return None;
    }
    let after = after.trim_start();
    let Some((page, mut numbers)) = named(after, pages) else {
        let few: String = after.chars().take(20).collect();
        let is_meant = opened || is_digit(after);
        return is_meant.then(|| ill_formed(&format!(": {few}…")));
    };
    let mut found = vec![];
    while let Some(len) = section_number(numbers) {
        found.push(numbers[..len].to_owned());
        let more = &numbers[len..];
        match more.strip_prefix(", ").or(more.strip_prefix(" and ")) {
            Some(next) => numbers = next,
            None => break,
        }
    }
    if found.is_empty() {
        return Some(ill_formed(&format!(": {page}")));
    }
    Some(Ok((page.to_owned(), found)))
}

/// The page with whose name the text begins, and the text after it. The longest name wins.
fn named<'a, 'b>(text: &'a str, pages: &[&'b str]) -> Option<(&'b str, &'a str)> {
    pages
        .iter()
        .filter_map(|page| {
            let start = text.get(..page.len())?;
            let rest = text[page.len()..].trim_start();
            start.eq_ignore_ascii_case(page).then_some((*page, rest))
        })
        .max_by_key(|(page, _)| page.len())
}

fn is_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The length of the section number with which the text begins: `2`, `2.9`, `5.2a`, `A4`, `E`.
fn section_number(text: &str) -> Option<usize> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let bytes = text.as_bytes();
    let mut len = if bytes.first()?.is_ascii_uppercase() {
        1 + digits(&text[1..])
    } else {
        let mut len = digits(text);
        if len > 0 && bytes.get(len) == Some(&b'.') {
            let fraction = digits(&text[len + 1..]);
            if fraction > 0 {
                len += 1 + fraction;
                len += usize::from(bytes.get(len).is_some_and(u8::is_ascii_lowercase));
            }
        }
        len
    };
    let ends = |len: usize| {
        let next = text[len..].chars().next();
        next.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    };
    if !ends(len) {
        len = 0;
    }
    (len > 0).then_some(len)
}
