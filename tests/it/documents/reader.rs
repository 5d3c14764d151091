//! The reader: a shell, a folder, and a cluster.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kube::Api;
use kube::api::ListParams;
use salesforce_simulator::{Org, Simulator};
use serde::Deserialize as _;
use serde_json::Value;
use switchboard::api::{RUN_REQUESTED_AT, SalesforceIntegration};
use switchboard_testbed::pages::{Block, Kind, Run};
use switchboard_testbed::{
    CommandOutput, ControlPlane, Helm, PodRunner, repository, target_dir, wait_for,
};
use tempfile::TempDir;

use super::operator::{NAMESPACE, Operator};
use super::surroundings::{others_have, salesforce, wrong_tenant};
use crate::bed;
use crate::runbooks::masked;
use crate::stage::{SOON, condition, program};

/// What stands in the documents where every reader has something else, and what this one has.
const OWN: [(&str, &str); 9] = [
    ("clientId: \"3MVG9…\"", "clientId: consumer"),
    ("clientSecret: \"…\"", "clientSecret: app+secret"),
    ("password: \"…\"", "password: marker&<right>password"),
    ("securityToken: \"…\"", "securityToken: markerRightToken"),
    ("clientId='3MVG9…'", "clientId=consumer"),
    ("clientSecret='…'", "clientSecret=app+secret"),
    ("password='…'", "password='marker&<right>password'"),
    ("securityToken='…'", "securityToken=markerRightToken"),
    // The runbooks have both of their tenants in one namespace.
    ("-n acme annotate sfi birch", "-n birch annotate sfi birch"),
];
const MY_DOMAIN: &str = "https://acme.my.salesforce.com";
const DIRECTORY: &str = "https://calls.example.com";
/// The namespaces whose integrations become Ready.
const TENANTS: [&str; 1] = ["acme"];
/// The tenant whose password is wrong.
pub(super) const WRONG: &str = "birch";
/// The longest time that a block takes.
const BLOCK: Duration = Duration::from_secs(120);

pub(super) struct Reader {
    control_plane: ControlPlane,
    simulator: Simulator,
    operator: Option<Operator>,
    runner: Option<PodRunner>,
    served: BTreeSet<String>,
    notes_read: bool,
    dir: TempDir,
}

// === impl Reader ===

impl Reader {
    pub(super) async fn sit_down() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let control_plane = ControlPlane::start().await.unwrap();
        let simulator = Simulator::start(salesforce()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), simulator.ca_pem()).unwrap();
        let reader = Self {
            control_plane,
            simulator,
            operator: None,
            runner: None,
            served: BTreeSet::new(),
            notes_read: false,
            dir,
        };
        reader.lay_out().await;
        // What the cluster of such a reader has already.
        for manifest in others_have() {
            reader.apply(&manifest.to_string()).await;
        }
        reader
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The reader's folder, which looks like a clone, and the programs on the search path.
    async fn lay_out(&self) {
        for folder in ["clone", "bin", "operator", "home/.local/bin"] {
            std::fs::create_dir_all(self.path(folder)).unwrap();
        }
        let link = |what: &Path, name: &str| {
            std::os::unix::fs::symlink(what, self.path(name)).unwrap();
        };
        for name in ["charts", "crds", "docs", "examples"] {
            link(&repository().join(name), &format!("clone/{name}"));
        }
        link(Path::new(program()), "bin/switchboard");
        let helm = Helm::ready().await.unwrap();
        link(&helm.tool("helm"), "bin/helm");
        let log = |part: &str| {
            let file = self.path(&format!("{part}.log"));
            format!(
                "*' logs deploy/switchboard-{part}'*) exec tail -n 50 '{}' ;;",
                file.display()
            )
        };
        let kubectl = format!(
            "#!/bin/sh\n# The pods of Deployments are processes here.\ncase \" $* \" in\n{}\n{}\nesac\nexec '{}' kubectl \"$@\"\n",
            log("controller"),
            log("directory"),
            target_dir().join("cluster/cluster").display()
        );
        let file = self.path("bin/kubectl");
        std::fs::write(&file, kubectl).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    async fn apply(&self, manifests: &str) {
        let applied = self.control_plane.kubectl_apply(manifests).await.unwrap();
        applied.expect_success();
    }

    /// Runs a block as it stands. `page` is the text in which outputs are written anew.
    pub(super) async fn run(&mut self, place: &str, block: &Block, page: &mut String) {
        match (block.kind, &block.run) {
            (_, Run::File(name)) => {
                let file = self.path("clone").join(name);
                std::fs::write(file, self.own(&block.text)).unwrap();
            }
            (Kind::Yaml, _) => self.yaml(place, &block.text).await,
            (Kind::Console, Run::OutputElsewhere(_)) => {
                for shown in block.shown() {
                    let output = self.shell(shown.command).await;
                    assert!(!output.stdout.is_empty(), "{place}: {output:?}");
                }
            }
            (Kind::Console, _) => self.console(place, block, page).await,
            _ => {
                let output = self.shell(&block.text).await;
                assert!(output.success(), "{place}:\n{}\n{output:?}", block.text);
            }
        }
        self.settle(place).await;
    }

    async fn console(&self, place: &str, block: &Block, page: &mut String) {
        let mut written = String::new();
        for shown in block.shown() {
            let output = self.shell(shown.command).await;
            assert!(!output.stdout.trim().is_empty(), "{place}: {output:?}");
            let printed = output.stdout.trim_end().to_owned() + "\n";
            written += &format!("$ {}\n{printed}", shown.command);
            if std::env::var_os("UPDATE_GENERATED").is_none() {
                let (printed, wanted) = (masked(&printed), masked(shown.output));
                assert_eq!(printed, wanted, "{place}: {}", shown.command);
            }
        }
        *page = page.replace(
            &format!("```console\n{}```", block.text),
            &format!("```console\n{written}```"),
        );
    }

    /// Objects are applied, a part of a resource is completed and tried, values are rendered.
    async fn yaml(&self, place: &str, text: &str) {
        let first: Value = serde_yaml::Deserializer::from_str(text)
            .next()
            .map(|document| Value::deserialize(document).unwrap())
            .unwrap_or_default();
        if first.get("apiVersion").is_some() {
            return self.apply(&self.own(text)).await;
        }
        if first.get("spec").is_some() {
            let mut whole = bed::integration(TENANTS[0], "acme-tokyo");
            for (key, value) in first["spec"].as_object().unwrap() {
                whole["spec"][key] = value.clone();
            }
            let file = self.path("part.yaml");
            std::fs::write(&file, whole.to_string()).unwrap();
            let file = file.display().to_string();
            let tried = ["apply", "--dry-run=server", "-f", &file];
            let tried = self.control_plane.kubectl(tried).await.unwrap();
            assert!(tried.success(), "{place}: {tried:?}");
            return;
        }
        let file = self.path("values.yaml");
        std::fs::write(&file, text).unwrap();
        let chart = repository()
            .join("charts/switchboard")
            .display()
            .to_string();
        let arguments = [
            "template",
            "switchboard",
            &chart,
            "--set=keys.generate=true",
        ];
        let values = format!("--values={}", file.display());
        let helm = Helm::ready().await.unwrap();
        let rendered = helm
            .run(arguments.into_iter().chain([values.as_str()]))
            .await;
        let rendered = rendered.unwrap();
        assert!(rendered.success(), "{place}: {}", rendered.stderr);
    }

    /// The text with what this reader has in place of what every reader replaces.
    fn own(&self, text: &str) -> String {
        let mut text = text.replace(MY_DOMAIN, self.simulator.url().trim_end_matches('/'));
        for (placeholder, value) in OWN {
            text = text.replace(placeholder, value);
        }
        if let Some(operator) = &self.operator {
            text = text.replace(DIRECTORY, &format!("http://{}", operator.address));
        }
        if text.contains("loginUrl:") {
            return text;
        }
        // Without one the resource logs in at Salesforce itself.
        let lines = text.lines().map(|line| match line.trim() {
            "salesforce:" => {
                let room = &line[..line.len() - line.trim_start().len()];
                format!("{line}\n{room}  loginUrl: {}\n", self.simulator.url())
            }
            _ => format!("{line}\n"),
        });
        lines.collect()
    }

    /// Runs commands in the reader's shell, whose variables last.
    async fn shell(&self, commands: &str) -> CommandOutput {
        if let Some(operator) = &self.operator {
            for (part, process) in [
                ("controller", &operator.controller),
                ("directory", &operator.directory),
            ] {
                let log: Vec<String> = process.lines().into_iter().map(|line| line.text).collect();
                std::fs::write(self.path(&format!("{part}.log")), log.join("\n")).unwrap();
            }
        }
        let variables = self.path("variables");
        let script = format!(
            "set -euo pipefail\nset -a\n[ ! -e '{0}' ] || . '{0}'\n{1}\nexport -p >'{0}'\n",
            variables.display(),
            self.own(commands)
        );
        let home = self.path("home");
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!(
            "{}:{}/.local/bin:{path}",
            self.path("bin").display(),
            home.display()
        );
        let mut shell = tokio::process::Command::new("bash");
        shell
            .args(["-c", &script])
            .current_dir(self.path("clone"))
            .env_clear()
            .env("PATH", path)
            .env("HOME", home)
            .env("KUBECONFIG", self.control_plane.kubeconfig_path())
            .envs(self.salesforce())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(BLOCK, shell.output()).await;
        let output = output.unwrap_or_else(|_| unreachable!("it does not end: {commands}"));
        let output = output.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        CommandOutput {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// What leads the program to the played Salesforce.
    fn salesforce(&self) -> [(&'static str, String); 3] {
        let ca = self.path("ca.pem").display().to_string();
        [
            ("SWITCHBOARD_SALESFORCE_HOSTS", "localhost,127.0.0.1".into()),
            ("SWITCHBOARD_ALLOW_PRIVATE_NETWORKS", "true".into()),
            ("SWITCHBOARD_CA_BUNDLE", ca),
        ]
    }

    /// Does what pods, Salesforce's administrator and other tenants do meanwhile, and waits until
    /// each integration of the documents is Ready.
    async fn settle(&mut self, place: &str) {
        if let Ok(certificate) = std::fs::read_to_string(self.path("clone/cert.pem")) {
            let upload = |org: &mut Org| org.apps[0].certificate = Some(certificate);
            self.simulator.edit_org("Acme", upload).unwrap();
        }
        if self.operator.is_none() {
            let salesforce = self.salesforce();
            let folder = self.path("operator");
            self.operator = Operator::start(&self.control_plane, &folder, &salesforce).await;
            if self.operator.is_some() {
                self.wrong_tenant().await;
            }
        }
        self.serve().await;
        if self.operator.is_none() {
            return;
        }
        wait_for(
            format!("the integrations after {place}"),
            SOON,
            async || self.all_as_they_should_be().await,
        )
        .await;
    }

    /// Another tenant, who has not noticed yet that the password is wrong.
    async fn wrong_tenant(&self) {
        let salesforce = self.simulator.url();
        for manifest in wrong_tenant(&salesforce, self.simulator.ca_pem()) {
            self.apply(&manifest.to_string()).await;
        }
    }

    /// Lets pods of runs run in the tenants' namespaces that are there.
    async fn serve(&mut self) {
        let Some(operator) = &self.operator else {
            return;
        };
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> =
            Api::all(self.control_plane.client());
        for name in TENANTS {
            if self.served.contains(name) || namespaces.get_opt(name).await.unwrap().is_none() {
                continue;
            }
            match &self.runner {
                Some(runner) => runner.serve(name).await.unwrap(),
                None => {
                    let runner = PodRunner::builder(&self.control_plane)
                        .namespace(name)
                        .program(&operator.image, program());
                    self.runner = Some(runner.start().await.unwrap());
                }
            }
            self.served.insert(name.to_owned());
        }
    }

    async fn all_as_they_should_be(&self) -> Result<(), String> {
        let integrations: Api<SalesforceIntegration> = Api::all(self.control_plane.client());
        // The CRD goes with the last page.
        let Ok(list) = integrations.list(&ListParams::default()).await else {
            return Ok(());
        };
        for integration in list {
            let object = serde_json::to_value(&integration).map_err(|error| error.to_string())?;
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let wanted = if namespace == WRONG {
                "InvalidLogin"
            } else {
                "Ready"
            };
            let ready = condition(&object, "Ready");
            let as_wanted = ready.is_some_and(|ready| {
                ready["reason"] == wanted
                    && ready["observedGeneration"] == object["metadata"]["generation"]
            });
            if !as_wanted {
                return Err(format!("{}: {ready:?}", object["metadata"]["name"]));
            }
            // A run that the documents ask for reaches the directory and Salesforce.
            let asked = &object["metadata"]["annotations"][RUN_REQUESTED_AT];
            let status = &object["status"];
            let handled =
                *asked == status["lastHandledRunAt"] && status["lastRun"]["outcome"] == "Succeeded";
            if asked.is_string() && !handled {
                return Err(format!("the run of {asked}: {}", status["lastRun"]));
            }
        }
        Ok(())
    }

    /// Runs, once helm has installed the chart, what its NOTES say.
    pub(super) async fn reads_the_notes(&mut self) {
        if self.notes_read || self.operator.is_none() {
            return;
        }
        self.notes_read = true;
        let notes = ["get", "notes", "switchboard", "--namespace", NAMESPACE];
        let helm = Helm::ready().await.unwrap();
        let notes = helm
            .run_with(self.control_plane.kubeconfig_path(), notes)
            .await
            .unwrap()
            .expect_success();
        let commands: String = notes
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            // It needs pods, and the e2e runs it.
            .filter(|line| !line.starts_with("helm test"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(commands.contains("kubectl wait"), "{notes}");
        let output = self.shell(&commands).await;
        assert!(output.success(), "NOTES:\n{commands}\n{output:?}");
        self.settle("NOTES").await;
    }

    pub(super) fn has_read_the_notes(&self) -> bool {
        self.notes_read
    }

    /// Ends all programs.
    pub(super) async fn end(mut self) {
        if let Some(operator) = self.operator.take() {
            operator.end().await;
        }
    }
}

/// Prints the operator's output next to the reason of a test failure.
impl Drop for Reader {
    fn drop(&mut self) {
        if let (true, Some(operator)) = (std::thread::panicking(), &self.operator) {
            eprintln!(
                "{}\n{}",
                operator.controller.text(),
                operator.directory.text()
            );
        }
    }
}
