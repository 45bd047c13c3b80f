//! A server that says who it is and from where it is spoken to, and repeats what it hears; and those who talk to it.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lab::Node;

/// How long anybody waits for a word.
const WORD: Duration = Duration::from_secs(3);
/// How often is looked whether there is something to do.
const GLANCE: Duration = Duration::from_millis(5);

/// A server on TCP and UDP; it ends when this goes.
pub struct Greeter {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Greeter {
    /// Starts one in a node, at an address and port of it.
    #[track_caller]
    pub fn start(node: &Node, at: &str) -> Self {
        let address: SocketAddr = at.parse().unwrap_or_else(|error| panic!("{at}: {error}"));
        let bound = node.namespace().run(|| {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(GLANCE))?;
            Ok::<_, io::Error>((listener, socket))
        });
        let (listener, socket) =
            bound.expect("a node can be entered").unwrap_or_else(|error| panic!("{at} of {}: {error}", node.name()));
        let ended = Arc::new(AtomicBool::new(false));
        let (name, over) = (node.name().to_owned(), Arc::clone(&ended));
        let tcp = thread::spawn(move || serve_tcp(&listener, &name, &over));
        let (name, over) = (node.name().to_owned(), Arc::clone(&ended));
        let udp = thread::spawn(move || serve_udp(&socket, &name, &over));
        Self { ended, threads: vec![tcp, udp] }
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_tcp(listener: &TcpListener, name: &str, ended: &Arc<AtomicBool>) {
    let mut talks = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, peer)) => {
                let (greeting, ended) = (format!("{name} sees {peer}\n"), Arc::clone(ended));
                talks.push(thread::spawn(move || talk(&stream, &greeting, &ended)));
            }
            Err(_) => thread::sleep(GLANCE),
        }
    }
    for talk in talks {
        let _ = talk.join();
    }
}

/// Greets, then repeats each line. Who goes away is not missed.
fn talk(stream: &TcpStream, greeting: &str, ended: &AtomicBool) {
    let prepared = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(GLANCE)));
    let mut writer = stream;
    if prepared.and_then(|()| writer.write_all(greeting.as_bytes())).is_err() {
        return;
    }
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !ended.load(Ordering::Relaxed) {
        match reader.read_line(&mut line) {
            Ok(0) => return,
            Ok(_) if line.ends_with('\n') => {
                if writer.write_all(line.as_bytes()).is_err() {
                    return;
                }
                line.clear();
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

fn serve_udp(socket: &UdpSocket, name: &str, ended: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !ended.load(Ordering::Relaxed) {
        if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let heard = String::from_utf8_lossy(&buffer[..length]).into_owned();
            // Who is not reached any more asks again.
            let _ = socket.send_to(format!("{name} sees {peer}: {heard}").as_bytes(), peer);
        }
    }
}

/// A TCP connection to a [`Greeter`] that is kept.
pub struct Conversation {
    reader: BufReader<TcpStream>,
    greeting: String,
}

impl Conversation {
    /// Opens one from a node.
    ///
    /// # Errors
    /// When nobody answers within some seconds.
    pub fn open(from: &Node, to: &str) -> io::Result<Self> {
        let address: SocketAddr = to.parse().map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let stream = from
            .namespace()
            .run(|| TcpStream::connect_timeout(&address, WORD))
            .map_err(|error| io::Error::other(error.to_string()))??;
        stream.set_read_timeout(Some(WORD))?;
        let mut new = Self { reader: BufReader::new(stream), greeting: String::new() };
        new.greeting = new.line()?;
        Ok(new)
    }

    /// What it was greeted with: `NAME sees ADDRESS:PORT`.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Whether the other side still repeats what it hears.
    ///
    /// # Errors
    /// When the connection is broken, or silent for some seconds.
    pub fn say(&mut self, words: &str) -> io::Result<()> {
        self.reader.get_mut().write_all(format!("{words}\n").as_bytes())?;
        let heard = self.line()?;
        if heard == words {
            Ok(())
        } else {
            Err(io::Error::other(format!("\"{words}\" was said and \"{heard}\" heard")))
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

/// How a [`Greeter`] greets one who connects by TCP: `NAME sees ADDRESS:PORT`; or why there is no answer.
pub fn ask(from: &Node, to: &str) -> Result<String, String> {
    Conversation::open(from, to).map(|conversation| conversation.greeting).map_err(|error| error.to_string())
}

/// The same by UDP, three times if need be: `NAME sees ADDRESS:PORT: hello`.
pub fn ask_udp(from: &Node, to: &str) -> Result<String, String> {
    let address: SocketAddr = to.parse().map_err(|error| format!("{to}: {error}"))?;
    let asked = from.namespace().run(|| {
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(WORD / 3))?;
        let mut buffer = [0; 2048];
        let mut last = io::Error::from(ErrorKind::TimedOut);
        for _ in 0..3 {
            match socket.send(b"hello").and_then(|_| socket.recv(&mut buffer)) {
                Ok(length) => return Ok(String::from_utf8_lossy(&buffer[..length]).into_owned()),
                Err(error) => last = error,
            }
        }
        Err(last)
    });
    asked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
