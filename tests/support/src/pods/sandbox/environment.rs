//! The environment variables of a container, and references between them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::EnvVarSource;
use kube::ResourceExt;

use super::objects::{Kind, Use};
use super::{Builder, Obstacle};

impl Builder<'_> {
    pub(super) async fn environment(&self) -> Result<BTreeMap<String, String>, Obstacle> {
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

    /// The value of a variable; `None` when it is optional and absent.
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
}

/// Replaces `$(NAME)` by the value of an existing variable; `$$` becomes one dollar sign.
pub(super) fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
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

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
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
}
