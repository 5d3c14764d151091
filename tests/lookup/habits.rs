//! Numbers as people write them, by country: each must be found by the first or the second
//! question. `benches/lookup.rs` prints the same table.

use std::collections::{BTreeMap, HashMap};

use salesforce_simulator::{Org, Record, Simulator, World};
use switchboard::phone::{E164, Region, parse};
use switchboard::resolve::{Match, Resolver};

/// A number, and the field that holds it.
pub(crate) struct Habit {
    pub caller: String,
    pub text: String,
}

/// What was found in a country.
#[derive(Default)]
pub(crate) struct Recall {
    pub numbers: usize,
    pub by_first: usize,
    pub by_second: usize,
    /// Texts of which the number was not found, or another name was.
    pub lost: Vec<String>,
    pub first_calls: u64,
    pub second_calls: u64,
}

/// What one plain question found of these habits before the spellings followed them, and its API
/// calls: measured with the tree of commit 04919af (the one before c0e240d, "Spellings by habit")
/// on the same data and simulator. Asked one by one it found the same, at a call for each number.
const BEFORE: [(&str, usize, u64); 16] = [
    ("AR", 10, 1),
    ("AT", 12, 1),
    ("AU", 6, 1),
    ("BR", 9, 1),
    ("CH", 10, 1),
    ("CN", 12, 1),
    ("DE", 23, 2),
    ("ES", 4, 1),
    ("FR", 8, 1),
    ("GB", 14, 1),
    ("IT", 9, 1),
    ("JP", 26, 2),
    ("KR", 17, 1),
    ("MX", 7, 1),
    ("NL", 0, 1),
    ("US", 13, 1),
];

/// The habits of each region.
pub(crate) fn habits() -> BTreeMap<String, Vec<Habit>> {
    let mut found: BTreeMap<String, Vec<Habit>> = BTreeMap::new();
    let data = include_str!("data/habits.tsv");
    for row in data.lines().filter(|row| !row.starts_with('#')) {
        let cells: Vec<&str> = row.split('\t').collect();
        let [region, caller, text] = cells.as_slice() else {
            panic!("{row}");
        };
        let habits = found.entry((*region).to_owned()).or_default();
        // No two are neighbours.
        let digits = format!("{}", 2_345 + 61 * habits.len());
        habits.push(Habit {
            caller: filled(caller, &digits),
            text: filled(text, &digits),
        });
    }
    found
}

fn filled(text: &str, digits: &str) -> String {
    let (a, b) = digits.split_at(2);
    let (one, rest) = digits.split_at(1);
    let (pair, last) = rest.split_at(2);
    let wide = |c: char| char::from_u32(u32::from(c) + 0xFEE0).unwrap();
    text.replace("{}", digits)
        .replace("{w}", &digits.chars().map(wide).collect::<String>())
        .replace("{3}", rest)
        .replace("{2 2}", &format!("{a} {b}"))
        .replace("{2.2}", &format!("{a}.{b}"))
        .replace("{2-2}", &format!("{a}-{b}"))
        .replace("{p}", &format!("{one} {pair} {last}0"))
        .replace("{d}", &format!("{one}.{pair}.{last}0"))
        .replace("{h}", &format!("{one}-{pair}-{last}0"))
}

/// The org in which each text is the phone of a person of that name.
pub(crate) fn org(empty: Org, habits: &[Habit]) -> World {
    let record = |habit: &Habit| Record::person(&habit.text).phone(&habit.text);
    World::new().org(empty.records("Contact", habits.iter().map(record)))
}

/// Asks for all numbers of a region at once.
pub(crate) async fn recall(mut resolver: Resolver, home: Region, habits: &[Habit]) -> Recall {
    let read = |habit: &Habit| parse(&habit.caller, &home).unwrap();
    let numbers: Vec<E164> = habits.iter().map(read).collect();
    let first = first_question(&mut resolver, &numbers).await;
    let first_calls = resolver.connection().spent().calls;
    let unknown: Vec<E164> = numbers
        .iter()
        .filter(|n| !first.contains_key(n))
        .cloned()
        .collect();
    let second = resolver.resolve_again(&unknown).await.unwrap();
    let mut recall = Recall {
        numbers: numbers.len(),
        first_calls,
        second_calls: second.calls,
        ..Recall::default()
    };
    for (habit, number) in habits.iter().zip(&numbers) {
        let name =
            |found: &HashMap<E164, Match>| found.get(number).and_then(|found| found.person.clone());
        match (name(&first), name(&second.looked_up.found)) {
            (Some(name), _) if name == habit.text => recall.by_first += 1,
            (None, Some(name)) if name == habit.text => recall.by_second += 1,
            other => recall
                .lost
                .push(format!("{number} {:?}: {other:?}", habit.text)),
        }
    }
    recall
}

async fn first_question(resolver: &mut Resolver, numbers: &[E164]) -> HashMap<E164, Match> {
    let mut found = HashMap::new();
    let mut pending = numbers;
    while !pending.is_empty() {
        let batch = resolver.batch(pending);
        if let Some(brought) = resolver.resolve(&batch).await.unwrap() {
            found.extend(brought.found);
            pending = &pending[batch.numbers().len()..];
        }
    }
    found
}

/// The table of a run over all regions.
pub(crate) fn table(rows: &BTreeMap<String, Recall>) -> String {
    let mut text = String::from(
        "                 before              now\n\
         region  numbers  found  API calls  first question  second question  lost  API calls\n",
    );
    for (region, row) in rows {
        let before = BEFORE.iter().find(|(before, ..)| before == region);
        let (found, calls) = before.map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |(_, found, calls)| (found.to_string(), calls.to_string()),
        );
        text.push_str(&format!(
            "{region:<6}  {:>7}  {found:>5}  {calls:>9}  {:>14}  {:>15}  {:>4}  {:>4} + {}\n",
            row.numbers,
            row.by_first,
            row.by_second,
            row.lost.len(),
            row.first_calls,
            row.second_calls
        ));
    }
    text
}

/// Starts an org with the habits of a region.
pub(crate) async fn start(empty: Org, habits: &[Habit]) -> Simulator {
    Simulator::start(org(empty, habits)).await.unwrap()
}
