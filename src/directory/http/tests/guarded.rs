//! What protects who looks at the pages: sessions that end, and what browsers may do.

use secrecy::ExposeSecret as _;

use super::pages::{Browser, Page};
use super::screen::Events;
use super::*;

on_each_database!(
    a_copy_of_a_cookie_ends_with_sign_out_and_nobody_elses_session,
    who_signs_out_again_is_signed_out,
);

fn copy(browser: &Browser) -> Browser {
    Browser {
        http: browser.http.clone(),
        base: browser.base.clone(),
        company: browser.company.clone(),
        cookie: browser.cookie.clone(),
    }
}

async fn a_copy_of_a_cookie_ends_with_sign_out_and_nobody_elses_session(on: Backend) {
    let directory = Directory::with_pages(on).await;
    // Of one token, within one second.
    let (browser, colleague) = (
        directory.signed_in("acme").await,
        directory.signed_in("acme").await,
    );
    assert_ne!(browser.cookie, colleague.cookie);
    let stolen = copy(&browser);
    let mut screen = Events::of(&stolen, "screen", None).await;
    screen.until_seen().await;
    let out = browser.sign_out().await;
    assert_eq!(out.header("location"), "/pages/sign-in?out");
    let line = out.header("set-cookie");
    assert!(
        line.starts_with("switchboard=;") && line.contains("Max-Age=0"),
        "{line}"
    );
    for path in ["/pages/calls", "/pages/calls.csv", "/pages/screen"] {
        let page = stolen.get(path).await;
        let to_sign_in = page.header("location").starts_with("/pages/sign-in");
        assert!(page.status == 303 && to_sign_in, "{path}: {}", page.status);
    }
    assert_eq!(stolen.get("/pages/events?board=screen").await.status, 204);
    // A call would be told to whoever still looks.
    let calls = [call("d1", "03-1234-5678", "2026-11-29T14:59:00Z")];
    directory.ingest().ingest(&payload(calls)).await.unwrap();
    screen.until_it_ends().await;
    assert_eq!(colleague.get("/pages/calls").await.status, 200);
    let cookie = stolen.cookie.clone();
    let directory = directory.restart_with_pages().await;
    let again = Browser {
        cookie,
        ..directory.browser("acme")
    };
    assert_eq!(
        again.get("/pages/calls").await.status,
        303,
        "after a restart"
    );
}

async fn who_signs_out_again_is_signed_out(on: Backend) {
    let directory = Directory::with_pages(on).await;
    let browser = directory.signed_in("acme").await;
    let page = browser.get("/pages/calls").await.body;
    let key = page.split("name=\"key\" value=\"").nth(1).unwrap();
    let form = [("key", key.split('"').next().unwrap())];
    for _ in 0..2 {
        let out = browser.post("/pages/sign-out", &form, "same-origin").await;
        assert_eq!(
            (out.status, out.header("location")),
            (303, "/pages/sign-in?out")
        );
    }
}

#[tokio::test]
async fn another_replica_takes_the_copy_no_more_within_moments() {
    let first = Directory::with_pages(Backend::Postgres).await;
    let second = Directory::with_pages_on(TempDir::new().unwrap(), first.database.clone()).await;
    let browser = first.signed_in("acme").await;
    let stolen = Browser {
        base: second.base.clone(),
        ..copy(&browser)
    };
    assert_eq!(stolen.get("/pages/calls").await.status, 200);
    browser.sign_out().await;
    eventually(async || stolen.get("/pages/calls").await.status == 303).await;
    first.stop().await;
    second.stop().await;
}

/// Asserts what holds for each answer under `/pages`.
fn is_protected(page: &Page, what: &str) {
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{what}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{what}: {policy}");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), value, "{what}");
    }
    assert_eq!(page.header("access-control-allow-origin"), "", "{what}");
    for inline in ["<style", " style=", " onclick=", "javascript:"] {
        assert!(!page.body.contains(inline), "{what}: {inline}");
    }
}

#[tokio::test]
async fn each_answer_says_what_a_browser_may_do_with_it() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let (nobody, browser) = (directory.browser("acme"), directory.signed_in("acme").await);
    let large = "a".repeat(20_000);
    for (method, path, status, body) in [
        ("GET", "/pages", 303, ""),
        ("GET", "/pages/", 303, ""),
        ("GET", "/pages/sign-in", 200, ""),
        ("GET", "/pages/calls", 200, ""),
        ("HEAD", "/pages/calls", 200, ""),
        ("GET", "/pages/calls?from=x", 400, ""),
        ("GET", "/pages/calls?cursor=x", 400, ""),
        ("GET", "/pages/calls/none", 404, ""),
        ("GET", "/pages/calls/%ff", 400, ""),
        ("GET", "/pages/calls.csv", 200, ""),
        ("GET", "/pages/screen", 200, ""),
        ("GET", "/pages/nowhere/at/all", 404, ""),
        ("GET", "/pages/static/none", 404, ""),
        ("GET", "/pages/static/pages.js", 200, ""),
        ("GET", "/pages/sign-out", 405, ""),
        ("POST", "/pages/calls", 405, ""),
        ("DELETE", "/pages/calls/d1", 405, ""),
        ("OPTIONS", "/pages/calls", 405, ""),
        ("OPTIONS", "/pages/sign-in", 405, ""),
        ("POST", "/pages/sign-in", 403, "token=x"),
        ("POST", "/pages/sign-out", 403, ""),
        ("POST", "/pages/sign-in", 413, large.as_str()),
    ] {
        let url = format!("{}{path}", directory.base);
        let request = browser.http.request(method.parse().unwrap(), url);
        let page = browser.send(request.body(body.to_owned())).await;
        let what = format!("{method} {path}");
        assert_eq!(page.status, status, "{what}: {}", page.body);
        is_protected(&page, &what);
        let is_file = path.ends_with("pages.js");
        assert_eq!(
            page.header("cache-control") == "no-store",
            !is_file,
            "{what}"
        );
        assert!(page.body.is_empty() || method != "HEAD", "{what}");
    }
    // Who is not signed in is told nothing else.
    for path in [
        "/pages/calls",
        "/pages/calls.csv",
        "/pages/calls/d1",
        "/pages/events",
    ] {
        let page = nobody.get(path).await;
        is_protected(&page, path);
        assert!(
            [303, 204].contains(&page.status) && page.body.is_empty(),
            "{path}"
        );
    }
    let api = directory.raw("GET", "/healthz", None, "").await;
    assert_eq!(api.status, 200);
}

#[tokio::test]
async fn a_cookie_that_somebody_else_set_opens_nothing() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let browser = directory.signed_in("acme").await;
    let session = browser.cookie.split_once('=').unwrap().1.to_owned();
    let get = async |host: &str, cookie: String| {
        let url = format!("{}/pages/calls", directory.base);
        let request = browser.http.get(url).header("host", host);
        let answer = request.header("cookie", cookie).send().await.unwrap();
        answer.status().as_u16()
    };
    let secure = "calls.example.com";
    assert_eq!(
        get(secure, format!("__Host-switchboard={session}")).await,
        200
    );
    // A name without the prefix could come from a neighbouring host, or over plain HTTP.
    assert_eq!(get(secure, format!("switchboard={session}")).await, 303);
    for cookie in [
        "",
        "__Host-switchboard=",
        "__Host-switchboard=a.b",
        "__Host-switchboard=;",
    ] {
        assert_eq!(get(secure, cookie.to_owned()).await, 303, "{cookie}");
    }
    // A session is made anew by each sign-in, and none that a browser brings is taken over.
    let fixed = directory.signed_in("acme").await;
    let mut victim = copy(&fixed);
    victim.sign_in(Purpose::Lookup).await;
    assert_ne!(victim.cookie, fixed.cookie);
    let token = token("acme", Purpose::Lookup);
    assert!(!victim.cookie.contains(token.expose_secret()));
}

#[tokio::test]
async fn a_forged_place_in_the_stream_hides_nothing() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let calls = [call("d1", "03-1234-5678", "2026-11-29T14:59:00Z")];
    directory.ingest().ingest(&payload(calls)).await.unwrap();
    let browser = directory.signed_in("acme").await;
    for seen in ["", "0123456789abcdef", "\u{e9}", &"a".repeat(4_000)] {
        let mut events = Events::of(&browser, "history", Some(seen)).await;
        let (told, _) = events.until_seen().await;
        let shown = told.iter().any(|event| event.data["id"] == "d1");
        assert!(shown, "{seen:?}: {told:?}");
    }
}

#[tokio::test]
async fn names_without_end_are_shown_whole_and_break_no_page() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let calls = [call("d1", "03-1234-5678", "2026-11-29T14:59:00Z")];
    directory.ingest().ingest(&payload(calls)).await.unwrap();
    let long = format!("{}<b>\u{200f}\u{200b}e\u{301}", "\u{4e00}".repeat(200));
    let contact = found("+81312345678", &long);
    directory
        .worker()
        .write_contacts(&write(WritePolicy::Overwrite, contact))
        .await
        .unwrap();
    let browser = directory.signed_in("acme").await;
    for path in ["/pages/calls", "/pages/calls/d1", "/pages/calls.csv"] {
        let page = browser.get(path).await;
        assert!(page.body.contains(&"\u{4e00}".repeat(200)), "{path}");
        for acts in ["\u{200f}", "\u{200b}"] {
            assert!(!page.body.contains(acts), "{path}: {acts:?}");
        }
        assert_eq!(page.body.contains("<b>"), path.ends_with("csv"), "{path}");
    }
}

#[tokio::test]
async fn why_a_token_is_not_taken_is_told_in_ones_language() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let controller = directory.client("acme", Purpose::Controller);
    let browser = directory.browser("acme");
    let mint = |claims: Claims| TokenKeys::parse(KEY).unwrap().mint(&claims).unwrap();
    let good = claims("acme", Purpose::Lookup);
    let expired = mint(Claims {
        expires_at: Some(Timestamp::from_second(1_700_000_001).unwrap()),
        ..good.clone()
    });
    let revoked = mint(good);
    controller
        .revoke_tokens_before(Timestamp::now())
        .await
        .unwrap();
    for (token, english, japanese) in [
        ("nonsense", "did not issue it", "発行したものではありません"),
        (expired.expose_secret(), "has expired", "有効期限"),
        (revoked.expose_secret(), "was revoked", "取り消されています"),
    ] {
        for (language, told) in [("en", english), ("ja", japanese)] {
            let path = format!("/pages/sign-in?lang={language}");
            let page = browser
                .post(&path, &[("token", token)], "same-origin")
                .await;
            assert_eq!(page.status, 403);
            assert!(page.body.contains(told), "{told}: {}", page.body);
            assert!(token == "nonsense" || !page.body.contains(token));
        }
    }
}
