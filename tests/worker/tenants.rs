//! Tests of many tenants in one org: each stays within its share of the API requests, by the org's
//! own count.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use salesforce_simulator::{Org, Simulator, User, World};
use switchboard::decide::rules::budget::{self, Budget, Spender};
use switchboard::directory::model::LookupState;
use switchboard::run::Outcome;

use crate::bed::{Bed, PASSWORD, contacts, numbers};

const TENANTS: u64 = 20;
/// The default share of each tenant.
const PERCENT: u64 = 20;
/// Calls of each tenant; with these settings they need more requests than one allowance.
const CALLS: usize = 500;
/// Requests that each tenant used on the previous day.
const EARLIER: u64 = 560;

/// A tenant, and the state that the controller keeps for it.
struct Tenant {
    bed: Bed,
    budget: Budget,
    now: Timestamp,
}

impl Tenant {
    /// Runs a worker with the allowance of the budget. Returns the outcome and the org's count of
    /// requests.
    async fn run(&mut self, salesforce: &Simulator, org: &str) -> (Outcome, u64) {
        let before = salesforce.used(org).unwrap();
        let allowance = self.budget.allowance(self.now, 0);
        self.bed.settings["maxApiCalls"] = allowance.into();
        let report = self.bed.run("sync").await.report.unwrap();
        let counted = salesforce.used(org).unwrap() - before;
        assert!(counted <= allowance, "{counted} of {allowance}");
        assert_eq!(
            report.api_calls, counted,
            "the report tells what the org counts"
        );
        budget::spend(
            &mut self.budget.spent,
            self.now,
            report.api_calls,
            Spender::Run,
        );
        let used = budget::total(&self.budget.spent, self.now);
        assert!(used <= self.budget.share, "{used} of {}", self.budget.share);
        (report.outcome, counted)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_tenants_of_a_developer_org_stay_within_their_shares_by_the_orgs_count() {
    let numbers = numbers(CALLS);
    let user = |tenant: u64| format!("integration-{tenant}@acme.example");
    let org = (0..TENANTS).fold(Org::developer("acme"), |org, tenant| {
        org.user(User::integration(&user(tenant)).password(PASSWORD))
    });
    let org = org.records("Contact", contacts(&numbers));
    let salesforce = Arc::new(Simulator::start(World::new().org(org)).await.unwrap());
    let limit = salesforce.read(|world| world.orgs[0].allocation());
    assert_eq!(limit, 15_000);
    salesforce.set_used("acme", TENANTS * EARLIER).unwrap();
    let share = budget::share(limit, PERCENT, PERCENT * (TENANTS - 1));
    assert_eq!(share, 750);
    let mut tenants = vec![];
    for tenant in 0..TENANTS {
        let mut bed = Bed::of(Arc::clone(&salesforce), &user(tenant)).await;
        bed.settings["urlLength"] = serde_json::json!({"bytes": 2_048, "refused": 2_100});
        bed.calls_from(&numbers).await;
        let mut budget = Budget {
            share,
            proofs_a_day: budget::proofs_a_day(Duration::from_secs(1_800)),
            for_rings: 0,
            spent: vec![],
            runs_at_once: 1,
        };
        let now = salesforce.now();
        budget::spend(&mut budget.spent, now, EARLIER, Spender::Run);
        tenants.push(Tenant { bed, budget, now });
    }
    for tenant in &mut tenants {
        let (outcome, counted) = tenant.run(&salesforce, "acme").await;
        assert_eq!(outcome, Outcome::BudgetExhausted);
        assert!(counted > 0);
        // The budget is used up, so a further run sends no request.
        let (outcome, counted) = tenant.run(&salesforce, "acme").await;
        assert_eq!((outcome, counted), (Outcome::BudgetExhausted, 0));
    }
    assert!(salesforce.used("acme").unwrap() <= limit);
    salesforce.advance(SignedDuration::from_hours(25));
    for tenant in &mut tenants {
        tenant.now = salesforce.now();
        let (outcome, _) = tenant.run(&salesforce, "acme").await;
        assert_eq!(outcome, Outcome::Succeeded, "the next day finishes");
        let history = tenant.bed.history().await;
        assert_eq!(history.len(), CALLS);
        assert!(history.iter().all(|call| call.lookup == LookupState::Done));
    }
    assert!(salesforce.used("acme").unwrap() <= limit);
}
