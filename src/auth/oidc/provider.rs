//! One provider as we speak with it: what it publishes, where people are sent, and what comes back.
use super::{
    Claims, Issuer,
    cache::Cache,
    config::is_safe,
    fetch::{FetchError, Fetched, Fetcher},
    jwt::{self, Expected, Header, KeySet},
};
use crate::db::columns::Time;
use oauth2::{
    AccessToken, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType},
    url::Url,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

/// The most sign-ins that wait for one provider at a time.
const MOST_WAITING: usize = 16;

/// Why a sign-in came to nothing; a caller is told [`Failure::reason`] and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The sign-in is unknown, used, too old, or was begun in another browser.
    UnknownLogin,
    /// The provider said no, or the person did.
    Refused,
    /// The provider does not answer.
    Unavailable,
    /// What the provider sent cannot be believed.
    Untrusted,
    /// The provider vouches for somebody who may not come in here.
    NotAdmitted,
    /// To sign, somebody else came back, or the provider let them in without asking anew.
    NotFresh,
}

impl Failure {
    /// The word for it in a problem.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::UnknownLogin => "unknown_login",
            Self::Refused => "refused",
            Self::Unavailable => "provider_unavailable",
            Self::Untrusted => "untrusted",
            Self::NotAdmitted => "not_admitted",
            Self::NotFresh => "not_fresh",
        }
    }
}

/// What a provider publishes of itself (OpenID Connect Discovery, 3).
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    issuer: String,
    authorization_endpoint: AuthUrl,
    token_endpoint: TokenUrl,
    jwks_uri: Url,
    userinfo_endpoint: Option<Url>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    /// Whether it is this issuer's, and everything in it can be reached without being overheard.
    fn check(self, issuer: &str) -> Result<Self, FetchError> {
        if self.issuer != issuer {
            return Err(FetchError::Malformed("it is another issuer's".into()));
        }
        let endpoints = [self.authorization_endpoint.url(), self.token_endpoint.url(), &self.jwks_uri];
        if !endpoints.into_iter().chain(&self.userinfo_endpoint).all(is_safe) {
            return Err(FetchError::Malformed("an endpoint is not reached over TLS".into()));
        }
        Ok(self)
    }
    /// Basic is the default (RFC 6749, 2.3.1); the form is used where nothing else is offered.
    fn auth_type(&self) -> AuthType {
        match &self.token_endpoint_auth_methods_supported {
            Some(methods) if !methods.iter().any(|m| m == "client_secret_basic") => AuthType::RequestBody,
            _ => AuthType::BasicAuth,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct IdToken {
    id_token: String,
}
impl ExtraTokenFields for IdToken {}

type Exchange = Client<
    BasicErrorResponse,
    StandardTokenResponse<IdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// A sign-in that was begun: where to send the browser, and what to keep until it is back.
#[derive(Debug)]
pub struct Begun {
    /// Where the person signs in.
    pub url: Url,
    /// What the provider hands back; a secret of the browser's.
    pub state: String,
    /// What the id token must say.
    pub nonce: String,
    /// What proves that the code was asked for by us (RFC 7636).
    pub verifier: String,
}

/// A provider.
pub struct Provider {
    /// How it is configured.
    pub issuer: Issuer,
    fetcher: Fetcher,
    redirect: RedirectUrl,
    metadata: Arc<Cache<Metadata>>,
    keys: Arc<Cache<KeySet>>,
    room: Arc<Semaphore>,
}

impl Provider {
    /// The provider of an issuer, who sends people back to `redirect`.
    pub fn new(issuer: Issuer, redirect: RedirectUrl) -> Self {
        Self {
            metadata: Arc::new(Cache::new(format!("the metadata of {}", issuer.name))),
            keys: Arc::new(Cache::new(format!("the keys of {}", issuer.name))),
            fetcher: Fetcher::default(),
            room: Arc::new(Semaphore::new(MOST_WAITING)),
            issuer,
            redirect,
        }
    }

    /// Whether browsers reach this service by https.
    pub fn is_secure(&self) -> bool {
        self.redirect.url().scheme() == "https"
    }

    /// Room for one sign-in to be finished; `None` where too many are under way.
    pub fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().ok()
    }

    async fn metadata(&self, now: Time) -> Option<Arc<Metadata>> {
        let (fetcher, issuer) = (self.fetcher.clone(), self.issuer.url.clone());
        let fetch = move || {
            let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
            let Fetched { document, max_age } = fetcher.get::<Metadata>(&url, None)?;
            Ok(Fetched { document: document.check(&issuer)?, max_age })
        };
        self.metadata.get(now, |_| true, fetch).await
    }

    /// The keys, with the one that a token names where it is published.
    async fn keys(&self, header: &Header, now: Time) -> Option<Arc<KeySet>> {
        let url = self.metadata(now).await?.jwks_uri.to_string();
        let fetcher = self.fetcher.clone();
        let fetch = move || {
            let Fetched { document, max_age } = fetcher.get(&url, None)?;
            let document = KeySet::read(&document).ok_or_else(|| FetchError::Malformed("it is no JWK set".into()))?;
            Ok(Fetched { document, max_age })
        };
        self.keys.get(now, |keys| keys.has(header), fetch).await
    }

    /// The claims of an access token of this issuer for us; `None` for any other token, without saying why.
    pub async fn access(&self, token: &str, now: Time) -> Option<Claims> {
        let audience = self.issuer.audience.as_deref()?;
        let header = Header::read(token)?;
        let keys = self.keys(&header, now).await?;
        jwt::access_token(token, &header, &keys, &self.issuer.url, audience, now)
    }

    fn exchange(&self, metadata: &Metadata) -> Exchange {
        let client = Client::new(ClientId::new(self.issuer.client_id.clone()))
            .set_auth_uri(metadata.authorization_endpoint.clone())
            .set_token_uri(metadata.token_endpoint.clone())
            .set_redirect_uri(self.redirect.clone())
            .set_auth_type(metadata.auth_type());
        match &self.issuer.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => client,
        }
    }

    /// Begins a sign-in; `fresh` asks the provider to authenticate the person anew, whatever it remembers of them.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn begin(&self, fresh: bool, now: Time) -> Result<Begun, Failure> {
        let metadata = self.metadata(now).await.ok_or(Failure::Unavailable)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = CsrfToken::new_random_len(32).into_secret();
        let client = self.exchange(&metadata);
        let mut request = client
            .authorize_url(|| CsrfToken::new_random_len(32))
            .add_scopes(self.issuer.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge)
            .add_extra_param("nonce", nonce.clone());
        if fresh {
            request = request.add_extra_param("prompt", "login").add_extra_param("max_age", "0");
        }
        let (url, state) = request.url();
        Ok(Begun { url, state: state.into_secret(), nonce, verifier: verifier.into_secret() })
    }

    /// Trades a code for what the provider says of the person.
    ///
    /// # Errors
    /// [`Failure::Unavailable`], [`Failure::Refused`], [`Failure::Untrusted`].
    pub async fn finish(&self, code: String, verifier: String, nonce: &str, now: Time) -> Result<Claims, Failure> {
        let metadata = self.metadata(now).await.ok_or(Failure::Unavailable)?;
        let (client, fetcher) = (self.exchange(&metadata), self.fetcher.clone());
        let traded = off_the_request_thread(move || {
            let request = client.exchange_code(AuthorizationCode::new(code));
            let request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier));
            request.request(&|request| fetcher.send(request)).map_err(|e| failure(&e))
        });
        let tokens = traded.await?;
        let id_token = &tokens.extra_fields().id_token;
        let header = Header::read(id_token).ok_or(Failure::Untrusted)?;
        let keys = self.keys(&header, now).await.ok_or(Failure::Unavailable)?;
        let expected = Expected { issuer: &self.issuer.url, client_id: &self.issuer.client_id, nonce };
        let claims = jwt::id_token(id_token, &header, &keys, expected, now).ok_or(Failure::Untrusted)?;
        match &metadata.userinfo_endpoint {
            Some(url) if self.issuer.misses_some(&claims) => {
                let more = self.userinfo(url.to_string(), tokens.access_token().clone()).await?;
                // OpenID Connect Core, 5.3.2: an answer about somebody else must not be used.
                if more.subject() != claims.subject() {
                    return Err(Failure::Untrusted);
                }
                Ok(claims.completed_by(more))
            }
            _ => Ok(claims),
        }
    }

    async fn userinfo(&self, url: String, token: AccessToken) -> Result<Claims, Failure> {
        let fetcher = self.fetcher.clone();
        let fetched = off_the_request_thread(move || {
            fetcher.get::<Claims>(&url, Some(token.secret())).map_err(|e| {
                tracing::warn!(error = %e, "a provider gave no userinfo");
                Failure::Unavailable
            })
        });
        Ok(fetched.await?.document)
    }
}

async fn off_the_request_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    task::spawn_blocking(work).await.unwrap_or_else(|e| {
        tracing::error!(error = %e, "a sign-in was abandoned");
        Err(Failure::Unavailable)
    })
}

fn failure(e: &RequestTokenError<FetchError, BasicErrorResponse>) -> Failure {
    tracing::warn!(error = %e, "a provider gave no token");
    match e {
        RequestTokenError::ServerResponse(_) => Failure::Refused,
        RequestTokenError::Request(_) => Failure::Unavailable,
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Failure::Untrusted,
    }
}

/// Every provider whose word is taken. Cheap to clone.
#[derive(Clone, Default)]
pub struct Providers(Vec<Arc<Provider>>);

impl Providers {
    /// The providers of these issuers; `public_url` is where browsers find this service.
    ///
    /// # Errors
    /// A sentence, where the public URL is none.
    pub fn new(issuers: Vec<Issuer>, public_url: &str) -> Result<Self, String> {
        let base = public_url.trim_end_matches('/');
        let provider = |issuer: Issuer| {
            let callback = format!("{base}/v1/auth/oidc/{}/callback", issuer.name);
            let redirect = RedirectUrl::new(callback).ok().filter(|redirect| is_safe(redirect.url()));
            let redirect = redirect.ok_or("the public URL must be https:// (http:// only on the loopback)")?;
            Ok(Arc::new(Provider::new(issuer, redirect)))
        };
        issuers.into_iter().map(provider).collect::<Result<_, String>>().map(Self)
    }
    /// The one that paths call so.
    pub fn named(&self, name: &str) -> Option<Arc<Provider>> {
        self.0.iter().find(|provider| provider.issuer.name == name).cloned()
    }
    /// The one whose tokens have this issuer.
    pub fn of_issuer(&self, url: &str) -> Option<Arc<Provider>> {
        self.0.iter().find(|provider| provider.issuer.url == url).cloned()
    }
}
