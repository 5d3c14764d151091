//! `switchboard why`, as a person runs it.

use secrecy::ExposeSecret as _;
use switchboard::directory::Purpose;

use crate::bed::{Bed, token};

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_what_the_page_shows() {
    let bed = Bed::start().await;
    bed.day().await;
    let run = |what: &str, with: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .args(["why", "--directory-url", &bed.url(""), what])
            .env("SWITCHBOARD_DIRECTORY_TOKEN", with)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let lookup = token(Purpose::Lookup).expose_secret().to_owned();
    for what in ["06-6345-6789", "d4"] {
        let (code, out, err) = run(what, &lookup);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{what}");
        assert!(
            out.starts_with("Salesforce was asked and does not know the number\n"),
            "{out}"
        );
        assert!(
            out.contains("by the run       acme-tokyo-29384123"),
            "{out}"
        );
    }
    let (code, out, _) = run("d3", &lookup);
    assert_eq!(
        (code, out.lines().next()),
        (Some(0), Some("The caller withheld the number"))
    );
    let (code, _, err) = run("no-such-thing", &lookup);
    assert!(
        code == Some(5) && err.contains("not-a-phone-number"),
        "{err}"
    );
    let (code, _, err) = run("d3", token(Purpose::Ingest).expose_secret());
    assert!(code == Some(5) && err.contains("wrong-purpose"), "{err}");
    assert!(!err.contains(token(Purpose::Ingest).expose_secret()));
}
