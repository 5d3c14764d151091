//! The repository's folders, and the programs built from `tests/cluster` and `tests/tools`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tokio::sync::Mutex;

use crate::error::{Context, Error, Result};

/// The root of the repository that this crate was compiled in.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap_or_else(|_| PathBuf::from("."))
}

/// The folder for all build results, `target` in the repository.
pub fn target_dir() -> PathBuf {
    repository().join("target")
}

static STAND_IN: OnceLock<PathBuf> = OnceLock::new();

/// The times at which the CronJob controller starts Jobs, by its own library: one line for each
/// line of the input, as `cluster calendar` reads and writes them.
///
/// # Errors
/// Fails if the binary cannot be built, or refuses a line.
pub async fn cron_calendar(input: String) -> Result<String> {
    let program = cluster_binary().await?;
    let run = move || -> std::io::Result<std::process::Output> {
        let mut child = Command::new(program)
            .arg("calendar")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take();
        // Both ends at once: a pipe holds less than the answer.
        let writer = std::thread::spawn(move || match stdin.as_mut() {
            Some(stdin) => std::io::Write::write_all(stdin, input.as_bytes()),
            None => Ok(()),
        });
        let output = child.wait_with_output()?;
        let _ = writer.join();
        Ok(output)
    };
    let output = tokio::task::spawn_blocking(run)
        .await
        .map_err(|error| Error::Build(error.to_string()))?
        .context(|| "run cluster calendar".to_owned())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::Build(format!("cluster calendar failed: {said}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// From here on this program is asked for what the `cluster` binary does otherwise, which then need
/// not be built: `supervise -- COMMAND` ([`crate::supervise()`]) and `kubectl ARGS`. Only for
/// clusters that are there already: it cannot start one.
pub fn stand_in_for_cluster_binary(program: PathBuf) {
    let _ = STAND_IN.set(program); // the first word counts
}

/// The `cluster` binary. It is built first when it is absent or older than its sources; the build
/// shows its progress on stderr.
pub(crate) async fn cluster_binary() -> Result<PathBuf> {
    if let Some(program) = STAND_IN.get() {
        return Ok(program.clone());
    }
    built_by("tests/cluster/build.sh").await?;
    Ok(target_dir().join("cluster/cluster"))
}

/// Runs a build script of the repository, once in each program. The script returns quickly when
/// nothing has changed.
pub(crate) async fn built_by(script: &'static str) -> Result<()> {
    static BUILT: Mutex<BTreeMap<&str, Result<(), String>>> = Mutex::const_new(BTreeMap::new());
    let mut built = BUILT.lock().await;
    if !built.contains_key(script) {
        let outcome = match tokio::task::spawn_blocking(|| build(script)).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        built.insert(script, outcome);
    }
    built[script].clone().map_err(Error::Build)
}

fn build(script: &str) -> Result<()> {
    let script = repository().join(script);
    let status = Command::new(&script)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context(|| format!("run {}", script.display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Build(format!(
            "{} failed ({status}); its reasons stand above",
            script.display()
        )))
    }
}
