use super::*;

#[test]
fn http_is_for_the_literal_loopback_names() {
    for secure in [
        "https://a.example/",
        "http://127.0.0.1:80/",
        "http://127.9.9.9/",
        "http://[::1]/",
        "http://localhost/",
    ] {
        assert!(is_secure(&secure.parse().unwrap()), "{secure}");
    }
    for not in [
        "http://a.example/",
        "http://localhost.a.example/",
        "http://10.0.0.1/",
        "ftp://localhost/",
        "http://0.0.0.0/",
    ] {
        assert!(!is_secure(&not.parse().unwrap()), "{not}");
    }
}

#[test]
fn http_dates_are_read() {
    assert_eq!(
        http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
        Some(Timestamp::from_secs(784_111_777))
    );
    assert_eq!(
        http_date("Thu, 01 Jan 1970 00:00:00 GMT"),
        Some(Timestamp::from_secs(0))
    );
    assert_eq!(
        http_date("Tue, 29 Feb 2028 12:00:00 GMT"),
        Some(Timestamp::from_secs(1_835_438_400))
    );
    for bad in [
        "",
        "soon",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        "Sun, 9223372036854775807 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 9223372036854775807:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:9223372036854775807 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
    ] {
        assert_eq!(http_date(bad), None, "{bad}");
    }
}
