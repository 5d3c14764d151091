//! A pod's volumes: folders with the files that a kubelet would create.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, KeyToPath, ServiceAccount, ServiceAccountTokenProjection, Volume,
};
use kube::Api;
use kube::api::PostParams;

use super::objects::{Kind, Use, retry_while_forbidden};
use super::{Builder, Obstacle};

/// File mode when the pod sets none, as in Kubernetes.
const DEFAULT_MODE: i32 = 0o644;

impl Builder<'_> {
    /// Creates the folder of a volume and its files.
    pub(super) async fn fill(&self, volume: &Volume, dir: &Path) -> Result<(), Obstacle> {
        make_dir(dir)?;
        if let Some(source) = &volume.secret {
            let name = source
                .secret_name
                .as_ref()
                .ok_or_else(|| Obstacle::Broken("a secret without a name".to_owned()))?;
            let mode = source.default_mode;
            self.project(
                Kind::Secret,
                name,
                source.items.as_deref(),
                source.optional,
                mode,
                dir,
            )
            .await?;
        } else if let Some(source) = &volume.config_map {
            let mode = source.default_mode;
            self.project(
                Kind::ConfigMap,
                &source.name,
                source.items.as_deref(),
                source.optional,
                mode,
                dir,
            )
            .await?;
        } else if let Some(source) = &volume.downward_api {
            self.downward(source.items.as_deref(), source.default_mode, dir)?;
        } else if let Some(projected) = &volume.projected {
            let mode = projected.default_mode;
            for source in projected.sources.iter().flatten() {
                if let Some(secret) = &source.secret {
                    self.project(
                        Kind::Secret,
                        &secret.name,
                        secret.items.as_deref(),
                        secret.optional,
                        mode,
                        dir,
                    )
                    .await?;
                }
                if let Some(map) = &source.config_map {
                    self.project(
                        Kind::ConfigMap,
                        &map.name,
                        map.items.as_deref(),
                        map.optional,
                        mode,
                        dir,
                    )
                    .await?;
                }
                if let Some(downward) = &source.downward_api {
                    self.downward(downward.items.as_deref(), mode, dir)?;
                }
                if let Some(token) = &source.service_account_token {
                    self.token(token, dir).await?;
                }
            }
        }
        Ok(())
    }

    /// Writes the keys of a Secret or ConfigMap as files: all keys, or the requested items.
    async fn project(
        &self,
        kind: Kind,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        default_mode: Option<i32>,
        dir: &Path,
    ) -> Result<(), Obstacle> {
        let Some(found) = self.fetch(kind, name, optional, Use::Volume).await? else {
            return Ok(());
        };
        match items.filter(|items| !items.is_empty()) {
            None => {
                for (key, value) in &found.data {
                    write(&below(dir, key)?, value, default_mode)?;
                }
            }
            Some(items) => {
                for item in items {
                    match found.data.get(&item.key) {
                        Some(value) => {
                            write(&below(dir, &item.path)?, value, item.mode.or(default_mode))?
                        }
                        None if optional == Some(true) => {}
                        None => {
                            return Err(self.key_missing(
                                kind,
                                name,
                                &item.key,
                                found.version,
                                Use::Volume,
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn downward(
        &self,
        items: Option<&[DownwardAPIVolumeFile]>,
        mode: Option<i32>,
        dir: &Path,
    ) -> Result<(), Obstacle> {
        for item in items.into_iter().flatten() {
            let Some(field) = &item.field_ref else {
                return Err(Obstacle::Broken(
                    "a downwardAPI file without fieldRef: not supported".to_owned(),
                ));
            };
            write(
                &below(dir, &item.path)?,
                self.field(&field.field_path)?.as_bytes(),
                item.mode.or(mode),
            )?;
        }
        Ok(())
    }

    /// A token of the pod's service account, bound to the pod.
    async fn token(
        &self,
        projection: &ServiceAccountTokenProjection,
        dir: &Path,
    ) -> Result<(), Obstacle> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace());
        let account = self
            .spec
            .service_account_name
            .as_deref()
            .unwrap_or("default");
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: projection.audience.iter().cloned().collect(),
                expiration_seconds: projection.expiration_seconds,
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: self.pod.metadata.name.clone(),
                    uid: self.pod.metadata.uid.clone(),
                }),
            },
            ..Default::default()
        };
        let params = PostParams::default();
        let issued =
            retry_while_forbidden(|| accounts.create_token_request(account, &params, &request))
                .await;
        let issued = issued.map_err(|error| {
            Obstacle::Broken(format!("no token for service account {account}: {error}"))
        })?;
        let token = issued.status.map(|status| status.token).unwrap_or_default();
        write(
            &below(dir, &projection.path)?,
            token.as_bytes(),
            Some(0o600),
        )
    }
}

/// Joins a relative path to a folder, and refuses a path that leaves the folder.
pub(super) fn below(dir: &Path, path: &str) -> Result<PathBuf, Obstacle> {
    if Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        Ok(dir.join(path))
    } else {
        Err(Obstacle::Broken(format!(
            "path {path:?} leads out of its volume"
        )))
    }
}

pub(super) fn make_dir(dir: &Path) -> Result<(), Obstacle> {
    fs::create_dir_all(dir).map_err(|error| broken(dir, error))
}

fn write(file: &Path, content: &[u8], mode: Option<i32>) -> Result<(), Obstacle> {
    if let Some(parent) = file.parent() {
        make_dir(parent)?;
    }
    let _ = fs::remove_file(file); // an earlier attempt may have left it read-only
    fs::write(file, content).map_err(|error| broken(file, error))?;
    let mode = u32::try_from(mode.unwrap_or(DEFAULT_MODE)).unwrap_or(0o644);
    fs::set_permissions(file, Permissions::from_mode(mode)).map_err(|error| broken(file, error))
}

pub(super) fn broken(path: &Path, error: std::io::Error) -> Obstacle {
    Obstacle::Broken(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_cannot_be_left() {
        assert!(below(Path::new("/v"), "a/b").is_ok());
        assert!(below(Path::new("/v"), "../b").is_err());
        assert!(below(Path::new("/v"), "/b").is_err());
    }
}
