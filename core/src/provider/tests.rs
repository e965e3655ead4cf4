use super::*;

#[test]
fn nothing_is_assumed_of_an_unknown_provider() {
    let profile = ProviderProfile::default();
    assert_eq!(profile.rotation, Rotation::Rotate);
    assert_eq!(profile.reuse, Reuse::Strict);
    assert_eq!(profile.revocation, Revocation::Grant);
    assert!(!profile.refresh_revokes_access);
}

#[test]
fn profiles_are_read_as_the_settings_write_them() {
    let second = Duration::from_secs(1);
    for (text, reuse) in [
        ("strict", Some(Reuse::Strict)),
        ("revokes_family", Some(Reuse::RevokesFamily)),
        ("both_valid", Some(Reuse::BothValid)),
        ("replay:0", Some(Reuse::Replay(Duration::ZERO))),
        ("replay:30", Some(Reuse::Replay(30 * second))),
        ("replay", None),
        ("replay:", None),
        ("replay:-1", None),
        ("replay:99999999999999999999", None),
        ("Strict", None),
        ("", None),
    ] {
        assert_eq!(Reuse::parse(text), reuse, "{text}");
    }
    assert_eq!(Rotation::parse("never"), Some(Rotation::Never));
    assert_eq!(Rotation::parse("rotate"), Some(Rotation::Rotate));
    assert_eq!(Rotation::parse("sometimes"), None);
}
