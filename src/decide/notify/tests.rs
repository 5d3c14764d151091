//! The rules of e-mail, told as stories over a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::settle::{Outcome, Tenant, switched_off};
use super::{Ledger, Rules};
use crate::api::conditions::{self, READY, Verdict};
use crate::api::{Language, Notifications, SalesforceIntegrationStatus};
use crate::mail::{Letter, News};
use crate::reason::{Code, Reason};
use crate::salesforce::Meaning;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn rules() -> Rules {
    Rules {
        after: Duration::from_secs(300),
        per_integration: 3,
        altogether: 20,
        storm_from: 5,
        domains: ["acme.example".parse().unwrap()].into_iter().collect(),
        language: Language::En,
        platform: vec!["platform@example.com".parse().unwrap()],
        sender: "switchboard@example.com".parse().unwrap(),
    }
}

/// Integrations under one leader, without any cluster.
struct Fleet {
    rules: Rules,
    ledger: Ledger<String>,
    statuses: BTreeMap<String, SalesforceIntegrationStatus>,
    notifications: Option<Notifications>,
    suspended: bool,
}

impl Fleet {
    fn new() -> Self {
        let notifications = Notifications {
            email: vec!["it@acme.example".into()],
            language: None,
        };
        Self {
            rules: rules(),
            ledger: Ledger::default(),
            statuses: BTreeMap::new(),
            notifications: Some(notifications),
            suspended: false,
        }
    }

    /// Sets Ready of an integration, and decides.
    fn is(&mut self, name: &str, verdict: Verdict, second: i64) -> Outcome {
        let status = self.statuses.entry(name.to_owned()).or_default();
        conditions::set(&mut status.conditions, READY, verdict, Some(1), at(second));
        self.look(name, second)
    }

    fn fails(&mut self, name: &str, reason: impl Into<Code>, second: i64) -> Outcome {
        self.is(name, Verdict::fails(reason, "It broke."), second)
    }

    fn works(&mut self, name: &str, second: i64) -> Outcome {
        self.is(name, Verdict::holds(Reason::Ready, ""), second)
    }

    /// Decides again, and writes what was decided.
    fn look(&mut self, name: &str, second: i64) -> Outcome {
        let outcome = self.decide_only(name, second);
        let key = name.to_owned();
        let status = self.statuses.get(name);
        self.ledger.written(&key, self.suspended, status);
        outcome
    }

    fn decide_only(&mut self, name: &str, second: i64) -> Outcome {
        let tenant = Tenant {
            uid: name,
            namespace: "tenant",
            name,
            company: name,
            notifications: self.notifications.as_ref(),
            time_zone: None,
            suspended: self.suspended,
        };
        let status = self.statuses.get_mut(name).unwrap();
        let key = name.to_owned();
        self.ledger
            .settle(&key, &tenant, status, &self.rules, at(second))
    }

    /// Another controller leads: it knows what the statuses say and nothing else.
    fn new_leader(&mut self) {
        self.ledger = Ledger::default();
        for (name, status) in &self.statuses {
            self.ledger.observe(name, self.suspended, Some(status));
        }
    }

    fn causes(&self, name: &str) -> Vec<String> {
        let told = self.statuses[name].notifications.as_ref();
        let causes = told.iter().flat_map(|told| &told.causes);
        causes.map(|cause| cause.code.clone()).collect()
    }
}

/// What a letter is about, in a word.
fn about(letter: &Letter) -> String {
    match &letter.news {
        News::Failing { code, again, .. } => {
            format!("{code}{}", if *again { " again" } else { "" })
        }
        News::Recovered { .. } => "recovered".into(),
        News::Storm {
            integrations,
            again,
            ..
        } => {
            format!(
                "storm of {integrations}{}",
                if *again { " again" } else { "" }
            )
        }
        News::StormOver { .. } => "storm over".into(),
    }
}

fn told(outcome: &Outcome) -> Vec<String> {
    outcome.letters.iter().map(about).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_cause_is_told_once_it_has_lasted_and_once_more_a_day() {
    let mut fleet = Fleet::new();
    let first = fleet.fails("acme", Meaning::InvalidLogin, 0);
    assert_eq!((told(&first), first.wake), (vec![], Some(at(300))));
    assert_eq!(told(&fleet.look("acme", 299)), NOTHING);
    assert_eq!(told(&fleet.look("acme", 300)), ["InvalidLogin"]);
    for second in [301, HOUR, DAY + 299] {
        assert_eq!(told(&fleet.look("acme", second)), NOTHING, "{second}");
    }
    assert_eq!(told(&fleet.look("acme", DAY + 300)), ["InvalidLogin again"]);
    assert_eq!(told(&fleet.look("acme", 2 * DAY + 299)), NOTHING);
}

#[test]
fn the_end_is_told_in_the_same_thread_once_it_has_lasted() {
    let mut fleet = Fleet::new();
    fleet.fails("acme", Meaning::InvalidLogin, 0);
    let first = fleet.look("acme", 300).letters.remove(0);
    assert_eq!(first.thread, None);
    assert_eq!(first.to[0].to_string(), "it@acme.example");
    let ready = fleet.works("acme", HOUR);
    assert_eq!((told(&ready), ready.wake), (vec![], Some(at(HOUR + 300))));
    let last = fleet.look("acme", HOUR + 300).letters.remove(0);
    assert_eq!(
        (about(&last), last.thread),
        ("recovered".into(), Some(first.id))
    );
    assert_ne!(last.id, last.id.replace(".2@", ".1@"));
    assert_eq!(told(&fleet.look("acme", HOUR + 301)), NOTHING);
    fleet.look("acme", 3 * HOUR);
    assert_eq!(
        fleet.statuses["acme"].notifications, None,
        "nothing is left"
    );
}

#[test]
fn what_passes_quickly_is_not_told_nor_is_its_end() {
    let mut fleet = Fleet::new();
    for minute in 0..20 {
        let second = minute * 5 * MINUTE;
        assert_eq!(
            told(&fleet.fails("acme", Meaning::Unreachable, second)),
            NOTHING
        );
        assert_eq!(told(&fleet.look("acme", second + 200)), NOTHING);
        assert_eq!(told(&fleet.works("acme", second + 200)), NOTHING);
    }
    assert_eq!(fleet.statuses["acme"].notifications, None);
}

#[test]
fn one_that_is_told_and_flaps_is_not_told_again_and_again() {
    let mut fleet = Fleet::new();
    fleet.fails("acme", Meaning::Unreachable, 0);
    assert_eq!(told(&fleet.look("acme", 300)), ["Unreachable"]);
    for minute in 1..60 {
        let second = minute * 10 * MINUTE;
        assert_eq!(told(&fleet.works("acme", second)), NOTHING);
        assert_eq!(
            told(&fleet.fails("acme", Meaning::Unreachable, second + 200)),
            NOTHING
        );
        assert_eq!(told(&fleet.look("acme", second + 599)), NOTHING);
    }
}

#[test]
fn another_cause_is_told_in_the_same_thread_once_it_has_lasted() {
    let mut fleet = Fleet::new();
    fleet.fails("acme", Meaning::InvalidLogin, 0);
    let first = fleet.look("acme", 300).letters.remove(0);
    assert_eq!(
        told(&fleet.fails("acme", Reason::MissingViewAll, 400)),
        NOTHING
    );
    assert_eq!(fleet.causes("acme"), ["InvalidLogin", "MissingViewAll"]);
    let second = fleet.look("acme", 700).letters.remove(0);
    assert_eq!(
        (about(&second), second.thread),
        ("MissingViewAll".into(), Some(first.id))
    );
    // Back to the first: it was told.
    assert_eq!(
        told(&fleet.fails("acme", Meaning::InvalidLogin, 800)),
        NOTHING
    );
    assert_eq!(told(&fleet.look("acme", HOUR)), NOTHING);
}

#[test]
fn a_failed_run_is_told_by_its_own_code() {
    let mut fleet = Fleet::new();
    let failed = Verdict::fails(Reason::RunFailed, "DirectoryUnavailable: No answer.");
    fleet.is("acme", failed, 0);
    let letter = fleet.look("acme", 300).letters.remove(0);
    let News::Failing { code, message, .. } = &letter.news else {
        panic!("{letter:?}");
    };
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("DirectoryUnavailable", "No answer.")
    );
    fleet.fails("birch", Reason::RunOverdue, 0);
    assert_eq!(told(&fleet.look("birch", 300)), ["RunOverdue"]);
}

#[test]
fn a_new_leader_tells_nothing_twice() {
    let mut fleet = Fleet::new();
    fleet.fails("acme", Meaning::InvalidLogin, 0);
    assert_eq!(told(&fleet.look("acme", 300)), ["InvalidLogin"]);
    fleet.new_leader();
    assert_eq!(told(&fleet.look("acme", 400)), NOTHING);
    fleet.works("acme", 500);
    fleet.new_leader();
    assert_eq!(told(&fleet.look("acme", 900)), ["recovered"]);
    fleet.new_leader();
    assert_eq!(told(&fleet.look("acme", 901)), NOTHING);
}

#[test]
fn a_suspended_integration_tells_nothing_and_neither_does_one_of_which_nothing_is_known() {
    let mut fleet = Fleet::new();
    fleet.fails("acme", Meaning::InvalidLogin, 0);
    fleet.suspended = true;
    assert_eq!(told(&fleet.look("acme", HOUR)), NOTHING);
    assert_eq!(fleet.causes("acme"), NOTHING);
    fleet.suspended = false;
    fleet.is("birch", Verdict::unknown(Reason::Pending, ""), 0);
    assert_eq!(told(&fleet.look("birch", DAY)), NOTHING);
    // While nothing is known what was told stays told.
    fleet.fails("cedar", Meaning::InvalidLogin, 0);
    fleet.look("cedar", 300);
    fleet.is("cedar", Verdict::unknown(Reason::Pending, ""), 400);
    fleet.fails("cedar", Meaning::InvalidLogin, 500);
    assert_eq!(told(&fleet.look("cedar", HOUR)), NOTHING);
}

#[test]
fn an_address_of_another_domain_gets_nothing_and_the_status_says_so() {
    let mut fleet = Fleet::new();
    let email = [
        "it@acme.example",
        "ceo@rival.example",
        "x\r\nBcc: y@acme.example",
    ];
    fleet.notifications.as_mut().unwrap().email = email.map(str::to_owned).to_vec();
    fleet.fails("acme", Meaning::InvalidLogin, 0);
    let letter = fleet.look("acme", 300).letters.remove(0);
    let to: Vec<String> = letter.to.iter().map(ToString::to_string).collect();
    assert_eq!(to, ["it@acme.example"]);
    let [warning] = fleet.statuses["acme"].warnings.as_slice() else {
        panic!("one warning");
    };
    assert_eq!(warning.code, "MailRecipientRefused");
    assert!(
        warning.message.contains("ceo@rival.example"),
        "{}",
        warning.message
    );
    fleet.notifications.as_mut().unwrap().email.truncate(1);
    fleet.look("acme", 400);
    assert!(fleet.statuses["acme"].warnings.is_empty());
}

#[test]
fn where_no_mail_is_sent_a_tenant_who_asks_for_it_reads_so() {
    let mut status = SalesforceIntegrationStatus::default();
    switched_off(&mut status, None);
    assert_eq!(status, SalesforceIntegrationStatus::default());
    switched_off(&mut status, Some(&Notifications::default()));
    assert_eq!(status.warnings[0].code, "MailNotConfigured");
    switched_off(&mut status, None);
    assert_eq!(status, SalesforceIntegrationStatus::default());
}

#[test]
fn what_many_have_at_once_is_one_mail_to_the_platform_team_and_none_to_them() {
    let mut fleet = Fleet::new();
    let names: Vec<String> = (0..1000).map(|number| format!("tenant-{number}")).collect();
    for (second, name) in (0..).zip(&names) {
        fleet.fails(name, Meaning::Unreachable, second / 4);
    }
    let mut letters = vec![];
    for (second, name) in (0..).zip(&names) {
        letters.extend(fleet.look(name, 300 + second / 4).letters);
    }
    assert_eq!(
        letters.iter().map(about).collect::<Vec<_>>(),
        ["storm of 1000"]
    );
    assert_eq!(letters[0].to[0].to_string(), "platform@example.com");
    // A new leader in the middle of it, and others that follow late.
    fleet.new_leader();
    for (second, name) in (0..).zip(&names) {
        assert_eq!(told(&fleet.look(name, 600 + second)), NOTHING);
    }
    fleet.fails("late", Meaning::SalesforceError, HOUR);
    assert_eq!(
        told(&fleet.look("late", HOUR + 300)),
        NOTHING,
        "the same outage"
    );
    fleet.fails("other", Meaning::InvalidLogin, HOUR);
    assert_eq!(told(&fleet.look("other", HOUR + 300)), ["InvalidLogin"]);
    // A day later it is told once more, and its end once.
    let again: Vec<String> = names
        .iter()
        .flat_map(|name| told(&fleet.look(name, DAY + HOUR)))
        .collect();
    assert_eq!(again, ["storm of 1001 again"]);
    for name in names.iter().chain([&"late".to_owned()]) {
        fleet.works(name, 2 * DAY);
    }
    let over: Vec<Letter> = names
        .iter()
        .chain([&"late".to_owned()])
        .flat_map(|name| fleet.look(name, 2 * DAY + 300).letters)
        .collect();
    assert_eq!(over.iter().map(about).collect::<Vec<_>>(), ["storm over"]);
    assert_eq!(over[0].thread.as_ref(), Some(&letters[0].id));
}

#[test]
fn who_is_left_when_a_storm_is_over_is_told_a_day_later() {
    let mut fleet = Fleet::new();
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        fleet.fails(name, Meaning::Unreachable, 0);
    }
    for name in names {
        fleet.look(name, 300);
    }
    for name in &names[1..] {
        fleet.works(name, HOUR);
        assert_eq!(told(&fleet.look(name, 2 * HOUR)), NOTHING);
    }
    assert_eq!(told(&fleet.look("a", DAY)), NOTHING);
    assert_eq!(told(&fleet.look("a", DAY + 300)), ["Unreachable"]);
}

#[test]
fn failures_that_are_days_apart_are_no_storm() {
    let mut fleet = Fleet::new();
    for number in 0..20 {
        let name = format!("tenant-{number}");
        let begin = number * DAY;
        fleet.fails(&name, Meaning::InvalidLogin, begin);
        assert_eq!(told(&fleet.look(&name, begin + 300)), ["InvalidLogin"]);
    }
}

#[test]
fn a_storm_whose_record_could_not_be_written_is_told_by_another() {
    let mut fleet = Fleet::new();
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        fleet.fails(name, Meaning::Unreachable, 0);
    }
    let before = fleet.statuses["a"].clone();
    assert_eq!(told(&fleet.decide_only("a", 300)), ["storm of 5"]);
    // While it is being written the others know of it, whatever a watch says.
    fleet.ledger.observe(&"a".to_owned(), false, Some(&before));
    assert_eq!(told(&fleet.look("b", 300)), NOTHING);
    fleet.statuses.insert("a".into(), before.clone());
    fleet.ledger.written(&"a".to_owned(), false, Some(&before));
    fleet.statuses.insert("b".into(), before.clone());
    fleet.ledger.written(&"b".to_owned(), false, Some(&before));
    assert_eq!(told(&fleet.look("c", 301)), ["storm of 5"]);
}

#[test]
fn the_ceiling_of_one_holds_back_and_loses_nothing() {
    let mut fleet = Fleet::new();
    let reasons = [
        Reason::SecretNotFound,
        Reason::SecretKeyMissing,
        Reason::SecretKeyInvalid,
    ];
    for (number, reason) in (0..).zip(reasons) {
        fleet.fails("acme", reason, number * 400);
        assert_eq!(told(&fleet.look("acme", number * 400 + 300)).len(), 1);
    }
    fleet.fails("acme", Meaning::InvalidLogin, 1200);
    let held = fleet.look("acme", 1500);
    assert!(held.held && held.letters.is_empty(), "{held:?}");
    assert_eq!(held.wake, Some(at(HOUR + 300)));
    // Nor is the ceiling reset by somebody who takes the addresses out and puts them in again.
    let addresses = fleet.notifications.take();
    fleet.look("acme", 1501);
    fleet.notifications = addresses;
    fleet.look("acme", 1502);
    assert!(fleet.look("acme", 1900).held);
    assert_eq!(told(&fleet.look("acme", HOUR + 300)), ["InvalidLogin"]);
}

#[test]
fn the_ceiling_of_all_holds_back_and_survives_a_new_leader() {
    let mut fleet = Fleet::new();
    let reasons: Vec<Code> = Reason::all().map(Code::from).take(30).collect();
    let mut sent = 0;
    for (number, reason) in reasons.iter().enumerate() {
        let name = format!("tenant-{number}");
        fleet.fails(&name, reason.clone(), 0);
        fleet.new_leader();
        let outcome = fleet.look(&name, 300);
        sent += outcome.letters.len();
        assert_eq!(outcome.held, number >= fleet.rules.altogether, "{number}");
    }
    assert_eq!(sent, fleet.rules.altogether);
    assert_eq!(told(&fleet.look("tenant-29", HOUR + 300)).len(), 1);
}

#[test]
fn of_an_integration_that_is_gone_nothing_is_kept() {
    let mut fleet = Fleet::new();
    fleet.fails("acme", Meaning::InvalidLogin, 0);
    fleet.look("acme", 300);
    assert!(!fleet.ledger.is_empty());
    fleet.ledger.forget(&"acme".to_owned());
    assert!(fleet.ledger.is_empty());
}

/// What happens to one of a few integrations.
#[derive(Clone, Debug)]
enum Happens {
    Fails(Meaning),
    Works,
    Unknown,
    NewLeader,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        prop::sample::select(
            &[
                Meaning::InvalidLogin,
                Meaning::Unreachable,
                Meaning::SalesforceError,
                Meaning::RequestLimitExceeded
            ][..]
        )
        .prop_map(Happens::Fails),
        Just(Happens::Works),
        Just(Happens::Unknown),
        Just(Happens::NewLeader),
    ]
}

proptest! {
    /// Whatever happens, and however often the leader changes: no more than one mail a day about
    /// one cause between two recoveries, never more than the ceilings, and no record without end.
    #[test]
    fn no_history_makes_more_mails_than_promised(steps in prop::collection::vec((0_usize..8, happens(), 1_i64..1200), 1..120)) {
        let mut fleet = Fleet::new();
        let mut now = 0;
        let mut sent: Vec<(i64, String, String)> = vec![];
        for (who, what, pause) in steps {
            now += pause;
            let name = format!("tenant-{who}");
            let outcome = match what {
                Happens::Fails(meaning) => fleet.fails(&name, meaning, now),
                Happens::Works => fleet.works(&name, now),
                Happens::Unknown => fleet.is(&name, Verdict::unknown(Reason::Pending, ""), now),
                Happens::NewLeader => {
                    fleet.new_leader();
                    continue;
                }
            };
            let mut outcomes = vec![outcome];
            let others: Vec<String> = fleet.statuses.keys().cloned().collect();
            outcomes.extend(others.iter().map(|other| fleet.look(other, now)));
            for letter in outcomes.iter().flat_map(|outcome| &outcome.letters) {
                let to = letter.to[0].to_string();
                match &letter.news {
                    News::Failing { place, code, .. } => {
                        let same = sent.iter().rev().take_while(|(_, name, what)| {
                            !(*name == place.name && what == "recovered")
                        });
                        for (when, name, what) in same {
                            prop_assert!(
                                !(*name == place.name && what == code.as_str()) || now - when >= DAY,
                                "{} was told of {} at {} and {}", name, code, when, now
                            );
                        }
                        sent.push((now, place.name.clone(), code.to_string()));
                    }
                    News::Recovered { place, .. } => sent.push((now, place.name.clone(), "recovered".into())),
                    News::Storm { .. } | News::StormOver { .. } => {
                        prop_assert_eq!(to, "platform@example.com");
                    }
                }
            }
            let hour: Vec<_> = sent.iter().filter(|(when, ..)| now - when < HOUR).collect();
            prop_assert!(hour.len() <= fleet.rules.altogether);
            for name in &others {
                let own = hour.iter().filter(|(_, of, _)| of == name).count();
                prop_assert!(own <= fleet.rules.per_integration);
                let told = fleet.statuses[name].notifications.clone().unwrap_or_default();
                prop_assert!(told.causes.len() <= 10 && told.sent_at.len() <= 60);
            }
        }
    }
}

#[test]
fn the_code_of_a_failed_run_is_its_cause_and_is_not_said_twice() {
    let told = |reason: Reason, message: &str| {
        let mut conditions = vec![];
        let verdict = Verdict::fails(reason, message);
        conditions::set(&mut conditions, READY, verdict, Some(1), at(0));
        let ready = conditions::find(&conditions, READY).unwrap();
        let cause = super::ledger::cause_of(ready);
        let message = super::ledger::message_of(ready).to_owned();
        (cause, message)
    };
    let pair = |code: &str, message: &str| (Code::from(code), message.to_owned());
    assert_eq!(
        told(Reason::RunFailed, "QueryTimeout: too long"),
        pair("QueryTimeout", "too long")
    );
    for message in ["Two words: too long", ": too long", "too long"] {
        assert_eq!(told(Reason::RunFailed, message), pair("RunFailed", message));
    }
    assert_eq!(
        told(Reason::InvalidSpec, "QueryTimeout: too long"),
        pair("InvalidSpec", "QueryTimeout: too long")
    );
}

#[test]
fn what_is_not_known_ends_nothing_that_was_told_and_begins_nothing() {
    let mut fleet = Fleet::new();
    fleet.fails("acme", Meaning::InvalidLogin, 0);
    assert_eq!(told(&fleet.look("acme", 300)), ["InvalidLogin"]);
    let unknown = || Verdict::unknown(Reason::Pending, "It is not known.");
    assert_eq!(told(&fleet.is("acme", unknown(), HOUR)), NOTHING);
    assert_eq!(told(&fleet.look("acme", 2 * HOUR)), NOTHING);
    assert_eq!(fleet.causes("acme"), ["InvalidLogin"]);
    fleet.fails("beta", Meaning::InvalidLogin, 0);
    fleet.is("beta", unknown(), 200);
    assert_eq!(fleet.causes("beta"), NOTHING, "it has not lasted");
    assert_eq!(told(&fleet.look("beta", 400)), NOTHING);
}
