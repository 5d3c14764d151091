//! The command line, and the numbers that it gives.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::cli::{BadInput, SalesforceArgs};

/// The input limit. A larger file is a wrong file, not a list of phone numbers for a laptop.
const MAX_INPUT_BYTES: u64 = 64 * 1024 * 1024;

/// Flags of `switchboard lookup`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Phone numbers, as people write them; a number that begins with a minus sign goes after
    /// `--`.
    #[arg(
        value_name = "NUMBER",
        required_unless_present_any = ["numbers", "plan", "fill_preview", "report"],
        conflicts_with_all = ["numbers", "plan", "fill_preview", "report"]
    )]
    pub number: Vec<String>,
    /// File with the SalesforceIntegration as one would apply it; `-` reads standard input. The
    /// Secret may stand in it, too.
    #[arg(short, long = "file", value_name = "FILE")]
    pub file: PathBuf,
    /// File with the Secret.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Which integration, when the file holds several.
    #[arg(long)]
    pub name: Option<String>,
    /// File with phone numbers, one a line; `-` reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "fill_preview", "report"])]
    pub numbers: Option<PathBuf>,
    /// How to print what was found.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// Say why: the spellings asked for, the records seen, the rule that chose.
    #[arg(long)]
    pub explain: bool,
    /// Look no number up: count the org's records with a phone and its changes (2 API calls), and
    /// say what a day costs with each contacts.addressBook.
    #[arg(long, conflicts_with_all = ["fill_preview", "report", "explain"])]
    pub plan: bool,
    /// For how many phone calls a day the plan is; without it, for several.
    #[arg(long, value_name = "CALLS", requires = "plan", conflicts_with_all = ["number", "numbers"])]
    pub calls_a_day: Option<u64>,
    /// Look no number up: count the org's records with a phone, read some of them, and say what a
    /// fill of the address book takes.
    #[arg(long, conflicts_with_all = ["report", "explain"])]
    pub fill_preview: bool,
    /// Read all records for the preview, as a fill does.
    #[arg(long, requires = "fill_preview", conflicts_with_all = ["number", "numbers"])]
    pub all: bool,
    /// Look no number up: read all records with a phone, and write those into this file as CSV
    /// whose number nobody can dial or stands on other records, too; `-` is standard output.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["explain", "output"])]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would become a heading of the help"
    )]
    pub salesforce: SalesforceArgs,
}

/// How to print what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns, for people.
    Table,
    /// One JSON object a line, the last with the summary.
    Json,
    /// Comma-separated values with a heading.
    Csv,
}

// === impl Args ===

impl Args {
    /// The numbers as they are written. Empty lines of a file are skipped.
    pub(crate) fn texts(&self) -> Result<Vec<String>, BadInput> {
        let Some(path) = &self.numbers else {
            return Ok(self.number.clone());
        };
        let stdin = Path::new("-");
        let both = [Some(&self.file), self.secret_file.as_ref()];
        if path == stdin && both.into_iter().flatten().any(|file| file == stdin) {
            return Err(BadInput::StandardInput);
        }
        let read: Box<dyn Read> = if path == stdin {
            Box::new(std::io::stdin().lock())
        } else {
            Box::new(std::fs::File::open(path).map_err(|source| bad(path, source))?)
        };
        lines(read).map_err(|source| bad(path, source))
    }
}

fn bad(path: &Path, source: std::io::Error) -> BadInput {
    BadInput::File {
        path: path.to_owned(),
        source,
    }
}

/// The lines that are not empty, without the byte-order mark that spreadsheets write.
fn lines(read: impl Read) -> std::io::Result<Vec<String>> {
    let mut texts = Vec::new();
    for line in BufReader::new(read.take(MAX_INPUT_BYTES)).lines() {
        let line = line?;
        let text = line.trim_start_matches('\u{feff}').trim();
        if !text.is_empty() {
            texts.push(text.to_owned());
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Command::try_parse_from(line.split(' ')).map(|command| command.args)
    }

    #[test]
    fn numbers_come_from_the_command_line_or_from_a_file_and_not_from_both() {
        let args = parse("lookup -f acme.yaml +81312345678 03-1234-5679 -o csv").unwrap();
        assert_eq!(args.texts().unwrap(), ["+81312345678", "03-1234-5679"]);
        assert_eq!(args.output, Format::Csv);
        assert!(parse("lookup -f acme.yaml").is_err());
        assert!(parse("lookup -f acme.yaml --numbers list 110").is_err());
        assert!(parse("lookup 110").is_err());
        assert!(parse("lookup -f acme.yaml --plan").is_ok());
        assert!(parse("lookup -f acme.yaml --plan --calls-a-day 900").is_ok());
        assert!(parse("lookup -f acme.yaml --fill-preview --all -o json").is_ok());
        assert!(parse("lookup -f acme.yaml --report -").is_ok());
        for wrong in [
            "--plan 110",
            "--plan --numbers list",
            "--plan --fill-preview",
            "--fill-preview --report x",
            "--report x -o json",
            "--calls-a-day 5 110",
            "--all 110",
        ] {
            assert!(
                parse(&format!("lookup -f acme.yaml {wrong}")).is_err(),
                "{wrong}"
            );
        }
        let both = parse("lookup -f - --numbers -").unwrap();
        assert!(matches!(both.texts(), Err(BadInput::StandardInput)));
        let missing = parse("lookup -f a --numbers /no/such/file").unwrap();
        assert!(matches!(missing.texts(), Err(BadInput::File { .. })));
    }

    #[test]
    fn a_file_has_one_number_a_line() {
        let text = "\u{feff}03-1234-5678\r\n\n  0312345679 \n０３１２３４５６７０";
        let read = lines(text.as_bytes()).unwrap();
        assert_eq!(read, ["03-1234-5678", "0312345679", "０３１２３４５６７０"]);
        assert!(lines(&b"\xff\xfe0\x003"[..]).is_err(), "no UTF-8");
    }
}
