//! The real `helm` and `kubeconform`, built from `tests/tools`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::control_plane::CommandOutput;
use crate::error::{Context, Result};
use crate::program::{built_by, target_dir};

/// The tools for tests of the chart.
#[derive(Debug, Clone, Copy)]
pub struct Helm(());

// === impl Helm ===

impl Helm {
    /// Builds the tools first when they are absent or older than the versions in
    /// `tests/tools/go.mod`.
    pub async fn ready() -> Result<Self> {
        built_by("tests/tools/build.sh").await?;
        Ok(Self(()))
    }

    /// Path of a tool: `helm` or `kubeconform`.
    pub fn tool(self, name: &str) -> PathBuf {
        target_dir().join("tools").join(name)
    }

    /// Runs helm without any cluster.
    pub async fn run<S: AsRef<OsStr>>(
        self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<CommandOutput> {
        // This file never exists: helm must not use the cluster that a developer works with.
        self.run_with(Path::new("/nonexistent/kubeconfig"), arguments)
            .await
    }

    /// Runs helm with the cluster of a kubeconfig.
    pub async fn run_with<S: AsRef<OsStr>>(
        self,
        kubeconfig: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<CommandOutput> {
        let home = tempfile::tempdir().context(|| "make a folder for helm")?;
        let mut command = Command::new(self.tool("helm"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .env("KUBECONFIG", kubeconfig);
        CommandOutput::of(command, "").await
    }
}
