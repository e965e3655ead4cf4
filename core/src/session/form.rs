//! The few parameters of a logout by the provider: from a posted form, or from a query.

use url::form_urlencoded;

use crate::{Error, ErrorCode, Phase, Result, Secret};

const MAX_TOTAL: usize = 64 * 1024;
const MAX_PARAMETERS: usize = 64;

/// Reads the parameters of these names, each once at most; others are ignored.
///
/// # Errors
/// `invalid_parameter` for more than 64 KiB or 64 parameters, for what is not UTF-8, and for a parameter that is there twice.
pub(super) fn read<const N: usize>(
    encoded: &[u8],
    names: [&str; N],
) -> Result<[Option<Secret>; N]> {
    if encoded.len() > MAX_TOTAL {
        return Err(invalid("the request is larger than 64 KiB"));
    }
    let mut found = [const { None }; N];
    for (count, (name, value)) in form_urlencoded::parse(encoded).enumerate() {
        if count >= MAX_PARAMETERS {
            return Err(invalid("the request has more than 64 parameters"));
        }
        let Some(at) = names.iter().position(|known| *known == name) else {
            continue;
        };
        // What was not UTF-8 was replaced by this character.
        if value.contains('\u{fffd}') {
            return Err(invalid(&format!("{name} is not UTF-8")));
        }
        if found[at]
            .replace(Secret::from(value.into_owned()))
            .is_some()
        {
            return Err(invalid(&format!("{name} is given twice")));
        }
    }
    Ok(found)
}

pub(super) fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::InvalidParameter, Phase::Logout, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_is_read_once_and_others_are_ignored() {
        let read = |text: &str| read(text.as_bytes(), ["a", "b"]);
        let [a, b] = read("x=1&a=%C3%A9+1&x=2&%ff=3").unwrap();
        assert_eq!((a.unwrap().expose(), b.is_none()), ("é 1", true));
        for wrong in [
            "a=1&a=1",
            "a=1&%61=2",
            "a&a=",
            "b=%ff",
            &"x=1&".repeat(65),
            &"x".repeat(MAX_TOTAL + 1),
        ] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidParameter);
        }
    }
}
