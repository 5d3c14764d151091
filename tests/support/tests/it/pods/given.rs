//! Tests of a pod's environment, volumes, program and token.

use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use switchboard_testbed::{
    ControlPlane, PodRunner, RunState, Select, wait_for, wait_for_condition,
};

use super::bed::{Bed, SOON, as_is, job};

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
    assert_eq!(bed.terminated("volume").await["exitCode"], 1); // it starts with the existing keys, as on a real node

    bed.secret("late", json!({"password": "here"})).await;
    assert_eq!(bed.terminated("env").await["exitCode"], 0);
    assert_eq!(bed.runner.logs(Select::all().job("env")), "here\n");
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
