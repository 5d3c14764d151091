//! The documents as a reader runs them: their fenced blocks, and the marks that say how a block is
//! run. CONTRIBUTING.md describes the marks.

use std::path::Path;

/// A fenced block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of the opening fence, from 1.
    pub line: usize,
    /// What the block is.
    pub kind: Kind,
    /// How it is run.
    pub run: Run,
    /// The lines between the fences.
    pub text: String,
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Commands: `sh`.
    Commands,
    /// Commands behind `$`, each with its output: `console`.
    Console,
    /// Objects, a part of a resource, or values of the chart: `yaml`.
    Yaml,
    /// Nothing that is run: no language, or that of a program or a picture.
    Shown,
}

/// How a block is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// As it stands, with the played Salesforce.
    Here,
    /// It is a file of this name, which later blocks use: `file: NAME`.
    File(String),
    /// Its output is held by something else, which is named: `output: WHERE`.
    OutputElsewhere(String),
    /// It needs pods that run, and is run by the e2e: `e2e`.
    OnANode,
    /// Nowhere, for this reason: `no-run: REASON`.
    Not(String),
}

/// A command of a console block, and what it prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The command line.
    pub command: &'a str,
    /// The lines below it.
    pub output: &'a str,
}

/// The fenced blocks of a page, in their order.
///
/// # Errors
///
/// A fence that is not closed, a language or a mark that is not known: with the line.
pub fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut found = vec![];
    let mut open: Option<(usize, &str, Vec<&str>)> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => open = Some((number + 1, info.trim(), vec![])),
            (None, None) => {}
            (Some((at, info, lines)), Some(_)) => {
                let (kind, run) = read(info).map_err(|why| format!("line {at}: {why}"))?;
                found.push(Block {
                    line: *at,
                    kind,
                    run,
                    text: lines.iter().map(|line| format!("{line}\n")).collect(),
                });
                open = None;
            }
            (Some((.., lines)), None) => lines.push(line),
        }
    }
    match open {
        Some((at, ..)) => Err(format!("line {at}: the fence is not closed")),
        None => Ok(found),
    }
}

fn read(info: &str) -> Result<(Kind, Run), String> {
    let (language, mark) = info.split_once(' ').unwrap_or((info, ""));
    let kind = match language {
        "sh" => Kind::Commands,
        "console" => Kind::Console,
        "yaml" => Kind::Yaml,
        "" | "json" | "mermaid" | "rust" | "text" => Kind::Shown,
        other => return Err(format!("{other:?} is no language that a test knows")),
    };
    let words = |words: &str| match words.trim() {
        "" => Err(format!("{mark:?} lacks its words")),
        words => Ok(words.to_owned()),
    };
    let run = match (mark.split_once(':'), mark, kind) {
        (_, "", _) => Run::Here,
        (_, "e2e", Kind::Commands) => Run::OnANode,
        (Some(("no-run", reason)), ..) => Run::Not(words(reason)?),
        (Some(("file", name)), _, Kind::Yaml) => Run::File(words(name)?),
        (Some(("output", place)), _, Kind::Console) => Run::OutputElsewhere(words(place)?),
        _ => return Err(format!("{mark:?} is no mark for a block of {language}")),
    };
    Ok((kind, run))
}

// === impl Block ===

impl Block {
    /// The commands of a console block with their outputs.
    pub fn shown(&self) -> Vec<Shown<'_>> {
        let mut rest = self.text.strip_prefix("$ ");
        let mut found = vec![];
        while let Some(text) = rest {
            let (command, after) = text.split_once('\n').unwrap_or((text, ""));
            let (output, next) = match after.strip_prefix("$ ") {
                Some(next) => ("", Some(next)),
                None => match after.find("\n$ ") {
                    Some(at) => (&after[..=at], Some(&after[at + 3..])),
                    None => (after, None),
                },
            };
            found.push(Shown { command, output });
            rest = next;
        }
        found
    }
}

/// The pages that a reader is sent to: README, CONTRIBUTING, everything in docs, and the chart's
/// README, by their path in the repository.
///
/// # Errors
///
/// A folder or a page cannot be read.
pub fn pages(repository: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut names = vec![
        "README.md".to_owned(),
        "CONTRIBUTING.md".to_owned(),
        "charts/switchboard/README.md".to_owned(),
    ];
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(repository.join(&folder))? {
            let entry = entry?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                folders.push(name);
            } else if name.ends_with(".md") {
                names.push(name);
            }
        }
    }
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let text = std::fs::read_to_string(repository.join(&name))?;
            Ok((name, text))
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "this is how a test fails")]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_and_unknown_ones_refused() {
        let page = "a\n```sh no-run: needs kind\nkind load\n```\n  ```yaml file: a.yaml\na: 1\n  ```\n```\nx\n```\n";
        let blocks = blocks(page).unwrap();
        assert_eq!(blocks[0].run, Run::Not("needs kind".into()));
        assert_eq!(
            (blocks[0].line, blocks[0].text.as_str()),
            (2, "kind load\n")
        );
        assert_eq!(blocks[1].run, Run::File("a.yaml".into()));
        assert_eq!(blocks[2].kind, Kind::Shown);
        for (page, why) in [
            ("```sh\n", "not closed"),
            ("```bash\n```", "no language"),
            ("```sh norun: x\n```", "no mark"),
            ("```sh no-run:\n```", "lacks its words"),
            ("```yaml e2e\n```", "no mark"),
        ] {
            let refused = super::blocks(page).unwrap_err();
            assert!(refused.contains(why), "{page}: {refused}");
        }
    }

    #[test]
    fn commands_of_a_console_block_have_their_own_outputs() {
        let block = &blocks("```console\n$ a\n1\n2\n$ b\n$ c\n3\n```").unwrap()[0];
        let shown: Vec<_> = block
            .shown()
            .iter()
            .map(|shown| (shown.command, shown.output))
            .collect();
        assert_eq!(shown, [("a", "1\n2\n"), ("b", ""), ("c", "3\n")]);
    }
}
