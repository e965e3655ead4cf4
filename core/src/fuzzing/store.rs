//! What stands in a store: whoever can write there can write anything.

use serde_json::Value;

use crate::{
    ErrorCode, KeyRing, TokenKey,
    seal::LiveRing,
    store::{Index, Page, StoredRecord, Version},
    token::{Body, Record, Sealing},
};

/// The body of a row. What is read is written back byte for byte, with everything that this version does not know;
/// sealed it opens in its own row only; and in plain it is not read unless that was allowed.
pub(super) fn record(data: &[u8]) -> bool {
    rows(data);
    let key = TokenKey::new("op", "alice").unwrap();
    let plain = Sealing {
        ring: None,
        accept_plain: true,
    };
    let ring = KeyRing::parse("k1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc").unwrap();
    let sealing = Sealing {
        ring: Some(LiveRing::new(ring)),
        accept_plain: false,
    };
    let stored = StoredRecord::new(
        Version::from_bytes([1; 16]),
        generation(data).unwrap_or_default(),
        Index::default(),
        data.to_vec(),
    );
    match Record::decode(&key, stored.clone(), &sealing) {
        Ok(read) => assert!(!matches!(read.body, Body::Open { .. }), "nobody sealed it"),
        Err(error) => assert!(matches!(
            error.code(),
            ErrorCode::InvalidRecord | ErrorCode::UnsupportedFormat
        )),
    }
    let Ok(read) = Record::decode(&key, stored.clone(), &plain) else {
        return false;
    };
    assert!(Record::survey(&key, stored.clone(), &sealing).is_ok());
    assert_eq!(Record::survey(&key, stored.clone(), &plain).unwrap(), read);

    // Unchanged, the payload keeps its bytes, and the header what it says.
    let Ok(written) = read.encode(&key, &plain, false) else {
        assert!(data.len() > 900_000, "a short record cannot be written");
        return true;
    };
    let again = Record::decode(&key, written.clone(), &plain).unwrap();
    assert_eq!(again, read);
    assert_eq!(again.encode(&key, &plain, false).unwrap(), written);
    assert!(written.body.ends_with(payload_of(&stored.body)));

    // Sealed anew it says the same.
    let Some(payload) = read.payload().cloned() else {
        return true;
    };
    let mut changed = read;
    changed.set_payload(payload.clone());
    let sealed = changed.encode(&key, &sealing, false).unwrap();
    let opened = Record::decode(&key, sealed.clone(), &sealing).unwrap();
    assert_eq!(opened.payload(), Some(&payload));
    assert_eq!(opened.header, changed.header);
    let elsewhere = TokenKey::new("op", "mallory").unwrap();
    assert!(Record::decode(&elsewhere, sealed, &sealing).is_err());
    true
}

/// A whole row as one value, and a cursor: both come back as they went.
fn rows(data: &[u8]) {
    if let Ok(row) = StoredRecord::from_bytes(data) {
        let written = row.to_bytes();
        assert_eq!(StoredRecord::from_bytes(&written).unwrap(), row);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(Some(key)) = Page::after(text, 1).after_key()
    {
        let columns = (key.client(), key.owner_column(), &*key.slot_column());
        let again = TokenKey::from_columns(columns.0, columns.1, columns.2).unwrap();
        assert_eq!(again, key);
    }
}

/// The header and the payload of a body: what follows `tk` and the two numbers of the format.
fn parts(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.get(4..)?.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

fn payload_of(body: &[u8]) -> &[u8] {
    parts(body).unwrap().1
}

/// The generation that the header names: the column must say the same.
fn generation(body: &[u8]) -> Option<u64> {
    let header: Value = serde_json::from_slice(parts(body)?.0).ok()?;
    header["generation"].as_u64()
}
