//! The ways in which people store a number in Salesforce, the most likely first.
//!
//! Salesforce keeps phone text as it was typed; only its English screens rewrite ten bare digits to
//! `(xxx) xxx-xxxx`. A field holds 40 characters, and `=` and `IN` compare the raw text:
//! <https://help.salesforce.com/s/articleView?id=000385963&type=1>.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat};

use super::{E164, Region, parse};

/// The most characters that a Salesforce phone field holds.
pub const MAX_SPELLING_CHARS: usize = 40;

/// The spellings of `number` to query in the org of a tenant whose region is `home`.
///
/// Each spelling parses back to the same number there. Other spellings are left out, because a
/// record found by one of them could not be matched to the number. Examples are a foreign number in
/// its own national form, and digits without a plus sign that are another number of the region.
pub fn spellings(number: &E164, home: &Region) -> Vec<String> {
    let Some(read) = number.library() else {
        return vec![number.to_string()];
    };
    let mut found = Spellings::default();
    found.add(number.to_string());
    let formatted = PHONE_NUMBER_UTIL.format(&read, PhoneNumberFormat::National);
    let national = groups(&formatted);
    let abroad = international_groups(&read);
    let code = read.country_code.to_string();
    // Ten digits after the country code: 090, 050, 0800. They have no area code to separate.
    let is_japanese_mobile = read.country_code == 81 && abroad.concat().len() == 10;

    if let Some(written) = with_separator(&national, "-") {
        found.add(written);
    }
    found.add(national.concat());
    found.add(formatted.to_string());
    found.add(
        PHONE_NUMBER_UTIL
            .format(&read, PhoneNumberFormat::International)
            .into_owned(),
    );
    found.add(number.digits().to_owned());
    if let [area, groups @ ..] = national.as_slice()
        && !groups.is_empty()
    {
        let rest = groups.join("-");
        found.add(format!("({area}){rest}"));
        found.add(format!("({area}) {rest}"));
        if formatted.contains(' ') && !formatted.contains('-') {
            found.add(format!("({area}) {}", groups.join(" ")));
        }
    }
    if let [area, exchange, line] = national.as_slice()
        && !is_japanese_mobile
    {
        found.add(format!("{area}({exchange}){line}"));
    }
    found.add(format!("+{code} {}", abroad.join(" ")));
    found.add(format!("+{code} {}", abroad.join("-")));
    found.add(format!("+{code}-{}", abroad.join("-")));
    found.add(national.join(" "));
    found.add(national.join("."));
    if read.country_code == 1 {
        north_america(&mut found, &abroad);
    }
    for grouping in other_groupings(&read) {
        found.add(grouping);
    }
    if national.concat() != abroad.concat() && read.country_code != 1 {
        // The trunk prefix in parentheses, as on letterheads.
        if let Some(prefix) = national.concat().strip_suffix(&abroad.concat()) {
            found.add(format!("+{code} ({prefix}){}", abroad.join("-")));
            if read.country_code != 81 {
                found.add(format!("+{code} ({prefix}){}", abroad.join(" ")));
                found.add(format!("+{code} ({prefix}) {}", abroad.join(" ")));
            }
        }
    }
    if ![1, 81].contains(&read.country_code) {
        elsewhere(&mut found, &code, &abroad);
    }
    found.add(format!("+{code} {}", abroad.concat()));
    let mut list = found.0;
    list.retain(|spelling| parse(spelling, home).as_ref() == Ok(number));
    list
}

/// A list without duplicates that keeps its order.
#[derive(Default)]
struct Spellings(Vec<String>);

impl Spellings {
    fn add(&mut self, spelling: String) {
        if spelling.len() <= MAX_SPELLING_CHARS && !self.0.contains(&spelling) {
            self.0.push(spelling);
        }
    }
}

/// The runs of digits of a formatted number.
fn groups(formatted: &str) -> Vec<String> {
    formatted
        .split(|c: char| !c.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .map(str::to_owned)
        .collect()
}

fn international_groups(number: &PhoneNumber) -> Vec<String> {
    groups(&PHONE_NUMBER_UTIL.format(number, PhoneNumberFormat::International)).split_off(1)
}

fn with_separator(groups: &[String], separator: &str) -> Option<String> {
    (groups.len() > 1).then(|| groups.join(separator))
}

/// Adds `1-415-555-0132` and similar forms: in North America the country code is the long-distance
/// prefix.
fn north_america(found: &mut Spellings, groups: &[String]) {
    if let [area, exchange, line] = groups {
        found.add(format!("+1 ({area}) {exchange}-{line}"));
        found.add(format!("1-{area}-{exchange}-{line}"));
        found.add(format!("1 ({area}) {exchange}-{line}"));
        found.add(format!("+1.{area}.{exchange}.{line}"));
        found.add(format!("1.{area}.{exchange}.{line}"));
        found.add(format!("({area}) {exchange} {line}"));
        found.add(format!("+1 ({area}){exchange}-{line}"));
        found.add(format!("+1({area}){exchange}-{line}"));
        found.add(format!("1 {area} {exchange} {line}"));
    }
}

/// Adds the forms that Europe and most of the world use besides those of the metadata. Japan does
/// not use them, and its spellings are counted to the byte.
fn elsewhere(found: &mut Spellings, code: &str, groups: &[String]) {
    if let [area, rest @ ..] = groups
        && !rest.is_empty()
    {
        found.add(format!("+{code} ({area}) {}", rest.join(" ")));
    }
    found.add(format!("00{code} {}", groups.join(" ")));
    found.add(format!("00{code}{}", groups.concat()));
}

/// The groupings that people really use besides those of the metadata. Japanese area codes have two
/// to five digits with the 0, and few people know the length of their neighbours' codes. Everybody
/// knows that Tokyo is 03 and Osaka 06, so these have no other grouping.
fn other_groupings(number: &PhoneNumber) -> Vec<String> {
    let national = number.get_national_significant_number();
    let cuts: &[&[usize]] = match (number.country_code, national.len()) {
        (81, 9) if national.starts_with(['3', '6']) => &[],
        // Free and shared-cost lines: 0120-12-3456.
        (81, 9)
            if ["120", "570", "990"]
                .iter()
                .any(|line| national.starts_with(line)) =>
        {
            &[&[4, 2]]
        }
        (81, 9) => &[&[3, 3], &[4, 2]],
        (81, 10) => &[&[3, 4]],
        (44, 10) => &[&[3, 4], &[4, 3], &[5], &[5, 3]],
        (49, length) if length > 6 => &[&[3], &[4], &[5]],
        _ => &[],
    };
    let written = format!("0{national}");
    let mut spellings = Vec::new();
    for cut in cuts {
        let mut rest = written.as_str();
        let mut parts = Vec::new();
        for length in *cut {
            let Some((part, after)) = rest.split_at_checked(*length) else {
                continue;
            };
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
        match number.country_code {
            44 => spellings.push(parts.join(" ")),
            49 => {
                spellings.extend(["/", "-", " "].map(|separator| parts.join(separator)));
                let abroad = parts.join(" ");
                spellings.push(format!("+49 {}", &abroad[1..]));
            }
            _ => spellings.push(parts.join("-")),
        }
    }
    spellings
}
