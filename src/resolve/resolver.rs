//! Sends the planned requests.

use std::collections::HashMap;
use std::fmt;

use tracing::debug;
use url::Url;

use super::plan::pack;
use super::query::{Shape, Slot};
use super::search::{Absorbed, Search, shrink};
use super::url_limit::{UrlLength, UrlLimit, is_too_much};
use super::{Batch, Match, Object, Record, ResolveError, choose};
use crate::phone::{E164, Region};
use crate::salesforce::{Connection, Error, Soql, Spent};

/// Up to so many calls, numbers are spread over them evenly.
const FEW_CALLS: usize = 3;

/// Looks up numbers over one connection.
pub struct Resolver {
    pub(super) connection: Connection,
    pub(super) home: Region,
    pub(super) shape: Shape,
    pub(super) instance: Option<Url>,
    pub(super) allowance: Allowance,
    room: UrlLimit,
    /// Whether the search index is asked for what was not found.
    pub(super) second_question: bool,
    pub(super) findings: Vec<Finding>,
}

/// The result of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookedUp {
    /// The numbers that were found. No record holds the numbers that are missing here.
    pub found: HashMap<E164, Match>,
    /// The records that were returned: at least the newest of each number and query.
    pub records: Vec<Record>,
}

/// The maximum number of API calls; `None` means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowance(pub Option<u64>);

/// An object or feature that Salesforce does not show this user. It does not stop a run, but
/// somebody should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The object does not exist for this user.
    ObjectUnavailable(Object),
    /// The field does not exist, or field-level security hides it.
    FieldHidden {
        /// The object of the field.
        object: Object,
        /// The field's API name, or the path to it.
        field: &'static str,
    },
    /// The org has no person accounts. This is not a problem.
    NoPersonAccounts,
}

// === impl Resolver ===

impl Resolver {
    /// A resolver for a tenant whose numbers are parsed for the region `home`.
    pub fn new(connection: Connection, home: Region) -> Self {
        Self {
            connection,
            home,
            shape: Shape::new(None),
            instance: None,
            allowance: Allowance(None),
            room: UrlLimit::new(None),
            second_question: true,
            findings: Vec::new(),
        }
    }

    /// Sets whether the org has person accounts, if that is known.
    #[must_use]
    pub fn person_accounts(self, person_accounts: Option<bool>) -> Self {
        Self {
            shape: Shape::new(person_accounts),
            ..self
        }
    }

    /// Sets the URL of the instance, for links to records.
    #[must_use]
    pub fn instance(self, instance: Option<Url>) -> Self {
        Self { instance, ..self }
    }

    /// Sets how many API calls may be made over the connection.
    #[must_use]
    pub fn allowance(self, allowance: Allowance) -> Self {
        Self { allowance, ..self }
    }

    /// Sets whether [`resolve_again`](Self::resolve_again) asks at all.
    #[must_use]
    pub fn second_question(self, second_question: bool) -> Self {
        Self {
            second_question,
            ..self
        }
    }

    /// Sets the URL lengths that an earlier run learned for this org.
    #[must_use]
    pub fn url_length(self, known: Option<UrlLength>) -> Self {
        Self {
            room: UrlLimit::new(known),
            ..self
        }
    }

    /// The first of these numbers, as many as one call can look up. If the org may accept longer
    /// URLs than those known, and many numbers are left, a larger batch is tried.
    pub fn batch(&self, pending: &[E164]) -> Batch {
        let batch = pack(&self.shape, pending, &self.home, self.room.bytes());
        let calls = pending.len().div_ceil(batch.numbers().len().max(1));
        match self.room.longer(calls) {
            Some(bytes) => pack(&self.shape, pending, &self.home, bytes),
            // The same number of calls with numbers spread evenly leaves room in each.
            None if calls <= FEW_CALLS => batch.first(pending.len().div_ceil(calls.max(1))),
            None => batch,
        }
        .filled(&self.shape, &self.home)
    }

    /// Looks up the numbers of a batch. Returns `None` if they were too many for the org; the next
    /// [`batch`](Self::batch) is then smaller.
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
                    // Salesforce's text is not logged: it may quote the numbers.
                    debug!(
                        bytes,
                        why = error.meaning().code(),
                        now = self.room.bytes(),
                        "too much at once: fewer numbers go"
                    );
                    return Ok(None);
                }
            }
        }
        self.room.accepted(batch.url_bytes);
        let (records, counts) = search.into_records();
        let found = choose(batch.numbers(), &records, &counts, self.instance.as_ref());
        Ok(Some(LookedUp { found, records }))
    }

    /// The URL lengths that this org accepted or refused, for its next run; `None` before any is
    /// known.
    pub fn learned(&self) -> Option<UrlLength> {
        self.room.learned()
    }

    /// The objects and features that Salesforce does not show this user, as far as queries found
    /// them.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The objects whose phone fields are all searched, as far as queries found out.
    pub fn fully_searched(&self) -> impl Iterator<Item = Object> + '_ {
        self.shape.fully_searched()
    }

    /// How many calls the allowance has left; `None` means no limit.
    pub fn calls_left(&self) -> Option<u64> {
        let spent = self.connection.spent().calls;
        self.allowance.0.map(|most| most.saturating_sub(spent))
    }

    /// Whether one more call may be made.
    pub(crate) fn may_ask(&self) -> Result<(), ResolveError> {
        self.allowance.check(self.connection.spent())
    }

    /// The region by which numbers are read.
    pub(crate) fn home(&self) -> &Region {
        &self.home
    }

    /// The objects and fields that are queried.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether the row of an account tells all numbers of a person account; otherwise that of its
    /// person contact does.
    pub fn accounts_tell_persons(&self) -> bool {
        self.shape.accounts_tell_persons()
    }

    /// Leaves out what Salesforce does not show the user, as in a look-up. Returns whether the
    /// query that was `sent` is another one now.
    pub(crate) fn leave_out(
        &mut self,
        object: Object,
        error: &Error,
        sent: &Soql,
        query: impl Fn(&Shape) -> Soql,
    ) -> bool {
        if *sent != query(&self.shape) {
            return true;
        }
        let finding = shrink(&mut self.shape, &Slot::of_all(object), error);
        let is_other = finding.is_some();
        self.findings.extend(finding);
        is_other
    }

    /// The URL of the instance, for links to records.
    pub fn instance_url(&self) -> Option<&Url> {
        self.instance.as_ref()
    }

    /// The connection that the lookups use.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

// === impl Allowance ===

impl Allowance {
    /// Checks whether one more call may be made after these.
    pub fn check(self, spent: Spent) -> Result<(), ResolveError> {
        match self.0 {
            Some(most) if spent.calls >= most => Err(ResolveError::BudgetExhausted(most)),
            _ => Ok(()),
        }
    }
}

// === impl Finding ===

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
