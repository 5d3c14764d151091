//! A full disk where a role writes.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use switchboard::directory::{Args, Claims, Purpose, Server, TokenKeys};
use tokio_util::sync::CancellationToken;

use crate::laptop::Laptop;
use crate::program::{Ended, Files, KEY, closed_port, run, start, switchboard, within};
use crate::selftest;
use crate::worker::Bed;

/// Mounts a separate disk without space for a database. It disappears with the process.
const FULL_DISK: &str = r#"mount -t tmpfs -o size=64k none "$1" || exit 1; shift; exec "$@""#;

/// Limits every file to 512 bytes, for a machine on which nobody may mount a disk.
const SMALL_FILES: &str = r#"shift; trap '' XFSZ; ulimit -S -f 1; exec "$@""#;

fn wrapper(before: &[&str], script: &str, disk: &Path) -> Vec<OsString> {
    let shell = ["sh", "-c", script, "sh"];
    let words = before.iter().chain(&shell).map(OsString::from);
    words.chain([disk.as_os_str().to_owned()]).collect()
}

fn directory_on(disk: &Path, wrapper: &[OsString]) -> Ended {
    let files = Files::new();
    let keys = files.write("keys", KEY);
    let database = disk.join("directory.db");
    run(&mut within(
        wrapper,
        &format!(
            "directory --listen=127.0.0.1:0 --token-keys={keys} --database=sqlite:{}",
            database.display()
        ),
    ))
}

#[test]
fn a_directory_on_a_full_disk() {
    let disk = Files::new();
    let own_disk = ["unshare", "--map-root-user", "--mount"];
    let wrapper = wrapper(&own_disk, FULL_DISK, disk.folder());
    let mut possible = Command::new(&wrapper[0]);
    let possible = possible.args(&wrapper[1..]).arg("true").status();
    if !possible.is_ok_and(|status| status.success()) {
        println!("skipped: this system lets nobody mount a disk of his own");
        return;
    }
    let ended = directory_on(disk.folder(), &wrapper);
    let parts = ["directory.db", "has room", "disk is full"];
    ended.tells(1, "directory", &parts);
}

#[test]
fn a_directory_whose_files_may_not_grow() {
    let disk = Files::new();
    let wrapper = wrapper(&[], SMALL_FILES, disk.folder());
    let ended = directory_on(disk.folder(), &wrapper);
    let parts = ["directory.db", "has room", "disk I/O error"];
    ended.tells(1, "directory", &parts);
}

#[test]
fn a_report_that_cannot_be_left() {
    let mut bed = Bed::new("http://directory");
    bed.settings = serde_json::Value::Null;
    let ended = run(&mut bed.command_reporting_to("/dev/full"));
    let parts = [
        "/dev/full",
        "check --termination-log, and that its disk has room",
        "No space left on device",
    ];
    ended.tells(2, "worker", &parts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_report_has_failed_though_it_did_its_work() {
    let folder = Files::new();
    let args = Args::new(
        "127.0.0.1:0".parse().unwrap(),
        format!("sqlite:{}", folder.path("directory.db").display()).into(),
        folder.write("keys", KEY).into(),
    );
    let stop = CancellationToken::new();
    let server = Server::bind(args, stop.clone()).await.unwrap();
    let bed = Bed::new(&format!("http://{}", server.address()));
    let server = tokio::spawn(server.run());
    let token = TokenKeys::parse(KEY).unwrap().mint(&Claims {
        company: "acme".parse().unwrap(),
        purpose: Purpose::Worker,
        region: switchboard::phone::Region::JAPAN,
        issued_at: jiff::Timestamp::UNIX_EPOCH,
        expires_at: None,
    });
    let token = secrecy::ExposeSecret::expose_secret(&token.unwrap()).to_owned();
    bed.files.write("token", &token);
    assert_eq!(run(&mut bed.command()).code, Some(0));
    let ended = run(&mut bed.command_reporting_to("/dev/full"));
    ended.tells(1, "worker", &["/dev/full", "No space left on device"]);
    stop.cancel();
    server.await.unwrap().unwrap();
}

#[test]
fn what_was_found_and_cannot_be_printed() {
    let laptop = Laptop::new("https://nowhere.invalid", "nowhere.invalid");
    let files = Files::new();
    let kubeconfig = files.kubeconfig(&format!("http://127.0.0.1:{}", closed_port()));
    let commands = [
        ("check", laptop.command("check", "")),
        ("lookup", laptop.asking("lookup", "", "110")),
        ("crds", switchboard("crds")),
        ("permission-set", switchboard("permission-set")),
        ("explain", switchboard("explain")),
        (
            "selftest",
            selftest::command(&kubeconfig, "http://127.0.0.1:1"),
        ),
    ];
    for (role, mut command) in commands {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = start(command.stdout(full)).ended();
        let parts = [
            "standard output cannot be written",
            "is the disk full",
            "No space left on device",
        ];
        ended.tells(1, role, &parts);
    }
}
