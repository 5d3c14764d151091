//! The warnings about Salesforce that a proof or a run may give: one table with cause and remedy of
//! every code. The warning itself adds details, such as the object or the version.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// About when Summer '27 comes: 2027-06-01.
const JUNE_2027: Timestamp = Timestamp::constant(1_811_808_000, 0);
/// About when Summer '28 comes: 2028-06-01.
const JUNE_2028: Timestamp = Timestamp::constant(1_843_430_400, 0);

macro_rules! warning_codes {
    ($( $name:ident { $cause:literal, $remedy:literal } )+) => {
        /// The kind of a warning, as a word for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum WarningCode { $( #[doc = $cause] $name, )+ }

        impl WarningCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [WarningCode] = &[ $( WarningCode::$name, )+ ];

            /// The word for programs.
            pub fn code(self) -> &'static str {
                match self { $( WarningCode::$name => stringify!($name), )+ }
            }

            /// The warning with exactly this code; `None` if there is none.
            pub fn from_code(code: &str) -> Option<WarningCode> {
                match code { $( stringify!($name) => Some(WarningCode::$name), )+ _ => None }
            }

            /// The reason for the warning, as sentences.
            pub fn cause(self) -> &'static str {
                match self { $( WarningCode::$name => $cause, )+ }
            }

            /// The next step for the tenant, as sentences.
            pub fn remedy(self) -> &'static str {
                match self { $( WarningCode::$name => $remedy, )+ }
            }
        }
    };
}

warning_codes! {
    SoapLoginRetiring {
        "Salesforce ends SOAP login(), and with it the method password, with the Summer '27 release.",
        "Change spec.salesforce.auth to jwtBearer or clientCredentials before that; both need an External Client App in the organization."
    }
    OauthPasswordRetiring {
        "Salesforce is phasing out the OAuth username-password flow, and with it the method oauthPassword.",
        "Change spec.salesforce.auth to jwtBearer or clientCredentials before that; both need an External Client App in the organization."
    }
    ApiVersionRetiring {
        "Salesforce ends the API version that the integration speaks.",
        "Set spec.salesforce.apiVersion to 50.0 or newer."
    }
    ApiVersionUntried {
        "The API version that the integration speaks is newer than those that this version of Switchboard knows.",
        "Nothing to do while everything works. Otherwise set spec.salesforce.apiVersion to 68.0 or older."
    }
    CannotCreateTask {
        "The user may not create Tasks, which only an integration needs that registers calls as activities.",
        "To register calls as activities, give the integration user's profile or a permission set the permission Edit Tasks."
    }
    CreateTaskUnknown {
        "Whether the user may create Tasks cannot be told.",
        "Give the integration user the permission Edit Tasks and read access to Task."
    }
    ViewAllMissing {
        "The user has no \"View All\" on an object. Today the sharing settings let everybody read all of its records, so nothing is missed.",
        "Give the integration user View All on the object that the message names, so that it stays so when the sharing settings change."
    }
    ObjectAbsent {
        "An object is not there for this user, and numbers are looked up without it. Platform licences have no Lead.",
        "If the organization uses the object, give the integration user a licence and a permission that contain it."
    }
    FieldHidden {
        "A phone field is hidden from the user, so numbers in it are not found.",
        "In Salesforce, give the user read access to the field, by field-level security in a permission set."
    }
    AccessUnknown {
        "Whether the user sees all records of an object cannot be told.",
        "Give the integration user View All on the object that the message names, and View Setup and Configuration, so that it can be proved."
    }
    ExcessRights {
        "The user may do more than the integration needs, and so may whoever gets hold of its credential.",
        "Give the integration user the permission set that the command permission-set prints, and take the rights away that the message names, with the profile or the permission sets that grant them. Limit the profile's log-in IP ranges to the cluster's addresses as well; whether they are cannot be seen from here."
    }
}

impl WarningCode {
    /// When that ends which the warning is about; `None` where Salesforce has named no time. A
    /// release reaches the first production organizations in June (facts: Salesforce 1.1 and 2.1).
    pub fn ends(self) -> Option<Timestamp> {
        match self {
            Self::SoapLoginRetiring => Some(JUNE_2027),
            Self::ApiVersionRetiring => Some(JUNE_2028),
            _ => None,
        }
    }
}

impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_salesforce_has_named_a_time_for_ends_with_a_release_of_june() {
        for code in WarningCode::ALL {
            let ends = match code {
                WarningCode::SoapLoginRetiring => Some("2027-06-01T00:00:00Z"),
                WarningCode::ApiVersionRetiring => Some("2028-06-01T00:00:00Z"),
                _ => None,
            };
            assert_eq!(
                code.ends(),
                ends.map(|time| time.parse().unwrap()),
                "{code}"
            );
        }
    }

    #[test]
    fn a_warning_is_found_by_its_code_and_no_other_text() {
        for code in WarningCode::ALL {
            assert_eq!(WarningCode::from_code(code.code()), Some(*code));
            assert_eq!(code.to_string(), code.code());
        }
        assert_eq!(WarningCode::from_code("soapLoginRetiring"), None);
    }
}
