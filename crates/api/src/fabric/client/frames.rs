//! Reads an event stream (WHATWG HTML, section 9.2.6, "Interpreting an event stream").

/// One event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Frame {
    /// Its type.
    pub(super) event: String,
    /// Its data, lines joined by line feeds. One without data tells its id alone.
    pub(super) data: String,
    /// Its id.
    pub(super) id: Option<String>,
}

/// Takes bytes as they come and gives whole events.
#[derive(Debug, Default)]
pub(super) struct Frames {
    line: Vec<u8>,
    frame: Frame,
    has_data: bool,
}

/// Most bytes of a line and of an event's data: a resource is much smaller.
const MAX_LINE: usize = 16 << 20;

/// A line that is too long to be an event of a controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an event is larger than {} MiB", MAX_LINE >> 20)]
pub(super) struct TooLong;

impl Frames {
    /// The events that are whole with these bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, TooLong> {
        let mut whole = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() + self.frame.data.len() >= MAX_LINE {
                    return Err(TooLong);
                }
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            self.take(&String::from_utf8_lossy(line), &mut whole);
        }
        Ok(whole)
    }

    fn take(&mut self, line: &str, whole: &mut Vec<Frame>) {
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            if std::mem::take(&mut self.has_data) || frame.id.is_some() {
                whole.push(frame);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.frame.event = value.to_owned(),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.frame.data.push('\n');
                }
                self.frame.data.push_str(value);
            }
            "id" => self.frame.id = Some(value.to_owned()),
            // Comments have an empty name.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ": keep\n\nevent: changed\nid: 5\ndata: {\"a\":\ndata:1}\r\n\r\nid: 6\n\ndata\n\nevent: x\ndata: y";

    #[test]
    fn events_are_whole_however_the_bytes_come() {
        let frame = |event: &str, data: &str, id: Option<&str>| Frame {
            event: event.to_owned(),
            data: data.to_owned(),
            id: id.map(str::to_owned),
        };
        let expected = [frame("changed", "{\"a\":\n1}", Some("5")), frame("", "", Some("6")), frame("", "", None)];
        for size in 1..STREAM.len() {
            let mut frames = Frames::default();
            let whole: Vec<_> = STREAM.as_bytes().chunks(size).flat_map(|part| frames.push(part).unwrap()).collect();
            assert_eq!(whole, expected, "in parts of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut frames = Frames::default();
        assert_eq!(frames.push(&vec![b'x'; MAX_LINE]), Ok(vec![]));
        assert_eq!(frames.push(b"x"), Err(TooLong));
    }
}
