//! Access tokens taken apart, and put together by somebody who must not.

use ring::hmac;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};

/// The alphabet of base64url (RFC 4648, section 5).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(char::from(ALPHABET[usize::try_from(digit).expect("six bits")]));
        }
    }
    text
}

pub fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in text.as_bytes().chunks(4) {
        let digit = |byte: &u8| {
            ALPHABET
                .iter()
                .position(|digit| digit == byte)
                .expect("the text is base64url")
        };
        let bits = chunk.iter().fold(0, |bits, byte| (bits << 6) | digit(byte)) << (6 * (4 - chunk.len()));
        let decoded = [(bits >> 16) & 255, (bits >> 8) & 255, bits & 255];
        let decoded = decoded.iter().take(chunk.len() - 1);
        bytes.extend(decoded.map(|byte| u8::try_from(*byte).expect("eight bits")));
    }
    bytes
}

/// A token of the service `auth`, in its parts.
#[derive(Clone, Debug)]
pub struct Token {
    pub header: Value,
    pub claims: Value,
    signature: String,
}

impl Token {
    pub fn parse(text: &str) -> Self {
        let parts: Vec<_> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            panic!("{text} has no three parts")
        };
        let json = |part: &str| serde_json::from_slice(&decode(part)).expect("the part is JSON");
        Self {
            header: json(header),
            claims: json(claims),
            signature: signature.to_owned(),
        }
    }

    pub fn kid(&self) -> &str {
        self.header["kid"].as_str().expect("a token names its key")
    }

    /// The end of its life, in seconds since the Unix epoch.
    pub fn expires(&self) -> u64 {
        self.claims["exp"].as_u64().expect("a token expires")
    }
}

fn text(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> String) -> String {
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = sign(signed.as_bytes());
    format!("{signed}.{signature}")
}

/// A key pair that `auth` never had.
fn foreign_key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed has 32 bytes")
}

/// Tokens that say `admin`, made from one that is good and says so or not, by every way that is known to have worked
/// somewhere. `public` is the public key that signed the good one.
pub fn forgeries(good: &str, public: &[u8]) -> Vec<(&'static str, String)> {
    use ring::signature::KeyPair as _;

    let token = Token::parse(good);
    let mut claims = token.claims.clone();
    claims["roles"] = json!(["admin", "customer"]);
    let header = |changes: Value| {
        let mut header = token.header.clone();
        for (name, value) in changes.as_object().expect("changes are an object") {
            header[name] = value.clone();
        }
        header
    };
    let key = foreign_key();
    let foreign = |signed: &[u8]| encode(key.sign(signed).as_ref());
    let original = |_: &[u8]| token.signature.clone();
    let none = |_: &[u8]| String::new();
    let hmac =
        |signed: &[u8]| encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public), signed).as_ref());
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": token.kid(), "x": encode(key.public_key().as_ref()),
    });
    let mut without_kid = token.header.clone();
    without_kid
        .as_object_mut()
        .expect("a header is an object")
        .remove("kid");
    let (signed, _) = good.rsplit_once('.').expect("a token has parts");
    vec![
        (
            "other claims under the old signature",
            text(&token.header, &claims, original),
        ),
        (
            "signed by another key under our key's name",
            text(&token.header, &claims, foreign),
        ),
        (
            "signed by another key under its own name",
            text(&header(json!({ "kid": "mine" })), &claims, foreign),
        ),
        (
            "signed by a key that it brings along",
            text(&header(json!({ "jwk": jwk })), &claims, foreign),
        ),
        ("without the name of a key", text(&without_kid, &claims, foreign)),
        (
            "algorithm none",
            text(&header(json!({ "alg": "none" })), &claims, none),
        ),
        (
            "algorithm None",
            text(&header(json!({ "alg": "None" })), &claims, none),
        ),
        (
            "algorithm none with a signature",
            text(&header(json!({ "alg": "none" })), &claims, original),
        ),
        (
            "the public key as a shared secret",
            text(&header(json!({ "alg": "HS256" })), &claims, hmac),
        ),
        ("a signature of nothing", format!("{signed}.")),
        ("a signature of zeros", format!("{signed}.{}", encode(&[0; 64]))),
        ("a signature cut short", good[..good.len() - 4].to_owned()),
        ("a fourth part", format!("{good}.{}", encode(b"x"))),
        ("two parts", signed.to_owned()),
        ("padding", format!("{good}==")),
        ("no token at all", "x".to_owned()),
        ("more than anybody reads", format!("{good}{}", "A".repeat(5000))),
    ]
}

#[test]
fn base64url_is_read_as_it_was_written() {
    let cases: [(&[u8], &str); 5] = [
        (b"", ""),
        (b"f", "Zg"),
        (b"fo", "Zm8"),
        (b"foo", "Zm9v"),
        (&[0xfb, 0xff, 0xfe], "-__-"),
    ];
    for (bytes, text) in cases {
        assert_eq!(encode(bytes), text);
        assert_eq!(decode(text), bytes);
    }
}
