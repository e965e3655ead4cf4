use super::*;

fn ring(ids: &[&str]) -> KeyRing {
    let keys: Vec<_> = ids
        .iter()
        .map(|id| format!("{id}:{}", URL_SAFE_NO_PAD.encode([id.as_bytes()[0]; 32])))
        .collect();
    KeyRing::parse(&keys.join(",")).unwrap()
}

#[test]
fn any_key_opens_and_the_first_seals() {
    let old = ring(&["a"]);
    let rolled = ring(&["b", "a"]);
    let sealed = old.seal(b"row", b"secret").unwrap();
    assert_eq!(rolled.open(b"row", &sealed).unwrap().as_slice(), b"secret");
    assert_eq!(
        KeyRing::key_id(&rolled.seal(b"row", b"x").unwrap()),
        Some("b")
    );
}

#[test]
fn a_missing_key_is_not_damage() {
    let sealed = ring(&["b"]).seal(b"row", b"secret").unwrap();
    assert_eq!(
        ring(&["a"]).open(b"row", &sealed),
        Err(OpenError::KeyMissing)
    );
}

#[test]
fn other_bounds_and_changed_bytes_stay_closed() {
    let ring = ring(&["a"]);
    let sealed = ring.seal(b"row", b"secret").unwrap();
    assert_eq!(ring.open(b"other row", &sealed), Err(OpenError::Damaged));
    for position in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        assert!(
            ring.open(b"row", &changed).is_err(),
            "byte {position} may be changed"
        );
        assert!(
            ring.open(b"row", &sealed[..position]).is_err(),
            "may be cut at {position}"
        );
    }
}

#[test]
fn a_ring_that_cannot_be_read_says_why_and_shows_nothing() {
    let good = URL_SAFE_NO_PAD.encode([7; 32]);
    for bad in [
        "",
        "x",
        "a:short",
        "a:!!",
        &format!("a b:{good}"),
        &format!("a:{good},a:{good}"),
        &format!("a:{good},"),
    ] {
        let error = KeyRing::parse(bad).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        assert!(!format!("{error:?}").contains(&good));
    }
    assert!(!format!("{:?}", KeyRing::parse(&format!("a:{good}")).unwrap()).contains(&good));
}

#[test]
fn an_id_that_names_another_key_is_found_out() {
    let parse = |text: &str| KeyRing::parse(text).unwrap();
    let key = |number: u8| URL_SAFE_NO_PAD.encode([number; 32]);
    let old = parse(&format!("a:{},b:{}", key(1), key(2)));
    let fits = parse(&format!("c:{},b:{},a:{}", key(3), key(2), key(1)));
    assert_eq!(fits.contradicts(&old), None);
    assert_eq!(fits.key_ids().collect::<Vec<_>>(), ["c", "b", "a"]);
    let wrong = parse(&format!("c:{},b:{}", key(3), key(1)));
    assert_eq!(wrong.contradicts(&old), Some("b"));

    let live = LiveRing::new(old);
    let sealed = live.current().seal(b"x", b"text").unwrap();
    live.replace(fits);
    assert_eq!(live.current().sealing_key_id(), "c");
    assert_eq!(
        live.current().open(b"x", &sealed).unwrap().as_slice(),
        b"text"
    );
}
