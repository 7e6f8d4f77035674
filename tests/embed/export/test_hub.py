"""Models to and from the Hugging Face hub, through huggingface_hub, against a small one on loopback."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import TOKEN, HubServer, hub_server
from hub_server import Repository as Kept

from huse.embed.export.push import Repository
from huse.features.companions import write_encoder_state
from huse.features.errors import ExtraError, FitError, HubError
from huse.train.artifact.hub import is_of_hub
from huse.train.artifact.model_files import FILES
from huse.train.artifact.model_folder import load_model
from huse.train.fit import fit_model

IN_TURN = """
import json, sys
from click.testing import CliRunner
from huse.cli import main
results = [CliRunner().invoke(main, words) for words in json.loads(sys.argv[1])]
print(json.dumps([[result.exit_code, result.stdout, result.stderr] for result in results]))
"""

FOLDERS = """
import json, sys
from huse.features.errors import HuseError
from huse.train.artifact.hub import model_folder
told = []
for name in sys.argv[1:]:
    try:
        told.append(str(model_folder(name)))
    except HuseError as error:
        told.append(str(error))
assert "tensorflow" not in sys.modules
print(json.dumps(told))
"""


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as server:
        yield server


def in_turn(hub: HubServer, home: Path, *commands: list[object]) -> list[Any]:
    """The exit code and what is printed of each command, with a token."""
    words = [[str(word) for word in command] for command in commands]
    return hub.python(IN_TURN, json.dumps(words), home=home, HF_TOKEN=TOKEN)  # type: ignore[no-any-return]


def test_models_go_to_the_hub_and_come_back(hub: HubServer, few_model: Path, few_store: Path, tmp_path: Path) -> None:
    model = shutil.copytree(few_model, tmp_path / "model")
    (model / "secrets.txt").write_text("of the user")
    write_encoder_state(model, ["of an encoder that learns"])
    url, out, push = "hf://org/emoji", tmp_path / "out", ["--push", "org/emoji"]
    hub.full = "org/full"
    pushed, measured, here, drawn, examined, wrong, again, newer, full = in_turn(
        hub,
        tmp_path / "home",
        ["export", "card", model, out, *push, "--license", "apache-2.0"],
        ["evaluate", url, few_store, "--json"],
        ["evaluate", model, few_store, "--json"],
        ["plot", url, tmp_path / "history.png", "--history"],
        ["doctor", f"{url}@main", "--json"],
        ["fit", few_store, url],
        ["export", "card", url, tmp_path / "second", "--push", "org/second", "--public"],
        ["export", "card", few_model, tmp_path / "newer", *push, "--name", "other"],
        ["export", "card", few_model, tmp_path / "full", "--push", "org/full"],
    )
    assert pushed[0] == measured[0] == here[0] == drawn[0] == again[0] == newer[0] == 0, (pushed, measured, again)
    first = hub.repositories["org/emoji"]
    assert (first.private, len(first.commits)) == (True, 2)
    (commit, old), (_, new) = first.commits.items()
    assert pushed[1:] == [f"wrote {out}; pushed it: {hub.url}/org/emoji/commit/{commit}\n", ""]
    assert old == {file.name: file.read_bytes() for file in out.iterdir()}
    assert set(old) == {name for name in FILES if (out / name).exists()}
    assert set(old) - set(new) == {"text_encoder.json"}, "what the newer model has not is gone"
    assert 'huse.load("hf://org/emoji")' in (out / "README.md").read_text()
    assert measured[1:] == here[1:]
    assert not again[2], "no bars where nobody sees them"
    assert f'"path": "{tmp_path}/home/hub/models--org--emoji/snapshots/{commit}"' in examined[1]
    assert '"findings": []' in examined[1]
    assert wrong[0] == 1
    assert "hf://org/emoji: is on the hub; name a folder, which push (--push) of huse export card brings" in wrong[2]
    assert not hub.repositories["org/second"].private
    assert load_model(tmp_path / "second").fingerprint == load_model(few_model).fingerprint
    assert full[0] == 1
    assert f"{tmp_path}/full is whole: hf upload org/full {tmp_path}/full pushes it" in full[2]
    assert not hub.repositories["org/full"].commits


def test_what_cannot_be_had_of_the_hub_is_one_line_and_what_was_had_works_offline(
    hub: HubServer, few_model: Path, tmp_path: Path
) -> None:
    files = {file.name: file.read_bytes() for file in few_model.iterdir()} | {"secrets.txt": b"large"}
    old, new = "a" * 40, "b" * 40
    hub.repositories["org/open"] = Kept(False, {old: files, new: files})
    hub.repositories["org/own"] = Kept(True, {old: files})
    home = tmp_path / "home"
    names = ("hf://org/open", f"hf://org/open@{old}", "hf://org/none", "hf://org/open@v9", "hf://org/own")
    newest, older, none, no_revision, private = hub.python(FOLDERS, *names, home=home)
    assert [newest, older] == [f"{home}/hub/models--org--open/snapshots/{commit}" for commit in (new, old)]
    assert {file.name for file in Path(newest).iterdir()} == set(files) - {"secrets.txt"}
    for told in (none, private):
        assert told.endswith(
            "there is no such model, or none that may be read; check the name, and HF_TOKEN if it is private"
        )
    assert no_revision == "hf://org/open@v9: there is no revision v9; name a branch, a tag or a commit"
    (own,) = hub.python(FOLDERS, "hf://org/own", home=home, HF_TOKEN=TOKEN)
    assert Path(own).is_dir()

    hub.requests.clear()
    found, not_here = hub.python(FOLDERS, "hf://org/open", "hf://org/other", home=home, HF_HUB_OFFLINE="1")
    assert found == newest
    assert not_here.startswith("hf://org/other: cannot be had (")
    assert not_here.endswith("); check the network, or name a folder")
    assert not hub.requests
    hub.shutdown()
    hub.server_close()
    found, not_here = hub.python(FOLDERS, "hf://org/open", "hf://org/other", home=home)
    assert found == newest
    assert not_here.startswith("hf://org/other: cannot be had (")


def test_what_is_wrong_with_a_push_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("name", "a/b/c", "hf://org/name", "../name", "org/", ""):
        with pytest.raises(HubError, match=r"is no repository; write ORG/NAME"):
            Repository(wrong).require_usable()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "huggingface_hub", None)
        for attempt in (lambda: load_model("hf://org/name"), Repository("org/name").require_usable):
            with pytest.raises(ExtraError, match=r"needs huggingface_hub: pip install 'huse\[hub\]'"):
                attempt()
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(HubError, match="there is no token; set HF_TOKEN, or run hf auth login"):
        Repository("org/name").require_usable()
    with pytest.raises(FitError, match="is on the hub; name a folder"):
        fit_model("store", "hf://org/name")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *(("hf://org/name", True), ("hf://org/na-me.2@v1", True), ("hf://org/name@refs/pr/1", True)),
        *(("hf://datasets/name", False), ("hf://org/name/deeper", False), ("hf://name", False), ("org/name", False)),
    ],
)
def test_models_of_the_hub_by_their_names(name: str, is_one: bool) -> None:
    assert is_of_hub(name) is is_one
