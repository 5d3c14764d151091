//! Whether a series of measurements is flat: a pure rule, which says what it saw.

/// What counts as flat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// The unit, for people.
    pub unit: &'static str,
    /// How much larger than the median of the second quarter that of the last may be: 0.1 is a
    /// tenth.
    pub growth: f64,
    /// What is allowed beside that, for small values.
    pub allowance: f64,
    /// What no value may exceed.
    pub bound: f64,
}

/// What the rule says of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It does not grow.
    Flat {
        /// Median of its second quarter.
        from: f64,
        /// Median of its last quarter.
        to: f64,
    },
    /// It grows from one median to the other.
    Grows {
        /// Median of its second quarter.
        from: f64,
        /// Median of its last quarter.
        to: f64,
    },
    /// One value is over the bound.
    TooHigh(f64),
}

/// Fewer values say nothing.
pub(super) const ENOUGH: usize = 24;

/// Judges a series. The first quarter is the warm-up and counts for the bound alone. Medians leave
/// peaks out, so that a busy minute is no leak. `None` for a series that is too short.
pub(super) fn judge(series: &[f64], rule: Rule) -> Option<Verdict> {
    if series.len() < ENOUGH {
        return None;
    }
    let highest = series.iter().copied().fold(f64::MIN, f64::max);
    if highest > rule.bound {
        return Some(Verdict::TooHigh(highest));
    }
    let quarter = series.len() / 4;
    let from = median(&series[quarter..2 * quarter]);
    let to = median(&series[series.len() - quarter..]);
    Some(if to <= from * (1.0 + rule.growth) + rule.allowance {
        Verdict::Flat { from, to }
    } else {
        Verdict::Grows { from, to }
    })
}

/// The value in the middle; 0 of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// The value below which this many of a hundred are; 0 of nothing.
pub(super) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    const RULE: Rule = Rule {
        unit: "MB",
        growth: 0.1,
        allowance: 2.0,
        bound: 256.0,
    };

    fn series(seed: u64, value: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut random = StdRng::seed_from_u64(seed);
        (0..240)
            .map(|at| value(at) + random.random_range(-3.0..3.0))
            .collect()
    }

    #[test]
    fn noise_and_peaks_are_flat() {
        for seed in 0..100 {
            let peaks = series(seed, |at| if at % 20 == 0 { 90.0 } else { 40.0 });
            let verdict = judge(&peaks, RULE);
            assert!(matches!(verdict, Some(Verdict::Flat { .. })), "{verdict:?}");
        }
    }

    #[test]
    fn what_fills_up_at_first_is_flat() {
        let warm = series(1, |at| 40.0 - 30.0 / (1.0 + at as f64));
        assert!(matches!(judge(&warm, RULE), Some(Verdict::Flat { .. })));
    }

    #[test]
    fn a_leak_grows() {
        for seed in 0..100 {
            // From 40 to 60.
            let leak = series(seed, |at| 40.0 + at as f64 / 12.0);
            let verdict = judge(&leak, RULE);
            assert!(
                matches!(verdict, Some(Verdict::Grows { .. })),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn a_leak_in_steps_grows() {
        let steps = series(1, |at| 40.0 + (at / 60 * 8) as f64);
        assert!(matches!(judge(&steps, RULE), Some(Verdict::Grows { .. })));
    }

    #[test]
    fn one_value_over_the_bound_is_too_high() {
        let peak = series(1, |at| if at == 3 { 300.0 } else { 40.0 });
        assert!(matches!(judge(&peak, RULE), Some(Verdict::TooHigh(_))));
    }

    #[test]
    fn a_short_series_says_nothing() {
        assert_eq!(judge(&[1.0; ENOUGH - 1], RULE), None);
        assert_eq!(judge(&[], RULE), None);
    }

    #[test]
    fn percentiles_are_values_of_the_series() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(median(&values), 51.0);
        assert_eq!(percentile(&values, 99), 100.0);
        assert_eq!(percentile(&[5.0], 99), 5.0);
        assert_eq!(percentile(&[], 99), 0.0);
    }
}
