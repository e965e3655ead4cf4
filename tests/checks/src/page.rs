//! `docs/security.md` names tests, as links whose text is the test and whose address is its file: they must exist.

use std::{fs, path::Path};

use crate::work::project;

/// Text and address of each link of a page.
fn links(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split('[').skip(1).filter_map(|rest| {
        let (text, rest) = rest.split_once("](")?;
        Some((text, rest.split_once(')')?.0))
    })
}

#[test]
fn every_test_that_the_page_names_exists() {
    let docs = project().join("docs");
    let page = fs::read_to_string(docs.join("security.md")).unwrap();
    let mut named = 0;
    for (test, file) in links(&page) {
        if Path::new(file)
            .extension()
            .is_none_or(|extension| extension != "rs")
        {
            continue;
        }
        let source =
            fs::read_to_string(docs.join(file)).unwrap_or_else(|_| panic!("{file} does not exist"));
        assert!(
            source.contains(&format!("fn {test}(")),
            "{file} has no test {test}"
        );
        named += 1;
    }
    assert!(named > 50, "only {named} tests are named");
}
