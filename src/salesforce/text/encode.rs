//! Percent-encoding: of forms and path segments, and of the value of a query.

/// Percent-encodes all but the unreserved characters of RFC 3986: for forms and path segments.
pub(crate) fn percent_encode(text: &str) -> String {
    encode(text, b"-._~")
}

/// Percent-encodes what a query's value must have encoded and nothing more, so that long statements
/// fit: `'`, `(`, `,` and their like stay, and a space is a plus, as Salesforce's own examples write
/// it. A plus that is meant is therefore encoded (facts: Salesforce 5.2a); some servers split at a semicolon or
/// at every equals sign.
pub(crate) fn query_encode(text: &str) -> String {
    // A plus of the text is `%2B` by now, and every `%20` is a space.
    encode(text, b"-._~'()*!,:/@$").replace("%20", "+")
}

/// How many bytes [`query_encode`] makes of a text, without making them.
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
