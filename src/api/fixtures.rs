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
