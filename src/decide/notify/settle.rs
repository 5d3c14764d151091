//! Decides for one integration what is told now, and puts it into its status.

use std::fmt::Display;
use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::ledger::{Family, Ledger, Told, cause_of, message_of};
use super::rules::{CEILING_WINDOW, REMIND_AFTER, Rules};
use crate::api::conditions::{READY, Truth};
use crate::api::status::{Notified, NotifiedCause, Warning};
use crate::api::{Notifications, SalesforceIntegrationStatus, conditions};
use crate::decide::rules::warnings::{self, Origin};
use crate::mail::{Address, Letter, News, Place};
use crate::reason::{Code, Reason};

/// Causes that a status remembers. The oldest is forgotten first.
const MAX_CAUSES: usize = 10;
/// Integrations that a mail about a storm names.
const MAX_EXAMPLES: usize = 10;

/// An integration, as far as mails about it depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenant<'a> {
    /// Its UID, which makes Message-IDs unique.
    pub uid: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its company ID.
    pub company: &'a str,
    /// Who is to be told.
    pub notifications: Option<&'a Notifications>,
    /// The zone in which its people read times; UTC while the spec is not usable.
    pub time_zone: Option<&'a TimeZone>,
    /// Whether it is suspended: nobody is told of that.
    pub suspended: bool,
}

/// What is to be sent once the status is written.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// The mails.
    pub letters: Vec<Letter>,
    /// When to decide again if nothing happens before.
    pub wake: Option<Timestamp>,
    /// Whether a mail is due and waits for a ceiling.
    pub held: bool,
}

/// The decision about one integration.
struct Settling<'a, K> {
    ledger: &'a Ledger<K>,
    key: &'a K,
    tenant: &'a Tenant<'a>,
    status: &'a SalesforceIntegrationStatus,
    rules: &'a Rules,
    now: Timestamp,
    to: Vec<Address>,
    told: Notified,
    outcome: Outcome,
}

/// Says in the status that this operator sends no mail, where a tenant asks for it.
pub(crate) fn switched_off(
    status: &mut SalesforceIntegrationStatus,
    notifications: Option<&Notifications>,
) {
    status.notifications = None;
    let found = notifications.map(|_| {
        warnings::of(
            Reason::MailNotConfigured,
            "spec.notifications is set, and this operator sends no mail.".to_owned(),
        )
    });
    warnings::replace(
        &mut status.warnings,
        Origin::Mail,
        found.into_iter().collect(),
    );
}

impl<K: Clone + Ord + Hash + Display> Ledger<K> {
    /// Decides what is told now about the integration, and puts that into its status. The ledger
    /// knows of it at once; call [`Ledger::written`] when the status was written or could not be.
    pub(crate) fn settle(
        &mut self,
        key: &K,
        tenant: &Tenant<'_>,
        status: &mut SalesforceIntegrationStatus,
        rules: &Rules,
        now: Timestamp,
    ) -> Outcome {
        let (to, refused) = recipients(tenant.notifications, rules);
        warnings::replace(&mut status.warnings, Origin::Mail, refused);
        let mut told = status.notifications.take().unwrap_or_default();
        told.sent_at
            .retain(|at| now.duration_since(at.0).unsigned_abs() < CEILING_WINDOW);
        let mut outcome = Outcome::default();
        if tenant.suspended || to.is_empty() {
            told.causes.clear();
        } else if let Some(ready) = conditions::find(&status.conditions, READY) {
            let mut settling = Settling {
                ledger: self,
                key,
                tenant,
                status,
                rules,
                now,
                to,
                told,
                outcome,
            };
            match ready.status.as_str() {
                is if is == Truth::False.as_str() => settling.failing(ready),
                is if is == Truth::True.as_str() => settling.ready(ready),
                // Not known: what was told stays told, and what was not has not lasted.
                _ => settling.told.causes.retain(|cause| cause.sent_at.is_some()),
            }
            (told, outcome) = (settling.told, settling.outcome);
        }
        if told.causes.is_empty() {
            (told.thread, told.mails) = (None, 0);
        }
        status.notifications = Some(told).filter(|told| *told != Notified::default());
        self.reserve(key, tenant.suspended, status);
        outcome
    }
}

// === impl Settling ===

impl<K: Clone + Ord + Hash + Display> Settling<'_, K> {
    fn failing(&mut self, ready: &Condition) {
        let code = cause_of(ready);
        let mut cause = self.take_cause(&code, ready);
        let due = match &cause.sent_at {
            None => later(cause.since.0, self.rules.after),
            Some(sent_at) => later(sent_at.0, REMIND_AFTER),
        };
        if self.now < due {
            self.outcome.wake = Some(due);
        } else if !self.is_storm(&code, &mut cause) {
            self.tell(&code, &mut cause, ready);
        }
        self.told.causes.push(cause);
    }

    /// The cause as it is on record, or a new one. Others that were not told yet have not lasted.
    fn take_cause(&mut self, code: &Code, ready: &Condition) -> NotifiedCause {
        let causes = &mut self.told.causes;
        let is_first = causes.is_empty();
        let known = causes.iter().position(|cause| cause.code() == *code);
        let known = known.map(|place| causes.remove(place));
        causes.retain(|cause| cause.sent_at.is_some());
        if causes.len() >= MAX_CAUSES {
            causes.remove(0);
        }
        known.unwrap_or_else(|| NotifiedCause {
            code: code.to_string(),
            since: if is_first {
                ready.last_transition_time.clone()
            } else {
                Time(self.now)
            },
            sent_at: None,
            count: 0,
            told_platform: None,
        })
    }

    /// Whether so many fail of this at once that the platform team is told, and no tenant. The
    /// first of them to be due tells it.
    fn is_storm(&mut self, code: &Code, cause: &mut NotifiedCause) -> bool {
        let family = Family::of(code);
        let failing: Vec<(Timestamp, &K)> = self.ledger.failing(&family).collect();
        // The ledger may not know of this one yet.
        let others = failing.iter().filter(|(_, key)| *key != self.key).count();
        let near = self
            .ledger
            .failing_near(&family, cause.since.0, self.rules.after, self.key);
        let told = self.ledger.told(&family, None);
        let from = self.rules.storm_from;
        if near + 1 < from && (told.is_none() || others + 1 < from) {
            return false;
        }
        let told = match told {
            Some(told) if self.now < later(told.at, REMIND_AFTER) => told.clone(),
            told => {
                let thread = told.map(|told| told.thread.clone());
                self.tell_storm(code, cause.since.0, &failing, others + 1, thread)
            }
        };
        cause.sent_at = Some(Time(told.at));
        cause.count = cause.count.saturating_add(1);
        cause.told_platform = Some(told.thread);
        self.outcome.wake = Some(later(told.at, REMIND_AFTER));
        true
    }

    fn tell_storm(
        &mut self,
        code: &Code,
        since: Timestamp,
        failing: &[(Timestamp, &K)],
        integrations: usize,
        thread: Option<String>,
    ) -> Told {
        let id = self.storm_id();
        let examples = failing.iter().map(|(_, key)| key.to_string());
        let news = News::Storm {
            code: code.clone(),
            integrations,
            examples: examples.take(MAX_EXAMPLES).collect(),
            since: failing
                .first()
                .map_or(since, |(first, _)| since.min(*first)),
            again: thread.is_some(),
        };
        let letter = self.to_platform(id.clone(), thread.clone(), news);
        self.outcome.letters.push(letter);
        Told {
            at: self.now,
            thread: thread.unwrap_or(id),
        }
    }

    fn tell(&mut self, code: &Code, cause: &mut NotifiedCause, ready: &Condition) {
        if !self.has_room() {
            return;
        }
        let news = News::Failing {
            place: self.place(),
            code: code.clone(),
            message: message_of(ready).to_owned(),
            since: cause.since.0,
            // A cause that only the platform team was told of is new to the tenant.
            again: cause.sent_at.is_some() && cause.told_platform.is_none(),
        };
        self.send(news, cause.since.0);
        cause.sent_at = Some(Time(self.now));
        cause.count = cause.count.saturating_add(1);
        cause.told_platform = None;
        self.outcome.wake = Some(later(self.now, REMIND_AFTER));
    }

    fn ready(&mut self, ready: &Condition) {
        self.told.causes.retain(|cause| cause.sent_at.is_some());
        if self.told.causes.is_empty() {
            return;
        }
        let due = later(ready.last_transition_time.0, self.rules.after);
        if self.now < due {
            self.outcome.wake = Some(due);
            return;
        }
        let (storms, own): (Vec<_>, Vec<_>) = self
            .told
            .causes
            .clone()
            .into_iter()
            .partition(|cause| cause.told_platform.is_some());
        if let Some(since) = own.iter().map(|cause| cause.since.0).min() {
            if !self.has_room() {
                return;
            }
            let news = News::Recovered {
                place: self.place(),
                codes: own.iter().map(NotifiedCause::code).collect(),
                since,
                until: ready.last_transition_time.0,
            };
            self.send(news, since);
        }
        for cause in storms {
            self.leave_storm(&cause);
        }
        self.told.causes.clear();
    }

    /// The last one that leaves a storm tells its end.
    fn leave_storm(&mut self, cause: &NotifiedCause) {
        let code = cause.code();
        let is_last = self
            .ledger
            .told(&Family::of(&code), Some(self.key))
            .is_none();
        if !is_last {
            return;
        }
        let since = cause.sent_at.as_ref().map_or(self.now, |at| at.0);
        let news = News::StormOver { code, since };
        let letter = self.to_platform(self.storm_id(), cause.told_platform.clone(), news);
        self.outcome.letters.push(letter);
    }

    /// Whether the ceilings allow one more mail. Otherwise the decision is repeated when they do.
    fn has_room(&mut self) -> bool {
        let own = self.told.sent_at.iter().map(|at| at.0);
        let mut all = self.ledger.sent_within_the_hour(self.key, self.now);
        all.extend(own.clone());
        let free = [
            room_at(own.collect(), self.rules.per_integration),
            room_at(all, self.rules.altogether),
        ];
        self.outcome.wake = free.into_iter().flatten().max();
        self.outcome.held = self.outcome.wake.is_some();
        !self.outcome.held
    }

    /// Adds a mail to the tenant, and puts it on record.
    fn send(&mut self, news: News, since: Timestamp) {
        let told = &mut self.told;
        told.mails = told.mails.saturating_add(1);
        let id = format!(
            "<{}.{}.{}@{}>",
            id_part(self.tenant.uid),
            since.as_second(),
            told.mails,
            self.rules.sender.domain()
        );
        let thread = told.thread.clone();
        told.thread.get_or_insert_with(|| id.clone());
        told.sent_at.push(Time(self.now));
        let notifications = self.tenant.notifications;
        self.outcome.letters.push(Letter {
            to: self.to.clone(),
            language: notifications
                .and_then(|notifications| notifications.language)
                .unwrap_or(self.rules.language),
            time_zone: self.tenant.time_zone.cloned().unwrap_or(TimeZone::UTC),
            at: self.now,
            id,
            thread,
            news,
        });
    }

    fn to_platform(&self, id: String, thread: Option<String>, news: News) -> Letter {
        Letter {
            to: self.rules.platform.clone(),
            language: self.rules.language,
            time_zone: TimeZone::UTC,
            at: self.now,
            id,
            thread,
            news,
        }
    }

    fn storm_id(&self) -> String {
        let sent = self.outcome.letters.len();
        format!(
            "<storm.{}.{}.{sent}@{}>",
            id_part(self.tenant.uid),
            self.now.as_second(),
            self.rules.sender.domain()
        )
    }

    fn place(&self) -> Place {
        let organization = self.status.organization.as_ref();
        Place {
            namespace: self.tenant.namespace.to_owned(),
            name: self.tenant.name.to_owned(),
            company: self.tenant.company.to_owned(),
            organization: organization.and_then(|organization| organization.name.clone()),
        }
    }
}

/// Who gets the mails, and the warning about those who do not.
fn recipients(
    notifications: Option<&Notifications>,
    rules: &Rules,
) -> (Vec<Address>, Vec<Warning>) {
    let named = notifications.map_or(&[][..], |notifications| &notifications.email);
    let mut to = vec![];
    let mut refused = vec![];
    for name in named {
        match name.parse::<Address>() {
            Ok(address) if rules.domains.allow(&address) => to.push(address),
            _ => refused.push(name.as_str()),
        }
    }
    let warning = (!refused.is_empty()).then(|| {
        let refused = refused.join(", ");
        warnings::of(
            Reason::MailRecipientRefused,
            format!("spec.notifications.email: no mail is sent to {refused}, because the operator does not send to that domain."),
        )
    });
    (to, warning.into_iter().collect())
}

/// When fewer than `ceiling` mails were sent within the hour; `None` when that is so now.
fn room_at(mut sent_at: Vec<Timestamp>, ceiling: usize) -> Option<Timestamp> {
    sent_at.sort_unstable();
    let over = sent_at.len().checked_sub(ceiling)?;
    sent_at.get(over).map(|at| later(*at, CEILING_WINDOW))
}

/// Characters that may stand in a Message-ID.
fn id_part(text: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    text.chars().filter(plain).collect()
}

fn later(at: Timestamp, wait: Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}
