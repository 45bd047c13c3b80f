//! Pages for people's browsers, on the controller's own port: what a console is asked and answers, without HTTP's machinery.

use std::net::IpAddr;
use std::time::Duration;

/// Whoever makes the pages. They are asked for everything that is not the REST interface's.
pub trait Pages: Send + Sync + 'static {
    /// Answers a request. It may block; it is called on a thread where that is no harm, several at a time.
    fn answer(&self, request: &PageRequest) -> PageAnswer;
}

/// The two methods that a browser's links and forms have (HTML, section 4.10.18.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PageMethod {
    /// To see something. HEAD is answered like it, by its head alone.
    #[default]
    Get,
    /// To do something.
    Post,
}

/// What a browser asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageRequest {
    /// How.
    pub method: PageMethod,
    /// The path, still percent-encoded: `/networks/blue`.
    pub path: String,
    /// The query behind `?`, still encoded; empty if there is none.
    pub query: String,
    /// The header fields that pages look at, by their names in lower case; of several of one name, joined by `, ` (of cookies
    /// by `; `).
    pub fields: Vec<(String, String)>,
    /// The body of a form.
    pub body: Vec<u8>,
    /// Who asks, as TCP says.
    pub peer: Option<IpAddr>,
}

impl PageRequest {
    /// A header field, by its name in lower case; empty if it is absent.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }
}

/// What it gets.
pub struct PageAnswer {
    /// The status (RFC 9110, section 15).
    pub status: u16,
    /// Header fields, by their names in lower case. Two of one name are two fields.
    pub fields: Vec<(&'static str, String)>,
    /// What follows.
    pub body: PageBody,
}

/// The body of an answer.
pub enum PageBody {
    /// All of it.
    Whole(Vec<u8>),
    /// Events, for as long as somebody listens (WHATWG HTML, "Server-sent events").
    Events(Box<dyn PageEvents>),
}

/// One event of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageEvent {
    /// Its type: the name that scripts listen to.
    pub name: &'static str,
    /// Its data.
    pub data: String,
}

/// A stream of events. Dropping it ends it.
pub trait PageEvents: Send {
    /// The next one; `Ok(None)` if there was none within `timeout`.
    ///
    /// # Errors
    /// When there are no more: the browser opens the stream anew then.
    fn next(&mut self, timeout: Duration) -> Result<Option<PageEvent>, Ended>;
}

/// A stream has no more events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended;
