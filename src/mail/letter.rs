//! What a mail says, as values, and the message that it becomes.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use super::Address;
use super::page::{Page, Row, clean, shorten};
use super::words::{Words, words};
use crate::api::Language;
use crate::reason::Code;

/// The name of the sender beside the address.
const SENDER: &str = "Switchboard";
/// The longest subject, in characters.
const MAX_SUBJECT: usize = 150;

/// One mail.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Letter {
    /// Who gets it: one address or more.
    pub to: Vec<Address>,
    /// The language of the frame.
    pub language: Language,
    /// The zone in which times are written.
    pub time_zone: TimeZone,
    /// When it was written.
    pub at: Timestamp,
    /// Its Message-ID, with angle brackets.
    pub id: String,
    /// The Message-ID of the first mail of the thread; `None` for the first itself.
    pub thread: Option<String>,
    /// What it is about.
    pub news: News,
}

/// What a mail is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// An integration is not ready.
    Failing {
        /// Which integration.
        place: Place,
        /// Why.
        code: Code,
        /// The message of the condition.
        message: String,
        /// Since when.
        since: Timestamp,
        /// Whether this cause was told before.
        again: bool,
    },
    /// An integration is ready again.
    Recovered {
        /// Which integration.
        place: Place,
        /// Why it was not ready.
        codes: Vec<Code>,
        /// When the first of the causes began.
        since: Timestamp,
        /// When it was ready again.
        until: Timestamp,
    },
    /// Many integrations are not ready for the same reason. For the platform team only.
    Storm {
        /// The reason of the one that was due first.
        code: Code,
        /// How many integrations have it.
        integrations: usize,
        /// Some of them, as namespace and name.
        examples: Vec<String>,
        /// When the first of them had it.
        since: Timestamp,
        /// Whether it was told before.
        again: bool,
    },
    /// None of the integrations of a storm is still in it.
    StormOver {
        /// The reason.
        code: Code,
        /// When the storm was told.
        since: Timestamp,
    },
}

/// Which integration a mail is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its company ID.
    pub company: String,
    /// The name of its Salesforce org, as Salesforce tells it.
    pub organization: Option<String>,
}

// === impl Letter ===

impl Letter {
    /// The message, ready to be sent in the name of `sender`.
    ///
    /// # Errors
    /// When the library refuses a part of it, which no letter of this program brings about.
    pub(crate) fn message(&self, sender: &Address) -> Result<Message, lettre::error::Error> {
        let page = self.page();
        let mut message = Message::builder()
            .from(Mailbox::new(
                Some(SENDER.to_owned()),
                sender.inner().clone(),
            ))
            .date(SystemTime::from(self.at))
            .subject(shorten(&page.subject, MAX_SUBJECT))
            .message_id(Some(self.id.clone()))
            // Holiday replies and other robots leave such a mail alone (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for address in &self.to {
            message = message.to(Mailbox::new(None, address.inner().clone()));
        }
        if let Some(thread) = &self.thread {
            message = message
                .in_reply_to(thread.clone())
                .references(thread.clone());
        }
        message.multipart(MultiPart::alternative_plain_html(page.text(), page.html()))
    }

    /// The content, before it is text or HTML.
    pub(super) fn page(&self) -> Page {
        let words = words(self.language);
        let time = |at: Timestamp| {
            let zoned = at.to_zoned(self.time_zone.clone());
            zoned.strftime("%Y-%m-%d %H:%M %Z").to_string()
        };
        match &self.news {
            News::Failing {
                place,
                code,
                message,
                since,
                again,
            } => {
                let (title, short) = if *again {
                    (words.still_failing, words.short_still_failing)
                } else {
                    (words.failing, words.short_failing)
                };
                let mut rows = place.rows(words);
                rows.extend(reason_rows(words, code));
                rows.push(Row::own(words.since, time(*since)));
                rows.push(Row::new(words.message, message));
                Page {
                    subject: place.subject(&format!("{short} ({code})")),
                    title: place.title(title),
                    rows,
                    command_title: words.command,
                    command: place.describe(),
                    footer: words.tenant_footer,
                    language: words.tag,
                }
            }
            News::Recovered {
                place,
                codes,
                since,
                until,
            } => {
                let codes: Vec<&str> = codes.iter().map(Code::as_str).collect();
                let mut rows = place.rows(words);
                rows.push(Row::new(words.was, codes.join(", ")));
                rows.push(Row::own(words.since, time(*since)));
                rows.push(Row::own(words.until, time(*until)));
                Page {
                    subject: place.subject(words.short_recovered),
                    title: place.title(words.recovered),
                    rows,
                    command_title: words.command,
                    command: place.describe(),
                    footer: words.tenant_footer,
                    language: words.tag,
                }
            }
            News::Storm {
                code,
                integrations,
                examples,
                since,
                again,
            } => {
                let title = if *again {
                    words.still_storm
                } else {
                    words.storm
                };
                let title = title.replace("{}", &integrations.to_string());
                let mut rows = reason_rows(words, code);
                rows.push(Row::own(words.since, time(*since)));
                rows.push(Row::new(words.examples, examples.join(", ")));
                Page {
                    subject: format!("[Switchboard] {title} ({code})"),
                    title,
                    rows,
                    command_title: words.command,
                    command: LIST.to_owned(),
                    footer: words.platform_footer,
                    language: words.tag,
                }
            }
            News::StormOver { code, since } => Page {
                subject: format!("[Switchboard] {} ({code})", words.storm_over),
                title: words.storm_over.to_owned(),
                rows: vec![
                    Row::new(words.was, code.as_str()),
                    Row::own(words.since, time(*since)),
                    Row::own(words.until, time(self.at)),
                ],
                command_title: words.command,
                command: LIST.to_owned(),
                footer: words.platform_footer,
                language: words.tag,
            },
        }
    }
}

/// The command that shows every integration.
const LIST: &str = "kubectl get salesforceintegrations --all-namespaces";

/// Code, cause and remedy. A code that only a newer worker knows has no cause here.
fn reason_rows(words: &Words, code: &Code) -> Vec<Row> {
    let cause = code
        .reason()
        .map(|reason| Row::own(words.cause, reason.cause()));
    [Row::new(words.reason, code.as_str())]
        .into_iter()
        .chain(cause)
        .chain([Row::own(words.remedy, code.remedy())])
        .collect()
}

// === impl Place ===

impl Place {
    fn subject(&self, what: &str) -> String {
        // What looks like an encoded word would be decoded by who reads the mail.
        clean(&format!(
            "[Switchboard] {}/{}: {what}",
            self.namespace, self.name
        ))
        .replace("=?", "= ?")
    }

    fn title(&self, sentence: &str) -> String {
        sentence.replace("{}", &clean(&format!("{}/{}", self.namespace, self.name)))
    }

    fn rows(&self, words: &Words) -> Vec<Row> {
        let company = Row::new(words.company, &self.company);
        let organization = self
            .organization
            .as_ref()
            .map(|name| Row::new(words.organization, name));
        [company].into_iter().chain(organization).collect()
    }

    fn describe(&self) -> String {
        let (name, namespace) = (clean(&self.name), clean(&self.namespace));
        format!("kubectl describe salesforceintegration {name} --namespace {namespace}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reason::Reason;
    use crate::salesforce::Meaning;

    fn sender() -> Address {
        "switchboard@example.com".parse().unwrap()
    }

    fn failing(place: Place, message: &str) -> Letter {
        Letter {
            to: vec!["it@acme.example".parse().unwrap()],
            language: Language::En,
            time_zone: TimeZone::UTC,
            at: Timestamp::from_second(1_800_000_000).unwrap(),
            id: "<uid.1.1@example.com>".into(),
            thread: None,
            news: News::Failing {
                place,
                code: Meaning::InvalidLogin.into(),
                message: message.into(),
                since: Timestamp::from_second(1_799_999_000).unwrap(),
                again: false,
            },
        }
    }

    fn acme() -> Place {
        Place {
            namespace: "acme".into(),
            name: "tokyo".into(),
            company: "acme-tokyo".into(),
            organization: Some("Acme & <Söhne>".into()),
        }
    }

    fn sent(letter: &Letter) -> String {
        String::from_utf8(letter.message(&sender()).unwrap().formatted()).unwrap()
    }

    /// The names of the headers before the body.
    fn header_names(message: &str) -> Vec<String> {
        let (headers, _) = message.split_once("\r\n\r\n").unwrap();
        let names = headers.split("\r\n").filter_map(|line| {
            let is_new = !line.starts_with([' ', '\t']);
            is_new.then(|| line.split(':').next().unwrap_or_default().to_owned())
        });
        names.collect()
    }

    #[test]
    fn a_tenant_reads_what_why_since_when_and_what_to_do() {
        let letter = failing(
            acme(),
            "Salesforce refused the log-in of integration@acme.example.",
        );
        let page = letter.page();
        assert_eq!(
            page.subject,
            "[Switchboard] acme/tokyo: not ready (InvalidLogin)"
        );
        let text = page.text();
        let html = page.html();
        let reason = Reason::from(Meaning::InvalidLogin);
        for wanted in [
            "The Salesforce integration acme/tokyo is not ready.",
            "InvalidLogin",
            reason.cause(),
            reason.remedy().text(),
            "Salesforce refused the log-in of integration@acme.example.",
            "2027-01-15 07:43 UTC",
            "kubectl describe salesforceintegration tokyo --namespace acme",
            "acme-tokyo",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
            assert!(
                html.contains(&crate::salesforce::escape_markup(wanted)),
                "{wanted}: {html}"
            );
        }
        assert!(text.contains("Acme & <Söhne>") && html.contains("Acme &amp; &lt;Söhne&gt;"));
        let message = sent(&letter);
        assert!(
            message.contains("Auto-Submitted: auto-generated"),
            "{message}"
        );
        assert!(
            message.contains("Message-ID: <uid.1.1@example.com>"),
            "{message}"
        );
        assert!(
            message.contains("Content-Type: multipart/alternative"),
            "{message}"
        );
        assert!(!message.contains("References"), "{message}");
    }

    #[test]
    fn a_later_mail_refers_to_the_first() {
        let mut letter = failing(acme(), "");
        letter.thread = Some("<uid.1.1@example.com>".into());
        letter.id = "<uid.1.2@example.com>".into();
        let message = sent(&letter);
        for header in ["In-Reply-To", "References"] {
            let line = format!("{header}: <uid.1.1@example.com>\r\n");
            assert!(message.contains(&line), "{message}");
        }
    }

    #[test]
    fn a_japanese_reader_has_a_japanese_frame() {
        let mut letter = failing(acme(), "");
        letter.language = Language::Ja;
        let page = letter.page();
        assert_eq!(
            page.subject,
            "[Switchboard] acme/tokyo: 異常 (InvalidLogin)"
        );
        assert!(
            page.text()
                .starts_with("Salesforce連携 acme/tokyo が正常に動作していません。")
        );
        assert!(page.html().contains("<html lang=\"ja\">"));
        assert!(header_names(&sent(&letter)).contains(&"Subject".to_owned()));
    }

    #[test]
    fn a_callers_number_is_taken_out_however_it_is_written_and_dates_stay() {
        for number in [
            "0312345678",
            "+81 3-1234-5678",
            "(03) 1234-5678",
            "03.1234.5678",
            "０３１２３４５６７８",
        ] {
            let letter = failing(
                acme(),
                &format!("The query for {number} failed on 2026-11-29T08:00:00Z, 20 %."),
            );
            let text = letter.page().text();
            assert!(!text.contains(number), "{text}");
            assert!(
                text.contains("failed on 2026-11-29T08:00:00Z, 20 %."),
                "{text}"
            );
        }
    }

    proptest! {
        /// Whatever the names and messages are, the headers are those of any other mail, each once.
        #[test]
        fn no_name_makes_a_header_or_a_recipient(
            texts in prop::array::uniform5("(?s).{0,60}"),
            breaks in prop::sample::select(&["\r\nBcc: evil@evil.example", "\nTo: evil@evil.example\n\n", "\r\n\r\n<script>alert(1)</script>", "=?utf-8?q?=0D=0ABcc:_evil=40evil.example?=", "\u{202e}\u{0}\u{7}"][..]),
        ) {
            let [namespace, name, company, organization, message] = texts.map(|text| text + breaks);
            let place = Place { namespace, name, company, organization: Some(organization) };
            let letter = failing(place, &message);
            let plain = failing(acme(), "plain");
            let built = letter.message(&sender()).unwrap();
            let mail = String::from_utf8(built.formatted()).unwrap();
            prop_assert_eq!(header_names(&mail), header_names(&sent(&plain)));
            let to: Vec<String> = built.envelope().to().iter().map(ToString::to_string).collect();
            prop_assert_eq!(to, ["it@acme.example"]);
            let page = letter.page();
            prop_assert!(!page.html().contains("<script>"));
            prop_assert!(!page.subject.contains("=?"), "{}", page.subject);
            for text in [&page.subject, &page.title, &page.command] {
                prop_assert!(!text.contains(char::is_control), "{text:?}");
                prop_assert!(!text.contains('\u{202e}'), "{text:?}");
            }
        }
    }
}
