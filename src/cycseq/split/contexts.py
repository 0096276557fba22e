"""Splits that hold out conditions of one context: all, some, or all but a few."""

from __future__ import annotations

from collections.abc import Callable

from cycseq.data.dataset import Condition
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import SplitError, count_of, join_names, unknown_name
from cycseq.split.cells import cells_to_cut, cut
from cycseq.split.plan import (
    Assignment,
    Conditions,
    Plan,
    assign,
    assigned_plan,
    n_tested,
    n_validated,
    note_left_out,
    perturbations_of,
    perturbed_conditions,
    shuffle,
)
from cycseq.split.settings import SplitSettings

Build = Callable[[Data, SplitSettings, str], Plan]
LONG_TAIL_CELLS = 20  # cells that stay of each condition where neither k nor n_cells is said


def in_turn(build: Build, data: Data, settings: SplitSettings) -> tuple[Plan, ...]:
    """The plan of the context that is named, or of each context for which one can be made."""
    if settings.context is not None:
        return (build(data, settings, _usable(data, settings.context)),)
    plans: list[Plan] = []
    refused: list[SplitError] = []
    for context in dict.fromkeys(c.context for c in perturbed_conditions(data)):
        try:
            plans.append(build(data, settings, _usable(data, context)))
        except SplitError as err:
            refused.append(err)
    if not plans:
        raise refused[0]
    return tuple(plans)


def unseen_context(data: Data, settings: SplitSettings, context: str) -> Plan:
    """All perturbed conditions of a context are tested; one other context validates."""
    test, others = _inside_and_outside(data, context)
    if not others:
        raise _lonely(context, "every one of its responses would be held out, and nothing learnt")
    test, nowhere = _told_elsewhere(test, others)
    validating = _validation_context(test, others, settings)
    claim = (
        f"A good score shows that the responses of {context} to {count_of(len(test), 'perturbation')} can be predicted from its "
        f"control cells and the responses of {_contexts(others)}. It says nothing of perturbations measured in no "
        "other context. One held-out context says little about others."
    )
    return Plan(
        name=f"unseen-context:{context}",
        claim=claim + _unsaid(test, others, nowhere),
        train=tuple(c for c in others if c.context != validating),
        validation=tuple(c for c in others if c.context == validating),
        test=test,
        left_out=nowhere,
    )


def unseen_pair(data: Data, settings: SplitSettings, context: str) -> Plan:
    """Some conditions of a context are tested, whose perturbations other contexts have; the others stay."""
    inside, others = _inside_and_outside(data, context)
    elsewhere = {c.agent for c in others}
    options = shuffle({c.agent for c in inside if c.agent in elsewhere}, settings.seed, "pair", context)
    if not options:
        msg = f"no perturbation of {context} is measured in another context, so none is an unseen pair of known halves: use --kind unseen-perturbation."
        raise SplitError(msg)
    n_agents = len({c.agent for c in inside})
    tested = _some(inside, options, n_tested(n_agents, settings))
    if not tested:
        raise SplitError(
            f"{context} has {count_of(len(inside), 'perturbed condition')}, and some must stay for training: "
            "use --kind unseen-context, which holds out all of them."
        )
    assignment = assign(inside, perturbations_of(inside, tested))
    remaining = [name for name in options if any(c.agent == name for c in assignment.rest)]
    validated = _some(assignment.rest, remaining, n_validated(n_agents, settings))
    validation = assign(assignment.rest, perturbations_of(assignment.rest, validated))
    claim = (
        f"A good score shows that the responses of {context} to {count_of(len(assignment.held), 'perturbation')} can be told "
        f"from its responses to {count_of(len(validation.rest) + len(validation.held) + len(validation.touched), 'other perturbation')} and "
        f"from other contexts, where each tested perturbation is measured. It says nothing of a context without any "
        "perturbed cells, nor of perturbations measured nowhere."
    )
    name = f"unseen-pair:{context}"
    return assigned_plan(name, claim, assignment, validation, where=f"in {context} ", others=others)


def few_shot(data: Data, settings: SplitSettings, context: str) -> Plan:
    """A long-tail context: k conditions, or n cells of every condition, stay; another context is cut alike to validate."""
    inside, others = _inside_and_outside(data, context)
    validating = _validation_context(inside, others, settings)
    within = tuple(c for c in others if c.context == validating)
    outside = tuple(c for c in others if c.context != validating)
    if settings.k is not None:
        if not others:
            raise _lonely(context, "its other perturbations would be measured nowhere")
        assignment = _k_conditions(inside, settings.k, settings.seed, context)
        train, left_out = assignment.rest, assignment.touched
        test, nowhere = _told_elsewhere(assignment.held, others, by_parts=True)
        if not train:
            raise SplitError(
                f"k = {settings.k}: every condition drawn of {context} contains a tested one, so none is "
                "left to learn from: keep more with --k, or draw others with --seed."
            )
        spared = _k_conditions(within, settings.k, settings.seed, validating) if validating else Assignment((), (), ())
        also, validation = spared.rest, spared.held + spared.touched
        cells: dict[str, tuple[str, ...]] = {}
        what = f"{count_of(len(train), 'measured condition')} of it"
        unsaid = _unsaid(test, others, nowhere) + note_left_out((c.perturbation for c in left_out), f"in {context} ")
        left_out += nowhere
    else:
        left_out = ()
        n_cells = LONG_TAIL_CELLS if settings.n_cells is None else settings.n_cells
        train, test, cells = _n_cells(data, inside, n_cells, settings, "test")
        if not test:
            msg = f"no perturbed condition of {context} has more than {count_of(n_cells, 'cell')}, so none is left to test: keep fewer with --n-cells."
            raise SplitError(msg)
        also, validation, more = _n_cells(data, within, n_cells, settings, "validation")
        cells = {part: (*cells.get(part, ()), *more.get(part, ())) for part in {**cells, **more}}
        what, unsaid = f"{count_of(n_cells, 'cell')} of each of its perturbed conditions", ""
    claim = (
        f"A good score shows that the responses of {context}, a long-tail context, can be predicted from {what}, its control "
        f"cells and the responses of {_contexts(others)}. It says nothing of a context in which nothing was perturbed."
    )
    return Plan(f"few-shot:{context}", claim + unsaid, (*outside, *also, *train), validation, test, left_out, cells)


def _usable(data: Data, context: str) -> str:
    """The context, if it has perturbed and control cells."""
    if context not in data.contexts:
        raise unknown_name(context, "context", data.contexts, SplitError)
    has = {c.is_control for c in data.conditions() if c.context == context}
    if len(has) < 2 and not (isinstance(data, Effects) and False in has):
        lacking = "perturbed" if True in has else "control"
        able = sorted({c.context for c in data.conditions() if not c.is_control})
        others = f"Name one that has them with --context: {join_names(able)}."
        cure = others if True in has else "Add its control cells."
        raise SplitError(f"context {context!r} has no {lacking} cells, so it cannot be held out. {cure}")
    return context


def _inside_and_outside(data: Data, context: str) -> tuple[Conditions, Conditions]:
    everything = perturbed_conditions(data)
    return tuple(c for c in everything if c.context == context), tuple(c for c in everything if c.context != context)


def _validation_context(test: Conditions, others: Conditions, settings: SplitSettings) -> str:
    """Another context that training can spare: no tested perturbation is measured there alone. "" if there is none.

    Where k conditions of it are to stay, it must have more than these.
    """
    if settings.validation == 0:
        return ""
    needed = {c.perturbation for c in test} & {c.perturbation for c in others}
    for context in shuffle({c.context for c in others}, settings.seed, "validation", test[0].context):
        rest = [c for c in others if c.context != context]
        enough = settings.k is None or len(others) - len(rest) > settings.k
        if rest and enough and needed <= {c.perturbation for c in rest}:
            return context
    return ""


def _some(inside: Conditions, options: list[str], n: int) -> list[str]:
    """Up to n of the options (agents, each with all doses and times), such that a condition remains that gives none away."""
    contexts: list[str] = []
    for option in options:
        if len(contexts) < n and assign(inside, perturbations_of(inside, [*contexts, option])).rest:
            contexts.append(option)
    return contexts


def _k_conditions(inside: Conditions, k: int, seed: int, context: str) -> Assignment:
    """All but k conditions are held out; those of the k that contain a held-out one are touched. Raises `SplitError` where there are too few."""
    if k >= len(inside):
        raise SplitError(
            f"{context} has {count_of(len(inside), 'perturbed condition')}: if k = {k} of them stay, none is left to test. "
            f"Use --k {len(inside) - 1} or less, or --n-cells to keep some cells of each condition."
        )
    return assign(inside, shuffle((c.perturbation for c in inside), seed, "few-shot", context)[k:])


def _n_cells(
    data: Data, inside: Conditions, n_cells: int, settings: SplitSettings, part: str
) -> tuple[Conditions, Conditions, dict[str, tuple[str, ...]]]:
    """All conditions, those that were cut, and the names of the cells on both sides."""
    halves = cut(cells_to_cut(data, settings.kind), inside, n_cells, settings.seed)
    names_train = tuple(name for names, _ in halves.values() for name in names)
    held = tuple(name for _, out in halves.values() for name in out)
    return inside, tuple(halves), {"train": names_train, part: held} if halves else {}


def _lonely(context: str, why: str) -> SplitError:
    return SplitError(
        f"{context} is the only context with perturbed cells: {why}. Use --kind unseen-perturbation, "
        "unseen-combination or random-cells, or give data of several contexts."
    )


def _contexts(others: Conditions) -> str:
    names = list(dict.fromkeys(c.context for c in others))
    return f"{count_of(len(names), 'other context')} ({join_names(names)})" if names else "no other context"


def _told_elsewhere(inside: Conditions, others: Conditions, *, by_parts: bool = False) -> tuple[Conditions, Conditions]:
    """Conditions whose perturbation, or every part of it, other contexts have, and the rest; all of them where none is so."""

    def names(condition: Condition) -> tuple[str, ...]:
        return condition.parts if by_parts else (condition.agent,)

    measured = {name for c in others for name in names(c)}
    told = tuple(c for c in inside if measured.issuperset(names(c)))
    return (told, tuple(c for c in inside if not measured.issuperset(names(c)))) if told else (inside, ())


def _unsaid(test: Conditions, others: Conditions, nowhere: Conditions) -> str:
    """What a reader must know of perturbations that no other context has, tested or not."""
    only_here = sorted({c.agent for c in test} - {c.agent for c in others})
    names = sorted({c.agent for c in nowhere})
    known = f" No other context has {join_names(only_here)}: a model must know combinations or unseen perturbations."
    left_out = f" Not tested, as no other context has them: {join_names(names)}."
    return known * bool(only_here) + left_out * bool(names)
