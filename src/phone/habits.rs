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
