//! Rows of the user's own.

use evenhand_mysql::evenhand::{State, Verdict};
use evenhand_mysql::mysql_async::{Error, prelude::Queryable};
use evenhand_mysql::{Case, Classifier, Phase};
use evenhand_testkit::Fault;

use crate::common::setup::{checkout_code, conn_to, still};
use crate::common::{err, fakes, pool, states, until, up};

#[tokio::test]
async fn added_rows_apply_to_logins_and_statements() {
    let fakes: [_; 2] = fakes().await;
    let full_disk = Verdict::down().because("disk full");
    let classifier = Classifier::default()
        .on(Case::code(1021).in_phase(Phase::Query), full_disk)
        .custom(|phase, error| match error {
            Error::Server(error) if error.code == 1045 && phase == Phase::Connect => {
                Some(Verdict::neutral().into())
            }
            _ => None,
        });
    let pool = pool(&fakes, still().classifier(classifier));
    fakes[0].answer_err("INSERT", err(1021, "Disk full"));
    let mut conn = conn_to(&pool, "a").await;
    conn.query_drop("INSERT").await.unwrap_err();
    assert_eq!(states(&pool), [State::Ejected, State::Up]);
    until("it is back", || up(&pool) == 2).await;

    fakes[0].set_fault(Fault::ErrAtLogin(err(1045, "Access denied")));
    fakes[1].set_fault(Fault::ErrAtLogin(err(1045, "Access denied")));
    let mut held = Vec::new();
    let error = loop {
        match pool.get_conn().await {
            Ok(conn) => held.push(conn),
            Err(error) => break error,
        }
    };
    assert_eq!(checkout_code(&error), Some(1045));
    assert!(
        !(error.to_string().contains("a: ") && error.to_string().contains("b: ")),
        "one was asked: {error}"
    );
    assert_eq!(up(&pool), 2);
}
