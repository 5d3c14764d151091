//! A composite request. Salesforce answers 200 for the whole whatever its parts say, so each part
//! is treated as an answer of its own: what passes is asked again, alone, and what would end a
//! request ends the whole. The caller only sees failures that are about a part's own question.

use bytes::Bytes;
use tracing::debug;

use super::{Connection, resource};
use crate::salesforce::answers::concerns_the_connection;
use crate::salesforce::answers::error::Error;
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::rest;
use crate::salesforce::rest::{Path, Subrequest, Subresponse};
use crate::salesforce::transport::{Outgoing, Wanted, millis};

impl Connection {
    /// Sends several requests as one API call (facts: Salesforce 2.7): at most 25, at most 5 of
    /// them queries. All of them only read, so the call is safe to repeat; the parts that failed in
    /// passing or for a session that ended are asked again without the others, which is one more
    /// call.
    pub async fn composite(&self, requests: &[Subrequest]) -> Result<Vec<Subresponse>, Error> {
        let mut answers: Vec<Option<Subresponse>> = requests.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..requests.len()).collect();
        let mut failed = 0;
        let mut replaced = false;
        loop {
            let asked: Vec<Subrequest> = open.iter().map(|at| requests[*at].clone()).collect();
            // What is asked again adds to what is kept already: all answers share one bound.
            let kept: usize = answers.iter().flatten().map(Subresponse::kept_bytes).sum();
            let most = self.composites_at_most.saturating_sub(kept);
            let (parts, session) = self.send_parts(&asked, most).await?;
            let mut left = Vec::new();
            let mut expired = None;
            let mut passing = None;
            for (at, part) in open.into_iter().zip(parts) {
                let error = part.success().err();
                match error.filter(concerns_the_connection) {
                    None => answers[at] = Some(part),
                    Some(error) => {
                        left.push(at);
                        if error.meaning() == Meaning::SessionExpired {
                            expired = Some(error);
                        } else if error.is_repeatable() {
                            passing = Some(error);
                        } else {
                            return Err(error);
                        }
                    }
                }
            }
            // A session is good if it brought any answer.
            if expired.is_none() || left.len() < asked.len() {
                session.prove();
            }
            open = left;
            if let Some(error) = expired {
                let last = replaced || !self.may_repeat();
                if !self.shared.keeper.drop_expired(&session, &error) || last {
                    return Err(error);
                }
                replaced = true;
                debug!(
                    parts = open.len(),
                    "the session has expired: a part is asked again with another"
                );
            } else if let Some(error) = passing {
                failed += 1;
                let pause = self.retry.pause(&error, failed, rand::random());
                let Some(pause) = pause.filter(|_| self.may_repeat()) else {
                    return Err(error);
                };
                debug!(
                    why = error.meaning().code(),
                    status = error.status(),
                    parts = open.len(),
                    wait_ms = millis(pause),
                    "a part of a composite request is asked again"
                );
                tokio::time::sleep(pause).await;
            } else {
                return Ok(answers.into_iter().flatten().collect());
            }
        }
    }

    async fn send_parts(
        &self,
        requests: &[Subrequest],
        most: usize,
    ) -> Result<(Vec<Subresponse>, std::sync::Arc<super::Session>), Error> {
        let version = self.shared.api_version;
        let body = Bytes::from(rest::composite_body(requests, version));
        let (incoming, session) = self
            .call(&|session| {
                let url = resource(session, &Path::Composite.path(version))?;
                let kind = "application/json; charset=UTF-8";
                let wanted = Wanted::Text(most);
                Ok(Outgoing::post(url, kind, body.clone(), wanted))
            })
            .await?;
        let redactor = self.shared.redactor.and(&session.token);
        let parts = rest::read_composite(&incoming, requests, &redactor)?;
        Ok((parts, session))
    }
}
