// SPDX-License-Identifier: MIT
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::ask::Layer;
use super::body::LimitedBody;
use super::passage::{Finish, Passage};

/// How the text of a refusal becomes a response's body.
pub trait MakeBody<B>: Clone + Send + 'static {
    /// The body.
    fn make_body(&self, text: String) -> B;
}

/// Bodies that are `From<String>`, as axum's and reqwest's.
#[derive(Clone, Copy, Debug, Default)]
pub struct FromText;

impl<B: From<String>> MakeBody<B> for FromText {
    fn make_body(&self, text: String) -> B {
        text.into()
    }
}

/// Any function that makes one; see [`RateLimitLayer::with_body`](super::RateLimitLayer::with_body).
#[derive(Clone, Copy)]
pub struct FromFunction<F>(pub(super) F);

impl<F> fmt::Debug for FromFunction<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFunction").finish_non_exhaustive()
    }
}

impl<B, F: Fn(String) -> B + Clone + Send + 'static> MakeBody<B> for FromFunction<F> {
    fn make_body(&self, text: String) -> B {
        (self.0)(text)
    }
}

/// A service with a limit in front of it; made by [`RateLimitLayer`](super::RateLimitLayer).
#[derive(Clone)]
pub struct RateLimit<S, M = FromText> {
    service: S,
    layer: Arc<Layer>,
    bodies: M,
}

impl<S, M> RateLimit<S, M> {
    pub(super) fn new(service: S, layer: Arc<Layer>, bodies: M) -> Self {
        Self { service, layer, bodies }
    }
}

impl<S: fmt::Debug, M> fmt::Debug for RateLimit<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The response to come.
pub type ResponseFuture<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

impl<S, B, R, M> Service<Request<B>> for RateLimit<S, M>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    M: MakeBody<R>,
{
    type Response = Response<LimitedBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<Response<LimitedBody<R>>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone has not been asked whether it is ready; this one has.
        let clone = self.service.clone();
        let mut service = mem::replace(&mut self.service, clone);
        let (layer, bodies) = (self.layer.clone(), self.bodies.clone());
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let (passage, is_outermost) = Passage::of(&mut head);
            let finish = is_outermost.then(|| Finish::new(passage.clone()));
            let mut response = match layer.check(&mut head, &passage).await {
                Ok(decision) if decision.allowed() => {
                    match service.call(Request::from_parts(head, body)).await {
                        Ok(response) => response,
                        Err(why) => {
                            if let Some(finish) = finish {
                                finish.fail();
                            }
                            return Err(why);
                        }
                    }
                }
                Ok(decision) => {
                    layer.answers.refusal(&head, &decision).map(|text| bodies.make_body(text))
                }
                Err(why) => layer.answers.failure(&head, why).map(|text| bodies.make_body(text)),
            };
            let finish = finish.and_then(|finish| finish.tell(&mut response));
            Ok(response.map(|body| LimitedBody::new(body, finish)))
        })
    }
}
