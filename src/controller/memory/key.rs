//! The name of an object within its kind.

use std::fmt;

use kube::ResourceExt;

/// The namespace and the name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The namespace; empty for objects without one.
    pub namespace: String,
    /// The name.
    pub name: String,
}

// === impl Key ===

impl Key {
    /// The key of any namespaced object.
    pub(crate) fn of(object: &impl ResourceExt) -> Self {
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
/// A key in the namespace `tenant`.
pub(crate) fn key(name: &str) -> Key {
    Key {
        namespace: "tenant".into(),
        name: name.into(),
    }
}
