//! Separates the number in a text from what people write around it: labels, extensions, further
//! numbers. It works on cleaned text and does not know numbering plans.

/// Words and marks between a number and its extension, in lower case. A single letter counts too:
/// what follows decides.
const EXTENSION: [&str; 56] = [
    "x",
    "ex",
    "ext",
    "extn",
    "extension",
    "xtn", // English
    "int",
    "interno",
    "anexo",
    "ramal",
    "r",
    "p",
    "poste",
    "centralita",
    "extensión",
    "extensao",
    "extensão",
    "anx", // Romance languages
    "dw",
    "durchwahl",
    "nst",
    "nebenstelle",
    "kl",
    "klappe",
    "app",
    "apparat", // German
    "toestel",
    "tst",
    "toest", // Dutch
    "anknytning",
    "ankn",
    "ank",
    "lokal",
    "lok",
    "internnr",
    "alanumero", // Nordic languages
    "option",
    "opt",
    "press", // menus
    "klapka",
    "dahili",
    "dah",
    "w",
    "wew",
    "linka",
    "l",
    "доб",
    "вн", // Slavic languages
    "内線",
    "内线",
    "內線",
    "分機",
    "分机",
    "转",
    "轉",
    "내선",
];
/// The longest extension, in digits.
const MAX_EXTENSION_DIGITS: usize = 7;
/// An extension in parentheses after a number of unknown length: `(12)`. More digits may be the end
/// of the number, as in `020 7946 (0958)`.
const SURE_EXTENSION_DIGITS: usize = 3;

/// Marks that separate two numbers, whatever stands around them.
const BETWEEN: [char; 11] = [',', ';', '\n', '\r', '|', '、', '，', '；', '｜', '&', '＆'];
/// Marks that separate two numbers and also the groups of one.
const MAYBE_BETWEEN: [char; 5] = ['/', '／', '・', '･', '\\'];
/// Words that separate two numbers, with the blanks around them.
const WORDS_BETWEEN: [&str; 24] = [
    " / ",
    "　/　",
    " ／ ",
    " or ",
    " and ",
    " & ",
    "または",
    "及び",
    " oder ",
    " od. ",
    " und ",
    " u. ",
    " ou ",
    " et ",
    " o ",
    " e ",
    " y ",
    " of ",
    " en ",
    " lub ",
    " i ",
    " eller ",
    " och ",
    "또는",
];

/// The parts of a text that may be the one number in it, in the order in which they are to be
/// tried. Each part is whole or the beginning of the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MainLine<'a> {
    /// Only if it is a number of the plan: what follows may be part of the number as well.
    pub(super) sure: Option<&'a str>,
    /// Everything up to a mark that ends a number. Empty if the text is an extension only.
    pub(super) whole: &'a str,
    /// If the whole is no number.
    pub(super) shorter: Option<&'a str>,
}

/// Separates the main line from what follows it, as in `03-1234-5678 内線12`, `03-1234-5678(代表)`,
/// `415-555-0132 x12`, `03-1234-5661~3`.
pub(super) fn main_line(plain: &str) -> MainLine<'_> {
    let only = |whole| MainLine {
        sure: None,
        whole,
        shorter: None,
    };
    let is_plain = |byte: u8| byte.is_ascii_digit() || b"+ -.(/".contains(&byte);
    // Most texts: digits and what groups them.
    if plain.bytes().all(|byte| is_plain(byte) || byte == b')') && !plain.ends_with(')') {
        let shorter = before_short_group(plain);
        return MainLine {
            shorter,
            ..only(plain)
        };
    }
    let Some(first) = plain.find(|c: char| c.is_ascii_digit()) else {
        return only(plain);
    };
    let (label, number) = plain.split_at(first);
    if is_extension_word(label) && count_digits(number) <= MAX_EXTENSION_DIGITS {
        return only("");
    }
    let end = number.find(ends_number).unwrap_or(number.len());
    let cut = first + cut_extension(number, end);
    let whole = trim_end(&plain[..cut]);
    let mut line = only(whole);
    line.shorter = before_short_group(whole);
    if let Some((before, inside)) = whole
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once('('))
        && !inside.is_empty()
        && inside.bytes().all(|byte| byte.is_ascii_digit())
        && count_digits(before) > 0
    {
        let before = trim_end(before);
        if inside.len() <= SURE_EXTENSION_DIGITS {
            line.sure = Some(before);
        } else {
            line.shorter = Some(before);
        }
    } else if let Some(before) = before_words(whole) {
        line.sure = Some(before);
    } else if let Some(word) = trailing_words(whole) {
        line.sure = Some(trim_end(&whole[..word]));
    }
    line
}

/// What stands before words, or before a parenthesis with more than digits, behind a number:
/// `030/123456 (9-12 Uhr)`, `415-555-0132 press 2`.
fn before_words(whole: &str) -> Option<&str> {
    let marks = |c: char| c.is_alphabetic() || c == ':';
    let word = whole
        .match_indices(marks)
        .map(|(at, _)| at)
        .find(|at| count_digits(&whole[..*at]) >= LEAST_DIGITS)?;
    let before = &whole[..word];
    let open = before
        .rfind('(')
        .filter(|open| !before[*open..].contains(')'));
    let before = trim_end(&before[..open.unwrap_or(word)]);
    (count_digits(before) >= LEAST_DIGITS).then_some(before)
}

/// What stands before a short last group, which may be an extension where the whole is no number:
/// `03-1234-5678-12`, `02-2345-6789*123`.
fn before_short_group(whole: &str) -> Option<&str> {
    /// A longer group is the line of a number.
    const SHORT: usize = 5;
    let (before, last) = whole.rsplit_once(['-', '*', '/'])?;
    let last = last.trim_start();
    let is_short =
        !last.is_empty() && last.len() <= SHORT && last.bytes().all(|byte| byte.is_ascii_digit());
    let before = trim_end(before);
    (is_short && count_digits(before) >= LEAST_DIGITS).then_some(before)
}

/// The main line before the extension of its switchboard, as letter-heads in countries with numbers
/// of any length have it: `089 123456-0`, `01/5123404-10 DW`. Nobody dials the zero.
pub(super) fn before_direct_dialling(plain: &str) -> Option<&str> {
    /// A longer group is the line of a number.
    const SHORT: usize = 4;
    let last = plain.rfind(|c: char| c.is_ascii_digit())? + 1;
    let (number, behind) = plain.split_at(last);
    let (before, group) = number.rsplit_once('-')?;
    let (before, group) = (trim_end(before), group.trim_start());
    let is_short = group.len() <= SHORT && group.bytes().all(|byte| byte.is_ascii_digit());
    let is_told = group == "0" || is_extension_word(behind);
    (is_short && is_told && count_digits(before) >= LEAST_DIGITS).then_some(before)
}

/// Characters that are in no number and its grouping: the text after one is a label or an
/// extension.
fn ends_number(c: char) -> bool {
    !c.is_ascii() || matches!(c, '~' | '<' | '"' | '{' | '=' | '@' | '!' | '?')
}

/// Where an extension begins that a word announces, or `end`.
fn cut_extension(number: &str, end: usize) -> usize {
    let letters = |c: char| c.is_alphabetic();
    let mut at = 0;
    while let Some(begin) = number.get(at..).and_then(|rest| rest.find(letters)) {
        let begin = at + begin;
        let word_end = number[begin..]
            .find(|c: char| !c.is_alphabetic())
            .map_or(number.len(), |length| begin + length);
        let after = &number[word_end..];
        let digits = after.trim_start_matches([' ', '.', ':', '=', '#', '-', '°', '(']);
        let is_extension = is_extension_word(&number[begin..word_end])
            && digits.starts_with(|c: char| c.is_ascii_digit())
            && digits
                .trim_end_matches(')')
                .bytes()
                .all(|byte| byte.is_ascii_digit())
            && count_digits(digits) <= MAX_EXTENSION_DIGITS;
        if is_extension {
            return begin.min(end);
        }
        at = word_end;
    }
    end
}

fn is_extension_word(text: &str) -> bool {
    let word = text.trim_matches(|c: char| !c.is_alphabetic());
    !word.is_empty()
        && EXTENSION
            .iter()
            .any(|known| known.eq_ignore_ascii_case(word) || known == &word.to_lowercase())
}

/// Where words begin that end the text, such as `(main)` or `mobile`, with no digit after them.
fn trailing_words(whole: &str) -> Option<usize> {
    let last = whole.rfind(|c: char| c.is_ascii_digit())?;
    let tail = &whole[last + 1..];
    tail.contains(|c: char| c.is_ascii_alphabetic())
        .then_some(last + 1)
}

fn trim_end(text: &str) -> &str {
    let mut text =
        text.trim_end_matches([' ', '-', ',', '/', ':', ';', '.', '[', '(', '・', '*', '|']);
    // A parenthesis that the cut left open closes nothing: `(03` of `(03)` stays.
    if text.ends_with('#') {
        text = text.trim_end_matches('#');
    }
    text
}

fn count_digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Whether a text may hold two numbers.
pub(super) fn may_be_several(text: &str) -> bool {
    text.contains(BETWEEN) || WORDS_BETWEEN.iter().any(|word| text.contains(word))
}

/// The parts of a text between marks and words that separate numbers.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(BETWEEN).collect();
    for word in WORDS_BETWEEN {
        if text.contains(word) {
            parts = parts
                .into_iter()
                .flat_map(|part| part.split(word))
                .collect();
        }
    }
    let parts = parts.into_iter().map(str::trim);
    parts.filter(|part| has_enough_digits(part)).collect()
}

/// The parts of a text that is no number as a whole: also between slashes and blanks. Digits behind
/// a short group, as in `0347/1234567`, are the rest of its number and none by themselves.
pub(super) fn small_parts(text: &str) -> Vec<&str> {
    let between = |c: char| BETWEEN.contains(&c) || MAYBE_BETWEEN.contains(&c);
    let mut parts = Vec::new();
    let mut is_rest = false;
    for part in text.split(between).map(str::trim) {
        let is_short = part.contains(char::is_numeric) && !has_enough_digits(part);
        let is_rest = std::mem::replace(&mut is_rest, is_short);
        if is_rest || !has_enough_digits(part) {
            continue;
        }
        // A blank separates numbers only where each has no blank itself.
        let words = part
            .split_whitespace()
            .filter(|word| word.contains(char::is_numeric));
        let words: Vec<&str> = words.collect();
        if words.len() > 1 && words.iter().all(|word| has_enough_digits(word)) {
            parts.extend(words);
        } else {
            parts.push(part);
        }
    }
    parts
}

/// The parts of a cleaned text between its words, without those behind a word for an extension:
/// `Tel. 030 123456 Fax 030 123457`.
pub(super) fn between_words(plain: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut is_extension) = (0, false);
    while let Some(word) = plain[begin..].find(char::is_alphabetic) {
        let word = begin + word;
        let end = plain[word..]
            .find(|c: char| !c.is_alphabetic())
            .map_or(plain.len(), |length| word + length);
        if !is_extension {
            parts.push(&plain[begin..word]);
        }
        is_extension = is_extension_word(&plain[word..end]);
        begin = end;
    }
    if !is_extension {
        parts.push(&plain[begin..]);
    }
    let around = |c: char| matches!(c, ' ' | '.' | ':' | ',' | ';' | ')' | '-' | '/' | '[' | ']');
    let parts = parts.into_iter().flat_map(at_openings).map(|part| {
        let part = part.trim_start_matches(around);
        // A parenthesis that a word has opened.
        match part.rfind('(') {
            Some(open) if !part[open..].contains(')') => trim_end(&part[..open]),
            _ => trim_end(part),
        }
    });
    parts.filter(|part| has_enough_digits(part)).collect()
}

/// The parts of a text before each mark that begins a further number: `(415) 555-0132 (415)
/// 555-0133`.
fn at_openings(text: &str) -> Vec<&str> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    for (at, _) in text.match_indices(['(', '+']) {
        if count_digits(&text[begin..at]) >= LEAST_DIGITS {
            parts.push(&text[begin..at]);
            begin = at;
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// Fewer digits are an extension or a street number: no part of a field is read as a local number.
const LEAST_DIGITS: usize = 7;

pub(super) fn has_enough_digits(part: &str) -> bool {
    part.chars().filter(|c| c.is_numeric()).count() >= LEAST_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_ends_at_a_character_that_is_in_none() {
        for end in [
            "~3",
            "<x",
            "\"",
            "{",
            "=3",
            "@3",
            "!",
            "?",
            "内線3",
            "（代）",
            "ã",
        ] {
            let text = format!("+81 03-1234-5661{end}");
            let line = main_line(&text);
            assert_eq!(line.whole, "+81 03-1234-5661", "{text}");
        }
        for mark in ['-', '.', ' ', '/', '(', ')', ',', '*', '#'] {
            let text = format!("Tel 0312{mark}345661");
            assert_eq!(main_line(&text).whole, text);
        }
    }

    #[test]
    fn the_zero_of_a_switchboard_and_what_a_word_announces_stand_behind_the_main_line() {
        for (text, main) in [
            ("089 123456-0", Some("089 123456")),
            ("0512340-10 DW", Some("0512340")),
            ("0512340-1000 DW", Some("0512340")),
            // A longer group is the line of a number, whatever is written behind.
            ("0512340-10000 DW", None),
            ("0512340-1a0 DW", None),
            ("0512340-10", None),
            ("0512340-00", None),
            // The main line has seven digits or more.
            ("051234-0", None),
        ] {
            assert_eq!(before_direct_dialling(text), main, "{text}");
        }
    }

    #[test]
    fn a_short_last_group_may_be_an_extension() {
        for (text, main) in [
            ("03-1234-5678-12", Some("03-1234-5678")),
            ("02-2345-6789*123", Some("02-2345-6789")),
            ("03-1234-5678-12345", Some("03-1234-5678")),
            ("03-1234-5678-123456", None),
            ("03-1234-5678-", None),
            ("03-1234-5678-1 2", None),
            ("031-2345-1", Some("031-2345")),
            ("03-1234-1", None),
        ] {
            assert_eq!(before_short_group(text), main, "{text}");
        }
    }

    #[test]
    fn blanks_separate_numbers_only_where_each_has_none_itself() {
        for (text, expected) in [
            ("0312345678 0612345678", &["0312345678", "0612345678"][..]),
            ("03 12345678", &["03 12345678"]),
            // A label is no number beside it, and stays with its own.
            ("Tel 0312345678", &["Tel 0312345678"]),
            ("0347/1234567", &[]),
            ("0312345678/0612345678", &["0312345678", "0612345678"]),
        ] {
            assert_eq!(small_parts(text), expected, "{text}");
        }
    }
}
