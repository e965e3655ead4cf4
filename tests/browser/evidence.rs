//! What a test saw of the application, and the search of it for secrets.
//!
//! A secret may stand where the protocol wants it: in a `Location`, a `Set-Cookie`, a form of the provider. It may not
//! stand in a log line, in a page or JSON answer of the application, or unsealed in its database.

use std::path::Path;
use std::sync::Mutex;

/// Collects while a test runs.
#[derive(Default)]
pub(crate) struct Evidence {
    pages: Mutex<Vec<(String, String)>>,
    secrets: Mutex<Vec<(String, String)>>,
}

impl Evidence {
    /// Something that the application showed to somebody.
    pub(crate) fn page(&self, place: impl Into<String>, text: &str) {
        self.pages
            .lock()
            .unwrap()
            .push((place.into(), text.to_owned()));
    }

    /// A value that must be nowhere in it.
    pub(crate) fn secret(&self, kind: impl Into<String>, value: &str) {
        assert!(value.len() >= 16, "a secret too short to be searched for");
        let mut secrets = self.secrets.lock().unwrap();
        if !secrets.iter().any(|(_, known)| known == value) {
            secrets.push((kind.into(), value.to_owned()));
        }
    }

    /// Every place where a secret stands, without the secret.
    pub(crate) fn leaks(&self, files: &[&Path]) -> Vec<String> {
        let secrets = self.secrets.lock().unwrap();
        let pages = self.pages.lock().unwrap();
        let mut leaks = Vec::new();
        for (place, text) in pages.iter() {
            leaks.extend(
                found(&secrets, text.as_bytes())
                    .map(|(kind, _)| format!("{kind} on the page {place}")),
            );
        }
        for file in files {
            let Ok(bytes) = std::fs::read(file) else {
                continue;
            };
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            for (kind, at) in found(&secrets, &bytes) {
                let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
                leaks.push(format!("{kind} in {name}, line {line}"));
            }
        }
        leaks
    }

    pub(crate) fn secrets(&self) -> Vec<String> {
        self.secrets
            .lock()
            .unwrap()
            .iter()
            .map(|(_, value)| value.clone())
            .collect()
    }
}

fn found<'a>(
    secrets: &'a [(String, String)],
    text: &'a [u8],
) -> impl Iterator<Item = (&'a str, usize)> {
    secrets.iter().filter_map(|(kind, value)| {
        let at = text
            .windows(value.len())
            .position(|window| window == value.as_bytes())?;
        Some((kind.as_str(), at))
    })
}
