//! Why a link does not work and what to do about it, in Japanese. In English the controller tells
//! it. A reason that is missing here does not compile.

use crate::reason::Reason;
use crate::salesforce::Meaning;

/// Cause and remedy; `None` of a reason that breaks no link.
pub(super) const fn japanese(reason: Reason) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        Reason::Salesforce(meaning) => of_salesforce(meaning),
        Reason::InvalidSpec => (
            "スキーマには合うものの、存在しないタイムゾーンや地域などを指す値があります。",
            "メッセージが示すフィールドを修正し、リソースを再度適用してください。",
        ),
        Reason::SecretNotFound => (
            "連携の名前空間に、その名前のSecretがありません。",
            "この名前空間にSecretを作成するか、secretRefの名前を修正してください。すぐに反映されます。",
        ),
        Reason::SecretKeyMissing => (
            "ログイン方法に必要なキーがSecretにないか、綴りが異なります。",
            "Secretにキーを追加するか、メッセージのとおりに名前を変更してください。すぐに反映されます。",
        ),
        Reason::SecretKeyInvalid => (
            "Secretのキーが空か、テキストでないか、用途に合わない値です。",
            "メッセージのとおりにキーの値を書き直してください。すぐに反映されます。ログインは試行していません。",
        ),
        Reason::CompanyIdTaken => (
            "先に作成された別の連携が同じ企業IDを使用しており、そちらが優先されます。",
            "spec.companyId を修正するか、もう一方のリソースの削除を依頼してください。その後は自動的に回復します。",
        ),
        Reason::DataOfAnother => (
            "この企業IDには、別の連携が残したデータがディレクトリーにあります。確認なしに引き渡されることはありません。",
            "自社のデータであれば、注釈 switchboard.dev/adopt-data に元の連携のUIDを設定してください。UIDはプラットフォーム担当者がディレクトリーのログで確認できます。そうでなければ spec.companyId を修正するか、プラットフォーム担当者にデータの消去(`switchboard directory erase`)を依頼してください。10分ごとに再確認されます。",
        ),
        Reason::DirectoryNotAsked => (
            "企業IDに他者のデータがあるかどうかを、ディレクトリーに確認できませんでした。確認できるまでトークンも実行もありません。",
            "15秒ごとに自動で再試行します。続く場合はプラットフォーム担当者に相談してください。コントローラーからディレクトリーに到達でき(チャートの directory.url、--directory-url)、両者の鍵とバージョンが一致している必要があります。",
        ),
        Reason::UserInOtherCallCenter => (
            "spec.callCenters のユーザーが、同じ組織の先に作成された連携のコールセンターにも属しているか、この連携に重複しています。",
            "メッセージが示すユーザーを spec.callCenters から外すか、どちらの連携のユーザーかをプラットフォーム担当者に確認してください。もう一方が手放せば自動的に回復します。",
        ),
        Reason::MissingViewAll => (
            "ユーザーがオブジェクトの一部のレコードを参照できないため、名前が分からない発信者が残ります。",
            "Salesforceで、メッセージが示すオブジェクトの「すべて表示」を権限セットでユーザーに付与してください。次回の確認時、または注釈 switchboard.dev/test-requested-at ですぐに反映されます。",
        ),
        Reason::RightsUnknown => (
            "ユーザーが権限のオブジェクトを参照できません。動作は妨げられず、条件は不明となります。",
            "実行はこのまま続きます。確認するには、Salesforceで「設定・定義の参照」を権限セットでユーザーに付与してください。",
        ),
        Reason::RunFailed => (
            "前回の実行が失敗しました。メッセージの先頭のコードが理由を示します。",
            "メッセージの先頭のコードに示された対処を行ってください。status.errors にも記載されています。",
        ),
        Reason::RunOverdue => (
            "予定された実行が終わっていません。",
            "CronJobとそのJobをkubectlで確認してください。ノードの不足や、イメージを取得できないことが考えられます。次回の実行で追い付きます。",
        ),
        Reason::RefusedByCluster => (
            "名前空間がCronJob、またはディレクトリーのトークンのSecretを受け付けません。クォータを使い切ったか、ポリシーで禁止されています。",
            "名前空間のクォータまたはポリシーについて、プラットフォーム担当者に相談してください。1分ごとに再試行します。",
        ),
        Reason::ObjectNotOurs => (
            "オペレーターが使用する名前(SecretのNAME-directory、CronJobのNAME-syncとNAME-lookup)に、別に作成されたオブジェクトがあります。変更も削除もしません。",
            "メッセージが示すオブジェクトの名前を変更するか、削除してください。連携に引き渡す場合は、注釈 switchboard.dev/adopt に連携の名前を設定します。その場合は上書きされ、連携とともに削除されます。1分ごとに再確認されます。",
        ),
        Reason::AddressBookBehind => (
            "アドレス帳に、確認間隔の3倍を超えてSalesforceの変更が反映されていません。最初の着信で古い名前が表示されることがあります。その間、通話の番号は都度検索されます。",
            "次に問い合わせ可能な実行で自動的に追い付きます。続く場合は、status.errors と警告が妨げている理由を示します。予算(spec.apiBudget.dailyPercent)、大量のレコードの取り込み、またはSalesforceのユーザーの権限です。",
        ),
        Reason::AddressBookOverLimit => (
            "電話番号を持つレコードが、spec.contacts.maxRecords またはプラットフォーム担当者の上限より多くあります。名前は都度検索され、連携は動作し続けます。",
            "spec.contacts.maxRecords をメッセージの件数より大きくするか、上限が低い場合はプラットフォーム担当者に相談するか(チャートの worker.maxBookRecords、--max-book-records)、spec.contacts.addressBook を OnDemand にしてください。取り込みの規模は `switchboard lookup` のプレビューで確認できます。件数は1日に1回、上限を上げたときはすぐに数え直されます。",
        ),
        Reason::BudgetExhausted => (
            "組織のAPIリクエストの割り当て分に達したため、実行を中断しました。見つかった内容は保存されています。",
            "失われるものはなく、次回の実行で続きます。割り当て(spec.apiBudget.dailyPercent)を増やすか、SalesforceのAPIリクエストを追加してください。",
        ),
        Reason::SettingsInvalid => (
            "コマンドライン、設定文書、またはファイルに誤りがあり、ワーカーを開始できません。",
            "メッセージがSecretのキーを示している場合は修正してください。それ以外は、ワーカーのイメージがコントローラーに合わない可能性があります。プラットフォーム担当者に相談してください。それまで実行は同じように失敗します。",
        ),
        Reason::NothingToSearch => (
            "ユーザーが取引先責任者、取引先、リードの電話の項目を1つも参照できないため、番号を検索できません。",
            "Salesforceで、Contact、Account、Leadと、その項目PhoneとMobilePhoneの参照権限を権限セットでユーザーに付与してください。次回の実行で続きます。",
        ),
        Reason::DirectoryUnavailable => (
            "ワーカーがディレクトリーに接続できませんでした。",
            "失われるものはなく、次回の実行で再試行します。続く場合は、プラットフォーム担当者にディレクトリーの確認を依頼してください。",
        ),
        Reason::DirectoryNotTrusted => (
            "ディレクトリーの証明書を信頼できません。別の認証局のものか、期限切れか、別のホストのものです。トークンを含め、何も送信していません。",
            "失われるものはなく、次回の実行で再試行します。メッセージをプラットフォーム担当者に伝えてください。ディレクトリーの証明書(directory.tls)と、ワーカーが信頼する認証局(directory.tls.caBundle.configMap)が対応している必要があります。",
        ),
        Reason::DirectoryRefused => (
            "ディレクトリーが、ワーカーの依頼を行わずに応答しました。その内容はメッセージにあります。",
            "失われるものはなく、次回の実行で再試行します。再発する場合は、メッセージをプラットフォーム担当者に伝えてください。ワーカーのトークンまたはイメージがディレクトリーに合わない可能性があります。",
        ),
        Reason::DirectoryAnswerUnreadable => (
            "ディレクトリーのアドレスから、このワーカーが読み取れない応答が返りました。",
            "失われるものはなく、次回の実行で再試行します。再発する場合はプラットフォーム担当者に相談してください。そのアドレスで別のものが応答しているか、ワーカーのイメージがディレクトリーに合わない可能性があります。",
        ),
        Reason::Interrupted => (
            "ワーカーが完了前に停止を指示されました。引き受けた通話は返却されるか、期限後に再び対象になります。",
            "失われるものはなく、次回の実行で続きます。再発する場合は、誰がPodを終了しているかをプラットフォーム担当者に確認してください。",
        ),
        Reason::ChangesNotFollowed => (
            "前回以降の変更の問い合わせをSalesforceが拒否したため、連絡先は以前の名前のままです。検索は続けられ、次回の実行で同じ時点から再び問い合わせます。",
            "失われるものはありません。実行のたびに表示される場合は、メッセージが示す箇所を修正するか、spec.contacts.follow を Off にしてください。",
        ),
        Reason::AddressBookNotFilled => (
            "アドレス帳の件数確認または取り込みの問い合わせを、Salesforceが拒否しました。その間、名前は都度検索されます。次回の実行で再試行します。",
            "失われるものはありません。実行のたびに表示される場合は、メッセージが示す箇所を修正するか、spec.contacts.addressBook を OnDemand にしてください。",
        ),
        Reason::CallsComeBack => (
            "実行が完了とした通話を、ディレクトリーが再び渡しています。",
            "次回の実行で再び処理します。続く場合は、プラットフォーム担当者にディレクトリーの確認を依頼してください。ワーカーの報告が保存されていません。",
        ),
        Reason::JobNotCreated => (
            "CronJobが実行を開始しようとしましたが、クラスターがJobを作成しませんでした。",
            "メッセージのとおり、名前空間のクォータまたはポリシーが妨げています。プラットフォーム担当者に相談してください。次回の実行で追い付きます。",
        ),
        Reason::PodNotCreated => (
            "JobはありますがPodがありません。名前空間のクォータまたはポリシーが妨げています。",
            "メッセージをプラットフォーム担当者に伝えてください。クォータが limits.cpu などの量を求める場合は、チャートで設定します(worker.podTemplate.resources)。詳細は `kubectl describe job` で確認できます。妨げがなくなれば自動的に開始し、次回の実行で追い付きます。",
        ),
        Reason::RunDeadlineExceeded => (
            "実行が制限時間を超えたため終了されました。",
            "失われるものはなく、次回の実行で続きから再開します。再発する場合は、Salesforceまたはディレクトリーの応答が遅くなっています。",
        ),
        Reason::WorkerOutOfMemory => (
            "メモリーの上限を超えたため、カーネルがワーカーを終了しました。",
            "失われるものはなく、次回の実行で続きます。ワーカーのメモリー上限の引き上げをプラットフォーム担当者に依頼してください。",
        ),
        Reason::WorkerKilled => (
            "ワーカーがシグナルで終了しました。",
            "失われるものはなく、次回の実行で続きます。再発する場合は、ノードの再起動やデプロイツールなど、誰がPodを終了しているかをプラットフォーム担当者に確認してください。",
        ),
        Reason::WorkerEvicted => (
            "ノードがPodを退避させました。",
            "失われるものはなく、次回の実行で続きます。再発する場合はプラットフォーム担当者に相談してください。ノードのメモリーまたはディスクが不足しているか、優先度の高いPodに押し出されています。",
        ),
        Reason::WorkerUnschedulable => (
            "ワーカーのPodを受け入れるノードがありません。",
            "クラスターに空きがありません。ノードの追加またはメモリー要求の縮小をプラットフォーム担当者に依頼してください。その後は自動的に開始します。",
        ),
        Reason::WorkerImageNotPulled => (
            "ノードがワーカーのイメージを取得できません。",
            "プラットフォーム担当者に相談してください。その名前のイメージが存在しないか、ノードに取得の権限がありません。その後は自動的に開始します。",
        ),
        Reason::WorkerNotCreated => (
            "ノードがワーカーのコンテナーを作成できません。指定されたSecretまたはキーがないか、ポリシーで禁止されています。",
            "`kubectl describe pod` でPodを確認してください。マウントするSecretまたはキーが削除された可能性があります。次回の実行で追い付きます。",
        ),
        Reason::WorkerNotStarted => (
            "ワーカーのコンテナーが起動しません。",
            "`kubectl describe pod` でPodを確認してください。マウントするSecretまたはキーが削除された可能性があります。次回の実行で追い付きます。",
        ),
        Reason::PodLost => (
            "Jobが失敗し、Podはノードとともに、または手動で失われました。",
            "失われるものはなく、次回の実行で続きます。再発する場合は、誰が完了前にPodを削除しているかをプラットフォーム担当者に確認してください。",
        ),
        Reason::ReportMissing => (
            "ワーカーが報告なしに終了しました。",
            "次回の実行で再試行します。再発する場合は、Podのログをプラットフォーム担当者に依頼してください。理由を報告する前に終了しています。",
        ),
        Reason::ReportInvalid => (
            "ワーカーの報告が、このバージョンのものではありません。",
            "次回の実行で再試行します。再発する場合はワーカーのイメージがコントローラーに合いません。プラットフォーム担当者に相談してください。",
        ),
        Reason::CallCentersDiffer
        | Reason::CallCentersUnreadable
        | Reason::ApiBudgetNearlyUsed
        | Reason::ApiBudgetsOverbooked
        | Reason::ReportValueRefused
        | Reason::UserIsShared
        | Reason::ContainerStillRuns
        | Reason::TokensNotBeforeInvalid
        | Reason::TokensNotRevoked
        | Reason::RetentionShorter
        | Reason::RetentionNotTold
        | Reason::MailRecipientRefused
        | Reason::MailNotConfigured
        | Reason::MailNotDelivered
        | Reason::TestPostponed
        | Reason::TestRefused
        | Reason::RunRefused
        | Reason::ErasureWaits
        | Reason::CompanyNotErased
        | Reason::Erasing
        | Reason::CompanyErased
        | Reason::DataTakenOver
        | Reason::Ready
        | Reason::AsExpected
        | Reason::Pending
        | Reason::Suspended
        | Reason::RetrievalDisabled
        | Reason::NoRunYet
        | Reason::AddressBookFilling
        | Reason::RunSucceeded
        | Reason::Succeeded
        | Reason::TokensRevoked
        | Reason::RunStarted
        | Reason::Warning(_) => return None,
    })
}

/// What an answer of Salesforce means.
const fn of_salesforce(meaning: Meaning) -> (&'static str, &'static str) {
    match meaning {
        Meaning::InvalidLogin => (
            "このユーザー名、パスワード、セキュリティトークンをSalesforceが受け付けません。パスワードやトークンの誤り、ロック・凍結・無効化されたユーザー、SandboxのユーザーでProductionに(またはその逆に)ログインした場合も、同じ応答になります。",
            "Secretのユーザー名、パスワード、セキュリティトークン(アプリによるログインではクライアントID、シークレットまたは鍵、アプリの許可)と、環境(ProductionまたはSandbox)を確認してください。Salesforceの[設定 > ログイン履歴]で原因が分かります。その後Secretを更新するか、再テストを依頼してください。",
        ),
        Meaning::SecurityTokenRequired => (
            "パスワードは正しいものの、組織が信頼していないネットワークからのログインで、有効なセキュリティトークンがありません。",
            "Salesforceでユーザーの個人設定の[私のセキュリティトークンのリセット]を開き、メールで届くトークンをSecretのsecurityTokenに設定してください。または、クラスターのアドレスを[設定 > ネットワークアクセス]に追加してください。",
        ),
        Meaning::PasswordExpired => (
            "ユーザーのパスワードの期限が切れており、パスワードの変更以外はできません。",
            "このユーザーでSalesforceにログインして新しいパスワードを設定し、新しいセキュリティトークンとともにSecretに設定してください。連携ユーザーには期限のないパスワードポリシーを推奨します。",
        ),
        Meaning::UserLocked => (
            "ログインの失敗が多すぎたため、Salesforceがユーザーをロックしました。",
            "[設定 > ユーザー]でロックを解除するか、ロックの期間が過ぎるまで待ち、古いパスワードを使用しているプログラムを特定してから、Secretを更新するか再テストを依頼してください。",
        ),
        Meaning::UserInactive => (
            "Salesforceのユーザーが無効化または凍結されています。",
            "[設定 > ユーザー]でユーザーを有効にするか、別のユーザーを指定してください。その後Secretを更新するか、再テストを依頼してください。",
        ),
        Meaning::LoginMethodDisabled => (
            "組織がこのログイン方法を許可していないか、ユーザーに権限がありません。SOAP login()はWinter '26以降に作成された組織では既定で無効で、権限Use Any API Authが必要な場合があります。OAuthフローは組織とアプリごとに有効にします。",
            "jwtBearerまたはclientCredentialsを使用してください。このまま使う場合、SOAP login()では[設定 > ユーザーインターフェース]でSOAP API login()を有効にしてUse Any API Authを付与し、OAuthでは[設定 > OAuthおよびOpenID Connect設定]とアプリのフロー設定を確認してください。",
        ),
        Meaning::IdentityVerificationRequired => (
            "Salesforceが確認コードまたは第2要素を求めていますが、プログラムでは応じられません。",
            "連携ユーザーを確認の対象から外すか、クラスターのアドレスを[設定 > ネットワークアクセス]で信頼するか、jwtBearerを使用してください。",
        ),
        Meaning::BlockedBySecurityPolicy => (
            "組織のトランザクションセキュリティまたはセッションのポリシーがリクエストを遮断したか、相互TLSが必要です。",
            "設定でこのイベントに示されるポリシーから連携ユーザーを除外するよう、Salesforceの管理者に依頼してください。",
        ),
        Meaning::IpRestricted => (
            "ユーザーのプロファイルまたはアプリが許可するIPアドレスの範囲に、このクラスターが含まれていません。",
            "クラスターの送信元アドレスを、ユーザーのプロファイルのログインIPアドレスの範囲に追加し(またはアプリのポリシーでIP制限を緩和し)、再テストを依頼してください。",
        ),
        Meaning::LoginHoursRestricted => (
            "ユーザーのプロファイルが、ログインできる時間帯を制限しています。",
            "連携ユーザーのプロファイルからログイン時間帯を外すか、その時間帯の中で連携を実行してください。",
        ),
        Meaning::LoginRateExceeded => (
            "ユーザーのログインが1時間に3,600回を超えたため、Salesforceが1時間ログインを遮断します。",
            "このユーザーでリクエストごとにログインしているプログラムを特定し、この連携に専用のユーザーを用意してください。",
        ),
        Meaning::InvalidClient => (
            "コンシューマー鍵をSalesforceが認識しないか、シークレットが対応していません。新しいアプリは、認識されるまで最大10分かかります。",
            "接続アプリケーションまたは外部クライアントアプリのコンシューマー鍵とシークレットを、SecretのclientIdとclientSecretに設定してください。",
        ),
        Meaning::AppNotInstalled => (
            "このコンシューマー鍵のアプリをSalesforceは認識していますが、対象の組織にインストールされていないか、有効ではありません。",
            "この組織でアプリをインストールまたは有効化する([設定 > 外部クライアントアプリマネージャー]または[接続アプリケーションのOAuthの利用状況])か、loginUrlをアプリのある組織の私のドメインにしてください。その後Secretを更新するか、再テストを依頼してください。",
        ),
        Meaning::AppNotApproved => (
            "接続アプリケーションが、このユーザーに対して事前承認されていません。",
            "アプリのポリシーで[許可されているユーザー]を「管理者が承認したユーザーは事前承認済み」にし、ユーザーのプロファイルまたは権限セットにアプリを割り当ててください。",
        ),
        Meaning::AppBlocked => (
            "この組織で、管理者が接続アプリケーションをブロックしました。",
            "[設定 > 接続アプリケーションのOAuthの利用状況]でブロックを解除してください。",
        ),
        Meaning::AudienceInvalid => (
            "JWTの対象がこの組織に属していません。SandboxのユーザーでProductionに問い合わせたか、その逆です。",
            "Sandboxの場合はenvironmentをSandboxに、それ以外はProductionにしてください。",
        ),
        Meaning::ClockSkew => (
            "JWTの有効期間は3分ですが、Salesforceの時計では既に過ぎています。このノードの時計がずれています。",
            "クラスターのノードの時刻(NTP)を修正し、再テストを依頼してください。",
        ),
        Meaning::InvalidAssertion => (
            "JWTの署名が、アプリにアップロードされた証明書に合いません。",
            "privateKeyに対応する証明書をアプリにアップロードする(デジタル署名を使用)か、正しい鍵をSecretに設定してください。",
        ),
        Meaning::InvalidPrivateKey => (
            "privateKeyが、PEM形式のRSA秘密鍵(PKCS#1またはPKCS#8、暗号化なし)ではありません。",
            "PEMファイルのBEGIN行からEND行までの全体を、SecretのprivateKeyに設定してください。",
        ),
        Meaning::MyDomainRequired => (
            "クライアントログイン情報フローは、組織の私のドメインのホストでのみ動作します。",
            "loginUrlを https://<ドメイン>.my.salesforce.com にしてください(Sandboxでは https://<ドメイン>--<名前>.sandbox.my.salesforce.com)。",
        ),
        Meaning::NoRunAsUser => (
            "クライアントログイン情報フローには、APIを使用できる実行ユーザーをアプリのポリシーに設定する必要があります。",
            "アプリのポリシーの[クライアントログイン情報フロー > 別のユーザーとして実行]でユーザーを選択してください。",
        ),
        Meaning::ApiDisabledForOrg => (
            "この組織でAPIが有効ではありません。Essentials、Starter、GroupにはAPIがなく、Professionalでは有償の追加機能です。新しい接続アプリケーションも、数分間この応答を返すことがあります。",
            "Enterprise、Performance、Unlimited、Developer Editionを使用するか、Professional EditionにAPIアクセスを追加してください。その後、再テストを依頼してください。",
        ),
        Meaning::ApiDisabledForUser => (
            "ユーザーに「APIの有効化」の権限がありません。",
            "ユーザーのプロファイルまたは権限セットに「APIの有効化」を付与し、再テストを依頼してください。",
        ),
        Meaning::UnsupportedApiVersion => (
            "このAPIバージョンは廃止されたか、Salesforceがまだ対応していません。",
            "apiVersionを対応しているバージョン(例: 50.0)にしてください。",
        ),
        Meaning::OrganizationUnavailable => (
            "組織がロックされているか、試用期間が終了したか、まだ作成中です。",
            "Salesforceまたはアカウントの所有者に組織の再開を依頼し、その後、再テストを依頼してください。",
        ),
        Meaning::OrganizationInMaintenance => (
            "Salesforceが組織を移行またはメンテナンスしています。",
            "対処は不要です。自動的に再試行します。インスタンスの状況は status.salesforce.com を参照してください。",
        ),
        Meaning::RequestLimitExceeded => (
            "組織のすべての連携で、過去24時間のAPIコールを使い切りました。",
            "使用状況は[設定 > 組織情報 > API要求数]で確認してください。apiBudgetを下げるか、コール数を追加してください。24時間の経過とともに自動的に再開します。",
        ),
        Meaning::BulkUnavailable => (
            "組織のエディションにBulk APIがないか、オブジェクトが対応していないか、必要な「すべて表示」がユーザーにありません。",
            "対処は不要です。代わりに1ページずつ読み取り、APIコールが多くなります。一括クエリを使うには、対象オブジェクトの「すべて表示」を連携ユーザーに付与してください。",
        ),
        Meaning::BulkLimitExceeded => (
            "組織のすべての連携による一括クエリの回数または結果の量が、24時間の上限に達しました。",
            "[設定 > 一括データ読み込みジョブ]で使用元を確認してください。24時間の経過とともに自動的に再開します。",
        ),
        Meaning::BulkJobFailed => (
            "Salesforceが一括クエリのジョブを結果なしに終了したか、誰かが中止したか、数えられた行より少ない行しか届きませんでした。届いた分を全体とは見なしません。",
            "一度だけなら対処は不要です。再実行されます。続く場合は[設定 > 一括データ読み込みジョブ]でジョブを確認してください。",
        ),
        Meaning::ConcurrentLimit => (
            "組織で20秒以上かかるリクエストが同時に多すぎます。",
            "対処は不要です。自動的に再試行します。続く場合は、遅いクエリを実行している連携を特定してください。",
        ),
        Meaning::SessionExpired => (
            "Salesforceがセッションを終了しました(期限切れ、取り消し、またはユーザーの別のログアウト)。",
            "一度だけなら対処は不要です。次のテストで再びログインします。繰り返す場合は、ユーザーのプロファイルのセッション設定を確認してください。",
        ),
        Meaning::SessionNotForApi => (
            "セッションは有効ですが、REST APIには使用できません。OAuthのアプリに範囲apiがないか、組織がセッションをログイン元のアドレスに固定しているか、高保証のセッションが必要です。",
            "OAuthの場合は、まずアプリに範囲「APIを使用してユーザーデータを管理(api)」を追加してください。それ以外は「ログイン時のIPアドレスとセッションをロックする」またはセッションのセキュリティレベルを連携ユーザーのプロファイルで緩和し、再テストを依頼してください。",
        ),
        Meaning::InsufficientAccess => (
            "ユーザーがレコードまたはリソースを参照または変更できません。",
            "メッセージが示す権限を連携ユーザーに付与してください。",
        ),
        Meaning::FieldUnavailable => (
            "標準項目がこのユーザーには存在しません。項目レベルセキュリティで非表示か、該当する機能が無効です。",
            "メッセージが示す項目を、連携ユーザーのプロファイルまたは権限セットで参照可能にしてください。",
        ),
        Meaning::ObjectUnavailable => (
            "オブジェクトがこのユーザーには存在しません。ライセンスに含まれないか、参照権限がありません。",
            "Salesforceで、メッセージが示すオブジェクトの参照権限と「すべて表示」を権限セットでユーザーに付与してください。",
        ),
        Meaning::NotFound => (
            "パスまたはレコードが存在しません。ホストの誤り、SalesforceにないAPIバージョン、または存在しない組織です。",
            "loginUrlとapiVersionを確認してください。",
        ),
        Meaning::RequestRejected => (
            "Salesforceがリクエストの形式を受け付けませんでした。設定ではなくSwitchboardの不具合です。",
            "メッセージをSwitchboardの運用担当者に報告してください。",
        ),
        Meaning::RequestTooLong => (
            "URLまたはヘッダーがSalesforceの上限を超えました。Switchboardは小さく分けて問い合わせます。",
            "対処は不要です。続く場合はSwitchboardの運用担当者に報告してください。",
        ),
        Meaning::CursorExpired => (
            "長いクエリのカーソルまたは一括クエリの結果をSalesforceが破棄しました。古くなったか、削除されたか、別のAPIバージョンのものです。",
            "対処は不要です。クエリは再実行されます。",
        ),
        Meaning::QueryTimeout => (
            "クエリまたはリクエストが制限時間を超えたため、Salesforceが取り消しました。",
            "一度だけなら対処は不要です。非常に大きな組織では、PhoneとMobilePhoneのインデックスをSalesforceのサポートに依頼してください。",
        ),
        Meaning::QueryTooComplicated => (
            "クエリが複雑すぎるとSalesforceが判断しました。Switchboardは小さく分けて問い合わせます。",
            "対処は不要です。続く場合はSwitchboardの運用担当者に報告してください。",
        ),
        Meaning::RowLocked => (
            "別のトランザクションがレコードを使用しています。",
            "対処は不要です。自動的に再試行します。",
        ),
        Meaning::SalesforceError => (
            "Salesforceの内部エラーです。",
            "対処は不要です。自動的に再試行します。続く場合は status.salesforce.com を参照してください。",
        ),
        Meaning::Unreachable => (
            "時間内に応答がないか、接続に失敗したか、インスタンスが応答しないとSalesforceが報告しています。",
            "一時的なものなら対処は不要です。続く場合は、loginUrl、クラスターのDNS・プロキシ・ファイアウォール、status.salesforce.com を確認してください。",
        ),
        Meaning::CertificateUntrusted => (
            "TLS証明書が既知の認証局のものではないか、期限切れか、別の名前のものです。多くの場合、TLSを復号するプロキシです。",
            "途中に自社のプロキシがある場合は、Switchboardの運用担当者がその認証局を追加します(チャートの salesforce.caBundle、--ca-bundle)。それ以外はloginUrlを確認してください。",
        ),
        Meaning::ProxyLoginRequired => (
            "Salesforceへの経路に、ユーザーとパスワードを求めるプロキシがあります(HTTP 407)。",
            "Switchboardの運用担当者が、コントローラーと実行のPodをアドレスでプロキシに許可します。コントローラーのHTTPS_PROXYに含めたユーザーとパスワードはコントローラーにのみ有効です。テナントに読まれるおそれがあるため、実行のPodには渡されません。",
        ),
        Meaning::HostNotAllowed => (
            "ホストが運用担当者の一覧にないか、httpsではないか、プライベートアドレスに解決されます。接続は行われていません。",
            "salesforce.comのloginUrlを使用するか、Switchboardの運用担当者にホストの許可を依頼してください(チャートの salesforce.hosts と salesforce.allowPrivateNetworks、--salesforce-hosts と --allow-private-networks)。",
        ),
        Meaning::LoginUrlMoved => (
            "ホストがSalesforceの別のホストに転送します。私のドメインの名前が変更されたか、loginUrlがブラウザー用のアドレスです。認証情報も送られてしまうため、転送には従いません。",
            "メッセージが示すホストをloginUrlに設定するか、loginUrlを省略してください。組織のホストは[設定 > 私のドメイン]で確認できます。",
        ),
        Meaning::LoginWithheld => (
            "ログインが必要ですが、1時間以内にこのユーザーのログインが拒否されており、もう一度失敗するとユーザーがロックされるおそれがあります。",
            "正しい認証情報をSecretに設定してください。status.connection.nextAttemptAt の時刻に自動で試行します。Secretが正しい場合は、誤ったパスワードでこのユーザーを使用しているものを特定してください。",
        ),
        Meaning::UnknownCode => (
            "このバージョンのSwitchboardが認識しないエラーコードをSalesforceが返しています。",
            "メッセージが示すコードをSalesforceのドキュメントで確認してください。ログインに関するものは[設定 > ログイン履歴]にもあります。メッセージをSwitchboardの運用担当者に報告してください。",
        ),
        Meaning::UnexpectedAnswer => (
            "SalesforceのAPIの応答ではないものが返りました。多くの場合、途中のプロキシ、認証ポータル、メンテナンスページです。",
            "クラスターのネットワークからloginUrlを開き、何が応答するかを確認してください。メッセージをSwitchboardの運用担当者に報告してください。",
        ),
    }
}
