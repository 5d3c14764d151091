//! The work for leased calls: numbers to look up, and calls that are done without a lookup.

use std::collections::{BTreeMap, HashSet};

use crate::directory::model::{ClaimedCall, DoneCall, Reading};
use crate::phone::{E164, Region, parse};

/// The calls of a lease, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Todo {
    /// Calls whose number was looked up earlier in this run, or is not a number to look up.
    pub(crate) done: Vec<DoneCall>,
    /// Numbers to look up, in the order in which they came.
    pub(crate) numbers: Vec<E164>,
    /// Those of them that Salesforce did not know not long ago.
    pub(crate) missed: HashSet<E164>,
    /// IDs of the calls of these numbers.
    calls: BTreeMap<E164, Vec<String>>,
}

// === impl Todo ===

impl Todo {
    /// Parses the numbers of the calls with the tenant's region, and sorts the calls.
    pub(crate) fn sort(calls: Vec<ClaimedCall>, home: &Region, resolved: &HashSet<E164>) -> Self {
        let mut todo = Self::default();
        for call in calls {
            let ClaimedCall {
                id, number, missed, ..
            } = call;
            match parse(&number, home) {
                Ok(number) if resolved.contains(&number) => {
                    todo.done.push(DoneCall {
                        id,
                        reading: Reading::E164(number),
                    });
                }
                Ok(number) => {
                    if missed {
                        todo.missed.insert(number.clone());
                    }
                    let calls = todo.calls.entry(number.clone()).or_default();
                    if calls.is_empty() {
                        todo.numbers.push(number);
                    }
                    calls.push(id);
                }
                Err(reason) => {
                    let reading = Reading::NotLookedUp(reason.to_string());
                    todo.done.push(DoneCall { id, reading });
                }
            }
        }
        todo
    }

    /// Returns the IDs of all calls of the lease.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &str> {
        let done = self.done.iter().map(|call| call.id.as_str());
        done.chain(self.calls.values().flatten().map(String::as_str))
    }

    /// Whether calls of the lease have this number.
    pub(crate) fn has_calls_of(&self, number: &E164) -> bool {
        self.calls.contains_key(number)
    }

    /// Returns the calls of numbers that have been looked up.
    pub(crate) fn done_with(&self, numbers: &[E164]) -> Vec<DoneCall> {
        numbers
            .iter()
            .flat_map(|number| {
                let calls = self
                    .calls
                    .get(number)
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                calls.iter().map(|id| DoneCall {
                    id: id.clone(),
                    reading: Reading::E164(number.clone()),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, number: &str) -> ClaimedCall {
        ClaimedCall {
            id: id.to_owned(),
            number: number.to_owned(),
            e164: None,
            started_at: jiff::Timestamp::UNIX_EPOCH,
            ended_at: None,
            missed: false,
        }
    }

    #[test]
    fn each_number_is_asked_for_once_and_what_is_none_never() {
        let resolved = HashSet::from(["+81399999999".parse().unwrap()]);
        let calls = vec![
            call("1", "03-1234-5678"),
            call("2", "110"),
            call("3", "+81312345678"),
            call("4", "0399999999"),
            call("5", "Anonymous"),
            call("6", "09012345678"),
        ];
        let todo = Todo::sort(calls, &Region::JAPAN, &resolved);
        let numbers: Vec<&str> = todo.numbers.iter().map(E164::as_str).collect();
        assert_eq!(numbers, ["+81312345678", "+819012345678"]);
        let done: Vec<&str> = todo.done.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(done, ["2", "4", "5"]);
        assert_eq!(
            todo.done[0].reading,
            Reading::NotLookedUp("it is an emergency number".to_owned())
        );
        let both = todo.done_with(&todo.numbers[..1]);
        assert_eq!(
            both.iter().map(|call| call.id.as_str()).collect::<Vec<_>>(),
            ["1", "3"]
        );
    }
}
