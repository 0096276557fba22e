"""The split whose tested pairs of a perturbation and a context somebody has listed."""

from __future__ import annotations

from cycseq.data.condition import Condition
from cycseq.data.either import Data
from cycseq.errors import SettingsError, SplitError
from cycseq.split.listed import tested_conditions
from cycseq.split.plan import Plan, assign, in_words, n_validated, perturbed, shuffled, times
from cycseq.split.settings import SplitSettings


def listed_pairs(data: Data, settings: SplitSettings) -> tuple[Plan, ...]:
    """The conditions that a file names are tested; everything else stays, save combinations that give them away."""
    path = settings.test_conditions
    if path is None or settings.context is not None:
        msg = "--test-conditions names the tested conditions of all contexts: leave out --context."
        raise SettingsError(msg)
    conditions = perturbed(data)
    test = set(tested_conditions(path, conditions))
    by_context: dict[str, list[Condition]] = {}
    for condition in conditions:
        by_context.setdefault(condition.context, []).append(condition)
    rest: list[Condition] = []
    touched: list[Condition] = []
    for inside in by_context.values():
        parted = assign(inside, [c.perturbation for c in inside if c in test])
        rest += parted.rest
        touched += parted.touched
    if not rest:
        msg = f"{path} names every condition, so that nothing is left to learn from: name fewer."
        raise SplitError(msg)
    contexts = sorted({c.context for c in test})
    seen = {c.agent for c in rest}
    nowhere = sorted({c.agent for c in test} - seen)
    other_doses = {(c.context, c.agent) for c in test} & {(c.context, c.agent) for c in rest}
    options = shuffled((str(c) for c in rest if c.context in contexts), settings.seed, "pair", path.stem)
    validated = set(options[: min(n_validated(len(options), settings), len(options) - 1)] if len(options) > 1 else [])
    claim = (
        f"A good score shows that the responses to {times(len(test), 'pair')} of a perturbation and a context "
        f"({in_words(contexts)}) can be told from the contexts' responses to other perturbations and the perturbations' in other "
        "contexts. It says nothing of a context without any perturbed cells, nor of perturbations measured nowhere."
    )
    if nowhere:
        claim += f" {times(len(nowhere), 'tested perturbation')} ({in_words(nowhere)}) are measured in no other context, and need a model that knows unseen perturbations."
    if other_doses:
        claim += f" Of {times(len(other_doses), 'tested pair')}, training has other doses or times."
    plan = Plan(
        name=f"unseen-pair:{path.stem}",
        claim=claim
        + (f" Left out as they contain what is tested: {in_words(sorted(map(str, touched)))}." if touched else ""),
        train=tuple(c for c in rest if str(c) not in validated),
        validation=tuple(c for c in rest if str(c) in validated),
        test=tuple(sorted(test)),
        left_out=tuple(touched),
    )
    return (plan,)
