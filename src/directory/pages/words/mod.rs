//! The words of the pages in each language: a catalogue without a gap, since a struct has none.

mod causes;
mod english;
mod japanese;
mod reasons;

use self::english::ENGLISH;
use self::japanese::JAPANESE;
use crate::directory::model::company::LinkHealth;
use crate::directory::model::{ChosenBy, Direction, RecordObject};
use crate::directory::why::Cause;
use crate::plain_text::plain;
use crate::reason::Reason;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Japanese,
}

/// What is wrong with a link, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkWords {
    pub(super) cause: String,
    pub(super) remedy: String,
    /// The language that they are in.
    pub(super) tag: &'static str,
}

/// The words of one language. `{}` stands for what the sentence is about.
pub(super) struct Words {
    pub(super) tag: &'static str,
    pub(super) language: &'static str,
    pub(super) calls: &'static str,
    pub(super) screen: &'static str,
    pub(super) skip: &'static str,
    pub(super) sign_in: &'static str,
    pub(super) sign_out: &'static str,
    pub(super) signed_out: &'static str,
    pub(super) token: &'static str,
    pub(super) token_help: &'static str,
    pub(super) company_id: &'static str,
    pub(super) search: &'static str,
    pub(super) number_or_name: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) direction: &'static str,
    pub(super) any: &'static str,
    pub(super) incoming: &'static str,
    pub(super) outgoing: &'static str,
    pub(super) internal: &'static str,
    pub(super) named: &'static str,
    pub(super) with_name: &'static str,
    pub(super) without_name: &'static str,
    pub(super) show: &'static str,
    pub(super) clear: &'static str,
    pub(super) csv: &'static str,
    pub(super) time: &'static str,
    pub(super) number: &'static str,
    pub(super) company: &'static str,
    pub(super) person: &'static str,
    pub(super) title: &'static str,
    pub(super) owner: &'static str,
    pub(super) record: &'static str,
    pub(super) object: &'static str,
    pub(super) state: &'static str,
    pub(super) open_record: &'static str,
    pub(super) why: &'static str,
    pub(super) why_this: &'static str,
    pub(super) close: &'static str,
    pub(super) others: &'static str,
    pub(super) others_of: &'static str,
    pub(super) rule_object: &'static str,
    pub(super) rule_newest: &'static str,
    pub(super) rule_lowest: &'static str,
    pub(super) newer: &'static str,
    pub(super) older: &'static str,
    pub(super) searched_to: &'static str,
    pub(super) nothing: &'static str,
    pub(super) no_number: &'static str,
    pub(super) nobody: &'static str,
    pub(super) no_such_call: &'static str,
    pub(super) no_such_page: &'static str,
    pub(super) contact: &'static str,
    pub(super) account: &'static str,
    pub(super) lead: &'static str,
    pub(super) by_hand: &'static str,
    pub(super) ringing: &'static str,
    pub(super) talking: &'static str,
    pub(super) ended: &'static str,
    pub(super) last_calls: &'static str,
    pub(super) first_call: &'static str,
    pub(super) waiting: &'static str,
    pub(super) connected: &'static str,
    pub(super) broken_off: &'static str,
    pub(super) screen_help: &'static str,
    pub(super) looking_up: &'static str,
    pub(super) link_broken: &'static str,
    pub(super) since: &'static str,
    pub(super) remedy: &'static str,
    pub(super) last_run: &'static str,
    pub(super) next_run: &'static str,
    pub(super) budget: &'static str,
    pub(super) received: &'static str,
    pub(super) delivered_as: &'static str,
    pub(super) read_as: &'static str,
    pub(super) not_read: &'static str,
    pub(super) asked: &'static str,
    pub(super) not_asked: &'static str,
    pub(super) run: &'static str,
    pub(super) api_calls: &'static str,
    pub(super) spellings: &'static str,
    pub(super) next: &'static str,
    pub(super) asked_state: &'static str,
    pub(super) asked_again: &'static str,
    pub(super) was: &'static str,
    pub(super) today: &'static str,
    pub(super) yesterday: &'static str,
    pub(super) tomorrow: &'static str,
    pub(super) lasted: &'static str,
    pub(super) wrong_day: &'static str,
    pub(super) wrong_page: &'static str,
    pub(super) refused: &'static str,
    pub(super) only_lookup: &'static str,
    pub(super) token_foreign: &'static str,
    pub(super) token_expired: &'static str,
    pub(super) token_revoked: &'static str,
    pub(super) forged: &'static str,
    pub(super) busy: &'static str,
    pub(super) failed: &'static str,
    pub(super) times_in: &'static str,
}

// === impl Language ===

impl Language {
    /// The language of a tag such as `ja` or `ja-JP`.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        let first = tag.trim().split(['-', '_', ';']).next()?;
        match first.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "ja" => Some(Self::Japanese),
            _ => None,
        }
    }

    /// The first language of `Accept-Language` that the pages have. The header's order is taken for
    /// its weights, as browsers send it.
    pub(super) fn accepted(header: &str) -> Option<Self> {
        header.split(',').find_map(Self::of_tag)
    }

    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Japanese => &JAPANESE,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::English => Self::Japanese,
            Self::Japanese => Self::English,
        }
    }

    /// A cause in a sentence.
    pub(super) fn cause(self, cause: Cause) -> &'static str {
        match self {
            Self::English => cause.sentence(),
            Self::Japanese => causes::cause(cause),
        }
    }

    /// What to do about a cause.
    pub(super) fn remedy(self, cause: Cause) -> Option<&'static str> {
        match self {
            Self::English => cause.remedy(),
            Self::Japanese => causes::remedy(cause),
        }
    }

    /// Why the link does not work and what to do about it. The controller tells it in English; a
    /// code of another version of it is not translated.
    pub(super) fn link(self, link: &LinkHealth) -> LinkWords {
        let known = Reason::from_code(link.code()).and_then(reasons::japanese);
        match (self, known) {
            (Self::Japanese, Some((cause, remedy))) => LinkWords {
                cause: cause.to_owned(),
                remedy: remedy.to_owned(),
                tag: JAPANESE.tag,
            },
            _ => LinkWords {
                cause: plain(&link.cause),
                remedy: plain(&link.remedy),
                tag: ENGLISH.tag,
            },
        }
    }
}

// === impl Words ===

impl Words {
    pub(super) fn direction_of(&self, direction: Direction) -> &'static str {
        match direction {
            Direction::Incoming => self.incoming,
            Direction::Outgoing => self.outgoing,
            Direction::Internal => self.internal,
        }
    }

    pub(super) fn object_of(&self, object: RecordObject) -> &'static str {
        match object {
            RecordObject::Contact => self.contact,
            RecordObject::Account => self.account,
            RecordObject::Lead => self.lead,
        }
    }

    pub(super) fn rule_of(&self, rule: ChosenBy) -> &'static str {
        match rule {
            ChosenBy::Object => self.rule_object,
            ChosenBy::Newest => self.rule_newest,
            ChosenBy::LowestId => self.rule_lowest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every word of a catalogue, by its name in the source: no list of them is kept by hand.
    fn catalogue(source: &str) -> Vec<(String, String)> {
        let lines = source.lines().map(str::trim);
        lines
            .filter_map(|line| line.split_once(": \""))
            .map(|(name, text)| (name.to_owned(), text.trim_end_matches("\",").to_owned()))
            .collect()
    }

    #[test]
    fn both_languages_say_the_same_about_the_same() {
        let english = catalogue(include_str!("english.rs"));
        let japanese = catalogue(include_str!("japanese.rs"));
        assert!(english.len() > 80, "{}", english.len());
        assert_eq!(english.len(), japanese.len());
        for ((name, english), (japanese_name, japanese)) in english.iter().zip(&japanese) {
            assert_eq!(name, japanese_name);
            assert!(!english.is_empty() && !japanese.is_empty(), "{name}");
            let places = |text: &str| text.matches("{}").count();
            assert_eq!(places(english), places(japanese), "{name}");
            let translated = english != japanese || name == "today" || name == "lasted";
            assert!(translated, "{name} is not translated: {english}");
        }
    }

    #[test]
    fn every_cause_is_told_in_japanese_and_with_the_same_remedy() {
        for cause in Cause::ALL {
            let told = Language::Japanese.cause(cause);
            assert!(!told.is_ascii() && told != cause.sentence(), "{cause:?}");
            let remedies = (
                Language::English.remedy(cause),
                Language::Japanese.remedy(cause),
            );
            assert_eq!(remedies.0.is_some(), remedies.1.is_some(), "{cause:?}");
        }
    }

    #[test]
    fn whatever_breaks_a_link_is_told_in_japanese_with_what_to_do() {
        use crate::reason::{Chapter, Remedy};
        let mut told = 0;
        for reason in Reason::all() {
            let breaks = match reason.chapter() {
                Chapter::CredentialsAvailable
                | Chapter::Exclusive
                | Chapter::Authorized
                | Chapter::Synced
                | Chapter::Salesforce
                | Chapter::Run
                | Chapter::LostRun => true,
                Chapter::CallCentersVerified
                | Chapter::Warnings
                | Chapter::Requests
                | Chapter::DataErased
                | Chapter::Harmless => false,
            };
            let japanese = reasons::japanese(reason);
            assert_eq!(japanese.is_some(), breaks, "{reason:?}");
            let Some((cause, remedy)) = japanese else {
                continue;
            };
            told += 1;
            assert!(matches!(reason.remedy(), Remedy::Act(_)), "{reason:?}");
            for text in [cause, remedy] {
                assert!(
                    !text.is_ascii() && text.ends_with('。'),
                    "{reason:?}: {text}"
                );
            }
            // What is to be typed is the same in each language.
            let typed = |text: &str| {
                let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"./-".contains(c));
                let words = words.map(|word| word.trim_matches(['.', '/', '-']));
                let typed = words.filter(|word| {
                    ["spec.", "switchboard.dev/", "--", "worker.", "directory."]
                        .iter()
                        .any(|start| word.starts_with(start))
                });
                let mut typed: Vec<String> = typed.map(str::to_owned).collect();
                typed.sort();
                typed.dedup();
                typed
            };
            let english = reason.remedy().text();
            assert_eq!(typed(english), typed(remedy), "{reason:?}: {english}");
        }
        assert!(told > 90, "{told}");
    }

    #[test]
    fn a_code_of_another_version_is_told_as_the_controller_tells_it() {
        let link = |reason: &str, outcome: Option<&str>| LinkHealth {
            ready: Some(false),
            reason: reason.to_owned(),
            cause: "It is so.".to_owned(),
            remedy: "Do that.".to_owned(),
            since: jiff::Timestamp::UNIX_EPOCH,
            retrieval: crate::directory::model::company::RetrievalMode::Daily,
            suspended: false,
            time_zone: "Asia/Tokyo".to_owned(),
            region: crate::phone::Region::JAPAN,
            last_run_at: None,
            last_outcome: outcome.map(str::to_owned),
            next_run_at: None,
            budget_percent: None,
        };
        let japanese = Language::Japanese;
        let unknown = japanese.link(&link("QuantumLinkLost", None));
        assert_eq!((unknown.cause.as_str(), unknown.tag), ("It is so.", "en"));
        assert_eq!(japanese.link(&link("InvalidLogin", None)).tag, "ja");
        assert_eq!(
            Language::English.link(&link("InvalidLogin", None)).tag,
            "en"
        );
        let failed = japanese.link(&link("RunFailed", Some("PasswordExpired")));
        let expired = japanese.link(&link("PasswordExpired", None));
        assert_eq!(failed, expired, "a run fails for a reason of its own");
    }

    #[test]
    fn the_browsers_language_is_taken_where_the_pages_have_it() {
        assert_eq!(
            Language::accepted("de-DE,ja;q=0.8,en;q=0.5"),
            Some(Language::Japanese)
        );
        assert_eq!(Language::accepted("en-GB"), Some(Language::English));
        assert_eq!(Language::accepted("de"), None);
    }
}
