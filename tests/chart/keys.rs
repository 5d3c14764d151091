//! Keys are made once. Where the chart cannot know whether there are some, it makes none unless it
//! is told to: other keys would void every token that was given out.

use crate::{MAKE_KEYS, objects_of, of_kind, render_as_asked};

#[tokio::test]
async fn without_a_cluster_the_chart_renders_only_with_keys_that_are_given_or_asked_for() {
    let refused = render_as_asked(&[]).await;
    assert!(!refused.success(), "two renderings would make two keys");
    for part in [
        "keys.existingSecret",
        "keys.generate=true",
        "--dry-run=server",
        "every token",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    // Not by the way of an upgrade either.
    assert!(!render_as_asked(&["--is-upgrade"]).await.success());

    let given = "--set=keys.existingSecret=switchboard-own-keys";
    let (once, again) = (
        render_as_asked(&[given]).await,
        render_as_asked(&[given]).await,
    );
    assert_eq!(once.stdout, again.stdout, "each rendering is the same");
    let objects = objects_of(once);
    assert_eq!(of_kind(&objects, &["Secret"]).count(), 0);

    let objects = objects_of(render_as_asked(&[MAKE_KEYS]).await);
    assert_eq!(of_kind(&objects, &["Secret"]).count(), 1);
}
