import pytest

from orchestrator.record.outbox import Outbox, refused


def waiting(outbox: Outbox) -> list[int]:
    return [entry["n"] for entry, _ in outbox.waiting()]


def reopen(outbox: Outbox) -> Outbox:
    outbox.close()
    return Outbox(outbox.folder)


def test_entries_wait_in_order_until_they_are_delivered(tmp_path):
    """Entries come out as they went in, and only those that were not delivered come out of the next process."""
    outbox = Outbox(tmp_path)
    for n in range(5):
        outbox.append({"n": n})
    marks = [mark for _, mark in outbox.waiting()]
    outbox.advance(marks[1], 2)
    assert (waiting(outbox), len(outbox)) == ([2, 3, 4], 3)
    outbox = reopen(outbox)
    assert (waiting(outbox), len(outbox)) == ([2, 3, 4], 3)
    assert [entry["n"] for entry in outbox.delivered()] == [0, 1]


def test_a_torn_line_is_dropped(tmp_path):
    """What a kill cut off in the middle is dropped, and the entry after it is whole."""
    outbox = Outbox(tmp_path)
    outbox.append({"n": 0})
    with (tmp_path / "entries.jsonl").open("a") as file:
        file.write('{"n": 1, "text": "cut o')
    outbox = reopen(outbox)
    outbox.append({"n": 2})
    assert waiting(outbox) == [0, 2]


def test_a_delivered_outbox_is_emptied_when_it_is_opened(tmp_path):
    """Once all is delivered the next opening frees the disk, also where a kill came between its two steps."""
    outbox = Outbox(tmp_path)
    outbox.append({"n": 0})
    ((_, mark),) = outbox.waiting()
    outbox.advance(mark, 1)
    outbox = reopen(outbox)
    assert (tmp_path / "entries.jsonl").stat().st_size == 0

    (tmp_path / "delivered").write_text(str(mark))  # as if the kill had come before this file was removed
    outbox = reopen(outbox)
    outbox.append({"n": 1})
    assert waiting(outbox) == [1]


def test_a_kept_file_outlives_its_source(tmp_path):
    """A file that is kept stays as it was, under its own name, when the caller replaces or removes it."""
    source = tmp_path / "weights.bin"
    source.write_bytes(b"first")
    outbox = Outbox(tmp_path / "outbox")
    kept = outbox.keep(source)
    source.unlink()
    source.write_bytes(b"second")
    assert (kept.name, kept.read_bytes()) == ("weights.bin", b"first")
    outbox.drop(kept)
    assert not kept.exists()
    with pytest.raises(FileNotFoundError):
        outbox.keep(tmp_path / "absent.bin")


def test_one_process_uses_an_outbox(tmp_path):
    """A second user of the same folder is refused while the first lives."""
    outbox = Outbox(tmp_path)
    with pytest.raises(RuntimeError, match="is in use"):
        Outbox(tmp_path)
    reopen(outbox)


def test_refused_entries_can_be_read(tmp_path):
    """An entry put aside is read back with its reason."""
    assert refused(tmp_path) == []
    Outbox(tmp_path).refuse({"n": 7}, "bad number")
    assert refused(tmp_path) == [{"n": 7, "reason": "bad number"}]
