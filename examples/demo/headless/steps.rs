//! What is done and seen in each step.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::{
    Walk,
    feed::Feed,
    person::Person,
    report::{Unexpected, expect},
};

impl Walk<'_> {
    pub(super) async fn look_around(&self) -> Result<String, Unexpected> {
        let home = self.alice.page("/").await?;
        expect("the status of /", home.status, 200)?;
        expect(
            "nobody to be signed in",
            home.body.contains("data-test=\"signed-out\""),
            true,
        )?;
        self.alice.refused().await?;
        Ok("login buttons for people, 401 not_signed_in for programs".into())
    }

    pub(super) async fn log_in(&self) -> Result<String, Unexpected> {
        let url = self.alice.url("/login/op");
        let visit = self.alice.browser.log_in(&url, "alice").await?;
        let home = visit.last();
        expect("the last page", (home.status, home.url.path()), (200, "/"))?;
        expect(
            "Alice to be signed in",
            home.body.contains("Signed in as Alice"),
            true,
        )?;
        Ok(format!(
            "signed in as Alice, after {} redirects and forms",
            visit.steps.len() - 1
        ))
    }

    pub(super) async fn kept_token(&self) -> Result<String, Unexpected> {
        let row = self.alice.row("op").await?;
        expect("its state", row["state"].as_str(), Some("active"))?;
        expect(
            "it to be renewable",
            row["refreshable"].as_bool(),
            Some(true),
        )?;
        expect("its expiry to be known", row["expires_at"].is_u64(), true)?;
        let secret = self
            .provider
            .live_refresh_token("alice", "op")
            .unwrap_or_default();
        let pages = [self.alice.page("/").await?.body, row.to_string()];
        expect(
            "a page to show the token",
            pages.iter().any(|page| page.contains(&secret)),
            false,
        )?;
        Ok(format!(
            "{} for {}, renewable, shown without its value",
            row["token_type"], row["scopes"]
        ))
    }

    pub(super) async fn call_api(&self) -> Result<String, Unexpected> {
        let me = self.alice.get("/api/op/me", 200).await?;
        expect("the API's sub", me["sub"].as_str(), Some("alice"))?;
        Ok(format!("the API says {me}"))
    }

    pub(super) async fn post_to_api(&self) -> Result<String, Unexpected> {
        let path = "/api/op/echo/%C3%A4?a=1&a=2";
        let echo = self.alice.post_form(path, &[("b", "3 4")]).await?;
        expect("the method", echo["method"].as_str(), Some("POST"))?;
        expect("the path", echo["path"].as_str(), Some("/api/echo/%C3%A4"))?;
        expect("the query", echo["query"].as_str(), Some("a=1&a=2"))?;
        expect("the body", echo["body"].as_str(), Some("b=3+4"))?;
        Ok("path, query and body arrived as they were sent".into())
    }

    /// Exactly so many refresh tokens are spent while this is done.
    async fn spends<T>(
        &self,
        work: impl Future<Output = Result<T, Unexpected>>,
        expected: u64,
    ) -> Result<T, Unexpected> {
        let before = self.provider.token_requests("refresh_token");
        let done = work.await?;
        let spent = self.provider.token_requests("refresh_token") - before;
        expect("the number of refreshes", spent, expected)?;
        Ok(done)
    }

    pub(super) async fn call_expired(&self) -> Result<String, Unexpected> {
        let before = self.alice.generation("op").await?;
        self.spends(self.alice.post("/tokens/op/expire", 200), 0)
            .await?;
        self.spends(self.call_api(), 1).await?;
        expect(
            "the generation",
            self.alice.generation("op").await?,
            before + 1,
        )?;
        Ok("the call renewed the token first, with one refresh".into())
    }

    pub(super) async fn call_together(&self) -> Result<String, Unexpected> {
        self.alice.post("/tokens/op/expire", 200).await?;
        let callers = (0..20).map(|_| self.alice.get("/api/op/me", 200));
        let answers = self.spends(try_join_all(callers), 1).await?;
        expect(
            "the most spends of a refresh token",
            self.provider.max_spends(),
            1,
        )?;
        Ok(format!("{} answers, one refresh", answers.len()))
    }

    pub(super) async fn refresh(&self) -> Result<String, Unexpected> {
        let before = self.alice.generation("op").await?;
        let row = self
            .spends(self.alice.post("/tokens/op/refresh", 200), 1)
            .await?;
        expect(
            "the generation",
            row["generation"].as_u64(),
            Some(before + 1),
        )?;
        Ok(format!("generation {}", before + 1))
    }

    pub(super) async fn read_feed(&self, feed: &mut Feed) -> Result<String, Unexpected> {
        let generation = self.alice.generation("op").await?;
        let events = feed.until("refreshed", "op", generation).await?;
        let refreshed = events.iter().filter(|event| event["kind"] == "refreshed");
        expect("the number of refreshes told", refreshed.count(), 3)?;
        Ok("three refreshes, as they happened".into())
    }

    pub(super) async fn connect(&self) -> Result<String, Unexpected> {
        let owner = self.alice.get("/tokens", 200).await?["owner"].clone();
        let url = self.alice.url("/connect/other");
        let home = self.alice.browser.log_in(&url, "alice").await?;
        expect("the last page", home.last().url.path(), "/")?;
        let row = self.alice.row("other").await?;
        expect("its state", row["state"].as_str(), Some("active"))?;
        expect(
            "the owner",
            &self.alice.get("/tokens", 200).await?["owner"],
            &owner,
        )?;
        Ok(format!("{owner} has tokens of op and other"))
    }

    pub(super) async fn userinfo(&self) -> Result<String, Unexpected> {
        for client in ["op", "other"] {
            let said = self.alice.get(&format!("/userinfo/{client}"), 200).await?;
            expect("the sub", said["userinfo"]["sub"].as_str(), Some("alice"))?;
        }
        Ok("both say alice".into())
    }

    pub(super) async fn foreign_host(&self) -> Result<String, Unexpected> {
        let error = self.alice.get("/api/op//other.example/x", 400).await?;
        expect("the error", error["error"].as_str(), Some("foreign_origin"))?;
        Ok("refused with foreign_origin".into())
    }

    pub(super) async fn without_csrf(&self) -> Result<String, Unexpected> {
        let url = self.alice.url("/tokens/op/refresh");
        let refused = self.spends(
            async { Ok(self.alice.browser.post_form(&url, &[]).await?) },
            0,
        );
        let refused = refused.await?;
        expect("the status", refused.status, 403)?;
        expect(
            "csrf_mismatch to be named",
            refused.body.contains("csrf_mismatch"),
            true,
        )?;
        Ok("refused with csrf_mismatch, nothing was refreshed".into())
    }

    pub(super) async fn second_process(
        &self,
        there: &Person,
        feed: &mut Feed,
    ) -> Result<String, Unexpected> {
        let before = self.alice.generation("op").await?;
        expect(
            "the generation over there",
            there.generation("op").await?,
            before,
        )?;
        self.spends(there.post("/tokens/op/refresh", 200), 1)
            .await?;
        expect(
            "the generation here",
            self.alice.generation("op").await?,
            before + 1,
        )?;
        self.spends(self.call_api(), 0).await?;
        let events = feed.until("refreshed", "op", before + 1).await?;
        let origin = events.last().map(|event| event["origin"].clone());
        expect("the event's origin", origin, Some("remote".into()))?;
        Ok("the session holds there; its refresh is used here, and the feed tells of it".into())
    }

    pub(super) async fn log_out(&self, feed: &mut Feed) -> Result<String, Unexpected> {
        let button = self.alice.page("/logout").await?;
        expect(
            "a button on /logout",
            button.body.contains("data-test=\"logout\""),
            true,
        )?;
        let csrf = self.alice.csrf().await?;
        let url = self.alice.url("/logout");
        let away = self
            .alice
            .browser
            .post_form(&url, &[("csrf", csrf.as_str())])
            .await?;
        expect("a redirect", away.status, 303)?;
        feed.end().await;
        let visit = self.alice.browser.follow_page(away).await?;
        let home = visit.last();
        expect("the last page", home.url.as_str(), &self.alice.url("/"))?;
        expect(
            "nobody to be signed in",
            home.body.contains("data-test=\"signed-out\""),
            true,
        )?;

        // Whoever is still signed in at the provider would come back without being asked.
        let again = self
            .alice
            .browser
            .follow(&self.alice.url("/login/op"))
            .await?;
        expect(
            "a question who it is",
            again.last().body.contains("name=\"login\""),
            true,
        )?;
        Ok("back from the provider, which asks for the name again; the live feed has ended".into())
    }

    pub(super) async fn come_back(&self, copy: &Person) -> Result<String, Unexpected> {
        copy.refused().await?;
        if let Some(there) = &self.there {
            // The change feed of the store takes its moment to get there.
            let there = copy.at(there.base());
            while there.refused().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok("refused with not_signed_in, in every process".into())
    }
}
