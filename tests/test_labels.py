"""Labels of users' files: aliases, controls, combinations, cells without a label."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cycseq.data.labels import ObsKeys, find_labels
from cycseq.data.usual_names import canonical_perturbation, perturbation_of_guides
from cycseq.errors import DataError

gene = st.text("ABCDEFGHIJKLMNOP0123456789", min_size=1, max_size=6)


def labels(obs: dict[str, list], keys: ObsKeys | None = None, *, drop_unlabelled: bool = False):
    return find_labels(
        pd.DataFrame(obs).rename(index=str), keys or ObsKeys(), default_context="here", drop_unlabelled=drop_unlabelled
    )


@pytest.mark.parametrize(
    ("label", "expected"),
    [("ctrl", "control"), ("A+ctrl", "A"), ("ctrl+A", "A"), ("B+A", "A+B"), (" A ", "A"), ("ctrl+ctrl", "control"),
     ("IFN+", "IFN+"), ("A+A", "A"), ("Control", "control")],
)  # fmt: skip
def test_canonical_perturbation(label: str, expected: str) -> None:
    assert canonical_perturbation(label, ["ctrl"]) == expected


@given(st.lists(gene, min_size=1, max_size=4))
def test_order_and_control_parts_do_not_matter(parts: list[str]) -> None:
    forward, backward = "+".join([*parts, "ctrl"]), "+".join(["ctrl", *reversed(parts)])
    assert canonical_perturbation(forward, ["ctrl"]) == canonical_perturbation(backward, ["ctrl"])
    once = canonical_perturbation(forward, ["ctrl"])
    assert canonical_perturbation(once, ["ctrl"]) == once
    assert once.split("+") == sorted(set(parts))


@pytest.mark.parametrize(
    ("guides", "expected"),
    [("NegCtrl0_NegCtrl0__NegCtrl0_NegCtrl0", "control"), ("KLF1_NegCtrl0__KLF1_NegCtrl0", "KLF1"),
     ("NegCtrl10_BAK1__NegCtrl10_BAK1", "BAK1"), ("KLF1_MAP2K6__KLF1_MAP2K6", "KLF1+MAP2K6")],
)  # fmt: skip
def test_guides_of_geo(guides: str, expected: str) -> None:
    assert perturbation_of_guides(guides) == expected


@pytest.mark.parametrize("control", ["control", "ctrl", "non-targeting", "non_targeting", "NT", "NegCtrl", "DMSO_TF"])
@pytest.mark.parametrize("column", ["perturbation", "condition", "target_gene", "gene", "label", "drug", "Condition"])
def test_usual_names_are_found(column: str, control: str) -> None:
    found = labels({column: [control, "A", "B"], "cell_type": ["x", "y", "x"], "gem_group": [1, 2, 2]})
    assert found.obs["perturbation"].tolist() == ["control", "A", "B"]
    assert found.obs["context"].tolist() == ["x", "y", "x"]
    assert found.obs["batch"].tolist() == ["1", "2", "2"]
    assert found.labelled.all()
    assert repr(column) in found.notes[0]
    assert repr(control) in found.notes[0]


def test_without_context_and_batch_there_is_one_of_each() -> None:
    found = labels({"perturbation": ["control", "A"]})
    assert found.obs["context"].tolist() == ["here", "here"]
    assert found.obs["batch"].nunique() == 1
    assert any("--context-key" in note for note in found.notes)


def test_columns_that_differ_are_refused_and_named() -> None:
    obs = {"condition": ["ctrl", "A", "B"], "perturbation": ["control", "A", "A"]}
    with pytest.raises(DataError, match=r"'perturbation' and 'condition'.*--perturbation-key perturbation") as err:
        labels(obs)
    assert err.value.option == "--perturbation-key perturbation"
    assert labels(obs, ObsKeys(perturbation="condition")).obs["perturbation"].tolist() == ["control", "A", "B"]
    with pytest.raises(DataError, match=r"'cell_line' and 'cell_type'.*--context-key"):
        labels({"perturbation": ["control", "A", "A"], "cell_line": ["p", "q", "q"], "cell_type": ["x", "y", "z"]})


def test_columns_that_say_the_same_in_other_words_agree() -> None:
    """GEARS' `condition` beside a plain `perturbation`: other spellings, same cells."""
    found = labels({"condition": ["ctrl", "A+ctrl", "ctrl+A", "B+A"], "perturbation": ["control", "A", "A", "A+B"]})
    assert found.obs["perturbation"].tolist() == ["control", "A", "A", "A+B"]


def test_a_constant_column_does_not_compete_for_the_context() -> None:
    found = labels({"perturbation": ["control", "A"], "cell_line": ["K562", "K562"], "cell_type": ["x", "y"]})
    assert found.obs["context"].tolist() == ["x", "y"]


def test_unknown_names_are_refused_with_the_nearest() -> None:
    obs = {"perturbation": ["control", "A"], "donor_id": ["d", "e"]}
    with pytest.raises(DataError, match=r"'donorid': did you mean 'donor_id'"):
        labels(obs, ObsKeys(batch="donorid"))
    with pytest.raises(DataError, match=r"no control label in obs\['perturbation'\] 'contrl': did you mean 'control'"):
        labels(obs, ObsKeys(control="contrl"))
    with pytest.raises(DataError, match=r"no obs column names the perturbation.*--perturbation-key.*--labels") as err:
        labels({"sgRNA": ["a", "b", "a", "c"] * 3})
    assert err.value.option == "--perturbation-key sgRNA"


def test_no_control_found_names_the_labels_and_a_likely_one() -> None:
    with pytest.raises(DataError, match=r"no control cells.*\(A, mock_2\).*--control LABEL") as err:
        labels({"perturbation": ["A", "A", "mock_2"]})
    assert err.value.option == "--control mock_2"


def test_several_controls_and_no_control() -> None:
    obs = {"perturbation": ["NT1", "NT2", "A"]}
    assert labels(obs, ObsKeys(control="NT1, NT2")).obs["perturbation"].tolist() == ["control", "control", "A"]
    assert labels(obs, ObsKeys(control="none")).obs["perturbation"].tolist() == ["NT1", "NT2", "A"]
    with pytest.raises(DataError, match="'NT3'"):
        labels(obs, ObsKeys(control="NT1,NT3"))


@pytest.mark.parametrize("nothing", [None, float("nan"), "", " ", "nan", "unassigned", "Multiplet", "doublet", "NA"])
def test_cells_without_a_label(nothing: object) -> None:
    obs = {"perturbation": ["control", nothing, "A"]}
    with pytest.raises(DataError, match=r"1 of 3 cells have no perturbation.*first: 1.*--drop-unlabelled true") as err:
        labels(obs)
    assert err.value.option == "--drop-unlabelled true"
    found = labels(obs, drop_unlabelled=True)
    assert found.labelled.tolist() == [True, False, True]


def test_lists_are_no_labels() -> None:
    obs = {"perturbation": ["control", "G1"], "batch": ["1", ["1", "2"]]}
    with pytest.raises(
        DataError, match=r"obs\['batch'\] holds what no labels can be made of \(unhashable type: 'list'"
    ):
        labels(obs)
    with pytest.raises(DataError, match="no labels can be made of"):
        labels({"perturbation": ["control", "G1"], "well": [["1"], ["2"]]}, ObsKeys(batch="well"))


def test_cells_without_a_context_but_not_without_a_batch() -> None:
    obs = {"perturbation": ["control", "A"], "cell_type": ["x", None], "donor": [None, "d"]}
    with pytest.raises(DataError, match=r"1 of 2 cells have no context in obs\['cell_type'\]"):
        labels(obs)
    found = labels(obs, drop_unlabelled=True)
    assert found.labelled.tolist() == [True, False]
    assert found.obs["batch"].tolist() == ["unknown", "d"]


def test_a_control_called_none_is_a_label() -> None:
    found = labels({"perturbation": ["none", "A"]}, ObsKeys(control="none"))
    assert found.obs["perturbation"].tolist() == ["control", "A"]


def test_combinations_of_scperturb() -> None:
    found = labels({"perturbation": ["control", "A_B", "LONG_NAME", "B_C"], "nperts": [0, 2, 1, 2]})
    assert found.obs["perturbation"].tolist() == ["control", "A+B", "LONG_NAME", "B+C"]
    assert "2 cells" in " ".join(found.notes)


def test_several_doses_of_a_perturbation_are_noted() -> None:
    obs = {"perturbation": ["control", "A", "A", "B"], "dose_value": [0.0, 1.0, 10.0, 1.0]}
    assert any("doses are pooled: 1 perturbation" in note for note in labels(obs).notes)
    obs["dose_value"] = [0.0, 1.0, 1.0, 5.0]
    assert not any("dose" in note for note in labels(obs).notes)
