use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use switchboard_testbed::{
    ControlPlane, Namespace, PodRunner, RunState, Select, Signal, wait_for, wait_for_condition,
    wait_for_object,
};

const SOON: Duration = Duration::from_secs(30);

/// A namespace, a runner for it, and clients for what is in it.
struct Bed {
    control_plane: &'static ControlPlane,
    runner: PodRunner,
    pods: Api<Pod>,
    jobs: Api<Job>,
    client: Client,
    namespace: Namespace, // last: the runner must clear away its pods first
}

impl Bed {
    async fn new(prefix: &str) -> Self {
        let control_plane = ControlPlane::shared().await;
        let client = control_plane.client();
        let namespace = control_plane.namespace(prefix).await.unwrap();
        let runner = PodRunner::builder(control_plane)
            .namespace(namespace.name())
            .program("/bin/sh", "/bin/sh")
            .program("switchboard:test", "/bin/sh")
            .start()
            .await
            .unwrap();
        Self {
            control_plane,
            runner,
            pods: Api::namespaced(client.clone(), namespace.name()),
            jobs: Api::namespaced(client.clone(), namespace.name()),
            client,
            namespace,
        }
    }

    async fn apply(&self, mut object: Value) {
        object["metadata"]["namespace"] = self.namespace.name().into();
        self.control_plane
            .kubectl_apply(&object.to_string())
            .await
            .unwrap()
            .expect_success();
    }

    async fn secret(&self, name: &str, data: Value) {
        self.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})).await;
    }

    /// Creates a Job that runs the script; `change` may change its pod's spec.
    async fn job(&self, name: &str, script: &str, change: impl FnOnce(&mut Value)) {
        let job: Job = serde_json::from_value(job(name, script, change)).unwrap();
        self.jobs
            .create(&PostParams::default(), &job)
            .await
            .unwrap();
    }

    /// The Job's only pod, when the check yields something for it.
    async fn pod<T>(&self, job: &str, what: &str, check: impl Fn(&Value) -> Option<T>) -> T {
        let selector = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        wait_for(format!("the pod of job {job} {what}"), SOON, || async {
            let pods = self
                .pods
                .list(&selector)
                .await
                .map_err(|error| error.to_string())?;
            let pod = serde_json::to_value(pods.items.first().ok_or("no pod yet")?).unwrap();
            check(&pod).ok_or_else(|| {
                format!(
                    "{:#}, refusals: {:?}",
                    pod["status"],
                    self.runner.refusals()
                )
            })
        })
        .await
    }

    async fn terminated(&self, job: &str) -> Value {
        self.pod(job, "to end", |pod| {
            pod.pointer("/status/containerStatuses/0/state/terminated")
                .cloned()
        })
        .await
    }

    async fn waiting(&self, job: &str, reason: &str) -> Value {
        self.pod(job, &format!("to wait with {reason}"), |pod| {
            let waiting = pod.pointer("/status/containerStatuses/0/state/waiting")?;
            (waiting["reason"] == reason).then(|| waiting.clone())
        })
        .await
    }
}

fn job(name: &str, script: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "main",
                "image": "switchboard:test",
                "command": ["/bin/sh", "-c", script],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        }}},
    });
    change(&mut job["spec"]["template"]["spec"]);
    job
}

fn as_is(_: &mut Value) {}

#[tokio::test]
async fn a_job_gets_its_environment_and_volumes_and_tells_its_message() {
    let bed = Bed::new("whole").await;
    bed.secret("acme", json!({"password": "sesame", "token": "t0ken"}))
        .await;
    bed.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "blue"}}))
        .await;
    let script = r#"
        echo to the log
        printf '%s|' "$PLAIN" "$JOINED" "$PASSWORD" "$COLOUR" "$ABSENT" "$POD" "$PATHS" > "$REPORT"
        read -r password < /etc/acme/deep/password; read -r labels < /etc/pod/labels
        printf '%s|%s' "$password" "$labels" >> /dev/termination-log
        echo x > /scratch/file && /bin/cat /scratch/file
        [ -z "$HOME$KUBECONFIG" ] || exit 9
        [ ! -e /etc/acme/token ] || exit 8
        exit 0"#;
    bed.job("whole", script, |spec| {
        spec["containers"][0]["env"] = json!([
            {"name": "PLAIN", "value": "as it is"},
            {"name": "JOINED", "value": "$(PLAIN), $(NONE)"},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "acme", "key": "password"}}},
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
            {"name": "ABSENT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "none", "optional": true}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "PATHS", "value": r#"{"secret":"/etc/acme"}"#},
            {"name": "REPORT", "value": "/dev/termination-log"},
        ]);
        spec["volumes"] = json!([
            {"name": "acme", "secret": {
                "secretName": "acme", "defaultMode": 0o400, "items": [{"key": "password", "path": "deep/password"}]}},
            {"name": "pod", "downwardAPI": {"items": [
                {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}}]}},
            {"name": "absent", "configMap": {"name": "none", "optional": true}},
            {"name": "scratch", "emptyDir": {}},
        ]);
        spec["containers"][0]["volumeMounts"] = json!([
            {"name": "acme", "mountPath": "/etc/acme", "readOnly": true},
            {"name": "pod", "mountPath": "/etc/pod"},
            {"name": "absent", "mountPath": "/etc/absent"},
            {"name": "scratch", "mountPath": "/scratch"},
        ]);
    })
    .await;

    let terminated = bed.terminated("whole").await;
    let run = bed.runner.pods(Select::all().job("whole")).remove(0);
    assert_eq!(
        terminated["exitCode"],
        0,
        "{terminated:#} {}",
        bed.runner.logs(Select::all())
    );
    assert_eq!(terminated["reason"], "Completed");
    let command = run.command.clone().unwrap();
    let secret = &command.mounts["/etc/acme"];
    let expected = format!(
        r#"as it is|as it is, $(NONE)|sesame|blue||{}|{{"secret":"{}"}}|sesame|whole"#,
        bed.namespace.name(),
        secret.display()
    );
    assert_eq!(terminated["message"], expected);
    assert_eq!(
        bed.runner.logs(Select::all().job("whole")),
        "to the log\nx\n"
    );
    let mut names: Vec<_> = command.environment.keys().map(String::as_str).collect();
    names.retain(|name| name.chars().all(char::is_uppercase));
    assert_eq!(
        names,
        [
            "COLOUR", "HOSTNAME", "JOINED", "PASSWORD", "PATHS", "PLAIN", "POD", "REPORT"
        ]
    );
    let mode = std::fs::metadata(secret.join("deep/password")).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777,
        0o400
    );

    wait_for_condition(&bed.jobs, "whole", "Complete", "True", SOON).await;
    let pod = bed.pods.get(&run.pod).await.unwrap();
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Succeeded"));
    assert_eq!(run.state, RunState::Ended(0));
    assert_eq!(bed.runner.runs(Select::all()), 1);
}

#[tokio::test]
async fn a_pod_of_a_cron_job_runs_the_images_own_program() {
    let bed = Bed::new("cron").await;
    let template = job("unused", "", |spec| {
        spec["containers"][0]["command"] = Value::Null;
        spec["containers"][0]["args"] = json!(["-c", "echo $0 $1", "ran", "/dev/termination-log"]);
    });
    bed.apply(json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 23 * * *", "timeZone": "Asia/Tokyo", "jobTemplate": {"spec": template["spec"]}},
    }))
    .await;
    let args = [
        "create",
        "job",
        "nightly-now",
        "--from=cronjob/nightly",
        "-n",
        bed.namespace.name(),
    ];
    bed.control_plane
        .kubectl(args)
        .await
        .unwrap()
        .expect_success();
    assert_eq!(bed.terminated("nightly-now").await["exitCode"], 0);
    let run = bed
        .runner
        .wait_ended(Select::all().cron_job("nightly"), SOON)
        .await
        .unwrap();
    let log = bed.runner.logs(Select::all().pod(&run.pod));
    assert!(
        log.starts_with("ran /") && log.trim_end().ends_with("termination-log"),
        "{log}"
    );
}

#[tokio::test]
async fn a_failing_program_is_told_with_its_exit_code_and_the_end_of_its_log() {
    let bed = Bed::new("failing").await;
    let falls_back = |spec: &mut Value| {
        spec["containers"][0]["terminationMessagePolicy"] = "FallbackToLogsOnError".into()
    };
    bed.job("with-log", "echo it went wrong; exit 3", falls_back)
        .await;
    bed.job("without", "echo it went wrong; exit 4", as_is)
        .await;
    let long =
        "i=0; while [ $i -lt 500 ]; do printf 0123456789 >> /dev/termination-log; i=$((i+1)); done";
    bed.job("long", long, as_is).await;

    let end = bed.terminated("with-log").await;
    assert_eq!(
        (&end["exitCode"], &end["reason"]),
        (&json!(3), &json!("Error"))
    );
    assert_eq!(end["message"], "it went wrong\n");
    let end = bed.terminated("without").await;
    assert_eq!(
        (
            &end["exitCode"],
            end["message"].as_str().unwrap_or_default()
        ),
        (&json!(4), "")
    );
    assert_eq!(
        bed.terminated("long").await["message"]
            .as_str()
            .unwrap()
            .len(),
        4096
    );
    wait_for_condition(&bed.jobs, "with-log", "Failed", "True", SOON).await;
}

#[tokio::test]
async fn a_missing_secret_keeps_the_pod_waiting_until_it_is_there() {
    let bed = Bed::new("missing").await;
    let from_env = |spec: &mut Value| {
        let from = json!({"secretKeyRef": {"name": "late", "key": "password"}});
        spec["containers"][0]["env"] = json!([{"name": "PASSWORD", "valueFrom": from}]);
    };
    bed.job("env", r#"echo "$PASSWORD""#, from_env).await;
    bed.job("volume", "/bin/cat /late/password", |spec| {
        spec["volumes"] = json!([{"name": "late", "secret": {"secretName": "late"}}]);
        spec["containers"][0]["volumeMounts"] = json!([{"name": "late", "mountPath": "/late"}]);
    })
    .await;
    let waiting = bed.waiting("env", "CreateContainerConfigError").await;
    assert_eq!(waiting["message"], r#"secret "late" not found"#);
    bed.waiting("volume", "ContainerCreating").await;

    bed.secret("late", json!({"other": "x"})).await;
    wait_for("the key to be missed", SOON, || async {
        let run = bed.runner.pods(Select::all().job("env")).remove(0);
        matches!(&run.state, RunState::Waiting(why) if why.contains("couldn't find key password"))
            .then_some(())
    })
    .await;
    assert_eq!(bed.terminated("volume").await["exitCode"], 1); // starts with what is there, as on a real node

    bed.secret("late", json!({"password": "here"})).await;
    assert_eq!(bed.terminated("env").await["exitCode"], 0);
    assert_eq!(bed.runner.logs(Select::all().job("env")), "here\n");
}

#[tokio::test]
async fn deadlines_end_a_pod() {
    let bed = Bed::new("deadline").await;
    bed.job("pods-own", "exec /bin/sleep 60", |spec| {
        spec["activeDeadlineSeconds"] = 1.into()
    })
    .await;
    let end = bed.terminated("pods-own").await;
    assert_eq!(
        (&end["exitCode"], &end["reason"]),
        (&json!(143), &json!("Error"))
    );
    let (phase, reason) = bed
        .pod("pods-own", "to have failed", |pod| {
            Some((
                pod.pointer("/status/phase")?.clone(),
                pod.pointer("/status/reason")?.clone(),
            ))
        })
        .await;
    assert_eq!(
        (phase, reason),
        (json!("Failed"), json!("DeadlineExceeded"))
    );

    let mut of_job = job(
        "jobs-own",
        "trap 'echo told; exit 0' TERM; while :; do /bin/sleep 0.1; done",
        as_is,
    );
    of_job["spec"]["activeDeadlineSeconds"] = 2.into();
    bed.apply(of_job).await;
    let condition = wait_for_condition(&bed.jobs, "jobs-own", "Failed", "True", SOON).await;
    assert_eq!(condition["reason"], "DeadlineExceeded");
    let run = bed
        .runner
        .wait_ended(Select::all().job("jobs-own"), SOON)
        .await
        .unwrap();
    assert_eq!(bed.runner.logs(Select::all().pod(run.pod)), "told\n");
}

#[tokio::test]
async fn a_deleted_pod_may_end_in_good_order_but_not_for_ever() {
    let bed = Bed::new("deletion").await;
    let short = |spec: &mut Value| spec["terminationGracePeriodSeconds"] = 1.into();
    bed.job(
        "polite",
        "trap 'echo bye; exit 0' TERM; echo up; while :; do /bin/sleep 0.1; done",
        short,
    )
    .await;
    bed.job(
        "deaf",
        "trap '' TERM; echo up; while :; do /bin/sleep 0.1; done",
        short,
    )
    .await;
    for (job, exit_code, log) in [("polite", 0, "up\nbye\n"), ("deaf", 137, "up\n")] {
        let select = Select::all().job(job);
        let run = bed.runner.wait_running(select.clone(), SOON).await.unwrap();
        wait_for("the program to be up", SOON, || async {
            (bed.runner.logs(select.clone()) == "up\n").then_some(())
        })
        .await;
        bed.jobs
            .delete(job, &DeleteParams::background())
            .await
            .unwrap();
        let ended = bed.runner.wait_ended(select.clone(), SOON).await.unwrap();
        assert_eq!(ended.state, RunState::Ended(exit_code));
        assert_eq!(bed.runner.logs(select), log);
        wait_for_object(&bed.pods, &run.pod, "to be gone", SOON, |pod| {
            pod.is_none().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_test_may_kill_hold_and_falsify() {
    let bed = Bed::new("faults").await;
    bed.job("oom", "exec /bin/sleep 60", as_is).await;
    bed.runner
        .wait_running(Select::all().job("oom"), SOON)
        .await
        .unwrap();
    assert_eq!(bed.runner.oom_kill(Select::all().job("oom")), 1);
    let end = bed.terminated("oom").await;
    assert_eq!(
        (&end["exitCode"], &end["reason"]),
        (&json!(137), &json!("OOMKilled"))
    );

    bed.job("killed", "exec /bin/sleep 60", as_is).await;
    bed.runner
        .wait_running(Select::all().job("killed"), SOON)
        .await
        .unwrap();
    assert_eq!(
        bed.runner
            .signal(Select::all().job("killed"), Signal::SIGSEGV),
        1
    );
    let end = bed.terminated("killed").await;
    assert_eq!(
        (&end["exitCode"], &end["reason"]),
        (&json!(139), &json!("Error"))
    );

    let hold = bed.runner.hold(Select::all().job("held"));
    let rubbish = bed
        .runner
        .replace_message(Select::all().job("held"), "{rubbish");
    bed.job("held", "printf '{}' > /dev/termination-log", as_is)
        .await;
    bed.waiting("held", "ContainerCreating").await;
    assert_eq!(bed.runner.runs(Select::all().job("held")), 0);
    hold.release();
    assert_eq!(bed.terminated("held").await["message"], "{rubbish");
    drop(rubbish);
    bed.job("honest", "printf '{}' > /dev/termination-log", as_is)
        .await;
    assert_eq!(bed.terminated("honest").await["message"], "{}");
}

#[tokio::test]
async fn what_is_not_supported_is_refused_loudly() {
    let bed = Bed::new("refused").await;
    bed.job("unknown-program", "", |spec| {
        spec["containers"][0]["command"] = json!(["/bin/true"])
    })
    .await;
    bed.job("two", "", |spec| {
        let mut second = spec["containers"][0].clone();
        second["name"] = "second".into();
        spec["containers"].as_array_mut().unwrap().push(second);
    })
    .await;
    bed.job("token", "", |spec| {
        spec["volumes"] = json!([{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]);
    })
    .await;
    let expected = [
        ("unknown-program", "which program stands for /bin/true"),
        ("two", "2 containers"),
        ("token", "automountServiceAccountToken: false"),
    ];
    for (job, reason) in expected {
        let message = bed
            .pod(job, "to be refused", |pod| {
                pod.pointer("/status/message")?.as_str().map(str::to_owned)
            })
            .await;
        assert!(message.contains(reason), "{message}");
        assert!(
            bed.runner
                .refusals()
                .iter()
                .any(|refusal| refusal.contains(reason))
        );
    }
    assert_eq!(bed.runner.runs(Select::all()), 0);
}

#[tokio::test]
async fn a_pod_that_wants_a_token_acts_as_its_service_account() {
    let bed = Bed::new("token").await;
    bed.job(
        "reads",
        "/bin/cat /var/run/secrets/kubernetes.io/serviceaccount/namespace",
        |spec| {
            spec["automountServiceAccountToken"] = true.into();
        },
    )
    .await;
    assert_eq!(bed.terminated("reads").await["exitCode"], 0);
    let run = bed.runner.pods(Select::all().job("reads")).remove(0);
    assert_eq!(
        bed.runner.logs(Select::all().pod(&run.pod)),
        bed.namespace.name()
    );
    let mounts = run.command.unwrap().mounts;
    let account = &mounts["/var/run/secrets/kubernetes.io/serviceaccount"];
    assert!(
        std::fs::read_to_string(account.join("token"))
            .unwrap()
            .starts_with("ey")
    );
    assert!(
        std::fs::read_to_string(account.join("ca.crt"))
            .unwrap()
            .contains("CERTIFICATE")
    );
}

#[tokio::test]
async fn a_lost_node_takes_its_pods_with_it_and_the_job_goes_on_elsewhere() {
    let bed = Bed::new("node").await;
    let mut retried = job("retried", "exec /bin/sleep 60", as_is);
    retried["spec"]["backoffLimit"] = 3.into();
    bed.apply(retried).await;
    let first = bed
        .runner
        .wait_running(Select::all().job("retried"), SOON)
        .await
        .unwrap();
    let node = bed.runner.node().to_owned();
    bed.runner.lose_node().await.unwrap();
    assert!(
        Api::<Node>::all(bed.client.clone())
            .get_opt(&node)
            .await
            .unwrap()
            .is_none()
    );
    wait_for_object(&bed.pods, &first.pod, "to be gone", SOON, |pod| {
        pod.is_none().then_some(())
    })
    .await;
    bed.runner.restore_node().await.unwrap();
    let second = bed
        .runner
        .wait_running(Select::all().job("retried"), SOON)
        .await
        .unwrap();
    assert_ne!(first.pod, second.pod);
}

#[tokio::test]
async fn nothing_is_left_behind() {
    let bed = Bed::new("clean").await;
    bed.job(
        "long",
        "echo $$$$; /bin/sleep 61 & exec /bin/sleep 60",
        as_is,
    )
    .await;
    bed.runner.wait_running(Select::all(), SOON).await.unwrap();
    let pid = wait_for("its process id", SOON, || async {
        bed.runner.logs(Select::all()).trim().parse::<u32>()
    })
    .await;
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    let group = |pid: u32| {
        let of = |stat: String| {
            stat.rsplit(')')
                .next()?
                .split_whitespace()
                .nth(2)?
                .parse::<u32>()
                .ok()
        };
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|entry| of(std::fs::read_to_string(entry.path().join("stat")).ok()?))
            .filter(|g| *g == pid)
            .count()
    };
    wait_for("its child", SOON, || async {
        (group(pid) == 2).then_some(())
    })
    .await;

    let Bed {
        runner,
        namespace,
        client,
        control_plane,
        pods,
        ..
    } = bed;
    let node = runner.node().to_owned();
    drop(runner);
    assert_eq!(group(pid), 0);
    assert!(
        Api::<Node>::all(client.clone())
            .get_opt(&node)
            .await
            .unwrap()
            .is_none()
    );
    assert!(!control_plane.dir().join("pods").join(&node).exists());
    // The Job controller has to take note of it, then the pod may go.
    wait_for("its pod to be gone", SOON, || async {
        pods.list(&ListParams::default())
            .await
            .ok()?
            .items
            .is_empty()
            .then_some(())
    })
    .await;
    namespace.delete().await.unwrap();
}

#[tokio::test]
async fn a_runner_without_namespaces_takes_the_pods_that_no_other_claims() {
    let control_plane = ControlPlane::shared().await;
    let unclaimed = control_plane.namespace("unclaimed").await.unwrap();
    let runner = PodRunner::builder(control_plane)
        .program("/bin/sh", "/bin/sh")
        .start()
        .await
        .unwrap();
    let jobs: Api<Job> = Api::namespaced(control_plane.client(), unclaimed.name());
    let job: Job = serde_json::from_value(job("any", "echo here", as_is)).unwrap();
    jobs.create(&PostParams::default(), &job).await.unwrap();
    runner
        .wait_ended(Select::all().namespace(unclaimed.name()), SOON)
        .await
        .unwrap();
    wait_for_condition(&jobs, "any", "Complete", "True", SOON).await;
    assert_eq!(runner.pods(Select::all()).len(), 1);
}
