from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

from orchestrator.report import claims, paper
from orchestrator.report.paper import Aspect, Paper, PaperTable, Printed
from trackers.benchmarks import otb

AT_20 = Aspect("average_overlap", 20)
TEXTS = Path(__file__).parents[4] / "shared" / "papers"
STUDIES = {
    "rectracker": "rectracker-2015.txt",
    "goturn": "goturn-2016.txt",
    "rolo": "rolo-2016.txt",
    "pixelwise": "pixelwise-2017.txt",
    "rman": "rman-2020.txt",
}
FORMULAS = ((r"\$\s+([.,)])", r"$\1"), (r"\$|\\mathcal\{(\w)\}", r"\1"))  # RMAN's text has its letters in TeX


@pytest.fixture(scope="module")
def rectracker() -> Paper:
    return paper.load("rectracker")


@pytest.fixture(scope="module")
def goturn() -> Paper:
    return paper.load("goturn")


@pytest.fixture(scope="module")
def rolo() -> Paper:
    return paper.load("rolo")


@pytest.fixture(scope="module")
def pixelwise() -> Paper:
    return paper.load("pixelwise")


@pytest.fixture(scope="module")
def rman() -> Paper:
    return paper.load("rman")


def text_of(study: str) -> str:
    path = TEXTS / STUDIES[study]
    if not path.exists():
        pytest.skip(f"{path} is absent: the paper's text is not part of the project")
    text = unicodedata.normalize("NFKC", path.read_text(encoding="utf-8"))  # its ligatures become letters
    for tex, plain in FORMULAS if study == "rman" else ():
        text = re.sub(tex, plain, text)
    return text.replace("out-ofplane", "out-of-plane")  # a hyphen lost where its line ended


def test_every_cell_is_as_printed(rectracker: Paper) -> None:
    """Each table has the rows, columns and numbers of the paper's text, in its order."""
    text = text_of("rectracker")
    for table in rectracker.tables:
        block = text[: text.index(f"Table {table.number}: Average")]
        block = block[block.rindex("Test Seq. Length") :]
        printed = [Printed(float(mean), float(std)) for mean, std in re.findall(r"(0\.\d\d)\s*±\s*(0\.\d\d)", block)]
        # The text runs down each column: tracker by tracker, length by length.
        ours = [
            table.cells[tracker][benchmark][i]
            for tracker in table.trackers
            for i in range(len(table.columns))
            for benchmark in table.benchmarks
        ]
        assert printed == ours
        assert tuple(re.findall(r"MNIST-\w+-\w+", block)) == table.benchmarks


def test_errors_are_as_printed(goturn: Paper) -> None:
    """GOTURN's Table 1 has the variants of the paper's, row by row, each with its errors as they are called there."""
    text = text_of("goturn")
    [table] = goturn.tables
    text = re.sub("</?b>", "", text)
    lines = [[part.strip() for part in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    header, _, *rows = lines
    assert [f"{aspect.measure}s".replace("_", " ").capitalize() for aspect in table.columns] == header[1:]
    assert [[Printed(float(cell)) for cell in row[1:]] for row in rows] == [
        list(table.cells[tracker]["VOT2014"]) for tracker in table.trackers
    ]
    assert [row[0] for row in rows] == [
        "L2 loss",
        "No motion smoothness",
        "Image training only",
        "Video training only",
        "Full method (Ours)",
    ]


def test_overlaps_by_sequence_are_as_printed(rolo: Paper) -> None:
    """ROLO's Table 1 has the 30 rows of the paper's, in its order, each with the twelve numbers that stand there."""
    [table] = rolo.sequence_tables
    lines = [line.split("\t") for line in text_of("rolo").splitlines() if line.count("\t") == 12]
    rows = [(name, [float(cell) for cell in cells]) for name, *cells in lines if cells[0][:2] == "0."]
    official = {name.lower(): name for name in table.cells}
    assert [(official[name.lower()], cells) for name, cells in rows] == [(n, list(c)) for n, c in table.cells.items()]
    assert sum(map(len, table.cells.values())) == 360
    header = [[word.strip() for word in line[1:]] for line in lines[:2]]  # of two lines: STR, UCK
    printed = ["".join(parts).rstrip("-") for parts in zip(*header, strict=True)]
    assert printed == list(table.trackers)


def test_ious_by_length_are_as_printed(pixelwise: Paper) -> None:
    """Song's Table 2, and both halves of Table 3, have the trackers, thresholds and numbers of the paper's text."""
    lines = [line.split("\t") for line in text_of("pixelwise").splitlines() if line.count("\t") == 4]
    printed: dict[tuple[int, str], dict[str, list[float]]] = {}
    for name, *cells in lines:
        if name.startswith("Test sequence length"):
            assert cells == ["20", "40", "80", "160"]
            half = (3 if printed else 2, f"mask_iou_above_{100 * float(name.split()[-1]):.0f}")
        else:
            suffix = "-Near" if half[0] == 2 else ""
            tracker = name.replace("ConLSTM", "ConvLSTM") + suffix
            printed.setdefault(half, {})[tracker] = [float(cell) for cell in cells]
    ours = {
        (table.number, aspect.measure): {
            tracker: [table.cells[tracker][f"VOT2016-{length}"][i].mean for length in (20, 40, 80, 160)]
            for tracker in table.trackers
        }
        for table in pixelwise.tables
        for i, aspect in enumerate(table.columns)
    }
    assert ours == printed
    assert sum(len(row) for half in ours.values() for row in half.values()) == 8 + 24


def test_numbers_beside_other_trackers_are_as_printed(rman: Paper) -> None:
    """RMAN's Tables I to V have the trackers of the paper's, in its numbers; a cell that is empty there has none."""
    lines = [line.split("\t") for line in text_of("rman").splitlines() if "\t" in line]
    blocks: list[tuple[str, list[list[list[str]]]]] = []  # of each table its header, and its rows' cells
    for line in lines:
        if any("Ours" in part for part in line):
            blocks.append(("".join(line).replace(" ", "").translate(str.maketrans("СОТ", "COT")), []))
        else:
            count = 11 if len(blocks) == 1 else len(line) - 1
            blocks[-1][1].append([re.findall(r"\d+(?:\.\d+)?|-", part) for part in line[-count:]])
    assert len(blocks) == 5
    for table, (header, rows) in zip(rman.tables, blocks, strict=False):
        own = {name: cells for name, cells in table.cells.items() if any(any(row) for row in cells.values())}
        ordered = {"Ours": own.pop("RMAN"), **table.others, **own}  # the baseline is the last
        assert header.removeprefix("Trackers").replace("RPNN", "RPN") == "".join(ordered)
        ours = [
            [cells[benchmark][i] for benchmark in table.benchmarks]
            for i in range(len(table.columns))
            for cells in ordered.values()
        ]
        assert ours == [[None if one == "-" else Printed(float(one)) for one in cell] for row in rows for cell in row]


def test_real_sequences_are_known_by_their_length(rolo: Paper) -> None:
    """The frames of ROLO's Table 1 are those of OTB-30 as its authors annotated it."""
    [table] = rolo.sequence_tables
    assert set(table.cells) == set(otb.names("otb30"))
    annotations = TEXTS.parent / "data" / "otb_anno"
    if not annotations.is_dir():
        pytest.skip(f"{annotations} is absent: OTB is not part of the project")
    found = otb.open(otb.Config(subset="otb30"), annotations, "OTB-30")
    assert {sequence.name: len(sequence) for sequence in found} == table.frames


@pytest.mark.parametrize("study", STUDIES)
def test_every_quote_is_in_the_paper(study: str) -> None:
    """Each claim quotes the paper word for word, from a part of it that exists; a claim of ours quotes nothing."""
    words = " ".join(text_of(study).split())
    for claim in paper.load(study).claims:
        assert (claim.quote is None) == (claim.section is None)
        if claim.quote and claim.section:
            assert claim.quote in words
            assert (claim.section.partition(", ")[2] or claim.section) in words


def test_tables_cover_the_study(rectracker: Paper) -> None:
    """Four tables give all of 4 sets x 4 lengths x 5 trackers, and each of them covers its own rows wholly."""
    assert len(rectracker.cells) == 4 * 4 * 5
    for table in rectracker.tables:
        assert all(tuple(sorted(rows)) == tuple(sorted(table.benchmarks)) for rows in table.cells.values())


def test_claims_speak_of_what_was_measured(
    rectracker: Paper, goturn: Paper, rolo: Paper, pixelwise: Paper, rman: Paper
) -> None:
    """Each claim has a name of its own and a known check; RecTracker's are of what its tables have."""
    trackers = {tracker for tracker, _, _ in rectracker.cells}
    benchmarks = {benchmark for _, benchmark, _ in rectracker.cells}
    for claim in rectracker.claims:
        assert {claim.tracker, claim.than or claim.tracker} <= trackers
        assert set(claim.benchmarks) <= benchmarks
    for one in (rectracker, goturn, rolo, pixelwise, rman):
        assert len({claim.name for claim in one.claims}) == len(one.claims)
        assert {claim.check for claim in one.claims} <= claims.KINDS.keys()
    assert all(len(claim.benchmarks) == 1 for claim in rolo.claims)  # OTB-30 and VOT2016 do not mix


@pytest.mark.parametrize("profile", ["sample", "paper"])
@pytest.mark.parametrize("name", ["goturn", "rolo", "pixelwise", "rman"])
def test_a_paper_speaks_of_trackers_of_its_study(name: str, profile: str) -> None:
    """Every tracker that a table, a claim or a chart names is a variant in the packaged profiles.

    It is tested on those benchmarks that a claim names, under the protocol that it names; of several, which are cuts
    of the same videos, the sample tests one at least.
    """
    reported = paper.load(name)
    yaml = pytest.importorskip("yaml")
    profiles = Path(paper.__file__).parents[1] / "profiles"
    study = yaml.safe_load((profiles / f"{profile}.yaml").read_text(encoding="utf-8"))["studies"].get(name)
    if study is None:
        pytest.skip(f"profile {profile} has no study {name}")
    named = {tracker for tracker, _, _ in reported.cells}
    for claim in reported.claims:
        named |= {claim.tracker, claim.than or claim.tracker}
        tests = {test for experiment in study["experiments"] for test in experiment["test"]}
        left_out = set(claim.benchmarks) - tests
        assert not left_out or (profile == "sample" and left_out < set(claim.benchmarks)), claim.name
        for benchmark in set(claim.benchmarks) - left_out:
            there = [experiment for experiment in study["experiments"] if benchmark in experiment["test"]]
            there = [one for one in there if claim.protocol is None or claim.protocol in one["protocols"]]
            tested = {tracker for one in there for tracker in one.get("trackers", study["trackers"])}
            assert {claim.tracker, claim.than or claim.tracker} <= tested, claim.name
    named |= {tracker for chart in reported.charts for tracker in chart.trackers}
    named |= {tracker for comparison in reported.pictures for tracker in comparison.trackers}
    assert named <= set(study["trackers"])


def test_tables_may_not_contradict_each_other() -> None:
    """A number that two tables print differently is refused, with the place."""
    first = PaperTable(1, (AT_20,), {"A": {"set": (Printed(0.5, 0.1),)}})
    second = PaperTable(2, (AT_20,), {"A": {"set": (Printed(0.6, 0.1),)}})
    with pytest.raises(ValueError, match="table 2, A, set, .*length=20.*: expected .*0.5.* got .*0.6"):
        Paper(tables=(first, second))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("0.36±0.12", "set: expected 2 cells"),
        ("0.36±0.12 0.35", "set: expected 2 cells"),
        ("0.36±0.12 0.35±x", "set: expected 2 cells"),
    ],
)
def test_a_torn_row_is_refused(broken: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of a table with a cell too few, or one in another form than the others, names file and row."""
    monkeypatch.setattr(paper, "PAPERS", tmp_path)
    (tmp_path / "torn.yaml").write_text(
        "{measure: m, claims: [], pictures: [], "
        f"tables: [{{number: 1, lengths: [20, 40], cells: {{A: {{set: {broken}}}}}}}]}}\n"
    )
    with pytest.raises(ValueError, match=rf"torn.yaml: {message}"):
        paper.load("torn")


@pytest.mark.parametrize("broken", ["0.5 0.6", "20 0.5", "20 0.5 x"])
def test_a_torn_row_of_a_sequence_is_refused(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sequence without its number of frames, or with another number of cells, names file and sequence."""
    monkeypatch.setattr(paper, "PAPERS", tmp_path)
    (tmp_path / "torn.yaml").write_text(
        "{measure: m, claims: [], pictures: [], tables: [], "
        f"sequence_tables: [{{number: 1, benchmark: set, trackers: [A, B], rows: {{Car: {broken}}}}}]}}\n"
    )
    with pytest.raises(ValueError, match=r"torn.yaml: Car: expected .*2 cells"):
        paper.load("torn")


def test_a_missing_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without a key that it needs names file and key."""
    monkeypatch.setattr(paper, "PAPERS", tmp_path)
    (tmp_path / "torn.yaml").write_text("measure: m\nclaims: []\npictures: []\n")
    with pytest.raises(ValueError, match=r"torn.yaml: expected the key 'tables'"):
        paper.load("torn")


def test_a_study_without_a_paper_has_nothing_to_compare() -> None:
    """A user's own study gets an empty paper, not an error."""
    assert paper.load("my-study") == Paper()
