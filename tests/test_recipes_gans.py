"""The recipes of lesson 04's GANs, tried for two steps."""

import json
import re

import pytest
import torch

from course_utils import models
from course_utils.methods import ddgan
from course_utils.recipes import (
    artifacts,
    latent_eye,
    recipe,
    text_gan,
    toy_ddgan,
    toy_gan,
)
from course_utils.tiny import ddgans, gans, judges, text_gans


def no_blanks(folder, batch=32):
    card = (folder / "README.md").read_text()
    return f"2 steps of {batch}" in card and not re.search(r"\{\w+\}|COST", card)


def test_the_eye_is_taught_and_its_card_has_a_floor(tmp_path):
    make = latent_eye.latent_eye
    recipe.produce(make, tmp_path / "eye", tmp_path / "w", steps=2)
    net = models.network(tmp_path / "eye", judges.LatentEye)
    assert net(torch.randn(2, 4, 16, 16)).shape == (2, 96, 8, 8)
    assert no_blanks(tmp_path / "eye")


def test_the_gan_is_trained_and_scored_beside_true_scenes(tmp_path):
    make = toy_gan.toy_gan
    recipe.produce(make, tmp_path / "gan", tmp_path / "w", steps=2)
    net = models.network(tmp_path / "gan", gans.ToyGAN)
    latents = net.generator(torch.randn(2, gans.Z))
    assert net.encoder(latents)[0].isfinite().all()
    assert no_blanks(tmp_path / "gan")
    last = (tmp_path / "gan" / "progress.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["step"] == 2 and "coverage" in json.loads(last)


def test_the_denoising_gan_is_trained_and_kept_in_bytes(tmp_path):
    make = toy_ddgan.toy_ddgan
    recipe.produce(make, tmp_path / "gan", tmp_path / "w", steps=2)
    net = models.network(tmp_path / "gan", ddgan.DenoisingGenerator)
    latents = ddgans.draw_denoising(net, 2, torch.Generator())
    assert latents.shape == (2, 4, 16, 16) and latents.isfinite().all()
    assert sum(f.stat().st_size for f in (tmp_path / "gan").iterdir()) < 2.6e6
    assert no_blanks(tmp_path / "gan", toy_ddgan.BATCH)


@pytest.mark.parametrize("name", toy_ddgan.GAMES)
def test_every_denoising_game_can_be_played_and_has_words_for_its_card(name):
    game = toy_ddgan.denoising_game(name)
    assert bool(game.projected) == (name != "paper")
    assert "R1 with" in toy_ddgan.JUDGED[name]


def test_a_denoising_game_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="must be one of late, eye, paper"):
        toy_ddgan.denoising_game("ear")


def test_all_variants_are_kept_in_bytes(tmp_path):
    make = text_gan.text_gan
    recipe.produce(make, tmp_path / "text-gan", tmp_path / "w", steps=2)
    kept = tmp_path / "text-gan"
    scores = json.loads((kept / "scores.json").read_text())
    assert set(scores) == set(text_gans.VARIANTS)
    assert {"seen_both", "unseen_both"} <= set(scores["int-cls"])
    assert no_blanks(kept)
    ears = models.network(kept / "cls", text_gans.Ears)
    assert sum(f.stat().st_size for f in (kept / "cls").iterdir()) < 0.8e6
    codes = text_gans.text_codes()[:2]
    assert ears(torch.randn(2, gans.Z), codes).isfinite().all()


def test_trainings_that_follow_each_other_have_one_log(tmp_path):
    for k in range(3):  # the second was too short to log anything
        (tmp_path / f"{k}").mkdir()
        rows = "100,2.0,7.5\n200,1.0,9.0\n" if k != 1 else ""
        (tmp_path / f"{k}" / "log.csv").write_text(rows)
    artifacts.join_logs([tmp_path / f"{k}" for k in range(3)], tmp_path)
    rows = artifacts.read_log(tmp_path / "log.csv")
    assert [row["step"] for row in rows] == [100, 200, 300, 400]
    assert [row["seconds"] for row in rows] == [7.5, 9, 16.5, 18]
    assert [row["loss"] for row in rows] == [2, 1, 2, 1]


def test_wrong_texts_are_wrong_and_right_ones_are_right():
    vae = latent_eye.shipped_vae(None)
    batch = text_gan.text_batch(vae, 32, 64, seed=0)
    latents, right, wrong, z = batch(torch.Generator().manual_seed(0), 0)
    assert latents.shape == (32, 4, 16, 16) and z.shape == (32, gans.Z)
    assert not (right == wrong).all(1).any()
    again = batch(torch.Generator().manual_seed(0), 0)
    torch.testing.assert_close(again, (latents, right, wrong, z))


def test_a_third_of_wrong_texts_is_wrong_in_the_shape_alone():
    right = torch.tensor(text_gans.pairs_in("train") * 100)
    wrong = text_gan.other_pairs(right, torch.Generator().manual_seed(0))
    assert not (wrong == right).any()
    assert set(wrong.tolist()) == set(text_gans.pairs_in("train"))
    same = [(wrong // 8 == right // 8), (wrong % 8 == right % 8)]  # colour, shape
    shares = [x.float().mean().item() for x in same]
    assert 0.3 < shares[0] < 0.45 and 0.2 < shares[1] < 0.35


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"count": 1, "colour": ["red"], "toy": ["star"]}, (True, True, True)),
        ({"count": 1, "colour": ["blue"], "toy": ["star"]}, (False, False, True)),
        ({"count": 2, "colour": ["red", "red"], "toy": ["star"] * 2}, (False,) * 3),
        ({"count": 0, "colour": [], "toy": []}, (False,) * 3),
    ],
)
def test_only_one_toy_of_the_right_kind_counts(seen, expected):
    assert text_gan._marks(seen, "red", "star") == expected
