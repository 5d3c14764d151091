//! What `cluster supervise` does, for programs that must do without the `cluster` binary.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getppid};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The first argument by which a supervisor calls its own program again, to become the command.
const BOUND: &str = "--bound-to";

/// Runs `[--] COMMAND ARGS` so that it cannot outlive whoever started us, and returns the exit code
/// for us: see `tests/cluster/README.md`. The calling program must hand the arguments behind its
/// word `supervise` on to this function, and do nothing before.
pub fn supervise(args: &[String]) -> i32 {
    let outcome = match args {
        [bound, parent, command @ ..] if bound == BOUND => return become_bound(parent, command),
        [dashes, command @ ..] if dashes == "--" => watch_over(command),
        command => watch_over(command),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("supervise: {error}");
        126
    })
}

/// Dies with the supervisor, and is the command from now on: what the kernel was told outlasts
/// that.
fn become_bound(parent: &str, command: &[String]) -> i32 {
    let bound = prctl::set_pdeathsig(Signal::SIGKILL);
    // It may have died before the kernel was told.
    if bound.is_err() || getppid().to_string() != parent {
        return 126;
    }
    let [program, args @ ..] = command else {
        return 126;
    };
    let error = Program::new(program).args(args).exec();
    eprintln!("{program}: {error}");
    match error.kind() {
        std::io::ErrorKind::NotFound => 127,
        _ => 126,
    }
}

fn watch_over(command: &[String]) -> std::io::Result<i32> {
    // Whatever the command leaves behind becomes our child, wherever it has hidden.
    prctl::set_child_subreaper(true)?;
    // One thread: the kernel takes the end of the thread that started the command for the parent's.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(command))
}

async fn run(command: &[String]) -> std::io::Result<i32> {
    let mut passed_on = Vec::new();
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
        SignalKind::quit(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ] {
        passed_on.push((kind, signal(kind)?));
    }
    let mut child = Command::new(std::env::current_exe()?)
        .args(["supervise", BOUND, &std::process::id().to_string()])
        .args(command)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()?;
    let group = Pid::from_raw(child.id().unwrap_or_default().cast_signed());
    let (told, mut orders) = mpsc::unbounded_channel();
    // Not on a thread of the runtime's: that would be waited for at the end, and a read cannot be
    // given up.
    std::thread::spawn(move || {
        for order in std::io::stdin().lines().map_while(Result::ok) {
            let _ = told.send(order);
        }
    });
    let mut held = true;
    let status = loop {
        let any = futures::future::select_all(passed_on.iter_mut().map(|(kind, signal)| {
            Box::pin(async { (signal.recv().await, kind.as_raw_value()).1 })
        }));
        tokio::select! {
            status = child.wait() => break status?,
            (number, _, _) = any => send(group, number),
            order = orders.recv(), if held => match order {
                Some(order) => {
                    if let Some(number) = order.strip_prefix("signal ").and_then(|number| number.trim().parse().ok()) {
                        send(group, number);
                    }
                }
                None => {
                    held = false;
                    let _ = killpg(group, Signal::SIGKILL);
                }
            },
        }
    };
    kill_descendants(group).await;
    Ok(status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
}

fn send(process: Pid, number: i32) {
    if let Ok(signal) = Signal::try_from(number) {
        let _ = kill(process, signal);
    }
}

/// Ends what the command has started and left, as when the first process of a container ends: its
/// group first, then whoever left the group. It returns when they are gone.
async fn kill_descendants(group: Pid) {
    let _ = killpg(group, Signal::SIGKILL);
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {
                let tasks = std::fs::read_dir("/proc/self/task");
                for task in tasks.into_iter().flatten().flatten() {
                    let children =
                        std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
                    for pid in children.split_whitespace().flat_map(str::parse) {
                        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return, // none is left
        }
    }
}
