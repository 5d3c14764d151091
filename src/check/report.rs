//! The result of a check, for humans and for programs.

use std::fmt::Write;

use kube::ResourceExt;

use crate::api::conditions::{CALL_CENTERS_VERIFIED, READY, Truth};
use crate::api::{SalesforceIntegration, SalesforceIntegrationStatus, conditions};

pub(crate) fn is_ready(status: &SalesforceIntegrationStatus) -> bool {
    conditions::is_true(&status.conditions, READY)
}

pub(crate) fn json(status: &SalesforceIntegrationStatus) -> String {
    // A status is plain data: it always has a JSON form.
    serde_json::to_string_pretty(status)
        .map(|text| text + "\n")
        .unwrap_or_default()
}

pub(crate) fn text(
    resource: &SalesforceIntegration,
    status: &SalesforceIntegrationStatus,
    hint: Option<&str>,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, resource, status);
    if let Some(hint) = hint {
        text += &format!("\n  {hint}\n");
    }
    text
}

fn write(
    text: &mut String,
    resource: &SalesforceIntegration,
    status: &SalesforceIntegrationStatus,
) -> std::fmt::Result {
    let ready = conditions::verdict(&status.conditions, READY);
    let reason = ready.map_or_else(String::new, |ready| ready.reason.to_string());
    let verdict = if is_ready(status) {
        "healthy"
    } else {
        "not healthy"
    };
    writeln!(text, "{}: {verdict} ({reason})\n", resource.name_any())?;
    // The first line already reports Ready. What only a cluster can decide is shown when it fails
    // without one.
    for condition in conditions::ORDER
        .iter()
        .filter_map(|type_| conditions::find(&status.conditions, type_))
        .filter(|condition| {
            !conditions::OF_THE_CLUSTER.contains(&condition.type_.as_str())
                || condition.status == Truth::False.as_str()
        })
        .chain(conditions::find(&status.conditions, CALL_CENTERS_VERIFIED))
    {
        writeln!(
            text,
            "  {:<22} {:<8} {:<20} {}",
            condition.type_, condition.status, condition.reason, condition.message
        )?;
    }
    if let Some(organization) = &status.organization {
        let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        writeln!(
            text,
            "\n  Org       {} ({}), {}, instance {}{}",
            or_dash(&organization.name),
            organization.id,
            or_dash(&organization.edition),
            or_dash(&organization.instance),
            if organization.sandbox {
                ", sandbox"
            } else {
                ""
            }
        )?;
    }
    if let Some(username) = status
        .connection
        .as_ref()
        .and_then(|connection| connection.username.as_ref())
    {
        writeln!(text, "  User      {username}")?;
    }
    if let Some(usage) = &status.api_usage {
        writeln!(
            text,
            "  API use   {} of {} requests in 24 hours ({} %)",
            usage.used, usage.limit, usage.percent
        )?;
    }
    for warning in &status.warnings {
        writeln!(
            text,
            "\n  Warning: {}: {}\n  What to do: {}",
            warning.code, warning.message, warning.remedy
        )?;
    }
    for error in &status.errors {
        writeln!(
            text,
            "\n  {}: {}\n  What to do: {}",
            error.code, error.message, error.remedy
        )?;
    }
    Ok(())
}
