//! The places that look-ups of a company's rings have beside each other.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::queue::RINGS_OF_A_COMPANY;
use crate::company_id::CompanyId;

/// The places of the look-ups of rings that a company has at a time, and which are taken.
pub(super) type Places = Arc<Mutex<HashMap<CompanyId, [bool; RINGS_OF_A_COMPANY]>>>;

/// The place of a look-up of rings, until it is dropped. Each has a name of its own, so that none
/// takes what another one asks just now.
pub(super) struct Place {
    places: Places,
    company: CompanyId,
    number: usize,
}

// === impl Place ===

impl Place {
    /// Takes the first that is free. The queue begins no more than there are places.
    pub(super) fn take(places: &Places, company: &CompanyId) -> Self {
        let mut all = places.lock();
        let taken = all.entry(company.clone()).or_default();
        let free = taken.iter().position(|taken| !taken);
        let number = free.unwrap_or(RINGS_OF_A_COMPANY - 1);
        taken[number] = true;
        Self {
            places: Arc::clone(places),
            company: company.clone(),
            number,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.places.lock();
        if let Some(taken) = all.get_mut(&self.company) {
            taken[self.number] = false;
            if !taken.contains(&true) {
                all.remove(&self.company);
            }
        }
    }
}

/// How many places of a company are taken.
pub(super) fn taken(places: &Places, company: &CompanyId) -> usize {
    let places = places.lock();
    let taken = places.get(company).into_iter().flatten();
    taken.filter(|taken| **taken).count()
}

/// The name under which calls and rings are taken.
pub(super) fn holder(controller: &str, place: Option<&Place>) -> String {
    match place {
        None | Some(Place { number: 0, .. }) => controller.to_owned(),
        Some(place) => format!("{controller}/{}", place.number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_of_rings_at_one_time_take_under_names_of_their_own_and_the_first_under_the_controllers()
     {
        let places = Places::default();
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let name = |place: &Place| holder("controller/a", Some(place));
        let (first, second) = (Place::take(&places, &acme), Place::take(&places, &acme));
        assert_eq!(name(&first), "controller/a");
        assert_eq!(name(&second), "controller/a/1");
        assert_eq!(name(&Place::take(&places, &other)), "controller/a");
        drop(first);
        let third = Place::take(&places, &acme);
        assert_eq!(name(&third), "controller/a");
        drop((second, third));
        assert!(places.lock().is_empty());
    }
}
