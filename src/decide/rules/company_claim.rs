//! The rule for company IDs: the older resource holds the ID, by creation time, then by UID.

use std::cmp::Ordering;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::SalesforceIntegration;

/// Whether a resource holds its company ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The resource holds it.
    Held,
    /// An older resource of this name in the same namespace holds it.
    TakenBy(String),
    /// An older resource in another namespace holds it. Its name is not disclosed to this tenant.
    TakenElsewhere,
}

/// Decides the claim of `resource` among all resources that claim the same company ID.
pub fn decide<'a>(
    resource: &SalesforceIntegration,
    rivals: impl IntoIterator<Item = &'a SalesforceIntegration>,
) -> Claim {
    let older = rivals
        .into_iter()
        .filter(|rival| {
            rival.uid() != resource.uid() && rival.spec.company_id == resource.spec.company_id
        })
        .filter(|rival| by_age(rival, resource) == Ordering::Less)
        .min_by(|a, b| by_age(a, b));
    match older {
        None => Claim::Held,
        Some(older) if older.namespace() == resource.namespace() => {
            Claim::TakenBy(older.name_any())
        }
        Some(_) => Claim::TakenElsewhere,
    }
}

/// When a resource was created, and its UID to decide between two of one second. The smaller one is
/// the older one.
pub(crate) type Age = (Option<Timestamp>, Option<String>);

/// The age of a resource.
pub(crate) fn age(resource: &SalesforceIntegration) -> Age {
    (
        resource.creation_timestamp().map(|time| time.0),
        resource.uid(),
    )
}

fn by_age(a: &SalesforceIntegration, b: &SalesforceIntegration) -> Ordering {
    age(a).cmp(&age(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fixtures;

    fn born(name: &str, namespace: &str, second: i64) -> SalesforceIntegration {
        let mut resource = fixtures::integration(name);
        resource.metadata.namespace = Some(namespace.into());
        resource.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                jiff::Timestamp::from_second(second).unwrap(),
            ));
        resource.spec.company_id = "acme".into();
        resource
    }

    #[test]
    fn the_older_resource_holds_the_company_id_and_strangers_stay_unnamed() {
        let (old, near, far) = (
            born("old", "a", 1),
            born("near", "a", 2),
            born("far", "b", 3),
        );
        let all = [&old, &near, &far];
        assert_eq!(decide(&old, all), Claim::Held);
        assert_eq!(decide(&near, all), Claim::TakenBy("old".into()));
        assert_eq!(decide(&far, all), Claim::TakenElsewhere);
        assert_eq!(decide(&far, [&far]), Claim::Held);
    }
}
