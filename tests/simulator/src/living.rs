//! An org in which people work: a seeded generator of edits of every kind, which knows who is
//! behind each number.
//!
//! What it knows does not come from the product: its numbers are Japanese ones of a pool, written
//! in a few usual spellings, so that the digits of a field tell the number.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use crate::org::{Org, Record};

/// A generator of edits.
#[derive(Clone, Debug)]
pub struct Living {
    state: u64,
    numbers: usize,
    named: u64,
    /// User names of those who own records.
    owners: Vec<String>,
    /// The share of edits in transactions that last, in per cent.
    pub late_percent: u64,
    /// Whether contacts of a merged account get a stamp, and whether a conversion moves
    /// `LastModifiedDate` (U).
    pub stamps: bool,
}

/// Who is behind a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The object of the record.
    pub object: &'static str,
    /// The Id of the record.
    pub id: String,
    /// The name of the person.
    pub person: Option<String>,
    /// The name of the company.
    pub company: Option<String>,
    /// The person's title.
    pub title: Option<String>,
    /// The Id of the owner.
    pub owner: Option<String>,
}

impl Living {
    /// A generator that uses this many numbers. The same seed makes the same edits.
    pub fn new(seed: u64, numbers: usize) -> Self {
        Self {
            state: seed,
            numbers: numbers.max(1),
            named: 0,
            owners: Vec::new(),
            late_percent: 10,
            stamps: false,
        }
    }

    /// Sets the users who own records.
    #[must_use]
    pub fn owners(self, owners: &[&str]) -> Self {
        Self {
            owners: owners.iter().map(|owner| (*owner).to_owned()).collect(),
            ..self
        }
    }

    /// The number at a position of the pool, in E.164 form.
    pub fn number(at: usize) -> String {
        format!("+8132{:07}", 1_000_000 + (at * 7_919) % 8_999_999)
    }

    /// An org with so many records, written at this time.
    #[must_use]
    pub fn populate(&mut self, mut org: Org, records: usize, at: Timestamp) -> Org {
        let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        for account in 0..records.div_ceil(5) {
            let record = Record::account(&format!("Company {account}")).modified(&at);
            org = org.account(record);
        }
        for _ in 0..records * 3 / 5 {
            let account = format!("Company {}", self.below(records.div_ceil(5)));
            let person = self.person().of_account(&account).modified(&at);
            org = org.contact(person);
        }
        for _ in 0..records / 5 {
            let lead = self.person().set("Company", "Prospect KK").modified(&at);
            org = org.lead(lead);
        }
        org
    }

    /// Makes one edit at this time. Returns what was done.
    pub fn edit(&mut self, org: &mut Org, now: Timestamp) -> &'static str {
        let commits_at = (self.below(100) < self.late_percent as usize).then(|| {
            let seconds = 1 + self.below(600) as i64;
            now + SignedDuration::from_secs(seconds)
        });
        for _ in 0..20 {
            if let Some(done) = self.try_edit(org, now, commits_at) {
                return done;
            }
        }
        "nothing"
    }

    fn try_edit(
        &mut self,
        org: &mut Org,
        now: Timestamp,
        commits_at: Option<Timestamp>,
    ) -> Option<&'static str> {
        let kind = self.below(100);
        let objects = ["Contact", "Contact", "Contact", "Account", "Lead"];
        let object = objects[self.below(objects.len())];
        // Rows that a running transaction has locked are left alone, as the database does.
        let locked = org.locked_ids();
        let phone = self.spelled();
        let field = ["Phone", "MobilePhone"][usize::from(object != "Account") * self.below(2)];
        let record = self.live(org, object, &locked);
        let other = self.live(org, object, &locked);
        let deleted = match kind {
            60..66 => self.deleted(org, object, &locked),
            _ => None,
        };
        let lead = self.live(org, "Lead", &locked);
        let person = self.person();
        let name = self.name();
        let owner = match self.owners.len() {
            0 => None,
            owners => {
                let at = self.below(owners);
                self.owners.get(at).cloned()
            }
        };
        let stamps = self.stamps;
        let mut edit = org.at(now);
        if let Some(at) = commits_at {
            edit = edit.commits_at(at);
        }
        let done = |is_done: bool, what| is_done.then_some(what);
        match kind {
            0..25 => {
                let field = if object == "Account" {
                    "Name"
                } else {
                    "LastName"
                };
                done(
                    edit.update(&record?, Record::new().set(field, name))
                        .is_ok(),
                    "rename",
                )
            }
            25..35 => {
                let moved = Record::new().set(field, phone);
                done(edit.update(&record?, moved).is_ok(), "phone")
            }
            35..40 => {
                let without = Record::new().set(field, Json::Null);
                done(edit.update(&record?, without).is_ok(), "no phone")
            }
            40..50 => match object {
                "Account" => {
                    let account = Record::account(&name).phone(&phone);
                    done(edit.insert("Account", account).is_ok(), "new")
                }
                "Lead" => {
                    let lead = person.set("Company", "Prospect KK");
                    done(edit.insert("Lead", lead).is_ok(), "new")
                }
                _ => done(edit.insert("Contact", person).is_ok(), "new"),
            },
            50..60 => done(edit.delete(&record?), "delete"),
            60..66 => done(edit.undelete(&deleted?), "undelete"),
            66..76 => done(edit.merge(&record?, &other?, stamps), "merge"),
            76..82 => done(edit.convert(&lead?, stamps).is_some(), "convert"),
            82..88 => {
                let owned = Record::new().set("Owner", owner?);
                done(edit.update(&record?, owned).is_ok(), "owner")
            }
            88..94 => {
                let titled = Record::new().set("Title", name);
                done(edit.update(&record?, titled).is_ok(), "title")
            }
            _ => done(edit.touch(&record?), "touch"),
        }
    }

    /// The Id of any live record of an object. A few tries find one, because most are live: large
    /// orgs have no list of them.
    fn live(&mut self, org: &Org, object: &str, locked: &[String]) -> Option<String> {
        let rows = org.table(object)?.rows();
        (0..64).find_map(|_| {
            let row = rows.get(self.below(rows.len()))?;
            let is_free = !row.deleted && !locked.iter().any(|id| id == row.id());
            is_free.then(|| row.id().to_owned())
        })
    }

    /// The Id of any record of an object in the recycle bin. A merge that is undone by an undelete
    /// within one window leaves no trace on the contacts that it moved (facts: Salesforce changes
    /// B2), so nobody could tell them apart: merged ones stay.
    fn deleted(&mut self, org: &Org, object: &str, locked: &[String]) -> Option<String> {
        let mut ids = org.ids(object, true);
        ids.retain(|id| !locked.contains(id));
        let at = self.below(ids.len());
        ids.get(at).filter(|id| !org.is_merged(id)).cloned()
    }

    fn person(&mut self) -> Record {
        let name = self.name();
        let mut person = Record::person(&name);
        if self.below(10) < 7 {
            person = person.phone(&self.spelled());
        }
        if self.below(10) < 3 {
            person = person.mobile(&self.spelled());
        }
        person
    }

    fn name(&mut self) -> String {
        self.named += 1;
        format!("Name {}", self.named)
    }

    /// A number of the pool in one of its usual spellings.
    fn spelled(&mut self) -> String {
        let at = self.below(self.numbers);
        let number = Self::number(at);
        let national = &number["+81".len()..];
        let (area, rest) = national.split_at(1);
        let (exchange, line) = rest.split_at(4);
        match self.below(4) {
            0 => format!("0{national}"),
            1 => format!("0{area}-{exchange}-{line}"),
            2 => format!("+81 {area}-{exchange}-{line}"),
            _ => number,
        }
    }

    /// SplitMix64.
    fn below(&mut self, most: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z % most.max(1) as u64) as usize
    }
}

/// Who is behind each number of an org, by what is visible in it: a contact before an account
/// before a lead that was not converted; then the one changed last, then the lowest Id.
pub fn truth(org: &Org) -> BTreeMap<String, Named> {
    let text = |row: &Json, field: &str| row[field].as_str().map(str::to_owned);
    let accounts: BTreeMap<String, Option<String>> = org
        .all("Account")
        .iter()
        .filter_map(|row| Some((text(row, "Id")?, text(row, "Name"))))
        .collect();
    type Rank = (usize, Reverse<String>, String);
    let mut best: BTreeMap<String, (Rank, Named)> = BTreeMap::new();
    for (rank, object) in ["Contact", "Account", "Lead"].into_iter().enumerate() {
        for row in org.all(object) {
            if row["IsConverted"] == true {
                continue;
            }
            let id = text(&row, "Id").unwrap_or_default();
            let changed = text(&row, "LastModifiedDate").unwrap_or_default();
            let company = match object {
                "Contact" => {
                    let account = text(&row, "AccountId");
                    account.and_then(|id| accounts.get(&id).cloned().flatten())
                }
                "Account" => text(&row, "Name"),
                _ => text(&row, "Company"),
            };
            let named = Named {
                object,
                id: id.clone(),
                person: text(&row, "Name").filter(|_| object != "Account"),
                company,
                title: text(&row, "Title"),
                owner: text(&row, "OwnerId"),
            };
            let rank = (rank, Reverse(changed), id);
            for phone in ["Phone", "MobilePhone"] {
                let Some(number) = text(&row, phone).and_then(|text| e164(&text)) else {
                    continue;
                };
                let is_better = best.get(&number).is_none_or(|(other, _)| rank < *other);
                if is_better {
                    best.insert(number, (rank.clone(), named.clone()));
                }
            }
        }
    }
    best.into_iter()
        .map(|(number, (_, named))| (number, named))
        .collect()
}

/// The number of a spelling of this generator.
fn e164(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    match digits.strip_prefix("81") {
        Some(_) if text.starts_with('+') => Some(format!("+{digits}")),
        _ => digits.strip_prefix('0').map(|rest| format!("+81{rest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::org::World;

    /// The number of live contacts whose account is deleted.
    fn without_their_account(org: &Org) -> usize {
        let live: Vec<Json> = org
            .all("Account")
            .iter()
            .map(|row| row["Id"].clone())
            .collect();
        let contacts = org.all("Contact");
        let accounts = contacts.iter().map(|row| &row["AccountId"]);
        accounts
            .filter(|id| !id.is_null() && !live.contains(id))
            .count()
    }

    #[test]
    fn an_edit_of_each_kind_happens_and_the_same_seed_makes_the_same_org() {
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let play = || {
            let mut living = Living::new(7, 50);
            let org = living.populate(Org::enterprise("acme"), 100, start);
            let mut world = World::new().org(org);
            world.prepare(start).unwrap();
            let org = world.org_mut("acme").unwrap();
            let mut kinds = BTreeMap::new();
            for minute in 0..600 {
                let now = start + SignedDuration::from_mins(minute);
                *kinds.entry(living.edit(org, now)).or_insert(0) += 1;
            }
            (kinds, truth(org))
        };
        let (kinds, named) = play();
        let all = [
            "convert", "delete", "merge", "new", "no phone", "phone", "rename", "title", "touch",
            "undelete",
        ];
        for kind in all {
            assert!(kinds.contains_key(kind), "{kind}: {kinds:?}");
        }
        assert!(named.len() > 20, "{}", named.len());
        assert_eq!(play(), (kinds, named));
    }

    #[test]
    fn what_a_transaction_has_locked_goes_with_its_account_or_stays_with_it() {
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        for seed in 0..20 {
            let mut living = Living::new(seed, 50);
            living.late_percent = 30;
            let org = living.populate(Org::enterprise("acme"), 100, start);
            let mut world = World::new().org(org);
            world.prepare(start).unwrap();
            let org = world.org_mut("acme").unwrap();
            for minute in 0..300 {
                living.edit(org, start + SignedDuration::from_mins(minute) / 2);
            }
            let _ended = org.at(start + SignedDuration::from_hours(24));
            assert_eq!(without_their_account(org), 0, "seed {seed}");
        }
    }
}
