//! The call screen's events: who calls shows up, gets a name, and is told once.

use std::collections::VecDeque;

use secrecy::ExposeSecret as _;

use super::pages::{Browser, link};
use super::*;

on_each_database!(
    who_calls_shows_up_and_gets_a_name_and_nothing_is_told_twice,
    who_comes_back_misses_nothing,
    an_erased_caller_leaves_the_screen_and_the_list,
    a_ring_that_is_pushed_shows_up_whether_the_caller_is_known_or_not,
);

/// A stream of events.
pub(super) struct Events {
    answer: reqwest::Response,
    text: String,
    events: VecDeque<Event>,
}

#[derive(Debug, Clone)]
pub(super) struct Event {
    kind: String,
    id: Option<String>,
    pub(super) data: Value,
}

impl Events {
    pub(super) async fn of(browser: &Browser, board: &str, seen: Option<&str>) -> Self {
        let url = format!("{}/pages/events?board={board}", browser.base);
        let mut request = browser.http.get(url).header("cookie", &browser.cookie);
        if let Some(seen) = seen {
            request = request.header("last-event-id", seen);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            answer,
            text: String::new(),
            events: VecDeque::new(),
        }
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        let reading = async {
            loop {
                if let Some(event) = self.events.pop_front() {
                    return Some(event);
                }
                let part = self.answer.chunk().await.ok()??;
                self.text.push_str(std::str::from_utf8(&part).unwrap());
                while let Some((event, rest)) = self.text.split_once("\n\n") {
                    let field = |name: &str| {
                        let mut lines = event.lines();
                        lines
                            .find_map(|line| line.strip_prefix(name))
                            .map(str::to_owned)
                    };
                    if let (Some(kind), Some(data)) = (field("event: "), field("data: ")) {
                        self.events.push_back(Event {
                            kind,
                            id: field("id: "),
                            data: serde_json::from_str(&data).unwrap(),
                        });
                    }
                    self.text = rest.to_owned();
                }
            }
        };
        let read = tokio::time::timeout(Duration::from_secs(30), reading).await;
        read.expect("an event comes, or the end")
    }

    /// Reads on until the stream ends; nothing may be told on the way.
    pub(super) async fn until_it_ends(&mut self) {
        let event = self.next().await;
        assert!(event.is_none(), "{event:?}");
    }

    /// Reads on until a comment says this.
    async fn until_told_that(&mut self, comment: &str) {
        while !self.text.contains(comment) {
            let part = tokio::time::timeout(Duration::from_secs(30), self.answer.chunk());
            let part = part.await.unwrap().unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&part).unwrap());
        }
        self.text.clear();
    }

    /// The events up to the next that says that all is told: what they tell, and its ID.
    pub(super) async fn until_seen(&mut self) -> (Vec<Event>, String) {
        let mut told = vec![];
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.kind == "seen" {
                return (told, event.id.unwrap());
            }
            told.push(event);
        }
    }

    /// Reads on until a card shows this text; what was told until then.
    async fn until_shown(&mut self, text: &str) -> Vec<Event> {
        let mut told = vec![];
        loop {
            let event = self.next().await.expect("the stream goes on");
            let is_it = event.data["html"]
                .as_str()
                .is_some_and(|html| html.contains(text));
            told.push(event);
            if is_it {
                return told;
            }
        }
    }
}

fn ringing(id: &str, number: &str) -> Value {
    let mut call = call(id, number, &Timestamp::now().to_string());
    call["dial_ends_at"] = Value::Null;
    call
}

fn cards(events: &[Event]) -> usize {
    events.iter().filter(|event| event.kind == "card").count()
}

async fn who_calls_shows_up_and_gets_a_name_and_nothing_is_told_twice(on: Backend) {
    let directory = Directory::with_pages(on).await;
    directory
        .client("acme", Purpose::Controller)
        .tell_link(&link(true))
        .await
        .unwrap();
    let earlier = [call("d0", "0312345678", "2026-11-29T14:59:00Z")];
    directory.ingest().ingest(&payload(earlier)).await.unwrap();
    let (acme, birch) = (
        directory.signed_in("acme").await,
        directory.signed_in("birch").await,
    );
    let mut screens = [
        Events::of(&acme, "screen", None).await,
        Events::of(&acme, "screen", None).await,
    ];
    let mut others = Events::of(&birch, "screen", None).await;
    for screen in &mut screens {
        let (told, _) = screen.until_seen().await;
        assert_eq!(
            (told.len(), told[0].kind.as_str()),
            (1, "board"),
            "nobody calls: {told:?}"
        );
    }
    let (told, _) = others.until_seen().await;
    assert_eq!(told.len(), 1);

    let rings = payload([ringing("d1", "03-1234-5678")]);
    directory.ingest().ingest(&rings).await.unwrap();
    for screen in &mut screens {
        let told = screen.until_shown("03-1234-5678").await;
        assert_eq!(told.len(), 1, "{told:?}");
        let html = told[0].data["html"].as_str().unwrap();
        assert!(
            html.contains("Ringing") && html.contains("Unknown"),
            "{html}"
        );
        assert!(
            html.contains("Last calls with this number") && html.contains("29 Nov 2026 23:59"),
            "{html}"
        );
        assert_eq!(told[0].data["say"], "Ringing: Unknown, 03-1234-5678");
        screen.until_seen().await;
    }
    let contact = found("+81312345678", "Sato");
    directory
        .worker()
        .write_contacts(&write(WritePolicy::Overwrite, contact))
        .await
        .unwrap();
    // The same once more changes nothing, and is not told.
    directory.ingest().ingest(&rings).await.unwrap();
    let mut ended = payload([call("d1", "03-1234-5678", &Timestamp::now().to_string())]);
    ended["call"]["details"][0]["dial_ends_at"] = json!(Timestamp::now().to_string());
    for screen in &mut screens {
        let told = screen.until_shown("Sato").await;
        assert_eq!(cards(&told), 1, "{told:?}");
        let say = told.last().unwrap().data["say"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(say, "Ringing: Acme KK Sato, 03-1234-5678");
        screen.until_seen().await;
    }
    directory.ingest().ingest(&ended).await.unwrap();
    for screen in &mut screens {
        let told = screen.until_shown("Ended").await;
        assert_eq!(cards(&told), 1, "{told:?}");
    }
    // Nothing of it reached the other company: its own call is the next that it is told.
    let mut own = payload([ringing("x", "0398765432")]);
    own["call"]["tenant_code"] = json!("birch");
    directory
        .client("birch", Purpose::Ingest)
        .ingest(&own)
        .await
        .unwrap();
    let told = others.until_shown("03-9876-5432").await;
    assert_eq!(told.len(), 1, "{told:?}");
}

async fn who_comes_back_misses_nothing(on: Backend) {
    let directory = Directory::with_pages(on).await;
    let browser = directory.signed_in("acme").await;
    directory
        .ingest()
        .ingest(&payload([ringing("d1", "0312345671")]))
        .await
        .unwrap();
    let mut first = Events::of(&browser, "screen", None).await;
    let (told, seen) = first.until_seen().await;
    assert_eq!(cards(&told), 1);
    drop(first);
    // Nothing has happened: nothing is told.
    let mut again = Events::of(&browser, "screen", Some(&seen)).await;
    again.until_told_that("nothing has changed").await;
    directory
        .ingest()
        .ingest(&payload([ringing("d2", "0312345672")]))
        .await
        .unwrap();
    let told = again.until_shown("03-1234-5672").await;
    assert_eq!(told.len(), 1, "{told:?}");
    drop(again);
    directory
        .ingest()
        .ingest(&payload([ringing("d3", "0312345673")]))
        .await
        .unwrap();
    let mut back = Events::of(&browser, "screen", Some(&seen)).await;
    let (told, _) = back.until_seen().await;
    let numbers: Vec<bool> = ["5671", "5672", "5673"]
        .map(|number| {
            told.iter()
                .any(|event| event.data.to_string().contains(number))
        })
        .to_vec();
    assert_eq!(numbers, [true, true, true], "{told:?}");
    assert_eq!(
        told[0].data["ids"].as_array().unwrap().len(),
        3,
        "what else was there goes"
    );
}

async fn an_erased_caller_leaves_the_screen_and_the_list(on: Backend) {
    let directory = Directory::with_pages(on).await;
    let browser = directory.signed_in("acme").await;
    directory
        .ingest()
        .ingest(&payload([
            ringing("d1", "0312345671"),
            ringing("d2", "0312345672"),
        ]))
        .await
        .unwrap();
    let mut screens = [
        Events::of(&browser, "screen", None).await,
        Events::of(&browser, "history", None).await,
    ];
    for screen in &mut screens {
        assert_eq!(cards(&screen.until_seen().await.0), 2);
    }
    let request = crate::directory::model::privacy::NumberRequest {
        number: "0312345671".to_owned(),
        region: None,
    };
    directory
        .client("acme", Purpose::Privacy)
        .erase_number(&request)
        .await
        .unwrap();
    for screen in &mut screens {
        let event = screen.next().await.unwrap();
        assert_eq!(event.kind, "gone", "{event:?}");
    }
}

#[tokio::test]
async fn a_screen_goes_dark_with_its_session_and_with_the_directory() {
    let directory = Directory::with_pages(Backend::Sqlite).await;
    let browser = directory.signed_in("acme").await;
    let other = directory.signed_in("birch").await;
    let mut screen = Events::of(&browser, "screen", None).await;
    let mut goes_on = Events::of(&other, "screen", None).await;
    screen.until_seen().await;
    goes_on.until_seen().await;
    let controller = directory.client("acme", Purpose::Controller);
    controller
        .revoke_tokens_before(Timestamp::now())
        .await
        .unwrap();
    assert!(screen.next().await.is_none(), "within a sign of life");
    let nobody = browser
        .http
        .get(format!("{}/pages/events", browser.base))
        .send()
        .await
        .unwrap();
    assert_eq!(nobody.status(), 204, "a page stops to ask");
    let began = std::time::Instant::now();
    directory.stop().await;
    assert!(goes_on.next().await.is_none());
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "no stream holds up the end"
    );
}

#[tokio::test]
async fn two_replicas_tell_each_event_once() {
    let directory = Directory::with_pages(Backend::Postgres).await;
    let folder = TempDir::new().unwrap();
    let args = Args {
        database: directory.database.clone().into(),
        pages: crate::directory::PagesArgs {
            pages: true,
            ..Default::default()
        },
        ..args(&folder)
    };
    let replica = Directory::start_with(args, folder, directory.database.clone()).await;
    // One session is good at both.
    let here = directory.signed_in("acme").await;
    let mut there = replica.signed_in("acme").await;
    there.cookie.clone_from(&here.cookie);
    let mut screens = [
        Events::of(&here, "screen", None).await,
        Events::of(&there, "screen", None).await,
    ];
    for screen in &mut screens {
        screen.until_seen().await;
    }
    for n in 0..5 {
        let from = if n % 2 == 0 { &directory } else { &replica };
        let number = format!("031234567{n}");
        from.ingest()
            .ingest(&payload([ringing(&format!("d{n}"), &number)]))
            .await
            .unwrap();
        for screen in &mut screens {
            let told = screen.until_shown(&format!("03-1234-567{n}")).await;
            assert_eq!(cards(&told), 1, "{told:?}");
            screen.until_seen().await;
        }
    }
    replica.stop().await;
}

/// What a platform pushes while a phone rings.
async fn push(directory: &Directory, number: &str) {
    let token = token("acme", Purpose::Ingest);
    let body = json!({"number": number}).to_string();
    let reply = directory
        .raw("POST", "/v1/rings", Some(token.expose_secret()), &body)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

async fn a_ring_that_is_pushed_shows_up_whether_the_caller_is_known_or_not(on: Backend) {
    let directory = Directory::with_pages(on).await;
    let known = found("+81312345678", "Sato");
    directory
        .worker()
        .write_contacts(&write(WritePolicy::Overwrite, known))
        .await
        .unwrap();
    let browser = directory.signed_in("acme").await;
    let mut screen = Events::of(&browser, "screen", None).await;
    screen.until_seen().await;
    push(&directory, "0312345678").await;
    let told = screen.until_shown("Sato").await;
    assert_eq!(cards(&told), 1, "{told:?}");
    screen.until_seen().await;
    push(&directory, "0312345679").await;
    let told = screen.until_shown("The name is being looked up").await;
    assert_eq!(cards(&told), 1, "{told:?}");
    screen.until_seen().await;
    let first = found("+81312345679", "Yamada");
    directory
        .worker()
        .write_contacts(&write(WritePolicy::Overwrite, first))
        .await
        .unwrap();
    let told = screen.until_shown("Yamada").await;
    assert_eq!(cards(&told), 1, "{told:?}");
    screen.until_seen().await;
    // The call that the platform delivers of it is the same caller, who stands there once.
    directory
        .ingest()
        .ingest(&payload([ringing("d1", "0312345679")]))
        .await
        .unwrap();
    push(&directory, "0398765432").await;
    let told = screen.until_shown("03-9876-5432").await;
    assert!(told.iter().all(|event| event.kind != "gone"), "{told:?}");
}
