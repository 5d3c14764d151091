use std::time::Duration;

use switchboard_testbed::{Process, Signal, Stream};

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> switchboard_testbed::ProcessBuilder {
    Process::builder("shell", "/bin/sh").arg("-c").arg(script)
}

#[tokio::test]
async fn output_is_searchable_while_the_program_runs() {
    let process = shell("echo port $PORT; echo oh no >&2; read -r _; exec sleep 60")
        .env("PORT", 42)
        .start()
        .await
        .unwrap();
    let port = process
        .wait_for_line("its port", SOON, |line| {
            line.strip_prefix("port ")?.parse::<u16>().ok()
        })
        .await;
    assert_eq!(port.unwrap(), 42);
    process.wait_for_text("oh no", SOON).await.unwrap();
    assert!(
        process
            .lines()
            .iter()
            .any(|line| line.stream == Stream::Stderr && line.text == "oh no")
    );
    let missed = process
        .wait_for_text("never", Duration::from_millis(50))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        missed.contains("shell: a line with \"never\"") && missed.contains("oh no"),
        "{missed}"
    );
}

#[tokio::test]
async fn an_early_end_is_told_at_once() {
    let process = shell("echo cannot; exit 3").start().await.unwrap();
    let error = process
        .wait_for_text("ready", Duration::from_secs(3600))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ended with Some(3)") && error.contains("cannot"),
        "{error}"
    );
    assert_eq!(process.wait(SOON).await.unwrap(), 3);
    assert!(process.usage().is_none());
}

#[tokio::test]
async fn signals_reach_the_program() {
    let process = shell("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done")
        .start()
        .await
        .unwrap();
    process.wait_for_text("up", SOON).await.unwrap();
    assert_eq!(process.terminate(SOON).await.unwrap(), 7);
    assert!(process.text().ends_with("bye\n"));

    let process = shell("exec sleep 60").start().await.unwrap();
    process.signal(Signal::SIGKILL).unwrap();
    assert_eq!(process.wait(SOON).await.unwrap(), 137);
}

#[tokio::test]
async fn what_it_uses_is_measured_and_its_end_is_ours() {
    let process =
        shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; while :; do sleep 0.05; done")
            .start()
            .await
            .unwrap();
    process.wait_for_text("done", SOON).await.unwrap();
    let usage = process.usage().unwrap();
    assert!(
        usage.cpu_seconds > 0.0 && usage.peak_rss >= usage.rss && usage.rss > 100_000,
        "{usage:?}"
    );
    let path = format!("/proc/{}", process.pid());
    assert!(std::fs::exists(&path).unwrap());
    drop(process);
    assert!(!std::fs::exists(&path).unwrap());
}
