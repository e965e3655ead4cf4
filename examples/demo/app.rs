//! The application: what its routes answer. The frameworks ask it, in `web`.

use serde_json::json;
use tokenkeep::{Error, ErrorCode, Grant, OAuth, Phase, Result, Session};
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{Answer, Wants},
    pages,
    row::{self, Row},
};

/// What handlers know.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) oauth: OAuth,
    /// Ends what would go on for ever.
    pub(crate) stop: CancellationToken,
}

impl App {
    pub(crate) async fn home(&self, session: Option<&Session>, wants: Wants) -> Result<Answer> {
        match session {
            Some(session) => self.tokens(session, wants).await,
            None => Ok(wants.answer(
                || pages::signed_out(&self.oauth.client_names()),
                json!({"owner": null, "csrf": null, "tokens": []}),
            )),
        }
    }

    pub(crate) async fn tokens(&self, session: &Session, wants: Wants) -> Result<Answer> {
        let rows = row::rows(&self.oauth, session.owner()).await?;
        let json = json!({"owner": session.owner(), "csrf": session.csrf(), "tokens": rows});
        Ok(wants.answer(
            || pages::signed_in(session, &rows, &self.oauth.client_names()),
            json,
        ))
    }

    pub(crate) async fn refresh(&self, grant: Grant, wants: Wants) -> Result<Answer> {
        grant.refresh().await?;
        self.changed(&grant, wants).await
    }

    pub(crate) async fn expire(&self, grant: Grant, wants: Wants) -> Result<Answer> {
        grant.invalidate(None).await?;
        self.changed(&grant, wants).await
    }

    pub(crate) async fn revoke(&self, grant: Grant, wants: Wants) -> Result<Answer> {
        grant.revoke().await?;
        self.changed(&grant, wants).await
    }

    /// What became of a grant: people see it on the page they came from.
    async fn changed(&self, grant: &Grant, wants: Wants) -> Result<Answer> {
        let Some(info) = grant.info().await? else {
            let client = grant.client().name();
            let mut error = Error::new(
                ErrorCode::LoginRequired,
                Phase::Request,
                "nothing was ever granted here",
            )
            .with_client(client);
            if let Some(url) = self.oauth.connect_url(client) {
                error = error.with_connect_url(url);
            }
            return Err(error);
        };
        Ok(match wants {
            Wants::Page => Answer::see_other("/"),
            Wants::Json => Answer::json(Row::of(&info)),
        })
    }

    pub(crate) async fn userinfo(&self, grant: Grant, wants: Wants) -> Result<Answer> {
        let userinfo = grant.userinfo().await?.to_value();
        let client = grant.client().name();
        Ok(wants.answer(
            || pages::result(client, "What the provider says about you", &userinfo),
            json!({"userinfo": userinfo}),
        ))
    }

    pub(crate) async fn health(&self, wants: Wants) -> Result<Answer> {
        self.oauth.check_store().await?;
        let health = json!({"status": "ok", "store": self.oauth.store_name()?});
        Ok(wants.answer(|| pages::health(&health), health.clone()))
    }
}

/// What the pages need beside their text.
pub(crate) fn style() -> Answer {
    Answer::file("text/css", include_str!("demo.css"))
}

pub(crate) fn script() -> Answer {
    Answer::file("text/javascript", include_str!("live.js"))
}
