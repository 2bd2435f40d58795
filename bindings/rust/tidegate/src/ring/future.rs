// SPDX-License-Identifier: MIT
//! Requests as futures.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, SemaphorePermit};
use tokio::task::coop;
use tokio::time::{error::Elapsed, timeout_at, Instant};

use super::line::{Line, Outcome};
use crate::decision::Decision;
use crate::error::Error;
use crate::request::{Check, Command, Request};
use crate::wait::Wait;

/// Waiting for room in a ring, until the request's deadline.
type ForRoom =
    dyn Future<Output = Result<Result<OwnedSemaphorePermit, AcquireError>, Elapsed>> + Send + Sync;

enum Stage {
    Fresh,
    Queued(Arc<Line>, Pin<Box<ForRoom>>, Instant),
    Out(Arc<Line>, u32),
    Over,
}

/// A request under way.
struct Exchange<'a> {
    request: Request<'a>,
    stage: Stage,
}

impl<'a> Exchange<'a> {
    fn new(request: Request<'a>) -> Self {
        Self { request, stage: Stage::Fresh }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        // A task that only ever asks must let others run too.
        let budget = ready!(coop::poll_proceed(context));
        let outcome = ready!(self.advance(context));
        self.stage = Stage::Over;
        budget.made_progress();
        Poll::Ready(outcome)
    }

    fn advance(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        match &mut self.stage {
            Stage::Out(line, slot) => {
                line.receive(*slot, context.waker()).map_or(Poll::Pending, Poll::Ready)
            }
            Stage::Queued(line, for_room, deadline) => {
                let (line, deadline) = (line.clone(), *deadline);
                match ready!(for_room.as_mut().poll(context)) {
                    Ok(Ok(permit)) => {
                        permit.forget();
                        let left = deadline.saturating_duration_since(Instant::now());
                        self.request.set_timeout(left);
                        self.send(line, context)
                    }
                    Ok(Err(_)) => Poll::Ready(Err(why_dead(&line))),
                    Err(_) => Poll::Ready(self.ask_without_waiting()),
                }
            }
            Stage::Fresh if self.request.gate.inner.is_embedded => Poll::Ready(self.request.call()),
            Stage::Fresh => self.start(context),
            Stage::Over => panic!("polled after it was ready"),
        }
    }

    fn start(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        let found = self.request.check_shape().and_then(|()| self.request.gate.inner.driver.line());
        let line = match found {
            Ok(line) => line,
            Err(why) => return Poll::Ready(Err(why)),
        };
        if line.room().try_acquire().map(SemaphorePermit::forget).is_ok() {
            return self.send(line, context);
        }
        if line.is_dead() {
            return Poll::Ready(Err(why_dead(&line)));
        }
        let deadline = Instant::now() + self.request.timeout();
        let for_room = Box::pin(timeout_at(deadline, line.room().clone().acquire_owned()));
        self.stage = Stage::Queued(line, for_room, deadline);
        self.advance(context)
    }

    fn send(&mut self, line: Arc<Line>, context: &mut Context<'_>) -> Poll<Outcome> {
        match self.request.with_ask(|ask| line.send(ask, context.waker())) {
            Ok(slot) => {
                self.stage = Stage::Out(line, slot);
                Poll::Pending
            }
            Err(why) => Poll::Ready(Err(why)),
        }
    }

    /// The deadline passed while the ring was full: what an answer that is late becomes, at once.
    /// Of a check that is the failure policy's decision.
    fn ask_without_waiting(&mut self) -> Outcome {
        self.request.set_timeout(Duration::ZERO);
        self.request.call()
    }
}

fn why_dead(line: &Line) -> Error {
    line.why_dead().unwrap_or_else(|| Error::of_code(tidegate_sys::TG_ECANCELED))
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if let Stage::Out(line, slot) = &self.stage {
            line.abandon(*slot);
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

/// Several requests that are awaited as one.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Asking<'a, T>(Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>);

impl<'a, T> Asking<'a, T> {
    pub(crate) fn new(run: impl Future<Output = Result<T, Error>> + Send + 'a) -> Self {
        Self(Box::pin(run))
    }
}

impl<T> Future for Asking<'_, T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<T> fmt::Debug for Asking<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").finish_non_exhaustive()
    }
}

macro_rules! shown_by_name {
    ($($future:ident),*) => {
        $(impl fmt::Debug for $future<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($future)).finish_non_exhaustive()
            }
        })*
    };
}

shown_by_name!(CheckFuture, CommandFuture, WaitFuture);
