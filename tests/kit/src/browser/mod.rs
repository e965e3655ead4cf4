//! A browser for tests: cookies, redirects and the forms of a login, no scripts and no pictures.

mod cookies;
mod forms;
mod page;

#[cfg(test)]
mod tests;

pub use page::{BrowserError, Callback, Page, Visit};

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::{
    Method,
    header::{COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, SET_COOKIE},
};
use url::Url;

use self::{cookies::Jar, forms::Form};

const REDIRECT_LIMIT: usize = 20;
const PAGE_LIMIT: usize = 4 * 1024 * 1024;

/// A user agent that keeps cookies and walks through a login. A clone shares the cookies.
///
/// It sends cookies as browsers do: to the host they came from whatever its port, by path, and by `SameSite`.
///
/// ```no_run
/// # async fn test(provider: tokenkeep_testing::Provider) -> Result<(), Box<dyn std::error::Error>> {
/// let visit = provider.browser().log_in("http://127.0.0.1:3000/login/op", "alice").await?;
/// assert_eq!(visit.last().status, 200);
/// assert_eq!(visit.last().url.path(), "/");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Browser {
    provider: Option<Url>,
    http: Result<reqwest::Client, Arc<reqwest::Error>>,
    headers: HeaderMap,
    jar: Arc<Mutex<Jar>>,
}

/// A page to ask for.
struct Navigation {
    method: Method,
    url: Url,
    fields: Vec<(String, String)>,
    /// The page somebody was on; nobody, if the address was typed in.
    from: Option<Url>,
}

impl Browser {
    /// A browser for the provider of this issuer. It knows its own pages, and those that oidc-provider shows in
    /// development.
    #[must_use]
    pub fn at(issuer: &str) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .build()
            .map_err(Arc::new);
        Self {
            provider: Url::parse(issuer).ok(),
            http,
            headers: HeaderMap::new(),
            jar: Arc::default(),
        }
    }

    /// Sends a header with every request. A name or value that no header may have is left out.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Asks for JSON, as a program does.
    #[must_use]
    pub fn accepting_json(self) -> Self {
        self.with_header("accept", "application/json")
    }

    /// Asks for one page, and follows nothing.
    ///
    /// # Errors
    ///
    /// If the URL cannot be read, or no whole answer came.
    pub async fn get(&self, url: &str) -> Result<Page, BrowserError> {
        self.request(Navigation::typed(url)?).await
    }

    /// Sends a form from a page of the same origin, and follows nothing.
    ///
    /// # Errors
    ///
    /// If the URL cannot be read, or no whole answer came.
    pub async fn post_form(
        &self,
        url: &str,
        fields: &[(&str, &str)],
    ) -> Result<Page, BrowserError> {
        let url = Url::parse(url).map_err(|_| BrowserError::Url)?;
        let fields = fields
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        self.request(Navigation {
            method: Method::POST,
            from: Some(url.clone()),
            url,
            fields,
        })
        .await
    }

    /// Goes to a page and on from there by itself: it follows redirects, and at the provider it sends `form_post` pages
    /// off, allows what is asked for, and confirms a logout. It stops at a login page.
    ///
    /// # Errors
    ///
    /// If there are more than 20 steps, one leads nowhere, or no whole answer came.
    pub async fn follow(&self, url: &str) -> Result<Visit, BrowserError> {
        self.go_on(Navigation::typed(url)?, Vec::new(), None).await
    }

    /// Goes on from a page that was asked for by [`get`](Self::get) or [`post_form`](Self::post_form).
    ///
    /// # Errors
    ///
    /// As for [`follow`](Self::follow).
    pub async fn follow_page(&self, page: Page) -> Result<Visit, BrowserError> {
        match self.next(&page, None)? {
            Some(next) => self.go_on(next, vec![page], None).await,
            None => Ok(Visit { steps: vec![page] }),
        }
    }

    /// As [`follow`](Self::follow), and signs in by this name where the provider asks for one: a whole login from the
    /// application's login URL to the page it ends at. Another provider than the browser's own gets no name: the visit ends at
    /// its page, so a test with two providers takes a browser of each, or [`auto_login`](crate::Provider::auto_login).
    ///
    /// # Errors
    ///
    /// As for [`follow`](Self::follow).
    pub async fn log_in(&self, url: &str, login: &str) -> Result<Visit, BrowserError> {
        self.go_on(Navigation::typed(url)?, Vec::new(), Some(login))
            .await
    }

    /// As [`log_in`](Self::log_in), but stops where the provider sends the browser back to the application: what would be
    /// asked for next is returned instead.
    ///
    /// # Errors
    ///
    /// As for [`follow`](Self::follow), and if the provider does not send the browser back.
    pub async fn callback(&self, url: &str, login: &str) -> Result<Callback, BrowserError> {
        let mut next = Navigation::typed(url)?;
        let mut steps = Vec::new();
        while steps.len() <= REDIRECT_LIMIT {
            let page = self.request(next).await?;
            let onward = self.next(&page, Some(login))?;
            let was_at_provider = self.is_at_provider(&page.url);
            steps.push(page);
            next = onward.ok_or(BrowserError::NoCallback)?;
            if was_at_provider && !self.is_at_provider(&next.url) {
                return Ok(Callback {
                    method: next.method.to_string(),
                    url: next.url,
                    fields: next.fields,
                    steps,
                });
            }
        }
        Err(BrowserError::TooManySteps)
    }

    /// The cookies it would send to this URL, by name and value.
    #[must_use]
    pub fn cookies(&self, url: &str) -> Vec<(String, String)> {
        Url::parse(url)
            .map(|url| self.jar().for_request(&url, &Method::GET, None))
            .unwrap_or_default()
    }

    /// Sets a cookie as if an answer from this URL had brought it in a `Set-Cookie` header.
    pub fn set_cookie(&self, url: &str, set_cookie: &str) {
        if let Ok(url) = Url::parse(url) {
            self.jar().set(&url, set_cookie);
        }
    }

    /// Forgets all cookies.
    pub fn clear_cookies(&self) {
        *self.jar() = Jar::default();
    }

    async fn go_on(
        &self,
        mut next: Navigation,
        mut steps: Vec<Page>,
        login: Option<&str>,
    ) -> Result<Visit, BrowserError> {
        while steps.len() <= REDIRECT_LIMIT {
            let page = self.request(next).await?;
            let onward = self.next(&page, login)?;
            steps.push(page);
            match onward {
                Some(onward) => next = onward,
                None => return Ok(Visit { steps }),
            }
        }
        Err(BrowserError::TooManySteps)
    }

    /// Where a page leads without anybody's doing, or with what the provider asks for.
    fn next(&self, page: &Page, login: Option<&str>) -> Result<Option<Navigation>, BrowserError> {
        if matches!(page.status, 301 | 302 | 303 | 307 | 308) {
            let Some(location) = page.headers.get(LOCATION) else {
                return Ok(None);
            };
            let location = location.to_str().map_err(|_| BrowserError::Url)?;
            let url = page.url.join(location).map_err(|_| BrowserError::Url)?;
            let (method, fields) = if matches!(page.status, 307 | 308) {
                (page.method_sent.clone(), page.fields_sent.clone())
            } else {
                (Method::GET, Vec::new())
            };
            return Ok(Some(Navigation {
                method,
                url,
                fields,
                from: page.from.clone(),
            }));
        }
        if !self.is_at_provider(&page.url) || page.status != 200 {
            return Ok(None);
        }
        let Some(form) = forms::parse(&page.body)
            .into_iter()
            .find_map(|form| self.fill_in(form, page, login))
        else {
            return Ok(None);
        };
        let url = page.url.join(&form.action).map_err(|_| BrowserError::Url)?;
        Ok(Some(Navigation {
            method: Method::POST,
            url,
            fields: form.fields,
            from: Some(page.url.clone()),
        }))
    }

    fn fill_in(&self, mut form: Form, page: &Page, login: Option<&str>) -> Option<Form> {
        if !form.post {
            return None;
        }
        if let Some(name) = form.field_mut("login") {
            login?.clone_into(name);
            return Some(form);
        }
        let leaves = page
            .url
            .join(&form.action)
            .is_ok_and(|url| !self.is_at_provider(&url));
        let answers = form
            .field_mut("prompt")
            .is_some_and(|prompt| prompt == "consent")
            || form.field_mut("logout").is_some();
        (leaves || answers).then_some(form)
    }

    fn is_at_provider(&self, url: &Url) -> bool {
        self.provider
            .as_ref()
            .is_some_and(|provider| provider.origin() == url.origin())
    }

    async fn request(&self, navigation: Navigation) -> Result<Page, BrowserError> {
        let Navigation {
            method,
            url,
            fields,
            from,
        } = navigation;
        let http = self
            .http
            .as_ref()
            .map_err(|error| BrowserError::Client(Arc::clone(error)))?;
        let mut request = http
            .request(method.clone(), url.clone())
            .headers(self.headers.clone());
        let cookies = self.jar().for_request(&url, &method, from.as_ref());
        if !cookies.is_empty() {
            let joined: Vec<_> = cookies
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(COOKIE, joined.join("; "));
        }
        if method == Method::POST {
            if let Some(from) = &from {
                request = request.header(ORIGIN, from.origin().ascii_serialization());
            }
            request = request.form(&fields);
        }
        let mut response = request.send().await.map_err(BrowserError::request)?;
        for value in response.headers().get_all(SET_COOKIE) {
            if let Ok(value) = value.to_str() {
                self.jar().set(&url, value);
            }
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(BrowserError::request)? {
            if body.len() + chunk.len() > PAGE_LIMIT {
                return Err(BrowserError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Page {
            method: method.to_string(),
            url,
            status,
            headers,
            body,
            method_sent: method,
            fields_sent: fields,
            from,
        })
    }

    fn jar(&self) -> MutexGuard<'_, Jar> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Navigation {
    fn typed(url: &str) -> Result<Self, BrowserError> {
        let url = Url::parse(url).map_err(|_| BrowserError::Url)?;
        Ok(Self {
            method: Method::GET,
            url,
            fields: Vec::new(),
            from: None,
        })
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser")
            .field("provider", &self.provider.as_ref().map(Url::as_str))
            .finish_non_exhaustive()
    }
}
