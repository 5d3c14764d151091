//! Warnings about things that work today but will stop working, or could work better.

use super::findings::{Visibility, Warning};
use super::warning_code::WarningCode;
use crate::salesforce::credentials::Method;
use crate::salesforce::credentials::environment::ApiVersion;

fn warning(code: WarningCode, message: impl Into<String>, remedy: impl Into<String>) -> Warning {
    Warning {
        code,
        message: message.into(),
        remedy: remedy.into(),
    }
}

/// The warning for a log-in method that is about to be retired (facts: Salesforce 1.1 and 1.2).
pub(crate) fn of_method(method: Method) -> Option<Warning> {
    match method {
        // https://help.salesforce.com/s/articleView?id=005132110&type=1
        Method::Password => Some(warning(
            WarningCode::SoapLoginRetiring,
            "Salesforce ends SOAP login(), and with it the method password, with the Summer '27 release (about 1 June 2027); new organizations have it switched off already.",
            WarningCode::SoapLoginRetiring.remedy(),
        )),
        // https://help.salesforce.com/s/articleView?id=000886201&type=1
        Method::OauthPassword => Some(warning(
            WarningCode::OauthPasswordRetiring,
            "Salesforce is phasing out the OAuth username-password flow: it is blocked by default in organizations created since Summer '23, new apps for it cannot be made since Spring '26, and no end date has been announced.",
            WarningCode::OauthPasswordRetiring.remedy(),
        )),
        Method::JwtBearer | Method::ClientCredentials => None,
    }
}

/// The newest version of which anything is known, that of Winter '27 (facts: Salesforce changes I).
const NEWEST_KNOWN: ApiVersion = ApiVersion {
    major: 68,
    minor: 0,
};

/// The warning for an API version that is about to be retired, or of which nothing is known yet
/// (<https://help.salesforce.com/s/articleView?id=005321531&type=1>).
pub(crate) fn of_version(version: ApiVersion) -> Option<Warning> {
    if version > NEWEST_KNOWN {
        return Some(warning(
            WarningCode::ApiVersionUntried,
            format!(
                "API version {version} is newer than {NEWEST_KNOWN}, the newest that this version of Switchboard knows."
            ),
            WarningCode::ApiVersionUntried.remedy(),
        ));
    }
    (version < ApiVersion { major: 41, minor: 0 }).then(|| {
        warning(
            WarningCode::ApiVersionRetiring,
            format!("API versions 31.0 to 40.0, and with them {version}, are deprecated with the Summer '27 release and end with Summer '28."),
            WarningCode::ApiVersionRetiring.remedy(),
        )
    })
}

/// The warning for a missing right to create Tasks. It matters only for an integration that
/// registers activities.
pub(crate) fn of_create_task(answer: &Visibility) -> Option<Warning> {
    let remedy = WarningCode::CannotCreateTask.remedy();
    match answer {
        Visibility::Yes => None,
        Visibility::No => Some(warning(
            WarningCode::CannotCreateTask,
            "The user may not create Tasks.",
            remedy,
        )),
        Visibility::Absent => Some(warning(
            WarningCode::CannotCreateTask,
            "The object Task is not there for this user.",
            remedy,
        )),
        Visibility::Unknown(reason) => Some(warning(
            WarningCode::CreateTaskUnknown,
            format!("Whether the user may create Tasks cannot be told: {reason}."),
            WarningCode::CreateTaskUnknown.remedy(),
        )),
    }
}

/// The warning for a missing View All that the sharing model compensates.
pub(crate) fn view_all_missing(object: &str) -> Warning {
    warning(
        WarningCode::ViewAllMissing,
        format!(
            "The user has no View All on {object}. Today everybody may read all of its records, so nothing is missed."
        ),
        format!(
            "Give the integration user View All on {object}, so that it stays so when the sharing settings change."
        ),
    )
}

/// The warning for an object that does not exist for this user.
pub(crate) fn object_absent(object: &str) -> Warning {
    warning(
        WarningCode::ObjectAbsent,
        format!(
            "The object {object} is not there for this user (Platform licences have no Lead); numbers are looked up without it."
        ),
        format!(
            "If the organization uses {object}, give the integration user a licence and a permission that contain it."
        ),
    )
}

/// The warning for a hidden phone field.
pub(crate) fn field_hidden(object: &str, message: &str) -> Warning {
    warning(
        WarningCode::FieldHidden,
        format!(
            "A phone field of {object} is hidden from the user, so numbers in it are not found. {message}"
        ),
        format!(
            "Make Phone and MobilePhone of {object} visible to the integration user (field-level security)."
        ),
    )
}

/// The warning for permissions that cannot be read.
pub(crate) fn access_unknown(object: &str, reason: &str) -> Warning {
    warning(
        WarningCode::AccessUnknown,
        format!("Whether the user sees all records of {object} cannot be told: {reason}"),
        format!(
            "Give the integration user View All on {object}, and View Setup and Configuration, so that it can be proved."
        ),
    )
}

/// The warning for rights that the integration does not need.
pub(crate) fn excess_rights(rights: &[String]) -> Warning {
    warning(
        WarningCode::ExcessRights,
        format!(
            "The user may do more than the integration needs: {}.",
            rights.join(", ")
        ),
        WarningCode::ExcessRights.remedy(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_to_be_retired_is_told_before() {
        let code = |warning: Option<Warning>| warning.map(|warning| warning.code);
        assert_eq!(
            code(of_method(Method::Password)),
            Some(WarningCode::SoapLoginRetiring)
        );
        assert_eq!(
            code(of_method(Method::OauthPassword)),
            Some(WarningCode::OauthPasswordRetiring)
        );
        assert_eq!(code(of_method(Method::JwtBearer)), None);
        assert_eq!(
            code(of_version("40.0".parse().unwrap())),
            Some(WarningCode::ApiVersionRetiring)
        );
        for known in ["50.0", "68.0"] {
            assert_eq!(code(of_version(known.parse().unwrap())), None);
        }
        let untried = of_version("69.0".parse().unwrap());
        assert_eq!(code(untried), Some(WarningCode::ApiVersionUntried));
    }
}
