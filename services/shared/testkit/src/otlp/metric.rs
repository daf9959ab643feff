//! Metrics.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{NumberDataPoint, metric::Data, number_data_point::Value as Number},
};
use serde_json::Value;

use super::value::attributes;

/// One point of a metric as it was exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The metric's name.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// What is said of the point.
    pub attributes: BTreeMap<String, Value>,
    /// A counter's or a gauge's value; a histogram's sum.
    pub value: f64,
    /// How many values a histogram has; none of others.
    pub count: Option<u64>,
    /// What is said of the process that made it.
    pub resource: BTreeMap<String, Value>,
}

pub(super) fn all(request: ExportMetricsServiceRequest) -> impl Iterator<Item = Point> {
    request.resource_metrics.into_iter().flat_map(|resource| {
        let of = attributes(resource.resource.unwrap_or_default().attributes);
        let metrics = resource.scope_metrics.into_iter();
        metrics
            .flat_map(|scope| scope.metrics)
            .flat_map(move |metric| {
                let point = Point {
                    metric: metric.name,
                    unit: metric.unit,
                    attributes: BTreeMap::new(),
                    value: 0.0,
                    count: None,
                    resource: of.clone(),
                };
                read(&point, metric.data)
            })
    })
}

fn read(of: &Point, data: Option<Data>) -> Vec<Point> {
    let number = |point: NumberDataPoint| Point {
        attributes: attributes(point.attributes),
        value: match point.value {
            Some(Number::AsDouble(value)) => value,
            Some(Number::AsInt(value)) => value as f64,
            None => f64::NAN,
        },
        ..of.clone()
    };
    match data {
        Some(Data::Gauge(gauge)) => gauge.data_points.into_iter().map(number).collect(),
        Some(Data::Sum(sum)) => sum.data_points.into_iter().map(number).collect(),
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.into_iter();
            points
                .map(|point| Point {
                    attributes: attributes(point.attributes),
                    value: point.sum.unwrap_or(f64::NAN),
                    count: Some(point.count),
                    ..of.clone()
                })
                .collect()
        }
        _ => Vec::new(),
    }
}
