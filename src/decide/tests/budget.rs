//! The budget: the size of each share, that it is kept over a rolling day in all cases, and the
//! messages to the tenant.

use super::*;
use crate::api::API_CALLS;
use crate::api::status::{QueryUrlLength, Spending};
use crate::decide::rules::budget;
use crate::decide::rules::budget::{Budget, Spender};

pub(crate) const DAY: i64 = 24 * 3600;

/// A healthy integration of an org with that limit.
fn world(limit: u64) -> World {
    let mut world = World::new();
    world.step(Ok(of_org(limit, 0)));
    world
}

pub(crate) fn of_org(limit: u64, now: i64) -> Findings {
    let usage = Usage {
        used: 18,
        limit,
        observed_at: at(now),
    };
    Findings {
        usage: Some(usage),
        ..findings()
    }
}

/// A run that reported this number of API calls.
pub(crate) fn run(
    world: &World,
    job: &str,
    second: i64,
    outcome: Outcome,
    api_calls: u64,
) -> EndedRun {
    let kind = match world.resource.spec.contacts.retrieval {
        Retrieval::AfterCall => RunKind::Lookup,
        _ => RunKind::Sync,
    };
    let mut report = RunReport::begin(kind, at(second - 3));
    report.outcome = outcome;
    report.api_calls = api_calls;
    let outcome = match outcome {
        Outcome::Succeeded => "Succeeded",
        _ => "BudgetExhausted",
    };
    EndedRun {
        kind,
        report: Some(report),
        ..ended(job, second, outcome)
    }
}

fn status(world: &World) -> &SalesforceIntegrationStatus {
    world.resource.status.as_ref().unwrap()
}

fn used(world: &World) -> u64 {
    status(world)
        .api_usage
        .as_ref()
        .unwrap()
        .by_this_integration
}

fn warned(world: &World) -> Vec<&str> {
    let warnings = status(world).warnings.iter();
    warnings.map(|warning| warning.code.as_str()).collect()
}

/// Returns the number of API calls that the next scheduled run may make. The annotation of its Job
/// and its settings must both state it.
pub(crate) fn allowance(world: &World) -> Option<u64> {
    let template = &world.cron_jobs.first()?.spec.as_ref()?.job_template;
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    let calls: u64 = annotations.get(API_CALLS)?.parse().unwrap();
    let pod = template.spec.as_ref()?.template.spec.as_ref()?;
    let settings = pod.containers[0].env.as_ref()?[0].value.clone()?;
    assert!(
        settings.contains(&format!("\"maxApiCalls\":{calls}")),
        "{settings}"
    );
    Some(calls)
}

#[test]
fn integrations_of_one_org_share_what_there_is() {
    for (limit, percent, others, share) in [
        (100_000, 20, 0, 20_000),
        (100_000, 20, 80, 20_000),
        (100_000, 100, 0, 100_000),
        (15_000, 20, 19 * 20, 750),
        (15_000, 60, 60, 7_500),
        (15_000, 1, 200, 74),
        (10, 1, 0, 1),
        (u64::MAX, 100, u64::MAX, 100),
    ] {
        assert_eq!(
            budget::share(limit, percent, others),
            share,
            "{percent} % of {limit} beside {others} %"
        );
    }
}

#[test]
fn requests_count_for_a_day_and_take_little_room() {
    let mut spent: Vec<Spending> = vec![];
    for minute in (0..3 * DAY).step_by(600) {
        budget::spend(&mut spent, at(minute), 2, Spender::Proof);
        budget::forget(&mut spent, at(minute));
    }
    let now = 3 * DAY - 600;
    assert!(spent.len() <= 25, "{}", spent.len());
    let exact = 2 * 24 * 6;
    let counted = budget::total(&spent, at(now));
    assert!(
        (exact..=exact + 12).contains(&counted),
        "at most an hour too much: {counted}"
    );
    assert_eq!(budget::total(&spent, at(now + DAY - 1)), 12);
    assert_eq!(budget::total(&spent, at(now + DAY)), 0);
    // Requests that are reported late are added to their own hour.
    budget::spend(&mut spent, at(now - 7200), 5, Spender::Run);
    assert!(spent.is_sorted_by(|newer, older| newer.at > older.at));
    assert_eq!(budget::total(&spent, at(now)), counted + 5);
}

proptest::proptest! {
    /// Salesforce counts to the minute. The count here drops no request earlier, and keeps none an
    /// hour longer.
    #[test]
    fn the_count_is_never_below_salesforces_own(made in proptest::collection::vec((0..3 * DAY, 1..50_u64), 0..200)) {
        let mut made = made;
        made.sort_unstable();
        let now = made.last().map_or(0, |(second, _)| *second);
        let mut spent = vec![];
        for (second, calls) in &made {
            budget::spend(&mut spent, at(*second), *calls, Spender::Run);
            budget::forget(&mut spent, at(*second));
        }
        let since = |first: i64| -> u64 {
            let counted = made.iter().filter(|(second, _)| *second > first);
            counted.map(|(_, calls)| calls).sum()
        };
        let counted = budget::total(&spent, at(now));
        proptest::prop_assert!(counted >= since(now - DAY), "{counted}");
        proptest::prop_assert!(counted <= since(now - DAY - 3_600), "{counted}");
        proptest::prop_assert!(spent.len() <= 25, "{}", spent.len());
    }
}

#[test]
fn a_run_may_use_what_is_free_in_sixteenths_and_leaves_the_proofs_theirs() {
    let mut budget = Budget {
        share: 1_600,
        proofs_a_day: 144,
        for_rings: 0,
        spent: vec![],
        runs_at_once: 1,
    };
    assert_eq!(budget.free(at(0)), 1_456);
    assert_eq!(budget.allowance(at(0), 0), 1_400);
    assert_eq!(budget.allowance(at(0), 1_000), 400);
    budget::spend(&mut budget.spent, at(0), 100, Spender::Proof);
    assert_eq!(budget.free(at(0)), 1_456, "those were reckoned with");
    budget::spend(&mut budget.spent, at(3600), 1_400, Spender::Run);
    assert_eq!(budget.allowance(at(3600), 0), 0);
    assert_eq!(budget.room_from(at(7200)), Some(at(3600 + DAY)));
    budget.runs_at_once = 2;
    assert_eq!(budget.allowance(at(3600 + DAY), 0), 700);
    budget.for_rings = 320;
    assert_eq!(budget.free(at(3600 + DAY)), 1_456 - 320);
    assert_eq!(budget.free_for_rings(at(3600 + DAY)), 1_456);
}

#[test]
fn what_a_run_used_is_in_the_status_and_survives_a_restart() {
    let mut world = world(1_600);
    assert_eq!(used(&world), 3, "the proof counts");
    assert_eq!(status(&world).api_budget.as_ref().unwrap().share, Some(320));
    world.now = 60;
    world.ended_runs = vec![run(&world, "one", 50, Outcome::Succeeded, 40)];
    world.step(Ok(findings()));
    assert_eq!(used(&world), 43);
    world.step(Ok(findings()));
    assert_eq!(used(&world), 43, "once");
    world.now = 3_600;
    world.step(Ok(of_org(1_600, 3_600)));
    assert_eq!(used(&world), 46);
    world.now = 50 + DAY;
    world.step(Ok(of_org(1_600, 50 + DAY)));
    assert_eq!(used(&world), 6);
}

#[test]
fn a_run_without_a_report_counts_for_what_it_may_have_made() {
    let killed = EndedRun {
        allowance: Some(200),
        ..ended("killed", 50, "WorkerKilled")
    };
    assert_eq!(killed.api_calls(), 40, "it lasted three seconds");
    let long = EndedRun {
        started_at: Some(at(0)),
        ..killed.clone()
    };
    assert_eq!(long.api_calls(), 200);
    let never_began = EndedRun {
        started_at: None,
        ..killed
    };
    assert_eq!(never_began.api_calls(), 0);
}

#[test]
fn a_share_that_is_used_up_holds_the_runs_back_says_until_when_and_goes_on_then() {
    let mut world = world(1_600);
    world.resource.spec.interval = "24h".into();
    world.now = 60;
    world.ended_runs = vec![run(&world, "one", 50, Outcome::BudgetExhausted, 310)];
    let plan = world.step(Ok(findings()));
    let free_again = at(50 + DAY);
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "BudgetExhausted".into()))
    );
    assert_eq!(
        (world.condition(READY), world.condition(STALLED)),
        (Some((Truth::False, "BudgetExhausted".into())), None)
    );
    let message = conditions::verdict(&status(&world).conditions, SYNCED)
        .unwrap()
        .message;
    assert!(message.contains(&free_again.to_string()), "{message}");
    assert_eq!(world.suspended(), Some(true));
    assert_eq!(plan.status.next_run, Some(Time(free_again)));
    assert_eq!(
        plan.status.api_budget.as_ref().unwrap().resumes_at,
        Some(Time(free_again))
    );
    assert_eq!(
        (plan.status.errors.len(), plan.status.errors[0].count),
        (1, 1)
    );
    assert_eq!(warned(&world), ["ApiBudgetNearlyUsed"]);

    // Nothing changes until then, over any number of reconciles and a restart.
    world.now = DAY / 2;
    let before = world.resource.status.clone();
    let plan = world.step(Ok(of_org(1_600, DAY / 2)));
    assert_eq!(
        (world.suspended(), &world.resource.status),
        (Some(true), &before)
    );
    assert!(plan.notices.is_empty(), "{:?}", plan.notices);
    world.ask(RUN_REQUESTED_AT, "now, please");
    let plan = world.step(Ok(findings()));
    assert!(plan.run.is_none(), "{:?}", plan.run);
    assert!(
        plan.notices
            .iter()
            .any(|notice| notice.reason == "RunRefused")
    );

    world.now = 50 + DAY;
    world.step(Ok(of_org(1_600, 50 + DAY)));
    assert_eq!(world.suspended(), Some(false));
    assert!(allowance(&world).unwrap() > 0);
    assert_ne!(world.condition(SYNCED).unwrap().1, "RunOverdue");
    assert_eq!(warned(&world), [""; 0]);
    world.now = 120 + DAY;
    world.ended_runs = vec![run(&world, "two", 110 + DAY, Outcome::Succeeded, 1)];
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

#[test]
fn a_run_that_stops_at_its_allowance_while_more_is_free_is_followed_by_the_next() {
    let mut world = world(100_000);
    world.now = 60;
    let most = allowance(&world).unwrap();
    world.ended_runs = vec![run(&world, "one", 50, Outcome::BudgetExhausted, most)];
    let plan = world.step(Ok(findings()));
    let next = plan.status.next_run.unwrap();
    assert!(next.0 < at(400), "{}", next.0);
    assert_eq!(
        (world.suspended(), world.condition(SYNCED)),
        (Some(false), Some((Truth::False, "BudgetExhausted".into())))
    );
    let message = conditions::verdict(&status(&world).conditions, SYNCED)
        .unwrap()
        .message;
    assert!(message.contains(&next.0.to_string()), "{message}");
}

#[test]
fn a_daily_run_that_used_all_is_made_up_for_when_yesterdays_requests_are_forgotten() {
    let mut world = World::new();
    world.resource.spec.contacts.retrieval = Retrieval::Daily;
    world.resource.spec.interval = "24h".into();
    let plan = world.step(Ok(of_org(1_600, 0)));
    let start = plan.status.next_run.unwrap().0;
    let began = start.as_second() - START;
    world.now = began + 600;
    let used = allowance(&world).unwrap();
    assert_eq!(used, 300, "all but what the proofs need, in sixteenths");
    world.ended_runs = vec![run(
        &world,
        "one",
        began + 590,
        Outcome::BudgetExhausted,
        used,
    )];
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.status.next_run, Some(Time(at(began + 590 + DAY))));
    assert_eq!(world.suspended(), Some(true));
    world.now = began + 590 + DAY;
    world.step(Ok(of_org(1_600, world.now)));
    assert_eq!(
        world.suspended(),
        Some(false),
        "the start ten minutes ago is within the CronJob's deadline"
    );
}

#[test]
fn a_run_on_request_and_one_by_the_clock_are_not_given_the_same_requests() {
    let mut world = world(1_600);
    world.ask(RUN_REQUESTED_AT, "one");
    let by_clock = allowance(&world).unwrap();
    let plan = world.step(Ok(findings()));
    let job = plan.run.unwrap();
    let on_request: u64 = job.annotations()[API_CALLS].parse().unwrap();
    world.active_jobs = vec![Arc::new(job)];
    world.step(Ok(findings()));
    let beside = allowance(&world).unwrap();
    assert!(beside < by_clock, "{beside}");
    assert!(on_request + 2 * beside <= 320 - 3, "{on_request} {beside}");
}

#[test]
fn a_run_that_is_asked_for_while_another_may_use_all_starts_when_that_one_has_ended() {
    let mut world = World::new();
    world.resource.spec.contacts.retrieval = Retrieval::Daily;
    world.step(Ok(of_org(1_600, 0)));
    world.ask(RUN_REQUESTED_AT, "one");
    let first = world.step(Ok(findings())).run.unwrap();
    let name = first.name_any();
    world.active_jobs = vec![Arc::new(first)];
    world.ask(RUN_REQUESTED_AT, "two");
    world.now = 20;
    let plan = world.step(Ok(findings()));
    assert!(plan.run.is_none() && plan.notices.is_empty());
    assert_eq!(plan.status.last_handled_run_at.as_deref(), Some("one"));
    world.now = 60;
    world.active_jobs = vec![];
    world.ended_runs = vec![run(&world, &name, 50, Outcome::Interrupted, 1)];
    let plan = world.step(Ok(findings()));
    assert!(plan.run.is_some_and(|job| job.name_any() != name));
    assert_eq!(plan.status.last_handled_run_at.as_deref(), Some("two"));
}

#[test]
fn at_four_fifths_of_its_share_an_integration_is_warned_once() {
    let mut world = world(1_600);
    world.resource.spec.interval = "24h".into();
    world.now = 60;
    world.ended_runs = vec![run(&world, "one", 50, Outcome::Succeeded, 250)];
    world.step(Ok(findings()));
    assert_eq!(warned(&world), [""; 0]);
    world.now = 120;
    world
        .ended_runs
        .push(run(&world, "two", 110, Outcome::Succeeded, 4));
    let plan = world.step(Ok(findings()));
    assert_eq!(warned(&world), ["ApiBudgetNearlyUsed"]);
    let warning_notices = |plan: &Plan| {
        let notices = plan.notices.iter();
        notices
            .filter(|notice| notice.reason == "ApiBudgetNearlyUsed")
            .count()
    };
    assert_eq!(warning_notices(&plan), 1);
    let plan = world.step(Ok(findings()));
    assert_eq!((warning_notices(&plan), warned(&world).len()), (0, 1));
}

#[test]
fn shares_that_add_up_to_more_than_there_is_are_scaled_and_said() {
    let mut world = World::new();
    world.neighbours = Neighbours {
        count: 19,
        names: vec!["b".into()],
        percent: 380,
    };
    world.step(Ok(of_org(15_000, 0)));
    assert_eq!(status(&world).api_budget.as_ref().unwrap().share, Some(750));
    assert_eq!(warned(&world), ["ApiBudgetsOverbooked"]);
    let shared = status(&world)
        .organization
        .as_ref()
        .unwrap()
        .shared_with
        .clone()
        .unwrap();
    assert_eq!(
        (shared.names, shared.integrations),
        (vec!["b".to_owned()], 19)
    );
}

#[test]
fn another_org_is_counted_anew() {
    let mut world = world(1_600);
    world.now = 60;
    world.ended_runs = vec![run(&world, "one", 50, Outcome::Succeeded, 200)];
    world.step(Ok(findings()));
    world.credentials = available("f2");
    world.now = 120;
    let mut moved = of_org(1_600, 120);
    moved.organization.id = "00D000000000002EAA".into();
    world.step(Ok(moved));
    assert_eq!(used(&world), 3);
}

#[test]
fn a_steady_flow_of_runs_rewrites_the_cron_job_rarely() {
    let mut world = world(15_000);
    let mut templates = vec![allowance(&world)];
    let mut proofs = 0;
    for minute in (5..2 * 24 * 60).step_by(5) {
        world.now = minute * 60;
        let job = format!("run-{minute}");
        world.ended_runs = vec![run(&world, &job, world.now - 10, Outcome::Succeeded, 2)];
        world.step(Ok(of_org(15_000, world.now)));
        proofs = world.proofs;
        templates.push(allowance(&world));
    }
    templates.dedup();
    // The runs stand for most of them.
    assert!(proofs >= 8, "{proofs}");
    assert!(
        templates.len() <= 8,
        "{} writes for 576 runs and {proofs} proofs",
        templates.len()
    );
}

#[test]
fn a_refused_url_length_is_tried_again_after_a_week() {
    let known = |second| QueryUrlLength {
        bytes: 8_192,
        refused: Some(16_384),
        refused_at: Some(Time(at(second))),
    };
    let mut recent = known(90);
    budget::forget_url_refusal(&mut recent, at(100));
    assert_eq!(recent, known(90));
    let mut old = known(100 - 8 * DAY);
    budget::forget_url_refusal(&mut old, at(100));
    assert_eq!(
        (old.bytes, old.refused, old.refused_at),
        (8_192, None, None)
    );
}

#[test]
fn the_url_length_that_worked_is_given_to_the_next_run() {
    let mut world = world(100_000);
    world.now = 60;
    let mut ended = run(&world, "one", 50, Outcome::Succeeded, 1);
    ended.report.as_mut().unwrap().url_length = Some(crate::resolve::UrlLength {
        bytes: 65_536,
        refused: Some(200_000),
    });
    world.ended_runs = vec![ended];
    let plan = world.step(Ok(findings()));
    let template = serde_json::to_string(&plan.cron_job).unwrap();
    assert!(
        template.contains(r#"\"urlLength\":{\"bytes\":65536,\"refused\":200000}"#),
        "{template}"
    );
    // The length stays when the connection is proved again.
    world.now = 3_600;
    world.step(Ok(of_org(100_000, 3_600)));
    let organization = status(&world).organization.as_ref().unwrap();
    assert_eq!(
        organization.query_url_length.as_ref().unwrap().bytes,
        65_536
    );
}
