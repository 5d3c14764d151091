//! The users of call centers, as Salesforce has them.

use serde::{Deserialize, Serialize};

use crate::json;
use crate::salesforce::answers::error::Error;
use crate::salesforce::connection::Connection;
use crate::salesforce::credentials::environment::ApiVersion;
use crate::salesforce::rest::soql::{Soql, SoqlLiteral};
use crate::salesforce::rest::{MAX_SUBQUERIES, Subrequest, Subresponse};
use crate::salesforce::text::encode::query_encoded_len;

/// The longest URL of one query, in bytes. Salesforce states 16,384 for the URI of a request and
/// nothing for one inside a composite request (facts: Salesforce 2.5).
const MAX_URL_BYTES: usize = 16_000;

/// What Salesforce says about the users of call centers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UsersFound {
    /// No user was asked for.
    NotAsked,
    /// Those of the users that exist and that the integration user sees.
    Rows(Vec<UserRow>),
    /// The users, or their call centers, cannot be read; the text says why.
    Unreadable(String),
}

/// A user of the organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserRow {
    /// The user name.
    pub username: String,
    /// Whether the user may log in. Users are never deleted (facts: Salesforce changes G2).
    pub is_active: bool,
    /// The id of the user's call center; `None` if the user has none.
    #[serde(default, deserialize_with = "json::short")]
    pub call_center_id: Option<String>,
}

/// The queries for the users, in pages that fit into a URL.
pub(crate) struct Asked {
    queries: Vec<Subrequest>,
    /// Queries that the first composite request takes along.
    along: usize,
}

// === impl Asked ===

impl Asked {
    /// The queries for these users. `room` is the number of queries that a composite request that
    /// is sent anyway can take along.
    pub(crate) fn new(users: &[String], version: ApiVersion, room: usize) -> Self {
        let query = |names: &[SoqlLiteral]| {
            Soql::select(&["Username", "IsActive", "CallCenterId"], "User")
                .and_in("Username", names)
        };
        let bare = Subrequest::query("", query(&[]).as_str()).url_len(version);
        let mut pages: Vec<Vec<SoqlLiteral>> = vec![];
        let mut length = MAX_URL_BYTES;
        for user in users {
            let name = SoqlLiteral::new(user);
            length += query_encoded_len(name.as_str()) + query_encoded_len(",");
            match pages.last_mut() {
                Some(page) if length <= MAX_URL_BYTES => page.push(name),
                _ => {
                    length = bare + query_encoded_len(name.as_str());
                    pages.push(vec![name]);
                }
            }
        }
        let queries: Vec<Subrequest> = pages
            .iter()
            .enumerate()
            .map(|(at, names)| Subrequest::query(format!("users{at}"), query(names).as_str()))
            .collect();
        let along = room.min(queries.len());
        Self { queries, along }
    }

    /// The queries that a composite request takes along at no further call.
    pub(crate) fn along(&self) -> &[Subrequest] {
        &self.queries[..self.along]
    }

    /// Reads the answers to [`Self::along`] and sends the other queries. A failure is no failure
    /// of the proof.
    pub(crate) async fn read(&self, connection: &Connection, along: &[Subresponse]) -> UsersFound {
        if self.queries.is_empty() {
            return UsersFound::NotAsked;
        }
        let mut found = vec![];
        let mut read = read_rows(along, &mut found);
        for queries in self.queries[self.along..].chunks(MAX_SUBQUERIES) {
            if read.is_err() {
                break;
            }
            read = match connection.composite(queries).await {
                Ok(answers) => read_rows(&answers, &mut found),
                Err(error) => Err(error),
            };
        }
        match read {
            Ok(()) => UsersFound::Rows(found),
            Err(error) => UsersFound::Unreadable(error.message()),
        }
    }
}

fn read_rows(answers: &[Subresponse], found: &mut Vec<UserRow>) -> Result<(), Error> {
    for answer in answers {
        // One page holds more rows than one query asks for.
        found.extend(answer.page::<UserRow>()?.records);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize, length: usize) -> Vec<String> {
        (0..count)
            .map(|at| format!("{at:0>length$}@a'b.example"))
            .collect()
    }

    #[test]
    fn fifty_users_need_one_query_and_ride_along() {
        let asked = Asked::new(&names(50, 20), ApiVersion::DEFAULT, 1);
        assert_eq!((asked.queries.len(), asked.along().len()), (1, 1));
        let nobody = Asked::new(&[], ApiVersion::DEFAULT, 1);
        assert_eq!((nobody.queries.len(), nobody.along().len()), (0, 0));
    }

    #[test]
    fn a_long_list_is_asked_for_in_pages_that_lose_and_double_nobody() {
        let users = names(2_000, 60);
        let asked = Asked::new(&users, ApiVersion::DEFAULT, 2);
        assert!(asked.queries.len() > 5);
        assert_eq!(asked.along().len(), 2);
        let mut text = String::new();
        for query in &asked.queries {
            assert!(query.url_len(ApiVersion::DEFAULT) <= MAX_URL_BYTES);
            text.push_str(&format!("{query:?}"));
        }
        for user in &users {
            let name = user.split('@').next().unwrap();
            assert_eq!(text.matches(name).count(), 1, "{user}");
        }
    }
}
