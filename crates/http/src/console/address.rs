//! Where the console and its parts are.

/// Where the console is.
pub(super) const ROOT: &str = "/console";
/// Where the login is.
pub(super) const LOGIN: &str = "/console/login";
/// Where a session is ended.
pub(super) const LOGOUT: &str = "/console/logout";
/// The page of one item.
pub(super) const ITEM: &str = "/console/catalogue/item";

/// Whether a path is one of the console.
pub(in super::super) fn is_of_console(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_console_are_recognised() {
        assert!(is_of_console("/console") && is_of_console("/console/") && is_of_console("/console/quality"));
        assert!(!is_of_console("/consoles") && !is_of_console("/v1/console") && !is_of_console("/"));
    }
}
