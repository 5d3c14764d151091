//! Each change played: the unit tests that come by it, the quick ones first, until one fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::Error;
use crate::weave::Number;

/// What a test takes at most that is asked out of turn, and the first group of tests together.
const QUICK: Duration = Duration::from_millis(300);

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// A test failed.
    Noticed,
    /// The tests did not end in ten times what they took before.
    NeverEnded,
    /// All tests that come by it passed.
    NotNoticed,
    /// No test comes by it.
    NotReached,
}

impl Fate {
    /// Each of them.
    pub(crate) const ALL: [Self; 4] = [
        Self::Noticed,
        Self::NeverEnded,
        Self::NotNoticed,
        Self::NotReached,
    ];
}

/// A unit test, as it is without a change.
#[derive(Debug, Clone)]
struct Test {
    name: String,
    took: Duration,
}

/// The unit tests, and which changes each comes by.
#[derive(Debug)]
pub(crate) struct Tests {
    program: PathBuf,
    /// Where tests put their files.
    scratch: PathBuf,
    tests: Vec<Test>,
    /// By number of the change: indices of tests, the quickest first.
    by_change: HashMap<Number, Vec<usize>>,
}

impl Tests {
    /// Runs each test whose name begins with one of `rooms` alone, without a change. Those that
    /// take no longer than `at_most` are asked later.
    ///
    /// # Errors
    ///
    /// The program does not start, or a test fails.
    pub(crate) fn record(
        program: &Path,
        tree: &Path,
        scratch: &Path,
        rooms: &[String],
        jobs: usize,
        at_most: Duration,
    ) -> Result<Self, Error> {
        let listed = Command::new(program)
            .args(["--list", "--format", "terse"])
            .current_dir(tree)
            .output()
            .map_err(Error::Tests)?;
        let names: Vec<String> = String::from_utf8_lossy(&listed.stdout)
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .filter(|name| rooms.is_empty() || rooms.iter().any(|room| name.starts_with(room)))
            .map(str::to_owned)
            .collect();
        let recorded = Mutex::new(Vec::new());
        let failed = Mutex::new(BTreeSet::new());
        each(jobs, names.len(), |index| {
            let name = &names[index];
            let seen = scratch.join(format!("seen-{index}"));
            let begun = Instant::now();
            let mut command = command(program, tree, scratch, std::slice::from_ref(name));
            command.env("MUTANT", "record").env("MUTANTS_SEEN", &seen);
            let fate = run(command, Duration::from_secs(900));
            let took = begun.elapsed();
            let numbers: Vec<Number> = std::fs::read_to_string(&seen)
                .unwrap_or_default()
                .lines()
                .filter_map(|line| line.parse().ok())
                .collect();
            let _ = std::fs::remove_file(&seen);
            match fate {
                Some(Fate::NotNoticed) => recorded.lock().push((
                    Test {
                        name: name.clone(),
                        took,
                    },
                    numbers,
                )),
                _ => {
                    failed.lock().insert(name.clone());
                }
            }
        });
        let failed = failed.into_inner();
        if !failed.is_empty() {
            return Err(Error::FailsUnchanged(failed.into_iter().collect()));
        }
        let mut recorded = recorded.into_inner();
        let all = recorded.len();
        recorded.retain(|(test, _)| test.took <= at_most);
        println!("{} of {all} tests are asked", recorded.len());
        recorded
            .sort_by(|(one, _), (other, _)| (one.took, &one.name).cmp(&(other.took, &other.name)));
        let mut by_change: HashMap<Number, Vec<usize>> = HashMap::new();
        for (index, (_, numbers)) in recorded.iter().enumerate() {
            for number in numbers {
                by_change.entry(*number).or_default().push(index);
            }
        }
        Ok(Self {
            program: program.to_owned(),
            scratch: scratch.to_owned(),
            tests: recorded.into_iter().map(|(test, _)| test).collect(),
            by_change,
        })
    }

    /// Plays `changes`, each named with a word for what it is close to: the test that noticed one
    /// there is asked first.
    pub(crate) fn play(
        &self,
        tree: &Path,
        changes: &[(Number, String)],
        jobs: usize,
        heard: impl Fn(Number, Fate, Option<&str>) + Sync,
    ) -> BTreeMap<Number, Fate> {
        let fates = Mutex::new(BTreeMap::new());
        let noticed: Mutex<HashMap<&str, Vec<usize>>> = Mutex::new(HashMap::new());
        each(jobs, changes.len(), |index| {
            let (number, close_to) = &changes[index];
            let first = noticed
                .lock()
                .get(close_to.as_str())
                .cloned()
                .unwrap_or_default();
            let (fate, by) = self.fate(tree, *number, &first);
            if let Some(by) = by.filter(|by| self.tests[*by].took <= QUICK) {
                let mut noticed = noticed.lock();
                let tests = noticed.entry(close_to).or_default();
                tests.retain(|test| *test != by);
                tests.insert(0, by);
                tests.truncate(3);
            }
            heard(*number, fate, by.map(|by| self.tests[by].name.as_str()));
            fates.lock().insert(*number, fate);
        });
        fates.into_inner()
    }

    /// How `number` ends, and by which test where it is known.
    fn fate(&self, tree: &Path, number: Number, first: &[usize]) -> (Fate, Option<usize>) {
        let Some(tests) = self.by_change.get(&number) else {
            return (Fate::NotReached, None);
        };
        let (mut left, others): (Vec<usize>, Vec<usize>) =
            tests.iter().partition(|test| first.contains(test));
        left.sort_by_key(|test| first.iter().position(|other| other == test));
        left.extend(others);
        let mut left = left.as_slice();
        // All tests of a group run to their end, so the first groups are short, and none runs long
        // for one that fails at once.
        let mut at_most = QUICK;
        while !left.is_empty() {
            let mut together = Duration::ZERO;
            let fits = left.iter().position(|test| {
                together += self.tests[*test].took;
                together > at_most
            });
            let (now, later) = left.split_at(fits.unwrap_or(left.len()).max(1));
            at_most *= 2;
            left = later;
            let names: Vec<String> = now
                .iter()
                .map(|test| self.tests[*test].name.clone())
                .collect();
            let usual: Duration = now.iter().map(|test| self.tests[*test].took).sum();
            let mut command = command(&self.program, tree, &self.scratch, &names);
            command.env("MUTANT", number.to_string());
            let log = self.scratch.join(format!("said-{number}"));
            if let Ok(file) = std::fs::File::create(&log) {
                command.stdout(file);
            }
            let fate = run(command, usual * 10 + Duration::from_secs(10));
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let _ = std::fs::remove_file(&log);
            match fate {
                Some(Fate::NotNoticed) => {}
                // What was not asked has noticed nothing.
                None => return (Fate::NotNoticed, None),
                Some(Fate::NeverEnded) => return (Fate::NeverEnded, None),
                _ => {
                    let by = now.iter().copied().find(|test| {
                        let failed = format!("test {} ... FAILED", self.tests[*test].name);
                        said.lines().any(|line| line.starts_with(&failed))
                    });
                    return (Fate::Noticed, by);
                }
            }
        }
        (Fate::NotNoticed, None)
    }
}

/// Calls `work` with each index below `count`, in `jobs` threads.
fn each(jobs: usize, count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    work(index);
                }
            });
        }
    });
}

fn command(program: &Path, tree: &Path, scratch: &Path, tests: &[String]) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", "--test-threads", "2"])
        .args(tests)
        .current_dir(tree)
        .env("TMPDIR", scratch)
        // A group of its own, to end what a test has started.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// `None` where the program does not start.
fn run(mut command: Command, at_most: Duration) -> Option<Fate> {
    let mut child = command.spawn().ok()?;
    let until = Instant::now() + at_most;
    let mut pause = Duration::from_millis(2);
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Some(Fate::NotNoticed),
            Ok(Some(_)) => return Some(Fate::Noticed),
            Ok(None) if Instant::now() < until => std::thread::sleep(pause),
            _ => {
                end(&mut child);
                return Some(Fate::NeverEnded);
            }
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = nix::sys::signal::killpg(
            nix::unistd::Pid::from_raw(group),
            nix::sys::signal::Signal::SIGKILL,
        );
    }
    let _ = child.wait();
}
