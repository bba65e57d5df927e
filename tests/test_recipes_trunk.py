import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from course_utils import oracle, recipes, schedules, toybox, training
from course_utils.recipes import components, monitor, vae
from course_utils.recipes.text_encoder import SHORT, tokens_to_the_end
from course_utils.recipes.tiny_sd import ADAMW_RATE, tiny_sd
from course_utils.tiny import text, unet
from course_utils.tiny.worlds import SMALL, WHOLE, captions, degraded, numpy_rng
from course_utils.training import muon


@pytest.fixture(scope="module")
def tokenizer():
    return text.build_tokenizer()


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """The whole recipe, parts and all, tried for three steps."""
    work = tmp_path_factory.mktemp("train")
    return recipes.train("tiny-sd", work=work, steps=3, small=True)


# words


def test_each_word_is_one_token(tokenizer):
    for word in [*toybox.VOCABULARY, *text.MOTIONS]:
        assert len(tokenizer.tokenize(word)) == 1, word


def test_unknown_words_fall_into_pieces_and_come_back(tokenizer):
    for said in ("a zebra on the grass", "un gâteau", "the quick ✿ fox"):
        ids = tokenizer(said).input_ids
        assert tokenizer.unk_token_id not in ids[1:-1]
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == said


def test_captions_come_back_from_their_tokens(tokenizer):
    rng = np.random.default_rng(0)
    for scene in WHOLE.scenes(50, rng):
        said = toybox.describe(scene, rng)
        back = tokenizer.decode(tokenizer(said).input_ids, skip_special_tokens=True)
        assert back.replace(" ,", ",") == said


def test_every_caption_fits(tokenizer):
    rng = np.random.default_rng(1)
    said = captions(WHOLE.scenes(500, rng, things=3), rng)
    assert max(map(len, tokenizer(said).input_ids)) < text.LENGTH


def test_the_specials_are_last_and_the_end_is_not_2(tokenizer):
    assert tokenizer.bos_token_id == len(tokenizer) - 2
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == len(tokenizer) - 1 != 2


def test_the_pooled_token_is_the_first_end(tokenizer):
    encoder = text.build_text_encoder(tokenizer).eval()
    tokens = text.tokenise(tokenizer, ["a red cat"])
    with torch.no_grad():
        out = encoder(tokens)
    assert tokens[0, 4] == tokenizer.eos_token_id
    torch.testing.assert_close(out.pooler_output[0], out.last_hidden_state[0, 4])


def test_merges_join_the_most_frequent_pair_first():
    assert text.merges(["ab", "cab"]) == [("a", "b</w>"), ("c", "ab</w>")]


# scenes


def test_worlds_keep_to_their_toys():
    some = SMALL.scenes(50, np.random.default_rng(0))
    assert {t.toy for s in some for t in s.things} <= set(toybox.SHAPES)
    assert {t.pattern for s in some for t in s.things} == {"plain"}
    assert {len(s.things) for s in some} == {1, 2}
    three = WHOLE.scenes(50, np.random.default_rng(0), things=3)
    assert {len(s.things) for s in three} == {3}


def test_a_fifth_of_the_practice_are_small_faces_if_the_world_has_any():
    some = WHOLE.practice(500, np.random.default_rng(0))
    small = [all(t.mood and t.size == "small" for t in s.things) for s in some]
    assert len(some) == 500 and all(small[:100]) and sum(small[100:]) < 40
    assert len(SMALL.practice(50, np.random.default_rng(0))) == 50


def test_half_of_the_captions_say_all_and_some_hardly_anything():
    scenes = WHOLE.scenes(400, np.random.default_rng(0), things=1)
    said = captions(scenes, np.random.default_rng(1))
    whole = sum(a == b.caption for a, b in zip(said, scenes, strict=True))
    assert 170 < whole < 230
    assert 20 < sum(len(text.split()) <= 4 for text in said) < 80


def test_scenes_depend_on_nothing_but_the_generator():
    draws = [
        WHOLE.scenes(5, numpy_rng(torch.Generator().manual_seed(4))) for _ in range(2)
    ]
    assert draws[0] == draws[1]


def test_degraded_pictures_are_hardly_changed():
    images = toybox.render(SMALL.scenes(20, np.random.default_rng(0)))
    used = degraded(images, torch.Generator().manual_seed(0))
    assert used.shape == images.shape and used.abs().max() <= 1
    assert 0.005 < (used - images).abs().mean() < 0.1


# Muon


def test_orthogonalising_moves_singular_values_to_one_and_keeps_the_vectors():
    matrices = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))
    turned = muon.orthogonalise(matrices)
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    inside = u.mT @ turned @ vh.mT  # diagonal if the singular vectors are the same
    values = inside.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(inside, values.diag_embed(), atol=1e-3, rtol=0)
    assert 0.65 < values.min() < values.max() < 1.25


def test_tall_and_wide_matrices_are_turned_alike():
    matrix = torch.randn(1, 30, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        muon.orthogonalise(matrix), muon.orthogonalise(matrix.mT).mT
    )


def test_the_gram_matrix_gives_what_plain_newton_schulz_gives():
    x = torch.randn(8, 20, generator=torch.Generator().manual_seed(0))
    plain = x / x.norm()
    for _ in range(5):
        gram = plain @ plain.T
        plain = 3.4445 * plain + (-4.7750 * gram + 2.0315 * gram @ gram) @ plain
    torch.testing.assert_close(muon.orthogonalise(x[None])[0], plain, atol=1e-4, rtol=0)


def test_what_muon_does_not_turn_is_adamw():
    ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    optimizers = (
        muon.Muon([{"params": [ours], "muon": False}], lr=0.01),
        torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.99), weight_decay=0),
    )
    for k in range(5):
        for p, optimizer in zip((ours, theirs), optimizers, strict=True):
            p.grad = torch.linspace(-1, 1, 5) * (k - 2)
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_muon_turns_matrices_and_convolutions_but_no_embeddings():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Conv1d(4, 4, 3), nn.LayerNorm(4))
    turned, rest = muon.groups(model, 0.1)
    assert [p.shape for p in turned["params"]] == [(4, 4, 3)]
    assert len(rest["params"]) == 4


def test_a_killed_run_with_muon_goes_on_as_if_it_had_not_been(tmp_path):
    def run(steps, save_to):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
        states = training.train(
            model,
            lambda g, step: (torch.randn(8, 4, generator=g),),
            lambda net, x: (net(x) - x.sum(1, keepdim=True)).square().mean(),
            steps=12,
            optimizer=muon.Muon(muon.groups(model, 0.01)),
            save_to=save_to,
            save_every=1,
        )
        for state in states:
            if state.step == steps:
                return state.model.state_dict()

    whole = run(12, tmp_path / "a.safetensors")
    run(5, tmp_path / "b.safetensors")
    torch.testing.assert_close(run(12, tmp_path / "b.safetensors"), whole)


# losses


def test_the_weight_is_min_snr_for_v_with_a_floor():
    schedule = schedules.linear()
    bar = schedule.alpha_bar
    snr = bar / (1 - bar)
    expected = torch.minimum(snr, torch.tensor(5.0)) / (snr + 1) + 0.5
    torch.testing.assert_close(unet.step_weights(schedule), expected)


def test_steps_drawn_by_weight_give_the_mean_that_uniform_ones_give_with_weights():
    schedule, weights = schedules.linear(), unet.step_weights(schedules.linear())
    error = torch.linspace(1, 3, schedule.T)  # some error at each step
    t = unet.draw_steps(200_000, weights, torch.Generator().manual_seed(0))
    mean = unet.MEAN_WEIGHT * error[t].mean()
    torch.testing.assert_close(mean, (weights * error).mean(), atol=0.005, rtol=0)


def test_a_perfect_prediction_has_no_loss():
    x0, noise = torch.randn(2, 2, 4, 16, 16)
    t, maps = torch.tensor([10, 900]), torch.randn(2, 6, 8, 8)

    def perfect(x_t, t, tokens):
        from course_utils import diffusion

        return diffusion.velocity(x0, noise, t, unet.SCHEDULE), 3 * maps

    loss = unet.trunk_loss(perfect, x0, noise, t, None, maps)
    torch.testing.assert_close(loss, torch.tensor(0.0), atol=1e-6, rtol=0)


def test_whitening_gives_standard_latents_and_changes_no_picture():
    torch.manual_seed(0)
    net = vae.build_vae().eval()
    images = toybox.render(WHOLE.scenes(16, np.random.default_rng(0)))
    with torch.no_grad():
        before = net.encode(images).latent_dist
        drawn = net.decode(before.mean).sample
        vae.whiten(net, images)
        after = net.encode(images).latent_dist
        again = net.decode(after.mean).sample
    torch.testing.assert_close(again, drawn, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(after.mean.mean((0, 2, 3)), torch.zeros(4), **LOOSE)
    torch.testing.assert_close(after.mean.std((0, 2, 3)), torch.ones(4), **LOOSE)
    ratio = before.mean.std((0, 2, 3)).view(1, 4, 1, 1)  # noise shrinks as signal does
    torch.testing.assert_close(after.std * ratio, before.std, **LOOSE)


LOOSE = dict(atol=1e-3, rtol=1e-3)


# the whole


def test_progress_is_shown_at_its_minutes_and_goes_on_after_a_kill(
    tmp_path, monkeypatch
):
    now = iter(range(0, 100_000, 40))  # a step takes 40 seconds
    clock = SimpleNamespace(monotonic=lambda: next(now))
    monkeypatch.setattr(monitor, "time", clock)
    monkeypatch.setattr(monitor, "attribute_scores", lambda *_: {"1 toy": {"all": 1}})

    def draws(model, steps):
        return lambda prompts: torch.zeros(len(prompts), 3, 64, 64)

    def run(first, last):
        states = (training.State(k, 1.0, 0.1, None, None) for k in range(first, last))
        look = monitor.sheet_and_scores(draws, SMALL)
        list(monitor.observed(states, look, tmp_path, every=10))

    run(1, 10)
    with (tmp_path / "progress.jsonl").open("a") as file:
        file.write('{"minutes": 9, "st')  # torn by a kill
    run(10, 20)
    rows = [json.loads(x) for x in (tmp_path / "progress.jsonl").open()]
    minutes = [row["minutes"] for row in rows]
    assert minutes == sorted(minutes) and minutes[:3] == [1.33, 2.0, 5.33]
    assert [row["step"] for row in rows] == [2, 3, 8, 9, 14, 19]  # 9 and 19: the ends
    assert len(list(tmp_path.glob("sheet-*.png"))) == len({round(m) for m in minutes})
    page = (tmp_path / "index.html").read_text()
    right = "everything right: one toy 100%"
    newest, first = f"after 14 min, 19 steps, {right}", f"after 1 min, 2 steps, {right}"
    assert page.index(newest) < page.index(first)
    assert page.count("<img") == len({round(m) for m in minutes})
    assert page.count("<li>") == monitor.SHOWN  # the captions


def test_a_tried_recipe_leaves_a_pipeline_that_plain_diffusers_draws_with(
    tried, in_a_fresh_process
):
    in_a_fresh_process(
        "import sys; from diffusers import StableDiffusionPipeline as P\n"
        "pipe = P.from_pretrained(sys.argv[1])\n"
        "picture = pipe('a red star', num_inference_steps=2).images[0]\n"
        "assert picture.size == (64, 64)",
        tried,
    )


def test_the_folder_is_small_and_in_half_precision(tried):
    from safetensors.torch import load_file

    files = list(tried.rglob("*.safetensors"))  # and the alignment encoder
    assert len(files) == 4 and sum(f.stat().st_size for f in files) < 20e6
    kinds = {x.dtype for f in files for x in load_file(f).values()}
    assert kinds <= {torch.float16, torch.int64}
    keys = load_file(tried / "text_encoder" / "model.safetensors")
    assert all(key.startswith("text_model.") for key in keys)


def test_the_averaged_weights_keep_their_own_features(tokenizer):
    from copy import deepcopy

    model = unet.Trunk(unet.build_unet(), text.build_text_encoder(tokenizer), 6)
    average = deepcopy(model)
    with torch.no_grad():
        x_t, t = torch.randn(1, 4, 16, 16), torch.tensor([3])
        v, seen = average(x_t, t, text.tokenise(tokenizer, [""]))
        model.head[0].weight.zero_()  # the average has a head, and features, of its own
        model.unet.conv_in.weight.zero_()
        again = average(x_t, t, text.tokenise(tokenizer, [""]))
    assert v.shape == (1, 4, 16, 16) and seen.shape == (1, 6, 8, 8)
    assert seen.std() > 0 and torch.equal(again[1], seen)
    assert model.inside.given is None and average.inside.given is None  # taken once


def test_the_small_models_log_is_kept_and_nothing_is_trained_anew(tried, tmp_path):
    before = (tried.parent / "progress.jsonl").read_text()
    folder = recipes.train(
        "small", into=tmp_path, work=tried.parent.parent.parent, steps=3
    )
    assert (folder / "all.jsonl").read_text() == before
    assert "3 steps" in " ".join((folder / "README.md").read_text().split())
    assert list(folder.glob("sheet-*.png"))


def test_without_muon_all_of_the_small_model_goes_to_adamw(tried):
    made = tiny_sd(steps=3, small=True, without="muon", root=tried.parent.parent)
    groups = made.optimizer(made.model()).param_groups
    assert len(groups) == 2 and not any(group["muon"] for group in groups)
    assert {group["lr"] for group in groups} == {ADAMW_RATE}


def test_only_some_can_be_small():
    with pytest.raises(ValueError, match="small is for vae, .*, tiny-video, .*, not"):
        recipes.train("oracle", small=True)


def test_the_oracle_recipe_writes_a_reader(tmp_path):
    folder = recipes.train("oracle", into=tmp_path / "out", work=tmp_path, steps=2)
    assert "# oracle" in (folder / "README.md").read_text()
    assert oracle.features  # it loads: see test_oracle


def test_components_of_other_settings_are_not_taken_for_these(tried):
    root = tried.parent.parent
    with pytest.raises(ValueError, match="made with steps=3, not with steps=9"):
        components.train_components(root, steps=9, seed=0, small=True)


def test_components_that_are_there_are_not_trained_again(tried, monkeypatch):
    monkeypatch.setattr(components, "ProcessPoolExecutor", None)
    root = tried.parent.parent
    folders = components.train_components(root, steps=3, seed=0, small=True)
    assert list(folders) == ["vae", "text-encoder", "alignment-encoder"]


def test_what_is_loaded_is_frozen_but_for_the_text_encoder(tried):
    root = tried.parent.parent
    folders = {name: root / name / "weights" for name in components.COMPONENTS}
    parts = components.load_components(folders)
    assert not any(p.requires_grad for p in parts.vae.parameters())
    assert not any(p.requires_grad for p in parts.alignment_encoder.parameters())
    assert all(p.requires_grad for p in parts.text_encoder.parameters())
    assert text.tokenise(parts.tokenizer, ["a cat"]).shape == (1, SHORT)


def test_the_small_worlds_captions_fit_its_tokenizer():
    rng = np.random.default_rng(0)
    said = captions(SMALL.scenes(2000, rng, things=2), rng)
    ends = tokens_to_the_end(text.build_tokenizer(), said)
    assert ends.shape[1] <= SHORT


def test_the_small_network_is_thin_and_its_text_encoder_does_not_learn(tried):
    trunk = tiny_sd(steps=3, small=True, root=tried.parent.parent)
    model = trunk.model()
    assert model.unet.config.block_out_channels == (32, 96, 128)
    assert not any(p.requires_grad for p in model.text.parameters())
    held = {p for group in trunk.optimizer(model).param_groups for p in group["params"]}
    learns = {p for p in model.parameters() if p.requires_grad}
    assert held == learns


def test_refining_moves_the_decoder_and_no_latent():
    torch.manual_seed(0)
    net = vae.decoder_only(vae.build_vae())
    images, noise = vae.crops(SMALL, 10, 0, torch.Generator().manual_seed(0), 0)
    before = net.encode(images).latent_dist.mean
    vae.vae_loss(vae.Autoencoder(net), images, noise).backward()
    moved = [name for name, p in net.named_parameters() if p.grad is not None]
    moved = {name.split(".")[0] for name in moved}
    assert moved == {"decoder", "post_quant_conv"}
    torch.testing.assert_close(net.encode(images).latent_dist.mean, before)


def test_a_vae_sees_parts_and_at_the_end_whole_pictures():
    early, late = (
        vae.crops(SMALL, 100, 0, torch.Generator().manual_seed(0), step)
        for step in (71, 72)
    )
    assert [x.shape for x in early] == [(16, 3, 32, 32), (16, 4, 8, 8)]
    assert [x.shape for x in late] == [(4, 3, 64, 64), (4, 4, 16, 16)]


def test_the_card_of_a_component_says_what_it_is(tried):
    for name in components.COMPONENTS:
        card = (tried.parent.parent / name / "weights" / "README.md").read_text()
        assert f"`course train {name} --small`" in card and "3 steps of" in card


FIRST = {"vae": 1.6375, "text-encoder": 16.9767, "alignment-encoder": 16.7181}


@pytest.mark.parametrize(("name", "loss"), (FIRST | {"tiny-sd": 1.2927}).items())
def test_the_third_step_is_the_one_of_the_speed_run(tried, name, loss):
    with safe_open(tried.parent.parent / name / "state.safetensors", "pt") as file:
        state = json.loads(file.metadata()["state"])
    assert state["step"] == 3 and state["loss"] == pytest.approx(loss, rel=0.01)
