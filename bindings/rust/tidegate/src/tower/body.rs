// SPDX-License-Identifier: MIT
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::passage::Finish;

pin_project! {
    /// A response's body, at whose end what the request was charged is settled: slots are released,
    /// and what does not count is given back.
    #[derive(Debug)]
    pub struct LimitedBody<B> {
        #[pin]
        body: B,
        finish: Option<Finish>,
    }
}

impl<B> LimitedBody<B> {
    pub(super) fn new(body: B, finish: Option<Finish>) -> Self {
        Self { body, finish }
    }
}

impl<B: Default> Default for LimitedBody<B> {
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<B: Body> Body for LimitedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(context));
        if frame.is_none() {
            this.finish.take();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
