//! Wrong command lines, and the table of exit codes in the help.

use switchboard::exit::Exit;

use crate::program::{run, switchboard};

#[test]
fn a_wrong_command_line_is_a_wrong_start_of_every_role() {
    let roles = [
        "controller",
        "directory",
        "worker",
        "worker sync",
        "check",
        "lookup",
        "selftest",
        "explain --what",
        "status -A acme",
        "status -A -n acme",
        "crds --what",
        "nonsense",
        "",
    ];
    for line in roles {
        let ended = run(&mut switchboard(line));
        ended.says(Exit::Usage.code().into(), &["Usage:"]);
    }
}

#[test]
fn the_help_has_the_table_of_exit_codes() {
    let ended = run(&mut switchboard("--help"));
    ended.says(0, &["Exit codes:"]);
    for exit in Exit::ALL {
        let line = format!("  {}  {}", exit.code(), &exit.meaning()[..20]);
        assert!(ended.out.contains(&line), "{line:?}: {}", ended.out);
    }
}
