//! SOAP: `login()`, `getUserInfo()`, `getServerTimestamp()` and `logout()`.

use super::envelope::{self, Node};
use super::{Denial, authenticate, instance_url, open_session, remember};
use crate::clock::xml_datetime;
use crate::core::Core;
use crate::message::{Answer, Request};
use crate::org::access::Access;
use crate::org::derived::profile_id;
use crate::org::sessions::LoginMethod;
use crate::org::{Org, User, World, ids};
use crate::rest::{Handled, charge};
use crate::switches::Switches;

/// The WSDL that the caller uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Partner,
    Enterprise,
}

impl Dialect {
    fn word(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Enterprise => "enterprise",
        }
    }

    fn namespace(self) -> String {
        format!("urn:{}.soap.sforce.com", self.word())
    }

    fn letter(self) -> char {
        match self {
            Self::Partner => 'u',
            Self::Enterprise => 'c',
        }
    }
}

/// A fault without its envelope.
struct Fault {
    status: u16,
    kind: &'static str,
    code: String,
    message: String,
    /// Whether the fault code has the prefix `sf:`; real log-in faults do not have it.
    prefixed: bool,
}

impl Fault {
    fn later(code: &str, message: &str) -> Self {
        Self {
            status: 500,
            kind: "UnexpectedErrorFault",
            code: code.into(),
            message: message.into(),
            prefixed: true,
        }
    }

    fn at_login(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: "LoginFault",
            code: code.into(),
            message: message.into(),
            prefixed: false,
        }
    }
}

/// Handles every request under `/services/Soap/`.
pub(crate) fn handle(core: &Core, request: &Request, dialect: Dialect, version: &str) -> Handled {
    let world = core.world();
    let outcome = dispatch(core, &world, request, dialect, version);
    match outcome {
        Ok(handled) => handled,
        Err((kind, user, fault)) => Handled {
            user,
            ..Handled::new(kind, fault_answer(&fault, dialect))
        },
    }
}

type Failed = (&'static str, Option<String>, Fault);

fn dispatch(
    core: &Core,
    world: &World,
    request: &Request,
    dialect: Dialect,
    version: &str,
) -> Result<Handled, Failed> {
    let fail = |fault| ("soap", None, fault);
    if request.method != http::Method::POST {
        return Ok(Handled::new(
            "soap",
            Answer::text(
                405,
                "text/html",
                "<html><body>HTTP method not allowed</body></html>",
            ),
        ));
    }
    if !is_xml(request) {
        let answer = Answer::text(
            415,
            "text/html",
            "<html><body>Unsupported Media Type</body></html>",
        );
        return Ok(Handled::new("soap", answer));
    }
    let switches = &world.switches;
    let number = version
        .parse::<f64>()
        .ok()
        .filter(|number| version.contains('.') && *number <= switches.latest_version);
    let unsupported = || {
        Fault::later(
            "UNSUPPORTED_API_VERSION",
            "Invalid Api version specified on URL",
        )
    };
    let number = number
        .filter(|number| *number >= switches.oldest_version)
        .ok_or_else(|| fail(unsupported()))?;
    if request.header("soapaction").is_none() {
        let message = "SOAPAction HTTP header missing";
        return Err(fail(Fault {
            code: "Client".into(),
            prefixed: false,
            ..Fault::later("", message)
        }));
    }
    let parsed = std::str::from_utf8(&request.body)
        .map_err(|error| error.to_string())
        .and_then(envelope::read);
    let root = parsed.map_err(|error| {
        fail(Fault {
            code: "Client".into(),
            prefixed: false,
            ..Fault::later("", &error)
        })
    })?;
    let operation = root.child("Body").and_then(|body| body.children.first());
    if let Some(node) = operation
        && node.namespace != dialect.namespace()
    {
        return Err(fail(no_operation(node)));
    }
    match operation.map(|node| (node.name.as_str(), node)) {
        Some(("login", login)) => {
            if number >= switches.soap_login_gone_at {
                let gone = Fault::later(
                    "UNSUPPORTED_API_VERSION",
                    "login() is not available in this API version",
                );
                return Err(("soapLogin", None, gone));
            }
            do_login(core, world, request, dialect, version, login)
        }
        Some((name @ ("getUserInfo" | "getServerTimestamp" | "logout"), _)) => {
            with_session(core, world, request, dialect, version, &root, name)
        }
        Some((_, node)) => Err(fail(no_operation(node))),
        None => Err(fail(Fault {
            code: "Client".into(),
            prefixed: false,
            ..Fault::later("", "no operation")
        })),
    }
}

fn no_operation(node: &Node) -> Fault {
    let (namespace, name) = (&node.namespace, &node.name);
    let message = format!("No operation available for request {{{namespace}}}{name}");
    Fault {
        code: "Client".into(),
        prefixed: false,
        ..Fault::later("", &message)
    }
}

/// Whether a body says that it is XML, or says nothing. How Salesforce takes one that says nothing
/// is not known.
fn is_xml(request: &Request) -> bool {
    let kind = request.header("content-type").unwrap_or("text/xml");
    let kind = kind.split(';').next().unwrap_or(kind).trim();
    let kinds = ["text/xml", "application/xml", "application/soap+xml"];
    kinds.iter().any(|xml| kind.eq_ignore_ascii_case(xml))
}

fn do_login(
    core: &Core,
    world: &World,
    request: &Request,
    dialect: Dialect,
    version: &str,
    login: &Node,
) -> Result<Handled, Failed> {
    let username = login.child_text("username").unwrap_or_default().trim();
    let secret = login.child_text("password").unwrap_or_default();
    match authenticate(core, world, request, username, secret, LoginMethod::Soap) {
        Ok((org, user)) => {
            let token = open_session(core, org, user, LoginMethod::Soap, true);
            remember(core, username, LoginMethod::Soap, "OK", "");
            let result = login_result(org, user, &token, request, dialect, version, world);
            let body = format!("<loginResponse><result>{result}</result></loginResponse>");
            let answer = envelope_answer(200, dialect, "", &body);
            Ok(Handled {
                user: Some(user.username.clone()),
                ..Handled::new("soapLogin", answer)
            })
        }
        Err(denial) => {
            let fault = login_fault(denial, &world.switches);
            remember(
                core,
                username,
                LoginMethod::Soap,
                &fault.code,
                denial.cause(),
            );
            let known = world.user(username).map(|(_, user)| user.username.clone());
            Err(("soapLogin", known, fault))
        }
    }
}

const NEW_LOCATION: &str = "Are you at a new location? When accessing Salesforce--either via a desktop client or the \
    API--from outside of your company's trusted networks, you must add a security token to your password to log in. To \
    get your new security token, log in to Salesforce. From your personal settings, enter Reset My Security Token in \
    the Quick Find box, then select Reset My Security Token.";

fn login_fault(denial: Denial, switches: &Switches) -> Fault {
    let generic = switches.invalid_login_message.as_str();
    let (code, message) = match denial {
        Denial::TokenNeeded => (
            "LOGIN_MUST_USE_SECURITY_TOKEN",
            format!("{generic} {NEW_LOCATION}"),
        ),
        Denial::RestrictedTime => (
            "LOGIN_DURING_RESTRICTED_TIME",
            switches.restricted_time_message.clone(),
        ),
        Denial::RestrictedDomain => (
            "LOGIN_DURING_RESTRICTED_DOMAIN",
            switches.restricted_domain_message.clone(),
        ),
        Denial::ApiDisabledForOrg => (
            "API_DISABLED_FOR_ORG",
            switches.soap_api_disabled_message.clone(),
        ),
        Denial::ApiDisabledForUser => (
            "API_CURRENTLY_DISABLED",
            "API is disabled for this User".to_owned(),
        ),
        Denial::SoapLoginOff | Denial::AnyApiAuthNeeded => (
            "INSUFFICIENT_ACCESS",
            switches.soap_login_disabled_message.clone(),
        ),
        Denial::Maintenance => (
            "SERVER_UNAVAILABLE",
            "We are performing maintenance. Try again later.".to_owned(),
        ),
        Denial::RateExceeded => (
            switches.login_rate_code.as_str(),
            "Login Rate Exceeded".to_owned(),
        ),
        Denial::Locked if switches.password_lockout_fault => {
            ("PASSWORD_LOCKOUT", generic.to_owned())
        }
        _ => ("INVALID_LOGIN", generic.to_owned()),
    };
    Fault::at_login(switches.login_fault_status, code, message)
}

fn with_session(
    core: &Core,
    world: &World,
    request: &Request,
    dialect: Dialect,
    version: &str,
    root: &Node,
    operation: &str,
) -> Result<Handled, Failed> {
    let now = core.clock.now();
    let invalid = || {
        let message = "Invalid Session ID found in SessionHeader: Illegal Session. Session not found, missing session hash";
        (
            "soapCall",
            None,
            Fault::later("INVALID_SESSION_ID", message),
        )
    };
    let header = root.child("Header").ok_or_else(invalid)?;
    let token = header
        .find("sessionId")
        .map(|node| node.text.trim().to_owned())
        .ok_or_else(invalid)?;
    let session = core
        .runtime()
        .sessions
        .touch(&token, now, world.switches.session_ttl)
        .ok_or_else(invalid)?;
    let (org, user) = world
        .user(&session.username)
        .filter(|(_, u)| u.active && !u.frozen)
        .ok_or_else(invalid)?;
    let refuse = |code: &str, message: &str| {
        Err((
            "soapCall",
            Some(user.username.clone()),
            Fault::later(code, message),
        ))
    };
    if !org.api {
        return refuse(
            "API_DISABLED_FOR_ORG",
            &world.switches.soap_api_disabled_message,
        );
    }
    if !Access::of(org, user, &world.switches).may("ApiEnabled") {
        return refuse("API_CURRENTLY_DISABLED", "API is disabled for this User");
    }
    if session.password_expired {
        return refuse(
            "INVALID_OPERATION_WITH_EXPIRED_PASSWORD",
            "The users password has expired, you must call SetPassword before attempting any other API operations",
        );
    }
    let mut runtime = core.runtime();
    let spent = runtime.quotas.entry(org.id.clone()).or_default().used(now);
    if spent >= org.allocation().saturating_add(org.overrun) {
        return refuse(
            "REQUEST_LIMIT_EXCEEDED",
            &world.switches.request_limit_message,
        );
    }
    let used = charge(&mut runtime, org, user, "soapCall", 1, now);
    let body = match operation {
        "getUserInfo" => {
            let info = user_info(org, user, world);
            format!("<getUserInfoResponse><result>{info}</result></getUserInfoResponse>")
        }
        "logout" => {
            runtime.sessions.close(&token);
            "<logoutResponse/>".to_owned()
        }
        _ => format!(
            "<getServerTimestampResponse><result><timestamp>{}</timestamp></result></getServerTimestampResponse>",
            xml_datetime(now)
        ),
    };
    let _ = (request, version);
    let header = format!(
        "<soapenv:Header><LimitInfoHeader><limitInfo><current>{used}</current><limit>{}</limit><type>API \
         REQUESTS</type></limitInfo></LimitInfoHeader></soapenv:Header>",
        org.allocation()
    );
    let answer = envelope_answer(200, dialect, &header, &body);
    Ok(Handled {
        user: Some(user.username.clone()),
        ..Handled::new("soapCall", answer)
    })
}

fn login_result(
    org: &Org,
    user: &User,
    token: &str,
    request: &Request,
    dialect: Dialect,
    version: &str,
    world: &World,
) -> String {
    let base = instance_url(org, request);
    let org15 = ids::shorten(&org.id);
    format!(
        "<metadataServerUrl>{base}/services/Soap/m/{version}/{org15}</metadataServerUrl>\
         <passwordExpired>{}</passwordExpired><sandbox>{}</sandbox>\
         <serverUrl>{base}/services/Soap/{}/{version}/{org15}</serverUrl>\
         <sessionId>{token}</sessionId><userId>{}</userId><userInfo>{}</userInfo>",
        user.password_expired,
        org.sandbox,
        dialect.letter(),
        user.id,
        user_info(org, user, world),
        base = envelope::text(&base),
    )
}

fn user_info(org: &Org, user: &User, world: &World) -> String {
    format!(
        "<accessibilityMode>false</accessibilityMode><chatterExternal>false</chatterExternal>\
         <currencySymbol>\u{a5}</currencySymbol><orgAttachmentFileSizeLimit>26214400</orgAttachmentFileSizeLimit>\
         <orgDefaultCurrencyIsoCode>JPY</orgDefaultCurrencyIsoCode>\
         <orgDefaultCurrencyLocale>ja_JP</orgDefaultCurrencyLocale>\
         <orgDisallowHtmlAttachments>false</orgDisallowHtmlAttachments>\
         <orgHasPersonAccounts>{}</orgHasPersonAccounts><organizationId>{}</organizationId>\
         <organizationMultiCurrency>false</organizationMultiCurrency><organizationName>{}</organizationName>\
         <profileId>{}</profileId><roleId xsi:nil=\"true\"/>\
         <sessionSecondsValid>{}</sessionSecondsValid><userDefaultCurrencyIsoCode xsi:nil=\"true\"/>\
         <userEmail>{}</userEmail><userFullName>{}</userFullName><userId>{}</userId>\
         <userLanguage>{}</userLanguage><userLocale>{}</userLocale><userName>{}</userName>\
         <userTimeZone>{}</userTimeZone><userType>Standard</userType><userUiSkin>Theme3</userUiSkin>",
        org.person_accounts,
        org.id,
        envelope::text(&org.name),
        profile_id(org, &user.profile),
        world.switches.session_ttl.as_secs(),
        envelope::text(user.email()),
        envelope::text(&user.full_name()),
        user.id,
        envelope::text(&user.language),
        envelope::text(&user.locale),
        envelope::text(&user.username),
        envelope::text(&user.time_zone),
    )
}

fn envelope_answer(status: u16, dialect: Dialect, header: &str, body: &str) -> Answer {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"urn:{}.soap.sforce.com\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">{header}<soapenv:Body>{body}</soapenv:Body>\
         </soapenv:Envelope>",
        dialect.word()
    );
    Answer::text(status, "text/xml;charset=utf-8", text)
}

fn fault_answer(fault: &Fault, dialect: Dialect) -> Answer {
    let (code, message) = (envelope::text(&fault.code), envelope::text(&fault.message));
    let prefix = match (fault.prefixed, fault.code.as_str()) {
        (_, "Client") => "soapenv:",
        (true, _) => "sf:",
        (false, _) => "",
    };
    let detail = match fault.code.as_str() {
        "Client" => String::new(),
        _ => format!(
            "<detail><sf:{kind} xsi:type=\"sf:{kind}\"><sf:exceptionCode>{code}</sf:exceptionCode>\
             <sf:exceptionMessage>{message}</sf:exceptionMessage></sf:{kind}></detail>",
            kind = fault.kind
        ),
    };
    let string = if detail.is_empty() {
        message.to_string()
    } else {
        format!("{code}: {message}")
    };
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:sf=\"urn:fault.{}.soap.sforce.com\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><soapenv:Fault>\
         <faultcode>{prefix}{code}</faultcode><faultstring>{string}</faultstring>{detail}</soapenv:Fault>\
         </soapenv:Body></soapenv:Envelope>",
        dialect.word()
    );
    Answer::text(fault.status, "text/xml;charset=utf-8", text)
}

/// A SOAP fault with this code, for deliberate faults.
pub(crate) fn fault(code: &str, message: &str) -> Answer {
    fault_answer(&Fault::later(code, message), Dialect::Partner)
}
