import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "kuberay"
CLAIM, CLUSTER = yaml.safe_load_all((FOLDER / "raycluster.yaml").read_text())
JOB = yaml.safe_load((FOLDER / "rayjob.yaml").read_text())

# The part of Kubernetes' and KubeRay's (ray.io/v1, 1.5.1) resources that is used here, written down by hand: a
# misspelt field is refused. `apiserver` would drop it in silence.
TEXT, COUNT, TRUTH = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
QUANTITY = {"type": "string", "pattern": r"^\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?$"}


def closed(required: str = "", **properties: Any) -> dict[str, Any]:
    """An object of these fields and no others."""
    return {"type": "object", "properties": properties, "required": required.split(), "additionalProperties": False}


def of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


def named(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": value}


METADATA = closed("name", name={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"})
SOURCE = closed("name", name=TEXT, optional=TRUTH)
CONTAINER = closed(
    "name image resources",
    name=TEXT,
    image=TEXT,
    env=of(closed("name value", name=TEXT, value=TEXT)),
    envFrom=of({"oneOf": [closed("configMapRef", configMapRef=SOURCE), closed("secretRef", secretRef=SOURCE)]}),
    resources=closed("requests limits", requests=named(QUANTITY), limits=named(QUANTITY)),
    volumeMounts=of(closed("name mountPath", name=TEXT, mountPath=TEXT)),
)
VOLUME = closed(
    "name",
    name=TEXT,
    persistentVolumeClaim=closed("claimName", claimName=TEXT),
    emptyDir=closed(medium={"enum": ["", "Memory"]}, sizeLimit=QUANTITY),
)
POD = closed(
    "spec",
    spec=closed("containers", containers=of(CONTAINER), volumes=of(VOLUME), securityContext=closed(fsGroup=COUNT)),
)
START = named(TEXT)  # strings, numbers too
SPEC = closed(
    "rayVersion headGroupSpec workerGroupSpecs authOptions",
    rayVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    authOptions=closed("mode", mode={"enum": ["token"]}),
    headGroupSpec=closed("template rayStartParams", template=POD, rayStartParams=START),
    workerGroupSpecs=of(
        closed(
            "groupName minReplicas maxReplicas template rayStartParams",
            groupName=TEXT,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            rayStartParams=START,
            template=POD,
        )
    ),
)


def resource(kind: str, spec: dict[str, Any]) -> jsonschema.Draft202012Validator:
    head = {"apiVersion": {"const": "ray.io/v1"}, "kind": {"const": kind}, "metadata": METADATA}
    return jsonschema.Draft202012Validator(closed("apiVersion kind metadata spec", **head, spec=spec))


RAY_CLUSTER = resource("RayCluster", SPEC)
RAY_JOB = resource(
    "RayJob",
    closed(
        "entrypoint rayClusterSpec",
        entrypoint=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"]},
        backoffLimit=COUNT,
        submitterConfig=closed(backoffLimit=COUNT),
        shutdownAfterJobFinishes=TRUTH,
        ttlSecondsAfterFinished=COUNT,
        rayClusterSpec=SPEC,
    ),
)


def test_cluster_and_job_have_fields_of_their_kinds_alone():
    """Every field is one that KubeRay knows, with a value of its type."""
    RAY_CLUSTER.validate(CLUSTER)
    RAY_JOB.validate(JOB)


def test_a_misspelt_field_is_noticed():
    """The check above is one: a wrong name, type or mode fails it."""
    for place, field, value in (
        (["spec"], "headgroupSpec", {}),
        (["spec", "workerGroupSpecs", 0], "replicas", "2"),
        (["spec", "authOptions"], "mode", "tokens"),
        (["spec", "headGroupSpec", "rayStartParams"], "num-cpus", 0),
    ):
        wrong: Any = copy.deepcopy(CLUSTER)
        part = wrong
        for step in place:
            part = part[step]
        part[field] = value
        with pytest.raises(jsonschema.ValidationError):
            RAY_CLUSTER.validate(wrong)


def test_the_job_brings_the_same_cluster():
    """A job's own cluster is that of raycluster.yaml, and goes with the job, so that it may have a time to live."""
    assert JOB["spec"]["rayClusterSpec"] == CLUSTER["spec"]
    assert JOB["spec"]["shutdownAfterJobFinishes"]


def test_pods_name_what_is_there():
    """Mounts are of the pod's own volumes, the claim is the file's, and replicas lie within their bounds."""
    head, *workers = [CLUSTER["spec"]["headGroupSpec"], *CLUSTER["spec"]["workerGroupSpecs"]]
    for group in (head, *workers):
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} == set(volumes)
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
    for group in workers:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_pods_have_the_projects_ray_and_its_settings():
    """The version is that of constraints.txt; every container reads the settings of infra/ray.env."""
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert f"ray=={CLUSTER['spec']['rayVersion']}" in pins
    for group in (CLUSTER["spec"]["headGroupSpec"], *CLUSTER["spec"]["workerGroupSpecs"]):
        for container in group["template"]["spec"]["containers"]:
            assert {"configMapRef": {"name": "trackmeet-ray"}} in container["envFrom"]
    assert "trackmeet-ray --from-env-file=infra/ray.env" in (FOLDER / "raycluster.yaml").read_text()
