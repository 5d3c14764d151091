//! Parses text into a number, or into the reason why it is not looked up.

use rlibphonenumber::{
    CountryCodeSource, NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumber,
};
use serde::{Deserialize, Serialize};

use super::clean::clean;
use super::special::{is_emergency, is_service};
use super::{E164, Region};

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
const WITHHELD: [&str; 17] = [
    "anonymous",
    "blocked",
    "callerunknown",
    "coinline",
    "nocallerid",
    "nonumber",
    "private",
    "privatenumber",
    "restricted",
    "unavailable",
    "unknown",
    "withheld",
    "公衆電話",
    "表示圏外",
    "通知不可能",
    "非通知",
    "非通知設定",
];

/// Longest text that is parsed, in characters. It is more than any phone field holds, and the limit
/// of libphonenumber.
const MAX_TEXT_CHARS: usize = 250;
/// Up to this length, digits that are no subscriber's number count as an extension.
const MAX_EXTENSION_DIGITS: usize = 6;

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
/// assert_eq!(parse("Anonymous", &japan), Err(NotLookedUp::Anonymous));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parse(text: &str, region: &Region) -> Result<E164, NotLookedUp> {
    let region = *region;
    if text.len() > MAX_TEXT_CHARS * 4 || text.chars().count() > MAX_TEXT_CHARS {
        return Err(NotLookedUp::NotANumber);
    }
    let plain = clean(text);
    if plain.is_empty() || plain.eq_ignore_ascii_case("null") {
        return Err(NotLookedUp::Empty);
    }
    if is_withheld(&plain) {
        return Err(NotLookedUp::Anonymous);
    }
    let main_line = strip_extension(&plain);
    if main_line.is_empty() {
        return Err(NotLookedUp::Extension);
    }
    let dialled = strip_caller_id_code(main_line, region);
    if dialled.starts_with(['*', '#']) {
        return Err(NotLookedUp::Service);
    }
    if let Some(short) = short_number(&dialled, region) {
        return Err(short);
    }
    read(&dialled, region)
}

fn is_withheld(plain: &str) -> bool {
    let word: String = plain
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    WITHHELD.contains(&word.as_str())
}

/// Cuts off everything after the main line, as in `03-1234-5678 内線12`. The library handles the
/// Latin markers.
fn strip_extension(plain: &str) -> &str {
    match ["内線", "内线", "內線"]
        .iter()
        .filter_map(|marker| plain.find(marker))
        .min()
    {
        Some(end) => plain[..end].trim_end_matches([' ', '(', '-', ',', '/', ':']),
        None => plain,
    }
}

/// Removes 184 or 186 before a number. In Japan they hide and show the caller's own number, and are
/// not part of the dialled one.
fn strip_caller_id_code(plain: &str, region: Region) -> String {
    if region == Region::JAPAN && !plain.starts_with('+') {
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
    if written_in_full || number.is_valid() {
        E164::from_library(number)
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
