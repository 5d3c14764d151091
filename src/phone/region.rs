//! The region whose rules apply to a number without a country code.

use std::fmt;
use std::str::FromStr;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};
use serde::{Deserialize, Serialize};

/// An ISO 3166-1 alpha-2 code that libphonenumber has rules for: `JP`, `US`, `GB`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(rlibphonenumber::Region);

/// The text is not a region with a numbering plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a region: write the two capital letters of ISO 3166-1, for example JP")]
pub struct UnknownRegion(pub String);

/// The regions that libphonenumber's data has rules for. The list is written out so that code that
/// only checks a region need not unpack all that data. The controller is such code, because it
/// parses no number. A test compares the list with the data.
const KNOWN: &str = "\
    AC AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ \
    BR BS BT BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO \
    DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GT GU \
    GW GY HK HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW \
    KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT \
    MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PR PS PT \
    PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA \
    TC TD TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WF WS XK \
    YE YT ZA ZM ZW";

// === impl Region ===

impl Region {
    /// Japan, the home of the phone platform.
    pub const JAPAN: Self = Self(rlibphonenumber::Region::JP);

    /// Every region that numbers can be read for.
    pub fn all() -> impl Iterator<Item = Self> {
        PHONE_NUMBER_UTIL.get_supported_regions().map(Self)
    }

    /// The region's country calling code: 81 for Japan.
    pub fn calling_code(&self) -> u16 {
        PHONE_NUMBER_UTIL
            .get_country_code_for_region(self.0)
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or_default()
    }

    pub(crate) fn library(self) -> rlibphonenumber::Region {
        self.0
    }

    /// The prefix of a national number: `0` in Japan, none in the United States and in many other
    /// regions. It is derived from the formatted example number of the region.
    pub(crate) fn national_prefix(self) -> Option<String> {
        let example = PHONE_NUMBER_UTIL.get_example_number(self.0).ok()?;
        let mut written = PHONE_NUMBER_UTIL
            .format(&example, PhoneNumberFormat::National)
            .into_owned();
        written.retain(|c| c.is_ascii_digit());
        let prefix = written.strip_suffix(&example.get_national_significant_number())?;
        (!prefix.is_empty()).then(|| prefix.to_owned())
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownRegion(text.chars().take(16).collect());
        if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(unknown());
        }
        let region = rlibphonenumber::Region::from_code(text).map_err(|_| unknown())?;
        if KNOWN.split(' ').any(|known| known == text) {
            Ok(Self(region))
        } else {
            Err(unknown())
        }
    }
}

impl TryFrom<String> for Region {
    type Error = UnknownRegion;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.to_string()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_regions_are_those_of_the_data() {
        let mut of_the_data: Vec<String> = Region::all().map(String::from).collect();
        of_the_data.sort();
        assert_eq!(KNOWN.split(' ').collect::<Vec<_>>(), of_the_data);
    }
}
