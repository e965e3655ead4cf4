use super::*;

#[test]
fn a_record_comes_back_from_bytes_and_nothing_else_does() {
    let index = Index {
        issuer: Some("https://op".into()),
        access_expires_at: Some(Timestamp::from_secs(5)),
        changed_at: Timestamp::from_secs(1),
        ..Index::default()
    };
    let record = StoredRecord::new(Version::random(), u64::MAX, index, vec![0, 255, 1]);
    let bytes = record.to_bytes();
    assert_eq!(StoredRecord::from_bytes(&bytes).unwrap(), record);
    for length in 0..bytes.len() - 3 {
        assert!(StoredRecord::from_bytes(&bytes[..length]).is_err());
    }
}
