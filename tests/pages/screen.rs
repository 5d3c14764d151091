//! The call screen: who rings, the name as soon as it is there, and a connection that breaks.

use jiff::Timestamp;
use switchboard_testbed::browser::Look;

use crate::bed::{Bed, is_clean, sato, says};
use crate::looks::looks_like;

/// A small window beside the phone.
const SMALL: Look = Look {
    size: (560, 760),
    dark: false,
    language: "en",
};

fn now() -> String {
    Timestamp::now().to_string()
}

#[tokio::test]
async fn a_first_time_caller_rings_and_gets_a_name_without_a_reload() {
    let bed = Bed::start().await;
    bed.day().await;
    let browser = bed.signed_in(SMALL).await;
    browser.click("nav a[href='/pages/screen']").await.unwrap();
    browser.shows("Connected").await.unwrap();
    browser.shows("No call now.").await.unwrap();
    is_clean(&browser, &bed).await;
    browser.script("window.stayed = true").await.unwrap();
    bed.call("ring", "03-9876-5432", &now(), None).await;
    browser.shows("03-9876-5432").await.unwrap();
    let text = browser.text().await.unwrap();
    assert!(
        text.contains("Ringing") && text.contains("Unknown"),
        "{text}"
    );
    assert!(text.contains("The first call with this number."), "{text}");
    let said = "return document.getElementById('say').textContent";
    assert_eq!(says(&browser, said).await, "Ringing: Unknown, 03-9876-5432");
    is_clean(&browser, &bed).await;
    // The look-up finds who it is.
    let mut caller = sato();
    caller.number = "+81398765432".parse().unwrap();
    bed.found(vec![caller], &[]).await;
    browser.shows("佐藤 花子").await.unwrap();
    browser.shows("Head of Purchasing").await.unwrap();
    assert_eq!(
        says(&browser, said).await,
        "Ringing: Acme K.K. 佐藤 花子, 03-9876-5432"
    );
    assert_eq!(
        says(&browser, "return document.querySelectorAll('.card').length").await,
        "1"
    );
    is_clean(&browser, &bed).await;
    looks_like(&browser, "screen").await;
    browser.open(&bed.url("/pages/screen")).await.unwrap();
    browser.shows("佐藤 花子").await.unwrap();
    browser.shows("Connected").await.unwrap();
    // With the keyboard alone to the other records, which stay open when the card changes.
    browser
        .script("document.querySelector('.card .button').focus()")
        .await
        .unwrap();
    browser.press("\u{e004}").await.unwrap();
    browser.press("\u{e007}").await.unwrap();
    browser.shows("Sato H.").await.unwrap();
    bed.call("ring", "03-9876-5432", &now(), Some(&now())).await;
    browser.shows("Ended").await.unwrap();
    browser.shows("Sato H.").await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_and_comes_back_misses_nothing_and_tells_nothing_twice() {
    let bed = Bed::start().await;
    bed.link("Ready").await;
    let browser = bed.signed_in(SMALL).await;
    browser.open(&bed.url("/pages/screen")).await.unwrap();
    browser.shows("Connected").await.unwrap();
    bed.call("one", "03-9876-5401", &now(), None).await;
    browser.shows("03-9876-5401").await.unwrap();
    // What is read out from now on.
    browser
        .script(
            "window.told = []; new MutationObserver(() => window.told.push(document.getElementById('say').textContent)) \
             .observe(document.getElementById('say'), {childList: true, characterData: true, subtree: true})",
        )
        .await
        .unwrap();
    let away = bed.stop().await;
    browser.shows("The connection broke off").await.unwrap();
    let bed = Bed::come_back(away).await;
    bed.call("two", "03-9876-5402", &now(), None).await;
    browser.shows("03-9876-5402").await.unwrap();
    browser.shows("Connected").await.unwrap();
    assert_eq!(
        says(&browser, "return document.querySelectorAll('.card').length").await,
        "2"
    );
    let told = says(&browser, "return window.told.join('; ')").await;
    assert_eq!(told, "Ringing: Unknown, 03-9876-5402");
}

/// A browser has six connections to a host, and each tab that listened would keep one.
#[tokio::test]
async fn ten_tabs_are_all_live_when_one_looks_at_them() {
    let bed = Bed::start().await;
    bed.link("Ready").await;
    let browser = bed.signed_in(Look::default()).await;
    let mut tabs = Vec::new();
    for _ in 0..10 {
        tabs.push(browser.new_tab().await.unwrap());
        browser.open(&bed.url("/pages/screen")).await.unwrap();
        browser.shows("Connected").await.unwrap();
    }
    bed.call("one", "03-9876-5401", &now(), None).await;
    browser.shows("03-9876-5401").await.unwrap();
    bed.call("two", "03-9876-5402", &now(), None).await;
    let cards = "return document.querySelectorAll('.card').length";
    for tab in &tabs {
        browser.to_tab(tab).await.unwrap();
        browser.shows("03-9876-5402").await.unwrap();
        assert_eq!(says(&browser, cards).await, "2");
    }
    assert_eq!(browser.complaints().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_history_grows_while_one_looks() {
    let bed = Bed::start().await;
    bed.day().await;
    let browser = bed.signed_in(Look::default()).await;
    browser.shows("Connected").await.unwrap();
    bed.call("new", "03-1234-5678", &now(), Some(&now())).await;
    let first = "return document.querySelector('tbody tr').dataset.call";
    browser
        .until("the new call on top", async || {
            let first = says(&browser, first).await;
            if first == "new" { Ok(()) } else { Err(first) }
        })
        .await
        .unwrap();
    let rows =
        "return [...document.querySelectorAll('tbody tr')].map(r => r.dataset.call).join(' ')";
    assert_eq!(says(&browser, rows).await, "new d7 d6 d5 d4 d3 d2 d1");
    is_clean(&browser, &bed).await;
}
