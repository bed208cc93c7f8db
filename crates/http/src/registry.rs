//! The registry of routes.
//!
//! In: the handlers with their descriptions, a line each in [`super::router`]. Out: the router, the description of the
//! interface, and the table that the middleware reads. All of these come from the same lines, so a route cannot be
//! without a rule.

use std::sync::Arc;

use axum::http::Method;
use axum::routing::MethodRouter;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, PathItem};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::access::Access;
use super::route_table::{Route, RouteTable};
use super::server::Server;
use super::settings::Scope;

/// Routes while they are registered.
pub(super) struct Registry {
    router: OpenApiRouter<Arc<Server>>,
    table: RouteTable,
}

impl Registry {
    /// No route, and the general part of the description.
    pub fn new(openapi: OpenApi) -> Self {
        Self { router: OpenApiRouter::with_openapi(openapi), table: RouteTable::default() }
    }

    /// Adds routes that anyone may call.
    pub fn open(self, routes: UtoipaMethodRouter<Arc<Server>>) -> Self {
        // Supervisors and load balancers may add parameters of their own.
        self.add(Access::Open, false, true, routes)
    }

    /// Adds routes that need a key with this scope.
    pub fn needs(self, scope: Scope, routes: UtoipaMethodRouter<Arc<Server>>) -> Self {
        self.add(Access::Needs(scope), false, false, routes)
    }

    /// Adds routes that compute pages, and need a key with this scope.
    pub fn page(self, scope: Scope, routes: UtoipaMethodRouter<Arc<Server>>) -> Self {
        self.add(Access::Needs(scope), true, false, routes)
    }

    /// Adds a page for people, which is no part of the interface's description.
    pub fn for_people(mut self, path: &str, handler: MethodRouter<Arc<Server>>) -> Self {
        let route = Arc::new(Route { access: Access::Open, is_page: false, query: None });
        self.table.0.entry(path.to_owned()).or_default().insert(Method::GET.to_string(), route);
        self.router = self.router.route(path, handler);
        self
    }

    /// Adds a page of the console and its form: what `GET` needs, what `POST` needs, and whether it computes pages. The
    /// parameters in its address are the console's own.
    pub fn console(
        mut self,
        path: &str,
        sees: Access,
        acts: Access,
        is_page: bool,
        handler: MethodRouter<Arc<Server>>,
    ) -> Self {
        let methods = self.table.0.entry(path.to_owned()).or_default();
        for (method, access, is_page) in [(Method::GET, sees, is_page), (Method::POST, acts, false)] {
            methods.insert(method.to_string(), Arc::new(Route { access, is_page, query: None }));
        }
        self.router = self.router.route(path, handler);
        self
    }

    /// Adds `GET` of a path that is an instance of another route, and is not described a second time.
    pub fn instance(mut self, path: &str, of: &str, handler: MethodRouter<Arc<Server>>) -> Self {
        let route = self.table.find(&Method::GET, Some(of));
        self.table.0.entry(path.to_owned()).or_default().insert(Method::GET.to_string(), route);
        self.router = self.router.route(path, handler);
        self
    }

    fn add(mut self, access: Access, is_page: bool, any_query: bool, routes: UtoipaMethodRouter<Arc<Server>>) -> Self {
        for (path, item) in &routes.1.paths {
            let methods = self.table.0.entry(path.clone()).or_default();
            for (method, operation) in operations(item) {
                let query = (!any_query).then(|| query_names(operation));
                methods.insert(method.to_string(), Arc::new(Route { access, is_page, query }));
            }
        }
        self.router = self.router.routes(routes);
        self
    }

    /// The router with the description of the interface, and the table.
    pub fn finish(self) -> (OpenApiRouter<Arc<Server>>, RouteTable) {
        (self.router, self.table)
    }
}

/// The methods of a path in the description.
pub(super) fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn query_names(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten();
    let of_query = parameters.filter(|parameter| matches!(parameter.parameter_in, ParameterIn::Query));
    of_query.map(|parameter| parameter.name.clone()).collect()
}
