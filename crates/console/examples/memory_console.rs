//! Serves the console over a fabric in memory, to look at pages without a controller and hosts.
//!
//! `cargo run -p console --example memory_console -- 127.0.0.1:7443 [FILE.yaml ...]` declares what the files say, as
//! `netvirt apply` does; sign in as `admin` with `admin-password`.

use std::net::TcpListener;
use std::sync::Arc;

use api::fabric::memory::{ADMIN_SECRET, MemoryFabric};
use api::fabric::{Change, ChangeSet, FabricApi, ServerTls, TlsIdentity};
use rcgen::{CertificateParams, KeyPair};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: memory_console ADDRESS:PORT [FILE.yaml ...]")?;
    let fabric = MemoryFabric::new();
    let caller = fabric.authenticate(ADMIN_SECRET)?;
    for file in arguments {
        let resources = model::fabric::resources_from_yaml(&std::fs::read_to_string(&file)?)?;
        let changes = resources.into_iter().map(|resource| Change::Put { resource, revision: None }).collect();
        fabric.change(&caller, ChangeSet { changes, ..ChangeSet::default() })?;
    }
    let listener = TcpListener::bind(&address)?;
    let key = KeyPair::generate()?;
    let host = listener.local_addr()?.ip().to_string();
    let certificate = CertificateParams::new(vec![host, "localhost".to_owned()])?.self_signed(&key)?;
    let tls = ServerTls::new(&TlsIdentity { certificate_chain: certificate.pem(), key: key.serialize_pem() })?;
    let api: Arc<dyn FabricApi> = Arc::new(fabric);
    let pages = console::pages(Arc::clone(&api));
    println!("https://{}", listener.local_addr()?);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(api::fabric::server::serve(listener, tls, api, Some(pages), std::future::pending()))?;
    Ok(())
}
