//! Tests that the chart refuses invalid values with a message that names the key.

use crate::render;

/// Values, and the parts that the message must contain.
const REFUSED: &[(&str, &[&str])] = &[
    ("contoller.replicas=3", &["contoller"]),
    ("controller.replica=3", &["/controller", "replica"]),
    ("controller.replicas=0", &["/controller/replicas"]),
    ("controller.shards=0", &["/controller/shards"]),
    ("controller.shards=65", &["/controller/shards"]),
    ("controller.runDeadline=soon", &["/controller/runDeadline"]),
    (
        "controller.resources.limit.memory=1Gi",
        &["/controller/resources", "limit"],
    ),
    ("image.pullPolicy=Sometimes", &["/image/pullPolicy"]),
    ("image.digest=latest", &["/image/digest"]),
    (
        "image.repository=localhost/switchboard:dev",
        &["/image/repository"],
    ),
    ("directory=null", &["missing", "directory"]),
    (
        "directory.ingress.host=https://calls.example.com",
        &["/directory/ingress/host"],
    ),
    ("scope.namespaces=acme", &["/scope/namespaces"]),
    ("scope.namespaces[0]=Acme_1", &["/scope/namespaces/0"]),
    ("scope.namespace=acme", &["/scope", "namespace"]),
    (
        "salesforce.hosts[0]=https://salesforce.com/",
        &["/salesforce/hosts/0"],
    ),
    (
        "salesforce.proxy.url=http://user:secret@proxy.example:3128",
        &["/salesforce/proxy/url"],
    ),
    (
        "worker.podTemplate.nodeSelektor.a=b",
        &["/worker/podTemplate", "nodeSelektor"],
    ),
    (
        "worker.podTemplate.hostNetwork=true",
        &["/worker/podTemplate", "hostNetwork"],
    ),
    (
        "worker.podTemplate.tolerations[0].effect=Never",
        &["/worker/podTemplate/tolerations/0/effect"],
    ),
    (
        "worker.podTemplate.imagePullSecrets[0]=Registry",
        &["/worker/podTemplate/imagePullSecrets/0"],
    ),
    (
        "worker.podTemplate.resources.limit.cpu=1",
        &["/worker/podTemplate/resources", "limit"],
    ),
    (
        "worker.tenantsMay.resources.gpu=1",
        &["/worker/tenantsMay/resources", "gpu"],
    ),
    (
        "worker.tenantsMay.serviceAccountName=x",
        &["/worker/tenantsMay", "serviceAccountName"],
    ),
    ("mail.tls=Off", &["/mail/tls"]),
    ("mail.server=smtp.example:25", &["/mail/server"]),
    (
        "mail.recipientDomains[0]=acme",
        &["/mail/recipientDomains/0"],
    ),
    (
        "mail.server=smtp.example,mail.from=a@b.example",
        &["mail.to", "mail.recipientDomains"],
    ),
    (
        "directory.persistence.size=big",
        &["/directory/persistence/size"],
    ),
    ("directory.retainDays=0", &["/directory/retainDays"]),
    ("directory.service.port=70000", &["/directory/service/port"]),
    (
        "directory.service.ipFamilyPolicy=DualStack",
        &["/directory/service/ipFamilyPolicy"],
    ),
    (
        "directory.service.ipFamilies[0]=IPv5",
        &["/directory/service/ipFamilies/0"],
    ),
    (
        "directory.tls.secretName=Tls",
        &["/directory/tls/secretName"],
    ),
    ("directory.tls.secret=tls", &["/directory/tls", "secret"]),
    (
        "directory.tls.certManager.duration=90d",
        &["/directory/tls/certManager/duration"],
    ),
    (
        "directory.tls.certManager.issuerRef.kind=ClusterIssuer",
        &["directory.tls.certManager.issuerRef", "name the issuer"],
    ),
    (
        "directory.tls.secretName=tls,directory.url=http://directory.example",
        &["directory.url", "write https://"],
    ),
    (
        "directory.tls.caBundle.configMap=ca",
        &[
            "directory.tls.caBundle.configMap",
            "directory.tls.secretName",
        ],
    ),
    ("keys.generate=once", &["/keys/generate"]),
    ("directory.url=directory:8080", &["/directory/url"]),
    (
        "directory.ingress.tlsSecret=calls,directory.ingress.enabled=true",
        &["directory.ingress.host"],
    ),
    (
        "directory.replicas=2",
        &["directory.replicas", "directory.database.existingSecret"],
    ),
    (
        "networkPolicy.apiServerCidrs[0]=everywhere",
        &["/networkPolicy/apiServerCidrs/0"],
    ),
    (
        "networkPolicy.apiServerPorts[0]=https",
        &["/networkPolicy/apiServerPorts/0"],
    ),
    (
        "metrics.serviceMonitor.enabled=yes",
        &["/metrics/serviceMonitor/enabled"],
    ),
    (
        "metrics.prometheusRule.create=true",
        &["/metrics/prometheusRule/create"],
    ),
    (
        "metrics.prometheusRule.runbookUrl=our wiki",
        &["/metrics/prometheusRule/runbookUrl"],
    ),
    ("metrics.perIntegration=-1", &["/metrics/perIntegration"]),
    (
        "directory.database.limit=much",
        &["/directory/database/limit"],
    ),
];

#[tokio::test]
async fn a_wrong_value_is_refused_with_a_sentence_that_names_it() {
    for (values, named) in REFUSED {
        let output = render(&["--set", values]).await;
        assert!(!output.success(), "{values} was let through");
        for name in *named {
            let said = output.stderr.replace("at '", "'");
            assert!(said.contains(name), "{values}: {name:?} is not in\n{said}");
        }
    }
}
