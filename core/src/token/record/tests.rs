use super::*;
use crate::token::{GrantId, Step, header::TRAIL};

fn key() -> TokenKey {
    TokenKey::new("op", "alice").unwrap()
}

fn sealing() -> Sealing {
    Sealing {
        ring: Some(LiveRing::new(KeyRing::ephemeral())),
        accept_plain: false,
    }
}

fn record() -> Record {
    let mut header = Header::new(GrantId::random(), 7);
    header.note(Timestamp::from_secs(1), Step::Login, "attempt", "");
    let payload = Payload {
        refresh_token: Some("r-secret".into()),
        access_tokens: vec![AccessToken {
            target: Target::login(),
            token: "a-secret".into(),
            credential: Credential::Bearer,
            expires_at: Some(Timestamp::from_secs(100)),
            issued_at: None,
            scopes: None,
            issued_generation: 7,
            unknown: Map::new(),
        }],
        ..Payload::default()
    };
    Record::new(header, Index::default(), payload)
}

/// Encodes as another version of the encoder would: other numbers, further members in header and payload.
fn other_encoder(record: &Record, sealing: &Sealing, major: u8, minor: u8) -> StoredRecord {
    let mut header = serde_json::to_value(&record.header).unwrap();
    header["colour"] = "blue".into();
    let mut payload = serde_json::to_value(record.payload().unwrap()).unwrap();
    payload["shape"] = "round".into();
    payload["access_tokens"][0]["taste"] = "sweet".into();
    let bound = Record::bound(&key(), &record.header, &record.index);
    let sealed = sealing
        .ring
        .as_ref()
        .unwrap()
        .current()
        .seal(&bound, payload.to_string().as_bytes())
        .unwrap();
    let header = header.to_string();
    let mut body = vec![b't', b'k', major, minor];
    body.extend_from_slice(&(header.len() as u32).to_be_bytes());
    body.extend_from_slice(header.as_bytes());
    body.extend_from_slice(&sealed);
    StoredRecord::new(
        record.version,
        record.header.generation,
        Index::default(),
        body,
    )
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let (sealing, record) = (sealing(), record());
    let stored = record.encode(&key(), &sealing, true).unwrap();
    let mut read = Record::decode(&key(), stored.clone(), &sealing).unwrap();
    assert_eq!(
        read.encode(&key(), &sealing, true).unwrap(),
        stored,
        "an unchanged payload keeps its bytes"
    );
    if let Body::Open { stored, .. } = &mut read.body {
        *stored = None;
    }
    assert_eq!(read, record);
}

#[test]
fn no_secret_stands_in_a_sealed_body() {
    let stored = record().encode(&key(), &sealing(), true).unwrap();
    let text = String::from_utf8_lossy(&stored.body);
    assert!(!text.contains("secret"));
    assert!(!format!("{:?}", record()).contains("secret\""));
}

#[test]
fn the_lowest_format_is_written_that_can_express_the_record() {
    let mut record = record();
    assert_eq!(
        record.encode(&key(), &sealing(), true).unwrap().body[2..4],
        [1, 0]
    );
    let mut payload = record.payload().unwrap().clone();
    let mut other = payload.access_tokens[0].clone();
    other.target = Target::new(["https://api.example"], ["read"]);
    payload.set_access(other);
    record.set_payload(payload);
    assert_eq!(
        record.encode(&key(), &sealing(), true).unwrap().body[2..4],
        [1, 1]
    );
}

#[test]
fn a_newer_minor_format_is_read_and_what_is_unknown_is_kept() {
    let sealing = sealing();
    let newer = other_encoder(&record(), &sealing, 1, 9);
    let mut read = Record::decode(&key(), newer, &sealing).unwrap();
    assert_eq!(
        read.payload()
            .unwrap()
            .refresh_token
            .as_ref()
            .unwrap()
            .expose(),
        "r-secret"
    );
    read.header.fence += 1;
    let mut payload = read.payload().unwrap().clone();
    payload.refresh_token = Some("r2".into());
    read.set_payload(payload);
    let rewritten = read.encode(&key(), &sealing, true).unwrap();
    assert_eq!(rewritten.body[2..4], [1, 9]);
    let again = Record::decode(&key(), rewritten, &sealing).unwrap();
    assert_eq!(again.header.unknown["colour"], "blue");
    assert_eq!(again.payload().unwrap().unknown["shape"], "round");
    assert_eq!(
        again.payload().unwrap().access_tokens[0].unknown["taste"],
        "sweet"
    );
}

#[test]
fn a_higher_major_format_is_refused_by_name() {
    let sealing = sealing();
    let error =
        Record::decode(&key(), other_encoder(&record(), &sealing, 2, 0), &sealing).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UnsupportedFormat);
}

#[test]
fn a_payload_opens_under_its_own_key_grant_and_generation_only() {
    let (sealing, record) = (sealing(), record());
    let stored = record.encode(&key(), &sealing, true).unwrap();
    let elsewhere = TokenKey::new("op", "mallory").unwrap();
    assert_eq!(
        Record::decode(&elsewhere, stored.clone(), &sealing)
            .unwrap_err()
            .code(),
        ErrorCode::InvalidRecord
    );

    let text = String::from_utf8_lossy(&stored.body).into_owned();
    let at = text.find("\"generation\":7").unwrap();
    let mut later = stored;
    later.body[at + 13] = b'8';
    later.generation = 8;
    assert_eq!(
        Record::decode(&key(), later, &sealing).unwrap_err().code(),
        ErrorCode::InvalidRecord
    );
}

#[test]
fn nobody_can_say_that_a_payload_is_of_somebody_else() {
    let (sealing, record) = (sealing(), record());
    let stored = record.encode(&key(), &sealing, true).unwrap();
    for change in [
        |index: &mut Index| index.issuer = Some("https://other".into()),
        |index: &mut Index| index.subject = Some("mallory".into()),
    ] {
        let mut forged = stored.clone();
        change(&mut forged.index);
        let error = Record::decode(&key(), forged, &sealing).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRecord);
    }
}

#[test]
fn without_its_key_a_record_shows_its_header_and_keeps_its_bytes() {
    let record = record();
    let stored = record.encode(&key(), &sealing(), true).unwrap();
    for other in [
        sealing(),
        Sealing {
            ring: None,
            accept_plain: true,
        },
    ] {
        let other = match other.ring {
            // The ephemeral ring's key id is always the same: give it another.
            Some(_) => Sealing {
                ring: Some(LiveRing::new(
                    KeyRing::parse(&format!("other:{}", "A".repeat(43))).unwrap(),
                )),
                accept_plain: true,
            },
            None => other,
        };
        let read = Record::decode(&key(), stored.clone(), &other).unwrap();
        assert!(matches!(read.body, Body::KeyMissing { .. }));
        assert_eq!(read.header, record.header);
        assert_eq!(read.encode(&key(), &other, true).unwrap(), stored);
    }
}

#[test]
fn plain_payloads_are_refused_unless_accepted() {
    let plain = Sealing {
        ring: None,
        accept_plain: true,
    };
    let stored = record().encode(&key(), &plain, true).unwrap();
    assert!(Record::decode(&key(), stored.clone(), &plain).is_ok());
    assert_eq!(
        Record::decode(&key(), stored, &sealing())
            .unwrap_err()
            .code(),
        ErrorCode::InvalidRecord
    );
}

#[test]
fn cut_and_foreign_bodies_are_typed_errors() {
    let sealing = sealing();
    let stored = record().encode(&key(), &sealing, true).unwrap();
    for length in 0..stored.body.len() {
        let mut cut = stored.clone();
        cut.body.truncate(length);
        match Record::decode(&key(), cut, &sealing) {
            Err(error) => assert_eq!(error.code(), ErrorCode::InvalidRecord, "cut at {length}"),
            // Cut right behind the header: a record without a payload, as a tombstone is.
            Ok(read) => assert_eq!(read.body, Body::Empty),
        }
    }
}

#[test]
fn the_trail_keeps_the_last_sixteen_steps() {
    let mut header = Header::new(GrantId::random(), 1);
    for second in 0..40 {
        header.note(Timestamp::from_secs(second), Step::Begin, "a", "");
    }
    assert_eq!(header.trail.len(), TRAIL);
    assert_eq!(header.trail[0].at, Timestamp::from_secs(24));
}
