//! The deadlines of a connection, beyond those of the HTTP library: that one times the head of the first request only, and
//! goes on reading what is left of a body nobody wants for as long as the client likes.
//!
//! Between two requests a connection may idle for so long; from the first byte of the next head on, the head has its
//! deadline; an answer that the client does not take ends the connection too. While a request is under way it is its body
//! that is timed ([`super::body`]).
use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::ConnectionType,
    middleware::Next,
    web::Bytes,
};
use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How patient a connection is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From an answer to the first byte of the next request.
    pub idle: Duration,
    /// From that byte to the end of the head.
    pub head: Duration,
    /// After an answer that closes the connection: so long is read, and thrown away, what is still on its way.
    pub linger: Duration,
    /// How long a client may take nothing of an answer.
    pub stall: Duration,
}

/// What the stream and the requests on it know of each other.
#[derive(Debug, Default)]
pub struct Pulse {
    under_way: Cell<usize>,
    /// What is waited for from now on; taken by the stream when it reads next.
    wait: Cell<Option<Wait>>,
    reader: RefCell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy)]
enum Wait {
    Request,
    End,
}

/// A request that is under way until this is dropped.
struct UnderWay {
    pulse: Rc<Pulse>,
    last: bool,
}

impl UnderWay {
    fn new(pulse: Rc<Pulse>) -> Self {
        pulse.under_way.set(pulse.under_way.get() + 1);
        Self { pulse, last: false }
    }
}
impl Drop for UnderWay {
    fn drop(&mut self) {
        let left = self.pulse.under_way.get() - 1;
        self.pulse.under_way.set(left);
        if left == 0 {
            self.pulse.wait.set(Some(if self.last { Wait::End } else { Wait::Request }));
            // Nothing else would make the stream look at its clock when no byte comes any more.
            if let Some(reader) = self.pulse.reader.take() {
                reader.wake();
            }
        }
    }
}

/// A stream with deadlines. One that passes while reading looks as if the client had hung up.
pub struct Timed<T> {
    io: T,
    patience: Patience,
    pulse: Rc<Pulse>,
    /// Until when the present wait may last.
    read_by: Pin<Box<Sleep>>,
    /// The first byte of a head has come, or the last answer is out: nothing prolongs the wait.
    fixed: bool,
    /// Since when nothing of an answer was taken.
    write_by: Option<Pin<Box<Sleep>>>,
}

impl<T> Timed<T> {
    /// A fresh connection.
    pub fn new(io: T, patience: Patience) -> Self {
        let (pulse, read_by) = (Rc::default(), Box::pin(sleep(patience.idle)));
        Self { io, patience, pulse, read_by, fixed: false, write_by: None }
    }

    /// For the requests on it.
    pub fn pulse(&self) -> Rc<Pulse> {
        self.pulse.clone()
    }

    /// Whether a wait has lasted too long. Registers the task for its end.
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        match self.pulse.wait.take() {
            Some(Wait::Request) => (self.fixed, self.read_by) = (false, Box::pin(sleep(self.patience.idle))),
            Some(Wait::End) => (self.fixed, self.read_by) = (true, Box::pin(sleep(self.patience.linger))),
            None => {}
        }
        self.read_by.as_mut().poll(cx).is_ready()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Timed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.pulse.reader.replace(Some(cx.waker().clone()));
        let waiting = self.pulse.under_way.get() == 0;
        if waiting && self.is_overdue(cx) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if waiting && !self.fixed && buf.filled().len() > before {
            self.fixed = true;
            self.read_by = Box::pin(sleep(self.patience.head));
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> Timed<T> {
    fn timed(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_by = None;
            return written;
        }
        let stall = self.patience.stall;
        let write_by = self.write_by.get_or_insert_with(|| Box::pin(sleep(stall)));
        write_by.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Timed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.timed(cx, written)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The layer: a request is under way until the last byte of its answer is out.
///
/// # Errors
/// None of its own.
pub async fn layer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Answering>, actix_web::Error> {
    let mut under_way = request.conn_data::<Rc<Pulse>>().cloned().map(UnderWay::new);
    let response = next.call(request).await?;
    if let Some(under_way) = &mut under_way {
        under_way.last = response.response().head().connection_type() == ConnectionType::Close;
    }
    Ok(response.map_body(|_, body| Answering { body: body.boxed(), _under_way: under_way }))
}

/// The body of an answer, and the request it ends.
pub struct Answering {
    body: BoxBody,
    _under_way: Option<UnderWay>,
}

impl MessageBody for Answering {
    type Error = Box<dyn std::error::Error>;
    fn size(&self) -> BodySize {
        self.body.size()
    }
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const SOON: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_secs(20);
    const NEVER: Patience = Patience { idle: LATE, head: LATE, linger: LATE, stall: LATE };

    /// Reads to the end, in less than any long deadline.
    async fn ends(stream: &mut Timed<tokio::io::DuplexStream>) {
        let mut rest = Vec::new();
        tokio::time::timeout(LATE / 2, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_idle_connection_ends() {
        let (_client, io) = duplex(64);
        ends(&mut Timed::new(io, Patience { idle: SOON, ..NEVER })).await;
    }

    #[tokio::test]
    async fn a_head_that_trickles_ends_the_connection() {
        let (mut client, io) = duplex(64);
        tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SOON / 5).await;
            }
        });
        ends(&mut Timed::new(io, Patience { head: SOON, ..NEVER })).await;
    }

    #[tokio::test]
    async fn nothing_ends_it_while_a_request_is_under_way_and_the_clock_starts_after_it() {
        let (mut client, io) = duplex(64);
        let mut stream = Timed::new(io, Patience { idle: SOON, head: SOON, ..NEVER });
        let under_way = UnderWay::new(stream.pulse());
        let second = UnderWay::new(stream.pulse());
        let mut byte = [0];
        assert!(tokio::time::timeout(SOON * 4, stream.read(&mut byte)).await.is_err());
        drop(under_way);
        client.write_all(b"x").await.unwrap();
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1);
        let reading = async { ends(&mut stream).await };
        let ending = async {
            tokio::time::sleep(SOON).await;
            drop(second);
        };
        tokio::join!(reading, ending);
    }

    #[tokio::test]
    async fn after_the_last_answer_nothing_is_waited_for() {
        let (mut client, io) = duplex(64);
        let mut stream = Timed::new(io, Patience { linger: SOON, ..NEVER });
        let mut under_way = UnderWay::new(stream.pulse());
        under_way.last = true;
        drop(under_way);
        client.write_all(b"x").await.unwrap();
        ends(&mut stream).await;
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_ends_the_connection() {
        let (mut client, io) = duplex(64);
        let mut stream = Timed::new(io, Patience { stall: SOON * 4, ..NEVER });
        let taking = async {
            for _ in 0..8 {
                tokio::time::sleep(SOON).await;
                client.read_exact(&mut [0; 32]).await.unwrap();
            }
        };
        let writing = async { stream.write_all(&[0; 32 * 10 + 1]).await };
        let (written, ()) = tokio::join!(writing, taking);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
