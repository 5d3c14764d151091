//! The causes, each with its sentence and what to do about it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    pub(super) const fn is_of_the_link(self) -> bool {
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
