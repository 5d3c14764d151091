//! A phone that rings: the platform pushes it, or a screen waits for the name.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::{info, warn};

use super::App;
use super::middleware::auth::{Caller, Ingest, Read};
use super::middleware::error::{ApiError, NoName};
use super::middleware::input::Json;
use super::middleware::responses::BodyRefusals;
use crate::company_id::CompanyId;
use crate::directory::model::rings::{LASTS, MAX_WAIT, RingReceipt, RingRequest};
use crate::directory::model::{Asked, Contact, Direction};
use crate::directory::store::Ring;
use crate::error::Chain;
use crate::phone;
use crate::phone::E164;

const MAX_NUMBER_CHARS: usize = 200;

/// How far ahead of this clock a ring may begin.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// A request ends this long before its time is over.
const MARGIN: Duration = Duration::from_secs(1);

/// Say that a phone rings
///
/// For platforms that can push it: Salesforce is asked at once about a number that it was not asked
/// about within ten minutes (`--ring-again-after`), so that the name is there when somebody asks
/// for it. It may come any number of times. What is no phone number is not asked about, and tells
/// so.
#[utoipa::path(
    post,
    path = "/v1/rings",
    tag = "ingest",
    security(("ingest" = [])),
    request_body = RingRequest,
    responses(
        (status = 200, description = "Whether it is taken. The code says why not: `not-a-phone-number`, `internal`, \
            `too-old` (ten minutes) or `ring-rate` (more numbers ring than `--ring-rate` says)", body = RingReceipt),
        BodyRefusals,
    )
)]
pub(crate) async fn push(
    State(app): State<App>,
    caller: Caller<Ingest>,
    Json(request, _): Json<RingRequest>,
) -> Result<Answer<RingReceipt>, ApiError> {
    if request.number.chars().count() > MAX_NUMBER_CHARS {
        return Err(ApiError::Malformed(format!(
            "number is too long; write at most {MAX_NUMBER_CHARS} characters"
        )));
    }
    let now = app.shared_time().await?;
    let at = request.at.unwrap_or(now);
    if at.duration_since(now) > AHEAD {
        return Err(ApiError::Malformed(
            "at lies more than ten minutes ahead; send when it began to ring, with its offset from UTC, and compare the clocks"
                .to_owned(),
        ));
    }
    let refused = |code: &'static str, detail: String| {
        app.metrics.rang("platform", code);
        info!(outcome = code, "a ring is not taken");
        Ok(Answer(RingReceipt {
            accepted: false,
            code: Some(code.to_owned()),
            detail: Some(detail),
        }))
    };
    if request.direction == Some(Direction::Internal) {
        let detail = "an internal call is not looked up";
        return refused("internal", detail.to_owned());
    }
    if now.duration_since(at).unsigned_abs() > LASTS && at < now {
        let detail = "it began to ring more than ten minutes ago; its call is looked up";
        return refused("too-old", detail.to_owned());
    }
    let region = request.region.unwrap_or(caller.region);
    let number = match phone::parse(&request.number, &region) {
        Ok(number) => number,
        Err(why) => {
            let detail = format!("number is not looked up: {why}");
            return refused("not-a-phone-number", detail);
        }
    };
    let rang_at = at.min(now);
    let ring = app
        .store
        .ring(&caller.company, &number, rang_at, &app.rings, now)
        .await?;
    if ring == Ring::OverRate {
        return refused(NoName::OverRate.code(), NoName::OverRate.in_words().into());
    }
    let outcome = match ring {
        Ring::Known => "known",
        Ring::Asked => "asked-lately",
        Ring::Erased => "erased",
        _ => "on-record",
    };
    app.metrics.rang("platform", outcome);
    info!(outcome, "a phone rings");
    if app.shows_rings && matches!(ring, Ring::Known | Ring::Asked) {
        // The platform does not wait for what only call screens need.
        let (store, company) = (app.store.clone(), caller.company.clone());
        tokio::spawn(async move {
            if let Err(error) = store.show_ring(&company, &number, rang_at, now).await {
                warn!(error = %Chain(&error), "a ring is on no call screen");
            }
        });
    }
    Ok(Answer(RingReceipt {
        accepted: true,
        code: None,
        detail: None,
    }))
}

/// Reads how long a request waits.
pub(crate) fn wait(text: &str) -> Result<Duration, ApiError> {
    let number = |digits: &str| {
        let fits = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let read = match text.strip_suffix("ms") {
        Some(millis) => number(millis).map(Duration::from_millis),
        None => text
            .strip_suffix('s')
            .and_then(number)
            .map(Duration::from_secs),
    };
    read.filter(|wait| *wait <= MAX_WAIT).ok_or_else(|| {
        ApiError::Malformed("wait is not a time up to 10s; write it as 3s or 1500ms".to_owned())
    })
}

/// The contact of a number, as far as it is known.
pub(crate) async fn known(
    app: &App,
    company: &CompanyId,
    number: &E164,
) -> Result<Contact, ApiError> {
    if let Some(contact) = app.store.contact(company, number).await? {
        return Ok(contact);
    }
    let erased = app.store.number_erased_at(company, number).await?;
    if erased.is_some() {
        return Err(ApiError::NobodyErased);
    }
    let asked = app.store.asked(company, number).await?;
    if asked.asked_at.is_some()
        && !asked.not_found
        // It may have been written between these reads.
        && let Some(contact) = app.store.contact(company, number).await?
    {
        return Ok(contact);
    }
    let numbers = std::slice::from_ref(number);
    let mut book = app.store.in_book(company, numbers).await?;
    match book.remove(number) {
        Some(contact) => Ok(Contact {
            asked_at: asked.asked_at,
            ..contact
        }),
        None => Err(ApiError::UnknownNumber(asked)),
    }
}

/// The contact of a number that is not known, as soon as Salesforce was asked about it. While it
/// waits, the request holds its connection and nothing else.
pub(crate) async fn known_within(
    app: &App,
    mut caller: Caller<Read>,
    number: &E164,
    wait: Duration,
) -> Result<Contact, ApiError> {
    let most = app.limits.time.saturating_sub(MARGIN);
    let deadline = Instant::now() + wait.min(most);
    let known = waited(app, &mut caller, number, deadline).await;
    let outcome = match &known {
        Ok(_) => "found",
        Err(ApiError::NoName(why, _)) => why.code(),
        Err(ApiError::UnknownNumber(_)) => "not-found",
        Err(ApiError::NobodyErased) => "erased",
        Err(_) => "error",
    };
    app.metrics.rang("screen", outcome);
    info!(outcome, "a screen waited for a name");
    known
}

async fn waited(
    app: &App,
    caller: &mut Caller<Read>,
    number: &E164,
    deadline: Instant,
) -> Result<Contact, ApiError> {
    let company = caller.company.clone();
    let began = app.shared_time().await?;
    let here = Instant::now();
    let now = || began.saturating_add(here.elapsed()).unwrap_or(began);
    let ring = app
        .store
        .ring(&company, number, began, &app.rings, began)
        .await?;
    let no_name = |why, asked| Err(ApiError::NoName(why, asked));
    let so_far = match look(app, &company, number).await? {
        Known::Yes(contact) => return Ok(*contact),
        Known::No(asked) => asked,
    };
    match ring {
        Ring::Known | Ring::Asked => return Err(ApiError::UnknownNumber(so_far)),
        Ring::Erased => return Err(ApiError::NobodyErased),
        Ring::OverRate => return no_name(NoName::OverRate, so_far),
        Ring::NotAsked(why) => return no_name(NoName::NotAsked(why), so_far),
        Ring::Waits { .. } if !app.store.changes().is_followed() => {
            return no_name(NoName::NobodyAsks, so_far);
        }
        Ring::Waits { .. } => {}
    }
    let hash = app.store.number_hash(&company, number.as_str());
    let Some(waiter) = app.store.changes().wait_for(&company, &hash) else {
        return no_name(NoName::TooManyWait, so_far);
    };
    caller.leaves_its_turn();
    let mut is_late = false;
    loop {
        // Before the look: what becomes of it meanwhile is looked for again.
        let told = waiter.told();
        let so_far = match look(app, &company, number).await? {
            Known::Yes(contact) => return Ok(*contact),
            Known::No(asked) => asked,
        };
        if is_answered(app, &so_far, now()) {
            return Err(ApiError::UnknownNumber(so_far));
        }
        if let Some(why) = app.store.why_not_asked(&company, number, now()).await? {
            return no_name(NoName::NotAsked(why), so_far);
        }
        if is_late {
            return no_name(NoName::Slow, so_far);
        }
        tokio::select! {
            () = told => {}
            () = tokio::time::sleep_until(deadline) => is_late = true,
            () = app.shutdown.cancelled() => return Err(ApiError::GoingDown),
        }
    }
}

/// Whether somebody is known under a number.
enum Known {
    Yes(Box<Contact>),
    No(Asked),
}

async fn look(app: &App, company: &CompanyId, number: &E164) -> Result<Known, ApiError> {
    match known(app, company, number).await {
        Ok(contact) => Ok(Known::Yes(Box::new(contact))),
        Err(ApiError::UnknownNumber(asked)) => Ok(Known::No(asked)),
        Err(other) => Err(other),
    }
}

/// Whether Salesforce was asked: it was not, lately, when the number rang.
fn is_answered(app: &App, asked: &Asked, now: Timestamp) -> bool {
    let lately = now.checked_sub(app.rings.asked_within).ok();
    asked.asked_at > lately
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_wait_is_seconds_or_milliseconds_up_to_ten_seconds() {
        for (text, millis) in [("3s", 3_000), ("1500ms", 1_500), ("10s", 10_000), ("0s", 0)] {
            assert_eq!(wait(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in [
            "", "3", "s", "ms", "11s", "10001ms", "-1s", "+1s", "1.5s", "3 s", "3m", "999999s",
        ] {
            assert!(matches!(wait(text), Err(ApiError::Malformed(_))), "{text}");
        }
    }
}
