//! How a handler says where it is, once for two readers.
//!
//! A file of handlers fills a [`Registry`], which is the router of the agent or the
//! OpenAPI document. Both are generic parameters, not a trait object: what only
//! describes an operation is then no part of a binary that never asks for it, and
//! that is a tenth of the code. It would go wrong to build the document where
//! requests are answered; those get the copy that was checked in.

use axum::Router;
use axum::handler::Handler;
use axum::routing::MethodRouter;
use utoipa_axum::PathItemExt as _;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::state::AppState;

/// What the handlers are told to.
pub trait Registry: Sized {
    /// Adds the handler at the path and method that `P` declares; `describe` makes what
    /// the document says about it.
    #[must_use]
    fn handler<P, H, T>(self, handler: H, describe: impl FnOnce() -> UtoipaMethodRouter<AppState>) -> Self
    where
        P: utoipa::Path,
        H: Handler<T, AppState>,
        T: 'static;

    /// Adds a place that is no part of the API.
    #[must_use]
    fn page(self, path: &str, methods: MethodRouter<AppState>) -> Self;

    /// Adds what `part` adds: a list made by [`routes!`], or the `routes` of a file.
    #[must_use]
    fn routes(self, part: impl FnOnce(Self) -> Self) -> Self {
        part(self)
    }
}

impl Registry for Router<AppState> {
    fn handler<P, H, T>(self, handler: H, _: impl FnOnce() -> UtoipaMethodRouter<AppState>) -> Self
    where
        P: utoipa::Path,
        H: Handler<T, AppState>,
        T: 'static,
    {
        let methods = P::methods().into_iter().fold(MethodRouter::new(), |router, method| {
            router.on(method.to_method_filter(), handler.clone())
        });
        self.route(&P::path(), methods)
    }

    fn page(self, path: &str, methods: MethodRouter<AppState>) -> Self {
        self.route(path, methods)
    }
}

impl Registry for OpenApiRouter<AppState> {
    fn handler<P, H, T>(self, _: H, describe: impl FnOnce() -> UtoipaMethodRouter<AppState>) -> Self
    where
        P: utoipa::Path,
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::routes(self, describe())
    }

    fn page(self, _: &str, _: MethodRouter<AppState>) -> Self {
        self
    }
}

/// The handlers named, each of which has `#[utoipa::path]`.
macro_rules! routes {
    ($($handler:ident),+ $(,)?) => {
        |registry| pastey::paste! {
            registry$(.handler::<[<__path_ $handler>], _, _>($handler, || utoipa_axum::routes!($handler)))+
        }
    };
}

pub(super) use routes;
