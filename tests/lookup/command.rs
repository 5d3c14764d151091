//! Tests of `switchboard lookup` as a program: its output, its cost, its exit code.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use salesforce_simulator::{Fault, Record, Simulator, World};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{PASSWORD, USER, acme};

struct Laptop {
    salesforce: Simulator,
    folder: TempDir,
}

impl Laptop {
    async fn new() -> Self {
        let org = acme()
            .account(Record::account("株式会社 海").phone("03-5555-0001"))
            .contact(
                Record::person("Sato")
                    .first("Hanako")
                    .of_account("株式会社 海")
                    .phone("(03) 1234-5678"),
            )
            .lead(
                Record::person("Later")
                    .set("Company", "Umi")
                    .phone("+81312345678"),
            );
        let salesforce = Simulator::start(World::new().org(org)).await.unwrap();
        let laptop = Self {
            salesforce,
            folder: TempDir::new().unwrap(),
        };
        laptop.write("ca.pem", laptop.salesforce.ca_pem());
        let manifest = json!({
            "apiVersion": "switchboard.dev/v1alpha1", "kind": "SalesforceIntegration",
            "metadata": {"name": "acme", "namespace": "acme"},
            "spec": {
                "companyId": "acme",
                "salesforce": {
                    "environment": "Production", "loginUrl": laptop.salesforce.url(), "apiVersion": "50.0",
                    "auth": {"password": {"username": USER, "secretRef": {"name": "acme-salesforce"}}},
                },
                "contacts": {"retrieval": "Daily", "timeZone": "Asia/Tokyo", "region": "JP"},
            },
        });
        laptop.write("acme.yaml", &manifest.to_string());
        laptop.secret(PASSWORD);
        laptop
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn secret(&self, password: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "acme-salesforce"},
            "stringData": {"password": password},
        });
        self.write("secret.yaml", &secret.to_string());
    }

    fn run(&self, input: &str, flags: &[&str]) -> (i32, String, String) {
        let path = |name: &str| self.folder.path().join(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .arg("lookup")
            .arg("-f")
            .arg(path("acme.yaml"))
            .arg("--ca-bundle")
            .arg(path("ca.pem"))
            .args(["--salesforce-hosts=localhost", "--allow-private-networks"])
            .args(flags)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(stdout), text(stderr));
        assert!(!out.contains(PASSWORD) && !err.contains(PASSWORD));
        (status.code().unwrap(), out, err)
    }
}

const SECRET: [&str; 2] = ["--secret-file", "secret.yaml"];

#[tokio::test(flavor = "multi_thread")]
async fn numbers_from_a_list_become_names_by_one_call() {
    let laptop = Laptop::new().await;
    let flags = [&SECRET[..], &["--numbers", "-", "-o", "json"]].concat();
    let list = "0312345678\n\n０３－５５５５－０００１\n110\n0399999999\n+81 3-1234-5678\n";
    let (code, out, err) = laptop.run(list, &flags);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 6);
    let found = &lines[0]["match"];
    assert_eq!(
        (&found["object"], &found["company"], &found["person"]),
        (
            &json!("Contact"),
            &json!("株式会社 海"),
            &json!("Hanako Sato")
        )
    );
    let (link, id) = (
        found["link"].as_str().unwrap(),
        found["id"].as_str().unwrap(),
    );
    assert!(
        link.starts_with(&laptop.salesforce.url()) && link.ends_with(id),
        "{link}"
    );
    assert_eq!(lines[1]["match"]["object"], "Account");
    assert_eq!(
        (&lines[2]["e164"], &lines[2]["reason"]),
        (&Value::Null, &json!("Emergency"))
    );
    assert_eq!(
        (&lines[3]["match"], &lines[3]["reason"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        &lines[4]["match"], found,
        "a number twice is asked for once"
    );
    let summary = &lines[5]["summary"];
    let counts = ["numbers", "asked", "matched", "apiCalls"].map(|key| summary[key].as_u64());
    // The second call: an org without person accounts refuses the field, once.
    assert_eq!(
        counts,
        [
            Some(5),
            Some(4),
            Some(3),
            Some(laptop.salesforce.counters().api_calls())
        ]
    );
    assert!(
        err.contains("4 of 5 numbers asked, 3 found, 1 API call in"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_names_spellings_records_and_the_rule() {
    let laptop = Laptop::new().await;
    let flags = [&SECRET[..], &["--explain", "03-1234-5678"]].concat();
    let (code, out, err) = laptop.run("", &flags);
    assert_eq!(code, 0, "{err}");
    for expected in [
        "Hanako Sato",
        "asked for +81312345678 | 03-1234-5678",
        "saw Contact",
        "saw Lead",
        "Contact before Account before Lead",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    let flags = [&SECRET[..], &["-o", "csv", "0355550001"]].concat();
    let (_, out, _) = laptop.run("", &flags);
    assert!(
        out.starts_with("number,e164,") && out.contains(",Account,001"),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_ends_with_2_and_what_salesforce_refuses_with_1() {
    let laptop = Laptop::new().await;
    let (code, _, err) = laptop.run("", &["0312345678"]);
    assert!(code == 2 && err.contains("--secret-file"), "{err}");
    let missing = [&SECRET[..], &["--numbers", "no-such-file"]].concat();
    let (code, _, err) = laptop.run("", &missing);
    assert!(code == 2 && err.contains("no-such-file"), "{err}");
    assert_eq!(laptop.run("", &SECRET).0, 2, "no number at all");
    let nothing = [&SECRET[..], &["110", "Anonymous"]].concat();
    let (code, out, _) = laptop.run("", &nothing);
    assert!(code == 0 && out.contains("emergency"), "{out}");
    assert_eq!(
        laptop.salesforce.counters().logins.len(),
        0,
        "nobody was asked"
    );

    laptop.secret("wrong");
    let one = [&SECRET[..], &["-o", "json", "0312345678"]].concat();
    let (code, out, err) = laptop.run("", &one);
    assert!(code == 1 && err.contains("switchboard lookup:"), "{err}");
    assert!(out.contains("\"reason\":\"Interrupted\""), "{out}");
    assert_eq!(laptop.salesforce.counters().logins.len(), 1);

    laptop.secret(PASSWORD);
    laptop
        .salesforce
        .fault(Fault::error("REQUEST_LIMIT_EXCEEDED").on_path("*/composite"));
    let (code, _, err) = laptop.run("", &one);
    assert!(code == 1 && err.contains("0 found"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_a_day_costs_with_each_way_to_names() {
    let laptop = Laptop::new().await;
    let before = laptop.salesforce.counters().api_calls();
    let (code, out, err) = laptop.run("", &[&SECRET[..], &["--plan"]].concat());
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("Records with a phone  3 (Contact 1, Account 1, Lead 1)"),
        "{out}"
    );
    let row = |calls: &str| -> Vec<u64> {
        let line = out
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{calls} ")));
        let cells = line.unwrap().split_whitespace();
        cells.map(|cell| cell.parse().unwrap()).collect()
    };
    assert!(
        row("10000")[1] > row("10000")[2],
        "calls cost nothing from an address book: {out}"
    );
    assert!(row("0")[1] <= row("0")[2], "{out}");
    assert!(
        laptop.salesforce.counters().api_calls() - before <= 4,
        "{err}"
    );
    let flags = [
        &SECRET[..],
        &["--plan", "--calls-a-day", "900", "-o", "json"],
    ]
    .concat();
    let (code, out, err) = laptop.run("", &flags);
    assert_eq!(code, 0, "{err}");
    let plan: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        plan["records"],
        json!({"Contact": 1, "Account": 1, "Lead": 1})
    );
    assert_eq!(
        (&plan["days"][0]["calls"], &plan["changes"]["count"]),
        (&json!(900), &json!(3))
    );
    assert!(plan["days"][0]["full"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_a_fill_counts_reads_and_writes_nothing() {
    let laptop = Laptop::new().await;
    for flags in [&["--fill-preview"][..], &["--fill-preview", "--all"]] {
        let (code, out, err) = laptop.run("", &[&SECRET[..], flags].concat());
        assert_eq!(code, 0, "{err}");
        for label in ["Records with a phone ", "With a number ", "Numbers "] {
            let line = out.lines().find(|line| line.starts_with(label)).unwrap();
            assert_eq!(
                line.trim_end_matches('3').trim_end(),
                label.trim_end(),
                "{out}"
            );
        }
        assert!(err.contains("nothing was written"), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_records_are_read_by_a_bulk_query() {
    let laptop = Laptop::new().await;
    laptop
        .salesforce
        .edit_org("acme", |org| {
            (0..8_001).try_for_each(|at| {
                let person = Record::person(&format!("Ito {at}"));
                let number = format!("090-1000-{at:04}");
                org.insert("Contact", person.phone(&number)).map(drop)
            })
        })
        .unwrap()
        .unwrap();
    let (code, out, err) = laptop.run("", &[&SECRET[..], &["--report", "-"]].concat());
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 1 + 2, "one number stands twice: {out}");
    assert!(
        err.starts_with("8004 records with 8004 phone texts; 0 texts"),
        "{err}"
    );
    let jobs = laptop.salesforce.requests();
    let jobs = jobs
        .iter()
        .filter(|request| request.path.contains("/jobs/query"));
    assert!(jobs.count() >= 4, "made, asked, read and deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_names_what_nobody_can_dial_and_what_stands_twice() {
    let laptop = Laptop::new().await;
    laptop
        .salesforce
        .edit_org("acme", |org| {
            org.insert("Contact", Record::person("Ito").phone("5678-901"))?;
            org.insert(
                "Contact",
                Record::person("=HYPERLINK(1)").phone("03-1234-5678 内線3"),
            )
        })
        .unwrap()
        .unwrap();
    let (code, out, err) = laptop.run("", &[&SECRET[..], &["--report", "report.csv"]].concat());
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    let file = laptop.folder.path().join("report.csv");
    let report = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = report.lines().collect();
    assert!(
        lines[1].starts_with("Undialable,,5678-901,9999-999,Invalid,,Contact,"),
        "{report}"
    );
    let twice = lines
        .iter()
        .filter(|line| line.starts_with("Duplicate,+81312345678,,,,3,"));
    assert_eq!(twice.count(), 3, "{report}");
    assert!(
        report.contains("'=HYPERLINK(1)") && report.contains(&laptop.salesforce.url()),
        "{report}"
    );
    assert!(
        err.contains("1 texts nobody can dial") && err.contains("1 of them on several records"),
        "{err}"
    );
    assert!(!laptop.folder.path().join("report.csv.part").exists());
    let (code, _, err) = laptop.run(
        "",
        &[&SECRET[..], &["--report", "no/such/report.csv"]].concat(),
    );
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("cannot be written"), "{err}");
}
