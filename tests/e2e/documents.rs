//! The commands of the documents that need pods, as they stand there. The others are run by
//! tests/it/documents.

use std::os::unix::fs::PermissionsExt as _;

use switchboard_testbed::pages::{Run, blocks, pages};
use switchboard_testbed::{repository, target_dir};

use crate::bed::Bed;
use crate::{Failure, Progress};

pub(crate) async fn read(bed: &Bed, progress: &mut Progress) -> Result<(), Failure> {
    let tools = tempfile::tempdir()?;
    let kubectl = tools.path().join("kubectl");
    let cluster = target_dir().join("cluster/cluster");
    std::fs::write(
        &kubectl,
        format!("#!/bin/sh\nexec '{}' kubectl \"$@\"\n", cluster.display()),
    )?;
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755))?;
    let helm = std::path::absolute(&bed.args.helm)?;
    std::os::unix::fs::symlink(helm, tools.path().join("helm"))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", tools.path().display());
    let mut run = 0;
    for (page, text) in pages(&repository())? {
        for block in blocks(&text).map_err(|why| format!("{page}, {why}"))? {
            if block.run != Run::OnANode {
                continue;
            }
            run += 1;
            let step = async {
                let output = tokio::process::Command::new("bash")
                    .args(["-euo", "pipefail", "-c", &block.text])
                    .current_dir(repository())
                    .env("PATH", &path)
                    .env("HOME", tools.path())
                    .env("KUBECONFIG", bed.control_plane.kubeconfig_path())
                    .kill_on_drop(true)
                    .output()
                    .await?;
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                match output.status.success() {
                    true => Ok(String::new()),
                    false => Err(format!("{}{said}", block.text).into()),
                }
            };
            progress
                .step(&format!("{page}:{} as it stands", block.line), step)
                .await?;
        }
    }
    if run == 0 {
        return Err("no block of the documents needs a node".into());
    }
    Ok(())
}
