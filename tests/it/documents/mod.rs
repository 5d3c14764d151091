//! A reader runs the documents: every block of README, docs, the chart's README and NOTES, in order
//! and as it stands, with helm, kubectl, curl and the program in a real shell, on a control plane
//! of its own. The operator is what `helm install` of the README installed, run as processes;
//! Salesforce is played. Outputs are compared; `UPDATE_GENERATED=1` writes them. The pages of
//! docs/runbooks have a test of their own (`runbooks.rs`).

mod costs;
mod operator;
mod reader;

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

/// The most blocks that are run nowhere: those need a cluster of another kind, a registry, or
/// hours.
const MOST_LEFT_OUT: usize = 12;

fn read_all() -> Vec<(String, String, Vec<Block>)> {
    pages(&repository())
        .unwrap()
        .into_iter()
        .filter(|(page, _)| !page.starts_with("docs/runbooks/"))
        .map(|(page, text)| {
            let blocks = blocks(&text).unwrap_or_else(|why| unreachable!("{page}, {why}"));
            (page, text, blocks)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_runs_every_command_of_the_documents() {
    let all = read_all();
    let with_blocks: BTreeSet<&str> = all
        .iter()
        .filter(|(.., blocks)| blocks.iter().any(|block| block.kind != Kind::Shown))
        .map(|(page, ..)| page.as_str())
        .collect();
    assert_eq!(with_blocks, BTreeSet::from(ORDER), "a page is not read");
    let mut reader = Reader::sit_down().await;
    let (mut run, mut left_out, mut on_a_node) = (0, vec![], 0);
    for page in ORDER {
        let (_, text, blocks) = all.iter().find(|(name, ..)| name == page).unwrap();
        let mut written = text.clone();
        for block in blocks.iter().filter(|block| block.kind != Kind::Shown) {
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
    assert!(left_out.len() <= MOST_LEFT_OUT, "{left_out:#?}");
    reader.end().await;
}
