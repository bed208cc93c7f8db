//! Refusals as pages: what a problem document says, for people. Without a key, a person is led to the login.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use maud::html;

use super::super::problem::{Code, Problem};
use super::layout::{self, Frame};
use super::{LOGIN, Look, ROOT};

/// A problem as a page of the console.
pub(in super::super) fn refusal(problem: &Problem, look: Look, asked: &Uri, request_id: &str) -> Response {
    let code = problem.code();
    if matches!(code, Code::KeyRequired | Code::UnknownKey) {
        return to_login(asked);
    }
    let texts = look.texts;
    let body = html! {
        section .card.empty {
            p .lead { (code.title()) }
            p { (problem.detail()) }
            p .soft { code { (code.name()) } " · " (code.status().as_u16()) " · " code { (request_id) } }
            p { a .button href=(ROOT) { (texts.back_to_overview) } }
        }
    };
    let mut response = layout::respond(code.status(), layout::document(&Frame::bare(look, texts.refused), body));
    for (name, value) in problem.headers() {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

fn to_login(asked: &Uri) -> Response {
    let next: String = asked.path_and_query().map(|asked| super::view::encoded(asked.as_str())).unwrap_or_default();
    let location = HeaderValue::from_str(&format!("{}?next={next}", LOGIN));
    let location = location.unwrap_or(HeaderValue::from_static(LOGIN));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}
