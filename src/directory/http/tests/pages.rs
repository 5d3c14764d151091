//! The pages, as a browser asks for them: who may look, what is shown, and what protects both.

use jiff::SignedDuration;
use proptest::prelude::*;
use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use secrecy::ExposeSecret as _;

use super::*;
use crate::directory::PagesArgs;
use crate::directory::model::company::{LinkHealth, RetrievalMode};
use crate::directory::model::{Alternative, Alternatives, ChosenBy};
use crate::directory::why::Cause;

impl Directory {
    /// A directory that serves pages.
    pub(super) async fn with_pages(on: Backend) -> Self {
        Self::with_pages_as(on, PagesArgs::default()).await
    }

    pub(super) async fn with_pages_as(on: Backend, pages: PagesArgs) -> Self {
        let folder = TempDir::new().unwrap();
        let database = on.fresh(&folder);
        Self::serve_pages(folder, database, pages).await
    }

    /// Another one that serves pages, on this database.
    pub(super) async fn with_pages_on(folder: TempDir, database: String) -> Self {
        Self::serve_pages(folder, database, PagesArgs::default()).await
    }

    pub(super) async fn restart_with_pages(self) -> Self {
        let (folder, database) = self.stop().await;
        Self::with_pages_on(folder, database).await
    }

    async fn serve_pages(folder: TempDir, database: String, pages: PagesArgs) -> Self {
        let args = Args {
            database: database.clone().into(),
            pages: PagesArgs {
                pages: true,
                ..pages
            },
            ..args(&folder)
        };
        Self::start_with(args, folder, database).await
    }

    pub(super) fn browser(&self, company: &str) -> Browser {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Browser {
            http,
            base: self.base.clone(),
            company: company.to_owned(),
            cookie: String::new(),
        }
    }

    pub(super) async fn signed_in(&self, company: &str) -> Browser {
        let mut browser = self.browser(company);
        let page = browser.sign_in(Purpose::Lookup).await;
        assert_eq!(page.status, 303, "{}", page.body);
        browser
    }
}

/// A browser without a screen, and its cookie.
pub(super) struct Browser {
    pub(super) http: reqwest::Client,
    pub(super) base: String,
    pub(super) company: String,
    pub(super) cookie: String,
}

pub(super) struct Page {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Page {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

impl Browser {
    pub(super) async fn get(&self, path: &str) -> Page {
        self.send(self.http.get(format!("{}{path}", self.base)))
            .await
    }

    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)], site: &str) -> Page {
        let request = self.http.post(format!("{}{path}", self.base));
        self.send(request.form(form).header("sec-fetch-site", site))
            .await
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        let answer = request.header("cookie", &self.cookie).send().await.unwrap();
        Page {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.text().await.unwrap(),
        }
    }

    /// Sends the form by which somebody signs out.
    pub(super) async fn sign_out(&self) -> Page {
        let page = self.get("/pages/calls").await.body;
        let key = page.split("name=\"key\" value=\"").nth(1).unwrap();
        let form = [("key", key.split('"').next().unwrap())];
        self.post("/pages/sign-out", &form, "same-origin").await
    }

    pub(super) async fn sign_in(&mut self, purpose: Purpose) -> Page {
        let token = token(&self.company, purpose);
        let form = [("token", token.expose_secret()), ("next", "/pages/calls")];
        let page = self.post("/pages/sign-in", &form, "same-origin").await;
        if let Some(line) = page.headers.get(SET_COOKIE) {
            let line = line.to_str().unwrap();
            self.cookie = line.split(';').next().unwrap().to_owned();
        }
        page
    }
}

pub(super) fn link(ready: bool) -> LinkHealth {
    LinkHealth {
        ready: Some(ready),
        reason: if ready { "Ready" } else { "InvalidLogin" }.to_owned(),
        cause: "Salesforce refused user name or password.".to_owned(),
        remedy: "Put the right password into the Secret.".to_owned(),
        since: "2026-11-30T01:00:00Z".parse().unwrap(),
        retrieval: RetrievalMode::Daily,
        suspended: false,
        time_zone: "Asia/Tokyo".to_owned(),
        region: Region::JAPAN,
        last_run_at: None,
        last_outcome: None,
        next_run_at: None,
        budget_percent: Some(7),
    }
}

on_each_database!(
    a_call_is_shown_with_its_name_and_found_by_number_name_day_and_direction,
    a_search_goes_on_where_a_page_of_it_ends,
    a_file_of_calls_has_all_of_them_and_is_on_record,
    the_link_is_told_and_stands_above_the_calls_while_it_is_broken,
    why_a_call_has_no_name_is_told_by_page_and_interface,
);

#[tokio::test]
async fn without_the_flag_there_are_no_pages() {
    let directory = Directory::start(Backend::Sqlite).await;
    for path in [
        "/pages",
        "/pages/calls",
        "/pages/sign-in",
        "/pages/static/pages.css",
    ] {
        assert_eq!(
            directory.raw("GET", path, None, "").await.status,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_token_for_lookup_and_no_other_opens_the_pages() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let mut browser = directory.browser("acme");
    let page = browser.get("/pages/calls?q=acme%26co").await;
    assert_eq!(page.status, 303);
    assert_eq!(
        page.header("location"),
        "/pages/sign-in?next=%2Fpages%2Fcalls%3Fq%3Dacme%2526co"
    );
    assert_eq!(
        browser.get("/pages").await.header("location"),
        "/pages/calls"
    );
    let form = browser.get(page.header("location")).await;
    assert!(
        form.body.contains(r#"value="/pages/calls?q=acme%26co""#),
        "{}",
        form.body
    );
    for purpose in [
        Purpose::Ingest,
        Purpose::Worker,
        Purpose::Admin,
        Purpose::Privacy,
    ] {
        let refused = browser.sign_in(purpose).await;
        assert_eq!(
            (refused.status, browser.cookie.as_str()),
            (403, ""),
            "{purpose}"
        );
        assert!(refused.body.contains("another purpose"), "{}", refused.body);
    }
    let page = browser.sign_in(Purpose::Lookup).await;
    assert_eq!(
        (page.status, page.header("location")),
        (303, "/pages/calls")
    );
    // Plain HTTP on this machine: no wire on which somebody could read along.
    let line = page.header("set-cookie");
    assert!(line.starts_with("switchboard="), "{line}");
    for attribute in ["HttpOnly", "SameSite=Lax", "Max-Age=43200", "Path=/"] {
        assert!(line.contains(attribute), "{line}");
    }
    assert!(!line.contains(token("acme", Purpose::Lookup).expose_secret()));
    assert_eq!(browser.get("/pages/calls").await.status, 200);
}

#[tokio::test]
async fn elsewhere_the_cookie_is_for_https_alone() {
    let framed = PagesArgs {
        pages_frame_ancestors: vec!["https://*.phone.example".parse().unwrap()],
        ..PagesArgs::default()
    };
    for (pages, wanted) in [
        (PagesArgs::default(), "; Secure; SameSite=Lax"),
        (framed, "; Secure; SameSite=None; Partitioned"),
    ] {
        let directory = Directory::with_pages_as(Backend::Sqlite, pages).await;
        let browser = directory.browser("acme");
        let token = token("acme", Purpose::Lookup);
        let request = browser
            .http
            .post(format!("{}/pages/sign-in", directory.base))
            .header("host", "calls.example.com")
            .header("origin", "https://calls.example.com")
            .form(&[("token", token.expose_secret())]);
        let page = browser.send(request).await;
        let line = page.header("set-cookie");
        assert!(
            line.starts_with("__Host-switchboard=") && line.contains(wanted),
            "{line}"
        );
        assert_eq!(page.header("strict-transport-security"), "max-age=31536000");
    }
}

#[tokio::test]
async fn a_session_ends_with_revoked_tokens_and_with_the_key_and_not_by_a_forged_form() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let browser = directory.signed_in("acme").await;
    let page = browser.get("/pages/calls").await.body;
    let key = page.split("name=\"key\" value=\"").nth(1).unwrap();
    let key = key.split('"').next().unwrap().to_owned();
    for (key, site) in [("wrong", "same-origin"), (key.as_str(), "cross-site")] {
        let forged = browser.post("/pages/sign-out", &[("key", key)], site).await;
        assert_eq!(forged.status, 403, "{site}");
    }
    assert_eq!(browser.get("/pages/calls").await.status, 200);

    let other = directory.signed_in("birch").await;
    let controller = directory.client("acme", Purpose::Controller);
    controller
        .revoke_tokens_before(Timestamp::now())
        .await
        .unwrap();
    assert_eq!(browser.get("/pages/calls").await.status, 303, "revoked");
    assert_eq!(
        other.get("/pages/calls").await.status,
        200,
        "another company's stay"
    );

    let new = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";
    std::fs::write(directory.folder.path().join("keys"), new).unwrap();
    eventually(async || other.get("/pages/calls").await.status == 303).await;
}

#[tokio::test]
async fn a_form_of_another_site_signs_nobody_in() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let browser = directory.browser("acme");
    let token = token("acme", Purpose::Lookup);
    let form = [("token", token.expose_secret())];
    for site in ["cross-site", "same-site", "none"] {
        let page = browser.post("/pages/sign-in", &form, site).await;
        assert_eq!(
            (page.status, page.header("set-cookie")),
            (403, ""),
            "{site}"
        );
    }
    let request = browser
        .http
        .post(format!("{}/pages/sign-in", directory.base))
        .form(&form);
    assert_eq!(
        browser.send(request).await.status,
        403,
        "it does not say where it comes from"
    );
}

#[tokio::test]
async fn files_are_sent_packed_and_once() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let browser = directory.browser("acme");
    let page = browser.get("/pages/sign-in").await.body;
    for name in ["pages.css", "pages.js", "icon.svg"] {
        let address = page.split('"').find(|text| text.contains(name)).unwrap();
        let request = || browser.http.get(format!("{}{address}", directory.base));
        let plain = browser
            .send(request().header("accept-encoding", "identity"))
            .await;
        assert!(
            plain.header("cache-control").contains("immutable"),
            "{name}"
        );
        let packed = request()
            .header("accept-encoding", "gzip")
            .send()
            .await
            .unwrap();
        assert!(packed.headers().get("etag").is_some());
        let tag = plain.header("etag").to_owned();
        let again = browser.send(request().header("if-none-match", tag)).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{name}");
    }
}

async fn a_call_is_shown_with_its_name_and_found_by_number_name_day_and_direction(on: Backend) {
    let directory = Directory::with_pages(on).await;
    directory
        .client("acme", Purpose::Controller)
        .tell_link(&link(true))
        .await
        .unwrap();
    let calls = [
        call("d1", "03-1234-5678", "2026-11-29T14:59:00Z"),
        call("d2", "+1 312 555 0100", "2026-11-29T15:01:00Z"),
        call("d3", "Anonymous", "2026-11-30T01:00:00Z"),
        call("d4", "2001", "2026-11-28T01:00:00Z"),
        call("d5", "03-1234-5670", "2026-11-27T01:00:00Z"),
    ];
    directory.ingest().ingest(&payload(calls)).await.unwrap();
    let mut ecole = found("+81312345670", "Étienne ΟΔΟΣ");
    ecole.company_name = Some("ＡＢＣ ｼｮｳｼﾞ".to_owned());
    directory
        .worker()
        .write_contacts(&write(WritePolicy::Overwrite, ecole))
        .await
        .unwrap();
    let mut sato = found("+81312345678", "佐藤 Hanako");
    sato.alternatives = Some(Alternatives {
        count: 1,
        records: vec![Alternative {
            object: RecordObject::Lead,
            record_id: "00Q5g00000ABCDEAA1".to_owned(),
            person_name: Some("Sato H.".to_owned()),
            company_name: None,
        }],
        rule: ChosenBy::Object,
    });
    directory
        .worker()
        .write_contacts(&write(WritePolicy::Overwrite, sato))
        .await
        .unwrap();
    let browser = directory.signed_in("acme").await;
    let page = browser.get("/pages/calls").await.body;
    for shown in [
        "03-1234-5678",
        "+1 312-555-0100",
        "佐藤 Hanako",
        "Acme KK",
        "29 Nov 2026 23:59",
        "30 Nov 2026 00:01",
        "the caller withheld the number",
        "https://acme.my.salesforce.com/0035g00000ABCDEAA1",
        "https://acme.my.salesforce.com/00Q5g00000ABCDEAA1",
        "1 more on this number",
        "a contact before an account",
        "not asked yet",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let rows = async |query: &str| {
        let page = browser.get(&format!("/pages/calls?{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        let ids = page.body.split("data-call=\"").skip(1);
        ids.map(|id| id.split('"').next().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (query, wanted) in [
        ("", "d3 d2 d1 d4 d5"),
        ("q=0312345678", "d1"),
        ("q=%2B81+3+1234+5678", "d1"),
        ("q=%EF%BC%90%EF%BC%93-1234-5678", "d1"),
        ("q=%E4%BD%90%E8%97%A4", "d1"),
        ("q=hanako", "d1"),
        ("q=ACME", "d1"),
        ("q=a", "d1 d5"),
        ("q=nobody", ""),
        ("q=%25", ""),
        ("q=_", ""),
        ("from=2026-11-30&to=2026-11-30", "d3 d2"),
        ("to=2026-11-29", "d1 d4 d5"),
        ("direction=in", "d3 d2 d1 d4 d5"),
        ("direction=out", ""),
        ("named=yes", "d1 d5"),
        ("named=no", "d3 d2 d4"),
        ("q=2001", "d4"),
        ("q=2002", ""),
        ("q=2001&direction=in&named=no", "d4"),
        ("q=2001&direction=out", ""),
        ("q=ÉTIENNE", "d5"),
        ("q=e%CC%81tienne", "d5"),
        ("q=οδος", "d5"),
        ("q=abc+ショウジ", "d5"),
        ("q=ＳＨＯＵＪＩ", ""),
        ("q=%E2%80%8B", "d3 d2 d1 d4 d5"),
        ("q=étienne&direction=in", "d5"),
        ("q=étienne&named=yes&to=2026-11-27", "d5"),
        ("q=étienne&named=no", ""),
        ("q=étienne&from=2026-11-28", ""),
    ] {
        assert_eq!(rows(query).await, wanted, "{query}");
    }
    let japanese = browser.get("/pages/calls?lang=ja").await;
    assert!(
        japanese.body.contains("<html lang=\"ja\">")
            && japanese.body.contains("2026年11月29日 23:59")
    );
    assert!(
        japanese
            .header("set-cookie")
            .starts_with("switchboard-language=ja")
    );
    for (query, status) in [("from=yesterday", 400), ("cursor=x", 400)] {
        assert_eq!(
            browser.get(&format!("/pages/calls?{query}")).await.status,
            status,
            "{query}"
        );
    }
}

async fn a_search_goes_on_where_a_page_of_it_ends(on: Backend) {
    let directory = Directory::with_pages(on).await;
    let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    // One call in 700 has a name; a page looks 2,000 through, and lists 50.
    let calls: Vec<Value> = (0..7_000)
        .map(|n| {
            let number = if n % 700 == 0 {
                "0312345678".to_owned()
            } else {
                format!("0390{n:06}")
            };
            let at = start + SignedDuration::from_secs(n);
            call(&format!("d{n:04}"), &number, &at.to_string())
        })
        .collect();
    for calls in calls.chunks(200) {
        let calls = payload(calls.to_vec());
        directory.ingest().ingest(&calls).await.unwrap();
    }
    let contact = found("+81312345678", "Sato");
    directory
        .worker()
        .write_contacts(&write(WritePolicy::Overwrite, contact))
        .await
        .unwrap();
    let browser = directory.signed_in("acme").await;
    // Who is called so is found at once, and the calls by the number.
    for (query, wanted_pages) in [("q=sato", 1), ("q=sato&direction=in", 4), ("named=yes", 4)] {
        let (mut address, mut found, mut pages) = (format!("/pages/calls?{query}"), vec![], 0);
        loop {
            let page = browser.get(&address).await.body;
            pages += 1;
            found.extend(
                page.split("data-call=\"")
                    .skip(1)
                    .map(|id| id[..5].to_owned()),
            );
            assert_eq!(
                page.contains("Searched back to"),
                pages < wanted_pages,
                "{page}"
            );
            let Some(next) = page.split("rel=\"next\" href=\"").nth(1) else {
                break;
            };
            address = next.split('"').next().unwrap().replace("&#38;", "&");
        }
        let wanted: Vec<String> = (0..10).rev().map(|n| format!("d{:04}", n * 700)).collect();
        assert_eq!((found, pages), (wanted, wanted_pages), "{query}");
    }
    let mut page = browser.get("/pages/calls").await.body;
    let mut all = 0;
    loop {
        all += page.matches("data-call=").count();
        let Some(next) = page.split("rel=\"next\" href=\"").nth(1) else {
            break;
        };
        page = browser
            .get(&next.split('"').next().unwrap().replace("&#38;", "&"))
            .await
            .body;
    }
    assert_eq!(all, 7_000);
}

async fn a_file_of_calls_has_all_of_them_and_is_on_record(on: Backend) {
    let directory = Directory::with_pages(on).await;
    let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    for part in 0..6 {
        let calls = (0..200).map(|n| {
            let n = part * 200 + n;
            let at = start + SignedDuration::from_secs(n);
            call(&format!("d{n:04}"), "0312345678", &at.to_string())
        });
        directory.ingest().ingest(&payload(calls)).await.unwrap();
    }
    let mut formula = found("+81312345678", "=HYPERLINK(\"http://evil\")");
    formula.company_name = Some("山田, \"KK\"".to_owned());
    directory
        .worker()
        .write_contacts(&write(WritePolicy::Overwrite, formula))
        .await
        .unwrap();
    let browser = directory.signed_in("acme").await;
    let file = browser.get("/pages/calls.csv").await;
    assert!(
        file.header("content-type").starts_with("text/csv"),
        "{:?}",
        file.headers
    );
    assert_eq!(file.body.lines().count(), 1_201);
    assert!(
        file.body.starts_with("\u{feff}Time,"),
        "{}",
        &file.body[..80]
    );
    let line = file.body.lines().nth(1).unwrap();
    assert!(line.contains("\"山田, \"\"KK\"\"\""), "{line}");
    assert!(line.contains("'=HYPERLINK"), "{line}");
    let one = browser.get("/pages/calls.csv?to=2026-10-31").await.body;
    assert_eq!(one.lines().count(), 1, "{one}");
    let audit = directory
        .client("acme", Purpose::Privacy)
        .audit(&Default::default())
        .await
        .unwrap();
    let actions: Vec<&str> = audit
        .entries
        .iter()
        .map(|entry| entry.action.as_str())
        .collect();
    assert_eq!(actions, ["calls-exported", "calls-exported"]);
    assert_eq!(audit.entries[0].purpose, "lookup");
}

async fn the_link_is_told_and_stands_above_the_calls_while_it_is_broken(on: Backend) {
    let directory = Directory::with_pages(on).await;
    let controller = directory.client("acme", Purpose::Controller);
    let (acme, birch) = (
        directory.signed_in("acme").await,
        directory.signed_in("birch").await,
    );
    assert!(!acme.get("/pages/calls").await.body.contains("banner"));
    controller.tell_link(&link(false)).await.unwrap();
    let page = acme.get("/pages/calls").await.body;
    for told in [
        "InvalidLogin",
        "Salesforce refused",
        "Put the right password",
        "30 Nov 2026 10:00",
        "7 % of the budget",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let japanese = acme.get("/pages/calls?lang=ja").await.body;
    let banner = japanese.split("class=\"banner\"").nth(1).unwrap();
    let banner = banner.split("</section>").next().unwrap();
    for told in [
        "InvalidLogin",
        "パスワード",
        "対処方法",
        "<bdi lang=\"ja\">",
    ] {
        assert!(banner.contains(told), "{told}: {banner}");
    }
    assert!(
        !banner.contains("password") && !banner.contains("lang=\"en\""),
        "{banner}"
    );
    assert!(
        !birch
            .get("/pages/calls")
            .await
            .body
            .contains("InvalidLogin")
    );
    controller.tell_link(&link(true)).await.unwrap();
    assert!(!acme.get("/pages/calls").await.body.contains("banner"));
    let lookup = directory
        .lookup()
        .tell_link(&link(false))
        .await
        .unwrap_err();
    assert!(lookup.to_string().contains("wrong-purpose"), "{lookup}");
    let long = LinkHealth {
        cause: "x".repeat(1_001),
        ..link(false)
    };
    let refused = controller.tell_link(&long).await.unwrap_err();
    assert!(
        refused.to_string().contains("cause is too long"),
        "{refused}"
    );
}

async fn why_a_call_has_no_name_is_told_by_page_and_interface(on: Backend) {
    let directory = Directory::with_pages(on).await;
    let calls = [
        call("waits", "03-1234-5678", "2026-11-29T14:59:00Z"),
        call("miss", "03-1234-5679", "2026-11-29T15:01:00Z"),
        call("withheld", "Anonymous", "2026-11-30T01:00:00Z"),
    ];
    directory.ingest().ingest(&payload(calls)).await.unwrap();
    let mut misses = WriteContactsRequest::new(WritePolicy::Overwrite, vec![]);
    misses.not_found = vec!["+81312345679".parse().unwrap()];
    misses.asked_by = Some(crate::directory::model::AskedBy {
        run: "acme-tokyo-29384".to_owned(),
        api_calls: 2,
    });
    directory.worker().write_contacts(&misses).await.unwrap();
    directory
        .worker()
        .done(&done("miss", "+81312345679"))
        .await
        .unwrap();
    let lookup = directory.lookup();
    let why = async |id: &str| lookup.why(id).await.unwrap();
    assert_eq!(why("waits").await.cause, Cause::NoLink);
    directory
        .client("acme", Purpose::Controller)
        .tell_link(&link(false))
        .await
        .unwrap();
    let waits = why("waits").await;
    assert_eq!(waits.cause, Cause::LinkBroken);
    assert_eq!(
        waits.remedy.as_deref(),
        Some("Put the right password into the Secret.")
    );
    assert_eq!(why("withheld").await.cause, Cause::Withheld);
    let miss = why("miss").await;
    assert_eq!(miss.cause, Cause::NotInSalesforce);
    let asked = miss.asked.unwrap();
    assert_eq!(
        (asked.run.as_deref(), asked.api_calls),
        (Some("acme-tokyo-29384"), Some(2))
    );
    assert!(
        asked.spellings > 10 && asked.likeliest.len() == 5,
        "{asked:?}"
    );
    assert!(miss.next_at.is_some() && miss.received_at.is_some());
    let number = lookup.why_of_number("03 1234 5679").await.unwrap();
    assert_eq!(
        (number.cause, number.call.as_deref()),
        (Cause::NotInSalesforce, Some("miss"))
    );
    let nobody = lookup.why_of_number("0312340000").await.unwrap();
    assert_eq!((nobody.cause, nobody.call), (Cause::LinkBroken, None));
    let none = lookup.why("none").await.unwrap_err();
    assert!(none.to_string().contains("no-such-call"), "{none}");

    let browser = directory.signed_in("acme").await;
    let page = browser.get("/pages/calls/miss").await.body;
    for told in [
        "acme-tokyo-29384",
        "03-1234-5679",
        "does not know the number",
        "run-requested-at",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let page = browser.get("/pages/calls/waits").await.body;
    assert!(
        page.contains("Put the right password") && page.contains("InvalidLogin"),
        "{page}"
    );
    let page = browser.get("/pages/calls/waits?lang=ja").await.body;
    let panel = page.split("id=\"why\"").nth(1).unwrap();
    for told in ["未問い合わせ", "InvalidLogin", "<span lang=\"ja\">"] {
        assert!(panel.contains(told), "{told}: {panel}");
    }
    assert!(!panel.contains("Put the right password"), "{panel}");
    let privacy = directory.client("acme", Purpose::Privacy);
    let request = crate::directory::model::privacy::NumberRequest {
        number: "03-1234-5679".to_owned(),
        region: None,
    };
    privacy.erase_number(&request).await.unwrap();
    assert_eq!(browser.get("/pages/calls/miss").await.status, 404);
    assert_eq!(
        lookup.why_of_number("0312345679").await.unwrap().cause,
        Cause::Erased
    );
}

#[tokio::test]
async fn hostile_names_show_as_text() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let hostile = [
        ("0312345601", "<script>alert(1)</script>"),
        ("0312345602", "\"><img src=x onerror=alert(1)>"),
        ("0312345603", "a\u{202e}moc.live\u{2066}b"),
        ("0312345604", "{{ 7 * 7 }}{% raw %}"),
        ("0312345605", "&amp;lt; ' ` \u{feff}"),
    ];
    for (n, (number, name)) in hostile.iter().enumerate() {
        let at = format!("2026-11-30T01:0{n}:00Z");
        let calls = [call(&format!("<b id=x>{n}\"'/?#"), number, &at)];
        directory.ingest().ingest(&payload(calls)).await.unwrap();
        let mut contact = found(&format!("+81{}", &number[1..]), name);
        contact.company_name = Some((*name).to_owned());
        contact.title = Some((*name).to_owned());
        contact.owner_name = Some((*name).to_owned());
        contact.link = Some("https://acme.my.salesforce.com/\"><script>".to_owned());
        directory
            .worker()
            .write_contacts(&write(WritePolicy::Overwrite, contact))
            .await
            .unwrap();
    }
    let mut code = found("+81312345606", "Code");
    code.link = Some("javascript:alert(1)".to_owned());
    let written = directory
        .worker()
        .write_contacts(&write(WritePolicy::Overwrite, code))
        .await;
    written.unwrap();
    directory
        .ingest()
        .ingest(&payload([call(
            "code",
            "0312345606",
            "2026-11-30T02:00:00Z",
        )]))
        .await
        .unwrap();
    let browser = directory.signed_in("acme").await;
    let list = browser
        .get("/pages/calls?q=%3Cscript%3E&lang=%22%3E%3Cb%3E")
        .await;
    let list_all = browser.get("/pages/calls").await;
    let pages = list_all.body.split("class=\"why\" href=\"").skip(1);
    let pages: Vec<String> = pages
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(pages.len(), 6, "{}", list_all.body);
    let mut all = vec![list, list_all];
    for page in pages {
        let page = browser.get(&page).await;
        assert_eq!(page.status, 200, "a call of any ID has its page");
        all.push(page);
    }
    for page in all {
        for code in [
            "<script>",
            "<img",
            "<b id",
            "javascript:",
            "\u{202e}",
            "\u{2066}",
            "\u{feff}",
            "49",
        ] {
            let body = page.body.replace("size=\"49\"", "");
            assert!(!body.contains(code) || code == "49", "{code:?}: {body}");
        }
        assert_eq!(
            page.body.matches("<script").count(),
            1,
            "our own: {}",
            page.body
        );
    }
}

#[tokio::test]
async fn a_named_proxy_says_whose_pages_they_are_and_nobody_else() {
    for (proxies, opens) in [("127.0.0.1/32", true), ("10.0.0.0/8", false)] {
        let pages = PagesArgs {
            pages_company_header: Some("x-company-id".parse().unwrap()),
            pages_sign_on_proxies: vec![proxies.parse().unwrap()],
            ..PagesArgs::default()
        };
        let directory = Directory::with_pages_as(Backend::Sqlite, pages).await;
        let calls = [call("d1", "03-1234-5678", "2026-11-29T14:59:00Z")];
        directory.ingest().ingest(&payload(calls)).await.unwrap();
        let browser = directory.browser("acme");
        let get = async |company: &str| {
            let request = browser.http.get(format!("{}/pages/calls", directory.base));
            browser.send(request.header("x-company-id", company)).await
        };
        let acme = get("acme").await;
        assert_eq!(acme.status == 200, opens, "{proxies}");
        assert_eq!(acme.body.contains("03-1234-5678"), opens, "{proxies}");
        assert!(!get("birch").await.body.contains("03-1234-5678"));
        assert_eq!(get("NOT A COMPANY").await.status, 303);
        let request = browser.http.get(format!("{}/pages/calls", directory.base));
        let two = request.header("x-company-id", "acme");
        let two = browser.send(two.header("x-company-id", "birch")).await;
        assert_eq!(two.status, 303, "one of them is the browser's own");
    }
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let browser = directory.browser("acme");
    let request = browser.http.get(format!("{}/pages/calls", directory.base));
    assert_eq!(
        browser
            .send(request.header("x-company-id", "acme"))
            .await
            .status,
        303,
        "off by default"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Calls of two companies under the same IDs and numbers; whatever one asks, it sees its own.
    #[test]
    fn a_session_of_one_company_sees_nothing_of_another(
        calls in proptest::collection::vec((0..4_u8, 0..3_u8, any::<bool>()), 1..8),
        query in "(q=(0312345670|[a-z]{0,2}|secret)&)?(named=(yes|no)&)?(direction=(in|out)&)?(lang=ja&)?",
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let directory = Directory::with_pages(Backend::Sqlite).await;
            let mut ids = vec![];
            for (n, (id, number, acme)) in calls.iter().enumerate() {
                let company = if *acme { "acme" } else { "birch" };
                let id = format!("d{id}");
                let call = call(&id, &format!("031234567{number}"), &format!("2026-11-30T01:0{n}:00Z"));
                let mut payload = payload([call]);
                payload["call"]["tenant_code"] = json!(company);
                directory.client(company, Purpose::Ingest).ingest(&payload).await.unwrap();
                let contact = found(&format!("+8131234567{number}"), &format!("secret of {company}"));
                let worker = directory.client(company, Purpose::Worker);
                worker.write_contacts(&write(WritePolicy::Overwrite, contact)).await.unwrap();
                ids.push(id);
            }
            // Both look at once: nothing that is read for one is told to the other.
            let mut open = vec![];
            for (own, other) in [("acme", "birch"), ("birch", "acme")] {
                let health = LinkHealth { cause: format!("secret of {own}"), ..link(false) };
                directory.client(own, Purpose::Controller).tell_link(&health).await.unwrap();
                let browser = directory.signed_in(own).await;
                for board in ["screen", "history"] {
                    let mut events = super::screen::Events::of(&browser, board, None).await;
                    let (told, _) = events.until_seen().await;
                    let secret = format!("secret of {other}");
                    assert!(told.iter().all(|event| !event.data.to_string().contains(&secret)), "{own}: {told:?}");
                    open.push(events);
                }
                let mut paths: Vec<String> = ids.iter().map(|id| format!("/pages/calls/{id}")).collect();
                for page in ["/pages/calls", "/pages/calls.csv", "/pages/screen"] {
                    paths.push(format!("{page}?{query}"));
                }
                for path in paths {
                    let page = browser.get(&path).await;
                    let secret = format!("secret of {other}");
                    assert!(!page.body.contains(&secret), "{own} at {path}: {}", page.body);
                }
            }
        });
    }
}

#[tokio::test]
async fn who_asks_too_much_of_the_pages_is_told_and_the_interface_answers_on() {
    let folder = TempDir::new().unwrap();
    let database = Backend::Sqlite.fresh(&folder);
    let args = Args {
        database: database.clone().into(),
        tenant_rate: 2,
        pages: PagesArgs {
            pages: true,
            ..PagesArgs::default()
        },
        ..args(&folder)
    };
    let directory = Directory::start_with(args, folder, database).await;
    let browser = directory.signed_in("acme").await;
    let mut told = None;
    for _ in 0..20 {
        let page = browser.get("/pages/calls").await;
        if page.status == 429 {
            told = Some(page);
        }
    }
    let told = told.expect("twenty pages at once are more than two a second");
    assert!(told.body.contains("Too many requests") && told.headers.contains_key("retry-after"));
    assert!(told.headers.get(LOCATION).is_none());
    directory.lookup().calls(&Default::default()).await.unwrap();
}
