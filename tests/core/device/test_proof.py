"""What a device signs: fields, which cannot be shifted into one another."""

from hypothesis import given, strategies as st

from ironkeep.core.device.proof import CERTIFICATE, ENROL, certificate_message, enrol_message

TEXT = st.text(max_size=6)


def test_a_nonce_does_not_begin_in_the_id() -> None:
    assert enrol_message("ab", "c") != enrol_message("a", "bc")
    assert certificate_message("a\0b", "c", "", "") != certificate_message("a", "b\0c", "", "")


@given(st.tuples(TEXT, TEXT), st.tuples(TEXT, TEXT))
def test_two_enrolments_are_never_one_message(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (enrol_message(*one) == enrol_message(*other)) is (one == other)


@given(st.tuples(TEXT, TEXT, TEXT, TEXT), st.tuples(TEXT, TEXT, TEXT, TEXT))
def test_two_requests_for_a_certificate_are_never_one_message(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    assert (certificate_message(*one) == certificate_message(*other)) is (one == other)


@given(TEXT, TEXT)
def test_what_is_signed_for_one_purpose_is_nothing_for_the_other(device: str, nonce: str) -> None:
    assert enrol_message(device, nonce).startswith(ENROL)
    assert certificate_message(device, nonce, "", "").startswith(CERTIFICATE)
    assert not CERTIFICATE.startswith(ENROL)
