//! One connection: a request out, its answer in.

use std::{cmp::Ordering, io::ErrorKind, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The longest answer that is taken, head and body.
const LONGEST: usize = 64 * 1024;
/// Headers an answer may have.
const HEADERS: usize = 64;
/// What a server says before it closes a connection on which nothing was asked for long: it has not seen the request, which may be
/// repeated (RFC 9110, 15.5.9).
const WAITED_IN_VAIN: u16 = 408;

/// Why no whole answer came. What became of the request is not known then, so that nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("a connection failed under load: {0}")]
    Io(#[from] std::io::Error),
    #[error("a connection was closed before its answer was complete")]
    Closed,
    #[error("an answer can't be read: {0}")]
    Malformed(#[from] httparse::Error),
    #[error("an answer has no content-length that can be read, or is longer than {LONGEST} bytes")]
    Length,
}

#[derive(Debug)]
pub(super) struct Connection {
    /// Remembered: a connection that the server has closed no longer tells.
    server: SocketAddr,
    stream: TcpStream,
    /// What has come of the answer under way.
    answer: Vec<u8>,
}

/// What is told of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// The server will close the connection.
    last: bool,
}

impl Connection {
    /// Takes over a connection that is set to non-blocking. Needs a Tokio runtime.
    pub(super) fn over(stream: std::net::TcpStream) -> std::io::Result<Self> {
        Ok(Self {
            server: stream.peer_addr()?,
            stream: TcpStream::from_std(stream)?,
            answer: Vec::with_capacity(4096),
        })
    }

    /// Sends `request` and waits for the whole answer. Returns its status.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<u16, Broken> {
        if self.was_given_up() {
            self.connect().await?;
        }
        loop {
            let Answer { status, last } = self.ask(request).await?;
            if last {
                self.connect().await?;
            }
            if !(last && status == WAITED_IN_VAIN) {
                return Ok(status);
            }
        }
    }

    async fn ask(&mut self, request: &[u8]) -> Result<Answer, Broken> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(Broken::Closed);
            }
            if let Some(answer) = whole(&self.answer)? {
                return Ok(answer);
            }
        }
    }

    /// The server has closed it, or said that it will: nothing else can come while nothing is asked.
    fn was_given_up(&self) -> bool {
        let said = self.stream.try_read(&mut [0]);
        !said.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    async fn connect(&mut self) -> std::io::Result<()> {
        self.stream = TcpStream::connect(self.server).await?;
        self.stream.set_nodelay(true)
    }
}

/// The answer, once all of it is there. Nothing may follow it: nothing else was asked.
fn whole(answer: &[u8]) -> Result<Option<Answer>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body) = head.parse(answer)? else {
        return if answer.len() < LONGEST {
            Ok(None)
        } else {
            Err(Broken::Length)
        };
    };
    let mut length: Option<usize> = None;
    let mut last = false;
    for header in head.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = std::str::from_utf8(header.value)
                .ok()
                .and_then(|it| it.parse().ok());
        } else if header.name.eq_ignore_ascii_case("connection") {
            last = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let length = length
        .filter(|length| *length <= LONGEST)
        .ok_or(Broken::Length)?;
    match answer.len().cmp(&(body + length)) {
        Ordering::Less => Ok(None),
        Ordering::Equal => Ok(head.code.map(|status| Answer { status, last })),
        Ordering::Greater => Err(Broken::Length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_last_byte_and_not_before() {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello";
        for cut in 1..answer.len() {
            assert_eq!(whole(&answer[..cut]).unwrap(), None, "{cut}");
        }
        let whole_answer = Answer {
            status: 202,
            last: false,
        };
        assert_eq!(whole(answer).unwrap(), Some(whole_answer));
    }

    #[test]
    fn the_last_answer_of_a_connection_says_so() {
        let answer = b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert!(whole(answer).unwrap().unwrap().last);
    }

    #[tokio::test]
    async fn a_server_that_closes_with_its_answer_is_asked_over_a_new_connection() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut connection = Connection::over(stream).unwrap();
        // It goes on listening: after the last answer too another connection is made.
        let listening = listener.try_clone().unwrap();
        let serve = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listening.accept().unwrap();
                stream.read_exact(&mut [0; 3]).unwrap();
                stream
                    .write_all(b"HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                    .unwrap();
            }
        });
        for _ in 0..2 {
            assert_eq!(connection.exchange(b"ask").await.unwrap(), 503);
        }
        serve.join().unwrap();
        drop(listener);
    }

    #[test]
    fn what_can_not_be_counted_is_an_error() {
        for answer in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
            "SSH-2.0-OpenSSH\r\n",
        ] {
            assert!(whole(answer.as_bytes()).is_err(), "{answer}");
        }
    }
}
