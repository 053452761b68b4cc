import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from trackers.benchmarks import catalogue
from trackers.evaluation.measure import CONVENTIONS
from trackers.evaluation.measures import MEASURES

SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("otb2015", "otb2015"),
        ("OTB-2015", "otb2015"),
        ("OTB100", "otb2015"),
        ("tb_100", "otb2015"),
        ("CVPR13", "otb2013"),
        ("OTB-30", "otb30"),
        ("VOT 2016", "vot2016"),
        ("UAV123@10fps", "uav123_10fps"),
        ("uav123-10FPS", "uav123_10fps"),
        ("Temple-color-128", "temple128"),
        ("TC128", "temple128"),
        ("GOT-10k", "got10k"),
        ("ALOV300++", "alov300"),
        ("DAVIS-2016", "davis2016"),
        ("ImageNet DET", "imagenet_det"),
    ],
)
def test_names(spelling, name):
    """A benchmark is found by its name and its aliases, whatever their case and punctuation."""
    assert catalogue.find(spelling).name == name


def test_an_unknown_name_lists_the_known_ones():
    """A name that there is not is refused with those that there are."""
    with pytest.raises(ValueError, match="benchmark: expected one of otb2015, otb2013, .*, got OTB2016"):
        catalogue.find("OTB2016")


def test_no_name_means_two_benchmarks():
    """Each spelling of a name belongs to one benchmark."""
    names = [name for b in catalogue.BENCHMARKS for name in {catalogue._key(n) for n in (b.name, *b.aliases)}]
    assert len(names) == len(set(names))


def test_pixels_until_vot2015():
    """VOT2013 to VOT2015 count pixels in another way than their successors, as the toolkit's stacks say."""
    legacy = [benchmark.name for benchmark in catalogue.BENCHMARKS if benchmark.legacy_rasterization]
    assert legacy == ["vot2013", "vot2014", "vot2015"]


@pytest.mark.parametrize("benchmark", catalogue.BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_what_is_named_exists(benchmark):
    """Reader, settings, convention and measures of a benchmark are there, and EAO exists with its interval alone."""
    importlib.import_module(f"trackers.benchmarks.{benchmark.format}").Config(**benchmark.settings)
    assert benchmark.convention in CONVENTIONS
    assert ("eao" in benchmark.measures) == (benchmark.eao is not None)
    for name in benchmark.measures:
        assert benchmark.convention in MEASURES[name].conventions
        assert set(benchmark.protocols) & set(MEASURES[name].protocols)


@pytest.mark.parametrize(
    ("name", "folder", "there", "missing"),
    [
        ("otb2015", "otb_anno", 100, 0),
        ("otb2013", "otb_anno", 51, 0),
        ("otb30", "otb", 2, 28),
        ("uav123", "uav123_anno", 123, 0),
        ("uav123_10fps", "uav123_10fps", 7, 116),
    ],
)
def test_a_copy_may_be_a_part(name, folder, there, missing):
    """What is there of a benchmark is opened, and how many of its sequences are missing can be asked."""
    if not (SHARED / folder).is_dir():
        pytest.skip(f"needs {folder} in ../shared/data")
    benchmark = catalogue.find(name)
    collection = benchmark.open(SHARED / folder)
    assert (collection.name, len(collection), benchmark.missing(collection)) == (name, there, missing)


def test_settings_are_the_benchmarks_own():
    """Two benchmarks of one format differ in their settings alone."""
    assert catalogue.find("otb50").settings == {"subset": "otb50"}
    assert replace(catalogue.find("otb50"), name="x").format == "otb"


@pytest.mark.skipif(not (SHARED / "vot_eval").is_dir(), reason="needs VOT2018's annotations in ../shared/data")
def test_pysots_json_is_a_copy():
    """A folder with <NAME>.json is the benchmark of that name, in whatever spelling."""
    collection = catalogue.find("vot2018").open(SHARED / "vot_eval")
    assert len(collection) == 60
    assert sum(map(len, collection)) == 21_356
