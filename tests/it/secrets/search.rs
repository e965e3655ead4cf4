//! Looking for secrets in anything, however they are written: as they are, in base64 of either alphabet and at any
//! alignment, percent-encoded, in hexadecimal, as a list of bytes; whole or in pieces of 16 characters.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use tokenkeep::Cookie;
use tokenkeep_testing::Provider;

/// How long a piece is that counts as found.
pub(super) const PIECE: usize = 16;

type Piece = [u8; PIECE];

/// What nobody may see.
#[derive(Default)]
pub(super) struct Secrets {
    known: BTreeMap<Vec<u8>, &'static str>,
    /// Every piece of every form.
    pieces: HashMap<Piece, &'static str>,
    /// The forms that are shorter than a piece.
    short: Vec<(Vec<u8>, &'static str)>,
    /// Which first four bytes a piece may have: nearly all that is searched ends here.
    beginnings: Vec<bool>,
}

impl Secrets {
    /// A secret, with a word for what it is.
    pub(super) fn know(&mut self, what: &'static str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() >= 8, "{what} is too short to be searched for");
        if self.known.insert(secret.to_vec(), what).is_some() {
            return;
        }
        self.beginnings.resize(1 << 20, false);
        for form in forms(secret_part(secret)) {
            if form.len() < PIECE {
                self.short.push((form, what));
                continue;
            }
            for piece in form
                .windows(PIECE)
                .filter_map(|piece| piece.try_into().ok())
            {
                self.beginnings[beginning(&piece)] = true;
                self.pieces.entry(piece).or_insert(what);
            }
        }
    }

    /// The cookies that a browser is given. What is sealed in one may be anything but readable.
    pub(super) fn cookies(&mut self, set: &[Cookie]) {
        let values = set.iter().map(|cookie| cookie.value.expose());
        for value in values.filter(|value| !value.is_empty()) {
            self.know("a cookie", value);
        }
    }

    /// Everything that the provider gave or was sent, and which kinds that were.
    pub(super) fn of(&mut self, provider: &Provider) -> BTreeSet<&'static str> {
        let all = provider.secrets();
        for secret in &all {
            self.know(secret.what, &secret.value);
        }
        all.iter().map(|secret| secret.what).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// What is known, and what it is.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &'static str)> {
        self.known
            .iter()
            .map(|(secret, what)| (secret.as_slice(), *what))
    }

    /// Those that stand in it.
    pub(super) fn found_in(&self, text: impl AsRef<[u8]>) -> BTreeSet<&'static str> {
        let text = text.as_ref();
        let mut found = self.found_as_it_is(text);
        for bytes in lists_of_bytes(text) {
            found.extend(self.found_as_it_is(&bytes));
        }
        found
    }

    fn found_as_it_is(&self, text: &[u8]) -> BTreeSet<&'static str> {
        let pieces = text.windows(PIECE).filter_map(|window| {
            let piece: Piece = window.try_into().ok()?;
            let may_be = *self.beginnings.get(beginning(&piece))?;
            may_be.then(|| self.pieces.get(&piece).copied()).flatten()
        });
        let short = self.short.iter().filter_map(|(form, what)| {
            let is_there = text.windows(form.len()).any(|window| window == form);
            is_there.then_some(*what)
        });
        pieces.chain(short).collect()
    }
}

/// JWTs of one provider are alike up to their signatures, and without that they are no tokens.
fn secret_part(secret: &[u8]) -> &[u8] {
    if !secret.starts_with(b"eyJ") {
        return secret;
    }
    let mut parts = secret.splitn(3, |byte| *byte == b'.').skip(1);
    let (payload, signature) = (parts.next(), parts.next());
    signature
        .filter(|signature| !signature.is_empty())
        .or(payload)
        .unwrap_or(secret)
}

fn beginning(piece: &Piece) -> usize {
    let word = u32::from_le_bytes([piece[0], piece[1], piece[2], piece[3]]);
    (word.wrapping_mul(2_654_435_761) >> 12) as usize
}

/// The ways in which bytes are written.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![secret.to_vec(), query(secret)];
    for upper in [false, true] {
        all.push(each_byte(secret, "", upper));
        all.push(each_byte(secret, "%", upper));
    }
    for before in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            all.push(in_base64(secret, before, engine));
        }
    }
    all.sort();
    all.dedup();
    all
}

fn query(secret: &[u8]) -> Vec<u8> {
    url::form_urlencoded::byte_serialize(secret)
        .collect::<String>()
        .into_bytes()
}

fn each_byte(secret: &[u8], before: &str, upper: bool) -> Vec<u8> {
    let mut text = String::new();
    for byte in secret {
        let written = if upper {
            write!(text, "{before}{byte:02X}")
        } else {
            write!(text, "{before}{byte:02x}")
        };
        written.unwrap();
    }
    text.into_bytes()
}

/// What stands in base64 of the secret alone where so many other bytes came before it.
fn in_base64(secret: &[u8], before: usize, engine: &impl Engine) -> Vec<u8> {
    let text = engine.encode([&vec![0; before], secret].concat());
    // The characters that also tell of a neighbour.
    let first = [0, 2, 3][before];
    let last = text.len() - usize::from(!(before + secret.len()).is_multiple_of(3));
    text.as_bytes()[first..last].to_vec()
}

/// `[116, 107]`, as `Debug` of bytes writes them.
fn lists_of_bytes(text: &[u8]) -> Vec<Vec<u8>> {
    let is_of_list = |byte: &u8| byte.is_ascii_digit() || b", \n".contains(byte);
    text.split(|byte| !is_of_list(byte))
        .filter(|list| list.len() >= 2 * PIECE && list.contains(&b','))
        .map(|list| {
            let numbers = list.split(|byte| !byte.is_ascii_digit());
            let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
            numbers.filter_map(number).collect()
        })
        .collect()
}

/// Every way in which a secret may stand in a text, with something around it.
pub(super) fn planted(secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let around = |middle: Vec<u8>| [b"before ".as_slice(), &middle, b" after"].concat();
    let mut all = vec![
        ("as it is".to_owned(), around(secret.to_vec())),
        ("in a query".to_owned(), around(query(secret))),
        (
            "in Debug of bytes".to_owned(),
            around(format!("{secret:?}").into_bytes()),
        ),
        (
            "in lines of bytes".to_owned(),
            around(format!("{secret:#?}").into_bytes()),
        ),
    ];
    for upper in [false, true] {
        all.push((
            "in hexadecimal".to_owned(),
            around(each_byte(secret, "", upper)),
        ));
        all.push((
            "percent-encoded".to_owned(),
            around(each_byte(secret, "%", upper)),
        ));
    }
    for before in ["", "x", "xy", "Basic id:"] {
        for after in ["", "z", "zz"] {
            let whole = [before.as_bytes(), secret, after.as_bytes()].concat();
            for (name, text) in [
                ("base64", STANDARD_NO_PAD.encode(&whole)),
                ("base64url", URL_SAFE_NO_PAD.encode(&whole)),
            ] {
                all.push((
                    format!("in {name} behind {before:?}"),
                    around(text.into_bytes()),
                ));
            }
        }
    }
    // Some cut, so that what is left may be anywhere in it.
    let part = secret_part(secret);
    for from in [
        0,
        1,
        part.len().saturating_sub(PIECE) / 2,
        part.len().saturating_sub(PIECE),
    ] {
        if let Some(piece) = part.get(from..from + PIECE) {
            all.push((format!("a piece from {from}"), around(piece.to_vec())));
        }
    }
    all
}

#[test]
fn a_secret_is_found_however_it_is_written_and_nothing_else_is() {
    let secrets: [&[u8]; 5] = [
        b"rt-Zm9vYmFyYmF6_cXV1eA-0123456789abcdef",
        b"eight ch",
        b"a+b/c=d&e f%g~h.i_j-k!l?m",
        b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLXRoaXMtb25l",
        &[7; 32],
    ];
    for secret in secrets {
        let mut known = Secrets::default();
        known.know("it", secret);
        for (how, text) in planted(secret) {
            assert_eq!(known.found_in(&text), BTreeSet::from(["it"]), "{how}");
        }
        let other = b"rt-AAAABBBBCCCCDDDDEEEEFFFF0123456789 [1, 2, 3, 4, 5, 6, 77, 88, 99, 10, 11, 12, 13, 14]";
        assert!(known.found_in(other).is_empty());
        let part = secret_part(secret);
        if part.len() > PIECE && part[0] != part[1] {
            assert!(
                known.found_in(&part[..PIECE - 1]).is_empty(),
                "too short to tell"
            );
        }
    }
}
