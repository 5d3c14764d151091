//! The processes of pods, as the kernel of the node sees them. This needs a node that is this
//! machine.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::Failure;

/// In a second, as Linux tells it to programs.
const TICKS: f64 = 100.0;

/// A process in a pod.
pub(crate) struct Inmate(PathBuf);

// === impl Inmate ===

impl Inmate {
    /// Finds the processes of `switchboard ROLE`.
    pub(crate) fn all(role: &str) -> Result<Vec<Self>, Failure> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let command = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            if command.starts_with(&format!("/usr/bin/switchboard\0{role}\0")) {
                found.push(Self(entry.path()));
            }
        }
        if found.is_empty() {
            Err(format!("no process of `switchboard {role}`").into())
        } else {
            Ok(found)
        }
    }

    /// The first value of a field in the process's status, such as `Uid`.
    pub(crate) fn status(&self, field: &str) -> Result<String, Failure> {
        let status = fs::read_to_string(self.0.join("status"))?;
        let value = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value
            .and_then(|value| value.split_whitespace().next())
            .map(str::to_owned)
            .ok_or_else(|| format!("no {field} in its status").into())
    }

    /// Its ID on the node.
    pub(crate) fn pid(&self) -> Result<u32, Failure> {
        let name = self.0.file_name().unwrap_or_default();
        Ok(name.to_string_lossy().parse()?)
    }

    /// The name of its pod.
    pub(crate) fn pod(&self) -> Result<String, Failure> {
        let name = fs::read_to_string(self.path("/etc/hostname"))?;
        Ok(name.trim().to_owned())
    }

    /// How many file descriptors it has open.
    pub(crate) fn open_files(&self) -> Result<usize, Failure> {
        Ok(fs::read_dir(self.0.join("fd"))?.count())
    }

    /// Seconds of the processor that it has used.
    pub(crate) fn processor_seconds(&self) -> Result<f64, Failure> {
        let stat = fs::read_to_string(self.0.join("stat"))?;
        // The second field is a name, which may have spaces.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
        Ok(ticks as f64 / TICKS)
    }

    /// The most memory that the container of the process ever held, in bytes, as its control group
    /// counts it.
    pub(crate) fn memory_peak(&self) -> Result<u64, Failure> {
        let groups = fs::read_to_string(self.0.join("cgroup"))?;
        let file = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, kinds, path) = (parts.next()?, parts.next()?, parts.next()?);
            match kinds {
                "" => Some(format!("/sys/fs/cgroup{path}/memory.peak")),
                "memory" => Some(format!(
                    "/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes"
                )),
                _ => None,
            }
            // Where both are mounted, only one counts memory.
            .filter(|file| Path::new(file).exists())
        });
        let file = file.ok_or("its control group does not count memory")?;
        Ok(fs::read_to_string(file)?.trim().parse()?)
    }

    /// Whether the path exists for the process.
    pub(crate) fn sees(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Fails unless even root cannot write to this folder of the process.
    pub(crate) fn cannot_write(&self, folder: &str) -> Result<(), Failure> {
        let file = self.path(folder).join("written-by-a-test");
        match fs::write(&file, "") {
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => Ok(()),
            Err(error) => Err(format!("{folder}: {error}").into()),
            Ok(()) => Err(format!("{folder} can be written to").into()),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0
            .join("root")
            .join(Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)))
    }
}
