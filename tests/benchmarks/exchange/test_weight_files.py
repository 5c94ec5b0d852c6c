"""Files of weights that are damaged, too large, or more than weights: one line, and nothing runs."""

import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch

from cgbench.benchmarks.exchange import weight_files
from cgbench.benchmarks.exchange.weight_files import read_weight_file
from cgbench.errors import CgbenchError

STATE = {"model.1.weight": torch.ones(2, 3), "model.1.num_batches_tracked": torch.tensor(4)}


class Code:
    """What a pickle can run when it is read."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def refused(path, message):
    with pytest.raises(CgbenchError) as caught:
        read_weight_file(path)
    assert caught.value.exit_code == 2
    assert message in str(caught.value), str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def saved(path, content, **options):
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("old", [False, True])
def test_both_formats_of_pytorch(tmp_path, old):
    path = saved(tmp_path / "net.pth", STATE, _use_new_zipfile_serialization=not old)
    file = read_weight_file(path)
    assert file.converted == () and len(file.sha256) == 64
    assert file.states[""].keys() == STATE.keys()
    assert all(torch.equal(file.states[""][name], tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize("old", [False, True])
def test_code_is_not_run(tmp_path, old):
    content = {"state_dict": STATE, "options": Code(tmp_path / "written")}
    path = saved(tmp_path / "net.pth", content, _use_new_zipfile_serialization=not old)
    refused(path, "holds more than tensors")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Code(tmp_path / "written")))
    refused(tmp_path / "plain.pth", "holds more than tensors")
    assert not (tmp_path / "written").exists()


def test_a_whole_module_is_refused(tmp_path):
    refused(saved(tmp_path / "net.pth", torch.nn.Conv2d(3, 4, 3)), "holds more than tensors")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(10**6))
    refused(path, "times its size, at most 4 times")
    monkeypatch.setattr(weight_files, "MAX_BYTES", 10**5)
    refused(path, "unpacks to")
    path.write_bytes(bytes(10**5 + 1))
    refused(path, "at most")


def test_a_view_that_repeats_a_number_without_end_is_refused(tmp_path):
    refused(saved(tmp_path / "net.pth", {"weight": torch.ones(1).expand(10**10)}), "10,000,000,000 numbers, at most")


@pytest.mark.parametrize(("content", "message"), [
    (b"a text\n", "no file of weights"), (b"", "no file of weights"), (b"\x80\x02torn", "damaged"),
    (b"PK\x03\x04torn", "damaged"),
])  # fmt: skip
def test_files_that_are_none_of_weights(tmp_path, content, message):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    refused(path, message)


def test_a_torn_archive_and_torn_safetensors(tmp_path):
    whole = saved(tmp_path / "net.pth", STATE).read_bytes()
    (tmp_path / "net.pth").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "net.pth", "damaged")
    path = tmp_path / "net.safetensors"
    for content in (b"", b"text", struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 2) + b"{"):
        path.write_bytes(content)
        refused(path, "damaged")


def test_what_is_no_file(tmp_path):
    refused(tmp_path, "is a folder")
    refused(tmp_path / "absent.pth", "cannot be read")


@pytest.mark.parametrize(("content", "message"), [
    ({}, "an empty dictionary"), ([torch.ones(2)], "a list"), (torch.ones(2), "a Tensor"),
    ({"epoch": 3}, "'epoch' is a int and no tensor"), ({"state_dict": {}}, "an empty dictionary"),
    ({3: torch.ones(2)}, "'3' is a Tensor"), ({"a": STATE, "b": {}}, "an empty dictionary"),
    ({"weight": torch.tensor([1.0, float("nan")])}, "'weight' holds infinite numbers or NaN"),
    ({"weight": torch.tensor([1e300], dtype=torch.float64)}, "'weight' holds infinite numbers or NaN"),
    ({"weight": torch.ones(2, dtype=torch.int64)}, "'weight' has whole numbers"),
    ({"weight": torch.ones(2, dtype=torch.complex64)}, "no plain tensor"),
    ({"weight": torch.eye(3).to_sparse()}, "no plain tensor"),
    ({"bad\nname": torch.tensor([float("inf")])}, "holds infinite numbers"),
])  # fmt: skip
def test_contents_that_are_no_state_dictionary(tmp_path, content, message):
    refused(saved(tmp_path / "net.pth", content), message)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_are_converted_and_said(tmp_path, dtype):
    file = read_weight_file(saved(tmp_path / "net.pth", {"weight": torch.full((2,), 0.5, dtype=dtype)}))
    assert file.converted == (str(dtype).removeprefix("torch."),)
    assert file.states[""]["weight"].dtype == torch.float32
    assert np.array_equal(file.states[""]["weight"].numpy(), [0.5, 0.5])
