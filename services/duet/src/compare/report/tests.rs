//! Reports of the two runs as they are committed (`DUET_BLESS=1` writes them anew), and that they are what they say.

use super::*;
use crate::compare::{fixture, measured::Figure};
use scraper::{Html, Selector};
use std::path::PathBuf;

/// Compares with the committed text, or writes it.
fn snapshot(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/compare/testdata")
        .join(name);
    if std::env::var_os("DUET_BLESS").is_some() {
        std::fs::write(&path, text).expect("the snapshot is written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{name} is not as committed; look at the difference after DUET_BLESS=1"
    );
}

/// The page is too long to be reviewed as text: it is looked at in a browser, from where this puts it.
#[test]
#[ignore = "writes the pages for a browser, into the directory that DUET_PAGES names"]
fn pages_to_look_at() {
    let dir = PathBuf::from(std::env::var_os("DUET_PAGES").expect("DUET_PAGES"));
    for (name, report) in fixture::reports() {
        report
            .write_to(&dir.join(name))
            .expect("the report is written");
    }
}

fn parsed(html: &str) -> Html {
    let page = Html::parse_document(html);
    assert!(page.errors.is_empty(), "{:?}", page.errors);
    page
}

fn parsed_part(text: &str) -> Html {
    let part = Html::parse_fragment(text);
    assert!(part.errors.is_empty(), "{:?}", part.errors);
    part
}

fn select<'a>(page: &'a Html, selector: &str) -> Vec<scraper::ElementRef<'a>> {
    let selector = Selector::parse(selector).expect("a selector");
    page.select(&selector).collect()
}

#[test]
fn the_text_is_as_committed_on_a_wide_terminal_and_on_a_narrow_one() {
    for (name, report) in fixture::reports() {
        for width in [80, 140] {
            snapshot(
                &format!("{name}.{width}.txt"),
                &report.text(Style::plain(width)),
            );
        }
    }
}

#[test]
fn no_line_of_the_tables_is_wider_than_the_terminal() {
    for (name, report) in fixture::reports() {
        for width in [72, 100, 160] {
            let text = report.text(Style::plain(width));
            let tables = text.split("Recommended:").next().unwrap_or_default();
            let rows = tables.lines().filter(|it| it.starts_with([' ', '─', '═']));
            let widest = rows.map(|it| it.chars().count()).max();
            assert!(
                widest <= Some(width.into()),
                "{name}: {widest:?} on {width}"
            );
        }
    }
}

#[test]
fn the_markdown_is_as_committed() {
    for (name, report) in fixture::reports() {
        snapshot(&format!("{name}.md"), &report.markdown().unwrap());
    }
}

#[test]
fn the_page_is_valid_and_needs_nothing_from_elsewhere() {
    for (name, report) in fixture::reports() {
        let html = report.html().unwrap();
        let page = parsed(&html);
        for outside in [
            "script",
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "[src]",
            "style[src]",
            "[onclick]",
        ] {
            assert!(select(&page, outside).is_empty(), "{name} has {outside}");
        }
        assert!(
            !html.contains("url(") && !html.contains("@import"),
            "{name}"
        );
        for link in select(&page, "a[href]") {
            let target = link.value().attr("href").unwrap_or_default();
            let id = target
                .strip_prefix('#')
                .unwrap_or_else(|| panic!("{name} leads to {target}"));
            assert_eq!(
                select(&page, &format!("[id={id}]")).len(),
                1,
                "{name}: #{id}"
            );
        }
        let mut ids: Vec<_> = select(&page, "[id]")
            .iter()
            .filter_map(|it| it.value().attr("id"))
            .collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}: an id stands twice");
    }
}

#[test]
fn the_page_has_real_tables_and_pictures_with_words_beside_them() {
    for (name, report) in fixture::reports() {
        let page = parsed(&report.html().unwrap());
        assert_eq!(
            select(&page, ".claims tbody").len(),
            claims::SAID.len(),
            "{name}"
        );
        assert_eq!(
            select(&page, ".claims tbody th[scope=row]").len(),
            claims::SAID.len(),
            "{name}"
        );
        assert_eq!(select(&page, ".criteria tbody tr").len(), 7, "{name}");
        let pictures = select(&page, "figure svg");
        assert!(!pictures.is_empty(), "{name}");
        for svg in &pictures {
            assert_eq!(svg.value().attr("role"), Some("img"));
            let named = svg.value().attr("aria-labelledby").expect("a name");
            for id in named.split(' ') {
                let words = select(&page, &format!("[id={id}]"));
                assert!(
                    words[0].text().collect::<String>().len() > 20,
                    "{name}: {id}"
                );
            }
        }
    }
}

#[test]
fn a_picture_stands_alone_as_a_file_beside_the_markdown() {
    for (name, report) in fixture::reports() {
        let markdown = report.markdown().unwrap();
        for picture in pictures::all(&report.measured) {
            let file = picture.alone().unwrap();
            let svg = parsed_part(&file);
            let title = select(&svg, "svg > text")
                .remove(0)
                .text()
                .collect::<String>();
            assert_eq!(title, picture.title, "{name}");
            assert!(
                file.starts_with("<svg ") && file.ends_with("</svg>"),
                "{name}"
            );
            assert!(
                markdown.contains(&format!("]({})", picture.file())),
                "{name}"
            );
        }
    }
}

#[test]
fn what_a_run_says_can_not_become_part_of_the_page() {
    let mut measured = fixture::laptop();
    let evil = "<script>alert(1)</script> | `x` & \"y\"";
    measured.terms.command = evil.to_owned();
    measured.scenarios.hung.done = evil.to_owned();
    measured.scenarios.slow.sync = crate::compare::measured::Figure::missing(evil);
    measured.notes = vec![evil.to_owned()];
    let report = Report::of(measured, Answers::default()).unwrap();
    assert!(select(&parsed(&report.html().unwrap()), "script").is_empty());
    let markdown = report.markdown().unwrap();
    assert!(!markdown.contains("<script>"));
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    for line in markdown.lines().filter(|it| it.starts_with("| ")) {
        assert!([4, 5, 7].contains(&columns(line)), "{line}");
    }
}

#[test]
fn what_was_lost_is_summed_over_every_load() {
    let mut run = fixture::laptop();
    let scenarios = &mut run.scenarios;
    let (Figure::Measured(slow), Figure::Measured(joined)) = (
        &mut scenarios.slow.sync,
        &mut scenarios.second_receiver.sync,
    ) else {
        panic!("both were measured");
    };
    let (Figure::Measured(fast), Figure::Measured(slower)) =
        (&mut joined.with_fast, &mut joined.with_slow)
    else {
        panic!("with both");
    };
    let steps = slow.steps.iter_mut().map(|it| &mut it.traffic);
    let loads = steps.chain([&mut joined.alone, fast, slower]);
    let number = loads.map(|it| it.lost = 1.into()).count();
    let rows = summary::rows(&run);
    let lost = rows.iter().find(|it| it.what.contains("lost"));
    let [sync, r#async] = &lost.expect("a row").figures;
    assert_eq!((sync, r#async), (&number.to_string(), &"0".to_owned()));
}

#[test]
fn a_report_that_was_written_is_read_and_made_again() {
    for (name, report) in fixture::reports() {
        let dir = tempfile::tempdir().unwrap();
        let written = report.write_to(&dir.path().join("out")).unwrap();
        assert!(written.len() > 4, "{name}: the pictures are files too");
        let again = Report::read(&dir.path().join("out/report.json"), Answers::default()).unwrap();
        assert_eq!(again.measured, report.measured, "{name}");
        assert_eq!(again.html().unwrap(), report.html().unwrap(), "{name}");
        let channel = std::fs::read_to_string(dir.path().join("out/channel.yaml")).unwrap();
        duet_crd::Channel::from_yaml(&channel).unwrap();
    }
}

#[test]
fn what_is_answered_later_goes_before_what_was_answered_then() {
    let dir = tempfile::tempdir().unwrap();
    let then = Answers {
        needs_answer: Some(true),
        may_retry: Some(true),
        ..Answers::default()
    };
    let report = Report::of(fixture::laptop(), then).unwrap();
    report.write_to(dir.path()).unwrap();
    let now = Answers {
        needs_answer: Some(false),
        ..Answers::default()
    };
    let again = Report::read(&dir.path().join("report.json"), now).unwrap();
    assert_eq!(
        (again.answers.needs_answer, again.answers.may_retry),
        (Some(false), Some(true))
    );
}

#[test]
fn a_file_that_is_no_report_or_one_of_another_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    for (text, told) in [
        ("", "EOF"),
        ("{}", "measured"),
        (r#"{"measured": {"version": 2}}"#, "its version is 2"),
        (r#"{"measured": {"version": 1}}"#, "terms"),
    ] {
        std::fs::write(&path, text).unwrap();
        let refused = Report::read(&path, Answers::default())
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(told) && refused.contains("report.json"),
            "{refused}"
        );
    }
    assert!(Report::read(&dir.path().join("none.json"), Answers::default()).is_err());
}
