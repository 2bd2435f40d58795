// SPDX-License-Identifier: MIT
//! Requests as futures.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use tokio::task::coop;

use crate::decision::Decision;
use crate::driver::{Line, Outcome, Sent};
use crate::error::Error;
use crate::request::{Check, Command, Request};
use crate::wait::Wait;

/// A request under way.
struct Exchange<'a> {
    request: Request<'a>,
    waiting: Option<(Arc<Line>, u32)>,
}

impl<'a> Exchange<'a> {
    fn new(request: Request<'a>) -> Self {
        Self { request, waiting: None }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        // A task that only ever asks must let others run too.
        let budget = ready!(coop::poll_proceed(context));
        let outcome = match &self.waiting {
            Some((line, slot)) => line.receive(*slot, context.waker()),
            None => self.start(context),
        };
        let Some(outcome) = outcome else { return Poll::Pending };
        self.waiting = None;
        budget.made_progress();
        Poll::Ready(outcome)
    }

    fn start(&mut self, context: &mut Context<'_>) -> Option<Outcome> {
        let inner = &self.request.gate.inner;
        if inner.is_embedded {
            return Some(self.request.call());
        }
        let sent = self.request.check_shape().and_then(|()| inner.driver.line()).and_then(|line| {
            let sent = self.request.with_ask(|ask| line.send(ask, context.waker()))?;
            Ok((line, sent))
        });
        match sent {
            Ok((line, Sent::Slot(slot))) => {
                self.waiting = Some((line, slot));
                None
            }
            Ok((_, Sent::Later)) => None,
            Err(why) => Some(Err(why)),
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if let Some((line, slot)) = self.waiting.take() {
            line.abandon(slot);
        }
    }
}

/// A [`Check`] that is awaited.
#[must_use = "futures do nothing unless they are awaited"]
pub struct CheckFuture<'a>(Exchange<'a>);

impl Future for CheckFuture<'_> {
    type Output = Result<Decision, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.0.poll(context));
        Poll::Ready(answer.map(|answer| self.0.request.decision(answer)))
    }
}

impl<'a> IntoFuture for Check<'a> {
    type Output = Result<Decision, Error>;
    type IntoFuture = CheckFuture<'a>;

    fn into_future(self) -> CheckFuture<'a> {
        CheckFuture(Exchange::new(self.request))
    }
}

/// A [`Command`] that is awaited.
#[must_use = "futures do nothing unless they are awaited"]
pub struct CommandFuture<'a>(Exchange<'a>);

impl Future for CommandFuture<'_> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context).map_ok(drop)
    }
}

impl<'a> IntoFuture for Command<'a> {
    type Output = Result<(), Error>;
    type IntoFuture = CommandFuture<'a>;

    fn into_future(self) -> CommandFuture<'a> {
        CommandFuture(Exchange::new(self.request))
    }
}

/// A [`Wait`] that is awaited.
#[must_use = "futures do nothing unless they are awaited"]
pub struct WaitFuture<'a>(Pin<Box<dyn Future<Output = Result<Decision, Error>> + Send + 'a>>);

impl Future for WaitFuture<'_> {
    type Output = Result<Decision, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<'a> IntoFuture for Wait<'a> {
    type Output = Result<Decision, Error>;
    type IntoFuture = WaitFuture<'a>;

    fn into_future(self) -> WaitFuture<'a> {
        WaitFuture(Box::pin(self.run()))
    }
}

impl fmt::Debug for CheckFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckFuture").finish_non_exhaustive()
    }
}
