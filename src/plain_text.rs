//! Text from outside, before it is shown: none of it may act on the terminal, the page or the
//! spreadsheet that shows it.

pub(crate) mod csv;
mod folded;

pub(crate) use self::folded::folded;

/// Replaces every character that moves the cursor, changes the text's direction or hides what
/// stands there with a blank.
pub(crate) fn plain(text: &str) -> String {
    text.replace(acts, " ")
}

/// Replaces these characters in a whole page of output by their numbers, as in `\u{1b}`. Line feeds
/// and tabs stay. In JSON, where such a character only stands in a string, it means the same as
/// before.
pub(crate) fn escaped(page: &str) -> String {
    let harmless = |c: char| matches!(c, '\n' | '\t') || !acts(c);
    if page.chars().all(harmless) {
        return page.to_owned();
    }
    let mut escaped = String::with_capacity(page.len() + 64);
    for c in page.chars() {
        if harmless(c) {
            escaped.push(c);
        } else {
            // All of them are in the first plane, so that four digits are enough.
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    escaped
}

/// Whether a character has an effect instead of a shape: the controls of Unicode, the marks for
/// direction (<https://trojansource.codes>), blanks without a width, and separators of lines.
pub(crate) fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_shown_and_what_is_written_stays() {
        assert_eq!(plain("\u{1b}[2JAcme\u{202e}moc"), " [2JAcme moc");
        assert_eq!(plain("山田 太郎 é ｱ"), "山田 太郎 é ｱ");
        assert_eq!(
            escaped("a\tb\n\u{1b}[31m\u{9b}"),
            "a\tb\n\\u001b[31m\\u009b"
        );
        let json = serde_json::json!({"name": "a\u{202e}\u{9b}b"}).to_string();
        let read: serde_json::Value = serde_json::from_str(&escaped(&json)).unwrap();
        assert_eq!(read["name"], "a\u{202e}\u{9b}b");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_left(text in "\\PC{0,20}|[\u{0}-\u{a0}\u{200b}-\u{206f}\u{feff}]{0,40}") {
            prop_assert!(!plain(&text).contains(acts));
            let page = escaped(&text).replace(['\n', '\t'], "");
            prop_assert!(!page.contains(acts));
        }
    }
}
