//! YAML as kubectl reads it. It follows version 1.1 (go-yaml 2), where this program's library
//! follows 1.2: text without quotes may be a boolean or a number there.

/// What kubectl makes of this value of the file, under this key or in a list; `None` if it stays
/// text.
pub(crate) fn no_text_for_kubectl(key: &str, value: &str, file: &str) -> Option<&'static str> {
    read_by_kubectl(value).filter(|_| stands_without_quotes(key, value, file))
}

/// What kubectl makes of this text where it has no quotes; `None` if it stays text.
fn read_by_kubectl(text: &str) -> Option<&'static str> {
    const BOOLEANS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];
    let has_case = |word: &str| {
        text == word
            || text == word.to_ascii_uppercase()
            || text.starts_with(|c: char| c.is_ascii_uppercase())
                && text[1..] == word[1..]
                && text.eq_ignore_ascii_case(word)
    };
    if BOOLEANS.into_iter().any(has_case) {
        return Some("a boolean");
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if [".inf", ".Inf", ".INF"].contains(&digits) || [".nan", ".NaN", ".NAN"].contains(&text) {
        return Some("a number");
    }
    is_number(&digits.replace('_', "")).then_some("a number")
}

/// An integer of Go's with its prefixes, or a decimal number. A sign is taken off already.
fn is_number(text: &str) -> bool {
    let of_base = |prefixes: [&str; 2], base: u32| {
        prefixes
            .into_iter()
            .filter_map(|prefix| text.strip_prefix(prefix))
            .any(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)))
    };
    if of_base(["0x", "0X"], 16) || of_base(["0o", "0O"], 8) || of_base(["0b", "0B"], 2) {
        return true;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = match whole {
        "" => mantissa.starts_with('.') && !fraction.is_empty(),
        _ => true,
    };
    has_digits
        && all_digits(whole)
        && all_digits(fraction)
        && exponent.is_none_or(|exponent| {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !digits.is_empty() && all_digits(digits)
        })
}

/// Whether the file has this value without quotes, under this key or in a list. The library does
/// not tell it of a value that it has read.
fn stands_without_quotes(key: &str, value: &str, file: &str) -> bool {
    let key = key.split('[').next().unwrap_or(key);
    file.match_indices(value).any(|(at, _)| {
        let after = &file[at + value.len()..];
        let ends = after.trim_start_matches([' ', '\t', '\r']);
        let is_end = ends.is_empty()
            || ends.starts_with(['\n', ',', '}', ']'])
            || ends.starts_with('#') && ends.len() < after.len();
        let before = file[..at].trim_end_matches([' ', '\t']);
        let has_blank = before.len() < at;
        let of_key = before
            .strip_suffix(':')
            .map(|before| before.trim_end_matches(['"', '\'']))
            .is_some_and(|before| before.ends_with(key));
        let of_list = before.ends_with(['[', ',']) || before.ends_with('-') && has_blank;
        is_end && (of_key && has_blank || of_list)
    })
}

#[cfg(test)]
mod tests {
    use super::{read_by_kubectl, stands_without_quotes};

    #[test]
    fn what_is_no_text_for_kubectl() {
        for text in [
            "NO",
            "no",
            "No",
            "y",
            "N",
            "yes",
            "On",
            "OFF",
            "true",
            "True",
            "0123",
            "0899",
            "60.0",
            "1_000",
            "+81312345678",
            "-1",
            "0x1F",
            "0o17",
            "0b101",
            "1e3",
            "1.5E-3",
            ".5",
            "5.",
            ".inf",
            "-.Inf",
            ".NaN",
        ] {
            assert!(read_by_kubectl(text).is_some(), "{text}");
        }
        for text in [
            "",
            "nO",
            "oN",
            "JP",
            "acme",
            "0x",
            "0b12",
            "1e",
            ".",
            "-",
            "+",
            "1.2.3",
            "23:00",
            "03-1234-5678",
            "v60.0",
            "1a",
            "é",
            "Ó",
            "_a",
            "2026-11-29",
            "e3",
            ".e3",
            "yés",
        ] {
            assert_eq!(read_by_kubectl(text), None, "{text}");
        }
    }

    #[test]
    fn quotes_are_seen() {
        for file in [
            "region: NO",
            "a: {region: NO}",
            "a: {region: NO, b: 1}",
            "region:   NO # Norway\n",
            "\"region\": NO\r\n",
            "region:\tNO\n",
            "region:\n  - NO\n",
            "region: [JP, NO]",
        ] {
            assert!(stands_without_quotes("region", "NO", file), "{file}");
        }
        for file in [
            "region: \"NO\"",
            "region: 'NO'",
            "{\"region\":\"NO\"}",
            "region: NOR",
            "other: NO",
            "# NO",
            "region: NO-1",
            "region: NO#1",
            "region: !!str NO",
        ] {
            assert!(!stands_without_quotes("region", "NO", file), "{file}");
        }
    }
}
