"""The times of versions that are gone: few spans, that never leave a version out."""

from hypothesis import given, strategies as st

from ironkeep.credentials.gone.spans import MAX_SPANS, Span, added


@given(st.lists(st.integers(1, 9), min_size=1, max_size=120))
def test_however_many_are_gone_each_is_in_a_span_of_its_time(steps: list[int]) -> None:
    spans: tuple[Span, ...] = ()
    exact: list[Span] = []
    now = 0
    for number, step in enumerate(steps, start=1):
        now += step
        exact.append(Span(number, number, now - step, now))
        spans = added(spans, exact[-1:])
    assert len(spans) <= MAX_SPANS
    for each in exact:
        assert any(
            span.first <= each.first <= span.last
            and span.from_ns <= each.from_ns
            and each.until_ns <= span.until_ns
            for span in spans
        )
    # The newest are known one by one.
    assert list(spans[-min(len(exact), MAX_SPANS // 2) :]) == exact[-MAX_SPANS // 2 :]


def test_many_at_once_are_joined_as_well() -> None:
    spans = added((), (Span(number, number, 0, number) for number in range(1, 1_000)))
    assert len(spans) <= MAX_SPANS
    assert (spans[0].first, spans[-1].last) == (1, 999)
