"""Whatever fails, the panes are those of a run without failures, and nothing accepted is lost."""

import os
from dataclasses import replace
from random import Random

import pytest

from tests.sim import scenarios
from tests.sim.regressions import Regression, kept
from tests.sim.seeds import simulate, unexpected_calls
from tests.sim.tally import report, run_many
from tidegate.testing.simulation.faults import STRENGTHS, Faults, draw_faults
from tidegate.testing.simulation.marks import missing
from tidegate.testing.simulation.timeline import timeline

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "1000"))


def test_no_seed_breaks_a_promise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the seeds come through every situation that the simulation is made for."""
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    *_, total = run_many(0, SEEDS, os.cpu_count() or 1)
    with capsys.disabled():
        print(f"\n{report(total, 0)}")
    assert not total.broken
    assert total.seeds == SEEDS
    assert set(total.faults) == set(STRENGTHS)
    assert not missing(total.marks)


@pytest.mark.parametrize("regression", list(kept()), ids=str)
def test_what_was_found_once_does_not_come_back(regression: Regression) -> None:
    run = simulate(regression.seed, without=regression.without, left_out=regression.left_out)
    assert not run.violations


@pytest.mark.parametrize("seed", range(20, 30))
def test_the_same_seed_is_the_same_run(seed: int) -> None:
    first, second = simulate(f"twice/{seed}"), simulate(f"twice/{seed}")
    assert first.steps == second.steps
    assert first.digest() == second.digest()
    assert list(timeline(first.steps, 0)) == list(timeline(second.steps, 0))


def test_another_seed_is_another_run() -> None:
    assert simulate("1").digest() != simulate("2").digest()


def test_a_second_source_changes_nothing_else_of_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios, "STATED", 0)
    for seed in map(str, range(10)):
        cases = []
        for share in (0, 1):
            monkeypatch.setattr(scenarios, "UNITED", share)
            cases.append(scenarios.draw_case(seed))
        alone, united = cases
        assert len(united.scenario.flush) == 2
        assert united.scenario.settings == alone.scenario.settings
        assert [replace(each, key="") for each in united.scenario.uploads] == [
            replace(each, key="") for each in alone.scenario.uploads
        ]
        if united.program and alone.program:
            assert replace(united.program, policies=united.program.policies[:1]) == alone.program


def test_a_fault_that_is_off_does_not_happen() -> None:
    run = simulate("8", without=STRENGTHS)
    assert run.faults == Faults()
    assert run.happened == {}
    assert not run.violations


def test_some_seeds_are_calm() -> None:
    drawn = [draw_faults(Random(seed)) for seed in range(200)]  # noqa: S311
    assert Faults() in drawn
    assert any(set(faults.on) > {"kill", "stall", "unknown"} for faults in drawn)


def test_a_call_that_a_role_does_not_allow_is_seen() -> None:
    run = simulate("3")
    assert not unexpected_calls(run)
    run.cloud.universe.calls.add(("map", "table", "put", "head"))
    assert unexpected_calls(run) == ["map may not put table/head"]


def test_a_regression_is_a_line() -> None:
    line = "7 without=kill,stall left_out=0,3"
    assert str(Regression.of(line)) == line
    assert Regression.of("7") == Regression("7")
