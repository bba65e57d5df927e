import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from course_utils import diffusion, models, schedules
from course_utils.measure.edits import triples
from course_utils.methods.attention import positions
from course_utils.methods.prompt_to_prompt import draw_pair, shared, side_by_side
from course_utils.methods.word_map import word_map
from course_utils.models.pipelines import draw, guided
from course_utils.tiny import text

TOKENIZER = text.build_tokenizer()
BEFORE, AFTER = ["a red cat", "a blue car"], ["a blue cat", "a blue star"]


@pytest.fixture(scope="module")
def pipe():
    pipe = models.load("text-to-image", "tiny")
    leading = dict(timestep_spacing="leading", steps_offset=0)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, **leading)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def noise(rows=2):
    generators = [torch.Generator().manual_seed(k) for k in range(rows)]
    return torch.stack([torch.randn(4, 16, 16, generator=g) for g in generators])


def off(**options):
    return dict(cross=0, self_=0, steps=2) | options


def columns(before, after, how="replace"):
    """For each word of `after` the words of `before` whose maps it takes."""
    words = word_map(TOKENIZER, [before], [after], how)
    said = before.split()
    return [
        " ".join(said[i] for i in column.nonzero().flatten().tolist())
        for column in words.table[0, 1 : 1 + len(said), 1 : 1 + len(after.split())].T
    ]


def test_a_swapped_word_takes_the_map_of_the_word_it_replaces():
    assert columns("a red cat", "a blue cat") == ["a", "red", "cat"]
    assert columns("an orange cat", "a red cat") == ["an", "orange", "cat"]
    assert columns("a red cat", "a blue cat", "refine") == ["a", "", "cat"]


def test_words_after_one_that_was_put_in_keep_theirs():
    found = columns("a cat on the sea", "a big dotted cat on the sea")
    assert found == ["a", "", "", "cat", "on", "the", "sea"]
    found = columns("a big cat on the sea", "a cat on the sea")
    assert found == ["a", "cat", "on", "the", "sea"]


def test_two_words_for_one_share_its_map():
    words = word_map(TOKENIZER, ["a cat at the top"], ["a cat at the top left"])
    assert words.table[0, 5, 5] == 1 and not words.table[0, :, 6].any()
    words = word_map(TOKENIZER, ["a cat at the top"], ["a cat at the bottom left"])
    torch.testing.assert_close(words.table[0, 5, 5:7], torch.tensor([0.5, 0.5]))
    assert words.table[0].sum() == 6 + 1 + (48 - 8)  # the end was moved, and stays


def papers_replacement(first, second, swapped):
    """What the paper's code does for prompts of equal length: one block a swap."""
    table = torch.eye(48)
    for word, other in swapped.items():
        i, j = positions(TOKENIZER, first, word), positions(TOKENIZER, second, other)
        table[i], table[:, j] = 0, 0
        table[i, j] = 1 / len(j)
    return table


@pytest.mark.parametrize(
    ("first", "second", "swapped"),
    [
        ("a red cat", "a blue cat", dict(red="blue")),
        ("a cat on the sand", "a fish on the sea", dict(cat="fish", sand="sea")),
        ("a red cat and a blue car", "a red cat and a pink car", dict(blue="pink")),
    ],
)
def test_for_a_swap_the_table_is_the_papers(first, second, swapped):
    expected = papers_replacement(first, second, swapped)
    assert torch.equal(word_map(TOKENIZER, [first], [second]).table[0], expected)


def test_an_unknown_word_of_two_tokens_shares_the_map_of_one():
    words = word_map(TOKENIZER, ["a red cat"], ["a red dog"])
    torch.testing.assert_close(words.table[0, 3, 3:5], torch.full((2,), 0.5))


def test_in_the_benchs_captions_every_toy_that_stays_keeps_its_own_words():
    for triple in triples(140):
        before, after = triple.captions
        table = word_map(TOKENIZER, [before], [after]).table[0]
        here = {thing.cell: thing for thing in triple.scene.things}
        for thing in triple.target.things:
            if here.get(thing.cell) == thing:
                i = positions(TOKENIZER, before, f"{thing.colour} {thing.toy}")
                j = positions(TOKENIZER, after, f"{thing.colour} {thing.toy}")
                assert torch.equal(table[i][:, j], torch.eye(2)), triple.captions


def test_with_nothing_shared_each_is_drawn_for_itself(pipe):
    first, second = draw_pair(pipe, BEFORE, AFTER, **off(seed=5))
    for found, said in ((first, BEFORE), (second, AFTER)):
        alone = draw(pipe, said, steps=2, seed=5)
        torch.testing.assert_close(found, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_first_picture_does_not_know_of_the_second(pipe, guidance):
    options = dict(steps=2, guidance=guidance)
    alone = side_by_side(pipe, BEFORE, AFTER, noise(), **off(), guidance=guidance)[0]
    found = side_by_side(pipe, BEFORE, AFTER, noise(), **options)
    torch.testing.assert_close(found[0], alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found[1], alone, atol=1e-2)


def test_the_same_prompt_twice_is_the_same_picture_twice(pipe):
    for options in (dict(), dict(blend=True)):
        first, second = side_by_side(pipe, BEFORE, BEFORE, noise(), steps=2, **options)
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def test_a_pair_does_not_know_of_the_others(pipe):
    shares = dict(cross=torch.tensor([1.0, 0.5]), self_=torch.tensor([0.0, 1.0]))
    found = side_by_side(pipe, BEFORE, AFTER, noise(), steps=2, **shares)
    for k in range(2):
        row = {name: x[k : k + 1] for name, x in shares.items()}
        pair = BEFORE[k : k + 1], AFTER[k : k + 1], noise()[k : k + 1]
        alone = side_by_side(pipe, *pair, steps=2, **row)
        torch.testing.assert_close(found[:, k], alone[:, 0], atol=1e-5, rtol=1e-5)


def test_in_the_librarys_pipeline_it_is_ours(pipe):
    words = word_map(pipe.tokenizer, BEFORE, AFTER)
    options = dict(num_inference_steps=4, guidance_scale=3.0, output_type="latent")
    twice = torch.cat([noise(), noise()])
    with shared(pipe.unet, words, 4):
        theirs = pipe([*BEFORE, *AFTER], latents=twice, **options).images
    ours = side_by_side(pipe, BEFORE, AFTER, noise(), steps=4).flatten(0, 1)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_our_processors_change_nothing_where_nothing_is_shared(pipe):
    model, x = guided(pipe, [*BEFORE, *AFTER], 3.0), torch.cat([noise(), noise()])
    t, words = torch.full((4,), 500), word_map(pipe.tokenizer, BEFORE, AFTER)
    with torch.no_grad():
        expected, own = model(x, t), pipe.unet.attn_processors
        with shared(pipe.unet, words, 10, 0, 0):
            torch.testing.assert_close(model(x, t), expected, atol=1e-5, rtol=1e-5)
    assert pipe.unet.attn_processors == own


def test_only_what_is_said_is_changed(pipe):
    """Who changed the rows without a prompt, or the first prompts', would be seen."""
    words = word_map(pipe.tokenizer, BEFORE, AFTER)
    maps = torch.rand(8, 2, 16, 48)
    with shared(pipe.unet, words, 10, 1, 1) as sharing:
        sharing.next_step()
        found = sharing.cross_attention(maps)
    assert torch.equal(found[:6], maps[:6]) and not torch.equal(found[6:], maps[6:])
    assert AFTER[0].split()[1] == "blue"  # token 2, as "red" is
    assert torch.equal(found[6][..., 2], maps[4][..., 2])


def test_a_word_is_listened_to_times_as_much():
    words = word_map(TOKENIZER, ["a red cat"], ["a red cat"], times={"red": 3.0})
    maps = torch.rand(1, 2, 16, 48)
    found = words.mixed(maps, torch.zeros_like(maps))
    assert torch.equal(found[..., 2], 3 * maps[..., 2])
    assert torch.equal(found[..., 3], maps[..., 3])


def test_the_steps_with_shared_attention_are_counted(pipe):
    words = word_map(pipe.tokenizer, BEFORE, AFTER)
    maps = torch.rand(4, 2, 16, 16)
    with shared(pipe.unet, words, 10, 0, torch.tensor([0.3, 0.7])) as sharing:
        changed = []
        for _ in range(10):
            sharing.next_step()
            found = sharing.self_attention(maps)
            changed.append([not torch.equal(found[k], maps[k]) for k in (2, 3)])
    assert torch.tensor(changed).sum(0).tolist() == [3, 7]


def test_the_blend_keeps_the_first_picture_elsewhere(pipe):
    prompts = ["a red cat at the top left"], ["a blue cat at the top left"]
    first, second = side_by_side(pipe, *prompts, noise(1), steps=5, blend=True)
    same = (first == second).all(1).float().mean()
    assert 0.1 < same < 1


def test_processors_come_back_after_an_error(pipe):
    own, words = pipe.unet.attn_processors, word_map(pipe.tokenizer, BEFORE, AFTER)
    with pytest.raises(ValueError, match="asked about 3 rows"):
        with shared(pipe.unet, words, 10):
            pipe.unet(noise(3), 10, torch.zeros(3, 48, 128))
    assert pipe.unet.attn_processors == own and not pipe.unet._forward_pre_hooks


@pytest.fixture(scope="module")
def like_sd():
    """Stable Diffusion's shape, small: 77 tokens, maps at three sizes, noise."""
    torch.manual_seed(0)
    ids, merges = text.vocabulary()
    tokenizer = CLIPTokenizer(vocab=ids, merges=merges, model_max_length=77)
    sizes = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1)
    words = CLIPTextConfig(vocab_size=len(tokenizer), **sizes, num_attention_heads=2)
    unet = UNet2DConditionModel(
        sample_size=64, block_out_channels=(8, 8, 8), layers_per_block=1,
        down_block_types=["CrossAttnDownBlock2D"] * 3, norm_num_groups=4,
        up_block_types=["CrossAttnUpBlock2D"] * 3, cross_attention_dim=16,
        attention_head_dim=2,
    )  # fmt: skip
    plain = dict(clip_sample=False, steps_offset=1)
    scheduler = DDIMScheduler(1000, 0.00085, 0.012, "scaled_linear", **plain)
    return StableDiffusionPipeline(
        models.load("text-to-image", "tiny").vae, CLIPTextModel(words).eval(),
        tokenizer, unet.eval(), scheduler, None, None, requires_safety_checker=False,
    )  # fmt: skip


def test_it_works_on_a_network_with_maps_of_many_sizes(like_sd):
    x_T, options = torch.randn(1, 4, 64, 64), dict(steps=2, guidance=7.5)
    pair = ["a red cat on the sand"], ["a blue cat on the sand"]
    first, second = side_by_side(like_sd, *pair, x_T, cross=0, self_=0, **options)
    plain = guided(like_sd, [pair[0][0], pair[1][0]], 7.5)
    alone = diffusion.sample(
        plain, torch.cat([x_T, x_T]), schedules.Schedule(like_sd.scheduler.betas),
        num_steps=2, step=diffusion.ddim_step,
    )  # fmt: skip
    torch.testing.assert_close(torch.cat([first, second]), alone, atol=1e-4, rtol=1e-4)
    shared_first, other = side_by_side(like_sd, *pair, x_T, blend=True, **options)
    torch.testing.assert_close(shared_first, first, atol=1e-4, rtol=1e-4)
    assert other.isfinite().all() and not torch.equal(other, second)


def test_large_maps_of_places_are_the_networks_own(like_sd):
    seen, words = set(), word_map(like_sd.tokenizer, BEFORE[:1], AFTER[:1])
    with torch.no_grad(), shared(like_sd.unet, words, 2) as sharing:
        plain = sharing._changed
        sharing._changed = lambda x, change: (
            seen.add(tuple(x.shape[2:])) or plain(x, change)
        )
        like_sd.unet(torch.randn(2, 4, 64, 64), 5, torch.randn(2, 77, 16))
    assert seen == {(n, 77) for n in (4096, 1024, 256)} | {(1024,) * 2, (256,) * 2}
    assert set(sharing.heard) == {16}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(before="a red cat"), "before and after must be two lists"),
        (dict(after=["a cat"]), "before and after must be two lists"),
        (dict(how="swap"), 'how must be "replace" or "refine"'),
        (dict(times={"green": 2}), "word='green' is not in the prompt"),
        (dict(cross=1.2), r"cross=1.2 must be in \[0, 1\]"),
        (dict(self_=float("nan")), "self_=nan must be in"),
        (dict(self_=torch.zeros(3)), r"self_ has shape \(3,\)"),
        (dict(steps=0), "steps=0 must be"),
    ],
)
def test_what_cannot_be_is_refused(pipe, wrong, message):
    said = dict(before=BEFORE, after=AFTER) | wrong
    with pytest.raises(ValueError, match=message):
        draw_pair(pipe, said.pop("before"), said.pop("after"), **said)
