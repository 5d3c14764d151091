//! The E.164 form: one text for each phone number worldwide.

use std::fmt;
use std::str::FromStr;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType,
};
use serde::{Deserialize, Serialize};

use super::Region;

/// A number in the form of ITU-T E.164: `+`, country calling code and subscriber number, nothing
/// else.
///
/// It is made from text that libphonenumber reads as a possible number of a subscriber, or comes
/// back from where such a one was written ([`E164::written`]), and consists of a plus sign and
/// digits. It therefore needs no escaping in SOQL, XML or URLs (a URL query must still write its
/// `+` as `%2B`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(Box<str>);

/// The text is not a number in E.164 form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a phone number in E.164 form: a plus sign, the country's code and the number, digits only"
)]
pub struct InvalidE164;

/// "The maximum number of digits for an international number is 15", ITU-T E.164, 6.
const MAX_DIGITS: usize = 15;

/// Fewer digits are no country's code with a number behind it.
const MIN_DIGITS: usize = 5;

// === impl E164 ===

impl E164 {
    /// A number that one of this program's roles has read before, and that comes back from the
    /// database or over the interface between the roles.
    ///
    /// Only its form is checked. Reading it anew would cost more than to write it into a database,
    /// and numbering data of another version would refuse what this one took.
    ///
    /// # Errors
    /// When the text does not have the form.
    pub fn written(text: impl Into<Box<str>>) -> Result<Self, InvalidE164> {
        let text = text.into();
        let has_form = (MIN_DIGITS..=MAX_DIGITS).contains(&text.len().saturating_sub(1))
            && is_written_in_full(&text)
            // No country's code begins with a zero.
            && !text.starts_with("+0");
        has_form.then_some(Self(text)).ok_or(InvalidE164)
    }

    /// The number with its plus sign.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number without its plus sign.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// The country calling code: 81 for Japan.
    pub fn calling_code(&self) -> u16 {
        self.library()
            .and_then(|number| u16::try_from(number.country_code).ok())
            .unwrap_or_default()
    }

    /// The number as people of the region write it: `03-1234-5678` for one of their own country,
    /// `+44 20 7946 0958` for any other.
    pub(crate) fn as_written_in(&self, home: Region) -> String {
        let Some(number) = self.library() else {
            return self.as_str().to_owned();
        };
        let format = if u16::try_from(number.country_code) == Ok(home.calling_code()) {
            PhoneNumberFormat::National
        } else {
            PhoneNumberFormat::International
        };
        PHONE_NUMBER_UTIL.format(&number, format).into_owned()
    }

    /// The other number that reaches the same subscriber, where a country has two.
    ///
    /// Argentina: mobile numbers have a 9 after +54 that many leave out. Brazil: mobile numbers got
    /// a ninth digit, 9, from 2012 to 2016, and stand in records without it (ANATEL, resolution
    /// 553/2010).
    pub fn same_subscriber(&self) -> Option<Self> {
        let other = if let Some(national) = self.0.strip_prefix("+54") {
            match (national.len(), national.as_bytes().first()?) {
                (11, b'9') => format!("+54{}", national.get(1..)?),
                // Area codes begin with 1 to 3; 0800 and 0600 are no mobile lines.
                (10, b'1'..=b'3') => format!("+549{national}"),
                _ => return None,
            }
        } else if let Some(national) = self.0.strip_prefix("+55") {
            let (area, line) = national.split_at_checked(2)?;
            match (line.len(), line.as_bytes()) {
                (9, [b'9', b'6' | b'8' | b'9', ..]) => format!("+55{area}{}", line.get(1..)?),
                (8, [b'6' | b'8' | b'9', ..]) => format!("+55{area}9{line}"),
                _ => return None,
            }
        } else {
            return None;
        };
        other.parse().ok()
    }

    /// The number as libphonenumber's type. The library has already parsed this text once.
    pub(crate) fn library(&self) -> Option<PhoneNumber> {
        PHONE_NUMBER_UTIL.parse(&*self.0, None).ok()
    }

    /// Converts a number from the library; `None` if it cannot be a subscriber's number.
    pub(crate) fn from_library(number: &PhoneNumber) -> Option<Self> {
        if !number.is_valid() && !is_dialable(number) {
            return None;
        }
        let text = PHONE_NUMBER_UTIL.format(number, PhoneNumberFormat::E164);
        // An extension or a carrier code is not part of this form.
        (text.len() <= MAX_DIGITS + 1 && is_written_in_full(&text)).then(|| Self(text.into()))
    }
}

/// Whether a number in a range that the metadata does not know has the length of a fixed, mobile or
/// internet line. The metadata ages while numbering plans grow. Losing a customer's number is worse
/// than a Salesforce query for a number that nobody has.
fn is_dialable(number: &PhoneNumber) -> bool {
    let national = number.get_national_significant_number();
    if national.starts_with('0') {
        return false;
    }
    // North America: area code and exchange begin with 2 to 9 (NANPA, "NANP format NXX-NXX-XXXX").
    if number.country_code == 1
        && ![0, 3]
            .iter()
            .all(|at| matches!(national.as_bytes().get(*at), Some(b'2'..=b'9')))
    {
        return false;
    }
    [
        PhoneNumberType::FixedLine,
        PhoneNumberType::Mobile,
        PhoneNumberType::VoIP,
    ]
    .into_iter()
    .any(|kind| {
        PHONE_NUMBER_UTIL.is_possible_number_for_type_with_reason(number, kind)
            == Ok(NumberLengthType::IsPossible)
    })
}

fn is_written_in_full(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

impl FromStr for E164 {
    type Err = InvalidE164;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_DIGITS + 1 || !is_written_in_full(text) {
            return Err(InvalidE164);
        }
        let number = PHONE_NUMBER_UTIL
            .parse(text, None)
            .map_err(|_| InvalidE164)?;
        Self::from_library(&number)
            .filter(|number| number.as_str() == text)
            .ok_or(InvalidE164)
    }
}

impl TryFrom<String> for E164 {
    type Error = InvalidE164;

    /// As JSON of this program's own interface has it: see [`E164::written`].
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::written(text)
    }
}

impl From<E164> for String {
    fn from(number: E164) -> Self {
        number.0.into()
    }
}

impl AsRef<str> for E164 {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
