//! The query languages as functions of bytes: for the fuzzer (tests/fuzz), and for the plain test
//! that runs its corpora.

use std::sync::OnceLock;

use jiff::Timestamp;

use crate::org::access::Access;
use crate::org::{Org, Record, User, World};
use crate::soql::{Scope, prepare, project};
use crate::sosl;
use crate::switches::Switches;

fn org() -> Option<&'static Org> {
    static ORG: OnceLock<Option<Org>> = OnceLock::new();
    ORG.get_or_init(|| {
        let acme = Org::enterprise("Acme")
            .user(User::integration("i@acme"))
            .account(Record::account("Acme KK").phone("03-1234-5678"))
            .contact(Record::person("O'Neil").phone("(03)1111-2222"))
            .contact(Record::person("Sato").of_account("Acme KK"))
            .lead(Record::person("Abe").set("Company", "Gamma"));
        let mut world = World::new().org(acme);
        world.prepare(Timestamp::UNIX_EPOCH).ok()?;
        world.orgs.pop()
    })
    .as_ref()
}

/// A statement, with rows and their JSON.
pub fn soql(data: &[u8]) {
    let Some(org) = org() else {
        unreachable!("the org above is a right one")
    };
    let Some(user) = org.user_named("i@acme") else {
        unreachable!("the org above has this user")
    };
    let switches = Switches::default();
    let access = Access::of(org, user, &switches);
    let scope = Scope {
        org,
        access: &access,
        switches: &switches,
        now: Timestamp::UNIX_EPOCH,
        all: false,
    };
    let text = String::from_utf8_lossy(data);
    if let Ok(plan) = prepare(&text, &scope)
        && let project::Answer::Rows(rows) = project::run(&plan, &scope)
    {
        project::records(&plan, &rows, &scope, "50.0");
    }
}

/// A search statement.
pub fn sosl(data: &[u8]) {
    let _ = sosl::parse(&String::from_utf8_lossy(data));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_input_of_the_corpora_is_read_without_a_panic() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, run) in [
            ("soql", super::soql as fn(&[u8])),
            ("sosl", super::sosl as fn(&[u8])),
        ] {
            let mut inputs = 0;
            for entry in std::fs::read_dir(folder.join(name)).unwrap() {
                let path = entry.unwrap().path();
                let input = std::fs::read(&path).unwrap();
                let read = std::panic::catch_unwind(|| run(&input));
                assert!(read.is_ok(), "{} panics: see above", path.display());
                inputs += 1;
            }
            assert!(inputs > 0, "{name} has no corpus");
        }
    }
}
