//! Text from outside: decoding it, and quoting it in a message without its secrets.

pub(crate) mod encode;
mod redact;
pub(crate) mod xml;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};

use crate::json;
use crate::json::JsonError;

/// The longest text that is looked at, in characters.
const MAX_CHARS: usize = 20_000;

/// The maximum length of a quotation in a message, in characters.
const EXCERPT_CHARS: usize = 300;

/// The longest run of token-like characters that is quoted. Salesforce's ids have 18 characters,
/// its codes up to 50.
const MAX_WORD_CHARS: usize = 60;

/// The secrets of a connection. They are removed from all quoted text.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    secrets: Vec<SecretString>,
}

impl Redactor {
    pub(crate) fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        Self {
            secrets: secrets
                .into_iter()
                .filter(|secret| secret.expose_secret().len() > 3)
                .collect(),
        }
    }

    /// The text as one line for a message: secrets and tokens replaced, length capped.
    pub(crate) fn excerpt(&self, text: &str) -> String {
        let text = self.scrub(text);
        let clean: String = text
            .chars()
            .map(|char| if char.is_control() { ' ' } else { char })
            .collect();
        let words: Vec<&str> = clean.split_whitespace().map(redact_word).collect();
        cap(&words.join(" "))
    }

    /// The text with the secrets and parts of them replaced, in whatever form they are in it
    /// ([`redact`]). It must run before any other processing, so that no half of a secret escapes.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let text: String = text.chars().take(MAX_CHARS).collect();
        let places = redact::places(&text, self.secrets.iter().map(ExposeSecret::expose_secret));
        if places.is_empty() {
            return text;
        }
        let mut clean = String::with_capacity(text.len());
        let mut chars = text.chars();
        let mut at = 0;
        for place in places {
            clean.extend(chars.by_ref().take(place.start - at));
            clean.push_str("[redacted]");
            chars.by_ref().take(place.len()).for_each(drop);
            at = place.end;
        }
        clean.extend(chars);
        clean
    }

    /// A redactor of one more secret.
    pub(crate) fn and(&self, secret: &SecretString) -> Self {
        Self::new(self.secrets.iter().chain([secret]).cloned())
    }
}

/// Replaces words that look like tokens: session ids (`00D…!…`), JWTs and other long runs.
fn redact_word(word: &str) -> &str {
    let token_like = |byte: u8| byte.is_ascii_alphanumeric() || b"!._-+/=".contains(&byte);
    let bare = word.trim_matches(|char: char| !char.is_ascii_alphanumeric());
    let session = word.contains("00D") && word.contains('!');
    let jwt = word.contains("eyJ") && word.contains('.');
    let long = bare.len() > MAX_WORD_CHARS && bare.bytes().all(token_like) && !bare.contains("://");
    if session || jwt || long {
        "[redacted]"
    } else {
        word
    }
}

fn cap(text: &str) -> String {
    if text.chars().count() <= EXCERPT_CHARS {
        return text.to_owned();
    }
    let mut capped: String = text.chars().take(EXCERPT_CHARS).collect();
    capped.push('…');
    capped
}

/// A decoded body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// Whether the text was longer than it may be, so that its end is missing.
    pub(crate) is_cut: bool,
}

/// Decodes a body to at most `most` bytes: byte-order marks first, then the charset of
/// `Content-Type` or of an XML declaration, else UTF-8. Invalid bytes become U+FFFD. A text can be
/// three times as long as the bytes that it comes from.
pub(crate) fn decode(headers: &HeaderMap, mut body: Vec<u8>, most: usize) -> Decoded {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, _) = bytes.as_chunks();
        let units = pairs.iter().map(|pair| unit(*pair));
        let chars = char::decode_utf16(units);
        capped(
            chars.map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)),
            most,
        )
    };
    match body.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => {
            body.drain(..3);
            return utf8(body, most);
        }
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        _ => {}
    }
    let declared = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(charset_of_header);
    match declared
        .or_else(|| charset_of_declaration(&body))
        .as_deref()
    {
        Some("iso-8859-1" | "latin1" | "windows-1252" | "us-ascii") => {
            capped(body.iter().map(|byte| char::from(*byte)), most)
        }
        Some("utf-16" | "utf-16be") => utf16(&body, u16::from_be_bytes),
        Some("utf-16le") => utf16(&body, u16::from_le_bytes),
        _ => utf8(body, most),
    }
}

fn utf8(body: Vec<u8>, most: usize) -> Decoded {
    match String::from_utf8(body) {
        Ok(text) if text.len() <= most => Decoded {
            text,
            is_cut: false,
        },
        Ok(text) => capped(text.chars(), most),
        Err(error) => {
            let chunks = error.as_bytes().utf8_chunks();
            let chars = chunks.flat_map(|chunk| {
                let invalid = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
                chunk.valid().chars().chain(invalid)
            });
            capped(chars, most)
        }
    }
}

/// The characters as a text that ends before it would have more than `most` bytes.
fn capped(chars: impl Iterator<Item = char>, most: usize) -> Decoded {
    let mut text = String::new();
    for char in chars {
        if text.len() + char.len_utf8() > most {
            return Decoded { text, is_cut: true };
        }
        text.push(char);
    }
    Decoded {
        text,
        is_cut: false,
    }
}

fn charset_of_header(content_type: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.to_ascii_lowercase())
    })
}

fn charset_of_declaration(body: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(body.get(..body.len().min(200))?).into_owned();
    let declaration = head
        .trim_start()
        .strip_prefix("<?xml")?
        .split("?>")
        .next()?
        .to_owned();
    let value = declaration
        .split("encoding")
        .nth(1)?
        .trim_start()
        .strip_prefix('=')?
        .trim_start();
    let quote = value
        .chars()
        .next()
        .filter(|quote| matches!(quote, '"' | '\''))?;
    Some(value[1..].split(quote).next()?.to_ascii_lowercase())
}

/// The kind of a body that does not have the requested format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    Empty,
    Html,
    Xml,
    Json,
    Other,
}

/// Detects the kind of a body from its text, because the `Content-Type` of a proxy's page is not
/// reliable.
pub(crate) fn kind(text: &str) -> BodyKind {
    let text = text.trim_start();
    let head: String = text
        .chars()
        .take(1_000)
        .collect::<String>()
        .to_ascii_lowercase();
    if text.is_empty() {
        BodyKind::Empty
    } else if head.starts_with('<')
        && ["<!doctype html", "<html", "<body", "<h1", "<head"]
            .iter()
            .any(|tag| head.contains(tag))
    {
        BodyKind::Html
    } else if head.starts_with('<') {
        BodyKind::Xml
    } else if matches!(
        json::read::<serde::de::IgnoredAny>(text),
        Ok(_) | Err(JsonError::TooDeep)
    ) {
        BodyKind::Json
    } else {
        BodyKind::Other
    }
}

/// The visible text of an HTML page: its title, or else its body text.
pub(crate) fn html_words(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|start| {
        let from = start + lower[start..].find('>')? + 1;
        let to = from + lower[from..].find('<')?;
        Some(html[from..to].trim()).filter(|title| !title.is_empty())
    });
    if let Some(title) = title {
        return title.to_owned();
    }
    let mut words = String::new();
    let mut in_tag = false;
    for char in html.chars().take(5_000) {
        match char {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                words.push(' ');
            }
            _ if !in_tag => words.push(char),
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn decode(headers: &HeaderMap, body: Vec<u8>) -> String {
        super::decode(headers, body, 1_000).text
    }

    fn headers(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))])
    }

    #[test]
    fn bodies_are_decoded_by_mark_header_or_declaration() {
        let plain = HeaderMap::new();
        assert_eq!(decode(&plain, "é".as_bytes().to_vec()), "é");
        assert_eq!(decode(&plain, b"\xef\xbb\xbf{}".to_vec()), "{}");
        assert_eq!(decode(&plain, b"\xff\xfe<\0a\0".to_vec()), "<a");
        assert_eq!(
            decode(&headers("text/xml; charset=ISO-8859-1"), b"\xe9".to_vec()),
            "é"
        );
        assert_eq!(
            decode(
                &headers("text/xml; Charset=\"utf-8\""),
                "é".as_bytes().to_vec()
            ),
            "é"
        );
        assert!(
            decode(
                &plain,
                b"<?xml version='1.0' encoding='iso-8859-1'?><a>\xe9</a>".to_vec()
            )
            .contains('é')
        );
    }

    #[test]
    fn no_charset_makes_a_text_longer_than_it_may_be() {
        let plain = HeaderMap::new();
        let latin = headers("text/plain; charset=iso-8859-1");
        let mark = |mark: &[u8]| [mark, &[0x42; 1_000]].concat();
        for (headers, body) in [
            (&plain, vec![0xff; 1_000]),
            (&latin, vec![0xe9; 1_000]),
            (&plain, mark(b"\xfe\xff")),
            (&plain, mark(b"\xff\xfe")),
            (&plain, "あ".repeat(400).into_bytes()),
        ] {
            let whole = super::decode(headers, body.clone(), 3_000);
            assert!(!whole.is_cut && whole.text.len() > 1_000, "{whole:?}");
            let cut = super::decode(headers, body, 1_000);
            assert!(cut.is_cut && cut.text.len() <= 1_000, "{cut:?}");
            assert!(whole.text.starts_with(&cut.text));
        }
    }

    #[test]
    fn quotations_lose_secrets_tokens_and_line_breaks() {
        let redactor = Redactor::new(["pa<ss&word".into(), "no".into()]);
        let quoted =
            redactor.excerpt("no pa<ss&word pa&lt;ss&amp;word pa%3Css%26word\n00Dx!AQ.x end");
        assert_eq!(quoted, "no [redacted] [redacted] [redacted] [redacted] end");
        assert_eq!(redactor.excerpt(&"A1".repeat(40)), "[redacted]");
        assert_eq!(
            redactor.excerpt("LOGIN_MUST_USE_SECURITY_TOKEN"),
            "LOGIN_MUST_USE_SECURITY_TOKEN"
        );
        assert_eq!(
            redactor.excerpt(&"word ".repeat(100)).chars().count(),
            EXCERPT_CHARS + 1
        );
    }

    #[test]
    fn odd_bodies_are_told_apart() {
        assert_eq!(kind("  "), BodyKind::Empty);
        assert_eq!(kind("<!DOCTYPE html><html>"), BodyKind::Html);
        assert_eq!(kind("<h1>Bad Message 414</h1>"), BodyKind::Html);
        assert_eq!(kind("<?xml version='1.0'?><a/>"), BodyKind::Xml);
        assert_eq!(kind("{\"a\":1}"), BodyKind::Json);
        assert_eq!(kind("Bad_OAuth_Token"), BodyKind::Other);
        assert_eq!(html_words("<html><TITLE>Sign in</TITLE>"), "Sign in");
        assert_eq!(html_words("<h1>Bad</h1>").trim(), "Bad");
    }

    #[test]
    fn text_of_two_bytes_a_character_is_read_in_both_orders() {
        let plain = HeaderMap::new();
        let (big, little) = (b"\0<\0a\x30\x42", b"<\0a\0\x42\x30");
        let marked = |mark: &[u8], text: &[u8]| [mark, text].concat();
        for (headers, body) in [
            (&plain, marked(b"\xfe\xff", big)),
            (&plain, marked(b"\xff\xfe", little)),
            (&headers("text/xml; charset=utf-16"), big.to_vec()),
            (&headers("text/xml; charset=UTF-16BE"), big.to_vec()),
            (&headers("text/xml; charset=utf-16le"), little.to_vec()),
        ] {
            assert_eq!(decode(headers, body.clone()), "<a\u{3042}", "{body:?}");
        }
        for charset in ["iso-8859-1", "latin1", "windows-1252", "us-ascii"] {
            let content_type = format!("text/plain; charset={charset}");
            let value = HeaderValue::from_str(&content_type).unwrap();
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
            assert_eq!(decode(&headers, b"\xe9".to_vec()), "\u{e9}", "{charset}");
        }
    }

    #[test]
    fn a_text_is_cut_at_the_first_character_that_has_no_room() {
        let plain = HeaderMap::new();
        for (text, most, cut) in [
            ("12345", 6, "12345"),
            ("12345", 5, "12345"),
            ("12345", 4, "1234"),
            ("12\u{3042}", 5, "12\u{3042}"),
            ("12\u{3042}", 4, "12"),
        ] {
            let decoded = super::decode(&plain, text.as_bytes().to_vec(), most);
            assert_eq!((decoded.text.as_str(), decoded.is_cut), (cut, cut != text));
        }
    }

    #[test]
    fn a_word_is_a_token_by_its_length_or_its_marks() {
        let redacted = "[redacted]";
        let long = "A1".repeat(MAX_WORD_CHARS / 2);
        let address = format!("https://acme.example/{}", "x".repeat(MAX_WORD_CHARS));
        let japanese = "\u{3042}".repeat(MAX_WORD_CHARS);
        for (word, quoted) in [
            (long.as_str(), long.as_str()),
            (&format!("{long}="), &format!("{long}=")),
            (&format!("{long}x"), redacted),
            (&format!("({long}x),"), redacted),
            (&address, &address),
            (&japanese, &japanese),
            ("00Dx!AQ", redacted),
            ("00Dx", "00Dx"),
            ("Stop!", "Stop!"),
            ("eyJhbGciOiJ9.e30", redacted),
            ("eyJhbGciOiJ9", "eyJhbGciOiJ9"),
            ("acme.example", "acme.example"),
        ] {
            assert_eq!(redact_word(word), quoted, "{word}");
        }
    }
}
