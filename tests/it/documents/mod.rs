//! A reader runs the documents: every block of README, docs, the chart's README and NOTES, in order
//! and as it stands, with helm, kubectl, curl and the program in a real shell, on a control plane
//! of its own. The operator is what `helm install` of the README installed, run as processes;
//! Salesforce is played. Outputs are compared; `UPDATE_GENERATED=1` writes them. The pages of
//! docs/runbooks have a test of their own (`runbooks.rs`).

mod costs;
mod operator;
mod reader;
mod surroundings;

use std::collections::BTreeSet;

use reader::Reader;
use switchboard_testbed::pages::{Block, Kind, Run, blocks, pages};
use switchboard_testbed::repository;

/// The pages in the order in which they are read: each goes on from what those before have left.
const ORDER: [&str; 11] = [
    "README.md",
    "docs/install.md",
    "docs/salesforce.md",
    "docs/miitel.md",
    "docs/troubleshooting.md",
    "docs/kubectl.md",
    "docs/exposing.md",
    "docs/gitops.md",
    "charts/switchboard/README.md",
    "docs/security.md",
    "docs/operations.md",
];

/// The page before which the runbooks are read: at its end nothing is left.
const LAST: &str = "docs/operations.md";

/// The most blocks that are run nowhere: those need a cluster of another kind, a registry, or
/// hours.
const MOST_LEFT_OUT: usize = 12;

fn is_runbook(page: &str) -> bool {
    page.starts_with("docs/runbooks/")
}

fn read_all() -> Vec<(String, String, Vec<Block>)> {
    pages(&repository())
        .unwrap()
        .into_iter()
        .map(|(page, text)| {
            let mut found = blocks(&text).unwrap_or_else(|why| unreachable!("{page}, {why}"));
            found.retain(|block| {
                let elsewhere = is_runbook(&page) && block.kind == Kind::Console;
                block.kind != Kind::Shown && !elsewhere
            });
            (page, text, found)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_runs_every_command_of_the_documents() {
    let all = read_all();
    let with_blocks = all.iter().filter(|(.., blocks)| !blocks.is_empty());
    let with_blocks: Vec<&str> = with_blocks.map(|(page, ..)| page.as_str()).collect();
    let (runbooks, others): (Vec<&str>, Vec<&str>) =
        with_blocks.into_iter().partition(|page| is_runbook(page));
    assert_eq!(
        BTreeSet::from_iter(others),
        BTreeSet::from(ORDER),
        "a page is not read"
    );
    let mut order = ORDER.to_vec();
    let last = order.iter().position(|page| *page == LAST).unwrap();
    order.splice(last..last, runbooks);
    let mut reader = Reader::sit_down().await;
    let (mut run, mut left_out, mut on_a_node) = (0, vec![], 0);
    for page in order {
        let (_, text, blocks) = all.iter().find(|(name, ..)| name == page).unwrap();
        let mut written = text.clone();
        for block in blocks {
            let place = format!("{page}:{}", block.line);
            match &block.run {
                Run::Not(reason) => left_out.push(format!("{place}: {reason}")),
                Run::OnANode => on_a_node += 1,
                _ => {
                    reader.run(&place, block, &mut written).await;
                    run += 1;
                }
            }
            if page == "README.md" {
                reader.reads_the_notes().await;
            }
        }
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(repository().join(page), written).unwrap();
        }
    }
    println!(
        "{run} blocks were run, {on_a_node} are run by the e2e, {} nowhere:",
        left_out.len()
    );
    for block in &left_out {
        println!("  {block}");
    }
    assert!(run > 40, "only {run} blocks were found");
    assert!(reader.has_read_the_notes(), "NOTES were not read");
    assert!(left_out.len() <= MOST_LEFT_OUT, "{left_out:#?}");
    reader.end().await;
}
