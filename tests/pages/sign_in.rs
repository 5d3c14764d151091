//! Sign-in and sign-out, with a keyboard alone.

use secrecy::ExposeSecret as _;
use switchboard::directory::Purpose;
use switchboard_testbed::browser::{Browser, Look};

use crate::bed::{Bed, is_clean, says, sign_in, token};

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

#[tokio::test]
async fn one_signs_in_looks_and_signs_out_with_the_keyboard_alone() {
    let bed = Bed::start().await;
    bed.day().await;
    let browser = Browser::start(Look::default()).await.unwrap();
    // What was asked for is shown after the sign-in.
    browser.open(&bed.url("/pages/calls?q=acme")).await.unwrap();
    browser.shows("Sign in").await.unwrap();
    is_clean(&browser, &bed).await;
    let focus = "return document.activeElement.id || document.activeElement.textContent.trim()";
    browser.press(TAB).await.unwrap();
    assert_eq!(says(&browser, focus).await, "Skip to the content");
    browser.press(TAB).await.unwrap();
    assert_eq!(says(&browser, focus).await, "token");
    browser
        .press(token(Purpose::Admin).expose_secret())
        .await
        .unwrap();
    browser.press(ENTER).await.unwrap();
    browser.shows("for another purpose").await.unwrap();
    is_clean_but_for_refusal(&browser).await;
    sign_in(&browser).await;
    browser.shows("佐藤 花子").await.unwrap();
    assert!(
        browser
            .address()
            .await
            .unwrap()
            .ends_with("/pages/calls?q=acme")
    );
    // To the search, a filter, and the reason of a call.
    for wanted in [
        "Skip to the content",
        "Calls",
        "Call screen",
        "Sign out",
        "q",
    ] {
        browser.press(TAB).await.unwrap();
        assert_eq!(says(&browser, focus).await, wanted);
    }
    browser.press("\u{e009}a\u{e000}nobody").await.unwrap();
    browser.press(ENTER).await.unwrap();
    browser.shows("No calls.").await.unwrap();
    browser.open(&bed.url("/pages/calls")).await.unwrap();
    for _ in 0..4 {
        browser.press(TAB).await.unwrap();
    }
    assert_eq!(says(&browser, focus).await, "Sign out");
    browser.press(ENTER).await.unwrap();
    browser.shows("You are signed out.").await.unwrap();
    browser.open(&bed.url("/pages/calls")).await.unwrap();
    browser.shows("Token for lookup").await.unwrap();
}

/// A refused token is an answer of status 403, which the console tells.
async fn is_clean_but_for_refusal(browser: &Browser) {
    assert_eq!(browser.accessibility().await.unwrap(), Vec::<String>::new());
    let complaints = browser.complaints().await.unwrap();
    assert!(
        complaints.iter().all(|said| said.contains("403")),
        "{complaints:?}"
    );
}
