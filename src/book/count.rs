//! Counts the records that a book would have.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use crate::resolve::{Object, ResolveError, Resolver, Shape};
use crate::salesforce::{Page, Subrequest};

/// How many records with a phone number there are of each object that the user sees.
pub type Counts = BTreeMap<Object, u64>;

/// Counts the records with a phone number by one call.
pub async fn count(resolver: &mut Resolver) -> Result<Counts, ResolveError> {
    let mut counts = Counts::new();
    let mut open: Vec<Object> = resolver.searched_objects().collect();
    while !open.is_empty() {
        let queries = open
            .iter()
            .map(|object| resolver.shape().soql_count(*object));
        let queries: Vec<_> = queries.collect();
        let requests = open.iter().zip(&queries);
        let requests: Vec<Subrequest> = requests
            .map(|(object, soql)| Subrequest::query(object.as_str(), soql.as_str()))
            .collect();
        resolver.may_ask()?;
        let answers = resolver.connection().composite(&requests).await?;
        let mut again = Vec::new();
        for (object, sent) in open.into_iter().zip(&queries) {
            let answer = answers
                .iter()
                .find(|answer| answer.reference_id == object.as_str())
                .ok_or(ResolveError::AnswerMissing(object))?;
            match answer.page::<IgnoredAny>() {
                Ok(Page { total_size, .. }) => {
                    counts.insert(object, total_size);
                }
                Err(error) => {
                    let query = |shape: &Shape| shape.soql_count(object);
                    if !resolver.leave_out(object, &error, sent, query) {
                        return Err(error.into());
                    }
                    if resolver.searched_objects().any(|seen| seen == object) {
                        again.push(object);
                    }
                }
            }
        }
        open = again;
    }
    if counts.is_empty() {
        return Err(ResolveError::NothingToSearch);
    }
    Ok(counts)
}
