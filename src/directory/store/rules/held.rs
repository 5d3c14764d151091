//! The records that hold a contact's number, as they are kept beside it. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::directory::model::follow::Holder;
use crate::directory::model::{Contact, RecordObject};
use crate::directory::store::database::Arg;
use crate::directory::store::database::error::StoreError;
use crate::directory::store::database::rows::{micros, time};

/// The records that hold a contact's number, in the form of the columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) json: Option<String>,
    pub(crate) all: Option<i64>,
}

/// A holder in the database. Of the contact's own record, the names are left out: they stand beside
/// it in the same row.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    #[serde(rename = "i")]
    pub(crate) record_id: String,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<RecordObject>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    company_name: Option<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    person_name: Option<String>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    owner_name: Option<String>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    modified_at: Option<i64>,
}

// === impl Held ===

impl Held {
    /// The columns for a contact whose number these records hold.
    pub(crate) fn new(contact: &Contact, holders: Option<&[Holder]>, all: bool) -> Self {
        let Some(holders) = holders else {
            return Self::default();
        };
        let stored = holders.iter().map(|holder| {
            let is_own = contact.record_id.as_ref() == Some(&holder.record_id);
            let beside = Some(holder).filter(|_| !is_own);
            Stored {
                record_id: holder.record_id.clone(),
                object: beside.map(|holder| holder.object),
                account_id: holder.account_id.clone(),
                company_name: beside.and_then(|holder| holder.company_name.clone()),
                person_name: beside.and_then(|holder| holder.person_name.clone()),
                title: beside.and_then(|holder| holder.title.clone()),
                owner_name: beside.and_then(|holder| holder.owner_name.clone()),
                modified_at: holder.modified_at.map(micros),
            }
        });
        Self {
            // Serializing texts and numbers cannot fail.
            json: serde_json::to_string(&stored.collect::<Vec<_>>()).ok(),
            all: Some(i64::from(all)),
        }
    }

    /// The columns, as parameters.
    pub(crate) fn columns(&self) -> [Arg; 2] {
        [self.json.clone().into(), self.all.into()]
    }

    /// The Ids by which the contact is found: of the records, and of their accounts.
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        let stored = stored(self.json.as_deref()).ok().flatten();
        let ids = |holder: Stored| [Some(holder.record_id), holder.account_id];
        stored
            .into_iter()
            .flatten()
            .flat_map(ids)
            .flatten()
            .collect()
    }
}

pub(crate) fn stored(json: Option<&str>) -> Result<Option<Vec<Stored>>, StoreError> {
    json.map(serde_json::from_str)
        .transpose()
        .map_err(|_| StoreError::Corrupt("a contact's records"))
}

// === impl Stored ===

impl Stored {
    pub(crate) fn into_holder(self, contact: &Contact) -> Result<Option<Holder>, StoreError> {
        let is_own = contact.record_id.as_ref() == Some(&self.record_id);
        let own = |field: &Option<String>, kept| if is_own { field.clone() } else { kept };
        let object = if is_own { contact.object } else { self.object };
        let Some(object) = object else {
            return Ok(None);
        };
        Ok(Some(Holder {
            object,
            company_name: own(&contact.company_name, self.company_name),
            person_name: own(&contact.person_name, self.person_name),
            title: own(&contact.title, self.title),
            owner_name: own(&contact.owner_name, self.owner_name),
            record_id: self.record_id,
            account_id: self.account_id,
            modified_at: self.modified_at.map(time).transpose()?,
        }))
    }
}
