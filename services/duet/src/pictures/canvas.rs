//! Lines, bars and ranges in the two modes' colours.

use super::axis::Axis;
use duet_crd::Mode;
use plotters::{
    chart::ChartContext,
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// In pixels of the picture's own: it scales to the page.
const WIDTH: u32 = 600;
const HEIGHT: u32 = 350;
/// Of a row of bars or ranges.
const ROW: u32 = 46;
const MARGIN: u32 = 12;
/// For the title of the vertical axis, which lies above it: nobody reads upwards with ease.
const ABOVE: u32 = 38;
/// For the numbers of the vertical axis, and for the names of rows.
const NUMBERS: u32 = 62;
const NAMES: u32 = 178;
/// For the title and numbers of the horizontal axis.
const BELOW: u32 = 52;
/// For what is written at a line's end.
const ENDS: u32 = 62;
/// For what is written at a bar's end.
const BAR_ENDS: u32 = 104;
/// Two words at lines' ends are at least so far apart.
const APART: i32 = 20;
const FONT: &str = "sans-serif";
const SIZE: i32 = 17;

// Blue and vermilion: told apart whatever eyes one has (after Okabe and Ito), and dark enough for text on white.
// `pictures.css` gives each of these four another value in the dark.
const SYNC: RGBColor = RGBColor(0x00, 0x62, 0xA3);
const ASYNC: RGBColor = RGBColor(0xBF, 0x4A, 0x00);
const INK: RGBColor = RGBColor(0x3D, 0x44, 0x4D);
/// [`INK`] as SVG has it.
pub(super) const INK_HEX: &str = "#3D444D";
const FAINT: RGBColor = RGBColor(0xD8, 0xDE, 0xE4);

fn colour(mode: Mode) -> RGBColor {
    match mode {
        Mode::Sync => SYNC,
        Mode::Async => ASYNC,
    }
}

fn font(colour: RGBColor) -> TextStyle<'static> {
    (FONT, SIZE).into_font().color(&colour)
}

/// A line of one mode.
#[derive(Debug)]
pub(crate) struct Line {
    mode: Mode,
    points: Vec<(f64, f64)>,
    marked: bool,
}

impl Line {
    pub(crate) fn of(mode: Mode, points: Vec<(f64, f64)>) -> Self {
        Self {
            mode,
            points,
            marked: true,
        }
    }

    /// Without a mark at each point: there are too many.
    pub(crate) fn unmarked(self) -> Self {
        Self {
            marked: false,
            ..self
        }
    }
}

/// A bar of one mode, of at most 100.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) mode: Mode,
    pub(crate) percent: f64,
    pub(crate) shown: String,
}

/// From a median to what nearly all took.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) shown: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws on a canvas so high; none if plotters can't.
fn drawn<E>(
    height: u32,
    draw: impl FnOnce(&Area<'_>) -> Result<(), DrawingAreaErrorKind<E>>,
) -> Option<String>
where
    E: std::error::Error + Send + Sync,
{
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&area).ok()?;
        area.present().ok()?;
    }
    Some(svg)
}

/// A line for each mode, and perhaps a vertical mark at one place of the horizontal axis.
pub(crate) fn lines(
    x: &Axis,
    y: &Axis,
    lines: &[Line],
    mark: Option<(f64, String)>,
) -> Option<String> {
    drawn(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .margin_top(ABOVE)
            .margin_right(ENDS)
            .x_label_area_size(BELOW)
            .y_label_area_size(NUMBERS)
            .build_cartesian_2d(x.clone(), y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(FAINT)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT)
            .x_desc(x.title)
            .label_style(font(INK))
            .axis_desc_style(font(INK))
            .x_label_formatter(&|it| Axis::written(*it))
            .y_label_formatter(&|it| Axis::written(*it))
            .draw()?;
        area.draw(&Text::new(
            y.title,
            (MARGIN as i32, MARGIN as i32 - 4),
            font(INK),
        ))?;
        if let Some((at, text)) = mark {
            let (_, heights) = chart.plotting_area().get_pixel_range();
            let (place, _) = chart.backend_coord(&(at, 0.0));
            let dash = |top: i32| {
                PathElement::new([(place, top), (place, (top + 5).min(heights.end))], INK)
            };
            (heights.start..heights.end)
                .step_by(10)
                .try_for_each(|top| area.draw(&dash(top)))?;
            area.draw(&Text::new(text, (place + 8, heights.start + 4), font(INK)))?;
        }
        let mut ends = Vec::new();
        for Line {
            mode,
            points,
            marked,
        } in lines
        {
            let colour = colour(*mode);
            chart.draw_series(LineSeries::new(
                points.iter().copied(),
                colour.stroke_width(3),
            ))?;
            if *marked {
                marks(&mut chart, *mode, points)?;
            }
            ends.extend(points.last().map(|last| (*mode, chart.backend_coord(last))));
        }
        for (mode, (left, top)) in apart(ends) {
            let style = font(colour(mode)).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(format!("{mode:?}"), (left + 10, top), style))?;
        }
        Ok(())
    })
}

/// A disc for Sync, a square for Async: colour is not all that tells them apart.
fn marks<'a>(
    chart: &mut ChartContext<'a, SVGBackend<'_>, Cartesian2d<Axis, Axis>>,
    mode: Mode,
    points: &[(f64, f64)],
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>> {
    let style = colour(mode).filled();
    let points = points.iter().copied();
    match mode {
        Mode::Sync => chart.draw_series(points.map(|at| Circle::new(at, 5, style)))?,
        Mode::Async => chart.draw_series(
            points.map(|at| EmptyElement::at(at) + Rectangle::new([(-5, -5), (5, 5)], style)),
        )?,
    };
    Ok(())
}

/// Words at lines' ends, pushed apart where they would lie on each other.
fn apart(mut ends: Vec<(Mode, (i32, i32))>) -> Vec<(Mode, (i32, i32))> {
    ends.sort_by_key(|(_, (_, top))| *top);
    for nth in 1..ends.len() {
        let missing = ends[nth - 1].1.1 + APART - ends[nth].1.1;
        let beside = (ends[nth - 1].1.0 - ends[nth].1.0).abs() < ENDS as i32;
        if missing > 0 && beside {
            ends[nth - 1].1.1 -= missing / 2;
            ends[nth].1.1 += missing - missing / 2;
        }
    }
    ends
}

/// The frame of rows: names on the left, the axis below.
type Rows<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, RangedCoordf64>>;

fn rows<'a, 'b>(
    area: &'a Area<'b>,
    axis: &Axis,
    names: &[&str],
    ends: u32,
) -> Result<Rows<'a, 'b>, DrawingAreaErrorKind<<SVGBackend<'b> as DrawingBackend>::ErrorType>> {
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .margin_right(ends)
        .x_label_area_size(BELOW)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(axis.clone(), names.len() as f64..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .axis_style(FAINT)
        .x_desc(axis.title)
        .y_labels(0)
        .label_style(font(INK))
        .axis_desc_style(font(INK))
        .x_label_formatter(&|it| Axis::written(*it))
        .draw()?;
    let left = axis_start(&chart);
    for (nth, name) in names.iter().enumerate() {
        let (_, top) = chart.backend_coord(&(0.0, nth as f64 + 0.5));
        let style = font(INK).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new((*name).to_owned(), (left - 12, top), style))?;
    }
    Ok(chart)
}

fn axis_start(chart: &Rows<'_, '_>) -> i32 {
    chart.plotting_area().get_pixel_range().0.start
}

fn height(rows: usize) -> u32 {
    rows as u32 * ROW + BELOW + 2 * MARGIN
}

/// A group of bars for each row, with its figure at its end.
pub(crate) fn bars(title: &'static str, groups: &[(String, Vec<Bar>)]) -> Option<String> {
    let names: Vec<_> = groups.iter().map(|(name, _)| name.as_str()).collect();
    drawn(height(groups.len()), |area| {
        let chart = rows(area, &Axis::up_to(title, 100.0), &names, BAR_ENDS)?;
        for (nth, (_, bars)) in groups.iter().enumerate() {
            for Bar {
                mode,
                percent,
                shown,
            } in bars
            {
                let offset = if *mode == Mode::Sync { 0.12 } else { 0.51 };
                let (left, top) = chart.backend_coord(&(0.0, nth as f64 + offset));
                let (right, bottom) = chart.backend_coord(&(*percent, nth as f64 + offset + 0.35));
                // Nothing is drawn of none: the figure says it.
                area.draw(&Rectangle::new(
                    [(left, top), (right, bottom)],
                    colour(*mode).filled(),
                ))?;
                let style = font(colour(*mode)).pos(Pos::new(HPos::Left, VPos::Center));
                let text = format!("{mode:?} {shown}");
                area.draw(&Text::new(text, (right + 8, (top + bottom) / 2), style))?;
            }
        }
        Ok(())
    })
}

/// A range for each row: a disc at the median, a line to what nearly all took.
pub(crate) fn ranges(title: &'static str, ranges: &[Range]) -> Option<String> {
    let names: Vec<_> = ranges.iter().map(|it| it.name.as_str()).collect();
    let least = ranges
        .iter()
        .map(|it| it.from)
        .fold(f64::INFINITY, f64::min);
    let most = ranges.iter().map(|it| it.to).fold(0.0, f64::max);
    // Room for the figures beside the last range.
    let axis = Axis::log(title, least, most * 4.0);
    drawn(height(ranges.len()), |area| {
        let chart = rows(area, &axis, &names, ENDS)?;
        for (
            nth,
            Range {
                mode,
                from,
                to,
                shown,
                ..
            },
        ) in ranges.iter().enumerate()
        {
            let colour = colour(*mode);
            let [from, to] = [from, to].map(|it| chart.backend_coord(&(*it, nth as f64 + 0.5)));
            area.draw(&PathElement::new([from, to], colour.stroke_width(4)))?;
            area.draw(&PathElement::new(
                [(to.0, to.1 - 7), (to.0, to.1 + 7)],
                colour.stroke_width(3),
            ))?;
            area.draw(&Circle::new(from, 7, colour.filled()))?;
            let style = font(colour).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(shown.clone(), (to.0 + 12, to.1), style))?;
        }
        Ok(())
    })
}
