"""A new word: its vectors learn, nothing else moves, and every file is the field's."""

import copy
import subprocess
import sys

import pytest
import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from course_utils import models, toybox
from course_utils.methods import new_words
from course_utils.methods import textual_inversion as ti
from course_utils.models import pipelines

TEXTS = [["a {}", "a picture of a {}"], ["a {} on the sand"]]
SCENES = [
    toybox.Scene([toybox.Thing("cat", "red", place="left")], "sand"),
    toybox.Scene([toybox.Thing("cat", "red", place="right")], "snow"),
]


@pytest.fixture(scope="module")
def pipe():
    found = models.load("text-to-image", "tiny")
    found.set_progress_bar_config(disable=True)
    return found


@pytest.fixture(scope="module")
def latents(pipe):
    return pipelines.encode(pipe.vae, toybox.render(SCENES))


def twin(pipe):
    """The same pipeline, with a tokenizer and an encoder of its own."""
    names = ("tokenizer", "text_encoder")
    own = {name: copy.deepcopy(getattr(pipe, name)) for name in names}
    parts = pipe.components | own | dict(requires_safety_checker=False)
    found = type(pipe)(**parts)
    found.set_progress_bar_config(disable=True)
    return found


def random_vectors(number, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.05 * torch.randn(number, 128, generator=generator)


def learn(pipe, latents, vectors, texts=TEXTS, num_steps=2, seed=0, **options):
    options = dict(num_steps=num_steps, batch=2) | options
    options |= dict(generator=torch.Generator().manual_seed(seed))
    return list(ti.learn_word(pipe, latents, texts, vectors, **options))


def ids_of(pipe, text, number):
    """Ids of a text, {} for a new word, as the library would have them."""
    longer = twin(pipe)
    new_words.add_word(longer, "<new>", random_vectors(number))
    said = longer.maybe_convert_prompt(text.replace("{}", "<new>"), longer.tokenizer)
    options = dict(padding="max_length", return_tensors="pt")
    return longer.tokenizer(said, **options).input_ids


@pytest.mark.parametrize("number", [1, 2, 4])
def test_the_words_are_those_of_the_library_once_it_was_taught(pipe, number):
    longer, vectors = twin(pipe), random_vectors(number)
    new_words.add_word(longer, "<new>", vectors)
    wanted = longer.encode_prompt("a red <new> at the top", "cpu", 1, False)[0]
    ids = ids_of(pipe, "a red {} at the top", number)
    with torch.no_grad():
        ours = ti.spoken(pipe.text_encoder, ids, vectors)
    torch.testing.assert_close(ours, wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["v_prediction", "epsilon"])
def test_the_loss_is_the_one_that_the_librarys_scheduler_trains_on(pipe, latents, kind):
    some = twin(pipe)
    some.scheduler = DDPMScheduler.from_config(
        pipe.scheduler.config, prediction_type=kind
    )
    noise, t = torch.randn_like(latents), torch.tensor([20, 700])
    x_t = some.scheduler.add_noise(latents, noise, t)
    velocity = some.scheduler.get_velocity(latents, noise, t)
    vectors, ids = ti.initial_vectors(pipe, "cat"), ids_of(pipe, "a {}", 1)
    with torch.no_grad():
        words = pipe.encode_prompt("a cat", "cpu", 1, False)[0].expand(2, -1, -1)
        answer = pipe.unet(x_t, t, words).sample
        ours = ti.inversion_loss(some, vectors, ids.expand(2, -1), latents, noise, t)
    wanted = velocity if kind == "v_prediction" else noise
    torch.testing.assert_close(ours, (answer - wanted).square().mean())


def test_learning_leaves_every_number_of_the_pipeline_to_the_bit(pipe, latents):
    parts = pipe.unet, pipe.text_encoder, pipe.vae
    before = [copy.deepcopy(part.state_dict()) for part in parts]
    words = pipe.tokenizer.get_vocab()
    states = learn(pipe, latents, ti.initial_vectors(pipe, "cat", 2), num_steps=3)
    assert (states[-1].vectors != ti.initial_vectors(pipe, "cat", 2)).any()
    for part, old in zip(parts, before, strict=True):
        assert all(torch.equal(old[name], x) for name, x in part.state_dict().items())
        assert all(p.grad is None and p.requires_grad for p in part.parameters())
    assert pipe.tokenizer.get_vocab() == words


def test_teaching_adds_rows_and_leaves_the_old_ones_to_the_bit(pipe):
    longer, vectors = twin(pipe), random_vectors(3)
    new_words.add_word(longer, "<new>", vectors)
    old = pipe.text_encoder.get_input_embeddings().weight
    new = longer.text_encoder.get_input_embeddings().weight
    assert torch.equal(new[: len(old)], old) and torch.equal(new[len(old) :], vectors)
    names = ["<new>", "<new>_1", "<new>_2"]
    assert longer.tokenizer.convert_tokens_to_ids(names) == [847, 848, 849]
    assert new_words.token_names("<new>", 3) == names


def test_the_vector_gets_the_gradient_that_its_row_of_the_table_would_get(
    pipe, latents
):
    longer, vector = twin(pipe), ti.initial_vectors(pipe, "cat")
    new_words.add_word(longer, "<new>", vector)
    noise, t = torch.randn_like(latents), torch.tensor([300, 600])
    ids = ids_of(pipe, "a {}", 1).expand(2, -1)
    own = vector.clone().requires_grad_()
    ours = torch.autograd.grad(
        ti.inversion_loss(pipe, own, ids, latents, noise, t), own
    )
    words = longer.text_encoder(ids)[0]
    aim = DDPMScheduler.from_config(pipe.scheduler.config)
    x_t = aim.add_noise(latents, noise, t)
    error = longer.unet(x_t, t, words).sample - aim.get_velocity(latents, noise, t)
    table = longer.text_encoder.get_input_embeddings().weight
    theirs = torch.autograd.grad(error.square().mean(), table)[0]
    torch.testing.assert_close(ours[0], theirs[847:], atol=1e-6, rtol=1e-4)


def test_the_word_of_some_red_cats_comes_to_mean_their_colour(pipe, latents):
    start = ti.initial_vectors(pipe, "cat")
    end = learn(pipe, latents, start, [["a {}"]] * 2, num_steps=25, batch=8)[-1].vectors
    before, after = (
        new_words.nearest_words(pipe, vectors, 1000)[0]["red"]
        for vectors in (start, end)
    )
    assert after > before + 0.1


def test_the_same_seed_learns_the_same_word(pipe, latents):
    start = ti.initial_vectors(pipe, "cat")
    one, same, other = (learn(pipe, latents, start, seed=k)[-1] for k in (1, 1, 2))
    assert torch.equal(one.vectors, same.vectors) and one.loss == same.loss
    assert not torch.equal(one.vectors, other.vectors)


def test_steps_come_from_all_parts_of_the_schedule_and_noise_is_fresh(
    pipe, latents, monkeypatch
):
    seen = []
    monkeypatch.setattr(ti, "inversion_loss", lambda pipe, v, ids, x, noise, t: (
        seen.append((t, noise)) or v.square().sum()))  # fmt: skip
    start = random_vectors(1)
    some = dict(num_steps=100, batch=5)
    assert len(list(ti.learn_word(pipe, latents, TEXTS, start, **some))) == 100
    t = torch.stack([steps for steps, _ in seen])
    assert (t // 200 == torch.arange(5)).all()
    assert len({noise.sum().item() for _, noise in seen}) == 100


def test_no_vector_grows_longer_than_it_may(pipe, latents):
    start = ti.initial_vectors(pipe, "cat", 2)
    for longest in (None, 0.3, torch.inf):
        end = learn(pipe, latents, start, rate=0.1, longest=longest)[-1].vectors
        norms = end.norm(dim=1)
        most = start.norm(dim=1).max().item() if longest is None else longest
        assert (norms <= most * 1.00001).all()
    assert (norms > start.norm(dim=1)).all()  # of those that were free


def test_short_vectors_keep_their_length():
    vectors = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    found = ti.shorten(vectors, 1.0)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [0.3, 0.4]]))


def test_a_word_is_nearest_to_itself_and_pieces_of_words_are_left_out(pipe):
    vectors = torch.cat([ti.initial_vectors(pipe, w) for w in ("purple", "bunny")])
    first, second = new_words.nearest_words(pipe, vectors, 3)
    assert next(iter(first)) == "purple" and next(iter(second)) == "bunny"
    assert abs(first["purple"] - 1) < 1e-5 and "rabbit" in second
    assert list(second.values()) == sorted(second.values(), reverse=True)
    every = new_words.nearest_words(pipe, vectors[:1], 10_000)[0]
    assert all(word.isalpha() for word in every)


@pytest.mark.parametrize("number", [1, 2])
def test_plain_diffusers_in_a_fresh_process_loads_the_file(pipe, number, tmp_path):
    vectors = random_vectors(number)
    file = new_words.save_word(tmp_path, "<new>", vectors)
    longer = twin(pipe)
    new_words.add_word(longer, "<new>", vectors)
    code = (
        "import sys, torch\n"
        "from diffusers import StableDiffusionPipeline\n"
        "from safetensors.torch import save_file\n"
        "pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1])\n"
        "pipe.load_textual_inversion(sys.argv[2])\n"
        "words = pipe.encode_prompt('a sad <new>', 'cpu', 1, False)[0]\n"
        "save_file({'words': words.detach()}, sys.argv[3])\n"
        "assert 'course_utils' not in sys.modules\n"
    )
    args = [models.path("tiny"), file, tmp_path / "words.safetensors"]
    subprocess.run([sys.executable, "-c", code, *map(str, args)], check=True)
    wanted = longer.encode_prompt("a sad <new>", "cpu", 1, False)[0]
    found = load_file(tmp_path / "words.safetensors")["words"]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 128), (3, 128), (128,)])
def test_files_of_the_fields_script_are_read(pipe, shape, tmp_path):
    """It writes {placeholder: rows of the table}, into learned_embeds.safetensors."""
    rows = torch.randn(shape)
    save_file({"<cat-toy>": rows}, tmp_path / "learned_embeds.safetensors")
    token, vectors = new_words.load_word(tmp_path)
    assert token == "<cat-toy>" and torch.equal(vectors, rows.view(-1, 128))
    ours, theirs = twin(pipe), twin(pipe)
    new_words.add_word(ours, token, vectors)
    theirs.load_textual_inversion(str(tmp_path))
    a, b = (x.encode_prompt("a <cat-toy>", "cpu", 1, False)[0] for x in (ours, theirs))
    assert torch.equal(a, b) and len(ours.tokenizer) == len(theirs.tokenizer)


def test_a_folder_with_more_words_can_be_saved_and_loaded(pipe, tmp_path):
    longer = twin(pipe)
    new_words.add_word(longer, "<new>", random_vectors(2))
    longer.save_pretrained(tmp_path)
    back = StableDiffusionPipeline.from_pretrained(tmp_path)
    a, b = (x.encode_prompt("a <new>", "cpu", 1, False)[0] for x in (longer, back))
    torch.testing.assert_close(a, b)


def test_it_learns_with_another_width_number_of_tokens_and_scheduler(tiny_sd15):
    """A folder in the layout of Stable Diffusion 1.5: it predicts the noise."""
    pipe = models.load("text-to-image", tiny_sd15)
    start = ti.initial_vectors(pipe, "cat")
    side = pipe.unet.config.sample_size
    latents = torch.randn(2, 4, side, side)
    end = learn(pipe, latents, start)[-1]
    assert end.vectors.shape == start.shape and (end.vectors != start).any()
    new_words.add_word(pipe, "<new>", end.vectors)
    assert pipe("a <new>", num_inference_steps=2, output_type="np").images.size


@pytest.fixture(scope="module")
def tiny_sd15(tmp_path_factory):
    """Its classes, 77 tokens, eight pixels a place, PNDM and the noise; no weights."""
    from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    tokenizer = copy.deepcopy(models.load("text-to-image", "tiny").tokenizer)
    tokenizer.model_max_length = 77
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=37,
        num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    blocks = dict(block_out_channels=(32, 64), layers_per_block=1)
    unet = UNet2DConditionModel(
        sample_size=8, cross_attention_dim=32, attention_head_dim=8, **blocks,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(block_out_channels=(8, 8, 8, 8), norm_num_groups=4,
                        down_block_types=["DownEncoderBlock2D"] * 4,
                        up_block_types=["UpDecoderBlock2D"] * 4,
                        latent_channels=4)  # fmt: skip
    scheduler = PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
        skip_prk_steps=True, steps_offset=1,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("sd15")
    StableDiffusionPipeline(
        vae, CLIPTextModel(config), tokenizer, unet, scheduler, None, None,
        requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


ONE = [["a {}"], ["a {}"]]
TRAININGS = {
    "one picture": (dict(latents=slice(1), texts=ONE[:1]), "latents holds 1.*3 to 5"),
    "pictures": (dict(latents=None), r"latents must be a torch.Tensor, not None"),
    "no latents": (dict(latents=torch.rand(2, 3, 64, 64)), r"encode the pictures"),
    "too few texts": (dict(texts=ONE[:1]), "texts must be 2 lists"),
    "a text": (dict(texts="a {}"), "texts must be 2 lists"),
    "texts, flat": (dict(texts=["a {}", "a {}"]), r"a list of at least one sentence"),
    "an empty prompt": (dict(texts=[["a {}"], [""]]), r"sentence with \{\}"),
    "no place": (dict(texts=[["a cat"], ["a {}"]]), r"\{\}.*not \['a cat'\]"),
    "no texts": (dict(texts=[[], ["a {}"]]), r"at least one sentence"),
    "one long row": (dict(vectors=torch.rand(128)), r"not \(n, 128\)"),
    "too wide": (dict(vectors=torch.rand(1, 768)), r"\(1, 768\), not \(n, 128\)"),
    "nothing": (dict(vectors=torch.rand(0, 128)), r"\(0, 128\)"),
    "no steps": (dict(num_steps=0), "num_steps=0 must be"),
    "no rows": (dict(batch=2.5), "batch=2.5 must be"),
    "no rate": (dict(rate=0.0), "rate=0.0 must be"),
    "no length": (dict(longest=-1.0), "longest=-1.0 must be"),
}


@pytest.mark.parametrize(("wrong", "message"), TRAININGS.values(), ids=TRAININGS)
def test_what_cannot_be_learnt_from_is_refused(pipe, latents, wrong, message):
    asked = dict(latents=latents, texts=ONE, vectors=torch.rand(1, 128)) | wrong
    if isinstance(asked["latents"], slice):
        asked["latents"] = latents[asked["latents"]]
    with pytest.raises(ValueError, match=message):
        next(ti.learn_word(pipe, **asked))


def test_half_precision_is_refused(latents):
    half = models.load("text-to-image", "tiny", dtype="float16")
    with pytest.raises(ValueError, match="dtype=torch.float32"):
        next(ti.learn_word(half, latents, TEXTS, random_vectors(1)))


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("cat", "'cat' is already a word"),
        ("", "without blanks"),
        ("my toy", "without blanks"),
        (None, "without blanks"),
        ("<Toy>", "use '<toy>'"),
    ],
)
def test_what_is_no_new_word_is_refused(pipe, token, message):
    with pytest.raises(ValueError, match=message):
        new_words.add_word(twin(pipe), token, random_vectors(1))


def test_a_word_is_taught_once(pipe):
    longer = twin(pipe)
    new_words.add_word(longer, "<new>", random_vectors(2))
    for token in ("<new>", "<new>_1"):
        with pytest.raises(ValueError, match="is already a word"):
            new_words.add_word(longer, token, random_vectors(1))


@pytest.mark.parametrize("word", ["elephant", "red cat", "", None])
def test_no_beginning_at_what_is_no_word(pipe, word):
    with pytest.raises(ValueError, match="one word that the tokenizer knows"):
        ti.initial_vectors(pipe, word)


def test_a_file_of_more_than_one_word_is_refused(tmp_path):
    file = tmp_path / "two.safetensors"
    save_file({"<a>": torch.zeros(1, 4), "<b>": torch.zeros(1, 4)}, file)
    with pytest.raises(ValueError, match="two.safetensors holds 2 tensors"):
        new_words.load_word(file)
    with pytest.raises(ValueError, match="vectors must be a torch.Tensor"):
        new_words.save_word(tmp_path, "<a>", [1.0])
