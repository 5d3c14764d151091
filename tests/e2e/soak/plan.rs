//! Which fault comes when: a pure function of seed and length.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Time before the first fault, in which all is well.
const WARM_UP: Duration = Duration::from_secs(60);
/// Seconds between the end of a fault and the next one, in a run of half an hour.
const PAUSE: std::ops::RangeInclusive<u64> = 25..=60;
/// The length for which [`PAUSE`] is meant. Pauses grow with the length, so that processes grow old
/// in a long run.
const SHORT: Duration = Duration::from_secs(30 * 60);
/// How much pauses grow at most.
const LONGEST_PAUSE: u32 = 8;
/// The longest calm at the end.
const LONGEST_CALM: Duration = Duration::from_secs(3600);

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The pod of the leading controller is killed.
    LeaderKilled,
    /// The process of the leading controller stands still for longer than its Lease lasts.
    LeaderFrozen,
    /// The pod of the directory is killed.
    DirectoryKilled,
    /// Connections to Salesforce are cut.
    SalesforceAway,
    /// Salesforce answers look-ups late.
    SalesforceSlow,
    /// Salesforce answers 503.
    SalesforceUnavailable,
    /// What stands before Salesforce answers 429.
    SalesforceTooMany,
    /// An org has no API requests left.
    SalesforceLimit,
    /// Salesforce ends all sessions.
    SessionsEnded,
    /// A tenant writes a wrong password into its Secret, and the right one again.
    PasswordMistyped,
    /// A password is changed in Salesforce; the Secret follows later.
    PasswordChanged,
    /// The API server is killed.
    ApiServerAway,
    /// The kubelet is restarted.
    KubeletRestarted,
    /// The release is upgraded with other values.
    ChartUpgraded,
    /// An integration is deleted and made again.
    TenantMadeAgain,
    /// An integration is edited, and edited back.
    SpecEdited,
    /// A contact gets another name in Salesforce.
    ContactRenamed,
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// What it is.
    pub kind: Kind,
    /// When it begins, since the beginning of the soak.
    pub begins: Duration,
    /// How long it lasts. What must wait for something, such as for a new pod, may take longer.
    pub lasts: Duration,
    /// Says whom it strikes.
    pub whom: usize,
}

// === impl Kind ===

impl Kind {
    /// All kinds.
    pub(super) const ALL: [Self; 17] = [
        Self::LeaderKilled,
        Self::LeaderFrozen,
        Self::DirectoryKilled,
        Self::SalesforceAway,
        Self::SalesforceSlow,
        Self::SalesforceUnavailable,
        Self::SalesforceTooMany,
        Self::SalesforceLimit,
        Self::SessionsEnded,
        Self::PasswordMistyped,
        Self::PasswordChanged,
        Self::ApiServerAway,
        Self::KubeletRestarted,
        Self::ChartUpgraded,
        Self::TenantMadeAgain,
        Self::SpecEdited,
        Self::ContactRenamed,
    ];

    /// The words for it in the report.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::LeaderKilled => "leader killed",
            Self::LeaderFrozen => "leader stands still",
            Self::DirectoryKilled => "directory killed",
            Self::SalesforceAway => "Salesforce away",
            Self::SalesforceSlow => "Salesforce slow",
            Self::SalesforceUnavailable => "Salesforce: 503",
            Self::SalesforceTooMany => "Salesforce: 429",
            Self::SalesforceLimit => "Salesforce: no requests left",
            Self::SessionsEnded => "sessions ended",
            Self::PasswordMistyped => "password mistyped",
            Self::PasswordChanged => "password changed",
            Self::ApiServerAway => "API server away",
            Self::KubeletRestarted => "kubelet restarted",
            Self::ChartUpgraded => "chart upgraded",
            Self::TenantMadeAgain => "tenant made again",
            Self::SpecEdited => "spec edited",
            Self::ContactRenamed => "contact renamed",
        }
    }

    /// Seconds that it lasts. What is done at once lasts none.
    fn seconds(self) -> std::ops::RangeInclusive<u64> {
        match self {
            Self::LeaderFrozen => 17..=22,
            Self::SalesforceAway
            | Self::SalesforceSlow
            | Self::SalesforceUnavailable
            | Self::SalesforceTooMany
            | Self::SalesforceLimit => 15..=45,
            Self::PasswordMistyped | Self::PasswordChanged | Self::SpecEdited => 10..=30,
            Self::ApiServerAway | Self::TenantMadeAgain => 2..=12,
            Self::LeaderKilled
            | Self::DirectoryKilled
            | Self::SessionsEnded
            | Self::KubeletRestarted
            | Self::ChartUpgraded
            | Self::ContactRenamed => 0..=0,
        }
    }
}

/// The calm at the end of a soak of this length, in which calls go on and nothing fails.
pub(super) fn calm(length: Duration) -> Duration {
    (length / 5).min(LONGEST_CALM)
}

/// The faults of a soak. They do not overlap, and each kind comes once before any comes again.
pub(super) fn plan(seed: u64, length: Duration) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed);
    let stretch = length
        .div_duration_f64(SHORT)
        .clamp(1.0, f64::from(LONGEST_PAUSE));
    let last = length.saturating_sub(calm(length));
    let mut planned = Vec::new();
    let mut at = WARM_UP.min(length / 10);
    loop {
        let mut round = Kind::ALL;
        round.shuffle(&mut random);
        for kind in round {
            let lasts = Duration::from_secs(random.random_range(kind.seconds()));
            if at + lasts > last {
                return planned;
            }
            planned.push(Planned {
                kind,
                begins: at,
                lasts,
                whom: random.random_range(0..usize::from(u16::MAX)),
            });
            at += lasts + Duration::from_secs(random.random_range(PAUSE)).mul_f64(stretch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_AN_HOUR: Duration = Duration::from_secs(1800);
    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_seed_is_a_plan() {
        assert_eq!(plan(7, DAY), plan(7, DAY));
        assert_ne!(plan(7, DAY), plan(8, DAY));
    }

    #[test]
    fn every_kind_comes_once_before_one_comes_again() {
        for seed in 0..50 {
            for (length, rounds) in [(HALF_AN_HOUR, 1), (DAY, 3)] {
                let plan = plan(seed, length);
                for kind in Kind::ALL {
                    let times = plan.iter().filter(|fault| fault.kind == kind).count();
                    assert!(times >= rounds, "seed {seed}: {kind:?} comes {times} times");
                }
                for round in plan.chunks_exact(Kind::ALL.len()) {
                    let kinds: std::collections::HashSet<Kind> =
                        round.iter().map(|fault| fault.kind).collect();
                    assert_eq!(kinds.len(), Kind::ALL.len(), "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn faults_do_not_overlap_and_the_end_is_calm() {
        for seed in 0..50 {
            for length in [Duration::from_secs(180), HALF_AN_HOUR, DAY] {
                let plan = plan(seed, length);
                for pair in plan.windows(2) {
                    let pause = pair[1].begins - (pair[0].begins + pair[0].lasts);
                    assert!(pause >= Duration::from_secs(*PAUSE.start()), "seed {seed}");
                }
                let end = plan.last().map(|fault| fault.begins + fault.lasts).unwrap();
                assert!(end <= length - calm(length), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_run_without_time_has_no_faults() {
        assert!(plan(1, Duration::ZERO).len() <= 1);
    }
}
