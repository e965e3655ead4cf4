//! What a provider of OAuth 1.0a answers.

use url::form_urlencoded;

use crate::oauth1::{FormAnswer, Problem};

/// The body of an answer. Whatever is taken is a bounded form whose members stand there once, as a form's reader reads them;
/// and a problem is read out of nothing else.
pub(super) fn answer(data: &[u8]) -> bool {
    let problem = Problem::of_body(data);
    let Ok(mut answer) = FormAnswer::parse(data) else {
        assert!(!problem.says_something(), "a problem out of no form");
        return false;
    };
    assert!(data.len() <= 64 * 1024);
    let pairs: Vec<(String, String)> = form_urlencoded::parse(data.trim_ascii())
        .into_owned()
        .collect();
    assert!(pairs.len() <= 64);
    for (name, value) in &pairs {
        assert!(name.len() <= 8192 && value.len() <= 8192);
        let taken = answer.take(name).expect("each stands there once");
        assert_eq!(taken.expose(), value);
        assert!(answer.take(name).is_none(), "twice");
    }
    assert!(answer.into_rest().is_empty());
    if let Some(name) = problem.name {
        assert!(pairs.iter().any(|(_, value)| *value == name));
    }
    true
}
