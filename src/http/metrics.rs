//! Operational figures in the Prometheus text format; nothing about any record.
use actix_web::{
    HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web,
};
use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder, core::Collector};
use std::time::Instant;

/// The figures of one process.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl Metrics {
    /// Figures that start at zero, and those that others keep.
    ///
    /// # Errors
    /// When two figures have one name, which is a fault of this function.
    pub fn new(others: Vec<Box<dyn Collector>>) -> prometheus::Result<Self> {
        let registry = Registry::new();
        others.into_iter().try_for_each(|figure| registry.register(figure))?;
        let names = &["method", "route", "status"];
        let requests = IntCounterVec::new(Opts::new("benchside_http_requests_total", "Requests answered"), names)?;
        let options = HistogramOpts::new("benchside_http_request_duration_seconds", "Time to answer, in seconds");
        let seconds = HistogramVec::new(options, &["method", "route"])?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { registry, requests, seconds })
    }

    /// Everything, in the text exposition format.
    pub fn answer(&self) -> HttpResponse {
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text),
            Err(_) => HttpResponse::InternalServerError().finish(),
        }
    }
}

/// Counts each request under its route's pattern, never its path.
///
/// # Errors
/// None of its own.
pub async fn layer(
    metrics: web::Data<Metrics>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let begun = Instant::now();
    let method = match request.method().as_str() {
        known @ ("GET" | "POST" | "PATCH" | "PUT" | "DELETE" | "HEAD" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(), // anybody may invent methods; figures must not grow with them
    };
    let response = next.call(request).await?;
    let route = response.request().match_pattern().unwrap_or_else(|| "unmatched".into());
    metrics.requests.with_label_values(&[&*method, &*route, response.status().as_str()]).inc();
    metrics.seconds.with_label_values(&[&*method, &*route]).observe(begun.elapsed().as_secs_f64());
    Ok(response)
}
