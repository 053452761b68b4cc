import pytest

from orchestrator.amounts import size, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.01234, "0.0123 s"), (9.96, "9.96 s"), (59.96, "1 min 00 s"), (3599.6, "1 h 00 min"), (187_200, "2 d 4 h")],
)
def test_durations_are_told_in_two_units(seconds: float, text: str) -> None:
    """A duration is told in the two largest units that it has, rounded, never as 60 of the smaller."""
    assert span(seconds) == text


def test_amounts_have_three_digits() -> None:
    """Bytes are told by powers of 1,000, with three digits at most."""
    assert [size(number) for number in (999, 999.6, 1.193e9, 2e15)] == ["999 B", "1 kB", "1.19 GB", "2e+03 TB"]
