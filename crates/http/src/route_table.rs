//! What each route needs to be called, whether it computes a page, and which query parameters it has.
//!
//! The middleware reads this table. What it does not have needs `admin`, and a parameter that a route does not describe is
//! refused, because one that is passed over in silence does something else than its sender means.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::Query;
use axum::http::{Method, Uri};

use super::access::Access;
use super::problem::{Code, Problem};
use super::settings::Scope;
use accrue_event::misspelling;

/// The query parameter that may carry a key of browsers, see [`super::access`].
const KEY: &str = "key";

/// One method of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// What it needs to be called.
    pub access: Access,
    /// Whether it computes a page: what it needs is a core, and each page waits for its turn.
    pub is_page: bool,
    /// The names of its query parameters; `None` if any are passed over.
    pub query: Option<Vec<String>>,
}

/// All methods of all routes.
#[derive(Debug, Default)]
pub(super) struct RouteTable(pub(super) HashMap<String, BTreeMap<String, Arc<Route>>>);

impl RouteTable {
    /// A method of a route. `HEAD` is as `GET`. A method that the route does not have needs what its others need, and
    /// is then answered by the router; a route that is not registered needs `admin`.
    pub fn find(&self, method: &Method, path: Option<&str>) -> Arc<Route> {
        let of_access = |access| Arc::new(Route { access, is_page: false, query: None });
        let Some(path) = path else { return of_access(Access::Open) };
        let method = if method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
        let of_path = self.0.get(path);
        match of_path.and_then(|methods| methods.get(method)) {
            Some(route) => Arc::clone(route),
            None => of_access(
                of_path
                    .and_then(|methods| methods.values().next())
                    .map_or(Access::Needs(Scope::Admin), |any| any.access),
            ),
        }
    }
}

impl RouteTable {
    /// The route that is meant by a path that no route has, with its methods: the same path without a slash at its end or
    /// with `/v1` before it, one whose path this one goes on, or one whose last part is spelt nearly alike.
    pub fn near(&self, path: &str) -> Option<(&str, Vec<&str>)> {
        let mut known: Vec<&str> = self.0.keys().map(String::as_str).filter(|known| !known.contains('{')).collect();
        known.sort_unstable();
        let path = path.trim_end_matches('/');
        let versioned = format!("/v1{path}");
        let (folder, last) = path.rsplit_once('/')?;
        let is_spelt_alike = |known: &&&str| {
            let (of, name) = known.rsplit_once('/').unwrap_or_default();
            [folder, "", "/v1"].contains(&of) && misspelling(last, name).is_some()
        };
        let is_beginning = |known: &&&str| path.starts_with(**known) && known.matches('/').count() > 1;
        let found = known
            .iter()
            .find(|known| **known == path || **known == versioned)
            .or_else(|| known.iter().filter(|known| **known != "/").find(is_spelt_alike))
            .or_else(|| known.iter().rev().find(is_beginning))?;
        Some((*found, self.methods(found)))
    }

    /// The methods of a route.
    pub fn methods(&self, path: &str) -> Vec<&str> {
        self.0.get(path).map(|methods| methods.keys().map(String::as_str).collect()).unwrap_or_default()
    }
}

impl Route {
    /// Refuses a query parameter that the route does not have.
    pub fn check_query(&self, uri: &Uri) -> Result<(), Problem> {
        let Some(known) = self.query.as_ref().filter(|_| uri.query().is_some()) else { return Ok(()) };
        let Query(given) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Problem::new(Code::InvalidQuery, error.body_text()))?;
        let is_known =
            |name: &String| known.contains(name) || (name == KEY && self.access == Access::Needs(Scope::Publish));
        let Some((name, _)) = given.into_iter().find(|(name, _)| !is_known(name)) else { return Ok(()) };
        let those = match &known[..] {
            [] => "this address takes none".to_owned(),
            names => format!("this address takes {}", names.join(", ")),
        };
        Err(Problem::new(Code::UnknownField, format!("there is no query parameter {name:?}; {those}")).field(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(query: &[&str], access: Access) -> Route {
        Route { access, is_page: false, query: Some(query.iter().map(|name| (*name).to_owned()).collect()) }
    }

    #[test]
    fn a_parameter_that_a_route_does_not_describe_is_refused() {
        let check =
            |route: &Route, uri: &str| route.check_query(&uri.parse().unwrap()).map_err(|problem| problem.code());
        let list = route(&["n", "filter"], Access::Needs(Scope::Search));
        for taken in ["/v1/new", "/v1/new?", "/v1/new?n=1", "/v1/new?filter=a&n=1", "/v1/new?%6e=1"] {
            assert_eq!(check(&list, taken), Ok(()), "{taken}");
        }
        for refused in
            ["/v1/new?m=1", "/v1/new?n=1&limit=2", "/v1/new?N=1", "/v1/new?key=0123456789abcdef", "/v1/new?="]
        {
            assert_eq!(check(&list, refused), Err(Code::UnknownField), "{refused}");
        }
        let events = route(&[], Access::Needs(Scope::Publish));
        assert_eq!(check(&events, "/v1/events?key=0123456789abcdef"), Ok(()));
        assert_eq!(check(&events, "/v1/events?sync=true"), Err(Code::UnknownField));
        let probe = Route { query: None, ..events };
        assert_eq!(check(&probe, "/healthz?at=1"), Ok(()));
    }

    #[test]
    fn a_route_that_is_not_registered_needs_admin() {
        let mut table = RouteTable::default();
        let methods = BTreeMap::from([("PATCH".to_owned(), Arc::new(route(&[], Access::Needs(Scope::Write))))]);
        table.0.insert("/v1/items/{id}".to_owned(), methods);
        let access = |method, path| table.find(&method, path).access;
        assert_eq!(access(Method::GET, Some("/v1/secrets")), Access::Needs(Scope::Admin));
        assert_eq!(access(Method::PATCH, Some("/v1/items/{id}")), Access::Needs(Scope::Write));
        assert_eq!(access(Method::POST, Some("/v1/items/{id}")), Access::Needs(Scope::Write));
        assert_eq!(access(Method::GET, None), Access::Open);
    }

    #[test]
    fn the_route_that_a_wrong_path_means_is_found() {
        let mut table = RouteTable::default();
        for (path, method) in [
            ("/", "GET"),
            ("/v1/new", "GET"),
            ("/v1/recommend", "POST"),
            ("/v1/items/{id}", "GET"),
            ("/v1/events", "POST"),
        ] {
            let methods = BTreeMap::from([(method.to_owned(), Arc::new(route(&[], Access::Open)))]);
            table.0.insert(path.to_owned(), methods);
        }
        let near = |path: &str| table.near(path).map(|(path, methods)| format!("{} {path}", methods.join(", ")));
        for (wrong, meant) in [
            ("/v1/new/", "GET /v1/new"),
            ("/new", "GET /v1/new"),
            ("/v1/recommendations", "POST /v1/recommend"),
            ("/v1/recomend", "POST /v1/recommend"),
            ("/event", "POST /v1/events"),
        ] {
            assert_eq!(near(wrong).as_deref(), Some(meant), "{wrong}");
        }
        for unlike in ["/", "/v1/shops", "/v1/items", "/wp-login.php", ""] {
            assert_eq!(near(unlike), None, "{unlike}");
        }
    }
}
