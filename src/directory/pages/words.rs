//! The words of the pages in each language: a catalogue without a gap, since a struct has none.

use crate::directory::model::{ChosenBy, Direction, RecordObject};
use crate::directory::why::Cause;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Japanese,
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
            Self::Japanese => japanese_cause(cause),
        }
    }

    /// What to do about a cause.
    pub(super) fn remedy(self, cause: Cause) -> Option<&'static str> {
        let english = cause.remedy()?;
        Some(match self {
            Self::English => english,
            Self::Japanese => japanese_remedy(cause),
        })
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

const ENGLISH: Words = Words {
    tag: "en",
    language: "English",
    calls: "Calls",
    screen: "Call screen",
    skip: "Skip to the content",
    sign_in: "Sign in",
    sign_out: "Sign out",
    signed_out: "You are signed out.",
    token: "Token for lookup",
    token_help: "The token lookup from the Secret NAME-directory in the tenant's namespace. The browser does not keep it.",
    company_id: "Company",
    search: "Search the calls",
    number_or_name: "Number or name",
    from: "From day",
    to: "To day",
    direction: "Direction",
    any: "All",
    incoming: "Incoming",
    outgoing: "Outgoing",
    internal: "Internal",
    named: "Name",
    with_name: "With a name",
    without_name: "Without a name",
    show: "Show",
    clear: "Show all",
    csv: "Download as CSV",
    time: "Time",
    number: "Number",
    company: "Company",
    person: "Person",
    title: "Title",
    owner: "Owner",
    record: "Record",
    object: "Object",
    state: "State",
    open_record: "Open in Salesforce",
    why: "Why?",
    why_this: "Why is it so? Call of {}",
    close: "Close",
    others: "{} more on this number",
    others_of: "Other records with this number",
    rule_object: "Chosen by the kind of record: a contact before an account, an account before a lead.",
    rule_newest: "Chosen because it was changed last.",
    rule_lowest: "Chosen by the lowest ID; they were changed at the same time.",
    newer: "Newest calls",
    older: "Older calls",
    searched_to: "Searched back to {}. Older calls are searched with the next page.",
    nothing: "No calls.",
    no_number: "no number",
    nobody: "Unknown",
    no_such_call: "There is no such call, or its number was erased.",
    contact: "Contact",
    account: "Account",
    lead: "Lead",
    by_hand: "written by hand",
    ringing: "Ringing",
    talking: "Talking",
    ended: "Ended",
    last_calls: "Last calls with this number",
    first_call: "The first call with this number.",
    waiting: "No call now.",
    connected: "Connected. New calls show up by themselves.",
    broken_off: "The connection broke off. It is tried again.",
    screen_help: "Calls show up here while they ring.",
    looking_up: "The name is being looked up.",
    link_broken: "The link to Salesforce does not work: new calls get no names.",
    since: "Since",
    remedy: "What to do",
    last_run: "Last run",
    next_run: "Next run",
    budget: "{} % of the budget of API requests is used.",
    received: "Delivered by the platform",
    delivered_as: "Delivered as",
    read_as: "Read as",
    not_read: "not a number that can be looked up",
    asked: "Salesforce was asked",
    not_asked: "not yet",
    run: "By the run",
    api_calls: "API requests of the question",
    spellings: "Spellings",
    next: "Next",
    asked_state: "asked {}, Salesforce does not know it",
    asked_again: "next time {}",
    was: "It was {}",
    today: "at {}",
    yesterday: "yesterday at {}",
    tomorrow: "tomorrow",
    lasted: "{} long",
    wrong_day: "A day is not written as 2026-11-30.",
    wrong_page: "The address does not say which calls to show; begin with the newest.",
    refused: "The token was not taken: {}",
    only_lookup: "it is for another purpose; the token lookup is the one for these pages",
    forged: "The form came from another site, or was too old. Send it again.",
    busy: "Too many requests at once. Try again in a moment.",
    failed: "The directory cannot serve now. Try again in a moment.",
    times_in: "Times in {}",
};

const JAPANESE: Words = Words {
    tag: "ja",
    language: "日本語",
    calls: "通話履歴",
    screen: "着信画面",
    skip: "本文へ移動",
    sign_in: "サインイン",
    sign_out: "サインアウト",
    signed_out: "サインアウトしました。",
    token: "参照用トークン(lookup)",
    token_help: "テナントの名前空間にあるSecret「NAME-directory」のトークンlookupを入力してください。ブラウザーには保存されません。",
    company_id: "企業",
    search: "通話を検索",
    number_or_name: "電話番号または名前",
    from: "開始日",
    to: "終了日",
    direction: "方向",
    any: "すべて",
    incoming: "着信",
    outgoing: "発信",
    internal: "内線",
    named: "名前",
    with_name: "名前あり",
    without_name: "名前なし",
    show: "表示",
    clear: "すべて表示",
    csv: "CSVでダウンロード",
    time: "日時",
    number: "電話番号",
    company: "会社名",
    person: "担当者名",
    title: "役職",
    owner: "所有者",
    record: "レコード",
    object: "オブジェクト",
    state: "状態",
    open_record: "Salesforceで開く",
    why: "理由",
    why_this: "理由を表示: {} の通話",
    close: "閉じる",
    others: "同じ番号が他に{}件",
    others_of: "同じ番号を持つ他のレコード",
    rule_object: "オブジェクトの種類で選択: 取引先責任者、取引先、リードの順です。",
    rule_newest: "最後に更新されたレコードを選択しました。",
    rule_lowest: "同時に更新されたため、IDが最小のレコードを選択しました。",
    newer: "最新の通話",
    older: "以前の通話",
    searched_to: "{} まで検索しました。それ以前の通話は次のページで検索します。",
    nothing: "通話はありません。",
    no_number: "番号なし",
    nobody: "不明",
    no_such_call: "その通話は存在しないか、番号が消去されています。",
    contact: "取引先責任者",
    account: "取引先",
    lead: "リード",
    by_hand: "手入力",
    ringing: "呼び出し中",
    talking: "通話中",
    ended: "終了",
    last_calls: "この番号との最近の通話",
    first_call: "この番号との初めての通話です。",
    waiting: "現在の通話はありません。",
    connected: "接続しています。新しい通話は自動的に表示されます。",
    broken_off: "接続が切れました。再接続しています。",
    screen_help: "呼び出し中の通話がここに表示されます。",
    looking_up: "名前を検索しています。",
    link_broken: "Salesforceとの連携が動作していないため、新しい通話に名前が付きません。",
    since: "発生日時",
    remedy: "対処方法",
    last_run: "前回の実行",
    next_run: "次回の実行",
    budget: "APIリクエストの予算の{}%を使用しています。",
    received: "プラットフォームからの受信",
    delivered_as: "受信した番号",
    read_as: "解釈した番号",
    not_read: "検索できる番号ではありません",
    asked: "Salesforceへの問い合わせ",
    not_asked: "まだ問い合わせていません",
    run: "実行",
    api_calls: "問い合わせのAPIリクエスト数",
    spellings: "検索した表記",
    next: "次回",
    asked_state: "{}に問い合わせ、Salesforceに登録なし",
    asked_again: "次回は{}",
    was: "以前の名前: {}",
    today: "{}",
    yesterday: "昨日{}",
    tomorrow: "明日",
    lasted: "{}",
    wrong_day: "日付は 2026-11-30 の形式で入力してください。",
    wrong_page: "表示する通話をアドレスから判断できません。最新の通話から始めてください。",
    refused: "トークンを確認できません: {}",
    only_lookup: "用途が異なります。このページにはトークンlookupを使用してください",
    forged: "別のサイトから送信されたか、期限が切れています。もう一度送信してください。",
    busy: "リクエストが多すぎます。しばらくしてからもう一度お試しください。",
    failed: "現在ディレクトリーを利用できません。しばらくしてからもう一度お試しください。",
    times_in: "時刻のタイムゾーン: {}",
};

const fn japanese_cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Named => "Salesforceに登録されています",
        Cause::NamedByHand => "名前は手入力されました",
        Cause::RecordWithoutName => "Salesforceのレコードに会社名も担当者名もありません",
        Cause::Erased => "番号は請求により消去され、以後何も保存されません",
        Cause::InternalCall => "内線通話のため検索しません",
        Cause::NoNumber => "番号なしで受信した通話です",
        Cause::Withheld => "発信者が番号を通知していません",
        Cause::Extension => "内線番号です",
        Cause::Emergency => "緊急通報用の番号です",
        Cause::ServiceNumber => "短縮サービス番号です",
        Cause::NoAreaCode => "市外局番がないため発信できない番号です",
        Cause::NoSuchCountry => "国番号が存在しません",
        Cause::NotANumber => "受信した文字列は電話番号ではありません",
        Cause::NoSuchNumber => "その桁数と先頭の番号は存在しません",
        Cause::CallLasts => "通話中です。番号は通話の終了後に問い合わせます",
        Cause::BeingAsked => "実行中の処理がSalesforceに問い合わせています",
        Cause::NoLink => "未問い合わせ: Salesforce連携の状態が通知されていません",
        Cause::Suspended => "未問い合わせ: 連携が一時停止されています",
        Cause::LookupDisabled => "未問い合わせ: 名前の検索が無効です",
        Cause::BudgetUsedUp => "未問い合わせ: APIリクエストの予算を使い切りました",
        Cause::RunFailed => "未問い合わせ: 前回の実行が失敗しました",
        Cause::RunOverdue => "未問い合わせ: 予定された実行が行われていません",
        Cause::LinkBroken => "未問い合わせ: Salesforceとの連携が動作していません",
        Cause::BookBeingFilled => "未問い合わせ: アドレス帳を初めて取り込んでいます",
        Cause::NotAskedYet => "まだ問い合わせていません。次回の実行で問い合わせます",
        Cause::NotInSalesforce => "問い合わせた結果、Salesforceに登録がありません",
        Cause::GoneFromSalesforce => "以前はSalesforceに登録がありましたが、現在はありません",
        Cause::SettingsChanged => {
            "設定の変更前は登録がありませんでした。次回の実行で改めて問い合わせます"
        }
        Cause::RemovedByHand => "連絡先は手動で削除されました",
    }
}

/// Of a cause that has a remedy.
const fn japanese_remedy(cause: Cause) -> &'static str {
    match cause {
        Cause::RecordWithoutName => "Salesforceのレコードに名前を入力してください。",
        Cause::Erased => {
            "再び保存してよい場合は、データ保護の担当者が復元してください(POST /v1/numbers/restore)。"
        }
        Cause::NoNumber => "電話プラットフォームで通話を確認してください。",
        Cause::NoAreaCode | Cause::NoSuchCountry | Cause::NotANumber | Cause::NoSuchNumber => {
            "電話プラットフォームで番号を確認し、正しい場合は連携の spec.contacts.region を確認してください。"
        }
        Cause::NoLink => {
            "企業に連携があるか、コントローラーが動作しているかをプラットフォーム担当者に確認してください。"
        }
        Cause::Suspended => "連携の spec.suspend を false にしてください。",
        Cause::LookupDisabled => {
            "連携の spec.contacts.retrieval を Daily または AfterCall にしてください。"
        }
        Cause::BudgetUsedUp => {
            "リクエストが再び可能になるまで待つか、spec.apiBudget.dailyPercent を上げてください。"
        }
        Cause::NotInSalesforce | Cause::GoneFromSalesforce => {
            "登録すべき相手の場合は、Salesforceの Phone または MobilePhone に番号を入力し、注釈 switchboard.dev/run-requested-at で再度問い合わせてください。"
        }
        Cause::RemovedByHand => {
            "次の通話、または注釈 switchboard.dev/run-requested-at で再度問い合わせます。"
        }
        _ => "連携の状態を確認してください。",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every word of a catalogue, by its name in the source: the fields are few hundred characters
    /// apart, and no list of them is kept by hand.
    fn catalogue(name: &str) -> Vec<(String, String)> {
        let source = include_str!("words.rs");
        let start = source
            .find(&format!("const {name}: Words = Words {{"))
            .unwrap();
        let body = &source[start..];
        let body = &body[..body.find("\n};").unwrap()];
        body.lines()
            .skip(1)
            .filter_map(|line| line.trim().split_once(": \""))
            .map(|(name, text)| (name.to_owned(), text.trim_end_matches("\",").to_owned()))
            .collect()
    }

    #[test]
    fn both_languages_say_the_same_about_the_same() {
        let (english, japanese) = (catalogue("ENGLISH"), catalogue("JAPANESE"));
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
    fn the_browsers_language_is_taken_where_the_pages_have_it() {
        assert_eq!(
            Language::accepted("de-DE,ja;q=0.8,en;q=0.5"),
            Some(Language::Japanese)
        );
        assert_eq!(Language::accepted("en-GB"), Some(Language::English));
        assert_eq!(Language::accepted("de"), None);
    }
}
