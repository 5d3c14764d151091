//! Exit codes: one table for every role. The page docs/exit-codes.md is generated from it.

use std::process::ExitCode;

/// The way in which a role ends, with its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All work is done.
    Done = 0,
    /// The work could not be done.
    Failed = 1,
    /// The command line, the files or the settings are wrong.
    Usage = 2,
    /// The allowance of API requests is used up.
    BudgetExhausted = 3,
    /// A signal requested the end before the work was done.
    Interrupted = 4,
    /// Nothing could be found out, so that nobody knows whether all is well.
    Unknown = 5,
}

// === impl Exit ===

impl Exit {
    /// All variants in the order of their codes.
    pub const ALL: [Self; 6] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::BudgetExhausted,
        Self::Interrupted,
        Self::Unknown,
    ];

    /// The number of the exit code.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The meaning, which is the same for every role.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "all that was to do is done",
            Self::Failed => "it could not be done; standard error, or the report, says why",
            Self::Usage => {
                "started wrongly: command line, files or settings; starting it again changes nothing until they are put right"
            }
            Self::BudgetExhausted => "the allowance of API requests is used up",
            Self::Interrupted => "told to stop (SIGTERM, SIGINT) before it was done",
            Self::Unknown => "it could not be found out; standard error says why",
        }
    }

    /// The cases in which each role ends with this code.
    pub const fn roles(self) -> &'static str {
        match self {
            Self::Done => {
                "`controller`, `directory`: after an orderly end, which one signal asks for. `worker`: also when there was nothing to do. `check`: the integration would be ready. `lookup`: all numbers were asked for, found or not. `status`: every integration that it shows is Ready. `why`: the directory has told, whether there is a name or not. `selftest`: all works"
            }
            Self::Failed => {
                "`controller`, `directory`: no port, no database, no Lease. `worker`: Salesforce or the directory failed, or the report could not be left. `check`: the integration would not be ready. `lookup`: Salesforce failed; what was found before is printed. `status`: an integration is not Ready, or the controller has not seen its latest change. `selftest`: something does not work"
            }
            Self::Usage => "all; `explain`: also for a code that no reason has",
            Self::BudgetExhausted => "`worker`",
            Self::Interrupted => {
                "`worker`: the request in flight was finished (at most 20 s) and the rest handed back; at a second signal at once. `check`, `lookup`, `status`, `why`, `selftest`: at the first signal; `lookup` prints what was found before. `directory purge`, `directory erase`, `directory compact`: at the first signal; what it had removed stays removed. `controller`, `directory`: when a second signal cuts their orderly end off"
            }
            Self::Unknown => {
                "`status`: the API server does not answer, does not let the caller read integrations, or there is none of that name or none at all. `why`: the directory does not answer, refuses the token, or has no such call and the text is no number"
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The table at the end of `switchboard --help`.
pub fn help() -> String {
    let lines = Exit::ALL.map(|exit| format!("  {}  {}", exit.code(), exit.meaning()));
    format!("Exit codes:\n{}", lines.join("\n"))
}
