"""The parts of the image-recognition scenario that need no model."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from leakhunt.errors import BadFile, CannotWrite, UsageError

FOLDER = Path(__file__).parents[3] / "scenarios" / "image_recognition"
sys.path.insert(0, str(FOLDER))

import image_recognition_images as images  # noqa: E402
import image_recognition_weights as weights  # noqa: E402

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")


def picture(path: Path, size: tuple[int, int] = (40, 30)) -> Path:
    Image.new("RGB", size, "teal").save(path)
    return path


def sizes_of(uploads: images.Uploads, calls: int) -> list[tuple[int, int]]:
    sizes = []
    for call in range(calls):
        with Image.open(uploads.file(call)) as image:
            assert image.format == "JPEG"
            sizes.append(image.size)
    return sizes


def test_the_same_seed_gives_the_same_uploads(tmp_path: Path) -> None:
    first = images.Uploads((), 0, tmp_path).file(7).read_bytes()
    assert images.Uploads((), 0, tmp_path).file(7).read_bytes() == first
    assert images.Uploads((), 1, tmp_path).file(7).read_bytes() != first


def test_uploads_are_of_sizes_of_their_own_within_the_bounds(tmp_path: Path) -> None:
    sizes = sizes_of(images.Uploads((), 0, tmp_path), 12)
    assert len(set(sizes)) == len(sizes)
    for side in np.ravel(sizes):
        assert images.SHORTEST_SIDE <= side <= images.LONGEST_SIDE


def test_an_upload_is_gone_when_the_next_one_comes(tmp_path: Path) -> None:
    uploads = images.Uploads((), 0, tmp_path)
    first = uploads.file(0)
    second = uploads.file(1)
    assert second.exists() and not first.exists()
    assert list(tmp_path.iterdir()) == [second]


def test_the_users_images_come_in_turn_and_are_never_removed(tmp_path: Path) -> None:
    mine = tmp_path / "<script>$x^2$ 图"
    mine.mkdir()
    for name in ("b.png", "a.jpg"):
        picture(mine / name)
    (mine / "notes.txt").write_text("no image")
    files = images.pictures(str(mine))
    assert [file.name for file in files] == ["a.jpg", "b.png"]
    uploads = images.Uploads(files, 0, tmp_path)
    assert [uploads.file(call).name for call in range(3)] == ["a.jpg", "b.png", "a.jpg"]
    assert all(file.exists() for file in files)


def test_images_that_are_none_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="file or folder not found"):
        images.pictures(str(tmp_path / "missing"))
    with pytest.raises(BadFile, match=r"no \.jpg.* file in this folder"):
        images.pictures(str(tmp_path))
    text = tmp_path / "text.jpg"
    text.write_text("this is no image\n")
    with pytest.raises(BadFile, match=r"text\.jpg: not readable as an image \(no image\)"):
        images.pictures(str(text))


def test_a_file_that_was_cut_off_is_found_before_the_run(tmp_path: Path) -> None:
    whole = io.BytesIO()
    images.scene(0).save(whole, "JPEG")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.getvalue()[:5000])
    with pytest.raises(BadFile, match="truncated"):
        images.pictures(str(cut))


def test_an_image_that_is_a_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = picture(tmp_path / "large.png", (100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(BadFile, match="decompression bomb"):
        images.pictures(str(large))


def test_every_class_has_a_chinese_label_of_its_own_in_the_second_column() -> None:
    lines = weights.meta_info().splitlines()
    assert len(lines) == weights.CLASSES == 54_092
    rows = [line.split("\t") for line in lines]
    assert [number for number, _ in rows] == [str(index) for index in range(len(rows))]
    labels = [label for _, label in rows]
    assert len(set(labels)) == len(labels)
    assert all("\u4e00" <= sign <= "\u9fff" for label in labels for sign in label)


@needs_torch
def test_stand_in_filters_are_the_same_every_time_and_sum_to_zero() -> None:
    shapes = {"a.weight": (8, 3, 3, 3), "a.running_var": (8,), "n.num_batches_tracked": ()}
    tensors = weights.stand_in_tensors(shapes)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == shapes
    filters = tensors["a.weight"].double()
    assert filters.sum(dim=(1, 2, 3)).abs().max() < 1e-5
    assert float(filters.var()) == pytest.approx(2 / 27, rel=0.2)
    assert weights.checksum(tensors) == weights.checksum(weights.stand_in_tensors(shapes))
    tensors["a.weight"][0, 0, 0, 0] += 1
    assert weights.checksum(tensors) != weights.checksum(weights.stand_in_tensors(shapes))


@needs_torch
def test_weights_that_do_not_fit_the_network_are_refused() -> None:
    import torch

    network = torch.nn.BatchNorm2d(4)
    whole = dict(network.state_dict())
    weights.check_loaded(whole, network)
    del whole["num_batches_tracked"]  # nothing in inference reads it
    weights.check_loaded(whole, network)
    with pytest.raises(BadFile, match="no fitting bias"):
        weights.check_loaded(whole | {"bias": torch.zeros(5)}, network)
    del whole["weight"]
    with pytest.raises(BadFile, match="no fitting weight"):
        weights.check_loaded(whole, network)


@needs_torch
@pytest.mark.parametrize("zipped", [True, False])
def test_names_are_read_as_the_pipeline_reads_them(tmp_path: Path, zipped: bool) -> None:
    import torch

    content = {"state_dict": {"module.fc.bias": torch.ones(3), "epoch": 7}}
    torch.save(content, tmp_path / weights.WEIGHTS, _use_new_zipfile_serialization=zipped)
    tensors = weights.stored(tmp_path)
    assert list(tensors) == ["fc.bias"]
    assert tensors["fc.bias"].tolist() == [1, 1, 1]


@needs_torch
def test_a_disk_without_room_for_the_stand_in_is_told_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=50_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(CannotWrite, match="need 640 MB and 50 MB are free"):
        weights.obtain("stand-in", tmp_path)
    assert not list(tmp_path.iterdir())


@needs_torch
def test_a_model_directory_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    import torch

    with pytest.raises(UsageError, match="directory not found"):
        weights.obtain(str(tmp_path / "missing"), tmp_path)
    with pytest.raises(BadFile, match=r"no configuration\.json"):
        weights.obtain(str(tmp_path), tmp_path)
    (tmp_path / "configuration.json").write_text("{}")
    (tmp_path / weights.LABELS).write_text(weights.meta_info(3))
    (tmp_path / weights.WEIGHTS).write_bytes(b"not weights")
    with pytest.raises(BadFile, match="not readable as weights"):
        weights.obtain(str(tmp_path), tmp_path)
    torch.save([torch.ones(3)], tmp_path / weights.WEIGHTS)
    with pytest.raises(BadFile, match="no tensors by name"):
        weights.obtain(str(tmp_path), tmp_path)
