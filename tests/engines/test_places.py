"""Which engine a job gets, and which settings of it are refused before anything is loaded."""

from typing import Any

import pytest

from florence_annotate.config import job_spec
from florence_annotate.engines import places
from florence_annotate.errors import EngineError, UsageError


def refused(**flags: Any) -> str:
    with pytest.raises(UsageError) as caught:
        places.check(job_spec.build(flags))
    return str(caught.value)


@pytest.fixture
def has_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)


def test_a_job_runs_on_a_device_of_this_machine_unless_told() -> None:
    spec = job_spec.build({"device": "cpu"})
    places.check(spec)
    place = places.find(spec)
    assert place.name == "cpu"
    place.close()


@pytest.mark.usefixtures("has_ray")
def test_settings_that_contradict_each_other_are_refused() -> None:
    assert refused(actors="2") == "--actors is a setting of Ray: add --engine ray, or leave it out"
    assert "--address is a setting of Ray" in refused(engine="local", address="auto", gpus="all")
    assert "give one of them" in refused(engine="ray", gpus="all", actors="2")
    assert "leave --device out" in refused(engine="ray", device="cpu")
    assert "ray job submit" in refused(engine="ray", address="ray://head:10001")
    assert "write auto, or HOST:PORT" in refused(engine="ray", address="head")
    assert "write a whole number from 1 to 1024, or all" in refused(engine="ray", gpus="0")
    for address in ("auto", "head.local:6379", "10.0.0.1:6379", "[fe80::1]:6379"):
        places.check(job_spec.build({"engine": "ray", "address": address}))


@pytest.mark.usefixtures("has_ray")
def test_what_an_earlier_run_had_is_in_nobodys_way() -> None:
    before = job_spec.load(job_spec.dump(job_spec.build({"engine": "ray", "gpus": "all"})))
    places.check(job_spec.change(before, {"engine": "local"}))
    on_cpus = job_spec.change(before, {"gpus": "none", "actors": "4"})
    places.check(on_cpus)
    assert (on_cpus.gpus, on_cpus.actors) == (None, 4)
    on_device = job_spec.load(job_spec.dump(job_spec.build({"device": "cpu"})))
    places.check(job_spec.change(on_device, {"engine": "ray"}))


def test_without_ray_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"pip install 'florence-annotate\[ray\]'"):
        places.check(job_spec.build({"engine": "ray"}))
