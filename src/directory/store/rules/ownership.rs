//! To whom a company's data belongs, and for how long it is kept.

use crate::company_id::CompanyId;
use crate::directory::model::company::{Belonging, Owner};

/// What is known of the owner of a company's data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// The integration on record.
    pub(crate) owner: Option<&'a Owner>,
    /// Whether there is data.
    pub(crate) holds_data: bool,
}

/// To whom the data belongs, seen from the integration that claims it.
///
/// - An integration of the same namespace and name is the same tenant: whoever may make it anew may
///   have read all of it before. It takes the data over.
/// - Any other one gets what is there only if it names the UID that it belonged to, which only who
///   could read that integration knows.
/// - Where there is no data, there is nothing to inherit.
pub(crate) fn belongs(
    known: &Known<'_>,
    claimant: &Owner,
    adopt: Option<&str>,
    had_tokens: bool,
    company: &CompanyId,
) -> Belonging {
    let ours = match known.owner {
        _ if !known.holds_data => true,
        Some(owner) => {
            owner.uid == claimant.uid
                || (&owner.namespace, &owner.name) == (&claimant.namespace, &claimant.name)
                || adopt == Some(owner.uid.as_str())
        }
        None => had_tokens || adopt == Some(company.as_str()),
    };
    match (ours, known.owner) {
        (true, _) => Belonging::Ours,
        (false, Some(_)) => Belonging::Another,
        (false, None) => Belonging::Nobody,
    }
}

/// The smaller number of days of what a company asks for and the operator's maximum.
pub(crate) fn shorter(own: Option<u32>, most: Option<u32>) -> Option<u32> {
    match (own, most) {
        (Some(own), Some(most)) => Some(own.min(most)),
        (own, most) => own.or(most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(uid: &str, namespace: &str, name: &str) -> Owner {
        Owner {
            uid: uid.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn judge(known: Option<&Owner>, claimant: &Owner, adopt: Option<&str>) -> Belonging {
        let known = Known {
            owner: known,
            holds_data: true,
        };
        belongs(&known, claimant, adopt, false, &"acme".parse().unwrap())
    }

    #[test]
    fn data_goes_to_who_left_it_to_the_same_name_and_to_who_names_its_uid() {
        let left = owner("u1", "acme", "link");
        for (claimant, adopt, expected) in [
            (owner("u1", "acme", "link"), None, Belonging::Ours),
            (owner("u2", "acme", "link"), None, Belonging::Ours),
            (owner("u2", "acme", "other"), None, Belonging::Another),
            (owner("u2", "eve", "link"), None, Belonging::Another),
            (owner("u2", "eve", "link"), Some("true"), Belonging::Another),
            (owner("u2", "eve", "link"), Some("acme"), Belonging::Another),
            (owner("u2", "eve", "link"), Some("u2"), Belonging::Another),
            (owner("u2", "eve", "link"), Some("u1"), Belonging::Ours),
        ] {
            let found = judge(Some(&left), &claimant, adopt);
            assert_eq!(found, expected, "{claimant:?} {adopt:?}");
        }
    }

    #[test]
    fn data_of_nobody_on_record_goes_to_who_had_its_tokens_or_adopts_it() {
        let eve = owner("u2", "eve", "link");
        assert_eq!(judge(None, &eve, None), Belonging::Nobody);
        assert_eq!(judge(None, &eve, Some("u1")), Belonging::Nobody);
        assert_eq!(judge(None, &eve, Some("acme")), Belonging::Ours);
        let known = Known {
            owner: None,
            holds_data: true,
        };
        let company = "acme".parse().unwrap();
        assert_eq!(belongs(&known, &eve, None, true, &company), Belonging::Ours);
        let left = owner("u1", "acme", "link");
        let empty = Known {
            owner: Some(&left),
            holds_data: false,
        };
        assert_eq!(
            belongs(&empty, &eve, None, false, &company),
            Belonging::Ours,
            "there is nothing to inherit"
        );
    }

    #[test]
    fn the_shorter_retention_counts() {
        assert_eq!(shorter(None, None), None);
        assert_eq!(shorter(Some(9), None), Some(9));
        assert_eq!(shorter(None, Some(7)), Some(7));
        assert_eq!(shorter(Some(9), Some(7)), Some(7));
        assert_eq!(shorter(Some(3), Some(7)), Some(3));
    }
}
