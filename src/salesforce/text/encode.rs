//! Percent-encoding of forms, path segments and query values.

/// Percent-encodes all but the unreserved characters of RFC 3986, for forms and path segments.
pub(crate) fn percent_encode(text: &str) -> String {
    encode(text, b"-._~")
}

/// Percent-encodes only the necessary characters of a query's value, so that long statements fit:
/// `'`, `(`, `,` and similar characters stay. A space becomes a plus, as in Salesforce's own
/// examples, so a real plus is encoded (facts: Salesforce 5.2a). Semicolons and equals signs are
/// encoded because some servers split at a semicolon or at every equals sign.
pub(crate) fn query_encode(text: &str) -> String {
    // A plus of the text is already `%2B` here, and every `%20` is a space.
    encode(text, b"-._~'()*!,:/@$").replace("%20", "+")
}

/// The length in bytes of the output of [`query_encode`], without building it.
pub(crate) fn query_encoded_len(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b' ' => 1,
            byte if byte.is_ascii_alphanumeric() || b"-._~'()*!,:/@$".contains(&byte) => 1,
            _ => 3,
        })
        .sum()
}

fn encode(text: &str, plain: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            _ if plain.contains(&byte) => encoded.push(char::from(byte)),
            _ => {
                encoded.push('%');
                encoded.push(char::from(HEX[usize::from(byte >> 4)]));
                encoded.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    encoded
}
