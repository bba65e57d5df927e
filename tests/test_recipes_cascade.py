"""The recipe of the miniature Stable Cascade, tried for two steps a stage."""

import torch

from course_utils import recipes
from course_utils.models import difference
from course_utils.recipes import tiny_cascade as stages
from course_utils.tiny import cascade
from course_utils.tiny.unet import build_unet


def test_a_cascade_is_tried_and_kept_as_a_difference(tmp_path):
    name, work = "tiny-cascade", tmp_path / "w"
    folder = recipes.train(name, into=tmp_path / "to", work=work, steps=2)
    kept = {part.name for part in folder.iterdir()}
    assert {"vqgan", "effnet", "decoder", "prior_prior", difference.MARK} <= kept
    assert not kept & {"prior_text_encoder", "prior_tokenizer"}
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "two toys" in card and "nan" not in card
    assert sum(f.stat().st_size for f in folder.rglob("*.*")) < 8.5e6


def test_every_stage_learns_from_its_loss():
    torch.manual_seed(0)
    x0, noise, r = torch.randn(2, 4, 16, 16), torch.randn(2, 4, 16, 16), torch.rand(2)
    semantic, states, pooled = (
        torch.randn(2, 16, 4, 4),
        torch.randn(2, 48, 128),
        torch.randn(2, 1, 128),
    )
    told = (cascade.build_stage_b(), stages.stage_b_loss, (semantic, pooled))
    rival = (build_unet(), stages.rival_loss, (states,))
    for net, loss, more in (told, rival):
        loss(net, x0, noise, r, *more).backward()
        assert any(p.grad.abs().sum() > 0 for p in net.parameters() if p.ndim > 1)
    net = cascade.build_stage_c()
    noise = torch.randn_like(semantic)
    error = stages.stage_c_loss(net, semantic, noise, r, states, pooled)
    start = stages.ratio_loss(noise, torch.zeros_like(noise), r)
    torch.testing.assert_close(error, start)  # a fresh net predicts no noise at all
