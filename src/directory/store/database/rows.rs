//! The rows of the tables, and their conversion to the wire types. The same for every database.

use jiff::Timestamp;

use super::error::StoreError;
use crate::directory::model::misses::due_at;
use crate::directory::model::{
    Asked, Call, Contact, ContactSource, Direction, LookupState, RecordObject, Was,
};
use crate::phone::E164;

row! {
    /// A row of `calls`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct CallRow {
        pub(crate) id: String,
        pub(crate) call_id: Option<String>,
        pub(crate) call_type: String,
        pub(crate) direction: String,
        pub(crate) started_at: i64,
        pub(crate) answered_at: Option<i64>,
        pub(crate) ended_at: Option<i64>,
        pub(crate) number: Option<String>,
        pub(crate) e164: Option<String>,
        pub(crate) not_looked_up: Option<String>,
        pub(crate) lookup_key: Option<String>,
        pub(crate) circuit_number: Option<String>,
        pub(crate) circuit_name: Option<String>,
        pub(crate) lookup: String,
    }
}

row! {
    /// A row of `contacts`, joined or alone: every column may be null because of the join.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct ContactRow {
        pub(crate) contact_number: Option<String>,
        pub(crate) company_name: Option<String>,
        pub(crate) person_name: Option<String>,
        pub(crate) object: Option<String>,
        pub(crate) record_id: Option<String>,
        pub(crate) link: Option<String>,
        pub(crate) title: Option<String>,
        pub(crate) owner_name: Option<String>,
        pub(crate) alternatives: Option<String>,
        pub(crate) source: Option<String>,
        pub(crate) updated_at: Option<i64>,
    }
}

row! {
    /// A row of `questions`, joined or alone: every column may be null because of the join.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub(crate) struct QuestionRow {
        pub(crate) asked_at: Option<i64>,
        pub(crate) misses: Option<i64>,
        pub(crate) settings: Option<String>,
        pub(crate) was_company: Option<String>,
        pub(crate) was_person: Option<String>,
        pub(crate) gone_at: Option<i64>,
    }
}

row! {
    /// When the calls were handed out about whose number a run asked, in a row of `questions`.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub(crate) struct ClaimedAtRow {
        pub(crate) claimed_at: Option<i64>,
    }
}

row! {
    /// The records that hold a contact's number, in a row of `contacts`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct HeldRow {
        pub(crate) holders: Option<String>,
        pub(crate) all_holders: Option<i64>,
    }
}

row! {
    /// A number.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct NumberRow {
        pub(crate) number: String,
    }
}

row! {
    /// A row of `records`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct RecordRow {
        pub(crate) record_id: String,
        pub(crate) object: Option<String>,
        pub(crate) company_name: Option<String>,
        pub(crate) person_name: Option<String>,
        pub(crate) title: Option<String>,
        pub(crate) owner_name: Option<String>,
        pub(crate) account_id: Option<String>,
        pub(crate) modified_at: Option<i64>,
        pub(crate) numbers: String,
        pub(crate) generation: i64,
        pub(crate) changed_in: i64,
    }
}

/// A contact with the records that hold its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldContactRow {
    pub(crate) contact: ContactRow,
    pub(crate) held: HeldRow,
}

/// A number with what Salesforce was asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NumberQuestionRow {
    pub(crate) number: NumberRow,
    pub(crate) question: QuestionRow,
    pub(crate) claimed: ClaimedAtRow,
}

/// A call with the contact of its number, and what Salesforce was asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedCallRow {
    pub(crate) call: CallRow,
    pub(crate) contact: ContactRow,
    pub(crate) question: QuestionRow,
}

/// A contact with what Salesforce was asked about its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownRow {
    pub(crate) contact: ContactRow,
    pub(crate) question: QuestionRow,
}

/// Converts a time to a column value in microseconds.
pub(crate) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// Converts a column value in microseconds to a time.
pub(crate) fn time(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Corrupt("a time"))
}

/// Converts a column value to a number.
///
/// The number was read when it was written.
pub(crate) fn e164(text: &str) -> Option<E164> {
    E164::written(text).ok()
}

pub(crate) fn direction_text(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => "Incoming",
        Direction::Outgoing => "Outgoing",
        Direction::Internal => "Internal",
    }
}

pub(crate) fn object_text(object: RecordObject) -> &'static str {
    match object {
        RecordObject::Contact => "Contact",
        RecordObject::Account => "Account",
        RecordObject::Lead => "Lead",
    }
}

/// Converts a column value to a kind of record.
pub(crate) fn object(text: &str) -> Result<RecordObject, StoreError> {
    match text {
        "Contact" => Ok(RecordObject::Contact),
        "Account" => Ok(RecordObject::Account),
        "Lead" => Ok(RecordObject::Lead),
        _ => Err(StoreError::Corrupt("a contact's object")),
    }
}

pub(crate) fn source_text(source: ContactSource) -> &'static str {
    match source {
        ContactSource::Salesforce => "Salesforce",
        ContactSource::Manual => "Manual",
    }
}

// === impl NamedCallRow ===

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for NamedCallRow
where
    CallRow: sqlx::FromRow<'r, R>,
    ContactRow: sqlx::FromRow<'r, R>,
    QuestionRow: sqlx::FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            call: CallRow::from_row(row)?,
            contact: ContactRow::from_row(row)?,
            question: QuestionRow::from_row(row)?,
        })
    }
}

// === impl HeldContactRow ===

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for HeldContactRow
where
    ContactRow: sqlx::FromRow<'r, R>,
    HeldRow: sqlx::FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            contact: ContactRow::from_row(row)?,
            held: HeldRow::from_row(row)?,
        })
    }
}

// === impl NumberQuestionRow ===

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for NumberQuestionRow
where
    NumberRow: sqlx::FromRow<'r, R>,
    QuestionRow: sqlx::FromRow<'r, R>,
    ClaimedAtRow: sqlx::FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: NumberRow::from_row(row)?,
            question: QuestionRow::from_row(row)?,
            claimed: ClaimedAtRow::from_row(row)?,
        })
    }
}

// === impl KnownRow ===

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for KnownRow
where
    ContactRow: sqlx::FromRow<'r, R>,
    QuestionRow: sqlx::FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            contact: ContactRow::from_row(row)?,
            question: QuestionRow::from_row(row)?,
        })
    }
}

impl KnownRow {
    /// The contact, if there is one.
    pub(crate) fn into_contact(self) -> Result<Option<Contact>, StoreError> {
        let asked = self.question.into_asked()?;
        self.contact.into_contact(&asked)
    }
}

// === impl QuestionRow ===

impl QuestionRow {
    /// From when on a miss is asked again while the settings stay the same.
    pub(crate) fn ask_again_at(&self) -> Result<Option<Timestamp>, StoreError> {
        match (self.asked_at, self.misses) {
            (Some(asked_at), Some(misses)) if misses > 0 => {
                let misses = u32::try_from(misses).unwrap_or(u32::MAX);
                Ok(Some(due_at(time(asked_at)?, misses)))
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn into_asked(self) -> Result<Asked, StoreError> {
        Ok(Asked {
            asked_at: self.asked_at.map(time).transpose()?,
            not_found: self.misses.is_some_and(|misses| misses > 0),
            was: self
                .gone_at
                .map(|gone_at| {
                    Ok::<_, StoreError>(Was {
                        company_name: self.was_company,
                        person_name: self.was_person,
                        gone_since: time(gone_at)?,
                    })
                })
                .transpose()?,
        })
    }
}

impl TryFrom<NamedCallRow> for Call {
    type Error = StoreError;

    fn try_from(row: NamedCallRow) -> Result<Self, StoreError> {
        let NamedCallRow {
            call,
            contact,
            question,
        } = row;
        let ask_again_at = question.ask_again_at()?;
        let asked = question.into_asked()?;
        let contact = contact.into_contact(&asked)?;
        Ok(Self {
            ask_again_at,
            id: call.id,
            call_id: call.call_id,
            direction: match call.direction.as_str() {
                "Incoming" => Direction::Incoming,
                "Outgoing" => Direction::Outgoing,
                "Internal" => Direction::Internal,
                _ => return Err(StoreError::Corrupt("a call's direction")),
            },
            call_type: call.call_type,
            started_at: time(call.started_at)?,
            answered_at: call.answered_at.map(time).transpose()?,
            ended_at: call.ended_at.map(time).transpose()?,
            number: call.number,
            e164: call.e164.as_deref().and_then(e164),
            circuit_number: call.circuit_number,
            circuit_name: call.circuit_name,
            lookup: match call.lookup.as_str() {
                "Pending" => LookupState::Pending,
                "Done" => LookupState::Done,
                "None" => LookupState::None,
                _ => return Err(StoreError::Corrupt("a call's look-up state")),
            },
            not_looked_up: call.not_looked_up,
            asked_at: asked.asked_at,
            not_found: asked.not_found,
            // Somebody may have named the number by hand since it is gone.
            was: asked.was.filter(|_| contact.is_none()),
            contact,
        })
    }
}

// === impl ContactRow ===

impl ContactRow {
    /// The contact, if the join found one.
    pub(crate) fn into_contact(self, asked: &Asked) -> Result<Option<Contact>, StoreError> {
        let (Some(number), Some(source), Some(updated_at)) =
            (self.contact_number, self.source, self.updated_at)
        else {
            return Ok(None);
        };
        Ok(Some(Contact {
            number: e164(&number).ok_or(StoreError::Corrupt("a contact's number"))?,
            company_name: self.company_name,
            person_name: self.person_name,
            object: self.object.as_deref().map(object).transpose()?,
            record_id: self.record_id,
            link: self.link,
            title: self.title,
            owner_name: self.owner_name,
            alternatives: self
                .alternatives
                .map(|json| serde_json::from_str(&json))
                .transpose()
                .map_err(|_| StoreError::Corrupt("a contact's alternatives"))?,
            source: match source.as_str() {
                "Salesforce" => ContactSource::Salesforce,
                "Manual" => ContactSource::Manual,
                _ => return Err(StoreError::Corrupt("a contact's source")),
            },
            updated_at: time(updated_at)?,
            asked_at: asked.asked_at,
            not_found: asked.not_found,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(asked_at: Option<i64>, misses: Option<i64>) -> QuestionRow {
        QuestionRow {
            asked_at,
            misses,
            was_company: Some("Acme".to_owned()),
            was_person: Some("Sato".to_owned()),
            ..QuestionRow::default()
        }
    }

    #[test]
    fn a_number_that_was_missed_is_asked_again_and_one_that_was_found_or_never_asked_is_not() {
        let asked = 1_700_000_000_000_000;
        for (asked_at, misses, missed) in [
            (None, None, None),
            (None, Some(1), None),
            (Some(asked), None, None),
            (Some(asked), Some(-1), None),
            (Some(asked), Some(0), None),
            (Some(asked), Some(1), Some(1)),
            (Some(asked), Some(2), Some(2)),
            (Some(asked), Some(i64::MAX), Some(u32::MAX)),
        ] {
            let row = question(asked_at, misses);
            let expected = missed.map(|missed| due_at(time(asked).unwrap(), missed));
            assert_eq!(row.ask_again_at().unwrap(), expected, "{row:?}");
            let told = row.into_asked().unwrap();
            let not_found = misses.is_some_and(|misses| misses >= 1);
            let asked_at = asked_at.map(|at| time(at).unwrap());
            let expected = Asked {
                asked_at,
                not_found,
                was: None,
            };
            assert_eq!(told, expected);
        }
        let gone = QuestionRow {
            gone_at: Some(asked),
            ..question(Some(asked + 1), Some(1))
        };
        let was = Was {
            company_name: Some("Acme".to_owned()),
            person_name: Some("Sato".to_owned()),
            gone_since: time(asked).unwrap(),
        };
        assert_eq!(gone.into_asked().unwrap().was, Some(was));
        let beyond = question(Some(i64::MAX), Some(1));
        assert!(matches!(
            beyond.ask_again_at(),
            Err(StoreError::Corrupt("a time"))
        ));
    }

    fn call() -> NamedCallRow {
        NamedCallRow {
            call: CallRow {
                id: "a".to_owned(),
                call_id: None,
                call_type: "INCOMING_CALL".to_owned(),
                direction: "Incoming".to_owned(),
                started_at: 1,
                answered_at: None,
                ended_at: None,
                number: None,
                e164: None,
                not_looked_up: None,
                lookup_key: None,
                circuit_number: None,
                circuit_name: None,
                lookup: "None".to_owned(),
            },
            contact: ContactRow {
                contact_number: Some("+81312345678".to_owned()),
                company_name: None,
                person_name: None,
                object: None,
                record_id: None,
                link: None,
                title: None,
                owner_name: None,
                alternatives: None,
                source: Some("Manual".to_owned()),
                updated_at: Some(2),
            },
            question: QuestionRow::default(),
        }
    }

    #[test]
    fn every_word_of_a_row_is_read_as_it_was_written_and_no_other_is() {
        let read = |change: &dyn Fn(&mut NamedCallRow)| {
            let mut row = call();
            change(&mut row);
            Call::try_from(row)
        };
        for direction in [
            Direction::Incoming,
            Direction::Outgoing,
            Direction::Internal,
        ] {
            let text = direction_text(direction);
            let call = read(&|row| row.call.direction = text.to_owned()).unwrap();
            assert_eq!(call.direction, direction);
        }
        for (text, state) in [
            ("Pending", LookupState::Pending),
            ("Done", LookupState::Done),
            ("None", LookupState::None),
        ] {
            let call = read(&|row| row.call.lookup = text.to_owned()).unwrap();
            assert_eq!(call.lookup, state);
        }
        use RecordObject::{Account, Contact, Lead};
        for kind in [Contact, Account, Lead] {
            let text = object_text(kind);
            let call = read(&|row| row.contact.object = Some(text.to_owned())).unwrap();
            assert_eq!(call.contact.unwrap().object, Some(kind));
        }
        for source in [ContactSource::Salesforce, ContactSource::Manual] {
            let text = source_text(source);
            let call = read(&|row| row.contact.source = Some(text.to_owned())).unwrap();
            assert_eq!(call.contact.unwrap().source, source);
        }
        let strange = || "Strange".to_owned();
        type Change<'a> = (&'a str, &'a dyn Fn(&mut NamedCallRow));
        let changes: [Change<'_>; 7] = [
            ("a call's direction", &|row| row.call.direction = strange()),
            ("a call's look-up state", &|row| row.call.lookup = strange()),
            ("a time", &|row| row.call.started_at = i64::MAX),
            ("a contact's object", &|row| {
                row.contact.object = Some(strange())
            }),
            ("a contact's source", &|row| {
                row.contact.source = Some(strange())
            }),
            ("a contact's number", &|row| {
                row.contact.contact_number = Some(strange())
            }),
            ("a contact's alternatives", &|row| {
                row.contact.alternatives = Some(strange())
            }),
        ];
        for (what, change) in changes {
            match read(change) {
                Err(StoreError::Corrupt(told)) => assert_eq!(told, what),
                other => panic!("{what}: {other:?}"),
            }
        }
        // A join that found nothing.
        let columns: [&dyn Fn(&mut NamedCallRow); 3] = [
            &|row| row.contact.contact_number = None,
            &|row| row.contact.source = None,
            &|row| row.contact.updated_at = None,
        ];
        for change in columns {
            assert_eq!(read(change).unwrap().contact, None);
        }
    }
}
