//! Salesforce record ids: 15 case-sensitive characters, or 18 with a checksum that survives case
//! folding.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// A stable hash: the same names give the same ids in every run.
pub(crate) fn stable_hash(parts: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash ^= u64::from(byte);
            hash = hash.wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

fn base62(mut number: u64, width: usize) -> String {
    let mut out = vec![b'0'; width];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The 18-character id of the `serial`th row with this key prefix in the org with this hash.
pub(crate) fn serial_id(prefix: &str, org: u64, serial: u64) -> String {
    lengthen(&format!("{prefix}{}{}", base62(org, 4), base62(serial, 8)))
}

/// An 18-character id made from names alone.
pub(crate) fn named_id(prefix: &str, parts: &[&str]) -> String {
    lengthen(&format!("{prefix}{}", base62(stable_hash(parts), 12)))
}

/// Whether the text could be an id: 15 alphanumeric characters, or 18 with the right checksum.
pub(crate) fn is_id(text: &str) -> bool {
    let alphanumeric = text.bytes().all(|b| b.is_ascii_alphanumeric());
    alphanumeric
        && (text.len() == 15
            || (text.len() == 18 && lengthen(&text[..15]).eq_ignore_ascii_case(text)))
}

/// The 18-character form of a 15-character id; returns any other text unchanged.
pub(crate) fn lengthen(id: &str) -> String {
    if id.len() != 15 || !id.is_ascii() {
        return id.to_owned();
    }
    let mut out = id.to_owned();
    for chunk in id.as_bytes().chunks(5) {
        let bits = chunk
            .iter()
            .enumerate()
            .fold(0_usize, |bits, (position, byte)| {
                bits | (usize::from(byte.is_ascii_uppercase()) << position)
            });
        out.push(char::from(CHECKSUM[bits]));
    }
    out
}

/// The 15-character form.
pub(crate) fn shorten(id: &str) -> &str {
    id.get(..15).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_salesforces() {
        // Id pairs that appear in Salesforce's own documentation.
        assert_eq!(lengthen("0015000000K1oP8"), "0015000000K1oP8AAJ");
        assert_eq!(lengthen("00D300000000001"), "00D300000000001EAA");
    }

    #[test]
    fn ids_are_recognised() {
        assert!(is_id("0015000000K1oP8AAJ"));
        assert!(is_id("0015000000K1oP8"));
        assert!(!is_id("0015000000K1oP8AAK"));
        assert!(!is_id("0015000000K1oP"));
        assert!(!is_id("0015000000K1o-8"));
    }

    #[test]
    fn serials_do_not_collide_and_names_are_stable() {
        assert_ne!(serial_id("003", 7, 1), serial_id("003", 7, 2));
        assert_ne!(serial_id("003", 7, 1), serial_id("003", 8, 1));
        assert_eq!(named_id("005", &["a", "b"]), named_id("005", &["a", "b"]));
        assert_ne!(named_id("005", &["a", "b"]), named_id("005", &["ab", ""]));
    }
}
