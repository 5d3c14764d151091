//! The worker's command line.

use std::path::PathBuf;

use crate::run::RunKind;
use crate::run::settings::SETTINGS_ENV;

/// `switchboard worker sync|lookup`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    run: Run,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Run {
    /// The daily run: looks up the numbers that have no contact yet, and overwrites none.
    Sync(Options),
    /// The after-call run: looks up the numbers of calls that ended, and overwrites their contacts.
    Lookup(Options),
}

/// Where a run finds what it needs.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The settings document (JSON).
    #[arg(long, env = SETTINGS_ENV, hide_env_values = true)]
    pub settings: Option<String>,
    /// Folder with one file for each key of the Salesforce Secret: password, securityToken,
    /// clientId, clientSecret, privateKey.
    #[arg(long, value_name = "DIR")]
    pub credentials_dir: PathBuf,
    /// File with the directory's token.
    #[arg(long, value_name = "FILE")]
    pub directory_token_file: PathBuf,
    /// PEM file with an authority to trust for Salesforce besides the public ones.
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// PEM file with the authorities to trust for the directory, and no others. Those of the
    /// system when not given.
    #[arg(long, value_name = "FILE")]
    pub directory_ca_bundle: Option<PathBuf>,
    /// Where the run's report is left.
    #[arg(long, value_name = "FILE", default_value = "/dev/termination-log")]
    pub termination_log: PathBuf,
    /// Who takes the calls. A later run of the same name goes on with what an earlier one left at
    /// once; two runs at a time need two names. Without it, the kind of run.
    #[arg(long, value_name = "NAME", env = "SWITCHBOARD_WORKER_HOLDER")]
    pub holder: Option<String>,
}

// === impl Args ===

impl Args {
    /// Returns the kind of the run.
    pub fn kind(&self) -> RunKind {
        match self.run {
            Run::Sync(_) => RunKind::Sync,
            Run::Lookup(_) => RunKind::Lookup,
        }
    }

    /// Returns the options of the run.
    pub fn options(&self) -> &Options {
        match &self.run {
            Run::Sync(options) | Run::Lookup(options) => options,
        }
    }
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

    #[test]
    fn the_command_line_names_the_run_and_its_files() {
        let line =
            "worker lookup --credentials-dir /c --directory-token-file /t --termination-log /l";
        let args = Command::try_parse_from(line.split(' ')).unwrap().args;
        assert_eq!(args.kind(), RunKind::Lookup);
        assert_eq!(args.options().termination_log, PathBuf::from("/l"));
        assert_eq!(args.options().ca_bundle, None);
        assert!(Command::try_parse_from(["worker", "sync"]).is_err());
        assert!(Command::try_parse_from(["worker"]).is_err());
    }
}
