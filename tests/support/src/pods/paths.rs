//! Path rewriting: a local process has no mount namespace, so the paths of the pod are replaced by
//! the real ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Maps paths in the pod to real paths.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths(BTreeMap<String, PathBuf>);

impl Paths {
    pub(super) fn insert(&mut self, in_pod: &str, real: PathBuf) {
        let in_pod = if in_pod == "/" {
            in_pod
        } else {
            in_pod.trim_end_matches('/')
        };
        self.0.insert(in_pod.to_owned(), real);
    }

    pub(super) fn all(&self) -> &BTreeMap<String, PathBuf> {
        &self.0
    }

    /// The real path of a path in the pod, if that is one of the mapped paths or below one.
    pub(super) fn real(&self, path: &str) -> Option<PathBuf> {
        let (in_pod, real) = self.longest_at(path)?;
        let rest = path[in_pod.len()..].trim_start_matches('/');
        Some(if rest.is_empty() {
            real.to_owned()
        } else {
            real.join(rest)
        })
    }

    /// Replaces each mapped path in a text where it is a complete path, not part of a longer word
    /// or path.
    pub(super) fn rewrite(&self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut previous = None;
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let starts = next == '/' && !previous.is_some_and(continues_path);
            if let Some((in_pod, real)) = self.longest_at(rest).filter(|_| starts) {
                result.push_str(&real.to_string_lossy());
                previous = in_pod.chars().next_back();
                rest = &rest[in_pod.len()..];
            } else {
                result.push(next);
                previous = Some(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        result
    }

    /// The longest mapped path at the start of the text that ends at the end of a path element.
    fn longest_at(&self, text: &str) -> Option<(&str, &Path)> {
        let fits = |path: &str| {
            text.strip_prefix(path).is_some_and(|rest| {
                rest.starts_with('/') || !rest.chars().next().is_some_and(continues_path)
            })
        };
        let fitting = self.0.iter().filter(|(path, _)| fits(path));
        fitting
            .max_by_key(|(path, _)| path.len())
            .map(|(path, real)| (path.as_str(), real.as_path()))
    }
}

fn continues_path(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '/' | '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Paths {
        let mut paths = Paths::default();
        paths.insert("/etc/app", "/tmp/1".into());
        paths.insert("/etc/app/token/", "/tmp/2".into());
        paths.insert("/dev/termination-log", "/tmp/log".into());
        paths
    }

    #[test]
    fn the_longest_path_wins_and_a_path_ends_at_its_end() {
        let rewritten = |text| paths().rewrite(text);
        assert_eq!(rewritten("/etc/app"), "/tmp/1");
        assert_eq!(rewritten("/etc/app/password"), "/tmp/1/password");
        assert_eq!(rewritten("/etc/app/token/x"), "/tmp/2/x");
        assert_eq!(rewritten("/etc/apples"), "/etc/apples");
        assert_eq!(rewritten("https://host/etc/app"), "https://host/etc/app");
        assert_eq!(
            rewritten("--report=/dev/termination-log"),
            "--report=/tmp/log"
        );
        assert_eq!(
            rewritten(r#"{"a":"/etc/app","b":"/etc/app/token"}"#),
            r#"{"a":"/tmp/1","b":"/tmp/2"}"#
        );
        assert_eq!(rewritten("/etc/app:/etc/app"), "/tmp/1:/tmp/1");
    }

    #[test]
    fn a_single_path_is_found() {
        assert_eq!(paths().real("/etc/app/token/x"), Some("/tmp/2/x".into()));
        assert_eq!(paths().real("/etc/apples"), None);
    }
}
