//! Between hyper and the service: each request gets its [`Peer`] and a [`RequestBody`], each
//! answer a body that reports its end, and a `Connection: close` where the connection cannot go on.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tower::{Service, ServiceExt};

use super::exchange::{Exchange, Framing};
use super::{Peer, RequestBody};

#[derive(Debug)]
pub(super) struct ConnectionService<S> {
    service: S,
    peer: Peer,
    exchange: Arc<Exchange>,
}

impl<S> ConnectionService<S> {
    pub(super) fn new(service: S, peer: Peer, exchange: Arc<Exchange>) -> Self {
        Self { service, peer, exchange }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for ConnectionService<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    B: Body<Data = Bytes> + Unpin,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let exchange = Arc::clone(&self.exchange);
        exchange.answering(match request.body().size_hint().exact() {
            Some(bytes) => Framing::Length(bytes),
            None => Framing::Chunked,
        });
        let mut request = request.map(|body| RequestBody::new(body, Arc::clone(&exchange)));
        request.extensions_mut().insert(self.peer.clone());
        let answer = self.service.clone().oneshot(request);
        Box::pin(async move {
            let mut response = answer.await?;
            if exchange.is_closing() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| ResponseBody { body, exchange }))
        })
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
