//! Many tenants of one org, over days.

use super::budget::{DAY, allowance, of_org, run};
use super::*;
use crate::decide::rules::budget;
use crate::decide::rules::schedule::Cadence;

/// Each run uses all that it may, over three days.
#[test]
fn twenty_greedy_tenants_of_a_developer_org_stay_within_their_shares_in_any_24_hours() {
    const LIMIT: u64 = 15_000;
    let share = budget::share(LIMIT, 20, 380);
    let mut made: Vec<Vec<(i64, u64)>> = vec![];
    for tenant in 0..20 {
        let mut world = World::new();
        world.resource.metadata.uid = Some(format!("uid-{tenant}"));
        world.neighbours.count = 19;
        world.neighbours.percent = 380;
        let mut calls = vec![];
        let mut next_reconcile = 0;
        for minute in 0..3 * 24 * 60 {
            world.now = minute * 60;
            let settings = Settings::read(&world.resource.spec).unwrap();
            let cadence = Cadence::of(&settings, &world.uid(), Duration::from_secs(1_800));
            let due = cadence
                .and_then(|cadence| cadence.next(at(world.now - 60), &jiff::tz::TimeZone::UTC));
            world.ended_runs.clear();
            if due == Some(at(world.now)) && world.suspended() == Some(false) {
                let most = allowance(&world).unwrap();
                calls.push((world.now, most));
                let job = format!("run-{minute}");
                world.now += 40;
                world.ended_runs =
                    vec![run(&world, &job, world.now, Outcome::BudgetExhausted, most)];
            } else if world.now < next_reconcile {
                continue;
            }
            let before = world.proofs;
            let plan = world.step(Ok(of_org(LIMIT, world.now)));
            next_reconcile = world.now + plan.requeue_after.as_secs() as i64;
            if world.proofs > before {
                calls.push((world.now, 3));
            }
        }
        made.push(calls);
    }
    for (tenant, calls) in made.iter().enumerate() {
        for (second, _) in calls {
            let window = (second - DAY + 1)..=*second;
            let used: u64 = calls
                .iter()
                .filter(|(at, _)| window.contains(at))
                .map(|(_, calls)| calls)
                .sum();
            assert!(used <= share, "tenant {tenant} made {used} by {second}");
        }
        let last_day: u64 = calls
            .iter()
            .filter(|(at, _)| *at >= 2 * DAY)
            .map(|(_, calls)| calls)
            .sum();
        assert!(
            last_day > share / 2,
            "tenant {tenant} was let make {last_day}"
        );
    }
}
