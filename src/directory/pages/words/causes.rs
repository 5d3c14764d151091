//! Why a call has its name or none, in Japanese. In English the causes tell it themselves.

use crate::directory::why::Cause;

/// The cause in a sentence.
pub(super) const fn cause(cause: Cause) -> &'static str {
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

/// What to do about it; `None` where nothing is to be done.
pub(super) const fn remedy(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::Named
        | Cause::NamedByHand
        | Cause::InternalCall
        | Cause::Withheld
        | Cause::Extension
        | Cause::Emergency
        | Cause::ServiceNumber
        | Cause::CallLasts
        | Cause::BeingAsked
        | Cause::BookBeingFilled
        | Cause::NotAskedYet
        | Cause::SettingsChanged => return None,
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
        Cause::RunFailed | Cause::RunOverdue | Cause::LinkBroken => {
            "連携の状態を確認してください。"
        }
    })
}
