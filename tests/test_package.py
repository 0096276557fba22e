from importlib.util import find_spec

import pytest

import cycseq


@pytest.mark.parametrize("name", cycseq.__all__)
def test_an_exported_name_is_no_module(name):
    assert find_spec(f"cycseq.{name}") is None, "importing the module would take the place of the function"
    assert callable(getattr(cycseq, name))


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cycseq.nothing
