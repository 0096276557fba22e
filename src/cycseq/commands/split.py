"""`cycseq split --data DATA.h5ad --kind KIND --out SPLIT.json`, or `--check SPLIT.json` or `--from THEIRS` `[--out CHECKED.json]`."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from cycseq.commands.options import add_data_option
from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say, table
from cycseq.errors import SplitError, count_of
from cycseq.io.files import check_output
from cycseq.split.settings import SplitSettings


def configure(parser: Parser, _words: list[str]) -> None:
    add_data_option(parser)
    parser.add_argument(
        "--out", type=Path, help="JSON file; a folder where several splits are made. Without it they are only shown."
    )
    parser.add_argument(
        "--check",
        type=Path,
        help="Look for mistakes and leakage in this split instead of making one; with --out, write it with the hash of the "
        "data: this makes a split that you wrote yourself (kind, train, test) usable.",
    )
    parser.add_argument(
        "--from",
        type=Path | None,
        help="Take the split that another tool wrote, and check it: PIE's JSON of the test conditions, State's TOML, GEARS' or TxPert's lists (.pkl or .json).",
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_settings(SplitSettings)


def run(options: Namespace) -> None:
    """Make splits, or check one."""
    from cycseq.commands.cells import read_data_plainly, say_choices
    from cycseq.split.leakage import condense_warnings, warnings_of
    from cycseq.split.make import make_splits

    if options.check or getattr(options, "from"):
        _check(options)
        return
    data = read_data_plainly(options.data, options)
    say_choices(options.data, data)
    splits = make_splits(data, settings_of(SplitSettings, options))
    paths = _paths([split.name for split in splits], options.out)
    for path in paths:
        check_output(path, overwrite=options.overwrite)
    for split, path in zip(splits, paths, strict=False):
        split.write(path, overwrite=options.overwrite)
    rows = [(s.name, len(s.train), len(s.validation), len(s.test)) for s in splits]
    table(("split", "train", "validation", "test conditions"), rows)
    say([f"warning: {warning}" for warning in condense_warnings([warnings_of(split, data) for split in splits])])
    say([f"claim: {claim}" for claim in dict.fromkeys(split.claim for split in splits)])
    say([f"wrote {path}" for path in paths])


def _check(options: Namespace) -> None:
    """Say what is wrong with a split, or that nothing is; write it with its hashes where an output is named."""
    from cycseq.commands.cells import read_data_plainly, say_choices
    from cycseq.split.base import Split
    from cycseq.split.leakage import check_leakage
    from cycseq.split.peers.read import read_peer_split

    data = read_data_plainly(options.data, options)
    say_choices(options.data, data)
    if options.out is not None:
        check_output(options.out, overwrite=options.overwrite, endings=(".json",))
    if other := getattr(options, "from"):
        split = read_peer_split(other, data)
        table(
            ("train", "validation", "test", "left out"),
            [tuple(map(len, (split.train, split.validation, split.test, split.left_out)))],
        )
    else:
        read_split = Split.read(options.check, by_hand=True)
        if read_split.data_hash and options.out is None:
            read_split.check_data(data)
        split = replace(read_split, data_hash=data.fingerprint())
    if problems := split.problems(data):
        raise SplitError(f"{split.name}: {'; '.join(problems)}. Fix it, or make it again with cycseq split.")
    all_leaks = check_leakage(split, data)
    say([f"warning: {leak}" for leak in all_leaks if leak.level == "warning"])
    leaks = [str(leak) for leak in all_leaks if leak.level == "leak"]
    if leaks:
        raise SplitError("; ".join(leaks))
    say(f"{split.name}: no leakage found between train, validation and test.")
    if options.out is None:
        if options.check:
            Split.read(options.check).check_data(data)
        return
    split.write(options.out, overwrite=options.overwrite)
    say(f"wrote {options.out}")


def _paths(names: list[str], out: Path | None) -> list[Path]:
    if out is None:
        return []
    if len(names) == 1 and out.suffix == ".json":
        return [out]
    if out.suffix == ".json":
        msg = f"{count_of(len(names), 'split is', 'splits are')} made, but --out {out} is one file: name a folder, or choose one with --context."
        raise SplitError(msg)
    return [out / f"{name.replace(':', '-').replace('/', '-')}.json" for name in names]
