"""Slices of real data that several modules look at, made once."""

import pytest

from tests.data.slices import slice_emoji, slice_flickr8k


@pytest.fixture(scope="session")
def emoji_root(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("emoji")
    slice_emoji(real_data, folder)
    return folder


@pytest.fixture(scope="session")
def flickr8k_root(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flickr8k")
    slice_flickr8k(real_data, folder)
    return folder
