//! Reads the addresses of telephone networks: `sip:`, `sips:` and `tel:`.

use super::NotLookedUp;

/// The number that an address names, as it is dialled; `None` for text that is no address.
///
/// `"Sato" <sip:+81312345678@pbx.example>` is a `name-addr` of RFC 3261, 25.1;
/// `tel:0312345678;phone-context=+81` a local number of RFC 3966, 5.1.5, whose context goes in
/// front of it.
pub(super) fn dialled_in(plain: &str) -> Option<Result<String, NotLookedUp>> {
    let bare = match plain.rfind('<') {
        Some(open) => {
            let inner = plain.get(open + 1..)?;
            inner.split('>').next().unwrap_or(inner)
        }
        None => plain,
    };
    let bare = bare.trim();
    let (scheme, rest) = bare.split_once(':')?;
    let is_tel = scheme.eq_ignore_ascii_case("tel");
    if !is_tel
        && !["sip", "sips"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return None;
    }
    Some(number(rest.trim(), is_tel))
}

fn number(rest: &str, is_tel: bool) -> Result<String, NotLookedUp> {
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None if is_tel => (rest, ""),
        // An address without a user is that of a host, unless it looks like a number.
        None => (rest, rest),
    };
    let mut parameters = user.split([';', '?']);
    // A password after the user is not part of the number (RFC 3261, 19.1.1).
    let name = parameters.next().unwrap_or_default();
    let name = name.split(':').next().unwrap_or_default();
    // `%2B` is a plus sign.
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    let name = name.trim();
    let host = host.split([';', '?', ':']).next().unwrap_or_default();
    if super::parse::is_withheld(name)
        || (!host.is_empty() && host.to_ascii_lowercase().ends_with("anonymous.invalid"))
    {
        return Err(NotLookedUp::Anonymous);
    }
    // A user name such as `sato` or `line3` is not spelled on a keypad. The URI of a telephone may
    // hold a word: `tel:1-800-FLOWERS` is what people write on web pages.
    if name.is_empty() || (!is_tel && name.chars().any(char::is_alphabetic)) {
        return Err(NotLookedUp::NotANumber);
    }
    let context = parameters.find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case("phone-context")
            .then_some(value.trim())
    });
    Ok(match context {
        Some(context) if context.starts_with('+') && !name.starts_with('+') => {
            format!("{context}{name}")
        }
        _ => name.to_owned(),
    })
}
