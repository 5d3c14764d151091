//! Salesforce's own hosts: which there are, which of them only serve pages for browsers, and which
//! host takes the log-in instead (facts: Salesforce 1.4).

use url::Url;

use super::environment::Environment;

/// One of Salesforce's clouds. Each has domains and log-in hosts of its own.
struct Cloud {
    /// The domain of log-in hosts, My Domains and instances.
    domain: &'static str,
    /// All domains of the cloud; the dial guard permits those of them that take requests.
    domains: &'static [&'static str],
    /// Domains of pages for browsers, below which the name is that of My Domain.
    pages: &'static [&'static str],
    /// Domains of Visualforce and file pages, below which the name has a package's behind it.
    package_pages: &'static [&'static str],
    /// The audiences of a JWT for production and for a sandbox.
    audiences: (&'static str, &'static str),
}

const CLOUDS: &[Cloud] = &[
    Cloud {
        domain: "salesforce.com",
        domains: &[
            "salesforce.com",
            "force.com",
            "cloudforce.com",
            "salesforce-setup.com",
            "salesforce-sites.com",
            "salesforce-experience.com",
            "my.site.com",
        ],
        pages: &["lightning.force.com", "my.salesforce-setup.com"],
        package_pages: &[
            "vf.force.com",
            "visual.force.com",
            "file.force.com",
            "content.force.com",
        ],
        audiences: (
            "https://login.salesforce.com",
            "https://test.salesforce.com",
        ),
    },
    Cloud {
        domain: "salesforce.mil",
        domains: &["salesforce.mil", "crmforce.mil", "salesforce-setup.mil"],
        pages: &["lightning.crmforce.mil", "my.salesforce-setup.mil"],
        package_pages: &["vf.crmforce.mil", "file.crmforce.mil"],
        audiences: (
            "https://login.salesforce.mil",
            "https://test.salesforce.mil",
        ),
    },
    Cloud {
        domain: "sfcrmproducts.cn",
        domains: &["sfcrmproducts.cn", "sfcrmapps.cn"],
        pages: &["lightning.sfcrmapps.cn"],
        package_pages: &["vf.sfcrmapps.cn", "file.sfcrmapps.cn"],
        audiences: (
            "https://login.sfcrmproducts.cn",
            "https://test.sfcrmproducts.cn",
        ),
    },
];

/// Salesforce's own pages for people, which are no organization's.
const WEB_SITES: &[&str] = &[
    "salesforce.com",
    "www.salesforce.com",
    "welcome.salesforce.com",
    "help.salesforce.com",
    "status.salesforce.com",
    "trust.salesforce.com",
    "trailhead.salesforce.com",
    "developer.salesforce.com",
    "appexchange.salesforce.com",
    "setup.salesforce.com",
    "my.salesforce.com",
];

/// A host that only serves pages for browsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    /// The host that takes log-ins instead; `None` if the name does not tell it.
    pub(crate) instead: Option<String>,
}

/// Whether the host belongs to Salesforce.
pub(crate) fn is_salesforces(host: &str) -> bool {
    cloud(&name(host)).is_some()
}

/// The place where a user name is of one user: a cloud of Salesforce, whichever of its hosts takes
/// the log-in, or the gateway or test server of this address (facts: Salesforce 1.3).
pub(crate) fn one_user_base(login_url: &Url) -> String {
    let host = name(login_url.host_str().unwrap_or_default());
    if let Some(cloud) = cloud(&host) {
        return cloud.domain.to_owned();
    }
    let port = login_url.port_or_known_default().unwrap_or_default();
    let is_loopback = match login_url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        _ => false,
    };
    let host = if is_loopback { "localhost" } else { &host };
    format!("{host}:{port}")
}

/// Whether the host only serves pages for browsers, and what to write instead.
pub(crate) fn for_browsers(host: &str) -> Option<Pages> {
    let host = name(host);
    if WEB_SITES.contains(&host.as_str()) {
        let instead = Some("login.salesforce.com".to_owned());
        return Some(Pages { instead });
    }
    let cloud = cloud(&host)?;
    let below = |domains: &[&str]| domains.iter().find_map(|domain| front(&host, domain));
    if let Some(front) = below(cloud.pages) {
        let instead = Some(format!("{front}.my.{}", cloud.domain));
        return Some(Pages { instead });
    }
    let front = below(cloud.package_pages)?;
    let (first, rest) = front.split_once('.').unwrap_or((front, ""));
    // acme--c, a sandbox acme--uat--c; an older host has the instance behind it, such as na1 or
    // cs5.
    let instead = first.rsplit_once("--").map(|(org, _package)| {
        let partition = match rest {
            "sandbox" | "develop" | "scratch" | "demo" | "patch" | "trailblaze" | "free" => rest,
            _ if org.contains("--") => "sandbox",
            _ => "",
        };
        let dot = if partition.is_empty() { "" } else { "." };
        format!("{org}{dot}{partition}.my.{}", cloud.domain)
    });
    Some(Pages { instead })
}

/// Whether the host takes log-ins by its name: that of all organizations, a My Domain, or an older
/// instance such as na1.
pub(crate) fn takes_log_ins(host: &str) -> bool {
    let host = name(host);
    let Some(cloud) = cloud(&host) else {
        return false;
    };
    let is_instance = |front: &str| {
        let letters = front.trim_end_matches(|c: char| c.is_ascii_digit());
        letters.len() < front.len() && (2..=4).contains(&letters.len())
    };
    let of_org = front(&host, cloud.domain).is_some_and(|front| {
        let my_domain = front.strip_suffix(".my");
        my_domain.is_some_and(|org| !org.is_empty()) || is_instance(front)
    });
    of_org || shared_by_all(&host).is_some() || front(&host, "cloudforce.com").is_some()
}

/// What to write instead of a log-in URL that only serves pages for browsers; `None` for all other
/// URLs.
pub fn host_instead_of_pages(login_url: &Url) -> Option<String> {
    let pages = for_browsers(login_url.host_str()?)?;
    Some(pages.instead.map_or_else(
        || "the org's My Domain, such as https://acme.my.salesforce.com".to_owned(),
        |host| format!("https://{host}"),
    ))
}

/// Whether the host takes the log-ins of all organizations of its cloud: `login` or `test`.
pub(crate) fn shared_by_all(host: &str) -> Option<Environment> {
    let host = name(host);
    let cloud = cloud(&host)?;
    match front(&host, cloud.domain)? {
        "login" => Some(Environment::Production),
        "test" => Some(Environment::Sandbox),
        _ => None,
    }
}

/// Whether the host is the My Domain of a sandbox: its name has the sandbox's behind two hyphens,
/// and in newer organizations `sandbox` follows (facts: Salesforce 1.4).
pub(crate) fn is_of_a_sandbox(host: &str) -> bool {
    let host = name(host);
    let my_domain = cloud(&host).and_then(|cloud| front(&host, cloud.domain));
    let first = my_domain.and_then(|front| front.strip_suffix(".my")?.split('.').next());
    host.contains(".sandbox.") || first.is_some_and(|first| first.contains("--"))
}

/// The audience of a JWT for a log-in at this URL. It is never the My Domain host
/// (<https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_jwt_flow.htm>), and each
/// cloud has its own (facts: Salesforce 1.4).
pub(crate) fn jwt_audience(login_url: &Url, environment: Environment) -> &'static str {
    let host = name(login_url.host_str().unwrap_or_default());
    let (production, sandbox) = cloud(&host).unwrap_or(&CLOUDS[0]).audiences;
    match environment {
        Environment::Production => production,
        Environment::Sandbox => sandbox,
    }
}

fn cloud(host: &str) -> Option<&'static Cloud> {
    CLOUDS.iter().find(|cloud| {
        let mut domains = cloud.domains.iter();
        domains.any(|domain| host == *domain || front(host, domain).is_some())
    })
}

/// What stands before a domain, without its dot.
fn front<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    host.strip_suffix(domain)?
        .strip_suffix('.')
        .filter(|front| !front.is_empty())
}

fn name(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_browsers_leads_to_the_host_that_takes_log_ins() {
        for (page, instead) in [
            ("acme.lightning.force.com", Some("acme.my.salesforce.com")),
            ("ACME.Lightning.Force.com.", Some("acme.my.salesforce.com")),
            (
                "acme--uat.sandbox.lightning.force.com",
                Some("acme--uat.sandbox.my.salesforce.com"),
            ),
            (
                "acme-dev-ed.develop.lightning.force.com",
                Some("acme-dev-ed.develop.my.salesforce.com"),
            ),
            (
                "acme.my.salesforce-setup.com",
                Some("acme.my.salesforce.com"),
            ),
            (
                "acme--uat.sandbox.my.salesforce-setup.com",
                Some("acme--uat.sandbox.my.salesforce.com"),
            ),
            ("acme--c.vf.force.com", Some("acme.my.salesforce.com")),
            (
                "acme--uat--c.sandbox.vf.force.com",
                Some("acme--uat.sandbox.my.salesforce.com"),
            ),
            (
                "acme--c.na1.visual.force.com",
                Some("acme.my.salesforce.com"),
            ),
            (
                "acme--uat--c.cs5.visual.force.com",
                Some("acme--uat.sandbox.my.salesforce.com"),
            ),
            ("c.na1.visual.force.com", None),
            (
                "acme.lightning.crmforce.mil",
                Some("acme.my.salesforce.mil"),
            ),
            (
                "acme.lightning.sfcrmapps.cn",
                Some("acme.my.sfcrmproducts.cn"),
            ),
            ("www.salesforce.com", Some("login.salesforce.com")),
        ] {
            let found = for_browsers(page).expect(page);
            assert_eq!(found.instead.as_deref(), instead, "{page}");
        }
        for takes_log_ins in [
            "login.salesforce.com",
            "acme.my.salesforce.com",
            "acme--uat.sandbox.my.salesforce.com",
            "na1.salesforce.com",
            "acme.my.salesforce.mil",
            "acme.cloudforce.com",
            "localhost",
            "acme.lightning.force.com.evil.example",
        ] {
            assert_eq!(for_browsers(takes_log_ins), None, "{takes_log_ins}");
        }
    }

    #[test]
    fn a_host_for_log_ins_is_known_by_its_name() {
        for takes in [
            "login.salesforce.com",
            "test.salesforce.mil",
            "acme.my.salesforce.com",
            "acme--uat.sandbox.my.salesforce.com",
            "acme.my.sfcrmproducts.cn",
            "na1.salesforce.com",
            "acme.cloudforce.com",
        ] {
            assert!(takes_log_ins(takes), "{takes}");
        }
        for page in [
            "status.salesforce.com",
            "help.salesforce.com",
            "c.salesforce.com",
            "maintenance.force.com",
            "acme.my.site.com",
            "my.salesforce.com",
            "acme.my.salesforce.com.evil.example",
        ] {
            assert!(!takes_log_ins(page), "{page}");
        }
    }

    #[test]
    fn a_host_is_salesforces_by_its_whole_labels() {
        for own in [
            "login.salesforce.com",
            "acme.my.salesforce.mil",
            "acme.cloudforce.com",
            "acme.my.site.com",
        ] {
            assert!(is_salesforces(own), "{own}");
        }
        for foreign in [
            "evilsalesforce.com",
            "salesforce.com.evil.example",
            "site.com",
            "portal.hotel.example",
            "",
        ] {
            assert!(!is_salesforces(foreign), "{foreign}");
        }
    }

    #[test]
    fn each_cloud_has_its_audience() {
        let audience = |url: &str, environment| jwt_audience(&url.parse().unwrap(), environment);
        use Environment::*;
        for (url, environment, expected) in [
            (
                "https://acme.my.salesforce.com",
                Production,
                "https://login.salesforce.com",
            ),
            (
                "https://acme--uat.sandbox.my.salesforce.com",
                Sandbox,
                "https://test.salesforce.com",
            ),
            (
                "https://acme.cloudforce.com",
                Production,
                "https://login.salesforce.com",
            ),
            (
                "https://acme.my.salesforce.mil",
                Production,
                "https://login.salesforce.mil",
            ),
            (
                "https://acme.my.salesforce.mil",
                Sandbox,
                "https://test.salesforce.mil",
            ),
            (
                "https://acme.crmforce.mil",
                Production,
                "https://login.salesforce.mil",
            ),
            (
                "https://acme.my.sfcrmproducts.cn",
                Production,
                "https://login.sfcrmproducts.cn",
            ),
            (
                "https://localhost:8443",
                Production,
                "https://login.salesforce.com",
            ),
        ] {
            assert_eq!(audience(url, environment), expected, "{url}");
        }
    }

    #[test]
    fn the_hosts_of_all_organizations_are_known() {
        assert_eq!(
            shared_by_all("LOGIN.salesforce.com"),
            Some(Environment::Production)
        );
        assert_eq!(
            shared_by_all("test.salesforce.mil"),
            Some(Environment::Sandbox)
        );
        for own in [
            "acme.my.salesforce.com",
            "login.acme.my.salesforce.com",
            "login.example",
        ] {
            assert_eq!(shared_by_all(own), None, "{own}");
        }
    }
}
