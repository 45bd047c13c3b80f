//! Whom an identity provider's users are here: rules that the operator writes, from the claims of an ID token to a role and
//! a tenant.

use std::path::{Path, PathBuf};

use api::fabric::Role;
use api::fabric::accounts::{Identity, IdentityProvider, Secret};
use api::{Problem, ProblemType};
use model::fabric::ResourceName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits::MAX_IDENTITY_RULES;
use crate::secrets;

/// Claims that are asked for a user's name, in this order, if the operator names none.
const NAME_CLAIMS: [&str; 3] = ["preferred_username", "email", "sub"];

/// What is asked for if the operator does not say: names and the address of mail.
const SCOPES: [&str; 2] = ["profile", "email"];

/// Where the console takes sign-ins back from the provider.
const REDIRECT_PATH: &str = "/sign-in/openid/callback";

/// Most characters of a name.
const MAX_NAME: usize = 63;

/// What the configuration file says under `console: openid:`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenIdFile {
    issuer: String,
    client_id: String,
    client_secret_file: PathBuf,
    name: String,
    name_claim: Option<String>,
    /// What is asked for beside `openid`, [`SCOPES`] if absent.
    scopes: Option<Vec<String>>,
    redirect_uri: Option<String>,
    ca_file: Option<PathBuf>,
    rules: Vec<Rule>,
}

/// Who has this value in this claim, or among the values of it, has this role.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    claim: String,
    value: String,
    role: Role,
    tenant: Option<ResourceName>,
}

/// An identity provider, and what its users may do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenId {
    /// What the console needs to ask it.
    pub provider: IdentityProvider,
    name_claim: Option<String>,
    rules: Vec<Rule>,
    /// What each of the rules grants by; see [`Person::grant`].
    grants: Vec<String>,
}

/// Somebody who was admitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    pub name: ResourceName,
    pub role: Role,
    pub tenant: Option<ResourceName>,
    /// A hash of all that had a say in this: the issuer, the client, the rule that fits and those that are asked before it.
    /// Nobody whose claims are the same is anybody else for as long as it stays.
    pub grant: String,
}

impl OpenId {
    /// What the file says, with the secret from its own file, which is looked for beside the configuration.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub fn new(file: OpenIdFile, beside: Option<&Path>) -> Result<Self, String> {
        let OpenIdFile { issuer, client_id, name, name_claim, redirect_uri, rules, .. } = file;
        check_issuer(&issuer)?;
        for (field, value) in [("clientId", &client_id), ("name", &name)] {
            if value.trim().is_empty() {
                return Err(format!("console.openid.{field} is empty; write what the identity provider calls it"));
            }
        }
        check_rules(&rules)?;
        let scopes = file.scopes.unwrap_or_else(|| SCOPES.map(str::to_owned).to_vec());
        check_scopes(&scopes)?;
        redirect_uri.as_deref().map_or(Ok(()), check_redirect_uri)?;
        let secret = read("clientSecretFile", &file.client_secret_file, beside)?;
        if secret.trim().is_empty() {
            let path = file.client_secret_file.display();
            return Err(format!("console.openid.clientSecretFile {path} is empty; write the secret into it"));
        }
        let authorities = file.ca_file.map(|path| read_authorities(&path, beside)).transpose()?;
        let client_secret = Secret::from(secret.trim());
        let provider = IdentityProvider { name, issuer, client_id, client_secret, scopes, redirect_uri, authorities };
        let grants = grants(&provider, &rules)?;
        Ok(Self { provider, name_claim, rules, grants })
    }

    /// Who somebody is here, by the first rule that fits.
    pub fn admit(&self, identity: &Identity) -> Result<Person, Problem> {
        let refused = |detail: String| Problem::new(ProblemType::Forbidden, detail);
        let Identity { issuer, claims, .. } = identity;
        if *issuer != self.provider.issuer {
            return Err(refused(format!("the controller trusts {}, not {issuer}", self.provider.issuer)));
        }
        let mut rules = self.rules.iter().zip(&self.grants);
        let (rule, grant) = rules.find(|(rule, _)| has(claims, &rule.claim, &rule.value)).ok_or_else(|| {
            refused(format!(
                "{} knows you, but no rule of the controller says what you may do; ask an operator for a rule under \
                 console.openid.rules that fits your {}",
                self.provider.name,
                self.claims_asked()
            ))
        })?;
        let (name, grant) = (self.name(claims)?, grant.clone());
        Ok(Person { name, role: rule.role, tenant: rule.tenant.clone(), grant })
    }

    /// Whether somebody who was admitted by this grant would be admitted by it now.
    pub fn grants(&self, grant: &str) -> bool {
        self.grants.iter().any(|own| own == grant)
    }

    /// The claims that rules look at, for a sentence.
    fn claims_asked(&self) -> String {
        let mut asked: Vec<String> = self.rules.iter().map(|rule| format!("\"{}\"", rule.claim)).collect();
        asked.sort_unstable();
        asked.dedup();
        asked.join(" or ")
    }

    /// The name of somebody: of the claim, as much as can stand in a name.
    fn name(&self, claims: &Map<String, Value>) -> Result<ResourceName, Problem> {
        let asked: Vec<&str> = self.name_claim.as_deref().map_or(NAME_CLAIMS.to_vec(), |claim| vec![claim]);
        let text = asked.iter().find_map(|claim| claim_of(claims, claim).and_then(Value::as_str));
        let name = text.and_then(|text| {
            let fitting = |c: char| if c.is_ascii_alphanumeric() || " ._-".contains(c) { c } else { '-' };
            let text: String = text.chars().take(MAX_NAME).map(fitting).collect();
            text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).parse().ok()
        });
        name.ok_or_else(|| {
            let detail = format!(
                "{} tells no name of you that the controller can use: {} is missing or without letters and digits; ask an \
                 operator to set console.openid.nameClaim",
                self.provider.name,
                asked.join(" or ")
            );
            Problem::new(ProblemType::Forbidden, detail)
        })
    }
}

/// The grants of rules: each has in it what is asked before it.
fn grants(provider: &IdentityProvider, rules: &[Rule]) -> Result<Vec<String>, String> {
    let text = |value: serde_json::Result<String>| value.map_err(|error| format!("console.openid: {error}"));
    let mut before = text(serde_json::to_string(&(&provider.issuer, &provider.client_id)))?;
    let mut grants = Vec::with_capacity(rules.len());
    for rule in rules {
        before = secrets::hash(&format!("{before}{}", text(serde_json::to_string(rule))?));
        grants.push(before.clone());
    }
    Ok(grants)
}

/// A claim by its name; `a.b` is `b` inside of `a` where there is none of the whole name.
fn claim_of<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let (outer, inner) = name.split_once('.')?;
        claim_of(claims.get(outer)?.as_object()?, inner)
    })
}

/// Whether a claim is this value, or has it among others. An address that the provider has not verified is none: at some, people
/// write there what they like (OpenID Connect Core 1.0, section 5.7).
fn has(claims: &Map<String, Value>, name: &str, wanted: &str) -> bool {
    if name == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
        return false;
    }
    let is = |value: &Value| match value {
        Value::String(text) => text == wanted,
        Value::Bool(_) | Value::Number(_) => serde_json::from_str(wanted).is_ok_and(|wanted: Value| wanted == *value),
        _ => false,
    };
    match claim_of(claims, name) {
        Some(Value::Array(values)) => values.iter().any(is),
        Some(value) => is(value),
        None => false,
    }
}

/// A file that is named by the configuration, and looked for beside it.
fn read(field: &str, path: &Path, beside: Option<&Path>) -> Result<String, String> {
    let path = beside.map_or_else(|| path.to_owned(), |folder| folder.join(path));
    std::fs::read_to_string(&path).map_err(|error| format!("console.openid.{field} {}: {error}", path.display()))
}

/// Certificates of authorities, as PEM.
fn read_authorities(path: &Path, beside: Option<&Path>) -> Result<String, String> {
    let text = read("caFile", path, beside)?;
    match proto::ca::lifetime(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(format!(
            "console.openid.caFile {} has no certificate in PEM that can be read; write those of the authorities that \
             vouch for the identity provider",
            path.display()
        )),
    }
}

/// Scopes stand in one text with blanks between them (RFC 6749, section 3.3).
fn check_scopes(scopes: &[String]) -> Result<(), String> {
    let fits =
        |scope: &String| !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    match scopes.iter().find(|scope| !fits(scope)) {
        Some(scope) => {
            Err(format!("console.openid.scopes: \"{scope}\" is no scope; write words such as email or groups"))
        }
        None => Ok(()),
    }
}

/// The console answers at one path, over TLS alone.
fn check_redirect_uri(uri: &str) -> Result<(), String> {
    let authority = uri.strip_prefix("https://").and_then(|rest| rest.strip_suffix(REDIRECT_PATH));
    match authority {
        Some(authority) if !authority.is_empty() && !authority.contains(['/', '?', '#', '@', ' ']) => Ok(()),
        _ => Err(format!(
            "console.openid.redirectUri \"{uri}\" is not where the console is told who signed in; write \
             https://NAME{REDIRECT_PATH} with the name (and :PORT) of the console, or leave it out"
        )),
    }
}

/// Tokens of a provider without TLS could be anybody's; on the machine itself nobody stands between.
fn check_issuer(issuer: &str) -> Result<(), String> {
    let here = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let rest = issuer.strip_prefix("https://").filter(|rest| !rest.is_empty());
    let local = here
        .iter()
        .filter_map(|here| issuer.strip_prefix(here))
        .find(|rest| rest.is_empty() || rest.starts_with([':', '/']));
    match rest.or(local) {
        Some(_) if !issuer.contains(['?', '#', ' ']) => Ok(()),
        _ => Err(format!(
            "console.openid.issuer \"{issuer}\" is no URL of an issuer; write one such as https://id.example/realms/main"
        )),
    }
}

fn check_rules(rules: &[Rule]) -> Result<(), String> {
    if rules.is_empty() {
        return Err(
            "console.openid.rules has no rule, so that nobody could sign in; write one such as {claim: groups, \
                    value: operators, role: admin}"
                .to_owned(),
        );
    }
    if rules.len() > MAX_IDENTITY_RULES {
        return Err(format!("console.openid.rules has {} rules; write at most {MAX_IDENTITY_RULES}", rules.len()));
    }
    for (place, rule) in (1..).zip(rules) {
        let wrong = match (rule.role, &rule.tenant) {
            _ if rule.claim.is_empty() || rule.value.is_empty() => "has an empty claim or value; write both",
            (Role::Tenant, None) => "has role tenant; say whose with \"tenant\"",
            (Role::Admin, Some(_)) => "has role admin, which no tenant confines; leave the tenant out",
            _ => continue,
        };
        return Err(format!("console.openid.rules: rule {place} {wrong}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FILE: &str = "
issuer: https://id.example/realms/main
clientId: netvirt
clientSecretFile: client-secret
name: Example ID
rules:
- {claim: groups, value: operators, role: admin}
- {claim: realm_access.roles, value: blue-admins, role: tenant, tenant: blue}
- {claim: 'https://id.example/guest', value: 'true', role: reader, tenant: blue}
";

    fn openid(yaml: &str) -> Result<OpenId, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("client-secret"), "s3cret\n").unwrap();
        OpenId::new(serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?, Some(folder.path()))
    }

    fn admit(openid: &OpenId, claims: Value) -> Result<Person, String> {
        let Value::Object(claims) = claims else { panic!("{claims}") };
        let identity = Identity {
            issuer: "https://id.example/realms/main".to_owned(),
            subject: "1".to_owned(),
            claims,
            from: [127, 0, 0, 1].into(),
        };
        let admitted = openid.admit(&identity).inspect(|person| assert!(openid.grants(&person.grant)));
        admitted.map(|person| Person { grant: String::new(), ..person }).map_err(|problem| {
            assert_eq!(problem.status, 403);
            problem.detail
        })
    }

    fn person(name: &str, role: Role, tenant: Option<&str>) -> Result<Person, String> {
        let name_of = |text: &str| text.parse().unwrap();
        Ok(Person { name: name_of(name), role, tenant: tenant.map(name_of), grant: String::new() })
    }

    #[test]
    fn an_address_counts_once_it_is_verified() {
        let rules = FILE.replace("claim: groups, value: operators", "claim: email, value: tim@id.example");
        let openid = openid(&rules).unwrap();
        let tim = |verified: Value| {
            admit(
                &openid,
                json!({"sub": "7", "email": "tim@id.example", "email_verified": verified, "preferred_username": "tim"}),
            )
        };
        assert_eq!(tim(json!(true)), person("tim", Role::Admin, None));
        for verified in [json!(false), json!("true"), Value::Null] {
            assert!(tim(verified.clone()).is_err(), "{verified}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_says_who_somebody_is() {
        let openid = openid(FILE).unwrap();
        assert_eq!(openid.provider.client_secret, Secret::from("s3cret"));
        let tim = |claims: Value| {
            let mut claims = claims;
            claims["preferred_username"] = json!("tim");
            admit(&openid, claims)
        };
        assert_eq!(tim(json!({"groups": ["x", "operators"]})), person("tim", Role::Admin, None));
        assert_eq!(tim(json!({"groups": "operators"})), person("tim", Role::Admin, None));
        let blue = json!({"groups": ["x"], "realm_access": {"roles": ["blue-admins"]}});
        assert_eq!(tim(blue), person("tim", Role::Tenant, Some("blue")));
        assert_eq!(tim(json!({"https://id.example/guest": true})), person("tim", Role::Reader, Some("blue")));
        for claims in [
            json!({}),
            json!({"groups": ["operators2"]}),
            json!({"groups": "operators x"}),
            json!({"groups": [["operators"]]}),
            json!({"groups": {"operators": true}}),
            json!({"realm_access": "blue-admins"}),
        ] {
            let refused = tim(claims).unwrap_err();
            assert!(refused.starts_with("Example ID knows you, but no rule"), "{refused}");
            assert!(refused.contains("fits your \"groups\" or \"https://id.example/guest\" or"), "{refused}");
        }
    }

    #[test]
    fn somebody_is_called_as_the_provider_says() {
        let openid = openid(FILE).unwrap();
        let called = |claims: Value| {
            let mut claims = claims;
            claims["groups"] = json!("operators");
            admit(&openid, claims).map(|person| person.name.to_string())
        };
        assert_eq!(called(json!({"email": "tim@blue.example", "sub": "7"})).unwrap(), "tim-blue.example");
        assert_eq!(called(json!({"sub": "{7f}"})).unwrap(), "7f");
        assert_eq!(called(json!({"sub": "x".repeat(100)})).unwrap().len(), 63);
        assert!(called(json!({"preferred_username": "蒂姆"})).unwrap_err().contains("console.openid.nameClaim"));
        let named = super::tests::openid(&format!("{FILE}nameClaim: login\n")).unwrap();
        let claims = json!({"groups": "operators", "login": "t1", "sub": "7"});
        assert_eq!(admit(&named, claims).unwrap().name.as_str(), "t1");
        assert!(admit(&named, json!({"groups": "operators", "sub": "7"})).unwrap_err().contains("login is missing"));
    }

    #[test]
    fn what_is_not_said_is_the_usual() {
        let provider = openid(FILE).unwrap().provider;
        assert_eq!(
            (provider.scopes, provider.redirect_uri, provider.authorities),
            (SCOPES.map(str::to_owned).to_vec(), None, None)
        );
        let uri = "https://cloud.example:7443/sign-in/openid/callback";
        let provider = openid(&format!("{FILE}scopes: [groups]\nredirectUri: {uri}\n")).unwrap().provider;
        assert_eq!((provider.scopes, provider.redirect_uri.as_deref()), (vec!["groups".to_owned()], Some(uri)));
    }

    #[test]
    fn another_issuers_word_counts_nothing() {
        let openid = openid(FILE).unwrap();
        let claims = json!({"groups": "operators", "sub": "1"}).as_object().unwrap().clone();
        let (issuer, subject) = ("https://id.example/realms/other".to_owned(), "1".to_owned());
        let identity = Identity { issuer, subject, claims, from: [127, 0, 0, 1].into() };
        assert!(openid.admit(&identity).unwrap_err().detail.contains("trusts https://id.example/realms/main, not"));
    }

    #[test]
    fn mistakes_are_named_with_the_remedy() {
        let wrong = |from: &str, to: &str| openid(&FILE.replace(from, to)).unwrap_err();
        assert!(wrong("https://id.example/realms/main", "http://id.example").contains("write one such as https://"));
        assert!(wrong("https://id.example/realms/main", "http://localhost.evil.example").contains("no URL"));
        assert!(openid(&FILE.replace("https://id.example/realms/main", "http://127.0.0.1:8080/x")).is_ok());
        assert!(wrong("clientId: netvirt", "clientId: ''").contains("clientId is empty"));
        assert!(wrong("clientSecretFile: client-secret", "clientSecretFile: none").contains("none"));
        assert!(wrong("role: tenant, tenant: blue", "role: tenant").contains("rule 2 has role tenant; say whose"));
        assert!(wrong("role: admin", "role: admin, tenant: blue").contains("rule 1 has role admin"));
        assert!(wrong("value: operators", "value: ''").contains("empty claim or value"));
        assert!(wrong("role: admin", "role: root").contains("root"));
        let with = |line: &str| openid(&format!("{FILE}{line}\n")).unwrap_err();
        assert!(with("scopes: [email, 'a b']").contains("\"a b\" is no scope"));
        for uri in
            ["http://cloud.example/sign-in/openid/callback", "https:///sign-in/openid/callback", "https://c.example/"]
        {
            assert!(
                with(&format!("redirectUri: {uri}")).contains("write https://NAME/sign-in/openid/callback"),
                "{uri}"
            );
        }
        assert!(
            with("caFile: none.pem").contains("caFile") && with("caFile: client-secret").contains("no certificate")
        );
        let none = FILE.split("- {").next().unwrap().replace("rules:", "rules: []");
        assert!(openid(&none).unwrap_err().contains("nobody could sign in"));
    }
}
