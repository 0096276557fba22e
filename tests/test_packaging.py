"""What is built can be installed: the wheel holds what the package needs, and says what it needs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from built import is_fresh
from pages import ROOT

PACKAGE = ROOT / "src" / "cycseq"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made from it: by `make package`, or here; nothing is downloaded."""
    made = ROOT / "dist"
    if any(is_fresh(wheel) for wheel in made.glob("*.whl")):
        return made
    if find_spec("build") is None or find_spec("hatchling") is None:
        pytest.skip("pip install 'cycseq[dev]' builds the wheel")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_wheel_holds_every_file_of_the_package(built):
    (wheel,) = built.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("cycseq/")}
    there = {
        f"cycseq/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == there
    assert {
        "cycseq/py.typed",
        "cycseq/show/report/templates/base.html",
        "cycseq/show/report/templates/table.js",
    } <= inside


def test_the_wheel_says_what_it_needs(built):
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = (n for n in archive.namelist() if n.endswith("METADATA"))
    told = Parser().parsestr(archive.read(name).decode())
    assert set(told.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    assert {"combat", "dev", "docs", "networks", "umap"} <= set(PROJECT["optional-dependencies"])
    plain = [line for line in told.get_all("Requires-Dist") if "extra ==" not in line]
    assert len(plain) == len(PROJECT["dependencies"])
    assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


def test_the_sdist_can_be_tested_and_cited(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "CITATION.cff", "constraints.txt", "tests/conftest.py", "docs/conf.py"} <= inside
    assert not any(name.endswith(".h5ad") or "_build" in name for name in inside)


def test_a_plain_import_imports_nothing_heavy():
    told = subprocess.run(
        [sys.executable, "-c", "import sys, cycseq, cycseq.cli; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"numpy", "pandas", "anndata", "torch", "sklearn", "matplotlib", "yaml"}
    assert not heavy & set(told.stdout.split())


def test_what_is_imported_is_among_the_dependencies():
    """A package that another happens to bring today may not come tomorrow."""
    told = [*PROJECT["dependencies"], *(d for extra in PROJECT["optional-dependencies"].values() for d in extra)]
    named = {re.match(r"[\w.-]+", dependency)[0].lower().replace("_", "-") for dependency in told}
    owner = packages_distributions()
    lacking = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in {n.partition(".")[0] for n in names} - set(sys.stdlib_module_names) - {"cycseq"}:
                if not {d.lower().replace("_", "-") for d in owner.get(name, [name])} & named:
                    lacking.add(f"{path.name}: {name}")
    assert not lacking


def test_the_citation_has_this_version():
    cited = (ROOT / "CITATION.cff").read_text()
    assert f"version: {PROJECT['version']}\n" in cited
    assert "IJCAI 2025" in cited


def test_the_conda_recipe_needs_what_the_wheel_needs():
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text())
    _, *needed = recipe["requirements"]["run"]
    assert [name.replace(" ", "") for name in needed] == [name.lower() for name in PROJECT["dependencies"]]
    assert recipe["context"]["version"] == PROJECT["version"]
    assert PROJECT["requires-python"].endswith(recipe["context"]["python_min"])
    (command,) = recipe["build"]["python"]["entry_points"]
    assert command == f"cycseq = {PROJECT['scripts']['cycseq']}"


def test_the_conda_recipe_keeps_the_rules_of_conda_forge():
    """Those of conda-smithy's LINTER.md that a recipe beside its source can keep; a feedstock adds the rest, as the recipe says.

    The linter itself is not on the package index.
    """
    text = (ROOT / "conda" / "recipe.yaml").read_text()
    recipe = yaml.safe_load(text)
    order = ["schema_version", "context", "package", "source", "build", "requirements", "tests", "about", "extra"]
    assert list(recipe) == [section for section in order if section in recipe]
    assert {"homepage", "summary", "license", "license_file"} <= set(recipe["about"])
    assert PROJECT["urls"]["Documentation"] == recipe["about"]["homepage"]
    assert (recipe["about"]["license"], recipe["about"]["license_file"]) == (
        PROJECT["license"],
        "LICENSE",
    )
    assert recipe["tests"]
    assert isinstance(recipe["build"]["number"], int)
    assert list(recipe["requirements"]) == ["host", "run"]
    assert text.endswith("LICENSE\n")
    assert re.fullmatch("[a-z0-9_.-]+", recipe["package"]["name"])
    assert isinstance(recipe["context"]["version"], str)
    assert isinstance(recipe["context"]["python_min"], str)
    assert recipe["build"]["noarch"] == "python"
    for spec in (*recipe["requirements"]["host"], *recipe["requirements"]["run"]):
        assert re.fullmatch(r"[a-z0-9-]+( (>=|<|=|\$)\S.*)?", spec), spec
        assert "> " not in spec
    assert not re.search(r"\$\{\{(?! )|(?<! )\}\}", text)
    host, run = (recipe["requirements"][part][0] for part in ("host", "run"))
    assert (host, run) == ("python ${{ python_min }}.*", "python >=${{ python_min }}")
    assert recipe["tests"][0]["python"]["python_version"] == "${{ python_min }}.*"
    assert "hatchling" in recipe["requirements"]["host"]
    assert "pip install" in recipe["build"]["script"]


def test_the_conda_recipe_is_rendered_by_the_tool_that_builds_it():
    rattler_build = pytest.importorskip("rattler_build", reason="pip install 'cycseq[dev]' brings py-rattler-build")
    recipe = rattler_build.Stage0Recipe.from_file(str(ROOT / "conda" / "recipe.yaml"))
    (package,) = recipe.render(rattler_build.VariantConfig())
    assert "cycseq" in repr(package)
    assert PROJECT["version"] in repr(package)


def test_the_container_is_given_what_it_copies():
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names == allowed
    assert all((ROOT / name).exists() for name in names)
