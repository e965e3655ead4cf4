//! The application's settings and its key ring: whatever is wrong with them, no value is shown.

use serde_json::Value;

use super::says_nothing_of;
use crate::{KeyRing, Registration, Settings, client::resolve};

const SECRET: &str = "secret-of-this-client-0123456789";

/// A document of settings, or a key ring. What is taken makes a client whose every address is safe.
pub(super) fn settings(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    match KeyRing::parse(text) {
        Ok(ring) => {
            let mut ids: Vec<_> = ring.key_ids().collect();
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), count, "an id names two keys");
            assert!(ids.contains(&ring.sealing_key_id()));
            let sealed = ring.seal_text(b"a", b"text").unwrap();
            assert!(ring.open_text(b"a", &sealed).is_ok());
            assert!(ring.open_text(b"b", &sealed).is_err());
            return true;
        }
        Err(error) => says_nothing_of(&error, &[SECRET]),
    }
    let Ok(document) = serde_json::from_str::<Value>(text) else {
        return false;
    };
    let settings = match Settings::from_value(document) {
        Ok(settings) => settings,
        Err(error) => {
            says_nothing_of(&error, &[SECRET]);
            return false;
        }
    };
    assert!(!format!("{settings:?}").contains(SECRET));
    let resolved = match resolve(&Registration::new("op"), &settings) {
        Ok(resolved) => resolved,
        Err(error) => {
            says_nothing_of(&error, &[SECRET]);
            return false;
        }
    };
    assert!(!format!("{resolved:?}").contains(SECRET));
    let addresses = [
        &resolved.server_metadata_url,
        &resolved.authorize_url,
        &resolved.access_token_url,
        &resolved.refresh_token_url,
        &resolved.api_base_url,
    ];
    for url in addresses.into_iter().flatten() {
        assert!(crate::http::is_secure(url), "{}", url.scheme());
    }
    true
}
