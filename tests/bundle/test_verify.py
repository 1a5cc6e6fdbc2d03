"""Verification: every file and every tensor."""

import pytest
import torch
from safetensors.torch import load_file

from ganlm_core.bundle import load
from ganlm_core.bundle.verify import open_bundle, verify
from ganlm_core.errors import WeightsError
from tests.bundles import files_of, refused, rewrite, write


def test_verify_names_every_file_but_the_card(saved, host):
    details = {check.name: check.detail for check in verify(saved, host)}
    assert details.keys() == files_of(saved).keys() - {"README.md"}
    assert details["SHA256SUMS"] == "9 files are as they were saved"
    assert details["selftest.json"] == "identical"


@pytest.mark.parametrize("name", ["README.md", "recipe.toml", "selftest.json"])
def test_verify_also_checks_what_loading_does_not_read(copy, host, name):
    with (copy / name).open("a") as file:
        file.write(" ")
    load.load(copy, host)
    with pytest.raises(WeightsError, match=f"{name} was changed or damaged"):
        verify(copy, host)


def test_hidden_files_are_ignored(copy, host):
    """Git and the tools that fetch bundles leave them."""
    (copy / ".gitattributes").write_text("* -text\n")
    assert len(verify(copy, host)) == 9
    (copy / "notes.txt").write_text("")
    with pytest.raises(WeightsError, match=r"has 'notes\.txt', which SHA256SUMS does not list; remove it or fetch"):
        verify(copy, host)


def to_dtype(dtype):
    return lambda tensors: tensors.update({name: tensor.to(dtype) for name, tensor in tensors.items()})


@pytest.mark.parametrize(("dtype", "name"), [(torch.bfloat16, "BF16"), (torch.float16, "F16")])
def test_weights_of_16_bits_load_as_float32(copy, host, dtype, name):
    before = load_file(copy / "generator.safetensors")
    rewrite(copy, "generator.safetensors", to_dtype(dtype))
    model = load.load(copy, host)
    for key, tensor in model.generator.state_dict().items():
        assert tensor.dtype == torch.float32 and tensor.equal(before[key].to(dtype).float())
    assert model.sample(2) and model.score(["a cat"])
    with pytest.raises(WeightsError) as caught:
        verify(copy, host)
    assert str(caught.value).endswith(
        f"when saved; its weights were rounded to {name} after it was saved; use the weights as they were saved"
    )


def test_weights_of_another_dtype_are_not_another_architecture(copy, host):
    rewrite(copy, "generator.safetensors", to_dtype(torch.float64))
    assert refused(copy, host).endswith("and 7 more: only the dtypes differ; convert them back")


def test_line_ends_that_git_or_an_editor_changed_are_explained(copy, host):
    for path in copy.iterdir():
        if path.suffix != ".safetensors":
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    message = (
        "was changed: git (core.autocrlf) or an editor made its line ends CRLF; "
        "fetch or unpack it again, in git with '* -text' in .gitattributes"
    )
    with pytest.raises(WeightsError) as caught:
        verify(copy, host)
    assert str(caught.value) == f"{copy}/README.md {message}"
    with pytest.raises(WeightsError) as caught:
        load.load(copy, host)
    assert str(caught.value) == f"{copy}/config.json {message}"


def test_nothing_else_than_a_weights_error_comes_of_a_bundle_without_bounds(copy, host, monkeypatch):
    for error, message in (
        (RecursionError, "has a file that is nested too deeply; fetch or export it again"),
        (MemoryError, "takes more memory than there is; use a machine with more"),
    ):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr("ganlm_core.bundle.load.Tokenizer.from_json", fail)
        assert refused(copy, host) == f"{copy} {message}"


@pytest.mark.parametrize(
    "text",
    [
        "a=" + "[" * 100_000,
        "a=" + "[" * 1000,
        "a=" + "{b=" * 5000,
        "a" + ".a" * 20_000 + "=1",
        "[" + "a." * 20_000 + "a]\n",
        "a=" + "9" * 5001,
    ],
    ids=["deep array", "array", "inline table", "dotted key", "table", "digits"],
)
def test_a_recipe_beyond_all_bounds(copy, host, text):
    write(copy, "recipe.toml", text)
    with pytest.raises(WeightsError, match=r"recipe\.toml is not valid TOML .*; fetch or export it again$"):
        verify(copy, host)


def test_an_opened_bundle_is_its_folder_and_its_manifest(copy):
    folder, manifest = open_bundle(copy)
    assert folder == copy and manifest.networks == ("generator", "discriminator")
