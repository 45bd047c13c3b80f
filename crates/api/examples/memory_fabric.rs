//! Serves a fabric in memory over HTTPS, for programs that judge the interface from outside (see docs/openapi.json).
//!
//! `cargo run -p api --features memory --example memory_fabric -- 127.0.0.1:7443 FOLDER` writes the context
//! `admin.yaml` and the authority's certificate `ca.pem` into the folder, and serves until it is ended. In front of it,
//! schemathesis (PyPI) finds no undocumented answer and no failure of the server with
//!
//! ```text
//! schemathesis run docs/openapi.json -u https://127.0.0.1:7443 -H "Authorization: Bearer admin-secret" \
//!   --tls-verify FOLDER/ca.pem --checks all --exclude-checks positive_data_acceptance \
//!   --exclude-path /v1/watch --exclude-path /v1/import --exclude-operation-id deleteToken --continue-on-failure
//! ```
//!
//! A watch never ends, an import is no JSON, and it would end its own token, so these are left to the tests in Rust;
//! whether what fits the schema is taken depends on what is there already, which a schema cannot say. The controller
//! itself is judged in the same way by `tests/tests/openapi.rs`.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use api::fabric::memory::{ADMIN_SECRET, MemoryFabric};
use api::fabric::{Context, ServerTls, TlsIdentity};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: memory_fabric ADDRESS:PORT FOLDER".into());
    };
    let listener = TcpListener::bind(&address)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "netvirt test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let host = listener.local_addr()?.ip().to_string();
    let certificate = CertificateParams::new(vec![host, "localhost".to_owned()])?.signed_by(&key, &authority)?;
    let tls = ServerTls::new(&TlsIdentity { certificate_chain: certificate.pem(), key: key.serialize_pem() })?;
    let folder = Path::new(&folder);
    std::fs::write(folder.join("ca.pem"), authority.pem())?;
    let controller = format!("https://{}", listener.local_addr()?);
    Context { controller, ca: authority.pem(), token: ADMIN_SECRET.to_owned(), tenant: None }
        .write(folder.join("admin.yaml"))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let api = Arc::new(MemoryFabric::new());
    runtime.block_on(api::fabric::server::serve(listener, tls, api, None, std::future::pending()))?;
    Ok(())
}
