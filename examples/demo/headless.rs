//! The whole job without a person: every step over HTTP, as a browser and a program would do it.

mod feed;
mod person;
mod report;
mod steps;

use std::net::{Ipv4Addr, SocketAddr};

use tokenkeep_testing::Provider;

use self::{
    feed::Feed,
    person::Person,
    report::{Report, Unexpected},
};
use crate::{
    serve::{self, Server},
    setup::{Failure, Setup},
};

/// Walks through the whole job at the embedded provider.
pub(crate) async fn walk(setup: &Setup, provider: &Provider) -> Result<(), Failure> {
    if !setup.base_url.starts_with("http:") {
        return Err(Failure::configuration(
            "--headless walks over plain http: leave --tls-cert and an https base URL out",
        ));
    }
    let alice = Person::new(&setup.base_url, provider);
    let second = if setup.store.is_shared() {
        Some(second_process(setup).await?)
    } else {
        None
    };
    let walk = Walk {
        provider,
        there: second.as_ref().map(|(_, address)| alice.at(address)),
        alice,
    };
    let mut report = Report::begin();
    let walked = walk.all(&mut report).await;
    report.end(walked.is_err());
    if let Some((server, _)) = second {
        server.stop().await?;
    }
    walked.map_err(|error| Failure::other(error.to_string()))
}

/// Another registry over the same store, behind another server: nothing but the store is shared.
async fn second_process(setup: &Setup) -> Result<(Server, String), Failure> {
    let listener = serve::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = format!("http://{}", serve::address(&listener)?);
    let server = serve::start(setup.web, listener, None)?;
    server.open(&setup.registry().await?).await?;
    Ok((server, address))
}

struct Walk<'a> {
    provider: &'a Provider,
    alice: Person,
    /// Alice at the second process.
    there: Option<Person>,
}

impl Walk<'_> {
    async fn all(&self, report: &mut Report) -> Result<(), Unexpected> {
        report
            .step("look around without logging in", self.look_around())
            .await?;
        report
            .step("log in as alice, at the provider's pages", self.log_in())
            .await?;
        report
            .step("look at the kept token", self.kept_token())
            .await?;
        let mut feed = Feed::open(&self.alice).await?;
        report.step("call the API with it", self.call_api()).await?;
        report
            .step("post a form to the API", self.post_to_api())
            .await?;
        report
            .step("expire the token, and call again", self.call_expired())
            .await?;
        report
            .step(
                "let 20 callers at once find it expired",
                self.call_together(),
            )
            .await?;
        report.step("force a refresh", self.refresh()).await?;
        report
            .step("read the live feed", self.read_feed(&mut feed))
            .await?;
        report
            .step("connect another account", self.connect())
            .await?;
        report
            .step("ask for userinfo at both", self.userinfo())
            .await?;
        report
            .step("send the token to another host", self.foreign_host())
            .await?;
        report
            .step("refresh without the CSRF token", self.without_csrf())
            .await?;
        let second = "go on at a second process over the same store";
        match &self.there {
            Some(there) => {
                let there = self.second_process(there, &mut feed);
                report.step(second, there).await?;
            }
            None => report.skip(second, "the store is the memory of this one"),
        }
        let copy = self.alice.copy();
        report
            .step("log out, here and at the provider", self.log_out(&mut feed))
            .await?;
        report
            .step(
                "come back with a copy of the old cookies",
                self.come_back(&copy),
            )
            .await
    }
}
