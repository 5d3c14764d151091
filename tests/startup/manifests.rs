//! `switchboard check` of manifests that kubectl would refuse, or would read in another way.

use crate::laptop::Laptop;
use crate::program::{MARKER, run};

/// The manifest of a laptop, with one line in another way.
fn with_line(from: &str, to: &str) -> Laptop {
    let laptop = Laptop::new("https://localhost:1", "localhost");
    let manifest = "
apiVersion: switchboard.dev/v1alpha1
kind: SalesforceIntegration
metadata:
  name: acme
  namespace: acme
spec:
  companyId: acme
  suspend: false
  salesforce:
    environment: Production
    loginUrl: https://localhost:1
    apiVersion: \"50.0\"
    auth:
      password: {username: user@acme.example, secretRef: {name: s}}
  contacts: {retrieval: Daily, timeZone: Asia/Tokyo, region: JP}
";
    assert!(manifest.contains(from), "{from}");
    laptop
        .files
        .write("acme.yaml", &manifest.replacen(from, to, 1));
    laptop
}

fn with_secret(values: &str) -> Laptop {
    let laptop = with_line("acme", "acme");
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
    laptop
        .files
        .write("secret.yaml", &format!("{head}{values}"));
    laptop
}

#[test]
fn what_kubectl_takes_for_no_text() {
    for (from, to, said) in [
        (
            "region: JP",
            "region: NO",
            "spec.contacts.region: kubectl reads NO as a boolean; put it in quotes",
        ),
        (
            "companyId: acme",
            "companyId: 0123 # ours",
            "spec.companyId: kubectl reads 0123 as a number; put it in quotes",
        ),
        (
            "companyId: acme",
            "companyId: 4711",
            "spec.companyId: must be text, and 4711 is a number; put it in quotes",
        ),
        (
            "apiVersion: \"50.0\"",
            "apiVersion: 50.0",
            "spec.salesforce.apiVersion: must be text, and 50.0 is a number; put it in quotes",
        ),
        (
            "suspend: false",
            "suspend: \"false\"",
            "spec.suspend: must be true or false, and \"false\" is text; take the quotes off",
        ),
        (
            "companyId: acme",
            "interval: 10m",
            "spec.companyId: must be set",
        ),
        (
            "retrieval: Daily",
            "retrieval: daily",
            "spec.contacts.retrieval: must be one of ",
        ),
    ] {
        let laptop = with_line(from, to);
        run(&mut laptop.command("check", "")).tells(2, "check", &[said]);
    }
    // In quotes it is text, for both.
    let laptop = with_line("companyId: acme", "companyId: \"0123\"");
    run(&mut laptop.command("check", "")).says(1, &["localhost refuses the connection"]);
}

#[test]
fn values_of_a_secret_that_kubectl_does_not_take() {
    let stands = format!("stringData: {{password: {MARKER}, securityToken: 12345}}\n");
    for (values, said) in [
        (
            stands.as_str(),
            "stringData.securityToken is a number or a boolean and must be text; put it in quotes",
        ),
        (
            "stringData: {password: 0123456}\n",
            "stringData.password is no text for kubectl, as it has no quotes; put it in quotes",
        ),
        (
            &format!("data: {{password: {MARKER}!}}\n"),
            "data.password is not base64; encode it, or write the plain value under stringData",
        ),
        (
            "stringData: {password: [a]}\n",
            "stringData.password must be text",
        ),
        ("data: x\n", "data must hold keys"),
    ] {
        let laptop = with_secret(values);
        let parts = ["Secret \"s\": ", said];
        run(&mut laptop.command("check", "")).tells(2, "check", &parts);
    }
    // As base64(1) breaks lines.
    let laptop = with_secret("data:\n  password: |\n    c2VjcmV0LXBhc3N3b3\n    JkLTE=\n");
    run(&mut laptop.command("check", "")).says(1, &["localhost refuses the connection"]);
}

#[test]
fn a_secret_that_is_not_where_it_is_read() {
    for (secret, said) in [
        (
            "metadata: {name: other}",
            "Secret \"s\" is in none of the files; add it to the file or name it with --secret-file",
        ),
        (
            "metadata: {name: s, namespace: birch}",
            "Secret \"s\" is of the namespace \"birch\" in the files, and the integration of \"acme\"",
        ),
    ] {
        for (role, code) in [("check", 1), ("lookup", 2)] {
            let laptop = with_line("acme", "acme");
            let text =
                format!("apiVersion: v1\nkind: Secret\n{secret}\nstringData: {{password: p}}\n");
            laptop.files.write("secret.yaml", &text);
            let said = said.replacen(
                "Secret \"s\"",
                if role == "check" {
                    "Secret \"s\""
                } else {
                    "Secret \"s\":"
                },
                1,
            );
            run(&mut laptop.command(role, "")).says(code, &[&said]);
        }
    }
}
