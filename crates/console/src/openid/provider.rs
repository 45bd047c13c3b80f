//! What the provider is asked: what it says of itself, and who somebody is. Its tokens are believed when signature, issuer,
//! audience, nonce and time are right; those checks are the library's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use api::fabric::accounts::IdentityProvider;
use api::{Problem, ProblemType};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreJwsSigningAlgorithm,
    CoreProviderMetadata,
};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, DiscoveryError,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, TokenResponse as _,
};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::attempt::Attempt;
use super::told;
use super::web::{self, Web, WebError};

/// For how long it is believed what a provider said of itself. Keys that come new are asked for when a token has one.
const FRESH: Duration = Duration::from_secs(3600);

/// Most questions at the same time: who opens the page of sign-in needs no password, and must not occupy all threads while a
/// provider does not answer.
const MAX_ASKING: usize = 16;

/// The signatures that providers make (RFC 7518, section 3.1). Those with a shared secret are none of them.
const SIGNATURES: [CoreJwsSigningAlgorithm; 2] =
    [CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, CoreJwsSigningAlgorithm::EcdsaP256Sha256];

/// The library's client of a provider that has told where it is asked.
type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What providers have said of themselves.
#[derive(Default)]
pub struct Providers {
    known: Mutex<Option<Arc<Known>>>,
    asking: AtomicUsize,
}

/// A provider that has said where it is asked and which keys it has.
struct Known {
    provider: IdentityProvider,
    metadata: CoreProviderMetadata,
    web: Web,
    since: Instant,
}

/// One of the few who may ask at the same time.
struct Seat<'p>(&'p AtomicUsize);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Providers {
    /// Where the browser is sent to.
    ///
    /// # Errors
    /// When the provider does not say where that is.
    pub fn address(&self, provider: &IdentityProvider, attempt: &Attempt, redirect: String) -> Result<String, Problem> {
        let known = self.known(provider)?;
        let place = known.metadata.authorization_endpoint().url();
        if !web::is_safe(place.scheme(), place.host_str()) {
            let error = WebError::Insecure(place.to_string());
            return Err(strange(provider, &error.to_string()));
        }
        let (state, nonce) = (attempt.state(), attempt.nonce());
        let client = known.client(redirect)?;
        let request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new(state),
            || Nonce::new(nonce),
        );
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(attempt.verifier()));
        let scopes = provider.scopes.iter().cloned().map(Scope::new);
        Ok(request.set_pkce_challenge(challenge).add_scopes(scopes).url().0.into())
    }

    /// Who has come back with this code: the claims of an ID token that is true.
    ///
    /// # Errors
    /// When the provider is away, knows no such code, or says what cannot be believed.
    pub fn claims(
        &self,
        provider: &IdentityProvider,
        attempt: &Attempt,
        code: &str,
        redirect: String,
    ) -> Result<Map<String, Value>, Problem> {
        let known = self.known(provider)?;
        let token = self.exchange(&known, attempt, code, redirect.clone())?;
        let nonce = Nonce::new(attempt.nonce());
        let verified = match known.verify(&token, &nonce, redirect.clone())? {
            // The provider may have changed its keys since they were asked for.
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                self.learn(provider)?.verify(&token, &nonce, redirect)?
            }
            verified => verified,
        };
        verified.map_err(|error| unbelievable(provider, &error))?;
        payload(&token).ok_or_else(|| strange(provider, "its ID token has no claims"))
    }

    /// Shows a code, for an ID token.
    fn exchange(&self, known: &Known, attempt: &Attempt, code: &str, redirect: String) -> Result<CoreIdToken, Problem> {
        let provider = &known.provider;
        let _seat = self.seat(provider)?;
        let client = known.client(redirect.clone())?;
        let request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| strange(provider, &format!("it names no token endpoint ({error})")))?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier()));
        let answer = request.request(&known.web).map_err(|error| match error {
            RequestTokenError::Request(error) => away(provider, &error),
            RequestTokenError::ServerResponse(said) => {
                let detail = format!(
                    "{} does not take what it sent you back with: {}; begin again, and if it stays so, an operator compares \
                     console.openid.clientId, its secret and the address {redirect} with what {} has",
                    provider.name,
                    told(&said.to_string()),
                    provider.name
                );
                Problem::new(ProblemType::Forbidden, detail)
            }
            RequestTokenError::Parse(error, _) => strange(provider, &error.to_string()),
            RequestTokenError::Other(what) => strange(provider, &what),
        })?;
        answer.id_token().cloned().ok_or_else(|| strange(provider, "it sent no ID token"))
    }

    /// What is known of the provider; it is asked if that is little, or old.
    fn known(&self, provider: &IdentityProvider) -> Result<Arc<Known>, Problem> {
        let known = self.known.lock().clone();
        match known.filter(|known| known.provider == *provider && known.since.elapsed() < FRESH) {
            Some(known) => Ok(known),
            None => self.learn(provider),
        }
    }

    /// Asks the provider about itself (OpenID Connect Discovery 1.0, section 4).
    fn learn(&self, provider: &IdentityProvider) -> Result<Arc<Known>, Problem> {
        let _seat = self.seat(provider)?;
        let web = Web::new(provider.authorities.as_deref()).map_err(|error| strange(provider, &error.to_string()))?;
        let issuer = IssuerUrl::new(provider.issuer.clone()).map_err(|error| strange(provider, &error.to_string()))?;
        let metadata = CoreProviderMetadata::discover(&issuer, &web).map_err(|error| match error {
            DiscoveryError::Request(error) => away(provider, &error),
            DiscoveryError::Parse(error) => strange(provider, &error.to_string()),
            other => strange(provider, &other.to_string()),
        })?;
        let known = Arc::new(Known { provider: provider.clone(), metadata, web, since: Instant::now() });
        *self.known.lock() = Some(Arc::clone(&known));
        Ok(known)
    }

    fn seat(&self, provider: &IdentityProvider) -> Result<Seat<'_>, Problem> {
        let seat = Seat(&self.asking);
        if self.asking.fetch_add(1, Ordering::Relaxed) >= MAX_ASKING {
            let detail = format!(
                "{} is being asked by {MAX_ASKING} sign-ins already; wait a few seconds, then try again",
                provider.name
            );
            return Err(Problem::new(ProblemType::Unavailable, detail));
        }
        Ok(seat)
    }
}

impl Known {
    fn client(&self, redirect: String) -> Result<Client, Problem> {
        let IdentityProvider { client_id, client_secret, .. } = &self.provider;
        let redirect = RedirectUrl::new(redirect.clone()).map_err(|error| {
            let detail = format!("{redirect} is no address to come back to ({error}); set console.openid.redirectUri");
            Problem::new(ProblemType::BadRequest, detail)
        })?;
        let secret = ClientSecret::new(client_secret.as_str().to_owned());
        let client =
            CoreClient::from_provider_metadata(self.metadata.clone(), ClientId::new(client_id.clone()), Some(secret));
        Ok(client.set_redirect_uri(redirect).set_auth_type(self.auth_type()))
    }

    /// How the secret is shown: in the header, unless the provider takes it in the body alone (Discovery 1.0, section 3).
    fn auth_type(&self) -> AuthType {
        let taken = self.metadata.token_endpoint_auth_methods_supported();
        let takes = |method| taken.is_some_and(|taken| taken.contains(&method));
        let in_body = takes(CoreClientAuthMethod::ClientSecretPost) && !takes(CoreClientAuthMethod::ClientSecretBasic);
        if in_body { AuthType::RequestBody } else { AuthType::BasicAuth }
    }

    /// Whether a token is true.
    fn verify(
        &self,
        token: &CoreIdToken,
        nonce: &Nonce,
        redirect: String,
    ) -> Result<Result<(), ClaimsVerificationError>, Problem> {
        let client = self.client(redirect)?;
        let verifier = client.id_token_verifier().set_allowed_algs(SIGNATURES);
        Ok(token.claims(&verifier, nonce).map(|_| ()))
    }
}

/// All claims of a token, those too that the library has no name for.
fn payload(token: &CoreIdToken) -> Option<Map<String, Value>> {
    let text = token.to_string();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn away(provider: &IdentityProvider, error: &WebError) -> Problem {
    let IdentityProvider { name, issuer, .. } = provider;
    let detail = format!(
        "{name} cannot be asked at {issuer}: {}; try again later, or sign in with a user of the controller",
        told(&error.to_string())
    );
    Problem::new(ProblemType::Unavailable, detail)
}

fn strange(provider: &IdentityProvider, what: &str) -> Problem {
    let IdentityProvider { name, issuer, .. } = provider;
    let detail = format!(
        "{name} at {issuer} does not answer as an OpenID provider does: {}; an operator compares console.openid with what \
         {name} says, and until then one signs in with a user of the controller",
        told(what)
    );
    Problem::new(ProblemType::Unavailable, detail)
}

fn unbelievable(provider: &IdentityProvider, error: &ClaimsVerificationError) -> Problem {
    let name = &provider.name;
    let remedy = match error {
        ClaimsVerificationError::Expired(_) => "an operator compares the clock of the controller with the provider's",
        ClaimsVerificationError::InvalidAudience(_) => {
            "an operator compares console.openid.clientId with the provider's"
        }
        ClaimsVerificationError::InvalidIssuer(_) => "an operator compares console.openid.issuer with the provider's",
        ClaimsVerificationError::InvalidNonce(_) => "it belongs to another sign-in; begin again",
        ClaimsVerificationError::SignatureVerification(_) => {
            "an operator has the provider sign ID tokens with RS256 or ES256 and a key that it publishes"
        }
        _ => "begin again, and if it stays so, tell an operator",
    };
    let source = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    let detail = format!("what {name} says of you cannot be believed: {}; {remedy}", told(&format!("{error}{source}")));
    Problem::new(ProblemType::Forbidden, detail)
}
