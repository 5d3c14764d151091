//! Fields of a CSV file, as in RFC 4180. A name comes from outside: no spreadsheet may run it as a
//! formula, and none may break its line.

use super::acts;

/// Signs with which a formula begins. Wide, small and mathematical ones are included, because
/// spreadsheets with a Japanese input method read them as the plain ones.
pub(crate) const FORMULA_SIGNS: [char; 16] = [
    '=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫', '−', '|',
];

/// A field with any text.
pub(crate) fn field(text: &str) -> String {
    // What has no shape does not count: some spreadsheets drop it first.
    let formula = text
        .trim_start_matches(|c: char| !matches!(c, '\t' | '\r') && (c.is_whitespace() || acts(c)))
        .starts_with(FORMULA_SIGNS);
    let guarded = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    // A semicolon or a tab separates fields where the system's language says so.
    if guarded.contains([',', ';', '\t', '"', '\r', '\n']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

/// A field that usually has a telephone number. A sign and digits are a harmless formula, and stay.
pub(crate) fn number(text: &str) -> String {
    let digits = text.strip_prefix(['+', '-']);
    if digits.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())) {
        return text.to_owned();
    }
    field(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_never_a_formula_and_never_breaks_its_line() {
        for (text, written) in [
            ("Acme", "Acme"),
            ("", ""),
            ("Acme, \"Tokyo\"", "\"Acme, \"\"Tokyo\"\"\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+81", "'+81"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("＝1", "'＝1"),
            ("\u{feff}=1+1", "'\u{feff}=1+1"),
            ("\u{200b}\u{ad} −1", "'\u{200b}\u{ad} −1"),
            ("Acme;=1+1", "\"Acme;=1+1\""),
            ("\t=1", "\"'\t=1\""),
            ("a\nb", "\"a\nb\""),
        ] {
            assert_eq!(field(text), written);
        }
        assert_eq!(number("+813"), "+813");
        assert_eq!(number("+81-3"), "'+81-3");
        assert_eq!(number("\u{feff}+813"), "'\u{feff}+813");
    }

    proptest! {
        #[test]
        fn no_cell_begins_with_a_sign(text in "[\\PC\u{0}-\u{20}\u{200b}-\u{206f}\u{feff}=+@;,\"-]{0,12}") {
            let written = field(&text);
            let quoted = written.len() > 1 && written.starts_with('"') && written.ends_with('"');
            let cell = match quoted {
                true => written[1..written.len() - 1].replace("\"\"", "\""),
                false => written.clone(),
            };
            let cell = cell.trim_start_matches(|c: char| c.is_whitespace() || acts(c));
            prop_assert!(!cell.starts_with(FORMULA_SIGNS), "{:?} becomes {:?}", text, written);
            prop_assert!(quoted || !written.contains([',', ';', '\t', '"', '\r', '\n']));
            if let Some(sign) = number(&text).strip_prefix(['+', '-']) {
                prop_assert!(sign.bytes().all(|byte| byte.is_ascii_digit()));
            }
        }
    }
}
