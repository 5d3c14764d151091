//! docs/reasons.md: every reason, what it means and what to do, from the tables that the controller
//! itself speaks from; beside it the message that the controller wrote in the integration tests, as
//! kept in said.json (`UPDATE_GENERATED=1 cargo test --test it refusals`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use switchboard::api::conditions::reason;
use switchboard::decide::rules::remedies::{code, remedy};
use switchboard::salesforce::{Meaning, Retry};

use crate::{assert_generated, root};

const HEAD: &str = "\
# Every reason, and what to do

<!-- Generated from the code by `make docs`; the texts stand in src/salesforce/answers/meaning.rs and src/decide/rules/remedies.rs. -->

The reason of the condition `Ready` is the reason of the first condition that does not hold. The same codes stand in `status.errors`, in
the Events, in the metrics and in what `switchboard check` prints. How to read a status is told in [troubleshooting](troubleshooting.md).
";

/// Reasons of the controller's own, under the condition that carries them.
const OWN: &[(&str, &[(&str, &str)])] = &[
    (
        "CredentialsAvailable",
        &[
            (
                reason::INVALID_SPEC,
                "A value passed the schema and names nothing that exists, such as a time zone or a region.",
            ),
            (
                reason::SECRET_NOT_FOUND,
                "There is no Secret of that name in the namespace of the integration.",
            ),
            (
                reason::SECRET_KEY_MISSING,
                "The Secret lacks a key that the log-in method needs.",
            ),
            (
                reason::SECRET_KEY_INVALID,
                "A key of the Secret is empty or not text.",
            ),
        ],
    ),
    (
        "Exclusive",
        &[(
            reason::COMPANY_ID_TAKEN,
            "An older integration claims the same company ID; the older one keeps it.",
        )],
    ),
    (
        "Authorized",
        &[
            (
                reason::MISSING_VIEW_ALL,
                "The user does not see all records of an object, so some callers would stay unknown.",
            ),
            (
                reason::OBJECT_UNAVAILABLE,
                "The user cannot see an object at all.",
            ),
            (
                reason::RIGHTS_UNKNOWN,
                "The user may not read the objects that hold the permissions. It blocks nothing: the condition is Unknown.",
            ),
        ],
    ),
    (
        "Synced",
        &[
            (
                reason::RUN_FAILED,
                "The last run failed; the message begins with one of the codes below or one of Salesforce's.",
            ),
            (reason::RUN_OVERDUE, "A run was due and none ended."),
            (
                reason::REFUSED_BY_CLUSTER,
                "The namespace does not take the CronJob, or the Secret with the directory's tokens: a quota is used up, or a policy is against it.",
            ),
            (
                reason::BUDGET_EXHAUSTED,
                "The run stopped at its share of the org's API requests. What it found is kept.",
            ),
        ],
    ),
];

/// How a run can end without saying itself why.
const RUNS: &[(&str, &str)] = &[
    (
        code::POD_NOT_CREATED,
        "The Job is there, and three minutes later it has no pod.",
    ),
    (
        code::RUN_DEADLINE_EXCEEDED,
        "The run took longer than it may and was ended.",
    ),
    (
        code::WORKER_OUT_OF_MEMORY,
        "The kernel ended the worker because it passed its memory limit.",
    ),
    (code::WORKER_KILLED, "A signal ended the worker."),
    (code::WORKER_EVICTED, "The node evicted the pod."),
    (
        code::WORKER_UNSCHEDULABLE,
        "No node takes the worker's pod.",
    ),
    (
        code::WORKER_IMAGE_NOT_PULLED,
        "The node cannot get the worker's image.",
    ),
    (
        code::WORKER_NOT_CREATED,
        "The node cannot make the worker's container: a Secret or a key that it names is not there, or a policy forbids it.",
    ),
    (
        code::WORKER_NOT_STARTED,
        "The worker's container does not come up.",
    ),
    (
        code::POD_LOST,
        "The Job failed and its pod is gone, with the node or by hand.",
    ),
    (code::REPORT_MISSING, "The worker ended without a report."),
    (
        code::REPORT_INVALID,
        "What the worker left is not a report of this version.",
    ),
    (
        code::DIRECTORY_UNAVAILABLE,
        "The worker could not reach the directory.",
    ),
];

const HARMLESS: &[(&str, &str)] = &[
    (reason::READY, "Everything works."),
    (reason::AS_EXPECTED, "The condition holds."),
    (
        reason::PENDING,
        "It was not looked at yet, because something before it does not hold or was not proved yet.",
    ),
    (
        reason::SUSPENDED,
        "`spec.suspend` is set: nothing is proved and nothing runs.",
    ),
    (
        reason::RETRIEVAL_DISABLED,
        "`retrieval` is `Disabled`: there is nothing to run.",
    ),
    (reason::NO_RUN_YET, "No run was due yet."),
    (reason::RUN_SUCCEEDED, "The last run succeeded."),
];

#[test]
fn the_page_of_reasons_is_the_one_of_the_code() {
    let said = said();
    let mut page = HEAD.to_owned();
    for (condition, reasons) in OWN {
        let _ = write!(page, "\n## {condition}\n");
        for (name, cause) in *reasons {
            entry(&mut page, name, None, cause, remedy(name), None, &said);
        }
    }
    page.push_str("\n## Connected, and what a run met at Salesforce\n");
    for meaning in Meaning::ALL {
        // The object's own entry stands under Authorized.
        if OWN
            .iter()
            .all(|(_, own)| own.iter().all(|(name, _)| *name != meaning.code()))
        {
            let again = again(meaning.retry());
            entry(
                &mut page,
                meaning.code(),
                Some(meaning.title()),
                meaning.cause(),
                meaning.remedy(),
                Some(again),
                &said,
            );
        }
    }
    page.push_str("\n## How a run ended without saying why\n");
    for (name, cause) in RUNS {
        entry(&mut page, name, None, cause, remedy(name), None, &said);
    }
    page.push_str("\n## When nothing is wrong\n\n| reason | means |\n|---|---|\n");
    for (name, meaning) in HARMLESS {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    for name in constants() {
        assert!(
            page.contains(&name),
            "{name} is explained nowhere on the page"
        );
    }
    assert_generated("docs/reasons.md", &page);
}

/// Every reason and code that the two tables of the code hold.
fn constants() -> Vec<String> {
    [
        ("src/api/conditions.rs", "pub mod reason"),
        ("src/decide/rules/remedies.rs", "pub mod code"),
    ]
    .iter()
    .flat_map(|(file, module)| {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let (_, module) = text.split_once(module).unwrap();
        module
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub const "))
            .filter_map(|line| line.split_once(": &str = \"")?.1.strip_suffix("\";"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    })
    .collect()
}

fn entry(
    page: &mut String,
    name: &str,
    title: Option<&str>,
    cause: &str,
    remedy: &str,
    again: Option<&str>,
    said: &BTreeMap<String, String>,
) {
    let _ = write!(page, "\n### {name}\n\n");
    if let Some(title) = title {
        let _ = write!(page, "{title}. ");
    }
    let _ = write!(page, "{cause}\n\n**What to do.** {remedy}\n");
    if let Some(again) = again {
        let _ = write!(page, "\n**Tried again:** {again}.\n");
    }
    if let Some(message) = said.get(name) {
        let _ = write!(page, "\n```\n{message}\n```\n");
    }
}

fn again(retry: Retry) -> &'static str {
    match retry {
        Retry::Never => "only when the Secret or the spec changes, or you ask for a test",
        Retry::Later => "by itself, from 15 seconds up to the interval",
        Retry::AtInterval => "by itself, at the interval",
        Retry::AfterAnHour => "by itself, after an hour",
        Retry::AfterQuota => "by itself, as the 24 hours roll on",
    }
}

/// What the controller said in the integration tests, by reason.
fn said() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("tests/docs/said.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}
