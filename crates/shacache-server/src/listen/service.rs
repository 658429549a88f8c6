//! Between hyper and the service: each request gets a [`RequestBody`], each answer a body that
//! reports its end, and a `Connection: close` where the connection cannot go on.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use pin_project_lite::pin_project;

use super::RequestBody;
use super::exchange::{Exchange, Framing};

#[derive(Debug)]
pub(super) struct ConnectionService<S> {
    service: S,
    exchange: Arc<Exchange>,
}

impl<S> ConnectionService<S> {
    pub(super) fn new(service: S, exchange: Arc<Exchange>) -> Self {
        Self { service, exchange }
    }
}

impl<S, B> Service<Request<Incoming>> for ConnectionService<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Unpin,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let exchange = Arc::clone(&self.exchange);
        exchange.answering(match request.body().size_hint().exact() {
            Some(bytes) => Framing::Length(bytes),
            None => Framing::Chunked,
        });
        let request = request.map(|body| RequestBody::new(body, Arc::clone(&exchange)));
        Answering { answer: self.service.call(request), exchange: Some(exchange) }
    }
}

pin_project! {
    /// The service at work. In place, since hyper has room for one for each connection.
    pub(super) struct Answering<F> {
        #[pin]
        answer: F,
        // Until it is with the answer.
        exchange: Option<Arc<Exchange>>,
    }
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.answer.poll(cx))?;
        let exchange = this.exchange.take().expect("a future is not polled once it is ready");
        if exchange.is_closing() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response.map(|body| ResponseBody { body, exchange })))
    }
}

/// An answer's body; its drop, by hyper, is the end of the answer.
#[derive(Debug)]
pub(super) struct ResponseBody<B> {
    body: B,
    exchange: Arc<Exchange>,
}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        // hyper would ask for more as soon as some of the last piece is gone. One piece in memory
        // is enough for a client that does not read.
        if self.exchange.is_write_blocked(cx) {
            return Poll::Pending;
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for ResponseBody<B> {
    fn drop(&mut self) {
        self.exchange.answered();
    }
}
