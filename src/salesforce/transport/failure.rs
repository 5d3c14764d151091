//! What it means when no usable response came: redirects, and failures of network and TLS with
//! their exact causes.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::HeaderMap;
use http::header::LOCATION;
use url::Url;

use super::dial::DialError;
use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::credentials::hosts;

/// Converts the dial guard's refusal to the client's error.
pub(crate) fn refused(refusal: &DialError, phase: Phase) -> Error {
    Error::new(Meaning::HostNotAllowed, phase, format!("{refusal}."))
}

/// The error for a redirect, which is never followed: it would take the credentials with it.
pub(super) fn redirected(headers: &HeaderMap, host: &str, status: u16, phase: Phase) -> Error {
    let target = headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|location| {
            let from = Url::parse(&format!("https://{host}/")).ok()?;
            Some(from.join(location).ok()?.host_str()?.to_owned())
        })
        .unwrap_or_else(|| host.to_owned());
    let told = format!("{host} answered with a redirect to {target} (HTTP {status}), which is not");
    let (meaning, detail) = if hosts::is_salesforces(&target) {
        let instead = match hosts::for_browsers(&target) {
            Some(pages) => pages.instead,
            None => Some(target.clone()),
        };
        let instead = instead.filter(|instead| hosts::takes_log_ins(instead));
        let advice = match instead.filter(|instead| !instead.eq_ignore_ascii_case(host)) {
            Some(instead) => format!("write https://{instead} into loginUrl."),
            None => "it is a page for people, of maintenance perhaps; if it goes on, write the host that Setup > My Domain shows into loginUrl.".to_owned(),
        };
        (Meaning::LoginUrlMoved, format!("{told} followed: {advice}"))
    } else {
        let advice = "a captive portal or a proxy, or a host that moved.";
        (
            Meaning::UnexpectedAnswer,
            format!("{told} followed: {advice}"),
        )
    };
    Error::new(meaning, phase, detail).with_status(status)
}

/// The cause of a failure, found in the chain of errors. The text of the HTTP library is not
/// quoted, because it may contain the URL.
pub(super) fn broken(error: &reqwest::Error, host: &str, phase: Phase) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let mut io_kind = None;
    while let Some(current) = cause {
        if let Some(refusal) = current.downcast_ref::<DialError>() {
            return refused(refusal, phase);
        }
        // The library does not export the type of this error.
        if current
            .to_string()
            .ends_with("proxy authorization required")
        {
            let detail = format!("the proxy on the way to {host} wants a user and a password.");
            return Error::new(Meaning::ProxyLoginRequired, phase, detail);
        }
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return tls_error(tls, host, phase);
        }
        if let Some(io) = current.downcast_ref::<io::Error>() {
            io_kind = Some(io.kind());
            // An io::Error does not return its inner error from source(), so the inner error is
            // read directly.
            let inner = io.get_ref().map(|inner| inner as &(dyn StdError + 'static));
            if inner.is_some() {
                cause = inner;
                continue;
            }
        }
        cause = current.source();
    }
    let unreachable = |detail: String| Error::new(Meaning::Unreachable, phase, detail);
    if error.is_dns() {
        return unreachable(format!("the name {host} cannot be resolved."));
    }
    if error.is_connect() && error.is_timeout() {
        return unreachable(format!("no connection to {host} came about in time.")).repeatable();
    }
    if error.is_connect() {
        let reason = match io_kind {
            Some(io::ErrorKind::ConnectionRefused) => "refuses the connection",
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => {
                "breaks the connection off"
            }
            Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
                "has no route from here"
            }
            _ => "cannot be connected to",
        };
        return unreachable(format!("{host} {reason}.")).repeatable();
    }
    if error.is_timeout() {
        return unreachable(format!("{host} did not answer in time."));
    }
    if error.is_decode() {
        return broken_off(host, phase);
    }
    unreachable(format!(
        "the connection to {host} broke before the answer was complete."
    ))
    .repeatable()
}

/// The error for a body that is not packed as its headers say.
pub(super) fn broken_off(host: &str, phase: Phase) -> Error {
    let detail = format!("the answer of {host} broke off or is not what its headers say.");
    Error::new(Meaning::Unreachable, phase, detail).repeatable()
}

/// The error for a body with more bytes than are read.
pub(super) fn too_large(host: &str, most: usize, phase: Phase) -> Error {
    let detail = format!("{host} sent more than {most} bytes; the rest was not read.");
    Error::new(Meaning::UnexpectedAnswer, phase, detail)
}

/// The error for an answer that takes longer than it may.
pub(super) fn unfinished(host: &str, limit: Duration, phase: Phase) -> Error {
    let detail = format!(
        "{host} did not finish its answer within {} s.",
        limit.as_secs_f32()
    );
    Error::new(Meaning::Unreachable, phase, detail)
}

/// The error for a body whose rest does not come.
pub(super) fn stopped(host: &str, waited: Duration, phase: Phase) -> Error {
    let detail = format!(
        "{host} stopped in the middle of its answer and sent nothing more within {} s.",
        waited.as_secs_f32()
    );
    Error::new(Meaning::Unreachable, phase, detail)
}

fn tls_error(error: &rustls::Error, host: &str, phase: Phase) -> Error {
    match error {
        rustls::Error::InvalidCertificate(reason) => {
            let detail = format!("the certificate of {host} was not accepted ({reason}).");
            Error::new(Meaning::CertificateUntrusted, phase, detail)
        }
        other => Error::new(
            Meaning::Unreachable,
            phase,
            format!("no TLS session with {host} came about ({other})."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;
    use rustls::pki_types::ServerName;

    use super::*;
    use crate::salesforce::text::Redactor;

    fn location(target: &str) -> HeaderMap {
        HeaderMap::from_iter([(LOCATION, target.parse().unwrap())])
    }

    #[test]
    fn a_redirect_to_a_host_of_salesforces_says_what_to_write() {
        let old = "old.my.salesforce.com";
        for (host, target, says) in [
            (
                old,
                "https://acme.my.salesforce.com/services/oauth2/token",
                "write https://acme.my.salesforce.com into loginUrl",
            ),
            (
                old,
                "https://acme.my.salesforce.com:443/services/Soap/u/50.0",
                "write https://acme.my.salesforce.com into loginUrl",
            ),
            (
                "acme.lightning.force.com",
                "https://acme.my.salesforce.com/services/Soap/u/50.0",
                "write https://acme.my.salesforce.com into loginUrl",
            ),
            (
                old,
                "https://acme.lightning.force.com/one",
                "write https://acme.my.salesforce.com into loginUrl",
            ),
            (
                old,
                "https://acme.my.salesforce.mil/",
                "write https://acme.my.salesforce.mil into loginUrl",
            ),
            (
                old,
                "https://acme--uat.sandbox.my.salesforce.com/",
                "write https://acme--uat.sandbox.my.salesforce.com into loginUrl",
            ),
            (old, "/login", "Setup > My Domain shows"),
            (
                old,
                "https://acme.my.site.com/s/",
                "Setup > My Domain shows",
            ),
            (
                old,
                "https://old.lightning.force.com/",
                "Setup > My Domain shows",
            ),
            (
                "login.salesforce.com",
                "https://LOGIN.salesforce.com/?ec=302",
                "Setup > My Domain shows",
            ),
        ] {
            for status in [301, 302, 307, 308] {
                let error = redirected(&location(target), host, status, Phase::Login);
                let said = error.message();
                assert_eq!(error.meaning(), Meaning::LoginUrlMoved, "{target}: {said}");
                assert!(said.contains(says), "{target}: {said}");
                let all = format!("{said} {} {}", error.meaning().cause(), error.remedy());
                assert!(
                    !all.contains("captive portal") && !error.refused_login(),
                    "{all}"
                );
            }
        }
        for target in [
            "https://portal.hotel.example/",
            "https://salesforce.com.evil.example/",
            "https://evilsalesforce.com/",
        ] {
            let error = redirected(&location(target), old, 302, Phase::Login);
            assert_eq!(error.meaning(), Meaning::UnexpectedAnswer, "{target}");
            assert!(error.message().contains("captive portal"), "{error}");
        }
    }

    #[test]
    fn the_names_in_a_certificate_hold_no_secret() {
        let names = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("login.salesforce.com").unwrap(),
            presented: vec!["DnsName(\"marker-password.example\")".to_owned()],
        };
        let error = tls_error(
            &rustls::Error::InvalidCertificate(names),
            "login.salesforce.com",
            Phase::Login,
        );
        assert!(error.message().contains("marker"), "{error}");
        let error = error.redacted(&Redactor::new(["marker-password".into()]));
        assert!(!error.message().contains("marker"), "{error}");
        assert!(error.message().contains("not valid for"), "{error}");
    }
}
