//! A controller's REST interface, asked by curl: what any HTTP client sees of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::Node;
use serde_json::Value;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(40);

/// The way to a controller.
#[derive(Clone, Debug)]
pub struct Rest {
    /// Where from.
    pub node: Node,
    /// Where to, such as `https://192.168.4.1:7443`.
    pub url: String,
    /// The certificate of the authority that signed the controller's.
    pub authority: PathBuf,
    /// What stands behind `Authorization: Bearer`.
    pub token: String,
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// The HTTP status code.
    pub status: u16,
    /// The media type.
    pub content_type: String,
    /// The body, or null where it is no JSON.
    pub body: Value,
}

impl Rest {
    /// The way that a context file (`admin.yaml`) tells; the authority's certificate lies beside it.
    pub fn new(node: Node, context: &Path) -> Self {
        let text = std::fs::read_to_string(context).unwrap_or_else(|error| panic!("{}: {error}", context.display()));
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or_else(|| panic!("{} names no {name}", context.display())).to_owned()
        };
        Self { node, url: field("controller"), authority: context.with_file_name("ca.pem"), token: field("token") }
    }

    /// One request; a body is sent as JSON.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: Option<&Value>) -> Reply {
        let mut file = tempfile::NamedTempFile::new().expect("a scratch file");
        let text = body.map(Value::to_string).unwrap_or_default();
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("a scratch file takes text");
        self.send(method, path, headers, body.is_some().then(|| file.path()))
    }

    /// One request with the body that lies in a file, which is called JSON.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[&str], body: Option<&Path>) -> Reply {
        let url = format!("{}{path}", self.url);
        let authority = self.authority.display().to_string();
        let bearer = format!("Authorization: Bearer {}", self.token);
        let body = body.map(|path| format!("@{}", path.display()));
        let mut command = vec!["curl", "--silent", "--show-error", "--cacert", &authority, "--request", method];
        command.extend(["--header", &bearer, "--write-out", "\n%{http_code}\n%{content_type}"]);
        command.extend(headers.iter().flat_map(|header| ["--header", *header]));
        if let Some(body) = &body {
            command.extend(["--header", "Content-Type: application/json", "--data-binary", body]);
        }
        command.push(&url);
        let output = self.node.output(&command, LIMIT).unwrap_or_else(|error| panic!("{error}"));
        let text = output.ok().unwrap_or_else(|error| panic!("{error}"));
        let mut parts = text.rsplitn(3, '\n');
        let mut next = || parts.next().unwrap_or_default();
        let (content_type, status, body) = (next().to_owned(), next().parse(), next());
        let status = status.unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}"));
        Reply { status, content_type, body: serde_json::from_str(body).unwrap_or_default() }
    }
}
