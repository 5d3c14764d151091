//! docs/exit-codes.md: the one table of exit codes, generated from the code that returns them.

use std::fmt::Write as _;

use switchboard::exit::Exit;

use crate::{assert_generated, files, root};

const HEAD: &str = "\
# Exit codes

<!-- Generated from src/exit.rs by `make docs`; edit that instead. -->

One table for every subcommand. `switchboard --help` prints it in short.

| code | means | when which subcommand ends with it |
|---|---|---|
";

const TAIL: &str = "
The first SIGTERM or SIGINT asks for an orderly end. The second ends the process at once, whatever it is doing; a worker has one second more
to leave its report. 101 is a bug: please report it with what stands on standard error. A signal in the first moment, and always
for `crds`, `permission-set` and `explain`, ends the process by itself (130, 143 in a shell). 137 is the kernel's or a kubelet's SIGKILL.
";

#[test]
fn the_page_is_the_table_of_the_code() {
    let mut page = HEAD.to_owned();
    for exit in Exit::ALL {
        let (code, meaning, roles) = (exit.code(), exit.meaning(), exit.roles());
        let _ = writeln!(page, "| {code} | {meaning} | {roles} |");
    }
    page.push_str(TAIL);
    assert_generated("docs/exit-codes.md", &page);
}

#[test]
fn no_other_page_has_such_a_table() {
    for path in files("docs", ".md")
        .into_iter()
        .chain([root().join("README.md")])
    {
        let text = std::fs::read_to_string(&path).unwrap();
        let table = text
            .lines()
            .any(|line| line.starts_with("| code | means |"));
        let own = path.ends_with("docs/exit-codes.md");
        assert_eq!(table, own, "{}", path.display());
    }
}
