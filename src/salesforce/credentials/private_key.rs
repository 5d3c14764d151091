//! Private keys as people paste them: reads what is certainly an RSA key, and names everything
//! else.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use jsonwebtoken::{Algorithm, EncodingKey};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// Base64 with or without padding, in either alphabet.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// How often base64 may be wrapped around a PEM text.
const MAX_WRAPPINGS: usize = 2;

const LINE: usize = 64;

/// Every RSA key of 2048 bits is longer in PEM, every one of 1536 bits shorter; in bytes.
const SHORT_PEM: usize = 1_500;

/// What stands in place of an RSA private key. The text continues a sentence that names the value,
/// and does not contain it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotAKey {
    /// Only a certificate.
    #[error(
        "is a certificate, which belongs into the app; put in the private key that was made with it, the file that has the line BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY"
    )]
    Certificate,
    /// Only a public key.
    #[error(
        "is a public key; put in the private key that was made with it, the file that has the line BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY"
    )]
    PublicKey,
    /// Only a certificate request.
    #[error(
        "is a certificate request; put in the private key that it was made with, the file that has the line BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY"
    )]
    CertificateRequest,
    /// A key with a pass phrase.
    #[error(
        "is encrypted with a pass phrase; take it off with `openssl pkey -in encrypted.pem -out key.pem` and put key.pem in"
    )]
    Encrypted,
    /// A key of an elliptic curve.
    #[error(
        "is an EC key, and Salesforce takes RSA only; make an RSA key with a certificate, upload the certificate to the app, and put the key in"
    )]
    EllipticCurve,
    /// A key of another algorithm, for example DSA or Ed25519.
    #[error(
        "is a private key but not an RSA key, which is all that Salesforce takes; make an RSA key with a certificate, upload the certificate to the app, and put the key in"
    )]
    OtherAlgorithm,
    /// A key in OpenSSH's own format.
    #[error(
        "is a key in OpenSSH's own format; if it is an RSA key turn it into PEM with `ssh-keygen -p -N '' -m PEM -f FILE`"
    )]
    OpenSsh,
    /// A key in PuTTY's format.
    #[error(
        "is a key in PuTTY's format; turn an RSA key into PEM with `puttygen key.ppk -O private-openssh -o key.pem`"
    )]
    Putty,
    /// A keystore: PKCS#12 or JKS.
    #[error(
        "is not text: a keystore (PKCS#12, JKS) or a key in DER; write the RSA key as PEM, for example with `openssl pkcs12 -in FILE -nodes -nocerts -out key.pem`"
    )]
    Binary,
    /// A key as JSON.
    #[error(
        "is a key as JSON (JWK); turn it into PEM, and put in what begins with BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY"
    )]
    Jwk,
    /// More than one private key.
    #[error("holds several private keys; leave only the one whose certificate is in the app")]
    Several,
    /// A PEM text without its end.
    #[error("is cut off: a BEGIN line has no END line; put the whole file in")]
    CutOff,
    /// An RSA key with wrong content.
    #[error(
        "is damaged: between its BEGIN and END line is no RSA private key; put the file in again"
    )]
    Damaged,
    /// An RSA key that is too short to sign with.
    #[error(
        "is an RSA key of fewer than 2048 bits, which cannot sign for Salesforce; make one of 2048 bits or more with a certificate, upload the certificate to the app, and put the key in"
    )]
    TooShort,
    /// Nothing that is known.
    #[error("is no RSA private key in PEM; put the whole file in, from the BEGIN to the END line")]
    Unknown,
}

/// A part of a PEM text.
struct Block<'a> {
    label: &'a str,
    body: &'a str,
}

/// Reads an RSA private key from what was pasted: among certificates, wrapped in base64, on one
/// line, or with `\n` in place of its line ends. Returns it as PEM.
///
/// # Errors
/// Says what the text is instead.
pub(crate) fn read(pasted: &str) -> Result<SecretString, NotAKey> {
    let mut text = Zeroizing::new(with_line_ends(pasted));
    for _ in 0..MAX_WRAPPINGS {
        if text.contains("-----BEGIN") {
            break;
        }
        let packed: Zeroizing<String> =
            Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect());
        let Some(bytes) = decode(&packed).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        match std::str::from_utf8(&bytes) {
            Ok(inner) => text = Zeroizing::new(with_line_ends(inner)),
            Err(_) => return from_der(&bytes),
        }
    }
    from_pem(&text)
}

/// The text with true line ends, without byte order mark, quotes and blanks around it.
fn with_line_ends(text: &str) -> String {
    let text = Zeroizing::new(text.replace("\\r", "\n"));
    let text = Zeroizing::new(text.replace("\\n", "\n"));
    // A text that was escaped twice has backslashes left, and PEM has none.
    let text = Zeroizing::new(text.replace(['\\', '\r'], "\n"));
    let around = |c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '"' | '\'');
    text.trim_matches(around).to_owned()
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    bytes.ok().map(Zeroizing::new)
}

/// A key without its BEGIN and END lines.
///
/// # Errors
/// Says what the bytes are instead.
pub(super) fn from_der(bytes: &[u8]) -> Result<SecretString, NotAKey> {
    // The library would take the numbers of a certificate or a keystore for those of a key.
    if let Some(otherwise) = instead_of_der(bytes) {
        return Err(otherwise);
    }
    let body = base64::engine::general_purpose::STANDARD.encode(bytes);
    let body = Zeroizing::new(body);
    ["PRIVATE KEY", "RSA PRIVATE KEY"]
        .into_iter()
        .find_map(|label| rsa(label, &body))
        .ok_or(NotAKey::Damaged)
        .and_then(can_sign)
}

fn from_pem(text: &str) -> Result<SecretString, NotAKey> {
    let blocks = blocks(text)?;
    let labelled = |name: &str| blocks.iter().any(|block| block.label == name);
    let locked = |block: &Block<'_>| {
        block.label == "ENCRYPTED PRIVATE KEY" || block.body.contains("ENCRYPTED")
    };
    let candidates = || {
        blocks
            .iter()
            .filter(|block| matches!(block.label, "PRIVATE KEY" | "RSA PRIVATE KEY"))
            .filter(|block| !locked(block))
    };
    let mut keys = candidates()
        .filter_map(|block| rsa(label_of(block), block.body))
        .collect::<Vec<_>>();
    keys.dedup_by(|a, b| a.expose_secret() == b.expose_secret());
    if keys.len() > 1 {
        return Err(NotAKey::Several);
    }
    if let Some(key) = keys.pop() {
        return can_sign(key);
    }
    if let Some(block) = candidates().next() {
        return Err(instead_of_rsa(block));
    }
    Err(if blocks.iter().any(locked) {
        NotAKey::Encrypted
    } else if labelled("EC PRIVATE KEY") || labelled("EC PARAMETERS") {
        NotAKey::EllipticCurve
    } else if labelled("OPENSSH PRIVATE KEY") {
        NotAKey::OpenSsh
    } else if blocks
        .iter()
        .any(|block| block.label.ends_with("PRIVATE KEY"))
    {
        NotAKey::OtherAlgorithm
    } else if blocks
        .iter()
        .any(|block| block.label.ends_with("CERTIFICATE"))
    {
        NotAKey::Certificate
    } else if blocks
        .iter()
        .any(|block| block.label.ends_with("PUBLIC KEY"))
        || text.starts_with("ssh-")
    {
        NotAKey::PublicKey
    } else if blocks
        .iter()
        .any(|block| block.label.ends_with("CERTIFICATE REQUEST"))
    {
        NotAKey::CertificateRequest
    } else if text.starts_with("PuTTY-User-Key-File") {
        NotAKey::Putty
    } else if text.starts_with('{') && text.contains("\"kty\"") {
        NotAKey::Jwk
    } else {
        NotAKey::Unknown
    })
}

/// The parts of a PEM text, whatever stands between them.
fn blocks(text: &str) -> Result<Vec<Block<'_>>, NotAKey> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or(NotAKey::CutOff)?;
        let (body, after) = after.split_once("-----END ").ok_or(NotAKey::CutOff)?;
        if body.contains("-----BEGIN ") {
            return Err(NotAKey::CutOff);
        }
        blocks.push(Block { label, body });
        rest = after;
    }
    Ok(blocks)
}

/// The key as PEM, if it is one for RSA.
fn rsa(label: &str, body: &str) -> Option<SecretString> {
    let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    if body.is_empty() || !body.is_ascii() {
        return None;
    }
    let mut pem = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    EncodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    Some(SecretString::from(pem.as_str()))
}

/// The label that belongs to the content of a block: PKCS#8 has the algorithm behind its version,
/// PKCS#1 the modulus (RFC 5208, 8017).
fn label_of<'a>(block: &Block<'a>) -> &'a str {
    const WITH_ALGORITHM: &[u8] = &[0x02, 0x01, 0x00, 0x30];
    const WITH_MODULUS: &[u8] = &[0x02, 0x01, 0x00, 0x02];
    let body: Zeroizing<String> = Zeroizing::new(block.body.split_whitespace().collect());
    let der = decode(&body);
    match der.as_deref().and_then(|der| element(der)) {
        Some((_, inner)) if inner.starts_with(WITH_ALGORITHM) => "PRIVATE KEY",
        Some((_, inner)) if inner.starts_with(WITH_MODULUS) => "RSA PRIVATE KEY",
        _ => block.label,
    }
}

/// Returns the key if it can sign an assertion, which it is tried with: nothing else tells a key
/// that is too short or whose numbers do not fit together before a log-in is due.
fn can_sign(key: SecretString) -> Result<SecretString, NotAKey> {
    let pem = key.expose_secret();
    let signed = EncodingKey::from_rsa_pem(pem.as_bytes())
        .and_then(|key| jsonwebtoken::crypto::sign(b"switchboard", &key, Algorithm::RS256));
    match signed {
        Ok(_) => Ok(key),
        Err(_) if pem.len() < SHORT_PEM => Err(NotAKey::TooShort),
        Err(_) => Err(NotAKey::Damaged),
    }
}

/// id-ecPublicKey, 1.2.840.10045.2.1 (RFC 5480).
const ELLIPTIC_CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// rsaEncryption, 1.2.840.113549.1.1.1 (RFC 8017).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// pkcs-5, 1.2.840.113549.1.5 (RFC 8018): encryption with a pass phrase.
const PASS_PHRASE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];

/// What DER is that should be a key for RSA, by the first elements within its outermost sequence
/// (RFC 5280, 5208, 5915, 2986, 7292); `None` if it may be one.
fn instead_of_der(bytes: &[u8]) -> Option<NotAKey> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    /// The tag of a certificate's version, which is optional.
    const VERSION: u8 = 0xa0;
    /// The first bytes of a Java keystore.
    const JKS: &[u8] = &[0xfe, 0xed, 0xfe, 0xed];
    if bytes.starts_with(JKS) {
        return Some(NotAKey::Binary);
    }
    let Some((SEQUENCE, inner)) = element(bytes) else {
        return Some(match bytes.first() {
            Some(&SEQUENCE) => NotAKey::Binary,
            _ => NotAKey::Unknown,
        });
    };
    let head = inner.get(..40).unwrap_or(inner);
    let holds = |bytes: &[u8]| head.windows(bytes.len()).any(|window| window == bytes);
    Some(match element(inner)? {
        (SEQUENCE, first) => match element(first) {
            Some((OBJECT_IDENTIFIER, _)) if holds(PASS_PHRASE) => NotAKey::Encrypted,
            Some((OBJECT_IDENTIFIER, _)) => NotAKey::PublicKey,
            Some((VERSION, _)) => NotAKey::Certificate,
            // The version of a request is 0, the serial number of an old certificate is not.
            Some((INTEGER, _)) if first.starts_with(&[INTEGER, 1, 0]) => {
                NotAKey::CertificateRequest
            }
            Some((INTEGER, _)) => NotAKey::Certificate,
            _ => NotAKey::Binary,
        },
        (INTEGER, _) if inner.starts_with(&[INTEGER, 1, 1, 0x04]) => NotAKey::EllipticCurve,
        (INTEGER, _) if holds(ELLIPTIC_CURVE) => NotAKey::EllipticCurve,
        (INTEGER, _) if inner.starts_with(&[INTEGER, 1, 0, SEQUENCE]) && !holds(RSA) => {
            NotAKey::OtherAlgorithm
        }
        (INTEGER, _) if inner.starts_with(&[INTEGER, 1, 0]) => return None,
        // The modulus of a public key of PKCS#1; everything else begins with a short version.
        (INTEGER, _) if inner.get(1).is_some_and(|length| *length > 0x40) => NotAKey::PublicKey,
        // Also version 3, a keystore.
        _ => NotAKey::Binary,
    })
}

/// The tag and the rest of DER behind the length, which itself is not followed: the text may be cut
/// off.
fn element(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    match length {
        0x81..=0x84 => Some((*tag, rest.get(usize::from(length & 0x7f)..)?)),
        0..=0x7f => Some((*tag, rest)),
        _ => None,
    }
}

/// What the content of a block is that should be a key for RSA. The algorithm stands at the
/// beginning of PKCS#8 (RFC 5208, section 5).
fn instead_of_rsa(block: &Block<'_>) -> NotAKey {
    /// The version before, and the tag of an object identifier.
    const ALGORITHM: &[u8] = &[0x02, 0x01, 0x00, 0x30];
    let body: Zeroizing<String> = Zeroizing::new(block.body.split_whitespace().collect());
    let Some(der) = decode(&body) else {
        return NotAKey::Damaged;
    };
    let head = der.get(..40).unwrap_or(&der);
    let holds = |bytes: &[u8]| head.windows(bytes.len()).any(|window| window == bytes);
    if holds(ELLIPTIC_CURVE) {
        NotAKey::EllipticCurve
    } else if block.label == "PRIVATE KEY" && holds(ALGORITHM) && !holds(RSA) {
        NotAKey::OtherAlgorithm
    } else {
        NotAKey::Damaged
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose;

    use super::*;

    macro_rules! data {
        ($name:literal) => {
            include_str!(concat!("../tests/data/", $name))
        };
    }

    const KEY: &str = data!("rsa-pkcs8.pem");
    const CERTIFICATE: &str = data!("pasted/certificate.pem");

    fn reads(pasted: &str) -> Result<String, NotAKey> {
        read(pasted).map(|key| key.expose_secret().to_owned())
    }

    #[test]
    fn a_key_is_read_however_it_was_pasted() {
        let escaped = KEY.replace('\n', "\\n");
        let base64 = general_purpose::STANDARD.encode(KEY);
        let table = [
            ("as it is", KEY.to_owned()),
            ("without the last line end", KEY.trim_end().to_owned()),
            ("line ends of Windows", KEY.replace('\n', "\r\n")),
            ("literal \\n", escaped.clone()),
            ("literal \\r\\n", KEY.replace('\n', "\\r\\n")),
            ("escaped twice", KEY.replace('\n', "\\\\n")),
            ("in quotes", format!("\"{escaped}\"")),
            ("on one line", KEY.replace('\n', " ")),
            ("indented", KEY.replace('\n', "\n    ")),
            ("byte order mark", format!("\u{feff}{KEY}")),
            ("certificate first", format!("{CERTIFICATE}{KEY}")),
            ("certificate behind", format!("{KEY}{CERTIFICATE}")),
            (
                "with attributes",
                format!("Bag Attributes\n  friendlyName: x\n{KEY}"),
            ),
            ("twice the same", format!("{KEY}{KEY}")),
            (
                "an EC key beside",
                format!("{}{KEY}", data!("pasted/ec-sec1.pem")),
            ),
            ("base64", base64.clone()),
            (
                "base64 in lines",
                base64
                    .as_bytes()
                    .chunks(76)
                    .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
                    .collect(),
            ),
            (
                "base64 of base64",
                general_purpose::STANDARD.encode(&base64),
            ),
            (
                "base64 without padding",
                general_purpose::URL_SAFE_NO_PAD.encode(KEY),
            ),
            (
                "under the label of the other form",
                KEY.replace(" PRIVATE", " RSA PRIVATE"),
            ),
            (
                "without BEGIN and END",
                KEY.lines().filter(|line| !line.starts_with('-')).collect(),
            ),
        ];
        for (how, pasted) in table {
            assert_eq!(reads(&pasted).as_deref(), Ok(KEY), "{how}");
        }
        let pkcs1 = data!("rsa-pkcs1.pem");
        assert_eq!(reads(&pkcs1.replace('\n', "\\r\\n")).as_deref(), Ok(pkcs1));
    }

    #[test]
    fn what_is_no_key_is_named_for_what_it_is() {
        use NotAKey::*;
        let public = data!("rsa-public.pem");
        let table = [
            (CERTIFICATE, Certificate),
            (public, PublicKey),
            (&public.replace("PUBLIC", "RSA PUBLIC"), PublicKey),
            (data!("pasted/openssh.pub.txt"), PublicKey),
            (data!("pasted/request.pem"), CertificateRequest),
            (data!("pasted/encrypted-pkcs1.pem"), Encrypted),
            (data!("pasted/encrypted-pkcs8.pem"), Encrypted),
            (data!("pasted/ec-sec1.pem"), EllipticCurve),
            (data!("pasted/ec-pkcs8.pem"), EllipticCurve),
            (data!("pasted/ed25519.pem"), OtherAlgorithm),
            (data!("pasted/short-rsa.pem"), TooShort),
            (data!("pasted/short-rsa-pkcs8.pem"), TooShort),
            (data!("pasted/openssh.pem"), OpenSsh),
            ("PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none", Putty),
            (&format!("{KEY}{}", data!("pasted/other-rsa.pem")), Several),
            (&KEY[..200], CutOff),
            (&format!("{}{CERTIFICATE}", &KEY[..200]), CutOff),
            (&KEY.replace("MII", "MIJ"), Damaged),
            (&KEY.replace("QEFA", "!"), Damaged),
            (
                "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
                Damaged,
            ),
            ("", Unknown),
            ("hunter2", Unknown),
        ];
        for (pasted, is) in table {
            let head: String = pasted.chars().take(40).collect();
            assert_eq!(reads(pasted), Err(is), "{head}");
            let packed = general_purpose::STANDARD.encode(pasted);
            if pasted.contains("-----BEGIN") {
                assert_eq!(reads(&packed), Err(is), "{head}, in base64");
            }
            let with_certificate = format!("{CERTIFICATE}{pasted}");
            if matches!(is, Encrypted | EllipticCurve | OpenSsh | OtherAlgorithm) {
                assert_eq!(
                    reads(&with_certificate),
                    Err(is),
                    "{head}, beside a certificate"
                );
            }
        }
    }

    #[test]
    fn what_stands_without_its_begin_and_end_lines_is_named_too() {
        use NotAKey::*;
        let body = |pem: &str| -> String {
            let lines = pem
                .lines()
                .skip_while(|line| !line.starts_with("-----BEGIN"));
            lines
                .take_while(|line| !line.starts_with("-----END"))
                .filter(|line| !line.starts_with('-'))
                .collect()
        };
        for (what, pem, is) in [
            ("certificate", CERTIFICATE, Certificate),
            ("public key", data!("rsa-public.pem"), PublicKey),
            ("request", data!("pasted/request.pem"), CertificateRequest),
            ("encrypted", data!("pasted/encrypted-pkcs8.pem"), Encrypted),
            ("EC", data!("pasted/ec-pkcs8.pem"), EllipticCurve),
            ("Ed25519", data!("pasted/ed25519.pem"), OtherAlgorithm),
        ] {
            assert_eq!(reads(&body(pem)), Err(is), "{what}");
        }
        let sec1 = data!("pasted/ec-sec1.pem");
        let key = sec1.split("-----BEGIN EC PRIVATE KEY-----").nth(1);
        let sec1 = format!("-----BEGIN EC PRIVATE KEY-----{}", key.unwrap());
        assert_eq!(reads(&body(&sec1)), Err(EllipticCurve));
        for (pasted, is) in [
            (r#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}"#, Jwk),
            (r#"{ "kid": "1", "kty": "RSA" }"#, Jwk),
            // PKCS#12, version 3, and PKCS#7 behind it.
            ("MIIJqAIBAzCCCW4GCSqGSIb3DQEHAaCCCV8EgglbMIIJVzCC", Binary),
            // A client secret in the place of the key is no keystore.
            (&"0123456789ABCDEF".repeat(4), Unknown),
            ("3MVG9lKcPoNINVBIPJjdw1J9LLM82HnFVVX19KY1uA5mu0", Unknown),
        ] {
            assert_eq!(reads(pasted), Err(is), "{pasted}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for cut in (0..KEY.len()).step_by(7) {
            let _ = reads(&KEY[cut..]);
            let _ = reads(&format!("{}\u{1f511}{}", &KEY[..cut], &KEY[cut..]));
        }
    }

    #[test]
    fn der_is_told_by_its_first_elements() {
        use NotAKey::*;
        let spki = body_of(data!("rsa-public.pem"));
        // A public key of PKCS#1 is what that of X.509 wraps, behind 24 bytes (RFC 5280, 8017).
        assert_eq!(from_der(&spki).unwrap_err(), PublicKey);
        assert_eq!(from_der(&spki[24..]).unwrap_err(), PublicKey);
        let sequence = |inner: &[u8]| [&[0x30, 0x60], inner].concat();
        let long = |length: u8| sequence(&[&[0x02, length][..], &[1; 80]].concat());
        for (bytes, is) in [
            // A modulus; everything else begins with a short version.
            (long(0x81), PublicKey),
            (long(0x41), PublicKey),
            (long(0x40), Binary),
            (long(0x01), Binary),
            (sequence(&[0x02, 1, 3, 0x30]), Binary),
            (sequence(&[0x02, 1, 1, 0x04, 0x20]), EllipticCurve),
            (
                sequence(&[&[0x02, 1, 0, 0x30, 0x13, 0x06, 7], ELLIPTIC_CURVE].concat()),
                EllipticCurve,
            ),
            (
                sequence(&[&[0x02, 1, 0, 0x30, 0x05, 0x06, 3], &[0x2b, 0x65, 0x70][..]].concat()),
                OtherAlgorithm,
            ),
            // RSA by its beginning, and nothing behind it.
            (
                sequence(&[&[0x02, 1, 0, 0x30, 0x0d, 0x06, 9], RSA].concat()),
                Damaged,
            ),
            (sequence(&[0x02, 1, 0, 0x02, 0x20]), Damaged),
            (sequence(&[0x30, 0x20, 0xa0, 3]), Certificate),
            (sequence(&[0x30, 0x20, 0x02, 1, 0]), CertificateRequest),
            (sequence(&[0x30, 0x20, 0x02, 1, 7]), Certificate),
            (
                sequence(&[&[0x30, 0x40, 0x06, 9], PASS_PHRASE].concat()),
                Encrypted,
            ),
            (sequence(&[0x30, 0x0d, 0x06, 9, 0x2a]), PublicKey),
            (sequence(&[0x30, 0x0d, 0x04, 9]), Binary),
            (vec![0xfe, 0xed, 0xfe, 0xed, 0, 0], Binary),
            (vec![0x30, 0x80], Binary),
            (vec![0x31, 0xff], Unknown),
        ] {
            assert_eq!(from_der(&bytes).unwrap_err(), is, "{bytes:02x?}");
        }
    }

    fn body_of(pem: &str) -> Vec<u8> {
        let lines = pem.lines().filter(|line| !line.starts_with('-'));
        general_purpose::STANDARD
            .decode(lines.collect::<String>())
            .unwrap()
    }

    #[test]
    fn a_key_as_json_begins_with_a_brace_and_names_its_kind() {
        for (pasted, is) in [
            (r#"{"kty":"RSA"}"#, NotAKey::Jwk),
            (r#"{"type":"RSA"}"#, NotAKey::Unknown),
            (r#"key: "kty""#, NotAKey::Unknown),
            (r#"["kty"]"#, NotAKey::Unknown),
            ("ssh-rsa AAAA+== me", NotAKey::PublicKey),
            ("my ssh-rsa key", NotAKey::Unknown),
        ] {
            assert_eq!(reads(pasted), Err(is), "{pasted}");
        }
    }
}
