//! The same rows, loaded by the database's own tool: from a file into a table without keys, and
//! from there by an upsert into those of the directory.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Outcome;

const COLUMNS: &str =
    "company, number, company_name, person_name, object, record_id, link, source, updated_at";

/// The upsert of the contacts and of what Salesforce was asked about their numbers. The true
/// condition tells SQLite that no join follows.
const UPSERT: &str = "
    insert into contacts (company, number, company_name, person_name, object, record_id, link, source, updated_at)
        select company, number, company_name, person_name, object, record_id, link, source, cast(updated_at as bigint)
        from loaded where true on conflict (company, number) do nothing;
    insert into questions (company, number, asked_at, misses, settings)
        select company, number, cast(updated_at as bigint), 0, '' from loaded where true
        on conflict (company, number) do update set asked_at = excluded.asked_at, misses = excluded.misses,
        settings = excluded.settings;
";

macro_rules! schema {
    ($kind:literal) => {
        [
            include_str!(concat!(
                "../../src/directory/migrations/",
                $kind,
                "/0001_calls_and_contacts.sql"
            )),
            include_str!(concat!(
                "../../src/directory/migrations/",
                $kind,
                "/0004_questions.sql"
            )),
            include_str!(concat!(
                "../../src/directory/migrations/",
                $kind,
                "/0007_follow.sql"
            )),
        ]
        .join("\n")
    };
}

/// The place of the n-th row: itself, or far from its neighbours.
pub(crate) fn place(n: u32, of: u32, in_order: bool) -> u32 {
    if in_order {
        return n;
    }
    (u64::from(n) * 7_919 % u64::from(of.max(1))) as u32
}

/// Writes the rows into a file.
pub(crate) fn write(path: &Path, rows: u32, in_order: bool) -> Outcome<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for n in 0..rows {
        let n = place(n, rows, in_order);
        let (number, company) = (super::number(n), n / 10);
        writeln!(
            file,
            "bench,{number},Company {company},Person {n},Contact,0035g{n:013},\
             https://bench.my.salesforce.com/0035g{n:013},Salesforce,1795000000000000"
        )?;
    }
    Ok(file.flush()?)
}

/// Loads the rows with `sqlite3`, with the settings of the directory.
pub(crate) fn sqlite(folder: &Path, rows: &Path) -> Outcome<Duration> {
    let database = folder.join("plain.db");
    let schema = schema!("sqlite");
    let set_up =
        format!("pragma journal_mode = wal;\n{schema}\ncreate table loaded ({COLUMNS});\n");
    run(Command::new("sqlite3").arg(&database), &set_up)?;
    let load = format!(
        "pragma synchronous = full;\npragma secure_delete = on;\n.mode csv\n.import {} loaded\n{UPSERT}",
        rows.display()
    );
    let began = Instant::now();
    run(Command::new("sqlite3").arg(&database), &load)?;
    let took = began.elapsed();
    std::fs::remove_file(&database)?;
    Ok(took)
}

/// Loads the rows with `psql`.
pub(crate) fn postgres(address: &str, _folder: &Path, rows: &Path) -> Outcome<Duration> {
    let psql = || {
        let mut psql = Command::new("psql");
        psql.args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", address]);
        psql
    };
    let columns: Vec<String> = COLUMNS
        .split(", ")
        .map(|name| format!("{name} text"))
        .collect();
    let schema = schema!("postgres");
    let set_up = format!("{schema}\ncreate table loaded ({});\n", columns.join(", "));
    run(&mut psql(), &set_up)?;
    let load = format!(
        "\\copy loaded from '{}' with (format csv)\n{UPSERT}",
        rows.display()
    );
    let began = Instant::now();
    run(&mut psql(), &load)?;
    Ok(began.elapsed())
}

/// How large a database is on the disk, if that can be told.
pub(crate) fn bytes(address: &str) -> Option<u64> {
    if let Some(path) = address.strip_prefix("sqlite:") {
        let journal = std::fs::metadata(format!("{path}-wal")).map_or(0, |file| file.len());
        return Some(std::fs::metadata(path).ok()?.len() + journal);
    }
    let sql = "select pg_database_size(current_database())";
    let told = Command::new("psql")
        .args(["-XAtc", sql, address])
        .output()
        .ok()?;
    String::from_utf8(told.stdout).ok()?.trim().parse().ok()
}

fn run(command: &mut Command, script: &str) -> Outcome<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("no input")?;
    stdin.write_all(script.as_bytes())?;
    drop(stdin);
    let ended = child.wait_with_output()?;
    if ended.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&ended.stderr).into_owned().into())
}
