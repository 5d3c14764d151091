//! How people group and punctuate numbers, by country: rules that are combined, each with a cost.
//!
//! A spelling is a beginning (`030`, `(030)`, `+49 (0)30`), a mark after the area code, and a
//! grouping of the rest. The costs say how far each is from what most people write. The sum
//! ranks the spellings: what combines two rare habits comes after what has one.

use std::collections::HashSet;

/// The highest sum of costs of a spelling that is asked for.
const MOST: u8 = 6;

/// A number in the parts from which spellings are made.
#[derive(Debug)]
pub(super) struct Parts {
    /// The country calling code.
    pub(super) code: i32,
    /// The trunk prefix of the national form, or nothing.
    pub(super) trunk: String,
    /// The digits after the country code.
    pub(super) national: String,
    /// The metadata's grouping of these digits.
    pub(super) groups: Vec<String>,
}

/// A grouping of the digits: the area code or its like, and the rest.
type Grouping = (u8, Vec<String>);

/// A beginning, with `A` for the area code, `T` for the trunk prefix, `C` for the country code.
type Beginning = (u8, &'static str);

/// The mark after the area code, and the one between the other groups.
type Marks = (u8, &'static str, &'static str);

/// Beginnings of most countries.
const BEGINNINGS: &[Beginning] = &[
    (0, "TA"),
    (1, "+C A"),
    (2, "(TA)"),
    (2, "+C (T)A"),
    (2, "+C-A"),
    (2, "+CA"),
    (3, "+C(T)A"),
    (3, "+C (A)"),
    (3, "00C A"),
    (2, "+C (T) A"),
    (3, "+C.A"),
    (3, "+C/A"),
    (3, "+C TA"),
    (3, "+C-(T)A"),
    (3, "C-A"),
    (3, "(+C)A"),
    (4, "00CA"),
    (4, "(+C) A"),
    (4, "+C (TA)"),
    (4, "+C-TA"),
    (4, "00C-A"),
    (4, "C A"),
    (5, "00C (T)A"),
    (5, "(00C) A"),
    (5, "+C(A)"),
    (5, "(+C) TA"),
    (5, "(+C)TA"),
    (5, "(+C) (T)A"),
    (5, "(T)A"),
    (6, "+C(TA)"),
    (6, "00C(T)A"),
    (6, "C(T)A"),
];
/// Beginnings of Japan besides, whose own international prefix is 010.
const JAPAN: &[Beginning] = &[(5, "010-C-A"), (5, "010 C A"), (6, "010CA"), (2, "TA)")];
/// Prefixes that were abolished and stand in records still.
const MEXICO: &[Beginning] = &[
    (1, "+C 1 A"),
    (2, "044 A"),
    (2, "01 A"),
    (2, "+C1A"),
    (2, "045 A"),
    (3, "(01) A"),
    (3, "01(A)"),
    (3, "01 (A)"),
    (3, "(044) A"),
    (3, "044-A"),
    (3, "01-A"),
    (4, "045-A"),
    (4, "+C-1-A"),
    (4, "+C 1 (A)"),
    (4, "+C (1) A"),
    (4, "C1A"),
    (4, "C 1 A"),
    (4, "(045) A"),
    (4, "(01A)"),
    (4, "044 (A)"),
    (4, "045 (A)"),
    (5, "00C1A"),
    (5, "00C 1 A"),
];
/// A mobile number has 9 after the country code, or 15 after the area code, or neither.
const ARGENTINA: &[Beginning] = &[
    (0, "A"),
    (1, "+C 9 A"),
    (1, "+C9A"),
    (2, "TA 15"),
    (2, "(TA) 15"),
    (2, "A 15"),
    (3, "(TA)15"),
    (3, "(A) 15"),
    (3, "TA-15"),
    (3, "TA15"),
    (3, "+C-9-A"),
    (3, "+C 9 (A)"),
    (3, "C9A"),
    (4, "C 9 A"),
    (4, "A-15"),
    (4, "A15"),
    (4, "(A)15"),
    (4, "9 A"),
    (4, "9A"),
    (4, "+C (9) A"),
    (4, "+C (9A)"),
    (4, "+C A 15"),
    (4, "+C (A) 15"),
    (5, "00C9A"),
    (5, "00C 9 A"),
];
/// The trunk prefix, alone or with a carrier: 15 Vivo, 21 Claro, 31 Oi, 41 TIM.
const BRAZIL: &[Beginning] = &[
    (1, "+C (A)"),
    (2, "0A"),
    (2, "(0A)"),
    (3, "0 15 A"),
    (3, "015 A"),
    (3, "0xxA"),
    (3, "(0xxA)"),
    (3, "0 21 A"),
    (3, "021 A"),
    (4, "0 41 A"),
    (4, "041 A"),
    (4, "0 31 A"),
    (4, "031 A"),
    (4, "015A"),
    (4, "021A"),
    (4, "041A"),
    (4, "031A"),
    (4, "(015A)"),
    (4, "(021A)"),
    (4, "(041A)"),
    (4, "(0XXA)"),
    (4, "0 XX A"),
    (4, "0 xx A"),
    (5, "0-15-A"),
    (5, "0-21-A"),
    (5, "(0**A)"),
];

/// The zero for long distance was abolished in 2009.
const POLAND: &[Beginning] = &[
    (3, "0A"),
    (3, "(0A)"),
    (3, "0 A"),
    (3, "+C (0)A"),
    (4, "+C (0) A"),
    (4, "(0 A)"),
    (4, "0-A"),
];

/// The area code keeps its zero from abroad.
const ITALY: &[Beginning] = &[(2, "+C (A)")];
/// The country code is the prefix of long-distance calls, too.
const NORTH_AMERICA: &[Beginning] = &[(2, "C (A)"), (3, "C(A)"), (3, "C.A"), (4, "C/A")];

const HYPHENS: &[Marks] = &[
    (0, "-", "-"),
    (1, " ", " "),
    (2, "", "-"),
    (2, " ", "-"),
    (2, "", ""),
    (2, " - ", " - "),
    (3, ".", "."),
    (4, "-", " "),
    (4, "/", "-"),
    (5, "", " "),
    (5, "/", "/"),
];
/// Latin America.
const MIXED: &[Marks] = &[
    (0, " ", "-"),
    (1, "-", "-"),
    (1, " ", " "),
    (2, "", "-"),
    (2, "", ""),
    (3, ".", "."),
    (3, "", " "),
    (3, "-", " "),
    (4, " ", "."),
    (4, "/", "-"),
    (4, " - ", "-"),
];
const SLASHES: &[Marks] = &[
    (0, " ", " "),
    (0, "/", " "),
    (1, "-", "-"),
    (2, "", ""),
    (2, " / ", " "),
    (2, "-", " "),
    (3, "", " "),
    (3, "/", "-"),
    (3, ".", "."),
    (3, "/", "/"),
    (4, " ", "-"),
    (4, " - ", " "),
    (4, "/", "."),
    (4, " / ", "-"),
    (5, "/ ", " "),
    (5, " /", " "),
    (5, " ", "."),
    (5, " - ", " - "),
];
const BLANKS: &[Marks] = &[
    (0, " ", " "),
    (1, "-", "-"),
    (1, " ", "-"),
    (1, "", ""),
    (2, ".", "."),
    (2, "", " "),
    (2, "-", " "),
    (3, "", "-"),
    (3, "/", " "),
    (4, "/", "-"),
    (4, "/", "/"),
    (4, " - ", " "),
    (4, " ", "."),
    (5, " - ", "-"),
    (5, " - ", " - "),
    (5, " / ", " "),
];

/// The spellings of a number, the likeliest first. Nothing says that they are read back as it.
pub(super) fn ranked(number: &Parts) -> Vec<String> {
    let marks = match number.code {
        1 | 81 | 82 | 86 | 852 | 886 => HYPHENS,
        51..=58 | 502..=507 | 591..=598 => MIXED,
        39 | 41 | 43 | 49 | 352 | 36 | 40 | 48 | 385 | 386 | 420 | 421 | 423 => SLASHES,
        _ => BLANKS,
    };
    let own: &[Beginning] = match number.code {
        39 => ITALY,
        48 => POLAND,
        1 => NORTH_AMERICA,
        52 => MEXICO,
        54 => ARGENTINA,
        55 => BRAZIL,
        81 => JAPAN,
        _ => &[],
    };
    let groupings = groupings(number);
    let mut ranked: Vec<(u8, String)> = Vec::new();
    for (beginning_cost, pattern) in own.iter().chain(BEGINNINGS) {
        if pattern.contains('T')
            && number.trunk.is_empty()
            && pattern != &"TA"
            && pattern != &"(TA)"
        {
            continue;
        }
        let joint = ["-", ".", "/"]
            .into_iter()
            .find(|mark| pattern.contains(mark));
        for (grouping_cost, groups) in &groupings {
            let Some((area, rest)) = groups.split_first() else {
                continue;
            };
            if beginning_cost + grouping_cost > MOST {
                continue;
            }
            let begun = begin(pattern, number, area);
            for (marks_cost, after_area, between) in marks {
                let marks_cost = match joint {
                    // Who joins the country code by a mark uses it everywhere.
                    Some(joint) if joint == *after_area && joint == *between => 0,
                    Some(_) => continue,
                    // A parenthesis separates already.
                    None if pattern.ends_with(')') && after_area.is_empty() => {
                        marks_cost.saturating_sub(2)
                    }
                    None if pattern.ends_with(')') && *after_area == "-" => marks_cost + 2,
                    None => *marks_cost,
                };
                let cost = beginning_cost + grouping_cost + marks_cost;
                // Without a second group, the mark between groups makes no difference.
                let is_twin = rest.len() < 2 && between != after_area && *between != " ";
                if cost > MOST || is_twin {
                    continue;
                }
                ranked.push((cost, format!("{begun}{after_area}{}", rest.join(between))));
            }
        }
    }
    // Stable: of equal costs the order of the tables decides.
    ranked.sort_by_key(|(cost, _)| *cost);
    ranked.into_iter().map(|(_, text)| text).collect()
}

fn begin(pattern: &str, number: &Parts, area: &str) -> String {
    let mut text = String::with_capacity(16);
    for part in pattern.chars() {
        match part {
            'A' => text.push_str(area),
            'T' => text.push_str(&number.trunk),
            'C' => text.push_str(&number.code.to_string()),
            other => text.push(other),
        }
    }
    text
}

/// The groupings of a number, with their costs.
fn groupings(number: &Parts) -> Vec<Grouping> {
    let mut found: Vec<Grouping> = Vec::new();
    let mut seen = HashSet::new();
    let mut add = |cost: u8, groups: Vec<String>| {
        let is_whole = !groups.is_empty() && groups.iter().all(|group| !group.is_empty());
        if is_whole && seen.insert(groups.clone()) {
            found.push((cost, groups));
        }
    };
    add(0, number.groups.clone());
    for (area_cost, length) in areas(number) {
        let Some((area, rest)) = number.national.split_at_checked(length) else {
            continue;
        };
        for (cost, groups) in of_rest(number.code, rest) {
            let mut whole = vec![area.to_owned()];
            whole.extend(groups);
            add(area_cost + cost, whole);
        }
        // Brazil's ninth digit stands apart: `(11) 9 8765-4321`.
        if number.code == 55 && rest.len() == 9 {
            let line = [
                format!("{} {}", &rest[..1], &rest[1..5]),
                rest[5..].to_owned(),
            ];
            add(1, [vec![area.to_owned()], line.to_vec()].concat());
        }
    }
    for (cost, cut) in other_cuts(number) {
        add(cost, cut_at(&number.national, cut));
    }
    found
}

/// The lengths of what people take for the area code, with their costs.
fn areas(number: &Parts) -> Vec<(u8, usize)> {
    let known = number.groups.first().filter(|_| number.groups.len() > 1);
    let mut found: Vec<(u8, usize)> = Vec::new();
    match number.code {
        // The metadata cuts German mobile numbers behind the block: 01511 2345679.
        49 if number.national.starts_with(['1']) => found.push((0, 3)),
        43 | 49 => found.extend([(3, 3), (3, 4), (3, 2)]),
        // Madrid and Barcelona are 91 and 93, whatever the metadata groups.
        34 => found.push((0, 2)),
        // The metadata does not group Brazil's numbers without the ninth digit.
        55 => found.push((0, 2)),
        _ if known.is_none() => found.extend([(1, 2), (1, 3)]),
        _ => {}
    }
    found.extend(known.map(|area| (0, area.len())));
    found.sort_unstable();
    found
}

/// How people group the digits after the area code.
fn of_rest(code: i32, rest: &str) -> Vec<Grouping> {
    let cuts: &[(u8, &[usize])] = match (code, rest.len()) {
        // Fixed by custom; only the whole is another way.
        (55, 8) => &[(0, &[4, 4]), (2, &[])],
        (55, 9) => &[(0, &[5, 4]), (2, &[])],
        (1 | 52 | 54 | 55 | 81 | 82, _) => &[(2, &[])],
        (33, _) => &[(0, &[2, 2, 2, 2]), (2, &[])],
        (86, _) => &[(0, &[]), (1, &[4, 4]), (2, &[3, 4])],
        (_, 4) => &[(0, &[]), (1, &[2, 2])],
        (_, 5) => &[(0, &[]), (1, &[3, 2]), (1, &[2, 3])],
        (_, 6) => &[(0, &[]), (1, &[2, 2, 2]), (1, &[3, 3])],
        (_, 7) => &[
            (0, &[]),
            (1, &[3, 2, 2]),
            (1, &[3, 4]),
            (2, &[2, 2, 3]),
            (3, &[4, 3]),
        ],
        (_, 8) => &[
            (0, &[]),
            (1, &[4, 4]),
            (1, &[2, 2, 2, 2]),
            (1, &[3, 3, 2]),
            (2, &[3, 2, 3]),
            (3, &[2, 3, 3]),
            (3, &[3, 5]),
        ],
        (_, 9) => &[
            (0, &[]),
            (1, &[3, 3, 3]),
            (1, &[5, 4]),
            (2, &[1, 4, 4]),
            (3, &[4, 5]),
            (3, &[3, 2, 2, 2]),
        ],
        (_, 10) => &[(0, &[]), (2, &[3, 3, 4]), (2, &[2, 2, 2, 2, 2])],
        _ => &[(0, &[])],
    };
    cuts.iter()
        .map(|(cost, cut)| (*cost, cut_at(rest, cut)))
        .collect()
}

/// Groupings of all the digits that differ from the metadata's.
fn other_cuts(number: &Parts) -> Vec<(u8, &'static [usize])> {
    let length = number.national.len();
    let cuts: &[(u8, &[usize])] = match (number.code, length) {
        // Few people know the lengths of area codes in Japan: 0451-23-4567 beside 045-123-4567.
        (81, 9) => &[
            (2, &[3, 2, 4]),
            (2, &[2, 3, 4]),
            (3, &[1, 3, 5]),
            (3, &[3, 4, 2]),
            (4, &[3, 3, 3]),
            (4, &[1, 4, 4]),
            (4, &[2, 4, 3]),
            (4, &[2, 2, 5]),
            (4, &[4, 1, 4]),
            (4, &[1, 5, 3]),
            (4, &[5, 4]),
            (4, &[3, 6]),
            (4, &[2, 7]),
            (5, &[4, 5]),
        ],
        (81, 10) => &[
            (2, &[3, 3, 4]),
            (2, &[6, 4]),
            (3, &[3, 7]),
            (3, &[2, 3, 5]),
            (4, &[2, 5, 3]),
            (4, &[4, 2, 4]),
            (4, &[3, 4, 3]),
            (4, &[4, 3, 3]),
            (4, &[4, 6]),
        ],
        (44, 10) => &[
            (1, &[3, 3, 4]),
            (1, &[4, 3, 3]),
            (2, &[4, 6]),
            (2, &[2, 4, 4]),
            (3, &[3, 7]),
            (3, &[4, 2, 4]),
            (3, &[2, 8]),
        ],
        (34, 9) => &[
            (1, &[3, 3, 3]),
            (1, &[2, 3, 2, 2]),
            (1, &[3, 2, 2, 2]),
            (2, &[3, 6]),
            (2, &[2, 7]),
            (3, &[2, 3, 4]),
        ],
        (33, 9) => &[(3, &[1, 2, 3, 3]), (3, &[3, 3, 3]), (4, &[1, 4, 4])],
        (52, 10) => &[
            (2, &[2, 4, 4]),
            (2, &[3, 3, 4]),
            (3, &[2, 2, 2, 2, 2]),
            (4, &[3, 3, 2, 2]),
        ],
        (54, 10) => &[(3, &[2, 4, 4]), (3, &[3, 3, 4]), (4, &[4, 2, 4])],
        (86, 11) => &[
            (1, &[3, 4, 4]),
            (2, &[3, 8]),
            (3, &[3, 3, 5]),
            (3, &[4, 4, 3]),
            (3, &[4, 3, 4]),
        ],
        (61, 9) => &[(1, &[3, 3, 3]), (1, &[1, 4, 4]), (2, &[1, 8])],
        (31 | 32, 9) => &[
            (1, &[1, 8]),
            (2, &[2, 7]),
            (2, &[3, 6]),
            (2, &[2, 3, 4]),
            (2, &[1, 2, 2, 2, 2]),
        ],
        (39, 10) => &[
            (1, &[3, 3, 4]),
            (1, &[3, 7]),
            (2, &[3, 2, 2, 3]),
            (2, &[3, 2, 2, 2, 1]),
        ],
        (41, 9) => &[(2, &[2, 7]), (2, &[3, 2, 2, 2])],
        _ => &[],
    };
    cuts.to_vec()
}

/// Cuts digits into groups of these lengths; what is left is the last group.
fn cut_at(digits: &str, lengths: &[usize]) -> Vec<String> {
    let mut rest = digits;
    let mut groups = Vec::new();
    for length in lengths {
        let Some((group, after)) = rest.split_at_checked(*length) else {
            break;
        };
        groups.push(group.to_owned());
        rest = after;
    }
    if !rest.is_empty() {
        groups.push(rest.to_owned());
    }
    groups
}

/// The groups of the number without area code, as a search index holds them next to each other:
/// the metadata's grouping first, then the others that people use.
pub(super) fn local_groups(number: &Parts) -> Vec<Vec<String>> {
    const FEW: usize = 3;
    let mut found: Vec<Vec<String>> = Vec::new();
    if let Some((_, rest)) = number.groups.split_first()
        && !rest.is_empty()
    {
        found.push(rest.to_vec());
    }
    for (area_cost, length) in areas(number) {
        let digits = number.national.get(length..).unwrap_or_default();
        for (cost, groups) in of_rest(number.code, digits) {
            if area_cost + cost < 2 && !found.contains(&groups) {
                found.push(groups);
            }
        }
    }
    found.truncate(FEW);
    // Who writes London as 0207 and 0208.
    for (cost, cut) in other_cuts(number) {
        let groups = cut_at(&number.national, cut).split_off(1);
        if cost < 2 && number.code == 44 && !found.contains(&groups) {
            found.push(groups);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number from its groups as the metadata has them: `20 7946 0958`.
    fn number(code: i32, trunk: &str, groups: &str) -> Parts {
        Parts {
            code,
            trunk: trunk.to_owned(),
            national: groups.replace(' ', ""),
            groups: groups.split(' ').map(str::to_owned).collect(),
        }
    }

    fn joined(groupings: Vec<Grouping>) -> Vec<(u8, String)> {
        let joined = groupings.into_iter();
        joined
            .map(|(cost, groups)| (cost, groups.join(" ")))
            .collect()
    }

    fn place(list: &[String], text: &str) -> usize {
        let place = list.iter().position(|known| known == text);
        place.unwrap_or_else(|| panic!("{text:?} in {list:?}"))
    }

    #[test]
    fn the_marks_that_most_people_of_a_country_write_come_first() {
        let table: [(&[i32], &str); 4] = [
            (&[1, 81, 82, 86, 852, 886], "021-1234-5678"),
            (
                &[
                    51, 52, 53, 54, 56, 57, 58, 502, 503, 504, 505, 506, 507, 591, 592, 593, 594,
                    595, 596, 597, 598,
                ],
                "021 1234-5678",
            ),
            (
                &[39, 41, 43, 49, 352, 36, 40, 48, 385, 386, 420, 421, 423],
                "021 1234 5678",
            ),
            (
                &[44, 33, 34, 31, 60, 61, 7, 501, 508, 590, 599],
                "021 1234 5678",
            ),
        ];
        for (at, (codes, expected)) in table.into_iter().enumerate() {
            for code in codes {
                let list = ranked(&number(*code, "0", "21 1234 5678"));
                let trunk = if *code == 54 { "" } else { "0" };
                assert_eq!(list[0], format!("{trunk}{}", &expected[1..]), "+{code}");
                // Where the slash is at home, it is as common as the blank.
                assert_eq!(list[1] == "021/1234 5678", at == 2, "+{code}");
            }
        }
        let list = ranked(&number(36, "06", "1 345"));
        assert_eq!(list[..2], ["061 345", "061/345"]);
    }

    #[test]
    fn a_spelling_of_two_rare_habits_comes_after_one_of_one() {
        let list = ranked(&number(44, "0", "20 7946 0958"));
        let by_cost = [
            "020 7946 0958",
            "020-7946-0958",
            "(020) 7946 0958",
            "(020)79460958",
            "0044-20-7946-0958",
            "(020)-7946-0958",
            "0044 (0)20-7946-0958",
        ];
        let places: Vec<usize> = by_cost.iter().map(|text| place(&list, text)).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(place(&list, "+44 20 7946 0958") < place(&list, "020.7946.0958"));
        assert!(place(&list, "020 7946 0958") < place(&list, "0207 946 0958"));
        assert!(place(&list, "0207 946 0958") < place(&list, "(0207) 946 0958"));
        // The sum of the costs is one more than the most: rare beginning, rare mark.
        assert!(!list.contains(&"0044 (0)20.7946.0958".to_owned()));
        // Who joins the country's code by a mark uses it everywhere.
        assert!(!list.contains(&"+44-20 7946 0958".to_owned()));
    }

    #[test]
    fn countries_have_beginnings_of_their_own() {
        for (code, trunk, groups, own) in [
            (1, "", "415 555 0132", "1 (415) 555-0132"),
            (48, "", "22 123 45 67", "022 123 45 67"),
            (52, "", "55 4123 0001", "044 55 4123-0001"),
            (52, "", "55 4123 0001", "+52 1 55 4123-0001"),
            (54, "0", "11 2345 0001", "+54 9 11 2345-0001"),
            (54, "0", "11 2345 0001", "011 15 2345-0001"),
            (55, "", "11 98765 4321", "(0xx11)98765-4321"),
            (55, "", "11 98765 4321", "021 11 98765 4321"),
            (81, "0", "3 1234 5678", "010-81-3-1234-5678"),
            (81, "0", "3 1234 5678", "03)1234-5678"),
        ] {
            let list = ranked(&number(code, trunk, groups));
            assert!(list.contains(&own.to_owned()), "{own} in {list:?}");
            let foreign = ranked(&number(61, trunk, groups));
            let elsewhere = own.replace(&format!("+{code}"), "+61");
            assert!(!foreign.contains(&elsewhere), "{elsewhere}");
        }
        // Italy's area codes keep their zero, so a parenthesis is more common there.
        let list = ranked(&number(39, "", "02 1234 5678"));
        assert!(place(&list, "+39 (02) 1234 5678") < place(&list, "+3902-1234-5678"));
        let list = ranked(&number(61, "", "02 1234 5678"));
        assert!(place(&list, "+6102 1234 5678") < place(&list, "+61 (02) 1234 5678"));
        // No prefix, no parenthesis for it.
        assert!(!list.iter().any(|text| text.contains("()")), "{list:?}");
    }

    #[test]
    fn what_people_take_for_the_area_code_differs_by_country() {
        for (code, groups, lengths) in [
            // A German mobile number is cut behind three digits, whatever block it is in.
            (49, "1512 3456789", vec![(0, 3), (0, 4)]),
            (49, "89 123456", vec![(0, 2), (3, 2), (3, 3), (3, 4)]),
            (43, "1 5123404", vec![(0, 1), (3, 2), (3, 3), (3, 4)]),
            // Madrid and Barcelona are 91 and 93.
            (34, "912 34 56 78", vec![(0, 2), (0, 3)]),
            (55, "11 98765 4321", vec![(0, 2), (0, 2)]),
            // Without the ninth digit the metadata has no groups.
            (55, "1187654321", vec![(0, 2)]),
            (45, "32123456", vec![(1, 2), (1, 3)]),
            (7, "301 123 45 67", vec![(0, 3)]),
            (44, "20 7946 0958", vec![(0, 2)]),
        ] {
            assert_eq!(
                areas(&number(code, "", groups)),
                lengths,
                "+{code} {groups}"
            );
        }
    }

    #[test]
    fn where_custom_fixes_the_groups_only_the_whole_is_another_way() {
        for (code, rest, fixed) in [
            (55, "87654321", "8765 4321"),
            (55, "987654321", "98765 4321"),
            (33, "45678901", "45 67 89 01"),
        ] {
            let expected = [(0, fixed.to_owned()), (2, rest.to_owned())];
            assert_eq!(joined(of_rest(code, rest)), expected, "+{code}");
        }
        for code in [1, 52, 54, 55, 81, 82] {
            for rest in ["123456", "1234567"] {
                let expected = [(2, rest.to_owned())];
                assert_eq!(joined(of_rest(code, rest)), expected, "+{code}");
            }
        }
        let chinese = joined(of_rest(86, "12345678"));
        assert_eq!(
            chinese[..2],
            [(0, "12345678".to_owned()), (1, "1234 5678".to_owned())]
        );
        assert!(!chinese.iter().any(|(_, groups)| groups == "12 34 56 78"));
    }

    #[test]
    fn elsewhere_the_rest_is_whole_or_in_groups_of_two_three_and_four() {
        for (rest, common) in [
            ("123", &[][..]),
            ("1234", &["12 34"]),
            ("12345", &["123 45", "12 345"]),
            ("123456", &["12 34 56", "123 456"]),
            ("1234567", &["123 45 67", "123 4567"]),
            ("12345678", &["1234 5678", "12 34 56 78", "123 456 78"]),
            ("123456789", &["123 456 789", "12345 6789"]),
        ] {
            let groupings = joined(of_rest(44, rest));
            assert_eq!(groupings[0], (0, rest.to_owned()));
            let cheap: Vec<&str> = groupings[1..]
                .iter()
                .filter(|(cost, _)| *cost == 1)
                .map(|(_, groups)| groups.as_str())
                .collect();
            assert_eq!(cheap, common, "{rest}");
            assert!(groupings[1..].iter().all(|(cost, _)| *cost > 0), "{rest}");
        }
        let ten = joined(of_rest(44, "1234567890"));
        assert!(ten.contains(&(2, "123 456 7890".to_owned())), "{ten:?}");
        let eleven = joined(of_rest(44, "12345678901"));
        assert_eq!(eleven, [(0, "12345678901".to_owned())]);
    }

    #[test]
    fn other_groupings_of_all_digits_belong_to_a_country_and_a_length() {
        for (code, groups, other) in [
            // Few people know the lengths of area codes in Japan.
            (81, "45 123 4567", "451 23 4567"),
            (81, "90 1234 5678", "901 234 5678"),
            // London as 0207, Cardiff as 02920.
            (44, "20 7946 0958", "207 946 0958"),
            (44, "29 2018 0123", "2920 180 123"),
            (34, "912345678", "912 345 678"),
            (33, "1 45 67 89 01", "1 4567 8901"),
            (33, "6 45 67 89 01", "645 678 901"),
            (52, "55 4123 0001", "554 123 0001"),
            (54, "11 2345 0001", "112 345 0001"),
            (54, "2966 45 0001", "29 6645 0001"),
            (86, "138 0013 8000", "1380 0138 000"),
            (61, "2 9374 4000", "293 744 000"),
            (61, "412 345 678", "4 1234 5678"),
            (31, "20 123 4567", "2 01 23 45 67"),
            (32, "470 12 34 56", "4 70 12 34 56"),
            (39, "06 1234 5678", "061 234 5678"),
            (41, "44 668 18 00", "446 68 18 00"),
        ] {
            let own = joined(groupings(&number(code, "", groups)));
            assert_eq!(own[0], (0, groups.to_owned()));
            let found: Vec<_> = own.iter().filter(|(_, groups)| groups == other).collect();
            assert!(matches!(found[..], [(1.., _)]), "+{code} {other}: {own:?}");
        }
    }

    #[test]
    fn each_grouping_is_there_once_and_has_no_empty_group() {
        let ungrouped = Parts {
            groups: Vec::new(),
            ..number(45, "", "123")
        };
        let expected = [(1, "12 3".to_owned()), (1, "123".to_owned())];
        assert_eq!(joined(groupings(&ungrouped)), expected);
        for (code, groups) in [(45, "32123456"), (44, "20 7946 0958"), (81, "3 1234 5678")] {
            let found = joined(groupings(&number(code, "", groups)));
            let seen: HashSet<&String> = found.iter().map(|(_, groups)| groups).collect();
            assert_eq!(seen.len(), found.len(), "{found:?}");
        }
    }

    #[test]
    fn the_ninth_digit_of_brazil_stands_apart_and_no_other_does() {
        let apart = |code, groups: &str| -> Vec<Vec<String>> {
            let found = groupings(&number(code, "", groups)).into_iter();
            found
                .map(|(_, groups)| groups)
                .filter(|groups| groups.iter().any(|group| group.contains(' ')))
                .collect()
        };
        assert_eq!(apart(55, "11 98765 4321"), [["11", "9 8765", "4321"]]);
        assert!(apart(55, "11 3333 4444").is_empty());
        assert!(apart(49, "30 123456789").is_empty());
    }

    #[test]
    fn an_index_is_asked_for_the_metadatas_groups_and_a_few_others() {
        let local = |code, groups: &str| -> Vec<String> {
            let found = local_groups(&number(code, "0", groups)).into_iter();
            found.map(|groups| groups.join(" ")).collect()
        };
        // The two last are of who writes London as 0207, and Cardiff as 02920.
        let london = [
            "7946 0958",
            "79460958",
            "79 46 09 58",
            "946 0958",
            "460 958",
        ];
        assert_eq!(local(44, "20 7946 0958"), london);
        assert_eq!(
            local(61, "2 9374 4000"),
            ["9374 4000", "93744000", "93 74 40 00"]
        );
        assert_eq!(local(81, "3 1234 5678"), ["1234 5678"]);
        assert_eq!(local(49, "89 123456"), ["123456", "12 34 56", "123 456"]);
        assert_eq!(local(45, "32123456"), ["123456", "23456"]);
        // What is among the first already is not asked for twice.
        assert_eq!(
            local(44, "1632 960 958"),
            ["960 958", "960958", "96 09 58", "296 0958"]
        );
    }
}
