"""Labels of users' files: aliases, controls, combinations, cells without a label."""

import anndata as ad
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cycseq.data.guides import find_guides
from cycseq.data.labels import find_labels
from cycseq.data.settings import ObsKeys
from cycseq.data.usual_names import canonical_perturbation, kind_of_control, perturbation_of_guides
from cycseq.errors import DataError, SettingsError

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


def test_a_column_that_is_named_as_context_is_no_batch() -> None:
    obs = pd.DataFrame({"condition": ["ctrl", "a"] * 4, "patient_id": ["p1", "p1", "p2", "p2"] * 2})
    labels = find_labels(obs, ObsKeys(context="patient_id"), default_context="all")
    assert labels.obs["context"].nunique() == 2
    assert labels.obs["batch"].nunique() == 1
    grouped = obs.assign(gem_group=[1, 2] * 4)
    assert find_labels(grouped, ObsKeys(context="patient_id"), default_context="all").obs[
        "batch"
    ].unique().tolist() == ["1", "2"]


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
    with pytest.raises(DataError, match="no control cells") as err:
        labels({"perturbation": ["GATA1", "NTRK1", "EV"]})
    assert err.value.option == "--control LABEL"  # no gene is proposed as a control


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
    with pytest.raises(DataError, match=r"obs\['batch'\] holds what no labels can be made of \(a list\)"):
        labels(obs)
    for of_tuples in (["control", ("G1", "G2")], pd.Categorical(["control", ("G1", "G2")])):
        with pytest.raises(DataError, match=r"obs\['perturbation'\] holds what no labels can be made of \(a tuple\)"):
            labels({"perturbation": of_tuples}, ObsKeys(control="control"))
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


SIX = ["non-targeting_1", "non-targeting_2", "non-targeting_3", "NTC-4", "A", "B"]


@pytest.mark.parametrize(
    ("label", "kind"),
    [("NTC-1", "non-targeting"), ("non_targeting_12", "non-targeting"), ("sgNT_3", "non-targeting"), ("NTg4", "non-targeting"),
     ("neg_ctrl_7", "non-targeting"), ("scramble", "non-targeting"), ("NegCtrl0", "non-targeting"), ("Ctrl 2", "control"),
     ("safe-targeting", "safe-targeting"), ("safe-targeting-g12", "safe-targeting"), ("DMSO", "vehicle"),
     ("untreated", "untreated"), ("Untreated control", "untreated"), ("NT5E", None), ("CTRB1", None), ("TARGET", None),
     ("NTRK1", None), ("SINTC", "non-targeting"), ("siCtrl", "control"), ("shScr", "non-targeting"), ("NT_ctrl", "non-targeting"),
     ("NonTargeting_Human_0001", "non-targeting"), ("DMSO 0.1%", "vehicle"), ("DMSO_0h", "vehicle"), ("DMSO_24h", "vehicle"),
     ("unperturbed (control)", "untreated"), ("control (DMSO)", "control"), ("non-targeting+NTC_2", "non-targeting"),
     ("non-targeting+KLF1", None), ("empty vector", "empty vector"), ("no_guide", "empty vector"), ("SHH", None), ("SIRT1", None),
     ("NEGR1", None), ("PBSN", None), ("VEGFA", None), ("WTAP", None), ("SCRIB", None), ("LUC7L", None), ("CTRL", "control")],
)  # fmt: skip
def test_kinds_of_controls(label: str, kind: str | None) -> None:
    """Genes whose symbols begin as controls do (NT5E, CTRB1) are none."""
    assert kind_of_control(label) == kind


def test_numbered_controls_of_one_kind_are_one_control_and_that_is_said() -> None:
    found = labels({"perturbation": SIX})
    assert found.obs["perturbation"].tolist() == ["control"] * 4 + ["A", "B"]
    assert "(4 cells), 4 labels pooled (all are non-targeting" in found.notes[0]


def test_controls_of_different_kinds_are_asked_for() -> None:
    obs = {"drug": ["DMSO", "DMSO", "untreated", "A"]}
    with pytest.raises(DataError, match=r"vehicle: 'DMSO' \(2 cells\); untreated: 'untreated' \(1 cell\)") as err:
        labels(obs)
    for command in ("--control DMSO,", "--control untreated;", "--control DMSO,untreated to pool"):
        assert command in str(err.value)
    assert err.value.option == "--control DMSO"
    pooled = labels(obs, ObsKeys(control=("DMSO", "untreated")))
    assert pooled.obs["perturbation"].tolist() == ["control"] * 3 + ["A"]
    assert "2 labels pooled" in pooled.notes[0]


def test_a_control_that_was_not_named_is_left_out_or_kept_and_either_is_said() -> None:
    obs = {"drug": ["DMSO", "untreated", "untreated", "A"]}
    found = labels(obs, ObsKeys(control="DMSO"))
    assert found.labelled.tolist() == [True, False, False, True]
    assert found.n_other_controls == 2
    assert "2 cells were left out (--control DMSO,untreated pools them; --other-controls keep" in found.notes[1]
    kept = labels(obs, ObsKeys(control="DMSO", other_controls="keep"))
    assert kept.labelled.all()
    assert kept.obs["perturbation"].tolist() == ["control", "untreated", "untreated", "A"]
    assert "kept as a perturbation" in kept.notes[1]


def test_controls_by_a_pattern() -> None:
    found = labels({"perturbation": SIX}, ObsKeys(control="non-targeting*,NTC-4"))
    assert found.obs["perturbation"].tolist() == ["control"] * 4 + ["A", "B"]
    with pytest.raises(DataError, match="'safe"):
        labels({"perturbation": SIX}, ObsKeys(control="safe*"))
    obs = {"perturbation": [*(f"non-targeting_{i}" for i in range(20)), "DMSO", "A"]}
    with pytest.raises(
        DataError, match=r"--control 'non-targeting_\*', or --control DMSO; or --control 'non-targeting_\*,"
    ):
        labels(obs)


def test_a_kind_that_may_be_a_perturbation_is_asked_for() -> None:
    for label in ("GFP", "AAVS1", "WT", "mock"):
        with pytest.raises(DataError, match="no control cells") as err:
            labels({"perturbation": ["A", label, "B"]})
        assert err.value.option == f"--control {label}"


@pytest.mark.parametrize(
    ("guides", "gene"),
    [(["KLF1_g1", "KLF1_g2"], "KLF1"), (["KLF1-sg1", "KLF1-sg2"], "KLF1"), (["sgKLF1_1", "sgKLF1_2"], "KLF1"),
     (["KLF1_guide2"], "KLF1"), (["KLF1_1", "KLF1_2"], "KLF1"), (["KLF1-1"], "KLF1"), (["IFNGR1g1"], "IFNGR1"),
     (["KLF1:g1"], "KLF1"), (["KLF1_guideA", "KLF1_guideB"], "KLF1"), (["g1_KLF1"], "KLF1"), (["KLF1_P1P2_1"], "KLF1"),
     (["KLF1_ACGTACGTACGTACGTACGT"], "KLF1"), (["NKX2-1_sg3"], "NKX2-1"), (["HLA-A_g1"], "HLA-A"), (["KLF1_+_12996.23-P1P2"], "KLF1"), (["Ifngr1g1"], "Ifngr1")],
)  # fmt: skip
def test_guides_are_named_and_joined_only_where_that_is_asked(guides: list[str], gene: str) -> None:
    obs = {"perturbation": ["control", *guides]}
    genes = ["KLF1", "NKX2-1", "HLA-A", "Ifngr1"]
    apart = find_labels(pd.DataFrame(obs).rename(index=str), ObsKeys(), default_context="here", genes=genes)
    assert apart.obs["perturbation"].nunique() == 1 + len(guides)
    assert "labels look like guides" in apart.notes[1]
    assert "--guide-suffix auto" in apart.notes[1]
    keys = ObsKeys(guide_suffix="auto")
    joined = find_labels(pd.DataFrame(obs).rename(index=str), keys, default_context="here", genes=genes)
    assert joined.obs["perturbation"].tolist() == ["control", *[gene] * len(guides)]
    assert f"-> {gene}" in joined.notes[1]


@pytest.mark.parametrize(
    "form", ["{}.a", "{}_i1", "{}(1)", "{}#1", "{} KO", "CRISPRi_{}", "{}_sgRNA_A", "chr19:12884423_{}"]
)
def test_genes_with_something_beside_them(form: str) -> None:
    guides = [form.format(gene) for gene in ("KLF1", "GATA1")]
    obs = pd.DataFrame({"perturbation": ["control", *guides]}, index=list("abc"))
    joined = find_labels(
        obs, ObsKeys(guide_suffix="auto"), default_context="x", drop_unlabelled=False, genes=["KLF1", "GATA1"]
    )
    assert joined.obs["perturbation"].tolist() == ["control", "KLF1", "GATA1"]


@pytest.mark.parametrize("form", ["{}_10nM", "{}_24h", "{}-high", "{}_ctrl"])
def test_doses_times_and_levels_beside_a_gene_are_no_guides(form: str) -> None:
    assert find_guides([form.format(gene) for gene in ("TNF", "IL6")], ["TNF", "IL6"]) == {}


def test_symbols_that_end_as_guides_do_are_no_guides() -> None:
    symbols = ["HLA-A", "NKX2-1", "NKX2-5", "H2-K1", "Rag1", "Rag2", "Reg1", "PEG10", "MT-ND1", "KRTAP5-1", "ERVK3-1"]
    measured = ["HLA-A", "NKX2-1", "Rag1", "KRTAP5-1", "H2"]
    for genes in (measured[:4], [], ["NKX2-1", "NKX2-5", "H2-K1"]):
        found = find_labels(
            pd.DataFrame({"perturbation": ["control", *symbols]}).rename(index=str),
            ObsKeys(),
            default_context="x",
            genes=genes,
        )
        assert not any("guides" in note for note in found.notes), genes
        assert found.obs["perturbation"].tolist() == ["control", *symbols]


def test_guides_in_combinations_and_by_a_pattern() -> None:
    obs = {"perturbation": ["control", "A_x1+B_x2", "A_x2", "NT_1+B_x1"]}
    found = labels(obs, ObsKeys(guide_suffix=r"_x\d+"))
    assert found.obs["perturbation"].tolist() == ["control", "A+B", "A", "B"]
    auto = labels({"perturbation": ["control", "A_g1+B_g2", "B_g1"]}, ObsKeys(guide_suffix="auto"))
    assert auto.obs["perturbation"].tolist() == ["control", "A+B", "B"]
    with pytest.raises(DataError, match=r"--guide-suffix auto fits none of the 2 perturbations \(KLF1, GATA1\)"):
        labels({"perturbation": ["control", "KLF1", "GATA1"]}, ObsKeys(guide_suffix="auto"))
    with pytest.raises(SettingsError, match="not a regular expression"):
        labels(obs, ObsKeys(guide_suffix="_x("))


def test_guides_of_a_real_screen(shared_data) -> None:
    """Papalexi's guides are written IFNGR1g1, and most of the genes are not among the file's."""
    adata = ad.read_h5ad(shared_data("papalexi2021_thp1_eccite.h5ad"), backed="r")
    keys = ObsKeys(perturbation="guide", guide_suffix="auto")
    found = find_labels(adata.obs, keys, default_context="x", genes=set(adata.var_names))
    assert (found.obs["perturbation"].to_numpy() == adata.obs["perturbation"].astype(str).to_numpy()).all()


@pytest.mark.parametrize(
    ("one", "other"), [("Condition", "condition"), ("condition", "treatment"), ("condition", "CONDITION")]
)
def test_two_columns_alike_are_asked_for(one: str, other: str) -> None:
    obs = {one: ["control", "A", "B"], other: ["control", "A", "A"]}
    assert labels({one: obs[one], other: obs[one]}).obs["perturbation"].tolist() == ["control", "A", "B"]
    options = f"--perturbation-key {one} or --perturbation-key {other}"
    with pytest.raises(DataError, match=f"{one!r} and {other!r}, and they differ. Use {options}"):
        labels(obs)
    for column in (one, other):
        assert labels(obs, ObsKeys(perturbation=column)).obs["perturbation"].tolist() == obs[column]


def test_two_contexts_alike_are_asked_for() -> None:
    obs = {"perturbation": ["control", "A"], "Cell_Type": ["x", "y"], "cell_type": ["x", "x"]}
    assert set(labels(obs).obs["context"]) == {"x", "y"}  # a column of one value tells nothing
    obs = {"perturbation": ["control"] * 3, "Cell_Type": ["x", "y", "y"], "cell_type": ["x", "x", "y"]}
    with pytest.raises(DataError, match="--context-key Cell_Type or --context-key cell_type"):
        labels(obs)


@pytest.mark.parametrize(
    "column", ["time", "timepoint", "Hours", "time_min", "timepoint_hr", "hours_post", "stim_time"]
)
def test_pooled_times_are_noted_and_can_be_kept_apart(column: str) -> None:
    obs = {"perturbation": ["control", "A"] * 2, "cell_line": ["K562"] * 4, column: [6.0, 6.0, 24.0, 24.0]}
    (note,) = (note for note in labels(obs).notes if "pooled" in note)
    assert (
        note
        == f"times are pooled: obs['{column}'] has 2 levels (6.0, 24.0); --split-by {column} makes a context of each"
    )
    found = labels(obs, ObsKeys(split_by=column))
    assert found.obs["context"].tolist() == [f"K562_{column}_{hours}" for hours in (6, 6, 24, 24)]
    assert not any("pooled" in note for note in found.notes)
    assert not any("pooled" in note for note in labels({**obs, column: [6.0] * 4}).notes)
    with pytest.raises(DataError, match=f"1 of 4 cells have no level in obs..{column}"):
        labels({**obs, column: [6.0, 6.0, 24.0, None]}, ObsKeys(split_by=column))
    with pytest.raises(DataError, match=f"did you mean {column!r}"):
        labels(obs, ObsKeys(split_by=column[:-1] + "x"))


@pytest.mark.parametrize("said", ["0", "0.0", "00"])
def test_a_control_that_is_a_number(said: str) -> None:
    found = labels({"perturbation": [0.0, 1.0, 2.5]}, ObsKeys(control=said))
    assert found.obs["perturbation"].tolist() == ["control", "1.0", "2.5"]


@pytest.mark.parametrize("sign", ["_", ",", ";", "|", " & ", "/", ":"])
def test_combinations_that_are_joined_by_another_sign_are_said(sign: str) -> None:
    obs = pd.DataFrame({"perturbation": ["control", f"KLF1{sign}BAK1", f"control{sign}BAK1", "KLF1"]}).rename(index=str)
    found = find_labels(obs, ObsKeys(), default_context="x", genes=["KLF1", "BAK1"])
    note = next(note for note in found.notes if "look like combinations" in note)
    assert "(2 labels)" in note
    assert "write KLF1+BAK1" in note
    drugs = labels({"perturbation": ["DMSO", "JQ1", "TSA", f"JQ1{sign}TSA"]})
    assert any("look like combinations" in note for note in drugs.notes)
    for name in (f"JQ1{sign}other", "HLA-A", "NKX2-1", "10 uM"):
        assert not any("combinations" in note for note in labels({"perturbation": ["DMSO", "JQ1", name]}).notes)


def test_labels_that_differ_in_case_alone_are_said() -> None:
    obs = {"drug": ["DMSO", "JQ1", "jq1"] * 2, "cell_line": ["K562"] * 3 + ["k562"] * 3}
    notes = " ".join(labels(obs).notes)
    assert "perturbations differ in upper and lower case alone (JQ1, jq1)" in notes
    assert "contexts differ in upper and lower case alone (K562, k562)" in notes
    assert "case alone" not in " ".join(labels({"drug": ["DMSO", "JQ1"], "cell_line": ["K562", "RPE1"]}).notes)
