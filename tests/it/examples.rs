//! Tests that the files in examples/ can be applied without changes: the real API server accepts
//! every document.

use serde::Deserialize as _;
use serde_json::Value;

use crate::bed::control_plane;

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_taken_by_the_api_server() {
    let control_plane = control_plane().await;
    let namespace = control_plane.namespace("examples").await.unwrap();
    let mut applied = 0;
    for folder in ["examples/integrations", "examples/quickstart"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for document in serde_yaml::Deserializer::from_str(&text) {
                let mut document = Value::deserialize(document).unwrap();
                // The test does not create the examples' namespaces; it uses its own.
                if document["kind"] == "Namespace" {
                    continue;
                }
                document["metadata"]["namespace"] = namespace.name().into();
                control_plane
                    .kubectl_apply(&document.to_string())
                    .await
                    .unwrap()
                    .expect_success();
                applied += 1;
            }
        }
    }
    assert!(applied > 8, "only {applied} documents were found");
    namespace.delete().await.unwrap();
}
