//! Why a call has the name that it has, or none: a pure function of what is known about it. The
//! page, `GET /v1/calls/{id}/why` and `switchboard why` say the same because all of them ask it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::directory::model::company::{LinkHealth, RetrievalMode};
use crate::directory::model::{
    Alternatives, Call, Contact, ContactSource, Direction, LookupState, RecordObject, Was,
};
use crate::phone::{E164, NotLookedUp};

/// A call whose end was never reported counts as ended so long after its start, as for workers.
const ENDED_AFTER: SignedDuration = SignedDuration::from_hours(4);

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

/// Why a call has the name that it has, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Salesforce knows the number.
    Named,
    /// Somebody wrote the name by hand.
    NamedByHand,
    /// The record in Salesforce has neither company nor person.
    RecordWithoutName,
    /// The number was erased on request.
    Erased,
    /// A call between extensions.
    InternalCall,
    /// The platform delivered no number.
    NoNumber,
    /// The caller withheld the number.
    Withheld,
    /// An extension of the tenant's own system.
    Extension,
    /// An emergency number.
    Emergency,
    /// A short number of a network or an authority.
    ServiceNumber,
    /// The area code is missing.
    NoAreaCode,
    /// The country code does not exist.
    NoSuchCountry,
    /// A text that is no number.
    NotANumber,
    /// No number of that length and beginning exists.
    NoSuchNumber,
    /// The call lasts; numbers are asked for when calls have ended.
    CallLasts,
    /// A run has taken the call up and is asking.
    BeingAsked,
    /// No controller has said anything of the company's link.
    NoLink,
    /// The integration is suspended.
    Suspended,
    /// The integration looks no names up.
    LookupDisabled,
    /// The budget of API requests is used up.
    BudgetUsedUp,
    /// The last run failed.
    RunFailed,
    /// The run that was due has not come.
    RunOverdue,
    /// The link to Salesforce is broken.
    LinkBroken,
    /// The address book is filled for the first time.
    BookBeingFilled,
    /// Not asked yet; the next run will.
    NotAskedYet,
    /// Salesforce does not know the number.
    NotInSalesforce,
    /// Salesforce knew the number and no longer does.
    GoneFromSalesforce,
    /// Salesforce did not know it with the settings of then; the next run asks with those of now.
    SettingsChanged,
    /// Somebody removed the contact by hand.
    RemovedByHand,
}

/// What is known of a call's number. Time is an argument.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) call: Option<CallFacts>,
    /// As the platform spelled it, or as somebody asked.
    pub(crate) number: Option<String>,
    pub(crate) e164: Option<E164>,
    /// Why it is not looked up, in the words that the directory keeps.
    pub(crate) not_looked_up: Option<String>,
    pub(crate) erased: bool,
    pub(crate) contact: Option<Contact>,
    pub(crate) asked: Option<Question>,
    pub(crate) ask_again_at: Option<Timestamp>,
    pub(crate) was: Option<Was>,
    /// Whether other settings decide about a match now than when it was asked.
    pub(crate) settings_changed: bool,
    pub(crate) link: Option<LinkHealth>,
    /// Whether the address book is filled for the first time.
    pub(crate) filling: bool,
}

/// What is known of one call.
#[derive(Debug, Clone)]
pub(crate) struct CallFacts {
    pub(crate) id: String,
    pub(crate) direction: Direction,
    pub(crate) lookup: LookupState,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) received_at: Timestamp,
    /// Until when a run has it.
    pub(crate) claimed_until: Option<Timestamp>,
}

// === impl Facts ===

impl Facts {
    /// What a list of calls tells of one: as much as the call itself and the link say.
    pub(crate) fn in_a_list(call: &Call, link: Option<&LinkHealth>) -> Self {
        Self {
            call: Some(CallFacts {
                id: call.id.clone(),
                direction: call.direction,
                lookup: call.lookup,
                started_at: call.started_at,
                ended_at: call.ended_at,
                received_at: call.started_at,
                claimed_until: None,
            }),
            number: call.number.clone(),
            e164: call.e164.clone(),
            not_looked_up: call.not_looked_up.clone(),
            contact: call.contact.clone(),
            asked: call.asked_at.map(|at| Question {
                at,
                run: None,
                api_calls: None,
                spellings: 0,
                likeliest: Vec::new(),
                misses: u32::from(call.not_found),
            }),
            ask_again_at: call.ask_again_at,
            was: call.was.clone(),
            link: link.cloned(),
            ..Self::default()
        }
    }

    /// The step that decided, or the first one that is missing.
    pub(crate) fn cause(&self, now: Timestamp) -> Cause {
        if let Some(contact) = &self.contact {
            return if contact.company_name.is_none() && contact.person_name.is_none() {
                Cause::RecordWithoutName
            } else if contact.source == ContactSource::Manual {
                Cause::NamedByHand
            } else {
                Cause::Named
            };
        }
        if self.erased {
            return Cause::Erased;
        }
        if let Some(call) = &self.call
            && call.direction == Direction::Internal
        {
            return Cause::InternalCall;
        }
        if self.e164.is_none() {
            return self.unread();
        }
        if self.was.is_some() {
            return Cause::GoneFromSalesforce;
        }
        match &self.asked {
            Some(question) if question.misses > 0 && self.settings_changed => {
                Cause::SettingsChanged
            }
            Some(question) if question.misses > 0 => Cause::NotInSalesforce,
            Some(_) if !self.is_pending() => Cause::RemovedByHand,
            _ => self.not_asked(now),
        }
    }

    /// Whether the call's number has still to be looked up.
    fn is_pending(&self) -> bool {
        let state = self.call.as_ref().map(|call| call.lookup);
        state == Some(LookupState::Pending)
    }

    /// Why there is no number to ask for.
    fn unread(&self) -> Cause {
        let text = self.number.as_deref().unwrap_or_default();
        if text.trim().is_empty() {
            return Cause::NoNumber;
        }
        let words = self.not_looked_up.as_deref().unwrap_or_default();
        let reason = [
            (NotLookedUp::Empty, Cause::NoNumber),
            (NotLookedUp::Anonymous, Cause::Withheld),
            (NotLookedUp::Extension, Cause::Extension),
            (NotLookedUp::Emergency, Cause::Emergency),
            (NotLookedUp::Service, Cause::ServiceNumber),
            (NotLookedUp::NoAreaCode, Cause::NoAreaCode),
            (NotLookedUp::NoSuchCountry, Cause::NoSuchCountry),
            (NotLookedUp::Invalid, Cause::NoSuchNumber),
        ];
        reason
            .into_iter()
            .find(|(reason, _)| reason.to_string() == words)
            .map_or(Cause::NotANumber, |(_, cause)| cause)
    }

    /// Why a number has not been asked for yet.
    fn not_asked(&self, now: Timestamp) -> Cause {
        if let Some(call) = &self.call {
            if call.claimed_until.is_some_and(|until| until > now) {
                return Cause::BeingAsked;
            }
            if call.ended_at.is_none() && now.duration_since(call.started_at) < ENDED_AFTER {
                return Cause::CallLasts;
            }
        }
        let Some(link) = &self.link else {
            return Cause::NoLink;
        };
        if link.suspended {
            return Cause::Suspended;
        }
        if link.retrieval == RetrievalMode::Disabled {
            return Cause::LookupDisabled;
        }
        if link.ready == Some(false) {
            return match link.reason.as_str() {
                "BudgetExhausted" => Cause::BudgetUsedUp,
                "RunFailed" => Cause::RunFailed,
                "RunOverdue" => Cause::RunOverdue,
                _ => Cause::LinkBroken,
            };
        }
        if self.filling {
            return Cause::BookBeingFilled;
        }
        Cause::NotAskedYet
    }

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

// === impl Cause ===

impl Cause {
    /// Every cause.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 29] = [
        Self::Named,
        Self::NamedByHand,
        Self::RecordWithoutName,
        Self::Erased,
        Self::InternalCall,
        Self::NoNumber,
        Self::Withheld,
        Self::Extension,
        Self::Emergency,
        Self::ServiceNumber,
        Self::NoAreaCode,
        Self::NoSuchCountry,
        Self::NotANumber,
        Self::NoSuchNumber,
        Self::CallLasts,
        Self::BeingAsked,
        Self::NoLink,
        Self::Suspended,
        Self::LookupDisabled,
        Self::BudgetUsedUp,
        Self::RunFailed,
        Self::RunOverdue,
        Self::LinkBroken,
        Self::BookBeingFilled,
        Self::NotAskedYet,
        Self::NotInSalesforce,
        Self::GoneFromSalesforce,
        Self::SettingsChanged,
        Self::RemovedByHand,
    ];

    /// Whether it is a state of the link that stands in the way.
    fn is_of_the_link(self) -> bool {
        matches!(
            self,
            Self::Suspended
                | Self::LookupDisabled
                | Self::BudgetUsedUp
                | Self::RunFailed
                | Self::RunOverdue
                | Self::LinkBroken
        )
    }

    /// The cause in a sentence.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Named => "Salesforce knows the number",
            Self::NamedByHand => "the name was written by hand",
            Self::RecordWithoutName => {
                "Salesforce knows the number, and the record has neither a company nor a person's name"
            }
            Self::Erased => "the number was erased on request, and nothing is kept about it since",
            Self::InternalCall => "it is a call between extensions, of which nothing is looked up",
            Self::NoNumber => "the platform delivered the call without a number",
            Self::Withheld => "the caller withheld the number",
            Self::Extension => "the number is an internal extension",
            Self::Emergency => "the number is an emergency number",
            Self::ServiceNumber => "the number is a short service number, not a subscriber's",
            Self::NoAreaCode => "the number cannot be dialled: its area code is missing",
            Self::NoSuchCountry => "the number cannot be dialled: its country code does not exist",
            Self::NotANumber => "what the platform delivered is not a phone number",
            Self::NoSuchNumber => {
                "the number cannot be dialled: none of that length and beginning exists"
            }
            Self::CallLasts => "the call lasts; numbers are asked for when calls have ended",
            Self::BeingAsked => "a run has taken the call up and asks Salesforce now",
            Self::NoLink => {
                "not asked: no controller has said anything of the company's link to Salesforce"
            }
            Self::Suspended => "not asked: the integration is suspended",
            Self::LookupDisabled => "not asked: the integration looks no names up",
            Self::BudgetUsedUp => "not asked: the budget of API requests is used up",
            Self::RunFailed => "not asked: the last run failed",
            Self::RunOverdue => "not asked: the run that was due has not come",
            Self::LinkBroken => "not asked: the link to Salesforce is broken",
            Self::BookBeingFilled => {
                "not asked: the address book is filled for the first time, and answers when it is full"
            }
            Self::NotAskedYet => "not asked yet; the next run asks",
            Self::NotInSalesforce => "Salesforce was asked and does not know the number",
            Self::GoneFromSalesforce => "Salesforce knew the number and no longer does",
            Self::SettingsChanged => {
                "Salesforce did not know the number with the settings of then; the next run asks with those of now"
            }
            Self::RemovedByHand => "the contact was removed by hand",
        }
    }

    /// What to do about it; `None` where nothing is to be done.
    pub(crate) const fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Named
            | Self::NamedByHand
            | Self::InternalCall
            | Self::Withheld
            | Self::Extension
            | Self::Emergency
            | Self::ServiceNumber
            | Self::CallLasts
            | Self::BeingAsked
            | Self::BookBeingFilled
            | Self::NotAskedYet
            | Self::SettingsChanged => None,
            Self::RecordWithoutName => Some("Write a name into the record in Salesforce."),
            Self::Erased => Some(
                "If the number may be kept again, whoever answers for the protection of data restores it (POST /v1/numbers/restore).",
            ),
            Self::NoNumber => Some("Look at the call on the phone platform."),
            Self::NoAreaCode | Self::NoSuchCountry | Self::NotANumber | Self::NoSuchNumber => Some(
                "Look at the number on the phone platform; if it is right, check spec.contacts.region of the integration.",
            ),
            Self::NoLink => Some(
                "Ask the platform team whether the company has an integration, and whether the controller runs.",
            ),
            Self::Suspended => Some("Set spec.suspend of the integration to false."),
            Self::LookupDisabled => {
                Some("Set spec.contacts.retrieval of the integration to Daily or AfterCall.")
            }
            Self::BudgetUsedUp => Some(
                "Wait until requests are free again, or raise spec.apiBudget.dailyPercent of the integration.",
            ),
            Self::RunFailed | Self::RunOverdue | Self::LinkBroken => {
                Some("Look at the integration's status.")
            }
            Self::NotInSalesforce | Self::GoneFromSalesforce => Some(
                "If the caller should be known, write the number into Phone or MobilePhone of a contact, account or lead, and ask again by the annotation switchboard.dev/run-requested-at.",
            ),
            Self::RemovedByHand => Some(
                "The next call of the number asks again, and so does the annotation switchboard.dev/run-requested-at.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::{Region, parse};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    /// An ended call of a number, a link that works, and nothing else.
    fn call(number: Option<&str>) -> Facts {
        call_in("JP", number)
    }

    fn call_in(region: &str, number: Option<&str>) -> Facts {
        let read = number.map(|number| parse(number, &region.parse().unwrap()));
        Facts {
            call: Some(CallFacts {
                id: "leg".to_owned(),
                direction: Direction::Incoming,
                lookup: LookupState::Pending,
                started_at: at(0),
                ended_at: Some(at(1)),
                received_at: at(1),
                claimed_until: None,
            }),
            number: number.map(str::to_owned),
            e164: read.clone().and_then(Result::ok),
            not_looked_up: read.and_then(Result::err).map(|reason| reason.to_string()),
            link: Some(link(Some(true), "Ready")),
            ..Facts::default()
        }
    }

    fn link(ready: Option<bool>, reason: &str) -> LinkHealth {
        LinkHealth {
            ready,
            reason: reason.to_owned(),
            cause: "It is so.".to_owned(),
            remedy: format!("Remedy of {reason}."),
            since: at(-60),
            retrieval: RetrievalMode::AfterCall,
            suspended: false,
            time_zone: "Asia/Tokyo".to_owned(),
            region: Region::JAPAN,
            last_run_at: Some(at(-10)),
            last_outcome: Some("Succeeded".to_owned()),
            next_run_at: Some(at(5)),
            budget_percent: Some(3),
        }
    }

    fn broken(reason: &str) -> Facts {
        Facts {
            link: Some(link(Some(false), reason)),
            ..call(Some("03-1234-5678"))
        }
    }

    fn asked(misses: u32) -> Facts {
        let mut facts = call(Some("03-1234-5678"));
        facts.asked = Some(Question {
            at: at(2),
            run: Some("acme-tokyo-1".to_owned()),
            api_calls: Some(1),
            spellings: 60,
            likeliest: vec!["03-1234-5678".to_owned()],
            misses,
        });
        facts.ask_again_at = (misses > 0).then(|| at(60));
        facts.call.as_mut().unwrap().lookup = LookupState::Done;
        facts
    }

    fn known(company: Option<&str>, source: ContactSource) -> Facts {
        let mut facts = asked(0);
        facts.contact = Some(Contact {
            number: "+81312345678".parse().unwrap(),
            company_name: company.map(str::to_owned),
            person_name: None,
            object: Some(RecordObject::Contact),
            record_id: Some("0035g00000ABCDEAA1".to_owned()),
            link: None,
            title: None,
            owner_name: None,
            alternatives: None,
            source,
            updated_at: at(2),
            asked_at: Some(at(2)),
            not_found: false,
        });
        facts
    }

    /// A cause that is planted, and the one that is to be named.
    fn planted() -> Vec<(&'static str, Facts, Cause)> {
        let pending = || call(Some("03-1234-5678"));
        let with_call = |change: &dyn Fn(&mut CallFacts)| {
            let mut facts = pending();
            change(facts.call.as_mut().unwrap());
            facts
        };
        let with_link = |change: &dyn Fn(&mut LinkHealth)| {
            let mut facts = pending();
            change(facts.link.as_mut().unwrap());
            facts
        };
        vec![
            (
                "known",
                known(Some("Acme"), ContactSource::Salesforce),
                Cause::Named,
            ),
            (
                "by hand",
                known(Some("Acme"), ContactSource::Manual),
                Cause::NamedByHand,
            ),
            (
                "no name",
                known(None, ContactSource::Salesforce),
                Cause::RecordWithoutName,
            ),
            (
                "erased",
                Facts {
                    erased: true,
                    call: None,
                    ..pending()
                },
                Cause::Erased,
            ),
            (
                "internal",
                with_call(&|call| call.direction = Direction::Internal),
                Cause::InternalCall,
            ),
            ("no number", call(None), Cause::NoNumber),
            ("blank number", call(Some("  ")), Cause::NoNumber),
            ("withheld", call(Some("Anonymous")), Cause::Withheld),
            (
                "withheld in Japanese",
                call(Some("非通知")),
                Cause::Withheld,
            ),
            ("extension", call(Some("2001")), Cause::Extension),
            ("police", call(Some("110")), Cause::Emergency),
            ("service", call(Some("177")), Cause::ServiceNumber),
            (
                "no area code",
                call_in("US", Some("5678901")),
                Cause::NoAreaCode,
            ),
            (
                "no country",
                call(Some("+999 1234 5678")),
                Cause::NoSuchCountry,
            ),
            ("words", call(Some("reception desk")), Cause::NotANumber),
            (
                "too long",
                call(Some("0312345678901234")),
                Cause::NoSuchNumber,
            ),
            (
                "the call lasts",
                with_call(&|call| call.ended_at = None),
                Cause::CallLasts,
            ),
            (
                "taken up",
                with_call(&|call| call.claimed_until = Some(at(20))),
                Cause::BeingAsked,
            ),
            (
                "nobody's",
                Facts {
                    link: None,
                    ..pending()
                },
                Cause::NoLink,
            ),
            (
                "suspended",
                with_link(&|link| link.suspended = true),
                Cause::Suspended,
            ),
            (
                "disabled",
                with_link(&|link| link.retrieval = RetrievalMode::Disabled),
                Cause::LookupDisabled,
            ),
            ("budget", broken("BudgetExhausted"), Cause::BudgetUsedUp),
            ("run failed", broken("RunFailed"), Cause::RunFailed),
            ("run overdue", broken("RunOverdue"), Cause::RunOverdue),
            ("wrong password", broken("InvalidLogin"), Cause::LinkBroken),
            ("rights", broken("MissingViewAll"), Cause::LinkBroken),
            ("company taken", broken("CompanyIdTaken"), Cause::LinkBroken),
            (
                "Secret is gone",
                broken("SecretNotFound"),
                Cause::LinkBroken,
            ),
            (
                "first fill",
                Facts {
                    filling: true,
                    ..pending()
                },
                Cause::BookBeingFilled,
            ),
            ("waits", pending(), Cause::NotAskedYet),
            ("a miss", asked(1), Cause::NotInSalesforce),
            ("many misses", asked(6), Cause::NotInSalesforce),
            (
                "gone",
                Facts {
                    was: Some(Was {
                        company_name: Some("Acme".to_owned()),
                        person_name: None,
                        gone_since: at(2),
                    }),
                    ..asked(1)
                },
                Cause::GoneFromSalesforce,
            ),
            (
                "other settings",
                Facts {
                    settings_changed: true,
                    ..asked(1)
                },
                Cause::SettingsChanged,
            ),
            ("removed", asked(0), Cause::RemovedByHand),
        ]
    }

    #[test]
    fn why_names_each_cause_that_is_planted() {
        let planted = planted();
        assert!(planted.len() >= 25);
        let mut told = std::collections::HashSet::new();
        for (what, facts, cause) in planted {
            assert_eq!(facts.cause(at(10)), cause, "{what}");
            told.insert(cause);
        }
        for cause in Cause::ALL {
            assert!(told.contains(&cause), "{cause:?} is planted nowhere");
        }
    }

    #[test]
    fn what_is_missing_comes_with_what_to_do_and_when_it_goes_on() {
        let why = |what: &str| {
            let found = planted().into_iter().find(|(name, _, _)| *name == what);
            found.unwrap().1.why(at(10))
        };
        let broken = why("wrong password");
        assert_eq!(broken.remedy.as_deref(), Some("Remedy of InvalidLogin."));
        assert!(
            broken.sentence.contains("(InvalidLogin): It is so."),
            "{}",
            broken.sentence
        );
        assert_eq!(broken.link.unwrap().since, at(-60));
        assert_eq!(why("waits").next_at, Some(at(5)));
        assert_eq!(why("waits").link, None, "a link that works is no news");
        let miss = why("a miss");
        assert_eq!(miss.next_at, Some(at(60)));
        assert_eq!(miss.asked.unwrap().run.as_deref(), Some("acme-tokyo-1"));
        assert_eq!(why("erased").call, None);
    }

    #[test]
    fn a_call_that_never_ended_counts_as_ended_after_hours() {
        let mut facts = call(Some("03-1234-5678"));
        facts.call.as_mut().unwrap().ended_at = None;
        assert_eq!(facts.cause(at(239)), Cause::CallLasts);
        assert_eq!(facts.cause(at(241)), Cause::NotAskedYet);
    }
}
