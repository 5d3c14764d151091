//! Where the repository lies, and the `cluster` binary built from `tests/cluster`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::sync::OnceCell;

use crate::error::{Context, Error, Result};

/// The root of the repository that this crate was compiled in.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap_or_else(|_| PathBuf::from("."))
}

/// The folder for everything built, `target` in the repository.
pub fn target_dir() -> PathBuf {
    repository().join("target")
}

/// The `cluster` binary, built first where it is absent or older than its sources. The build shows its progress on stderr.
pub(crate) async fn cluster_binary() -> Result<PathBuf> {
    static BUILT: OnceCell<Result<(), String>> = OnceCell::const_new();
    let built = BUILT
        .get_or_init(|| async {
            match tokio::task::spawn_blocking(build).await {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    match built {
        Ok(()) => Ok(target_dir().join("cluster/cluster")),
        Err(error) => Err(Error::ControlPlane(error.clone())),
    }
}

fn build() -> Result<()> {
    let script = repository().join("tests/cluster/build.sh");
    let status = Command::new(&script)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context(|| format!("run {}", script.display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::ControlPlane(format!(
            "{} failed ({status}); its reasons stand above",
            script.display()
        )))
    }
}
