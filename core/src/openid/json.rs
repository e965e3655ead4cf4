//! Reading JSON that others wrote: every member of an object once, and optional members that may be of any type.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::Timestamp;

/// Text that is borrowed from the document where it has no escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The members of an object that were seen: a second one of the same name is refused.
///
/// Different parsers take different ones of two equal members, and attacks live in the difference (RFC 8725
/// section 2.4, RFC 7519 section 4).
struct Members<'a>(Vec<(u64, Cow<'a, str>)>);

impl<'a> Members<'a> {
    fn new() -> Self {
        Self(Vec::with_capacity(24))
    }

    fn note(&mut self, name: Cow<'a, str>) {
        self.0.push((fingerprint(&name), name));
    }

    /// Refuses if a name was noted twice.
    fn each_once<E: de::Error>(mut self) -> Result<(), E> {
        let is_doubled = if self.0.len() <= 64 {
            // Comparing numbers is quicker than sorting text.
            self.0.iter().enumerate().any(|(position, (print, name))| {
                self.0[..position]
                    .iter()
                    .any(|(other, before)| other == print && before == name)
            })
        } else {
            self.0.sort_unstable();
            self.0.windows(2).any(|pair| pair[0] == pair[1])
        };
        if is_doubled {
            // The name is the document's; it may be anything.
            return Err(E::custom("a member occurs twice"));
        }
        Ok(())
    }
}

/// Equal for equal names, and seldom for others: the length and the last bytes.
fn fingerprint(name: &str) -> u64 {
    let last = name.as_bytes().iter().rev().take(7);
    last.fold(name.len() as u64, |print, byte| {
        print << 8 | u64::from(*byte)
    })
}

/// Walks over an object with each member once. `member` reads the value of a name, or answers false for one that it
/// does not know; then the value is skipped.
pub(crate) trait ObjectReader<'de> {
    /// What comes out.
    type Output;

    /// Reads the value of this member, or leaves it and answers false.
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;

    /// After the last member.
    fn finish(self) -> Self::Output;
}

/// How deep documents may be nested; serde_json reads values down to 128.
const MAX_DEPTH: usize = 100;

/// Is no part of the text nested deeper? What is skipped is not bounded by serde_json, and would be found unreadable only
/// by whoever asks for it later.
fn is_shallow(text: &str) -> bool {
    let opens = |byte: &u8| matches!(byte, b'{' | b'[');
    // Almost always there are too few brackets for that.
    if text.bytes().filter(opens).count() <= MAX_DEPTH {
        return true;
    }
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return false;
        }
    }
    true
}

/// Reads one whole object, not nested deeper than 100.
pub(crate) fn read_object<'de, R: ObjectReader<'de>>(
    text: &'de str,
    reader: R,
) -> Result<R::Output, serde_json::Error> {
    if !is_shallow(text) {
        return Err(de::Error::custom("nested too deep"));
    }
    struct Object<R>(R);
    impl<'de, R: ObjectReader<'de>> Visitor<'de> for Object<R> {
        type Value = R::Output;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut seen = Members::new();
            while let Some(Text(name)) = map.next_key()? {
                if !self.0.member(&name, &mut map)? {
                    map.next_value::<IgnoredAny>()?;
                }
                seen.note(name);
            }
            seen.each_once()?;
            Ok(self.0.finish())
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let output = deserializer.deserialize_map(Object(reader))?;
    deserializer.end()?;
    Ok(output)
}

/// One member of an object, read on demand.
pub(crate) fn find_member(text: &str, name: &str) -> Option<serde_json::Value> {
    struct Find<'n>(&'n str, Option<serde_json::Value>);
    impl<'de> ObjectReader<'de> for Find<'_> {
        type Output = Option<serde_json::Value>;
        fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
            if name != self.0 {
                return Ok(false);
            }
            self.1 = Some(map.next_value()?);
            Ok(true)
        }
        fn finish(self) -> Self::Output {
            self.1
        }
    }
    read_object(text, Find(name, None)).ok().flatten()
}

/// A value that is taken if it is of this type, and otherwise is as good as absent.
pub(crate) struct Lenient<T>(pub(crate) Option<T>);

/// What [`Lenient`] takes.
pub(crate) trait FromScalar: Sized {
    fn from_text(_: &str) -> Option<Self> {
        None
    }
    fn from_bool(_: bool) -> Option<Self> {
        None
    }
    fn from_number(_: f64) -> Option<Self> {
        None
    }
}

impl FromScalar for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// Apple and Cognito send `"true"`.
impl FromScalar for bool {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl FromScalar for NumericDate {
    fn from_number(seconds: f64) -> Option<Self> {
        // A cast of a float saturates.
        Some(Self(Timestamp::from_millis((seconds * 1000.0) as i64)))
    }
}

impl<'de, T: FromScalar> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: FromScalar> Visitor<'de> for Any<T> {
            type Value = Lenient<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Lenient(T::from_text(text)))
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Lenient(T::from_bool(value)))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Lenient(T::from_number(value as f64)))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Lenient(T::from_number(value as f64)))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Lenient(T::from_number(value)))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Lenient(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Lenient(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Lenient(None))
            }
        }
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// A list of text, or one text alone.
#[derive(Default)]
pub(crate) struct OneOrMany(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a list of text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(OneOrMany::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(text) = seq.next_element()? {
                    list.push(text);
                }
                Ok(OneOrMany(list))
            }
        }
        deserializer.deserialize_any(ListVisitor)
    }
}

/// Seconds since the epoch, whole or not (RFC 7519 section 2, NumericDate); out of range saturates.
#[derive(Clone, Copy)]
pub(crate) struct NumericDate(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DateVisitor;
        impl Visitor<'_> for DateVisitor {
            type Value = NumericDate;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds")
            }
            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Self::Value, E> {
                Ok(NumericDate(Timestamp::from_secs(seconds)))
            }
            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Self::Value, E> {
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                Ok(NumericDate(Timestamp::from_secs(seconds)))
            }
            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Self::Value, E> {
                NumericDate::from_number(seconds).ok_or_else(|| E::custom("not a number"))
            }
        }
        deserializer.deserialize_any(DateVisitor)
    }
}

/// Is it one object, each member of it once?
pub(crate) fn has_each_member_once(text: &str) -> bool {
    struct Nothing;
    impl<'de> ObjectReader<'de> for Nothing {
        type Output = ();
        fn member<A: MapAccess<'de>>(&mut self, _: &str, _: &mut A) -> Result<bool, A::Error> {
            Ok(false)
        }
        fn finish(self) {}
    }
    read_object(text, Nothing).is_ok()
}
