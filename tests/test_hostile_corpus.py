"""Every input that the fuzzer kept, once more: what was fixed stays fixed. The corpus is small and chosen by coverage."""

import pytest

from hostile import CORPUS, TARGETS, survives


@pytest.mark.parametrize("name", list(TARGETS))
def test_the_corpus_is_read_or_refused(name: str) -> None:
    inputs = [file.read_bytes() for file in sorted((CORPUS / name).glob("*"))]
    assert inputs, f"fuzz/corpus/{name} is empty: python fuzz/run.py --target {name} --keep"
    survives(TARGETS[name], inputs)


def test_the_corpus_is_small() -> None:
    assert sum(file.stat().st_size for file in CORPUS.rglob("*") if file.is_file()) < 1 << 20
