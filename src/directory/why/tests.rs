//! Causes that are planted, and the one that is named.

use super::*;
use crate::directory::model::company::RetrievalMode;
use crate::directory::model::{Contact, ContactSource, Direction, LookupState, Was};
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
