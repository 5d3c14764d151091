//! The ways in which a pod ends, and their reports.

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use switchboard_testbed::{
    RunState, Select, Signal, wait_for, wait_for_condition, wait_for_object,
};

use super::bed::{Bed, SOON, as_is, job};

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
    // The Job controller must observe it before the pod can be removed.
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
async fn a_sidecar_goes_on_after_the_program_until_the_pod_is_deleted() {
    let bed = Bed::new("sidecar").await;
    bed.job("outlived", "exit 0", |spec| {
        let sidecar = json!({
            "name": "proxy", "image": "switchboard-testbed/sidecar",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        });
        spec["containers"].as_array_mut().unwrap().insert(0, sidecar);
    })
    .await;
    let state = |pod: &Value, name: &str| -> Option<Value> {
        let all = pod.pointer("/status/containerStatuses")?.as_array()?;
        let its = all.iter().find(|container| container["name"] == name)?;
        Some(its["state"].clone())
    };
    let pod = bed
        .pod("outlived", "to be outlived", |pod| {
            let ended = state(pod, "main")?.get("terminated").is_some();
            let goes_on = state(pod, "proxy")?.get("running").is_some();
            (ended && goes_on).then(|| pod.clone())
        })
        .await;
    assert_eq!(pod["status"]["phase"], "Running");
    let jobs = bed.jobs.get("outlived").await.unwrap();
    assert_eq!(jobs.status.unwrap().active, Some(1));
    bed.jobs
        .delete("outlived", &DeleteParams::background())
        .await
        .unwrap();
    let name = pod["metadata"]["name"].as_str().unwrap();
    wait_for_object(&bed.pods, name, "to go", SOON, |pod| {
        pod.is_none().then_some(())
    })
    .await;
}
