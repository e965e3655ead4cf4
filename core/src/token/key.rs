//! Which token: client, owner and slot.

use std::{
    cmp::Ordering,
    fmt,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::{Arc, OnceLock},
};

use crate::{Error, ErrorCode, Phase, Result};

/// Under which a record is kept: a client, an owner, and one of the owner's slots. Cheap to clone.
///
/// Every part is 1 to 255 bytes of UTF-8 without control characters (an account label may be empty), compared byte
/// for byte: `a` and `A`, or the composed and decomposed form of one letter, are different keys.
///
/// Keys are ordered as [`find_tokens`](crate::store::TokenStore::find_tokens) lists them: by the columns owner, client
/// and slot.
#[derive(Clone)]
pub struct TokenKey {
    /// Of the parts, under this process's own seed: taken once, because keys are looked up often.
    hash: u64,
    parts: Arc<Parts>,
}

/// In the order in which keys are sorted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    owner: Owner,
    client: Arc<str>,
    slot: Slot,
}

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Owner {
    /// The application itself (client credentials).
    App,
    /// One of the application's users, by the application's own id.
    User(Arc<str>),
}

/// Which of an owner's records at one client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Slot {
    /// A grant: the tokens of one account at the provider. The default label is empty.
    Account(Arc<str>),
    /// A session: one browser login.
    Session(Arc<str>),
}

impl TokenKey {
    fn of(parts: Parts) -> Self {
        static SEED: OnceLock<RandomState> = OnceLock::new();
        let hash = SEED.get_or_init(RandomState::new).hash_one(&parts);
        Self {
            hash,
            parts: Arc::new(parts),
        }
    }

    fn with(&self, slot: Slot) -> Self {
        Self::of(Parts {
            slot,
            ..Parts::clone(&self.parts)
        })
    }

    /// The hash that it puts into every hasher.
    pub(crate) fn hash_value(&self) -> u64 {
        self.hash
    }

    /// The grant that `owner` has at `client`.
    ///
    /// # Errors
    /// `invalid_key` for a part that is empty, longer than 255 bytes or has control characters.
    pub fn new(client: &str, owner: &str) -> Result<Self> {
        Ok(Self::of(Parts {
            client: part("client", client, false)?,
            owner: Owner::User(part("owner", owner, false)?),
            slot: Slot::Account("".into()),
        }))
    }

    /// The application's own grant at `client` (client credentials, RFC 6749 section 4.4).
    ///
    /// # Errors
    /// `invalid_key` as for [`new`](Self::new).
    pub fn app(client: &str) -> Result<Self> {
        Ok(Self::of(Parts {
            client: part("client", client, false)?,
            owner: Owner::App,
            slot: Slot::Account("".into()),
        }))
    }

    /// The same owner's account of another label, when somebody has several accounts at one provider.
    ///
    /// # Errors
    /// `invalid_key` if the label is longer than 255 bytes or has control characters.
    pub fn account(self, label: &str) -> Result<Self> {
        Ok(self.with(Slot::Account(part("slot", label, true)?)))
    }

    /// A session of the same owner.
    ///
    /// # Errors
    /// `invalid_key` as for [`new`](Self::new).
    pub fn session(self, id: &str) -> Result<Self> {
        Ok(self.with(Slot::Session(part("slot", id, false)?)))
    }

    /// Reads a key from the columns a store keeps: see [`owner_column`](Self::owner_column) and
    /// [`slot_column`](Self::slot_column).
    ///
    /// # Errors
    /// `invalid_key` if the columns hold no key.
    pub fn from_columns(client: &str, owner: &str, slot: &str) -> Result<Self> {
        let key = if owner.is_empty() {
            Self::app(client)?
        } else {
            Self::new(client, owner)?
        };
        match slot.split_once(':') {
            None if slot.is_empty() => Ok(key),
            Some(("account", label)) if !label.is_empty() => key.account(label),
            Some(("session", id)) => key.session(id),
            _ => Err(Error::new(
                ErrorCode::InvalidKey,
                Phase::Store,
                "a slot column that names no slot",
            )),
        }
    }

    /// The client's registered name.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.parts.client
    }

    /// Whose record it is.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.parts.owner
    }

    /// The owner as a store's column: the user's id, empty for the application itself.
    #[must_use]
    pub fn owner_column(&self) -> &str {
        match &self.parts.owner {
            Owner::App => "",
            Owner::User(id) => id,
        }
    }

    /// Which of the owner's records.
    #[must_use]
    pub fn slot(&self) -> &Slot {
        &self.parts.slot
    }

    /// The slot as a store's column of at most 263 bytes: empty for the default account, `account:LABEL`, `session:ID`.
    #[must_use]
    pub fn slot_column(&self) -> String {
        match &self.parts.slot {
            Slot::Account(label) if label.is_empty() => String::new(),
            Slot::Account(label) => format!("account:{label}"),
            Slot::Session(id) => format!("session:{id}"),
        }
    }

    /// How it stands in logs: the client, and a mark that tells keys apart in this process and says nothing of its owner.
    pub(crate) fn mark(&self) -> impl fmt::Display + fmt::Debug + use<> {
        struct Mark(Arc<Parts>, u64);
        impl fmt::Display for Mark {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}#{:016x}", self.0.client, self.1)
            }
        }
        impl fmt::Debug for Mark {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        Mark(Arc::clone(&self.parts), self.hash)
    }

    /// Is it a grant (rather than a session)?
    #[must_use]
    pub fn is_account(&self) -> bool {
        matches!(self.parts.slot, Slot::Account(_))
    }
}

impl PartialEq for TokenKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parts, &other.parts)
            || (self.hash == other.hash && self.parts == other.parts)
    }
}

impl Eq for TokenKey {}

impl Hash for TokenKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Ord for TokenKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts)
    }
}

impl PartialOrd for TokenKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn part(name: &str, value: &str, may_be_empty: bool) -> Result<Arc<str>> {
    let reason = if value.is_empty() && !may_be_empty {
        "is empty"
    } else if value.len() > 255 {
        "is longer than 255 bytes"
    } else if value.chars().any(char::is_control) {
        "has control characters"
    } else {
        return Ok(value.into());
    };
    Err(Error::new(
        ErrorCode::InvalidKey,
        Phase::Store,
        format!("the {name} of a token key {reason}"),
    ))
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.parts.owner {
            Owner::App => write!(f, "{} (app)", self.parts.client)?,
            Owner::User(owner) => write!(f, "{} of {owner:?}", self.parts.client)?,
        }
        match &self.parts.slot {
            Slot::Account(label) if label.is_empty() => Ok(()),
            Slot::Account(label) => write!(f, ", account {label:?}"),
            // A session id is worth a session only inside a sealed cookie; still, only its head is shown.
            Slot::Session(id) => write!(f, ", session {}…", id.chars().take(6).collect::<String>()),
        }
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({self})")
    }
}
