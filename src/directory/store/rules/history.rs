//! Which calls a page of the history asks for, and the statements that find them. Pure: values in,
//! SQL and its parameters out. The SQL consists of literals only; every value is a parameter.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::company_id::CompanyId;
use crate::directory::model::Direction;
use crate::directory::store::database::rows::{direction_text, micros};
use crate::directory::store::database::{Arg, args};
use crate::phone::E164;

/// Selects the calls of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CallFilter {
    /// Only calls with this number.
    pub(crate) number: Option<NumberFilter>,
    /// Only calls that started at or after this time.
    pub(crate) from: Option<Timestamp>,
    /// Only calls that started before this time.
    pub(crate) to: Option<Timestamp>,
    /// Only calls with a contact (`true`) or without one (`false`).
    pub(crate) matched: Option<bool>,
    /// Only calls of this direction.
    pub(crate) direction: Option<Direction>,
    /// Only calls whose contact has this, folded, in the name of its company or person.
    pub(crate) name: Option<String>,
    /// Only calls older than this position, where the previous page ended.
    pub(crate) after: Option<Position>,
    /// Only calls at this position or newer.
    pub(crate) down_to: Option<Position>,
    /// The most calls in the page.
    pub(crate) limit: u32,
}

/// A number to filter by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NumberFilter {
    /// A phone number in any spelling.
    E164(E164),
    /// A text that is not a phone number, as the platform spelled it.
    Spelled(String),
}

/// The position of a call in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// Start of the call.
    pub(crate) started_at: Timestamp,
    /// ID of the call, which orders calls that start in the same microsecond.
    pub(crate) id: String,
}

/// The start of every page statement. It contains the condition on the company.
macro_rules! named {
    () => {
        "SELECT c.id, c.call_id, c.call_type, c.direction, c.started_at, c.answered_at, c.ended_at, \
     c.number, c.e164, c.not_looked_up, c.lookup_key, c.circuit_number, c.circuit_name, c.lookup, \
     p.number AS contact_number, p.company_name, p.person_name, p.object, p.record_id, p.link, p.title, p.owner_name, \
     p.alternatives, p.source, p.updated_at, q.asked_at, q.misses, q.settings, q.was_company, q.was_person, q.gone_at \
         FROM calls c LEFT JOIN contacts p ON p.company = c.company AND p.number = c.e164 \
         LEFT JOIN questions q ON q.company = c.company AND q.number = c.e164 WHERE c.company = $1"
    };
}

/// Whether the names in a row of a table contain a text. A name that an earlier version wrote has
/// no folded form.
macro_rules! is_named {
    ($table:literal, $pattern:literal) => {
        concat!(
            "(COALESCE(",
            $table,
            ".company_folded, lower(",
            $table,
            ".company_name)) LIKE ",
            $pattern,
            " ESCAPE '!' \
             OR COALESCE(",
            $table,
            ".person_folded, lower(",
            $table,
            ".person_name)) LIKE ",
            $pattern,
            " ESCAPE '!')"
        )
    };
}

/// The end of a subquery that is asked for each call. Without it PostgreSQL, which expects more
/// calls than there are between two positions, would read all contacts first (100,000: 200 ms).
macro_rules! one_by_one {
    () => {
        " LIMIT 1 OFFSET 0"
    };
}

const PAGE: &str = named!();

const WALK: &str = "SELECT c.started_at, c.id FROM calls c WHERE c.company = $1";

/// Parameters: $1 company, $2 the call's ID.
pub(crate) const ONE: &str = concat!(named!(), " AND c.id = $2");

/// Parameters: $1 company, $2 so many contacts. Whether there are more.
pub(crate) const BEYOND: &str =
    "SELECT number AS key FROM contacts WHERE company = $1 ORDER BY number LIMIT 1 OFFSET $2";

/// Parameters: $1 company, $2 pattern, $3 the most contacts that are looked through, $4 the most
/// that are found.
pub(crate) const CONTACTS_NAMED: &str = concat!(
    "SELECT k.number AS key FROM (SELECT number, company_name, person_name, company_folded, person_folded \
     FROM contacts WHERE company = $1 LIMIT $3) AS k WHERE ",
    is_named!("k", "$2"),
    " LIMIT $4"
);

/// Parameters: those of [`CONTACTS_NAMED`], for records of the address book, which tell all of
/// their numbers.
pub(crate) const RECORDS_NAMED: &str = concat!(
    "SELECT r.numbers AS key FROM (SELECT object, numbers, company_name, person_name, company_folded, person_folded \
     FROM records WHERE company = $1 LIMIT $3) AS r WHERE r.object IS NOT NULL AND ",
    is_named!("r", "$2"),
    " LIMIT $4"
);

/// A name that is searched for, $0. One of the address book counts where the number has no contact,
/// as it is shown.
const NAMED: &str = concat!(
    " AND (EXISTS (SELECT 1 FROM contacts k WHERE k.company = c.company AND k.number = c.e164 AND ",
    is_named!("k", "$0"),
    one_by_one!(),
    ") OR EXISTS (SELECT 1 FROM record_numbers m JOIN records r ON r.company = m.company AND r.record_id = m.record_id \
     WHERE m.company = c.company AND m.number = c.e164 AND ",
    is_named!("r", "$0"),
    " AND NOT EXISTS (SELECT 1 FROM contacts k WHERE k.company = c.company AND k.number = c.e164",
    one_by_one!(),
    ")",
    one_by_one!(),
    "))"
);

/// How many numbers a statement over some is made for: one of each is kept ready by the database.
const SIZES: [usize; 3] = [1, 10, 100];

// === impl CallFilter ===

impl CallFilter {
    /// Whether the filter asks for something that no index of calls answers.
    pub(crate) fn asks_beyond_an_index(&self) -> bool {
        self.name.is_some() || self.matched.is_some() || self.direction.is_some()
    }
}

/// Builds the statement that finds the last call of a walk: as many calls on as `walk`, among
/// those that the indices find.
pub(crate) fn end_of_walk(
    company: &CompanyId,
    filter: &CallFilter,
    walk: u32,
) -> (String, Vec<Arg>) {
    let mut sql = WALK.to_owned();
    let mut args = args![company.as_str()];
    narrow(&mut sql, &mut args, filter);
    args.push(i64::from(walk).saturating_sub(1).max(0).into());
    sql.push_str(&format!(
        " ORDER BY c.started_at DESC, c.id DESC LIMIT 1 OFFSET ${}",
        args.len()
    ));
    (sql, args)
}

/// Builds the statement of a page.
pub(crate) fn page(company: &CompanyId, filter: &CallFilter) -> (String, Vec<Arg>) {
    let mut sql = PAGE.to_owned();
    let mut args = args![company.as_str()];
    narrow(&mut sql, &mut args, filter);
    if let Some(direction) = filter.direction {
        args.push(direction_text(direction).into());
        sql.push_str(&format!(" AND c.direction = ${}", args.len()));
    }
    if let Some(matched) = filter.matched {
        // A subquery, because a condition on the join would let the planner begin with the
        // contacts, and sort.
        sql.push_str(if matched { " AND (" } else { " AND NOT (" });
        sql.push_str(
            concat!(
                "EXISTS (SELECT 1 FROM contacts k WHERE k.company = c.company AND k.number = c.e164",
                one_by_one!(),
                ") OR EXISTS (SELECT 1 FROM record_numbers m WHERE m.company = c.company AND m.number = c.e164",
                one_by_one!(),
                "))"
            ),
        );
    }
    called(&mut sql, &mut args, filter);
    if let Some(down_to) = &filter.down_to {
        args.push(micros(down_to.started_at).into());
        args.push(down_to.id.as_str().into());
        sql.push_str(&format!(
            " AND (c.started_at, c.id) >= (${}, ${})",
            args.len() - 1,
            args.len()
        ));
    }
    // One call more than requested shows whether there is a next page.
    args.push((i64::from(filter.limit) + 1).into());
    sql.push_str(&format!(
        " ORDER BY c.started_at DESC, c.id DESC LIMIT ${}",
        args.len()
    ));
    (sql, args)
}

/// Builds the statement that finds the newest calls of some numbers: of each by its index, so that
/// it reads no more than a page of each.
pub(crate) fn of_numbers(
    company: &CompanyId,
    filter: &CallFilter,
    numbers: &BTreeSet<String>,
) -> (String, Vec<Arg>) {
    let mut within = String::new();
    let mut args = args![company.as_str(), i64::from(filter.limit) + 1];
    narrow(&mut within, &mut args, filter);
    let size = SIZES.into_iter().find(|size| *size >= numbers.len());
    let size = size.unwrap_or(numbers.len());
    let numbers = numbers.iter().map(String::as_str);
    // The empty text is the number of no call.
    let parts: Vec<String> = numbers
        .chain(std::iter::repeat(""))
        .take(size)
        .map(|number| {
            args.push(number.into());
            let place = args.len();
            format!(
                "SELECT * FROM (SELECT c.started_at, c.id FROM calls c WHERE c.company = $1 AND c.e164 = ${place}{within} \
                 ORDER BY c.started_at DESC, c.id DESC LIMIT $2) AS n{place}"
            )
        })
        .collect();
    let sql = format!(
        "SELECT started_at, id FROM ({}) AS found ORDER BY started_at DESC, id DESC LIMIT $2",
        parts.join(" UNION ALL ")
    );
    (sql, args)
}

/// Builds the statement that reads some calls of a page, with what the page asks for of their
/// names. It leaves their order open: SQLite would go through the whole history to keep one.
pub(crate) fn by_ids(company: &CompanyId, filter: &CallFilter, ids: &[&str]) -> (String, Vec<Arg>) {
    let mut sql = PAGE.to_owned();
    let mut args = args![company.as_str()];
    let size = ids.len().max(filter.limit as usize + 1);
    let last = ids.last().copied().unwrap_or_default();
    let places: Vec<String> = ids
        .iter()
        .copied()
        .chain(std::iter::repeat(last))
        .take(size)
        .map(|id| {
            args.push(id.into());
            format!("${}", args.len())
        })
        .collect();
    sql.push_str(&format!(" AND c.id IN ({})", places.join(", ")));
    called(&mut sql, &mut args, filter);
    (sql, args)
}

/// The pattern of LIKE for a text that contains this one.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Adds the condition on the name.
fn called(sql: &mut String, args: &mut Vec<Arg>, filter: &CallFilter) {
    if let Some(name) = &filter.name {
        args.push(containing(name).into());
        sql.push_str(&NAMED.replace("$0", &format!("${}", args.len())));
    }
}

/// Adds the conditions that an index of calls answers.
fn narrow(sql: &mut String, args: &mut Vec<Arg>, filter: &CallFilter) {
    let mut and = |condition: &str, arg: Arg| {
        args.push(arg);
        sql.push_str(&format!(" AND {condition} ${}", args.len()));
    };
    match &filter.number {
        Some(NumberFilter::E164(e164)) => and("c.e164 =", e164.as_str().into()),
        Some(NumberFilter::Spelled(text)) => {
            and("c.e164 IS NULL AND c.number =", text.as_str().into());
        }
        None => {}
    }
    if let Some(from) = filter.from {
        and("c.started_at >=", micros(from).into());
    }
    if let Some(to) = filter.to {
        and("c.started_at <", micros(to).into());
    }
    if let Some(after) = &filter.after {
        args.push(micros(after.started_at).into());
        args.push(after.id.as_str().into());
        sql.push_str(&format!(
            " AND (c.started_at, c.id) < (${}, ${})",
            args.len() - 1,
            args.len()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme() -> CompanyId {
        "acme".parse().unwrap()
    }

    fn limited(limit: u32) -> CallFilter {
        CallFilter {
            limit,
            ..CallFilter::default()
        }
    }

    #[test]
    fn one_statement_reads_any_calls_of_a_page_by_their_ids() {
        let ids = ["a", "b", "c", "d", "e"];
        let (most, args) = by_ids(&acme(), &limited(4), &ids);
        assert!(
            most.ends_with(" AND c.id IN ($2, $3, $4, $5, $6)"),
            "{most}"
        );
        let expected = r#"[Text(Some("acme")), Text(Some("a")), Text(Some("b")), Text(Some("c")), Text(Some("d")), Text(Some("e"))]"#;
        assert_eq!(format!("{args:?}"), expected);
        // The places that are left have the last Id once more: the statement stays the same.
        for count in 1..5 {
            let (sql, args) = by_ids(&acme(), &limited(4), &ids[..count]);
            assert_eq!(sql, most, "{count}");
            assert_eq!(args.len(), 6);
            let last = format!("{:?}", args.last().unwrap());
            assert_eq!(last, format!("Text(Some({:?}))", ids[count - 1]));
        }
        let (more, args) = by_ids(&acme(), &limited(1), &ids);
        assert_eq!((more, args.len()), (most, 6), "none is left out");
    }

    #[test]
    fn a_few_statements_find_the_calls_of_any_numbers() {
        let parts = |count: usize| {
            let numbers = (0..count).map(|n| format!("+8131234{n:04}")).collect();
            let (sql, args) = of_numbers(&acme(), &limited(4), &numbers);
            let parts = sql.matches("c.e164 = $").count();
            assert_eq!(args.len(), 2 + parts);
            assert_eq!(format!("{:?}", args[1]), "Number(Some(5))");
            parts
        };
        for (count, expected) in [(1, 1), (2, 10), (10, 10), (11, 100), (100, 100), (101, 101)] {
            assert_eq!(parts(count), expected, "{count}");
        }
    }

    #[test]
    fn a_walk_ends_at_its_last_call_and_has_one_at_least() {
        for (walk, behind) in [(0, 0), (1, 0), (2, 1), (5_000, 4_999)] {
            let (sql, args) = end_of_walk(&acme(), &limited(4), walk);
            assert!(sql.ends_with(" LIMIT 1 OFFSET $2"), "{sql}");
            assert_eq!(format!("{:?}", args[1]), format!("Number(Some({behind}))"));
        }
    }

    #[test]
    fn a_text_is_searched_for_as_it_is() {
        for (text, pattern) in [("sato", "%sato%"), ("", "%%"), ("50%_!", "%50!%!_!!%")] {
            assert_eq!(containing(text), pattern);
        }
    }

    #[test]
    fn an_index_answers_for_a_number_and_a_time_and_for_nothing_else() {
        let narrow = CallFilter {
            number: Some(NumberFilter::Spelled("x".to_owned())),
            from: Some(Timestamp::UNIX_EPOCH),
            to: Some(Timestamp::UNIX_EPOCH),
            ..limited(4)
        };
        assert!(!narrow.asks_beyond_an_index());
        let beyond: [&dyn Fn(&mut CallFilter); 3] = [
            &|filter| filter.name = Some("sato".to_owned()),
            &|filter| filter.matched = Some(false),
            &|filter| filter.direction = Some(Direction::Incoming),
        ];
        for change in beyond {
            let mut filter = narrow.clone();
            change(&mut filter);
            assert!(filter.asks_beyond_an_index(), "{filter:?}");
        }
    }
}
