//! Converts text from people and devices to plain ASCII, before any rule reads it.

/// Converts full-width forms to half-width ones, every digit to ASCII, every dash to `-`, and every
/// blank to one space. Removes invisible marks.
pub(crate) fn clean(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if let Some(character) = clean_char(character) {
            plain.push(character);
        }
    }
    plain.trim().to_owned()
}

fn clean_char(character: char) -> Option<char> {
    Some(match character {
        // Zero-width and direction marks: Windows' contact card and many web pages put them around
        // numbers that people copy.
        '\u{00AD}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{FE0E}'
        | '\u{FE0F}'
        | '\u{20E3}'
        | '\u{FEFF}' => return None,
        // Hyphens, dashes and minus signs, and the similar strokes that Japanese keyboards produce.
        '\u{02D7}'
        | '\u{058A}'
        | '\u{05BE}'
        | '\u{1806}'
        | '\u{2010}'..='\u{2015}'
        | '\u{2043}'
        | '\u{207B}'
        | '\u{208B}'
        | '\u{2212}'
        | '\u{2500}'
        | '\u{2501}'
        | '\u{2E3A}'
        | '\u{2E3B}'
        | '\u{30FC}'
        | '\u{4E00}'
        | '\u{FE58}'
        | '\u{FE63}'
        | '\u{FF0D}'
        | '\u{FF70}' => '-',
        // Marks between groups: 01_45_67_89_00, and Switzerland's 079 123'45'67.
        '_' | '\'' | '\u{2019}' | '\u{30FB}' | '\u{FF65}' => ' ',
        // The wave dash, which Japanese keyboards produce for a tilde.
        '\u{301C}' | '\u{3030}' => '~',
        '\u{FF01}'..='\u{FF5E}' => {
            char::from_u32(u32::from(character) - 0xFF01 + 0x21).unwrap_or(character)
        }
        character if character.is_whitespace() || character.is_control() => ' ',
        character => decimal_digit(character).unwrap_or(character),
    })
}

/// The ASCII digit for a decimal digit in the scripts of phones and address books. The ten digits
/// of a script are consecutive in Unicode's `Nd` category.
fn decimal_digit(character: char) -> Option<char> {
    const ZEROS: [u32; 13] = [
        0x0660,  // Arabic-Indic
        0x06F0,  // Persian, Urdu
        0x07C0,  // NKo
        0x0966,  // Devanagari
        0x09E6,  // Bengali
        0x0AE6,  // Gujarati
        0x0BE6,  // Tamil
        0x0C66,  // Telugu
        0x0E50,  // Thai
        0x0ED0,  // Lao
        0x1040,  // Myanmar
        0x17E0,  // Khmer
        0x1D7CE, // mathematical bold
    ];
    let code = u32::from(character);
    let zero = ZEROS
        .into_iter()
        .find(|zero| (*zero..*zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}
