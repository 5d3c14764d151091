//! Builders for tests, with good defaults.

use super::{
    Auth, SalesforceIntegration, SalesforceIntegrationSpec, SalesforceSpec, SecretRef, UserAuth,
};

/// A healthy-looking integration in the namespace `tenant`.
pub(crate) fn integration(name: &str) -> SalesforceIntegration {
    let mut resource = SalesforceIntegration::new(
        name,
        SalesforceIntegrationSpec {
            company_id: name.into(),
            salesforce: SalesforceSpec {
                environment: Default::default(),
                login_url: None,
                api_version: "50.0".into(),
                auth: Auth {
                    password: Some(UserAuth {
                        username: format!("integration@{name}.example"),
                        secret_ref: SecretRef {
                            name: format!("{name}-salesforce"),
                        },
                    }),
                    ..Auth::default()
                },
            },
            contacts: Default::default(),
            call_centers: vec![],
            run: None,
            api_budget: Default::default(),
            notifications: None,
            deletion_policy: Default::default(),
            interval: "30m".into(),
            suspend: false,
        },
    );
    resource.metadata.namespace = Some("tenant".into());
    resource.metadata.uid = Some(format!("uid-{name}"));
    resource.metadata.generation = Some(1);
    resource
}

/// The clock of a played world: it stands still while somebody works, and leaps while all wait.
pub(crate) mod clock {
    use std::cell::Cell;

    use jiff::Timestamp;
    use tokio::time::Instant;

    thread_local! {
        static BEGAN: Cell<Option<(Instant, Timestamp)>> = const { Cell::new(None) };
    }

    /// While it lives, this thread has the time of the world.
    pub(crate) struct Played(());

    /// Begins the time of a world, within a runtime whose clock is paused.
    pub(crate) fn begin(at: Timestamp) -> Played {
        BEGAN.set(Some((Instant::now(), at)));
        Played(())
    }

    /// The time of the world, if this thread plays one.
    pub(crate) fn now() -> Option<Timestamp> {
        let (began, at) = BEGAN.get()?;
        at.checked_add(began.elapsed()).ok()
    }

    impl Drop for Played {
        fn drop(&mut self) {
            BEGAN.set(None);
        }
    }
}
