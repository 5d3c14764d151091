//! The reasons of Switchboard itself, with cause and remedy. The texts appear in
//! `kubectl describe`, Events and docs/reasons.md.

use super::Chapter;
use super::Remedy::{self, Act, Nothing};
use crate::salesforce::{Meaning, WarningCode};

macro_rules! reasons {
    ($( $chapter:ident { $( $name:ident { $cause:literal, $remedy:expr } )+ } )+) => {
        /// The reason for a condition, an error, an Event or a warning: a code for programs, with
        /// cause and remedy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $( $( #[doc = $cause] $name, )+ )+
            /// The meaning of a response of Salesforce.
            Salesforce(Meaning),
            /// A warning of a proof.
            Warning(WarningCode),
        }

        impl Reason {
            /// The reasons of this table, without those of Salesforce.
            pub(super) const OWN: &'static [Reason] = &[ $( $( Reason::$name, )+ )+ ];

            pub(super) fn own_from_code(code: &str) -> Option<Reason> {
                match code { $( $( stringify!($name) => Some(Reason::$name), )+ )+ _ => None }
            }

            /// The word in conditions, errors, Events and reports.
            pub fn code(self) -> &'static str {
                match self {
                    $( $( Reason::$name => stringify!($name), )+ )+
                    Reason::Salesforce(meaning) => meaning.code(),
                    Reason::Warning(code) => code.code(),
                }
            }

            /// The chapter of docs/reasons.md in which it appears.
            pub fn chapter(self) -> Chapter {
                match self {
                    $( $( Reason::$name => Chapter::$chapter, )+ )+
                    // The proof of the connection detects it and reports it under Authorized.
                    Reason::Salesforce(Meaning::ObjectUnavailable) => Chapter::Authorized,
                    Reason::Salesforce(_) => Chapter::Salesforce,
                    Reason::Warning(_) => Chapter::Warnings,
                }
            }

            /// The reason why it happens, as sentences.
            pub fn cause(self) -> &'static str {
                match self {
                    $( $( Reason::$name => $cause, )+ )+
                    Reason::Salesforce(meaning) => meaning.cause(),
                    Reason::Warning(code) => code.cause(),
                }
            }

            /// The next step for the tenant.
            pub fn remedy(self) -> Remedy {
                match self {
                    $( $( Reason::$name => $remedy, )+ )+
                    Reason::Salesforce(meaning) => Act(meaning.remedy()),
                    Reason::Warning(code) => Act(code.remedy()),
                }
            }
        }
    };
}

reasons! {
    CredentialsAvailable {
        InvalidSpec {
            "A value passed the schema and names nothing that exists, such as a time zone or a region.",
            Act("Correct the field that the message names and apply the resource again.")
        }
        SecretNotFound {
            "There is no Secret of that name in the namespace of the integration.",
            Act("Create the Secret in this namespace, or correct the name in secretRef. It is noticed at once.")
        }
        SecretKeyMissing {
            "The Secret lacks a key that the log-in method needs, or has it in another spelling.",
            Act("Add the key to the Secret, or rename it as the message says. It is noticed at once.")
        }
        SecretKeyInvalid {
            "A key of the Secret is empty, not text, or not what the key is for.",
            Act("Write the key's value again as the message says. It is noticed at once, and no log-in was spent on it.")
        }
    }
    Exclusive {
        CompanyIdTaken {
            "An older integration claims the same company ID; the older one keeps it.",
            Act("Correct spec.companyId, or ask for the other resource to be deleted; this one then recovers by itself.")
        }
        DataOfAnother {
            "The directory keeps data under this company ID that another integration has left. Nobody gets it without a word.",
            Act("If the data is yours, set the annotation switchboard.dev/adopt-data to the UID of the integration that it belonged to; the platform team finds it in the directory's log. Otherwise correct spec.companyId, or ask the platform team to erase the data (`switchboard directory erase`). It is looked at again every ten minutes.")
        }
        DirectoryNotAsked {
            "The directory could not be asked whether it keeps data of somebody else under the company ID. Until then there are no tokens and no runs.",
            Act("It is tried again by itself every 15 seconds. If it lasts, ask the platform team: the controller must reach the directory (directory.url in the chart, --directory-url), and both must have the same keys and version.")
        }
        UserInOtherCallCenter {
            "A user of spec.callCenters stands in a call center of an older integration of the same org, which keeps the user, or twice in this one.",
            Act("Take the users that the message names out of spec.callCenters, or ask the platform team which integration they belong to. When the other one gives them up, this one recovers by itself.")
        }
    }
    CallCentersVerified {
        CallCentersDiffer {
            "Salesforce has a user of spec.callCenters otherwise: there is none of that name, it is not active, it stands in no call center, or in another one than most of its group. It blocks nothing.",
            Act("In Salesforce, under Setup, Call Centers, add the users that the message names to the call center of their group, or correct spec.callCenters. It is noticed at the next proof, or at once with the annotation switchboard.dev/test-requested-at.")
        }
        CallCentersUnreadable {
            "The integration user may not read users or their call center, or the org has no call centers. It blocks nothing: the condition is Unknown.",
            Act("Runs go on without it. To have it proved, give the integration user read access to User and its field Call Center in Salesforce, by a permission set.")
        }
    }
    Authorized {
        MissingViewAll {
            "The user does not see all records of an object, so some callers would stay unknown.",
            Act("In Salesforce, give the user \"View All\" on the objects that the message names, by a permission set. It is noticed at the next proof, or at once with the annotation switchboard.dev/test-requested-at.")
        }
        RightsUnknown {
            "The user may not read the objects that hold the permissions. It blocks nothing: the condition is Unknown.",
            Act("Runs go on without it. To have it proved, give the user \"View Setup and Configuration\" in Salesforce, by a permission set.")
        }
    }
    Synced {
        RunFailed {
            "The last run failed; the message begins with one of the codes below or one of Salesforce's.",
            Act("Do what stands under the code that the message begins with; status.errors has it, too.")
        }
        RunOverdue {
            "A run was due and none ended.",
            Act("Look at the CronJob and its Jobs with kubectl: is the cluster short of nodes, or can the image not be pulled? The next run catches up.")
        }
        RefusedByCluster {
            "The namespace does not take the CronJob, or the Secret with the directory's tokens: a quota is used up, or a policy is against it.",
            Act("A quota or a policy of the namespace stands in the way: ask the platform team. It is tried again every minute.")
        }
        ObjectNotOurs {
            "Under a name that the operator uses (the Secret NAME-directory, the CronJobs NAME-sync and NAME-lookup) stands an object that it did not make. It is neither changed nor deleted.",
            Act("Rename or delete the object that the message names. To hand it over to the integration, which then overwrites it and deletes it with itself, set its annotation switchboard.dev/adopt to the name of the integration. It is looked at again every minute.")
        }
        AddressBookBehind {
            "The address book has not had the changes of Salesforce for longer than three times the time between two questions for them. A first ring may show an old name; the numbers of calls are looked up on demand meanwhile.",
            Act("It is caught up with by itself by the next run that may ask. If it lasts, status.errors and the warnings say what keeps runs from it: the budget (spec.apiBudget.dailyPercent), an import of very many records, or a right of the user in Salesforce.")
        }
        AddressBookOverLimit {
            "The org has more records with a phone number than spec.contacts.maxRecords, or the platform team, allows. Names are looked up on demand, as with `addressBook: OnDemand`: the integration stays Ready.",
            Act("Raise spec.contacts.maxRecords to more than the records that the message names, ask the platform team where its own limit is lower (worker.maxBookRecords in the chart, --max-book-records), or set spec.contacts.addressBook to OnDemand. The preview of a fill by `switchboard lookup` says what the book would take. The records are counted again once a day, and at once when the limit rises.")
        }
        BudgetExhausted {
            "The run stopped at its share of the org's API requests. What it found is kept.",
            Act("Nothing is lost: the next run goes on. Give the integration a larger share (spec.apiBudget.dailyPercent), or ask for more API requests in Salesforce.")
        }
    }
    Run {
        SettingsInvalid {
            "The worker cannot begin with what it was told: its command line, its settings document or one of its files is wrong.",
            Act("If the message names a key of the Secret, correct it. Otherwise the worker's image may not fit the controller: ask the platform team. Runs fail alike until then.")
        }
        NothingToSearch {
            "The user sees no phone field of Contact, Account or Lead, so there is nothing to look numbers up in.",
            Act("In Salesforce, give the user read access to Contact, Account and Lead and to their fields Phone and MobilePhone, by a permission set. The next run goes on.")
        }
        DirectoryUnavailable {
            "The worker could not reach the directory.",
            Act("Nothing is lost: the next run tries again. If it lasts, ask the platform team to look at the directory.")
        }
        DirectoryNotTrusted {
            "The worker reached the directory and does not trust its certificate: it is of another authority, has expired, or is for another host. Nothing was sent, the token neither.",
            Act("Nothing is lost: the next run tries again. Give the platform team the message: the directory's certificate (directory.tls) and the authorities that workers trust (directory.tls.caBundle.configMap) must belong together.")
        }
        DirectoryRefused {
            "The directory answered and did not do what the worker asked; its words stand in the message.",
            Act("Nothing is lost: the next run tries again. If it happens again, give the platform team the message: the worker's token or its image may not fit the directory.")
        }
        DirectoryAnswerUnreadable {
            "What came back from the directory's address is no answer of the directory that this worker can read.",
            Act("Nothing is lost: the next run tries again. If it happens again, ask the platform team: something else may answer at that address, or the worker's image may not fit the directory.")
        }
        Interrupted {
            "The worker was told to stop before it was done. What it had taken is handed back, or free again when its claim runs out. The status shows WorkerKilled.",
            Act("Nothing is lost: the next run goes on. If it happens again, ask the platform team who ends the pods.")
        }
        ChangesNotFollowed {
            "Salesforce refused the question what changed since the last time, so contacts keep the names they had. The look-ups went on, and the next run asks again from the same time on.",
            Act("Nothing is lost. If the message comes with every run, correct what it names, or set spec.contacts.follow to Off.")
        }
        AddressBookNotFilled {
            "Salesforce refused a question with which the address book is counted or filled. Names are looked up on demand meanwhile; the next run tries again.",
            Act("Nothing is lost. If the message comes with every run, correct what it names, or set spec.contacts.addressBook to OnDemand.")
        }
        CallsComeBack {
            "The directory hands out calls again that the run has marked done.",
            Act("The next run takes them up again. If the warning stays, ask the platform team to look at the directory: it does not keep what workers tell it.")
        }
    }
    LostRun {
        JobNotCreated {
            "The CronJob was to start a run, and the cluster made no Job.",
            Act("A quota or a policy of the namespace stands in the way, in the words of the message: ask the platform team. The next run catches up.")
        }
        PodNotCreated {
            "The Job is there and has no pod: a quota or a policy of the namespace stands in the way, in Kubernetes' own words if it gave any.",
            Act("Give the platform team the message. If a quota wants an amount, such as limits.cpu, the chart sets it (worker.podTemplate.resources). `kubectl describe job` says more. The run starts by itself when nothing stands in the way any more, and the next one catches up.")
        }
        RunDeadlineExceeded {
            "The run took longer than it may and was ended.",
            Act("Nothing is lost: the next run goes on where this one stopped. If it happens again, Salesforce or the directory answers slowly.")
        }
        WorkerOutOfMemory {
            "The kernel ended the worker because it passed its memory limit.",
            Act("Nothing is lost: the next run goes on. Ask the platform team to raise the worker's memory limit.")
        }
        WorkerKilled {
            "A signal ended the worker.",
            Act("Nothing is lost: the next run goes on. If it happens again, ask the platform team who ends the pods: a node that restarts, or a deployment tool.")
        }
        WorkerEvicted {
            "The node evicted the pod.",
            Act("Nothing is lost: the next run goes on. If it happens again, ask the platform team: the node is short of memory or disk, or more important pods push this one out.")
        }
        WorkerUnschedulable {
            "No node takes the worker's pod.",
            Act("The cluster has no room for the pod: ask the platform team for a node, or for a smaller memory request. It starts by itself then.")
        }
        WorkerImageNotPulled {
            "The node cannot get the worker's image.",
            Act("Ask the platform team: the worker's image does not exist under that name, or the node may not pull it. It starts by itself then.")
        }
        WorkerNotCreated {
            "The node cannot make the worker's container: a Secret or a key that it names is not there, or a policy forbids it.",
            Act("Look at the pod with `kubectl describe pod`: a Secret or a key that it mounts may have been deleted. The next run catches up.")
        }
        WorkerNotStarted {
            "The worker's container does not come up.",
            Act("Look at the pod with `kubectl describe pod`: a Secret or a key that it mounts may have been deleted. The next run catches up.")
        }
        PodLost {
            "The Job failed and its pod is gone, with the node or by hand.",
            Act("Nothing is lost: the next run goes on. If it happens again, ask the platform team who deletes the pods before they are done.")
        }
        ReportMissing {
            "The worker ended without a report.",
            Act("The next run tries again. If it happens again, ask the platform team for the logs of the pod: the worker ended before it could say why.")
        }
        ReportInvalid {
            "What the worker left is not a report of this version.",
            Act("The next run tries again. If it happens again, the worker's image does not fit the controller: ask the platform team.")
        }
    }
    Warnings {
        ApiBudgetNearlyUsed {
            "More than 80 % of the integration's share of the org's API requests are used.",
            Act("Raise spec.apiBudget.dailyPercent, or prove the connection less often (spec.interval).")
        }
        ApiBudgetsOverbooked {
            "The integrations of one org ask for more than all of its API requests together; each gets that much less.",
            Act("Lower spec.apiBudget.dailyPercent of the org's integrations until they add up to 100.")
        }
        ReportValueRefused {
            "The report of the last run names a value that cannot be true, such as more API requests than the run had seconds for. It is not taken; the rest is.",
            Act("If nobody but the worker can write into its pod, ask the platform team: the clocks of the nodes may differ, or the worker's image may not fit the controller. Otherwise look who runs pods in the namespace.")
        }
        UserIsShared {
            "Salesforce refused log-ins of this integration, and others in the cluster log in as the same user with another credential: they have to wait, too, so that the user is not locked.",
            Act("Use the right password, or the right user name: every integration should have a user of its own.")
        }
        ContainerStillRuns {
            "Another container of a run's pod, such as a sidecar that the cluster put into it, went on after the worker had ended. The report was taken; the Job was deleted after 30 seconds, so that the next run can start.",
            Act("Keep the container out of the pods of runs, by the label or annotation that its maker names (sidecar.istio.io/inject: \"false\", say): ask the platform team to set it for all (chart: worker.podTemplate.annotations or labels), or set it in spec.run where the platform team allows it.")
        }
        TokensNotBeforeInvalid {
            "The annotation switchboard.dev/tokens-not-before holds no time that has passed. No token is revoked.",
            Act("Write a time such as 2026-11-29T12:00:00Z, which `date -u +%FT%TZ` prints, or remove the annotation.")
        }
        TokensNotRevoked {
            "Tokens are to be revoked, and the directory could not be told: it still takes them. The Secret has new ones already.",
            Act("It is tried again by itself within minutes. If it lasts, ask the platform team: the controller must reach the directory (directory.url in the chart, --directory-url), and both must have the same keys and version.")
        }
        RetentionShorter {
            "`spec.contacts.retainDays` is more than the operator keeps calls for. The operator's days count.",
            Act("Lower spec.contacts.retainDays to what the message names, or ask the platform team for more (directory.retainDays in the chart, --retain-days of the directory).")
        }
        RetentionNotTold {
            "`spec.contacts.retainDays` has changed, and the directory could not be told: it keeps calls for the time of before.",
            Act("It is tried again by itself every 15 seconds. If it lasts, ask the platform team: the controller must reach the directory (directory.url in the chart, --directory-url), and both must have the same keys and version.")
        }
        MailRecipientRefused {
            "`spec.notifications.email` names an address in a domain that the operator sends no mail to.",
            Act("Name an address in a domain of your own that the platform team has allowed, or ask the platform team to allow this one (mail.recipientDomains in the chart, --mail-recipient-domains).")
        }
        MailNotConfigured {
            "`spec.notifications` is set, and the operator has no mail server.",
            Act("Ask the platform team to configure a mail server (mail.server in the chart, --smtp-server), or take spec.notifications out.")
        }
        MailNotDelivered {
            "A mail was given up: the mail server refused it, did not take it for an hour, or too many were waiting.",
            Act("Check the addresses in spec.notifications.email. If they are right, ask the platform team to look at the mail server. What lasts is told again the next day.")
        }
    }
    Requests {
        TestPostponed {
            "A test was asked for, and one more refused log-in could lock the user: two within an hour were refused, or their answers were lost.",
            Act("Wait for the time that the message names; the test then comes by itself. A credential that was not refused is tried at once, two within an hour.")
        }
        TestRefused {
            "A test was asked for, and something before the connection does not hold.",
            Act("Put right what the message names; the connection is then proved by itself, or ask again.")
        }
        RunRefused {
            "A run was asked for and cannot start.",
            Act("Put right what the message names, then ask again with another value of the annotation switchboard.dev/run-requested-at.")
        }
    }
    DataErased {
        ErasureWaits {
            "With `deletionPolicy: Erase` the deletion waits until the directory has erased what it keeps about the company, and the directory could not be asked.",
            Act("It is tried again every 10 seconds, for 10 minutes after the deletion; then the deletion goes on, and the data stays. To let it go at once, set spec.deletionPolicy to Retain. If it lasts, ask the platform team to look at the directory.")
        }
        CompanyNotErased {
            "An integration with `deletionPolicy: Erase` is gone, and the directory still keeps data of the company.",
            Act("Ask the platform team to erase it, by `switchboard directory erase` in a pod of the directory.")
        }
    }
    Harmless {
        Erasing {
            "An integration with `deletionPolicy: Erase` is being deleted, and the directory erases what it keeps about the company.",
            Nothing
        }
        CompanyErased {
            "An integration with `deletionPolicy: Erase` is gone, and so is what the directory kept about the company.",
            Nothing
        }
        DataTakenOver {
            "The integration has taken over what an earlier one of the same namespace and name, or the one that switchboard.dev/adopt-data names, had left in the directory.",
            Nothing
        }
        Ready { "Everything works.", Nothing }
        AsExpected { "The condition holds.", Nothing }
        Pending {
            "It was not looked at yet, because something before it does not hold or was not proved yet.",
            Nothing
        }
        Suspended { "`spec.suspend` is set: nothing is proved and nothing runs.", Nothing }
        RetrievalDisabled { "`retrieval` is `Disabled`: there is nothing to run.", Nothing }
        NoRunYet { "No run was due yet.", Nothing }
        AddressBookFilling {
            "The records of Salesforce are being read for the address book; status.addressBook.filling says how far. Until the first fill has ended, names are looked up on demand.",
            Nothing
        }
        RunSucceeded { "The last run succeeded.", Nothing }
        Succeeded { "The outcome of a run that did what it was to do.", Nothing }
        TokensRevoked {
            "Tokens of the company that were issued before the time in the message are refused. Whoever else uses one needs the new one from the Secret.",
            Nothing
        }
        RunStarted { "A run that was asked for has started.", Nothing }
    }
}
