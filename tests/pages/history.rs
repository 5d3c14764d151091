//! The call history: search, filters, the reason of a call, and what is erased.

use switchboard::directory::Purpose;
use switchboard::directory::model::privacy::NumberRequest;
use switchboard_testbed::browser::Look;

use crate::bed::{Bed, is_clean, says};

#[tokio::test]
async fn calls_are_searched_filtered_and_explained() {
    let bed = Bed::start().await;
    bed.day().await;
    let browser = bed.signed_in(Look::default()).await;
    browser.shows("Globex Corporation").await.unwrap();
    is_clean(&browser, &bed).await;
    browser.type_into("#q", "0312345678").await.unwrap();
    browser.click("form.search button").await.unwrap();
    let rows =
        "return [...document.querySelectorAll('tbody tr')].map(r => r.dataset.call).join(' ')";
    browser
        .until("two calls", async || {
            let rows = says(&browser, rows).await;
            if rows == "d6 d1" { Ok(()) } else { Err(rows) }
        })
        .await
        .unwrap();
    assert!(browser.address().await.unwrap().contains("q=0312345678"));
    browser
        .open(&bed.url("/pages/calls?named=no"))
        .await
        .unwrap();
    assert_eq!(says(&browser, rows).await, "d7 d4 d3");
    browser.shows("Salesforce does not know it").await.unwrap();
    // The reason opens beside the list, and closes with the keyboard.
    browser.click("#call-d4 a.why").await.unwrap();
    browser.shows("acme-tokyo-29384123").await.unwrap();
    assert!(browser.address().await.unwrap().ends_with("?named=no"));
    is_clean(&browser, &bed).await;
    browser.press("\u{e00c}").await.unwrap();
    assert_eq!(
        says(&browser, "return document.getElementById('panel').open").await,
        "false"
    );
    // The records beside the one that was chosen.
    browser
        .open(&bed.url("/pages/calls?q=03-1234-5678"))
        .await
        .unwrap();
    browser.click("#call-d6 summary").await.unwrap();
    browser.shows("a contact before an account").await.unwrap();
    browser.shows("Sato H.").await.unwrap();
    is_clean(&browser, &bed).await;
    browser.open(&bed.url("/pages/calls/d3")).await.unwrap();
    browser
        .shows("The caller withheld the number")
        .await
        .unwrap();
    is_clean(&browser, &bed).await;
}

#[tokio::test]
async fn what_was_erased_is_on_no_page() {
    let bed = Bed::start().await;
    bed.day().await;
    let browser = bed.signed_in(Look::default()).await;
    browser.shows("佐藤 花子").await.unwrap();
    let erase = NumberRequest {
        number: "03-1234-5678".to_owned(),
        region: None,
    };
    bed.client(Purpose::Privacy)
        .erase_number(&erase)
        .await
        .unwrap();
    browser.open(&bed.url("/pages/calls")).await.unwrap();
    browser.shows("Globex").await.unwrap();
    let text = browser.text().await.unwrap();
    assert!(
        !text.contains("佐藤") && !text.contains("03-1234-5678"),
        "{text}"
    );
    browser.open(&bed.url("/pages/calls/d6")).await.unwrap();
    browser.shows("its number was erased").await.unwrap();
}

#[tokio::test]
async fn hostile_names_are_text_in_a_browser() {
    let bed = Bed::start().await;
    bed.link("Ready").await;
    let name = "<img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'</script>\u{202e}evil";
    bed.call(
        "<svg onload=x>\"'",
        "03-1234-5678",
        "2026-11-30T00:00:00Z",
        Some("2026-11-30T00:01:00Z"),
    )
    .await;
    bed.found(
        vec![crate::bed::person("+81312345678", name, name, "Contact")],
        &[],
    )
    .await;
    let browser = bed.signed_in(Look::default()).await;
    browser.shows("<img src=x onerror=").await.unwrap();
    browser.click("a.why").await.unwrap();
    browser.shows("Read as").await.unwrap();
    assert_eq!(
        says(&browser, "return document.title").await,
        "Calls · Switchboard"
    );
    assert_eq!(
        says(
            &browser,
            "return document.querySelectorAll('main img, main script, main svg').length"
        )
        .await,
        "0"
    );
    is_clean(&browser, &bed).await;
}
