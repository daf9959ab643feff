//! What is refused, and how the caller is told.

use crate::app::TestApp;

#[tokio::test]
async fn ids_cursors_limits_paths_and_methods() {
    let app = TestApp::start().await;
    for id in ["..", "%2e%2e", "a%2fb", "%C3%A9", &"x".repeat(129)] {
        let problem = app
            .raw(&format!("/v1/users/{id}/notifications"))
            .await
            .problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["parameter"], "user");
        app.raw(&format!("/v1/users/{id}/notifications/unread"))
            .await
            .problem(400, "invalid-parameter");
    }
    for (query, kind) in [
        ("cursor=garbage", "invalid-cursor"),
        ("limit=0", "invalid-parameter"),
        ("all=1", "invalid-parameter"),
    ] {
        app.get(&format!("/v1/users/bob/notifications?{query}"))
            .await
            .problem(400, kind);
    }
    app.get("/v1/users/bob").await.problem(404, "not-found");
    let url = format!(
        "http://{}/v1/users/bob/notifications",
        app.notification.listen
    );
    let response = app.client.delete(url).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["allow"]),
        (405, &"GET, HEAD".parse().unwrap())
    );
    app.stop().await;
}
