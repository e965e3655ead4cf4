use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::Pkcs8V1Der,
    rsa::KeySize,
    signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

pub(crate) fn armored(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn generated(size: KeySize) -> Vec<u8> {
    let pair = RsaKeyPair::generate(size).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    der.as_ref().to_vec()
}

pub(crate) fn pkcs8_2048() -> &'static [u8] {
    static DER: OnceLock<Vec<u8>> = OnceLock::new();
    DER.get_or_init(|| generated(KeySize::Rsa2048))
}

fn pkcs1_2048() -> Vec<u8> {
    let outer = pkcs8::PrivateKeyInfo::try_from(pkcs8_2048()).unwrap();
    outer.private_key.to_vec()
}

#[test]
fn both_forms_of_a_key_sign_alike() {
    let eight = RsaKey::from_pem(&armored("PRIVATE KEY", pkcs8_2048())).unwrap();
    let one = RsaKey::from_pem(&armored("RSA PRIVATE KEY", &pkcs1_2048())).unwrap();
    assert_eq!(eight.sign_sha1(b"a").unwrap(), one.sign_sha1(b"a").unwrap());
    assert_eq!(
        eight.sign_sha256(b"a").unwrap(),
        one.sign_sha256(b"a").unwrap()
    );
    assert_ne!(
        eight.sign_sha1(b"a").unwrap(),
        eight.sign_sha1(b"b").unwrap()
    );
}

/// As an environment file writes it: in one line, its breaks spelled out.
#[test]
fn line_breaks_may_be_spelled_out() {
    let pem = armored("PRIVATE KEY", pkcs8_2048()).replace('\n', "\\n");
    let key = RsaKey::from_pem(&pem).unwrap();
    assert_eq!(key.sign_sha1(b"a").unwrap().len(), 256);
}

/// aws-lc makes the same signature of the same padding: the exponentiation here is one of RSA, for each size of number.
#[test]
fn the_power_is_the_one_that_another_implementation_finds() {
    const SHA256_INFO: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    for (der, size) in [
        (pkcs8_2048().to_vec(), 256),
        (generated(KeySize::Rsa3072), 384),
        (generated(KeySize::Rsa4096), 512),
    ] {
        let key = RsaKey::from_pem(&armored("PRIVATE KEY", &der)).unwrap();
        let digest = digest::digest(&digest::SHA256, b"a message");
        let info = [&SHA256_INFO, digest.as_ref()].concat();
        let filling = vec![0xff; size - info.len() - 3];
        let padded = [&[0x00, 0x01][..], &filling, &[0x00], &info].concat();
        let power = match size {
            256 => key.power::<{ U2048::LIMBS }>(&padded),
            384 => key.power::<{ U3072::LIMBS }>(&padded),
            _ => key.power::<{ U4096::LIMBS }>(&padded),
        };
        assert_eq!(power.unwrap(), key.sign_sha256(b"a message").unwrap());
        assert_eq!(key.sign_sha1(b"a message").unwrap().len(), size);
    }
}

/// A signature that is off by a bit would give the key away.
#[test]
fn a_faulty_signature_is_never_handed_out() {
    let mut key = RsaKey::from_pem(&armored("PRIVATE KEY", pkcs8_2048())).unwrap();
    if let Some(last) = key.exponent.last_mut() {
        *last ^= 2;
    }
    let error = key.sign_sha1(b"a").unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
}

#[test]
fn what_is_signed_with_sha256_verifies() {
    let key = RsaKey::from_pem(&armored("PRIVATE KEY", pkcs8_2048())).unwrap();
    let signature = key.sign_sha256(b"a").unwrap();
    let public = key.pair.public_key().as_der().unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_ref())
        .verify(b"a", &signature)
        .unwrap();
}

#[test]
fn what_is_no_such_key_is_refused_and_never_shown() {
    let ec = armored("EC PRIVATE KEY", b"hunter2 hunter2");
    let encrypted = armored("ENCRYPTED PRIVATE KEY", b"hunter2 hunter2");
    let damaged = armored("PRIVATE KEY", &pkcs8_2048()[..400]);
    let swapped = armored("RSA PRIVATE KEY", pkcs8_2048());
    let no_base64 = "-----BEGIN PRIVATE KEY-----\nhunter2!\n-----END PRIVATE KEY-----".to_owned();
    let cut = "-----BEGIN PRIVATE KEY-----\nhunter2".to_owned();
    for pem in [
        ec,
        encrypted,
        damaged,
        swapped,
        no_base64,
        cut,
        "hunter2".to_owned(),
    ] {
        let error = RsaKey::from_pem(&pem).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        assert!(error.message().starts_with("rsa_key "), "{error}");
        assert!(!format!("{error:#?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_key_shows_nothing() {
    let key = RsaKey::from_pem(&armored("PRIVATE KEY", pkcs8_2048())).unwrap();
    assert_eq!(format!("{key:?}"), "[secret]");
}
