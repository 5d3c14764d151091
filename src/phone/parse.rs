//! Parses text into a number, or into the reason why it is not looked up.

use rlibphonenumber::{
    CountryCodeSource, NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumber,
};
use serde::{Deserialize, Serialize};

use super::clean::clean;
use super::special::{is_emergency, is_service};
use super::{E164, Region, address, field};

/// Why a text is not looked up in Salesforce. Such a text is never sent there.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
pub enum NotLookedUp {
    /// The text is empty.
    #[error("there is no number")]
    Empty,
    /// The caller withheld the number, or the network did not pass it on.
    #[error("the number was withheld")]
    Anonymous,
    /// An extension inside the tenant's own telephone system.
    #[error("it is an internal extension")]
    Extension,
    /// Police, fire, ambulance and the like.
    #[error("it is an emergency number")]
    Emergency,
    /// A short or starred code of the network or of an authority.
    #[error("it is a short service number, not a subscriber's")]
    Service,
    /// A local number whose area code is missing.
    #[error("the area code is missing")]
    NoAreaCode,
    /// The country code after the plus sign does not exist.
    #[error("the country code does not exist")]
    NoSuchCountry,
    /// Words, or something else that is not a phone number.
    #[error("it is not a phone number")]
    NotANumber,
    /// Digits that cannot be a number in that region.
    #[error("no number of that length and beginning exists")]
    Invalid,
}

/// The words in place of a withheld number. The platform itself sends `Anonymous`
/// (revcomm/miitel-developers-public, schema/incoming_webhook); SIP networks and Japanese carriers
/// send the others. They are compared in lower case without blanks and punctuation.
const WITHHELD: [&str; 54] = [
    "anonymous",
    "blocked",
    "callerunknown",
    "coinline",
    "nocallerid",
    "nonumber",
    "notavailable",
    "private",
    "privatenumber",
    "restricted",
    "suppressed",
    "unavailable",
    "unknown",
    "withheld",
    "番号非通知",
    "発信者番号非通知",
    "公衆電話",
    "表示圏外",
    "通知不可能",
    "非通知",
    "非通知設定",
    "非通知電話",
    "非通知184",
    "匿名",
    "ヒツウチ",
    "コウシュウデンワ",
    "コウシュウ",
    "サービス競合",
    "通知圏外",
    "ヒョウジケンガイ",
    "unavailablenumber",
    "privatecaller",
    "blockedcaller",
    "blockednumber",
    "unknowncaller",
    "unknownnumber",
    "payphone",
    "anonym",
    "unbekannt",
    "unbekanntenummer",
    "unterdrückt",
    "numéroprivé",
    "numéromasqué",
    "inconnu",
    "privato",
    "sconosciuto",
    "oculto",
    "desconocido",
    "anoniem",
    "발신번호표시제한",
    "隱藏號碼",
    "numerzastrzeżony",
    "hemligtnummer",
    "skyddatnummer",
];

/// Longest text that is parsed, in characters. It is more than any phone field holds, and the limit
/// of libphonenumber.
const MAX_TEXT_CHARS: usize = 250;
/// Up to this length, digits that are no subscriber's number count as an extension.
const MAX_EXTENSION_DIGITS: usize = 6;
/// Fewer digits may be an extension or a local number, whatever they spell.
const LEAST_KEYPAD_DIGITS: usize = 7;

impl NotLookedUp {
    /// A stable name for logs, reports and stored reasons.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Anonymous => "Anonymous",
            Self::Extension => "Extension",
            Self::Emergency => "Emergency",
            Self::Service => "Service",
            Self::NoAreaCode => "NoAreaCode",
            Self::NoSuchCountry => "NoSuchCountry",
            Self::NotANumber => "NotANumber",
            Self::Invalid => "Invalid",
        }
    }
}

/// Parses a phone number as it is dialled, or stored, in `region`.
///
/// ```
/// use switchboard::phone::{NotLookedUp, Region, parse};
/// let japan: Region = "JP".parse()?;
/// assert_eq!(parse("０３－１２３４－５６７８", &japan)?.as_str(), "+81312345678");
/// assert_eq!(parse("sip:0312345678@pbx.example", &japan)?.as_str(), "+81312345678");
/// assert_eq!(parse("Anonymous", &japan), Err(NotLookedUp::Anonymous));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parse(text: &str, region: &Region) -> Result<E164, NotLookedUp> {
    let region = *region;
    if is_too_long(text) {
        return Err(NotLookedUp::NotANumber);
    }
    let mut plain = clean(text);
    if is_nothing(&plain) {
        return Err(NotLookedUp::Empty);
    }
    if is_withheld(&plain) {
        return Err(NotLookedUp::Anonymous);
    }
    if let Some(dialled) = address::dialled_in(&plain) {
        return dial(&dialled?, region);
    }
    if is_brazil(region) {
        plain = without_carrier_blank(plain);
    }
    let line = field::main_line(without_fraction(&plain));
    if line.whole.is_empty() {
        return Err(NotLookedUp::Extension);
    }
    let is_valid = |number: &E164| number.library().is_some_and(|number| number.is_valid());
    if let Some(sure) = line.sure
        && let Ok(number) = dial(sure, region)
        && is_valid(&number)
    {
        return Ok(number);
    }
    dial(line.whole, region).or_else(|reason| {
        let shorter = line.shorter.and_then(|shorter| dial(shorter, region).ok());
        shorter.filter(is_valid).ok_or(reason)
    })
}

/// Whether a text is none, or what programs write where there is none.
fn is_nothing(plain: &str) -> bool {
    const NOTHING: [&str; 7] = [
        "null",
        "(null)",
        "undefined",
        "nan",
        "none",
        "[object object]",
        "n/a",
    ];
    let is = |nothing: &str| plain.eq_ignore_ascii_case(nothing);
    plain.is_empty() || NOTHING.iter().any(|nothing| is(nothing))
}

/// A number as a spreadsheet makes it of one: `0312345678.0`.
fn without_fraction(plain: &str) -> &str {
    /// In fewer digits the point may group them.
    const LEAST_DIGITS: usize = 9;
    let is_whole = |whole: &&str| {
        let digits = whole.strip_prefix('+').unwrap_or(whole);
        digits.len() >= LEAST_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    plain.strip_suffix(".0").filter(is_whole).unwrap_or(plain)
}

/// The numbers in a phone field of a record: one, or those of a text such as
/// `03-1234-5678 / 090-1234-5678`. A number with an extension is the number of its main line.
pub fn numbers_in(text: &str, region: &Region) -> Vec<E164> {
    if is_too_long(text) {
        return Vec::new();
    }
    let read = |parts: Vec<&str>| {
        let mut numbers: Vec<E164> = Vec::new();
        for number in parts
            .into_iter()
            .filter_map(|part| parse(part, region).ok())
        {
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        numbers
    };
    // A slash or a comma may also stand within a number: `030 / 123456`. It separates numbers where
    // the text before it is one.
    if field::may_be_several(text) {
        let parts = field::parts(text);
        if let Some(first) = parts.first()
            && text.trim_start().starts_with(first)
            && parse(first, region).is_ok()
        {
            return read(parts);
        }
    }
    let plain = clean(text);
    let first = match parse(text, region) {
        Ok(number) => {
            let main = field::before_direct_dialling(&plain)
                .filter(|_| matches!(region.calling_code(), 43 | 49))
                .and_then(|main| parse(main, region).ok());
            let main = main.filter(|main| *main != number);
            std::iter::once(number).chain(main).collect()
        }
        Err(NotLookedUp::NotANumber | NotLookedUp::Invalid) => read(field::small_parts(text)),
        Err(_) => return Vec::new(),
    };
    // Of several numbers with words between them, each is to be one that exists.
    let parts = field::between_words(&plain);
    if parts.len() < 2 && !first.is_empty() {
        return first;
    }
    let mut numbers = first;
    let valid = |number: &E164| number.library().is_some_and(|number| number.is_valid());
    for number in read(parts).into_iter().filter(valid) {
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

fn is_too_long(text: &str) -> bool {
    text.len() > MAX_TEXT_CHARS * 4 || text.chars().count() > MAX_TEXT_CHARS
}

/// Reads what is dialled: a number without labels and extensions, but with what the library knows.
fn dial(main_line: &str, region: Region) -> Result<E164, NotLookedUp> {
    let dialled = strip_caller_id_code(main_line, region);
    if dialled.starts_with(['*', '#']) {
        let behind = behind_a_service_code(&dialled).and_then(|rest| read(rest, region).ok());
        return behind.ok_or(NotLookedUp::Service);
    }
    if let Some(number) = behind_a_carrier(&dialled, region) {
        return Ok(number);
    }
    if is_withheld_on_a_keypad(&dialled, region) {
        return Err(NotLookedUp::Anonymous);
    }
    if let Some(short) = short_number(&dialled, region) {
        return Err(short);
    }
    match mexican(&dialled, region) {
        Some(international) => read(&international, region),
        None => read(&dialled, region).or_else(|reason| {
            without_abolished_zero(&dialled, region)
                .and_then(|international| read(&international, region).ok())
                .filter(|number| number.library().is_some_and(|number| number.is_valid()))
                .ok_or(reason)
        }),
    }
}

/// The number behind a code that hides or shows the caller's own number, or that asks for a
/// service for this call: `*31#`, `#31#` (3GPP TS 22.030), `*67`, `*82` (North America), `*23#`
/// (Korea).
fn behind_a_service_code(dialled: &str) -> Option<&str> {
    const CODES: [&str; 8] = ["*31#", "#31#", "*30#", "#30#", "*31*", "*67", "*82", "*23#"];
    CODES
        .iter()
        .find_map(|code| dialled.strip_prefix(code))
        .map(str::trim_start)
        .filter(|rest| field::has_enough_digits(rest))
}

/// The number behind the prefix of a carrier, or behind a code that hides the caller's own number.
/// A number that exists as it stands has none.
fn behind_a_carrier(dialled: &str, region: Region) -> Option<E164> {
    let prefixes: &[&str] = match region.to_string().as_str() {
        // 00XY of Japan's carriers (Ministry of Internal Affairs, 電気通信番号計画), and 122, which
        // switches a carrier off.
        "JP" => &[
            "0033", "0036", "0039", "0041", "0046", "0061", "0077", "0088", "001", "122",
        ],
        // 141 hides, 1470 shows (Ofcom).
        "GB" | "IE" => &["141", "1470"],
        "FR" => &["3651"],
        "ES" => &["067"],
        _ => &[],
    };
    let digits = digits_of(dialled)?;
    let exists = |text: &str| {
        let number = read(text, region).ok()?;
        number.library()?.is_valid().then_some(number)
    };
    prefixes.iter().find_map(|prefix| {
        let rest = digits.strip_prefix(prefix)?;
        let is_dialled = rest.starts_with('0') || region.to_string() == "ES";
        (is_dialled && exists(dialled).is_none())
            .then(|| exists(rest))
            .flatten()
    })
}

/// Whether the text is a word in place of a withheld number.
pub(super) fn is_withheld(plain: &str) -> bool {
    let word: String = plain
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    WITHHELD.contains(&word.as_str())
}

/// Whether the digits are such a word as a keypad spells it: gateways that need digits send
/// `+86282452253` for UNAVAILABLE and `+266696687` for ANONYMOUS. A number that exists is no word.
fn is_withheld_on_a_keypad(dialled: &str, region: Region) -> bool {
    let (plus, bare) = match dialled.strip_prefix('+') {
        Some(bare) => ("+", bare),
        None => ("", dialled),
    };
    let is_word = |digits: &str| {
        digits.len() >= LEAST_KEYPAD_DIGITS
            && WITHHELD.iter().any(|word| is_spelled_by(word, digits))
    };
    if !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let code = region.calling_code().to_string();
    let national = bare.strip_prefix(&code).unwrap_or(bare);
    (is_word(bare) || is_word(national))
        && !PHONE_NUMBER_UTIL
            .parse(format!("{plus}{bare}"), Some(region.library()))
            .is_ok_and(|number| number.is_valid())
}

fn is_spelled_by(word: &str, digits: &str) -> bool {
    word.len() == digits.len()
        && word.bytes().zip(digits.bytes()).all(|(letter, digit)| {
            let key = match letter {
                b'a'..=b'c' => b'2',
                b'd'..=b'f' => b'3',
                b'g'..=b'i' => b'4',
                b'j'..=b'l' => b'5',
                b'm'..=b'o' => b'6',
                b'p'..=b's' => b'7',
                b't'..=b'v' => b'8',
                b'w'..=b'z' => b'9',
                _ => return false,
            };
            key == digit
        })
}

fn is_brazil(region: Region) -> bool {
    region.library() == rlibphonenumber::Region::BR
}

/// Letter-heads in Brazil leave the carrier to the caller: `(0xx11) 3333-4444`, `0**11 …`.
fn without_carrier_blank(plain: String) -> String {
    let mut plain = plain;
    for blank in ["0xx", "0XX", "0**", "0 xx ", "0 XX "] {
        if let Some(at) = plain.find(blank)
            && !plain[..at].contains(|c: char| c.is_ascii_digit())
        {
            plain.replace_range(at..at + blank.len(), "0");
        }
    }
    plain
}

/// A Mexican number without the prefixes that were abolished in 2019 and 2020: 1 after +52, 044 and
/// 045 for mobile phones, 01 for long distance (Instituto Federal de Telecomunicaciones). They
/// lead to the same subscriber.
fn mexican(dialled: &str, region: Region) -> Option<String> {
    const NATIONAL_DIGITS: usize = 10;
    let digits: String = dialled
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '[' | ']' | '+'))
        .collect();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_foreign = dialled.trim_start_matches('(').starts_with('+');
    let national = match digits.strip_prefix("0052") {
        Some(rest) => rest,
        None if is_foreign => digits.strip_prefix("52")?,
        None if region.library() == rlibphonenumber::Region::MX => {
            let without_plus = digits.strip_prefix("52");
            without_plus
                .filter(|rest| rest.len() >= NATIONAL_DIGITS)
                .unwrap_or(&digits)
        }
        None => return None,
    };
    let with_country = national.len() < digits.len();
    ["1", "01", "044", "045"].into_iter().find_map(|prefix| {
        // A 1 alone may begin a number of North America.
        let rest = national
            .strip_prefix(prefix)
            .filter(|_| with_country || prefix != "1")?;
        (rest.len() == NATIONAL_DIGITS && !rest.starts_with('0')).then(|| format!("+52{rest}"))
    })
}

/// A number without the zero for long distance that its country abolished, and that stands in
/// records still: Portugal 1999, Italy's mobile numbers 2001, the Czech Republic 2002, Poland 2009.
fn without_abolished_zero(dialled: &str, region: Region) -> Option<String> {
    const ABOLISHED: [(&str, &str, usize); 4] = [
        ("351", "", 9),
        ("39", "3", 10),
        ("420", "", 9),
        ("48", "", 9),
    ];
    let digits = digits_of(&dialled.replace('+', ""))?;
    let is_foreign = dialled.trim_start_matches('(').starts_with('+');
    let own = region.calling_code().to_string();
    ABOLISHED.into_iter().find_map(|(code, begins, length)| {
        let national = if is_foreign {
            digits.strip_prefix(code)?
        } else {
            let abroad = digits
                .strip_prefix("00")
                .and_then(|rest| rest.strip_prefix(code));
            abroad.or((own == code).then_some(&*digits))?
        };
        let national = national.strip_prefix('0')?;
        (national.len() == length && national.starts_with(begins))
            .then(|| format!("+{code}{national}"))
    })
}

/// Removes 184 or 186 before a number. In Japan they hide and show the caller's own number, and are
/// not part of the dialled one.
fn strip_caller_id_code(plain: &str, region: Region) -> String {
    if region == Region::JAPAN && !plain.starts_with('+') {
        let with_country = ["184+", "186+"];
        if let Some(rest) = with_country
            .iter()
            .find_map(|code| plain.strip_prefix(code))
        {
            return format!("+{rest}");
        }
        // The mark is typed where the exit code of Japan ends: 010+1….
        if let Some(rest) = plain.strip_prefix("010+") {
            return format!("+{rest}");
        }
        let digits = digits_of(plain);
        if let Some(digits) = digits.as_deref()
            && let Some(rest) = digits
                .strip_prefix("184")
                .or_else(|| digits.strip_prefix("186"))
            && (rest.starts_with('0') || is_emergency(rest, region))
        {
            return rest.to_owned();
        }
    }
    plain.to_owned()
}

/// The digits of a text that holds only digits and the marks that people group them with.
fn digits_of(plain: &str) -> Option<String> {
    plain
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '[' | ']'))
        .map(|c| c.is_ascii_digit().then_some(c))
        .collect()
}

/// Classifies a number that is too short for a subscriber, before the library guesses.
fn short_number(dialled: &str, region: Region) -> Option<NotLookedUp> {
    let with_country = dialled.strip_prefix('+').and_then(digits_of).map(|digits| {
        let code = region.calling_code().to_string();
        digits
            .strip_prefix(&code)
            .map(str::to_owned)
            .unwrap_or(digits)
    });
    if let Some(digits) = with_country {
        return is_emergency(&digits, region).then_some(NotLookedUp::Emergency);
    }
    let digits = digits_of(dialled)?;
    if is_emergency(&digits, region) {
        Some(NotLookedUp::Emergency)
    } else if digits.is_empty() {
        Some(NotLookedUp::NotANumber)
    } else if is_service(&digits, region) {
        Some(NotLookedUp::Service)
    } else if digits.len() <= MAX_EXTENSION_DIGITS && !is_whole_number(&digits, region) {
        Some(NotLookedUp::Extension)
    } else {
        None
    }
}

/// Whether so few digits are a subscriber's number. Some small countries have subscriber numbers of
/// four to six digits and no prefix. In a region with a prefix, so few digits without it are an
/// extension.
fn is_whole_number(digits: &str, region: Region) -> bool {
    region
        .national_prefix()
        .is_none_or(|prefix| digits.starts_with(&prefix))
        && PHONE_NUMBER_UTIL
            .parse(digits, Some(region.library()))
            .is_ok_and(|number| number.is_valid())
}

fn read(dialled: &str, region: Region) -> Result<E164, NotLookedUp> {
    match PHONE_NUMBER_UTIL.parse_and_keep_raw_input(dialled, Some(region.library())) {
        Ok(number) => accept(&number, dialled, region)
            .or_else(|| double_zero(dialled))
            .ok_or_else(|| why_not(&number)),
        Err(error) => double_zero(dialled).ok_or(match error {
            ParseError::InvalidCountryCode => NotLookedUp::NoSuchCountry,
            ParseError::NotANumber(_) => NotLookedUp::NotANumber,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn | ParseError::TooLongNsn => {
                NotLookedUp::Invalid
            }
        }),
    }
}

/// Accepts a number in a range that the metadata does not know only if it is written as it is
/// dialled: with its country code or the national prefix.
fn accept(number: &PhoneNumber, dialled: &str, region: Region) -> Option<E164> {
    let written_in_full = match number.country_code_source() {
        CountryCodeSource::FromNumberWithPlusSign | CountryCodeSource::FromNumberWithIdd => true,
        CountryCodeSource::FromNumberWithoutPlusSign => false,
        CountryCodeSource::FromDefaultCountry | CountryCodeSource::Unspecified => {
            // In North America dialling the 1 is optional.
            number.country_code == 1
                || region.national_prefix().is_none_or(|prefix| {
                    dialled
                        .trim_start_matches(|c: char| !c.is_ascii_digit())
                        .starts_with(&prefix)
                })
        }
    };
    if number.is_valid() {
        E164::from_library(number)
    } else if written_in_full {
        // Outside of the known ranges, a prefix that the library strips from the national form may
        // be a part of the international one (Brazil's 0900, Belarus). Such a number would not be
        // itself when it is read again.
        E164::from_library(number).filter(|read| read.as_str().parse().as_ref() == Ok(read))
    } else {
        None
    }
}

/// Reads forms such as `0081 3 …`. Most of the world dials 00 before a country code, and people
/// write it even in regions that do not (Japan: 010, North America: 011).
fn double_zero(dialled: &str) -> Option<E164> {
    let digits = digits_of(dialled)?;
    let rest = digits.strip_prefix("00")?;
    let number = PHONE_NUMBER_UTIL.parse(format!("+{rest}"), None).ok()?;
    if number.is_valid() {
        E164::from_library(&number)
    } else {
        None
    }
}

fn why_not(number: &PhoneNumber) -> NotLookedUp {
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(number) {
        Ok(NumberLengthType::IsPossibleLocalOnly) => NotLookedUp::NoAreaCode,
        _ => NotLookedUp::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(code: &str) -> Region {
        code.parse().unwrap()
    }

    #[test]
    fn the_fraction_of_a_spreadsheet_stands_behind_nine_digits_or_more() {
        for (text, number) in [
            ("123456789.0", "123456789"),
            ("+123456789.0", "+123456789"),
            // The point may group fewer digits.
            ("12345678.0", "12345678.0"),
            ("+12345678.0", "+12345678.0"),
            ("03-1234-5678.0", "03-1234-5678.0"),
            ("0312345678.00", "0312345678.00"),
            ("0312345678", "0312345678"),
        ] {
            assert_eq!(without_fraction(text), number);
        }
    }

    #[test]
    fn brazils_blank_for_a_carrier_is_read_in_brazil_alone() {
        let expected = "+551133334444".parse();
        for blank in ["0xx11", "0XX11", "0**11", "0 xx 11", "0 XX 11"] {
            for text in [format!("({blank}) 3333-4444"), format!("{blank} 3333-4444")] {
                assert_eq!(
                    parse(&text, &region("BR")).ok(),
                    expected.clone().ok(),
                    "{text}"
                );
                assert_ne!(
                    parse(&text, &region("JP")).ok(),
                    expected.clone().ok(),
                    "{text}"
                );
            }
            // Behind a digit it is no beginning of a number.
            let behind = format!("11 {blank}");
            assert_eq!(without_carrier_blank(behind.clone()), behind);
        }
        assert!(is_brazil(region("BR")));
        assert!(!is_brazil(region("PT")));
    }

    #[test]
    fn mexicos_abolished_prefixes_stand_before_ten_digits() {
        let whole = Some("+525541230001");
        for (text, code, expected) in [
            ("044 55 4123 0001", "MX", whole),
            ("045 (55) 4123-0001", "MX", whole),
            ("01 55 4123 0001", "MX", whole),
            ("521 55 4123 0001", "MX", whole),
            ("+52 1 55 4123 0001", "US", whole),
            ("0052 1 55 4123 0001", "US", whole),
            ("(+52) 01 55 4123 0001", "US", whole),
            // One digit less, one digit more, and no number of ten digits begins with a zero.
            ("01 55 4123 000", "MX", None),
            ("01 55 4123 00011", "MX", None),
            ("044 05 4123 0001", "MX", None),
            ("+52 1 55 4123 000", "US", None),
            ("+52 1 05 4123 0001", "US", None),
            // A 1 alone begins a number of North America.
            ("1 554 123 0001", "MX", None),
            ("55 4123 0001", "MX", None),
            ("044 55 4123 0001", "US", None),
            ("+1 55 4123 0001", "MX", None),
            ("01 55 4123 0001 x", "MX", None),
        ] {
            assert_eq!(
                mexican(text, region(code)).as_deref(),
                expected,
                "{text} in {code}"
            );
        }
    }

    #[test]
    fn a_word_for_a_withheld_number_is_read_with_a_country_code_before_it_and_without() {
        for (text, code) in [
            ("266696687", "US"),
            ("+266696687", "US"),
            ("1266696687", "US"),
            ("+1266696687", "US"),
            // PRIVATE, whose first key is Russia's code.
            ("7748283", "RU"),
        ] {
            assert_eq!(
                parse(text, &region(code)),
                Err(NotLookedUp::Anonymous),
                "{text}"
            );
        }
        // One key beside the word.
        let other = parse("+1266696688", &region("US"));
        assert_eq!(other, Err(NotLookedUp::Invalid));
    }

    #[test]
    fn codes_that_hide_the_callers_number_are_japans() {
        let stripped = |text: &str, code| strip_caller_id_code(text, region(code));
        for (text, number) in [
            ("1840312345678", "0312345678"),
            ("186-03-1234-5678", "0312345678"),
            ("184110", "110"),
            ("184+14155550132", "+14155550132"),
            ("010+14155550132", "+14155550132"),
            // What follows is no number as it is dialled.
            ("184312345678", "184312345678"),
            ("+18403123456", "+18403123456"),
        ] {
            assert_eq!(stripped(text, "JP"), number);
        }
        for text in ["1840312345678", "184+14155550132", "010+14155550132"] {
            assert_eq!(stripped(text, "DE"), text);
        }
    }
}
