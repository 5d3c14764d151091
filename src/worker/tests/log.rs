//! The log of a run: its content, and that it holds no secret and no number.

use clap::Parser;
use salesforce_simulator::{Org, Record, User};
use serde_json::{Value, json};

use super::bed::{Bed, PASSWORD, SECURITY_TOKEN, USER};
use super::fake_salesforce::Played;
use crate::telemetry::testing::Log;
use crate::worker::Args;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

#[tokio::test]
async fn every_line_of_a_run_says_whose_it_is_and_none_holds_a_secret() {
    let user = User::integration(USER)
        .password(PASSWORD)
        .token(SECURITY_TOKEN);
    let sato = Record::person("Sato").phone("03-1234-5678");
    let played = Played::start(Org::enterprise("acme").user(user).contact(sato)).await;
    let mut bed = Bed::start(&played.url()).await;
    bed.settings["run"] = json!("acme-sync-1");
    bed.calls_from(0, &["0312345678", "0399999999"]).await;
    let ca = bed.folder().join("ca.pem");
    std::fs::write(&ca, played.ca_pem()).unwrap();
    let file = |name: &str| bed.folder().join(name).display().to_string();
    let line = [
        "worker".to_owned(),
        "sync".to_owned(),
        format!("--settings={}", bed.settings),
        format!("--credentials-dir={}", file("")),
        format!("--directory-token-file={}", file("token")),
        format!("--ca-bundle={}", file("ca.pem")),
        format!("--termination-log={}", file("termination-log")),
    ];
    let args = Command::try_parse_from(line).unwrap().args;

    let log = Log::start("off,switchboard=trace");
    crate::worker::run(args, crate::shutdown::Shutdown::new()).await;

    let the_line = |message: &str| -> Value {
        let [line] = log
            .saying(message)
            .try_into()
            .unwrap_or_else(|_| panic!("{message}: {}", log.text()));
        line
    };
    let requests = log.saying("Salesforce answered");
    assert_eq!(requests.len(), 2, "a log-in and a composite: {requests:?}");
    let [begins, over] = ["the run begins", "the run is over"].map(the_line);
    for line in requests
        .iter()
        .chain([&begins, &over, &the_line("numbers looked up")])
    {
        let of = (&line["span"], &line["company"], &line["kind"], &line["run"]);
        assert_eq!(
            of,
            (
                &json!("run"),
                &json!("acme"),
                &json!("Sync"),
                &json!("acme-sync-1")
            ),
            "{line}"
        );
    }
    let text = log.text();
    let token = std::fs::read_to_string(file("token")).unwrap();
    let signature = token.rsplit('.').next().unwrap();
    for secret in [
        PASSWORD,
        SECURITY_TOKEN,
        signature,
        "12345678",
        "99999999",
        "Sato",
    ] {
        assert!(!text.contains(secret), "the log holds {secret:?}: {text}");
    }
}
