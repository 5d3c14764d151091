//! Why a call has the name that it has, or none: a pure function of what is known about it. The
//! page, `GET /v1/calls/{id}/why` and `switchboard why` say the same because all of them ask it.

mod cause;
mod facts;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::cause::Cause;
pub(crate) use self::facts::{CallFacts, Facts};
use crate::directory::model::company::LinkHealth;
use crate::directory::model::{Alternatives, RecordObject};
use crate::phone::E164;

/// Why a call has the name that it has, or none (`GET /v1/calls/{id}/why`,
/// `GET /v1/contacts/{number}/why`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The step that decided, or the one that is missing.
    pub cause: Cause,
    /// The same in a sentence.
    pub sentence: String,
    /// What to do about it, in a sentence; null where nothing is to be done.
    pub remedy: Option<String>,
    /// The platform's ID of the leg; null where only a number was asked about, and no call has it.
    pub call: Option<String>,
    /// The number as the platform spelled it.
    pub number: Option<String>,
    /// The number as it was read.
    #[schema(value_type = Option<String>)]
    pub e164: Option<E164>,
    /// When the platform's delivery was received that brought the call first.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received_at: Option<Timestamp>,
    /// When Salesforce was last asked about the number, by which run and how; null while it was
    /// not.
    pub asked: Option<Question>,
    /// What came back: the record that was chosen, and what others hold the number.
    pub answer: Option<Answer>,
    /// From when on the next step is taken, where that is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// What the controller says of the link to Salesforce, where it stands in the way.
    pub link: Option<LinkHealth>,
}

/// The last question about a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// When it was asked.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The run that asked, by the name of its Job; null where an older worker did not say.
    pub run: Option<String>,
    /// API requests of the question, which the numbers of one write share; 0 where the address
    /// book answered.
    pub api_calls: Option<u32>,
    /// With how many spellings the number can be asked for; a request has the likeliest of them.
    pub spellings: u32,
    /// The likeliest of these.
    #[schema(max_items = 5)]
    pub likeliest: Vec<String>,
    /// How often in a row Salesforce did not know the number; 0 where it does.
    pub misses: u32,
}

/// What is known under a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The company's name.
    pub company_name: Option<String>,
    /// The person's name.
    pub person_name: Option<String>,
    /// The kind of Salesforce record, where it came from one.
    pub object: Option<RecordObject>,
    /// The ID of the record.
    pub record_id: Option<String>,
    /// Where a person can open the record.
    pub link: Option<String>,
    /// The other records that hold the number, and the rule that chose.
    pub others: Option<Alternatives>,
}

// === impl Facts ===

impl Facts {
    /// Tells why, in words.
    pub(crate) fn why(self, now: Timestamp) -> Why {
        let cause = self.cause(now);
        let stands_in_the_way = cause.is_of_the_link();
        let next_at = match cause {
            Cause::NotInSalesforce | Cause::GoneFromSalesforce => self.ask_again_at,
            Cause::NotAskedYet | Cause::SettingsChanged | Cause::RunFailed | Cause::RunOverdue => {
                self.link.as_ref().and_then(|link| link.next_run_at)
            }
            Cause::BeingAsked => self.call.as_ref().and_then(|call| call.claimed_until),
            _ => None,
        };
        let remedy = match (&self.link, stands_in_the_way) {
            (Some(link), true) if !link.remedy.is_empty() => Some(link.remedy.clone()),
            _ => cause.remedy().map(str::to_owned),
        };
        let sentence = match (&self.link, cause) {
            (Some(link), Cause::LinkBroken | Cause::RunFailed | Cause::RunOverdue) => {
                format!("{} ({}): {}", cause.sentence(), link.reason, link.cause)
            }
            _ => cause.sentence().to_owned(),
        };
        Why {
            cause,
            sentence,
            remedy,
            call: self.call.as_ref().map(|call| call.id.clone()),
            received_at: self.call.as_ref().map(|call| call.received_at),
            number: self.number,
            e164: self.e164,
            asked: self.asked,
            answer: self.contact.map(|contact| Answer {
                company_name: contact.company_name,
                person_name: contact.person_name,
                object: contact.object,
                record_id: contact.record_id,
                link: contact.link,
                others: contact.alternatives,
            }),
            next_at,
            link: self.link.filter(|_| stands_in_the_way),
        }
    }
}
