//! The frame of a mail in each language. Reason, cause, remedy and message are those of
//! `kubectl describe` and docs/reasons.md, in English, so that they can be searched for.

use crate::api::Language;

/// The words of one language. `{}` stands for the integration, or for a number of them.
pub(super) struct Words {
    pub tag: &'static str,
    pub failing: &'static str,
    pub still_failing: &'static str,
    pub recovered: &'static str,
    pub storm: &'static str,
    pub still_storm: &'static str,
    pub storm_over: &'static str,
    pub short_failing: &'static str,
    pub short_still_failing: &'static str,
    pub short_recovered: &'static str,
    pub company: &'static str,
    pub organization: &'static str,
    pub reason: &'static str,
    pub cause: &'static str,
    pub remedy: &'static str,
    pub message: &'static str,
    pub since: &'static str,
    pub until: &'static str,
    pub was: &'static str,
    pub examples: &'static str,
    pub command: &'static str,
    pub tenant_footer: &'static str,
    pub platform_footer: &'static str,
}

/// The words of a language.
pub(super) fn words(language: Language) -> &'static Words {
    match language {
        Language::En => &ENGLISH,
        Language::Ja => &JAPANESE,
    }
}

const ENGLISH: Words = Words {
    tag: "en",
    failing: "The Salesforce integration {} is not ready.",
    still_failing: "The Salesforce integration {} is still not ready.",
    recovered: "The Salesforce integration {} is ready again.",
    storm: "{} Salesforce integrations are not ready for the same reason.",
    still_storm: "{} Salesforce integrations are still not ready for the same reason.",
    storm_over: "The Salesforce integrations that were told together are ready again.",
    short_failing: "not ready",
    short_still_failing: "still not ready",
    short_recovered: "ready again",
    company: "Company ID",
    organization: "Salesforce org",
    reason: "Reason",
    cause: "Cause",
    remedy: "What to do",
    message: "Message",
    since: "Since",
    until: "Until",
    was: "It was not ready because of",
    examples: "Some of them",
    command: "This shows more",
    tenant_footer: "You get this mail because spec.notifications.email of the integration names your address. While a cause lasts it is told again once a day. Nobody reads answers.",
    platform_footer: "Each of their tenants would have got a mail; this one was sent to the platform team instead. While it lasts it is told again once a day. Nobody reads answers.",
};

const JAPANESE: Words = Words {
    tag: "ja",
    failing: "Salesforce連携 {} が正常に動作していません。",
    still_failing: "Salesforce連携 {} は引き続き正常に動作していません。",
    recovered: "Salesforce連携 {} は正常に戻りました。",
    storm: "{} 件のSalesforce連携が同じ理由で正常に動作していません。",
    still_storm: "{} 件のSalesforce連携が引き続き同じ理由で正常に動作していません。",
    storm_over: "一括でお知らせしたSalesforce連携は正常に戻りました。",
    short_failing: "異常",
    short_still_failing: "異常が継続中",
    short_recovered: "正常に戻りました",
    company: "企業ID",
    organization: "Salesforce組織",
    reason: "理由コード",
    cause: "原因(英語)",
    remedy: "対処方法(英語)",
    message: "詳細(英語)",
    since: "発生日時",
    until: "復旧日時",
    was: "異常の理由コード",
    examples: "対象の一部",
    command: "詳細を表示するコマンド",
    tenant_footer: "このメールは、連携の設定 spec.notifications.email に登録された宛先へ自動送信しています。同じ原因が続く間は1日に1回お知らせします。このメールに返信いただいても確認できません。",
    platform_footer: "各テナントへの個別のメールに代えて、プラットフォーム担当者へまとめて自動送信しています。状態が続く間は1日に1回お知らせします。このメールに返信いただいても確認できません。",
};
