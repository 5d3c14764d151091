//! The resources that list versions, resources and limits.

use serde_json::{Map, Value as Json, json};

use super::{Call, Outcome, RestError};
use crate::message::Answer;
use crate::switches::Switches;

/// `GET /services/data/`: it costs no call and needs no session.
pub(crate) fn versions(switches: &Switches) -> Answer {
    let (oldest, latest) = (
        switches.oldest_version as i64,
        switches.latest_version as i64,
    );
    let list: Vec<Json> = (oldest..=latest)
        .map(|v| json!({"label": label(v), "url": format!("/services/data/v{v}.0"), "version": format!("{v}.0")}))
        .collect();
    Answer::json(200, Json::from(list))
}

/// Label of a version: v50 is Winter '21, and there are three releases a year.
fn label(version: i64) -> String {
    let since = version - 50;
    let season = ["Winter", "Spring", "Summer"][since.rem_euclid(3) as usize];
    format!("{season} '{:02}", 21 + since.div_euclid(3))
}

/// `GET /services/data/vXX.X`.
pub(super) fn resources(call: &Call<'_>) -> Outcome {
    let base = format!("/services/data/v{}", call.version);
    let names = [
        "sobjects",
        "query",
        "queryAll",
        "search",
        "parameterizedSearch",
        "limits",
        "composite",
        "jobs",
    ];
    let map: Map<String, Json> = names
        .iter()
        .map(|name| ((*name).to_owned(), Json::from(format!("{base}/{name}"))))
        .collect();
    Ok(Answer::json(200, Json::Object(map)))
}

/// `GET /services/data/vXX.X/limits`.
pub(super) fn limits(call: &Call<'_>) -> Outcome {
    let used = call
        .core
        .runtime()
        .quotas
        .entry(call.org_id.clone())
        .or_default()
        .used(call.now);
    call.read(false, |scope| {
        if scope.switches.limits_need_view_setup && !scope.access.may("ViewSetup") {
            return Err(RestError::new(
                403,
                "API_DISABLED_FOR_ORG",
                "limits resource is not enabled",
            ));
        }
        let max = scope.org.allocation();
        Ok(Answer::json(
            200,
            json!({
                "ConcurrentAsyncGetReportInstances": {"Max": 200, "Remaining": 200},
                "DailyApiRequests": {"Max": max, "Remaining": max.saturating_sub(used)},
                "DailyBulkApiBatches": {"Max": 15_000, "Remaining": 15_000},
                "DataStorageMB": {"Max": 1_024, "Remaining": 1_000},
                "FileStorageMB": {"Max": 1_024, "Remaining": 1_000},
            }),
        ))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_seasons() {
        assert_eq!(label(50), "Winter '21");
        assert_eq!(label(31), "Summer '14");
        assert_eq!(label(66), "Spring '26");
        assert_eq!(label(68), "Winter '27");
    }
}
