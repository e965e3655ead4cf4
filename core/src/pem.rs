//! PEM (RFC 7468), as far as private keys are written in it.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

/// How long a key's text may be, in bytes: RSA of 8192 bits has about 6,400.
pub(crate) const MAX_LEN: usize = 64 * 1024;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How the contents of a block are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `RSA PRIVATE KEY` (RFC 8017 appendix A.1.2).
    Pkcs1,
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1,
}

/// The first private key of a text, or what is wrong with it, without a part of it.
pub(crate) fn private_key(text: &str) -> Result<(Form, Zeroizing<Vec<u8>>), &'static str> {
    if text.len() > MAX_LEN {
        return Err("it is longer than 64 KiB");
    }
    // As environment files and JSON that was written by hand have it.
    let text = Zeroizing::new(text.replace("\\n", "\n"));
    let mut rest = text.as_str();
    let mut other = None;
    while let Some((label, body, behind)) = block(rest) {
        rest = behind;
        let form = match label {
            "PRIVATE KEY" => Form::Pkcs8,
            "RSA PRIVATE KEY" => Form::Pkcs1,
            "EC PRIVATE KEY" => Form::Sec1,
            "ENCRYPTED PRIVATE KEY" => return Err(ENCRYPTED),
            "OPENSSH PRIVATE KEY" => {
                return Err(
                    "it is in OpenSSH's format; write it as PKCS#8: ssh-keygen -p -m PKCS8",
                );
            }
            "CERTIFICATE" => {
                other = Some("it is a certificate, and the private key is needed");
                continue;
            }
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {
                other = Some("it is the public key, and the private one is needed");
                continue;
            }
            // `EC PARAMETERS` stands before a key.
            _ => continue,
        };
        // RFC 1421 section 4.6.1.1.
        if body.contains("Proc-Type:") {
            return Err(ENCRYPTED);
        }
        let mut digits = Zeroizing::new(String::with_capacity(body.len()));
        digits.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
        let der = BASE64
            .decode(digits.as_bytes())
            .map_err(|_| "its PEM block is not base64")?;
        return Ok((form, Zeroizing::new(der)));
    }
    Err(other.unwrap_or("it has no PEM block of a private key (-----BEGIN PRIVATE KEY-----)"))
}

/// The first certificate of a text, in DER.
pub(super) fn certificate(text: &str) -> Result<Vec<u8>, &'static str> {
    if text.len() > MAX_LEN {
        return Err("it is longer than 64 KiB");
    }
    let text = Zeroizing::new(text.replace("\\n", "\n"));
    let mut rest = text.as_str();
    while let Some((label, body, behind)) = block(rest) {
        rest = behind;
        if label == "CERTIFICATE" {
            let digits: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            return BASE64
                .decode(digits)
                .map_err(|_| "its PEM block is not base64");
        }
    }
    Err("it has no PEM block of a certificate (-----BEGIN CERTIFICATE-----)")
}

const ENCRYPTED: &str =
    "it is encrypted; decrypt it where secrets are kept: openssl pkey -in … -out …";

/// The next block: its label, what stands in it, and what comes behind it.
fn block(text: &str) -> Option<(&str, &str, &str)> {
    let (_, begun) = text.split_once("-----BEGIN ")?;
    let (label, rest) = begun.split_once("-----")?;
    let (body, behind) = rest.split_once("-----END ")?;
    Some((label, body, behind))
}
