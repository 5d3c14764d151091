//! A program under test: its output by line, signals, exit code, memory and processor time.
//!
//! It runs under `cluster supervise`, so it ends when this value is dropped and also when the test
//! program is killed. It uses threads and no Tokio runtime, so several tests may share it.

use std::fmt::{self, Display};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{SysconfVar, sysconf};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::{Context, Error, Result};
use crate::program::cluster_binary;
use crate::{TimedOut, try_wait_for};

/// Time limit for the kill of a dropped program.
const KILL: Duration = Duration::from_secs(5);

/// A program that has been started.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    stdin: Mutex<Option<ChildStdin>>,
    output: Arc<Mutex<Vec<Line>>>,
    /// Changes with each line of output, and at the exit.
    state: watch::Receiver<Progress>,
}

/// A line of output of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The stream of the line.
    pub stream: Stream,
    /// The text without its line break.
    pub text: String,
}

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The resources that a program has used so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Peak of the memory in use, in bytes.
    pub peak_rss: u64,
    /// Memory in use at the moment, in bytes.
    pub rss: u64,
    /// Processor time, user and system, in seconds.
    pub cpu_seconds: f64,
}

/// The description of a program to start.
#[derive(Debug)]
pub struct ProcessBuilder {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    lines: usize,
    exit: Option<i32>,
}

// === impl ProcessBuilder ===

impl ProcessBuilder {
    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Display) -> Self {
        self.args.push(arg.to_string());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Display>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.to_string()));
        self
    }

    /// Sets an environment variable. The program inherits only `PATH`, `RUST_BACKTRACE`,
    /// `LLVM_PROFILE_FILE` and `PLANTED`, which names a bug (tests/planted).
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Display) -> Self {
        self.environment.push((name.into(), value.to_string()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Starts the program under supervision.
    pub async fn start(self) -> Result<Process> {
        let mut command = Command::new(cluster_binary().await?);
        command
            .args(["supervise", "--"])
            .arg(&self.program)
            .args(&self.args)
            .env_clear();
        for kept in ["PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE", "PLANTED"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command.envs(self.environment);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut supervisor = command.spawn().context(|| format!("start {}", self.name))?;
        let (progress, state) = watch::channel(Progress::default());
        let output = Arc::new(Mutex::new(Vec::new()));
        let stdin = Mutex::new(supervisor.stdin.take());
        let supervisor_pid = supervisor.id();
        let streams: [(Stream, Option<Box<dyn Read + Send>>); 2] = [
            (
                Stream::Stdout,
                supervisor.stdout.take().map(|pipe| Box::new(pipe) as _),
            ),
            (
                Stream::Stderr,
                supervisor.stderr.take().map(|pipe| Box::new(pipe) as _),
            ),
        ];
        let readers: Vec<_> = streams
            .into_iter()
            .filter_map(|(stream, pipe)| Some((stream, pipe?)))
            .map(|(stream, pipe)| {
                let (output, progress) = (Arc::clone(&output), progress.clone());
                thread::spawn(move || collect(stream, pipe, &output, &progress))
            })
            .collect();
        thread::spawn(move || finish(supervisor, readers, &progress));
        // From here on, the drop of this value cleans up.
        let mut process = Process {
            name: self.name,
            pid: 0,
            stdin,
            output,
            state,
        };
        let deadline = Duration::from_secs(10);
        process.pid = try_wait_for(
            format!("{} to be started", process.name),
            deadline,
            || async {
                match process.exit_code() {
                    Some(_) => Ok(0),
                    None => child_of(supervisor_pid).ok_or("no process yet"),
                }
            },
        )
        .await?;
        Ok(process)
    }
}

/// Reads lines to the end of the stream.
fn collect(
    stream: Stream,
    pipe: Box<dyn Read + Send>,
    output: &Mutex<Vec<Line>>,
    progress: &watch::Sender<Progress>,
) {
    let mut pipe = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while pipe
        .read_until(b'\n', &mut bytes)
        .is_ok_and(|read| read > 0)
    {
        let text = String::from_utf8_lossy(&bytes)
            .trim_end_matches(['\n', '\r'])
            .to_owned();
        output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Line { stream, text });
        progress.send_modify(|progress| progress.lines += 1);
        bytes.clear();
    }
}

/// Publishes the exit after all output has been read.
fn finish(
    mut supervisor: Child,
    readers: Vec<thread::JoinHandle<()>>,
    progress: &watch::Sender<Progress>,
) {
    let status = supervisor.wait();
    for reader in readers {
        let _ = reader.join();
    }
    let code = status.ok().and_then(|status| status.code()).unwrap_or(137);
    progress.send_modify(|progress| progress.exit = Some(code));
}

/// The program that a supervisor has started. Before it, Go's runtime makes a child for a moment to
/// see what the kernel can do, which has the supervisor's own command line.
fn child_of(pid: u32) -> Option<u32> {
    let own = command_line(pid)?;
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let lists = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = lists
        .flat_map(|list| {
            let pids = list.split_whitespace().flat_map(str::parse);
            pids.collect::<Vec<u32>>()
        })
        .collect();
    let is_the_program = |child: &u32| command_line(*child).is_some_and(|line| line != own);
    children.into_iter().find(is_the_program)
}

/// The command line of a process that runs.
fn command_line(pid: u32) -> Option<Vec<u8>> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    (!line.is_empty()).then_some(line)
}

// === impl Process ===

impl Process {
    /// Starts the description of a program. Messages show the name.
    pub fn builder(name: impl Into<String>, program: impl Into<PathBuf>) -> ProcessBuilder {
        ProcessBuilder {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            environment: Vec::new(),
            dir: None,
        }
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// All lines of output so far.
    pub fn lines(&self) -> Vec<Line> {
        self.output().clone()
    }

    /// All output so far, both streams in order of arrival.
    pub fn text(&self) -> String {
        self.output()
            .iter()
            .map(|line| format!("{}\n", line.text))
            .collect()
    }

    fn output(&self) -> MutexGuard<'_, Vec<Line>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `find` returns a value for a line, including the lines so far. Fails early if
    /// the program ends.
    pub async fn wait_for_line<T>(
        &self,
        description: impl Display,
        deadline: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let mut state = self.state.clone();
        let mut seen = 0;
        let search = async {
            loop {
                let ended = state.borrow_and_update().exit.is_some();
                let found = {
                    let lines = self.output();
                    let found = lines[seen..].iter().find_map(|line| find(&line.text));
                    seen = lines.len();
                    found
                };
                if found.is_some() || ended || state.changed().await.is_err() {
                    return found;
                }
            }
        };
        match timeout(deadline, search).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(self.in_vain(
                format!("{description}, and it ended with {:?}", self.exit_code()),
                deadline,
            )),
            Err(_) => Err(self.in_vain(description, deadline)),
        }
    }

    /// Waits for a line that contains the text, and returns the line.
    pub async fn wait_for_text(&self, text: &str, deadline: Duration) -> Result<String> {
        let find = |line: &str| line.contains(text).then(|| line.to_owned());
        self.wait_for_line(format_args!("a line with {text:?}"), deadline, find)
            .await
    }

    /// The exit code if the program has ended: its own, or 128 + N when signal N ended it.
    pub fn exit_code(&self) -> Option<i32> {
        self.state.borrow().exit
    }

    /// Whether the program is running.
    pub fn is_running(&self) -> bool {
        self.exit_code().is_none()
    }

    /// Waits for the end of the program; all its output has been read then.
    pub async fn wait(&self, deadline: Duration) -> Result<i32> {
        let mut state = self.state.clone();
        let end = async {
            state
                .wait_for(|progress| progress.exit.is_some())
                .await
                .ok()
                .and_then(|progress| progress.exit)
        };
        match timeout(deadline, end).await {
            Ok(Some(code)) => Ok(code),
            _ => Err(self.in_vain("its end", deadline)),
        }
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        match stdin.as_mut() {
            Some(stdin) => writeln!(stdin, "signal {}", signal as i32)
                .context(|| format!("send {signal} to {}", self.name)),
            None => Err(Error::Unsupported(format!("{} has been killed", self.name))),
        }
    }

    /// Sends SIGTERM, waits and returns the exit code. On timeout, it kills the program and fails.
    pub async fn terminate(&self, deadline: Duration) -> Result<i32> {
        if let Some(code) = self.exit_code() {
            return Ok(code);
        }
        self.signal(Signal::SIGTERM)?;
        let ended = self.wait(deadline).await;
        if ended.is_err() {
            self.kill().await?;
        }
        ended
    }

    /// Kills the program and all its children at once, and waits until they are gone.
    pub async fn kill(&self) -> Result<()> {
        self.cut_lifeline();
        self.wait(KILL).await.map(drop)
    }

    /// Memory and processor time so far; `None` after the end of the program.
    pub fn usage(&self) -> Option<Usage> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let kilobytes = |field: &str| -> Option<u64> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        // The second field, the program's name, may contain any text, so the fields are counted
        // from its closing parenthesis.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let ticks: f64 =
            fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        let per_second = i32::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
        Some(Usage {
            peak_rss: kilobytes("VmHWM")? * 1024,
            rss: kilobytes("VmRSS")? * 1024,
            cpu_seconds: ticks / f64::from(per_second),
        })
    }

    fn cut_lifeline(&self) {
        drop(
            self.stdin
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    fn in_vain(&self, description: impl Display, deadline: Duration) -> Error {
        let lines = self.lines();
        let end: String = lines[lines.len().saturating_sub(50)..]
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        TimedOut {
            description: format!("{}: {description}", self.name),
            deadline,
            last: format!("its output\n{end}"),
        }
        .into()
    }
}

/// Ends the program. Where a test has failed, its output stands next to the reason.
impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- {} ---\n{}", self.name, self.text());
        }
        self.cut_lifeline();
        // This usually takes milliseconds. It does not use Tokio, because the drop may be on any
        // thread.
        let end = std::time::Instant::now() + KILL;
        while self.is_running() && std::time::Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
