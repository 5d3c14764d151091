//! Keyed hashes of numbers: what remains of a number that was erased, and how the audit names one.
//! The keys are not in the database, so that nobody who has only the database can turn a hash back
//! by trying all numbers (docs/adr/0037).

use std::fmt;

use zeroize::Zeroizing;

use super::tokens::{TokenKeys, hmac_sha256};
use crate::company_id::CompanyId;

/// The keys of the hashes. The first one makes them; by all of them a number is recognised, so that
/// a key can be changed. None where the directory does not serve. They are not printed, and they
/// are wiped on drop.
#[derive(Clone, Default)]
pub(crate) struct NumberKeys(Vec<Zeroizing<[u8; 32]>>);

// === impl NumberKeys ===

impl NumberKeys {
    /// Keys of their own, and behind them those of the tokens: by these, numbers were hashed before
    /// there were keys of their own.
    pub(crate) fn new(own: Option<&TokenKeys>, tokens: &TokenKeys) -> Self {
        let all = own.into_iter().chain([tokens]);
        Self(all.flat_map(|keys| keys.derive_each("numbers")).collect())
    }

    /// The hash of a number of this company, 32 hexadecimal digits. Two companies have different
    /// ones.
    pub(crate) fn hash(&self, company: &CompanyId, number: &str) -> String {
        let hashes = self.hashes(company, number);
        hashes.into_iter().next().unwrap_or_default()
    }

    /// The hashes of a number by all keys, that of [`Self::hash`] first.
    pub(crate) fn hashes(&self, company: &CompanyId, number: &str) -> Vec<String> {
        // A company ID has no line break, so that no two pairs are one text.
        let text = format!("{company}\n{number}");
        let keys = self.0.iter();
        keys.map(|key| {
            let digest = hmac_sha256(key.as_slice(), text.as_bytes());
            let first = digest.iter().take(16);
            first.map(|byte| format!("{byte:02x}")).collect()
        })
        .collect()
    }
}

impl fmt::Debug for NumberKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NumberKeys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
    const NEW: &str = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";

    fn keys(own: Option<&str>, tokens: &str) -> NumberKeys {
        let parse = |text: &str| TokenKeys::parse(text).unwrap();
        NumberKeys::new(own.map(parse).as_ref(), &parse(tokens))
    }

    #[test]
    fn a_number_is_recognised_while_one_of_its_keys_is_there() {
        let (acme, number) = ("acme".parse().unwrap(), "+81312345678");
        let before = keys(None, OLD).hash(&acme, number);
        for after in [
            keys(None, &format!("{NEW}\n{OLD}")),
            keys(Some(NEW), OLD),
            keys(Some(&format!("{NEW}\n{OLD}")), NEW),
        ] {
            assert_ne!(after.hash(&acme, number), before);
            assert!(after.hashes(&acme, number).contains(&before), "{after:?}");
        }
        assert!(!keys(None, NEW).hashes(&acme, number).contains(&before));
    }

    #[test]
    fn another_company_and_another_number_have_another_hash() {
        let keys = keys(None, OLD);
        let of = |company: &str, number| keys.hash(&company.parse().unwrap(), number);
        assert_eq!(of("acme", "+8131").len(), 32);
        assert_ne!(of("acme", "+8131"), of("birch", "+8131"));
        assert_ne!(of("acme", "+8131"), of("acme", "+8132"));
        assert_eq!(format!("{keys:?}"), "NumberKeys(1)");
    }
}
