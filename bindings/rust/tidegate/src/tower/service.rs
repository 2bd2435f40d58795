// SPDX-License-Identifier: MIT
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::check::Rules;

/// A service with a limit in front of it; made by [`RateLimitLayer`](super::RateLimitLayer).
#[derive(Clone)]
pub struct RateLimit<S> {
    service: S,
    rules: Arc<Rules>,
}

impl<S> RateLimit<S> {
    pub(super) fn new(service: S, rules: Arc<Rules>) -> Self {
        Self { service, rules }
    }
}

/// The response to come.
pub type ResponseFuture<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

impl<S, B, R> Service<Request<B>> for RateLimit<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<Response<R>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone has not been asked whether it is ready; this one has.
        let clone = self.service.clone();
        let mut service = mem::replace(&mut self.service, clone);
        let rules = self.rules.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let decision = match rules.check(&mut head).await {
                Ok(decision) => decision,
                Err(why) => return Ok(Rules::failure(&why).map(R::from)),
            };
            match decision {
                Some(decision) if !decision.allowed() => Ok(rules.refusal(&decision).map(R::from)),
                Some(decision) => {
                    let mut response = service.call(Request::from_parts(head, body)).await?;
                    rules.add_headers(&decision, response.headers_mut());
                    Ok(response)
                }
                None => service.call(Request::from_parts(head, body)).await,
            }
        })
    }
}
