//! Keys of a Secret that are misspelt. The credential would be sent without them, which spends a
//! log-in.

use super::Method;

/// Other names that people give to a key, without capitals and signs.
const ALIASES: &[(&str, &[&str])] = &[
    ("password", &["pass", "passwd", "pwd", "userpassword"]),
    ("securityToken", &["token", "sectoken", "usertoken"]),
    ("clientId", &["consumerkey", "appid"]),
    ("clientSecret", &["consumersecret", "appsecret"]),
    (
        "privateKey",
        &[
            "key",
            "pem",
            "privatekeypem",
            "privkey",
            "rsakey",
            "serverkey",
            "tlskey",
            "keypem",
        ],
    ),
];

/// The longest name in which one letter may be wrong; in a longer one it is two.
const SHORT: usize = 8;

/// A key of a Secret that is probably meant to be another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misspelt {
    /// The key as it stands in the Secret.
    pub found: String,
    /// The key that the log-in method reads.
    pub meant: &'static str,
}

/// Finds a key that the method needs or reads, that is not there, and that stands there in another
/// spelling. `names` are all keys of the Secret.
pub fn misspelt<'a>(
    method: Method,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Option<Misspelt> {
    let known = |name: &str| method.keys().iter().any(|key| key.name == name);
    method
        .keys()
        .iter()
        .filter(|key| !names.clone().any(|name| name == key.name))
        .find_map(|key| {
            let mut others = names.clone().filter(|name| !known(name));
            let found = others.find(|name| is_like(name, key.name))?;
            Some(Misspelt {
                found: found.to_owned(),
                meant: key.name,
            })
        })
}

fn is_like(found: &str, meant: &str) -> bool {
    let plain = |name: &str| -> String {
        name.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    let aliases = ALIASES.iter().filter(|(name, _)| *name == meant);
    let (found, meant) = (plain(found), plain(meant));
    let wrong = if meant.len() > SHORT { 2 } else { 1 };
    strsim::damerau_levenshtein(&found, &meant) <= wrong
        || aliases
            .flat_map(|(_, others)| *others)
            .any(|other| *other == found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, names: &[&str]) -> Option<(String, &'static str)> {
        let found = misspelt(method, names.iter().copied())?;
        Some((found.found, found.meant))
    }

    #[test]
    fn a_key_in_another_spelling_is_found() {
        use Method::*;
        for (method, names, expected) in [
            (
                Password,
                vec!["password", "security_token"],
                ("security_token", "securityToken"),
            ),
            (
                Password,
                vec!["password", "SecurityToken"],
                ("SecurityToken", "securityToken"),
            ),
            (
                Password,
                vec!["password", "token"],
                ("token", "securityToken"),
            ),
            (
                Password,
                vec!["Password", "securityToken"],
                ("Password", "password"),
            ),
            (Password, vec!["passwort"], ("passwort", "password")),
            (
                JwtBearer,
                vec!["clientId", "private_key"],
                ("private_key", "privateKey"),
            ),
            (
                JwtBearer,
                vec!["clientId", "tls.key", "tls.crt"],
                ("tls.key", "privateKey"),
            ),
            (
                JwtBearer,
                vec!["client-id", "privateKey"],
                ("client-id", "clientId"),
            ),
            (
                ClientCredentials,
                vec!["clientId", "client_secret"],
                ("client_secret", "clientSecret"),
            ),
            (
                ClientCredentials,
                vec!["consumerKey", "clientSecret"],
                ("consumerKey", "clientId"),
            ),
        ] {
            let expected = (expected.0.to_owned(), expected.1);
            assert_eq!(found(method, &names), Some(expected), "{names:?}");
        }
    }

    #[test]
    fn what_the_method_does_not_read_and_what_is_there_already_is_left_alone() {
        use Method::*;
        for (method, names) in [
            (Password, vec!["password", "private_key", "client_id"]),
            (
                Password,
                vec!["password", "securityToken", "security_token", "Password"],
            ),
            (Password, vec!["password", "username", "url", "notes"]),
            (
                ClientCredentials,
                vec!["clientId", "clientSecret", "token", "password"],
            ),
            (
                OauthPassword,
                vec!["password", "clientId", "clientSecret", "old-password"],
            ),
        ] {
            assert_eq!(found(method, &names), None, "{names:?}");
        }
    }

    #[test]
    fn in_a_name_of_more_than_eight_letters_two_may_be_wrong_and_otherwise_one() {
        for (found, meant, is_meant) in [
            // Eight letters.
            ("passwort", "password", true),
            ("pasword", "password", true),
            ("passwrod", "password", true),
            ("pazzword", "password", false),
            ("passwo", "password", false),
            ("klientId", "clientId", true),
            ("kliendId", "clientId", false),
            // More.
            ("privatKy", "privateKey", true),
            ("private-kez", "privateKey", true),
            ("privatK", "privateKey", false),
            ("securitytocken", "securityToken", true),
            ("securitydocken", "securityToken", true),
            ("zecuritydocken", "securityToken", false),
            ("clientSecred", "clientSecret", true),
            ("klientSecred", "clientSecret", true),
            ("klientZecred", "clientSecret", false),
            // Other names, of the key that they are for alone.
            ("PWD", "password", true),
            ("consumer-key", "clientId", true),
            ("consumer-key", "clientSecret", false),
            ("tls.key", "privateKey", true),
            ("tls.crt", "privateKey", false),
        ] {
            assert_eq!(is_like(found, meant), is_meant, "{found} for {meant}");
        }
    }
}
