"""``ganlm sample``: what it prints and refuses."""

import json

import pytest

from ganlm_core.bundle import load


def test_command_sample(command, saved, host):
    texts = load.load(saved, host).sample(4, seed=3, top_k=2)
    code, out, err = command("sample", saved, "-n", 4, "--seed", 3, "--top-k", 2)
    assert (code, out.split("\n"), err) == (0, [*texts, ""], "")
    texts = load.load(saved, host).sample(4, prompt="the")
    assert command("sample", saved, "-n", 4, "--prompt", "the") == (0, "".join(f"{text}\n" for text in texts), "")
    code, out, _ = command("sample", saved, "-n", 4, "--prompt", "the", "--json")
    assert [json.loads(line)["text"] for line in out.splitlines()] == texts


def test_command_sample_refuses(command, saved, tmp_path):
    assert command("sample", tmp_path)[0] == 4
    code, _, err = command("sample", saved, "--top-p", 2)
    assert code == 2 and "--top-p" in err
    code, _, err = command("sample", saved, "--device", "abacus")
    assert code == 2 and "there is no device 'abacus'" in err


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("the yak", "the vocabulary has no 'yak'; take other words for the prompt"),
        (
            "the cat the cat the cat",
            "the prompt has 6 tokens, and a sequence of this generator has 6 at most; give a shorter one",
        ),
    ],
)
def test_command_sample_refuses_a_prompt(command, saved, prompt, message):
    assert command("sample", saved, "--prompt", prompt) == (2, "", f"ganlm: error: {message}\n")
