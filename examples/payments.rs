//! The example of `mysql_async`'s own documentation, over several peers.
//!
//! ```text
//! cargo run --example payments
//! cargo run --example payments -- 'mysql://app:secret@10.0.0.1,10.0.0.2:3307/shop'
//! ```
//!
//! What differs from the original is the import and the constructor; both are marked. Without a URL
//! of yours it runs on two doubles in this process, which speak the protocol but have no tables:
//! they are told beforehand what the `SELECT` gives. The first of them is down.

use std::process::ExitCode;

use evenhand_testkit::FakeMySql;

// Was: use mysql_async::{Result, params, prelude::*};
use evenhand_mysql::mysql_async::{Result, params, prelude::*};

#[derive(Debug, PartialEq, Eq, Clone)]
struct Payment {
    customer_id: i32,
    amount: i32,
    account_name: Option<String>,
}

async fn example(database_url: &str) -> Result<()> {
    let payments = payments();

    // Was: let pool = mysql_async::Pool::new(database_url);
    let pool = evenhand_mysql::Pool::from_url(database_url)?;
    let mut conn = pool.get_conn().await?;

    // Create a temporary table
    r"CREATE TEMPORARY TABLE payment (
        customer_id int not null,
        amount int not null,
        account_name text
    )"
    .ignore(&mut conn)
    .await?;

    // Save payments
    r"INSERT INTO payment (customer_id, amount, account_name)
      VALUES (:customer_id, :amount, :account_name)"
        .with(payments.iter().map(|payment| {
            params! {
                "customer_id" => payment.customer_id,
                "amount" => payment.amount,
                "account_name" => payment.account_name.as_ref(),
            }
        }))
        .batch(&mut conn)
        .await?;

    // Load payments from the database. Type inference will work here.
    let loaded_payments = "SELECT customer_id, amount, account_name FROM payment"
        .with(())
        .map(&mut conn, |(customer_id, amount, account_name)| Payment {
            customer_id,
            amount,
            account_name,
        })
        .await?;

    // Dropped connection will go to the pool
    drop(conn);

    // The Pool must be disconnected explicitly because
    // it's an asynchronous operation.
    pool.disconnect().await?;

    assert_eq!(loaded_payments, payments);

    // the async fn returns Result, so
    Ok(())
}

fn payments() -> Vec<Payment> {
    vec![
        Payment {
            customer_id: 1,
            amount: 2,
            account_name: None,
        },
        Payment {
            customer_id: 3,
            amount: 4,
            account_name: Some("foo".into()),
        },
        Payment {
            customer_id: 5,
            amount: 6,
            account_name: None,
        },
        Payment {
            customer_id: 7,
            amount: 8,
            account_name: None,
        },
        Payment {
            customer_id: 9,
            amount: 10,
            account_name: Some("bar".into()),
        },
    ]
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1) {
        Some(url) => example(&url).await,
        None => on_doubles().await,
    };
    match outcome {
        Ok(()) => {
            println!("five payments written and read");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn on_doubles() -> Result<()> {
    let (down, up) = (FakeMySql::start().await?, FakeMySql::start().await?);
    down.kill();
    let columns = ["customer_id", "amount", "account_name"];
    let rows = payments().into_iter().map(|payment| {
        let name = payment.account_name.into();
        [payment.customer_id.into(), payment.amount.into(), name]
    });
    let rows: Vec<[evenhand_testkit::Value; 3]> = rows.collect();
    up.answer(
        "SELECT customer_id, amount, account_name FROM payment",
        columns,
        rows,
    );
    example(&format!("mysql://root@{},{}/test", down.addr(), up.addr())).await
}
