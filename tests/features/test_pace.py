import time

import pytest
import torch

from sklearn_memorability.features._pace import Pace


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def _run(pace, n_images, slow):
    """Take ten times as long where ``side_by_side`` is ``slow``."""
    taken = []
    for block in pace.blocks(n_images):
        taken.append((pace.side_by_side, block))
        time.sleep((block.stop - block.start) * (1e-4 if pace.side_by_side == slow else 1e-5))
    return taken


@pytest.mark.parametrize("slow", [True, False])
def test_the_faster_way_is_taken_and_tried_again(two_threads, slow):
    taken = _run(Pace(torch.device("cpu"), 4), 5000, slow)
    n_slow = sum(block.stop - block.start for way, block in taken if way == slow)
    assert n_slow == 5 * 32
    assert len({way for way, _ in taken}) == 2


@pytest.mark.parametrize("n_images", [1, 63, 64, 100, 1088, 5000])
def test_every_image_is_in_one_block(two_threads, n_images):
    taken = _run(Pace(torch.device("cpu"), 4), n_images, True)
    rows = [row for _, block in taken for row in range(block.start, block.stop)]
    assert rows == list(range(n_images))


def test_there_is_no_choice_on_one_thread_or_elsewhere(two_threads):
    assert [way for way, _ in _run(Pace(torch.device("cuda"), 64), 5000, True)] == [False]
    torch.set_num_threads(1)
    assert [way for way, _ in _run(Pace(torch.device("cpu"), 4), 5000, True)] == [True]
