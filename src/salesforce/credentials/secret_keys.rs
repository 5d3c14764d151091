//! The keys of a Secret that hold a credential, and the code that builds the credential from them.
//! It is the same in the cluster, in a worker's pod and on a laptop.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::private_key::NotAKey;
use super::{Credentials, Method, private_key};
use crate::plain_text::acts;

/// A key of a Secret that a log-in method uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// The key's name in the Secret.
    pub name: &'static str,
    /// Whether the method requires this key.
    pub required: bool,
}

/// The reason why no credential can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// A key that the method needs is missing.
    #[error("the key {0:?} is missing")]
    Missing(&'static str),
    /// A key's value cannot be used.
    #[error("the key {0:?} {1}")]
    Unusable(&'static str, Unusable),
    /// The method logs in a user, but no user name is given.
    #[error("no user name is given")]
    Username,
}

/// Why a secret's value cannot be used. The text continues a sentence that names the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The value is larger than any credential.
    #[error(
        "has {0} bytes, and no key, password or token has more than {MAX_BYTES}; put only the credential there"
    )]
    TooLong(usize),
    /// The value is not UTF-8.
    #[error("is not text in UTF-8")]
    NotText,
    /// The value is empty after its line ends are removed.
    #[error("is empty")]
    Empty,
    /// The value stands in quotes.
    #[error("stands in quotes, as a file of environment variables keeps it; take the quotes away")]
    Quoted,
    /// The value has a blank or a line end in its middle.
    #[error(
        "has a blank, a line end or a control character in its middle, which Salesforce never puts there; copy it again"
    )]
    Blank,
    /// The value was encoded twice.
    #[error(
        "is base64 of a text; data of a Secret is encoded once, so put the plain text under stringData, or encode it only once"
    )]
    Base64,
    /// The value has a mark in it that Salesforce never puts there.
    #[error(
        "has a quote, comma, backslash, bracket, accent, full-width letter or the like in it, which Salesforce never puts there; copy the value alone"
    )]
    Mark,
    /// The value has a line end or a control character in its middle.
    #[error(
        "has a line end or a control character in its middle, which nobody can type as a password; copy it again"
    )]
    Control,
    /// The value was to be replaced by a tool that did not run.
    #[error(
        "is a placeholder that some tool was to replace; put the value itself into the Secret, or see why the tool did not"
    )]
    Placeholder,
    /// The value says that there is none.
    #[error(
        "says that there is no value (null, none, undefined); put the value in, or leave the key out where none is needed"
    )]
    NoValue,
    /// The value has the name of its key in front.
    #[error(
        "begins with a name and an equals sign or colon, as a line of a file has it; leave only what stands behind it"
    )]
    WithName,
    /// The security token has the password in front of it, which has a key of its own.
    #[error(
        "begins with the password, which the key \"password\" holds, too; leave only the security token there"
    )]
    PasswordInFront,
    /// The value stands twice in its key.
    #[error("holds the same value twice; leave it once")]
    Twice,
    /// The same value stands under another key.
    #[error(
        "holds the same value as the key {0:?}; each has a value of its own, so put the right one into each"
    )]
    SameAs(&'static str),
    /// The client id has a mark that none has.
    #[error(
        "is an address, a link or a pair of values, and no client id; copy the consumer key of the app alone"
    )]
    NotAClientId,
    /// The password has the security token behind it, which has a key of its own.
    #[error(
        "ends with the security token, which the key \"securityToken\" holds, too; leave only the password there"
    )]
    TokenAppended,
    /// The value is not a private key for RSA.
    #[error(transparent)]
    NotAKey(#[from] NotAKey),
}

/// A secret's value as text, without the line ends and the byte order mark around it: `echo` and
/// editors add them, and a PEM key does not need its last one.
///
/// # Errors
/// Fails if the value is not text in UTF-8, or in UTF-16 with a byte order mark, is empty, or is
/// larger than any credential.
pub fn secret_text(bytes: &[u8]) -> Result<SecretString, Unusable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unusable::TooLong(bytes.len()));
    }
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => std::str::from_utf8(bytes)
            .ok()
            .map(|text| Zeroizing::new(text.to_owned())),
    };
    let text = text.ok_or(Unusable::NotText)?;
    let text = text.trim_matches(|c: char| matches!(c, '\r' | '\n') || invisible(c));
    if text.is_empty() {
        return Err(Unusable::Empty);
    }
    Ok(SecretString::from(text))
}

/// The most bytes of a value: a private key with its chain of certificates, in base64 of base64,
/// has a third.
const MAX_BYTES: usize = 64 << 10;

/// Marks without a width, which web pages and messengers leave around what is copied, and the byte
/// order mark.
fn invisible(c: char) -> bool {
    acts(c) && !c.is_control()
}

/// What PowerShell writes into a file.
fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Zeroizing<String>> {
    let (units, []) = bytes.as_chunks::<2>() else {
        return None;
    };
    let text: Result<String, _> =
        char::decode_utf16(units.iter().map(|bytes| unit(*bytes))).collect();
    text.ok().map(Zeroizing::new)
}

/// The value of one key as it is meant. What cannot belong to it is taken away where that leaves no
/// doubt; otherwise it is refused before a log-in is spent.
fn meant(key: SecretKey, bytes: &[u8]) -> Result<SecretString, Unusable> {
    let text = secret_text(bytes);
    if key.name == PRIVATE_KEY.name {
        return match text {
            Err(Unusable::NotText) => Ok(private_key::from_der(bytes)?),
            text => Ok(private_key::read(text?.expose_secret())?),
        };
    }
    let text = text?;
    let mut text = text.expose_secret();
    // A password may have blanks; everything else is made by Salesforce and has none.
    if key.name != PASSWORD.name {
        text = text.trim_matches(|c: char| c.is_whitespace() || invisible(c));
        if text.is_empty() {
            return Err(Unusable::Empty);
        }
    }
    if quoted(text) {
        return Err(Unusable::Quoted);
    }
    if says_none(text) {
        return Err(Unusable::NoValue);
    }
    if is_placeholder(text) {
        return Err(Unusable::Placeholder);
    }
    if with_name(key, text) {
        return Err(Unusable::WithName);
    }
    if key.name == PASSWORD.name {
        if text.contains(char::is_control) {
            return Err(Unusable::Control);
        }
    } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Unusable::Blank);
    } else if text.contains(|c: char| "\"'`\\,;<>(){}[]".contains(c) || !c.is_ascii()) {
        return Err(Unusable::Mark);
    } else if key.name == CLIENT_ID.name && text.contains(['@', '/', ':']) {
        return Err(Unusable::NotAClientId);
    }
    if encoded_twice(text) {
        return Err(Unusable::Base64);
    }
    if key.name != PASSWORD.name && twice(text) {
        return Err(Unusable::Twice);
    }
    Ok(SecretString::from(text))
}

fn quoted(text: &str) -> bool {
    const QUOTES: [(char, char); 11] = [
        ('"', '"'),
        ('\'', '\''),
        ('`', '`'),
        ('\u{201c}', '\u{201d}'),
        ('\u{201d}', '\u{201d}'),
        ('\u{201e}', '\u{201c}'),
        ('\u{2018}', '\u{2019}'),
        ('\u{201a}', '\u{2018}'),
        ('\u{ab}', '\u{bb}'),
        ('\u{300c}', '\u{300d}'),
        ('\u{ff02}', '\u{ff02}'),
    ];
    // As the line of a JSON file has it.
    let text = text.trim().trim_end_matches([',', ';']);
    let mut chars = text.chars();
    let around = chars.next().zip(chars.next_back());
    around.is_some_and(|around| QUOTES.contains(&around))
}

/// Whether a text is what a tool or a person was to replace: a shell, Kubernetes, Helm, Argo CD's
/// plugin for Vault, SOPS, Ansible, clouds; or an example.
fn is_placeholder(text: &str) -> bool {
    const REFERENCES: [&str; 8] = [
        "vault:",
        "ref+",
        "op://",
        "arn:aws:",
        "@Microsoft.KeyVault(",
        "$ANSIBLE_VAULT;",
        "projects/",
        "keyvault://",
    ];
    const WORDS: [&str; 8] = [
        "changeme",
        "change-me",
        "change_me",
        "replaceme",
        "replace_me",
        "redacted",
        "todo",
        "tbd",
    ];
    let is_name = |text: &str| {
        text.len() > 2
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
            && text.contains('_')
    };
    let is_variable = text.strip_prefix('$').is_some_and(is_name)
        || text
            .strip_prefix('%')
            .and_then(|text| text.strip_suffix('%'))
            .is_some_and(is_name);
    let is_hidden = text.chars().count() > 2
        && text
            .chars()
            .all(|c| matches!(c, '*' | '\u{2022}' | '\u{25cf}' | '.' | '\u{2026}'));
    let is_bracketed = text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'))
        .is_some_and(|text| text.chars().all(|c| c.is_alphabetic() || "-_ ".contains(c)));
    if is_variable
        || is_hidden
        || is_bracketed
        || text.ends_with('\u{2026}')
        || REFERENCES.iter().any(|begin| text.starts_with(begin))
        || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
    {
        return true;
    }
    [
        ("${", "}"),
        ("$(", ")"),
        ("{{", "}}"),
        ("{\"", "}"),
        ("<path:", ">"),
        ("ENC[AES256_GCM,", "]"),
    ]
    .iter()
    .any(|(begin, end)| text.starts_with(begin) && text.ends_with(end))
}

/// Whether a text is how a program writes a value that is missing.
fn says_none(text: &str) -> bool {
    const NONE: [&str; 8] = [
        "null",
        "none",
        "nil",
        "<nil>",
        "<none>",
        "n/a",
        "undefined",
        "(none)",
    ];
    NONE.iter()
        .any(|none| text.trim().eq_ignore_ascii_case(none))
}

/// Whether a text is a line of a file, with the name of the key in front: `SF_PASSWORD=…`,
/// `clientId: …`.
fn with_name(key: SecretKey, text: &str) -> bool {
    /// No value is shorter; a password such as `Password=1` is taken as it is.
    const SHORTEST: usize = 5;
    let Some((front, value)) = text.split_once(['=', ':']) else {
        return false;
    };
    // A colon may well be within a password.
    let is_yaml = value.starts_with(' ');
    let is_line = text.as_bytes().get(front.len()) == Some(&b'=') || is_yaml;
    let name: String = front
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | '.' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    is_line
        && value.trim().len() >= SHORTEST
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && name.ends_with(&key.name.to_ascii_lowercase())
}

/// Whether a text is certainly base64 of a readable text. A random text of these lengths almost
/// never decodes to one.
fn encoded_twice(text: &str) -> bool {
    const LONG: usize = 12;
    const SHORT: usize = 5;
    let decoded = STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')));
    let Ok(bytes) = decoded.map(Zeroizing::new) else {
        return false;
    };
    let inner = bytes.trim_ascii_end();
    let marked = text.ends_with('=') || inner.len() < bytes.len();
    // Blanks and letters such as umlauts make it likelier that chance did it.
    const WITH_ACCENTS: usize = 8;
    let least = match inner.iter().all(u8::is_ascii_graphic) {
        true if marked => SHORT,
        false if marked => WITH_ACCENTS,
        _ => LONG,
    };
    let readable = |c: char| c.is_alphanumeric() || c == ' ' || c.is_ascii_graphic();
    inner.len() >= least && std::str::from_utf8(inner).is_ok_and(|text| text.chars().all(readable))
}

/// Whether a text is another one, twice. Salesforce's tokens have 24 or 25 characters.
fn twice(text: &str) -> bool {
    const SHORTEST: usize = 20;
    let half = text.len() / 2;
    text.len() >= 2 * SHORTEST && text.split_at_checked(half).is_some_and(|(a, b)| a == b)
}

/// Whether a value certainly is a security token of Salesforce's: 24 or 25 letters and digits, of
/// each some.
pub fn is_security_token(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii();
    (24..=25).contains(&text.len())
        && text.iter().all(u8::is_ascii_alphanumeric)
        && text.iter().any(u8::is_ascii_digit)
        && text.iter().any(u8::is_ascii_alphabetic)
}

/// Whether the security token stands behind the password, although it has a key of its own.
fn token_appended(texts: &BTreeMap<&'static str, SecretString>) -> bool {
    let text = |key: SecretKey| texts.get(key.name).map(ExposeSecret::expose_secret);
    match (text(PASSWORD), text(SECURITY_TOKEN)) {
        (Some(password), Some(token)) => password.len() > token.len() && password.ends_with(token),
        _ => false,
    }
}

/// Whether the password stands before the security token, although it has a key of its own.
fn password_in_front(texts: &BTreeMap<&'static str, SecretString>) -> bool {
    /// Salesforce's tokens have 24 or 25 characters.
    const TOKEN: usize = 24;
    let text = |key: SecretKey| texts.get(key.name).map(ExposeSecret::expose_secret);
    match (text(PASSWORD), text(SECURITY_TOKEN)) {
        (Some(password), Some(token)) => token
            .strip_prefix(password)
            .is_some_and(|rest| rest.len() >= TOKEN),
        _ => false,
    }
}

const fn required(name: &'static str) -> SecretKey {
    SecretKey {
        name,
        required: true,
    }
}

const PASSWORD: SecretKey = required("password");
const SECURITY_TOKEN: SecretKey = SecretKey {
    name: "securityToken",
    required: false,
};
/// Another name that people give to the security token.
const TOKEN_ALIAS: SecretKey = SecretKey {
    name: "token",
    required: false,
};
const CLIENT_ID: SecretKey = required("clientId");
const CLIENT_SECRET: SecretKey = required("clientSecret");
const PRIVATE_KEY: SecretKey = required("privateKey");

// === impl Method ===

impl Method {
    /// The keys of the Secret that this method uses.
    pub fn keys(self) -> &'static [SecretKey] {
        match self {
            Self::Password => &[PASSWORD, SECURITY_TOKEN],
            Self::OauthPassword => &[PASSWORD, SECURITY_TOKEN, CLIENT_ID, CLIENT_SECRET],
            Self::JwtBearer => &[CLIENT_ID, PRIVATE_KEY],
            Self::ClientCredentials => &[CLIENT_ID, CLIENT_SECRET],
        }
    }
}

// === impl Credentials ===

impl Credentials {
    /// Builds a credential from the values of a Secret's keys, and returns the names of the keys
    /// that it used. An optional key with an empty value counts as missing. A security token under
    /// the key `token` is read, too.
    ///
    /// # Errors
    /// Returns the error of `value`, or an error if something that the method needs is missing or
    /// unusable.
    pub fn read<E: From<Incomplete>>(
        method: Method,
        username: Option<&str>,
        mut value: impl FnMut(SecretKey) -> Result<Option<Zeroizing<Vec<u8>>>, E>,
    ) -> Result<(Self, Vec<&'static str>), E> {
        let mut texts = BTreeMap::new();
        let mut by_alias = false;
        for key in method.keys() {
            let mut bytes = value(*key)?;
            if bytes.is_none() && key.name == SECURITY_TOKEN.name {
                bytes = value(TOKEN_ALIAS)?.filter(|bytes| is_security_token(bytes));
                by_alias = bytes.is_some();
            }
            let text = bytes.map(|bytes| meant(*key, &bytes));
            match text {
                Some(Ok(text)) => {
                    texts.insert(key.name, text);
                }
                None | Some(Err(Unusable::Empty)) if !key.required => {}
                None => return Err(Incomplete::Missing(key.name).into()),
                Some(Err(problem)) => return Err(Incomplete::Unusable(key.name, problem).into()),
            }
        }
        for (one, other) in [(SECURITY_TOKEN, PASSWORD), (CLIENT_SECRET, CLIENT_ID)] {
            let text = |key: SecretKey| texts.get(key.name).map(ExposeSecret::expose_secret);
            if text(one).is_some() && text(one) == text(other) {
                let problem = Unusable::SameAs(other.name);
                return Err(Incomplete::Unusable(one.name, problem).into());
            }
        }
        if token_appended(&texts) {
            return Err(Incomplete::Unusable(PASSWORD.name, Unusable::TokenAppended).into());
        }
        if password_in_front(&texts) {
            let problem = Unusable::PasswordInFront;
            return Err(Incomplete::Unusable(SECURITY_TOKEN.name, problem).into());
        }
        let in_secret = |key: &&'static str| match *key {
            key if by_alias && key == SECURITY_TOKEN.name => TOKEN_ALIAS.name,
            key => key,
        };
        let keys = texts.keys().map(in_secret).collect();
        let credentials = Self::assemble(method, username, texts)?;
        Ok((credentials, keys))
    }

    fn assemble(
        method: Method,
        username: Option<&str>,
        mut texts: BTreeMap<&'static str, SecretString>,
    ) -> Result<Self, Incomplete> {
        let mut need = |key: SecretKey| texts.remove(key.name).ok_or(Incomplete::Missing(key.name));
        let user = || username.map(str::to_owned).ok_or(Incomplete::Username);
        let plain = |secret: SecretString| secret.expose_secret().to_owned();
        Ok(match method {
            Method::Password => Self::Password {
                username: user()?,
                password: need(PASSWORD)?,
                security_token: need(SECURITY_TOKEN).ok(),
            },
            Method::OauthPassword => Self::OauthPassword {
                username: user()?,
                password: need(PASSWORD)?,
                security_token: need(SECURITY_TOKEN).ok(),
                client_id: need(CLIENT_ID).map(plain)?,
                client_secret: need(CLIENT_SECRET)?,
            },
            Method::JwtBearer => Self::JwtBearer {
                username: user()?,
                client_id: need(CLIENT_ID).map(plain)?,
                private_key: need(PRIVATE_KEY)?,
            },
            Method::ClientCredentials => Self::ClientCredentials {
                client_id: need(CLIENT_ID).map(plain)?,
                client_secret: need(CLIENT_SECRET)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Method; 4] = [
        Method::Password,
        Method::OauthPassword,
        Method::JwtBearer,
        Method::ClientCredentials,
    ];

    const KEY: &str = include_str!("../tests/data/rsa-pkcs8.pem");

    /// A value that the key may have.
    fn right(name: &str) -> Option<&'static str> {
        Some(match name {
            "privateKey" => KEY,
            "securityToken" => TOKEN,
            "clientId" => "client",
            _ => "text",
        })
    }

    const TOKEN: &str = "Xk3pQ9zLmV7tRb2NwYc8Jh5D";

    #[test]
    fn a_security_token_under_the_key_token_is_read_and_anything_else_there_is_not() {
        let with = |token: &'static str| {
            read(Method::Password, Some("user"), |name| match name {
                "password" => Some("text"),
                "token" => Some(token),
                _ => None,
            })
            .unwrap()
        };
        let (credentials, keys) = with(TOKEN);
        let Credentials::Password { security_token, .. } = credentials else {
            panic!("{credentials:?}")
        };
        assert_eq!(security_token.unwrap().expose_secret(), TOKEN);
        assert_eq!(keys, ["password", "token"]);
        for other in [
            "eyJhbGciOiJub25lIn0.e30.x",
            "123456789012345678901234",
            "short1",
            "",
        ] {
            let (credentials, keys) = with(other);
            assert_eq!(keys, ["password"], "{other}");
            assert_eq!(credentials.secrets().len(), 1);
        }
        let both = |name: &str| match name {
            "securityToken" => Some("bJ4tRw8ZqX2mN6vKc9Ly5HpD"),
            "token" => Some(TOKEN),
            _ => Some("text"),
        };
        let (_, keys) = read(Method::Password, Some("user"), both).unwrap();
        assert_eq!(keys, ["password", "securityToken"]);
    }

    /// Reads a Secret with these values.
    fn read(
        method: Method,
        username: Option<&str>,
        value: impl Fn(&str) -> Option<&'static str>,
    ) -> Result<(Credentials, Vec<&'static str>), Incomplete> {
        Credentials::read(method, username, |key| {
            Ok(value(key.name).map(|text| Zeroizing::new(text.as_bytes().to_vec())))
        })
    }

    #[test]
    fn each_method_is_made_from_its_required_keys_and_misses_each_of_them_by_name() {
        for method in ALL {
            let all: Vec<&str> = method.keys().iter().map(|key| key.name).collect();
            let (credentials, mut keys) = read(method, Some("user"), right).unwrap();
            assert_eq!(credentials.method(), method);
            keys.sort_by_key(|key| all.iter().position(|name| name == key));
            assert_eq!(keys, all);
            for key in method.keys() {
                let missing = read(method, Some("user"), |name| {
                    right(name).filter(|_| name != key.name)
                });
                let empty = read(method, Some("user"), |name| {
                    right(name).map(|text| if name == key.name { "\r\n" } else { text })
                });
                if key.required {
                    assert_eq!(missing.unwrap_err(), Incomplete::Missing(key.name));
                    let unusable = Incomplete::Unusable(key.name, Unusable::Empty);
                    assert_eq!(empty.unwrap_err(), unusable);
                } else {
                    assert!(!missing.unwrap().1.contains(&key.name));
                    assert!(!empty.unwrap().1.contains(&key.name));
                }
            }
        }
    }

    #[test]
    fn line_ends_are_no_part_of_a_secret_and_spaces_are() {
        let text = |bytes| secret_text(bytes).map(|text| text.expose_secret().to_owned());
        assert_eq!(text(b"hunter2 \r\n"), Ok("hunter2 ".to_owned()));
        assert_eq!(text(b"\n"), Err(Unusable::Empty));
        assert_eq!(text(b"\xff\xfehunter2"), Err(Unusable::NotText));
    }

    #[test]
    fn a_user_is_named_unless_the_app_names_one() {
        for method in ALL {
            let outcome = read(method, None, right);
            assert_eq!(
                outcome.is_ok(),
                method == Method::ClientCredentials,
                "{method}"
            );
        }
    }

    /// What becomes of a value of this key beside right values of the others.
    fn one(key: &'static str, bytes: &[u8]) -> Result<String, Incomplete> {
        let method = match key {
            "privateKey" => Method::JwtBearer,
            _ => Method::OauthPassword,
        };
        let read = Credentials::read(method, Some("user"), |wanted: SecretKey| {
            let value = if wanted.name == key {
                Some(bytes)
            } else {
                right(wanted.name).map(str::as_bytes)
            };
            Ok::<_, Incomplete>(value.map(|bytes| Zeroizing::new(bytes.to_vec())))
        });
        Ok(match (read?.0, key) {
            (Credentials::JwtBearer { private_key, .. }, _) => {
                private_key.expose_secret().to_owned()
            }
            (Credentials::OauthPassword { password, .. }, "password") => {
                password.expose_secret().to_owned()
            }
            (Credentials::OauthPassword { security_token, .. }, "securityToken") => {
                security_token.unwrap().expose_secret().to_owned()
            }
            (Credentials::OauthPassword { client_id, .. }, "clientId") => client_id,
            (Credentials::OauthPassword { client_secret, .. }, _) => {
                client_secret.expose_secret().to_owned()
            }
            (other, _) => panic!("{other:?}"),
        })
    }

    #[test]
    fn what_cannot_belong_to_a_value_is_taken_away() {
        for (pasted, meant) in [
            ("\nhunter2", "hunter2"),
            ("\r\n\r\nhunter2\r\n", "hunter2"),
            ("\u{feff}hunter2", "hunter2"),
            ("\u{200b}hunter2\u{200b}\n", "hunter2"),
            (" hunter 2 ", " hunter 2 "),
            ("hunter\"2\"", "hunter\"2\""),
        ] {
            assert_eq!(
                one("password", pasted.as_bytes()).as_deref(),
                Ok(meant),
                "{pasted:?}"
            );
        }
        for key in ["securityToken", "clientId", "clientSecret"] {
            for around in [
                ("", " "),
                ("\t", "\n"),
                ("\u{feff}", "\u{a0}\r\n"),
                ("\u{200b}", "\u{2060} "),
            ] {
                let pasted = format!("{}{TOKEN}{}", around.0, around.1);
                assert_eq!(
                    one(key, pasted.as_bytes()).as_deref(),
                    Ok(TOKEN),
                    "{pasted:?}"
                );
            }
        }
        let utf16 = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}hunter2\r\n"
                .encode_utf16()
                .flat_map(order)
                .collect()
        };
        for bytes in [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
            assert_eq!(one("password", &bytes).as_deref(), Ok("hunter2"));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_named_before_a_log_in_is_spent() {
        use Unusable::*;
        let twice = STANDARD.encode("hunter2");
        let with_line_end = STANDARD.encode("hunter2sp\n\n\n");
        let long = STANDARD.encode("correct-horse-battery");
        let token = STANDARD.encode(TOKEN);
        let with_blanks = STANDARD.encode("correct horse battery");
        let with_umlauts = STANDARD.encode("Sch\u{f6}ne-Gr\u{fc}\u{df}e");
        let table = [
            ("password", with_blanks.as_str(), Base64),
            ("password", &with_umlauts, Base64),
            ("password", "SF_PASSWORD=hunter2!", WithName),
            ("password", "password: hunter2!", WithName),
            ("clientId", "clientId: 3MVG9abc", WithName),
            ("clientSecret", "export SF_CLIENT_SECRET=hunter2", WithName),
            ("password", "\"hunter2\",", Quoted),
            ("password", " \"hunter2\" ", Quoted),
            ("password", "changeme", Placeholder),
            ("password", "********", Placeholder),
            ("password", "<your password>", Placeholder),
            ("password", "$SF_PASSWORD", Placeholder),
            ("clientSecret", "op://vault/item/secret", Placeholder),
            ("clientSecret", "1D9F\u{2026}", Placeholder),
            ("clientSecret", "{\"password\":\"hunter2\"}", Placeholder),
            ("clientId", "3MVG9\u{2026}E1B3", Mark),
            ("clientId", "integration@acme.example", NotAClientId),
            ("clientId", "https://acme.my.salesforce.com", NotAClientId),
            (
                "securityToken",
                "\u{ff38}\u{ff4b}3\u{ff50}\u{ff31}9zLmV7tRb2NwYc8Jh5D",
                Mark,
            ),
            ("securityToken", "text", SameAs("password")),
            ("clientSecret", "client", SameAs("clientId")),
            ("securityToken", "null", NoValue),
            ("securityToken", "None\n", NoValue),
            ("password", "undefined", NoValue),
            ("clientSecret", "<none>", NoValue),
            ("password", "\"hunter2\"", Quoted),
            ("password", "'hunter2'\n", Quoted),
            ("password", "\u{201c}hunter2\u{201d}", Quoted),
            ("password", &twice, Base64),
            ("password", &with_line_end, Base64),
            ("password", &long, Base64),
            ("password", &format!("hunter2{TOKEN}"), TokenAppended),
            ("securityToken", &format!("\"{TOKEN}\""), Quoted),
            ("securityToken", &format!("{TOKEN}{TOKEN}"), Twice),
            ("securityToken", &token, Base64),
            ("securityToken", "Xk3pQ9zLmV7t Rb2NwYc8Jh5D", Blank),
            ("clientId", "\"3MVG9abc\"", Quoted),
            ("clientSecret", "0123456789\nABCDEF", Blank),
            ("password", "`hunter2`", Quoted),
            ("password", "\u{ab}hunter2\u{bb}", Quoted),
            ("password", "hunter2\nhunter3", Control),
            ("password", "h\0u\0n\0t\0e\0r\x002\0", Control),
            ("password", "\u{1b}[200~hunter2\u{1b}[201~", Control),
            ("password", "${SF_PASSWORD}", Placeholder),
            (
                "password",
                "ENC[AES256_GCM,data:q1,iv:z,tag:y,type:str]",
                Placeholder,
            ),
            ("clientSecret", "<path:secret/data/sf#secret>", Placeholder),
            ("securityToken", &format!("{TOKEN}\\n"), Mark),
            ("securityToken", &format!("{TOKEN},"), Mark),
            ("clientId", "3MVG9abc;", Mark),
            ("securityToken", &format!("text{TOKEN}"), PasswordInFront),
        ];
        for (key, pasted, problem) in table {
            let refused = one(key, pasted.as_bytes()).unwrap_err();
            assert_eq!(refused, Incomplete::Unusable(key, problem), "{key}");
            let said = refused.to_string();
            assert!(
                !said.contains("hunter2") && !said.contains("Xk3p"),
                "{said}"
            );
        }
        for password in [
            "hunter2=",
            "Summer2026!",
            "abcdefgh",
            "aGVsbG8",
            "\"",
            "it's",
            "Passw0rdPassw0rd",
            "Password:2026",
            "password=1",
            "none-of-yours",
        ] {
            assert_eq!(
                one("password", password.as_bytes()).as_deref(),
                Ok(password)
            );
        }
    }

    #[test]
    fn a_private_key_is_read_from_whatever_it_was_pasted_as_and_otherwise_named() {
        let read = one("privateKey", STANDARD.encode(KEY).as_bytes());
        assert_eq!(read.as_deref(), Ok(KEY));
        let der: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
        let read = one("privateKey", &STANDARD.decode(der).unwrap());
        assert_eq!(read.as_deref(), Ok(KEY));
        let refused = one("privateKey", b"\x30\x82\xff").unwrap_err();
        let problem = Unusable::NotAKey(NotAKey::Binary);
        assert_eq!(refused, Incomplete::Unusable("privateKey", problem));
    }

    #[test]
    fn a_text_is_another_one_twice_from_twenty_characters_each_on() {
        let half = |length: usize| -> String { TOKEN.chars().cycle().take(length).collect() };
        for (length, is_twice) in [(6, false), (11, false), (19, false), (20, true), (24, true)] {
            let text = half(length).repeat(2);
            assert_eq!(twice(&text), is_twice, "{length}");
        }
        assert!(!twice(&format!("{TOKEN}{}", TOKEN.to_lowercase())));
        assert!(!twice(&format!("{TOKEN}{TOKEN}x")));
        // A character of several bytes in the middle has no halves.
        assert!(!twice(&format!("{TOKEN}\u{3042}{TOKEN}")));
    }

    #[test]
    fn a_security_token_has_twenty_four_or_five_letters_and_digits() {
        for (text, is_token) in [
            (TOKEN.to_owned(), true),
            (format!("{TOKEN}x"), true),
            (format!(" {TOKEN}\n"), true),
            (format!("{TOKEN}xy"), false),
            (TOKEN[..23].to_owned(), false),
            (format!("{}-", &TOKEN[..23]), false),
            ("1".repeat(24), false),
            ("x".repeat(24), false),
        ] {
            assert_eq!(is_security_token(text.as_bytes()), is_token, "{text}");
        }
    }
}
