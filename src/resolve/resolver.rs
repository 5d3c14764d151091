//! Sends the planned requests.

use std::collections::HashMap;
use std::fmt;

use tracing::debug;
use url::Url;

use super::plan::pack;
use super::query::Shape;
use super::search::{Absorbed, Search};
use super::url_limit::{UrlLength, UrlLimit, is_too_much};
use super::{Batch, Match, Object, Record, ResolveError, choose};
use crate::error::Chain;
use crate::phone::{E164, Region};
use crate::salesforce::{Connection, Spent};

/// Looks numbers up over one connection.
pub struct Resolver {
    connection: Connection,
    home: Region,
    shape: Shape,
    instance: Option<Url>,
    allowance: Allowance,
    room: UrlLimit,
    findings: Vec<Finding>,
}

/// What a batch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedUp {
    /// The numbers that were found. One that is not here stands on no record.
    pub found: HashMap<E164, Match>,
    /// The records that came back: the newest of each number and query, at least.
    pub records: Vec<Record>,
}

/// How many API calls may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowance(pub Option<u64>);

/// What Salesforce does not show this user. It does not stop a run, but somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The object does not exist for this user.
    ObjectUnavailable(Object),
    /// The field does not exist, or field-level security hides it.
    FieldHidden {
        /// On which object.
        object: Object,
        /// Its API name, or the path to it.
        field: &'static str,
    },
    /// The org has no person accounts; nothing is wrong with that.
    NoPersonAccounts,
}

// === impl Resolver ===

impl Resolver {
    /// A resolver for a tenant whose numbers are read as those of `home`. `instance` is where links
    /// to records lead.
    pub fn new(connection: Connection, home: Region) -> Self {
        Self {
            connection,
            home,
            shape: Shape::new(None),
            instance: None,
            allowance: Allowance(None),
            room: UrlLimit::new(None),
            findings: Vec::new(),
        }
    }

    /// Says whether the org has person accounts, where that is known.
    #[must_use]
    pub fn person_accounts(self, person_accounts: Option<bool>) -> Self {
        Self {
            shape: Shape::new(person_accounts),
            ..self
        }
    }

    /// Says where records are opened.
    #[must_use]
    pub fn instance(self, instance: Option<Url>) -> Self {
        Self { instance, ..self }
    }

    /// Says how many API calls may be made over the connection.
    #[must_use]
    pub fn allowance(self, allowance: Allowance) -> Self {
        Self { allowance, ..self }
    }

    /// Says what an earlier run found out about the length of URLs in this org.
    #[must_use]
    pub fn url_length(self, known: Option<UrlLength>) -> Self {
        Self {
            room: UrlLimit::new(known),
            ..self
        }
    }

    /// The first of these numbers, as many as one call can look up. Where the org may take longer
    /// URLs than are known of, and many numbers are left, more are tried.
    pub fn batch(&self, pending: &[E164]) -> Batch {
        let batch = pack(&self.shape, pending, &self.home, self.room.bytes());
        let calls = pending.len().div_ceil(batch.numbers().len().max(1));
        match self.room.longer(calls) {
            Some(bytes) => pack(&self.shape, pending, &self.home, bytes),
            None => batch,
        }
    }

    /// Looks the numbers of a batch up. `None`: they were too many for the org, and the next
    /// [`batch`](Self::batch) is smaller.
    pub async fn resolve(&mut self, batch: &Batch) -> Result<Option<LookedUp>, ResolveError> {
        let mut search = Search::new(&self.shape, batch, self.home);
        loop {
            let requests = search.requests(&self.shape);
            if requests.is_empty() {
                break;
            }
            self.allowance.check(self.connection.spent())?;
            let absorbed = match self.connection.composite(&requests).await {
                Ok(answers) => search.absorb(&mut self.shape, answers)?,
                Err(error) if is_too_much(&error) => Absorbed::TooMuch(error),
                Err(error) => return Err(error.into()),
            };
            match absorbed {
                Absorbed::Answered(findings) => {
                    for finding in findings {
                        debug!(%finding, "the look-up goes on without it");
                        self.findings.push(finding);
                    }
                }
                Absorbed::TooMuch(error) => {
                    let bytes = batch.url_bytes;
                    if batch.numbers().len() == 1 || !self.room.can_shrink() {
                        return Err(ResolveError::TooMuch(error));
                    }
                    self.room.refused(bytes);
                    debug!(bytes, error = %Chain(&error), now = self.room.bytes(), "too much at once: fewer numbers go");
                    return Ok(None);
                }
            }
        }
        self.room.accepted(batch.url_bytes);
        let records = search.into_records();
        let found = choose(
            batch.numbers(),
            &records,
            &self.home,
            self.instance.as_ref(),
        );
        Ok(Some(LookedUp { found, records }))
    }

    /// What was found out about the length of URLs in this org, for its next run.
    pub fn learned(&self) -> Option<UrlLength> {
        self.room.learned()
    }

    /// What Salesforce does not show this user, as far as it was met.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

// === impl Allowance ===

impl Allowance {
    /// Whether one more call may be made after these.
    pub fn check(self, spent: Spent) -> Result<(), ResolveError> {
        match self.0 {
            Some(most) if spent.calls >= most => Err(ResolveError::BudgetExhausted(most)),
            _ => Ok(()),
        }
    }
}

// === impl Finding ===

impl Finding {
    /// A word for programs; `None` where nothing is wrong.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::ObjectUnavailable(_) => Some("ObjectUnavailable"),
            Self::FieldHidden { .. } => Some("FieldHidden"),
            Self::NoPersonAccounts => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ObjectUnavailable(object) => write!(
                f,
                "The integration user has no access to {object}, so numbers are not looked up there. \
                 Give the user read access to {object}; licences of the Platform kind do not include Lead."
            ),
            Self::FieldHidden { object, field } => write!(
                f,
                "The field {object}.{field} is not visible to the integration user and is left out. \
                 Give the user read access to it by field-level security."
            ),
            Self::NoPersonAccounts => f.write_str("The organization has no person accounts."),
        }
    }
}
