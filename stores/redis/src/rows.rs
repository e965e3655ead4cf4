//! Between records and hashes.

use redis::Value;
use tokenkeep_core::{
    Timestamp,
    store::{Index, StoreError, StoredRecord, Version},
};

/// The fields of a record and their values; a column that is empty has no field.
pub(crate) fn fields(record: &StoredRecord) -> Vec<(&'static str, Vec<u8>)> {
    let index = &record.index;
    let text = |text: &Option<String>| text.clone().map(String::into_bytes);
    let time = |time: Timestamp| time.as_millis().to_string().into_bytes();
    let columns = [
        ("version", Some(record.version.as_bytes().to_vec())),
        (
            "generation",
            Some(record.generation.to_string().into_bytes()),
        ),
        ("issuer", text(&index.issuer)),
        ("subject", text(&index.subject)),
        ("sid", text(&index.sid)),
        ("access_expires_at", index.access_expires_at.map(time)),
        ("grant_expires_at", index.grant_expires_at.map(time)),
        ("changed_at", Some(time(index.changed_at))),
        ("purge_at", index.purge_at.map(time)),
        ("body", Some(record.body.clone())),
    ];
    columns
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .collect()
}

/// The record that a hash holds, as `HGETALL` answers it. Fields that are not known are passed over.
pub(crate) fn record(hash: Value) -> Result<Option<StoredRecord>, StoreError> {
    let strings = strings(hash)?;
    if strings.is_empty() {
        return Ok(None);
    }
    let mut strings = strings.into_iter();
    let (mut version, mut generation, mut changed_at, mut body) = (None, None, None, None);
    let mut index = Index::default();
    while let (Some(name), Some(value)) = (strings.next(), strings.next()) {
        match &name[..] {
            b"version" => version = Some(stamp(&value)?),
            b"generation" => generation = Some(number("generation", &value)?),
            b"issuer" => index.issuer = Some(text("issuer", value)?),
            b"subject" => index.subject = Some(text("subject", value)?),
            b"sid" => index.sid = Some(text("sid", value)?),
            b"access_expires_at" => {
                index.access_expires_at = Some(time("access_expires_at", &value)?)
            }
            b"grant_expires_at" => index.grant_expires_at = Some(time("grant_expires_at", &value)?),
            b"changed_at" => changed_at = Some(time("changed_at", &value)?),
            b"purge_at" => index.purge_at = Some(time("purge_at", &value)?),
            b"body" => body = Some(value),
            _ => {}
        }
    }
    let lacks = |name: &str| StoreError::invalid_row(format!("the hash lacks the field {name}"));
    index.changed_at = changed_at.ok_or_else(|| lacks("changed_at"))?;
    Ok(Some(StoredRecord::new(
        version.ok_or_else(|| lacks("version"))?,
        generation.ok_or_else(|| lacks("generation"))?,
        index,
        body.ok_or_else(|| lacks("body"))?,
    )))
}

/// Names and values in turn. RESP2 answers a list, RESP3 a map.
fn strings(hash: Value) -> Result<Vec<Vec<u8>>, StoreError> {
    let values = match hash {
        Value::Map(pairs) => pairs
            .into_iter()
            .flat_map(|(name, value)| [name, value])
            .collect(),
        Value::Array(values) if values.len() % 2 == 0 => values,
        _ => return Err(unexpected()),
    };
    values
        .into_iter()
        .map(|value| match value {
            Value::BulkString(bytes) => Ok(bytes),
            _ => Err(unexpected()),
        })
        .collect()
}

/// An answer of another shape than its command has. The answer itself may be a secret.
pub(crate) fn unexpected() -> StoreError {
    StoreError::other("Redis answered something else than was asked for")
}

fn stamp(value: &[u8]) -> Result<Version, StoreError> {
    <[u8; 16]>::try_from(value)
        .map(Version::from_bytes)
        .map_err(|_| StoreError::invalid_row("the version is not 16 bytes long"))
}

fn text(name: &str, value: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(value)
        .map_err(|_| StoreError::invalid_row(format!("the field {name} is not UTF-8")))
}

fn number<T: std::str::FromStr>(name: &str, value: &[u8]) -> Result<T, StoreError> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| StoreError::invalid_row(format!("the field {name} is no number")))
}

fn time(name: &str, value: &[u8]) -> Result<Timestamp, StoreError> {
    number(name, value).map(Timestamp::from_millis)
}

/// The answer of `TIME`: seconds and microseconds.
pub(crate) fn now(time: &Value) -> Result<Timestamp, StoreError> {
    let Value::Array(parts) = time else {
        return Err(unexpected());
    };
    let number = |part: Option<&Value>| match part {
        Some(Value::BulkString(digits)) => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse::<i64>().ok()),
        _ => None,
    };
    let (seconds, micros) = (number(parts.first()), number(parts.get(1)));
    match (seconds, micros) {
        (Some(seconds), Some(micros)) => Ok(Timestamp::from_millis(
            seconds.saturating_mul(1000).saturating_add(micros / 1000),
        )),
        _ => Err(unexpected()),
    }
}
