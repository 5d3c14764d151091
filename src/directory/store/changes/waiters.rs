//! Requests that wait for what becomes of a ring. Each costs an entry of a table and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::company_id::CompanyId;

/// The requests that wait, and how many there may be.
#[derive(Debug)]
pub(crate) struct Waiters {
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    by_number: HashMap<(CompanyId, String), Place>,
    by_company: HashMap<CompanyId, usize>,
    count: usize,
    most: usize,
    most_of_one: usize,
}

#[derive(Debug)]
struct Place {
    told: Arc<Notify>,
    count: usize,
}

/// A request that waits. It leaves the table when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    waiters: Arc<Waiters>,
    key: (CompanyId, String),
    told: Arc<Notify>,
}

// === impl Waiters ===

impl Waiters {
    /// A table for so many requests, and so many of one company.
    pub(crate) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::new(Table {
                by_number: HashMap::new(),
                by_company: HashMap::new(),
                count: 0,
                most,
                most_of_one,
            }),
        })
    }

    /// How many requests may wait from now on, and how many of one company.
    pub(crate) fn limit(&self, most: usize, most_of_one: usize) {
        let mut table = self.table.lock();
        (table.most, table.most_of_one) = (most, most_of_one);
    }

    /// Begins to wait for a number, by its hash; `None` if too many wait.
    pub(crate) fn enter(self: &Arc<Self>, company: &CompanyId, hash: &str) -> Option<Waiter> {
        let key = (company.clone(), hash.to_owned());
        let mut table = self.table.lock();
        let of_company = table.by_company.get(company).copied().unwrap_or(0);
        if table.count >= table.most || of_company >= table.most_of_one {
            return None;
        }
        table.count += 1;
        *table.by_company.entry(company.clone()).or_default() += 1;
        let place = table.by_number.entry(key.clone()).or_insert_with(|| Place {
            told: Arc::default(),
            count: 0,
        });
        place.count += 1;
        let told = Arc::clone(&place.told);
        drop(table);
        let waiters = Arc::clone(self);
        Some(Waiter { waiters, key, told })
    }

    /// Wakes those who wait for the number.
    pub(crate) fn wake(&self, company: &CompanyId, hash: &str) {
        let table = self.table.lock();
        // The key is made anew, since a tuple cannot be borrowed in parts.
        if let Some(place) = table.by_number.get(&(company.clone(), hash.to_owned())) {
            place.told.notify_waiters();
        }
    }

    /// Wakes everybody: something was missed.
    pub(crate) fn wake_all(&self) {
        let table = self.table.lock();
        table
            .by_number
            .values()
            .for_each(|place| place.told.notify_waiters());
    }

    /// How many requests wait.
    pub(crate) fn count(&self) -> usize {
        self.table.lock().count
    }
}

// === impl Waiter ===

impl Waiter {
    /// Ready when something becomes of the number after this was called, whenever it is polled.
    pub(crate) fn told(&self) -> Notified<'_> {
        self.told.notified()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut table = self.waiters.table.lock();
        table.count = table.count.saturating_sub(1);
        let (company, _) = &self.key;
        if let Some(count) = table.by_company.get_mut(company) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                table.by_company.remove(company);
            }
        }
        if let Some(place) = table.by_number.get_mut(&self.key) {
            place.count = place.count.saturating_sub(1);
            if place.count == 0 {
                table.by_number.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn company(id: &str) -> CompanyId {
        id.parse().unwrap()
    }

    #[tokio::test]
    async fn a_waiter_is_told_of_its_number_only_and_leaves_nothing_behind() {
        let waiters = Waiters::new(10, 10);
        let (acme, birch) = (company("acme"), company("birch"));
        let one = waiters.enter(&acme, "1").unwrap();
        let same = waiters.enter(&acme, "1").unwrap();
        let others = [
            waiters.enter(&acme, "2").unwrap(),
            waiters.enter(&birch, "1").unwrap(),
        ];
        {
            let (told, told_too) = (one.told(), same.told());
            let not_told = others.each_ref().map(Waiter::told);
            waiters.wake(&acme, "1");
            futures::future::join(told, told_too).await;
            for waits in not_told {
                assert!(futures::FutureExt::now_or_never(waits).is_none());
            }
        }
        let told = one.told();
        waiters.wake_all();
        told.await;
        drop(one);
        drop(same);
        drop(others);
        let table = waiters.table.lock();
        assert!(table.by_number.is_empty() && table.by_company.is_empty());
        assert_eq!(table.count, 0);
    }

    #[test]
    fn a_company_takes_its_own_places_only() {
        let waiters = Waiters::new(5, 3);
        let (acme, birch) = (company("acme"), company("birch"));
        let held: Vec<Waiter> = (0..9).filter_map(|_| waiters.enter(&acme, "1")).collect();
        assert_eq!(held.len(), 3);
        let others: Vec<Waiter> = (0..9).filter_map(|_| waiters.enter(&birch, "1")).collect();
        assert_eq!((others.len(), waiters.count()), (2, 5));
        drop(held);
        assert!(waiters.enter(&birch, "2").is_some());
    }
}
