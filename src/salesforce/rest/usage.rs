//! API usage as Salesforce reports it with each response, and the cost of this client itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The organization's API calls of the last 24 hours, all integrations together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Calls used. May exceed `limit`: paid organizations may run over (facts: Salesforce 2.2).
    pub used: u64,
    /// Calls allowed in 24 hours.
    pub limit: u64,
    /// The time of the response that reported it.
    pub observed_at: Timestamp,
}

/// The cost of one connection so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Log-in requests sent, accepted or not.
    pub logins: u64,
    /// API calls sent that count against the allocation.
    pub calls: u64,
}

impl Usage {
    /// Reads `Sforce-Limit-Info`: `api-usage=10018/100000`, perhaps with `; api-bursts=1/750` or
    /// `; per-app-api-usage=17/250(appName=x)`, in any order (facts: Salesforce 2.2).
    pub fn from_header(value: &str, now: Timestamp) -> Option<Self> {
        value.split([';', ',']).find_map(|part| {
            let (name, numbers) = part.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("api-usage") {
                return None;
            }
            let (used, limit) = numbers.trim().split_once('/')?;
            Some(Self {
                used: used.trim().parse().ok()?,
                limit: limit.trim().parse().ok()?,
                observed_at: now,
            })
        })
    }
}

impl Usage {
    /// The known usage after one more response. Responses to parallel requests overtake one
    /// another, so within a few seconds the higher count is the later one.
    pub(crate) fn after(self, known: Option<Self>) -> Self {
        match known {
            Some(known)
                if known.limit == self.limit
                    && known.used > self.used
                    && self.observed_at.duration_since(known.observed_at).as_secs() < 5 =>
            {
                known
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_overtaken_does_not_lower_the_count() {
        let usage = |used, second| Usage {
            used,
            limit: 100,
            observed_at: Timestamp::from_second(second).unwrap(),
        };
        assert_eq!(usage(2, 1).after(None), usage(2, 1));
        assert_eq!(usage(3, 1).after(Some(usage(2, 1))), usage(3, 1));
        assert_eq!(usage(2, 1).after(Some(usage(3, 1))), usage(3, 1));
        assert_eq!(usage(2, 9).after(Some(usage(3, 1))), usage(2, 9));
    }

    #[test]
    fn usage_is_read_from_every_known_form_of_the_header() {
        let read = |value| {
            Usage::from_header(value, Timestamp::UNIX_EPOCH).map(|usage| (usage.used, usage.limit))
        };
        assert_eq!(read("api-usage=10018/100000"), Some((10018, 100_000)));
        assert_eq!(
            read("api-usage=18/5000; api-bursts=1/750"),
            Some((18, 5000))
        );
        assert_eq!(
            read("per-app-api-usage=17/250(appName=x); api-usage=1/2"),
            Some((1, 2))
        );
        assert_eq!(read("API-Usage = 16000 / 15000"), Some((16000, 15000)));
        for broken in [
            "",
            "api-usage",
            "api-usage=",
            "api-usage=1",
            "api-usage=a/b",
            "api-usage=-1/5",
        ] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_higher_count_is_the_later_one_within_five_seconds_alone() {
        let usage = |used, limit, second| Usage {
            used,
            limit,
            observed_at: Timestamp::from_second(second).unwrap(),
        };
        let known = usage(3, 100, 10);
        for (answer, is_overtaken) in [
            (usage(2, 100, 10), true),
            (usage(2, 100, 14), true),
            (usage(2, 100, 15), false),
            // The same count again is known for longer.
            (usage(3, 100, 12), false),
            (usage(4, 100, 12), false),
            // Salesforce gave the organization another allocation.
            (usage(2, 99, 12), false),
        ] {
            let expected = if is_overtaken { known } else { answer };
            assert_eq!(answer.after(Some(known)), expected, "{answer:?}");
        }
    }
}
