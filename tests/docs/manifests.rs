//! The API server accepts every SalesforceIntegration in the documents and examples.

use std::io::Write as _;

use serde::Deserialize as _;
use switchboard::cli::Manifests;

use crate::{files, root};

#[test]
fn every_integration_that_can_be_copied_is_taken() {
    let mut pages = files("docs", ".md");
    pages.push(root().join("README.md"));
    let mut texts: Vec<(String, String)> = vec![];
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        texts.extend(yaml_blocks(&text).map(|block| (page.display().to_string(), block)));
    }
    for file in files("examples", ".yaml") {
        texts.push((
            file.display().to_string(),
            std::fs::read_to_string(&file).unwrap(),
        ));
    }
    let mut tried = 0;
    for (place, text) in texts {
        for document in serde_yaml::Deserializer::from_str(&text) {
            let document = serde_yaml::Value::deserialize(document)
                .unwrap_or_else(|error| panic!("{place}: {error}\n{text}"));
            if document.get("kind").and_then(|kind| kind.as_str()) != Some("SalesforceIntegration")
            {
                continue;
            }
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(serde_yaml::to_string(&document).unwrap().as_bytes())
                .unwrap();
            let taken = Manifests::read(file.path(), None).and_then(|read| read.integration(None));
            assert!(taken.is_ok(), "{place}: {}\n{text}", taken.unwrap_err());
            tried += 1;
        }
    }
    assert!(tried > 4, "only {tried} manifests were found");
}

#[test]
fn every_document_of_the_examples_says_what_it_is() {
    for file in files("examples", ".yaml") {
        let text = std::fs::read_to_string(&file).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let document = serde_yaml::Value::deserialize(document).unwrap();
            // The world of the simulator is no object of a cluster.
            if document.get("orgs").is_some() {
                continue;
            }
            for field in ["apiVersion", "kind", "metadata"] {
                let place = file.display();
                assert!(document.get(field).is_some(), "{place}: no {field}");
            }
        }
    }
}

/// A new user's cluster has no namespace of a tenant.
#[test]
fn every_example_of_a_tenant_makes_the_namespace_that_it_needs() {
    for folder in ["examples/integrations", "examples/quickstart"] {
        for file in files(folder, ".yaml") {
            let text = std::fs::read_to_string(&file).unwrap();
            let documents: Vec<serde_yaml::Value> = serde_yaml::Deserializer::from_str(&text)
                .map(|document| serde_yaml::Value::deserialize(document).unwrap())
                .collect();
            let made: Vec<_> = documents
                .iter()
                .filter(|document| document["kind"] == "Namespace")
                .map(|document| &document["metadata"]["name"])
                .collect();
            for document in &documents {
                if let Some(namespace) = document["metadata"].get("namespace") {
                    assert!(
                        made.contains(&namespace),
                        "{}: {namespace:?}",
                        file.display()
                    );
                }
            }
        }
    }
}

fn yaml_blocks(text: &str) -> impl Iterator<Item = String> {
    text.split("\n```yaml")
        .skip(1)
        .filter_map(|rest| rest.split_once('\n'))
        .filter_map(|(_, rest)| rest.split_once("\n```").map(|(block, _)| block.to_owned()))
}
