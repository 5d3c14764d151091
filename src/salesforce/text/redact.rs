//! Finds secrets in text from outside, in whatever form a server may send them back: as they are,
//! escaped for JSON, HTML, XML, a form or a URL, also twice, in base64 at any alignment, in another
//! Unicode normalisation or with other capitals, and only a part of them.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The shortest part of a secret that is removed, in characters of the text.
const PART: usize = 8;

/// The fewest characters of a secret in a part that is escaped, and longer for it.
const ESCAPED_PART: usize = 5;

/// The shortest secret. A shorter one would be found in ordinary words.
const SHORTEST: usize = 4;

/// Sentences of Salesforce's own (facts: Salesforce 1.1, 1.2, 2.9). They hold nothing of a request,
/// so a secret that has words in common with one is not in it; and to black these out would tell
/// that it has.
const OWN_SENTENCES: &[&str] = &[
    "Invalid username, password, security token; or user locked out.",
    "Invalid username, password, security token, user not active, or user locked out",
    "authentication failure - Invalid Password",
    "authentication failure",
    "invalid client credentials",
    "client identifier invalid",
    "user hasn't approved this consumer",
    "user is not admin approved",
    "Audience validation failed",
    "This session is not valid for use with the REST API",
    "Session expired or invalid",
    "External client app is not installed in this org",
];

/// How often a text may be escaped one over the other.
const MAX_LAYERS: usize = 5;

/// The shortest run of base64 that can hold a part.
const MIN_BASE64: usize = 8;

/// The names of the characters from U+00A0 on in HTML.
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

/// A character, and the characters of the source that it was written as.
#[derive(Clone, Copy)]
struct Read {
    char: char,
    from: usize,
    to: usize,
}

/// A secret in the form that texts are compared in.
struct Needle {
    chars: Zeroizing<Vec<char>>,
    /// The places at which runs of [`SHORTEST`] characters begin, in the order of these runs.
    seeds: Vec<usize>,
}

/// The places of a text, in characters, that hold a secret or a part of one. They are in order and
/// do not overlap.
pub(super) fn places<'a>(text: &str, secrets: impl Iterator<Item = &'a str>) -> Vec<Range<usize>> {
    let needles: Vec<Needle> = secrets.flat_map(Needle::all).collect();
    let mut found = Vec::new();
    if !needles.is_empty() {
        let layer = text.chars().enumerate().map(|(at, char)| Read {
            char,
            from: at,
            to: at + 1,
        });
        search(layer.collect(), &needles, true, &mut found);
    }
    if !found.is_empty() {
        let own = own_sentences(text);
        let is_own = |place: &Range<usize>| {
            own.iter()
                .any(|own| own.start <= place.start && place.end <= own.end)
        };
        found.retain(|place| !is_own(place));
    }
    found.sort_by_key(|place| place.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for place in found {
        match merged.last_mut() {
            Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
            _ => merged.push(place),
        }
    }
    merged
}

/// The places of a text, in characters, that hold a sentence of Salesforce's own.
fn own_sentences(text: &str) -> Vec<Range<usize>> {
    let of = |sentence: &'static str| {
        text.match_indices(sentence).map(move |(at, _)| {
            let start = text[..at].chars().count();
            start..start + sentence.chars().count()
        })
    };
    OWN_SENTENCES.iter().flat_map(|own| of(own)).collect()
}

/// Searches a text and everything that it may be the escaped form of.
fn search(
    mut layer: Vec<Read>,
    needles: &[Needle],
    in_base64: bool,
    found: &mut Vec<Range<usize>>,
) {
    for _ in 0..MAX_LAYERS {
        let comparable = comparable(&layer);
        for needle in needles {
            needle.find(&comparable, found);
        }
        if in_base64 {
            for inner in base64(&layer) {
                search(inner, needles, false, found);
            }
        }
        match unescaped(&layer) {
            Some(next) => layer = next,
            None => break,
        }
    }
}

// === impl Needle ===

impl Needle {
    /// A secret as it is, and as it reads where something takes it for an escaped text.
    fn all(secret: &str) -> Vec<Self> {
        let mut layer: Vec<Read> = secret
            .chars()
            .map(|char| Read {
                char,
                from: 0,
                to: 0,
            })
            .collect();
        let mut needles = vec![Self::of(&layer)];
        for _ in 0..MAX_LAYERS {
            let Some(next) = unescaped(&layer) else { break };
            layer = next;
            needles.push(Self::of(&layer));
        }
        needles.retain(|needle| needle.chars.len() >= SHORTEST);
        needles
    }

    fn of(layer: &[Read]) -> Self {
        let chars: Zeroizing<Vec<char>> =
            Zeroizing::new(comparable(layer).iter().map(|read| read.char).collect());
        let mut seeds: Vec<usize> = (0..(chars.len() + 1).saturating_sub(SHORTEST)).collect();
        seeds.sort_unstable_by_key(|at| seed(&chars, *at));
        Self { chars, seeds }
    }

    /// The places at which this run begins.
    fn starts(&self, run: [char; SHORTEST]) -> impl Iterator<Item = usize> {
        let first = self
            .seeds
            .partition_point(|at| seed(&self.chars, *at) < Some(run));
        let rest = self.seeds.get(first..).unwrap_or_default().iter();
        rest.copied()
            .take_while(move |at| seed(&self.chars, *at) == Some(run))
    }

    fn find(&self, text: &[Read], found: &mut Vec<Range<usize>>) {
        let mut at = 0;
        while let Some(run) = text.get(at..at + SHORTEST) {
            let run = [run[0].char, run[1].char, run[2].char, run[3].char];
            let starts = self.starts(run);
            let longest = starts.map(|start| self.common(start, &text[at..])).max();
            let Some(length) = longest else {
                at += 1;
                continue;
            };
            let place = text[at].from..text[at + length - 1].to;
            let written = place.len();
            let whole = length == self.chars.len();
            let escaped = length >= ESCAPED_PART && written >= PART && written > length;
            if whole || length >= PART || escaped {
                found.push(place);
                at += length;
            } else {
                at += 1;
            }
        }
    }

    /// How many characters are the same in the secret from `start` on and in the text.
    fn common(&self, start: usize, text: &[Read]) -> usize {
        let secret = self.chars[start..].iter();
        secret
            .zip(text)
            .take_while(|(char, read)| **char == read.char)
            .count()
    }
}

/// The run of characters that begins at a place.
fn seed(chars: &[char], at: usize) -> Option<[char; SHORTEST]> {
    chars.get(at..)?.first_chunk().copied()
}

// === Forms of a text ===

/// The text without differences of capitals, of Unicode's normalisations and between a blank and
/// the plus sign that a form writes for it.
fn comparable(layer: &[Read]) -> Vec<Read> {
    let mut plain = Vec::with_capacity(layer.len());
    for Read { char, from, to } in layer.iter().copied() {
        let read = |char| Read { char, from, to };
        match char {
            '+' => plain.push(read(' ')),
            // Most of what comes is ASCII, which no normalisation changes.
            '\0'..='\u{7f}' => plain.push(read(char.to_ascii_lowercase())),
            _ => plain.extend(char.to_lowercase().nfkd().map(read)),
        }
    }
    plain
}

/// The text with each escape replaced by what it stands for; `None` if there is none.
fn unescaped(layer: &[Read]) -> Option<Vec<Read>> {
    let mut read = Vec::with_capacity(layer.len());
    let mut changed = false;
    let mut at = 0;
    while at < layer.len() {
        let (char, length) = match escape(&layer[at..]) {
            Some(escape) => escape,
            None => (layer[at].char, 1),
        };
        changed |= length > 1;
        read.push(Read {
            char,
            from: layer[at].from,
            to: layer[at + length - 1].to,
        });
        at += length;
    }
    changed.then_some(read)
}

/// The escape at the beginning of a text: what it stands for, and its length.
fn escape(text: &[Read]) -> Option<(char, usize)> {
    let char = |at: usize| text.get(at).map(|read| read.char);
    let hex = |from: usize, digits: usize| -> Option<u32> {
        let digits = text.get(from..from + digits)?.iter();
        digits.into_iter().try_fold(0, |number, read| {
            Some(number << 4 | read.char.to_digit(16)?)
        })
    };
    match char(0)? {
        '%' => Some((char::from_u32(hex(1, 2)?)?, 3)),
        '&' => entity(text),
        '\\' => match char(1)? {
            'u' if char(2) == Some('{') => {
                let end = (3..10).find(|at| char(*at) == Some('}'))?;
                Some((char::from_u32(hex(3, end - 3)?)?, end + 1))
            }
            'u' => {
                let unit = hex(2, 4)?;
                if (0xd800..0xdc00).contains(&unit) && char(6) == Some('\\') && char(7) == Some('u')
                {
                    let low = hex(8, 4)?.checked_sub(0xdc00)?;
                    let code = 0x10000 + ((unit - 0xd800) << 10) + low;
                    return Some((char::from_u32(code)?, 12));
                }
                Some((char::from_u32(unit)?, 6))
            }
            'x' => Some((char::from_u32(hex(2, 2)?)?, 4)),
            'n' => Some(('\n', 2)),
            'r' => Some(('\r', 2)),
            't' => Some(('\t', 2)),
            same @ ('"' | '\'' | '\\' | '/') => Some((same, 2)),
            _ => None,
        },
        // UTF-8 whose bytes were taken for characters, as after percent-decoding.
        first @ '\u{c2}'..='\u{f4}' => {
            let length = match first {
                ..'\u{e0}' => 2,
                ..'\u{f0}' => 3,
                _ => 4,
            };
            let bytes: Option<Vec<u8>> = text
                .get(..length)?
                .iter()
                .map(|read| u8::try_from(u32::from(read.char)).ok())
                .collect();
            let bytes = bytes?;
            let read = std::str::from_utf8(&bytes).ok()?;
            Some((read.chars().next()?, length))
        }
        _ => None,
    }
}

/// A reference of HTML or XML.
fn entity(text: &[Read]) -> Option<(char, usize)> {
    let end = text.iter().take(12).position(|read| read.char == ';')?;
    let name: String = text[1..end].iter().map(|read| read.char).collect();
    let code = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        },
        None => match name.to_ascii_lowercase().as_str() {
            "amp" => '&'.into(),
            "lt" => '<'.into(),
            "gt" => '>'.into(),
            "quot" => '"'.into(),
            "apos" => '\''.into(),
            _ => 0xa0 + LATIN_1.split(' ').position(|known| known == name)? as u32,
        },
    };
    Some((char::from_u32(code)?, end + 1))
}

/// What the runs of base64 in a text hold, from each of the four places at which a group may begin.
/// Each byte is one character.
fn base64(layer: &[Read]) -> Vec<Vec<Read>> {
    let value = |char: char| -> Option<u32> {
        match char {
            'A'..='Z' => Some(u32::from(char) - 65),
            'a'..='z' => Some(u32::from(char) - 71),
            '0'..='9' => Some(u32::from(char) + 4),
            '+' | '-' => Some(62),
            '/' | '_' => Some(63),
            _ => None,
        }
    };
    let is_part = |read: &Read| value(read.char).is_some() || matches!(read.char, '\r' | '\n');
    let mut inner = Vec::new();
    for run in layer.split(|read| !is_part(read)) {
        let digits: Vec<(u32, &Read)> = run
            .iter()
            .filter_map(|read| Some((value(read.char)?, read)))
            .collect();
        if digits.len() < MIN_BASE64 {
            continue;
        }
        for start in 0..4 {
            let bytes = digits[start..].chunks(4).flat_map(|group| {
                let bits = group.iter().fold(0, |bits, (value, _)| bits << 6 | value)
                    << (6 * (4 - group.len()));
                (0..group.len().saturating_sub(1)).map(move |at| Read {
                    char: char::from((bits >> (16 - 8 * at)) as u8),
                    from: group[at].1.from,
                    to: group[at + 1].1.to,
                })
            });
            inner.push(bytes.collect());
        }
    }
    inner
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;
    use crate::salesforce::text::Redactor;
    use crate::salesforce::text::encode::percent_encode;
    use crate::salesforce::text::xml::escape as xml;

    const SECRET: &str = "p4s$w\"\u{f6}&<rd";

    fn json(text: &str) -> String {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    }

    fn ascii_json(text: &str) -> String {
        let escape = |unit: u16| match char::from_u32(unit.into()) {
            Some(char) if char.is_ascii() => json(&char.to_string()),
            _ => format!("\\u{unit:04x}"),
        };
        text.encode_utf16().map(escape).collect()
    }

    fn html(text: &str) -> String {
        xml(text).replace('\u{f6}', "&ouml;")
    }

    fn form(text: &str) -> String {
        percent_encode(text).replace("%20", "+")
    }

    fn decimal(text: &str) -> String {
        text.chars()
            .map(|char| format!("&#{};", u32::from(char)))
            .collect()
    }

    /// Every form of a secret that a server may send.
    fn forms(secret: &str) -> Vec<String> {
        let once: [fn(&str) -> String; 8] = [
            str::to_owned,
            json,
            ascii_json,
            xml,
            html,
            form,
            percent_encode,
            decimal,
        ];
        let mut forms: Vec<String> = once
            .iter()
            .flat_map(|outer| once.iter().map(move |inner| outer(&inner(secret))))
            .collect();
        forms.extend([
            secret.nfd().collect(),
            secret.nfc().collect(),
            secret.nfkc().collect(),
        ]);
        forms.push(secret.to_uppercase());
        for before in ["", "x", "xy", "user:"] {
            let text = format!("{before}{secret}@host");
            forms.push(STANDARD.encode(&text));
            forms.push(URL_SAFE_NO_PAD.encode(&text));
            forms.push(percent_encode(&STANDARD.encode(&text)));
            forms.push(STANDARD.encode(json(&text)));
            forms.push(STANDARD.encode(text.nfd().collect::<String>()));
        }
        forms
    }

    fn scrubbed(secret: &str, text: &str) -> String {
        Redactor::new([secret.into()]).scrub(text)
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        for secret in [
            SECRET,
            "correct horse+battery%41&amp;staple",
            "\u{5bc6}\u{7801}-\u{1f511}\u{e9}\u{e8}x",
        ] {
            for form in forms(secret) {
                let clean = scrubbed(secret, &format!("before >>{form}<< behind"));
                assert!(clean.contains("[redacted]"), "{form}");
                assert!(
                    clean.starts_with("before >>") && clean.ends_with("<< behind"),
                    "{clean}"
                );
                let left = clean
                    .trim_start_matches("before >>")
                    .trim_end_matches("<< behind");
                assert!(
                    left.chars().count() < "[redacted]".len() + 30,
                    "{form} leaves {left}"
                );
            }
        }
    }

    #[test]
    fn a_sentence_of_salesforces_own_tells_nothing_of_a_secret() {
        let sentence = OWN_SENTENCES[0];
        for secret in ["not-the-password", "password", "security token"] {
            assert_eq!(scrubbed(secret, sentence), sentence);
            let echoed = scrubbed(secret, &format!("{sentence} You sent {secret}."));
            assert!(echoed.starts_with(sentence), "{echoed}");
            assert!(!echoed[sentence.len()..].contains(secret), "{echoed}");
        }
    }

    #[test]
    fn a_part_of_a_secret_is_found_and_words_are_left() {
        let secret = "Tr0ub4dor&3-and-a-long-tail-of-characters";
        for part in [&secret[..20], &secret[5..13], &secret[secret.len() - 8..]] {
            for written in [part.to_owned(), json(part), xml(part), form(part)] {
                assert_eq!(scrubbed(secret, &written), "[redacted]", "{written}");
            }
            let coded = STANDARD.encode(part);
            assert!(scrubbed(secret, &coded).contains("[redacted]"), "{coded}");
        }
        let cut: String = html(SECRET).chars().take(20).collect();
        assert!(scrubbed(SECRET, &cut).starts_with("[redacted]"), "{cut}");
        let text = "INVALID_LOGIN: Invalid username, password, security token; or user locked out.";
        assert_eq!(scrubbed(secret, text), text);
        assert_eq!(
            scrubbed(SECRET, "100% of &c; \\u12 p4s %zz &#x110000;"),
            "100% of &c; \\u12 p4s %zz &#x110000;"
        );
    }

    proptest! {
        #[test]
        fn no_form_of_any_secret_gets_through(secret in "[ -~\u{e0}-\u{ff}\u{3042}-\u{3049}]{8,24}", around in "[A-Z .,]{0,12}", form in 0..80_usize) {
            let forms = forms(&secret);
            let form = &forms[form % forms.len()];
            let clean = scrubbed(&secret, &format!("{around}{form}{around}"));
            prop_assert!(clean.contains("[redacted]"), "{}", form);
        }

        #[test]
        fn no_text_breaks_the_search(text in any::<String>(), secret in any::<String>()) {
            scrubbed(&secret, &text);
        }
    }

    /// What is left of a text that holds a secret of ten characters in this form.
    fn left(form: &str) -> String {
        scrubbed("correct?ho", &format!("<{form}>"))
    }

    #[test]
    fn every_escape_is_read() {
        for form in [
            "correct?ho",
            "correct%3fho",
            "correct%3Fho",
            "correct&#63;ho",
            "correct&#x3F;ho",
            "correct&#X3f;ho",
            "correct\\u003fho",
            "correct\\u{3f}ho",
            "correct\\u{00003f}ho",
            "correct\\x3fho",
            "CORRECT?HO",
        ] {
            assert_eq!(left(form), "<[redacted]>", "{form}");
        }
        let with = |char: &str, form: &str| {
            let secret = format!("corr{char}cthorse");
            scrubbed(&secret, &format!("<corr{form}cthorse>"))
        };
        for (char, form) in [
            ("\n", "\\n"),
            ("\r", "\\r"),
            ("\t", "\\t"),
            ("\"", "\\\""),
            ("'", "\\'"),
            ("\\", "\\\\"),
            ("/", "\\/"),
            ("&", "&amp;"),
            ("<", "&LT;"),
            (">", "&gt;"),
            ("\"", "&quot;"),
            ("'", "&apos;"),
            ("\u{a3}", "&pound;"),
            ("\u{fc}", "&uuml;"),
            ("\u{1f511}", "\\ud83d\\udd11"),
            // UTF-8 whose bytes were taken for characters.
            ("\u{fc}", "\u{c3}\u{bc}"),
            ("\u{3042}", "\u{e3}\u{81}\u{82}"),
            ("\u{1f511}", "\u{f0}\u{9f}\u{94}\u{91}"),
            // A form writes a plus sign for a blank.
            (" ", "+"),
            ("+", " "),
        ] {
            assert_eq!(with(char, form), "<[redacted]>", "{form}");
        }
    }

    #[test]
    fn both_alphabets_and_every_length_of_base64_are_read() {
        // The bits of these are the last two characters of both alphabets.
        for secret in [
            "?>?>?>?>?>?>",
            "\u{ff}\u{fe}\u{fb}\u{ef}\u{be}\u{ff}\u{fe}\u{fb}",
        ] {
            for text in [
                secret.to_owned(),
                format!("x{secret}"),
                format!("xy{secret}"),
            ] {
                for coded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let left = scrubbed(secret, &format!("<{coded}>"));
                    assert!(
                        left.starts_with("<") && left.contains("[redacted]"),
                        "{coded}: {left}"
                    );
                    assert!(left.len() <= "<xxxx[redacted]xx>".len(), "{coded}: {left}");
                }
            }
        }
        // The end of a run may have two, three or four characters of a group.
        for secret in ["abcdefgh", "abcdefghi", "abcdefghij"] {
            let coded = URL_SAFE_NO_PAD.encode(secret);
            assert_eq!(scrubbed(secret, &coded), "[redacted]", "{coded}");
        }
    }

    #[test]
    fn a_part_is_removed_from_eight_characters_on_and_an_escaped_one_from_five() {
        let secret = "ab<d/fgh<jklmn";
        for (text, left) in [
            // Seven characters of the secret, and eight.
            ("ab<d/fg", "ab<d/fg"),
            ("ab<d/fgh", "[redacted]"),
            // Five that are eight or more when they are escaped.
            ("ab&lt;d/", "[redacted]"),
            ("b&lt;d/f", "[redacted]"),
            // Four are too few however long they are written, and five of seven characters too
            // short.
            ("ab&lt;d", "ab&lt;d"),
            ("%3cd/fg", "%3cd/fg"),
        ] {
            assert_eq!(scrubbed(secret, text), left, "{text}");
        }
        // A whole secret is removed from four characters on.
        assert_eq!(scrubbed("ab<d", "xab<dx"), "x[redacted]x");
        assert_eq!(scrubbed("ab<", "xab<x"), "xab<x");
    }
}
