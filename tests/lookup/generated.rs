//! Generates an org from a seed, with the correct owner of each number.
//!
//! The rules for spellings here are separate from the product's rules, so that spellings that the
//! product misses are found.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use salesforce_simulator::{Org, Record};

/// An org, and numbers with their correct owners.
pub(crate) struct Generated {
    pub org: Org,
    pub asked: Vec<Asked>,
}

/// A number as in a call, and its owner.
pub(crate) struct Asked {
    pub dialled: String,
    /// Object, company, person; `None` for a number without an owner.
    pub truth: Option<(&'static str, Option<String>, Option<String>)>,
}

/// The parts of a Japanese number: area or mobile prefix, exchange, line.
type Parts = [String; 3];

/// Generates an org of `records` records. Some of them have the `count` numbers that are looked up.
pub(crate) fn generate(seed: u64, records: usize, count: usize, org: Org) -> Generated {
    let mut maker = Maker {
        random: StdRng::seed_from_u64(seed),
        taken: HashSet::new(),
        made: [Vec::new(), Vec::new(), Vec::new()],
    };
    let asked = (0..count).map(|at| maker.asked(at)).collect();
    let mut filler = 0;
    while maker.made.iter().map(Vec::len).sum::<usize>() < records {
        maker.filler(filler);
        filler += 1;
    }
    let [contacts, accounts, leads] = maker.made;
    Generated {
        org: org
            .with(|org| org.person_accounts = true)
            .records("Account", accounts)
            .records("Contact", contacts)
            .records("Lead", leads),
        asked,
    }
}

struct Maker {
    random: StdRng,
    taken: HashSet<Parts>,
    made: [Vec<Record>; 3],
}

const CONTACT: usize = 0;
const ACCOUNT: usize = 1;
const LEAD: usize = 2;

impl Maker {
    /// An unused number whose neighbours are also unused.
    fn number(&mut self) -> Parts {
        loop {
            let random = &mut self.random;
            let line = |random: &mut StdRng| format!("{:04}", random.random_range(0..10_000));
            let parts = match random.random_range(0..10) {
                0..=3 => {
                    let area = ["090", "080", "070"][random.random_range(0..3)];
                    [
                        area.into(),
                        format!("{}", random.random_range(1_000..10_000)),
                        line(random),
                    ]
                }
                4..=6 => [
                    "03".into(),
                    format!("{}", random.random_range(3_000..7_000)),
                    line(random),
                ],
                7 => [
                    "06".into(),
                    format!("{}", random.random_range(6_000..7_000)),
                    line(random),
                ],
                8 => [
                    "045".into(),
                    format!("{}", random.random_range(200..999)),
                    line(random),
                ],
                _ => [
                    "052".into(),
                    format!("{}", random.random_range(200..999)),
                    line(random),
                ],
            };
            if !self.taken.contains(&near(&parts)) && self.taken.insert(parts.clone()) {
                self.taken.insert(near(&parts));
                return parts;
            }
        }
    }

    /// The number in a spelling that somebody may type into Salesforce.
    fn spelled(&mut self, parts: &Parts) -> String {
        let [a, b, c] = parts;
        let bare = a.trim_start_matches('0');
        match self.random.random_range(0..1_000) {
            0..300 => format!("{a}-{b}-{c}"),
            300..470 => format!("{a}{b}{c}"),
            470..580 => format!("+81{bare}{b}{c}"),
            580..640 => format!("+81-{bare}-{b}-{c}"),
            640..700 => format!("+81 {bare}-{b}-{c}"),
            700..750 => format!("+81 {bare} {b} {c}"),
            750..800 => format!("({a}) {b}-{c}"),
            800..850 => format!("({a}){b}-{c}"),
            850..890 => format!("{a} {b} {c}"),
            890..920 => format!("{a}.{b}.{c}"),
            920..945 => format!("81{bare}{b}{c}"),
            945..965 => format!("+81 (0){bare}-{b}-{c}"),
            965..980 => format!("+81 {bare}{b}{c}"),
            980..998 if a.len() == 2 => format!("{a}({b}){c}"),
            980..998 if a.starts_with("04") || a.starts_with("05") => {
                format!("{a}{}-{}-{c}", &b[..1], &b[1..])
            }
            980..998 => format!("{a}-{b}-{c}"),
            // Full-width text, which no query by spelling finds.
            _ => format!("{a}-{b}-{c}")
                .chars()
                .map(|c| match c {
                    '-' => '－',
                    digit => char::from_u32(u32::from(digit) + 0xFEE0).unwrap(),
                })
                .collect(),
        }
    }

    /// The number in a form that the phone platform sends.
    fn dialled(&mut self, parts: &Parts) -> String {
        let [a, b, c] = parts;
        match self.random.random_range(0..3) {
            0 => format!("+81{}{b}{c}", a.trim_start_matches('0')),
            1 => format!("{a}-{b}-{c}"),
            _ => format!("{a}{b}{c}"),
        }
    }

    fn day(&mut self) -> String {
        let random = &mut self.random;
        let (month, day) = (random.random_range(1..10), random.random_range(1..29));
        format!("2026-0{month}-{day:02}T03:00:00Z")
    }

    /// A contact or lead with the number on one of its two fields.
    fn person(&mut self, name: &str, parts: &Parts) -> Record {
        let spelled = self.spelled(parts);
        let record = Record::person(name);
        if self.random.random_bool(0.5) {
            record.phone(&spelled)
        } else {
            record.mobile(&spelled)
        }
    }

    fn contact(&mut self, name: &str, parts: &Parts, modified: &str) {
        let company = format!("Company of {name}");
        self.made[ACCOUNT].push(Record::account(&company));
        let record = self
            .person(name, parts)
            .of_account(&company)
            .modified(modified);
        self.made[CONTACT].push(record);
    }

    fn account(&mut self, name: &str, parts: &Parts) {
        let record = Record::account(name).phone(&self.spelled(parts));
        let day = self.day();
        self.made[ACCOUNT].push(record.modified(&day));
    }

    fn lead(&mut self, name: &str, parts: &Parts, converted: bool) {
        let day = self.day();
        let record = self
            .person(name, parts)
            .set("Company", format!("Company of {name}"))
            .set("IsConverted", converted)
            .modified(&day);
        self.made[LEAD].push(record);
    }

    fn asked(&mut self, at: usize) -> Asked {
        let parts = self.number();
        let name = format!("Number {at}");
        let company = Some(format!("Company of {name}"));
        let truth = match self.random.random_range(0..100) {
            0..30 => {
                let day = self.day();
                self.contact(&name, &parts, &day);
                Some(("Contact", company, Some(name)))
            }
            // Duplicates: the newest one is correct.
            30..42 => {
                self.contact(&format!("Old {at}"), &parts, "2020-01-01T00:00:00Z");
                self.contact(&name, &parts, "2026-10-01T00:00:00Z");
                self.contact(&format!("Older {at}"), &parts, "2019-01-01T00:00:00Z");
                Some(("Contact", company, Some(name)))
            }
            // On all three objects: the contact is correct, independent of its age.
            42..50 => {
                self.lead(&format!("Lead {at}"), &parts, false);
                self.account(&format!("Account {at}"), &parts);
                self.contact(&name, &parts, "2018-01-01T00:00:00Z");
                Some(("Contact", company, Some(name)))
            }
            50..60 => {
                self.account(&name, &parts);
                self.lead(&format!("Lead {at}"), &parts, false);
                Some(("Account", Some(name), None))
            }
            60..68 => {
                let spelled = self.spelled(&parts);
                let record = Record::person_account("Person", &name);
                let record = if self.random.random_bool(0.5) {
                    record.phone(&spelled)
                } else {
                    record.set("PersonMobilePhone", spelled)
                };
                self.made[ACCOUNT].push(record);
                Some(("Account", None, Some(format!("Person {name}"))))
            }
            68..78 => {
                self.lead(&name, &parts, false);
                self.lead(&format!("Converted {at}"), &parts, true);
                Some(("Lead", company, Some(name)))
            }
            78..84 => {
                self.lead(&name, &parts, true);
                None
            }
            // Decoys in other fields, and near misses.
            84..90 => {
                let spelled = self.spelled(&parts);
                let record = Record::person(&name).set("Fax", spelled.clone());
                self.made[CONTACT].push(record.set("HomePhone", spelled));
                None
            }
            90..94 => {
                let day = self.day();
                self.contact(&name, &near(&parts), &day);
                None
            }
            _ => None,
        };
        Asked {
            dialled: self.dialled(&parts),
            truth,
        }
    }

    fn filler(&mut self, at: usize) {
        let parts = self.number();
        let name = format!("Filler {at}");
        match at % 4 {
            0 => self.account(&name, &parts),
            1 => self.lead(&name, &parts, false),
            _ => {
                let record = self.person(&name, &parts);
                self.made[CONTACT].push(record);
            }
        }
    }
}

/// A neighbouring number, with the last part one higher.
fn near([a, b, c]: &Parts) -> Parts {
    let next = (c.parse::<u32>().unwrap_or_default() + 1) % 10_000;
    [a.clone(), b.clone(), format!("{next:04}")]
}
