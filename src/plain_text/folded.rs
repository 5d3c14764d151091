//! Text as a search compares it: however it was typed, the same letters are the same.

use unicode_normalization::UnicodeNormalization as _;

use super::acts;

/// The text in one of its spellings: full-width letters and half-width kana in their ordinary width
/// (NFKC), capitals small in every script, and without what has no shape.
///
/// The store keeps names like this beside the names, because SQLite knows capitals of ASCII alone.
pub(crate) fn folded(text: &str) -> String {
    let composed = text.nfkc().filter(|c| !acts(*c) || c.is_whitespace());
    let small = composed.flat_map(char::to_lowercase).map(|c| match c {
        // The end of a word has a small sigma of its own; capitals do not tell them apart.
        'ς' => 'σ',
        c if c.is_whitespace() => ' ',
        c => c,
    });
    // Small letters compose once more: the dot of İ stands alone.
    small.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_name_are_one_text() {
        for (one, other) in [
            ("ÉCOLE Étoile", "école étoile"),
            ("E\u{301}COLE", "école"),
            ("МОСКВА", "москва"),
            ("ΟΔΟΣ", "οδος"),
            ("οδός", "ΟΔΌΣ"),
            ("ＡＢＣ商事", "abc商事"),
            ("ｻﾄｳ ﾊﾅｺ", "サトウ ハナコ"),
            ("ﾊﾞﾝﾄﾞｳ", "バンドウ"),
            ("佐藤　花子", "佐藤 花子"),
            ("㈱山田", "(株)山田"),
            ("Sa\u{200b}to\u{202e}", "sato"),
            ("İzmir", "i\u{307}zmir"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(
            folded("サトウ"),
            folded("さとう"),
            "two spellings of one sound"
        );
        assert_ne!(folded("école"), folded("ecole"));
    }

    proptest! {
        #[test]
        fn folding_again_changes_nothing(text in "\\PC{0,20}|[À-ÿΑ-ωЀ-ӿ！-ﾟ㈀-㉿]{0,20}") {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once.clone());
            prop_assert!(!once.contains(acts));
        }
    }
}
