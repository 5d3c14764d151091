//! The manifest of the kubectl plugin obeys krew's own rules (`internal/index/validation` of krew),
//! and a release can fill it in.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::root;

const PLATFORMS: [(&str, &str); 4] = [
    ("linux", "amd64"),
    ("linux", "arm64"),
    ("darwin", "amd64"),
    ("darwin", "arm64"),
];

fn krew() -> PathBuf {
    root().join("examples/krew")
}

fn manifest() -> String {
    std::fs::read_to_string(krew().join("switchboard.yaml")).unwrap()
}

fn parsed(manifest: &str) -> Value {
    serde_yaml::from_str(manifest).unwrap()
}

fn archive(os: &str, arch: &str) -> String {
    format!("switchboard-{os}-{arch}.tar.gz")
}

#[test]
fn the_plugin_manifest_obeys_the_rules_of_krew() {
    let manifest = parsed(&manifest());
    assert_eq!(
        manifest["apiVersion"],
        "krew.googlecontainertools.github.com/v1alpha2"
    );
    assert_eq!(manifest["kind"], "Plugin");
    // The name is that of the file, and makes the command `kubectl switchboard`.
    assert_eq!(manifest["metadata"]["name"], "switchboard");
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    let short = spec["shortDescription"].as_str().unwrap();
    assert!(!short.is_empty() && !short.contains('\n'), "{short:?}");
    // The naming guide of krew asks for at most fifty characters.
    assert!(short.len() <= 50, "{} characters", short.len());
    let mut platforms = vec![];
    for platform in spec["platforms"].as_array().unwrap() {
        let labels = platform["selector"]["matchLabels"].as_object().unwrap();
        let keys: Vec<&String> = labels.keys().collect();
        assert_eq!(keys, ["os", "arch"], "krew selects by nothing else");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (os, arch) = (text(&labels["os"]), text(&labels["arch"]));
        let uri = text(&platform["uri"]);
        assert!(uri.starts_with("https://"), "{uri}");
        assert!(uri.ends_with(&archive(&os, &arch)), "{uri}");
        assert!(uri.contains(&text(&spec["version"])), "{uri}");
        let sum = text(&platform["sha256"]);
        let is_hex = sum.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        assert!(sum.len() == 64 && is_hex, "{sum}");
        let files = platform["files"].as_array().unwrap();
        for file in files {
            assert!(!text(&file["from"]).is_empty() && !text(&file["to"]).is_empty());
        }
        let has = |name: &str| files.iter().any(|file| file["from"] == name);
        assert!(
            has(&text(&platform["bin"])),
            "the program is taken out of the archive"
        );
        assert!(has("LICENSE"), "krew's index asks for the licence");
        platforms.push((os, arch));
    }
    let wanted = PLATFORMS.map(|(os, arch)| (os.to_owned(), arch.to_owned()));
    assert_eq!(platforms, wanted);
}

#[test]
fn a_release_fills_in_its_version_and_the_sums_of_its_archives() {
    let folder = tempfile::tempdir().unwrap();
    let release = |version: &str| {
        Command::new(krew().join("release.sh"))
            .arg(version)
            .arg(folder.path())
            .output()
            .unwrap()
    };
    let missing = release("v2.0.0");
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    for (os, arch) in PLATFORMS {
        std::fs::write(folder.path().join(archive(os, arch)), format!("{os}{arch}")).unwrap();
    }
    assert_eq!(release("2.0.0").status.code(), Some(2), "no v in front");
    let made = release("v2.0.0");
    assert!(made.status.success(), "{made:?}");
    let made = parsed(&String::from_utf8(made.stdout).unwrap());
    let mut wanted = parsed(&manifest().replace(env!("CARGO_PKG_VERSION"), "2.0.0"));
    for ((os, arch), platform) in PLATFORMS
        .iter()
        .zip(wanted["spec"]["platforms"].as_array_mut().unwrap())
    {
        let sum = Command::new("sha256sum")
            .arg(folder.path().join(archive(os, arch)))
            .output()
            .unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        platform["sha256"] = sum.split(' ').next().unwrap().into();
    }
    assert_eq!(made, wanted);
}
