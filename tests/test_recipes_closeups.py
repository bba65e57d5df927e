"""What draws and reads close-ups can be made again, a few steps at a time."""

import pytest
import torch

from course_utils import models, recipes, show
from course_utils.measure.illusions import prompt_sets
from course_utils.models.pipelines import draw
from course_utils.oracle import CloseupReader
from course_utils.recipes import closeup_readers, tiny_closeup
from course_utils.recipes.illusion_sheets import illusion_sheets
from course_utils.tiny.illusions import read_illusions, sheet_file
from course_utils.tiny.unet import build_pixel_unet


@pytest.mark.parametrize("name", closeup_readers.SEEDS)
def test_a_reader_is_made_and_read_back(name, tmp_path, monkeypatch):
    monkeypatch.setattr(closeup_readers, "BATCH", 8)
    folder = recipes.train(
        name, into=tmp_path / "made", work=tmp_path / "work", steps=2
    )
    net = models.network(folder, CloseupReader)
    assert net(torch.zeros(1, 3, 48, 48)).shape == (1, 10)
    assert net.facts["n"] == 50 and "Licence" in (folder / "README.md").read_text()


def test_judge_and_eye_learn_from_different_pictures():
    recipe = [
        f() for f in (closeup_readers.closeup_reader, closeup_readers.closeup_eye)
    ]
    assert recipe[0].seed != recipe[1].seed


def test_the_painter_is_made_and_plain_diffusers_loads_it(tmp_path, monkeypatch):
    from diffusers import IFPipeline

    eye, reader = CloseupReader(4).eval(), CloseupReader(4).eval()
    monkeypatch.setattr("course_utils.oracle.closeups.closeup_reader", lambda: reader)
    monkeypatch.setattr(tiny_closeup, "BATCH", 2)
    recipe = tiny_closeup.tiny_closeup(steps=1, eye=eye)
    recipe.watch = None
    folder = tmp_path / "made"
    folder.mkdir()
    facts = recipe.save(recipe.make(tmp_path / "work"), folder)
    assert "| cat |" in facts["rows"] and facts["n"] == 1
    kept = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    assert kept < 6.2e6
    pipe = IFPipeline.from_pretrained(models.shipped.made_whole(folder))
    assert draw(pipe, ["a cat"], steps=2).shape == (1, 3, 48, 48)


def test_sheets_are_drawn_and_read_back(tmp_path):
    pipe = tiny_closeup.voiced(build_pixel_unet(48), tiny_closeup.closeup_voice())
    recipe = illusion_sheets(steps=1, pipe=pipe, most=2)
    drawn = recipe.make(tmp_path)
    facts = recipe.save(drawn, tmp_path)
    assert "| hidden overlay | 2 |" in facts["rows"]
    sets, sheets = read_illusions("hidden overlay", tmp_path)
    assert sets == prompt_sets(2, 5, 7)
    assert sheets.shape == (2, 4, 3, 48, 48)
    torch.testing.assert_close(
        sheets.flatten(0, 1), drawn["hidden overlay"]["images"], atol=3e-3, rtol=0
    )
    again = recipe.make(tmp_path)  # nothing is drawn twice
    torch.testing.assert_close(again["flip"]["images"], drawn["flip"]["images"])
    assert (tmp_path / sheet_file("anagram half turn")).exists()
    with pytest.raises(ValueError, match="kind='turn'.*single"):
        read_illusions("turn", tmp_path)


def test_a_page_of_transparencies_says_what_fits():
    sheets = torch.zeros(2, 3, 8, 8)
    figure = show.draw_transparencies(sheets, ["below", "above"], title="two")
    assert figure.get_size_inches() == pytest.approx((21 / 2.54, 29.7 / 2.54))
    with pytest.raises(ValueError, match="1 to 4"):
        show.draw_transparencies(torch.zeros(5, 3, 8, 8), ["x"] * 5)
    with pytest.raises(ValueError, match="cm=12"):
        show.draw_transparencies(sheets, ["below", "above"], cm=12)
