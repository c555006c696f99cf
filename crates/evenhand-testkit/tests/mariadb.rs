use evenhand_testkit::MariaDb;
use mysql_async::prelude::*;

#[tokio::test]
async fn starts() {
    let t = std::time::Instant::now();
    let db = MariaDb::start().unwrap();
    println!("{:?}", t.elapsed());
    let mut c = mysql_async::Conn::from_url(db.url()).await.unwrap();
    let p: Option<u16> = c.query_first("SELECT @@port").await.unwrap();
    assert_eq!(p, Some(db.port()));
    let t = std::time::Instant::now();
    let _db = MariaDb::start().unwrap();
    println!("{:?}", t.elapsed());
    let t = std::time::Instant::now();
    let v = MariaDb::start_many(4).unwrap();
    println!("{:?}", t.elapsed());
    println!("{}", v[0].log_tail());
    println!(
        "{}",
        std::process::Command::new("ps")
            .args(["-eo", "pid,user,rss,args"])
            .output()
            .map(|o| String::from_utf8_lossy(&o.stdout)
                .lines()
                .filter(|l| l.contains("mariadbd"))
                .collect::<Vec<_>>()
                .join("\n"))
            .unwrap()
    );
}
