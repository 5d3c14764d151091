//! Tests with a full disk.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use switchboard_testbed::wait_for;
use tempfile::TempDir;

use crate::bed::{Bed, call, contacts, numbers, webhook};
use crate::outages::kept;
use crate::replica::Replica;

/// Calls in one delivery, which need about 40 kB in the database.
const BATCH: usize = 100;

/// A small private disk, which ends with the process. It needs no privilege where users may create
/// namespaces. The removal of the ballast frees space.
const SMALL_DISK: &str = r#"mount -t tmpfs -o size=4m,mode=700 none "$1" || exit 1
head -c 1m /dev/zero > "$1/ballast"; shift; exec "$@""#;

/// Limits files to 1 MiB (in blocks of 512 bytes). A write beyond it fails as on a full disk.
const SMALL_FILES: &str = r#"shift; trap '' XFSZ; ulimit -S -f 2048; exec "$@""#;

fn wrapper(before: &[&str], script: &str, disk: &Path) -> Vec<OsString> {
    let shell = ["sh", "-c", script, "sh"];
    let words = before.iter().chain(&shell).map(OsString::from);
    words.chain([disk.as_os_str().to_owned()]).collect()
}

async fn a_full_disk_is_a_503(disk: &Path, wrapper: Vec<OsString>, make_room: impl FnOnce(u32)) {
    let database = format!("sqlite:{}", disk.join("directory.db").display());
    let replica = Replica::start_in(wrapper, &database).await;
    let numbers = numbers(50_000);
    let bed = Bed::on(&replica, contacts(&numbers[..2]), 0).await;
    let delivery = |batch: usize| {
        let at = |n: usize| batch * BATCH + n;
        let calls: Vec<Value> = (0..BATCH).map(|n| call(at(n), &numbers[at(n)])).collect();
        webhook(&calls)
    };
    let mut full = 0;
    while kept(&replica.deliver(&delivery(full)).await.unwrap()) {
        full += 1;
    }
    println!("full after {full} deliveries of {BATCH} calls");
    assert!(full > 0);
    for _ in 0..3 {
        assert!(!kept(&replica.deliver(&delivery(full)).await.unwrap()));
    }
    assert_eq!(
        bed.history().await.len(),
        full * BATCH,
        "what is there is still read"
    );
    assert_eq!(replica.status("/healthz").await, Some(200));

    make_room(replica.pid());
    let taken = "the directory to go on by itself when there is room";
    wait_for(taken, Duration::from_secs(30), async || {
        kept(&replica.deliver(&delivery(full)).await.unwrap()).then_some(())
    })
    .await;
    assert_eq!(bed.history().await.len(), (full + 1) * BATCH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_is_a_503_until_there_is_room() {
    let disk = TempDir::new().unwrap();
    let own_disk = ["unshare", "--map-root-user", "--mount"];
    let mut possible = Command::new(own_disk[0]);
    possible.args(&own_disk[1..]);
    possible.args(["sh", "-c", SMALL_DISK, "sh"]);
    possible.arg(disk.path()).arg("true");
    if !possible.status().is_ok_and(|status| status.success()) {
        println!("skipped: this system lets nobody mount a disk of his own");
        return;
    }
    let ballast = disk.path().join("ballast");
    a_full_disk_is_a_503(
        disk.path(),
        wrapper(&own_disk, SMALL_DISK, disk.path()),
        // This is the process's view of the path, because only the process has the disk mounted.
        |pid| std::fs::remove_file(format!("/proc/{pid}/root{}", ballast.display())).unwrap(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_grow_is_a_503_until_it_may() {
    let disk = TempDir::new().unwrap();
    let wrapper = wrapper(&[], SMALL_FILES, disk.path());
    a_full_disk_is_a_503(disk.path(), wrapper, |pid| {
        let mut prlimit = Command::new("prlimit");
        prlimit.args([&format!("--pid={pid}"), "--fsize=unlimited:"]);
        assert!(prlimit.status().unwrap().success());
    })
    .await;
}
