from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import plan
from orchestrator.jobs import Data
from orchestrator.params import PROFILES, Study, load
from orchestrator.report import paper
from trackers.backbones import yolo
from trackers.benchmarks import otb
from trackers.evaluation.folds import folds
from trackers.evaluation.protocols import REPETITIONS
from trackers.families import goturn, kcf, pixelwise, rectracker, rman, rolo
from trackers.families.pixelwise import losses

PAPER = load(PROFILES / "paper.yaml")
PARAMS = {"paper": PAPER, "sample": load(PROFILES / "sample.yaml")}
STUDIES = {study.name: study for study in PAPER.studies}
STUDY = STUDIES["rectracker"]
TRACKERS = {variant.name: variant.config for variant in STUDY.trackers}
GOTURNS = {variant.name: variant.config for variant in STUDIES["goturn"].trackers}
ROLOS = {variant.name: variant.config for variant in STUDIES["rolo"].trackers}
PIXELWISE = {variant.name: variant.config for variant in STUDIES["pixelwise"].trackers}
RMANS = {variant.name: variant.config for variant in STUDIES["rman"].trackers}

# What Gan et al. 2015 print, in their words.
FRAMES = {  # Section 4
    "each video sequence used for training consists of 20 frames": ("MNIST-Single", "length", 20),
    "each frame is 100 x 100 large": ("MNIST-Single", "generator.size", 100),
    "k is a hyper-parameter (0.1 in our experiments)": ("MNIST-Single", "generator.step", 0.1),
    "N(0, v'I), where v' = 0.1": ("MNIST-Single", "generator.acceleration_variance", 0.1),
    "p = 0.1 controls the magnitude of scale change": ("MNIST-Single", "generator.scale_change", 0.1),
    "uniform-randomly scaled between 64 and 255": ("MNIST-Single", "generator.intensity", (64, 255)),
    "two digits simultaneously moving around": ("MNIST-Multi", "objects", 2),
    "overlapping two randomly selected normal MNIST digits": ("MNIST-Single-Diff", "overlaid", 2),
    "normal MNIST digits on top of each other": ("MNIST-Single-Diff", "generator.overlaid_size", 28),
    "computed over 500 test sequences": ("MNIST-Multi-Diff", "sequences", 500),
    "the lengths of test sequences among {20, 40, 80, 160}": ("MNIST-Multi-Diff", "length", 160),
}
MODELS = {  # Section 5 and Appendices A and B
    "a full, unadjusted view of the whole frame": ("RecTracker-ID", "attention", 0),
    "N is 1": ("RecTracker-Att-1", "attention", 1),
    "and 3 respectively": ("RecTracker-Att-3", "attention", 3),
    "the recurrent network is omitted": ("ConvTracker", "recurrent", False),
    "four frames (three preceding frames + current frame)": ("ConvTracker", "history", 4),
    "32 ... filters": ("RecTracker-ID", "filters", 32),
    "10 x 10 filters": ("RecTracker-ID", "filter_size", 10),
    "applied with stride 5": ("RecTracker-ID", "stride", 5),
    "200 gated recurrent units": ("RecTracker-ID", "units", 200),
    "200 tanh units": ("ConvTracker", "units", 200),
    "minibatches of size 32 examples": ("RecTracker-ID", "training.batch", 32),
    "up to 50 epochs": ("RecTracker-ID", "training.epochs", 50),
}
# What Held et al. 2016 print, in their words.
GOTURN = {
    "the first five convolutional layers of the CaffeNet architecture": ("backbone.layout", "caffenet"),
    "3 fully connected layers, each with 4096 nodes": ("units", 4096),
    "we use k_1 = k_2 = 2": ("context", 2.0),
    "we train the network with an L1 loss": ("loss", "l1"),
    "chosen via cross-validation to be b_x = 1/5": ("motion.shift_scale", 1 / 5),
    "and b_s = 1/15": ("motion.size_scale", 1 / 15),
    "gamma_w, gamma_h in (0.6, 1.4)": ("motion.size_limit", 0.4),
    "it must contain at least half of the target object in each dimension": ("motion.half_inside", "window"),
    "each training example is alternately taken from a video or from an image": ("sources", ("videos", "images")),
    "we use k_3 = 10": ("crops", 10),
    "we use a batch size of 50": ("training.batch", 50),
    "a learning rate of 1e-5": ("training.learning_rate", 1e-5),
    "leaving us with 307 videos to be used for training": ("videos", 307),
}
ABLATIONS = {  # Sections 6.2 and 6.4, Table 1, Figure 5
    "L2 loss": ("GOTURN-L2", {"loss": "l2"}),
    "No motion smoothness": ("GOTURN-Uniform", {"motion": goturn.Motion(kind="uniform")}),
    "Image training only": ("GOTURN-Images", {"sources": ("images",)}),
    "Video training only": ("GOTURN-Videos", {"sources": ("videos",)}),
    "the network only receives the current frame as input": ("GOTURN-Current", {"previous": False}),
    "training from 14": ("GOTURN-14", {"videos": 14}),
    "37": ("GOTURN-37", {"videos": 37}),
    "157": ("GOTURN-157", {"videos": 157}),
}
# What Ning et al. 2016 print, in their words: of the detector, and of the full method.
YOLO = {  # Section 3.1
    "set S = 7": ("network.grid", 7),
    "B = 2": ("network.boxes", 2),
    "a feature vector of size 4096": ("network.features", 4096),
    "capable of detecting objects of 20 classes": ("network.classes", yolo.VOC),  # Section 4
    "an S x S x (B x 5 + C) tensor": ("network.outputs", 7 * 7 * 30),
}
ROLO = {  # Sections 3.2, 4.3 and 4.4
    "we use the Mean Squared Error (MSE) for training: B_target, B_pred": ("ROLO", "regress", "location"),
    "we used 6 as the step number": ("ROLO", "steps", 6),
    "1/3 ground truths, but with all the sequence frames": ("ROLO", "learn_from", "every_third"),
    "1/3 frames and their ground-truth labels": ("ROLO-Third", "learn_from", "first_third"),
    "We first train an LSTM model with 22 videos": ("ROLO-Videos", "learn_from", "all"),
    "an alternative ROLO model with heatmap instead of location": ("ROLO-Heatmap", "regress", "heatmap"),
    "a 32-by-32 heatmap": ("ROLO-Heatmap", "side", 32),
    "trained offline with 1/3 frames from OTB-30": ("ROLO-Heatmap", "learn_from", "first_third"),
}
TRIED = {  # Sections 4.4 and 5, and the authors' code
    "dropouts on visual features": ("ROLO-Dropout", {"dropout": 0.5}),
    "random offset of detection boxes during training": ("ROLO-Offset", {"offset": 0.1}),
    "auxiliary cost to the objective function": ("ROLO-Auxiliary", {"auxiliary": 1.0}),
    "two stacked LSTMs": ("ROLO-Stacked", {"regress": "both"}),
    "find_best_location": ("ROLO-Released", {"released": True}),
}
# What Song et al. 2017 print, in their words.
PRINTED = {
    "a VGG network": ("backbone.widths", (64, 128, 256, 512, 512)),  # Section 3.1
    "F-CNN x2, 512": ("local.features", 512),  # Table 1
    "M-CNN x2, 1024: the states of two layers": ("local.memory", 1024 / 4),
    "Local model, ConvLSTM x2, 256": ("local.memory", 256),
    "Decov -1 to -4: 128, 64, 32, 1": ("local.deconvolutions", (128, 64, 32)),
    "layer 1 x2 to layer 4 x2: 8, 16, 32, 64": ("attention.convolutions", (8, 16, 32, 64)),
    "Global model, ConvLSTM x2, 64": ("attention.memory", 64),
    "full 1: 1024": ("attention.units", 1024),
    "the input segmentation map to global model is resized to 224 x 224": ("map_size", 224),  # Section 2
    "resize all ROI images to 224 x 224": ("size", 224),  # Section 3.3, as the seven below
    "twice the longer length of the object": ("roi.context", 2.0),
    "truncated to within the range of [56": ("roi.least", 56),
    "672]": ("roi.most", 672),
    "the location is set according to the object mask at frame t - 5": ("roi.delay", 5),
    "random scaling is set in the range of [0.9, 1.1]": ("clips.scale", 0.1),
    "spatial shift [-10, 10] pixels": ("clips.shift", 10.0),
    "replace the ROI image at a randomly chosen time": ("noise", True),
    "element-wise cross entropy loss: L(p, y) = sum_i": ("cross_entropy", "sum"),  # Eq. 2
    "setting i = 5 works best": ("burn_in", 5),  # Section 4, as the next
    "for a total sequence length of 32": ("clips.length", 32),
    "shrink dilation kernel size every ten thousand iterations": ("dilation_shrinks", 10_000),  # Section 5.1
    "steps 3 to 5, once": ("rounds", 1),
    "the decay rate beta is set at 0.8": ("beta", 0.8),  # Section 5.3
}
COMPARED = {  # Sections 3.4, 5.1 and 5.3: what each is, and from which other it differs in that alone
    "steps 1 and 2 alone": ("2-stage-First", "2-stage ConvLSTM", {"rounds": 0}),
    "replaces the global model": ("1-stage ConvLSTM", "2-stage ConvLSTM", {"stages": "1-stage"}),
    "FCN based tracking uses the same approach": ("FCN", "1-stage ConvLSTM", {"network": "FCN"}),
    "using the ground truth label": ("ConvLSTM-Near", "2-stage-First", {"stages": "near"}),
    "without randomly replaced frame": ("ConvLSTM-Near-Clean", "ConvLSTM-Near", {"noise": False}),
    "provided with the same ROI sequences": ("FCN-Near", "FCN", {"stages": "near"}),
}
# What Pu et al. 2020 print, in their words.
RMAN = {
    "theta_T-i is the cosine distance": ("activation", "cosine"),  # Section III-A, Eq. 1
    "We construct the CNN feature extraction module based on the VGG-M": ("backbone.widths", (96, 256, 512)),  # V-A
    "the number of hidden units in the LSTM as 512": ("units", 512),
    "set as 512 x 1024 and 2 x 512": ("hidden", 512),
    "the number of the predicted target patches ... as K = 5": ("remembered", 5),
    "the threshold tau in Eq. 5 is set as 1": ("margin", 1.0),
    "the scalars lambda_1 ... 2": ("coherence", 2.0),
    "and lambda_2 ... 5e-4": ("compactness", 5e-4),
    "tau_1 ... 0.7": ("positive", 0.7),
    "tau_2 ... 0.3": ("negative", 0.3),
    "a mini-batch of N = 32 positive-negative sequence sample pairs": ("pairs", 32),
    "In the first frame, we use 50 iterations": ("first.iterations", 50),
    "with a learning rate of 2e-4": ("first.learning_rate", 2e-4),
    "we use a learning rate of 3e-4 to update the network": ("update.learning_rate", 3e-4),
    "every N_3 = 10 frames": ("every", 10),
    "using 15 iterations": ("update.iterations", 15),
    "the number N_2 of proposals is set to 256": ("sampling.candidates", 256),
    "we select the candidate with the highest positive classification probability": ("best", 1),  # Section IV-B
    "the online sampling strategy of the base framework draws samples from the frame": ("features", "patches"),  # V-D
}
PARTS = {  # Section V-C, Figure 6: what each lacks of the full method
    "CNN feature extraction layers and fully connected layers": (
        "Baseline",
        {"recurrent": False, "activation": "none", "coherence": 0.0, "compactness": 0.0},
    ),
    "the current hidden state h_T is used for classification": (
        "Baseline+LSTM",
        {"activation": "none", "coherence": 0.0, "compactness": 0.0},
    ),
    "we add the recurrent memory activation layer (MAL)": (
        "Baseline+LSTM+MAL",
        {"coherence": 0.0, "compactness": 0.0},
    ),
    "using different loss functions L_c + L_a": ("Baseline+LSTM+MAL+La", {"compactness": 0.0}),
    "and L_c + L_a + L_b": ("RMAN", {}),
    "to evaluate the ability of the LSTM layer": ("Baseline+MAL+La+Lb", {"recurrent": False}),
    "an average pooling layer (APL) instead of the MAL": ("Baseline+LSTM+APL+La+Lb", {"activation": "average"}),
    "we will use the ROI align method": ("RMAN-ROI", {"features": "roi_align"}),  # Section V-D
    "crops are the paper's own": ("RMAN-Patches", {"features": "patches"}),
}


def value(config: object, path: str) -> object:
    for name in path.split("."):
        config = getattr(config, name)
    return config


def study(profile: str, name: str) -> Study:
    return next(found for found in PARAMS[profile].studies if found.name == name)


@pytest.mark.parametrize("words", FRAMES)
def test_the_paper_profile_has_the_papers_data(words):
    """Each number that Section 4 prints stands in the `paper` profile."""
    name, path, printed = FRAMES[words]
    assert value(PAPER.datasets[name].config, path) == printed


@pytest.mark.parametrize("words", MODELS)
def test_the_paper_profile_has_the_papers_models(words):
    """Each number that Section 5 and the appendices print stands in the `paper` profile."""
    name, path, printed = MODELS[words]
    assert value(TRACKERS[name], path) == printed


@pytest.mark.parametrize("words", GOTURN)
def test_the_paper_profile_has_goturn(words):
    """Each number that Sections 3 to 5 of Held et al. print stands in the `paper` profile."""
    path, printed = GOTURN[words]
    assert value(GOTURNS["GOTURN"], path) == printed


@pytest.mark.parametrize("words", ABLATIONS)
def test_an_ablation_differs_in_one_thing(words):
    """What Held et al. leave out or change is all in which that variant differs from the full method."""
    name, changed = ABLATIONS[words]
    assert GOTURNS[name] == replace(GOTURNS["GOTURN"], **changed)


@pytest.mark.parametrize("words", YOLO)
def test_the_paper_profile_has_rolos_detector(words):
    """Each number that Section 3.1 of Ning et al. prints of YOLO stands in the `paper` profile."""
    path, printed = YOLO[words]
    assert value(PAPER.extractors["yolo"].config, path) == printed


@pytest.mark.parametrize("words", ROLO)
def test_the_paper_profile_has_rolo(words):
    """Each number that Ning et al. print of their models stands in the `paper` profile."""
    name, path, printed = ROLO[words]
    assert value(ROLOS[name], path) == printed


@pytest.mark.parametrize("words", TRIED)
def test_what_was_tried_differs_in_one_thing(words):
    """What Ning et al. tried, or planned, is all in which that variant differs from the full method."""
    name, changed = TRIED[words]
    assert ROLOS[name] == replace(ROLOS["ROLO"], **changed)


def test_heatmaps_are_tested_on_unseen_videos():
    """ "The model is trained offline with 1/3 frames from OTB-30 tested on unseen videos" (4.2)."""
    names = [(e.train, e.test) for e in STUDIES["rolo"].experiments if "ROLO-Heatmap" in e.trackers]
    assert ("OTB-30-train", ("OTB-30-test",)) in names


def test_step_sizes_differ_in_nothing_else():
    """ "We repeat the 2nd experiment with various step sizes" (4.4): 1 to 9, each trained as long as in the code."""
    models = [ROLOS[f"ROLO-Third-{steps}" if steps != 6 else "ROLO-Third"] for steps in range(1, 10)]
    assert [model.steps for model in models] == list(range(1, 10))
    assert [model.training.epochs for model in models] == [200, *[300] * 7, 200]
    assert len({replace(model, steps=6, training=ROLOS["ROLO"].training) for model in models}) == 1


def test_a_pass_is_one_over_all_labels():
    """One epoch has as many windows as there are labels: all of 22 videos' frames, or a third of 30's."""
    annotations = Path(__file__).parents[3] / "shared" / "data" / "otb_anno"
    if not annotations.is_dir():
        pytest.skip(f"takes OTB's published annotations, and {annotations} is not there")
    frames = {
        name: sum(map(len, otb.open(PAPER.datasets[name].config, annotations, name)))
        for name in ("OTB-30", "OTB-30-train")
    }
    assert ROLOS["ROLO-Videos"].training.updates_per_epoch == frames["OTB-30-train"]
    assert ROLOS["ROLO"].training.updates_per_epoch == ROLOS["ROLO-Third"].training.updates_per_epoch == 4900
    assert round(frames["OTB-30"] / 3, -2) == 4900


def test_otb_30_is_parted_in_22_and_8():
    """ "We first train an LSTM model with 22 videos in OTB-30 and test the rest 8 clips" (4.3)."""
    whole, train, test = (
        otb.names(PAPER.datasets[name].config.subset) for name in ("OTB-30", "OTB-30-train", "OTB-30-test")
    )
    assert (len(train), len(test)) == (22, 8)
    assert {*train, *test} == set(whole)


@pytest.mark.parametrize("words", PRINTED)
def test_the_paper_profile_has_the_pixelwise_models(words):
    """Each number that Song et al. print of their models and their training stands in the `paper` profile."""
    path, printed = PRINTED[words]
    assert value(PIXELWISE["2-stage ConvLSTM"], path) == printed


@pytest.mark.parametrize("words", COMPARED)
def test_what_is_compared_pixel_by_pixel_differs_in_one_thing(words):
    """Each model that Song et al. compare differs from another in what they say, and in nothing else."""
    name, other, changed = COMPARED[words]
    assert PIXELWISE[name] == replace(PIXELWISE[other], **changed)


def test_the_untrained_models_are_the_same_models():
    """The floor of the pixel-wise study differs from the first round's models in that nothing is learnt."""
    first, untrained = PIXELWISE["2-stage-First"], PIXELWISE["2-stage-Untrained"]
    assert untrained.training.epochs == untrained.attention_training.epochs == 0
    assert replace(untrained, training=first.training, attention_training=first.attention_training) == first


def test_total_variation_counts_as_printed():
    """ "beta = 1000 and lambda = 1e-4 was found to achieve the best performance" (Song et al., 3.3, of Eq. 2)."""
    assert (losses.LARGEST_VARIATION, losses.VARIATION) == (1000, 1e-4)
    assert PIXELWISE["2-stage ConvLSTM"].smoothness == losses.VARIATION  # of Eq. 4, which has a lambda as well


def test_60_videos_are_tested_in_ten_folds():
    """ "Each fold contains 54 videos in the training set and the other 6 videos in the testing set" (3.3)."""
    for experiment in STUDIES["pixelwise"].experiments:
        assert (experiment.folds, experiment.roles) == (10, {"videos": "VOT2016-masks"})
        assert {len(tested) for tested in folds(map(str, range(60)), 10, experiment.fold_seed)} == {6}


def test_each_fold_trains_its_own_models():
    """ "On each of the data fold we perform our training" (5.1): all but what is shared is a job of each of ten."""
    sources = plan.Sources(lambda root: Data(root, str(root)), lambda modules: {})
    trials = plan.plan(replace(PAPER, studies=(STUDIES["pixelwise"],)), sources)
    assert len(trials) == len(PIXELWISE) * 10
    jobs = {job.key: step for trial in trials for step, job in trial.training.items()}
    shared, halves = {"maps": 1, "backbone": 1}, {"half-1": 10, "half-2": 10, "crossed-1-1": 10, "crossed-1-2": 10}
    final = {"global-1": 10, "local-1": 10, "fcn": 10, "tracker": 7 * 10}  # one for both FCNs
    untrained_too = {"global-0": 2 * 10, "local-0": 3 * 10}  # local-0: as trained without noise frames, as well
    assert Counter(jobs.values()) == {**shared, **halves, **final, **untrained_too}


def test_videos_are_cut_or_upsampled_to_the_printed_lengths():
    """Tables 2 and 3 are of the same videos at "test sequence length" 20, 40, 80 and 160, at both thresholds."""
    [tables] = [one for one in STUDIES["pixelwise"].experiments if one.protocols == ("one_pass",)]
    whole = PAPER.datasets["VOT2016-masks"]
    assert (whole.format, whole.config.regions, whole.clip) == ("vot", "masks", None)
    assert {PAPER.datasets[name].clip: PAPER.datasets[name] for name in tables.test} == {
        length: replace(whole, name=f"VOT2016-{length}", clip=length) for length in (20, 40, 80, 160)
    }
    assert {"mask_iou_above_40", "mask_iou_above_70"} <= set(tables.measures)


def test_1200_clips_are_sampled():
    """ "1200 randomly sampled video clips in the testing set" (3.4) are 20 of each of 60 videos."""
    [figure] = [one for one in STUDIES["pixelwise"].experiments if one.protocols == ("random_clips",)]
    assert figure.clips * 60 == 1200
    assert set(figure.trackers) == {"ConvLSTM-Near", "ConvLSTM-Near-Clean", "FCN-Near"}


@pytest.mark.parametrize("words", RMAN)
def test_the_paper_profile_has_rman(words):
    """Each number that Sections III to V of Pu et al. print stands in the `paper` profile."""
    path, printed = RMAN[words]
    assert value(RMANS["RMAN"], path) == printed


def test_samples_add_up_as_printed():
    """ "The number N_1 of samples is set to 5500" in the first frame, and N_2 = 256 after each (IV-C and V-A)."""
    sampling = RMANS["RMAN"].sampling
    assert sampling.first_positives + sampling.first_negatives == 5500
    assert sampling.positives + sampling.negatives == 256


@pytest.mark.parametrize("profile", ["paper", "sample"])
@pytest.mark.parametrize("words", PARTS)
def test_a_part_of_rman_lacks_what_is_said_alone(words, profile):
    """Each configuration of Figure 6 is the full method but for what its name leaves out; so are both ways to see."""
    trackers = {variant.name: variant.config for variant in study(profile, "rman").trackers}
    name, changed = PARTS[words]
    assert trackers[name] == replace(trackers["RMAN"], **changed)


def test_rman_is_tested_as_in_its_tables():
    """Sections V-B to V-H: every configuration on OTB-2013; the method and its baseline on all five data sets."""
    experiments = {test: experiment for experiment in STUDIES["rman"].experiments for test in experiment.test}
    assert list(experiments) == ["OTB-2013", "OTB-2015", "Temple-color-128", "UAV123", "VOT2016"]
    assert all(experiments["OTB-2013"].has(name) for name in RMANS)
    assert all(experiment.has(name) for experiment in experiments.values() for name in ("RMAN", "Baseline"))
    for test, experiment in experiments.items():
        if test == "VOT2016":
            assert {"eao", "accuracy", "robustness"} <= set(experiment.measures)
            assert (experiment.protocols, experiment.repetitions) == (("supervised_reset",), REPETITIONS)
        else:
            assert {"precision_20", "success_auc", "os_50", "cle"} <= set(experiment.measures)
            assert (experiment.protocols, experiment.convention) == (("one_pass",), "otb")
    assert {otb.official(name) for name in experiments["OTB-2013"].pictures.sequences} <= set(otb.names("otb2013"))


@pytest.mark.parametrize(
    ("profile", "same", "elsewhere", "timed"),
    [("paper", "RMAN-Patches", 4 + 4 + 4 + 4, 5), ("sample", "RMAN-ROI", 4 + 3 + 3 + 3, 3)],
)
def test_rman_learns_one_backbone_and_nothing_is_computed_twice(profile, same, elsewhere, timed):
    """ "Our tracker does not require an offline training step" (IV): all share one backbone, and equal ones everything.

    Ten different trackers are tracked and judged on OTB-2013, some of them at one video at a time, and four at most on
    each other data set.
    """
    sources = plan.Sources(lambda root: Data(root, str(root)), lambda modules: {})
    trials = plan.plan(replace(PARAMS[profile], studies=(study(profile, "rman"),)), sources)
    jobs = {job.key: job for trial in trials for job in trial.jobs}
    judged = 10 + elsewhere
    expected = {"train": 1, "track": judged, "score": judged, "speed": timed}
    assert Counter(job.kind for job in jobs.values()) == expected
    of = {trial.tracker: trial for trial in trials}
    assert len(of) == len(trials)
    assert of[same].keys < of["RMAN"].keys
    assert of[same].scores["OTB-2013"].key == of["RMAN"].scores["OTB-2013"].key


def test_still_images_are_filtered_as_printed():
    """Objects that fill "at least 66% of the size of the image in either dimension" are no training examples (5.1)."""
    [experiment] = STUDIES["goturn"].experiments
    assert PAPER.datasets[experiment.roles["images"]].config.largest == 0.66


def test_a_training_set_has_3200000_examples():
    """Epochs, updates and minibatches come to the "3,200,000 randomly-generated examples" of Appendix B."""
    training = TRACKERS["RecTracker-ID"].training
    assert training.epochs * training.updates_per_epoch * training.batch == 3_200_000


def test_defaults_are_the_papers():
    """A family without settings is its paper's full method; KCF has the HOG of its own paper."""
    for full, defaults in (
        (GOTURNS["GOTURN"], goturn.Config()),
        (PIXELWISE["2-stage ConvLSTM"], pixelwise.Config()),
        (RMANS["RMAN"], rman.Config()),
    ):
        assert replace(full, backbone=replace(full.backbone, weights=None)) == defaults  # no file of weights
    assert TRACKERS["RecTracker-ID"] == rectracker.Config()
    assert ROLOS["ROLO"] == rolo.Config()
    assert kcf.tracker(TRACKERS["KerCorrTracker"], {}, "cpu").config == kcf.tracker(kcf.Config(), {}, "cpu").config


def test_trackers_differ_in_nothing_but_what_the_paper_varies():
    """ "Other than the omission of the recurrent network, all the other details are identical" (Section 5)."""
    same = {"filters", "filter_size", "stride", "units", "given", "auxiliary", "epsilon", "training"}
    names = ("RecTracker-ID", "RecTracker-Att-1", "RecTracker-Att-3", "ConvTracker")
    assert len({tuple(getattr(TRACKERS[name], field) for field in sorted(same)) for name in names}) == 1


def test_what_is_compared_is_what_the_tables_have():
    """Trackers, data sets, lengths and measure of the profile are those of the paper's tables."""
    reported = paper.load("rectracker")
    trackers = {tracker for table in reported.tables for tracker in table.cells}
    benchmarks = {name for table in reported.tables for cells in table.cells.values() for name in cells}
    assert trackers == set(TRACKERS)
    assert benchmarks == {name for experiment in STUDY.experiments for name in experiment.test}
    assert {tuple(column.length for column in table.columns) for table in reported.tables} == {STUDY.lengths}
    assert all(reported.measure in experiment.measures for experiment in STUDY.experiments)


def test_no_test_shapes_are_trained_on():
    """Novel digit classes are never trained on, and test digits never train (Section 4)."""
    for experiment in STUDY.experiments:
        train = PAPER.datasets[experiment.roles["train"]].config
        assert (train.split, train.overlaid) == ("train", 1)
        for name in experiment.test:
            test = PAPER.datasets[name].config
            assert (test.split, test.objects) == ("test", train.objects)


def test_every_number_names_its_section():
    """Each line of the `paper` profile that sets a paper's number says where it stands, in paper or code."""
    text = (PROFILES / "paper.yaml").read_text()
    named = ("length", "size", "step", "scale_change", "intensity", "sequences", "filters", "stride", "units", "batch")
    named += ("grid", "boxes", "regress", "steps", "learn_from", "side")
    named += ("map_size", "context", "least", "most", "delay", "scale", "shift", "noise", "memory", "rounds", "beta")
    named += ("deconvolutions", "convolutions", "burn_in", "dilation_shrinks", "folds", "clips", "stages")
    named += ("hidden", "margin", "coherence", "compactness", "positive", "negative", "pairs", "every")
    named += ("candidates", "first", "update", "best", "regression", "mined", "lost")
    for line in text.splitlines():
        if line.startswith(" ") and line.strip().partition(":")[0] in named:
            assert any(
                word in line for word in ("Section", "Appendix", "Table", "the authors' code", "MDNet's", "DAT's")
            ), line
