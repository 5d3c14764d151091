//! The ways in which people store a number in Salesforce, the most likely first.
//!
//! Salesforce keeps phone text as it was typed; only its English screens rewrite ten bare digits to
//! `(xxx) xxx-xxxx`. A field holds 40 characters, and `=` and `IN` compare the raw text:
//! <https://help.salesforce.com/s/articleView?id=000385963&type=1>.

use std::collections::{HashMap, HashSet};

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat};

use super::habits::{self, Parts};
use super::{E164, Region, parse};

/// The most characters that a Salesforce phone field holds.
pub const MAX_SPELLING_CHARS: usize = 40;

/// How many of the spellings of a number take part in deciding how many numbers go into a request,
/// outside of Japan and North America. The others fill what room is left.
const LIKELY: usize = 26;
/// The groupings that go before Japan's long texts, of which each takes the room of five.
const BEFORE_TEXTS: usize = 60;
/// The most spellings that are asked for.
const MOST: usize = 160;

/// The spellings of `number` that are asked for in the org of a tenant whose region is `home`, the
/// likeliest first.
///
/// Each spelling parses back to the same number there. Other spellings are left out, because a
/// record found by one of them could not be matched to the number. Examples are a foreign number in
/// its own national form, and digits without a plus sign that are another number of the region.
pub fn spellings(number: &E164, home: &Region) -> Vec<String> {
    let mut reader = Reader::new(number, home);
    reader.sibling = None;
    let mut list = reader.likely();
    let rare = reader.rare(&list);
    list.extend(rare);
    list
}

/// The spellings that every request has room for, those of the
/// [same subscriber](E164::same_subscriber) among them.
pub(crate) fn likely(number: &E164, home: &Region) -> Vec<String> {
    Reader::new(number, home).likely()
}

/// Further spellings, the likeliest first, without those in `likely`.
pub(crate) fn rare(number: &E164, home: &Region, likely: &[String]) -> Vec<String> {
    Reader::new(number, home).rare(likely)
}

/// What a search index is asked for to find a number whatever stands around it: words of digits,
/// and groups of digits that follow each other.
pub(crate) fn search_phrases(number: &E164, home: &Region) -> Vec<String> {
    /// Fewer digits are in too many numbers.
    const LEAST_DIGITS: usize = 6;
    let mut found = List::default();
    let Some(parts) = Reader::new(number, home).parts else {
        found.add(number.digits().to_owned());
        return found.spellings;
    };
    let sibling = number.same_subscriber();
    let other = sibling.as_ref().and_then(E164::library);
    let others = other.map(|other| habits::local_groups(&self::parts(&other)));
    for groups in habits::local_groups(&parts)
        .into_iter()
        .chain(others.into_iter().flatten())
    {
        let is_short = groups.concat().len() < LEAST_DIGITS;
        let area = parts.groups.first().filter(|_| is_short);
        let phrase: Vec<&str> = area
            .into_iter()
            .chain(&groups)
            .map(String::as_str)
            .collect();
        found.add(phrase.join(" "));
    }
    let is_home = home.calling_code() == number.calling_code();
    if is_home {
        found.add(format!("{}{}", parts.trunk, parts.national));
    }
    found.add(number.digits().to_owned());
    // Of `+44 (0)20 7946 0958` the digits are one word. Japan's numbers are found by their groups.
    if !parts.trunk.is_empty() && parts.code != 81 {
        found.add(format!("{}{}{}", parts.code, parts.trunk, parts.national));
        if is_home {
            // A spreadsheet takes the zero away.
            found.add(parts.national.clone());
        }
    }
    if is_home && [48, 420, 351].contains(&parts.code) {
        found.add(format!("0{}", parts.national));
    }
    // Argentina's 15 of mobile phones.
    if parts.code == 54
        && let Some((area, rest)) = parts.groups.split_first()
    {
        let rest = rest.concat();
        found.add(format!("0{area}15{rest}"));
        found.add(rest);
    }
    found.extend(sibling.map(|sibling| sibling.digits().to_owned()));
    // Mexico's abolished prefixes, without blanks.
    let prefixes: &[&str] = if parts.code == 52 {
        &["521", "044", "045", "01"]
    } else {
        &[]
    };
    found.extend(
        prefixes
            .iter()
            .map(|prefix| format!("{prefix}{}", parts.national)),
    );
    found.spellings
}

/// Finds the spellings of one number and reads each back.
struct Reader<'a> {
    number: &'a E164,
    home: &'a Region,
    /// The other number of the same subscriber.
    sibling: Option<E164>,
    parts: Option<Parts>,
    library: Option<PhoneNumber>,
    /// What texts of the same digits were read as. Marks between digits do not matter.
    read: HashMap<String, bool>,
}

impl<'a> Reader<'a> {
    fn new(number: &'a E164, home: &'a Region) -> Self {
        let library = number.library();
        Self {
            number,
            home,
            sibling: number.same_subscriber(),
            parts: library.as_ref().map(parts),
            library,
            read: HashMap::new(),
        }
    }

    /// Whether a spelling is read as the number. Parsing is what a look-up costs of the processor,
    /// so digits are read once.
    fn is_read_back(&mut self, spelling: &str) -> bool {
        let (number, sibling) = (self.number, self.sibling.as_ref());
        let home = self.home;
        let reads = |text: &str| {
            parse(text, home).is_ok_and(|read| read == *number || Some(&read) == sibling)
        };
        if !spelling
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+ -.()/".contains(&byte))
        {
            return reads(spelling);
        }
        let digits = spelling.chars().filter(|c| c.is_ascii_digit() || *c == '+');
        *self
            .read
            .entry(digits.collect())
            .or_insert_with(|| reads(spelling))
    }

    fn likely(&mut self) -> Vec<String> {
        let mut found = List::default();
        found.add(self.number.to_string());
        let (Some(library), Some(parts)) = (&self.library, &self.parts) else {
            return found.spellings;
        };
        if [1, 81].contains(&library.country_code) {
            counted_to_the_byte(self.number, library, &mut found);
        } else {
            let national = PHONE_NUMBER_UTIL.format(library, PhoneNumberFormat::National);
            let digits = groups(&national).concat();
            found.add(national.into_owned());
            found.add(digits);
            let international = PhoneNumberFormat::International;
            found.add(
                PHONE_NUMBER_UTIL
                    .format(library, international)
                    .into_owned(),
            );
            found.add(self.number.digits().to_owned());
            found.add(format!("00{}", self.number.digits()));
            found.extend(self.sibling.as_ref().map(E164::to_string));
            if parts.code == 52 {
                found.add(format!("+521{}", parts.national));
            }
            found.extend(habits::ranked(parts));
        }
        let mut list = found.spellings;
        let most = if [1, 81].contains(&library.country_code) {
            MOST
        } else {
            LIKELY
        };
        list = self.keep(list, most);
        list
    }

    fn rare(&mut self, likely: &[String]) -> Vec<String> {
        let Some(parts) = &self.parts else {
            return Vec::new();
        };
        let mut found = List {
            spellings: Vec::new(),
            seen: likely.iter().cloned().collect(),
        };
        let ranked = habits::ranked(parts);
        // A spreadsheet takes the zero away; forms write it behind the country's code.
        if !parts.trunk.is_empty() {
            found.extend([
                parts.national.clone(),
                format!("+{}({}){}", parts.code, parts.trunk, parts.national),
            ]);
        }
        let plain = likely
            .iter()
            .find(|text| text.starts_with('0') && text.contains('-'));
        if let Some(hyphens) = plain.filter(|_| parts.code == 81) {
            found.extend(ranked.iter().take(BEFORE_TEXTS).cloned());
            found.extend(japanese_texts(hyphens));
        }
        found.extend(ranked);
        self.keep(found.spellings, MOST.saturating_sub(likely.len()))
    }

    fn keep(&mut self, list: Vec<String>, most: usize) -> Vec<String> {
        let kept = list
            .into_iter()
            .filter(|spelling| self.is_read_back(spelling));
        kept.take(most).collect()
    }
}

/// The parts of a number, without the prefix that Argentina's mobile numbers have from abroad.
fn parts(number: &PhoneNumber) -> Parts {
    let formatted = PHONE_NUMBER_UTIL.format(number, PhoneNumberFormat::National);
    let mut national = number.get_national_significant_number();
    let mut abroad = international_groups(number);
    let written = groups(&formatted).concat();
    let mut trunk = written
        .strip_suffix(national.as_str())
        .unwrap_or_default()
        .to_owned();
    if number.country_code == 54 {
        "0".clone_into(&mut trunk);
        if national.len() == 11 && abroad.first().is_some_and(|group| group == "9") {
            national.remove(0);
            abroad.remove(0);
        }
    }
    Parts {
        code: number.country_code,
        trunk,
        national,
        groups: abroad,
    }
}

/// What Japanese forms, cards and CSV files leave in a field: full-width text, other dashes,
/// labels, and the apostrophe by which a spreadsheet keeps the leading zero.
fn japanese_texts(hyphens: &str) -> Vec<String> {
    let wide = |dash: char| -> String {
        let wide = |c: char| match c {
            '-' => dash,
            digit => char::from_u32(u32::from(digit) + 0xFEE0).unwrap_or(digit),
        };
        hyphens.chars().map(wide).collect()
    };
    let dashes = |dash: &str| hyphens.replace('-', dash);
    vec![
        wide('－'),
        wide('ー'),
        wide('−'),
        wide('‐'),
        wide('-'),
        wide('－').replace('－', ""),
        dashes("－"),
        dashes("ー"),
        dashes("‐"),
        dashes("−"),
        dashes("–"),
        format!("TEL {hyphens}"),
        format!("TEL:{hyphens}"),
        format!("TEL：{hyphens}"),
        format!("{hyphens}(代表)"),
        format!("{hyphens}（代表）"),
        format!("{hyphens}(代)"),
        format!("{hyphens}（代）"),
        format!("代表 {hyphens}"),
        format!("'{hyphens}"),
    ]
}

/// The spellings of Japan and North America. A thousand numbers are asked for in as many requests
/// as their length allows.
fn counted_to_the_byte(number: &E164, read: &PhoneNumber, found: &mut List) {
    let formatted = PHONE_NUMBER_UTIL.format(read, PhoneNumberFormat::National);
    let national = groups(&formatted);
    let abroad = international_groups(read);
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
            .format(read, PhoneNumberFormat::International)
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
        north_america(found, &abroad);
    }
    for grouping in other_groupings(read) {
        found.add(grouping);
    }
    if national.concat() != abroad.concat()
        && read.country_code != 1
        && let Some(prefix) = national.concat().strip_suffix(&abroad.concat())
    {
        // The trunk prefix in parentheses, as on letterheads.
        found.add(format!("+{code} ({prefix}){}", abroad.join("-")));
    }
    found.add(format!("+{code} {}", abroad.concat()));
}

/// A list without duplicates that keeps its order. There are hundreds of candidates a number.
#[derive(Default)]
struct List {
    spellings: Vec<String>,
    seen: HashSet<String>,
}

impl List {
    fn add(&mut self, spelling: String) {
        if spelling.chars().count() <= MAX_SPELLING_CHARS && self.seen.insert(spelling.clone()) {
            self.spellings.push(spelling);
        }
    }

    fn extend(&mut self, spellings: impl IntoIterator<Item = String>) {
        for spelling in spellings {
            self.add(spelling);
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
fn north_america(found: &mut List, groups: &[String]) {
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
        spellings.push(parts.join("-"));
    }
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likely_at_home(number: &str, home: &str) -> Vec<String> {
        likely(&number.parse().unwrap(), &home.parse().unwrap())
    }

    #[test]
    fn north_americas_long_distance_prefix_is_in_every_request() {
        let list = likely_at_home("+14155550132", "US");
        for expected in [
            "+1 (415) 555-0132",
            "1-415-555-0132",
            "1 (415) 555-0132",
            "+1.415.555.0132",
            "1.415.555.0132",
            "(415) 555 0132",
            "+1 (415)555-0132",
            "+1(415)555-0132",
            "1 415 555 0132",
        ] {
            assert!(
                list.contains(&expected.to_owned()),
                "{expected} in {list:?}"
            );
        }
    }

    #[test]
    fn japans_other_groupings_are_in_every_request_where_people_use_them() {
        for (number, groupings) in [
            // Everybody knows that Tokyo is 03 and Osaka 06.
            ("+81312345678", &["03-1234-5678"][..]),
            ("+81612345678", &["06-1234-5678"]),
            ("+81451234567", &["045-123-4567", "0451-23-4567"]),
            ("+81112345678", &["011-234-5678", "0112-34-5678"]),
            ("+81120123456", &["0120-123-456", "0120-12-3456"]),
            ("+81570012345", &["0570-012-345", "0570-01-2345"]),
            ("+818001234567", &["0800-123-4567", "080-0123-4567"]),
            ("+819012345678", &["090-1234-5678"]),
        ] {
            let list = likely_at_home(number, "JP");
            let found: Vec<&String> = list
                .iter()
                .filter(|text| text.starts_with('0') && text.split('-').count() == 3)
                .filter(|text| {
                    text.bytes()
                        .all(|byte| byte.is_ascii_digit() || byte == b'-')
                })
                .collect();
            assert_eq!(found, groupings, "{number}");
        }
    }

    #[test]
    fn the_area_code_in_parentheses_is_in_every_request() {
        let list = likely_at_home("+81312345678", "JP");
        for expected in [
            "(03)1234-5678",
            "(03) 1234-5678",
            "03(1234)5678",
            "+81 (0)3-1234-5678",
        ] {
            assert!(
                list.contains(&expected.to_owned()),
                "{expected} in {list:?}"
            );
        }
        // A mobile number has no area code to separate.
        let list = likely_at_home("+819012345678", "JP");
        assert!(!list.contains(&"090(1234)5678".to_owned()), "{list:?}");
    }

    #[test]
    fn what_japanese_forms_leave_in_a_field_is_asked_for_in_japan() {
        let number: E164 = "+81312345678".parse().unwrap();
        let with_label = |home: &str| {
            let list = spellings(&number, &home.parse().unwrap());
            list.into_iter()
                .filter(|text| text.starts_with("TEL"))
                .collect::<Vec<_>>()
        };
        let labelled = ["TEL 03-1234-5678", "TEL:03-1234-5678", "TEL：03-1234-5678"];
        assert_eq!(with_label("JP"), labelled);
        assert!(with_label("US").is_empty());
    }

    #[test]
    fn digits_are_read_once_whatever_marks_stand_between_them() {
        let (number, home) = ("+81312345678".parse().unwrap(), Region::JAPAN);
        let mut reader = Reader::new(&number, &home);
        for text in [
            "03-1234-5678",
            "03 1234 5678",
            "(03)1234.5678",
            "03/12345678",
        ] {
            assert!(reader.is_read_back(text), "{text}");
        }
        assert_eq!(reader.read.len(), 1);
        // A letter may mean something else, so such a text is read by itself.
        assert!(reader.is_read_back("03-1234-5678 x12"));
        assert!(!reader.is_read_back("03-1234-5679"));
        assert_eq!(reader.read.len(), 2);
    }
}
