//! What must hold in the end: pure rules over what was sent, told and watched.

use std::collections::BTreeMap;
use std::time::Duration;

use switchboard::directory::model::{Call, LookupState};

use super::Played;
use super::calls::{Ledger, id_of};
use super::flat::{self, Rule, Verdict};
use super::plan::Kind;
use super::tenants::{Tenant, Truth, parse_number};
use super::watch::{EVERY, Held, Life, ROLES, Watched, stalls};

/// How long a process must have lived to be judged by itself.
const GROWN_UP: Duration = Duration::from_secs(300);
/// How long after a fault a container may end because of it.
const AFTER: f64 = 60.0;
/// How many examples a finding has.
const EXAMPLES: usize = 5;

/// Own memory of a process. Half of the limit that the chart sets is the bound.
const MEMORY: Rule = Rule {
    unit: "MB",
    growth: 0.1,
    allowance: 4.0,
    bound: 256.0,
};
/// Open file descriptors of a process.
const FILES: Rule = Rule {
    unit: "descriptors",
    growth: 0.1,
    allowance: 8.0,
    bound: 512.0,
};

/// A rule, and whether it holds.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// The rule.
    pub rule: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was seen.
    pub seen: String,
}

/// A call as the directory tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Which of ours it is.
    id: Option<usize>,
    /// Org and number.
    number: Option<(usize, usize)>,
    /// The name that is shown.
    name: Option<String>,
    /// Whether its number was looked up.
    is_done: bool,
}

// === impl Finding ===

impl Finding {
    /// A rule that holds when nothing is wrong.
    pub(super) fn of(rule: &str, seen: String, wrong: &[String]) -> Self {
        let mut text = seen;
        if !wrong.is_empty() {
            let some = wrong[..wrong.len().min(EXAMPLES)].join("; ");
            text = format!("{text}; {} wrong: {some}", wrong.len());
        }
        Self {
            rule: rule.to_owned(),
            holds: wrong.is_empty(),
            seen: text,
        }
    }
}

// === impl Told ===

impl Told {
    /// What a call's entry in the history says.
    pub(super) fn of(call: &Call) -> Self {
        let e164 = call.e164.as_ref().map(ToString::to_string);
        Self {
            id: id_of(call),
            number: e164.as_deref().and_then(parse_number),
            name: call
                .contact
                .as_ref()
                .and_then(|who| who.person_name.clone()),
            is_done: call.lookup == LookupState::Done,
        }
    }
}

/// Each call that was taken is in its tenant's history once and has its name; one of a number that
/// nobody has was looked up and has none. `told` has one history for each tenant.
pub(super) fn calls(
    tenants: &[Tenant],
    truth: &Truth,
    ledger: &Ledger,
    told: &[Vec<Told>],
) -> Finding {
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<usize, Vec<(usize, &Told)>> = BTreeMap::new();
    for (tenant, history) in told.iter().enumerate() {
        for call in history {
            match call.id {
                Some(id) if id < ledger.calls.len() => {
                    seen.entry(id).or_default().push((tenant, call));
                }
                _ => wrong.push(format!(
                    "{} has a call that was never sent",
                    tenants[tenant].name
                )),
            }
        }
    }
    let (mut named, mut strangers) = (0, 0);
    for (id, sent) in ledger.calls.iter().enumerate() {
        let tenant = &tenants[sent.tenant];
        let entries = seen.get(&id).map(Vec::as_slice).unwrap_or_default();
        let name = truth.name(tenant.org, sent.number);
        let fault = match entries {
            [] if sent.taken.is_none() => None,
            [] => Some("is lost".to_owned()),
            [(whose, told)]
                if *whose != sent.tenant || told.number != Some((tenant.org, sent.number)) =>
            {
                Some("is another one's".to_owned())
            }
            [(_, told)] if told.name.as_deref() != name => {
                Some(format!("has the name {:?} and not {name:?}", told.name))
            }
            [(_, told)] if name.is_none() && !told.is_done => Some("was not looked up".to_owned()),
            [_] => None,
            more => Some(format!("is there {} times", more.len())),
        };
        match fault {
            Some(fault) => wrong.push(format!("call {id} of {} {fault}", tenant.name)),
            None if name.is_some() => named += 1,
            None => strangers += 1,
        }
    }
    let rule = "Each call that was taken is in the history once, under its name";
    let seen = format!("{named} with their names, {strangers} of numbers that nobody has");
    Finding::of(rule, seen, &wrong)
}

/// No container was started again but those that a fault ended.
pub(super) fn restarts(watched: &Watched, played: &[Played]) -> Finding {
    let (mut wrong, mut excused) = (Vec::new(), 0);
    let stalls = stalls(&watched.seen);
    for restart in &watched.restarts {
        // Who cannot renew its Lease ends, so that it never acts beside the next leader.
        let is_due = |from: f64, to: f64| (from..=to + AFTER).contains(&restart.at);
        let by_fault = played.iter().any(|fault| {
            matches!(fault.kind, Kind::LeaderFrozen | Kind::ApiServerAway)
                && is_due(fault.began, fault.ended)
        });
        let by_stall = stalls.iter().any(|(from, to)| is_due(*from, *to));
        let is_due = restart.pod.contains("controller") && (by_fault || by_stall);
        if is_due {
            excused += 1;
        } else {
            wrong.push(format!(
                "{} at {:.0} s ({})",
                restart.pod, restart.at, restart.end
            ));
        }
    }
    let rule = "No container was started again, but controllers that had lost their Lease";
    Finding::of(rule, format!("{excused} that had"), &wrong)
}

/// Memory and descriptors are flat: of each role at any time, and of each process that lived long
/// enough.
pub(super) fn flat(watched: &Watched) -> Vec<Finding> {
    let mut findings = Vec::new();
    for role in ROLES {
        let lives: Vec<&Life> = watched
            .lives
            .values()
            .filter(|life| life.role == role)
            .collect();
        let memory = |held: &Held| held.own / 1e6;
        findings.push(of_role(role, "own memory", &lives, MEMORY, memory));
        findings.push(of_role(role, "file descriptors", &lives, FILES, |held| {
            held.files
        }));
    }
    findings
}

fn of_role(
    role: &str,
    what: &str,
    lives: &[&Life],
    rule: Rule,
    value: impl Fn(&Held) -> f64,
) -> Finding {
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    let of_all = largest(lives, &value);
    match flat::judge(&of_all, rule) {
        Some(verdict) => note("the largest", verdict, rule, &mut seen, &mut wrong),
        None => wrong.push(format!("only {} looks", of_all.len())),
    }
    let grown_up = GROWN_UP.div_duration_f64(EVERY) as usize;
    for life in lives {
        // Who begins to lead begins to watch, and holds more.
        let spans = life.held.chunk_by(|one, next| one.leads == next.leads);
        for span in spans.filter(|span| span.len() >= grown_up) {
            let series: Vec<f64> = span.iter().map(&value).collect();
            if let Some(verdict) = flat::judge(&series, rule) {
                note(&life.pod, verdict, rule, &mut seen, &mut wrong);
            }
        }
    }
    Finding::of(
        &format!("The {role}'s {what}: flat"),
        seen.join(", "),
        &wrong,
    )
}

/// The largest value of all processes at each time.
fn largest(lives: &[&Life], value: impl Fn(&Held) -> f64) -> Vec<f64> {
    let mut at_time: BTreeMap<u64, f64> = BTreeMap::new();
    for held in lives.iter().flat_map(|life| &life.held) {
        let largest = at_time.entry((held.at * 1000.0) as u64).or_default();
        *largest = largest.max(value(held));
    }
    at_time.into_values().collect()
}

fn note(
    whose: &str,
    verdict: Verdict,
    rule: Rule,
    seen: &mut Vec<String>,
    wrong: &mut Vec<String>,
) {
    let unit = rule.unit;
    match verdict {
        Verdict::Flat { from, to } => seen.push(format!("{whose} {from:.1} → {to:.1} {unit}")),
        Verdict::Grows { from, to } => {
            wrong.push(format!("{whose} grew from {from:.1} to {to:.1} {unit}"));
        }
        Verdict::TooHigh(value) => wrong.push(format!("{whose} had {value:.1} {unit}")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::calls::Sent;
    use super::super::watch::{Restart, Seen};
    use super::*;

    const NOBODY: usize = super::super::tenants::NUMBERS - 1;

    fn ledger(numbers: &[usize]) -> Ledger {
        let sent = |number: &usize| Sent {
            tenant: 1,
            number: *number,
            started: Timestamp::UNIX_EPOCH,
            taken: Some(1.0),
            named: None,
        };
        Ledger {
            calls: numbers.iter().map(sent).collect(),
            ..Ledger::default()
        }
    }

    fn told(id: usize, number: usize, name: Option<&str>) -> Told {
        Told {
            id: Some(id),
            number: Some((0, number)),
            name: name.map(str::to_owned),
            is_done: true,
        }
    }

    /// The finding about the second tenant, who uses the org of the first.
    fn judged(ledger: &Ledger, history: Vec<Told>) -> Finding {
        let mut histories = vec![Vec::new(); 20];
        histories[1] = history;
        calls(&Tenant::all(), &Truth::new(), ledger, &histories)
    }

    #[test]
    fn calls_with_their_names_are_as_they_should_be() {
        let history = vec![told(0, 5, Some("Aoi P00N05")), told(1, NOBODY, None)];
        let finding = judged(&ledger(&[5, NOBODY]), history);
        assert!(finding.holds, "{finding:?}");
        assert!(finding.seen.starts_with("1 with their names, 1 of"));
    }

    #[test]
    fn what_is_wrong_with_a_call_is_said() {
        let well = told(0, 5, Some("Aoi P00N05"));
        let pending = Told {
            is_done: false,
            ..told(0, NOBODY, None)
        };
        for (number, history, words) in [
            (5, vec![], "is lost"),
            (5, vec![well.clone(), well.clone()], "is there 2 times"),
            (5, vec![told(0, 5, None)], "has the name None"),
            (5, vec![told(0, 5, Some("Aoi P00N06"))], "has the name"),
            (6, vec![well.clone()], "is another one's"),
            (NOBODY, vec![pending], "was not looked up"),
            (NOBODY, vec![told(0, NOBODY, Some("Aoi"))], "has the name"),
            (5, vec![well, told(7, 5, None)], "never sent"),
        ] {
            let finding = judged(&ledger(&[number]), history);
            assert!(
                !finding.holds && finding.seen.contains(words),
                "{finding:?}"
            );
        }
    }

    #[test]
    fn a_call_that_was_not_taken_may_be_there_or_not() {
        let mut ledger = ledger(&[5]);
        ledger.calls[0].taken = None;
        assert!(judged(&ledger, vec![]).holds);
        assert!(judged(&ledger, vec![told(0, 5, Some("Aoi P00N05"))]).holds);
    }

    #[test]
    fn only_a_controller_without_its_lease_may_be_started_again() {
        let played = Played {
            kind: Kind::LeaderFrozen,
            began: 100.0,
            ended: 120.0,
            happened: Ok(String::new()),
        };
        for (pod, at, holds) in [
            ("switchboard-controller-1", 130.0, true),
            ("switchboard-controller-1", 50.0, false),
            ("switchboard-controller-1", 181.0, false),
            ("switchboard-directory-1", 130.0, false),
        ] {
            let restart = Restart {
                at,
                pod: pod.to_owned(),
                end: String::new(),
            };
            let watched = Watched {
                restarts: vec![restart],
                ..Watched::default()
            };
            assert_eq!(
                restarts(&watched, std::slice::from_ref(&played)).holds,
                holds,
                "{pod} {at}"
            );
        }
    }

    /// Ten minutes of processes, which lead from this look on.
    fn lives(leads_from: usize, megabytes: impl Fn(usize) -> f64) -> Watched {
        let held = |at: usize| Held {
            at: at as f64 * 5.0,
            resident: 0.0,
            own: megabytes(at) * 1e6,
            files: 20.0,
            processor: 0.0,
            leads: at >= leads_from,
        };
        let life = |role| Life {
            role,
            pod: format!("{role}-1"),
            held: (0..120).map(held).collect(),
        };
        Watched {
            lives: ROLES
                .into_iter()
                .map(life)
                .map(|life| ((life.pod.clone(), 1), life))
                .collect(),
            ..Watched::default()
        }
    }

    #[test]
    fn a_process_that_grows_is_named() {
        assert!(
            flat(&lives(0, |_| 30.0))
                .iter()
                .all(|finding| finding.holds)
        );
        let findings = flat(&lives(0, |at| 30.0 + at as f64 / 5.0));
        let wrong: Vec<&Finding> = findings.iter().filter(|finding| !finding.holds).collect();
        assert_eq!(wrong.len(), 2);
        assert!(
            wrong[0].seen.contains("controller-1 grew from"),
            "{wrong:?}"
        );
    }

    #[test]
    fn who_begins_to_lead_may_hold_more() {
        let mut watched = lives(60, |at| if at < 60 { 2.0 } else { 30.0 });
        // Another one led before it.
        let before = lives(0, |_| 30.0).lives.into_values();
        watched
            .lives
            .extend(before.map(|life| ((life.pod.clone(), 2), life)));
        let findings = flat(&watched);
        assert!(findings.iter().all(|finding| finding.holds), "{findings:?}");
    }

    #[test]
    fn a_controller_may_be_started_again_when_all_stood_still() {
        let seen = |at| Seen {
            at,
            waiting: 0,
            waiting_for_runs: 0,
            cluster: None,
        };
        let restart = Restart {
            at: 155.0,
            pod: "switchboard-controller-1".to_owned(),
            end: String::new(),
        };
        let watched = |to| Watched {
            seen: vec![seen(5.0), seen(10.0), seen(to)],
            restarts: vec![restart.clone()],
            ..Watched::default()
        };
        assert!(restarts(&watched(150.0), &[]).holds);
        assert!(!restarts(&watched(20.0), &[]).holds);
        assert!(!restarts(&watched(90.0), &[]).holds);
    }

    #[test]
    fn who_was_not_watched_is_not_flat() {
        assert!(
            flat(&Watched::default())
                .iter()
                .all(|finding| !finding.holds)
        );
    }
}
