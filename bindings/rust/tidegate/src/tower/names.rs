// SPDX-License-Identifier: MIT
//! What a limit is called that was given no name: by where it stands. Names are bounded by what the
//! application has routes for, whatever callers send.

use http::request::Parts;
use http::Method;

/// Of requests whose route nobody tells: one name for all of them.
pub(super) const UNMATCHED: &str = "unmatched";
/// Of a layer that is mounted nowhere.
const EVERYTHING: &str = "everything";
const LONGEST: usize = 64;

/// The path that the layer's router is mounted at, where axum tells it; else empty.
pub(super) fn mount(head: &Parts) -> &str {
    #[cfg(feature = "axum")]
    if let Some(nested) = head.extensions.get::<axum::extract::NestedPath>() {
        return nested.as_str().trim_end_matches('/');
    }
    let _ = head;
    ""
}

/// The template of the request's route, where axum tells it.
pub(super) fn template(head: &Parts) -> Option<String> {
    #[cfg(feature = "axum")]
    if let Some(matched) = head.extensions.get::<axum::extract::MatchedPath>() {
        return Some(matched.as_str().to_owned());
    }
    let _ = head;
    None
}

/// Of a layer: `v1` where it is mounted at `/v1`.
pub(super) fn of_mount(mount: &str) -> String {
    match mount {
        "" => EVERYTHING.to_owned(),
        mount => short(&readable(mount), &[mount]),
    }
}

/// Of a route: `v1.GET.items-id` of `GET /v1/items/{id}` in a router that is mounted at `/v1`.
pub(super) fn of_route(mount: &str, method: &Method, template: &str) -> String {
    let (method, within) = (word(method), template.strip_prefix(mount).unwrap_or(template));
    let pieces = [readable(mount), method.to_owned(), readable(within)];
    let pieces: Vec<_> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
    short(&pieces.join("."), &[mount, method, within])
}

/// The numbers of a limit behind its name.
pub(super) fn with(name: &str, behind: &str) -> String {
    short(&format!("{name}.{behind}"), &[name, behind])
}

/// Callers may make up methods, but not names: those that no router knows are one. HEAD is GET.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "OTHER",
    }
}

/// `/items/{id}` as `items-id`.
fn readable(path: &str) -> String {
    let within = path.strip_prefix('/').unwrap_or(path);
    within.chars().filter(|c| !matches!(c, '{' | '}' | '*')).map(plain).collect()
}

fn plain(c: char) -> char {
    match c {
        '/' => '-',
        c if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') => c,
        _ => '_',
    }
}

/// `name`, at most 64 characters, and where it says less than the texts it was made of did, another
/// one for other texts.
fn short(name: &str, texts: &[&str]) -> String {
    let is_odd = |c: char| plain(c) != c && !"/{}*".contains(c);
    let is_lossy = |text: &&str| {
        text.chars().any(is_odd) || text.contains("//") || (text.len() > 1 && text.ends_with('/'))
    };
    if name.len() <= LONGEST && !texts.iter().any(is_lossy) {
        return name.to_owned();
    }
    let digest = texts.join(" ").bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193) // FNV-1a
    });
    format!("{}-{digest:08x}", &name[..name.len().min(LONGEST - 9)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(template: &str) -> String {
        of_route("", &Method::GET, template)
    }

    #[test]
    fn a_route_is_named_by_mount_method_and_template() {
        assert_eq!(of_route("", &Method::POST, "/login"), "POST.login");
        assert_eq!(of_route("/v1", &Method::GET, "/v1/items/{id}"), "v1.GET.items-id");
        assert_eq!(of_route("/v1", &Method::HEAD, "/v1"), "v1.GET");
        assert_eq!(get("/"), "GET");
        assert_eq!(get("/files/{*rest}"), "GET.files-rest");
        assert_eq!(of_mount("/api/v1"), "api-v1");
        assert_eq!(of_mount(""), "everything");
        assert_eq!(with("api", "100-per-60s"), "api.100-per-60s");
    }

    #[test]
    fn methods_that_callers_make_up_are_one_name() {
        let made_up = |name: &[u8]| of_route("", &Method::from_bytes(name).unwrap(), "/a");
        assert_eq!(made_up(b"M1"), "OTHER.a");
        assert_eq!(made_up(b"M1"), made_up(b"M2"));
    }

    #[test]
    fn every_name_is_one_that_a_limiter_may_have_and_tells_its_route_apart() {
        let long = format!("/{}", "x".repeat(80));
        let longer = format!("{long}x");
        let routes = [
            "/", "/a", "/a/", "/a//", "/a b", "/a_b", "/a.b", "/a\u{fc}", "/a\u{e4}", &long,
            &longer,
        ];
        let names: std::collections::HashSet<_> = routes.iter().map(|route| get(route)).collect();
        assert_eq!(names.len(), routes.len(), "{names:?}");
        for name in names {
            assert!(name.len() <= LONGEST, "{name}");
            assert!(name.chars().all(|c| plain(c) == c), "{name}");
        }
        let numbers = "1000000-per-86400000000us";
        assert_ne!(with(&"x".repeat(64), numbers), with(&"x".repeat(64), "1-per-1s"));
        assert!(with(&"x".repeat(64), numbers).len() <= LONGEST);
    }
}
