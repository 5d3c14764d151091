//! The program under test: starts it, sends it signals, and collects its output.

use std::ffi::OsString;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use salesforce_simulator::{Org, Simulator, User, World};
use tempfile::TempDir;

/// The longest wait for something that should come within seconds, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// Part of every secret: no output may show it.
pub(crate) const MARKER: &str = "marker-of-a-secret";
pub(crate) const USER: &str = "integration@acme.example";
/// 32 bytes of `a`.
pub(crate) const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";

/// The exit code and the output of a program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A running program. It is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    out: JoinHandle<String>,
    err: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// The program with this command line, split at spaces, and an empty environment.
pub(crate) fn switchboard(line: &str) -> Command {
    within(&[], line)
}

/// The same program, started by a wrapper program.
pub(crate) fn within(wrapper: &[OsString], line: &str) -> Command {
    let program = OsString::from(env!("CARGO_BIN_EXE_switchboard"));
    let mut words = wrapper.iter().cloned().chain([program]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(line.split_whitespace())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

pub(crate) fn start(command: &mut Command) -> Running {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let out = child.stdout.take();
    let mut stderr = child.stderr.take().unwrap();
    let err = Arc::new(Mutex::new(String::new()));
    let said = Arc::clone(&err);
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut bytes) {
            said.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    });
    Running {
        child,
        out: std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut out) = out {
                out.read_to_string(&mut text).unwrap();
            }
            text
        }),
        err,
        reader: Some(reader),
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    start(command.stdin(Stdio::null()).stdout(Stdio::piped())).ended()
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal. A program that has already ended receives none.
    pub(crate) fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.args(["-s", signal, &self.pid().to_string()]);
        kill.stderr(Stdio::null()).status().unwrap();
    }

    /// Waits until SIGTERM and SIGINT have handlers, so that a signal no longer ends the program by
    /// itself.
    pub(crate) fn waits_for_signals(&self) {
        const BOTH: u64 = 1 << 14 | 1 << 1;
        let end = Instant::now() + SOON;
        loop {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = u64::from_str_radix(caught.unwrap_or("0").trim(), 16).unwrap();
            if caught & BOTH == BOTH {
                return;
            }
            assert!(Instant::now() < end, "it never waits for signals: {status}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the program has written this text to standard error.
    pub(crate) fn says(&mut self, text: &str) {
        let end = Instant::now() + SOON;
        while !self.err.lock().unwrap().contains(text) {
            let err = || self.err.lock().unwrap().clone();
            assert!(Instant::now() < end, "it never says {text:?}: {}", err());
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}: {}", err());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the program listens, and returns where: with port 0 the system chooses one that
    /// nobody else has.
    pub(crate) fn listens(&mut self, text: &str) -> String {
        self.says(text);
        self.says("\"address\":\"");
        let err = self.err.lock().unwrap().clone();
        let address = err.split("\"address\":\"").nth(1).unwrap();
        address.split('"').next().unwrap().to_owned()
    }

    /// Waits until the program ends by itself.
    pub(crate) fn ended(mut self) -> Ended {
        let end = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let err = || self.err.lock().unwrap().clone();
            assert!(Instant::now() < end, "it does not end: {}", err());
            std::thread::sleep(Duration::from_millis(5));
        };
        self.reader.take().unwrap().join().unwrap();
        let out = std::mem::replace(&mut self.out, std::thread::spawn(String::new));
        let ended = Ended {
            code: status.code(),
            out: out.join().unwrap(),
            err: self.err.lock().unwrap().clone(),
        };
        assert!(!ended.err.contains(MARKER), "{}", ended.err);
        assert!(!ended.out.contains(MARKER), "{}", ended.out);
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The program has already ended when the test succeeds.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Asserts the exit code, and that the output contains all parts.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            let said = self.err.contains(part) || self.out.contains(part);
            assert!(said, "{part:?} is not in {self:?}");
        }
    }

    /// Asserts the same for one sentence that begins with `switchboard ROLE:`.
    #[track_caller]
    pub(crate) fn tells(&self, code: i32, role: &str, parts: &[&str]) {
        self.says(code, &[]);
        let start = format!("switchboard {role}: ");
        let told: Vec<&str> = self
            .err
            .lines()
            .filter(|line| line.starts_with(&start))
            .collect();
        let [sentence] = told[..] else {
            panic!("not one sentence of {role}: {self:?}");
        };
        for part in parts {
            assert!(sentence.contains(part), "{part:?} is not in {sentence}");
            assert_eq!(
                sentence.matches(part).count(),
                1,
                "{part:?} is told twice in {sentence}"
            );
        }
    }
}

/// A directory with files for a test.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file. Returns its path for a command line.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The path of a file that does not exist.
    pub(crate) fn missing(&self) -> String {
        self.path("missing").display().to_string()
    }

    /// A kubeconfig for an API server at this address.
    pub(crate) fn kubeconfig(&self, server: &str) -> String {
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: c,
              contexts: [{{name: c, context: {{cluster: c, user: u, namespace: acme}}}}],
              clusters: [{{name: c, cluster: {{server: \"{server}\"}}}}],
              users: [{{name: u, user: {{token: {MARKER}}}}}]}}"
        );
        self.write("kubeconfig", &text)
    }

    /// A kubeconfig with a syntax error at its token.
    pub(crate) fn broken_kubeconfig(&self) -> String {
        let text = format!("apiVersion: v1\nkind: Config\nusers: [{{token: {MARKER}\n");
        self.write("broken-kubeconfig", &text)
    }
}

/// A port without a listener.
pub(crate) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A port that is taken while the listener lives. The kernel accepts client connections, and
/// nothing answers them.
pub(crate) fn silent_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A server with a certificate of an unknown authority.
pub(crate) async fn unknown_authority() -> Simulator {
    let org = Org::enterprise("acme").user(User::integration(USER).password(MARKER));
    Simulator::start(World::new().org(org)).await.unwrap()
}
