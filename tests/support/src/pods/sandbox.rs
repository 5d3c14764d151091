//! A pod's volumes, environment and command, made real: folders with files, a list of variables, a program.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, DownwardAPIVolumeFile, EnvVarSource, KeyToPath, Pod, PodSpec, Secret,
    ServiceAccount, ServiceAccountTokenProjection, Volume,
};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use super::paths::Paths;
use super::state::PodCommand;

/// Mode of a file where the pod names none, as in Kubernetes.
const DEFAULT_MODE: i32 = 0o644;

/// Something that keeps a pod from starting.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// A Secret or ConfigMap, or a key of it, is not there (yet).
    Missing(Missing),
    /// Nothing that would pass by waiting.
    Broken(String),
}

/// What is missing, and how a kubelet says so.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// Its version, if the object is there and only a key is missing.
    pub(super) seen: Option<String>,
    pub(super) message: String,
    /// Whether it was wanted for the environment (CreateContainerConfigError) or for a volume (ContainerCreating).
    pub(super) for_environment: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Secret,
    ConfigMap,
}

/// Everything to start the process with.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) command: PodCommand,
    pub(super) working_dir: PathBuf,
    pub(super) termination_message: PathBuf,
}

/// What a sandbox is made from.
pub(super) struct Builder<'a> {
    pub(super) client: &'a Client,
    pub(super) pod: &'a Pod,
    pub(super) spec: &'a PodSpec,
    pub(super) container: &'a Container,
    /// A folder for this pod alone.
    pub(super) dir: &'a Path,
    /// Image or name of a program in the pod to a program here.
    pub(super) programs: &'a BTreeMap<String, PathBuf>,
    /// Host and port of the API server, told to every container.
    pub(super) api_server: (&'a str, &'a str),
}

/// The data of a Secret or ConfigMap.
struct Found {
    data: BTreeMap<String, Vec<u8>>,
    version: Option<String>,
}

impl Builder<'_> {
    pub(super) async fn build(&self) -> Result<Sandbox, Obstacle> {
        let working = self.dir.join("work");
        let termination_message = self.dir.join("termination-log");
        make_dir(&working)?;
        fs::write(&termination_message, "").map_err(|error| broken(&termination_message, error))?;

        let mut paths = Paths::default();
        let in_pod = self
            .container
            .termination_message_path
            .as_deref()
            .unwrap_or("/dev/termination-log");
        paths.insert(in_pod, termination_message.clone());
        for volume in self.spec.volumes.iter().flatten() {
            let dir = self.dir.join("volumes").join(&volume.name);
            self.fill(volume, &dir).await?;
        }
        for mount in self.container.volume_mounts.iter().flatten() {
            let mut real = self.dir.join("volumes").join(&mount.name);
            if let Some(sub_path) = mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
                real = below(&real, sub_path)?;
                if !real.exists() {
                    make_dir(&real)?;
                }
            }
            paths.insert(&mount.mount_path, real);
        }

        let variables = self.environment().await?;
        let argv = self.argv(&variables, &paths)?;
        let working_dir = match self
            .container
            .working_dir
            .as_deref()
            .filter(|dir| !dir.is_empty())
        {
            None => working,
            Some(dir) => paths.real(dir).ok_or_else(|| {
                Obstacle::Broken(format!(
                    "workingDir {dir} lies in none of its volumes: not supported"
                ))
            })?,
        };
        let environment = variables
            .into_iter()
            .map(|(name, value)| (name, paths.rewrite(&value)))
            .collect();
        let command = PodCommand {
            argv,
            environment,
            mounts: paths.all().clone(),
        };
        Ok(Sandbox {
            command,
            working_dir,
            termination_message,
        })
    }

    /// Program and arguments: `command` and `args` as Kubernetes joins them with the image's entrypoint.
    fn argv(
        &self,
        variables: &BTreeMap<String, String>,
        paths: &Paths,
    ) -> Result<Vec<String>, Obstacle> {
        let expand = |text: &String| paths.rewrite(&expand(text, variables));
        let mut command = self.container.command.iter().flatten().map(expand);
        let image = self.container.image.as_deref().unwrap_or_default();
        let name = command.next();
        let program = match &name {
            Some(name) => self.programs.get(name),
            None => self.programs.get(image),
        };
        let Some(program) = program else {
            let wanted = name.unwrap_or_else(|| format!("the entrypoint of image {image}"));
            return Err(Obstacle::Broken(format!(
                "the runner was not told which program stands for {wanted}"
            )));
        };
        let program = program.to_string_lossy().into_owned();
        Ok([program]
            .into_iter()
            .chain(command)
            .chain(self.container.args.iter().flatten().map(expand))
            .collect())
    }

    async fn environment(&self) -> Result<BTreeMap<String, String>, Obstacle> {
        let (host, port) = self.api_server;
        let mut variables = BTreeMap::from([
            (
                "HOSTNAME".to_owned(),
                self.spec
                    .hostname
                    .clone()
                    .unwrap_or_else(|| self.pod.name_any()),
            ),
            ("KUBERNETES_SERVICE_HOST".to_owned(), host.to_owned()),
            ("KUBERNETES_SERVICE_PORT".to_owned(), port.to_owned()),
        ]);
        for source in self.container.env_from.iter().flatten() {
            let prefix = source.prefix.as_deref().unwrap_or_default();
            let secret = source
                .secret_ref
                .as_ref()
                .map(|r| (Kind::Secret, &r.name, r.optional));
            let config_map = source
                .config_map_ref
                .as_ref()
                .map(|r| (Kind::ConfigMap, &r.name, r.optional));
            if let Some((kind, name, optional)) = secret.or(config_map)
                && let Some(found) = self.fetch(kind, name, optional, Use::Environment).await?
            {
                variables.extend(
                    found
                        .data
                        .into_iter()
                        .map(|(key, value)| (format!("{prefix}{key}"), text(&value))),
                );
            }
        }
        for variable in self.container.env.iter().flatten() {
            let value = match &variable.value_from {
                None => Some(expand(
                    variable.value.as_deref().unwrap_or_default(),
                    &variables,
                )),
                Some(source) => self.value_from(source).await?,
            };
            if let Some(value) = value {
                variables.insert(variable.name.clone(), value);
            }
        }
        Ok(variables)
    }

    /// The value of a variable, or none where it is optional and absent.
    async fn value_from(&self, source: &EnvVarSource) -> Result<Option<String>, Obstacle> {
        if let Some(field) = &source.field_ref {
            return Ok(Some(self.field(&field.field_path)?));
        }
        let secret = source
            .secret_key_ref
            .as_ref()
            .map(|r| (Kind::Secret, &r.name, &r.key, r.optional));
        let config_map = source
            .config_map_key_ref
            .as_ref()
            .map(|r| (Kind::ConfigMap, &r.name, &r.key, r.optional));
        let Some((kind, name, key, optional)) = secret.or(config_map) else {
            return Err(Obstacle::Broken(
                "a variable's valueFrom of a kind that is not supported".to_owned(),
            ));
        };
        let Some(found) = self.fetch(kind, name, optional, Use::Environment).await? else {
            return Ok(None);
        };
        match found.data.get(key) {
            Some(value) => Ok(Some(text(value))),
            None if optional == Some(true) => Ok(None),
            None => Err(self.key_missing(kind, name, key, found.version, Use::Environment)),
        }
    }

    /// Makes the folder of a volume and the files in it.
    async fn fill(&self, volume: &Volume, dir: &Path) -> Result<(), Obstacle> {
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

    /// Writes the keys of a Secret or ConfigMap as files: all, or the items asked for.
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

    /// A field of the pod, as `fieldRef` names it.
    fn field(&self, path: &str) -> Result<String, Obstacle> {
        let metadata = &self.pod.metadata;
        let subscript = |prefix: &str| {
            path.strip_prefix(prefix)
                .and_then(|rest| rest.strip_suffix("']"))
        };
        let value = match path {
            "metadata.name" => metadata.name.clone(),
            "metadata.namespace" => metadata.namespace.clone(),
            "metadata.uid" => metadata.uid.clone(),
            "spec.nodeName" => self.spec.node_name.clone(),
            "spec.serviceAccountName" => self.spec.service_account_name.clone(),
            "status.hostIP" | "status.hostIPs" | "status.podIP" | "status.podIPs" => {
                Some("127.0.0.1".to_owned())
            }
            "metadata.labels" => Some(format_map(self.pod.labels())),
            "metadata.annotations" => Some(format_map(self.pod.annotations())),
            _ => {
                let label =
                    subscript("metadata.labels['").map(|key| self.pod.labels().get(key).cloned());
                let annotation = subscript("metadata.annotations['")
                    .map(|key| self.pod.annotations().get(key).cloned());
                match label.or(annotation) {
                    Some(value) => value,
                    None => {
                        return Err(Obstacle::Broken(format!(
                            "fieldPath {path} is not supported"
                        )));
                    }
                }
            }
        };
        Ok(value.unwrap_or_default())
    }

    async fn fetch(
        &self,
        kind: Kind,
        name: &str,
        optional: Option<bool>,
        used: Use,
    ) -> Result<Option<Found>, Obstacle> {
        let namespace = self.namespace();
        let found = match kind {
            Kind::Secret => {
                let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
                retry_while_forbidden(|| api.get_opt(name))
                    .await
                    .map(|secret| {
                        secret.map(|secret| Found {
                            version: secret.resource_version(),
                            data: secret
                                .data
                                .unwrap_or_default()
                                .into_iter()
                                .map(|(key, value)| (key, value.0))
                                .collect(),
                        })
                    })
            }
            Kind::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &namespace);
                retry_while_forbidden(|| api.get_opt(name))
                    .await
                    .map(|map| {
                        map.map(|map| {
                            let version = map.resource_version();
                            let mut data: BTreeMap<String, Vec<u8>> = map
                                .data
                                .unwrap_or_default()
                                .into_iter()
                                .map(|(key, value)| (key, value.into_bytes()))
                                .collect();
                            data.extend(
                                map.binary_data
                                    .unwrap_or_default()
                                    .into_iter()
                                    .map(|(key, value)| (key, value.0)),
                            );
                            Found { version, data }
                        })
                    })
            }
        };
        match found {
            Ok(None) if optional != Some(true) => Err(Obstacle::Missing(Missing {
                kind,
                name: name.to_owned(),
                seen: None,
                message: format!("{} {name:?} not found", kind.lower_case()),
                for_environment: used == Use::Environment,
            })),
            Ok(found) => Ok(found),
            Err(error) => Err(Obstacle::Broken(format!(
                "cannot read {} {name:?}: {error}",
                kind.lower_case()
            ))),
        }
    }

    fn key_missing(
        &self,
        kind: Kind,
        name: &str,
        key: &str,
        seen: Option<String>,
        used: Use,
    ) -> Obstacle {
        let message = match used {
            Use::Environment => format!(
                "couldn't find key {key} in {kind:?} {}/{name}",
                self.namespace()
            ),
            Use::Volume => format!("references non-existent {} key: {key}", kind.lower_case()),
        };
        let for_environment = used == Use::Environment;
        Obstacle::Missing(Missing {
            kind,
            name: name.to_owned(),
            seen,
            message,
            for_environment,
        })
    }

    fn namespace(&self) -> String {
        self.pod.namespace().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Environment,
    Volume,
}

impl Kind {
    fn lower_case(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::ConfigMap => "configmap",
        }
    }
}

/// The node authorizer lets a node read what its pods refer to, and learns of a pod by a watch: an instant too late at times.
async fn retry_while_forbidden<T, F>(mut request: impl FnMut() -> F) -> kube::Result<T>
where
    F: Future<Output = kube::Result<T>>,
{
    for pause in [10, 50, 200, 500, 1000] {
        match request().await {
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                tokio::time::sleep(Duration::from_millis(pause)).await
            }
            result => return result,
        }
    }
    request().await
}

/// Replaces `$(NAME)` by the variable of that name where there is one; `$$` stands for a dollar sign.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let reference = rest
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'));
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some((value, after)) =
            reference.and_then(|(name, after)| Some((variables.get(name)?, after)))
        {
            result.push_str(value);
            rest = after;
        } else {
            result.push('$');
        }
    }
    result.push_str(rest);
    result
}

fn format_map(map: &BTreeMap<String, String>) -> String {
    map.iter()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// A relative path below a folder, and not out of it.
fn below(dir: &Path, path: &str) -> Result<PathBuf, Obstacle> {
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

fn make_dir(dir: &Path) -> Result<(), Obstacle> {
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

fn broken(path: &Path, error: std::io::Error) -> Obstacle {
    Obstacle::Broken(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_expanded_as_kubernetes_does() {
        let variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let cases = [
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$(B)", "$(B)"),
            ("$$(A)", "$(A)"),
            ("$A $", "$A $"),
            ("$(A", "$(A"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &variables), expected, "{text}");
        }
    }

    #[test]
    fn a_volume_cannot_be_left() {
        assert!(below(Path::new("/v"), "a/b").is_ok());
        assert!(below(Path::new("/v"), "../b").is_err());
        assert!(below(Path::new("/v"), "/b").is_err());
    }
}
