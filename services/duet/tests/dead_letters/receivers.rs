use super::{common::PATIENCE, stage::Stage};
use duet_testkit::{answer, until};

/// How many reactions to the post Trending counts.
async fn trends(stage: &Stage, post: &str) -> u64 {
    let url = stage.at("trending", "public", "/v1/trending");
    let list = answer(stage.http.get(url)).await.ok(200);
    let posts = list["items"].as_array().unwrap();
    let found = posts.iter().find(|it| it["post"] == post);
    found.map_or(0, |it| it["count"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_receiver_has_its_own_and_a_redrive_is_of_one() {
    let stage = Stage::open(&["--trending"]).await;
    stage.fail(&["--receiver", "trending"]);
    stage.react("walk", 0..12, "like").await;
    stage.until_dead("trending", 12).await;
    until(PATIENCE, || async {
        let notified = stage.notified("walk").await;
        (notified == 12).then_some(()).ok_or(notified)
    })
    .await;
    let said = stage.letters("list", &[]);
    assert!(said.stdout.contains("notification  none\n"), "{said:?}");
    assert!(said.stdout.contains("trending  12 dead\n"), "{said:?}");

    // Where both have some, one is to be named.
    stage.fail(&[]);
    stage.react("walk", 12..15, "like").await;
    stage.until_dead("trending", 15).await;
    stage.until_dead("notification", 3).await;
    stage.mend();
    for verb in [
        &["redrive"] as &[_],
        &["redrive", "--dry-run"],
        &["discard", "--all", "--yes"],
    ] {
        let said = stage.letters(verb[0], &verb[1..]);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(
            said.stderr.contains("notification and trending have some"),
            "{said:?}"
        );
    }
    let said = stage.letters("redrive", &["--receiver", "trending", "--rate", "100"]);
    let all = "trending: 15 applied, 0 superseded, 0 failed of 15\n";
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(0), all),
        "{said:?}"
    );
    assert_eq!(
        (trends(&stage, "walk").await, stage.notified("walk").await),
        (15, 12)
    );
    // Now only one has some, and needs no name.
    assert_eq!(stage.letters("redrive", &[]).code, Some(0));
    assert_eq!(stage.notified("walk").await, 15);
}
