//! Somebody with a browser, who also writes programs.

use serde_json::Value;
use tokenkeep_testing::{Browser, Page, Provider};

use super::report::{Unexpected, expect, unexpected};

/// One set of cookies, used by pages and by programs.
pub(crate) struct Person {
    /// Asks for pages.
    pub(crate) browser: Browser,
    program: Browser,
    base: String,
}

impl Person {
    pub(crate) fn new(base: &str, provider: &Provider) -> Self {
        let browser = provider.browser().with_header("accept", "text/html");
        Self {
            program: browser.clone().accepting_json(),
            browser,
            base: base.to_owned(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The header with the cookies.
    pub(crate) fn cookies(&self) -> String {
        let cookies = self.browser.cookies(&self.base).into_iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        cookies.join("; ")
    }

    /// The cookies of this moment, kept by a browser that hears of no later change.
    pub(crate) fn copy(&self) -> Self {
        let browser = Browser::at(&self.base).with_header("cookie", &self.cookies());
        Self {
            program: browser.clone().accepting_json(),
            browser,
            base: self.base.clone(),
        }
    }

    /// The same person at another process of the application.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self {
            browser: self.browser.clone(),
            program: self.program.clone(),
            base: base.to_owned(),
        }
    }

    /// A page.
    pub(crate) async fn page(&self, path: &str) -> Result<Page, Unexpected> {
        Ok(self.browser.get(&self.url(path)).await?)
    }

    /// JSON that comes with a status.
    pub(crate) async fn get(&self, path: &str, status: u16) -> Result<Value, Unexpected> {
        let page = self.program.get(&self.url(path)).await?;
        json(path, &page, status)
    }

    /// Programs are told that nobody is signed in.
    pub(crate) async fn refused(&self) -> Result<(), Unexpected> {
        let error = self.get("/tokens", 401).await?;
        expect("the error", error["error"].as_str(), Some("not_signed_in"))
    }

    /// A request that changes something, with the CSRF token of the session.
    pub(crate) async fn post(&self, path: &str, status: u16) -> Result<Value, Unexpected> {
        let csrf = self.csrf().await?;
        let fields = [("csrf", csrf.as_str())];
        let page = self.program.post_form(&self.url(path), &fields).await?;
        json(path, &page, status)
    }

    /// A form that is nobody's business but the API's: the CSRF token comes as a header.
    pub(crate) async fn post_form(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Value, Unexpected> {
        let csrf = self.csrf().await?;
        let program = self.program.clone().with_header("x-csrf-token", &csrf);
        let page = program.post_form(&self.url(path), fields).await?;
        json(path, &page, 200)
    }

    pub(crate) async fn csrf(&self) -> Result<String, Unexpected> {
        let tokens = self.get("/tokens", 200).await?;
        Ok(tokens["csrf"].as_str().unwrap_or_default().to_owned())
    }

    /// The row of a client among the kept tokens.
    pub(crate) async fn row(&self, client: &str) -> Result<Value, Unexpected> {
        let tokens = self.get("/tokens", 200).await?;
        let rows = tokens["tokens"].as_array();
        let row = rows.and_then(|rows| rows.iter().find(|row| row["client"] == client));
        match row {
            Some(row) => Ok(row.clone()),
            None => unexpected(format!(
                "expected a kept token of {client}, saw {}",
                tokens["tokens"]
            )),
        }
    }

    pub(crate) async fn generation(&self, client: &str) -> Result<u64, Unexpected> {
        Ok(self.row(client).await?["generation"]
            .as_u64()
            .unwrap_or_default())
    }
}

fn json(path: &str, page: &Page, status: u16) -> Result<Value, Unexpected> {
    let json = page.json();
    if page.status != status {
        return unexpected(format!(
            "expected {path} to answer {status}, saw {}: {json}",
            page.status
        ));
    }
    expect(
        &format!("{path} to be JSON and that"),
        json.is_object(),
        true,
    )?;
    Ok(json)
}
