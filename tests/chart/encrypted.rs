//! The directory over TLS: what the chart makes of a Secret, of an issuer, and of an authority.

use serde_json::{Value, json};

use crate::{objects, of_kind};

const SECRET: &str = "--set=directory.tls.secretName=own-tls";
const AUTHORITY: &str = "--set=directory.tls.caBundle.configMap=own-ca";

/// The pod of a part.
fn pod<'a>(objects: &'a [Value], part: &str) -> &'a Value {
    let name = format!("switchboard-{part}");
    of_kind(objects, &["Deployment", "Pod"])
        .find(|object| object["metadata"]["name"] == *name)
        .map(|object| {
            object
                .pointer("/spec/template/spec")
                .unwrap_or(&object["spec"])
        })
        .unwrap()
}

fn arguments(pod: &Value) -> Vec<&str> {
    let arguments = pod["containers"][0]["args"].as_array().unwrap();
    arguments.iter().filter_map(Value::as_str).collect()
}

fn volume<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    let volumes = pod["volumes"].as_array()?;
    volumes.iter().find(|volume| volume["name"] == name)
}

#[tokio::test]
async fn without_a_certificate_everything_is_plain_http() {
    let objects = objects(&["--set=metrics.serviceMonitor.enabled=true"]).await;
    let text = Value::from(objects.clone()).to_string();
    for word in ["--tls-", "HTTPS", "directory-ca", "\"https\""] {
        assert!(!text.contains(word), "{word}");
    }
    assert!(
        arguments(pod(&objects, "controller"))
            .contains(&"--directory-url=http://switchboard-directory.switchboard.svc")
    );
}

#[tokio::test]
async fn a_secret_makes_the_directory_speak_https_to_everybody_who_asks() {
    let objects = objects(&[
        SECRET,
        AUTHORITY,
        "--set=metrics.serviceMonitor.enabled=true",
    ])
    .await;
    let directory = pod(&objects, "directory");
    for flag in [
        "--tls-certificate=/etc/switchboard/tls/tls.crt",
        "--tls-key=/etc/switchboard/tls/tls.key",
    ] {
        assert!(arguments(directory).contains(&flag), "{flag}");
    }
    assert_eq!(
        volume(directory, "tls").unwrap()["secret"]["secretName"],
        "own-tls"
    );
    let container = &directory["containers"][0];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(
            (&get["scheme"], &get["port"]),
            (&json!("HTTPS"), &json!("https"))
        );
    }
    assert_eq!(container["ports"][0]["name"], "https");
    let mounts = container["volumeMounts"].as_array().unwrap();
    // A file that is mounted by subPath never changes again.
    assert!(mounts.iter().all(|mount| mount.get("subPath").is_none()));

    let service = of_kind(&objects, &["Service"])
        .find(|service| service["metadata"]["name"] == "switchboard-directory")
        .unwrap();
    assert_eq!(
        service["spec"]["ports"][0],
        json!({"name": "https", "port": 443, "targetPort": "https", "appProtocol": "https"})
    );
    for part in ["controller", "selftest"] {
        let pod = pod(&objects, part);
        let url = "--directory-url=https://switchboard-directory.switchboard.svc";
        assert!(arguments(pod).contains(&url), "{part}");
        let bundle = "--directory-ca-bundle=/etc/switchboard/directory-ca/ca.crt";
        assert!(arguments(pod).contains(&bundle), "{part}");
        let authority = volume(pod, "directory-ca").unwrap();
        assert_eq!(authority["configMap"]["name"], "own-ca", "{part}");
        assert!(
            volume(pod, "tls").is_none(),
            "{part} has no use for the key"
        );
    }
    let monitor = of_kind(&objects, &["ServiceMonitor"])
        .find(|monitor| monitor["metadata"]["name"] == "switchboard-directory")
        .unwrap();
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!(
        (&endpoint["port"], &endpoint["scheme"]),
        (&json!("https"), &json!("https"))
    );
    assert_eq!(
        endpoint["tlsConfig"],
        json!({
            "serverName": "switchboard-directory.switchboard.svc",
            "ca": {"configMap": {"name": "own-ca", "key": "ca.crt"}},
        })
    );
    assert_eq!(
        of_kind(&objects, &["Certificate"]).count(),
        0,
        "it is given"
    );
}

#[tokio::test]
async fn an_issuer_makes_a_certificate_for_every_name_of_the_directory() {
    let issuer = "--set=directory.tls.certManager.issuerRef.name=ours";
    let certificate = async |flags: &[&str]| {
        let objects = objects(&[&[issuer], flags].concat()).await;
        let directory = pod(&objects, "directory");
        let secret = volume(directory, "tls").unwrap()["secret"]["secretName"].clone();
        let certificate = of_kind(&objects, &["Certificate"]).next().unwrap()["spec"].clone();
        assert_eq!(
            certificate["secretName"], secret,
            "what is issued is served"
        );
        certificate
    };
    let own = "switchboard-directory.switchboard.svc";
    let plain = certificate(&[]).await;
    assert_eq!(plain["secretName"], "switchboard-directory-tls");
    assert_eq!(plain["issuerRef"], json!({"name": "ours"}));
    assert_eq!(
        plain["dnsNames"],
        json!([own, format!("{own}.cluster.local")])
    );
    let outside = certificate(&[SECRET, "--set=directory.url=https://d.example:8443"]).await;
    assert_eq!(outside["secretName"], "own-tls");
    assert_eq!(outside["dnsNames"][2], "d.example");
    for (url, address) in [
        ("https://10.96.0.20", "10.96.0.20"),
        ("https://[fd00:10::20]:8443", "fd00:10::20"),
    ] {
        let flag = format!("--set=directory.url={url}");
        let by_address = certificate(&[&flag]).await;
        assert_eq!(by_address["ipAddresses"], json!([address]));
        assert_eq!(by_address["dnsNames"].as_array().unwrap().len(), 2);
    }
}
