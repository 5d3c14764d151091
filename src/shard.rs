//! Shards: which of several controllers a namespace belongs to.
//!
//! The directory filters its stream by the same function by which a controller picks its
//! integrations. It depends on the name of the namespace only, so that both always agree.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The most shards.
const MOST: u32 = 1_000;

/// One of several shards, written `INDEX/COUNT` with the index from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: u32,
    count: u32,
}

/// The text is not a shard.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a shard is INDEX/COUNT, the index from 0 and below the count, the count at most 1000")]
pub struct InvalidShard;

// === impl Shard ===

impl Shard {
    /// The only one: every namespace belongs to it.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether there are no others.
    pub fn is_whole(&self) -> bool {
        self.count == 1
    }

    /// Whether a namespace belongs to this shard: the first eight bytes of the SHA-256 of its name,
    /// as a big-endian number, modulo the count.
    pub fn holds(&self, namespace: &str) -> bool {
        let digest = Sha256::digest(namespace.as_bytes());
        let first = digest.iter().take(8);
        let hash = first.fold(0, |hash: u64, byte| (hash << 8) | u64::from(*byte));
        hash % u64::from(self.count) == u64::from(self.index)
    }

    /// Which one it is, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let (index, count) = text.split_once('/').ok_or(InvalidShard)?;
        match (number(index), number(count)) {
            (Some(index), Some(count)) if index < count && count <= MOST => {
                Ok(Self { index, count })
            }
            _ => Err(InvalidShard),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = InvalidShard;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str) -> Shard {
        text.parse().unwrap()
    }

    #[test]
    fn each_namespace_belongs_to_one_shard_and_they_are_about_equal() {
        let shards: Vec<Shard> = (0..4).map(|index| shard(&format!("{index}/4"))).collect();
        let mut counts = [0; 4];
        for number in 0..4_000 {
            let namespace = format!("tenant-{number}");
            let owners: Vec<usize> = (0..4).filter(|at| shards[*at].holds(&namespace)).collect();
            assert_eq!(owners.len(), 1, "{namespace}");
            counts[owners[0]] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1_100).contains(count)),
            "{counts:?}"
        );
        assert!(shard("0/1").holds("any"));
    }

    #[test]
    fn the_hash_never_changes() {
        // printf acme | sha256sum: 822b33ad87c148a0… A change would move namespaces between
        // controllers of two versions.
        let of = |namespace: &str| (0..10).find(|at| shard(&format!("{at}/10")).holds(namespace));
        assert_eq!(
            [of("acme"), of("birch"), of("")],
            [Some(2), Some(3), Some(2)]
        );
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in [
            "", "1", "1/", "/4", "4/4", "5/4", "0/0", "-1/4", "+0/4", "0/1001", "0/99999", "a/b",
        ] {
            assert_eq!(text.parse::<Shard>(), Err(InvalidShard), "{text}");
        }
        assert_eq!(shard("03/10").to_string(), "3/10");
    }
}
