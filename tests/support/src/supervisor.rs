//! Starts `cluster up` and sends it orders.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;

use crate::error::{Context, Error, Result};

/// The process `cluster up`. It ends with its stdin, and so with this program.
#[derive(Debug)]
pub(crate) struct Supervisor {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// The announcement that `cluster up` prints.
#[derive(Deserialize)]
pub(crate) struct Announcement {
    pub(crate) kubeconfig: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) version: String,
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: String,
}

// === impl Supervisor ===

impl Supervisor {
    pub(crate) fn start(binary: &Path, flags: &[OsString]) -> Result<(Self, Announcement)> {
        let mut process = Command::new(binary)
            .arg("up")
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(|| format!("start {} up", binary.display()))?;
        let orders = process.stdin.take();
        let Some(stdout) = process.stdout.take() else {
            return Err(Error::ControlPlane("no pipe to the supervisor".to_owned()));
        };
        let mut supervisor = Self {
            process,
            orders,
            answers: BufReader::new(stdout),
        };
        let announcement = supervisor.read_line()?;
        Ok((supervisor, announcement))
    }

    pub(crate) fn order(&mut self, order: &str) -> Result<()> {
        if let Some(orders) = &mut self.orders {
            writeln!(orders, "{order}").context(|| format!("give the order {order:?}"))?;
        }
        let answer: Answer = self.read_line()?;
        if answer.ok {
            Ok(())
        } else {
            Err(Error::ControlPlane(format!("{order}: {}", answer.error)))
        }
    }

    fn read_line<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.answers
            .read_line(&mut line)
            .context(|| "read from the supervisor")?;
        if line.is_empty() {
            return Err(Error::ControlPlane(
                "the supervisor has ended; its reasons stand above".to_owned(),
            ));
        }
        serde_json::from_str(&line)
            .map_err(|error| Error::ControlPlane(format!("not to be understood: {error}: {line}")))
    }
}

impl Drop for Supervisor {
    /// The end of its stdin tells the process to stop everything; the drop waits for that.
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.process.wait();
    }
}
