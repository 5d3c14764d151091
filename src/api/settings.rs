//! The validated spec. Values that the schema cannot check (does the zone exist? the region?) are
//! refused here, in the words that the condition then shows.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::Time as WallClock;
use jiff::tz::TimeZone;
use kube::ResourceExt;
use url::Url;

use super::spec::{AddressBook, Follow, SecondQuestion};
use super::{
    Auth, CallCenter, Environment, Retrieval, RunSpec, SalesforceIntegration,
    SalesforceIntegrationSpec, suggest, token_secret_name,
};
use crate::company_id::{CompanyId, InvalidCompanyId};
use crate::follow::Mode;
use crate::phone::Region;
use crate::salesforce;
use crate::salesforce::{ApiVersion, Method};

/// The shortest time between two proofs. An integration of an earlier version of the schema may
/// name a shorter one, and is proved at this one.
const MIN_INTERVAL: Duration = Duration::from_secs(60);

/// The longest time for which calls are kept, in days.
const MAX_DAYS: u32 = 9_999;
/// The shortest time between two questions what changed: Salesforce advises against asking more
/// often (facts: Salesforce changes A5).
const MIN_FOLLOW_EVERY: Duration = Duration::from_secs(5 * 60);
/// The longest.
const MAX_FOLLOW_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// How many records an address book has at most, if nothing else is said.
const MAX_RECORDS: u32 = 1_000_000;
/// The most that may be said.
const MOST_RECORDS: u32 = 10_000_000;

/// A field whose value is unusable, such as a name of something that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidField {
    /// Path of the field, such as `spec.contacts.timeZone`.
    pub field: &'static str,
    /// The problem and the remedy.
    pub problem: String,
}

/// The validated spec of an integration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The corporate identity on the phone platform.
    pub company_id: CompanyId,
    /// The kind of org.
    pub environment: salesforce::Environment,
    /// The URL for the log-in.
    pub login_url: Url,
    /// The version of the Salesforce API to use.
    pub api_version: ApiVersion,
    /// The log-in method and its Secret.
    pub auth: AuthSettings,
    /// The kind of contact retrieval: daily, after calls, or disabled.
    pub retrieval: Retrieval,
    /// The time of day by which the daily run begins, in `time_zone`.
    pub daily_at: WallClock,
    /// Minutes between two look-ups of ended calls; divides 60.
    pub lookup_every_minutes: u32,
    /// The zone of `daily_at`.
    pub time_zone: TimeZone,
    /// The zone's IANA name.
    pub time_zone_name: String,
    /// The region that decides how national numbers are read.
    pub region: Region,
    /// The call centers of the tenant with their users, as the spec spells them.
    pub call_centers: Vec<CallCenter>,
    /// Days of the call history that a re-retrieval asks for again, 1 to 9,999.
    pub history_days: u32,
    /// Days for which the directory keeps calls, 1 to 9,999; `None` for as long as the operator
    /// says.
    pub retain_days: Option<u32>,
    /// What the pods of its runs have beside what the operator gives to all.
    pub run: RunSpec,
    /// Whether the search index is asked for numbers that no query finds.
    pub second_question: bool,
    /// Which names follow changes in Salesforce, and how often is asked; `None` for nothing.
    pub follow: Option<(Mode, Duration)>,
    /// The most records of its address book; `None` for names on demand.
    pub address_book: Option<u64>,
    /// Share of the org's API requests that this integration may use, in per cent, 1 to 100.
    pub daily_percent: u64,
    /// The time between two proofs of a healthy connection.
    pub interval: Duration,
    /// Whether everything is stopped for this integration: no proof and no run.
    pub suspend: bool,
}

/// The log-in method and where its secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSettings {
    /// The log-in method.
    pub method: Method,
    /// The user that logs in. `None` when the method names none.
    pub username: Option<String>,
    /// Name of the Secret with the credentials.
    pub secret: String,
}

// === impl AuthSettings ===

impl AuthSettings {
    fn read(auth: &Auth) -> Result<Self, InvalidField> {
        let chosen = auth.chosen().ok_or_else(|| InvalidField {
            field: "spec.salesforce.auth",
            problem: "set exactly one log-in method (password, oauthPassword, jwtBearer or clientCredentials)".into(),
        })?;
        Ok(Self {
            method: chosen.method,
            username: chosen.username.map(str::to_owned),
            secret: chosen.secret.to_owned(),
        })
    }
}

// === impl Settings ===

impl Settings {
    /// Validates the spec of a resource.
    ///
    /// # Errors
    /// The first field with an unusable value.
    pub fn of(resource: &SalesforceIntegration) -> Result<Self, InvalidField> {
        let settings = Self::read(&resource.spec)?;
        let (name, secret) = (resource.name_any(), &settings.auth.secret);
        if *secret == token_secret_name(&name) {
            return Err(InvalidField {
                field: "spec.salesforce.auth",
                problem: format!(
                    "secretRef.name {secret:?} is the name of the Secret that the operator makes with the tokens for the directory; give the Secret with the credentials another name, such as \"{name}-salesforce\""
                ),
            });
        }
        Ok(settings)
    }

    /// Validates a spec. When it has no URL, the environment decides where to log in.
    ///
    /// # Errors
    /// The first field with an unusable value.
    pub fn read(spec: &SalesforceIntegrationSpec) -> Result<Self, InvalidField> {
        let salesforce = &spec.salesforce;
        let contacts = &spec.contacts;
        let environment = match salesforce.environment {
            Environment::Production => salesforce::Environment::Production,
            Environment::Sandbox => salesforce::Environment::Sandbox,
        };
        let login_url = match &salesforce.login_url {
            Some(text) => text.parse().map_err(|error| InvalidField {
                field: "spec.salesforce.loginUrl",
                problem: format!("{text:?} is no URL ({error}); write https:// and the host, as in https://acme.my.salesforce.com"),
            })?,
            None => environment.login_url(),
        };
        if let Some(instead) = salesforce::host_instead_of_pages(&login_url) {
            return Err(InvalidField {
                field: "spec.salesforce.loginUrl",
                problem: format!(
                    "{login_url} is an address of pages for browsers, where nobody can log in by API; write {instead}"
                ),
            });
        }
        let api_version: ApiVersion = salesforce.api_version.parse().map_err(|_| InvalidField {
            field: "spec.salesforce.apiVersion",
            problem: format!(
                "{:?} is no version of the Salesforce API; write one such as \"50.0\"",
                salesforce.api_version
            ),
        })?;
        if api_version < ApiVersion::WITH_COMPOSITE {
            return Err(InvalidField {
                field: "spec.salesforce.apiVersion",
                problem: format!(
                    "{api_version} has no composite request, with which many numbers are asked for at once; write \"50.0\""
                ),
            });
        }
        let auth = AuthSettings::read(&salesforce.auth)?;
        let daily_at =
            WallClock::strptime("%H:%M", &contacts.daily_at).map_err(|_| InvalidField {
                field: "spec.contacts.dailyAt",
                problem: format!(
                    "{:?} is no time of day; write one from 00:00 to 23:59",
                    contacts.daily_at
                ),
            })?;
        let lookup_every_minutes = minutes(&contacts.lookup_every).ok_or_else(|| InvalidField {
            field: "spec.contacts.lookupEvery",
            problem: format!("{:?} does not divide an hour; write one of 1m, 2m, 3m, 4m, 5m, 6m, 10m, 12m, 15m, 20m, 30m, 1h", contacts.lookup_every),
        })?;
        let time_zone = TimeZone::get(&contacts.time_zone).map_err(|_| InvalidField {
            field: "spec.contacts.timeZone",
            problem: match suggest::time_zone(&contacts.time_zone) {
                Some(zone) => format!(
                    "there is no time zone {:?}; write {zone} if that is meant",
                    contacts.time_zone
                ),
                None => format!(
                    "there is no time zone {:?}; write an IANA name such as Asia/Tokyo",
                    contacts.time_zone
                ),
            },
        })?;
        let region = contacts.region.parse().map_err(|_| InvalidField {
            field: "spec.contacts.region",
            problem: match suggest::region(&contacts.region) {
                Some(region) => format!(
                    "there is no region {:?}; write {region} if that is meant",
                    contacts.region
                ),
                None => format!(
                    "there is no region {:?}; write an ISO 3166-1 code such as JP",
                    contacts.region
                ),
            },
        })?;
        let history_days = days(&contacts.history).ok_or_else(|| InvalidField {
            field: "spec.contacts.history",
            problem: format!(
                "{:?} is no number of days from 1d to 9999d; write one such as 30d",
                contacts.history
            ),
        })?;
        let retain_days = match contacts.retain_days {
            Some(days) if !(1..=MAX_DAYS).contains(&days) => {
                return Err(InvalidField {
                    field: "spec.contacts.retainDays",
                    problem: format!(
                        "{days} is no number of days from 1 to {MAX_DAYS}; write one such as 90"
                    ),
                });
            }
            days => days,
        };
        let interval = duration(&spec.interval)
            .ok_or_else(|| InvalidField {
                field: "spec.interval",
                problem: format!(
                    "{:?} is no duration from 1m to 24h; write one such as 30m",
                    spec.interval
                ),
            })?
            .max(MIN_INTERVAL);
        let follow_every = match &contacts.follow_every {
            Some(text) => duration(text).filter(|every| *every <= MAX_FOLLOW_EVERY),
            // As seldom as a healthy connection is proved, which is at the interval or a little
            // later.
            None => Some(interval.mul_f64(1.1).min(MAX_FOLLOW_EVERY)),
        };
        let follow_every = follow_every
            .ok_or_else(|| InvalidField {
                field: "spec.contacts.followEvery",
                problem: format!(
                    "{:?} is no duration from 5m to 24h; write one such as 30m",
                    contacts.follow_every.as_deref().unwrap_or_default()
                ),
            })?
            .max(MIN_FOLLOW_EVERY);
        let max_records = contacts.max_records.unwrap_or(MAX_RECORDS);
        if !(1..=MOST_RECORDS).contains(&max_records) {
            return Err(InvalidField {
                field: "spec.contacts.maxRecords",
                problem: format!(
                    "{max_records} is no number of records from 1 to {MOST_RECORDS}; leave it out for {MAX_RECORDS}"
                ),
            });
        }
        // Without runs nobody would fill it.
        let has_book =
            contacts.address_book == AddressBook::Full && contacts.retrieval != Retrieval::Disabled;
        let daily_percent = Some(u64::from(spec.api_budget.daily_percent))
            .filter(|percent| (1..=100).contains(percent))
            .ok_or_else(|| InvalidField {
                field: "spec.apiBudget.dailyPercent",
                problem: format!(
                    "{} is no share; write a percentage from 1 to 100",
                    spec.api_budget.daily_percent
                ),
            })?;
        Ok(Self {
            company_id: spec.company_id.parse().map_err(|error: InvalidCompanyId| {
                InvalidField {
                    field: "spec.companyId",
                    problem: error.to_string(),
                }
            })?,
            environment,
            login_url,
            api_version,
            auth,
            retrieval: contacts.retrieval,
            daily_at,
            lookup_every_minutes,
            // Kubernetes minds capitals in the name of a zone.
            time_zone_name: time_zone
                .iana_name()
                .unwrap_or(&contacts.time_zone)
                .to_owned(),
            time_zone,
            region,
            call_centers: spec.call_centers.clone(),
            history_days,
            retain_days,
            run: spec.run.clone().unwrap_or_default(),
            second_question: contacts.second_question.unwrap_or_default() == SecondQuestion::Search,
            follow: follow_mode(contacts.retrieval, contacts.follow)
                .map(|mode| (mode, follow_every)),
            address_book: has_book.then_some(u64::from(max_records)),
            daily_percent,
            interval,
            suspend: spec.suspend,
        })
    }

    /// The users of all call centers, each once.
    pub(crate) fn call_center_users(&self) -> Vec<String> {
        let users = self.call_centers.iter().flat_map(|center| &center.users);
        let distinct: BTreeSet<String> = users.map(|user| canonical_user(user)).collect();
        distinct.into_iter().collect()
    }
}

/// The form of a user name in which two spellings of one user are equal: capitals do not matter to
/// Salesforce.
pub(crate) fn canonical_user(user: &str) -> String {
    user.to_lowercase()
}

/// Which names follow changes: with a retrieval that overwrites all of them if nothing else is
/// said, with one that does not only numbers without a name.
fn follow_mode(retrieval: Retrieval, follow: Option<Follow>) -> Option<Mode> {
    match (retrieval, follow) {
        (Retrieval::Disabled, _) | (_, Some(Follow::Off)) => None,
        (_, Some(Follow::All)) | (Retrieval::AfterCall, None) => Some(Mode::All),
        (_, Some(Follow::NewOnly)) | (Retrieval::Daily, None) => Some(Mode::NewOnly),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let duration: SignedDuration = text.parse().ok()?;
    Duration::try_from(duration).ok()
}

fn days(text: &str) -> Option<u32> {
    let number = text.strip_suffix('d')?;
    let digits = (1..=4).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|days| digits && *days > 0)
}

fn minutes(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u32 = number.parse().ok()?;
    let minutes = match unit {
        "m" => number,
        "h" => number.checked_mul(60)?,
        _ => return None,
    };
    (minutes > 0 && 60 % minutes == 0).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::{Follow, Mode, Retrieval, days, follow_mode, minutes};

    #[test]
    fn what_overwrites_follows_all_and_what_does_not_names_new_ones() {
        for (retrieval, follow, expected) in [
            (Retrieval::AfterCall, None, Some(Mode::All)),
            (Retrieval::Daily, None, Some(Mode::NewOnly)),
            (Retrieval::Disabled, None, None),
            (Retrieval::Disabled, Some(Follow::All), None),
            (Retrieval::Daily, Some(Follow::All), Some(Mode::All)),
            (
                Retrieval::AfterCall,
                Some(Follow::NewOnly),
                Some(Mode::NewOnly),
            ),
            (Retrieval::AfterCall, Some(Follow::Off), None),
        ] {
            let mode = follow_mode(retrieval, follow);
            assert_eq!(mode, expected, "{retrieval:?} {follow:?}");
        }
    }

    #[test]
    fn a_history_is_a_number_of_days_and_at_least_one() {
        assert_eq!(days("1d"), Some(1));
        assert_eq!(days("9999d"), Some(9_999));
        for wrong in [
            "0d", "30", "d", "24h", "-1d", "+1d", "10000d", "1.5d", "３d",
        ] {
            assert_eq!(days(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_divisors_of_an_hour_are_periods() {
        assert_eq!(minutes("5m"), Some(5));
        assert_eq!(minutes("1h"), Some(60));
        for wrong in ["7m", "0m", "2h", "m", "", "90m", "é"] {
            assert_eq!(minutes(wrong), None, "{wrong}");
        }
    }
}
