//! Whether the caller takes what an operation answers with (RFC 9110, 12.5.1). What an operation offers is what the document
//! says of its good answers, so that its annotation (`content_type`) is all it has to say.
use crate::{Error, Result, error::Code};
use actix_web::{
    HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, Accept, Header, Quality},
    middleware::Next,
    web,
};
use serde_json::{Map, Value};
use std::collections::HashMap;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// The media types of each operation's good answers, by its method and its path as the document has it.
#[derive(Debug, Default)]
pub struct Offers(HashMap<(String, String), Vec<String>>);

impl Offers {
    /// What the document says.
    pub fn of(document: &Value) -> Self {
        let mut offers = HashMap::new();
        let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
        for (path, item) in paths.filter(|(path, _)| is_strict(path)) {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let offered = operation.as_object().map(offered).unwrap_or_default();
                let offered = offered.into_iter().map(str::to_owned).collect();
                offers.insert((method.to_uppercase(), path.clone()), offered);
            }
        }
        Self(offers)
    }
}

/// What operators and browsers ask of us by itself is answered whatever the header.
fn is_strict(path: &str) -> bool {
    path.starts_with("/v1/")
}

/// The media types of an operation's good answers; none where these have no body. JSON comes with its problems.
fn offered(operation: &Map<String, Value>) -> Vec<&str> {
    let responses = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
    let good = responses.filter(|(status, _)| status.starts_with('2'));
    let contents = good.filter_map(|(_, response)| response.get("content")?.as_object());
    let mut offered: Vec<_> = contents.flat_map(Map::keys).map(String::as_str).collect();
    if offered.contains(&JSON) {
        offered.push(PROBLEM);
    }
    offered
}

/// Whether an operation of the document can be answered 406.
pub fn may_refuse(path: &str, operation: &Map<String, Value>) -> bool {
    is_strict(path) && !offered(operation).is_empty()
}

/// Before anything is done: that the caller takes at least one representation of what was asked for.
///
/// # Errors
/// 406.
pub fn check(request: &HttpRequest) -> Result<()> {
    // A header without a range that can be read says nothing.
    let Some(accept) = Accept::parse(request).ok().filter(|accept| !accept.is_empty()) else { return Ok(()) };
    let (Some(offers), Some(pattern)) = (request.app_data::<web::Data<Offers>>(), request.match_pattern()) else {
        return Ok(());
    };
    match offers.0.get(&(request.method().to_string(), template(&pattern))) {
        Some(offered) if !offered.is_empty() && !offered.iter().any(|media| takes(&accept, media)) => {
            Err(Error::refused(Code::NotAcceptable, format!("This answers with {}.", offered.join(" or "))))
        }
        _ => Ok(()),
    }
}

/// Whether the caller asks for a media type by its name, and would not rather have JSON.
pub fn names(request: &HttpRequest, media: &str) -> bool {
    let Ok(accept) = Accept::parse(request) else { return false };
    let quality = |media: &str| {
        let named = accept.iter().filter(|range| range.item.essence_str().eq_ignore_ascii_case(media));
        named.map(|range| range.quality).max().unwrap_or(Quality::ZERO)
    };
    quality(media) > Quality::ZERO && quality(media) >= quality("application/json")
}

/// The layer around compression: whoever takes no coding at all, not even none, gets none. RFC 9110, 12.5.3, allows that, and
/// the compressing layer would answer by itself, past every rule of ours.
///
/// # Errors
/// None of its own.
pub async fn encodings(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let refuses = |range: &str| {
        let (coding, rest) = range.split_once(';').unwrap_or((range, ""));
        let quality = rest.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok());
        ["identity", "*"].contains(&coding.trim()) && quality == Some(0.0_f32)
    };
    let asked = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    if asked.is_some_and(|asked| asked.split(',').any(refuses)) {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    next.call(request).await
}

/// The pattern of a route as the document writes it: `{number:.*}` is `{number}`.
fn template(pattern: &str) -> String {
    let plain = |segment: &str| match segment.split_once(':') {
        Some((name, _)) if name.starts_with('{') => format!("{name}}}"),
        _ => segment.to_owned(),
    };
    pattern.split('/').map(plain).collect::<Vec<_>>().join("/")
}

/// Whether the most specific range for a media type allows it; parameters of the range are not looked at.
fn takes(accept: &Accept, media: &str) -> bool {
    let kind = media.split_once('/').map_or(media, |(kind, _)| kind);
    let ranges = accept.iter().filter_map(|range| {
        let specificity = match range.item.essence_str() {
            exact if exact == media => 2,
            "*/*" => 0,
            some if some.strip_suffix("/*") == Some(kind) => 1,
            _ => return None,
        };
        Some((specificity, range.quality))
    });
    ranges.max().is_some_and(|(_, quality)| quality > Quality::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_media_type_is_named_unless_it_is_refused_or_json_is_liked_better() {
        for (header, expected) in [
            ("text/csv", true),
            ("Text/CSV;q=0.5", true),
            ("application/json, text/csv", true),
            ("application/json, text/csv;q=0.1", false),
            ("text/csv;q=0", false),
            ("text/csv;q=0, application/json", false),
            ("text/*", false),
            ("*/*", false),
        ] {
            let request = TestRequest::default().insert_header((header::ACCEPT, header)).to_http_request();
            assert_eq!(names(&request, "text/csv"), expected, "{header}");
        }
    }

    fn taken(header: &str, media: &str) -> bool {
        let request = TestRequest::default().insert_header(("accept", header)).to_http_request();
        takes(&Accept::parse(&request).unwrap(), media)
    }

    #[test]
    fn the_most_specific_range_decides() {
        for (header, is_taken) in [
            ("*/*", true),
            ("application/*", true),
            ("application/json", true),
            ("APPLICATION/JSON; charset=utf-8", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("*/*;q=0, application/json;q=0.1", true),
            ("text/html", false),
            ("application/xml, text/*", false),
            ("application/json;q=0", false),
            ("application/json;q=0, */*", false),
            ("application/*;q=0, */*;q=1", false),
            ("application/json;q=0, application/json;version=1", true),
        ] {
            assert_eq!(taken(header, "application/json"), is_taken, "{header}");
        }
    }

    #[test]
    fn a_pattern_is_written_as_in_the_document() {
        assert_eq!(template("/v1/ledger/tile/{level}/{number:.*}"), "/v1/ledger/tile/{level}/{number}");
        assert_eq!(template("/v1/trials/{id}/findings"), "/v1/trials/{id}/findings");
    }
}
