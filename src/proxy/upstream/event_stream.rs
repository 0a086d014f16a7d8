//! NocoBase's end of an event stream, which is read without Pingora.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::protocols::http::v1::client::HttpSession;
use tokio::io::{AsyncRead as _, ReadBuf};

use super::chunks::Chunks;
use super::head_first::HeadFirst;

/// Most bytes read at once.
const PIECE: usize = 16 * 1024;

/// Why the events have ended before their end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// NocoBase has closed the connection.
    Closed,
    /// The connection is lost.
    Lost,
    /// This is no body in chunks.
    Chunks,
}

/// How its end is marked.
#[derive(Debug)]
enum Body {
    Chunked(Chunks),
    UntilClosed,
}

/// An event stream behind its head.
#[derive(Debug)]
pub(crate) struct EventStream {
    stream: HeadFirst,
    body: Body,
}

impl EventStream {
    /// Is this response, whose head has just been read, an event stream that can be read without Pingora?
    pub(crate) fn is_one(server: &HttpSession) -> bool {
        server.resp_header().is_some_and(|head| is_event_stream(head) && Body::of(head).is_some())
            && server
                .stream()
                .as_any()
                .downcast_ref::<HeadFirst>()
                .is_some_and(|stream| stream.is_behind_head(server.get_headers_raw_bytes().len()))
    }

    /// One whose head has been read.
    #[cfg(test)]
    pub(crate) fn chunked(stream: pingora::protocols::Stream) -> EventStream {
        EventStream { stream: HeadFirst::behind_head(stream), body: Body::Chunked(Chunks::BEGIN) }
    }

    /// Takes it from Pingora; `None` unless [`EventStream::is_one`].
    pub(crate) fn take(server: HttpSession) -> Option<EventStream> {
        let body = server.resp_header().and_then(Body::of)?;
        let stream = *server.into_inner().into_any().downcast::<HeadFirst>().ok()?;
        Some(EventStream { stream, body })
    }

    /// Appends the next bytes of its body, without chunks. False: it has ended.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        data: &mut Vec<u8>,
    ) -> Poll<Result<bool, Broken>> {
        let mut room = [const { MaybeUninit::uninit() }; PIECE];
        let mut read = ReadBuf::uninit(&mut room);
        if ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read)).is_err() {
            return Poll::Ready(Err(Broken::Lost));
        }
        let bytes = read.filled();
        Poll::Ready(match &mut self.body {
            Body::UntilClosed => {
                data.extend_from_slice(bytes);
                Ok(!bytes.is_empty())
            }
            Body::Chunked(_) if bytes.is_empty() => Err(Broken::Closed),
            Body::Chunked(chunks) => match chunks.push(bytes, data) {
                Ok(()) => Ok(!chunks.is_ended()),
                Err(_) => Err(Broken::Chunks),
            },
        })
    }
}

impl Body {
    /// `None`: it has a length, or a coding other than chunks.
    fn of(head: &ResponseHeader) -> Option<Body> {
        let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
        match (codings.next(), codings.next()) {
            (None, _) => (!head.headers.contains_key(header::CONTENT_LENGTH)).then_some(Body::UntilClosed),
            (Some(coding), None) if head.version == Version::HTTP_11 => {
                coding.as_bytes().eq_ignore_ascii_case(b"chunked").then_some(Body::Chunked(Chunks::BEGIN))
            }
            _ => None,
        }
    }
}

fn is_event_stream(head: &ResponseHeader) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    head.status == StatusCode::OK && kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}
